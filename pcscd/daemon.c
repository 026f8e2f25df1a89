/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "pcscd/log.h"

#define CHILD_DIED    2    /* exit code of the first process then */
#define BACKLOG       1024 /* connections that wait to be accepted */
#define LOCK_ATTEMPTS 10   /* a daemon that is just ending may remove the file under us */

/* The first process: waits for the verdict of the second. */
static _Noreturn void wait_for_child(int fd)
{
	unsigned char code = CHILD_DIED;
	ssize_t n;

	do
		n = read(fd, &code, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? code : CHILD_DIED);
}

void daemon_open_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

int daemon_fork(void)
{
	int ends[2];
	pid_t pid;

	fflush(NULL);
	if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		log_line(PCSC_LOG_CRITICAL, "cannot go to the background: %s", strerror(errno));
		return -1;
	}
	if (pid > 0) {
		close(ends[1]);
		wait_for_child(ends[0]);
	}
	close(ends[0]);
	leave_terminal();
	return ends[1];
}

void daemon_tell_parent(int fd, int exit_code)
{
	unsigned char code = (unsigned char)exit_code;

	if (fd < 0)
		return;
	/* If the first process was killed meanwhile nobody is interested. */
	if (write(fd, &code, 1) != 1)
		log_line(PCSC_LOG_DEBUG, "the starting process is gone");
	close(fd);
}

/* Makes the folder of `path`, with the one above it there already. */
static bool make_folder(const char *path)
{
	char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	bool ok = false;

	if (slash && slash != folder) {
		mode_t mask = umask(022);

		*slash = '\0';
		ok = mkdir(folder, 0755) == 0 || errno == EEXIST;
		if (!ok)
			log_line(PCSC_LOG_CRITICAL,
				"cannot make the folder %s: %s (--socket chooses another)", folder,
				strerror(errno));
		umask(mask);
	} else if (slash) {
		ok = true;
	}
	free(folder);
	return ok;
}

static pid_t read_pid(int fd)
{
	char text[32] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

/* True if the open file is still the one at `path`. */
static bool is_at(int fd, const char *path)
{
	struct stat mine;
	struct stat there;

	return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino &&
	       mine.st_dev == there.st_dev;
}

/*
 * Opens the file, which is made if it isn't there. One that another user's daemon made may be read
 * only: *foreign.
 */
static int open_pid_file(const char *path, bool *foreign)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	*foreign = fd < 0 && errno == EACCES;
	if (*foreign)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		log_line(PCSC_LOG_CRITICAL, "cannot make %s: %s", path, strerror(errno));
	return fd;
}

static void tell_holder(const char *path, pid_t holder)
{
	if (holder)
		log_line(PCSC_LOG_CRITICAL, "another pcscd (pid %ld) is running: it holds %s",
			(long)holder, path);
	else
		log_line(PCSC_LOG_CRITICAL, "another pcscd is just starting: it holds %s", path);
}

int pid_file_lock(const char *path, pid_t *holder)
{
	*holder = 0;
	if (!make_folder(path))
		return -1;
	for (int i = 0; i < LOCK_ATTEMPTS; i++) {
		bool foreign;
		int fd = open_pid_file(path, &foreign);

		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			*holder = read_pid(fd);
			tell_holder(path, *holder);
			close(fd);
			return -1;
		}
		if (!foreign && is_at(fd, path))
			return fd;
		/* Its daemon is dead: the folder is ours, and so is the place. */
		if (foreign && is_at(fd, path) && unlink(path) < 0) {
			log_line(PCSC_LOG_CRITICAL, "cannot replace %s: %s", path, strerror(errno));
			close(fd);
			return -1;
		}
		close(fd);
	}
	log_line(PCSC_LOG_CRITICAL, "%s is replaced again and again", path);
	return -1;
}

bool pid_file_write(int fd)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	/* Whatever the umask: whoever finds it may ask whether we live. */
	(void)fchmod(fd, 0644);
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) == length)
		return true;
	log_line(PCSC_LOG_CRITICAL, "cannot write the pid file: %s", strerror(errno));
	return false;
}

void pid_file_unlock(int fd, const char *path)
{
	if (fd < 0)
		return;
	unlink(path);
	close(fd);
}

pid_t pid_file_holder(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	pid_t pid = 0;

	if (fd < 0)
		return 0;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		pid = read_pid(fd);
	close(fd);
	return pid;
}

/* Whether a daemon answers at the socket. Logs who, or why that can't be told. */
static bool is_served(const struct sockaddr_un *address, socklen_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);
	int error = 0;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, size) < 0)
		error = errno;
	if (fd >= 0 && error == 0)
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	if (fd >= 0)
		close(fd);
	/*
	 * EACCES: another user's, such as the one for recordings. Since we hold the pid file, and
	 * nobody serves the main socket, its daemon is dead.
	 */
	if (error == ECONNREFUSED || error == ENOENT || error == EACCES)
		return false;
	if (error == 0 || error == EAGAIN)
		log_line(PCSC_LOG_CRITICAL, "another daemon (pid %ld) serves %s", (long)peer.pid,
			address->sun_path);
	else
		log_line(PCSC_LOG_CRITICAL, "%s: %s", address->sun_path, strerror(error));
	return true;
}

/* Makes room for our socket. False if what is there must stay. */
static bool clear_place(const struct sockaddr_un *address, socklen_t size)
{
	struct stat status;

	if (lstat(address->sun_path, &status) < 0)
		return true;
	if (!S_ISSOCK(status.st_mode)) {
		log_line(PCSC_LOG_CRITICAL, "%s is there and is no socket", address->sun_path);
		return false;
	}
	if (is_served(address, size))
		return false;
	log_line(PCSC_LOG_INFO, "removing %s, which a dead daemon left", address->sun_path);
	unlink(address->sun_path);
	return true;
}

int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		log_line(PCSC_LOG_CRITICAL, "%s: a socket's path has at most %zu bytes", path,
			sizeof(address.sun_path) - 1);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (!make_folder(path) || !clear_place(&address, sizeof(address)))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* chmod() last: waiting clients watch the folder, and connect when the mode changes. */
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, BACKLOG) < 0 || chmod(path, 0666) < 0) {
		log_line(PCSC_LOG_CRITICAL, "cannot listen at %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int listen_inherited(void)
{
	int count = sd_listen_fds(1);
	int fd = SD_LISTEN_FDS_START;

	if (count == 0)
		return -1;
	if (count < 0) {
		log_line(PCSC_LOG_CRITICAL, "what the service manager handed over: %s",
			strerror(-count));
		return -2;
	}
	if (count != 1 || sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
		log_line(PCSC_LOG_CRITICAL,
			"the service manager handed over %d descriptors; one listening Unix stream "
			"socket is wanted",
			count);
		return -2;
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}
