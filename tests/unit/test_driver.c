/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading IFD handlers, good and bad, and calling them one at a time where they need it. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "ifd_sample.h"
#include "suite.h"
#include "pcscd/readers/driver.h"

static char *said;

static struct driver *load(const char *path)
{
	struct driver *driver;

	free(said);
	capture_begin();
	driver = driver_load(path, "conf:7");
	said = capture_end();
	return driver;
}

static void teardown(void)
{
	free(said);
	said = NULL;
}

/* The record inside of a library that is loaded already. */
static struct sample_record *record_of(const char *path)
{
	void *handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
	struct sample_record *record;

	ck_assert_ptr_nonnull(handle);
	record = dlsym(handle, "sample_record");
	ck_assert_ptr_nonnull(record);
	dlclose(handle);
	return record;
}

static const struct {
	const char *path;
	const char *error;
} refused[] = {
	{ "/nowhere/libno.so", "conf:7: driver /nowhere/libno.so cannot be loaded: " },
	{ IFD_NOT_A_LIBRARY, " cannot be loaded: " },
	{ IFD_LACKING, " lacks the entry point IFDHTransmitToICC" },
	{ IFD_NONE, " is no IFD handler of version 2 or 3" },
};

START_TEST(test_refused)
{
	ck_assert_ptr_null(load(refused[_i].path));
	ck_assert_msg(strstr(said, refused[_i].error) != NULL, "%s", said);
	ck_assert_uint_eq(capture_lines(said), 1);
}
END_TEST

START_TEST(test_shared)
{
	struct driver *one = load(IFD_V3);
	struct driver *two = load(IFD_V3);

	ck_assert_ptr_nonnull(one);
	ck_assert_ptr_eq(one, two);
	ck_assert_str_eq(driver_path(one), IFD_V3);
	driver_unref(one);
	ck_assert_ptr_eq(driver_ref(two), two);
	driver_unref(two);
	ck_assert_int_eq(driver_version(two), 3);
	driver_unref(two);
	/* it lingers for the next try */
	one = load(IFD_V3);
	ck_assert_str_eq(said, "");
	ck_assert_ptr_eq(one, two);
	driver_unload_idle();
	ck_assert_str_eq(driver_path(one), IFD_V3);
	driver_unref(one);
	driver_unload_idle();
	ck_assert_ptr_null(dlopen(IFD_V3, RTLD_LAZY | RTLD_NOLOAD));
	driver_unref(NULL);
}
END_TEST

START_TEST(test_version_3)
{
	struct driver *driver = load(IFD_V3);
	struct sample_record *record = record_of(IFD_V3);
	struct channel *channel;
	uint8_t buffer[300] = { 0 };
	uint8_t atr[MAX_ATR_SIZE];
	size_t length;

	ck_assert_int_eq(driver_open(driver, 0x10000, "dev:1", 5, &channel), IFD_SUCCESS);
	driver_unref(driver); /* the channel holds it */
	ck_assert_str_eq(record->calls, "dev:1 10000\npoll 10000\nthread-safe 10000\n");
	ck_assert_int_eq(driver_presence(channel), IFD_ICC_PRESENT);
	ck_assert_int_eq(driver_power(channel, IFD_POWER_UP, atr, &length), IFD_SUCCESS);
	ck_assert_uint_eq(length, 2);
	ck_assert_uint_eq(record->power_room, MAX_ATR_SIZE);
	ck_assert_int_eq(driver_power(channel, IFD_POWER_DOWN, atr, &length), IFD_SUCCESS);
	ck_assert_uint_eq(length, 0);
	ck_assert_int_eq(driver_set_protocol(channel, SCARD_PROTOCOL_T1), IFD_SUCCESS);
	ck_assert_int_eq(
		driver_set_protocol(channel, SCARD_PROTOCOL_T0), IFD_PROTOCOL_NOT_SUPPORTED);
	length = sizeof(buffer);
	ck_assert_int_eq(driver_transmit(channel, 1, (const uint8_t *)"abcde", 5, buffer, &length),
		IFD_SUCCESS);
	ck_assert_uint_eq(length, 5);
	ck_assert_mem_eq(buffer, "\1bcde", 5);
	length = 4;
	ck_assert_int_eq(driver_transmit(channel, 1, (const uint8_t *)"abcde", 5, buffer, &length),
		IFD_COMMUNICATION_ERROR);
	ck_assert_uint_eq(length, 0);
	length = sizeof(buffer);
	ck_assert_int_eq(driver_control(channel, 0x42, NULL, 0, buffer, &length), IFD_SUCCESS);
	ck_assert_uint_eq(length, 1);
	ck_assert_uint_eq(buffer[0], 0x42);
	ck_assert(driver_can_poll(channel));
	ck_assert_int_eq(driver_poll(channel, 5), IFD_SUCCESS);
	ck_assert_int_eq(record->polled, 0x10005);
	ck_assert_int_eq(driver_stop_poll(channel), IFD_SUCCESS);
	ck_assert_int_eq(record->stopped, 1);
	ck_assert(!driver_can_abort(channel));
	ck_assert_int_eq(driver_abort(channel), IFD_NOT_SUPPORTED);
	driver_device_removed(channel);
	ck_assert_uint_eq(record->set_tag, 0);
	ck_assert_str_eq(driver_device(channel), "dev:1");
	ck_assert_uint_eq(driver_lun(channel), 0x10000);
	driver_close(channel);
}
END_TEST

