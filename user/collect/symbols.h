/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's functions by their address. */
#ifndef SOCKFAIR_SYMBOLS_H
#define SOCKFAIR_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * "vxlan_rcv [vxlan]": its name, and the module that it is of; "": not known (/proc/kallsyms shows
 * no addresses without CAP_SYSLOG), or it is what every socket has (sock_def_readable). It reads
 * the whole list: not for a hot path.
 */
void symbol_name(uint64_t address, char *name, size_t size);

#endif
