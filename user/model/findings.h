/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings about an endpoint: what looks wrong, is worth knowing, or is as good as it gets. They
 * are rules over the model, in findings_*.c. A rule fires only on what the snapshot shows, and a
 * rule of level FINDING_PROBLEM never fires on a healthy server.
 */
#ifndef SOCKFAIR_FINDINGS_H
#define SOCKFAIR_FINDINGS_H

#include "snapshot.h"

/* Fills the findings of every endpoint of a judged snapshot, replacing those it had: problems
 * first, then notes. Returns 0 or -ENOMEM. */
int findings_fill(struct snapshot *s);

#endif
