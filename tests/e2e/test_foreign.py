# SPDX-License-Identifier: BSD-3-Clause
"""Each of our parts among Debian's: the borders are those of pcsc-lite. In each direction Debian's
opensc-tool prints the ATR, and an APDU goes there and back."""

import unittest

import harness
import winscard
from harness import CCID_LIBRARY, Client, DebianPcscd, Pcscd, VReader, Vicc, reader_entry

SELECT_MF = "00A4000C023F00"


class Foreign(harness.CardwireTest):
    def vpcd_entry(self, port):
        return reader_entry("Virtual PCD", f"/dev/null:{port}", harness.DEBIAN_VPCD, channel=port)

    def check(self, daemon, library, reader):
        client = Client(self, daemon, library)
        context = client.establish()
        self.assertIn(reader, client.list_readers(context))
        _, atr = client.wait_state(context, reader, winscard.STATE_PRESENT)
        handle = client.connect(context, reader)["handle"]
        self.assertEqual(client.transmit(handle, SELECT_MF), "9000")
        self.assertEqual(client.status(handle)["atr"], atr)
        client.disconnect(handle)
        printed = harness.run_tool(daemon, library, "opensc-tool", "-r", "0", "-a")
        self.assertIn(":".join(atr[i:i + 2] for i in range(0, len(atr), 2)), printed)
        self.assertIn(reader, harness.run_tool(daemon, library, "opensc-tool", "-l"))

    def our_stack(self):
        reader = VReader(self)
        return Pcscd(self, reader_entry("Virtual", reader.device(), CCID_LIBRARY))

    @harness.needs_debian(harness.DEBIAN_LIBRARY)
    def test_their_library_on_our_daemon(self):
        self.check(self.our_stack(), "debian", "Virtual 00 00")

    def test_our_library_on_our_daemon(self):
        self.check(self.our_stack(), "ours", "Virtual 00 00")

    @harness.needs_root
    @harness.needs_debian(harness.DEBIAN_PCSCD, harness.DEBIAN_VPCD, harness.DEBIAN_VICC)
    def test_our_library_on_their_daemon(self):
        port = harness.free_port()
        daemon = DebianPcscd(self, self.vpcd_entry(port))
        Vicc(self, port)
        self.check(daemon, "ours", "Virtual PCD 00 00")

    @harness.needs_root
    @harness.needs_debian(harness.DEBIAN_PCSCD, harness.DEBIAN_LIBRARY)
    def test_our_driver_in_their_daemon(self):
        reader = VReader(self)
        daemon = DebianPcscd(self, reader_entry("Virtual", reader.device(), CCID_LIBRARY))
        self.check(daemon, "debian", "Virtual 00 00")

    @harness.needs_debian(harness.DEBIAN_VPCD, harness.DEBIAN_VICC)
    def test_their_driver_in_our_daemon(self):
        port = harness.free_port()
        daemon = Pcscd(self, self.vpcd_entry(port))
        Vicc(self, port)
        self.check(daemon, "ours", "Virtual PCD 00 00")

    @harness.needs_debian(harness.DEBIAN_LIBRARY)
    def test_pcsc_scan_lists_the_reader(self):
        self.assertIn("Virtual 00 00", harness.run_tool(self.our_stack(), "debian", "pcsc_scan",
                                                        "-r"))


if __name__ == "__main__":
    unittest.main()
