# SPDX-License-Identifier: BSD-3-Clause
"""The quirk files, case by case: a virtual reader does what the real one does wrong. Without the files
the fault shows, with them the reader works. And what the driver's general recovery does alone: cases
for which there is no section (any more).
"""

import json
import os
import re
import shutil
import struct
import subprocess
import threading
import time
import unittest

import ccidprofile
import harness
import ifdh

QUIRKS = harness.SOURCE / "quirks"
CTL = harness.BUILD / "bin/pcscctl"
CEILING_S = 2
FEATURES = 0x42000D48
ESCAPE = 0x42000001
TAG_NAME = 0x0FC3
TPDU, SHORT, EXTENDED = ccidprofile.TPDU, ccidprofile.SHORT_APDU, ccidprofile.EXTENDED_APDU
# All that a reader does by itself, without negotiation (40h): the driver sends its parameters.
PARAMETERS = 0x000000BA
PLAIN = 0x0000003A  # and without PPS (80h)
# A reader that can't tell whether there is a card, neither when asked nor by itself.
BLIND = "on GetSlotStatus * set 7 2\non NotifySlotChange * drop"
ECHO = bytes.fromhex("80EC0000040102030400")
ECHOED = bytes.fromhex("010203049000")


def described(features, message, slots=1, **fields):
    """A class descriptor; fields by offset and format."""
    descriptor = bytearray(bytes.fromhex(ccidprofile.interface(features=features, message=message,
        slots=slots)["ccid_descriptor_hex"]))
    for place, value in fields.items():
        offset, form = {"pin": (52, "<B"), "rate": (23, "<I")}[place]
        struct.pack_into(form, descriptor, offset, value)
    return descriptor.hex()


def reader(number, bcd="0100", features=EXTENDED | ccidprofile.AUTOMATIC, message=271, shows=None,
        interface_class=11, interface=0, slots=1, **fields):
    """A profile: what the reader does, and what it shows instead (features, message)."""
    profile = ccidprofile.interface(number=interface, slots=slots, features=features,
        message=message)
    profile["vid"], profile["pid"] = number.split(":")
    profile["bcdDevice"] = bcd
    profile["interface"]["bInterfaceClass"] = interface_class
    profile["ccid_descriptor_hex"] = described(features, message, slots, **fields)
    if shows:
        profile["shown_descriptor_hex"] = described(*shows)
    return profile


class Case:
    """One fault: the reader, its faults, what it answers to Escapes, and how one sees that it works.

    works(test, slot, vreader, protocol) is true when it does.
    """

    def __init__(self, profile, works=None, faults="", escapes=(), protocol=1, card=(), options=0,
            language="C", slot=0, device="1-1"):
        self.profiles = profile if isinstance(profile, list) else [profile]
        self.works = works or echoes
        self.faults = faults
        self.escapes = escapes
        self.protocol = protocol
        self.card = card
        self.options = options
        self.language = language
        self.slot = slot
        self.device = device

    def name(self):
        return f"{self.profiles[0]['vid']}:{self.profiles[0]['pid']} {self.profiles[0]['bcdDevice']}"


def connected(slot, protocol):
    """As a host does it: it looks for a card until it sees one."""
    deadline = time.monotonic() + 8
    while slot.opened == 0 and slot.presence() == ifdh.RESPONSE_TIMEOUT:
        if time.monotonic() > deadline:
            return False
    return (slot.opened == 0 and slot.presence() == ifdh.ICC_PRESENT and slot.power()[0] == 0
        and slot.set_protocol(protocol) == 0)


def echoes(test, slot, vreader, protocol):
    return connected(slot, protocol) and slot.transmit(ECHO, protocol) == (0, ECHOED)


def gives(length):
    """The card's test command that answers so many bytes."""
    def works(test, slot, vreader, protocol):
        data = bytes((i ^ i >> 8) & 0xFF for i in range(length)) + b"\x90\x00"
        command = bytes([0x80, 0xED, length >> 8, length & 0xFF, 0])
        return connected(slot, protocol) and slot.transmit(command, protocol) == (0, data)
    return works


def writes(length):
    """A command with so much data, to a file of the card."""
    def works(test, slot, vreader, protocol):
        command = bytes.fromhex("00D6000000") + length.to_bytes(2, "big") + bytes(length)
        return (connected(slot, protocol)
            and slot.transmit(bytes.fromhex("00A4080C0450005002"), protocol) == (0, b"\x90\x00")
            and slot.transmit(command, protocol) == (0, b"\x90\x00"))
    return works


