# SPDX-License-Identifier: BSD-3-Clause
"""What clients and drivers talk to: our virtual reader, our daemon, Debian's."""

import os
import pathlib
import signal
import socket
import sys

from harness.places import (CALL_S, DEBIAN_PCSCD, DEBIAN_VICC, PCSCD, PRELOAD, VREADER, debian,
    sanitizer_env)
from harness.program import Program, start_ready


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
        """A command on the control socket (see vreader(1)); what it answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CALL_S)
            connection.connect(str(self.ctl_path))
            connection.sendall(" ".join(map(str, command)).encode() + b"\n")
            with connection.makefile() as answer:
                result, _, text = answer.read().partition("\n")
        if result != "ok":
            raise AssertionError(f"vreader ctl {command}: {result}")
        return text

    def stats(self, reader=0):
        """What went over the virtual cable: {name: count}."""
        lines = self.ctl("stats", reader).splitlines()
        return {name: int(count) for name, count in map(str.split, lines)}


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


class Vicc:
    """Debian's virtual card for Debian's virtual reader."""

    def __init__(self, test, port):
        modules = [debian("usr/lib/python3/site-packages/virtualsmartcard"),
            debian("usr/lib/python3/dist-packages")]
        self.program = Program(test, "vicc", [sys.executable, DEBIAN_VICC, "--type", "iso7816",
            "--hostname", "127.0.0.1", "--port", port, "-vvv"],
            env={"PYTHONPATH": ":".join(str(m) for m in modules if m), "PYTHONUNBUFFERED": "1"})

    def stop(self):
        return self.program.stop(signal.SIGINT)
