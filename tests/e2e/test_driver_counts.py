# SPDX-License-Identifier: BSD-3-Clause
"""What our driver costs, by counting USB transfers in the virtual reader."""

import time
import unittest

import ccidprofile
import ifdh
from test_driver_topology import Base, echo, slow_echo

PIPES = ("control", "bulk_out", "bulk_in", "interrupt")


class Counts(Base):
    def spent(self, vreader, act):
        """Finished transfers; the interrupt transfer that stands isn't one."""
        before = vreader.stats()
        act()
        after = vreader.stats()
        return {name: after[name] - before[name] for name in after}

    def pipes(self, vreader, act):
        spent = self.spent(vreader, act)
        return {name: spent[name] for name in PIPES}

    def test_plug_to_atr(self):
        """As a daemon does it: open, ask for the card, power up."""
        vreader = self.play(ccidprofile.interface())

        def act():
            slot = self.open(0, vreader.device())
            self.addCleanup(slot.close)
            self.assertEqual(slot.presence(), ifdh.ICC_PRESENT)
            self.assertEqual(slot.power()[0], ifdh.SUCCESS)

        spent = self.pipes(vreader, act)
        self.assertLessEqual(spent["control"], 4)
        self.assertLessEqual(spent["bulk_out"] + spent["bulk_in"], 4)
        self.assertLessEqual(spent["interrupt"], 1)

    def test_short_apdus(self):
        for name, features, message in (("short", ccidprofile.SHORT_APDU, 271),
                ("extended", ccidprofile.EXTENDED_APDU, 65556)):
            with self.subTest(name):
                vreader = self.play(ccidprofile.interface(message=message,
                    features=features | ccidprofile.AUTOMATIC), name=name)
                slot = self.connect(0, vreader.device())
                # Whole packets and others, at both ends of what is short.
                lengths = (1, 42, 43, 52, 53, 54, 55, 116, 117, 254, 255)

                def act():
                    for length in lengths:
                        self.check(slot, bytes(length))

                self.assertEqual(self.pipes(vreader, act), {"control": 0, "interrupt": 0,
                    "bulk_out": len(lengths), "bulk_in": len(lengths)})
                slot.close()

    def test_whole_packets(self):
        """An answer of whole packets, where Le tells its length: the empty packet that ends it is
        left over once, and then expected."""
        vreader = self.play(ccidprofile.interface())
        slot = self.connect(0, vreader.device())

        def act():
            for length in 10 * (52, 116, 180):
                data = bytes(length)
                self.assertEqual(slot.transmit(echo(data)[:-1] + bytes([length])),
                    (ifdh.SUCCESS, data + b"\x90\x00"))

        spent = self.pipes(vreader, act)
        self.assertEqual(spent["bulk_out"], 30)
        self.assertLessEqual(spent["bulk_in"], 31)
        slot.close()

    def test_idle(self):
        vreader = self.play(ccidprofile.interface())
        slot = self.connect(0, vreader.device())

        def act():
            for _ in range(10):
                slot.poll(50)
                self.assertEqual(slot.presence(), ifdh.ICC_PRESENT)

        self.assertEqual(self.pipes(vreader, act), dict.fromkeys(PIPES, 0))
        slot.close()

    def test_card_event(self):
        """A card that goes and one that comes cost the two messages that tell so, and a power up."""
        vreader = self.play(ccidprofile.interface())
        slot = self.connect(0, vreader.device())

        def act():
            for command, state in (("remove", ifdh.ICC_NOT_PRESENT),
                    ("insert", ifdh.ICC_PRESENT)):
                vreader.ctl(command, 0)
                slot.poll(5000)
                self.assertEqual(slot.presence(), state)
            self.assertEqual(slot.power()[0], ifdh.SUCCESS)

        self.assertEqual(self.pipes(vreader, act),
            {"control": 0, "bulk_out": 1, "bulk_in": 1, "interrupt": 2})
        slot.close()

    def test_t1_blocks(self):
        """TPDU level: as many blocks as IFSC and IFSD make necessary, and no more."""
        for ifsc in (32, 254):
            vreader = self.play(ccidprofile.interface(features=ccidprofile.TPDU
                | ccidprofile.AUTOMATIC), name=f"ifsc{ifsc}",
                extra=("--card-option", f"ifsc={ifsc}"))
            slot = self.connect(0, vreader.device())
            for length in (1, 20, 26, 27, 100, 248, 249, 255):
                with self.subTest(ifsc=ifsc, length=length):
                    # CLA INS P1 P2 Lc data Le; data SW1 SW2. The last block there is answered by
                    # the first one back; each other is answered by, or asked for with, an R-block.
                    there = -(-(length + 6) // ifsc)
                    back = -(-(length + 2) // 254)
                    spent = self.spent(vreader, lambda: self.check(slot, bytes(length)))
                    self.assertEqual(spent["bulk_out"], there + back - 1)
                    self.assertEqual(spent["bulk_in"], there + back - 1)
            slot.close()

    def test_t1_blocks_of_known_length(self):
        """An answer takes one transfer, also where the reader has told the card its IFSD."""
        for features in (0, ccidprofile.AUTO_IFSD):
            # The virtual reader tells its IFSD when it is given the parameters of T=1.
            vreader = self.play(ccidprofile.interface(features=ccidprofile.TPDU | 0xBA | features),
                name=f"known{features}")
            slot = self.connect(0, vreader.device())
            for length in (1, 40, 100, 240):
                with self.subTest(features=features, length=length):
                    command = echo(bytes(length))[:-1] + bytes([length])
                    spent = self.spent(vreader, lambda: self.assertEqual(
                        slot.transmit(command), (ifdh.SUCCESS, bytes(length) + b"\x90\x00")))
                    self.assertEqual(spent["bulk_out"], spent["bulk_in"])
            slot.close()

    def test_busy_slots(self):
        """Two slots that may both be busy do twice the work in the same time, or nearly."""
        vreader = self.play(ccidprofile.interface(slots=2, busy=2))
        self.play_second_card(vreader)
        slots = [self.connect(lun, vreader.device()) for lun in (0, 1)]
        command = slow_echo(b"x", 500)
        start = time.monotonic()
        for slot in slots:
            self.assertEqual(slot.transmit(command), (ifdh.SUCCESS, b"x\x90\x00"))
        one_by_one = time.monotonic() - start
        # The machine is shared: one time of many that was left alone is enough.
        for _ in range(10):
            answers, together = self.at_once(slots, command)
            self.assertEqual(answers, 2 * [(ifdh.SUCCESS, b"x\x90\x00")])
            if one_by_one / together > 1.9:
                break
        self.assertGreater(one_by_one / together, 1.9)
        for slot in slots:
            slot.close()

    def test_one_busy_slot(self):
        """Where only one slot may be busy the other waits, and nothing is lost."""
        vreader = self.play(ccidprofile.interface(slots=2, busy=1))
        self.play_second_card(vreader)
        slots = [self.connect(lun, vreader.device()) for lun in (0, 1)]
        answers, together = self.at_once(slots, slow_echo(b"x", 200))
        self.assertEqual(answers, 2 * [(ifdh.SUCCESS, b"x\x90\x00")])
        self.assertGreater(together, 0.4)
        for slot in slots:
            slot.close()

    @staticmethod
    def play_second_card(vreader):
        if "empty" in vreader.ctl("list"):
            vreader.ctl("insert", "0.1")


if __name__ == "__main__":
    unittest.main()
