/* SPDX-License-Identifier: BSD-3-Clause */
/* CCID interfaces found in configurations, and values that can't be right put right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "ifd-ccid/bytes.h"
#include "ifd-ccid/device/descriptor.h"
#include "spec/ccid.h"
#include "spec/usb.h"

struct config {
	uint8_t bytes[1024];
	size_t len;
};

static void add(struct config *config, const uint8_t *bytes, size_t len)
{
	memcpy(config->bytes + config->len, bytes, len);
	config->len += len;
	put_le16(config->bytes + USB_CONFIG_wTotalLength, (uint16_t)config->len);
}

static void begin(struct config *config)
{
	static const uint8_t head[] = { 9, 2, 0, 0, 1, 7, 0, 0x80, 50 };

	config->len = 0;
	add(config, head, sizeof(head));
}

static void interface(struct config *config, uint8_t number, uint8_t alternate, uint8_t class)
{
	uint8_t bytes[] = { 9, 4, number, alternate, 3, class, 0, 0, 4 };

	add(config, bytes, sizeof(bytes));
}

static void class_descriptor(struct config *config, uint8_t type, uint8_t len)
{
	uint8_t bytes[255] = { len, type, 0x10, 0x01 };

	bytes[CCID_DESC_dwProtocols] = 3;
	put_le32(bytes + CCID_DESC_dwDefaultClock, 4800);
	put_le32(bytes + CCID_DESC_dwMaxIFSD, 254);
	put_le32(bytes + CCID_DESC_dwFeatures, CCID_FEATURE_LEVEL_TPDU);
	put_le32(bytes + CCID_DESC_dwMaxCCIDMessageLength, 271);
	add(config, bytes, len);
}

static void endpoint(struct config *config, uint8_t address, uint8_t type, uint16_t packet)
{
	uint8_t bytes[] = { 7, 5, address, type, (uint8_t)packet, (uint8_t)(packet >> 8), 10 };

	add(config, bytes, sizeof(bytes));
}

static void endpoints(struct config *config)
{
	endpoint(config, 0x05, USB_ENDPOINT_XFER_BULK, 64);
	endpoint(config, 0x84, USB_ENDPOINT_XFER_BULK, 512);
	endpoint(config, 0x83, USB_ENDPOINT_XFER_INTERRUPT, 8);
}

static bool find(const struct config *config, int number, struct ccid_interface *found)
{
	const char *why = NULL;
	bool ok = descriptor_find(config->bytes, config->len, number, NULL, found, &why);

	ck_assert(ok || (why && *why));
	return ok;
}

static void check_endpoints(const struct ccid_interface *found)
{
	ck_assert_uint_eq(found->bulk_out, 0x05);
	ck_assert_uint_eq(found->bulk_in, 0x84);
	ck_assert_uint_eq(found->interrupt_in, 0x83);
	ck_assert_uint_eq(found->bulk_in_packet, 512);
	ck_assert_uint_eq(found->interrupt_packet, 8);
}

START_TEST(plain)
{
	struct config config;
	struct ccid_interface found;

	begin(&config);
	interface(&config, 0, 0, 0x0B);
	class_descriptor(&config, 0x21, 54);
	endpoints(&config);
	ck_assert(find(&config, -1, &found));
	ck_assert_uint_eq(found.bConfigurationValue, 7);
	ck_assert_uint_eq(found.iInterface, 4);
	ck_assert_uint_eq(found.ccid.dwDefaultClock, 4800);
	ck_assert_uint_eq(found.ccid.max_message, 271);
	ck_assert_int_eq(found.ccid.level, LEVEL_TPDU);
	check_endpoints(&found);
}
END_TEST

/* Without bulk pipes a message has to fit into a control transfer. */
START_TEST(usb_icc)
{
	struct config config;
	struct ccid_interface found;
	uint8_t *ccid;

	begin(&config);
	interface(&config, 0, 0, 0x0B);
	config.bytes[config.len - USB_INTERFACE_SIZE + USB_INTERFACE_bInterfaceProtocol] =
		CCID_PROTOCOL_ICCD_B;
	ccid = config.bytes + config.len;
	class_descriptor(&config, 0x21, 54);
	ck_assert(find(&config, -1, &found));
	ck_assert_uint_eq(found.bulk_in, 0);
	ck_assert_uint_eq(found.ccid.max_message, 271);
	put_le32(ccid + CCID_DESC_dwMaxCCIDMessageLength, CCID_MAX_MESSAGE);
	ck_assert(find(&config, -1, &found));
	ck_assert_uint_eq(found.ccid.max_message, CCID_MSG_HEADER_SIZE + 4096);
	endpoints(&config);
	ck_assert(find(&config, -1, &found));
	ck_assert_uint_eq(found.ccid.max_message, CCID_MAX_MESSAGE);
}
END_TEST

START_TEST(class_descriptor_behind_the_endpoints)
{
	struct config config;
	struct ccid_interface found;

	begin(&config);
	interface(&config, 0, 0, 0xFF);
	endpoints(&config);
	class_descriptor(&config, 0xFF, 60);
	ck_assert(find(&config, -1, &found));
	check_endpoints(&found);
}
END_TEST

