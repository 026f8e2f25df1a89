# SPDX-License-Identifier: BSD-3-Clause
"""A virtual card that makes an RSA key for seconds: others go on, and it can be pulled."""

import unittest

import harness
import winscard
from harness import CCID_LIBRARY, Client, Pcscd, VReader, reader_entry

SELECT = "00a4040006d27600012401"
VERIFY_ADMIN = "00200083083132333435363738"
RSA_4096 = "00da00c106011000002000"
GENERATE = "0047800002b60000"
READ = "0047810002b60000"


class Keys(harness.CardwireTest):
    def readers(self, **options):
        self.vreader = VReader(self, card="openpgp", **options)
        self.daemon = Pcscd(self, "".join(
            reader_entry(f"Virtual {i}", self.vreader.device(i), CCID_LIBRARY)
            for i in range(options.get("readers", 1))))

    def card(self, number=0):
        """A client that has selected the card's application."""
        client = Client(self, self.daemon)
        context = client.establish()
        handle = self.present(client, context, f"Virtual {number} {number:02} 00")
        self.assertTrue(client.transmit(handle, SELECT).endswith("9000"))
        return client, context, handle

    def blocks(self):
        """How many the host has sent to the card."""
        return self.vreader.stats()["xfr_blocks"]

    def pull_while_busy(self, other, other_handle):
        """The other reader works, then the card is pulled. False: the key was there before that."""
        client, context, handle = self.card()
        for command in (VERIFY_ADMIN, RSA_4096):
            self.assertEqual(client.transmit(handle, command), "9000")
        before = self.blocks()
        making = client.start("transmit", handle, GENERATE)
        while self.blocks() == before:
            self.assertTrue(other.transmit(other_handle, "00ca004f00").endswith("9000"))
        for _ in range(5):
            self.assertTrue(other.transmit(other_handle, "00ca004f00").endswith("9000"))
        self.vreader.ctl("remove", 0)
        client.wait_state(context, "Virtual 0 00 00", winscard.STATE_EMPTY)
        rv = making.rv()
        self.vreader.ctl("insert", 0, "openpgp")
        if rv == "SCARD_S_SUCCESS":
            return False
        self.assertIn(rv, ("SCARD_W_REMOVED_CARD", "SCARD_E_NO_SMARTCARD"))
        return True

    def check_busy(self, **options):
        """Some keys are quickly made, and some machines are slow at all else: one of ten tries."""
        self.readers(readers=2, **options)
        other, _, other_handle = self.card(1)
        self.assertTrue(any(self.pull_while_busy(other, other_handle) for _ in range(10)))
        client, _, handle = self.card()
        self.assertEqual(client.transmit(handle, READ), "6a88")

    def test_busy_with_extended_apdus(self):
        self.check_busy()

    def test_busy_with_tpdus(self):
        self.check_busy(profile="tpdu")

    def test_busy_tag(self):
        self.check_busy(profile="contactless")

    def exchange(self, client, handle, command):
        """Without what GET RESPONSE has to be sent for."""
        answer = client.transmit(handle, command)
        while answer[-4:-2] == "61":
            answer = answer[:-4] + client.transmit(handle, "00c00000" + answer[-2:])
        self.assertEqual(answer[-4:], "9000")
        return answer[:-4]

    def test_key_is_there_at_last(self):
        for profile in ("extended", "short", "tpdu", "character", "contactless"):
            with self.subTest(profile=profile):
                self.vreader = VReader(self, card="openpgp", profile=profile, name=profile,
                    extra=["--seed", "1"])
                self.daemon = Pcscd(self, reader_entry("Virtual 0", self.vreader.device(),
                    CCID_LIBRARY), name=f"pcscd-{profile}")
                client, _, handle = self.card()
                self.assertEqual(client.transmit(handle, VERIFY_ADMIN), "9000")
                public = self.exchange(client, handle, GENERATE)
                self.assertRegex(public, "^7f49820109818201..")
                self.assertEqual(self.exchange(client, handle, READ), public)
                client.stop()


if __name__ == "__main__":
    unittest.main()
