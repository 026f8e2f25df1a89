# SPDX-License-Identifier: BSD-3-Clause
"""What pcscctl tells of clients in known states, what of it other users see, and the log lines
that name who stands in the way."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest

import harness
import winscard
from harness import CALL_S, Client, NOBODY, NULL_LIBRARY, PCSCCTL, Pcscd, pcscctl, reader_entry
from winscard import SHARE_DIRECT, SHARE_EXCLUSIVE

READER = "Good 00 00"
OTHER = "Other 01 00"
PROGRAM = os.path.realpath(sys.executable)
# What a process is part of depends on the machine.
OPTIONAL = ("unit", "flatpak", "snap")


class Asking:
    LEASE_S = 60
    OPTIONS = ()
    library = "ours"

    def setUp(self):
        super().setUp()
        self.daemon = Pcscd(self, reader_entry("Good", "null:", NULL_LIBRARY)
                            + reader_entry("Other", "null:empty", NULL_LIBRARY),
                            options=["--lease", self.LEASE_S, *self.OPTIONS])

    def ask(self, verb):
        done = pcscctl(self.daemon, verb, "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def who(self):
        """The answer without what can't be known: ages (checked for their type) and units."""
        return self.comparable(self.ask("who"))

    def comparable(self, answer):
        for reader in answer["readers"]:
            singles = filter(None, [reader["holder"], reader["running"]])
            for client in [*reader["handles"], *reader["queue"], *reader["waiters"], *singles]:
                for key in OPTIONAL:
                    client.pop(key, None)
                if "for_ms" in client:
                    self.assertIn(client.pop("for_ms"), range(0, 60000))
            reader["handles"].sort(key=lambda client: client.get("pid", 0))
        return answer

    def wait_who(self, ready):
        """Asks until the answer's first reader is as it should be."""
        deadline = time.monotonic() + CALL_S
        while True:
            answer = self.who()
            if ready(answer["readers"][0]):
                return answer
            self.assertLess(time.monotonic(), deadline, answer)

    def client(self):
        client = Client(self, self.daemon, self.library)
        return client, client.establish()

    @staticmethod
    def described(client, **more):
        return {"program": PROGRAM, "pid": client.pid, "uid": os.geteuid(), **more}


@harness.with_each_library
class States(Asking):
    """Three clients, each in a state of its own, as our library and Debian's show them."""

    def test_who(self):
        holder, context = self.client()
        holder.wait_state(context, READER, winscard.STATE_PRESENT)
        held = holder.connect(context, READER)["handle"]
        holder.connect(context, OTHER, SHARE_DIRECT)
        queued, context = self.client()
        handle = queued.connect(context, READER)["handle"]
        watcher, context = self.client()
        holder.begin(held)
        beginning = queued.start("begin", handle)
        [[_, event, _]] = watcher.status_change(context, 0, [[READER, 0]])
        waiting = watcher.start("status_change", context, 60000,
                                [[READER, event & ~winscard.STATE_CHANGED]])
        answer = self.wait_who(lambda reader: reader["queue"] and reader["waiters"])
        everybody = [self.described(watcher)]
        handles = [self.described(client, mode="shared") for client in (holder, queued)]
        self.assertEqual(answer, {"readers": [
            {"name": READER, "sharing": "shared",
             "holder": self.described(holder, reason="transaction"),
             "running": None,
             "handles": sorted(handles, key=lambda client: client["pid"]),
             "queue": [self.described(queued, wants="transaction")],
             "waiters": everybody},
            {"name": OTHER, "sharing": "shared", "holder": None, "running": None,
             "handles": [self.described(holder, mode="direct")],
             "queue": [],
             # In the protocol of others a client waits for all readers alike.
             "waiters": [] if self.library == "ours" else everybody},
        ]})
        holder.end(held)
        self.assertEqual(beginning.rv(), "SCARD_S_SUCCESS")
        watcher.cancel(context)
        waiting.rv()
        answer = self.wait_who(lambda reader: not reader["waiters"])
        self.assertEqual(answer["readers"][0]["holder"],
                         self.described(queued, reason="transaction"))
        self.assertEqual(answer["readers"][0]["queue"], [])

    def test_connection_in_the_queue(self):
        holder, context = self.client()
        held = holder.connect(context, READER)["handle"]
        holder.begin(held)
        comer, context = self.client()
        connecting = comer.start("connect", context, READER)
        answer = self.wait_who(lambda reader: reader["queue"])
        self.assertEqual(answer["readers"][0]["queue"],
                         [self.described(comer, wants="connection")])
        comer.kill()
        self.wait_who(lambda reader: not reader["queue"])
        holder.end(held)


