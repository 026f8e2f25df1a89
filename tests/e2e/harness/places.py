# SPDX-License-Identifier: BSD-3-Clause
"""Where what is tested lies, whose limits it has, and what a test needs of the machine."""

import contextlib
import os
import pathlib
import random
import socket
import unittest

HERE = pathlib.Path(__file__).resolve().parent.parent  # tests/e2e
SOURCE = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("CARDWIRE_BUILD", SOURCE / "build/dev"))
FOREIGN = pathlib.Path(os.environ.get("CARDWIRE_FOREIGN", SOURCE / "build/foreign"))
PRELOAD = os.environ.get("CARDWIRE_PRELOAD", "")

PCSCD = BUILD / "sbin/pcscd"
VREADER = BUILD / "bin/vreader"
PCSCCTL = BUILD / "bin/pcscctl"
DRIVERS = BUILD / "drivers"
CCID_LIBRARY = DRIVERS / "ifd-ccid.bundle/Contents/Linux/libccid.so"
NULL_LIBRARY = BUILD / "tests/libifd-null.so"

NOBODY = 65534  # a user who may nothing

# Met only by what hangs: a machine that is merely busy takes a part of them.
START_S = 60
CALL_S = 60
STOP_S = 60


def bound(seconds):
    """The bound on a measured time: to the letter where the machine does nothing else
    (CARDWIRE_PRECISE is set), many times as much where other tests run beside this one."""
    return seconds if "CARDWIRE_PRECISE" in os.environ else 5 * seconds + 5


def debian(relative, multiarch="x86_64-linux-gnu"):
    """A file of Debian's packages: unpacked ones first, installed ones else; None if neither."""
    relative = relative.format(multiarch=multiarch)
    for root in (FOREIGN, pathlib.Path("/")):
        if (root / relative).exists():
            return root / relative
    return None


DEBIAN_LIBRARY = debian("usr/lib/{multiarch}/libpcsclite.so.1")
DEBIAN_PCSCD = debian("usr/sbin/pcscd")
DEBIAN_VPCD = debian("usr/lib/pcsc/drivers/serial/libifdvpcd.so")
DEBIAN_VICC = debian("usr/bin/vicc")
LIBRARIES = {"ours": BUILD / "lib/libpcsclite.so.1", "debian": DEBIAN_LIBRARY}


def needs_debian(*files):
    """Skips a test where one of Debian's files is missing."""
    return unittest.skipIf(None in files, "needs Debian's packages: run scripts/fetch-foreign")


def needs_root(test):
    return unittest.skipUnless(os.geteuid() == 0,
        "Debian's pcscd has a fixed socket path: a private mount namespace needs root")(test)


def sanitizer_env():
    """For foreign programs that load our code under a sanitizer: their own leaks and races are
    not ours to find."""
    return {"ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0",
        "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:report_signal_unsafe=0"} if PRELOAD else {}


def free_port():
    """A port below those that the kernel gives to whoever asks for any: nobody else takes it."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
