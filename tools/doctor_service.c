/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl doctor: is there a daemon, is it ours, is it alone, and do its parts belong together? */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/doctor_checks.h"
#include "tools/doctor_process.h"
#include "tools/report.h"

#define SOCKET_UNIT "systemd/system/pcscd.socket"
#define LIBRARY     "libpcsclite.so.1"
/* libpcsclite/ident.c */
#define IDENT "cardwire libpcsclite "

static bool is_masked(const struct doctor *doctor)
{
	char path[PATH_MAX], target[32];
	ssize_t length =
		readlink(doctor_path(doctor, path, "etc/" SOCKET_UNIT), target, sizeof(target));

	return length == strlen("/dev/null") && memcmp(target, "/dev/null", (size_t)length) == 0;
}

/* Nobody listens at the socket: there is no such file, or one that was left behind. */
static void tell_silence(struct doctor *doctor, bool stale)
{
	const char *socket = doctor->place->socket;

	if (doctor_has_systemd(doctor) && is_masked(doctor))
		doctor_fault(doctor, "systemctl unmask pcscd.socket; systemctl start pcscd.socket",
			"%s: nobody listens: the unit pcscd.socket is masked", socket);
	else if (doctor_has_systemd(doctor) && doctor_exists_in_lib(doctor, SOCKET_UNIT))
		doctor_fault(doctor, "systemctl enable --now pcscd.socket",
			"%s: nobody listens: the unit pcscd.socket is not active", socket);
	else if (stale)
		doctor_fault(doctor, "start pcscd: it takes the place of what was left behind",
			"%s: a stale socket: the daemon that made it has ended", socket);
	else if (doctor_in_container(doctor))
		doctor_fault(doctor,
			"mount the folder of the host's socket into the container, or start pcscd "
			"in it",
			"%s: not there: no daemon is running in this container", socket);
	else
		doctor_fault(doctor, "start pcscd", "%s: not there: no daemon is running", socket);
}

static void tell_error(struct doctor *doctor, int error)
{
	const char *socket = doctor->place->socket;

	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		tell_silence(doctor, error == ECONNREFUSED);
		break;
	case EACCES:
		doctor_fault(doctor,
			"its mode should be 0666: restart pcscd.socket; in a sandbox, let the "
			"application have the socket",
			"%s: this user may not connect", socket);
		break;
	case EAGAIN:
		doctor_fault(doctor, "restart pcscd; pcscd --debug shows where it hangs",
			"%s: the daemon does not answer", socket);
		break;
	default:
		doctor_fault(doctor, "restart pcscd", "%s: %s", socket, strerror(error));
		break;
	}
}

/* A daemon that still asks polkit about us leaves us without an answer, and serves others. */
static bool is_served(const char *socket)
{
	int error;

	if (report_knock(socket))
		return true;
	error = errno;
	if (error == EAGAIN && report_serves(socket))
		return true;
	errno = error;
	return false;
}

void doctor_check_service(struct doctor *doctor)
{
	char who[DOCTOR_PROCESS] = "a daemon";
	char why[REPORT_WHY];
	json_object *daemon, *pid;

	if (!is_served(doctor->place->socket)) {
		tell_error(doctor, errno);
		return;
	}
	doctor->answers = true;
	doctor->status = report_ask(doctor->place->socket, why);
	if (doctor->status && !report_owner(doctor->place->socket, &doctor->owner)) {
		json_object_put(doctor->status);
		doctor->status = NULL;
	}
	daemon = json_object_object_get(doctor->status, "daemon");
	pid = json_object_object_get(daemon, "pid");
	if (pid) {
		doctor->daemon = (pid_t)json_object_get_int(pid);
		doctor_describe(doctor, doctor->daemon, who);
	}
	doctor_good(doctor, "%s: %s answers", doctor->place->socket, who);
}

struct others {
	struct doctor *doctor;
	size_t count;
};

static bool tell_other(void *context, pid_t pid)
{
	struct others *others = context;
	char who[DOCTOR_PROCESS];

	if (pid == others->doctor->daemon || !doctor_is_called(others->doctor, pid, "pcscd"))
		return true;
	/* Which of them answers at the socket can't be told if it has no status. */
	if (others->doctor->answers && !others->doctor->status)
		return true;
	doctor_describe(others->doctor, pid, who);
	doctor_fault(others->doctor, "end all but one: systemctl status PID shows what started it",
		"another PC/SC daemon is active and may take readers away: %s", who);
	others->count++;
	return true;
}

void doctor_check_daemon(struct doctor *doctor)
{
	struct others others = { .doctor = doctor };

	if (doctor->answers && !doctor->status) {
		doctor_fault(doctor,
			"find it with \"systemctl status pcscd\" or \"pgrep -a pcscd\", and "
			"replace it",
			"%s: another PC/SC daemon serves it, not this package's",
			doctor->place->socket);
		return;
	}
	doctor_each_process(doctor, tell_other, &others);
	if (others.count == 0)
		doctor_good(doctor, "no other PC/SC daemon is active");
}

void doctor_check_version(struct doctor *doctor)
{
	json_object *daemon = json_object_object_get(doctor->status, "daemon");
	const char *version = report_text(daemon, "version");

	if (!doctor->status)
		doctor_skip(doctor, "no daemon of this package answers");
	else if (strcmp(version, CARDWIRE_VERSION) == 0)
		doctor_good(doctor, "daemon and tools are of version %s", version);
	else
		doctor_fault(doctor, "systemctl restart pcscd.service",
			"the running daemon is of version %s, what is installed "
			"of " CARDWIRE_VERSION,
			*version ? version : "unknown");
}

/* What follows IDENT in the file, up to a NUL; false if it isn't there. */
static bool find_ident(const char *file, char *version, size_t size)
{
	struct stat about;
	const char *found = NULL;
	void *bytes;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (fstat(fd, &about) == 0 && about.st_size > 0) {
		size_t length = (size_t)about.st_size;

		bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes != MAP_FAILED) {
			found = memmem(bytes, length, IDENT, strlen(IDENT));
			if (found) {
				found += strlen(IDENT);
				snprintf(version, size, "%.*s",
					(int)strnlen(
						found, (size_t)((char *)bytes + length - found)),
					found);
			}
			munmap(bytes, length);
		}
	}
	close(fd);
	return found != NULL;
}

/* The library that programs load which are started like this one. */
void doctor_check_library(struct doctor *doctor)
{
	void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
	struct link_map *map;
	char version[64];

	if (!library) {
		doctor_fault(doctor, "install libpcsclite1", "programs find no %s", LIBRARY);
		return;
	}
	if (dlinfo(library, RTLD_DI_LINKMAP, &map) < 0)
		doctor_skip(doctor, "where %s is can't be told", LIBRARY);
	else if (!find_ident(map->l_name, version, sizeof(version)))
		doctor_fault(doctor, "install this package's libpcsclite1, or remove the other one",
			"programs use %s, which is another project's", map->l_name);
	else if (strcmp(version, CARDWIRE_VERSION) != 0)
		doctor_fault(doctor, "install libpcsclite1 and pcscd of the same version",
			"programs use %s of version %s, the daemon is of " CARDWIRE_VERSION,
			map->l_name, version);
	else
		doctor_good(doctor, "programs use %s of version %s", map->l_name, version);
	dlclose(library);
}
