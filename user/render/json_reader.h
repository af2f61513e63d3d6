/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads what --json wrote: results (sockfair/1) of run, watch and list, and saved comparisons
 * (sockfair-comparison/1). A file may come from anywhere and hold anything: the worst outcome is
 * one clear line of error.
 */
#ifndef SOCKFAIR_JSON_READER_H
#define SOCKFAIR_JSON_READER_H

#include <stdint.h>

#include "../model/comparison.h"

#define JSON_READER_DOCUMENT_MAX                                                                   \
	(64u << 20) /* bytes of a document; one with 10,240 threads on as many sockets, and as     \
		       many that have ended, has some 30 MiB */
#define JSON_READER_MEMORY_MAX                                                                     \
	(768ul << 20) /* bytes that a document may take in memory: ours take ten to fifteen for    \
			 each byte of text, but "[]", two bytes, takes a hundred */
#define JSON_READER_RESULTS_MAX 20000 /* ports times runs in one file */
#define JSON_READER_SIDES_MAX                                                                      \
	256 /* sides of saved comparisons and sides before them: every port has a place for each   \
	       side */

#define JSON_READER_WHY 512

/*
 * Adds the results of a file to the comparison: either as one new side with that name, or as the
 * sides of a saved comparison. Only final documents count; documents of intervals are skipped.
 * Several documents of the same port or mode are repeated runs. port: only this port counts; 0: all
 * do. Returns 0, -ENOMEM, or another negative errno; `why` (JSON_READER_WHY bytes) then says
 * "FILE:LINE: what; what to do", clean for a terminal.
 */
int json_read_results(struct comparison *c, const char *path, const char *name, uint16_t port,
		      char *why);

#endif
