/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client process of a workload. Each thread runs client_loop(): it starts requests when they
 * are due, waits in epoll for replies, and gives up requests that time out. TCP and UDP differ in a
 * struct protocol_client each.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "client.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

#define TCP_TIMEOUT_NS (10 * NS_PER_S)
#define UDP_TIMEOUT_NS (1 * NS_PER_S)
#define INTERRUPTED_TIMEOUT_NS (1 * NS_PER_S) /* outstanding requests may still end */
#define TICK_MS 100     /* how often the timeouts and the interrupt flag are checked */
#define ERRORS_MAX 1000 /* after so many errors in a row without a success the thread gives up */
#define FAILING_TIMEOUTS_MAX 3 /* the same after this many timeouts' time without a success */
#define EVENTS 64
#define POLLED_SLOTS_MAX 8 /* with more slots there is mostly something to do */
#define POLL_NS 50000
#define TIMER UINT32_MAX /* the epoll data of the timer; all other data are indexes */
#define NO_TICKET UINT64_MAX
#define STOP_WITHIN_MS 2000

/* A place for a request. It holds one request after another. */
struct slot {
	int fd; /* TCP: of this request; UDP: of its flow */
	bool busy;
	bool asked; /* TCP: the request has been sent, and the reply is awaited */
	int64_t deadline_ns;
	uint64_t sequence; /* UDP: of this request's datagram */
	struct flow *flow; /* UDP: of this request */
};

/* UDP: a connected socket, which means a client port of its own. */
struct flow {
	int fd;
	bool used;
	struct slot *slot; /* the slot whose datagram is outstanding; NULL: none is */
};

struct client;

/* What differs between TCP and UDP. start() begins a request; poll() or give_up() may end it, in
 * either case by request_end(). */
struct protocol_client {
	int (*prepare)(struct client *c); /* optional: returns 0 or a negative errno */
	void (*start)(struct client *c, struct slot *slot);
	void (*event)(struct client *c,
		      uint32_t index); /* the epoll data that start() or prepare() registered */
	void (*poll)(struct client *c,
		     struct slot *slot); /* ends the request if its reply has come */
	void (*give_up)(struct client *c,
			struct slot *slot); /* optional: frees what the request used */
};

/* A client thread. */
struct client {
	const struct workload_options *options;
	const struct protocol_client *protocol;
	struct shared *shared;
	struct client_tally *tally;
	struct sockaddr_storage server;
	socklen_t server_size;
	int64_t timeout_ns;
	pthread_t thread;

	int epoll, timer;
	struct slot *slots;
	unsigned slot_count, busy_count;
	struct slot **idle; /* a ring of idle slots */
	unsigned idle_head;
	struct flow *flows;
	unsigned flow_count;
	unsigned next_flow;
	uint64_t next_request,
		request_step; /* UDP: the requests of this thread; see ticket_next() */

	int64_t now_ns; /* the time of the last wake-up */
	int64_t next_tick_ns;
	uint64_t ticket;       /* the number of the next request to start */
	uint64_t timer_ticket; /* the ticket that the timer is set for */
	uint64_t sequence;
	bool over;                /* no further requests will start */
	unsigned errors;          /* in a row */
	int64_t failing_since_ns; /* 0: it is not failing */
};

/* ---- what both protocols do ---- */

enum outcome { SUCCEEDED, FAILED, TIMED_OUT };

static void note_error(struct client *c, int number)
{
	if (!atomic_load_explicit(&c->tally->error, memory_order_relaxed))
		atomic_store_explicit(&c->tally->error, number, memory_order_relaxed);
}

/* Counts failures: clients must not go on for ever after the server has gone. */
static void note_failure(struct client *c, enum outcome outcome)
{
	tally_add(&c->tally->failed);
	if (!c->failing_since_ns)
		c->failing_since_ns = c->now_ns;
	if (outcome == FAILED)
		c->errors++;
	if (c->errors >= ERRORS_MAX ||
	    c->now_ns - c->failing_since_ns >= FAILING_TIMEOUTS_MAX * c->timeout_ns)
		c->over = true;
}

static void note_success(struct client *c)
{
	c->errors = 0;
	c->failing_since_ns = 0;
	atomic_store_explicit(&c->tally->last_ns, c->now_ns, memory_order_relaxed);
}

