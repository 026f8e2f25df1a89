# SPDX-License-Identifier: BSD-3-Clause
"""pcscctl doctor: on a machine (a folder, --root) that has one fault it names that fault, with a
remedy; on a machine without any it finds none."""

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import unittest

import harness
from harness import (BUILD, CALL_S, DebianPcscd, NOBODY, NULL_LIBRARY, PCSCCTL, Pcscd, needs_debian,
    needs_root, reader_entry)

NODE = "/dev/bus/usb/001/002"
SYSFS = "sys/bus/usb/devices"
RULE = "usr/lib/udev/rules.d/92-pcscd.rules"
CHECKS = ["service", "daemon", "version", "library", "polkit", "access", "config", "udev", "node",
          "interface", "listed"]


class Machine:
    """A folder with what doctor looks at, of a machine on which nothing is wrong: systemd, udev,
    D-Bus and polkit are there, and one reader is plugged in."""

    def __init__(self, root):
        self.root = root
        for folder in ("run/systemd/system", f"{SYSFS}/1-1", "etc/reader.conf.d", "proc"):
            (root / folder).mkdir(parents=True)
        for name in ("run/udev/control", "usr/lib/systemd/system/pcscd.socket", RULE,
                     "run/dbus/system_bus_socket",
                     "usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service",
                     "usr/share/polkit-1/actions/org.debian.pcsc-lite.policy"):
            self.write(name, "")
        for name, text in (("busnum", 1), ("devnum", 2), ("idVendor", "1d6b"), ("idProduct", "0101"),
                           ("product", "Sample Reader")):
            self.write(f"{SYSFS}/1-1/{name}", f"{text}\n")
        self.write(f"{SYSFS}/1-1:1.0/bInterfaceClass", "0b\n")
        self.write(f"{SYSFS}/1-1:1.1/bInterfaceClass", "03\n")
        self.write(NODE[1:], "")
        self.path(NODE[1:]).chmod(0o660)
        group = self.path(NODE[1:]).stat().st_gid
        self.write("etc/passwd", f"root:x:0:0::/:/bin/sh\npcscd:x:64999:{group}::/:/bin/false\n")
        self.write("etc/group", f"pcscd:x:{group}:\n")
        drivers = self.path("usr/lib/pcsc/drivers/good.bundle")
        shutil.copytree(BUILD / "drivers/ifd-ccid.bundle", drivers)

    def path(self, name):
        return self.root / name

    def write(self, name, text):
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def remove(self, name):
        path = self.path(name)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def bind(self, driver):
        """The reader's interface belongs to that driver of the kernel."""
        os.symlink(f"../../../../bus/usb/drivers/{driver}", self.path(f"{SYSFS}/1-1:1.0/driver"))

    def process(self, pid, name, program, *files):
        """A process with these files open."""
        self.write(f"proc/{pid}/comm", f"{name}\n")
        self.path(f"proc/{pid}/fd").mkdir()
        os.symlink(program, self.path(f"proc/{pid}/exe"))
        for number, file in enumerate(files):
            os.symlink(file, self.path(f"proc/{pid}/fd/{number}"))


class Other:
    """Stands for a daemon of our kind and of another version."""

    def __init__(self, test, folder, version, greet=None):
        self.socket = folder / "other.comm"
        report = json.dumps({"daemon": {"version": version, "pid": 1}, "readers": [], "waiters": []})
        self.serve(test, self.socket, greet or self.greet)
        self.serve(test, folder / "other.status", lambda peer: peer.sendall(report.encode()))

    @staticmethod
    def serve(test, path, answer):
        listener = socket.socket(socket.AF_UNIX)
        test.addCleanup(listener.close)
        listener.bind(str(path))
        listener.listen()

        def loop():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer:
                        answer(peer)
        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        test.addCleanup(thread.join, CALL_S)
        test.addCleanup(listener.shutdown, socket.SHUT_RDWR)

    @staticmethod
    def greet(peer):
        if len(peer.recv(20, socket.MSG_WAITALL)) == 20:
            peer.sendall(struct.pack("=iiI", 4, 6, 0))
        if len(peer.recv(20, socket.MSG_WAITALL)) == 20:
            peer.sendall(struct.pack("=III", 2, 1, 0))


