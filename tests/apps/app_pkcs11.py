# SPDX-License-Identifier: BSD-3-Clause
"""Programs that use OpenSC's PKCS#11 module: OpenSSL, GnuTLS, NSS, p11-kit, PAM modules."""

import os
import pathlib
import re
import subprocess

from apps import PW1, Application, module_file
from app_opensc import MODULE, pkcs15_generate, public_key, sign
from pivcard import PIN, RSA, PivCard

ENGINE = module_file("engines-3/pkcs11.so")
PAM_P11 = module_file("security/pam_p11.so")
PAM_PKCS11 = module_file("security/pam_pkcs11.so")
OPENCRYPTOKI = module_file("pkcs11/libopencryptoki.so")
P11_CLIENT = module_file("pkcs11/p11-kit-client.so")


class Openssl(Application):
    program = "openssl (PKCS#11 engine)"
    packages = ("openssl", "libengine-pkcs11-openssl", "opensc-pkcs11", "opensc")
    needs = ("openssl", "openpgp-tool", ENGINE, MODULE)
    version = ("openssl", "version")

    def test_sign(self):
        """`openssl dgst -engine pkcs11 -sign`, checked; a self-signed certificate"""
        self.reader()
        pkcs15_generate(self)
        self.write("key.pem", public_key(self))
        data = self.write("data", "a message\n")
        self.env |= {"PKCS11_MODULE_PATH": MODULE}
        key = ("pkcs11:token=OpenPGP%20card%20%28User%20PIN%29;object=Authentication%20key;"
            f"type=private;pin-value={PW1}")
        self.run_("openssl", "dgst", "-engine", "pkcs11", "-keyform", "engine", "-sign", key,
            "-sha256", "-out", "signature", data)
        self.assertIn("Verified OK", self.run_("openssl", "dgst", "-sha256", "-verify", "key.pem",
            "-signature", "signature", data))
        self.run_("openssl", "req", "-engine", "pkcs11", "-keyform", "engine", "-key", key, "-new",
            "-x509", "-subj", "/CN=virtual", "-out", "certificate.pem")
        self.run_("openssl", "verify", "-CAfile", "certificate.pem", "certificate.pem")


class P11tool(Application):
    program = "p11tool (GnuTLS)"
    packages = ("gnutls-bin", "opensc-pkcs11", "opensc")
    needs = ("p11tool", "openpgp-tool", MODULE)
    version = ("p11tool", "--version")

    def test_sign(self):
        """`p11tool --list-tokens`, `--list-all --login`, `--test-sign`"""
        self.reader()
        pkcs15_generate(self)
        tokens = self.run_("p11tool", "--provider", MODULE, "--list-token-urls")
        token = re.search(r"pkcs11:\S*OpenPGP%20card%20%28User%20PIN%29\S*", tokens)[0]
        self.env["GNUTLS_PIN"] = PW1
        listed = self.run_("p11tool", "--provider", MODULE, "--login", "--list-all", "--only-urls",
            token)
        key = next(line for line in listed.splitlines()
            if "Authentication" in line and "type=private" in line)
        self.run_("p11tool", "--provider", MODULE, "--login", "--test-sign", key)


class P11Kit(Application):
    program = "p11-kit"
    packages = ("p11-kit", "p11-kit-modules", "opensc-pkcs11", "opensc")
    needs = ("p11-kit", "openpgp-tool", "pkcs11-tool", MODULE)
    version = ("p11-kit", "--version")

    def test_list(self):
        """`p11-kit list-modules`"""
        self.reader()
        self.assertIn("OpenPGP card", self.run_("p11-kit", "list-modules"))

    def test_remote(self):
        """`p11-kit server` on a Unix socket; `pkcs11-tool` signs through `p11-kit-client.so`"""
        self.reader()
        pkcs15_generate(self)
        with subprocess.Popen(["p11-kit", "server", "--foreground", "--name", self.tmp / "p11",
                "--provider", MODULE, "pkcs11:"], env=self.env, stdout=subprocess.PIPE,
                text=True) as server:
            try:
                address = re.search(r"P11_KIT_SERVER_ADDRESS=(.*?);", server.stdout.readline())[1]
                self.env["P11_KIT_SERVER_ADDRESS"] = address
                sign(self, P11_CLIENT)
            finally:
                server.terminate()


class Opencryptoki(Application):
    program = "opencryptoki"
    packages = ("opencryptoki", "p11-kit", "opensc-pkcs11")
    needs = ("p11-kit", "pkcsslotd", OPENCRYPTOKI, MODULE)

    def test_beside(self):
        """its daemon and module beside OpenSC's; both seen through `p11-kit list-modules`"""
        if os.geteuid() != 0:
            self.skipTest("needs root, to start pkcsslotd")
        self.reader()
        # pkcsslotd returns when its child serves; a file system of our own has its files.
        script = self.write("list", f"""set -e
            mount -t tmpfs none /run
            mkdir -p /run/lock/opencryptoki
            mount -t tmpfs none /usr/share/p11-kit/modules
            echo "module: {OPENCRYPTOKI}" > /usr/share/p11-kit/modules/opencryptoki.module
            echo "module: {MODULE}" > /usr/share/p11-kit/modules/opensc.module
            pkcsslotd
            p11-kit list-modules""")
        listed = self.run_("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", script)
        self.assertIn("token: IBM OS PKCS#11", listed)
        self.assertIn("token: OpenPGP card (User PIN)", listed)


