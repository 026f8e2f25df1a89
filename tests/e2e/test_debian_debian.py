# SPDX-License-Identifier: BSD-3-Clause
"""Debian's library, daemon and virtual reader among themselves: none of our code. Proves the
harness, and that what the other tests compare with is as it should be."""

import unittest

import harness
import winscard


@harness.needs_root
@harness.needs_debian(harness.DEBIAN_PCSCD, harness.DEBIAN_VPCD, harness.DEBIAN_VICC,
                      harness.DEBIAN_LIBRARY)
class DebianWithDebian(harness.CardwireTest):
    def test_round_trip(self):
        port = harness.free_port()
        daemon = harness.DebianPcscd(self, harness.reader_entry(
            "Virtual PCD", f"/dev/null:{port}", harness.DEBIAN_VPCD, channel=port))
        harness.Vicc(self, port)
        client = harness.Client(self, daemon, "debian")
        context = client.establish()
        client.wait_state(context, "Virtual PCD 00 00", winscard.STATE_PRESENT)
        handle = client.connect(context, "Virtual PCD 00 00")["handle"]
        self.assertEqual(client.transmit(handle, "00A4000C023F00"), "9000")
        self.assertIn("3b", harness.run_tool(daemon, "debian", "opensc-tool", "-a", "-r", "0"))


if __name__ == "__main__":
    unittest.main()