def opens(test, slot, vreader, protocol):
    return slot.opened == 0


def is_refused(test, slot, vreader, protocol):
    return slot.opened != 0


def is_present(test, slot, vreader, protocol):
    return slot.opened == 0 and slot.presence() == ifdh.ICC_PRESENT


def notices(test, slot, vreader, protocol):
    """A card that comes after the reader was opened."""
    vreader.ctl("remove", 0)
    test.assertEqual(slot.presence(), ifdh.ICC_NOT_PRESENT)
    vreader.ctl("insert", 0)
    return slot.presence() == ifdh.ICC_PRESENT


def notices_by_power(test, slot, vreader, protocol):
    """A card that is there, goes and comes, by a reader that can't tell."""
    if not echoes(test, slot, vreader, protocol):
        return False
    vreader.ctl("remove", 0)
    test.assertNotEqual(slot.power()[0], 0)
    test.assertEqual(slot.presence(), ifdh.ICC_NOT_PRESENT)
    vreader.ctl("insert", 0)
    return echoes(test, slot, vreader, protocol)


def same_atr_twice(test, slot, vreader, protocol):
    slot.presence()
    first, second = slot.power(), slot.power()
    return first[0] == 0 and first == second


def has_no_pin_pad(test, slot, vreader, protocol):
    code, features = slot.control(FEATURES)
    test.assertEqual(code, 0)
    return 6 not in features[::6] and 7 not in features[::6]


def escapes(command):
    def works(test, slot, vreader, protocol):
        return slot.control(ESCAPE, bytes.fromhex(command)) == (0, b"\xAB")
    return works


def tells_who_it_is(test, slot, vreader, protocol):
    if not connected(slot, protocol):
        return False
    return [slot.transmit(bytes([0xFF, 0x9A, 1, which, 0]), protocol)[1] for which in (1, 3, 6, 7)] \
        == [b"KOBIL systems\x90\x00", b"IDToken\x90\x00", b"1.02\x90\x00", b"2012.2.7\x90\x00"]


def control_requests(vreader):
    return int(re.search(r"control (\d+)", vreader.ctl("stats", 0)).group(1))


def is_switched(test, slot, vreader, protocol):
    """More control requests than without the files."""
    test.assertNotEqual(slot.opened, 0)
    before, test.requests = getattr(test, "requests", None), control_requests(vreader)
    return before is not None and test.requests > before


def chained(number, bcd="0100"):
    """Says short APDU, but gives the response in parts of 128."""
    return Case(reader(number, bcd, EXTENDED | ccidprofile.AUTOMATIC, 138,
        shows=(SHORT | ccidprofile.AUTOMATIC, 271)), gives(240))


def stuck(number, bcd, **more):
    """An answer that fills its last packet is never sent."""
    return Case(reader(number, bcd, TPDU | PARAMETERS, **more), gives(48), "on XfrBlock * drop-full")


def old_class(number, bcd="9000"):
    return Case(reader(number, bcd, interface_class=255))


def no_pin_pad(number):
    return Case(reader(number, "9000", pin=3), has_no_pin_pad)


def no_ifsd(number, bcd):
    return Case(reader(number, bcd, TPDU | PARAMETERS), echoes, "on XfrBlock * if 00C1 disappear")


