/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server of a workload: binds its sockets, starts its workers as threads or processes,
 * describes them to the observer, and stops them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "server.h"

#define BACKLOG 4096 /* the kernel caps it at net.core.somaxconn */
#define WORKER_STACK ((size_t)256 * 1024)
#define WAKE_SIGNAL SIGUSR2
#define WAKE_EVERY_MS 10
#define KILL_AFTER_MS 2000
#define SLEEP_WITHIN_MS 1000

unsigned server_worker_count(const struct workload_options *options)
{
	return options->workers + (options->mode->server->acceptor ? 1 : 0);
}

/* ---- sockets ---- */

static socklen_t address_size(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static unsigned address_port(const struct sockaddr_storage *a)
{
	return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
					      : ((const struct sockaddr_in *)a)->sin_port);
}

static const void *address_bytes(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr
					: (const void *)&((const struct sockaddr_in *)a)->sin_addr;
}

static bool serves_tcp(const struct server *s)
{
	return s->options->mode->protocol == PROTOCOL_TCP;
}

static int privileged_ports(void)
{
	const int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_RDONLY | O_CLOEXEC);
	char text[16] = "";
	int start;

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		*text = '\0';
	if (fd >= 0)
		close(fd);
	return sscanf(text, "%d", &start) == 1 ? start : 1024;
}

/* Writes the one line for a failed bind() or listen(). Returns -error. */
static int refuse_bind(const struct server *s, int error)
{
	const struct sockaddr_storage *a = &s->address;
	unsigned port = address_port(a);
	char address[INET6_ADDRSTRLEN] = "", where[sizeof(address) + 16];

	inet_ntop(a->ss_family, address_bytes(a), address, sizeof(address));
	snprintf(where, sizeof(where), a->ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", address,
		 port);
	switch (error) {
	case EACCES:
		if (port < (unsigned)privileged_ports())
			return refuse(s->why, -error,
				      "cannot bind %s: permission denied: ports below %d need "
				      "CAP_NET_BIND_SERVICE; choose another --port",
				      where, privileged_ports());
		break;
	case EADDRINUSE:
		return refuse(s->why, -error,
			      "cannot bind %s: address already in use; choose another --port or "
			      "stop what "
			      "holds it (ss -%snp 'sport = :%u')",
			      where, serves_tcp(s) ? "lt" : "lu", port);
	case EADDRNOTAVAIL:
		return refuse(
			s->why, -error,
			"cannot bind %s: no such address on this machine; choose another --bind",
			where);
	}
	return refuse(s->why, -error, "cannot bind %s: %s", where, strerror(error));
}

/* Returns a bound socket, or a negative errno with one line. TCP sockets always set SO_REUSEADDR,
 * as every server does: connections in TIME_WAIT must not prevent binding. */
static int socket_bind(struct server *s, int share)
{
	int type = (serves_tcp(s) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC |
		   (s->mode->nonblocking ? SOCK_NONBLOCK : 0);
	int fd = socket(s->address.ss_family, type, 0);
	int on = 1, err;

	if (fd < 0)
		return refuse(s->why, -errno, "cannot make a socket: %s", strerror(errno));
	if ((serves_tcp(s) && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))) ||
	    (share && setsockopt(fd, SOL_SOCKET, share, &on, sizeof(on))))
		err = refuse(s->why, -errno, "cannot share a socket's port: %s", strerror(errno));
	else if (bind(fd, (struct sockaddr *)&s->address, address_size(&s->address)))
		err = refuse_bind(s, errno);
	else
		return fd;
	close(fd);
	return err;
}

/*
 * Binds the port once without sharing: to choose the port if it is 0, and to make sure that no
 * other process has it. Otherwise the group would silently share it with another process's sockets
 * that set the same option.
 */