static void request_end(struct client *c, struct slot *slot, enum outcome outcome)
{
	if (outcome == SUCCEEDED)
		note_success(c);
	else
		note_failure(c, outcome);
	slot->busy = false;
	c->busy_count--;
	c->idle[(c->idle_head + c->slot_count - c->busy_count - 1) % c->slot_count] = slot;
}

static int socket_watch(struct client *c, int operation, int fd, uint32_t events, uint32_t index)
{
	struct epoll_event event = { .events = events, .data.u32 = index };

	return epoll_ctl(c->epoll, operation, fd, &event) ? -errno : 0;
}

/* ---- TCP ---- */

static void tcp_end(struct client *c, struct slot *slot, enum outcome outcome)
{
	if (slot->fd >= 0)
		close(slot->fd);
	slot->fd = -1;
	request_end(c, slot, outcome);
}

/* Sends the request. Returns 0, -EAGAIN while the connection is not there yet, or another negative
 * errno. */
static int tcp_ask(struct slot *slot)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";

	if (send(slot->fd, request, sizeof(request) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return errno == ENOTCONN ? -EAGAIN : -errno;
	slot->asked = true;
	return 0;
}

/* close() resets the connection, so that no TIME_WAIT piles up and client ports do not run out. */
static int tcp_open(const struct client *c)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int fd = socket(c->server.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return fd;
}

/* Starts a request. On loopback the connection mostly exists when connect() returns, even if
 * connect() reports EINPROGRESS, so the request is sent at once. */
static void tcp_start(struct client *c, struct slot *slot)
{
	int err;

	slot->asked = false;
	slot->fd = tcp_open(c);
	if (slot->fd < 0 || (connect(slot->fd, (struct sockaddr *)&c->server, c->server_size) &&
			     errno != EINPROGRESS)) {
		note_error(c, errno);
		tcp_end(c, slot, FAILED);
		return;
	}
	err = tcp_ask(slot);
	if (!err || err == -EAGAIN)
		err = socket_watch(c, EPOLL_CTL_ADD, slot->fd, slot->asked ? EPOLLIN : EPOLLOUT,
				   slot - c->slots);
	if (err)
		tcp_end(c, slot, FAILED);
}

static void tcp_event(struct client *c, uint32_t index)
{
	struct slot *slot = &c->slots[index];
	char reply[256];
	ssize_t length;

	/* epoll reports a closed socket for as long as another process has its file. A tool that
	 * lists the open files of all processes has each of them for a moment. */
	if (!slot->busy)
		return;
	if (!slot->asked) {
		int err = tcp_ask(slot);

		if (!err)
			err = socket_watch(c, EPOLL_CTL_MOD, slot->fd, EPOLLIN, index);
		if (err && err != -EAGAIN) {
			note_error(c, -err);
			tcp_end(c, slot, FAILED);
		}
		return;
	}
	length = recv(slot->fd, reply, sizeof(reply), 0);
	if (length > 0)
		tally_add(&c->tally->sent); /* counted as made only now, because only a reply proves
					       that a worker has it */
	if (length < 0 && errno != EAGAIN)
		note_error(c, errno);
	if (length >= 0 || errno != EAGAIN)
		tcp_end(c, slot, length > 0 ? SUCCEEDED : FAILED);
}

static void tcp_poll(struct client *c, struct slot *slot)
{
	tcp_event(c, slot - c->slots);
}

static void tcp_give_up(struct client *c, struct slot *slot)
{
	tcp_end(c, slot, TIMED_OUT);
}

static const struct protocol_client tcp_client = {
	.start = tcp_start,
	.event = tcp_event,
	.poll = tcp_poll,
	.give_up = tcp_give_up,
};

/* ---- UDP ---- */

static int udp_open_flow(struct client *c, unsigned index)
{
	int fd = socket(c->server.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	c->flows[index].fd = fd;
	if (fd < 0 || connect(fd, (struct sockaddr *)&c->server, c->server_size))
		return -errno;
	return socket_watch(c, EPOLL_CTL_ADD, fd, EPOLLIN, index);
}

static int udp_prepare(struct client *c)
{
	int err = 0;

	c->flows = calloc(c->flow_count, sizeof(*c->flows));
	if (!c->flows)
		return -ENOMEM;
	for (unsigned i = 0; i < c->flow_count && !err; i++)
		err = udp_open_flow(c, i);
	return err;
}

static void udp_note_sent(struct client *c, struct flow *flow)
{
	tally_add(&c->tally->sent);
	if (!flow->used)
		tally_add(&c->tally->flows);
	flow->used = true;
}

/* Returns the flow whose turn it is; a flow that still waits for a reply is passed over. An idle
 * flow always exists, because there are at least as many flows as slots. */
static struct flow *udp_next_flow(struct client *c)
{
	struct flow *flow;

	do {
		flow = &c->flows[c->next_flow];
		c->next_flow = (c->next_flow + 1) % c->flow_count;
	} while (flow->slot);
	return flow;
}

static void udp_end(struct client *c, struct slot *slot, enum outcome outcome)
{
	slot->flow->slot = NULL;
	request_end(c, slot, outcome);
}

static void udp_start(struct client *c, struct slot *slot)
{
	struct flow *flow = udp_next_flow(c);

	slot->flow = flow;
	flow->slot = slot;
	slot->fd = flow->fd;
	slot->sequence = c->sequence++;
	if (send(flow->fd, &slot->sequence, sizeof(slot->sequence), MSG_NOSIGNAL) ==
	    sizeof(slot->sequence)) {
		udp_note_sent(c, flow);
		return;
	}
	note_error(c, errno);
	udp_end(c, slot, FAILED);
}

/* Takes replies. A reply that comes after its request timed out has an old sequence number and is
 * ignored. */
static void udp_event(struct client *c, uint32_t index)
{
	struct flow *flow = &c->flows[index];
	uint64_t sequence;

	while (recv(flow->fd, &sequence, sizeof(sequence), 0) == sizeof(sequence))
		if (flow->slot && sequence == flow->slot->sequence) {
			udp_end(c, flow->slot, SUCCEEDED);
			return; /* epoll reports the other replies again */
		}
}

static void udp_poll(struct client *c, struct slot *slot)
{
	udp_event(c, slot->flow - c->flows);
}

static void udp_give_up(struct client *c, struct slot *slot)
{
	udp_end(c, slot, TIMED_OUT);
}

static const struct protocol_client udp_client = {
	.prepare = udp_prepare,
	.start = udp_start,
	.event = udp_event,
	.poll = udp_poll,
	.give_up = udp_give_up,
};

/* ---- the loop ---- */

/*
 * Takes the number of the next request. TCP: all threads take numbers from one counter, so no
 * thread ends early. UDP: each thread has its share of the requests. A flow belongs to one thread,
 * so with a common counter the flows of the quicker thread would carry more requests than the
 * others (of 1,000 flows, 755 were seen to take all 1,000 requests); but `flows` promises equal
 * ones.
 */
static uint64_t ticket_next(struct client *c)
{
	uint64_t ticket = c->next_request;

	if (!c->flow_count)
		return atomic_fetch_add_explicit(&c->shared->next_request, 1, memory_order_relaxed);
	c->next_request += c->request_step;
	return ticket;
}

/* Takes the number of the next request, if any is left; the total is exact. */
static bool take_ticket(struct client *c)
{
	if (c->over)
		return false;
	if (c->ticket == NO_TICKET) {
		c->ticket = ticket_next(c);
		c->over = c->ticket >= c->options->requests;
	}
	return !c->over;
}

static int64_t ticket_due_ns(const struct client *c)
{
	double after_ns = c->options->rate > 0 ? c->ticket * (1e9 / c->options->rate) : 0;

	return (int64_t)tally_read(&c->shared->go_ns) + (int64_t)after_ns;
}

/* Sets the timer for the next request. epoll_wait() counts in milliseconds, which is too coarse for
 * a rate. */
static void arm_timer(struct client *c)
{
	int64_t due_ns = ticket_due_ns(c);
	struct itimerspec at = { .it_value = { .tv_sec = due_ns / NS_PER_S,
					       .tv_nsec = due_ns % NS_PER_S } };

	if (c->timer_ticket == c->ticket)
		return;
	timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &at, NULL);
	c->timer_ticket = c->ticket;
}

static void start_due(struct client *c)
{
	while (c->busy_count < c->slot_count && take_ticket(c)) {
		struct slot *slot;

		if (c->options->rate > 0 && ticket_due_ns(c) > c->now_ns) {
			arm_timer(c);
			return;
		}
		c->ticket = NO_TICKET;
		slot = c->idle[c->idle_head];
		c->idle_head = (c->idle_head + 1) % c->slot_count;
		c->busy_count++;
		slot->busy = true;
		slot->deadline_ns = c->now_ns + c->timeout_ns;
		c->protocol->start(c, slot);
	}
}

/* Checks the timeouts and the interrupt, every TICK_MS. */
static void tick(struct client *c)
{
	bool stopping = atomic_load_explicit(&c->shared->interrupt, memory_order_relaxed);
	int64_t latest_ns = c->now_ns + INTERRUPTED_TIMEOUT_NS;

	if (c->now_ns < c->next_tick_ns)
		return;
	c->next_tick_ns = c->now_ns + TICK_MS * NS_PER_MS;
	c->over |= stopping;
	for (unsigned i = 0; i < c->slot_count; i++) {
		struct slot *slot = &c->slots[i];

		if (stopping && slot->deadline_ns > latest_ns)
			slot->deadline_ns = latest_ns;
		if (slot->busy && slot->deadline_ns <= c->now_ns)
			c->protocol->give_up(c, slot);
	}
}

static void handle_event(struct client *c, uint32_t index)
{
	uint64_t expirations;

	if (index != TIMER)
		c->protocol->event(c, index);
	else if (read(c->timer, &expirations, sizeof(expirations)) < 0)
		return; /* the timer was set anew meanwhile */
}

/*
 * Polls for replies for a moment before the thread sleeps: on a virtual machine, waking a sleeping
 * processor costs more than the request. The thread yields meanwhile, so that a worker on the same
 * processor runs. Returns true if a request ended.
 */
static bool poll_briefly(struct client *c)
{
	const unsigned busy = c->busy_count;

	if (c->slot_count > POLLED_SLOTS_MAX || !busy)
		return false;
	for (int64_t until_ns = c->now_ns + POLL_NS; c->now_ns < until_ns; sched_yield()) {
		c->now_ns = monotonic_ns();
		for (unsigned i = 0; i < c->slot_count; i++)
			if (c->slots[i].busy)
				c->protocol->poll(c, &c->slots[i]);
		if (c->busy_count < busy)
			return true;
	}
	return false;
}

static void client_loop(struct client *c)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int count;

		c->now_ns = monotonic_ns();
		tick(c);
		start_due(c);
		if (c->over && !c->busy_count)
			return;
		if (poll_briefly(c))
			continue;
		count = epoll_wait(c->epoll, events, EVENTS, TICK_MS);
		c->now_ns = monotonic_ns();
		for (int i = 0; i < count; i++)
			handle_event(c, events[i].data.u32);
	}
}

