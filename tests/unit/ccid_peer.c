/* SPDX-License-Identifier: BSD-3-Clause */
#include "ccid_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ifd-ccid/bytes.h"
#include "spec/ccid.h"
#include "spec/usb.h"
#include "spec/usbip.h"

enum {
	OUT_EP = 0x01,
	IN_EP = 0x82,
	INT_EP = 0x83,
	MAX_MESSAGE = 271,
	MAX_QUEUE = 8,
	PACKET = 64,
	EPIPE_ON_WIRE = 32,
};

static const uint8_t device_descriptor[] = { 18, 1, 0x00, 0x02, 0, 0, 0, 64, 0x34, 0x12, 0x78, 0x56,
	0x00, 0x01, 0, 0, 0, 1 };

static const uint8_t configuration[] = { 9, 2, 93, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 3, 0x0B, 0, 0,
	0,
	/* class descriptor: 2 slots, both may be busy, T=0 and T=1, short APDU */
	54, 0x21, 0x10, 0x01, 1, 7, 3, 0, 0, 0, 0xA0, 0x0F, 0, 0, 0xA0, 0x0F, 0, 0, 0, 0x80, 0x25,
	0, 0, 0x00, 0xC2, 0x01, 0x00, 0, 0xFE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xBA, 0x04, 0x02,
	0x00, 0x0F, 0x01, 0, 0, 0xFF, 0xFF, 0, 0, 0, 2,
	/* endpoints */
	7, 5, OUT_EP, 2, 64, 0, 0, 7, 5, IN_EP, 2, 64, 0, 0, 7, 5, INT_EP, 3, 8, 0, 10 };

static const uint8_t atr[] = { 0x3B, 0x80, 0x80, 0x01, 0x01 };

struct packet {
	uint8_t bytes[4 * MAX_MESSAGE];
	size_t len;
	bool stall;
};

struct peer {
	char folder[64];
	char path[96];
	char name[128];
	int listener;
	int fd; /* -1: no connection */
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	enum peer_fault fault;
	struct peer_counts counts;
	uint32_t in_seqnum; /* waiting bulk-IN, 0: none */
	uint32_t int_seqnum;
	struct packet queue[MAX_QUEUE];
	size_t queued;
	bool halted;
	bool stuck;                /* answers "slot busy" */
	bool dead;                 /* answers nothing for slot 0 */
	uint8_t late[MAX_MESSAGE]; /* the XfrBlock that is answered later */
	size_t late_len;
	bool has_late;
	uint32_t late_out;
};

static bool put(struct peer *peer, const uint8_t *bytes, size_t len)
{
	size_t step = peer->fault == PEER_CRUMBS ? 1 : len;

	for (size_t at = 0; at < len; at += step)
		if (send(peer->fd, bytes + at, step, MSG_NOSIGNAL) != (ssize_t)step)
			return false;
	return true;
}

static bool get(struct peer *peer, uint8_t *bytes, size_t len)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = recv(peer->fd, bytes + have, len - have, 0);

		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

static void return_submit(struct peer *peer, uint32_t seqnum, int32_t status, const uint8_t *data,
	size_t len, uint32_t actual)
{
	uint8_t message[USBIP_HEADER_SIZE + 8 * MAX_MESSAGE] = { 0 };

	if (peer->fault == PEER_BARE_RETURNS)
		memset(message + USBIP_devid, 0xA5, USBIP_HEADER_SIZE - USBIP_devid);
	put_be32(message + USBIP_command, USBIP_RET_SUBMIT);
	put_be32(message + USBIP_seqnum, seqnum);
	put_be32(message + USBIP_RET_status, (uint32_t)status);
	put_be32(message + USBIP_RET_actual_length, actual);
	if (len)
		memcpy(message + USBIP_HEADER_SIZE, data, len);
	put(peer, message, USBIP_HEADER_SIZE + len);
}

