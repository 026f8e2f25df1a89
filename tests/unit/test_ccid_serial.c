/* SPDX-License-Identifier: BSD-3-Clause */
/* Serial readers: frames, and the file that describes the models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "ifd-ccid/device/descriptor.h"
#include "ifd-ccid/port/serial_frame.h"
#include "ifd-ccid/port/serial_model.h"

static enum serial_found feed(
	struct serial_frame *frame, const uint8_t *bytes, size_t len, const uint8_t **message)
{
	enum serial_found found = SERIAL_NOTHING;
	size_t message_len;

	for (size_t i = 0; i < len; i++) {
		ck_assert_int_eq(found, SERIAL_NOTHING);
		found = serial_frame_byte(frame, bytes[i], message, &message_len);
	}
	return found;
}

/* Every length that a message may have comes back as it was; framed, and bare. */
START_TEST(test_round_trip)
{
	uint8_t message[SERIAL_MAX_MESSAGE] = { 0x80 };
	uint8_t bytes[SERIAL_MAX_FRAME];
	struct serial_frame frame = { .bare = _i };
	size_t extra = _i ? 0 : SERIAL_FRAME_EXTRA;
	const uint8_t *found;
	size_t len;

	for (size_t i = 10; i < sizeof(message); i++)
		message[i] = (uint8_t)(3 * i);
	for (size_t n = 10; n <= sizeof(message); n++) {
		message[1] = (uint8_t)(n - 10);
		message[2] = (uint8_t)((n - 10) >> 8);
		len = serial_frame_put(&frame, bytes, message, n);
		ck_assert_uint_eq(len, n + extra);
		ck_assert_int_eq(feed(&frame, bytes, len, &found), SERIAL_MESSAGE);
		ck_assert_mem_eq(found, message, n);
	}
	message[2] = 0xFF;
	serial_frame_put(&frame, bytes, message, sizeof(message));
	ck_assert_int_eq(feed(&frame, bytes, _i ? 10 : 12, &found), SERIAL_DAMAGED);
}
END_TEST

START_TEST(test_between_frames)
{
	static const uint8_t refused[] = { 0x03, 0x15, 0x16 };
	static const uint8_t refused_badly[] = { 0x03, 0x15, 0x17 };
	static const uint8_t event[] = { 0x50, 0x03 };
	static const uint8_t time[] = { 0x00, 0x7F, 0x80 };
	static const uint8_t echo[] = { 3, 6, 0x65, 0, 0, 0, 0, 0, 9, 0, 0, 0, 3 ^ 6 ^ 0x65 ^ 9 };
	struct serial_frame frame = { 0 };
	const uint8_t *found;

	ck_assert_int_eq(feed(&frame, echo, sizeof(echo), &found), SERIAL_NOTHING);
	ck_assert_uint_eq(frame.len, 0);
	ck_assert_int_eq(feed(&frame, refused, sizeof(refused), &found), SERIAL_REFUSED);
	ck_assert_int_eq(feed(&frame, event, sizeof(event), &found), SERIAL_NOTHING);
	ck_assert_int_eq(feed(&frame, time, sizeof(time), &found), SERIAL_TIME);
	ck_assert_int_eq(
		feed(&frame, refused_badly, sizeof(refused_badly), &found), SERIAL_DAMAGED);
	ck_assert_uint_eq(frame.len, 0);
}
END_TEST

/* Whatever comes, what is called a message has the length it says. */
START_TEST(test_noise)
{
	struct serial_frame frame = { 0 };
	const uint8_t *message;
	unsigned messages = 0;
	uint64_t x = 1;
	size_t len;

	for (unsigned i = 0; i < 2000000; i++) {
		static const uint8_t likely[] = { 0x03, 0x06, 0x80, 0, 0, 0, 0, 0, 0, 0 };
		uint8_t byte;

		x = x * 6364136223846793005U + 1442695040888963407U;
		byte = x >> 62 ? likely[(x >> 40) % sizeof(likely)] : (uint8_t)(x >> 50);
		if (serial_frame_byte(&frame, byte, &message, &len) != SERIAL_MESSAGE)
			continue;
		messages++;
		ck_assert_uint_eq(len, 10U + message[1] + 256U * message[2]);
		ck_assert_uint_le(len, SERIAL_MAX_MESSAGE);
	}
	ck_assert_uint_gt(messages, 0);
}
END_TEST

