/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Comparisons that sort rows and find equal rows, for qsort(), bsearch() and array_index on lists
 * of pointers to rows.
 */
#ifndef SOCKFAIR_ORDER_H
#define SOCKFAIR_ORDER_H

int endpoint_by_port(const void *a, const void *b);    /* protocol, namespace, port */
int endpoint_by_address(const void *a, const void *b); /* and address */

int socket_by_cookie(const void *a, const void *b);

int worker_by_process(const void *a, const void *b);
int worker_by_thread(const void *a, const void *b);
/* A reused thread id is another thread. */
int worker_by_life(const void *a, const void *b);
/* A worker is one thread on one socket. The first function compares the thread first, the second
 * the socket. */
int worker_by_place(const void *a, const void *b);
int worker_by_socket(const void *a, const void *b);
/* Equal for the same life of a thread on the same socket. The process id is not compared. */
int worker_by_identity(const void *a, const void *b);

#endif
