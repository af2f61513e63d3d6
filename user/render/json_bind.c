/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the members that places and occupants have in every document. */
#include "json_bind.h"

#include <arpa/inet.h>
#include <math.h>
#include <string.h>

#include "json_unit.h"

void json_bind_place(struct json_writer *w, const struct bind_place *p)
{
	json_string(w, "protocol", p->protocol == PROTOCOL_UDP ? "udp" : "tcp");
	json_number(w, "family", p->family == AF_INET6 ? 6 : 4);
	json_address(w, "address", p->family == AF_INET6 ? AF_INET6 : AF_INET, p->address);
	json_number(w, "port", p->port);
	json_number(w, "netns", p->netns);
	json_name_if(w, "device", p->device_name);
	json_bool_if(w, "v6only", p->family == AF_INET6, p->v6only);
}

void json_bind_options(struct json_writer *w, const struct bind_place *p, bool known)
{
	json_number(w, "uid", p->uid);
	json_bool_if(w, "reuseaddr", known, p->reuseaddr);
	json_bool_if(w, "reuseport", known, p->reuseport);
}

static void write_occupant_peer(struct json_writer *w, const struct bind_occupant *o)
{
	if (!o->peer_port) {
		json_nothing(w, "peer");
		return;
	}
	json_open(w, "peer", '{');
	json_address(w, "address", o->place.family == AF_INET6 ? AF_INET6 : AF_INET, o->peer);
	json_number(w, "port", o->peer_port);
	json_close(w, '}');
}

void json_bind_occupant_open(struct json_writer *w, const struct bind_occupant *o)
{
	static const char nowhere[CGROUP_SIZE];

	json_open(w, NULL, '{');
	json_bind_place(w, &o->place);
	json_bind_options(w, &o->place, o->options_known);
	json_string(w, "state", bind_state_name(o->state));
	json_number(w, "sockets", o->count);
	json_number_if(w, "inode", o->inode, o->inode);
	json_number_if(w, "cookie", o->cookie, o->cookie);
	json_number_if(w, "pid", o->pid > 0, o->pid);
	json_number_if(w, "pid_inside", o->pid_inside > 0, o->pid_inside);
	json_number(w, "holders", o->holders);
	json_text_if(w, "process", o->pid > 0, o->process, sizeof(o->process));
	json_number_real(w, "seconds_left", o->seconds_left);
	json_number_if(w, "descriptor", o->held_by, o->held_by ? o->held_by->descriptor : 0);
	json_cgroup(w, o->pid > 0 && o->cgroup ? o->cgroup : nowhere);
	json_text_if(w, "kernel", o->by_kernel, o->receiver, sizeof(o->receiver));
	write_occupant_peer(w, o);
	json_bool_if(w, "port_picked", o->origin != ORIGIN_UNKNOWN, o->origin == ORIGIN_PICKED);
}
