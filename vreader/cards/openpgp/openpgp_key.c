/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/cards/openpgp/openpgp_parts.h"

enum {
	ALGORITHM_RSA = 0x01,
	ALGORITHM_ECDH = 0x12,
	ALGORITHM_ECDSA = 0x13,
	ALGORITHM_EDDSA = 0x16,
	ATTRIBUTES_MAX = 16,
	NAME_LEN = sizeof("openpgp.keyN.origin"),
	COUNTER = 3,
};

enum origin {
	ORIGIN_NONE,
	ORIGIN_GENERATED,
	ORIGIN_IMPORTED,
};

/* Control reference templates (§7.2.10) in the order of enum pgp_key. */
static const uint32_t key_tags[PGP_KEYS] = { 0xB6, 0xB8, 0xA4 };

/* --- Algorithms (§4.4.3.9) -------------------------------------------------------------------- */

struct algorithm {
	enum crypto_type type;
	uint8_t for_signing; /* its number in attributes; 0: not for that */
	uint8_t for_decrypting;
	uint8_t len; /* of the rest of the attributes */
	uint8_t rest[10];
};

/* RSA: bits of the modulus, bits of the exponent, import by e, p, q. Curves: object identifiers. */
static const struct algorithm algorithms[] = {
	{ CRYPTO_RSA2048, ALGORITHM_RSA, ALGORITHM_RSA, 5, { 0x08, 0x00, 0x00, 0x20, 0x00 } },
	{ CRYPTO_RSA3072, ALGORITHM_RSA, ALGORITHM_RSA, 5, { 0x0C, 0x00, 0x00, 0x20, 0x00 } },
	{ CRYPTO_RSA4096, ALGORITHM_RSA, ALGORITHM_RSA, 5, { 0x10, 0x00, 0x00, 0x20, 0x00 } },
	{ CRYPTO_P256, ALGORITHM_ECDSA, ALGORITHM_ECDH, 8,
		{ 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 } },
	{ CRYPTO_P384, ALGORITHM_ECDSA, ALGORITHM_ECDH, 5, { 0x2B, 0x81, 0x04, 0x00, 0x22 } },
	{ CRYPTO_P521, ALGORITHM_ECDSA, ALGORITHM_ECDH, 5, { 0x2B, 0x81, 0x04, 0x00, 0x23 } },
	{ CRYPTO_ED25519, ALGORITHM_EDDSA, 0, 9,
		{ 0x2B, 0x06, 0x01, 0x04, 0x01, 0xDA, 0x47, 0x0F, 0x01 } },
	{ CRYPTO_X25519, 0, ALGORITHM_ECDH, 10,
		{ 0x2B, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01 } },
};

enum {
	ALGORITHMS = sizeof(algorithms) / sizeof(algorithms[0]),
};

static uint8_t algorithm_number(const struct algorithm *a, enum pgp_key which)
{
	return which == PGP_DECRYPT ? a->for_decrypting : a->for_signing;
}

/* What the host names RSA's import format is its business, since the parts of a key are tagged; an
 * exponent may be announced as 17 bits long, and a curve with FF for a public key at import. */
static const struct algorithm *algorithm_named(
	enum pgp_key which, const uint8_t *attributes, size_t len)
{
	for (size_t i = 0; len > 1 && i < ALGORITHMS; i++) {
		const struct algorithm *a = &algorithms[i];
		size_t same, n = len - 1;

		if (attributes[0] != algorithm_number(a, which) || attributes[0] == 0)
			continue;
		if (crypto_is_rsa(a->type))
			same = n >= 4 && n <= 5 ? 2 : 0;
		else
			same = n == a->len || (n == a->len + 1U && attributes[len - 1] == 0xFF)
				       ? a->len
				       : 0;
		if (same && memcmp(attributes + 1, a->rest, same) == 0)
			return a;
	}
	return NULL;
}

static const struct algorithm *algorithm_of(const struct openpgp *o, enum pgp_key which)
{
	char name[NAME_LEN];
	uint8_t i;

	snprintf(name, sizeof(name), "openpgp.00C%u", 1 + (unsigned)which);
	i = state_get_byte(o->state, name, CRYPTO_RSA2048);
	for (size_t a = 0; a < ALGORITHMS; a++)
		if (algorithms[a].type == i)
			return &algorithms[a];
	return &algorithms[0];
}

