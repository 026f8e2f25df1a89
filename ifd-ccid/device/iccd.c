/* SPDX-License-Identifier: BSD-3-Clause */
#include "iccd.h"

#include <string.h>

#include "ifd-ccid/bytes.h"
#include "ifd-ccid/deadline.h"
#include "spec/usb.h"

enum {
	MAX_READ = 4096,    /* bytes in one data stage */
	MIN_READ = 4,       /* of version B: the longest answer that carries no data */
	BUSY_MS = 10,       /* version A: between two looks at a busy card */
	POLL_UNIT_MS = 10,  /* version B: unit of the wait it asks for */
	MAX_WAIT_MS = 1000, /* between two questions, whatever it asks for */
	TPDU_HEADER = 5,
};

bool iccd_is(const struct ccid_interface *interface)
{
	return !interface->bulk_in;
}

static bool is_version_a(const struct io *io)
{
	return io->device->interface.bInterfaceProtocol == CCID_PROTOCOL_ICCD_A;
}

/* One class request. For IN, LEN bytes of room in DATA; *ACTUAL of them have come. */
static enum ccid_result request(struct io *io, uint8_t number, bool in, uint16_t value,
	uint8_t *data, size_t len, size_t *actual)
{
	struct device *device = io->device;
	uint8_t setup[USB_SETUP_SIZE] = { (uint8_t)((in ? USB_DIR_IN : USB_DIR_OUT) |
						    USB_TYPE_CLASS | USB_RECIP_INTERFACE),
		number };
	int64_t deadline = deadline_min(deadline_in_ms(io->patience.timeout_ms), io->patience.end);

	put_le16(setup + USB_SETUP_wValue, value);
	put_le16(setup + USB_SETUP_wIndex, device->interface.bInterfaceNumber);
	put_le16(setup + USB_SETUP_wLength, (uint16_t)len);
	switch (device_control(device, setup, data, actual, deadline,
		number == ICCD_REQ_XFR_BLOCK || number == ICCD_REQ_DATA_BLOCK ? &io->secrecy
									      : NULL)) {
	case PORT_OK:
		return CCID_OK;
	case PORT_GONE:
		device_removed(device);
		return CCID_GONE;
	case PORT_TIMEOUT:
		return CCID_TIMEOUT;
	default:
		return CCID_GARBLED;
	}
}

/* Waits before the next question; ends early when the call is aborted or the device is gone. */
static enum ccid_result wait_ms(struct io *io, int64_t ms)
{
	int64_t deadline = deadline_in_ms(ms < MAX_WAIT_MS ? ms : MAX_WAIT_MS);
	enum ccid_result result = CCID_OK;

	pthread_mutex_lock(&io->device->lock);
	while (!io->aborting && !io->device->gone)
		if (deadline_cond_wait(&io->cond, &io->device->lock, deadline) != 0)
			break;
	if (io->device->gone)
		result = CCID_GONE;
	else if (io->aborting)
		result = CCID_ABORTED;
	pthread_mutex_unlock(&io->device->lock);
	if (result == CCID_OK && deadline_now() >= io->patience.end)
		result = CCID_TIMEOUT;
	return result;
}

static enum ccid_result refuse(struct ccid_answer *answer, uint8_t icc, uint8_t bError)
{
	answer->bStatus = (uint8_t)(CCID_COMMAND_FAILED | icc);
	answer->bError = bError;
	return CCID_REFUSED;
}

/* Version A: the status, once it isn't busy any more. */
static enum ccid_result status_a(struct io *io, uint8_t *status)
{
	enum ccid_result result;
	size_t actual;

	for (;;) {
		result = request(io, ICCD_REQ_GET_ICC_STATUS_A, true, 0, status, 1, &actual);
		if (result == CCID_OK && actual != 1)
			result = CCID_GARBLED;
		if (result != CCID_OK || !(*status & ICCD_A_STATUS_BUSY))
			return result;
		result = wait_ms(io, BUSY_MS);
		if (result != CCID_OK)
			return result;
	}
}

