/* SPDX-License-Identifier: BSD-3-Clause */
/* The client library's pure parts: what is a change of state, numbers, and callers' buffers. */
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "libpcsclite/give.h"
#include "libpcsclite/idmap.h"
#include "libpcsclite/status_change.h"

#define PRESENT_STATE (SCARD_PRESENT | SCARD_POWERED | SCARD_NEGOTIABLE)

/* Evaluates one entry against one state; returns dwEventState. */
static DWORD evaluate(DWORD current, uint32_t state, int32_t sharing, uint32_t counter)
{
	SCARD_READERSTATE entry = { .szReader = "R", .dwCurrentState = current };
	struct wire_reader_state now = {
		.readerName = "R",
		.eventCounter = counter,
		.readerState = state,
		.readerSharing = sharing,
		.cardAtr = { 0x3B, 0x00 },
		.cardAtrLength = 2,
	};
	bool hit = status_change_evaluate(&entry, &now);

	ck_assert_int_eq(hit, (entry.dwEventState & SCARD_STATE_CHANGED) != 0);
	ck_assert_uint_eq(entry.cbAtr, state & SCARD_PRESENT ? 2 : 0);
	return entry.dwEventState;
}

/* Rows: what the caller believes, the reader's state, sharing, counter; and what must come out. */
static const struct {
	DWORD current;
	uint32_t state;
	int32_t sharing;
	uint32_t counter;
	DWORD event;
} rows[] = {
	/* unaware: always a change */
	{ 0, SCARD_ABSENT, 0, 0, SCARD_STATE_EMPTY | SCARD_STATE_CHANGED },
	{ 0, PRESENT_STATE, 0, 3, 0x30000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED },
	{ 0, SCARD_UNKNOWN, 0, 3, SCARD_STATE_UNAVAILABLE | SCARD_STATE_CHANGED },
	/* as believed: none */
	{ SCARD_STATE_EMPTY, SCARD_ABSENT, 0, 0, SCARD_STATE_EMPTY },
	{ SCARD_STATE_PRESENT, PRESENT_STATE, 0, 7, 0x70000 | SCARD_STATE_PRESENT },
	{ SCARD_STATE_UNAVAILABLE, SCARD_UNKNOWN, 0, 0, SCARD_STATE_UNAVAILABLE },
	/* inserted, removed */
	{ SCARD_STATE_EMPTY, PRESENT_STATE, 0, 1,
		0x10000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED },
	{ SCARD_STATE_PRESENT, SCARD_ABSENT, 0, 1,
		0x10000 | SCARD_STATE_EMPTY | SCARD_STATE_CHANGED },
	/* removed and inserted again: the counter tells, unless the caller has none */
	{ 0x10000 | SCARD_STATE_PRESENT, PRESENT_STATE, 0, 3,
		0x30000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED },
	{ 0x30000 | SCARD_STATE_PRESENT, PRESENT_STATE, 0, 3, 0x30000 | SCARD_STATE_PRESENT },
	/* a reader that fails and recovers */
	{ SCARD_STATE_PRESENT, SCARD_UNKNOWN, 0, 2, SCARD_STATE_UNAVAILABLE | SCARD_STATE_CHANGED },
	{ SCARD_STATE_UNAVAILABLE, PRESENT_STATE, 0, 2,
		0x20000 | SCARD_STATE_PRESENT | SCARD_STATE_CHANGED },
	{ SCARD_STATE_UNKNOWN, SCARD_ABSENT, 0, 0, SCARD_STATE_EMPTY | SCARD_STATE_CHANGED },
	/* mute */
	{ SCARD_STATE_PRESENT, SCARD_PRESENT | SCARD_SWALLOWED, 0, 0,
		SCARD_STATE_PRESENT | SCARD_STATE_MUTE | SCARD_STATE_CHANGED },
	{ SCARD_STATE_PRESENT | SCARD_STATE_MUTE, SCARD_PRESENT | SCARD_SWALLOWED, 0, 0,
		SCARD_STATE_PRESENT | SCARD_STATE_MUTE },
	{ SCARD_STATE_PRESENT | SCARD_STATE_MUTE, PRESENT_STATE, 0, 0,
		SCARD_STATE_PRESENT | SCARD_STATE_CHANGED },
	/* sharing: gaining a user is no change, losing the last one is, nor is exclusive to shared */
	{ SCARD_STATE_PRESENT, PRESENT_STATE, 1, 0, SCARD_STATE_PRESENT | SCARD_STATE_INUSE },
	{ SCARD_STATE_PRESENT, PRESENT_STATE, -1, 0, SCARD_STATE_PRESENT | SCARD_STATE_EXCLUSIVE },
	{ SCARD_STATE_PRESENT | SCARD_STATE_INUSE, PRESENT_STATE, 2, 0,
		SCARD_STATE_PRESENT | SCARD_STATE_INUSE },
	{ SCARD_STATE_PRESENT | SCARD_STATE_INUSE, PRESENT_STATE, 0, 0,
		SCARD_STATE_PRESENT | SCARD_STATE_CHANGED },
	{ SCARD_STATE_PRESENT | SCARD_STATE_INUSE, PRESENT_STATE, -1, 0,
		SCARD_STATE_PRESENT | SCARD_STATE_EXCLUSIVE | SCARD_STATE_CHANGED },
	{ SCARD_STATE_PRESENT | SCARD_STATE_EXCLUSIVE, PRESENT_STATE, 1, 0,
		SCARD_STATE_PRESENT | SCARD_STATE_INUSE | SCARD_STATE_CHANGED },
	{ SCARD_STATE_PRESENT | SCARD_STATE_EXCLUSIVE, PRESENT_STATE, 0, 0,
		SCARD_STATE_PRESENT | SCARD_STATE_CHANGED },
	/* a direct handle on an empty reader is not "in use" */
	{ SCARD_STATE_EMPTY, SCARD_ABSENT, 1, 0, SCARD_STATE_EMPTY },
};

