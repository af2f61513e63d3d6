/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether an endpoint's work was shared fairly. */
#ifndef SOCKFAIR_JUDGE_H
#define SOCKFAIR_JUDGE_H

#include "snapshot.h"

/* The lives of rows for lifetimes.h. If there are two generations, the earlier one counts as ended,
 * although its threads may live on for their connections and its sockets may be held unread. */
struct lifetimes endpoint_lifetimes(const struct endpoint *e);
bool worker_is_past(const struct worker_row *w);
bool socket_is_past(const struct socket_row *s);

/*
 * Fills the generations, the design, the fairness results, `load` and `flow_unseen` of an endpoint.
 * If the flow was not seen for more than 5 % of what came, the load is not known. Bins that lived
 * for only a part of the window are left out if others lived through all of it. threshold: excess
 * above which a distribution is uneven (0.20). Returns 0 or -ENOMEM.
 */
int endpoint_judge(struct endpoint *e, double threshold);

/* The one of endpoint_judge()'s results that decides --fail-on uneven: that of the design's bins.
 */
const struct fairness *endpoint_decisive(const struct endpoint *e);

#endif
