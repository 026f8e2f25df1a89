/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile USB/IP client: the input is what it sends, in pieces as long as their first byte says.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vreader/loop.h"
#include "vreader/rack.h"
#include "vreader/usb/usbip_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void serve_pending(struct loop *loop, struct rack *rack)
{
	for (int i = 0; i < 4; i++) {
		loop_once(loop, 0);
		usbip_server_run(rack->server, loop_now());
	}
}

static void drain(int fd)
{
	uint8_t bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const profiles[] = { "extended", "tpdu", "dual", "character" };
	struct loop *loop = loop_new();
	struct rack rack;
	struct rack_slot where;
	struct profile p;
	int fds[2];

	profile_builtin(profiles[size & 3], &p);
	if (!loop || !rack_init(&rack, &p, 1, &card_options_default) ||
		!rack_find(&rack, 0, 0, &where) ||
		rack_insert(&where, "iso", &card_options_default) ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
		abort();
	rack.server = usbip_server_new(loop, rack.devices, rack.count);
	if (!rack.server || !usbip_server_adopt(rack.server, fds[0]))
		abort();
	while (size) {
		size_t n = data[0] ? data[0] : 256;

		data++;
		size--;
		if (n > size)
			n = size;
		if (n && send(fds[1], data, n, MSG_NOSIGNAL) < 0)
			break;
		data += n;
		size -= n;
		serve_pending(loop, &rack);
		drain(fds[1]);
	}
	close(fds[1]);
	serve_pending(loop, &rack);
	usbip_server_free(rack.server);
	rack_free(&rack);
	loop_free(loop);
	return 0;
}
