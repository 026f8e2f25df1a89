# SPDX-License-Identifier: BSD-3-Clause
"""PIN entry at the reader through the daemon: what ends it, and where the PIN never is.
CARDWIRE_PIN_ENTRIES is the number of entries during which memory is searched, 10000 in full."""

import os
import random
import re
import signal
import time
import unittest

import harness
import part10

ENTRIES = int(os.environ.get("CARDWIRE_PIN_ENTRIES", "300"))
READER = "Pad 00 00"
FORM = part10.Format()
APDU = b"\x00\x20\x00\x81\x08" + b"\xff" * 8


class Pad:
    """A reader with a PIN pad, a daemon, a client with the card; see the cases."""

    library = "ours"
    profile, protocol = "extended", "t1"
    options = ()
    env = None

    def setUp(self):
        super().setUp()
        self.vreader = harness.VReader(self, profile=self.profile, protocol=self.protocol,
            card="pin-oracle", extra=["--pinpad"])
        self.pad = part10.PinPad(self.vreader)
        self.daemon = harness.Pcscd(self,
            harness.reader_entry("Pad", self.vreader.device(), harness.CCID_LIBRARY),
            options=self.options, env=self.env)
        self.client, self.context, self.handle = self.connected()

    def connected(self):
        client = harness.Client(self, self.daemon, self.library)
        context = client.establish()
        return client, context, self.present(client, context, READER)

    def verify(self, **options):
        return part10.VERIFY_DIRECT, part10.verify(FORM, APDU, **options).hex()

    def begin(self, client, handle, **options):
        """An entry for which the reader asks; the call under way."""
        call = client.start("control", handle, *self.verify(**options))
        deadline = time.monotonic() + harness.CALL_S
        while self.pad.prompt() != "Enter your PIN":
            self.assertLess(time.monotonic(), deadline)
            self.assertFalse(call.done())
        return call

    def ended_within(self, start, seconds=1):
        self.assertLess(time.monotonic() - start, harness.bound(seconds))

    def still_works(self, client, handle):
        self.pad.forget_keys()
        self.pad.keys("1234E")
        self.assertEqual(client.control(handle, *self.verify()), "9000")


