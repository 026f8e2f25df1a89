# SPDX-License-Identifier: BSD-3-Clause
cardwire_unit_test(recording recording)
cardwire_unit_test(recorder ccid_core)
