/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that select sockets: each adds to a struct selection. The end of the file checks the
 * selection and puts it into words. */
#include "filter.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../collect/namespace.h"
#include "../render/text.h"
#include "command.h"

#define NETNS_INODE_MIN                                                                            \
	0xefffff00u /* numbers from here on are namespaces, because no pid is that high; the first \
		       namespace has 0xeffffff9 (6.18), others 0xf0000000 and above */

enum { OPT_COMM = 2000 };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0,
	  "Which sockets (lists are comma-separated; all that is given must hold):", 1 },
	{ "port", 'P', "PORT", 0, "Local ports: 80,443 or 8000-8010", 0 },
	{ "pid", 'p', "PID", 0, "Sockets that these processes hold, whoever takes from them", 0 },
	{ "comm", OPT_COMM, "NAME", 0, "Sockets held by processes of these names", 0 },
	{ "cgroup", 'c', "PATH", 0, "Sockets held by processes in these cgroups or below", 0 },
	{ "netns", 'N', "PID|PATH|INODE", 0, "In these network namespaces (all)", 0 },
	{ NULL, '4', NULL, 0, "IPv4 sockets only", 0 },
	{ NULL, '6', NULL, 0, "IPv6 sockets only, dual-stack ones too", 0 },
	{ "tcp", 't', NULL, 0, "TCP only", 0 },
	{ "udp", 'u', NULL, 0, "UDP only", 0 },
	{},
};

/* Adds an option's argument: calls `add` for each part of a comma-separated list. */
static void
each(struct selection *s, const struct argp_state *state, const char *option, char *list,
     void (*add)(struct selection *, const struct argp_state *, const char *, const char *))
{
	char *rest = list, *part;

	if (!*list)
		usage_error(state, "%s got an empty value", option);
	while ((part = strsep(&rest, ",")))
		add(s, state, option, part);
}

static void room(const struct argp_state *state, const char *option, size_t count, size_t max)
{
	if (count >= max)
		usage_error(state, "%s takes at most %zu values", option, max);
}

/* Parses "80", or "8000-8010", which includes both ends. */
static void add_ports(struct selection *s, const struct argp_state *state, const char *option,
		      const char *text)
{
	const char *dash = strchr(text, '-');
	char first[24];
	unsigned port, last;

	snprintf(first, sizeof(first), "%.*s",
		 dash && dash > text ? (int)(dash - text) : (int)strlen(text), text);
	port = option_count(state, option, first, 1, 65535);
	last = dash && dash > text ? option_count(state, option, dash + 1, 1, 65535) : port;
	if (last < port)
		usage_error(state, "%s %s: the range ends before it begins; write %u-%u", option,
			    text, last, port);
	if (last - port >= SELECTION_MAX)
		usage_error(state, "%s %s: that is %u ports, and %s takes at most %d", option, text,
			    last - port + 1, option, SELECTION_MAX);
	for (; port <= last; port++) {
		room(state, option, s->port_count, SELECTION_MAX);
		s->ports[s->port_count++] = port;
	}
}

static void add_pid(struct selection *s, const struct argp_state *state, const char *option,
		    const char *text)
{
	room(state, option, s->pid_count, SELECTION_MAX);
	s->pids[s->pid_count++] = option_count(state, option, text, 1, 4194304);
}

static void add_comm(struct selection *s, const struct argp_state *state, const char *option,
		     const char *text)
{
	room(state, option, s->comm_count, SELECTION_MAX);
	/* The kernel keeps 15 bytes of a name. */
	snprintf(s->comms[s->comm_count++], sizeof(s->comms[0]), "%s", text);
}

/* Takes a cgroup's path as /proc/PID/cgroup has it, or as the file system shows it. */
static void add_cgroup(struct selection *s, const struct argp_state *state, const char *option,
		       const char *text)
{
	static const char *const roots[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd",
					     "/sys/fs/cgroup" };
	static char paths[SELECTION_MAX][PATH_MAX]; /* they have to live as long as the command */
	char *path;
	size_t length;

	room(state, option, s->cgroup_count, SELECTION_MAX);
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		if (!strncmp(text, roots[i], strlen(roots[i]))) {
			text += strlen(roots[i]);
			break;
		}
	path = paths[s->cgroup_count];
	length = snprintf(path, PATH_MAX, "%s%s", *text == '/' ? "" : "/", text);
	if (length >= PATH_MAX)
		usage_error(state, "%s takes the path of a cgroup, not one of %zu bytes", option,
			    length);
	if (length > 1 && path[length - 1] == '/')
		path[length - 1] = 0;
	s->cgroups[s->cgroup_count++] = path;
}

