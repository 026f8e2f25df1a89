# SPDX-License-Identifier: BSD-3-Clause
cardwire_fuzz_target(session LIBS pcscd_core)
target_compile_definitions(fuzz_session PRIVATE FUZZ_IFD="$<TARGET_FILE:ifd_scripted>")
add_dependencies(fuzz_session ifd_scripted)
