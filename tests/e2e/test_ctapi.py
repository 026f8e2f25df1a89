# SPDX-License-Identifier: BSD-3-Clause
"""libctapi: card terminals of CT-API (MKT 1.0) are readers of the daemon."""

import os
import subprocess
import unittest

import harness
import winscard
from harness import BUILD, CCID_LIBRARY, NULL_LIBRARY, Pcscd, VReader, reader_entry

CARD, TERMINAL, OTHER = 0, 1, 2
OK, INVALID, CT, TRANS, MEMORY, HTSI = 0, -1, -8, -10, -11, -128
REQUEST, REQUEST_ATR, RESET, EJECT = "20120100", "20120101", "20110101", "20150100"
SELECT_MF = "00a4000c023f00"


class Terminal:
    """A program of its own with terminals; each call is a line there and back."""

    def __init__(self, test, socket):
        self.process = subprocess.Popen([BUILD / "tests/ctapi-client"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PCSCLITE_CSOCK_NAME": str(socket),
                "LD_LIBRARY_PATH": str(BUILD / "lib")})
        test.addCleanup(self.stop)

    def stop(self):
        if self.process.returncode is None:
            self.process.communicate(timeout=harness.CALL_S)
            if self.process.returncode:
                raise AssertionError(f"ctapi-client ended with {self.process.returncode}")

    def begin(self, *words):
        print(*words, file=self.process.stdin, flush=True)

    def answer(self):
        return self.process.stdout.readline().strip()

    def call(self, *words):
        self.begin(*words)
        return self.answer()

    def init(self, ctn=1, pn=1):
        return int(self.call("init", ctn, pn))

    def close(self, ctn=1):
        return int(self.call("close", ctn))

    def data(self, dad, command, ctn=1, room=300):
        """The response, or the error."""
        self.begin("data", ctn, dad, room, command)
        return self.response(dad)

    def response(self, dad):
        result, *words = self.answer().split()
        if int(result):
            return int(result)
        destination, source, response = words
        if (int(destination), int(source)) != (2, dad):
            raise AssertionError(f"from {source} to {destination}")
        return response


class CtApi(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.vreader = VReader(self)
        self.daemon = Pcscd(self, reader_entry("A", self.vreader.device(), CCID_LIBRARY) +
            reader_entry("B", "null:", NULL_LIBRARY))
        self.client = harness.Client(self, self.daemon)
        self.context = self.client.establish()
        _, self.atr = self.client.wait_state(self.context, "A 00 00",
            winscard.STATE_PRESENT)
        self.terminal = Terminal(self, self.daemon.socket)

    def test_card(self):
        t = self.terminal
        self.assertEqual(t.init(), OK)
        self.assertEqual(t.data(CARD, SELECT_MF), TRANS)
        self.assertEqual(t.data(TERMINAL, REQUEST_ATR), self.atr + "9001")
        self.assertEqual(t.data(CARD, SELECT_MF), "9000")
        historical = bytes.fromhex(self.atr)[-16:-1].hex()
        self.assertEqual(t.data(TERMINAL, "20110102"), historical + "9001")
        self.assertEqual(t.data(CARD, SELECT_MF), "9000")
        self.assertEqual(t.data(CARD, SELECT_MF, room=1), MEMORY)
        self.assertEqual(t.data(TERMINAL, "20110000"), "9000")
        self.assertEqual(t.data(CARD, SELECT_MF), TRANS)
        self.assertEqual(t.close(), OK)
        self.assertEqual(t.data(CARD, SELECT_MF), INVALID)

    def test_card_comes_and_goes(self):
        t = self.terminal
        t.init()
        self.assertEqual(t.data(TERMINAL, "20130080"), "8001039000")
        self.assertEqual(t.data(TERMINAL, REQUEST), "9001")
        self.assertEqual(t.data(TERMINAL, "20130080"), "8001059000")
        self.vreader.ctl("remove", 0)
        self.client.wait_state(self.context, "A 00 00", winscard.STATE_EMPTY)
        self.assertEqual(t.data(TERMINAL, "20130080"), "8001009000")
        self.assertEqual(t.data(CARD, SELECT_MF), TRANS)
        self.assertEqual(t.data(TERMINAL, REQUEST), "6200")
        self.assertEqual(t.data(TERMINAL, RESET), "6400")
        self.assertEqual(t.data(TERMINAL, EJECT), "9001")
        # A card that is awaited, half a minute at most.
        t.begin("data", 1, TERMINAL, 300, "20120100" + "03" + "80011e")
        self.vreader.ctl("insert", 0)
        self.assertEqual(t.response(TERMINAL), "9001")
        self.assertEqual(t.data(CARD, SELECT_MF), "9000")
        self.assertEqual(t.data(TERMINAL, EJECT), "9000")
        self.assertEqual(t.data(CARD, SELECT_MF), TRANS)
        t.begin("data", 1, TERMINAL, 300, "2015010001" + "1e")
        self.vreader.ctl("remove", 0)
        self.assertEqual(t.response(TERMINAL), "9001")

    def test_two_terminals(self):
        t = self.terminal
        self.assertEqual(t.init(7, 1), OK)
        self.assertEqual(t.init(7, 2), INVALID)
        self.assertEqual(t.init(9, 2), OK)
        self.assertEqual(t.init(3, 3), CT)
        for ctn in (7, 9):
            self.assertEqual(t.data(TERMINAL, REQUEST, ctn), "9001")
        self.assertEqual(t.data(CARD, SELECT_MF, 7), "9000")
        self.assertEqual(t.close(7), OK)
        self.assertEqual(t.close(7), INVALID)
        self.assertEqual(t.data(TERMINAL, "20130081", 9), "8101019000")
        self.assertEqual(t.data(TERMINAL, "20130046", 9)[:4], "460f")

    def test_what_makes_no_sense(self):
        t = self.terminal
        t.init()
        for command, sw in (("201201", "6700"), ("20120100051e", "6700"), ("00120100", "6e00"),
                ("20120000", "6a00"), ("20120200", "6a00"), ("20990100", "6d00"),
                ("20130099", "6a00"), ("20120103", "6a00")):
            self.assertEqual(t.data(TERMINAL, command), sw, command)
        self.assertEqual(t.data(OTHER, SELECT_MF), INVALID)
        self.assertEqual(t.data(TERMINAL, REQUEST, room=1), MEMORY)
        self.assertEqual(t.data(CARD, SELECT_MF, ctn=2), INVALID)

    def test_without_a_daemon(self):
        t = Terminal(self, self.tmp / "nobody")
        self.assertEqual(t.init(), HTSI)


if __name__ == "__main__":
    unittest.main()
