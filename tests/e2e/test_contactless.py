# SPDX-License-Identifier: BSD-3-Clause
"""Contactless slots: tags of all kinds come and go at readers that hide the air, that are polled,
that have raw commands only, and that have a contact slot beside; which Escapes applications may send.

CARDWIRE_STORM=N has N tags in the storm (24); 1000 take half an hour."""

import json
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import threading
import time
import unittest

import ccidprofile
import harness
import ifdh
import winscard

GET_UID = "FFCA000000"
ATR_CLASSIC = "3b8f8001804f0ca000000306030001000000006a"
ATR_ULTRALIGHT = "3b8f8001804f0ca0000003060300030000000068"
ATR_A = "3b888001" + b"Cardwire".hex() + "34"
UID_CLASSIC = "43570c01"
LOAD_KEY = "FF82000006FFFFFFFFFFFF"
AUTHENTICATE = "FF860000050100046000"
READ = "FFB0000410"
ICC_TYPE = 0x90304
CHARACTERISTICS = 0x60150
CONTACTLESS = "08000000"
ESCAPE = 0x42000001
NAD = 0x42000E10
USB_PATH = 0x42000E11
TAG_CLIENT = 0x0FC1
# Short APDU level; everything automatic.
DESCRIPTOR = struct.pack("<BBHBBIIIBIIBIIIIIBBHBB", 54, 0x21, 0x0110, 0, 7, 3, 4000, 4000, 0, 10753,
    344086, 0, 254, 0, 0, 0x0002047A, 271, 0xFF, 0xFF, 0, 0, 1)
TAGS = int(os.environ.get("CARDWIRE_STORM", "24"))
PRECISE = "CARDWIRE_PRECISE" in os.environ  # the machine does nothing else
BY_NAME = "[virtual readers]\nMatchUsb=1209:0001\n"


def needs_program(name):
    return unittest.skipUnless(shutil.which(name), f"needs {name}")


def quirks(test, *lines):
    """A folder of quirk files for the virtual readers: the environment that names it."""
    folder = test.tmp / "quirks"
    folder.mkdir(exist_ok=True)
    (folder / "10-test.quirks").write_text(BY_NAME + "".join(f"{line}\n" for line in lines))
    return {"CARDWIRE_QUIRKS": str(folder)}


class Stack(harness.CardwireTest):
    profile = "contactless"
    reader = "Virtual 00 00"
    quirk_lines = ()

    loud = True  # the log tells each byte

    def setUp(self):
        super().setUp()
        self.vreader = harness.VReader(self, profile=self.profile, card="none")
        self.daemon = harness.Pcscd(self, harness.reader_entry("Virtual", self.vreader.device(),
            harness.CCID_LIBRARY), options=["--apdu"] if self.loud else [],
            verbosity="--debug" if self.loud else "--error", env=quirks(self, *self.quirk_lines)
            | {"LIBCCID_ifdLogLevel": "15" if self.loud else "1"})
        self.client = harness.Client(self, self.daemon)
        self.context = self.client.establish()

    def insert(self, tag, where="0", *options):
        self.vreader.ctl("insert", where, tag, *options)

    def connect(self, atr=None):
        _, seen = self.client.wait_state(self.context, self.reader, winscard.STATE_PRESENT,
            winscard.STATE_MUTE)
        if atr is not None:
            self.assertEqual(seen.lower(), atr)
        return self.client.connect(self.context, self.reader)["handle"]

    def remove(self, where="0", reader=None):
        self.vreader.ctl("remove", where)
        self.client.wait_state(self.context, reader or self.reader, winscard.STATE_EMPTY)

    def expect(self, handle, command, answer):
        self.assertEqual(self.client.transmit(handle, command).lower(), answer)


