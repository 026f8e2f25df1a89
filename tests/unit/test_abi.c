/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public headers against what programs were compiled with: sizes, offsets, values. Numbers are
 * those of pcsc-lite on a 64-bit machine, from its documentation; the layout of pointers and longs
 * is only checked there.
 */
#include <stddef.h>
#include <string.h>

#include <winscard.h>
#include <reader.h>
#include <ifdhandler.h>
#include <debuglog.h>

#include "suite.h"

#define CODE(name, low)                                                                            \
	{                                                                                          \
		name, low, #name                                                                   \
	}

static const struct {
	LONG code;
	unsigned long low;
	const char *name;
} codes[] = {
	CODE(SCARD_F_INTERNAL_ERROR, 0x01),
	CODE(SCARD_E_CANCELLED, 0x02),
	CODE(SCARD_E_INVALID_HANDLE, 0x03),
	CODE(SCARD_E_INVALID_PARAMETER, 0x04),
	CODE(SCARD_E_INVALID_TARGET, 0x05),
	CODE(SCARD_E_NO_MEMORY, 0x06),
	CODE(SCARD_F_WAITED_TOO_LONG, 0x07),
	CODE(SCARD_E_INSUFFICIENT_BUFFER, 0x08),
	CODE(SCARD_E_UNKNOWN_READER, 0x09),
	CODE(SCARD_E_TIMEOUT, 0x0A),
	CODE(SCARD_E_SHARING_VIOLATION, 0x0B),
	CODE(SCARD_E_NO_SMARTCARD, 0x0C),
	CODE(SCARD_E_UNKNOWN_CARD, 0x0D),
	CODE(SCARD_E_CANT_DISPOSE, 0x0E),
	CODE(SCARD_E_PROTO_MISMATCH, 0x0F),
	CODE(SCARD_E_NOT_READY, 0x10),
	CODE(SCARD_E_INVALID_VALUE, 0x11),
	CODE(SCARD_E_SYSTEM_CANCELLED, 0x12),
	CODE(SCARD_F_COMM_ERROR, 0x13),
	CODE(SCARD_F_UNKNOWN_ERROR, 0x14),
	CODE(SCARD_E_INVALID_ATR, 0x15),
	CODE(SCARD_E_NOT_TRANSACTED, 0x16),
	CODE(SCARD_E_READER_UNAVAILABLE, 0x17),
	CODE(SCARD_P_SHUTDOWN, 0x18),
	CODE(SCARD_E_PCI_TOO_SMALL, 0x19),
	CODE(SCARD_E_READER_UNSUPPORTED, 0x1A),
	CODE(SCARD_E_DUPLICATE_READER, 0x1B),
	CODE(SCARD_E_CARD_UNSUPPORTED, 0x1C),
	CODE(SCARD_E_NO_SERVICE, 0x1D),
	CODE(SCARD_E_SERVICE_STOPPED, 0x1E),
	CODE(SCARD_E_UNEXPECTED, 0x1F),
	CODE(SCARD_E_UNSUPPORTED_FEATURE, 0x1F),
	CODE(SCARD_E_ICC_INSTALLATION, 0x20),
	CODE(SCARD_E_ICC_CREATEORDER, 0x21),
	CODE(SCARD_E_DIR_NOT_FOUND, 0x23),
	CODE(SCARD_E_FILE_NOT_FOUND, 0x24),
	CODE(SCARD_E_NO_DIR, 0x25),
	CODE(SCARD_E_NO_FILE, 0x26),
	CODE(SCARD_E_NO_ACCESS, 0x27),
	CODE(SCARD_E_WRITE_TOO_MANY, 0x28),
	CODE(SCARD_E_BAD_SEEK, 0x29),
	CODE(SCARD_E_INVALID_CHV, 0x2A),
	CODE(SCARD_E_UNKNOWN_RES_MSG, 0x2B),
	CODE(SCARD_E_UNKNOWN_RES_MNG, 0x2B),
	CODE(SCARD_E_NO_SUCH_CERTIFICATE, 0x2C),
	CODE(SCARD_E_CERTIFICATE_UNAVAILABLE, 0x2D),
	CODE(SCARD_E_NO_READERS_AVAILABLE, 0x2E),
	CODE(SCARD_E_COMM_DATA_LOST, 0x2F),
	CODE(SCARD_E_NO_KEY_CONTAINER, 0x30),
	CODE(SCARD_E_SERVER_TOO_BUSY, 0x31),
	CODE(SCARD_W_UNSUPPORTED_CARD, 0x65),
	CODE(SCARD_W_UNRESPONSIVE_CARD, 0x66),
	CODE(SCARD_W_UNPOWERED_CARD, 0x67),
	CODE(SCARD_W_RESET_CARD, 0x68),
	CODE(SCARD_W_REMOVED_CARD, 0x69),
	CODE(SCARD_W_SECURITY_VIOLATION, 0x6A),
	CODE(SCARD_W_WRONG_CHV, 0x6B),
	CODE(SCARD_W_CHV_BLOCKED, 0x6C),
	CODE(SCARD_W_EOF, 0x6D),
	CODE(SCARD_W_CANCELLED_BY_USER, 0x6E),
	CODE(SCARD_W_CARD_NOT_AUTHENTICATED, 0x6F),
};

