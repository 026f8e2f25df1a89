/* SPDX-License-Identifier: BSD-3-Clause */
/* An X.509 certificate (RFC 5280), written piece by piece: ECDSA with SHA-256 over P-256. */
#include "vreader/cards/crypto.h"
#include "vreader/cards/pkcs15/pkcs15_card.h"

enum {
	SEQUENCE = 0x30,
	SET = 0x31,
	INTEGER = 0x02,
	BIT_STRING = 0x03,
	OBJECT_IDENTIFIER = 0x06,
	UTF8_STRING = 0x0C,
	UTC_TIME = 0x17,
	GENERALIZED_TIME = 0x18,
	VERSION = 0xA0,
};

/* 1.2.840.10045.4.3.2 ecdsa-with-SHA256; 1.2.840.10045.2.1 id-ecPublicKey; 1.2.840.10045.3.1.7
 * secp256r1; 2.5.4.3 commonName. */
static const uint8_t oid_signature[] = { 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02 };
static const uint8_t oid_key[] = { 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01 };
static const uint8_t oid_curve[] = { 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 };
static const uint8_t oid_name[] = { 0x55, 0x04, 0x03 };

static void put_algorithm(struct ber_out *out)
{
	size_t at = out->len;

	ber_put(out, OBJECT_IDENTIFIER, oid_signature, sizeof(oid_signature));
	ber_wrap(out, at, SEQUENCE);
}

static void put_name(struct ber_out *out)
{
	static const char name[] = "Cardwire virtual PKCS #15";
	size_t at = out->len;

	ber_put(out, OBJECT_IDENTIFIER, oid_name, sizeof(oid_name));
	ber_put(out, UTF8_STRING, name, sizeof(name) - 1);
	ber_wrap(out, at, SEQUENCE);
	ber_wrap(out, at, SET);
	ber_wrap(out, at, SEQUENCE);
}

/* For as long as anybody may test with it. */
static void put_validity(struct ber_out *out)
{
	size_t at = out->len;

	ber_put(out, UTC_TIME, "200101000000Z", 13);
	ber_put(out, GENERALIZED_TIME, "20991231235959Z", 15);
	ber_wrap(out, at, SEQUENCE);
}

static void put_bits(struct ber_out *out, const uint8_t *bytes, size_t len)
{
	size_t at = out->len;

	ber_put_raw(out, "", 1); /* no unused bits */
	ber_put_raw(out, bytes, len);
	ber_wrap(out, at, BIT_STRING);
}

static void put_public_key(struct ber_out *out, const struct crypto_key *key)
{
	uint8_t point[CRYPTO_POINT_MAX];
	size_t at = out->len;

	ber_put(out, OBJECT_IDENTIFIER, oid_key, sizeof(oid_key));
	ber_put(out, OBJECT_IDENTIFIER, oid_curve, sizeof(oid_curve));
	ber_wrap(out, at, SEQUENCE);
	put_bits(out, point, crypto_public_point(key, point));
	ber_wrap(out, at, SEQUENCE);
}

static void put_contents(
	struct ber_out *out, const uint8_t serial[PKCS15_SERIAL_LEN], const struct crypto_key *key)
{
	static const uint8_t v3[] = { INTEGER, 1, 2 };
	size_t at = out->len;
	size_t number;

	ber_put(out, VERSION, v3, sizeof(v3));
	number = out->len;
	ber_put_raw(out, "\x01", 1); /* positive, and minimal, whatever follows */
	ber_put_raw(out, serial, PKCS15_SERIAL_LEN);
	ber_wrap(out, number, INTEGER);
	put_algorithm(out);
	put_name(out);
	put_validity(out);
	put_name(out);
	put_public_key(out, key);
	ber_wrap(out, at, SEQUENCE);
}

size_t pkcs15_make_certificate(const uint8_t serial[PKCS15_SERIAL_LEN],
	const struct crypto_key *key, uint8_t der[PKCS15_FILE_MAX])
{
	struct ber_out out = { .data = der, .cap = PKCS15_FILE_MAX };
	uint8_t digest[CRYPTO_SHA256], signature[CRYPTO_SIGNATURE_MAX];
	size_t len = 0;

	put_contents(&out, serial, key);
	if (crypto_sha256(der, out.len, digest))
		len = crypto_ecdsa_der(key, digest, sizeof(digest), signature);
	put_algorithm(&out);
	put_bits(&out, signature, len);
	ber_wrap(&out, 0, SEQUENCE);
	return len && !out.overflow ? out.len : 0;
}
