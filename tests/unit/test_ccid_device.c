/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver over a socket against a reader and a USB/IP server that do each of the things that
 * readers and servers do wrong: every command ends in bounded time, and the reader works afterwards.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ccid_peer.h"
#include "suite.h"
#include "ifd-ccid/deadline.h"
#include "ifd-ccid/device/device.h"
#include "ifd-ccid/port/port.h"
#include "ifd-ccid/recorder/recorder.h"
#include "spec/usb.h"

enum {
	WAIT_MS = 400, /* patience of an exchange that is in vain */
	END_MS = 1600, /* and with all its time extensions */
	/* Of one that works, however busy the machine is. */
	PATIENT_MS = 20000,
	LONG_MS = 40000,
};

static struct peer *peer;
static struct device *device;

static void start(enum peer_fault fault)
{
	peer = peer_start(fault);
	ck_assert_ptr_nonnull(peer);
	device = device_open(peer_name(peer));
	ck_assert_ptr_nonnull(device);
	ck_assert(device_slot_open(device, 0));
	ck_assert(device_slot_open(device, 1));
}

static void stop(void)
{
	device_unref(device);
	peer_stop(peer);
}

/* XfrBlock of LEN bytes, at least 4, made of TAG; CCID_OK only with the right answer. */
static enum ccid_result xfr_of(unsigned slot, uint8_t tag, size_t len, int wait_ms, int end_ms)
{
	uint8_t data[256] = { 0, 0xB0, tag, (uint8_t)~tag };
	struct ccid_command command = { .type = PC_to_RDR_XfrBlock, .data = data, .len = len };
	struct ccid_patience patience = {
		.timeout_ms = wait_ms, .ceiling_ms = wait_ms, .end = deadline_in_ms(end_ms)
	};
	struct ccid_answer answer;
	enum ccid_result result;

	device_call_begin(device, slot);
	result = device_exchange(device, slot, &command, &patience, false, &answer);
	if (result == CCID_OK) {
		ck_assert_uint_eq(answer.len, len + 2);
		ck_assert_mem_eq(answer.data, data, len);
	}
	device_call_end(device, slot);
	return result;
}

static enum ccid_result xfr_within(unsigned slot, uint8_t tag, int wait_ms, int end_ms)
{
	return xfr_of(slot, tag, 4, wait_ms, end_ms);
}

static enum ccid_result xfr(unsigned slot, uint8_t tag)
{
	return xfr_within(slot, tag, PATIENT_MS, LONG_MS);
}

static enum ccid_result xfr_in_vain(unsigned slot, uint8_t tag)
{
	return xfr_within(slot, tag, WAIT_MS, END_MS);
}

static const struct {
	enum peer_fault fault;
	enum ccid_result result;
	int max_ms;
} faults[] = {
	{ PEER_GOOD, CCID_OK, 1000 },
	{ PEER_WRONG_RECORD, CCID_OK, 1000 },
	{ PEER_BARE_RETURNS, CCID_OK, 1000 },
	{ PEER_ODD_ACTUAL, CCID_OK, 1000 },
	{ PEER_CRUMBS, CCID_OK, 1000 },
	{ PEER_EMPTY_IN, CCID_OK, 1000 },
	{ PEER_RETURNS_OUT_LATE, CCID_OK, 1000 },
	{ PEER_STALE, CCID_OK, 1000 },
	{ PEER_WRONG_SLOT, CCID_OK, 1000 },
	{ PEER_WRONG_TYPE, CCID_GARBLED, 2000 },
	{ PEER_SHORT, CCID_OK, 1000 },
	{ PEER_LENGTH_HUGE, CCID_GARBLED, 2000 },
	{ PEER_TRAILING, CCID_GARBLED, 2000 },
	{ PEER_SPLIT, CCID_OK, 1000 },
	{ PEER_TRUNCATED, CCID_TIMEOUT, 4000 },
	{ PEER_EXTENSIONS, CCID_OK, 1000 },
	{ PEER_ENDLESS, CCID_TIMEOUT, 4000 },
	{ PEER_NO_ANSWER, CCID_TIMEOUT, 2000 },
	{ PEER_DEAF, CCID_TIMEOUT, 4000 },
	{ PEER_LATE, CCID_TIMEOUT, 2000 },
	{ PEER_STALL_IN, CCID_GARBLED, 2000 },
	{ PEER_STUCK, CCID_TIMEOUT, 4000 },
};

