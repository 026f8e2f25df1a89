# SPDX-License-Identifier: BSD-3-Clause
"""Our driver with the descriptors of real readers: each is played by vreader at its own exchange
level, with a T=0 and a T=1 card; all APDU cases go through at the lengths where things break.

The collection of descriptors is not part of the repository; without it the test is skipped, and the
profiles of our own remain. CARDWIRE_READERS=N tests every Nth only.
"""

import collections
import json
import os
import unittest

import harness
import ifdh

# What the descriptors say is what counts here.
ANY_CLASS = "[any]\nMatchUsb = *:*\nvendor-class = yes\n"
COLLECTION = harness.SOURCE.parent / "shared/reference/readers/readers.json"
PROFILES = ("extended", "short", "tpdu", "character")
LEVELS = {0: "character", 1: "tpdu", 2: "short_apdu", 4: "extended_apdu"}
LONG = (256, 257, 258, 65535)
TABLE = harness.BUILD / "driver-readers.txt"
SHORT_ONLY = "short messages only"
# Readers that can't be played from their descriptors, with the reason.
UNUSABLE = {"09BE:0002": "names no voltage"}
# Readers whose messages are too short for some short responses, and which can't chain them.
SHORT_MESSAGES = {("2ABE:1003", 0), ("2ABE:1003", 1), ("09D8:0427", 0)}


def level_of(reader):
    return LEVELS[reader["ccid"]["dwFeatures"] >> 16 & 7]


def pattern(length):
    return bytes((i ^ i >> 8) & 0xFF for i in range(length))


def echo(length, le=True):
    data = pattern(length)
    if length == 0:
        return bytes.fromhex("80EC0000") + (b"\0" if le else b"")
    if length < 256:
        return bytes.fromhex("80EC0000") + bytes([length]) + data + (b"\0" if le else b"")
    return (bytes.fromhex("80EC000000") + length.to_bytes(2, "big") + data
        + (b"\0\0" if le else b""))


class Reader:
    """Exercises one interface and slot."""

    def __init__(self, slot, protocol, level):
        self.slot = slot
        self.protocol = protocol
        self.level = level

    def expect(self, name, command, data):
        """data None: only the status counts."""
        code, answer = self.slot.transmit(command, self.protocol)
        if code != 0:
            raise AssertionError(f"{name}: code {code}")
        if data is None:
            if answer[-2:-1] not in (b"\x90", b"\x61"):
                raise AssertionError(f"{name}: {answer[-2:].hex()}")
            return
        if self.protocol == 0 and answer[:-1] == b"\x6c" and len(answer) == 2:
            code, answer = self.slot.transmit(command[:4] + answer[1:], 0)
        if answer[-2:] != b"\x90\x00" or answer[:-2] != data:
            raise AssertionError(f"{name}: {len(answer)} bytes, {answer[-2:].hex()}")

    def run(self, lengths):
        self.expect("case 1", echo(0, le=False), b"")
        for length in lengths:
            if length <= 256:
                le = bytes([length & 0xFF])
                command = bytes([0x80, 0xED, length >> 8, length & 0xFF]) + le
                self.expect(f"case 2, {length}", command, pattern(length))
            if length < 256:
                self.expect(f"case 3, {length}", echo(length, le=False), None)
                self.expect(f"case 4, {length}", echo(length), pattern(length))
            elif self.level != "short_apdu":
                self.expect(f"case 4, {length}", echo(length), pattern(length))


