# SPDX-License-Identifier: BSD-3-Clause
"""What a reader makes of the parameters of T=1 is read back: the longest block it takes for the card,
the node address that blocks have."""

import unittest

import ccidprofile
import ifdh
from test_driver_topology import Base

NAD = 0x00000200
NEGOTIATES = 0x00000040
# In RDR_to_PC_Parameters (CCID 1.1 §6.2.3), and in XfrBlock the first byte of a block.
AT_IFSC, AT_NAD = 15, 16
OTHER_NAD = "12"


class Parameters(Base):
    def start(self, faults, features=0):
        """A reader at TPDU level that misbehaves from the start, with a card whose IFSC is 254."""
        path = self.tmp / "script.fault"
        path.write_text("".join(f"on {fault}\n" for fault in faults))
        vreader = self.play(ccidprofile.interface(features=ccidprofile.TPDU | 0x3A | features),
            extra=("--card-option", "ifsc=254", "--faults", path))
        slot = self.connect(0, vreader.device())
        self.addCleanup(slot.close)
        return vreader, slot

    def blocks(self, vreader, slot):
        """How many XfrBlock a command of 106 bytes takes."""
        before = vreader.stats()["bulk_out"]
        self.check(slot, bytes(100))
        return vreader.stats()["bulk_out"] - before

    def test_ifsc(self):
        self.assertEqual(self.blocks(*self.start([])), 1)

    def test_ifsc_of_the_answer(self):
        for fault, features in (("SetParameters * set {} 20", 0),
                ("GetParameters * set {} 20", NEGOTIATES)):
            with self.subTest(fault):
                vreader, slot = self.start([fault.format(AT_IFSC)], features)
                self.assertEqual(self.blocks(vreader, slot), 6)
                slot.close()
                vreader.program.stop_well()

    def test_nothing_told(self):
        """A reader that negotiates by itself and can't be asked is used as the ATR says."""
        for fault in ("GetParameters * fail 0x00", "GetParameters * truncate 12",
                "GetParameters * drop"):
            with self.subTest(fault):
                vreader, slot = self.start([fault], NEGOTIATES)
                self.assertEqual(self.blocks(vreader, slot), 1)
                slot.close()
                vreader.program.stop_well()

    def test_no_parameters(self):
        """A host that agrees on nothing speaks T=1 as it is after a reset; PINs are masked all the
        same."""
        vreader = self.play(ccidprofile.interface(features=ccidprofile.TPDU | 0x3A))
        slot = self.open(0, vreader.device())
        self.addCleanup(slot.close)
        self.assertEqual(slot.power()[0], ifdh.SUCCESS)
        self.check(slot, bytes(range(100)))
        code, _ = slot.transmit(bytes.fromhex("0020000104") + b"1234")
        self.assertEqual(code, ifdh.SUCCESS)
        text = ifdh.recording(self.handler, vreader.device())
        self.assertRegex(text, r"0020000104\*{9}[0-9A-F]{2}\n")
        # Who then does agree is not held back.
        self.assertEqual(slot.set_protocol(1), ifdh.SUCCESS)
        self.check(slot, bytes(100))

    def test_nad(self):
        for features, refused in ((NAD, "00"), (0, OTHER_NAD)):
            with self.subTest(features):
                vreader, slot = self.start([f"SetParameters * set {AT_NAD} 0x{OTHER_NAD}",
                    f"XfrBlock * if {refused} fail 0xF6"], features)
                self.check(slot)
                slot.close()
                vreader.program.stop_well()


if __name__ == "__main__":
    unittest.main()
