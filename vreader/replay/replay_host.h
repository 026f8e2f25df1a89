/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host of a replay: loads a driver (an IFD handler) and makes the calls that were recorded, one
 * thread a slot, and compares what they return.
 */
#ifndef CARDWIRE_VREADER_REPLAY_HOST_H
#define CARDWIRE_VREADER_REPLAY_HOST_H

#include "vreader/replay/replay.h"

struct replay_host;

/*
 * Opens DEVICE with the driver at that path, in a thread, and goes through the calls. `replay` is
 * borrowed, and told of what fails. DONE is called from that thread when all is over, the device
 * closed. NULL with an explanation in why.
 */
struct replay_host *replay_host_start(struct replay *replay, const char *driver, const char *device,
	void (*done)(void *ctx), void *ctx, char *why, size_t why_size);

/* Waits for its end and frees it. NULL is allowed. */
void replay_host_join(struct replay_host *host);

#endif
