/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/check.h"

#include <errno.h>
#include <string.h>

#include "pcscd/log.h"
#include "pcscd/readers/bundle.h"
#include "pcscd/readers/driver.h"
#include "pcscd/readers/readers_conf.h"

static unsigned check_driver(const char *path, const char *origin)
{
	struct driver *driver = driver_load(path, origin);

	driver_unref(driver);
	return driver ? 0 : 1;
}

static unsigned check_readers(const struct options *options)
{
	struct readers_conf conf = { 0 };
	unsigned faults;

	if (readers_conf_load(&conf, options->config) < 0 &&
		(options->config_chosen || errno != ENOENT)) {
		log_line(PCSC_LOG_ERROR, "%s: %s", options->config, strerror(errno));
		return 1;
	}
	faults = conf.errors;
	for (size_t i = 0; i < conf.count; i++)
		faults += check_driver(conf.readers[i].library, conf.readers[i].origin);
	readers_conf_free(&conf);
	return faults;
}

static unsigned check_bundles(const struct options *options)
{
	struct bundles bundles = { 0 };
	unsigned faults;

	if (bundles_load(&bundles, options->drivers) < 0) {
		log_line(PCSC_LOG_ERROR, "driver folder %s: %s: no readers by USB",
			options->drivers, strerror(errno));
		return 1;
	}
	faults = bundles.errors;
	if (bundles.count == 0 && faults == 0) {
		log_line(PCSC_LOG_ERROR, "driver folder %s: no bundles: no readers by USB",
			options->drivers);
		faults = 1;
	}
	for (size_t i = 0; i < bundles.count; i++)
		faults += check_driver(bundles.list[i].library, options->drivers);
	bundles_free(&bundles);
	return faults;
}

unsigned check_configuration(const struct options *options)
{
	unsigned faults = check_readers(options) + check_bundles(options);

	driver_unload_idle();
	return faults;
}
