/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The requests of the protocol, as the files that carry them out share them: commands.c (contexts,
 * and the table of all), commands_card.c (what needs a card), commands_wait.c (states and events).
 *
 * Each is called by the thread that runs the session. The request's body, changed, is the answer; a
 * request that has to wait (SESSION_PARK) is decoded and handled again from the start.
 */
#ifndef CARDWIRE_PCSCD_COMMANDS_H
#define CARDWIRE_PCSCD_COMMANDS_H

#include "pcscd/clients/session.h"

typedef enum session_outcome command_handler(
	struct session *session, struct wire_request *request, struct session_answer *answer);

/* The answer is these bytes, and the tail if there is one. Returns SESSION_ANSWER. */
enum session_outcome command_reply(struct session_answer *answer, void *head, size_t length);

/* Is this the connection's context? SCARD_S_SUCCESS, or why not. */
uint32_t command_check_context(const struct session *session, uint32_t context);

/* Lets the session's handles go, what they hold included. */
void command_drop_cards(struct session *session);

command_handler command_connect;
/* All other requests that begin with a handle. */
command_handler command_of_card;

command_handler command_states;
command_handler command_states_size;
command_handler command_states_array;
command_handler command_wait;
command_handler command_stop_waiting;
command_handler command_reader_events;
command_handler command_ext_list;
command_handler command_ext_wait;
command_handler command_ext_stop;

#endif
