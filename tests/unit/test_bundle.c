/* SPDX-License-Identifier: BSD-3-Clause */
/* Info.plist of driver bundles: as vendors write it, and broken; and which bundle gets a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "capture.h"
#include "suite.h"
#include "pcscd/readers/bundle.h"

#define HEAD                                                                                       \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                             \
	"<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/x.dtd\">\n" \
	"<plist version=\"1.0\">\n<dict>\n"
#define TAIL       "</dict>\n</plist>\n"
#define EXECUTABLE "<key>CFBundleExecutable</key>\n<string>libx.so</string>\n"
#define LISTS(vendor, product, name)                                                               \
	"<key>ifdVendorID</key>\n<array>\n" vendor "</array>\n"                                    \
	"<key>ifdProductID</key>\n<array>\n" product "</array>\n"                                  \
	"<key>ifdFriendlyName</key>\n<array>\n" name "</array>\n"
#define S(text)    "<string>" text "</string>\n"
#define ONE        LISTS(S("0x08E6"), S("0x3437"), S("Reader One"))
#define CLASS_NAME "<key>CFBundleName</key><string>CCIDCLASSDRIVER</string>\n"

static struct bundles bundles;
static char *said;

static bool parse(const char *text)
{
	bool ok;

	free(said);
	capture_begin();
	ok = bundles_parse(&bundles, text, strlen(text), "Info.plist", "/b/Contents/Linux");
	said = capture_end();
	return ok;
}

static void teardown(void)
{
	bundles_free(&bundles);
	free(said);
	said = NULL;
}

START_TEST(test_plain)
{
	ck_assert(parse(HEAD EXECUTABLE ONE TAIL));
	ck_assert_str_eq(said, "");
	ck_assert_uint_eq(bundles.count, 1);
	ck_assert_str_eq(bundles.list[0].library, "/b/Contents/Linux/libx.so");
	ck_assert(!bundles.list[0].class_driver);
	ck_assert_uint_eq(bundles.list[0].count, 1);
	ck_assert_uint_eq(bundles.list[0].devices[0].vendor, 0x08E6);
	ck_assert_uint_eq(bundles.list[0].devices[0].product, 0x3437);
	ck_assert_str_eq(bundles.list[0].devices[0].name, "Reader One");
}
END_TEST

/* What stands in files of vendors: each of these must give "A & B" for 1234:ABCD. */
static const char *const odd_files[] = {
	/* no prologue, everything on one line, carriage returns */
	"<plist><dict>" EXECUTABLE LISTS("<string>1234</string>", "<string>abcd</string>",
		"<string>A &amp; B</string>") "</dict></plist>\r\n",
	/* a bare ampersand */
	HEAD EXECUTABLE LISTS(S("0x1234"), S("0xABCD"), S("A & B")) TAIL,
	/* white space around and within tags and values */
	HEAD EXECUTABLE
	"<key > ifdVendorID\t</key ><array\n><string>\n 0x1234 \n</string></array>"
	"<key>ifdProductID</key><array><string >0XABCD</string\n></array>"
	"<key>ifdFriendlyName</key><array><string>  A &#38; B</string></array>" TAIL,
	/* commented-out entries and keys */
	HEAD EXECUTABLE "<!-- <key>ifdVendorID</key> <string>0x9999</string> -- > -->" LISTS(
		S("0x1234") "<!-- " S("0x5555") "-->", S("0xABCD") "<!---->", S("A &#x26; B")) TAIL,
	/* the values without arrays */
	HEAD EXECUTABLE "<key>ifdVendorID</key>" S("0x1234") "<key>ifdProductID</key>" S(
		"0xABCD") "<key>ifdFriendlyName</key>" S("A &amp; B") TAIL,
	/* a key twice: the last one counts */
	HEAD EXECUTABLE LISTS(S("0x1111") S("0x2222"), S("1") S("2"), S("x") S("y"))
		LISTS(S("0x1234"), S("0xABCD"), S("A &amp; B")) TAIL,
	/* other keys and types in between, a nested dictionary, an empty element, CDATA */
	HEAD "<key>Other</key><dict><key>Deep</key><string>x</string><true/></dict>"
	     "<key>Number</key><integer>7</integer><key>Empty</key><string/>" EXECUTABLE LISTS(
		     S("0x1234"), S("0xABCD"), S("<![CDATA[A & B]]>")) TAIL,
	/* no end at all after what matters */
	HEAD EXECUTABLE LISTS(S("0x1234"), S("0xABCD"), S("A &amp; B")),
	/* '#' is no comment in a property list; text between tags is passed over */
	HEAD "# by hand\n" EXECUTABLE LISTS(S("0x1234"), S("0xABCD"), S("A &amp; B")) TAIL,
};

