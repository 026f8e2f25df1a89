# SPDX-License-Identifier: BSD-3-Clause
"""What the guest's tests share: the host's hands, processes that always end, and waiting with a deadline."""

import contextlib
import glob
import json
import os
import queue
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SHARE = Path(__file__).resolve().parent
STAGE = SHARE / "stage"
LIBDIR = STAGE / "usr/lib/x86_64-linux-gnu"
DRIVERS = STAGE / "usr/lib/pcsc/drivers"
OPTIONS = json.loads((SHARE / "options.json").read_text())
NAMES = ("libpcsclite1", "libccid", "pcscd")
PORT_FREE = 4  # of vhci_hcd, in its status
PATIENCE_S = 60  # with what happens at once, in a guest on a machine that does other things, too
DEBIAN_ARCHIVES = Path("/var/cache/apt/archives")


class Host:
    """Asks the host to plug and unplug devices (QMP commands over the virtio serial port)."""

    def __init__(self):
        self.port = open("/dev/virtio-ports/cardwire.host", "r+b", buffering=0)

    def close(self):
        self.port.close()

    def command(self, name, **arguments):
        self.port.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.port], [], [], PATIENCE_S)
            if not ready:
                raise TimeoutError(f"the host does not answer {name}")
            line += self.port.read(4096) or b""
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{name}: {answer['error'].get('desc')}")
        return answer["return"]

    @contextlib.contextmanager
    def alone(self):
        """Meanwhile the other guest stands still: for what measures time, and for a machine that sleeps, which
        must not be stopped."""
        self.command("alone")
        try:
            yield
        finally:
            self.command("together")


def eventually(condition, timeout=PATIENCE_S, step=0.02, what="condition"):
    """Returns the first true value of condition(); fails after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(step)


def run(*command, timeout=120, env=None, check=True):
    """Runs a command to its end; its output as text."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=timeout, env={**os.environ, **(env or {})})
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


@contextlib.contextmanager
def process(*command, ready_fd=False, env=None, timeout=PATIENCE_S):
    """A process that is ended with the block. ready_fd: passes --ready-fd and waits for its byte."""
    log = tempfile.NamedTemporaryFile("w+", prefix="log-", delete=False)
    command = [str(c) for c in command]
    reader = writer = None
    if ready_fd:
        reader, writer = os.pipe()
        command += ["--ready-fd", str(writer)]
    child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                             env={**os.environ, **(env or {})}, pass_fds=[writer] if ready_fd else [])
    child.log = Path(log.name)
    try:
        if ready_fd:
            os.close(writer)
            ready, _, _ = select.select([reader], [], [], timeout)
            if not ready or not os.read(reader, 1):
                raise AssertionError(f"{command[0]} did not get ready:\n{child.log.read_text()}")
        yield child
    finally:
        if ready_fd:
            os.close(reader)
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def vreader(*options):
    """Our virtual reader on TCP port 3240 of the guest, with a control socket in VREADER_CTL."""
    folder = tempfile.mkdtemp(prefix="vreader-")
    ctl = f"{folder}/ctl"
    with process(STAGE / "usr/bin/vreader", "serve", "--listen", "tcp:127.0.0.1:3240", "--ctl", ctl,
                 *options, ready_fd=True) as child:
        child.ctl = lambda *words: run(STAGE / "usr/bin/vreader", "ctl", "--ctl", ctl, *words)
        yield child


LEVELS = {"character": 0, "tpdu": 0x10000, "short": 0x20000, "extended": 0x40000}
AUTOMATIC = 0x4BA  # activation, voltage, clock, speed, PPS, IFSD


def profile(level, features, slots=1, interface_class=11, interface_protocol=0, endpoints=3, protocols=3,
            identity="1209:0001"):
    """A file that describes one reader with messages of 271 bytes, for --profile."""
    def number(value, size):
        return value.to_bytes(size, "little").hex()
    descriptor = ("36211001" + number(slots - 1, 1) + "07" + number(protocols, 4) + 2 * number(4000, 4) + "00"
                  + number(10752, 4) + number(500000, 4) + "00" + number(254, 4) + number(0, 8)
                  + number(LEVELS[level] | features, 4) + number(271, 4) + "ffff00000001")
    file = tempfile.NamedTemporaryFile("w", prefix="profile-", suffix=".json", delete=False)
    with file:
        json.dump([{"file": "reader", "vid": identity[:4], "pid": identity[5:], "bcdDevice": "0100",
                    "iManufacturer": "Cardwire", "iProduct": "Virtual Reader", "iInterface": "CCID",
                    "interface": {"bInterfaceNumber": 0, "bInterfaceClass": interface_class, "bInterfaceSubClass": 0,
                                  "bInterfaceProtocol": interface_protocol, "bNumEndpoints": endpoints},
                    "ccid_descriptor_hex": descriptor}], file)
    return file.name


