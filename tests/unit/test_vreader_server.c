/* SPDX-License-Identifier: BSD-3-Clause */
/* The USB/IP server against a client in the same thread, well-behaved and hostile. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "suite.h"
#include "spec/ccid.h"
#include "spec/usbip.h"
#include "vreader/bytes.h"
#include "vreader/loop.h"
#include "vreader/rack.h"
#include "vreader/usb/address.h"
#include "vreader/usb/usbip_server.h"

enum {
	READERS = 2,
};

static struct loop *loop;
static struct rack rack;

static void setup(void)
{
	struct profile p;

	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	ck_assert(profile_builtin("extended", &p));
	ck_assert(rack_init(&rack, &p, READERS, &card_options_default));
	rack.server = usbip_server_new(loop, rack.devices, rack.count);
	ck_assert_ptr_nonnull(rack.server);
}

static void teardown(void)
{
	usbip_server_free(rack.server);
	rack_free(&rack);
	loop_free(loop);
}

/* A client's end of a connection; the server's end never blocks, so neither side needs a thread. */
static int client_new(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	ck_assert(usbip_server_adopt(rack.server, fds[0]));
	return fds[1];
}

/* Lets the server handle what is there already. */
static void serve_pending(void)
{
	for (int i = 0; i < 20; i++) {
		ck_assert(loop_once(loop, 0));
		usbip_server_run(rack.server, loop_now());
	}
}

