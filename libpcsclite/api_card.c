/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls on cards and readers: connecting, talking, transactions. */
#include <string.h>

#include <winscard.h>

#include "context.h"
#include "give.h"
#include "observe.h"
#include "wire/control.h"

/* How often other daemons than ours are asked whether somebody else's transaction has ended. */
#define RETRY_MS 100

/*
 * What a card handle whose connection broke has to say: its card was reset, since the daemon that
 * knew the handle is gone; or that there is no daemon to ask.
 */
static LONG stale_code(const struct card *card)
{
	LONG rv = context_reach(card->context);

	return rv == SCARD_S_SUCCESS ? SCARD_W_RESET_CARD : rv;
}

/*
 * Makes a call on a card that the caller has taken, and returns `*rv` of the reply (a pointer into
 * call->body). *result says whether the connection is still good. `patient`: as long as another
 * daemon answers that somebody else has the card, try again.
 */
static LONG call_card(struct card *card, const struct conn_call *call, const uint32_t *rv,
	bool patient, enum conn_result *result)
{
	bool again = patient && card->conn.dialect != WIRE_DIALECT_EXT;
	union wire_body request;

	if (card->conn.fd < 0) {
		*result = CONN_OK;
		return stale_code(card);
	}
	if (again)
		request = *call->body;
	for (;;) {
		*result = conn_call(&card->conn, call);
		if (*result != CONN_OK)
			return context_released(card->context) ? SCARD_E_CANCELLED
							       : stale_code(card);
		if (*rv == SCARD_W_REMOVED_CARD ||
			(*rv == SCARD_W_RESET_CARD && card->conn.dialect == WIRE_DIALECT_EXT))
			card_count_transaction(card, 0);
		if (*rv != SCARD_E_SHARING_VIOLATION || !again)
			return (LONG)*rv;
		context_pause(card->context, RETRY_MS);
		if (context_released(card->context))
			return SCARD_E_CANCELLED;
		*call->body = request;
	}
}

/*
 * One CONNECT on a borrowed connection; *body is request and reply. A transaction that the context
 * itself has, as far as we know, is not waited for: our daemon knows whether there still is one,
 * others would not say.
 */
static LONG try_connect(
	struct context *context, struct loan *loan, union wire_body *body, enum conn_result *result)
{
	struct conn_call call = { .command = WIRE_CONNECT, .body = body };
	bool own = context_in_transaction(context, body->connect.szReader);

	if (own && loan->conn.dialect != WIRE_DIALECT_EXT)
		return SCARD_E_SHARING_VIOLATION;
	body->connect.hContext = loan->conn.hContext;
	body->connect.rv = own ? WIRE_EXT_TRY : 0;
	*result = conn_call(&loan->conn, &call);
	return *result == CONN_OK ? (LONG)body->connect.rv : conn_error(*result);
}

/* CONNECT; *body is request and reply. On success *loan is still held. */
static LONG connect_on_loan(struct context *context, struct loan *loan, union wire_body *body)
{
	union wire_body request = *body;
	enum conn_result result;
	bool fresh = false;
	LONG rv;

	do {
		rv = context_borrow(context, loan, fresh);
		if (rv != SCARD_S_SUCCESS)
			return rv;
		*body = request;
		result = CONN_OK;
		rv = try_connect(context, loan, body, &result);
		if (rv == SCARD_S_SUCCESS)
			return rv;
		context_return(context, loan, result);
		fresh = !loan->fresh;
	} while (result != CONN_OK && fresh);
	return result != CONN_OK && context_released(context) ? SCARD_E_CANCELLED : rv;
}

static void fill_connect(union wire_body *body, const char *reader, DWORD share, DWORD protocols)
{
	*body = (union wire_body){ 0 };
	memcpy(body->connect.szReader, reader, strnlen(reader, sizeof(body->connect.szReader) - 1));
	body->connect.dwShareMode = (uint32_t)share;
	body->connect.dwPreferredProtocols = (uint32_t)protocols;
}

