/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/firmware/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/ccid.h"
#include "spec/usb.h"
#include "vreader/bytes.h"

enum {
	ANY_MESSAGE = 0,
	/* Control requests are numbered beyond the bMessageTypes: one of these and bRequest. */
	CONTROL_STANDARD = 0x100,
	CONTROL_CLASS = 0x200,
	WORDS_MAX = 12,
	CONDITION_MAX = 32, /* bytes that a condition compares */
	FULL_PACKET = 64,   /* wMaxPacketSize of a full-speed bulk pipe */
	EXTENSIONS_MAX = 1000,
	COPIES_MAX = 100,
	DELAY_MAX_MS = 600000,
};

struct rule;
typedef void (*apply_handler)(const struct rule *rule, struct fault_outcome *out);

/* Bytes that a message of the host begins with, behind its header. */
struct beginning {
	size_t len; /* 0: whatever it begins with */
	uint8_t bytes[CONDITION_MAX];
};

struct rule {
	struct rule *next;
	struct beginning with;  /* the host's message must begin so */
	struct beginning until; /* an Escape of the host that begins so ends the rule */
	uint8_t unless_after;   /* bMessageType before the host's message; 0: any */
	bool until_reset;       /* a port reset ends the rule */
	bool if_unended; /* no empty packet behind the host's message, which fills its last */
	bool has_slot;   /* answers of that slot only */
	uint8_t slot;
	bool over;
	uint32_t command; /* as fault_apply() has it, or ANY_MESSAGE */
	uint32_t from;    /* counted from 1 */
	uint32_t to;
	uint32_t seen;
	apply_handler apply;
	uint32_t args[2];
	uint8_t bytes[FAULT_BYTES_MAX];
	size_t len;
};

struct fault_script {
	struct rule *rules;
	uint8_t before; /* bMessageType of the host's message before the last */
	uint8_t last;
	uint8_t data[CONDITION_MAX]; /* of the last */
	size_t data_len;
	bool unended; /* the last */
};

/* --- What the actions do ---------------------------------------------------------------------- */

static void do_drop(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->drop = true;
}

static void do_delay(const struct rule *r, struct fault_outcome *out)
{
	out->delay_ms = r->args[0];
}

static void do_truncate(const struct rule *r, struct fault_outcome *out)
{
	if (r->args[0] < out->len)
		out->len = r->args[0];
}

static void do_oversize(const struct rule *r, struct fault_outcome *out)
{
	memset(out->msg + out->len, 0xA5, r->args[0]);
	out->len += r->args[0];
}

static void do_repeat(const struct rule *r, struct fault_outcome *out)
{
	out->repeat = r->args[0];
}

static void do_set(const struct rule *r, struct fault_outcome *out)
{
	if (r->args[0] < out->len)
		out->msg[r->args[0]] = (uint8_t)r->args[1];
}

static void do_xor(const struct rule *r, struct fault_outcome *out)
{
	if (r->args[0] < out->len)
		out->msg[r->args[0]] ^= (uint8_t)r->args[1];
}

static void set_field(struct fault_outcome *out, size_t offset, uint32_t value)
{
	if (offset < out->len)
		out->msg[offset] = (uint8_t)value;
}

static void do_type(const struct rule *r, struct fault_outcome *out)
{
	set_field(out, CCID_MSG_bMessageType, r->args[0]);
}

static void do_slot(const struct rule *r, struct fault_outcome *out)
{
	set_field(out, CCID_MSG_bSlot, r->args[0]);
}

static void do_seq(const struct rule *r, struct fault_outcome *out)
{
	if (out->len > CCID_MSG_bSeq)
		set_field(out, CCID_MSG_bSeq, out->msg[CCID_MSG_bSeq] + r->args[0]);
}

static void do_length(const struct rule *r, struct fault_outcome *out)
{
	if (out->len >= CCID_MSG_HEADER_SIZE)
		put_le32(out->msg + CCID_MSG_dwLength, r->args[0]);
}

static void do_replace(const struct rule *r, struct fault_outcome *out)
{
	memcpy(out->msg, r->bytes, r->len);
	out->len = r->len;
}

/* abData alone, with a dwLength that fits. */
static void do_data(const struct rule *r, struct fault_outcome *out)
{
	if (out->len < CCID_MSG_HEADER_SIZE)
		return;
	memcpy(out->msg + CCID_MSG_abData, r->bytes, r->len);
	out->len = CCID_MSG_HEADER_SIZE + r->len;
	put_le32(out->msg + CCID_MSG_dwLength, (uint32_t)r->len);
}

