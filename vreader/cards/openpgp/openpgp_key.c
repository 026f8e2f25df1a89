/* SPDX-License-Identifier: BSD-3-Clause */
/* What keys may be, and where they lie. */
#include <stdio.h>
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/cards/openpgp/openpgp_parts.h"

enum {
	ALGORITHM_RSA = 0x01,
	ALGORITHM_ECDH = 0x12,
	ALGORITHM_ECDSA = 0x13,
	ALGORITHM_EDDSA = 0x16,
	NAME_LEN = sizeof("openpgp.keyN.origin"),
	COUNTER = 3,
};

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

enum crypto_type pgp_key_type(const struct openpgp *o, enum pgp_key which)
{
	return algorithm_of(o, which)->type;
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

struct crypto_key *pgp_key_load(const struct openpgp *o, enum pgp_key which)
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

bool pgp_key_keep(
	struct openpgp *o, enum pgp_key which, const struct crypto_key *key, enum pgp_origin origin)
{
	uint8_t der[CRYPTO_PRIVATE_MAX];
	size_t len = crypto_save(key, der);
	char name[NAME_LEN];

	if (len == 0)
		return false;
	key_name(which, "", name);
	state_put(o->state, name, der, len);
	explicit_bzero(der, sizeof(der));
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
		pair[1] = state_get_byte(o->state, name, PGP_ABSENT);
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

void pgp_count_signature(struct openpgp *o)
{
	uint8_t number[4];

	if (counter_of(o) == 0xFFFFFF)
		return;
	put_be32(number, counter_of(o) + 1);
	state_put(o->state, "openpgp.counter", number, sizeof(number));
}
