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

/* Returns the colour, or "" if the output has no colours. */
const char *text_paint(const struct text_style *style, const char *colour);
/* Returns the colour's escape sequence for a terminal. */
const char *text_colour(enum attribute attribute);

enum attribute verdict_attribute(enum verdict v);

/* Where a verdict's words go: a cell, a line or a sentence has room for "flows?", "too few", "too
 * few to tell". */
enum words { WORDS_CELL, WORDS_LINE, WORDS_SENTENCE };
const char *verdict_words(enum verdict v, enum words length);
/* Says why there is nothing to compare: "only one", "no events", "none". */
const char *nothing_words(const struct fairness *f);

/* How many columns a line with a bar may take. */
int text_bar_room(const struct text_style *style);

/* Writes "<0.001" into buffer (16 bytes). */
void text_p_value(char *buffer, double p);

/* "  4 processes, a SO_REUSEPORT socket each" */
void text_design(FILE *out, const struct endpoint *e, const struct text_style *style);

/* Prints a line about the connected sockets that are in no row, if there are any. */
void text_connected(FILE *out, const struct endpoint *e);

/* "12 ports of clients (all UDP sockets connected) left out: -P PORT shows one" */
void text_clients(FILE *out, const struct snapshot *s);

/* Prints "3,778 UDP ports opened meanwhile and closed, as far as is known, left out, with 3,940
 * datagrams on 4,000 sockets: -P PORT shows one" */
void text_passing(FILE *out, const struct snapshot *s);

/* "  workers  uneven: CV 1.640 (fair hash 0.019), ..." */
void text_fairness(FILE *out, const char *what, const struct fairness *f,
		   const struct text_style *style);

/* "  ! one socket ...", yellow; "  i ..." dim, "  ✓ ..." green */
void text_finding(FILE *out, const struct finding *f, int indent, const struct text_style *style);

/*
 * Prints, for TCP, those of these lines that have something to say:
 *
 *   wait     p50 27 us, p90 31 us, p99 1.2 ms, max 3.4 ms; highest queue 12 of 4096, full for 1.2 s
 *   handed   1,000 to another thread: mean 12 us, max 1.2 ms until it read
 *   3 accepted were queued before the window: not in the waits
 *
 * queue: whether to print the queue; false where another line has it.
 */
void text_waits(FILE *out, const struct endpoint *e, bool queue, const struct text_style *style);

/* Writes "81.2%" (of one CPU) into buffer (TEXT_COUNT_SIZE); "-": not known. Returns it. */
char *text_cpu(char *buffer, bool known, uint64_t cpu_ns, double seconds);

/* Writes "13.7 MB" into buffer (TEXT_COUNT_SIZE), "≥13.7 MB" for a lower bound. Returns it. */
char *text_bytes(char *buffer, uint64_t bytes, bool at_least, bool utf8);

/* Prints "  load     CPU time 1.7 s: CV 1.090, busiest 66%, least busy 1%; bytes 13.7 MB: CV ...",
 * if there are several workers and their load is known. */
void text_load(FILE *out, const struct endpoint *e, const struct text_style *style);

/* Does some thread serve what another one accepted? If not, `served` tells nothing beyond
 * `accepted`. */
bool text_hands_over(const struct endpoint *e);

/*
 * Writes "9/8" into buffer (TEXT_COUNT_SIZE), in the form of a queue; "-": not known. Returns it.
 */
char *text_half_open(char *buffer, const struct socket_row *s);

/* Writes "3/4096" into buffer (TEXT_COUNT_SIZE); "-": not known. Returns it. */
char *text_queue(char *buffer, const struct socket_row *s);

/* Writes "17" into buffer (TEXT_COUNT_SIZE); "yes": there is a group, but which is not known; "-":
 * there is none. Returns it. */
char *text_group(char *buffer, const struct socket_row *s);

/* Writes "12" into buffer (TEXT_COUNT_SIZE), or "≤12" where some of the kernel's drops may be
 * withheld ACKs. Returns it. */
char *text_drops(char *buffer, const struct endpoint *e, const struct socket_row *s, bool utf8);

/* Prints "5 ACKs withheld by TCP_DEFER_ACCEPT"; only for withheld_most above 0. */
void text_withheld(FILE *to, const struct socket_row *s);

/* Prints a line "  TCP_DEFER_ACCEPT withheld 5 ACKs until data came: no drops", if ACKs were
 * withheld. */
void text_all_withheld(FILE *out, const struct endpoint *e);

/* Are all sockets bound to the same device, or all to none? */
bool text_same_device(const struct endpoint *e);

/* "tcp" or "udp" */
const char *text_protocol(const struct endpoint *e);

/* Prints "  700 buffers for UDP_GRO sockets, each may hold several datagrams: counted as one", if
 * there are any. */
void text_buffers(FILE *out, const struct endpoint *e);

/* Prints "  not counted: at most 7 (calls whose return was not seen)", one line for each reason. */
void text_lost(FILE *out, const struct snapshot *s, const struct text_style *style);

/* "  own cost: 0.12 % of a CPU ...", if that was measured */
void text_own_cost(FILE *out, const struct snapshot *s);

/* Prints "  this backend does not see: ..." with what may concern a count of this snapshot. */
void text_unseen(FILE *out, const struct snapshot *s, const struct text_style *style);

#endif
