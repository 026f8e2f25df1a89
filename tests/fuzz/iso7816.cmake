# SPDX-License-Identifier: BSD-3-Clause
cardwire_fuzz_target(atr LIBS iso7816)
cardwire_fuzz_target(t0 LIBS iso7816)
cardwire_fuzz_target(t1 LIBS iso7816)
