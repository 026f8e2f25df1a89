/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtual card: ATR, PPS, T=0, T=1, APDU layer and the ISO 7816-4 file card. */
#include <stdio.h>
#include <stdlib.h>

#include "suite.h"
#include "vreader/cards/crypto.h"
#include "vreader_peer.h"

static struct peer *new_peer(unsigned protocols)
{
	struct card_options o = card_options_default;

	o.protocols = protocols;
	return peer_new(&o, iso_card_new());
}

/* At the APDU level. */
static const struct card_response *apdu(struct peer *p, const char *hex)
{
	uint8_t bytes[300];
	size_t n = 0;

	for (; *hex; hex += 2) {
		unsigned v;

		ck_assert_int_eq(sscanf(hex, "%2x", &v), 1);
		bytes[n++] = (uint8_t)v;
	}
	return card_exchange(p->card, bytes, n);
}

static uint16_t sw_of(const struct card_response *r)
{
	ck_assert_uint_ge(r->len, 2);
	return (uint16_t)(r->data[r->len - 2] << 8 | r->data[r->len - 1]);
}

static void expect_sw(struct peer *p, const char *hex, unsigned sw)
{
	unsigned got = sw_of(apdu(p, hex));

	ck_assert_msg(got == sw, "%s: %04X, expected %04X", hex, got, sw);
}

/* --- ATR and PPS */

static void check_atr(const struct card_options *o, const uint8_t *want, size_t want_len)
{
	struct card *card = card_new(o, iso_card_new());
	const uint8_t *atr;
	size_t n = card_power_on(card, &atr);

	ck_assert_uint_eq(n, want_len);
	ck_assert_mem_eq(atr, want, n);
	card_free(card);
}

START_TEST(test_atr)
{
	static const uint8_t t0[] = "\x3B\x1F\x95"
				    "CardwireVirtual";
	static const uint8_t t1[] = "\x3B\x9F\x95\x81\x31\xFE\x45"
				    "CardwireVirtual"
				    "\x7D";
	static const uint8_t both[] = "\x3B\x9F\x95\x80\x31\xFE\x45"
				      "CardwireVirtual"
				      "\x7C";
	/* TS T0 TA1 TC1 TD1 TA2 TD2 TA3 TB3 TC3 historical bytes TCK */
	static const uint8_t full[] = "\x3F\xDF\x18\x05\x91\x01\x71\x20\x72\x01"
				      "CardwireVirtual"
				      "\x0C";
	struct card_options o = card_options_default;

	o.protocols = CARD_T0;
	check_atr(&o, t0, sizeof(t0) - 1);
	o.protocols = CARD_T1;
	check_atr(&o, t1, sizeof(t1) - 1);
	o.protocols = CARD_T0 | CARD_T1;
	check_atr(&o, both, sizeof(both) - 1);
	o = (struct card_options){ .protocols = CARD_T1,
		.ta1 = 0x18,
		.specific = true,
		.inverse = true,
		.ifsc = 32,
		.crc = true,
		.wi = 10,
		.bwi = 7,
		.cwi = 2,
		.tc1 = 5 };
	check_atr(&o, full, sizeof(full) - 1);
}
END_TEST

