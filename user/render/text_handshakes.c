/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words about handshakes under way, and about the ACKs that TCP_DEFER_ACCEPT withholds and the
 * kernel counts as drops: model/handshakes.h. */
#include <inttypes.h>
#include <string.h>

#include "../model/words.h"
#include "text_parts.h"

char *text_half_open(char *buffer, const struct socket_row *s)
{
	if (s->half_open.known)
		snprintf(buffer, TEXT_COUNT_SIZE, "%" PRIu32 "/%" PRIu32, s->half_open.count,
			 s->half_open.limit);
	else
		strcpy(buffer, "-");
	return buffer;
}

char *text_drops(char *buffer, const struct endpoint *e, const struct socket_row *s, bool utf8)
{
	const uint64_t most =
		e->protocol == PROTOCOL_UDP && s->dropped > s->drops ? s->dropped : drops_most(s);
	const char *sign = drops_least(s) == drops_most(s) ? "" : utf8 ? "≤" : "<=";

	strcpy(buffer, sign);
	text_count(buffer + strlen(sign), most);
	return buffer;
}

/* Prints "5 ACKs", "up to 5 ACKs", "9 to 12 ACKs". */
static void print_acks(FILE *to, uint64_t least, uint64_t most)
{
	char number[TEXT_COUNT_SIZE];

	if (least && least < most)
		fprintf(to, "%s to ", text_count(number, least));
	else if (least < most)
		fputs("up to ", to);
	fprintf(to, "%s ACK%s", text_count(number, most), plural_s(most));
}

void text_withheld(FILE *to, const struct socket_row *s)
{
	print_acks(to, s->half_open.withheld_least, s->half_open.withheld_most);
	fputs(" withheld by TCP_DEFER_ACCEPT", to);
}

void text_all_withheld(FILE *out, const struct endpoint *e)
{
	uint64_t least = 0, most = 0;

	for (size_t i = 0; i < e->socket_count; i++) {
		least += e->sockets[i].half_open.withheld_least;
		most += e->sockets[i].half_open.withheld_most;
	}
	if (!most)
		return;
	fputs("  TCP_DEFER_ACCEPT withheld ", out);
	print_acks(out, least, most);
	fputs(" until data came: no drops\n", out);
}
