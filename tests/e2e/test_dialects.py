# SPDX-License-Identifier: BSD-3-Clause
"""Clients of every age: protocol 4:3 to 4:6, spoken byte by byte."""

import struct
import unittest

import harness
import winscard
from harness import CCID_LIBRARY, NULL_LIBRARY, Pcscd, VReader, reader_entry
from rawclient import (ARRAY_ENTRIES, CANCEL, GET_ARRAY, GET_SIZE, READER_STATE_BYTES, WAIT,
                       RawClient, parse_state)

READER = "Virtual 00 00"
SELECT_MF = bytes.fromhex("00A4000C023F00")


class Dialects(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.vreader = VReader(self)
        self.daemon = Pcscd(self, reader_entry("Virtual", self.vreader.device(), CCID_LIBRARY)
                            + reader_entry("Good", "null:", NULL_LIBRARY))
        watcher = harness.Client(self, self.daemon)
        self.watcher, self.watched = watcher, watcher.establish()
        # From here on nothing changes by itself.
        for reader in (READER, "Good 00 00"):
            watcher.wait_state(self.watched, reader, winscard.STATE_PRESENT)

    def client(self, minor):
        client = RawClient(self.daemon.socket)
        self.addCleanup(client.close)
        self.assertEqual(client.version(minor)[2], 0)
        self.assertEqual(client.establish(), 0)
        return client

    def state_of(self, states, name=READER):
        return next(state for state in states if state["name"] == name)

    def test_calls(self):
        for minor in (3, 4, 5, 6):
            with self.subTest(minor=minor):
                client = self.client(minor)
                state = self.state_of(client.states())
                self.assertEqual(state["state"] & 0x06, 0x04)
                self.assertEqual(state["sharing"], 0)
                self.assertTrue(state["atr"].startswith("3b"))
                card, protocol, rv = client.connect(READER)
                self.assertEqual(rv, 0)
                self.assertEqual(client.status(card), 0)
                self.assertEqual(client.begin(card), 0)
                self.assertEqual(client.transmit(card, protocol, SELECT_MF), (0, b"\x90\0"))
                self.assertEqual(client.end(card), 0)
                state = self.state_of(client.states())
                self.assertEqual((state["sharing"], state["protocol"]), (1, protocol))
                self.assertEqual(client.disconnect(card), 0)

    def test_events(self):
        for minor in (3, 4, 5, 6):
            with self.subTest(minor=minor):
                client = self.client(minor)
                client.wait()
                self.vreader.ctl("remove", 0)
                self.assertEqual(client.notification(), 0)
                self.watcher.wait_state(self.watched, READER, winscard.STATE_EMPTY)
                removed = self.state_of(client.states())
                self.assertEqual(removed["state"] & 0x06, 0x02)
                self.assertEqual(removed["atr_length"], 0)
                client.wait()
                self.vreader.ctl("insert", 0, "iso")
                self.assertEqual(client.notification(), 0)
                self.watcher.wait_state(self.watched, READER, winscard.STATE_PRESENT)
                inserted = self.state_of(client.states())
                self.assertGreater(inserted["counter"], removed["counter"])

    def test_stop(self):
        """STOP is answered while the client is registered, and only then."""
        for minor in (3, 4, 5, 6):
            with self.subTest(minor=minor):
                client = self.client(minor)
                client.wait()
                client.stop()
                self.assertEqual(client.notification(), 0)
                client.stop()
                self.assertTrue(client.silent(0.2))
                client.wait()
                self.vreader.ctl("remove", 0)
                self.assertEqual(client.notification(), 0)
                client.stop()
                self.assertTrue(client.silent(0.2))
                self.vreader.ctl("insert", 0, "iso")
                self.watcher.wait_state(self.watched, READER, winscard.STATE_PRESENT)

    def test_cancel(self):
        """From a connection that does nothing else, not even the version exchange."""
        for minor in (3, 4, 5, 6):
            with self.subTest(minor=minor):
                client = self.client(minor)
                client.wait()
                canceller = RawClient(self.daemon.socket)
                self.addCleanup(canceller.close)
                self.assertEqual(canceller.call(CANCEL, "iI", client.context, 0)[1], 0)
                self.assertEqual(client.notification(), 0x80100002)

    def test_no_notification_inside_a_state_reply(self):
        """One that comes after WAIT is held back until a 4:6 client has its array."""
        client = self.client(6)
        client.send(WAIT)
        client.send(GET_SIZE)
        size, = struct.unpack("=i", client.receive(4))
        self.vreader.ctl("remove", 0)
        self.watcher.wait_state(self.watched, READER, winscard.STATE_EMPTY)
        self.assertTrue(client.silent(0.2))
        client.send(GET_ARRAY)
        states = [parse_state(client.receive(READER_STATE_BYTES)) for _ in range(size)]
        self.assertEqual(self.state_of(states)["state"] & 0x06, 0x02)
        self.assertEqual(client.notification(), 0)

    def test_array_never_shrinks(self):
        client = self.client(6)
        self.assertGreaterEqual(len(client.states()), ARRAY_ENTRIES)
        before = len(client.states())
        self.vreader.ctl("unplug", 0)
        self.watcher.wait_listed(self.watched, READER, False)
        self.assertEqual(len(client.states()), before)

    def test_free_slots(self):
        for minor in (4, 6):
            states = self.client(minor).states()
            names = [state["name"] for state in states if state["name"]]
            # Devices are numbered by driver: both are the first of theirs.
            self.assertEqual(sorted(names), ["Good 00 00", READER])

    def test_reader_events(self):
        client = self.client(5)
        before = client.events()
        self.assertGreater(before, 0)
        self.vreader.ctl("unplug", 0)
        self.watcher.wait_listed(self.watched, READER, False)
        self.assertNotEqual(client.events(), before)

    def test_foreign_versions(self):
        """The daemon says what it speaks, and the client may ask again."""
        for major, minor in ((4, 7), (3, 6), (5, 0), (4, 2), (0, 0), (-1, -1)):
            client = RawClient(self.daemon.socket)
            self.addCleanup(client.close)
            self.assertEqual(client.version(minor, major), (4, 6, 0x8010001E))
            self.assertEqual(client.version(6), (4, 6, 0))
            self.assertEqual(client.establish(), 0)

    def test_without_version_exchange(self):
        client = RawClient(self.daemon.socket)
        self.addCleanup(client.close)
        self.assertEqual(client.establish(), 0)
        client.minor = 6
        self.assertGreaterEqual(len(client.states()), ARRAY_ENTRIES)


if __name__ == "__main__":
    unittest.main()
