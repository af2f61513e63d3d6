/* SPDX-License-Identifier: GPL-2.0-or-later */
/* steer --undo: takes away what a sockfair steer has left behind that was killed. */
#ifndef SOCKFAIR_STEER_UNDO_H
#define SOCKFAIR_STEER_UNDO_H

#include "../collect/selection.h"
#include "output.h"

/* For all TCP ports of the selection. Returns an exit status. */
int steer_undo(const struct selection *asked, struct output *out);

#endif
