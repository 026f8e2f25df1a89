/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One card slot: what is in it, who may talk to it, and what of it clients can see.
 *
 * A slot belongs to a device of the reader table (readers.h), which opens and closes its
 * channel. It is counted: handles and requests keep it in memory after the reader has gone.
 *
 * Locks: all fields below `lock` are under it; it is never held over a call into the driver. Who
 * calls the driver has the turn (share.h), which also protects the channel. The slot's lock may be
 * taken under the table's, never the other way round; the locks of events, timers and pool may be
 * taken under the slot's.
 */
#ifndef CARDWIRE_PCSCD_SLOT_H
#define CARDWIRE_PCSCD_SLOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <winscard.h>

#include "pcscd/cards/share.h"
#include "pcscd/pool.h"
#include "pcscd/readers/driver.h"
#include "pcscd/readers/readers.h"
#include "pcscd/timers.h"
#include "wire/wire.h"

/* Not an SCARD_ code: the request stands in the queue, and its granted() will be called. */
#define SLOT_PARKED UINT32_C(0xFFFFFFFF)

/* Whether the card has power, and since when nobody needs it. */
enum slot_power {
	SLOT_UNPOWERED,
	SLOT_POWERED, /* not used (yet, or any more): switched off after the grace time */
	SLOT_IN_USE,  /* handles other than direct ones are connected */
};

/* One request on a slot, while it waits and while it runs. Embedded in its owner. */
struct slot_call {
	struct share_wait wait;
	struct slot *slot; /* that it was last asked of */
	/*
	 * The call need wait no longer; slot_ask() will tell. Called with the slot's lock held: it
	 * may only wake whoever continues.
	 */
	void (*granted)(struct slot_call *call);
	enum slot_call_state {
		SLOT_CALL_IDLE,
		SLOT_CALL_WAITING, /* in the queue */
		SLOT_CALL_READY,   /* out of it; the owner has not looked yet */
	} state;
};

/* Work the daemon does on a slot by itself, on a pool thread that has the turn. */
struct slot_job {
	struct slot_call call;
	struct pool_task task;
	struct slot *slot;
	void (*work)(struct slot *slot); /* called with the turn, without the lock */
	bool queued;
};

struct slot {
	/* Fixed from its creation. */
	uint64_t id;     /* in the table; never reused */
	uint64_t device; /* the device it belongs to, in the table */
	char name[MAX_READERNAME];
	struct channel *channel; /* used with the turn; NULL once closed */
	struct reader_power policy;
	unsigned max_handles; /* 0: any number */
	atomic_uint refs;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* for the monitor, and for who waits for visitors */
	struct share share;
	unsigned visitors; /* threads inside driver_abort() or driver_stop_poll(): no turn ends,
			      and the channel is not closed, before they have left */
	bool stopping;     /* the reader is going: the monitor shall end, everybody is refused */
	bool monitored;    /* the monitor runs */
	bool announce;     /* waiting clients must be told when the lock is released */

	/* Change with what clients see of the card, and of who shares it (wire/ext.h). */
	uint32_t card_serial;
	uint32_t sharing_serial;
	uint32_t state;   /* SCARD_ABSENT, SCARD_PRESENT … as in READER_STATE */
	uint32_t counter; /* insertions and removals, 16 bits */
	uint8_t atr[MAX_ATR_SIZE];
	size_t atr_length;
	uint32_t protocol;     /* negotiated: 0, SCARD_PROTOCOL_T0 or SCARD_PROTOCOL_T1 */
	unsigned raw_handles;  /* connected with SCARD_PROTOCOL_RAW */
	unsigned users;        /* handles that are not SCARD_SHARE_DIRECT */
	int32_t sharing_class; /* -1 exclusive, 0 unused, 1 shared: what clients were last told */
	enum slot_power power;
	int64_t power_off_at; /* ns, while SLOT_POWERED */

	struct timer timer; /* leases and deadlines of the queue */
	struct timer power_timer;
	struct slot_call monitor_call; /* the monitor's, and slot_close()'s */
	struct slot_job reset_job;
	struct slot_job power_job;
};

/*
 * A new slot with one reference, not yet visible. Takes over the channel. NULL: out of memory.
 * lease in ns.
 */
struct slot *slot_new(uint64_t id, uint64_t device, const char *name, struct channel *channel,
	int64_t lease, const struct reader_power *policy, unsigned max_handles);
struct slot *slot_ref(struct slot *slot);
void slot_unref(struct slot *slot);

void slot_lock(struct slot *slot);
/*
 * Releases the lock, after all that follows from the changes made under it: requests that can go on
 * are woken, timers set, clients told.
 */
