# SPDX-License-Identifier: BSD-3-Clause
"""When cards have power: what reader.conf says about it, counted in the virtual reader."""

import time
import unittest

from harness import CALL_S, CCID_LIBRARY, CardwireTest, Client, Pcscd, VReader, reader_entry
from winscard import STATE_PRESENT


class Power(CardwireTest):
    def prepare(self, grace, *policies):
        """One reader for each policy, and the daemon's own grace; returns the readers' names."""
        self.vreader = VReader(self, readers=len(policies))
        conf = "".join(reader_entry(f"Reader{i}", self.vreader.device(i), CCID_LIBRARY) + policy
            for i, policy in enumerate(policies))
        daemon = Pcscd(self, conf, options=["--power-grace", grace])
        self.client = Client(self, daemon)
        self.context = self.client.establish()
        readers = sorted(self.client.list_readers(self.context))
        self.assertEqual(len(readers), len(policies))
        for reader in readers:
            self.client.wait_state(self.context, reader, STATE_PRESENT)
        return readers

    def connect(self, reader):
        return self.client.connect(self.context, reader)["handle"]

    def disconnect_until_off(self, number, handle):
        """The only message that follows is the one that powers the card off."""
        before = self.vreader.stats(number)["messages_out"]
        self.client.disconnect(handle)
        deadline = time.monotonic() + CALL_S
        while self.vreader.stats(number)["messages_out"] == before:
            self.assertLess(time.monotonic(), deadline, "the card is still powered")

    def test_never(self):
        always, usual = self.prepare(0.05, "POWERGRACE never\n", "")
        handles = [self.connect(always), self.connect(usual)]
        powered = [self.vreader.stats(0)["power_ons"], self.vreader.stats(1)["power_ons"]]
        self.assertEqual(powered[0], 1)
        self.client.disconnect(handles[0])
        self.disconnect_until_off(1, handles[1])
        self.connect(always)
        self.connect(usual)
        self.assertEqual(self.vreader.stats(0)["power_ons"], 1)
        self.assertEqual(self.vreader.stats(1)["power_ons"], powered[1] + 1)

    def test_grace_of_one_reader(self):
        short, usual = self.prepare(3600, "POWERGRACE 0.05\n", "")
        handles = [self.connect(short), self.connect(usual)]
        powered = self.vreader.stats(0)["power_ons"]
        self.client.disconnect(handles[1])
        self.disconnect_until_off(0, handles[0])
        self.connect(short)
        self.connect(usual)
        self.assertEqual(self.vreader.stats(0)["power_ons"], powered + 1)
        self.assertEqual(self.vreader.stats(1)["power_ons"], 1)

    def test_on_demand(self):
        demand, insertion = self.prepare(3600, "POWERON demand\n", "POWERON insertion\n")
        self.assertEqual(self.vreader.stats(0)["power_ons"], 0)
        self.assertEqual(self.vreader.stats(1)["power_ons"], 1)
        self.connect(demand)
        self.connect(insertion)
        self.assertEqual(self.vreader.stats(0)["power_ons"], 1)
        self.assertEqual(self.vreader.stats(1)["power_ons"], 1)


if __name__ == "__main__":
    unittest.main()
