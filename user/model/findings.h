/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What looks wrong, or is worth knowing, about an endpoint: a table of rules over the model. A rule fires only on what the snapshot
 * shows; it never fires on a healthy server.
 */
#ifndef SOCKFAIR_FINDINGS_H
#define SOCKFAIR_FINDINGS_H

#include "snapshot.h"

/* Fills the findings of every endpoint of a judged snapshot, replacing those it had. Returns 0 or -ENOMEM. */
int findings_fill(struct snapshot *s);

#endif
