# SPDX-License-Identifier: BSD-3-Clause
"""yubico-piv-tool on the PIV card."""

from apps import Application
from pivcard import MANAGEMENT, P256, P384, PIN, PUK, RSA, PivCard


class YubicoPivTool(Application):
    program = "yubico-piv-tool"
    packages = ("yubico-piv-tool", "openssl")
    needs = ("yubico-piv-tool", "openssl")

    def test_status(self):
        """version, status: CHUID, CCC, tries, and a serial number that is nobody's"""
        said = PivCard(self).yubico("-a", "version", "-a", "status")
        self.assertIn("Serial Number:\t1447645780", said)  # "VIRT"
        self.assertRegex(said, r"CHUID:\t3019d4e739da739c")
        self.assertRegex(said, r"CCC:\tf015")
        self.assertIn("PIN tries left:\t3", said)

    def test_keys_of_each_kind(self):
        """generate, import-certificate, test-signature, test-decipher in five slots"""
        card = PivCard(self)
        for slot, kind, uses in (("9a", RSA, "signature"), ("9c", P256, "signature"),
                ("9d", RSA, "decipher"), ("9e", P384, "signature"), ("82", P256, "decipher")):
            card.fill(slot, kind)
            said = card.yubico("-a", "verify-pin", "-P", PIN, "-a", f"test-{uses}", "-s", slot,
                "-i", f"{slot}.pem")
            self.assertRegex(said, "Success")
        said = card.yubico("-a", "status")
        for slot, kind in (("9a", RSA), ("9c", P256), ("9d", RSA), ("9e", P384), ("82", P256)):
            self.assertRegex(said, rf"Slot {slot}:\s+Algorithm:\s{kind}\s+Subject DN:\tCN=virtual {slot}")

    def test_import(self):
        """import-key of RSA and EC keys; each signs as the file would"""
        card = PivCard(self)
        self.run_("openssl", "genrsa", "-out", "rsa.pem", "2048")
        self.run_("openssl", "ecparam", "-genkey", "-name", "secp384r1", "-noout", "-out", "ec.pem")
        for slot, file in (("9a", "rsa.pem"), ("83", "ec.pem")):
            self.run_("openssl", "pkey", "-in", file, "-pubout", "-out", f"{slot}.pub")
            card.certify(f"{slot}.pub", f"{slot}.pem", slot)
            card.yubico("-a", "import-key", "-s", slot, "-i", file)
            self.assertIn("Success", card.yubico("-a", "verify-pin", "-P", PIN, "-a",
                "test-signature", "-s", slot, "-i", f"{slot}.pem"))

    def test_pins(self):
        """change-pin, change-puk, verify-pin, unblock-pin, pin-retries, reset"""
        card = PivCard(self)
        card.yubico("-a", "change-pin", "-P", PIN, "-N", "654321")
        self.assertIn("2 tries left", card.yubico("-a", "verify-pin", "-P", PIN, status=None))
        card.yubico("-a", "change-puk", "-P", PUK, "-N", "87654321")
        card.yubico("-a", "unblock-pin", "-P", "87654321", "-N", PIN)
        card.yubico("-a", "verify-pin", "-P", PIN)
        card.yubico("-a", "verify-pin", "-P", PIN, "-a", "pin-retries", "--pin-retries", "5",
            "--puk-retries", "2")
        self.assertIn("PIN tries left:\t5", card.yubico("-a", "status"))
        for _ in range(5):
            card.yubico("-a", "verify-pin", "-P", "000000", status=None)
        for _ in range(2):
            card.yubico("-a", "change-puk", "-P", "00000000", "-N", PUK, status=None)
        card.yubico("-a", "reset")
        self.assertIn("PIN tries left:\t3", card.yubico("-a", "status"))

    def test_management_key(self):
        """set-mgm-key, set-chuid, set-ccc, write-object and read-object"""
        card = PivCard(self)
        other = MANAGEMENT[:-2] + "F1"
        card.yubico("-a", "set-mgm-key", "-n", other)
        card.yubico("-a", "set-chuid", status=None)
        before = card.yubico("-a", "status")
        card.yubico(f"--key={other}", "-a", "set-chuid", "-a", "set-ccc")
        self.assertNotEqual(card.yubico("-a", "status"), before)
        (self.tmp / "object").write_text("C1010AC20100F300FE00")
        card.yubico(f"--key={other}", "-a", "write-object", "--id", "0x5FC10C", "-f", "hex", "-i",
            "object")
        self.assertIn("c1010ac20100f300fe00", card.yubico("-a", "read-object", "--id", "0x5FC10C",
            "-f", "hex").lower())
