/* SPDX-License-Identifier: BSD-3-Clause */
#include "pinpad.h"

#include <string.h>

#include "ifd-ccid/bytes.h"
#include "iso7816/apdu.h"
#include "spec/ccid.h"
#include "spec/part10.h"

enum {
	HEADER = 4,
	MAX_SHORT_NC = 255,
	RFU_TYPE = 3,
};

/* A number of the structure, which comes from a host of either byte order. */
static uint16_t number16(const uint8_t *p, bool big)
{
	return big ? be16(p) : le16(p);
}

/* Whether ulDataLength at AT says what is there. */
static bool take_length(const uint8_t *bytes, size_t len, size_t at, bool *big)
{
	size_t rest = len - at - 4;

	*big = le32(bytes + at) != rest;
	return !*big || be32(bytes + at) == rest;
}

static const char *take_verify(const uint8_t *b, size_t len, struct pinpad_entry *entry)
{
	bool big;

	if (len < PART10_VERIFY_abData + HEADER)
		return "the structure is too short";
	if (!take_length(b, len, PART10_VERIFY_ulDataLength, &big))
		return "ulDataLength";
	*entry = (struct pinpad_entry){
		.bTimeOut = b[PART10_VERIFY_bTimeOut],
		.bmFormatString = b[PART10_VERIFY_bmFormatString],
		.bmPINBlockString = b[PART10_VERIFY_bmPINBlockString],
		.bmPINLengthFormat = b[PART10_VERIFY_bmPINLengthFormat],
		.min = (uint8_t)(number16(b + PART10_VERIFY_wPINMaxExtraDigit, big) >> 8),
		.max = (uint8_t)number16(b + PART10_VERIFY_wPINMaxExtraDigit, big),
		.bEntryValidationCondition = b[PART10_VERIFY_bEntryValidationCondition],
		.bNumberMessage = b[PART10_VERIFY_bNumberMessage],
		.wLangId = number16(b + PART10_VERIFY_wLangId, big),
		.bMsgIndex = { b[PART10_VERIFY_bMsgIndex] },
		.apdu = b + PART10_VERIFY_abData,
		.apdu_len = len - PART10_VERIFY_abData,
	};
	if (entry->bNumberMessage > 1 && entry->bNumberMessage != CCID_PIN_MESSAGES_DEFAULT)
		return "bNumberMessage";
	return NULL;
}

static const char *take_modify(const uint8_t *b, size_t len, struct pinpad_entry *entry)
{
	bool big;

	if (len < PART10_MODIFY_abData + HEADER)
		return "the structure is too short";
	if (!take_length(b, len, PART10_MODIFY_ulDataLength, &big))
		return "ulDataLength";
	*entry = (struct pinpad_entry){
		.modify = true,
		.bTimeOut = b[PART10_MODIFY_bTimeOut],
		.bmFormatString = b[PART10_MODIFY_bmFormatString],
		.bmPINBlockString = b[PART10_MODIFY_bmPINBlockString],
		.bmPINLengthFormat = b[PART10_MODIFY_bmPINLengthFormat],
		.bInsertionOffsetOld = b[PART10_MODIFY_bInsertionOffsetOld],
		.bInsertionOffsetNew = b[PART10_MODIFY_bInsertionOffsetNew],
		.min = (uint8_t)(number16(b + PART10_MODIFY_wPINMaxExtraDigit, big) >> 8),
		.max = (uint8_t)number16(b + PART10_MODIFY_wPINMaxExtraDigit, big),
		.bConfirmPIN = b[PART10_MODIFY_bConfirmPIN],
		.bEntryValidationCondition = b[PART10_MODIFY_bEntryValidationCondition],
		.bNumberMessage = b[PART10_MODIFY_bNumberMessage],
		.wLangId = number16(b + PART10_MODIFY_wLangId, big),
		.bMsgIndex = { b[PART10_MODIFY_bMsgIndex1], b[PART10_MODIFY_bMsgIndex2],
			b[PART10_MODIFY_bMsgIndex3] },
		.apdu = b + PART10_MODIFY_abData,
		.apdu_len = len - PART10_MODIFY_abData,
	};
	if (entry->bConfirmPIN & ~CCID_PIN_CONFIRM_MASK)
		return "bConfirmPIN";
	if (entry->bNumberMessage > 3 && entry->bNumberMessage != CCID_PIN_MESSAGES_DEFAULT)
		return "bNumberMessage";
	return NULL;
}