START_TEST(one_of_several_interfaces)
{
	struct config config;
	struct ccid_interface found;

	begin(&config);
	interface(&config, 0, 0, 0x03);
	/* HID has a descriptor of type 21h too. */
	add(&config, (const uint8_t *)"\x09\x21\x11\x01\x00\x01\x22\x3F\x00", 9);
	endpoint(&config, 0x81, USB_ENDPOINT_XFER_INTERRUPT, 8);
	interface(&config, 1, 0, 0x0B);
	class_descriptor(&config, 0x21, 54);
	endpoint(&config, 0x01, USB_ENDPOINT_XFER_BULK, 64);
	endpoint(&config, 0x82, USB_ENDPOINT_XFER_BULK, 64);
	interface(&config, 2, 0, 0x0B);
	class_descriptor(&config, 0x21, 54);
	endpoints(&config);
	ck_assert(find(&config, -1, &found));
	ck_assert_uint_eq(found.bInterfaceNumber, 1);
	ck_assert_uint_eq(found.interrupt_in, 0);
	ck_assert(find(&config, 2, &found));
	ck_assert_uint_eq(found.bInterfaceNumber, 2);
	check_endpoints(&found);
	ck_assert(!find(&config, 0, &found));
	ck_assert(!find(&config, 9, &found));
}
END_TEST

START_TEST(alternate_setting_with_all_it_needs)
{
	struct config config;
	struct ccid_interface found;

	begin(&config);
	interface(&config, 0, 0, 0x0B);
	class_descriptor(&config, 0x21, 54);
	interface(&config, 0, 1, 0x0B);
	class_descriptor(&config, 0x21, 54);
	endpoints(&config);
	ck_assert(find(&config, -1, &found));
	ck_assert_uint_eq(found.bAlternateSetting, 1);
}
END_TEST

START_TEST(incomplete)
{
	struct config config;
	struct ccid_interface found;

	begin(&config);
	ck_assert(!find(&config, -1, &found));
	interface(&config, 0, 0, 0x0B);
	endpoints(&config);
	ck_assert(!find(&config, -1, &found));
	class_descriptor(&config, 0x21, 53);
	ck_assert(!find(&config, -1, &found));
	class_descriptor(&config, 0x21, 54);
	ck_assert(find(&config, -1, &found));
	/* Cut anywhere before its end, there is no interface and no reading beyond. */
	for (size_t len = 0; len < config.len; len++) {
		uint8_t *copy = malloc(len + 1);
		const char *why;

		memcpy(copy, config.bytes, len);
		ck_assert(!descriptor_find(copy, len, -1, NULL, &found, &why));
		free(copy);
	}
}
END_TEST

START_TEST(nonsense_is_replaced)
{
	uint8_t bytes[CCID_DESC_SIZE] = { 0 };
	struct ccid_class ccid;

	descriptor_class(bytes, &ccid);
	ck_assert_uint_eq(ccid.slots, 1);
	ck_assert_uint_eq(ccid.busy_slots, 1);
	ck_assert_uint_eq(ccid.bVoltageSupport, CCID_VOLTAGE_5V);
	ck_assert_uint_eq(ccid.dwProtocols, 3);
	ck_assert_uint_eq(ccid.dwDefaultClock, 4000);
	ck_assert_uint_eq(ccid.ifsd, 32);
	ck_assert_uint_eq(ccid.max_message, 271);
	ck_assert_int_eq(ccid.level, LEVEL_CHARACTER);
	memset(bytes, 0xFF, sizeof(bytes));
	descriptor_class(bytes, &ccid);
	ck_assert_uint_eq(ccid.slots, 256);
	ck_assert_uint_eq(ccid.busy_slots, 255);
	ck_assert_uint_eq(ccid.dwDefaultClock, 4000);
	ck_assert_uint_eq(ccid.ifsd, 254);
	ck_assert_uint_eq(ccid.max_message, CCID_MAX_MESSAGE);
	ck_assert_int_eq(ccid.level, LEVEL_EXTENDED_APDU);
}
END_TEST

#ifdef READERS_JSON
static size_t unhex(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0;
	unsigned byte;

	while (n < max && sscanf(text + 2 * n, "%2x", &byte) == 1)
		out[n++] = (uint8_t)byte;
	return n;
}

/* Returns 1, or 0 when there are not 54 bytes. */
static unsigned check_real(const char *text)
{
	uint8_t bytes[CCID_DESC_SIZE];
	struct config config;
	struct ccid_interface found;

	if (unhex(text, bytes, sizeof(bytes)) != sizeof(bytes))
		return 0;
	begin(&config);
	interface(&config, 0, 0, 0x0B);
	add(&config, bytes, sizeof(bytes));
	endpoints(&config);
	ck_assert(find(&config, 0, &found));
	ck_assert_uint_ge(found.ccid.max_message, 24);
	ck_assert_uint_ge(found.ccid.ifsd, 1);
	ck_assert_uint_le(found.ccid.ifsd, 254);
	return 1;
}

/* Every class descriptor of the collection of real readers gives something to work with. */
START_TEST(real_readers)
{
	static const char key[] = "\"ccid_descriptor_hex\":";
	FILE *file = fopen(READERS_JSON, "re");
	char *line = NULL;
	size_t room = 0;
	unsigned count = 0;

	if (!file) {
		puts("real_readers: skipped, needs " READERS_JSON);
		return;
	}
	while (getline(&line, &room, file) > 0) {
		const char *at = line;

		while ((at = strstr(at, key)) != NULL) {
			at += strlen(key);
			count += check_real(at + strspn(at, " \""));
		}
	}
	free(line);
	fclose(file);
	ck_assert_uint_gt(count, 700);
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("ccid_descriptor");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, plain);
	tcase_add_test(tc, usb_icc);
	tcase_add_test(tc, class_descriptor_behind_the_endpoints);
	tcase_add_test(tc, one_of_several_interfaces);
	tcase_add_test(tc, alternate_setting_with_all_it_needs);
	tcase_add_test(tc, incomplete);
	tcase_add_test(tc, nonsense_is_replaced);
#ifdef READERS_JSON
	tcase_add_test(tc, real_readers);
#endif
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
