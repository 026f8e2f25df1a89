/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second opinion on share.h, for tests: the same rules written down as plainly as can be, with
 * numbers instead of pointers and a queue that is an array. It shares the declarations of share.h
 * with share.c, and nothing else.
 */
#ifndef CARDWIRE_TESTS_SHARE_MODEL_H
#define CARDWIRE_TESTS_SHARE_MODEL_H

#include "pcscd/cards/share.h"

enum {
	MODEL_HANDLES = 7,
	MODEL_CONNECTS = 4, /* requests of SCardConnect: no handle yet */
	MODEL_SYSTEMS = 3,  /* the daemon's own; the last is the reset after a loss */
	MODEL_FIRST_CONNECT = MODEL_HANDLES,
	MODEL_FIRST_SYSTEM = MODEL_FIRST_CONNECT + MODEL_CONNECTS,
	MODEL_RESET = MODEL_FIRST_SYSTEM + MODEL_SYSTEMS - 1,
	MODEL_REQUESTS = MODEL_FIRST_SYSTEM + MODEL_SYSTEMS,
	NOBODY = -1,
};

/* Request i < MODEL_HANDLES is that of handle i. */
struct model_request {
	unsigned needs;
	uint64_t group;
	int64_t deadline;
	int64_t since;
	bool expired;
};

struct model {
	bool connected[MODEL_HANDLES];
	uint64_t group[MODEL_HANDLES];
	enum share_event event[MODEL_HANDLES];
	struct model_request requests[MODEL_REQUESTS];
	int queue[MODEL_REQUESTS];
	int waiting; /* how many stand in the queue */
	int owner;
	bool exclusive;
	int depth;
	int64_t active;
	int64_t spoken;
	int turn;
	bool recovering;
	bool gone;
	int64_t lease;
};

struct model_outcome {
	int request; /* NOBODY: none */
	uint32_t rv;
};

void model_init(struct model *model, int64_t lease);
int model_count(const struct model *model);
uint32_t model_add(struct model *model, int handle, uint64_t group, bool exclusive, int64_t now);
uint32_t model_may_set_mode(const struct model *model, int handle, bool exclusive);
void model_set_mode(struct model *model, int handle, bool exclusive, int64_t now);
bool model_remove(struct model *model, int handle);
enum share_verdict model_ask(
	struct model *model, int request, const struct model_request *what, int64_t now);
struct model_outcome model_next(struct model *model, int64_t now);
void model_done(struct model *model, int64_t now);
void model_leave(struct model *model, int request);
uint32_t model_end(struct model *model, int handle, int64_t now);
void model_event(struct model *model, enum share_event event, int except);
int64_t model_next_tick(const struct model *model);
int model_tick(struct model *model, int64_t now);

/* Whether nothing is in the way of any of the queue: then somebody was not woken. */
bool model_is_stuck(const struct model *model);

#endif
