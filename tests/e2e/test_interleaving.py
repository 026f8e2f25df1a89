# SPDX-License-Identifier: BSD-3-Clause
"""Two clients share one card with two applications, PIV and OpenPGP: in shared mode, each in
transactions, in random order. What each is told must be what it is told when it is alone.

CARDWIRE_INTERLEAVINGS: how many rounds (2); CARDWIRE_SEED: which random order."""

import ctypes
import os
import random
import threading
import unittest

import harness
import winscard
from harness import CCID_LIBRARY, Client, Pcscd, VReader, reader_entry

ROUNDS = int(os.environ.get("CARDWIRE_INTERLEAVINGS", "2"))
SEED = int(os.environ.get("CARDWIRE_SEED", "0")) or random.randrange(1 << 32)

SELECT_PIV = "00A4040005A00000030800"
SELECT_PGP = "00A4040006D2760001240100"
FORGET_PIV = "0020FF80"
FORGET_PGP = "0020FF82"
SIGN = "0087E09A0D7C0B820081076162636465666700"
PIV_PIN = "0020008008313233343536FFFF"
PGP_PIN = "0020008206313233343536"

# Each is a transaction: between two of them the other client may do anything. All begin with the
# application selected and nobody verified, whatever there was before. Their answers do not depend on
# chance, once the card is prepared.
PIV = [
    [SELECT_PIV, FORGET_PIV, "00CB3FFF055C035FC10200", "00CB3FFF055C035FC10700"],
    [SELECT_PIV, FORGET_PIV, PIV_PIN, "0020008000", "00CB3FFF055C035FC10900"],
    [SELECT_PIV, FORGET_PIV, "00200080", "00CB3FFF055C035FC10900"],
    [SELECT_PIV, FORGET_PIV, PIV_PIN, SIGN],
    [SELECT_PIV, FORGET_PIV, SIGN],
    [SELECT_PIV, FORGET_PIV, "00F7009A00", "00FD000000", "00CA006E00"],
    [SELECT_PIV, FORGET_PIV, "00CB3FFF035C017E00", "0020008008FFFFFFFFFFFFFFFF", "0020008000", PIV_PIN],
    [SELECT_PIV, FORGET_PIV, "10CB3FFF025C03", "00CB3FFF035FC10200"],
]
PGP = [
    [SELECT_PGP, FORGET_PGP, "00CA006E00", "00CA006500"],
    [SELECT_PGP, FORGET_PGP, PGP_PIN, "00CA00C400", "0020008200"],
    [SELECT_PGP, FORGET_PGP, "0020008200", "00CB3FFF055C035FC10200"],
    [SELECT_PGP, FORGET_PGP, "00CA005E00", "00CA007A00", "00CA5F5200"],
    [SELECT_PGP, FORGET_PGP, "0020008206313233343537", "00CA00C400", PGP_PIN],
    [SELECT_PGP, FORGET_PGP, "00CA004F00", "00F7009A00"],
]


PROFILES = [("extended", "t1"), ("short", "t1"), ("tpdu", "t1"), ("tpdu", "t0")]
COUNT = 30


def des3_block(key, block):
    """One block of 3DES, by the library that the virtual card has it from."""
    crypto = ctypes.CDLL("libcrypto.so.3")
    for name in ("EVP_CIPHER_CTX_new", "EVP_des_ede3_ecb"):
        getattr(crypto, name).restype = ctypes.c_void_p
    context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    out, length = ctypes.create_string_buffer(16), ctypes.c_int()
    crypto.EVP_EncryptInit_ex(context, ctypes.c_void_p(crypto.EVP_des_ede3_ecb()), None, key, None)
    crypto.EVP_EncryptUpdate(context, out, ctypes.byref(length), block, len(block))
    crypto.EVP_CIPHER_CTX_free(context)
    return out.raw[:len(block)]


class Side(threading.Thread):
    """A client that runs its transactions in the order of its own random numbers."""

    def __init__(self, test, client, reader, scripts, count, seed):
        super().__init__(daemon=True)
        context = client.establish()
        client.wait_state(context, reader, winscard.STATE_PRESENT)
        self.client = client
        self.handle = client.connect(context, reader)["handle"]
        self.scripts = scripts
        self.count = count
        self.seed = seed
        self.answers = []
        self.failure = None

    def transaction(self, script):
        self.client.begin(self.handle)
        answers = [harness.exchange(self.client, self.handle, command) for command in script]
        self.client.end(self.handle)
        return answers

    def run(self):
        try:
            order = random.Random(self.seed)
            for _ in range(self.count):
                self.answers.append(self.transaction(order.choice(self.scripts)))
        except AssertionError as failure:
            self.failure = failure


class Interleaving(harness.CardwireTest):
    def prepare(self, seed, name, profile):
        """A card from a seed, with a PIV key and an object that needs the PIN."""
        vreader = VReader(self, name=f"vreader-{name}", card="piv+openpgp",
            profile=profile[0], protocol=profile[1], extra=["--seed", str(seed)])
        daemon = Pcscd(self, reader_entry("Virtual", vreader.device(), CCID_LIBRARY),
            name=f"pcscd-{name}")
        client = Client(self, daemon)
        handle = self.present(client, client.establish(), "Virtual 00 00")
        self.manage(client, handle)
        key = "9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60"
        for command in ("00FEE09A220720" + key, "00DB3FFF085C035FC109530177"):
            self.assertEqual(client.transmit(handle, command), "9000")
        client.disconnect(handle)
        client.stop()
        return daemon

    def manage(self, client, handle):
        """External authentication with the first management key."""
        challenge = bytes.fromhex(client.transmit(handle, "0087039B047C02810000")[8:24])
        response = des3_block(bytes(range(1, 9)) * 3, challenge)
        self.assertEqual(client.transmit(handle, "0087039B0C7C0A8208" + response.hex()), "9000")

    def side(self, daemon, scripts, seed):
        return Side(self, Client(self, daemon), "Virtual 00 00", scripts, COUNT, seed)

    def alone(self, card, name, profile, scripts, seed):
        side = self.side(self.prepare(card, name, profile), scripts, seed)
        side.run()
        self.assertIsNone(side.failure)
        return side.answers

    def together(self, card, name, profile, seeds):
        daemon = self.prepare(card, name, profile)
        sides = [self.side(daemon, scripts, seed) for scripts, seed in zip((PIV, PGP), seeds)]
        for side in sides:
            side.start()
        for side in sides:
            side.join(harness.CALL_S * 6)
            self.assertFalse(side.is_alive())
            self.assertIsNone(side.failure)
        return [side.answers for side in sides]

    def test_two_applications_on_one_card(self):
        order = random.Random(SEED)
        for number in range(ROUNDS):
            profile = order.choice(PROFILES)
            card, piv, pgp = (order.randrange(1 << 32) for _ in range(3))
            with self.subTest(seed=SEED, round=number, profile=profile):
                alone = [self.alone(card, f"{number}-piv", profile, PIV, piv),
                    self.alone(card, f"{number}-pgp", profile, PGP, pgp)]
                self.assertEqual(self.together(card, f"{number}-both", profile, (piv, pgp)), alone)
                for answers in alone:
                    self.assertGreater(len({str(a) for a in answers}), 4)


if __name__ == "__main__":
    unittest.main()
