/* SPDX-License-Identifier: BSD-3-Clause */
/* Fault scripts as text: the grammar of vreader(1). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/ccid.h"
#include "spec/usb.h"
#include "vreader/firmware/fault_parts.h"
#include "vreader/hex.h"

enum {
	WORDS_MAX = 32,
};

static const struct {
	const char *name;
	uint32_t command;
} messages[] = {
	{ "any", FAULT_ANY_MESSAGE },
	{ "SetParameters", PC_to_RDR_SetParameters },
	{ "IccPowerOn", PC_to_RDR_IccPowerOn },
	{ "IccPowerOff", PC_to_RDR_IccPowerOff },
	{ "GetSlotStatus", PC_to_RDR_GetSlotStatus },
	{ "Secure", PC_to_RDR_Secure },
	{ "T0APDU", PC_to_RDR_T0APDU },
	{ "Escape", PC_to_RDR_Escape },
	{ "GetParameters", PC_to_RDR_GetParameters },
	{ "ResetParameters", PC_to_RDR_ResetParameters },
	{ "IccClock", PC_to_RDR_IccClock },
	{ "XfrBlock", PC_to_RDR_XfrBlock },
	{ "Mechanical", PC_to_RDR_Mechanical },
	{ "Abort", PC_to_RDR_Abort },
	{ "SetDataRateAndClockFrequency", PC_to_RDR_SetDataRateAndClockFrequency },
	{ "NotifySlotChange", RDR_to_PC_NotifySlotChange },
	{ "control.GetDescriptor", FAULT_CONTROL_STANDARD | USB_REQ_GET_DESCRIPTOR },
	{ "control.SetConfiguration", FAULT_CONTROL_STANDARD | USB_REQ_SET_CONFIGURATION },
	{ "control.ClearFeature", FAULT_CONTROL_STANDARD | USB_REQ_CLEAR_FEATURE },
	{ "control.Abort", FAULT_CONTROL_CLASS | CCID_REQ_ABORT },
	{ "control.GetClockFrequencies", FAULT_CONTROL_CLASS | CCID_REQ_GET_CLOCK_FREQUENCIES },
	{ "control.GetDataRates", FAULT_CONTROL_CLASS | CCID_REQ_GET_DATA_RATES },
	{ "control.IccPowerOn", FAULT_CONTROL_CLASS | ICCD_REQ_ICC_POWER_ON },
	{ "control.IccPowerOff", FAULT_CONTROL_CLASS | ICCD_REQ_ICC_POWER_OFF },
	{ "control.XfrBlock", FAULT_CONTROL_CLASS | ICCD_REQ_XFR_BLOCK },
	{ "control.DataBlock", FAULT_CONTROL_CLASS | ICCD_REQ_DATA_BLOCK },
	{ "control.SlotStatus", FAULT_CONTROL_CLASS | ICCD_REQ_SLOT_STATUS_B },
	{ "control.IccStatus", FAULT_CONTROL_CLASS | ICCD_REQ_GET_ICC_STATUS_A },
};

/* Lines for whoever runs the script. */
static const char *const foreign_words[] = { "profile", "protocol", "title", "send", "expect",
	"start" };

static bool parse_number(const char *text, uint32_t max, uint32_t *value)
{
	unsigned long v;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoul(text, &end, 0);
	*value = (uint32_t)v;
	return !*end && !errno && v <= max;
}

/* N, N-M or *. */
static bool parse_which(char *text, struct rule *r)
{
	char *dash = strchr(text, '-');

	if (strcmp(text, "*") == 0) {
		r->from = 1;
		r->to = UINT32_MAX;
		return true;
	}
	if (dash)
		*dash = '\0';
	if (!parse_number(text, UINT32_MAX, &r->from) || r->from == 0)
		return false;
	r->to = r->from;
	return !dash || (parse_number(dash + 1, UINT32_MAX, &r->to) && r->to >= r->from);
}

static bool parse_count(const char *text, uint32_t max, uint32_t *value)
{
	if (strcmp(text, "forever") != 0)
		return parse_number(text, max, value);
	*value = FAULT_FOREVER;
	return true;
}

static bool parse_args(const struct fault_action *a, char **words, size_t count, struct rule *r)
{
	switch (a->arguments) {
	case FAULT_NO_ARGUMENTS:
		return count == 0;
	case FAULT_NUMBER:
		return count == 1 && parse_number(words[0], a->max, &r->args[0]);
	case FAULT_TWO_NUMBERS:
		return count == 2 && parse_number(words[0], a->max, &r->args[0]) &&
		       parse_number(words[1], 255, &r->args[1]);
	case FAULT_COUNT_AND_NUMBER:
		return count == 2 && parse_count(words[0], a->max, &r->args[0]) &&
		       parse_number(words[1], 255, &r->args[1]);
	case FAULT_HEX:
		return count == 1 && hex_parse(words[0], r->bytes, sizeof(r->bytes), &r->len);
	}
	return false;
}

