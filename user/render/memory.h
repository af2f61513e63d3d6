/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SOCKFAIR_MEMORY_H
#define SOCKFAIR_MEMORY_H

#include <stdbool.h>
#include <stdio.h>

/*
 * Memory of the renderers. A renderer that gets no memory leaves something out and goes on, because
 * one missing line is no reason to stop printing. The output is then incomplete, and the code that
 * ends it has to know: render_lacks() says so.
 */

/* Passes on `memory` (or a stream into memory). If it is NULL, that is noted for render_lacks(). */
void *render_needs(void *memory);
/* Has any allocation failed so far? */
bool render_lacks(void);

/*
 * Opens a stream whose text is in *words once the stream is closed; free() it. A failure is noted.
 */
FILE *words_open(char **words, size_t *size);
/* Returns whether *words is there and complete. If not, that is noted and *words is NULL. */
bool words_close(FILE *memory, char **words);

#endif