@harness.with_each_library
class Ends(Pad):
    """Everything that ends an entry before the user does."""

    def test_feature_list(self):
        answer = bytes.fromhex(self.client.control(self.handle, part10.GET_FEATURES))
        self.assertIn(6, part10.parse_features(answer))

    def test_entry(self):
        self.still_works(self.client, self.handle)
        self.pad.keys("12X")
        self.assertEqual(self.client.control(self.handle, *self.verify()), "6401")

    def test_cancelled(self):
        if self.library != "ours":
            self.skipTest("the stock library keeps SCardCancel for SCardGetStatusChange")
        for _ in range(5):
            call = self.begin(self.client, self.handle)
            start = time.monotonic()
            self.client.cancel(self.context)
            self.assertEqual(call.rv(), "SCARD_E_CANCELLED")
            self.ended_within(start)
            self.still_works(self.client, self.handle)

    def test_cancel_of_another_context(self):
        other, context, _ = self.connected()
        call = self.begin(self.client, self.handle)
        other.cancel(context)
        self.pad.keys("1234E")
        self.assertEqual(call.value(), "9000")

    def test_client_dies(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            self.begin(self.client, self.handle)
            start = time.monotonic()
            self.client.send_signal(number)
            while self.pad.prompt() != "Given up":
                self.ended_within(start)
            self.client, self.context, self.handle = self.connected()
            self.still_works(self.client, self.handle)

    def test_unplugged(self):
        call = self.begin(self.client, self.handle)
        start = time.monotonic()
        self.vreader.ctl("unplug", 0)
        self.assertNotEqual(call.rv(), "SCARD_S_SUCCESS")
        self.ended_within(start)

    def test_card_taken_out(self):
        call = self.begin(self.client, self.handle)
        start = time.monotonic()
        self.vreader.ctl("remove", 0)
        self.assertNotEqual(call.rv(), "SCARD_S_SUCCESS")
        self.ended_within(start)

    def test_daemon_stops(self):
        call = self.begin(self.client, self.handle)
        start = time.monotonic()
        self.daemon.stop()
        self.assertNotEqual(call.rv(), "SCARD_S_SUCCESS")
        self.ended_within(start, 3)


class Lease(Pad, harness.CardwireTest):
    options = ("--lease", "1")

    def test_an_entry_is_activity(self):
        waiter, _, handle = self.connected()
        self.client.begin(self.handle)
        call = self.begin(self.client, self.handle, timeout=10)
        waiting = waiter.start("begin", handle)
        # Typed so slowly that the lease is over before.
        self.pad.keys("1234E", 500)
        self.assertEqual(call.value(), "9000")
        self.assertFalse(waiting.done())
        self.client.end(self.handle)
        self.assertEqual(waiting.rv(), "SCARD_S_SUCCESS")


def memory_of(pid):
    """What a process has in memory that can be read."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if "r" not in rights or "[v" in line:
                continue
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except OSError:
                pass


def encodings(digits):
    """What a PIN may look like in memory: also as BCD that begins at a half byte, of which both ends
    may belong to other digits."""
    packed = bytes.fromhex(digits)
    shifted = bytes.fromhex("f" + digits + "f")[1:-1]
    values = bytes(int(d) for d in digits)
    return {digits.encode(), packed, shifted, values, packed.hex().encode(),
        values.hex().encode(), digits.encode().hex().encode()}


@unittest.skipIf(harness.PRELOAD, "the sanitizer's memory is too much to search")
class Memory(Pad, harness.CardwireTest):
    """The PIN stays in the reader. All PINs of a run have the same twelve digits in the middle, so
    that one search finds each of them, whatever comes before and behind."""

    def search(self, patterns):
        found = set()
        for pid in (self.daemon.program.pid, self.client.pid):
            searched = 0
            for part in memory_of(pid):
                searched += len(part)
                found |= {(pid, m.group()) for m in re.finditer(patterns, part)}
            self.assertGreater(searched, 1 << 20)
        return found

    def test_search_finds_what_is_there(self):
        # In clear a PIN is in the client's memory at least: Python keeps it.
        core = "481516234207"
        self.client.transmit(self.handle, "002000810c" + core.encode().hex())
        self.assertTrue(self.search(b"|".join(map(re.escape, encodings(core)))))

    def test_never_in_memory(self):
        choose = random.Random()
        core = "".join(choose.choice("0123456789") for _ in range(12))
        patterns = b"|".join(map(re.escape, encodings(core)))
        forms = [part10.Format(kind, right, 8 if kind == part10.BCD else 15) for kind in range(3)
                 for right in (False, True)]
        forms += [part10.Format(kind, False, 0) for kind in range(3)]
        for n in range(ENTRIES):
            form = choose.choice(forms)
            pins = [f"{choose.randrange(100)}{core}{choose.randrange(10)}" for _ in "12"]
            data = b"\xff" * form.size
            if choose.random() < 0.5:
                self.pad.keys(pins[0] + "E")
                code, structure = part10.VERIFY_DIRECT, part10.verify(
                    form, b"\x00\x20\x00\x81" + bytes([len(data)]) + data)
            else:
                self.pad.keys(pins[0] + "E" + 2 * (pins[1] + "E"))
                code, structure = part10.MODIFY_DIRECT, part10.modify(form,
                    b"\x00\x24\x00\x81" + bytes([2 * len(data)]) + 2 * data, new=len(data))
            self.assertEqual(self.client.control(self.handle, code, structure.hex()), "9000")
            if n % (ENTRIES // 3) == 0:
                self.assertEqual(self.search(patterns), set())
        self.assertEqual(self.search(patterns), set())
        # The card has got them all.
        count = self.client.transmit(self.handle, "80D2000006")[:4]
        self.assertEqual(int(count, 16), ENTRIES)


class MemoryTpdu(Memory):
    profile = "tpdu"


class Masked(Pad, harness.CardwireTest):
    """A PIN in clear, which a reader with a PIN pad takes like any other."""

    options = ("--apdu",)
    env = {"LIBCCID_ifdLogLevel": "15"}

    def test_in_no_log(self):
        core = "481516234207"
        self.client.transmit(self.handle, "002000810c" + core.encode().hex())
        program = self.daemon.program
        program.wait_line(r"APDU: 00 20 00 81 0C( \*\*)+$")
        program.wait_line(r"-> 00 20 00 81 \*\* \(13 bytes\)$")
        program.wait_line("SW: ")
        log = program.text().lower()
        self.assertNotIn(core, log)
        self.assertNotIn(core.encode().hex(), log.replace(" ", ""))


if __name__ == "__main__":
    unittest.main()
