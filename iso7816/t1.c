/* SPDX-License-Identifier: BSD-3-Clause */
#include "iso7816/t1.h"

#include <string.h>

#define DEFAULT_IFSC 32
#define DEFAULT_IFSD 32
#define MAX_RESPONSE (65536 + 2)

/* PCB, §11.3.2.2. */
#define PCB_NOT_I    0x80
#define PCB_S        0xC0 /* both bits: S-block; only the upper: R-block */
#define PCB_I_NS     0x40
#define PCB_I_MORE   0x20
#define PCB_I_RFU    0x1F
#define PCB_R_NR     0x10
#define PCB_R_ERROR  0x0F
#define PCB_R_RFU    0x20
#define PCB_S_ANSWER 0x20

/* NAD, §11.3.2.1. */
#define VPP_BITS 0x88

/* What an R-block says in PCB_R_ERROR. */
#define R_FINE  0
#define R_EDC   1 /* EDC or parity error */
#define R_OTHER 2

#define S_RESYNCH 0xC0
#define S_IFS     0xC1
#define S_ABORT   0xC2
#define S_WTX     0xC3

/* A block of the card, checked: `inf` points into the caller's bytes. */
struct t1_in {
	uint8_t pcb;
	const uint8_t *inf;
	size_t inf_len;
};

static uint8_t swap_nibbles(uint8_t byte)
{
	return (uint8_t)(byte << 4 | byte >> 4);
}

/* Returns R_FINE and fills *IN, or says what an R-block has to report. */
static uint8_t check_block(const struct t1 *t1, const uint8_t *bytes, size_t n, struct t1_in *in)
{
	size_t edc = edc_size(t1->config.edc);

	if (n < T1_PROLOGUE + edc || bytes[2] > T1_MAX_INF || n != T1_PROLOGUE + bytes[2] + edc)
		return R_OTHER;
	if (!edc_ok(t1->config.edc, bytes, n))
		return R_EDC;
	if (bytes[0] != swap_nibbles(t1->config.nad))
		return R_OTHER;
	in->pcb = bytes[1];
	in->inf = bytes + T1_PROLOGUE;
	in->inf_len = bytes[2];
	return R_FINE;
}

static struct t1_step send_again(struct t1 *t1, enum t1_reason reason)
{
	t1->counts.sent++;
	if (reason == T1_WHY_REPEAT)
		t1->counts.repeats++;
	return (struct t1_step){ .action = T1_SEND,
		.block = t1->block,
		.len = t1->block_len,
		.wtx = 1,
		.reason = reason };
}

static struct t1_step send_block(
	struct t1 *t1, uint8_t pcb, const uint8_t *inf, size_t inf_len, enum t1_reason reason)
{
	t1->block[0] = t1->config.nad;
	t1->block[1] = pcb;
	t1->block[2] = (uint8_t)inf_len;
	if (inf_len > 0)
		memcpy(t1->block + T1_PROLOGUE, inf, inf_len);
	edc_append(t1->config.edc, t1->block, T1_PROLOGUE + inf_len);
	t1->block_len = T1_PROLOGUE + inf_len + edc_size(t1->config.edc);
	return send_again(t1, reason);
}

/* R-block: the I-block with N(S) = nr is expected; with an error, the last block was not usable. */
static struct t1_step send_r(struct t1 *t1, uint8_t error, enum t1_reason reason)
{
	uint8_t pcb = PCB_NOT_I | error;

	if (t1->nr)
		pcb |= PCB_R_NR;
	return send_block(t1, pcb, NULL, 0, reason);
}

/* Longest INF that the card and the reader take. */
static size_t longest_inf(const struct t1 *t1)
{
	size_t overhead = T1_PROLOGUE + edc_size(t1->config.edc);
	size_t inf = t1->ifsc;

	if (t1->config.max_block != 0 && inf + overhead > t1->config.max_block)
		inf = t1->config.max_block > overhead ? t1->config.max_block - overhead : 1;
	return inf;
}

static bool more_to_send(const struct t1 *t1)
{
	return t1->cmd_at + t1->cmd_part < t1->cmd_len;
}

static struct t1_step send_i(struct t1 *t1, enum t1_reason reason)
{
	uint8_t pcb = 0;

	if (t1->ns)
		pcb |= PCB_I_NS;
	if (more_to_send(t1))
		pcb |= PCB_I_MORE;
	return send_block(t1, pcb, t1->cmd + t1->cmd_at, t1->cmd_part, reason);
}

/* The next I-block of the command, from cmd_at on. */
static struct t1_step send_next_part(struct t1 *t1)
{
	size_t rest = t1->cmd_len - t1->cmd_at;
	size_t longest = longest_inf(t1);

