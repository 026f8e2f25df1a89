/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

struct crypto_key {
	enum crypto_type type;
	EVP_PKEY *pkey;
};

enum family {
	FAMILY_NONE,
	FAMILY_RSA,
	FAMILY_EC,
	FAMILY_RAW, /* Ed25519, X25519 */
};

static const struct {
	enum family family;
	size_t size; /* bytes */
	const char *algorithm;
	const char *curve;
	int nid; /* of the curve, or of the raw key's type */
} types[CRYPTO_TYPES] = {
	[CRYPTO_RSA1024] = { FAMILY_RSA, 128, "RSA", NULL, 0 },
	[CRYPTO_RSA2048] = { FAMILY_RSA, 256, "RSA", NULL, 0 },
	[CRYPTO_RSA3072] = { FAMILY_RSA, 384, "RSA", NULL, 0 },
	[CRYPTO_RSA4096] = { FAMILY_RSA, 512, "RSA", NULL, 0 },
	[CRYPTO_P256] = { FAMILY_EC, 32, "EC", "P-256", NID_X9_62_prime256v1 },
	[CRYPTO_P384] = { FAMILY_EC, 48, "EC", "P-384", NID_secp384r1 },
	[CRYPTO_P521] = { FAMILY_EC, 66, "EC", "P-521", NID_secp521r1 },
	[CRYPTO_ED25519] = { FAMILY_RAW, 32, "ED25519", NULL, EVP_PKEY_ED25519 },
	[CRYPTO_X25519] = { FAMILY_RAW, 32, "X25519", NULL, EVP_PKEY_X25519 },
};

size_t crypto_size(enum crypto_type type)
{
	return types[type].size;
}

bool crypto_is_rsa(enum crypto_type type)
{
	return types[type].family == FAMILY_RSA;
}

bool crypto_is_ec(enum crypto_type type)
{
	return types[type].family == FAMILY_EC;
}

/* --- Keys ------------------------------------------------------------------------------------- */

/* Takes pkey over; NULL gives NULL. */
static struct crypto_key *wrap(enum crypto_type type, EVP_PKEY *pkey)
{
	struct crypto_key *key = pkey ? malloc(sizeof(*key)) : NULL;

	if (!key) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	*key = (struct crypto_key){ type, pkey };
	return key;
}

/* Called by libcrypto for each prime it tries; 0 ends it. */
static int go_on(EVP_PKEY_CTX *ctx)
{
	const atomic_bool *stop = EVP_PKEY_CTX_get_app_data(ctx);

	return !stop || !atomic_load(stop);
}

static EVP_PKEY *generate_rsa(size_t size, atomic_bool *stop)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *pkey = NULL;

	if (ctx && EVP_PKEY_keygen_init(ctx) > 0 &&
		EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)(8 * size)) > 0) {
		EVP_PKEY_CTX_set_app_data(ctx, stop);
		EVP_PKEY_CTX_set_cb(ctx, go_on);
		/* What it leaves in pkey when it fails is not defined. */
		if (EVP_PKEY_generate(ctx, &pkey) <= 0)
			pkey = NULL;
	}
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

struct crypto_key *crypto_generate(enum crypto_type type, atomic_bool *stop)
{
	const char *algorithm = types[type].algorithm;

	switch (types[type].family) {
	case FAMILY_RSA:
		return wrap(type, generate_rsa(types[type].size, stop));
	case FAMILY_EC:
		return wrap(type, EVP_PKEY_Q_keygen(NULL, NULL, algorithm, types[type].curve));
	case FAMILY_RAW:
		return wrap(type, EVP_PKEY_Q_keygen(NULL, NULL, algorithm));
	default:
		return NULL;
	}
}

/* The numbers of an RSA key; the context owns them. */
struct rsa_numbers {
	BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qinv;
};

/* The rest from e, p and q (RFC 8017 §3.2). */
static bool rsa_complete(struct rsa_numbers *k, BN_CTX *ctx)
{
	BIGNUM *p1 = BN_CTX_get(ctx), *q1 = BN_CTX_get(ctx), *phi = BN_CTX_get(ctx);

	k->n = BN_CTX_get(ctx);
	k->d = BN_CTX_get(ctx);
	k->dp = BN_CTX_get(ctx);
	k->dq = BN_CTX_get(ctx);
	k->qinv = BN_CTX_get(ctx);
	return k->qinv && BN_mul(k->n, k->p, k->q, ctx) && BN_sub(p1, k->p, BN_value_one()) &&
	       BN_sub(q1, k->q, BN_value_one()) && BN_mul(phi, p1, q1, ctx) &&
	       BN_mod_inverse(k->d, k->e, phi, ctx) && BN_mod(k->dp, k->d, p1, ctx) &&
	       BN_mod(k->dq, k->d, q1, ctx) && BN_mod_inverse(k->qinv, k->q, k->p, ctx);
}