static char *read_models(void)
{
	FILE *file = fopen(SERIAL_READERS, "re");
	char *text = calloc(1, 65536);

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_lt(fread(text, 1, 65535, file), 65535);
	fclose(file);
	return text;
}

START_TEST(test_models)
{
	static const struct {
		const char *name;
		uint16_t vid;
		uint16_t pid;
		unsigned slots;
		size_t rates;
		uint8_t pin;
	} models[] = {
		{ NULL, 0x08E6, 0x3437, 1, 40, 0 },
		{ "GemPCPinPad", 0x08E6, 0x3478, 1, 41, 3 },
		{ "gemcorepospro", 0x08E6, 0x3479, 5, 41, 0 },
		{ "GemCoreSIMPro", 0x08E6, 0x3480, 2, 41, 0 },
		{ "GemCoreSIMPro2", 0x08E6, 0x0000, 2, 53, 0 },
		{ "SEC1210UR2", 0x0424, 0x1202, 2, 0, 0 },
		{ "SEC1210URT", 0x0424, 0x1104, 1, 0, 0 },
	};
	uint8_t bytes[SERIAL_CONFIGURATION_SIZE];
	struct device_descriptor device;
	struct ccid_interface interface;
	struct serial_model model;
	char *text = read_models();
	const char *why;
	char wrong[256];

	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		ck_assert(serial_model_find(text, models[i].name, &model, wrong, sizeof(wrong)));
		serial_model_device(&model, bytes);
		ck_assert(descriptor_device(bytes, 18, &device));
		ck_assert_uint_eq(device.vid, models[i].vid);
		ck_assert_uint_eq(device.pid, models[i].pid);
		serial_model_configuration(&model, bytes);
		ck_assert(descriptor_find(bytes, sizeof(bytes), -1, NULL, &interface, &why));
		ck_assert_uint_eq(interface.ccid.slots, models[i].slots);
		ck_assert_uint_eq(interface.ccid.busy_slots, 1);
		ck_assert_uint_eq(interface.ccid.bNumDataRatesSupported, models[i].rates);
		ck_assert_uint_eq(interface.ccid.bPINSupport, models[i].pin);
		ck_assert_int_eq(interface.ccid.level, LEVEL_TPDU);
		ck_assert_uint_eq(interface.interrupt_in, 0);
	}
	ck_assert(!serial_model_find(text, "Other", &model, wrong, sizeof(wrong)));
	free(text);
}
END_TEST

START_TEST(test_wrong_models)
{
	static const char *const texts[] = {
		"[A]\nSlots=0x\n",
		"[A]\nSlots=256\n",
		"[A]\nSlots\n",
		"[A]\nslots=1\n",
		"[A]\nidVendor=12345\n",
		"[A]\nProbe=02 0g\n",
		"[A]\nDataRates=1 x\n",
		"[A]\nProbe=00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10\n",
	};
	struct serial_model model;
	char why[256];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert(!serial_model_find(texts[i], "a", &model, why, sizeof(why)));
		ck_assert_ptr_nonnull(strstr(why, ":2:"));
	}
	ck_assert(!serial_model_find("[A]\nSlots=0\n", "a", &model, why, sizeof(why)));
	ck_assert(!serial_model_find("", NULL, &model, why, sizeof(why)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ccid_serial");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_round_trip, 0, 2);
	tcase_add_test(tc, test_between_frames);
	tcase_add_test(tc, test_noise);
	tcase_add_test(tc, test_models);
	tcase_add_test(tc, test_wrong_models);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
