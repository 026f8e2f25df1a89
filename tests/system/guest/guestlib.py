# SPDX-License-Identifier: BSD-3-Clause
"""What the guest's tests share: the host's hands, processes that always end, and waiting with a deadline."""

import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
from pathlib import Path

SHARE = Path(__file__).resolve().parent
STAGE = SHARE / "stage"
LIBDIR = STAGE / "usr/lib/x86_64-linux-gnu"
DRIVERS = STAGE / "usr/lib/pcsc/drivers"


class Host:
    """Asks the host to plug and unplug devices (QMP commands over the virtio serial port)."""

    def __init__(self):
        self.port = open("/dev/virtio-ports/cardwire.host", "r+b", buffering=0)

    def command(self, name, **arguments):
        self.port.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.port], [], [], 10)
            if not ready:
                raise TimeoutError(f"the host does not answer {name}")
            line += self.port.read(4096) or b""
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{name}: {answer['error'].get('desc')}")
        return answer["return"]


def eventually(condition, timeout=10.0, step=0.02, what="condition"):
    """Returns the first true value of condition(); fails after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(step)


def run(*command, timeout=30, env=None, check=True):
    """Runs a command to its end; its output as text."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=timeout, env={**os.environ, **(env or {})})
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


@contextlib.contextmanager
def process(*command, ready_fd=False, env=None, timeout=20):
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


def usbip_attach(busid):
    run("modprobe", "vhci_hcd")
    run("usbip", "attach", "-r", "127.0.0.1", "-b", busid)


def usbip_detach_all():
    for port in range(16):
        run("usbip", "detach", "-p", str(port), check=False)
