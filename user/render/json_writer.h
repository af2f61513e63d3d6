/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as a stream. The writer keeps nothing, so a document of any size takes no memory. The caller
 * closes whatever it opens and calls json_end() at the end. Write errors stay in the FILE's error
 * flag. `key` is NULL for an element of an array.
 */
#ifndef SOCKFAIR_JSON_WRITER_H
#define SOCKFAIR_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_writer {
	FILE *out;
	bool comma; /* the next value needs a comma before it */
	size_t used;
	char buffer[8192]; /* a FILE would cost a call for each of the many short pieces */
};

/* Begins a document: writes its brace and its schema, such as "sockfair/1". */
struct json_writer json_begin(FILE *out, const char *schema);
int json_end(struct json_writer *w);

void json_open(struct json_writer *w, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json_writer *w, char bracket);                 /* '}' or ']' */
void json_number(struct json_writer *w, const char *key, uint64_t value);
void json_number_if(struct json_writer *w, const char *key, bool known,
		    uint64_t value); /* else null */
void json_number_real(struct json_writer *w, const char *key,
		      double value); /* null where not finite; 9 digits */
/* Writes a number without a fraction if it is a count (64 and not 64.0), with all of its digits. */
void json_number_any(struct json_writer *w, const char *key, double value);
void json_bool(struct json_writer *w, const char *key, bool value);
void json_bool_if(struct json_writer *w, const char *key, bool known, bool value); /* else null */
void json_nothing(struct json_writer *w, const char *key);                         /* null */
/* Writes a string that ends at its NUL or after `max` bytes. A byte that is not UTF-8 is escaped as
 * the four characters \xNN. */
void json_text(struct json_writer *w, const char *key, const char *bytes, size_t max);
void json_text_if(struct json_writer *w, const char *key, bool known, const char *bytes,
		  size_t max);
void json_string(struct json_writer *w, const char *key, const char *value); /* null for NULL */

#define json_name(w, key, array) json_text(w, key, array, sizeof(array))
/* null for "" */
#define json_name_if(w, key, array) json_text_if(w, key, *(array), array, sizeof(array))

/*
 * Writes an address in network order; writes a moment in Unix time as "2026-01-01T00:00:00.000Z".
 */
void json_address(struct json_writer *w, const char *key, int family, const void *address);
void json_moment(struct json_writer *w, const char *key, int64_t ms);

#endif
