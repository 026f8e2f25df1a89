/* SPDX-License-Identifier: BSD-3-Clause */
/* The three functions of CT-API, and the list of terminals that are open. */
#include "libctapi/ctapi.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "libctapi/terminal.h"

#define CTAPI __attribute__((visibility("default")))

/* For the list alone: a terminal is used by one thread at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct terminal *terminals;

/* Where the terminal is in the list; its end: not open. With the lock held. */
static struct terminal **find(unsigned short ctn)
{
	struct terminal **at = &terminals;

	while (*at && (*at)->ctn != ctn)
		at = &(*at)->next;
	return at;
}

static struct terminal *find_locked(unsigned short ctn)
{
	struct terminal *t;

	pthread_mutex_lock(&lock);
	t = *find(ctn);
	pthread_mutex_unlock(&lock);
	return t;
}

/* False: there is one of that number, which was opened meanwhile. */
static bool enter(struct terminal *t)
{
	bool fresh;

	pthread_mutex_lock(&lock);
	fresh = !*find(t->ctn);
	if (fresh) {
		t->next = terminals;
		terminals = t;
	}
	pthread_mutex_unlock(&lock);
	return fresh;
}

CTAPI signed char CT_init(unsigned short ctn, unsigned short pn)
{
	struct terminal *t;
	signed char result;

	if (find_locked(ctn))
		return ERR_INVALID;
	t = calloc(1, sizeof(*t));
	if (!t)
		return ERR_MEMORY;
	t->ctn = ctn;
	result = terminal_open(t, pn ? pn - 1u : 0u);
	if (result == OK && enter(t))
		return OK;
	if (result == OK) {
		terminal_close(t);
		result = ERR_INVALID;
	}
	free(t);
	return result;
}

static signed char to_terminal(struct terminal *t, const uint8_t *command, size_t len,
	uint8_t *response, unsigned short *room)
{
	uint8_t answer[CTBCS_RESPONSE_MAX];
	size_t n = ctbcs_run(t, command, len, answer);

	if (n > *room)
		return ERR_MEMORY;
	memcpy(response, answer, n);
	*room = (unsigned short)n;
	return OK;
}

CTAPI signed char CT_data(unsigned short ctn, unsigned char *dad, unsigned char *sad,
	unsigned short lenc, unsigned char *command, unsigned short *lenr, unsigned char *response)
{
	struct terminal *t = find_locked(ctn);
	signed char result;

	if (!t || !dad || !sad || !command || !lenr || !response)
		return ERR_INVALID;
	if (*dad == CTAPI_CT)
		result = to_terminal(t, command, lenc, response, lenr);
	else if (*dad == CTAPI_ICC1)
		result = terminal_transmit(t, command, lenc, response, lenr);
	else
		return ERR_INVALID;
	if (result != OK) {
		*lenr = 0;
		return result;
	}
	*sad = *dad;
	*dad = CTAPI_HOST;
	return OK;
}

CTAPI signed char CT_close(unsigned short ctn)
{
	struct terminal **at, *t;

	pthread_mutex_lock(&lock);
	at = find(ctn);
	t = *at;
	if (t)
		*at = t->next;
	pthread_mutex_unlock(&lock);
	if (!t)
		return ERR_INVALID;
	terminal_close(t);
	free(t);
	return OK;
}
