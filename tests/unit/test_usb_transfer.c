/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transfers of libusb and their ends, at any moment, by whoever: with a libusb of our own, whose
 * device and event thread do what the test says.
 */
#include <libusb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "ifd-ccid/port/usb_transfer.h"

enum {
	ROUNDS = 2000,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all below */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static bool stop;
static struct libusb_transfer *flying; /* submitted */
static struct libusb_transfer *ended;  /* and over, but not reported yet */
static bool held;                      /* nothing is reported until a cancellation is refused */
static bool refuses;                   /* nothing can be submitted */
static unsigned reports;
static bool again; /* done() submits anew what was not cancelled */

static struct port_transfer transfer;
static uint8_t buffer[64];

struct libusb_transfer *libusb_alloc_transfer(int iso_packets)
{
	(void)iso_packets;
	return calloc(1, sizeof(struct libusb_transfer));
}

void libusb_free_transfer(struct libusb_transfer *t)
{
	free(t);
}

int libusb_submit_transfer(struct libusb_transfer *t)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	ck_assert_ptr_null(flying);
	if (refuses)
		err = LIBUSB_ERROR_NO_DEVICE;
	else
		flying = t;
	pthread_mutex_unlock(&lock);
	return err;
}

/* With the lock held. */
static void end(enum libusb_transfer_status status, int actual)
{
	ck_assert_ptr_nonnull(flying);
	flying->status = status;
	flying->actual_length = actual;
	ended = flying;
	flying = NULL;
	pthread_cond_broadcast(&changed);
}

int libusb_cancel_transfer(struct libusb_transfer *t)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	if (flying == t) {
		end(LIBUSB_TRANSFER_CANCELLED, 0);
	} else {
		err = LIBUSB_ERROR_NOT_FOUND;
		held = false;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return err;
}