/* Lengths that a driver makes up never reach the caller. */
START_TEST(test_lies)
{
	struct driver *driver = load(IFD_V3);
	struct channel *channel;
	uint8_t atr[MAX_ATR_SIZE];
	uint8_t buffer[8];
	size_t length = sizeof(buffer);

	ck_assert_int_eq(driver_open(driver, 0, "x", 0, &channel), IFD_SUCCESS);
	capture_begin();
	ck_assert_int_eq(driver_control(channel, SAMPLE_LIE, NULL, 0, buffer, &length),
		IFD_COMMUNICATION_ERROR);
	ck_assert_uint_eq(length, 0);
	ck_assert_int_eq(driver_power(channel, IFD_RESET, atr, &length), IFD_COMMUNICATION_ERROR);
	ck_assert_uint_eq(length, 0);
	free(said);
	said = capture_end();
	ck_assert_uint_eq(capture_lines(said), 2);
	driver_close(channel);
	driver_unref(driver);
}
END_TEST

START_TEST(test_version_2)
{
	struct driver *driver = load(IFD_V2);
	struct channel *channel;
	uint8_t buffer[8];
	size_t length = sizeof(buffer);

	ck_assert_int_eq(driver_version(driver), 2);
	ck_assert_int_eq(driver_open(driver, 1, "dev:1", 9, &channel), IFD_SUCCESS);
	ck_assert_uint_eq(record_of(IFD_V2)->channel, 9);
	ck_assert_int_eq(driver_presence(channel), IFD_ICC_NOT_PRESENT);
	ck_assert_int_eq(
		driver_control(channel, 1, (const uint8_t *)"ab", 2, buffer, &length), IFD_SUCCESS);
	ck_assert_uint_eq(length, 2);
	ck_assert_int_eq(driver_set_protocol(channel, SCARD_PROTOCOL_T1), IFD_NOT_SUPPORTED);
	driver_close(channel);
	ck_assert_int_eq(
		driver_open(driver, 2, NULL, SAMPLE_NO_DEVICE, &channel), IFD_NO_SUCH_DEVICE);
	driver_unref(driver);
	driver_unload_idle();
	ck_assert_ptr_null(dlopen(IFD_V2, RTLD_LAZY | RTLD_NOLOAD));
}
END_TEST

START_TEST(test_underscore)
{
	struct driver *driver = load(IFD_UNDERSCORE);
	struct channel *channel;

	ck_assert_ptr_nonnull(driver);
	ck_assert_int_eq(driver_version(driver), 3);
	ck_assert_int_eq(driver_open(driver, 0, NULL, 1, &channel), IFD_SUCCESS);
	ck_assert_str_eq(record_of(IFD_UNDERSCORE)->calls, "create 0\npoll 0\nthread-safe 0\n");
	driver_close(channel);
	driver_unref(driver);
}
END_TEST

