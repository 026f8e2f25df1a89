# SPDX-License-Identifier: BSD-3-Clause
"""Runs inside the guest: the test modules in the order below, the verdict into result.json."""

import json
import os
import sys
import time
import unittest
from pathlib import Path

SHARE = Path(__file__).resolve().parent
# Debian's own packages first, as the root has them; then ours over them; and back.
ORDER = ["test_foreign", "test_ours", "test_libusb", "test_nfc", "test_latency", "test_service", "test_readers",
         "test_access", "test_doctor", "test_packages", "test_suspend"]
# Those that neither measure time nor take minutes.
QUICK = ["test_foreign", "test_ours", "test_libusb", "test_nfc", "test_service", "test_access", "test_doctor"]


class Result(unittest.TextTestResult):
    """Counts what passed, which unittest does not, and says at once how long a test took and why it failed:
    the guest may not live to see the end."""

    passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def addSuccess(self, test):
        self.stream.write(f"{time.monotonic() - self.started:.1f} s ")
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


def main():
    sys.path.insert(0, str(SHARE))
    options = json.loads((SHARE / "options.json").read_text())
    patterns = options["patterns"]
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [p if "*" in p else f"*{p}*" for p in patterns]
    assert sorted(ORDER) == sorted(path.stem for path in SHARE.glob("test_*.py")), "ORDER is not complete"
    suite = loader.loadTestsFromNames(QUICK if options["quick"] else ORDER)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(suite)
    verdict = {
        "passed": Result.passed,
        "failed": len(result.failures) + len(result.errors),
        "skipped": len(result.skipped),
    }
    if verdict["passed"] + verdict["failed"] == 0:
        verdict["failed"] = 1  # a run that tested nothing has not shown anything
    (SHARE / "result.json").write_text(json.dumps(verdict))
    os.sync()


main()
