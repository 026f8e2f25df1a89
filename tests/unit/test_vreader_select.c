/* SPDX-License-Identifier: BSD-3-Clause */
/* Selection among applets: who is current, who loses its rights, when the state is written. */
#include <sys/stat.h>
#include <unistd.h>

#include "applet_peer.h"

/* "Rights" are had with 80 01, shown by 80 02, kept bytes are written by 80 03 and read by 80 04. */
struct toy {
	struct applet applet;
	struct state *state;
	const char *record;
	bool rights;
};

static void toy_select(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)cmd;
	ans->data[0] = applet->aid[applet->aid_len - 1];
	ans->len = 1;
	ans->sw = SW_OK;
}

static void toy_deselect(struct applet *applet)
{
	((struct toy *)applet)->rights = false;
}

static bool toy_takes_data(const struct applet *applet, uint8_t cla, uint8_t ins)
{
	(void)applet;
	(void)cla;
	return ins == 3;
}

static void toy_process(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct toy *toy = (struct toy *)applet;

	ans->sw = SW_OK;
	switch (cmd->ins) {
	case 1:
		toy->rights = true;
		break;
	case 2:
		ans->sw = toy->rights ? SW_OK : SW_SECURITY_STATUS;
		break;
	case 3:
		toy->rights = true;
		state_put_byte(toy->state, toy->record, cmd->data[0]);
		break;
	case 4:
		ans->data[0] = state_get_byte(toy->state, toy->record, 0);
		ans->len = 1;
		break;
	default:
		ans->sw = SW_INS_NOT_SUPPORTED;
	}
}

static void toy_free(struct applet *applet)
{
	free(applet);
}

static const struct applet_ops toy_ops = {
	.name = "toy",
	.select = toy_select,
	.deselect = toy_deselect,
	.takes_data = toy_takes_data,
	.process = toy_process,
	.free = toy_free,
};

static struct applet *toy_new(struct state *state, uint8_t last, const char *record)
{
	struct toy *toy = calloc(1, sizeof(*toy));
	const uint8_t aid[] = { 0xF0, 'T', 'o', 'y', last };

	ck_assert_ptr_nonnull(toy);
	toy->applet.ops = &toy_ops;
	memcpy(toy->applet.aid, aid, sizeof(aid));
	toy->applet.aid_len = sizeof(aid);
	toy->state = state;
	toy->record = record;
	return &toy->applet;
}

static struct applet *first_new(struct state *state)
{
	return toy_new(state, 0x0A, "first.byte");
}

static struct applet *second_new(struct state *state)
{
	return toy_new(state, 0x0B, "second.byte");
}

static const applet_maker makers[] = { first_new, second_new };

START_TEST(test_names)
{
	struct applet_peer p;

	peer_open(&p, NULL, makers, 2);
	peer_expect_data(&p, "0A", "00A4040005 F0546F790A 00");
	peer_expect_data(&p, "0B", "00A4040005 F0546F790B 00");
	/* A part of a name means the first that begins so; "next" the one behind. */
	peer_expect_data(&p, "0A", "00A4040002 F054 00");
	peer_expect_data(&p, "0B", "00A4040202 F054 00");
	peer_expect(&p, SW_FILE_NOT_FOUND, "00A4040202 F054 00");
	peer_expect_data(&p, "0A", "00A4040001 F0 00");
	peer_expect(&p, SW_FILE_NOT_FOUND, "00A4040006 F0546F790A00 00");
	peer_expect(&p, SW_FILE_NOT_FOUND, "00A4040000");
	/* Other ways to select are the applet's. */
	peer_expect(&p, SW_INS_NOT_SUPPORTED, "00A40000023F00");
	peer_close(&p);
}
END_TEST

START_TEST(test_rights_end_with_selection)
{
	struct applet_peer p;

	peer_open(&p, NULL, makers, 2);
	/* The first is current without being selected. */
	peer_expect(&p, SW_OK, "80010000");
	peer_expect(&p, SW_OK, "80020000");
	/* A selection that fails takes nothing away, nor does the same applet again. */
	peer_expect(&p, SW_FILE_NOT_FOUND, "00A4040002 F1F1");
	peer_expect(&p, SW_OK, "80020000");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790A");
	peer_expect(&p, SW_OK, "80020000");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect(&p, SW_SECURITY_STATUS, "80020000");
	peer_expect(&p, SW_OK, "80010000");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790A");
	peer_expect(&p, SW_SECURITY_STATUS, "80020000");
	peer_expect(&p, SW_OK, "80010000");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect(&p, SW_SECURITY_STATUS, "80020000");
	/* A reset ends all rights and goes back to the first. */
	peer_expect(&p, SW_OK, "80010000");
	peer_reset(&p);
	peer_expect(&p, SW_SECURITY_STATUS, "80020000");
	peer_expect(&p, SW_OK, "8003000001 77");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect_data(&p, "00", "8004000001");
	peer_close(&p);
}
END_TEST

START_TEST(test_state_is_kept_before_the_answer)
{
	char folder[] = "/tmp/cardwire-select-XXXXXX", path[64];
	struct applet_peer p;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state", folder);
	peer_open(&p, path, makers, 2);
	peer_expect(&p, SW_OK, "8003000001 55");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect(&p, SW_OK, "8003000001 66");
	peer_close(&p);
	peer_open(&p, path, makers, 2);
	peer_expect_data(&p, "55", "8004000001");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect_data(&p, "66", "8004000001");
	/* A folder that is gone: the change did not happen, nor what went with it. */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	peer_expect(&p, SW_MEMORY_FAILURE, "8003000001 99");
	peer_expect(&p, SW_SECURITY_STATUS, "80020000");
	peer_expect_data(&p, "66", "8004000001");
	peer_close(&p);
	unlink(path);
	rmdir(folder);
}
END_TEST

START_TEST(test_what_is_missing)
{
	char why[64];
	struct state *state = state_open(NULL, why, sizeof(why));
	struct applet *applets[] = { first_new(state), NULL };

	ck_assert_ptr_null(applet_card_new(state, applets, 2));
	applets[0] = first_new(NULL);
	ck_assert_ptr_null(applet_card_new(NULL, applets, 1));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_select");
	TCase *t = tcase_create("select");
	SRunner *sr;
	int failed;

	tcase_add_test(t, test_names);
	tcase_add_test(t, test_rights_end_with_selection);
	tcase_add_test(t, test_state_is_kept_before_the_answer);
	tcase_add_test(t, test_what_is_missing);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