class Nss(Application):
    program = "modutil, certutil (NSS)"
    packages = ("libnss3-tools", "opensc-pkcs11", "opensc")
    needs = ("modutil", "certutil", "openpgp-tool", MODULE)

    def test_list(self):
        """`modutil -add`, `-list`; `certutil -K` lists the card's keys"""
        self.reader()
        pkcs15_generate(self)
        database = self.tmp / "nss"
        database.mkdir()
        self.write("empty", "\n")
        self.write("pin", PW1 + "\n")
        self.run_("certutil", "-N", "-d", f"sql:{database}", "--empty-password")
        self.run_("modutil", "-dbdir", f"sql:{database}", "-add", "opensc", "-libfile", MODULE,
            "-force")
        listed = self.run_("modutil", "-dbdir", f"sql:{database}", "-list", "opensc", "-force")
        token = re.search(r"Token Name: (.*\(User PIN\))", listed)[1].strip()
        keys = self.run_("certutil", "-K", "-d", f"sql:{database}", "-h", token, "-f", "pin")
        self.assertIn("rsa", keys)


class PamPkcs11(Application):
    program = "pam_pkcs11"
    packages = ("libpam-pkcs11", "pamtester", "opensc-pkcs11", "yubico-piv-tool", "openssl")
    needs = ("pamtester", "pkcs11_make_hash_link", "yubico-piv-tool", "openssl", PAM_PKCS11, MODULE)

    def test_authenticate(self):
        """`pamtester` with pam_pkcs11, a PIV card, its certificate's CA and subject; a wrong PIN"""
        if os.geteuid() != 0:
            self.skipTest("needs root, to write a PAM service")
        card = PivCard(self)
        card.fill("9a", RSA)
        (self.tmp / "cacerts").mkdir()
        self.write("cacerts/ca.pem", (self.tmp / "ca.pem").read_text())
        self.run_("pkcs11_make_hash_link", self.tmp / "cacerts")
        self.write("subjects", "/CN=virtual 9a -> root\n")
        config = self.write("pam_pkcs11.conf", PAM_PKCS11_CONF.format(module=MODULE, tmp=self.tmp))
        self.assertIn("root", self.run_("pklogin_finder", f"config_file={config}", input=PIN + "\n"))
        service = f"cardwire-test-{os.getpid()}"
        pam = pathlib.Path("/etc/pam.d") / service
        pam.write_text(f"auth required {PAM_PKCS11} config_file={config}\n")
        self.addCleanup(pam.unlink)
        tester = ("pamtester", service, "root", "authenticate")
        self.run_(*tester, input="111111\n", status=None)
        self.assertIn("successfully authenticated", self.run_(*tester, input=PIN + "\n"))


PAM_PKCS11_CONF = """pam_pkcs11 {{
  use_pkcs11_module = opensc;
  pkcs11_module opensc {{
    module = {module};
    slot_description = "none";
    ca_dir = {tmp}/cacerts;
    cert_policy = ca, signature;
  }}
  use_mappers = subject;
  mapper subject {{
    module = internal;
    mapfile = file://{tmp}/subjects;
  }}
}}
"""


class PamP11(Application):
    program = "pam_p11"
    packages = ("libpam-p11", "pamtester", "opensc-pkcs11", "opensc")
    needs = ("pamtester", "openpgp-tool", PAM_P11, MODULE)

    def test_authenticate(self):
        """`pamtester` with pam_p11 and the card's key in `authorized_keys`; a wrong PIN"""
        if os.geteuid() != 0:
            self.skipTest("needs root, to write a PAM service")
        self.reader()
        pkcs15_generate(self, keys="3")
        keys = self.run_("ssh-keygen", "-D", MODULE)
        service = f"cardwire-test-{os.getpid()}"
        pam = pathlib.Path("/etc/pam.d") / service
        pam.write_text(f"auth required {PAM_P11} {MODULE}\n")
        self.addCleanup(pam.unlink)
        # The module looks in the user's real home folder.
        home = pathlib.Path(os.path.expanduser("~root")) / ".ssh"
        self.write("authorized_keys", "".join(line + "\n" for line in keys.splitlines()
            if line.startswith("ssh-rsa ")))
        script = (f"mkdir -p {home} && mount -t tmpfs none {home} && "
            f"cp {self.tmp}/authorized_keys {home} && exec pamtester {service} root authenticate")
        self.run_("unshare", "--mount", "sh", "-c", script, input="111111\n", status=None)
        text = self.run_("unshare", "--mount", "sh", "-c", script, input=PW1 + "\n")
        self.assertIn("successfully authenticated", text)
