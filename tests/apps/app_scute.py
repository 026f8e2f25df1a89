# SPDX-License-Identifier: BSD-3-Clause
"""Scute, the PKCS#11 module in front of GnuPG's agent."""

import hashlib

from apps import Application, module_file
from app_gpg import GpgHome

SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
MODULE = module_file("scute/scute.so") or module_file("scute.so")


class Scute(Application):
    program = "Scute"
    packages = ("scute", "gnupg", "scdaemon", "gpg-agent", "gpgsm", "opensc", "openssl")
    needs = ("gpg", "gpgsm", "pkcs11-tool", "openssl", MODULE)

    def setUp(self):
        """A key on the card, and in gpgsm's hands a certificate for it, from a CA of the test's."""
        super().setUp()
        gpg = GpgHome(self)
        gpg.write("gpgsm.conf", "disable-crl-checks\n")
        self.reader()
        gpg.edit("admin", "generate")
        gpg.run("--card-status")
        self.write("parameters", "Key-Type: card:OPENPGP.3\nKey-Usage: sign\n"
            "Name-DN: CN=Virtual User\n")
        self.run_("gpgsm", "--batch", "--armor", "--output", "request.pem", "--gen-key", "parameters")
        self.run_("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj",
            "/CN=ca")
        self.write("extensions", "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n")
        self.run_("openssl", "x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey",
            "ca.key", "-days", "30", "-extfile", "extensions", "-out", "certificate.pem")
        self.run_("gpgsm", "--batch", "--import", "ca.pem", "certificate.pem")

    def test_list(self):
        """`gpgsm --gen-key` from the card; `pkcs11-tool` lists its key and the certificate"""
        tool = ("pkcs11-tool", "--module", MODULE)
        self.assertIn("token model        : OpenPGP", self.run_(*tool, "--list-slots"))
        objects = self.run_(*tool, "--list-objects")
        self.assertIn("Certificate Object", objects)
        self.assertIn("Private Key Object; RSA", objects)

    def test_sign(self):
        """`pkcs11-tool --sign` with the card's key, by way of gpg-agent; checked by openssl"""
        message = self.write("message", "a message\n")
        # It signs what the host has hashed, and nothing else (RFC 8017 §9.2, DigestInfo).
        (self.tmp / "digest").write_bytes(SHA256 + hashlib.sha256(message.read_bytes()).digest())
        self.run_("pkcs11-tool", "--module", MODULE, "--sign", "--mechanism", "RSA-PKCS", "-i",
            "digest", "-o", "signature")
        self.write("key.pem", self.run_("openssl", "x509", "-in", "certificate.pem", "-noout",
            "-pubkey"))
        self.assertIn("Verified OK", self.run_("openssl", "dgst", "-sha256", "-verify", "key.pem",
            "-signature", "signature", message))
