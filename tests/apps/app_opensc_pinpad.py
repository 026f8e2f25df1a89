# SPDX-License-Identifier: BSD-3-Clause
"""OpenSC with a reader that has a PIN pad: no PIN is typed on the host."""

from apps import VREADER, Application

PIN = "123456"


class OpenscPinPad(Application):
    program = "OpenSC with a PIN pad"
    packages = ("opensc",)
    needs = ("pkcs11-tool", "pkcs15-tool")

    def keys(self, keys):
        self.run_(VREADER, "ctl", "keys", "0", "-")
        self.run_(VREADER, "ctl", "keys", "0", keys)

    def entries(self):
        """What the reader was last asked for: 00 a verification, 01 a change."""
        return self.run_(VREADER, "ctl", "secure", "0").split()[1][:2]

    def test_sees_the_pad(self):
        """the token is shown as one with a PIN pad"""
        self.reader("--pinpad", card="piv")
        self.assertIn("PIN pad present", self.run_("pkcs11-tool", "--list-slots"))

    def test_login(self):
        """`pkcs11-tool --login` asks the reader, not the host"""
        self.reader("--pinpad", card="piv")
        self.keys(PIN + "E")
        self.run_("pkcs11-tool", "--login", "--list-objects")
        self.assertEqual(self.entries(), "00")

    def test_wrong_pin(self):
        """a wrong PIN, a cancelled entry and one that is too short are told apart"""
        self.reader("--pinpad", card="piv")
        for keys, error in (("111111E", "CKR_PIN_INCORRECT"), ("12X", "CKR_FUNCTION_CANCELED"),
                ("1E", "CKR_PIN_LEN_RANGE")):
            self.keys(keys)
            self.assertIn(error, self.run_("pkcs11-tool", "--login", "--list-objects",
                status=None), keys)
        self.keys(PIN + "E")
        self.run_("pkcs11-tool", "--login", "--list-objects")

    def test_change(self):
        """`pkcs15-tool --use-pinpad --change-pin` of an OpenPGP card: old, new and new again at the
        reader; `--verify-pin`"""
        self.reader("--pinpad", card="openpgp")
        tool = ("pkcs15-tool", "--use-pinpad", "--auth-id", "1")
        self.keys(PIN + "E" + 2 * "654321E")
        self.run_(*tool, "--change-pin")
        self.assertEqual(self.entries(), "01")
        self.keys("654321E")
        self.run_(*tool, "--verify-pin")
        self.keys(PIN + "E")
        self.run_(*tool, "--verify-pin", status=None)
