/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libpcscspy.so.0: passes every call on to $LIBPCSCLITE_SPY_DELEGATE (libpcsclite_real.so.1) and
 * tells pcsc-spy what went in and what came out. Used as $LIBPCSCLITE_DELEGATE of libpcsclite.so.1.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "libpcsclite/delegate.h"
#include "trace.h"

static _Atomic(const struct calls *) delegate;

static void load(void)
{
	const struct calls *calls = delegate_load("LIBPCSCLITE_SPY_DELEGATE");

	if (calls)
		trace_open();
	atomic_store_explicit(&delegate, calls, memory_order_release);
}

/* The calls that do it; NULL before the first SCardEstablishContext() and if there are none. */
static const struct calls *real(void)
{
	return atomic_load_explicit(&delegate, memory_order_acquire);
}

/* A call that has one number to show, before it is made. */
static bool enter_with(struct trace *trace, const char *function, LONG number)
{
	if (!real())
		return false;
	trace_enter(trace, function);
	trace_long(trace, (unsigned long)number);
	return true;
}

LONG SCardEstablishContext(
	DWORD dwScope, LPCVOID pvReserved1, LPCVOID pvReserved2, LPSCARDCONTEXT phContext)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct trace trace;
	LONG rv;

	pthread_once(&once, load);
	if (!enter_with(&trace, __func__, (LONG)dwScope))
		return SCARD_F_INTERNAL_ERROR;
	trace_call(&trace);
	rv = real()->SCardEstablishContext(dwScope, pvReserved1, pvReserved2, phContext);
	trace_number(&trace, (const DWORD *)phContext);
	return trace_leave(&trace, rv);
}

/* A call with one argument, and nothing that comes out. */
#define DEFINE_SIMPLE(name, type)                                                                  \
	LONG name(type handle)                                                                     \
	{                                                                                          \
		struct trace trace;                                                                \
                                                                                                   \
		if (!enter_with(&trace, __func__, handle))                                         \
			return SCARD_F_INTERNAL_ERROR;                                             \
		trace_call(&trace);                                                                \
		return trace_leave(&trace, real()->name(handle));                                  \
	}

DEFINE_SIMPLE(SCardReleaseContext, SCARDCONTEXT)
DEFINE_SIMPLE(SCardIsValidContext, SCARDCONTEXT)
DEFINE_SIMPLE(SCardCancel, SCARDCONTEXT)
DEFINE_SIMPLE(SCardBeginTransaction, SCARDHANDLE)

LONG SCardConnect(SCARDCONTEXT hContext, LPCSTR szReader, DWORD dwShareMode,
	DWORD dwPreferredProtocols, LPSCARDHANDLE phCard, LPDWORD pdwActiveProtocol)
{
	struct trace trace;
	LONG rv;

	if (!enter_with(&trace, __func__, hContext))
		return SCARD_F_INTERNAL_ERROR;
	trace_string(&trace, szReader);
	trace_long(&trace, dwShareMode);
	trace_long(&trace, dwPreferredProtocols);
	trace_number(&trace, (const DWORD *)phCard);
	trace_number(&trace, pdwActiveProtocol);
	trace_call(&trace);
	rv = real()->SCardConnect(
		hContext, szReader, dwShareMode, dwPreferredProtocols, phCard, pdwActiveProtocol);
	trace_number(&trace, (const DWORD *)phCard);
	trace_number(&trace, pdwActiveProtocol);
	return trace_leave(&trace, rv);
}

LONG SCardReconnect(SCARDHANDLE hCard, DWORD dwShareMode, DWORD dwPreferredProtocols,
	DWORD dwInitialization, LPDWORD pdwActiveProtocol)
{
	struct trace trace;
	LONG rv;

	if (!enter_with(&trace, __func__, hCard))
		return SCARD_F_INTERNAL_ERROR;
	trace_long(&trace, dwShareMode);
	trace_long(&trace, dwPreferredProtocols);
	trace_long(&trace, dwInitialization);
	trace_call(&trace);
	rv = real()->SCardReconnect(
		hCard, dwShareMode, dwPreferredProtocols, dwInitialization, pdwActiveProtocol);
	trace_number(&trace, pdwActiveProtocol);
	return trace_leave(&trace, rv);
}

LONG SCardDisconnect(SCARDHANDLE hCard, DWORD dwDisposition)
{
	struct trace trace;

	if (!enter_with(&trace, __func__, hCard))
		return SCARD_F_INTERNAL_ERROR;
	trace_long(&trace, dwDisposition);
	trace_call(&trace);
	return trace_leave(&trace, real()->SCardDisconnect(hCard, dwDisposition));
}

