/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/replay/replay_host.h"

#include <dlfcn.h>
#include <ifdhandler.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOTS_MAX = 256,
};

struct entry_points {
	RESPONSECODE (*create)(DWORD, LPSTR);
	RESPONSECODE (*close)(DWORD);
	RESPONSECODE (*power)(DWORD, DWORD, PUCHAR, PDWORD);
	RESPONSECODE (*set_protocol)(DWORD, DWORD, UCHAR, UCHAR, UCHAR, UCHAR);
	RESPONSECODE(*transmit)
	(DWORD, SCARD_IO_HEADER, PUCHAR, DWORD, PUCHAR, PDWORD, PSCARD_IO_HEADER);
	RESPONSECODE (*control)(DWORD, DWORD, PUCHAR, DWORD, PUCHAR, DWORD, LPDWORD);
	RESPONSECODE (*presence)(DWORD);
};

static const struct {
	const char *name;
	size_t offset;
} symbols[] = {
	{ "IFDHCreateChannelByName", offsetof(struct entry_points, create) },
	{ "IFDHCloseChannel", offsetof(struct entry_points, close) },
	{ "IFDHPowerICC", offsetof(struct entry_points, power) },
	{ "IFDHSetProtocolParameters", offsetof(struct entry_points, set_protocol) },
	{ "IFDHTransmitToICC", offsetof(struct entry_points, transmit) },
	{ "IFDHControl", offsetof(struct entry_points, control) },
	{ "IFDHICCPresence", offsetof(struct entry_points, presence) },
};

struct slot_thread {
	struct replay_host *host;
	unsigned slot;
	pthread_t thread;
	bool started;
};

struct replay_host {
	struct replay *replay;
	void *library;
	struct entry_points entry;
	char *device;
	void (*done)(void *ctx);
	void *ctx;
	pthread_t thread;
	bool used[SLOTS_MAX];
	struct slot_thread slots[SLOTS_MAX];
};

/* Makes the call; what came of it is in *got and in `answer`, RECORDING_DATA_MAX bytes. */
static void make_call(const struct replay_host *host, const struct recording_entry *call,
	struct recording_entry *got, uint8_t *answer)
{
	SCARD_IO_HEADER send = { .Protocol = call->value, .Length = sizeof(send) };
	SCARD_IO_HEADER receive = send;
	DWORD length = RECORDING_DATA_MAX;
	DWORD lun = call->slot;
	PUCHAR data = (PUCHAR)call->data;
	RESPONSECODE rv = IFD_SUCCESS;

	switch (call->call) {
	case RECORDING_POWER:
		length = MAX_ATR_SIZE;
		rv = host->entry.power(lun, call->value, answer, &length);
		break;
	case RECORDING_PROTOCOL:
		rv = host->entry.set_protocol(lun, call->value, 0, 0, 0, 0);
		length = 0;
		break;
	case RECORDING_TRANSMIT:
		rv = host->entry.transmit(lun, send, data, call->len, answer, &length, &receive);
		break;
	case RECORDING_CONTROL_CALL:
		rv = host->entry.control(
			lun, call->value, data, call->len, answer, length, &length);
		break;
	case RECORDING_PRESENCE:
		rv = host->entry.presence(lun);
		length = 0;
		break;
	default:
		length = 0;
		break;
	}
	got->value = (uint64_t)rv;
	got->len = length <= RECORDING_DATA_MAX ? (uint32_t)length : 0;
}

static void *slot_main(void *arg)
{
	struct slot_thread *slot = arg;
	struct replay *replay = slot->host->replay;
	uint8_t *answer = malloc(RECORDING_DATA_MAX);
	size_t call;

	while (answer && replay_next_call(replay, slot->slot, &call) && call != SCRIPT_NONE) {
		struct recording_entry got = { .kind = RECORDING_RETURN, .data = answer };

		make_call(slot->host, &replay_script(replay)->steps[call].entry, &got, answer);
		if (!replay_returned(replay, call, &got))
			break;
	}
	free(answer);
	return NULL;
}

static bool open_slots(struct replay_host *host)
{
	char why[128];

	for (unsigned i = 0; i < SLOTS_MAX; i++) {
		if (!host->used[i] || host->entry.create(i, host->device) == IFD_SUCCESS)
			continue;
		host->used[i] = false;
		snprintf(why, sizeof(why), "the driver does not open slot %u of this device", i);
		replay_fail(host->replay, why);
		return false;
	}
	return true;
}

static void run_slots(struct replay_host *host)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++) {
		struct slot_thread *slot = &host->slots[i];

		if (!host->used[i])
			continue;
		*slot = (struct slot_thread){ .host = host, .slot = i };
		slot->started = pthread_create(&slot->thread, NULL, slot_main, slot) == 0;
		if (!slot->started)
			replay_fail(host->replay, "no thread for a slot");
	}
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (host->slots[i].started)
			pthread_join(host->slots[i].thread, NULL);
}

static void *host_main(void *arg)
{
	struct replay_host *host = arg;

	if (open_slots(host)) {
		replay_opened(host->replay);
		run_slots(host);
	}
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (host->used[i])
			host->entry.close(i);
	replay_finish(host->replay);
	host->done(host->ctx);
	return NULL;
}

/* Slots that are called, and 0, which is opened in any case. */
static void find_slots(struct replay_host *host)
{
	const struct script *script = replay_script(host->replay);

	host->used[0] = true;
	for (size_t i = 0; i < script->count; i++)
		if (script->steps[i].entry.kind == RECORDING_CALL &&
			script->steps[i].entry.slot < SLOTS_MAX)
			host->used[script->steps[i].entry.slot] = true;
}

static bool bind_driver(struct replay_host *host, const char *path, char *why, size_t why_size)
{
	host->library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!host->library) {
		snprintf(why, why_size, "%s", dlerror());
		return false;
	}
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *found = dlsym(host->library, symbols[i].name);

		if (!found) {
			snprintf(why, why_size, "%s: lacks %s", path, symbols[i].name);
			return false;
		}
		memcpy((char *)&host->entry + symbols[i].offset, &found, sizeof(found));
	}
	return true;
}

static void free_host(struct replay_host *host)
{
	if (host->library)
		dlclose(host->library);
	free(host->device);
	free(host);
}

struct replay_host *replay_host_start(struct replay *replay, const char *driver, const char *device,
	void (*done)(void *ctx), void *ctx, char *why, size_t why_size)
{
	struct replay_host *host = calloc(1, sizeof(*host));

	snprintf(why, why_size, "out of memory");
	if (!host)
		return NULL;
	host->replay = replay;
	host->done = done;
	host->ctx = ctx;
	host->device = strdup(device);
	find_slots(host);
	if (host->device && bind_driver(host, driver, why, why_size) &&
		pthread_create(&host->thread, NULL, host_main, host) == 0)
		return host;
	free_host(host);
	return NULL;
}

void replay_host_join(struct replay_host *host)
{
	if (!host)
		return;
	pthread_join(host->thread, NULL);
	free_host(host);
}
