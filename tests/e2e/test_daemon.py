# SPDX-License-Identifier: BSD-3-Clause
"""How the daemon starts and ends, whoever starts it and whatever was left there; how it tells readers
and drivers apart that are named alike."""

import os
import select
import signal
import subprocess

import harness
from harness import BUILD, CALL_S, CCID_LIBRARY, Client, NULL_LIBRARY, PCSCD, Pcscd, STOP_S, VReader, reader_entry

STUCK_LIBRARY = BUILD / "tests/libifd-stuck.so"
NULL = reader_entry("Null", "null:", NULL_LIBRARY)


class Background(harness.CardwireTest):
    """pcscd without --foreground: the command returns when clients can connect."""

    def setUp(self):
        super().setUp()
        self.socket = self.tmp / "comm"
        (self.tmp / "conf").mkdir()
        (self.tmp / "conf/null").write_text(NULL)
        (self.tmp / "no-drivers").mkdir()

    def pcscd(self, *options, before=""):
        """Runs the command in a shell that does what `before` says; its exit status and output."""
        with open(self.tmp / "output", "w+") as output:
            done = subprocess.run(["sh", "-c", before + ' exec "$@"', "sh", PCSCD, "--socket", self.socket,
                "--drivers", self.tmp / "no-drivers", "-c", self.tmp / "conf", *options],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=CALL_S)
            output.seek(0)
            return done.returncode, output.read()

    def start(self, before=""):
        """The daemon's pid; it is ended after the test, and must leave nothing then."""
        self.assertEqual(self.pcscd(before=before), (0, ""))
        pid = int((self.tmp / "comm.pid").read_text())
        self.addCleanup(self.end, os.pidfd_open(pid))
        return pid

    def end(self, daemon):
        with open(daemon, "rb"):
            signal.pidfd_send_signal(daemon, signal.SIGTERM)
            self.assertTrue(select.select([daemon], [], [], STOP_S)[0], "it did not end")
        self.assertEqual([path.name for path in self.tmp.glob("comm*")], [])

    def check(self, pid):
        """Another one is not started beside it, it can be told to look again, and serves clients."""
        status, said = self.pcscd()
        self.assertEqual(status, 1)
        self.assertIn(f"another pcscd (pid {pid}) is running", said)
        self.assertEqual(self.pcscd("--hotplug"), (0, ""))
        client = Client(self, self)
        self.assertEqual(client.list_readers(client.establish()), ["Null 00 00"])

    def test_once(self):
        self.check(self.start())

    def test_ready_fd_that_is_not_open(self):
        self.assertEqual(self.pcscd("--ready-fd", "9"), (1, "pcscd: --ready-fd 9: Bad file descriptor\n"))

    def test_service_manager_that_hands_over_no_socket(self):
        for before, what in (("exec 3</dev/null;", "1 descriptors; one listening Unix stream socket is wanted"),
                             ("", "Bad file descriptor")):
            status, said = self.pcscd(before=f"{before} export LISTEN_PID=$$ LISTEN_FDS=1;")
            self.assertEqual(status, 1)
            self.assertRegex(said, f"^[0-9]+ (what )?the service manager handed over:? {what}\n$")

    def test_without_standard_streams(self):
        """What is closed when it starts is not taken for the lock, a socket or the log."""
        self.check(self.start(before="exec <&- >&- 2>&-;"))


class Ends(harness.CardwireTest):
    def test_driver_whose_library_does_not_end(self):
        daemon = Pcscd(self, reader_entry("Stuck", "null:", STUCK_LIBRARY))
        daemon.program.killed = True  # its status is looked at here
        self.assertEqual(daemon.stop(), 1)
        self.assertEqual(daemon.program.count("the library of a driver did not end"), 1)
        self.assertFalse(daemon.socket.exists())


class Configured(harness.CardwireTest):
    def readers(self, daemon):
        client = Client(self, daemon)
        return client.list_readers(client.establish())

    def test_one_driver_by_two_paths(self):
        """It is one driver, and must not be given two readers as the same."""
        vreader = VReader(self, readers=2)
        link = self.tmp / "elsewhere"
        link.symlink_to(CCID_LIBRARY.parent)
        daemon = Pcscd(self, reader_entry("One", vreader.device(0), CCID_LIBRARY)
            + reader_entry("Two", vreader.device(1), link / CCID_LIBRARY.name))
        self.assertEqual(self.readers(daemon), ["One 00 00", "Two 01 00"])

    def test_equal_names_of_two_drivers(self):
        daemon = Pcscd(self, reader_entry("Same", VReader(self).device(), CCID_LIBRARY)
            + reader_entry("Same", "null:", NULL_LIBRARY))
        self.assertEqual(self.readers(daemon), ["Same 00 00", "Same 01 00"])

    def test_configuration_that_cannot_be_read_again(self):
        daemon = Pcscd(self, NULL)
        daemon.conf.rename(self.tmp / "away")
        daemon.conf.symlink_to(daemon.conf)
        daemon.program.process.send_signal(signal.SIGUSR1)
        daemon.program.wait_line("pcscd.conf: .*: the configured readers stay as they are")
        self.assertEqual(self.readers(daemon), ["Null 00 00"])
