# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong on vreader's command lines and on its control socket is said in one clear line."""

import contextlib
import os
import socket
import subprocess
import unittest

import ccidprofile
import harness
from harness import VREADER, VReader


class Refused(harness.CardwireTest):
    def refuse(self, status, says, *words):
        """The command ends with this status and exactly one line of its own that matches."""
        done = subprocess.run([VREADER, *map(str, words)], capture_output=True, text=True,
            timeout=harness.CALL_S, cwd=self.tmp,
            env={key: value for key, value in os.environ.items() if key != "VREADER_CTL"})
        lines = [line for line in done.stderr.splitlines() if not line.startswith("Try ")]
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertRegex(lines[0], rf"^vreader: .*{says}")
        self.assertEqual(done.stdout, "")

    def serve(self, status, says, *words):
        self.refuse(status, says, "serve", "--listen", "unix:socket", *words)
        self.assertFalse((self.tmp / "socket").exists())

    def test_command(self):
        self.refuse(2, "no such command: dance", "dance")

    def test_options(self):
        self.serve(2, "unrecognized option '--dance'", "--dance")
        self.serve(2, "option '--profile' requires an argument", "--profile")
        self.serve(2, "unexpected argument: dance", "dance")
        self.serve(2, "unrecognized option '--pcscd", "--pcscd", "x")

    def test_addresses(self):
        self.refuse(2, "nowhere to listen", "serve")
        for address, says in (
                ("socket", "expected unix:PATH or tcp:HOST:PORT"),
                ("unix:", "empty or too long"),
                ("unix:" + 120 * "a", "empty or too long"),
                ("unix:/nonexistent/socket", "No such file or directory"),
                ("tcp:3240", "expected tcp:HOST:PORT"),
                ("tcp:localhost:", "expected tcp:HOST:PORT"),
                ("tcp:localhost:99999", "expected tcp:HOST:PORT"),
                ("tcp:localhost:usb", "expected tcp:HOST:PORT")):
            self.refuse(1, f"cannot listen on .*{says}", "serve", "--listen", address)
        self.refuse(2, "too many addresses", "serve", *(17 * ["--listen", "unix:x"]))
        self.serve(1, "cannot listen on .*No such file", "--ctl", "/nonexistent/ctl")

    def test_address_in_use(self):
        """The other server stays reachable."""
        vreader = VReader(self)
        self.refuse(1, "cannot listen on .*Address already in use", "serve", "--listen",
            f"unix:{vreader.socket}")
        self.assertTrue(vreader.socket.is_socket())
        self.serve(1, "cannot listen on .*Address already in use", "--ctl", vreader.ctl_path)
        vreader.ctl("list")

    def test_socket_of_another_kind(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind(str(self.tmp / "other"))
            other.listen()
            self.refuse(1, "cannot listen on .*in use", "serve", "--listen", "unix:other")
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.connect(str(self.tmp / "other"))

    def test_busy_server(self):
        """One whose queue is full answers nobody, but it is there."""
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(str(self.tmp / "busy"))
            server.listen(0)
            with self.assertRaises(BlockingIOError):
                while True:
                    client = stack.enter_context(socket.socket(socket.AF_UNIX))
                    client.setblocking(False)
                    client.connect(str(self.tmp / "busy"))
            self.refuse(1, "cannot listen on .*in use", "serve", "--listen", "unix:busy")
            self.assertTrue((self.tmp / "busy").is_socket())

    def test_file_in_the_way(self):
        (self.tmp / "file").write_text("text")
        self.refuse(1, "cannot listen on .*in use", "serve", "--listen", "unix:file")
        self.assertEqual((self.tmp / "file").read_text(), "text")

    def test_values(self):
        for option, value, says in (
                ("--profile", "huge", "no such profile: huge"),
                ("--protocol", "t2", "no such protocol: t2"),
                ("--readers", "0", "not a number of readers: 0"),
                ("--readers", "-1", "not a number of readers: -1"),
                ("--readers", "4097", "not a number of readers: 4097"),
                ("--readers", "2x", "not a number of readers: 2x"),
                ("--card-option", "ifsc", "ifsc: expected KEY=VALUE"),
                ("--card-option", "ifsc=", "ifsc=: the value is out of range"),
                ("--card-option", "ifsc=255", "ifsc=255: the value is out of range"),
                ("--card-option", "ta1=100", "ta1=100: the value is out of range"),
                ("--card-option", "inverse=yes", "inverse=yes: the value is out of range"),
                ("--card-option", "colour=1", "colour=1: no such card option"),
                ("--id", "1209", "not an identity of the form VID:PID: 1209"),
                ("--id", "12090:1", "not an identity"),
                ("--id", "-1:1", "not an identity"),
                ("--id", "1209:1x", "not an identity"),
                ("--speed", "super", "no such speed: super"),
                ("--ready-fd", "x", "not an open descriptor: x"),
                ("--ready-fd", "77", "not an open descriptor: 77")):
            self.serve(2, says, option, value)
        self.serve(1, "card gold: no such card", "--card", "gold")

    def test_files(self):
        (self.tmp / "bad.json").write_text("{")
        (self.tmp / "empty.json").write_text("[]")
        (self.tmp / "number.json").write_text("[1]")
        (self.tmp / "bad.fault").write_text("# text\non XfrBlock 1 dance\n")
        self.serve(1, r"missing\.json: No such file", "--profile", "missing.json")
        self.serve(1, r"bad\.json: cannot be read as JSON", "--profile", "bad.json")
        self.serve(1, r"empty\.json: no reader", "--profile", "empty.json")
        self.serve(1, r"number\.json: element 0 is not an object", "--profile", "number.json")
        self.serve(1, r"empty\.json: no reader mine", "--profile", "empty.json:mine")
        self.serve(1, r"missing\.fault: No such file", "--faults", "missing.fault")
        self.serve(1, r"bad\.fault:2: no such action", "--faults", "bad.fault")

    def test_control_client(self):
        self.refuse(2, "which server", "ctl", "list")
        self.refuse(2, "no command", "ctl", "--ctl", "x")
        self.refuse(2, "unrecognized option '--dance'", "ctl", "--dance")
        self.refuse(1, "cannot reach the server at x: No such file", "ctl", "--ctl", "x", "list")
        self.refuse(1, "the command is too long", "ctl", "--ctl", "x", "list", 2000 * "a")

    def test_replay(self):
        self.refuse(2, "not an open descriptor: x", "replay", "f", "--listen", "unix:x",
            "--ready-fd", "x")
        self.refuse(2, "f: No such file", "replay", "f", "--listen", "unix:x")

    def test_run(self):
        self.refuse(125, "nothing to run", "run")
        self.refuse(125, "nothing to run", "run", "--")
        self.refuse(125, "unrecognized option '--dance'", "run", "--dance", "true")
        self.refuse(125, "unrecognized option '--listen'", "run", "--listen", "unix:x", "true")
        self.refuse(125, "no such profile: huge", "run", "--profile", "huge", "true")
        self.refuse(125, "x.json: No such file", "run", "--profile", "x.json", "true")


class ControlSocket(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.vreader = VReader(self)

    def ask(self, line):
        """The server's answer to these bytes."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(harness.CALL_S)
            connection.connect(str(self.vreader.ctl_path))
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
            return answer.decode()

    def run_client(self, *words):
        """(exit status, output, errors) of `vreader ctl`."""
        done = subprocess.run([VREADER, "ctl", "--ctl", self.vreader.ctl_path, *words],
            capture_output=True, text=True, timeout=harness.CALL_S)
        return done.returncode, done.stdout, done.stderr

    def test_client(self):
        """`vreader ctl` prints what the server says, and tells by its status whether it was done."""
        self.assertEqual(self.run_client("list"), (0, self.vreader.ctl("list"), ""))
        self.assertEqual(self.run_client("remove", "0"), (0, "", ""))
        self.assertIn("empty", self.vreader.ctl("list"))
        status, output, errors = self.run_client("remove", "0")
        self.assertEqual((status, output), (1, ""))
        self.assertIn("there is no card", errors)

    def test_words(self):
        for words, says in (
                ("", "no such command"),
                ("dance", "no such command"),
                ("insert", "which reader"),
                ("insert x", "a reader is a number"),
                ("insert -1", "a reader is a number"),
                ("insert 0x", "a reader is a number"),
                ("insert 0.", "a reader is a number"),
                ("insert 0.0.0", "a reader is a number"),
                ("insert 99999999999999999999", "a reader is a number"),
                ("insert 1", "no such reader or slot"),
                ("insert 0.1", "no such reader or slot"),
                ("insert 0 gold", "no such card"),
                ("insert 0 iso", "there is a card already"),
                ("insert 0 iso ifsc=0", "out of range"),
                ("insert 0" + 40 * " iso", "too many words"),
                ("remove 0 0", "too many words"),
                ("list 0", "too many words"),
                ("plug 0", "plugged in already"),
                ("faults 0", "expected: faults READER FILE"),
                ("faults 0 /nonexistent", "/nonexistent: No such file"),
                ("quit now", "too many words")):
            self.assertRegex(self.ask(words.encode() + b"\n"), rf"^error .*{says}", words)
        self.assertRegex(self.vreader.ctl("list"), "^0 1-1 free .*: card\n$")

    def test_script_that_never_comes(self):
        os.mkfifo(self.tmp / "fifo")
        answer = self.ask(f"faults 0 {self.tmp / 'fifo'}\n".encode())
        self.assertEqual(answer, "error a fault script is a regular file\n")

    def test_bytes(self):
        for line in (b"list", bytes(range(256)), 5000 * b"a"):
            answer = self.ask(line) if len(line) < 1024 else self.too_long(line)
            self.assertFalse(answer.startswith("ok"), line)
        self.assertRegex(self.vreader.ctl("list"), "^0 1-1 ")

    def test_long_answer(self):
        """It is longer than what a socket takes at once."""
        profile = ccidprofile.write(self.tmp / "long.json", ccidprofile.interface(iProduct=63 * "x"))
        vreader = VReader(self, "many", profile=profile, readers=3000, card="none")
        lines = vreader.ctl("list").splitlines()
        self.assertEqual((len(lines), lines[-1].split()[0]), (3000, "2999"))

    def too_long(self, line):
        """The server may close the connection while it is still being written to."""
        try:
            return self.ask(line)
        except (BrokenPipeError, ConnectionResetError):
            return ""

    def test_state(self):
        self.vreader.ctl("remove", 0)
        self.assertRegex(self.ask(b"remove 0\n"), "^error there is no card")
        self.vreader.ctl("unplug", 0)
        self.assertRegex(self.ask(b"unplug 0\n"), "^error it is not plugged in")


if __name__ == "__main__":
    unittest.main()