/* ---- threads ---- */

static int client_prepare(struct client *c)
{
	c->slots = calloc(c->slot_count, sizeof(*c->slots));
	c->idle = calloc(c->slot_count, sizeof(*c->idle));
	if (!c->slots || !c->idle)
		return -ENOMEM;
	for (unsigned i = 0; i < c->slot_count; i++) {
		c->slots[i].fd = -1;
		c->idle[i] = &c->slots[i];
	}
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->epoll < 0 || c->timer < 0 ||
	    socket_watch(c, EPOLL_CTL_ADD, c->timer, EPOLLIN, TIMER))
		return -errno;
	return c->protocol->prepare ? c->protocol->prepare(c) : 0;
}

/* The life of a client thread. What it opened and allocated goes away with its process. */
static void *client_run(void *argument)
{
	struct client *c = argument;
	int err = client_prepare(c);

	if (err) {
		shared_refuse(c->shared, err, "cannot prepare the clients: %s%s", strerror(-err),
			      unreachable_hint(-err));
		return NULL;
	}
	word_add(&c->shared->ready);
	while (!atomic_load(&c->shared->go))
		word_wait(&c->shared->go, 0, -1);
	client_loop(c);
	return NULL;
}

unsigned clients_thread_count(const struct workload_options *o)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = cpus > 0 ? cpus : 1;

	if (o->serve_only)
		return 0;
	if (count > CLIENT_THREADS_MAX)
		count = CLIENT_THREADS_MAX;
	if (count > o->concurrency)
		count = o->concurrency;
	if (o->mode->protocol == PROTOCOL_UDP && count > o->flows)
		count = o->flows;
	return count;
}

