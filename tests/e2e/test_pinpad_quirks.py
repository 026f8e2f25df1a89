# SPDX-License-Identifier: BSD-3-Clause
"""Readers whose PIN pads want to be told differently, by their numbers: what the quirk files make of
PC_to_RDR_Secure and of what applications are told."""

import os
import time
import unittest

import harness
import ifdh
import part10
from part10 import Format

HEADER = b"\x00\x20\x00\x81"
TOLD = bytes.fromhex("0210000204000000000000000001060C0000000000")  # a vendor's 21 bytes


class Pads(harness.CardwireTest):
    @classmethod
    def setUpClass(cls):
        os.environ["CARDWIRE_QUIRKS"] = str(harness.SOURCE / "quirks")
        cls.addClassCleanup(os.environ.pop, "CARDWIRE_QUIRKS")

    def open(self, number, escapes=(), profile="extended"):
        self.vreader = harness.VReader(self, name=number.replace(":", "-"), profile=profile,
            card="pin-oracle", extra=["--pinpad", "--id", number])
        self.pad = part10.PinPad(self.vreader)
        for command, answer in escapes:
            self.vreader.ctl("escape", 0, command, answer or "-")
        self.slot = ifdh.Slot(ifdh.Handler(harness.CCID_LIBRARY), 0, self.vreader.device())
        self.assertEqual(self.slot.opened, ifdh.SUCCESS)
        self.addCleanup(self.slot.close)
        self.assertEqual(self.slot.presence(), ifdh.ICC_PRESENT)
        self.assertEqual(self.slot.power()[0], ifdh.SUCCESS)
        self.assertEqual(self.slot.set_protocol(1), ifdh.SUCCESS)

    def control(self, code, data=b""):
        result, answer = self.slot.control(code, data)
        self.assertEqual(result, ifdh.SUCCESS)
        return answer

    def verify(self, form=Format(), apdu=HEADER + b"\x08" + b"\xff" * 8, **options):
        """An entry; (bMessageType, abData) of what the reader got."""
        self.pad.forget_keys()
        self.pad.keys("1234E")
        self.assertEqual(
            self.control(part10.VERIFY_DIRECT, part10.verify(form, apdu, most=12, **options)),
            b"\x90\x00")
        return self.pad.secure()

    def modify(self, **options):
        """The same for a change. What the reader makes of it is its own business: some understand
        what others don't."""
        self.pad.forget_keys()
        self.pad.keys("1234E5678E5678E")
        self.slot.control(part10.MODIFY_DIRECT, part10.modify(
            Format(), b"\x00\x24\x00\x81\x10" + b"\xff" * 16, **options))
        self.pad.forget_keys()
        return self.pad.secure()[1]

    def told(self):
        return part10.parse_tlv(self.control(part10.TLV_PROPERTIES))

    def sizes(self):
        told = self.told()
        return tuple(told[tag][0] if tag in told else None for tag in (6, 7))

    def test_reader_without_quirks(self):
        self.open("1209:0001")
        kind, data = self.verify(messages=0xFF, validation=3)
        self.assertEqual((kind, data[5:9]), (0x69, b"\x0c\x00\x03\xff"))
        data = self.modify(messages=0, indexes=(5, 6, 7))
        self.assertEqual(data[11:18], b"\x00\x09\x04\x05\x00\x00\x00")
        self.assertEqual(self.sizes(), (None, None))
        self.assertNotIn(8, self.told())

    def test_spr532(self):
        self.open("04E6:E003", [("800200", "")])
        before = self.vreader.stats()["messages_out"]
        _, data = self.verify(Format(size=0, length_bits=0), HEADER)
        self.assertEqual(self.vreader.stats()["messages_out"] - before, 2)
        self.assertEqual(data[2:5], b"\x82\x00\x00")
        # The Escape is for PINs that are appended only.
        before = self.vreader.stats()["messages_out"]
        _, data = self.verify()
        self.assertEqual(self.vreader.stats()["messages_out"] - before, 1)
        self.assertEqual(data[2:5], b"\x82\x08\x00")
        data = self.modify(messages=0, indexes=(5, 6, 7))
        self.assertEqual(data[11:17], b"\x00\x09\x04\x00\x00\x00")
        self.assertEqual(self.sizes()[1], 25)

    def test_cherry_st_2000(self):
        self.open("046A:003E")
        self.assertEqual(self.verify()[0], 0x69)
        data = self.modify(messages=0, indexes=(5, 6, 7))
        self.assertEqual(data[11:17], b"\x00\x09\x04\x00\x00\x00")
        self.assertEqual(self.control(part10.PIN_PROPERTIES)[2], 2)
        self.assertEqual(self.told()[2], b"\x02")
        self.assertEqual(self.sizes(), (0, 25))

    def test_cherry_xx44(self):
        self.open("046A:0010")
        kind, data = self.verify(Format(size=0), HEADER)
        self.assertEqual((kind, data[15:]), (0x89, HEADER + b"\x00"))
        self.assertEqual(self.modify(messages=1)[11], 3)

    def test_cherry_kc_1000(self):
        self.open("046A:00A1")
        self.assertEqual(self.modify(messages=0)[11], 0xFF)
        self.assertEqual(self.modify(messages=2)[11], 2)
        self.assertEqual(self.sizes(), (0, 32))

    def test_gempc_pinpad(self):
        self.open("08E6:3478", [("02", b"GemPC-1.00".hex()), ("B2A0", "")])
        _, data = self.verify(messages=0xFF, validation=7)
        self.assertEqual(data[7:9], b"\x02\x01")
        data = self.modify(messages=1, validation=5, indexes=(5, 6, 7))
        self.assertEqual(data[10:17], b"\x02\x01\x09\x04\x05\x06\x07")
        self.assertEqual(self.told()[8], b"GemPC-1.00")
        self.assertEqual(self.control(part10.PIN_PROPERTIES)[2], 2)
        self.assertEqual(self.sizes(), (4, 8))

    def test_vega_alpha(self):
        self.open("0982:0008", [("B2A0", "")])
        self.assertEqual(self.verify(messages=0)[1][8], 1)
        self.assertEqual(self.sizes(), (4, 8))

    def test_pad_that_describes_itself(self):
        self.open("08E6:34C2", [("6A", TOLD.hex())])
        self.assertEqual(self.verify(validation=7)[1][7], TOLD[3] & 7)
        self.assertEqual(self.control(part10.PIN_PROPERTIES)[2], TOLD[3] & 7)
        self.assertEqual(self.sizes(), (TOLD[13], TOLD[14]))

    def test_dell_keyboards(self):
        for number, swapped in (("413C:2101", False), ("413C:2100", True)):
            self.open(number)
            start = time.monotonic()
            structure = part10.verify(Format(), HEADER + b"\x08" + b"\xff" * 8, fewest=4, most=12)
            self.pad.keys("1234E")
            # With the bytes swapped this reader would not understand; the real one does.
            result, _ = self.slot.control(part10.VERIFY_DIRECT, structure)
            self.assertEqual(result == ifdh.SUCCESS, not swapped)
            self.assertGreaterEqual(time.monotonic() - start, 0.25)
            data = self.pad.secure()[1]
            self.assertEqual(data[5:7], b"\x04\x0c" if swapped else b"\x0c\x04")
            self.assertEqual(data[8], 0)
            self.slot.close()

    def test_omnikey_3821(self):
        self.open("076B:3821")
        self.assertEqual(self.sizes(), (1, 31))

    def test_secoder(self):
        self.open("0D46:3010", [("2070000000", "01029000")])
        features = part10.parse_features(self.control(part10.GET_FEATURES))
        self.assertEqual(features[8], part10.READER_DIRECT)
        self.assertEqual(self.control(part10.READER_DIRECT, b"\x20\x70\0\0\0"),
            b"\x01\x02\x90\x00")
        for wrong in (b"", b"\x20\x70\0\0", b"\x00\x70\0\0\0", b"\x20\x6f\0\0\0", b"\x20\x75\0\0\0",
                b"\x20\x70\1\0\0", b"\x20\x70\0\1\0", b"\x20\x70\0\0\1"):
            before = self.vreader.stats()["messages_out"]
            self.assertNotEqual(self.slot.control(part10.READER_DIRECT, wrong)[0], ifdh.SUCCESS)
            self.assertEqual(self.vreader.stats()["messages_out"], before)

    def test_keyboard_that_leaks(self):
        self.open("03F0:1024")
        self.assertNotIn(6, part10.parse_features(self.control(part10.GET_FEATURES)))


if __name__ == "__main__":
    unittest.main()
