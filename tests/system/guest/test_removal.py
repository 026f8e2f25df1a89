# SPDX-License-Identifier: BSD-3-Clause
"""Our packages purged; Debian's in their place."""

import subprocess
import unittest

from guestlib import Client, Host, debian_packages, dpkg, install_ours, our_packages, property_of, qemu_reader


class Removal(unittest.TestCase):
    def test_purge(self):
        """Nothing is left behind but the system user, as is usual."""
        install_ours()
        dpkg("--purge", "--force-depends", *[path.name.split("_")[0] for path in our_packages()])
        self.assertNotEqual(property_of("pcscd.socket", "LoadState"), "loaded")
        found = subprocess.run(["find", "/etc", "/usr", "/lib", "/var/lib", "-xdev", "(", "-name", "*pcscd*", "-o",
                                "-name", "*libccid*", "-o", "-name", "libpcsclite*", "-o", "-name",
                                "vreader*", ")", "-not", "-path", "/var/lib/dpkg/*"],
                               stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        self.assertEqual(found, [])

    def test_then_debians(self):
        dpkg("-i", *debian_packages())
        host = Host()
        self.addCleanup(host.close)
        with qemu_reader(host), Client() as client:
            client.wait_reader(client.value("establish"), "[CCID Interface]")


if __name__ == "__main__":
    unittest.main()
