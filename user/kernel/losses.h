/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the counting programs could not count or attribute, and whose it was as far as they know: bpf/count.bpf.h, lost_of(). */
#ifndef SOCKFAIR_LOSSES_H
#define SOCKFAIR_LOSSES_H

#include <linux/types.h>

#include "../model/ledger.h"
#include "../model/lost.h"

/*
 * Reads lost_by_port. unattributed: the programs' counts of no known port, by enum count_lost, as touches[] (bits of enum lost_touches) and counts[],
 * which gets the sums by reason. Adds to *where. Returns 0 or -ENOMEM.
 */
int losses_read(int map_fd, const __u64 *unattributed, const unsigned *touches, uint64_t *counts, struct lost_list *where);

/* Events of threads whose socket has no row, `orphaned` of them (ledger_snapshot()): by the port that the thread's row names. Returns 0 or -ENOMEM. */
int losses_of_orphans(const struct ledger *l, uint64_t orphaned, struct lost_list *where);

/* Forgets what was lost by port. */
void losses_forget(int map_fd);

#endif
