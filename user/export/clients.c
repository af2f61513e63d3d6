/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libmicrohttpd knows a timeout of inactivity alone, which a client that sends a byte now and then
 * never meets. What is shut down here it sees end by itself, and closes it.
 */
#include "clients.h"

#include <sys/socket.h>

#include "../collect/clock.h"

struct http_client *clients_enter(struct http_clients *c, int fd)
{
	struct http_client *who;

	if (fd < 0 || fd >= CLIENTS_DESCRIPTORS)
		return NULL;
	who = &c->by_descriptor[fd];
	*who = (struct http_client){ .since_ns = clock_ns(CLOCK_MONOTONIC) };
	c->count++;
	return who;
}

void clients_leave(struct http_clients *c, struct http_client *who)
{
	c->cut -= who->cut;
	c->count--;
	*who = (struct http_client){};
}

void client_asks(struct http_client *who)
{
	if (!who->asked)
		who->since_ns = clock_ns(CLOCK_MONOTONIC);
	who->asked = true;
}

void client_answered(struct http_client *who)
{
	who->asked = false;
	who->since_ns = clock_ns(CLOCK_MONOTONIC);
}

static void cut(struct http_clients *c, struct http_client *who)
{
	const struct linger at_once = { .l_onoff = 1 };
	const int fd = who - c->by_descriptor;

	/* What such a client has not read would stay in the kernel's memory after the end. */
	if (who->asked)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	shutdown(fd, SHUT_RDWR);
	who->cut = true;
	c->cut++;
}

void clients_sweep(struct http_clients *c)
{
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);

	for (int fd = 0; c->count && fd < CLIENTS_DESCRIPTORS; fd++) {
		struct http_client *who = &c->by_descriptor[fd];

		if (who->since_ns && !who->cut && now - who->since_ns >= CLIENTS_DEADLINE_NS)
			cut(c, who);
	}
}

void clients_make_room(struct http_clients *c)
{
	struct http_client *oldest = NULL;

	for (int fd = 0; !c->cut && fd < CLIENTS_DESCRIPTORS; fd++) {
		struct http_client *who = &c->by_descriptor[fd];

		if (who->since_ns && !who->cut && (!oldest || who->since_ns < oldest->since_ns))
			oldest = who;
	}
	if (oldest)
		cut(c, oldest);
}
