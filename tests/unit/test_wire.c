/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests and replies as bytes. The strings are written down from the protocol's description for a
 * little-endian machine, field by field, and don't use the structs under test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcsclite.h>

#include "suite.h"
#include "wire/wire.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

static uint8_t bytes[WIRE_MESSAGE_MAX];
static size_t length;

static void put(const char *hex)
{
	unsigned value;
	int used;

	while (sscanf(hex, "%2x%n", &value, &used) == 1) {
		bytes[length++] = (uint8_t)value;
		hex += used;
		hex += strspn(hex, " ");
	}
}

static void put_zeros(size_t count)
{
	memset(bytes + length, 0, count);
	length += count;
}

/* A reader's name in a field of 128 bytes. */
static void put_name(const char *name)
{
	size_t start = length;

	memcpy(bytes + length, name, strlen(name));
	length += strlen(name);
	put_zeros(start + 128 - length);
}

static void setup(void)
{
	length = 0;
}

/* Decodes what was put, which must be one whole message; also that each shorter piece is not. */
static void decode(int dialect, struct wire_request *request)
{
	size_t needed;

	ck_assert_int_eq(wire_decode(bytes, length, dialect, request, &needed), WIRE_OK);
	ck_assert_uint_eq(needed, length);
	for (size_t cut = 0; cut < length; cut++) {
		struct wire_request part;

		ck_assert_int_eq(wire_decode(bytes, cut, dialect, &part, &needed), WIRE_MORE);
		ck_assert_uint_gt(needed, cut);
		ck_assert_uint_le(needed, length);
	}
}

/* What the encoder makes of the request must be the bytes that were put, but for the tail. */
static void check_encoding(int dialect, const struct wire_request *request)
{
	uint8_t out[WIRE_REQUEST_MAX];
	size_t size = wire_encode(request->command, dialect, &request->body, out);

	ck_assert_uint_eq(size, length - request->tail_length);
	ck_assert_mem_eq(out, bytes, size);
}

START_TEST(connect_request)
{
	struct wire_request request;

	put("98000000 04000000 78563412");
	put_name("Reader X 00 00");
	put("02000000 03000000 00000000 00000000 00000000");
	decode(4, &request);
	ck_assert_uint_eq(request.command, WIRE_CONNECT);
	ck_assert_uint_eq(request.body.connect.hContext, 0x12345678);
	ck_assert_str_eq(request.body.connect.szReader, "Reader X 00 00");
	ck_assert_uint_eq(request.body.connect.dwShareMode, SCARD_SHARE_SHARED);
	ck_assert_uint_eq(request.body.connect.dwPreferredProtocols, SCARD_PROTOCOL_ANY);
	ck_assert_ptr_null(request.tail);
	check_encoding(4, &request);
}
END_TEST

START_TEST(connect_name_is_terminated)
{
	struct wire_request request;
	char name[129] = { 0 };

	memset(name, 'n', 128);
	put("98000000 04000000 01000000");
	put_name(name);
	put("02000000 03000000 00000000 00000000 00000000");
	decode(6, &request);
	ck_assert_uint_eq(strlen(request.body.connect.szReader), 127);
}
END_TEST

START_TEST(transmit_request)
{
	struct wire_request request;

	/* SELECT MF by T=1, 264 bytes of room; no control information for the answer. */
	put("20000000 09000000");
	put("21430000 02000000 10000000 07000000 03000000 10000000 08010000 00000000");
	put("00A4000C023F00");
	decode(6, &request);
	ck_assert_int_eq(request.body.transmit.hCard, 0x4321);
	ck_assert_uint_eq(request.body.transmit.ioSendPciProtocol, SCARD_PROTOCOL_T1);
	ck_assert_uint_eq(request.body.transmit.ioSendPciLength, 16);
	ck_assert_uint_eq(request.body.transmit.ioRecvPciProtocol, 3);
	ck_assert_uint_eq(request.body.transmit.ioRecvPciLength, 16);
	ck_assert_uint_eq(request.body.transmit.pcbRecvLength, 264);
	ck_assert_uint_eq(request.tail_length, 7);
	ck_assert_mem_eq(request.tail, "\x00\xA4\x00\x0C\x02\x3F\x00", 7);
	check_encoding(6, &request);
}
END_TEST

START_TEST(control_request)
{
	struct wire_request request;

	put("18000000 0A000000 21430000 480D0042 01000000 08010000 00000000 00000000 FF");
	decode(3, &request);
	ck_assert_uint_eq(request.body.control.dwControlCode, 0x42000D48);
	ck_assert_uint_eq(request.body.control.cbRecvLength, 264);
	ck_assert_uint_eq(request.tail_length, 1);
	check_encoding(3, &request);
}
END_TEST

