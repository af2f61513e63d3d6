/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What both sets of programs (counting, inventory) need to be loaded. */
#ifndef SOCKFAIR_LOADING_H
#define SOCKFAIR_LOADING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_object;

/* Writes the one line that says why, and returns err. */
int loading_fail(int err, char *why, size_t why_size, const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * Checks rights and pid namespace, raises limits. Returns 0 or negative errno with `why`: one line, what failed, why, what to do.
 */
int loading_prepare(char *why, size_t why_size);

/* Can tracing programs make a socket's cookie? (bpf_get_socket_cookie() for them: 5.12) */
bool loading_has_socket_cookie(void);

/* Bytes of kernel memory that the maps take, as the kernel accounts them; 0 if it does not say. */
uint64_t loading_memory(struct bpf_object *object);

#endif
