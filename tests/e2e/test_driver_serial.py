# SPDX-License-Identifier: BSD-3-Clause
"""Our driver with a reader on a serial line, which a thread plays behind a pseudo-terminal."""

import functools
import operator
import os
import pty
import select
import threading
import time
import tty
import unittest

import harness
import ifdh

ATR = bytes.fromhex("3B00")
XFR, POWER_ON, POWER_OFF, STATUS, PARAMETERS, ESCAPE = 0x6F, 0x62, 0x63, 0x65, 0x61, 0x6B
ANSWERS = {XFR: 0x80, POWER_ON: 0x80, POWER_OFF: 0x81, STATUS: 0x81, PARAMETERS: 0x82,
    ESCAPE: 0x83, 0x72: 0x81}
HEADER = 10


def frame(message):
    whole = b"\x03\x06" + message
    return whole + bytes([functools.reduce(operator.xor, whole)])


class SerialReader:
    """A reader with a T=0 card. `faults` are functions of an answer's frame that return what is sent
    in its place, one for each XfrBlock from now on."""

    def __init__(self, test, echo=False, silent=False):
        self.echo = echo
        self.silent = silent
        self.card = True
        self.powered = False
        self.faults = []
        self.commands = []
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self.slave = slave
        self.wake = os.pipe()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        test.addCleanup(self.hang_up)

    def hang_up(self):
        if self.slave is not None:
            os.write(self.wake[1], b"x")
            self.thread.join()
            for fd in (self.slave, self.master, *self.wake):
                os.close(fd)
            self.slave = None

    def read(self, count):
        data = b""
        while len(data) < count:
            ready, _, _ = select.select([self.master, self.wake[0]], [], [])
            if self.wake[0] in ready:
                raise EOFError
            data += os.read(self.master, count - len(data))
        return data

    def run(self):
        try:
            while True:
                start = self.read(2 + HEADER)
                length = int.from_bytes(start[3:7], "little")
                rest = self.read(length + 1)
                if self.silent:
                    continue
                whole = start + rest
                if self.echo:
                    os.write(self.master, whole)
                assert functools.reduce(operator.xor, whole) == 0
                self.answer(whole, whole[2:-1])
        except EOFError:
            pass

    def answer(self, whole, message):
        kind, slot, seq = message[0], message[5], message[6]
        self.commands.append(kind)
        data, refused = self.act(kind, message[HEADER:])
        status = (0 if self.powered else 1) if self.card else 2
        answer = self.around(bytes([ANSWERS[kind]]) + len(data).to_bytes(4, "little")
            + bytes([slot, seq, status | (0x40 if refused else 0), 0xFE if refused else 0, 0])
            + data)
        if kind == XFR and self.faults:
            answer = self.faults.pop(0)(answer)
        os.write(self.master, answer)

    @staticmethod
    def around(message):
        return frame(message)

    def act(self, kind, data):
        if kind == ESCAPE:
            return b"Reader", False
        if kind in (POWER_ON, XFR) and not self.card:
            return b"", True
        if kind == POWER_ON:
            self.powered = True
            return ATR, False
        if kind == POWER_OFF:
            self.powered = False
        if kind == PARAMETERS:
            return data, False
        if kind == XFR:
            return self.card_tpdu(data), False
        return b"", False

    @staticmethod
    def card_tpdu(tpdu):
        """INS ED: P3 bytes that count up; anything else is well."""
        if tpdu[1] == 0xED:
            return bytes(range(tpdu[4] or 256)) + b"\x90\x00"
        return b"\x90\x00"


class BareReader(SerialReader):
    """The same behind a device file that moves whole messages, one a read."""

    def run(self):
        try:
            while True:
                header = self.read(HEADER)
                message = header + self.read(int.from_bytes(header[1:5], "little"))
                self.answer(message, message)
        except EOFError:
            pass

    @staticmethod
    def around(message):
        return message


GET = bytes.fromhex("80ED000020")
RIGHT = (ifdh.SUCCESS, bytes(range(32)) + b"\x90\x00")
NAK = b"\x03\x15\x16"


