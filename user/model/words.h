/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words that follow a count: "1 flow", "2 flows", "1 process", "2 processes". */
#ifndef SOCKFAIR_WORDS_H
#define SOCKFAIR_WORDS_H

#include <stdint.h>

static inline const char *plural_s(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static inline const char *plural_es(uint64_t count)
{
	return count == 1 ? "" : "es";
}

#endif
