/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The full-screen view of `watch` as a page of cells, without terminal and clock. Its columns, keys
 * and tabs are tables in screen_keys.c and columns.c. */
#ifndef SOCKFAIR_SCREEN_H
#define SOCKFAIR_SCREEN_H

#include "../model/snapshot.h"
#include "grid.h"

enum screen_tab { TAB_PORTS, TAB_SOCKETS, TAB_WORKERS, TAB_PROCESSES, TAB_COUNT };

/* What the user has chosen. A state with all bits zero is a good start. screen_press() changes the
 * state, and screen_compose() brings it in line with what is there to show. */
struct screen_state {
	enum screen_tab tab;
	unsigned sort[TAB_COUNT]; /* which of the tab's sortable columns sorts, counted from 0; it
				     wraps */
	bool reversed[TAB_COUNT];
	bool recent; /* shares and verdicts are about the interval, not about the time since the
			start */
	bool frozen;
	bool help;
	bool selected;          /* show only the endpoint with the identity of `chosen` */
	struct endpoint chosen; /* identity only: no rows */
	bool pointed;           /* `cursor` is set */
	struct endpoint cursor; /* the endpoint under the cursor of the ports tab; identity only */
	const char *filter;     /* what is watched, in words; NULL or "": everything */
	double every;           /* seconds from picture to picture, as the user asked */
	char notice[160];       /* one line for the user; "": none */
	int move; /* lines to scroll, or endpoints to move the cursor; the next screen_compose()
		     does it */
	int top[TAB_COUNT]; /* the first line shown */
	int page;           /* how many lines the list has on the page */
};

/* Keys that are not characters. */
enum screen_key {
	SCREEN_UP = 0x1000,
	SCREEN_DOWN,
	SCREEN_PAGE_UP,
	SCREEN_PAGE_DOWN,
	SCREEN_HOME,
	SCREEN_END,
	SCREEN_LEFT,
	SCREEN_RIGHT,
	SCREEN_ENTER,
	SCREEN_BACK, /* Esc, Backspace */
};

enum screen_answer {
	SCREEN_IGNORED, /* the key has no meaning */
	SCREEN_CHANGED, /* the caller composes the page again */
	SCREEN_RESET,   /* the caller begins counting anew */
	SCREEN_QUIT,
};

/* Handles a key: a character or an enum screen_key. */
enum screen_answer screen_press(struct screen_state *state, int key);

/*
 * Draws judged snapshots onto a blank page: `interval` has what happened in its `seconds`, `total`
 * what happened since the start. Either may have no endpoints. The function also settles scrolling
 * and the cursor in `state`. Returns 0 or -ENOMEM.
 */
int screen_compose(struct grid *g, const struct snapshot *interval, const struct snapshot *total,
		   struct screen_state *state);

#endif
