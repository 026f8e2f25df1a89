# SPDX-License-Identifier: BSD-3-Clause
"""Who may talk to the card, and what becomes of it when a holder sleeps, is stopped or dies."""

import signal
import time
import unittest

import harness
import winscard
from harness import Client, NULL_LIBRARY, Pcscd, reader_entry
from winscard import RESET, SHARE_EXCLUSIVE, SHARE_SHARED

COMMAND = "0084000008"
READER = "Good 00 00"


class Sharing:
    """Two clients, each with a handle of the same card."""

    def setUp(self):
        super().setUp()
        self.daemon = Pcscd(self, reader_entry("Good", "null:", NULL_LIBRARY)
                            + reader_entry("Slow", "null:delay=500", NULL_LIBRARY),
                            options=["--lease", self.LEASE_S])
        self.holder, self.holder_context, self.held = self.connected()
        self.waiter, self.waiter_context, self.handle = self.connected()

    def connected(self, reader=READER, share=SHARE_SHARED):
        client = Client(self, self.daemon, self.library)
        context = client.establish()
        client.wait_state(context, reader, winscard.STATE_PRESENT)
        return client, context, client.connect(context, reader, share)["handle"]

    def assert_works(self, client, handle):
        client.begin(handle)
        self.assertEqual(client.transmit(handle, COMMAND), "9000")
        client.end(handle)


