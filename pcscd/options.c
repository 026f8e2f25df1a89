/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/options.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcscd/config.h"
#include "pcscd/log.h"

#define NS_PER_S        INT64_C(1000000000)
#define POWER_GRACE_NS  (5 * NS_PER_S)
#define MAX_SECONDS     86400.0
#define MAX_ARRAY       256 /* entries of the array on the second socket */
#define MAX_READERNAME_ 128 /* shown by -v: what clients of the C interface can hold */

enum long_only {
	OPT_FORCE_READER_POLLING = 256,
	OPT_DISABLE_POLKIT,
	OPT_SOCKET,
	OPT_DRIVERS,
	OPT_STATE,
	OPT_READY_FD,
	OPT_LEASE,
	OPT_POWER_GRACE,
	OPT_MAX_CONNECTIONS,
	OPT_ARRAY_SOCKET,
	OPT_ALLOW,
	OPT_CHECK,
};

static const struct option long_options[] = {
	{ "apdu", no_argument, NULL, 'a' },
	{ "config", required_argument, NULL, 'c' },
	{ "foreground", no_argument, NULL, 'f' },
	{ "color", no_argument, NULL, 'T' },
	{ "debug", no_argument, NULL, 'd' },
	{ "info", no_argument, NULL, 'i' },
	{ "error", no_argument, NULL, 'e' },
	{ "critical", no_argument, NULL, 'C' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ "hotplug", no_argument, NULL, 'H' },
	{ "force-reader-polling", optional_argument, NULL, OPT_FORCE_READER_POLLING },
	{ "max-thread", required_argument, NULL, 't' },
	{ "max-card-handle-per-thread", required_argument, NULL, 's' },
	{ "max-card-handle-per-reader", required_argument, NULL, 'r' },
	{ "auto-exit", no_argument, NULL, 'x' },
	{ "reader-name-no-serial", no_argument, NULL, 'S' },
	{ "reader-name-no-interface", no_argument, NULL, 'I' },
	{ "disable-polkit", no_argument, NULL, OPT_DISABLE_POLKIT },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "drivers", required_argument, NULL, OPT_DRIVERS },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "lease", required_argument, NULL, OPT_LEASE },
	{ "power-grace", required_argument, NULL, OPT_POWER_GRACE },
	{ "max-connections-per-user", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "array-socket", required_argument, NULL, OPT_ARRAY_SOCKET },
	{ "allow", required_argument, NULL, OPT_ALLOW },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ NULL, 0, NULL, 0 },
};

static const char usage_text[] =
	"Usage: pcscd [OPTION]...\n"
	"The PC/SC daemon: gives programs access to smart-card readers.\n"
	"\n"
	"Running\n"
	"  -f, --foreground              stay in the foreground, log to standard output\n"
	"  -x, --auto-exit               exit after 60 s without a client\n"
	"  -H, --hotplug                 make the running daemon look for readers again\n"
	"      --check                   say what is wrong with configuration and drivers, and "
	"exit\n"
	"      --socket PATH             serve this socket\n"
	"      --array-socket PATH:N     serve clients built for N readers on a second socket\n"
	"      --ready-fd N              write a newline to descriptor N when ready\n"
	"\n"
	"Readers\n"
	"  -c, --config PATH             reader.conf, a file or a folder of files\n"
	"      --drivers FOLDER          where driver bundles are\n"
	"      --state FOLDER            remember there which number a reader has\n"
	"  -S, --reader-name-no-serial   names of readers without the serial number\n"
	"  -I, --reader-name-no-interface  names of readers without the interface\n"
	"      --force-reader-polling[=S]  look at the bus every S seconds (1) besides events\n"
	"      --power-grace S           power an unused card off after S seconds (5)\n"
	"\n"
	"Clients\n"
	"  -t, --max-thread N            at most N contexts (0: no limit)\n"
	"  -s, --max-card-handle-per-thread N  at most N card handles in a context\n"
	"  -r, --max-card-handle-per-reader N  at most N card handles on a reader\n"
	"      --max-connections-per-user N  at most N connections of one user\n"
	"      --lease S                 a silent transaction ends after S seconds if others\n"
	"                                wait (5; 0: never)\n"
	"      --disable-polkit          don't ask polkit\n"
	"      --allow uid:N|gid:N|USER|@GROUP  these may use readers without polkit\n"
	"\n"
	"Log\n"
	"  -d, --debug  -i, --info  -e, --error (default)  -C, --critical\n"
	"  -a, --apdu                    log commands and answers, secrets masked\n"
	"  -T, --color                   log to standard output in colours\n"
	"\n"
	"  -h, --help                    this text\n"
	"  -v, --version                 version and features\n";

