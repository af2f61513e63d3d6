/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the kernel's byte counters of open connections and adds them to the ledger. Connections
 * that were open before the window are found when it begins, through the descriptors that lead to
 * them; see bpf/bytes.bpf.h.
 *
 *   bytes_open()    once
 *   bytes_begin()   the window has begun
 *   bytes_look()    reads what open connections carry; call it before the kernel's rows are read,
 *                   which have what closed connections carried
 *   bytes_settle()  after that: enters the bytes into the ledger
 */
#ifndef SOCKFAIR_BYTES_H
#define SOCKFAIR_BYTES_H

#include "../model/ledger.h"
#include "inventory.h"

struct count_bpf;
struct count_worker;
struct count_serve;
struct bytes_reader;

/* The kernel's rows still belong to the caller. Returns 0 or negative errno. */
int bytes_open(struct bytes_reader **out, struct count_bpf *bpf, const struct count_worker *workers,
	       const struct count_serve *serves);

/* Returns 0 or negative errno. */
int bytes_begin(struct bytes_reader *b, struct inventory *v);

/* Returns 0 or negative errno. */
int bytes_look(struct bytes_reader *b);

/*
 * v is NULL without an inventory; then connections from before the window are not looked for.
 * Returns 0 or -ENOMEM.
 */
int bytes_settle(struct bytes_reader *b, const struct inventory *v, struct ledger *l);

/*
 * Which open connections carried most, and whether all connections from before the window could be
 * followed.
 */
void bytes_describe(const struct bytes_reader *b, const struct ledger *l, struct snapshot *s);

/* How many connections from before the window a thread has open; tid 0: threads of the process, it
 * is not known which. */
struct bytes_older {
	int32_t pid, tid;
	uint64_t open;
};

/* Writes at most `max` of them, as of the last look. Returns how many. */
size_t bytes_older_open(const struct bytes_reader *b, struct bytes_older *rows, size_t max);

/* Bytes that all connections have carried, at the last look. */
uint64_t bytes_carried(const struct bytes_reader *b);

/* Forgets the connections from before the window. */
void bytes_forget(struct bytes_reader *b);

/* b may be NULL. */
void bytes_close(struct bytes_reader *b);

#endif
