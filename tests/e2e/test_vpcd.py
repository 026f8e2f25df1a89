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
ATR_FAST = bytes.fromhex("3b808131200313")  # T=1, IFSC 32, BWI 0: below 0.1 s
ATR_T0 = bytes.fromhex("3b00")


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
    def reader(self, name="", **options):
        self.path = self.tmp / f"card{name}.sock"
        vreader = VReader(self, name=f"vreader{name}", card=f"vpcd:unix:{self.path}", **options)
        self.daemon = Pcscd(self, "".join(
            reader_entry(f"Virtual {i}", vreader.device(i), CCID_LIBRARY)
            for i in range(options.get("readers", 1))), name=f"pcscd{name}")
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
        before = vreader.stats()["messages_in"]
        while vreader.stats()["messages_in"] < before + 3:
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
        client.wait_state(context, "Virtual 0 00 00", winscard.STATE_EMPTY)
        CardProgram(self, self.path, echo)
        handle = self.present(client, context, "Virtual 0 00 00")
        self.assertEqual(client.transmit(handle, "00840000"), "008400009000")

    def test_below_the_apdu_levels_each_command_arrives_as_it_was_sent(self):
        """T=1 is spoken in front of the program: it knows of APDUs only."""
        for profile in ("tpdu", "character"):
            with self.subTest(profile=profile):
                _, client, context = self.reader(f"-{profile}", profile=profile)
                seen = []

                def answer(program, apdu):
                    seen.append(apdu.hex())
                    program.send(bytes(range(256)) * (apdu[2] or 1) + b"\x90\x00")

                CardProgram(self, self.path, answer)
                handle = self.present(client, context, "Virtual 0 00 00")
                commands = ["00840000", "00a40000023f00", "00d60100" + "ff" + "5a" * 255,
                    "80ca100000" + "03e8" + "a5" * 1000 + "0000"]
                for command in commands:
                    p1 = int(command[4:6], 16)
                    self.assertEqual(client.transmit(handle, command),
                        bytes(range(256)).hex() * (p1 or 1) + "9000")
                self.assertEqual(seen, commands)
                client.stop()

    def test_slow_program_is_waited_for_below_the_apdu_levels(self):
        """Longer than the block waiting time of its ATR (T=1), or the work waiting time (T=0)."""
        for profile, atr in (("tpdu", ATR_FAST), ("character", ATR_FAST), ("tpdu", ATR_T0)):
            with self.subTest(profile=profile, atr=atr.hex()):
                name = f"-{profile}-{atr.hex()}"
                vreader, client, context = self.reader(name, profile=profile)
                release = threading.Event()

                def slow(program, apdu):
                    release.wait(harness.CALL_S)
                    program.send(b"\x90\x00")

                CardProgram(self, self.path, slow, atr=atr)
                handle = self.present(client, context, "Virtual 0 00 00")
                pending = client.start("transmit", handle, "0020000004" + "31323334")
                count = lambda: vreader.stats()["messages_in"]
                before = count()
                while count() < before + 3:
                    self.assertFalse(pending.done())
                release.set()
                self.assertEqual(pending.value(), "9000")
                client.stop()

    def test_t0_carries_what_it_can(self):
        """The program sees TPDUs, and what T=0 has no way for waits for GET RESPONSE."""
        _, client, context = self.reader(profile="tpdu")
        seen = []

        def answer(program, tpdu):
            seen.append(tpdu.hex())
            # Its own business with GET RESPONSE, as SIM cards have it.
            replies = {"a0a4": "9f03", "a0c0": "0102039000", "00b0": "aabbcc9000",
                "00a4": "6f009000"}
            program.send(bytes.fromhex(replies[tpdu[:2].hex()]))

        CardProgram(self, self.path, answer, atr=ATR_T0)
        handle = self.present(client, context, "Virtual 0 00 00")
        self.assertEqual(client.transmit(handle, "a0a40000023f00"), "9f03")
        self.assertEqual(client.transmit(handle, "a0c0000003"), "0102039000")
        self.assertEqual(client.transmit(handle, "00b0000003"), "aabbcc9000")
        # Told the right length, the host asks again; the program is not asked.
        self.assertEqual(client.transmit(handle, "00b0000000"), "6c03")
        self.assertEqual(client.transmit(handle, "00b0000003"), "aabbcc9000")
        self.assertEqual(client.transmit(handle, "00a4000c023f0000"), "6f009000")
        self.assertEqual(seen,
            ["a0a40000023f00", "a0c0000003", "00b0000003", "00b0000000", "00a4000c023f00"])

    def test_reader_without_bulk_pipes_is_refused(self):
        done = subprocess.run([harness.VREADER, "serve", "--listen", f"unix:{self.tmp}/usbip",
            "--profile", harness.SOURCE / "tests/faults/profiles.json:iccd-b", "--card",
            f"vpcd:unix:{self.tmp}/card"], capture_output=True, text=True, timeout=harness.START_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn("give the reader bulk pipes", done.stderr)

    @harness.needs_debian(harness.DEBIAN_VICC)
    def test_vicc(self):
        for profile in ("extended", "short", "tpdu"):
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