static int32_t stall_status(const struct peer *peer)
{
	return peer->fault == PEER_POSITIVE_ERRORS ? EPIPE_ON_WIRE : -EPIPE_ON_WIRE;
}

static void take_first(struct peer *peer, struct packet *packet)
{
	*packet = peer->queue[0];
	memmove(peer->queue, peer->queue + 1, --peer->queued * sizeof(*packet));
}

static void put_first(struct peer *peer, const struct packet *packet)
{
	memmove(peer->queue + 1, peer->queue, peer->queued++ * sizeof(*packet));
	peer->queue[0] = *packet;
}

/*
 * Fills a transfer as a reader does that never sends an empty packet: whole packets are followed by
 * the next message. False: the transfer waits for that.
 */
static bool fill_without_end(struct peer *peer, struct packet *packet)
{
	struct packet rest = { .len = 0 };
	size_t room = peer->counts.in_room;

	if (packet->len % PACKET == 0 && packet->len < room) {
		if (!peer->queued)
			return false;
		take_first(peer, &rest);
		memcpy(packet->bytes + packet->len, rest.bytes, rest.len);
		packet->len += rest.len;
		rest.len = 0;
	}
	if (packet->len > room) {
		rest.len = packet->len - room;
		memcpy(rest.bytes, packet->bytes + room, rest.len);
		packet->len = room;
		put_first(peer, &rest);
	}
	return true;
}

/* Brings what is queued to a waiting bulk-IN. */
static void serve_in(struct peer *peer)
{
	struct packet packet;
	uint32_t seqnum = peer->in_seqnum;

	if (!seqnum || (!peer->queued && !peer->halted))
		return;
	peer->in_seqnum = 0;
	if (peer->halted || peer->queue[0].stall) {
		peer->halted = true;
		peer->queued = 0;
		return_submit(peer, seqnum, stall_status(peer), NULL, 0, 0);
		return;
	}
	take_first(peer, &packet);
	if (peer->fault == PEER_NO_END && !fill_without_end(peer, &packet)) {
		put_first(peer, &packet);
		peer->in_seqnum = seqnum;
		return;
	}
	return_submit(peer, seqnum, 0, packet.bytes, packet.len, (uint32_t)packet.len);
}

static void queue(struct peer *peer, const uint8_t *bytes, size_t len)
{
	if (peer->queued == MAX_QUEUE)
		return;
	memset(&peer->queue[peer->queued], 0, sizeof(struct packet));
	if (len)
		memcpy(peer->queue[peer->queued].bytes, bytes, len);
	peer->queue[peer->queued++].len = len;
}

struct message {
	uint8_t bytes[2 * MAX_MESSAGE];
	size_t len;
};

static struct message answer_to(
	const uint8_t *command, uint8_t type, uint8_t status, const uint8_t *data, size_t len)
{
	struct message m = { .len = CCID_MSG_HEADER_SIZE + len };

	m.bytes[CCID_MSG_bMessageType] = type;
	put_le32(m.bytes + CCID_MSG_dwLength, (uint32_t)len);
	m.bytes[CCID_MSG_bSlot] = command[CCID_MSG_bSlot];
	m.bytes[CCID_MSG_bSeq] = command[CCID_MSG_bSeq];
	m.bytes[CCID_MSG_bStatus] = status;
	if (len)
		memcpy(m.bytes + CCID_MSG_abData, data, len);
	return m;
}

static void extend(struct peer *peer, const uint8_t *command)
{
	struct message m =
		answer_to(command, RDR_to_PC_DataBlock, CCID_COMMAND_TIME_EXTENSION, NULL, 0);

	m.bytes[CCID_MSG_bError] = 1;
	queue(peer, m.bytes, m.len);
}

