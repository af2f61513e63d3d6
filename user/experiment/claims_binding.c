/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Claims about binding: which user may bind which port, and which of several sockets on a port is
 * reached. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../attach/small_file.h"
#include "claims_lab.h"
#include "claims_socket.h"

#define REQUESTS                                                                                   \
	256 /* datagrams to find out which sockets are reached: one of four is missed by chance    \
	       once in 10^31 */
#define PORT_START "/proc/sys/net/ipv4/ip_unprivileged_port_start"

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/*
 * Binds as many sockets as the port takes, at least one, in the order of fds. *count: how many.
 * Stops at the first socket that is refused. Returns 0, or a negative errno with one line; in both
 * cases the caller closes what was opened.
 */
static int bind_several(const struct binding *b, int *fds, unsigned wanted, unsigned *count,
			struct why why)
{
	for (*count = 0; *count < wanted; (*count)++) {
		struct bound bound;
		int err = binding_try(b, *count ? EADDRINUSE : 0, &bound, why);

		if (err)
			return err;
		if (bound.fd < 0)
			return 0;
		fds[*count] = bound.fd;
	}
	return 0;
}

/* ---- several sockets on one port ---- */

/*
 * Does a second socket get the port of a first one? That depends on which of them set SO_REUSEPORT.
 */
static int second_binds(int type, uint16_t port, bool first, bool second, bool *it, struct why why)
{
	struct binding b = { .family = AF_INET,
			     .type = type,
			     .port = port,
			     .reuseport = first,
			     .listening = type == SOCK_STREAM };
	struct bound one;
	int err = binding_try(&b, 0, &one, why);

	if (err)
		return err;
	b.reuseport = second;
	err = binding_allowed(&b, EADDRINUSE, it, why);
	close(one.fd);
	return err;
}

static int binding_measure(const struct claim_lab *lab, int type, struct claim_binding *m,
			   struct why why)
{
	const uint16_t port = PORT_BINDING + 10 * (type == SOCK_DGRAM);
	const struct binding b = { .family = AF_INET,
				   .type = type,
				   .port = port,
				   .reuseport = true,
				   .listening = type == SOCK_STREAM };
	struct spread s = { .family = AF_INET,
			    .type = type,
			    .port = port,
			    .requests = REQUESTS,
			    .interrupted = lab->options.interrupted };
	int fds[CLAIM_SOCKETS], err;
	unsigned bound;

	*m = (struct claim_binding){ .udp = type == SOCK_DGRAM,
				     .sockets = CLAIM_SOCKETS,
				     .asked = REQUESTS };
	err = bind_several(&b, fds, CLAIM_SOCKETS, &bound, why);
	m->bound = bound;
	if (!err)
		err = spread(&s, fds, bound, m->got, why);
	m->sent = s.sent;
	close_all(fds, bound);
	if (!err)
		err = second_binds(type, port + 1, false, false, &m->second_without, why);
	if (!err)
		err = second_binds(type, port + 2, true, false, &m->second_if_first, why);
	if (!err)
		err = second_binds(type, port + 3, false, true, &m->second_if_second, why);
	return err;
}

static int binding_claim(const struct claim_lab *lab, int type, struct claim_result *r)
{
	struct claim_binding m;
	int err = binding_measure(lab, type, &m, claim_why(r));

	if (!err)
		claim_judge_binding(r, &m);
	return err;
}

int claim_tcp_reuseport_binds(struct claim_lab *lab, struct claim_result *r)
{
	return binding_claim(lab, SOCK_STREAM, r);
}

int claim_udp_reuseport_binds(struct claim_lab *lab, struct claim_result *r)
{
	return binding_claim(lab, SOCK_DGRAM, r);
}

/* ---- UDP with SO_REUSEADDR ---- */

static int datagrams_measure(const struct claim_lab *lab, int family, struct claim_datagrams *m,
			     struct why why)
{
	const struct binding b = {
		.family = family, .type = SOCK_DGRAM, .port = PORT_DATAGRAMS, .reuseaddr = true
	};
	struct spread s = { .family = family,
			    .type = SOCK_DGRAM,
			    .port = b.port,
			    .requests = 4 * REQUESTS,
			    .interrupted = lab->options.interrupted };
	int fds[CLAIM_SOCKETS], err;
	unsigned bound;

	*m = (struct claim_datagrams){ .version = family == AF_INET6 ? 6 : 4, .asked = s.requests };
	err = family_known(family, &m->known, why);
	if (err || !m->known)
		return err;
	err = bind_several(&b, fds, CLAIM_SOCKETS, &bound, why);
	m->bound = bound;
	if (!err)
		err = spread(&s, fds, bound, m->got, why);
	m->sent = s.sent;
	close_all(fds, bound);
	return err;
}

