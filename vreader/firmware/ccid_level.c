/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PC_to_RDR_XfrBlock at each exchange level (CCID 1.1 §3, §6.1.4): what the host sends is an
 * APDU, a TPDU or plain characters, and what is missing to reach the card is done here.
 */
#include <string.h>

#include "vreader/bytes.h"
#include "vreader/cards/card_t1.h"
#include "vreader/firmware/ccid_slot.h"

#define MS ((int64_t)1000000)

enum {
	/* How often a reader that waits for its card tells the host so; below every usual BWT and
	 * WWT. */
	EXTENSION_EVERY_MS = 500,
	/* A card program that has not answered then never will. */
	PENDING_MAX_MS = 600000,
	SHORT_APDU_MAX = 261,
	PPSS = 0xFF,
	NULL_BYTE = 0x60,
};

void ccid_level_reset(struct slot *slot)
{
	slot->command_chain = false;
	slot->command_len = 0;
	slot->response = NULL;
	slot->response_at = 0;
	slot->rx_len = 0;
}

/* Fi by the high nibble of TA1 (ISO 7816-3 §8.3, table 7); RFU as the default. */
unsigned ccid_fi(uint8_t ta1)
{
	static const uint16_t table[16] = { 372, 372, 558, 744, 1116, 1488, 1860, 372, 372, 512,
		768, 1024, 1536, 2048, 372, 372 };

	return table[ta1 >> 4];
}

/* How long the reader waits for the card's next byte (ISO 7816-3 §10.2, WWT; §11.4.3, BWT), ms. */
static uint32_t waiting_ms(const struct slot *slot)
{
	uint32_t khz = get_le32(slot->dev->intf.ccid + CCID_DESC_dwDefaultClock);
	const uint8_t *p = slot->params[slot->protocol];
	unsigned bwi = p[CCID_T1_bmWaitingIntegers] >> 4;
	uint64_t cycles;

	if (khz < 1000)
		khz = 1000;
	if (slot->protocol == 0)
		cycles = 960ULL * (p[CCID_T0_bWaitingInteger] ? p[CCID_T0_bWaitingInteger] : 10) *
			 ccid_fi(p[0]);
	else
		cycles = (960ULL * 372 << (bwi > 9 ? 9 : bwi)) + 11ULL * ccid_fi(p[0]);
	return (uint32_t)(cycles / khz) + 1;
}

static struct card_link link_of(const struct slot *slot)
{
	const uint8_t *p = slot->params[slot->protocol];

	return (struct card_link){ .fidi = p[CCID_T0_bmFindexDindex],
		.inverse = p[CCID_T0_bmTCCKS] & CCID_TCCKS_INVERSE };
}

static void give_up_mute(struct slot *slot, int64_t now)
{
	(void)now;
	job_fail(slot, CCID_ERROR_ICC_MUTE);
}

/* --- Waiting for bytes of the card ------------------------------------------------------------ */

static void await_card(struct slot *slot, slot_step step, int64_t now);

static void await_again(struct slot *slot, int64_t now)
{
	slot_step then = slot->job.then;

	slot->job.then = NULL;
	await_card(slot, then, now);
}

/* A card that works on its answer for as long as it likes, up to a limit (card_wake_by()). */
static void await_pending(struct slot *slot, slot_step step, uint32_t delay_ms, int64_t now)
{
	if (slot->job.pending_ms >= PENDING_MAX_MS) {
		job_fail(slot, CCID_ERROR_ICC_MUTE);
		return;
	}
	slot->job.pending_ms += delay_ms;
	slot->job.then = step;
	job_next(slot, await_again, now + delay_ms * MS);
}

/* Takes the card's next burst into rx and has step called when it has arrived; or ends the command
 * when the card says nothing in time. */
static void await_card(struct slot *slot, slot_step step, int64_t now)
{
	uint32_t limit = waiting_ms(slot) * slot->job.bwi;
	struct card_burst burst;

	if (!card_send(slot->card, &burst) || burst.delay_ms > limit) {
		job_next(slot, give_up_mute, now + limit * MS);
		return;
	}
	if (burst.len == 0) {
		await_pending(slot, step, burst.delay_ms, now);
		return;
	}
	if (burst.len > sizeof(slot->rx) - slot->rx_len) {
		job_fail(slot, CCID_ERROR_XFR_OVERRUN);
		return;
	}
	memcpy(slot->rx + slot->rx_len, burst.data, burst.len);
	slot->rx_len += burst.len;
	job_next(slot, step, now + burst.delay_ms * MS);
}

