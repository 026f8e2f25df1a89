/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that share a card: exclusive access, transactions, resets, and those that die. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <winscard.h>

#include "ifd_scripted.h"
#include "raw_client.h"
#include "suite.h"

#define CROWD    10
#define CROWD_NS (2 * CLOCK_S)

START_TEST(test_exclusive_and_back)
{
	struct raw_client client = raw_shared(), other = raw_dial();

	raw_establish(&other);
	ck_assert_uint_eq(
		raw_reconnect(&client, SCARD_SHARE_EXCLUSIVE, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_connect(&other, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY),
		SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(raw_connect(&other, SCARD_SHARE_DIRECT, 0), SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(raw_end(&client, SCARD_LEAVE_CARD), SCARD_E_NOT_TRANSACTED);
	ck_assert_uint_eq(
		raw_reconnect(&client, SCARD_SHARE_SHARED, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(
		raw_connect(&other, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_begin(&other), SCARD_S_SUCCESS);
	close(client.fd);
	close(other.fd);
}
END_TEST

/* Exclusive access begins when no call of others is under way any more. */
START_TEST(test_exclusive_waits_for_a_call)
{
	struct raw_client busy = raw_shared(), client = raw_dial();
	union wire_body body = { .connect = { .szReader = RAW_READER,
					 .dwShareMode = SCARD_SHARE_EXCLUSIVE,
					 .dwPreferredProtocols = SCARD_PROTOCOL_ANY } };
	struct wire_connect reply;

	raw_establish(&client);
	raw_ask_transmit(&busy, busy.protocol, "\2", 1, 100);
	ck_assert(!raw_is_readable(&busy, RAW_NEVER_MS));
	body.connect.hContext = client.context;
	raw_send(&client, WIRE_CONNECT, &body);
	ck_assert(!raw_is_readable(&client, RAW_NEVER_MS));
	close(busy.fd);
	raw_read(&client, &reply, sizeof(reply));
	ck_assert_uint_eq(reply.rv, SCARD_S_SUCCESS);
	close(client.fd);
}
END_TEST

/* A refusal must not touch the card. */
START_TEST(test_refused_reconnect_does_not_reset)
{
	struct raw_client client = raw_shared(), other = raw_shared();
	uint32_t before = raw_counts_of(&client).resets;

	ck_assert_uint_eq(raw_reconnect(&other, SCARD_SHARE_EXCLUSIVE, SCARD_RESET_CARD),
		SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(raw_counts_of(&client).resets, before);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(other.fd);
}
END_TEST

START_TEST(test_reset_is_told_to_others)
{
	struct raw_client client = raw_shared(), other = raw_shared();

	ck_assert_uint_eq(
		raw_reconnect(&client, SCARD_SHARE_SHARED, SCARD_RESET_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_exchange(&other), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(raw_begin(&other), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(
		raw_reconnect(&other, SCARD_SHARE_SHARED, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_exchange(&other), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
	close(other.fd);
}
END_TEST

START_TEST(test_queue_of_transactions)
{
	struct raw_client first = raw_shared(), second = raw_shared(), third = raw_shared();

	ck_assert_uint_eq(raw_begin(&first), SCARD_S_SUCCESS);
	raw_ask_begin(&second);
	ck_assert(!raw_is_readable(&second, RAW_NEVER_MS));
	raw_ask_begin(&third);
	ck_assert_uint_eq(raw_exchange(&first), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_end(&first, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_read_begin(&second), SCARD_S_SUCCESS);
	ck_assert(!raw_is_readable(&third, 0));
	ck_assert_uint_eq(raw_end(&second, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_read_begin(&third), SCARD_S_SUCCESS);
	close(first.fd);
	close(second.fd);
	close(third.fd);
}
END_TEST

START_TEST(test_death_of_the_holder)
{
	struct raw_client holder = raw_shared(), waiter = raw_shared();
	uint32_t before = raw_counts_of(&waiter).resets;

	ck_assert_uint_eq(raw_begin(&holder), SCARD_S_SUCCESS);
	raw_ask_begin(&waiter);
	close(holder.fd);
	ck_assert_uint_eq(raw_read_begin(&waiter), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(
		raw_reconnect(&waiter, SCARD_SHARE_SHARED, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_begin(&waiter), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_counts_of(&waiter).resets, before + 1);
	close(waiter.fd);
}
END_TEST

START_TEST(test_death_outside_of_a_transaction)
{
	struct raw_client client = raw_shared(), other = raw_shared();
	uint32_t before = raw_counts_of(&other).resets;

	close(client.fd);
	ck_assert_uint_eq(raw_exchange(&other), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_counts_of(&other).resets, before);
	close(other.fd);
}
END_TEST

START_TEST(test_death_of_a_waiter)
{
	struct raw_client holder = raw_shared(), dead = raw_shared(), waiter = raw_shared();

	ck_assert_uint_eq(raw_begin(&holder), SCARD_S_SUCCESS);
	raw_ask_begin(&dead);
	ck_assert(!raw_is_readable(&dead, RAW_NEVER_MS));
	raw_ask_begin(&waiter);
	raw_hang_up(&dead);
	ck_assert_uint_eq(raw_end(&holder, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_read_begin(&waiter), SCARD_S_SUCCESS);
	close(holder.fd);
	close(waiter.fd);
}
END_TEST

/* The card never answers; its client dies; the next one is served within two seconds. */
START_TEST(test_death_in_a_driver_call)
{
	struct raw_client stuck = raw_shared(), other = raw_shared();
	int64_t before;

	raw_ask_transmit(&stuck, stuck.protocol, "\2", 1, 100);
	ck_assert(!raw_is_readable(&stuck, RAW_NEVER_MS));
	before = clock_now();
	close(stuck.fd);
	ck_assert_uint_eq(raw_exchange(&other), SCARD_S_SUCCESS);
	ck_assert_int_lt((clock_now() - before) / CLOCK_MS, suite_bound_ms(2000));
	close(other.fd);
}
END_TEST

START_TEST(test_silent_holder_is_evicted)
{
	struct raw_client holder = raw_shared(), waiter = raw_shared(), late = raw_dial();
	int64_t before = clock_now();

	raw_establish(&late);
	ck_assert_uint_eq(raw_begin(&holder), SCARD_S_SUCCESS);
	raw_ask_begin(&waiter);
	ck_assert_uint_eq(
		raw_connect(&late, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_int_ge(clock_now() - before, RAW_LEASE_NS);
	ck_assert_uint_eq(raw_read_begin(&waiter), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(raw_exchange(&holder), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(raw_end(&holder, SCARD_LEAVE_CARD), SCARD_W_RESET_CARD);
	ck_assert_uint_eq(raw_exchange(&late), SCARD_S_SUCCESS);
	close(holder.fd);
	close(waiter.fd);
	close(late.fd);
}
END_TEST

/* Two handles of one connection: the second can't wait for the first, whose End would come after. */
START_TEST(test_own_transaction_is_not_waited_for)
{
	struct raw_client first = raw_shared(), second = first;

	ck_assert_uint_eq(raw_begin(&first), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_connect(&second, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY),
		SCARD_E_SHARING_VIOLATION);
	ck_assert_uint_eq(raw_end(&first, SCARD_LEAVE_CARD), SCARD_S_SUCCESS);
	ck_assert_uint_eq(
		raw_connect(&second, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_begin(&first), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_begin(&second), SCARD_E_SHARING_VIOLATION);
	close(first.fd);
}
END_TEST

START_TEST(test_two_slots)
{
	struct raw_client client = raw_shared();
	union wire_body body = { .connect = { .hContext = client.context,
					 .szReader = "Test 00 01",
					 .dwShareMode = SCARD_SHARE_EXCLUSIVE,
					 .dwPreferredProtocols = SCARD_PROTOCOL_ANY } };
	struct raw_client other = client;
	uint32_t commands;

	raw_call(&client, WIRE_CONNECT, &body);
	ck_assert_uint_eq(body.connect.rv, SCARD_S_SUCCESS);
	other.card = body.connect.hCard;
	commands = raw_counts_of(&client).commands;
	ck_assert_uint_eq(raw_begin(&client), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_exchange(&other), SCARD_S_SUCCESS);
	ck_assert_uint_eq(raw_counts_of(&other).commands, 1);
	ck_assert_uint_eq(raw_counts_of(&client).commands, commands);
	close(client.fd);
}
END_TEST

static void move_card_anyhow(const struct raw_client *client, uint8_t present)
{
	raw_attribute(client, WIRE_SET_ATTRIB, SCRIPTED_CARD, &present, 1);
}

/* One of many clients that do whatever they like; whatever it is, each call is answered. */
static void *live(void *arg)
{
	unsigned seed = *(unsigned *)arg;
	int64_t until = clock_now() + CROWD_NS;
	struct raw_client client = { .fd = -1 };
	union wire_body body;

	while (clock_now() < until) {
		int what = rand_r(&seed) % 16;

		if (client.fd < 0 || what == 0) {
			if (client.fd >= 0)
				close(client.fd);
			client = raw_dial();
			raw_establish(&client);
		}
		if (!client.card) {
			raw_connect(&client, 1 + (uint32_t)rand_r(&seed) % 3, SCARD_PROTOCOL_ANY);
			continue;
		}
		body = (union wire_body){ .status = { .hCard = client.card } };
		if (what < 5)
			raw_exchange(&client);
		else if (what < 8)
			raw_begin(&client);
		else if (what < 11)
			raw_end(&client, (uint32_t)rand_r(&seed) % 3);
		else if (what == 11)
			raw_call(&client, WIRE_STATUS, &body);
		else if (what == 12)
			move_card_anyhow(&client, rand_r(&seed) % 4 != 0);
		else if (what < 15)
			raw_reconnect(&client, 1 + (uint32_t)rand_r(&seed) % 3,
				(uint32_t)rand_r(&seed) % 3);
		else if (raw_disconnect(&client, (uint32_t)rand_r(&seed) % 3) == SCARD_S_SUCCESS)
			client.card = 0;
	}
	close(client.fd);
	return NULL;
}

START_TEST(test_crowd)
{
	pthread_t threads[CROWD];
	unsigned seeds[CROWD];
	struct raw_client client;

	for (unsigned i = 0; i < CROWD; i++) {
		seeds[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, live, &seeds[i]), 0);
	}
	for (unsigned i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	/* A new card, because the old one may be without power. */
	client = raw_observer();
	move_card_anyhow(&client, 0);
	raw_await_state(SCARD_ABSENT);
	close(client.fd);
	client = raw_observer();
	move_card_anyhow(&client, 1);
	close(client.fd);
	raw_await_state(0x34);
	client = raw_shared();
	ck_assert_uint_eq(raw_exchange(&client), SCARD_S_SUCCESS);
	close(client.fd);
}
END_TEST

static void setup_two_slots(void)
{
	raw_serve("2", NULL);
}

int main(void)
{
	Suite *suite = suite_create("session_turns");
	TCase *tests = tcase_create("turns");

	tcase_add_checked_fixture(tests, raw_setup, raw_teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_exclusive_and_back);
	tcase_add_test(tests, test_exclusive_waits_for_a_call);
	tcase_add_test(tests, test_refused_reconnect_does_not_reset);
	tcase_add_test(tests, test_reset_is_told_to_others);
	tcase_add_test(tests, test_queue_of_transactions);
	tcase_add_test(tests, test_death_of_the_holder);
	tcase_add_test(tests, test_death_outside_of_a_transaction);
	tcase_add_test(tests, test_death_of_a_waiter);
	tcase_add_test(tests, test_death_in_a_driver_call);
	tcase_add_test(tests, test_silent_holder_is_evicted);
	tcase_add_test(tests, test_own_transaction_is_not_waited_for);
	tcase_add_test(tests, test_crowd);
	suite_add_tcase(suite, tests);
	tests = tcase_create("two slots");
	tcase_add_checked_fixture(tests, setup_two_slots, raw_teardown);
	tcase_add_test(tests, test_two_slots);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
