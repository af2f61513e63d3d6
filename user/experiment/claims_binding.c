/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may bind which port, and which of several sockets on it is reached. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "claims_lab.h"
#include "claims_socket.h"

#define REQUESTS 256      /* that find out who is reached: four sockets would be missed by chance once in 10^31 */
#define PORT_START "/proc/sys/net/ipv4/ip_unprivileged_port_start"

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/*
 * As many sockets as the port takes, in the order of binding; *count says how many. Stops at the first that is refused. 0 or a negative errno
 * with its line; what was opened is the caller's either way.
 */
static int bind_several(const struct binding *b, int *fds, unsigned wanted, unsigned *count, struct why why)
{
	for (*count = 0; *count < wanted; (*count)++) {
		struct bound bound;
		int err = binding_try(b, &bound, why);

		if (err)
			return err;
		if (bound.fd < 0)
			return 0;
		fds[*count] = bound.fd;
	}
	return 0;
}

/* ---- several sockets on one port ---- */

/* Whether a second socket gets a port that a first one has, by who sets SO_REUSEPORT. */
static int second_binds(int type, uint16_t port, bool first, bool second, bool *it, struct why why)
{
	struct binding b = { .family = AF_INET, .type = type, .port = port, .reuseport = first, .listening = type == SOCK_STREAM };
	struct bound one;
	int err = binding_try(&b, &one, why);

	if (!err && one.fd < 0)
		err = refuse(why, -one.error, "cannot bind port %u of a private namespace: %s", port, strerror(one.error));
	if (err)
		return err;
	b.reuseport = second;
	err = binding_allowed(&b, it, why);
	close(one.fd);
	return err;
}

static int binding_measure(int type, struct claim_binding *m, struct why why)
{
	const uint16_t port = PORT_BINDING + 10 * (type == SOCK_DGRAM);
	const struct binding b = { .family = AF_INET, .type = type, .port = port, .reuseport = true, .listening = type == SOCK_STREAM };
	uint64_t got[CLAIM_SOCKETS] = {};
	int fds[CLAIM_SOCKETS], err;

	*m = (struct claim_binding){ .udp = type == SOCK_DGRAM, .sockets = CLAIM_SOCKETS };
	err = bind_several(&b, fds, CLAIM_SOCKETS, &m->bound, why);
	if (!err && m->bound)
		m->requests = spread(AF_INET, type, port, REQUESTS, fds, m->bound, got);
	close_all(fds, m->bound);
	for (unsigned i = 0; i < m->bound; i++)
		m->reached += got[i] > 0;
	if (!err)
		err = second_binds(type, port + 1, false, false, &m->second_without, why);
	if (!err)
		err = second_binds(type, port + 2, true, false, &m->second_if_first, why);
	if (!err)
		err = second_binds(type, port + 3, false, true, &m->second_if_second, why);
	return err;
}

static int binding_claim(int type, struct claim_result *r)
{
	struct claim_binding m;
	int err = binding_measure(type, &m, claim_why(r));

	if (!err)
		claim_judge_binding(r, &m);
	return err;
}

int claim_tcp_reuseport_binds(struct claim_lab *lab, struct claim_result *r)
{
	(void)lab;
	return binding_claim(SOCK_STREAM, r);
}

int claim_udp_reuseport_binds(struct claim_lab *lab, struct claim_result *r)
{
	(void)lab;
	return binding_claim(SOCK_DGRAM, r);
}

/* ---- UDP with SO_REUSEADDR ---- */

static bool has_family(int family)
{
	bool has = false;
	const struct binding any = { .family = family, .type = SOCK_DGRAM };
	char ignored[128];

	return !binding_allowed(&any, &has, (struct why){ ignored, sizeof(ignored) }) && has;
}

static int datagrams_measure(int family, struct claim_datagrams *m, struct why why)
{
	const struct binding b = { .family = family, .type = SOCK_DGRAM, .port = PORT_DATAGRAMS, .reuseaddr = true };
	int fds[CLAIM_SOCKETS], err;

	*m = (struct claim_datagrams){ .known = has_family(family), .version = family == AF_INET6 ? 6 : 4 };
	if (!m->known)
		return 0;
	err = bind_several(&b, fds, CLAIM_SOCKETS, &m->bound, why);
	if (!err && m->bound)
		spread(family, SOCK_DGRAM, b.port, 4 * REQUESTS, fds, m->bound, m->got);
	close_all(fds, m->bound);
	return err;
}

