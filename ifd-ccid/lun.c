/* SPDX-License-Identifier: BSD-3-Clause */
#include "lun.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/contactless/contactless_slot.h"
#include "log.h"

struct lun {
	DWORD number;
	struct slot slot;
	pthread_mutex_t turn;
	unsigned users; /* between hold or enter and drop or leave */
	bool closing;
	struct lun *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the list, users, closing */
static pthread_cond_t unused = PTHREAD_COND_INITIALIZER; /* users became 0 */
static struct lun *luns;

static struct lun *find(DWORD number)
{
	struct lun *lun = luns;

	while (lun && lun->number != number)
		lun = lun->next;
	return lun;
}

/* Another slot of the same reader number under the same name. */
static struct lun *find_sibling(DWORD number, const char *name)
{
	struct lun *lun = luns;

	while (lun && (lun->closing || lun->number >> 16 != number >> 16 ||
			      strcmp(device_name(lun->slot.device), name) != 0))
		lun = lun->next;
	return lun;
}

/* The device for this Lun, with a reference; NULL after one error line. */
static struct device *device_for(DWORD number, const char *name)
{
	struct device *device = NULL;
	struct lun *sibling;

	pthread_mutex_lock(&lock);
	sibling = find_sibling(number, name);
	if (sibling)
		device = device_ref(sibling->slot.device);
	pthread_mutex_unlock(&lock);
	return device ? device : device_open(name);
}

static struct lun *lun_new(DWORD number, struct device *device)
{
	unsigned slot = number & 0xFFFF;
	struct lun *lun;

	if (slot >= device_interface(device)->ccid.slots) {
		log_line(LOG_ERROR, "device %s: no slot %u", device_name(device), slot);
		return NULL;
	}
	lun = calloc(1, sizeof(*lun));
	if (!lun || !device_slot_open(device, slot)) {
		free(lun);
		return NULL;
	}
	lun->number = number;
	lun->slot.device = device;
	lun->slot.number = slot;
	lun->slot.protocol = SLOT_NO_PROTOCOL;
	lun->slot.client = SLOT_NO_CLIENT;
	if (!contactless_slot_open(&lun->slot)) {
		free(lun);
		return NULL;
	}
	pthread_mutex_init(&lun->turn, NULL);
	return lun;
}

RESPONSECODE lun_open(DWORD number, const char *name)
{
	struct device *device;
	struct lun *lun;
	bool taken;

	pthread_mutex_lock(&lock);
	taken = find(number) != NULL;
	pthread_mutex_unlock(&lock);
	if (taken) {
		log_line(LOG_ERROR, "Lun %lX is already open", number);
		return IFD_COMMUNICATION_ERROR;
	}
	device = device_for(number, name);
	if (!device)
		return IFD_NO_SUCH_DEVICE;
	lun = lun_new(number, device);
	if (!lun) {
		device_unref(device);
		return IFD_COMMUNICATION_ERROR;
	}
	pthread_mutex_lock(&lock);
	lun->next = luns;
	luns = lun;
	pthread_mutex_unlock(&lock);
	return IFD_SUCCESS;
}

RESPONSECODE lun_close(DWORD number)
{
	struct lun **link = &luns;
	struct lun *lun;

	pthread_mutex_lock(&lock);
	lun = find(number);
	if (!lun || lun->closing) {
		pthread_mutex_unlock(&lock);
		return IFD_COMMUNICATION_ERROR;
	}
	lun->closing = true;
	while (lun->users > 0) {
		device_abort(lun->slot.device, lun->slot.number);
		device_stop_poll(lun->slot.device, lun->slot.number);
		pthread_cond_wait(&unused, &lock);
	}
	while (*link != lun)
		link = &(*link)->next;
	*link = lun->next;
	pthread_mutex_unlock(&lock);
	if (device_powered(lun->slot.device, lun->slot.number)) {
		slot_call_begin(&lun->slot);
		device_set_powered(lun->slot.device, lun->slot.number, false);
		ccid_power_off(&lun->slot);
		slot_call_end(&lun->slot);
	}
	contactless_slot_close(&lun->slot);
	device_unref(lun->slot.device);
	pthread_mutex_destroy(&lun->turn);
	free(lun);
	return IFD_SUCCESS;
}

static struct lun *hold(DWORD number)
{
	struct lun *lun;

	pthread_mutex_lock(&lock);
	lun = find(number);
	if (lun && lun->closing)
		lun = NULL;
	if (lun)
		lun->users++;
	pthread_mutex_unlock(&lock);
	return lun;
}

struct slot *lun_hold(DWORD number)
{
	struct lun *lun = hold(number);

	return lun ? &lun->slot : NULL;
}

void lun_drop(DWORD number)
{
	struct lun *lun;

	pthread_mutex_lock(&lock);
	lun = find(number);
	if (lun && --lun->users == 0)
		pthread_cond_broadcast(&unused);
	pthread_mutex_unlock(&lock);
}

struct slot *lun_enter(DWORD number)
{
	struct lun *lun = hold(number);
	bool closing;

	if (!lun)
		return NULL;
	pthread_mutex_lock(&lun->turn);
	pthread_mutex_lock(&lock);
	closing = lun->closing;
	pthread_mutex_unlock(&lock);
	if (closing) {
		pthread_mutex_unlock(&lun->turn);
		lun_drop(number);
		return NULL;
	}
	slot_call_begin(&lun->slot);
	return &lun->slot;
}

void lun_leave(DWORD number)
{
	struct lun *lun;

	pthread_mutex_lock(&lock);
	lun = find(number);
	pthread_mutex_unlock(&lock);
	slot_call_end(&lun->slot);
	pthread_mutex_unlock(&lun->turn);
	lun_drop(number);
}