/* A command that failed: no data, bStatus and bError say so. */
static void do_fail(const struct rule *r, struct fault_outcome *out)
{
	if (out->len < CCID_MSG_HEADER_SIZE)
		return;
	out->len = CCID_MSG_HEADER_SIZE;
	put_le32(out->msg + CCID_MSG_dwLength, 0);
	out->msg[CCID_MSG_bStatus] =
		(uint8_t)((out->msg[CCID_MSG_bStatus] & CCID_ICC_MASK) | CCID_COMMAND_FAILED);
	out->msg[CCID_MSG_bError] = (uint8_t)r->args[0];
}

static void do_drop_full(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	if (out->len % FULL_PACKET == 0)
		out->drop = true;
}

static void do_before(const struct rule *r, struct fault_outcome *out)
{
	memcpy(out->before, r->bytes, r->len);
	out->before_len = r->len;
}

static void do_extend(const struct rule *r, struct fault_outcome *out)
{
	out->extensions = r->args[0];
	out->multiplier = (uint8_t)r->args[1];
}

static void do_split(const struct rule *r, struct fault_outcome *out)
{
	out->split = r->args[0];
}

static void do_nozlp(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->no_zlp = true;
}

static void do_stall(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->stall = true;
}

static void do_stall_out(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->stall_out = true;
}

static void do_disappear(const struct rule *r, struct fault_outcome *out)
{
	(void)r;
	out->disappear = true;
}

/* --- The grammar ------------------------------------------------------------------------------ */

enum shape {
	NOTHING,
	NUMBER,
	TWO_NUMBERS,
	COUNT_AND_NUMBER, /* the count may be "forever" */
	HEX,
};

static const struct action {
	const char *name;
	enum shape shape;
	uint32_t max; /* of the first number */
	apply_handler apply;
	bool control; /* also for answers on the control pipe */
} actions[] = {
	{ "drop", NOTHING, 0, do_drop, true },
	{ "drop-full", NOTHING, 0, do_drop_full, false },
	{ "fail", NUMBER, 255, do_fail, false },
	{ "delay", NUMBER, DELAY_MAX_MS, do_delay, true },
	{ "truncate", NUMBER, UINT32_MAX, do_truncate, true },
	{ "oversize", NUMBER, FAULT_BYTES_MAX, do_oversize, true },
	{ "repeat", NUMBER, COPIES_MAX, do_repeat, false },
	{ "set", TWO_NUMBERS, UINT32_MAX, do_set, true },
	{ "xor", TWO_NUMBERS, UINT32_MAX, do_xor, true },
	{ "type", NUMBER, 255, do_type, false },
	{ "slot", NUMBER, 255, do_slot, false },
	{ "seq", NUMBER, 255, do_seq, false },
	{ "length", NUMBER, UINT32_MAX, do_length, false },
	{ "replace", HEX, 0, do_replace, true },
	{ "data", HEX, 0, do_data, false },
	{ "before", HEX, 0, do_before, false },
	{ "extend", COUNT_AND_NUMBER, EXTENSIONS_MAX, do_extend, false },
	{ "split", NUMBER, UINT32_MAX, do_split, false },
	{ "nozlp", NOTHING, 0, do_nozlp, false },
	{ "stall", NOTHING, 0, do_stall, true },
	{ "stall-out", NOTHING, 0, do_stall_out, false },
	{ "disappear", NOTHING, 0, do_disappear, true },
};

