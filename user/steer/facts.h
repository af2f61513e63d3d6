/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds out what a listing does not tell about a port that is to be steered. Changes nothing. */
#ifndef SOCKFAIR_STEER_FACTS_H
#define SOCKFAIR_STEER_FACTS_H

#include "../model/steer_plan.h"

/*
 * Returns 0 or negative errno with `why`: one line that says what
 * failed, why, and what to do.
 */
int steer_facts_find(struct steer_facts *facts, const struct endpoint *e, char *why, size_t size);

#endif
