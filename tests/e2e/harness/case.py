# SPDX-License-Identifier: BSD-3-Clause
"""The test case that has a folder and programs of its own, and says what failed."""

import atexit
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

import winscard
from harness.client import Client
from harness.places import CCID_LIBRARY, LIBRARIES, needs_debian
from harness.servers import Pcscd, VReader, reader_entry


def with_each_library(mixin):
    """Makes a test case of the mixin for our library and one for Debian's."""
    module = sys.modules[mixin.__module__]
    for name, library in LIBRARIES.items():
        case = type(mixin.__name__ + name.capitalize(), (mixin, CardwireTest), {
            "library": name, "__module__": mixin.__module__, "__doc__": mixin.__doc__})
        setattr(module, case.__name__, needs_debian(library)(case))
    return mixin


_failed = []


@atexit.register
def _name_failed():
    """What failed, and why, in the last lines of a test's output: a reader may see no more of it."""
    for line in _failed:
        print(line, file=sys.stderr)


def _faults(result):
    return [*result.failures, *result.errors] if result else []


def _cause(trace):
    """The line of a traceback that says what went wrong, after the last line of a test it came by."""
    place, cause = "", ""
    for line in trace.splitlines():
        if match := re.match(r'  File "(?:.*/)?([^/"]+)", line (\d+)', line):
            cause = ""
            if match[1].startswith("test_"):
                place = f"{match[1]}:{match[2]}: "
        elif not cause and re.match(r"[\w.]+(: |$)", line):
            cause = line
    return (place + cause)[:400]


class CardwireTest(unittest.TestCase):
    """A test with a temporary folder of its own; what its programs printed is shown if it fails."""

    def setUp(self):
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="cardwire-e2e-"))
        self.programs = []
        self.addCleanup(shutil.rmtree, self.tmp)

    def run(self, result=None):
        self.programs = []
        before = _faults(result)
        super().run(result)
        fresh = [fault for fault in _faults(result) if fault not in before]
        for program in self.programs if fresh else ():
            if program.lines:
                print(f"--- {program.name} (pid {program.pid}) of {self.id()}:\n"
                    + "\n".join(program.lines[-200:]), file=sys.stderr)
        _failed.extend(f"FAILED {test.id()}: {_cause(trace)}" for test, trace in fresh)

    def present(self, client, context, reader):
        """Waits for the card and connects to it; the handle."""
        client.wait_state(context, reader, winscard.STATE_PRESENT)
        return client.connect(context, reader)["handle"]

    def stack(self, library="ours", reader="Virtual", daemon_options=(), **options):
        """vreader, our daemon and one client: (vreader, daemon, client, context, reader name)."""
        vreader = VReader(self, **options)
        daemon = Pcscd(self, reader_entry(reader, vreader.device(), CCID_LIBRARY), daemon_options)
        client = Client(self, daemon, library)
        return vreader, daemon, client, client.establish(), f"{reader} 00 00"
