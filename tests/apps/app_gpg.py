# SPDX-License-Identifier: BSD-3-Clause
"""GnuPG with its own scdaemon, over PC/SC."""

import pathlib
import re
import subprocess
import sys
import threading

from apps import BUILD, PW1, PW3, SOURCE, TIMEOUT_S, Application, Failure, ssh_login

# How its questions are answered unless a test says otherwise; a list is used up one by one.
ANSWERS = {
    "cardedit.genkeys.backup_enc": "n",
    "cardedit.genkeys.replace_keys": "y",
    "cardedit.genkeys.key_does_already_exist": "y",
    "keygen.valid": "0",
    "keygen.valid.okay": "y",
    "keygen.name": "Virtual User",
    "keygen.email": "virtual@example.org",
    "keygen.comment": "",
    "keygen.userid.cmd": "O",
}


class GpgHome:
    """A home folder for gpg and its agent, with a pinentry that knows the card's PINs."""

    def __init__(self, test, scdaemon=""):
        self.test = test
        self.path = test.tmp / "g"
        self.path.mkdir(mode=0o700)
        test.env["GNUPGHOME"] = str(self.path)
        # Without disable-ccid it would look for real readers first.
        self.write("scdaemon.conf", "disable-ccid\n" + scdaemon)
        pinentry = pathlib.Path(__file__).resolve().parent / "pinentry.py"
        self.write("gpg-agent.conf", f"pinentry-program {pinentry}\nenable-ssh-support\n")
        self.pins()
        test.addCleanup(self.kill)

    def write(self, name, text):
        (self.path / name).write_text(text)

    def pins(self, user=PW1, admin=PW3, code="", new=""):
        self.write("pins", f"{user}\n{admin}\n{code}\n{new}\n")

    def kill(self):
        self.test.run_("gpgconf", "--kill", "all")

    def run(self, *arguments, **more):
        return self.test.run_(
            "gpg", "--batch", "--yes", "--trust-model", "always", *arguments, **more)

    def talk(self, *arguments, answers):
        """Runs gpg and answers its questions by their keywords: each time with the same word, or
        with the next one of a list."""
        answers = {key: value if isinstance(value, str) else iter(value)
            for key, value in {**ANSWERS, **answers}.items()}
        gpg = subprocess.Popen(["gpg", "--command-fd", "0", "--status-fd", "1", "--expert",
            "--no-tty", *arguments], env=self.test.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        said = []
        deadline = threading.Timer(TIMEOUT_S, gpg.kill)
        deadline.start()
        try:
            for line in gpg.stdout:
                said.append(line)
                match = re.match(r"\[GNUPG:\] GET_(?:LINE|BOOL|HIDDEN) (\S+)", line)
                if not match:
                    continue
                answer = answers.get(match[1])
                if not isinstance(answer, str):
                    answer = next(answer or iter(()), None)
                if answer is None:
                    raise Failure(f"gpg asked for {match[1]}:\n{''.join(said)}")
                said.append(f"> {answer}\n")
                gpg.stdin.write(answer + "\n")
                gpg.stdin.flush()
            gpg.wait(TIMEOUT_S)
        finally:
            deadline.cancel()
            gpg.kill()
            gpg.communicate()
        text = "".join(said)
        if gpg.returncode or "FAILURE" in text:
            raise Failure(f"gpg {' '.join(arguments)}: status {gpg.returncode}\n{text}")
        return text

    def edit(self, *commands, answers=None):
        return self.talk("--card-edit",
            answers={**(answers or {}), "cardedit.prompt": [*commands, "quit"]})

    def set_algorithms(self, *numbers):
        """RSA of so many bits, or else the number of a curve in gpg's menu."""
        kinds = ["1" if number >= 1024 else "2" for number in numbers]
        self.edit("admin", "key-attr", answers={"cardedit.genkeys.algo": kinds,
            "cardedit.genkeys.size": [str(n) for n in numbers if n >= 1024],
            "keygen.curve": [str(n) for n in numbers if n < 1024]})

    def use(self):
        """Signs, verifies, encrypts and decrypts with the keys on the card."""
        self.test.write("text", "a message\n")
        self.run("--sign", "text")
        self.test.assertIn("Good signature", self.run("--verify", "text.gpg"))
        self.run("-r", "virtual@example.org", "-o", "secret.gpg", "--encrypt", "text")
        self.kill()
        self.test.assertIn("a message", self.run("--decrypt", "secret.gpg"))


class Gpg(Application):
    program = "gpg (scdaemon)"
    packages = ("gnupg", "scdaemon", "gpg-agent")
    needs = ("gpg", "/usr/lib/gnupg/scdaemon")
    version = ("gpg", "--version")

    def setUp(self):
        super().setUp()
        self.gpg = GpgHome(self)

    def check_generated(self, *numbers):
        self.reader()
        if numbers:
            self.gpg.set_algorithms(*numbers)
        self.gpg.edit("admin", "generate")
        status = self.gpg.run("--card-status")
        self.assertNotIn("[none]", status)
        self.gpg.use()
        return status

    def test_card_status(self):
        """`gpg --card-status`"""
        self.reader()
        status = self.gpg.run("--card-status")
        self.assertIn("Version ..........: 3.4", status)
        self.assertIn("Virtual", status)

    def test_generate_rsa(self):
        """`--card-edit`: `generate` of RSA 2048 keys; sign, verify, encrypt, decrypt"""
        self.check_generated()

    def test_generate_curve25519(self):
        """`--card-edit`: `key-attr`, `generate` of Ed25519 and Curve25519 keys; use"""
        self.assertIn("ed25519 cv25519 ed25519", self.check_generated(1, 1, 1))

    def test_generate_nist(self):
        """`--card-edit`: `key-attr`, `generate` on NIST P-256, P-384 and P-521; use"""
        self.assertIn("nistp256 nistp384 nistp521", self.check_generated(3, 4, 5))

    def test_generate_rsa_4096(self):
        """`--card-edit`: `key-attr`, `generate` of RSA 4096, 3072 and 2048 keys; use"""
        self.assertIn("rsa4096 rsa3072 rsa2048", self.check_generated(4096, 3072, 2048))

    def check_imported(self, *algorithms):
        """Makes a key with subkeys here, moves them to the card, uses them there."""
        self.reader()
        first, *others = algorithms
        self.gpg.run("--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key",
            "virtual@example.org", first, "sign", "never")
        listed = self.gpg.run("--with-colons", "--list-keys")
        fingerprint = re.search(r"^fpr:+([0-9A-F]{40}):", listed, re.M)[1]
        for algorithm, use in zip(others, ("encrypt", "auth")):
            self.gpg.run("--pinentry-mode", "loopback", "--passphrase", "", "--quick-add-key",
                fingerprint, algorithm, use, "never")
        more = ["key 1", "key 2", "keytocard"] if others[1:] else []
        self.gpg.talk("--edit-key", fingerprint, answers={
            "keyedit.prompt": ["keytocard", "key 1", "keytocard", *more, "save"],
            "keyedit.keytocard.use_primary": "y",
            "cardedit.genkeys.storekeytype": ["1", "2", "3"]})
        status = self.gpg.run("--card-status")
        self.assertIn("card-no: FF00", status)
        self.gpg.use()

    def test_import_rsa(self):
        """`keytocard` of three RSA 2048 keys; sign, verify, encrypt, decrypt with them"""
        self.check_imported("rsa2048", "rsa2048", "rsa2048")

    def test_import_curve25519(self):
        """`keytocard` of Ed25519 and Curve25519 keys; use"""
        self.check_imported("ed25519", "cv25519", "ed25519")

    def test_import_nist(self):
        """`keytocard` of keys on NIST P-521 and P-384; use"""
        self.check_imported("nistp521", "nistp384")

    def test_change_pins(self):
        """`--card-edit`: `passwd` for PIN, Admin PIN and Reset Code, unblocking"""
        self.reader()
        self.gpg.run("--card-status")
        self.gpg.pins(new="654321")
        self.gpg.edit("admin", "passwd", answers={"cardutil.change_pin.menu": ["1", "q"]})
        self.gpg.pins(user="654321", new="87654321")
        self.gpg.edit("admin", "passwd", answers={"cardutil.change_pin.menu": ["3", "q"]})
        self.gpg.pins(user="654321", admin="87654321", new="11223344")
        self.gpg.edit("admin", "passwd", answers={"cardutil.change_pin.menu": ["4", "q"]})
        self.gpg.pins(user="wrong!", admin="87654321", code="11223344")
        with self.assertRaises(Failure):
            self.gpg.edit("verify")
        self.assertIn("PIN retry counter : 2 3 3", self.gpg.run("--card-status"))
        self.gpg.pins(code="11223344", new="222222")
        self.gpg.edit("unblock")
        self.gpg.pins(user="222222")
        self.gpg.edit("verify")
        self.assertIn("PIN retry counter : 3 3 3", self.gpg.run("--card-status"))

    def test_data(self):
        """`--card-edit`: name, language, login data, URL, forced signature PIN"""
        self.reader()
        self.gpg.edit("admin", "name", "lang", "login", "url", "forcesig", answers={
            "keygen.smartcard.surname": "User", "keygen.smartcard.givenname": "Virtual",
            "cardedit.change_lang": "en", "cardedit.change_login": "user",
            "cardedit.change_url": "https://example.org/key"})
        status = self.gpg.run("--card-status")
        for line in ("Name of cardholder: Virtual User", "Language prefs ...: en",
                "URL of public key : https://example.org/key", "Login data .......: user",
                "Signature PIN ....: not forced"):
            self.assertIn(line, status)

    def test_kdf(self):
        """`--card-edit`: `kdf-setup`, then key generation and use"""
        self.reader()
        self.gpg.edit("admin", "kdf-setup")
        self.assertIn("KDF setting ......: on", self.gpg.run("--card-status"))
        self.gpg.edit("admin", "generate")
        self.gpg.use()

    def test_factory_reset(self):
        """`--card-edit`: `factory-reset`"""
        self.reader()
        self.gpg.edit("admin", "generate")
        self.gpg.edit("admin", "factory-reset", answers={
            "cardedit.factory-reset.proceed": "y", "cardedit.factory-reset.really": "yes"})
        status = self.gpg.run("--card-status")
        self.assertIn("Signature key ....: [none]", status)
        self.assertIn("PIN retry counter : 3 0 3", status)

    def check_shared(self, scdaemon, what):
        self.gpg.write("scdaemon.conf", "disable-ccid\n" + scdaemon)
        self.reader()
        self.gpg.edit("admin", "generate")
        self.env["PYTHONPATH"] = str(SOURCE / "tests/e2e")
        client = self.write("client.py", SECOND_CLIENT)
        library = BUILD / "lib/libpcsclite.so.1"
        with subprocess.Popen([sys.executable, "-B", client, library, what], env=self.env,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True) as second:
            self.assertEqual(second.stdout.readline(), "ready\n")
            for _ in range(3):
                self.gpg.use()
            _, errors = second.communicate("end\n", TIMEOUT_S)
        self.assertEqual((second.returncode, errors), (0, ""))

    def test_second_client(self):
        """signatures and decryption while another client watches the reader"""
        self.check_shared("", "watch")

    def test_second_client_shared(self):
        """signatures and decryption with `pcsc-shared` beside another client's transactions"""
        self.check_shared("pcsc-shared\n", "use")


# Until its standard input ends: watches the reader or, asked to "use" it, reads the AID in
# transactions of its own. The applet stays selected, and gpg keeps the rights it has shown.
SECOND_CLIENT = """
import select, sys, winscard
api = winscard.Winscard(sys.argv[1])

def call(result):
    if result[0]:
        sys.exit(winscard.rv_name(result[0]))
    return result[1]

context = call(api.establish())
reader = call(api.list_readers(context))[0]
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    call(api.status_change(context, 0, [[reader, winscard.STATE_UNAWARE]]))
    if sys.argv[2] == "use":
        card = call(api.connect(context, reader))["handle"]
        call(api.begin(card))
        answer = call(api.transmit(card, "00CA004F00"))
        call(api.end(card))
        call(api.disconnect(card))
        if not answer.lower().startswith("d27600012401"):
            sys.exit(answer)
"""


class GpgSsh(Application):
    program = "ssh through gpg-agent"
    packages = ("gpg-agent", "scdaemon", "openssh-client", "openssh-server")
    needs = ("gpg", "/usr/lib/gnupg/scdaemon", "ssh", "sshd")
    version = ("gpg-agent", "--version")

    def test_login(self):
        """ssh login at a local sshd with the card's authentication key, Ed25519"""
        gpg = GpgHome(self)
        self.reader()
        gpg.set_algorithms(1, 1, 1)
        gpg.edit("admin", "generate")
        gpg.run("--card-status")
        self.env["SSH_AUTH_SOCK"] = self.run_("gpgconf", "--list-dirs", "agent-ssh-socket").strip()
        self.run_("gpg-connect-agent", "/bye")
        keys = self.run_("ssh-add", "-L")
        self.assertIn("cardno:", keys)
        self.assertEqual(ssh_login(self, keys, []), "logged in\n")