	t1->cmd_part = rest < longest ? rest : longest;
	t1->attempts = T1_ATTEMPTS;
	return send_i(t1, T1_WHY_NEXT);
}

static struct t1_step send_command(struct t1 *t1)
{
	t1->phase = T1_COMMAND;
	t1->cmd_at = 0;
	t1->rsp_len = 0;
	t1->started = false;
	return send_next_part(t1);
}

static struct t1_step fail(struct t1 *t1, enum t1_phase phase, enum t1_error error)
{
	t1->phase = phase;
	t1_wipe(t1);
	return (struct t1_step){ .action = T1_FAILED, .error = error };
}

static struct t1_step finish(struct t1 *t1)
{
	struct t1_step step = { .action = T1_DONE, .rsp_len = t1->rsp_len };

	if (t1->rsp_len > t1->rsp_max)
		step.action = T1_TOO_LONG;
	t1->phase = T1_IDLE;
	t1_wipe(t1);
	return step;
}

/* S(RESYNCH request), rule 6: 3 in an exchange, then the card is given up. */
static struct t1_step resynch(struct t1 *t1)
{
	if (t1->resynchs == 0)
		return fail(t1, T1_OVER, T1_DEAD);
	t1->resynchs--;
	t1->counts.resynchs++;
	if (t1->phase == T1_ABORTING)
		t1->after = T1_ABORTED;
	if (t1->started)
		t1->after = T1_LOST;
	t1->phase = T1_SYNCING;
	return send_block(t1, S_RESYNCH, NULL, 0, T1_WHY_RESYNCH);
}

static struct t1_step resynchronised(struct t1 *t1)
{
	t1->ns = 0;
	t1->nr = 0;
	/* A card that starts afresh may have its first IFSC again; the smaller suits both. */
	if (t1->ifsc > t1->config.ifsc)
		t1->ifsc = t1->config.ifsc;
	if (t1->after != T1_NO_ERROR)
		return fail(t1, T1_IDLE, t1->after);
	return send_command(t1);
}

/* One transmission without progress. True while another may be tried. */
static bool may_try(struct t1 *t1)
{
	return t1->attempts > 0 && --t1->attempts > 0;
}

static struct t1_step give_up(struct t1 *t1)
{
	/* A phase other than idle makes the next exchange begin with RESYNCH. */
	if (t1->phase == T1_SETTING_IFSD)
		return fail(t1, T1_SETTING_IFSD, T1_IFSD_REFUSED);
	return resynch(t1);
}

/*
 * The answer was not usable (rule 7). An R-block (7.2) or a request of ours (7.3) is sent again; on
 * anything else an R-block asks the card for its last block (7.1, 7.3).
 */
static struct t1_step not_usable(struct t1 *t1, uint8_t error)
{
	if (t1->phase == T1_SYNCING)
		return resynch(t1);
	if (!may_try(t1))
		return give_up(t1);

	uint8_t pcb = t1->block[1];
	bool is_r = (pcb & PCB_S) == PCB_NOT_I;
	bool is_request = (pcb & PCB_S) == PCB_S && !(pcb & PCB_S_ANSWER);
	if (is_r || is_request)
		return send_again(t1, T1_WHY_REPEAT);
	return send_r(t1, error, T1_WHY_REPEAT);
}

static void store(struct t1 *t1, const struct t1_in *in)
{
	if (t1->rsp_len < t1->rsp_max && in->inf_len > 0) {
		size_t room = t1->rsp_max - t1->rsp_len;

		memcpy(t1->rsp + t1->rsp_len, in->inf, in->inf_len < room ? in->inf_len : room);
	}
	t1->rsp_len += in->inf_len;
}

/*
 * An I-block acknowledges the command's last (rule 2.2). It is taken even when parts of the command
 * are still to be sent: a card may know from the first part that it wants no more.
 */
static struct t1_step take_i(struct t1 *t1, const struct t1_in *in)
{
	bool more = (in->pcb & PCB_I_MORE) != 0;

	if (in->pcb & PCB_I_RFU || (in->pcb & PCB_I_NS ? 1 : 0) != t1->nr)
		return not_usable(t1, R_OTHER);
	if (t1->phase == T1_SYNCING || t1->phase == T1_SETTING_IFSD)
		return not_usable(t1, R_OTHER);
	if (t1->phase == T1_COMMAND)
		t1->ns ^= 1;
	t1->phase = T1_RESPONSE;
	t1->nr ^= 1;
	t1->started = true;
	store(t1, in);
	if (t1->rsp_len > MAX_RESPONSE)
		return fail(t1, T1_OVER, T1_RUNAWAY);
	if (!more)
		return finish(t1);
	/* A chain of empty blocks would never end; it uses up attempts. */
	if (in->inf_len > 0)
		t1->attempts = T1_ATTEMPTS;
	else if (!may_try(t1))
		return give_up(t1);
	return send_r(t1, R_FINE, T1_WHY_NEXT);
}

