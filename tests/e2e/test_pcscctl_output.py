# SPDX-License-Identifier: BSD-3-Clause
"""What pcscctl leaves behind: files for their owner alone, without serial numbers of readers, and
text that commands no terminal."""

import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import unittest

import harness
from harness import (CALL_S, CCID_LIBRARY, NOBODY, NULL_LIBRARY, PCSCCTL, Pcscd, Program, VReader,
    reader_entry)

SYSFS = "sys/bus/usb/devices"


class Output(harness.CardwireTest):
    def pcscctl(self, *arguments, **options):
        options.setdefault("text", True)
        options.setdefault("stdout", subprocess.PIPE)
        return subprocess.run([PCSCCTL, "--socket", self.tmp / "pcscd.comm", *map(str, arguments)],
            stderr=subprocess.PIPE, timeout=60, **options)

    @staticmethod
    def mode(path):
        return stat.S_IMODE(path.stat().st_mode)


class Files(Output):
    def setUp(self):
        super().setUp()
        Pcscd(self, reader_entry("Good", "null:", NULL_LIBRARY))
        self.path = self.tmp / "report.tar"

    def report(self, *arguments, **options):
        return self.pcscctl("report", *arguments, **options)

    def test_owner_alone(self):
        done = self.report("-o", self.path, umask=0)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.mode(self.path), 0o600)
        self.assertTrue(tarfile.is_tarfile(self.path))

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to give a file away")
    def test_who_called_sudo(self):
        env = {**os.environ, "SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
        self.assertEqual(self.report("-o", self.path, env=env).returncode, 0)
        self.assertEqual((self.path.stat().st_uid, self.path.stat().st_gid), (NOBODY, NOBODY))
        # A file that was there stays whose it is.
        os.chown(self.path, 0, 0)
        self.path.chmod(0o640)
        self.assertEqual(self.report("-o", self.path, env=env).returncode, 0)
        self.assertEqual((self.path.stat().st_uid, self.mode(self.path)), (0, 0o640))

    def test_earlier_one_is_kept(self):
        """Nothing is overwritten as long as there is nothing to write."""
        self.path.write_text("earlier")
        self.assertEqual(self.report("Missing", "-o", self.path).returncode, 1)
        self.assertEqual(self.path.read_text(), "earlier")

    def test_standard_output(self):
        done = self.report("-o", "-", text=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            self.assertIn("cardwire-report/readers.json", archive.getnames())

    def test_disk_full(self):
        """It is told, and what is no file of ours stays."""
        link = self.tmp / "full"
        link.symlink_to("/dev/full")
        done = self.report("-o", link)
        self.assertEqual((done.returncode, done.stderr),
                         (1, f"pcscctl: {link}: No space left on device\n"))
        self.assertTrue(link.is_symlink())
        for verb in ("list", "who", "report"):
            with open("/dev/full", "w") as full:
                done = self.pcscctl(verb, *(["-o", "-"] if verb == "report" else []), stdout=full)
            self.assertEqual((done.returncode, done.stderr),
                             (1, "pcscctl: standard output: No space left on device\n"), verb)

    def test_nowhere(self):
        path = self.tmp / "missing/report.tar"
        done = self.report("-o", path)
        self.assertEqual((done.returncode, done.stderr),
                         (1, f"pcscctl: {path}: No such file or directory\n"))


class Usage(Output):
    def refused(self, *arguments):
        done = self.pcscctl(*arguments)
        self.assertEqual((done.returncode, done.stdout), (1, ""), arguments)
        return done.stderr

    def test_wrong(self):
        self.assertIn("pcscctl: nonsense: no such command", self.refused("nonsense"))
        self.assertIn('pcscctl: who: "more" is too much', self.refused("who", "more"))
        for arguments, verb, option in ((["trace", "x", "--json"], "trace", "--json"),
                (["quirks", "list", "--json"], "quirks", "--json"),
                (["list", "--apdu"], "list", "--apdu"), (["who", "-o", "x"], "who", "--output"),
                (["list", "--root", "/"], "list", "--root"),
                (["doctor", "--with-serial"], "doctor", "--with-serial")):
            self.assertEqual(self.refused(*arguments), f"pcscctl: {verb} has no option {option}\n")
        self.assertIn("not both", self.refused("trace", "x", "--apdu", "-o", "-"))
        self.assertIn("report wants --output", self.refused("report"))

    def test_help(self):
        for option in ("-h", "--help"):
            done = self.pcscctl(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("Usage: pcscctl", done.stdout)
        for option in ("-v", "--version"):
            self.assertRegex(self.pcscctl(option).stdout, r"^pcscctl \d[\d.]*\n$")

    def test_one_of_several(self):
        """A part of a name that two readers have: which are they?"""
        Pcscd(self, reader_entry("Desk left", "null:1", NULL_LIBRARY)
              + reader_entry("Desk right", "null:2", NULL_LIBRARY)
              + reader_entry("Door", "null:3", NULL_LIBRARY))
        self.assertEqual(self.refused("quirks", "list", "Desk"),
            "pcscctl: Desk: more than one reader of that name\n"
            "  Desk left 00 00\n  Desk right 01 00\n")

    def test_no_descriptors(self):
        (self.tmp / "text").write_text("hello\n")
        self.assertEqual(self.refused("quirks", "test", self.tmp / "text"),
                         f"pcscctl: {self.tmp}/text: no descriptors of a device\n")
        self.assertEqual(self.refused("quirks", "test", self.tmp),
                         f"pcscctl: {self.tmp}: Is a directory\n")

    def test_nothing_to_say(self):
        env = {**os.environ, "CARDWIRE_QUIRKS": ""}
        done = self.pcscctl("quirks", "list", "FFFE:0001", env=env)
        self.assertEqual((done.returncode, done.stdout), (0, "FFFE:0001\n  nothing\n"))
        self.assertIn("pcscctl: there are no quirk files", done.stderr)

    @harness.needs_debian(harness.DEBIAN_PCSCD)
    @harness.needs_root
    def test_anothers_daemon(self):
        """Debian's has no status to tell."""
        daemon = harness.DebianPcscd(self)
        # It says that it is ready before it listens; the library waits.
        harness.Client(self, daemon).establish()
        for verb in ("list", "who"):
            done = subprocess.run([PCSCCTL, "--socket", daemon.socket, verb], capture_output=True,
                text=True, timeout=CALL_S)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(done.stderr, f"pcscctl: {daemon.socket}: another PC/SC daemon than "
                             "this package's serves it, which tells nothing\n")


class SerialNumbers(Output):
    """Of readers whose driver has not asked for them, as the kernel has them."""

    # As the daemon puts them into names: in ASCII.
    NAMES = ["Sample (SN-4711-0815) 00 00", "Twin (N..4712) 01 00"]

    def setUp(self):
        super().setUp()
        for number, (place, serial) in enumerate([("1-2.1", "SN-4711-0815"), ("1-2.2", "Nö4712"),
                                                  ("1-2", "HUB-00001")]):
            folder = self.tmp / "root" / SYSFS / place
            folder.mkdir(parents=True)
            for key, text in (("busnum", 1), ("devnum", number + 2),
                              ("product", f"Sample {number}"), ("serial", serial)):
                (folder / key).write_text(f"{text}\n")
        Pcscd(self, "".join(
            reader_entry(name[:-6], f"null:/dev/bus/usb/001/{number + 2:03}", NULL_LIBRARY)
            for number, name in enumerate(self.NAMES)))

    def pages(self, *options):
        done = self.pcscctl("--root", self.tmp / "root", "report", "-o", self.tmp / "report.tar",
            *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with tarfile.open(self.tmp / "report.tar") as archive:
            return {member.name.partition("/")[2]:
                    archive.extractfile(member).read().decode("latin-1") for member in archive}

    def test_masked(self):
        pages = self.pages()
        names = [reader["name"] for reader in json.loads(pages["readers.json"])]
        self.assertEqual(names, ["Sample (************) 00 00", "Twin (*******) 01 00"])
        self.assertIn("product: Sample 1", pages["device-2/bus.txt"])
        self.assertIn("product: Sample 2", pages["device-2/bus.txt"])
        for name, text in pages.items():
            for serial in ("4711", "4712", "HUB-0"):
                self.assertNotIn(serial, text, name)

    def test_drivers(self):
        """Whose there are is asked in every report of a fault."""
        for name in ("zz.bundle", "aa.bundle"):
            (self.tmp / "root/usr/lib/pcsc/drivers" / name).mkdir(parents=True)
        self.assertIn("drivers in /usr/lib/pcsc/drivers: aa.bundle zz.bundle\n",
                      self.pages()["system.txt"])

    def test_wanted(self):
        pages = self.pages("--with-serial")
        names = [reader["name"] for reader in json.loads(pages["readers.json"])]
        self.assertEqual(names, self.NAMES)
        self.assertIn("serial: SN-4711-0815", pages["device-1/bus.txt"])
        self.assertIn("serial: HUB-00001", pages["device-1/bus.txt"])


class Terminals(Output):
    """Whoever chooses a name shall not command the terminal of who looks at it, nor break JSON."""

    # A client that waits until its input ends.
    CLIENT = """
import socket, struct, sys
server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
for command, body, answer in ((0x11, struct.pack("=iiI", 4, 4, 0), 12),
                              (0x01, struct.pack("=III", 2, 0, 0), 12), (0x13, b"", 16 * 184)):
    server.sendall(struct.pack("=II", len(body), command) + body)
    server.recv(answer, socket.MSG_WAITALL)
print("waiting", flush=True)
sys.stdin.read()
"""

    def test_programs(self):
        Pcscd(self, reader_entry("Good", "null:", NULL_LIBRARY))
        program = os.fsencode(self.tmp) + b"/\x1b[2J\xff\xc2\x9b\xed\xa0\x80"
        shutil.copy(os.path.realpath(sys.executable), program)
        client = subprocess.Popen([program, "-c", self.CLIENT, self.tmp / "pcscd.comm"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(client.communicate)
        self.addCleanup(client.kill)
        self.assertEqual(client.stdout.readline(), "waiting\n")
        shown = f"{self.tmp}/?[2J??????"
        done = self.pcscctl("who", "--json", text=False)
        [waiter] = json.loads(done.stdout.decode("utf-8"))["readers"][0]["waiters"]
        self.assertEqual((waiter["pid"], waiter["program"]), (client.pid, shown))
        self.assertIn(f"pid {client.pid} ({shown})", self.pcscctl("who").stdout)

    def test_devices(self):
        for name, text in (("1-1/busnum", b"1"), ("1-1/devnum", b"2"),
                           ("1-1:1.0/bInterfaceClass", b"0b"),
                           ("1-1/product", b"\x1b]0;x\x07\xc2\x9b2J Reader\xfe")):
            path = self.tmp / "root" / SYSFS / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text + b"\n")
        done = self.pcscctl("--root", self.tmp / "root", "doctor", "--json", text=False)
        text = " ".join(f["what"] for f in json.loads(done.stdout.decode("utf-8"))["findings"])
        self.assertIn("?]0;x???2J Reader?", text)


class OddAnswers(Output):
    """Whatever serves the status socket: pcscctl says something, and ends."""

    ANSWERS = (b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe", b'{"readers": 1, "waiters": []}',
               b'{"readers": [], "waiters": []} more', b"[" * 10000,
               b'{"daemon": [], "readers": [null, 1, [], {}, {"name": 5, "device": {},'
               b' "holder": [], "running": "x", "handles": 7,'
               b' "queue": [null, 3, {"pid": "x", "for_ms": []}]}],'
               b' "waiters": [null, 4, {"readers": [null, 3]}, {"readers": 5, "pid": 1e99}]}')

    def test_no_crash(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.settimeout(CALL_S)
        listener.bind(str(self.tmp / "pcscd.status"))
        listener.listen()
        for answer in self.ANSWERS:
            for arguments in (["who"], ["who", "--json"], ["list"], ["list", "--json"],
                              ["quirks", "list", "x"]):
                with self.subTest(answer=answer[:80], arguments=arguments):
                    self.check(listener, answer, arguments)

    def check(self, listener, answer, arguments):
        with subprocess.Popen([PCSCCTL, "--socket", self.tmp / "pcscd.comm", *arguments],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(answer)
            out, err = program.communicate(timeout=CALL_S)
        self.assertIn(program.returncode, (0, 1), err)
        if program.returncode == 1:
            self.assertTrue(err.startswith("pcscctl: "), err)
        elif "--json" in arguments:
            json.loads(out)


class Traces(Output):
    def setUp(self):
        super().setUp()
        vreader = VReader(self)
        self.daemon = Pcscd(self, reader_entry("Virtual", vreader.device(), CCID_LIBRARY))

    def trace(self, *arguments, **options):
        return Program(self, "trace", [PCSCCTL, "--socket", self.tmp / "pcscd.comm", "trace",
            "Virtual", *arguments], **options)

    def test_owner_alone(self):
        path = self.tmp / "trace.pcapng"
        trace = self.trace("-o", path)
        trace.wait_line("tracing")
        self.assertEqual(self.mode(path), 0o600)
        self.assertEqual(trace.stop(signal.SIGINT), 0)

    def test_nobody_reads_any_more(self):
        """Its standard output is closed: it ends with the next line, not when somebody ends it."""
        reading, writing = os.pipe()
        trace = subprocess.Popen([PCSCCTL, "--socket", self.tmp / "pcscd.comm", "trace", "Virtual",
            "--apdu"], stdout=writing, stderr=subprocess.PIPE, text=True)
        self.addCleanup(trace.communicate)
        self.addCleanup(trace.kill)
        os.close(writing)
        self.assertEqual(trace.stderr.readline(), "pcscctl: tracing\n")
        os.close(reading)
        client = harness.Client(self, self.daemon)
        context = client.establish()
        client.transmit(self.present(client, context, "Virtual 00 00"), "00A4000C023F00")
        self.assertEqual(trace.wait(CALL_S), 1)
        self.assertEqual(trace.stderr.read(), "pcscctl: standard output: Broken pipe\n")


if __name__ == "__main__":
    unittest.main()
