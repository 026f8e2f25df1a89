/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory files and what they point to (PKCS #15 v1.1 §6, ISO 7816-15 §8). */
#include <string.h>

#include "vreader/cards/crypto.h"
#include "vreader/cards/pkcs15/pkcs15_card.h"

enum {
	SEQUENCE = 0x30,
	INTEGER = 0x02,
	BIT_STRING = 0x03,
	OCTET_STRING = 0x04,
	ENUMERATED = 0x0A,
	UTF8_STRING = 0x0C,
	CONTEXT_0 = 0x80,
	PRIVATE_EC_KEY = 0xA0,
	CONTENT = 0xA1, /* [1], the attributes of a kind of object */
	ODF_PRIVATE_KEYS = 0xA0,
	ODF_CERTIFICATES = 0xA4,
	ODF_DATA = 0xA7,
	ODF_AUTHENTICATION = 0xA8,
	PIN_ASCII_NUMERIC = 1,
	PKCS15_OBJECT_ID = 0x45, /* iD: what belongs together */
};

const uint8_t pkcs15_aid[12] = { 0xA0, 0x00, 0x00, 0x00, 0x63, 'P', 'K', 'C', 'S', '-', '1', '5' };

static const char label[] = "Cardwire virtual PKCS #15";

static void put_text(struct ber_out *out, uint32_t tag, const char *text)
{
	ber_put(out, tag, text, strlen(text));
}

static void put_byte(struct ber_out *out, uint32_t tag, uint8_t value)
{
	ber_put(out, tag, &value, 1);
}

/* A bit string of one byte; unused: bits at its end that do not count. */
static void put_bits(struct ber_out *out, uint8_t unused, uint8_t bits)
{
	const uint8_t value[] = { unused, bits };

	ber_put(out, BIT_STRING, value, sizeof(value));
}

/* Path from the MF to a file of the application. */
/* Of a file in the PKCS #15 directory; 0: of the directory. */
static void put_path(struct ber_out *out, uint16_t fid)
{
	const uint8_t path[] = { 0x3F, 0x00, 0x50, 0x15, (uint8_t)(fid >> 8), (uint8_t)fid };
	size_t at = out->len;

	ber_put(out, OCTET_STRING, path, fid ? 6 : 4);
	ber_wrap(out, at, SEQUENCE);
}

/* CommonObjectAttributes: protected_by: the PIN that guards it, 0: none. */
static void put_common(struct ber_out *out, const char *name, bool private, uint8_t protected_by)
{
	size_t at = out->len;

	put_text(out, UTF8_STRING, name);
	put_bits(out, 7, private ? 0x80 : 0x00);
	if (protected_by)
		put_byte(out, OCTET_STRING, protected_by);
	ber_wrap(out, at, SEQUENCE);
}

static void dir_file(struct ber_out *out)
{
	static const uint8_t path[] = { 0x3F, 0x00, 0x50, 0x15 };

	ber_put(out, 0x4F, pkcs15_aid, sizeof(pkcs15_aid));
	put_text(out, 0x50, label);
	ber_put(out, 0x51, path, sizeof(path));
	ber_wrap(out, 0, 0x61);
}

static void odf(struct ber_out *out)
{
	static const struct {
		uint32_t tag;
		uint16_t fid;
	} entries[] = { { ODF_AUTHENTICATION, 0x4401 }, { ODF_PRIVATE_KEYS, 0x4402 },
		{ ODF_CERTIFICATES, 0x4404 }, { ODF_DATA, 0x4407 } };

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		size_t at = out->len;

		put_path(out, entries[i].fid);
		ber_wrap(out, at, entries[i].tag);
	}
}

static void token_info(struct ber_out *out, const uint8_t serial[PKCS15_SERIAL_LEN])
{
	put_byte(out, INTEGER, 0);
	ber_put(out, OCTET_STRING, serial, PKCS15_SERIAL_LEN);
	put_text(out, UTF8_STRING, "Cardwire (virtual)");
	put_text(out, CONTEXT_0, label);
	put_bits(out, 6, 0xC0); /* read only, login required */
	ber_wrap(out, 0, SEQUENCE);
}

/* flags: those of PinAttributes, all eight. */
static void pin_object(struct ber_out *out, const char *name, uint8_t reference,
	uint8_t unblocked_by, uint8_t flags)
{
	size_t object = out->len, at;

	put_common(out, name, true, unblocked_by);
	at = out->len;
	put_byte(out, OCTET_STRING, reference); /* authId */
	ber_wrap(out, at, SEQUENCE);
	at = out->len;
	put_bits(out, 0, flags);
	put_byte(out, ENUMERATED, PIN_ASCII_NUMERIC);
	put_byte(out, INTEGER, PKCS15_PIN_MIN);
	put_byte(out, INTEGER, PKCS15_PIN_MAX);
	put_byte(out, INTEGER, PKCS15_PIN_MAX);
	put_byte(out, CONTEXT_0, reference);
	ber_wrap(out, at, SEQUENCE);
	ber_wrap(out, at, CONTENT);
	ber_wrap(out, object, SEQUENCE);
}

/* Local and initialized; the second is an unblocking PIN. */
static void aod(struct ber_out *out)
{
	pin_object(out, "PIN", PKCS15_PIN, PKCS15_PUK, 0x48);
	pin_object(out, "PUK", PKCS15_PUK, 0, 0x4A);
}

