/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "vreader/cards/openpgp/openpgp_parts.h"

enum {
	FINGERPRINT = 20,
	TIMESTAMP = 4,
	UIF = 2,
	UIF_PERMANENT = 2,
	NAME_MAX_LEN = sizeof("openpgp.XXXX.N"),
};

typedef void (*reader)(const struct openpgp *o, struct ber_out *out);
typedef uint16_t (*writer)(struct openpgp *o, uint16_t tag, const uint8_t *data, size_t len);

struct object {
	uint16_t tag;
	unsigned get; /* access; PGP_NEVER: only as a part of others, or not at all */
	unsigned put;
	size_t max;   /* bytes, of a string that is kept as it is */
	size_t only;  /* the one length it may have; 0: any up to max */
	reader read;  /* NULL: the string kept */
	writer write; /* NULL: keep it */
};

/* --- Strings kept ----------------------------------------------------------------------------- */

static void name_of(uint16_t tag, char name[NAME_MAX_LEN])
{
	snprintf(name, NAME_MAX_LEN, "openpgp.%04X", tag);
}

static void name_certificate(uint8_t occurrence, char name[NAME_MAX_LEN])
{
	snprintf(name, NAME_MAX_LEN, "openpgp.7F21.%u", occurrence % 10U);
}

static void put_kept(const struct openpgp *o, struct ber_out *out, uint16_t tag)
{
	char name[NAME_MAX_LEN];
	const uint8_t *data;
	size_t len;

	name_of(tag, name);
	data = state_get(o->state, name, &len);
	ber_put_raw(out, data, len);
}

/* count strings of one length with tags in a row; zeros for what is not there. */
static void put_row(
	const struct openpgp *o, struct ber_out *out, uint16_t first, int count, size_t each)
{
	static const uint8_t zeros[FINGERPRINT];

	for (int i = 0; i < count; i++) {
		size_t before = out->len;

		put_kept(o, out, (uint16_t)(first + i));
		if (out->len - before == each)
			continue;
		out->len = before;
		ber_put_raw(out, zeros, each);
	}
}

/* --- Objects that are put together ------------------------------------------------------------ */

static void read_aid(const struct openpgp *o, struct ber_out *out)
{
	ber_put_raw(out, o->applet.aid, o->applet.aid_len);
}

/* Card service data (selection by name, data objects by GET DATA), capabilities (chaining, extended
 * length), life cycle state (§6). */
static void read_historical(const struct openpgp *o, struct ber_out *out)
{
	static const uint8_t bytes[] = { 0x00, 0x31, 0xC5, 0x73, 0xC0, 0x01, 0xC0, 0x05, 0x90,
		0x00 };

	(void)o;
	ber_put_raw(out, bytes, sizeof(bytes));
}

static const struct object *object_of(uint16_t tag);

/* An object with its tag; a constructed one has what its reader gives inside. */
static void put_object(const struct openpgp *o, struct ber_out *out, uint16_t tag)
{
	const struct object *object = object_of(tag);
	size_t start = out->len;

	if (object->read)
		object->read(o, out);
	else
		put_kept(o, out, tag);
	ber_wrap(out, start, tag);
}

static void put_objects(
	const struct openpgp *o, struct ber_out *out, const uint16_t *tags, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_object(o, out, tags[i]);
}

static void read_cardholder(const struct openpgp *o, struct ber_out *out)
{
	static const uint16_t tags[] = { 0x5B, 0x5F2D, 0x5F35 };

	put_objects(o, out, tags, sizeof(tags) / sizeof(tags[0]));
}

static void read_application(const struct openpgp *o, struct ber_out *out)
{
	static const uint16_t tags[] = { 0x4F, 0x5F52, 0x7F66, 0x7F74, 0x73 };

	put_objects(o, out, tags, sizeof(tags) / sizeof(tags[0]));
}

static void read_discretionary(const struct openpgp *o, struct ber_out *out)
{
	static const uint16_t tags[] = { 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xCD, 0xD6, 0xD7,
		0xD8, 0xDE };

	put_objects(o, out, tags, sizeof(tags) / sizeof(tags[0]));
}

static void read_security(const struct openpgp *o, struct ber_out *out)
{
	static const uint16_t tags[] = { 0x93 };

	put_objects(o, out, tags, 1);
}

