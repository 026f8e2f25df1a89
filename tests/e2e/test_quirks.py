# SPDX-License-Identifier: BSD-3-Clause
"""The quirk files, case by case: a virtual reader does what the real one does wrong. Without the files
the fault shows, with them the reader works. And what the driver's general recovery does alone: cases
for which there is no section (any more).
"""

import os
import re
import struct
import subprocess
import unittest

import ccidprofile
import harness
import ifdh
from quirkcases import (Attempts, BLIND, CTL, Case, EXTENDED, PARAMETERS, PLAIN, QUIRKS, SHORT,
    TAG_NAME, TPDU, becomes_reader, behind_endpoints, both_take, connected, described, echoes,
    escapes, first_slot_works, gives, gives_extended, has_no_pin_pad, is_present, notices,
    notices_by_power, opens, raw, reader, same_atr_twice, tells_who_it_is, writes)


def chained(number, bcd="0100"):
    """Says short APDU, but gives the response in parts of 128."""
    return Case(reader(number, bcd, EXTENDED | ccidprofile.AUTOMATIC, 138,
        shows=(SHORT | ccidprofile.AUTOMATIC, 271)), gives(240), shows="exchange-level")


def stuck(number, bcd, **more):
    """An answer that fills its last packet is never sent."""
    return Case(reader(number, bcd, TPDU | PARAMETERS, **more), gives(48), "on XfrBlock * drop-full",
        shows="ifsd")


def old_class(number, bcd="9000"):
    return Case(reader(number, bcd, interface_class=255), shows="vendor-class")


def no_pin_pad(number):
    return Case(reader(number, "9000", pin=3), has_no_pin_pad, shows="pin-support")


def no_ifsd(number, bcd):
    return Case(reader(number, bcd, TPDU | PARAMETERS), echoes, "on XfrBlock * if 00C1 disappear",
        shows="features-on")


def slow_second_slot(pid, bcd, rate, ta1):
    """Two slots, of which the second can't do the fastest speed that the descriptor names."""
    return Case(reader(f"08E6:{pid}", bcd, TPDU | PLAIN, slots=2, rate=rate), echoes,
        f"on SetParameters * if {ta1} disappear", card=[f"ta1={ta1}"], slot=1,
        shows="other-slots-max-data-rate other-slots-data-rates")


def blocks_in_escapes(number, works):
    """Short APDU level, and T=1 blocks for the card behind 1A."""
    profile = reader(number, features=SHORT | ccidprofile.AUTOMATIC)
    profile["block_escape_hex"] = "1A"
    return Case(profile, works, shows="block-escape")


def compact_disc():
    """No reader before a request makes it one, under another number."""
    profile = reader("0D46:4081", interface_class=8)
    profile |= {"mode_switch_hex": "2209000202000A0000040000000200000011", "mode_switch_pid": "4000"}
    return Case(profile, becomes_reader, shows="mode-switch")


