/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How clients, the daemon's own calls and the lease share one slot, for spin. What share.h calls
 * the lock and the turn, the queue before them, the wake-up of those who are served, the death of a
 * client at any point, the eviction of a silent owner, the reset that follows, and the removal of
 * the reader.
 *
 * Each atomic step is one time that the slot's lock is held:
 *
 *   REFUSED, GRANTABLE  refusal(), is_grantable()                  pcscd/cards/share.c
 *   grant               grant()
 *   ask                 share_ask(), by slot_ask() and slot_unlock()
 *   unlock              share_next() until it says NULL, by slot_unlock()
 *   look (label)        slot_ask() of a call that is SLOT_CALL_READY  pcscd/cards/slot.c
 *   give_turn           share_done(), by slot_give_turn()
 *   leave_driver        leave_driver(), and the end of card_reconnect()  pcscd/cards/card.c
 *   end_transaction     share_end(), by card_end()
 *   die                 slot_cancel_call(), then card_abandon()
 *   lose_owner          slot_recover() with share_recover(): starts the reset
 *   daemon_call         run_job() of the reset with share_recovered(); the monitor's turn
 *   lease               share_tick(), by tick()
 *   unplug              share_gone(), by slot_stop()
 *
 * Time is left out: the lease may run out whenever the owner isn't busy while another waits for it.
 * Left out too are handles that connect, and exclusive access; test_share_random.c has those.
 */
#ifndef CLIENTS
#define CLIENTS 3
#endif
#define RESET    CLIENTS       /* the daemon's requests */
#define MONITOR  (CLIENTS + 1)
#define REQUESTS (CLIENTS + 2)
#define NOBODY   15

#define TURN  1
#define LOCK  2
#define FRESH 4

#define BEGIN     (LOCK | FRESH)
#define TRANSMIT  (TURN | FRESH)
#define RECONNECT TURN

#define IDLE    0
#define WAITING 1
#define READY   2

byte queue[REQUESTS];
byte queued;
byte needs[REQUESTS];
byte call[REQUESTS];    /* IDLE, WAITING, READY: enum slot_call_state */
bool granted[REQUESTS]; /* what came of it */
bool reset[CLIENTS];    /* SCARD_W_RESET_CARD is due */
bool inside[CLIENTS];   /* what the client believes: it is in a transaction */
bool used[CLIENTS];     /* has had its call in this transaction */
byte doomed = NOBODY;   /* the client that dies at its next step */
byte owner = NOBODY;
byte turn = NOBODY;
bool recovering;
bool reset_started;     /* reset_job.queued */
bool gone;
byte running;           /* calls inside the driver */

/* For the steps below; all zero between them. */
byte i, r;
bool ahead;

#define IS_SYSTEM(x)  ((x) >= CLIENTS)
#define LOCKED_OUT(x) (!IS_SYSTEM(x) && (recovering || (owner != NOBODY && owner != (x))))
#define REFUSED(x)    (!IS_SYSTEM(x) && (gone || ((needs[x] & FRESH) && reset[x])))
#define NO_TURN(x)    ((needs[x] & TURN) && turn != NOBODY)
#define NO_LOCK(x)    ((needs[x] & LOCK) && turn < CLIENTS)
#define GRANTABLE(x)                                                                               \
	(!LOCKED_OUT(x) && !NO_TURN(x) && !NO_LOCK(x) && (!ahead || IS_SYSTEM(x) || owner == (x)))

inline grant(x)
{
	granted[x] = true;
	if
	:: needs[x] & TURN -> turn = x
	:: else
	fi;
	if
	:: needs[x] & LOCK -> owner = x
	:: else
	fi
}

/* Request number i leaves the queue. */
inline take_out()
{
	do
	:: i + 1 < queued -> queue[i] = queue[i + 1]; i++
	:: else -> break
	od;
	queued--;
	queue[queued] = 0
}

