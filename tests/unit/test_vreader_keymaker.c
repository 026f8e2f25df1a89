/* SPDX-License-Identifier: BSD-3-Clause */
/* RSA keys made while the loop goes on: by the OpenPGP application, whose answers are pending. */
#include <unistd.h>

#include "applet_peer.h"
#include "suite.h"
#include "vreader/cards/openpgp/openpgp.h"
#include "vreader/loop.h"

#define SELECT   "00A4040006D27600012401"
#define PW3      "00200083083132333435363738"
#define GENERATE "00478000000002B6000000"
#define PUBLIC   "00478100000002B6000000"

static const applet_maker makers[] = { openpgp_new };
static struct loop *loop;

struct peer {
	struct applet_peer applets;
	unsigned woken;
};

static void on_wake(void *ctx)
{
	struct peer *p = ctx;

	ck_assert(!p->applets.rsp->pending);
	p->woken++;
}

static void begin(struct peer *p, const char *path)
{
	*p = (struct peer){ 0 };
	peer_open(&p->applets, path, makers, 1);
	card_wake_by(p->applets.card, on_wake, p);
	card_work_in(p->applets.card, loop);
	peer_expect(&p->applets, 0x9000, SELECT);
}

static void begin_generation(struct peer *p)
{
	uint8_t command[16];
	size_t len = unhex(GENERATE, command, sizeof(command));

	peer_expect(&p->applets, 0x9000, PW3);
	p->applets.rsp = card_exchange(p->applets.card, command, len);
	ck_assert(p->applets.rsp->pending);
	ck_assert_uint_eq(p->woken, 0);
}

static void wait_for(struct peer *p)
{
	while (p->applets.rsp->pending)
		ck_assert(loop_once(loop, INT64_MAX));
	ck_assert_uint_eq(p->woken, 1);
	p->woken = 0;
	ck_assert_uint_eq(p->applets.rsp->len, 270 + 2);
	ck_assert_mem_eq(p->applets.rsp->data + 270, "\x90\x00", 2);
}

/* What was answered is what the card has; the public key then is in key. */
static void expect_kept(struct peer *p, uint8_t key[270])
{
	memcpy(key, p->applets.rsp->data, 270);
	peer_expect(&p->applets, 0x9000, PUBLIC);
	ck_assert_uint_eq(p->applets.rsp->len, 270 + 2);
	ck_assert_mem_eq(p->applets.rsp->data, key, 270);
}

static void setup(void)
{
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
}

static void teardown(void)
{
	loop_free(loop);
}

START_TEST(answers_when_the_key_is_there)
{
	uint8_t first[270], second[270];
	struct peer p;

	begin(&p, NULL);
	begin_generation(&p);
	wait_for(&p);
	expect_kept(&p, first);
	begin_generation(&p);
	wait_for(&p);
	expect_kept(&p, second);
	ck_assert_mem_ne(first, second, 270);
	peer_close(&p.applets);
}
END_TEST

/* Refusals and keys on curves need no thread. */
START_TEST(answers_others_at_once)
{
	struct peer p;

	begin(&p, NULL);
	peer_expect(&p.applets, 0x6982, GENERATE);
	peer_expect(&p.applets, 0x9000, PW3);
	peer_expect(&p.applets, 0x9000, "00DA00C10A162B06010401DA470F01");
	peer_expect(&p.applets, 0x9000, GENERATE);
	ck_assert_uint_eq(p.woken, 0);
	peer_close(&p.applets);
}
END_TEST

/* Neither the order in which threads end nor who runs beside them decides on the keys of a seed. */
START_TEST(keeps_to_the_seed)
{
	uint8_t keys[2][2][270];
	struct peer p[2];

	for (int run = 0; run < 2; run++) {
		ck_assert(crypto_seed("word"));
		begin(&p[0], NULL);
		begin(&p[1], NULL);
		begin_generation(&p[0]);
		if (run == 0)
			wait_for(&p[0]);
		begin_generation(&p[1]);
		wait_for(&p[1]);
		if (run == 1)
			wait_for(&p[0]);
		for (int i = 0; i < 2; i++) {
			memcpy(keys[run][i], p[i].applets.rsp->data, 270);
			peer_close(&p[i].applets);
		}
	}
	ck_assert_mem_eq(keys[0], keys[1], sizeof(keys[0]));
	ck_assert_mem_ne(keys[0][0], keys[0][1], 270);
}
END_TEST

/* Power off, another command, a command that the application never hears of: none leaves a key, or an
 * answer that nobody waits for. */
START_TEST(gives_up)
{
	struct peer p;

	begin(&p, NULL);
	begin_generation(&p);
	card_power_off(p.applets.card);
	ck_assert(!p.applets.rsp->pending);
	peer_reset(&p.applets);
	peer_expect(&p.applets, 0x6A88, PUBLIC);
	begin_generation(&p);
	peer_reset(&p.applets);
	peer_expect(&p.applets, 0x6A88, PUBLIC);
	begin_generation(&p);
	peer_expect(&p.applets, 0x9000, "00CA004F00");
	peer_expect(&p.applets, 0x6A88, PUBLIC);
	begin_generation(&p);
	peer_expect(&p.applets, 0x6985, "00C0000000");
	ck_assert(loop_once(loop, INT64_MAX));
	peer_expect(&p.applets, 0x6A88, PUBLIC);
	ck_assert_uint_eq(p.woken, 0);
	begin_generation(&p);
	peer_close(&p.applets);
}
END_TEST

/* A card that is pulled has no key; one that has answered has it on disk. */
START_TEST(is_on_disk_with_its_answer)
{
	char path[] = "/tmp/cardwire-keymaker-XXXXXX";
	uint8_t key[270];
	struct peer p;

	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chdir(path), 0);
	begin(&p, "state");
	begin_generation(&p);
	peer_close(&p.applets);
	begin(&p, "state");
	peer_expect(&p.applets, 0x6A88, PUBLIC);
	begin_generation(&p);
	wait_for(&p);
	memcpy(key, p.applets.rsp->data, sizeof(key));
	peer_close(&p.applets);
	begin(&p, "state");
	peer_expect(&p.applets, 0x9000, PUBLIC);
	ck_assert_mem_eq(p.applets.rsp->data, key, sizeof(key));
	peer_close(&p.applets);
	ck_assert_int_eq(unlink("state"), 0);
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_keymaker");
	TCase *t = tcase_create("keymaker");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, answers_when_the_key_is_there);
	tcase_add_test(t, answers_others_at_once);
	tcase_add_test(t, keeps_to_the_seed);
	tcase_add_test(t, gives_up);
	tcase_add_test(t, is_on_disk_with_its_answer);
	suite_add_tcase(s, t);
	return suite_run(s);
}
