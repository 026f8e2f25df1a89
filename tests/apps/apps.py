# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of applications share: `vreader run` around the distribution's programs.

A program has a file app_NAME.py with a class derived from Application; each of its tests is a row
of the table in docs/applications.md, described by its docstring. The programs run unmodified, with our
client library (LD_LIBRARY_PATH), a home folder of their own, and a daemon and a card of their own.

  CARDWIRE_BUILD  the build folder whose programs are used (build/dev)
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("CARDWIRE_BUILD", SOURCE / "build/dev"))
VREADER = BUILD / "bin/vreader"
TIMEOUT_S = 120

PW1 = "123456"
PW3 = "12345678"


def module_file(name):
    """The path of a PKCS#11 module or another library; None if it is missing."""
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64",
            "/usr/lib"):
        if (path := pathlib.Path(folder) / name).exists():
            return str(path)
    return None


class Failure(AssertionError):
    pass


class Reader:
    """A running `vreader run`, whose command only keeps it alive; env is what its command got."""

    def __init__(self, test, options):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", str(VREADER), "run", *options, "--",
             "sh", "-c", 'echo "$PCSCLITE_CSOCK_NAME"; echo "$VREADER_CTL"; exec cat'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=test.env,
            text=True)
        socket, ctl = (self.process.stdout.readline().strip() for _ in range(2))
        if not ctl:
            raise Failure("vreader run did not start: " + self.process.communicate()[1])
        self.env = {"PCSCLITE_CSOCK_NAME": socket, "VREADER_CTL": ctl}

    def stop(self):
        _, errors = self.process.communicate()
        if self.process.returncode:
            raise Failure(f"vreader run ended with {self.process.returncode}: {errors}")


class Application(unittest.TestCase):
    """Derived classes say what the program is."""

    program = None   # its name in the table
    packages = ()    # Debian's, which scripts/test --apps installs
    needs = ()       # files and commands without which the tests are skipped
    version = None   # a command that tells it; else it is that of the first package

    def setUp(self):
        for needed in self.needs:
            if not (needed and (shutil.which(str(needed)) or pathlib.Path(needed).exists())):
                self.skipTest(f"{needed} is not installed")
        # Short, since it holds sockets.
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="apps-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.tmp, ignore_errors=True)
        home = self.tmp / "home"
        home.mkdir(mode=0o700)
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home),
            "LC_ALL": "C.UTF-8", "VREADER": str(VREADER),
            "LD_LIBRARY_PATH": str(BUILD / "lib"), "TMPDIR": str(self.tmp)}

    def reader(self, *options, card="openpgp"):
        """Starts a reader with a card until the test ends; what run_() starts uses it."""
        reader = Reader(self, ["--card", card, *options])
        self.addCleanup(reader.stop)
        self.env.update(reader.env)
        return reader

    def run_(self, *command, input=None, status=0, timeout=TIMEOUT_S, env=None):
        """Runs a program to its end and returns what it printed, stderr included. status: the one
        it is to end with; None: any but 0."""
        result = subprocess.run([str(word) for word in command], input=input, timeout=timeout,
            stdin=subprocess.DEVNULL if input is None else None,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**self.env, **(env or {})},
            cwd=self.tmp, text=True, errors="replace")
        if result.returncode == status or (status is None and result.returncode):
            return result.stdout
        raise Failure(f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}")

    def write(self, name, text):
        path = self.tmp / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @classmethod
    def version_text(cls):
        if cls.version:
            try:
                text = subprocess.run(cls.version, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, errors="replace", timeout=TIMEOUT_S).stdout
            except OSError:
                return "not installed"
            if match := re.search(r"\d+(\.\d+)+\S*", text):
                return match.group().rstrip(',)"')
        if cls.packages:
            result = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", cls.packages[0]],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            return result.stdout or "not installed"
        return ""


def ssh_login(test, public_keys, options):
    """Logs in at a daemon that takes these keys; returns what a command there printed."""
    home = test.tmp / "ssh"
    home.mkdir(mode=0o700)
    test.run_("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "host")
    test.write("ssh/authorized", public_keys)
    test.write("ssh/known", "test " + (home / "host.pub").read_text())
    # Below a proxy command sshd needs no port: it serves its standard input.
    test.write("ssh/sshd_config", f"HostKey {home}/host\nAuthorizedKeysFile {home}/authorized\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    return test.run_("ssh", "-F", "none", "-q", "-T", "-o", f"UserKnownHostsFile={home}/known",
        "-o", f"ProxyCommand={shutil.which('sshd')} -i -f {home}/sshd_config -E {home}/log",
        "-o", "PreferredAuthentications=publickey", *options, "test", "echo logged in")
