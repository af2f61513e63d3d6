/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Do all accounts of an experiment agree: clients, kernel and server? The check does no input or
 * output. */
#ifndef SOCKFAIR_AGREEMENT_H
#define SOCKFAIR_AGREEMENT_H

#include "../model/snapshot.h"

/*
 * Fills workload.agrees and .disagreement. TCP: made by clients = arrived = accepted = served. UDP:
 * sent = delivered + dropped, and delivered = received. Both: for each worker the kernel and the
 * server have the same counts. With serve_only the clients are left out. The check means something
 * only when all traffic is at rest. If the backend saw no arrivals (`arrivals_seen`), they are left
 * out.
 */
void agreement_check(struct snapshot *s, const struct endpoint *own, bool arrivals_seen);

#endif
