/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `steer` prints. */
#ifndef SOCKFAIR_STEER_REPORT_H
#define SOCKFAIR_STEER_REPORT_H

#include "../model/steer_result.h"
#include "text.h"

/*
 * tcp 0.0.0.0:8080: a SO_REUSEPORT group of 4 sockets, steered by an SK_LOOKUP program, policy
 * least socket 5123  process nginx 812, weight 1
 */
void text_steer_plan(FILE *out, const struct endpoint *e, const struct steer_plan *plan,
		     const struct text_style *style);

/*
 *                                  before     steered       after
 *   seconds                          10.0        60.0        10.0
 *   connections per second            401      4310 *         398
 *   wait for accept, p50            12 ms      0.2 ms *     12 ms
 *   ...
 *   * differs from before by more than noise
 *   ✓ while steered, connections waited less for accept: p99 600 us instead of 144 ms
 *   ✓ released: the port is as it was found
 */
void text_steer(FILE *out, const struct steer_result *r, const struct text_style *style);

/* Writes one line, a document of schema sockfair-steer/1. Returns 0 or -EIO. */
int json_steer(FILE *out, const struct steer_result *r);

#endif