class TagsMixin:
    """The same for readers that serve pseudo APDUs and for those whose driver does."""

    def test_memory_with_keys(self):
        self.insert("tag-classic")
        handle = self.connect(ATR_CLASSIC)
        self.expect(handle, GET_UID, UID_CLASSIC + "9000")
        self.expect(handle, READ, "6982")
        self.expect(handle, LOAD_KEY, "9000")
        self.expect(handle, AUTHENTICATE, "9000")
        self.expect(handle, READ, "00" * 16 + "9000")
        self.expect(handle, "FFD6000410" + "5a" * 16, "9000")
        self.expect(handle, READ, "5a" * 16 + "9000")
        self.expect(handle, "00A4040000", "6a81")
        # Keys are in no log, however much it tells.
        self.daemon.program.wait_line("FF 82")
        self.daemon.program.wait_line("SW: 6A 81")
        self.assertEqual(self.daemon.program.count("(?i)(ff ?){6}"), 0)

    def test_memory_without_keys(self):
        self.insert("tag-ultralight")
        handle = self.connect(ATR_ULTRALIGHT)
        self.expect(handle, "FFD600040401020304", "9000")
        self.expect(handle, "FFB0000404", "010203049000")

    def test_commands(self):
        self.insert("tag-a")
        handle = self.connect(ATR_A)
        self.expect(handle, "80EC0000020708" + "00", "07089000")
        self.expect(handle, "FFCA010000", "4361726477697265" + "9000")
        long = bytes(i & 0xFF for i in range(1000)).hex()
        self.expect(handle, "80EC00000003E8" + long + "0000", long + "9000")
        self.client.reconnect(handle, winscard.SHARE_SHARED, winscard.PROTOCOL_ANY,
            winscard.RESET)
        self.expect(handle, "80EC0000020708" + "00", "07089000")

    def test_type_b(self):
        self.insert("tag-b")
        handle = self.connect("3b8880011122334400818100" + "4d")
        self.expect(handle, GET_UID, "43570b019000")
        self.expect(handle, "80EC0000020708" + "00", "07089000")

    def test_in_turn(self):
        for number, (tag, atr) in enumerate([("tag-classic", ATR_CLASSIC), ("tag-a", ATR_A),
                ("tag-ultralight", ATR_ULTRALIGHT), ("tag-classic", ATR_CLASSIC)]):
            uid = f"0102030{number}" if tag == "tag-classic" else f"0401020304050{number}"
            self.insert(tag, "0", f"uid={uid}")
            handle = self.connect(atr)
            self.expect(handle, GET_UID, uid + "9000")
            self.remove()
            self.assertNotEqual(self.client.rv("transmit", handle, GET_UID), "SCARD_S_SUCCESS")
            self.client.rv("disconnect", handle)

    def test_leaves_during_a_command(self):
        self.insert("tag-a")
        handle = self.connect()
        busy = self.client.start("transmit", handle, "80EE2710010100")
        self.daemon.program.wait_line("80 EE 27 10")
        began = time.monotonic()
        self.vreader.ctl("remove", "0")
        self.assertNotEqual(busy.rv(), "SCARD_S_SUCCESS")
        self.client.wait_state(self.context, self.reader, winscard.STATE_EMPTY)
        self.assertLess(time.monotonic() - began, 9)
        self.insert("tag-classic")
        self.client.rv("disconnect", handle)
        self.expect(self.connect(ATR_CLASSIC), GET_UID, UID_CLASSIC + "9000")

    def test_attributes(self):
        self.insert("tag-classic")
        handle = self.connect()
        self.assertEqual(self.client.attrib(handle, CHARACTERISTICS), CONTACTLESS)
        self.assertEqual(self.client.attrib(handle, ICC_TYPE), "05")


class Tags(TagsMixin, Stack):
    def test_removal_is_told_at_once(self):
        """By the reader's own message: nobody has to ask it."""
        self.insert("tag-classic")
        self.connect()
        state, _ = self.client.wait_state(self.context, self.reader, winscard.STATE_PRESENT)
        times = []
        for _ in range(10):
            waiting = self.client.start("status_change", self.context, 10000,
                [[self.reader, state & ~winscard.STATE_CHANGED]])
            before = self.transfers()
            began = time.monotonic()
            self.vreader.ctl("remove", 0)
            [[_, state, _]] = waiting.value()
            times.append(time.monotonic() - began)
            self.assertTrue(state & winscard.STATE_EMPTY)
            self.assertEqual(self.transfers(), (before[0], before[1] + 1))
            self.vreader.ctl("insert", 0, "tag-classic")
            state, _ = self.client.wait_state(self.context, self.reader, winscard.STATE_PRESENT)
        if PRECISE:
            self.assertLess(statistics.median(times), 0.02)

    def transfers(self):
        """(bulk, interrupt) so far."""
        stats = self.vreader.stats()
        return stats["bulk_out"] + stats["bulk_in"], stats["interrupt"]


