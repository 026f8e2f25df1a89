/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_CHECK_H
#define CARDWIRE_PCSCD_CHECK_H

/*
 * pcscd --check: reads what the daemon would read, loads the drivers it names, opens no reader and
 * serves nobody. One thread.
 */

#include "pcscd/options.h"

/*
 * Logs a line for each fault of the configuration, the driver folder and the drivers. Returns the
 * number of faults.
 */
unsigned check_configuration(const struct options *options);

#endif
