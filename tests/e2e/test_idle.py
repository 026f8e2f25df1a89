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


@unittest.skipIf(b"__tsan_init" in PCSCD.read_bytes(), "ThreadSanitizer's own thread never rests")
class Idle(CardwireTest):
    def silent_for(self, pid, seconds):
        before = switches(pid)
        time.sleep(seconds)
        return switches(pid) == before

    def assert_idle(self, pid):
        deadline = time.monotonic() + SETTLE_S
        while not self.silent_for(pid, SAMPLE_S):
            self.assertLess(time.monotonic(), deadline, "the daemon does not come to rest")
        self.assertTrue(self.silent_for(pid, SILENCE_S), "the daemon woke up")

    def setUp(self):
        super().setUp()
        vreader = VReader(self)
        self.daemon = Pcscd(self, reader_entry("Virtual", vreader.device(), CCID_LIBRARY),
            options=["--power-grace", "0.05", "--lease", "0.05"])
        self.client = Client(self, self.daemon)
        self.context = self.client.establish()
        self.handle = self.present(self.client, self.context, "Virtual 00 00")

    def test_after_the_last_client(self):
        self.client.begin(self.handle)
        self.client.transmit(self.handle, "0084000008")
        self.client.stop()
        self.assert_idle(self.daemon.program.pid)

    def test_with_a_client_that_waits(self):
        self.client.disconnect(self.handle)
        event, _ = self.client.wait_state(self.context, "Virtual 00 00", STATE_PRESENT)
        self.client.start("status_change", self.context, 0xFFFFFFFF,
            [["Virtual 00 00", event & ~STATE_CHANGED]])
        self.assert_idle(self.daemon.program.pid)


if __name__ == "__main__":
    unittest.main()