static int claim_port(struct server *s)
{
	socklen_t size = sizeof(s->address);
	int fd = socket_bind(s, 0), err = 0;

	if (fd < 0)
		return fd;
	if (serves_tcp(s) && listen(fd, 1)) /* only listen() finds a socket that is bound with
					       SO_REUSEADDR and does not listen */
		err = refuse_bind(s, errno);
	else if (getsockname(fd, (struct sockaddr *)&s->address, &size))
		err = refuse(s->why, -errno, "cannot read the bound address: %s", strerror(errno));
	close(fd);
	return err;
}

/* Opens the sockets in the order of the workers: the order of listen() is the order within a
 * reuseport group. */
static int open_sockets(struct server *s)
{
	unsigned count = s->mode->share ? s->options->workers : 1;

	s->sockets = calloc(count, sizeof(*s->sockets));
	if (!s->sockets)
		return refuse(s->why, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < count; i++) {
		int fd = socket_bind(s, s->mode->share);

		if (fd < 0)
			return fd;
		s->sockets[s->socket_count++] = fd;
		if (serves_tcp(s) && listen(fd, BACKLOG))
			return refuse_bind(s, errno);
	}
	return 0;
}

int server_open(struct server *s, const struct workload_options *options, struct shared *shared,
		struct why why)
{
	int err;

	*s = (struct server){ .options = options,
			      .mode = options->mode->server,
			      .shared = shared,
			      .why = why,
			      .epoll = -1 };
	s->address = options->bind;
	err = claim_port(s);
	if (!err)
		err = open_sockets(s);
	if (!err && s->mode->prepare) {
		err = s->mode->prepare(s);
		if (err)
			refuse(why, err, "cannot prepare the server of %s: %s", options->mode->name,
			       strerror(-err));
	}
	return err;
}

/* ---- workers ---- */

void worker_ready(struct worker *w)
{
	word_add(&w->server->shared->ready);
}

bool worker_stopped(const struct worker *w)
{
	return atomic_load_explicit(&w->server->shared->stop, memory_order_relaxed);
}

static void wake(int sig)
{
	(void)sig; /* it only has to interrupt a system call */
}

static void worker_name(const struct worker *w, char name[16])
{
	if (w->number < 0)
		snprintf(name, 16, "acceptor");
	else
		snprintf(name, 16, "worker-%u", (unsigned)w->number % WORKERS_MAX);
}

/* The whole life of a worker, thread or process. */
static void *worker_run(void *argument)
{
	struct worker *w = argument;
	char name[16];

	worker_name(w, name);
	prctl(PR_SET_NAME, name);
	atomic_store(&w->tally->pid, getpid());
	atomic_store(&w->tally->tid, (pid_t)syscall(SYS_gettid));
	w->loop(w);
	atomic_store(&w->tally->ended, true);
	word_add(&w->server->shared->ended);
	return NULL;
}

/* Closes the descriptors that a worker process does not need, as it is in a server whose workers
 * open their own sockets. */
static void worker_drop_descriptors(const struct worker *w)
{
	const struct server *s = w->server;

	if (w->number < 0)
		return; /* the acceptor needs the listener and the queues of all workers */
	if (s->handoffs)
		child_keep(s->handoffs[w->number][1], -1);
	else
		child_keep(w->socket, s->epoll);
}

static int worker_fork(struct worker *w)
{
	w->pid = child_fork();
	if (w->pid < 0)
		return w->pid;
	if (w->pid == 0) {
		worker_drop_descriptors(w);
		worker_run(w);
		_exit(0);
	}
	return 0;
}

static int worker_start_thread(struct worker *w)
{
	pthread_attr_t attributes;
	int err;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WORKER_STACK);
	err = pthread_create(&w->thread, &attributes, worker_run, w);
	pthread_attr_destroy(&attributes);
	return -err;
}

