/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What connections carried: reads the kernel's counters of those that are open, and adds them to
 * the ledger. Those that were open before the window are found when it begins, through the
 * descriptors that lead to them; see bpf/bytes.bpf.h.
 *
 *   bytes_open()    once
 *   bytes_begin()   the window has begun
 *   bytes_look()    reads what connections carry; before the rows of the kernel are read, which
 * have what closed ones did bytes_settle()  after that: into the ledger
 */
#ifndef SOCKFAIR_BYTES_H
#define SOCKFAIR_BYTES_H

#include "../model/ledger.h"
#include "inventory.h"

struct count_bpf;
struct count_worker;
struct count_serve;
struct bytes_reader;

/* The rows of the kernel stay the caller's. Returns 0 or negative errno. */
int bytes_open(struct bytes_reader **out, struct count_bpf *bpf, const struct count_worker *workers,
	       const struct count_serve *serves);

/* Returns 0 or negative errno. */
int bytes_begin(struct bytes_reader *b, struct inventory *v);

/* Returns 0 or negative errno. */
int bytes_look(struct bytes_reader *b);

/* v: NULL without an inventory, where connections of before are not looked for. Returns 0 or
 * -ENOMEM. */
int bytes_settle(struct bytes_reader *b, const struct inventory *v, struct ledger *l);

/* Which connections are open and carried most, and whether all of before could be followed. */
void bytes_describe(const struct bytes_reader *b, const struct ledger *l, struct snapshot *s);

/* Bytes that all have carried, at the last look. */
uint64_t bytes_carried(const struct bytes_reader *b);

/* Forgets those of before. */
void bytes_forget(struct bytes_reader *b);

/* NULL is fine. */
void bytes_close(struct bytes_reader *b);

#endif