static void give_all(struct slot *slot, int64_t now)
{
	size_t len = slot->rx_len;

	(void)now;
	slot->rx_len = 0;
	job_ok(slot, CCID_CHAIN_WHOLE, slot->rx, len);
}

/* --- Character level -------------------------------------------------------------------------- */

static void character_collect(struct slot *slot, int64_t now)
{
	size_t n = slot->job.expected;

	if (slot->rx_len < n) {
		await_card(slot, character_collect, now);
		return;
	}
	job_ok(slot, CCID_CHAIN_WHOLE, slot->rx, n);
	slot->rx_len -= n;
	memmove(slot->rx, slot->rx + n, slot->rx_len);
}

/* wLevelParameter is the number of bytes the host waits for. */
static void character_level(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	size_t expected = get_le16(msg->specific + 1);

	if (expected > SLOT_TPDU_MAX) {
		slot_fail(slot, msg, CCID_MSG_wLevelParameter);
		return;
	}
	job_start(slot, msg, character_collect, now);
	slot->job.expected = expected;
	slot->job.bwi = msg->specific[0] ? msg->specific[0] : 1;
	if (msg->len) {
		slot->rx_len = 0;
		card_receive(slot->card, link_of(slot), msg->data, msg->len);
	}
}

/* --- TPDU level, T=0: the reader follows the procedure bytes (ISO 7816-3 §10.3) --------------- */

static void t0_receive(struct slot *slot, int64_t now);

static void t0_send_data(struct slot *slot, size_t n)
{
	struct reader_t0 *t0 = &slot->t0;

	card_receive(slot->card, link_of(slot), t0->tpdu + t0->sent, n);
	t0->sent += n;
}

/* INS asks for all the rest, its complement for one byte. */
static void t0_acknowledge(struct slot *slot, bool all)
{
	struct reader_t0 *t0 = &slot->t0;
	size_t rest = t0->tpdu_len - t0->sent;

	if (rest)
		t0_send_data(slot, all ? rest : 1);
	else
		t0->burst = all ? t0->expect : t0->expect > 0;
}

/* One byte of the card. False when it does not belong here. */
static bool t0_byte(struct slot *slot, uint8_t byte)
{
	struct reader_t0 *t0 = &slot->t0;
	uint8_t ins = t0->tpdu[1];

	if (t0->burst) {
		t0->answer[t0->answer_len++] = byte;
		t0->burst--;
		t0->expect--;
	} else if (t0->sw1_seen) {
		t0->answer[t0->answer_len++] = byte;
	} else if (byte == NULL_BYTE) {
		job_time_extension(slot);
	} else if ((byte ^ ins) == 0 || (byte ^ ins) == 0xFF) {
		t0_acknowledge(slot, byte == ins);
	} else if ((byte & 0xF0) == 0x60 || (byte & 0xF0) == 0x90) {
		t0->answer[t0->answer_len++] = byte;
		t0->sw1_seen = true;
		return true;
	} else {
		return false;
	}
	return true;
}

static void t0_receive(struct slot *slot, int64_t now)
{
	struct reader_t0 *t0 = &slot->t0;
	size_t n = slot->rx_len;

	slot->rx_len = 0;
	for (size_t i = 0; i < n; i++) {
		bool sw2 = t0->sw1_seen;

		if (!t0_byte(slot, slot->rx[i])) {
			job_fail(slot, CCID_ERROR_PROCEDURE_BYTE_CONFLICT);
			return;
		}
		if (sw2) {
			job_ok(slot, CCID_CHAIN_WHOLE, t0->answer, t0->answer_len);
			return;
		}
	}
	await_card(slot, t0_receive, now);
}

