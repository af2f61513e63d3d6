/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules about why work is shared as it is: how threads wait on one socket, and how the kernel picks
 * a socket of a reuseport group. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "array.h"
#include "words.h"

/*
 * If two threads are woken, one of them has work to do. If three idle threads are woken, two are
 * woken in vain for each connection; if fewer than 1.5 are woken in vain, most of these wake-ups
 * may be for other things. A wake-up in vain (the thread looks, finds nothing and sleeps again)
 * costs 3 us of CPU time (measured), so fewer than a thousand a second do not matter.
 */
#define HERD_LEAST 3
#define HERD_EACH 1.5
#define HERD_RATE 1000

/*
 * When there are too few flows for a hash to spread. With fewer than four flows for each socket
 * even a fair hash gives a CV of 0.5 and more, because that CV is sqrt((sockets - 1) / flows). A
 * few datagrams can't have many flows, and one socket is enough for them.
 */
#define FLOWS_A_SOCKET 4
#define FEW_FLOWS_CV 0.5
#define FEW_FLOWS_DATAGRAMS 1000

/*
 * A worker is slow if its connections wait 2.5 times as long as those of the others, and a
 * millisecond longer. A single pause of a worker delays only a few connections. So there must be a
 * hundred connections, and the longest-waiting tenth, if known, must have waited 2.5 times as long
 * as the others' too. On
 * a busy machine threads are paused again and again, some more than others. With eight healthy
 * workers, beside enough other threads to keep all CPUs busy twice over, one socket's connections
 * waited up to 0.55 ms longer than the others' in windows of seconds, and up to 1.5 ms longer in a
 * quarter of a second. An interval lasts at least a second. If the connections of that worker also
 * last 2.5 times as long after accept, 0.2 ms is enough, because a thread that waits for a CPU
 * before it accepts does not cause that.
 */
#define SLOW_TIMES 2.5
#define SLOW_MORE_NS 1e6
#define SLOW_MORE_NS_BUSY 0.2e6
#define SLOW_SECONDS 0.9
#define SLOW_LEAST 100
#define SLOW_QUANTILE 0.9

/*
 * A worker that does not accept at times: its connections do not wait long as a rule, but a
 * hundredth of them does, felt by clients. Those that wait for the end of one pause are in the
 * queue at once, so three times as many that waited long as were ever queued are seldom of a single
 * pause, which is no reason to call a worker to account; unless the worker is so busy that its
 * queue takes long to drain, when a pause is felt by many.
 */
#define PAUSE_QUANTILE 0.99
#define PAUSE_TIMES 10
#define PAUSES 3

/* Describes which thread the kernel wakes, if that follows from how the socket's threads wait.
 * Returns whether it does. */
static bool say_wake_order(char *how, size_t size, const struct takers *t)
{
	if (t->exclusive_epolls > 1)
		snprintf(how, size,
			 "%zu epolls with EPOLLEXCLUSIVE wait on it, the first registered that is "
			 "idle is woken",
			 t->exclusive_epolls);
	else if (t->epoll_threads > 1)
		snprintf(how, size,
			 "%zu threads wait on one epoll of it, the last to start waiting is woken "
			 "first",
			 t->epoll_threads);
	else if (t->urings > 1)
		snprintf(how, size, "%zu threads accept by io_uring, one ring takes nearly all",
			 t->urings);
	else
		return false;
	return true;
}

/* The endpoint's verdict tells that the sharing is uneven; the excess tells that it is uneven among
 * the threads of this socket. */
static bool wake_order(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const struct takers *t = takers_find(facts, s->cookie);
	char how[120], fresh[32] = "", busiest[WORKER_SIZE], advice[ADVICE_SIZE];

	if (facts->endpoint->protocol != PROTOCOL_TCP ||
	    facts->endpoint->worker_fairness.verdict != VERDICT_UNEVEN || !t ||
	    t->excess <= FAIRNESS_THRESHOLD || !say_wake_order(how, sizeof(how), t))
		return false;
	if (t->threads > t->judged)
		snprintf(fresh, sizeof(fresh), " (%zu of them new)", t->threads - t->judged);
	finding_say(f,
		    "%zu workers%s share " SOCKET " unevenly: %s (%s took %" PRIu64 " of %" PRIu64
		    "); %s",
		    t->threads, fresh, s->cookie, s->inode, how, say_worker(busiest, t->busiest),
		    t->busiest->accepted, t->judged_taken,
		    advise_own_socket(advice, facts, t, s,
				      "for an even share give each its own SO_REUSEPORT socket"));
	finding_show(f, "workers", t->threads);
	finding_show(f, "busiest_tid", t->busiest->tid);
	finding_show(f, "busiest_accepted", t->busiest->accepted);
	finding_show(f, "accepted", t->judged_taken);
	if (t->exclusive_epolls > 1)
		finding_show(f, "exclusive_epolls", t->exclusive_epolls);
	else if (t->epoll_threads > 1)
		finding_show(f, "epoll_threads", t->epoll_threads);
	else
		finding_show(f, "rings", t->urings);
	return true;
}