void slot_unlock(struct slot *slot);

/*
 * Asks for what call->wait says (see share.h; deadline included), or, when the call has waited,
 * tells what came of it. SCARD_S_SUCCESS: granted. SLOT_PARKED: wait for granted(), perhaps again.
 * Others: refused.
 * With the lock held.
 */
uint32_t slot_ask(struct slot *slot, struct slot_call *call);

/* Waits for the turn as slot->monitor_call, on the monitor's thread; with the lock held. */
void slot_take_turn(struct slot *slot);

/*
 * Gives the turn back, if the call has it; with the lock held (released meanwhile, if an abort is
 * under way).
 */
void slot_give_turn(struct slot *slot, struct slot_call *call);

/* The owner of the call is gone: leaves the queue, or gives back what it was just granted. */
void slot_cancel_call(struct slot *slot, struct slot_call *call);

/*
 * Aborts the driver's call that `session` has running on the slot, if it has one and, unless `only`
 * is NULL, while *only is true. Any thread.
 */
void slot_abort_call(struct slot *slot, uint64_t session, const atomic_bool *only);

/* Has the job done as soon as the turn is free, unless it is waiting already. Lock held. */
void slot_start_job(struct slot *slot, struct slot_job *job);

/* What clients see of the card has changed: they will be told. Lock held. */
void slot_card_changed(struct slot *slot);

/* What clients see; with the lock held. */
void slot_publish(const struct slot *slot, struct wire_reader_state *state);

/* Tells clients if the way the slot is shared has changed for them; with the lock held. */
void slot_sharing_changed(struct slot *slot);

/*
 * The calls below are made with the turn and without the lock; they do what they say and set the
 * slot's state to match.
 */

/* IFDHICCPresence, and all that follows from a card that came or went. False: no such device. */
bool slot_check_presence(struct slot *slot);

/* IFD_POWER_UP. Returns true if the card is powered now. */
bool slot_power_up(struct slot *slot);

/*
 * Resets the card: warm (IFD_RESET) or, if cold, by IFD_POWER_DOWN and IFD_POWER_UP. All handles
 * will be told. SCARD_S_SUCCESS, SCARD_E_NO_SMARTCARD if there is none now, or
 * SCARD_W_UNRESPONSIVE_CARD.
 */
uint32_t slot_reset(struct slot *slot, bool cold);

/* IFD_POWER_DOWN on behalf of SCardDisconnect(SCARD_UNPOWER_CARD); all handles will be told. */
void slot_unpower(struct slot *slot);

/*
 * Sets slot->protocol to one of the `wanted` ones (SCARD_PROTOCOL_T0 | …), or keeps it if
 * that one is wanted. SCARD_S_SUCCESS, SCARD_E_PROTO_MISMATCH or SCARD_W_UNRESPONSIVE_CARD.
 */
uint32_t slot_negotiate(struct slot *slot, uint32_t wanted);

/* Turns a driver's failure into an SCARD_ code, and starts what must follow. Takes the lock. */
uint32_t slot_driver_failed(struct slot *slot, RESPONSECODE rc);

/* The work of reset_job and power_job. */
void slot_do_reset(struct slot *slot);
void slot_do_power_off(struct slot *slot);

/*
 * One handle more, or less, that is not SCARD_SHARE_DIRECT: the card stays powered while there
 * are any, and for the grace time after. Lock held.
 */
void slot_add_user(struct slot *slot);
void slot_drop_user(struct slot *slot);

/*
 * The lock's owner was lost with the card in an unknown state: nobody goes on until it has been
 * reset, which is begun as soon as possible. Lock held.
 */
void slot_recover(struct slot *slot);

/*
 * The slot's monitor: notices cards and powers them, on a thread of the device.
 * slot_monitor_first() is its first look, slot_monitor() the rest, until slot_stop() or until the
 * driver says that the device is gone. slot_monitor_first() returns false in that case.
 */
bool slot_monitor_first(struct slot *slot);
void slot_monitor(struct slot *slot);

/*
 * The reader is going: everybody is refused from now on, the call that is running is aborted, and
 * slot_monitor() returns soon. Drivers may miss a request to stop that comes just before their poll
 * begins, so it is to be called again while slot_is_monitored(). Any thread.
 */
void slot_stop(struct slot *slot);
bool slot_is_monitored(struct slot *slot);

/*
 * After the monitor has ended: waits for the call that is running, powers the card off and closes
 * the channel. unplugged: the driver is told that the device has left the bus.
 */
void slot_close(struct slot *slot, bool unplugged);

#endif
