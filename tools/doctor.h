/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcscctl doctor: what keeps smart cards from working on this machine, and what to do about it.
 *
 * One table of checks (doctor.c), each in the file of its subject (doctor_SUBJECT.c). A check looks
 * and changes nothing, except that a daemon which the service manager starts for its first client
 * is started. One thread.
 */
#ifndef CARDWIRE_TOOLS_DOCTOR_H
#define CARDWIRE_TOOLS_DOCTOR_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

struct doctor_place {
	const char *socket; /* the daemon's, for clients */
	const char
		*root; /* the folder whose sys, dev, proc, run, etc and usr are looked at; "": / */
};

/*
 * Runs all checks. An array, for the caller to json_object_put(), of one object or more for each
 * check, in the table's order:
 *
 *	check    its name, as pcscctl(1) lists them
 *	verdict  "good", "fault", or "skipped" where it could not be made
 *	what     one sentence: what was found, with the paths, processes and users it is about
 *	remedy   what to do about a fault; "" otherwise
 *
 * Takes some seconds at most: each question to the daemon has a limit of its own.
 */
json_object *doctor_examine(const struct doctor_place *place);

/* Prints the findings for people. True if there is no fault among them. */
bool doctor_print(json_object *findings, FILE *out);

#endif