/*
 * Threads that block in accept() are woken one at a time, and so are threads that share one epoll.
 * Busy threads are not woken, so the rule fires only if the kernel counted enough wake-ups. Failed
 * accepts are no evidence: epoll looks again before it returns and lets nearly all threads that
 * come too late sleep on, without an accept() that fails (measured: 8 wake-ups and 0.4 EAGAIN per
 * connection). Threads may be woken for other things too. But a connection can't wake more threads
 * in vain than slept on the socket, on average over all looks, minus one.
 */
static bool herd(struct finding *f, const struct facts *facts, const struct socket_row *s,
		 bool felt)
{
	const struct takers *t = takers_find(facts, s->cookie);
	const uint64_t came = t && t->taken > s->arrived ? t->taken : s->arrived;
	static const char general[] = "give each its own SO_REUSEPORT socket";
	char advice[ADVICE_SIZE];
	double each, most;

	/* Workers that take turns in watching the socket (nginx's accept_mutex) are never seen
	 * waiting together. */
	if (facts->endpoint->design.code != DESIGN_SHARED_EPOLL &&
	    facts->endpoint->design.code != DESIGN_SHARED_POLL)
		return false;
	if (facts->endpoint->protocol != PROTOCOL_TCP || !workers_whole(facts->endpoint) ||
	    !sockets_whole(facts->endpoint) || !t || t->woken_together < HERD_LEAST || !came ||
	    (s->waiting_known && s->waiting_most < HERD_LEAST) || t->woken <= came)
		return false;
	each = (double)(t->woken - came) / (double)came;
	most = s->looks ? (double)s->idle_sum / (double)s->looks : (double)t->woken_together;
	each = fmin(each, fmin(most, (double)t->woken_together) - 1);
	if (each < HERD_EACH ||
	    felt != (each * (double)came >= HERD_RATE * facts->snapshot->seconds))
		return false;
	advise_own_socket(advice, facts, t, s, general);
	finding_say(f,
		    "%zu workers wait on " SOCKET
		    " by epoll or poll() without EPOLLEXCLUSIVE: each of %" PRIu64
		    " %s woke all that were"
		    " idle (they woke %" PRIu64 " times), up to %.1f in vain; %s%s",
		    t->woken_together, s->cookie, s->inode, came,
		    events_name(facts->endpoint, came), t->woken, each, advice,
		    strcmp(advice, general) ? "" : " (or EPOLLEXCLUSIVE, which favours the first)");
	finding_show(f, "workers", t->woken_together);
	finding_show(f, "connections", came);
	finding_show(f, "woken", t->woken);
	finding_show(f, "in_vain_each_at_most", each);
	return true;
}

static bool herd_felt(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	return herd(f, facts, s, true);
}

static bool herd_unfelt(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	return herd(f, facts, s, false);
}

/* A measure of how a socket's connections wait or last; NaN if too little is known. */
typedef double measure(const struct socket_row *s, const struct facts *facts);

static double mean_of(const struct socket_row *s, const struct facts *facts)
{
	(void)facts;
	if (s->stall.ns) /* that is why they waited */
		return NAN;
	return s->wait_known && s->wait.count >= SLOW_LEAST ? wait_mean_ns(&s->wait) : NAN;
}

static double longest_of(const struct socket_row *s, const struct facts *facts)
{
	return s->wait_known && s->wait.count >= SLOW_LEAST
		       ? wait_quantile_ns(&s->wait, facts->endpoint->histograms, SLOW_QUANTILE)
		       : NAN;
}

