/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_LIBPCSCLITE_DELEGATE_H
#define CARDWIRE_LIBPCSCLITE_DELEGATE_H

/*
 * Another library that does the calls of the API, for libraries that pass them on.
 *
 * It is loaded once, by the first SCardEstablishContext(); other calls make no sense before that.
 * Any thread may call these functions.
 */

#include <winscard.h>

/* Name, parameters, arguments of each call. */
#define FOR_EACH_CALL(CALL)                                                                        \
	CALL(SCardEstablishContext,                                                                \
		(DWORD dwScope, LPCVOID pvReserved1, LPCVOID pvReserved2,                          \
			LPSCARDCONTEXT phContext),                                                 \
		(dwScope, pvReserved1, pvReserved2, phContext))                                    \
	CALL(SCardReleaseContext, (SCARDCONTEXT hContext), (hContext))                             \
	CALL(SCardIsValidContext, (SCARDCONTEXT hContext), (hContext))                             \
	CALL(SCardConnect,                                                                         \
		(SCARDCONTEXT hContext, LPCSTR szReader, DWORD dwShareMode,                        \
			DWORD dwPreferredProtocols, LPSCARDHANDLE phCard,                          \
			LPDWORD pdwActiveProtocol),                                                \
		(hContext, szReader, dwShareMode, dwPreferredProtocols, phCard,                    \
			pdwActiveProtocol))                                                        \
	CALL(SCardReconnect,                                                                       \
		(SCARDHANDLE hCard, DWORD dwShareMode, DWORD dwPreferredProtocols,                 \
			DWORD dwInitialization, LPDWORD pdwActiveProtocol),                        \
		(hCard, dwShareMode, dwPreferredProtocols, dwInitialization, pdwActiveProtocol))   \
	CALL(SCardDisconnect, (SCARDHANDLE hCard, DWORD dwDisposition), (hCard, dwDisposition))    \
	CALL(SCardBeginTransaction, (SCARDHANDLE hCard), (hCard))                                  \
	CALL(SCardEndTransaction, (SCARDHANDLE hCard, DWORD dwDisposition),                        \
		(hCard, dwDisposition))                                                            \
	CALL(SCardStatus,                                                                          \
		(SCARDHANDLE hCard, LPSTR mszReaderName, LPDWORD pcchReaderLen, LPDWORD pdwState,  \
			LPDWORD pdwProtocol, LPBYTE pbAtr, LPDWORD pcbAtrLen),                     \
		(hCard, mszReaderName, pcchReaderLen, pdwState, pdwProtocol, pbAtr, pcbAtrLen))    \
	CALL(SCardGetStatusChange,                                                                 \
		(SCARDCONTEXT hContext, DWORD dwTimeout, SCARD_READERSTATE * rgReaderStates,       \
			DWORD cReaders),                                                           \
		(hContext, dwTimeout, rgReaderStates, cReaders))                                   \
	CALL(SCardControl,                                                                         \
		(SCARDHANDLE hCard, DWORD dwControlCode, LPCVOID pbSendBuffer, DWORD cbSendLength, \
			LPVOID pbRecvBuffer, DWORD cbRecvLength, LPDWORD lpBytesReturned),         \
		(hCard, dwControlCode, pbSendBuffer, cbSendLength, pbRecvBuffer, cbRecvLength,     \
			lpBytesReturned))                                                          \
	CALL(SCardTransmit,                                                                        \
		(SCARDHANDLE hCard, const SCARD_IO_REQUEST *pioSendPci, LPCBYTE pbSendBuffer,      \
			DWORD cbSendLength, SCARD_IO_REQUEST *pioRecvPci, LPBYTE pbRecvBuffer,     \
			LPDWORD pcbRecvLength),                                                    \
		(hCard, pioSendPci, pbSendBuffer, cbSendLength, pioRecvPci, pbRecvBuffer,          \
			pcbRecvLength))                                                            \
	CALL(SCardListReaderGroups, (SCARDCONTEXT hContext, LPSTR mszGroups, LPDWORD pcchGroups),  \
		(hContext, mszGroups, pcchGroups))                                                 \
	CALL(SCardListReaders,                                                                     \
		(SCARDCONTEXT hContext, LPCSTR mszGroups, LPSTR mszReaders, LPDWORD pcchReaders),  \
		(hContext, mszGroups, mszReaders, pcchReaders))                                    \
	CALL(SCardFreeMemory, (SCARDCONTEXT hContext, LPCVOID pvMem), (hContext, pvMem))           \
	CALL(SCardCancel, (SCARDCONTEXT hContext), (hContext))                                     \
	CALL(SCardGetAttrib,                                                                       \
		(SCARDHANDLE hCard, DWORD dwAttrId, LPBYTE pbAttr, LPDWORD pcbAttrLen),            \
		(hCard, dwAttrId, pbAttr, pcbAttrLen))                                             \
	CALL(SCardSetAttrib, (SCARDHANDLE hCard, DWORD dwAttrId, LPCBYTE pbAttr, DWORD cbAttrLen), \
		(hCard, dwAttrId, pbAttr, cbAttrLen))

/* NOLINTNEXTLINE(bugprone-macro-parentheses): a name and a list of parameters, no expressions */
#define DELEGATE_MEMBER(name, parameters, arguments) LONG(*name) parameters;

struct calls {
	FOR_EACH_CALL(DELEGATE_MEMBER)
};

/*
 * Loads the library named by the environment variable `variable`, or libpcsclite_real.so.1: that of
 * the folder we are in, if there is one there, so that a build tree or a relocated installation uses
 * its own. NULL, after a line on standard error that says why, if there is no such library, it lacks
 * a call (SCardFreeMemory excepted), or its SCardEstablishContext is our own.
 */
const struct calls *delegate_load(const char *variable);

#endif
