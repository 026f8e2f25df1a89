/* SPDX-License-Identifier: BSD-3-Clause */
/* Quirk files: what is right, what is wrong and how that is told, which section wins. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"
#include "ifd-ccid/quirk/quirk.h"
#include "ifd-ccid/quirk/quirk_apply.h"

struct said {
	unsigned count;
	char text[4096];
};

static void say(void *owner, const char *line)
{
	struct said *said = owner;

	said->count++;
	strncat(said->text, line, sizeof(said->text) - strlen(said->text) - 2);
	strcat(said->text, "\n");
}

static struct quirk_table *parse(const char *text, struct said *said)
{
	struct quirk_table *table = quirk_table_new();

	memset(said, 0, sizeof(*said));
	ck_assert_ptr_nonnull(table);
	ck_assert_int_eq(
		quirk_table_add(table, "f", text, strlen(text), say, said), said->count == 0);
	return table;
}

static struct quirk_set *match(const struct quirk_table *table, const struct quirk_facts *facts)
{
	static struct quirk_set set;

	quirk_match(table, facts, &set, NULL);
	return &set;
}

static const struct quirk_facts some_facts = {
	.vid = 0x0B97, .pid = 0x7762, .bcdDevice = 0x0110, .interface = 0, .interface_class = 0x0B
};

#define HEAD "[a]\nMatchUsb = 0B97:7762\n"

/* Each wrong text, and the line that tells of it. */
static const struct {
	const char *text;
	const char *line;
} wrongs[] = {
	{ "ifsd = 1\n", "f:1:1: expected [NAME] of a section, found ifsd" },
	{ "[a\nMatchUsb = *:*\nifsd = 1\n",
		"f:1:1: expected [NAME], of at most 127 bytes, found a name without ]; section "
		"\"[a\" is ignored" },
	{ "[]\nMatchUsb = *:*\nifsd = 1\n",
		"f:1:1: expected [NAME], of at most 127 bytes, found []; section \"\" is ignored" },
	{ HEAD "ifsd = 255\n",
		"f:3:8: expected a number from 1 to 254, found 255; section \"a\" is ignored" },
	{ HEAD "ifsd = 010\n",
		"f:3:8: expected a number from 1 to 254, found 010; section \"a\" is ignored" },
	{ HEAD "ifsd = 4294967297\n",
		"f:3:8: expected a number from 1 to 254, found 4294967297; section \"a\" is "
		"ignored" },
	{ HEAD "ifsd 48\n", "f:3:6: expected =, found 48; section \"a\" is ignored" },
	{ HEAD "ifsd = 48 49\n",
		"f:3:11: expected the end of the line, found 49; section \"a\" is ignored" },
	{ HEAD "ifsd = 48\nifsd = 49\n",
		"f:4:1: expected another property than that of line 3, found ifsd; section \"a\" "
		"is ignored" },
	{ HEAD "ifds = 48\n",
		"f:3:1: expected a property, or Match…, found ifds; section \"a\" is ignored" },
	{ HEAD "pps = maybe\n",
		"f:3:7: expected yes or no, found maybe; section \"a\" is ignored" },
	{ HEAD "exchange-level = apdu\n",
		"f:3:18: expected one of character tpdu short-apdu extended-apdu, found apdu; "
		"section \"a\" is ignored" },
	{ HEAD "refuse = because\n",
		"f:3:10: expected a text in double quotes, of 0 to 120 bytes, found because; "
		"section \"a\" is ignored" },
	{ HEAD "refuse = \"because\n",
		"f:3:10: expected a text in double quotes, of 0 to 120 bytes, found a text without "
		"its second quote; section \"a\" is ignored" },
	{ HEAD "pin-verify-escape = 800\n",
		"f:3:21: expected bytes: pairs of hexadecimal digits, or a text, found 800; "
		"section \"a\" is ignored" },
	{ HEAD "descriptor = 3621\n",
		"f:3:18: expected at least 54 bytes, found the end of the line; section \"a\" is "
		"ignored" },
	{ HEAD "descriptor-patch = bFoo=1\n",
		"f:3:20: expected a field of the class descriptor, found bFoo; section \"a\" is "
		"ignored" },
	{ HEAD "descriptor-patch = bVoltageSupport=256\n",
		"f:3:36: expected a number from 0 to 255, found 256; section \"a\" is ignored" },
	{ HEAD "power-on-escape = BB\n",
		"f:3:21: expected ->, found the end of the line; section \"a\" is ignored" },
	{ HEAD "init-escape-language = DE B2\n",
		"f:3:24: expected a language of two letters, found DE; section \"a\" is ignored" },
	{ "[a]\nMatchUsb = B97:7762\nifsd = 1\n",
		"f:2:12: expected VENDOR:PRODUCT in hexadecimal, found B97:7762; section \"a\" is "
		"ignored" },
	{ "[a]\nMatchBcdDevice = 0200-0100\nifsd = 1\n",
		"f:2:18: expected bcdDevice, or a range of it, in four hexadecimal digits, found "
		"0200-0100; section \"a\" is ignored" },
	{ "[a]\nifsd = 1\n",
		"f:1:1: expected a Match… line in the section; section \"a\" is ignored" },
	{ HEAD "ifsd = 1\nMatchBcdDevice = 0100\n",
		"f:4:1: expected Match… lines before all properties, found MatchBcdDevice; section "
		"\"a\" is ignored" },
	{ HEAD "MatchFirmware = \"1*\"\nifsd = 1\n",
		"f:4:1: expected a property that can wait until the firmware is known, found ifsd; "
		"section \"a\" is ignored" },
	{ HEAD "ifsd = 1 \x01\n",
		"f:3:10: expected the end of the line, found byte 01; section \"a\" is ignored" },
	{ HEAD "refuse = \"\xC3\"\n",
		"f:3:10: expected a text in double quotes, of 0 to 120 bytes, found a text without "
		"its second quote; section \"a\" is ignored" },
	{ HEAD "ifsd = 1 # \xC3\xA4 \xFF\n",
		"f:3:14: expected the end of the line, found byte FF; section \"a\" is ignored" },
};