START_TEST(test_pps)
{
	static const uint8_t t1_fast[] = { 0xFF, 0x11, 0x95, 0xFF ^ 0x11 ^ 0x95 };
	static const uint8_t t0_plain[] = { 0xFF, 0x00, 0xFF };
	static const uint8_t too_fast[] = { 0xFF, 0x11, 0x97, 0xFF ^ 0x11 ^ 0x97 };
	static const uint8_t bad_pck[] = { 0xFF, 0x11, 0x95, 0 };
	static const uint8_t no_t2[] = { 0xFF, 0x02, 0xFD };
	static const uint8_t select_mf[] = { 0x00, 0xA4, 0x00, 0x00, 0x02, 0x3F, 0x00 };
	struct peer *p = new_peer(CARD_T0 | CARD_T1);
	const uint8_t *atr;
	uint8_t in[300];

	ck_assert_uint_eq(peer_exchange(p, bad_pck, 4, in, sizeof(in)), 0);
	ck_assert_uint_eq(peer_exchange(p, no_t2, 3, in, sizeof(in)), 0);
	ck_assert_uint_eq(peer_exchange(p, t1_fast, 4, in, sizeof(in)), 4);
	ck_assert_mem_eq(in, t1_fast, 4);
	ck_assert_uint_eq(card_protocol(p->card), 1);
	/* It now hears at the new speed only. */
	ck_assert_uint_eq(peer_exchange(p, t0_plain, 3, in, sizeof(in)), 0);
	p->link.fidi = 0x95;
	peer_t1(p, select_mf, sizeof(select_mf));
	ck_assert_uint_eq(peer_sw(p), 0x9000);

	card_power_on(p->card, &atr);
	p->link.fidi = CARD_TA1_DEFAULT;
	ck_assert_uint_eq(card_protocol(p->card), 0);
	ck_assert_uint_eq(peer_exchange(p, too_fast, 4, in, sizeof(in)), 3);
	ck_assert_mem_eq(in, "\xFF\x01\xFE", 3);
	card_power_on(p->card, &atr);
	ck_assert_uint_eq(peer_exchange(p, t0_plain, 3, in, sizeof(in)), 3);
	peer_t0(p, select_mf, sizeof(select_mf));
	ck_assert_uint_eq(peer_sw(p), 0x610C);
	peer_free(p);
}
END_TEST

START_TEST(test_deaf_without_power_and_in_wrong_convention)
{
	static const uint8_t header[] = { 0x00, 0x84, 0x00, 0x00, 0x08 };
	struct peer *p = new_peer(CARD_T0);
	const uint8_t *atr;
	uint8_t in[300];

	p->link.inverse = true;
	ck_assert_uint_eq(peer_exchange(p, header, 5, in, sizeof(in)), 0);
	p->link.inverse = false;
	ck_assert_uint_eq(peer_exchange(p, header, 5, in, sizeof(in)), 1 + 8 + 2);
	card_power_off(p->card);
	ck_assert_uint_eq(peer_exchange(p, header, 5, in, sizeof(in)), 0);
	card_power_on(p->card, &atr);
	ck_assert_uint_eq(peer_exchange(p, header, 5, in, sizeof(in)), 1 + 8 + 2);
	peer_free(p);
}
END_TEST

/* --- APDU parsing and chaining */

START_TEST(test_apdu_cases)
{
	struct apdu_command c;
	uint8_t b[70000] = { 0x00, 0xA4, 0x04, 0x00 };

	ck_assert(!apdu_parse(b, 0, &c) && !apdu_parse(b, 3, &c));
	ck_assert(apdu_parse(b, 4, &c) && c.nc == 0 && c.ne == 0 && !c.extended);
	b[4] = 0;
	ck_assert(apdu_parse(b, 5, &c) && c.nc == 0 && c.ne == 256 && !c.extended);
	b[4] = 2;
	ck_assert(apdu_parse(b, 7, &c) && c.nc == 2 && c.ne == 0 && c.data == b + 5);
	ck_assert(apdu_parse(b, 8, &c) && c.nc == 2 && c.ne == 256);
	ck_assert(!apdu_parse(b, 6, &c) && !apdu_parse(b, 9, &c));
	b[4] = b[5] = b[6] = 0;
	ck_assert(!apdu_parse(b, 6, &c));
	ck_assert(apdu_parse(b, 7, &c) && c.ne == 65536 && c.extended);
	ck_assert(!apdu_parse(b, 8, &c));
	b[5] = b[6] = 0xFF;
	ck_assert(apdu_parse(b, 7 + 65535, &c) && c.nc == 65535 && c.ne == 0);
	ck_assert(apdu_parse(b, 7 + 65535 + 2, &c) && c.nc == 65535 && c.ne == 65536);
	ck_assert(!apdu_parse(b, 7 + 65535 + 1, &c));
}
END_TEST

