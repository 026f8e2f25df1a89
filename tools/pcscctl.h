/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcscctl: the subcommands, one file each (pcscctl_VERB.c). One thread.
 */
#ifndef CARDWIRE_TOOLS_PCSCCTL_H
#define CARDWIRE_TOOLS_PCSCCTL_H

#include <stdbool.h>

struct pcscctl {
	const char *socket; /* the daemon's, for clients */
	bool json;          /* rather than text */
	const char *output; /* for report and trace; NULL: none */
	bool apdu;          /* trace: print APDUs */
	bool with_serial;   /* report: serial numbers are not masked */
	char **arguments;   /* words behind the subcommand, ended by NULL */
	const char *root;   /* for doctor: the folder that has sys, dev, …; "": / */
};

/* Each returns the exit status; what went wrong is told on standard error. */
int pcscctl_list(const struct pcscctl *options);
int pcscctl_doctor(const struct pcscctl *options);
int pcscctl_who(const struct pcscctl *options);
int pcscctl_quirks(const struct pcscctl *options);
int pcscctl_report(const struct pcscctl *options);
int pcscctl_trace(const struct pcscctl *options);

#endif
