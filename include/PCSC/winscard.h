/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PC/SC client interface. Any thread may call any function; one context may be used by
 * many threads at once. Contexts and card handles don't survive fork() in the child.
 *
 * All functions return SCARD_S_SUCCESS or one of the codes of <pcsclite.h>. Lengths are in bytes
 * and are in/out: room in, length out. Where a buffer may be NULL only the length is returned;
 * where the length is SCARD_AUTOALLOCATE the "buffer" is the address of a pointer which receives
 * memory for SCardFreeMemory().
 */
#ifndef __winscard_h__
#define __winscard_h__

#include <pcsclite.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PCSC_API
#define PCSC_API
#endif

/* Opens a context. The two pointers are reserved and ignored. */
PCSC_API LONG SCardEstablishContext(
	DWORD dwScope, LPCVOID pvReserved1, LPCVOID pvReserved2, LPSCARDCONTEXT phContext);

/* Closes a context and all card handles opened on it. */
PCSC_API LONG SCardReleaseContext(SCARDCONTEXT hContext);

/* SCARD_S_SUCCESS if the context is open, else SCARD_E_INVALID_HANDLE. */
PCSC_API LONG SCardIsValidContext(SCARDCONTEXT hContext);

/* Opens a card handle on the reader named szReader, and says which protocol it speaks. */
PCSC_API LONG SCardConnect(SCARDCONTEXT hContext, LPCSTR szReader, DWORD dwShareMode,
	DWORD dwPreferredProtocols, LPSCARDHANDLE phCard, LPDWORD pdwActiveProtocol);

/* Renews a card handle after a reset, or changes its share mode or protocol. */
PCSC_API LONG SCardReconnect(SCARDHANDLE hCard, DWORD dwShareMode, DWORD dwPreferredProtocols,
	DWORD dwInitialization, LPDWORD pdwActiveProtocol);

/* Closes a card handle; dwDisposition (SCARD_LEAVE_CARD, …) says what becomes of the card. */
PCSC_API LONG SCardDisconnect(SCARDHANDLE hCard, DWORD dwDisposition);

/* Takes the card for the caller alone, waiting for its turn. May be nested. */
PCSC_API LONG SCardBeginTransaction(SCARDHANDLE hCard);

/* Gives the card back; once for each SCardBeginTransaction(). */
PCSC_API LONG SCardEndTransaction(SCARDHANDLE hCard, DWORD dwDisposition);

/* Name of the reader, state (SCARD_PRESENT, …), protocol and ATR. Each pointer may be NULL. */
PCSC_API LONG SCardStatus(SCARDHANDLE hCard, LPSTR mszReaderName, LPDWORD pcchReaderLen,
	LPDWORD pdwState, LPDWORD pdwProtocol, LPBYTE pbAtr, LPDWORD pcbAtrLen);

/* Waits, for at most dwTimeout ms, until a reader's state is not what its entry says. */
PCSC_API LONG SCardGetStatusChange(
	SCARDCONTEXT hContext, DWORD dwTimeout, SCARD_READERSTATE *rgReaderStates, DWORD cReaders);

/* Sends a command to the reader itself. */
PCSC_API LONG SCardControl(SCARDHANDLE hCard, DWORD dwControlCode, LPCVOID pbSendBuffer,
	DWORD cbSendLength, LPVOID pbRecvBuffer, DWORD cbRecvLength, LPDWORD lpBytesReturned);

/* Sends an APDU to the card and returns its answer. */
PCSC_API LONG SCardTransmit(SCARDHANDLE hCard, const SCARD_IO_REQUEST *pioSendPci,
	LPCBYTE pbSendBuffer, DWORD cbSendLength, SCARD_IO_REQUEST *pioRecvPci, LPBYTE pbRecvBuffer,
	LPDWORD pcbRecvLength);

/* The groups of readers as a multi-string; there is one. */
PCSC_API LONG SCardListReaderGroups(SCARDCONTEXT hContext, LPSTR mszGroups, LPDWORD pcchGroups);

/* The names of the readers as a multi-string. */
PCSC_API LONG SCardListReaders(
	SCARDCONTEXT hContext, LPCSTR mszGroups, LPSTR mszReaders, LPDWORD pcchReaders);

/* Frees what a call with SCARD_AUTOALLOCATE returned. */
PCSC_API LONG SCardFreeMemory(SCARDCONTEXT hContext, LPCVOID pvMem);

/* Ends the SCardGetStatusChange() that runs on the context, or the next one if none runs. */
PCSC_API LONG SCardCancel(SCARDCONTEXT hContext);

/* Reads an attribute (SCARD_ATTR_* of <reader.h>) of the reader. */
PCSC_API LONG SCardGetAttrib(SCARDHANDLE hCard, DWORD dwAttrId, LPBYTE pbAttr, LPDWORD pcbAttrLen);

/* Writes an attribute of the reader. */
PCSC_API LONG SCardSetAttrib(SCARDHANDLE hCard, DWORD dwAttrId, LPCBYTE pbAttr, DWORD cbAttrLen);

#ifdef __cplusplus
}
#endif

#endif
