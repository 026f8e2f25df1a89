/* SPDX-License-Identifier: BSD-3-Clause */
/* What a virtual reader and its card can be told to be: JSON profiles, card options, USB ICCs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"
#include "spec/ccid.h"
#include "vreader/bytes.h"
#include "vreader/cards/card_options.h"
#include "vreader/firmware/ccid_device.h"
#include "vreader/firmware/profile_json.h"

#define MS ((int64_t)1000000)

static char json_path[] = "/tmp/test_vreader_profile.XXXXXX";
static char why[256];

static bool load(const char *text, const char *select, struct profile *p)
{
	FILE *f;
	int fd;
	bool ok;

	memcpy(json_path + sizeof(json_path) - 7, "XXXXXX", 6);
	fd = mkstemp(json_path);
	ck_assert_int_ge(fd, 0);
	f = fdopen(fd, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ok = profile_json_load(json_path, select, p, why, sizeof(why));
	unlink(json_path);
	return ok;
}

#define CCID_HEX                                                                                   \
	"36210001000702000000a00f0000a00f000000002a000090d00300000002000000000000000000004000"     \
	"04000a020000000000000001"
#define INTERFACE(n)                                                                               \
	"\"interface\":{\"bInterfaceNumber\":" n                                                   \
	",\"bInterfaceClass\":11,\"bInterfaceSubClass\":0,"                                        \
	"\"bInterfaceProtocol\":0,\"bNumEndpoints\":3}"
#define READER(file, n)                                                                            \
	"{\"file\":\"" file "\",\"vid\":\"072F\",\"pid\":\"221A\",\"bcdDevice\":\"0200\","         \
	"\"iManufacturer\":\"A\\u00e9B\",\"iProduct\":null,\"iInterface\":\"PICC\"," INTERFACE(    \
		n) ","                                                                             \
		   "\"data_rates_bps\":[9600,115200],\"descriptor_location\":{\"where\":\"last_"   \
		   "endpoint_extra\"},"                                                            \
		   "\"ccid_descriptor_hex\":\"" CCID_HEX "\"}"

START_TEST(test_json)
{
	struct profile p;

	ck_assert(
		load("[" READER("a", "0") "," READER("b", "2") "," READER("b", "5") "]", NULL, &p));
	ck_assert_uint_eq(p.vid, 0x072F);
	ck_assert_uint_eq(p.pid, 0x221A);
	ck_assert_uint_eq(p.bcd, 0x0200);
	ck_assert_uint_eq(p.interface_count, 1);
	ck_assert_str_eq(p.manufacturer, "A?B");
	ck_assert_str_eq(p.product, "");
	ck_assert_str_eq(p.interfaces[0].name, "PICC");
	ck_assert_uint_eq(p.interfaces[0].rate_count, 2);
	ck_assert_uint_eq(p.interfaces[0].rates[1], 115200);
	ck_assert_uint_eq(p.interfaces[0].clock_count, 0);
	ck_assert_uint_eq(get_le32(p.interfaces[0].ccid + CCID_DESC_dwMaxCCIDMessageLength), 522);
	ck_assert_int_eq(p.interfaces[0].place, PLACE_AFTER_ENDPOINTS);
	ck_assert(
		load("[" READER("a", "0") "," READER("b", "2") "," READER("b", "5") "]", "b", &p));
	ck_assert_uint_eq(p.interface_count, 2);
	ck_assert_uint_eq(p.interfaces[1].number, 5);
	ck_assert(load("[" READER("a", "0") "]", "072f:221a", &p));
}
END_TEST

START_TEST(test_json_faults)
{
	static const struct {
		const char *text, *select, *says;
	} bad[] = {
		{ "nonsense", NULL, "JSON" },
		{ "{}", NULL, "array" },
		{ "[]", NULL, "no reader" },
		{ "[7]", NULL, "object" },
		{ "[" READER("a", "0") "]", "b", "no reader b" },
		{ "[" READER("a", "300") "]", NULL, "interface" },
		{ "[" READER("a", "\"x\"") "]", NULL, "interface" },
		{ "[{\"vid\":\"07\",\"pid\":\"zz\",\"bcdDevice\":\"0\"}]", NULL, "hexadecimal" },
		{ "[{\"vid\":\"07\",\"pid\":\"1\",\"bcdDevice\":\"0\"," INTERFACE("0") "}]", NULL,
			"ccid_descriptor_hex" },
	};
	struct profile p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert(!load(bad[i].text, bad[i].select, &p));
		ck_assert_msg(strstr(why, bad[i].says) && strstr(why, json_path), "%s", why);
	}
	ck_assert(!profile_json_load("/nonexistent", NULL, &p, why, sizeof(why)));
}
END_TEST

START_TEST(test_card_options)
{
	struct card_options o = card_options_default;

	ck_assert_ptr_null(card_options_set(&o, "ta1=18"));
	ck_assert_uint_eq(o.ta1, 0x18);
	ck_assert_ptr_null(card_options_set(&o, "inverse=1"));
	ck_assert(o.inverse);
	ck_assert_ptr_null(card_options_set(&o, "wtx=3"));
	ck_assert_uint_eq(o.wtx_every, 3);
	ck_assert_ptr_null(card_options_set(&o, "protocol=t0"));
	ck_assert_uint_eq(o.protocols, CARD_T0);
	ck_assert_ptr_nonnull(card_options_set(&o, "protocol=t2"));
	ck_assert_ptr_nonnull(card_options_set(&o, "ifsc=0"));
	ck_assert_ptr_nonnull(card_options_set(&o, "ifsc=255"));
	ck_assert_ptr_nonnull(card_options_set(&o, "ifsc=5x"));
	ck_assert_ptr_nonnull(card_options_set(&o, "ifsc"));
	ck_assert_ptr_nonnull(card_options_set(&o, "colour=1"));
}
END_TEST

/* --- USB ICCs */

