/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Adds up what could not be counted: events that the programs reported as lost, by reason and
 * port, and program runs that the kernel skipped, by what those runs would have counted.
 */
#include "observer_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "../attach/loading.h"
#include "losses.h"

/* What may be missing if runs of a program were skipped, by what its hook sees. */
static const struct {
	unsigned sees, touches;
	enum protocol protocol;
} missed_kinds[OBSERVER_MISSED_KINDS] = {
	{ SEES_TCP_ACCEPTED | SEES_URING_ACCEPTED, LOST_TAKEN, PROTOCOL_TCP },
	{ SEES_TCP_ARRIVED, LOST_ARRIVED, PROTOCOL_TCP },
	{ SEES_TCP_SERVED, LOST_SERVED | LOST_OPEN, PROTOCOL_TCP },
	{ SEES_UDP_QUEUED | SEES_UDP_DROPPED, LOST_ARRIVED, PROTOCOL_UDP },
	{ SEES_UDP_RECEIVED, LOST_ACCEPTED, PROTOCOL_UDP },
};
#define MISSED_KINDS OBSERVER_MISSED_KINDS
/* Skipped runs, each counted once: a program may be of several kinds. */
#define MISSED_ALL MISSED_KINDS
/*
 * Texts that mention a limit are made when an observer is opened, because snapshots keep pointers
 * to them.
 */
static char workers_full[120], sockets_full[120], connections_full[120], servers_full[120];

static const struct {
	const char *reason, *text;
	unsigned touches; /* enum lost_touches */
} lost_texts[COUNT_LOST_REASONS] = {
	[COUNT_LOST_WORKERS_FULL] = { "workers_full", workers_full, LOST_TAKEN },
	[COUNT_LOST_SOCKETS_FULL] = { "sockets_full", sockets_full, LOST_ARRIVED },
	[COUNT_LOST_COOKIE_UNKNOWN] = { "cookie_unknown",
					"events of sockets that the kernel has not named yet",
					LOST_ANY },
	[COUNT_LOST_LISTENER_UNKNOWN] = { "listener_unknown",
					  "accepts whose listening socket could not be told",
					  LOST_TAKEN },
	[COUNT_LOST_STASH_BUSY] = { "return_missed",
				    "calls whose return was not seen (kretprobe limit)",
				    LOST_ARRIVED },
	[COUNT_LOST_SHUTDOWN_READ] = { "shutdown_read",
				       "empty reads of UDP sockets after shutdown()",
				       LOST_ACCEPTED },
	[COUNT_LOST_CONNECTIONS_FULL] = { "connections_full", connections_full,
					  LOST_SERVED | LOST_OPEN },
	[COUNT_LOST_SERVERS_FULL] = { "servers_full", servers_full, LOST_SERVED | LOST_OPEN },
	[COUNT_LOST_MPTCP_UNFOLLOWED] = { "mptcp_unfollowed",
					  "MPTCP connections, whose reads are not seen",
					  LOST_SERVED | LOST_OPEN },
	[COUNT_LOST_CONNECTION_UNKNOWN] = { "connection_unknown",
					    "accepted connections that no descriptor led to "
					    "(closed at once, io_uring's own table, before 6.0 any "
					    "of io_uring's): counted, but waits and ends are not "
					    "known",
					    LOST_SERVED | LOST_OPEN },
	[COUNT_LOST_TAKEN_DROPPED] = { "taken_dropped",
				       "connections that accept() took, and dropped as it failed: "
				       "the address could not be copied, or "
				       "io_uring's table (or the machine's) had no room",
				       LOST_TAKEN },
	[COUNT_LOST_UNDECIDED] = { "holder_unknown", NULL,
				   LOST_ANY }, /* reported together with sockets that came and went
						  unseen */
	[COUNT_LOST_URING_LISTENER_UNKNOWN] = { "uring_listener_unknown",
						"io_uring accepts whose listening socket could not "
						"be told",
						LOST_TAKEN },
};

/* What user space finds out beside that. */
enum { RUNS_MISSED, ENDS_MISSED, ENDS_UNATTRIBUTED, ARRIVALS_UNSEEN, ARRIVALS_MISSED };
static const char *const found_reasons[] = {
	[RUNS_MISSED] = "runs_missed",
	[ENDS_MISSED] = "ends_missed",
	[ENDS_UNATTRIBUTED] = "ends_unattributed",
	[ARRIVALS_UNSEEN] = "arrivals_unseen",
	[ARRIVALS_MISSED] = "arrivals_missed",
};