/* R-block while the command is being sent: acknowledgement, or a wish for the same block again. */
static struct t1_step take_r_in_command(struct t1 *t1, uint8_t wanted)
{
	if (wanted != t1->ns && more_to_send(t1)) {
		t1->ns ^= 1;
		t1->cmd_at += t1->cmd_part;
		return send_next_part(t1);
	}
	/* The card has all of the command: it is our R-block that it did not understand. */
	if (wanted != t1->ns)
		return not_usable(t1, R_OTHER);
	if (!may_try(t1))
		return give_up(t1);
	if (t1->cmd_part > longest_inf(t1))
		t1->cmd_part = longest_inf(t1);
	return send_i(t1, T1_WHY_REPEAT);
}

static struct t1_step take_r(struct t1 *t1, const struct t1_in *in)
{
	uint8_t error = in->pcb & PCB_R_ERROR;
	uint8_t wanted = in->pcb & PCB_R_NR ? 1 : 0;

	if (in->inf_len != 0 || in->pcb & PCB_R_RFU || error > R_OTHER)
		return not_usable(t1, R_OTHER);
	if (t1->phase == T1_COMMAND)
		return take_r_in_command(t1, wanted);
	/* After an abort an R-block gives the right to send back to us (rule 9). */
	if (t1->phase == T1_ABORTING && error == R_FINE) {
		t1->ns = wanted;
		return fail(t1, T1_IDLE, T1_ABORTED);
	}
	return not_usable(t1, R_OTHER);
}

static bool may_request(struct t1 *t1)
{
	return t1->requests > 0 && t1->requests-- > 0;
}

static struct t1_step take_ifs(struct t1 *t1, const struct t1_in *in)
{
	if (in->inf_len != 1 || in->inf[0] == 0 || in->inf[0] > T1_MAX_INF || !may_request(t1))
		return not_usable(t1, R_OTHER);
	t1->ifsc = in->inf[0];
	return send_block(t1, S_IFS | PCB_S_ANSWER, in->inf, 1, T1_WHY_IFS);
}

static struct t1_step take_wtx(struct t1 *t1, const struct t1_in *in)
{
	if (in->inf_len != 1)
		return not_usable(t1, R_OTHER);
	t1->counts.wtx++;
	t1->attempts = T1_ATTEMPTS;

	struct t1_step step = send_block(t1, S_WTX | PCB_S_ANSWER, in->inf, 1, T1_WHY_WTX);
	if (in->inf[0] > 1)
		step.wtx = in->inf[0];
	return step;
}

/* Rule 9. What has come of the response is void; an I-block or an R-block of the card follows. */
static struct t1_step take_abort(struct t1 *t1, const struct t1_in *in)
{
	if (in->inf_len != 0 || !may_request(t1))
		return not_usable(t1, R_OTHER);
	if (t1->phase == T1_COMMAND)
		t1->ns ^= 1;
	t1->phase = T1_ABORTING;
	t1->rsp_len = 0;
	return send_block(t1, S_ABORT | PCB_S_ANSWER, NULL, 0, T1_WHY_ABORT);
}

/* Requests of the card, while it owes us an answer to a command. */
static struct t1_step take_request(struct t1 *t1, const struct t1_in *in)
{
	switch (in->pcb) {
	case S_IFS:
		return take_ifs(t1, in);
	case S_WTX:
		return take_wtx(t1, in);
	case S_ABORT:
		return take_abort(t1, in);
	case S_RESYNCH:
		/* Only we may ask for it (rule 6.1), but a card that does is out of step. */
		return resynch(t1);
	default:
		return not_usable(t1, R_OTHER);
	}
}

static struct t1_step take_s(struct t1 *t1, const struct t1_in *in)
{
	if (t1->phase == T1_SYNCING) {
		if (in->pcb == (S_RESYNCH | PCB_S_ANSWER) && in->inf_len == 0)
			return resynchronised(t1);
		return not_usable(t1, R_OTHER);
	}
	if (t1->phase == T1_SETTING_IFSD) {
		if (in->pcb != (S_IFS | PCB_S_ANSWER) || in->inf_len != 1 ||
			in->inf[0] != t1->block[T1_PROLOGUE])
			return not_usable(t1, R_OTHER);
		t1->ifsd = in->inf[0];
		return finish(t1);
	}
	return take_request(t1, in);
}

static bool in_exchange(const struct t1 *t1)
{
	return t1->phase != T1_IDLE && t1->phase != T1_OVER && t1->block_len > 0;
}