/* Mean lifetime of the connections that were accepted from the socket. */
static double lifetime_of(const struct socket_row *s, const struct facts *facts)
{
	const struct takers *t = takers_find(facts, s->cookie);
	uint64_t finished = 0;
	double ns = 0;

	for (size_t i = 0; t && i < t->threads; i++) {
		finished += t->rows[i]->finished;
		ns += t->rows[i]->finished_ns;
	}
	return finished >= SLOW_LEAST ? ns / finished : NAN;
}

/* The median of a measure over the group's sockets except `one`; NaN if it is known for none.
 * values: has room for one value per socket. */
static double median_of_others(const struct group *group, const struct socket_row *one, measure *of,
			       const struct facts *facts, double *values)
{
	size_t count = 0;

	for (size_t i = 0; i < group->sockets; i++) {
		const double value = group->rows[i] == one ? NAN : of(group->rows[i], facts);

		if (!isnan(value))
			values[count++] = value;
	}
	qsort(values, count, sizeof(*values), compare_double);
	return count ? (values[(count - 1) / 2] + values[count / 2]) / 2 : NAN;
}

/* The socket of a group whose connections wait longest, and the median of the means of the others.
 */
struct slowest {
	const struct socket_row *socket;
	double mean_ns, others_ns;
};

/* Is the measure of one socket at least 2.5 times the others' median? NaN: not known. */
static double one_stands_out(const struct group *group, const struct socket_row *one, measure *of,
			     const struct facts *facts, double *values)
{
	const double others = median_of_others(group, one, of, facts, values), its = of(one, facts);

	return isnan(its) || isnan(others) ? NAN : its >= SLOW_TIMES * others;
}

/* Finds the group's socket with the longest waits, and returns whether it is slow. */
static bool find_slowest(struct slowest *slowest, const struct group *group,
			 const struct facts *facts, double *values)
{
	double more;

	*slowest = (struct slowest){};
	for (size_t i = 0; i < group->sockets; i++) {
		const double mean = mean_of(group->rows[i], facts);

		if (!isnan(mean) && (!slowest->socket || mean > slowest->mean_ns))
			*slowest = (struct slowest){ .socket = group->rows[i], .mean_ns = mean };
	}
	if (!slowest->socket ||
	    one_stands_out(group, slowest->socket, mean_of, facts, values) != 1 ||
	    one_stands_out(group, slowest->socket, longest_of, facts, values) == 0)
		return false;
	slowest->others_ns = median_of_others(group, slowest->socket, mean_of, facts, values);
	more = one_stands_out(group, slowest->socket, lifetime_of, facts, values) == 1
		       ? SLOW_MORE_NS_BUSY
		       : SLOW_MORE_NS;
	return slowest->mean_ns >= slowest->others_ns + more;
}

/* Finds the slowest of the slow sockets of all groups. */
static bool find_slow(struct slowest *worst, size_t *sockets, const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	double *values = calloc(e->socket_count + 1, sizeof(*values));

	*worst = (struct slowest){};
	for (size_t i = 0; i < facts->group_count && values; i++) {
		struct slowest slowest;

		if (!find_slowest(&slowest, &facts->groups[i], facts, values) ||
		    (worst->socket &&
		     slowest.mean_ns - slowest.others_ns <= worst->mean_ns - worst->others_ns))
			continue;
		*worst = slowest;
		*sockets = facts->groups[i].sockets;
	}
	free(values);
	return worst->socket;
}