static void print_version(void)
{
	printf("pcscd (cardwire) %s, compatible with pcsc-lite %s\n", CARDWIRE_VERSION,
		PCSCLITE_COMPAT_VERSION);
	printf("Licence: BSD-3-Clause\n");
	printf("Enabled features: Linux %s systemd libudev polkit USB "
	       "usbdropdir=%s ipcdir=%s configdir=%s\n",
		CARDWIRE_ARCHITECTURE, CARDWIRE_USBDROPDIR, CARDWIRE_IPCDIR, CARDWIRE_CONFDIR);
	printf("MAX_READERNAME: %d\n", MAX_READERNAME_);
}

static bool fail(const char *format, const char *what)
{
	fputs("pcscd: ", stderr);
	fprintf(stderr, format, what);
	fputs("\n", stderr);
	return false;
}

static bool parse_count(const char *text, unsigned *value)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || number > INT_MAX)
		return fail("\"%s\" is not a number", text);
	*value = (unsigned)number;
	return true;
}

static bool parse_seconds(const char *text, int64_t *ns)
{
	double seconds;
	char *end;

	errno = 0;
	seconds = strtod(text, &end);
	if (errno || end == text || *end || !(seconds >= 0 && seconds <= MAX_SECONDS))
		return fail("\"%s\" is not a number of seconds", text);
	*ns = (int64_t)(seconds * 1e9);
	return true;
}

/* An absolute path: the daemon leaves the folder it was started in. */
static bool set_path(char **path, const char *text)
{
	char *folder = NULL;

	free(*path);
	*path = NULL;
	if (*text == '\0')
		return fail("an empty path%s", "");
	if (*text == '/') {
		*path = strdup(text);
	} else {
		folder = getcwd(NULL, 0);
		if (folder && asprintf(path, "%s/%s", folder, text) < 0)
			*path = NULL;
		free(folder);
	}
	return *path ? true : fail("%s: cannot tell where that is", text);
}

static bool parse_array_socket(struct options *options, const char *text)
{
	const char *colon = strrchr(text, ':');
	char *path;
	bool ok;

	if (!colon || !parse_count(colon + 1, &options->array_length) ||
		options->array_length == 0 || options->array_length > MAX_ARRAY)
		return fail("--array-socket wants PATH:N, not \"%s\"", text);
	path = strndup(text, (size_t)(colon - text));
	ok = path && set_path(&options->array_socket, path);
	free(path);
	return ok;
}

/* The last number is nobody's. */
static bool parse_id(const char *text, uint32_t *id)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || number >= UINT32_MAX)
		return fail("\"%s\" is not the number of a user or group", text);
	*id = (uint32_t)number;
	return true;
}

/* "uid:N", "gid:N", "USER" or "@GROUP". */
static bool parse_allow(struct options *options, const char *text)
{
	struct allow_rule *rule = &options->allow[options->allow_count];
	const struct passwd *user;
	const struct group *group;

	if (options->allow_count == OPTIONS_ALLOW_MAX)
		return fail("too many --allow: %s", text);
	rule->group = strncmp(text, "gid:", 4) == 0 || text[0] == '@';
	if (strncmp(text, "uid:", 4) == 0 || strncmp(text, "gid:", 4) == 0) {
		if (!parse_id(text + 4, &rule->id))
			return false;
	} else if (text[0] == '@') {
		group = getgrnam(text + 1);
		if (!group)
			return fail("no group %s", text + 1);
		rule->id = group->gr_gid;
	} else {
		user = getpwnam(text);
		if (!user)
			return fail("no user %s", text);
		rule->id = user->pw_uid;
	}
	options->allow_count++;
	return true;
}

static bool parse_ready_fd(struct options *options, const char *text)
{
	unsigned fd;

	if (!parse_count(text, &fd))
		return false;
	options->ready_fd = (int)fd;
	return true;
}

static bool parse_polling(struct options *options, const char *text)
{
	if (!text) {
		options->poll_bus_ns = NS_PER_S;
		return true;
	}
	if (!parse_seconds(text, &options->poll_bus_ns))
		return false;
	return options->poll_bus_ns > 0 ? true : fail("\"%s\" seconds is no interval", text);
}

