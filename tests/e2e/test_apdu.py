# SPDX-License-Identifier: BSD-3-Clause
"""What goes to the virtual card comes back intact, on each kind of reader and at each protocol."""

import random
import unittest

import harness
import winscard

EF_DIR = "611a4f09f0" + b"Cardwire".hex() + "500d" + b"Cardwire test".hex()


def pattern(length):
    """What the virtual card's command 80 ED gives."""
    return bytes((i ^ i >> 8) & 0xFF for i in range(length)).hex()


class Exchanges:
    """Run on each profile and protocol; see the classes at the end."""
    profile = protocol = None

    def setUp(self):
        super().setUp()
        *_, self.client, context, reader = self.stack(profile=self.profile, protocol=self.protocol)
        self.handle = self.present(self.client, context, reader)

    def exchange(self, command):
        return harness.exchange(self.client, self.handle, command)

    def exchange_both_ways(self, command, le):
        """A command with data that has an answer. A T=0 command has no room for Le (ISO 7816-3
        §12.2.4): at TPDU level it is the application that leaves it out."""
        if (self.profile, self.protocol) == ("tpdu", "t0"):
            le = ""
        return self.exchange(command + le)

    def test_protocol_in_use(self):
        number = {"t0": winscard.PROTOCOL_T0, "t1": winscard.PROTOCOL_T1}[self.protocol]
        self.assertEqual(self.client.status(self.handle)["protocol"], number)

    def test_file(self):
        self.assertEqual(self.exchange("00A4000C023F00"), "9000")
        self.assertEqual(self.exchange("00A4000C022F00"), "9000")
        self.assertEqual(self.exchange("00B0000000"), EF_DIR + "9000")
        self.assertEqual(self.exchange("00A4000C02BEEF"), "6a82")

    def test_answers_of_every_short_length(self):
        for length in (1, 2, 15, 16, 31, 32, 33, 62, 63, 64, 65, 127, 128, 129, 250, 253, 254, 255):
            answer = self.exchange(f"80ED{length:04X}{length:02X}")
            self.assertEqual(answer, pattern(length) + "9000", length)

    def test_answer_of_256_bytes(self):
        self.assertEqual(self.exchange("80ED010000"), pattern(256) + "9000")

    def test_commands_of_every_short_length(self):
        choose = random.Random(1)
        for length in (1, 2, 31, 32, 33, 58, 59, 63, 64, 127, 128, 249, 250, 253, 254, 255):
            data = choose.randbytes(length).hex()
            answer = self.exchange_both_ways(f"80EC0000{length:02X}{data}", "00")
            self.assertEqual(answer, data + "9000", length)

    def test_a_card_that_asks_for_time(self):
        self.assertEqual(self.exchange_both_ways("80EE09C4015A", "00"), "5a9000")


class ExtendedExchanges(Exchanges):
    def test_extended_lengths_both_ways(self):
        choose = random.Random(2)
        for length in (256, 257, 511, 512, 1000, 4096, 32767, 65535):
            data = choose.randbytes(length).hex()
            answer = self.exchange(f"80EC000000{length:04X}{data}0000")
            self.assertEqual(answer, data + "9000", length)

    def test_64_kib_answer(self):
        self.assertEqual(self.exchange("80ED0000000000"), pattern(65536) + "9000")


def _make_cases():
    for profile in ("extended", "short", "tpdu"):
        for protocol in ("t0", "t1"):
            base = ExtendedExchanges if profile == "extended" else Exchanges
            name = f"{profile.capitalize()}{protocol.upper()}"
            globals()[name] = type(name, (base, harness.CardwireTest),
                                   {"profile": profile, "protocol": protocol,
                                    "__module__": __name__})


_make_cases()

if __name__ == "__main__":
    unittest.main()
