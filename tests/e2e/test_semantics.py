# SPDX-License-Identifier: BSD-3-Clause
"""What the calls return, and what they leave behind, as programs written for pcsc-lite expect it;
with our library and with Debian's on our daemon."""

import unittest

import harness
import winscard
from harness import NULL_LIBRARY, Pcscd, reader_entry
from winscard import (ATTR_ATR_STRING, ATTR_DEVICE_FRIENDLY_NAME, GET_FEATURE_REQUEST,
                      PROTOCOL_ANY, PROTOCOL_RAW, PROTOCOL_T0, PROTOCOL_T1, RESET, SHARE_DIRECT,
                      SHARE_SHARED, STATUS_ABSENT, STATUS_NEGOTIABLE, STATUS_POWERED,
                      STATUS_PRESENT, UNPOWER)

RANDOM_8 = "0084000008"
USABLE = STATUS_PRESENT | STATUS_POWERED | STATUS_NEGOTIABLE


@harness.with_each_library
class Card:
    def setUp(self):
        super().setUp()
        self.vreader, self.daemon, self.client, self.context, self.reader = self.stack(
            self.library, protocol="both")
        self.handle = self.present(self.client, self.context, self.reader)

    def test_status(self):
        status = self.client.status(self.handle)
        self.assertEqual(status["reader"], self.reader)
        self.assertEqual(status["state"], USABLE)
        self.assertEqual(status["protocol"], PROTOCOL_T1)
        self.assertTrue(status["atr"].startswith("3b"))

    def test_groups(self):
        self.assertEqual(self.client.list_groups(self.context), ["SCard$DefaultReaders"])

    def test_answer_larger_than_the_buffer(self):
        """It is kept: asked again with room for it, the card is not."""
        before = self.vreader.ctl("stats", 0)
        rv, needed = self.client.start("transmit", self.handle, RANDOM_8, 4).result()
        self.assertEqual((winscard.rv_name(rv), needed), ("SCARD_E_INSUFFICIENT_BUFFER", 10))
        after = self.vreader.ctl("stats", 0)
        self.assertNotEqual(before, after)
        answer = self.client.transmit(self.handle, RANDOM_8, 10)
        self.assertEqual((len(answer), answer[-4:]), (20, "9000"))
        self.assertEqual(self.vreader.ctl("stats", 0), after)
        self.assertNotEqual(self.client.transmit(self.handle, RANDOM_8, 10), answer)

    def test_attributes(self):
        client, handle = self.client, self.handle
        self.assertEqual(client.attrib(handle, ATTR_ATR_STRING), client.status(handle)["atr"])
        name = bytes.fromhex(client.attrib(handle, ATTR_DEVICE_FRIENDLY_NAME))
        self.assertEqual(name.rstrip(b"\0").decode(), self.reader)
        self.assertEqual(client.rv("attrib", handle, 0x7FFFEEEE), "SCARD_E_UNSUPPORTED_FEATURE")

    def test_internal_tags_are_out_of_reach(self):
        """What daemon and driver say to each other is no attribute."""
        for tag in (0x0180, *range(0x0FAC, 0x0FB5), 0x0FC0):
            self.assertEqual(self.client.rv("attrib", self.handle, tag),
                             "SCARD_E_UNSUPPORTED_FEATURE", hex(tag))
            self.assertEqual(self.client.rv("set_attrib", self.handle, tag, "01"),
                             "SCARD_E_UNSUPPORTED_FEATURE", hex(tag))
        self.assertEqual(self.client.transmit(self.handle, RANDOM_8)[-4:], "9000")

    def test_features(self):
        """PC/SC part 10: tags of one byte, lengths of one byte (4), big-endian control codes."""
        features = bytes.fromhex(self.client.control(self.handle, GET_FEATURE_REQUEST))
        self.assertEqual(len(features) % 6, 0)
        self.assertTrue(all(length == 4 for length in features[1::6]))
        self.assertIn(0x12, features[0::6])

    def test_protocols(self):
        client, context, reader = self.client, self.context, self.reader
        self.assertEqual(client.rv("connect", context, reader, SHARE_SHARED, PROTOCOL_T0),
                         "SCARD_E_PROTO_MISMATCH")
        client.disconnect(self.handle, RESET)
        connected = client.connect(context, reader, SHARE_SHARED, PROTOCOL_T0)
        self.assertEqual(connected["protocol"], PROTOCOL_T0)
        self.assertEqual(client.rv("connect", context, reader, SHARE_SHARED, PROTOCOL_T1),
                         "SCARD_E_PROTO_MISMATCH")
        again = client.reconnect(connected["handle"], SHARE_SHARED, PROTOCOL_T1, RESET)
        self.assertEqual(again["protocol"], PROTOCOL_T1)
        self.assertEqual(client.transmit(connected["handle"], RANDOM_8)[-4:], "9000")

    def test_raw_leaves_others_alone(self):
        raw = self.client.connect(self.context, self.reader, SHARE_DIRECT, PROTOCOL_RAW)
        self.assertEqual(raw["protocol"], PROTOCOL_RAW)
        self.assertEqual(self.client.transmit(self.handle, RANDOM_8)[-4:], "9000")
        self.assertEqual(self.client.status(self.handle)["protocol"], PROTOCOL_T1)

    def test_unpowered_by_another(self):
        other = self.client.connect(self.context, self.reader)["handle"]
        self.client.disconnect(other, UNPOWER)
        self.assertEqual(self.client.rv("transmit", self.handle, RANDOM_8), "SCARD_W_RESET_CARD")
        self.client.reconnect(self.handle)
        self.assertEqual(self.client.transmit(self.handle, RANDOM_8)[-4:], "9000")

    def test_no_card(self):
        client, context, reader = self.client, self.context, self.reader
        client.disconnect(self.handle)
        self.vreader.ctl("remove", 0)
        client.wait_state(context, reader, winscard.STATE_EMPTY)
        self.assertEqual(client.rv("connect", context, reader), "SCARD_E_NO_SMARTCARD")
        direct = client.connect(context, reader, SHARE_DIRECT, 0)
        self.assertEqual(direct["protocol"], 0)
        self.assertEqual(client.status(direct["handle"])["state"], STATUS_ABSENT)
        self.assertTrue(client.control(direct["handle"], GET_FEATURE_REQUEST))

    def test_wrong_arguments(self):
        client, context, reader, handle = self.client, self.context, self.reader, self.handle
        for expected, name, *arguments in (
                ("SCARD_E_INVALID_VALUE", "establish", 7),
                ("SCARD_E_INVALID_HANDLE", "release", context + 1),
                ("SCARD_E_INVALID_HANDLE", "list_readers", context + 1),
                ("SCARD_E_INVALID_HANDLE", "transmit", handle + 1, RANDOM_8),
                ("SCARD_E_UNKNOWN_READER", "connect", context, "No such reader"),
                ("SCARD_E_INVALID_VALUE", "connect", context, reader, 0, PROTOCOL_ANY),
                ("SCARD_E_INVALID_VALUE", "connect", context, reader, 4, PROTOCOL_ANY),
                ("SCARD_E_PROTO_MISMATCH", "connect", context, reader, SHARE_SHARED, 0),
                ("SCARD_E_INVALID_VALUE", "disconnect", handle, 4),
                ("SCARD_E_INVALID_VALUE", "end", handle, 4),
                ("SCARD_E_INVALID_VALUE", "reconnect", handle, SHARE_SHARED, PROTOCOL_ANY, 3),
                ("SCARD_E_INSUFFICIENT_BUFFER", "transmit", handle, "00" * 65549),
                ("SCARD_E_NOT_TRANSACTED", "end", handle),
                ("SCARD_E_UNKNOWN_READER", "status_change", context, 0, [["No such reader", 0]])):
            with self.subTest(name=name, arguments=arguments[:4]):
                self.assertEqual(client.rv(name, *arguments), expected)
        self.assertEqual(client.transmit(handle, RANDOM_8)[-4:], "9000")

    def test_reader_comes_and_goes(self):
        """The notification made for it is given, and counts. Debian's library has no count yet: what
        changes before it begins to wait it does not see, so it is given more to see."""
        listed, tries = True, 1 if self.library == "ours" else 10
        while tries:
            tries -= 1
            listed = not listed
            [[_, before, _]] = self.client.start("status_change", self.context, 0,
                                                 [[winscard.PNP, 0]]).result()[1]
            waiting = self.client.start("status_change", self.context, 3000 if tries else 10000,
                                        [[winscard.PNP, before & ~winscard.STATE_CHANGED]])
            self.vreader.ctl("plug" if listed else "unplug", 0)
            if waiting.rv() != "SCARD_E_TIMEOUT":
                tries = 0
            self.client.wait_listed(self.context, self.reader, listed)
        [[_, event, _]] = waiting.value()
        self.assertTrue(event & winscard.STATE_CHANGED)
        self.vreader.ctl("unplug" if listed else "plug", 0)
        self.client.wait_listed(self.context, self.reader, not listed)


@harness.with_each_library
class Power:
    def test_unused_card_looks_the_same(self):
        """It is powered down after the grace, unseen, and up again by the next connection."""
        self.daemon = Pcscd(self, reader_entry("Good", "null:", NULL_LIBRARY),
                            options=["--power-grace", "0"])
        client = harness.Client(self, self.daemon, self.library)
        context = client.establish()
        reader = "Good 00 00"
        event, atr = client.wait_state(context, reader, winscard.STATE_PRESENT)
        handle = client.connect(context, reader)["handle"]
        client.disconnect(handle)
        self.assertEqual(client.rv("status_change", context, 300,
                                   [[reader, event & ~winscard.STATE_CHANGED]]), "SCARD_E_TIMEOUT")
        handle = client.connect(context, reader)["handle"]
        self.assertEqual(client.status(handle)["atr"], atr)
        self.assertEqual(client.status(handle)["state"], USABLE)
        self.assertEqual(client.transmit(handle, RANDOM_8), "9000")


if __name__ == "__main__":
    unittest.main()
