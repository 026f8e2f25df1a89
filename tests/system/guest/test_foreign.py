# SPDX-License-Identifier: BSD-3-Clause
"""Debian's own daemon and driver, over the kernel's USB/IP host, read our virtual readers."""

import re
import unittest
from pathlib import Path

from guestlib import (eventually, install_debian, process, run, stop_service, usbip_attach, usbip_detach_all,
                      vreader)


PLIST = Path("/usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents/Info.plist")


def list_reader(vendor, product, name):
    """Adds a reader to the list of those that Debian's driver serves: the first of three parallel arrays."""
    text = PLIST.read_text()
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

    def read_card(self, *options):
        with vreader(*options):
            usbip_attach("1-1")
            with process("/usr/sbin/pcscd", "-f", "-d") as daemon:
                try:
                    eventually(lambda: "Nr." in run("opensc-tool", "-l", check=False),
                               what="reader listed")
                    answer = run("opensc-tool", "--card-driver", "default", "-a", "-s",
                                 "00:A4:00:00:02:3F:00", "-s", "00:A4:00:0C:02:2F:00", "-s", "00:B0:00:00:10")
                    self.assertIn("3b:", answer)
                    self.assertRegex(answer, r"(?s)(SW1=0x(90|61).*){3}")
                except AssertionError as error:
                    raise AssertionError(f"{error}\n{daemon.log.read_text()[-6000:]}") from error

    def test_extended_t0(self):
        self.read_card("--profile", "extended", "--protocol", "t0")

    def test_extended_t1(self):
        self.read_card("--profile", "extended", "--protocol", "t1")

    def test_short_t0(self):
        self.read_card("--profile", "short", "--protocol", "t0")

    def test_short_t1(self):
        self.read_card("--profile", "short", "--protocol", "t1")

    def test_tpdu_t0(self):
        self.read_card("--profile", "tpdu", "--protocol", "t0")

    def test_tpdu_t1(self):
        self.read_card("--profile", "tpdu", "--protocol", "t1")


if __name__ == "__main__":
    unittest.main()
