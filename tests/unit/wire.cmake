# SPDX-License-Identifier: BSD-3-Clause
cardwire_unit_test(wire wire)
cardwire_unit_test(wire_version wire)
