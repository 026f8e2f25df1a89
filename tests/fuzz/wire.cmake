# SPDX-License-Identifier: BSD-3-Clause
cardwire_fuzz_target(wire LIBS wire)
cardwire_fuzz_target(replies LIBS pcsclite_static)
target_include_directories(fuzz_replies PRIVATE ${PROJECT_SOURCE_DIR})