/* A key that signs, is born here and stays here. */
static void prkd(struct ber_out *out)
{
	static const uint8_t bits[] = { 0x01, 0x00 };
	size_t at;

	put_common(out, "Key", true, PKCS15_PIN);
	at = out->len;
	put_byte(out, OCTET_STRING, PKCS15_OBJECT_ID);
	put_bits(out, 5, 0x20);
	put_bits(out, 3, 0xB8);
	put_byte(out, INTEGER, PKCS15_KEY);
	ber_wrap(out, at, SEQUENCE);
	at = out->len;
	/* Keys are no files: the directory in which their numbers are valid (ISO 7816-15 §8.4). */
	put_path(out, 0);
	ber_put(out, INTEGER, bits, sizeof(bits));
	ber_wrap(out, at, SEQUENCE);
	ber_wrap(out, at, CONTENT);
	ber_wrap(out, 0, PRIVATE_EC_KEY);
}

static void cd(struct ber_out *out)
{
	size_t at;

	put_common(out, "Certificate", false, 0);
	at = out->len;
	put_byte(out, OCTET_STRING, PKCS15_OBJECT_ID);
	ber_wrap(out, at, SEQUENCE);
	at = out->len;
	put_path(out, 0x4501);
	ber_wrap(out, at, SEQUENCE);
	ber_wrap(out, at, CONTENT);
	ber_wrap(out, 0, SEQUENCE);
}

static void data_object(struct ber_out *out, const char *name, uint16_t fid, uint8_t protected_by)
{
	size_t object = out->len, at;

	put_common(out, name, protected_by != 0, protected_by);
	at = out->len;
	put_text(out, UTF8_STRING, "Cardwire");
	ber_wrap(out, at, SEQUENCE);
	at = out->len;
	put_path(out, fid);
	ber_wrap(out, at, CONTENT);
	ber_wrap(out, object, SEQUENCE);
}

static void dod(struct ber_out *out)
{
	data_object(out, "Public data", 0x4601, 0);
	data_object(out, "Protected data", 0x4602, PKCS15_PIN);
}

/* Numbers, key and certificate of a new card. False: libcrypto fails. */
static bool make_identity(struct pkcs15 *p15)
{
	struct crypto_key *key = crypto_generate(CRYPTO_P256, NULL);
	uint8_t serial[PKCS15_SERIAL_LEN], certificate[PKCS15_FILE_MAX];
	uint8_t private[CRYPTO_PRIVATE_MAX];
	size_t len = 0, private_len = 0;

	if (key && crypto_random(serial, sizeof(serial))) {
		len = pkcs15_make_certificate(serial, key, certificate);
		private_len = crypto_save(key, private);
	}
	if (len && private_len) {
		state_put(p15->state, "pkcs15.serial", serial, sizeof(serial));
		state_put(p15->state, "pkcs15.certificate", certificate, len);
		state_put(p15->state, "pkcs15.key", private, private_len);
	}
	explicit_bzero(private, sizeof(private));
	crypto_free(key);
	return len && private_len;
}

static bool identity(
	struct pkcs15 *p15, uint8_t serial[PKCS15_SERIAL_LEN], struct pkcs15_content *certificate)
{
	size_t len = 0;
	const uint8_t *kept;

	if (!state_get(p15->state, "pkcs15.serial", &len) && !make_identity(p15))
		return false;
	kept = state_get(p15->state, "pkcs15.serial", &len);
	if (!kept || len != PKCS15_SERIAL_LEN)
		return false;
	memcpy(serial, kept, len);
	kept = state_get(p15->state, "pkcs15.certificate", &len);
	if (!kept || len > PKCS15_FILE_MAX)
		return false;
	memcpy(certificate->data, kept, len);
	certificate->len = len;
	return true;
}

bool pkcs15_profile(struct pkcs15 *p15)
{
	static const struct {
		enum pkcs15_file file;
		void (*write)(struct ber_out *out);
	} files[] = { { PKCS15_DIR, dir_file }, { PKCS15_ODF, odf }, { PKCS15_AOD, aod },
		{ PKCS15_PRKD, prkd }, { PKCS15_CD, cd }, { PKCS15_DOD, dod } };
	static const char data[] = "Anybody may read this.", secret[] = "Read after VERIFY.";
	uint8_t serial[PKCS15_SERIAL_LEN];
	struct ber_out out;
	bool fits = true;

	if (!identity(p15, serial, &p15->content[PKCS15_CERTIFICATE]))
		return false;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct pkcs15_content *content = &p15->content[files[i].file];

		out = (struct ber_out){ .data = content->data, .cap = PKCS15_FILE_MAX };
		files[i].write(&out);
		content->len = out.len;
		fits = fits && !out.overflow;
	}
	out = (struct ber_out){ .data = p15->content[PKCS15_TOKEN_INFO].data,
		.cap = PKCS15_FILE_MAX };
	token_info(&out, serial);
	p15->content[PKCS15_TOKEN_INFO].len = out.len;
	p15->content[PKCS15_DATA].len = sizeof(data) - 1;
	memcpy(p15->content[PKCS15_DATA].data, data, sizeof(data) - 1);
	p15->content[PKCS15_PROTECTED].len = sizeof(secret) - 1;
	memcpy(p15->content[PKCS15_PROTECTED].data, secret, sizeof(secret) - 1);
	return fits && !out.overflow;
}
