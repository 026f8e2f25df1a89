# SPDX-License-Identifier: BSD-3-Clause
# CARDWIRE_EXCHANGES=1000000 in the environment makes the random tests of T=0 and T=1 longer.
cardwire_unit_test(apdu iso7816)
cardwire_unit_test(atr iso7816)
cardwire_unit_test(pps iso7816)
cardwire_unit_test(t0 iso7816)
cardwire_unit_test(t0_apdu iso7816)
cardwire_unit_test(t0_random iso7816)
target_sources(test_t0_random PRIVATE t0_card.c)
cardwire_unit_test(t1 iso7816)
cardwire_unit_test(t1_errors iso7816)
cardwire_unit_test(t1_random iso7816)
target_sources(test_t1_random PRIVATE t1_card.c)
