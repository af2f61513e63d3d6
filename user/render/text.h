/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SOCKFAIR_TEXT_H
#define SOCKFAIR_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "../model/comparison.h"
#include "../model/netns_name.h"
#include "../model/unit.h"

struct text_style {
	bool colour;
	bool utf8;   /* bars of eighths; without UTF-8 bars of '#' */
	int width;   /* columns of the terminal: bars take what is left of them, longer lines are
			broken. 0: not a terminal: bars are made for 100 columns */
	int longest; /* if not a terminal: lines longer than this are broken. 0: no line is broken
		      */
};

#define TEXT_LONGEST 120 /* a width that fits beside something else on a page, and in a mail */

#define TEXT_COUNT_SIZE 32

/* Writes "≥12,345" into buffer (TEXT_COUNT_SIZE): n is a lower bound. If not at_least, the text is
 * as from text_count(). Returns it. */
char *text_bound(char *buffer, uint64_t n, bool at_least, bool utf8);

/* Writes "12,345,678" into buffer (TEXT_COUNT_SIZE); returns it. */
char *text_count(char *buffer, uint64_t n);

#define TEXT_DURATION_SIZE 16

/* Writes nanoseconds with two or three digits into buffer (TEXT_DURATION_SIZE); returns it: "<1
 * us", "27 us", "1.2 ms", "3.4 s", "17 min"; NaN: "-". */
char *text_duration(char *buffer, double ns);

/* Returns "!", "i" or "✓"; without UTF-8 "ok" instead of "✓". */
const char *text_mark(enum finding_level level, bool utf8);

#define TEXT_ADDRESS_SIZE 96

/*
 * An address as people write it, into buffer (TEXT_ADDRESS_SIZE); returns it. It looks at the
 * sockets: [::] that takes IPv4 too is
 * "*:80", else "[::]:80"; all of them bound to one device give "0.0.0.0%eth0:80", or the zone
 * "[fe80::1%eth0]:80"; v4-mapped addresses are IPv4: "127.0.0.1:80".
 */
char *text_address(char *buffer, const struct endpoint *e);

/*
 * Makes a name that may hold any bytes (up to its NUL or `max`) harmless for a terminal. Control
 * characters and bytes that are not UTF-8 become '?'; without utf8 everything but ASCII does.
 * buffer: max + 1 bytes; returns it.
 */
char *text_name(char *buffer, const char *bytes, size_t max, bool utf8);

/* Writes a network namespace: the name that ip netns has for it (cleaned as by text_name()), or
 * else its number. buffer: NETNS_NAME_SIZE; returns it. */
char *text_netns(char *buffer, uint32_t inode, bool utf8);

/* The columns that a string from text_name() takes: one for each character. */
int text_width(const char *text);
/* Prints the text right-aligned in this many columns. */
void text_right(FILE *out, int columns, const char *text);

/*
 * Writes a cgroup path, cleaned as by text_name(). Long hexadecimal ids are cut to 12 digits, as
 * container tools show them. buffer: TEXT_CGROUP_SIZE. "/system.slice/docker-0123456789ab.scope"
 */
#define TEXT_CGROUP_SIZE 257
char *text_cgroup(char *buffer, const char *cgroup, bool utf8);

/*
 * Writes where a process runs: its systemd unit or container as unit_say() words it, or else
 * TEXT_UNIT_CGROUP and its cgroup as from text_cgroup(); "" for the root cgroup, or if the cgroup
 * is not known. buffer: TEXT_UNIT_SIZE; returns it. cgroup: from the row of a holder or a worker.
 */
#define TEXT_UNIT_SIZE UNIT_WORDS_SIZE
#define TEXT_UNIT_CGROUP "cgroup "
char *text_unit(char *buffer, const char cgroup[CGROUP_SIZE], bool utf8);

/*
 * Prints one result: how events are distributed over workers and over sockets, fairness, rate,
 * agreement. design: the line that describes the mode.
 *
 * shared-epoll-exclusive: each worker has its own epoll on the shared socket, EPOLLEXCLUSIVE
 *   tcp 127.0.0.1:39145, 8 workers (threads), 20,000 connections, 2 at once; kernel 6.18.44, ...
 *
 *   worker      tid   socket   accepted wait p99   share
 *        0    23051       17     12,541    29 us   62.7%  ████████████████████████████████
 *        1    23052       17      6,077    31 us   30.4%  ███████████████▌
 *   ...
 *   socket    inode    arrived   highest wait p50      p99      max   share
 *       17      301     20,000    2/4096    12 us    30 us   1.2 ms  100.0%  ████████████████
 *
 *   workers  uneven: CV 1.640 (fair hash 0.019), busiest 5.02x the mean (1.03), 0 of 8 idle, ...
 *   wait     p50 12 us, p90 24 us, p99 30 us, max 1.2 ms; highest queue 2 of 4096
 *   ! one of the findings
 *   25,110 connections/s; kernel, server and clients agree on each worker; lost 0
 */
void text_result(FILE *out, const struct snapshot *s, const char *design,
		 const struct text_style *style);

/* Prints the results of `run` in one table with a row for each mode. runs, modes: what
 * comparison_of_runs() took to make c. Samples: text_compare.c. */
void text_comparison(FILE *out, const struct snapshot *runs, size_t count, size_t modes,
		     const struct comparison *c, const struct text_style *style);

/* Prints saved results side by side, with a table for each subject. Sample: text_compare.c. */
void text_compare(FILE *out, const struct comparison *c, const struct text_style *style);

enum text_by { TEXT_BY_DEFAULT, TEXT_BY_PROCESS, TEXT_BY_THREAD, TEXT_BY_SOCKET };

/* Chooses the rows: processes where several accept and none of them has more than one thread; else
 * threads. */
enum text_by text_by_default(const struct endpoint *e);

/*
 * Prints what happened in a window. total: what happened since the start, from the same observer;
 * NULL (or window->final): the window is all there is. by: what a row is; TEXT_BY_DEFAULT picks
 * workers for each port and adds its sockets. Sample: text_window.c.
 */
void text_window(FILE *out, const struct snapshot *window, const struct snapshot *total,
		 enum text_by by, const struct text_style *style);

/* Prints an inventory: ports, their sockets, the processes that hold them, findings. Sample:
 * text_list.c. */
void text_list(FILE *out, const struct snapshot *s, const struct text_style *style);

#endif
