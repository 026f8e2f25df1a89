# SPDX-License-Identifier: BSD-3-Clause
"""OpenSC's piv-tool on the PIV card."""

from apps import Application
from pivcard import MANAGEMENT, NUMBER, P256, P384, RSA, PivCard


class PivTool(Application):
    program = "piv-tool"
    packages = ("opensc", "openssl")
    needs = ("piv-tool", "openssl")

    def setUp(self):
        super().setUp()
        self.management_key(MANAGEMENT)

    def management_key(self, key):
        """From now on that is the key it authenticates with."""
        text = ":".join(key[i:i + 2] for i in range(0, len(key), 2))
        self.env["PIV_EXT_AUTH_KEY"] = str(self.write("management", text))

    def write_with(self, *arguments, algorithm="03"):
        """The exit status is the number of bytes written, or 1; what it wrote is looked at next."""
        return self.run_("sh", "-c", 'piv-tool "$@"; echo "status $?"', "sh", "-A",
            f"M:9B:{algorithm}", *arguments)

    def test_management_keys(self):
        """--admin with management keys for AES-128, AES-192 and AES-256, each set with the one before"""
        PivCard(self)
        (self.tmp / "object").write_bytes(bytes.fromhex("5303010105"))
        before = "03"
        for algorithm, size in (("08", 16), ("0A", 24), ("0C", 32), ("03", 24)):
            key = bytes(range(0x40, 0x40 + size)).hex().upper()
            self.assertIn("SW1=0x90", self.write_with("-s",
                f"00FFFFFF{size + 3:02X}{algorithm}9B{size:02X}{key}", algorithm=before))
            self.assertIn("admin_mode failed", self.write_with("-O", "3001", "-i", "object",
                algorithm=before))
            self.management_key(key)
            self.assertIn("status 5", self.write_with("-O", "3001", "-i", "object",
                algorithm=algorithm))
            before = algorithm

    def test_name(self):
        """--name, --serial"""
        PivCard(self)
        self.assertIn("Personal Identity Verification Card", self.run_("piv-tool", "--name"))
        self.assertRegex(self.run_("piv-tool", "--serial"), r"([0-9A-F]{2} ){8}")

    def test_certificate(self):
        """--admin (mutual authentication), --cert; the certificate is read back by pkcs15-tool"""
        card = PivCard(self)
        for slot, number in (("9A", "01"), ("9E", "04")):
            self.run_("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "key")
            self.run_("openssl", "pkey", "-in", "key", "-pubout", "-out", f"{slot}.pub")
            card.certify(f"{slot}.pub", f"{slot}.pem", slot)
            self.write_with("-C", slot, "-i", f"{slot}.pem")
            self.run_("pkcs15-tool", "--read-certificate", number, "-o", "read.pem")
            self.assertEqual(self.run_("openssl", "x509", "-in", "read.pem", "-fingerprint"),
                self.run_("openssl", "x509", "-in", f"{slot}.pem", "-fingerprint"))

    def test_generate(self):
        """--genkey makes keys on the card (version 0.23 cannot write their public parts with OpenSSL 3,
        and says so; the card's metadata have them)"""
        PivCard(self)
        for kind in (RSA, P256, P384):
            self.run_("piv-tool", "-A", "M:9B:03", "-G", f"9A:{NUMBER[kind]}", status=None)
            said = self.run_("opensc-tool", "-s", "00 F7 00 9A 00")
            self.assertRegex(said, f"(?m)^01 01 {NUMBER[kind]} 02 02 00 00 03 01 01 04")

    def test_object(self):
        """--object writes printed information, which is read with the PIN"""
        PivCard(self)
        (self.tmp / "object").write_bytes(bytes.fromhex("53070105") + b"Virt!")
        self.write_with("-O", "3001", "-i", "object")
        printed = self.run_("opensc-tool", "-s", "00 CB 3F FF 05 5C 03 5F C1 09 00", "-s",
            "00 20 00 80 08 31 32 33 34 35 36 FF FF", "-s", "00 CB 3F FF 05 5C 03 5F C1 09 00")
        self.assertRegex(printed, r"(?s)SW1=0x69, SW2=0x82.*SW1=0x90.*53 07 01 05 56 69 72 74 21")
