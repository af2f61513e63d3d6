/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SOCKFAIR_MEMORY_H
#define SOCKFAIR_MEMORY_H

#include <stdbool.h>
#include <stdio.h>

/*
 * Memory of renderers. Where there is none they leave something out and go on: a line less is no
 * reason to print no more. But what is printed is then not the result, which whoever ends the
 * output has to know.
 */

/* `memory`, or a stream into it, as it was got. NULL is noted. */
void *render_needs(void *memory);
/* Whether anything was noted so far. */
bool render_lacks(void);

/* A stream whose text is in *words once it is closed; free() it. NULL is noted. */
FILE *words_open(char **words, size_t *size);
/* Returns whether *words is there and whole; else it is noted, and *words is NULL. */
bool words_close(FILE *memory, char **words);

#endif
