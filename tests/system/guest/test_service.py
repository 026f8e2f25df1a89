# SPDX-License-Identifier: BSD-3-Clause
"""The daemon as a service: activation, its user, its sandbox, its end, and what happens when it hangs."""

import os
import pwd
import re
import signal
import time
import unittest
from pathlib import Path

from guestlib import (PATIENCE_S, Client, Host, daemon_pid, eventually, install_ours, journal, journal_cursor,
                      property_of, qemu_reader, restart_socket, run, stop_service, systemctl)

DROP_IN = Path("/run/systemd/system/pcscd.service.d")


def setUpModule():
    install_ours()


def state():
    return property_of("pcscd.service", "ActiveState")


class Service(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        restart_socket()

    def drop_in(self, text):
        DROP_IN.mkdir(parents=True, exist_ok=True)
        (DROP_IN / "test.conf").write_text(text)
        self.addCleanup(systemctl, "daemon-reload")
        self.addCleanup((DROP_IN / "test.conf").unlink)
        systemctl("daemon-reload")

    def test_first_client_starts_it(self):
        self.assertEqual(state(), "inactive")
        with Client() as client:
            context = client.value("establish")
            self.assertEqual(state(), "active")
            self.assertEqual(client.call("list_readers", context)[0], "SCARD_E_NO_READERS_AVAILABLE")
            self.assertEqual(property_of("pcscd.service", "Type"), "notify")
            pid = daemon_pid()
            owner = pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name
            self.assertEqual(owner, "pcscd")
            status = Path(f"/proc/{pid}/status").read_text()
            self.assertRegex(status, r"CapEff:\s+0{16}\n")
            self.assertRegex(status, r"NoNewPrivs:\s+1\n")
            self.assertRegex(status, r"Seccomp:\s+2\n")

    def test_exposure(self):
        report = run("systemd-analyze", "security", "--no-pager", "pcscd.service")
        verdict = re.search(r"Overall exposure level for pcscd.service: ([0-9.]+)", report)
        self.assertTrue(verdict, report)
        print(f"systemd-analyze security pcscd.service: {verdict[1]} ", end="", flush=True)
        self.assertLess(float(verdict[1]), 2.0, report)

    def test_all_that_it_does_is_allowed(self):
        """A reader comes, a card is read, the configuration is read again, the daemon ends."""
        cursor = journal_cursor()
        with qemu_reader(self.host, card=True), Client() as client:
            context = client.value("establish")
            name = client.wait_reader(context, "QEMU")
            self.host.command("card_insert")
            eventually(lambda: client.call("connect", context, name)[0] == "SCARD_S_SUCCESS", what="connected")
            systemctl("reload", "pcscd.service")
            self.assertEqual(client.wait_reader(context, "QEMU"), name)
        systemctl("stop", "pcscd.service")
        self.assertEqual(property_of("pcscd.service", "Result"), "success")
        self.assertNotRegex(run("journalctl", "-q", "--after-cursor", cursor), r"SIGSYS|SECCOMP|type=1326")

    def test_exits_when_idle(self):
        """60 s after the last client, and not while there is one; the socket stays and starts it again."""
        with Client() as client:
            client.value("establish")
            pid = daemon_pid()
        left = time.monotonic()
        eventually(lambda: state() == "inactive", timeout=60 + PATIENCE_S, step=0.5, what="ended")
        self.assertGreater(time.monotonic() - left, 55)
        self.assertEqual(property_of("pcscd.service", "Result"), "success")
        socket = systemctl("is-active", "pcscd.socket", check=False)
        self.assertEqual(socket, "active", run("journalctl", "-q", "-n", "30", "-u", "pcscd.socket", "-u", "pcscd"))
        with Client() as client:
            client.value("establish")
            self.assertNotEqual(daemon_pid(), pid)

    def test_daemon_that_crashes_leaves_the_socket(self):
        """For as long as it crashes it is started again; a client that waits is served when it does no more."""
        self.drop_in("[Service]\nExecStart=\nExecStart=/bin/sh -c 'kill -SEGV $$$$'\n")
        with Client() as client:
            waiting = client.start("establish")
            # More often than systemd's own limit would let it be.
            eventually(lambda: int(property_of("pcscd.service", "NRestarts")) >= 6, timeout=5 * PATIENCE_S, step=0.5,
                       what="started again")
            (DROP_IN / "test.conf").write_text("")
            systemctl("daemon-reload")
            code, value = client.finish(waiting)
            self.assertEqual(code, "SCARD_S_SUCCESS", value)
            self.assertEqual(systemctl("is-active", "pcscd.socket"), "active")

    def test_hanging_daemon_is_replaced(self):
        """The watchdog ends it; a client that waits is served by the next one without noticing."""
        self.drop_in("[Service]\nWatchdogSec=4\nTimeoutStopSec=2\n")
        with Client() as client:
            context = client.value("establish")
            waiting = client.start("status_change", context, 60000, [[r"\\?PnP?\Notification", 0]])
            pid = daemon_pid()
            os.kill(pid, signal.SIGSTOP)
            eventually(lambda: state() == "active" and daemon_pid() not in (0, pid), timeout=90, step=0.2,
                       what="another daemon")
            self.assertGreaterEqual(int(property_of("pcscd.service", "NRestarts")), 1)
            with qemu_reader(self.host):
                code, value = client.finish(waiting)
                self.assertEqual(code, "SCARD_S_SUCCESS", value)
                client.wait_reader(context, "QEMU")


if __name__ == "__main__":
    unittest.main()
