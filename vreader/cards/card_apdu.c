/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/cards/card_apdu.h"

#include <string.h>

#include "vreader/bytes.h"

enum {
	INS_GET_RESPONSE = 0xC0,
	INS_ENVELOPE = 0xC2,
	CLA_CHAINING = 0x10,
};

static size_t le_short(uint8_t le)
{
	return le ? le : 256;
}

static size_t le_extended(const uint8_t *p)
{
	return get_be16(p) ? get_be16(p) : 65536;
}

static bool parse_extended(const uint8_t *b, size_t len, struct apdu_command *cmd)
{
	cmd->extended = true;
	if (len == 7) {
		cmd->ne = le_extended(b + 5);
		return true;
	}
	cmd->nc = get_be16(b + 5);
	cmd->data = b + 7;
	if (cmd->nc == 0)
		return false;
	if (len == 7 + cmd->nc)
		return true;
	if (len != 7 + cmd->nc + 2)
		return false;
	cmd->ne = le_extended(b + 7 + cmd->nc);
	return true;
}

bool apdu_parse(const uint8_t *b, size_t len, struct apdu_command *cmd)
{
	if (len < 4)
		return false;
	*cmd = (struct apdu_command){ .cla = b[0], .ins = b[1], .p1 = b[2], .p2 = b[3] };
	if (len == 4)
		return true;
	if (len == 5) {
		cmd->ne = le_short(b[4]);
		return true;
	}
	if (b[4] == 0)
		return len >= 7 && parse_extended(b, len, cmd);
	cmd->nc = b[4];
	cmd->data = b + 5;
	if (len == 5 + cmd->nc)
		return true;
	if (len != 5 + cmd->nc + 1)
		return false;
	cmd->ne = le_short(b[5 + cmd->nc]);
	return true;
}

void card_apdu_reset(struct card_apdu *a)
{
	a->chaining = false;
	a->chain_len = 0;
	a->envelope_len = 0;
	a->kept_at = a->kept_len = 0;
	a->repeatable = false;
	if (a->app)
		a->app->ops->reset(a->app);
}

void card_apdu_give_up(struct card_apdu *a)
{
	if (!a->rsp || !a->rsp->pending)
		return;
	a->rsp->pending = false;
	card_apdu_reset(a);
}

/* A remote's commands are not known here. Of those that ISO 7816-4, GlobalPlatform and SIMs (TS
 * 102 221 §10.1.2) have, these bring none. */
static bool remote_takes_data(uint8_t cla, uint8_t ins)
{
	static const uint8_t without[] = { 0x04, 0x12, 0x44, 0x70, 0x84, 0xB0, 0xB2, 0xC0, 0xCA };
	const uint8_t get_status = 0xF2;

	/* SIMs answer STATUS; GlobalPlatform's GET STATUS has criteria. */
	if (ins == get_status)
		return (cla & 0xF0) == 0x80 || (cla & 0xF0) == 0x90;
	return !memchr(without, ins, sizeof(without));
}

bool card_apdu_takes_data(const struct card_apdu *a, uint8_t cla, uint8_t ins)
{
	return a->app ? a->app->ops->takes_data(a->app, cla, ins) : remote_takes_data(cla, ins);
}

static void answer_sw(struct card_response *rsp, uint16_t sw)
{
	put_be16(rsp->data + rsp->len, sw);
	rsp->len += 2;
}

static uint16_t sw_more(size_t rest)
{
	return (uint16_t)(0x6100 | (rest > 255 ? 0 : rest));
}

/* Hands out the kept data, ne bytes at most. T=0 wants exactly as many as there are, or all of a
 * full 256 (ISO 7816-3 §10.3.4, 6Cxx). */
static void deliver(
	struct card_apdu *a, enum apdu_transport transport, size_t ne, struct card_response *rsp)
{
	size_t rest = a->kept_len - a->kept_at;

	if (transport == APDU_OVER_T0 && rest && rest < ne) {
		a->repeatable = true;
		answer_sw(rsp, (uint16_t)(0x6C00 | rest));
		return;
	}
	if (ne > rest)
		ne = rest;
	memcpy(rsp->data, a->kept + a->kept_at, ne);
	rsp->len = ne;
	a->kept_at += ne;
	rest -= ne;
	answer_sw(rsp, rest ? sw_more(rest) : a->kept_sw);
	if (rest == 0)
		a->kept_at = a->kept_len = 0;
}

/* How much data goes out at once. Without Le it is none, or what a Le of 0 would have brought. */
static size_t wanted(const struct apdu_terms *terms)
{
	if (terms->ne || !terms->unasked)
		return terms->ne;
	return terms->extended ? 65536 : 256;
}

