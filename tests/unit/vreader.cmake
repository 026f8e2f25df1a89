# SPDX-License-Identifier: BSD-3-Clause
cardwire_unit_test(vreader_card vreader_core)
cardwire_unit_test(vreader_usb vreader_core)
cardwire_unit_test(vreader_server vreader_core)
cardwire_unit_test(vreader_profile vreader_core)
cardwire_unit_test(vreader_tag vreader_core)
cardwire_unit_test(vreader_select vreader_core)
cardwire_unit_test(vreader_vpcd vreader_core)
target_compile_definitions(test_vreader_usb PRIVATE FAULTS_DIR="${PROJECT_SOURCE_DIR}/tests/faults")
