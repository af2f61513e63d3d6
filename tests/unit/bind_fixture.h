/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Places and occupants for the tests of binds. */
#ifndef SOCKFAIR_BIND_FIXTURE_H
#define SOCKFAIR_BIND_FIXTURE_H

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../user/bind/bind.h"

/* "tcp 0.0.0.0:80 reuseaddr reuseport v6only uid=7 device=3" */
static inline struct bind_place place(const char *words)
{
	struct bind_place p = {};
	char copy[160], *save, *word = copy, *colon;

	snprintf(copy, sizeof(copy), "%s", words);
	p.protocol = !strncmp(copy, "udp", 3) ? PROTOCOL_UDP : PROTOCOL_TCP;
	word = strtok_r(copy + 4, " ", &save);
	colon = strrchr(word, ':');
	p.port = strtoul(colon + 1, NULL, 10);
	*colon = 0;
	if (*word == '[')
		colon[-1] = 0;
	p.family = *word == '[' ? AF_INET6 : AF_INET;
	inet_pton(p.family, word + (*word == '['), p.address);
	while ((word = strtok_r(NULL, " ", &save))) {
		p.reuseaddr |= !strcmp(word, "reuseaddr");
		p.reuseport |= !strcmp(word, "reuseport");
		p.v6only |= !strcmp(word, "v6only");
		if (!strncmp(word, "uid=", 4))
			p.uid = strtoul(word + 4, NULL, 10);
		if (!strncmp(word, "device=", 7))
			p.device = strtoul(word + 7, NULL, 10);
	}
	return p;
}

/* Held by nginx 7 where a process can hold that. */
static inline struct bind_occupant occupant(enum bind_state state, const char *words)
{
	struct bind_occupant o = { .place = place(words),
				   .state = state,
				   .options_known = true,
				   .count = 1,
				   .seconds_left = NAN };

	if (state != BIND_CLOSING && state != BIND_TIME_WAIT) {
		o.pid = o.pid_inside = 7;
		o.holders = 1;
		o.held = true;
		o.inode = 301;
		o.cookie = 17;
		strcpy(o.process, "nginx");
	}
	return o;
}

static inline struct bind_event event(enum bind_call call, int error, const char *words)
{
	struct bind_event e = { .call = call,
				.error = error,
				.place = place(words),
				.asked_known = true,
				.pid = 9,
				.tid = 9,
				.port_limit = 1024 };

	e.asked_family = e.place.family;
	e.euid = e.place.uid;
	e.port_got = error ? 0 : e.place.port;
	strcpy(e.comm, "python3");
	return e;
}

#endif
