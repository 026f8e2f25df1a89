# SPDX-License-Identifier: BSD-3-Clause
"""OpenSC's tools and its PKCS#11 module with the OpenPGP card."""

from apps import PW1, PW3, Application, module_file

MODULE = module_file("opensc-pkcs11.so")


class OpenscTool(Application):
    program = "opensc-tool"
    packages = ("opensc",)
    needs = ("opensc-tool",)
    version = ("opensc-tool", "--info")

    def test_name(self):
        """`opensc-tool --name`, `--atr`, `--serial`"""
        self.reader()
        self.assertIn("OpenPGP card v3.4", self.run_("opensc-tool", "--name"))
        self.assertIn("3b:", self.run_("opensc-tool", "--atr"))
        self.run_("opensc-tool", "--serial")


class OpenpgpTool(Application):
    program = "openpgp-tool"
    packages = ("opensc",)
    needs = ("openpgp-tool",)
    version = ("opensc-tool", "--info")

    def test_generate(self):
        """`openpgp-tool --gen-key` of RSA 2048, `--card-info`, `--key-info`"""
        self.reader()
        self.run_("openpgp-tool", "--verify", "CHV3", "--pin", PW3, "--gen-key", "1")
        self.assertIn("RSA2048", self.run_("openpgp-tool", "--card-info", "--key-info"))

    def test_erase(self):
        """`openpgp-tool --erase`"""
        self.reader()
        self.run_("openpgp-tool", "--verify", "CHV3", "--pin", PW3, "--gen-key", "1")
        self.run_("openpgp-tool", "--erase")
        self.run_("openpgp-tool", "--card-info")


class Pkcs15Tool(Application):
    program = "pkcs15-tool"
    packages = ("opensc",)
    needs = ("pkcs15-tool",)
    version = ("opensc-tool", "--info")

    def test_dump(self):
        """`pkcs15-tool --dump` of an OpenPGP card with keys; `--read-public-key`"""
        self.reader()
        pkcs15_generate(self)
        dump = self.run_("pkcs15-tool", "--dump")
        self.assertIn("Private RSA Key", dump)
        self.assertIn("BEGIN PUBLIC KEY", self.run_("pkcs15-tool", "--read-public-key", "3"))

    def test_change_pin(self):
        """`pkcs15-tool --change-pin`, `--verify-pin`"""
        self.reader()
        self.run_("pkcs15-tool", "--change-pin", "--auth-id", "1", "--pin", PW1, "--new-pin",
            "654321")
        self.run_("pkcs15-tool", "--verify-pin", "--auth-id", "1", "--pin", "654321")
        self.run_("pkcs15-tool", "--verify-pin", "--auth-id", "1", "--pin", PW1, status=None)


def pkcs15_generate(test, kind="rsa2048", keys="123"):
    """A signature, a decryption and an authentication key, made on the card."""
    for key in keys:
        test.run_("openpgp-tool", "--verify", "CHV3", "--pin", PW3, "--gen-key", key, "--key-type",
            kind)


class Pkcs11Tool(Application):
    program = "pkcs11-tool"
    packages = ("opensc", "opensc-pkcs11")
    needs = ("pkcs11-tool", MODULE)
    version = ("opensc-tool", "--info")

    def tool(self, *words, **more):
        return self.run_("pkcs11-tool", "--module", MODULE, *words, **more)

    def test_test(self):
        """`pkcs11-tool --test` with RSA keys made on the card"""
        self.reader()
        pkcs15_generate(self)
        text = self.tool("--login", "--pin", PW1, "--test")
        self.assertIn("No errors", text)
        self.assertIn("Signatures", text)

    def test_objects(self):
        """`pkcs11-tool --list-slots --list-objects`, `--change-pin`"""
        self.reader()
        pkcs15_generate(self)
        self.assertIn("OpenPGP card (User PIN)", self.tool("--list-slots"))
        objects = self.tool("--login", "--pin", PW1, "--list-objects")
        self.assertIn("Private Key Object; RSA", objects)
        self.tool("--login", "--pin", PW1, "--change-pin", "--new-pin", "654321")
        self.tool("--login", "--pin", "654321", "--list-objects")

    def test_sign(self):
        """`pkcs11-tool --sign`, checked by `openssl`"""
        self.reader()
        pkcs15_generate(self)
        sign(self, MODULE)


def sign(test, module):
    """With the authentication key, checked by OpenSSL with the public one."""
    data = test.write("data", "a message\n")
    test.run_("pkcs11-tool", "--module", module, "--login", "--pin", PW1, "--sign", "--mechanism",
        "SHA256-RSA-PKCS", "--id", "03", "--input-file", data, "--output-file", "signature")
    test.write("key.pem", public_key(test))
    test.assertIn("Verified OK", test.run_("openssl", "dgst", "-sha256", "-verify", "key.pem",
        "-signature", "signature", data))


def public_key(test):
    text = test.run_("pkcs15-tool", "--read-public-key", "3")
    return text[text.index("-----BEGIN"):]
