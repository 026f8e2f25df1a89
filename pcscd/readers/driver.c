/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/readers/driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iso7816/secret.h"
#include "pcscd/clock.h"
#include "pcscd/log.h"

#define NAME_SIZE 160 /* a reader's name in the log of APDUs; longer ones are cut there */

/* The entry points, as <ifdhandler.h> declares them. */
struct entry_points {
	RESPONSECODE (*create_by_name)(DWORD, LPSTR);
	RESPONSECODE (*create)(DWORD, DWORD);
	RESPONSECODE (*close)(DWORD);
	RESPONSECODE (*get_capabilities)(DWORD, DWORD, PDWORD, PUCHAR);
	RESPONSECODE (*set_capabilities)(DWORD, DWORD, DWORD, PUCHAR);
	RESPONSECODE (*set_protocol)(DWORD, DWORD, UCHAR, UCHAR, UCHAR, UCHAR);
	RESPONSECODE (*power)(DWORD, DWORD, PUCHAR, PDWORD);
	RESPONSECODE(*transmit)
	(DWORD, SCARD_IO_HEADER, PUCHAR, DWORD, PUCHAR, PDWORD, PSCARD_IO_HEADER);
	RESPONSECODE (*presence)(DWORD);
	RESPONSECODE (*control_v3)(DWORD, DWORD, PUCHAR, DWORD, PUCHAR, DWORD, LPDWORD);
	RESPONSECODE (*control_v2)(DWORD, PUCHAR, DWORD, PUCHAR, PDWORD);
	RESPONSECODE (*recording)(LPCSTR, uint64_t *, int, char *, PDWORD);
};

/* Who must wait for whom: calls of channels with the same lane are made one after the other. */
struct lane {
	pthread_mutex_t busy;
	unsigned references; /* under the driver's lock */
};

enum safety {
	SAFETY_UNKNOWN, /* not asked yet: there was no second device */
	SAFETY_NONE,
	SAFETY_READERS, /* readers may be called at once */
};

struct driver {
	struct driver *next; /* in the list of loaded ones */
	unsigned references; /* under registry_lock */
	int64_t idle_since;  /* ns, while there are no references */
	char *path;
	void *handle;
	int version;
	struct entry_points entry;

	/* Held while a device is opened and it isn't known whether others may be at the same time. */
	pthread_mutex_t opening;

	pthread_mutex_t lock; /* guards what follows; never held over a call */
	pthread_cond_t unpinned;
	enum safety safety;
	struct lane *first_lane;
	struct channel *channels;
};

typedef RESPONSECODE (*poll_function)(DWORD, int);
typedef RESPONSECODE (*stop_function)(DWORD);

struct channel {
	struct channel *next; /* of the same driver, under its lock */
	unsigned pins;        /* under the driver's lock: others that call it just now */
	struct driver *driver;
	struct lane *lane;
	DWORD lun;
	char *device;
	DWORD number;
	poll_function poll;
	stop_function stop;
	bool can_abort;
	bool wants_client;
	bool tell_removed; /* wants TAG_IFD_DEVICE_REMOVED */
	bool secret;       /* the last APDU was; in the channel's turn */
	char name[NAME_SIZE];
};

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
	pthread_cond_destroy(&driver->unpinned);
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
	pthread_cond_init(&driver->unpinned, NULL);
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

static struct lane *lane_new(void)
{
	struct lane *lane = calloc(1, sizeof(*lane));

	if (lane) {
		pthread_mutex_init(&lane->busy, NULL);
		lane->references = 1;
	}
	return lane;
}

/* With the driver's lock held. */
static void lane_unref(struct driver *driver, struct lane *lane)
{
	if (--lane->references)
		return;
	if (driver->first_lane == lane)
		driver->first_lane = NULL;
	pthread_mutex_destroy(&lane->busy);
	free(lane);
}

static void channel_free(struct channel *channel)
{
	struct driver *driver = channel->driver;

	if (channel->lane) {
		pthread_mutex_lock(&driver->lock);
		lane_unref(driver, channel->lane);
		pthread_mutex_unlock(&driver->lock);
	}
	free(channel->device);
	free(channel);
	driver_unref(driver);
}

/* A channel that isn't open yet, without lane. */
static struct channel *channel_new(
	struct driver *driver, DWORD lun, const char *device, DWORD number)
{
	struct channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		return NULL;
	channel->driver = driver_ref(driver);
	channel->lun = lun;
	channel->number = number;
	snprintf(channel->name, sizeof(channel->name), "Lun 0x%lX", lun);
	if (device) {
		channel->device = strdup(device);
		if (!channel->device) {
			channel_free(channel);
			return NULL;
		}
	}
	return channel;
}

