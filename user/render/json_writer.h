/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as a stream: nothing is kept, so that a document of any size takes no memory. The caller
 * opens and closes what it nests, and calls json_flush() at the end. Errors of writing stay in the
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

void json_flush(struct json_writer *w);

void json_open(struct json_writer *w, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json_writer *w, char bracket);                 /* '}' or ']' */
void json_number(struct json_writer *w, const char *key, uint64_t value);
void json_number_if(struct json_writer *w, const char *key, bool known,
		    uint64_t value); /* else null */
void json_number_real(struct json_writer *w, const char *key,
		      double value); /* null where not finite; 9 digits */
void json_bool(struct json_writer *w, const char *key, bool value);
void json_nothing(struct json_writer *w, const char *key); /* null */
/* A string up to its NUL or `max` bytes; what is not UTF-8 is escaped as the four characters \xNN.
 */
void json_text(struct json_writer *w, const char *key, const char *bytes, size_t max);

#endif
