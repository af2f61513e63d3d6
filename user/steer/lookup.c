/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The group's sockets are taken with pidfd_getfd() (5.6), put into a SOCKMAP under the place that
 * their member has, and closed. The program is attached to the network namespace, which the kernel
 * names by a descriptor of the socket's own (SIOCGSKNS), so that the holder's namespaces do not
 * matter.
 */
#include "steerer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../attach/loading.h"
#include "map.h"
#include "observer_parts.h"

struct steerer {
	struct observer *o;
	struct steer_member *members; /* the program's, mapped */
	struct bpf_link *link;
	int netns; /* descriptor; -1: none */
};

/* A descriptor of a process's socket; negative errno. */
static int socket_take(const struct holder_row *holder)
{
	int pidfd = pidfd_open(holder->pid, 0), fd;

	if (pidfd < 0)
		return -errno;
	fd = pidfd_getfd(pidfd, holder->fd, 0);
	if (fd < 0)
		fd = -errno;
	close(pidfd);
	return fd;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) ? 0 : cookie;
}

/* Puts the socket into the map, at that place. Returns 0 or negative errno. */
static int member_insert(struct steerer *s, __u32 place, int fd, uint64_t cookie)
{
	const struct count_bpf *bpf = s->o->bpf;
	const __u64 value = fd;

	s->members[place] = (struct steer_member){ .cookie = cookie, .weight = 1 };
	if (bpf_map_update_elem(bpf_map__fd(bpf->maps.steer_by_cookie), &cookie, &place, BPF_ANY) ||
	    bpf_map_update_elem(bpf_map__fd(bpf->maps.steer_sockets), &place, &value, BPF_NOEXIST))
		return -errno;
	return 0;
}

static int member_take(struct steerer *s, __u32 place, const struct socket_row *row,
		       const struct holder_row *holders, size_t count, char *why, size_t size)
{
	int fd = -ESRCH, err = 0;

	for (size_t i = 0; i < count && fd < 0; i++) {
		fd = socket_take(&holders[i]);
		if (fd >= 0 && cookie_of(fd) != row->cookie) {
			close(fd);
			fd = -ESTALE;
		}
	}
	if (fd < 0)
		return loading_fail(fd, why, size, "socket %llu can't be taken from its process: %s",
				    (unsigned long long)row->cookie, strerror(-fd));
	if (s->netns < 0)
		s->netns = ioctl(fd, SIOCGSKNS);
	err = s->netns < 0 ? -errno : member_insert(s, place, fd, row->cookie);
	close(fd);
	if (err)
		return loading_fail(err, why, size, "socket %llu can't be steered: %s",
				    (unsigned long long)row->cookie, strerror(-err));
	return 0;
}

int steerer_open(struct steerer **out, struct observer *o, const struct endpoint *e, char *why,
		 size_t why_size)
{
	struct steerer *s = calloc(1, sizeof(*s));
	__u32 place = 0;
	int err = 0;

	if (!s)
		return loading_fail(-ENOMEM, why, why_size, "out of memory");
	s->o = o;
	s->netns = -1;
	s->members = map_array(o->bpf->maps.steer_members);
	if (!s->members)
		err = loading_fail(-ENOMEM, why, why_size, "out of memory");
	for (size_t i = 0; i < e->socket_count && !err; i++) {
		size_t count;
		const struct holder_row *holders = endpoint_holders(e, e->sockets[i].cookie, &count);

		err = member_take(s, place++, &e->sockets[i], holders, count, why, why_size);
	}
	o->bpf->bss->steer_state.members = place;
	o->bpf->bss->steer_state.group_size = place;
	if (err)
		steerer_close(s);
	else
		*out = s;
	return err;
}

void steerer_beat(struct steerer *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	__atomic_store_n(&s->o->bpf->bss->steer_state.heartbeat_ns,
			 now.tv_sec * 1000000000ull + now.tv_nsec, __ATOMIC_RELAXED);
}

int steerer_attach(struct steerer *s, char *why, size_t why_size)
{
	steerer_beat(s);
	s->link = bpf_program__attach_netns(s->o->bpf->progs.steer_lookup, s->netns);
	if (!s->link)
		return loading_fail(-errno, why, why_size, "the program can't be attached: %s",
				    strerror(errno));
	return 0;
}

struct steerer_counts steerer_counts(const struct steerer *s)
{
	const struct steer_state *state = &s->o->bpf->bss->steer_state;

	return (struct steerer_counts){ .steered = state->steered,
					.passed_stale = state->passed[STEER_PASS_STALE],
					.passed_size = state->passed[STEER_PASS_SIZE],
					.passed_empty = state->passed[STEER_PASS_EMPTY] };
}

void steerer_close(struct steerer *s)
{
	if (!s)
		return;
	bpf_link__destroy(s->link);
	if (s->members)
		unmap_array(s->members, s->o->bpf->maps.steer_members);
	if (s->netns >= 0)
		close(s->netns);
	free(s);
}
