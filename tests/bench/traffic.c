/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server and its clients on 127.0.0.1, for long-run.sh, cost.py and scale.py, as fast as they
 * can:
 *
 *   traffic accept THREADS COUNT  THREADS block in accept() on one socket; every second connection
 *                                 is reset by its client, the server closes the others
 *   traffic fork 0 COUNT          a forked child for each connection
 *   traffic open THREADS COUNT    COUNT connections that stay open until asked: then every second
 *                                 is closed, then all
 *   traffic udp SOCKETS COUNT     SOCKETS with SO_REUSEPORT, a thread each, datagrams of 64 flows
 *   traffic apart SOCKETS EACH    SOCKETS that listen on one port, a thread each; EACH of them
 *                                 share an address by SO_REUSEPORT. Every line of stdin is
 *                                 "ACTIVE COUNT PAUSE": COUNT events, by turns on the first ACTIVE
 *                                 addresses, and so many microseconds after each of a client
 *   traffic apart-udp ...         the same with UDP
 *
 * Prints "port N" and waits for a line on stdin before it begins; then a line of NAME=COUNT, what
 * server and clients counted themselves, and waits for the next line, as often as there is
 * something to do. Ends at the end of stdin, or with a line on stderr and status 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 4          /* threads */
#define FLOWS 64           /* of all clients */
#define BATCH 64           /* datagrams a system call */
#define APART_THREADS 1000 /* threads of a process */

static struct sockaddr_in address = { .sin_family = AF_INET };
static char line[64]; /* the last one of stdin */
static int listener, threads;
static long count;
static atomic_long made, accepted, served, sent, received;
static atomic_bool all_sent;

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int bound(int type, bool reuseport)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;
	socklen_t size = sizeof(address);

	if (fd < 0 || (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one))) ||
	    bind(fd, (struct sockaddr *)&address, size) ||
	    getsockname(fd, (struct sockaddr *)&address, &size))
		die("bind");
	return fd;
}

/* Waits for a line on stdin; false: it has ended. */
static bool asked(void)
{
	fflush(stdout);
	return fgets(line, sizeof(line), stdin);
}

static pthread_t begin(void *(*work)(void *), long number)
{
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	errno = pthread_create(&thread, &small, work, (void *)number);
	if (errno)
		die("thread");
	return thread;
}

/* One of CLIENTS threads has so much of the whole. */
static long share(long number)
{
	return count / CLIENTS + (number < count % CLIENTS);
}

static int connect_once(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die("connect");
	return fd;
}

/* Closing resets: no client port is left in TIME_WAIT. */
static void reset(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* ---- TCP ---- */

/* "r": the client resets the connection, "c": the server closes it. */
static void serve(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		die("request");
	atomic_fetch_add(&served, 1);
	if (write(fd, &byte, 1) != 1)
		die("reply");
	if (byte == 'r')
		(void)!read(fd, &byte, 1);
	close(fd);
}

static void *acceptor(void *unused)
{
	(void)unused;
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			die("accept");
		atomic_fetch_add(&accepted, 1);
		serve(fd);
	}
	return NULL;
}

static void *visitor(void *number)
{
	for (long i = share((long)number); i > 0; i--) {
		char byte = i % 2 ? 'r' : 'c';
		int fd = connect_once();

		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			die("visit");
		if (byte == 'c')
			(void)!read(fd, &byte, 1);
		reset(fd);
		atomic_fetch_add(&made, 1);
	}
	return NULL;
}

