# SPDX-License-Identifier: BSD-3-Clause
"""Card programs in our virtual readers (vreader --card vpcd:ADDRESS): Debian's vicc, and programs
of the test's own that are slow, wrong or gone."""

import socket
import struct
import subprocess
import threading
import unittest

import harness
import winscard
from harness import CCID_LIBRARY, Client, Pcscd, VReader, Vicc, reader_entry

ATR = bytes.fromhex("3b800181")


class CardProgram:
    """A card program on a Unix socket: answers each APDU with what the function gives."""

    def __init__(self, test, path, answer, atr=ATR):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(harness.CALL_S)
        self.socket.connect(str(path))
        self.answer = answer
        self.atr = atr
        self.controls = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        test.addCleanup(self.close)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def send(self, message):
        self.socket.sendall(struct.pack(">H", len(message)) + message)

    def _serve(self):
        try:
            while True:
                message = self._exactly(struct.unpack(">H", self._exactly(2))[0])
                if len(message) == 1:
                    self.controls.append(message[0])
                    if message[0] == 4:
                        self.send(self.atr)
                else:
                    self.answer(self, message)
        except (EOFError, OSError):
            pass

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(harness.CALL_S)
        self.socket.close()


def echo(program, apdu):
    program.send(apdu[:200] + b"\x90\x00")


class Vpcd(harness.CardwireTest):
    def reader(self, **options):
        self.path = self.tmp / "card.sock"
        vreader = VReader(self, card=f"vpcd:unix:{self.path}", **options)
        self.daemon = Pcscd(self, "".join(
            reader_entry(f"Virtual {i}", vreader.device(i), CCID_LIBRARY)
            for i in range(options.get("readers", 1))))
        client = Client(self, self.daemon)
        return vreader, client, client.establish()

    def test_card_comes_and_goes_with_its_program(self):
        _, client, context = self.reader()
        client.wait_state(context, "Virtual 0 00 00", winscard.STATE_EMPTY)
        for _ in range(3):
            program = CardProgram(self, self.path, echo)
            _, atr = client.wait_state(context, "Virtual 0 00 00", winscard.STATE_PRESENT)
            self.assertEqual(atr, ATR.hex())
            handle = client.connect(context, "Virtual 0 00 00")["handle"]
            self.assertEqual(client.transmit(handle, "00a40000023f00"), "00a40000023f009000")
            program.close()
            client.wait_state(context, "Virtual 0 00 00", winscard.STATE_EMPTY)
            self.assertEqual(client.rv("transmit", handle, "00a40000023f00"),
                             "SCARD_W_REMOVED_CARD")

    def test_extended_apdus_arrive_whole(self):
        _, client, context = self.reader()
        seen = []

        def answer(program, apdu):
            seen.append(len(apdu))
            program.send(bytes(60000) + b"\x90\x00")

        CardProgram(self, self.path, answer)
        handle = self.present(client, context, "Virtual 0 00 00")
        command = "00d60000" + "00ea60" + "5a" * 60000 + "0000"
        self.assertEqual(client.transmit(handle, command), "00" * 60000 + "9000")
        self.assertEqual(seen, [60009])

    def test_slow_program_is_waited_for_and_others_go_on(self):
        """The reader asks the host for time; meanwhile a second reader works."""
        vreader, client, context = self.reader(readers=2)
        release = threading.Event()

        def slow(program, apdu):
            release.wait(harness.CALL_S)
            echo(program, apdu)

        CardProgram(self, self.path, slow)
        CardProgram(self, f"{self.path}.1", echo)
        first = self.present(client, context, "Virtual 0 00 00")
        second = self.present(client, context, "Virtual 1 01 00")
        pending = client.start("transmit", first, "00840000")
        other = Client(self, self.daemon)
        handle = self.present(other, other.establish(), "Virtual 1 01 00")
        for _ in range(20):
            self.assertEqual(other.transmit(handle, "00840000"), "008400009000")
        # More than one time extension.
        before = int(vreader.ctl("stats", 0).split("messages_in ")[1].split()[0])
        while int(vreader.ctl("stats", 0).split("messages_in ")[1].split()[0]) < before + 3:
            other.transmit(handle, "00840000")
        self.assertFalse(pending.done())
        release.set()
        self.assertEqual(pending.value(), "008400009000")
        client.disconnect(second)

    def test_program_that_dies_in_a_command_is_an_unplugged_card(self):
        _, client, context = self.reader()
        CardProgram(self, self.path, lambda program, _: program.socket.shutdown(
            socket.SHUT_RDWR))
        handle = self.present(client, context, "Virtual 0 00 00")
        self.assertIn(client.rv("transmit", handle, "00840000"),
                      ("SCARD_W_REMOVED_CARD", "SCARD_E_NO_SMARTCARD", "SCARD_E_NOT_TRANSACTED"))
        client.wait_state(context, "Virtual 0 00 00", winscard.STATE_EMPTY)

    def test_breach_of_protocol_costs_the_connection_only(self):
        vreader, client, context = self.reader()
        for atr in (b"", b"\x00\x01", bytes(300)):
            program = CardProgram(self, self.path, echo, atr=atr)
            program.thread.join(harness.CALL_S)
            self.assertFalse(program.thread.is_alive())
            program.close()
        program = CardProgram(self, self.path, echo)
        client.wait_state(context, "Virtual 0 00 00", winscard.STATE_PRESENT)
        # A second program is turned away.
        second = CardProgram(self, self.path, echo)
        second.thread.join(harness.CALL_S)
        self.assertEqual(second.controls, [])
        # An answer that nobody asked for.
        program.send(b"\x90\x00")
        client.wait_state(context, "Virtual 0 00 00", winscard.STATE_EMPTY)
        # The card taken out by hand ends the program; it may come again.
        program = CardProgram(self, self.path, echo)
        client.wait_state(context, "Virtual 0 00 00", winscard.STATE_PRESENT)
        vreader.ctl("remove", 0)
        program.thread.join(harness.CALL_S)
        self.assertFalse(program.thread.is_alive())
        CardProgram(self, self.path, echo)
        handle = self.present(client, context, "Virtual 0 00 00")
        self.assertEqual(client.transmit(handle, "00840000"), "008400009000")

    def test_reader_that_wants_more_than_apdus_is_refused(self):
        done = subprocess.run([harness.VREADER, "serve", "--listen", f"unix:{self.tmp}/usbip",
            "--profile", "tpdu", "--card", f"vpcd:unix:{self.tmp}/card"], capture_output=True,
            text=True, timeout=harness.START_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn("card programs speak APDUs", done.stderr)

    @harness.needs_debian(harness.DEBIAN_VICC)
    def test_vicc(self):
        for profile in ("extended", "short"):
            with self.subTest(profile=profile):
                port = harness.free_port()
                vreader = VReader(self, name=f"vreader-{profile}", profile=profile,
                    card=f"vpcd:tcp:127.0.0.1:{port}")
                daemon = Pcscd(self, reader_entry("Virtual", vreader.device(), CCID_LIBRARY),
                    name=f"pcscd-{profile}")
                client = Client(self, daemon)
                context = client.establish()
                vicc = Vicc(self, port)
                handle = self.present(client, context, "Virtual 00 00")
                self.assertEqual(client.transmit(handle, "00A4000C023F00"), "9000")
                vicc.stop()
                client.wait_state(context, "Virtual 00 00", winscard.STATE_EMPTY)
                client.stop()
                daemon.stop()


if __name__ == "__main__":
    unittest.main()
