# SPDX-License-Identifier: BSD-3-Clause
cardwire_unit_test(tools pcscctl_core)