static EVP_PKEY *from_params(const char *algorithm, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
	EVP_PKEY *pkey = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) <= 0)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return pkey;
}

static EVP_PKEY *rsa_from_numbers(const struct rsa_numbers *k)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	if (bld && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, k->n) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, k->e) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_D, k->d) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_FACTOR1, k->p) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_FACTOR2, k->q) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_EXPONENT1, k->dp) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_EXPONENT2, k->dq) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, k->qinv))
		pkey = from_params("RSA", bld);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

static BIGNUM *number(BN_CTX *ctx, const uint8_t *bytes, size_t len)
{
	BIGNUM *n = BN_CTX_get(ctx);

	return n ? BN_bin2bn(bytes, (int)len, n) : NULL;
}

struct crypto_key *crypto_import_rsa(enum crypto_type type, const uint8_t *e, size_t e_len,
	const uint8_t *p, size_t p_len, const uint8_t *q, size_t q_len)
{
	BN_CTX *ctx = BN_CTX_new();
	struct rsa_numbers k = { 0 };
	EVP_PKEY *pkey = NULL;

	if (!ctx)
		return NULL;
	BN_CTX_start(ctx);
	k.e = number(ctx, e, e_len);
	k.p = number(ctx, p, p_len);
	k.q = number(ctx, q, q_len);
	if (crypto_is_rsa(type) && k.e && k.p && k.q && BN_is_odd(k.p) && BN_is_odd(k.q) &&
		BN_cmp(k.p, k.q) != 0 && rsa_complete(&k, ctx) &&
		BN_num_bits(k.n) == 8 * (int)types[type].size)
		pkey = rsa_from_numbers(&k);
	BN_CTX_end(ctx);
	BN_CTX_free(ctx);
	return wrap(type, pkey);
}

/* 04 X Y of the public key; returns its length. */
static size_t public_of(const EC_GROUP *group, const BIGNUM *d, uint8_t out[CRYPTO_POINT_MAX])
{
	EC_POINT *point = EC_POINT_new(group);
	size_t len = 0;

	if (point && EC_POINT_mul(group, point, d, NULL, NULL, NULL))
		len = EC_POINT_point2oct(
			group, point, POINT_CONVERSION_UNCOMPRESSED, out, CRYPTO_POINT_MAX, NULL);
	EC_POINT_free(point);
	return len;
}

static EVP_PKEY *ec_from_scalar(enum crypto_type type, const uint8_t *bytes, size_t len)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(types[type].nid);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *d = BN_bin2bn(bytes, (int)len, NULL);
	uint8_t point[CRYPTO_POINT_MAX];
	EVP_PKEY *pkey = NULL;
	size_t point_len = 0;

	if (group && d && !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0)
		point_len = public_of(group, d, point);
	if (bld && point_len &&
		OSSL_PARAM_BLD_push_utf8_string(
			bld, OSSL_PKEY_PARAM_GROUP_NAME, types[type].curve, 0) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) &&
		OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, point_len))
		pkey = from_params("EC", bld);
	BN_clear_free(d);
	OSSL_PARAM_BLD_free(bld);
	EC_GROUP_free(group);
	return pkey;
}

struct crypto_key *crypto_import_scalar(enum crypto_type type, const uint8_t *d, size_t len)
{
	if (types[type].family == FAMILY_EC && len <= types[type].size)
		return wrap(type, ec_from_scalar(type, d, len));
	if (types[type].family == FAMILY_RAW && len == types[type].size)
		return wrap(type, EVP_PKEY_new_raw_private_key(types[type].nid, NULL, d, len));
	return NULL;
}

void crypto_free(struct crypto_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

enum crypto_type crypto_key_type(const struct crypto_key *key)
{
	return key->type;
}

size_t crypto_save(const struct crypto_key *key, uint8_t out[CRYPTO_PRIVATE_MAX])
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
	int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : -1;
	uint8_t *p = out;

	if (len < 0 || len > CRYPTO_PRIVATE_MAX || i2d_PKCS8_PRIV_KEY_INFO(info, &p) < 0)
		len = 0;
	PKCS8_PRIV_KEY_INFO_free(info);
	return (size_t)len;
}

