# SPDX-License-Identifier: BSD-3-Clause
"""Our packages over Debian's, installed again while in use, and replaced by Debian's."""

import unittest
from pathlib import Path

from guestlib import (NAMES, Client, Host, daemon_pid, debian_packages, dpkg, install_ours, installed_version,
                      our_packages, qemu_reader, restart_socket, run, systemctl)

READER = "[CCID Interface]"  # of QEMU's; the rest of its name is Gemalto's for Debian's driver


class Packages(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)

    def stack_works(self):
        with qemu_reader(self.host), Client() as client:
            client.wait_reader(client.value("establish"), READER)

    def test_1_over_debians_with_a_reader_plugged_in(self):
        """The reader becomes the new user's without being plugged in again."""
        self.assertNotIn("cardwire", installed_version())
        restart_socket()
        with qemu_reader(self.host):
            with Client() as client:
                client.wait_reader(client.value("establish"), READER)
            install_ours()
            self.assertEqual(systemctl("is-active", "pcscd.socket"), "active")
            self.assertEqual(systemctl("is-enabled", "pcscd.socket"), "enabled")
            with Client() as client:
                client.wait_reader(client.value("establish"), READER)
        self.assertEqual(run("dpkg", "--audit"), "")

    def test_2_again_while_in_use(self):
        install_ours()
        restart_socket()
        with qemu_reader(self.host), Client() as client:
            context = client.value("establish")
            client.wait_reader(context, "QEMU")
            pid = daemon_pid()
            dpkg("-i", *our_packages())
            self.assertEqual(systemctl("is-active", "pcscd.socket"), "active")
            self.assertNotEqual(daemon_pid(), pid)
            client.wait_reader(context, "QEMU")

    def test_3_debians_over_ours(self):
        install_ours()
        dpkg("-i", *debian_packages())
        for name in NAMES:
            self.assertNotIn("cardwire", installed_version(name))
        for path in ("/lib/systemd/system/pcscd.service", "/lib/systemd/system/pcscd.socket",
                     "/lib/udev/rules.d/92-libccid.rules", "/etc/init.d/pcscd", "/etc/libccid_Info.plist",
                     "/usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents/Info.plist"):
            self.assertTrue(Path(path).exists(), path)
        self.assertFalse(Path("/lib/udev/rules.d/92-pcscd.rules").exists())
        self.stack_works()


if __name__ == "__main__":
    unittest.main()