START_TEST(state_table)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		DWORD event =
			evaluate(rows[i].current, rows[i].state, rows[i].sharing, rows[i].counter);

		ck_assert_msg(
			event == rows[i].event, "row %zu: %#lx, not %#lx", i, event, rows[i].event);
	}
}
END_TEST

START_TEST(reader_gone)
{
	SCARD_READERSTATE entry = { .szReader = "R", .dwCurrentState = SCARD_STATE_PRESENT };
	DWORD gone = SCARD_STATE_UNKNOWN | SCARD_STATE_UNAVAILABLE;

	ck_assert(status_change_evaluate(&entry, NULL));
	ck_assert_uint_eq(entry.dwEventState, gone | SCARD_STATE_CHANGED);
	entry = (SCARD_READERSTATE){ .szReader = "R", .dwCurrentState = gone };
	ck_assert(!status_change_evaluate(&entry, NULL));
	ck_assert_uint_eq(entry.dwEventState, gone);
}
END_TEST

START_TEST(ignored_entries)
{
	SCARD_READERSTATE entry = {
		.szReader = "R", .dwCurrentState = SCARD_STATE_IGNORE, .dwEventState = 0x1234
	};

	ck_assert(!status_change_evaluate(&entry, NULL));
	ck_assert(!status_change_evaluate_pnp(&entry, 1, true));
	ck_assert_uint_eq(entry.dwEventState, 0x1234);
}
END_TEST

