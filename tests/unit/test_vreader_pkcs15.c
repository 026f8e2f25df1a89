/* SPDX-License-Identifier: BSD-3-Clause */
/* The PKCS #15 file system: files, access, PINs, the key. */
#include <openssl/x509.h>

#include "applet_peer.h"
#include "suite.h"
#include "vreader/cards/pkcs15/pkcs15.h"

static const applet_maker makers[] = { pkcs15_new, pkcs15_isoapplet_new };
static struct applet_peer p;

static void setup(void)
{
	peer_open(&p, NULL, makers, 2);
	peer_expect(&p, 0x9000, "00A404000C A000000063504B43532D3135");
}

static void teardown(void)
{
	peer_close(&p);
}

START_TEST(test_files)
{
	static const char *const paths[] = { "3F002F00", "3F0050155031", "3F0050155032",
		"3F0050154401", "3F0050154402", "3F0050154404", "3F0050154407", "3F0050154501",
		"3F0050154601" };
	char cmd[64];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		/* With the MF at its beginning and without. */
		snprintf(cmd, sizeof(cmd), "00A40800%02zX%s00", strlen(paths[i]) / 2, paths[i]);
		peer_expect(&p, 0x9000, cmd);
		ck_assert_mem_eq(p.rsp->data, "\x6F", 1);
		snprintf(cmd, sizeof(cmd), "00A4080C%02zX%s", strlen(paths[i]) / 2 - 2,
			paths[i] + 4);
		peer_expect(&p, 0x9000, cmd);
		ck_assert_uint_eq(p.rsp->len, 2);
		peer_expect(&p, 0x9000, "00B0000000");
	}
	peer_expect(&p, 0x9000, "00A4000C023F00");
	peer_expect(&p, 0x6986, "00B0000000");
	peer_expect(&p, 0x6A82, "00A4000C025031");
	peer_expect(&p, 0x9000, "00A4000C025015");
	peer_expect(&p, 0x9000, "00A4000C025031");
	peer_expect(&p, 0x9000, "00A4090C024401");
	peer_expect(&p, 0x6A82, "00A4080C0450155099");
	peer_expect(&p, 0x6A82, "00A4080C065015 5031 5032");
	peer_expect(&p, 0x6A80, "00A4080C03501550");
	peer_expect(&p, 0x6A86, "00A4020C025031");
	peer_expect(&p, 0x9000, "00A4080C0450154601");
	peer_expect_data(&p, "416E79", "00B0000003");
	peer_expect_data(&p, "626F64", "00B0000303");
	peer_expect(&p, 0x6282, "00B0001010");
	peer_expect(&p, 0x6B00, "00B0001610");
	peer_expect(&p, 0x6D00, "00D600000100");
}
END_TEST

START_TEST(test_pins)
{
	peer_expect(&p, 0x9000, "00A4080C0450154602");
	peer_expect(&p, 0x6982, "00B0000000");
	peer_expect(&p, 0x63C3, "00200001");
	peer_expect(&p, 0x63C2, "0020000105 3132333435");
	peer_expect(&p, 0x9000, "0020000106 313233343536");
	peer_expect(&p, 0x9000, "00200081");
	peer_expect(&p, 0x9000, "00B0000000");
	/* The other name's rights are its own. */
	peer_expect_data(&p, "000606", "00A404000C F276A288BCFBA69D34F31001");
	peer_expect(&p, 0x9000, "00A4080C0450154602");
	peer_expect(&p, 0x6982, "00B0000000");
	/* Changing: 4 to 12 digits. */
	peer_expect(&p, 0x6A80, "0024000109 313233343536 414243");
	peer_expect(&p, 0x6700, "0024000106 313233343536");
	peer_expect(&p, 0x63C2, "002400010A 313233343537 39393939");
	peer_expect(&p, 0x9000, "002400010A 313233343536 39393939");
	peer_expect(&p, 0x9000, "0020000104 39393939");
	for (unsigned i = 2; i > 0; i--)
		peer_expect(&p, 0x63C0 + i, "0020000104 31313131");
	peer_expect(&p, 0x6983, "0020000104 31313131");
	peer_expect(&p, 0x6983, "0020000104 39393939");
	peer_expect(&p, 0x63C2, "002C00010C 3132333435363737 35353535");
	peer_expect(&p, 0x6A88, "002C00020C 3132333435363738 35353535");
	peer_expect(&p, 0x9000, "002C00010C 3132333435363738 35353535");
	peer_expect(&p, 0x9000, "0020000104 35353535");
	peer_expect(&p, 0x6A88, "0020000304 35353535");
}
END_TEST

static X509 *certificate(void)
{
	const uint8_t *at;
	X509 *cert;

	peer_expect(&p, 0x9000, "00A4080C0450154501");
	peer_expect(&p, 0x9000, "00B000000000 00");
	at = p.rsp->data;
	cert = d2i_X509(NULL, &at, (long)p.rsp->len - 2);
	ck_assert_ptr_nonnull(cert);
	ck_assert_ptr_eq(at, p.rsp->data + p.rsp->len - 2);
	return cert;
}

/* The answer is a signature of these bytes, which are a hash. */
static void expect_signature(EVP_PKEY *key, const void *hash, size_t len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

	ck_assert_int_eq(EVP_PKEY_verify_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_verify(ctx, p.rsp->data, p.rsp->len - 2, hash, len), 1);
	EVP_PKEY_CTX_free(ctx);
}

START_TEST(test_key)
{
	static const char sign[] = "002A9E9A04 DEADBEEF 00";
	X509 *cert = certificate();
	EVP_PKEY *key = X509_get_pubkey(cert);

	ck_assert_int_eq(X509_verify(cert, key), 1);
	peer_expect(&p, 0x6985, sign);
	peer_expect(&p, 0x6A88, "002241B603 840102");
	peer_expect(&p, 0x6A86, "002241B803 840101");
	peer_expect(&p, 0x6A80, "002241B606 800111 840101");
	peer_expect(&p, 0x6985, sign);
	peer_expect(&p, 0x9000, "002241B603 840101");
	peer_expect(&p, 0x6982, sign);
	peer_expect(&p, 0x9000, "0020000106 313233343536");
	peer_expect(&p, 0x6A80, "002A9E9A00");
	peer_expect(&p, 0x6A86, "002A808604 DEADBEEF 00");
	peer_expect(&p, 0x9000, sign);
	expect_signature(key, "\xDE\xAD\xBE\xEF", 4);
	/* Told so, the card hashes (SHA-1). */
	peer_expect(&p, 0x9000, "002241B606 800121 840101");
	peer_expect(&p, 0x9000, "002A9E9A03 616263 00");
	expect_signature(key,
		"\xA9\x99\x3E\x36\x47\x06\x81\x6A\xBA\x3E\x25\x71\x78\x50\xC2\x6C\x9C\xD0\xD8"
		"\x9D",
		20);
	EVP_PKEY_free(key);
	X509_free(cert);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_pkcs15");
	TCase *t = tcase_create("pkcs15");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_files);
	tcase_add_test(t, test_pins);
	tcase_add_test(t, test_key);
	suite_add_tcase(s, t);
	return suite_run(s);
}
