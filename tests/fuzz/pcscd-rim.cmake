# SPDX-License-Identifier: BSD-3-Clause
cardwire_fuzz_target(readers_conf LIBS pcscd_core)
cardwire_fuzz_target(bundle LIBS pcscd_core)
