# SPDX-License-Identifier: BSD-3-Clause
"""Every property of quirk files does what it says: what no file of the repository needs is shown here
by a file of the test's own. And a list of all of them, so that none is without a test."""

import ast
import os
import re
import subprocess
import time
import unittest

import ccidprofile
import harness
import ifdh
import test_quirks
from quirkcases import (Attempts, CTL, Case, ECHO, ECHOED, EXTENDED, PARAMETERS, PLAIN, QUIRKS,
    SHORT, TPDU, both_take, connected, described, echoes, escapes, gives, is_present, is_refused,
    raw, reader, writes)

NUMBER = "1209:0001"
ALL_BY_ITSELF = ccidprofile.AUTOMATIC
OURS = "[ours]\nMatchUsb = 1209:0001\n"
TWO_BUSY = "on XfrBlock * delay 400"
TABLE = harness.SOURCE / "ifd-ccid/quirk/quirk_properties.h"


def shown(features=EXTENDED | ALL_BY_ITSELF, message=271, profile=None, **fields):
    """A reader that shows other fields than it acts by."""
    profile = profile or reader(NUMBER, features=features, message=message)
    return raw(profile, described(features, message, **fields))


def gives_up(test, slot, vreader, protocol):
    """An exchange fails that takes its time."""
    return connected(slot, protocol) and slot.transmit(ECHO, protocol)[0] != 0


def recovers(test, slot, vreader, protocol):
    """The first command is lost, and the next is not."""
    return (connected(slot, protocol) and slot.transmit(ECHO, protocol)[0] != 0
        and slot.transmit(ECHO, protocol) == (0, ECHOED))


def echoes_whole_packets(test, slot, vreader, protocol):
    """A command that fills its only packet: 10 bytes of header, 54 of the APDU."""
    data = bytes(range(48))
    command = bytes.fromhex("80EC0000") + bytes([len(data)]) + data + b"\0"
    return connected(slot, protocol) and slot.transmit(command, protocol) == (0, data + b"\x90\x00")


def with_rates():
    return reader(NUMBER, features=TPDU | PARAMETERS, rates=2) | {"data_rates_bps": [10753, 344086]}


class Own(Case):
    """A case with the line that makes it work."""

    def __init__(self, line, *arguments, **options):
        super().__init__(*arguments, **options)
        self.text = OURS + line + "\n"
        self.shows = [line.split(" =")[0]]


CASES = [
    Own("reset-at-open = yes", reader(NUMBER), echoes, "on any * until reset disappear"),
    Own(f"descriptor = {described(SHORT | ALL_BY_ITSELF, 271)}",
        shown(TPDU | PLAIN, profile=reader(NUMBER, features=SHORT | ALL_BY_ITSELF)), echoes),
    Own("features-off = voltage",
        shown(TPDU | PARAMETERS, profile=reader(NUMBER, features=(TPDU | PARAMETERS) & ~8))),
    Own("protocols = t0 t1", shown(protocols=1)),
    # It believes its clock to be ten times as fast, and the card's 95 too fast for the reader.
    Own("clock = 4000", shown(TPDU | PARAMETERS, clock=40000), echoes,
        "on SetParameters * if 93 disappear", card=["ta1=95"]),
    Own("max-data-rate = 20000", reader(NUMBER, features=TPDU | PARAMETERS), echoes,
        "on SetParameters * if 96 disappear", card=["ta1=96"]),
    Own("data-rates = 10753", reader(NUMBER, features=TPDU | PARAMETERS), echoes,
        "on SetParameters * if 96 disappear", card=["ta1=96"]),
    Own("voltages = 3V", shown((TPDU | PARAMETERS) & ~8, voltages=1), echoes, card=["classes=2"]),
    Own("max-message = 271", shown(EXTENDED | ALL_BY_ITSELF, 65556,
        profile=reader(NUMBER, message=271)), writes(300), protocol=0),
    Own("descriptor-patch = dwMaxCCIDMessageLength=271", shown(EXTENDED | ALL_BY_ITSELF, 65556,
        profile=reader(NUMBER, message=271)), writes(300), protocol=0),
    # Seconds lie between what is too late and what is not, for machines that are busy.
    Own("status-timeout = 60000", reader(NUMBER, endpoints=2), is_present,
        "on GetSlotStatus 1 delay 6500\non control.Abort * disappear"),
    Own("exchange-timeout = 60", reader(NUMBER), echoes, "on XfrBlock * delay 6000"),
    Own("total-timeout = 1", reader(NUMBER), gives_up, "on XfrBlock * extend 50 1"),
    Own("zero-length-packet = yes", reader(NUMBER), echoes_whole_packets,
        "on XfrBlock * if unended disappear"),
    Own("control-abort = no", reader(NUMBER), recovers,
        "on XfrBlock 1 drop\non control.Abort * disappear"),
    Own("get-data-rates = no", with_rates(), echoes,
        "on control.GetDataRates * disappear"),
    Own("init-required = yes\ninit-escape = 01", reader(NUMBER), is_refused),
    Own('refuse = "because"', reader(NUMBER), is_refused),
]

