# SPDX-License-Identifier: BSD-3-Clause
"""What our driver tells its host about readers and cards: IFDHGetCapabilities."""

import unittest

import ccidprofile
import ifdh
from test_driver_topology import Base

TAG, INSUFFICIENT_BUFFER = 600, 618
ATR, SLOT_THREAD_SAFE, THREAD_SAFE, SLOTS, SIMULTANEOUS = 0x0303, 0x0FAC, 0x0FAD, 0x0FAE, 0x0FAF
REMOVED, UNKNOWN = 0x0FB4, 0x0FFF
VENDOR, VERSION, SERIAL, CHANNEL = 0x10100, 0x10102, 0x10103, 0x20110
PRESENCE, INTERFACE, ATR_STRING = 0x90300, 0x90301, 0x90303
MAXINPUT = 0x7A007


class Capabilities(Base):
    def start(self, **more):
        vreader = self.play(ccidprofile.interface(**more))
        slot = self.open(0, vreader.device())
        self.addCleanup(slot.close)
        return vreader, slot

    def value(self, slot, tag):
        code, value = slot.get(tag)
        self.assertEqual(code, ifdh.SUCCESS, f"tag {tag:X}")
        return value

    def test_threads(self):
        """Several slots may be called at a time, whatever bMaxCCIDBusySlots: the driver waits."""
        for busy in (1, 2):
            vreader, slot = self.start(slots=2, busy=busy)
            for tag, value in ((THREAD_SAFE, 1), (SLOT_THREAD_SAFE, 1), (SLOTS, 2),
                    (SIMULTANEOUS, 255), (REMOVED, 1)):
                self.assertEqual(self.value(slot, tag), bytes([value]))
            slot.close()
            vreader.program.stop_well()

    def test_reader(self):
        _, slot = self.start()
        self.assertEqual(self.value(slot, VENDOR), b"Cardwire\0")
        self.assertEqual(self.value(slot, VERSION), bytes([0, 0, 0, 1]))
        self.assertEqual(int.from_bytes(self.value(slot, MAXINPUT), "little"), 271 - 10)
        self.assertEqual(self.value(slot, CHANNEL)[2:], b"\x20\0")

    def test_card(self):
        vreader, slot = self.start()
        self.assertEqual(slot.presence(), ifdh.ICC_PRESENT)
        self.assertEqual(self.value(slot, PRESENCE), b"\x02")
        self.assertEqual(self.value(slot, INTERFACE), b"\x01")
        self.assertEqual(self.value(slot, ATR), b"")
        _, atr = slot.power()
        for tag in (ATR, ATR_STRING):
            self.assertEqual(self.value(slot, tag), atr)
        self.assertEqual(slot.power(ifdh.POWER_DOWN)[0], ifdh.SUCCESS)
        self.assertEqual(self.value(slot, ATR), b"")
        vreader.ctl("remove", 0)
        slot.await_presence(ifdh.ICC_NOT_PRESENT)
        self.assertEqual(self.value(slot, PRESENCE), b"\x00")
        self.assertEqual(self.value(slot, INTERFACE), b"\x00")

    def test_polling(self):
        """Only a reader with interrupt messages has something to wait for."""
        for endpoints, length in ((3, 8), (2, 0)):
            vreader, slot = self.start(endpoints=endpoints)
            for tag in (ifdh.TAG_POLL, ifdh.TAG_STOP):
                self.assertEqual(len(self.value(slot, tag)), length)
            slot.close()
            vreader.program.stop_well()

    def test_wrong_calls(self):
        _, slot = self.start()
        self.assertEqual(slot.get(UNKNOWN)[0], TAG)
        self.assertEqual(slot.get(VENDOR, 3)[0], INSUFFICIENT_BUFFER)
        slot.close()
        self.assertNotEqual(slot.get(THREAD_SAFE)[0], ifdh.SUCCESS)


if __name__ == "__main__":
    unittest.main()