START_TEST(test_command_chaining)
{
	struct peer *p = new_peer(CARD_T1);
	const struct card_response *r;

	expect_sw(p, "90EC0000021122", 0x9000);
	expect_sw(p, "90EC000002334400", 0x9000);
	r = apdu(p, "80EC0000015500");
	ck_assert_uint_eq(r->len, 5 + 2);
	ck_assert_mem_eq(r->data, "\x11\x22\x33\x44\x55\x90\x00", 7);
	expect_sw(p, "90EC00000166", 0x9000);
	expect_sw(p, "00A40000023F00", 0x6883);
	/* The chain is broken: what follows starts anew. */
	r = apdu(p, "80EC0000017700");
	ck_assert_uint_eq(r->len, 1 + 2);
	peer_free(p);
}
END_TEST

START_TEST(test_response_chaining)
{
	struct peer *p = new_peer(CARD_T1);
	const struct card_response *r = apdu(p, "80ED012C00");

	ck_assert_uint_eq(r->len, 256 + 2);
	ck_assert_uint_eq(sw_of(r), 0x612C);
	r = apdu(p, "00C0000010");
	ck_assert_uint_eq(r->len, 16 + 2);
	ck_assert_uint_eq(sw_of(r), 0x611C);
	r = apdu(p, "00C0000000");
	ck_assert_uint_eq(r->len, 0x1C + 2);
	ck_assert_uint_eq(sw_of(r), 0x9000);
	expect_sw(p, "00C0000000", 0x6985);
	peer_free(p);
}
END_TEST

/* An echo of n bytes in pieces of up to 255; returns the last SW. */
static unsigned envelope_echo(struct peer *p, size_t n, bool with_le)
{
	static uint8_t inner[APDU_COMMAND_MAX];
	size_t len = 7 + n + (with_le ? 2 : 0);

	memset(inner, 0x5A, sizeof(inner));
	memcpy(inner, "\x80\xEC\x00\x00\x00", 5);
	inner[5] = (uint8_t)(n >> 8);
	inner[6] = (uint8_t)n;
	inner[7 + n] = inner[8 + n] = 0;
	for (size_t at = 0; at < len;) {
		uint8_t tpdu[5 + 255] = { 0x00, 0xC2 };
		size_t piece = len - at > 255 ? 255 : len - at;

		tpdu[4] = (uint8_t)piece;
		memcpy(tpdu + 5, inner + at, piece);
		peer_t0(p, tpdu, 5 + piece);
		at += piece;
		if (at < len)
			ck_assert_uint_eq(peer_sw(p), 0x9000);
	}
	return peer_sw(p);
}

START_TEST(test_envelope_over_t0)
{
	static const uint8_t end[] = { 0x00, 0xC2, 0x00, 0x00, 0x00 };
	static const uint8_t get[] = { 0x00, 0xC0, 0x00, 0x00, 0x00 };
	struct peer *p = new_peer(CARD_T0);

	/* Case 4E ends with its Le, whatever the last piece's size. */
	ck_assert_uint_eq(envelope_echo(p, 300, true), 0x6100);
	peer_t0(p, get, 5);
	ck_assert_uint_eq(p->len, 258);
	ck_assert_uint_eq(peer_sw(p), 0x612C);
	ck_assert_uint_eq(envelope_echo(p, 255 - 9, true), 0x61F6);
	peer_t0(p, get, 5);
	ck_assert_uint_eq(peer_sw(p), 0x6CF6);
	/* The empty piece behind a command that has run takes nothing away. */
	peer_t0(p, end, 5);
	ck_assert_uint_eq(peer_sw(p), 0x9000);
	peer_t0(p, (const uint8_t *)"\x00\xC0\x00\x00\xF6", 5);
	ck_assert_uint_eq(p->len, 0xF6 + 2);
	/* Case 3E in full pieces ends with the empty one. */
	ck_assert_uint_eq(envelope_echo(p, 2 * 255 - 7, false), 0x9000);
	peer_t0(p, end, 5);
	ck_assert_uint_eq(peer_sw(p), 0x9000);
	/* What does not parse when it ends is no command. */
	peer_t0(p, (const uint8_t *)"\x00\xC2\x00\x00\x02\x00\xA4", 7);
	peer_t0(p, end, 5);
	ck_assert_uint_eq(peer_sw(p), 0x6700);
	peer_free(p);
}
END_TEST

