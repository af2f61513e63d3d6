/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The full-screen view on a terminal: it draws what render/screen.c composes, waits, and reads
 * keys. Only one view can be open at a time. */
#ifndef SOCKFAIR_TERMINAL_H
#define SOCKFAIR_TERMINAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "../model/snapshot.h"

struct terminal;

enum terminal_event {
	TERMINAL_TIMEOUT, /* the time is over: show the next snapshot */
	TERMINAL_RESET,   /* the user wants to begin counting anew */
	TERMINAL_QUIT,    /* q, SIGINT, SIGTERM, SIGHUP, or the terminal is gone */
};

/* Signals that ask for the end. The caller handles them too, and says here how. */
struct terminal_end {
	bool (*ask)(
		void); /* for a handler: notes it in *asked; returns whether it is a second one */
	volatile sig_atomic_t *asked;
};

/*
 * Takes over the terminal that `to` writes to, until terminal_close() or the end of the program,
 * whatever ends it except SIGKILL. Keys come from stdin, or from the controlling terminal if stdin
 * is not a terminal. filter: what is watched, in words, or NULL; it has to outlive the view. every:
 * seconds from picture to picture. While
 * the view is open nothing else may write to the terminal, and SIGHUP asks for the end too; a
 * second signal ends the program. Returns 0, or a negative errno with one line in `why`.
 */
int terminal_open(struct terminal **t, FILE *to, const struct terminal_end *asked,
		  const char *filter, double every, char *why, size_t why_size);

/*
 * Shows two judged snapshots (see screen_compose()) and keeps copies of them: to draw again when a
 * key is pressed or the terminal changes its size, and to keep while the view is frozen. The caller
 * may free its snapshots at once. What the snapshots point to as constants (backend, unseen, codes)
 * must really be constant. Returns 0 or -ENOMEM.
 */
int terminal_show(struct terminal *t, const struct snapshot *interval,
		  const struct snapshot *total);

/* Sets one line above the keys, which stays until the next call; NULL or "": no line. The next
 * terminal_show() displays it. */
void terminal_notice(struct terminal *t, const char *notice);

/* Handles keys for this long. Returns early with TERMINAL_RESET or TERMINAL_QUIT. */
enum terminal_event terminal_wait(struct terminal *t, double seconds);

/* Restores the terminal and the signals. NULL is fine. */
void terminal_close(struct terminal *t);

#endif
