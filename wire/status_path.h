/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_WIRE_STATUS_PATH_H
#define CARDWIRE_WIRE_STATUS_PATH_H

/*
 * The status socket, beside the one for clients. Who connects to it need say nothing: the daemon
 * sends one JSON document, see pcscctl(1), and closes the connection.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * The path of the status socket of the daemon that serves `socket`: ".status" instead of ".comm", or
 * after anything else. False if it does not fit into `size` bytes.
 */
bool wire_status_path(const char *socket, char *path, size_t size);

/*
 * The same for the recording socket, ".record", which root and the daemon's own user may connect to:
 * pcscd/clients/recording.h says what is spoken there.
 */
bool wire_recording_path(const char *socket, char *path, size_t size);

#endif
