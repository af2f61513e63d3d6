/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json_bind.h"

#include <arpa/inet.h>
#include <math.h>
#include <string.h>

#include "json_unit.h"

void json_bind_place(struct json_writer *w, const struct bind_place *p)
{
	char address[INET6_ADDRSTRLEN];

	inet_ntop(p->family == AF_INET6 ? AF_INET6 : AF_INET, p->address, address, sizeof(address));
	json_text(w, "protocol", p->protocol == PROTOCOL_UDP ? "udp" : "tcp", SIZE_MAX);
	json_number(w, "family", p->family == AF_INET6 ? 6 : 4);
	json_text(w, "address", address, SIZE_MAX);
	json_number(w, "port", p->port);
	json_number(w, "netns", p->netns);
	if (*p->device_name)
		json_text(w, "device", p->device_name, sizeof(p->device_name));
	else
		json_nothing(w, "device");
	if (p->family == AF_INET6)
		json_bool(w, "v6only", p->v6only);
	else
		json_nothing(w, "v6only");
}

void json_bind_options(struct json_writer *w, const struct bind_place *p, bool known)
{
	json_number(w, "uid", p->uid);
	if (known) {
		json_bool(w, "reuseaddr", p->reuseaddr);
		json_bool(w, "reuseport", p->reuseport);
	} else {
		json_nothing(w, "reuseaddr");
		json_nothing(w, "reuseport");
	}
}

static void peer(struct json_writer *w, const struct bind_occupant *o)
{
	char address[INET6_ADDRSTRLEN];

	if (!o->peer_port) {
		json_nothing(w, "peer");
		return;
	}
	inet_ntop(o->place.family == AF_INET6 ? AF_INET6 : AF_INET, o->peer, address,
		  sizeof(address));
	json_open(w, "peer", '{');
	json_text(w, "address", address, SIZE_MAX);
	json_number(w, "port", o->peer_port);
	json_close(w, '}');
}

void json_bind_occupant_open(struct json_writer *w, const struct bind_occupant *o)
{
	static const char nowhere[CGROUP_SIZE];

	json_open(w, NULL, '{');
	json_bind_place(w, &o->place);
	json_bind_options(w, &o->place, o->options_known);
	json_text(w, "state", bind_state_name(o->state), SIZE_MAX);
	json_number(w, "sockets", o->count);
	json_number_if(w, "inode", o->inode, o->inode);
	json_number_if(w, "cookie", o->cookie, o->cookie);
	json_number_if(w, "pid", o->pid > 0, o->pid);
	json_number_if(w, "pid_inside", o->pid_inside > 0, o->pid_inside);
	json_number(w, "holders", o->holders);
	if (o->pid > 0)
		json_text(w, "process", o->process, sizeof(o->process));
	else
		json_nothing(w, "process");
	json_number_real(w, "seconds_left", o->seconds_left);
	json_number_if(w, "descriptor", o->held_by, o->held_by ? o->held_by->descriptor : 0);
	json_cgroup(w, o->pid > 0 && o->cgroup ? o->cgroup : nowhere);
	if (o->by_kernel)
		json_text(w, "kernel", o->receiver, sizeof(o->receiver));
	else
		json_nothing(w, "kernel");
	peer(w, o);
	if (o->origin == ORIGIN_UNKNOWN)
		json_nothing(w, "port_picked");
	else
		json_bool(w, "port_picked", o->origin == ORIGIN_PICKED);
}
