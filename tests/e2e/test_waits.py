# SPDX-License-Identifier: BSD-3-Clause
"""Cancelled waits, many threads on one context, fork, and a daemon that is started again."""

import json
import os
import signal
import subprocess
import time
import unittest

import harness
import winscard
from harness import Client, NULL_LIBRARY, Pcscd, reader_entry

READER = "Good 00 00"
COMMAND = "0084000008"
# The sanitizers make each call many times slower. The stock library makes a connection for each
# cancel: it gets a part of these numbers, unless the environment asks for more.
CANCELS = 2000 if harness.PRELOAD else 100000
RESTARTS = 10 if harness.PRELOAD else 100
STOCK_CANCELS = int(os.environ.get("CARDWIRE_CANCELS", CANCELS // 20))
STOCK_RESTARTS = int(os.environ.get("CARDWIRE_RESTARTS", RESTARTS // 5))


class Waiting(harness.CardwireTest):
    library = "ours"

    def setUp(self):
        super().setUp()
        self.daemon = Pcscd(self, reader_entry("Good", "null:", NULL_LIBRARY)
                            + reader_entry("Slow", "null:delay=1000", NULL_LIBRARY))
        self.client = Client(self, self.daemon, self.library)
        self.context = self.client.establish()
        for reader in (READER, "Slow 01 00"):
            self.client.wait_state(self.context, reader, winscard.STATE_PRESENT)
        self.readers = self.client.list_readers(self.context)

    def state(self):
        [[_, event, _]] = self.client.status_change(self.context, 0, [[READER, 0]])
        return event & ~winscard.STATE_CHANGED

    def start_wait(self):
        return self.client.start("status_change", self.context, winscard.INFINITE,
                                 [[READER, self.state()]])


class WaitingBoth:
    def test_cancel(self):
        waiting = self.start_wait()
        # The stock library forgets a cancel that comes before the wait.
        while not waiting.done():
            self.client.cancel(self.context)
        self.assertEqual(waiting.rv(), "SCARD_E_CANCELLED")

    def test_cancel_is_only_for_its_context(self):
        second = self.client.establish()
        state = self.state()
        waiting = self.client.start("status_change", second, 1500, [[READER, state]])
        self.client.cancel(self.context)
        self.assertEqual(waiting.rv(), "SCARD_E_TIMEOUT")

    def test_fork_of_an_idle_child(self):
        handle = self.client.connect(self.context, READER)["handle"]
        self.assertEqual(self.client.fork_idle_child(self.context, handle, COMMAND), "9000")
        self.assertEqual(self.client.rv("is_valid", self.context), "SCARD_S_SUCCESS")
        self.assertEqual(self.client.list_readers(self.context), self.readers)

    def test_threads_on_one_context(self):
        """32 threads, each with a handle, and listings among them."""
        handles = [self.client.connect(self.context, READER)["handle"] for _ in range(32)]
        running = [self.client.start("transmits", handle, 100, COMMAND) for handle in handles]
        for _ in range(20):
            self.assertEqual(self.client.list_readers(self.context), self.readers)
        for pending in running:
            self.assertEqual(pending.value(100), 100)


class WaitingDebian(WaitingBoth, Waiting):
    library = "debian"

    def test_cancel_storm(self):
        # One cancel that is left over meets the next wait or none.
        self.assertEqual(self.client.cancel_storm(self.context, READER, STOCK_CANCELS, True,
                                                  timeout=250), STOCK_CANCELS)

    def test_restart(self):
        """The stock library's contexts end with the daemon, at once; new ones work."""
        for _ in range(STOCK_RESTARTS):
            waiting = self.start_wait()
            self.daemon.stop()
            self.assertIn(waiting.rv(), ("SCARD_F_COMM_ERROR", "SCARD_E_NO_SERVICE",
                                         "SCARD_E_SERVICE_STOPPED"))
            self.daemon.start()
            self.context = self.client.establish()
            self.client.wait_state(self.context, READER, winscard.STATE_PRESENT)


class WaitingOurs(WaitingBoth, Waiting):
    def test_fork(self):
        """A child has none of its parent's handles, and can have its own."""
        handle = self.client.connect(self.context, READER)["handle"]
        *codes, fresh = self.client.fork_child(self.context, handle, COMMAND)
        self.assertEqual(codes, ["SCARD_E_INVALID_HANDLE"] * len(codes))
        self.assertEqual(fresh, "SCARD_S_SUCCESS")
        self.assertEqual(self.client.transmit(handle, COMMAND), "9000")
        self.assertEqual(self.client.rv("is_valid", self.context), "SCARD_S_SUCCESS")

    def test_cancel_storm(self):
        self.assertEqual(self.client.cancel_storm(self.context, READER, CANCELS, timeout=250),
                         CANCELS)

    def test_cancel_is_latched(self):
        self.client.cancel(self.context)
        self.assertEqual(self.start_wait().rv(), "SCARD_E_CANCELLED")

    def await_waiter(self):
        """Returns when the daemon knows of a wait on the first reader."""
        deadline = time.monotonic() + 20
        waiters = []
        while not waiters:
            self.assertLess(time.monotonic(), deadline)
            report = subprocess.check_output([harness.BUILD / "bin/pcscctl", "--socket",
                                              self.daemon.socket, "who", "--json"])
            waiters = json.loads(report)["readers"][0]["waiters"]

    def test_stopped_daemon(self):
        """While it is stopped waits end in time; a call on a card goes on when the daemon does."""
        handle = self.client.connect(self.context, READER)["handle"]
        state = self.state()
        waiting = self.start_wait()
        self.await_waiter()
        self.daemon.program.process.send_signal(signal.SIGSTOP)
        running = self.client.start("transmit", handle, COMMAND)
        self.client.cancel(self.context)
        self.assertEqual(waiting.rv(), "SCARD_E_CANCELLED")
        self.daemon.program.process.send_signal(signal.SIGCONT)
        self.assertEqual(running.value(), "9000")
        self.assertEqual(self.client.rv("status_change", self.context, 10, [[READER, state]]),
                         "SCARD_E_TIMEOUT")

    def test_release_ends_a_wait(self):
        waiting = self.start_wait()
        self.client.release(self.context)
        self.assertIn(waiting.rv(), ("SCARD_E_CANCELLED", "SCARD_E_INVALID_HANDLE"))
        self.assertEqual(self.client.rv("is_valid", self.context), "SCARD_E_INVALID_HANDLE")

    def test_transmit_beside_a_wait(self):
        handle = self.client.connect(self.context, READER)["handle"]
        waiting = self.start_wait()
        for _ in range(20):
            self.assertEqual(self.client.transmit(handle, COMMAND), "9000")
        self.assertFalse(waiting.done())
        self.client.cancel(self.context)
        self.assertEqual(waiting.rv(), "SCARD_E_CANCELLED")

    def test_slow_reader_delays_no_other(self):
        slow = self.client.connect(self.context, "Slow 01 00")["handle"]
        fast = self.client.connect(self.context, READER)["handle"]
        running = self.client.start("transmit", slow, COMMAND)
        answers = 0
        while not running.done():
            self.assertEqual(self.client.transmit(fast, COMMAND), "9000")
            answers += 1
        self.assertEqual(running.rv(), "SCARD_S_SUCCESS")
        self.assertGreater(answers, 2)

    def test_transactions_of_threads_on_one_context(self):
        """32 threads, each with a handle, beside a wait and listings."""
        waiting = self.start_wait()
        handles = [self.client.connect(self.context, READER)["handle"] for _ in range(32)]
        running = [self.client.start("transactions", handle, 30, COMMAND) for handle in handles]
        for _ in range(20):
            self.assertEqual(len(self.client.list_readers(self.context)), 2)
        for pending in running:
            self.assertEqual(pending.value(100)[1], 30)
        self.client.cancel(self.context)
        self.assertEqual(waiting.rv(), "SCARD_E_CANCELLED")


class Restart(Waiting):
    def restart(self):
        self.daemon.stop()
        self.daemon.start()

    def test_wait_goes_on(self):
        """The daemon is started again and again under a waiting client."""
        for _ in range(RESTARTS):
            waiting = self.start_wait()
            self.restart()
            if waiting.done():
                self.assertEqual(waiting.rv(), "SCARD_S_SUCCESS")
            else:
                self.client.cancel(self.context)
                self.assertIn(waiting.rv(), ("SCARD_E_CANCELLED", "SCARD_S_SUCCESS"))
            self.client.wait_listed(self.context, READER)

    def test_handles_after_a_restart(self):
        handle = self.client.connect(self.context, READER)["handle"]
        self.restart()
        self.assertEqual(self.client.rv("transmit", handle, COMMAND), "SCARD_W_RESET_CARD")
        self.client.reconnect(handle)
        self.assertEqual(self.client.transmit(handle, COMMAND), "9000")
        self.assertEqual(self.client.rv("is_valid", self.context), "SCARD_S_SUCCESS")

    def test_no_daemon(self):
        self.daemon.stop()
        self.assertEqual(self.client.rv("establish"), "SCARD_E_NO_SERVICE")


class Limits(harness.CardwireTest):
    def test_idle_connections_of_many(self):
        """Idle contexts in the thousands neither slow the daemon nor cost it a thread each."""
        daemon = Pcscd(self, reader_entry("Good", "null:", NULL_LIBRARY))
        client = Client(self, daemon)
        contexts = [client.establish() for _ in range(300)]
        threads = len(os.listdir(f"/proc/{daemon.program.pid}/task"))
        self.assertLess(threads, 50)
        other = Client(self, daemon)
        before = time.monotonic()
        other.establish()
        self.assertLess(time.monotonic() - before, harness.bound(1))
        for context in contexts:
            client.release(context)

    def test_many_readers(self):
        """More readers than pcsc-lite's 16; a client finds all of them."""
        daemon = Pcscd(self, "".join(reader_entry(f"R{i}", f"null:{i}", NULL_LIBRARY)
                                     for i in range(40)))
        client = Client(self, daemon)
        context = client.establish()
        readers = client.list_readers(context)
        self.assertEqual(len(readers), 40)
        handle = client.connect(context, readers[-1])["handle"]
        self.assertEqual(client.transmit(handle, COMMAND), "9000")


if __name__ == "__main__":
    unittest.main()
