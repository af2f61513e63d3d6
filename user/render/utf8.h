/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that come from the kernel (comm, cgroup, device) may hold any bytes. */
#ifndef SOCKFAIR_UTF8_H
#define SOCKFAIR_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * Length in bytes of the well-formed UTF-8 character (RFC 3629: no overlong forms, no surrogates)
 * that bytes[0..size) begins with, and its code point; 0 if there is none.
 */
size_t utf8_next(const char *bytes, size_t size, uint32_t *code);

#endif
