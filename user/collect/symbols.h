/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of the kernel's functions, by address. */
#ifndef SOCKFAIR_SYMBOLS_H
#define SOCKFAIR_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes the name of a function and the module it is in, as "vxlan_rcv [vxlan]". "" means that it
 * is not known (/proc/kallsyms shows no addresses without CAP_SYSLOG), or that it is the function
 * that every socket has (sock_def_readable). Each call reads the whole list, so do not call it in
 * a hot path.
 */
void symbol_name(uint64_t address, char *name, size_t size);

#endif
