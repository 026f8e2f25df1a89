/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libpcsclite.so.1: every call is passed on to the library that does it, libpcsclite_real.so.1 or
 * what $LIBPCSCLITE_DELEGATE names (a spy, a simulation). Without one calls fail with
 * SCARD_F_INTERNAL_ERROR, as do those before the first SCardEstablishContext().
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "delegate.h"

static _Atomic(const struct calls *) delegate;

static void load(void)
{
	atomic_store_explicit(
		&delegate, delegate_load("LIBPCSCLITE_DELEGATE"), memory_order_release);
}

static const struct calls *calls_for(bool first)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (first)
		pthread_once(&once, load);
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