static void client_send(int fd, const void *data, size_t len)
{
	ck_assert_int_eq(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
	serve_pending();
}

/* Exactly len bytes are there. */
static void client_expect(int fd, uint8_t *data, size_t len)
{
	size_t n = 0;

	while (n < len) {
		ssize_t got = recv(fd, data + n, len - n, 0);

		ck_assert_msg(got > 0, "%zu of %zu bytes came", n, len);
		n += (size_t)got;
		serve_pending();
	}
}

static void client_expect_nothing(int fd)
{
	uint8_t byte;

	ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

static void client_expect_end(int fd)
{
	uint8_t byte;

	errno = 0;
	ck_assert_int_le(recv(fd, &byte, 1, 0), 0);
	ck_assert_int_ne(errno, EAGAIN);
	close(fd);
}

static void op(uint8_t *out, uint16_t code)
{
	memset(out, 0, 8);
	put_be16(out, USBIP_VERSION);
	put_be16(out + 2, code);
}

/* The status of an import; the device record in record when it is 0. */
static uint32_t import(int fd, const char *busid, uint8_t record[USBIP_DEV_SIZE])
{
	uint8_t req[USBIP_REQ_IMPORT_SIZE], head[8];

	op(req, USBIP_OP_REQ_IMPORT);
	memset(req + 8, 0x55, 32);
	memcpy(req + 8, busid, strlen(busid) + 1);
	client_send(fd, req, sizeof(req));
	client_expect(fd, head, 8);
	ck_assert_uint_eq(get_be16(head + 2), USBIP_OP_REP_IMPORT);
	if (get_be32(head + 4) == 0)
		client_expect(fd, record, USBIP_DEV_SIZE);
	return get_be32(head + 4);
}

static void header(
	uint8_t *h, uint32_t command, uint32_t seqnum, uint32_t devid, uint32_t in, uint32_t ep)
{
	memset(h, 0, USBIP_HEADER_SIZE);
	put_be32(h, command);
	put_be32(h + USBIP_seqnum, seqnum);
	put_be32(h + USBIP_devid, devid);
	put_be32(h + USBIP_direction, in);
	put_be32(h + USBIP_ep, ep);
}

static void submit(
	int fd, uint32_t seqnum, uint32_t in, uint32_t ep, const void *data, uint32_t len)
{
	uint8_t msg[USBIP_HEADER_SIZE + 512];

	header(msg, USBIP_CMD_SUBMIT, seqnum, 0x10001, in, ep);
	put_be32(msg + USBIP_SUBMIT_transfer_buffer_length, len);
	if (!in && len)
		memcpy(msg + USBIP_HEADER_SIZE, data, len);
	client_send(fd, msg, USBIP_HEADER_SIZE + (in ? 0 : len));
}

static int imported(void)
{
	uint8_t record[USBIP_DEV_SIZE];
	int fd = client_new();

	ck_assert_uint_eq(import(fd, "1-1", record), 0);
	return fd;
}

START_TEST(test_devlist)
{
	uint8_t req[8], rep[12], dev[316];
	int fd = client_new();

	op(req, USBIP_OP_REQ_DEVLIST);
	client_send(fd, req, 3);
	client_expect_nothing(fd);
	client_send(fd, req + 3, 5);
	client_expect(fd, rep, 12);
	ck_assert_uint_eq(get_be16(rep), USBIP_VERSION);
	ck_assert_uint_eq(get_be16(rep + 2), USBIP_OP_REP_DEVLIST);
	ck_assert_uint_eq(get_be32(rep + 4), 0);
	ck_assert_uint_eq(get_be32(rep + 8), READERS);
	for (unsigned i = 0; i < READERS; i++) {
		client_expect(fd, dev, sizeof(dev));
		ck_assert_uint_eq(dev[USBIP_DEV_busid + 2], '1' + i);
		ck_assert_uint_eq(get_be32(dev + USBIP_DEV_devnum), 1 + i);
		ck_assert_uint_eq(get_be16(dev + USBIP_DEV_idVendor), 0x1209);
		ck_assert_uint_eq(dev[USBIP_DEV_SIZE], CCID_INTERFACE_CLASS);
	}
	client_expect_end(fd);
}
END_TEST

START_TEST(test_import_and_release)
{
	uint8_t record[USBIP_DEV_SIZE], req[8], rep[12];
	int a = client_new(), b = client_new(), c;

	ck_assert_uint_eq(import(a, "1-2", record), 0);
	ck_assert_str_eq((char *)record + USBIP_DEV_busid, "1-2");
	ck_assert_uint_eq(import(b, "1-2", record), USBIP_ST_DEV_BUSY);
	client_expect_end(b);
	b = client_new();
	ck_assert_uint_eq(import(b, "9-9", record), USBIP_ST_NODEV);
	client_expect_end(b);
	c = client_new();
	op(req, USBIP_OP_REQ_DEVLIST);
	client_send(c, req, 8);
	client_expect(c, rep, 12);
	ck_assert_uint_eq(get_be32(rep + 8), READERS - 1);
	close(c);
	ck_assert(usbip_server_imported(rack.server, 1));
	close(a);
	serve_pending();
	ck_assert(!usbip_server_imported(rack.server, 1));
	b = client_new();
	ck_assert_uint_eq(import(b, "1-2", record), 0);
	close(b);
}
END_TEST

START_TEST(test_submit)
{
	static const uint8_t get_status[] = { PC_to_RDR_GetSlotStatus, 0, 0, 0, 0, 0, 7, 0, 0, 0 };
	uint8_t ret[USBIP_HEADER_SIZE + 64];
	int fd = imported();

	/* The IN transfer first, as a good driver does: answers come as they are ready. */
	submit(fd, 1, USBIP_DIR_IN, 1, NULL, 64);
	client_expect_nothing(fd);
	submit(fd, 2, USBIP_DIR_OUT, 1, get_status, 10);
	client_expect(fd, ret, USBIP_HEADER_SIZE);
	ck_assert_uint_eq(get_be32(ret), USBIP_RET_SUBMIT);
	ck_assert_uint_eq(get_be32(ret + 4), 2);
	ck_assert_uint_eq(get_be32(ret + USBIP_RET_actual_length), 10);
	client_expect(fd, ret, USBIP_HEADER_SIZE + 10);
	ck_assert_uint_eq(get_be32(ret + 4), 1);
	ck_assert_uint_eq(get_be32(ret + USBIP_RET_status), 0);
	ck_assert_uint_eq(get_be32(ret + USBIP_RET_actual_length), 10);
	ck_assert_mem_eq(ret + USBIP_HEADER_SIZE, "\x81\0\0\0\0\0\7\2\0", 9);
	client_expect_nothing(fd);
	close(fd);
}
END_TEST

START_TEST(test_unlink)
{
	uint8_t msg[USBIP_HEADER_SIZE], ret[USBIP_HEADER_SIZE];
	int fd = imported();

	submit(fd, 5, USBIP_DIR_IN, 2, NULL, 8);
	header(msg, USBIP_CMD_UNLINK, 6, 0x10001, 0, 0);
	put_be32(msg + USBIP_UNLINK_unlink_seqnum, 5);
	client_send(fd, msg, sizeof(msg));
	client_expect(fd, ret, sizeof(ret));
	ck_assert_uint_eq(get_be32(ret), USBIP_RET_UNLINK);
	ck_assert_uint_eq(get_be32(ret + 4), 6);
	ck_assert_int_eq((int32_t)get_be32(ret + USBIP_RET_UNLINK_status), USBIP_STATUS_ECONNRESET);
	put_be32(msg + 4, 7);
	client_send(fd, msg, sizeof(msg));
	client_expect(fd, ret, sizeof(ret));
	ck_assert_uint_eq(get_be32(ret + USBIP_RET_UNLINK_status), 0);
	client_expect_nothing(fd);
	close(fd);
}
END_TEST

START_TEST(test_unplug_and_plug)
{
	uint8_t record[USBIP_DEV_SIZE];
	int fd = imported();

	ck_assert(!usbip_server_plug(rack.server, 0));
	ck_assert(usbip_server_unplug(rack.server, 0));
	ck_assert(!usbip_server_unplug(rack.server, 0));
	client_expect_end(fd);
	fd = client_new();
	ck_assert_uint_eq(import(fd, "1-1", record), USBIP_ST_NODEV);
	client_expect_end(fd);
	ck_assert(usbip_server_plug(rack.server, 0));
	close(imported());
}
END_TEST

START_TEST(test_plug_after_a_fault_pulled_it)
{
	static const uint8_t get_status[] = { PC_to_RDR_GetSlotStatus, 0, 0, 0, 0, 0, 1, 0, 0, 0 };
	char path[] = "/tmp/test_vreader_server.XXXXXX", why[256];
	int file = mkstemp(path), fd = imported();

	ck_assert_int_ge(file, 0);
	ck_assert_int_gt(dprintf(file, "on GetSlotStatus 1 disappear\n"), 0);
	close(file);
	ck_assert(rack_load_faults(&rack, path, why, sizeof(why)));
	unlink(path);
	submit(fd, 1, USBIP_DIR_OUT, 1, get_status, sizeof(get_status));
	ck_assert(!usbip_server_plugged(rack.server, 0));
	close(fd);
	ck_assert(usbip_server_plug(rack.server, 0));
	serve_pending();
	ck_assert(usbip_server_plugged(rack.server, 0));
	close(imported());
}
END_TEST

/* Ways to break the protocol: each ends that connection and leaves the server as it was. */
static void hostile(int n, int fd)
{
	uint8_t msg[USBIP_HEADER_SIZE + 8];

	header(msg, USBIP_CMD_SUBMIT, 1, 0x10001, USBIP_DIR_IN, 1);
	switch (n) {
	case 0:
		put_be32(msg, 99);
		break;
	case 1:
		put_be32(msg + USBIP_devid, 0x10002);
		break;
	case 2:
		put_be32(msg + USBIP_SUBMIT_transfer_buffer_length, 0xFFFFFFFF);
		break;
	case 3:
		put_be32(msg + USBIP_SUBMIT_transfer_buffer_length, (1 << 20) + 1);
		break;
	case 4:
		put_be32(msg + USBIP_ep, 0x81);
		break;
	case 5:
		put_be32(msg + USBIP_SUBMIT_number_of_packets, 3);
		break;
	default:
		break;
	}
	client_send(fd, msg, USBIP_HEADER_SIZE);
}

START_TEST(test_hostile_commands)
{
	int fd = imported();

	hostile(_i, fd);
	client_expect_end(fd);
	ck_assert(!usbip_server_imported(rack.server, 0));
	close(imported());
}
END_TEST

START_TEST(test_hostile_first_phase)
{
	uint8_t req[8] = { 0 };
	int fd = client_new();

	op(req, 0x1234);
	client_send(fd, req, 8);
	client_expect_end(fd);
	close(imported());
}
END_TEST

START_TEST(test_too_many_transfers)
{
	int fd = imported();
	uint8_t msg[USBIP_HEADER_SIZE];

	for (uint32_t i = 0; i < 257; i++) {
		header(msg, USBIP_CMD_SUBMIT, i + 1, 0x10001, USBIP_DIR_IN, 1);
		put_be32(msg + USBIP_SUBMIT_transfer_buffer_length, 64);
		client_send(fd, msg, sizeof(msg));
	}
	client_expect_end(fd);
	close(imported());
}
END_TEST

START_TEST(test_client_that_never_reads)
{
	/* Control transfers that are answered at once, until the server stops taking more. */
	uint8_t msg[USBIP_HEADER_SIZE];
	int fd = imported();
	long sent = 0;

	header(msg, USBIP_CMD_SUBMIT, 1, 0x10001, USBIP_DIR_IN, 0);
	put_be32(msg + USBIP_SUBMIT_transfer_buffer_length, 255);
	memcpy(msg + USBIP_SUBMIT_setup, "\x80\x06\x00\x02\x00\x00\xFF\x00", 8);
	for (int idle = 0; idle < 3;) {
		if (send(fd, msg, sizeof(msg), MSG_NOSIGNAL) == (ssize_t)sizeof(msg)) {
			sent++;
			idle = 0;
		} else {
			ck_assert_int_eq(errno, EAGAIN);
			serve_pending();
			idle++;
		}
		ck_assert_int_lt(sent, 400000);
	}
	/* The other reader is served all the same. */
	{
		uint8_t record[USBIP_DEV_SIZE];
		int other = client_new();

		ck_assert_uint_eq(import(other, "1-2", record), 0);
		close(other);
	}
	close(fd);
	serve_pending();
	ck_assert(!usbip_server_imported(rack.server, 0));
}
END_TEST

/* No descriptor is left for whoever comes: they are turned away, and the loop sleeps. */
START_TEST(test_no_descriptors)
{
	char folder[] = "/tmp/test_vreader_server.XXXXXX", address[80], why[256] = "";
	struct rlimit limit;
	int clients[8];
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(address, sizeof(address), "unix:%s/usbip", folder);
	fd = address_listen(address, why, sizeof(why));
	ck_assert_msg(fd >= 0, "%s", why);
	ck_assert(usbip_server_listen(rack.server, fd));
	for (int i = 0; i < 8; i++) {
		clients[i] = address_connect_unix(address + 5, why, sizeof(why));
		ck_assert_msg(clients[i] >= 0, "%s", why);
	}
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)clients[7] + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	serve_pending();
	for (int i = 0; i < 8; i++) {
		uint8_t byte;

		ck_assert_int_eq(recv(clients[i], &byte, 1, MSG_DONTWAIT), 0);
		close(clients[i]);
	}
	/* Then there are some again. */
	fd = address_connect_unix(address + 5, why, sizeof(why));
	ck_assert_msg(fd >= 0, "%s", why);
	serve_pending();
	client_send(fd, "\x01\x11\x80\x05\0\0\0\0", 8);
	client_expect(fd, (uint8_t[12]){ 0 }, 12);
	close(fd);
	address_forget(address);
	rmdir(folder);
}
END_TEST

/* As many importers as there are devices. */
START_TEST(test_many_devices)
{
	enum {
		MANY = 1100,
	};
	struct rlimit limit;
	struct profile p;
	uint8_t req[USBIP_REQ_IMPORT_SIZE], rep[USBIP_REP_IMPORT_SIZE];
	static int clients[MANY];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 2 * MANY + 64)
		return;
	usbip_server_free(rack.server);
	rack_free(&rack);
	ck_assert(profile_builtin("short", &p));
	ck_assert(rack_init(&rack, &p, MANY, &card_options_default));
	rack.server = usbip_server_new(loop, rack.devices, rack.count);
	ck_assert_ptr_nonnull(rack.server);
	op(req, USBIP_OP_REQ_IMPORT);
	for (int i = 0; i < MANY; i++) {
		clients[i] = client_new();
		snprintf((char *)req + USBIP_REQ_IMPORT_busid, USBIP_BUSID_SIZE, "1-%d", i + 1);
		ck_assert_int_eq(send(clients[i], req, sizeof(req), 0), sizeof(req));
		ck_assert(loop_once(loop, 0));
		ck_assert_int_eq(recv(clients[i], rep, sizeof(rep), 0), sizeof(rep));
		ck_assert_uint_eq(get_be32(rep + USBIP_OP_status), USBIP_ST_OK);
	}
	for (int i = 0; i < MANY; i++)
		close(clients[i]);
}
END_TEST

