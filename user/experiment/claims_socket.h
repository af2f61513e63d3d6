/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single sockets on loopback for the experiments of `claims`: bound by whom and how, and who of
 * several gets what clients send. */
#ifndef SOCKFAIR_CLAIMS_SOCKET_H
#define SOCKFAIR_CLAIMS_SOCKET_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../workload/shared.h"

/* Two users without rights. The ids need no entry in /etc/passwd. */
#define USER_ONE 65534
#define USER_TWO 65533

/* How a socket is to be bound to the loopback address, and by whom. */
struct binding {
	int family;    /* AF_INET or AF_INET6 */
	int type;      /* SOCK_STREAM or SOCK_DGRAM */
	uint16_t port; /* host order */
	bool no_htons; /* the port is given without htons() */
	bool reuseaddr, reuseport;
	bool listening; /* listen() too */
	uid_t user; /* 0: this process does it; else a process of that user without any capability
		       does ... */
	bool bind_service; /* ... but CAP_NET_BIND_SERVICE */
};

struct bound {
	int fd;    /* -1: refused */
	int error; /* errno of bind() or listen(); 0: it has the port */
};

/*
 * Tries it. `refusal` is the errno of bind() or listen() that is an answer and not a failure:
 * EADDRINUSE where others have the port, EACCES where a right is missing; 0: it has to succeed. A
 * socket that another user's process made is handed to this one: the kernel knows it as that user's
 * all the same. Returns 0, or a negative errno with its line where there is no answer (no such user
 * in this user namespace, no descriptor left); out->fd is -1 then.
 */
int binding_try(const struct binding *b, int refusal, struct bound *out, struct why why);

/* The same, and closes what was bound: *allowed says whether it was. */
int binding_allowed(const struct binding *b, int refusal, bool *allowed, struct why why);

/* Whether this machine has the family and its loopback address. 0, or a negative errno with its
 * line. */
int family_known(int family, bool *known, struct why why);

/* Host order; 0: it has none. */
uint16_t bound_port(int fd);

/* A connected client on loopback, or a negative errno. TCP: gives up after some seconds; its
 * close() resets. */
int client_connect(int family, int type, uint16_t port);

/* What clients send to a port. */
struct spread {
	int family, type;
	uint16_t port;
	unsigned requests; /* datagrams or connections, each from a client port of its own */
	const volatile sig_atomic_t *interrupted; /* not 0: stop */
	unsigned sent;                            /* filled: datagrams sent or connections made */
};

/*
 * Sends them to the `count` sockets that share the port and adds what each got to got[]. Returns 0:
 * all were sent and taken, by these sockets; or a negative errno with its line: it stopped at the
 * first that could not be sent or taken.
 */
int spread(struct spread *s, const int *fds, size_t count, uint64_t *got, struct why why);

#endif
