# SPDX-License-Identifier: BSD-3-Clause
"""PINs and keys pass through daemon and driver, and are in no buffer of theirs any more after the
next command."""

import functools
import operator
import random
import string
import unittest

import harness
from test_driver_serial import SerialReader
from test_pinpad_daemon import encodings, memory_of

DECIPHER = "002A808605010203040500"
# What comes after a secret is shorter, and overwrites no more than its beginning.
NEXT = "80ED000005"
BEFORE, BEHIND = 150 * b"\xFF", 12 * b"\xFF"


@unittest.skipIf(harness.PRELOAD, "the sanitizer's memory is too much to search")
class Secrets(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.digits = "".join(random.choices(string.digits, k=12))

    def connect(self, device, name="pcscd"):
        self.daemon = harness.Pcscd(self,
            harness.reader_entry("Secret", device, harness.CCID_LIBRARY), name=name)
        self.client = harness.Client(self, self.daemon)
        self.handle = self.client.connect(self.client.establish(), "Secret 00 00")["handle"]

    def send(self, command):
        return bytes.fromhex(self.client.transmit(self.handle, command))

    def search(self):
        """How often the digits are in the daemon's memory, in any form."""
        return sum(part.count(form) for part in memory_of(self.daemon.program.pid)
            for form in encodings(self.digits))

    def test_command_by_serial_line(self):
        self.connect(SerialReader(self).path + ":GemPCTwin")
        data = BEFORE + self.digits.encode() + BEHIND
        self.assertEqual(self.send(f"00200001{len(data):02X}" + data.hex()), b"\x90\x00")
        self.assertEqual(self.send(NEXT)[-2:], b"\x90\x00")
        self.assertEqual(self.search(), 0)

    def response(self, profile, protocol, script):
        """The card's response to DECIPHER is made up by faults of the reader's firmware."""
        name = f"{profile}-{protocol}"
        vreader = harness.VReader(self, name=f"v-{name}", profile=profile, protocol=protocol)
        self.connect(vreader.device(), name)
        plain = BEFORE + self.digits.encode() + BEHIND + b"\x90\x00"
        faults = self.tmp / f"{name}.fault"
        faults.write_text(script(plain))
        vreader.ctl("faults", 0, faults)
        self.assertEqual(self.send(DECIPHER), plain)
        vreader.ctl("faults", 0, "none")
        self.assertEqual(self.send(NEXT)[:5], bytes(range(5)))
        self.assertEqual(self.search(), 0)

    def test_response(self):
        for profile, protocol in (("short", "t1"), ("tpdu", "t0")):
            with self.subTest(profile=profile, protocol=protocol):
                self.response(profile, protocol,
                    lambda plain: f"on XfrBlock 1 data {plain.hex()}\n")

    def test_block_in_parts(self):
        """Character level: the prologue of a block first, then the rest, which the reader awaits of
        the card in vain."""
        def script(plain):
            block = bytes([0, 0, len(plain)]) + plain
            edc = functools.reduce(operator.xor, block)
            return (f"on XfrBlock 1 data {block[:3].hex()}\n"
                f"on XfrBlock 2 data {plain.hex()}{edc:02x}\non XfrBlock 2 set 7 0000\n")

        self.response("character", "t1", script)


if __name__ == "__main__":
    unittest.main()
