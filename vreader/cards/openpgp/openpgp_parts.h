/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the OpenPGP applet share: openpgp.c has the commands, openpgp_pin.c the
 * passwords, openpgp_data.c the data objects, openpgp_key.c the kinds of keys and where they lie,
 * openpgp_make.c their making, openpgp_use.c their use. Clauses are those of the OpenPGP card
 * specification 3.4.
 */
#ifndef CARDWIRE_VREADER_CARDS_OPENPGP_PARTS_H
#define CARDWIRE_VREADER_CARDS_OPENPGP_PARTS_H

#include "vreader/cards/app.h"
#include "vreader/cards/ber.h"
#include "vreader/cards/crypto.h"

enum {
	PGP_KEYS = 3,
	PGP_CERTIFICATES = 3,
	PGP_PIN_MAX = 127,
	PGP_TRIES = 3,
	PGP_CHALLENGE_MAX = 255,
	PGP_CERTIFICATE_MAX = 8192,
	PGP_SPECIAL_MAX = 2048, /* login data, URL, private use */
	PGP_APDU_MAX = 10240,   /* told to hosts */
};

/* What VERIFY has shown, by its P2; each is its own bit. */
enum pgp_access {
	PGP_ALWAYS = 0,
	PGP_PW1_SIGN = 1 << 0,  /* 81 */
	PGP_PW1_OTHER = 1 << 1, /* 82 */
	PGP_PW3 = 1 << 2,       /* 83 */
	PGP_NEVER = 1 << 3,
};

enum pgp_key {
	PGP_SIGN,
	PGP_DECRYPT,
	PGP_AUTHENTICATE,
};

/* As key information has it (§4.4.3.8). */
enum pgp_origin {
	PGP_ABSENT,
	PGP_GENERATED,
	PGP_IMPORTED,
};

struct openpgp {
	struct applet applet;
	struct state *state;
	unsigned verified; /* PGP_ bits */
	/* Which key DECIPHER and INTERNAL AUTHENTICATE use (§7.2.18). */
	enum pgp_key decrypt_key;
	enum pgp_key authenticate_key;
	uint8_t certificate; /* occurrence of 7F21 that SELECT DATA has chosen */
};

static inline bool pgp_allowed(const struct openpgp *o, enum pgp_access access)
{
	return (o->verified & access) == access;
}

/* --- openpgp_pin.c: §7.2.2 to §7.2.4 --- */
void pgp_verify(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pgp_change_pin(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pgp_reset_pin(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
/* PW status bytes (§4.3.1 C4), 7 of them. */
void pgp_pin_status(const struct openpgp *o, struct ber_out *out);
/* Their first one: whether PW1 is good for several signatures. */
uint16_t pgp_pin_put_status(struct openpgp *o, const uint8_t *data, size_t len);
/* The resetting code; none when len is 0. */
uint16_t pgp_pin_put_code(struct openpgp *o, const uint8_t *data, size_t len);
/* The KDF object, whose hashes of the first passwords become the passwords (§4.3.2). */
uint16_t pgp_pin_put_kdf(struct openpgp *o, const uint8_t *data, size_t len);
/* Whether PW3 has no tries left: anyone may then terminate. */
bool pgp_pin_blocked(const struct openpgp *o);

/* --- openpgp_data.c: §4.4, §7.2.6 to §7.2.9 --- */
void pgp_get_data(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pgp_get_next_data(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pgp_select_data(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pgp_put_data(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);

/* --- openpgp_make.c: §7.2.14, §4.4.3.12 --- */
void pgp_generate(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pgp_import(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);

/* --- openpgp_use.c: §7.2.10 to §7.2.13, §7.2.18 --- */
void pgp_security_operation(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pgp_authenticate(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pgp_manage_keys(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);

/* --- openpgp_key.c --- */
/* What its algorithm attributes say it is. */
enum crypto_type pgp_key_type(const struct openpgp *o, enum pgp_key which);
/* The caller frees it; NULL: there is none. */
struct crypto_key *pgp_key_load(const struct openpgp *o, enum pgp_key which);
/* The key is copied. False: libcrypto cannot write it down. */
bool pgp_key_keep(struct openpgp *o, enum pgp_key which, const struct crypto_key *key,
	enum pgp_origin origin);
/* Algorithm attributes (§4.4.3.9) of a key. */
void pgp_key_attributes(const struct openpgp *o, enum pgp_key which, struct ber_out *out);
/* Those of another algorithm forget the key. */
uint16_t pgp_key_put_attributes(
	struct openpgp *o, enum pgp_key which, const uint8_t *data, size_t len);
/* All that could be put, C1 to C3 (§4.4.3.11). */
void pgp_key_choices(struct ber_out *out);
/* Key information (§4.4.3.8): absent, generated or imported. */
void pgp_key_information(const struct openpgp *o, struct ber_out *out);
/* How many signatures the key has made: 3 bytes (93). */
void pgp_signature_counter(const struct openpgp *o, struct ber_out *out);
/* One more. */
void pgp_count_signature(struct openpgp *o);

#endif