class DriverSerial(harness.CardwireTest):
    def setUp(self):
        super().setUp()
        self.handler = ifdh.Handler(harness.CCID_LIBRARY)

    def connect(self, reader, model=":GemPCTwin", lun=0):
        slot = ifdh.Slot(self.handler, lun, reader.path + model)
        self.assertEqual(slot.opened, ifdh.SUCCESS)
        self.addCleanup(slot.close)
        self.assertEqual(slot.presence(), ifdh.ICC_PRESENT)
        self.assertEqual(slot.power(), (ifdh.SUCCESS, ATR))
        self.assertEqual(slot.set_protocol(0), ifdh.SUCCESS)
        return slot

    def test_models(self):
        for model in ("", ":GemPCTwin", ":gempcpinpad", ":GemCorePOSPro", ":GemCoreSIMPro",
                ":GemCoreSIMPro2", ":SEC1210", ":SEC1210UR2", ":SEC1210URT"):
            for echo in (False, True):
                with self.subTest(model=model, echo=echo):
                    reader = SerialReader(self, echo)
                    slot = self.connect(reader, model)
                    self.assertEqual(slot.transmit(GET, 0), RIGHT)
                    slot.close()
                    reader.hang_up()

    def test_messages_as_they_are(self):
        """A PCMCIA reader's device file: no serial line, and no frames."""
        slot = self.connect(reader := BareReader(self), ":CardMan4040")
        for length in (1, 32, 256):
            self.assertEqual(slot.transmit(GET[:4] + bytes([length & 0xFF]), 0),
                (ifdh.SUCCESS, bytes(range(length)) + b"\x90\x00"))
        # All else is the reader's business.
        self.assertNotIn(PARAMETERS, reader.commands)
        reader.faults = [lambda answer: answer[:1] + b"\xff\xff\xff\xff" + answer[5:]]
        self.assertNotEqual(slot.transmit(GET, 0)[0], ifdh.SUCCESS)
        self.assertEqual(slot.transmit(GET, 0), RIGHT)

    def test_unknown_model(self):
        slot = ifdh.Slot(self.handler, 0, SerialReader(self).path + ":NoSuchReader")
        self.assertEqual(slot.opened, ifdh.NO_SUCH_DEVICE)

    def test_nobody_there(self):
        start = time.monotonic()
        slot = ifdh.Slot(self.handler, 0, SerialReader(self, silent=True).path)
        self.assertEqual(slot.opened, ifdh.NO_SUCH_DEVICE)
        self.assertLess(time.monotonic() - start, harness.bound(4))

    def test_no_serial_port(self):
        for path in ("/dev/null", "/nonexistent"):
            self.assertEqual(ifdh.Slot(self.handler, 0, path).opened, ifdh.NO_SUCH_DEVICE)

    def test_lengths(self):
        slot = self.connect(SerialReader(self, echo=True))
        for length in (1, 254, 255, 256):
            self.assertEqual(slot.transmit(GET[:4] + bytes([length & 0xFF]), 0),
                (ifdh.SUCCESS, bytes(range(length)) + b"\x90\x00"))
        for length in (1, 254, 255):
            self.assertEqual(slot.transmit(bytes.fromhex("80EE0000") + bytes([length])
                + bytes(length), 0), (ifdh.SUCCESS, b"\x90\x00"))

    def test_in_the_way(self):
        """What may stand before an answer doesn't harm it."""
        slot = self.connect(reader := SerialReader(self))
        for name, fault in {
            "event": lambda answer: b"\x50\x02\x50\x03" + answer,
            "time": lambda answer: b"\x80\xFF" + answer,
            "noise": lambda answer: b"\x00\x07\x03\x03" + answer[1:],
            "stale": lambda answer: frame(bytes([0x80, 0, 0, 0, 0, 0, answer[8] ^ 1, 0, 0, 0]))
                + answer,
        }.items():
            with self.subTest(name):
                reader.faults = [fault]
                self.assertEqual(slot.transmit(GET, 0), RIGHT)

    def test_refused(self):
        slot = self.connect(reader := SerialReader(self, echo=True))
        reader.faults = 3 * [lambda answer: NAK]
        before = reader.commands.count(XFR)
        self.assertEqual(slot.transmit(GET, 0), RIGHT)
        self.assertEqual(reader.commands.count(XFR) - before, 4)
        reader.faults = 4 * [lambda answer: NAK]
        self.assertEqual(slot.transmit(GET, 0)[0], ifdh.COMMUNICATION_ERROR)
        self.assertEqual(slot.transmit(GET, 0), RIGHT)

    def test_damaged(self):
        slot = self.connect(reader := SerialReader(self))
        for name, fault in {
            "lrc": lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]),
            "length": lambda answer: answer[:3] + b"\xff\xff\xff\xff" + answer[7:],
            "nak": lambda answer: b"\x03\x15\x17",
        }.items():
            with self.subTest(name):
                reader.faults = [fault]
                self.assertEqual(slot.transmit(GET, 0)[0], ifdh.COMMUNICATION_ERROR)
                self.assertEqual(slot.transmit(GET, 0), RIGHT)

    def test_card_leaves(self):
        slot = self.connect(reader := SerialReader(self))
        reader.card = reader.powered = False
        self.assertEqual(slot.presence(), ifdh.ICC_NOT_PRESENT)
        reader.card = True
        self.assertEqual(slot.presence(), ifdh.ICC_PRESENT)
        self.assertEqual(slot.power(), (ifdh.SUCCESS, ATR))

    def test_line_ends(self):
        slot = self.connect(reader := SerialReader(self))
        reader.hang_up()
        self.assertEqual(slot.presence(), ifdh.NO_SUCH_DEVICE)
        self.assertEqual(slot.transmit(GET, 0)[0], ifdh.NO_SUCH_DEVICE)

    def test_slots(self):
        reader = SerialReader(self)
        first = self.connect(reader, ":GemCoreSIMPro", 0)
        second = self.connect(reader, ":GemCoreSIMPro", 1)
        self.assertEqual(first.transmit(GET, 0), RIGHT)
        self.assertEqual(second.transmit(GET, 0), RIGHT)
        third = ifdh.Slot(self.handler, 2, reader.path + ":GemCoreSIMPro")
        self.assertNotEqual(third.opened, ifdh.SUCCESS)



if __name__ == "__main__":
    unittest.main()
