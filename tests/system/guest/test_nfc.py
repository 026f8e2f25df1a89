# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own driver for NFC readers takes a virtual reader with raw-command firmware before us: it is
named, and loses the reader to us and gets it back, or keeps it, as the quirk file says."""

import glob
import os
import tempfile
import unittest

from guestlib import DRIVERS, LIBDIR, STAGE, eventually, process, run, usbip_attach, usbip_detach_all, vreader

KERNEL_DRIVER = "pn533_usb"
READER = "[reader]\nMatchUsb=072F:2200\ncontactless-dialect=pn532\n"


def driver():
    """What has the interface of the virtual reader; "" for nobody."""
    for folder in glob.glob("/sys/bus/usb/devices/*:1.0"):
        try:
            with open(f"{folder}/../manufacturer") as file:
                if "Cardwire" in file.read():
                    return os.path.basename(os.path.realpath(f"{folder}/driver")) \
                        if os.path.exists(f"{folder}/driver") else ""
        except OSError:
            continue
    return None


@unittest.skipIf("not found" in run("modinfo", KERNEL_DRIVER, check=False), f"the kernel has no {KERNEL_DRIVER}")
class KernelNfc(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pcscd-")
        self.socket = f"{self.folder}/pcscd.comm"
        os.mkdir(f"{self.folder}/reader.conf.d")
        os.mkdir(f"{self.folder}/quirks")
        self.env = {"PCSCLITE_CSOCK_NAME": self.socket, "LD_LIBRARY_PATH": str(LIBDIR)}
        self.addCleanup(usbip_detach_all)

    def daemon(self, quirks):
        with open(f"{self.folder}/quirks/50-test.quirks", "w") as file:
            file.write(quirks)
        return process(STAGE / "usr/sbin/pcscd", "-f", "-d", "--socket", self.socket, "--drivers", DRIVERS, "-c",
                       f"{self.folder}/reader.conf.d", ready_fd=True,
                       env={"CARDWIRE_QUIRKS": f"{self.folder}/quirks"})

    def attach(self):
        run("modprobe", KERNEL_DRIVER)
        usbip_attach("1-1")
        eventually(lambda: driver() == KERNEL_DRIVER, what="the kernel's driver for the reader")

    def test_taken_and_given_back(self):
        with vreader("--profile", "contactless-raw", "--id", "072f:2200", "--card", "none") as reader:
            self.attach()
            with self.daemon(READER) as daemon:
                eventually(lambda: f"taken from kernel driver {KERNEL_DRIVER}" in daemon.log.read_text(),
                           what=f"the kernel's driver in {daemon.log.read_text()[-3000:]}")
                reader.ctl("insert", "0", "tag-a")
                eventually(lambda: "Yes" in run("opensc-tool", "-l", env=self.env, check=False),
                           what="reader with a tag")
                self.assertIn("SW1=0x90", run("opensc-tool", "--card-driver", "default", "-s",
                                              "80:EC:00:00:02:01:02:00", env=self.env, check=False))
                self.assertNotEqual(driver(), KERNEL_DRIVER)
            eventually(lambda: driver() == KERNEL_DRIVER, what="the kernel's driver to be back")

    def test_left(self):
        with vreader("--profile", "contactless-raw", "--id", "072f:2200", "--card", "none"):
            self.attach()
            with self.daemon(READER + "detach-kernel-driver=no\n") as daemon:
                eventually(lambda: f"in use by kernel driver {KERNEL_DRIVER}" in daemon.log.read_text(),
                           what=f"the kernel's driver in {daemon.log.read_text()[-3000:]}")
                self.assertEqual(driver(), KERNEL_DRIVER)


if __name__ == "__main__":
    unittest.main()
