# SPDX-License-Identifier: BSD-3-Clause
cardwire_unit_test(abi pcsclite_static)
cardwire_unit_test(client_state pcsclite_static)
target_include_directories(test_client_state PRIVATE ${PROJECT_SOURCE_DIR})
cardwire_unit_test(client pcsclite_static)
target_sources(test_client PRIVATE fake_daemon.c)
target_include_directories(test_client PRIVATE ${PROJECT_SOURCE_DIR})
cardwire_unit_test(secret iso7816)