inline unlock()
{
	i = 0;
	ahead = false;
	do
	:: i >= queued -> break
	:: else ->
		r = queue[i];
		if
		:: REFUSED(r) ->
			take_out();
			granted[r] = false;
			call[r] = READY;
			i = 0;
			ahead = false
		:: !REFUSED(r) && GRANTABLE(r) ->
			take_out();
			grant(r);
			call[r] = READY;
			i = 0;
			ahead = false
		:: else ->
			ahead = ahead || !IS_SYSTEM(r);
			i++
		fi
	od;
	i = 0;
	r = 0;
	ahead = false
}

inline put_first(x)
{
	i = queued;
	do
	:: i > 0 -> queue[i] = queue[i - 1]; i--
	:: else -> break
	od;
	queue[0] = x;
	queued++
}

/* Is a client in the queue? */
inline look_ahead()
{
	i = 0;
	do
	:: i < queued -> ahead = ahead || !IS_SYSTEM(queue[i]); i++
	:: else -> break
	od;
	i = 0
}

inline enqueue(x)
{
	if
	:: x == RESET -> put_first(x)
	:: else -> queue[queued] = x; queued++
	fi;
	call[x] = WAITING
}

inline ask(x, what)
{
	needs[x] = what;
	look_ahead();
	if
	:: REFUSED(x) -> granted[x] = false; call[x] = READY
	:: !REFUSED(x) && GRANTABLE(x) -> grant(x); call[x] = READY
	:: else -> enqueue(x)
	fi;
	ahead = false;
	unlock()
}

inline leave(x)
{
	i = 0;
	do
	:: i < queued && queue[i] == x -> take_out(); break
	:: i < queued && queue[i] != x -> i++
	:: else -> break
	od;
	i = 0
}

inline tell_all()
{
	r = 0;
	do
	:: r < CLIENTS -> reset[r] = true; r++
	:: else -> break
	od;
	r = 0
}

inline lose_owner()
{
	owner = NOBODY;
	tell_all();
	recovering = true;
	if
	:: !reset_started -> reset_started = true; ask(RESET, TURN)
	:: else
	fi
}

inline enter_driver(x)
{
	assert(running == 0);
	assert(turn == x);
	assert(IS_SYSTEM(x) || owner == NOBODY || owner == x);
	running++
}

inline give_turn(x)
{
	assert(turn == x);
	turn = NOBODY
}

/* The call is over, or was refused: nothing of it is left. */
inline forget(x)
{
	call[x] = IDLE;
	needs[x] = 0;
	granted[x] = false
}

inline die(me)
{
	leave(me);
	if
	:: call[me] == READY && turn == me -> turn = NOBODY
	:: else
	fi;
	forget(me);
	inside[me] = false;
	if
	:: owner == me && !reset[me] && !gone -> lose_owner()
	:: owner == me && (reset[me] || gone) -> owner = NOBODY
	:: else
	fi;
	reset[me] = false;
	doomed = NOBODY;
	unlock()
}

inline leave_driver(me)
{
	running--;
	give_turn(me);
	if
	:: needs[me] == RECONNECT -> reset[me] = false; inside[me] = (owner == me)
	:: else
	fi;
	used[me] = inside[me];
	forget(me);
	unlock()
}

inline end_transaction(me)
{
	if
	:: owner == me && !reset[me] -> owner = NOBODY
	:: else
	fi;
	inside[me] = false;
	used[me] = false;
	unlock()
}

#define MAY_CALL(me) (!gone && !used[me] && doomed != me)

/*
 * Client number _pid asks, looks what came of it, has its call run; and may die between any two of
 * these, or fall silent in its transaction. A transaction has one call at most, so that an owner
 * that is never silent, whom nobody can evict, gives the lock back some time. The call is
 * SCardTransmit, or SCardReconnect with SCARD_RESET_CARD.
 */