class DriverReaders(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        quirks = self.tmp / "quirks"
        quirks.mkdir()
        (quirks / "any.quirks").write_text(ANY_CLASS)
        os.environ["CARDWIRE_QUIRKS"] = str(quirks)
        self.addCleanup(os.environ.pop, "CARDWIRE_QUIRKS")
        self.handler = ifdh.Handler(harness.CCID_LIBRARY)

    def use_slot(self, lun, device, protocol, level, lengths):
        slot = ifdh.Slot(self.handler, lun, device)
        if slot.opened != 0:
            raise AssertionError(f"open: code {slot.opened}")
        try:
            if slot.presence() != ifdh.ICC_PRESENT:
                raise AssertionError("no card seen")
            code, atr = slot.power()
            if code != 0 or atr[:1] not in (b"\x3b", b"\x3f"):
                raise AssertionError(f"power up: code {code}")
            code = slot.set_protocol(protocol)
            if code != 0:
                raise AssertionError(f"set protocol: code {code}")
            Reader(slot, protocol, level).run(lengths)
        finally:
            slot.close()

    def test_own_profiles(self):
        for profile in PROFILES:
            for protocol in (0, 1):
                with self.subTest(profile=profile, protocol=protocol):
                    vreader = harness.VReader(self, name=f"{profile}{protocol}", profile=profile,
                        protocol=f"t{protocol}")
                    level = {"extended": "extended_apdu", "short": "short_apdu"}.get(profile,
                        profile)
                    self.use_slot(0, vreader.device(), protocol, level,
                        (1, 254, 255, *LONG))
                    vreader.program.stop_well()

    @unittest.skipUnless(COLLECTION.exists(), f"needs {COLLECTION}")
    def test_real_readers(self):
        """The results are in TABLE, a row for each reader; here only how many there are of which."""
        devices = collections.OrderedDict()
        for reader in json.loads(COLLECTION.read_text()):
            devices.setdefault(reader["file"] or id(reader), []).append(reader)
        step = int(os.environ.get("CARDWIRE_READERS", "1"))
        seen = set()
        rows = []
        for interfaces in list(devices.values())[::step]:
            results = [self.one_device(interfaces, protocol, seen) for protocol in (0, 1)]
            rows += [(reader, *row) for reader, *row in zip(interfaces, *results)]
        self.write_table(rows)
        counts = collections.Counter(self.verdict(row[1:]) for row in rows)
        print(f"{len(rows)} readers: "
            + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
            + f"; see {TABLE}")
        self.assertEqual(counts["failed"], 0,
            "\n".join(self.row(*row) for row in rows if self.verdict(row[1:]) == "failed"))

    @staticmethod
    def verdict(results):
        if any(result.startswith("failed") for result in results):
            return "failed"
        if not {"good", SHORT_ONLY} & set(results):
            return "unusable"
        return "good, with short messages only" if SHORT_ONLY in results else "good"

    @staticmethod
    def row(reader, t0, t1):
        number = reader["interface"]["bInterfaceNumber"]
        name = reader["own_name"] or reader["iProduct"] or ""
        return (f"{reader['vid']}:{reader['pid']} {number:2} {level_of(reader):14}"
            f" T=0 {t0:20} T=1 {t1:20} {name}")

    def write_table(self, rows):
        TABLE.write_text("".join(self.row(*row).rstrip() + "\n" for row in rows))

    def one_device(self, interfaces, protocol, seen):
        """The result of each of its interfaces with a card of this protocol."""
        path = self.tmp / "profile.json"
        path.write_text(json.dumps(interfaces))
        vreader = harness.VReader(self, profile=path, protocol=f"t{protocol}")
        results = [self.one_interface(reader, protocol, vreader, seen) for reader in interfaces]
        vreader.program.stop_well()
        return results

    def one_interface(self, reader, protocol, vreader, seen):
        level = level_of(reader)
        # The longest lengths, which take long, only with the first good one of each kind.
        lengths = (1, 254, 255, 300) if (level, protocol) in seen else (1, 254, 255, *LONG)
        name = f"{reader['vid']}:{reader['pid']}"
        good = "good"
        if (name, protocol) in SHORT_MESSAGES:
            # A message is 10 bytes more than a case 4 command, which is 6 more than its data.
            longest = reader["ccid"]["dwMaxCCIDMessageLength"]
            lengths = [n for n in lengths if n + 16 <= longest]
            good = SHORT_ONLY
        if name in UNUSABLE:
            return UNUSABLE[name]
        if not reader["ccid"]["dwProtocols"] & 1 << protocol:
            return "not offered"
        device = f"{vreader.device()}:1.{reader['interface']['bInterfaceNumber']}"
        try:
            self.use_slot(0, device, protocol, level, lengths)
        except AssertionError as error:
            return f"failed: {error}"
        if good != SHORT_ONLY:
            seen.add((level, protocol))
        return good


if __name__ == "__main__":
    unittest.main()