static void talk(struct card_app *app, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	(void)app;
	(void)cmd;
	memset(ans->data, 0x5A, 300);
	ans->len = 300;
	ans->sw = SW_OK;
	ans->unasked = true;
}

static void nothing(struct card_app *app)
{
	(void)app;
}

static bool takes_none(const struct card_app *app, uint8_t cla, uint8_t ins)
{
	(void)app;
	(void)cla;
	(void)ins;
	return false;
}

/* A command without Le whose answer has data all the same: an ENVELOPE cannot carry them back. */
START_TEST(test_envelope_answered_unasked)
{
	static const struct card_app_ops ops = {
		.reset = nothing, .takes_data = takes_none, .process = talk, .free = nothing
	};
	static const uint8_t wrapped[] = { 0, 0xC2, 0, 0, 8, 0, 1, 0, 0, 0, 0, 1, 0x55 };
	struct card_options o = card_options_default;
	struct card_app app = { .ops = &ops };
	struct peer *p;

	o.protocols = CARD_T0;
	p = peer_new(&o, &app);
	peer_t0(p, wrapped, sizeof(wrapped));
	ck_assert_uint_eq(peer_sw(p), 0x6100);
	peer_t0(p, (const uint8_t *)"\x00\xC0\x00\x00\x00", 5);
	ck_assert_uint_eq(p->len, 258);
	ck_assert_uint_eq(peer_sw(p), 0x612C);
	peer_free(p);
}
END_TEST

/* --- The file card */

START_TEST(test_select)
{
	struct peer *p = new_peer(CARD_T1);
	const struct card_response *r = apdu(p, "00A40004023F0000");

	ck_assert_uint_eq(sw_of(r), 0x9000);
	ck_assert_uint_eq(r->data[0], 0x62);
	ck_assert_uint_eq(r->data[1], r->len - 4);
	r = apdu(p, "00A4000000");
	ck_assert_uint_eq(r->data[0], 0x6F);
	expect_sw(p, "00A4000C022F00", 0x9000);
	expect_sw(p, "00A4000C025001", 0x6A82); /* not a child of the MF */
	expect_sw(p, "00A4080C0450005001", 0x9000);
	expect_sw(p, "00A4000C025002", 0x9000); /* sibling */
	expect_sw(p, "00A4030C", 0x9000);
	expect_sw(p, "00A4020C025000", 0x6A82);
	expect_sw(p, "00A4010C025000", 0x9000);
	expect_sw(p, "00A4090C025003", 0x9000);
	expect_sw(p, "00A4040C09F04361726477697265", 0x9000);
	expect_sw(p, "00A4040C03F04361", 0x9000);
	expect_sw(p, "00A4040C02F044", 0x6A82);
	expect_sw(p, "00A4040E09F04361726477697265", 0x6A82); /* next occurrence */
	expect_sw(p, "00A4050C023F00", 0x6A86);
	expect_sw(p, "00A4080C03500050", 0x6A82);
	expect_sw(p, "00A4000C013F", 0x6A82);
	peer_free(p);
}
END_TEST

