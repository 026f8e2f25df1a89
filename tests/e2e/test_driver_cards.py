# SPDX-License-Identifier: BSD-3-Clause
"""Our driver with cards of all kinds that ISO 7816-3 allows, put into readers of each exchange level."""

import itertools
import unittest

import ccidprofile
import ifdh
from test_driver_topology import Base

CLOCK_KHZ = 4000
MAX_RATE = 344086
# ISO 7816-3:2006 §8.3, tables 7 and 8; None: reserved.
F = (372, 372, 558, 744, 1116, 1488, 1860, None, None, 512, 768, 1024, 1536, 2048, None, None)
D = (None, 1, 2, 4, 8, 16, 32, 64, 12, 20) + 6 * (None,)
# The reader changes clock and baud rate with the parameters; the rest is the host's.
PLAIN = 0x30
VOLTAGE, PPS = 0x08, 0x80
LEVELS = (0, ccidprofile.TPDU, ccidprofile.SHORT_APDU, ccidprofile.EXTENDED_APDU)
CARDS = ("inverse=1", "tc1=255", "tc1=12", "wi=1", "wi=255", "wtx=2", "classes=1", "classes=2",
    "classes=4", "ta1=11", "ta1=96", "specific=1 ta1=11", "specific=1 ta1=94", "inverse=1 ta1=18")
T0_CARDS = ("single=1", "inverse=1 single=1")
T1_CARDS = ("crc=1", "inverse=1 crc=1", "ifsc=1", "ifsc=254", "ifsc=254 crc=1", "bwi=0 cwi=0",
    "bwi=9 cwi=15")


def best_ta1(ta1):
    """The fastest that card and reader can both do: the card's own, or with a smaller power of two for
    D; the default where none is faster."""
    f, d = F[ta1 >> 4], D[ta1 & 15]
    best, best_rate = 0x11, CLOCK_KHZ * 1000 // F[1]
    for index in range(1, 16):
        if not f or not d or not D[index] or D[index] > d or (index > 7 and index != ta1 & 15):
            continue
        rate = CLOCK_KHZ * 1000 * D[index] // f
        if best_rate < rate <= MAX_RATE:
            best, best_rate = ta1 & 0xF0 | index, rate
    return best


class Cards(Base):
    def start(self, features, card="none"):
        vreader = self.play(ccidprofile.interface(features=features), name=f"{features:x}", card=card)
        slot = self.open(0, vreader.device())
        self.addCleanup(slot.close)
        return vreader, slot

    def insert(self, vreader, slot, protocol, options):
        vreader.ctl("insert", 0, "iso", f"protocol=t{protocol}", *options.split())
        slot.await_presence(ifdh.ICC_PRESENT)
        code, atr = slot.power()
        self.assertEqual(code, ifdh.SUCCESS)
        self.assertEqual(atr[0], 0x3F if "inverse" in options else 0x3B)
        self.assertEqual(slot.set_protocol(protocol), ifdh.SUCCESS)

    def remove(self, vreader, slot):
        vreader.ctl("remove", 0)
        slot.await_presence(ifdh.ICC_NOT_PRESENT)

    def exchange(self, slot, protocol, data):
        """As much there as back; at T=0 the response is asked for with its length."""
        put = bytes([0x80, 0xEC, 0, 0, len(data)]) + data
        if protocol == 0:
            get = bytes([0x80, 0xED, 0, len(data), len(data)])
            pattern = bytes((i ^ i >> 8) & 0xFF for i in range(len(data)))
            self.assertEqual(slot.transmit(get, 0), (ifdh.SUCCESS, pattern + b"\x90\x00"))
            code, answer = slot.transmit(put, 0)
            self.assertEqual((code, answer[-2] in (0x90, 0x61)), (ifdh.SUCCESS, True))
        else:
            self.assertEqual(slot.transmit(put + b"\0"), (ifdh.SUCCESS, data + b"\x90\x00"))

    def test_all_cards(self):
        for level, automatic in itertools.product(LEVELS, (0, VOLTAGE | PPS)):
            vreader, slot = self.start(level | PLAIN | automatic)
            for protocol in (0, 1):
                for options in CARDS + (T1_CARDS if protocol else T0_CARDS):
                    with self.subTest(level=level, automatic=automatic, protocol=protocol,
                            options=options):
                        self.insert(vreader, slot, protocol, options)
                        for length in (1, 100, 255):
                            self.exchange(slot, protocol, bytes(i & 0xFF for i in range(length)))
                        self.remove(vreader, slot)
            slot.close()

    def test_every_ta1(self):
        """SetParameters names the best speed of both: to those and no others the reader says that it
        takes blocks of 16 bytes, which shows in how many there are."""
        script = self.tmp / "script.fault"
        for automatic in (0, PPS):
            vreader, slot = self.start(ccidprofile.TPDU | PLAIN | VOLTAGE | automatic)
            for ta1 in range(1, 256):
                with self.subTest(automatic=automatic, ta1=f"{ta1:02X}"):
                    script.write_text(f"on SetParameters * if {best_ta1(ta1):02X} set 15 16\n")
                    vreader.ctl("faults", 0, script)
                    self.insert(vreader, slot, 1, f"ta1={ta1:02X} ifsc=254")
                    before = vreader.stats()["bulk_out"]
                    self.exchange(slot, 1, bytes(100))
                    self.assertEqual(vreader.stats()["bulk_out"] - before, -(-106 // 16))
                    self.remove(vreader, slot)
            slot.close()

    def test_failed_pps(self):
        """After a PPS that fails the card is reset, and works at the default speed."""
        script = self.tmp / "script.fault"
        for fault in ("fail 0xFE", "fail 0xF6", "data FF1000EF", "data FF1196", "data 00"):
            vreader, slot = self.start(ccidprofile.TPDU | PLAIN | VOLTAGE)
            for protocol in (0, 1):
                with self.subTest(fault=fault, protocol=protocol):
                    script.write_text(f"on XfrBlock * if FF {fault}\n"
                        "on SetParameters * if 96 disappear\n")
                    vreader.ctl("faults", 0, script)
                    self.insert(vreader, slot, protocol, "ta1=96")
                    self.exchange(slot, protocol, bytes(100))
                    self.remove(vreader, slot)
            slot.close()
            vreader.program.stop_well()


if __name__ == "__main__":
    unittest.main()
