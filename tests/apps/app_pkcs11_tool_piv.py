# SPDX-License-Identifier: BSD-3-Clause
"""OpenSC's pkcs11-tool on the PIV card."""

from apps import Application
from pivcard import P256, P384, PIN, RSA, PivCard


class Pkcs11ToolPiv(Application):
    program = "pkcs11-tool (PIV)"
    packages = ("opensc", "yubico-piv-tool", "openssl")
    needs = ("pkcs11-tool", "yubico-piv-tool", "openssl")

    def tool(self, *arguments, **more):
        return self.run_("pkcs11-tool", "--login", "--pin", PIN, *arguments, **more)

    def check_all(self, *options):
        card = PivCard(self, *options)
        card.fill("9a", RSA)
        card.fill("9d", RSA)
        said = self.tool("--test")
        self.assertIn("No errors", said)
        for what in ("all 4 signature functions seem to work", "SHA256-RSA-PKCS: OK",
                "RSA-PKCS-OAEP: "):
            self.assertIn(what, said)

    def test_all_with_rsa(self):
        """--test with RSA keys made on the card, reader of extended APDUs"""
        self.check_all("--profile", "extended")

    def test_all_with_rsa_short(self):
        """--test with RSA keys, short APDUs (command chaining, GET RESPONSE)"""
        self.check_all("--profile", "short")

    def test_all_with_rsa_tpdu(self):
        """--test with RSA keys, T=1 at TPDU level"""
        self.check_all("--profile", "tpdu", "--protocol", "t1")

    def test_ec(self):
        """--sign with ECDSA (P-256, P-384), checked by openssl; the PIN asked for each signature"""
        card = PivCard(self)
        for slot, kind, number in (("9c", P256, "02"), ("9e", P384, "04")):
            card.fill(slot, kind)
            self.tool("--sign", "-m", "ECDSA-SHA256", "--id", number, "-i", "message", "-o",
                "signature", "--signature-format", "openssl")
            self.assertIn("Verified OK", card.verify(slot))

    def test_pss(self):
        """--sign with RSA-PSS, checked by openssl"""
        card = PivCard(self)
        card.fill("9a", RSA)
        self.tool("--sign", "-m", "SHA256-RSA-PKCS-PSS", "--id", "01", "-i", "message", "-o",
            "signature")
        self.assertIn("Verified OK", card.verify("9a", "-sigopt", "rsa_padding_mode:pss", "-sigopt",
            "rsa_pss_saltlen:-1"))

    def test_retired_key(self):
        """--derive (ECDH) with a retired key, listed by the key history"""
        card = PivCard(self)
        card.fill("82", P256)
        (self.tmp / "history").write_text("C10101C20100F300FE00")
        card.yubico("-a", "write-object", "--id", "0x5FC10C", "-f", "hex", "-i", "history")
        self.run_("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "peer.pem")
        self.run_("openssl", "ec", "-in", "peer.pem", "-pubout", "-outform", "der", "-out",
            "peer.der")
        self.tool("--derive", "-m", "ECDH1-DERIVE", "--id", "05", "-i", "peer.der", "-o", "shared")
        self.run_("openssl", "pkeyutl", "-derive", "-inkey", "peer.pem", "-peerkey", "82.pub", "-out",
            "expected")
        self.assertEqual((self.tmp / "shared").read_bytes(), (self.tmp / "expected").read_bytes())

    def test_wrong_pin(self):
        """a wrong PIN is refused and counted"""
        card = PivCard(self)
        self.assertIn("CKR_PIN_INCORRECT", self.run_("pkcs11-tool", "--login", "--pin", "000000",
            "-O", status=None))
        self.assertIn("PIN tries left:\t2", card.yubico("-a", "status"))

    def test_beside_openpgp(self):
        """the PIV keys of a card that holds an OpenPGP card, too"""
        card = PivCard(self, card="piv+openpgp")
        card.fill("9a", P256)
        self.tool("--sign", "-m", "ECDSA-SHA256", "--id", "01", "-i", "message", "-o", "signature",
            "--signature-format", "openssl")
        self.assertIn("Verified OK", card.verify("9a"))