static void add_netns(struct selection *s, const struct argp_state *state, const char *option,
		      const char *text)
{
	static const char *const advice =
		"give a process id, a path, a name of ip netns, or its inode";
	char path[PATH_MAX];
	int err;

	room(state, option, s->netns_count, SELECTION_NETNS_MAX);
	if (strspn(text, "0123456789") == strlen(text) && *text) {
		uint64_t number = option_count(state, option, text, 1, UINT32_MAX);

		if (number >= NETNS_INODE_MIN) {
			s->netns[s->netns_count++] = number;
			return;
		}
		snprintf(path, sizeof(path), "/proc/%s/ns/net", text);
	} else {
		snprintf(path, sizeof(path), "%s%s", strchr(text, '/') ? "" : "/run/netns/", text);
	}
	err = namespace_of(path, &s->netns[s->netns_count++]);
	if (err == -EINVAL)
		complain("%s is no network namespace; %s", path, advice);
	else if (err)
		complain("cannot find the network namespace %s (%s: %s); %s", text, path,
			 strerror(-err), advice);
	if (err)
		exit(STATUS_FAILED);
}

static error_t filter_parse(int key, char *arg, struct argp_state *state)
{
	struct selection *s = state->input;

	switch (key) {
	case 'P': each(s, state, "--port", arg, add_ports); break;
	case 'p': each(s, state, "--pid", arg, add_pid); break;
	case OPT_COMM: each(s, state, "--comm", arg, add_comm); break;
	case 'c': each(s, state, "--cgroup", arg, add_cgroup); break;
	case 'N': each(s, state, "--netns", arg, add_netns); break;
	case '4':
	case '6':
		if (s->family && s->family != (key == '4' ? AF_INET : AF_INET6))
			usage_error(state,
				    "-4 and -6 exclude each other; without both it is about both");
		s->family = key == '4' ? AF_INET : AF_INET6;
		break;
	case 't':
	case 'u':
		if (s->protocol && s->protocol != (key == 't' ? IPPROTO_TCP : IPPROTO_UDP))
			usage_error(state,
				    "-t and -u exclude each other; without both it is about both");
		s->protocol = key == 't' ? IPPROTO_TCP : IPPROTO_UDP;
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp filter_argp = { .options = options, .parser = filter_parse };

/* Does the cgroup exist? If its path is too long for a system call, it counts as existing. */
static bool cgroup_exists(const char *cgroup)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified",
					     "/sys/fs/cgroup/memory" };
	char path[2 * PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		if (snprintf(path, sizeof(path), "%s%s", roots[i], cgroup) >= PATH_MAX ||
		    !stat(path, &st) || errno == EACCES)
			return true;
	return false;
}

int filter_check(const struct selection *s)
{
	for (size_t i = 0; i < s->pid_count; i++)
		if (kill(s->pids[i], 0) && errno == ESRCH)
			return complain(
				"there is no process %d; see ps -e, or filter by --comm or --port",
				s->pids[i]);
	for (size_t i = 0; i < s->cgroup_count; i++)
		if (!cgroup_exists(s->cgroups[i]))
			return complain("there is no cgroup %s; /proc/PID/cgroup says which one a "
					"process is in",
					s->cgroups[i]);
	return STATUS_OK;
}

static void filter_put(FILE *f, const char *separator, const char *what, const char *value)
{
	char safe[256];

	fprintf(f, "%s%s%s%s", ftell(f) > 0 ? separator : "", what, *what ? " " : "",
		text_name(safe, value, sizeof(safe) - 1, true));
}

char *filter_text(const struct selection *s, char *buffer, size_t size)
{
	FILE *f = fmemopen(buffer, size, "w");
	char number[16], netns[NETNS_NAME_SIZE];

	*buffer = 0;
	if (!f)
		return buffer;
	if (s->protocol)
		filter_put(f, ", ", "", s->protocol == IPPROTO_TCP ? "tcp" : "udp");
	if (s->family)
		filter_put(f, ", ", "", s->family == AF_INET ? "IPv4" : "IPv6");
	for (size_t i = 0; i < s->port_count; i++) {
		snprintf(number, sizeof(number), "%u", s->ports[i]);
		filter_put(f, i ? "," : ", ", i ? "" : "port", number);
	}
	for (size_t i = 0; i < s->pid_count; i++) {
		snprintf(number, sizeof(number), "%d", s->pids[i]);
		filter_put(f, i ? "," : ", ", i ? "" : "pid", number);
	}
	for (size_t i = 0; i < s->comm_count; i++)
		filter_put(f, i ? "," : ", ", i ? "" : "process", s->comms[i]);
	for (size_t i = 0; i < s->cgroup_count; i++)
		filter_put(f, i ? "," : ", ", i ? "" : "cgroup", s->cgroups[i]);
	namespaces_name();
	for (size_t i = 0; i < s->netns_count; i++)
		filter_put(f, i ? "," : ", ", i ? "" : "netns", netns_say(netns, s->netns[i]));
	if (!ftell(f))
		filter_put(f, "", "", "all sockets");
	fclose(f);
	buffer[size - 1] = 0;
	return buffer;
}
