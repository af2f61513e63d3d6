/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events that the counting programs could not count or attribute, with the socket they belonged to
 * as far as the programs know it: bpf/rows.bpf.h, lost_of().
 */
#ifndef SOCKFAIR_LOSSES_H
#define SOCKFAIR_LOSSES_H

#include <linux/types.h>

#include "../model/ledger.h"
#include "../model/lost.h"

/* The programs' counts besides lost_by_port, by enum count_lost. */
struct losses_beside {
	const __u64 *unattributed; /* events of no known port */
	const __u64 *crowded;      /* events of the ports below */
	const __u8 *crowded_ports; /* COUNT_PORTS */
};

/*
 * Reads lost_by_port. touches[] (bits of enum lost_touches) and counts[], which gets the sums, are
 * indexed by reason too. Adds to *where, which then points to crowded_ports. Returns 0 or -ENOMEM.
 */
int losses_read(int map_fd, const struct losses_beside *beside, const unsigned *touches,
		uint64_t *counts, struct lost_list *where);

/*
 * Adds the events of threads whose socket has no row, `orphaned` events in all
 * (ledger_snapshot()), by the port that the thread's row names. Returns 0 or -ENOMEM.
 */
int losses_of_orphans(const struct ledger *l, uint64_t orphaned, struct lost_list *where);

#endif