/* Reads LEN bytes behind what *ANSWER holds: at T=0 both sides know how many there are. */
static enum ccid_result read_a(struct io *io, size_t len, struct ccid_answer *answer)
{
	size_t actual;
	enum ccid_result result = request(
		io, ICCD_REQ_DATA_BLOCK, true, 0, io->answer_bytes + answer->len, len, &actual);

	answer->len += actual;
	return result == CCID_OK && actual != len ? CCID_GARBLED : result;
}

/*
 * Version A at T=0: the header; then, as the status says, data to the card or from it; then SW1 SW2.
 * COMMAND is a TPDU of 4, 5 or 5 + P3 bytes.
 */
static enum ccid_result transfer_a(
	struct io *io, const struct ccid_command *command, struct ccid_answer *answer)
{
	uint8_t *tpdu = io->out_bytes;
	size_t len = command->len;
	size_t ne;
	enum ccid_result result;
	uint8_t status;

	memset(tpdu, 0, TPDU_HEADER);
	memcpy(tpdu, command->data, len);
	ne = tpdu[TPDU_HEADER - 1] ? tpdu[TPDU_HEADER - 1] : 256;
	result = request(io, ICCD_REQ_XFR_BLOCK, false, 0, tpdu, TPDU_HEADER, NULL);
	if (result == CCID_OK)
		result = status_a(io, &status);
	if (result == CCID_OK && status & ICCD_A_STATUS_READY_FOR_DATA) {
		if (len > TPDU_HEADER)
			result = request(io, ICCD_REQ_XFR_BLOCK, false, 0, tpdu + TPDU_HEADER,
				len - TPDU_HEADER, NULL);
		else
			result = read_a(io, ne, answer);
		if (result == CCID_OK)
			result = status_a(io, &status);
	}
	if (result != CCID_OK)
		return result;
	if (!(status & ICCD_A_STATUS_SW_READY))
		return refuse(answer, CCID_ICC_ACTIVE, CCID_ERROR_ICC_MUTE);
	return read_a(io, 2, answer);
}

static enum ccid_result version_a(
	struct io *io, const struct ccid_command *command, struct ccid_answer *answer)
{
	enum ccid_result result;
	uint8_t status;

	switch (command->type) {
	case PC_to_RDR_GetSlotStatus:
		result = status_a(io, &status);
		answer->bStatus = status & ICCD_A_STATUS_MUTE ? CCID_ICC_ABSENT : CCID_ICC_INACTIVE;
		if (io->presence.powered && !(status & ICCD_A_STATUS_MUTE))
			answer->bStatus = CCID_ICC_ACTIVE;
		return result;
	case PC_to_RDR_IccPowerOff:
		answer->bStatus = CCID_ICC_INACTIVE;
		return request(io, ICCD_REQ_ICC_POWER_OFF, false, 0, NULL, 0, NULL);
	case PC_to_RDR_IccPowerOn:
		result = request(io, ICCD_REQ_ICC_POWER_OFF, false, 0, NULL, 0, NULL);
		if (result == CCID_OK)
			result = status_a(io, &status);
		if (result == CCID_OK)
			result = request(io, ICCD_REQ_ICC_POWER_ON, true, 0, io->answer_bytes,
				CCID_MSG_HEADER_SIZE + 33, &answer->len);
		return result;
	case PC_to_RDR_XfrBlock:
		if (command->len < TPDU_HEADER - 1 || command->len > TPDU_HEADER + 255)
			return CCID_LIMIT;
		return transfer_a(io, command, answer);
	default:
		return refuse(answer, CCID_ICC_ACTIVE, CCID_ERROR_CMD_NOT_SUPPORTED);
	}
}