START_TEST(attribute_request)
{
	struct wire_request request;

	put("18010000 0F000000 21430000 03030900");
	put_zeros(264);
	put("08010000 00000000");
	decode(4, &request);
	ck_assert_uint_eq(request.body.getset.dwAttrId, 0x00090303);
	ck_assert_uint_eq(request.body.getset.cbAttrLen, 264);
	check_encoding(4, &request);
}
END_TEST

/* The other requests: name, what is on the wire, and the fields it must become. */
START_TEST(small_requests)
{
	struct wire_request r;

	put("0C000000 01000000 02000000 00000000 00000000");
	decode(6, &r);
	ck_assert_uint_eq(r.body.establish.dwScope, SCARD_SCOPE_SYSTEM);
	check_encoding(6, &r);
	length = 0;
	put("08000000 02000000 04030201 00000000");
	decode(6, &r);
	ck_assert_uint_eq(r.body.release.hContext, 0x01020304);
	check_encoding(6, &r);
	length = 0;
	put("18000000 05000000 09000000 01000000 02000000 01000000 00000000 00000000");
	decode(6, &r);
	ck_assert_int_eq(r.body.reconnect.hCard, 9);
	ck_assert_uint_eq(r.body.reconnect.dwShareMode, SCARD_SHARE_EXCLUSIVE);
	ck_assert_uint_eq(r.body.reconnect.dwPreferredProtocols, SCARD_PROTOCOL_T1);
	ck_assert_uint_eq(r.body.reconnect.dwInitialization, SCARD_RESET_CARD);
	check_encoding(6, &r);
	length = 0;
	put("0C000000 06000000 09000000 02000000 00000000");
	decode(6, &r);
	ck_assert_uint_eq(r.body.disconnect.dwDisposition, SCARD_UNPOWER_CARD);
	check_encoding(6, &r);
	length = 0;
	put("08000000 07000000 09000000 00000000");
	decode(6, &r);
	ck_assert_int_eq(r.body.begin.hCard, 9);
	check_encoding(6, &r);
	length = 0;
	put("0C000000 08000000 09000000 01000000 00000000");
	decode(6, &r);
	ck_assert_uint_eq(r.body.end.dwDisposition, SCARD_RESET_CARD);
	check_encoding(6, &r);
	length = 0;
	put("08000000 0B000000 FFFFFFFF 00000000");
	decode(6, &r);
	ck_assert_int_eq(r.body.status.hCard, -1);
	check_encoding(6, &r);
	length = 0;
	put("08000000 0D000000 44332211 00000000");
	decode(6, &r);
	ck_assert_int_eq(r.body.cancel.hContext, 0x11223344);
	check_encoding(6, &r);
	length = 0;
	put("0C000000 11000000 04000000 04000000 00000000");
	decode(6, &r);
	ck_assert_int_eq(r.body.version.major, 4);
	ck_assert_int_eq(r.body.version.minor, 4);
	check_encoding(6, &r);
}
END_TEST

START_TEST(wait_has_a_body_in_4_3_only)
{
	struct wire_request request;

	put("08000000 13000000 60EA0000 00000000");
	decode(3, &request);
	ck_assert_uint_eq(request.body.wait.timeOut, 60000);
	check_encoding(3, &request);
	length = 0;
	put("00000000 13000000");
	decode(4, &request);
	check_encoding(4, &request);
	ck_assert_int_eq(wire_reply_size(WIRE_WAIT_READER_STATE_CHANGE, 3), 0);
	ck_assert_int_eq(wire_reply_size(WIRE_WAIT_READER_STATE_CHANGE, 4), 2944);
	ck_assert_int_eq(wire_reply_size(WIRE_WAIT_READER_STATE_CHANGE, 5), 2944);
	ck_assert_int_eq(wire_reply_size(WIRE_WAIT_READER_STATE_CHANGE, 6), 0);
	ck_assert_int_eq(wire_reply_size(WIRE_STOP_WAITING, 6), 0);
	ck_assert_int_eq(wire_body_size(WIRE_STOP_WAITING, 3), 8);
	ck_assert_int_eq(wire_body_size(WIRE_STOP_WAITING, 5), 0);
}
END_TEST

/* Nothing is read after the header of a request without a body, whatever its size field says. */
START_TEST(size_of_nothing_is_ignored)
{
	struct wire_request request;
	size_t needed;

	put("FFFFFFFF 12000000 00000000");
	ck_assert_int_eq(wire_decode(bytes, length, 5, &request, &needed), WIRE_OK);
	ck_assert_uint_eq(needed, 8);
	ck_assert_uint_eq(request.command, WIRE_GET_READERS_STATE);
}
END_TEST

static void expect_bad(int dialect)
{
	struct wire_request request;
	size_t needed;

	ck_assert_int_eq(wire_decode(bytes, length, dialect, &request, &needed), WIRE_BAD);
	length = 0;
}

