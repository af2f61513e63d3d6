/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For how long accept queues are full, and since when nobody takes from them. The kernel reports
 * neither, so both are derived from the queue length that each look found and from how many
 * connections were accepted by then.
 */
#ifndef SOCKFAIR_QUEUES_H
#define SOCKFAIR_QUEUES_H

#include "ledger.h"

/*
 * A look at the accept queue of a TCP listener: its length at now_ns (CLOCK_MONOTONIC), and how
 * many connections were accepted from it so far (which has no meaning if the queue is empty).
 * Updates full_* and stalled_* of its row; queue_limit must be set.
 */
void queue_look(struct ledger_socket *s, uint64_t now_ns, uint32_t length, uint64_t accepted);

/* The same for all sockets whose queue was read (read_ns) since the previous look. To be called
 * when the accepts of their workers have been entered. */
void queues_look(struct ledger *l);

/*
 * Remembers the stalls that last for STALL_LONG_NS or longer (`stall` of the row), each with the
 * socket's holders: what hinders them now is not to be found when the stall is over. To be called
 * after queues_look(), when the holders are filled in. Returns 0 or -ENOMEM.
 */
int queues_remember(struct ledger *l);

#endif