static enum crypto_type type_of(const EVP_PKEY *pkey)
{
	char curve[32] = "";

	EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL);
	for (int type = CRYPTO_NONE + 1; type < CRYPTO_TYPES; type++) {
		if (!EVP_PKEY_is_a(pkey, types[type].algorithm))
			continue;
		if (types[type].family == FAMILY_RSA
				? (size_t)EVP_PKEY_get_size(pkey) == types[type].size
				: types[type].family == FAMILY_RAW ||
					  OBJ_sn2nid(curve) == types[type].nid)
			return (enum crypto_type)type;
	}
	return CRYPTO_NONE;
}

struct crypto_key *crypto_load(const uint8_t *der, size_t len)
{
	const uint8_t *p = der;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len);
	EVP_PKEY *pkey = info ? EVP_PKCS82PKEY(info) : NULL;
	enum crypto_type type = pkey ? type_of(pkey) : CRYPTO_NONE;

	PKCS8_PRIV_KEY_INFO_free(info);
	if (type != CRYPTO_NONE)
		return wrap(type, pkey);
	EVP_PKEY_free(pkey);
	return NULL;
}

/* --- Public keys ------------------------------------------------------------------------------ */

size_t crypto_public_rsa(
	const struct crypto_key *key, uint8_t modulus[CRYPTO_RSA_MAX], uint8_t exponent[8])
{
	BIGNUM *n = NULL, *e = NULL;
	size_t len = 0;

	if (EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n) &&
		EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_E, &e) &&
		BN_num_bytes(e) <= 8 && BN_bn2binpad(n, modulus, (int)crypto_size(key->type)) > 0)
		len = (size_t)BN_bn2bin(e, exponent);
	BN_free(n);
	BN_free(e);
	return len;
}

size_t crypto_public_point(const struct crypto_key *key, uint8_t out[CRYPTO_POINT_MAX])
{
	size_t len = CRYPTO_POINT_MAX;

	if (types[key->type].family == FAMILY_RAW)
		return EVP_PKEY_get_raw_public_key(key->pkey, out, &len) > 0 ? len : 0;
	return EVP_PKEY_get_octet_string_param(
		       key->pkey, OSSL_PKEY_PARAM_PUB_KEY, out, CRYPTO_POINT_MAX, &len) > 0
		       ? len
		       : 0;
}

/* --- Private operations ----------------------------------------------------------------------- */

bool crypto_rsa_private(const struct crypto_key *key, const uint8_t *in, size_t len, uint8_t *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	size_t size = crypto_size(key->type), out_len = size;
	bool ok = ctx && crypto_is_rsa(key->type) && len == size &&
		  EVP_PKEY_decrypt_init(ctx) > 0 &&
		  EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0 &&
		  EVP_PKEY_decrypt(ctx, out, &out_len, in, len) > 0 && out_len == size;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

size_t crypto_rsa_sign(const struct crypto_key *key, const uint8_t *digest_info, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	uint8_t block[CRYPTO_RSA_MAX];
	size_t size = crypto_size(key->type);

	if (!crypto_is_rsa(key->type) || len > size - 11)
		return 0;
	memset(block, 0xFF, size);
	block[0] = 0x00;
	block[1] = 0x01;
	block[size - len - 1] = 0x00;
	if (len)
		memcpy(block + size - len, digest_info, len);
	return crypto_rsa_private(key, block, size, out) ? size : 0;
}

bool crypto_rsa_decrypt(
	const struct crypto_key *key, const uint8_t *in, size_t len, uint8_t *out, size_t *out_len)
{
	uint8_t block[CRYPTO_RSA_MAX];
	size_t size = crypto_size(key->type), at = 2;

	if (!crypto_rsa_private(key, in, len, block) || block[0] != 0x00 || block[1] != 0x02)
		return false;
	while (at < size && block[at])
		at++;
	if (at < 2 + 8 || at == size)
		return false;
	*out_len = size - at - 1;
	memcpy(out, block + at + 1, *out_len);
	return true;
}

size_t crypto_ecdsa_der(const struct crypto_key *key, const uint8_t *digest, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	size_t out_len = CRYPTO_SIGNATURE_MAX;

	if (!ctx || !crypto_is_ec(key->type) || EVP_PKEY_sign_init(ctx) <= 0 ||
		EVP_PKEY_sign(ctx, out, &out_len, digest, len) <= 0)
		out_len = 0;
	EVP_PKEY_CTX_free(ctx);
	return out_len;
}

size_t crypto_ecdsa_raw(const struct crypto_key *key, const uint8_t *digest, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	uint8_t der[CRYPTO_SIGNATURE_MAX];
	const uint8_t *p = der;
	size_t der_len = crypto_ecdsa_der(key, digest, len, der);
	ECDSA_SIG *sig = der_len ? d2i_ECDSA_SIG(NULL, &p, (long)der_len) : NULL;
	int size = (int)crypto_size(key->type);
	bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, size) == size &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + size, size) == size;

	ECDSA_SIG_free(sig);
	return ok ? 2 * (size_t)size : 0;
}

