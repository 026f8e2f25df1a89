# SPDX-License-Identifier: BSD-3-Clause
"""Debian's own daemon and driver, over the kernel's USB/IP host, read our virtual readers."""

import contextlib
import re
import unittest
from pathlib import Path

from guestlib import (AUTOMATIC, Client, Watch, eventually, install_debian, process, profile, run, stop_service,
                      usbip_attach, usbip_detach_all, vreader)

PLIST = Path("/usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents/Info.plist")
PRESENT, EMPTY = 0x20, 0x10


def list_reader(vendor, product, name):
    """Adds a reader to the list of those that Debian's driver serves: the first of three parallel arrays."""
    text = PLIST.read_text()
    if f"<string>{name}</string>" in text:
        return
    for key, value in (("ifdVendorID", vendor), ("ifdProductID", product), ("ifdFriendlyName", name)):
        text, count = re.subn(rf"(<key>{key}</key>\s*<array>)", rf"\1<string>{value}</string>\n", text)
        assert count == 1, key
    PLIST.resolve().write_text(text)


class DebianReadsVreader(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        install_debian()
        stop_service()
        list_reader("0x1209", "0x0001", "Virtual reader")

    def tearDown(self):
        usbip_detach_all()

    @contextlib.contextmanager
    def stack(self, *options, readers=1, names=1):
        """Our readers on the bus and Debian's daemon: (vreader, client, its context, names)."""
        with vreader(*options, "--readers", readers) as virtual:
            for number in range(readers):
                usbip_attach(f"1-{number + 1}")
            with process("/usr/sbin/pcscd", "-f", "-d") as daemon, Client() as client:
                try:
                    context = client.value("establish")
                    found = eventually(lambda: len(seen := client.readers(context)) == names and seen,
                                       what=f"{names} readers")
                    yield virtual, client, context, found
                except AssertionError as error:
                    raise AssertionError(f"{error}\n{daemon.log.read_text()[-6000:]}") from error

    def connect(self, client, context, name):
        """The handle, once the daemon has powered the card."""
        return eventually(lambda: (card := client.call("connect", context, name))[0] == "SCARD_S_SUCCESS"
                          and card[1]["handle"], what=f"connected to {name}")

    def exchange(self, client, card, command):
        """At T=0 Debian's driver gives 61xx and 6Cxx to the application: it asks for the rest."""
        answer = client.value("transmit", card, command)
        if answer[-4:-2] == "6c":
            answer = client.value("transmit", card, command[:8] + answer[-2:])
        while answer[-4:-2] == "61":
            answer = answer[:-4] + client.value("transmit", card, "00c00000" + answer[-2:])
        return answer

    def use_card(self, client, context, name, host_does_t0=False):
        """Each case of an APDU."""
        card = self.connect(client, context, name)
        self.assertRegex(client.value("status", card)["atr"], "^3[bf]")
        pattern = bytes(range(255)).hex()
        for command, answer in (("00a4000c", "(9000|6...)"), ("00a4000c023f00", "9000"),
                                ("80ed001010", bytes(range(16)).hex() + "9000"),
                                ("80ed00ffff", pattern + "9000"),
                                ("80ec0000020102" + "00", "01029000"),
                                ("80ec0000ff" + pattern + "00", pattern + "9000")):
            if host_does_t0 and len(command) > 10:
                command = command[:10 + 2 * int(command[8:10], 16)]  # a TPDU has no Le behind data
            self.assertRegex(self.exchange(client, card, command), f"^{answer}$")
        return card

    def read_card(self, protocol, *options, host_does_t0=False):
        with self.stack("--protocol", protocol, *options) as (_, client, context, (name,)):
            self.use_card(client, context, name, host_does_t0)
            self.assertIn("3b:", run("opensc-tool", "-a"))

    def test_extended_t0(self):
        self.read_card("t0", "--profile", "extended")

    def test_extended_t1(self):
        self.read_card("t1", "--profile", "extended")

    def test_short_t0(self):
        self.read_card("t0", "--profile", "short")

    def test_short_t1(self):
        self.read_card("t1", "--profile", "short")

    def test_tpdu_t0(self):
        self.read_card("t0", "--profile", "tpdu", host_does_t0=True)

    def test_tpdu_t1(self):
        self.read_card("t1", "--profile", "tpdu")

    def test_character_t0(self):
        self.read_card("t0", "--profile", "character", host_does_t0=True)

    def test_character_t1(self):
        self.read_card("t1", "--profile", "character")

    def test_iccd_a(self):
        self.read_card("t0", "--profile", profile("character", 0x840, interface_protocol=1, endpoints=0,
                                                  protocols=1), host_does_t0=True)

    def test_iccd_b(self):
        self.read_card("t1", "--profile", profile("short", 0x840, interface_protocol=2, endpoints=0, protocols=2))

    def test_extended_in_parts(self):
        """Commands and answers of several messages of 271 bytes (CCID 1.1 §6.1.4)."""
        with self.stack("--protocol", "t1", "--profile", profile("extended", AUTOMATIC)) as (
                _, client, context, (name,)):
            self.echo(client, self.connect(client, context, name), 1000)

    def echo(self, client, card, length):
        data = bytes((i * 7 + (i >> 8)) & 0xFF for i in range(length)).hex()
        command = f"80ec000000{length:04x}{data}0000"
        self.assertTrue(client.value("transmit", card, command, timeout=60) == data + "9000", length)

    def test_extended_lengths(self):
        with self.stack("--protocol", "t1", "--profile", "extended") as (_, client, context, (name,)):
            card = self.connect(client, context, name)
            for length in (256, 257, 4096, 65535):
                self.echo(client, card, length)

    def test_two_slots(self):
        options = ("--protocol", "t1", "--profile", profile("short", AUTOMATIC, slots=2))
        with self.stack(*options, names=2) as (virtual, client, context, names):
            for name in names:
                self.use_card(client, context, name)
            with Watch() as watch:
                watch.reaches(lambda states: all(states.get(name, 0) & PRESENT for name in names))
                virtual.ctl("remove", "0.1")
                _, states = watch.reaches(lambda states: any(states.get(name, 0) & EMPTY for name in names))
                self.assertEqual(sorted(states[name] & (PRESENT | EMPTY) for name in names), [EMPTY, PRESENT])

    def test_four_readers(self):
        with self.stack("--protocol", "t1", readers=4, names=4) as (_, client, context, names):
            for name in names:
                self.use_card(client, context, name)

    def test_removal_and_insertion(self):
        with self.stack("--protocol", "t1") as (virtual, client, context, (name,)), Watch() as watch:
            card = self.connect(client, context, name)
            for _ in range(3):
                virtual.ctl("remove", "0")
                watch.reaches(lambda states: states.get(name, 0) & EMPTY, what="card removed")
                self.assertIn(client.call("transmit", card, "80ed000101")[0],
                              ("SCARD_W_REMOVED_CARD", "SCARD_E_NO_SMARTCARD", "SCARD_E_READER_UNAVAILABLE"))
                virtual.ctl("insert", "0")
                watch.reaches(lambda states: states.get(name, 0) & PRESENT, what="card inserted")
                card = self.connect(client, context, name)
                self.assertEqual(client.value("transmit", card, "80ed000101"), "009000")

    def test_unplugged(self):
        with self.stack("--protocol", "t1") as (virtual, client, context, (name,)):
            self.connect(client, context, name)
            virtual.ctl("unplug", "0")
            eventually(lambda: not client.readers(context), what="no reader left")
            virtual.ctl("plug", "0")
            usbip_attach("1-1")
            self.use_card(client, context, eventually(lambda: client.readers(context), what="reader back")[0])


if __name__ == "__main__":
    unittest.main()