/* One that is open and stays so until channel_unpin(); NULL if the driver has none open. */
static struct channel *pin_any(struct driver *driver)
{
	struct channel *channel;

	pthread_mutex_lock(&driver->lock);
	channel = driver->channels;
	if (channel)
		channel->pins++;
	pthread_mutex_unlock(&driver->lock);
	return channel;
}

static void channel_unpin(struct channel *channel)
{
	struct driver *driver = channel->driver;

	pthread_mutex_lock(&driver->lock);
	channel->pins--;
	pthread_cond_broadcast(&driver->unpinned);
	pthread_mutex_unlock(&driver->lock);
}

/* Asks an open channel of the driver, if there is one, whether readers may be called at once. */
static enum safety driver_safety(struct driver *driver)
{
	enum safety safety;
	struct channel *other;

	pthread_mutex_lock(&driver->lock);
	safety = driver->safety;
	pthread_mutex_unlock(&driver->lock);
	if (safety != SAFETY_UNKNOWN)
		return safety;
	other = pin_any(driver);
	if (!other)
		return SAFETY_UNKNOWN;
	safety = driver_get_byte(other, TAG_IFD_THREAD_SAFE, 0) == 1 ? SAFETY_READERS : SAFETY_NONE;
	pthread_mutex_lock(&driver->lock);
	driver->safety = safety;
	pthread_mutex_unlock(&driver->lock);
	channel_unpin(other);
	return safety;
}

/* The lane of a new device: the driver's first one, or its own if the driver is thread safe. */
static bool choose_lane(struct channel *channel, enum safety safety)
{
	struct driver *driver = channel->driver;

	pthread_mutex_lock(&driver->lock);
	if (safety == SAFETY_READERS || !driver->first_lane) {
		channel->lane = lane_new();
		if (!driver->first_lane)
			driver->first_lane = channel->lane;
	} else {
		channel->lane = driver->first_lane;
		channel->lane->references++;
	}
	pthread_mutex_unlock(&driver->lock);
	return channel->lane != NULL;
}

static void enter(struct channel *channel)
{
	pthread_mutex_lock(&channel->lane->busy);
	log_about_reader(channel->name);
}

static void leave(struct channel *channel)
{
	log_about_reader(NULL);
	pthread_mutex_unlock(&channel->lane->busy);
}

static RESPONSECODE create(struct channel *channel)
{
	const struct entry_points *entry = &channel->driver->entry;
	RESPONSECODE result;

	enter(channel);
	if (channel->device && entry->create_by_name)
		result = entry->create_by_name(channel->lun, channel->device);
	else
		result = entry->create(channel->lun, channel->number);
	leave(channel);
	return result;
}

/* A function that the driver hands out by a tag; true if *function was set. */
static bool ask_function(struct channel *channel, DWORD tag, void *function, size_t size)
{
	void *value = NULL;
	size_t length = sizeof(value);

	if (driver_get_capability(channel, tag, &value, &length) != IFD_SUCCESS || length != size ||
		!value)
		return false;
	memcpy(function, &value, size);
	return true;
}

/* Opens a channel that has its lane, and asks what the calls outside the lane need to know. */
static RESPONSECODE channel_open(struct channel *channel)
{
	struct driver *driver = channel->driver;
	RESPONSECODE result = create(channel);

	if (result != IFD_SUCCESS)
		return result;
	ask_function(channel, TAG_IFD_POLLING_THREAD_WITH_TIMEOUT, &channel->poll,
		sizeof(channel->poll));
	ask_function(channel, TAG_IFD_STOP_POLLING_THREAD, &channel->stop, sizeof(channel->stop));
	channel->can_abort = driver_get_byte(channel, TAG_IFD_CARDWIRE_ABORT, 0) == 1;
	channel->wants_client = driver_get_byte(channel, TAG_IFD_CARDWIRE_CLIENT, 0) == 1;
	channel->tell_removed = driver_get_byte(channel, TAG_IFD_DEVICE_REMOVED, 0) == 1;
	pthread_mutex_lock(&driver->lock);
	channel->next = driver->channels;
	driver->channels = channel;
	pthread_mutex_unlock(&driver->lock);
	return IFD_SUCCESS;
}

