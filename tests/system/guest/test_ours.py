# SPDX-License-Identifier: BSD-3-Clause
"""Our daemon and driver on real kernel USB: udev, libusb, QEMU's reader and our virtual one."""

import os
import tempfile
import unittest

from guestlib import (DRIVERS, Host, LIBDIR, STAGE, eventually, process, run, usbip_attach, usbip_detach_all,
                      vreader)


class OurStack(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pcscd-")
        self.socket = f"{self.folder}/pcscd.comm"
        os.mkdir(f"{self.folder}/reader.conf.d")
        self.env = {"PCSCLITE_CSOCK_NAME": self.socket, "LD_LIBRARY_PATH": str(LIBDIR)}

    def tearDown(self):
        usbip_detach_all()

    def daemon(self):
        return process(STAGE / "usr/sbin/pcscd", "-f", "-d", "--socket", self.socket, "--drivers",
                       DRIVERS, "-c", f"{self.folder}/reader.conf.d", ready_fd=True)

    def listed(self):
        return run("opensc-tool", "-l", env=self.env, check=False)

    def test_qemu_reader_plug_unplug(self):
        host = Host()
        with self.daemon() as daemon:
            for _ in range(3):
                host.command("device_add", driver="usb-ccid", id="rdr", bus="xhci.0")
                try:
                    eventually(lambda: "QEMU" in self.listed(), what="QEMU's reader listed")
                except AssertionError as error:
                    raise AssertionError(f"{error}\n{daemon.log.read_text()[-6000:]}") from error
                finally:
                    host.command("device_del", id="rdr")
                eventually(lambda: "QEMU" not in self.listed(), what="QEMU's reader gone")

    def test_vreader_through_the_kernel(self):
        for profile in ("extended", "short", "tpdu"):
            for protocol in ("t0", "t1"):
                with self.subTest(profile=profile, protocol=protocol), \
                        vreader("--profile", profile, "--protocol", protocol), self.daemon() as daemon:
                    usbip_attach("1-1")
                    try:
                        eventually(lambda: "Nr." in self.listed(), what="reader listed")
                        answer = run("opensc-tool", "--card-driver", "default", "-a", "-s",
                                     "00:A4:00:0C:02:2F:00", "-s", "00:B0:00:00:10", env=self.env)
                        self.assertIn("3b:", answer)
                        self.assertRegex(answer, r"(?s)(SW1=0x(90|61).*){2}")
                    except AssertionError as error:
                        raise AssertionError(f"{error}\n{daemon.log.read_text()[-6000:]}") from error
                    finally:
                        usbip_detach_all()
                    eventually(lambda: "Nr." not in self.listed(), what="reader gone")


if __name__ == "__main__":
    unittest.main()