# A test elsewhere: module and method, or module and class.
ELSEWHERE = {
    "name": ("test_quirks", "test_name"),
    "interfaces-take-turns": ("test_quirks", "test_interfaces_take_turns"),
    "detach-kernel-driver": ("../system/guest/test_nfc", "test_left"),
    "autosuspend": ("test_quirk_properties", "test_autosuspend"),
    "start-delay": ("test_quirk_properties", "test_start_delay"),
    "busy-slots": ("test_quirk_properties", "test_busy_slots"),
    "packet-reads": ("test_quirk_properties", "test_packet_reads"),
    "firmware-escape": ("test_quirk_properties", "test_firmware"),
    "escape-allow-root": ("test_contactless", "test_by_client"),
    "escape-users": ("test_contactless", "test_by_client"),
    "escape-allow-users": ("test_contactless", "test_by_client"),
    "contactless-slots": ("test_contactless", "Dual"),
    "contactless-dialect": ("test_contactless", "TagsRaw"),
    "pin-verify-messages": ("test_pinpad_quirks", "test_vega_alpha"),
    "pin-modify-messages": ("test_pinpad_quirks", "test_cherry_xx44"),
    "pin-modify-no-messages": ("test_pinpad_quirks", "test_cherry_kc_1000"),
    "pin-modify-indexes": ("test_pinpad_quirks", "test_spr532"),
    "pin-validation": ("test_pinpad_quirks", "test_gempc_pinpad"),
    "pin-validation-told": ("test_pinpad_quirks", "test_cherry_st_2000"),
    "pin-min-size": ("test_pinpad_quirks", "test_omnikey_3821"),
    "pin-max-size": ("test_pinpad_quirks", "test_omnikey_3821"),
    "pin-features-escape": ("test_pinpad_quirks", "test_pad_that_describes_itself"),
    "pin-verify-escape": ("test_pinpad_quirks", "test_spr532"),
    "pin-block-zero": ("test_pinpad_quirks", "test_spr532"),
    "pin-delay": ("test_pinpad_quirks", "test_dell_keyboards"),
    "pin-swap-extra-digit": ("test_pinpad_quirks", "test_dell_keyboards"),
    "pin-append-lc": ("test_pinpad_quirks", "test_cherry_xx44"),
    "pin-message-type": ("test_pinpad_quirks", "test_cherry_xx44"),
    "pin-reader-direct": ("test_pinpad_quirks", "test_secoder"),
}