static void no_bulk(void *ctx, uint8_t command, const uint8_t *msg, size_t len)
{
	(void)ctx;
	(void)command;
	(void)msg;
	(void)len;
	ck_abort_msg("a bulk message on a device without bulk pipes");
}

static void no_notify(void *ctx)
{
	(void)ctx;
}

static struct ccid_device *new_iccd(uint8_t protocol)
{
	struct card_options o = card_options_default;
	struct profile p;
	struct ccid_device *dev;

	ck_assert(profile_builtin("short", &p));
	p.interfaces[0].protocol = protocol;
	p.interfaces[0].endpoints = 0;
	put_le32(p.interfaces[0].ccid + CCID_DESC_dwMaxCCIDMessageLength, 271);
	o.protocols = CARD_T0;
	dev = ccid_new(
		&p.interfaces[0], (struct ccid_host){ .bulk_in = no_bulk, .notify = no_notify });
	ck_assert_ptr_nonnull(dev);
	ck_assert(ccid_insert(dev, 0, card_new(&o, iso_card_new())));
	return dev;
}

static int64_t now_ns;
static uint8_t in[4096];

static int request(struct ccid_device *dev, uint8_t type, uint8_t req, uint8_t level,
	const void *data, uint16_t len)
{
	uint8_t setup[8] = { type, req, 0, level };

	put_le16(setup + 6, len);
	return ccid_control(dev, setup, data, type & 0x80 ? 0 : len, in, sizeof(in), now_ns);
}

START_TEST(test_iccd_a)
{
	struct ccid_device *dev = new_iccd(CCID_PROTOCOL_ICCD_A);

	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_ICC_POWER_ON, 0, NULL, 33), 18);
	ck_assert_uint_eq(in[0], 0x3B);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_GET_ICC_STATUS_A, 0, NULL, 1), 1);
	ck_assert_uint_eq(in[0], 0);
	/* Data to the card, then data from it. */
	ck_assert_int_eq(request(dev, 0x21, ICCD_REQ_XFR_BLOCK, 0, "\x80\xEC\0\0\3", 5), 0);
	request(dev, 0xA1, ICCD_REQ_GET_ICC_STATUS_A, 0, NULL, 1);
	ck_assert_uint_eq(in[0], ICCD_A_STATUS_READY_FOR_DATA);
	ck_assert_int_eq(request(dev, 0x21, ICCD_REQ_XFR_BLOCK, 0, "abc", 3), 0);
	request(dev, 0xA1, ICCD_REQ_GET_ICC_STATUS_A, 0, NULL, 1);
	ck_assert_uint_eq(in[0], ICCD_A_STATUS_SW_READY);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 2), 2);
	ck_assert_mem_eq(in, "\x61\x03", 2);
	request(dev, 0x21, ICCD_REQ_XFR_BLOCK, 0, "\0\xC0\0\0\3", 5);
	request(dev, 0xA1, ICCD_REQ_GET_ICC_STATUS_A, 0, NULL, 1);
	ck_assert_uint_eq(in[0], ICCD_A_STATUS_READY_FOR_DATA);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 3), 3);
	ck_assert_mem_eq(in, "abc", 3);
	request(dev, 0xA1, ICCD_REQ_GET_ICC_STATUS_A, 0, NULL, 1);
	ck_assert_uint_eq(in[0], ICCD_A_STATUS_SW_READY);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 2), 2);
	ck_assert_mem_eq(in, "\x90\x00", 2);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 2), -1);
	ccid_free(dev);
}
END_TEST

