/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/run.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vreader/run_folder.h"

#define SECOND ((int64_t)1000000000)
/* The daemon opens its readers before it is ready. */
#define READY_WAIT (10 * SECOND)
/* The daemon powers its cards off before it ends. */
#define STOP_WAIT (5 * SECOND)

struct run;

struct run_source {
	struct loop_source source;
	struct run *run;
};

struct run {
	const struct options *options;
	struct service_options service_options;
	struct run_folder folder;
	char driver[PATH_MAX];
	struct loop *loop;
	struct service *service;
	sigset_t old_mask;
	struct sigaction old_child; /* of SIGCHLD */
	struct run_source signals;
	struct run_source ready; /* read end of the daemon's ready pipe */
	bool daemon_ready;
	pid_t daemon;   /* 0: not running */
	pid_t command;  /* 0: not running */
	int status;     /* of the command, as waitpid() has it */
	int stopped_by; /* a signal that came before the command did; 0: none */
};

static bool complain(const char *what)
{
	fprintf(stderr, "vreader: %s: %s\n", what, strerror(errno));
	return false;
}

/* --- Where the daemon and the driver are ------------------------------------------------------ */

/* An existing file named relative to the folder of this program; out has room for PATH_MAX. */
static bool beside(const char *relative, char *out)
{
	char exe[PATH_MAX], path[2 * PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return false;
	exe[n] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dirname(exe), relative);
	return realpath(path, out);
}

static bool find_pcscd(const struct options *o, char *out)
{
	if (o->pcscd)
		return realpath(o->pcscd, out) || complain(o->pcscd);
	if (beside("../sbin/pcscd", out))
		return true;
	fprintf(stderr, "vreader: no pcscd in ../sbin beside this program; give --pcscd PATH\n");
	return false;
}

static bool find_driver(const struct options *o, char *out)
{
	static const char file[] = "ifd-ccid.bundle/Contents/Linux/libccid.so";
	char relative[PATH_MAX];

	if (o->driver)
		return realpath(o->driver, out) || complain(o->driver);
	snprintf(relative, sizeof(relative), "../drivers/%s", file);
	if (beside(relative, out))
		return true;
	snprintf(relative, sizeof(relative), "%s/%s", VREADER_DRIVERS, file);
	if (beside(relative, out))
		return true;
	fprintf(stderr, "vreader: no %s beside this program; give --driver PATH\n", file);
	return false;
}

/* --- Children --------------------------------------------------------------------------------- */

/* A child that gets SIGTERM when this process dies, with the signals as they were. In the child it
 * returns 0. */
static pid_t spawn(const struct run *r)
{
	pid_t parent = getpid();
	pid_t child = fork();

	if (child < 0)
		complain("fork");
	if (child != 0)
		return child;
	sigaction(SIGCHLD, &r->old_child, NULL);
	sigprocmask(SIG_SETMASK, &r->old_mask, NULL);
	service_leave_limits(r->service);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(RUN_FAILED);
	return 0;
}

/* Its log goes to stderr, since stdout is the command's. */
static void exec_daemon(const struct run *r, const char *pcscd, int ready_fd)
{
	char number[16];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setsid();
	/* What a service manager said to us isn't for it. */
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("LISTEN_FDS");
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
		fcntl(ready_fd, F_SETFD, 0) < 0) {
		complain("descriptors");
		_exit(RUN_FAILED);
	}
	snprintf(number, sizeof(number), "%d", ready_fd);
	execl(pcscd, "pcscd", "--foreground", r->options->verbose ? "--info" : "--error",
		"--disable-polkit", "--socket", r->folder.pcscd, "--config", r->folder.conf,
		"--drivers", r->folder.drivers, "--ready-fd", number, (char *)NULL);
	complain(pcscd);
	_exit(RUN_FAILED);
}

static void ready_ready(struct loop_source *source, uint32_t events)
{
	struct run *r = ((struct run_source *)source)->run;
	char byte;

	(void)events;
	r->daemon_ready = read(source->fd, &byte, 1) == 1;
	loop_remove(r->loop, source);
	close(source->fd);
	source->fd = -1;
}

static bool start_daemon(struct run *r)
{
	char pcscd[PATH_MAX];
	int ends[2];

	if (!find_pcscd(r->options, pcscd))
		return false;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return complain("pipe");
	r->daemon = spawn(r);
	if (r->daemon == 0)
		exec_daemon(r, pcscd, ends[1]);
	close(ends[1]);
	r->ready.source.fd = ends[0];
	if (r->daemon < 0) {
		r->daemon = 0;
		return false;
	}
	return loop_add(r->loop, &r->ready.source, EPOLLIN) || complain("epoll");
}

static bool start_command(struct run *r)
{
	char *const *argv = r->options->command;

	r->command = spawn(r);
	if (r->command == 0) {
		setenv("PCSCLITE_CSOCK_NAME", r->folder.pcscd, 1);
		setenv("VREADER_CTL", r->folder.ctl, 1);
		execvp(argv[0], argv);
		complain(argv[0]);
		_exit(errno == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE);
	}
	if (r->command > 0)
		return true;
	r->command = 0;
	return false;
}

