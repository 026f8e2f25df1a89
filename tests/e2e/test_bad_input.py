# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong is said once, clearly, and disturbs nobody else."""

import os
import random
import socket
import struct
import unittest

import harness
import winscard
from harness import (BUILD, CCID_LIBRARY, Client, NULL_LIBRARY, Pcscd, VReader, reader_entry)

PARTIAL_LIBRARY = BUILD / "tests/libifd-partial.so"
GOOD = reader_entry("Good", "null:", NULL_LIBRARY)


class Configuration(harness.CardwireTest):
    def readers(self, daemon):
        client = Client(self, daemon)
        return client.list_readers(client.establish())

    def check(self, conf, readers, *lines):
        """The daemon with this configuration has these readers, and printed each line once."""
        daemon = Pcscd(self, conf)
        self.assertEqual(self.readers(daemon), readers)
        for line in lines:
            self.assertEqual(daemon.program.count(line), 1, f"/{line}/ in\n{daemon.program.text()}")
        return daemon

    def test_wrong_line_in_one_file(self):
        conf = self.tmp / "pcscd.conf"
        conf.mkdir()
        (conf / "broken").write_text(f"# a comment\nFRIENDLYNAME \"Lost\"\nDEVICENAM null:\n"
                                     f"LIBPATH {NULL_LIBRARY}\n")
        self.check(GOOD, ["Good 00 00"], r"broken:3\b.*DEVICENAM")

    def test_other_readers_of_the_same_file(self):
        daemon = Pcscd(self, GOOD + "NONSENSE here\n" + reader_entry("More", "null:more", NULL_LIBRARY))
        self.assertEqual(sorted(self.readers(daemon)), ["Good 00 00", "More 01 00"])
        self.assertEqual(daemon.program.count(r"test:4\b.*NONSENSE"), 1)

    def test_driver_without_its_entry_points(self):
        self.check(reader_entry("Bad", "null:", PARTIAL_LIBRARY) + GOOD, ["Good 00 00"],
                   r"libifd-partial\.so.*IFDH")

    def test_driver_that_is_no_library(self):
        text = self.tmp / "text.so"
        text.write_text("no library\n")
        self.check(reader_entry("Bad", "null:", text) + GOOD, ["Good 00 00"], r"text\.so")

    def test_driver_that_is_missing(self):
        self.check(reader_entry("Bad", "null:", self.tmp / "missing.so") + GOOD, ["Good 00 00"],
                   r"missing\.so")

    def test_driver_that_fails_to_open(self):
        daemon = Pcscd(self, reader_entry("Bad", "null:fail", NULL_LIBRARY) + GOOD)
        self.assertEqual(self.readers(daemon), ["Good 00 00"])
        self.assertRegex(daemon.program.text(), r"test:1: .*cannot open null:fail")


