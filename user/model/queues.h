/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accept queues from look to look: for how long they are full, and since when nobody takes from
 * them. The kernel tells neither: what is known is what each look at them found, and how much was
 * accepted by then.
 */
#ifndef SOCKFAIR_QUEUES_H
#define SOCKFAIR_QUEUES_H

#include "ledger.h"

/*
 * A look at the accept queue of a TCP listener: its length at now_ns (CLOCK_MONOTONIC), and how
 * many connections were accepted from it so far (of no meaning where it is empty). Brings full_*,
 * stalled_* of its row up to date; queue_limit is set.
 */
void queue_look(struct ledger_socket *s, uint64_t now_ns, uint32_t length, uint64_t accepted);

/* The same for all whose queue was read (read_ns) after the look before. Call it when what their
 * workers accepted is entered. */
void queues_look(struct ledger *l);

#endif
