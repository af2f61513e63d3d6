/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the text renderers share among themselves. */
#ifndef SOCKFAIR_TEXT_PARTS_H
#define SOCKFAIR_TEXT_PARTS_H

#include "rows.h"
#include "table.h"
#include "text.h"

#define TEXT_RED "\033[31m"
#define TEXT_GREEN "\033[32m"
#define TEXT_YELLOW "\033[33m"
#define TEXT_BOLD "\033[1m"
#define TEXT_DIM "\033[2m"
#define TEXT_PLAIN "\033[0m"

/* The colour, or "" without colours. */
const char *text_paint(const struct text_style *style, const char *colour);
/* As the terminal is told. */
const char *text_colour(enum attribute attribute);

enum attribute verdict_attribute(enum verdict v);

/* A verdict in as many words as there is room for: "flows?", "too few", "too few to tell". */
enum words { WORDS_CELL, WORDS_LINE, WORDS_SENTENCE };
const char *verdict_words(enum verdict v, enum words length);
/* Why there is nothing to compare: "only one", "no events", "none" */
const char *nothing_words(const struct fairness *f);

/* Columns of a line with a bar. */
int text_bar_room(const struct text_style *style);

/* "<0.001" into buffer (16 bytes). */
void text_p_value(char *buffer, double p);

/* "  4 processes, a SO_REUSEPORT socket each" */
void text_design(FILE *out, const struct endpoint *e, const struct text_style *style);

/* A line on the connected sockets that are in no row, if there are any. */
void text_connected(FILE *out, const struct endpoint *e);

/* "12 ports of clients (all UDP sockets connected) left out: -P PORT shows one" */
void text_clients(FILE *out, const struct snapshot *s);

/* "3,778 UDP ports opened meanwhile and closed, as far as is known, left out, with 3,940 datagrams
 * on 4,000 sockets: -P PORT shows one" */
void text_passing(FILE *out, const struct snapshot *s);

/* "  workers  uneven: CV 1.640 (fair hash 0.019), ..." */
void text_fairness(FILE *out, const char *what, const struct fairness *f,
		   const struct text_style *style);

/* "  ! one socket ...", yellow; "  i ..." dim, "  ✓ ..." green */
void text_finding(FILE *out, const struct finding *f, int indent, const struct text_style *style);

/*
 * TCP, where there is something to say:
 *
 *   waits    p50 27 us, p90 31 us, p99 1.2 ms, max 3.4 ms; highest queue 12 of 4096, full for 1.2 s
 *   handed   1,000 to another thread: mean 12 us, max 1.2 ms until it read
 *   3 accepted were queued before the window: not in the waits
 *
 * queue: the queue too; false where it stands elsewhere.
 */
void text_waits(FILE *out, const struct endpoint *e, bool queue, const struct text_style *style);

/* "81.2%" of one CPU into buffer (TEXT_COUNT_SIZE), "-" where it is not known; returns it. */
char *text_cpu(char *buffer, bool known, uint64_t cpu_ns, double seconds);

/* "13.7 MB" into buffer (TEXT_COUNT_SIZE), "≥13.7 MB" where it is a bound; returns it. */
char *text_bytes(char *buffer, uint64_t bytes, bool at_least, bool utf8);

/* "  load     CPU time 1.7 s: CV 1.090, busiest 66%, least busy 1%; bytes 13.7 MB: CV ...", where
 * there are several workers and it is known */
void text_load(FILE *out, const struct endpoint *e, const struct text_style *style);

/* Some thread serves what another one accepted: `served` tells something that `accepted` does not.
 */
bool text_hands_over(const struct endpoint *e);

/* "9/8" into buffer (TEXT_COUNT_SIZE), as a queue; "-": not known. Returns it. */
char *text_half_open(char *buffer, const struct socket_row *s);

/* "3/4096" into buffer (TEXT_COUNT_SIZE); "-": not known. Returns it. */
char *text_queue(char *buffer, const struct socket_row *s);

/* "17" into buffer (TEXT_COUNT_SIZE); "yes": the group is not known; "-": none. Returns it. */
char *text_group(char *buffer, const struct socket_row *s);

/* "12", or where some of the kernel's drops may be withheld ACKs "≤12". buffer: TEXT_COUNT_SIZE.
 * Returns it. */
char *text_drops(char *buffer, const struct endpoint *e, const struct socket_row *s, bool utf8);

/* "5 ACKs withheld by TCP_DEFER_ACCEPT", where withheld_most is not 0. */
void text_withheld(FILE *to, const struct socket_row *s);

/* "  TCP_DEFER_ACCEPT withheld 5 ACKs until data came: no drops", a line, where there are any */
void text_all_withheld(FILE *out, const struct endpoint *e);

/* All sockets are bound to the same device, or none is to any. */
bool text_same_device(const struct endpoint *e);

/* "tcp" or "udp" */
const char *text_protocol(const struct endpoint *e);

/* "  700 buffers for UDP_GRO sockets, each may hold several datagrams: counted as one", where there
 * are any */
void text_buffers(FILE *out, const struct endpoint *e);

/* "  not counted: at most 7 (calls whose return was not seen)", a line per reason */
void text_lost(FILE *out, const struct snapshot *s, const struct text_style *style);

/* "  this backend does not see: ..." */
void text_unseen(FILE *out, const struct snapshot *s, const struct text_style *style);

#endif
