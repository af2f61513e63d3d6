/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the kernel's table of lost events, keyed by port and reason, and adds each entry to a list
 * and to the sums by reason. Events of unknown ports, and of ports that found no room in the
 * table, come from counters beside it.
 */
#include "losses.h"

#include <netinet/in.h>

#include <bpf/bpf.h>

#include "count.h"

static struct lost_events lost_by_key(const struct count_lost_key *key, uint64_t count,
				      unsigned touches)
{
	return (struct lost_events){ .count = count,
				     .touches = touches,
				     .port = key->port,
				     .netns = key->netns,
				     .protocol = key->protocol == IPPROTO_UDP ? PROTOCOL_UDP
						 : key->protocol == IPPROTO_TCP
							 ? PROTOCOL_TCP
							 : LOST_ANY_PROTOCOL };
}

int losses_read(int map_fd, const struct losses_beside *beside, const unsigned *touches,
		uint64_t *counts, struct lost_list *where)
{
	struct count_lost_key key, *before = NULL;
	int err = 0;

	for (int i = 0; i < COUNT_LOST_REASONS && !err; i++) {
		const uint64_t crowded = __atomic_load_n(&beside->crowded[i], __ATOMIC_ACQUIRE);
		const struct count_lost_key any = {};
		struct lost_events events;

		counts[i] = __atomic_load_n(&beside->unattributed[i], __ATOMIC_ACQUIRE);
		err = lost_list_add(where, lost_by_key(&any, counts[i], touches[i]));
		counts[i] += crowded;
		events = lost_by_key(&any, crowded, touches[i]);
		events.ports = beside->crowded_ports;
		if (!err)
			err = lost_list_add(where, events);
	}
	while (!err && !bpf_map_get_next_key(map_fd, before, &key)) {
		uint64_t count;

		before = &key;
		if (bpf_map_lookup_elem(map_fd, &key, &count) || key.reason >= COUNT_LOST_REASONS)
			continue;
		counts[key.reason] += count;
		err = lost_list_add(where, lost_by_key(&key, count, touches[key.reason]));
	}
	return err;
}

int losses_of_orphans(const struct ledger *l, uint64_t orphaned, struct lost_list *where)
{
	struct ledger_worker *const *workers;
	const size_t count = ledger_workers(l, &workers);
	int err = 0;

	for (size_t i = 0; i < count && orphaned && !err; i++) {
		const struct ledger_worker *w = workers[i];
		const uint64_t events = w->accepted + w->accepted_past;

		if (!events || ledger_find_socket(l, w->row.cookie))
			continue;
		orphaned -= events < orphaned ? events : orphaned;
		err = lost_list_add(
			where, (struct lost_events){ .count = events,
						     .touches = LOST_TAKEN,
						     .port = w->port,
						     .netns = w->netns,
						     .protocol = w->port ? (int)w->protocol
									 : LOST_ANY_PROTOCOL });
	}
	/* The rest belongs to threads whose rows have been folded. */
	return err ? err
		   : lost_list_add(where, (struct lost_events){ .count = orphaned,
								.touches = LOST_TAKEN,
								.protocol = LOST_ANY_PROTOCOL });
}