@harness.with_each_library
class Transactions(Sharing):
    # Out of reach, however slow the machine.
    LEASE_S = 60

    def test_turn_passes_at_once(self):
        self.holder.begin(self.held)
        waiting = self.waiter.start("begin", self.handle)
        transmitting = self.waiter.start("transmit", self.handle, COMMAND)
        self.assertEqual(self.holder.transmit(self.held, COMMAND), "9000")
        self.assertFalse(waiting.done())
        self.assertFalse(transmitting.done())
        self.holder.end(self.held)
        self.assertEqual(waiting.rv(), "SCARD_S_SUCCESS")
        self.assertEqual(transmitting.rv(), "SCARD_S_SUCCESS")
        self.waiter.end(self.handle)

    def test_holder_killed(self):
        self.holder.begin(self.held)
        waiting = self.waiter.start("begin", self.handle)
        before = time.monotonic()
        self.holder.kill()
        # The card was reset for the next one, who is told so, once.
        self.assertIn(waiting.rv(), ("SCARD_S_SUCCESS", "SCARD_W_RESET_CARD"))
        self.assertLess(time.monotonic() - before, harness.bound(5))
        self.waiter.reconnect(self.handle)
        self.assert_works(self.waiter, self.handle)

    def test_waiter_killed(self):
        third, _, handle = self.connected()
        self.holder.begin(self.held)
        self.waiter.start("begin", self.handle)
        waiting = third.start("begin", handle)
        self.waiter.kill()
        self.holder.end(self.held)
        self.assertEqual(waiting.rv(), "SCARD_S_SUCCESS")
        third.end(handle)
        self.assert_works(self.holder, self.held)

    def test_connect_waits_in_the_same_queue(self):
        self.holder.begin(self.held)
        third = Client(self, self.daemon, self.library)
        connecting = third.start("connect", third.establish(), READER)
        self.assertEqual(self.holder.transmit(self.held, COMMAND), "9000")
        self.holder.end(self.held)
        self.assert_works(third, connecting.value()["handle"])

    def test_begin_then_connect_on_the_same_context(self):
        """It would wait for itself: the answer comes at once."""
        self.holder.begin(self.held)
        before = time.monotonic()
        self.assertIn(self.holder.rv("connect", self.holder_context, READER),
                      ("SCARD_S_SUCCESS", "SCARD_E_SHARING_VIOLATION"))
        self.assertLess(time.monotonic() - before, harness.bound(1))
        self.assertEqual(self.holder.transmit(self.held, COMMAND), "9000")
        self.holder.end(self.held)
        self.assert_works(self.holder, self.holder.connect(self.holder_context, READER)["handle"])

    def test_exclusive(self):
        self.holder.disconnect(self.held)
        self.assertEqual(self.holder.rv("connect", self.holder_context, READER, SHARE_EXCLUSIVE),
                         "SCARD_E_SHARING_VIOLATION")
        self.waiter.disconnect(self.handle)
        held = self.holder.connect(self.holder_context, READER, SHARE_EXCLUSIVE)["handle"]
        self.assertEqual(self.waiter.rv("connect", self.waiter_context, READER),
                         "SCARD_E_SHARING_VIOLATION")
        self.holder.reconnect(held, SHARE_SHARED)
        handle = self.waiter.connect(self.waiter_context, READER)["handle"]
        self.assert_works(self.waiter, handle)
        self.assert_works(self.holder, held)

    def test_exclusive_holder_killed(self):
        self.holder.disconnect(self.held)
        self.waiter.disconnect(self.handle)
        self.holder.connect(self.holder_context, READER, SHARE_EXCLUSIVE)
        self.holder.kill()
        deadline = time.monotonic() + harness.CALL_S
        state = 0
        while True:
            [[_, event, _]] = self.waiter.status_change(self.waiter_context, 5000, [[READER, state]])
            if not event & winscard.STATE_EXCLUSIVE:
                break
            self.assertLess(time.monotonic(), deadline)
            state = event & ~winscard.STATE_CHANGED
        self.assert_works(self.waiter, self.waiter.connect(self.waiter_context, READER)["handle"])

    def test_reset_by_one_of_three(self):
        third, _, handle = self.connected()
        self.holder.reconnect(self.held, SHARE_SHARED, winscard.PROTOCOL_ANY, RESET)
        self.assertEqual(self.holder.transmit(self.held, COMMAND), "9000")
        for client, other in ((self.waiter, self.handle), (third, handle)):
            self.assertEqual(client.rv("transmit", other, COMMAND), "SCARD_W_RESET_CARD")
            self.assertEqual(client.rv("begin", other), "SCARD_W_RESET_CARD")
            client.reconnect(other)
            self.assertEqual(client.transmit(other, COMMAND), "9000")

    def test_nested_transactions(self):
        self.holder.begin(self.held)
        self.holder.begin(self.held)
        self.holder.end(self.held)
        waiting = self.waiter.start("begin", self.handle)
        self.assertEqual(self.holder.transmit(self.held, COMMAND), "9000")
        self.assertFalse(waiting.done())
        self.holder.end(self.held)
        self.assertEqual(waiting.rv(), "SCARD_S_SUCCESS")
        self.assertEqual(self.holder.rv("end", self.held), "SCARD_E_SHARING_VIOLATION")
        self.waiter.end(self.handle)
        self.assertEqual(self.waiter.rv("end", self.handle), "SCARD_E_NOT_TRANSACTED")

    def test_many_processes_take_turns(self):
        clients = [self.connected() for _ in range(6)]
        running = [client.start("transactions", handle, 50, COMMAND) for client, _, handle in clients]
        for pending in running:
            longest, done = pending.value(100)
            self.assertEqual(done, 50)
            self.assertLess(longest, harness.bound(5))

    def test_direct_needs_no_turn(self):
        self.holder.begin(self.held)
        third = Client(self, self.daemon, self.library)
        context = third.establish()
        self.assertIn(READER, third.list_readers(context))
        [[_, event, _]] = third.status_change(context, 0, [[READER, 0]])
        self.assertTrue(event & winscard.STATE_INUSE)
        self.assertEqual(third.rv("is_valid", context), "SCARD_S_SUCCESS")
        self.holder.end(self.held)


