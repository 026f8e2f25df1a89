/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl doctor: may this user use readers, and can polkit be asked? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "tools/doctor_checks.h"
#include "tools/doctor_process.h"
#include "tools/report.h"
#include "wire/messages.h"

#define ANSWER_S  10   /* longer than any daemon takes that asks nobody for a password */
#define ARGUMENTS 8192 /* bytes of the daemon's arguments that are looked at */

#define BUS    "run/dbus/system_bus_socket"
#define ACTION "org.debian.pcsc-lite.access_pcsc"
#define POLICY "usr/share/polkit-1/actions/org.debian.pcsc-lite.policy"
#define POLKIT "usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service"

static bool daemon_has_option(const struct doctor *doctor, const char *option)
{
	char text[ARGUMENTS];
	size_t length =
		doctor->daemon ? doctor_arguments(doctor, doctor->daemon, text, sizeof(text)) : 0;

	for (size_t at = 0; at < length; at += strlen(text + at) + 1) {
		if (strcmp(text + at, option) == 0)
			return true;
	}
	return false;
}

void doctor_check_polkit(struct doctor *doctor)
{
	static const char remedy[] =
		"without it only root may use readers, and whom the daemon's option --allow names "
		"(PCSCD_ARGS in /etc/default/pcscd)";
	char text[DOCTOR_TEXT];

	if (daemon_has_option(doctor, "--disable-polkit")) {
		doctor_good(doctor, "the daemon was told not to ask polkit");
		return;
	}
	if (!doctor_exists(doctor, BUS)) {
		snprintf(text, sizeof(text), "install and start dbus and polkitd; %s", remedy);
		doctor_fault(doctor, text, "no D-Bus (/%s): polkit cannot be asked", BUS);
	} else if (!doctor_exists(doctor, POLKIT)) {
		snprintf(text, sizeof(text), "install polkitd; %s", remedy);
		doctor_fault(doctor, text, "polkit is not installed");
	} else if (!doctor_exists(doctor, POLICY)) {
		doctor_fault(doctor, "install pcscd again",
			"/%s is missing: polkit denies what it does not know", POLICY);
	} else {
		doctor_good(doctor, "polkit can be asked");
	}
}

enum answer {
	GRANTED,
	DENIED,
	NO_ANSWER,
};

/* Asks for a context. A client that may not have one has its connection closed. */
static enum answer ask(const char *socket)
{
	const struct {
		struct wire_header version_header;
		struct wire_version version;
		struct wire_header establish_header;
		struct wire_establish establish;
	} request = {
		.version_header = { .size = sizeof(struct wire_version), .command = WIRE_VERSION },
		.version = { .major = WIRE_VERSION_MAJOR, .minor = WIRE_VERSION_MINOR },
		.establish_header = { .size = sizeof(struct wire_establish),
			.command = WIRE_ESTABLISH_CONTEXT },
	};
	const struct timeval limit = { .tv_sec = ANSWER_S };
	char answer[sizeof(struct wire_version) + sizeof(struct wire_establish)];
	enum answer result = NO_ANSWER;
	int fd = report_connect(socket);
	ssize_t got;

	if (fd < 0)
		return NO_ANSWER;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) == sizeof(request)) {
		got = recv(fd, answer, sizeof(answer), MSG_WAITALL);
		if (got == sizeof(answer))
			result = GRANTED;
		else if (got >= 0 || errno == ECONNRESET)
			result = DENIED;
	}
	close(fd);
	return result;
}

/* What polkit decides by: " in a remote session", …; "" where that can't be known. */
static const char *describe_session(void)
{
	char *session = NULL;
	const char *text;

	if (sd_pid_get_session(0, &session) < 0)
		return " outside of any session";
	if (sd_session_is_remote(session) > 0)
		text = " in a remote session";
	else if (sd_session_is_active(session) == 0)
		text = " in a session that is not active";
	else
		text = " in a local active session";
	free(session);
	return text;
}

void doctor_check_access(struct doctor *doctor)
{
	char remedy[DOCTOR_TEXT];

	if (!doctor->answers) {
		doctor_skip(doctor, "no daemon answers");
		return;
	}
	switch (ask(doctor->place->socket)) {
	case GRANTED:
		doctor_good(doctor, "uid %lu may use readers", (unsigned long)geteuid());
		break;
	case NO_ANSWER:
		doctor_skip(
			doctor, "no answer in %d s: polkit may be asking for a password", ANSWER_S);
		break;
	case DENIED:
		snprintf(remedy, sizeof(remedy),
			"a local active session; a rule in /etc/polkit-1/rules.d that allows %s "
			"and "
			"org.debian.pcsc-lite.access_card (pcscd(8)); or \"--allow uid:%lu\" in "
			"PCSCD_ARGS of /etc/default/pcscd",
			ACTION, (unsigned long)geteuid());
		doctor_fault(doctor, remedy, "polkit denies %s to uid %lu%s", ACTION,
			(unsigned long)geteuid(), describe_session());
		break;
	}
}