size_t crypto_eddsa(const struct crypto_key *key, const uint8_t *message, size_t len,
	uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t out_len = CRYPTO_SIGNATURE_MAX;

	if (!ctx || key->type != CRYPTO_ED25519 ||
		EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) <= 0 ||
		EVP_DigestSign(ctx, out, &out_len, message, len) <= 0)
		out_len = 0;
	EVP_MD_CTX_free(ctx);
	return out_len;
}

/* The caller frees it. */
static EVP_PKEY *peer_of(const struct crypto_key *key, const uint8_t *point, size_t len)
{
	EVP_PKEY *peer;

	if (types[key->type].family == FAMILY_RAW)
		return EVP_PKEY_new_raw_public_key(types[key->type].nid, NULL, point, len);
	peer = EVP_PKEY_new();
	if (peer && EVP_PKEY_copy_parameters(peer, key->pkey) > 0 &&
		EVP_PKEY_set1_encoded_public_key(peer, point, len) > 0)
		return peer;
	EVP_PKEY_free(peer);
	return NULL;
}

size_t crypto_ecdh(const struct crypto_key *key, const uint8_t *point, size_t len,
	uint8_t out[CRYPTO_POINT_MAX])
{
	EVP_PKEY *peer = peer_of(key, point, len);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	size_t out_len = CRYPTO_POINT_MAX;

	if (!peer || !ctx || EVP_PKEY_derive_init(ctx) <= 0 ||
		EVP_PKEY_derive_set_peer(ctx, peer) <= 0 ||
		EVP_PKEY_derive(ctx, out, &out_len) <= 0)
		out_len = 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	return out_len;
}

/* --- Ciphers, hashes -------------------------------------------------------------------------- */

static const struct {
	size_t key;
	size_t block;
	const EVP_CIPHER *(*evp)(void);
} ciphers[] = {
	[CRYPTO_3DES] = { 24, 8, EVP_des_ede3_ecb },
	[CRYPTO_AES128] = { 16, 16, EVP_aes_128_ecb },
	[CRYPTO_AES192] = { 24, 16, EVP_aes_192_ecb },
	[CRYPTO_AES256] = { 32, 16, EVP_aes_256_ecb },
};

size_t crypto_cipher_key(enum crypto_cipher cipher)
{
	return ciphers[cipher].key;
}

size_t crypto_cipher_block(enum crypto_cipher cipher)
{
	return ciphers[cipher].block;
}

bool crypto_block(enum crypto_cipher cipher, bool encrypt, const uint8_t *key, const uint8_t *in,
	uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;
	bool ok = ctx &&
		  EVP_CipherInit_ex(ctx, ciphers[cipher].evp(), NULL, key, NULL, encrypt) > 0 &&
		  EVP_CIPHER_CTX_set_padding(ctx, 0) > 0 &&
		  EVP_CipherUpdate(ctx, out, &len, in, (int)ciphers[cipher].block) > 0;

	EVP_CIPHER_CTX_free(ctx);
	return ok && (size_t)len == ciphers[cipher].block;
}

bool crypto_sha1(const uint8_t *data, size_t len, uint8_t out[CRYPTO_SHA1])
{
	return EVP_Digest(data, len, out, NULL, EVP_sha1(), NULL) > 0;
}

bool crypto_sha256(const uint8_t *data, size_t len, uint8_t out[CRYPTO_SHA256])
{
	return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) > 0;
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
