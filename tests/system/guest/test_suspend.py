# SPDX-License-Identifier: BSD-3-Clause
"""Suspend to RAM and back. The last module: what a guest does wrong here, it does after all other tests."""

import time
import unittest
from pathlib import Path

from guestlib import SHARE, Client, Host, eventually, install_ours, qemu_reader, restart_socket, run

ASLEEP_S = 3


def suspend(host):
    """Sleeps until the host wakes the guest. 9p's device does not survive that, so it is taken away."""
    Path("/sys/power/mem_sleep").write_text("deep")
    run("umount", SHARE)
    run("modprobe", "-r", "9pnet_virtio")
    host.command("later", seconds=ASLEEP_S + 3, execute="system_wakeup", arguments={})
    try:
        Path("/sys/power/state").write_text("mem")
    finally:
        run("modprobe", "9pnet_virtio")
        run("mount", "-t", "9p", "-o", "trans=virtio,version=9p2000.L,msize=262144", "share", SHARE)


class Suspend(unittest.TestCase):
    def test_reader_works_after_resume(self):
        if "deep" not in Path("/sys/power/mem_sleep").read_text():
            self.skipTest("this kernel cannot suspend to RAM")
        host = Host()
        self.addCleanup(host.close)
        install_ours()
        restart_socket()
        with qemu_reader(host, card=True), Client() as client:
            context = client.value("establish")
            name = client.wait_reader(context, "QEMU")
            host.command("card_insert")
            eventually(lambda: client.call("connect", context, name)[0] == "SCARD_S_SUCCESS", what="connected")
            with host.alone():
                suspend(host)

            def read_card():
                code, card = client.call("connect", context, name)
                return code == "SCARD_S_SUCCESS" and client.call("transmit", card["handle"], "00B0000001")[0] == \
                    "SCARD_S_SUCCESS"
            before = time.monotonic()
            eventually(read_card, what="card read after resume")
            print(f"card read {time.monotonic() - before:.1f} s after resume ", end="", flush=True)


if __name__ == "__main__":
    unittest.main()
