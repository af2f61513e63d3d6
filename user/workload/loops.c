/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What workers do: each public function is the loop of a mode, which waits for a connection or
 * datagram in the mode's way and serves it. */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptor.h"
#include "mode.h"

#define SILENT_CLIENT_MS                                                                           \
	2000 /* how long a worker waits for the request on a connection that it has accepted */
#define DRAIN_READS 64 /* how many reads of an unread request are thrown away before close() */
#define URING_ENTRIES 8
#define URING_COMPLETIONS 1024

/* ---- serving ---- */

static void burn(const struct worker *w)
{
	int64_t until_ns;

	if (!w->work_ns)
		return;
	until_ns = clock_now_ns(CLOCK_THREAD_CPUTIME_ID) + w->work_ns;
	while (clock_now_ns(CLOCK_THREAD_CPUTIME_ID) < until_ns && !worker_stopped(w))
		;
}

/* Reads a request, but does not hang on a client that never sends. Nearly always the request is
 * there already, so poll() is called only if it is not. */
static ssize_t read_request(const struct worker *w, int fd, char *request, size_t size)
{
	int64_t until_ns = monotonic_ns() + SILENT_CLIENT_MS * INT64_C(1000000);

	for (;;) {
		struct pollfd readable = { .fd = fd, .events = POLLIN };
		ssize_t length = recv(fd, request, size, MSG_DONTWAIT);
		int64_t left_ms;

		if (length >= 0 || (errno != EAGAIN && errno != EINTR))
			return length;
		left_ms = (until_ns - monotonic_ns()) / 1000000;
		if (left_ms <= 0 || worker_stopped(w))
			return -1;
		poll(&readable, 1, (int)left_ms);
	}
}

static bool ends_request(const char *request, ssize_t length)
{
	return length >= 4 && !memcmp(request + length - 4, "\r\n\r\n", 4);
}

/* Reads what is left: close() with unread bytes resets the connection, and the reset can overtake
 * the reply. */
static void socket_drain(int fd, char *buffer, size_t size)
{
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < DRAIN_READS && recv(fd, buffer, size, MSG_DONTWAIT) > 0; i++)
		;
}

/* Reads one request, works, answers and closes. It speaks HTTP, so that curl, wrk and ab can be the
 * clients. */
static void serve(struct worker *w, int fd)
{
	static const char reply[] =
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
		"Connection: close\r\n\r\nok\n";
	char request[4096];
	ssize_t length = read_request(w, fd, request, sizeof(request));

	if (length > 0) {
		burn(w);
		if (send(fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(reply) - 1)
			tally_add(&w->tally->served);
		if (!ends_request(request, length))
			socket_drain(fd, request, sizeof(request));
	}
	close(fd);
	tally_add(&w->tally->finished);
}

/*
 * Pauses after a failed accept or receive: a lack of descriptors or memory passes, but not at once.
 */
static void pause_unless_harmless(int error)
{
	if (error != EAGAIN && error != EINTR && error != ECONNABORTED)
		sleep_ms(10);
}

/* ---- accepting ---- */

/* Accepts a connection. Returns it, or -1. */
static int worker_accept(struct worker *w)
{
	int fd = accept4(w->socket, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		tally_add(&w->tally->accepted);
	else
		pause_unless_harmless(errno);
	return fd;
}

static void accept_and_serve(struct worker *w)
{
	int fd = worker_accept(w);

	if (fd >= 0)
		serve(w, fd);
}

void accept_blocking(struct worker *w)
{
	worker_ready(w);
	while (!worker_stopped(w))
		accept_and_serve(w);
}

static void accept_on_epoll(struct worker *w, int epoll)
{
	struct epoll_event event;

	worker_ready(w);
	while (!worker_stopped(w))
		if (epoll_wait(epoll, &event, 1, -1) == 1)
			accept_and_serve(w);
}

void accept_by_epoll(struct worker *w)
{
	struct epoll_event event = { .events = w->server->mode->epoll_events };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, w->socket, &event))
		shared_refuse(w->server->shared, -errno, "cannot make a worker's epoll: %s",
			      strerror(errno));
	else
		accept_on_epoll(w, epoll);
	if (epoll >= 0)
		close(epoll);
}

void accept_by_common_epoll(struct worker *w)
{
	accept_on_epoll(w, w->server->epoll);
}

/* ---- handing on ---- */

/* Hands a connection to a worker. Blocks while the worker's queue is full. */
static void hand_to(struct worker *w, int queue, int fd)
{
	int err;

	while ((err = descriptor_send(queue, fd)) && !worker_stopped(w))
		pause_unless_harmless(-err);
	close(fd);
}

void accept_and_hand_out(struct worker *w)
{
	const struct server *s = w->server;
	unsigned next = 0;

	worker_ready(w);
	while (!worker_stopped(w)) {
		int fd = worker_accept(w);

		if (fd < 0)
			continue;
		hand_to(w, s->handoffs[next][0], fd);
		next = (next + 1) % s->options->workers;
	}
}

