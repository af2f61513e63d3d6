/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a sockfair steer that was killed together with its guardian has left behind. */
#ifndef SOCKFAIR_STEER_LEFT_H
#define SOCKFAIR_STEER_LEFT_H

#include "../model/snapshot.h"

/*
 * Takes the program with that number (steer_facts.left) off the endpoint's group, and waits until
 * the kernel has given its map's sockets free. Returns 0 or negative errno with `why`.
 */
int steer_left_remove(const struct endpoint *e, uint32_t program, char *why, size_t size);

#endif
