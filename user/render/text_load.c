/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU time and bytes in text: single figures, and how both are spread over the workers. */
#include <stdio.h>
#include <string.h>

#include "memory.h"
#include "text_parts.h"

char *text_cpu(char *buffer, bool known, uint64_t cpu_ns, double seconds)
{
	if (known && seconds > 0)
		snprintf(buffer, TEXT_COUNT_SIZE, "%.1f%%", cpu_ns / 1e7 / seconds);
	else
		snprintf(buffer, TEXT_COUNT_SIZE, "-");
	return buffer;
}

char *text_bytes(char *buffer, uint64_t bytes, bool at_least, bool utf8)
{
	char exact[LOAD_BYTES_SIZE];

	snprintf(buffer, TEXT_COUNT_SIZE, "%s%.20s",
		 !at_least ? ""
		 : utf8    ? "≥"
			   : ">=",
		 load_bytes(exact, bytes));
	return buffer;
}

static void spread_words(FILE *to, const char *what, const char *total, const struct load_spread *l)
{
	fprintf(to, "%s %s: CV %.3f, busiest %.0f%%, least busy %.0f%%", what, total, l->cv,
		100.0 * l->most / l->total, 100.0 * l->least / l->total);
}

void text_load(FILE *out, const struct endpoint *e, const struct text_style *style)
{
	const bool cpu = e->cpu.known && e->cpu.workers > 1,
		   bytes = e->carried.known && e->carried.workers > 1;
	char words[200] = "",
	     total[LOAD_BYTES_SIZE > TEXT_DURATION_SIZE ? LOAD_BYTES_SIZE : TEXT_DURATION_SIZE];
	FILE *memory = cpu || bytes ? render_needs(fmemopen(words, sizeof(words), "w")) : NULL;

	if (!memory)
		return;
	if (cpu)
		spread_words(memory, "CPU time", text_duration(total, e->cpu.total), &e->cpu);
	if (bytes)
		spread_words(memory, cpu ? "; bytes" : "bytes", load_bytes(total, e->carried.total),
			     &e->carried);
	fclose(memory);
	fprintf(out, "  %-8s ", "load");
	text_wrapped(out, words, 11, 11, TEXT_BREAK_CLAUSES, style);
	fputc('\n', out);
}
