/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_usbip.h"

#include <string.h>

#include "number.h"

#define UNIX_PREFIX "unix:"

/* Copies LEN characters and ends them; false if they don't fit or there are none. */
static bool take(char *out, size_t size, const char *from, size_t len)
{
	if (len == 0 || len >= size)
		return false;
	memcpy(out, from, len);
	out[len] = '\0';
	return true;
}

/* HOST:PORT or [HOST]:PORT */
static bool parse_tcp(const char *text, size_t len, struct usbip_address *address)
{
	const char *colon = memrchr(text, ':', len);
	size_t host_len;

	if (!colon)
		return false;
	host_len = (size_t)(colon - text);
	if (!take(address->port, sizeof(address->port), colon + 1, len - host_len - 1))
		return false;
	if (host_len > 2 && text[0] == '[' && colon[-1] == ']')
		return take(address->host, sizeof(address->host), text + 1, host_len - 2);
	return take(address->host, sizeof(address->host), text, host_len);
}

/* BUSID or BUSID:C.I */
static bool parse_busid(const char *text, struct usbip_address *address)
{
	const char *colon = strchr(text, ':');
	const char *at;
	unsigned configuration;
	unsigned interface;

	address->interface = -1;
	if (!colon)
		return take(address->busid, sizeof(address->busid), text, strlen(text));
	at = colon + 1;
	if (!number_take(&at, 10, UINT8_MAX, &configuration) || !number_skip(&at, ".") ||
		!number_take(&at, 10, UINT8_MAX, &interface) || *at)
		return false;
	address->interface = (int)interface;
	return take(address->busid, sizeof(address->busid), text, (size_t)(colon - text));
}

bool usbip_parse(const char *name, struct usbip_address *address)
{
	const char *rest;
	const char *slash;
	size_t len;

	memset(address, 0, sizeof(*address));
	if (strncmp(name, USBIP_PREFIX, strlen(USBIP_PREFIX)) != 0)
		return false;
	rest = name + strlen(USBIP_PREFIX);
	slash = strrchr(rest, '/');
	if (!slash || !parse_busid(slash + 1, address))
		return false;
	len = (size_t)(slash - rest);
	if (strncmp(rest, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return take(address->path, sizeof(address->path), rest + strlen(UNIX_PREFIX),
			len - strlen(UNIX_PREFIX));
	return parse_tcp(rest, len, address);
}