static void put_attributes(struct ber_out *out, const struct algorithm *a, enum pgp_key which)
{
	uint8_t number = algorithm_number(a, which);

	ber_put_raw(out, &number, 1);
	ber_put_raw(out, a->rest, a->len);
}

void pgp_key_attributes(const struct openpgp *o, enum pgp_key which, struct ber_out *out)
{
	put_attributes(out, algorithm_of(o, which), which);
}

void pgp_key_choices(struct ber_out *out)
{
	for (int which = PGP_SIGN; which <= PGP_AUTHENTICATE; which++) {
		for (size_t i = 0; i < ALGORITHMS; i++) {
			size_t start = out->len;

			if (!algorithm_number(&algorithms[i], (enum pgp_key)which))
				continue;
			put_attributes(out, &algorithms[i], (enum pgp_key)which);
			ber_wrap(out, start, 0xC1 + (uint32_t)which);
		}
	}
}

/* --- Keys in the state ------------------------------------------------------------------------ */

static void key_name(enum pgp_key which, const char *what, char name[NAME_LEN])
{
	snprintf(name, NAME_LEN, "openpgp.key%u%s", 1 + (unsigned)which, what);
}

/* The caller frees it; NULL: there is none. */
static struct crypto_key *load_key(const struct openpgp *o, enum pgp_key which)
{
	char name[NAME_LEN];
	const uint8_t *der;
	size_t len;

	key_name(which, "", name);
	der = state_get(o->state, name, &len);
	return der ? crypto_load(der, len) : NULL;
}

static void forget_key(struct openpgp *o, enum pgp_key which)
{
	char name[NAME_LEN];

	key_name(which, "", name);
	state_delete(o->state, name);
	key_name(which, ".origin", name);
	state_delete(o->state, name);
}

static bool keep_key(
	struct openpgp *o, enum pgp_key which, const struct crypto_key *key, enum origin origin)
{
	uint8_t der[CRYPTO_PRIVATE_MAX];
	size_t len = crypto_save(key, der);
	char name[NAME_LEN];

	if (len == 0)
		return false;
	key_name(which, "", name);
	state_put(o->state, name, der, len);
	key_name(which, ".origin", name);
	state_put_byte(o->state, name, (uint8_t)origin);
	if (which == PGP_SIGN)
		state_delete(o->state, "openpgp.counter");
	return true;
}

uint16_t pgp_key_put_attributes(
	struct openpgp *o, enum pgp_key which, const uint8_t *data, size_t len)
{
	const struct algorithm *a = algorithm_named(which, data, len);
	char name[NAME_LEN];

	if (!a)
		return SW_WRONG_DATA;
	if (a != algorithm_of(o, which))
		forget_key(o, which);
	snprintf(name, sizeof(name), "openpgp.00C%u", 1 + (unsigned)which);
	state_put_byte(o->state, name, (uint8_t)a->type);
	return SW_OK;
}

void pgp_key_information(const struct openpgp *o, struct ber_out *out)
{
	for (int which = PGP_SIGN; which <= PGP_AUTHENTICATE; which++) {
		uint8_t pair[2] = { (uint8_t)(which + 1) };
		char name[NAME_LEN];

		key_name((enum pgp_key)which, ".origin", name);
		pair[1] = state_get_byte(o->state, name, ORIGIN_NONE);
		ber_put_raw(out, pair, sizeof(pair));
	}
}

static uint32_t counter_of(const struct openpgp *o)
{
	size_t len;
	const uint8_t *data = state_get(o->state, "openpgp.counter", &len);

	return data && len == 4 ? get_be32(data) : 0;
}

void pgp_signature_counter(const struct openpgp *o, struct ber_out *out)
{
	uint8_t number[4];

	put_be32(number, counter_of(o));
	ber_put_raw(out, number + 4 - COUNTER, COUNTER);
}

static void count_signature(struct openpgp *o)
{
	uint8_t number[4];

	if (counter_of(o) == 0xFFFFFF)
		return;
	put_be32(number, counter_of(o) + 1);
	state_put(o->state, "openpgp.counter", number, sizeof(number));
}

/* --- Generation and import -------------------------------------------------------------------- */

