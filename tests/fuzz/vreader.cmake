# SPDX-License-Identifier: BSD-3-Clause
cardwire_fuzz_target(vreader_usbip LIBS vreader_core)
cardwire_fuzz_target(vreader_ccid LIBS vreader_core)
cardwire_fuzz_target(vpcd LIBS vreader_core)
cardwire_fuzz_target(applets LIBS vreader_core)
cardwire_fuzz_target(replay LIBS vreader_core)