START_TEST(test_iccd_a_waits)
{
	struct ccid_device *dev = new_iccd(CCID_PROTOCOL_ICCD_A);
	unsigned busy = 0;

	request(dev, 0xA1, ICCD_REQ_ICC_POWER_ON, 0, NULL, 33);
	request(dev, 0x21, ICCD_REQ_XFR_BLOCK, 0, "\x80\xEE\x05\xDC\0", 5);
	for (;; now_ns += 10 * MS, busy++) {
		request(dev, 0xA1, ICCD_REQ_GET_ICC_STATUS_A, 0, NULL, 1);
		if (in[0] != ICCD_A_STATUS_BUSY)
			break;
		ck_assert_uint_lt(busy, 200);
	}
	ck_assert_uint_eq(in[0], ICCD_A_STATUS_SW_READY);
	ck_assert_uint_ge(busy, 149);
	request(dev, 0x21, ICCD_REQ_XFR_BLOCK, 0, "\x80\xEF\0\0\0", 5);
	request(dev, 0xA1, ICCD_REQ_GET_ICC_STATUS_A, 0, NULL, 1);
	ck_assert_uint_eq(in[0], ICCD_A_STATUS_MUTE);
	ck_assert_int_eq(request(dev, 0x21, ICCD_REQ_ICC_POWER_OFF, 0, NULL, 0), 0);
	ck_assert_int_eq(request(dev, 0x21, ICCD_REQ_XFR_BLOCK, 0, "\x80\xEF\0\0\0", 5), -1);
	ccid_free(dev);
}
END_TEST

/* An INS that looks like the SW1 of its refusal, 6D 00. */
START_TEST(test_iccd_a_odd_ins)
{
	struct ccid_device *dev = new_iccd(CCID_PROTOCOL_ICCD_A);

	request(dev, 0xA1, ICCD_REQ_ICC_POWER_ON, 0, NULL, 33);
	request(dev, 0x21, ICCD_REQ_XFR_BLOCK, 0, "\0\x6D\0\0\0", 5);
	request(dev, 0xA1, ICCD_REQ_GET_ICC_STATUS_A, 0, NULL, 1);
	ck_assert_uint_eq(in[0], ICCD_A_STATUS_SW_READY);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 2), 2);
	ck_assert_mem_eq(in, "\x6D\x00", 2);
	ccid_free(dev);
}
END_TEST

START_TEST(test_iccd_b)
{
	struct ccid_device *dev = new_iccd(CCID_PROTOCOL_ICCD_B);
	uint8_t apdu[600] = { 0x80, 0xEC, 0, 0, 0, 0x01, 0x90 };

	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_SLOT_STATUS_B, 0, NULL, 3), 3);
	ck_assert_uint_eq(in[0], CCID_ICC_INACTIVE);
	ck_assert_int_eq(request(dev, 0x21, ICCD_REQ_ICC_POWER_ON, 0, NULL, 0), 0);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 34), 19);
	ck_assert_mem_eq(in, "\x00\x3B", 2);
	/* In two parts there, and in two parts back. */
	memset(apdu + 7, 0x5A, 400);
	ck_assert_int_eq(request(dev, 0x21, ICCD_REQ_XFR_BLOCK, CCID_CHAIN_BEGIN, apdu, 250), 0);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 4), 1);
	ck_assert_uint_eq(in[0], ICCD_B_RESPONSE_EMPTY);
	ck_assert_int_eq(
		request(dev, 0x21, ICCD_REQ_XFR_BLOCK, CCID_CHAIN_END, apdu + 250, 409 - 250), 0);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 4000), 1 + 261);
	ck_assert_uint_eq(in[0], ICCD_B_RESPONSE_BEGIN);
	ck_assert_int_eq(request(dev, 0x21, ICCD_REQ_XFR_BLOCK, CCID_CHAIN_EMPTY, NULL, 0), 0);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 4000), 1 + 402 - 261);
	ck_assert_uint_eq(in[0], ICCD_B_RESPONSE_END);
	ck_assert_uint_eq(in[402 - 261 - 1], 0x90);
	/* What goes on without having begun is no command. */
	request(dev, 0x21, ICCD_REQ_XFR_BLOCK, CCID_CHAIN_END, "\x80\xEE\x00\x64", 4);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 100), 3);
	ck_assert_uint_eq(in[0], ICCD_B_RESPONSE_ERROR);
	/* Polling while the card works; an error when it is mute. */
	request(dev, 0x21, ICCD_REQ_XFR_BLOCK, 0, "\x80\xEE\x00\x64", 4);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 100), 3);
	ck_assert_uint_eq(in[0], ICCD_B_RESPONSE_POLLING);
	now_ns += get_le16(in + 1) * 10 * MS;
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 100), 3);
	ck_assert_mem_eq(in, "\x00\x90\x00", 3);
	request(dev, 0x21, ICCD_REQ_XFR_BLOCK, 0, "\x80\xEF\0\0", 4);
	ck_assert_int_eq(request(dev, 0xA1, ICCD_REQ_DATA_BLOCK, 0, NULL, 100), 3);
	ck_assert_uint_eq(in[0], ICCD_B_RESPONSE_ERROR);
	ck_assert_uint_eq(in[2], CCID_ERROR_ICC_MUTE);
	ccid_free(dev);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_profile");
	TCase *tc = tcase_create("profile");

	tcase_add_test(tc, test_json);
	tcase_add_test(tc, test_json_faults);
	tcase_add_test(tc, test_card_options);
	tcase_add_test(tc, test_iccd_a);
	tcase_add_test(tc, test_iccd_a_waits);
	tcase_add_test(tc, test_iccd_a_odd_ins);
	tcase_add_test(tc, test_iccd_b);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