/* The answer is in kept, all of it. */
static void give(struct card_apdu *a, struct card_response *rsp)
{
	const struct apdu_terms *terms = &a->terms;
	size_t ne = wanted(terms);

	if (a->kept_len && terms->transport == APDU_OVER_T0 && ne && terms->one_way) {
		answer_sw(rsp, sw_more(a->kept_len));
		return;
	}
	if (ne == 0)
		a->kept_len = 0;
	deliver(a, terms->transport, ne, rsp);
}

static void done(struct card_apdu *a, const struct apdu_answer *ans, struct card_response *rsp)
{
	rsp->pending = ans->pending;
	rsp->delay_ms = ans->delay_ms;
	rsp->mute = ans->mute;
	if (ans->mute || ans->pending)
		return;
	a->kept_len = ans->len;
	a->kept_sw = ans->sw;
	a->terms.unasked = ans->unasked;
	give(a, rsp);
}

/* one_way: the exchange carried data to the card, so that T=0 cannot carry any back in it. */
static void run(struct card_apdu *a, enum apdu_transport transport, const struct apdu_command *cmd,
	bool one_way, struct card_response *rsp)
{
	struct apdu_answer ans = { .data = a->kept };

	a->kept_at = a->kept_len = 0;
	a->terms = (struct apdu_terms){
		.transport = transport, .ne = cmd->ne, .extended = cmd->extended, .one_way = one_way
	};
	a->app->ops->process(a->app, cmd, &ans);
	done(a, &ans, rsp);
}

void card_apdu_wake_by(struct card_apdu *a, void (*wake)(void *ctx), void *ctx)
{
	a->wake = wake;
	a->wake_ctx = ctx;
}

static void tell(const struct card_apdu *a)
{
	if (a->wake)
		a->wake(a->wake_ctx);
}

static void app_ready(void *ctx)
{
	struct card_apdu *a = ctx;
	struct apdu_answer ans = { .data = a->kept };

	/* The host has given it up, with a command that has not reached the application. */
	if (!a->rsp->pending)
		return;
	a->app->ops->resume(a->app, &ans);
	done(a, &ans, a->rsp);
	tell(a);
}

void card_apdu_work_in(struct card_apdu *a, struct loop *loop)
{
	a->host = (struct card_host){ .loop = loop, .ready = app_ready, .ctx = a };
	if (a->app && a->app->ops->resume)
		a->app->host = &a->host;
}

static bool chain_continues(const struct card_apdu *a, const uint8_t header[4])
{
	return memcmp(a->chain_header, header, 4) == 0;
}

/* One link of a command chain. True when the command is complete, in cmd. */
static bool chain_link(struct card_apdu *a, struct apdu_command *cmd, struct card_response *rsp)
{
	bool last = !(cmd->cla & CLA_CHAINING);
	uint8_t header[4];

	cmd->cla = (uint8_t)(cmd->cla & ~CLA_CHAINING);
	header[0] = cmd->cla;
	header[1] = cmd->ins;
	header[2] = cmd->p1;
	header[3] = cmd->p2;
	if (a->chaining && !chain_continues(a, header)) {
		a->chaining = false;
		answer_sw(rsp, SW_LAST_OF_CHAIN_EXPECTED);
		return false;
	}
	if (!a->chaining) {
		a->chain_len = 0;
		memcpy(a->chain_header, header, 4);
	}
	if (cmd->nc > sizeof(a->chain) - a->chain_len) {
		a->chaining = false;
		answer_sw(rsp, SW_WRONG_LENGTH);
		return false;
	}
	if (cmd->nc)
		memcpy(a->chain + a->chain_len, cmd->data, cmd->nc);
	a->chain_len += cmd->nc;
	a->chaining = !last;
	if (!last) {
		answer_sw(rsp, SW_OK);
		return false;
	}
	cmd->data = a->chain;
	cmd->nc = a->chain_len;
	return true;
}

enum {
	ENVELOPE_FULL = 255,
	SHORT_NE = 256,
};

/* Whether the pieces so far are the whole command. A host may end with an ENVELOPE without data, or
 * not; without, the command is over when it has its Le, or when a piece is not full. */
static bool envelope_complete(const struct card_apdu *a, size_t piece, struct apdu_command *inner)
{
	return apdu_parse(a->envelope, a->envelope_len, inner) &&
	       (piece < ENVELOPE_FULL || inner->ne > 0);
}