CASES = [
    # 50-scm
    *(old_class(f"04E6:{pid}") for pid in
        ("5111", "511A", "5120", "5121", "512B", "512C", "5291", "5292", "E003")),
    stuck("04E6:E001", "0515"), stuck("04E6:5111", "061F"), stuck("04E6:5115", "0513"),
    stuck("04E6:5117", "0521"), stuck("04E6:E003", "050F", interface_class=11),
    *(Case(reader(f"04E6:{pid}", "9000"), notices, "on NotifySlotChange * drop")
        for pid in ("E001", "E003", "5111", "5115", "5117")),
    # 50-gemalto
    *(old_class(f"08E6:{pid}") for pid in ("1359", "ACE0", "2202")),
    Case(reader("08E6:3437", features=SHORT | ccidprofile.AUTOMATIC,
        shows=(TPDU | ccidprofile.AUTOMATIC, 271)), echoes, escapes=[("1F02", "-")], options=2),
    Case(reader("08E6:3438", features=SHORT | ccidprofile.AUTOMATIC,
        shows=(TPDU | ccidprofile.AUTOMATIC, 271)), echoes, escapes=[("1F02", "-")], options=2),
    *(Case(reader(number), echoes, "on IccPowerOn * until 1F01 fail 0xBB", [("1F01", "-")])
        for number in ("08E6:4433", "046A:0005")),
    Case(reader("08E6:3480"), notices_by_power, BLIND),
    *(Case(reader(f"08E6:{pid}", "0100", TPDU | PLAIN, slots=2, rate=500000), echoes,
        "on SetParameters * if 96 disappear", card=["ta1=96"], slot=1) for pid in ("3479",)),
    Case(reader("08E6:34D2"), echoes, "on XfrBlock * delay 2500"),
    Case(reader("08E6:5503"), escapes("52F804010001"), escapes=[("52F8", "AB")]),
    Case(reader("08E6:5503"), escapes("02"), escapes=[("02", "AB")]),
    Case(reader("08E6:9999"), escapes("02"), escapes=[("02", "AB")]),
    # The display shows German: nothing works before it does.
    *(Case(reader(number), echoes, "on IccPowerOn * until B2A0004D4C50494E2065 fail 0xFB",
        [("B2A0004D4C", "-")], language="de_DE.UTF-8") for number in ("08E6:3478", "0982:0008")),
    *(Case(reader(number), echoes, "on IccPowerOn * until B500 fail 0xFB",
        [("B2A0004D4C", "-"), ("B500", "-")], options=0x40)
        for number in ("08E6:3478", "0982:0008")),
    # 50-omnikey
    *(chained(number) for number in
        ("076B:3A21", "076B:3031", "076B:6632", "046A:00A7", "0BF8:1024")),
    *(no_pin_pad(number) for number in
        ("076B:3A21", "076B:3031", "076B:6632", "046A:00A7", "0BF8:1024")),
    Case(reader("076B:5427"), escapes("0102"), escapes=[("01", "AB")]),
    # 50-o2micro
    *(Case(reader(number, features=0x30), echoes, "on XfrBlock * if FF disappear", protocol=0,
        card=["ta1=94"]) for number in ("0B97:7762", "0B97:7772")),
    # 50-alcor
    Case(reader("058F:9540", features=EXTENDED | PARAMETERS), echoes,
        "on SetParameters * if 96 disappear", card=["ta1=96"]),
    Case(reader("058F:9540", features=EXTENDED | PARAMETERS), echoes,
        "on SetParameters * fail 0xFB"),
    # 50-cherry
    old_class("046A:003E"), chained("046A:00A1"),
    # 50-keyboards
    old_class("413C:2100"),
    *(no_pin_pad(number) for number in ("03F0:1024", "03F0:0036", "0BF8:1017", "04F2:1469")),
    # 50-kobil
    Case(reader("0D46:3010", features=SHORT | ccidprofile.AUTOMATIC, message=536,
        shows=(EXTENDED | ccidprofile.AUTOMATIC, 536)), writes(300), protocol=0),
    Case(reader("0D46:301D", "0102"), same_atr_twice,
        "on IccPowerOn 2-99 unless-after IccPowerOff data 3B00"),
    Case(reader("0D46:301D", "0102"), tells_who_it_is),
    Case(reader("0D46:4081", interface_class=8), is_switched),
    # 50-tokens
    no_ifsd("0529:0620", "0012"), no_ifsd("0529:0620", "0013"),
    old_class("0973:0003"), old_class("1A74:6354"), old_class("1A74:6356"),
    # 50-others
    old_class("09BE:0002"), no_pin_pad("0783:0006"), no_pin_pad("25DD:3111"), chained("2F7C:6007"),
    no_ifsd("0B0C:0050", "0100"),
    Case(reader("0424:1202", interface=1), is_present, BLIND),
]

# Not opened below a version (the first that is, then any below it).
REFUSED = {
    "04E6:5291": "0112", "058F:9520": "0102", "072F:2200": "0206", "03F0:0036": "0124",
    "0D46:3001": "0037", "0D46:3002": "0037", "0DC3:0900": "0200", "09C3:0008": "0203",
    "0DC3:1004": "0502", "0DC3:1102": "0607", "08C3:0402": "5000", "08C3:0401": "5000",
    "062D:0001": "0102",
}

