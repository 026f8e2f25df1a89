# SPDX-License-Identifier: BSD-3-Clause
"""Many `vreader run` side by side: each job has its own card, none fails, and nothing is left behind.

  CARDWIRE_RUNS  how many (20), four at a time
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import unittest

from harness import BUILD, DEBIAN_LIBRARY, PRELOAD, VREADER, CardwireTest

RUNS = int(os.environ.get("CARDWIRE_RUNS", "20"))
AT_ONCE = 4
RUN_S = 120

# A key made on the card signs through PKCS #11, and the signature is good.
JOB = """set -e
cd "$(mktemp -d)"
openpgp-tool --verify CHV3 --pin 12345678 --gen-key 3 --key-type rsa2048
echo message > message
pkcs11-tool --login --pin 123456 --sign --mechanism SHA256-RSA-PKCS --id 03 -i message -o signature
pkcs15-tool --read-public-key 3 | sed -n '/-----BEGIN/,$p' > key
openssl dgst -sha256 -verify key -signature signature message
rm -r "$PWD"
"""


def processes(folder):
    """The processes whose temporary folder is this one."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" "))
        except OSError:
            continue
    return found


@unittest.skipUnless(shutil.which("openpgp-tool") and shutil.which("pkcs11-tool"), "needs opensc")
class Smoke(CardwireTest):
    def test_many(self):
        # A sanitised library of ours would need its run-time in programs that are not.
        libraries = DEBIAN_LIBRARY.parent if PRELOAD and DEBIAN_LIBRARY else BUILD / "lib"
        environment = {**os.environ, "TMPDIR": str(self.tmp), "LD_LIBRARY_PATH": str(libraries)}

        def run(number):
            result = subprocess.run([VREADER, "run", "--card", "openpgp", "--", "sh", "-c", JOB],
                env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=RUN_S)
            return f"run {number}: {result.returncode}\n{result.stdout}" if result.returncode else ""

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            failures = [text for text in pool.map(run, range(RUNS)) if text]
        self.assertEqual(failures, [])
        self.assertEqual(os.listdir(self.tmp), [])
        self.assertEqual(processes(self.tmp), [])


if __name__ == "__main__":
    unittest.main()
