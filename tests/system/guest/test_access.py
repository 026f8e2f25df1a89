# SPDX-License-Identifier: BSD-3-Clause
"""Who may use readers: polkit's answers by user, static rules, and a /proc that hides processes."""

import contextlib
import os
import pty
import pwd
import select
import signal
import subprocess
import termios
import time
import unittest
from pathlib import Path

from guestlib import (PATIENCE_S, Client, Host, Program, eventually, in_service, in_session, install_ours, journal,
                      journal_cursor, journal_entries, qemu_reader, restart_socket, run, systemctl)

RULE = Path("/etc/polkit-1/rules.d/50-test.rules")
DENIED = "SCARD_W_SECURITY_VIOLATION"
PERSON = "person"  # an ordinary user
PASSWORD = "open sesame"
PCSC, CARD = "org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card"


def setUpModule():
    install_ours()
    run("useradd", "--no-create-home", PERSON)


def restart_polkit():
    """However often: systemd counts the starts of a service."""
    systemctl("reset-failed", "polkit.service")
    systemctl("restart", "polkit.service")


class Access(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        restart_socket()

    def rule(self, condition):
        """polkit says yes to the user nobody where the condition (of action) holds."""
        RULE.write_text("polkit.addRule(function(action, subject) {\n"
                        f"  if (subject.user == 'nobody' && ({condition})) return polkit.Result.YES;\n}});\n")
        self.addCleanup(restart_polkit)
        self.addCleanup(RULE.unlink)
        restart_polkit()

    def establish(self, user):
        with Client(user) as client:
            return client.call("establish")[0]

    def test_root_may(self):
        self.assertEqual(self.establish(None), "SCARD_S_SUCCESS")

    def test_user_without_a_seat_may_not(self):
        """One line says so, with the action, the user and the remedy; root goes on."""
        with Client() as root:
            root.value("establish")
            cursor = journal_cursor()
            with Client(prefix=as_user("nobody")) as client:
                self.assertEqual(client.call("establish")[0], DENIED)
                pid = client.child.pid
            entries = [entry for entry in journal_entries(cursor) if "65534" in entry["MESSAGE"]]
            self.assertEqual(len(entries), 1, entries)
            self.assertIn(PCSC, entries[0]["MESSAGE"])
            self.assertEqual(entries[0].get("CLIENT_PID"), str(pid), entries)
            root.value("establish")

    def test_polkits_rule_lets_a_user_in(self):
        self.rule(f"action.id == '{PCSC}'")
        self.assertEqual(self.establish("nobody"), "SCARD_S_SUCCESS")

    def test_the_readers_name_is_told_to_polkit(self):
        self.rule(f"action.id == '{PCSC}' || action.id == '{CARD}' && /QEMU/.test(action.lookup('reader'))")
        with qemu_reader(self.host, card=True), Client("nobody") as client:
            context = client.value("establish")
            name = client.wait_reader(context, "QEMU")
            self.host.command("card_insert")
            eventually(lambda: client.call("connect", context, name)[0] == "SCARD_S_SUCCESS", what="connected")

    def test_access_to_the_list_but_not_to_the_card(self):
        self.rule(f"action.id == '{PCSC}'")
        with qemu_reader(self.host, card=True), Client("nobody") as client:
            context = client.value("establish")
            name = client.wait_reader(context, "QEMU")
            self.host.command("card_insert")
            self.assertEqual(client.call("connect", context, name)[0], DENIED)

    def test_static_rule_without_polkit(self):
        Path("/etc/default/pcscd").write_text("PCSCD_ARGS=--allow=uid:65534\n")
        self.addCleanup(Path("/etc/default/pcscd").unlink)
        systemctl("stop", "polkit.service")
        systemctl("mask", "--runtime", "polkit.service")
        self.addCleanup(systemctl, "unmask", "--runtime", "polkit.service")
        restart_socket()
        self.assertEqual(self.establish("nobody"), "SCARD_S_SUCCESS")
        self.assertEqual(self.establish("games"), DENIED)

    def test_hidden_processes(self):
        """With hidepid neither we nor polkit can look at a client. Root may, and a refusal is a quick one."""
        run("mount", "-o", "remount,hidepid=invisible", "/proc")
        self.addCleanup(run, "mount", "-o", "remount,hidepid=off", "/proc")
        restart_socket()
        self.assertEqual(self.establish(None), "SCARD_S_SUCCESS")
        before = time.monotonic()
        self.assertEqual(self.establish("nobody"), DENIED)
        self.assertLess(time.monotonic() - before, PATIENCE_S)

    def test_hidden_processes_and_a_static_rule(self):
        """--allow needs no look at the client."""
        Path("/etc/default/pcscd").write_text("PCSCD_ARGS=--allow=uid:65534\n")
        self.addCleanup(Path("/etc/default/pcscd").unlink)
        run("mount", "-o", "remount,hidepid=invisible", "/proc")
        self.addCleanup(run, "mount", "-o", "remount,hidepid=off", "/proc")
        restart_socket()
        self.assertEqual(self.establish("nobody"), "SCARD_S_SUCCESS")
        self.assertEqual(self.establish("games"), DENIED)


def as_user(user):
    """What becomes a program of the user, with the same pid."""
    return ["setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups", "--"]


class Agent:
    """polkit's agent for the questions about one process, at a terminal of its own."""

    def __init__(self, user, pid):
        ready, done = os.pipe()
        os.set_inheritable(done, True)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvp("setpriv", [*as_user(user), "pkttyagent", "--process", str(pid), "--notify-fd", str(done)])
        os.close(done)
        self.text = ""
        os.read(ready, 1)  # its end, when polkit knows the agent
        os.close(ready)

    def says(self, what):
        """Waits for words at the terminal."""
        def found():
            if select.select([self.terminal], [], [], 0)[0]:
                try:
                    self.text += os.read(self.terminal, 4096).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"the agent has ended: {self.text}") from None
            return what in self.text
        eventually(found, what=f"{what} in {self.text}")

    def type(self, line):
        """Answers a question. It drops what was typed before it has turned the echo off."""
        eventually(lambda: not termios.tcgetattr(self.terminal)[3] & termios.ECHO, what="no echo")
        os.write(self.terminal, line.encode() + b"\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


class Asked(unittest.TestCase):
    """A user whom polkit asks for a password first."""

    def setUp(self):
        RULE.write_text("polkit.addRule(function(action, subject) {\n"
                        f"  if (subject.user == '{PERSON}') return polkit.Result.AUTH_SELF;\n}});\n")
        self.addCleanup(restart_polkit)
        self.addCleanup(RULE.unlink)
        restart_polkit()
        subprocess.run(["chpasswd"], input=f"{PERSON}:{PASSWORD}\n", text=True, check=True)
        restart_socket()

    @contextlib.contextmanager
    def asked(self):
        """A client that waits for its user's answer: (client, number of its call, agent)."""
        with Client(prefix=as_user(PERSON)) as client, Agent(PERSON, client.child.pid) as agent:
            number = client.start("establish")
            agent.says(PCSC)
            agent.says("Password:")
            yield client, number, agent

    def test_password(self):
        with self.asked() as (client, number, agent):
            agent.type(PASSWORD)
            self.assertEqual(client.finish(number)[0], "SCARD_S_SUCCESS")

    def test_wrong_password(self):
        with self.asked() as (client, number, agent):
            agent.type("not that")
            self.assertEqual(client.finish(number)[0], DENIED)

    def test_others_do_not_wait(self):
        with self.asked() as (client, number, agent), Client() as root:
            self.assertEqual(root.call("establish")[0], "SCARD_S_SUCCESS")
            agent.type(PASSWORD)
            self.assertEqual(client.finish(number)[0], "SCARD_S_SUCCESS")

    def test_client_goes_away(self):
        """The question is taken back from who is asked it, and who comes next is asked anew."""
        pattern = "interface='org.freedesktop.PolicyKit1.AuthenticationAgent'"
        with Program("busctl", "--system", "monitor", "--match", pattern) as bus:
            bus.until(lambda line: "Monitoring" in line, what="the bus watched")
            with self.asked() as (client, _, _):
                bus.until(lambda line: "Member=BeginAuthentication" in line, what="the user asked")
                client.child.kill()
                bus.until(lambda line: "Member=CancelAuthentication" in line, what="the question taken back")
        self.test_password()


class Sessions(unittest.TestCase):
    """polkit's defaults: a user at the machine may, others may not."""

    def setUp(self):
        restart_socket()
        self.before = Path("/sys/class/tty/tty0/active").read_text().strip()

    def assert_session(self, prefix, code, **properties):
        """A client in such a session gets that answer."""
        with Client(prefix=prefix) as client:
            answer = client.call("establish")[0]
            shown = run("loginctl", "list-sessions", "--no-legend")
            found = [line.split()[0] for line in shown.splitlines() if PERSON in line]
            for name, value in properties.items():
                self.assertEqual(len(found), 1, shown)
                self.assertEqual(run("loginctl", "show-session", "-p", name, "--value", found[0]).strip(), value)
            self.assertEqual(answer, code, f"{shown}\n{journal()[-1000:]}")
        run("loginctl", "terminate-user", PERSON, check=False)
        eventually(lambda: PERSON not in run("loginctl", "list-sessions", "--no-legend"), what="session ended")

    def test_at_the_console(self):
        """A session on the virtual terminal that is shown."""
        self.assert_session(in_session(PERSON, vt=self.before.removeprefix("tty")), "SCARD_S_SUCCESS",
                            Seat="seat0", Active="yes")

    def test_in_the_background(self):
        """A session on another virtual terminal: somebody else's fingers are on the keyboard."""
        self.assert_session(in_session(PERSON, vt="9"), DENIED, Seat="seat0", Active="no")

    def test_by_ssh(self):
        self.assert_session(in_session(PERSON), DENIED, Seat="")

    def test_service(self):
        self.assert_session(in_service(PERSON), DENIED)


if __name__ == "__main__":
    unittest.main()
