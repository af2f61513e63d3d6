/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SOCKFAIR_JSON_H
#define SOCKFAIR_JSON_H

#include <stdio.h>

#include "../model/comparison.h"

/*
 * Writes the snapshot as one line, a document of schema sockfair/1 (sockfair-1.schema.json). Rows
 * that are marked as left out appear only as sums. The function needs no memory of its own, because
 * it writes each row as it comes to it. Returns 0 or -EIO.
 */
int json_snapshot(FILE *out, const struct snapshot *s);

#define JSON_DOCUMENT_BYTES 8000000

/*
 * Writes the same document with at most `rows` rows; 0: as many as fit into JSON_DOCUMENT_BYTES.
 * The other rows are added up (model/limit.h, which marks rows of the snapshot). Returns 0, -EIO,
 * or -ENOMEM; with -ENOMEM nothing was written.
 */
int json_snapshot_limited(FILE *out, struct snapshot *s, size_t rows);

/*
 * Writes a judged comparison as one line, a document of schema sockfair-comparison/1
 * (sockfair-comparison-1.schema.json). The document holds the figures of every run, so that it can
 * be compared again: json_reader.h. Returns 0 or -EIO.
 */
int json_comparison(FILE *out, const struct comparison *c);

/* What documents call the outcome of a metric's test against the first side; NULL: it is not
 * tested. */
const char *json_told(size_t metric, const struct comparison_stat *s);

/* What documents call the level of a finding. */
const char *json_level(enum finding_level level);

#endif