static bool slow_worker(struct finding *f, const struct facts *facts)
{
	char who[WORKER_SIZE], mean[DURATION_SIZE], others[DURATION_SIZE], p99[DURATION_SIZE],
		longest[DURATION_SIZE + 10] = "";
	const struct takers *t;
	struct slowest slow;
	size_t sockets = 0;
	double p99_ns;

	if (facts->endpoint->protocol != PROTOCOL_TCP || facts->snapshot->seconds < SLOW_SECONDS ||
	    !workers_whole(facts->endpoint) || !sockets_whole(facts->endpoint) ||
	    facts->endpoint->socket_fairness.verdict == VERDICT_UNEVEN ||
	    !find_slow(&slow, &sockets, facts))
		return false;
	f->cookie = slow.socket->cookie;
	t = takers_find(facts, slow.socket->cookie);
	p99_ns = wait_quantile_ns(&slow.socket->wait, facts->endpoint->histograms, 0.99);
	if (!isnan(p99_ns))
		snprintf(longest, sizeof(longest), ", p99 %s", say_duration(p99, p99_ns));
	finding_say(f,
		    "connections wait %s (mean%s) for %s on " SOCKET
		    ", but %s on the others of its group: whoever is picked, by a"
		    " hash or a program, is not asked how busy it is; make that worker faster, or "
		    "share one socket",
		    say_duration(mean, slow.mean_ns), longest,
		    t ? say_worker(who, t->busiest) : "its worker", slow.socket->cookie,
		    slow.socket->inode, say_duration(others, slow.others_ns));
	finding_offer_steer(f, facts);
	finding_show(f, "wait_mean_ns", slow.mean_ns);
	finding_show(f, "others_mean_ns", slow.others_ns);
	if (!isnan(p99_ns))
		finding_show(f, "wait_p99_ns", p99_ns);
	finding_show(f, "connections", slow.socket->wait.count);
	finding_show(f, "sockets", sockets);
	if (t)
		finding_show(f, "tid", t->busiest->tid);
	return true;
}

static double pauses_of(const struct socket_row *s, const struct facts *facts)
{
	return s->wait_known && s->wait.count >= SLOW_LEAST
		       ? wait_quantile_ns(&s->wait, facts->endpoint->histograms, PAUSE_QUANTILE)
		       : NAN;
}

/* What waited for a worker that pauses. */
struct pauses {
	const struct socket_row *socket;
	double p99_ns, others_ns; /* its, and the median of the others */
	uint64_t count;           /* connections that waited for WAIT_FELT_NS or longer */
};

/* Did connections of the socket wait for several pauses of its worker? Fills in `found`. */
static bool find_pauses(struct pauses *found, const struct facts *facts, const struct socket_row *s)
{
	const struct group *group = group_find(facts, s->group);
	double *values = group ? calloc(group->sockets + 1, sizeof(*values)) : NULL;
	bool moved = false; /* what waited in the queue of another socket */

	for (size_t i = 0; group && i < group->sockets; i++)
		moved |= group->rows[i]->migrated;
	if (!values || moved) {
		free(values);
		return false;
	}
	*found = (struct pauses){
		.socket = s,
		.p99_ns = pauses_of(s, facts),
		.others_ns = median_of_others(group, s, pauses_of, facts, values),
		.count = wait_count_from(&s->wait, facts->endpoint->histograms, WAIT_FELT_NS),
	};
	free(values);
	return found->p99_ns >= WAIT_FELT_NS && found->p99_ns >= PAUSE_TIMES * found->others_ns &&
	       s->highest_known && s->queue_highest &&
	       found->count >= (uint64_t)PAUSES * s->queue_highest;
}

static bool worker_pauses(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	char who[WORKER_SIZE], p99[DURATION_SIZE], others[DURATION_SIZE];
	const struct takers *t = takers_find(facts, s->cookie);
	struct pauses pauses;

	if (facts->endpoint->protocol != PROTOCOL_TCP || !sockets_whole(facts->endpoint) ||
	    s->stall.ns || facts->endpoint->socket_fairness.verdict == VERDICT_UNEVEN ||
	    finding_said(facts->endpoint, "slow-worker") || !find_pauses(&pauses, facts, s))
		return false;
	finding_say(f,
		    "%" PRIu64 " connections waited 50 ms or longer (p99 %s) for %s on " SOCKET
		    ", but p99 of the others of its group is %s: something keeps it from accepting "
		    "at times (being stopped, a CPU limit, disk, a lock); find out what, or share "
		    "one socket",
		    pauses.count, say_duration(p99, pauses.p99_ns),
		    t && t->threads == 1 ? say_worker(who, t->busiest) : "its worker", s->cookie,
		    s->inode, say_duration(others, pauses.others_ns));
	finding_offer_steer(f, facts);
	finding_show(f, "wait_p99_ns", pauses.p99_ns);
	finding_show(f, "others_p99_ns", pauses.others_ns);
	finding_show(f, "waited", pauses.count);
	finding_show(f, "highest", s->queue_highest);
	finding_show(f, "connections", s->wait.count);
	if (t)
		finding_show(f, "tid", t->busiest->tid);
	return true;
}