START_TEST(wrong)
{
	char expected[1024];
	struct said said;
	struct quirk_table *table = parse(wrongs[_i].text, &said);

	snprintf(expected, sizeof(expected), "%s\n", wrongs[_i].line);
	ck_assert_msg(strncmp(said.text, expected, strlen(expected)) == 0, "said:\n%s", said.text);
	ck_assert_uint_eq(quirk_table_count(table), 0);
	quirk_table_free(table);
}
END_TEST

START_TEST(empty_section)
{
	struct said said;
	struct quirk_table *table = parse(HEAD, &said);

	ck_assert_str_eq(said.text, "f:1:1: expected a property in the section; section "
				    "\"a\" is ignored\n");
	quirk_table_free(table);
}
END_TEST

/* A section with two errors is told of twice, and costs nobody else. */
START_TEST(rest_stands)
{
	struct said said;
	struct quirk_table *table = parse("[one]\nMatchUsb = *:*\nifsd = 1\n"
					  "[two]\nMatchUsb = ?\nifsd = 0\nclock = 4000\n"
					  "[three]\r\nMatchUsb = *:*\r\nclock = 5000",
		&said);

	ck_assert_uint_eq(said.count, 2);
	ck_assert_uint_eq(quirk_table_count(table), 2);
	ck_assert_uint_eq(match(table, &some_facts)->ifsd, 1);
	ck_assert_uint_eq(match(table, &some_facts)->clock, 5000);
	quirk_table_free(table);
}
END_TEST

START_TEST(later_wins)
{
	struct quirk_origin origins[QUIRK_COUNT];
	struct said said;
	struct quirk_set set;
	struct quirk_table *table = parse("[one]\nMatchUsb = *:*\nifsd = 1\nclock = 4000\n"
					  "[two]\nMatchUsb = 0B97:*\nifsd = 2\n"
					  "[other]\nMatchUsb = 0B98:*\nifsd = 3\n",
		&said);

	quirk_match(table, &some_facts, &set, origins);
	ck_assert_uint_eq(set.ifsd, 2);
	ck_assert_uint_eq(set.clock, 4000);
	ck_assert(set.has[QUIRK_IFSD] && set.has[QUIRK_CLOCK] && !set.has[QUIRK_NAME]);
	ck_assert_str_eq(origins[QUIRK_IFSD].section, "two");
	ck_assert_uint_eq(origins[QUIRK_IFSD].line, 7);
	ck_assert_str_eq(origins[QUIRK_CLOCK].file, "f");
	ck_assert_ptr_null(origins[QUIRK_NAME].file);
	quirk_table_free(table);
}
END_TEST

