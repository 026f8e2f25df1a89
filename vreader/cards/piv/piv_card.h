/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PIV application, shared by the files that make it up: piv.c (selection and the table of
 * commands), piv_auth.c (PIN, PUK, management key), piv_data.c (data objects), piv_key.c (the keys'
 * memory), piv_crypto.c (keys in use), piv_manage.c (Yubico's commands).
 */
#ifndef CARDWIRE_VREADER_CARDS_PIV_CARD_H
#define CARDWIRE_VREADER_CARDS_PIV_CARD_H

#include "vreader/cards/ber.h"
#include "vreader/cards/crypto.h"
#include "vreader/cards/piv/piv.h"

enum {
	PIV_PIN_LEN = 8,
	PIV_BLOCK_MAX = 16,
	PIV_MANAGEMENT_MAX = 32,

	/* Algorithm identifiers (SP 800-78-4 table 6-2; 3072 bits on are Yubico's, from 5.7). */
	PIV_3DES = 0x03,
	PIV_RSA3072 = 0x05,
	PIV_RSA1024 = 0x06,
	PIV_RSA2048 = 0x07,
	PIV_AES128 = 0x08,
	PIV_AES192 = 0x0A,
	PIV_AES256 = 0x0C,
	PIV_P256 = 0x11,
	PIV_P384 = 0x14,
	PIV_RSA4096 = 0x16,
	PIV_ED25519 = 0xE0,
	PIV_X25519 = 0xE1,

	/* Key references (SP 800-73-4 part 1 table 4b). */
	PIV_REF_PIN = 0x80,
	PIV_REF_PUK = 0x81,
	PIV_REF_RETIRED_FIRST = 0x82,
	PIV_REF_RETIRED_LAST = 0x95,
	PIV_REF_AUTHENTICATION = 0x9A,
	PIV_REF_MANAGEMENT = 0x9B,
	PIV_REF_SIGNATURE = 0x9C,
	PIV_REF_KEY_MANAGEMENT = 0x9D,
	PIV_REF_CARD_AUTHENTICATION = 0x9E,

	PIV_POLICY_DEFAULT = 0,
	PIV_POLICY_NEVER = 1,
	PIV_POLICY_ONCE = 2,
	PIV_POLICY_ALWAYS = 3,

	PIV_TRIES = 3,
	PIV_TRIES_MAX = 15, /* what 63Cx can say */
};

/* Authentication with the management key, between its two commands. */
enum piv_step {
	PIV_STEP_NONE,
	PIV_STEP_CHALLENGE, /* the host has a challenge of ours (external authenticate) */
	PIV_STEP_WITNESS,   /* the host has a witness of ours (mutual authenticate) */
};

struct piv {
	struct applet applet;
	struct state *state;
	/* Lost when another application is selected. */
	bool pin_verified;
	bool pin_fresh; /* and not used for a key that wants it each time */
	bool managed;   /* authenticated with the management key */
	enum piv_step step;
	uint8_t challenge[PIV_BLOCK_MAX];
};

/* Puts what a new card holds into the state. False: no random numbers. */
bool piv_start_afresh(struct piv *piv);

/* --- piv_auth.c */

struct piv_management {
	uint8_t algorithm;
	enum crypto_cipher cipher;
	uint8_t key[PIV_MANAGEMENT_MAX];
	size_t len;
	uint8_t touch; /* policy, kept and shown only: there is nothing to touch */
};

/* PIN or PUK (the references), as it is now. */
struct piv_secret {
	uint8_t value[PIV_PIN_LEN];
	uint8_t tries; /* allowed */
	uint8_t left;
};

void piv_secret_get(const struct piv *piv, uint8_t reference, struct piv_secret *secret);
/* Back to the value of a new card, with that many tries. */
void piv_secret_reset(struct piv *piv, uint8_t reference, uint8_t tries);
bool piv_secret_is_default(const struct piv_secret *secret, uint8_t reference);
void piv_management_get(const struct piv *piv, struct piv_management *management);
/* False: no such algorithm, or another length of its key. */
bool piv_management_put(
	struct piv *piv, uint8_t algorithm, uint8_t touch, const uint8_t *key, size_t len);
bool piv_management_is_default(const struct piv_management *management);
void piv_verify(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_change_reference(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_reset_retry(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
/* GENERAL AUTHENTICATE with key 9B; objects: what 7C holds. */
void piv_management_authenticate(struct piv *piv, const struct apdu_command *cmd,
	const struct ber_item *objects, struct apdu_answer *ans);

/* --- piv_data.c */

/* CHUID and CCC with numbers of their own. False: no random numbers. */
bool piv_data_defaults(struct piv *piv);
void piv_get_data(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_put_data(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);

/* --- piv_key.c */

/* A private key as it lies in the state. */
struct piv_key {
	uint8_t algorithm;
	uint8_t pin_policy;
	uint8_t touch_policy; /* kept and shown only */
	bool imported;
	struct crypto_key *key; /* freed by who holds the struct */
};

/* CRYPTO_NONE: no such algorithm for key pairs. */
enum crypto_type piv_key_type(uint8_t algorithm);
/* Whether it is a reference of a key pair. */
bool piv_key_reference(uint8_t reference);
/* False: none in this slot. */
bool piv_key_get(const struct piv *piv, uint8_t reference, struct piv_key *key);
/* False: libcrypto cannot write it down. */
bool piv_key_put(struct piv *piv, uint8_t reference, const struct piv_key *key);
/* The policies that come with a new key (AA, AB). False: not known. */
bool piv_key_policies(struct piv_key *key, const uint8_t *objects, size_t len);
/* Appends the public key as in 7F49: 81 modulus and 82 exponent, or 86 point. False: libcrypto
 * cannot. */
bool piv_key_public(const struct piv_key *key, struct ber_out *out);

/* --- piv_crypto.c */

void piv_generate(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_general_authenticate(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);

/* --- piv_manage.c */

void piv_import(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_set_management(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_set_retries(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_get_metadata(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_get_version(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_get_serial(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void piv_factory_reset(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);

#endif
