# SPDX-License-Identifier: BSD-3-Clause
"""`vreader run`: a command with a reader, a card and a daemon of its own, and nothing left behind."""

import os
import pathlib
import re
import resource
import select
import signal
import subprocess
import sys
import time
import unittest

import harness
from harness import LIBRARIES, PRELOAD, VREADER

# Connects to every reader and has each card echo two bytes; says when the first answer came.
CLIENT = f"""
import sys, time
sys.path.insert(0, {str(harness.HERE)!r})
import winscard
lib = winscard.Winscard({str(LIBRARIES["ours"])!r})
context = lib.establish()[1]
first = None
for reader in lib.list_readers(context)[1]:
    rv, handle = lib.connect(context, reader)
    answer = lib.transmit(handle["handle"], "80EC000002010200")[1] if rv == 0 else hex(rv)
    first = first or time.monotonic()
    print(reader, answer, sep=": ")
print(first)
"""


def python(script, interpreter=sys.executable):
    """A command that runs a script with our client library, whatever it is built with."""
    preload = {"LD_PRELOAD": PRELOAD, **harness.sanitizer_env()} if PRELOAD else {}
    return ["env", *(f"{key}={value}" for key, value in preload.items()), interpreter, "-B", "-c",
        script]

# Makes a P-256 key on an OpenPGP card if told to, and prints the card's AID and that key.
OPENPGP = f"""
import sys
sys.path.insert(0, {str(harness.HERE)!r})
import winscard
lib = winscard.Winscard({str(LIBRARIES["ours"])!r})
context = lib.establish()[1]
handle = lib.connect(context, lib.list_readers(context)[1][0])[1]["handle"]

def send(command):
    answer = lib.transmit(handle, command)[1]
    if not answer.endswith("9000"):
        sys.exit(command + ": " + answer)
    return answer

send("00A4040006D2760001240100")
if MAKE:
    send("00200083083132333435363738")
    send("00DA00C109132A8648CE3D030107")
    send("0047800002B60000")
print(send("00CA004F00"), send("0047810002B60000"))
"""


def processes_of(word):
    """Processes with the word in their command line."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def wait_pid_gone(pid, timeout=harness.STOP_S):
    """Waits for a process that is not ours to end."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([fd], [], [], timeout)
    os.close(fd)
    if not ready:
        raise AssertionError(f"process {pid} still runs")


