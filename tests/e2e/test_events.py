# SPDX-License-Identifier: BSD-3-Clause
"""Cards come and go, readers come and go, and who waits for it is told."""

import unittest

import harness
import winscard
from winscard import (STATE_CHANGED, STATE_EMPTY, STATE_PRESENT, STATE_UNAVAILABLE, STATE_UNKNOWN)


@harness.with_each_library
class Events:
    def setUp(self):
        super().setUp()
        self.vreader, self.daemon, self.client, self.context, self.reader = self.stack(self.library)

    def wait_gone(self):
        """Waits until the reader is unavailable or no more there."""
        client, state = self.client, 0
        while True:
            rv, value = client.start("status_change", self.context, 10000,
                                     [[self.reader, state]]).result()
            if winscard.rv_name(rv) == "SCARD_E_UNKNOWN_READER":
                return
            self.assertEqual(rv, 0)
            state = value[0][1] & ~STATE_CHANGED
            if state & (STATE_UNAVAILABLE | STATE_UNKNOWN):
                return

    def test_card_removed_and_inserted(self):
        client, context, reader = self.client, self.context, self.reader
        event, atr = client.wait_state(context, reader, STATE_PRESENT)
        waiting = client.start("status_change", context, 10000, [[reader, event & ~STATE_CHANGED]])
        self.vreader.ctl("remove", 0)
        [[_, event, no_atr]] = waiting.value()
        self.assertEqual(event & (STATE_EMPTY | STATE_PRESENT | STATE_CHANGED),
                         STATE_EMPTY | STATE_CHANGED)
        self.assertEqual(no_atr, "")
        waiting = client.start("status_change", context, 10000, [[reader, event & ~STATE_CHANGED]])
        self.vreader.ctl("insert", 0, "iso")
        [[_, event, again]] = waiting.value()
        self.assertTrue(event & STATE_PRESENT)
        self.assertEqual(again, atr)

    def test_handle_of_a_removed_card(self):
        client, context, reader = self.client, self.context, self.reader
        handle = self.present(client, context, reader)
        self.vreader.ctl("remove", 0)
        client.wait_state(context, reader, STATE_EMPTY)
        self.assertEqual(client.rv("transmit", handle, "0084000008"), "SCARD_W_REMOVED_CARD")
        self.assertEqual(client.rv("connect", context, reader), "SCARD_E_NO_SMARTCARD")
        self.vreader.ctl("insert", 0, "iso")
        client.wait_state(context, reader, STATE_PRESENT)
        self.assertEqual(client.rv("transmit", handle, "0084000008"), "SCARD_W_REMOVED_CARD")
        client.reconnect(handle)
        self.assertEqual(client.transmit(handle, "0084000008")[-4:], "9000")

    def test_no_change_times_out(self):
        client, context, reader = self.client, self.context, self.reader
        event, _ = client.wait_state(context, reader, STATE_PRESENT)
        state = event & ~STATE_CHANGED
        for timeout in (0, 200):
            self.assertEqual(client.rv("status_change", context, timeout, [[reader, state]]),
                             "SCARD_E_TIMEOUT")

    def test_reader_unplugged_and_plugged(self):
        client, context, reader = self.client, self.context, self.reader
        client.wait_state(context, reader, STATE_PRESENT)
        self.vreader.ctl("unplug", 0)
        self.wait_gone()
        self.vreader.ctl("plug", 0)
        client.wait_state(context, reader, STATE_PRESENT)
        handle = client.connect(context, reader)["handle"]
        self.assertEqual(client.transmit(handle, "00A4000C023F00"), "9000")

    def test_two_clients_see_the_same(self):
        other = harness.Client(self, self.daemon, self.library)
        other_context = other.establish()
        events = []
        for client, context in ((self.client, self.context), (other, other_context)):
            event, _ = client.wait_state(context, self.reader, STATE_PRESENT)
            events.append(client.start("status_change", context, 10000,
                                       [[self.reader, event & ~STATE_CHANGED]]))
        self.vreader.ctl("remove", 0)
        for waiting in events:
            self.assertTrue(waiting.value()[0][1] & STATE_EMPTY)


if __name__ == "__main__":
    unittest.main()
