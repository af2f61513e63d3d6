/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Collects the decisions that --fail-on uneven is about, and turns them into one exit status and
 * one line. */
#include "judged.h"

#include <stdio.h>
#include <string.h>

#include "../model/words.h"
#include "../render/text.h"
#include "command.h"

void judged_add(struct judged *j, const char *name, struct decision d, const char *design)
{
	if (d.outcome == OUTCOME_EVEN) {
		j->even++;
	} else if (d.outcome == OUTCOME_UNEVEN) {
		j->uneven++;
	} else if (d.outcome == OUTCOME_ALONE) {
		if (j->alone++)
			return;
		snprintf(j->first_alone, sizeof(j->first_alone), "%s", name);
		snprintf(j->alone_why, sizeof(j->alone_why), "%s", design);
	} else if (!j->untold++) {
		snprintf(j->first_untold, sizeof(j->first_untold), "%s", name);
		j->why = d;
	}
}

static void endpoint_name(char *name, size_t size, const struct endpoint *e)
{
	char address[TEXT_ADDRESS_SIZE];

	snprintf(name, size, "%s %s", e->protocol == PROTOCOL_UDP ? "udp" : "tcp",
		 text_address(address, e));
}

/* Adds the endpoints of one port (0: of all ports) that had events, or may have had some, and of a
 * port that is asked for those whose queue nobody empties. Returns how many there were. */
static size_t add_seen(struct judged *j, const struct snapshot *s, uint16_t port)
{
	char name[128];
	size_t seen = 0;

	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint *e = &s->endpoints[i];
		const struct decision d = endpoint_decide(e);

		if (port ? e->port != port || (d.outcome == OUTCOME_UNTOLD && !d.stuck)
			 : d.outcome == OUTCOME_UNTOLD)
			continue;
		endpoint_name(name, sizeof(name), e);
		judged_add(j, name, d, e->design.words);
		seen++;
	}
	return seen;
}

void judged_add_ports(struct judged *j, const struct snapshot *s, const uint16_t *asked,
		      size_t asked_count)
{
	const struct decision nothing = { .outcome = OUTCOME_UNTOLD };
	char name[32];

	for (size_t i = 0; i < asked_count; i++) {
		snprintf(name, sizeof(name), "port %u", asked[i]);
		if (!add_seen(j, s, asked[i]))
			judged_add(j, name, nothing, "");
	}
	if (!asked_count && !add_seen(j, s, 0))
		judged_add(j, "any port that the filter asks for", nothing, "");
}

static void result_name(char *name, size_t size, const struct comparison_side *side,
			const struct comparison_key *key)
{
	if (!strcmp(side->name, key->mode))
		snprintf(name, size, "%s", key->mode);
	else if (*key->mode)
		snprintf(name, size, "%s of %s", key->mode, side->name);
	else
		snprintf(name, size, "%s %s port %u of %s",
			 key->protocol == PROTOCOL_UDP ? "udp" : "tcp", key->address, key->port,
			 side->name);
}

void judged_add_comparison(struct judged *j, const struct comparison *c)
{
	const struct decision nothing = { .outcome = OUTCOME_UNTOLD };
	char name[128];

	for (size_t i = c->side_count > 1; i < c->side_count; i++) {
		size_t seen = 0;

		for (size_t s = 0; s < c->subject_count; s++) {
			const struct comparison_result *r = c->subjects[s].cells[i];

			for (size_t k = 0; r && k < r->run_count; k++) {
				const struct decision d = comparison_run_decide(&r->runs[k]);

				if (d.outcome == OUTCOME_UNTOLD)
					continue;
				result_name(name, sizeof(name), &c->sides[i], &r->key);
				judged_add(j, name, d, "");
				seen++;
			}
		}
		if (!seen)
			judged_add(j, c->sides[i].name, nothing, "");
	}
}

static const char *others(char *buffer, size_t size, size_t count)
{
	if (count > 1)
		snprintf(buffer, size, " (and %zu other%s)", count - 1, plural_s(count - 1));
	else
		*buffer = '\0';
	return buffer;
}

int judged_status(const struct judged *j)
{
	char words[DECISION_WORDS], more[40];

	if (j->uneven)
		return STATUS_UNEVEN;
	if (j->untold)
		return complain("cannot judge %s%s: %s", j->first_untold,
				others(more, sizeof(more), j->untold),
				decision_words(words, &j->why));
	if (j->alone)
		complain("%s%s: %s, so nothing there can be uneven", j->first_alone,
			 others(more, sizeof(more), j->alone),
			 *j->alone_why ? j->alone_why : "one takes all of the work");
	return STATUS_OK;
}
