# SPDX-License-Identifier: BSD-3-Clause
"""Clients: processes that use one libpcsclite and one daemon, and do what the test says."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import threading
import time

import winscard
from harness.places import CALL_S, HERE, LIBRARIES, PCSCCTL, PRELOAD, sanitizer_env
from harness.program import Program


def client_env(daemon, library):
    """The environment of a program that is to use one libpcsclite and one daemon. Sanitised
    builds of our library need the sanitizer's run-time loaded first."""
    env = {"PCSCLITE_CSOCK_NAME": str(daemon.socket),
        "LD_LIBRARY_PATH": str(LIBRARIES[library].parent)}
    if library == "ours" and PRELOAD:
        env |= {"LD_PRELOAD": PRELOAD, **sanitizer_env()}
    return env


def pcscctl(daemon, *arguments, **options):
    """Runs pcscctl with a daemon; how it ended, and what it printed."""
    return subprocess.run([PCSCCTL, "--socket", daemon.socket, *map(str, arguments)],
        capture_output=True, text=True, timeout=CALL_S, **options)


class WinscardError(AssertionError):
    def __init__(self, name, rv, value):
        super().__init__(f"{name}: {rv}")
        self.rv = rv
        self.value = value


class Client:
    """A client process. client.connect(context, …) returns the value or raises WinscardError;
    client.rv("connect", context, …) returns the name of the return code; client.start(…) returns
    a Pending, for calls that wait."""

    def __init__(self, test, daemon, library="ours", env=None):
        self.program = Program(test, f"client-{library}", [sys.executable, HERE / "worker.py",
            LIBRARIES[library]], env={**client_env(daemon, library), **(env or {})},
            stdin=subprocess.PIPE)
        self._number = 0
        self._pending = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._dispatch, daemon=True).start()

    @property
    def pid(self):
        return self.program.pid

    def _dispatch(self):
        """Hands each answer to who waits for it; when the process is gone, says so to all."""
        looked = 0
        program = self.program
        while True:
            with program._changed:
                while looked == len(program.lines) and not program._ended:
                    program._changed.wait()
                fresh, ended = program.lines[looked:], program._ended
                looked += len(fresh)
            for line in fresh:
                if line.startswith("["):
                    number, rv, value = json.loads(line)
                    with self._lock:
                        future = self._pending.pop(number)
                    future.set_result((rv, value))
            if ended:
                with self._lock:
                    left, self._pending = self._pending, {}
                for future in left.values():
                    future.set_exception(AssertionError("the client process has ended"))
                return

    def start(self, name, *arguments):
        future = concurrent.futures.Future()
        with self._lock:
            self._number += 1
            number = self._number
            self._pending[number] = future
            line = json.dumps([number, name, *arguments]) + "\n"
            self.program.process.stdin.write(line.encode())
            self.program.process.stdin.flush()
        return Pending(name, future)

    def rv(self, name, *arguments, timeout=CALL_S):
        return self.start(name, *arguments).rv(timeout)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments, timeout=CALL_S: self.start(name, *arguments).value(timeout)

    def send_signal(self, number):
        self.program.process.send_signal(number)

    def kill(self):
        self.program.kill()

    def stop(self):
        """Ends the process, calls under way included."""
        return self.program.stop(signal.SIGKILL)

    def wait_state(self, context, reader, wanted, unwanted=0, timeout=CALL_S):
        """Waits until the reader's state has all wanted bits and no unwanted one."""
        deadline = time.monotonic() + timeout
        state = winscard.STATE_UNAWARE
        while True:
            left = max(int((deadline - time.monotonic()) * 1000), 0)
            rv, value = self.start("status_change", context, left, [[reader, state]]).result(
                timeout + 5)
            name = winscard.rv_name(rv)
            if name == "SCARD_E_UNKNOWN_READER":
                self.wait_listed(context, reader, timeout=deadline - time.monotonic())
                continue
            if name != "SCARD_S_SUCCESS":
                raise WinscardError(f"wait for state {wanted:#x} of {reader}", name, value)
            _, event, atr = value[0]
            if event & wanted == wanted and not event & unwanted:
                return event, atr
            state = event & ~winscard.STATE_CHANGED

    def wait_listed(self, context, reader, listed=True, timeout=CALL_S):
        """Waits until the reader is in the list, or out of it, by the notification made for it."""
        deadline = time.monotonic() + timeout
        while True:
            # The counter is asked for before the list: what changes after that ends the wait.
            [[_, event, _]] = self.start("status_change", context, 0,
                [[winscard.PNP, 0]]).result()[1]
            if (reader in self.start("list_readers", context).result()[1]) == listed:
                return
            left = int((deadline - time.monotonic()) * 1000)
            if left <= 0:
                raise AssertionError(f"{reader!r} listed: {not listed}")
            # Debian's library has no counter: it may have to look at the list again.
            self.start("status_change", context, min(left, 3000),
                [[winscard.PNP, event & ~winscard.STATE_CHANGED]]).result()


class Pending:
    """A call under way."""

    def __init__(self, name, future):
        self.name = name
        self.future = future

    def done(self):
        return self.future.done()

    def result(self, timeout=CALL_S):
        """(return code, value)."""
        try:
            rv, value = self.future.result(timeout)
        except concurrent.futures.TimeoutError:
            raise AssertionError(f"{self.name} did not return within {timeout} s") from None
        if rv is None:
            raise AssertionError(f"{self.name}: {value}")
        return rv, value

    def rv(self, timeout=CALL_S):
        return winscard.rv_name(self.result(timeout)[0])

    def value(self, timeout=CALL_S):
        rv, value = self.result(timeout)
        if rv != 0:
            raise WinscardError(self.name, winscard.rv_name(rv), value)
        return value


def run_tool(daemon, library, *command, timeout=60):
    """Runs an application of Debian's with one libpcsclite; returns what it printed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True,
        timeout=timeout, env={**os.environ, **client_env(daemon, library)})
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def exchange(client, handle, command):
    """Transmits a command and, where the card answers so at T=0, asks for the rest of the answer
    (ISO 7816-4 §5.3.4): 61xx is followed by GET RESPONSE, 6Cxx by the command with that Le."""
    answer = client.transmit(handle, command)
    if answer[-4:-2] == "6c":
        answer = client.transmit(handle, command[:8] + answer[-2:])
    data = answer[:-4]
    while answer[-4:-2] == "61":
        answer = client.transmit(handle, "00C00000" + answer[-2:])
        data += answer[:-4]
    return data + answer[-4:]