/* The command has to have room for data or none at all: *NC bytes of it. */
static const char *check_apdu(const struct pinpad_entry *entry, bool extended, size_t *nc)
{
	struct apdu apdu;

	*nc = 0;
	/* A header, and perhaps an Lc that counts the PIN still to come. */
	if (entry->apdu_len == HEADER ||
		(entry->apdu_len == HEADER + 1 && entry->apdu[HEADER] == 0))
		return NULL;
	if (!apdu_parse(entry->apdu, entry->apdu_len, &apdu) || apdu.nc == 0)
		return "abData is no command with data";
	if (apdu_is_extended(&apdu) && !extended)
		return "abData is an extended APDU, which the reader doesn't take";
	*nc = apdu.nc;
	return NULL;
}

/* All in bits from the first byte of the command's data; a digit has WIDTH of them. */
struct block {
	size_t at;
	size_t size; /* 0: as the digits need */
	size_t width;
	size_t length_at;
	size_t length_size;
};

static struct block block_of(const struct pinpad_entry *entry, size_t offset)
{
	uint8_t format = entry->bmFormatString;
	uint8_t length = entry->bmPINLengthFormat;
	size_t at =
		(size_t)(format & CCID_PIN_FORMAT_POSITION_MASK) >> CCID_PIN_FORMAT_POSITION_SHIFT;
	size_t length_at = length & CCID_PIN_LENGTH_POSITION_MASK;

	return (struct block){
		.at = 8 * offset + (format & CCID_PIN_FORMAT_BYTES ? 8 * at : at),
		.size = 8 * (size_t)(entry->bmPINBlockString & CCID_PIN_BLOCK_SIZE_MASK),
		.width = (format & CCID_PIN_FORMAT_TYPE_MASK) == CCID_PIN_FORMAT_BCD ? 4 : 8,
		.length_at =
			8 * offset + (length & CCID_PIN_LENGTH_BYTES ? 8 * length_at : length_at),
		.length_size = entry->bmPINBlockString >> CCID_PIN_BLOCK_LENGTH_SHIFT,
	};
}

/* Bits that the longest possible entry takes from the start of the block. */
static size_t block_used(const struct pinpad_entry *entry, const struct block *block)
{
	size_t digits = block->size / block->width;

	if (entry->bmFormatString & CCID_PIN_FORMAT_RIGHT)
		return block->size;
	return (entry->max < digits ? entry->max : digits) * block->width;
}

/*
 * Where the block would lie in NC bytes of data. Its end may lie behind them as long as no digit
 * does: hosts give the size of their whole data field for it, whatever precedes the digits. Where
 * there are no data at all the reader makes them.
 */
static const char *check_place(const struct pinpad_entry *entry, size_t offset, size_t nc)
{
	struct block block = block_of(entry, offset);
	size_t bits = nc ? 8 * nc : SIZE_MAX;

	if (block.length_size && block.length_at + block.length_size > bits)
		return "bmPINLengthFormat: the length lies behind the data";
	if (block.length_size < 8 && block.length_size && entry->min >> block.length_size)
		return "bmPINBlockString: the length field is too small";
	if (block.size == 0)
		return block.at > bits ? "bmFormatString: the PIN lies behind the data" : NULL;
	if (entry->min * block.width > block.size)
		return "bmPINBlockString: the shortest PIN doesn't fit";
	if (block.at + block_used(entry, &block) > bits)
		return "bmFormatString: the PIN lies behind the data";
	return NULL;
}

static const char *check_places(const struct pinpad_entry *entry, size_t nc)
{
	struct block old = block_of(entry, entry->bInsertionOffsetOld);
	struct block new = block_of(entry, entry->bInsertionOffsetNew);
	const char *wrong;

	if (!entry->modify)
		return check_place(entry, 0, nc);
	wrong = check_place(entry, entry->bInsertionOffsetNew, nc);
	if (wrong || !(entry->bConfirmPIN & CCID_PIN_CONFIRM_OLD))
		return wrong;
	wrong = check_place(entry, entry->bInsertionOffsetOld, nc);
	if (wrong)
		return wrong;
	if (nc && old.at < new.at + block_used(entry, &new) &&
		new.at < old.at + block_used(entry, &old))
		return "bInsertionOffsetNew: old and new PIN overlap";
	return NULL;
}

