/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_DAEMON_H
#define CARDWIRE_PCSCD_DAEMON_H

/*
 * Being a daemon: going to the background, the pid file, the listening sockets. Called by the main
 * thread, before there are others. What fails is logged here.
 */

#include <stdbool.h>
#include <sys/types.h>

/*
 * Opens those of the standard streams that are closed on /dev/null, so that nothing of ours gets their
 * numbers: what is printed would go there.
 */
void daemon_open_streams(void);

/*
 * Goes to the background: returns in a new process in a session of its own, with standard streams
 * on /dev/null. The first process waits until daemon_tell_parent() and exits with the code told
 * there, or with 2 if the new process dies before. Returns a descriptor for daemon_tell_parent(),
 * or -1.
 */
int daemon_fork(void);

/* Ends the wait of the first process. `fd` is from daemon_fork() and is closed; -1 is allowed. */
void daemon_tell_parent(int fd, int exit_code);

/*
 * The pid file, which also is the lock that makes one daemon a socket: pid_file_lock() creates and
 * locks it (the lock survives fork()), pid_file_write() writes the pid of the calling process.
 * pid_file_lock() returns a descriptor to be kept open, or -1: *holder is then the pid of the
 * daemon that has the lock, 0 if that isn't known or the file cannot be made.
 */
int pid_file_lock(const char *path, pid_t *holder);
bool pid_file_write(int fd);

/* Removes the file and gives up the lock. */
void pid_file_unlock(int fd, const char *path);

/* The pid of the daemon that holds the pid file; 0 if none does. */
pid_t pid_file_holder(const char *path);

/*
 * A listening Unix stream socket at `path`, open to all users; its folder is made if it isn't
 * there. A socket that a dead daemon left is replaced, a live one is an error that names its pid.
 * Returns the descriptor or -1.
 */
int listen_at(const char *path);

/*
 * The socket that the service manager handed over, -1 if none, -2 if what it handed over is not
 * one listening Unix stream socket.
 */
int listen_inherited(void);

#endif