START_TEST(nothing_is_default)
{
	struct said said;
	struct quirk_table *table = parse("# nothing\n\n", &said);
	const struct quirk_set *set = match(table, &some_facts);

	ck_assert(set->pps && set->control_abort && set->get_data_rates);
	ck_assert(set->detach_kernel_driver && set->autosuspend);
	ck_assert(!set->vendor_class && !set->packet_reads && !set->init_required);
	for (int i = 0; i < QUIRK_COUNT; i++)
		ck_assert(!set->has[i]);
	quirk_table_free(table);
}
END_TEST

static bool matches(const char *condition, const struct quirk_facts *facts)
{
	char text[512];
	struct said said;
	struct quirk_table *table;
	bool yes;

	snprintf(text, sizeof(text), "[a]\n%s\npin-delay = 1\n", condition);
	table = parse(text, &said);
	ck_assert_msg(said.count == 0, "%s", said.text);
	yes = match(table, facts)->has[QUIRK_PIN_DELAY];
	quirk_table_free(table);
	return yes;
}

START_TEST(conditions)
{
	uint8_t ccid[54] = { 54, 0x21 };
	struct quirk_facts facts = some_facts;

	ck_assert(matches("MatchUsb = 0b97:7772 0b97:7762", &facts));
	ck_assert(matches("MatchUsb = 0B97:*", &facts));
	ck_assert(!matches("MatchUsb = 0B97:7772", &facts));
	ck_assert(matches("MatchBcdDevice = 0110", &facts));
	ck_assert(matches("MatchBcdDevice = 0110-", &facts));
	ck_assert(!matches("MatchBcdDevice = 0111-", &facts));
	ck_assert(matches("MatchBcdDevice = -0110", &facts));
	ck_assert(!matches("MatchBcdDevice = -010F", &facts));
	ck_assert(matches("MatchBcdDevice = 0100-01FF", &facts));
	ck_assert(matches("MatchInterface = 1 0", &facts));
	ck_assert(!matches("MatchInterface = 1", &facts));
	ck_assert(matches("MatchInterfaceClass = 0x0B", &facts));
	ck_assert(!matches("MatchInterfaceClass = 0xFF", &facts));
	ck_assert(!matches("MatchDriverOptions = 0x02", &facts));
	facts.driver_options = 0x13;
	ck_assert(matches("MatchDriverOptions = 0x02", &facts));
	ck_assert(!matches("MatchDescriptor = bPINSupport = 0", &facts));
	facts.ccid = ccid;
	ccid[42] = 0x02;
	ck_assert(matches("MatchDescriptor = dwFeatures & 0x70000 = 0x20000", &facts));
	ck_assert(!matches("MatchDescriptor = dwFeatures = 1", &facts));
	ck_assert(!matches("MatchProduct = \"*\"", &facts));
	facts.product = "OZ776 CCID";
	ck_assert(matches("MatchProduct = \"OZ7?6*\"", &facts));
	ck_assert(!matches("MatchProduct = \"OZ776\"", &facts));
	ck_assert(!matches("MatchFirmware = \"*\"", &facts));
	facts.firmware = "GemTwRC2-V2.10";
	ck_assert(matches("MatchFirmware = \"GemTw*\"\nMatchUsb = *:*", &facts));
}
END_TEST

START_TEST(questions)
{
	struct said said;
	struct quirk_table *table =
		parse("[a]\nMatchUsb = 0B97:*\nMatchFirmware = \"1*\"\npin-delay = 1\n"
		      "[b]\nMatchUsb = 08E6:*\nMatchProduct = \"x\"\npin-delay = 1\n",
			&said);
	struct quirk_facts facts = some_facts;

	ck_assert(quirk_wants_firmware(table, &facts));
	ck_assert(!quirk_wants_strings(table, &facts));
	facts.vid = 0x08E6;
	ck_assert(!quirk_wants_firmware(table, &facts));
	ck_assert(quirk_wants_strings(table, &facts));
	quirk_table_free(table);
}
END_TEST