/* What a command and a response may have at most (§4.1.3.1). */
static void read_lengths(const struct openpgp *o, struct ber_out *out)
{
	static const uint8_t max[] = { PGP_APDU_MAX >> 8, PGP_APDU_MAX & 0xFF };

	(void)o;
	ber_put(out, 0x02, max, sizeof(max));
	ber_put(out, 0x02, max, sizeof(max));
}

/* A button (§4.1.3.2), though nobody presses it. */
static void read_features(const struct openpgp *o, struct ber_out *out)
{
	static const uint8_t button = 0x20;

	(void)o;
	ber_put(out, 0x81, &button, 1);
}

/* GET CHALLENGE, import, changeable PW status, private use, changeable algorithms, KDF; no secure
 * messaging, no AES; MSE (§4.4.3.7). */
static void read_capabilities(const struct openpgp *o, struct ber_out *out)
{
	static const uint8_t bytes[] = { 0x7D, 0x00, PGP_CHALLENGE_MAX >> 8,
		PGP_CHALLENGE_MAX & 0xFF, PGP_CERTIFICATE_MAX >> 8, PGP_CERTIFICATE_MAX & 0xFF,
		PGP_SPECIAL_MAX >> 8, PGP_SPECIAL_MAX & 0xFF, 0x00, 0x01 };

	(void)o;
	ber_put_raw(out, bytes, sizeof(bytes));
}

static void read_attributes_sign(const struct openpgp *o, struct ber_out *out)
{
	pgp_key_attributes(o, PGP_SIGN, out);
}

static void read_attributes_decrypt(const struct openpgp *o, struct ber_out *out)
{
	pgp_key_attributes(o, PGP_DECRYPT, out);
}

static void read_attributes_authenticate(const struct openpgp *o, struct ber_out *out)
{
	pgp_key_attributes(o, PGP_AUTHENTICATE, out);
}

static void read_choices(const struct openpgp *o, struct ber_out *out)
{
	(void)o;
	pgp_key_choices(out);
}

static void read_fingerprints(const struct openpgp *o, struct ber_out *out)
{
	put_row(o, out, 0xC7, PGP_KEYS, FINGERPRINT);
}

static void read_ca_fingerprints(const struct openpgp *o, struct ber_out *out)
{
	put_row(o, out, 0xCA, PGP_KEYS, FINGERPRINT);
}

static void read_timestamps(const struct openpgp *o, struct ber_out *out)
{
	put_row(o, out, 0xCE, PGP_KEYS, TIMESTAMP);
}

/* User interaction flags (§4.4.3.6): off, until told otherwise; 20: by a button. */
static void read_uif(const struct openpgp *o, struct ber_out *out, uint16_t tag)
{
	static const uint8_t off[UIF] = { 0x00, 0x20 };
	size_t before = out->len;

	put_kept(o, out, tag);
	if (out->len == before)
		ber_put_raw(out, off, sizeof(off));
}

static void read_uif_sign(const struct openpgp *o, struct ber_out *out)
{
	read_uif(o, out, 0xD6);
}

static void read_uif_decrypt(const struct openpgp *o, struct ber_out *out)
{
	read_uif(o, out, 0xD7);
}

static void read_uif_authenticate(const struct openpgp *o, struct ber_out *out)
{
	read_uif(o, out, 0xD8);
}

static void read_kdf(const struct openpgp *o, struct ber_out *out)
{
	static const uint8_t none[] = { 0x81, 0x01, 0x00 };
	size_t before = out->len;

	put_kept(o, out, 0xF9);
	if (out->len == before)
		ber_put_raw(out, none, sizeof(none));
}

static void read_certificate(const struct openpgp *o, struct ber_out *out)
{
	char name[NAME_MAX_LEN];
	const uint8_t *data;
	size_t len;

	name_certificate(o->certificate, name);
	data = state_get(o->state, name, &len);
	ber_put_raw(out, data, len);
}

/* --- Objects that are more than a string when written ----------------------------------------- */

static uint16_t write_attributes(struct openpgp *o, uint16_t tag, const uint8_t *data, size_t len)
{
	return pgp_key_put_attributes(o, (enum pgp_key)(tag - 0xC1), data, len);
}

static uint16_t write_pin_status(struct openpgp *o, uint16_t tag, const uint8_t *data, size_t len)
{
	(void)tag;
	return pgp_pin_put_status(o, data, len);
}

static uint16_t write_code(struct openpgp *o, uint16_t tag, const uint8_t *data, size_t len)
{
	(void)tag;
	return pgp_pin_put_code(o, data, len);
}