class TagsPolled(TagsMixin, Stack):
    profile = "contactless-polled"


class TagsTpdu(TagsMixin, Stack):
    """A reader at TPDU level, whose blocks of T=1 carry commands for the tag and for itself."""

    @property
    def profile(self):
        return ccidprofile.write(self.tmp / "tpdu.json", ccidprofile.interface(
            features=ccidprofile.TPDU | ccidprofile.AUTOMATIC, iProduct="Contactless Reader",
            contactless_slots=1))


class TagsSlowToFind(Stack):
    """A reader that searches its field for most of a second before it says that it is empty."""
    profile = "contactless-polled"

    def setUp(self):
        super().setUp()
        script = self.tmp / "slow.fault"
        script.write_text("on GetSlotStatus * delay 900\n")
        self.vreader.ctl("faults", "0", script)

    def test_in_turn(self):
        for tag, atr in (("tag-classic", ATR_CLASSIC), ("tag-ultralight", ATR_ULTRALIGHT)):
            self.insert(tag)
            handle = self.connect(atr)
            self.assertEqual(self.client.transmit(handle, GET_UID)[-4:], "9000")
            self.remove()
            self.client.rv("disconnect", handle)
        self.assertEqual(self.daemon.program.count("error|failed"), 0)


class TagsRaw(TagsMixin, Stack):
    """Only the chip's commands: finding tags, ATR and pseudo APDUs are the driver's work."""
    profile = "contactless-raw"
    reader = "Virtual [Contactless] 00 00"
    quirk_lines = ("contactless-dialect=pn532",)

    def test_transparent_session(self):
        self.insert("tag-ultralight")
        handle = self.connect()
        self.expect(handle, "FFC2000104" + "95023004", "c003016985" + "9000")
        self.expect(handle, "FFC2000002" + "8100", "c003009000" + "9000")
        self.expect(handle, "FFC2000104" + "95023000",
            "c003009000" + "920100" + "9710" + "0443570d010280" + "00" * 9 + "9000")
        self.expect(handle, "FFC2000002" + "8200", "c003009000" + "9000")
        self.expect(handle, "FFB0000404", "000000009000")


class Dual(Stack):
    profile = "dual"
    quirk_lines = ("contactless-slots=1",)
    reader = "Virtual [Contactless] 00 01"
    contact = "Virtual 00 00"

    def test_names_and_attributes(self):
        self.assertEqual(sorted(self.client.list_readers(self.context)),
            sorted([self.contact, self.reader]))
        self.insert("iso", "0.0")
        self.insert("tag-classic", "0.1")
        handle = self.connect(ATR_CLASSIC)
        self.assertEqual(self.client.attrib(handle, CHARACTERISTICS), CONTACTLESS)
        contact = self.present(self.client, self.context, self.contact)
        self.assertEqual(self.client.attrib(contact, CHARACTERISTICS), "00000000")
        self.assertEqual(self.client.attrib(contact, ICC_TYPE), "01")

    CARD_S = 2.0

    def tags_beside_card(self, card):
        """Whether tags could be spoken to, come and go before the card can have answered."""
        self.insert("tag-classic", "0.1")
        tag = self.connect(ATR_CLASSIC)
        began = time.monotonic()
        busy = self.client.start("transmit", card,
            f"80EE{int(self.CARD_S * 1000):04X}020708" + "00")
        self.expect(tag, GET_UID, UID_CLASSIC + "9000")
        self.remove("0.1")
        self.insert("tag-ultralight", "0.1")
        tag = self.connect(ATR_ULTRALIGHT)
        self.expect(tag, "FFB0000404", "000000009000")
        took = time.monotonic() - began
        self.assertEqual(busy.value(), "07089000")
        self.client.disconnect(tag)
        self.remove("0.1")
        return took < self.CARD_S

    def test_at_the_same_time(self):
        self.insert("iso", "0.0")
        card = self.present(self.client, self.context, self.contact)
        # A machine that is busy elsewhere may let the time pass in between.
        self.assertTrue(any(self.tags_beside_card(card) for _ in range(5)))


