/* SPDX-License-Identifier: BSD-3-Clause */
/* Info.plist with any bytes: what comes out of it is whole, and can be matched against. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "pcscd/log.h"
#include "pcscd/readers/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bundle_match matches[BUNDLE_MATCHES];
	struct bundles bundles = { 0 };
	bool kept;

	log_close();
	kept = bundles_parse(&bundles, (const char *)data, size, "fuzz", "/fuzz");
	if (kept != (bundles.count == 1) || kept == (bundles.count == 0))
		abort();
	for (size_t i = 0; kept && i < bundles.list[0].count; i++) {
		const struct bundle_device *device = &bundles.list[0].devices[i];

		if (!device->name || bundles_match(&bundles, device->vendor, device->product, 0xFF,
					     matches) != 1)
			abort();
	}
	bundles_free(&bundles);
	return 0;
}
