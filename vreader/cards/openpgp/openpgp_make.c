/* SPDX-License-Identifier: BSD-3-Clause */
/* GENERATE ASYMMETRIC KEY PAIR (§7.2.14), and keys that come from outside (§4.4.3.12). */
#include "vreader/cards/openpgp/openpgp_parts.h"

/* Control reference templates (§7.2.10) in the order of enum pgp_key. */
static const uint32_t key_tags[PGP_KEYS] = { 0xB6, 0xB8, 0xA4 };

/* 7F49 { 81 modulus, 82 exponent } or { 86 point }. */
static bool put_public(struct ber_out *out, const struct crypto_key *key)
{
	uint8_t number[CRYPTO_RSA_MAX], exponent[CRYPTO_EXPONENT_MAX];
	size_t len, start = out->len;

	if (crypto_is_rsa(crypto_key_type(key))) {
		len = crypto_public_rsa(key, number, exponent);
		ber_put(out, 0x81, number, crypto_size(crypto_key_type(key)));
		ber_put(out, 0x82, exponent, len);
	} else {
		len = crypto_public_point(key, number);
		ber_put(out, 0x86, number, len);
	}
	ber_wrap(out, start, 0x7F49);
	return len > 0;
}

static bool key_tagged(uint32_t tag, enum pgp_key *which)
{
	for (int i = 0; i < PGP_KEYS; i++) {
		if (key_tags[i] == tag) {
			*which = (enum pgp_key)i;
			return true;
		}
	}
	return false;
}

/* P1 80 makes a key, 81 reads the public key of the one there is (§7.2.14). */
void pgp_generate(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	struct ber_out out = { .data = ans->data, .cap = APDU_DATA_MAX };
	struct crypto_key *key;
	enum pgp_key which;
	bool ok;

	if ((cmd->p1 != 0x80 && cmd->p1 != 0x81) || cmd->p2) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (cmd->nc < 2 || !key_tagged(cmd->data[0], &which)) {
		ans->sw = SW_WRONG_DATA;
		return;
	}
	if (cmd->p1 == 0x80 && !pgp_allowed(o, PGP_PW3)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	key = cmd->p1 == 0x80 ? applet_generate(applet, pgp_key_type(o, which), ans)
			      : pgp_key_load(o, which);
	if (!key) {
		ans->sw = cmd->p1 == 0x80 ? SW_MEMORY_FAILURE : SW_NO_SUCH_DATA;
		return;
	}
	ok = put_public(&out, key) &&
	     (cmd->p1 == 0x81 || pgp_key_keep(o, which, key, PGP_GENERATED));
	crypto_free(key);
	ans->len = out.len;
	ans->sw = ok ? SW_OK : SW_MEMORY_FAILURE;
}

/* The parts of a private key, by the last digit of their tags 91 to 99. */
struct parts {
	struct ber_item part[10];
};

/* 7F48 tells tags and lengths of what is strung together in 5F48. */
static bool split_parts(
	const struct ber_item *header, const struct ber_item *data, struct parts *parts)
{
	struct ber in = { header->value, header->len };
	const uint8_t *value = data->value;
	size_t left = data->len;
	struct ber_item next;

	*parts = (struct parts){ 0 };
	while (in.left) {
		if (!ber_next_header(&in, &next) || next.tag < 0x91 || next.tag > 0x99 ||
			next.len > left)
			return false;
		next.value = value;
		parts->part[next.tag - 0x90] = next;
		value += next.len;
		left -= next.len;
	}
	return true;
}

static struct crypto_key *key_from_parts(enum crypto_type type, const struct parts *parts)
{
	const struct ber_item *a = &parts->part[1], *b = &parts->part[2], *c = &parts->part[3];

	if (!b->value)
		return NULL;
	if (!crypto_is_rsa(type))
		return crypto_import_scalar(type, b->value, b->len);
	if (!a->value || !c->value)
		return NULL;
	return crypto_import_rsa(type, a->value, a->len, b->value, b->len, c->value, c->len);
}

/* Extended header list 4D { key, 7F48, 5F48 } (§4.4.3.12). */
static bool parse_import(const struct apdu_command *cmd, enum pgp_key *which, struct parts *parts)
{
	struct ber_item list, first, header, data;
	struct ber in;

	if (!ber_find(cmd->data, cmd->nc, 0x4D, &list))
		return false;
	in = (struct ber){ list.value, list.len };
	return ber_next(&in, &first) && key_tagged(first.tag, which) &&
	       ber_find(in.at, in.left, 0x7F48, &header) &&
	       ber_find(in.at, in.left, 0x5F48, &data) && split_parts(&header, &data, parts);
}

void pgp_import(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans)
{
	struct openpgp *o = (struct openpgp *)applet;
	struct crypto_key *key;
	struct parts parts;
	enum pgp_key which;

	if (cmd->p1 != 0x3F || cmd->p2 != 0xFF) {
		ans->sw = SW_WRONG_P1P2;
		return;
	}
	if (!pgp_allowed(o, PGP_PW3)) {
		ans->sw = SW_SECURITY_STATUS;
		return;
	}
	ans->sw = SW_WRONG_DATA;
	if (!parse_import(cmd, &which, &parts))
		return;
	key = key_from_parts(pgp_key_type(o, which), &parts);
	if (key)
		ans->sw = pgp_key_keep(o, which, key, PGP_IMPORTED) ? SW_OK : SW_MEMORY_FAILURE;
	crypto_free(key);
}