CASES = [
    # 50-scm
    *(old_class(f"04E6:{pid}") for pid in
        ("5111", "511A", "5120", "5121", "512B", "512C", "5291", "5292", "E003")),
    stuck("04E6:E001", "0515"), stuck("04E6:5111", "061F"), stuck("04E6:5115", "0513"),
    stuck("04E6:5117", "0521"), stuck("04E6:E003", "050F", interface_class=11),
    *(Case(reader(f"04E6:{pid}", "9000"), notices, "on NotifySlotChange * drop", shows="presence")
        for pid in ("E001", "E003", "5111", "5115", "5117")),
    # 50-gemalto
    *(old_class(f"08E6:{pid}") for pid in ("1359", "ACE0", "2202")),
    *(Case(reader(number, features=SHORT | ccidprofile.AUTOMATIC,
        shows=(TPDU | ccidprofile.AUTOMATIC, 271)), echoes, escapes=[("1F02", "-")], options=2,
        shows="init-escape level-after-init") for number in ("08E6:3437", "08E6:3438")),
    *(Case(reader("08E6:3437"), echoes, f"on IccPowerOn * until {escape} fail 0xFB",
        [("A001", "-"), ("1F01", "-")], shows="init-escape") for escape in ("A001", "1F01")),
    *(Case(reader(number), echoes, "on IccPowerOn * until 1F01 fail 0xBB", [("1F01", "-")],
        shows="power-on-escape") for number in ("08E6:4433", "046A:0005")),
    Case(reader("08E6:3480"), notices_by_power, BLIND, shows="presence"),
    slow_second_slot("3479", "0100", 500000, "96"), slow_second_slot("3480", "01FF", 500000, "96"),
    slow_second_slot("0000", "0100", 825806, "97"),
    Case(reader("08E6:34D2"), echoes, "on XfrBlock * delay 6000", shows="extra-waiting-time"),
    *(Case(reader(number), escapes(command), escapes=[(command[:4], "AB")], shows="escape-allow")
        for number, command in (("08E6:5503", "52F804010001"), ("08E6:5503", "02"),
            ("08E6:9999", "02"))),
    # The display shows German: nothing works before it does.
    *(Case(reader(number), echoes, "on IccPowerOn * until B2A0004D4C50494E2065 fail 0xFB",
        [("B2A0004D4C", "-")], language="de_DE.UTF-8", shows="init-escape-language")
        for number in ("08E6:3478", "0982:0008")),
    *(Case(reader(number), echoes, "on IccPowerOn * until B500 fail 0xFB",
        [("B2A0004D4C", "-"), ("B500", "-")], options=0x40, shows="init-escape")
        for number in ("08E6:3478", "0982:0008")),
    # 50-omnikey
    *(chained(number) for number in
        ("076B:3A21", "076B:3031", "076B:6632", "046A:00A7", "0BF8:1024")),
    *(no_pin_pad(number) for number in
        ("076B:3A21", "076B:3031", "076B:6632", "046A:00A7", "0BF8:1024")),
    Case(reader("076B:5427"), escapes("0102"), escapes=[("01", "AB")], shows="escape-allow"),
    blocks_in_escapes("076B:5121", writes(700)), blocks_in_escapes("076B:1784", gives_extended(700)),
    # 50-o2micro
    *(Case(reader(number, features=0x30), echoes, "on XfrBlock * if FF disappear", protocol=0,
        card=["ta1=94"], shows="pps max-data-rate") for number in ("0B97:7762", "0B97:7772")),
    # 50-alcor
    Case(reader("058F:9540", features=EXTENDED | PARAMETERS), echoes,
        "on SetParameters * if 96 disappear", card=["ta1=96"], shows="max-data-rate"),
    Case(reader("058F:9540", features=EXTENDED | PARAMETERS), echoes,
        "on SetParameters * fail 0xFB", shows="parameters-refused"),
    # 50-cherry
    old_class("046A:003E"), chained("046A:00A1"),
    # 50-keyboards
    old_class("413C:2100"),
    *(no_pin_pad(number) for number in ("03F0:1024", "03F0:0036", "0BF8:1017", "04F2:1469")),
    # 50-kobil
    Case(reader("0D46:3010", features=SHORT | ccidprofile.AUTOMATIC, message=536,
        shows=(EXTENDED | ccidprofile.AUTOMATIC, 536)), writes(300), protocol=0,
        shows="exchange-level"),
    Case(reader("0D46:301D", "0102"), same_atr_twice,
        "on IccPowerOn 2-99 unless-after IccPowerOff data 3B00", shows="power-off-first"),
    Case(reader("0D46:301D", "0102"), tells_who_it_is, shows="fixed-answer"),
    compact_disc(),
    # 50-tokens
    no_ifsd("0529:0620", "0012"), no_ifsd("0529:0620", "0013"),
    old_class("0973:0003"), old_class("1A74:6354"), old_class("1A74:6356"),
    # 50-others
    old_class("09BE:0002"), no_pin_pad("0783:0006"), no_pin_pad("25DD:3111"), chained("2F7C:6007"),
    no_ifsd("0B0C:0050", "0100"),
    Case(reader("0424:1202", interface=1), is_present, BLIND, shows="presence"),
    # 50-cards: in any reader; it has to be told the longer time.
    Case(reader("1209:0001", features=TPDU | PARAMETERS), echoes,
        "on IccPowerOn * data 3BFA1300FF813180450031C173C00100009000B1\n"
        "on SetParameters * if 1310FF45 disappear", card=["ta1=13"], shows="waiting-integers"),
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
    "a second slot that speaks a language of its own, as of the SCR331-DI and SDI010":
        Case(reader("1209:0001", features=0x000100BA, slots=2), first_slot_works,
            "on any * to-slot 1 fail 5"),
    "the contact side of a reader whose RFID side is in Escapes, as of the CardMan 5121":
        Case(reader("076B:5121", features=0x000207B2)),
    "several slots and no interrupt endpoint, as of 03EB:6120":
        Case(reader("03EB:6120", features=0x000401BE, slots=2, endpoints=2), slot=1),
    "a USB ICC that names no exchange level, as of the KONA":
        Case(reader("04CC:5072", features=0x00000840, endpoints=1, usb_protocol=2), protocol=0),
    "a first command that is lost, as after a restart with wrong data toggles":
        Case(reader("1209:0001"), echoes, "on GetSlotStatus 1 drop"),
}


class Quirks(Attempts):
    def check(self, cases):
        for case in cases:
            with self.subTest(case.name()):
                self.assertFalse(self.attempt(case, self.nothing), "it works without the files")
                self.assertTrue(self.attempt(case, QUIRKS), "it doesn't work with the files")
                self.assertTrue(case.shows)
                self.assertLessEqual(set(case.shows), self.applied)

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
        self.assertGreater(both_take(slots), 0.75)
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
        daemon.program.wait_line(r"quirk features-on = ifsd  # .*50-tokens\.quirks:\d+")
        for arguments in (["Virt"], []):
            done = subprocess.run([CTL, "--socket", daemon.socket, "quirks", "list", *arguments],
                capture_output=True, text=True, timeout=60,
                env={**os.environ, "CARDWIRE_QUIRKS": str(QUIRKS)})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^Virtual 00 00\n0529:0620, version 0\.12\n"
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
                        self.assertFalse(form in text, f"{path}: {form}")


if __name__ == "__main__":
    unittest.main()