class Answers(Asking, harness.CardwireTest):
    def test_nobody(self):
        nothing = {"holder": None, "running": None, "handles": [], "queue": [], "waiters": [],
                   "sharing": "unused"}
        self.assertEqual(self.who(), {"readers": [{"name": READER, **nothing},
                                                  {"name": OTHER, **nothing}]})

    def test_list(self):
        client, context = self.client()
        client.connect(context, READER, SHARE_EXCLUSIVE)
        self.assertEqual(self.ask("list"), {"readers": [
            {"name": READER, "card": "present", "atr": "3B800181", "protocol": "T=1",
             "driver": str(NULL_LIBRARY), "device": "null:", "sharing": "exclusive"},
            {"name": OTHER, "card": "absent", "atr": None, "protocol": None,
             "driver": str(NULL_LIBRARY), "device": "null:empty", "sharing": "unused"}]})

    def test_text(self):
        client, context = self.client()
        client.connect(context, READER, SHARE_EXCLUSIVE)
        text = pcscctl(self.daemon, "list").stdout
        self.assertEqual(text.splitlines()[:4], [READER, "  card      present",
                         "  atr       3B800181", "  protocol  T=1"])
        text = pcscctl(self.daemon, "who").stdout
        self.assertRegex(text, rf"(?m)^{READER}: exclusive\n  held +exclusive for [0-9.]+ s "
                         rf"pid {client.pid} \({re.escape(PROGRAM)}\), uid {os.geteuid()}\b")

    def test_socket_from_the_environment(self):
        done = subprocess.run([PCSCCTL, "list", "--json"], capture_output=True, text=True,
            timeout=CALL_S, env={**os.environ, "PCSCLITE_CSOCK_NAME": str(self.daemon.socket)})
        self.assertEqual(len(json.loads(done.stdout)["readers"]), 2)

    def test_no_daemon(self):
        self.assertEqual(self.daemon.stop(), 0)
        self.assertFalse((self.tmp / "pcscd.status").exists())
        done = pcscctl(self.daemon, "who")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("is pcscd running?", done.stderr)

    def test_wrong_usage(self):
        for arguments in ([], ["nonsense"], ["who", "list"], ["--nonsense", "who"]):
            done = pcscctl(self.daemon, *arguments)
            self.assertEqual((done.returncode, done.stdout), (1, ""), arguments)
            self.assertNotEqual(done.stderr, "")

    def test_silent_visitor_delays_nobody_for_long(self):
        """The status socket reads nothing, so there is nothing to wait for."""
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                visitor = stack.enter_context(socket.socket(socket.AF_UNIX))
                visitor.connect(str(self.tmp / "pcscd.status"))
                # It may have had its answer, and been closed on, before it has said anything.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    visitor.send(b"x" * 100)
            self.assertEqual(len(self.ask("list")["readers"]), 2)


# A client of protocol 4:4, of another user, that waits for changes of readers until its input ends.
WAITER = """
import os, socket, struct, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
def call(command, body, answer):
    server.sendall(struct.pack("=II", len(body), command) + body)
    return server.recv(answer, socket.MSG_WAITALL)
call(0x11, struct.pack("=iiI", 4, 4, 0), 12)
call(0x01, struct.pack("=III", 2, 0, 0), 12)
call(0x13, b"", 16 * 184)
print("waiting", flush=True)
sys.stdin.read()
"""


