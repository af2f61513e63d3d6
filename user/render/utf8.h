/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that come from the kernel (comm, cgroup, device) may hold any bytes. */
#ifndef SOCKFAIR_UTF8_H
#define SOCKFAIR_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decodes the UTF-8 character that bytes[0..size) begins with, if it is well-formed (RFC 3629: no
 * overlong forms, no surrogates). Returns its length in bytes and puts its code point into *code;
 * 0: there is no such character.
 */
size_t utf8_next(const char *bytes, size_t size, uint32_t *code);

#endif