/* For calls out of place: nothing is under way that could go on. */
static struct t1_step nothing_to_do(void)
{
	return (struct t1_step){ .action = T1_FAILED, .error = T1_DEAD };
}

void t1_init(struct t1 *t1, const struct t1_config *config)
{
	memset(t1, 0, sizeof *t1);
	t1->config = *config;
	if (t1->config.ifsc == 0)
		t1->config.ifsc = DEFAULT_IFSC;
	if (t1->config.ifsc > T1_MAX_INF)
		t1->config.ifsc = T1_MAX_INF;
	t1->ifsc = t1->config.ifsc;
	t1->ifsd = DEFAULT_IFSD;
}

bool t1_nad_valid(uint8_t nad)
{
	return !(nad & VPP_BITS) && (nad == 0 || nad >> 4 != (nad & 0x0F));
}

void t1_set_nad(struct t1 *t1, uint8_t nad)
{
	t1->config.nad = nad;
}

struct t1_step t1_ifsd_request(struct t1 *t1, uint8_t ifsd)
{
	if (t1->phase != T1_IDLE)
		return nothing_to_do();
	if (ifsd == 0 || ifsd > T1_MAX_INF)
		return fail(t1, T1_IDLE, T1_IFSD_REFUSED);
	t1->phase = T1_SETTING_IFSD;
	t1->attempts = T1_ATTEMPTS;
	t1->rsp_len = 0;
	t1->rsp_max = 0;
	return send_block(t1, S_IFS, &ifsd, 1, T1_WHY_IFS);
}

struct t1_step t1_begin(
	struct t1 *t1, const uint8_t *command, size_t len, uint8_t *response, size_t max)
{
	bool in_step = t1->phase == T1_IDLE;

	if (t1->phase == T1_OVER || t1->ifsc == 0)
		return nothing_to_do();
	t1->cmd = command;
	t1->cmd_len = len;
	t1->rsp = response;
	t1->rsp_max = max;
	t1->resynchs = T1_RESYNCHS;
	t1->requests = T1_S_REQUESTS;
	t1->after = T1_NO_ERROR;
	t1->started = false;
	if (in_step)
		return send_command(t1);
	t1->phase = T1_SYNCING;
	return resynch(t1);
}

void t1_withdraw(struct t1 *t1)
{
	/* With a part acknowledged the card waits for the rest: the next exchange resynchronises. */
	if (t1->phase == T1_COMMAND && t1->cmd_at == 0 && t1->attempts == T1_ATTEMPTS)
		t1->phase = T1_IDLE;
	t1_wipe(t1);
}

struct t1_step t1_block_received(struct t1 *t1, const uint8_t *bytes, size_t n)
{
	struct t1_in in;

	if (!in_exchange(t1))
		return nothing_to_do();

	uint8_t error = check_block(t1, bytes, n, &in);
	if (error != R_FINE)
		return not_usable(t1, error);
	if (!(in.pcb & PCB_NOT_I))
		return take_i(t1, &in);
	if ((in.pcb & PCB_S) == PCB_S)
		return take_s(t1, &in);
	return take_r(t1, &in);
}

struct t1_step t1_no_answer(struct t1 *t1)
{
	return in_exchange(t1) ? not_usable(t1, R_OTHER) : nothing_to_do();
}

struct t1_step t1_parity_error(struct t1 *t1)
{
	return in_exchange(t1) ? not_usable(t1, R_EDC) : nothing_to_do();
}

size_t t1_missing(const struct t1 *t1, const uint8_t *bytes, size_t n)
{
	if (n < T1_PROLOGUE)
		return T1_PROLOGUE - n;
	if (bytes[2] > T1_MAX_INF)
		return 0;

	size_t whole = T1_PROLOGUE + bytes[2] + edc_size(t1->config.edc);
	return n < whole ? whole - n : 0;
}

void t1_wipe(struct t1 *t1)
{
	explicit_bzero(t1->block, sizeof t1->block);
	t1->block_len = 0;
	t1->cmd = NULL;
	t1->cmd_len = 0;
	t1->rsp = NULL;
	t1->rsp_max = 0;
}

const char *t1_strerror(enum t1_error error)
{
	static const char *const text[] = {
		[T1_NO_ERROR] = "no error",
		[T1_DEAD] = "no error-free exchange with the card",
		[T1_RUNAWAY] = "the card's response does not end",
		[T1_LOST] = "the response was lost, the command has been executed",
		[T1_ABORTED] = "the card aborted the exchange",
		[T1_IFSD_REFUSED] = "the card did not accept the IFSD",
	};

	return (size_t)error < sizeof text / sizeof text[0] ? text[error] : "unknown error";
}