/* A fault by which there is no answer, or none yet. False: there is one. */
static bool keeps_answer(struct peer *peer, const uint8_t *command)
{
	switch (peer->fault) {
	case PEER_ENDLESS:
		extend(peer, command);
		return true;
	case PEER_AT_WORK:
		if (peer->has_late)
			return false;
		peer->has_late = true;
		return true;
	case PEER_LATE:
		peer->has_late = true;
		return true;
	case PEER_STUCK:
		peer->stuck = true;
		return true;
	case PEER_DEAD:
		peer->dead = true;
		return true;
	case PEER_STALL_IN:
		queue(peer, NULL, 0);
		peer->queue[peer->queued - 1].stall = true;
		return true;
	case PEER_NO_ANSWER:
	case PEER_DEAF:
		return true;
	default:
		return false;
	}
}

/* What a fault has come before the answer. */
static void send_before(struct peer *peer, const uint8_t *command, struct message answer)
{
	switch (peer->fault) {
	case PEER_STALE:
		answer.bytes[CCID_MSG_bSeq]--;
		answer.bytes[CCID_MSG_abData] ^= 0xFF;
		queue(peer, answer.bytes, answer.len);
		break;
	case PEER_WRONG_SLOT:
		answer.bytes[CCID_MSG_bSlot] = 200;
		queue(peer, answer.bytes, answer.len);
		break;
	case PEER_SHORT:
		queue(peer, answer.bytes, 5);
		break;
	case PEER_EXTENSIONS:
		for (int i = 0; i < 3; i++)
			extend(peer, command);
		break;
	case PEER_EMPTY_IN:
		queue(peer, NULL, 0);
		break;
	default:
		break;
	}
}

/* What a fault makes of the answer. */
static void spoil(enum peer_fault fault, const uint8_t *command, struct message *answer)
{
	switch (fault) {
	case PEER_WRONG_TYPE:
		answer->bytes[CCID_MSG_bMessageType] = RDR_to_PC_Parameters;
		break;
	case PEER_LENGTH_HUGE:
		put_le32(answer->bytes + CCID_MSG_dwLength, UINT32_MAX);
		break;
	case PEER_TRAILING:
		answer->len += 3;
		break;
	case PEER_POWERLESS:
		*answer = answer_to(command, RDR_to_PC_DataBlock,
			CCID_COMMAND_FAILED | CCID_ICC_INACTIVE, NULL, 0);
		answer->bytes[CCID_MSG_bError] = CCID_ERROR_ICC_MUTE;
		break;
	default:
		break;
	}
}

/* XfrBlock: the data back and 90 00, with the fault. */
static void xfr_block(struct peer *peer, const uint8_t *command, size_t len)
{
	uint8_t data[MAX_MESSAGE + 2];
	size_t n = len - CCID_MSG_HEADER_SIZE;
	bool in_parts = peer->fault == PEER_SPLIT || peer->fault == PEER_TRUNCATED;
	struct message answer;
	size_t part;

	memcpy(peer->late, command, len);
	peer->late_len = len;
	if (keeps_answer(peer, command))
		return;
	memcpy(data, command + CCID_MSG_abData, n);
	data[n] = 0x90;
	data[n + 1] = 0x00;
	answer = answer_to(command, RDR_to_PC_DataBlock, 0, data, n + 2);
	send_before(peer, command, answer);
	spoil(peer->fault, command, &answer);
	part = in_parts ? 11 : answer.len;
	queue(peer, answer.bytes, part);
	if (peer->fault == PEER_SPLIT)
		queue(peer, answer.bytes + part, answer.len - part);
}

