/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of equal readers: kept whatever the order, over restarts, and never two the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "capture.h"
#include "suite.h"
#include "pcscd/readers/places.h"

#define COUNT 256

static bool used[COUNT];
static char folder[32];
static char file[64];

static void setup(void)
{
	memset(used, 0, sizeof(used));
	strcpy(folder, "/tmp/places.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/places", folder);
	places_open(folder);
}

static void teardown(void)
{
	char command[64];

	places_close();
	snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* Plugs a reader in; returns its number. */
static int plug(const char *name, const char *place)
{
	int number = places_pick(name, place, used, COUNT);

	ck_assert_int_ge(number, 0);
	ck_assert(!used[number]);
	used[number] = true;
	places_keep(name, place, number);
	return number;
}

static void unplug_all(void)
{
	memset(used, 0, sizeof(used));
}

static void restart(void)
{
	unplug_all();
	places_save();
	places_open(folder);
}

START_TEST(test_first_come)
{
	ck_assert_int_eq(plug("A", "1-1"), 0);
	ck_assert_int_eq(plug("B", "1-2"), 1);
	ck_assert_int_eq(plug("A", "1-3"), 2);
}
END_TEST

START_TEST(test_order_does_not_matter)
{
	ck_assert_int_eq(plug("A", "1-1"), 0);
	ck_assert_int_eq(plug("A", "1-2"), 1);
	unplug_all();
	ck_assert_int_eq(plug("A", "1-2"), 1);
	ck_assert_int_eq(plug("A", "1-1"), 0);
	restart();
	ck_assert_int_eq(plug("A", "1-2"), 1);
	/* a third one doesn't take the number of one that isn't there just now */
	ck_assert_int_eq(plug("A", "1-3"), 2);
	ck_assert_int_eq(plug("A", "1-1"), 0);
}
END_TEST

/* Memory must not push numbers up: other models' numbers are free for all. */
START_TEST(test_others_do_not_count)
{
	ck_assert_int_eq(plug("A (S1)", ""), 0);
	unplug_all();
	ck_assert_int_eq(plug("A (S2)", ""), 0);
	/* the number it had is taken: the next one, which it has from now on */
	ck_assert_int_eq(plug("A (S1)", ""), 1);
	unplug_all();
	ck_assert_int_eq(plug("A (S1)", ""), 1);
	ck_assert_int_eq(plug("A (S2)", ""), 0);
}
END_TEST

/* A reader with a serial number keeps its own at another port. */
START_TEST(test_moved)
{
	ck_assert_int_eq(plug("A", "serial 1:1.0 at p1"), 0);
	ck_assert_int_eq(plug("A", "serial 2:1.0 at p2"), 1);
	unplug_all();
	ck_assert_int_eq(plug("A", "serial 2:1.0 at p1"), 1);
	ck_assert_int_eq(plug("A", "serial 1:1.0 at p3"), 0);
	restart();
	ck_assert_int_eq(plug("A", "serial 2:1.0 at p4"), 1);
	ck_assert_int_eq(plug("A", "serial 1:1.1 at p3"), 2);
	ck_assert_int_eq(plug("A", "serial 1:1.0 at p2"), 0);
	/* nothing is left of where they were */
	ck_assert_int_eq(plug("A", "serial 3:1.0 at p1"), 3);
}
END_TEST

#define TWINS        24
#define PERMUTATIONS 1000

/* Readers that are the same to the last byte, or differ in one, at ports of their own: whatever the
 * order in which they come, each keeps its number. */
START_TEST(test_twins)
{
	char place[TWINS][48];
	int order[TWINS];

	srand(1);
	for (int i = 0; i < TWINS; i++) {
		order[i] = i;
		/* some without a serial number, some with the one of others */
		if (i % 3 == 0)
			snprintf(place[i], sizeof(place[i]), "usb-0:%d:1.0", i);
		else
			snprintf(place[i], sizeof(place[i]), "serial %d:1.0 at usb-0:%d:1.0", i % 5,
				i);
		ck_assert_int_eq(plug("A", place[i]), i);
	}
	for (int round = 0; round < PERMUTATIONS; round++) {
		if (round % 50 == 0)
			restart();
		else
			unplug_all();
		for (int i = TWINS - 1; i > 0; i--) {
			int other = rand() % (i + 1);
			int kept = order[i];

			order[i] = order[other];
			order[other] = kept;
		}
		for (int i = 0; i < TWINS; i++)
			ck_assert_int_eq(plug("A", place[order[i]]), order[i]);
	}
}
END_TEST

/* Configured readers: kept while the daemon runs, numbered by their order at the next start. */
START_TEST(test_transient)
{
	ck_assert_int_eq(plug("A", "~dev:1"), 0);
	ck_assert_int_eq(plug("B", "~dev:2"), 1);
	unplug_all();
	ck_assert_int_eq(plug("B", "~dev:2"), 1);
	ck_assert_int_eq(plug("A", "~dev:1"), 0);
	ck_assert_int_eq(plug("C", "1-1"), 2);
	restart();
	ck_assert_int_eq(plug("C", "1-1"), 2);
	ck_assert_int_eq(plug("B", "~dev:2"), 0);
	ck_assert_int_eq(plug("A", "~dev:1"), 1);
}
END_TEST

START_TEST(test_all_taken)
{
	char place[16];

	for (int i = 0; i < COUNT; i++) {
		snprintf(place, sizeof(place), "%d", i);
		ck_assert_int_eq(plug("A", place), i);
	}
	ck_assert_int_eq(places_pick("A", "x", used, COUNT), -1);
	/* all are somebody's, one is not in use */
	used[77] = false;
	ck_assert_int_eq(places_pick("A", "x", used, COUNT), 77);
	ck_assert_int_eq(places_pick("A", "3", used, 2), -1);
}
END_TEST

START_TEST(test_bounded)
{
	char place[16];
	struct stat status;

	for (int i = 0; i < PLACES_MAX + 100; i++) {
		snprintf(place, sizeof(place), "%d", i);
		places_keep("A", place, i % COUNT);
	}
	restart();
	ck_assert_int_eq(places_pick("A", "1099", used, COUNT), 1099 % COUNT);
	ck_assert_int_eq(stat(file, &status), 0);
	ck_assert_int_lt(status.st_size, 16 * PLACES_MAX);
}
END_TEST

/* Whatever stands in the file, the numbers are numbers. */
START_TEST(test_broken_file)
{
	static const char *const texts[] = { "", "\n\n", "x\ty\tA\n", "-1\ty\tA\n", "256\ty\tA\n",
		"1\n1\t\n1\ty\n1\ty\t\n", "1\t1-1", "\t\t\t\t\n", "1\ty\tA\textra\n" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *out = fopen(file, "w");

		ck_assert_ptr_nonnull(out);
		fputs(texts[i], out);
		fclose(out);
		places_open(folder);
		ck_assert_int_eq(places_pick("A", "y", used, COUNT), 0);
	}
	places_keep("tab\tin name", "y", 3);
	ck_assert_int_eq(places_pick("tab\tin name", "y", used, COUNT), 0);
}
END_TEST

START_TEST(test_cannot_write)
{
	char *said;

	places_open("/nowhere/at/all");
	places_keep("A", "1", 4);
	capture_begin();
	places_save();
	places_keep("A", "1", 5);
	places_save();
	said = capture_end();
	ck_assert_uint_eq(capture_lines(said), 1);
	ck_assert_int_eq(places_pick("A", "1", used, COUNT), 5);
	free(said);
	places_open(NULL);
	places_keep("A", "1", 4);
	places_save();
	ck_assert_int_eq(places_pick("A", "1", used, COUNT), 4);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("places");
	TCase *tests = tcase_create("places");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_first_come);
	tcase_add_test(tests, test_order_does_not_matter);
	tcase_add_test(tests, test_others_do_not_count);
	tcase_add_test(tests, test_moved);
	tcase_add_test(tests, test_twins);
	tcase_add_test(tests, test_transient);
	tcase_add_test(tests, test_all_taken);
	tcase_add_test(tests, test_bounded);
	tcase_add_test(tests, test_broken_file);
	tcase_add_test(tests, test_cannot_write);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
