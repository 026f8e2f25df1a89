/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What device.c and device_*.c, the pipes (pipe*.c), recovery (recover.c) and card events (notify.c)
 * share about a device. Nobody else includes this.
 */
#ifndef CARDWIRE_CCID_DEVICE_PRIVATE_H
#define CARDWIRE_CCID_DEVICE_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccid_msg.h"
#include "descriptor.h"
#include "device.h"
#include "ifd-ccid/port/port.h"
#include "ifd-ccid/recorder/recorder.h"
#include "presence.h"

enum io_state {
	IO_IDLE,
	IO_WAITING,  /* for the answer */
	IO_ANSWERED, /* `answer` is valid */
	IO_FAILED,   /* the bulk pipe failed or brought something malformed */
};

/* One slot's part of the bulk pipes. All but the buffers is guarded by the device's lock. */
struct io {
	struct device *device;
	unsigned slot;
	pthread_cond_t cond;

	enum io_state state;
	uint8_t type; /* of the command under way */
	uint8_t seq;
	int64_t deadline;
	int64_t look_at; /* for an answer that stands in the pipe without an end */
	struct ccid_patience patience;
	size_t expect; /* longest answer that is likely, bytes; 0: not known */
	struct ccid_answer answer;
	uint8_t *answer_bytes;

	struct port_transfer out;
	uint8_t *out_bytes;
	bool out_pending;

	bool calling;  /* between device_call_begin() and device_call_end() */
	bool aborting; /* device_abort() came in this call */
	bool dirty;    /* recovery failed: to be tried again before the next command */
	bool secret;   /* answer_bytes is to be wiped */
	struct mask_secrecy secrecy;
	bool stop; /* device_stop_poll() came */

	struct presence presence;
};

struct device {
	struct port *port;
	char *name;
	struct recorder *recorder; /* may be NULL */
	struct ccid_interface interface;
	struct device_descriptor descriptor;
	uint32_t *rates;
	struct quirk_set quirks;
	bool wants_firmware; /* some quirk depends on MatchFirmware */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* events, gone, busy: whoever waits for the device as a whole */
	unsigned references;
	bool gone;
	bool closing;
	uint8_t seq;
	unsigned busy;    /* exchanges under way, at most bMaxCCIDBusySlots */
	unsigned waiting; /* of these, those in IO_WAITING */
	struct io **ios;  /* interface.ccid.slots; NULL: not open */

	struct port_transfer in;
	uint8_t *in_bytes; /* in_room bytes */
	size_t in_room;
	size_t in_len; /* bytes of the message so far */
	bool in_pending;
	bool repairing;   /* recovery has the bulk-IN pipe: don't submit */
	bool resetting;   /* and the port: no exchange begins */
	bool packetwise;  /* the reader may leave out the packet that ends a transfer */
	bool filled;      /* the last answer filled the transfer it came in */
	bool ends;        /* the reader is known to send that packet */
	unsigned looks;   /* for answers without an end */
	unsigned useless; /* transfers in a row that brought no answer to anyone */

	struct port_transfer event;
	uint8_t *event_bytes;
	bool event_pending;
	bool event_halted;
	unsigned event_errors; /* in a row */
};

/* device_identify.c */

/*
 * Finds the interface and what quirk files say about it. False after one error line: it is no
 * reader, or not to be opened.
 */
bool device_identify(struct device *device);

/* Fills in the quirks; FIRMWARE is NULL as long as it is not known. */
void device_match_quirks(struct device *device, const char *firmware);

/* device_start.c */

/* With the interface claimed and the pipes ready: what the reader needs first. False as above. */
bool device_begin(struct device *device);

/* pipe_in.c */

bool pipe_init(struct device *device);
void pipe_fini(struct device *device);

/* Bytes that an answer's buffer has. */
size_t pipe_answer_room(const struct device *device);

/* With the lock held: submits bulk-IN if answers are awaited and none is pending. */
void pipe_listen(struct device *device);

/* With the lock held: ends an exchange's wait, one way or another. */
void pipe_settle(struct io *io, enum io_state state);

/* When to look for an answer without an end, after a sign of life of the reader that is now. */
int64_t pipe_look_time(const struct io *io);

/* With the lock held: the reader has shown that it leaves packets out. */
void pipe_read_packetwise(struct device *device);

/* pipe.c */

/* Buffers for a slot; NULL: out of memory. */
struct io *io_new(struct device *device, unsigned slot);
void io_free(struct io *io);

/*
 * One command with this bSeq, without recovery and without waiting for a free busy slot. Used by
 * device_exchange() and recover().
 */
enum ccid_result pipe_exchange(
	struct io *io, const struct ccid_command *command, uint8_t seq, bool abortable);

/* The next bSeq. */
uint8_t pipe_next_seq(struct device *device);

/* With the lock held: everything that waits ends with CCID_GONE. */
void device_lost(struct device *device);

/* device.c: port_control(), recorded. SECRECY as for recorder_control(). */
enum port_status device_control(struct device *device, const uint8_t setup[8], uint8_t *data,
	size_t *actual, int64_t deadline, struct mask_secrecy *secrecy);

/* recover.c */

/*
 * After a failed exchange with this bSeq: makes the slot usable again, by steps of at most BUDGET_MS
 * each; one log line a step.
 */
void recover(struct io *io, uint8_t seq, int64_t budget_ms);

/* notify.c */

bool notify_init(struct device *device);
void notify_fini(struct device *device);

/* With the lock held: interrupt messages can be relied on. */
bool notify_works(const struct device *device);

#endif
