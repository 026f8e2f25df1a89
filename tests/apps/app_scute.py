# SPDX-License-Identifier: BSD-3-Clause
"""Scute, the PKCS#11 module in front of GnuPG's agent."""

from apps import Application, module_file
from app_gpg import GpgHome

MODULE = module_file("scute/scute.so") or module_file("scute.so")



class Scute(Application):
    program = "Scute"
    packages = ("scute", "gnupg", "scdaemon", "gpg-agent", "gpgsm", "opensc")
    needs = ("gpg", "gpgsm", "pkcs11-tool", MODULE)

    def test_sign(self):
        """`gpgsm --gen-key` from the card; `pkcs11-tool` lists its key and the certificate"""
        gpg = GpgHome(self)
        gpg.write("gpgsm.conf", "disable-crl-checks\n")
        self.reader()
        gpg.edit("admin", "generate")
        gpg.run("--card-status")
        self.write("parameters", "Key-Type: card:OPENPGP.3\nKey-Usage: sign\nSerial: random\n"
            "Name-DN: CN=Virtual User\nNot-After: 2099-01-01\n")
        self.run_("gpgsm", "--batch", "--armor", "--output", "certificate.pem", "--gen-key",
            "parameters")
        self.run_("gpgsm", "--batch", "--import", "certificate.pem")
        tool = ("pkcs11-tool", "--module", MODULE)
        self.assertIn("token model        : OpenPGP", self.run_(*tool, "--list-slots"))
        objects = self.run_(*tool, "--list-objects")
        self.assertIn("Certificate Object", objects)
        self.assertIn("Private Key Object; RSA", objects)
