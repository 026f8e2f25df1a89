/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile T=1 card. Input: 4 bytes of configuration (IFSC, bit 0 CRC, longest block, length of the
 * command), then the card's answers, each with a byte that says how it is given: 255 mute, 254 parity
 * error, bit 7 an EDC made right, bits 0 to 6 the length.
 */
#include "iso7816/t1.h"

#include <stdlib.h>
#include <string.h>

static void require(int condition)
{
	if (!condition)
		abort();
}

struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static struct t1_step answer(struct t1 *t1, struct input *in, enum edc edc)
{
	uint8_t block[128 + 3] = { 0 };
	uint8_t how = take(in);
	size_t n = how & 0x7F;

	if (how == 255)
		return t1_no_answer(t1);
	if (how == 254)
		return t1_parity_error(t1);
	for (size_t i = 0; i < n; i++)
		block[i] = take(in);
	if (how & 0x80 && n >= 3) {
		block[2] = (uint8_t)(n - 3);
		edc_append(edc, block, n);
		n += edc_size(edc);
	}
	/* Exact size, so that a read beyond the end is seen. */
	uint8_t *exact = malloc(n ? n : 1);
	require(exact != NULL);
	memcpy(exact, block, n);
	require(t1_missing(t1, exact, n) <= 3 + 254 + 2);
	struct t1_step step = t1_block_received(t1, exact, n);
	free(exact);
	return step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t command[256];
	struct input in = { data, size };
	struct t1_config config = {
		.ifsc = take(&in), .edc = take(&in) & 1 ? EDC_CRC : EDC_LRC, .max_block = take(&in)
	};
	size_t len = take(&in);
	uint8_t *response = malloc(40);
	struct t1 t1;

	require(response != NULL);
	t1_init(&t1, &config);
	struct t1_step step = t1_ifsd_request(&t1, 254);
	/* The IFSD request, then commands as long as there is input and the card is alive. */
	do {
		while (step.action == T1_SEND) {
			require(step.len >= 4 && step.len <= T1_MAX_BLOCK && step.wtx >= 1);
			require(edc_ok(config.edc, step.block, step.len));
			/* With no input left the card is mute: an end without help. */
			if (in.left > 0)
				step = answer(&t1, &in, config.edc);
			else
				step = t1_no_answer(&t1);
		}
		require(step.action != T1_DONE || step.rsp_len <= 40);
		require(step.action != T1_TOO_LONG || step.rsp_len > 40);
		step = t1_begin(&t1, command, len, response, 40);
	} while (in.left > 0 && step.action == T1_SEND);
	free(response);
	return 0;
}