START_TEST(survives)
{
	enum ccid_result (*exchange)(unsigned slot, uint8_t tag) =
		faults[_i].result == CCID_TIMEOUT ? xfr_in_vain : xfr;
	int64_t began;
	int64_t ms;

	start(PEER_GOOD);
	ck_assert_int_eq(xfr(0, 0x11), CCID_OK);
	peer_set_fault(peer, faults[_i].fault);
	began = deadline_now();
	ck_assert_int_eq(exchange(0, 0x22), faults[_i].result);
	ms = (deadline_now() - began) / DEADLINE_NS_PER_MS;
	ck_assert_int_lt(ms, suite_bound_ms(faults[_i].max_ms));
	peer_set_fault(peer, PEER_GOOD);
	for (uint8_t tag = 0x30; tag < 0x40; tag++)
		ck_assert_int_eq(xfr(tag & 1, tag), CCID_OK);
	stop();
}
END_TEST

START_TEST(positive_error_codes_are_errors)
{
	start(PEER_POSITIVE_ERRORS);
	ck_assert_int_eq(xfr(0, 1), CCID_OK);
	peer_set_fault(peer, PEER_STALL_IN);
	ck_assert_int_eq(xfr(0, 2), CCID_GARBLED);
	ck_assert_uint_gt(peer_counts(peer).clear_feature + peer_counts(peer).aborts, 0);
	stop();
}
END_TEST

static const enum peer_fault fatal[] = { PEER_UNKNOWN_SEQNUM, PEER_TOO_MUCH, PEER_DIES_IN_MESSAGE };

/* Where nothing can be trusted any more the device is gone, and stays so, without waiting. */
START_TEST(fatal_server)
{
	int64_t began;

	start(PEER_GOOD);
	ck_assert_int_eq(xfr(0, 1), CCID_OK);
	peer_set_fault(peer, fatal[_i]);
	began = deadline_now();
	for (int i = 0; i < 20 && !device_is_gone(device); i++)
		(void)xfr(0, 2);
	ck_assert_int_eq(xfr(0, 3), CCID_GONE);
	ck_assert_int_eq(xfr(1, 3), CCID_GONE);
	ck_assert_int_eq(device_presence(device, 0), CCID_GONE);
	ck_assert_int_eq(device_poll(device, 0, 60000), CCID_GONE);
	ck_assert_int_lt((deadline_now() - began) / DEADLINE_NS_PER_MS, suite_bound_ms(1000));
	stop();
}
END_TEST

START_TEST(comes_back_with_the_server)
{
	start(PEER_GOOD);
	peer_hang_up(peer);
	ck_assert_int_eq(device_poll(device, 0, 10000), CCID_GONE);
	device_unref(device);
	device = device_open(peer_name(peer));
	ck_assert_ptr_nonnull(device);
	ck_assert(device_slot_open(device, 0));
	ck_assert_int_eq(xfr(0, 1), CCID_OK);
	stop();
}
END_TEST

static const enum peer_fault unopenable[] = { PEER_SILENT, PEER_REFUSES, PEER_HANGS_UP,
	PEER_NOT_USBIP };

START_TEST(opening_fails_in_time)
{
	int64_t began = deadline_now();

	peer = peer_start(unopenable[_i]);
	ck_assert_ptr_null(device_open(peer_name(peer)));
	ck_assert_int_lt((deadline_now() - began) / DEADLINE_NS_PER_MS, suite_bound_ms(3000));
	peer_stop(peer);
}
END_TEST

