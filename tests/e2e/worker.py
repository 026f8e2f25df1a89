# SPDX-License-Identifier: BSD-3-Clause
"""A client in a process of its own: worker.py LIBRARY. Reads requests, one JSON list a line,
[id, name, arguments…], runs each in a thread of its own, and writes [id, return code, value].
Being a process, it can be stopped and killed as an application is; being threaded, it can have
many calls under way at once. Ends when its input ends."""

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import winscard

_write_lock = threading.Lock()


def _answer(out, *fields):
    with _write_lock:
        out.write(json.dumps(fields) + "\n")
        out.flush()


class Scenarios:
    """What would be too slow, or impossible, one request at a time."""

    def __init__(self, api):
        self.api = api

    def transactions(self, handle, count, command):
        """count times begin, transmit, end: [return code of the first failure, longest wait for
        the turn in seconds, number done]."""
        longest, done = 0.0, 0
        for _ in range(count):
            before = time.monotonic()
            rv, _ = self.api.begin(handle)
            longest = max(longest, time.monotonic() - before)
            if rv != 0:
                return rv, [longest, done]
            rv, _ = self.api.transmit(handle, command)
            if rv != 0:
                return rv, [longest, done]
            rv, _ = self.api.end(handle)
            if rv != 0:
                return rv, [longest, done]
            done += 1
        return 0, [longest, done]

    def cancel_storm(self, context, reader, count, insist=False):
        """count waits of this thread, each ended by a cancel of another: how many were ended by
        it. Our library's cancels count even if they come just before the wait; where they don't,
        the other thread insists, which may leave a cancel over for no wait at all."""
        _, [[_, event, _]] = self.api.status_change(context, 0, [[reader, 0]])
        current = event & ~winscard.STATE_CHANGED
        turn, done, ended = threading.Semaphore(0), threading.Event(), threading.Event()

        def canceller():
            while turn.acquire() and not done.is_set():
                self.api.cancel(context)
                while insist and not ended.is_set():
                    self.api.cancel(context)
        thread = threading.Thread(target=canceller)
        thread.start()
        cancelled = 0
        for _ in range(count):
            ended.clear()
            turn.release()
            rv, _ = self.api.status_change(context, 10000, [[reader, current]])
            ended.set()
            if winscard.rv_name(rv) != "SCARD_E_CANCELLED":
                break
            cancelled += 1
        done.set()
        turn.release()
        thread.join()
        return rv if cancelled < count else 0, cancelled

    def fork_idle_child(self, context, handle, command):
        """Whether the parent's handle works after a child that did nothing is gone."""
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return self.api.transmit(handle, command)

    def transmits(self, handle, count, command):
        """count exchanges and looks at the status, one after the other: how many were done."""
        for done in range(count):
            for rv, _ in (self.api.transmit(handle, command), self.api.status(handle)):
                if rv != 0:
                    return rv, done
        return 0, count

    def fork_child(self, context, handle, command):
        """What a child sees of its parent's handles, and whether the parent's still work after
        the child is gone: [names of the child's return codes]."""
        read_fd, write_fd = os.pipe()
        pid = os.fork()
        if pid == 0:
            codes = [self.api.is_valid(context)[0], self.api.transmit(handle, command)[0],
                     self.api.status(handle)[0], self.api.disconnect(handle)[0],
                     self.api.release(context)[0], self.api.establish()[0]]
            os.write(write_fd, json.dumps([winscard.rv_name(c) for c in codes]).encode())
            os._exit(0)
        os.close(write_fd)
        with os.fdopen(read_fd, "rb") as pipe:
            names = json.loads(pipe.read())
        os.waitpid(pid, 0)
        return self.api.transmit(handle, command)[0], names


def main():
    api = winscard.Winscard(sys.argv[1])
    scenarios = Scenarios(api)
    # Answers go to a copy: a library that prints must not break them.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def run(number, name, arguments):
        try:
            target = scenarios if hasattr(scenarios, name) else api
            rv, value = getattr(target, name)(*arguments)
            _answer(out, number, rv, value)
        except Exception as error:  # the test sees it as the failure of this call
            _answer(out, number, None, f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(64) as pool:
        for line in sys.stdin:
            number, name, *arguments = json.loads(line)
            pool.submit(run, number, name, arguments)


if __name__ == "__main__":
    main()
