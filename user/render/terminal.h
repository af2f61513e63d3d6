/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The full-screen view on a terminal: draws what render/screen.c composes, waits, reads keys. One
 * at a time. */
#ifndef SOCKFAIR_TERMINAL_H
#define SOCKFAIR_TERMINAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "../model/snapshot.h"

struct terminal;

enum terminal_event {
	TERMINAL_TIMEOUT, /* the time is over: the next snapshot */
	TERMINAL_RESET,   /* the user wants to begin counting anew */
	TERMINAL_QUIT,    /* q, SIGINT, SIGTERM, SIGHUP, or the terminal is gone */
};

/* Signals that ask for the end: whose they are beside the view's. */
struct terminal_end {
	bool (*ask)(
		void); /* for a handler: notes it in *asked; returns whether it is a second one */
	volatile sig_atomic_t *asked;
};

/*
 * Takes over the terminal that `to` writes to (keys come from stdin, or from the controlling
 * terminal where stdin is none) until terminal_close() or the program's end, whatever ends it but
 * SIGKILL. filter: what is watched, in words, or NULL; it has to outlive the view. While the view
 * is open nothing else may write to it, and SIGHUP asks for the end too; a second signal ends the
 * program. Returns 0, or negative errno with one line in why.
 */
int terminal_open(struct terminal **t, FILE *to, const struct terminal_end *asked,
		  const char *filter, char *why, size_t why_size);

/*
 * Shows two judged snapshots (see screen_compose()) and keeps copies of them, to draw again when a
 * key is pressed or the terminal's size changes, and to stay while frozen: the caller's may go at
 * once. What they point to as constants (backend, unseen, codes) must be constant. Returns 0 or
 * -ENOMEM.
 */
int terminal_show(struct terminal *t, const struct snapshot *interval,
		  const struct snapshot *total);

/* One line above the keys until the next call; NULL or "": none. Shown by the next terminal_show().
 */
void terminal_notice(struct terminal *t, const char *notice);

/* Handles keys for that long. Returns early with TERMINAL_RESET and TERMINAL_QUIT. */
enum terminal_event terminal_wait(struct terminal *t, double seconds);

/* Gives the terminal and the signals back as they were. NULL is fine. */
void terminal_close(struct terminal *t);

#endif