START_TEST(test_odd_file)
{
	ck_assert_msg(parse(odd_files[_i]), "%s", said);
	ck_assert_uint_eq(bundles.list[0].count, 1);
	ck_assert_uint_eq(bundles.list[0].devices[0].vendor, 0x1234);
	ck_assert_uint_eq(bundles.list[0].devices[0].product, 0xABCD);
	ck_assert_str_eq(bundles.list[0].devices[0].name, "A & B");
}
END_TEST

static const struct {
	const char *text;
	const char *error;
} broken_files[] = {
	{ HEAD ONE TAIL, "no CFBundleExecutable" },
	{ HEAD EXECUTABLE TAIL, "no ifdVendorID" },
	{ "", "no CFBundleExecutable" },
	{ HEAD EXECUTABLE LISTS(S("1") S("2"), S("1"), S("x") S("y")) TAIL,
		"Info.plist:16: 2 ifdVendorID, 1 ifdProductID and 2 ifdFriendlyName" },
	{ HEAD EXECUTABLE "<key>ifdVendorID</key>\n<array>\n<string>0x1234\n<string>0x1</string>",
		"Info.plist:10: <string> of line 9 is not closed" },
	{ HEAD EXECUTABLE "<key>ifdVendorID", "<key> of line 7 is not closed" },
	{ HEAD EXECUTABLE "</string>", "Info.plist:7: </string> without its beginning" },
	{ HEAD EXECUTABLE ONE "<!-- never closed", "a comment or declaration is not closed" },
	{ "<?xml never closed", "a comment or declaration is not closed" },
	{ HEAD EXECUTABLE "<key>ifdVendorID</key>\n< string>",
		"Info.plist:8: a '<' that begins no tag" },
};

START_TEST(test_broken_file)
{
	ck_assert(!parse(broken_files[_i].text));
	ck_assert_uint_eq(bundles.count, 0);
	ck_assert_uint_eq(bundles.errors, 1);
	ck_assert_uint_eq(capture_lines(said), 1);
	ck_assert_msg(strstr(said, broken_files[_i].error) != NULL, "%s", said);
	ck_assert_msg(strstr(said, "bundle left out") != NULL, "%s", said);
	/* and the next bundle stands */
	ck_assert(parse(HEAD EXECUTABLE ONE TAIL));
}
END_TEST

START_TEST(test_wrong_number)
{
	ck_assert(parse(HEAD EXECUTABLE LISTS(S("0x12345") S("0x0002") S("zz") S("4"),
		S("1") S("2") S("3") S(""), S("a") S("b") S("c") S("d")) TAIL));
	ck_assert_uint_eq(bundles.list[0].count, 1);
	ck_assert_str_eq(bundles.list[0].devices[0].name, "b");
	ck_assert_uint_eq(bundles.errors, 3);
	ck_assert_msg(strstr(said, "Info.plist:9: ifdVendorID \"0x12345\"") != NULL, "%s", said);
	ck_assert_msg(strstr(said, "ifdProductID \"\"") != NULL, "%s", said);
}
END_TEST

START_TEST(test_nul_byte)
{
	static const char text[] = HEAD EXECUTABLE "<key>ifdVendorID</key><string>1\0"
						   "2</string>";

	capture_begin();
	ck_assert(!bundles_parse(&bundles, text, sizeof(text) - 1, "Info.plist", "/x"));
	free(said);
	said = capture_end();
	ck_assert_msg(strstr(said, "a NUL byte") != NULL, "%s", said);
}
END_TEST

static void add(const char *library, bool class_driver, const char *vendor, const char *name)
{
	char text[2048];

	sprintf(text, HEAD "<key>CFBundleExecutable</key><string>%s</string>%s%s%s%s%s%s" TAIL,
		library, class_driver ? CLASS_NAME : "",
		vendor ? "<key>ifdVendorID</key><string>" : "", vendor ? vendor : "",
		vendor ? "</string><key>ifdProductID</key><string>0001</string>"
			 "<key>ifdFriendlyName</key><string>"
		       : "",
		vendor ? name : "", vendor ? "</string>" : "");
	ck_assert_msg(parse(text), "%s", said);
}