START_TEST(test_binary)
{
	struct peer *p = new_peer(CARD_T1);
	const struct card_response *r;

	expect_sw(p, "00B0000000", 0x6986);
	expect_sw(p, "00A4080C0450005001", 0x9000);
	r = apdu(p, "00B0000000");
	ck_assert_uint_eq(r->len, 258);
	ck_assert_uint_eq(r->data[255], 255);
	r = apdu(p, "00B000FC08");
	ck_assert_uint_eq(r->len, 4 + 2);
	ck_assert_uint_eq(sw_of(r), 0x6282);
	r = apdu(p, "00B000FC00");
	ck_assert_uint_eq(sw_of(r), 0x9000);
	expect_sw(p, "00B0010000", 0x6B00);
	expect_sw(p, "00B00000", 0x6700);
	expect_sw(p, "00D600FE02AABB", 0x9000);
	expect_sw(p, "00D600FF02AABB", 0x6A84);
	r = apdu(p, "00B000FE02");
	ck_assert_mem_eq(r->data, "\xAA\xBB", 2);
	r = apdu(p, "00B082000000007FFF"); /* wrong form */
	ck_assert_uint_eq(sw_of(r), 0x6700);
	r = apdu(p, "00B08200000000"); /* SFI 2, extended Le: all of it */
	ck_assert_uint_eq(r->len, 32768 + 2);
	ck_assert_uint_eq(r->data[0x1234], 0x12 ^ 0x34);
	expect_sw(p, "00B0A00000", 0x6A86);
	expect_sw(p, "00B0870000", 0x6A82);
	expect_sw(p, "00A4000C025003", 0x9000);
	expect_sw(p, "00B0000000", 0x6981);
	peer_free(p);
}
END_TEST

START_TEST(test_records)
{
	struct peer *p = new_peer(CARD_T1);
	const struct card_response *r;

	expect_sw(p, "00A4080C0450005003", 0x9000);
	r = apdu(p, "00B2020400");
	ck_assert_uint_eq(r->len, 20 + 2);
	ck_assert_uint_eq(r->data[0], 'B');
	r = apdu(p, "00B2090500"); /* all from the 9th */
	ck_assert_uint_eq(r->len, 40 + 2);
	expect_sw(p, "00B20B0400", 0x6A83);
	expect_sw(p, "00B2000400", 0x6A83);
	expect_sw(p, "00B2010000", 0x6A86);
	expect_sw(p, "00DC0304143030303030303030303030303030303030303030", 0x9000);
	r = apdu(p, "00B2031C00"); /* SFI 3 */
	ck_assert_uint_eq(r->data[19], '0');
	expect_sw(p, "00DC03040130", 0x6700);
	expect_sw(p, "00A4000C025001", 0x9000);
	expect_sw(p, "00B2010400", 0x6981);
	peer_free(p);
}
END_TEST

START_TEST(test_verify)
{
	struct peer *p = new_peer(CARD_T1);
	const uint8_t *atr;

	expect_sw(p, "00A4080C0450005004", 0x9000);
	expect_sw(p, "00B0000000", 0x6982);
	expect_sw(p, "00200081", 0x63C3);
	expect_sw(p, "0020008106313131313131", 0x63C2);
	expect_sw(p, "0020008106313233343536", 0x9000);
	expect_sw(p, "00200081", 0x9000);
	expect_sw(p, "00B0000000", 0x9000);
	/* A reset forgets the PIN, but not what was tried before. */
	expect_sw(p, "0020008106313131313131", 0x63C2);
	card_power_on(p->card, &atr);
	expect_sw(p, "00200081", 0x63C2);
	expect_sw(p, "002000010131", 0x63C1);
	expect_sw(p, "002000010131", 0x63C0);
	expect_sw(p, "0020008106313233343536", 0x6983);
	expect_sw(p, "00200082", 0x6A88);
	expect_sw(p, "00200181", 0x6A86);
	peer_free(p);
}
END_TEST

START_TEST(test_challenge_follows_the_seed)
{
	uint8_t first[16];

	for (int i = 0; i < 2; i++) {
		const struct card_response *r;
		struct peer *p;

		ck_assert(crypto_seed("word"));
		p = new_peer(CARD_T1);
		r = apdu(p, "0084000010");
		ck_assert_uint_eq(r->len, sizeof(first) + 2);
		if (i == 0)
			memcpy(first, r->data, sizeof(first));
		ck_assert_mem_eq(r->data, first, sizeof(first));
		peer_free(p);
	}
}
END_TEST

