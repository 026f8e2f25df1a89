/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The document that the daemon sends on its status socket (wire/status_path.h), and what the
 * subcommands do with it alike.
 */
#ifndef CARDWIRE_TOOLS_REPORT_H
#define CARDWIRE_TOOLS_REPORT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Connects to a socket, with a time limit on each read and write; -1 with errno. */
int report_connect(const char *path);

/*
 * Waits until the daemon answers a client, whatever it says. The service manager may listen in its
 * place and start it at the first connection. False with errno: nobody is there, or (EAGAIN) it
 * doesn't answer.
 */
bool report_knock(const char *socket);

/* Whether the daemon's status socket answers, which asks polkit nothing. */
bool report_serves(const char *socket);

/* Whose daemon has the status socket beside it, as the kernel knows it. False: none has. */
bool report_owner(const char *socket, struct ucred *owner);

#define REPORT_WHY 256 /* bytes */

/*
 * The document of the daemon that serves `socket`, for the caller to json_object_put(); it has the
 * arrays "readers" and "waiters", and its texts are clean (tools/text.h). A daemon that the service
 * manager starts for its first client is started. NULL, and `why` says why: there is no daemon, or
 * none that has such a socket. Takes 10 s at most for each side.
 */
json_object *report_ask(const char *socket, char why[REPORT_WHY]);

/* The same; why not is told on standard error. */
json_object *report_fetch(const char *socket);

/* Calls CHANGE for each text in a document but the keys, and puts what that makes of it there. */
typedef void report_change(const void *ctx, char *text);
void report_change_texts(json_object *json, report_change *change, const void *ctx);

/* A new object with those members of `from`; `keys` ends with NULL. */
json_object *report_pick(json_object *from, const char *const keys[]);

/* A member as text; "" if it is null or missing. */
const char *report_text(json_object *from, const char *key);

/* Prints an object { "readers": readers } and gives `readers` back. Returns the exit status. */
int report_print_json(json_object *readers);

#endif
