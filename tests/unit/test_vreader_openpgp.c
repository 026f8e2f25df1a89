/* SPDX-License-Identifier: BSD-3-Clause */
/* The OpenPGP application, command by command. Signatures are checked with libcrypto. */
#include <openssl/evp.h>
#include <unistd.h>

#include "applet_peer.h"
#include "suite.h"
#include "vreader/cards/ber.h"
#include "vreader/cards/crypto.h"
#include "vreader/cards/openpgp/openpgp.h"

static const applet_maker makers[] = { openpgp_new };
static struct applet_peer p;

#define SELECT    "00A4040006D27600012401"
#define PW1_SIGN  "0020008106313233343536"
#define PW1_OTHER "0020008206313233343536"
#define PW3       "00200083083132333435363738"
#define WRONG_PW1 "0020008106303030303030"
#define WRONG_PW3 "00200083083030303030303030"
#define STATUS    "00CA00C400"

static void setup(void)
{
	peer_open(&p, NULL, makers, 1);
}

static void teardown(void)
{
	peer_close(&p);
}

START_TEST(selects)
{
	peer_expect(&p, 0x9000, SELECT "00");
	ck_assert_uint_eq(p.rsp->len, 20 + 2);
	ck_assert_mem_eq(
		p.rsp->data, "\x6F\x12\x84\x10\xD2\x76\x00\x01\x24\x01\x03\x04\xFF\x00", 14);
	peer_expect(&p, 0x6A82, "00A4040006D2760001240200");
	peer_expect(&p, 0x6E00, "80CA004F00");
	peer_expect(&p, 0x6D00, "00B0000000");
}
END_TEST

START_TEST(counts_tries)
{
	peer_expect_data(&p, "007F7F7F030003", STATUS);
	peer_expect(&p, 0x63C3, "00200081");
	peer_expect(&p, 0x6982, WRONG_PW1);
	peer_expect_data(&p, "007F7F7F020003", STATUS);
	peer_expect(&p, 0x9000, PW1_SIGN);
	peer_expect_data(&p, "007F7F7F030003", STATUS);
	peer_expect(&p, 0x9000, "00200081");
	peer_expect(&p, 0x63C3, "00200082");
	peer_expect(&p, 0x9000, "0020FF81");
	peer_expect(&p, 0x63C3, "00200081");
	for (int i = 0; i < 3; i++)
		peer_expect(&p, 0x6982, WRONG_PW1);
	peer_expect(&p, 0x6983, PW1_SIGN);
	peer_expect(&p, 0x6A86, "0020008406313233343536");
	/* PW3 unblocks. */
	peer_expect(&p, 0x6982, "002C028106363534333231");
	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "002C028106363534333231");
	peer_expect(&p, 0x9000, "0020008106363534333231");
}
END_TEST

START_TEST(changes_passwords)
{
	peer_expect(&p, 0x9000, "002400810C313233343536363534333231");
	peer_expect(&p, 0x6982, PW1_SIGN);
	peer_expect(&p, 0x9000, "0020008106363534333231");
	/* Too short a new one. */
	peer_expect(&p, 0x6A80, "002400810B3635343332313131313131");
	/* Too short to hold the old one. */
	peer_expect(&p, 0x6982, "0024008303313233");
	peer_expect_data(&p, "007F7F7F030002", STATUS);
	/* A resetting code. */
	peer_expect(&p, 0x6983, "002C00810E3131323233333434313233343536");
	peer_expect(&p, 0x6982, "00DA00D3083131323233333434");
	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "00DA00D3083131323233333434");
	peer_expect_data(&p, "007F7F7F030303", STATUS);
	peer_expect(&p, 0x6982, "002C00810E3031323233333434313233343536");
	peer_expect_data(&p, "007F7F7F030203", STATUS);
	peer_expect(&p, 0x9000, "002C00810E3131323233333434313233343536");
	peer_expect(&p, 0x9000, PW1_SIGN);
	peer_expect(&p, 0x9000, "00DA00D3");
	peer_expect_data(&p, "007F7F7F030003", STATUS);
}
END_TEST

START_TEST(guards_data)
{
	peer_expect(&p, 0x6982, "00DA005B0441426364");
	peer_expect(&p, 0x6982, "00DA01010131");
	peer_expect(&p, 0x9000, PW1_OTHER);
	peer_expect(&p, 0x9000, "00DA01010131");
	peer_expect_data(&p, "31", "00CA010100");
	peer_expect(&p, 0x9000, "00DA01030133");
	peer_expect(&p, 0x6982, "00CA010400");
	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "00DA005B0441426364");
	peer_expect(&p, 0x9000, "00DA01040134");
	peer_expect_data(&p, "5B04414263645F2D005F3500", "00CA006500");
	peer_expect(&p, 0x6700, "00DA5F35023132");
	peer_expect(&p, 0x6A88, "00DA004F0131");
	peer_expect(&p, 0x6A88, "00CA123400");
	peer_expect(&p, 0x6A88, "00CA00C700");
	/* A reset takes the rights, and nothing else. */
	peer_reset(&p);
	peer_expect(&p, 0x6982, "00CA010300");
	peer_expect_data(&p, "31", "00CA010100");
}
END_TEST