START_TEST(absent_server)
{
	ck_assert_ptr_null(device_open("usbip:unix:/nonexistent/socket/1-1"));
	ck_assert_ptr_null(device_open("usbip:127.0.0.1:1/1-1"));
	ck_assert_ptr_null(device_open("usbip:nonsense"));
	ck_assert_ptr_null(device_open("floppy:a"));
}
END_TEST

START_TEST(transfers_are_few)
{
	struct peer_counts counts;

	start(PEER_GOOD);
	ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	counts = peer_counts(peer);
	ck_assert_uint_eq(counts.control, 3);
	ck_assert_uint_eq(counts.bulk_out, 1);
	ck_assert_uint_eq(counts.bulk_in, 1);
	ck_assert_uint_eq(counts.interrupt, 1);
	for (uint8_t i = 0; i < 100; i++)
		ck_assert_int_eq(xfr(0, i), CCID_OK);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	counts = peer_counts(peer);
	ck_assert_uint_eq(counts.bulk_out, 101);
	ck_assert_uint_eq(counts.bulk_in, 101);
	ck_assert_uint_eq(counts.interrupt, 1);
	ck_assert_uint_eq(counts.clear_feature, 0);
	ck_assert_uint_eq(counts.out_before_in, 0);
	stop();
}
END_TEST

enum {
	PACKET = 64,
	WHOLE = PACKET - CCID_MSG_HEADER_SIZE - 2, /* bytes whose answer is one packet */
	LOOKED_FOR_MS =
		4000, /* after half of this a silent reader is asked for its slot's status */
};

static void *hammer_whole(void *arg)
{
	unsigned slot = *(unsigned *)arg;

	for (unsigned i = 0; i < 200; i++)
		if (xfr_of(slot, (uint8_t)i, WHOLE + PACKET * (i % 3), LOOKED_FOR_MS, LONG_MS) !=
			CCID_OK)
			return arg;
	return NULL;
}

/*
 * An answer that has come but for the empty packet behind it is found by a question of which the
 * answer ends the transfer; after that the reader is read packet by packet.
 */
START_TEST(answer_without_an_end)
{
	start(PEER_NO_END);
	ck_assert_int_eq(xfr(0, 1), CCID_OK);
	ck_assert_uint_eq(peer_counts(peer).bulk_out, 1);
	ck_assert_uint_gt(peer_counts(peer).in_room, PACKET);
	ck_assert_int_eq(xfr_of(0, 2, WHOLE + PACKET, LOOKED_FOR_MS, LONG_MS), CCID_OK);
	ck_assert_uint_eq(peer_counts(peer).bulk_out, 3);
	for (uint8_t tag = 3; tag < 20; tag++)
		ck_assert_int_eq(
			xfr_of(tag & 1, tag, WHOLE + PACKET * (tag % 3U), LOOKED_FOR_MS, LONG_MS),
			CCID_OK);
	ck_assert_uint_eq(peer_counts(peer).bulk_out, 3 + 17);
	ck_assert_uint_eq(peer_counts(peer).aborts, 0);
	stop();
}
END_TEST

/* Both slots at once, by a thread each, of a reader with that fault. */
static void hammer_both(enum peer_fault fault, void *(*how)(void *))
{
	unsigned slots[] = { 0, 1 };
	pthread_t threads[2];
	void *failed;

	start(fault);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, how, &slots[i]);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	stop();
}

/* Two answers in one transfer are two answers, each for its slot. */
START_TEST(answers_in_one_transfer)
{
	hammer_both(PEER_NO_END, hammer_whole);
}
END_TEST

/* A reader that is merely slow is asked, says that it is busy, and is taken for no worse. */
START_TEST(slow_answer)
{
	start(PEER_AT_WORK);
	ck_assert_int_eq(xfr_of(0, 1, WHOLE, LOOKED_FOR_MS, LONG_MS), CCID_OK);
	peer_set_fault(peer, PEER_GOOD);
	ck_assert_int_eq(xfr(0, 2), CCID_OK);
	ck_assert_uint_eq(peer_counts(peer).bulk_out, 3);
	ck_assert_uint_gt(peer_counts(peer).in_room, PACKET);
	ck_assert_uint_eq(peer_counts(peer).aborts, 0);
	stop();
}
END_TEST