def systemctl(*words, check=True):
    return run("systemctl", *words, check=check).strip()


def property_of(unit, name):
    return systemctl("show", "-p", name, "--value", unit)


def daemon_pid():
    return int(property_of("pcscd.service", "MainPID"))


def restart_socket():
    """Debian's or our pcscd, whichever is installed: stopped, to be started by the next client."""
    systemctl("stop", "pcscd.service", "pcscd.socket")
    systemctl("reset-failed", "pcscd.service", "pcscd.socket", check=False)
    systemctl("start", "pcscd.socket")


def stop_service():
    systemctl("stop", "pcscd.service", "pcscd.socket")


def journal():
    """pcscd's lines in the journal."""
    run("journalctl", "--sync")
    return run("journalctl", "-q", "-o", "cat", "-u", "pcscd.service")


def journal_entries(cursor):
    """pcscd's entries in the journal since a cursor of journal_cursor(), {field: text} each. (With -u, journalctl
    leaves out the first one behind the cursor.)"""
    run("journalctl", "--sync")
    shown = run("journalctl", "-q", "-o", "json", "--output-fields=MESSAGE,_SYSTEMD_UNIT,CLIENT_PID",
                "--after-cursor", cursor)
    return [entry for entry in map(json.loads, shown.splitlines()) if entry.get("_SYSTEMD_UNIT") == "pcscd.service"]


def usb_report():
    """What explains that a reader isn't there: the kernel's view, who may open its node, the daemon's words."""
    return run("sh", "-c", "ls -l /dev/bus/usb/*/* /sys/bus/usb/devices; dmesg | grep -i usb | tail -n 30",
               check=False) + journal()[-4000:]


def journal_cursor():
    shown = run("journalctl", "-q", "-n", "1", "--show-cursor")
    return re.search(r"-- cursor: (.*)", shown).group(1)


def installed_version(name="pcscd"):
    return run("dpkg-query", "-W", "-f", "${Version}", name, check=False)


def dpkg(*words):
    """Conffiles that tests have changed are replaced."""
    return run("dpkg", "--force-confnew", "--force-downgrade", *words, timeout=300,
               env={"DEBIAN_FRONTEND": "noninteractive"})


def our_packages():
    return sorted(p for p in (SHARE / "packages").glob("*.deb") if not p.name.startswith("libpcsclite-dev"))


def install_ours():
    if "cardwire" not in installed_version():
        dpkg("-i", *our_packages())


def debian_packages():
    return [next(DEBIAN_ARCHIVES.glob(f"{name}_*.deb")) for name in NAMES]


def install_debian():
    if "cardwire" in installed_version():
        dpkg("-i", *debian_packages())


class Program:
    """A child whose lines of output are put into a queue as they come; ended with the block."""

    def __init__(self, *command, stdin=subprocess.DEVNULL, env=None):
        self.command = [str(word) for word in command]
        self.child = subprocess.Popen(self.command, stdin=stdin, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, errors="replace", bufsize=1,
                                      env={**os.environ, **(env or {})})
        self.lines = queue.Queue()
        self.history = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self, timeout=PATIENCE_S):
        """The next line; fails if there is none in time."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"{self.command[:3]}: nothing in {timeout} s, after {self.history[-5:]}") from None
        if line is None:
            raise AssertionError(f"{self.command[:3]} ended, after {self.history[-5:]}")
        self.history.append(line)
        return line

    def until(self, condition, timeout=PATIENCE_S, what="line"):
        """The first of the next lines that the condition holds for."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self.line(max(0.001, deadline - time.monotonic()))
            except AssertionError as error:
                raise AssertionError(f"{what}: {error}") from None
            if condition(line):
                return line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Watch(Program):
    """A client (watch.py) that tells when it is told of what."""

    def __init__(self):
        super().__init__(sys.executable, SHARE / "watch.py")

    def reaches(self, condition, timeout=PATIENCE_S, what="state"):
        """When {reader: state} first satisfied the condition: (time, {reader: state})."""
        line = self.until(lambda line: line.startswith("[") and condition(json.loads(line)[1]), timeout, what)
        return tuple(json.loads(line))


