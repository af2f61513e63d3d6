/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SIGINT, SIGTERM, SIGHUP: the first signal asks for an orderly end with the result so far. A
 * second one ends the program at once, whatever it is doing. */
#ifndef SOCKFAIR_INTERRUPT_H
#define SOCKFAIR_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/* 1: finish with the result so far. 2: the output can't be written, and the user has been told. */
extern volatile sig_atomic_t interrupted;

/* Installs the signal handlers. A closed pipe, or a file beyond its size limit, becomes a write
 * error instead of a signal. */
void interrupt_prepare(void);

/* Sets `interrupted`; a signal handler may call it. Returns whether this is the second signal. */
bool interrupt_ask(void);

#endif
