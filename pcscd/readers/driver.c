/* SPDX-License-Identifier: BSD-3-Clause */
/* The libraries of drivers: which are loaded, for whom, and for how long. */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcscd/clock.h"
#include "pcscd/log.h"
#include "pcscd/readers/driver_private.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct driver *registry;

/* Drivers built for systems that put an underscore before names have both forms. */
static void *find_symbol(void *handle, const char *name)
{
	char decorated[64];
	void *symbol;

	snprintf(decorated, sizeof(decorated), "_%s", name);
	symbol = dlsym(handle, decorated);
	return symbol ? symbol : dlsym(handle, name);
}

/* Where each entry point is stored. IFDHControl is looked up apart, its type varies. */
static const struct {
	const char *name;
	size_t offset;
	bool optional;
} symbols[] = {
	{ "IFDHCreateChannelByName", offsetof(struct entry_points, create_by_name), true },
	{ "IFDHCreateChannel", offsetof(struct entry_points, create), true },
	{ "IFDHCloseChannel", offsetof(struct entry_points, close), false },
	{ "IFDHGetCapabilities", offsetof(struct entry_points, get_capabilities), false },
	{ "IFDHSetCapabilities", offsetof(struct entry_points, set_capabilities), false },
	{ "IFDHSetProtocolParameters", offsetof(struct entry_points, set_protocol), true },
	{ "IFDHPowerICC", offsetof(struct entry_points, power), false },
	{ "IFDHTransmitToICC", offsetof(struct entry_points, transmit), false },
	{ "IFDHICCPresence", offsetof(struct entry_points, presence), false },
	{ "IFDHCardwireRecording", offsetof(struct entry_points, recording), true },
	{ "IFDHControl", 0, false },
};

#define SYMBOL_COUNT (sizeof(symbols) / sizeof(symbols[0]))

/*
 * Fills in the entry points and the version. NULL if the library will do, otherwise what is wrong,
 * with *detail the name of an entry point or "".
 */
static const char *bind(struct driver *driver, const char **detail)
{
	void *found[SYMBOL_COUNT];
	struct entry_points *entry = &driver->entry;

	*detail = "";
	for (size_t i = 0; i < SYMBOL_COUNT; i++) {
		found[i] = find_symbol(driver->handle, symbols[i].name);
		if (i + 1 < SYMBOL_COUNT)
			memcpy((char *)entry + symbols[i].offset, &found[i], sizeof(found[i]));
	}
	if (!entry->create_by_name && !entry->create)
		return "is no IFD handler of version 2 or 3 (neither IFDHCreateChannelByName nor "
		       "IFDHCreateChannel)";
	driver->version = entry->create_by_name ? 3 : 2;
	for (size_t i = 0; i < SYMBOL_COUNT; i++) {
		if (!found[i] && !symbols[i].optional) {
			*detail = symbols[i].name;
			return "lacks the entry point ";
		}
	}
	if (driver->version == 3) {
		memcpy(&entry->control_v3, &found[SYMBOL_COUNT - 1], sizeof(entry->control_v3));
		if (!entry->create) {
			*detail = "IFDHCreateChannel";
			return "lacks the entry point ";
		}
	} else {
		memcpy(&entry->control_v2, &found[SYMBOL_COUNT - 1], sizeof(entry->control_v2));
	}
	return NULL;
}

static void driver_free(struct driver *driver)
{
	if (driver->handle)
		dlclose(driver->handle);
	pthread_mutex_destroy(&driver->opening);
	pthread_mutex_destroy(&driver->lock);
	free(driver->path);
	free(driver);
}

/* Loads a library that is not loaded yet. */
static struct driver *load(const char *path, const char *origin)
{
	struct driver *driver = calloc(1, sizeof(*driver));
	const char *fault;
	const char *detail;

	if (!driver) {
		log_line(PCSC_LOG_ERROR, "%s: out of memory", origin);
		return NULL;
	}
	pthread_mutex_init(&driver->opening, NULL);
	pthread_mutex_init(&driver->lock, NULL);
	driver->references = 1;
	driver->path = strdup(path);
	driver->handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!driver->path || !driver->handle) {
		const char *why = dlerror();

		log_line(PCSC_LOG_ERROR, "%s: driver %s cannot be loaded: %s", origin, path,
			why ? why : "out of memory");
		driver_free(driver);
		return NULL;
	}
	fault = bind(driver, &detail);
	if (fault) {
		log_line(PCSC_LOG_ERROR, "%s: driver %s %s%s", origin, path, fault, detail);
		driver_free(driver);
		return NULL;
	}
	log_line(PCSC_LOG_INFO, "%s: driver %s loaded (IFD handler version %d)", origin, path,
		driver->version);
	return driver;
}

/* Recordings of readers that are gone go with their library. */
static int64_t longer(const struct driver *driver, int64_t before)
{
	if (!driver->entry.recording || before == INT64_MAX)
		return 0;
	return (DRIVER_RECORDING_LINGER_S - DRIVER_LINGER_S) * CLOCK_S;
}

/* With registry_lock held: unloads what has had no user since `before`. */
static void unload_idle(int64_t before)
{
	struct driver **link = &registry;

	while (*link) {
		struct driver *driver = *link;

		if (driver->references == 0 &&
			driver->idle_since <= before - longer(driver, before)) {
			*link = driver->next;
			driver_free(driver);
		} else {
			link = &driver->next;
		}
	}
}

struct driver *driver_load(const char *path, const char *origin)
{
	struct driver *driver;

	pthread_mutex_lock(&registry_lock);
	unload_idle(clock_now() - DRIVER_LINGER_S * CLOCK_S);
	for (driver = registry; driver; driver = driver->next)
		if (strcmp(driver->path, path) == 0)
			break;
	if (driver) {
		driver->references++;
	} else {
		driver = load(path, origin);
		if (driver) {
			driver->next = registry;
			registry = driver;
		}
	}
	pthread_mutex_unlock(&registry_lock);
	return driver;
}

void driver_unload_idle(void)
{
	pthread_mutex_lock(&registry_lock);
	unload_idle(INT64_MAX);
	pthread_mutex_unlock(&registry_lock);
}

struct driver *driver_ref(struct driver *driver)
{
	pthread_mutex_lock(&registry_lock);
	driver->references++;
	pthread_mutex_unlock(&registry_lock);
	return driver;
}

void driver_unref(struct driver *driver)
{
	if (!driver)
		return;
	pthread_mutex_lock(&registry_lock);
	if (--driver->references == 0)
		driver->idle_since = clock_now();
	pthread_mutex_unlock(&registry_lock);
}

const char *driver_path(const struct driver *driver)
{
	return driver->path;
}

int driver_version(const struct driver *driver)
{
	return driver->version;
}

size_t driver_recorders(struct driver **drivers, size_t room)
{
	size_t count = 0;

	pthread_mutex_lock(&registry_lock);
	for (struct driver *driver = registry; driver && count < room; driver = driver->next) {
		if (!driver->entry.recording)
			continue;
		driver->references++;
		drivers[count++] = driver;
	}
	pthread_mutex_unlock(&registry_lock);
	return count;
}

RESPONSECODE driver_recording(struct driver *driver, const char *device, uint64_t *position,
	int timeout_ms, char *text, size_t *length)
{
	DWORD size = *length;
	RESPONSECODE result = driver->entry.recording(device, position, timeout_ms, text, &size);

	*length = size <= *length ? size : 0;
	return result;
}
