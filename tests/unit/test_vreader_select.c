/* SPDX-License-Identifier: BSD-3-Clause */
/* Selection among applets: who is current, who loses its rights, when the state is written. */
#include <unistd.h>

#include "applet_peer.h"
#include "suite.h"

/* "Rights" are had with INS 01, shown by 02, kept bytes are written by 03 and read by 04. */
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

static void take_rights(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)cmd;
	((struct toy *)applet)->rights = true;
	ans->sw = SW_OK;
}

static void show_rights(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)cmd;
	/* What lies beside an error must not be seen. */
	ans->len = 1;
	ans->sw = ((struct toy *)applet)->rights ? SW_OK : SW_SECURITY_STATUS;
}

static void write_byte(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct toy *toy = (struct toy *)applet;

	toy->rights = true;
	state_put_byte(toy->state, toy->record, cmd->data[0]);
	ans->sw = SW_OK;
}

static void read_byte(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct toy *toy = (struct toy *)applet;

	(void)cmd;
	ans->data[0] = state_get_byte(toy->state, toy->record, 0);
	ans->len = 1;
	ans->sw = SW_OK;
}

/* While the kept byte is EE, nothing but writing another. */
static uint16_t toy_refuses(const struct applet *applet, uint8_t ins)
{
	const struct toy *toy = (const struct toy *)applet;

	return ins != 3 && state_get_byte(toy->state, toy->record, 0) == 0xEE ? SW_CONDITIONS
									      : SW_OK;
}

static const struct applet_command commands[] = {
	{ 1, false, take_rights },
	{ 2, false, show_rights },
	{ 3, true, write_byte },
	{ 4, false, read_byte },
};

static const struct applet_ops toy_ops = {
	.select = toy_select,
	.deselect = toy_deselect,
	.refuses = toy_refuses,
	.commands = commands,
	.command_count = sizeof(commands) / sizeof(commands[0]),
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
	peer_expect(&p, SW_OK, "00010000");
	peer_expect(&p, SW_OK, "00020000");
	/* A selection that fails takes nothing away, nor does the same applet again. */
	peer_expect(&p, SW_FILE_NOT_FOUND, "00A4040002 F1F1");
	peer_expect(&p, SW_OK, "00020000");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790A");
	peer_expect(&p, SW_OK, "00020000");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect(&p, SW_SECURITY_STATUS, "00020000");
	peer_expect(&p, SW_OK, "00010000");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790A");
	peer_expect(&p, SW_SECURITY_STATUS, "00020000");
	peer_expect(&p, SW_OK, "00010000");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect(&p, SW_SECURITY_STATUS, "00020000");
	/* A reset ends all rights and goes back to the first. */
	peer_expect(&p, SW_OK, "00010000");
	peer_reset(&p);
	peer_expect(&p, SW_SECURITY_STATUS, "00020000");
	peer_expect(&p, SW_OK, "0003000001 77");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect_data(&p, "00", "0004000001");
	peer_close(&p);
}
END_TEST

START_TEST(test_commands)
{
	struct applet_peer p;

	peer_open(&p, NULL, makers, 2);
	peer_expect(&p, SW_CLA_NOT_SUPPORTED, "80010000");
	peer_expect(&p, SW_INS_NOT_SUPPORTED, "00050000");
	peer_expect(&p, SW_SECURITY_STATUS, "00020000");
	ck_assert_uint_eq(p.rsp->len, 2);
	/* In the state in which an applet refuses, it refuses what it does not know, too. */
	peer_expect(&p, SW_OK, "0003000001 EE");
	peer_expect(&p, SW_CONDITIONS, "00010000");
	peer_expect(&p, SW_CONDITIONS, "00050000");
	peer_expect(&p, SW_CLA_NOT_SUPPORTED, "80010000");
	peer_expect(&p, SW_OK, "0003000001 00");
	peer_expect(&p, SW_OK, "00010000");
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
	peer_expect(&p, SW_OK, "0003000001 55");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect(&p, SW_OK, "0003000001 66");
	peer_close(&p);
	peer_open(&p, path, makers, 2);
	peer_expect_data(&p, "55", "0004000001");
	peer_expect(&p, SW_OK, "00A4040005 F0546F790B");
	peer_expect_data(&p, "66", "0004000001");
	/* A folder that is gone: the change did not happen, nor what went with it. */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	peer_expect(&p, SW_MEMORY_FAILURE, "0003000001 99");
	peer_expect(&p, SW_SECURITY_STATUS, "00020000");
	peer_expect_data(&p, "66", "0004000001");
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

	tcase_add_test(t, test_names);
	tcase_add_test(t, test_rights_end_with_selection);
	tcase_add_test(t, test_commands);
	tcase_add_test(t, test_state_is_kept_before_the_answer);
	tcase_add_test(t, test_what_is_missing);
	suite_add_tcase(s, t);
	return suite_run(s);
}