/* 7F49 { 81 modulus, 82 exponent } or { 86 point }. */
static bool put_public(struct ber_out *out, const struct crypto_key *key)
{
	uint8_t number[CRYPTO_RSA_MAX], exponent[8];
	size_t len, start = out->len;

	if (crypto_is_rsa(crypto_key_type(key))) {
		len = crypto_public_rsa(key, number, exponent);
		ber_put(out, 0x81, number, crypto_size(crypto_key_type(key)));
		ber_put(out, 0x82, exponent, len);
	} else {
		len = crypto_public_point(key, number);
		ber_put(out, 0x86, number, len);
	}
	ber_wrap(out, start, 0x7F49);
	return len > 0;
}

static bool key_tagged(uint32_t tag, enum pgp_key *which)
{
	for (int i = 0; i < PGP_KEYS; i++) {
		if (key_tags[i] == tag) {
			*which = (enum pgp_key)i;
			return true;
		}
	}
	return false;
}

/* P1 80 makes a key, 81 reads the public key of the one there is (§7.2.14). */
void pgp_generate(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };
	struct crypto_key *key;
	enum pgp_key which;
	bool ok;

	if ((cmd->p1 != 0x80 && cmd->p1 != 0x81) || cmd->p2) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (cmd->nc < 2 || !key_tagged(cmd->data[0], &which)) {
		ans->sw = SW_WRONG_DATA;
		return;
	}
	if (cmd->p1 == 0x80 && !pgp_allowed(o, PGP_PW3)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	key = cmd->p1 == 0x80 ? applet_generate(applet, algorithm_of(o, which)->type, ans)
			      : load_key(o, which);
	if (!key) {
		ans->sw = cmd->p1 == 0x80 ? SW_MEMORY_FAILURE : SW_NO_SUCH_DATA;
		return;
	}
	ok = put_public(&out, key) &&
	     (cmd->p1 == 0x81 || keep_key(o, which, key, ORIGIN_GENERATED));
	crypto_free(key);
	ans->len = out.len;
	ans->sw = ok ? SW_OK : SW_MEMORY_FAILURE;
}

/* The parts of a private key, by the last digit of their tags 91 to 99. */
struct parts {
	struct ber_item part[10];
};

/* 7F48 tells tags and lengths of what is strung together in 5F48. */
static bool split_parts(
	const struct ber_item *header, const struct ber_item *data, struct parts *parts)
{
	struct ber in = { header->value, header->len };
	const uint8_t *value = data->value;
	size_t left = data->len;
	struct ber_item next;

	*parts = (struct parts){ 0 };
	while (in.left) {
		if (!ber_next_header(&in, &next) || next.tag < 0x91 || next.tag > 0x99 ||
			next.len > left)
			return false;
		next.value = value;
		parts->part[next.tag - 0x90] = next;
		value += next.len;
		left -= next.len;
	}
	return true;
}

static struct crypto_key *key_from_parts(enum crypto_type type, const struct parts *parts)
{
	const struct ber_item *a = &parts->part[1], *b = &parts->part[2], *c = &parts->part[3];

	if (!b->value)
		return NULL;
	if (!crypto_is_rsa(type))
		return crypto_import_scalar(type, b->value, b->len);
	if (!a->value || !c->value)
		return NULL;
	return crypto_import_rsa(type, a->value, a->len, b->value, b->len, c->value, c->len);
}

/* Extended header list 4D { key, 7F48, 5F48 } (§4.4.3.12). */
static bool parse_import(const struct apdu_command *cmd, enum pgp_key *which, struct parts *parts)
{
	struct ber_item list, first, header, data;
	struct ber in;

	if (!ber_find(cmd->data, cmd->nc, 0x4D, &list))
		return false;
	in = (struct ber){ list.value, list.len };
	return ber_next(&in, &first) && key_tagged(first.tag, which) &&
	       ber_find(in.at, in.left, 0x7F48, &header) &&
	       ber_find(in.at, in.left, 0x5F48, &data) && split_parts(&header, &data, parts);
}