@unittest.skipUnless(os.geteuid() == 0, "needs root, to become another user")
class OtherUsers(Asking, harness.CardwireTest):
    OPTIONS = ["--disable-polkit"]

    def test_what_others_see(self):
        holder, context = self.client()
        held = holder.connect(context, READER)["handle"]
        holder.begin(held)
        queued, context = self.client()
        connecting = queued.start("connect", context, READER)
        self.wait_who(lambda reader: reader["queue"])
        self.tmp.chmod(0o755)
        own = subprocess.Popen([PROGRAM, "-c", WAITER, self.daemon.socket, str(NOBODY)],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(own.communicate)
        self.assertEqual(own.stdout.readline(), "waiting\n")
        copy = shutil.copy(PCSCCTL, self.tmp / "pcscctl")
        done = subprocess.run([copy, "--socket", self.daemon.socket, "who", "--json"],
            capture_output=True, text=True, timeout=CALL_S, user=NOBODY, group=NOBODY,
            extra_groups=[], cwd="/")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        name = os.path.basename(PROGRAM)
        waiter = {"program": PROGRAM, "pid": own.pid, "uid": NOBODY}
        self.assertEqual(self.comparable(json.loads(done.stdout)), {"readers": [
            {"name": READER, "sharing": "shared", "running": None, "queue": [],
             "holder": {"program": name, "reason": "transaction"},
             "handles": [{"program": name, "mode": "shared"}], "waiters": [waiter]},
            {"name": OTHER, "sharing": "unused", "running": None, "queue": [], "holder": None,
             "handles": [], "waiters": [waiter]}]})
        holder.end(held)
        connecting.value()


@harness.with_each_library
class LogLines(Asking):
    """A refusal says who is in the way."""

    LEASE_S = 1

    def assert_logged_once(self, pattern):
        self.daemon.program.wait_line(pattern)
        self.assertEqual(self.daemon.program.count(pattern), 1)

    @staticmethod
    def pattern_of(client):
        return rf"pid {client.pid} \({re.escape(PROGRAM)}\), uid {os.geteuid()}"

    def test_exclusive(self):
        holder, context = self.client()
        holder.connect(context, READER, SHARE_EXCLUSIVE)
        refused, context = self.client()
        self.assertEqual(refused.rv("connect", context, READER), "SCARD_E_SHARING_VIOLATION")
        self.assert_logged_once(
            rf"{READER}: connection refused to {self.pattern_of(refused)}: "
            rf"held by {self.pattern_of(holder)}, connected exclusively for \d+ s")

    def test_exclusive_wanted(self):
        holder, context = self.client()
        holder.connect(context, READER)
        refused, context = self.client()
        self.assertEqual(refused.rv("connect", context, READER, SHARE_EXCLUSIVE),
                         "SCARD_E_SHARING_VIOLATION")
        self.assert_logged_once(rf"{READER}: connection refused to {self.pattern_of(refused)}: "
                                rf"held by {self.pattern_of(holder)}, connected shared")

    def test_control_in_a_transaction(self):
        refused, context = self.client()
        handle = refused.connect(context, READER)["handle"]
        holder, context = self.client()
        holder.begin(holder.connect(context, READER)["handle"])
        self.assertEqual(refused.rv("control", handle, winscard.GET_FEATURE_REQUEST),
                         "SCARD_E_SHARING_VIOLATION")
        self.assert_logged_once(rf"{READER}: control refused to {self.pattern_of(refused)}: "
                                rf"held by {self.pattern_of(holder)}, in a transaction for \d+ s")

    def test_eviction(self):
        holder, context = self.client()
        held = holder.connect(context, READER)["handle"]
        holder.begin(held)
        waiter, context = self.client()
        connecting = waiter.start("connect", context, READER)
        self.assert_logged_once(
            rf"{READER}: transaction of {self.pattern_of(holder)} ended, card reset: "
            r"the holder was silent while others wait")
        self.assertEqual(connecting.rv(), "SCARD_S_SUCCESS")
        self.assertEqual(holder.rv("begin", held), "SCARD_W_RESET_CARD")
