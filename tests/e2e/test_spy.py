# SPDX-License-Identifier: BSD-3-Clause
"""pcsc-spy: what it shows of a program's calls, and that it doesn't get in their way."""

import os
import signal
import stat
import sys
import unittest

import harness
from harness import BUILD, Client, NULL_LIBRARY, Pcscd, Program, reader_entry

SPY = BUILD / "bin/pcsc-spy"
SPY_LIBRARY = BUILD / "lib/libpcscspy.so.0"
VERIFY = "0020000104" + "31323334"


class Spy(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.daemon = Pcscd(self, reader_entry("Good", "null:", NULL_LIBRARY))
        self.env = {"LIBPCSCLITE_DELEGATE": str(SPY_LIBRARY), "HOME": str(self.tmp)}
        self.fifo = self.tmp / "pcsc-spy"

    def start_spy(self, *options):
        spy = Program(self, "pcsc-spy", [sys.executable, "-u", SPY, *options], env=self.env)
        spy.wait_line("ready")
        return spy

    def use_card(self):
        client = Client(self, self.daemon, env=self.env)
        context = client.establish()
        self.assertEqual(client.list_readers(context), ["Good 00 00"])
        handle = self.present(client, context, "Good 00 00")
        client.status(handle)
        client.transmit(handle, VERIFY)
        client.rv("transmit", handle + 1, "00A40000")
        client.disconnect(handle)
        client.release(context)
        client.stop()

    def test_trace(self):
        spy = self.start_spy("--diffable")
        self.use_card()
        spy.wait_line("SCardReleaseContext")
        spy.wait_line("= SCARD_E_INVALID_HANDLE")
        text = spy.text()
        for expected in ("SCardEstablishContext", "<- hContext: #1", "<- name: Good 00 00",
                "-> szReader: Good 00 00", "-> dwShareMode: SHARED (0x2)",
                "-> sent (9 bytes): 00 20 00 01 04 ** ** ** **", "SCardStatus", "ATR ("):
            self.assertIn(expected, text)
        self.assertNotIn("31 32 33 34", text)
        self.assertNotIn("not understood", text)
        spy.stop(signal.SIGINT)
        self.assertFalse(self.fifo.exists())

    def test_nobody_watches(self):
        self.use_card()
        os.mkfifo(self.fifo)
        self.use_card()

    def test_watcher_goes(self):
        spy = self.start_spy()
        client = Client(self, self.daemon, env=self.env)
        context = client.establish()
        spy.wait_line("SCardEstablishContext")
        spy.kill()
        self.assertEqual(client.list_readers(context), ["Good 00 00"])
        self.assertEqual(client.list_readers(context), ["Good 00 00"])
        client.program.wait_line("no trace is written")

    def test_somebody_elses_file(self):
        self.fifo.write_text("")
        self.use_card()
        self.assertTrue(stat.S_ISREG(self.fifo.stat().st_mode))
        self.assertEqual(self.fifo.read_text(), "")


if __name__ == "__main__":
    unittest.main()