void pgp_import(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	struct crypto_key *key;
	struct parts parts;
	enum pgp_key which;

	if (cmd->p1 != 0x3F || cmd->p2 != 0xFF) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (!pgp_allowed(o, PGP_PW3)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	ans->sw = SW_WRONG_DATA;
	if (!parse_import(cmd, &which, &parts))
		return;
	key = key_from_parts(algorithm_of(o, which)->type, &parts);
	if (key)
		ans->sw = keep_key(o, which, key, ORIGIN_IMPORTED) ? SW_OK : SW_MEMORY_FAILURE;
	crypto_free(key);
}

/* --- Use -------------------------------------------------------------------------------------- */

/* RSA takes a DigestInfo of at most 40 % of the modulus, ECDSA a digest, EdDSA what is to be
 * signed. */
static size_t sign(const struct crypto_key *key, const struct apdu_command *cmd, uint8_t *out)
{
	enum crypto_type type = crypto_key_type(key);

	if (crypto_is_rsa(type))
		return cmd->nc <= crypto_size(type) * 2 / 5
			       ? crypto_rsa_sign(key, cmd->data, cmd->nc, out)
			       : 0;
	if (crypto_is_ec(type))
		return crypto_ecdsa_raw(key, cmd->data, cmd->nc, out);
	return crypto_eddsa(key, cmd->data, cmd->nc, out);
}

static void sign_with(struct openpgp *o, enum pgp_key which, const struct apdu_command *cmd,
	struct apdu_answer *ans)
{
	struct crypto_key *key = load_key(o, which);

	if (!key) {
		ans->sw = SW_NO_SUCH_DATA;
		return;
	}
	ans->len = cmd->nc ? sign(key, cmd, ans->data) : 0;
	ans->sw = ans->len ? SW_OK : SW_WRONG_DATA;
	crypto_free(key);
}

static void compute_signature(
	struct openpgp *o, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	if (!pgp_allowed(o, PGP_PW1_SIGN)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	sign_with(o, PGP_SIGN, cmd, ans);
	if (ans->sw != SW_OK)
		return;
	count_signature(o);
	if (!state_get_byte(o->state, "openpgp.several", 0))
		o->verified &= ~(unsigned)PGP_PW1_SIGN;
}

/* A6 { 7F49 { 86 point } } (§7.2.11). */
static size_t agree(const struct crypto_key *key, const struct apdu_command *cmd, uint8_t *out)
{
	struct ber_item cipher, public_key, point;

	if (!ber_find(cmd->data, cmd->nc, 0xA6, &cipher) ||
		!ber_find(cipher.value, cipher.len, 0x7F49, &public_key) ||
		!ber_find(public_key.value, public_key.len, 0x86, &point))
		return 0;
	return crypto_ecdh(key, point.value, point.len, out);
}

static size_t decrypt(const struct crypto_key *key, const struct apdu_command *cmd, uint8_t *out)
{
	size_t len;

	if (!crypto_is_rsa(crypto_key_type(key)))
		return agree(key, cmd, out);
	/* The padding indicator byte comes first. */
	if (cmd->nc < 1 || cmd->data[0] != 0x00)
		return 0;
	return crypto_rsa_decrypt(key, cmd->data + 1, cmd->nc - 1, out, &len) ? len : 0;
}

static void decipher(struct openpgp *o, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct crypto_key *key;

	if (!pgp_allowed(o, PGP_PW1_OTHER)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	key = load_key(o, o->decrypt_key);
	if (!key) {
		ans->sw = SW_NO_SUCH_DATA;
		return;
	}
	ans->len = decrypt(key, cmd, ans->data);
	ans->sw = ans->len ? SW_OK : SW_WRONG_DATA;
	crypto_free(key);
}

void pgp_security_operation(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;

	switch (cmd->p1 << 8 | cmd->p2) {
	case 0x9E9A:
		compute_signature(o, cmd, ans);
		break;
	case 0x8086:
		decipher(o, cmd, ans);
		break;
	default:
		ans->sw = SW_WRONG_P1P2;
	}
}

void pgp_authenticate(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;

	if (cmd->p1 || cmd->p2)
		ans->sw = SW_WRONG_P1P2;
	else if (!pgp_allowed(o, PGP_PW1_OTHER))
		ans->sw = SW_SECURITY_STATUS;
	else
		sign_with(o, o->authenticate_key, cmd, ans);
}

/* MSE SET: 83 01 02 or 83 01 03 for decryption (B8) or authentication (A4). */
void pgp_manage_keys(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	enum pgp_key which;

	if (cmd->p1 != 0x41 || (cmd->p2 != 0xA4 && cmd->p2 != 0xB8)) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (cmd->nc != 3 || cmd->data[0] != 0x83 || cmd->data[1] != 1 || cmd->data[2] < 2 ||
		cmd->data[2] > 3) {
		ans->sw = SW_WRONG_DATA;
		return;
	}
	which = (enum pgp_key)(cmd->data[2] - 1);
	if (cmd->p2 == 0xB8)
		o->decrypt_key = which;
	else
		o->authenticate_key = which;
	ans->sw = SW_OK;
}
