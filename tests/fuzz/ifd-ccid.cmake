# SPDX-License-Identifier: BSD-3-Clause
cardwire_fuzz_target(descriptor LIBS ccid_core)
cardwire_fuzz_target(ccid LIBS ccid_core)
cardwire_fuzz_target(usbip LIBS ccid_core)
