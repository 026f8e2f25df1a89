/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libpcsclite.so.1: every call is passed on to the library that does it.
 *
 * That is libpcsclite_real.so.1, or what $LIBPCSCLITE_DELEGATE names (a spy, a simulation). It is
 * loaded by the first SCardEstablishContext(); other calls make no sense before that and fail with
 * SCARD_F_INTERNAL_ERROR. libpcsclite_real.so.1 is taken from our own folder if it is there, so
 * that a build tree or a relocated installation uses its own.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <winscard.h>

#define REAL_LIBRARY "libpcsclite_real.so.1"

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

#define MEMBER(name, parameters, arguments)      LONG(*name) parameters;
#define TABLE_ENTRY(name, parameters, arguments) { #name, offsetof(struct calls, name) },

struct calls {
	FOR_EACH_CALL(MEMBER)
};

static const struct {
	const char *name;
	size_t offset;
} symbols[] = { FOR_EACH_CALL(TABLE_ENTRY) };

static struct calls loaded;
static _Atomic(const struct calls *) delegate; /* &loaded, once it is complete */

static bool bind_calls(void *library)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = dlsym(library, symbols[i].name);

		if (!symbol) {
			fprintf(stderr, "libpcsclite: %s\n", dlerror());
			return false;
		}
		memcpy((char *)&loaded + symbols[i].offset, &symbol, sizeof(symbol));
	}
	return true;
}

/* Our own folder's library; `path` has room for `size` bytes. */
static const char *real_library(char *path, size_t size)
{
	const char *slash;
	Dl_info self;
	int length;

	if (!dladdr(&loaded, &self) || !self.dli_fname)
		return REAL_LIBRARY;
	slash = strrchr(self.dli_fname, '/');
	if (!slash)
		return REAL_LIBRARY;
	length = snprintf(
		path, size, "%.*s/%s", (int)(slash - self.dli_fname), self.dli_fname, REAL_LIBRARY);
	if (length < 0 || (size_t)length >= size || access(path, R_OK) != 0)
		return REAL_LIBRARY;
	return path;
}

static void load_delegate(void)
{
	const char *name = secure_getenv("LIBPCSCLITE_DELEGATE");
	char path[4096];
	void *library;

	if (!name)
		name = real_library(path, sizeof(path));
	library = dlopen(name, RTLD_LAZY);
	if (!library) {
		fprintf(stderr, "libpcsclite: %s\n", dlerror());
		return;
	}
	if (!bind_calls(library)) {
		dlclose(library);
	} else if (loaded.SCardEstablishContext == SCardEstablishContext) {
		fprintf(stderr, "libpcsclite: %s would pass calls on to itself\n", name);
		dlclose(library);
	} else {
		atomic_store_explicit(&delegate, &loaded, memory_order_release);
	}
}

static const struct calls *calls_for(bool first)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (first)
		pthread_once(&once, load_delegate);
	return atomic_load_explicit(&delegate, memory_order_acquire);
}

#define IS_FIRST(name) (strcmp(#name, "SCardEstablishContext") == 0)

#define DEFINE(name, parameters, arguments)                                                        \
	LONG name parameters                                                                       \
	{                                                                                          \
		const struct calls *calls = calls_for(IS_FIRST(name));                             \
                                                                                                   \
		return calls ? calls->name arguments : SCARD_F_INTERNAL_ERROR;                     \
	}

FOR_EACH_CALL(DEFINE)
