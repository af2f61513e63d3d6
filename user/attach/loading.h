/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers for loading BPF programs, used by all sets of programs (counting, binds, inventory). */
#ifndef SOCKFAIR_LOADING_H
#define SOCKFAIR_LOADING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_object;
struct bpf_program;
struct btf;

/* Writes one line into `why` that says why, and returns err. */
int loading_fail(int err, char *why, size_t why_size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Raises limits and checks that this process can load BPF programs at all: rights, namespaces,
 * filters, BTF. Returns 0 or negative errno with `why`: one line that says what failed, why, and
 * what to do.
 */
int loading_prepare(char *why, size_t why_size);

/*
 * The kernel's own types. They are read once for all who use them at the same time, so whoever
 * calls several functions that do so holds them meanwhile. Returns 0 or negative errno with `why`.
 */
int loading_btf(const struct btf **out, char *why, size_t why_size);
void loading_btf_end(const struct btf *btf); /* NULL: nothing */

/*
 * What an error of loading or attaching means. If a limit of this process may be the cause, the
 * text says so; else it is strerror().
 */
const char *loading_reason(int err, char *text, size_t size);

/*
 * Writes `why` for iterator programs that could not be loaded and attached: `what` can't be done
 * then.
 */
void loading_no_iterators(int err, const char *what, char *why, size_t why_size);

/*
 * Does the error mean that this process lacks descriptors, memory or a right? The kernel would not
 * refuse such a request to others.
 */
bool loading_lacks(int err);

/*
 * The kernel's release as 1000 * major + minor (5.11 is 5011); 0: not known. For what nothing in
 * the kernel's types tells.
 */
unsigned loading_release(void);

/* Can tracing programs make a socket's cookie? (bpf_get_socket_cookie() for them: 5.12) */
bool loading_has_socket_cookie(const struct btf *btf);

/*
 * The value of an enumerator of any enum, named or not (CO-RE can't look into an enum without a
 * name); -1 if this kernel has no enumerator of that name.
 */
int64_t loading_enumerator(const struct btf *btf, const char *name);

/*
 * How often the kernel skipped the program because it was already running on that CPU. The kernel
 * reports this from 5.12 on, for kprobes and tracepoints from 6.7 on.
 */
uint64_t loading_runs_missed(const struct bpf_program *program);

/*
 * Bytes of kernel memory that the maps take, as the kernel accounts them; 0 if it does not say.
 * Before 6.4 a map that grows is accounted at its size while empty.
 */
uint64_t loading_memory(struct bpf_object *object);

#endif