NEVER = ("076B:532A", "076B:5340", "0A5C:5844", "0A5C:5845", "0A5C:5866", "0A5C:5867", "0C4B:0300",
    "0C4B:0500", "1A6F:0104", "1DB2:0600", "1DB2:0604")


def behind_endpoints(profile):
    profile["descriptor_location"] = {"where": "last_endpoint_extra"}
    return profile


def raw(profile, descriptor):
    profile["shown_descriptor_hex"] = descriptor
    return profile


# What needs no section, since the driver does without.
GENERAL = {
    "class descriptor behind the endpoints, as of the bludrive II":
        Case(behind_endpoints(reader("1B0E:1078", "0010", TPDU | PLAIN))),
    "the second of two interfaces, answers in several transfers, as of the BCM5880":
        Case(reader("0A5C:5800", "0101", SHORT | ccidprofile.AUTOMATIC, interface=1), gives(178),
            "on XfrBlock * split 64"),
    "class descriptor behind the endpoints and character level, as of the OZ776":
        Case(behind_endpoints(reader("0B97:7762", features=0x30)), gives(200), protocol=0),
    "answers of whole packets without an end, as of the OZ776":
        Case(reader("0B97:7762", features=0x30), gives(116), "on XfrBlock * nozlp", protocol=0),
    "the fields of the MySmart PAD, but for its class":
        Case(raw(reader("1209:0001", "0200", 0x10233),
            "36ff000100000003000000a00f0000a00f0000002a000008f80100fe00000000000000000000000033"
            "0201000f010000000000000001")),
    "a firmware that starts slowly, as of the CL1356D":
        Case(reader("0B81:0200"), echoes, "on GetSlotStatus 1 drop"),
    "a search of the field before each answer, as of the TWN4, SCL011 and ACR122U":
        Case(reader("09D8:0427"), echoes, "on GetSlotStatus * delay 1000"),
    "stray empty packets, as of the GemPC Twin behind USB 3":
        Case(reader("1209:0001"), echoes, "on any * before 80"),
    "a message length that a short APDU does not fit in, as of old SCM readers":
        Case(reader("1209:0001", features=SHORT | ccidprofile.AUTOMATIC, message=271,
            shows=(SHORT | ccidprofile.AUTOMATIC, 263)), gives(250)),
    "a bSeq of its own after a restart, as of the SPR532":
        Case(reader("1209:0001"), echoes, "on GetSlotStatus 1 seq 7"),
    "a first command that is lost, as after a restart with wrong data toggles":
        Case(reader("1209:0001"), echoes, "on GetSlotStatus 1 drop"),
}


class Bundle:
    """A copy of the driver's bundle with shorter waits, and options of its own."""

    def __init__(self, test, options):
        contents = test.tmp / f"bundle{options}/Contents"
        shutil.copytree(harness.CCID_LIBRARY.parent.parent, contents)
        plist = contents / "Info.plist"
        text = plist.read_text()
        for key, value in (("ifdExchangeSeconds", CEILING_S), ("ifdTotalSeconds", 10),
                ("ifdDriverOptions", f"0x{options:04x}")):
            text = re.sub(rf"(<key>{key}</key>\s*<string>)\w+", rf"\g<1>{value}", text)
        plist.write_text(text)
        self.handler = ifdh.Handler(contents / "Linux" / harness.CCID_LIBRARY.name)


