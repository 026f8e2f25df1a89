/* SPDX-License-Identifier: BSD-3-Clause */
/* Agreement on a version and on the extension. */
#include "wire/wire.h"

#include <pcsclite.h>

int wire_version_answer(const struct wire_version *request, struct wire_version *reply)
{
	bool known = request->major == WIRE_VERSION_MAJOR &&
		     request->minor >= WIRE_VERSION_MINOR_MIN &&
		     request->minor <= WIRE_VERSION_MINOR;
	bool hello = (request->rv & WIRE_EXT_HELLO_MASK) == WIRE_EXT_HELLO;
	int dialect = known ? (int)request->minor : -1;

	*reply = (struct wire_version){
		.major = WIRE_VERSION_MAJOR,
		.minor = WIRE_VERSION_MINOR,
		.rv = known ? (uint32_t)SCARD_S_SUCCESS : (uint32_t)SCARD_E_SERVICE_STOPPED,
	};
	if (dialect == WIRE_VERSION_MINOR && hello) {
		reply->rv = WIRE_EXT_WELCOME;
		dialect = WIRE_DIALECT_EXT;
	}
	return dialect;
}

void wire_version_ask(struct wire_version *request, uint32_t flags)
{
	*request = (struct wire_version){
		.major = WIRE_VERSION_MAJOR,
		.minor = WIRE_VERSION_MINOR,
		.rv = WIRE_EXT_HELLO | flags,
	};
}

int wire_version_agreed(const struct wire_version *reply, int asked, int *again)
{
	bool ours = reply->major == WIRE_VERSION_MAJOR && reply->minor >= WIRE_VERSION_MINOR_MIN;

	*again = -1;
	if (reply->rv == WIRE_EXT_WELCOME && asked == WIRE_VERSION_MINOR)
		return WIRE_DIALECT_EXT;
	if (reply->rv == (uint32_t)SCARD_S_SUCCESS && ours)
		return reply->minor < asked ? (int)reply->minor : asked;
	if (reply->rv == (uint32_t)SCARD_E_SERVICE_STOPPED && ours && reply->minor < asked)
		*again = (int)reply->minor;
	return -1;
}
