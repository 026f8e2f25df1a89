/* SPDX-License-Identifier: BSD-3-Clause */
/* The PIV application, command by command. What the keys compute is checked with libcrypto. */
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "applet_peer.h"
#include "suite.h"
#include "vreader/cards/ber.h"
#include "vreader/cards/crypto.h"
#include "vreader/cards/piv/piv.h"

static const applet_maker makers[] = { piv_new };
static struct applet_peer p;

static const char mgm[] = "010203040506070801020304050607080102030405060708";

static void setup(void)
{
	peer_open(&p, NULL, makers, 1);
}

static void teardown(void)
{
	peer_close(&p);
}

static void verify(void)
{
	peer_expect(&p, 0x9000, "0020008008 313233343536FFFF");
}

static size_t hex_key(const char *hex, uint8_t key[32])
{
	return unhex(hex, key, 32);
}

/* External authentication with a key of the cipher. Returns SW. */
static unsigned authenticate(uint8_t algorithm, enum crypto_cipher cipher, const char *key_hex)
{
	size_t block = crypto_cipher_block(cipher);
	uint8_t key[32], cmd[9 + 20] = { 0x00, 0x87, algorithm, 0x9B, 4, 0x7C, 2, 0x81, 0 };
	unsigned sw = peer_send(&p, cmd, 9);

	if (sw != 0x9000)
		return sw;
	ck_assert_uint_eq(p.rsp->len, 4 + block + 2);
	hex_key(key_hex, key);
	ck_assert(crypto_block(cipher, true, key, p.rsp->data + 4, cmd + 9));
	cmd[4] = (uint8_t)(4 + block);
	cmd[6] = (uint8_t)(2 + block);
	cmd[7] = 0x82;
	cmd[8] = (uint8_t)block;
	return peer_send(&p, cmd, 9 + block);
}

static void manage(void)
{
	ck_assert_uint_eq(authenticate(3, CRYPTO_3DES, mgm), 0x9000);
}

START_TEST(test_select)
{
	static const char *const names[] = { "00A4040005 A000000308 00",
		"00A4040009 A00000030800001000 00", "00A404000B A000000308000010000100 00" };

	for (int i = 0; i < 3; i++) {
		peer_expect(&p, 0x9000, names[i]);
		ck_assert_mem_eq(p.rsp->data, "\x61\x27\x4F\x06\x00\x00\x10\x00\x01\x00", 10);
	}
	peer_expect(&p, 0x6A82, "00A404000C A00000030800001000010000 00");
	peer_expect(&p, 0x6D00, "00B0000000");
	peer_expect(&p, 0x6E00, "80CB3FFF035C017E00");
	peer_expect_data(&p, "050402", "00FD000000");
	peer_expect_data(&p, "56495254", "00F8000000");
}
END_TEST

START_TEST(test_pin)
{
	peer_expect(&p, 0x63C3, "00200080");
	verify();
	peer_expect(&p, 0x9000, "00200080");
	peer_expect(&p, 0x9000, "0020FF80");
	peer_expect(&p, 0x63C3, "00200080");
	peer_expect(&p, 0x63C2, "0020008008 313233343536FF30");
	peer_expect(&p, 0x6A80, "0020008006 313233343536");
	peer_expect(&p, 0x6A88, "0020000008 313233343536FFFF");
	peer_expect(&p, 0x63C2, "00200080");
	verify();
	/* A wrong one takes the right away. */
	peer_expect(&p, 0x63C2, "0020008008 3132333435363738");
	peer_expect(&p, 0x63C2, "00200080");
	peer_expect(&p, 0x63C1, "0020008008 3132333435363738");
	peer_expect(&p, 0x6983, "0020008008 3132333435363738");
	peer_expect(&p, 0x6983, "0020008008 313233343536FFFF");
	/* The PUK is right at the second time. */
	peer_expect(&p, 0x63C2, "002C008010 3131313131313131 363534333231FFFF");
	peer_expect(&p, 0x6A80, "002C008010 3132333435363738 36353433FFFFFFFF");
	peer_expect(&p, 0x9000, "002C008010 3132333435363738 363534333231FFFF");
	peer_expect(&p, 0x9000, "0020008008 363534333231FFFF");
}
END_TEST