static void run_command(struct peer *peer, const uint8_t *command, size_t len)
{
	struct message m;

	if (!peer->in_seqnum)
		peer->counts.out_before_in++;
	if (peer->dead && command[CCID_MSG_bSlot] == 0)
		return;
	if (command[CCID_MSG_bMessageType] == PC_to_RDR_IccPowerOff)
		peer->stuck = false;
	if (peer->stuck) {
		m = answer_to(command, RDR_to_PC_SlotStatus, CCID_COMMAND_FAILED, NULL, 0);
		m.bytes[CCID_MSG_bError] = CCID_ERROR_CMD_SLOT_BUSY;
		queue(peer, m.bytes, m.len);
		return;
	}
	if (peer->fault == PEER_AT_WORK && peer->has_late) {
		m = answer_to(command, RDR_to_PC_SlotStatus, CCID_COMMAND_FAILED, NULL, 0);
		m.bytes[CCID_MSG_bError] = CCID_ERROR_CMD_SLOT_BUSY;
		queue(peer, m.bytes, m.len);
		xfr_block(peer, peer->late, peer->late_len);
		peer->has_late = false;
		return;
	}
	switch (command[CCID_MSG_bMessageType]) {
	case PC_to_RDR_IccPowerOn:
		if (peer->fault == PEER_POWERLESS)
			peer->fault = PEER_GOOD;
		m = answer_to(command, RDR_to_PC_DataBlock, 0, atr, sizeof(atr));
		break;
	case PC_to_RDR_XfrBlock:
		xfr_block(peer, command, len);
		return;
	case PC_to_RDR_Abort:
		peer->counts.aborts++;
		if (peer->has_late) {
			static const uint8_t data[] = { 0xDE, 0xAD, 0x90, 0x00 };

			m = answer_to(peer->late, RDR_to_PC_DataBlock, 0, data, sizeof(data));
			queue(peer, m.bytes, m.len);
			peer->has_late = false;
		}
		m = answer_to(command, RDR_to_PC_SlotStatus, 0, NULL, 0);
		break;
	default:
		m = answer_to(command, RDR_to_PC_SlotStatus, 0, NULL, 0);
	}
	queue(peer, m.bytes, m.len);
}

static void control(struct peer *peer, uint32_t seqnum, const uint8_t *setup)
{
	const uint8_t *data = NULL;
	size_t len = 0;
	size_t asked = le16(setup + USB_SETUP_wLength);
	int32_t status = 0;

	peer->counts.control++;
	if (setup[USB_SETUP_bmRequestType] == USB_DIR_IN &&
		setup[USB_SETUP_bRequest] == USB_REQ_GET_DESCRIPTOR) {
		data = setup[3] == USB_DT_DEVICE ? device_descriptor : configuration;
		len = setup[3] == USB_DT_DEVICE ? sizeof(device_descriptor) : sizeof(configuration);
	} else if (setup[USB_SETUP_bRequest] == USB_REQ_CLEAR_FEATURE &&
		   !(setup[USB_SETUP_bmRequestType] & USB_TYPE_CLASS)) {
		peer->counts.clear_feature++;
		peer->halted = false;
		if (peer->fault == PEER_DEAF)
			peer->fault = PEER_GOOD;
	} else if (setup[USB_SETUP_bmRequestType] == (USB_TYPE_CLASS | USB_RECIP_OTHER)) {
		peer->counts.resets++;
		peer->dead = false;
	} else if (setup[USB_SETUP_bmRequestType] == (USB_TYPE_CLASS | USB_RECIP_INTERFACE) &&
		   peer->fault == PEER_DEAF) {
		status = stall_status(peer);
	}
	len = len < asked ? len : asked;
	return_submit(peer, seqnum, status, data, len, (uint32_t)len);
}

static void listen_for_events(struct peer *peer, uint32_t seqnum)
{
	static const uint8_t changed[] = { RDR_to_PC_NotifySlotChange, 0x0F };

	peer->counts.interrupt++;
	if (peer->fault == PEER_EVENT_HALT)
		return_submit(peer, seqnum, stall_status(peer), NULL, 0, 0);
	else if (peer->fault == PEER_EVENT_FLOOD)
		return_submit(peer, seqnum, 0, changed, sizeof(changed), sizeof(changed));
	else
		peer->int_seqnum = seqnum;
}