LONG SCardConnect(SCARDCONTEXT hContext, LPCSTR szReader, DWORD dwShareMode,
	DWORD dwPreferredProtocols, LPSCARDHANDLE phCard, LPDWORD pdwActiveProtocol)
{
	struct context *context;
	struct loan loan;
	union wire_body body;
	LONG rv;

	if (!phCard || !pdwActiveProtocol)
		return SCARD_E_INVALID_PARAMETER;
	*phCard = 0;
	if (!szReader)
		return SCARD_E_UNKNOWN_READER;
	if (strlen(szReader) > MAX_READERNAME)
		return SCARD_E_INVALID_VALUE;
	context = context_get(hContext);
	if (!context)
		return SCARD_E_INVALID_HANDLE;
	fill_connect(&body, szReader, dwShareMode, dwPreferredProtocols);
	rv = connect_on_loan(context, &loan, &body);
	*pdwActiveProtocol = body.connect.dwActiveProtocol;
	if (rv == SCARD_S_SUCCESS)
		rv = card_open(context, &loan, body.connect.hCard, body.connect.szReader, phCard);
	context_put(context);
	return rv;
}

/* Gives a stale card a new handle at the daemon, in place of the one that died with the old one. */
static LONG revive(struct card *card, DWORD share, DWORD protocols, LPDWORD active)
{
	union wire_body body;
	struct loan loan;
	LONG rv;

	fill_connect(&body, card->reader, share, protocols);
	rv = connect_on_loan(card->context, &loan, &body);
	*active = body.connect.dwActiveProtocol;
	if (rv == SCARD_S_SUCCESS)
		card_revive(card, &loan, body.connect.hCard);
	return rv == SCARD_E_UNKNOWN_READER ? SCARD_E_READER_UNAVAILABLE : rv;
}

/* RECONNECT; *body is request and reply. */
static LONG reconnect(struct card *card, union wire_body *body, enum conn_result *result)
{
	struct conn_call call = { .command = WIRE_RECONNECT, .body = body };

	body->reconnect.hCard = card->hCard;
	return call_card(card, &call, &body->reconnect.rv, context_blocking(), result);
}

LONG SCardReconnect(SCARDHANDLE hCard, DWORD dwShareMode, DWORD dwPreferredProtocols,
	DWORD dwInitialization, LPDWORD pdwActiveProtocol)
{
	union wire_body request = {
		.reconnect = { .dwShareMode = (uint32_t)dwShareMode,
			.dwPreferredProtocols = (uint32_t)dwPreferredProtocols,
			.dwInitialization = (uint32_t)dwInitialization },
	};
	union wire_body body = request;
	enum conn_result result = CONN_LOST;
	struct card *card;
	LONG rv;

	if (!pdwActiveProtocol)
		return SCARD_E_INVALID_PARAMETER;
	rv = card_take(hCard, &card);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	if (card->conn.fd >= 0)
		rv = reconnect(card, &body, &result);
	if (result != CONN_OK && rv != SCARD_E_CANCELLED) {
		card_lose(card);
		body = request;
		rv = dwInitialization > SCARD_UNPOWER_CARD
			     ? SCARD_E_INVALID_VALUE
			     : revive(card, dwShareMode, dwPreferredProtocols, pdwActiveProtocol);
		result = CONN_OK;
		if (rv == SCARD_S_SUCCESS && dwInitialization != SCARD_LEAVE_CARD)
			rv = reconnect(card, &body, &result);
		else
			body.reconnect.dwActiveProtocol = (uint32_t)*pdwActiveProtocol;
	}
	*pdwActiveProtocol = body.reconnect.dwActiveProtocol;
	card_give(card, result);
	return rv;
}