START_TEST(test_other_commands)
{
	struct peer *p = new_peer(CARD_T1);
	const struct card_response *r = apdu(p, "0084000010");
	uint8_t first[16];

	ck_assert_uint_eq(r->len, 18);
	memcpy(first, r->data, 16);
	r = apdu(p, "0084000010");
	ck_assert_mem_ne(first, r->data, 16);
	expect_sw(p, "00840000", 0x6700);
	expect_sw(p, "00AB0000", 0x6D00);
	expect_sw(p, "A0A40000", 0x6E00);
	expect_sw(p, "FFA40000", 0x6E00);
	expect_sw(p, "00A4", 0x6700);
	r = apdu(p, "80EE012C00");
	ck_assert_uint_eq(r->delay_ms, 300);
	r = apdu(p, "80EF0000");
	ck_assert(r->mute);
	expect_sw(p, "80EC0000", 0x9000);
	peer_free(p);
}
END_TEST

/* --- T=0 */

START_TEST(test_t0_lengths)
{
	struct peer *p = new_peer(CARD_T0);
	uint8_t tpdu[5 + 255] = { 0x80, 0xEC, 0, 0 };
	uint8_t get[] = { 0x00, 0xC0, 0, 0, 0 };

	for (unsigned n = 1; n <= 255; n++) {
		tpdu[4] = (uint8_t)n;
		for (unsigned i = 0; i < n; i++)
			tpdu[5 + i] = (uint8_t)(n + i);
		peer_t0(p, tpdu, 5 + n);
		ck_assert_uint_eq(peer_sw(p), 0x6100 | n);
		get[4] = 0;
		peer_t0(p, get, 5);
		ck_assert_uint_eq(peer_sw(p), 0x6C00 | n);
		get[4] = (uint8_t)n;
		peer_t0(p, get, 5);
		ck_assert_uint_eq(p->len, n + 2);
		ck_assert_mem_eq(p->buffer, tpdu + 5, n);
		ck_assert_uint_eq(peer_sw(p), 0x9000);
	}
	peer_free(p);
}
END_TEST

START_TEST(test_t0_details)
{
	static const uint8_t pattern[] = { 0x80, 0xED, 0x01, 0x10, 0x00 };
	static const uint8_t wait[] = { 0x80, 0xEE, 0x06, 0x40, 0x00 };
	static const uint8_t bad_ins[] = { 0x00, 0x62, 0, 0, 0 };
	static const uint8_t mute[] = { 0x80, 0xEF, 0, 0, 0 };
	static const uint8_t too_much[] = { 0x00, 0xB0, 0x9D, 0x00, 0xFF };
	struct peer *p = new_peer(CARD_T0);
	uint8_t in[300];

	peer_t0(p, pattern, 5);
	ck_assert_uint_eq(p->len, 258);
	ck_assert_uint_eq(peer_sw(p), 0x6110);
	peer_t0(p, wait, 5);
	ck_assert_uint_eq(peer_sw(p), 0x9000);
	ck_assert_uint_eq(p->waited_ms, 1600);
	ck_assert_uint_eq(p->extensions, 3);
	peer_t0(p, bad_ins, 5);
	ck_assert_uint_eq(peer_sw(p), 0x6D00);
	peer_t0(p, too_much, 5);
	ck_assert_uint_eq(peer_sw(p), 0x6C00 | 34);
	ck_assert_uint_eq(peer_exchange(p, mute, 5, in, sizeof(in)), 0);
	peer_t0(p, wait, 5);
	peer_free(p);
}
END_TEST

START_TEST(test_t0_byte_by_byte)
{
	static const uint8_t echo[] = { 0x80, 0xEC, 0, 0, 4, 1, 2, 3, 4 };
	static const uint8_t get[] = { 0x00, 0xC0, 0, 0, 4 };
	struct card_options o = card_options_default;
	struct peer *p;

	o.protocols = CARD_T0;
	o.t0_single = true;
	p = peer_new(&o, iso_card_new());
	peer_t0(p, echo, sizeof(echo));
	ck_assert_uint_eq(peer_sw(p), 0x6104);
	peer_t0(p, get, sizeof(get));
	ck_assert_mem_eq(p->buffer, "\1\2\3\4\x90\x00", 6);
	peer_free(p);
}
END_TEST

/* --- T=1 */

