// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An allocator for LD_PRELOAD of which call number SHORT_AT fails, that one alone. With
 * SHORT_COUNT=FILE the number of calls that there were is written to FILE at the end. Not counted,
 * so never failed, is what libraries want that crash without it: libbpf 1.1 (a null pointer in
 * bpf_object__load()) with libelf, libseccomp 2.5.4 (its filter then refuses futex()), and
 * glibc's name service (an assertion in nss_database.c).
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static struct {
	const char *begin, *end;
} spared[8];
static size_t spared_count;
static _Atomic unsigned long calls;
static unsigned long fails_at;
static bool in_services;
static pid_t first;

/* The library's code. */
static int spare(struct dl_phdr_info *object, size_t size, void *context)
{
	(void)size;
	(void)context;
	if (!strstr(object->dlpi_name, "/libbpf.") && !strstr(object->dlpi_name, "/libelf.") &&
	    !strstr(object->dlpi_name, "/libseccomp."))
		return 0;
	for (int i = 0; i < object->dlpi_phnum && spared_count < sizeof(spared) / sizeof(*spared);
	     i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];

		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
			continue;
		spared[spared_count].begin = (const char *)object->dlpi_addr + part->p_vaddr;
		spared[spared_count].end = spared[spared_count].begin + part->p_memsz;
		spared_count++;
	}
	return 0;
}

static void __attribute__((constructor)) begin(void)
{
	const char *at = getenv("SHORT_AT");

	dl_iterate_phdr(spare, NULL);
	first = getpid();
	calls = 0; /* what the loader and other libraries took before is not ours */
	fails_at = at ? strtoul(at, NULL, 10) : 0;
}

static void __attribute__((destructor)) end(void)
{
	const char *path = getenv("SHORT_COUNT");
	FILE *file;

	fails_at = 0;
	if (!path || getpid() != first)
		return;
	file = fopen(path, "w");
	if (!file)
		_exit(99);
	fprintf(file, "%lu\n", calls);
	fclose(file);
}

static bool fails(const void *caller)
{
	for (size_t i = 0; i < spared_count; i++)
		if ((const char *)caller >= spared[i].begin && (const char *)caller < spared[i].end)
			return false;
	if (in_services || ++calls != fails_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, bytes);
}

int posix_memalign(void **to, size_t alignment, size_t size)
{
	*to = fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
	return *to ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}

void setservent(int open)
{
	void (*next)(int) = (void (*)(int))dlsym(RTLD_NEXT, "setservent");

	in_services = true;
	next(open);
}

void endservent(void)
{
	void (*next)(void) = (void (*)(void))dlsym(RTLD_NEXT, "endservent");

	next();
	in_services = false;
}
