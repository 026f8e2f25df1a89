# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of programs that use the PIV card share."""

PIN = "123456"
PUK = "12345678"
MANAGEMENT = "010203040506070801020304050607080102030405060708"

# The names of key types as yubico-piv-tool and piv-tool write them.
RSA, P256, P384 = "RSA2048", "ECCP256", "ECCP384"
NUMBER = {RSA: "07", P256: "11", P384: "14"}


class PivCard:
    """A card in a reader, and the files of a test that fills it."""

    def __init__(self, test, *options, card="piv"):
        self.test = test
        test.reader(*options, card=card)
        (test.tmp / "message").write_text("hello\n")
        test.run_("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj",
            "/CN=ca")

    def yubico(self, *arguments, **more):
        """yubico-piv-tool with whatever reader there is."""
        return self.test.run_("yubico-piv-tool", "-r", "", *arguments, **more)

    def certify(self, public, certificate, name):
        """A certificate for somebody else's key; the tools that have the card sign their own are
        not what is tested here."""
        self.test.run_("openssl", "x509", "-new", "-subj", f"/CN={name}", "-force_pubkey", public,
            "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "30", "-out", certificate)

    def fill(self, slot, kind):
        """A key made on the card, and its certificate."""
        self.yubico("-a", "generate", "-s", slot, "-A", kind, "-o", f"{slot}.pub")
        self.certify(f"{slot}.pub", f"{slot}.pem", f"virtual {slot}")
        self.yubico("-a", "import-certificate", "-s", slot, "-i", f"{slot}.pem")

    def verify(self, slot, *options):
        """Checks the signature of the message with libcrypto alone."""
        return self.test.run_("openssl", "dgst", "-sha256", *options, "-verify", f"{slot}.pub",
            "-signature", "signature", "message")
