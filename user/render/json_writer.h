/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as a stream: nothing is kept, so that a document of any size takes no memory. The caller
 * opens and closes what it nests, and calls json_end() at the end. Errors of writing stay in the
 * FILE's error flag. `key` is NULL for an element of an array.
 */
#ifndef SOCKFAIR_JSON_WRITER_H
#define SOCKFAIR_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_writer {
	FILE *out;
	bool comma; /* the next value needs one before it */
	size_t used;
	char buffer[8192]; /* a FILE costs a call for each of the many short pieces */
};

/* A document from its brace on, "sockfair/1", to the end of its line. Returns 0 or -EIO. */
struct json_writer json_begin(FILE *out, const char *schema);
int json_end(struct json_writer *w);

void json_open(struct json_writer *w, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json_writer *w, char bracket);                 /* '}' or ']' */
void json_number(struct json_writer *w, const char *key, uint64_t value);
void json_number_if(struct json_writer *w, const char *key, bool known,
		    uint64_t value); /* else null */
void json_number_real(struct json_writer *w, const char *key,
		      double value); /* null where not finite; 9 digits */
/* Without a fraction where it is a count: 64 and not 64.0; every digit of that. */
void json_number_any(struct json_writer *w, const char *key, double value);
void json_bool(struct json_writer *w, const char *key, bool value);
void json_bool_if(struct json_writer *w, const char *key, bool known, bool value); /* else null */
void json_nothing(struct json_writer *w, const char *key);                         /* null */
/* A string up to its NUL or `max` bytes; what is not UTF-8 is escaped as the four characters \xNN.
 */
void json_text(struct json_writer *w, const char *key, const char *bytes, size_t max);
void json_text_if(struct json_writer *w, const char *key, bool known, const char *bytes,
		  size_t max);
void json_string(struct json_writer *w, const char *key, const char *value); /* null for NULL */

#define json_name(w, key, array) json_text(w, key, array, sizeof(array))
/* null for "" */
#define json_name_if(w, key, array) json_text_if(w, key, *(array), array, sizeof(array))

/* An address in network order; a moment in Unix time: "2026-01-01T00:00:00.000Z". */
void json_address(struct json_writer *w, const char *key, int family, const void *address);
void json_moment(struct json_writer *w, const char *key, int64_t ms);

#endif
