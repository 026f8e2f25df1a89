/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcscctl doctor: reader.conf and the driver bundles. The daemon's program reads them, as it does
 * when it starts, with the arguments of the one that runs (pcscd --check), and as its user: what its
 * arguments name is loaded as code.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/doctor_checks.h"
#include "tools/doctor_process.h"

#define CHECK_MS       10000 /* for all; a driver's library may do anything when it is loaded */
#define ARGUMENTS      8192  /* bytes of arguments of the running daemon */
#define ARGUMENTS_MAX  64    /* and their number */
#define OUTPUT         16384 /* bytes of what is wrong */
#define NOT_RUN        127   /* exit status when it could not even be started */
#define CONFIG_FOLDER  "etc/reader.conf.d"
#define DRIVERS_FOLDER "usr/lib/pcsc/drivers"

struct command {
	char program[PATH_MAX];
	char config[PATH_MAX];
	char drivers[PATH_MAX];
	char arguments[ARGUMENTS];
	char *argv[ARGUMENTS_MAX];
	size_t count;
	size_t taken;             /* of these, the program and the running daemon's */
	const struct ucred *user; /* to become; NULL: this one */
};

static void add_argument(struct command *command, char *argument)
{
	if (command->count + 1 < ARGUMENTS_MAX)
		command->argv[command->count++] = argument;
}

/* The daemon that belongs to this program: ../sbin/pcscd, seen from its folder. */
static bool find_daemon(char program[PATH_MAX])
{
	char own[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (length <= 0)
		return false;
	own[length] = '\0';
	return snprintf(program, PATH_MAX, "%s/../sbin/pcscd", dirname(own)) < PATH_MAX &&
	       access(program, X_OK) == 0;
}

static char check_option[] = "--check";
static char drivers_option[] = "--drivers";
static char config_option[] = "--config";

/* True of an argument that can be taken over from whoever's daemon it is. */
static bool is_harmless(const char *argument)
{
	static const char *const harmless[] = { "-f", "--foreground", "-x", "--auto-exit" };

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strcmp(argument, harmless[i]) == 0)
			return true;
	return false;
}

/* Another's daemon decides what is loaded only where it is loaded as that other. */
static bool choose_user(const struct doctor *doctor, struct command *command)
{
	uid_t own = geteuid();

	command->user = NULL;
	if (!doctor->daemon || doctor->owner.uid == 0 || doctor->owner.uid == own)
		return true;
	if (own == 0) {
		command->user = &doctor->owner;
		return true;
	}
	for (size_t i = 1; i < command->taken; i++)
		if (!is_harmless(command->argv[i]))
			return false;
	return true;
}

/* False if there is no daemon's program. */
static bool build_command(const struct doctor *doctor, struct command *command)
{
	char *arguments = command->arguments;
	size_t length = 0;

	command->count = 0;
	arguments[0] = '\0';
	if (!find_daemon(command->program))
		return false;
	add_argument(command, command->program);
	if (doctor->daemon)
		length = doctor_arguments(doctor, doctor->daemon, arguments, ARGUMENTS);
	for (size_t at = strlen(arguments) + 1; at < length; at += strlen(arguments + at) + 1)
		add_argument(command, arguments + at);
	command->taken = command->count;
	if (*doctor->place->root) {
		doctor_path(doctor, command->drivers, DRIVERS_FOLDER);
		add_argument(command, drivers_option);
		add_argument(command, command->drivers);
		doctor_path(doctor, command->config, CONFIG_FOLDER);
		add_argument(command, config_option);
		add_argument(command, command->config);
	}
	add_argument(command, check_option);
	command->argv[command->count] = NULL;
	return true;
}

static bool become(const struct ucred *user)
{
	return setgroups(0, NULL) == 0 && setresgid(user->gid, user->gid, user->gid) == 0 &&
	       setresuid(user->uid, user->uid, user->uid) == 0;
}

/* In the child. It gets no terminal, into which it might type. */
static void run_command(const struct command *command, int output)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (setsid() >= 0 && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
		dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0 &&
		(!command->user || become(command->user)))
		execv(command->program, command->argv);
	_exit(NOT_RUN);
}

/* Starts it with its output in a pipe, whose other end is *output. 0, or an error number. */
static int start(const struct command *command, pid_t *pid, int *output)
{
	int ends[2];
	int error = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	*pid = fork();
	if (*pid == 0)
		run_command(command, ends[1]);
	if (*pid < 0)
		error = errno;
	close(ends[1]);
	if (error)
		close(ends[0]);
	*output = ends[0];
	return error;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Reads to the end, or until the time is over: false. What doesn't fit is read and dropped. */
static bool read_output(int fd, char text[OUTPUT])
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	int64_t deadline = now_ms() + CHECK_MS, left;
	char dropped[512];
	size_t length = 0;
	ssize_t got = 1;

	while (got > 0 && (left = deadline - now_ms()) > 0) {
		if (poll(&readable, 1, (int)left) <= 0)
			continue;
		if (length + 1 < OUTPUT)
			got = read(fd, text + length, OUTPUT - 1 - length);
		else
			got = read(fd, dropped, sizeof(dropped));
		if (got > 0 && length + 1 < OUTPUT)
			length += (size_t)got;
	}
	text[length] = '\0';
	return got <= 0;
}

static void tell_lines(struct doctor *doctor, char *text)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		doctor_fault(doctor,
			"put it right (reader.conf(5)), or install the driver again; then "
			"pcscd --hotplug",
			"%s", line);
}

void doctor_check_config(struct doctor *doctor)
{
	struct command command;
	char text[OUTPUT];
	pid_t pid = -1;
	int output = -1, status = 0, error;
	bool ended;

	if (!build_command(doctor, &command)) {
		doctor_skip(doctor, "%s: no such program", command.program);
		return;
	}
	if (!choose_user(doctor, &command)) {
		doctor_skip(doctor,
			"the daemon is another user's and has options of its own: only root can "
			"check what they mean");
		return;
	}
	error = start(&command, &pid, &output);
	if (error) {
		doctor_skip(doctor, "%s: %s", command.program, strerror(error));
		return;
	}
	ended = read_output(output, text);
	close(output);
	if (!ended && pid > 0)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (ended && WIFEXITED(status) && WEXITSTATUS(status) == NOT_RUN) {
		doctor_skip(doctor, "%s: cannot be run as the daemon's user", command.program);
		return;
	}
	if (!ended)
		doctor_fault(doctor, "install the drivers again, one after another",
			"loading the drivers takes more than %d s", CHECK_MS / 1000);
	else if (WIFSIGNALED(status))
		doctor_fault(doctor, "install the drivers again, one after another",
			"loading the drivers ends with signal %d", WTERMSIG(status));
	if (*text)
		tell_lines(doctor, text);
	else if (ended && WIFEXITED(status))
		doctor_good(doctor, "configuration, driver bundles and drivers can be read");
}
