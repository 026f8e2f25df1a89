/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls that open, close and question contexts. */
#include <stdlib.h>

#include <winscard.h>

#include "context.h"
#include "service.h"

LONG SCardEstablishContext(
	DWORD dwScope, LPCVOID pvReserved1, LPCVOID pvReserved2, LPSCARDCONTEXT phContext)
{
	(void)pvReserved1;
	(void)pvReserved2;
	if (!service_exists())
		return SCARD_E_NO_SERVICE;
	if (!phContext)
		return SCARD_E_INVALID_PARAMETER;
	*phContext = 0;
	/* The daemon judges the scope; one that 32 bits can't say mustn't become another. */
	if (dwScope > SCARD_SCOPE_GLOBAL)
		return SCARD_E_INVALID_VALUE;
	return context_open((uint32_t)dwScope, phContext);
}

LONG SCardReleaseContext(SCARDCONTEXT hContext)
{
	return context_release(hContext);
}

LONG SCardIsValidContext(SCARDCONTEXT hContext)
{
	struct context *context = context_get(hContext);
	LONG rv;

	if (!context)
		return SCARD_E_INVALID_HANDLE;
	rv = context_reach(context);
	context_put(context);
	return rv;
}

LONG SCardCancel(SCARDCONTEXT hContext)
{
	return context_cancel(hContext);
}

LONG SCardFreeMemory(SCARDCONTEXT hContext, LPCVOID pvMem)
{
	struct context *context = context_get(hContext);

	if (!context)
		return SCARD_E_INVALID_HANDLE;
	context_put(context);
	free((void *)pvMem);
	return SCARD_S_SUCCESS;
}