START_TEST(wrong_messages)
{
	static const uint32_t unused[] = { 0x00, 0x03, 0x0C, 0x0E, 0x18, 0x3F, 0x44, 0x100,
		0xFFFFFFFF };

	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
		put("00000000");
		memcpy(bytes + length, &unused[i], 4);
		length += 4;
		ck_assert_str_eq(wire_command_name(unused[i]), "?");
		expect_bad(WIRE_DIALECT_EXT);
	}
	/* A size that isn't the command's is refused before the body comes. */
	put("0B000000 01000000");
	expect_bad(6);
	put("0D000000 01000000");
	expect_bad(6);
	put("FFFFFFFF 09000000");
	expect_bad(6);
	/* More data than there may be. */
	put("20000000 09000000 00000000 00000000 00000000 0D000100 00000000 00000000 00000000 "
	    "00000000");
	expect_bad(6);
	put("18000000 0A000000 00000000 00000000 FFFFFFFF 00000000 00000000 00000000");
	expect_bad(6);
	put("18010000 10000000 00000000 00000000");
	put_zeros(264);
	put("09010000 00000000");
	expect_bad(6);
	/* Commands of other dialects. */
	put("00000000 17000000");
	expect_bad(5);
	put("00000000 15000000");
	expect_bad(4);
	put("00000000 41000000");
	expect_bad(6);
}
END_TEST

START_TEST(most_data)
{
	struct wire_request request;
	size_t needed;

	put("20000000 09000000 00000000 00000000 00000000 0C000100 00000000 00000000 00000000 "
	    "00000000");
	ck_assert_int_eq(wire_decode(bytes, length, 6, &request, &needed), WIRE_MORE);
	ck_assert_uint_eq(needed, 40 + 65548);
	put_zeros(65548);
	ck_assert_int_eq(wire_decode(bytes, length, 6, &request, &needed), WIRE_OK);
	ck_assert_uint_eq(request.tail_length, 65548);
}
END_TEST

START_TEST(ext_wait)
{
	struct wire_request request;
	struct wire_ext_entry entry;

	/* 16 bytes and two entries of 136 each. */
	put("20010000 42000000 02000000 01000000 05000000 00000000");
	put_name("First");
	put("00000000 FFFFFFFF");
	put_name("Second");
	put("07000000 08000000");
	decode(WIRE_DIALECT_EXT, &request);
	ck_assert_uint_eq(request.body.ext_wait.count, 2);
	ck_assert_uint_eq(request.body.ext_wait.flags, WIRE_EXT_NOW);
	ck_assert_uint_eq(request.body.ext_wait.events_seen, 5);
	wire_ext_entry_at(&request, 1, &entry);
	ck_assert_str_eq(entry.name, "Second");
	ck_assert_uint_eq(entry.card_seen, 7);
	ck_assert_uint_eq(entry.sharing_seen, 8);
	wire_ext_entry_at(&request, 0, &entry);
	ck_assert_str_eq(entry.name, "First");
	ck_assert_uint_eq(entry.sharing_seen, WIRE_EXT_SERIAL_ANY);
	check_encoding(WIRE_DIALECT_EXT, &request);
}
END_TEST

START_TEST(ext_wait_wrong)
{
	/* Count and size must agree, and keep to the limit. */
	put("20010000 42000000 01000000 00000000 00000000 00000000");
	expect_bad(WIRE_DIALECT_EXT);
	put("10000000 42000000 01000000 00000000 00000000 00000000");
	expect_bad(WIRE_DIALECT_EXT);
	put("08000000 42000000");
	expect_bad(WIRE_DIALECT_EXT);
	put("98800800 42000000"); /* 16 + 4097 * 136 */
	expect_bad(WIRE_DIALECT_EXT);
	put("FFFFFFFF 42000000");
	expect_bad(WIRE_DIALECT_EXT);
}
END_TEST

START_TEST(ext_others)
{
	struct wire_request request;

	put("08000000 40000000 05000000 00000000");
	decode(WIRE_DIALECT_EXT, &request);
	ck_assert_int_eq(request.body.status.hCard, 5);
	ck_assert_int_eq(wire_reply_size(WIRE_EXT_STATUS, WIRE_DIALECT_EXT), 192);
	length = 0;
	put("00000000 41000000");
	decode(WIRE_DIALECT_EXT, &request);
	length = 0;
	put("00000000 43000000");
	decode(WIRE_DIALECT_EXT, &request);
}
END_TEST

