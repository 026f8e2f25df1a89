# SPDX-License-Identifier: BSD-3-Clause
"""Our driver's way through libusb: interfaces that are taken, several of them in one device, and devices
that go at any moment."""

import glob
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

from guestlib import DRIVERS, LIBDIR, STAGE, eventually, process, run, usbip_attach, usbip_detach_all, vreader

CLAIM = "import fcntl, sys; node = open(sys.argv[1], 'r+b', buffering=0)\n" \
    "fcntl.ioctl(node, 0x8004550F, bytes(4)); print('claimed', flush=True); sys.stdin.read()"
RESET = "import fcntl, sys; fcntl.ioctl(open(sys.argv[1], 'r+b', buffering=0), 0x5514)"
ECHO = ("--card-driver", "default", "-s", "80:EC:00:00:02:01:02:00")


def node():
    """The device node of the attached virtual reader."""
    for folder in glob.glob("/sys/bus/usb/devices/*"):
        try:
            with open(f"{folder}/manufacturer") as file:
                if "Cardwire" not in file.read():
                    continue
            with open(f"{folder}/busnum") as bus, open(f"{folder}/devnum") as device:
                return f"/dev/bus/usb/{int(bus.read()):03}/{int(device.read()):03}"
        except OSError:
            continue
    return None


class Libusb(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pcscd-")
        self.socket = f"{self.folder}/pcscd.comm"
        os.mkdir(f"{self.folder}/reader.conf.d")
        self.env = {"PCSCLITE_CSOCK_NAME": self.socket, "LD_LIBRARY_PATH": str(LIBDIR)}
        self.addCleanup(usbip_detach_all)

    def daemon(self):
        return process(STAGE / "usr/sbin/pcscd", "-f", "-d", "--socket", self.socket, "--drivers", DRIVERS, "-c",
                       f"{self.folder}/reader.conf.d", ready_fd=True)

    def listed(self):
        return run("opensc-tool", "-l", env=self.env, check=False)

    def echo(self, reader=0):
        return run("opensc-tool", "-r", reader, *ECHO, env=self.env, check=False)

    def test_holder_is_named(self):
        with vreader("--profile", "short", "--protocol", "t1"):
            usbip_attach("1-1")
            path = eventually(node, what="device node")
            with subprocess.Popen([sys.executable, "-c", CLAIM, path], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True) as holder:
                self.assertEqual(holder.stdout.readline(), "claimed\n")
                with self.daemon() as daemon:
                    eventually(lambda: f"(process {holder.pid})" in daemon.log.read_text(),
                               what=f"the holder's name in {daemon.log.read_text()[-3000:]}")
                holder.stdin.close()

    def test_two_interfaces(self):
        descriptor = struct.pack("<BBHBBIIIBIIBIIIIIBBHBB", 54, 0x21, 0x0110, 0, 7, 3, 4000, 4000, 0, 10753,
                                 344086, 0, 254, 0, 0, 0x000200FA, 271, 0xFF, 0xFF, 0, 0, 1)
        interfaces = [{"file": "two", "vid": "1209", "pid": "0001", "bcdDevice": "0100", "iManufacturer": "Cardwire",
                       "iProduct": "Two", "iInterface": None, "ccid_descriptor_hex": descriptor.hex(),
                       "interface": {"bInterfaceNumber": number, "bInterfaceClass": 11, "bInterfaceSubClass": 0,
                                     "bInterfaceProtocol": 0, "bNumEndpoints": 3}} for number in (0, 1)]
        path = f"{self.folder}/two.json"
        with open(path, "w") as file:
            json.dump(interfaces, file)
        with vreader("--profile", path, "--protocol", "t1"), self.daemon() as daemon:
            for _ in range(3):
                usbip_attach("1-1")
                try:
                    eventually(lambda: self.listed().count("Yes") == 2, what="two readers with cards")
                    for reader in (0, 1, 0):
                        self.assertIn("SW1=0x90", self.echo(reader))
                except AssertionError as error:
                    raise AssertionError(f"{error}\n{daemon.log.read_text()[-6000:]}") from error
                finally:
                    usbip_detach_all()
                eventually(lambda: "Yes" not in self.listed(), what="both gone")

    def test_port_reset_by_others(self):
        """The port is reset behind the driver's back, as by a resume; the device keeps its address."""
        with vreader("--profile", "short", "--protocol", "t1"), self.daemon() as daemon:
            usbip_attach("1-1")
            path = eventually(node, what="device node")
            for _ in range(3):
                eventually(lambda: "SW1=0x90" in self.echo(), what=f"an answer: {daemon.log.read_text()[-3000:]}")
                run(sys.executable, "-c", RESET, path)
                self.assertEqual(node(), path)
            eventually(lambda: "SW1=0x90" in self.echo(), what="an answer after the last reset")
            self.assertIsNone(daemon.poll())

    def test_unplug_at_any_moment(self):
        """While the card works for a second, the device goes; the daemon lives and takes the next one."""
        busy = ("opensc-tool", "--card-driver", "default", "-s", "80:EE:03:E8:02:01:02:00")
        with vreader("--profile", "short", "--protocol", "t1") as reader, self.daemon() as daemon:
            for delay in (0.0, 0.1, 0.3, 0.6, 0.9):
                usbip_attach("1-1")
                eventually(lambda: "Yes" in self.listed(), what="reader with a card")
                with subprocess.Popen(busy, env={**os.environ, **self.env}, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL) as client:
                    try:
                        client.wait(delay)
                    except subprocess.TimeoutExpired:
                        pass
                    usbip_detach_all()
                    client.wait(10)
                eventually(lambda: "Yes" not in self.listed(), what="reader gone")
            self.assertIsNone(daemon.poll())
            self.assertIn("1-1", reader.ctl("list"))


if __name__ == "__main__":
    unittest.main()