class DoctorTest(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.machine = Machine(self.tmp / "root")
        self.socket = self.tmp / "pcscd.comm"

    def daemon(self, *options):
        """One that lists the machine's reader."""
        daemon = Pcscd(self, reader_entry("Sample", f"null:{NODE}", NULL_LIBRARY), options=options)
        self.assertEqual(daemon.socket, self.socket)
        return daemon

    def doctor(self, *arguments, program=PCSCCTL, library="ours", libraries=None, **options):
        libraries = libraries or harness.LIBRARIES[library].parent
        env = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
        return subprocess.run([program, "--socket", self.socket, "--root", self.machine.root, "doctor",
            *arguments], capture_output=True, text=True, timeout=2 * CALL_S, env=env, **options)

    def findings(self, **options):
        done = self.doctor("--json", **options)
        findings = json.loads(done.stdout)["findings"]
        self.assertEqual(sorted(set(f["check"] for f in findings)), sorted(CHECKS))
        for finding in findings:
            self.assertIn(finding["verdict"], ("good", "fault", "skipped"))
            self.assertEqual(finding["verdict"] == "fault", finding["remedy"] != "", finding)
        faults = [finding for finding in findings if finding["verdict"] == "fault"]
        self.assertEqual((done.returncode, done.stderr), (1 if faults else 0, ""))
        return findings, faults

    def assert_fault(self, check, *words, follows=(), **options):
        """That check alone (and those that follow from it) finds a fault; the words are in it."""
        _, faults = self.findings(**options)
        self.assertEqual({fault["check"] for fault in faults}, {check, *follows}, faults)
        told = [fault["what"] for fault in faults if fault["check"] == check]
        self.assertEqual(len(told), 1, told)
        for word in words:
            self.assertIn(word, told[0])


class Healthy(DoctorTest):
    def test_none(self):
        self.daemon()
        findings, faults = self.findings()
        self.assertEqual(faults, [])
        self.assertEqual([f["check"] for f in findings if f["verdict"] == "skipped"], [])

    def test_text(self):
        self.daemon()
        done = self.doctor()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^good +node +Sample Reader: ")
        self.assertTrue(done.stdout.endswith("\nNo fault found.\n"), done.stdout)
        self.machine.remove(RULE)
        done = self.doctor()
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertRegex(done.stdout, r"(?m)^fault +udev .*\n +-> .*libccid")
        self.assertTrue(done.stdout.endswith("\n1 fault found.\n"), done.stdout)

    def test_its_own_reader(self):
        """Our daemon has the reader's interface."""
        daemon = self.daemon()
        self.machine.bind("usbfs")
        self.machine.process(daemon.program.pid, "pcscd", "/usr/sbin/pcscd", NODE)
        self.machine.write(f"proc/{daemon.program.pid}/status", "Uid:\t5\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t1 2 \n")
        self.assertEqual(self.findings()[1], [])


class Daemons(DoctorTest):
    """Faults of the daemon and of the way to it."""

    def assert_silent(self, *words):
        self.assert_fault("service", *words)

    def test_not_running(self):
        self.machine.remove("run/systemd")
        self.assert_silent("no daemon is running")

    def test_unit_not_active(self):
        self.assert_silent("pcscd.socket is not active")

    def test_unit_masked(self):
        self.machine.path("etc/systemd/system").mkdir(parents=True)
        os.symlink("/dev/null", self.machine.path("etc/systemd/system/pcscd.socket"))
        self.assert_silent("pcscd.socket is masked")

    def test_stale_socket(self):
        self.machine.remove("run/systemd")
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.socket))
        self.assert_silent("stale")

    def test_hanging(self):
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.bind(str(self.socket))
            deaf.listen()
            self.assert_silent("does not answer")

    def test_undecided(self):
        """A client that polkit has not decided about gets no answer; the daemon is there all the same."""
        def keep_waiting(peer):
            while peer.recv(64):
                pass
        self.socket = Other(self, self.tmp, "0.0.1", keep_waiting).socket
        verdicts = {finding["check"]: finding["verdict"] for finding in self.findings()[0]}
        self.assertEqual((verdicts["service"], verdicts["access"]), ("good", "skipped"))

    def test_two(self):
        self.daemon()
        self.machine.process(4242, "pcscd", "/opt/vendor/pcscd")
        self.assert_fault("daemon", "pid 4242 (/opt/vendor/pcscd)")

    @needs_debian(harness.DEBIAN_PCSCD)
    @needs_root
    def test_anothers(self):
        daemon = DebianPcscd(self)
        # It says that it is ready before it listens; the library waits.
        harness.Client(self, daemon).establish()
        self.socket = daemon.socket
        self.assert_fault("daemon", str(self.socket), "not this package's")

    def test_version(self):
        self.socket = Other(self, self.tmp, "0.0.1").socket
        self.assert_fault("version", "0.0.1", follows=["listed"])

    @needs_debian(harness.DEBIAN_LIBRARY)
    def test_library(self):
        self.daemon()
        self.assert_fault("library", "libpcsclite.so.1", "another project's", library="debian")

    def test_no_dbus(self):
        self.daemon()
        self.machine.remove("run/dbus")
        self.assert_fault("polkit", "no D-Bus")

    def test_no_polkit(self):
        self.daemon()
        self.machine.remove("usr/share/dbus-1")
        self.assert_fault("polkit", "polkit is not installed")

    def test_no_policy(self):
        self.daemon()
        self.machine.remove("usr/share/polkit-1")
        self.assert_fault("polkit", "org.debian.pcsc-lite.policy")

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become another user")
    def test_denied(self):
        """polkit cannot be asked where the tests run, which denies as well."""
        self.daemon()
        self.tmp.chmod(0o755)
        folder = self.tmp / "copy"
        for name in ("bin/pcscctl", "sbin/pcscd"):
            (folder / name).parent.mkdir(parents=True)
            shutil.copy(BUILD / name, folder / name)
        for path in self.machine.root.rglob("*"):
            if not path.is_symlink():
                os.chown(path, NOBODY, -1)
        lib = folder / "lib"
        lib.mkdir()
        shutil.copy(harness.LIBRARIES["ours"], lib)
        self.assert_fault("access", "org.debian.pcsc-lite.access_pcsc", f"uid {NOBODY}",
            program=folder / "bin/pcscctl", libraries=lib, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")


@needs_root
class AnothersDaemon(DoctorTest):
    """What a daemon's options name is loaded as code: so it is looked at as the user whose daemon it
    is, or not at all."""

    def setUp(self):
        super().setUp()
        self.tmp.chmod(0o755)
        self.folder = self.tmp / "installed"
        for name in ("bin/pcscctl", "sbin/pcscd"):
            (self.folder / name).parent.mkdir(parents=True)
            shutil.copy(BUILD / name, self.folder / name)
        self.run = self.tmp / "run"
        self.run.mkdir()
        os.chown(self.run, NOBODY, NOBODY)
        self.socket = self.run / "pcscd.comm"
        # For whom it is, reading this is a fault.
        self.machine.write("etc/reader.conf.d/private", "")
        self.machine.path("etc/reader.conf.d/private").chmod(0o600)

    def start(self):
        wrapper = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return harness.start_ready(self, "anothers", [*wrapper, self.folder / "sbin/pcscd",
            "--foreground", "--socket", self.socket, "--drivers", self.run, "-c", self.run])

    def config(self, **options):
        done = self.doctor("--json", program=self.folder / "bin/pcscctl", **options)
        [finding] = [f for f in json.loads(done.stdout)["findings"] if f["check"] == "config"]
        return finding["verdict"], finding["what"]

    def test_as_that_user(self):
        self.assertEqual(self.config()[0], "good")
        self.start()
        verdict, what = self.config()
        self.assertEqual(verdict, "fault")
        self.assertIn("etc/reader.conf.d/private: Permission denied", what)

    def test_not_at_all(self):
        pid = self.start().pid
        self.machine.write(f"proc/{pid}/cmdline", "pcscd\0--foreground\0--drivers\0/tmp/his\0")
        verdict, what = self.config(user=1, group=1, extra_groups=[], cwd="/")
        self.assertEqual(verdict, "skipped")
        self.assertIn("only root can check", what)


class Configuration(DoctorTest):
    def setUp(self):
        super().setUp()
        self.daemon()

    def test_reader_conf(self):
        self.machine.write("etc/reader.conf.d/wrong", f"FRIENDLYNAME \"x\"\nLIBPATH {NULL_LIBRARY}\nDEVICENAM y\n"
                                                      "CHANNELID 1\n")
        self.assert_fault("config", "etc/reader.conf.d/wrong:3: ", "DEVICENAM")

    def test_no_bundles(self):
        self.machine.remove("usr/lib/pcsc/drivers/good.bundle")
        self.assert_fault("config", "no bundles")

    def test_no_driver_folder(self):
        self.machine.remove("usr/lib/pcsc/drivers")
        self.assert_fault("config", "usr/lib/pcsc/drivers: No such file")

    def test_broken_bundle(self):
        self.machine.write("usr/lib/pcsc/drivers/bad.bundle/Contents/Info.plist", "<plist>\n<dict>\n<key>\n")
        self.assert_fault("config", "bad.bundle/Contents/Info.plist:")

    def test_bundle_without_library(self):
        self.machine.remove("usr/lib/pcsc/drivers/good.bundle/Contents/Linux/libccid.so")
        self.assert_fault("config", "libccid.so", "cannot be loaded")


class Usb(DoctorTest):
    """Faults on the way from the reader to the daemon."""

    def setUp(self):
        super().setUp()
        self.daemon()

    def test_no_rule(self):
        self.machine.remove(RULE)
        self.assert_fault("udev", "92-pcscd.rules")

    def test_node_not_accessible(self):
        self.machine.path(NODE[1:]).chmod(0o600)
        self.assert_fault("node", "Sample Reader", NODE, "mode 0600")

    def test_no_user(self):
        self.machine.write("etc/passwd", "root:x:0:0::/:/bin/sh\n")
        self.assert_fault("node", "no user pcscd")

    def test_container_without_nodes(self):
        self.machine.remove("dev/bus")
        self.machine.write("run/.containerenv", "")
        self.assert_fault("node", "container", NODE)

    def test_kernel_driver(self):
        self.machine.bind("foreign_usb")
        self.assert_fault("interface", "Sample Reader", "foreign_usb")

    def test_kernel_nfc_driver(self):
        self.machine.bind("foreign_nfc")
        self.machine.path(f"{SYSFS}/1-1:1.0/nfc/nfc0").mkdir(parents=True)
        self.assert_fault("interface", "Sample Reader", "NFC driver foreign_nfc")

    def test_other_process(self):
        self.machine.bind("usbfs")
        self.machine.process(311, "bash", "/bin/bash", "/dev/null")
        self.machine.process(312, "scdaemon", "/usr/lib/gnupg/scdaemon", "/dev/null", NODE)
        self.assert_fault("interface", "Sample Reader", "pid 312 (/usr/lib/gnupg/scdaemon)")

    def test_class_ff(self):
        """A reader from before CCID had its class, which udev's rule knows; and what else is of class FFh."""
        for name in ("1-1:1.0", "1-1:1.1"):
            self.machine.write(f"{SYSFS}/{name}/bInterfaceClass", "ff\n")
        self.machine.write(f"{SYSFS}/1-1/dev", "189:1\n")
        self.machine.path(NODE[1:]).chmod(0o600)
        self.assertEqual(self.findings()[1], [])
        self.machine.write("run/udev/data/c189:1", "I:1\nE:ID_BUS=usb\nE:ID_SMARTCARD_READER=1\n")
        self.machine.remove(f"{SYSFS}/1-1:1.1")
        self.assert_fault("node", "Sample Reader", NODE)

    def test_not_listed(self):
        for name, text in (("busnum", 1), ("devnum", 3), ("product", "Another Reader")):
            self.machine.write(f"{SYSFS}/1-2/{name}", f"{text}\n")
        self.machine.write(f"{SYSFS}/1-2:1.0/bInterfaceClass", "0b\n")
        self.machine.write("dev/bus/usb/001/003", "")
        self.machine.path("dev/bus/usb/001/003").chmod(0o660)
        self.assert_fault("listed", "Another Reader")


if __name__ == "__main__":
    unittest.main()