START_TEST(reply_tails)
{
	struct wire_transmit transmit = { .pcbRecvLength = 258 };
	struct wire_control control = { .dwBytesReturned = 4 };
	struct wire_ext_list list = { .readers = 2, .length = 20 };
	struct wire_ext_changes changes = { .count = 2 };

	ck_assert_int_eq(wire_transmit_tail(&transmit, 258), 258);
	ck_assert_int_eq(wire_transmit_tail(&transmit, 257), -1);
	transmit.rv = (uint32_t)SCARD_E_INSUFFICIENT_BUFFER;
	ck_assert_int_eq(wire_transmit_tail(&transmit, 0), 0);
	ck_assert_int_eq(wire_control_tail(&control, 4), 4);
	ck_assert_int_eq(wire_control_tail(&control, 3), -1);
	control.dwBytesReturned = WIRE_DATA + 1;
	ck_assert_int_eq(wire_control_tail(&control, SIZE_MAX), -1);
	ck_assert_int_eq(wire_ext_list_tail(&list), 20);
	list.length = 1;
	ck_assert_int_eq(wire_ext_list_tail(&list), -1);
	list.length = UINT32_MAX;
	ck_assert_int_eq(wire_ext_list_tail(&list), -1);
	ck_assert_int_eq(wire_ext_changes_tail(&changes, 2), 392);
	ck_assert_int_eq(wire_ext_changes_tail(&changes, 1), -1);
}
END_TEST

START_TEST(state_is_made_safe)
{
	struct wire_reader_state state;

	memset(&state, 0xFF, sizeof(state));
	wire_state_sanitise(&state);
	ck_assert_uint_eq(strlen(state.readerName), 127);
	ck_assert_uint_eq(state.cardAtrLength, 0);
	ck_assert_uint_eq(state.eventCounter, 0xFFFF);
	state.cardAtrLength = WIRE_ATR;
	wire_state_sanitise(&state);
	ck_assert_uint_eq(state.cardAtrLength, WIRE_ATR);
	ck_assert(!wire_states_size_valid(0));
	ck_assert(wire_states_size_valid(1));
	ck_assert(wire_states_size_valid(65536));
	ck_assert(!wire_states_size_valid(65537));
}
END_TEST

/* A reader's state as a daemon of pcsc-lite sends it: an ISO card at T=1, one handle. */
START_TEST(state_layout)
{
	struct wire_reader_state state;

	put_name("Reader X 00 00");
	put("05000000 34000000 01000000 3B951381018073FF01000B");
	put_zeros(33 - 11 + 3);
	put("0B000000 02000000");
	ck_assert_uint_eq(length, 184);
	memcpy(&state, bytes, sizeof(state));
	ck_assert_str_eq(state.readerName, "Reader X 00 00");
	ck_assert_uint_eq(state.eventCounter, 5);
	ck_assert_uint_eq(state.readerState, SCARD_PRESENT | SCARD_POWERED | SCARD_NEGOTIABLE);
	ck_assert_int_eq(state.readerSharing, 1);
	ck_assert_uint_eq(state.cardAtrLength, 11);
	ck_assert_mem_eq(state.cardAtr, "\x3B\x95\x13", 3);
	ck_assert_uint_eq(state.cardProtocol, SCARD_PROTOCOL_T1);
}
END_TEST

START_TEST(encoder_refuses)
{
	uint8_t out[WIRE_REQUEST_MAX];
	union wire_body body = { .transmit = { .cbSendLength = WIRE_DATA + 1 } };

	ck_assert_uint_eq(wire_encode(WIRE_TRANSMIT, 6, &body, out), 0);
	ck_assert_uint_eq(wire_encode(WIRE_GET_READERS_STATE_SIZE, 5, NULL, out), 0);
	ck_assert_uint_eq(wire_encode(0x03, 6, NULL, out), 0);
	ck_assert_uint_eq(wire_encode(WIRE_GET_READERS_STATE, 5, NULL, out), 8);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tcase = tcase_create("messages");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, connect_request);
	tcase_add_test(tcase, connect_name_is_terminated);
	tcase_add_test(tcase, transmit_request);
	tcase_add_test(tcase, control_request);
	tcase_add_test(tcase, attribute_request);
	tcase_add_test(tcase, small_requests);
	tcase_add_test(tcase, wait_has_a_body_in_4_3_only);
	tcase_add_test(tcase, size_of_nothing_is_ignored);
	tcase_add_test(tcase, wrong_messages);
	tcase_add_test(tcase, most_data);
	tcase_add_test(tcase, ext_wait);
	tcase_add_test(tcase, ext_wait_wrong);
	tcase_add_test(tcase, ext_others);
	tcase_add_test(tcase, reply_tails);
	tcase_add_test(tcase, state_is_made_safe);
	tcase_add_test(tcase, state_layout);
	tcase_add_test(tcase, encoder_refuses);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

#else

int main(void)
{
	return EXIT_SUCCESS;
}

#endif
