/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SOCKFAIR_TEXT_H
#define SOCKFAIR_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "../model/snapshot.h"

struct text_style {
	bool colour;
	bool utf8; /* bars of eighths; else of '#' */
};

#define TEXT_COUNT_SIZE 32

/* "12,345,678" into buffer (TEXT_COUNT_SIZE); returns it. */
char *text_count(char *buffer, uint64_t n);

/* "127.0.0.1:8080" or "[::1]:8080" into buffer (64 bytes); returns it. */
char *text_address(char *buffer, const struct endpoint *e);

/*
 * One result with its distribution per worker and per socket, fairness, rate, agreement. design: the mode's one line.
 *
 * shared-epoll-exclusive: each worker has its own epoll on the shared socket, EPOLLEXCLUSIVE
 *   tcp 127.0.0.1:39145, 8 workers (threads), 20,000 connections, 2 at once; kernel 6.18.44, backend tracepoint
 *
 *   worker      tid  accepted   share
 *        0    23051    12,541   62.7%  ████████████████████████████████
 *        1    23052     6,077   30.4%  ███████████████▌
 *   ...
 *   workers  uneven: CV 1.640 (fair hash 0.019), busiest 5.02 x the mean (1.03), 0 of 8 idle, p < 0.001, Jain 0.271
 *   25,110 connections/s; kernel, server and clients agree on each worker; lost 0
 */
void text_result(FILE *out, const struct snapshot *s, const char *design, const struct text_style *style);

/*
 * Several results in one table.
 *
 * mode                    workers          CV fair hash  busiest      idle       p  sockets    per second  counts
 * shared-accept           even          0.011     0.019    1.02x    0 of 8   0.980  -              31,200  agree
 */
void text_comparison(FILE *out, const struct snapshot *runs, size_t count, const struct text_style *style);

#endif
