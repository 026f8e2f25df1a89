/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes the files that list readers by number, of the quirk files: quirk_generate TEMPLATE FOLDER
 * copies TEMPLATE to standard output; a line @QUIRKS:WORD@ becomes what WORD stands for.
 *
 * A program of the build, not installed. Exit status 1 when a quirk file is wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "quirk.h"

/* One device by number that a section with some property names; NAME is the section's. */
typedef void visitor(const struct quirk_usb *usb, const char *name);

static void each_usb(const struct quirk_table *table, enum quirk_id id, visitor *visit)
{
	struct quirk_set *set = malloc(sizeof(*set));

	for (size_t i = 0; set && i < quirk_table_count(table); i++) {
		size_t count;
		const struct quirk_usb *usb = quirk_section_usb(table, i, &count);

		quirk_section_set(table, i, set);
		for (size_t at = 0; set->has[id] && at < count; at++)
			if (!usb[at].any_vid && !usb[at].any_pid)
				visit(&usb[at], quirk_section_name(table, i));
	}
	free(set);
}

static void put_vendor(const struct quirk_usb *usb, const char *name)
{
	(void)name;
	printf("\t\t<string>0x%04X</string>\n", usb->vid);
}

static void put_product(const struct quirk_usb *usb, const char *name)
{
	(void)name;
	printf("\t\t<string>0x%04X</string>\n", usb->pid);
}

static void put_escaped(const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", stdout);
		else if (*text == '<')
			fputs("&lt;", stdout);
		else
			putchar(*text);
	}
}

/* The reader's name is what stands before the colon. */
static void put_name(const struct quirk_usb *usb, const char *name)
{
	char text[QUIRK_TEXT_MAX];

	(void)usb;
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(name, ":"), name);
	fputs("\t\t<string>", stdout);
	put_escaped(text);
	fputs("</string>\n", stdout);
}

static void put_switch(const struct quirk_usb *usb, const char *name)
{
	printf("# %s\nATTR{idVendor}==\"%04x\", ATTR{idProduct}==\"%04x\", GOTO=\"pcscd_reader\"\n",
		name, usb->vid, usb->pid);
}

static void put_rule(const struct quirk_usb *usb, const char *name)
{
	printf("# %s\nATTR{idVendor}==\"%04x\", ATTR{idProduct}==\"%04x\", "
	       "ENV{ID_USB_INTERFACES}==\"*:ff????:*\", GOTO=\"pcscd_reader\"\n",
		name, usb->vid, usb->pid);
}

static void put_awake(const struct quirk_usb *usb, const char *name)
{
	printf("# %s\nATTR{idVendor}==\"%04x\", ATTR{idProduct}==\"%04x\", "
	       "TEST==\"power/control\", ATTR{power/control}=\"on\"\n",
		name, usb->vid, usb->pid);
}

static void put_modalias(const struct quirk_usb *usb, const char *name)
{
	(void)name;
	printf("    <modalias>usb:v%04Xp%04Xd*</modalias>\n", usb->vid, usb->pid);
}

/* Readers that their class doesn't tell: of class FFh, or none before they are switched. */
static void each_reader(const struct quirk_table *table, visitor *visit)
{
	each_usb(table, QUIRK_VENDOR_CLASS, visit);
	each_usb(table, QUIRK_MODE_SWITCH, visit);
}

static void vendors(const struct quirk_table *table)
{
	each_reader(table, put_vendor);
}

static void products(const struct quirk_table *table)
{
	each_reader(table, put_product);
}

static void names(const struct quirk_table *table)
{
	each_reader(table, put_name);
}

static void rules(const struct quirk_table *table)
{
	each_usb(table, QUIRK_VENDOR_CLASS, put_rule);
	each_usb(table, QUIRK_MODE_SWITCH, put_switch);
}

static void awake(const struct quirk_table *table)
{
	each_usb(table, QUIRK_AUTOSUSPEND, put_awake);
}

static void modaliases(const struct quirk_table *table)
{
	each_reader(table, put_modalias);
}

/* Text for roff: a point or apostrophe at the start of a line and backslashes mean something. */
static void put_roff(const char *text)
{
	fputs(*text == '.' || *text == '\'' ? "\\&" : "", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
}

static void put_values(const struct quirk_property *property)
{
	static const char *const kinds[] = {
		[QUIRK_FLAG] = "yes or no",
		[QUIRK_NUMBER] = "a number",
		[QUIRK_NUMBERS] = "numbers",
		[QUIRK_WORD] = "one of",
		[QUIRK_BITS] = "none, or some of",
		[QUIRK_ORDER] = "in their order, some of",
		[QUIRK_TEXT] = "a text",
		[QUIRK_BYTES] = "bytes",
		[QUIRK_ESCAPES] = "list of",
		[QUIRK_PREFIXES] = "list of",
		[QUIRK_PATCHES] = "list of",
	};
	bool words = property->kind == QUIRK_WORD || property->kind == QUIRK_BITS ||
		     property->kind == QUIRK_ORDER;
	const char *unit = property->unit[0] == '-' ? property->unit + 2 : property->unit;

	fputs(kinds[property->kind], stdout);
	if (property->kind == QUIRK_NUMBER || property->kind == QUIRK_NUMBERS)
		printf(" from %u to %u", property->low, property->high);
	if (*unit && property->kind != QUIRK_BYTES) {
		printf(words || property->kind >= QUIRK_ESCAPES ? " " : ", in ");
		put_roff(unit);
	}
}

static void properties(const struct quirk_table *table)
{
	(void)table;
	for (int i = 0; i < QUIRK_COUNT; i++) {
		const struct quirk_property *property = &quirk_properties[i];

		printf(".TP\n.B ");
		put_roff(property->name);
		printf(" \\fR= ");
		put_values(property);
		printf("\n");
		put_roff(property->meaning);
		printf("\nNeeded for: ");
		put_roff(property->needed);
		printf(".\n");
	}
}

static const struct {
	const char *word;
	void (*print)(const struct quirk_table *table);
} words[] = {
	{ "@QUIRKS:vendors@", vendors },
	{ "@QUIRKS:products@", products },
	{ "@QUIRKS:names@", names },
	{ "@QUIRKS:rules@", rules },
	{ "@QUIRKS:awake@", awake },
	{ "@QUIRKS:modaliases@", modaliases },
	{ "@QUIRKS:properties@", properties },
};

static void put_line(const struct quirk_table *table, const char *line)
{
	const char *text = line + strspn(line, " \t");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncmp(text, words[i].word, strlen(words[i].word)) == 0) {
			words[i].print(table);
			return;
		}
	}
	fputs(line, stdout);
}

static void say(void *owner, const char *line)
{
	(void)owner;
	fprintf(stderr, "%s\n", line);
}

int main(int argc, char *argv[])
{
	struct quirk_table *table = quirk_table_new();
	FILE *template = argc == 3 ? fopen(argv[1], "re") : NULL;
	char *line = NULL;
	size_t size = 0;
	bool ok = false;

	if (!template || !table) {
		fprintf(stderr, "usage: quirk_generate TEMPLATE FOLDER\n");
	} else if (quirk_table_load(table, argv[2], say, NULL)) {
		while (getline(&line, &size, template) >= 0)
			put_line(table, line);
		ok = fflush(stdout) == 0 && !ferror(template);
	}
	free(line);
	if (template)
		fclose(template);
	quirk_table_free(table);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
