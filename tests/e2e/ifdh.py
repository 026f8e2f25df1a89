# SPDX-License-Identifier: BSD-3-Clause
"""An IFD handler called directly, without a daemon: ctypes only.

A driver of a sanitised build needs the sanitizer's run-time library to be there before Python itself:
then Python is started again with it. Leaks are not looked for, since Python has its own.
"""

import ctypes
import os
import sys
import time
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_ubyte, c_uint64, c_ulong

import harness

if harness.PRELOAD and harness.PRELOAD not in os.environ.get("LD_PRELOAD", ""):
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ,
        "LD_PRELOAD": harness.PRELOAD, "ASAN_OPTIONS": "detect_leaks=0"})

SUCCESS = 0
COMMUNICATION_ERROR = 612
RESPONSE_TIMEOUT = 613
ICC_PRESENT = 615
ICC_NOT_PRESENT = 616
NO_SUCH_DEVICE = 617
POWER_UP, POWER_DOWN, RESET = 500, 501, 502
TAG_ABORT = 0x0FC0
TAG_POLL = 0x0FB3
TAG_STOP = 0x0FB2

POLL = ctypes.CFUNCTYPE(c_long, c_ulong, c_int)
STOP = ctypes.CFUNCTYPE(c_long, c_ulong)


class IoHeader(ctypes.Structure):
    _fields_ = [("protocol", c_ulong), ("length", c_ulong)]


class Handler:
    """One loaded driver."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(str(path))
        for name, arguments in {
            "IFDHCreateChannelByName": [c_ulong, c_char_p],
            "IFDHCloseChannel": [c_ulong],
            "IFDHGetCapabilities": [c_ulong, c_ulong, POINTER(c_ulong), c_char_p],
            "IFDHSetCapabilities": [c_ulong, c_ulong, c_ulong, c_char_p],
            "IFDHSetProtocolParameters": [c_ulong, c_ulong] + 4 * [c_ubyte],
            "IFDHPowerICC": [c_ulong, c_ulong, c_char_p, POINTER(c_ulong)],
            "IFDHTransmitToICC": [c_ulong, IoHeader, c_char_p, c_ulong, c_char_p,
                POINTER(c_ulong), POINTER(IoHeader)],
            "IFDHControl": [c_ulong, c_ulong, c_char_p, c_ulong, c_char_p, c_ulong,
                POINTER(c_ulong)],
            "IFDHICCPresence": [c_ulong],
            "IFDHCardwireRecording": [c_char_p, POINTER(c_uint64), c_int, c_char_p,
                POINTER(c_ulong)],
        }.items():
            function = getattr(self.lib, name)
            function.restype = c_long
            function.argtypes = arguments


def recording(handler, device):
    """What our driver has recorded of a device so far, as text."""
    text = ctypes.create_string_buffer(1 << 20)
    length = c_ulong(len(text))
    handler.lib.IFDHCardwireRecording(str(device).encode(), byref(c_uint64(0)), 0, text,
        byref(length))
    return text.raw[: length.value].decode()


class Slot:
    """One Lun. Methods return the driver's code, or (code, bytes)."""

    def __init__(self, handler, lun, device):
        self.lib = handler.lib
        self.lun = lun
        self.opened = self.lib.IFDHCreateChannelByName(lun, str(device).encode())

    def close(self):
        return self.lib.IFDHCloseChannel(self.lun)

    def presence(self):
        return self.lib.IFDHICCPresence(self.lun)

    def await_presence(self, state):
        """Polls, as hosts do, until that is what the slot says."""
        deadline = time.monotonic() + harness.CALL_S
        while (seen := self.presence()) != state:
            if time.monotonic() > deadline:
                raise AssertionError(f"presence {seen}, not {state}")
            self.poll(100)

    def power(self, action=POWER_UP):
        atr = ctypes.create_string_buffer(33)
        length = c_ulong(33)
        code = self.lib.IFDHPowerICC(self.lun, action, atr, byref(length))
        return code, atr.raw[: length.value]

    def set_protocol(self, protocol):
        return self.lib.IFDHSetProtocolParameters(self.lun, 1 << protocol, 0, 0, 0, 0)

    def transmit(self, command, protocol=1):
        answer = ctypes.create_string_buffer(65548)
        length = c_ulong(len(answer))
        header = IoHeader(protocol, ctypes.sizeof(IoHeader))
        code = self.lib.IFDHTransmitToICC(self.lun, header, bytes(command), len(command), answer,
            byref(length), byref(IoHeader()))
        return code, answer.raw[: length.value]

    def control(self, number, data=b""):
        answer = ctypes.create_string_buffer(65548)
        length = c_ulong(0)
        code = self.lib.IFDHControl(self.lun, number, data, len(data), answer, len(answer),
            byref(length))
        return code, answer.raw[: length.value]

    def get(self, tag, room=256):
        value = ctypes.create_string_buffer(room)
        length = c_ulong(room)
        code = self.lib.IFDHGetCapabilities(self.lun, tag, byref(length), value)
        return code, value.raw[: length.value]

    def set(self, tag, value=b"\x01"):
        return self.lib.IFDHSetCapabilities(self.lun, tag, len(value), value)

    def poll(self, timeout_ms):
        """Calls the driver's polling function."""
        _, pointer = self.get(TAG_POLL)
        return POLL(int.from_bytes(pointer, "little"))(self.lun, timeout_ms)

    def stop_poll(self):
        _, pointer = self.get(TAG_STOP)
        return STOP(int.from_bytes(pointer, "little"))(self.lun)
