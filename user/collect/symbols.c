/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks an address up in /proc/kallsyms, from beginning to end for each new address; the last
 * answer is kept.
 */
#include "symbols.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void look_up(uint64_t address, char *name, size_t size)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[256], symbol[128], module[64];

	while (f && !*name && fgets(line, sizeof(line), f)) {
		uint64_t at;
		int parts = sscanf(line, "%" SCNx64 " %*c %127s %63s", &at, symbol, module);

		if (parts < 2 || at != address)
			continue;
		if (!strcmp(symbol, "sock_def_readable"))
			break;
		snprintf(name, size, parts > 2 ? "%s %s" : "%s", symbol, module);
	}
	if (f)
		fclose(f);
}

void symbol_name(uint64_t address, char *name, size_t size)
{
	static uint64_t last_address;
	static char last_name[192];

	/* Sockets of one kind come one after the other. */
	if (address && address != last_address) {
		last_address = address;
		*last_name = '\0';
		look_up(address, last_name, sizeof(last_name));
	}
	snprintf(name, size, "%s", address ? last_name : "");
}
