# SPDX-License-Identifier: BSD-3-Clause
"""Our driver with every fault script of tests/faults: the command ends as the script says and in
time, and the next card works. The driver's ceiling is shortened, so a lost answer costs two seconds.
CARDWIRE_PART=I/N runs the Ith of N parts of the scripts: they mostly wait, and can do so side by side.
"""

import os
import re
import shutil
import threading
import time
import unittest

import harness
import ifdh

PART, PARTS = map(int, os.environ.get("CARDWIRE_PART", "1/1").split("/"))
SCRIPTS = sorted((harness.SOURCE / "tests/faults").glob("*.fault"))[PART - 1::PARTS]
CEILING_S = 2
TOTAL_S = 10


class Script:
    def __init__(self, path):
        self.path = path
        self.name = path.stem
        fields = {}
        for line in path.read_text().splitlines():
            word, _, rest = line.partition(" ")
            fields.setdefault(word, rest)
        self.profile = fields["profile"]
        if ".json" in self.profile:
            self.profile = path.parent / self.profile
        self.faulty_start = "start" in fields
        protocol, *self.card = fields["protocol"].split()
        self.protocols = {"t0": [0], "t1": [1], "both": [0, 1]}[protocol]
        self.command = bytes.fromhex(fields["send"])
        self.outcome, self.within = re.fullmatch(r"(\w+) within (\d+)", fields["expect"]).groups()
        self.within = int(self.within) / 1000


def right_answer(command, answer):
    """What the card's test commands answer: EC and EE their data, ED a pattern of P1 P2 bytes."""
    if command[1] in (0xEC, 0xEE):
        data = command[5 : 5 + command[4]] if len(command) > 5 else b""
    else:
        data = bytes((i ^ i >> 8) & 0xFF for i in range(command[2] << 8 | command[3]))
    return answer == data + b"\x90\x00"


