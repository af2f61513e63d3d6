/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets that sock_diag lists and that no process of the sample holds: the kernel's own, or
 * sockets on their way from one process to another. What sock_diag does not report is looked up in
 * the kernel's tables.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../bind/bind_occupant.h"
#include "occupants.h"

/*
 * Chooses the sockets that sock_diag knows and no process of the scan holds, as far as they may be
 * asked for, and moves them to the front of `rows`. Returns how many there are, or -ENOMEM.
 */
static int unheld_choose(const struct inventory *v, struct sockdiag_row *rows, int count)
{
	const struct selection *want = &v->selection;
	struct array unwanted = {}; /* held, but not asked for */
	struct array held = {};     /* inodes with their namespaces */
	int ignored = inventory_cookies(v, false, (uint64_t **)&unwanted.rows), err = 0, kept = 0;

	if (ignored < 0)
		return ignored;
	unwanted.count = ignored;
	array_sort(&unwanted, sizeof(uint64_t), array_by_u64);
	for (size_t i = 0; i < v->found.count && !err; i++) {
		const struct holders_socket_record *r = &((const struct found *)v->found.rows)[i].r;
		const uint64_t inode = (uint64_t)r->netns << 32 | r->inode;

		err = array_add(&held, &inode, sizeof(inode)) ? 0 : -ENOMEM;
	}
	array_sort(&held, sizeof(uint64_t), array_by_u64);
	for (int i = 0; i < count && !err; i++) {
		const struct sockdiag_row *r = &rows[i];
		const uint64_t inode = (uint64_t)r->netns << 32 | r->inode;

		/* The subflow of an MPTCP listener has the inode of the listener. */
		if (r->inode == UINT32_MAX ||
		    array_first(&held, sizeof(inode), &inode, array_by_u64) < held.count)
			continue;
		if (selection_by_process(want) || (r->protocol == IPPROTO_UDP && !r->inode) ||
		    !selection_socket(want, r->netns, r->family, r->protocol, r->port, false) ||
		    array_first(&unwanted, sizeof(uint64_t), &r->cookie, array_by_u64) <
			    unwanted.count)
			continue;
		rows[kept++] = *r;
	}
	free(unwanted.rows);
	free(held.rows);
	return err ? err : kept;
}

static struct occupants_query unheld_query(const struct sockdiag_row *r)
{
	return (struct occupants_query){ .netns = r->netns,
					 .port = r->port,
					 .protocol = r->protocol == IPPROTO_UDP ? PROTOCOL_UDP
										: PROTOCOL_TCP };
}

/*
 * Finds who has the ports of those sockets: the kernel's tables show what sock_diag does not. If
 * that fails there are no occupants, and nothing is said.
 */
static int unheld_ask(const struct sockdiag_row *rows, int count, struct bind_occupant **occupants)
{
	struct occupants_query *queries = calloc(count + 1, sizeof(*queries));
	struct occupants *o = NULL;
	int found = 0;
	char why[8];

	*occupants = NULL;
	for (int i = 0; i < count && queries; i++)
		queries[i] = unheld_query(&rows[i]);
	if (count && queries && !occupants_open(&o, why, sizeof(why)))
		found = occupants_find(o, queries, count, occupants, NULL);
	occupants_close(o);
	free(queries);
	return found > 0 ? found : 0;
}

/* NULL: not found. */
static const struct bind_occupant *unheld_occupant(const struct bind_occupant *occupants, int count,
						   const struct sockdiag_row *r)
{
	const struct occupants_query query = unheld_query(r);
	size_t found;

	occupants = occupants_of(occupants, count, &query, &found);
	for (size_t i = 0; i < found; i++)
		if (occupants[i].cookie == r->cookie)
			return &occupants[i];
	return NULL;
}

static bool is_tunnel(const struct bind_occupant *o)
{
	return o && !o->held && !o->pid && o->encapsulates;
}

static void unheld_describe(struct ledger_socket *s, const struct sockdiag_row *r,
			    const struct bind_occupant *o)
{
	s->protocol = r->protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	s->family = r->family;
	s->port = r->port;
	s->netns = r->netns;
	memcpy(s->address, r->address, sizeof(s->address));
	s->row.inode = r->inode;
	s->row.uid = r->uid;
	s->row.queue_known = true;
	s->row.queue_length = r->queue_length;
	s->row.queue_limit = r->queue_limit;
	s->drops_now = r->drops;
	if (!o)
		return;
	s->row.v6only = o->place.v6only;
	s->row.reuseport = o->place.reuseport;
	memcpy(s->row.device, o->place.device_name, sizeof(s->row.device));
	s->row.kernel = !o->held && !o->pid;
	s->row.aside = is_tunnel(o) ? ASIDE_KERNEL : ASIDE_NOT;
}

int inventory_unheld_fill(const struct inventory *v, struct ledger *l, struct sockdiag_row *rows,
			  int all)
{
	int count = unheld_choose(v, rows, all), found, err = 0;
	struct bind_occupant *occupants;

	if (count < 0)
		return count;
	found = unheld_ask(rows, count, &occupants);
	for (int i = 0; i < count && !err; i++) {
		const struct sockdiag_row *r = &rows[i];
		const struct bind_occupant *o = unheld_occupant(occupants, found, r);
		struct ledger_socket *s;
		bool made;

		if ((r->connected && !is_tunnel(o)) ||
		    !selection_socket(&v->selection, r->netns, r->family, r->protocol, r->port,
				      is_tunnel(o)))
			continue;
		s = ledger_socket(l, r->cookie, &made);
		err = s ? 0 : -ENOMEM;
		if (s && made)
			unheld_describe(s, r, o);
	}
	free(occupants);
	return err;
}
