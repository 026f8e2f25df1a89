# SPDX-License-Identifier: BSD-3-Clause
"""A client that prints each change it is told of, a JSON line each: the time (CLOCK_MONOTONIC, s) and
{reader: state}. It uses the libpcsclite that is installed, and waits for events only."""

import json
import sys
import time

import winscard

LIBRARY = "libpcsclite.so.1"


def main():
    api = winscard.Winscard(LIBRARY)
    rv, context = api.establish()
    if rv != 0:
        sys.exit(f"SCardEstablishContext: {winscard.rv_name(rv)}")
    known = {}
    pnp = 0  # the library's count of comings and goings, in the upper half; handed back to it
    while True:
        rv, names = api.list_readers(context)
        if winscard.rv_name(rv) not in ("SCARD_S_SUCCESS", "SCARD_E_NO_READERS_AVAILABLE"):
            sys.exit(f"SCardListReaders: {winscard.rv_name(rv)}")
        ask = [[name, known.get(name, 0)] for name in names]
        ask.append([winscard.PNP, pnp])
        fresh = any(state == 0 for _, state in ask[:-1])
        rv, got = api.status_change(context, 0 if fresh else 5000, ask)
        if winscard.rv_name(rv) in ("SCARD_S_SUCCESS", "SCARD_E_TIMEOUT"):
            known = {name: event & ~winscard.STATE_CHANGED for name, event, _ in got[:-1]}
            pnp = got[-1][1] & 0xFFFF0000
        elif winscard.rv_name(rv) != "SCARD_E_UNKNOWN_READER":
            sys.exit(f"SCardGetStatusChange: {winscard.rv_name(rv)}")
        known = {name: state for name, state in known.items()
                 if not state & (winscard.STATE_UNKNOWN | winscard.STATE_IGNORE)}
        print(json.dumps([time.monotonic(), known]), flush=True)


main()