const char *observer_lost_reason(size_t i)
{
	if (i < COUNT_LOST_REASONS)
		return lost_texts[i].reason;
	i -= COUNT_LOST_REASONS;
	return i < sizeof(found_reasons) / sizeof(*found_reasons) ? found_reasons[i] : NULL;
}

void observer_say_limits(const struct observer *o)
{
	const __u32 *max = o->bpf->rodata->config.pool_max;

	snprintf(workers_full, sizeof(workers_full),
		 "accepts or reads by threads beyond the limit of %u rows, or of their user's "
		 "share of them",
		 max[COUNT_POOL_WORKERS]);
	snprintf(connections_full, sizeof(connections_full),
		 "accepted connections beyond the limit of %u open ones that are followed",
		 o->connections_max);
	snprintf(servers_full, sizeof(servers_full),
		 "connections read by threads that do not accept, beyond the limit of %u rows",
		 COUNT_SERVERS_MAX);
	snprintf(sockets_full, sizeof(sockets_full),
		 "events of sockets beyond the limit of %u rows, or of their user's share of them",
		 max[COUNT_POOL_SOCKETS]);
}

/* One of the programs that see ends: state_change, the last, and the second of 7.x. NULL: it is not
 * used here. */
static const struct bpf_program *state_program(const struct observer *o, int i)
{
	const struct bpf_program *const programs[OBSERVER_CHANGES] = {
		o->bpf->progs.state_change, o->bpf->progs.state_destroy,
		o->bpf->progs.state_change_7
	};

	return probe_usable(&o->attachment.probe, o->attachment.backend,
			    bpf_program__name(programs[i]))
		       ? programs[i]
		       : NULL;
}

/* Skipped runs of these programs. */
static void state_changes_missed(const struct observer *o, uint64_t missed[OBSERVER_CHANGES])
{
	for (int i = 0; i < OBSERVER_CHANGES; i++) {
		const struct bpf_program *program = state_program(o, i);

		missed[i] = program ? loading_runs_missed(program) : 0;
	}
}

/*
 * An upper limit of the connections that ended unseen: all programs that were to see it were
 * skipped. A connection whose end was missed still counts as open, so there can't be more of them
 * than open connections.
 */
static uint64_t ends_missed(const struct observer *o)
{
	uint64_t missed[OBSERVER_CHANGES], both = UINT64_MAX, open = 0;

	state_changes_missed(o, missed);
	for (int i = 0; i < OBSERVER_CHANGES; i++) {
		missed[i] -= missed[i] > o->changes_before[i] ? o->changes_before[i] : missed[i];
		if (state_program(o, i) && missed[i] < both)
			both = missed[i];
	}
	both = both == UINT64_MAX ? 0 : both;
	both += o->bpf->bss->count_ends_busy;
	for (__u32 i = 0; i < COUNT_WORKERS_MAX && both; i++)
		open += o->workers[i].used ? observer_open_of(o, i) : 0;
	return both < open ? both : open;
}

/*
 * Skipped runs by kind, from loading_runs_missed(). At most so many events were not counted,
 * because the programs also run for events that are not ours.
 */
static void runs_missed(const struct observer *o, uint64_t missed[MISSED_KINDS + 1])
{
	const uint64_t *rescued = (const uint64_t *)&o->bpf->bss->count_rescued;

	memset(missed, 0, (MISSED_KINDS + 1) * sizeof(*missed));
	for (size_t i = 0; i < hook_count; i++) {
		const bool counts = hooks[i].sees && !(hooks[i].flags & HOOK_SPARE);
		const uint64_t runs = counts ? backend_skipped(&o->attachment, i) : 0;

		missed[MISSED_ALL] += runs;
		for (size_t k = 0; k < MISSED_KINDS; k++)
			missed[k] += hooks[i].sees & missed_kinds[k].sees ? runs : 0;
	}
	/*
	 * Takes off the runs that a second program made good. They are all of the first kind,
	 * accepts. The number is read a moment later, so it may be ahead.
	 */
	missed[0] -= missed[0] > *rescued ? *rescued : missed[0];
	missed[MISSED_ALL] -= missed[MISSED_ALL] > *rescued ? *rescued : missed[MISSED_ALL];
}

void observer_begin_lost(struct observer *o)
{
	runs_missed(o, o->missed_before);
	state_changes_missed(o, o->changes_before);
	o->bpf->bss->count_ends_busy = 0;
}

static void lost_say(struct snapshot *s, const char *reason, const char *text, uint64_t count,
		     bool beside, bool at_most)
{
	if (count)
		s->lost[s->lost_count++] = (struct lost_row){ .reason = reason,
							      .text = text,
							      .count = count,
							      .beside = beside,
							      .at_most = at_most };
}

