/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages for Prometheus: the same samples in OpenMetrics 1.0 and in the text format 0.0.4 that came
 * before it. In the latter counters carry _total in their HELP and TYPE, and an info is a gauge.
 */
#ifndef SOCKFAIR_OPENMETRICS_H
#define SOCKFAIR_OPENMETRICS_H

#include <stdio.h>

#include "../model/export_format.h"
#include "../model/export_state.h"

/* Writes a page, after export_limit(). Errors stay in the stream. Returns 0 or -ENOMEM. */
int openmetrics_write(FILE *out, const struct export_state *x, enum export_format format);

/* Writes a label's value without its quotes: escaped as both formats want it; what is no UTF-8, and
 * control characters, becomes '?'. */
void openmetrics_label_value(FILE *out, const char *value);

/* Writes a number so that reading it gives the same one. Whole numbers have no point. */
void openmetrics_number(FILE *out, double number);

/* Lists all metrics. man: as rows of an mdoc list, for sockfair-export(1). */
void openmetrics_list(FILE *out, bool man);

#endif
