/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "facts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../attach/loading.h"
#include "../collect/device.h"
#include "../collect/namespace.h"
#include "../collect/observer_steer.h"
#include "take.h"

int steer_facts_find(struct steer_facts *facts, const struct endpoint *e, char *why, size_t size)
{
	const int netns = namespace_open(e->netns);
	struct steer_programs programs;
	int err;

	if (netns < 0)
		return loading_fail(netns, why, size,
				    "the port's network namespace can't be opened: %s",
				    strerror(-netns));
	err = steer_programs_find(&programs, netns);
	close(netns);
	if (err && err != -EINVAL)
		return loading_fail(
			err, why, size,
			"the kernel does not say which programs pick sockets in the port's "
			"network namespace: %s",
			err == -EPERM ? "CAP_NET_ADMIN or CAP_BPF is missing" : strerror(-err));
	facts->lookup_known = !err;
	facts->lookup_others = programs.count;
	err = device_find_vrf(e->netns, e->protocol == PROTOCOL_UDP, facts->vrf);
	if (err)
		return loading_fail(err, why, size,
				    "the devices of the port's network namespace can't be looked "
				    "at: %s",
				    strerror(-err));
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];
		int fd;

		if (!steer_is_listener(s))
			continue;
		fd = take_socket(e, s->cookie, why, size);
		if (fd < 0)
			return fd;
		if (take_is_mptcp(fd))
			facts->mptcp = s->cookie;
		close(fd);
	}
	return 0;
}
