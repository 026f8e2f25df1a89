#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures pcsc-lite (Debian's) and this stack side by side and prints ratios. scripts/bench runs
it. Both daemons, their do-nothing driver and the measuring program are pinned to one CPU, and
rounds alternate, so that what disturbs one disturbs the other; each figure is the median round."""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402

BENCH = harness.BUILD / "tests/bench/bench"
CALLS = ["transmit", "connect+disconnect", "begin+end", "status", "establish+release"]
# Not the table of limits of a test: what each figure is meant to be, printed beside it.
AIMS = {"transmit": 0.6, "connect+disconnect": 0.7, "begin+end": 0.7, "status": 0.7,
        "establish+release": 0.7}
PROCESSES = 8
SETTLE_S = 10


class Workbench:
    """What the harness needs of a test: a folder, and what to do at the end."""

    def __init__(self):
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="cardwire-bench-"))
        self.programs = []
        self._cleanups = []

    def addCleanup(self, function, *arguments):
        self._cleanups.append((function, arguments))

    def close(self):
        for function, arguments in reversed(self._cleanups):
            function(*arguments)
        shutil.rmtree(self.tmp)


class Stack:
    """One daemon, and the library that goes with it."""

    def __init__(self, bench, name, library, start):
        self.name = name
        self.library = harness.LIBRARIES[library]
        entries = (harness.reader_entry("Null", "null:", harness.NULL_LIBRARY)
                   + harness.reader_entry("Slow", "null:delay=2", harness.NULL_LIBRARY))
        self.daemon = start(bench, entries)
        # The second entry of one driver has the next device number.
        self.readers = {"fast": "Null 00 00", "slow": "Slow 01 00"}
        self.figures = {}

    def measure(self, measurement, reader, seconds):
        """Adds the figures of one round to those there are."""
        done = subprocess.run([BENCH, "--lib", self.library, "--reader", self.readers[reader],
                               "--seconds", str(seconds), "--pid", str(self.daemon.program.pid),
                               measurement], capture_output=True, text=True,
                              timeout=120 + 10 * seconds,
                              env={**os.environ, "PCSCLITE_CSOCK_NAME": str(self.daemon.socket)})
        for name, value in re.findall(r"^(\S+) ([0-9.]+)", done.stdout, re.MULTILINE):
            self.figures.setdefault(name, []).append(float(value))
        if done.returncode != 0:
            print(f"{self.name}: {measurement} failed: {done.stderr.strip()}", file=sys.stderr)

    def figure(self, name):
        values = self.figures.get(name)
        return statistics.median(values) if values else float("nan")

    def wakeups(self):
        """{thread: times it was scheduled, ever} of the daemon."""
        counts = {}
        for task in pathlib.Path(f"/proc/{self.daemon.program.pid}/task").iterdir():
            text = (task / "status").read_text()
            counts[task.name] = sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", text)))
        return counts


def driver_with_recorder(bench, kib):
    """Our driver in a bundle of its own, whose flight recorder has that size; its library."""
    contents = bench.tmp / f"recorder-{kib}/Contents"
    shutil.copytree(harness.CCID_LIBRARY.parent.parent, contents)
    plist = contents / "Info.plist"
    text, count = re.subn(r"(<key>ifdRecorderKiB</key>\s*<string>)\w+", rf"\g<1>{kib}",
                          plist.read_text())
    assert count == 1
    plist.write_text(text)
    return contents / "Linux" / harness.CCID_LIBRARY.name


class RecordedStack(Stack):
    """Our daemon, driver and virtual reader."""

    def __init__(self, bench, kib):
        self.name = f"recorder {kib} KiB"
        self.library = harness.LIBRARIES["ours"]
        reader = harness.VReader(bench, name=f"vreader-{kib}")
        self.daemon = harness.Pcscd(bench, harness.reader_entry("Virtual", reader.device(),
                                    driver_with_recorder(bench, kib)), name=f"pcscd-{kib}",
                                    verbosity="--error")
        self.readers = {"fast": "Virtual 00 00"}
        self.figures = {}


def wakeups_between(before, after):
    """A thread that ended was woken once for it."""
    ended = sum(1 for thread in before if thread not in after)
    return ended + sum(count - before.get(thread, 0) for thread, count in after.items())


def print_calls(theirs, ours):
    ping = statistics.median(theirs.figures["ping-pong"] + ours.figures["ping-pong"])
    print(f"\n{'µs a call':<22}{'pcsc-lite':>10}{'ours':>10}{'ratio':>8}{'aim':>8}")
    for name in CALLS:
        a, b = theirs.figure(name), ours.figure(name)
        print(f"{name:<22}{a:>10.1f}{b:>10.1f}{b / a:>8.2f}{'≤ %.1f' % AIMS[name]:>8}")
    print(f"{'socket ping-pong':<22}{ping:>10.1f}")
    print(f"{'transmit / ping-pong':<22}{theirs.figure('transmit') / ping:>10.2f}"
          f"{ours.figure('transmit') / ping:>10.2f}{'':>8}{'≤ 1.5':>8}")


def print_recorder(off, on):
    a, b = off.figure("transmit"), on.figure("transmit")
    print(f"\ntransmit to a virtual reader, the driver's flight recorder off {a:.1f} µs, on {b:.1f} µs:"
          f" ratio {b / a:.3f} (aim: 1)")


def print_contention(stacks):
    print(f"\n{PROCESSES} processes in transactions, a card of 2 ms"
          f" (aims: at least 95 %, at most 1.5 fair turns)")
    for stack in stacks:
        one, many = stack.figure("turns-1"), stack.figure(f"turns-{PROCESSES}")
        fair_ms = PROCESSES * 1000 / one
        longest = stack.figure(f"longest-wait-{PROCESSES}")
        print(f"{stack.name:<12}{one:7.0f}/s alone, {many:7.0f}/s together: {many / one:6.0%};"
              f" longest wait {longest:7.1f} ms = {longest / fair_ms:5.1f} fair turns")


def print_idle(stacks, contexts, seconds):
    print(f"\n{contexts} idle contexts (aims: at most 4 KiB and no thread each),"
          f" and wake-ups of the idle daemon in {seconds} s (aim: 0)")
    # What was busy before may still be putting things away.
    time.sleep(SETTLE_S)
    before = [stack.wakeups() for stack in stacks]
    time.sleep(seconds)
    after = [stack.wakeups() for stack in stacks]
    for stack, a, b in zip(stacks, before, after):
        print(f"{stack.name:<12}{stack.figure('contexts'):7.0f} made,"
              f" {stack.figure('memory-each'):6.2f} KiB and {stack.figure('threads-each'):5.2f}"
              f" threads each; {wakeups_between(a, b)} wake-ups")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds (7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement (0.5)")
    parser.add_argument("--contexts", type=int, default=10000, help="idle contexts (10000)")
    parser.add_argument("--idle", type=int, default=60, help="seconds watched when idle (60)")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)),
                        help="the CPU that all is pinned to (the last)")
    return parser.parse_args()


def main():
    options = arguments()
    os.sched_setaffinity(0, {options.cpu})
    bench = Workbench()
    try:
        # pcsc-lite's limit of contexts is an option; ours has none of that kind to raise.
        theirs = Stack(bench, "pcsc-lite", "debian", lambda b, conf: harness.DebianPcscd(
            b, conf, options=["--max-thread", str(options.contexts + 100)], verbosity="--info"))
        ours = Stack(bench, "ours", "ours", lambda b, conf: harness.Pcscd(
            b, conf, verbosity="--error"))
        stacks = [theirs, ours]
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", flush=True)
            for name in [*CALLS, "ping-pong"]:
                for stack in stacks:
                    stack.measure(name, "fast", options.seconds)
        for number in range(3):
            print(f"contention, round {number + 1} of 3", flush=True)
            for stack in stacks:
                stack.measure("contention=1", "slow", 2)
                stack.measure(f"contention={PROCESSES}", "slow", 4)
        recorded = [RecordedStack(bench, kib) for kib in (0, 256)]
        for number in range(options.rounds):
            for stack in recorded:
                stack.measure("transmit", "fast", options.seconds)
        for stack in stacks:
            stack.measure(f"contexts={options.contexts}", "fast", 1)
        print_calls(theirs, ours)
        print_recorder(*recorded)
        print_contention(stacks)
        print_idle(stacks, options.contexts, options.idle)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