START_TEST(test_t1_lengths)
{
	static const size_t lengths[] = { 1, 2, 25, 26, 249, 250, 254, 255, 256, 257, 258, 1000,
		65535 };
	struct card_options o = card_options_default;
	static uint8_t cmd[APDU_COMMAND_MAX];
	struct peer *p;

	o.protocols = CARD_T1;
	o.crc = _i & 1;
	o.ifsc = _i & 2 ? 32 : 254;
	p = peer_new(&o, iso_card_new());
	if (_i & 4) {
		uint8_t in[259], ifsd = 254;

		ck_assert_int_eq(peer_block(p, 0xC1, &ifsd, 1, in), 1);
		ck_assert_uint_eq(in[1], 0xE1);
		ck_assert_uint_eq(in[3], 254);
		p->ifsd = 254;
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t n = lengths[i];

		memcpy(cmd, "\x80\xEC\x00\x00\x00", 5);
		cmd[5] = (uint8_t)(n >> 8);
		cmd[6] = (uint8_t)n;
		for (size_t k = 0; k < n; k++)
			cmd[7 + k] = (uint8_t)(k * 7 + n);
		cmd[7 + n] = cmd[8 + n] = 0;
		peer_t1(p, cmd, 9 + n);
		ck_assert_uint_eq(p->len, n + 2);
		ck_assert_mem_eq(p->buffer, cmd + 7, n);
		ck_assert_uint_eq(peer_sw(p), 0x9000);
	}
	peer_free(p);
}
END_TEST

START_TEST(test_t1_wtx)
{
	static const uint8_t wait[] = { 0x80, 0xEE, 0x08, 0x98, 0x00 };
	struct card_options o = card_options_default;
	struct peer *p = new_peer(CARD_T1);

	peer_t1(p, wait, sizeof(wait));
	ck_assert_uint_eq(peer_sw(p), 0x9000);
	ck_assert_uint_eq(p->extensions, 3);
	ck_assert_uint_eq(p->waited_ms, 2200);
	peer_free(p);

	o.protocols = CARD_T1;
	o.wtx_every = 2;
	p = peer_new(&o, iso_card_new());
	for (int i = 0; i < 6; i++)
		peer_t1(p, wait, 4);
	ck_assert_uint_eq(p->waited_ms, 6 * 2200);
	ck_assert_uint_eq(p->extensions, 6 * 3);
	for (int i = 0; i < 6; i++)
		peer_t1(p, (const uint8_t *)"\x80\xEC\0\0", 4);
	ck_assert_uint_eq(p->extensions, 6 * 3 + 3);
	peer_free(p);
}
END_TEST

START_TEST(test_t1_errors)
{
	static const uint8_t select_mf[] = { 0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00 };
	uint8_t block[] = { 0, 0, 7, 0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00, 0 };
	uint8_t in[259];
	struct peer *p = new_peer(CARD_T1);

	/* Wrong EDC, then a block cut short: nothing was executed, R-blocks say why. */
	ck_assert_uint_eq(peer_exchange(p, block, sizeof(block), in, sizeof(in)), 4);
	ck_assert_uint_eq(in[1], 0x81);
	ck_assert_uint_eq(peer_exchange(p, block, 6, in, sizeof(in)), 4);
	ck_assert_uint_eq(in[1], 0x82);
	/* Wrong N(S). */
	peer_block(p, 0x40, select_mf, sizeof(select_mf), in);
	ck_assert_uint_eq(in[1], 0x82);
	/* R-block asks for the last block again: here it is an R-block. */
	peer_block(p, 0x80, NULL, 0, in);
	ck_assert_uint_eq(in[1], 0x82);
	peer_t1(p, select_mf, sizeof(select_mf));
	ck_assert_uint_eq(peer_sw(p), 0x9000);
	/* And here an I-block, as often as it is asked for. */
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(peer_block(p, 0x80 | 0x01, NULL, 0, in), 2);
		ck_assert_uint_eq(in[1], 0x00);
	}
	peer_t1(p, select_mf, sizeof(select_mf));
	ck_assert_uint_eq(peer_sw(p), 0x9000);
	/* S-blocks that nobody asked for, or that carry nonsense. */
	peer_block(p, 0xE3, (const uint8_t *)"\1", 1, in);
	ck_assert_uint_eq(in[1] & 0xEF, 0x82);
	peer_block(p, 0xC1, (const uint8_t *)"\0", 1, in);
	ck_assert_uint_eq(in[1] & 0xEF, 0x82);
	peer_block(p, 0xDF, NULL, 0, in);
	ck_assert_uint_eq(in[1] & 0xEF, 0x82);
	peer_free(p);
}
END_TEST

