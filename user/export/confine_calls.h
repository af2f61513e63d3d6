/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The system calls that are left to each of the two processes of confine.h. */
#ifndef SOCKFAIR_CONFINE_CALLS_H
#define SOCKFAIR_CONFINE_CALLS_H

#include "confine.h"

/*
 * Both put the filter over this process, for good, and return 0 or negative errno. A call that is
 * not on the list fails with EPERM and leaves a line in the kernel's log. It does not kill: what a
 * C library calls differs between versions, and one call that is new would end the exporter, where
 * a refusal makes the library take another way, or one request fail.
 */
int confine_calls_front(void);
int confine_calls_collector(const struct export_needs *needs);

#endif