START_TEST(return_codes)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		ck_assert_msg(
			((unsigned long)codes[i].code & 0xFFFFFFFF) == (0x80100000 | codes[i].low),
			"%s", codes[i].name);
		/* Positive where a long has 64 bits; programs compare with constants of their own. */
		ck_assert_msg(sizeof(LONG) < 8 || codes[i].code > 0, "%s", codes[i].name);
	}
	ck_assert_int_eq(SCARD_S_SUCCESS, 0);
}
END_TEST

START_TEST(client_layout)
{
	ck_assert_uint_eq(sizeof(BYTE), 1);
	ck_assert_uint_eq(sizeof(BOOL), 2);
	ck_assert_uint_eq(sizeof(WORD), 2);
	if (sizeof(long) != 8)
		return;
	ck_assert_uint_eq(sizeof(DWORD), 8);
	ck_assert_uint_eq(sizeof(LONG), 8);
	ck_assert_uint_eq(sizeof(SCARDHANDLE), 8);
	ck_assert_uint_eq(sizeof(SCARD_READERSTATE), 80);
	ck_assert_uint_eq(offsetof(SCARD_READERSTATE, szReader), 0);
	ck_assert_uint_eq(offsetof(SCARD_READERSTATE, pvUserData), 8);
	ck_assert_uint_eq(offsetof(SCARD_READERSTATE, dwCurrentState), 16);
	ck_assert_uint_eq(offsetof(SCARD_READERSTATE, dwEventState), 24);
	ck_assert_uint_eq(offsetof(SCARD_READERSTATE, cbAtr), 32);
	ck_assert_uint_eq(offsetof(SCARD_READERSTATE, rgbAtr), 40);
	ck_assert_uint_eq(sizeof(SCARD_IO_REQUEST), 16);
	ck_assert_uint_eq(offsetof(SCARD_IO_REQUEST, cbPciLength), 8);
	ck_assert_uint_eq(SCARD_AUTOALLOCATE, 0xFFFFFFFFFFFFFFFF);
}
END_TEST

START_TEST(driver_layout)
{
	if (sizeof(long) != 8)
		return;
	ck_assert_uint_eq(sizeof(SCARD_IO_HEADER), 16);
	ck_assert_uint_eq(sizeof(DEVICE_CAPABILITIES), 136);
	ck_assert_uint_eq(sizeof(ICC_STATE), 36);
	ck_assert_uint_eq(sizeof(PROTOCOL_OPTIONS), 88);
	ck_assert_uint_eq(sizeof(RESPONSECODE), 8);
}
END_TEST

