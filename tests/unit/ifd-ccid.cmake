# SPDX-License-Identifier: BSD-3-Clause
cardwire_unit_test(ccid_msg ccid_core)
cardwire_unit_test(ccid_descriptor ccid_core)
# Descriptors of real readers, where the collection is at hand; the test says so where it isn't.
target_compile_definitions(test_ccid_descriptor PRIVATE
	READERS_JSON="${PROJECT_SOURCE_DIR}/../shared/reference/readers/readers.json")
cardwire_unit_test(ccid_presence ccid_core)
cardwire_unit_test(contactless ccid_core)
cardwire_unit_test(ccid_pure ccid_core)
cardwire_unit_test(ccid_device ccid_core)
target_sources(test_ccid_device PRIVATE ccid_peer.c)
cardwire_unit_test(ccid_serial ccid_core)
target_compile_definitions(test_ccid_serial PRIVATE
	SERIAL_READERS="${PROJECT_SOURCE_DIR}/readers.d/serial.readers")
cardwire_unit_test(quirk quirks_core)
target_include_directories(test_quirk PRIVATE ${PROJECT_SOURCE_DIR}/ifd-ccid)
target_compile_definitions(test_quirk PRIVATE QUIRKS_FOLDER="${PROJECT_SOURCE_DIR}/quirks")
cardwire_unit_test(ccid_pinpad ccid_core)
cardwire_unit_test(usb_transfer ccid_core PkgConfig::LIBUSB)
