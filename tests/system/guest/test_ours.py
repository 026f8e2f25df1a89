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

    def daemon(self, *prefix):
        return process(*prefix, STAGE / "usr/sbin/pcscd", "-f", "-d", "--socket", self.socket, "--drivers",
                       DRIVERS, "-c", f"{self.folder}/reader.conf.d", ready_fd=True)

    def listed(self):
        return run("opensc-tool", "-l", env=self.env, check=False)

    def test_plug_unplug(self):
        self.plug_and_unplug()

    def without_udev(self, *unshare):
        self.plug_and_unplug("unshare", "--mount", *unshare, "sh", "-c",
                             "mount -t tmpfs none /run/udev && exec \"$@\"", "sh", log="no udev")

    def test_plug_unplug_without_udev(self):
        """As in an initramfs: the kernel's own events are heard."""
        self.without_udev()

    def test_plug_unplug_in_a_container(self):
        """Nor are the kernel's events: the nodes of devices are watched."""
        self.without_udev("--net")

    def plug_and_unplug(self, *prefix, log=""):
        host = Host()
        self.addCleanup(host.close)
        with self.daemon(*prefix) as daemon:
            self.assertIn(log, daemon.log.read_text())
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
