/* SPDX-License-Identifier: BSD-3-Clause */
#include "delegate.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REAL_LIBRARY "libpcsclite_real.so.1"

#define TABLE_ENTRY(name, parameters, arguments) { #name, offsetof(struct calls, name) },

static const struct {
	const char *name;
	size_t offset;
} symbols[] = { FOR_EACH_CALL(TABLE_ENTRY) };

static struct calls loaded;

static LONG no_free_memory(SCARDCONTEXT hContext, LPCVOID pvMem)
{
	(void)hContext;
	(void)pvMem;
	return SCARD_E_UNSUPPORTED_FEATURE;
}

static bool bind_calls(void *library)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = dlsym(library, symbols[i].name);

		if (symbol) {
			memcpy((char *)&loaded + symbols[i].offset, &symbol, sizeof(symbol));
		} else if (symbols[i].offset == offsetof(struct calls, SCardFreeMemory)) {
			loaded.SCardFreeMemory = no_free_memory;
		} else {
			fprintf(stderr, "libpcsclite: %s\n", dlerror());
			return false;
		}
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

const struct calls *delegate_load(const char *variable)
{
	const char *name = secure_getenv(variable);
	char path[4096];
	void *library;

	if (!name)
		name = real_library(path, sizeof(path));
	library = dlopen(name, RTLD_LAZY);
	if (!library) {
		fprintf(stderr, "libpcsclite: %s\n", dlerror());
		return NULL;
	}
	if (bind_calls(library) && loaded.SCardEstablishContext != SCardEstablishContext)
		return &loaded;
	if (loaded.SCardEstablishContext == SCardEstablishContext)
		fprintf(stderr, "libpcsclite: %s would pass calls on to itself\n", name);
	dlclose(library);
	return NULL;
}
