# SPDX-License-Identifier: BSD-3-Clause
"""OpenSSH with keys behind OpenSC's PKCS#11 module."""

from apps import PW1, Application, ssh_login
from app_opensc import MODULE, pkcs15_generate


class SshPkcs11(Application):
    program = "ssh (PKCS#11)"
    packages = ("openssh-client", "openssh-server", "opensc-pkcs11", "opensc")
    needs = ("ssh", "sshd", "openpgp-tool", MODULE)
    version = ("ssh", "-V")

    def test_login(self):
        """`ssh-keygen -D`, then an ssh login at a local sshd with `PKCS11Provider`"""
        self.reader()
        pkcs15_generate(self)
        keys = self.run_("ssh-keygen", "-D", MODULE)
        self.assertIn("ssh-rsa ", keys)
        askpass = self.write("askpass", f"#!/bin/sh\necho {PW1}\n")
        askpass.chmod(0o700)
        self.env |= {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
        keys = "".join(line + "\n" for line in keys.splitlines() if line.startswith("ssh-"))
        self.assertEqual(ssh_login(self, keys, ["-o", f"PKCS11Provider={MODULE}"]), "logged in\n")
