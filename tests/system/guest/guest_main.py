# SPDX-License-Identifier: BSD-3-Clause
"""Runs inside the guest: the test modules in the order below, the verdict into result.json."""

import json
import os
import re
import sys
import time
import unittest
from pathlib import Path

SHARE = Path(__file__).resolve().parent
# By guest, in this order: what exchanges packages or needs none, and what needs ours, about half of the time
# each.
MODULES = {
    "debian": ["test_foreign", "test_ours", "test_libusb", "test_nfc", "test_packages", "test_latency",
               "test_removal"],
    "ours": ["test_service", "test_access", "test_doctor", "test_readers", "test_suspend"],
}
# Those that neither measure time nor take minutes, about half of the time each, too.
QUICK = {
    "debian": ["test_foreign", "test_ours", "test_libusb", "test_nfc", "test_access"],
    "ours": ["test_service", "test_doctor"],
}


class Result(unittest.TextTestResult):
    """Counts what passed, which unittest does not, and says at once how long a test took and why it failed:
    the guest may not live to see the end."""

    passed = 0
    seconds = {}  # by module; preparations count for the test behind them
    last = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        module = type(test).__module__
        now = time.monotonic()
        Result.seconds[module] = Result.seconds.get(module, 0) + now - Result.last
        Result.last = now

    def addSuccess(self, test):
        self.stream.write(f"{time.monotonic() - Result.last:.1f} s ")
        super().addSuccess(test)
        Result.passed += 1

    def addError(self, test, err):
        super().addError(test, err)
        self.stream.writeln(self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.stream.writeln(self.failures[-1][1])

    def printErrors(self):
        """They have been."""


def cause(trace):
    """The line of a traceback that says what went wrong first."""
    return next((line for line in trace.splitlines() if re.match(r"[\w.]+(Error|Expired|Exception)\b", line)), "")


def main():
    sys.path.insert(0, str(SHARE))
    options = json.loads((SHARE / "options.json").read_text())
    patterns = options["patterns"]
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [p if "*" in p else f"*{p}*" for p in patterns]
    known = sorted(name for names in MODULES.values() for name in names)
    assert known == sorted(path.stem for path in SHARE.glob("test_*.py")), "MODULES is not complete"
    names = (QUICK if options["quick"] else MODULES)[options["guest"]]
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(loader.loadTestsFromNames(names))
    verdict = {
        "passed": Result.passed,
        "failed": len(result.failures) + len(result.errors),
        "skipped": len(result.skipped),
        "failures": [f"{test.id()}: {cause(trace)}" for test, trace in result.failures + result.errors],
        "seconds": Result.seconds,
        "tables": [path.read_text() for path in SHARE.glob("table-*.txt")],
    }
    (SHARE / "result.json").write_text(json.dumps(verdict))
    os.sync()


main()
