/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "facts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../attach/loading.h"
#include "../collect/bpf_holder.h"
#include "../collect/device.h"
#include "../collect/group_look.h"
#include "../collect/namespace.h"
#include "../collect/observer_steer.h"
#include "../model/steer_plan.h"
#include "take.h"

/* Returns 0 or negative errno with `why`. */
static int lookup_facts(struct steer_facts *facts, const struct endpoint *e, char *why, size_t size)
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
	return 0;
}

/*
 * Whose program does the socket's group have? Ours is held by those who steer, and by nobody once
 * they have been killed; one of those in another pid namespace can't be seen, and notices that its
 * program has gone. Returns 0 or negative errno.
 */
static int group_program_facts(struct steer_facts *facts, const struct group_looks *looks, int fd)
{
	struct group_program found;
	const int err = group_look_at(looks, fd, &found);

	if (err || !group_has_program(&found))
		return err;
	if (strcmp(found.name, STEER_GROUP_PROGRAM) != 0) {
		facts->program = true;
		return 0;
	}
	facts->steerer = bpf_holder(BPF_HELD_PROGRAM, found.id);
	if (!facts->steerer)
		facts->left = found.id;
	return 0;
}

/* looks: NULL: this kernel's groups have no program of ours. */
static int sockets_facts(struct steer_facts *facts, const struct endpoint *e,
			 const struct group_looks *looks, char *why, size_t size)
{
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];
		int fd, err = 0;

		if (!steer_is_listener(s))
			continue;
		fd = take_socket(e, s->cookie, why, size);
		if (fd < 0)
			return fd;
		if (take_is_mptcp(fd))
			facts->mptcp = s->cookie;
		if (looks && s->group && !facts->left && !facts->steerer)
			err = group_program_facts(facts, looks, fd);
		close(fd);
		if (err)
			return loading_fail(err, why, size,
					    "which program its SO_REUSEPORT group has can't be "
					    "seen: %s",
					    strerror(-err));
	}
	return 0;
}

int steer_facts_find(struct steer_facts *facts, const struct endpoint *e, char *why, size_t size)
{
	struct group_looks *looks = NULL;
	int err = lookup_facts(facts, e, why, size), known;

	if (err)
		return err;
	if (e->protocol != PROTOCOL_TCP)
		return sockets_facts(facts, e, NULL, why, size);
	known = group_programs_see(why, size);
	if (known < 0)
		return known;
	facts->reuseport_known = known;
	if (known)
		err = group_looks_open(&looks, why, size);
	if (!err)
		err = sockets_facts(facts, e, looks, why, size);
	group_looks_close(looks);
	return err;
}