LONG SCardEndTransaction(SCARDHANDLE hCard, DWORD dwDisposition)
{
	struct trace trace;

	if (!enter_with(&trace, __func__, hCard))
		return SCARD_F_INTERNAL_ERROR;
	trace_long(&trace, dwDisposition);
	trace_call(&trace);
	return trace_leave(&trace, real()->SCardEndTransaction(hCard, dwDisposition));
}

/* What a buffer of the API holds after a call: with SCARD_AUTOALLOCATE it holds a pointer to it. */
static const void *contents(const void *buffer, bool allocated)
{
	const void *pointer = buffer;

	if (allocated && buffer)
		memcpy(&pointer, buffer, sizeof(pointer));
	return pointer;
}

static bool is_allocated(const DWORD *length)
{
	return length && *length == SCARD_AUTOALLOCATE;
}

/* How much of a buffer a successful call has filled. */
static size_t filled(LONG rv, const DWORD *length)
{
	return rv == SCARD_S_SUCCESS && length ? *length : 0;
}

LONG SCardStatus(SCARDHANDLE hCard, LPSTR mszReaderName, LPDWORD pcchReaderLen, LPDWORD pdwState,
	LPDWORD pdwProtocol, LPBYTE pbAtr, LPDWORD pcbAtrLen)
{
	bool name_allocated = is_allocated(pcchReaderLen);
	bool atr_allocated = is_allocated(pcbAtrLen);
	struct trace trace;
	bool ok;
	LONG rv;

	if (!enter_with(&trace, __func__, hCard))
		return SCARD_F_INTERNAL_ERROR;
	trace_number(&trace, pcchReaderLen);
	trace_number(&trace, pcbAtrLen);
	trace_call(&trace);
	rv = real()->SCardStatus(
		hCard, mszReaderName, pcchReaderLen, pdwState, pdwProtocol, pbAtr, pcbAtrLen);
	ok = rv == SCARD_S_SUCCESS;
	trace_strings(&trace, ok ? contents(mszReaderName, name_allocated) : NULL,
		filled(rv, pcchReaderLen));
	trace_number(&trace, pdwState);
	trace_number(&trace, pdwProtocol);
	trace_bytes(&trace, ok ? contents(pbAtr, atr_allocated) : NULL, filled(rv, pcbAtrLen));
	return trace_leave(&trace, rv);
}

static void trace_states(struct trace *trace, const SCARD_READERSTATE *states, DWORD count)
{
	for (DWORD i = 0; states && i < count; i++) {
		DWORD length = states[i].cbAtr;

		trace_string(trace, states[i].szReader);
		trace_long(trace, states[i].dwCurrentState);
		trace_long(trace, states[i].dwEventState);
		/* On the way in nobody need have set it. */
		trace_bytes(trace, states[i].rgbAtr, length <= MAX_ATR_SIZE ? length : 0);
	}
}

LONG SCardGetStatusChange(
	SCARDCONTEXT hContext, DWORD dwTimeout, SCARD_READERSTATE *rgReaderStates, DWORD cReaders)
{
	struct trace trace;
	LONG rv;

	if (!enter_with(&trace, __func__, hContext))
		return SCARD_F_INTERNAL_ERROR;
	trace_long(&trace, dwTimeout);
	trace_long(&trace, rgReaderStates ? cReaders : 0);
	trace_states(&trace, rgReaderStates, cReaders);
	trace_call(&trace);
	rv = real()->SCardGetStatusChange(hContext, dwTimeout, rgReaderStates, cReaders);
	trace_states(&trace, rgReaderStates, cReaders);
	return trace_leave(&trace, rv);
}

LONG SCardControl(SCARDHANDLE hCard, DWORD dwControlCode, LPCVOID pbSendBuffer, DWORD cbSendLength,
	LPVOID pbRecvBuffer, DWORD cbRecvLength, LPDWORD lpBytesReturned)
{
	struct trace trace;
	DWORD returned = 0;
	LONG rv;

	if (!enter_with(&trace, __func__, hCard))
		return SCARD_F_INTERNAL_ERROR;
	trace_long(&trace, dwControlCode);
	trace_bytes(&trace, pbSendBuffer, cbSendLength);
	trace_call(&trace);
	rv = real()->SCardControl(hCard, dwControlCode, pbSendBuffer, cbSendLength, pbRecvBuffer,
		cbRecvLength, &returned);
	if (lpBytesReturned)
		*lpBytesReturned = returned;
	trace_bytes(&trace, rv == SCARD_S_SUCCESS ? pbRecvBuffer : NULL, returned);
	return trace_leave(&trace, rv);
}

