# SPDX-License-Identifier: BSD-3-Clause
"""Starts and stops the real programs for the end-to-end tests: our vreader and pcscd, Debian's
pcscd, clients with our library or Debian's. Each lives in the test's own temporary folder.

No wait here sleeps: a program says that it is ready through a pipe, what it prints is waited for,
and each wait has a deadline after which the test fails and everything printed is shown.

The environment (set by ctest) says what is tested:
  CARDWIRE_BUILD     our build folder
  CARDWIRE_FOREIGN   Debian's packages, unpacked by scripts/fetch-foreign
  CARDWIRE_PRELOAD   the sanitizer's run-time library, for foreign programs that load our code
  CARDWIRE_PRECISE   measured times count to the letter (by hand, on an idle machine)
"""

import atexit
import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import winscard

# A shell that starts us in the background has us ignore it, and all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("CARDWIRE_BUILD", SOURCE / "build/dev"))
FOREIGN = pathlib.Path(os.environ.get("CARDWIRE_FOREIGN", SOURCE / "build/foreign"))
PRELOAD = os.environ.get("CARDWIRE_PRELOAD", "")

PCSCD = BUILD / "sbin/pcscd"
VREADER = BUILD / "bin/vreader"
DRIVERS = BUILD / "drivers"
CCID_LIBRARY = DRIVERS / "ifd-ccid.bundle/Contents/Linux/libccid.so"
NULL_LIBRARY = BUILD / "tests/libifd-null.so"

# Met only by what hangs: a machine that is merely busy takes a part of them.
START_S = 60
CALL_S = 60
STOP_S = 60


def bound(seconds):
    """The bound on a measured time: to the letter where the machine does nothing else
    (CARDWIRE_PRECISE is set), many times as much where other tests run beside this one."""
    return seconds if "CARDWIRE_PRECISE" in os.environ else 5 * seconds + 5


def _debian(relative, multiarch="x86_64-linux-gnu"):
    """A file of Debian's packages: unpacked ones first, installed ones else; None if neither."""
    relative = relative.format(multiarch=multiarch)
    for root in (FOREIGN, pathlib.Path("/")):
        if (root / relative).exists():
            return root / relative
    return None


DEBIAN_LIBRARY = _debian("usr/lib/{multiarch}/libpcsclite.so.1")
DEBIAN_PCSCD = _debian("usr/sbin/pcscd")
DEBIAN_VPCD = _debian("usr/lib/pcsc/drivers/serial/libifdvpcd.so")
DEBIAN_VICC = _debian("usr/bin/vicc")
LIBRARIES = {"ours": BUILD / "lib/libpcsclite.so.1", "debian": DEBIAN_LIBRARY}


def needs_debian(*files):
    """Skips a test where one of Debian's files is missing."""
    return unittest.skipIf(None in files, "needs Debian's packages: run scripts/fetch-foreign")


def needs_root(test):
    return unittest.skipUnless(os.geteuid() == 0,
        "Debian's pcscd has a fixed socket path: a private mount namespace needs root")(test)


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


