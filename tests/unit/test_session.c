/* SPDX-License-Identifier: BSD-3-Clause */
/* The server as its clients see it: what a connection may send, what comes back, and when. */
#include <sys/socket.h>
#include <unistd.h>

#include <ifdhandler.h>
#include <winscard.h>

#include "raw_client.h"
#include "suite.h"
#include "pcscd/clients/server.h"

START_TEST(test_requests_in_one_piece_and_in_many)
{
	struct raw_client client = raw_dial();
	uint8_t bytes[2 * WIRE_REQUEST_MAX];
	union wire_body version = { .version = { .major = 4, .minor = 6 } };
	union wire_body establish_body = { .establish = { .dwScope = SCARD_SCOPE_SYSTEM } };
	size_t length = wire_encode(WIRE_VERSION, 6, &version, bytes);

	length += wire_encode(WIRE_ESTABLISH_CONTEXT, 6, &establish_body, bytes + length);
	raw_write(&client, bytes, length);
	raw_read(&client, &version, sizeof(version.version));
	raw_read(&client, &establish_body, sizeof(establish_body.establish));
	ck_assert_uint_eq(version.version.rv, SCARD_S_SUCCESS);
	ck_assert_uint_ne(establish_body.establish.hContext, 0);
	for (size_t i = 0; i < length; i++)
		raw_write(&client, bytes + i, 1);
	raw_read(&client, &version, sizeof(version.version));
	raw_read(&client, &establish_body, sizeof(establish_body.establish));
	ck_assert_uint_eq(establish_body.establish.rv, SCARD_S_SUCCESS);
	close(client.fd);
}
END_TEST

START_TEST(test_broken_protocol_closes_one_connection)
{
	struct raw_client good = raw_shared(), bad = raw_dial();
	struct wire_header header = { .size = 99, .command = WIRE_CONNECT };
	union wire_body body = { .begin = { .hCard = good.card } };

	raw_write(&bad, &header, sizeof(header));
	raw_assert_closed(&bad);
	close(bad.fd);
	/* A handle of another connection is nobody's business. */
	bad = raw_shared();
	raw_send(&bad, WIRE_BEGIN_TRANSACTION, &body);
	raw_assert_closed(&bad);
	close(bad.fd);
	/* Half a message, and then nothing. */
	bad = raw_dial();
	raw_write(&bad, &header, 5);
	raw_assert_closed(&bad);
	close(bad.fd);
	ck_assert_uint_eq(raw_exchange(&good), SCARD_S_SUCCESS);
	close(good.fd);
}
END_TEST