static void t0_level(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	struct reader_t0 *t0 = &slot->t0;

	if (msg->len < 4 || msg->len > sizeof(t0->tpdu) ||
		(msg->len > 5 && msg->len != 5 + (size_t)msg->data[4])) {
		slot_fail(slot, msg, CCID_ERROR_BAD_LENGTH);
		return;
	}
	memset(t0, 0, sizeof(*t0));
	memcpy(t0->tpdu, msg->data, msg->len);
	/* A TPDU of 4 bytes gets its P3 = 0 from the reader (CCID 1.1 §3.2.1). */
	t0->tpdu_len = msg->len == 4 ? 5 : msg->len;
	if (t0->tpdu_len == 5)
		t0->expect = t0->tpdu[4] ? t0->tpdu[4] : 256;
	slot->rx_len = 0;
	job_start(slot, msg, t0_receive, now);
	t0_send_data(slot, 5);
}

/* --- TPDU level ------------------------------------------------------------------------------- */

static void await_block(struct slot *slot, int64_t now)
{
	await_card(slot, give_all, now);
}

static void tpdu_level(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	if (get_le16(msg->specific + 1)) {
		slot_fail(slot, msg, CCID_MSG_wLevelParameter);
		return;
	}
	if (slot->protocol == 0 && msg->len && msg->data[0] != PPSS) {
		t0_level(slot, msg, now);
		return;
	}
	if (msg->len == 0 || msg->len > SLOT_TPDU_MAX) {
		slot_fail(slot, msg, CCID_ERROR_BAD_LENGTH);
		return;
	}
	slot->rx_len = 0;
	job_start(slot, msg, await_block, now);
	slot->job.bwi = msg->specific[0] ? msg->specific[0] : 1;
	card_receive(slot->card, link_of(slot), msg->data, msg->len);
}

/* Below the APDU levels only: above, the protocol does not show. */
void ccid_exchange_ifsd(struct slot *slot)
{
	uint32_t level = slot->dev->features & CCID_FEATURE_LEVEL_MASK;
	uint32_t ifsd = get_le32(slot->dev->intf.ccid + CCID_DESC_dwMaxIFSD);
	uint8_t block[6] = { 0, 0xC1, 1 };
	struct card_burst burst;
	size_t n = 4;

	if (slot->protocol != 1 || !(slot->dev->features & CCID_FEATURE_AUTO_IFSD) ||
		(level != CCID_FEATURE_LEVEL_TPDU && level != CCID_FEATURE_LEVEL_CHARACTER))
		return;
	block[3] = (uint8_t)(ifsd < 1 || ifsd > 254 ? 254 : ifsd);
	n += card_t1_edc(slot->params[1][CCID_T1_bmTCCKS] & CCID_TCCKS_CRC, block, n, block + n);
	card_receive(slot->card, link_of(slot), block, n);
	/* Whatever the card says, the host goes on with what it knows. */
	card_send(slot->card, &burst);
}

/* --- APDU levels ------------------------------------------------------------------------------ */

/* The next part of the response, as much as a message holds (CCID 1.1 §6.2.1, bChainParameter). */
static void give_response_part(struct slot *slot)
{
	size_t room = slot->dev->message_max - CCID_MSG_HEADER_SIZE;
	size_t rest = slot->response->len - slot->response_at;
	const uint8_t *part = slot->response->data + slot->response_at;
	bool first = slot->response_at == 0, last = rest <= room;
	uint8_t chain = first ? CCID_CHAIN_BEGIN : CCID_CHAIN_CONTINUE;

	if (last)
		chain = first ? CCID_CHAIN_WHOLE : CCID_CHAIN_END;
	slot->response_at += last ? rest : room;
	if (last)
		slot->response = NULL;
	job_ok(slot, chain, part, last ? rest : room);
}

static void apdu_wait(struct slot *slot, int64_t now);

/* A card that works on its answer for as long as it likes, up to a limit (card_wake_by()). */
static void apdu_pending(struct slot *slot, int64_t now)
{
	if (slot->job.pending_ms >= PENDING_MAX_MS) {
		job_fail(slot, CCID_ERROR_ICC_MUTE);
		return;
	}
	if (slot->job.pending_ms)
		job_time_extension(slot);
	slot->job.pending_ms += EXTENSION_EVERY_MS;
	job_next(slot, apdu_wait, now + EXTENSION_EVERY_MS * MS);
}

