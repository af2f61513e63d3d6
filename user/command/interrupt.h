/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SIGINT, SIGTERM, SIGHUP: the first asks for an orderly end with the result so far, a second one
 * ends at once, whatever is under way. */
#ifndef SOCKFAIR_INTERRUPT_H
#define SOCKFAIR_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/* 1: finish with what there is. 2: the output can't be written, which was said. */
extern volatile sig_atomic_t interrupted;

/* Takes the signals over; a closed pipe and a file beyond its limit become errors of writing. */
void interrupt_prepare(void);

/* For a handler: sets `interrupted`. Returns whether it is a second signal. */
bool interrupt_ask(void);

#endif
