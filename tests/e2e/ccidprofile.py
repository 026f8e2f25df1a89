# SPDX-License-Identifier: BSD-3-Clause
"""Descriptors of made-up readers in the form vreader reads: see PROFILES in vreader(1)."""

import json
import struct

TPDU, SHORT_APDU, EXTENDED_APDU = 0x00010000, 0x00020000, 0x00040000
# Voltage, clock, baud rate and parameters are the reader's choice; NAD and IFSD too.
AUTOMATIC = 0x000000FA
AUTO_IFSD = 0x00000400


def interface(number=0, slots=1, busy=1, features=SHORT_APDU | AUTOMATIC, message=271,
        endpoints=3, protocols=3, **more):
    """One interface of the one device that a profile describes (CCID 1.1 §5.1)."""
    descriptor = struct.pack("<BBHBBIIIBIIBIIIIIBBHBB", 54, 0x21, 0x0110, slots - 1, 7,
        protocols, 4000, 4000, 0, 10753, 344086, 0, 254, 0, 0, features, message, 0xFF, 0xFF, 0, 0, busy)
    assert len(descriptor) == 54, len(descriptor)
    return {"file": "made-up", "vid": "1209", "pid": "0001", "bcdDevice": "0100",
        "iManufacturer": "Cardwire", "iProduct": "Made-up", "iInterface": None,
        "interface": {"bInterfaceNumber": number, "bInterfaceClass": 11, "bInterfaceSubClass": 0,
            "bInterfaceProtocol": 0, "bNumEndpoints": endpoints},
        "ccid_descriptor_hex": descriptor.hex(), **more}


def usb_icc(version):
    """A card with a USB plug, spoken to by the control pipe: ICCD version A (1) or B (2)."""
    profile = interface(features=0x840 | (EXTENDED_APDU if version == 2 else TPDU), endpoints=0)
    profile["interface"]["bInterfaceProtocol"] = version
    return profile


def write(path, *interfaces):
    path.write_text(json.dumps(interfaces))
    return path
