# SPDX-License-Identifier: BSD-3-Clause
"""PINs typed at the reader: the driver alone, against a virtual reader with a PIN pad and a card
that knows where each bit of a PIN block belongs. CARDWIRE_PIN_MATRIX=full tries every combination."""

import itertools
import os
import random
import re
import threading
import time
import unittest

import ccidprofile
import harness
import ifdh
import part10
from part10 import ASCII, BCD, BINARY, Format

FULL = os.environ.get("CARDWIRE_PIN_MATRIX") == "full"
SAMPLE = 300 if harness.PRELOAD else 1000  # combinations of each kind and reader, unless FULL
SEED = 7


class PadTest(harness.CardwireTest):
    """One reader with a PIN pad, its card under power."""

    def open(self, profile="extended", protocol="t1", card="pin-oracle", pinpad=True, extra=()):
        self.profile, self.protocol = profile, int(protocol[1])
        extra = ["--pinpad", *extra] if pinpad else extra
        self.vreader = harness.VReader(self, profile=profile, protocol=protocol, card=card,
            extra=extra)
        self.pad = part10.PinPad(self.vreader)
        self.slot = ifdh.Slot(ifdh.Handler(harness.CCID_LIBRARY), 0, self.vreader.device())
        self.assertEqual(self.slot.opened, ifdh.SUCCESS)
        self.addCleanup(self.slot.close)
        self.activate()

    def activate(self):
        self.slot.await_presence(ifdh.ICC_PRESENT)
        self.assertEqual(self.slot.power()[0], ifdh.SUCCESS)
        self.assertEqual(self.slot.set_protocol(self.protocol), ifdh.SUCCESS)

    def transmit(self, command):
        code, answer = self.slot.transmit(command, self.protocol)
        self.assertEqual(code, ifdh.SUCCESS)
        return answer

    def control(self, number, data=b""):
        code, answer = self.slot.control(number, data)
        self.assertEqual(code, ifdh.SUCCESS)
        return answer

    def expect(self, header, pins, rest):
        """Tells the card what its next PIN command has to be."""
        data = bytes(header) + bytes([len(pins)]) + b"".join(pins) + bytes(rest)
        self.assertLess(len(data), 256)
        self.assertEqual(self.transmit(bytes((0x80, 0xD0, 0, 0, len(data))) + data), b"\x90\x00")

    def seen(self):
        """PIN commands that the card has got since it has power."""
        return int.from_bytes(self.transmit(b"\x80\xD2\x00\x00\x06")[:2], "big")

    def simple(self, digits="1234", **options):
        """A PIN_VERIFY of 8 bytes ASCII and what the card has to see of it."""
        form = Format()
        header = b"\x00\x20\x00\x81"
        filler = b"\xff" * 8
        self.expect(header, [form.expected([int(d) for d in digits])], filler)
        return part10.verify(form, header + b"\x08" + filler, **options)

    def still_works(self):
        structure = self.simple("4711")
        self.pad.forget_keys()
        self.pad.keys("4711E")
        self.assertEqual(self.control(part10.VERIFY_DIRECT, structure), b"\x90\x00")


