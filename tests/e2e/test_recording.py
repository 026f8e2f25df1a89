# SPDX-License-Identifier: BSD-3-Clause
"""What is recorded of a reader: reports, traces, and replays of both; and that no PIN is in any of
them, nor in a log, what pcsc-spy shows, or a core dump of the daemon."""

import base64
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import unittest

import ccidprofile
import harness
import winscard
from harness import (BUILD, CALL_S, CCID_LIBRARY, Client, NOBODY, PCSCCTL, Pcscd, Program, VREADER,
    VReader, pcscctl, reader_entry)

SPY = BUILD / "bin/pcsc-spy"
SPY_LIBRARY = BUILD / "lib/libpcscspy.so.0"
REPLAYS = harness.SOURCE / "tests/replays"
READER = "Virtual 00 00"
# A client that comes late on a busy machine finds the card as it was.
KEEP_POWER = ["--power-grace", "3600"]
PINS = int(os.environ.get("CARDWIRE_PINS", "60"))
IFD_SERIAL = 0x10103
PROFILES = [(profile, protocol) for profile in ("extended", "short", "tpdu", "character")
            for protocol in ("t0", "t1")]
# Readers that are spoken to in other ways: by the control pipe, by asking again and again for the
# card, with two slots that share the pipes, at the same time or not.
OTHERS = {
    "iccd-a": (ccidprofile.usb_icc(1), "t0", 1),
    "iccd-b": (ccidprofile.usb_icc(2), "t1", 1),
    "polled": (ccidprofile.interface(endpoints=2), "t1", 1),
    "polled-tpdu": (ccidprofile.interface(endpoints=2,
        features=ccidprofile.TPDU | ccidprofile.AUTOMATIC), "t0", 1),
    "two-slots": (ccidprofile.interface(slots=2), "t1", 2),
    "two-busy-slots": (ccidprofile.interface(slots=2, busy=2,
        features=ccidprofile.TPDU | ccidprofile.AUTOMATIC), "t1", 2),
}
COMMANDS = ["00A4000C023F00", "00A4020C022F00", "00B0000010", "00200001083132333435363738",
            "0020000104FFFFFFFF", "0084000008", "00B0000000"]


def replay(path):
    return subprocess.run([VREADER, "replay", path, "--driver", CCID_LIBRARY], capture_output=True,
        text=True, timeout=100)


