/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handshakes: the counters of the listeners' network namespaces before and after each sample, and
 * the half-open connections of the listeners themselves.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <stdlib.h>

/*
 * The namespaces of wanted listeners, ascending. With `defer` only the namespaces of listeners
 * with TCP_DEFER_ACCEPT.
 */
static int listener_namespaces(const struct inventory *v, bool defer, struct array *out)
{
	const struct found *rows = v->found.rows;

	for (size_t i = 0; i < v->found.count; i++)
		if (rows[i].wanted && inventory_is_listener(&rows[i]) &&
		    (!defer || rows[i].r.defer_accept) &&
		    !array_add(out, &rows[i].r.netns, sizeof(rows[i].r.netns)))
			return -ENOMEM;
	array_sort(out, sizeof(uint32_t), array_by_u32);
	array_unique(out, sizeof(uint32_t), array_by_u32);
	return 0;
}

/*
 * Opens the namespaces of the listeners. If one with TCP_DEFER_ACCEPT was not read before the
 * sample, the scan must be repeated: what its sockets count from now on can only be compared with
 * what the namespace had counted just before.
 */
int inventory_netstat_follow(struct inventory *v, bool *again)
{
	struct array all = {}, deferring = {};
	bool opened = false;
	int err = listener_namespaces(v, false, &all);

	if (!err)
		err = netstat_open(&v->netstat, all.rows, all.count, &opened);
	if (!err && opened)
		err = listener_namespaces(v, true, &deferring);
	*again = deferring.count;
	free(all.rows);
	free(deferring.rows);
	return err;
}

int inventory_handshakes_fill(const struct inventory *v, struct ledger *l, enum handshake_when when)
{
	const struct found *rows = v->found.rows;
	struct array deferring = {};
	int err = 0;

	for (size_t i = 0; i < v->found.count && !err; i++) {
		const struct deferring d = { .cookie = rows[i].r.cookie,
					     .netns = rows[i].r.netns,
					     .drops = rows[i].r.drops };

		if (inventory_is_listener(&rows[i]) && rows[i].r.defer_accept)
			err = array_add(&deferring, &d, sizeof(d)) ? 0 : -ENOMEM;
	}
	if (!err)
		err = handshakes_look(ledger_handshakes(l), when, v->handshakes, v->handshake_count,
				      deferring.rows, deferring.count);
	free(deferring.rows);
	return err;
}

void inventory_half_open_fill(struct ledger *l, struct ledger_socket *s, const struct found *f)
{
	const struct handshake_set *set = ledger_handshakes(l);
	struct half_open *q = &s->row.half_open;

	if (!inventory_is_listener(f))
		return;
	q->limit = half_open_limit(handshakes_find(set->rows, set->count, f->r.netns), f->r.limit);
	q->defer_accept = f->r.defer_accept;
	q->syn_retries = f->r.syn_retries;
	half_open_look(q, f->r.half_open, f->r.young);
}