static void *events(void *arg)
{
	struct libusb_transfer *t;

	pthread_mutex_lock(&lock);
	while (!stop) {
		if (!ended || held) {
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		t = ended;
		ended = NULL;
		pthread_mutex_unlock(&lock);
		t->callback(t);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return arg;
}

static void device_ends(enum libusb_transfer_status status, int actual)
{
	pthread_mutex_lock(&lock);
	end(status, actual);
	pthread_mutex_unlock(&lock);
}

static void done(struct port_transfer *t)
{
	bool submit;

	pthread_mutex_lock(&lock);
	reports++;
	submit = again && t->status != PORT_CANCELLED;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (submit)
		ck_assert(usb_transfer_submit(NULL, t));
}

static void wait_for_report(unsigned count)
{
	pthread_mutex_lock(&lock);
	while (reports < count)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void set_again(bool to)
{
	pthread_mutex_lock(&lock);
	again = to;
	pthread_mutex_unlock(&lock);
}

static void start(uint8_t endpoint)
{
	stop = held = refuses = again = false;
	flying = ended = NULL;
	reports = 0;
	transfer = (struct port_transfer){
		.endpoint = endpoint, .buffer = buffer, .length = sizeof(buffer), .done = done
	};
	ck_assert_int_eq(pthread_create(&thread, NULL, events, NULL), 0);
}

static void finish(void)
{
	pthread_mutex_lock(&lock);
	stop = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	usb_transfer_release(&transfer);
}

static const struct {
	enum libusb_transfer_status of;
	int actual;
	enum port_status status;
} ends[] = {
	{ LIBUSB_TRANSFER_COMPLETED, 10, PORT_OK },
	{ LIBUSB_TRANSFER_CANCELLED, 3, PORT_CANCELLED },
	{ LIBUSB_TRANSFER_STALL, 0, PORT_STALL },
	{ LIBUSB_TRANSFER_OVERFLOW, 64, PORT_OVERFLOW },
	{ LIBUSB_TRANSFER_NO_DEVICE, 0, PORT_GONE },
	{ LIBUSB_TRANSFER_ERROR, -1, PORT_ERROR },
	{ LIBUSB_TRANSFER_TIMED_OUT, 0, PORT_ERROR },
};

START_TEST(statuses)
{
	size_t actual = ends[_i].actual > 0 ? (size_t)ends[_i].actual : 0;

	start(0x81);
	ck_assert(usb_transfer_submit(NULL, &transfer));
	device_ends(ends[_i].of, ends[_i].actual);
	wait_for_report(1);
	ck_assert_int_eq(transfer.status, ends[_i].status);
	ck_assert_uint_eq(transfer.actual, actual);
	finish();
}
END_TEST

START_TEST(what_libusb_gets)
{
	start(0x02);
	transfer.zero_packet = true;
	ck_assert(usb_transfer_submit(NULL, &transfer));
	ck_assert_uint_eq(flying->type, LIBUSB_TRANSFER_TYPE_BULK);
	ck_assert_uint_eq(flying->endpoint, 0x02);
	ck_assert_int_eq(flying->length, sizeof(buffer));
	ck_assert_ptr_eq(flying->buffer, buffer);
	ck_assert_uint_eq(flying->flags, LIBUSB_TRANSFER_ADD_ZERO_PACKET);
	ck_assert_uint_eq(flying->timeout, 0);
	usb_transfer_cancel(&transfer);
	ck_assert_int_eq(transfer.status, PORT_CANCELLED);
	finish();

	start(0);
	memset(buffer, 0, sizeof(buffer));
	buffer[6] = 20; /* wLength */
	ck_assert(usb_transfer_submit(NULL, &transfer));
	ck_assert_uint_eq(flying->type, LIBUSB_TRANSFER_TYPE_CONTROL);
	ck_assert_int_eq(flying->length, 8 + 20);
	ck_assert_uint_eq(flying->flags, 0);
	usb_transfer_cancel(&transfer);
	finish();
}
END_TEST

START_TEST(not_submitted)
{
	start(0x81);
	usb_transfer_cancel(&transfer);
	refuses = true;
	ck_assert(!usb_transfer_submit(NULL, &transfer));
	usb_transfer_cancel(&transfer);
	ck_assert_uint_eq(reports, 0);
	refuses = false;
	ck_assert(usb_transfer_submit(NULL, &transfer));
	device_ends(LIBUSB_TRANSFER_COMPLETED, 1);
	wait_for_report(1);
	ck_assert_int_eq(transfer.status, PORT_OK);
	finish();
}
END_TEST

/*
 * The transfer has ended, nobody has been told, and can't be cancelled any more; done() submits it
 * anew. Nothing ends the new one: who cancels the old one must not wait for that.
 */
START_TEST(cancelled_too_late)
{
	start(0x81);
	pthread_mutex_lock(&lock);
	again = held = true;
	pthread_mutex_unlock(&lock);
	ck_assert(usb_transfer_submit(NULL, &transfer));
	device_ends(LIBUSB_TRANSFER_COMPLETED, 10);
	usb_transfer_cancel(&transfer);
	ck_assert_uint_eq(reports, 1);
	ck_assert_ptr_nonnull(flying);
	/* That one can be cancelled as well. */
	usb_transfer_cancel(&transfer);
	ck_assert_uint_eq(reports, 2);
	ck_assert_int_eq(transfer.status, PORT_CANCELLED);
	ck_assert_ptr_null(flying);
	finish();
}
END_TEST

/* The same without any order. */
START_TEST(cancelled_at_any_moment)
{
	start(0x81);
	for (unsigned i = 0; i < ROUNDS; i++) {
		set_again(true);
		ck_assert(usb_transfer_submit(NULL, &transfer));
		device_ends(LIBUSB_TRANSFER_COMPLETED, 10);
		usb_transfer_cancel(&transfer);
		set_again(false);
		usb_transfer_cancel(&transfer);
		ck_assert_ptr_null(flying);
		ck_assert_ptr_null(ended);
	}
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("usb_transfer");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, statuses, 0, sizeof(ends) / sizeof(ends[0]));
	tcase_add_test(tc, what_libusb_gets);
	tcase_add_test(tc, not_submitted);
	tcase_add_test(tc, cancelled_too_late);
	tcase_add_test(tc, cancelled_at_any_moment);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