void serve_handed(struct worker *w)
{
	int queue = w->server->handoffs[w->number][1];

	worker_ready(w);
	while (!worker_stopped(w)) {
		int fd = descriptor_receive(queue);

		if (fd >= 0)
			serve(w, fd);
		else
			pause_unless_harmless(-fd);
	}
}

/* ---- io_uring ---- */

static long io_uring_disabled(void)
{
	FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	long value = -1;

	if (f) {
		if (fscanf(f, "%ld", &value) != 1)
			value = -1;
		fclose(f);
	}
	return value;
}

static void refuse_uring(struct worker *w, int error)
{
	struct shared *shared = w->server->shared;

	if (error == -ENOSYS)
		shared_refuse(shared, -EOPNOTSUPP, "this kernel has no io_uring");
	else if ((error == -EPERM || error == -EACCES) && io_uring_disabled() > 0)
		shared_refuse(shared, -EOPNOTSUPP,
			      "io_uring is not available (kernel.io_uring_disabled = %ld)",
			      io_uring_disabled());
	else if (error == -EPERM || error == -EACCES)
		shared_refuse(shared, -EOPNOTSUPP,
			      "io_uring is not available (a security policy forbids it)");
	else if (error == -EINVAL)
		shared_refuse(shared, -EOPNOTSUPP, "multishot accept needs kernel 5.19");
	else
		shared_refuse(shared, error, "cannot make a worker's io_uring: %s",
			      strerror(-error));
}

enum { URING_ACCEPT = 1, URING_CANCEL };

/* Submits the multishot accept request. Returns 0 or a negative errno. */
static int uring_arm(struct io_uring *ring, int listener)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int submitted;

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, URING_ACCEPT);
	do
		submitted = io_uring_submit(ring);
	while (submitted == -EINTR);
	return submitted < 0 ? submitted : 0;
}

/* Has the kernel refused the request? Kernels without multishot do so as soon as they see it. */
static int uring_refused(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(ring, &cqe) || cqe->res != -EINVAL)
		return 0;
	return -EINVAL;
}

/* Takes one completion: a connection, or the end of the multishot request, which is then submitted
 * again. */
static int uring_take(struct worker *w, struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int err = io_uring_wait_cqe(ring, &cqe);
	bool more;
	int fd;

	if (err)
		return err == -EINTR ? 0 : err;
	fd = cqe->res;
	more = cqe->flags & IORING_CQE_F_MORE;
	io_uring_cqe_seen(ring, cqe);
	if (!more)
		err = uring_arm(ring, w->socket);
	if (fd >= 0) {
		tally_add(&w->tally->accepted);
		serve(w, fd);
	} else {
		pause_unless_harmless(-fd);
	}
	return err;
}

/* Cancels the request and closes its connections. Otherwise connections that completed meanwhile
 * would stay open in this process, and the request would hold the listener. */
static void uring_end(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	bool accepting = true, cancelling = true;

	io_uring_prep_cancel64(sqe, URING_ACCEPT, 0);
	io_uring_sqe_set_data64(sqe, URING_CANCEL);
	while (accepting || cancelling) {
		struct io_uring_cqe *cqe;
		int err = io_uring_submit_and_wait(ring, 1);

		if (err < 0 && err != -EINTR)
			break;
		while (!io_uring_peek_cqe(ring, &cqe)) {
			if (cqe->user_data == URING_CANCEL) {
				cancelling = false;
				accepting &= cqe->res != -ENOENT;
			} else {
				accepting &= !!(cqe->flags & IORING_CQE_F_MORE);
				if (cqe->res >= 0)
					close(cqe->res);
			}
			io_uring_cqe_seen(ring, cqe);
		}
	}
	io_uring_queue_exit(ring);
}

void accept_by_uring(struct worker *w)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE,
					  .cq_entries = URING_COMPLETIONS };
	struct io_uring ring;
	int err = io_uring_queue_init_params(URING_ENTRIES, &ring, &params);

	if (err) {
		refuse_uring(w, err);
		return;
	}
	err = uring_arm(&ring, w->socket);
	if (!err)
		err = uring_refused(&ring);
	if (err) {
		refuse_uring(w, err);
		io_uring_queue_exit(&ring);
		return;
	}
	worker_ready(w);
	while (!err && !worker_stopped(w))
		err = uring_take(w, &ring);
	uring_end(&ring);
}

/* ---- UDP ---- */

/* Echoes each datagram, so that the client's sequence number comes back. */
void receive_blocking(struct worker *w)
{
	char datagram[2048];

	worker_ready(w);
	while (!worker_stopped(w)) {
		struct sockaddr_storage from;
		socklen_t from_size = sizeof(from);
		ssize_t length = recvfrom(w->socket, datagram, sizeof(datagram), 0,
					  (struct sockaddr *)&from, &from_size);

		if (length < 0) {
			pause_unless_harmless(errno);
			continue;
		}
		tally_add(&w->tally->accepted);
		burn(w);
		if (sendto(w->socket, datagram, length, MSG_NOSIGNAL, (struct sockaddr *)&from,
			   from_size) == length)
			tally_add(&w->tally->served);
		tally_add(&w->tally->finished);
	}
}