START_TEST(readers_that_come_and_go)
{
	SCARD_READERSTATE entry = { .dwCurrentState = SCARD_STATE_UNAWARE };

	ck_assert(status_change_is_pnp("\\\\?PnP?\\Notification"));
	ck_assert(status_change_is_pnp("\\\\?pnp?\\NOTIFICATION"));
	ck_assert(!status_change_is_pnp("\\\\?PnP?\\Notification "));
	ck_assert(!status_change_is_pnp(""));
	/* Unaware waits here, unlike elsewhere. */
	ck_assert(!status_change_evaluate_pnp(&entry, 5, false));
	ck_assert_uint_eq(entry.dwEventState, 0x50000);
	ck_assert(status_change_evaluate_pnp(&entry, 6, true));
	ck_assert_uint_eq(entry.dwEventState, 0x60000 | SCARD_STATE_CHANGED);
	entry = (SCARD_READERSTATE){ .dwCurrentState = 0x50000 };
	ck_assert(!status_change_evaluate_pnp(&entry, 5, false));
	ck_assert(status_change_evaluate_pnp(&entry, 6, false));
	/* Of a daemon that doesn't count. */
	ck_assert(!status_change_evaluate_pnp(&entry, 0, false));
}
END_TEST

START_TEST(numbers)
{
	struct idmap map = { 0 };
	static int objects[5000];
	static long ids[5000];

	ck_assert_ptr_null(idmap_find(&map, 1));
	ck_assert_int_eq(idmap_add(&map, 77, &objects[0]), 77);
	ids[0] = 77;
	/* A number that is taken, and 0, are replaced by others. */
	for (size_t i = 1; i < 5000; i++) {
		ids[i] = idmap_add(&map, i % 2 ? 77 : 0, &objects[i]);
		ck_assert_int_gt(ids[i], 0);
		ck_assert_int_le(ids[i], 0x7FFFFFFF);
	}
	for (size_t i = 0; i < 5000; i++)
		ck_assert_ptr_eq(idmap_find(&map, ids[i]), &objects[i]);
	for (size_t i = 0; i < 5000; i += 2)
		idmap_remove(&map, ids[i]);
	for (size_t i = 0; i < 5000; i++)
		ck_assert_ptr_eq(idmap_find(&map, ids[i]), i % 2 ? &objects[i] : NULL);
	/* Negative numbers exist: a daemon may send any 32 bits. */
	ck_assert_int_eq(idmap_add(&map, -5, &objects[0]), -5);
	ck_assert_ptr_eq(idmap_find(&map, -5), &objects[0]);
	idmap_remove(&map, 12345678901);
	idmap_clear(&map);
	ck_assert_ptr_null(idmap_find(&map, -5));
}
END_TEST

START_TEST(buffers)
{
	char buffer[8] = "xxxxxxx";
	void *allocated = buffer;
	DWORD room = 3;

	ck_assert_int_eq(give_bytes(buffer, &room, "abcd", 4), SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(room, 4);
	ck_assert_str_eq(buffer, "xxxxxxx");
	room = 3;
	ck_assert_int_eq(give_what_fits(buffer, &room, "abcd", 4), SCARD_E_INSUFFICIENT_BUFFER);
	ck_assert_uint_eq(room, 4);
	ck_assert_str_eq(buffer, "abcxxxx");
	ck_assert_int_eq(give_bytes(buffer, &room, "ABCD", 4), SCARD_S_SUCCESS);
	ck_assert_str_eq(buffer, "ABCDxxx");
	room = 0;
	ck_assert_int_eq(give_bytes(NULL, &room, "abcd", 4), SCARD_S_SUCCESS);
	ck_assert_uint_eq(room, 4);
	room = SCARD_AUTOALLOCATE;
	ck_assert_int_eq(give_bytes(NULL, &room, "abcd", 4), SCARD_E_INVALID_PARAMETER);
	room = SCARD_AUTOALLOCATE;
	ck_assert_int_eq(give_bytes(&allocated, &room, "abcd", 4), SCARD_S_SUCCESS);
	ck_assert_uint_eq(room, 4);
	ck_assert_mem_eq(allocated, "abcd", 4);
	free(allocated);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client_state");
	TCase *tcase = tcase_create("pure");

	tcase_add_test(tcase, state_table);
	tcase_add_test(tcase, reader_gone);
	tcase_add_test(tcase, ignored_entries);
	tcase_add_test(tcase, readers_that_come_and_go);
	tcase_add_test(tcase, numbers);
	tcase_add_test(tcase, buffers);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
