# SPDX-License-Identifier: BSD-3-Clause
"""Readers with faults, and what it looks like when they work: for the tests of quirk files."""

import os
import re
import shutil
import struct
import threading
import time

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
        offset, form = {"pin": (52, "<B"), "rate": (23, "<I"), "rates": (27, "<B"),
            "protocols": (6, "<I"), "voltages": (5, "<B"), "clock": (10, "<I"),
            "busy": (53, "<B")}[place]
        struct.pack_into(form, descriptor, offset, value)
    return descriptor.hex()


def reader(number, bcd="0100", features=EXTENDED | ccidprofile.AUTOMATIC, message=271, shows=None,
        interface_class=11, interface=0, slots=1, endpoints=3, usb_protocol=0, **fields):
    """A profile: what the reader does, and what it shows instead (features, message)."""
    profile = ccidprofile.interface(number=interface, slots=slots, features=features,
        message=message, endpoints=endpoints)
    profile["interface"]["bInterfaceProtocol"] = usb_protocol
    profile["vid"], profile["pid"] = number.split(":")
    profile["bcdDevice"] = bcd
    profile["interface"]["bInterfaceClass"] = interface_class
    profile["ccid_descriptor_hex"] = described(features, message, slots, **fields)
    if shows:
        profile["shown_descriptor_hex"] = described(*shows)
    return profile


class Case:
    """One fault: the reader, its faults, what it answers to Escapes, and how one sees that it works.

    works(test, slot, vreader, protocol) is true when it does. shows: the properties of quirk files
    whose work it is.
    """

    def __init__(self, profile, works=None, faults="", escapes=(), protocol=1, card=(), options=0,
            language="C", slot=0, shows=()):
        self.profiles = profile if isinstance(profile, list) else [profile]
        self.works = works or echoes
        self.faults = faults
        self.escapes = escapes
        self.protocol = protocol
        self.card = card
        self.options = options
        self.language = language
        self.slot = slot
        self.shows = shows.split() if isinstance(shows, str) else list(shows)

    def name(self):
        return f"{self.profiles[0]['vid']}:{self.profiles[0]['pid']} {self.profiles[0]['bcdDevice']}"


def both_take(slots):
    """How long it is, in seconds, until all of the slots have had an answer that they ask for at once."""
    start = time.monotonic()
    threads = [threading.Thread(target=slot.transmit, args=(ECHO, 1)) for slot in slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - start


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


def gives_extended(length):
    """The same, asked for by an extended Le."""
    def works(test, slot, vreader, protocol):
        data = bytes((i ^ i >> 8) & 0xFF for i in range(length)) + b"\x90\x00"
        command = bytes([0x80, 0xED, length >> 8, length & 0xFF, 0, 0, 0])
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


def becomes_reader(test, slot, vreader, protocol):
    """A device that is none at first, and comes back as one."""
    test.assertNotEqual(slot.opened, 0)
    if "unplugged" not in vreader.ctl("list"):
        return False
    vreader.ctl("plug", 0)
    again = ifdh.Slot(slot, 0, vreader.device())
    try:
        return echoes(test, again, vreader, protocol)
    finally:
        again.close()


def first_slot_works(test, slot, vreader, protocol):
    """Whatever is the matter with the second."""
    second = ifdh.Slot(slot, 1, vreader.device())
    try:
        return second.power()[0] != 0 and echoes(test, slot, vreader, protocol)
    finally:
        second.close()


def behind_endpoints(profile):
    profile["descriptor_location"] = {"where": "last_endpoint_extra"}
    return profile


def raw(profile, descriptor):
    profile["shown_descriptor_hex"] = descriptor
    return profile


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


class Attempts(harness.CardwireTest):
    """A test that tries readers with and without quirk files."""

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
        """Whether the reader works with the quirk files of a folder. `applied`: the properties that the
        driver has recorded."""
        os.environ["CARDWIRE_QUIRKS"] = str(folder)
        os.environ["LANG"] = case.language
        vreader = self.vreader(case)
        first = None
        if case.slot:
            first = ifdh.Slot(self.handler(case.options), 0, vreader.device())
        slot = ifdh.Slot(self.handler(case.options), case.slot, vreader.device())
        self.applied = set(re.findall(r"^[\d.]+ quirk ([a-z0-9-]+) = ",
            ifdh.recording(slot, vreader.device()), re.MULTILINE))
        try:
            return case.works(self, slot, vreader, case.protocol)
        finally:
            for opened in (slot, first):
                if opened and opened.opened == 0:
                    opened.close()
            vreader.program.stop_well()
