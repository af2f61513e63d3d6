/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How documents are read. json_reader.c reads the file and splits it into documents, json_result.c
 * reads results, json_saved.c reads comparisons, json_fields.c reads the members of objects.
 *
 * The reader keeps the first error and its words. After an error nothing more is read: every member
 * looks as if it were missing. So the caller needs to look at `err` only once, before using what
 * was read.
 */
#ifndef SOCKFAIR_JSON_READING_H
#define SOCKFAIR_JSON_READING_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "json_reader.h"

#define FOREIGN "is this a result of sockfair --json?"
#define TWO_KINDS "a result and a saved comparison in one file; give each a file of its own"
#define NO_MEMORY "out of memory; take fewer ports (watch -P)"

struct reader {
	FILE *file;
	const char *path, *name;
	char *why;
	int err; /* a negative errno, which *why explains; -ENOMEM may have no words yet */
	struct comparison *c;
	uint16_t port;            /* 0: all */
	bool has_side, has_saved; /* one side for results; sides of a saved comparison */
	size_t side;              /* the number of the side for results */
	size_t results, intervals, finals;
	size_t ports_seen[8], ports; /* ports that were not asked for: first few, how many */
	size_t line, bytes;       /* where the next byte is; bytes of the present document so far */
	size_t first_line;        /* where the present document began */
	bool too_long, is_object; /* of the present document: it exceeds the limit, it begins with a
				     brace */
	json_t *document;         /* the present one */
};

/* Keeps the error, if it is the first, with its words: "what; what to do". */
void reader_fail(struct reader *r, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Does the same for a member: the path to the member ("endpoints[3].port") is put before the words.
 */
void reader_fail_at(struct reader *r, const json_t *from, const char *member, const char *format,
		    ...) __attribute__((format(printf, 4, 5)));

/* "a number"; for NULL "missing" */
const char *reader_type_name(const json_t *value);

/* An OPTIONAL member may be null or missing. The result is then NULL, "" or NaN. */
enum need { OPTIONAL, REQUIRED };

json_t *field_object(struct reader *r, const json_t *from, const char *key, enum need need);
json_t *field_array(struct reader *r, const json_t *from, const char *key, enum need need);
/* Cuts a text that is longer than `size`. */
void field_text(struct reader *r, const json_t *from, const char *key, enum need need, char *to,
		size_t size);
bool field_bool(struct reader *r, const json_t *from, const char *key);
/* Reads a number that is 0 or more. */
double field_real(struct reader *r, const json_t *from, const char *key, enum need need);
/* Reads a whole number that a double holds exactly. */
double field_count(struct reader *r, const json_t *from, const char *key, enum need need);
/* Reads a required whole number up to `max`. */
double field_number(struct reader *r, const json_t *from, const char *key, double max);
/* Adds a count, if the member is there, to *sum. The sum is NaN (not known) before the first. */
void field_add(struct reader *r, const json_t *from, const char *key, enum need need, double *sum);
enum verdict field_verdict(struct reader *r, const json_t *from, const char *key);
/*
 * Reads why a verdict is withheld. If the member is null or missing, the verdict is not withheld.
 */
enum withheld field_reason(struct reader *r, const json_t *from, const char *key);
/* Returns an element, which has to be an object. */
const json_t *field_element(struct reader *r, const json_t *array, size_t i);

/* Reads the key of a result: protocol, address, port and network namespace. */
void reader_key(struct reader *r, const json_t *from, struct comparison_key *key);
/* Is this not the port that was asked for? The reader remembers other ports, so that the error can
 * name them if no document is of the right port. */
bool reader_is_other_port(struct reader *r, struct comparison_key *key);
/* Calls comparison_add(), within the limits of the reader. */
void reader_add_run(struct reader *r, size_t side, const struct comparison_key *key,
		    const char *setup, const struct comparison_run *run, const char *skipped);

/* Each reads one kind of document. */
void reader_result(struct reader *r, const json_t *json);
void reader_saved(struct reader *r, const json_t *json);

#endif