/* Options that are a flag or a level. True if `option` is one. */
static bool take_flag(struct options *options, int option)
{
	switch (option) {
	case 'a':
		options->apdu = true;
		return true;
	case 'f':
		options->foreground = true;
		return true;
	case 'T':
		options->colour = true;
		return true;
	case 'd':
		options->log_level = PCSC_LOG_DEBUG;
		return true;
	case 'i':
		options->log_level = PCSC_LOG_INFO;
		return true;
	case 'e':
		options->log_level = PCSC_LOG_ERROR;
		return true;
	case 'C':
		options->log_level = PCSC_LOG_CRITICAL;
		return true;
	case 'H':
		options->hotplug_request = true;
		return true;
	case 'x':
		options->auto_exit = true;
		return true;
	case 'S':
		options->no_serial_in_name = true;
		return true;
	case 'I':
		options->no_interface_in_name = true;
		return true;
	case OPT_DISABLE_POLKIT:
		options->polkit = false;
		return true;
	case OPT_CHECK:
		options->check = true;
		return true;
	default:
		return false;
	}
}

/* Options with a value. */
static bool take_value(struct options *options, int option, const char *value)
{
	switch (option) {
	case 'c':
		options->config_chosen = true;
		return set_path(&options->config, value);
	case 't':
		return parse_count(value, &options->max_contexts);
	case 's':
		return parse_count(value, &options->max_handles_per_context);
	case 'r':
		return parse_count(value, &options->max_handles_per_reader);
	case OPT_MAX_CONNECTIONS:
		return parse_count(value, &options->max_connections_per_user);
	case OPT_FORCE_READER_POLLING:
		return parse_polling(options, value);
	case OPT_SOCKET:
		options->socket_chosen = true;
		return set_path(&options->socket, value);
	case OPT_DRIVERS:
		return set_path(&options->drivers, value);
	case OPT_STATE:
		return set_path(&options->state, value);
	case OPT_READY_FD:
		return parse_ready_fd(options, value);
	case OPT_LEASE:
		return parse_seconds(value, &options->lease_ns);
	case OPT_POWER_GRACE:
		return parse_seconds(value, &options->power_grace_ns);
	case OPT_ARRAY_SOCKET:
		return parse_array_socket(options, value);
	case OPT_ALLOW:
		return parse_allow(options, value);
	default:
		return false;
	}
}

/* A variable of the environment; an empty one, as in "NAME=" of a service's settings, is none. */
static const char *variable(const char *name)
{
	const char *value = secure_getenv(name);

	return value && *value ? value : NULL;
}

/* Defaults, some of which the environment may change. */
static bool set_defaults(struct options *options)
{
	const char *socket = variable("PCSCLITE_CSOCK_NAME");
	const char *drivers = variable("PCSCLITE_HP_DROPDIR");
	const char *state = variable("STATE_DIRECTORY");

	*options = (struct options){
		.log_level = PCSC_LOG_ERROR,
		.max_connections_per_user = UINT_MAX,
		.lease_ns = -1,
		.power_grace_ns = POWER_GRACE_NS,
		.polkit = true,
		.ready_fd = -1,
		.socket_chosen = socket != NULL,
	};
	return set_path(&options->socket, socket ? socket : CARDWIRE_IPCDIR "/pcscd.comm") &&
	       set_path(&options->drivers, drivers ? drivers : CARDWIRE_USBDROPDIR) &&
	       set_path(&options->config, CARDWIRE_CONFDIR) &&
	       (!state || set_path(&options->state, state));
}

static bool set_pid_file(struct options *options)
{
	int length = options->socket_chosen
			     ? asprintf(&options->pid_file, "%s.pid", options->socket)
			     : asprintf(&options->pid_file, "%s/pcscd.pid", CARDWIRE_IPCDIR);

	if (length >= 0)
		return true;
	options->pid_file = NULL;
	return fail("out of memory%s", "");
}

enum options_result options_parse(struct options *options, int argc, char *argv[])
{
	int option;

	if (!set_defaults(options))
		return OPTIONS_ERROR;
	optind = 0;
	while ((option = getopt_long(argc, argv, "c:fTdhvaieCHt:r:s:xSI", long_options, NULL)) !=
		-1) {
		if (option == 'h') {
			fputs(usage_text, stdout);
			return OPTIONS_DONE;
		}
		if (option == 'v') {
			print_version();
			return OPTIONS_DONE;
		}
		if (option == '?') {
			fputs(usage_text, stderr);
			return OPTIONS_ERROR;
		}
		if (!take_flag(options, option) && !take_value(options, option, optarg))
			return OPTIONS_ERROR;
	}
	if (optind < argc) {
		fail("unexpected argument \"%s\"", argv[optind]);
		fputs(usage_text, stderr);
		return OPTIONS_ERROR;
	}
	return set_pid_file(options) ? OPTIONS_RUN : OPTIONS_ERROR;
}

void options_free(struct options *options)
{
	free(options->socket);
	free(options->pid_file);
	free(options->config);
	free(options->drivers);
	free(options->state);
	free(options->array_socket);
}
