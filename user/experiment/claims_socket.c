/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single sockets for the claims: binds them here or in a process of another user, which hands its
 * socket over, and sends requests to see which socket gets them. */
#include "claims_socket.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../workload/child.h"
#include "../workload/descriptor.h"

#define BATCH 32              /* so many datagrams fit into any receive buffer */
#define ANSWER_WITHIN_MS 5000 /* for a process that does nothing but bind */
#define GIVE_UP_MS                                                                                 \
	2000 /* what was sent on loopback is there at once, or soon on a busy machine              \
	      */
#define SOCKETS_MAX 16

/* ---- addresses ---- */

static socklen_t loopback(struct sockaddr_storage *a, int family, uint16_t port_in_network_order)
{
	struct sockaddr_in *in = (struct sockaddr_in *)a;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)a;

	memset(a, 0, sizeof(*a));
	a->ss_family = family;
	if (family == AF_INET6) {
		in6->sin6_addr = in6addr_loopback;
		in6->sin6_port = port_in_network_order;
		return sizeof(*in6);
	}
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->sin_port = port_in_network_order;
	return sizeof(*in);
}

uint16_t bound_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = {};
	socklen_t size = sizeof(a);

	if (getsockname(fd, &a.any, &size))
		return 0;
	return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

/* ---- binding ---- */

static int socket_make(const struct binding *b)
{
	const int on = 1;
	int fd = socket(b->family, b->type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if ((b->reuseaddr && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))) ||
	    (b->reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))) {
		const int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* Binds in this process. Returns 0, or a negative errno if there was no attempt. */
static int bind_here(const struct binding *b, struct bound *out)
{
	struct sockaddr_storage address;
	const socklen_t size =
		loopback(&address, b->family, b->no_htons ? b->port : htons(b->port));
	int fd = socket_make(b);

	*out = (struct bound){ .fd = -1 };
	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&address, size) || (b->listening && listen(fd, 64)))
		out->error = errno;
	else
		out->fd = fd;
	if (out->fd < 0)
		close(fd);
	return 0;
}

/* Keeps this capability and no other, in all three sets that matter. */
static int capabilities_keep(bool bind_service)
{
	const cap_value_t one = CAP_NET_BIND_SERVICE;
	cap_t caps = cap_init();
	int err = 0;

	if (!caps)
		return -ENOMEM;
	if (bind_service && (cap_set_flag(caps, CAP_PERMITTED, 1, &one, CAP_SET) ||
			     cap_set_flag(caps, CAP_EFFECTIVE, 1, &one, CAP_SET)))
		err = -errno;
	if (!err && cap_set_proc(caps))
		err = -errno;
	cap_free(caps);
	return err;
}

/* Becomes the user for good. Changing the user clears the signal at the parent's death, so it is
 * requested again. */
static int user_become(const struct binding *b, pid_t parent)
{
	if (prctl(PR_SET_KEEPCAPS, b->bind_service) || setgroups(0, NULL) ||
	    setresgid(b->user, b->user, b->user) || setresuid(b->user, b->user, b->user))
		return -errno;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return capabilities_keep(b->bind_service);
}

/* What the child process reports before it hands the socket over. */
struct answer {
	int failed; /* negative errno: there was no attempt */
	int error;  /* as in struct bound */
};

