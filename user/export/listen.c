/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads where to listen, and makes the socket. Names are not looked up: an address says exactly
 * who can connect. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../attach/loading.h"

/*
 * More than are served at once (clients.h), so that those who come while many others do, wait here
 * and not for their next SYN. The kernel cuts it to net.core.somaxconn.
 */
#define BACKLOG 1024
/*
 * What the kernel keeps of an answer that a client does not read is memory of the kernel, up to
 * net.ipv4.tcp_wmem's 4 MiB a client. It doubles this number (socket(7)).
 */
#define SEND_BUFFER (128 << 10)

#define FIRST_PASSED 3 /* SD_LISTEN_FDS_START */

/* ---- what is asked for ---- */

static int no_address(const char *text, char *why, size_t size)
{
	return loading_fail(
		-EINVAL, why, size,
		"'%.200s' is no place to listen at: it takes ADDRESS:PORT with a "
		"numeric address (127.0.0.1:7435; [::1]:7435; 0.0.0.0:7435 for all), or "
		"unix:/PATH",
		text);
}

/* -1: it is no port. */
static int port_parse(const char *text)
{
	const size_t digits = strspn(text, "0123456789");
	const long port = strtol(text, NULL, 10);

	return digits && digits <= 5 && !text[digits] && port <= 65535 ? (int)port : -1;
}

static bool parse_v4(const char *text, struct export_listen *l)
{
	const char *colon = strrchr(text, ':');
	char address[INET_ADDRSTRLEN];
	int port;

	if (!colon || colon - text >= (long)sizeof(address))
		return false;
	snprintf(address, sizeof(address), "%.*s", (int)(colon - text), text);
	port = port_parse(colon + 1);
	l->address.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	l->length = sizeof(l->address.v4);
	return port >= 0 && inet_pton(AF_INET, address, &l->address.v4.sin_addr) == 1;
}

/* "[fe80::1%eth0]:7435" names the device of a link-local address. */
static bool parse_v6(const char *text, struct export_listen *l)
{
	char address[INET6_ADDRSTRLEN + IF_NAMESIZE], *device;
	const char *end = strstr(text, "]:");
	unsigned scope = 0;
	int port;

	if (*text != '[' || !end || end - text > (long)sizeof(address))
		return false;
	snprintf(address, sizeof(address), "%.*s", (int)(end - text - 1), text + 1);
	device = strchr(address, '%');
	if (device) {
		*device++ = '\0';
		scope = if_nametoindex(device);
		if (!scope)
			return false;
	}
	port = port_parse(end + 2);
	l->address.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					       .sin6_port = htons(port),
					       .sin6_scope_id = scope };
	l->length = sizeof(l->address.v6);
	return port >= 0 && inet_pton(AF_INET6, address, &l->address.v6.sin6_addr) == 1;
}

static int parse_path(const char *path, struct export_listen *l, char *why, size_t size)
{
	struct sockaddr_un *local = &l->address.local;

	if (*path != '/')
		return loading_fail(-EINVAL, why, size,
				    "'unix:%.200s' is no place to listen at: the path has to begin "
				    "with /",
				    path);
	if (strlen(path) >= sizeof(local->sun_path))
		return loading_fail(-EINVAL, why, size,
				    "'unix:%.40s...' is too long for the path of a unix socket: "
				    "%zu bytes, and %zu are possible",
				    path, strlen(path), sizeof(local->sun_path) - 1);
	*local = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(local->sun_path, path, strlen(path) + 1);
	l->length = sizeof(*local);
	return 0;
}

/* ---- what systemd passes ---- */

/* How many descriptors systemd has passed to this very process. */
static long passed_count(void)
{
	const char *to = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const long passed =
		to && count && strtol(to, NULL, 10) == getpid() ? strtol(count, NULL, 10) : 0;

	/* They are for this process, not for children. */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return passed;
}

static int socket_option(int fd, int option)
{
	int value = -1;
	socklen_t length = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) ? -errno : value;
}

static int take_passed(long count, struct export_listen *l, char *why, size_t size)
{
	const int fd = FIRST_PASSED;
	int family;

	if (count > 1)
		return loading_fail(-EINVAL, why, size,
				    "systemd passes %ld sockets, and only one can be served: leave "
				    "one ListenStream= in the socket unit",
				    count);
	family = socket_option(fd, SO_DOMAIN);
	if (socket_option(fd, SO_TYPE) != SOCK_STREAM || socket_option(fd, SO_ACCEPTCONN) != 1 ||
	    (family != AF_INET && family != AF_INET6 && family != AF_UNIX))
		return loading_fail(-EINVAL, why, size,
				    "what systemd passes is no socket of TCP or of unix that "
				    "listens: the socket unit takes ListenStream= and Accept=no");
	l->given = fd;
	return 0;
}

