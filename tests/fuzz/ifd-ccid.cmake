# SPDX-License-Identifier: BSD-3-Clause
cardwire_fuzz_target(descriptor LONG LIBS ccid_core)
cardwire_fuzz_target(ccid LONG LIBS ccid_core)
cardwire_fuzz_target(exchange LONG LIBS ccid_core)
cardwire_fuzz_target(pinpad LIBS ccid_core)
cardwire_fuzz_target(raw LIBS ccid_core)
cardwire_fuzz_target(usbip LONG LIBS ccid_core)
cardwire_fuzz_target(quirks LIBS quirks_core)
target_include_directories(fuzz_quirks PRIVATE ${PROJECT_SOURCE_DIR}/ifd-ccid)