START_TEST(values)
{
	struct said said;
	struct quirk_table *table =
		parse(HEAD "features-on = ifsd nad\nprotocols = t1\npin-support = none\n"
			   "voltages = 3V 5V\ndata-rates = 9600 10753\ndata-rates = 21505\n"
			   "init-escape = A0 01 -> 00, 1F01\ninit-escape = B2 \"Hi\"\n"
			   "fixed-answer = FF9A010600 -> \"v\" bcdDevice 9000\n"
			   "escape-allow = 02, 52F8\nescape-allow-root = all\n"
			   "descriptor-patch = dwMaxIFSD=254 bVoltageSupport=0x07\n",
			&said);
	const struct quirk_set *set = match(table, &some_facts);
	static const uint8_t switch_it[] = { 0x52, 0xF8, 0x04 };

	ck_assert_msg(said.count == 0, "%s", said.text);
	ck_assert_uint_eq(set->features_on, 0x0600);
	ck_assert_uint_eq(set->protocols, 2);
	ck_assert(set->has[QUIRK_PIN_SUPPORT] && set->pin_support == 0);
	ck_assert_uint_eq(set->voltages.count, 2);
	ck_assert_uint_eq(set->voltages.words[0], 2);
	ck_assert_uint_eq(set->voltages.words[1], 1);
	ck_assert_uint_eq(set->data_rates.count, 3);
	ck_assert_uint_eq(set->data_rates.numbers[2], 21505);
	ck_assert_uint_eq(set->init_escape.count, 3);
	ck_assert(set->init_escape.list[0].arrow && set->init_escape.list[0].answer_len == 1);
	ck_assert(!set->init_escape.list[1].arrow);
	ck_assert_mem_eq(set->init_escape.list[2].bytes, "\xB2Hi", 3);
	ck_assert_uint_eq(set->fixed_answer.list[0].bcd_at, 1);
	ck_assert_uint_eq(set->fixed_answer.list[0].answer_len, 3);
	ck_assert(quirk_has_prefix(&set->escape_allow, switch_it, sizeof(switch_it)));
	ck_assert(!quirk_has_prefix(&set->escape_allow, switch_it, 1));
	ck_assert(!quirk_has_prefix(&set->escape_allow, switch_it + 1, 1));
	ck_assert(quirk_has_prefix(&set->escape_allow_root, switch_it, 0));
	ck_assert_uint_eq(set->descriptor_patch.count, 2);
	ck_assert_uint_eq(set->descriptor_patch.list[0].offset, 28);
	ck_assert_uint_eq(set->descriptor_patch.list[0].size, 4);
	quirk_table_free(table);
}
END_TEST

/* What is printed is read again to the same, for every property of the table. */
START_TEST(printed)
{
	const char *text =
		HEAD "refuse = \"r\"\nname = \"Näme\"\nvendor-class = yes\nmode-switch = "
		     "2209000202000200 0102\nfeatures-off = pps\nexchange-level = tpdu\nifsd = 7\n"
		     "voltages = auto 1.8V\ndata-rates = 1000 2000\n"
		     "init-escape-language = de B2 \"PIN eingeben\", en 01 -> 02\n"
		     "power-on-escape = BB -> 1F01\nfixed-answer = 01 -> bcdDevice 9000\n"
		     "escape-allow = all, 01\ncontactless-slots = 1 15\n"
		     "descriptor-patch = wLcdLayout=529\npresence = power-on\n";
	struct said said;
	struct quirk_table *table = parse(text, &said);
	struct quirk_set first = *match(table, &some_facts);
	char *again = NULL;
	size_t size;
	FILE *out = open_memstream(&again, &size);

	ck_assert_msg(said.count == 0, "%s", said.text);
	fputs(HEAD, out);
	for (int i = 0; i < QUIRK_COUNT; i++) {
		if (!first.has[i])
			continue;
		fprintf(out, "%s = ", quirk_properties[i].name);
		quirk_print_value(out, &first, (enum quirk_id)i);
		fputc('\n', out);
	}
	fclose(out);
	quirk_table_free(table);
	table = parse(again, &said);
	ck_assert_msg(said.count == 0, "%s\n%s", said.text, again);
	ck_assert_mem_eq(match(table, &some_facts), &first, sizeof(first));
	quirk_table_free(table);
	free(again);
}
END_TEST

