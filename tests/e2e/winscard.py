# SPDX-License-Identifier: BSD-3-Clause
"""The WinSCard API of one libpcsclite, by ctypes. One process can hold one library only, since a
library reads PCSCLITE_CSOCK_NAME once; see worker.py for a process of its own per client."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_long, c_ubyte, c_ulong, c_void_p

MAX_ATR_SIZE = 33
MAX_BUFFER_SIZE_EXTENDED = 65548
INFINITE = 0xFFFFFFFF

SCOPE_SYSTEM = 2
SHARE_EXCLUSIVE, SHARE_SHARED, SHARE_DIRECT = 1, 2, 3
PROTOCOL_T0, PROTOCOL_T1, PROTOCOL_RAW, PROTOCOL_ANY = 1, 2, 4, 3
LEAVE, RESET, UNPOWER, EJECT = 0, 1, 2, 3

STATE_UNAWARE, STATE_IGNORE, STATE_CHANGED, STATE_UNKNOWN = 0, 1, 2, 4
STATE_UNAVAILABLE, STATE_EMPTY, STATE_PRESENT = 0x8, 0x10, 0x20
STATE_EXCLUSIVE, STATE_INUSE, STATE_MUTE = 0x80, 0x100, 0x200

STATUS_ABSENT, STATUS_PRESENT, STATUS_POWERED, STATUS_NEGOTIABLE = 0x02, 0x04, 0x10, 0x20

PNP = r"\\?PnP?\Notification"
ATTR_ATR_STRING = 0x00090303
ATTR_VENDOR_NAME = 0x00010100
ATTR_DEVICE_FRIENDLY_NAME = 0x7FFF0003
GET_FEATURE_REQUEST = 0x42000D48

_CODES = {
    0x00: "SCARD_S_SUCCESS", 0x01: "SCARD_F_INTERNAL_ERROR", 0x02: "SCARD_E_CANCELLED",
    0x03: "SCARD_E_INVALID_HANDLE", 0x04: "SCARD_E_INVALID_PARAMETER",
    0x05: "SCARD_E_INVALID_TARGET", 0x06: "SCARD_E_NO_MEMORY", 0x08: "SCARD_E_INSUFFICIENT_BUFFER",
    0x09: "SCARD_E_UNKNOWN_READER", 0x0A: "SCARD_E_TIMEOUT", 0x0B: "SCARD_E_SHARING_VIOLATION",
    0x0C: "SCARD_E_NO_SMARTCARD", 0x0F: "SCARD_E_PROTO_MISMATCH", 0x10: "SCARD_E_NOT_READY",
    0x11: "SCARD_E_INVALID_VALUE", 0x13: "SCARD_F_COMM_ERROR", 0x15: "SCARD_E_INVALID_ATR",
    0x16: "SCARD_E_NOT_TRANSACTED", 0x17: "SCARD_E_READER_UNAVAILABLE",
    0x1D: "SCARD_E_NO_SERVICE", 0x1E: "SCARD_E_SERVICE_STOPPED",
    0x1F: "SCARD_E_UNSUPPORTED_FEATURE", 0x2E: "SCARD_E_NO_READERS_AVAILABLE",
    0x66: "SCARD_W_UNRESPONSIVE_CARD", 0x67: "SCARD_W_UNPOWERED_CARD",
    0x68: "SCARD_W_RESET_CARD", 0x69: "SCARD_W_REMOVED_CARD",
    0x6A: "SCARD_W_SECURITY_VIOLATION",
}


def rv_name(code):
    """The name of a return code, or its number."""
    code &= 0xFFFFFFFF
    if code == 0:
        return _CODES[0]
    if code >> 16 == 0x8010:
        return _CODES.get(code & 0xFFFF, hex(code))
    return hex(code)


class ReaderState(ctypes.Structure):
    _fields_ = [("szReader", c_char_p), ("pvUserData", c_void_p), ("dwCurrentState", c_ulong),
                ("dwEventState", c_ulong), ("cbAtr", c_ulong), ("rgbAtr", c_ubyte * MAX_ATR_SIZE)]


class IoRequest(ctypes.Structure):
    _fields_ = [("dwProtocol", c_ulong), ("cbPciLength", c_ulong)]


_PROTOTYPES = {
    "SCardEstablishContext": [c_ulong, c_void_p, c_void_p, POINTER(c_long)],
    "SCardReleaseContext": [c_long],
    "SCardIsValidContext": [c_long],
    "SCardCancel": [c_long],
    "SCardConnect": [c_long, c_char_p, c_ulong, c_ulong, POINTER(c_long), POINTER(c_ulong)],
    "SCardReconnect": [c_long, c_ulong, c_ulong, c_ulong, POINTER(c_ulong)],
    "SCardDisconnect": [c_long, c_ulong],
    "SCardBeginTransaction": [c_long],
    "SCardEndTransaction": [c_long, c_ulong],
    "SCardStatus": [c_long, c_void_p, POINTER(c_ulong), POINTER(c_ulong), POINTER(c_ulong),
                    c_void_p, POINTER(c_ulong)],
    "SCardGetStatusChange": [c_long, c_ulong, c_void_p, c_ulong],
    "SCardControl": [c_long, c_ulong, c_char_p, c_ulong, c_void_p, c_ulong, POINTER(c_ulong)],
    "SCardTransmit": [c_long, POINTER(IoRequest), c_char_p, c_ulong, POINTER(IoRequest), c_void_p,
                      POINTER(c_ulong)],
    "SCardListReaderGroups": [c_long, c_void_p, POINTER(c_ulong)],
    "SCardListReaders": [c_long, c_char_p, c_void_p, POINTER(c_ulong)],
    "SCardGetAttrib": [c_long, c_ulong, c_void_p, POINTER(c_ulong)],
    "SCardSetAttrib": [c_long, c_ulong, c_char_p, c_ulong],
}


class Winscard:
    """Each method returns (return code, value), the value being JSON-able."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        for name, arguments in _PROTOTYPES.items():
            function = getattr(self.lib, name)
            function.argtypes = arguments
            function.restype = c_long
        self.protocols = {}

    def stringify(self, code):
        self.lib.pcsc_stringify_error.argtypes = [c_long]
        self.lib.pcsc_stringify_error.restype = c_char_p
        return 0, self.lib.pcsc_stringify_error(code).decode()

    def establish(self, scope=SCOPE_SYSTEM):
        context = c_long(0)
        rv = self.lib.SCardEstablishContext(scope, None, None, byref(context))
        return rv, context.value

    def release(self, context):
        return self.lib.SCardReleaseContext(context), None

    def is_valid(self, context):
        return self.lib.SCardIsValidContext(context), None

    def cancel(self, context):
        return self.lib.SCardCancel(context), None

    def _multi_string(self, call):
        """Asks for the length, then for the strings; again if one was added in between."""
        while True:
            length = c_ulong(0)
            rv = call(None, byref(length))
            if rv != 0:
                return rv, []
            buffer = ctypes.create_string_buffer(max(length.value, 1))
            rv = call(buffer, byref(length))
            if rv_name(rv) != "SCARD_E_INSUFFICIENT_BUFFER":
                parts = buffer.raw[:length.value].split(b"\0")
                return rv, [p.decode() for p in parts if p] if rv == 0 else []

    def list_readers(self, context):
        return self._multi_string(
            lambda b, n: self.lib.SCardListReaders(context, None, b, n))

    def list_groups(self, context):
        return self._multi_string(lambda b, n: self.lib.SCardListReaderGroups(context, b, n))

    def connect(self, context, reader, share=SHARE_SHARED, protocols=PROTOCOL_ANY):
        handle, active = c_long(0), c_ulong(0)
        rv = self.lib.SCardConnect(context, reader.encode(), share, protocols, byref(handle),
                                   byref(active))
        if rv == 0:
            self.protocols[handle.value] = active.value
        return rv, {"handle": handle.value, "protocol": active.value}

    def reconnect(self, handle, share=SHARE_SHARED, protocols=PROTOCOL_ANY, initialization=LEAVE):
        active = c_ulong(0)
        rv = self.lib.SCardReconnect(handle, share, protocols, initialization, byref(active))
        if rv == 0:
            self.protocols[handle] = active.value
        return rv, {"protocol": active.value}

    def disconnect(self, handle, disposition=LEAVE):
        return self.lib.SCardDisconnect(handle, disposition), None

    def begin(self, handle):
        return self.lib.SCardBeginTransaction(handle), None

    def end(self, handle, disposition=LEAVE):
        return self.lib.SCardEndTransaction(handle, disposition), None

    def status(self, handle):
        name = ctypes.create_string_buffer(256)
        name_length, state, protocol = c_ulong(256), c_ulong(0), c_ulong(0)
        atr, atr_length = ctypes.create_string_buffer(MAX_ATR_SIZE), c_ulong(MAX_ATR_SIZE)
        rv = self.lib.SCardStatus(handle, name, byref(name_length), byref(state), byref(protocol),
                                  atr, byref(atr_length))
        return rv, {"reader": name.value.decode(), "state": state.value & 0xFFFF,
                    "protocol": protocol.value, "atr": atr.raw[:atr_length.value].hex()}

    def transmit(self, handle, command, maximum=MAX_BUFFER_SIZE_EXTENDED):
        """Sends the command (hex); the value is the whole answer, status word included (hex)."""
        data = bytes.fromhex(command)
        pci = IoRequest(self.protocols.get(handle, PROTOCOL_T1), ctypes.sizeof(IoRequest))
        buffer, length = ctypes.create_string_buffer(max(maximum, 1)), c_ulong(maximum)
        rv = self.lib.SCardTransmit(handle, byref(pci), data, len(data), None, buffer,
                                    byref(length))
        return rv, buffer.raw[:length.value].hex() if rv == 0 else length.value

    def control(self, handle, code, data="", maximum=MAX_BUFFER_SIZE_EXTENDED):
        send = bytes.fromhex(data)
        buffer, length = ctypes.create_string_buffer(max(maximum, 1)), c_ulong(0)
        rv = self.lib.SCardControl(handle, code, send, len(send), buffer, maximum, byref(length))
        return rv, buffer.raw[:length.value].hex() if rv == 0 else length.value

    def attrib(self, handle, identifier):
        buffer, length = ctypes.create_string_buffer(264), c_ulong(264)
        rv = self.lib.SCardGetAttrib(handle, identifier, buffer, byref(length))
        return rv, buffer.raw[:length.value].hex() if rv == 0 else length.value

    def set_attrib(self, handle, identifier, data):
        value = bytes.fromhex(data)
        return self.lib.SCardSetAttrib(handle, identifier, value, len(value)), None

    def status_change(self, context, timeout, states):
        """states: [[reader, current state]…]; the value: [[reader, event state, ATR]…]."""
        array = (ReaderState * max(len(states), 1))()
        for entry, (reader, current) in zip(array, states):
            entry.szReader = reader.encode()
            entry.dwCurrentState = current
        rv = self.lib.SCardGetStatusChange(context, timeout, array, len(states))
        return rv, [[reader, entry.dwEventState, bytes(entry.rgbAtr[:entry.cbAtr]).hex()]
                    for entry, (reader, _) in zip(array, states)]