class Quirks(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.bundles = {}
        self.nothing = self.tmp / "no-quirks"
        self.nothing.mkdir()
        self.count = 0
        for name in ("CARDWIRE_QUIRKS", "LANG"):
            self.addCleanup(self.restore, name, os.environ.get(name))

    @staticmethod
    def restore(name, value):
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    def handler(self, options):
        if options not in self.bundles:
            self.bundles[options] = Bundle(self, options)
        return self.bundles[options].handler

    def vreader(self, case):
        self.count += 1
        name = f"v{self.count}"
        profile = ccidprofile.write(self.tmp / f"{name}.json", *case.profiles)
        extra = [part for option in case.card for part in ("--card-option", option)]
        if case.faults:
            script = self.tmp / f"{name}.fault"
            script.write_text(case.faults + "\n")
            extra += ["--faults", script]
        vreader = harness.VReader(self, name=name, profile=profile, protocol=f"t{case.protocol}",
            extra=extra)
        for command, answer in case.escapes:
            vreader.ctl("escape", 0, command, answer)
        return vreader

    def attempt(self, case, folder):
        """Whether the reader works with the quirk files of a folder."""
        os.environ["CARDWIRE_QUIRKS"] = str(folder)
        os.environ["LANG"] = case.language
        vreader = self.vreader(case)
        first = None
        if case.slot:
            first = ifdh.Slot(self.handler(case.options), 0, vreader.device())
        slot = ifdh.Slot(self.handler(case.options), case.slot, vreader.device())
        try:
            return case.works(self, slot, vreader, case.protocol)
        finally:
            for opened in (slot, first):
                if opened and opened.opened == 0:
                    opened.close()
            vreader.program.stop_well()

    def check(self, cases):
        for case in cases:
            with self.subTest(case.name()):
                self.assertFalse(self.attempt(case, self.nothing), "it works without the files")
                self.assertTrue(self.attempt(case, QUIRKS), "it doesn't work with the files")

    def test_first_half(self):
        self.check(CASES[::2])

    def test_second_half(self):
        self.check(CASES[1::2])

    def test_refused(self):
        for number, version in REFUSED.items():
            below = f"{int(version, 16) - 1:04X}"
            with self.subTest(number):
                self.assertTrue(self.attempt(Case(reader(number, below), opens), self.nothing))
                self.assertFalse(self.attempt(Case(reader(number, below), opens), QUIRKS))
                self.assertTrue(self.attempt(Case(reader(number, version), opens), QUIRKS))
        for number in NEVER:
            profile = reader(number, interface_class=255 if number[:4] == "1DB2" else 11)
            with self.subTest(number):
                self.assertFalse(self.attempt(Case(profile, opens), QUIRKS))
        below = Case(reader("0DC3:0900", "0100"), opens, options=4)
        self.assertTrue(self.attempt(below, QUIRKS), "ifdDriverOptions 04 accepts it")

    def test_general(self):
        for name, case in GENERAL.items():
            with self.subTest(name):
                self.assertTrue(self.attempt(case, self.nothing))

    def test_local_file_wins_on_replug(self):
        """A file that is added or changed holds when the reader is plugged in again."""
        local = self.tmp / "local"
        local.mkdir()
        os.environ["CARDWIRE_QUIRKS"] = f"{QUIRKS}:{local}"
        vreader = self.vreader(Case(reader("0DC3:0900", "0100")))
        self.assertNotEqual(ifdh.Slot(self.handler(0), 0, vreader.device()).opened, 0)
        (local / "10-mine.quirks").write_text('[mine]\nMatchUsb = 0DC3:0900\nrefuse = ""\n')
        slot = ifdh.Slot(self.handler(0), 0, vreader.device())
        self.assertEqual(slot.opened, 0)
        slot.close()
        (local / "10-mine.quirks").write_text('[mine]\nMatchUsb = 0DC3:0900\nrefuse = no\n')
        self.assertNotEqual(ifdh.Slot(self.handler(0), 0, vreader.device()).opened, 0)

    def test_name(self):
        """A name of the administrator's choice, which the daemon asks for."""
        local = self.tmp / "local"
        local.mkdir()
        (local / "names.quirks").write_text('[x]\nMatchUsb = 1209:0001\nname = "Zähler 1"\n')
        os.environ["CARDWIRE_QUIRKS"] = f"{QUIRKS}:{local}"
        for number, name in (("1209:0001", "Zähler 1"), ("1209:0002", "")):
            vreader = self.vreader(Case(reader(number)))
            slot = ifdh.Slot(self.handler(0), 0, vreader.device())
            self.assertEqual(slot.get(TAG_NAME), (0, name.encode()))
            slot.close()

    def test_interfaces_take_turns(self):
        """Two readers in one device: with the quirk their commands follow one another."""
        profiles = [reader("076B:5422", interface=0), reader("076B:5422", interface=1)]
        case = Case(profiles, faults="on XfrBlock * delay 400")
        for profile in profiles:
            profile["file"] = "two"
        os.environ["CARDWIRE_QUIRKS"] = str(QUIRKS)
        vreader = self.vreader(case)
        slots = [ifdh.Slot(self.handler(0), number << 16, f"{vreader.device()}:1.{number}")
            for number in (0, 1)]
        for slot in slots:
            self.assertTrue(connected(slot, 1))
        start = time.monotonic()
        threads = [threading.Thread(target=slot.transmit, args=(ECHO, 1)) for slot in slots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreater(time.monotonic() - start, 0.75)
        for slot in slots:
            slot.close()


class Tools(harness.CardwireTest):
    def run_ctl(self, *arguments):
        return subprocess.run([CTL, "quirks", *map(str, arguments)], capture_output=True, text=True,
            env={**os.environ, "CARDWIRE_QUIRKS": str(QUIRKS)}, timeout=60)

    def test_repository_is_valid(self):
        done = self.run_ctl("validate", QUIRKS)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^\d+ sections\n$")

    def test_validate_names_the_place(self):
        bad = self.tmp / "bad.quirks"
        bad.write_text("[x]\nMatchUsb = 0B97:7762\nifsd = many\n")
        done = self.run_ctl("validate", bad)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"{bad}:3:8: expected a number from 1 to 254, found many; "
            "section \"x\" is ignored\n")

    def test_list_names_the_line(self):
        done = self.run_ctl("list", "0B97:7762")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout,
            r"max-data-rate = 9600\n    .*/50-o2micro\.quirks:\d+ \[OZ776\]\n")
        self.assertIn("pps = no", done.stdout)
        self.assertNotIn("refuse", self.run_ctl("list", "0DC3:0900:0200").stdout)
        self.assertIn("refuse", self.run_ctl("list", "0DC3:0900:01FF").stdout)

    def test_list_reader(self):
        """By a part of the reader's name, from the daemon that has it open; strings of the log too."""
        profile = ccidprofile.write(self.tmp / "p.json", reader("0529:0620", "0012"))
        vreader = harness.VReader(self, profile=profile)
        daemon = harness.Pcscd(self, conf=harness.reader_entry("Virtual", vreader.device(),
            harness.CCID_LIBRARY), env={"CARDWIRE_QUIRKS": str(QUIRKS)})
        daemon.program.wait_line(r"quirk features-on = ifsd \(.*50-tokens\.quirks:\d+")
        for arguments in (["Virt"], []):
            done = subprocess.run([CTL, "--socket", daemon.socket, "quirks", "list", *arguments],
                capture_output=True, text=True, timeout=60,
                env={**os.environ, "CARDWIRE_QUIRKS": str(QUIRKS)})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^Virtual 00 00\n0529:0620, version 0\.12, interface 0\n"
                r"  features-on = ifsd\n    .*/50-tokens\.quirks:\d+ \[")

    def test_dump(self):
        """Descriptors as sysfs has them, and as digits."""
        device = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x200, 0, 0, 0, 64, 0x046A, 0x003E, 0x0100,
            1, 2, 0, 1)
        descriptor = bytes.fromhex(described(EXTENDED | ccidprofile.AUTOMATIC, 271))
        body = (struct.pack("<BBBBBBBBB", 9, 4, 0, 0, 2, 255, 0, 0, 0) + descriptor
            + bytes.fromhex("07050102400000") + bytes.fromhex("07058202400000"))
        dump = device + struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 1, 1, 0, 0x80, 50) + body
        path = self.tmp / "dump"
        for text in (dump, dump.hex(" ").encode()):
            path.write_bytes(text)
            done = self.run_ctl("test", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("046A:003E, version 1.00, interface 0\n", done.stdout)
            self.assertIn("vendor-class = yes", done.stdout)


class NoModelsInCode(unittest.TestCase):
    """The driver's C code knows behaviours and no models."""

    def test_no_vendor_or_product_numbers(self):
        """Both numbers of a model, in one file, in any of the usual ways to write them."""
        models = set()
        for path in QUIRKS.glob("*.quirks"):
            for line in path.read_text().splitlines():
                if line.startswith("MatchUsb"):
                    models |= set(re.findall(r"([0-9A-F]{4}):([0-9A-F]{4})", line))
        self.assertGreater(len(models), 80)
        for folder in ("ifd-ccid", "pcscd", "libpcsclite", "iso7816", "spec", "wire", "tools"):
            for path in (harness.SOURCE / folder).glob("**/*.[chl]"):
                if path.name == "quirk_properties.h":
                    continue
                text = path.read_text().upper()
                self.assertNotRegex(text, r"(VENDOR|VID)\w* *[=!]= *0X[0-9A-F]{3,4}\b", path)
                for vendor, product in models:
                    for form in (f"{vendor}:{product}", f"{vendor}{product}", f"0X{vendor}, 0X{product}"):
                        self.assertNotIn(form, text, path)


if __name__ == "__main__":
    unittest.main()
