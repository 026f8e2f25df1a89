# SPDX-License-Identifier: BSD-3-Clause
"""A client that speaks the socket protocol by itself, in any of its dialects, as containers and
pure-Go programs do. Written from the protocol's description, without our wire/."""

import socket
import struct

READER_STATE_BYTES = 184
ARRAY_ENTRIES = 16

ESTABLISH, RELEASE, CONNECT, DISCONNECT = 0x01, 0x02, 0x04, 0x06
BEGIN, END, TRANSMIT, STATUS, CANCEL = 0x07, 0x08, 0x09, 0x0B, 0x0D
VERSION, GET_STATES, WAIT, STOP = 0x11, 0x12, 0x13, 0x14
GET_EVENTS, GET_SIZE, GET_ARRAY = 0x15, 0x16, 0x17


class RawClient:
    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.minor = None
        self.context = 0

    def close(self):
        self.socket.close()

    def send(self, command, body=b"", raw=b""):
        self.socket.sendall(struct.pack("=II", len(body), command) + body + raw)

    def receive(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise ConnectionError("the daemon closed the connection")
            data += part
        return data

    def silent(self, seconds):
        """Whether nothing arrives for so long."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(before)

    def call(self, command, layout, *fields):
        """A request whose reply is the same structure; its fields."""
        body = struct.pack("=" + layout, *fields)
        self.send(command, body)
        return struct.unpack("=" + layout, self.receive(len(body)))

    def version(self, minor, major=4):
        """(major, minor, rv) of the reply."""
        self.minor = minor
        return self.call(VERSION, "iiI", major, minor, 0)

    def establish(self):
        _, self.context, rv = self.call(ESTABLISH, "III", 2, 0, 0)
        return rv

    def connect(self, reader, share=2, protocols=3):
        """(hCard, dwActiveProtocol, rv)."""
        return self.call(CONNECT, "I128sIIiII", self.context, reader.encode(), share, protocols, 0,
                         0, 0)[4:]

    def transmit(self, card, protocol, command, maximum=65548):
        """(rv, answer)."""
        self.send(TRANSMIT, struct.pack("=i7I", card, protocol, 16, len(command), 3, 16, maximum,
                                        0), command)
        reply = struct.unpack("=i7I", self.receive(32))
        return reply[7], self.receive(reply[6]) if reply[7] == 0 else b""

    def begin(self, card):
        return self.call(BEGIN, "iI", card, 0)[1]

    def end(self, card, disposition=0):
        return self.call(END, "iII", card, disposition, 0)[2]

    def status(self, card):
        return self.call(STATUS, "iI", card, 0)[1]

    def disconnect(self, card, disposition=0):
        return self.call(DISCONNECT, "iII", card, disposition, 0)[2]

    def _states(self, count):
        return [parse_state(self.receive(READER_STATE_BYTES)) for _ in range(count)]

    def states(self):
        """All slots, as this dialect asks for them."""
        if self.minor < 6:
            self.send(GET_STATES)
            return self._states(ARRAY_ENTRIES)
        self.send(GET_SIZE)
        size, = struct.unpack("=i", self.receive(4))
        self.send(GET_ARRAY)
        return self._states(size)

    def wait(self):
        """Registers for one notification; the states that go with it, by dialect."""
        if self.minor == 3:
            self.send(WAIT, struct.pack("=II", 0, 0))
            return self.states()
        self.send(WAIT)
        return self._states(ARRAY_ENTRIES) if self.minor < 6 else self.states()

    def stop(self):
        self.send(STOP, struct.pack("=II", 0, 0) if self.minor == 3 else b"")

    def notification(self):
        """rv of the notification that a registration brings."""
        timeout, rv = struct.unpack("=II", self.receive(8))
        if timeout != 0:
            raise ValueError(f"no notification: {timeout:#x} {rv:#x}")
        return rv

    def events(self):
        """The counter of readers that came and went (since 4:5)."""
        self.send(GET_EVENTS)
        return struct.unpack("=II", self.receive(8))[0]


def parse_state(data):
    name, counter, state, sharing, atr, length, protocol = struct.unpack("=128sIIi33s3xII", data)
    return {"name": name.split(b"\0")[0].decode(), "counter": counter, "state": state,
            "sharing": sharing, "atr": atr[:min(length, 33)].hex(), "atr_length": length,
            "protocol": protocol}
