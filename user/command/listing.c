/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists sockets without watching them, and says for a port without server who has it all the same.
 */
#include "listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "../collect/inventory.h"
#include "../collect/lookups.h"
#include "../collect/namespace.h"
#include "../collect/settings.h"
#include "../collect/tunnels.h"
#include "../model/aside.h"
#include "../render/text.h"

int listing_fill(const struct selection *selection, struct snapshot *s, char *why, size_t size)
{
	struct ledger *ledger = ledger_new(0, 1);
	struct inventory *inventory = NULL;
	uint64_t orphaned;
	int err;

	err = ledger ? inventory_open(&inventory, selection, true, false, why, size) : -ENOMEM;
	if (!err)
		err = inventory_snapshot(inventory, ledger, why, size);
	if (!err)
		err = ledger_snapshot(ledger, s, true, &orphaned);
	s->unlisted = err ? 0 : inventory_unlisted(inventory);
	if (!err)
		err = snapshot_set_aside(s, selection->port_count);
	if (!err)
		err = tunnels_fill(s);
	if (!err)
		lookups_fill(s);
	settings_fill(s);
	namespaces_name();
	inventory_close(inventory);
	ledger_free(ledger);
	return err;
}

/* Prints "haproxy 7 in haproxy.service and 2 others"; "somebody" if no holder is known. */
static void print_port_holders(FILE *to, const struct endpoint *e)
{
	char name[sizeof(e->holders->process) + 1], unit[TEXT_UNIT_SIZE];
	size_t count;
	const struct holder_row *h = endpoint_holders(e, e->sockets[0].cookie, &count);

	if (!count) {
		fputs("somebody", to);
		return;
	}
	fprintf(to, "%s %" PRId32, text_name(name, h->process, sizeof(h->process), false), h->pid);
	if (*text_unit(unit, h->cgroup, false))
		fprintf(to, " in %s", unit);
	if (count > 1)
		fprintf(to, " and %zu other%s", count - 1, count > 2 ? "s" : "");
}

/* Prints "port 4789 is the kernel's own (vxlan vx0, ...): what comes to it is not counted". */
static void print_kernels_own(FILE *to, const struct endpoint *e)
{
	char name[sizeof(e->tunnels->name) + 1];

	fprintf(to, "port %u is the kernel's own", e->port);
	if (e->tunnel_count)
		fprintf(to, " (%s %s%s)", e->tunnels->kind,
			text_name(name, e->tunnels->name, sizeof(e->tunnels->name), false),
			e->tunnel_count > 1 ? ", ..." : "");
	fputs(": what comes to it is not counted", to);
}

/* Prints "haproxy 7 has bound port 80 and does not listen". */
static void say_bound(FILE *to, const struct endpoint *e)
{
	print_port_holders(to, e);
	fprintf(to, " has bound port %u and does not listen", e->port);
}

enum { SAY_KERNEL, SAY_BOUND, SAY_MISSING, SAY_END };

/* Finds what there is to say about a port, and *found, the endpoint to say it about. */
static int endpoints_find(const struct snapshot *s, uint16_t port, const struct endpoint **found)
{
	int say = SAY_MISSING;

	for (size_t i = 0; i < s->endpoint_count + s->aside_count && say; i++) {
		const struct endpoint *e = &s->endpoints[i];

		if (e->port != port || !e->socket_count ||
		    !(e->sockets[0].kernel || e->sockets[0].aside == ASIDE_BOUND))
			continue;
		say = e->sockets[0].kernel ? SAY_KERNEL : SAY_BOUND;
		*found = e;
	}
	return say;
}

char *listing_explain(char *text, size_t size, const struct snapshot *s, const uint16_t *ports,
		      size_t count)
{
	static void (*const say[])(FILE *, const struct endpoint *) = { print_kernels_own,
									say_bound };
	FILE *memory = fmemopen(text, size, "w");
	size_t said[SAY_END] = {}, all = 0;

	*text = 0;
	if (!memory)
		return text;
	for (int what = 0; what < SAY_END; what++)
		for (size_t i = 0; i < count; i++) {
			const struct endpoint *e = NULL;

			if (endpoints_find(s, ports[i], &e) != what)
				continue;
			if (all++)
				fputs(what == SAY_MISSING && said[what] ? ", " : "; ", memory);
			if (what != SAY_MISSING)
				say[what](memory, e);
			else
				fprintf(memory, "%s%u",
					said[what] ? "" : "nobody has a socket on port ", ports[i]);
			said[what]++;
		}
	if (said[SAY_BOUND] || said[SAY_MISSING])
		fputs(said[SAY_MISSING] ? " yet: waiting" : ": waiting", memory);
	fclose(memory);
	text[size - 1] = 0;
	return text;
}
