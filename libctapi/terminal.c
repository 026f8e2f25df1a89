/* SPDX-License-Identifier: BSD-3-Clause */
#include "libctapi/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libctapi/ctapi.h"

static signed char error_of(LONG rv)
{
	switch (rv) {
	case SCARD_S_SUCCESS:
		return OK;
	case SCARD_E_INVALID_PARAMETER:
	case SCARD_E_INVALID_VALUE:
		return ERR_INVALID;
	case SCARD_E_NO_MEMORY:
	case SCARD_E_INSUFFICIENT_BUFFER:
		return ERR_MEMORY;
	case SCARD_E_NO_SERVICE:
	case SCARD_E_SERVICE_STOPPED:
	case SCARD_F_COMM_ERROR:
		return ERR_HTSI;
	case SCARD_E_UNKNOWN_READER:
	case SCARD_E_NO_READERS_AVAILABLE:
	case SCARD_E_READER_UNAVAILABLE:
		return ERR_CT;
	case SCARD_E_NO_SMARTCARD:
	case SCARD_E_NOT_TRANSACTED:
	case SCARD_W_REMOVED_CARD:
	case SCARD_W_RESET_CARD:
	case SCARD_W_UNPOWERED_CARD:
	case SCARD_W_UNRESPONSIVE_CARD:
		return ERR_TRANS;
	default:
		return ERR_HOST;
	}
}

/* Copies the name of the n-th reader of a multi-string. */
static char *nth_name(const char *names, unsigned n)
{
	for (; *names && n; n--)
		names += strlen(names) + 1;
	return *names ? strdup(names) : NULL;
}

signed char terminal_open(struct terminal *t, unsigned n)
{
	LONG rv = SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &t->context);
	DWORD len = SCARD_AUTOALLOCATE;
	char *names = NULL;

	if (rv != SCARD_S_SUCCESS)
		return error_of(rv);
	rv = SCardListReaders(t->context, NULL, (LPSTR)&names, &len);
	if (rv == SCARD_S_SUCCESS) {
		t->reader = nth_name(names, n);
		SCardFreeMemory(t->context, names);
		if (t->reader)
			return OK;
		rv = SCARD_E_UNKNOWN_READER;
	}
	SCardReleaseContext(t->context);
	return error_of(rv);
}

void terminal_close(struct terminal *t)
{
	if (t->connected)
		SCardDisconnect(t->card, SCARD_LEAVE_CARD);
	SCardReleaseContext(t->context);
	free(t->reader);
}

void terminal_deactivate(struct terminal *t)
{
	if (t->connected)
		SCardDisconnect(t->card, SCARD_UNPOWER_CARD);
	t->connected = false;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits up to wait_ms for a card to be there, or not to be there. Returns whether there is one. */
static bool wait_until(struct terminal *t, bool present, DWORD wait_ms)
{
	SCARD_READERSTATE rs = { .szReader = t->reader, .dwCurrentState = SCARD_STATE_UNAWARE };
	int64_t deadline = now_ms() + (int64_t)wait_ms, left = 0;

	for (;;) {
		LONG rv = SCardGetStatusChange(t->context, (DWORD)left, &rs, 1);
		bool there = rs.dwEventState & SCARD_STATE_PRESENT;

		left = deadline - now_ms();
		if (rv != SCARD_S_SUCCESS || there == present || left <= 0)
			return there;
		rs.dwCurrentState = rs.dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
	}
}

bool terminal_present(struct terminal *t)
{
	return wait_until(t, true, 0);
}

static LONG activate(struct terminal *t)
{
	const DWORD protocols = SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1;
	LONG rv = SCARD_E_INVALID_HANDLE;

	if (t->connected)
		rv = SCardReconnect(
			t->card, SCARD_SHARE_SHARED, protocols, SCARD_RESET_CARD, &t->protocol);
	if (rv == SCARD_S_SUCCESS)
		return rv;
	/* A card that was taken out leaves the connection of no use. */
	terminal_deactivate(t);
	rv = SCardConnect(
		t->context, t->reader, SCARD_SHARE_SHARED, protocols, &t->card, &t->protocol);
	t->connected = rv == SCARD_S_SUCCESS;
	return rv;
}

bool terminal_activate(struct terminal *t, DWORD wait_ms)
{
	if (!wait_until(t, true, wait_ms) || activate(t) != SCARD_S_SUCCESS)
		return false;
	t->atr_len = sizeof(t->atr);
	return SCardStatus(t->card, NULL, NULL, NULL, NULL, t->atr, &t->atr_len) == SCARD_S_SUCCESS;
}

bool terminal_eject(struct terminal *t, DWORD wait_ms)
{
	terminal_deactivate(t);
	return !wait_until(t, false, wait_ms);
}

signed char terminal_transmit(struct terminal *t, const uint8_t *apdu, size_t apdu_len,
	uint8_t *response, unsigned short *len)
{
	const SCARD_IO_REQUEST *pci =
		t->protocol == SCARD_PROTOCOL_T0 ? SCARD_PCI_T0 : SCARD_PCI_T1;
	DWORD got = *len;
	LONG rv;

	if (!t->connected)
		return ERR_TRANS;
	rv = SCardTransmit(t->card, pci, apdu, apdu_len, NULL, response, &got);
	if (rv == SCARD_S_SUCCESS)
		*len = (unsigned short)got;
	return error_of(rv);
}