static void apdu_wait(struct slot *slot, int64_t now)
{
	uint32_t chunk;

	if (slot->response->pending) {
		apdu_pending(slot, now);
		return;
	}
	if (slot->response->mute) {
		job_fail(slot, CCID_ERROR_ICC_MUTE);
		return;
	}
	chunk = slot->job.left_ms;
	if (chunk == 0) {
		give_response_part(slot);
		return;
	}
	if (chunk > EXTENSION_EVERY_MS) {
		chunk = EXTENSION_EVERY_MS;
		job_time_extension(slot);
	}
	slot->job.left_ms -= chunk;
	job_next(slot, apdu_wait, now + chunk * MS);
}

static void apdu_run(struct slot *slot, const uint8_t *apdu, size_t len, int64_t now)
{
	slot->dev->stats.apdus++;
	slot->response = card_exchange(slot->card, apdu, len);
	slot->response_at = 0;
	slot->job.left_ms = slot->response->delay_ms;
	if (slot->response->mute)
		job_next(slot, give_up_mute, now + waiting_ms(slot) * MS);
	else
		job_next(slot, apdu_wait, now);
}

static void short_apdu_level(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	if (get_le16(msg->specific + 1)) {
		slot_fail(slot, msg, CCID_MSG_wLevelParameter);
		return;
	}
	if (msg->len < 4 || msg->len > SHORT_APDU_MAX) {
		slot_fail(slot, msg, CCID_ERROR_BAD_LENGTH);
		return;
	}
	job_start(slot, msg, NULL, now);
	apdu_run(slot, msg->data, msg->len, now);
}

static void take_command_part(
	struct slot *slot, const struct ccid_message *msg, bool first, bool last, int64_t now)
{
	if (first)
		ccid_level_reset(slot);
	else if (!slot->command_chain) {
		slot_fail(slot, msg, CCID_MSG_wLevelParameter);
		return;
	}
	if (msg->len > sizeof(slot->command) - slot->command_len) {
		ccid_level_reset(slot);
		slot_fail(slot, msg, CCID_ERROR_BAD_LENGTH);
		return;
	}
	memcpy(slot->command + slot->command_len, msg->data, msg->len);
	slot->command_len += msg->len;
	slot->command_chain = !last;
	if (!last) {
		slot_ok(slot, msg, CCID_CHAIN_EMPTY, NULL, 0);
		return;
	}
	job_start(slot, msg, NULL, now);
	apdu_run(slot, slot->command, slot->command_len, now);
}

static void extended_apdu_level(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	switch (get_le16(msg->specific + 1)) {
	case CCID_CHAIN_WHOLE:
		take_command_part(slot, msg, true, true, now);
		break;
	case CCID_CHAIN_BEGIN:
		take_command_part(slot, msg, true, false, now);
		break;
	case CCID_CHAIN_CONTINUE:
		take_command_part(slot, msg, false, false, now);
		break;
	case CCID_CHAIN_END:
		take_command_part(slot, msg, false, true, now);
		break;
	case CCID_CHAIN_EMPTY:
		if (slot->response && msg->len == 0) {
			job_start(slot, msg, NULL, now);
			give_response_part(slot);
			break;
		}
		/* fallthrough */
	default:
		slot_fail(slot, msg, CCID_MSG_wLevelParameter);
		break;
	}
}

void ccid_xfr_block(struct slot *slot, const struct ccid_message *msg, int64_t now)
{
	switch (slot->dev->features & CCID_FEATURE_LEVEL_MASK) {
	case CCID_FEATURE_LEVEL_CHARACTER:
		character_level(slot, msg, now);
		break;
	case CCID_FEATURE_LEVEL_TPDU:
		tpdu_level(slot, msg, now);
		break;
	case CCID_FEATURE_LEVEL_SHORT_APDU:
		short_apdu_level(slot, msg, now);
		break;
	case CCID_FEATURE_LEVEL_EXTENDED_APDU:
		extended_apdu_level(slot, msg, now);
		break;
	default:
		slot_fail(slot, msg, CCID_ERROR_CMD_NOT_SUPPORTED);
		break;
	}
}