/* This is only a note, because a program may well be content with several threads on one socket. If
 * groups are split, that finding says it. */
static bool lone_reuseport(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const struct group *group = group_find(facts, s->group);
	const struct takers *t = takers_find(facts, s->cookie);
	char advice[ADVICE_SIZE];

	if (!design_shares_socket(facts->endpoint->design.code))
		return false;
	if (!s->reuseport || !workers_whole(facts->endpoint) || !group || group->sockets > 1 ||
	    group->id != s->cookie || facts->endpoint->omitted.sockets || !t || t->threads < 2 ||
	    finding_said(facts->port->endpoint, "group-split"))
		return false;
	finding_say(f,
		    SOCKET " has SO_REUSEPORT, but is alone in its group: the option has no "
			   "effect, and %zu threads of %zu process%s take"
			   " from the one socket; %s",
		    s->cookie, s->inode, t->threads, t->processes, plural_es(t->processes),
		    advise_own_socket(advice, facts, t, s,
				      "to let the kernel share, open one for each"));
	finding_show(f, "threads", t->threads);
	finding_show(f, "processes", t->processes);
	return true;
}

static const struct group *largest_group(const struct facts *facts)
{
	const struct group *largest = NULL;

	for (size_t i = 0; i < facts->group_count; i++)
		if (!largest || facts->groups[i].sockets > largest->sockets)
			largest = &facts->groups[i];
	return largest;
}

/* A group whose sockets got many datagrams placed by a hash, with a CV of at least least_cv. NULL:
 * there is none. */
static const struct group *hashed_group(const struct facts *facts, double least_cv)
{
	const struct endpoint *e = facts->endpoint;
	const struct fairness *fair = &e->socket_fairness;
	const struct group *group = largest_group(facts);

	if (e->protocol != PROTOCOL_UDP || e->design.code == DESIGN_MULTICAST ||
	    !sockets_whole(e) || !group || group->sockets < 2 || group->steered ||
	    fair->events < FEW_FLOWS_DATAGRAMS || !(fair->cv >= least_cv))
		return NULL;
	return group;
}

static bool few_clients(struct finding *f, const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	const struct fairness *fair = &e->socket_fairness;
	const struct group *group = hashed_group(facts, FEW_FLOWS_CV);
	const uint64_t flows = e->load.flows;
	char sender[FLOW_PEER_SIZE], one[FLOW_PEER_SIZE + 3] = "";

	if (!group || !flows || flows_differ(&e->load) || flows >= FLOWS_A_SOCKET * group->sockets)
		return false;
	if (flows == 1 && e->load.peer.bucket)
		snprintf(one, sizeof(one), ", %s", flow_peer_say(sender, &e->load.peer));
	finding_say(f,
		    "all %" PRIu64 " datagrams came from %" PRIu64
		    " client port%s%s: a hash gives a flow to one socket, so the busiest of %zu"
		    " got %.1f times the mean and %zu nothing; send from more ports, or let "
		    "several threads read one socket",
		    fair->events, flows, plural_s(flows), one, fair->bins, fair->max_over_mean,
		    fair->idle);
	finding_show(f, "flows", flows);
	finding_show(f, "sockets", fair->bins);
	finding_show(f, "datagrams", fair->events);
	finding_show(f, "idle", fair->idle);
	finding_show(f, "max_over_mean", fair->max_over_mean);
	return true;
}

/* There are enough flows, but a few of them carry so much that a hash can't spread the load. If the
 * verdict proves that this does not explain the spread, heavy flows are not the cause. */
