/* SPDX-License-Identifier: BSD-3-Clause */
/* A recording from anybody as a reader, whose host says what is in it, and then something else. */
#include <stdlib.h>
#include <string.h>

#include "vreader/replay/replay.h"

static void woken(void *ctx)
{
	(void)ctx;
}

static void sent(void *ctx, const struct replay_answer *answer)
{
	size_t *sum = ctx;

	for (size_t i = 0; i < answer->len; i++)
		*sum += answer->bytes[i];
}

static void play(struct replay *replay, const struct script *script)
{
	uint8_t answer[512];
	size_t sum = 0;

	for (size_t i = 0; i < script->count; i++) {
		const struct recording_entry *entry = &script->steps[i].entry;

		if (entry->kind == RECORDING_OUT)
			replay_bulk_out(replay, entry->data, entry->len, true, sent, &sum);
		else if (entry->kind == RECORDING_CONTROL)
			replay_control(replay, entry->setup, entry->data, entry->len, answer,
				sizeof(answer));
		else if (entry->kind == RECORDING_EVENT && replay_event_due(replay))
			replay_event(replay, answer, sizeof(answer));
	}
	memset(answer, 0x65, sizeof(answer));
	replay_bulk_out(replay, answer, sizeof(answer), false, sent, &sum);
	replay_bulk_out(replay, answer, 3, true, sent, &sum);
	replay_finish(replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct script script;
	char why[512];

	if (script_read(&script, bytes, size, why, sizeof(why))) {
		struct replay *replay = replay_new(&script, false, woken, NULL, why, sizeof(why));

		if (replay)
			play(replay, &script);
		replay_free(replay);
	}
	script_free(&script);
	return 0;
}