START_TEST(pin_layout)
{
	ck_assert_uint_eq(sizeof(PCSC_TLV_STRUCTURE), 6);
	ck_assert_uint_eq(sizeof(PIN_VERIFY_STRUCTURE), 19);
	ck_assert_uint_eq(offsetof(PIN_VERIFY_STRUCTURE, wPINMaxExtraDigit), 5);
	ck_assert_uint_eq(offsetof(PIN_VERIFY_STRUCTURE, wLangId), 9);
	ck_assert_uint_eq(offsetof(PIN_VERIFY_STRUCTURE, bTeoPrologue), 12);
	ck_assert_uint_eq(offsetof(PIN_VERIFY_STRUCTURE, ulDataLength), 15);
	ck_assert_uint_eq(offsetof(PIN_VERIFY_STRUCTURE, abData), 19);
	ck_assert_uint_eq(sizeof(PIN_MODIFY_STRUCTURE), 24);
	ck_assert_uint_eq(offsetof(PIN_MODIFY_STRUCTURE, wPINMaxExtraDigit), 7);
	ck_assert_uint_eq(offsetof(PIN_MODIFY_STRUCTURE, wLangId), 12);
	ck_assert_uint_eq(offsetof(PIN_MODIFY_STRUCTURE, bTeoPrologue), 17);
	ck_assert_uint_eq(offsetof(PIN_MODIFY_STRUCTURE, ulDataLength), 20);
	ck_assert_uint_eq(sizeof(PIN_PROPERTIES_STRUCTURE), 4);
}
END_TEST

START_TEST(some_values)
{
	ck_assert_uint_eq(MAX_BUFFER_SIZE_EXTENDED, 65548);
	ck_assert_uint_eq(CM_IOCTL_GET_FEATURE_REQUEST, 0x42000D48);
	ck_assert_uint_eq(SCARD_ATTR_ATR_STRING, 0x00090303);
	ck_assert_uint_eq(SCARD_ATTR_DEVICE_FRIENDLY_NAME, 0x7FFF0003);
	ck_assert_uint_eq(SCARD_ATTR_POWER_MGMT_SUPPORT, 0x00040131);
	ck_assert_uint_eq(SCARD_ATTR_CURRENT_EBC_ENCODING, 0x0008020B);
	ck_assert_uint_eq(SCARD_ATTR_MAXINPUT, 0x0007A007);
	ck_assert_uint_eq(SCARD_PROTOCOL_ANY, 3);
	ck_assert_uint_eq(SCARD_STATE_UNPOWERED, 0x400);
	ck_assert_uint_eq(SCARD_SPECIFIC, 0x40);
	ck_assert_uint_eq(TAG_IFD_POLLING_THREAD_WITH_TIMEOUT, 0x0FB3);
	ck_assert_uint_eq(IFD_ERROR_INSUFFICIENT_BUFFER, 618);
	ck_assert_uint_eq(g_rgSCardT0Pci.dwProtocol, SCARD_PROTOCOL_T0);
	ck_assert_uint_eq(g_rgSCardT1Pci.dwProtocol, SCARD_PROTOCOL_T1);
	ck_assert_uint_eq(SCARD_PCI_RAW->dwProtocol, SCARD_PROTOCOL_RAW);
	ck_assert_uint_eq(SCARD_PCI_RAW->cbPciLength, sizeof(SCARD_IO_REQUEST));
}
END_TEST

START_TEST(errors_in_words)
{
	char first[75];

	ck_assert_str_eq(pcsc_stringify_error(SCARD_E_TIMEOUT), "Command timeout.");
	ck_assert_str_eq(pcsc_stringify_error(0x12), "Unknown error: 0x00000012");
	if (sizeof(long) == 8)
		ck_assert_str_eq(
			pcsc_stringify_error(-0x7FEFFFF6L), "Unknown error: 0xFFFFFFFF8010000A");
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		ck_assert_uint_lt(strlen(pcsc_stringify_error(codes[i].code)), sizeof(first));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("abi");
	TCase *tcase = tcase_create("headers");

	tcase_add_test(tcase, return_codes);
	tcase_add_test(tcase, client_layout);
	tcase_add_test(tcase, driver_layout);
	tcase_add_test(tcase, pin_layout);
	tcase_add_test(tcase, some_values);
	tcase_add_test(tcase, errors_in_words);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
