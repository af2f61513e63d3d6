/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dumps sockets through NETLINK_SOCK_DIAG, one dump for each family and protocol, in the current
 * network namespace or in all of them, and sorts the rows by cookie so that they can be searched.
 */
#include "sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int list_add(void *to, const struct nlmsghdr *message, int protocol)
{
	const struct inet_diag_msg *diag = NLMSG_DATA(message);
	const struct rtattr *a = (const struct rtattr *)(diag + 1);
	int rest = message->nlmsg_len - NLMSG_LENGTH(sizeof(*diag));
	struct sockdiag_row row = { .cookie = diag->id.idiag_cookie[0] |
					      (uint64_t)diag->id.idiag_cookie[1] << 32,
				    .inode = diag->idiag_inode,
				    .uid = diag->idiag_uid,
				    .device = diag->id.idiag_if,
				    .family = diag->idiag_family,
				    .protocol = protocol == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP,
				    .port = ntohs(diag->id.idiag_sport),
				    .connected = diag->idiag_state == TCP_ESTABLISHED,
				    .queue_length = diag->idiag_rqueue,
				    .queue_limit = diag->idiag_wqueue };

	memcpy(row.address, diag->id.idiag_src, diag->idiag_family == AF_INET ? 4 : 16);
	for (; RTA_OK(a, rest); a = RTA_NEXT(a, rest)) {
		const uint32_t *memory = RTA_DATA(a);

		if (a->rta_type != INET_DIAG_SKMEMINFO ||
		    RTA_PAYLOAD(a) < (SK_MEMINFO_DROPS + 1) * sizeof(*memory))
			continue;
		row.drops = memory[SK_MEMINFO_DROPS];
		if (diag->idiag_state != TCP_LISTEN)
			row.queue_limit = memory[SK_MEMINFO_RCVBUF];
	}
	return array_add(to, &row, sizeof(row)) ? 0 : -ENOMEM;
}

/* Takes a socket of a dump. Returns 0 or negative errno. */
typedef int take_row(void *to, const struct nlmsghdr *message, int protocol);

/* One dump. Returns 0 or negative errno. */
static int dump(int fd, int family, int protocol, uint32_t states, take_row *take, void *to)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
		struct rtattr attribute;
		uint32_t protocol; /* the request has only 8 bits for it, and MPTCP needs more */
	} ask = {
		.header = { .nlmsg_len = sizeof(ask),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = family,
			     .sdiag_protocol = protocol > 255 ? IPPROTO_RAW : protocol,
			     .idiag_states = states,
			     .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1) },
		.attribute = { .rta_len = RTA_LENGTH(sizeof(uint32_t)),
			       .rta_type = INET_DIAG_REQ_PROTOCOL },
		.protocol = protocol,
	};
	static char buffer[32768] __attribute__((aligned(8)));

	if (send(fd, &ask, sizeof(ask), 0) < 0)
		return -errno;
	for (;;) {
		ssize_t length = recv(fd, buffer, sizeof(buffer), 0);
		struct nlmsghdr *message = (struct nlmsghdr *)buffer;

		if (length <= 0)
			return length ? -errno : -EIO;
		for (; NLMSG_OK(message, length); message = NLMSG_NEXT(message, length)) {
			int err;

			if (message->nlmsg_type == NLMSG_DONE)
				return 0;
			if (message->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(message))->error;
			err = take(to, message, protocol);
			if (err)
				return err;
		}
	}
}

/* Appends the sockets of the current network namespace. */
static int list_fill(struct array *l)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), err = 0;

	if (fd < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int tcp = dump(fd, families[i], IPPROTO_TCP, 1 << TCP_LISTEN, list_add, l);
		int udp = dump(fd, families[i], IPPROTO_UDP, -1, list_add, l);

		dump(fd, families[i], IPPROTO_MPTCP, 1 << TCP_LISTEN, list_add,
		     l); /* not every kernel has it */
		err = err ? err : tcp ? tcp : udp;
	}
	close(fd);
	return err;
}

static int list_finish(struct array *l, int err, struct sockdiag_row **out)
{
	array_sort(l, sizeof(**out), array_by_u64);
	*out = l->rows;
	return err && !l->count ? err : (int)l->count;
}

int sockdiag_dump(struct sockdiag_row **out)
{
	struct array l = {};

	return list_finish(&l, list_fill(&l), out);
}

static int namespace_dump(void *to, uint32_t inode)
{
	struct array *l = to;
	const size_t before = l->count;
	int err = list_fill(l);
	struct sockdiag_row *rows = l->rows;

	for (size_t i = before; i < l->count; i++)
		rows[i].netns = inode;
	return err;
}

int sockdiag_dump_namespaces(struct sockdiag_row **out, struct namespaces *seen)
{
	struct array l = {};

	namespaces_visit(seen, namespace_dump, &l);
	if (seen->astray) { /* every further question would go to another namespace */
		free(l.rows);
		*out = NULL;
		return seen->astray;
	}
	return list_finish(&l, seen->failed, out);
}

const struct sockdiag_row *sockdiag_find(const struct sockdiag_row *rows, int count,
					 uint64_t cookie)
{
	return count > 0 ? bsearch(&cookie, rows, count, sizeof(*rows), array_by_u64) : NULL;
}

/* ---- TIME_WAIT ---- */

static int lingering_add(void *to, const struct nlmsghdr *message, int protocol)
{
	const struct inet_diag_msg *diag = NLMSG_DATA(message);
	const struct sockdiag_lingering row = {
		.cookie = diag->id.idiag_cookie[0] | (uint64_t)diag->id.idiag_cookie[1] << 32,
		.milliseconds_left = diag->idiag_expires,
	};

	(void)protocol;
	if (diag->idiag_timer != 3) /* a whole socket in FIN_WAIT2 */
		return 0;
	return array_add(to, &row, sizeof(row)) ? 0 : -ENOMEM;
}

int sockdiag_lingering(struct sockdiag_lingering **out)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), err = 0;
	struct array l = {};

	*out = NULL;
	if (fd < 0)
		return -errno;
	for (int i = 0; i < 2 && !err; i++)
		err = dump(fd, families[i], IPPROTO_TCP, 1 << TCP_TIME_WAIT | 1 << TCP_FIN_WAIT2,
			   lingering_add, &l);
	close(fd);
	if (err) {
		free(l.rows);
		return err;
	}
	array_sort(&l, sizeof(**out), array_by_u64);
	*out = l.rows;
	return l.count;
}

const struct sockdiag_lingering *sockdiag_lingering_find(const struct sockdiag_lingering *rows,
							 int count, uint64_t cookie)
{
	return cookie && count > 0 ? bsearch(&cookie, rows, count, sizeof(*rows), array_by_u64)
				   : NULL;
}

void sockdiag_queues(struct snapshot *s, const struct sockdiag_row *baseline, int baseline_count)
{
	struct sockdiag_row *now;
	int count = sockdiag_dump(&now);

	for (size_t i = 0; i < s->endpoint_count; i++)
		for (size_t j = 0; j < s->endpoints[i].socket_count; j++) {
			struct socket_row *row = &s->endpoints[i].sockets[j];
			const struct sockdiag_row *live = sockdiag_find(now, count, row->cookie);
			const struct sockdiag_row *before =
				sockdiag_find(baseline, baseline_count, row->cookie);

			if (!live)
				continue;
			row->queue_known = true;
			row->queue_length = live->queue_length;
			row->queue_limit = live->queue_limit;
			row->drops = live->drops - (before ? before->drops : 0u);
		}
	free(now);
}