static bool heavy_flows(struct finding *f, const struct facts *facts)
{
	const struct fairness *fair = &facts->endpoint->socket_fairness;
	const struct flow_load *load = &facts->endpoint->load;
	const struct group *group = hashed_group(facts, FAIRNESS_THRESHOLD);
	char peer[FLOW_PEER_SIZE + 20] = "one flow (client address and port)";

	if (!group || !flows_differ(load) || fair->verdict == VERDICT_UNEVEN ||
	    (load->largest * group->sockets <= 1 &&
	     load->effective >= FLOWS_A_SOCKET * group->sockets))
		return false;
	if (load->peer.bucket) {
		char sender[FLOW_PEER_SIZE];

		snprintf(peer, sizeof(peer), "one flow, from %s,",
			 flow_peer_say(sender, &load->peer));
	}
	finding_say(f,
		    "%s has %.0f%% of %" PRIu64
		    " datagrams, and all together count as %.1f of one size: a hash"
		    " can't split a flow, so the busiest of %zu sockets got %.1f times the mean; "
		    "send from more ports, or let several threads"
		    " read one socket",
		    peer, (load->peer.bucket ? load->peer_share : load->largest) * 100,
		    fair->events, load->effective, fair->bins, fair->max_over_mean);
	finding_show(f, "largest_flow", load->largest);
	finding_show(f, "flows_effective", load->effective);
	if (load->flows)
		finding_show(f, "flows", load->flows);
	finding_show(f, "sockets", fair->bins);
	finding_show(f, "datagrams", fair->events);
	finding_show(f, "max_over_mean", fair->max_over_mean);
	return true;
}

/* "; 2 of 4 got some in this window" */
#define GOT_SIZE 48
static const char *say_got(char buffer[GOT_SIZE], const struct group *group)
{
	size_t got = 0;

	for (size_t i = 0; i < group->sockets; i++)
		got += group->rows[i]->arrived > 0;
	*buffer = '\0';
	if (got)
		snprintf(buffer, GOT_SIZE, "; %zu of %zu got some in this window", got,
			 group->sockets);
	return buffer;
}

/* Describes which sockets the program can pick, and what picks for the rest. */
static void say_program(struct finding *f, const struct group *group)
{
	const struct picker *p = &group->rows[0]->picker;
	char what[256], got[GOT_SIZE];

	if (p->kind == PICKER_EBPF)
		snprintf(what, sizeof(what),
			 "an eBPF one (%.15s, bpftool prog show id %" PRIu32
			 "), which alone knows what it can pick; where it picks none and "
			 "does not refuse, the hash does",
			 *p->name ? p->name : "without a name", p->id);
	else if (p->kind != PICKER_CLASSIC || !p->told)
		snprintf(what, sizeof(what), "that program decides how even it is%s",
			 p->kind == PICKER_CLASSIC ? "; an index beyond the group goes by the hash"
						   : "");
	else if (!p->sockets)
		snprintf(what, sizeof(what),
			 "but all that it returns is beyond the group, so the hash picks");
	else if (p->by_cpu)
		snprintf(what, sizeof(what),
			 "by the CPU that a packet comes in on: it can pick %" PRIu32
			 " of them here%s",
			 p->sockets,
			 p->rest ? ", and what is beyond the group goes by the hash"
			 : p->sockets < group->sockets ? ", and the rest gets nothing"
						       : "");
	else
		snprintf(what, sizeof(what), "always the same one, and the rest gets nothing");
	finding_say(f,
		    "a program (SO_ATTACH_REUSEPORT_*) picks among these %zu sockets, not the "
		    "kernel's hash: %s%s",
		    group->sockets, what, say_got(got, group));
	if (p->told)
		finding_show(f, "can_pick", p->sockets);
}

/* It is not known which ports a program of others cares about, so this is said of each. */
static bool lookup_program(struct finding *f, const struct facts *facts)
{
	const struct lookup_program *p = &facts->endpoint->lookup;
	char holder[64] = "", words[STEERED_SIZE];

	if (!p->id || (p->ours && !p->steers))
		return false;
	if (p->pid)
		snprintf(holder, sizeof(holder), " of %.15s %" PRId32, p->process, p->pid);
	if (p->steers)
		finding_say(f,
			    "%s: its SK_LOOKUP program (bpftool prog show id %" PRIu32
			    ") picks the socket, not the kernel's hash",
			    say_steered(words, p), p->id);
	else
		finding_say(
			f,
			"an SK_LOOKUP program%s (%.15s, bpftool prog show id %" PRIu32
			") is asked first which socket something new goes to: where it picks, the "
			"sockets' shares are its choice, not the kernel's hash's",
			holder, *p->name ? p->name : "without a name", p->id);
	finding_show(f, "program", p->id);
	finding_show(f, "pid", p->pid);
	finding_show(f, "since_ms", (double)p->since_ms);
	return true;
}

