/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * With a filter by process, tells the kernel after each scan which sockets are asked for and which
 * are not, and decides about sockets that came and went between two scans.
 */
#include "observer_parts.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "../model/array.h"

bool cookies_have(const struct cookies *of, uint64_t cookie)
{
	return of->count && bsearch(&cookie, of->rows, of->count, sizeof(cookie), array_by_u64);
}

/*
 * Takes out the sockets that neither list has: sockets that are gone, and sockets that the
 * programs marked themselves.
 */
static void asked_sweep(struct observer *o)
{
	const int fd = bpf_map__fd(o->bpf->maps.asked_by_cookie);
	uint64_t key, next;
	int more = !bpf_map_get_next_key(fd, NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (!cookies_have(&o->asked, key) && !cookies_have(&o->unwanted, key))
			bpf_map_delete_elem(fd, &key);
	}
}

/*
 * Marks the sockets that are new in `now`, which replaces `before`, and takes out the sockets that
 * are in neither list any more.
 */
static void asked_mark(struct observer *o, struct cookies *before, struct cookies now,
		       const __u32 mark)
{
	const int fd = bpf_map__fd(o->bpf->maps.asked_by_cookie);
	struct cookies old = *before;
	bool swept = false;

	*before = now;
	for (size_t i = 0; i < old.count; i++)
		if (!cookies_have(&o->asked, old.rows[i]) &&
		    !cookies_have(&o->unwanted, old.rows[i]))
			bpf_map_delete_elem(fd, &old.rows[i]);
	for (size_t i = 0; i < now.count; i++) {
		if (cookies_have(&old, now.rows[i]) ||
		    !bpf_map_update_elem(fd, &now.rows[i], &mark, BPF_ANY))
			continue;
		if (!swept)
			asked_sweep(o);
		swept = true;
		/*
		 * A socket that finds no room shares the rows of the sockets of which nothing is
		 * known.
		 */
		bpf_map_update_elem(fd, &now.rows[i], &mark, BPF_ANY);
	}
	free(old.rows);
}

int observer_tell_asked(struct observer *o)
{
	struct cookies unwanted = {}, asked = {};
	uint64_t *both;
	int count = inventory_cookies(o->inventory, false, &unwanted.rows), more;

	if (count < 0)
		return count;
	more = inventory_cookies(o->inventory, true, &asked.rows);
	if (more < 0) {
		free(unwanted.rows);
		return more;
	}
	both = reallocarray(asked.rows, more + count + 1, sizeof(*both));
	if (!both) {
		free(unwanted.rows);
		free(asked.rows);
		return -ENOMEM;
	}
	asked = (struct cookies){ both, more };
	/*
	 * A socket that was asked for once stays so: the process that held it may be gone while
	 * another process still holds it.
	 */
	for (int i = 0; i < count; i++) {
		const struct ledger_socket *s = ledger_find_socket(o->ledger, unwanted.rows[i]);

		if (!s || s->undecided)
			unwanted.rows[unwanted.count++] = unwanted.rows[i];
		else
			asked.rows[asked.count++] = unwanted.rows[i];
	}
	qsort(unwanted.rows, unwanted.count, sizeof(*unwanted.rows), array_by_u64);
	qsort(asked.rows, asked.count, sizeof(*asked.rows), array_by_u64);
	asked_mark(o, &o->asked, asked, COUNT_ASKED);
	asked_mark(o, &o->unwanted, unwanted, COUNT_UNASKED);
	for (__u32 i = 0; i < o->sockets_max; i++)
		if (o->sockets[i].used == COUNT_UNDECIDED &&
		    cookies_have(&o->asked, o->sockets[i].cookie))
			observer_socket_decided(o, i);
	return 0;
}

int observer_decide(struct observer *o)
{
	struct ledger_socket *const *sockets;
	struct ledger_worker *const *workers;
	size_t count = ledger_workers(o->ledger, &workers), open = 0;
	int err = 0;
	struct {
		uint64_t cookie, taken;
		enum inventory_answer answer;
	} *of = calloc(ledger_sockets(o->ledger, &sockets) + 1, sizeof(*of)), *found;

	if (!of)
		return -ENOMEM;
	for (size_t i = 0, n = ledger_sockets(o->ledger, &sockets); i < n; i++)
		if (sockets[i]->undecided && sockets[i]->row.ended)
			of[open++].cookie = sockets[i]->row.cookie;
	qsort(of, open, sizeof(*of), array_by_u64);
	for (size_t i = 0; i < count && open; i++) {
		enum inventory_answer answer;

		found = bsearch(&workers[i]->row.cookie, of, open, sizeof(*of), array_by_u64);
		if (!found)
			continue;
		answer = inventory_asks(o->inventory, workers[i]->row.pid, workers[i]->row.comm);
		found->answer = answer > found->answer ? answer : found->answer;
		found->taken += workers[i]->accepted_past;
	}
	for (size_t i = 0; i < open; i++) {
		struct ledger_socket *s = ledger_find_socket(o->ledger, of[i].cookie);
		uint64_t came = s->arrived_past + s->dropped_past;

		s->undecided = of[i].answer != INVENTORY_ASKED;
		s->forgotten = s->undecided;
		if (of[i].answer == INVENTORY_UNKNOWN && !err)
			err = lost_list_note(&o->undecided,
					     socket_events(s,
							   came > of[i].taken ? came : of[i].taken,
							   LOST_ANY));
	}
	free(of);
	return err;
}