START_TEST(test_change_and_retries)
{
	peer_expect(&p, 0x6A80, "0024008010 313233343536FFFF 3132FF3435363738");
	peer_expect(&p, 0x6A80, "0024008010 313233343536FFFF 313233343536FF38");
	peer_expect(&p, 0x63C2, "0024008010 3132333435363738 3233343536373839");
	peer_expect(&p, 0x9000, "0024008010 313233343536FFFF 3233343536373839");
	peer_expect(&p, 0x9000, "0020008008 3233343536373839");
	peer_expect(&p, 0x9000, "0024008110 3132333435363738 3132333435363739");
	peer_expect(&p, 0x63C2, "0024008110 3132333435363738 3132333435363739");
	/* Other numbers of tries bring the first values back. */
	peer_expect(&p, 0x6982, "00FA0502");
	manage();
	peer_expect(&p, 0x6A86, "00FA1002");
	peer_expect(&p, 0x9000, "00FA0502");
	peer_expect(&p, 0x63C5, "00200080");
	verify();
	peer_expect_data(&p, "0101FF 050101 06020505", "00F7008000");
	peer_expect_data(&p, "0101FF 050101 06020202", "00F7008100");
	peer_expect(&p, 0x63C1, "0024008110 3132333435363730 3132333435363739");
	peer_expect_data(&p, "0101FF 050101 06020201", "00F7008100");
}
END_TEST

START_TEST(test_reset_to_factory)
{
	char chuid[200] = "";

	peer_expect(&p, 0x9000, "00CB3FFF055C035FC10200");
	memcpy(chuid, p.rsp->data, 60);
	peer_expect(&p, 0x6985, "00FB0000");
	for (int i = 0; i < 3; i++)
		peer_send(&p, (const uint8_t[]){ 0, 0x20, 0, 0x80, 8, 1, 1, 1, 1, 1, 1, 1, 1 }, 13);
	peer_expect(&p, 0x6985, "00FB0000");
	for (int i = 0; i < 3; i++)
		peer_expect(&p, i < 2 ? 0x63C2u - (unsigned)i : 0x6983u,
			"0024008110 0000000000000000 3132333435363739");
	peer_expect(&p, 0x9000, "00FB0000");
	verify();
	peer_expect(&p, 0x9000, "00CB3FFF055C035FC10200");
	ck_assert_int_ne(memcmp(chuid, p.rsp->data, 60), 0);
}
END_TEST

START_TEST(test_management_key)
{
	static const struct {
		uint8_t algorithm;
		enum crypto_cipher cipher;
		const char *set;
		const char *key;
	} keys[] = {
		{ 0x08, CRYPTO_AES128, "00FFFFFF13 089B10 00112233445566778899AABBCCDDEEFF",
			"00112233445566778899AABBCCDDEEFF" },
		{ 0x0A, CRYPTO_AES192,
			"00FFFFFF1B 0A9B18 00112233445566778899AABBCCDDEEFF0011223344556677",
			"00112233445566778899AABBCCDDEEFF0011223344556677" },
		{ 0x0C, CRYPTO_AES256,
			"00FFFFFE23 0C9B20 00112233445566778899AABBCCDDEEFF"
			"00112233445566778899AABBCCDDEEFF",
			"00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF" },
		{ 0x03, CRYPTO_3DES,
			"00FFFFFF1B 039B18 0102030405060708010203040506070801020304050607F1",
			"0102030405060708010203040506070801020304050607F1" },
	};

	peer_expect(&p, 0x6982, keys[0].set);
	ck_assert_uint_eq(authenticate(8, CRYPTO_AES128, mgm), 0x6A86);
	manage();
	for (size_t i = 0; i < 4; i++) {
		peer_expect(&p, 0x9000, keys[i].set);
		peer_expect(&p, 0x9000, "00A4040005 A000000308");
		peer_reset(&p);
		ck_assert_uint_eq(
			authenticate(keys[i].algorithm, keys[i].cipher, keys[i].key), 0x9000);
	}
	peer_expect_data(&p, "010103 02020001 050100", "00F7009B00");
	/* Wrong lengths and kinds. */
	peer_expect(&p, 0x6A80, "00FFFFFF12 089B0F 00112233445566778899AABBCCDDEE");
	peer_expect(&p, 0x6A80, "00FFFFFF13 079B10 00112233445566778899AABBCCDDEEFF");
	peer_expect(&p, 0x6A80, "00FFFFFF13 089A10 00112233445566778899AABBCCDDEEFF");
	peer_expect(&p, 0x6A80, "00FFFFFF02 089B");
	/* A wrong key ends the right that was there. */
	ck_assert_uint_eq(authenticate(3, CRYPTO_3DES, mgm), 0x6982);
	peer_expect(&p, 0x6982, keys[0].set);
}
END_TEST