static bool submit(struct peer *peer, const uint8_t *header)
{
	static uint8_t data[70000];
	uint32_t seqnum = be32(header + USBIP_seqnum);
	uint32_t len = be32(header + USBIP_SUBMIT_transfer_buffer_length);
	uint32_t ep = be32(header + USBIP_ep);
	bool in = be32(header + USBIP_direction) == USBIP_DIR_IN;
	uint32_t actual = peer->fault == PEER_ODD_ACTUAL ? 0x7FFFFFFF : len;

	if (!in && (len > sizeof(data) || !get(peer, data, len)))
		return false;
	pthread_mutex_lock(&peer->lock);
	if (ep == 0) {
		control(peer, seqnum, header + USBIP_SUBMIT_setup);
	} else if (ep == OUT_EP) {
		peer->counts.bulk_out++;
		if (peer->fault != PEER_RETURNS_OUT_LATE)
			return_submit(peer, seqnum, 0, NULL, 0, actual);
		run_command(peer, data, len);
		serve_in(peer);
		if (peer->fault == PEER_RETURNS_OUT_LATE)
			return_submit(peer, seqnum, 0, NULL, 0, actual);
		if (peer->fault == PEER_UNKNOWN_SEQNUM)
			return_submit(peer, seqnum + 1000, 0, NULL, 0, 0);
		if (peer->fault == PEER_DIES_IN_MESSAGE) {
			put(peer, header, 20);
			shutdown(peer->fd, SHUT_RDWR);
		}
	} else if (ep == (IN_EP & USB_ENDPOINT_NUMBER_MASK)) {
		peer->counts.bulk_in++;
		peer->in_seqnum = seqnum;
		peer->counts.in_room = len;
		if (peer->fault == PEER_TOO_MUCH) {
			return_submit(peer, seqnum, 0, data, len + 64, len + 64);
			peer->in_seqnum = 0;
		}
		if (peer->fault == PEER_ENDLESS && !peer->queued)
			extend(peer, peer->late);
		serve_in(peer);
	} else {
		listen_for_events(peer, seqnum);
	}
	pthread_mutex_unlock(&peer->lock);
	return true;
}

static void unlink_submit(struct peer *peer, const uint8_t *header)
{
	uint32_t victim = be32(header + USBIP_UNLINK_unlink_seqnum);
	uint8_t message[USBIP_HEADER_SIZE] = { 0 };
	bool found;

	pthread_mutex_lock(&peer->lock);
	found = victim == peer->in_seqnum || victim == peer->int_seqnum;
	peer->counts.unlinked_others += !found;
	if (victim == peer->in_seqnum)
		peer->in_seqnum = 0;
	if (victim == peer->int_seqnum)
		peer->int_seqnum = 0;
	put_be32(message + USBIP_command, USBIP_RET_UNLINK);
	put_be32(message + USBIP_seqnum, be32(header + USBIP_seqnum));
	put_be32(message + USBIP_RET_UNLINK_status,
		found ? (uint32_t)USBIP_STATUS_ECONNRESET : USBIP_STATUS_OK);
	if (peer->fault != PEER_NO_RET_UNLINK)
		put(peer, message, sizeof(message));
	pthread_mutex_unlock(&peer->lock);
}

static bool import(struct peer *peer)
{
	uint8_t request[USBIP_REQ_IMPORT_SIZE];
	uint8_t reply[USBIP_REP_IMPORT_SIZE] = { 0 };
	size_t len = sizeof(reply);

	if (!get(peer, request, sizeof(request)) || peer->fault == PEER_HANGS_UP)
		return false;
	put_be16(reply + USBIP_OP_version, USBIP_VERSION);
	put_be16(reply + USBIP_OP_code, USBIP_OP_REP_IMPORT);
	put_be32(reply + USBIP_REP_IMPORT_device + USBIP_DEV_busnum, 1);
	put_be32(reply + USBIP_REP_IMPORT_device + USBIP_DEV_devnum, 2);
	if (peer->fault == PEER_WRONG_RECORD)
		memset(reply + USBIP_REP_IMPORT_device + USBIP_DEV_idVendor, 0xEE, 12);
	if (peer->fault == PEER_REFUSES) {
		put_be32(reply + USBIP_OP_status, USBIP_ST_DEV_BUSY);
		len = USBIP_OP_HEADER_SIZE;
	}
	if (peer->fault == PEER_NOT_USBIP)
		memcpy(reply, "SSH-2.0-", 8);
	return put(peer, reply, len);
}