static const char *check_format(const struct pinpad_entry *entry)
{
	if ((entry->bmFormatString & CCID_PIN_FORMAT_TYPE_MASK) == RFU_TYPE)
		return "bmFormatString";
	if (entry->bmPINLengthFormat & CCID_PIN_LENGTH_RFU_MASK)
		return "bmPINLengthFormat";
	if (entry->min > entry->max)
		return "wPINMaxExtraDigit";
	return NULL;
}

const char *pinpad_parse(
	bool modify, const uint8_t *bytes, size_t len, bool extended, struct pinpad_entry *entry)
{
	const char *wrong =
		modify ? take_modify(bytes, len, entry) : take_verify(bytes, len, entry);
	size_t nc;

	if (!wrong)
		wrong = check_format(entry);
	if (!wrong)
		wrong = check_apdu(entry, extended, &nc);
	if (!wrong)
		wrong = check_places(entry, nc);
	if (!wrong && nc <= MAX_SHORT_NC && pinpad_longest(entry) > APDU_SHORT_COMMAND)
		wrong = "wPINMaxExtraDigit: the command gets too long";
	/* Hosts leave it 0 for whatever is usual, or have more bits, which some firmware doesn't survive. */
	if (!wrong && (entry->bEntryValidationCondition == 0 ||
			      entry->bEntryValidationCondition & ~CCID_PIN_VALID_MASK))
		entry->bEntryValidationCondition = CCID_PIN_VALID_KEY;
	return wrong;
}

unsigned pinpad_entries(const struct pinpad_entry *entry)
{
	if (!entry->modify)
		return 1;
	return 1U + (entry->bConfirmPIN & CCID_PIN_CONFIRM_NEW ? 1 : 0) +
	       (entry->bConfirmPIN & CCID_PIN_CONFIRM_OLD ? 1 : 0);
}

bool pinpad_grows(const struct pinpad_entry *entry)
{
	return (entry->bmPINBlockString & CCID_PIN_BLOCK_SIZE_MASK) == 0;
}

size_t pinpad_longest(const struct pinpad_entry *entry)
{
	size_t pins = entry->modify && entry->bConfirmPIN & CCID_PIN_CONFIRM_OLD ? 2 : 1;
	struct block block = block_of(entry, 0);
	size_t bits = block.size ? block.at + block.size : entry->max * block.width;

	if (!pinpad_grows(entry) && entry->apdu_len > HEADER + 1)
		return entry->apdu_len;
	/* A command of a header only gets an Lc. */
	return entry->apdu_len + (entry->apdu_len == HEADER ? 1 : 0) + pins * ((bits + 7) / 8);
}

uint8_t pinpad_validation(
	const struct pinpad_entry *entry, const struct quirk_set *quirks, uint8_t known)
{
	uint8_t wanted = entry->bEntryValidationCondition;

	if (quirks->has[QUIRK_PIN_VALIDATION])
		return (uint8_t)quirks->pin_validation;
	known &= CCID_PIN_VALID_MASK;
	if (known == 0 || wanted & known)
		return known ? wanted & known : wanted;
	/* None of those wanted: the next best way to end. */
	return known & CCID_PIN_VALID_KEY ? CCID_PIN_VALID_KEY : known;
}

static uint8_t messages(const struct pinpad_entry *entry, const struct quirk_set *quirks)
{
	if (!entry->modify)
		return quirks->has[QUIRK_PIN_VERIFY_MESSAGES] ? (uint8_t)quirks->pin_verify_messages
							      : entry->bNumberMessage;
	if (quirks->has[QUIRK_PIN_MODIFY_MESSAGES])
		return (uint8_t)quirks->pin_modify_messages;
	if (quirks->has[QUIRK_PIN_MODIFY_NO_MESSAGES] && entry->bNumberMessage == 0)
		return (uint8_t)quirks->pin_modify_no_messages;
	return entry->bNumberMessage;
}

static void put_digits(
	const struct pinpad_entry *entry, const struct quirk_set *quirks, uint8_t *out)
{
	out[0] = quirks->pin_swap_extra_digit ? entry->min : entry->max;
	out[1] = quirks->pin_swap_extra_digit ? entry->max : entry->min;
}

/* The quirk is for PINs that are appended; a block of a size stays what the host wants. */
static bool has_no_block(const struct pinpad_entry *entry, const struct quirk_set *quirks)
{
	return quirks->pin_block_zero && pinpad_grows(entry);
}