class VReader:
    """Our virtual reader, listening on a Unix socket (and on TCP if a port is given)."""

    def __init__(self, test, name="vreader", profile="extended", protocol="t1", readers=1,
            card="iso", tcp_port=None, extra=()):
        self.test = test
        self.socket = test.tmp / f"{name}.usbip"
        self.ctl_path = test.tmp / f"{name}.ctl"
        listen = ["--listen", f"unix:{self.socket}"]
        if tcp_port:
            listen += ["--listen", f"tcp:127.0.0.1:{tcp_port}"]
        self.program = start_ready(test, name, [VREADER, "serve", *listen, "--ctl", self.ctl_path,
            "--profile", profile, "--protocol", protocol, "--readers", readers, "--card", card,
            *extra])

    def device(self, number=0):
        """The reader's device string in reader.conf."""
        return f"usbip:unix:{self.socket}/1-{number + 1}"

    def ctl(self, *command):
        """vreader ctl COMMAND…; its output."""
        done = subprocess.run([VREADER, "ctl", "--ctl", self.ctl_path, *map(str, command)],
            capture_output=True, text=True, timeout=CALL_S)
        if done.returncode != 0:
            raise AssertionError(f"vreader ctl {command}: {done.stderr}")
        return done.stdout

    def tell(self, *command):
        """As ctl(), without a process for it."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CALL_S)
            connection.connect(str(self.ctl_path))
            connection.sendall(" ".join(map(str, command)).encode() + b"\n")
            with connection.makefile() as answer:
                result, _, text = answer.read().partition("\n")
        if result != "ok":
            raise AssertionError(f"vreader ctl {command}: {result}")
        return text


def reader_entry(name, device, library, channel=None):
    """An entry of reader.conf; a channel stands before LIBPATH, as stock daemons need it."""
    lines = [f'FRIENDLYNAME "{name}"']
    if device:
        lines.append(f"DEVICENAME {device}")
    if channel is not None:
        lines.append(f"CHANNELID {channel}")
    return "\n".join([*lines, f"LIBPATH {library}", ""])


class Daemon:
    """What our daemon and Debian's have in common: a socket and a folder of reader.conf files."""

    def __init__(self, test, name, conf):
        self.test = test
        self.conf = test.tmp / f"{name}.conf"
        self.conf.mkdir(exist_ok=True)
        if conf:
            (self.conf / "test").write_text(conf)

    def stop(self):
        return self.program.stop()


class Pcscd(Daemon):
    """Our daemon. drivers: the folder of its USB bundles, an empty one unless given, so that the
    machine's own readers stay out of the test."""

    def __init__(self, test, conf="", options=(), drivers=None, name="pcscd", wrapper=(), env=None,
            verbosity="--debug"):
        super().__init__(test, name, conf)
        self.name = name
        self.options = options
        self.wrapper = wrapper
        self.verbosity = verbosity
        self.env = env
        self.socket = test.tmp / f"{name}.comm"
        self.drivers = drivers or test.tmp / "no-drivers"
        self.drivers.mkdir(exist_ok=True)
        self.start()

    def start(self):
        self.program = start_ready(self.test, self.name, [*self.wrapper, PCSCD, "--foreground",
            self.verbosity, "--socket", self.socket, "--drivers", self.drivers, "-c", self.conf,
            *self.options], env=self.env)


class DebianPcscd(Daemon):
    """Debian's daemon, in a mount namespace whose /run is a folder of the test. In a chroot, where
    / is no mount and cannot be made private, /run/pcscd becomes a link to that folder instead."""

    SCRIPT = """
        if mount --make-rprivate / 2>/dev/null; then
            mount --bind "$1" /run
        else
            ln -s "$1/pcscd" /run/pcscd
        fi && shift && exec "$@"
    """

    def __init__(self, test, conf="", name="debian-pcscd", options=(), verbosity="--debug"):
        super().__init__(test, name, conf)
        self.run = test.tmp / f"{name}.run"
        (self.run / "pcscd").mkdir(parents=True)
        self.socket = self.run / "pcscd/pcscd.comm"
        (test.tmp / "no-drivers").mkdir(exist_ok=True)
        test.addCleanup(self._unlink)
        preload = {"LD_PRELOAD": PRELOAD} if PRELOAD else {}
        env = {"PCSCLITE_HP_DROPDIR": str(test.tmp / "no-drivers"), **sanitizer_env(), **preload}
        setting = [f"{key}={value}" for key, value in env.items()]
        self.program = Program(test, name, ["unshare", "--mount", "--propagation", "unchanged",
            "sh", "-c", self.SCRIPT, "sh", self.run, "env", *setting, DEBIAN_PCSCD,
            "--foreground", verbosity, "-c", self.conf, *options])
        self.program.wait_line("daemon ready")

    def _unlink(self):
        link = pathlib.Path("/run/pcscd")
        if link.is_symlink() and os.readlink(link) == str(self.run / "pcscd"):
            link.unlink()


