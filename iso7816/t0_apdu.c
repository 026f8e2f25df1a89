/* SPDX-License-Identifier: BSD-3-Clause */
#include "iso7816/t0_apdu.h"

#include <string.h>

#define MAX_DATA 256 /* of a response TPDU */
#define MAX_PART 255 /* of a command TPDU */

static struct t0_apdu_step send_tpdu(const struct t0_apdu *m, const uint8_t *tpdu, size_t len)
{
	return (struct t0_apdu_step){
		.action = T0_APDU_SEND, .tpdu = tpdu, .len = len, .max_answer = m->asked + 2
	};
}

static struct t0_apdu_step fail(struct t0_apdu *m, enum t0_apdu_error error)
{
	t0_apdu_wipe(m);
	return (struct t0_apdu_step){ .action = T0_APDU_FAILED, .error = error };
}

/* Append N bytes to the response as far as the buffer reaches. */
static void append(struct t0_apdu *m, const uint8_t *bytes, size_t n)
{
	if (m->rsp_len < m->rsp_max && n > 0) {
		size_t room = m->rsp_max - m->rsp_len;

		memcpy(m->rsp + m->rsp_len, bytes, n < room ? n : room);
	}
	m->rsp_len += n;
}

static struct t0_apdu_step finish(struct t0_apdu *m, const uint8_t *sw)
{
	uint8_t sw1 = sw[0];

	/* An error status comes without data (ISO 7816-4 §5.6): an interrupted GET RESPONSE. */
	if (m->state == T0_APDU_FETCH && sw1 >= 0x64 && sw1 <= 0x6F)
		m->rsp_len = 0;
	append(m, sw, 2);

	struct t0_apdu_step step = { .action = T0_APDU_DONE, .rsp_len = m->rsp_len };
	if (m->rsp_len > m->rsp_max)
		step.action = T0_APDU_TOO_LONG;
	t0_apdu_wipe(m);
	return step;
}

/* The command as one TPDU: Lc or Le becomes P3, an Le behind data goes. */
static struct t0_apdu_step send_command(struct t0_apdu *m)
{
	const struct apdu *apdu = &m->apdu;

	m->state = T0_APDU_COMMAND;
	memcpy(m->tpdu, m->bytes, 4);
	m->tpdu_len = 5 + apdu->nc;
	if (apdu->nc > 0) {
		m->tpdu[4] = (uint8_t)apdu->nc;
		memcpy(m->tpdu + 5, apdu->data, apdu->nc);
		m->asked = 0;
	} else {
		m->asked = apdu->ne < MAX_DATA ? apdu->ne : MAX_DATA;
		m->tpdu[4] = (uint8_t)m->asked;
	}
	return send_tpdu(m, m->tpdu, m->tpdu_len);
}

static struct t0_apdu_step send_envelope(struct t0_apdu *m)
{
	size_t part = m->len - m->at < MAX_PART ? m->len - m->at : MAX_PART;

	m->state = T0_APDU_ENVELOPE;
	m->asked = 0;
	m->tpdu_len = apdu_envelope(m->tpdu, m->apdu.cla, m->bytes + m->at, part);
	m->at += part;
	return send_tpdu(m, m->tpdu, m->tpdu_len);
}

/* SW2 of 61xx and 6Cxx as a number of bytes. */
static size_t announced(const uint8_t *sw)
{
	return sw[1] ? sw[1] : MAX_DATA;
}

static struct t0_apdu_step send_get_response(struct t0_apdu *m, size_t available)
{
	size_t wanted = m->apdu.ne - m->rsp_len;

	m->state = T0_APDU_FETCH;
	m->corrected = false;
	m->asked = available < wanted ? available : wanted;
	m->tpdu_len = 5;
	apdu_get_response(m->tpdu, m->apdu.cla, m->asked);
	return send_tpdu(m, m->tpdu, m->tpdu_len);
}

/* 6Cxx: the same TPDU with the length the card has (§12.2.3, case 2S.3). */
static struct t0_apdu_step send_corrected(struct t0_apdu *m, size_t length)
{
	m->corrected = true;
	m->asked = length;
	m->tpdu[4] = (uint8_t)length;
	return send_tpdu(m, m->tpdu, m->tpdu_len);
}

struct t0_apdu_step t0_apdu_begin(struct t0_apdu *m, enum t0_mode mode, const uint8_t *apdu,
	size_t len, uint8_t *response, size_t max)
{
	memset(m, 0, sizeof *m);
	if (!apdu_parse(apdu, len, &m->apdu))
		return fail(m, T0_APDU_MALFORMED);
	m->bytes = apdu;
	m->len = len;
	m->rsp = response;
	m->rsp_max = max;
	if (mode == T0_TRANSPARENT && !apdu_is_extended(&m->apdu)) {
		m->state = T0_APDU_AS_IS;
		m->asked = MAX_DATA;
		return send_tpdu(m, apdu, len);
	}
	return m->apdu.nc > MAX_PART ? send_envelope(m) : send_command(m);
}

/* The response of the last TPDU that carries the command, or of a GET RESPONSE. */
static struct t0_apdu_step take_response(struct t0_apdu *m, const uint8_t *bytes, size_t data)
{
	const uint8_t *sw = bytes + data;
	size_t wanted = m->apdu.ne - m->rsp_len;
	bool reads = m->asked > 0;

	if (sw[0] == 0x6C && data == 0 && reads && !m->corrected)
		return send_corrected(m, announced(sw));
	append(m, bytes, data < wanted ? data : wanted);
	/* GET RESPONSE that brings nothing is not asked again, or it might never end. */
	bool stuck = m->state == T0_APDU_FETCH && data == 0;
	if (sw[0] == 0x61 && m->rsp_len < m->apdu.ne && !stuck)
		return send_get_response(m, announced(sw));
	return finish(m, sw);
}

/*
 * Most data that the response TPDU can have. A reader that takes TPDUs for APDUs follows 61xx itself:
 * then the response comes with the last TPDU of the command, which did not ask for it.
 */
static size_t most_data(const struct t0_apdu *m)
{
	bool command =
		m->state == T0_APDU_COMMAND || (m->state == T0_APDU_ENVELOPE && m->at == m->len);

	return command && m->apdu.nc > 0 && m->apdu.ne > 0 ? MAX_DATA : m->asked;
}

struct t0_apdu_step t0_apdu_answer(struct t0_apdu *m, const uint8_t *bytes, size_t n)
{
	if (m->state == T0_APDU_IDLE || n < 2 || n - 2 > most_data(m))
		return fail(m, T0_APDU_BAD_ANSWER);

	size_t data = n - 2;
	if (m->state == T0_APDU_AS_IS) {
		append(m, bytes, data);
		return finish(m, bytes + data);
	}
	if (m->state == T0_APDU_ENVELOPE && m->at < m->len) {
		if (apdu_sw(bytes, n) == 0x9000)
			return send_envelope(m);
		return finish(m, bytes + data);
	}
	return take_response(m, bytes, data);
}

void t0_apdu_wipe(struct t0_apdu *m)
{
	explicit_bzero(m, sizeof *m);
}

const char *t0_apdu_strerror(enum t0_apdu_error error)
{
	static const char *const text[] = {
		[T0_APDU_NO_ERROR] = "no error",
		[T0_APDU_MALFORMED] = "not an APDU",
		[T0_APDU_BAD_ANSWER] = "the response is not one to this T=0 command",
	};

	return (size_t)error < sizeof text / sizeof text[0] ? text[error] : "unknown error";
}
