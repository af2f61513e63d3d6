/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of modes, and what some of them prepare once their sockets listen. */
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mode.h"

/* Makes a queue of descriptors for each worker: SCM_RIGHTS works for threads as well as for
 * processes. */
static int make_handoffs(struct server *s)
{
	unsigned workers = s->options->workers;

	s->handoffs = calloc(workers, sizeof(*s->handoffs));
	if (!s->handoffs)
		return -ENOMEM;
	memset(s->handoffs, -1, workers * sizeof(*s->handoffs));
	for (unsigned i = 0; i < workers; i++)
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->handoffs[i]))
			return -errno;
	return 0;
}

static int make_common_epoll(struct server *s)
{
	struct epoll_event event = { .events = EPOLLIN };

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->sockets[0], &event))
		return -errno;
	return 0;
}

/* Attaches a program that returns an index into the reuseport group: the CPU that received the SYN,
 * modulo the number of sockets. The group is in the order of the listen() calls. */
static int attach_by_cpu(struct server *s)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_CPU),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, s->socket_count),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (setsockopt(s->sockets[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
		       sizeof(program)))
		return -errno;
	return 0;
}

#define MODE(...) (&(const struct mode_server){ __VA_ARGS__ })

const struct workload_mode workload_modes[] = {
	{ "single-listener", PROTOCOL_TCP,
	  "one thread accepts and hands each connection to a worker",
	  MODE(.prepare = make_handoffs, .acceptor = accept_and_hand_out, .loop = serve_handed) },
	{ "shared-accept", PROTOCOL_TCP, "all workers block in accept() on one shared socket",
	  MODE(.loop = accept_blocking) },
	{ "shared-epoll", PROTOCOL_TCP,
	  "each worker has its own epoll on the shared socket, level-triggered",
	  MODE(.nonblocking = true, .epoll_events = EPOLLIN, .loop = accept_by_epoll) },
	{ "shared-epoll-exclusive", PROTOCOL_TCP,
	  "each worker has its own epoll on the shared socket, with EPOLLEXCLUSIVE",
	  MODE(.nonblocking = true, .epoll_events = EPOLLIN | EPOLLEXCLUSIVE,
	       .loop = accept_by_epoll) },
	{ "shared-epoll-fd", PROTOCOL_TCP, "all workers wait on one epoll descriptor",
	  MODE(.nonblocking = true, .prepare = make_common_epoll, .loop = accept_by_common_epoll) },
	{ "reuseport", PROTOCOL_TCP,
	  "one SO_REUSEPORT listening socket per worker, blocking accept()",
	  MODE(.share = SO_REUSEPORT, .loop = accept_blocking) },
	{ "reuseport-epoll", PROTOCOL_TCP,
	  "one SO_REUSEPORT listening socket and one epoll per worker",
	  MODE(.share = SO_REUSEPORT, .nonblocking = true, .epoll_events = EPOLLIN,
	       .loop = accept_by_epoll) },
	{ "reuseport-cpu", PROTOCOL_TCP, "SO_REUSEPORT with a program that picks the socket by CPU",
	  MODE(.share = SO_REUSEPORT, .prepare = attach_by_cpu, .loop = accept_blocking) },
	{ "io-uring", PROTOCOL_TCP, "multishot accept, one ring per worker, shared socket",
	  MODE(.loop = accept_by_uring) },
	{ "udp-shared", PROTOCOL_UDP, "all workers block in recv() on one UDP socket",
	  MODE(.loop = receive_blocking) },
	{ "udp-reuseaddr", PROTOCOL_UDP, "one SO_REUSEADDR socket per worker on one port",
	  MODE(.share = SO_REUSEADDR, .loop = receive_blocking) },
	{ "udp-reuseport", PROTOCOL_UDP, "one SO_REUSEPORT socket per worker",
	  MODE(.share = SO_REUSEPORT, .loop = receive_blocking) },
	{ .name = NULL },
};

const struct workload_mode *workload_mode_find(const char *name)
{
	for (const struct workload_mode *m = workload_modes; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}
