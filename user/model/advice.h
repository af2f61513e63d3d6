/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes each worker of a known server have a socket of its own, by the name of its program.
 * Each row was seen to do so, or not to, with the real program: to add one, run it with that option
 * and look at what `list` shows. Names of processes are weak signs: who is not known for sure has
 * no row.
 */
#ifndef SOCKFAIR_ADVICE_H
#define SOCKFAIR_ADVICE_H

#include "findings_rules.h"

struct advice {
	const char *process; /* its name; with a '*' at the end: how that begins */
	bool tcp, udp;
	const char *program; /* as people call it */
	const char *option;  /* NULL: none gives each worker its own */
	const char *since; /* the version that brought the option; NULL: what came before it is not
			      known */
	const char *
		beside; /* what else there is to say, after a comma or a semicolon; NULL: nothing */
	bool always;    /* it sets SO_REUSEPORT without that option too */
};

/* process: as a row has it; it may fill its room. NULL: not known. */
const struct advice *advice_find(const char process[16], enum protocol protocol);

/*
 * What to do so that each of a socket's workers has its own, into buffer; returns it. general: the
 * words where the program is not known, or has set the option by now (s: NULL where that is not
 * known); where it is known they are followed by the option, or replaced where it has none. "give
 * each its own SO_REUSEPORT socket: 'reuseport' on the listen line (nginx since 1.9.1)"
 */
#define ADVICE_SIZE 320
const char *advise_own_socket(char buffer[ADVICE_SIZE], const struct facts *facts,
			      const struct takers *takers, const struct socket_row *s,
			      const char *general);

#endif
