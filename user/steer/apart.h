/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes of ours that see to it that something is undone, also when the tool is killed. */
#ifndef SOCKFAIR_STEER_APART_H
#define SOCKFAIR_STEER_APART_H

#include <stdbool.h>

/*
 * Neither a key that is pressed for the tool nor an end of its service ends the calling process
 * from here on; and it holds nothing that the tool held but the descriptor `keep` (-1: nothing).
 */
void apart_become(const char *name, int keep);

/* Does the process of that descriptor (-1: none) end within so many ms? */
bool apart_ends_within(int pidfd, int ms);

#endif
