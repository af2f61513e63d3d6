/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the exporter listens: an address and a port, a unix socket, or the socket that systemd has
 * made. */
#ifndef SOCKFAIR_LISTEN_H
#define SOCKFAIR_LISTEN_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/*
 * Loopback, because who may read the figures is for the administrator to decide. The port is one
 * that IANA has not given to anyone. It is not one of 9100 to 9999, which the exporters have shared
 * among themselves until none was left (9435 is that of ebpf_exporter, the very program that runs
 * beside this one), and not one of 32768 to 60999, from which the kernel takes ports for clients,
 * so that it could be taken when the exporter starts.
 */
#define EXPORT_LISTEN_DEFAULT "127.0.0.1:7435"

/* A place to listen at. */
struct export_listen {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	} address;
	socklen_t length;
	int given; /* the descriptor that systemd has passed; -1: none */
};

/*
 * Reads "127.0.0.1:7435", "[::1]:7435" or "unix:/path"; port 0: the kernel chooses one. NULL: the
 * socket that systemd passes to this process (sd_listen_fds(3)), without one
 * EXPORT_LISTEN_DEFAULT. What systemd says in the environment is taken out of it. Returns 0 or
 * -EINVAL with `why`: one line.
 */
int export_listen_parse(const char *text, struct export_listen *l, char *why, size_t size);

/* A socket that listens. */
struct listener {
	int fd;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* the file to remove; or "" */
	struct stat made; /* that file, as it was made: another may be there by now */
	char name[160];   /* "http://127.0.0.1:7435", "unix:/path" */
};

/*
 * Makes the socket. A unix socket's file gets mode 0660; with the set-group-ID bit its folder
 * gives it the folder's group, which may connect then. A file that is left from an exporter that
 * was killed is replaced, one at which somebody listens is not. Returns 0 or negative errno with
 * `why`: one line that says what failed, why, and what to do.
 */
int listener_open(struct listener *l, const struct export_listen *at, char *why, size_t size);

/* Closes the descriptor; a unix socket's file stays. */
void listener_close(struct listener *l);

/* Removes a unix socket's file, if it is still the one that was made. */
void listener_remove(struct listener *l);

#endif