class Properties(Attempts):
    def own(self, text):
        """A folder of quirk files with this one only."""
        self.count += 1
        folder = self.tmp / f"own{self.count}"
        folder.mkdir()
        (folder / "own.quirks").write_text(text)
        return folder

    def open(self, text, profile, faults="", slots=(0,), escapes=()):
        """Opens slots of a reader with this quirk file, powered; (vreader, slots)."""
        os.environ["CARDWIRE_QUIRKS"] = str(self.own(text))
        vreader = self.vreader(Case(profile, faults=faults, escapes=escapes))
        opened = [ifdh.Slot(self.handler(0), number, vreader.device()) for number in slots]
        for slot in opened:
            self.addCleanup(slot.close)
        return vreader, opened

    def test_each(self):
        for case in CASES:
            with self.subTest(case.shows):
                self.assertFalse(self.attempt(case, self.nothing), "it works without")
                self.assertTrue(self.attempt(case, self.own(case.text)), "it doesn't work with it")
                self.assertLessEqual(set(case.shows), self.applied)

    def test_start_delay(self):
        start = time.monotonic()
        _, (slot,) = self.open(OURS + "start-delay = 300\n", reader(NUMBER))
        self.assertEqual(slot.opened, 0)
        self.assertGreaterEqual(time.monotonic() - start, 0.3)

    def test_busy_slots(self):
        """Of two slots that could be busy at the same time one waits for the other."""
        _, slots = self.open(OURS + "busy-slots = 1\n", reader(NUMBER, slots=2, busy=2), TWO_BUSY,
            (0, 1))
        for slot in slots:
            self.assertTrue(connected(slot, 1))
        self.assertGreater(both_take(slots), 0.75)

    def test_packet_reads(self):
        """Each packet of an answer is a transfer of its own."""
        vreader, (slot,) = self.open(OURS + "packet-reads = yes\n", reader(NUMBER))
        self.assertTrue(connected(slot, 1))
        counts = []
        for _ in range(2):
            counts.append(vreader.stats()["bulk_in"])
            self.assertTrue(gives(180)(self, slot, vreader, 1))
        self.assertGreaterEqual(counts[1] - counts[0], 3)

    def test_firmware(self):
        """Sections for one version of the firmware, which the reader tells when it is asked; and for
        a device's strings. What was applied is in the report, and pcscctl lists it."""
        text = (OURS + "firmware-escape = 02\nifsd = 48\n"
            "[that version]\n" + OURS.split("\n")[1] + '\nMatchFirmware = "V1.*"\nescape-allow = 01\n'
            "[another]\n" + OURS.split("\n")[1] + '\nMatchFirmware = "V2.*"\nescape-allow = 03\n'
            '[by its name]\nMatchProduct = "Made-*"\npin-delay = 7\n'
            '[by a field]\nMatchDescriptor = dwMaxIFSD = 254\nextra-waiting-time = 1\n')
        taught = [("02", b"V1.07".hex()), ("01", "AB"), ("03", "AB")]
        _, (slot,) = self.open(text, reader(NUMBER), escapes=taught)
        self.assertTrue(escapes("0102")(self, slot, None, 1))
        self.assertFalse(escapes("0302")(self, slot, None, 1))
        vreader = self.vreader(Case(reader(NUMBER), escapes=taught))
        folder = self.own(text)
        daemon = harness.Pcscd(self, conf=harness.reader_entry("Virtual", vreader.device(),
            harness.CCID_LIBRARY), env={"CARDWIRE_QUIRKS": str(folder)})
        listed = subprocess.run([CTL, "--socket", daemon.socket, "quirks", "list", "Virtual"],
            capture_output=True, text=True, timeout=60, check=True).stdout
        report = self.tmp / "report.tar"
        subprocess.run([CTL, "--socket", daemon.socket, "report", "Virtual", "-o", report],
            capture_output=True, timeout=60, check=True)
        page = subprocess.run(["tar", "-xOf", report, "cardwire-report/device-1/quirks.txt"],
            capture_output=True, text=True, check=True).stdout
        properties = ["ifsd = 48", "extra-waiting-time = 1", "firmware-escape = 02",
            "escape-allow = 01", "pin-delay = 7"]
        self.assertEqual(sorted(re.findall(r"^  (\S.*)$", listed, re.MULTILINE)), sorted(properties))
        self.assertEqual(sorted(re.findall(r"^([a-z].*?)  # .*own\.quirks:\d+ \[.*\]$", page,
            re.MULTILINE)), sorted(properties))
        self.assertIn("own.quirks:8 [that version]", page)

    def made(self, folder):
        """The udev rules that are made of a folder of quirk files."""
        return subprocess.run([harness.BUILD / "ifd-ccid/quirk_generate",
            harness.SOURCE / "udev/92-pcscd.rules.in", folder], capture_output=True, text=True,
            check=True, timeout=60).stdout

    def test_autosuspend(self):
        """What may not sleep is left out of what udev lets sleep; a device that becomes a reader is
        pcscd's, whatever its class."""
        awake = 'ATTR{idVendor}=="%s", ATTR{idProduct}=="%s", TEST=="power/control", ' \
            'ATTR{power/control}="on"'
        text = OURS + "autosuspend = no\n"
        self.assertIn(awake % ("1209", "0001"), self.made(self.own(text)))
        self.assertNotIn('power/control}="on"', self.made(self.own(OURS + "ifsd = 1\n")))
        rules = self.made(QUIRKS)
        self.assertEqual(rules, (harness.BUILD / "udev/92-pcscd.rules").read_text())
        for number in (("058f", "9540"), ("058f", "9520"), ("0783", "0003")):
            self.assertIn(awake % number, rules)
        self.assertIn('\nATTR{idVendor}=="0d46", ATTR{idProduct}=="4081", GOTO="pcscd_reader"\n',
            rules)


class NoneUntested(unittest.TestCase):
    def test_all_properties(self):
        """The table's list, and the list of what tests show."""
        names = set(re.findall(r'^QUIRK\(\w+,\s*\w+,\s*\w+,\s*"([a-z0-9-]+)"', TABLE.read_text(),
            re.MULTILINE))
        self.assertGreater(len(names), 60)
        in_cases = {name for case in [*CASES, *test_quirks.CASES] for name in case.shows}
        self.assertLessEqual(in_cases, names)
        self.assertEqual(names - in_cases - set(ELSEWHERE), set(), "without a test")
        self.assertEqual(set(ELSEWHERE) - names, set(), "no such property")

    def test_elsewhere(self):
        for module, name in ELSEWHERE.values():
            tree = ast.parse((harness.HERE / f"{module}.py").read_text())
            found = {node.name for node in ast.walk(tree)
                if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
            self.assertIn(name, found, module)


if __name__ == "__main__":
    unittest.main()