/*
 * Adds what the programs lost, by reason and by port. orphaned: events of threads on sockets that
 * found no row; they are counted, but belong to no endpoint.
 */
static int lost_by_programs(const struct observer *o, struct snapshot *s, struct lost_list *where,
			    uint64_t orphaned)
{
	const struct losses_beside beside = { .unattributed = o->bpf->bss->count_lost,
					      .crowded = o->bpf->bss->count_lost_crowded,
					      .crowded_ports = o->bpf->bss->count_crowded_ports };
	uint64_t counts[COUNT_LOST_REASONS];
	unsigned touches[COUNT_LOST_REASONS];
	int err;

	for (int i = 0; i < COUNT_LOST_REASONS; i++)
		touches[i] = lost_texts[i].touches ? lost_texts[i].touches : LOST_ANY;
	err = losses_read(bpf_map__fd(o->bpf->maps.lost_by_port), &beside, touches, counts, where);
	if (!err)
		err = losses_of_orphans(o->ledger, orphaned, where);
	counts[COUNT_LOST_SOCKETS_FULL] += orphaned;
	lost_say(s, lost_texts[COUNT_LOST_UNDECIDED].reason,
		 "events of sockets that were gone before their process was known, or had no row "
		 "until then, so the filter could not tell",
		 lost_list_sum(&o->undecided) + counts[COUNT_LOST_UNDECIDED], false, true);
	for (int i = 0; i < COUNT_LOST_REASONS; i++)
		if (i != COUNT_LOST_UNDECIDED)
			lost_say(s, lost_texts[i].reason, lost_texts[i].text, counts[i],
				 !(touches[i] & (LOST_ARRIVED | LOST_ACCEPTED)),
				 i == COUNT_LOST_TAKEN_DROPPED);
	return err;
}

/* Adds skipped runs. They are known by what they would have counted, not by port. */
static int lost_by_skipping(const struct observer *o, struct snapshot *s, struct lost_list *where)
{
	const uint64_t ends = o->serves ? ends_missed(o) : 0;
	uint64_t missed[MISSED_KINDS + 1];
	int err = lost_list_add(where, (struct lost_events){ .count = ends,
							     .touches = LOST_OPEN,
							     .protocol = PROTOCOL_TCP });

	runs_missed(o, missed);
	for (size_t k = 0; k <= MISSED_KINDS; k++)
		missed[k] -= missed[k] > o->missed_before[k] ? o->missed_before[k] : missed[k];
	for (size_t k = 0; k < MISSED_KINDS && !err; k++)
		err = lost_list_add(where,
				    (struct lost_events){ .count = missed[k],
							  .touches = missed_kinds[k].touches,
							  .protocol = missed_kinds[k].protocol });
	lost_say(s, found_reasons[RUNS_MISSED],
		 "events for which the program was running on that CPU already", missed[MISSED_ALL],
		 false, true);
	lost_say(s, found_reasons[ENDS_MISSED],
		 "ends of open connections, for which the program was running on that CPU already",
		 ends, true, true);
	return err;
}

int observer_fill_lost(const struct observer *o, struct snapshot *s, uint64_t orphaned)
{
	const struct lost_list *const lists[] = { &o->unattributed, &o->undecided, &o->unseen,
						  &o->unseen_past };
	struct lost_list where = {};
	int err;

	s->lost = calloc(COUNT_LOST_REASONS + 6, sizeof(*s->lost));
	if (!s->lost)
		return -ENOMEM;
	err = lost_by_skipping(o, s, &where);
	lost_say(s, found_reasons[ENDS_UNATTRIBUTED],
		 "of who serves: connections that were open when, for want of room, the row of who "
		 "had them was given back",
		 lost_list_sum(&o->unattributed), true, false);
	lost_say(s, found_reasons[ARRIVALS_UNSEEN],
		 "datagrams dropped after a delivery that was not seen",
		 lost_list_sum(&o->unseen) + lost_list_sum(&o->unseen_past), false, false);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists) && !err; i++)
		err = lost_list_join(&where, lists[i]);
	if (!err)
		err = lost_by_programs(o, s, &where, orphaned);
	if (!err)
		lost_put_down(s, &where);
	/*
	 * With a filter by process sockets are asked for that were not before, and connections move
	 * in from listeners that are not: their arrivals were not to be counted.
	 */
	if (!err && o->sees & SEES_TCP_ARRIVED && !o->by_process)
		lost_say(s, found_reasons[ARRIVALS_MISSED],
			 "at least, of accepted connections whose arrival was not seen",
			 lost_arrivals_find(s, o->cpus), false, false);
	free(where.rows);
	return err;
}