/* The table can be parsed and told of: names, words, ranges and documentation. */
START_TEST(properties)
{
	for (int i = 0; i < QUIRK_COUNT; i++) {
		const struct quirk_property *property = &quirk_properties[i];

		ck_assert_msg(property->name[strspn(property->name,
				      "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0',
			"%s", property->name);
		ck_assert(strlen(property->meaning) > 10 && strlen(property->needed) > 5);
		ck_assert(property->low <= property->high);
		for (int other = 0; other < i; other++)
			ck_assert_str_ne(property->name, quirk_properties[other].name);
	}
	ck_assert(!quirk_properties[QUIRK_IFSD].late && quirk_properties[QUIRK_PIN_DELAY].late);
}
END_TEST

START_TEST(folders)
{
	char folder[] = "/tmp/quirks-XXXXXX";
	static const char *const names[] = { "20-b.quirks", "10-a.quirks", "30-c.txt",
		".hidden.quirks" };
	struct quirk_table *table = quirk_table_new();
	struct said said = { 0 };
	char path[64];

	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (size_t i = 0; i < 4; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		file = fopen(path, "w");
		fprintf(file, "[x]\nMatchUsb = *:*\nifsd = %zu\n", i + 1);
		fclose(file);
	}
	ck_assert(quirk_table_load(table, folder, say, &said));
	ck_assert_uint_eq(quirk_table_count(table), 2);
	ck_assert_uint_eq(match(table, &some_facts)->ifsd, 1);
	snprintf(path, sizeof(path), "%s/none:%s", folder, folder);
	setenv("CARDWIRE_QUIRKS", path, 1);
	ck_assert(quirk_table_load_all(table, "/nowhere", say, &said));
	ck_assert_uint_eq(quirk_table_count(table), 4);
	unsetenv("CARDWIRE_QUIRKS");
	ck_assert(!quirk_table_read(table, "/nowhere/x.quirks", say, &said));
	ck_assert_str_eq(said.text, "/nowhere/x.quirks: No such file or directory\n");
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	quirk_table_free(table);
}
END_TEST

START_TEST(applied)
{
	struct said said;
	struct quirk_table *table =
		parse(HEAD "descriptor-patch = dwMaxIFSD=300 dwFeatures=0x40840\nifsd = 100\n"
			   "exchange-level = tpdu\nfeatures-off = negotiation\nbusy-slots = 9\n"
			   "other-slots-max-data-rate = 125000\nother-slots-data-rates = 10753\n"
			   "presence = polling\n",
			&said);
	const struct quirk_set *set = match(table, &some_facts);
	struct ccid_interface interface = { .raw = { 54, 0x21 }, .interrupt_in = 0x83 };
	uint32_t rates[QUIRK_NUMBERS_MAX + 1];

	ck_assert_msg(said.count == 0, "%s", said.text);
	interface.raw[4] = 3;
	quirk_apply(set, &interface);
	ck_assert_uint_eq(interface.ccid.ifsd, 100);
	ck_assert_uint_eq(interface.ccid.dwFeatures, 0x10800);
	ck_assert_int_eq(interface.ccid.level, LEVEL_TPDU);
	ck_assert_uint_eq(interface.ccid.busy_slots, 4);
	ck_assert_uint_eq(interface.interrupt_in, 0);
	interface.ccid.dwMaxDataRate = 500000;
	ck_assert_uint_eq(quirk_max_data_rate(set, &interface, 0), 500000);
	ck_assert_uint_eq(quirk_max_data_rate(set, &interface, 1), 125000);
	ck_assert(!quirk_data_rates(set, 0, rates));
	ck_assert(quirk_data_rates(set, 1, rates));
	ck_assert_uint_eq(rates[0], 10753);
	ck_assert_uint_eq(rates[1], 0);
	quirk_table_free(table);
}
END_TEST

/* The files of this repository are right, and no section is like another. */
START_TEST(repository)
{
	struct quirk_table *table = quirk_table_new();
	struct said said = { 0 };

	ck_assert_msg(quirk_table_load(table, QUIRKS_FOLDER, say, &said), "%s", said.text);
	ck_assert_uint_gt(quirk_table_count(table), 50);
	for (size_t i = 0; i < quirk_table_count(table); i++)
		for (size_t other = 0; other < i; other++)
			ck_assert_str_ne(
				quirk_section_name(table, i), quirk_section_name(table, other));
	quirk_table_free(table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quirk");
	TCase *tcase = tcase_create("quirk");

	tcase_add_loop_test(tcase, wrong, 0, sizeof(wrongs) / sizeof(wrongs[0]));
	tcase_add_test(tcase, empty_section);
	tcase_add_test(tcase, rest_stands);
	tcase_add_test(tcase, later_wins);
	tcase_add_test(tcase, nothing_is_default);
	tcase_add_test(tcase, conditions);
	tcase_add_test(tcase, questions);
	tcase_add_test(tcase, values);
	tcase_add_test(tcase, printed);
	tcase_add_test(tcase, properties);
	tcase_add_test(tcase, folders);
	tcase_add_test(tcase, applied);
	tcase_add_test(tcase, repository);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