static void expect_match(const struct bundle_match *match, const char *library, const char *name)
{
	char path[64];

	sprintf(path, "/b/Contents/Linux/%s", library);
	ck_assert_str_eq(match->library, path);
	ck_assert_pstr_eq(match->name, name);
}

START_TEST(test_match)
{
	struct bundle_match match[BUNDLE_MATCHES];

	add("first.so", false, "1111", "First");
	add("class.so", true, "2222", "By class driver");
	add("second.so", false, "2222", "Second");
	add("third.so", false, "1111", "Third");
	/* by number: the last bundle that lists it */
	ck_assert_uint_eq(bundles_match(&bundles, 0x1111, 1, 0xFF, match), 1);
	expect_match(&match[0], "third.so", "Third");
	/* a class driver that lists it comes after one that isn't one */
	ck_assert_uint_eq(bundles_match(&bundles, 0x2222, 1, 0xFF, match), 2);
	expect_match(&match[0], "second.so", "Second");
	expect_match(&match[1], "class.so", "By class driver");
	/* which leaves a device's other interfaces alone, a keyboard's for instance */
	ck_assert_uint_eq(bundles_match(&bundles, 0x2222, 1, 0x03, match), 1);
	expect_match(&match[0], "second.so", "Second");
	/* nobody lists it: by interface class only */
	ck_assert_uint_eq(bundles_match(&bundles, 0x3333, 1, 0x0B, match), 1);
	expect_match(&match[0], "class.so", NULL);
	ck_assert_uint_eq(bundles_match(&bundles, 0x3333, 1, 0xFF, match), 0);
	ck_assert_uint_eq(bundles_match(&bundles, 0x1111, 2, 0x03, match), 0);
	/* listed by a vendor's bundle, and of the CCID class: the class driver is second */
	ck_assert_uint_eq(bundles_match(&bundles, 0x1111, 1, 0x0B, match), 2);
	expect_match(&match[1], "class.so", NULL);
}
END_TEST

START_TEST(test_class_driver_without_lists)
{
	struct bundle_match match[BUNDLE_MATCHES];

	add("class.so", true, NULL, NULL);
	ck_assert_uint_eq(bundles_match(&bundles, 1, 2, 0x0B, match), 1);
	ck_assert_ptr_null(match[0].name);
}
END_TEST

static void put(const char *folder, const char *bundle, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "mkdir -p %s/%s/Contents", folder, bundle);
	ck_assert_int_eq(system(path), 0);
	if (!text)
		return;
	snprintf(path, sizeof(path), "%s/%s/Contents/Info.plist", folder, bundle);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(test_folder)
{
	char folder[] = "/tmp/bundle.XXXXXX";
	char command[256];

	ck_assert_ptr_nonnull(mkdtemp(folder));
	put(folder, "b.bundle", HEAD EXECUTABLE ONE TAIL);
	put(folder, "a.bundle", HEAD EXECUTABLE CLASS_NAME ONE TAIL);
	put(folder, "broken.bundle", "<plist><key>");
	put(folder, "empty.bundle", NULL);
	put(folder, "serial", HEAD EXECUTABLE ONE TAIL);
	free(said);
	capture_begin();
	ck_assert_int_eq(bundles_load(&bundles, folder), 0);
	said = capture_end();
	ck_assert_uint_eq(bundles.count, 2);
	ck_assert(bundles.list[0].class_driver);
	ck_assert_uint_eq(bundles.errors, 2);
	ck_assert_msg(
		strstr(said, "empty.bundle/Contents/Info.plist: No such file") != NULL, "%s", said);
	snprintf(command, sizeof(command), "%s/b.bundle/Contents/Linux/libx.so", folder);
	ck_assert_str_eq(bundles.list[1].library, command);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(bundles_load(&bundles, folder), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bundle");
	TCase *tests = tcase_create("plist");

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, test_plain);
	tcase_add_loop_test(tests, test_odd_file, 0, sizeof(odd_files) / sizeof(odd_files[0]));
	tcase_add_loop_test(
		tests, test_broken_file, 0, sizeof(broken_files) / sizeof(broken_files[0]));
	tcase_add_test(tests, test_wrong_number);
	tcase_add_test(tests, test_nul_byte);
	tcase_add_test(tests, test_match);
	tcase_add_test(tests, test_class_driver_without_lists);
	tcase_add_test(tests, test_folder);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
