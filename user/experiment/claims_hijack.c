/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Claims about hijacking: a process of a second user really tries to get what clients send to a
 * first user's port. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "claims_lab.h"
#include "claims_socket.h"

#define REQUESTS 64

/* What socket the first user has, and which options both users set. */
struct target {
	const char *key, *what;
	int type;
	bool listening; /* TCP: the first user is listening already */
	bool reuseaddr, reuseport;
	bool aside; /* see struct claim_attempt */
	bool v6;
};

/* Both servers are there: which of them gets what clients send? A socket that is bound but does not
 * listen gets nothing. */
static int attempt_send(const struct claim_lab *lab, const struct target *t,
			const struct binding *b, const int fds[2], struct claim_attempt *a,
			struct why why)
{
	const bool first_receives = t->type == SOCK_DGRAM || t->listening;
	struct spread s = { .family = b->family,
			    .type = b->type,
			    .port = b->port,
			    .requests = REQUESTS,
			    .interrupted = lab->options.interrupted };
	uint64_t got[2] = {};
	int err = spread(&s, fds, first_receives ? 2 : 1, got, why);

	a->asked = s.requests;
	a->sent = s.sent;
	a->stolen = got[0];
	a->first_got = got[1];
	return err;
}

static int attempt_make(const struct claim_lab *lab, const struct target *t, uint16_t port,
			struct claim_attempt *a, struct why why)
{
	struct binding b = { .family = t->v6 ? AF_INET6 : AF_INET,
			     .type = t->type,
			     .port = port,
			     .reuseaddr = t->reuseaddr,
			     .reuseport = t->reuseport,
			     .listening = t->listening,
			     .user = USER_ONE };
	struct bound first, second;
	int err = binding_try(&b, 0, &first, why);

	*a = (struct claim_attempt){ .key = t->key, .what = t->what, .aside = t->aside };
	if (err)
		return err;
	b.user = USER_TWO;
	b.listening = t->type == SOCK_STREAM;
	err = binding_try(&b, EADDRINUSE, &second, why);
	if (!err && second.fd >= 0) {
		a->bound = true;
		err = attempt_send(lab, t, &b, (const int[]){ second.fd, first.fd }, a, why);
		close(second.fd);
	}
	close(first.fd);
	return err;
}

/* Makes an attempt at each target, each with a port of its own. *made: how many attempts were
 * filled. Those for IPv6 are made only if the machine has IPv6. */
static int attempts_make(const struct claim_lab *lab, const struct target *targets, size_t count,
			 uint16_t port, struct claim_attempt *a, size_t *made, struct why why)
{
	bool has_v6;
	int err = family_known(AF_INET6, &has_v6, why);

	*made = 0;
	for (size_t i = 0; i < count && !err; i++)
		if (has_v6 || !targets[i].v6)
			err = attempt_make(lab, &targets[i], port + i, &a[(*made)++], why);
	return err;
}

#define UDP(...)                                                                                   \
	{                                                                                          \
		.type = SOCK_DGRAM, __VA_ARGS__                                                    \
	}
#define TCP(...)                                                                                   \
	{                                                                                          \
		.type = SOCK_STREAM, __VA_ARGS__                                                   \
	}
#define BOUND_ONLY "a TCP socket that is bound and does not listen yet"

int claim_reuseaddr_hijack(struct claim_lab *lab, struct claim_result *r)
{
	static const struct target targets[] = {
		UDP(.key = "udp", .what = "a UDP socket of IPv4", .reuseaddr = true),
		UDP(.key = "udp6", .what = "a UDP socket of IPv6", .reuseaddr = true, .v6 = true),
		TCP(.key = "tcp_bound", .what = BOUND_ONLY, .reuseaddr = true),
		TCP(.key = "tcp_listening", .what = "a listening TCP socket", .listening = true,
		    .reuseaddr = true),
	};
	struct claim_attempt attempts[sizeof(targets) / sizeof(targets[0])];
	size_t made;
	int err = attempts_make(lab, targets, sizeof(targets) / sizeof(targets[0]), PORT_HIJACK,
				attempts, &made, claim_why(r));

	if (!err)
		claim_judge_hijack(r, attempts, made);
	return err;
}

/* The control: may another process of the first user share the port? */
static int same_user_binds(uint16_t port, bool *it, struct why why)
{
	const struct binding b = { .family = AF_INET,
				   .type = SOCK_STREAM,
				   .port = port,
				   .reuseport = true,
				   .listening = true,
				   .user = USER_ONE };
	struct bound first;
	int err = binding_try(&b, 0, &first, why);

	if (err)
		return err;
	err = binding_allowed(&b, EADDRINUSE, it, why);
	close(first.fd);
	return err;
}

int claim_reuseport_prevents(struct claim_lab *lab, struct claim_result *r)
{
	/* A server may well set both options: SO_REUSEADDR because of TIME_WAIT, SO_REUSEPORT for
	 * sharing. */
	static const struct target targets[] = {
		UDP(.key = "udp", .what = "a UDP socket of IPv4", .reuseport = true),
		UDP(.key = "udp6", .what = "a UDP socket of IPv6", .reuseport = true, .v6 = true),
		TCP(.key = "tcp_bound", .what = BOUND_ONLY, .reuseport = true),
		TCP(.key = "tcp_listening", .what = "a listening TCP socket", .listening = true,
		    .reuseport = true),
		UDP(.key = "udp_both_options", .what = "a UDP socket of IPv4", .reuseaddr = true,
		    .reuseport = true, .aside = true),
		UDP(.key = "udp6_both_options", .what = "a UDP socket of IPv6", .reuseaddr = true,
		    .reuseport = true, .aside = true, .v6 = true),
		TCP(.key = "tcp_bound_both_options",
		    .what = "a TCP socket that does not listen yet", .reuseaddr = true,
		    .reuseport = true, .aside = true),
		TCP(.key = "tcp_listening_both_options", .what = "a listening TCP socket",
		    .listening = true, .reuseaddr = true, .reuseport = true, .aside = true),
	};
	struct claim_attempt attempts[sizeof(targets) / sizeof(targets[0])];
	bool same_user = false;
	size_t made;
	int err = attempts_make(lab, targets, sizeof(targets) / sizeof(targets[0]),
				PORT_HIJACK + 10, attempts, &made, claim_why(r));

	if (!err)
		err = same_user_binds(PORT_HIJACK + 20, &same_user, claim_why(r));
	if (!err)
		claim_judge_prevention(r, attempts, made, same_user);
	return err;
}
