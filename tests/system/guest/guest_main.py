# SPDX-License-Identifier: BSD-3-Clause
"""Runs inside the guest: all test_*.py beside this file, the verdict into result.json."""

import json
import os
import sys
import unittest
from pathlib import Path

SHARE = Path(__file__).resolve().parent


class Result(unittest.TextTestResult):
    """Counts what passed; unittest itself only keeps what did not."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        Result.passed += 1


def main():
    sys.path.insert(0, str(SHARE))
    patterns = (SHARE / "patterns").read_text().split()
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [p if "*" in p else f"*{p}*" for p in patterns]
    suite = loader.discover(str(SHARE), pattern="test_*.py")
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
