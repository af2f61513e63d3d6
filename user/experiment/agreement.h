/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Do all accounts of an experiment agree: clients, kernel and server? Pure: no input or output. */
#ifndef SOCKFAIR_AGREEMENT_H
#define SOCKFAIR_AGREEMENT_H

#include "../model/snapshot.h"

/*
 * Fills workload.agrees and .disagreement: TCP: made by clients = arrived = accepted = served; UDP:
 * sent = delivered + dropped, delivered = received; both: per worker what the kernel counted = what
 * the server counted. With serve_only the clients are left out. Only meaningful once all is at
 * rest. Where the backend saw no arrivals they are left out (`arrivals_seen`).
 */
void agreement_check(struct snapshot *s, const struct endpoint *own, bool arrivals_seen);

#endif
