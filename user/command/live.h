/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The full-screen view on a terminal: draws what render/screen.c composes, waits, reads keys. One
 * at a time. */
#ifndef SOCKFAIR_LIVE_H
#define SOCKFAIR_LIVE_H

#include <stddef.h>

#include "../model/snapshot.h"

struct live;

enum live_event {
	LIVE_TIMEOUT, /* the time is over: the next snapshot */
	LIVE_RESET,   /* the user wants to begin counting anew */
	LIVE_QUIT,    /* q, SIGINT, SIGTERM, SIGHUP, or the terminal is gone */
};

/*
 * Takes over the terminal on stdout (keys come from stdin, or from the controlling terminal where
 * stdin is none) until live_close() or the program's end, whatever ends it but SIGKILL. filter:
 * what is watched, in words, or NULL; it has to outlive the view. While the view is open nothing
 * else may write to the terminal, and `interrupted` is also set by SIGHUP; a second signal ends the
 * program. Returns 0, or negative errno with one line in why.
 */
int live_open(struct live **live, const char *filter, char *why, size_t why_size);

/*
 * Shows two judged snapshots (see screen_compose()) and keeps copies of them, to draw again when a
 * key is pressed or the terminal's size changes, and to stay while frozen: the caller's may go at
 * once. What they point to as constants (backend, unseen, codes) must be constant. Returns 0 or
 * -ENOMEM.
 */
int live_show(struct live *live, const struct snapshot *interval, const struct snapshot *total);

/* One line above the keys until the next call; NULL or "": none. Shown by the next live_show(). */
void live_notice(struct live *live, const char *notice);

/* Handles keys for that long. Returns early with LIVE_RESET and LIVE_QUIT. */
enum live_event live_wait(struct live *live, double seconds);

/* Gives the terminal and the signals back as they were. NULL is fine. */
void live_close(struct live *live);

#endif
