/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile T=0 card under the APDU mapping. Input: length of the APDU (two bytes, high first), the
 * APDU, then what the card sends. Bytes are handed on in pieces as expected.
 */
#include "iso7816/t0.h"
#include "iso7816/t0_apdu.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 300

static void require(int condition)
{
	if (!condition)
		abort();
}

struct input {
	const uint8_t *at;
	size_t left;
};

/* One TPDU; false when the card failed it. */
static int exchange(struct input *in, const struct t0_apdu_step *wish, uint8_t *answer, size_t *n)
{
	struct t0 t0;
	struct t0_step step = t0_begin(&t0, wish->tpdu, wish->len, answer, T0_MAX_RESPONSE);

	while (step.action == T0_EXCHANGE) {
		require(step.expect >= 1 && step.expect <= T0_MAX_RESPONSE && step.send_len <= 255);
		size_t piece = step.expect < in->left ? step.expect : in->left;
		step = t0_received(&t0, in->at, piece);
		in->at += piece;
		in->left -= piece;
	}
	*n = step.rsp_len;
	return step.action == T0_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t len = (size_t)(data[0] << 8 | data[1]);
	struct input in = { data + 2, size - 2 };
	if (len > in.left)
		len = in.left;
	uint8_t *apdu = malloc(len ? len : 1);
	uint8_t *response = malloc(ROOM);
	uint8_t answer[T0_MAX_RESPONSE];
	struct t0_apdu mapping;

	require(apdu != NULL && response != NULL);
	memcpy(apdu, in.at, len);
	in.at += len;
	in.left -= len;
	struct t0_apdu_step step = t0_apdu_begin(&mapping, T0_MAPPED, apdu, len, response, ROOM);
	while (step.action == T0_APDU_SEND) {
		size_t n;
		if (!exchange(&in, &step, answer, &n))
			break;
		require(n >= 2);
		step = t0_apdu_answer(&mapping, answer, n);
	}
	require(step.action != T0_APDU_DONE || step.rsp_len <= ROOM);
	free(apdu);
	free(response);
	return 0;
}
