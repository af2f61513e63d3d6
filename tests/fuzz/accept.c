/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever clients send as Accept: a format is chosen, and lines that say nothing of it, or say it
 * twice, change nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/export/accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *line = malloc(size + 1);
	struct accepting once = {}, twice = {};

	if (!line)
		return 0;
	memcpy(line, bytes, size);
	line[size] = '\0';
	accepting_line(&once, line);
	accepting_line(&twice, "text/html, image/*;q=0.5");
	accepting_line(&twice, line);
	accepting_line(&twice, line);
	for (int i = 0; i < EXPORT_FORMATS; i++)
		if (once.formats[i].exactness > 4 || once.formats[i].quality > 1000)
			abort();
	if (accepting_choice(&once) >= EXPORT_FORMATS ||
	    accepting_choice(&once) != accepting_choice(&twice))
		abort();
	free(line);
	return 0;
}