LONG SCardDisconnect(SCARDHANDLE hCard, DWORD dwDisposition)
{
	union wire_body body = { .disconnect = { .dwDisposition = (uint32_t)dwDisposition } };
	struct conn_call call = { .command = WIRE_DISCONNECT, .body = &body };
	enum conn_result result = CONN_OK;
	struct card *card;
	LONG rv = card_take(hCard, &card);

	if (rv != SCARD_S_SUCCESS)
		return rv;
	if (card->conn.fd >= 0) {
		body.disconnect.hCard = card->hCard;
		result = conn_call(&card->conn, &call);
		rv = result == CONN_OK ? (LONG)body.disconnect.rv : SCARD_S_SUCCESS;
	} else if (dwDisposition > SCARD_EJECT_CARD) {
		rv = SCARD_E_INVALID_VALUE;
	}
	/* If the daemon died the handle is closed, and that is all that was asked for. */
	if (rv == SCARD_S_SUCCESS)
		card_close(card, result);
	else
		card_give(card, result);
	return rv;
}

LONG SCardBeginTransaction(SCARDHANDLE hCard)
{
	union wire_body body = { 0 };
	struct conn_call call = { .command = WIRE_BEGIN_TRANSACTION, .body = &body };
	enum conn_result result;
	struct card *card;
	LONG rv = card_take(hCard, &card);

	if (rv != SCARD_S_SUCCESS)
		return rv;
	body.begin.hCard = card->hCard;
	rv = call_card(card, &call, &body.begin.rv, true, &result);
	if (rv == SCARD_S_SUCCESS)
		card_count_transaction(card, 1);
	card_give(card, result);
	return rv;
}

LONG SCardEndTransaction(SCARDHANDLE hCard, DWORD dwDisposition)
{
	union wire_body body = { .end = { .dwDisposition = (uint32_t)dwDisposition } };
	struct conn_call call = { .command = WIRE_END_TRANSACTION, .body = &body };
	enum conn_result result;
	struct card *card;
	LONG rv = card_take(hCard, &card);

	if (rv != SCARD_S_SUCCESS)
		return rv;
	body.end.hCard = card->hCard;
	rv = call_card(card, &call, &body.end.rv, false, &result);
	if (rv == SCARD_S_SUCCESS)
		card_count_transaction(card, -1);
	card_give(card, result);
	return rv;
}

/* STATUS as other daemons have it: the call says whether, the array of readers says what. */
static LONG status_stock(
	struct card *card, struct wire_reader_state *state, enum conn_result *result)
{
	union wire_body body = { .status = { .hCard = card->hCard } };
	struct conn_call call = { .command = WIRE_STATUS, .body = &body };
	LONG rv = call_card(card, &call, &body.status.rv, context_blocking(), result);

	if (rv == SCARD_S_SUCCESS)
		rv = observe_state(card->context, card->reader, state);
	return rv;
}

static LONG status_ext(struct card *card, struct wire_reader_state *state, enum conn_result *result)
{
	union wire_body body = { .status = { .hCard = card->hCard } };
	struct conn_call call = { .command = WIRE_EXT_STATUS, .body = &body };
	LONG rv = call_card(card, &call, &body.ext_status.rv, false, result);

	if (rv == SCARD_S_SUCCESS) {
		*state = body.ext_status.state;
		wire_state_sanitise(state);
	}
	return rv;
}

static LONG status_of(SCARDHANDLE hCard, struct wire_reader_state *state)
{
	enum conn_result result;
	struct card *card;
	LONG rv = card_take(hCard, &card);

	if (rv != SCARD_S_SUCCESS)
		return rv;
	if (card->conn.dialect == WIRE_DIALECT_EXT)
		rv = status_ext(card, state, &result);
	else
		rv = status_stock(card, state, &result);
	card_give(card, result);
	/* A handle whose reader was unplugged: other daemons call that an invalid value. */
	return rv == SCARD_E_INVALID_VALUE ? SCARD_E_READER_UNAVAILABLE : rv;
}

