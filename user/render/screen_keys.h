/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a page of the full-screen view says of its keys. What they do is screen_press(). */
#ifndef SOCKFAIR_SCREEN_KEYS_H
#define SOCKFAIR_SCREEN_KEYS_H

#include "screen.h"

/* Puts the keys that do something here onto a line. */
void screen_footer(struct grid *g, int row, const struct screen_state *state);

/* Returns the name of the next key that has an explanation, and the explanation in *what; NULL:
 * there are no more. *next begins at 0. */
const char *screen_key_explained(size_t *next, const char **what);

#endif