class TwoInterfaces(harness.CardwireTest):
    """A device of two interfaces, one for cards and one for tags, which says so in its name."""

    def stack_of(self, *quirk_lines):
        path = self.tmp / "two.json"
        path.write_text(json.dumps([{"file": "two", "vid": "1209", "pid": "0001",
            "bcdDevice": "0100", "iManufacturer": "Cardwire", "iProduct": "Two", "iInterface": name,
            "contactless_slots": slots, "ccid_descriptor_hex": DESCRIPTOR.hex(),
            "interface": {"bInterfaceNumber": number, "bInterfaceClass": 11,
                "bInterfaceSubClass": 0, "bInterfaceProtocol": 0, "bNumEndpoints": 3}}
            for number, name, slots in ((0, "Contact Reader", 0), (1, "Reader-CL", 1))]))
        vreader = harness.VReader(self, profile=path, card="none")
        conf = "".join(harness.reader_entry(name, f"{vreader.device()}:1.{number}",
            harness.CCID_LIBRARY) for number, name in ((0, "Contact"), (1, "Tags")))
        daemon = harness.Pcscd(self, conf, env=quirks(self, *quirk_lines))
        client = harness.Client(self, daemon)
        return vreader, daemon, client, client.establish()

    def await_running(self, daemon):
        """Returns when the daemon says that a command runs at the first reader."""
        deadline = time.monotonic() + 20
        running = None
        while not running:
            self.assertLess(time.monotonic(), deadline)
            report = subprocess.check_output([harness.BUILD / "bin/pcscctl", "--socket",
                                              daemon.socket, "who", "--json"])
            running = json.loads(report)["readers"][0]["running"]

    def both(self, *quirk_lines):
        """A card in the one interface and a tag at the other."""
        vreader, daemon, client, context = self.stack_of(*quirk_lines)
        vreader.ctl("insert", "0.0", "iso")
        vreader.ctl("insert", "0.1", "tag-classic")
        card = self.present(client, context, "Contact 00 00")
        tag = self.present(client, context, "Tags 01 00")
        self.assertEqual(client.attrib(card, CHARACTERISTICS), "00000000")
        self.assertEqual(client.attrib(tag, CHARACTERISTICS), CONTACTLESS)
        return daemon, client, card, tag

    CARD_S = 1.5

    def tag_beside_card(self, daemon, client, card, tag):
        """Whether the tag has answered before the card can have, which began before it."""
        began = time.monotonic()
        busy = client.start("transmit", card, f"80EE{int(self.CARD_S * 1000):04X}020708" + "00")
        self.await_running(daemon)
        self.assertEqual(client.transmit(tag, GET_UID), UID_CLASSIC + "9000")
        took = time.monotonic() - began
        self.assertEqual(busy.value(), "07089000")
        return took < self.CARD_S

    def test_at_the_same_time(self):
        cards = self.both()
        # A machine that is busy elsewhere may let the time pass in between.
        self.assertTrue(any(self.tag_beside_card(*cards) for _ in range(5)))

    def test_taking_turns(self):
        self.assertFalse(self.tag_beside_card(*self.both("interfaces-take-turns=yes")))


class DualExclusive(Dual):
    """One slot at a time has power: the other's card waits, and works when its turn has come."""
    profile = "dual-exclusive"
    test_at_the_same_time = None

    def test_names_and_attributes(self):
        self.assertEqual(sorted(self.client.list_readers(self.context)),
            sorted([self.contact, self.reader]))

    def test_one_after_the_other(self):
        self.insert("iso", "0.0")
        card = self.present(self.client, self.context, self.contact)
        self.assertEqual(self.client.transmit(card, "80EC0000020708" + "00"), "07089000")
        self.insert("tag-classic", "0.1")
        self.client.wait_state(self.context, self.reader, winscard.STATE_PRESENT)
        self.assertNotEqual(self.client.rv("connect", self.context, self.reader),
            "SCARD_S_SUCCESS")
        self.assertEqual(self.client.transmit(card, "80EC0000020708" + "00"), "07089000")
        self.client.disconnect(card, winscard.UNPOWER)
        handle = self.client.connect(self.context, self.reader)["handle"]
        self.expect(handle, GET_UID, UID_CLASSIC + "9000")
        self.client.disconnect(handle, winscard.UNPOWER)
        card = self.client.connect(self.context, self.contact)["handle"]
        self.assertEqual(self.client.transmit(card, "80EC0000020708" + "00"), "07089000")


