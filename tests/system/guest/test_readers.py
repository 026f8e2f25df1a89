# SPDX-License-Identifier: BSD-3-Clause
"""Readers that come and go on real buses: udev's rules, a card in QEMU's reader, USB/IP, a plug storm."""

import glob
import grp
import os
import random
import re
import stat
import time
import unittest
from pathlib import Path

from guestlib import (AUTOMATIC, OPTIONS, PATIENCE_S, Client, Host, Watch, add_card_device, daemon_pid, eventually,
                      install_ours, journal, profile, qemu_reader, restart_socket, run, usbip_attach,
                      usbip_detach_all, vreader)

PRESENT = 0x20
RULES = Path("/lib/udev/rules.d/92-pcscd.rules")
STORM_S = 60  # no longer, whatever the rounds


def setUpModule():
    install_ours()


def usb_devices(vendor, product):
    """The sysfs folders of the devices of that kind."""
    found = []
    for folder in map(Path, glob.glob("/sys/bus/usb/devices/*")):
        try:
            if ((folder / "idVendor").read_text().strip(), (folder / "idProduct").read_text().strip()) == (
                    vendor, product):
                found.append(folder)
        except OSError:
            continue  # an interface, or a device that has just gone
    return found


class Readers(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        self.addCleanup(usbip_detach_all)
        restart_socket()

    def test_belongs_to_the_daemon(self):
        with qemu_reader(self.host), Client() as client:
            client.wait_reader(client.value("establish"), "QEMU")
            self.assert_belongs_to_the_daemon(usb_devices("08e6", "4433")[0])

    def assert_belongs_to_the_daemon(self, device):
        number = [int((device / name).read_text()) for name in ("busnum", "devnum")]
        node = os.stat("/dev/bus/usb/%03d/%03d" % tuple(number))
        self.assertEqual(grp.getgrgid(node.st_gid).gr_name, "pcscd")
        self.assertEqual(stat.S_IMODE(node.st_mode), 0o660)
        self.assertEqual((device / "power/persist").read_text().strip(), "0")

    def test_class_ff(self):
        """A reader from before CCID had its class belongs to the daemon by a rule of its own, of the quirk files."""
        rule = re.search(r'idVendor}=="(\w{4})", ATTR{idProduct}=="(\w{4})", .*:ff\?{4}:', RULES.read_text())
        identity = f"{rule[1]}:{rule[2]}"
        with vreader("--profile", profile("short", AUTOMATIC, interface_class=255, identity=identity)), \
                Client() as client:
            usbip_attach("1-1")
            context = client.value("establish")
            name = client.wait_reader(context, "CCID")
            device = usb_devices(rule[1], rule[2])[0]
            self.assertEqual((next(device.glob("*:1.0")) / "bInterfaceClass").read_text().strip(), "ff")
            self.assert_belongs_to_the_daemon(device)
            card = client.value("connect", context, name)
            self.assertEqual(client.value("transmit", card["handle"], "80ed000101"), "009000")

    def assert_not_listed(self):
        """QEMU's reader is plugged in, and is none for the daemon, which lists one plugged in after it."""
        with qemu_reader(self.host), vreader(), Client() as client:
            eventually(lambda: usb_devices("08e6", "4433"), what="QEMU's reader")
            run("udevadm", "settle")
            usbip_attach("1-1")
            context = client.value("establish")
            client.wait_reader(context, "Cardwire")
            self.assertEqual(len(client.readers(context)), 1)
            usbip_detach_all()

    def test_ignored_by_a_udev_rule(self):
        rule = Path("/run/udev/rules.d/99-test.rules")
        rule.parent.mkdir(exist_ok=True)
        rule.write_text('ATTR{idVendor}=="08e6", ENV{PCSCLITE_IGNORE}="1"\n')
        self.addCleanup(run, "udevadm", "control", "--reload")
        self.addCleanup(rule.unlink)
        run("udevadm", "control", "--reload")
        self.assert_not_listed()

    def test_ignored_by_name(self):
        """The name of the others is extended."""
        Path("/etc/default/pcscd").write_text("PCSCLITE_FILTER_IGNORE_READER_NAMES=Nothing:QEMU\n"
                                              "PCSCLITE_FILTER_EXTEND_READER_NAMES=' of ours'\n")
        self.addCleanup(Path("/etc/default/pcscd").unlink)
        self.assert_not_listed()
        with vreader(), Client() as client:
            usbip_attach("1-1")
            self.assertTrue(client.wait_reader(client.value("establish"), "Cardwire").endswith(" of ours 00 00"))

    def test_path_for_clients(self):
        """Control code 3601 tells which device of the bus a reader is (SCARD_SHARE_DIRECT)."""
        with qemu_reader(self.host), Client() as client:
            context = client.value("establish")
            card = client.value("connect", context, client.wait_reader(context, "QEMU"), 3, 0)
            path = bytes.fromhex(client.value("control", card["handle"], 0x42000000 + 3601))
            self.assertEqual(path, f"{usb_devices('08e6', '4433')[0].name}:1.0\0".encode())

    def test_hub_bounces(self):
        """A hub goes with the reader behind it and comes back with another, again and again."""
        with Client() as client:
            context = client.value("establish")
            pid = daemon_pid()
            for number in range(4):
                self.host.command("device_add", driver="usb-hub", id=f"hub{number}", bus="xhci.0", port="3")
                self.host.command("device_add", driver="usb-ccid", id=f"behind{number}", bus="xhci.0", port="3.2")
                if number % 2:  # half of the time before anybody has seen it
                    client.wait_reader(context, "QEMU")
                self.host.command("device_del", id=f"behind{number}")
                self.host.command("device_del", id=f"hub{number}")
            eventually(lambda: not usb_devices("08e6", "4433") and not client.readers(context),
                       what="no reader left")
            with qemu_reader(self.host):
                client.wait_reader(context, "QEMU")
            self.assertEqual(daemon_pid(), pid)

    def test_another_at_the_same_port(self):
        """With the same identifiers, before anybody could look: one reader is listed, and it is the new one."""
        with Client() as client:
            context = client.value("establish")
            self.host.command("device_add", driver="usb-ccid", id="token0", bus="xhci.0", port="2")
            name = client.wait_reader(context, "QEMU")
            old = client.value("connect", context, name, 3, 0)["handle"]
            for number in range(1, 4):
                self.host.command("device_del", id=f"token{number - 1}")
                self.host.command("device_add", driver="usb-ccid", id=f"token{number}", bus="xhci.0", port="2")
            add_card_device(self.host, "token3")
            self.host.command("card_insert")
            card = eventually(lambda: (found := client.call("connect", context, name))[0] == "SCARD_S_SUCCESS"
                              and found[1]["handle"], what="connected to the new one")
            self.assertEqual(client.value("transmit", card, "00B0000001"), "009000")
            self.assertEqual(client.readers(context), [name])
            self.assertNotEqual(client.call("transmit", old, "00B0000001")[0], "SCARD_S_SUCCESS")
            self.host.command("device_del", id="token3")
            eventually(lambda: not client.readers(context), what="no reader left")

    def test_card_in_qemus_reader(self):
        """Insertion, ATR, commands of every direction of data, removal while connected, another card."""
        with qemu_reader(self.host, card=True), Watch() as watch, Client() as client:
            context = client.value("establish")
            name = client.wait_reader(context, "QEMU")
            self.host.command("card_insert")
            watch.reaches(lambda states: states.get(name, 0) & PRESENT, what="card present")
            card = client.value("connect", context, name)
            self.assertEqual(card["protocol"], 1)
            self.assertEqual(client.value("status", card["handle"])["atr"], "3b6500004361726457")
            for command, answer in (("00A4040005A000000001", "9000"), ("00B0000010", bytes(range(16)).hex() + "9000"),
                                    ("00FE0000", "6d00")):
                self.assertEqual(client.value("transmit", card["handle"], command), answer)
            self.host.command("card_remove")
            watch.reaches(lambda states: name in states and not states[name] & PRESENT, what="card removed")
            self.assertEqual(client.call("transmit", card["handle"], "00B0000010")[0], "SCARD_W_REMOVED_CARD")
            self.host.command("card_insert", atr="3B02AABB")
            watch.reaches(lambda states: states.get(name, 0) & PRESENT, what="other card present")
            card = client.value("connect", context, name)
            self.assertEqual(client.value("status", card["handle"])["atr"], "3b02aabb")

    def test_certificates_on_an_emulated_card(self):
        """QEMU's own card, a CAC with three certificates, read by OpenSC."""
        card = OPTIONS["emulated"]
        if not card:
            self.skipTest("the host has no certutil")
        with qemu_reader(self.host), Client() as client:
            context = client.value("establish")
            client.wait_reader(context, "QEMU")
            names = dict(zip(("cert1", "cert2", "cert3"), card["certificates"]))
            self.host.command("device_add", driver="ccid-card-emulated", id="emulated", bus="rdr.0",
                              backend="certificates", db=card["db"], **names)
            listed = eventually(lambda: run("pkcs15-tool", "--list-certificates", check=False, timeout=60).count("X.509"),
                                timeout=60, what="certificates listed")
            self.assertEqual(listed, 3)
            read = [run("pkcs15-tool", "--read-certificate", number, timeout=60) for number in ("0001", "0002", "0003")]
            for name, pem in card["certificates"].items():
                body = "".join(pem.split("\n")[1:-2]).replace("\r", "")
                self.assertTrue([text for text in read if body in "".join(text.split())], f"{name}: {read}")

    def test_unplugged_in_the_middle_of_a_command(self):
        with qemu_reader(self.host, card=True), Client() as client:
            context = client.value("establish")
            name = client.wait_reader(context, "QEMU")
            self.host.command("card_insert")
            card = eventually(lambda: client.call("connect", context, name)[1]["handle"], what="connected")
            self.assertEqual(client.value("transmit", card, "00B0000001"), "009000")
            self.host.command("device_del", id="rdr")
            before = time.monotonic()
            code, _ = client.call("transmit", card, "00B0000001")
            self.assertIn(code, ("SCARD_E_READER_UNAVAILABLE", "SCARD_W_REMOVED_CARD", "SCARD_E_NO_SMARTCARD",
                                 "SCARD_F_COMM_ERROR", "SCARD_E_NOT_TRANSACTED", "SCARD_E_INVALID_HANDLE",
                                 "SCARD_E_INVALID_VALUE"))  # the last two: the handle went with the reader
            self.assertLess(time.monotonic() - before, PATIENCE_S / 2)
            eventually(lambda: not client.readers(context), what="reader gone")
            self.host.command("device_add", driver="usb-ccid", id="rdr", bus="xhci.0")
            client.wait_reader(context, "QEMU")

    def test_four_by_usbip_detached_in_use(self):
        with vreader("--readers", "4"), Client() as client:
            context = client.value("establish")
            for number in range(4):
                usbip_attach(f"1-{number + 1}")
            names = eventually(lambda: len(found := client.readers(context)) == 4 and found, what="four readers")
            cards = [eventually(lambda: client.call("connect", context, name)[1]["handle"], what=name)
                     for name in names]
            for card in cards:
                self.assertRegex(client.value("transmit", card, "00A4000C023F00"), "(90|61)..$")
            ports = [line.split()[1].rstrip(":") for line in run("usbip", "port", check=False).splitlines()
                     if line.startswith("Port")]
            self.assertEqual(len(ports), 4)
            run("usbip", "detach", "-p", ports[0])
            gone = eventually(lambda: len(left := client.readers(context)) == 3 and set(names) - set(left),
                              what="three readers left").pop()
            for name, card in zip(names, cards):
                code, _ = client.call("transmit", card, "00A4000C023F00")
                if name == gone:
                    self.assertNotEqual(code, "SCARD_S_SUCCESS")
                else:
                    self.assertEqual(code, "SCARD_S_SUCCESS", name)
            usbip_detach_all()
            eventually(lambda: not client.readers(context), what="no reader left")

    def test_plug_storm(self):
        """Random plugging, mostly faster than the kernel can follow; what is there in the end is listed."""
        seed = OPTIONS["seed"]
        dice = random.Random(seed)
        there = []
        with Client() as client:
            context = client.value("establish")
            pid = daemon_pid()
            started = time.monotonic()
            for number in range(OPTIONS["rounds"]):
                if there and (len(there) == 3 or dice.random() < 0.5):
                    self.host.command("device_del", id=there.pop(dice.randrange(len(there))))
                else:
                    there.append(f"storm{number}")
                    self.host.command("device_add", driver="usb-ccid", id=there[-1], bus="xhci.0")
                time.sleep(dice.choice((0, 0.02, 0.1, 0.3, 0.6)) * dice.random())
                if time.monotonic() - started > STORM_S:
                    break
            rounds, ended = number + 1, time.monotonic()
            try:
                eventually(lambda: len(client.readers(context)) == len(there) == len(usb_devices("08e6", "4433")),
                           timeout=60, what=f"{len(there)} readers after the storm of seed {seed}")
                print(f"{rounds} rounds, seed {seed}, {len(there)} readers listed {time.monotonic() - ended:.1f} s "
                      "after the last ", end="", flush=True)
                self.assertEqual(daemon_pid(), pid)
            except AssertionError as error:
                raise AssertionError(f"{error}; listed: {client.readers(context)}, the kernel's: "
                                     f"{usb_devices('08e6', '4433')}\n{journal()[-4000:]}") from error
            finally:
                for identifier in there:
                    self.host.command("device_del", id=identifier)
            eventually(lambda: not client.readers(context), what="no reader left")


if __name__ == "__main__":
    unittest.main()