static void visit_all(void)
{
	pthread_t clients[CLIENTS];

	for (long i = 0; i < CLIENTS; i++)
		clients[i] = begin(visitor, i);
	for (long i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
}

static void run_accept(void)
{
	for (int i = 0; i < threads; i++)
		begin(acceptor, i);
	if (!asked())
		return;
	visit_all();
	printf("made=%ld accepted=%ld served=%ld\n", made, accepted, served);
	while (asked())
		;
}

/* The parent, in a process of its own: ends when it has had them all. */
static void fork_each(void)
{
	for (long i = 0; i < count; i++) {
		int fd = accept(listener, NULL, NULL);
		pid_t child = fd < 0 ? -1 : fork();

		if (child < 0)
			die("accept or fork");
		if (!child) {
			close(listener);
			serve(fd);
			_exit(0);
		}
		close(fd);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	while (wait(NULL) > 0)
		;
}

static void run_fork(void)
{
	pid_t server;
	int status;

	if (!asked())
		return;
	server = fork();
	if (!server) {
		fork_each();
		_exit(0);
	}
	visit_all();
	if (waitpid(server, &status, 0) < 0 || status)
		die("server");
	printf("made=%ld accepted=%ld served=%ld\n", made, count, count);
	while (asked())
		;
}

static atomic_long *taken; /* shared by the server's process and the clients' */

static void *holder(void *unused)
{
	(void)unused;
	while (accept(listener, NULL, NULL) >= 0)
		atomic_fetch_add(taken, 1);
	die("accept");
	return NULL;
}

/* The server, in a process of its own: each side has as many descriptors as a process may. */
static pid_t hold_all(void)
{
	pid_t server = fork();

	if (server < 0)
		die("fork");
	if (server)
		return server;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < threads; i++)
		begin(holder, i);
	for (;;)
		pause();
}

static void run_open(void)
{
	int *clients = calloc(count, sizeof(*clients));
	pid_t server;

	taken = mmap(NULL, sizeof(*taken), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (!clients || taken == MAP_FAILED)
		die("memory");
	server = hold_all();
	if (!asked())
		return;
	for (long i = 0; i < count; i++)
		clients[i] = connect_once();
	while (atomic_load(taken) < count)
		usleep(1000);
	printf("accepted=%ld open=%ld\n", *taken, count);
	for (int step = 2; step > 0 && asked(); step--) {
		long left = 0;

		for (long i = 0; i < count; i++) {
			left += i % step != 0;
			if (i % step || clients[i] < 0)
				continue;
			reset(clients[i]);
			clients[i] = -1;
		}
		printf("accepted=%ld open=%ld\n", *taken, left);
	}
	while (asked())
		;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

/* ---- UDP ---- */

static int *sockets;

static void *receiver(void *number)
{
	static char bytes[64][BATCH];
	struct iovec vectors[BATCH];
	struct mmsghdr messages[BATCH] = {};

	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){ bytes[(long)number % 64], BATCH };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
	}
	for (;;) {
		bool last = atomic_load(&all_sent); /* what is read after that is all there is */
		int n = recvmmsg(sockets[(long)number], messages, BATCH,
				 last ? MSG_DONTWAIT : MSG_WAITFORONE, NULL);

		if (n > 0)
			atomic_fetch_add(&received, n);
		else if (last)
			return NULL;
	}
}

static void *sender(void *number)
{
	long left = share((long)number);
	struct iovec vector = { "datagram", 8 };
	struct mmsghdr messages[BATCH] = {};
	int flows[FLOWS / CLIENTS];

	for (int i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vector, .msg_iovlen = 1 };
	for (int i = 0; i < FLOWS / CLIENTS; i++) {
		flows[i] = socket(AF_INET, SOCK_DGRAM, 0);
		if (flows[i] < 0 || connect(flows[i], (struct sockaddr *)&address, sizeof(address)))
			die("client");
	}
	for (int i = 0; left > 0; i++) {
		int n = sendmmsg(flows[i % (FLOWS / CLIENTS)], messages,
				 left < BATCH ? left : BATCH, 0);

		if (n <= 0)
			die("send");
		left -= n;
		atomic_fetch_add(&sent, n);
	}
	return NULL;
}

static void run_udp(void)
{
	const struct timeval look = { .tv_usec = 100000 };
	pthread_t *servers = calloc(threads, sizeof(*servers)), clients[CLIENTS];

	for (int i = 0; i < threads; i++) {
		setsockopt(sockets[i], SOL_SOCKET, SO_RCVTIMEO, &look, sizeof(look));
		servers[i] = begin(receiver, i);
	}
	if (!asked())
		return;
	for (long i = 0; i < CLIENTS; i++)
		clients[i] = begin(sender, i);
	for (long i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	atomic_store(&all_sent, true);
	for (int i = 0; i < threads; i++)
		pthread_join(servers[i], NULL);
	printf("sent=%ld received=%ld\n", sent, received);
	while (asked())
		;
}

/* ---- sockets on addresses of their own ---- */

static long active, each;
static useconds_t pause_us;

static struct sockaddr_in address_of(long i)
{
	struct sockaddr_in own = address;

	own.sin_addr.s_addr = htonl((127 << 24 | 1 << 16) + i);
	return own;
}

/* The kernel picks a port for the first, which is that of all. */
static int bound_apart(int type, long i)
{
	const struct sockaddr_in own = address_of(i / each);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;
	socklen_t size = sizeof(address);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    bind(fd, (const struct sockaddr *)&own, sizeof(own)) ||
	    (!i && getsockname(fd, (struct sockaddr *)&address, &size)))
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 64))
		die("listen");
	return fd;
}