START_TEST(card_events)
{
	static const uint8_t removed[] = { 0x50, 0x02 };
	static const uint8_t inserted[] = { 0x50, 0x03 };
	static const uint8_t other_slot[] = { 0x50, 0x09 };

	start(PEER_GOOD);
	ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	ck_assert_int_eq(device_presence(device, 1), CCID_OK);
	ck_assert_int_eq(device_poll(device, 0, 20), CCID_OK);
	ck_assert(peer_notify(peer, removed, sizeof(removed)));
	ck_assert_int_eq(device_poll(device, 0, 10000), CCID_OK);
	ck_assert_int_eq(device_presence(device, 0), CCID_ABSENT);
	while (!peer_notify(peer, inserted, sizeof(inserted)))
		sched_yield();
	ck_assert_int_eq(device_poll(device, 0, 10000), CCID_OK);
	ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	while (!peer_notify(peer, other_slot, sizeof(other_slot)))
		sched_yield();
	ck_assert_int_eq(device_poll(device, 1, 10000), CCID_OK);
	ck_assert_int_eq(device_presence(device, 1), CCID_ABSENT);
	ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	ck_assert_uint_eq(peer_counts(peer).bulk_out, 2);
	device_stop_poll(device, 0);
	ck_assert_int_eq(device_poll(device, 0, 10000), CCID_OK);
	stop();
}
END_TEST

/* The last step: the cards lose their power, and the hosts of both slots are told. */
START_TEST(port_is_reset)
{
	start(PEER_GOOD);
	for (unsigned slot = 0; slot < 2; slot++) {
		ck_assert_int_eq(xfr(slot, 1), CCID_OK);
		ck_assert_int_eq(device_presence(device, slot), CCID_OK);
		device_set_powered(device, slot, true);
	}
	peer_set_fault(peer, PEER_DEAD);
	ck_assert_int_eq(xfr_in_vain(0, 2), CCID_TIMEOUT);
	ck_assert_uint_eq(peer_counts(peer).resets, 1);
	peer_set_fault(peer, PEER_GOOD);
	for (unsigned slot = 0; slot < 2; slot++) {
		ck_assert(!device_powered(device, slot));
		ck_assert_int_eq(device_presence(device, slot), CCID_ABSENT);
		ck_assert_int_eq(device_presence(device, slot), CCID_OK);
		ck_assert_int_eq(xfr(slot, 3), CCID_OK);
	}
	stop();
}
END_TEST

static enum ccid_result power_on(unsigned slot)
{
	struct ccid_command command = { .type = PC_to_RDR_IccPowerOn };
	struct ccid_patience patience = {
		.timeout_ms = PATIENT_MS, .ceiling_ms = PATIENT_MS, .end = deadline_in_ms(LONG_MS)
	};
	struct ccid_answer answer;
	enum ccid_result result;

	device_call_begin(device, slot);
	result = device_exchange(device, slot, &command, &patience, false, &answer);
	device_call_end(device, slot);
	return result;
}

/*
 * The system has reset the port, as after a suspend, and the device kept its address: the first
 * command fails, the host is told that the card was replaced, and with power it works.
 */
START_TEST(port_reset_by_others)
{
	start(PEER_GOOD);
	ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	ck_assert_int_eq(power_on(0), CCID_OK);
	device_set_powered(device, 0, true);
	ck_assert_int_eq(xfr(0, 1), CCID_OK);
	peer_set_fault(peer, PEER_POWERLESS);
	ck_assert_int_eq(xfr(0, 2), CCID_REFUSED);
	ck_assert(!device_powered(device, 0));
	ck_assert_int_eq(device_poll(device, 0, 10000), CCID_OK);
	ck_assert_int_eq(device_presence(device, 0), CCID_ABSENT);
	ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	ck_assert_int_eq(power_on(0), CCID_OK);
	ck_assert_int_eq(xfr(0, 3), CCID_OK);
	ck_assert_uint_eq(peer_counts(peer).resets, 0);
	stop();
}
END_TEST

