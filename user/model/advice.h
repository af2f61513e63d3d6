/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which option gives each worker of a known server a socket of its own, by the name of the program.
 * Each row was checked with the real program: to add a row, run the program with that option and
 * look at what `list` shows. Process names are weak evidence, so a program that is not known for
 * sure has no row.
 */
#ifndef SOCKFAIR_ADVICE_H
#define SOCKFAIR_ADVICE_H

#include "findings_rules.h"

struct advice {
	const char *process; /* name of the process; a '*' at the end: any name that begins so */
	bool tcp, udp;
	const char *program; /* as people call it */
	const char *option;  /* NULL: no option gives each worker its own socket */
	const char *since;   /* the version that introduced the option; NULL: not known */
	const char *
		beside; /* a further remark, which begins with a comma or a semicolon; NULL: none */
	bool always;    /* the program sets SO_REUSEPORT even without that option */
};

/* process: the name as in a row; it may fill all 16 bytes. NULL: the program is not known. */
const struct advice *advice_find(const char process[16], enum protocol protocol);

/*
 * Writes what to do so that each of a socket's workers gets its own socket, and returns the buffer.
 * general: the words if the program is not known, or has already set the option (s: NULL if that is
 * not known). If the program is known, the option follows these words; if it has no such option,
 * another text replaces them. "give each its own SO_REUSEPORT socket: 'reuseport' on the listen
 * line (nginx since 1.9.1)"
 */
#define ADVICE_SIZE 320
const char *advise_own_socket(char buffer[ADVICE_SIZE], const struct facts *facts,
			      const struct takers *takers, const struct socket_row *s,
			      const char *general);

#endif
