# SPDX-License-Identifier: BSD-3-Clause
cardwire_fuzz_target(wire LIBS wire)