/* ENVELOPE carries a command in pieces (ISO 7816-3 §12.2.5, ISO 7816-4 §11.8.1). */
static void envelope(struct card_apdu *a, enum apdu_transport transport,
	const struct apdu_command *cmd, struct card_response *rsp)
{
	struct apdu_command inner = { .ins = INS_ENVELOPE };

	if (cmd->nc > sizeof(a->envelope) - a->envelope_len) {
		a->envelope_len = 0;
		answer_sw(rsp, SW_WRONG_LENGTH);
		return;
	}
	if (cmd->nc) {
		memcpy(a->envelope + a->envelope_len, cmd->data, cmd->nc);
		a->envelope_len += cmd->nc;
	}
	if (!envelope_complete(a, cmd->nc, &inner) && (cmd->nc || a->envelope_len == 0)) {
		/* The empty piece that ends a command which has run already changes nothing. */
		answer_sw(rsp, SW_OK);
		return;
	}
	a->envelope_len = 0;
	/* The answer is the ENVELOPE's, and a short command's has no more. */
	if (!cmd->extended && inner.ne > SHORT_NE)
		inner.ne = SHORT_NE;
	if (inner.ins == INS_ENVELOPE)
		answer_sw(rsp, SW_WRONG_LENGTH);
	else
		run(a, transport, &inner, true, rsp);
}

/* T=0: what is kept here goes out, and otherwise the remote hears of nothing but its own TPDUs.
 * False: it is for the remote. */
static bool remote_kept(struct card_apdu *a, const uint8_t *tpdu, size_t len,
	const struct apdu_command *cmd, struct card_response *rsp)
{
	bool again = a->repeatable && memcmp(a->repeat, tpdu, sizeof(a->repeat)) == 0;

	a->repeatable = false;
	if (a->kept_len && len == 5 && (again || cmd->ins == INS_GET_RESPONSE)) {
		deliver(a, APDU_OVER_T0, cmd->ne, rsp);
		return true;
	}
	memcpy(a->repeat, tpdu, sizeof(a->repeat));
	return false;
}

/* Above T=1 a remote gets what the host has sent, and the host what it answers. Above T=0 commands
 * are its as they were on the wire, without the Le that card_t0.c has put behind data; an answer
 * that T=0 cannot carry is kept. */
static void remote_process(struct card_apdu *a, enum apdu_transport transport, const uint8_t *bytes,
	size_t len, struct card_response *rsp)
{
	struct apdu_command cmd = { 0 };

	a->terms = (struct apdu_terms){ .transport = transport, .ne = APDU_DATA_MAX };
	if (transport == APDU_OVER_T0) {
		if (!apdu_parse(bytes, len, &cmd)) {
			answer_sw(rsp, SW_WRONG_LENGTH);
			return;
		}
		if (remote_kept(a, bytes, len, &cmd, rsp))
			return;
		/* Whether data are wanted behind a command with data, or one without P3, is seen by
		 * GET RESPONSE. */
		a->terms.one_way = cmd.nc > 0 || cmd.ne == 0;
		a->terms.ne = cmd.ne ? cmd.ne : 256;
		if (cmd.nc && cmd.ne)
			len--;
	}
	a->kept_at = a->kept_len = 0;
	rsp->pending = a->remote->ops->exchange(a->remote, bytes, len);
	rsp->mute = !rsp->pending;
}

void card_apdu_answer(struct card_apdu *a, const uint8_t *rapdu, size_t len)
{
	struct card_response *rsp = a->rsp;

	rsp->len = 0;
	rsp->pending = false;
	rsp->mute = len < 2 || len > sizeof(a->kept) + 2;
	if (!rsp->mute) {
		a->kept_len = len - 2;
		a->kept_sw = get_be16(rapdu + a->kept_len);
		memcpy(a->kept, rapdu, a->kept_len);
		give(a, rsp);
	}
	tell(a);
}

void card_apdu_process(struct card_apdu *a, enum apdu_transport transport, const uint8_t *bytes,
	size_t len, struct card_response *rsp)
{
	struct apdu_command cmd;

	rsp->len = 0;
	rsp->delay_ms = 0;
	rsp->mute = false;
	rsp->pending = false;
	a->rsp = rsp;
	if (a->remote) {
		remote_process(a, transport, bytes, len, rsp);
		return;
	}
	if (!apdu_parse(bytes, len, &cmd)) {
		answer_sw(rsp, SW_WRONG_LENGTH);
		return;
	}
	if (cmd.cla == 0xFF) {
		answer_sw(rsp, SW_CLA_NOT_SUPPORTED);
		return;
	}
	if (cmd.ins == INS_GET_RESPONSE && cmd.nc == 0) {
		if (a->kept_len == 0)
			answer_sw(rsp, SW_CONDITIONS);
		else
			deliver(a, transport, cmd.ne, rsp);
		return;
	}
	if (cmd.ins == INS_ENVELOPE) {
		envelope(a, transport, &cmd, rsp);
		return;
	}
	if ((cmd.cla & CLA_CHAINING || a->chaining) && !chain_link(a, &cmd, rsp))
		return;
	run(a, transport, &cmd, cmd.nc > 0, rsp);
}