START_TEST(keeps_certificates)
{
	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "00A5020406 60045C027F21");
	peer_expect(&p, 0x9000, "00DA7F2103333333");
	peer_expect(&p, 0x9000, "00A5000406 60045C027F21");
	peer_expect(&p, 0x9000, "00DA7F2103313131");
	peer_expect_data(&p, "313131", "00CA7F2100");
	peer_expect_data(&p, "", "00CC7F2100");
	peer_expect_data(&p, "333333", "00CC7F2100");
	peer_expect(&p, 0x6A88, "00CC7F2100");
	peer_expect(&p, 0x6A88, "00A5030406 60045C027F21");
}
END_TEST

/* The touch policy can be set, for good too, and asks nobody. */
START_TEST(flags_touch)
{
	peer_expect_data(&p, "0020", "00CA00D600");
	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "00DA00D6020120");
	peer_expect_data(&p, "0120", "00CA00D600");
	peer_expect(&p, 0x6A80, "00DA00D6020320");
	peer_expect(&p, 0x9000, "00DA00D6020220");
	peer_expect(&p, 0x6985, "00DA00D6020020");
	peer_expect_data(&p, "0220", "00CA00D600");
}
END_TEST

static void verify_ed25519(const uint8_t public_key[32], const uint8_t signature[64])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	ck_assert_int_eq(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key), 1);
	ck_assert_int_eq(EVP_DigestVerify(ctx, signature, 64, (const uint8_t *)"abcd", 4), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
}

START_TEST(signs)
{
	uint8_t public_key[32];

	peer_expect(&p, 0x6A88, "0047810002B60000");
	peer_expect(&p, 0x6982, "0047800002B60000");
	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "00DA00C10A162B06010401DA470F01");
	peer_expect(&p, 0x9000, "0047800002B60000");
	ck_assert_mem_eq(p.rsp->data, "\x7F\x49\x22\x86\x20", 5);
	memcpy(public_key, p.rsp->data + 5, 32);
	peer_expect_data(&p, "010102000300", "00CA00DE00");
	peer_expect(&p, 0x6982, "002A9E9A046162636400");
	peer_expect(&p, 0x9000, PW1_SIGN);
	peer_expect(&p, 0x9000, "002A9E9A046162636400");
	ck_assert_uint_eq(p.rsp->len, 64 + 2);
	verify_ed25519(public_key, p.rsp->data);
	peer_expect_data(&p, "9303000001", "00CA007A00");
	/* PW1 is good for one signature, or for several. */
	peer_expect(&p, 0x6982, "002A9E9A046162636400");
	peer_expect(&p, 0x9000, "00DA00C40101");
	peer_expect(&p, 0x9000, PW1_SIGN);
	peer_expect(&p, 0x9000, "002A9E9A046162636400");
	peer_expect(&p, 0x9000, "002A9E9A046162636400");
	peer_expect_data(&p, "9303000003", "00CA007A00");
	/* Another algorithm: the key is gone. The same one again: it stays. */
	peer_expect(&p, 0x9000, "00DA00C10A162B06010401DA470F01");
	peer_expect(&p, 0x9000, "002A9E9A046162636400");
	peer_expect(&p, 0x9000, "00DA00C109132A8648CE3D030107");
	peer_expect(&p, 0x6A88, "002A9E9A046162636400");
	peer_expect(&p, 0x6A80, "00DA00C109132A8648CE3D030108");
	peer_expect(&p, 0x6A80, "00DA00C2 0A162B06010401DA470F01");
}
END_TEST

/* The scalar 1 on P-256 makes the generator; what is agreed on with it is the peer's X. Imported
 * in two chained commands. */