enum {
	EVENT_ERRORS = 3, /* before the interrupt pipe is given up */
	POLL_MS = 150,
};

/* A reader whose interrupt pipe stays halted is looked at now and then, not all the time. */
START_TEST(interrupt_pipe_stays_halted)
{
	int64_t began;

	start(PEER_EVENT_HALT);
	ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	while (peer_counts(peer).interrupt < EVENT_ERRORS)
		ck_assert_int_eq(device_poll(device, 0, POLL_MS), CCID_OK);
	/* This one may still see the last of the errors come. */
	ck_assert_int_eq(device_poll(device, 0, POLL_MS), CCID_OK);
	began = deadline_now();
	ck_assert_int_eq(device_poll(device, 0, POLL_MS), CCID_OK);
	ck_assert_int_ge((deadline_now() - began) / DEADLINE_NS_PER_MS, POLL_MS);
	ck_assert_uint_eq(peer_counts(peer).interrupt, EVENT_ERRORS);
	ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	stop();
}
END_TEST

static char quirks[] = "/tmp/ccid-device-XXXXXX";

/* Opens the reader while these lines are said of it. */
static struct device *open_with_quirk(const char *lines)
{
	struct device *opened;
	char path[64];
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(quirks));
	snprintf(path, sizeof(path), "%s/10-test.quirks", quirks);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "[test]\nMatchUsb=1234:5678\n%s\n", lines);
	fclose(file);
	setenv("CARDWIRE_QUIRKS", quirks, 1);
	opened = device_open(peer_name(peer));
	unsetenv("CARDWIRE_QUIRKS");
	unlink(path);
	rmdir(quirks);
	memcpy(quirks + strlen(quirks) - 6, "XXXXXX", 6);
	return opened;
}

/* It is closed again while card changes are told without end. */
START_TEST(not_accepted_among_events)
{
	peer = peer_start(PEER_EVENT_FLOOD);
	for (int i = 0; i < 20; i++)
		ck_assert_ptr_null(open_with_quirk("init-escape=01\ninit-required=yes"));
	peer_stop(peer);
}
END_TEST

/* A request that speaks of more data than there is is not made. */
START_TEST(mode_switch_of_wrong_length)
{
	peer = peer_start(PEER_GOOD);
	ck_assert_ptr_null(open_with_quirk("mode-switch=2109000200000001"));
	/* Two descriptors. */
	ck_assert_uint_eq(peer_counts(peer).control, 2);
	ck_assert_ptr_null(open_with_quirk("mode-switch=2109000200000000"));
	ck_assert_uint_gt(peer_counts(peer).control, 4);
	peer_stop(peer);
}
END_TEST

static void ignore(struct port_transfer *transfer)
{
	(void)transfer;
}

enum {
	CANCELLED = 100, /* more than are remembered */
};

/* What is taken back is named by its own number, however many the server has never answered. */
START_TEST(cancelled_without_answers)
{
	uint8_t bytes[PACKET];
	struct port_transfer in = {
		.endpoint = 0x82, .buffer = bytes, .length = sizeof(bytes), .done = ignore
	};
	uint8_t setup[USB_SETUP_SIZE] = { USB_DIR_OUT, USB_REQ_CLEAR_FEATURE };
	struct port *port;

	peer = peer_start(PEER_NO_RET_UNLINK);
	port = port_open(peer_name(peer), NULL, NULL);
	ck_assert_ptr_nonnull(port);
	for (int i = 0; i < CANCELLED; i++) {
		ck_assert(port_submit(port, &in));
		port_cancel(port, &in);
		ck_assert_int_eq(in.status, PORT_CANCELLED);
	}
	/* The server has seen all before this. */
	ck_assert_int_eq(port_control(port, setup, NULL, NULL, deadline_in_ms(LONG_MS)), PORT_OK);
	ck_assert_uint_eq(peer_counts(peer).bulk_in, CANCELLED);
	ck_assert_uint_eq(peer_counts(peer).unlinked_others, 0);
	port_close(port);
	peer_stop(peer);
}
END_TEST

