/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct list {
	struct inventory_socket *rows;
	int count, room;
};

static int list_add(struct list *l, const struct nlmsghdr *message)
{
	const struct inet_diag_msg *diag = NLMSG_DATA(message);
	const struct rtattr *a = (const struct rtattr *)(diag + 1);
	int rest = message->nlmsg_len - NLMSG_LENGTH(sizeof(*diag));
	struct inventory_socket *row;

	if (l->count == l->room) {
		int room = l->room ? l->room * 2 : 256;
		void *rows = realloc(l->rows, room * sizeof(*l->rows));

		if (!rows)
			return -ENOMEM;
		l->rows = rows;
		l->room = room;
	}
	row = &l->rows[l->count++];
	*row = (struct inventory_socket){ .cookie = diag->id.idiag_cookie[0] | (uint64_t)diag->id.idiag_cookie[1] << 32,
					  .queue_length = diag->idiag_rqueue, .queue_limit = diag->idiag_wqueue };
	for (; RTA_OK(a, rest); a = RTA_NEXT(a, rest)) {
		const uint32_t *memory = RTA_DATA(a);

		if (a->rta_type != INET_DIAG_SKMEMINFO || RTA_PAYLOAD(a) < (SK_MEMINFO_DROPS + 1) * sizeof(*memory))
			continue;
		row->drops = memory[SK_MEMINFO_DROPS];
		if (diag->idiag_state != TCP_LISTEN)
			row->queue_limit = memory[SK_MEMINFO_RCVBUF];
	}
	return 0;
}

/* One dump. Returns 0 or negative errno. */
static int dump(int fd, int family, int protocol, uint32_t states, struct list *l)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
		struct rtattr attribute;
		uint32_t protocol; /* the request has 8 bits for it: MPTCP needs more */
	} ask = {
		.header = { .nlmsg_len = sizeof(ask), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = family, .sdiag_protocol = protocol > 255 ? IPPROTO_RAW : protocol, .idiag_states = states,
			     .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1) },
		.attribute = { .rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = INET_DIAG_REQ_PROTOCOL },
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
			err = list_add(l, message);
			if (err)
				return err;
		}
	}
}

static int compare(const void *a, const void *b)
{
	const struct inventory_socket *x = a, *y = b;

	return x->cookie < y->cookie ? -1 : x->cookie > y->cookie;
}

int inventory_sockets(struct inventory_socket **out)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct list l = {};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), err = 0;

	*out = NULL;
	if (fd < 0)
		return -errno;
	for (int i = 0; i < 2 && !err; i++) {
		err = dump(fd, families[i], IPPROTO_TCP, 1 << TCP_LISTEN, &l);
		if (!err)
			err = dump(fd, families[i], IPPROTO_UDP, -1, &l);
		if (!err)
			dump(fd, families[i], IPPROTO_MPTCP, 1 << TCP_LISTEN, &l); /* not every kernel has it */
	}
	close(fd);
	if (err && !l.count)
		return err;
	qsort(l.rows, l.count, sizeof(*l.rows), compare);
	*out = l.rows;
	return l.count;
}

static const struct inventory_socket *find(const struct inventory_socket *rows, int count, uint64_t cookie)
{
	const struct inventory_socket key = { .cookie = cookie };

	return count > 0 ? bsearch(&key, rows, count, sizeof(*rows), compare) : NULL;
}

void inventory_queues(struct snapshot *s, const struct inventory_socket *baseline, int baseline_count)
{
	struct inventory_socket *now;
	int count = inventory_sockets(&now);

	for (size_t i = 0; i < s->endpoint_count; i++)
		for (size_t j = 0; j < s->endpoints[i].socket_count; j++) {
			struct socket_row *row = &s->endpoints[i].sockets[j];
			const struct inventory_socket *live = find(now, count, row->cookie);
			const struct inventory_socket *before = find(baseline, baseline_count, row->cookie);

			if (!live)
				continue;
			row->queue_known = true;
			row->queue_length = live->queue_length;
			row->queue_limit = live->queue_limit;
			row->drops = live->drops - (before ? before->drops : 0u);
		}
	free(now);
}

/* Start of a thread in clock ticks since boot; 0: it is gone. Field 22 of its stat file, counted after the comm's last ')'. */
static unsigned long long start_ticks(int pid, int tid)
{
	unsigned long long ticks = 0;
	char path[64], line[1024], *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	at = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		sscanf(at, "%llu", &ticks);
	return ticks;
}

static void cgroup_read(int pid, char *path, size_t size)
{
	char name[64], line[512];
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "0::", 3)) {
			line[strcspn(line, "\n")] = 0;
			snprintf(path, size, "%s", line + 3);
		}
	if (f)
		fclose(f);
}

void inventory_describe_thread(struct worker_row *row)
{
	const unsigned long long ns_per_tick = 1000000000ull / sysconf(_SC_CLK_TCK);
	unsigned long long ticks = start_ticks(row->pid, row->tid);

	if (ticks && !row->start_ns)
		row->start_ns = ticks * ns_per_tick;
	/* Another thread may have the number by now. */
	row->ended = !ticks || ticks != row->start_ns / ns_per_tick;
	if (!row->ended)
		cgroup_read(row->pid, row->cgroup, sizeof(row->cgroup));
}