START_TEST(test_t1_resynch_and_abort)
{
	static const uint8_t pattern[] = { 0x80, 0xED, 0x00, 0xC8, 0x00 };
	uint8_t in[259];
	struct peer *p = new_peer(CARD_T1);

	/* In the middle of a chained answer. */
	ck_assert_int_eq(peer_block(p, 0x00, pattern, 5, in), 32);
	ck_assert_uint_eq(in[1], 0x20);
	ck_assert_int_eq(peer_block(p, 0xC0, NULL, 0, in), 0);
	ck_assert_uint_eq(in[1], 0xE0);
	peer_t1(p, pattern, 5);
	ck_assert_uint_eq(p->len, 202);

	ck_assert_int_eq(peer_block(p, 0xC0, NULL, 0, in), 0);
	p->ns = p->nr = 0;
	ck_assert_int_eq(peer_block(p, 0x00, pattern, 5, in), 32);
	ck_assert_int_eq(peer_block(p, 0xC2, NULL, 0, in), 0);
	ck_assert_uint_eq(in[1], 0xE2);
	p->ns = p->nr = 1;
	peer_t1(p, pattern, 5);
	ck_assert_uint_eq(p->len, 202);
	peer_free(p);
}
END_TEST

START_TEST(test_t1_nad)
{
	uint8_t block[7 + 2] = { 0x21, 0x00, 4, 0x80, 0xEC, 0, 0 };
	struct peer *p = new_peer(CARD_T1);
	uint8_t in[259];

	peer_edc(p, block, 7);
	ck_assert_uint_eq(peer_exchange(p, block, 8, in, sizeof(in)), 3 + 2 + 1);
	ck_assert_uint_eq(in[0], 0x12);
	peer_free(p);
}
END_TEST

START_TEST(test_mute_at_each_protocol)
{
	static const uint8_t mute[] = { 0x80, 0xEF, 0, 0 };
	uint8_t in[259];
	struct peer *p = new_peer(CARD_T1);

	ck_assert_int_eq(peer_block(p, 0x00, mute, 4, in), -1);
	peer_free(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_card");
	TCase *tc = tcase_create("card");

	tcase_add_test(tc, test_atr);
	tcase_add_test(tc, test_pps);
	tcase_add_test(tc, test_deaf_without_power_and_in_wrong_convention);
	tcase_add_test(tc, test_apdu_cases);
	tcase_add_test(tc, test_command_chaining);
	tcase_add_test(tc, test_response_chaining);
	tcase_add_test(tc, test_envelope_over_t0);
	tcase_add_test(tc, test_envelope_answered_unasked);
	tcase_add_test(tc, test_select);
	tcase_add_test(tc, test_binary);
	tcase_add_test(tc, test_records);
	tcase_add_test(tc, test_verify);
	tcase_add_test(tc, test_challenge_follows_the_seed);
	tcase_add_test(tc, test_other_commands);
	tcase_add_test(tc, test_t0_lengths);
	tcase_add_test(tc, test_t0_details);
	tcase_add_test(tc, test_t0_byte_by_byte);
	tcase_add_loop_test(tc, test_t1_lengths, 0, 8);
	tcase_add_test(tc, test_t1_wtx);
	tcase_add_test(tc, test_t1_errors);
	tcase_add_test(tc, test_t1_resynch_and_abort);
	tcase_add_test(tc, test_t1_nad);
	tcase_add_test(tc, test_mute_at_each_protocol);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