/* Slot 1 at work, until it is aborted. */
static void *work(void *arg)
{
	static const uint8_t data[] = { 1, 2, 3, 4 };
	struct ccid_command command = {
		.type = PC_to_RDR_XfrBlock, .data = data, .len = sizeof(data)
	};
	struct ccid_patience patience = {
		.timeout_ms = 60000, .ceiling_ms = 60000, .end = deadline_in_ms(60000)
	};
	struct ccid_answer answer;

	device_call_begin(device, 1);
	*(enum ccid_result *)arg = device_exchange(device, 1, &command, &patience, false, &answer);
	device_call_end(device, 1);
	return NULL;
}

/* Where one slot may be busy, the card in the other is not lost meanwhile. */
START_TEST(presence_beside_a_busy_slot)
{
	enum ccid_result other = CCID_OK;
	pthread_t thread;
	unsigned before;

	peer = peer_start(PEER_NO_ANSWER);
	device = open_with_quirk("busy-slots=1\npresence=polling\nstatus-timeout=1000");
	ck_assert_ptr_nonnull(device);
	ck_assert(device_slot_open(device, 0));
	ck_assert(device_slot_open(device, 1));
	while (device_presence(device, 0) != CCID_OK)
		ck_assert(!device_is_gone(device));
	before = peer_counts(peer).bulk_out;
	pthread_create(&thread, NULL, work, &other);
	while (peer_counts(peer).bulk_out == before)
		sched_yield();
	ck_assert_int_eq(device_presence(device, 0), CCID_OK);
	ck_assert_uint_eq(peer_counts(peer).bulk_out, before + 1);
	device_abort(device, 1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(other, CCID_ABORTED);
	stop();
}
END_TEST

START_TEST(no_port_reset_while_another_slot_is_at_work)
{
	enum ccid_result other = CCID_OK;
	pthread_t thread;

	start(PEER_NO_ANSWER);
	pthread_create(&thread, NULL, work, &other);
	while (peer_counts(peer).bulk_out == 0)
		sched_yield();
	peer_set_fault(peer, PEER_DEAD);
	ck_assert_int_eq(xfr_in_vain(0, 2), CCID_TIMEOUT);
	ck_assert_uint_eq(peer_counts(peer).resets, 0);
	device_abort(device, 1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(other, CCID_ABORTED);
	peer_set_fault(peer, PEER_GOOD);
	/* Recovery is tried again before the next command, at the cost of that one's short time. */
	ck_assert_int_eq(xfr_in_vain(0, 3), CCID_TIMEOUT);
	ck_assert_uint_eq(peer_counts(peer).resets, 1);
	ck_assert_int_eq(xfr(0, 4), CCID_OK);
	stop();
}
END_TEST

static void *abort_soon(void *arg)
{
	(void)arg;
	while (peer_counts(peer).bulk_out == 0)
		sched_yield();
	device_abort(device, 0);
	return NULL;
}

START_TEST(abort_ends_an_exchange)
{
	static const uint8_t data[] = { 1, 2, 3, 4 };
	struct ccid_command command = {
		.type = PC_to_RDR_XfrBlock, .data = data, .len = sizeof(data)
	};
	struct ccid_patience patience = {
		.timeout_ms = 60000, .ceiling_ms = 60000, .end = deadline_in_ms(60000)
	};
	struct ccid_answer answer;
	int64_t began = deadline_now();
	pthread_t thread;

	start(PEER_NO_ANSWER);
	/* Without a call to abort it does nothing. */
	device_abort(device, 0);
	device_call_begin(device, 0);
	pthread_create(&thread, NULL, abort_soon, NULL);
	ck_assert_int_eq(
		device_exchange(device, 0, &command, &patience, false, &answer), CCID_ABORTED);
	/* The whole call is over. */
	ck_assert_int_eq(
		device_exchange(device, 0, &command, &patience, false, &answer), CCID_ABORTED);
	pthread_join(thread, NULL);
	device_call_end(device, 0);
	ck_assert_int_lt((deadline_now() - began) / DEADLINE_NS_PER_MS, suite_bound_ms(1000));
	peer_set_fault(peer, PEER_GOOD);
	ck_assert_int_eq(xfr(0, 5), CCID_OK);
	stop();
}
END_TEST

static char recorded[RECORDER_TEXT_MIN];

/* What was recorded of the reader so far. */
static const char *recording(void)
{
	size_t length = sizeof(recorded) - 1;
	uint64_t position = 0;

	ck_assert_int_eq(
		recorder_read(peer_name(peer), &position, 0, recorded, &length), RECORDER_LIVE);
	recorded[length] = '\0';
	return recorded;
}

/*
 * The response to a secret command that comes too late, when the command has been given up, is as
 * secret as it would have been in time.
 */
START_TEST(late_secrets)
{
	static const uint8_t data[] = { 0x00, 0x2A, 0x80, 0x86 };
	struct ccid_command command = {
		.type = PC_to_RDR_XfrBlock, .data = data, .len = sizeof(data), .shape = MASK_APDU
	};
	struct ccid_patience patience = { .timeout_ms = WAIT_MS, .ceiling_ms = WAIT_MS };
	struct ccid_answer answer;

	start(PEER_LATE);
	/* Again, should the answer be lost on the way: the machine was too busy for the Abort. */
	do {
		patience.end = deadline_in_ms(END_MS);
		device_call_begin(device, 0);
		ck_assert_int_eq(device_exchange(device, 0, &command, &patience, true, &answer),
			CCID_TIMEOUT);
		device_call_end(device, 0);
	} while (!strstr(recording(), "9000\n"));
	ck_assert_ptr_null(strstr(recorded, "DEAD"));
	peer_set_fault(peer, PEER_GOOD);
	ck_assert_int_eq(xfr(0, 1), CCID_OK);
	stop();
}
END_TEST

static void *hammer(void *arg)
{
	unsigned slot = *(unsigned *)arg;

	for (unsigned i = 0; i < 500; i++)
		if (xfr_within(slot, (uint8_t)i, 10000, 20000) != CCID_OK)
			return arg;
	return NULL;
}

START_TEST(slots_run_side_by_side)
{
	hammer_both(PEER_GOOD, hammer);
}
END_TEST

/* Each is recorded while the other slot begins a command. */
START_TEST(answers_that_nobody_awaits)
{
	hammer_both(PEER_STRAYS, hammer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ccid_device");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, survives, 0, sizeof(faults) / sizeof(faults[0]));
	tcase_add_test(tc, positive_error_codes_are_errors);
	tcase_add_loop_test(tc, fatal_server, 0, sizeof(fatal) / sizeof(fatal[0]));
	tcase_add_test(tc, comes_back_with_the_server);
	tcase_add_loop_test(
		tc, opening_fails_in_time, 0, sizeof(unopenable) / sizeof(unopenable[0]));
	tcase_add_test(tc, absent_server);
	tcase_add_test(tc, transfers_are_few);
	tcase_add_test(tc, answer_without_an_end);
	tcase_add_test(tc, answers_in_one_transfer);
	tcase_add_test(tc, slow_answer);
	tcase_add_test(tc, card_events);
	tcase_add_test(tc, interrupt_pipe_stays_halted);
	tcase_add_test(tc, not_accepted_among_events);
	tcase_add_test(tc, mode_switch_of_wrong_length);
	tcase_add_test(tc, cancelled_without_answers);
	tcase_add_test(tc, port_is_reset);
	tcase_add_test(tc, port_reset_by_others);
	tcase_add_test(tc, presence_beside_a_busy_slot);
	tcase_add_test(tc, no_port_reset_while_another_slot_is_at_work);
	tcase_add_test(tc, abort_ends_an_exchange);
	tcase_add_test(tc, late_secrets);
	tcase_add_test(tc, slots_run_side_by_side);
	tcase_add_test(tc, answers_that_nobody_awaits);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