active [CLIENTS] proctype client()
{
end_idle:
	do
	:: d_step { MAY_CALL(_pid) -> ask(_pid, RECONNECT) }; goto look
	:: d_step { MAY_CALL(_pid) && !reset[_pid] -> ask(_pid, TRANSMIT) }; goto look
	:: d_step { MAY_CALL(_pid) && !reset[_pid] && !inside[_pid] -> ask(_pid, BEGIN) }; goto look
	:: d_step { inside[_pid] -> end_transaction(_pid) }
	:: inside[_pid] ->
end_silent:
		d_step { reset[_pid] || gone || doomed == _pid -> inside[_pid] = false; used[_pid] = false }
	:: d_step { doomed == _pid -> die(_pid) }; break
look:
		if
		:: d_step { call[_pid] == READY && !granted[_pid] -> forget(_pid) }
		:: d_step { call[_pid] == READY && granted[_pid] && needs[_pid] == BEGIN ->
			forget(_pid); inside[_pid] = true }
		:: d_step { call[_pid] == READY && granted[_pid] && needs[_pid] != BEGIN ->
			call[_pid] = IDLE; enter_driver(_pid);
			if
			:: needs[_pid] == RECONNECT -> tell_all(); unlock()
			:: else
			fi };
			d_step { leave_driver(_pid) }
		:: d_step { doomed == _pid -> die(_pid) }; break
		fi
	od
}

inline daemon_call(x)
{
	d_step { call[x] == READY -> forget(x); enter_driver(x) };
	d_step {
		running--;
		give_turn(x);
		if
		:: x == RESET -> tell_all(); recovering = false; reset_started = false
		:: else
		fi;
		unlock()
	}
}

active proctype reset_job()
{
end_idle:
	do
	:: daemon_call(RESET)
	od
}

active proctype monitor()
{
end_idle:
	do
	:: gone -> break
	:: d_step { !gone -> ask(MONITOR, TURN) }; daemon_call(MONITOR)
	od
}

#define WAITS_FOR_LOCK(x) (call[x] == WAITING && owner != (x))
#if CLIENTS == 2
#define SOMEBODY_WAITS (WAITS_FOR_LOCK(0) || WAITS_FOR_LOCK(1))
#else
#define SOMEBODY_WAITS (WAITS_FOR_LOCK(0) || WAITS_FOR_LOCK(1) || WAITS_FOR_LOCK(2))
#endif
#define LEASE_OVER                                                                                 \
	(owner != NOBODY && turn != owner && call[owner] != WAITING && SOMEBODY_WAITS)

active proctype lease()
{
end_idle:
	do
	:: d_step { LEASE_OVER -> lose_owner(); unlock() }
	od
}

active proctype death()
{
end_idle:
	do
	:: d_step { doomed == NOBODY -> doomed = 0 }
	:: d_step { doomed == NOBODY -> doomed = 1 }
#if CLIENTS > 2
	:: d_step { doomed == NOBODY -> doomed = 2 }
#endif
	:: break
	od
}

active proctype unplug()
{
	if
	:: d_step { gone = true; unlock() }
	:: true
	fi
}

/* Nobody waits for nothing: no wake-up was lost. */
#define AWAKE (queued == 0 || owner != NOBODY || turn != NOBODY || recovering)

/* While one has the lock, nobody else's call runs. */
#define EXCLUSION (turn >= CLIENTS || owner == NOBODY || owner == turn)

/* Who believes to be in a transaction is; or will be told before anything of it reaches the card. */
#define BELIEF(x) (!inside[x] || reset[x] || gone || owner == x)

ltl invariants { [] (AWAKE && EXCLUSION && BELIEF(0) && BELIEF(1)) }

/* Everybody who waits is served, or refused. All clients are alike: it is enough to ask for one. */
ltl served { [] (call[0] == WAITING -> <> (call[0] != WAITING)) }

/* Every lost owner's card is reset, and the daemon's own calls are served. */
ltl recovers { [] (recovering -> <> !recovering) }
ltl watched { [] (call[MONITOR] == WAITING -> <> (call[MONITOR] != WAITING)) }
