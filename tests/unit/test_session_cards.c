/* SPDX-License-Identifier: BSD-3-Clause */
/* Cards and readers that come, go, fail and have or lack power, as clients see it. */
#include <unistd.h>

#include <winscard.h>

#include "ifd_scripted.h"
#include "raw_client.h"
#include "suite.h"
#include "pcscd/cards/slot.h"
#include "pcscd/cards/slots.h"

static void move_card(const struct raw_client *client, uint8_t present)
{
	ck_assert_uint_eq(raw_attribute(client, WIRE_SET_ATTRIB, SCRIPTED_CARD, &present, 1),
		SCARD_S_SUCCESS);
}

START_TEST(test_card_goes_and_comes)
{
	struct raw_client client = raw_shared(), mover = raw_observer();
	struct wire_reader_state state;

	raw_get_states(&client, &state);
	ck_assert_uint_eq(state.readerState, 0x34);
	ck_assert_uint_eq(state.eventCounter, 0);
	ck_assert_int_eq(state.readerSharing, 2);
	move_card(&mover, 0);
	raw_await_state(SCARD_ABSENT);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_W_REMOVED_CARD);
	ck_assert_uint_eq(
		raw_reconnect(&client, SCARD_SHARE_SHARED, SCARD_RESET_CARD), SCARD_E_NO_SMARTCARD);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_W_REMOVED_CARD);
	/* It is told of it like everybody else. */
	ck_assert_uint_eq(
		raw_reconnect(&mover, SCARD_SHARE_DIRECT, SCARD_LEAVE_CARD), SCARD_E_NO_SMARTCARD);
	ck_assert_uint_eq(raw_disconnect(&mover, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_connect(&mover, SCARD_SHARE_DIRECT, 0), SCARD_S_SUCCESS);
	move_card(&mover, 1);
	raw_await_state(0x34);
	raw_get_states(&client, &state);
	ck_assert_uint_eq(state.eventCounter, 2);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_W_REMOVED_CARD);
	ck_assert_uint_eq(
		raw_reconnect(&client, SCARD_SHARE_SHARED, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(mover.fd);
}
END_TEST

/* Whoever has seen the card sees it anew if it answers a reset differently, and only then. */
START_TEST(test_other_atr)
{
	struct raw_client client = raw_shared();
	struct wire_reader_state before, after;
	uint32_t seen, now, sharing;

	ck_assert(slots_look(RAW_READER, &before, &seen, &sharing));
	ck_assert_uint_eq(
		raw_reconnect(&client, SCARD_SHARE_SHARED, SCARD_RESET_CARD), SCARD_S_SUCCESS);
	ck_assert(slots_look(RAW_READER, &after, &now, &sharing));
	ck_assert_uint_eq(now, seen);
	move_card(&client, 3);
	ck_assert_uint_eq(
		raw_reconnect(&client, SCARD_SHARE_SHARED, SCARD_RESET_CARD), SCARD_S_SUCCESS);
	ck_assert(slots_look(RAW_READER, &after, &now, &sharing));
	ck_assert_uint_ne(after.cardAtrLength, before.cardAtrLength);
	ck_assert_uint_ne(now, seen);
	close(client.fd);
}
END_TEST

/* A name of the administrator's, which the driver knows, for a reader from the bus only. */
START_TEST(test_name_of_the_driver)
{
	const struct reader_spec plugged = { .base_name = "What it says of itself",
		.library = IFD_SCRIPTED,
		.device = "2",
		.hotplug = true };
	struct slot *slot;
	uint64_t id;

	ck_assert_int_eq(readers_add(&plugged, &id), READERS_OK);
	ck_assert(readers_settle(clock_now() + RAW_SOON));
	for (int i = 0; i < 2; i++) {
		slot = slots_by_name(i ? "Z\xC3\xA4hler. 01 01" : "Z\xC3\xA4hler. 01 00");
		ck_assert_ptr_nonnull(slot);
		slot_unref(slot);
	}
	slot = slots_by_name(RAW_READER);
	ck_assert_ptr_nonnull(slot);
	slot_unref(slot);
}
END_TEST

/* An event between a 4:6 client's registration and its states is told after the states. */
START_TEST(test_event_waits_for_the_states)
{
	struct raw_client client = raw_dial(), mover = raw_observer();
	struct wire_reader_state state;
	struct wire_wait message;

	raw_establish(&client);
	raw_send(&client, WIRE_WAIT_READER_STATE_CHANGE, NULL);
	move_card(&mover, 0);
	raw_await_state(SCARD_ABSENT);
	ck_assert(!raw_is_readable(&client, RAW_NEVER_MS));
	raw_get_states(&client, &state);
	ck_assert_str_eq(state.readerName, RAW_READER);
	raw_read(&client, &message, sizeof(message));
	ck_assert_uint_eq(message.rv, SCARD_S_SUCCESS);
	/* The registration is used up. */
	raw_send(&client, WIRE_STOP_WAITING, NULL);
	ck_assert(!raw_is_readable(&client, RAW_NEVER_MS));
	close(client.fd);
	close(mover.fd);
}
END_TEST

static struct raw_counts fresh_counts(void)
{
	struct raw_client client = raw_observer();
	struct raw_counts counts = raw_counts_of(&client);

	ck_assert_uint_eq(raw_disconnect(&client, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	close(client.fd);
	return counts;
}

START_TEST(test_unused_card_is_powered_off)
{
	struct raw_client client = raw_shared();
	struct raw_counts before = raw_counts_of(&client), after;
	int64_t until = clock_now() + RAW_SOON;

	ck_assert_uint_eq(raw_disconnect(&client, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	do {
		after = fresh_counts();
	} while (after.downs == before.downs && clock_now() < until);
	ck_assert_uint_eq(after.downs, before.downs + 1);
	raw_await_state(0x34);
	ck_assert_uint_eq(
		raw_connect(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_counts_of(&client).ups, before.ups + 1);
	close(client.fd);
}
END_TEST

START_TEST(test_reader_that_vanishes)
{
	struct raw_client client = raw_shared(), waiting = raw_dial();
	struct wire_reader_state state;
	struct wire_wait message;
	uint8_t answer[16];
	uint32_t length = sizeof(answer);

	raw_establish(&waiting);
	raw_send(&waiting, WIRE_WAIT_READER_STATE_CHANGE, NULL);
	raw_get_states(&waiting, &state);
	ck_assert_uint_eq(raw_transmit(&client, client.protocol, "\3", 1, answer, &length),
		SCARD_E_READER_UNAVAILABLE);
	raw_read(&waiting, &message, sizeof(message));
	ck_assert_uint_eq(raw_begin(&client), SCARD_E_INVALID_VALUE);
	ck_assert_uint_eq(raw_disconnect(&client, SCARD_RESET_CARD), SCARD_S_SUCCESS);
	raw_await_gone();
	raw_get_states(&waiting, &state);
	ck_assert_str_eq(state.readerName, "");
	close(client.fd);
	close(waiting.fd);
}
END_TEST

/* A card that does not answer to reset is tried again by each connection. */
START_TEST(test_mute_card)
{
	struct raw_client client = raw_shared(), mover = raw_observer();
	struct wire_reader_state state;
	uint8_t how = 2;

	raw_attribute(&mover, WIRE_SET_ATTRIB, SCRIPTED_CARD, &how, 1);
	ck_assert_uint_eq(raw_reconnect(&client, SCARD_SHARE_SHARED, SCARD_RESET_CARD),
		SCARD_W_UNRESPONSIVE_CARD);
	raw_get_states(&client, &state);
	ck_assert_uint_eq(state.readerState, 0x0C);
	ck_assert_uint_eq(state.cardAtrLength, 0);
	ck_assert_uint_eq(raw_connect(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY),
		SCARD_W_UNPOWERED_CARD);
	ck_assert_uint_eq(raw_reconnect(&mover, SCARD_SHARE_DIRECT, SCARD_LEAVE_CARD),
		SCARD_W_UNRESPONSIVE_CARD);
	ck_assert_uint_eq(raw_disconnect(&mover, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_connect(&mover, SCARD_SHARE_DIRECT, 0), SCARD_S_SUCCESS);
	how = 1;
	raw_attribute(&mover, WIRE_SET_ATTRIB, SCRIPTED_CARD, &how, 1);
	ck_assert_uint_eq(
		raw_connect(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(mover.fd);
}
END_TEST

START_TEST(test_power_on_demand)
{
	struct raw_client client = raw_observer();
	struct wire_reader_state state;

	raw_get_states(&client, &state);
	ck_assert_uint_eq(state.readerState, SCARD_PRESENT);
	ck_assert_uint_eq(raw_counts_of(&client).ups, 0);
	ck_assert_uint_eq(
		raw_connect(&client, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	raw_get_states(&client, &state);
	ck_assert_uint_eq(state.readerState, 0x34);
	ck_assert_uint_eq(raw_counts_of(&client).ups, 1);
	close(client.fd);
}
END_TEST

static void setup_on_demand(void)
{
	static const struct reader_power power = { .grace = -1, .on_demand = true };

	raw_serve("1", &power);
}

int main(void)
{
	Suite *suite = suite_create("session_cards");
	TCase *tests = tcase_create("cards");

	tcase_add_checked_fixture(tests, raw_setup, raw_teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_card_goes_and_comes);
	tcase_add_test(tests, test_other_atr);
	tcase_add_test(tests, test_name_of_the_driver);
	tcase_add_test(tests, test_event_waits_for_the_states);
	tcase_add_test(tests, test_unused_card_is_powered_off);
	tcase_add_test(tests, test_reader_that_vanishes);
	tcase_add_test(tests, test_mute_card);
	suite_add_tcase(suite, tests);
	tests = tcase_create("power on demand");
	tcase_add_checked_fixture(tests, setup_on_demand, raw_teardown);
	tcase_add_test(tests, test_power_on_demand);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
