/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether an endpoint's work was shared fairly. */
#ifndef SOCKFAIR_JUDGE_H
#define SOCKFAIR_JUDGE_H

#include "snapshot.h"

/* What lifetimes.h asks of rows: of two generations the earlier one has ended, though threads live
 * on for their connections, and sockets are held unread. */
struct lifetimes endpoint_lifetimes(const struct endpoint *e);
bool worker_is_past(const struct worker_row *w);
bool socket_is_past(const struct socket_row *s);

/*
 * Fills the generations, the design and the fairness results of an endpoint, `load`, `flow_unseen`.
 * Where of more than 5 % of what came the flow was not seen, the load is not known. Bins that lived
 * for part of the window only are left out while others lived through it. threshold: excess above
 * which it is uneven (0.20). Returns 0 or -ENOMEM.
 */
int endpoint_judge(struct endpoint *e, double threshold);

/* Of endpoint_judge()'s results the one that decides for --fail-on uneven: of the design's bins. */
const struct fairness *endpoint_decisive(const struct endpoint *e);

#endif