static void serve(struct peer *peer)
{
	uint8_t header[USBIP_HEADER_SIZE];

	if (peer->fault == PEER_SILENT) {
		(void)get(peer, header, 1000);
		return;
	}
	if (!import(peer))
		return;
	while (get(peer, header, sizeof(header))) {
		if (be32(header + USBIP_command) == USBIP_CMD_UNLINK)
			unlink_submit(peer, header);
		else if (!submit(peer, header))
			return;
	}
}

static void *run(void *arg)
{
	struct peer *peer = arg;
	int fd;

	while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
		pthread_mutex_lock(&peer->lock);
		peer->fd = fd;
		peer->queued = 0;
		peer->in_seqnum = peer->int_seqnum = 0;
		peer->halted = peer->has_late = peer->stuck = peer->dead = false;
		pthread_mutex_unlock(&peer->lock);
		serve(peer);
		pthread_mutex_lock(&peer->lock);
		close(fd);
		peer->fd = -1;
		pthread_mutex_unlock(&peer->lock);
	}
	return NULL;
}

struct peer *peer_start(enum peer_fault fault)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	strcpy(peer->folder, "/tmp/ccid-peer-XXXXXX");
	if (!mkdtemp(peer->folder)) {
		free(peer);
		return NULL;
	}
	snprintf(peer->path, sizeof(peer->path), "%s/socket", peer->folder);
	snprintf(peer->name, sizeof(peer->name), "usbip:unix:%s/1-1", peer->path);
	strcpy(address.sun_path, peer->path);
	pthread_mutex_init(&peer->lock, NULL);
	peer->fault = fault;
	peer->fd = -1;
	peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(peer->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(peer->listener, 4) != 0 ||
		pthread_create(&peer->thread, NULL, run, peer) != 0)
		abort();
	return peer;
}

void peer_set_fault(struct peer *peer, enum peer_fault fault)
{
	pthread_mutex_lock(&peer->lock);
	peer->fault = fault;
	pthread_mutex_unlock(&peer->lock);
}

const char *peer_name(const struct peer *peer)
{
	return peer->name;
}

void peer_hang_up(struct peer *peer)
{
	pthread_mutex_lock(&peer->lock);
	if (peer->fd >= 0)
		shutdown(peer->fd, SHUT_RDWR);
	pthread_mutex_unlock(&peer->lock);
}

void peer_stop(struct peer *peer)
{
	shutdown(peer->listener, SHUT_RDWR);
	peer_hang_up(peer);
	pthread_join(peer->thread, NULL);
	close(peer->listener);
	unlink(peer->path);
	rmdir(peer->folder);
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

bool peer_notify(struct peer *peer, const uint8_t *message, size_t len)
{
	bool listens;

	pthread_mutex_lock(&peer->lock);
	listens = peer->int_seqnum != 0;
	if (listens) {
		uint32_t seqnum = peer->int_seqnum;

		peer->int_seqnum = 0;
		return_submit(peer, seqnum, 0, message, len, (uint32_t)len);
	}
	pthread_mutex_unlock(&peer->lock);
	return listens;
}

struct peer_counts peer_counts(struct peer *peer)
{
	struct peer_counts counts;

	pthread_mutex_lock(&peer->lock);
	counts = peer->counts;
	pthread_mutex_unlock(&peer->lock);
	return counts;
}