START_TEST(test_mutual_authentication)
{
	uint8_t key[32], cmd[5 + 24] = { 0, 0x87, 3, 0x9B, 22, 0x7C, 20, 0x80, 8 }, want[16];

	hex_key(mgm, key);
	peer_expect(&p, 0x9000, "0087039B04 7C028000 00");
	ck_assert_mem_eq(p.rsp->data, "\x7C\x0A\x80\x08", 4);
	ck_assert(crypto_block(CRYPTO_3DES, false, key, p.rsp->data + 4, cmd + 9));
	cmd[17] = 0x81;
	cmd[18] = 8;
	memcpy(cmd + 19, "challeng", 8);
	ck_assert_uint_eq(peer_send(&p, cmd, 27), 0x9000);
	ck_assert(crypto_block(CRYPTO_3DES, true, key, cmd + 19, want));
	ck_assert_mem_eq(p.rsp->data, "\x7C\x0A\x82\x08", 4);
	ck_assert_mem_eq(p.rsp->data + 4, want, 8);
	peer_expect(&p, 0x9000, "00DB3FFF09 5C035FC109 530131 00");
	/* A witness is good for one attempt, and belongs to its own way. */
	ck_assert_uint_eq(peer_send(&p, cmd, 27), 0x6A80);
	peer_expect(&p, 0x6982, "00DB3FFF09 5C035FC109 530131 00");
	peer_expect(&p, 0x9000, "0087039B04 7C028000 00");
	peer_expect(&p, 0x6A80, "0087039B0C 7C0A82080000000000000000");
	peer_expect(&p, 0x6A80, "0087039B00");
	peer_expect(&p, 0x6A80, "0087039B03 7C0182");
	peer_expect(&p, 0x6A80, "0087039B04 7C028200");
}
END_TEST

START_TEST(test_data)
{
	uint8_t cmd[4 + 3 + 10 + 2000];
	size_t n;

	peer_expect_data(&p, "7E124F0BA0000003080000100001005F2F024000", "00CB3FFF03 5C017E 00");
	peer_expect(&p, 0x6A82, "00CB3FFF05 5C035FC105 00");
	peer_expect(&p, 0x6A82, "00CB3FFF05 5C035FC1FF 00");
	peer_expect(&p, 0x6A80, "00CB3FFF04 5C00AABB 00");
	peer_expect(&p, 0x6A80, "00CB3FFF03 5C0401 00");
	peer_expect(&p, 0x6A86, "00CB3F0005 5C035FC105 00");
	peer_expect(&p, 0x6982, "00DB3FFF0A 5C035FC105 5303112233");
	manage();
	peer_expect(&p, 0x9000, "00DB3FFF0A 5C035FC105 5303112233");
	peer_expect_data(&p, "5303112233", "00CB3FFF05 5C035FC105 00");
	/* Larger than a short command: extended one way, in pieces the other. */
	n = unhex("00DB3FFF 0007D9 5C035FC105 538207D0", cmd, sizeof(cmd));
	memset(cmd + n, 0xA5, 2000);
	ck_assert_uint_eq(peer_send(&p, cmd, n + 2000), 0x9000);
	peer_expect(&p, 0x6100, "00CB3FFF05 5C035FC105 00");
	ck_assert_uint_eq(p.rsp->len, 258);
	peer_expect(&p, 0x6100, "00C0000000");
	peer_expect(&p, 0x9000, "00CB3FFF000005 5C035FC105 0000");
	ck_assert_uint_eq(p.rsp->len, 2006);
	/* By chaining, deleted by nothing. */
	peer_expect(&p, 0x9000, "10DB3FFF05 5C035FC105");
	peer_expect(&p, 0x9000, "00DB3FFF03 530177");
	peer_expect_data(&p, "530177", "00CB3FFF05 5C035FC105 00");
	peer_expect(&p, 0x9000, "00DB3FFF07 5C035FC105 5300");
	peer_expect(&p, 0x6A82, "00CB3FFF05 5C035FC105 00");
	/* What the card knows not, and what is read with the PIN only. */
	peer_expect(&p, 0x6A82, "00DB3FFF08 5C035FD105 530177");
	peer_expect(&p, 0x9000, "00DB3FFF08 5C035FC109 530177");
	peer_expect(&p, 0x6982, "00CB3FFF05 5C035FC109 00");
	verify();
	peer_expect_data(&p, "530177", "00CB3FFF05 5C035FC109 00");
}
END_TEST