static const struct {
	const char *name;
	uint32_t command;
} messages[] = {
	{ "any", ANY_MESSAGE },
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
	{ "control.GetDescriptor", CONTROL_STANDARD | USB_REQ_GET_DESCRIPTOR },
	{ "control.SetConfiguration", CONTROL_STANDARD | USB_REQ_SET_CONFIGURATION },
	{ "control.ClearFeature", CONTROL_STANDARD | USB_REQ_CLEAR_FEATURE },
	{ "control.Abort", CONTROL_CLASS | CCID_REQ_ABORT },
	{ "control.GetClockFrequencies", CONTROL_CLASS | CCID_REQ_GET_CLOCK_FREQUENCIES },
	{ "control.GetDataRates", CONTROL_CLASS | CCID_REQ_GET_DATA_RATES },
	{ "control.IccPowerOn", CONTROL_CLASS | ICCD_REQ_ICC_POWER_ON },
	{ "control.IccPowerOff", CONTROL_CLASS | ICCD_REQ_ICC_POWER_OFF },
	{ "control.XfrBlock", CONTROL_CLASS | ICCD_REQ_XFR_BLOCK },
	{ "control.DataBlock", CONTROL_CLASS | ICCD_REQ_DATA_BLOCK },
	{ "control.SlotStatus", CONTROL_CLASS | ICCD_REQ_SLOT_STATUS_B },
	{ "control.IccStatus", CONTROL_CLASS | ICCD_REQ_GET_ICC_STATUS_A },
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

static bool parse_hex(const char *text, uint8_t *bytes, size_t max, size_t *len)
{
	size_t digits = strlen(text);

	if (digits % 2 || digits / 2 > max || strspn(text, "0123456789abcdefABCDEF") != digits)
		return false;
	for (*len = 0; *len < digits / 2; ++*len) {
		const char pair[3] = { text[2 * *len], text[2 * *len + 1], '\0' };

		bytes[*len] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return true;
}

static bool parse_count(const char *text, uint32_t max, uint32_t *value)
{
	if (strcmp(text, "forever") != 0)
		return parse_number(text, max, value);
	*value = FAULT_FOREVER;
	return true;
}

static bool parse_args(const struct action *a, char **words, size_t count, struct rule *r)
{
	switch (a->shape) {
	case NOTHING:
		return count == 0;
	case NUMBER:
		return count == 1 && parse_number(words[0], a->max, &r->args[0]);
	case TWO_NUMBERS:
		return count == 2 && parse_number(words[0], a->max, &r->args[0]) &&
		       parse_number(words[1], 255, &r->args[1]);
	case COUNT_AND_NUMBER:
		return count == 2 && parse_count(words[0], a->max, &r->args[0]) &&
		       parse_number(words[1], 255, &r->args[1]);
	case HEX:
		return count == 1 && parse_hex(words[0], r->bytes, sizeof(r->bytes), &r->len);
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
	return parse_hex(text, b->bytes, sizeof(b->bytes), &b->len) && b->len > 0;
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
			ok = parse_message(argument, &command) && command != ANY_MESSAGE &&
			     command < CONTROL_STANDARD;
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
	if (count == 0)
		return "no such action";
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, words[0]) != 0)
			continue;
		if (r->command >= CONTROL_STANDARD && !actions[i].control)
			return "that action is not for the control pipe";
		r->apply = actions[i].apply;
		return parse_args(&actions[i], words + 1, count - 1, r) ? NULL : "wrong arguments";
	}
	return "no such action";
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

uint32_t fault_control(const uint8_t setup[8])
{
	bool class = (setup[USB_SETUP_bmRequestType] & USB_TYPE_MASK) == USB_TYPE_CLASS;

	return (class ? CONTROL_CLASS : CONTROL_STANDARD) | setup[USB_SETUP_bRequest];
}

static bool begins(const struct fault_script *script, const struct beginning *b)
{
	return script->data_len >= b->len && memcmp(script->data, b->bytes, b->len) == 0;
}

void fault_reset(struct fault_script *script)
{
	for (struct rule *r = script->rules; r; r = r->next)
		r->over |= r->until_reset;
}

void fault_heard(struct fault_script *script, const uint8_t *message, size_t len, bool ended)
{
	size_t n = len > CCID_MSG_HEADER_SIZE ? len - CCID_MSG_HEADER_SIZE : 0;

	if (len < CCID_MSG_HEADER_SIZE)
		return;
	script->unended = !ended;
	script->before = script->last;
	script->last = message[CCID_MSG_bMessageType];
	script->data_len = n < sizeof(script->data) ? n : sizeof(script->data);
	memcpy(script->data, message + CCID_MSG_HEADER_SIZE, script->data_len);
	for (struct rule *r = script->rules; r; r = r->next)
		if (script->last == PC_to_RDR_Escape && r->until.len && begins(script, &r->until))
			r->over = true;
}

/* Conditions are about the host's last message, which the one that starts now answers. */
static bool holds(
	const struct fault_script *script, const struct rule *r, const uint8_t *msg, size_t len)
{
	if (r->has_slot && (len <= CCID_MSG_bSlot || msg[CCID_MSG_bSlot] != r->slot))
		return false;
	return !r->over && begins(script, &r->with) && (script->unended || !r->if_unended) &&
	       !(r->unless_after && r->unless_after == script->before);
}

void fault_apply(struct fault_script *script, uint32_t command, uint8_t *msg, size_t len,
	struct fault_outcome *out)
{
	size_t room = len + FAULT_BYTES_MAX;

	memset(out, 0, sizeof(*out));
	out->msg = msg;
	out->len = len;
	for (struct rule *r = script->rules; r; r = r->next) {
		/* "any" is the answer to any message of the bulk pipe. */
		bool other = command == RDR_to_PC_NotifySlotChange || command >= CONTROL_STANDARD;

		if ((r->command != command && (r->command != ANY_MESSAGE || other)) ||
			!holds(script, r, msg, len))
			continue;
		if (r->seen < UINT32_MAX)
			r->seen++;
		if (r->seen < r->from || r->seen > r->to)
			continue;
		/* Two rules that both make the message longer must not do so beyond the room. */
		if (r->apply == do_oversize && out->len + r->args[0] > room)
			continue;
		r->apply(r, out);
	}
}
