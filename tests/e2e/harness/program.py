# SPDX-License-Identifier: BSD-3-Clause
"""Programs that a test starts: their output, their readiness, their end."""

import os
import re
import select
import signal
import subprocess
import threading
import time

from harness.places import START_S, STOP_S

# A shell that starts us in the background has us ignore it, and all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Program:
    """A running program whose output is kept, and shown if the test fails."""

    def __init__(self, test, name, command, env=None, pass_fds=(), stdin=subprocess.DEVNULL):
        self.name = name
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        self.killed = False
        # However this test ends, its programs end with it.
        command = ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)]
        self.process = subprocess.Popen(command, stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=pass_fds,
            env={**os.environ, **(env or {})}, cwd=test.tmp)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        test.programs.append(self)
        test.addCleanup(self.stop)

    @property
    def pid(self):
        return self.process.pid

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def text(self):
        with self._changed:
            return "\n".join(self.lines)

    def wait_line(self, pattern, timeout=START_S, start=0):
        """Waits until a line matches; returns the match. start: the first line to look at."""
        deadline = time.monotonic() + timeout
        with self._changed:
            looked = start
            while True:
                for line in self.lines[looked:]:
                    if match := re.search(pattern, line):
                        return match
                looked = len(self.lines)
                left = deadline - time.monotonic()
                if self._ended or not self._changed.wait(max(left, 0)) and left <= 0:
                    raise AssertionError(f"{self.name} never printed /{pattern}/")

    def count(self, pattern):
        return sum(1 for line in self.text().splitlines() if re.search(pattern, line))

    def running(self):
        return self.process.poll() is None

    def wait_end(self, timeout=STOP_S):
        """The exit status, once it has ended by itself."""
        return self.process.wait(timeout)

    def stop(self, number=signal.SIGTERM):
        """Ends it if it still runs; returns its exit status."""
        if self.running():
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {STOP_S} s of a signal")
        self._reader.join(STOP_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        if re.search(r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:",
                self.text()):
            raise AssertionError(f"a sanitizer found a fault in {self.name}")
        return self.process.returncode

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait()

    def stop_well(self):
        """Ends it, and fails if that was not the orderly end a SIGTERM asks for."""
        status = self.stop()
        if status != 0 and not self.killed:
            raise AssertionError(f"{self.name} ended with status {status}")


def start_ready(test, name, command, env=None):
    """Starts a program that takes --ready-fd, and returns when it says that it is ready."""
    read_fd, write_fd = os.pipe()
    try:
        program = Program(test, name, [*command, "--ready-fd", write_fd], env=env,
            pass_fds=[write_fd])
        test.addCleanup(program.stop_well)
    finally:
        os.close(write_fd)
    try:
        ready, _, _ = select.select([read_fd], [], [], START_S)
        if not ready or os.read(read_fd, 1) != b"\n":
            raise AssertionError(f"{name} did not become ready:\n{program.text()}")
    finally:
        os.close(read_fd)
    return program
