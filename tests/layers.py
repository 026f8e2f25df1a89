#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which folder may include what of which other: the arrows between the rooms, and the doors of the
folders within one. A change of these tables is a change of the design."""
import os
import re
import unittest
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent

# What a room may include beside its own files: folders, or single headers.
ROOMS = {
    "include": [],
    "spec": [],
    "wire": [],
    "iso7816": [],
    "recording": [],
    "libpcsclite": ["wire", "iso7816/secret.h"],
    "libctapi": ["iso7816/atr.h"],
    "pcscd": ["wire", "iso7816/atr.h", "iso7816/secret.h"],
    "ifd-ccid": ["spec", "iso7816", "recording"],
    "vreader": ["spec", "recording", "iso7816/atr.h"],
    "tools": ["wire", "spec", "recording", "iso7816/atr.h", "iso7816/secret.h",
              "ifd-ccid/quirk/quirk.h", "ifd-ccid/device/descriptor.h"],
}

# The public headers, which are found as <name.h>, and who may include them.
PUBLIC = {
    "winscard.h": ["libpcsclite", "libctapi", "pcscd", "tools"],
    "pcsclite.h": ["libpcsclite", "pcscd", "tools", "wire"],
    "reader.h": ["libpcsclite", "pcscd", "ifd-ccid", "wire"],
    "ifdhandler.h": ["pcscd", "ifd-ccid", "vreader/replay"],
    "debuglog.h": ["pcscd"],
}

# Rooms that are bytes in, bytes out: all they take of the system.
PURE = {
    "spec": set(),
    "wire": {"assert", "stdbool", "stddef", "stdint", "stdio", "string"},
    "iso7816": {"stdbool", "stddef", "stdint", "string"},
    "recording": {"errno", "inttypes", "stdbool", "stddef", "stdint", "stdio", "stdlib", "string"},
}

# The headers of a folder that the rest of its room may include. The room's own files, beside its
# folders, are what all of it stands on (log.h, clock.h) or what puts it together (daemon.c, ifdh.c).
DOORS = {
    "pcscd/cards": ["card.h", "events.h", "slot.h", "slots.h"],
    "pcscd/readers": ["driver.h", "readers.h"],
    "pcscd/clients": ["server.h"],
    "ifd-ccid/port": ["port.h"],
    "ifd-ccid/device": ["capabilities.h", "ccid_msg.h", "descriptor.h", "device.h"],
    "ifd-ccid/slot": ["activate.h", "control.h", "escape.h", "exchange.h", "slot.h"],
    "ifd-ccid/pinpad": ["feature_list.h"],
    "ifd-ccid/contactless": ["contactless.h", "contactless_slot.h", "raw.h"],
    "ifd-ccid/quirk": ["quirk.h", "quirk_apply.h"],
    "ifd-ccid/recorder": ["recorder.h", "recorder_mask.h"],
    "vreader/cards": ["app.h", "ber.h", "card.h", "card_t1.h", "crypto.h", "tag.h"],
    "vreader/cards/openpgp": ["openpgp.h"],
    "vreader/cards/piv": ["piv.h"],
    "vreader/cards/pkcs15": ["pkcs15.h"],
    "vreader/firmware": ["ccid_device.h", "ccid_slot.h", "fault.h", "profile.h"],
    "vreader/replay": ["replay.h"],
    "vreader/usb": ["address.h", "iccd.h", "usb_device.h", "usbip_server.h"],
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)


def within(path, folder):
    return path == folder or path.startswith(folder + "/")


def room_allows(source, target):
    """Whether the rooms' arrows let a file include another."""
    room = source.split("/")[0]
    return within(target, room) or any(within(target, one) for one in ROOMS[room])


def door_allows(source, target):
    """Whether a file of the same room may include a header of another of its folders."""
    folder = str(PurePosixPath(target).parent)
    if source.split("/")[0] != target.split("/")[0] or folder not in DOORS:
        return True
    from_base = "/" not in source.split("/", 1)[1] and source.endswith(".c")
    return within(source, folder) or from_base or PurePosixPath(target).name in DOORS[folder]


def system_allows(source, name):
    room = source.split("/")[0]
    if room == "include":
        return True
    if name in PUBLIC:
        return any(within(source, one) for one in PUBLIC[name])
    return room not in PURE or name.removesuffix(".h") in PURE[room]


def broken_arrows(source, text, exists):
    """The includes of a source file that are not allowed; exists: whether a path from the root is a
    file."""
    folder = str(PurePosixPath(source).parent)
    for quoted, system in INCLUDE.findall(text):
        if system:
            allowed = system_allows(source, system)
        else:
            beside = os.path.normpath(f"{folder}/{quoted}")
            target = beside if exists(beside) else quoted
            # What is in neither place is generated, in the room's build folder.
            allowed = room_allows(source, target) and door_allows(source, target)
        if not allowed:
            yield f"{source} includes {quoted or system}"


def sources():
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.[chl]")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


class Layers(unittest.TestCase):
    def test_the_tree(self):
        files = dict(sources())
        self.assertGreater(len(files), 300)
        broken = [one for source, text in files.items()
                  for one in broken_arrows(source, text, lambda path: (ROOT / path).is_file())]
        self.assertEqual(broken, [])

    def test_each_room_is_known(self):
        listed = (ROOT / "CMakeLists.txt").read_text()
        rooms = set(re.findall(r"^\s*add_subdirectory\((\S+)\)", listed, re.M)) - {"tests"}
        self.assertEqual(rooms, set(ROOMS))

    def test_doors_are_there(self):
        for folder, headers in DOORS.items():
            for header in headers:
                self.assertTrue((ROOT / folder / header).is_file(), f"{folder}/{header}")

    def test_each_rule_can_be_broken(self):
        def check(source, line, allowed):
            broken = list(broken_arrows(source, line, lambda path: (ROOT / path).is_file()))
            self.assertEqual(not broken, allowed, f"{source}: {line}")

        for source, line, allowed in (
                ("libpcsclite/x.c", '#include "wire/wire.h"', True),
                ("libpcsclite/x.c", '#include "pcscd/log.h"', False),
                ("vreader/usb/x.c", '#include "ifd-ccid/bytes.h"', False),
                ("vreader/x.c", '#include "../pcscd/clock.h"', False),
                ("vreader/cards/x.c", '#include "iso7816/t1.h"', False),
                ("ifd-ccid/slot/x.c", '#include "iso7816/t1.h"', True),
                ("ifd-ccid/slot/x.c", '#include "wire/wire.h"', False),
                ("pcscd/x.c", '  #  include "spec/ccid.h"', False),
                ("tools/x.c", '#include "ifd-ccid/port/port.h"', False),
                ("wire/x.c", "#include <sys/socket.h>", False),
                ("iso7816/x.c", "#include <time.h>", False),
                ("ifd-ccid/x.c", "#include <winscard.h>", False),
                ("vreader/x.c", "#include <ifdhandler.h>", False),
                ("pcscd/cards/x.c", '#include "pcscd/readers/driver.h"', True),
                ("pcscd/cards/x.c", '#include "pcscd/readers/bundle.h"', False),
                ("pcscd/readers/x.c", '#include "bundle.h"', True),
                ("pcscd/daemon.c", '#include "pcscd/readers/bundle.h"', True),
                ("pcscd/x.h", '#include "pcscd/readers/bundle.h"', False),
                ("vreader/cards/select.c", '#include "vreader/cards/piv/piv_card.h"', False)):
            check(source, line, allowed)


if __name__ == "__main__":
    unittest.main()
