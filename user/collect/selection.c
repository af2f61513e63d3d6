/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compares a socket or a process with the lists of a selection. A list that is empty does not
 * restrict anything.
 */
#include "selection.h"

#include <string.h>

bool selection_by_process(const struct selection *s)
{
	return s->pid_count || s->comm_count || s->cgroup_count;
}

bool selection_socket(const struct selection *s, uint32_t netns, int family, int protocol,
		      uint16_t port, bool client)
{
	bool in = !s->netns_count;

	for (size_t i = 0; i < s->netns_count; i++)
		in |= s->netns[i] == netns;
	if (!in || (s->family && s->family != family) || (s->protocol && s->protocol != protocol))
		return false;
	in = !s->port_count && !client;
	for (size_t i = 0; i < s->port_count; i++)
		in |= s->ports[i] == port;
	return in;
}

/* Is the cgroup the one at `path`, or below it? */
static bool cgroup_within(const char *cgroup, const char *path)
{
	size_t length = strlen(path);

	return !strncmp(cgroup, path, length) &&
	       (!cgroup[length] || cgroup[length] == '/' || (length && path[length - 1] == '/'));
}

bool selection_process(const struct selection *s, int32_t pid, const char *name, const char *cgroup)
{
	bool in = !s->pid_count;

	for (size_t i = 0; i < s->pid_count; i++)
		in |= s->pids[i] == pid;
	if (!in)
		return false;
	in = !s->comm_count;
	for (size_t i = 0; i < s->comm_count; i++)
		in |= !strncmp(s->comms[i], name, sizeof(s->comms[i]));
	if (!in)
		return false;
	in = !s->cgroup_count;
	for (size_t i = 0; i < s->cgroup_count; i++)
		in |= cgroup_within(cgroup, s->cgroups[i]);
	return in;
}

struct filter_config selection_filter(const struct selection *s, bool by_port)
{
	struct filter_config f = { .family = s->family,
				   .protocol = s->protocol,
				   .by_port = by_port };

	for (size_t i = 0; i < s->netns_count; i++)
		f.netns[i] = s->netns[i];
	for (size_t i = 0; i < s->port_count && s->port_count <= FILTER_PORTS_MAX; i++)
		f.ports[i] = s->ports[i];
	return f;
}