class Storm(Stack):
    """Tags that stay for 50 ms to 2 s while applications speak to them: memory tags and tags with
    commands in turn. The reader needs some time for each answer, so that most tags leave during an
    exchange, some answers come after their tag has left, and the machine has time left to measure
    by. For the same reason the log is quiet: a pipe that nobody empties holds up who writes to it."""
    LONGEST_S = 2.0 if TAGS >= 100 else 0.3
    READER_MS = 5  # what the reader needs for each answer
    ECHO_MS = 10   # what a tag needs for some of them
    LATENCY_S = 0.02
    loud = False
    tags = TAGS

    def setUp(self):
        super().setUp()
        script = self.tmp / "slow.fault"
        script.write_text(f"on {self.slow} * delay {self.READER_MS}\n")
        self.vreader.ctl("faults", "0", script)
        self.in_field = {}  # UID: when it came at the earliest, and left at the latest
        self.wrong, self.good = [], []
        self.spoken = {}  # UID: an application has had an answer of it
        self.cut = []  # UIDs of tags that have left during an exchange or before it

    slow = "XfrBlock"

    def judge(self, first, answer, began, ended):
        """An answer is right when its tag was there while it was asked, and is the one before's."""
        came, left = self.in_field.get(answer[:-4], (ended + 1, 0))
        if answer[-4:] != "9000" or answer != first or came > ended or left < began:
            self.wrong.append((first, answer))
        else:
            self.good.append(answer)
            self.spoken[answer[:-4]].set()

    def judge_echo(self, first, answer):
        """Each second tag has commands."""
        if answer != ("6a81" if int(first[:-4], 16) % 2 else "07089000"):
            self.wrong.append((first, answer))

    def speak(self, client, handle):
        """With one tag, until it has left."""
        first = None
        while True:
            began = time.monotonic()
            rv, answer = client.start("transmit", handle, GET_UID).result()
            if rv != 0:
                break
            first = first or answer
            self.judge(first, answer, began, time.monotonic())
            rv, answer = client.start("transmit", handle,
                f"80EE{self.ECHO_MS:04x}02070800").result()
            if rv != 0:
                break
            self.judge_echo(first, answer)
        if first:
            self.cut.append(first[:-4])

    def talk(self, stop):
        client = harness.Client(self, self.daemon)
        context = client.establish()
        while not stop.is_set():
            rv, value = client.start("connect", context, self.reader).result()
            if rv != 0:
                client.start("status_change", context, 100, [[self.reader,
                    winscard.STATE_EMPTY]]).result()
                continue
            self.speak(client, value["handle"])
            client.start("disconnect", value["handle"]).result()

    def present(self, number, rng, stop):
        """Has a tag in the field for a while; how long its removal took to be told."""
        uid = f"{number:08x}"
        self.in_field[uid] = (time.monotonic(), float("inf"))
        self.spoken[uid] = threading.Event()
        kind = "tag-classic" if number % 2 else "tag-a"
        self.vreader.ctl("insert", 0, kind, f"uid={uid}")
        self.client.wait_state(self.context, self.reader, winscard.STATE_PRESENT)
        stop.wait(rng.uniform(0.05, self.LONGEST_S))
        # On a busy machine the applications may not have had their turn yet.
        self.spoken[uid].wait(harness.CALL_S)
        began = time.monotonic()
        self.vreader.ctl("remove", 0)
        self.in_field[uid] = (self.in_field[uid][0], time.monotonic())
        self.client.wait_state(self.context, self.reader, winscard.STATE_EMPTY)
        return time.monotonic() - began

    def test_storm(self):
        rng = random.Random(7)
        stop = threading.Event()
        talkers = [threading.Thread(target=self.talk, args=(stop,)) for _ in range(2)]
        for thread in talkers:
            thread.start()
        try:
            times = [self.present(i, rng, stop) for i in range(1, self.tags + 1)]
        finally:
            stop.set()
            for thread in talkers:
                thread.join(harness.CALL_S)
        times.sort()
        shares = ", ".join(f"{share} %: {times[(len(times) * share - 1) // 100] * 1000:.1f} ms"
            for share in (50, 95, 100))
        print(f"{self.tags} tags, {len(self.good)} answers, {len(self.cut)} cut off; "
            f"removal told after {shares}", file=sys.stderr)
        self.assertEqual(self.wrong, [])
        self.assertTrue(all(event.is_set() for event in self.spoken.values()))
        self.assertEqual(set(self.cut), set(self.spoken))
        if PRECISE:
            self.assertLess(times[-1], self.READER_MS / 1000 + self.LATENCY_S)
        # The slot is as good as new.
        self.insert("tag-a")
        self.expect(self.connect(ATR_A), "80EC0000020708" + "00", "07089000")