START_TEST(imports_and_decrypts)
{
	static const char generator_x[] =
		"6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296";
	static const char generator_y[] =
		"4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5";
	char command[400];

	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "00DA00C209122A8648CE3D030107");
	peer_expect(&p, 0x9000, "10DB3FFF0B 4D2AB800 7F480292205F48");
	peer_expect(&p, 0x9000,
		"00DB3FFF21 20"
		"0000000000000000000000000000000000000000000000000000000000000001");
	snprintf(command, sizeof(command), "7F49438641 04%s%s", generator_x, generator_y);
	peer_expect_data(&p, command, "0047810002B80000");
	peer_expect_data(&p, "010002020300", "00CA00DE00");
	snprintf(command, sizeof(command), "002A8086 48 A646 7F49438641 04%s%s 00", generator_x,
		generator_y);
	peer_expect(&p, 0x6982, command);
	peer_expect(&p, 0x9000, PW1_OTHER);
	peer_expect_data(&p, generator_x, command);
	/* A point that is on no curve, and parts that promise more than there is. */
	peer_expect(&p, 0x6A80, "002A8086 0A A608 7F49058603040101 00");
	peer_expect(&p, 0x6A80, "00DB3FFF0D 4D0BB800 7F4802922F5F480101");
	/* The authentication key may decrypt when told to: there is none yet. */
	peer_expect(&p, 0x9000, "002241B803830103");
	peer_expect(&p, 0x6A88, command);
	peer_expect(&p, 0x9000, "002241B803830102");
	peer_expect_data(&p, generator_x, command);
}
END_TEST

/* Numbers that are odd and have no common divisor are enough of an RSA key here. */
START_TEST(refuses_numbers_too_long)
{
	static const uint8_t e[] = { 1, 0, 1 };
	static const uint8_t long_e[9] = { 1, 0, 0, 0, 0, 0, 0, 0, 13 };
	static uint8_t p_bytes[128], q_bytes[128], long_p[60000];
	struct crypto_key *key;

	memset(p_bytes, 0xFF, sizeof(p_bytes));
	memset(q_bytes, 0xFF, sizeof(q_bytes));
	q_bytes[127] = 0xFD;
	key = crypto_import_rsa(CRYPTO_RSA2048, e, sizeof(e), p_bytes, 128, q_bytes, 128);
	ck_assert_ptr_nonnull(key);
	crypto_free(key);
	key = crypto_import_rsa(CRYPTO_RSA2048, long_e, sizeof(long_e), p_bytes, 128, q_bytes, 128);
	ck_assert_ptr_null(key);
	memset(long_p, 0xFF, sizeof(long_p));
	key = crypto_import_rsa(
		CRYPTO_RSA2048, e, sizeof(e), long_p, sizeof(long_p), long_p, sizeof(long_p) - 1);
	ck_assert_ptr_null(key);
}
END_TEST

START_TEST(ends_and_begins)
{
	uint8_t aid[16];

	peer_expect(&p, 0x9000, "00CA004F00");
	memcpy(aid, p.rsp->data, sizeof(aid));
	peer_expect(&p, 0x6982, "00E60000");
	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "00DA005E0131");
	for (int i = 0; i < 3; i++)
		peer_expect(&p, 0x6982, WRONG_PW3);
	peer_expect(&p, 0x9000, "00440000");
	peer_expect_data(&p, "31", "00CA005E00");
	peer_expect(&p, 0x9000, "00E60000");
	peer_expect(&p, 0x6285, "00CA005E00");
	peer_expect(&p, 0x6285, SELECT "00");
	peer_reset(&p);
	peer_expect(&p, 0x6285, SELECT "00");
	peer_expect(&p, 0x9000, "00440000");
	peer_expect(&p, 0x9000, SELECT "00");
	peer_expect_data(&p, "", "00CA005E00");
	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "00CA004F00");
	ck_assert_mem_eq(p.rsp->data, aid, sizeof(aid));
}
END_TEST

START_TEST(remembers)
{
	char folder[] = "/tmp/cardwire-openpgp-XXXXXX", path[64];

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/card", folder);
	peer_close(&p);
	peer_open(&p, path, makers, 1);
	peer_expect(&p, 0x6982, WRONG_PW1);
	peer_expect(&p, 0x9000, PW3);
	peer_expect(&p, 0x9000, "00DA005E0131");
	peer_close(&p);
	peer_open(&p, path, makers, 1);
	peer_expect_data(&p, "007F7F7F020003", STATUS);
	peer_expect_data(&p, "31", "00CA005E00");
	unlink(path);
	rmdir(folder);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vreader_openpgp");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, selects);
	tcase_add_test(tc, counts_tries);
	tcase_add_test(tc, changes_passwords);
	tcase_add_test(tc, guards_data);
	tcase_add_test(tc, keeps_certificates);
	tcase_add_test(tc, flags_touch);
	tcase_add_test(tc, signs);
	tcase_add_test(tc, imports_and_decrypts);
	tcase_add_test(tc, refuses_numbers_too_long);
	tcase_add_test(tc, ends_and_begins);
	tcase_add_test(tc, remembers);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