RESPONSECODE driver_open(
	struct driver *driver, DWORD lun, const char *device, DWORD number, struct channel **opened)
{
	struct channel *channel = channel_new(driver, lun, device, number);
	RESPONSECODE result = IFD_COMMUNICATION_ERROR;
	enum safety safety;

	if (!channel)
		return IFD_COMMUNICATION_ERROR;
	pthread_mutex_lock(&driver->opening);
	safety = driver_safety(driver);
	if (safety != SAFETY_UNKNOWN)
		pthread_mutex_unlock(&driver->opening);
	if (choose_lane(channel, safety))
		result = channel_open(channel);
	if (safety == SAFETY_UNKNOWN)
		pthread_mutex_unlock(&driver->opening);
	if (result == IFD_SUCCESS)
		*opened = channel;
	else
		channel_free(channel);
	return result;
}

RESPONSECODE driver_open_slot(struct channel *first, DWORD lun, struct channel **opened)
{
	struct driver *driver = first->driver;
	struct channel *channel = channel_new(driver, lun, first->device, first->number);
	bool apart = driver_get_byte(first, TAG_IFD_SLOT_THREAD_SAFE, 0) == 1;
	RESPONSECODE result = IFD_COMMUNICATION_ERROR;

	if (!channel)
		return IFD_COMMUNICATION_ERROR;
	pthread_mutex_lock(&driver->lock);
	if (apart) {
		channel->lane = lane_new();
	} else {
		channel->lane = first->lane;
		channel->lane->references++;
	}
	pthread_mutex_unlock(&driver->lock);
	if (channel->lane)
		result = channel_open(channel);
	if (result == IFD_SUCCESS)
		*opened = channel;
	else
		channel_free(channel);
	return result;
}

void driver_close(struct channel *channel)
{
	struct driver *driver;
	struct channel **link;

	if (!channel)
		return;
	driver = channel->driver;
	pthread_mutex_lock(&driver->lock);
	for (link = &driver->channels; *link != channel; link = &(*link)->next)
		;
	*link = channel->next;
	while (channel->pins)
		pthread_cond_wait(&driver->unpinned, &driver->lock);
	pthread_mutex_unlock(&driver->lock);
	enter(channel);
	driver->entry.close(channel->lun);
	leave(channel);
	channel_free(channel);
}

DWORD driver_lun(const struct channel *channel)
{
	return channel->lun;
}

const char *driver_device(const struct channel *channel)
{
	return channel->device;
}

struct driver *driver_of(const struct channel *channel)
{
	return channel->driver;
}

void driver_set_name(struct channel *channel, const char *name)
{
	snprintf(channel->name, sizeof(channel->name), "%s", name);
}

/* A driver that claims more bytes than there was room for has written beyond the buffer. */
static bool fits(const struct channel *channel, const char *what, DWORD length, size_t room)
{
	if (length <= room)
		return true;
	log_line(PCSC_LOG_CRITICAL, "%s: the driver %s returned %lu bytes of %s where %zu fit",
		channel->name, channel->driver->path, length, what, room);
	return false;
}

RESPONSECODE driver_presence(struct channel *channel)
{
	RESPONSECODE result;

	enter(channel);
	result = channel->driver->entry.presence(channel->lun);
	leave(channel);
	return result == IFD_SUCCESS ? IFD_ICC_PRESENT : result;
}

RESPONSECODE driver_power(
	struct channel *channel, DWORD action, uint8_t atr[MAX_ATR_SIZE], size_t *atr_length)
{
	DWORD length = MAX_ATR_SIZE;
	RESPONSECODE result;

	*atr_length = 0;
	memset(atr, 0, MAX_ATR_SIZE);
	enter(channel);
	result = channel->driver->entry.power(channel->lun, action, atr, &length);
	leave(channel);
	if (result != IFD_SUCCESS || action == IFD_POWER_DOWN)
		return result;
	if (!fits(channel, "ATR", length, MAX_ATR_SIZE))
		return IFD_COMMUNICATION_ERROR;
	*atr_length = length;
	return IFD_SUCCESS;
}

RESPONSECODE driver_set_protocol(struct channel *channel, DWORD protocol)
{
	RESPONSECODE result;

	if (!channel->driver->entry.set_protocol)
		return IFD_NOT_SUPPORTED;
	enter(channel);
	result = channel->driver->entry.set_protocol(channel->lun, protocol, 0, 0, 0, 0);
	leave(channel);
	return result;
}