static _Noreturn void bind_as_child(const struct binding *b, int queue, pid_t parent)
{
	struct answer answer = {};
	struct bound bound = { .fd = -1 };

	child_keep(queue, -1);
	answer.failed = user_become(b, parent);
	if (!answer.failed)
		answer.failed = bind_here(b, &bound);
	answer.error = bound.error;
	if (send(queue, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
		_exit(1);
	_exit(bound.fd >= 0 && descriptor_send(queue, bound.fd));
}

/* Waits until the child process reports or dies; it may have been stopped. An interrupt ends the
 * wait. */
static int bind_as_await(const struct binding *b, int queue, struct why why)
{
	struct pollfd readable = { .fd = queue, .events = POLLIN };
	const int ready = poll(&readable, 1, ANSWER_WITHIN_MS);

	if (ready > 0)
		return 0;
	if (!ready)
		return refuse(why, -ETIMEDOUT, "a process of user %u did not answer within %d s",
			      b->user, ANSWER_WITHIN_MS / 1000);
	return refuse(why, -errno, "waiting for a process of user %u: %s", b->user,
		      strerror(errno));
}

static int bind_as_receive(const struct binding *b, int queue, struct bound *out, struct why why)
{
	struct answer answer;
	int err = bind_as_await(b, queue, why);

	if (err)
		return err;
	if (recv(queue, &answer, sizeof(answer), 0) != sizeof(answer))
		return refuse(why, -ECHILD, "a process of user %u died before it could bind",
			      b->user);
	if (answer.failed)
		return refuse(why, answer.failed, "cannot run a process as user %u: %s", b->user,
			      strerror(-answer.failed));
	*out = (struct bound){ .fd = -1, .error = answer.error };
	err = answer.error ? 0 : bind_as_await(b, queue, why);
	if (answer.error || err)
		return err;
	out->fd = descriptor_receive(queue);
	return out->fd < 0 ? refuse(why, out->fd, "no socket came from a process of user %u: %s",
				    b->user, strerror(-out->fd))
			   : 0;
}

static int bind_as(const struct binding *b, struct bound *out, struct why why)
{
	const pid_t self = getpid();
	int ends[2], err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return refuse(why, -errno, "cannot make a pair of sockets: %s", strerror(errno));
	pid = child_fork();
	if (pid == 0)
		bind_as_child(b, ends[1], self);
	close(ends[1]); /* closed here, so that the child's death is seen */
	err = pid < 0 ? refuse(why, pid, "cannot fork: %s", strerror(-pid))
		      : bind_as_receive(b, ends[0], out, why);
	close(ends[0]);
	if (pid > 0)
		kill(pid, SIGKILL); /* the child has reported all that it will, may be stopped, and
				       is not reaped yet */
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err;
}

int binding_try(const struct binding *b, int refusal, struct bound *out, struct why why)
{
	int err;

	*out = (struct bound){ .fd = -1 };
	if (b->user) {
		err = bind_as(b, out, why);
	} else {
		err = bind_here(b, out);
		if (err)
			refuse(why, err, "cannot make a socket: %s", strerror(-err));
	}
	if (err || !out->error || out->error == refusal)
		return err;
	return refuse(why, -out->error, "cannot bind port %u of a private namespace: %s", b->port,
		      strerror(out->error));
}

int binding_allowed(const struct binding *b, int refusal, bool *allowed, struct why why)
{
	struct bound bound;
	int err = binding_try(b, refusal, &bound, why);

	*allowed = bound.fd >= 0;
	if (*allowed)
		close(bound.fd);
	return err;
}

int family_known(int family, bool *known, struct why why)
{
	const struct binding any = { .family = family, .type = SOCK_DGRAM };
	int err = binding_allowed(&any, 0, known, why);

	if (err != -EAFNOSUPPORT && err != -EADDRNOTAVAIL)
		return err;
	*why.text = '\0';
	return 0;
}

/* ---- clients ---- */

int client_connect(int family, int type, uint16_t port)
{
	const struct timeval patience = { .tv_sec = GIVE_UP_MS / 1000 };
	const struct linger reset = { .l_onoff = 1 };
	struct sockaddr_storage address;
	const socklen_t size = loopback(&address, family, htons(port));
	int fd = socket(family, type | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (connect(fd, (struct sockaddr *)&address, size))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

/* Takes one request. 1: took one. 0: there was none after all. A negative errno: the next try would
 * fail too. */
static int connection_take(int fd, int type)
{
	char datagram[16];
	int taken = type == SOCK_DGRAM ? recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT)
				       : accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (taken < 0)
		return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR ? 0 : -errno;
	if (type == SOCK_STREAM)
		close(taken);
	return 1;
}

/*
 * Takes one request from each socket that has some waiting. Returns how many, or a negative errno.
 */
static int take_each(const struct spread *s, const struct pollfd *readable, size_t count,
		     uint64_t *got)
{
	int sum = 0;

	for (size_t i = 0; i < count; i++) {
		const int taken =
			readable[i].revents & POLLIN ? connection_take(readable[i].fd, s->type) : 0;

		if (taken < 0)
			return taken;
		got[i] += taken;
		sum += taken;
	}
	return sum;
}

/* Takes `expected` requests from whichever sockets have them. Waits some seconds for late ones,
 * then returns -ETIMEDOUT. */
static int collect(const struct spread *s, unsigned expected, const int *fds, size_t count,
		   uint64_t *got)
{
	const int64_t until_ns = monotonic_ns() + GIVE_UP_MS * INT64_C(1000000);
	struct pollfd readable[SOCKETS_MAX];
	unsigned taken = 0;

	for (size_t i = 0; i < count; i++)
		readable[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	while (taken < expected) {
		const int ready = poll(readable, count, GIVE_UP_MS), err = ready < 0 ? -errno : 0;
		const int n = ready > 0 ? take_each(s, readable, count, got) : 0;

		if (*s->interrupted)
			return -EINTR;
		if (n < 0 || (err && err != -EINTR))
			return n < 0 ? n : err;
		taken += n;
		if (taken < expected && monotonic_ns() >= until_ns)
			return -ETIMEDOUT;
	}
	return 0;
}

/* Makes a client that sends one request. Returns its socket, or a negative errno. */
static int request_make(const struct spread *s)
{
	int fd = client_connect(s->family, s->type, s->port), err;

	if (fd < 0 || s->type == SOCK_STREAM || send(fd, "x", 1, MSG_NOSIGNAL) == 1)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int spread(struct spread *s, const int *fds, size_t count, uint64_t *got, struct why why)
{
	/* A TCP client stays until its connection was accepted: its reset would take the connection
	 * out of the queue. */
	const unsigned batch = s->type == SOCK_STREAM ? 1 : BATCH;
	const char *requests = s->type == SOCK_STREAM ? "connections" : "datagrams";

	for (s->sent = 0; s->sent < s->requests;) {
		int fd = request_make(s), err = 0;

		if (fd < 0)
			return refuse(why, fd, "only %u of %u %s could be sent: %s", s->sent,
				      s->requests, requests, strerror(-fd));
		s->sent++;
		if (s->sent % batch == 0 || s->sent == s->requests)
			err = collect(s, (s->sent - 1) % batch + 1, fds, count, got);
		close(fd);
		if (err)
			return refuse(why, err, "not all of the first %u %s could be taken: %s",
				      s->sent, requests, strerror(-err));
	}
	return 0;
}
