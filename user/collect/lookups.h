/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which network namespaces have an SK_LOOKUP program, and whose it is. */
#ifndef SOCKFAIR_LOOKUPS_H
#define SOCKFAIR_LOOKUPS_H

#include "../model/snapshot.h"

/*
 * Fills in `lookup` of the endpoints. Such programs are attached by links alone, so all links of
 * the kernel are asked; without CAP_SYS_ADMIN they can't be, and nothing is filled in.
 */
void lookups_fill(struct snapshot *s);

#endif