class Recording(harness.CardwireTest):
    def report(self, daemon, *arguments):
        """Makes a report of the reader and unpacks it: (archive, folder)."""
        path = self.tmp / f"report-{len(list(self.tmp.glob('report-*')))}.tar"
        done = pcscctl(daemon, "report", READER, "--output", path, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        folder = path.with_suffix("")
        with tarfile.open(path) as archive:
            archive.extractall(folder)
        return path, folder / "cardwire-report"

    @staticmethod
    def transfers(folder):
        """What went over the bus, without times."""
        text = (folder / "device-1/recording.txt").read_text()
        return re.findall(r"^[\d.]+ ((?:out|in) .*)$", text, re.MULTILINE)

    @staticmethod
    def exchanges(transfers):
        """Of these, without bSeq, and without questions for the slot's status: what comes of them may
        have been told by the interrupt pipe before."""
        kept, question = [], False
        for line in transfers:
            if line.startswith("out"):
                question = " ok 65" in line
            if not question:
                kept.append(re.sub(r"( ok \w{12})\w\w", r"\1..", line))
        return kept

    def work(self, client, slots=1):
        """The same with the cards of all slots, in turns."""
        context = client.establish()
        handles = [self.present(client, context, f"Virtual 00 {slot:02}") for slot in range(slots)]
        for command in COMMANDS:
            for handle in handles:
                client.transmit(handle, command)
        for handle in handles:
            client.reconnect(handle, winscard.SHARE_SHARED, winscard.PROTOCOL_ANY, winscard.RESET)
        for command in COMMANDS:
            for handle in handles:
                client.transmit(handle, command)
        for handle in handles:
            client.disconnect(handle, winscard.RESET)
        client.stop()


class Report(Recording):
    def test_content(self):
        _, daemon, client, context, _ = self.stack()
        handle = self.present(client, context, READER)
        client.attrib(handle, IFD_SERIAL)
        client.transmit(handle, COMMANDS[0])
        _, folder = self.report(daemon)
        pages = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        self.assertIn(b"daemon: ", pages["system.txt"])
        self.assertIn(b"kernel: Linux", pages["system.txt"])
        self.assertIn(b'"handles"', pages["readers.json"])
        self.assertEqual(len(pages["device-1/device.bin"]), 18)
        self.assertIn(b"dwMaxCCIDMessageLength", pages["device-1/descriptors.txt"])
        self.assertIn(b"protocol: T=1", pages["device-1/atr.txt"])
        self.assertIn(b"call 0 transmit 1 " + COMMANDS[0].encode(), pages["device-1/recording.txt"])
        self.assertIn(b"good", pages["doctor.txt"])
        self.assertIn("device-1/quirks.txt", pages)
        self.assertIn(b"device: usbip:", pages["device-1/bus.txt"])

    def test_serial(self):
        vreader, daemon, client, context, _ = self.stack()
        handle = self.present(client, context, READER)
        serial = bytes.fromhex(client.attrib(handle, IFD_SERIAL)).rstrip(b"\0").decode()
        self.assertTrue(serial)
        digits = serial.encode("utf-16-le").hex().upper()
        _, folder = self.report(daemon)
        self.assertNotIn(digits, (folder / "device-1/recording.txt").read_text())
        _, folder = self.report(daemon, "--with-serial")
        self.assertIn(digits, (folder / "device-1/recording.txt").read_text())

    def test_reader_gone(self):
        """The recording outlives the reader."""
        vreader, daemon, client, context, _ = self.stack()
        handle = self.present(client, context, READER)
        client.transmit(handle, COMMANDS[0])
        vreader.ctl("unplug", 0)
        client.wait_listed(context, READER, listed=False)
        path = self.tmp / "gone.tar"
        done = pcscctl(daemon, "report", "--output", path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with tarfile.open(path) as archive:
            archive.extractall(self.tmp / "gone")
        text = (self.tmp / "gone/cardwire-report/device-1/recording.txt").read_text()
        self.assertIn("transmit 1 " + COMMANDS[0], text)

    def test_without_daemon(self):
        """It still says what is wrong."""
        path = self.tmp / "none.tar"
        done = subprocess.run([PCSCCTL, "--socket", self.tmp / "none.comm", "report", "-o", path],
            capture_output=True, text=True, timeout=CALL_S)
        self.assertEqual(done.returncode, 0)
        self.assertIn("is pcscd running?", done.stderr)
        with tarfile.open(path) as archive:
            self.assertIn("cardwire-report/doctor.txt", archive.getnames())

    def test_no_such_reader(self):
        _, daemon, _, _, _ = self.stack()
        path = self.tmp / "none.tar"
        done = pcscctl(daemon, "report", "Missing", "-o", path)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "pcscctl: Missing: no reader of that name\n"))
        self.assertFalse(path.exists())

    def ask_as(self, uid, path):
        """Whether that user is given a list of recordings."""
        child = os.fork()
        if child == 0:
            answered = False
            try:
                os.setuid(uid)
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(CALL_S)
                    connection.connect(path)
                    connection.sendall(b"list\n")
                    answered = connection.recv(1000) != b""
            except ConnectionError:
                pass
            finally:
                os._exit(0 if answered else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become another user")
    def test_others_are_refused(self):
        _, daemon, client, context, _ = self.stack()
        self.present(client, context, READER)
        os.chmod(self.tmp, 0o711)
        # Whatever the mode of the file: the daemon looks who it is.
        os.chmod(daemon.socket.with_suffix(".record"), 0o666)
        path = str(daemon.socket.with_suffix(".record"))
        self.assertTrue(self.ask_as(0, path))
        self.assertFalse(self.ask_as(NOBODY, path))
        daemon.program.wait_line(r"recordings refused to pid \d+ .*, uid 65534")


class Trace(Recording):
    def start_trace(self, daemon, *arguments):
        trace = Program(self, "trace", [PCSCCTL, "--socket", daemon.socket, "trace", READER,
            *arguments])
        trace.wait_line("tracing")
        return trace

    def end_trace(self, trace):
        self.assertEqual(trace.stop(signal.SIGINT), 0)

    def wait_text(self, trace, text):
        trace.wait_line(re.escape(text))

    def test_apdus(self):
        _, daemon, client, context, _ = self.stack()
        handle = self.present(client, context, READER)
        trace = self.start_trace(daemon, "--apdu")
        client.transmit(handle, COMMANDS[0])
        client.transmit(handle, COMMANDS[3])
        self.wait_text(trace, "transmit -> 00 A4 00 0C 02 3F 00")
        self.wait_text(trace, "transmit -> 00 20 00 01 08 ** ** ** ** ** ** ** **")
        self.wait_text(trace, "transmit <- 90 00")
        self.end_trace(trace)

    @unittest.skipUnless(shutil.which("tshark"), "needs tshark")
    def test_wireshark(self):
        """Its CCID dissector shows each message by its name."""
        vreader, daemon, client, context, _ = self.stack(profile="tpdu")
        client.wait_state(context, READER, winscard.STATE_PRESENT)
        path = self.tmp / "trace.pcapng"
        trace = self.start_trace(daemon, "--output", path, "--apdu")
        handle = client.connect(context, READER)["handle"]
        for command in COMMANDS:
            client.transmit(handle, command)
        client.disconnect(handle, winscard.UNPOWER)
        self.wait_text(trace, "power ->")
        handle = client.connect(context, READER)["handle"]
        client.transmit(handle, "00B0000011")
        self.wait_text(trace, "00 B0 00 00 11")
        # The last call may be cut by the end.
        self.end_trace(trace)
        shown = subprocess.run(["tshark", "-r", path, "-T", "fields", "-e", "usbccid.bMessageType",
            "-e", "frame.protocols", "-e", "_ws.malformed", "-e", "usb.transfer_type",
            "-e", "usb.data_len"], capture_output=True, text=True, timeout=60, check=True).stdout
        rows = [line.split("\t") for line in shown.splitlines()]
        bulk = [row for row in rows if row[3] == "0x03" and row[4] != "0"]
        self.assertGreater(len(bulk), 2 * len(COMMANDS))
        self.assertEqual([row for row in rows if row[2]], [])
        self.assertEqual([row for row in bulk if "usbccid" not in row[1]], [])
        types = {int(row[0], 0) for row in bulk}
        self.assertLessEqual({0x62, 0x63, 0x61, 0x6F, 0x80, 0x81, 0x82}, types)
        summary = subprocess.run(["tshark", "-r", path], capture_output=True, text=True, timeout=60,
            check=True).stdout
        self.assertIn("PC to Reader: Transfer Block", summary)
        self.assertIn("Reader to PC: Data Block", summary)
        # The live trace replays, too: from the power-up in it.
        done = replay(path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_reader_goes(self):
        vreader, daemon, client, context, _ = self.stack()
        self.present(client, context, READER)
        trace = self.start_trace(daemon, "--apdu")
        vreader.ctl("unplug", 0)
        self.assertEqual(trace.wait_end(), 0)

    def test_nothing_wanted(self):
        _, daemon, _, _, _ = self.stack()
        done = pcscctl(daemon, "trace", READER)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--output FILE or --apdu", done.stderr)


class Replay(Recording):
    def record(self, profile, protocol, slots=1, name=None):
        # Whether the reader's first notification comes before or after the first question for the card
        # is chance, and what is asked differs.
        script = self.tmp / "silent.fault"
        script.write_text("on NotifySlotChange * drop\n")
        _, daemon, client, _, _ = self.stack(profile=profile, protocol=protocol,
            name=name or f"{profile}-{protocol}", extra=["--faults", script],
            daemon_options=KEEP_POWER)
        self.work(client, slots)
        return self.report(daemon)

    def record_other(self, name):
        interface, protocol, slots = OTHERS[name]
        profile = ccidprofile.write(self.tmp / f"{name}.json", interface)
        return self.record(profile, protocol, slots, name)

    def test_profiles(self):
        for profile, protocol in PROFILES:
            with self.subTest(profile=profile, protocol=protocol):
                path, folder = self.record(profile, protocol)
                done = replay(path)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                steps = int(re.search(r"(\d+) steps", done.stdout)[1])
                self.assertGreater(steps, 4 * len(COMMANDS))
                self.tearDownPrograms()
                shutil.rmtree(folder.parent)
                path.unlink()

    def test_others(self):
        for name in OTHERS:
            with self.subTest(name):
                try:
                    path, folder = self.record_other(name)
                finally:
                    self.tearDownPrograms()
                done = replay(path)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertGreater(int(re.search(r"(\d+) steps", done.stdout)[1]), 4 * len(COMMANDS))
                self.check_mutated(folder)

    def check_mutated(self, folder):
        """The last command to a card is another one: it is named."""
        lines = (folder / "device-1/recording.txt").read_text().splitlines()
        sent = re.compile(r" (out \w\w|control 21\w{14}) ok [^-]")
        end = max(i for i, line in enumerate(lines) if " transmit 0 " in line)
        last = max(i for i, line in enumerate(lines[:end]) if sent.search(line))
        start, data = lines[last].rsplit(" ", 1)
        path = self.tmp / "mutated.txt"
        # A byte that is not masked, nor bSeq.
        path.write_text("\n".join([*lines[:last], f"{start} {data[:-2]}5A", *lines[last + 1:], ""]))
        done = replay(path)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, rf"message {last - 1} \((out|control)\): ")

    def tearDownPrograms(self):
        for program in reversed(self.programs):
            program.stop()

    def test_byte_equal(self):
        """A daemon without a past, with the replay as its reader: what goes over the bus is the
        same, byte for byte."""
        path, folder = self.record("extended", "t1")
        recorded = self.exchanges(self.transfers(folder))
        self.tearDownPrograms()
        place = self.tmp / "replay.usbip"
        program = harness.start_ready(self, "replay", [VREADER, "replay", path, "--listen",
            f"unix:{place}"])
        daemon = Pcscd(self, reader_entry("Virtual", f"usbip:unix:{place}/1-1", CCID_LIBRARY),
                       KEEP_POWER, name="second")
        client = Client(self, daemon)
        context = client.establish()
        handle = self.present(client, context, READER)
        # Random numbers, PINs: whatever it is, it comes as it came.
        for command in COMMANDS:
            client.transmit(handle, command)
        client.reconnect(handle, winscard.SHARE_SHARED, winscard.PROTOCOL_ANY, winscard.RESET)
        _, folder = self.report(daemon)
        again = self.exchanges(self.transfers(folder))
        self.assertGreater(len(again), 2 * len(COMMANDS))
        self.assertEqual(again, recorded[:len(again)])
        client.kill()
        daemon.stop()
        program.killed = True
        program.stop()

    def test_mutations(self):
        """A script that wants something else of the driver: the first difference is named."""
        _, folder = self.record("tpdu", "t1")
        lines = (folder / "device-1/recording.txt").read_text().splitlines()
        commands = [i for i, line in enumerate(lines) if " out " in line]
        rest = [i for i, line in enumerate(lines) if i > 1]
        path = self.tmp / "mutated.txt"
        for i in (commands[1], commands[len(commands) // 2], commands[-1]):
            with self.subTest(line=lines[i]):
                number = rest.index(i) + 1
                changed = lines[i].replace(" ok 6", " ok 7")
                self.assertNotEqual(changed, lines[i])
                path.write_text("\n".join([*lines[:i], changed, *lines[i + 1:], ""]))
                done = replay(path)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, rf"message {number} \(out\): byte 0 differs: "
                                              r"expected 7.*; came 6")
        with self.subTest("one message more"):
            i = next(i for i, line in enumerate(lines) if " call 0 transmit " in line)
            more = lines[i].split()[0] + " out 01 ok 65000000000000000000"
            path.write_text("\n".join([*lines[:i], more, *lines[i:], ""]))
            done = replay(path)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"message {rest.index(i) + 1} (out): the driver leaves it out: expected 65",
                          done.stderr)
        with self.subTest("another response"):
            i = next(i for i, line in enumerate(lines) if re.search("return 0 transmit 0 .*9000$", line))
            path.write_text("\n".join([*lines[:i], lines[i][:-4] + "9001", *lines[i + 1:], ""]))
            done = replay(path)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"message {rest.index(i) + 1} (return): transmit: expected", done.stderr)

    def test_no_recordings(self):
        for content, why in ((b"", "neither a recording"), (b"cardwire-recording 1\nx\n", "line 2"),
                             (b"cardwire-recording 1\n", "descriptors")):
            path = self.tmp / "bad"
            path.write_bytes(content)
            done = replay(path)
            self.assertEqual(done.returncode, 2)
            self.assertIn(why, done.stderr)

    def test_kept_ones(self):
        """Recordings of this repository: the driver still does what it did."""
        paths = sorted(REPLAYS.glob("*.txt"))
        self.assertGreater(len(paths), 5)
        for path in paths:
            with self.subTest(path.name):
                done = replay(path)
                self.assertEqual((done.returncode, done.stderr), (0, ""))


