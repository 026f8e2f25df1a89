# SPDX-License-Identifier: BSD-3-Clause
"""A daemon with nothing to do does nothing: none of its threads wakes up."""

import os
import pathlib
import time
import unittest

from harness import CCID_LIBRARY, CardwireTest, Client, PCSCD, Pcscd, VReader, reader_entry
from winscard import STATE_CHANGED, STATE_PRESENT

SETTLE_S = 30   # within this it must come to rest
SAMPLE_S = 1    # at rest: nothing woke up for so long
# Longer than any interval at which the daemon does something by itself; or as long as is asked for.
SILENCE_S = int(os.environ.get("CARDWIRE_IDLE_SECONDS", 7))


def switches(pid):
    """How often each thread has gone to sleep or was made to wait."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found[task.name] = [line for line in lines if line.startswith("voluntary_ctxt_switches")]
    return found


def which_woke_up(pids, seconds):
    before = [switches(pid) for pid in pids]
    time.sleep(seconds)
    return [pid for pid, was in zip(pids, before) if switches(pid) != was]


@unittest.skipIf(b"__tsan_init" in PCSCD.read_bytes(), "ThreadSanitizer's own thread never rests")
class Idle(CardwireTest):
    def start(self, name):
        """A daemon of its own with a client that is connected to a card: (pid, client, context, handle)."""
        vreader = VReader(self, name=f"{name}-reader")
        daemon = Pcscd(self, reader_entry("Virtual", vreader.device(), CCID_LIBRARY), name=name,
            options=["--power-grace", "0.05", "--lease", "0.05"])
        client = Client(self, daemon)
        context = client.establish()
        return daemon.program.pid, client, context, self.present(client, context, "Virtual 00 00")

    def after_the_last_client(self):
        pid, client, _, handle = self.start("left")
        client.begin(handle)
        client.transmit(handle, "0084000008")
        client.stop()
        return pid

    def with_a_client_that_waits(self):
        pid, client, context, handle = self.start("waited-for")
        client.disconnect(handle)
        event, _ = client.wait_state(context, "Virtual 00 00", STATE_PRESENT)
        client.start("status_change", context, 0xFFFFFFFF, [["Virtual 00 00", event & ~STATE_CHANGED]])
        return pid

    def test_no_thread_wakes_up(self):
        """Two daemons, looked at together, since it takes a while."""
        names = {self.after_the_last_client(): "without a client", self.with_a_client_that_waits(): "waited for"}
        deadline = time.monotonic() + SETTLE_S
        while woke := which_woke_up(names, SAMPLE_S):
            self.assertLess(time.monotonic(), deadline, f"no rest: {[names[pid] for pid in woke]}")
        self.assertEqual([names[pid] for pid in which_woke_up(names, SILENCE_S)], [])


if __name__ == "__main__":
    unittest.main()