static unsigned part_of(unsigned total, unsigned i, unsigned count)
{
	return total / count + (i < total % count ? 1 : 0);
}

/* When a request times out. A queue of all outstanding requests at the slowest worker is no reason
 * to give one up, so that time is added. */
static int64_t request_timeout_ns(const struct workload_options *o)
{
	int64_t work_ns = o->work_us * INT64_C(1000) * (o->slow_worker >= 0 ? 10 : 1);

	return (o->mode->protocol == PROTOCOL_TCP ? TCP_TIMEOUT_NS : UDP_TIMEOUT_NS) +
	       o->concurrency * work_ns;
}

static void client_init(struct client *c, unsigned i, unsigned count,
			const struct workload_options *o, const struct sockaddr_storage *server,
			struct shared *shared)
{
	bool tcp = o->mode->protocol == PROTOCOL_TCP;

	*c = (struct client){
		.options = o,
		.protocol = tcp ? &tcp_client : &udp_client,
		.shared = shared,
		.tally = &shared->clients[i],
		.server = *server,
		.server_size = server->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							     : sizeof(struct sockaddr_in),
		.timeout_ns = request_timeout_ns(o),
		.slot_count = part_of(o->concurrency, i, count),
		.flow_count = tcp ? 0 : part_of(o->flows, i, count),
		.next_request = i,
		.request_step = count,
		.ticket = NO_TICKET,
		.timer_ticket = NO_TICKET,
	};
	if (!tcp && c->slot_count > c->flow_count)
		c->slot_count = c->flow_count; /* a flow has at most one datagram outstanding */
}