class Run(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.folder = self.tmp / "t"
        self.folder.mkdir()

    def start(self, *words, **options):
        child = subprocess.Popen([VREADER, "run", *map(str, words)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TMPDIR": str(self.folder)}, **options)
        self.addCleanup(self.end, child)
        return child

    def end(self, child):
        if child.poll() is None:
            child.terminate()
            child.wait(harness.STOP_S)
        for pipe in (child.stdin, child.stdout, child.stderr):
            pipe.close()

    def finish(self, child, status=0, stdin=""):
        """Its output, once it ended with this status; nothing of it is left."""
        out, err = child.communicate(stdin, harness.CALL_S)
        self.assertEqual(child.returncode, status, err)
        self.assertNotRegex(err, "Sanitizer|runtime error")
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(processes_of(str(self.folder)), [])
        return out, err

    def go(self, *words, status=0, stdin=""):
        return self.finish(self.start(*words), status, stdin)

    def shell(self, script, *options):
        """A shell that has said "started", and its pid."""
        child = self.start(*options, "--", "sh", "-c", f"echo $$; {script}")
        return child, int(child.stdout.readline())

    def test_card(self):
        out, err = self.go("--", *python(CLIENT))
        self.assertRegex(out, r"^Virtual Reader \(extended APDU\) 00 00: 01029000\n")
        self.assertEqual(err, "")

    def openpgp(self, *options, make=True):
        script = f"MAKE = {make}\n{OPENPGP}"
        return self.go("--card", "openpgp", *options, "--", *python(script))[0]

    def test_seed(self):
        """The same word gives the same card, another one another."""
        one, same, other = (self.openpgp("--seed", word) for word in ("one", "one", "other"))
        self.assertEqual(one, same)
        self.assertNotEqual(one, other)
        self.assertNotEqual(self.openpgp(), self.openpgp())

    def test_state(self):
        """A card with a file is the same one in the next run, and in one run at a time."""
        state = self.tmp / "card"
        made = self.openpgp("--state", state)
        self.assertEqual(state.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.openpgp("--state", state, make=False), made)
        child, _ = self.shell("read line", "--card", "openpgp", "--state", state)
        second = self.start("--card", "openpgp", "--state", state, "true")
        _, err = second.communicate(timeout=harness.CALL_S)
        self.assertEqual(second.returncode, 125)
        self.assertIn("in use", err)
        self.finish(child, stdin="\n")
        state.write_text(state.read_text().replace("openpgp.", "openpgq."))
        _, err = self.go("--card", "openpgp", "--state", state, "true", status=125)
        self.assertIn("damaged", err)

    def test_each_level(self):
        for profile in ("extended", "short", "tpdu", "character"):
            for protocol in ("t0", "t1"):
                out, _ = self.go("--profile", profile, "--protocol", protocol, "--", *python(CLIENT))
                self.assertRegex(out, ": (01029000|6102)\n")

    def test_readers(self):
        out, _ = self.go("--readers", 3, "--", *python(CLIENT))
        readers = [line for line in out.splitlines() if ": 01029000" in line]
        self.assertEqual(len(set(readers)), 3, out)

    def test_profile_of_a_file(self):
        out, _ = self.go("--profile", harness.SOURCE / "tests/faults/profiles.json:iccd-b",
            "--protocol", "t1", "--", *python(CLIENT))
        self.assertRegex(out, r"^Virtual Reader \(iccd-b\).*: 01029000\n")

    def test_start_to_first_answer(self):
        """A Python interpreter's start included. The machine is shared: one run of many that was
        left alone is enough."""
        best, limit = None, harness.bound(0.2)
        for _ in range(20):
            start = time.monotonic()
            out, _ = self.go("--", *python(CLIENT))
            took = float(out.splitlines()[-1]) - start
            best = took if best is None else min(best, took)
            if best < limit:
                break
        print(f"start to first answer: {best * 1000:.0f} ms", file=sys.stderr)
        if not PRELOAD:
            self.assertLess(best, limit)

    def test_status(self):
        self.go("true")
        self.go("--", "sh", "-c", "exit 7", status=7)
        _, err = self.go("--", "sh", "-c", "kill -KILL $$", status=-signal.SIGKILL)
        _, err = self.go("/nonexistent/program", status=127)
        self.assertEqual(err, "vreader: /nonexistent/program: No such file or directory\n")
        _, err = self.go("/etc/passwd", status=126)
        self.assertEqual(err, "vreader: /etc/passwd: Permission denied\n")

    def test_streams_and_arguments(self):
        out, _ = self.go("--", "cat", stdin="text\n")
        self.assertEqual(out, "text\n")
        out, _ = self.go("--", "printf", "%s.", "--readers", "a b")
        self.assertEqual(out, "--readers.a b.")

    def test_environment(self):
        out, _ = self.go("--", "sh", "-c", f"""
            test -S "$PCSCLITE_CSOCK_NAME" && stat -c %a "$(dirname "$PCSCLITE_CSOCK_NAME")"
            {VREADER} ctl remove 0 && {VREADER} ctl list""")
        self.assertRegex(out, "^700\n0 1-1 imported Virtual .*: empty\n$")

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            child, _ = self.shell("exec sleep 100")
            child.send_signal(number)
            self.finish(child, -number)

    def test_signals_that_are_ignored(self):
        """A parent that ignores its children leaves that to us; nohup leaves SIGHUP."""
        child = self.start("--", "sh", "-c", "exit 7",
            preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        self.finish(child, 7)
        daemon = self.tmp / "daemon"
        daemon.write_text("#!/bin/sh\necho started\nexec sleep 100\n")
        daemon.chmod(0o755)
        child = self.start("--pcscd", daemon, "true",
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.assertEqual(child.stderr.readline(), "started\n")
        child.send_signal(signal.SIGHUP)
        child.send_signal(signal.SIGTERM)
        self.finish(child, -signal.SIGTERM)

    def test_descriptors(self):
        """Many readers need many; the command has as many as it would have without us."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (50, most))

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        child = self.start("--readers", 60, "--card", "none", "--", "sh", "-c",
            f"ulimit -Sn; {VREADER} ctl list", preexec_fn=limit)
        out, _ = self.finish(child)
        self.assertEqual(out.splitlines()[0], "50")
        self.assertEqual(len(re.findall(" imported ", out)), 60)

    def test_signal_that_the_command_handles(self):
        child, _ = self.shell("trap 'exit 3' TERM; echo ready; while :; do read x; done")
        self.assertEqual(child.stdout.readline(), "ready\n")
        child.send_signal(signal.SIGTERM)
        child.stdin.write("\n")
        child.stdin.flush()
        self.finish(child, 3)

    def test_command_is_killed(self):
        child, pid = self.shell("exec sleep 100")
        os.kill(pid, signal.SIGKILL)
        self.finish(child, -signal.SIGKILL)

    def test_it_is_killed_itself(self):
        """Nobody can remove the folder then, but no process stays."""
        child, pid = self.shell("exec sleep 100")
        daemons = processes_of(str(self.folder))
        self.assertEqual(len(daemons), 1)
        child.kill()
        child.wait(harness.STOP_S)
        for left in (pid, *daemons):
            wait_pid_gone(left)

    def test_quit(self):
        child, _ = self.shell("exec sleep 100")
        path, = self.folder.glob("*/ctl")
        subprocess.run([VREADER, "ctl", "--ctl", path, "quit"], check=True, timeout=harness.CALL_S)
        self.finish(child, -signal.SIGTERM)

    def test_daemon_is_killed(self):
        child, _ = self.shell("read x; exit 5")
        daemon, = processes_of(str(self.folder))
        os.kill(daemon, signal.SIGKILL)
        wait_pid_gone(daemon)
        _, err = self.finish(child, 5, "\n")
        self.assertEqual(err, "vreader: pcscd was ended by signal 9\n")

    def test_daemon_that_does_not_start(self):
        _, err = self.go("--pcscd", "/bin/false", "true", status=125)
        self.assertEqual(err, "vreader: pcscd ended with status 1\n")
        _, err = self.go("--pcscd", "/nonexistent", "true", status=125)
        self.assertEqual(err, "vreader: /nonexistent: No such file or directory\n")
        _, err = self.go("--driver", "/nonexistent", "true", status=125)
        self.assertEqual(err, "vreader: /nonexistent: No such file or directory\n")

    def test_folder(self):
        for folder, says in (("/nonexistent", "No such file"), (120 * "/a", "of no use"),
                ("relative", "of no use")):
            done = subprocess.run([VREADER, "run", "true"], capture_output=True, text=True,
                timeout=harness.CALL_S, env={**os.environ, "TMPDIR": folder})
            self.assertEqual(done.returncode, 125)
            self.assertRegex(done.stderr, f"^vreader: .*{says}")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    @unittest.skipUnless(os.path.exists("/usr/bin/python3"), "needs a Python that all may run")
    @unittest.skipUnless(all(path.stat().st_mode & 0o001 for path in VREADER.parents),
        "needs a build folder that all may enter")
    def test_ordinary_user(self):
        os.chmod(self.tmp, 0o755)
        os.chown(self.folder, 65534, 65534)
        child = self.start("--", *python(CLIENT, "/usr/bin/python3"), user=65534, group=65534, extra_groups=[])
        out, _ = self.finish(child)
        self.assertIn(": 01029000\n", out)

    def test_side_by_side(self):
        children = [self.start("--readers", 2, "--", *python(CLIENT)) for _ in range(8)]
        for child in children:
            out, err = child.communicate(timeout=60)
            self.assertEqual((child.returncode, len(re.findall(": 01029000\n", out))), (0, 2), err)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(processes_of(str(self.folder)), [])


if __name__ == "__main__":
    unittest.main()