def sanitizer_env():
    """For foreign programs that load our code under a sanitizer: their own leaks and races are
    not ours to find."""
    return {"ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0",
        "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:report_signal_unsafe=0"} if PRELOAD else {}


def client_env(daemon, library):
    """The environment of a program that is to use one libpcsclite and one daemon. Sanitised
    builds of our library need the sanitizer's run-time loaded first."""
    env = {"PCSCLITE_CSOCK_NAME": str(daemon.socket),
        "LD_LIBRARY_PATH": str(LIBRARIES[library].parent)}
    if library == "ours" and PRELOAD:
        env |= {"LD_PRELOAD": PRELOAD, **sanitizer_env()}
    return env


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


def free_port():
    """A port below those that the kernel gives to whoever asks for any: nobody else takes it."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Vicc:
    """Debian's virtual card for Debian's virtual reader."""

    def __init__(self, test, port):
        modules = [_debian("usr/lib/python3/site-packages/virtualsmartcard"),
            _debian("usr/lib/python3/dist-packages")]
        self.program = Program(test, "vicc", [sys.executable, DEBIAN_VICC, "--type", "iso7816",
            "--hostname", "127.0.0.1", "--port", port, "-vvv"],
            env={"PYTHONPATH": ":".join(str(m) for m in modules if m), "PYTHONUNBUFFERED": "1"})

    def stop(self):
        return self.program.stop(signal.SIGINT)


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


def with_each_library(mixin):
    """Makes a test case of the mixin for our library and one for Debian's."""
    module = sys.modules[mixin.__module__]
    for name, library in LIBRARIES.items():
        case = type(mixin.__name__ + name.capitalize(), (mixin, CardwireTest), {
            "library": name, "__module__": mixin.__module__, "__doc__": mixin.__doc__})
        setattr(module, case.__name__, needs_debian(library)(case))
    return mixin


_failed = []


@atexit.register
def _name_failed():
    """What failed, and why, in the last lines of a test's output: a reader may see no more of it."""
    for line in _failed:
        print(line, file=sys.stderr)


def _faults(result):
    return [*result.failures, *result.errors] if result else []


def _cause(trace):
    """The line of a traceback that says what went wrong, after the last line of a test it came by."""
    place, cause = "", ""
    for line in trace.splitlines():
        if match := re.match(r'  File "(?:.*/)?([^/"]+)", line (\d+)', line):
            cause = ""
            if match[1].startswith("test_"):
                place = f"{match[1]}:{match[2]}: "
        elif not cause and re.match(r"[\w.]+(: |$)", line):
            cause = line
    return (place + cause)[:400]


class CardwireTest(unittest.TestCase):
    """A test with a temporary folder of its own; what its programs printed is shown if it fails."""

    def setUp(self):
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="cardwire-e2e-"))
        self.programs = []
        self.addCleanup(shutil.rmtree, self.tmp)

    def run(self, result=None):
        self.programs = []
        before = _faults(result)
        super().run(result)
        fresh = [fault for fault in _faults(result) if fault not in before]
        for program in self.programs if fresh else ():
            if program.lines:
                print(f"--- {program.name} (pid {program.pid}) of {self.id()}:\n"
                    + "\n".join(program.lines[-200:]), file=sys.stderr)
        _failed.extend(f"FAILED {test.id()}: {_cause(trace)}" for test, trace in fresh)

    def present(self, client, context, reader):
        """Waits for the card and connects to it; the handle."""
        client.wait_state(context, reader, winscard.STATE_PRESENT)
        return client.connect(context, reader)["handle"]

    def stack(self, library="ours", reader="Virtual", daemon_options=(), **options):
        """vreader, our daemon and one client: (vreader, daemon, client, context, reader name)."""
        vreader = VReader(self, **options)
        daemon = Pcscd(self, reader_entry(reader, vreader.device(), CCID_LIBRARY), daemon_options)
        client = Client(self, daemon, library)
        return vreader, daemon, client, client.establish(), f"{reader} 00 00"
