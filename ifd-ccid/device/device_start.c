/* SPDX-License-Identifier: BSD-3-Clause */
/* What a reader needs before its first command, as quirk files say. */
#include "device_private.h"

#include <stdlib.h>
#include <string.h>

#include "ifd-ccid/deadline.h"
#include "ifd-ccid/log.h"
#include "ifd-ccid/quirk/quirk_apply.h"

enum {
	ESCAPE_MS = 5000,
	FIRMWARE_MAX = 64,
};

static enum ccid_result escape(
	struct device *device, const uint8_t *bytes, size_t len, struct ccid_answer *answer)
{
	struct ccid_command command = { .type = PC_to_RDR_Escape, .data = bytes, .len = len };
	struct ccid_patience patience = { .timeout_ms = ESCAPE_MS,
		.ceiling_ms = ESCAPE_MS,
		.end = deadline_in_ms(INT64_C(2) * ESCAPE_MS) };

	if (len > device->interface.ccid.max_message - CCID_MSG_HEADER_SIZE)
		return CCID_LIMIT;
	return device_exchange(device, 0, &command, &patience, false, answer);
}

/* One of init-escape: sent, and its answer looked at. */
static bool accepted(struct device *device, const struct quirk_escape *init)
{
	struct ccid_answer answer = { 0 };
	enum ccid_result result = escape(device, init->bytes, init->len, &answer);

	if (result == CCID_OK && answer.len >= init->answer_len &&
		(init->answer_len == 0 || memcmp(answer.data, init->answer, init->answer_len) == 0))
		return true;
	log_line(LOG_INFO, "device %s: an Escape of init-escape was not accepted", device->name);
	return false;
}

static bool send_all(
	struct device *device, const struct quirk_escapes *escapes, const char *language)
{
	bool ok = true;

	for (size_t i = 0; i < escapes->count; i++)
		if (strcmp(escapes->list[i].language, language) == 0)
			ok = accepted(device, &escapes->list[i]) && ok;
	return ok;
}

/* The language of LANG if there are texts in it, else English. */
static void choose_language(const struct quirk_escapes *escapes, char language[3])
{
	const char *lang = getenv("LANG");

	memcpy(language, "en", 3);
	for (size_t i = 0; lang && i < escapes->count; i++)
		if (strncmp(escapes->list[i].language, lang, 2) == 0)
			memcpy(language, escapes->list[i].language, 2);
}

/* Asks for the firmware's name, and looks at the quirk files again when they care. */
static void ask_firmware(struct device *device)
{
	struct quirk_bytes question = device->quirks.firmware_escape;
	char firmware[FIRMWARE_MAX];
	struct ccid_answer answer;
	size_t len;

	if (!device->wants_firmware || question.len == 0 ||
		escape(device, question.bytes, question.len, &answer) != CCID_OK)
		return;
	len = answer.len < FIRMWARE_MAX - 1 ? answer.len : FIRMWARE_MAX - 1;
	for (size_t i = 0; i < len; i++)
		firmware[i] = (char)(answer.data[i] >= ' ' && answer.data[i] < 0x7F ? answer.data[i]
										    : '.');
	firmware[len] = '\0';
	device_match_quirks(device, firmware);
}

/* Until the reader has had its time, or is gone. */
static void leave_alone(struct device *device, int64_t ms)
{
	int64_t until = deadline_in_ms(ms);

	pthread_mutex_lock(&device->lock);
	while (!device->gone && deadline_cond_wait(&device->changed, &device->lock, until) == 0)
		continue;
	pthread_mutex_unlock(&device->lock);
}

bool device_begin(struct device *device)
{
	const struct quirk_set *quirks = &device->quirks;
	bool init = quirks->init_escape.count > 0 || quirks->init_escape_language.count > 0;
	bool ok;
	char language[3];

	if (quirks->reset_at_open && port_reset(device->port) == PORT_GONE)
		device_removed(device);
	if (quirks->start_delay)
		leave_alone(device, quirks->start_delay);
	if (!device->wants_firmware && !init)
		return true;
	if (!device_slot_open(device, 0))
		return false;
	ask_firmware(device);
	choose_language(&quirks->init_escape_language, language);
	ok = send_all(device, &quirks->init_escape, "");
	ok = send_all(device, &quirks->init_escape_language, language) && ok;
	if (ok && init && quirks->has[QUIRK_LEVEL_AFTER_INIT])
		quirk_apply_level(quirks->level_after_init, &device->interface);
	if (!ok && quirks->init_required) {
		log_line(LOG_ERROR,
			"device %s: not opened, since it did not accept its init-escape",
			device->name);
		return false;
	}
	return true;
}