static bool steered(struct finding *f, const struct facts *facts)
{
	size_t by_program = 0, by_cpu = 0, sockets = 0;
	const struct group *program = NULL;

	for (size_t i = 0; i < facts->group_count; i++) {
		const struct group *group = &facts->groups[i];

		if (!group->steered || group->sockets < 2)
			continue;
		sockets += group->sockets;
		for (size_t j = 0; j < group->sockets; j++) {
			by_program += group->rows[j]->steered;
			by_cpu += group->rows[j]->incoming_cpu_set;
		}
		if (!program && group->rows[0]->steered)
			program = group;
	}
	if (!by_program && !by_cpu)
		return false;
	if (program)
		say_program(f, program);
	else
		finding_say(f,
			    "SO_INCOMING_CPU is set on %zu of %zu sockets: the CPU that a packet "
			    "comes in on picks the socket, not the"
			    " hash alone; how even it is depends on the CPUs",
			    by_cpu, sockets);
	finding_show(f, "sockets", sockets);
	finding_show(f, "by_program", by_program);
	finding_show(f, "by_cpu", by_cpu);
	return true;
}

static const struct socket_row *endpoint_socket(const struct endpoint *e, uint64_t cookie)
{
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].cookie == cookie)
			return &e->sockets[i];
	return NULL;
}

/*
 * Reported before there is any work, and when the work went unevenly; otherwise not, because
 * workers can share a socket well. If more is known of how they wait, other rules have said so.
 */
static bool shared_socket(struct finding *f, const struct facts *facts)
{
	static const char *const better[] = { "wake-order", "thundering-herd", "lone-reuseport",
					      "worker-stopped" };
	const struct takers *most = NULL;
	char advice[ADVICE_SIZE];
	size_t shared = 0;

	for (size_t i = 0; i < sizeof(better) / sizeof(*better); i++)
		if (finding_said(facts->endpoint, better[i]))
			return false;
	if (!design_shares_socket(facts->endpoint->design.code) &&
	    facts->endpoint->design.code != DESIGN_SOCKET_EACH)
		return false;
	if (!workers_whole(facts->endpoint) ||
	    (endpoint_events(facts->endpoint) &&
	     facts->endpoint->worker_fairness.verdict != VERDICT_UNEVEN))
		return false;
	for (size_t i = 0; i < facts->taker_count; i++) {
		const struct takers *t = &facts->takers[i];

		if (t->threads < 2)
			continue;
		shared++;
		if (!most || t->threads > most->threads)
			most = t;
	}
	if (!most)
		return false;
	f->cookie = shared == 1 ? most->cookie : 0;
	if (shared == 1)
		finding_say(f,
			    "%zu workers (of %zu process%s) on one socket, %" PRIu64
			    ": which of them wakes decides who gets the work; %s",
			    most->threads, most->processes, plural_es(most->processes),
			    most->cookie,
			    advise_own_socket(advice, facts, most,
					      endpoint_socket(facts->endpoint, most->cookie),
					      "with SO_REUSEPORT each could have its own"));
	else
		finding_say(f,
			    "%zu sockets have several workers each, up to %zu: which of them wakes "
			    "decides who gets the work",
			    shared, most->threads);
	finding_show(f, "sockets", shared);
	finding_show(f, "workers", most->threads);
	finding_show(f, "processes", most->processes);
	return true;
}

static const struct rule rules[] = {
	{ "wake-order", FINDING_PROBLEM, .of_socket = wake_order },
	{ "thundering-herd", FINDING_PROBLEM, .of_socket = herd_felt },
	{ "slow-worker", FINDING_PROBLEM, .of_endpoint = slow_worker },
	{ "worker-pauses", FINDING_PROBLEM, .of_socket = worker_pauses },
	{ "thundering-herd", FINDING_NOTE, .of_socket = herd_unfelt },
	{ "lone-reuseport", FINDING_NOTE, .of_socket = lone_reuseport },
	{ "few-clients", FINDING_NOTE, .of_endpoint = few_clients },
	{ "heavy-flows", FINDING_NOTE, .of_endpoint = heavy_flows },
	{ "lookup-program", FINDING_NOTE, .of_endpoint = lookup_program },
	{ "steered", FINDING_NOTE, .of_endpoint = steered },
	{ "shared-socket", FINDING_NOTE, .of_endpoint = shared_socket },
};

const struct rule_table sharing_rules = { rules, sizeof(rules) / sizeof(*rules) };