class HostileClients(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.daemon = Pcscd(self, GOOD)
        self.client = Client(self, self.daemon)
        self.context = self.client.establish()
        self.handle = self.client.connect(self.context, "Good 00 00")["handle"]

    def raw(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(connection.close)
        connection.settimeout(10)
        connection.connect(str(self.daemon.socket))
        return connection

    def version(self, connection, minor=4):
        connection.sendall(struct.pack("=IIiiI", 12, 0x11, 4, minor, 0))
        reply = connection.recv(12, socket.MSG_WAITALL)
        self.assertEqual(struct.unpack("=iiI", reply)[2], 0)

    def assert_closed(self, connection):
        """The daemon closes it, whatever it may have answered before."""
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def assert_nobody_noticed(self):
        self.assertEqual(self.client.transmit(self.handle, "0084000008"), "9000")
        self.assertEqual(self.client.list_readers(self.context), ["Good 00 00"])
        other = Client(self, self.daemon)
        self.assertEqual(other.list_readers(other.establish()), ["Good 00 00"])

    def test_garbage(self):
        choose = random.Random(3)
        for _ in range(20):
            connection = self.raw()
            try:
                connection.sendall(choose.randbytes(choose.randint(8, 4000)))
                connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError, OSError):
                pass
            self.assert_closed(connection)
        self.assert_nobody_noticed()

    def test_wrong_sizes(self):
        for command, size in ((0x01, 11), (0x01, 13), (0x04, 151), (0x09, 0), (0x09, 33),
                              (0x11, 11), (0x0F, 281), (0x0A, 0xFFFFFFFF), (0x04, 0x80000000)):
            connection = self.raw()
            if command != 0x11:
                self.version(connection)
            connection.sendall(struct.pack("=II", size, command))
            self.assert_closed(connection)
        self.assert_nobody_noticed()

    def test_unknown_commands(self):
        for command in (0x00, 0x03, 0x0C, 0x0E, 0x18, 0xFFFFFFFF):
            connection = self.raw()
            self.version(connection)
            connection.sendall(struct.pack("=II", 0, command))
            self.assert_closed(connection)
        self.assert_nobody_noticed()

    def test_too_long_apdu(self):
        connection = self.raw()
        self.version(connection)
        connection.sendall(struct.pack("=II8I", 32, 0x09, 1, 2, 16, 65549, 2, 16, 258, 0))
        self.assert_closed(connection)
        self.assert_nobody_noticed()

    def test_half_a_message(self):
        for part in (b"\x0c", struct.pack("=II", 12, 0x11), struct.pack("=IIi", 12, 0x11, 4),
                     struct.pack("=II8I", 32, 0x09, 1, 2, 16, 100, 2, 16, 258, 0) + b"half"):
            connection = self.raw()
            connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            self.assert_closed(connection)
        self.assert_nobody_noticed()

    def test_half_a_message_and_silence(self):
        """A peer that never finishes its greeting is put out after the time-out for it (5 s)."""
        connection = self.raw()
        connection.sendall(b"\x0c\0\0\0")
        self.assert_nobody_noticed()
        self.assert_closed(connection)

    def test_handles_of_others(self):
        """A handle works on the connection that made it, and on no other."""
        other = Client(self, self.daemon)
        other.establish()
        connection = self.raw()
        self.version(connection)
        connection.sendall(struct.pack("=IIiI", 8, 0x0B, self.handle, 0))
        reply = connection.recv(8, socket.MSG_WAITALL)
        if reply:
            self.assertEqual(winscard.rv_name(struct.unpack("=iI", reply)[1]),
                             "SCARD_E_INVALID_HANDLE")
        self.assert_nobody_noticed()


class Server(harness.CardwireTest):
    """The USB/IP server is absent, dies, and comes back."""

    def cpu_seconds(self, pid):
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def absent_daemon(self):
        device = f"usbip:unix:{self.tmp}/vreader.usbip/1-1"
        daemon = Pcscd(self, GOOD + reader_entry("Virtual", device, CCID_LIBRARY))
        client = Client(self, daemon)
        return daemon, client, client.establish()

    def test_absent_then_there(self):
        daemon, client, context = self.absent_daemon()
        self.assertEqual(client.list_readers(context), ["Good 00 00"])
        daemon.program.wait_line(r"Virtual.*|vreader\.usbip")
        VReader(self)
        client.wait_state(context, "Virtual 00 00", winscard.STATE_PRESENT)
        handle = client.connect(context, "Virtual 00 00")["handle"]
        self.assertEqual(client.transmit(handle, "00A4000C023F00"), "9000")

    def test_dies_and_returns(self):
        vreader = VReader(self)
        daemon = Pcscd(self, GOOD + reader_entry("Virtual", vreader.device(), CCID_LIBRARY))
        client = Client(self, daemon)
        context = client.establish()
        handle = self.present(client, context, "Virtual 00 00")
        vreader.program.kill()
        self.assertIn(client.rv("transmit", handle, "0084000008"),
                      ("SCARD_E_READER_UNAVAILABLE", "SCARD_E_NOT_TRANSACTED",
                       "SCARD_E_INVALID_VALUE", "SCARD_W_REMOVED_CARD"))
        client.wait_listed(context, "Virtual 00 00", False)
        good = client.connect(context, "Good 00 00")["handle"]
        # A wait in which nothing happens: the daemon has nothing to do but look for the server.
        before, lines = self.cpu_seconds(daemon.program.pid), len(daemon.program.lines)
        [[_, event, _]] = client.status_change(context, 0, [["Good 00 00", 0]])
        self.assertEqual(client.rv("status_change", context, 3000,
                                   [["Good 00 00", event & ~winscard.STATE_CHANGED]]),
                         "SCARD_E_TIMEOUT")
        self.assertLess(self.cpu_seconds(daemon.program.pid) - before, 0.3)
        self.assertLess(len(daemon.program.lines) - lines, 100)
        self.assertEqual(client.transmit(good, "0084000008"), "9000")
        VReader(self)
        client.wait_state(context, "Virtual 00 00", winscard.STATE_PRESENT)
        handle = client.connect(context, "Virtual 00 00")["handle"]
        self.assertEqual(client.transmit(handle, "00A4000C023F00"), "9000")


if __name__ == "__main__":
    unittest.main()