def forms(pin):
    """How 12 digits may look."""
    text = pin.encode()
    bcd = bytes.fromhex(pin)
    spaced = " ".join(f"{byte:02X}" for byte in text)
    found = [text, bcd, text.hex().encode(), text.hex().upper().encode(), spaced.encode(),
             spaced.lower().encode(), bcd.hex(" ").upper().encode(), bcd.hex(" ").encode()]
    for lead in range(3):
        encoded = base64.b64encode(bytes(lead) + text)
        found.append(encoded[4 * bool(lead):][:12])
    return found


# What any of the forms looks like, at every place where it may begin.
LOOKS = [re.compile(rb"(?=(" + look + rb"))", re.S) for look in (
    rb"[0-9A-Za-z+/]{12}",                  # digits, and base64
    rb"(?:3[0-9]){12}",                     # digits in hex
    rb"(?:3[0-9] ){11}3[0-9]",
    rb"(?:[0-9]{2} ){5}[0-9]{2}",           # BCD in hex
    rb"[" + b"".join(re.escape(bytes.fromhex(f"{n:02}")) for n in range(100)) + rb"]{6}")]


def hidden(content, wanted):
    """Which of the wanted forms is in the content, or None."""
    for look in LOOKS:
        for match in look.finditer(content):
            if match[1] in wanted:
                return match[1]
    return None