static uint16_t write_kdf(struct openpgp *o, uint16_t tag, const uint8_t *data, size_t len)
{
	(void)tag;
	return pgp_pin_put_kdf(o, data, len);
}

/* Permanently on is permanent. */
static uint16_t write_uif(struct openpgp *o, uint16_t tag, const uint8_t *data, size_t len)
{
	char name[NAME_MAX_LEN];
	const uint8_t *old;
	size_t old_len;

	name_of(tag, name);
	old = state_get(o->state, name, &old_len);
	if (old && old_len == UIF && old[0] == UIF_PERMANENT)
		return SW_CONDITIONS;
	if (data[0] > UIF_PERMANENT)
		return SW_WRONG_DATA;
	state_put(o->state, name, data, len);
	return SW_OK;
}

static uint16_t write_certificate(struct openpgp *o, uint16_t tag, const uint8_t *data, size_t len)
{
	char name[NAME_MAX_LEN];

	(void)tag;
	name_certificate(o->certificate, name);
	state_put(o->state, name, data, len);
	return SW_OK;
}

/* --- The objects (§4.4.1) --------------------------------------------------------------------- */

static const struct object objects[] = {
	{ .tag = 0x4F, .put = PGP_NEVER, .read = read_aid },
	{ .tag = 0x5B, .put = PGP_PW3, .max = 39 },
	{ .tag = 0x5E, .put = PGP_PW3, .max = PGP_SPECIAL_MAX },
	{ .tag = 0x65, .put = PGP_NEVER, .read = read_cardholder },
	{ .tag = 0x6E, .put = PGP_NEVER, .read = read_application },
	{ .tag = 0x73, .put = PGP_NEVER, .read = read_discretionary },
	{ .tag = 0x7A, .put = PGP_NEVER, .read = read_security },
	{ .tag = 0x93, .put = PGP_NEVER, .read = pgp_signature_counter },
	{ .tag = 0xC0, .put = PGP_NEVER, .read = read_capabilities },
	{ .tag = 0xC1,
		.put = PGP_PW3,
		.max = 32,
		.read = read_attributes_sign,
		.write = write_attributes },
	{ .tag = 0xC2,
		.put = PGP_PW3,
		.max = 32,
		.read = read_attributes_decrypt,
		.write = write_attributes },
	{ .tag = 0xC3,
		.put = PGP_PW3,
		.max = 32,
		.read = read_attributes_authenticate,
		.write = write_attributes },
	{ .tag = 0xC4,
		.put = PGP_PW3,
		.max = 7,
		.read = pgp_pin_status,
		.write = write_pin_status },
	{ .tag = 0xC5, .put = PGP_NEVER, .read = read_fingerprints },
	{ .tag = 0xC6, .put = PGP_NEVER, .read = read_ca_fingerprints },
	{ .tag = 0xC7, .get = PGP_NEVER, .put = PGP_PW3, .only = FINGERPRINT },
	{ .tag = 0xC8, .get = PGP_NEVER, .put = PGP_PW3, .only = FINGERPRINT },
	{ .tag = 0xC9, .get = PGP_NEVER, .put = PGP_PW3, .only = FINGERPRINT },
	{ .tag = 0xCA, .get = PGP_NEVER, .put = PGP_PW3, .only = FINGERPRINT },
	{ .tag = 0xCB, .get = PGP_NEVER, .put = PGP_PW3, .only = FINGERPRINT },
	{ .tag = 0xCC, .get = PGP_NEVER, .put = PGP_PW3, .only = FINGERPRINT },
	{ .tag = 0xCD, .put = PGP_NEVER, .read = read_timestamps },
	{ .tag = 0xCE, .get = PGP_NEVER, .put = PGP_PW3, .only = TIMESTAMP },
	{ .tag = 0xCF, .get = PGP_NEVER, .put = PGP_PW3, .only = TIMESTAMP },
	{ .tag = 0xD0, .get = PGP_NEVER, .put = PGP_PW3, .only = TIMESTAMP },
	{ .tag = 0xD3, .get = PGP_NEVER, .put = PGP_PW3, .max = PGP_PIN_MAX, .write = write_code },
	{ .tag = 0xD6, .put = PGP_PW3, .only = UIF, .read = read_uif_sign, .write = write_uif },
	{ .tag = 0xD7, .put = PGP_PW3, .only = UIF, .read = read_uif_decrypt, .write = write_uif },
	{ .tag = 0xD8,
		.put = PGP_PW3,
		.only = UIF,
		.read = read_uif_authenticate,
		.write = write_uif },
	{ .tag = 0xDE, .put = PGP_NEVER, .read = pgp_key_information },
	{ .tag = 0xF9, .put = PGP_PW3, .max = 256, .read = read_kdf, .write = write_kdf },
	{ .tag = 0xFA, .put = PGP_NEVER, .read = read_choices },
	{ .tag = 0x0101, .put = PGP_PW1_OTHER, .max = PGP_SPECIAL_MAX },
	{ .tag = 0x0102, .put = PGP_PW3, .max = PGP_SPECIAL_MAX },
	{ .tag = 0x0103, .get = PGP_PW1_OTHER, .put = PGP_PW1_OTHER, .max = PGP_SPECIAL_MAX },
	{ .tag = 0x0104, .get = PGP_PW3, .put = PGP_PW3, .max = PGP_SPECIAL_MAX },
	{ .tag = 0x5F2D, .put = PGP_PW3, .max = 8 },
	{ .tag = 0x5F35, .put = PGP_PW3, .only = 1 },
	{ .tag = 0x5F50, .put = PGP_PW3, .max = PGP_SPECIAL_MAX },
	{ .tag = 0x5F52, .put = PGP_NEVER, .read = read_historical },
	{ .tag = 0x7F21,
		.put = PGP_PW3,
		.max = PGP_CERTIFICATE_MAX,
		.read = read_certificate,
		.write = write_certificate },
	{ .tag = 0x7F66, .put = PGP_NEVER, .read = read_lengths },
	{ .tag = 0x7F74, .put = PGP_NEVER, .read = read_features },
};

