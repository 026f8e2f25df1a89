/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An ISO 7816-4 file card, made to exercise readers and drivers. Its files:
 *
 *   3F00 MF
 *     2F00 EF.DIR  transparent, one application template
 *     2F01 EF.ATR  transparent, card capabilities and extended length information
 *     5000 DF      DF name F0 "Cardwire"
 *       5001 transparent, 256 bytes, SFI 1
 *       5002 transparent, 32768 bytes, SFI 2
 *       5003 linear fixed, 10 records of 20 bytes, SFI 3
 *       5004 transparent, 64 bytes, read and written after VERIFY only
 *
 * PIN 01 or 81 is "123456", 3 tries. Commands of our own, for tests:
 *
 *   80 EC P1 P2 data    gives the data back
 *   80 ED len           gives len bytes (P1 P2, 0 means 65536); byte i is (i ^ i >> 8)
 *   80 EE ms            takes P1 P2 ms, asking the reader for time, then gives the data back
 *   80 EF               is mute
 */
#include <stdlib.h>
#include <string.h>

#include "vreader/cards/crypto.h"
#include "vreader/cards/iso/iso_card.h"

enum {
	PIN_TRIES = 3,
};

static const uint8_t pin_value[6] = { '1', '2', '3', '4', '5', '6' };

static void verify(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	if (cmd->p1 != 0 || (cmd->p2 != 0x01 && cmd->p2 != 0x81)) {
		ans->sw = cmd->p1 ? SW_WRONG_P1P2 : SW_NO_SUCH_DATA;
		return;
	}
	if (cmd->nc == 0) {
		ans->sw = card->verified ? SW_OK : (uint16_t)(SW_COUNTER | card->tries);
		return;
	}
	if (card->tries == 0) {
		ans->sw = SW_BLOCKED;
		return;
	}
	card->verified = cmd->nc == sizeof(pin_value) && memcmp(cmd->data, pin_value, cmd->nc) == 0;
	if (card->verified) {
		card->tries = PIN_TRIES;
		ans->sw = SW_OK;
		return;
	}
	card->tries--;
	ans->sw = (uint16_t)(SW_COUNTER | card->tries);
}

static void get_challenge(
	struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)card;
	if (cmd->ne == 0 || cmd->nc) {
		ans->sw = SW_WRONG_LENGTH;
		return;
	}
	ans->sw = SW_MEMORY_FAILURE;
	if (!crypto_random(ans->data, cmd->ne))
		return;
	ans->len = cmd->ne;
	ans->sw = SW_OK;
}

static void echo(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)card;
	if (cmd->nc)
		memcpy(ans->data, cmd->data, cmd->nc);
	ans->len = cmd->nc;
	ans->sw = SW_OK;
}

static void pattern(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)card;
	ans->len = (size_t)cmd->p1 << 8 | cmd->p2;
	if (ans->len == 0)
		ans->len = 65536;
	for (size_t i = 0; i < ans->len; i++)
		ans->data[i] = (uint8_t)(i ^ i >> 8);
	ans->sw = SW_OK;
}

static void wait_ms(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	echo(card, cmd, ans);
	ans->delay_ms = (uint32_t)cmd->p1 << 8 | cmd->p2;
}

static void be_mute(struct iso_card *card, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)card;
	(void)cmd;
	ans->mute = true;
}

static const struct {
	uint8_t cla;
	uint8_t ins;
	bool takes_data;
	void (*run)(struct iso_card *, const struct apdu_command *, struct apdu_answer *);
} commands[] = {
	{ 0x00, 0xA4, true, iso_select },
	{ 0x00, 0xB0, false, iso_read_binary },
	{ 0x00, 0xD6, true, iso_update_binary },
	{ 0x00, 0xB2, false, iso_read_record },
	{ 0x00, 0xDC, true, iso_update_record },
	{ 0x00, 0x20, true, verify },
	{ 0x00, 0x84, false, get_challenge },
	{ 0x80, 0xEC, true, echo },
	{ 0x80, 0xED, false, pattern },
	{ 0x80, 0xEE, true, wait_ms },
	{ 0x80, 0xEF, true, be_mute },
};

enum {
	COMMANDS = sizeof(commands) / sizeof(commands[0]),
};

static bool iso_takes_data(const struct card_app *app, uint8_t cla, uint8_t ins)
{
	(void)app;
	for (size_t i = 0; i < COMMANDS; i++)
		if (commands[i].cla == (cla & ~0x10) && commands[i].ins == ins)
			return commands[i].takes_data;
	return false;
}

static void iso_process(
	struct card_app *app, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	ans->sw = SW_CLA_NOT_SUPPORTED;
	for (size_t i = 0; i < COMMANDS; i++) {
		if (commands[i].cla != cmd->cla)
			continue;
		if (commands[i].ins == cmd->ins) {
			commands[i].run((struct iso_card *)app, cmd, ans);
			return;
		}
		ans->sw = SW_INS_NOT_SUPPORTED;
	}
}

static void iso_reset(struct card_app *app)
{
	struct iso_card *card = (struct iso_card *)app;

	card->current_df = F_MF;
	card->current_ef = -1;
	card->current_record = 0;
	card->verified = false;
}

static void iso_free(struct card_app *app)
{
	free(app);
}

static const struct card_app_ops iso_ops = {
	.name = "iso",
	.reset = iso_reset,
	.takes_data = iso_takes_data,
	.process = iso_process,
	.free = iso_free,
};

struct card_app *iso_card_new(void)
{
	struct iso_card *card = calloc(1, sizeof(*card));

	if (!card)
		return NULL;
	card->app.ops = &iso_ops;
	card->tries = PIN_TRIES;
	iso_files_make(card);
	iso_reset(&card->app);
	return &card->app;
}