LONG SCardStatus(SCARDHANDLE hCard, LPSTR mszReaderName, LPDWORD pcchReaderLen, LPDWORD pdwState,
	LPDWORD pdwProtocol, LPBYTE pbAtr, LPDWORD pcbAtrLen)
{
	struct wire_reader_state state = { 0 };
	DWORD name_room = pcchReaderLen ? *pcchReaderLen : 0;
	DWORD atr_room = pcbAtrLen ? *pcbAtrLen : 0;
	LONG rv = status_of(hCard, &state);
	bool ok = rv == SCARD_S_SUCCESS;
	LONG name_rv = SCARD_S_SUCCESS;
	LONG atr_rv = SCARD_S_SUCCESS;

	if (ok && (pcchReaderLen || mszReaderName))
		name_rv = give_what_fits(
			mszReaderName, &name_room, state.readerName, strlen(state.readerName) + 1);
	if (ok && (pcbAtrLen || pbAtr))
		atr_rv = give_what_fits(pbAtr, &atr_room, state.cardAtr, state.cardAtrLength);
	if (pcchReaderLen)
		*pcchReaderLen = ok ? name_room : 0;
	if (pcbAtrLen)
		*pcbAtrLen = ok ? atr_room : 0;
	if (pdwState)
		*pdwState = ((DWORD)state.eventCounter << 16) + state.readerState;
	if (pdwProtocol)
		*pdwProtocol = state.cardProtocol;
	if (!ok)
		return rv;
	return name_rv != SCARD_S_SUCCESS ? name_rv : atr_rv;
}

/* The length of a buffer as the protocol can say it. */
static uint32_t room_of(DWORD length)
{
	return length > WIRE_DATA ? WIRE_DATA : (uint32_t)length;
}

static void note_sent(void *card)
{
	card_note_sent(card);
}

LONG SCardControl(SCARDHANDLE hCard, DWORD dwControlCode, LPCVOID pbSendBuffer, DWORD cbSendLength,
	LPVOID pbRecvBuffer, DWORD cbRecvLength, LPDWORD lpBytesReturned)
{
	uint32_t room = pbRecvBuffer ? room_of(cbRecvLength) : 0;
	uint32_t length = pbSendBuffer ? (uint32_t)cbSendLength : 0;
	union wire_body body = {
		.control = { .dwControlCode = (uint32_t)dwControlCode,
			.cbSendLength = length,
			.cbRecvLength = room },
	};
	struct conn_call call = { .command = WIRE_CONTROL,
		.body = &body,
		.data = pbSendBuffer,
		.data_length = length,
		.answer = pbRecvBuffer,
		.room = room };
	enum conn_result result;
	struct card *card;
	LONG rv;

	if (lpBytesReturned)
		*lpBytesReturned = 0;
	rv = card_take(hCard, &card);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	if (cbSendLength > WIRE_DATA) {
		card_give(card, CONN_OK);
		return SCARD_E_INSUFFICIENT_BUFFER;
	}
	body.control.hCard = card->hCard;
	card_set_cancellable(card, wire_control_waits((uint32_t)dwControlCode));
	call.sent = note_sent;
	call.subject = card;
	rv = call_card(card, &call, &body.control.rv, false, &result);
	card_set_cancellable(card, false);
	if (lpBytesReturned && result == CONN_OK)
		*lpBytesReturned = body.control.dwBytesReturned;
	card_give(card, result);
	return rv;
}