class StormRaw(Storm):
    """The driver looks for tags itself, when the daemon asks it: every 400 ms."""
    profile = "contactless-raw"
    reader = "Virtual [Contactless] 00 00"
    quirk_lines = ("contactless-dialect=pn532",)
    slow = "Escape"
    LATENCY_S = 0.42
    tags = TAGS // 3


class Run(harness.CardwireTest):
    """A tag from the start, for one command."""

    @needs_program("opensc-tool")
    def test_run(self):
        for card, atr in (("tag-classic", ATR_CLASSIC), ("iso", ATR_A)):
            done = subprocess.run([harness.VREADER, "run", "--profile", "contactless", "--card", card,
                "--pcscd", harness.PCSCD, "--driver", harness.CCID_LIBRARY, "--", "opensc-tool", "-a"],
                capture_output=True, text=True, timeout=60, env={**os.environ,
                    "LD_LIBRARY_PATH": str(harness.LIBRARIES["ours"].parent)})
            self.assertEqual(done.stdout.strip().replace(":", ""), atr, done.stderr)


class Programs(Stack):
    @needs_program("pcsc_scan")
    def test_scan_knows_the_atr(self):
        self.insert("tag-classic")
        self.connect(ATR_CLASSIC)
        scan = harness.Program(self, "pcsc_scan", ["stdbuf", "-oL", "pcsc_scan"],
            env=harness.client_env(self.daemon, "ours"))
        scan.wait_line("ATR: 3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 01")
        scan.wait_line("PC/SC|RID|Mifare|MIFARE|ISO 14443")
        scan.stop()

    @needs_program("scriptor")
    def test_scriptor_reads_a_tag(self):
        self.insert("tag-ultralight")
        handle = self.connect(ATR_ULTRALIGHT)
        self.expect(handle, "FFD6000404" + b"wire".hex(), "9000")
        self.client.disconnect(handle)
        script = self.tmp / "script"
        script.write_text("FF CA 00 00 00\nFF B0 00 04 04\n")
        printed = harness.run_tool(self.daemon, "ours", "scriptor", "-r", self.reader, script)
        self.assertRegex(printed.upper(), r"04 43 57 0D 01 02 80 90 00")
        self.assertRegex(printed.upper(), r"77 69 72 65 90 00")