static void daemon_ended(struct run *r, int status)
{
	r->daemon = 0;
	if (WIFSIGNALED(status))
		fprintf(stderr, "vreader: pcscd was ended by signal %d\n", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0 || r->command)
		fprintf(stderr, "vreader: pcscd ended with status %d\n", WEXITSTATUS(status));
}

static void reap(struct run *r)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == r->daemon)
			daemon_ended(r, status);
		if (pid == r->command) {
			r->command = 0;
			r->status = status;
		}
	}
}

/* --- Signals ---------------------------------------------------------------------------------- */

static void signals_ready(struct loop_source *source, uint32_t events)
{
	struct run *r = ((struct run_source *)source)->run;
	struct signalfd_siginfo info;

	(void)events;
	while (read(source->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(r);
		else if (!r->command)
			r->stopped_by = (int)info.ssi_signo;
		else if (info.ssi_code <= 0)
			/* Sent to this process alone; a terminal sends to the command too. */
			kill(r->command, (int)info.ssi_signo);
	}
}

/* As nohup(1) leaves SIGHUP to the command and to us. */
static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static bool catch_signals(struct run *r)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!is_ignored(numbers[i]))
			sigaddset(&set, numbers[i]);
	/* Where it is ignored, children end without a word (wait(2)). */
	sigaction(SIGCHLD, &standard, &r->old_child);
	sigprocmask(SIG_BLOCK, &set, &r->old_mask);
	r->signals.source.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals.source.fd >= 0 && loop_add(r->loop, &r->signals.source, EPOLLIN);
}

/* --- From start to end ------------------------------------------------------------------------ */

static bool start(struct run *r)
{
	r->loop = loop_new();
	if (!r->loop || !catch_signals(r))
		return complain("event loop");
	if (!find_driver(r->options, r->driver) || !run_folder_make(&r->folder))
		return false;
	r->service_options = r->options->service;
	r->service_options.listen[0] = r->folder.usbip;
	r->service_options.listen_count = 1;
	r->service_options.ctl = r->folder.ctl;
	r->service = service_start(r->loop, &r->service_options);
	return r->service && run_folder_write_conf(&r->folder, &r->service_options, r->driver) &&
	       start_daemon(r);
}

static bool wait_ready(struct run *r)
{
	int64_t deadline = loop_now() + READY_WAIT;

	while (r->daemon && !r->daemon_ready && !r->stopped_by && loop_now() < deadline)
		if (!service_once(r->service, deadline))
			return false;
	if (r->daemon && !r->daemon_ready && !r->stopped_by)
		fprintf(stderr, "vreader: pcscd was not ready in time\n");
	return r->daemon_ready && !r->stopped_by;
}

static void watch_command(struct run *r)
{
	bool asked = false;

	while (r->command && service_once(r->service, INT64_MAX)) {
		if (service_quit(r->service) && !asked) {
			asked = true;
			kill(r->command, SIGTERM);
		}
	}
	if (!r->command)
		return;
	/* The system fails us: without readers the command is lost. */
	kill(r->command, SIGKILL);
	waitpid(r->command, &r->status, 0);
}

/* The readers are served until the daemon has left them. */
static void stop_daemon(struct run *r)
{
	int64_t deadline = loop_now() + STOP_WAIT;

	if (!r->daemon)
		return;
	kill(r->daemon, SIGTERM);
	while (r->daemon && loop_now() < deadline && service_once(r->service, deadline))
		;
	if (!r->daemon)
		return;
	kill(r->daemon, SIGKILL);
	waitpid(r->daemon, NULL, 0);
}

static void clean_up(struct run *r)
{
	stop_daemon(r);
	service_stop(r->service);
	run_folder_remove(&r->folder);
	if (r->ready.source.fd >= 0)
		close(r->ready.source.fd);
	if (r->signals.source.fd >= 0)
		close(r->signals.source.fd);
	loop_free(r->loop);
}

/* Ends this process as another was ended, without a second core dump. */
static int end_by(int signal_number)
{
	const struct rlimit none = { 0 };
	sigset_t set;

	setrlimit(RLIMIT_CORE, &none);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	sigemptyset(&set);
	sigaddset(&set, signal_number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + signal_number;
}

int run(const struct options *options)
{
	struct run r = {
		.options = options,
		.signals = { { -1, signals_ready }, &r },
		.ready = { { -1, ready_ready }, &r },
	};
	bool started = start(&r) && wait_ready(&r) && start_command(&r);

	if (started)
		watch_command(&r);
	clean_up(&r);
	if (r.stopped_by && !started)
		return end_by(r.stopped_by);
	if (!started)
		return RUN_FAILED;
	return WIFSIGNALED(r.status) ? end_by(WTERMSIG(r.status)) : WEXITSTATUS(r.status);
}