static bool parse_message(const char *word, uint32_t *command)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		if (strcmp(messages[i].name, word) == 0) {
			*command = messages[i].command;
			return true;
		}
	}
	return false;
}

static bool parse_beginning(const char *text, struct beginning *b)
{
	return hex_parse(text, b->bytes, sizeof(b->bytes), &b->len) && b->len > 0;
}

static bool parse_slot(const char *text, struct rule *r)
{
	uint32_t slot = 0;

	r->has_slot = parse_number(text, UINT8_MAX, &slot);
	r->slot = (uint8_t)slot;
	return r->has_slot;
}

/* Takes conditions off the front of the words. False: one is wrong. */
static bool parse_conditions(char ***words, size_t *count, struct rule *r)
{
	while (*count >= 2) {
		const char *argument = (*words)[1];
		uint32_t command = 0;
		bool ok;

		if (strcmp((*words)[0], "if") == 0 && strcmp(argument, "unended") == 0)
			ok = r->if_unended = true;
		else if (strcmp((*words)[0], "until") == 0 && strcmp(argument, "reset") == 0)
			ok = r->until_reset = true;
		else if (strcmp((*words)[0], "to-slot") == 0)
			ok = parse_slot(argument, r);
		else if (strcmp((*words)[0], "if") == 0)
			ok = parse_beginning(argument, &r->with);
		else if (strcmp((*words)[0], "until") == 0)
			ok = parse_beginning(argument, &r->until);
		else if (strcmp((*words)[0], "unless-after") == 0)
			ok = parse_message(argument, &command) && command != FAULT_ANY_MESSAGE &&
			     command < FAULT_CONTROL_STANDARD;
		else
			return true;
		if (!ok)
			return false;
		if (command)
			r->unless_after = (uint8_t)command;
		*words += 2;
		*count -= 2;
	}
	return true;
}

/* words: after "on". NULL when done, else what is wrong. */
static const char *parse_rule(char **words, size_t count, struct rule *r)
{
	const struct fault_action *action;

	if (count < 3)
		return "expected: on MESSAGE WHICH [CONDITION]... ACTION [ARGUMENT]...";
	if (!parse_message(words[0], &r->command))
		return "no such message";
	if (!parse_which(words[1], r))
		return "expected N, N-M or *";
	words += 2;
	count -= 2;
	if (!parse_conditions(&words, &count, r))
		return "wrong condition";
	action = count ? fault_action_named(words[0]) : NULL;
	if (!action)
		return "no such action";
	if (r->command >= FAULT_CONTROL_STANDARD && !action->control)
		return "that action is not for the control pipe";
	r->action = action;
	return parse_args(action, words + 1, count - 1, r) ? NULL : "wrong arguments";
}

static bool is_foreign(const char *word)
{
	for (size_t i = 0; i < sizeof(foreign_words) / sizeof(foreign_words[0]); i++)
		if (strcmp(foreign_words[i], word) == 0)
			return true;
	return false;
}

/* NULL when the line is right; it may be changed. */
static const char *parse_line(char *line, struct rule ***tail)
{
	char *words[WORDS_MAX], *save = NULL;
	const char *wrong;
	struct rule *r;
	size_t count = 0;

	for (char *w = strtok_r(line, " \t\r\n", &save); w && count < WORDS_MAX;
		w = strtok_r(NULL, " \t\r\n", &save))
		words[count++] = w;
	if (count == 0 || words[0][0] == '#' || is_foreign(words[0]))
		return NULL;
	if (strcmp(words[0], "on") != 0)
		return "no such statement";
	r = calloc(1, sizeof(*r));
	if (!r)
		return "out of memory";
	wrong = parse_rule(words + 1, count - 1, r);
	if (wrong) {
		free(r);
		return wrong;
	}
	**tail = r;
	*tail = &r->next;
	return NULL;
}

static const char *parse_file(FILE *f, struct fault_script *script, unsigned *line_number)
{
	struct rule **tail = &script->rules;
	const char *wrong = NULL;
	char *line = NULL;
	size_t size = 0;

	while (!wrong && getline(&line, &size, f) >= 0) {
		++*line_number;
		wrong = parse_line(line, &tail);
	}
	free(line);
	return wrong;
}

struct fault_script *fault_load(const char *path, char *why, size_t why_size)
{
	struct fault_script *script = calloc(1, sizeof(*script));
	FILE *f = fopen(path, "re");
	unsigned line = 0;
	const char *wrong;

	if (!script || !f) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		if (f)
			fclose(f);
		free(script);
		return NULL;
	}
	wrong = parse_file(f, script, &line);
	fclose(f);
	if (!wrong)
		return script;
	snprintf(why, why_size, "%s:%u: %s", path, line, wrong);
	fault_free(script);
	return NULL;
}

void fault_free(struct fault_script *script)
{
	if (!script)
		return;
	while (script->rules) {
		struct rule *r = script->rules;

		script->rules = r->next;
		free(r);
	}
	free(script);
}