def formats(kind, right, digits, where):
    """Formats that hold as many digits, with the length in the given place; None: it can't be."""
    width = 4 if kind == BCD else 8
    lengths = {"nowhere": {}, "nibble": {"length_bits": 4, "length_position": 4},
        "byte": {"length_bits": 8, "length_position": 0, "length_bytes": True},
        "bits": {"length_bits": 5, "length_position": 2}}
    if digits >> lengths[where].get("length_bits", 8):
        return
    start = {"nowhere": 0, "nibble": 1, "byte": 1, "bits": 1}[where]
    for size in {8, 15, (digits * width + 7) // 8}:
        if 0 < size < 16 and digits * width <= 8 * size:
            yield Format(kind, right, size, start, True, **lengths[where])
    if where == "bits":
        # The digits need not begin at a byte.
        yield Format(kind, right, 9 if kind == BCD else 15, 7, False, **lengths[where])
    yield Format(kind, right, 0, start, True, **lengths[where])


def combinations():
    """Kind, justification, length, place of the length: everything about one PIN block."""
    for kind, right, digits, where in itertools.product((BINARY, BCD, ASCII), (False, True),
            range(17), ("nowhere", "nibble", "byte", "bits")):
        for form in formats(kind, right, digits, where) or ():
            if digits * form.width <= 8 * form.size or form.size == 0:
                yield form, digits


class Matrix:
    """Run on each kind of reader and protocol; see the end."""
    profile = protocol = None

    def setUp(self):
        super().setUp()
        self.open(self.profile, self.protocol)
        self.choose = random.Random(SEED)
        self.tried = 0

    def tearDown(self):
        # A matrix with holes would be none.
        self.assertGreater(self.tried, SAMPLE // 2)
        super().tearDown()

    def cases(self, *others):
        cases = list(itertools.product(list(combinations()), *others))
        self.choose.shuffle(cases)
        return cases if FULL else cases[:SAMPLE]

    def digits(self, count):
        return [self.choose.randrange(10) for _ in range(count)]

    def ending(self, digits, validation):
        """(keys, most digits) of an entry that ends by one of these conditions; None: by none."""
        if validation & part10.MAX_SIZE and digits and self.choose.random() < 0.5 or not (
                validation & part10.KEY):
            if not digits or not validation & part10.MAX_SIZE:
                return None
            return "".join(map(str, digits)), len(digits)
        return "".join(map(str, digits)) + "E", len(digits) + 1 + self.choose.randrange(3)

    def apdu(self, ins, data, le):
        """A command with these data; with a header only when there are none."""
        header = bytes((self.choose.choice((0x00, 0x80)), ins, 0, self.choose.randrange(256)))
        if data:
            return header, header + bytes([len(data)]) + data + (b"\x00" if le else b"")
        return header, header + self.choose.choice((b"", b"\x00"))

    def check(self, code, structure, keys, what):
        before = self.vreader.stats()["messages_out"]
        self.pad.keys(keys)
        answer = self.control(code, structure)
        self.assertEqual(answer, b"\x90\x00", (what, structure.hex()))
        # No block was repeated and nothing resynchronised.
        self.assertEqual(self.vreader.stats()["messages_out"] - before, 1, what)
        self.tried += 1

    def test_verify(self):
        for (form, count), messages, validation in self.cases((0, 1, 0xFF), (1, 2, 3, 5, 6, 7)):
            digits = self.digits(count)
            ending = self.ending(digits, validation)
            if not ending:
                continue
            keys, most = ending
            before = self.choose.randbytes(form.digits_at // 8 + (form.digits_at % 8 != 0))
            if form.size and self.choose.random() < 0.1:
                # A template without data: the reader makes them.
                template, rest = b"", bytes(form.span)
            elif form.size:
                template = before + self.choose.randbytes(form.size + self.choose.randrange(3))
                rest = template
            else:
                after = self.choose.randbytes(self.choose.randrange(3))
                template = before + after
                rest = before + b"\xff" * form.grown(digits) + after
            header, apdu = self.apdu(0x20, template, self.choose.random() < 0.3)
            self.expect(header, [form.expected(digits)], rest)
            structure = part10.verify(form, apdu, fewest=self.choose.randrange(count + 1),
                most=max(most, 1), validation=validation, messages=messages,
                language=self.choose.choice((0, 0x0407, 0x0409)), index=self.choose.randrange(4))
            self.check(part10.VERIFY_DIRECT, structure, keys, (form, digits, validation))

    def modification(self, form, digits, again, confirm):
        """Template, data expected, descriptions, offsets."""
        old = self.digits(self.choose.randrange(16)) if confirm & part10.OLD else []
        if form.size:
            old = old[:min(form.size * 8 // form.width, (1 << (form.length_bits or 8)) - 1)]
        elif form.length_bits:
            old = old[:(1 << form.length_bits) - 1]
        head = self.choose.randbytes(form.digits_at // 8 + (form.digits_at % 8 != 0))
        gap = self.choose.randbytes(self.choose.randrange(3))
        if form.size and self.choose.random() < 0.1:
            new_at = form.span if confirm & part10.OLD else 0
            expected = [form.expected(digits, new_at)]
            if confirm & part10.OLD:
                expected.insert(0, form.expected(old, 0))
            return old, b"", bytes(new_at + form.span), expected, 0, self.choose.choice((0, new_at))
        if form.size:
            part = head + self.choose.randbytes(form.size)
            template = (part if confirm & part10.OLD else b"") + gap + part
            new_at = len(template) - len(part)
            expected = [form.expected(digits, new_at)]
            if confirm & part10.OLD:
                expected.insert(0, form.expected(old, 0))
            return old, template, template, expected, 0, new_at
        # Without a block size the first PIN moves the second.
        if not confirm & part10.OLD:
            rest = gap + head + b"\xff" * form.grown(digits)
            return old, gap + head, rest, [form.expected(digits, len(gap))], 0, len(gap)
        template = head + gap + head
        rest = head + b"\xff" * form.grown(old) + gap + head + b"\xff" * form.grown(digits)
        new_at = len(head) + len(gap)
        return old, template, rest, [form.expected(old, 0),
            form.expected(digits, new_at + form.grown(old))], 0, new_at

    def test_modify(self):
        for (form, count), messages, validation, confirm in self.cases((0, 1, 2, 3, 0xFF),
                (1, 2, 3, 6, 7), (0, 1, 2, 3)):
            digits = self.digits(count)
            old, template, rest, expected, old_at, new_at = self.modification(
                form, digits, 0, confirm)
            if not template and confirm & part10.OLD and form.size == 0:
                expected = [form.expected(old, 0), form.expected(digits, form.grown(old))]
            if len(rest) > 200:
                continue
            entries = ([old] if confirm & part10.OLD else []) + [digits] * (1 + confirm % 2)
            most = max(map(len, entries))
            if validation & part10.MAX_SIZE:
                if not validation & part10.KEY and (most == 0 or len({*map(len, entries)}) > 1):
                    continue
                keys = "".join("".join(map(str, e)) + ("" if len(e) == most and most else "E")
                               for e in entries)
            else:
                keys = "".join("".join(map(str, e)) + "E" for e in entries)
            if validation == part10.MAX_SIZE and "E" in keys:
                continue
            header, apdu = self.apdu(0x24, template, False)
            self.expect(header, expected, rest)
            structure = part10.modify(form, apdu, old=old_at, new=new_at, fewest=0, most=most,
                confirm=confirm, validation=validation, messages=messages,
                indexes=[self.choose.randrange(4) for _ in range(3)])
            self.check(part10.MODIFY_DIRECT, structure, keys,
                (form, old, digits, validation, confirm, messages))


class Outcomes:
    """What else can come of an entry. Run on each kind of reader and protocol."""
    profile = protocol = None

    def setUp(self):
        super().setUp()
        self.open(self.profile, self.protocol)

    def refused(self, structure, keys, sw, code=part10.VERIFY_DIRECT):
        """An entry that ends without the card; the next one works at once."""
        commands = self.seen()
        self.pad.forget_keys()
        if keys:
            self.pad.keys(keys)
        self.assertEqual(self.control(code, structure), sw)
        before = self.vreader.stats()["messages_out"]
        self.assertEqual(self.seen(), commands)
        self.assertEqual(self.vreader.stats()["messages_out"], before + 1)
        self.still_works()

    def test_cancelled(self):
        self.refused(self.simple(), "12X", part10.SW_CANCELLED)
        self.assertEqual(self.pad.prompt(), "Please wait")

    def test_too_short(self):
        self.refused(self.simple(fewest=4), "123E", part10.SW_LENGTH)

    def test_too_long(self):
        self.refused(self.simple(most=4), "12345E", part10.SW_LENGTH)

    def test_corrected(self):
        structure = self.simple("1234")
        self.pad.keys("99C1234E")
        self.assertEqual(self.control(part10.VERIFY_DIRECT, structure), b"\x90\x00")

    def change(self, **options):
        self.expect(b"\x00\x24\x00\x81",
            [Format().expected([1, 2, 3, 4]), Format().expected([5, 6, 7, 8], 8)], b"\xff" * 16)
        return part10.modify(
            Format(), b"\x00\x24\x00\x81\x10" + b"\xff" * 16, **options)

    def test_new_pins_that_differ(self):
        self.refused(self.change(), "1234E5678E5679E", part10.SW_MISMATCH, part10.MODIFY_DIRECT)

    def test_change_cancelled_at_each_entry(self):
        for keys in ("1X", "1234E5X", "1234E5678EX"):
            self.refused(self.change(), keys, part10.SW_CANCELLED, part10.MODIFY_DIRECT)

    def test_what_the_card_says_comes_back(self):
        structure = self.simple("1234")
        self.pad.keys("1235E")
        self.assertEqual(self.control(part10.VERIFY_DIRECT, structure), b"\x63\xc2")

    def begin(self, structure):
        """An entry that waits for the user; the thread's result comes in the list."""
        result = []
        thread = threading.Thread(target=lambda: result.extend(
            self.slot.control(part10.VERIFY_DIRECT, structure)))
        thread.start()
        self.addCleanup(thread.join)
        deadline = time.monotonic() + harness.CALL_S
        while self.pad.prompt() != "Enter your PIN":
            self.assertLess(time.monotonic(), deadline)
        return thread, result

    def test_given_up_by_the_host(self):
        for _ in range(3):
            thread, result = self.begin(self.simple())
            start = time.monotonic()
            self.slot.set(ifdh.TAG_ABORT)
            thread.join(harness.CALL_S)
            self.assertLess(time.monotonic() - start, harness.bound(1))
            self.assertNotEqual(result[0], ifdh.SUCCESS)
            self.still_works()

    def test_card_taken_out(self):
        thread, result = self.begin(self.simple())
        self.vreader.ctl("remove", 0)
        thread.join(harness.bound(1))
        self.assertFalse(thread.is_alive())
        self.assertEqual(result[0], ifdh.ICC_NOT_PRESENT)
        self.vreader.ctl("insert", 0, "pin-oracle")
        self.activate()
        self.still_works()

    def test_unplugged(self):
        thread, result = self.begin(self.simple())
        self.vreader.ctl("unplug", 0)
        thread.join(harness.bound(1))
        self.assertFalse(thread.is_alive())
        self.assertEqual(result[0], ifdh.NO_SUCH_DEVICE)


class Times(Outcomes):
    """Entries that take a second or more."""

    def test_nobody_types(self):
        start = time.monotonic()
        self.refused(self.simple(timeout=1), "", part10.SW_TIMEOUT)
        self.assertLess(time.monotonic() - start, harness.bound(3))

    def test_somebody_types_too_slowly(self):
        self.refused(self.simple(timeout=1), "123", part10.SW_TIMEOUT)

    def test_the_end_of_the_time_may_end_the_entry(self):
        structure = self.simple("123", timeout=1, validation=part10.TIME | part10.KEY)
        self.pad.keys("123")
        self.assertEqual(self.control(part10.VERIFY_DIRECT, structure), b"\x90\x00")

    def test_each_entry_has_the_time(self):
        """15 keys take longer than one entry may, 5 of them much less."""
        structure = self.change(timeout=4)
        self.pad.keys("1234E5678E5678E", 300)
        self.assertEqual(self.control(part10.MODIFY_DIRECT, structure), b"\x90\x00")


class Structures(PadTest):
    """Structures that are wrong go nowhere."""

    def setUp(self):
        super().setUp()
        self.open("short", "t1")

    HEADER = b"\x00\x20\x00\x81"
    APDU = HEADER + b"\x08" + b"\xff" * 8

    def test_refused(self):
        good = part10.verify(Format(), self.APDU, fewest=4, most=8)
        changed = lambda at, value: good[:at] + bytes([value]) + good[at + 1:]
        wrong = {
            "empty": b"", "short": good[:22], "cut": good[:-1], "too long": good + b"\0",
            "format 3": changed(2, 0x83), "length format": changed(4, 0x20),
            "fewest above most": changed(6, 9), "messages": changed(8, 2), "position": changed(2, 0x82 | 9 << 3),
            "length field behind the data": changed(3, 0x88)[:4] + b"\x1f" + good[5:],
            "length field too small": changed(3, 0x28),
            "block too small": changed(3, 0x03),
            "length": changed(15, 12), "Lc": good[:23] + b"\x09" + good[24:],
            "not an APDU": part10.verify(Format(), self.HEADER + b"\x02\xff"),
            "extended": part10.verify(Format(), self.HEADER + b"\0\0\x08" + b"\xff" * 8),
            "too much": part10.verify(
                Format(size=0), self.HEADER + b"\xfa" + b"\xff" * 250, most=255),
        }
        before = self.vreader.stats()["messages_out"]
        for what, structure in wrong.items():
            self.assertEqual(self.control(part10.VERIFY_DIRECT, structure), part10.SW_STRUCTURE, what)
        self.assertEqual(self.vreader.stats()["messages_out"], before)
        self.still_works()

    def test_modification_refused(self):
        apdu = b"\x00\x24\x00\x81\x10" + b"\xff" * 16
        good = part10.modify(Format(), apdu)
        changed = lambda at, value: good[:at] + bytes([value]) + good[at + 1:]
        wrong = {"empty": b"", "cut": good[:-1], "confirm": changed(9, 4), "messages": changed(11, 4),
            "overlap": changed(6, 7), "new behind the data": changed(6, 9),
            "old behind the data": changed(5, 20)}
        before = self.vreader.stats()["messages_out"]
        for what, structure in wrong.items():
            self.assertEqual(self.control(part10.MODIFY_DIRECT, structure), part10.SW_STRUCTURE, what)
        self.assertEqual(self.vreader.stats()["messages_out"], before)

    def test_numbers_of_the_other_byte_order(self):
        good = part10.verify(Format(), self.APDU, fewest=4, most=8)
        swapped = (good[:5] + good[6:4:-1] + good[7:9] + good[10:8:-1] + good[11:15]
            + good[18:14:-1] + good[19:])
        self.expect(self.HEADER, [Format().expected([1, 2, 3, 4])], b"\xff" * 8)
        self.pad.keys("1234E")
        self.assertEqual(self.control(part10.VERIFY_DIRECT, swapped), b"\x90\x00")
        self.assertEqual(self.pad.secure()[1][5:7], b"\x08\x04")

    def test_no_condition_means_the_key(self):
        """Nor one that there is not."""
        for validation in (0, 8, 0xFF):
            structure = self.simple("1234", validation=validation)
            self.pad.keys("1234E")
            self.assertEqual(self.control(part10.VERIFY_DIRECT, structure), b"\x90\x00")
            self.assertEqual(self.pad.secure()[1][7], part10.KEY)

    def test_pin_in_clear_is_still_possible(self):
        self.expect(self.HEADER, [Format().expected([1, 2, 3, 4])], b"\xff" * 8)
        self.assertEqual(self.transmit(self.HEADER + b"\x081234\xff\xff\xff\xff"), b"\x90\x00")


class Blocks(PadTest):
    def test_command_longer_than_a_block(self):
        self.open("tpdu", "t1", extra=["--card-option", "ifsc=40"])
        structure = part10.verify(Format(), b"\x00\x20\x00\x81\x25" + b"\xff" * 37, most=8)
        commands = self.seen()
        before = self.vreader.stats()["messages_out"]
        code, _ = self.slot.control(part10.VERIFY_DIRECT, structure)
        self.assertNotEqual(code, ifdh.SUCCESS)
        self.assertEqual(self.vreader.stats()["messages_out"], before)
        self.assertEqual(self.seen(), commands)
        self.assertEqual(self.vreader.stats()["messages_out"], before + 1)
        self.still_works()

    def test_block_check_by_crc(self):
        self.open("tpdu", "t1", extra=["--card-option", "crc=1"])
        for _ in range(5):
            self.still_works()


class Features(PadTest):
    def tags(self):
        features = part10.parse_features(self.control(part10.GET_FEATURES))
        self.assertEqual(self.control(part10.GET_FEATURES_WINDOWS),
            self.control(part10.GET_FEATURES))
        return features

    def test_reader_with_pad(self):
        self.open()
        self.assertEqual(self.tags(), {6: part10.VERIFY_DIRECT, 7: part10.MODIFY_DIRECT,
            10: part10.PIN_PROPERTIES, 0x11: part10.DISPLAY_PROPERTIES,
            0x12: part10.TLV_PROPERTIES})
        self.assertEqual(self.control(part10.PIN_PROPERTIES), b"\x10\x02\x07\x00")
        self.assertEqual(self.control(part10.DISPLAY_PROPERTIES), b"\x10\x00\x02\x00")
        tlv = part10.parse_tlv(self.control(part10.TLV_PROPERTIES))
        self.assertEqual(tlv, {1: b"\x10\x02", 4: b"\x10\x00", 5: b"\x02\x00", 3: b"\x00",
            2: b"\x07", 0x0B: b"\x09\x12", 0x0C: b"\x01\x00", 0x0A: b"\x00\x00\x01\x00"})

    def test_reader_without(self):
        self.open(pinpad=False)
        self.assertEqual(self.tags(), {0x12: part10.TLV_PROPERTIES})
        for code in (part10.VERIFY_DIRECT, part10.MODIFY_DIRECT, part10.PIN_PROPERTIES,
                part10.DISPLAY_PROPERTIES, part10.READER_DIRECT, part10.EXECUTE_PACE):
            self.assertNotEqual(self.slot.control(code, b"")[0], ifdh.SUCCESS)
        self.assertNotIn(2, part10.parse_tlv(self.control(part10.TLV_PROPERTIES)))

    def test_character_level_has_none(self):
        self.open("character", "t0")
        self.assertNotIn(6, self.tags())

    def open_pace(self, message=271):
        profile = ccidprofile.interface(features=ccidprofile.EXTENDED_APDU | ccidprofile.AUTOMATIC,
            message=message)
        descriptor = bytearray.fromhex(profile["ccid_descriptor_hex"])
        descriptor[52] = 0x33  # bPINSupport
        profile["ccid_descriptor_hex"] = descriptor.hex()
        self.open(ccidprofile.write(self.tmp / "pace.json", profile), pinpad=False)

    def test_pace(self):
        self.open_pace()
        self.assertEqual(self.tags()[0x20], part10.EXECUTE_PACE)
        # A bit map of what the reader can, one byte.
        self.vreader.ctl("escape", 0, "10", "60")
        self.vreader.ctl("escape", 0, "2003", "90000000000000")
        self.assertEqual(self.control(part10.EXECUTE_PACE, b"\x01\0\0"), b"\0\0\0\0\x01\0\x60")
        self.assertEqual(self.control(part10.EXECUTE_PACE, b"\x02\x05\0\x03\0\0\0\0"),
            b"\0\0\0\0\x07\0\x90\0\0\0\0\0\0")
        self.assertEqual(self.pad.secure()[1], b"")
        for wrong in (b"", b"\x01\0", b"\x01\x01\0", b"\x01\0\0\0"):
            self.assertEqual(self.control(part10.EXECUTE_PACE, wrong), part10.SW_STRUCTURE)
        self.assertNotEqual(self.slot.control(part10.EXECUTE_PACE, b"\x03\0\0")[0], ifdh.SUCCESS)

    def test_pace_password_is_not_recorded(self):
        """Whether the lengths around it are right or not."""
        self.open_pace()
        self.vreader.ctl("escape", 0, "2003", "90000000000000")
        for more in (b"\0\0", b"\1\0"):
            self.control(part10.EXECUTE_PACE, b"\x02\x0b\0\x03\0\x06471108" + more)
        text = ifdh.recording(self.slot, self.vreader.device())
        self.assertEqual(len(re.findall(r" call 0 control 42330020 02", text)), 2)
        self.assertEqual(len(re.findall(r" out \w\w ok 690C0000", text)), 2)
        self.assertNotIn(b"471108".hex(), text)

    def test_pace_with_a_certificate(self):
        """Its description is as long as it is; longer than the reader's messages it is refused."""
        self.open_pace(message=3000)
        self.vreader.ctl("escape", 0, "2003", "90000000000000")
        for length, fits in ((2500, True), (3000, False)):
            establish = b"\x03\0\0" + length.to_bytes(2, "little") + bytes(length)
            code, answer = self.slot.control(part10.EXECUTE_PACE,
                b"\x02" + len(establish).to_bytes(2, "little") + establish)
            self.assertEqual((code == ifdh.SUCCESS, len(answer)), (fits, 13 if fits else 0))

    def test_pace_that_the_user_ends(self):
        self.open_pace()
        script = self.tmp / "user.fault"
        script.write_text("on Secure 1 fail 0xEF\non Secure 2 fail 0xF0\non Secure 3 fail 0xFB\n")
        self.vreader.ctl("faults", 0, script)
        self.vreader.ctl("escape", 0, "2003", "90000000000000")
        establish = b"\x02\x05\0\x03\0\0\0\0"
        self.assertEqual(self.control(part10.EXECUTE_PACE, establish), b"\x01\0\x20\xf0\0\0")
        self.assertEqual(self.control(part10.EXECUTE_PACE, establish), b"\x02\0\x20\xf0\0\0")
        self.assertNotEqual(self.slot.control(part10.EXECUTE_PACE, establish)[0], ifdh.SUCCESS)
        self.assertEqual(self.control(part10.EXECUTE_PACE, establish)[:6], b"\0\0\0\0\x07\0")

    def test_prompts(self):
        self.open()
        self.pad.keys("1234E")
        self.control(part10.VERIFY_DIRECT, self.simple(messages=1, index=1, language=0x0407))
        self.assertIn("language 0407", self.vreader.ctl("display", 0))


def _make_cases():
    timed = (("short", "t1"), ("tpdu", "t1"))
    for profile, protocol in (("extended", "t0"), ("extended", "t1"), ("short", "t0"),
            ("short", "t1"), ("tpdu", "t0"), ("tpdu", "t1")):
        for base in (Matrix, Times if (profile, protocol) in timed else Outcomes):
            name = f"{base.__name__}{profile.capitalize()}{protocol.upper()}"
            globals()[name] = type(name, (base, PadTest),
                {"profile": profile, "protocol": protocol, "__module__": __name__})


_make_cases()

if __name__ == "__main__":
    unittest.main()