static const struct object *object_of(uint16_t tag)
{
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		if (objects[i].tag == tag)
			return &objects[i];
	return NULL;
}

/* --- Commands --------------------------------------------------------------------------------- */

static uint16_t tag_of(const struct apdu_command *cmd)
{
	return (uint16_t)(cmd->p1 << 8 | cmd->p2);
}

/* Objects without a value are answered with nothing. Of constructed ones, it is the inside. */
void pgp_get_data(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	const struct object *object = object_of(tag_of(cmd));
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };

	if (!object || object->get == PGP_NEVER) {
		ans->sw = SW_NO_SUCH_DATA;
		return;
	}
	if (!pgp_allowed(o, object->get)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	if (object->read)
		object->read(o, &out);
	else
		put_kept(o, &out, object->tag);
	ans->len = out.len;
	ans->sw = SW_OK;
}

void pgp_get_next_data(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;

	if (tag_of(cmd) != 0x7F21 || o->certificate + 1 >= PGP_CERTIFICATES) {
		ans->sw = SW_NO_SUCH_DATA;
		return;
	}
	o->certificate++;
	pgp_get_data(applet, cmd, ans);
}

/* P1: which occurrence; P2 04; data: 60 { 5C tag } (§7.2.5). */
void pgp_select_data(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	static const uint8_t certificate[] = { 0x60, 0x04, 0x5C, 0x02, 0x7F, 0x21 };

	if (cmd->p2 != 0x04) {
		ans->sw = SW_WRONG_P1P2;
	} else if (cmd->nc != sizeof(certificate) ||
		   memcmp(cmd->data, certificate, sizeof(certificate)) != 0) {
		ans->sw = SW_WRONG_DATA;
	} else if (cmd->p1 >= PGP_CERTIFICATES) {
		ans->sw = SW_NO_SUCH_DATA;
	} else {
		o->certificate = cmd->p1;
		ans->sw = SW_OK;
	}
}

static bool good_length(const struct object *object, size_t len)
{
	return object->only ? len == object->only : len <= object->max;
}

void pgp_put_data(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	const struct object *object = object_of(tag_of(cmd));
	char name[NAME_MAX_LEN];

	if (!object || object->put == PGP_NEVER) {
		ans->sw = SW_NO_SUCH_DATA;
	} else if (!pgp_allowed(o, object->put)) {
		ans->sw = SW_SECURITY_STATUS;
	} else if (!good_length(object, cmd->nc)) {
		ans->sw = SW_WRONG_LENGTH;
	} else if (object->write) {
		ans->sw = object->write(o, object->tag, cmd->data, cmd->nc);
	} else {
		name_of(object->tag, name);
		state_put(o->state, name, cmd->data, cmd->nc);
		ans->sw = SW_OK;
	}
}