class DriverFaults(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        contents = self.tmp / "bundle/Contents"
        shutil.copytree(harness.CCID_LIBRARY.parent.parent, contents)
        plist = contents / "Info.plist"
        text = plist.read_text()
        for key, seconds in (("ifdExchangeSeconds", CEILING_S), ("ifdTotalSeconds", TOTAL_S)):
            text = re.sub(rf"(<key>{key}</key>\s*<string>)\d+", rf"\g<1>{seconds}", text)
        plist.write_text(text)
        self.handler = ifdh.Handler(contents / "Linux" / harness.CCID_LIBRARY.name)

    def connect(self, slot, protocol):
        slot.presence()
        code, _ = slot.power()
        return code or slot.set_protocol(protocol)

    def exchange(self, slot, command, protocol):
        """(ok, error): ok is true for the right answer; a wrong answer fails the test."""
        code, answer = slot.transmit(command, protocol)
        if code != 0:
            return False
        if protocol == 0 and answer[:-1] == b"\x6c" and len(answer) == 2:
            return self.exchange(slot, command[:4] + answer[1:], protocol)
        if answer[-2:-1] in (b"\x61", b"\x67", b"\x6f", b"\x6d", b"\x6e") and len(answer) == 2:
            return False
        self.assertTrue(right_answer(command, answer), f"wrong answer {answer.hex()}")
        return True

    def attempt(self, slot, script, protocol):
        if self.connect(slot, protocol) != 0:
            return False
        return self.exchange(slot, script.command, protocol)

    def cancelled(self, slot, script, protocol):
        result = []
        self.assertEqual(self.connect(slot, protocol), 0)
        thread = threading.Thread(
            target=lambda: result.append(self.exchange(slot, script.command, protocol)))
        thread.start()
        thread.join(1.5)
        self.assertTrue(thread.is_alive(), "it did not go on")
        slot.set(ifdh.TAG_ABORT)
        thread.join(harness.bound(2))
        self.assertFalse(thread.is_alive(), "the abort did not end it")
        return result[0]

    def run_script(self, script, protocol):
        extra = [part for option in script.card for part in ("--card-option", option)]
        if script.faulty_start:
            extra += ["--faults", script.path]
        vreader = harness.VReader(self, name=f"{script.name}{protocol}", profile=script.profile,
            protocol=f"t{protocol}", extra=extra)
        start = time.monotonic()
        slot = ifdh.Slot(self.handler, 0, vreader.device())
        if not script.faulty_start:
            self.assertEqual(slot.opened, 0)
            vreader.ctl("faults", 0, script.path)
            start = time.monotonic()
        try:
            act = self.cancelled if script.outcome == "cancel" else self.attempt
            ok = slot.opened == 0 and act(slot, script, protocol)
            took = time.monotonic() - start
            self.assertLess(took, harness.bound(script.within))
            if script.outcome == "ok":
                self.assertTrue(ok)
            elif script.outcome in ("error", "cancel", "gone"):
                self.assertFalse(ok)
            if script.outcome == "gone":
                self.assertEqual(slot.presence(), ifdh.NO_SUCH_DEVICE)
                slot.close()
                vreader.ctl("faults", 0, "none")
                vreader.ctl("plug", 0)
                slot = ifdh.Slot(self.handler, 0, vreader.device())
                self.assertEqual(slot.opened, 0)
            else:
                vreader.ctl("faults", 0, "none")
                if slot.opened != 0:
                    slot = ifdh.Slot(self.handler, 0, vreader.device())
                    self.assertEqual(slot.opened, 0)
                vreader.ctl("remove", 0)
                slot.presence()
                vreader.ctl("insert", 0)
            slot.await_presence(ifdh.ICC_PRESENT)
            self.assertEqual(self.connect(slot, protocol), 0, "the next card")
            self.assertTrue(self.exchange(slot, script.command, protocol), "the next card")
            return took
        finally:
            slot.close()
            vreader.program.stop_well()

    def test_longer_than_the_ceiling(self):
        """A card may take as long as it likes, as long as the reader asks for time."""
        vreader = harness.VReader(self, profile="short", protocol="t1")
        slot = ifdh.Slot(self.handler, 0, vreader.device())
        self.addCleanup(slot.close)
        self.assertEqual(self.connect(slot, 1), 0)
        milliseconds = 2 * CEILING_S * 1000
        start = time.monotonic()
        self.assertTrue(self.exchange(slot, bytes([0x80, 0xEE]) + milliseconds.to_bytes(2, "big")
            + b"\1x\0", 1))
        self.assertGreater(time.monotonic() - start, 2 * CEILING_S)

    def test_no_empty_packet_ever(self):
        """A reader that never ends an answer of whole packets gives all its answers. The first whose
        length the command leaves open is waited for once."""
        faults = self.tmp / "always.fault"
        faults.write_text("on XfrBlock * nozlp\n")
        vreader = harness.VReader(self, profile="short", protocol="t1")
        slot = ifdh.Slot(self.handler, 0, vreader.device())
        self.addCleanup(slot.close)
        self.assertEqual(self.connect(slot, 1), 0)
        vreader.ctl("faults", 0, faults)
        start = time.monotonic()
        # Header, data and status are whole packets of 64 bytes.
        for length, le in ((52, 52), (116, 116), (180, 0), (180, 0), (244, 0), (244, 244), (52, 0)):
            for _ in range(5):
                self.assertTrue(self.exchange(slot, bytes([0x80, 0xED, 0, length, le]), 1))
        self.assertLess(time.monotonic() - start, harness.bound(2 * CEILING_S))


def add(script, protocol):
    def test(self):
        self.run_script(script, protocol)

    setattr(DriverFaults, f"test_{script.name.replace('-', '_')}_t{protocol}", test)


if PART > 1:
    for _name in ("test_longer_than_the_ceiling", "test_no_empty_packet_ever"):
        delattr(DriverFaults, _name)

for _script in map(Script, SCRIPTS):
    for _protocol in _script.protocols:
        add(_script, _protocol)


if __name__ == "__main__":
    unittest.main()