/* Version B: the answer to the last request, asked for until it is there. */
static enum ccid_result data_block_b(struct io *io, struct ccid_answer *answer)
{
	size_t want = io->device->interface.ccid.max_message;
	uint8_t *bytes = io->answer_bytes;
	enum ccid_result result;
	size_t actual;

	want = want > MAX_READ ? MAX_READ : want < MIN_READ ? MIN_READ : want;
	for (;;) {
		result = request(io, ICCD_REQ_DATA_BLOCK, true, 0, bytes, want, &actual);
		if (result != CCID_OK)
			return result;
		if (actual < 1)
			return CCID_GARBLED;
		if (bytes[0] != ICCD_B_RESPONSE_POLLING)
			break;
		if (actual < 3)
			return CCID_GARBLED;
		result = wait_ms(
			io, (int64_t)POLL_UNIT_MS * (le16(bytes + 1) ? le16(bytes + 1) : 1));
		if (result != CCID_OK)
			return result;
	}
	if (bytes[0] == ICCD_B_RESPONSE_ERROR)
		return refuse(answer, actual > 1 ? bytes[1] & CCID_ICC_MASK : CCID_ICC_ACTIVE,
			actual > 2 ? bytes[2] : CCID_ERROR_HW_ERROR);
	if (bytes[0] > ICCD_B_RESPONSE_CONTINUE && bytes[0] != ICCD_B_RESPONSE_EMPTY)
		return CCID_GARBLED;
	answer->specific = bytes[0];
	answer->data = bytes + 1;
	answer->len = actual - 1;
	return CCID_OK;
}

static enum ccid_result status_b(struct io *io, struct ccid_answer *answer)
{
	uint8_t status[3];
	size_t actual;
	enum ccid_result result =
		request(io, ICCD_REQ_SLOT_STATUS_B, true, 0, status, sizeof(status), &actual);

	if (result == CCID_OK && actual < 1)
		return CCID_GARBLED;
	if (result == CCID_OK)
		answer->bStatus = status[0] & CCID_ICC_MASK;
	if (answer->bStatus > CCID_ICC_ABSENT)
		answer->bStatus = CCID_ICC_ABSENT;
	return result;
}

static enum ccid_result version_b(
	struct io *io, const struct ccid_command *command, struct ccid_answer *answer)
{
	enum ccid_result result;

	switch (command->type) {
	case PC_to_RDR_GetSlotStatus:
		return status_b(io, answer);
	case PC_to_RDR_IccPowerOff:
		result = request(io, ICCD_REQ_ICC_POWER_OFF, false, 0, NULL, 0, NULL);
		return result == CCID_OK ? status_b(io, answer) : result;
	case PC_to_RDR_IccPowerOn:
		result = request(io, ICCD_REQ_ICC_POWER_OFF, false, 0, NULL, 0, NULL);
		if (result == CCID_OK)
			result = request(io, ICCD_REQ_ICC_POWER_ON, false, 1, NULL, 0, NULL);
		return result == CCID_OK ? data_block_b(io, answer) : result;
	case PC_to_RDR_XfrBlock:
		if (command->len)
			memcpy(io->out_bytes, command->data, command->len);
		result = request(io, ICCD_REQ_XFR_BLOCK, false,
			(uint16_t)(command->specific[1] << 8), io->out_bytes, command->len, NULL);
		return result == CCID_OK ? data_block_b(io, answer) : result;
	default:
		return refuse(answer, CCID_ICC_ACTIVE, CCID_ERROR_CMD_NOT_SUPPORTED);
	}
}

enum ccid_result iccd_exchange(
	struct io *io, const struct ccid_command *command, struct ccid_answer *answer)
{
	enum ccid_result result = wait_ms(io, 0);

	*answer = (struct ccid_answer){ .slot = (uint8_t)io->slot, .data = io->answer_bytes };
	if (result == CCID_OK)
		result = is_version_a(io) ? version_a(io, command, answer)
					  : version_b(io, command, answer);
	return result;
}