@harness.with_each_library
class Leases(Sharing):
    LEASE_S = 1

    def test_holder_stopped(self):
        self.holder.begin(self.held)
        self.holder.send_signal(signal.SIGSTOP)
        before = time.monotonic()
        rv = self.waiter.rv("begin", self.handle)
        self.assertIn(rv, ("SCARD_S_SUCCESS", "SCARD_W_RESET_CARD"))
        self.assertLess(time.monotonic() - before, self.LEASE_S + harness.bound(1))
        if rv != "SCARD_S_SUCCESS":
            self.waiter.reconnect(self.handle)
            self.waiter.begin(self.handle)
        self.waiter.end(self.handle)
        self.holder.send_signal(signal.SIGCONT)
        self.assertEqual(self.holder.rv("transmit", self.held, COMMAND), "SCARD_W_RESET_CARD")
        self.assertIn(self.holder.rv("end", self.held),
                      ("SCARD_W_RESET_CARD", "SCARD_E_NOT_TRANSACTED"))
        self.holder.reconnect(self.held)
        self.assert_works(self.holder, self.held)

    def test_holder_sleeping_alone_keeps_its_turn(self):
        self.holder.begin(self.held)
        # A wait in which nothing happens, longer than the lease.
        [[_, event, _]] = self.holder.status_change(self.holder_context, 0, [[READER, 0]])
        self.assertEqual(self.holder.rv("status_change", self.holder_context, 2000 * self.LEASE_S,
                                        [[READER, event & ~winscard.STATE_CHANGED]]),
                         "SCARD_E_TIMEOUT")
        self.assertEqual(self.holder.transmit(self.held, COMMAND), "9000")
        self.holder.end(self.held)

    def test_active_holder_keeps_its_turn(self):
        """The lease counts silence, and a running exchange is none."""
        holder, context, held = self.connected("Slow 01 00")
        waiter, _, handle = self.connected("Slow 01 00")
        holder.begin(held)
        waiting = waiter.start("begin", handle)
        for _ in range(4 * self.LEASE_S):
            self.assertEqual(holder.transmit(held, COMMAND), "9000")
        self.assertFalse(waiting.done())
        holder.end(held)
        self.assertEqual(waiting.rv(), "SCARD_S_SUCCESS")

    def test_waiter_stopped_while_its_turn_comes(self):
        """A turn that goes to one who cannot take it is a lease as well."""
        third, _, handle = self.connected()
        self.holder.begin(self.held)
        self.waiter.start("begin", self.handle)
        self.waiter.send_signal(signal.SIGSTOP)
        waiting = third.start("begin", handle)
        self.holder.end(self.held)
        self.assertIn(waiting.rv(), ("SCARD_S_SUCCESS", "SCARD_W_RESET_CARD"))


@harness.with_each_library
class HolderDiesAtEveryStep:
    """The holder is killed, or stopped, in a driver call and between any two of its calls; the next
    one always gets the slot."""

    LEASE_S = 1
    STEPS = ["establish", "connect", "begin", "transmit", "transmitting", "end", "disconnect"]

    def setUp(self):
        super().setUp()
        self.daemon = Pcscd(self, reader_entry("Slow", "null:delay=500", NULL_LIBRARY),
                            options=["--lease", self.LEASE_S])

    def go(self, client, last):
        """Runs a client up to and including a step."""
        context = client.establish()
        if last == "establish":
            return
        handle = client.connect(context, "Slow 00 00")["handle"]
        if last == "transmitting":
            client.begin(handle)
            client.start("transmit", handle, COMMAND)
            # What came back shows that the worker has read the line before, too.
            client.rv("is_valid", context)
            return
        for step in self.STEPS[2:]:
            if last == "connect":
                return
            if step != "transmitting":
                client.start(step, handle, *([COMMAND] if step == "transmit" else [])).value()
            if step == last:
                return

    def check(self, number):
        for step in self.STEPS:
            victim = Client(self, self.daemon, self.library)
            self.go(victim, step)
            victim.send_signal(number)
            other = Client(self, self.daemon, self.library)
            context = other.establish()
            before = time.monotonic()
            rv, value = other.start("connect", context, "Slow 00 00").result()
            if winscard.rv_name(rv) == "SCARD_E_SHARING_VIOLATION":
                # It waits no longer than a lease, and the holder was busy for a part of that.
                self.assertEqual(step, "transmitting")
                value = other.connect(context, "Slow 00 00")
            handle = value["handle"]
            rv = other.rv("begin", handle)
            self.assertIn(rv, ("SCARD_S_SUCCESS", "SCARD_W_RESET_CARD"), step)
            if rv != "SCARD_S_SUCCESS":
                other.reconnect(handle)
                other.begin(handle)
            self.assertEqual(other.transmit(handle, COMMAND), "9000")
            other.end(handle)
            self.assertLess(time.monotonic() - before, self.LEASE_S + harness.bound(3), step)
            victim.send_signal(signal.SIGCONT)
            victim.stop()
            other.stop()

    def test_killed(self):
        self.check(signal.SIGKILL)

    def test_stopped(self):
        self.check(signal.SIGSTOP)