int claim_udp_reuseaddr(struct claim_lab *lab, struct claim_result *r)
{
	struct claim_datagrams m[2];
	int err = datagrams_measure(AF_INET, &m[0], claim_why(r));

	(void)lab;
	if (!err)
		err = datagrams_measure(AF_INET6, &m[1], claim_why(r));
	return err ? err : claim_judge_datagrams(r, m, 2);
}

/* ---- ports below 1024 ---- */

static int privilege_try(unsigned port, bool capable, enum claim_try *it, struct why why)
{
	const struct binding b = { .family = AF_INET, .type = SOCK_STREAM, .port = port, .user = USER_ONE, .bind_service = capable };
	struct bound bound;
	int err = binding_try(&b, &bound, why);

	if (err)
		return err;
	if (bound.fd >= 0)
		close(bound.fd);
	else if (bound.error != EACCES)
		return refuse(why, -bound.error, "cannot bind port %u of a private namespace: %s", port, strerror(bound.error));
	*it = bound.fd >= 0 ? TRY_ALLOWED : TRY_REFUSED;
	return 0;
}

/* That of our own network namespace. 0: there is none (before 4.11), or it can't be read. */
static unsigned port_start_read(void)
{
	FILE *f = fopen(PORT_START, "re");
	unsigned value = 0;

	if (f) {
		if (fscanf(f, "%u", &value) != 1)
			value = 0;
		fclose(f);
	}
	return value;
}

/* false: it can't be changed here (/proc/sys is read-only in many containers). */
static bool port_start_write(unsigned value)
{
	FILE *f = fopen(PORT_START, "we");
	bool written = f && fprintf(f, "%u\n", value) > 0;

	if (f && fclose(f))
		written = false;
	return written;
}

static int privilege_measure(struct claim_privilege *m, struct why why)
{
	const unsigned found = port_start_read();
	int err;

	*m = (struct claim_privilege){ .limit = found ? found : 1024 };
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
	port_start_write(m->limit); /* the other experiments are in this namespace too */
	return err;
}

int claim_privileged_port(struct claim_lab *lab, struct claim_result *r)
{
	struct claim_privilege m;
	int err = privilege_measure(&m, claim_why(r));

	(void)lab;
	if (!err)
		claim_judge_privilege(r, &m);
	return err;
}

/* ---- htons() ---- */

static bool reaches(uint16_t port)
{
	int fd = client_connect(AF_INET, SOCK_STREAM, port);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A listener whose port was given without htons(): where is it? */
static int htons_listen(struct claim_htons *m, struct why why)
{
	const struct binding b = { .family = AF_INET, .type = SOCK_STREAM, .port = m->asked, .no_htons = true, .listening = true };
	struct bound bound;
	int err = binding_try(&b, &bound, why);

	if (!err && bound.fd < 0)
		err = refuse(why, -bound.error, "cannot bind: %s", strerror(bound.error));
	if (err)
		return err;
	m->listens = bound_port(bound.fd);
	m->reaches_listens = reaches(m->listens);
	m->reaches_asked = m->listens == m->asked ? m->reaches_listens : reaches(m->asked);
	close(bound.fd);
	return 0;
}

/* A port that becomes one below 1024: which, and who without rights gets it? */
static int htons_low(struct claim_htons *m, struct why why)
{
	struct binding b = { .family = AF_INET, .type = SOCK_STREAM, .port = m->low_asked, .no_htons = true };
	struct bound bound;
	int err = binding_try(&b, &bound, why);

	if (err || bound.fd < 0)
		return err;
	m->low_becomes = bound_port(bound.fd);
	close(bound.fd);
	b.user = USER_ONE;
	err = binding_try(&b, &bound, why);
	if (err)
		return err;
	m->low = bound.fd >= 0 ? TRY_ALLOWED : bound.error == EACCES ? TRY_REFUSED : TRY_UNKNOWN;
	if (bound.fd >= 0)
		close(bound.fd);
	return 0;
}

int claim_htons(struct claim_lab *lab, struct claim_result *r)
{
	struct claim_htons m = { .asked = 81, .low_asked = 20480 };
	int err = htons_listen(&m, claim_why(r));

	(void)lab;
	if (!err)
		err = htons_low(&m, claim_why(r));
	if (!err)
		claim_judge_htons(r, &m);
	return err;
}
