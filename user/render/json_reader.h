/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads what --json wrote: results (sockfair/1) of run, watch and list, and saved comparisons
 * (sockfair-comparison/1). Files come from anywhere: whatever is in them gives one clear line at
 * worst.
 */
#ifndef SOCKFAIR_JSON_READER_H
#define SOCKFAIR_JSON_READER_H

#include <stdint.h>

#include "../model/comparison.h"

#define JSON_READER_DOCUMENT_MAX                                                                   \
	(64u << 20) /* bytes; 10,240 threads on as many sockets, and as many that have ended, are  \
		       some 30 MiB */
#define JSON_READER_MEMORY_MAX                                                                     \
	(768ul << 20) /* bytes that a document may take in memory: ours take ten to fifteen for    \
			 each, but an array in two takes a hundred */
#define JSON_READER_RESULTS_MAX 20000 /* ports times runs in one file */
#define JSON_READER_SIDES_MAX                                                                      \
	256 /* of saved comparisons and what comes before them: every port has a place for each */

#define JSON_READER_WHY 512

/*
 * Adds the results of a file to the comparison: as one new side with that name, or the sides of a
 * saved comparison. Only final documents count, those of intervals are passed over; several of the
 * same port or mode are repeated runs. port: that one alone; 0: all. Returns 0, -ENOMEM, or another
 * negative errno; why (JSON_READER_WHY bytes) then says "FILE:LINE: what; what to do", clean for a
 * terminal.
 */
int json_read_results(struct comparison *c, const char *path, const char *name, uint16_t port,
		      char *why);

#endif