static void *transmit(void *argument)
{
	uint8_t buffer[8];
	size_t length = sizeof(buffer);

	driver_transmit(argument, 0, (const uint8_t *)"ab", 2, buffer, &length);
	return NULL;
}

/*
 * Transmits on all channels at once; returns how many were in the driver together, where each waited
 * until so many were.
 */
static int overlap(struct sample_record *record, struct channel **channels, size_t count,
	int together, int patience_ms)
{
	pthread_t threads[8];

	record->together = together;
	record->patience_ms = patience_ms;
	record->most_inside = 0;
	for (size_t i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, transmit, channels[i]);
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return record->most_inside;
}

static void lanes(const char *path, bool safe)
{
	struct driver *driver = load(path);
	struct sample_record *record = record_of(path);
	struct channel *channels[4];

	ck_assert_int_eq(driver_open(driver, 0x00000, "a", 0, &channels[0]), IFD_SUCCESS);
	ck_assert_int_eq(driver_open(driver, 0x10000, "b", 0, &channels[1]), IFD_SUCCESS);
	ck_assert_int_eq(driver_open(driver, 0x20000, "c", 0, &channels[2]), IFD_SUCCESS);
	ck_assert_int_eq(driver_open_slot(channels[2], 0x20001, &channels[3]), IFD_SUCCESS);
	ck_assert_str_eq(record->calls, "a 0\npoll 0\n"
					"thread-safe 0\nb 10000\npoll 10000\n"
					"c 20000\npoll 20000\n"
					"slot-thread-safe 20000\nc 20001\npoll 20001\n");
	if (safe)
		ck_assert_int_eq(overlap(record, channels, 4, 3, 30000), 3);
	else
		ck_assert_int_eq(overlap(record, channels, 4, 2, 20), 1);
	for (int i = 0; i < 4; i++)
		driver_close(channels[i]);
	driver_unref(driver);
}

START_TEST(test_lanes)
{
	lanes(IFD_V3, false);
	lanes(IFD_SAFE, true);
}
END_TEST

START_TEST(test_abort)
{
	struct driver *driver = load(IFD_SAFE);
	struct sample_record *record = record_of(IFD_SAFE);
	struct channel *channel;

	ck_assert_int_eq(driver_open(driver, 0, "a", 0, &channel), IFD_SUCCESS);
	ck_assert(driver_can_abort(channel));
	ck_assert_int_eq(driver_abort(channel), IFD_SUCCESS);
	ck_assert_uint_eq(record->set_tag, TAG_IFD_CARDWIRE_ABORT);
	driver_device_removed(channel);
	ck_assert_uint_eq(record->set_tag, TAG_IFD_DEVICE_REMOVED);
	ck_assert_uint_eq(record->set_length, 1);
	driver_close(channel);
	driver_unref(driver);
}
END_TEST

static void *open_and_close(void *argument)
{
	struct channel *channel;

	for (int i = 0; i < 200; i++) {
		struct driver *driver = driver_load(IFD_SAFE, "test");

		if (driver_open(driver, (DWORD)(uintptr_t)argument, "x", 0, &channel) ==
			IFD_SUCCESS)
			driver_close(channel);
		driver_unref(driver);
		if (i % 8 == 0)
			driver_unload_idle();
	}
	return NULL;
}

/* Devices come and go in parallel, with the library loaded and unloaded in between. */
START_TEST(test_parallel)
{
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, open_and_close, (void *)(i << 16));
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	driver_unload_idle();
	ck_assert_ptr_null(dlopen(IFD_SAFE, RTLD_LAZY | RTLD_NOLOAD));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("driver");
	TCase *tests = tcase_create("driver");

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, test_refused, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(tests, test_shared);
	tcase_add_test(tests, test_version_3);
	tcase_add_test(tests, test_lies);
	tcase_add_test(tests, test_version_2);
	tcase_add_test(tests, test_underscore);
	tcase_add_test(tests, test_lanes);
	tcase_add_test(tests, test_abort);
	tcase_add_test(tests, test_parallel);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
