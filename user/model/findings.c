/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs the rules. They are in findings_*.c: see findings_rules.h. */
#include <errno.h>
#include <stdlib.h>

#include "findings.h"
#include "findings_rules.h"
#include "words.h"

#define SOCKET_FINDINGS_MAX                                                                        \
	8 /* per rule and endpoint; all further sockets of the same kind share one more finding */

static const struct rule_table *const tables[] = { &stall_rules,   &queue_rules,  &handshake_rules,
						   &binding_rules, &joined_rules, &sharing_rules,
						   &wait_rules,    &load_rules,   &verdict_rules };

static int finding_add(struct endpoint *e, const struct finding *f)
{
	struct finding *more = realloc(e->findings, (e->finding_count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	e->findings = more;
	e->findings[e->finding_count++] = *f;
	return 0;
}

static int apply_to_sockets(struct endpoint *e, const struct facts *facts, const struct rule *rule)
{
	size_t found = 0;
	int err = 0;

	for (size_t i = 0; i < e->socket_count && !err; i++) {
		struct finding f = { .code = rule->code,
				     .level = rule->level,
				     .cookie = e->sockets[i].cookie };

		if ((!e->sockets[i].ended || rule->of_ended) &&
		    rule->of_socket(&f, facts, &e->sockets[i]) && found++ < SOCKET_FINDINGS_MAX)
			err = finding_add(e, &f);
	}
	if (!err && found > SOCKET_FINDINGS_MAX) {
		struct finding f = { .code = rule->code, .level = rule->level };

		finding_say(&f, "the same of %zu more socket%s of this port",
			    found - SOCKET_FINDINGS_MAX, plural_s(found - SOCKET_FINDINGS_MAX));
		finding_show(&f, "sockets", found - SOCKET_FINDINGS_MAX);
		err = finding_add(e, &f);
	}
	return err;
}

static int apply_to_endpoint(struct endpoint *e, const struct facts *facts, const struct rule *rule)
{
	struct finding f = { .code = rule->code, .level = rule->level };

	return rule->of_endpoint(&f, facts) ? finding_add(e, &f) : 0;
}

static int apply_table(struct endpoint *e, const struct facts *facts,
		       const struct rule_table *table, enum finding_level level)
{
	int err = 0;

	for (const struct rule *rule = table->rows; rule < table->rows + table->count && !err;
	     rule++) {
		if (rule->level != level)
			continue;
		err = rule->of_socket ? apply_to_sockets(e, facts, rule)
				      : apply_to_endpoint(e, facts, rule);
	}
	return err;
}

static int apply_rules(struct endpoint *e, const struct facts *facts)
{
	int err = 0;

	for (enum finding_level level = FINDING_PROBLEM; level <= FINDING_GOOD; level++)
		for (size_t i = 0; i < sizeof(tables) / sizeof(*tables) && !err; i++)
			err = apply_table(e, facts, tables[i], level);
	return err;
}

int findings_fill(struct snapshot *s)
{
	struct facts *all;
	int err = facts_gather(&all, s);

	for (size_t i = 0; i < s->endpoint_count; i++) {
		free(s->endpoints[i].findings);
		s->endpoints[i].findings = NULL;
		s->endpoints[i].finding_count = 0;
	}
	/* The facts have const pointers to endpoints; but these are in the snapshot, which we may
	 * change.
	 */
	for (size_t i = 0; i < s->endpoint_count && !err; i++)
		err = apply_rules(&s->endpoints[all[i].endpoint - s->endpoints], &all[i]);
	facts_free(all, s->endpoint_count);
	return err;
}
