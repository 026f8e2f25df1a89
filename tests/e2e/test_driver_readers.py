# SPDX-License-Identifier: BSD-3-Clause
"""Our driver with the descriptors of real readers: each is played by vreader at its own exchange
level, with a T=0 and a T=1 card; all APDU cases go through at the lengths where things break, the
card is taken out and put in again, and the reader is unplugged.

The collection of descriptors is not part of the repository; without it the test is skipped, and the
profiles of our own remain. CARDWIRE_READERS=N tests every Nth only (4 with a sanitizer, 1
without); CARDWIRE_EVERY_LENGTH=1 the longest length with all of them, and not just with the first of
each exchange level.
"""

import collections
import contextlib
import itertools
import json
import os
import struct
import unittest

import ccidprofile
import harness
import ifdh

# What the descriptors say is what counts here.
ANY_CLASS = "[any]\nMatchUsb = *:*\nvendor-class = yes\n"
COLLECTION = harness.SOURCE.parent / "shared/reference/readers/readers.json"
PROFILES = ("extended", "short", "tpdu", "character")
LEVELS = {0: "character", 1: "tpdu", 2: "short_apdu", 4: "extended_apdu"}
LENGTHS = (0, 1, 254, 255, 256, 257, 258)
LONGEST = 65535
EVERY_LENGTH = "CARDWIRE_EVERY_LENGTH" in os.environ
TABLE = harness.BUILD / "driver-readers.txt"
SHORT_ONLY = "short messages only"
# Readers that can't be played from their descriptors, with the reason.
UNUSABLE = {"09BE:0002": "names no voltage"}
# Readers whose messages are too short for some short responses, and which can't chain them.
SHORT_MESSAGES = {("2ABE:1003", 0), ("2ABE:1003", 1), ("09D8:0427", 0)}


def field(reader, offset, form):
    """One of the class descriptor (CCID 1.1 §5.1)."""
    return struct.unpack_from(form, bytes.fromhex(reader["ccid_descriptor_hex"]), offset)[0]


def level_of(reader):
    return LEVELS[field(reader, 40, "<I") >> 16 & 7]


def devices_of(readers):
    """Lists of the interfaces of one device each. A file may tell of several devices of a kind."""
    devices = collections.OrderedDict()
    seen = collections.Counter()
    for reader in readers:
        kind = (reader["file"] or id(reader), reader["vid"], reader["pid"])
        number = (kind, reader["interface"]["bInterfaceNumber"])
        devices.setdefault((kind, seen[number]), []).append(reader)
        seen[number] += 1
    return list(devices.values())


def is_token(reader):
    """Whether reader and card are one (ICCD 1.0 §6): such a card can't be taken out."""
    return reader["interface"]["bInterfaceProtocol"] in (1, 2) and (
        reader["interface"]["bNumEndpoints"] < 2)


def own_interfaces():
    """One of each class of readers: exchange level, what the reader does itself, with interrupt
    messages or polled, with long messages or short ones; and tokens without bulk pipes."""
    for features, automatic, endpoints, message in itertools.product(
            (0, ccidprofile.TPDU, ccidprofile.SHORT_APDU, ccidprofile.EXTENDED_APDU),
            (0, ccidprofile.AUTOMATIC, ccidprofile.AUTOMATIC | ccidprofile.AUTO_IFSD), (3, 2),
            (271, 65556)):
        yield ccidprofile.interface(features=features | automatic, endpoints=endpoints,
            message=message)
    for number, features, protocols in ((1, 0, 1), (2, ccidprofile.SHORT_APDU, 3),
            (2, ccidprofile.EXTENDED_APDU, 3)):
        token = ccidprofile.interface(features=features | ccidprofile.AUTOMATIC, endpoints=0,
            protocols=protocols)
        token["interface"]["bInterfaceProtocol"] = number
        yield token


def pattern(length):
    return bytes((i ^ i >> 8) & 0xFF for i in range(length))


def apdu(ins, nc, ne):
    """A command with a pattern of nc bytes that expects ne bytes; P1 P2 are the latter."""
    head = bytes([0x80, ins]) + (ne & 0xFFFF).to_bytes(2, "big")
    data = pattern(nc)
    if nc < 256 and ne <= 256:
        return head + (bytes([nc]) + data if nc else b"") + (bytes([ne & 0xFF]) if ne else b"")
    le = (ne & 0xFFFF).to_bytes(2, "big") if ne else b""
    return head + b"\0" + (nc.to_bytes(2, "big") + data if nc else b"") + le


def get(length):
    """Case 2; the card answers with the pattern."""
    return apdu(0xED, 0, length)


def echo(length):
    """Case 4, of which P1 P2 don't count."""
    return apdu(0xEC, length, length)