LONG SCardTransmit(SCARDHANDLE hCard, const SCARD_IO_REQUEST *pioSendPci, LPCBYTE pbSendBuffer,
	DWORD cbSendLength, SCARD_IO_REQUEST *pioRecvPci, LPBYTE pbRecvBuffer,
	LPDWORD pcbRecvLength)
{
	union wire_body body = { 0 };
	struct wire_transmit *transmit = &body.transmit;
	struct conn_call call = { .command = WIRE_TRANSMIT, .body = &body };
	enum conn_result result;
	struct card *card;
	LONG rv;

	if (!pioSendPci || !pbSendBuffer || !pbRecvBuffer || !pcbRecvLength)
		return SCARD_E_INVALID_PARAMETER;
	rv = card_take(hCard, &card);
	if (rv != SCARD_S_SUCCESS) {
		*pcbRecvLength = 0;
		return rv;
	}
	if (cbSendLength > WIRE_DATA) {
		card_give(card, CONN_OK);
		return SCARD_E_INSUFFICIENT_BUFFER;
	}
	transmit->hCard = card->hCard;
	transmit->ioSendPciProtocol = (uint32_t)pioSendPci->dwProtocol;
	transmit->ioSendPciLength = (uint32_t)pioSendPci->cbPciLength;
	transmit->cbSendLength = (uint32_t)cbSendLength;
	transmit->ioRecvPciProtocol =
		pioRecvPci ? (uint32_t)pioRecvPci->dwProtocol : SCARD_PROTOCOL_ANY;
	transmit->ioRecvPciLength =
		pioRecvPci ? (uint32_t)pioRecvPci->cbPciLength : sizeof(SCARD_IO_REQUEST);
	transmit->pcbRecvLength = room_of(*pcbRecvLength);
	call.data = pbSendBuffer;
	call.data_length = cbSendLength;
	call.answer = pbRecvBuffer;
	call.room = transmit->pcbRecvLength;
	rv = call_card(card, &call, &transmit->rv, context_blocking(), &result);
	if (pioRecvPci && rv == SCARD_S_SUCCESS) {
		pioRecvPci->dwProtocol = transmit->ioRecvPciProtocol;
		pioRecvPci->cbPciLength = transmit->ioRecvPciLength;
	}
	*pcbRecvLength = rv == SCARD_S_SUCCESS || rv == SCARD_E_INSUFFICIENT_BUFFER
				 ? transmit->pcbRecvLength
				 : 0;
	card_give(card, result);
	return rv;
}

/* GET_ATTRIB or SET_ATTRIB; *attribute is request and reply. */
static LONG attribute_call(SCARDHANDLE hCard, uint32_t command, union wire_body *attribute)
{
	struct conn_call call = { .command = command, .body = attribute };
	enum conn_result result;
	struct card *card;
	LONG rv = card_take(hCard, &card);

	if (rv != SCARD_S_SUCCESS)
		return rv;
	attribute->getset.hCard = card->hCard;
	rv = call_card(card, &call, &attribute->getset.rv, false, &result);
	card_give(card, result);
	return rv;
}

LONG SCardGetAttrib(SCARDHANDLE hCard, DWORD dwAttrId, LPBYTE pbAttr, LPDWORD pcbAttrLen)
{
	union wire_body body = {
		.getset = { .dwAttrId = (uint32_t)dwAttrId, .cbAttrLen = WIRE_ATTR },
	};
	LONG rv;

	if (!pcbAttrLen)
		return SCARD_E_INVALID_PARAMETER;
	if (*pcbAttrLen == SCARD_AUTOALLOCATE) {
		if (!pbAttr)
			return SCARD_E_INVALID_PARAMETER;
		*(LPBYTE *)(void *)pbAttr = NULL;
	} else if (pbAttr && *pcbAttrLen > WIRE_ATTR) {
		struct card *card;

		rv = card_take(hCard, &card);
		if (rv == SCARD_S_SUCCESS)
			card_give(card, CONN_OK);
		return rv == SCARD_S_SUCCESS ? SCARD_E_INSUFFICIENT_BUFFER : rv;
	}
	rv = attribute_call(hCard, WIRE_GET_ATTRIB, &body);
	if (rv != SCARD_S_SUCCESS)
		return rv;
	if (body.getset.cbAttrLen > WIRE_ATTR)
		return SCARD_F_COMM_ERROR;
	return give_what_fits(pbAttr, pcbAttrLen, body.getset.pbAttr, body.getset.cbAttrLen);
}

LONG SCardSetAttrib(SCARDHANDLE hCard, DWORD dwAttrId, LPCBYTE pbAttr, DWORD cbAttrLen)
{
	union wire_body body = { .getset = { .dwAttrId = (uint32_t)dwAttrId } };
	LONG rv;

	if (!pbAttr || cbAttrLen == 0)
		return SCARD_E_INVALID_PARAMETER;
	if (cbAttrLen > WIRE_ATTR)
		return SCARD_E_INSUFFICIENT_BUFFER;
	memcpy(body.getset.pbAttr, pbAttr, cbAttrLen);
	body.getset.cbAttrLen = (uint32_t)cbAttrLen;
	rv = attribute_call(hCard, WIRE_SET_ATTRIB, &body);
	explicit_bzero(&body, sizeof(body));
	return rv;
}