class Escapes(harness.CardwireTest):
    """The driver called directly, so that who asks can be chosen."""

    def slot(self, *lines, profile="extended"):
        os.environ |= quirks(self, *lines)
        self.addCleanup(os.environ.pop, "CARDWIRE_QUIRKS", None)
        self.vreader = harness.VReader(self, profile=profile)
        for command, answer in (("02", "56312e30"), ("1f01", "00"), ("1f02", "-")):
            self.vreader.ctl("escape", "0", command, answer)
        slot = ifdh.Slot(ifdh.Handler(harness.CCID_LIBRARY), 0, self.vreader.device())
        self.assertEqual(slot.opened, ifdh.SUCCESS)
        self.addCleanup(slot.close)
        return slot

    def test_closed_unless_opened(self):
        slot = self.slot()
        self.assertEqual(slot.control(ESCAPE, b"\x02")[0], ifdh.COMMUNICATION_ERROR)
        self.assertEqual(slot.set(TAG_CLIENT, struct.pack("=I", 0)), ifdh.SUCCESS)
        self.assertEqual(slot.control(ESCAPE, b"\x02")[0], ifdh.COMMUNICATION_ERROR)
        self.assertNotIn(ESCAPE.to_bytes(4, "big"), slot.control(0x42000D48)[1])

    def test_by_opcode(self):
        slot = self.slot("escape-allow=02, 1F 02")
        self.assertEqual(slot.control(ESCAPE, b"\x02"), (ifdh.SUCCESS, b"V1.0"))
        self.assertEqual(slot.control(ESCAPE, b"\x1f\x02"), (ifdh.SUCCESS, b""))
        self.assertEqual(slot.control(ESCAPE, b"\x1f\x01")[0], ifdh.COMMUNICATION_ERROR)
        self.assertEqual(slot.control(ESCAPE, b"\x1f")[0], ifdh.COMMUNICATION_ERROR)
        self.assertEqual(slot.control(ESCAPE, b"")[0], ifdh.COMMUNICATION_ERROR)
        self.assertIn(ESCAPE.to_bytes(4, "big"), slot.control(0x42000D48)[1])

    def test_by_client(self):
        slot = self.slot("escape-allow=02", "escape-allow-root=all", "escape-users=999 1000",
            "escape-allow-users=1F 02")
        refused, light, update = (ifdh.COMMUNICATION_ERROR, b""), (ifdh.SUCCESS, b""), (
            ifdh.SUCCESS, b"\0")
        for user, codes in ((None, (refused, refused)), (0, (light, update)),
                (1000, (light, refused)), (1001, (refused, refused))):
            if user is not None:
                self.assertEqual(slot.set(TAG_CLIENT, struct.pack("=I", user)), ifdh.SUCCESS)
            self.assertEqual((slot.control(ESCAPE, b"\x1f\x02"), slot.control(ESCAPE, b"\x1f\x01")),
                codes, user)
            self.assertEqual(slot.control(ESCAPE, b"\x02"), (ifdh.SUCCESS, b"V1.0"))
        # What names nobody is nobody.
        self.assertEqual(slot.set(TAG_CLIENT, b"\0"), ifdh.SUCCESS)
        self.assertEqual(slot.control(ESCAPE, b"\x1f\x01"), refused)

    def test_where_it_is(self):
        slot = self.slot()
        self.assertEqual(slot.control(USB_PATH), (ifdh.SUCCESS, b"1-1:1.0\0"))

    def test_node_address(self):
        slot = self.slot(profile="tpdu")
        self.assertEqual(slot.control(NAD, b"\x3f\0\0"), (ifdh.SUCCESS, b"\x3f\0\x02\0\0"))
        self.assertEqual(slot.control(NAD, b"\x3e\0\x01\x12"), (ifdh.SUCCESS, b"\x3e\0\x01\0"))
        self.assertEqual(slot.control(NAD, b"\x3e\0\x01\x92"), (ifdh.SUCCESS, b"\x3e\0\x01\x01"))
        self.assertEqual(slot.control(NAD, b"\x3e\0\x01\x11"), (ifdh.SUCCESS, b"\x3e\0\x01\x01"))
        self.assertEqual(slot.control(NAD, b"\x3f\0\0"), (ifdh.SUCCESS, b"\x3f\0\x02\0\x12"))
        self.assertNotEqual(slot.control(NAD, b"\x3f\0")[0], ifdh.SUCCESS)
        self.assertEqual(slot.presence(), ifdh.ICC_PRESENT)
        self.assertEqual(slot.power()[0], ifdh.SUCCESS)
        self.assertEqual(slot.set_protocol(1), ifdh.SUCCESS)
        self.assertEqual(slot.transmit(bytes.fromhex("80EC000002070800")),
            (ifdh.SUCCESS, bytes.fromhex("07089000")))


class EscapesThroughTheDaemon(Stack):
    profile = "contactless"
    quirk_lines = ("escape-allow=02", "escape-allow-root=03")

    def test_daemon_says_who_asks(self):
        for command in ("02", "03", "04"):
            self.vreader.ctl("escape", "0", command, "90" + command)
        direct = self.client.connect(self.context, self.reader, winscard.SHARE_DIRECT, 0)["handle"]
        self.assertEqual(self.client.control(direct, ESCAPE, "02"), "9002")
        if os.geteuid() == 0:
            self.assertEqual(self.client.control(direct, ESCAPE, "03"), "9003")
        else:
            self.assertNotEqual(self.client.rv("control", direct, ESCAPE, "03"),
                "SCARD_S_SUCCESS")
        self.assertNotEqual(self.client.rv("control", direct, ESCAPE, "04FF"), "SCARD_S_SUCCESS")
        # The refusal says what opens it, and does not repeat what may be a secret.
        line = self.daemon.program.wait_line("Escape 04.*refused.*escape-allow=04").string
        self.assertNotIn("04FF", line)
