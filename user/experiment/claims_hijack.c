/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A second user's process really tries to get what comes to a first user's port. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "claims_lab.h"
#include "claims_socket.h"

#define REQUESTS 64

/* What the first user has, and by which options both bind. */
struct target {
	const char *key, *what;
	int type;
	bool listening; /* TCP: the first user listens already */
	bool reuseaddr, reuseport;
	bool aside;     /* see struct claim_attempt */
};

/* Both servers are there: who gets what clients send? A socket that is bound and does not listen gets nothing. */
static void attempt_send(const struct target *t, uint16_t port, int first, int second, struct claim_attempt *a)
{
	const bool first_receives = t->type == SOCK_DGRAM || t->listening;
	const int fds[] = { second, first };
	uint64_t got[2] = {};

	a->sent = spread(AF_INET, t->type, port, REQUESTS, fds, first_receives ? 2 : 1, got);
	a->stolen = got[0];
}

static int attempt_make(const struct target *t, uint16_t port, struct claim_attempt *a, struct why why)
{
	struct binding b = { .family = AF_INET, .type = t->type, .port = port, .reuseaddr = t->reuseaddr, .reuseport = t->reuseport,
			     .listening = t->listening, .user = USER_ONE };
	struct bound first, second;
	int err = binding_try(&b, &first, why);

	*a = (struct claim_attempt){ .key = t->key, .what = t->what, .aside = t->aside };
	if (!err && first.fd < 0)
		err = refuse(why, -first.error, "the first user can't bind port %u of a private namespace: %s", port, strerror(first.error));
	if (err)
		return err;
	b.user = USER_TWO;
	b.listening = t->type == SOCK_STREAM;
	err = binding_try(&b, &second, why);
	if (!err && second.fd >= 0) {
		a->bound = true;
		attempt_send(t, port, first.fd, second.fd, a);
		close(second.fd);
	}
	close(first.fd);
	return err;
}

/* Each target has a port of its own. */
static int attempts_make(const struct target *targets, size_t count, uint16_t port, struct claim_attempt *a, struct why why)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = attempt_make(&targets[i], port + i, &a[i], why);
	return err;
}

int claim_reuseaddr_hijack(struct claim_lab *lab, struct claim_result *r)
{
	static const struct target targets[] = {
		{ .key = "udp", .what = "a UDP socket", .type = SOCK_DGRAM, .reuseaddr = true },
		{ .key = "tcp_bound", .what = "a TCP socket that is bound and does not listen yet", .type = SOCK_STREAM, .reuseaddr = true },
		{ .key = "tcp_listening", .what = "a listening TCP socket", .type = SOCK_STREAM, .listening = true, .reuseaddr = true },
	};
	const size_t count = sizeof(targets) / sizeof(targets[0]);
	struct claim_attempt attempts[sizeof(targets) / sizeof(targets[0])];
	int err = attempts_make(targets, count, PORT_HIJACK, attempts, claim_why(r));

	(void)lab;
	if (!err)
		claim_judge_hijack(r, attempts, count);
	return err;
}

/* The control: another process of the first user may share the port. */
static int same_user_binds(uint16_t port, bool *it, struct why why)
{
	const struct binding b = { .family = AF_INET, .type = SOCK_STREAM, .port = port, .reuseport = true, .listening = true,
				   .user = USER_ONE };
	struct bound first;
	int err = binding_try(&b, &first, why);

	if (err)
		return err;
	*it = false;
	if (first.fd >= 0) {
		err = binding_allowed(&b, it, why);
		close(first.fd);
	}
	return err;
}

int claim_reuseport_prevents(struct claim_lab *lab, struct claim_result *r)
{
	/* A server may well set both: SO_REUSEADDR for TIME_WAIT, SO_REUSEPORT for sharing. */
	static const struct target targets[] = {
		{ .key = "udp", .what = "a UDP socket", .type = SOCK_DGRAM, .reuseport = true },
		{ .key = "tcp_bound", .what = "a TCP socket that is bound and does not listen yet", .type = SOCK_STREAM, .reuseport = true },
		{ .key = "tcp_listening", .what = "a listening TCP socket", .type = SOCK_STREAM, .listening = true, .reuseport = true },
		{ .key = "udp_both_options", .what = "a UDP socket", .type = SOCK_DGRAM, .reuseaddr = true, .reuseport = true, .aside = true },
		{ .key = "tcp_bound_both_options", .what = "a TCP socket that does not listen yet", .type = SOCK_STREAM,
		  .reuseaddr = true, .reuseport = true, .aside = true },
		{ .key = "tcp_listening_both_options", .what = "a listening TCP socket", .type = SOCK_STREAM, .listening = true,
		  .reuseaddr = true, .reuseport = true, .aside = true },
	};
	const size_t count = sizeof(targets) / sizeof(targets[0]);
	struct claim_attempt attempts[sizeof(targets) / sizeof(targets[0])];
	bool same_user = false;
	int err = attempts_make(targets, count, PORT_HIJACK + 10, attempts, claim_why(r));

	(void)lab;
	if (!err)
		err = same_user_binds(PORT_HIJACK + 20, &same_user, claim_why(r));
	if (!err)
		claim_judge_prevention(r, attempts, count, same_user);
	return err;
}
