/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memcache PORT CONNECTIONS COUNT: asks the memcached of 127.0.0.1 for a key that it does not have,
 * one question outstanding on each connection, COUNT in all. Prints "rate=N p99_ms=N".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST 256
#define QUESTION "get absent\r\n"
#define REPLY "END\r\n"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "memcache: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double ask(int fd)
{
	if (write(fd, QUESTION, sizeof(QUESTION) - 1) != sizeof(QUESTION) - 1)
		die("write");
	return now();
}

static int connected(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	return fd;
}

int main(int argc, char **argv)
{
	int port = argc == 4 ? atoi(argv[1]) : 0, connections = argc == 4 ? atoi(argv[2]) : 0;
	long count = argc == 4 ? atol(argv[3]) : 0, asked = 0, replied = 0;
	static struct pollfd sockets[MOST];
	static double asked_at[MOST];
	double begun, ended, *took;
	char reply[64];

	if (port < 1 || connections < 1 || connections > MOST || count < connections) {
		fprintf(stderr, "usage: memcache PORT CONNECTIONS COUNT\n");
		return 2;
	}
	took = calloc(count, sizeof(*took));
	if (!took)
		die("memory");
	for (int i = 0; i < connections; i++)
		sockets[i] = (struct pollfd){ .fd = connected(port), .events = POLLIN };
	begun = now();
	for (; asked < connections; asked++)
		asked_at[asked] = ask(sockets[asked].fd);
	while (replied < count) {
		if (poll(sockets, connections, 10000) < 1)
			die("no reply in 10 s");
		for (int i = 0; i < connections; i++) {
			if (!sockets[i].revents)
				continue;
			if (read(sockets[i].fd, reply, sizeof(reply)) != sizeof(REPLY) - 1)
				die("not the reply");
			took[replied++] = now() - asked_at[i];
			if (asked < count) {
				asked_at[i] = ask(sockets[i].fd);
				asked++;
			}
		}
	}
	ended = now();
	qsort(took, count, sizeof(*took), by_size);
	printf("rate=%.0f p99_ms=%.4f\n", count / (ended - begun), took[count * 99 / 100] * 1e3);
	return 0;
}