def in_session(user, vt=None):
    """What runs a program in a session of its own as logind knows them: at that virtual terminal of the
    machine's seat, or, without one, at no seat, as ssh makes it."""
    seat = ["-E", "XDG_SEAT=seat0", "-E", f"XDG_VTNR={vt}"] if vt else []
    return ["systemd-run", "--pipe", "--quiet", "--collect", "--wait", "--uid", user, "-p", "PAMName=login",
            "-E", "XDG_SESSION_CLASS=user", "-E", "XDG_SESSION_TYPE=tty", *seat, "--"]


def in_service(user):
    """What runs a program as a service of the system, in no session."""
    return ["systemd-run", "--pipe", "--quiet", "--collect", "--wait", "--uid", user, "--"]


class Client(Program):
    """A client (worker.py of the end-to-end tests), as user if one is named, or as what prefix makes it;
    one call at a time."""

    def __init__(self, user=None, prefix=()):
        if user:
            prefix = ["runuser", "-u", user, "--"]
        super().__init__(*prefix, sys.executable, SHARE / "worker.py", "libpcsclite.so.1",
                         stdin=subprocess.PIPE)
        self.number = 0

    def start(self, name, *arguments):
        self.number += 1
        self.child.stdin.write(json.dumps([self.number, name, *arguments]) + "\n")
        self.child.stdin.flush()
        return self.number

    def finish(self, number, timeout=PATIENCE_S):
        """(name of the return code, value)"""
        import winscard
        line = self.until(lambda line: line.startswith(f"[{number}, "), timeout, "answer")
        _, rv, value = json.loads(line)
        return (winscard.rv_name(rv) if rv is not None else value), value

    def call(self, name, *arguments, timeout=PATIENCE_S):
        return self.finish(self.start(name, *arguments), timeout)

    def value(self, name, *arguments, timeout=PATIENCE_S):
        code, value = self.call(name, *arguments, timeout=timeout)
        if code != "SCARD_S_SUCCESS":
            raise AssertionError(f"{name}{arguments}: {code}")
        return value

    def readers(self, context):
        return self.call("list_readers", context)[1]

    def wait_reader(self, context, word, timeout=PATIENCE_S):
        """The name of the first reader that contains the word, once there is one."""
        try:
            return eventually(lambda: [name for name in self.readers(context) if word in name], timeout,
                              what=f"reader {word}")[0]
        except AssertionError as error:
            listed = self.call("list_readers", context)
            raise AssertionError(f"{error}; listed: {listed}\n{usb_report()}") from None


@contextlib.contextmanager
def qemu_reader(host, card=False, identifier="rdr"):
    """QEMU's reader is plugged in; with card, a scripted one is ready to be inserted."""
    host.command("device_add", driver="usb-ccid", id=identifier, bus="xhci.0")
    try:
        if card:
            add_card_device(host, identifier)
        yield
    finally:
        try:
            host.command("device_del", id=identifier)
        except RuntimeError as error:  # a test may have unplugged it itself
            if "not found" not in str(error):
                raise


def add_card_device(host, identifier="rdr"):
    host.command("device_add", driver="ccid-card-passthru", chardev="vsc", bus=f"{identifier}.0")
    host.command("card_connect")


def usbip_attach(busid):
    """By Debian's tool, which fails while the kernel is still busy with a device that it attached before."""
    def attached():
        try:
            run("usbip", "attach", "-r", "127.0.0.1", "-b", busid)
        except AssertionError as error:
            if "open vhci_driver" not in str(error):
                raise
            return False
        return True
    run("modprobe", "vhci_hcd")
    eventually(attached, step=0.1, what=f"{busid} attached")


def usbip_detach_all():
    """By the kernel: what the tool finds in the way must not stay attached."""
    for status in glob.glob("/sys/devices/platform/vhci_hcd.*/status*"):
        for line in Path(status).read_text().splitlines()[1:]:
            _, port, state = line.split()[:3]
            if int(state) != PORT_FREE:
                (Path(status).parent / "detach").write_text(str(int(port)))
