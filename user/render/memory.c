/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes when a renderer got no memory, so that the end of the output can report it. */
#include "memory.h"

#include <stdlib.h>

static bool lacks;

void *render_needs(void *memory)
{
	lacks |= !memory;
	return memory;
}

bool render_lacks(void)
{
	return lacks;
}

FILE *words_open(char **words, size_t *size)
{
	*words = NULL;
	return render_needs(open_memstream(words, size));
}

bool words_close(FILE *memory, char **words)
{
	bool cut = ferror(memory);

	cut |= fclose(memory) != 0;
	if (cut) {
		free(*words);
		*words = NULL;
	}
	return render_needs(*words);
}
