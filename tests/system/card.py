# SPDX-License-Identifier: BSD-3-Clause
"""A scripted card on the host's side of QEMU's ccid-card-passthru device.

The device and its peer exchange messages of a header, three big-endian u32 (type, reader id, length),
and a body. The reader is TPDU level, T=0 only: what comes as an APDU is a five-byte header with its
data, and the answer is data with a status word, or the status word alone.
"""

import socket
import struct
import threading

INIT, ERROR, READER_ADD, READER_REMOVE, ATR, CARD_REMOVE, APDU = 1, 2, 3, 4, 5, 6, 7
HEADER = struct.Struct(">III")
DEFAULT_ATR = "3B6500004361726457"  # T=0 only; historical bytes "CardW"


class Card:
    """Commands are called by the guest through the host's relay; a thread of its own answers APDUs."""

    def __init__(self, path):
        self.path = path
        self.sock = None

    def card_connect(self):
        """To be called when the device is there: a reader, with no card in it yet. The connection is
        made once: the next device takes it over."""
        if not self.sock:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(self.path)
            threading.Thread(target=self._serve, args=(self.sock,), daemon=True).start()
        self._send(INIT, b"VSCD" + struct.pack(">II", 2, 0))
        self._send(READER_ADD, b"")

    def card_insert(self, atr=DEFAULT_ATR):
        self._send(ATR, bytes.fromhex(atr))

    def card_remove(self):
        self._send(CARD_REMOVE, b"")

    def _send(self, kind, body):
        self.sock.sendall(HEADER.pack(kind, 0, len(body)) + body)

    def _serve(self, sock):
        try:
            with sock.makefile("rb") as file:
                while len(head := file.read(HEADER.size)) == HEADER.size:
                    kind, _, length = HEADER.unpack(head)
                    body = file.read(length)
                    if kind == APDU:
                        answer = respond(body)
                        sock.sendall(HEADER.pack(APDU, 0, len(answer)) + answer)
        except OSError:
            return  # the device or this card was taken away


def respond(command):
    """SELECT works, READ BINARY gives 00 01 02 …, everything else is not supported."""
    instruction, length = command[1:2], command[4:5]
    if instruction == b"\xa4":
        return b"\x90\x00"
    if instruction == b"\xb0" and length:
        return bytes(range(length[0] or 255)) + b"\x90\x00"
    return b"\x6d\x00"