START_TEST(test_disconnect_in_the_middle)
{
	static const uint8_t slow[] = { PC_to_RDR_XfrBlock, 5, 0, 0, 0, 0, 2, 0, 0, 0, 0x80, 0xEE,
		0x27, 0x10, 0 };
	static const uint8_t on[] = { PC_to_RDR_IccPowerOn, 0, 0, 0, 0, 0, 1, 0, 0, 0 };
	struct rack_slot where;
	int fd;

	ck_assert(rack_find(&rack, 0, 0, &where));
	ck_assert_ptr_null(rack_insert(&where, "iso", &card_options_default));
	ck_assert_ptr_nonnull(rack_insert(&where, "iso", &card_options_default));
	ck_assert(ccid_remove(where.ccid, where.slot));
	ck_assert_ptr_nonnull(rack_insert(&where, "none such", &card_options_default));
	ck_assert_ptr_null(rack_insert(&where, "iso", &card_options_default));
	ck_assert(!rack_find(&rack, 0, 1, &where) && !rack_find(&rack, READERS, 0, &where));
	fd = imported();
	submit(fd, 1, USBIP_DIR_IN, 1, NULL, 512);
	submit(fd, 2, USBIP_DIR_IN, 2, NULL, 8);
	submit(fd, 3, USBIP_DIR_OUT, 1, on, sizeof(on));
	submit(fd, 4, USBIP_DIR_OUT, 1, slow, sizeof(slow));
	ck_assert_int_ne(usbip_server_deadline(rack.server), INT64_MAX);
	close(fd);
	serve_pending();
	ck_assert_int_eq(usbip_server_deadline(rack.server), INT64_MAX);
	close(imported());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_server");
	TCase *tc = tcase_create("server");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_devlist);
	tcase_add_test(tc, test_import_and_release);
	tcase_add_test(tc, test_submit);
	tcase_add_test(tc, test_unlink);
	tcase_add_test(tc, test_unplug_and_plug);
	tcase_add_test(tc, test_plug_after_a_fault_pulled_it);
	tcase_add_loop_test(tc, test_hostile_commands, 0, 6);
	tcase_add_test(tc, test_hostile_first_phase);
	tcase_add_test(tc, test_too_many_transfers);
	tcase_add_test(tc, test_client_that_never_reads);
	tcase_add_test(tc, test_no_descriptors);
	tcase_add_test(tc, test_many_devices);
	tcase_add_test(tc, test_disconnect_in_the_middle);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