RESPONSECODE driver_transmit(struct channel *channel, DWORD protocol, const uint8_t *tx,
	size_t tx_length, uint8_t *rx, size_t *rx_length)
{
	SCARD_IO_HEADER send = { .Protocol = protocol, .Length = sizeof(send) };
	SCARD_IO_HEADER receive = send;
	DWORD length = *rx_length;
	RESPONSECODE result;

	channel->secret = secret_exchange(channel->secret, tx, tx_length);
	log_apdu(channel->name, tx, tx_length, channel->secret);
	enter(channel);
	/* The interface has no const; drivers don't write to the command. */
	result = channel->driver->entry.transmit(
		channel->lun, send, (PUCHAR)tx, tx_length, rx, &length, &receive);
	leave(channel);
	if (result == IFD_SUCCESS && !fits(channel, "answer", length, *rx_length))
		result = IFD_COMMUNICATION_ERROR;
	*rx_length = result == IFD_SUCCESS ? length : 0;
	if (result == IFD_SUCCESS)
		log_answer(channel->name, rx, length, channel->secret);
	return result;
}

RESPONSECODE driver_control(struct channel *channel, DWORD code, const uint8_t *tx,
	size_t tx_length, uint8_t *rx, size_t *rx_length)
{
	const struct entry_points *entry = &channel->driver->entry;
	PUCHAR command = (PUCHAR)tx;
	DWORD length = 0;
	RESPONSECODE result;

	enter(channel);
	if (entry->control_v3) {
		result = entry->control_v3(
			channel->lun, code, command, tx_length, rx, *rx_length, &length);
	} else {
		length = *rx_length;
		result = entry->control_v2(channel->lun, command, tx_length, rx, &length);
	}
	leave(channel);
	if (result == IFD_SUCCESS && !fits(channel, "answer", length, *rx_length))
		result = IFD_COMMUNICATION_ERROR;
	*rx_length = result == IFD_SUCCESS ? length : 0;
	return result;
}

RESPONSECODE driver_get_capability(struct channel *channel, DWORD tag, void *value, size_t *length)
{
	DWORD size = *length;
	RESPONSECODE result;

	enter(channel);
	result = channel->driver->entry.get_capabilities(channel->lun, tag, &size, value);
	leave(channel);
	if (result == IFD_SUCCESS && !fits(channel, "capability", size, *length))
		result = IFD_COMMUNICATION_ERROR;
	*length = result == IFD_SUCCESS ? size : 0;
	return result;
}

unsigned driver_get_byte(struct channel *channel, DWORD tag, unsigned fallback)
{
	uint8_t value = 0;
	size_t length = sizeof(value);

	if (driver_get_capability(channel, tag, &value, &length) != IFD_SUCCESS || length != 1)
		return fallback;
	return value;
}

RESPONSECODE driver_set_capability(
	struct channel *channel, DWORD tag, const void *value, size_t length)
{
	return channel->driver->entry.set_capabilities(channel->lun, tag, length, (PUCHAR)value);
}

bool driver_can_poll(const struct channel *channel)
{
	return channel->poll != NULL;
}

RESPONSECODE driver_poll(struct channel *channel, int timeout_ms)
{
	return channel->poll ? channel->poll(channel->lun, timeout_ms) : IFD_NOT_SUPPORTED;
}

RESPONSECODE driver_stop_poll(struct channel *channel)
{
	return channel->stop ? channel->stop(channel->lun) : IFD_NOT_SUPPORTED;
}

bool driver_poll_killable(struct channel *channel)
{
	return driver_get_byte(channel, TAG_IFD_POLLING_THREAD_KILLABLE, 0) == 1;
}

bool driver_can_abort(const struct channel *channel)
{
	return channel->can_abort;
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

RESPONSECODE driver_abort(struct channel *channel)
{
	uint8_t now = 1;

	if (!channel->can_abort)
		return IFD_NOT_SUPPORTED;
	return driver_set_capability(channel, TAG_IFD_CARDWIRE_ABORT, &now, sizeof(now));
}

void driver_set_client(struct channel *channel, bool root)
{
	uint8_t value = root;

	if (channel->wants_client)
		driver_set_capability(channel, TAG_IFD_CARDWIRE_CLIENT, &value, sizeof(value));
}

void driver_device_removed(struct channel *channel)
{
	uint8_t removed = 1;

	if (channel->tell_removed)
		driver_set_capability(channel, TAG_IFD_DEVICE_REMOVED, &removed, sizeof(removed));
}
