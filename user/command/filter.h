/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that say which sockets a command is about. All commands that look at servers share
 * them. */
#ifndef SOCKFAIR_FILTER_H
#define SOCKFAIR_FILTER_H

#include <argp.h>

#include "../collect/selection.h"

/* A child parser: its input is the struct selection to fill. */
extern const struct argp filter_argp;

/* Fails if the filter asks for a process or namespace that does not exist. Returns STATUS_OK, or
 * STATUS_FAILED after complaining. */
int filter_check(const struct selection *s);

/* Writes "port 80, tcp, process 12" into buffer; "everything" if there is no filter. Returns it. */
char *filter_text(const struct selection *s, char *buffer, size_t size);

#endif