/*
 * Turns the wildcard address into the loopback address: a server on the wildcard is reached there.
 */
static void reach_wildcard(struct sockaddr_storage *server)
{
	struct sockaddr_in *in = (struct sockaddr_in *)server;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)server;

	if (server->ss_family == AF_INET && in->sin_addr.s_addr == htonl(INADDR_ANY))
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (server->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
		in6->sin6_addr = in6addr_loopback;
}

/* ---- the process ---- */

/* The whole life of the client process. It does not return. */
static _Noreturn void clients_run(const struct workload_options *o,
				  const struct sockaddr_storage *address, struct shared *shared)
{
	static struct client clients[CLIENT_THREADS_MAX];
	struct sockaddr_storage server = *address;
	unsigned count = clients_thread_count(o), started = 0;
	int err = 0;

	prctl(PR_SET_NAME, "sockfair-client");
	child_keep(-1, -1); /* closes the server's listeners: otherwise the kernel would name this
			       process as a holder of them too */
	reach_wildcard(&server);
	while (started < count && !err) {
		struct client *c = &clients[started];

		client_init(c, started, count, o, &server, shared);
		err = pthread_create(&c->thread, NULL, client_run, c);
		started += !err;
	}
	if (err) {
		shared_refuse(shared, -err, "cannot start the clients: %s%s", strerror(err),
			      start_limits(-err));
		_exit(1);
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(clients[i].thread, NULL);
	_exit(0);
}

int clients_start(struct clients *c, const struct workload_options *options,
		  const struct sockaddr_storage *server, struct shared *shared, struct why why)
{
	pid_t pid;

	*c = (struct clients){ .pidfd = -1 };
	pid = child_fork();
	if (pid < 0)
		return refuse(why, pid, "cannot start the client process: %s%s", strerror(-pid),
			      start_limits(pid));
	if (pid == 0)
		clients_run(options, server, shared);
	c->pid = pid;
	c->pidfd = pidfd_open(pid, 0); /* close-on-exec without being asked */
	if (c->pidfd < 0)
		return refuse(why, -errno, "cannot watch the client process: %s", strerror(errno));
	return 0;
}

bool clients_wait(struct clients *c, int timeout_ms)
{
	struct pollfd ended = { .fd = c->pidfd, .events = POLLIN };
	int status = -1;

	if (c->done)
		return true;
	poll(&ended, 1, timeout_ms);
	c->done = child_reap(c->pid, &status);
	c->died = c->done && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return c->done;
}

void clients_stop(struct clients *c, struct shared *shared)
{
	int64_t kill_ns = monotonic_ns() + STOP_WITHIN_MS * NS_PER_MS;

	if (!c->pid)
		return;
	atomic_store(&shared->interrupt, true);
	if (!atomic_load(&shared->go))
		word_add(&shared->go);
	while (!clients_wait(c, TICK_MS))
		if (monotonic_ns() > kill_ns)
			kill(c->pid, SIGKILL);
	if (c->pidfd >= 0)
		close(c->pidfd);
	*c = (struct clients){ .pidfd = -1 };
}