int export_listen_parse(const char *text, struct export_listen *l, char *why, size_t size)
{
	const long passed = passed_count();

	*l = (struct export_listen){ .given = -1 };
	if (passed > 0 && text)
		return loading_fail(-EINVAL, why, size,
				    "systemd passes a socket, and there is --listen %.100s: leave "
				    "one of them out",
				    text);
	if (passed > 0)
		return take_passed(passed, l, why, size);
	if (!text)
		text = EXPORT_LISTEN_DEFAULT;
	if (!strncmp(text, "unix:", 5))
		return parse_path(text + 5, l, why, size);
	return parse_v4(text, l) || parse_v6(text, l) ? 0 : no_address(text, why, size);
}

/* ---- the socket ---- */

/* As --listen takes it. */
static void place_name(const struct export_listen *at, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	switch (at->address.any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &at->address.v4.sin_addr, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(at->address.v4.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &at->address.v6.sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(at->address.v6.sin6_port));
		break;
	default:
		snprintf(text, size, "unix:%.*s", (int)sizeof(at->address.local.sun_path),
			 at->address.local.sun_path);
	}
}

/* Somebody listens there, or may: only a refusal says that nobody does. */
static bool is_served(const struct export_listen *at)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool served = true;

	if (fd < 0)
		return true;
	if (connect(fd, &at->address.any, at->length))
		served = errno != ECONNREFUSED;
	close(fd);
	return served;
}

/* Removes the file that a killed exporter has left. Returns whether the path is free now. */
static bool stale_remove(const struct export_listen *at)
{
	const char *path = at->address.local.sun_path;
	struct stat st;

	return !lstat(path, &st) && S_ISSOCK(st.st_mode) && !is_served(at) && !unlink(path);
}

static int bind_local(struct listener *l, const struct export_listen *at)
{
	/* bind() gives the file the mode of the socket (unix_bind()), so that there is no moment
	 * in which anybody can connect. */
	fchmod(l->fd, 0600);
	if (bind(l->fd, &at->address.any, at->length) &&
	    (errno != EADDRINUSE || !stale_remove(at) || bind(l->fd, &at->address.any, at->length)))
		return -errno;
	memcpy(l->path, at->address.local.sun_path, sizeof(l->path));
	return lstat(l->path, &l->made) || chmod(l->path, 0660) ? -errno : 0;
}

static int bind_network(struct listener *l, const struct export_listen *at)
{
	const int on = 1, off = 0;

	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* [::] takes IPv4, too, whatever net.ipv6.bindv6only says: one place is all there is. */
	if (at->address.any.sa_family == AF_INET6)
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	return bind(l->fd, &at->address.any, at->length) ? -errno : 0;
}

static int listen_failed(int err, const struct export_listen *at, char *why, size_t size)
{
	const bool local = at->address.any.sa_family == AF_UNIX;
	const char *more = "";
	char place[160];

	place_name(at, place, sizeof(place));
	if (local && err == -EADDRINUSE)
		more = "; somebody listens there, or the file is no socket";
	else if (err == -EADDRINUSE)
		more = "; sockfair bind-check says who has it, --listen takes another place";
	else if (err == -EADDRNOTAVAIL)
		more = "; no device here has that address";
	else if (!local && err == -EACCES)
		more = "; --listen takes a port above 1023";
	return loading_fail(err, why, size, "cannot listen on %s: %s%s", place, strerror(-err),
			    more);
}

/* Makes a socket that is bound. Returns 0 or negative errno. */
static int listener_bind(struct listener *l, const struct export_listen *at)
{
	const int family = at->address.any.sa_family;

	l->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	return family == AF_UNIX ? bind_local(l, at) : bind_network(l, at);
}

int listener_open(struct listener *l, const struct export_listen *at, char *why, size_t size)
{
	struct export_listen bound = { .length = sizeof(bound.address) };
	const int bytes = SEND_BUFFER;
	char place[160];
	int err = 0;

	*l = (struct listener){ .fd = at->given };
	if (at->given < 0)
		err = listener_bind(l, at);
	if (!err && (fcntl(l->fd, F_SETFD, FD_CLOEXEC) || fcntl(l->fd, F_SETFL, O_NONBLOCK) ||
		     (at->given < 0 && listen(l->fd, BACKLOG)) ||
		     getsockname(l->fd, &bound.address.any, &bound.length)))
		err = -errno;
	if (err) {
		listen_failed(err, at, why, size);
		listener_close(l);
		listener_remove(l);
		return err;
	}
	/* Those that are accepted inherit it. */
	setsockopt(l->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	place_name(&bound, place, sizeof(place));
	snprintf(l->name, sizeof(l->name), "%s%s",
		 bound.address.any.sa_family == AF_UNIX ? "" : "http://", place);
	return 0;
}

void listener_close(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void listener_remove(struct listener *l)
{
	struct stat now;

	if (*l->path && !lstat(l->path, &now) && now.st_dev == l->made.st_dev &&
	    now.st_ino == l->made.st_ino)
		unlink(l->path);
	*l->path = '\0';
}
