# SPDX-License-Identifier: BSD-3-Clause
cardwire_unit_test(readers_conf pcscd_core)
target_compile_definitions(test_readers_conf PRIVATE READERS_D="${PROJECT_BINARY_DIR}/readers.d")
cardwire_unit_test(bundle pcscd_core)
cardwire_unit_test(log pcscd_core)
cardwire_unit_test(options pcscd_core)
cardwire_unit_test(hotplug pcscd_core)
cardwire_unit_test(access pcscd_core)
cardwire_unit_test(daemon pcscd_core)
cardwire_unit_test(places pcscd_core)
cardwire_unit_test(peek pcscd_core)
cardwire_unit_test(pool pcscd_core)

# Sample drivers for the loader's test: good ones, and one for each thing that can be wrong.
set(sample_definitions)
foreach(sample v3: v2:SAMPLE_V2 underscore:SAMPLE_UNDERSCORE safe:SAMPLE_THREAD_SAFE=1
		lacking:SAMPLE_LACKS_TRANSMIT)
	string(REGEX MATCH "^[^:]*" name ${sample})
	string(REGEX REPLACE "^[^:]*:" "" define "${sample}")
	add_library(ifd_sample_${name} MODULE ifd_sample.c)
	target_link_libraries(ifd_sample_${name} PRIVATE pcsc_headers)
	target_compile_definitions(ifd_sample_${name} PRIVATE ${define})
	string(TOUPPER ${name} upper)
	list(APPEND sample_definitions IFD_${upper}="$<TARGET_FILE:ifd_sample_${name}>")
endforeach()
add_library(ifd_sample_none MODULE ifd_none.c)
list(APPEND sample_definitions IFD_NONE="$<TARGET_FILE:ifd_sample_none>"
	IFD_NOT_A_LIBRARY="${CMAKE_CURRENT_SOURCE_DIR}/pcscd.cmake")
cardwire_unit_test(driver pcscd_core)
target_compile_definitions(test_driver PRIVATE ${sample_definitions})
add_dependencies(test_driver ifd_sample_v3 ifd_sample_v2 ifd_sample_underscore ifd_sample_safe
	ifd_sample_lacking ifd_sample_none)

cardwire_unit_test(share pcscd_core)
cardwire_unit_test(share_events pcscd_core)
cardwire_unit_test(share_random pcscd_core)
target_sources(test_share_random PRIVATE share_model.c)

# A driver that tests of the daemon tell what to do.
add_library(ifd_scripted MODULE ifd_scripted.c)
target_link_libraries(ifd_scripted PRIVATE pcsc_headers)
target_include_directories(ifd_scripted PRIVATE ${PROJECT_SOURCE_DIR})
foreach(test session session_cards session_turns)
	cardwire_unit_test(${test} pcscd_core)
	target_sources(test_${test} PRIVATE raw_client.c)
	target_compile_definitions(test_${test} PRIVATE IFD_SCRIPTED="$<TARGET_FILE:ifd_scripted>")
	add_dependencies(test_${test} ifd_scripted)
endforeach()