class Secrets(Recording):
    """PINs in all kinds of commands, and a search everywhere afterwards."""

    def commands(self, pin, rng):
        text, bcd = pin.encode(), bytes.fromhex(pin)
        block = bytes([0x2C]) + bcd + b"\xFF"
        header = rng.choice([(0x00, 0x20, 0, 0x81), (0x00, 0x24, 0, 0x81), (0x00, 0x2C, 0, 0x81),
                             (0x00, 0x20, 0, 0x01), (0x00, 0x24, 1, 0x81), (0x00, 0x2C, 2, 0x81),
                             (0x10, 0x24, 0, 0x81), (0x10, 0x20, 0, 0x81), (0x0C, 0x20, 0, 0x81),
                             (0x00, 0x2D, 0, 0x81), (0x00, 0xDA, 1, 1), (0xB0, 0x42, 1, 0),
                             (0x80, 0x50, 0, 0), (0x00, 0xB2, 0, 0)])
        data = rng.choice([text, bcd, block, text + text[::-1], text.ljust(16, b"\xFF")])
        if rng.random() < 0.3:
            return bytes([*header, 0, 0, len(data)]) + data
        return bytes([*header, len(data)]) + data

    def dump(self, daemon, folder):
        """A core dump of the daemon; None, with a notice, where there is no way to one."""
        gcore = shutil.which("gcore")
        done = gcore and subprocess.run([gcore, "-o", folder / "core", str(daemon.program.pid)],
            capture_output=True, text=True, timeout=100)
        path = folder / f"core.{daemon.program.pid}"
        if not path.exists():
            print("the core dump is not looked through:",
                  done.stderr if done else "there is no gcore (package gdb)", file=sys.stderr)
            return None
        core = path.read_bytes()
        path.unlink()
        self.assertEqual(core[:4], b"\x7fELF")
        return core

    def look(self, places, pins):
        wanted = {form for pin in pins for form in forms(pin)}
        for form in forms(pins[0]):
            self.assertEqual(hidden(b"9f" + form + b"9f", wanted), form)
        for name, content in places.items():
            self.assertGreater(len(content), 300, name)
            self.assertIsNone(hidden(content, wanted), name)

    def test_nowhere(self):
        rng = random.Random(4)
        pins = ["".join(rng.choice("0123456789") for _ in range(12)) for _ in range(PINS)]
        for profile, protocol in (("extended", "t1"), ("tpdu", "t1"), ("tpdu", "t0"),
                                  ("character", "t1"), ("character", "t0")):
            with self.subTest(profile=profile, protocol=protocol):
                self.search(profile, protocol, pins, rng)

    def search(self, profile, protocol, pins, rng):
        folder = self.tmp / f"{profile}-{protocol}"
        folder.mkdir()
        env = {"LIBPCSCLITE_DELEGATE": str(SPY_LIBRARY), "HOME": str(folder)}
        vreader = VReader(self, name=f"v-{profile}-{protocol}", profile=profile, protocol=protocol)
        daemon = Pcscd(self, reader_entry("Virtual", vreader.device(), CCID_LIBRARY),
            name=f"d-{profile}-{protocol}", options=["--apdu"],
            env={"LIBCCID_ifdLogLevel": "15"})
        spy = Program(self, "pcsc-spy", [sys.executable, "-u", SPY], env=env)
        spy.wait_line("ready")
        client = Client(self, daemon, env=env)
        context = client.establish()
        handle = self.present(client, context, READER)
        capture = folder / "trace.pcapng"
        trace = Program(self, "trace", [PCSCCTL, "--socket", daemon.socket, "trace", READER,
            "--output", capture, "--apdu"])
        trace.wait_line("tracing")
        marker = "00A40400" + "08" + "4D41524B45524B45"
        for pin in pins:
            client.rv("transmit", handle, self.commands(pin, rng).hex())
        client.transmit(handle, marker)
        trace.wait_line("4D 41 52 4B 45 52 4B 45")
        client.disconnect(handle)
        client.release(context)
        spy.wait_line("SCardReleaseContext")
        path, _ = self.report(daemon)
        # Code that a sanitizer has instrumented keeps copies of its own, which nobody can wipe.
        core = None if harness.PRELOAD else self.dump(daemon, folder)
        client.stop()
        self.assertEqual(trace.stop(signal.SIGINT), 0)
        spy.stop()
        daemon.stop()
        places = {"log": daemon.program.text().encode(), "spy": spy.text().encode(),
            "trace": trace.text().encode(), "capture": capture.read_bytes(),
            "report": path.read_bytes()}
        if core:
            # Stacks are all but empty.
            places["core dump"] = re.sub(rb"\0{64,}", bytes(64), core)
            self.assertIn(bytes.fromhex(marker)[5:], core)
        # What is no secret is found: the search works.
        self.assertIn(bytes.fromhex(marker)[5:], places["capture"])
        self.assertIn(marker.encode(), places["report"])
        self.assertIn(b"4D 41 52 4B 45 52 4B 45", places["log"].upper())
        self.look(places, pins)


if __name__ == "__main__":
    unittest.main()