static void worker_init(struct worker *w, struct server *s, unsigned i)
{
	const struct workload_options *o = s->options;
	bool acceptor = i == o->workers;

	*w = (struct worker){
		.server = s,
		.tally = &s->shared->workers[i],
		.loop = acceptor ? s->mode->acceptor : s->mode->loop,
		.number = acceptor ? -1 : (int)i,
		.socket = s->sockets[s->mode->share ? i : 0],
		.work_ns = o->work_us * INT64_C(1000),
	};
	if (o->slow_worker >= 0 && w->number == o->slow_worker)
		w->work_ns *= 10;
}

/* Starts the workers. They block every signal except the one that wakes them: all others are for
 * the thread that called workload_start(). */
int server_start_workers(struct server *s)
{
	const struct sigaction action = { .sa_handler = wake };
	unsigned count = server_worker_count(s->options);
	sigset_t blocked, before;
	int err = 0;

	s->workers = calloc(count, sizeof(*s->workers));
	if (!s->workers)
		return refuse(s->why, -ENOMEM, "out of memory");
	sigaction(WAKE_SIGNAL, &action, &s->old_wake_action);
	s->wake_installed = true;
	sigfillset(&blocked);
	sigdelset(&blocked, WAKE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	while (!err && s->worker_count < count) {
		struct worker *w = &s->workers[s->worker_count];

		worker_init(w, s, s->worker_count++);
		err = s->options->processes ? worker_fork(w) : worker_start_thread(w);
		w->running = !err;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		refuse(s->why, err, "cannot start worker %u of %u: %s%s; choose fewer --workers",
		       s->worker_count, count, strerror(-err), start_limits(err));
	return err;
}

/* Joins or reaps the worker if it has ended. */
static bool worker_reap(struct worker *w)
{
	if (!w->running)
		return true;
	if (w->server->options->processes) {
		w->running = !child_reap(w->pid, NULL);
		if (!w->running)
			atomic_store(&w->tally->ended, true); /* killed, so it could not say so */
	} else if (atomic_load(&w->tally->ended)) {
		pthread_join(w->thread, NULL);
		w->running = false;
	}
	return !w->running;
}

bool server_lost_worker(struct server *s)
{
	bool lost = false;

	for (unsigned i = 0; i < s->worker_count; i++)
		lost |= worker_reap(&s->workers[i]);
	return lost;
}

/* Reads the state letter of /proc/PID/stat, which follows the last parenthesis. '?' if it can't be
 * read. */
static char proc_state(pid_t pid, pid_t tid)
{
	char path[64], text[256], *end;
	ssize_t length = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[length > 0 ? length : 0] = '\0';
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : '?';
}

/* Waits for the workers to sleep in their system call: a worker says that it is ready right before
 * the call, so only the kernel knows. */
void server_await_sleep(const struct server *s)
{
	int64_t until_ns = monotonic_ns() + SLEEP_WITHIN_MS * INT64_C(1000000);

	for (unsigned i = 0; i < s->worker_count; i++) {
		const struct worker_tally *t = s->workers[i].tally;

		while (proc_state(atomic_load(&t->pid), atomic_load(&t->tid)) == 'R' &&
		       monotonic_ns() < until_ns)
			sleep_ms(1);
	}
}

/* ---- what the observer wants to know about the server ---- */

static int describe_socket(const struct server *s, unsigned i, struct socket_row *row)
{
	uint64_t cookie; /* reading the cookie makes the kernel generate it: it must exist before
			    traffic */
	socklen_t size = sizeof(cookie);
	struct stat st;

	if (getsockopt(s->sockets[i], SOL_SOCKET, SO_COOKIE, &cookie, &size) ||
	    fstat(s->sockets[i], &st))
		return refuse(s->why, -errno, "cannot identify a socket: %s", strerror(errno));
	*row = (struct socket_row){
		.cookie = cookie,
		.inode = st.st_ino,
		.uid = st.st_uid,
		.reuseport = s->mode->share == SO_REUSEPORT,
	};
	return 0;
}

static void describe_worker(const struct server *s, unsigned i, const struct socket_row *sockets,
			    struct worker_row *row)
{
	const struct worker *w = &s->workers[i];

	*row = (struct worker_row){
		.number = w->number,
		.pid = atomic_load(&w->tally->pid),
		.tid = atomic_load(&w->tally->tid),
		.cookie = sockets[s->mode->share ? i : 0].cookie,
		.can_accept = !s->mode->acceptor || w->number < 0,
		.serves = w->number >= 0,
	};
	worker_name(w, row->comm);
}

int server_describe(const struct server *s, struct endpoint *e)
{
	struct stat netns;

	e->protocol = s->options->mode->protocol;
	e->family = s->address.ss_family;
	e->port = address_port(&s->address);
	memcpy(e->address, address_bytes(&s->address), e->family == AF_INET6 ? 16 : 4);
	if (!stat("/proc/thread-self/ns/net", &netns))
		e->netns = netns.st_ino;

	e->sockets = calloc(s->socket_count, sizeof(*e->sockets));
	e->workers = calloc(s->worker_count, sizeof(*e->workers));
	if (!e->sockets || !e->workers)
		return refuse(s->why, -ENOMEM, "out of memory");
	for (; e->socket_count < s->socket_count; e->socket_count++) {
		int err = describe_socket(s, e->socket_count, &e->sockets[e->socket_count]);

		if (err)
			return err;
	}
	for (; e->worker_count < s->worker_count; e->worker_count++)
		describe_worker(s, e->worker_count, e->sockets, &e->workers[e->worker_count]);
	return 0;
}

/* How much waits in the socket. TCP: connections in the accept queue, because that is what
 * tcpi_unacked means for a listener. UDP: bytes of the next datagram. */
static unsigned queue_length(const struct server *s, int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	int bytes = 0;

	if (!serves_tcp(s))
		return ioctl(fd, SIOCINQ, &bytes) ? 0 : bytes;
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) ? 0 : info.tcpi_unacked;
}

bool server_queues_empty(const struct server *s)
{
	for (unsigned i = 0; i < s->socket_count; i++)
		if (queue_length(s, s->sockets[i]))
			return false;
	return true;
}

/* ---- the end ---- */

static void worker_wake(const struct worker *w, bool kill_it)
{
	if (w->server->options->processes)
		kill(w->pid, kill_it ? SIGKILL : WAKE_SIGNAL);
	else
		syscall(SYS_tgkill, getpid(), atomic_load(&w->tally->tid), WAKE_SIGNAL);
}

/* Stops the workers. A worker may look at the stop flag right before it is set, and block right
 * after it was woken. So all are woken again until they have ended. */
static void stop_workers(struct server *s)
{
	int64_t kill_ns = monotonic_ns() + KILL_AFTER_MS * INT64_C(1000000);
	bool running = s->worker_count > 0;

	atomic_store(&s->shared->stop, true);
	while (running) {
		uint32_t ended = atomic_load(&s->shared->ended);

		running = false;
		for (unsigned i = 0; i < s->worker_count; i++) {
			if (worker_reap(&s->workers[i]))
				continue;
			worker_wake(&s->workers[i], monotonic_ns() > kill_ns);
			running = true;
		}
		if (running)
			word_wait(&s->shared->ended, ended, WAKE_EVERY_MS);
	}
}

static void close_descriptor(int fd)
{
	if (fd >= 0)
		close(fd);
}

void server_stop(struct server *s)
{
	if (!s->shared)
		return; /* the server was never opened */
	stop_workers(s);
	if (s->wake_installed)
		sigaction(WAKE_SIGNAL, &s->old_wake_action, NULL);
	close_descriptor(s->epoll);
	for (unsigned i = 0; s->handoffs && i < s->options->workers; i++) {
		close_descriptor(s->handoffs[i][0]);
		close_descriptor(s->handoffs[i][1]);
	}
	for (unsigned i = 0; i < s->socket_count; i++)
		close(s->sockets[i]);
	free(s->handoffs);
	free(s->sockets);
	free(s->workers);
	*s = (struct server){ .epoll = -1 };
}