@harness.with_each_library
class CardAndReaderGo:
    def setUp(self):
        super().setUp()
        self.vreader, self.daemon, self.client, self.context, self.reader = self.stack(self.library)
        self.handle = self.present(self.client, self.context, self.reader)

    def test_card_pulled_in_a_transaction(self):
        other = Client(self, self.daemon, self.library)
        other_context = other.establish()
        other_handle = other.connect(other_context, self.reader)["handle"]
        self.client.begin(self.handle)
        waiting = other.start("begin", other_handle)
        self.vreader.ctl("remove", 0)
        self.client.wait_state(self.context, self.reader, winscard.STATE_EMPTY)
        self.assertEqual(waiting.rv(), "SCARD_W_REMOVED_CARD")
        self.assertEqual(self.client.rv("transmit", self.handle, COMMAND), "SCARD_W_REMOVED_CARD")
        self.vreader.ctl("insert", 0, "iso")
        other.wait_state(other_context, self.reader, winscard.STATE_PRESENT)
        other.reconnect(other_handle)
        other.begin(other_handle)
        self.assertEqual(other.transmit(other_handle, COMMAND)[-4:], "9000")

    def test_card_pulled_in_a_transmit(self):
        transmitting = self.client.start("transmit", self.handle, "80EE4E20015A00")
        self.client.rv("is_valid", self.context)
        self.vreader.ctl("remove", 0)
        before = time.monotonic()
        self.assertIn(transmitting.rv(), ("SCARD_W_REMOVED_CARD", "SCARD_E_NO_SMARTCARD",
                                          "SCARD_E_NOT_TRANSACTED"))
        self.assertLess(time.monotonic() - before, harness.bound(2))

    def test_reader_unplugged_in_a_transmit(self):
        transmitting = self.client.start("transmit", self.handle, "80EE4E20015A00")
        self.client.rv("is_valid", self.context)
        self.vreader.ctl("unplug", 0)
        before = time.monotonic()
        self.assertIn(transmitting.rv(), ("SCARD_E_READER_UNAVAILABLE", "SCARD_E_NOT_TRANSACTED",
                                          "SCARD_W_REMOVED_CARD"))
        self.assertLess(time.monotonic() - before, harness.bound(2))
        self.vreader.ctl("plug", 0)
        self.client.wait_state(self.context, self.reader, winscard.STATE_PRESENT)
        again = self.client.connect(self.context, self.reader)["handle"]
        self.assertEqual(self.client.transmit(again, COMMAND)[-4:], "9000")

    def test_client_killed_in_a_transmit(self):
        """The exchange is aborted: the slot is free within 2 s, not after the card's 20."""
        self.client.start("transmit", self.handle, "80EE4E20015A00")
        self.client.rv("is_valid", self.context)
        self.client.kill()
        other = Client(self, self.daemon, self.library)
        before = time.monotonic()
        handle = other.connect(other.establish(), self.reader)["handle"]
        self.assertEqual(other.transmit(handle, COMMAND)[-4:], "9000")
        self.assertLess(time.monotonic() - before, harness.bound(2))


if __name__ == "__main__":
    unittest.main()