/* The public key in the answer to GENERATE, or in what follows 04 in the metadata. */
static EVP_PKEY *public_point(const uint8_t *bytes, size_t len, const char *curve)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string("group", (char *)curve, 0),
		OSSL_PARAM_construct_octet_string("pub", (void *)bytes, len),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *key = NULL;

	ck_assert_int_eq(EVP_PKEY_fromdata_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static void check_ecdsa(const struct ber_item *point, const uint8_t *hash, size_t len)
{
	struct ber_item outer, signature;
	EVP_PKEY *key = public_point(point->value, point->len, "P-256");
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

	ck_assert(ber_find(p.rsp->data, p.rsp->len - 2, 0x7C, &outer));
	ck_assert(ber_find(outer.value, outer.len, 0x82, &signature));
	ck_assert_int_eq(EVP_PKEY_verify_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_verify(ctx, signature.value, signature.len, hash, len), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
}

static const char sign_9c[] = "0087119C26 7C24 8200 8120 000102030405060708090A0B0C0D0E0F"
			      "101112131415161718191A1B1C1D1E1F 00";

START_TEST(test_ec_signature)
{
	uint8_t public[65], hash[32];
	struct ber_item outer, point;

	for (uint8_t i = 0; i < 32; i++)
		hash[i] = i;
	peer_expect(&p, 0x6982, "0047009C05 AC03800111 00");
	peer_expect(&p, 0x6A88, sign_9c);
	manage();
	peer_expect(&p, 0x6A80, "0047009C05 AC03800199 00");
	peer_expect(&p, 0x6A80, "0047009C08 AC06800111AA0107 00");
	peer_expect(&p, 0x6A86, "0047009905 AC03800111 00");
	peer_expect(&p, 0x9000, "0047009C05 AC03800111 00");
	ck_assert(ber_find(p.rsp->data, p.rsp->len - 2, 0x7F49, &outer));
	ck_assert(ber_find(outer.value, outer.len, 0x86, &point));
	ck_assert_uint_eq(point.len, 65);
	memcpy(public, point.value, 65);
	point.value = public;
	/* The signature key wants the PIN each time. */
	peer_expect(&p, 0x6982, sign_9c);
	verify();
	peer_expect(&p, 0x9000, sign_9c);
	check_ecdsa(&point, hash, 32);
	peer_expect(&p, 0x6982, sign_9c);
	verify();
	peer_expect(&p, 0x6A86,
		"0087149C26 7C24 8200 8120 000102030405060708090A0B0C0D0E0F"
		"101112131415161718191A1B1C1D1E1F 00");
	peer_expect(&p, 0x9000, sign_9c);
	/* Longer than the field, or nothing. */
	verify();
	peer_expect(&p, 0x6A80,
		"0087119C27 7C25 8200 8121 000102030405060708090A0B0C0D0E0F"
		"101112131415161718191A1B1C1D1E1F20 00");
	peer_expect(&p, 0x9000, "00F7009C00");
	ck_assert_mem_eq(p.rsp->data, "\x01\x01\x11\x02\x02\x00\x00\x03\x01\x01\x04\x43", 12);
}
END_TEST

START_TEST(test_pin_policies)
{
	static const char generate_9a[] = "0047009A08 AC06800111AA0101 00";
	static const char sign_9a[] = "0087119A0A 7C08 8200 810400000001 00";
	static const char sign_82[] = "008711820A 7C08 8200 810400000001 00";
	static const char sign_9e[] = "0087119E0A 7C08 8200 810400000001 00";

	manage();
	peer_expect(&p, 0x9000, generate_9a);
	peer_expect(&p, 0x9000, "0047008208 AC06800111AA0103 00");
	peer_expect(&p, 0x9000, "0047009E05 AC03800111 00");
	peer_expect(&p, 0x9000, sign_9a);
	peer_expect(&p, 0x9000, sign_9e);
	peer_expect(&p, 0x6982, sign_82);
	verify();
	peer_expect(&p, 0x9000, sign_82);
	peer_expect(&p, 0x6982, sign_82);
	peer_expect(&p, 0x9000, "0047009A05 AC03800111 00");
	peer_reset(&p);
	peer_expect(&p, 0x6982, sign_9a);
	verify();
	peer_expect(&p, 0x9000, sign_9a);
	peer_expect(&p, 0x9000, sign_9a);
	/* Selection again keeps it (SP 800-73-4 part 2 §3.1.1), a reset does not. */
	peer_expect(&p, 0x9000, "00A4040005 A000000308");
	peer_expect(&p, 0x9000, sign_9a);
	peer_reset(&p);
	peer_expect(&p, 0x6982, sign_9a);
}
END_TEST

START_TEST(test_ecdh)
{
	uint8_t cmd[5 + 80] = { 0, 0x87, 0x11, 0x9D, 71, 0x7C, 69, 0x82, 0, 0x85, 65 };
	struct crypto_key *mine = crypto_generate(CRYPTO_P256, NULL);
	uint8_t other[CRYPTO_POINT_MAX], point[CRYPTO_POINT_MAX], want[CRYPTO_POINT_MAX];

	manage();
	peer_expect(&p, 0x9000, "0047009D05 AC03800111 00");
	memcpy(other, p.rsp->data + 5, 65);
	verify();
	ck_assert_uint_eq(crypto_public_point(mine, point), 65);
	memcpy(cmd + 11, point, 65);
	ck_assert_uint_eq(peer_send(&p, cmd, 76), 0x9000);
	ck_assert_uint_eq(crypto_ecdh(mine, other, 65, want), 32);
	ck_assert_mem_eq(p.rsp->data, "\x7C\x22\x82\x20", 4);
	ck_assert_mem_eq(p.rsp->data + 4, want, 32);
	/* A point beside the curve. */
	cmd[20] ^= 1;
	ck_assert_uint_eq(peer_send(&p, cmd, 76), 0x6A80);
	crypto_free(mine);
}
END_TEST

static BIGNUM *number(const uint8_t *bytes, size_t len)
{
	return BN_bin2bn(bytes, (int)len, NULL);
}

START_TEST(test_rsa)
{
	uint8_t cmd[4 + 3 + 4 + 2 + 4 + 128 + 2];
	struct ber_item outer, n, e, result;
	BIGNUM *bn, *be, *bs, *out = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	uint8_t message[128] = { 0, 1, 2, 3 };
	size_t len;

	manage();
	peer_expect(&p, 0x9000, "0047009A05 AC03800106 00");
	ck_assert(ber_find(p.rsp->data, p.rsp->len - 2, 0x7F49, &outer));
	ck_assert(ber_find(outer.value, outer.len, 0x81, &n));
	ck_assert(ber_find(outer.value, outer.len, 0x82, &e));
	ck_assert_uint_eq(n.len, 128);
	bn = number(n.value, n.len);
	be = number(e.value, e.len);
	verify();
	len = unhex("0087069A 000088 7C8185 8200 818180", cmd, sizeof(cmd));
	memcpy(cmd + len, message, sizeof(message));
	len += sizeof(message);
	cmd[len++] = 0;
	cmd[len++] = 0;
	ck_assert_uint_eq(peer_send(&p, cmd, len), 0x9000);
	ck_assert(ber_find(p.rsp->data, p.rsp->len - 2, 0x7C, &outer));
	ck_assert(ber_find(outer.value, outer.len, 0x82, &result));
	bs = number(result.value, result.len);
	ck_assert_int_eq(BN_mod_exp(out, bs, be, bn, ctx), 1);
	ck_assert_int_eq(BN_bn2binpad(out, cmd, 128), 128);
	ck_assert_mem_eq(cmd, message, 128);
	/* Too short for the modulus. */
	peer_expect(&p, 0x6A80, "0087069A0A 7C08 8200 810400000001 00");
	BN_free(bn);
	BN_free(be);
	BN_free(bs);
	BN_free(out);
	BN_CTX_free(ctx);
}
END_TEST

/* RFC 6979 §A.2.5 and RFC 8032 §7.1 have the keys. */
START_TEST(test_import)
{
	static const char ec[] =
		"00FE119A22 0620 C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B"
		"120F6721";
	static const char ed[] =
		"00FEE0 9A22 0720 9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC"
		"031CAE7F60";

	peer_expect(&p, 0x6982, ec);
	manage();
	peer_expect(&p, 0x9000, ec);
	peer_expect_data(&p,
		"010111 02020000 030102 0443 8641 04"
		"60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
		"7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
		"00F7009A00");
	peer_expect(&p, 0x9000, ed);
	verify();
	peer_expect_data(&p,
		"7C42 8240 E5564300C360AC729086E2CC806E828A84877F1EB8E5D974D873E065224901555FB882"
		"1590A33BACC61E39701CF9B46BD25BF5F0595BBE24655141438E7A100B",
		"0087E09A06 7C04 8200 8100 00");
	/* Not on the curve's group, missing, not for that slot. */
	peer_expect(&p, 0x6A80,
		"00FE119A22 0620 FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF");
	peer_expect(&p, 0x6A80, "00FE119A02 0700");
	peer_expect(&p, 0x6A80, "00FE079A06 010103 020105");
	peer_expect(&p, 0x6A86,
		"00FE119B22 0620 C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B"
		"120F6721");
	peer_expect(&p, 0x6A86, "00FE089A02 0600");
	/* The one before is still there. */
	peer_expect_data(&p,
		"0101E0 02020000 030102 0422 8620 "
		"D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A",
		"00F7009A00");
}
END_TEST

START_TEST(test_all_slots_and_algorithms)
{
	static const uint8_t algorithms[] = { 0x06, 0x11, 0x14, 0xE0, 0xE1 };
	static const uint8_t slots[] = { 0x9A, 0x9C, 0x9D, 0x9E, 0x82, 0x8A, 0x95 };
	uint8_t cmd[] = { 0, 0x47, 0, 0, 5, 0xAC, 3, 0x80, 1, 0, 0 };

	manage();
	for (size_t i = 0; i < sizeof(slots); i++) {
		cmd[3] = slots[i];
		cmd[9] = algorithms[i % sizeof(algorithms)];
		ck_assert_uint_eq(peer_send(&p, cmd, sizeof(cmd)), 0x9000);
	}
	cmd[3] = 0x96;
	ck_assert_uint_eq(peer_send(&p, cmd, sizeof(cmd)), 0x6A86);
	cmd[3] = 0x81;
	ck_assert_uint_eq(peer_send(&p, cmd, sizeof(cmd)), 0x6A86);
	peer_expect(&p, 0x6A88, "00F7008300");
	peer_expect(&p, 0x9000, "00F7008200");
	peer_expect(&p, 0x6A86, "00F7009900");
}
END_TEST

START_TEST(test_everything_is_kept)
{
	char folder[] = "/tmp/cardwire-piv-XXXXXX", path[64];
	uint8_t chuid[61];

	teardown();
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state", folder);
	peer_open(&p, path, makers, 1);
	peer_expect(&p, 0x9000, "00CB3FFF055C035FC10200");
	memcpy(chuid, p.rsp->data, sizeof(chuid));
	peer_expect(&p, 0x63C2, "0020008008 313233343536FF30");
	manage();
	peer_expect(&p, 0x9000, "0047009E05 AC03800111 00");
	peer_expect(&p, 0x9000, "00DB3FFF08 5C035FC105 530177");
	peer_expect(&p, 0x9000, "00FFFFFF13 089B10 00112233445566778899AABBCCDDEEFF");
	/* Killed: nothing is said good-bye to. */
	peer_close(&p);
	peer_open(&p, path, makers, 1);
	peer_expect(&p, 0x63C2, "00200080");
	peer_expect(&p, 0x9000, "00CB3FFF055C035FC10200");
	ck_assert_mem_eq(chuid, p.rsp->data, sizeof(chuid));
	peer_expect(&p, 0x9000, "0087119E0A 7C08 8200 810400000001 00");
	peer_expect_data(&p, "530177", "00CB3FFF05 5C035FC105 00");
	ck_assert_uint_eq(
		authenticate(8, CRYPTO_AES128, "00112233445566778899AABBCCDDEEFF"), 0x9000);
	unlink(path);
	rmdir(folder);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_piv");
	TCase *t = tcase_create("piv");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_select);
	tcase_add_test(t, test_pin);
	tcase_add_test(t, test_change_and_retries);
	tcase_add_test(t, test_reset_to_factory);
	tcase_add_test(t, test_management_key);
	tcase_add_test(t, test_mutual_authentication);
	tcase_add_test(t, test_data);
	tcase_add_test(t, test_ec_signature);
	tcase_add_test(t, test_pin_policies);
	tcase_add_test(t, test_ecdh);
	tcase_add_test(t, test_rsa);
	tcase_add_test(t, test_import);
	tcase_add_test(t, test_all_slots_and_algorithms);
	tcase_add_test(t, test_everything_is_kept);
	suite_add_tcase(s, t);
	return suite_run(s);
}