static void trace_pci(struct trace *trace, const SCARD_IO_REQUEST *pci)
{
	trace_long(trace, pci ? pci->dwProtocol : (unsigned long)-1);
	trace_long(trace, pci ? pci->cbPciLength : (unsigned long)-1);
}

LONG SCardTransmit(SCARDHANDLE hCard, const SCARD_IO_REQUEST *pioSendPci, LPCBYTE pbSendBuffer,
	DWORD cbSendLength, SCARD_IO_REQUEST *pioRecvPci, LPBYTE pbRecvBuffer,
	LPDWORD pcbRecvLength)
{
	struct trace trace;
	LONG rv;

	if (!enter_with(&trace, __func__, hCard))
		return SCARD_F_INTERNAL_ERROR;
	trace_pci(&trace, pioSendPci);
	trace_bytes(&trace, pbSendBuffer, cbSendLength);
	trace_call(&trace);
	rv = real()->SCardTransmit(hCard, pioSendPci, pbSendBuffer, cbSendLength, pioRecvPci,
		pbRecvBuffer, pcbRecvLength);
	trace_pci(&trace, pioRecvPci);
	trace_bytes(&trace, rv == SCARD_S_SUCCESS ? pbRecvBuffer : NULL,
		pcbRecvLength ? *pcbRecvLength : 0);
	return trace_leave(&trace, rv);
}

LONG SCardListReaderGroups(SCARDCONTEXT hContext, LPSTR mszGroups, LPDWORD pcchGroups)
{
	bool allocated = is_allocated(pcchGroups);
	struct trace trace;
	LONG rv;

	if (!enter_with(&trace, __func__, hContext))
		return SCARD_F_INTERNAL_ERROR;
	trace_number(&trace, pcchGroups);
	trace_call(&trace);
	rv = real()->SCardListReaderGroups(hContext, mszGroups, pcchGroups);
	trace_strings(&trace, rv == SCARD_S_SUCCESS ? contents(mszGroups, allocated) : NULL,
		filled(rv, pcchGroups));
	return trace_leave(&trace, rv);
}

LONG SCardListReaders(
	SCARDCONTEXT hContext, LPCSTR mszGroups, LPSTR mszReaders, LPDWORD pcchReaders)
{
	bool allocated = is_allocated(pcchReaders);
	struct trace trace;
	LONG rv;

	if (!enter_with(&trace, __func__, hContext))
		return SCARD_F_INTERNAL_ERROR;
	trace_string(&trace, mszGroups);
	trace_call(&trace);
	rv = real()->SCardListReaders(hContext, mszGroups, mszReaders, pcchReaders);
	trace_strings(&trace, rv == SCARD_S_SUCCESS ? contents(mszReaders, allocated) : NULL,
		filled(rv, pcchReaders));
	return trace_leave(&trace, rv);
}

LONG SCardFreeMemory(SCARDCONTEXT hContext, LPCVOID pvMem)
{
	struct trace trace;

	if (!enter_with(&trace, __func__, hContext))
		return SCARD_F_INTERNAL_ERROR;
	trace_pointer(&trace, pvMem);
	trace_call(&trace);
	return trace_leave(&trace, real()->SCardFreeMemory(hContext, pvMem));
}

LONG SCardGetAttrib(SCARDHANDLE hCard, DWORD dwAttrId, LPBYTE pbAttr, LPDWORD pcbAttrLen)
{
	bool allocated = is_allocated(pcbAttrLen);
	struct trace trace;
	LONG rv;

	if (!enter_with(&trace, __func__, hCard))
		return SCARD_F_INTERNAL_ERROR;
	trace_long(&trace, dwAttrId);
	trace_call(&trace);
	rv = real()->SCardGetAttrib(hCard, dwAttrId, pbAttr, pcbAttrLen);
	trace_bytes(&trace, rv == SCARD_S_SUCCESS ? contents(pbAttr, allocated) : NULL,
		filled(rv, pcbAttrLen));
	return trace_leave(&trace, rv);
}

LONG SCardSetAttrib(SCARDHANDLE hCard, DWORD dwAttrId, LPCBYTE pbAttr, DWORD cbAttrLen)
{
	struct trace trace;

	if (!enter_with(&trace, __func__, hCard))
		return SCARD_F_INTERNAL_ERROR;
	trace_long(&trace, dwAttrId);
	trace_bytes(&trace, pbAttr, cbAttrLen);
	trace_call(&trace);
	return trace_leave(&trace, real()->SCardSetAttrib(hCard, dwAttrId, pbAttr, cbAttrLen));
}
