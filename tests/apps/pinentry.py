#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A pinentry (Assuan on standard input and output) that knows the PINs of a test's card. It reads
them from the file "pins" in GNUPGHOME, a line each: USER, ADMIN, CODE, then what a new one becomes."""

import os
import pathlib
import urllib.parse


def choose(text, pins):
    """The PIN that gpg asks for in words."""
    if "New" in text or "Repeat" in text:
        return pins[3]
    if "Reset" in text:
        return pins[2]
    return pins[1] if "Admin" in text else pins[0]


def main():
    pins = (pathlib.Path(os.environ["GNUPGHOME"]) / "pins").read_text().split("\n")
    asked = {"SETDESC": "", "SETPROMPT": ""}
    refused = False  # it would ask for ever
    print("OK ready", flush=True)
    while True:
        try:
            command, _, rest = input().partition(" ")
        except EOFError:
            return
        if command in asked:
            asked[command] = urllib.parse.unquote(rest)
        if command == "SETERROR":
            refused = True
        if command == "GETPIN" and refused:
            print("ERR 83886179 cancelled", flush=True)
            continue
        if command == "GETPIN":
            print("D", choose(asked["SETPROMPT"] + asked["SETDESC"], pins))
        if command == "GETINFO":
            print("D", os.getpid() if rest == "pid" else "test")
        print("OK", flush=True)
        if command == "BYE":
            return


main()
