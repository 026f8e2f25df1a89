# SPDX-License-Identifier: BSD-3-Clause
"""Starts and stops the real programs for the end-to-end tests: our vreader and pcscd, Debian's
pcscd, clients with our library or Debian's. Each lives in the test's own temporary folder.

No wait here sleeps: a program says that it is ready through a pipe, what it prints is waited for,
and each wait has a deadline after which the test fails and everything printed is shown.

The environment (set by ctest) says what is tested:
  CARDWIRE_BUILD     our build folder
  CARDWIRE_FOREIGN   Debian's packages, unpacked by scripts/fetch-foreign
  CARDWIRE_PRELOAD   the sanitizer's run-time library, for foreign programs that load our code
  CARDWIRE_PRECISE   measured times count to the letter (by hand, on an idle machine)
"""

from harness.case import CardwireTest, with_each_library
from harness.client import (Client, Pending, WinscardError, client_env, exchange, pcscctl,
    run_tool)
from harness.places import (BUILD, CALL_S, CCID_LIBRARY, DEBIAN_LIBRARY, DEBIAN_PCSCD, DEBIAN_VICC,
    DEBIAN_VPCD, DRIVERS, FOREIGN, HERE, LIBRARIES, NOBODY, NULL_LIBRARY, PCSCCTL, PCSCD, PRELOAD,
    SOURCE, START_S, STOP_S, VREADER, bound, free_port, needs_debian, needs_root, sanitizer_env)
from harness.program import Program, start_ready
from harness.servers import DebianPcscd, Pcscd, VReader, Vicc, reader_entry
