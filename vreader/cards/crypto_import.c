/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys from the numbers they consist of, as hosts bring them. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "vreader/cards/crypto_parts.h"

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
	size_t size = crypto_size(type);
	/* What is longer makes no such key, and would be worked on for long. */
	bool fits = crypto_is_rsa(type) && e_len <= CRYPTO_EXPONENT_MAX && p_len <= size &&
		    q_len <= size;
	BN_CTX *ctx = fits ? BN_CTX_new() : NULL;
	struct rsa_numbers k = { 0 };
	EVP_PKEY *pkey = NULL;

	if (!ctx)
		return NULL;
	BN_CTX_start(ctx);
	k.e = number(ctx, e, e_len);
	k.p = number(ctx, p, p_len);
	k.q = number(ctx, q, q_len);
	if (k.e && k.p && k.q && BN_is_odd(k.p) && BN_is_odd(k.q) && BN_cmp(k.p, k.q) != 0 &&
		rsa_complete(&k, ctx) && BN_num_bits(k.n) == 8 * (int)size)
		pkey = rsa_from_numbers(&k);
	BN_CTX_end(ctx);
	BN_CTX_free(ctx);
	return crypto_wrap(type, pkey);
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
	EC_GROUP *group = EC_GROUP_new_by_curve_name(crypto_kinds[type].nid);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *d = BN_bin2bn(bytes, (int)len, NULL);
	uint8_t point[CRYPTO_POINT_MAX];
	EVP_PKEY *pkey = NULL;
	size_t point_len = 0;

	if (group && d && !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0)
		point_len = public_of(group, d, point);
	if (bld && point_len &&
		OSSL_PARAM_BLD_push_utf8_string(
			bld, OSSL_PKEY_PARAM_GROUP_NAME, crypto_kinds[type].curve, 0) &&
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
	if (crypto_kinds[type].family == CRYPTO_FAMILY_EC && len <= crypto_kinds[type].size)
		return crypto_wrap(type, ec_from_scalar(type, d, len));
	if (crypto_kinds[type].family == CRYPTO_FAMILY_RAW && len == crypto_kinds[type].size)
		return crypto_wrap(
			type, EVP_PKEY_new_raw_private_key(crypto_kinds[type].nid, NULL, d, len));
	return NULL;
}
