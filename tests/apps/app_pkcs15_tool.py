# SPDX-License-Identifier: BSD-3-Clause
"""OpenSC's pkcs15-tool on the PKCS #15 file system, and on the PIV card."""

from apps import Application
from pivcard import P256, PivCard

LABEL = "Cardwire virtual PKCS #15"


class Pkcs15Tool(Application):
    program = "pkcs15-tool"
    packages = ("opensc", "yubico-piv-tool", "openssl")
    needs = ("pkcs15-tool", "yubico-piv-tool", "openssl")

    def tool(self, *arguments, **more):
        return self.run_("pkcs15-tool", *arguments, **more)

    def test_dump(self):
        """--dump: PINs, key, certificate, data objects"""
        self.reader(card="pkcs15")
        said = self.tool("--dump")
        for what in (f"PKCS#15 Card [{LABEL}]", "Cardwire (virtual)", "PIN [PIN]", "PIN [PUK]",
                "Private EC Key [Key]", "X.509 Certificate [Certificate]", "Data object 'Public data'",
                "Data object 'Protected data'"):
            self.assertIn(what, said)

    def test_certificate(self):
        """--read-certificate, verified by openssl; --list-keys, --list-public-keys"""
        self.reader(card="pkcs15")
        self.tool("--read-certificate", "45", "-o", "certificate.pem")
        self.assertIn("OK", self.run_("openssl", "verify", "-CAfile", "certificate.pem",
            "certificate.pem"))
        self.assertIn(f"CN = {LABEL}", self.run_("openssl", "x509", "-in", "certificate.pem",
            "-noout", "-subject"))
        self.assertIn("FieldLength    : 256", self.tool("--list-keys"))

    def test_pins(self):
        """--verify-pin, --change-pin, --unblock-pin; a protected object is read after --verify-pin"""
        self.reader(card="pkcs15")
        pin = ["--auth-id", "01"]
        self.tool("--verify-pin", *pin, "--pin", "123456")
        self.tool("--verify-pin", *pin, "--pin", "654321", status=None)
        self.tool("--change-pin", *pin, "--pin", "123456", "--new-pin", "4444")
        self.tool("--verify-pin", *pin, "--pin", "4444")
        self.tool("--unblock-pin", *pin, "--puk", "12345678", "--new-pin", "5555")
        data = ["--read-data-object", "Protected data", "--raw"]
        self.assertNotIn("Read after VERIFY.", self.tool(*data, status=None))
        self.assertIn("Read after VERIFY.", self.tool(*data, "--verify-pin", *pin, "--pin", "5555"))

    def test_sign(self):
        """pkcs11-tool --sign (ECDSA with SHA-1, which the card computes), checked by openssl"""
        self.reader(card="pkcs15")
        self.write("message", "a message\n")
        sign = ["pkcs11-tool", "--sign", "--mechanism", "ECDSA-SHA1", "--id", "45", "-i", "message",
            "-o", "signature", "--signature-format", "openssl"]
        self.run_(*sign, "--login", "--pin", "654321", status=None)
        self.run_(*sign, "--login", "--pin", "123456")
        self.tool("--read-certificate", "45", "-o", "certificate.pem")
        self.write("key.pem", self.run_("openssl", "x509", "-in", "certificate.pem", "-noout",
            "-pubkey"))
        self.assertIn("Verified OK", self.run_("openssl", "dgst", "-sha1", "-verify", "key.pem",
            "-signature", "signature", "message"))

    def test_pkcs11(self):
        """the same objects through PKCS #11: login, list"""
        self.reader(card="pkcs15")
        said = self.run_("pkcs11-tool", "--login", "--pin", "123456", "-L", "-O")
        for what in (f"token label        : {LABEL}", "Private Key Object; EC",
                "Certificate Object; type = X.509 cert", "'Protected data'"):
            self.assertIn(what, said)

    def test_piv(self):
        """--dump of a PIV card with a key"""
        card = PivCard(self)
        self.assertIn("Card Holder Unique Identifier", self.tool("--dump"))
        self.assertNotIn("Private EC Key", self.tool("--dump"))
        card.fill("9a", P256)
        self.assertIn("Private EC Key [PIV AUTH key]", self.tool("--dump"))
