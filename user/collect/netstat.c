/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the files of each namespace open and reads them before and after a look at the sockets.
 * The difference is what happened meanwhile.
 */
#include "netstat.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "namespace.h"

#define NETSTAT_SIZE 32768 /* the file has some 6 KB, and we need only a part */

enum file { NETSTAT, COOKIES, MAX_SYN_BACKLOG, SYNACK_RETRIES, MIGRATE_REQ };

/* Opening each path gives the file of the namespace that the thread is in. */
static const char *const files[NETSTAT_FILES] = {
	[NETSTAT] = "/proc/thread-self/net/netstat",
	[COOKIES] = "/proc/sys/net/ipv4/tcp_syncookies",
	[MAX_SYN_BACKLOG] = "/proc/sys/net/ipv4/tcp_max_syn_backlog",
	[SYNACK_RETRIES] = "/proc/sys/net/ipv4/tcp_synack_retries",
	[MIGRATE_REQ] = "/proc/sys/net/ipv4/tcp_migrate_req", /* 5.14 */
};

/*
 * Reads the beginning of the file in one read: the kernel produces the file anew for each read
 * from the start.
 */
static bool netstat_read(int fd, char *buffer, size_t size)
{
	const ssize_t length = fd < 0 ? -1 : pread(fd, buffer, size - 1, 0);

	buffer[length > 0 ? length : 0] = 0;
	return length > 0;
}

static bool counters_read(const struct netstat_namespace *n, struct handshake_counters *c)
{
	static char text[NETSTAT_SIZE];

	return netstat_read(n->fds[NETSTAT], text, sizeof(text)) && handshakes_parse(c, text);
}

static bool setting_read(const struct netstat_namespace *n, enum file file, uint32_t *to)
{
	char text[32];

	if (!netstat_read(n->fds[file], text, sizeof(text)))
		return false;
	*to = strtoul(text, NULL, 10);
	return true;
}

static struct handshake_settings settings_read(const struct netstat_namespace *n)
{
	struct handshake_settings s = {};
	uint32_t migrate = 0;

	s.known = setting_read(n, COOKIES, &s.cookies) &&
		  setting_read(n, MAX_SYN_BACKLOG, &s.max_syn_backlog) &&
		  setting_read(n, SYNACK_RETRIES, &s.synack_retries);
	setting_read(n, MIGRATE_REQ, &migrate);
	s.migrate = migrate;
	return s;
}

static void namespace_close(struct netstat_namespace *n)
{
	for (size_t i = 0; i < NETSTAT_FILES; i++)
		if (n->fds[i] >= 0)
			close(n->fds[i]);
}

static int files_open(void *to, uint32_t netns)
{
	struct netstat_namespace *n = to;

	(void)netns;
	for (size_t i = 0; i < NETSTAT_FILES; i++)
		n->fds[i] = open(files[i], O_RDONLY | O_CLOEXEC);
	return 0;
}

/* A namespace that can't be entered is not tried again while it stays named. */
static int namespace_add(struct netstat *n, uint32_t netns, bool *opened)
{
	struct netstat_namespace *row = &n->rows[n->count++];
	int failed, err;

	*row = (struct netstat_namespace){
		.look.netns = netns, .named = true, .opened = true, .fds = { -1, -1, -1, -1, -1 }
	};
	err = namespace_within(netns, files_open, row, &failed);
	*opened |= row->fds[NETSTAT] >= 0;
	return err;
}

void netstat_before(struct netstat *n)
{
	struct handshake_counters c;

	for (size_t i = 0; i < n->count; i++) {
		n->rows[i].look.withheld.before = counters_read(&n->rows[i], &c) ? c.withheld : 0;
		n->rows[i].opened = false;
	}
}

int netstat_open(struct netstat *n, const uint32_t *netns, size_t count, bool *opened)
{
	size_t kept = 0;
	int err = 0;

	*opened = false;
	for (size_t i = 0; i < n->count; i++)
		n->rows[i].named = false;
	for (size_t i = 0; i < count && !err; i++) {
		size_t k = 0;

		while (k < n->count && n->rows[k].look.netns != netns[i])
			k++;
		if (k < n->count)
			n->rows[k].named = true;
		else if (n->count < NETSTAT_NAMESPACES)
			err = namespace_add(n, netns[i], opened);
	}
	for (size_t i = 0; i < n->count; i++) {
		if (n->rows[i].named)
			n->rows[kept++] = n->rows[i];
		else
			namespace_close(&n->rows[i]);
	}
	n->count = kept;
	return err;
}

size_t netstat_after(struct netstat *n, struct handshake_look *looks)
{
	struct handshake_counters c;
	size_t count = 0;

	for (size_t i = 0; i < n->count; i++) {
		struct handshake_look *look = &n->rows[i].look;

		if (!counters_read(&n->rows[i], &c))
			continue;
		look->counts = c.counts;
		look->withheld.after = c.withheld;
		if (n->rows[i].opened)
			look->withheld.before = 0; /* it was not read before */
		look->settings = settings_read(&n->rows[i]);
		looks[count++] = *look;
	}
	return count;
}

bool netstat_refuses(const struct netstat *n)
{
	struct handshake_counters c;

	for (size_t i = 0; i < n->count; i++)
		if (counters_read(&n->rows[i], &c) &&
		    memcmp(&c.counts, &n->rows[i].look.counts, sizeof(c.counts)))
			return true;
	return false;
}

void netstat_close(struct netstat *n)
{
	for (size_t i = 0; i < n->count; i++)
		namespace_close(&n->rows[i]);
	n->count = 0;
}
