/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What both sets of programs (counting, inventory) need to be loaded. */
#ifndef SOCKFAIR_LOADING_H
#define SOCKFAIR_LOADING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_object;
struct bpf_program;
struct btf;

/* Writes the one line that says why, and returns err. */
int loading_fail(int err, char *why, size_t why_size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Raises limits, and checks that this process can load BPF programs at all: rights, namespaces,
 * filters, BTF. Returns 0 or negative errno with `why`: one line, what failed, why, what to do.
 */
int loading_prepare(char *why, size_t why_size);

/* The kernel's own types; free them with btf__free(). Returns 0 or negative errno with `why`. */
int loading_btf(struct btf **out, char *why, size_t why_size);

/* What an error of loading or attaching means where a limit of this process may be its cause; else
 * strerror(). */
const char *loading_reason(int err, char *text, size_t size);

/* What can't be done since the programs of iterators could not be loaded and attached. */
void loading_no_iterators(int err, const char *what, char *why, size_t why_size);

/* An error for want of descriptors, memory or a right: nothing that the kernel would refuse others.
 */
bool loading_lacks(int err);

/* Can tracing programs make a socket's cookie? (bpf_get_socket_cookie() for them: 5.12) */
bool loading_has_socket_cookie(void);

/* The value of an enumerator of any enum, named or not (CO-RE can't ask those without a name); -1:
 * this kernel has none of that name. */
int64_t loading_enumerator(const struct btf *btf, const char *name);

/* Times that the kernel skipped the program, since it was running on that CPU already (5.12 and
 * newer say so; for kprobes and tracepoints 6.7 and newer). */
uint64_t loading_runs_missed(const struct bpf_program *program);

/* Bytes of kernel memory that the maps take, as the kernel accounts them (before 6.4 of those that
 * grow: while they are empty); 0 if it does not say. */
uint64_t loading_memory(struct bpf_object *object);

#endif
