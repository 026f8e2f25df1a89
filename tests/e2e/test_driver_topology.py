# SPDX-License-Identifier: BSD-3-Clause
"""Our driver with readers that are more than one: several CCID interfaces in one device, several
slots in one interface."""

import threading
import time
import unittest

import ccidprofile
import harness
import ifdh


def echo(data):
    return bytes([0x80, 0xEC, 0, 0, len(data)]) + data + b"\0"


def slow_echo(data, milliseconds):
    return (bytes([0x80, 0xEE]) + milliseconds.to_bytes(2, "big") + bytes([len(data)]) + data
        + b"\0")


class Base(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.handler = ifdh.Handler(harness.CCID_LIBRARY)

    def play(self, *interfaces, **more):
        path = ccidprofile.write(self.tmp / "profile.json", *interfaces)
        return harness.VReader(self, profile=path, **more)

    def open(self, lun, device):
        slot = ifdh.Slot(self.handler, lun, device)
        self.assertEqual(slot.opened, ifdh.SUCCESS)
        return slot

    def connect(self, lun, device):
        slot = self.open(lun, device)
        self.assertEqual(slot.presence(), ifdh.ICC_PRESENT)
        self.assertEqual(slot.power()[0], ifdh.SUCCESS)
        self.assertEqual(slot.set_protocol(1), ifdh.SUCCESS)
        return slot

    def check(self, slot, data=b"data"):
        self.assertEqual(slot.transmit(echo(data)), (ifdh.SUCCESS, data + b"\x90\x00"))

    def at_once(self, slots, command):
        """All slots send the command at the same time; the answers, and how long it took."""
        answers = [None] * len(slots)
        ready = threading.Barrier(len(slots) + 1)

        def run(i):
            ready.wait()
            answers[i] = slots[i].transmit(command)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(slots))]
        for thread in threads:
            thread.start()
        ready.wait()
        start = time.monotonic()
        for thread in threads:
            thread.join(harness.CALL_S)
        return answers, time.monotonic() - start


class Interfaces(Base):
    """One device with two CCID interfaces, each a reader of its own."""

    def start(self):
        vreader = self.play(ccidprofile.interface(0),
            ccidprofile.interface(1, features=ccidprofile.EXTENDED_APDU | ccidprofile.AUTOMATIC))
        device = vreader.device()
        return vreader, f"{device}:1.0", f"{device}:1.1"

    def test_side_by_side(self):
        _, first, second = self.start()
        slots = [self.connect(0, first), self.connect(1 << 16, second)]
        for i in range(20):
            self.check(slots[i % 2], bytes([i]) * 100)
        # The machine is shared: one time of many that was left alone is enough.
        for _ in range(10):
            answers, took = self.at_once(slots, slow_echo(b"x", 400))
            self.assertEqual(answers, 2 * [(ifdh.SUCCESS, b"x\x90\x00")])
            if took < 0.8 / 1.5:
                break
        self.assertLess(took, 0.8 / 1.5)
        for slot in slots:
            slot.close()

    def test_one_closes(self):
        vreader, first, second = self.start()
        slots = [self.connect(0, first), self.connect(1 << 16, second)]
        slots[0].close()
        self.check(slots[1])
        slots[0] = self.connect(0, first)
        self.check(slots[1])
        self.check(slots[0])
        slots[1].close()
        self.check(slots[0])
        slots[0].close()
        # Nobody holds the device any more: the server gives it to the next client.
        self.connect(2 << 16, first).close()
        self.assertIn("1-1", vreader.ctl("list"))

    def test_configured_once(self):
        """Opening the second interface doesn't take the power from the first one's card."""
        _, first, second = self.start()
        one = self.connect(0, first)
        code, _ = one.transmit(bytes.fromhex("00A4000C023F00"))
        self.assertEqual(code, ifdh.SUCCESS)
        two = self.connect(1 << 16, second)
        self.check(one)
        one.close()
        two.close()

    def test_taken(self):
        _, first, _ = self.start()
        slot = self.connect(0, first)
        again = ifdh.Slot(self.handler, 1 << 16, first)
        self.assertEqual(again.opened, ifdh.NO_SUCH_DEVICE)
        self.check(slot)
        slot.close()

    def test_unplug(self):
        vreader, first, second = self.start()
        slots = [self.connect(0, first), self.connect(1 << 16, second)]
        vreader.ctl("unplug", 0)
        for slot in slots:
            self.assertEqual(slot.poll(5000), ifdh.NO_SUCH_DEVICE)
            self.assertEqual(slot.presence(), ifdh.NO_SUCH_DEVICE)
        vreader.ctl("plug", 0)
        # One reader is closed and opened anew while the other still holds the old device.
        slots[0].close()
        slots[0] = self.connect(0, first)
        self.check(slots[0])
        slots[1].close()
        slots[1] = self.connect(1 << 16, second)
        self.check(slots[1])
        for slot in slots:
            slot.close()

    def test_opened_together(self):
        _, first, second = self.start()
        slots = [None, None]

        def run(i, device):
            slots[i] = ifdh.Slot(self.handler, i << 16, device)

        threads = [threading.Thread(target=run, args=(i, device))
            for i, device in enumerate((first, second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(harness.CALL_S)
        for slot in slots:
            self.assertEqual(slot.opened, ifdh.SUCCESS)
            self.assertEqual(slot.presence(), ifdh.ICC_PRESENT)
            self.assertEqual(slot.power()[0], ifdh.SUCCESS)
            slot.close()


if __name__ == "__main__":
    unittest.main()
