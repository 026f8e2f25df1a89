/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the checks of pcscctl doctor share: how they report, and what was already found out. Each
 * check reports at least one finding. Paths below the place's root are made by doctor_path().
 */
#ifndef CARDWIRE_TOOLS_DOCTOR_CHECKS_H
#define CARDWIRE_TOOLS_DOCTOR_CHECKS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "tools/doctor.h"

#define DOCTOR_TEXT 1024 /* bytes of a sentence */

struct doctor {
	const struct doctor_place *place;
	json_object *findings;
	const char *check;   /* the one that runs */
	json_object *status; /* the daemon's document, see tools/report.h; NULL: it has none */
	pid_t daemon;        /* its process, as it says; 0: not known */
	struct ucred owner;  /* of its socket, as the kernel says; where there is a status */
	bool answers;        /* a daemon, ours or not, answers at the socket */
};

/* Each adds a finding: nothing is wrong; something is, and what to do; it can't be told why not. */
void doctor_good(struct doctor *doctor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void doctor_fault(struct doctor *doctor, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_skip(struct doctor *doctor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The path below the root, in `path`; which it returns. */
const char *doctor_path(const struct doctor *doctor, char path[PATH_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Is there a file of that path below the root? */
bool doctor_exists(const struct doctor *doctor, const char *path);

/* The same in one of the folders that files of systemd and udev are in: /etc, /run, /usr/lib, … */
bool doctor_exists_in_lib(const struct doctor *doctor, const char *path);

/* Did systemd start this machine? */
bool doctor_has_systemd(const struct doctor *doctor);

/* Is this a container, as far as it can be told? */
bool doctor_in_container(const struct doctor *doctor);

/* The checks, in the order of the table. */
void doctor_check_service(struct doctor *doctor);
void doctor_check_daemon(struct doctor *doctor);
void doctor_check_version(struct doctor *doctor);
void doctor_check_library(struct doctor *doctor);
void doctor_check_polkit(struct doctor *doctor);
void doctor_check_access(struct doctor *doctor);
void doctor_check_config(struct doctor *doctor);
void doctor_check_udev(struct doctor *doctor);
void doctor_check_node(struct doctor *doctor);
void doctor_check_interface(struct doctor *doctor);
void doctor_check_listed(struct doctor *doctor);

#endif
