# SPDX-License-Identifier: BSD-3-Clause
"""pcscctl doctor on a real system: nothing wrong as installed, and what is done to it is named."""

import glob
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from guestlib import (Client, Host, eventually, install_ours, qemu_reader, restart_socket, run, stop_service,
                      systemctl)

CLAIM = "import fcntl, sys; node = open(sys.argv[1], 'r+b', buffering=0)\n" \
    "fcntl.ioctl(node, 0x8004550F, bytes(4)); print('claimed', flush=True); sys.stdin.read()"
RULE = Path("/lib/udev/rules.d/92-pcscd.rules")


def setUpModule():
    install_ours()


def faults(user=None):
    """{check: what was found}, of the checks that find a fault."""
    prefix = ["runuser", "-u", user, "--"] if user else []
    done = subprocess.run([*prefix, "pcscctl", "doctor", "--json"], capture_output=True, text=True, timeout=60)
    found = {finding["check"]: finding["what"] for finding in json.loads(done.stdout)["findings"]
             if finding["verdict"] == "fault"}
    if (done.returncode != 0) != bool(found):
        raise AssertionError(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    return found


def node():
    """The device node of QEMU's reader."""
    for folder in map(Path, glob.glob("/sys/bus/usb/devices/*")):
        product = folder / "product"
        if product.exists() and "CCID" in product.read_text():
            number = [int((folder / name).read_text()) for name in ("busnum", "devnum")]
            return "/dev/bus/usb/%03d/%03d" % tuple(number)
    return None


class Doctor(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        restart_socket()

    def assert_fault(self, check, *words, user=None):
        found = faults(user)
        self.assertIn(check, found)
        for word in words:
            self.assertIn(word, found[check])

    def test_nothing_wrong(self):
        with qemu_reader(self.host), Client() as client:
            client.wait_reader(client.value("establish"), "QEMU")
            self.assertEqual(faults(), {})

    def test_socket_unit_not_active(self):
        stop_service()
        self.assert_fault("service", "pcscd.socket is not active")

    def test_user_who_may_not(self):
        self.assert_fault("access", "org.debian.pcsc-lite.access_pcsc", "uid 65534", user="nobody")

    def test_rule_missing(self):
        """The reader's node then belongs to root."""
        aside = RULE.with_suffix(".aside")
        RULE.rename(aside)
        self.addCleanup(run, "udevadm", "control", "--reload")
        self.addCleanup(aside.rename, RULE)
        run("udevadm", "control", "--reload")
        with qemu_reader(self.host):
            eventually(node, what="device node")
            run("udevadm", "settle")
            found = faults()
            self.assertEqual(set(found), {"udev", "node", "listed"})
            self.assertIn("92-pcscd.rules", found["udev"])
            self.assertIn(node(), found["node"])

    def test_reader_taken(self):
        """By another process, which is named; when it has gone the daemon has the reader."""
        stop_service()
        with qemu_reader(self.host):
            path = eventually(node, what="device node")
            with subprocess.Popen([sys.executable, "-c", CLAIM, path], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True) as holder:
                self.assertEqual(holder.stdout.readline(), "claimed\n")
                systemctl("start", "pcscd.socket")
                self.assert_fault("interface", f"pid {holder.pid} ({os.path.realpath(sys.executable)})")
                holder.stdin.close()
            with Client() as client:
                client.wait_reader(client.value("establish"), "QEMU")


if __name__ == "__main__":
    unittest.main()
