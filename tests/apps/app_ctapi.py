# SPDX-License-Identifier: BSD-3-Clause
"""CT-API: our library, and our client for lack of others."""

from apps import BUILD, Application

SELECT = "00a4040006d27600012401"


class CtApi(Application):
    program = "libctapi (CT-API)"
    needs = (BUILD / "tests/ctapi-client",)

    @classmethod
    def version_text(cls):
        return "ours"

    def test_card(self):
        """our own client: REQUEST ICC, selects the OpenPGP application, reads its AID, EJECT ICC"""
        self.reader()
        text = self.run_(BUILD / "tests/ctapi-client", input="init 1 1\ndata 1 1 300 20120101\n"
            f"data 1 0 300 {SELECT}\ndata 1 0 300 00ca004f00\ndata 1 1 300 20150100\nclose 1\n")
        self.assertRegex(text, r"^0\n0 2 1 3b\w+9001\n0 2 0 \w+9000\n"
            r"0 2 0 d276000124010304ff00\w+9000\n0 2 1 9000\n0\n$")
