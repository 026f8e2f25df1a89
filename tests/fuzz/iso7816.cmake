# SPDX-License-Identifier: BSD-3-Clause
cardwire_fuzz_target(atr LONG LIBS iso7816)
cardwire_fuzz_target(t0 LONG LIBS iso7816)
cardwire_fuzz_target(t1 LONG LIBS iso7816)
