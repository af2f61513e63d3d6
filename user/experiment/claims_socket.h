/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single sockets on loopback for the experiments of `claims`: who binds them and how, and which of
 * several sockets gets what clients send. */
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

/* How a socket is to be bound to the loopback address, and by which user. */
struct binding {
	int family;    /* AF_INET or AF_INET6 */
	int type;      /* SOCK_STREAM or SOCK_DGRAM */
	uint16_t port; /* host order */
	bool no_htons; /* the port is given without htons() */
	bool reuseaddr, reuseport;
	bool listening;    /* call listen() too */
	uid_t user;        /* 0: this process binds; else a process of this user binds, without any
			      capability ... */
	bool bind_service; /* ... except CAP_NET_BIND_SERVICE */
};

struct bound {
	int fd;    /* -1: refused */
	int error; /* errno of bind() or listen(); 0: it has the port */
};

/*
 * Tries the binding. `refusal` is the errno of bind() or listen() that counts as an answer and not
 * as a failure: EADDRINUSE where others have the port, EACCES where a right is missing; 0: the
 * binding has to succeed. A socket that another user's process made is handed to this process; for
 * the kernel the socket still belongs to that user. Returns 0, or a negative errno with one line
 * where there is no answer (no such user in this user namespace, no descriptor left); out->fd is -1
 * then.
 */
int binding_try(const struct binding *b, int refusal, struct bound *out, struct why why);

/* Tries the binding and closes the socket. *allowed: whether the binding succeeded. */
int binding_allowed(const struct binding *b, int refusal, bool *allowed, struct why why);

/* Does this machine have the family and its loopback address? Returns 0, or a negative errno with
 * one line. */
int family_known(int family, bool *known, struct why why);

/* The socket's port in host order; 0: it has none. */
uint16_t bound_port(int fd);

/* Returns a client socket that is connected to the loopback address, or a negative errno. TCP:
 * connecting gives up after some seconds, and close() resets the connection. */
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
 * Sends the requests to the `count` sockets that share the port and adds what each socket got to
 * got[]. Returns 0 if all requests were sent and these sockets took them. Otherwise returns a
 * negative errno with one line; it stopped at the first request that could not be sent or taken.
 */
int spread(struct spread *s, const int *fds, size_t count, uint64_t *got, struct why why);

#endif
