/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PKCS #15 application, shared by its files: pkcs15.c (files and commands), pkcs15_pin.c (PINs),
 * pkcs15_profile.c (what is in the files), pkcs15_cert.c (the certificate), pkcs15_sign.c (the key).
 */
#ifndef CARDWIRE_VREADER_CARDS_PKCS15_CARD_H
#define CARDWIRE_VREADER_CARDS_PKCS15_CARD_H

#include "vreader/cards/ber.h"
#include "vreader/cards/crypto.h"
#include "vreader/cards/pkcs15/pkcs15.h"

enum pkcs15_file {
	PKCS15_MF,
	PKCS15_DIR,
	PKCS15_DF,
	PKCS15_ODF,
	PKCS15_TOKEN_INFO,
	PKCS15_AOD,
	PKCS15_PRKD,
	PKCS15_CD,
	PKCS15_DOD,
	PKCS15_CERTIFICATE,
	PKCS15_DATA,
	PKCS15_PROTECTED,
	PKCS15_FILES,

	PKCS15_FILE_MAX = 1024, /* bytes in an EF */
	PKCS15_PIN_MIN = 4,
	PKCS15_PIN_MAX = 12,
	PKCS15_PIN = 1, /* references */
	PKCS15_PUK = 2,
	PKCS15_KEY = 1,
	PKCS15_SERIAL_LEN = 8,
};

struct pkcs15_content {
	uint8_t data[PKCS15_FILE_MAX];
	size_t len;
};

struct pkcs15 {
	struct applet applet;
	struct state *state;
	struct pkcs15_content content[PKCS15_FILES]; /* of EFs; never changes */
	enum pkcs15_file df;
	enum pkcs15_file ef; /* PKCS15_MF: none */
	bool verified;
	bool key_chosen; /* MANAGE SECURITY ENVIRONMENT has named the key for signatures */
	bool hashes;     /* and an algorithm by which the card hashes what it signs */
};

extern const uint8_t pkcs15_aid[12];

/* Fills in all EFs. False: one is too large, or libcrypto fails. */
bool pkcs15_profile(struct pkcs15 *p15);

/* A certificate that a P-256 key has signed for itself. Returns its length; 0: libcrypto fails. */
size_t pkcs15_make_certificate(const uint8_t serial[PKCS15_SERIAL_LEN],
	const struct crypto_key *key, uint8_t der[PKCS15_FILE_MAX]);

void pkcs15_verify(struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pkcs15_change_reference(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pkcs15_reset_retry(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);

/* pkcs15_sign.c: MANAGE SECURITY ENVIRONMENT, PERFORM SECURITY OPERATION. */
void pkcs15_manage_security(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);
void pkcs15_perform_security(
	struct applet *applet, const struct apdu_command *cmd, struct apdu_answer *ans);

#endif