int claim_udp_reuseaddr(struct claim_lab *lab, struct claim_result *r)
{
	struct claim_datagrams m[2];
	int err = datagrams_measure(lab, AF_INET, &m[0], claim_why(r));

	if (!err)
		err = datagrams_measure(lab, AF_INET6, &m[1], claim_why(r));
	return err ? err : claim_judge_datagrams(r, m, 2);
}

/* ---- ports below 1024 ---- */

static int privilege_try(unsigned port, bool capable, enum claim_try *it, struct why why)
{
	const struct binding b = { .family = AF_INET,
				   .type = SOCK_STREAM,
				   .port = port,
				   .user = USER_ONE,
				   .bind_service = capable };
	bool allowed;
	int err = binding_allowed(&b, EACCES, &allowed, why);

	*it = err ? TRY_UNKNOWN : allowed ? TRY_ALLOWED : TRY_REFUSED;
	return err;
}

int port_start_read(void)
{
	return small_file_number(PORT_START, -1);
}

/* Sets the port limit. Returns false if it can't be changed here (/proc/sys is read-only in many
 * containers). */
static bool port_start_write(unsigned value)
{
	const int fd = open(PORT_START, O_WRONLY | O_CLOEXEC);
	const bool written = fd >= 0 && dprintf(fd, "%u\n", value) > 0;

	if (fd >= 0)
		close(fd);
	return written;
}

static int privilege_measure(const struct claim_lab *lab, struct claim_privilege *m, struct why why)
{
	const int found = port_start_read(); /* 1024 in a namespace where nobody has changed it */
	int err;

	*m = (struct claim_privilege){ .machine = lab->port_start,
				       .limit = found > 0 ? found : 1024 };
	err = privilege_try(m->limit - 1, false, &m->below, why);
	if (!err)
		err = privilege_try(m->limit, false, &m->at, why);
	if (!err)
		err = privilege_try(m->limit - 1, true, &m->capable, why);
	if (err || !port_start_write(80))
		return err;
	m->lowered = 80;
	err = privilege_try(m->lowered - 1, false, &m->lowered_below, why);
	if (!err)
		err = privilege_try(m->lowered, false, &m->lowered_at, why);
	port_start_write(m->limit); /* other experiments run in this namespace too */
	return err;
}

int claim_privileged_port(struct claim_lab *lab, struct claim_result *r)
{
	struct claim_privilege m;
	int err = privilege_measure(lab, &m, claim_why(r));

	if (!err)
		claim_judge_privilege(r, &m);
	return err;
}

/* ---- htons() ---- */

/* Is there a listener on the port? Returns 0, or a negative errno with one line. */
static int reaches(uint16_t port, bool *it, struct why why)
{
	int fd = client_connect(AF_INET, SOCK_STREAM, port);

	*it = fd >= 0;
	if (fd >= 0)
		close(fd);
	else if (fd != -ECONNREFUSED)
		return refuse(why, fd, "cannot ask for port %u: %s", port, strerror(-fd));
	return 0;
}

/* Finds out on which port a listener is if the port was given without htons(). */
static int htons_listen(struct claim_htons *m, struct why why)
{
	const struct binding b = { .family = AF_INET,
				   .type = SOCK_STREAM,
				   .port = m->asked,
				   .no_htons = true,
				   .listening = true };
	struct bound bound;
	int err = binding_try(&b, 0, &bound, why);

	if (err)
		return err;
	m->listens = bound_port(bound.fd);
	err = reaches(m->listens, &m->reaches_listens, why);
	if (!err)
		err = reaches(m->asked, &m->reaches_asked, why);
	close(bound.fd);
	return err;
}

/* Finds which port below 1024 the asked one becomes without htons(), and whether a user without
 * rights gets it. Returns 0, or a negative errno with one line. */
static int htons_low(struct claim_htons *m, struct why why)
{
	struct binding b = {
		.family = AF_INET, .type = SOCK_STREAM, .port = m->low_asked, .no_htons = true
	};
	struct bound bound;
	bool allowed;
	int err = binding_try(&b, 0, &bound, why);

	if (err)
		return err;
	m->low_becomes = bound_port(bound.fd);
	close(bound.fd);
	b.user = USER_ONE;
	err = binding_allowed(&b, EACCES, &allowed, why);
	if (!err)
		m->low = allowed ? TRY_ALLOWED : TRY_REFUSED;
	return err;
}

int claim_htons(struct claim_lab *lab, struct claim_result *r)
{
	struct claim_htons m = { .asked = 81, .low_asked = 20480 };
	int err = htons_listen(&m, claim_why(r));

	(void)lab;
	if (err)
		return err;
	htons_low(&m,
		  (struct why){ m.low_why,
				sizeof(m.low_why) }); /* failures are shown beside the verdict */
	claim_judge_htons(r, &m);
	return 0;
}
