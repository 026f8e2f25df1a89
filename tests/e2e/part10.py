# SPDX-License-Identifier: BSD-3-Clause
"""The structures of PC/SC part 10, and what a PIN block has to be, worked out bit by bit."""

import dataclasses
import struct

BINARY, BCD, ASCII = 0, 1, 2
MAX_SIZE, KEY, TIME = 1, 2, 4
CONFIRM, OLD = 1, 2

VERIFY_DIRECT, MODIFY_DIRECT, READER_DIRECT = 0x42330006, 0x42330007, 0x42330008
PIN_PROPERTIES, DISPLAY_PROPERTIES, TLV_PROPERTIES = 0x4233000A, 0x42330011, 0x42330012
EXECUTE_PACE = 0x42330020
GET_FEATURES, GET_FEATURES_WINDOWS = 0x42000D48, 0x00313520

SW_TIMEOUT, SW_CANCELLED, SW_MISMATCH, SW_LENGTH, SW_STRUCTURE = (
    b"\x64\x00", b"\x64\x01", b"\x64\x02", b"\x64\x03", b"\x6b\x80")


@dataclasses.dataclass
class Format:
    """Where digits and their number go; position and length position in units of 1 or 8 bits."""
    kind: int = ASCII
    right: bool = False
    size: int = 8  # bytes; 0: as needed
    position: int = 0
    position_bytes: bool = True
    length_bits: int = 0
    length_position: int = 0
    length_bytes: bool = False

    def bytes(self):
        return bytes((self.position_bytes << 7 | self.position << 3 | self.right << 2 | self.kind,
            self.length_bits << 4 | self.size, self.length_bytes << 4 | self.length_position))

    @property
    def width(self):
        return 4 if self.kind == BCD else 8

    @property
    def digits_at(self):
        return self.position * (8 if self.position_bytes else 1)

    @property
    def length_at(self):
        return self.length_position * (8 if self.length_bytes else 1)

    @property
    def span(self):
        """Bytes from the first to the end of the block."""
        return (self.digits_at + 8 * self.size + 7) // 8

    def grown(self, digits):
        """Bytes that a PIN adds to the command."""
        return 0 if self.size else (len(digits) * self.width + 7) // 8

    def expected(self, digits, offset=0):
        """The description that the oracle card takes of one PIN."""
        at = 8 * offset + self.digits_at
        if self.right and self.size:
            at += 8 * self.size - len(digits) * self.width
        return struct.pack(">HBBHBB", at, self.width, 0x30 if self.kind == ASCII else 0,
            8 * offset + self.length_at, self.length_bits, len(digits)) + bytes(digits)


def verify(form, apdu, *, timeout=0, fewest=0, most=16, validation=KEY, messages=1, language=0x0409,
        index=0):
    """PIN_VERIFY (part 10 §2.5.2)."""
    return struct.pack("<BB3sBBBBHB3xI", timeout, 0, form.bytes(), most, fewest, validation, messages,
        language, index, len(apdu)) + bytes(apdu)


def modify(form, apdu, *, old=0, new=8, timeout=0, fewest=0, most=16, confirm=CONFIRM | OLD,
        validation=KEY, messages=3, language=0x0409, indexes=(0, 1, 2)):
    """PIN_MODIFY (part 10 §2.5.3)."""
    return struct.pack("<BB3sBBBBBBBHBBB3xI", timeout, 0, form.bytes(), old, new, most, fewest,
        confirm, validation, messages, language, *indexes, len(apdu)) + bytes(apdu)


def parse_features(answer):
    """{feature tag: control code}"""
    return {answer[i]: int.from_bytes(answer[i + 2:i + 6], "big") for i in range(0, len(answer), 6)}


def parse_tlv(answer):
    found = {}
    while answer:
        found[answer[0]] = answer[2:2 + answer[1]]
        answer = answer[2 + answer[1]:]
    return found


class PinPad:
    """The keys and the display of the first reader of a vreader."""

    def __init__(self, vreader):
        self.vreader = vreader

    def keys(self, keys, gap_ms=0):
        self.vreader.ctl("keys", 0, keys, gap_ms)

    def forget_keys(self):
        self.vreader.ctl("keys", 0, "-")

    def prompt(self):
        return self.vreader.ctl("display", 0).splitlines()[0]

    def secure(self):
        """(bMessageType, abData) of the last PC_to_RDR_Secure."""
        kind, data = self.vreader.ctl("secure", 0).split(" ")
        return int(kind, 16), bytes.fromhex(data)