def put(length):
    """Case 3 (case 1 for no byte): the card keeps its answer to itself."""
    return apdu(0xEC, length, 0)


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

    def carries(self, nc, ne):
        """At the short APDU level nothing carries an extended APDU at T=1 (CCID 1.1 §3.2.2)."""
        return self.level != "short_apdu" or self.protocol == 0 or (nc < 256 and ne <= 256)

    def run(self, lengths):
        for length in lengths:
            if length == 0:
                self.expect("case 1", put(0), b"")
                continue
            if self.carries(0, length):
                self.expect(f"case 2, {length}", get(length), pattern(length))
            if self.carries(length, 0):
                self.expect(f"case 3, {length}", put(length), None)
            if self.carries(length, length):
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

    @staticmethod
    def connect(slot, protocol):
        code, atr = slot.power()
        if code != 0 or atr[:1] not in (b"\x3b", b"\x3f"):
            raise AssertionError(f"power up: code {code}")
        code = slot.set_protocol(protocol)
        if code != 0:
            raise AssertionError(f"set protocol: code {code}")

    @contextlib.contextmanager
    def reader(self, lun, device, protocol, level):
        """A reader with its card connected."""
        slot = ifdh.Slot(self.handler, lun, device)
        if slot.opened != 0:
            raise AssertionError(f"open: code {slot.opened}")
        try:
            if slot.presence() != ifdh.ICC_PRESENT:
                raise AssertionError("no card seen")
            self.connect(slot, protocol)
            yield Reader(slot, protocol, level)
        finally:
            slot.close()

    def replace_card(self, reader, vreader, place):
        """place: reader and slot, as vreader ctl has them."""
        vreader.ctl("remove", place)
        reader.slot.await_presence(ifdh.ICC_NOT_PRESENT)
        vreader.ctl("insert", place)
        reader.slot.await_presence(ifdh.ICC_PRESENT)
        self.connect(reader.slot, reader.protocol)
        reader.run((0, 1))

    def unplug(self, reader, vreader):
        vreader.ctl("unplug", 0)
        reader.slot.await_presence(ifdh.NO_SUCH_DEVICE)

    def test_own_profiles(self):
        for profile, protocol in itertools.product(PROFILES, (0, 1)):
            with self.subTest(profile=profile, protocol=protocol):
                vreader = harness.VReader(self, name=f"{profile}{protocol}", profile=profile,
                    protocol=f"t{protocol}")
                level = {"extended": "extended_apdu", "short": "short_apdu"}.get(profile, profile)
                with self.reader(0, vreader.device(), protocol, level) as reader:
                    reader.run((*LENGTHS, LONGEST))
                    self.replace_card(reader, vreader, 0)
                    self.unplug(reader, vreader)
                vreader.program.stop_well()

    def test_own_classes(self):
        """The same as with real readers, for one of each kind."""
        seen = set()
        for interface in own_interfaces():
            for protocol in (0, 1):
                with self.subTest(interface=interface, protocol=protocol):
                    self.assertIn(self.one_device([interface], protocol, seen),
                        (["good"], ["not offered"]))

    @unittest.skipUnless(COLLECTION.exists(), f"needs {COLLECTION}")
    def test_real_readers(self):
        """The results are in TABLE, a row for each reader; printed are how many there are of which,
        and those that are not served in full."""
        devices = devices_of(json.loads(COLLECTION.read_text()))
        step = int(os.environ.get("CARDWIRE_READERS", "4" if harness.PRELOAD else "1"))
        seen = set()
        rows = []
        for interfaces in devices[::step]:
            results = [self.one_device(interfaces, protocol, seen) for protocol in (0, 1)]
            rows += [(reader, *row) for reader, *row in zip(interfaces, *results)]
        self.write_table(rows)
        counts = collections.Counter(self.verdict(row[1:]) for row in rows)
        print(f"{len(rows)} readers: "
            + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
            + f"; see {TABLE}")
        for row in rows:
            if self.verdict(row[1:]) != "good":
                print(self.row(*row))
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
        results = []
        slot = 0  # of the device, over all its interfaces
        for reader in interfaces:
            results.append(self.one_interface(reader, protocol, vreader, f"0.{slot}", seen))
            slot += field(reader, 4, "B") + 1
        vreader.program.stop_well()
        return results

    def one_interface(self, reader, protocol, vreader, place, seen):
        level = level_of(reader)
        lengths = LENGTHS
        # The longest length, which takes long, only with the first good one of each kind.
        if EVERY_LENGTH or (level, protocol) not in seen:
            lengths += (LONGEST,)
        name = f"{reader['vid']}:{reader['pid']}"
        good = "good"
        if (name, protocol) in SHORT_MESSAGES:
            # A message is 10 bytes more than a case 4 command, which is 6 more than its data.
            longest = field(reader, 44, "<I")
            lengths = [n for n in lengths if n + 16 <= longest]
            good = SHORT_ONLY
        if name in UNUSABLE:
            return UNUSABLE[name]
        if not field(reader, 6, "<I") & 1 << protocol:
            return "not offered"
        number = reader["interface"]["bInterfaceNumber"]
        try:
            with self.reader(0, f"{vreader.device()}:1.{number}", protocol, level) as used:
                used.run(lengths)
                if not is_token(reader):
                    self.replace_card(used, vreader, place)
                self.unplug(used, vreader)
            vreader.ctl("plug", 0)
        except AssertionError as error:
            return f"failed: {error}"
        if good != SHORT_ONLY:
            seen.add((level, protocol))
        return good


if __name__ == "__main__":
    unittest.main()
