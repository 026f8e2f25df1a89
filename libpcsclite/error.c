/* SPDX-License-Identifier: BSD-3-Clause */
/* Return codes in words. */
#include <stdint.h>
#include <stdio.h>

#include <winscard.h>

#define TEXT_SIZE 75 /* bytes, with the NUL */

struct phrase {
	uint32_t code;
	const char *text;
};

static const struct phrase phrases[] = {
	{ (uint32_t)SCARD_S_SUCCESS, "Command successful." },
	{ (uint32_t)SCARD_F_INTERNAL_ERROR, "Internal error." },
	{ (uint32_t)SCARD_E_CANCELLED, "Command cancelled." },
	{ (uint32_t)SCARD_E_INVALID_HANDLE, "Invalid handle." },
	{ (uint32_t)SCARD_E_INVALID_PARAMETER, "Invalid parameter given." },
	{ (uint32_t)SCARD_E_INVALID_TARGET, "Invalid target given." },
	{ (uint32_t)SCARD_E_NO_MEMORY, "Not enough memory." },
	{ (uint32_t)SCARD_F_WAITED_TOO_LONG, "Waited too long." },
	{ (uint32_t)SCARD_E_INSUFFICIENT_BUFFER, "Insufficient buffer." },
	{ (uint32_t)SCARD_E_UNKNOWN_READER, "Unknown reader specified." },
	{ (uint32_t)SCARD_E_TIMEOUT, "Command timeout." },
	{ (uint32_t)SCARD_E_SHARING_VIOLATION, "Sharing violation." },
	{ (uint32_t)SCARD_E_NO_SMARTCARD, "No smart card inserted." },
	{ (uint32_t)SCARD_E_UNKNOWN_CARD, "Unknown card." },
	{ (uint32_t)SCARD_E_CANT_DISPOSE, "Cannot dispose handle." },
	{ (uint32_t)SCARD_E_PROTO_MISMATCH, "Card protocol mismatch." },
	{ (uint32_t)SCARD_E_NOT_READY, "Subsystem not ready." },
	{ (uint32_t)SCARD_E_INVALID_VALUE, "Invalid value given." },
	{ (uint32_t)SCARD_E_SYSTEM_CANCELLED, "System cancelled." },
	{ (uint32_t)SCARD_F_COMM_ERROR, "RPC transport error." },
	{ (uint32_t)SCARD_F_UNKNOWN_ERROR, "Unknown error." },
	{ (uint32_t)SCARD_E_INVALID_ATR, "Invalid ATR." },
	{ (uint32_t)SCARD_E_NOT_TRANSACTED, "Transaction failed." },
	{ (uint32_t)SCARD_E_READER_UNAVAILABLE, "Reader is unavailable." },
	{ (uint32_t)SCARD_E_PCI_TOO_SMALL, "PCI struct too small." },
	{ (uint32_t)SCARD_E_READER_UNSUPPORTED, "Reader is unsupported." },
	{ (uint32_t)SCARD_E_DUPLICATE_READER, "Reader already exists." },
	{ (uint32_t)SCARD_E_CARD_UNSUPPORTED, "Card is unsupported." },
	{ (uint32_t)SCARD_E_NO_SERVICE, "Service not available." },
	{ (uint32_t)SCARD_E_SERVICE_STOPPED, "Service was stopped." },
	{ (uint32_t)SCARD_E_UNSUPPORTED_FEATURE, "Feature not supported." },
	{ (uint32_t)SCARD_E_NO_READERS_AVAILABLE, "Cannot find a smart card reader." },
	{ (uint32_t)SCARD_W_UNSUPPORTED_CARD, "Card is not supported." },
	{ (uint32_t)SCARD_W_UNRESPONSIVE_CARD, "Card is unresponsive." },
	{ (uint32_t)SCARD_W_UNPOWERED_CARD, "Card is unpowered." },
	{ (uint32_t)SCARD_W_RESET_CARD, "Card was reset." },
	{ (uint32_t)SCARD_W_REMOVED_CARD, "Card was removed." },
	{ (uint32_t)SCARD_W_SECURITY_VIOLATION, "Access denied." },
};

PCSC_API const char *pcsc_stringify_error(const LONG code)
{
	static _Thread_local char text[TEXT_SIZE];

	/* A code that was sign-extended to 64 bits is not one of ours, and is shown as it is. */
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if ((unsigned long)code == phrases[i].code) {
			snprintf(text, sizeof(text), "%s", phrases[i].text);
			return text;
		}
	}
	snprintf(text, sizeof(text), "Unknown error: 0x%08lX", (unsigned long)code);
	return text;
}