static void *acceptor_apart(void *i)
{
	for (;;) {
		int fd = accept(sockets[(long)i], NULL, NULL);

		if (fd < 0)
			die("accept");
		serve(fd);
	}
	return NULL;
}

static void *receiver_apart(void *i)
{
	char bytes[16];

	while (recv(sockets[(long)i], bytes, sizeof(bytes), 0) >= 0)
		;
	die("recv");
	return NULL;
}

static void *visitor_apart(void *number)
{
	for (long i = (long)number; i < count; i += CLIENTS) {
		const struct sockaddr_in to = address_of(i % active);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		char byte = 'r';

		if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) ||
		    write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			die("visit");
		reset(fd);
		if (pause_us)
			usleep(pause_us);
	}
	return NULL;
}

static void *sender_apart(void *number)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	for (long i = (long)number; i < count; i += CLIENTS) {
		const struct sockaddr_in to = address_of(i % active);

		if (sendto(fd, "datagram", 8, 0, (const struct sockaddr *)&to, sizeof(to)) != 8)
			die("send");
		if (pause_us)
			usleep(pause_us);
	}
	close(fd);
	return NULL;
}

/*
 * The servers are processes of APART_THREADS threads: a thread that blocks in accept() has reserved
 * a descriptor, and all of them in one process could be more than it may have.
 */
static void serve_apart(void *(*server)(void *))
{
	for (long first = 0; first < threads; first += APART_THREADS) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (long i = 0; i < threads; i++) {
			if (i < first || i >= first + APART_THREADS)
				close(sockets[i]);
			else
				begin(server, i);
		}
		for (;;)
			pause();
	}
	for (long i = 0; i < threads; i++)
		close(sockets[i]);
}

static void steps_apart(void *(*server)(void *), void *(*client)(void *))
{
	pthread_t clients[CLIENTS];

	serve_apart(server);
	while (asked()) {
		if (sscanf(line, "%ld %ld %u", &active, &count, &pause_us) != 3 || active < 1 ||
		    active > (threads + each - 1) / each)
			die("a line that is no step");
		for (long i = 0; i < CLIENTS; i++)
			clients[i] = begin(client, i);
		for (long i = 0; i < CLIENTS; i++)
			pthread_join(clients[i], NULL);
		printf("made=%ld\n", count);
	}
}

static void run_apart(void)
{
	steps_apart(acceptor_apart, visitor_apart);
}

static void run_apart_udp(void)
{
	steps_apart(receiver_apart, sender_apart);
}

/* ---- main ---- */

static const struct {
	const char *name;
	void (*run)(void);
	int type;
	enum { ONE, GROUP, APART } sockets;
} kinds[] = {
	{ "accept", run_accept, SOCK_STREAM, ONE },
	{ "fork", run_fork, SOCK_STREAM, ONE },
	{ "open", run_open, SOCK_STREAM, ONE },
	{ "udp", run_udp, SOCK_DGRAM, GROUP },
	{ "apart", run_apart, SOCK_STREAM, APART },
	{ "apart-udp", run_apart_udp, SOCK_DGRAM, APART },
};

int main(int argc, char **argv)
{
	struct rlimit files;

	threads = argc == 4 ? atoi(argv[2]) : 0;
	count = argc == 4 ? atol(argv[3]) : 0;
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; count > 0 && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(argv[1], kinds[i].name))
			continue;
		each = count;
		sockets = calloc(threads + 1, sizeof(*sockets));
		for (int s = 0; kinds[i].sockets != ONE && s < threads; s++)
			sockets[s] = kinds[i].sockets == APART ? bound_apart(kinds[i].type, s)
							       : bound(kinds[i].type, true);
		if (kinds[i].sockets == ONE) {
			listener = bound(SOCK_STREAM, false);
			if (listen(listener, 4096))
				die("listen");
		}
		printf("port %d\n", ntohs(address.sin_port));
		kinds[i].run();
		return 0;
	}
	fprintf(stderr, "usage: traffic KIND THREADS COUNT\n");
	return 2;
}
