/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows in order, and rows that are the same: for qsort(), bsearch() and array_index, of lists of
 * pointers to rows.
 */
#ifndef SOCKFAIR_ORDER_H
#define SOCKFAIR_ORDER_H

int endpoint_by_port(const void *a, const void *b);    /* protocol, namespace, port */
int endpoint_by_address(const void *a, const void *b); /* and address */

int socket_by_cookie(const void *a, const void *b);

int worker_by_process(const void *a, const void *b);
int worker_by_thread(const void *a, const void *b);
/* A thread id that was used again is another thread. */
int worker_by_life(const void *a, const void *b);
/* A worker is one thread on one socket: by thread first, or by socket first. */
int worker_by_place(const void *a, const void *b);
int worker_by_socket(const void *a, const void *b);
/* The same life of a thread on a socket. A process's id is not looked at. */
int worker_by_identity(const void *a, const void *b);

#endif