static size_t put_verify(const struct pinpad_entry *entry, const struct quirk_set *quirks,
	uint8_t known, uint8_t *out)
{
	bool zero = has_no_block(entry, quirks);

	out[0] = CCID_PIN_OPERATION_VERIFY;
	out[CCID_PIN_VERIFY_bTimeOut] = entry->bTimeOut;
	out[CCID_PIN_VERIFY_bmFormatString] = entry->bmFormatString;
	out[CCID_PIN_VERIFY_bmPINBlockString] = zero ? 0 : entry->bmPINBlockString;
	out[CCID_PIN_VERIFY_bmPINLengthFormat] = zero ? 0 : entry->bmPINLengthFormat;
	put_digits(entry, quirks, out + CCID_PIN_VERIFY_wPINMaxExtraDigit);
	out[CCID_PIN_VERIFY_bEntryValidationCondition] = pinpad_validation(entry, quirks, known);
	out[CCID_PIN_VERIFY_bNumberMessage] = messages(entry, quirks);
	put_le16(out + CCID_PIN_VERIFY_wLangId, entry->wLangId);
	out[CCID_PIN_VERIFY_bMsgIndex] = entry->bMsgIndex[0];
	return CCID_PIN_VERIFY_bTeoPrologue;
}

/* The second and third index are there as bNumberMessage asks for them (CCID 1.1 §6.1.11.2). */
static size_t put_indexes(const struct pinpad_entry *entry, const struct quirk_set *quirks,
	uint8_t number, uint8_t *out)
{
	bool all = quirks->pin_modify_indexes != QUIRK_PIN_INDEXES_AS_NEEDED;
	bool zero = quirks->pin_modify_indexes == QUIRK_PIN_INDEXES_ALL_ZERO && number == 0;
	size_t count = number == 0 ? 1 : number < 3 ? 2 : 3;

	if (all)
		count = 3;
	for (size_t i = 0; i < count; i++)
		out[i] = zero ? 0 : entry->bMsgIndex[i];
	return count;
}

static size_t put_modify(const struct pinpad_entry *entry, const struct quirk_set *quirks,
	uint8_t known, uint8_t *out)
{
	bool zero = has_no_block(entry, quirks);
	uint8_t number = messages(entry, quirks);

	out[0] = CCID_PIN_OPERATION_MODIFY;
	out[CCID_PIN_MODIFY_bTimeOut] = entry->bTimeOut;
	out[CCID_PIN_MODIFY_bmFormatString] = entry->bmFormatString;
	out[CCID_PIN_MODIFY_bmPINBlockString] = zero ? 0 : entry->bmPINBlockString;
	out[CCID_PIN_MODIFY_bmPINLengthFormat] = zero ? 0 : entry->bmPINLengthFormat;
	out[CCID_PIN_MODIFY_bInsertionOffsetOld] = entry->bInsertionOffsetOld;
	out[CCID_PIN_MODIFY_bInsertionOffsetNew] = entry->bInsertionOffsetNew;
	put_digits(entry, quirks, out + CCID_PIN_MODIFY_wPINMaxExtraDigit);
	out[CCID_PIN_MODIFY_bConfirmPIN] = entry->bConfirmPIN;
	out[CCID_PIN_MODIFY_bEntryValidationCondition] = pinpad_validation(entry, quirks, known);
	out[CCID_PIN_MODIFY_bNumberMessage] = number;
	put_le16(out + CCID_PIN_MODIFY_wLangId, entry->wLangId);
	return CCID_PIN_MODIFY_bMsgIndex1 +
	       put_indexes(entry, quirks, number, out + CCID_PIN_MODIFY_bMsgIndex1);
}

size_t pinpad_build(const struct pinpad_entry *entry, const struct quirk_set *quirks, uint8_t known,
	const uint8_t prologue[3], uint8_t *out, size_t max)
{
	uint8_t head[CCID_PIN_MODIFY_bMsgIndex1 + 3 + 3];
	size_t len = entry->modify ? put_modify(entry, quirks, known, head)
				   : put_verify(entry, quirks, known, head);

	memcpy(head + len, prologue, 3);
	len += 3;
	if (len > max || entry->apdu_len > max - len)
		return 0;
	memcpy(out, head, len);
	memcpy(out + len, entry->apdu, entry->apdu_len);
	return len + entry->apdu_len;
}