START_TEST(test_too_long_answer_is_kept)
{
	static const uint8_t command[] = { 1, 1, 0 };
	struct raw_client client = raw_shared();
	uint8_t answer[300];
	uint32_t length = 10;
	uint32_t before = raw_counts_of(&client).commands;

	ck_assert_uint_eq(raw_transmit(&client, client.protocol, command, 3, answer, &length),
		SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(length, 258);
	length = 257;
	ck_assert_uint_eq(raw_transmit(&client, client.protocol, command, 3, answer, &length),
		SCARD_E_INSUFFICIENT_BUFFER);
	length = 258;
	ck_assert_uint_eq(raw_transmit(&client, client.protocol, command, 3, answer, &length),
		SCARD_S_SUCCESS);
	ck_assert_uint_eq(answer[255], 0xA5);
	ck_assert_uint_eq(raw_counts_of(&client).commands, before + 1);
	/* It is used up: the same command once more is run once more. */
	length = 258;
	ck_assert_uint_eq(raw_transmit(&client, client.protocol, command, 3, answer, &length),
		SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_counts_of(&client).commands, before + 2);
	/* Another command in between: it is gone. */
	length = 10;
	raw_transmit(&client, client.protocol, command, 3, answer, &length);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	length = 258;
	raw_transmit(&client, client.protocol, command, 3, answer, &length);
	ck_assert_uint_eq(raw_counts_of(&client).commands, before + 5);
	close(client.fd);
}
END_TEST

START_TEST(test_raw_leaves_others_their_protocol)
{
	struct raw_client client = raw_shared(), raw = raw_dial();

	ck_assert_uint_eq(client.protocol, SCARD_PROTOCOL_T1);
	raw_establish(&raw);
	ck_assert_uint_eq(
		raw_connect(&raw, SCARD_SHARE_SHARED, SCARD_PROTOCOL_RAW), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw.protocol, SCARD_PROTOCOL_RAW);
	ck_assert_uint_eq(raw_exchange(&raw), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(raw.fd);
}
END_TEST

START_TEST(test_protocols)
{
	struct raw_client client = raw_dial();

	raw_establish(&client);
	ck_assert_uint_eq(raw_connect(&client, SCARD_SHARE_SHARED, 0), SCARD_E_PROTO_MISMATCH);
	ck_assert_uint_eq(raw_connect(&client, 9, 0), SCARD_E_PROTO_MISMATCH);
	ck_assert_uint_eq(raw_connect(&client, 9, SCARD_PROTOCOL_T0), SCARD_E_INVALID_VALUE);
	ck_assert_uint_eq(
		raw_connect(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_T0), SCARD_S_SUCCESS);
	ck_assert_uint_eq(client.protocol, SCARD_PROTOCOL_T0);
	client.protocol = SCARD_PROTOCOL_T1;
	ck_assert_uint_eq(raw_exchange(&client), SCARD_E_PROTO_MISMATCH);
	ck_assert_uint_eq(raw_connect(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_T1),
		SCARD_E_PROTO_MISMATCH);
	close(client.fd);
}
END_TEST

START_TEST(test_internal_attributes_are_not_for_clients)
{
	static const uint32_t ids[] = { TAG_IFD_SLOTNUM, TAG_IFD_THREAD_SAFE,
		TAG_IFD_SLOT_THREAD_SAFE, TAG_IFD_SLOTS_NUMBER, TAG_IFD_SIMULTANEOUS_ACCESS,
		TAG_IFD_POLLING_THREAD_KILLABLE, TAG_IFD_STOP_POLLING_THREAD,
		TAG_IFD_POLLING_THREAD_WITH_TIMEOUT, TAG_IFD_DEVICE_REMOVED, TAG_IFD_CARDWIRE_ABORT,
		TAG_IFD_CARDWIRE_CLIENT, TAG_IFD_CARDWIRE_CONTACTLESS };
	struct raw_client client = raw_shared();
	char value[sizeof(RAW_READER)] = "";

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		ck_assert_uint_eq(raw_attribute(&client, WIRE_GET_ATTRIB, ids[i], value, 1),
			SCARD_E_UNSUPPORTED_FEATURE);
		ck_assert_uint_eq(raw_attribute(&client, WIRE_SET_ATTRIB, ids[i], value, 1),
			SCARD_E_UNSUPPORTED_FEATURE);
	}
	ck_assert_uint_eq(raw_attribute(&client, WIRE_GET_ATTRIB, 0x7FFF0003, value, sizeof(value)),
		SCARD_S_SUCCESS);
	ck_assert_str_eq(value, RAW_READER);
	close(client.fd);
}
END_TEST

START_TEST(test_cancel)
{
	struct raw_client client = raw_dial(), other = raw_dial();
	union wire_body body = { .cancel = { .hContext = 1 } };
	struct wire_reader_state state;
	struct wire_wait message;

	raw_establish(&client);
	raw_call(&other, WIRE_CANCEL, &body);
	ck_assert_uint_eq(body.cancel.rv, SCARD_E_INVALID_HANDLE);
	raw_send(&client, WIRE_WAIT_READER_STATE_CHANGE, NULL);
	raw_get_states(&client, &state);
	body.cancel.hContext = (int32_t)client.context;
	raw_call(&other, WIRE_CANCEL, &body);
	ck_assert_uint_eq(body.cancel.rv, SCARD_S_SUCCESS);
	raw_read(&client, &message, sizeof(message));
	ck_assert_uint_eq(message.rv, SCARD_E_CANCELLED);
	close(client.fd);
	close(other.fd);
}
END_TEST

/* A client that doesn't read gets all its answers later, in order, and bothers nobody. */
START_TEST(test_answers_wait_for_a_slow_reader)
{
	enum {
		REQUESTS = 400,
		SLOTS = 16
	};
	struct raw_client slow = raw_dial(), quick = raw_shared();
	struct wire_reader_state state;
	struct wire_header header = { .command = WIRE_GET_READERS_STATE_ARRAY };
	int sent = 0;

	raw_establish(&slow);
	while (sent < REQUESTS &&
		send(slow.fd, &header, sizeof(header), MSG_DONTWAIT) == sizeof(header))
		sent++;
	ck_assert_int_gt(sent, 10);
	ck_assert_uint_eq(raw_exchange(&quick), SCARD_S_SUCCESS);
	for (int i = 0; i < sent * SLOTS; i++) {
		raw_read(&slow, &state, sizeof(state));
		ck_assert_str_eq(state.readerName, i % SLOTS ? "" : RAW_READER);
	}
	close(slow.fd);
	close(quick.fd);
}
END_TEST

START_TEST(test_limit_of_handles)
{
	struct raw_client client = raw_shared();

	for (int i = 1; i < RAW_HANDLES; i++)
		ck_assert_uint_eq(raw_connect(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY),
			SCARD_S_SUCCESS);
	ck_assert_uint_eq(
		raw_connect(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_E_NO_MEMORY);
	close(client.fd);
}
END_TEST

/* ECONNRESET would be a denial for the client's library: it must read an end. */
START_TEST(test_stop_with_unread_requests)
{
	struct raw_client holder = raw_shared();
	struct raw_client waiter = raw_shared();
	union wire_body body = { .status = { .hCard = waiter.card } };
	char byte;

	ck_assert_uint_eq(raw_begin(&holder), SCARD_S_SUCCESS);
	raw_ask_begin(&waiter);
	ck_assert(!raw_is_readable(&waiter, RAW_NEVER_MS));
	raw_send(&waiter, WIRE_STATUS, &body);
	ck_assert(server_stop(clock_now() + RAW_SOON));
	ck_assert_int_eq(recv(waiter.fd, &byte, 1, 0), 0);
	ck_assert_int_eq(recv(holder.fd, &byte, 1, 0), 0);
	close(waiter.fd);
	close(holder.fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *tests = tcase_create("server");

	tcase_add_checked_fixture(tests, raw_setup, raw_teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_requests_in_one_piece_and_in_many);
	tcase_add_test(tests, test_broken_protocol_closes_one_connection);
	tcase_add_test(tests, test_too_long_answer_is_kept);
	tcase_add_test(tests, test_raw_leaves_others_their_protocol);
	tcase_add_test(tests, test_protocols);
	tcase_add_test(tests, test_internal_attributes_are_not_for_clients);
	tcase_add_test(tests, test_cancel);
	tcase_add_test(tests, test_answers_wait_for_a_slow_reader);
	tcase_add_test(tests, test_limit_of_handles);
	tcase_add_test(tests, test_stop_with_unread_requests);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
