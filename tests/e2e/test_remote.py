# SPDX-License-Identifier: BSD-3-Clause
"""A reader in the office and a client at the desk: two network namespaces with a cable between them
that can be pulled. The reader comes to the desk's daemon by USB/IP, direct and through ssh; or the
office's daemon comes to the desk's clients by ssh, forwarded from either side (docs/remote.md)."""

import os
import pathlib
import shutil
import subprocess
import time
import unittest

import harness
import winscard
from harness import CCID_LIBRARY, Client, Pcscd, Program, VReader, reader_entry

OFFICE, DESK = "10.213.77.1", "10.213.77.2"
SELECT_MF = "00A4000C023F00"
# The driver gives TCP 30 s to say that the other side has gone.
TCP_LOSS_S = 90


def run(*command, check=True):
    return subprocess.run(list(map(str, command)), check=check, capture_output=True, text=True,
        timeout=harness.CALL_S)


def network_namespaces_work():
    """Whether this machine lets us make them; containers often do not."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        return False
    name = f"cw-probe-{os.getpid()}"
    made = run("ip", "netns", "add", name, check=False).returncode == 0
    cable = made and run("ip", "-n", name, "link", "add", "cable0", "type", "veth", "peer", "name",
        "cable1", check=False).returncode == 0
    if made:
        run("ip", "netns", "del", name)
    return cable


needs_ssh = unittest.skipUnless(shutil.which("ssh") and shutil.which("ssh-keygen") and
    pathlib.Path("/usr/sbin/sshd").exists(), "needs openssh-client and openssh-server")


@unittest.skipUnless(network_namespaces_work(), "no network namespaces here")
class Remote(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.office = f"cw-office-{os.getpid()}"
        self.desk = f"cw-desk-{os.getpid()}"
        for name in (self.office, self.desk):
            run("ip", "netns", "add", name)
            self.addCleanup(run, "ip", "netns", "del", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", self.office, "link", "add", "cable", "type", "veth", "peer", "name", "cable",
            "netns", self.desk)
        for name, address in ((self.office, OFFICE), (self.desk, DESK)):
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
            run("ip", "-n", name, "link", "set", "cable", "up")

    def cable(self, state):
        run("ip", "-n", self.office, "link", "set", "cable", state)

    def within(self, namespace):
        return ["ip", "netns", "exec", namespace]

    def office_reader(self, tcp=False):
        """The reader. Paths of Unix sockets are seen from both sides; TCP is the office's alone."""
        self.usbip = self.tmp / "office.usbip"
        listen = ["--listen", f"unix:{self.usbip}"]
        if tcp:
            listen += ["--listen", f"tcp:{OFFICE}:3240"]
        reader = VReader.__new__(VReader)
        reader.test, reader.socket, reader.ctl_path = self, self.usbip, self.tmp / "office.ctl"
        reader.program = harness.start_ready(self, "office-vreader", [*self.within(self.office),
            harness.VREADER, "serve", *listen, "--ctl", reader.ctl_path])
        return reader

    def daemon(self, namespace, name, device):
        return Pcscd(self, reader_entry("Remote", device, CCID_LIBRARY), name=name,
            wrapper=self.within(namespace))

    def use(self, daemon, library="ours"):
        """A client that reaches the card; (client, context, handle)."""
        client = Client(self, daemon, library)
        context = client.establish()
        client.wait_listed(context, "Remote 00 00")
        handle = self.present(client, context, "Remote 00 00")
        self.assertEqual(client.transmit(handle, SELECT_MF), "9000")
        return client, context, handle

    # --- ssh

    def sshd(self, namespace, address):
        """A server whose only key is this test's."""
        key, host = self.tmp / "id", self.tmp / "host"
        for path in (key, host):
            if not path.exists():
                run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
        authorized = self.tmp / "authorized"
        authorized.write_text((self.tmp / "id.pub").read_text())
        self.known = self.tmp / "known"
        public = (self.tmp / "host.pub").read_text()
        self.known.write_text(f"{OFFICE} {public}{DESK} {public}")
        folder = pathlib.Path("/run/sshd")
        if not folder.exists():
            folder.mkdir(mode=0o755)
            self.addCleanup(folder.rmdir)
        options = [f"ListenAddress {address}", "Port 2222", f"HostKey {host}", "PidFile none",
            f"AuthorizedKeysFile {authorized}", "StrictModes no", "UsePAM no",
            "PermitRootLogin yes", "PasswordAuthentication no", "AllowStreamLocalForwarding yes",
            "StreamLocalBindUnlink yes", "ClientAliveInterval 1", "ClientAliveCountMax 4"]
        conf = self.tmp / f"sshd-{address}.conf"
        conf.write_text("\n".join(options) + "\n")
        program = Program(self, f"sshd-{address}", [*self.within(namespace), "/usr/sbin/sshd", "-D",
            "-e", "-f", conf])
        program.wait_line("Server listening")

    def ssh(self, namespace, address, *forward):
        """Forwards until it is stopped, or the network is gone for some seconds."""
        program = Program(self, "ssh", [*self.within(namespace), "ssh", "-v", "-N", "-F", "none", "-p",
            2222, "-i", self.tmp / "id", "-o", f"UserKnownHostsFile={self.known}", "-o",
            "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o",
            "StreamLocalBindUnlink=yes", "-o", "ServerAliveInterval=1", "-o",
            "ServerAliveCountMax=4", "-o", "ConnectionAttempts=15", *forward, f"root@{address}"])
        program.wait_line("Entering interactive session|remote forward success")
        return program

    # --- The reader at the desk

    def test_reader_by_usbip(self):
        self.office_reader(tcp=True)
        daemon = self.daemon(self.desk, "desk-pcscd", f"usbip:{OFFICE}:3240/1-1")
        client, context, handle = self.use(daemon)
        for _ in range(20):
            self.assertEqual(client.transmit(handle, SELECT_MF), "9000")

    @unittest.skipIf(harness.PRELOAD, "waits half a minute; once is enough")
    def test_network_is_lost_and_comes_back(self):
        """Nobody says so: TCP itself has to find out, and a command that is under way fails."""
        self.office_reader(tcp=True)
        daemon = self.daemon(self.desk, "desk-pcscd", f"usbip:{OFFICE}:3240/1-1")
        client, context, handle = self.use(daemon)
        other = Client(self, daemon)
        other_context = other.establish()
        self.cable("down")
        lost = client.start("transmit", handle, SELECT_MF)
        self.assertIn(lost.rv(timeout=TCP_LOSS_S),
            ("SCARD_E_READER_UNAVAILABLE", "SCARD_W_REMOVED_CARD", "SCARD_E_NOT_TRANSACTED",
             "SCARD_F_COMM_ERROR", "SCARD_E_NO_SMARTCARD"))
        other.wait_listed(other_context, "Remote 00 00", listed=False)
        self.cable("up")
        # The office has to find out as well.
        other.wait_listed(other_context, "Remote 00 00")
        handle = self.present(other, other_context, "Remote 00 00")
        self.assertEqual(other.transmit(handle, SELECT_MF), "9000")

    @needs_ssh
    def test_reader_by_usbip_through_ssh(self):
        """Loss of the network is an unplug, its return a plug."""
        self.office_reader()
        self.sshd(self.office, OFFICE)
        here = self.tmp / "desk.usbip"
        forward = ["-L", f"{here}:{self.usbip}"]
        self.ssh(self.desk, OFFICE, *forward)
        daemon = self.daemon(self.desk, "desk-pcscd", f"usbip:unix:{here}/1-1")
        client, context, handle = self.use(daemon)
        for _ in range(2):
            self.cable("down")
            client.wait_listed(context, "Remote 00 00", listed=False)
            self.assertIn(client.rv("transmit", handle, SELECT_MF),
                ("SCARD_E_READER_UNAVAILABLE", "SCARD_W_REMOVED_CARD", "SCARD_E_INVALID_VALUE"))
            self.cable("up")
            self.ssh(self.desk, OFFICE, *forward)
            client.wait_listed(context, "Remote 00 00")
            handle = self.present(client, context, "Remote 00 00")
            self.assertEqual(client.transmit(handle, SELECT_MF), "9000")

    # --- The daemon at the desk

    def forwarded(self, ssh_from, ssh_to, option):
        """A daemon in the office; its socket as the desk has it. The client is at the desk."""
        reader = self.office_reader()
        daemon = self.daemon(self.office, "office-pcscd", reader.device())
        self.sshd(*ssh_to)
        here = self.tmp / "desk.comm"
        tunnel = self.ssh(ssh_from, ssh_to[1], option, f"{here}:{daemon.socket}")
        daemon.socket = here
        return reader, daemon, tunnel

    def check_forwarded(self, reader, daemon, library):
        client, context, handle = self.use(daemon, library)
        waiting = client.start("status_change", context, 20000,
            [["Remote 00 00", winscard.STATE_PRESENT | winscard.STATE_INUSE]])
        reader.ctl("remove", 0)
        client.wait_state(context, "Remote 00 00", winscard.STATE_EMPTY)
        waiting.result()
        self.assertEqual(client.rv("transmit", handle, SELECT_MF), "SCARD_W_REMOVED_CARD")
        reader.ctl("insert", 0)
        handle = self.present(client, context, "Remote 00 00")
        self.assertEqual(client.transmit(handle, SELECT_MF), "9000")
        return client, context

    @needs_ssh
    def test_daemon_forwarded_from_the_desk(self):
        reader, daemon, tunnel = self.forwarded(self.desk, (self.office, OFFICE), "-L")
        self.check_forwarded(reader, daemon, "ours")
        # Without the tunnel there is no daemon, and nobody waits for one.
        client, context, handle = self.use(daemon)
        tunnel.stop()
        started = time.monotonic()
        self.assertIn(client.rv("transmit", handle, SELECT_MF),
            ("SCARD_E_NO_SERVICE", "SCARD_F_COMM_ERROR", "SCARD_E_SERVICE_STOPPED",
             "SCARD_E_INVALID_HANDLE"))
        self.assertLess(time.monotonic() - started, harness.bound(3))

    @needs_ssh
    def test_daemon_forwarded_from_the_office(self):
        reader, daemon, _ = self.forwarded(self.office, (self.desk, DESK), "-R")
        self.check_forwarded(reader, daemon, "ours")

    @needs_ssh
    @harness.needs_debian(harness.DEBIAN_LIBRARY)
    def test_daemon_forwarded_to_the_stock_client(self):
        reader, daemon, _ = self.forwarded(self.desk, (self.office, OFFICE), "-L")
        self.check_forwarded(reader, daemon, "debian")
        self.assertIn("Remote 00 00", harness.run_tool(daemon, "debian", "opensc-tool", "-l"))


if __name__ == "__main__":
    unittest.main()
