/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdicts about who may bind what: one process, two users, a restarted server. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "claim.h"

#define AT_ONCE_SECONDS 1.0 /* a port that is free sooner was not blocked */

static const char *can(bool it)
{
	return it ? "can" : "can't";
}

/* Was everything sent, and everything that was sent received? If not, there was no experiment and
 * the claim is skipped. */
static bool is_whole(struct claim_result *r, const char *requests, uint64_t asked, uint64_t sent,
		     uint64_t got)
{
	if (asked && sent == asked && got == sent)
		return true;
	claim_skip(r,
		   "of %" PRIu64 " %s %" PRIu64 " were sent, and %" PRIu64
		   " of them received: no verdict",
		   asked, requests, sent, got);
	return false;
}

/* How many of the sockets got something. */
static unsigned reached(const uint64_t got[CLAIM_SOCKETS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < CLAIM_SOCKETS; i++)
		n += got[i] > 0;
	return n;
}

static uint64_t total(const uint64_t got[CLAIM_SOCKETS])
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CLAIM_SOCKETS; i++)
		sum += got[i];
	return sum;
}

/* ---- several sockets on one port ---- */

void claim_judge_binding(struct claim_result *r, const struct claim_binding *m)
{
	const char *requests = m->udp ? "datagrams" : "connections";
	const bool all = m->bound == m->sockets && reached(m->got) > 1;
	const bool second = m->second_without || m->second_if_first || m->second_if_second;

	if (!is_whole(r, requests, m->asked, m->sent, total(m->got)))
		return;
	claim_number(r, m->sockets, "sockets_tried");
	claim_number(r, m->bound, m->udp ? "sockets_bound" : "sockets_listening");
	claim_number(r, m->sent, "%s", requests);
	claim_number(r, total(m->got), "%s_received", requests);
	claim_number(r, reached(m->got), "sockets_reached");
	claim_truth(r, m->second_without, "second_binds_without_option");
	claim_truth(r, m->second_if_first, "second_binds_if_only_first_has_it");
	claim_truth(r, m->second_if_second, "second_binds_if_only_second_has_it");
	r->verdict = !all ? CLAIM_FAILS : m->second_without ? CLAIM_PARTLY : CLAIM_HOLDS;
	claim_say(r, "%u of %u sockets with the option %s one port, and %u %s reached %u of them",
		  m->bound, m->sockets, m->udp ? "bind" : "listen on", m->sent, requests,
		  reached(m->got));
	if (!second)
		claim_say(r, "; a second socket is refused if neither, only the first or only the "
			     "second has it");
	else
		claim_say(r,
			  "; a second socket %s bind if neither has it, %s if only the first, %s "
			  "if only the second",
			  can(m->second_without), can(m->second_if_first),
			  can(m->second_if_second));
}

static void datagrams_figures(struct claim_result *r, const struct claim_datagrams *m,
			      const struct fairness *f)
{
	claim_number(r, m->bound, "sockets_bound_v%d", m->version);
	claim_number(r, m->sent, "datagrams_v%d", m->version);
	claim_number(r, total(m->got), "datagrams_received_v%d", m->version);
	for (unsigned i = 0; i < CLAIM_SOCKETS; i++)
		claim_number(r, m->got[i], "socket_%u_got_v%d", i + 1, m->version);
	claim_number(r, f->cv, "cv_v%d", m->version);
	claim_number(r, f->cv_expected, "cv_fair_hash_v%d", m->version);
}

static void datagrams_say(struct claim_result *r, const struct claim_datagrams *m)
{
	claim_say(r, "%sIPv%d: in the order of bind() the %u sockets got", *r->why ? "; " : "",
		  m->version, m->bound);
	for (unsigned i = 0; i < CLAIM_SOCKETS; i++)
		claim_say(r, "%s%" PRIu64, i ? " / " : " ", m->got[i]);
}

/* The verdict for one version of IP. */
static enum claim_verdict datagrams_verdict(const struct claim_datagrams *m,
					    const struct fairness *f)
{
	if (m->bound < CLAIM_SOCKETS)
		return CLAIM_FAILS;
	return reached(m->got) == 1           ? CLAIM_HOLDS
	       : f->verdict == VERDICT_UNEVEN ? CLAIM_PARTLY
					      : CLAIM_FAILS;
}

int claim_judge_datagrams(struct claim_result *r, const struct claim_datagrams *m, size_t count)
{
	unsigned known = 0, with[CLAIM_SKIPPED + 1] = {};

	for (size_t i = 0; i < count; i++) {
		struct fairness f;
		int err;

		if (!m[i].known)
			continue;
		if (!is_whole(r, "datagrams", m[i].asked, m[i].sent, total(m[i].got)))
			return 0;
		/* Each datagram had its own client port, so each is a flow. */
		err = fairness_judge(&f, m[i].got, CLAIM_SOCKETS, UNIT_FLOW, m[i].sent,
				     FAIRNESS_THRESHOLD);
		if (err)
			return err;
		known++;
		with[datagrams_verdict(&m[i], &f)]++;
		datagrams_figures(r, &m[i], &f);
		datagrams_say(r, &m[i]);
	}
	r->verdict = with[CLAIM_HOLDS] == known   ? CLAIM_HOLDS
		     : with[CLAIM_FAILS] == known ? CLAIM_FAILS
						  : CLAIM_PARTLY;
	if (!known)
		claim_skip(r, "this machine has neither IPv4 nor IPv6");
	return 0;
}

/* ---- hijacking ---- */

enum outcome { REFUSED, GETS_NOTHING, TAKEN };

/* What the attempt brought the second user. */
static enum outcome attempt_outcome(const struct claim_attempt *a)
{
	return !a->bound ? REFUSED : a->stolen ? TAKEN : GETS_NOTHING;
}

/* Fills the figures. Returns false if not all that was sent arrived; the claim is then skipped. */
static bool attempts_tell(struct claim_result *r, const struct claim_attempt *attempts,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct claim_attempt *a = &attempts[i];

		if (a->bound && !is_whole(r, "datagrams or connections", a->asked, a->sent,
					  a->stolen + a->first_got))
			return false;
		claim_truth(r, a->bound, "%s_second_user_binds", a->key);
		claim_number(r, a->sent, "%s_sent", a->key);
		claim_number(r, a->stolen, "%s_stolen", a->key);
		claim_number(r, a->first_got, "%s_first_user_got", a->key);
	}
	return true;
}

static unsigned attempts_with(const struct claim_attempt *a, size_t count, bool aside,
			      enum outcome want)
{
	unsigned n = 0;

	for (size_t i = 0; i < count; i++)
		n += a[i].aside == aside && attempt_outcome(&a[i]) == want;
	return n;
}

/* "takes over a UDP socket (64 of 64 stolen), ..." for the attempts whose outcome is `want`;
 * nothing if there is none */
static void attempts_say(struct claim_result *r, const char *before, const struct claim_attempt *a,
			 size_t count, bool aside, enum outcome want)
{
	static const char *const words[] = {
		[REFUSED] = "is refused (EADDRINUSE)",
		[GETS_NOTHING] = "binds beside, and gets nothing of,",
		[TAKEN] = "takes over",
	};
	const char *separator = " ";

	if (!attempts_with(a, count, aside, want))
		return;
	claim_say(r, "%s%s", before, words[want]);
	for (size_t i = 0; i < count; i++) {
		if (a[i].aside != aside || attempt_outcome(&a[i]) != want)
			continue;
		claim_say(r, "%s%s", separator, a[i].what);
		if (want != REFUSED)
			claim_say(r, " (%" PRIu64 " of %" PRIu64 " stolen)", a[i].stolen,
				  a[i].sent);
		separator = ", ";
	}
}

/* All three outcomes of the claim itself, as one sentence. */
static void outcomes_say(struct claim_result *r, const struct claim_attempt *a, size_t count)
{
	const bool lost = attempts_with(a, count, false, TAKEN),
		   refused = attempts_with(a, count, false, REFUSED);

	claim_say(r, "another user who sets it too");
	attempts_say(r, " ", a, count, false, TAKEN);
	attempts_say(r, lost ? "; but " : " ", a, count, false, REFUSED);
	attempts_say(r, lost || refused ? "; " : " ", a, count, false, GETS_NOTHING);
}

void claim_judge_hijack(struct claim_result *r, const struct claim_attempt *attempts, size_t count)
{
	const unsigned lost = attempts_with(attempts, count, false, TAKEN);

	if (!attempts_tell(r, attempts, count))
		return;
	r->verdict = !lost ? CLAIM_FAILS : lost == count ? CLAIM_HOLDS : CLAIM_PARTLY;
	outcomes_say(r, attempts, count);
}

void claim_judge_prevention(struct claim_result *r, const struct claim_attempt *attempts,
			    size_t count, bool same_user)
{
	const unsigned lost = attempts_with(attempts, count, false, TAKEN),
		       lost_aside = attempts_with(attempts, count, true, TAKEN);

	if (!same_user) {
		claim_skip(r, "another process of the same user was refused too: the refusals say "
			      "nothing about users");
		return;
	}
	if (!attempts_tell(r, attempts, count))
		return;
	claim_truth(r, same_user, "same_user_binds");
	r->verdict = lost ? CLAIM_FAILS : lost_aside ? CLAIM_PARTLY : CLAIM_HOLDS;
	outcomes_say(r, attempts, count);
	if (!lost_aside)
		return;
	attempts_say(r, "; but where SO_REUSEADDR is set as well, by both users, the second ",
		     attempts, count, true, TAKEN);
	attempts_say(r, "; it ", attempts, count, true, GETS_NOTHING);
}

/* ---- a port after close() ---- */

/* "at once", "after 60.1 s", "not within 150 s" */
static const char *when(char *buffer, size_t size, double seconds, double limit)
{
	if (isnan(seconds))
		snprintf(buffer, size, "not within %.0f s", limit);
	else if (seconds < AT_ONCE_SECONDS)
		snprintf(buffer, size, "at once");
	else
		snprintf(buffer, size, "after %.1f s", seconds);
	return buffer;
}

void claim_judge_timewait(struct claim_result *r, const struct claim_timewait *m)
{
	char t[6][32];

	claim_number(r, m->neither, "seconds_until_free");
	claim_number(r, m->refused, "seconds_still_refused");
	claim_number(r, m->first_only, "seconds_if_only_first_sets_reuseaddr");
	claim_number(r, m->second_only, "seconds_if_only_second_sets_reuseaddr");
	claim_number(r, m->both, "seconds_if_both_set_reuseaddr");
	claim_number(r, m->client_closed, "seconds_if_client_closes_first");
	claim_number(r, m->unused, "seconds_without_connection");
	r->verdict = m->neither >= CLAIM_TWO_MINUTES_LEAST && m->neither <= CLAIM_TWO_MINUTES_MOST
			     ? CLAIM_HOLDS
			     : CLAIM_FAILS;
	claim_say(r, "free %s", when(t[0], sizeof(t[0]), m->neither, m->limit));
	if (!isnan(m->refused))
		claim_say(r, " (still refused at %.1f s)", m->refused);
	claim_say(r,
		  " where the server closed a connection first, %s where the client did, %s "
		  "without a connection; with SO_REUSEADDR set only by "
		  "the server before: %s, only by the next: %s, by both: %s",
		  when(t[1], sizeof(t[1]), m->client_closed, m->limit),
		  when(t[2], sizeof(t[2]), m->unused, m->limit),
		  when(t[3], sizeof(t[3]), m->first_only, m->limit),
		  when(t[4], sizeof(t[4]), m->second_only, m->limit),
		  when(t[5], sizeof(t[5]), m->both, m->limit));
}

void claim_judge_immediate(struct claim_result *r, const struct claim_immediate *m)
{
	claim_truth(r, m->neither, "at_once_if_neither_sets_it");
	claim_truth(r, m->first_only, "at_once_if_only_first_sets_it");
	claim_truth(r, m->second_only, "at_once_if_only_second_sets_it");
	claim_truth(r, m->both, "at_once_if_both_set_it");
	if (m->neither) {
		claim_skip(r, "the port was free without the option too: nothing kept it");
		return;
	}
	r->verdict = m->second_only ? CLAIM_HOLDS : m->both ? CLAIM_PARTLY : CLAIM_FAILS;
	if (r->verdict == CLAIM_HOLDS)
		claim_say(r, "with a connection in TIME_WAIT: bound at once where the server that "
			     "comes sets it, whatever the one before did");
	else if (r->verdict == CLAIM_PARTLY)
		claim_say(r,
			  "with a connection in TIME_WAIT: bound at once only if the server before "
			  "had set it too; refused where only the one that "
			  "comes sets it%s",
			  m->first_only ? "" : ", or only the one before");
	else
		claim_say(r, "with a connection in TIME_WAIT: refused, also where both set it");
}

/* ---- who may bind, and what ---- */

static void try_figure(struct claim_result *r, enum claim_try t, const char *name)
{
	claim_truth(r, t == TRY_ALLOWED, "%s", name);
	if (t == TRY_UNKNOWN)
		r->figures[r->figure_count - 1].value = NAN;
}

static const char *outcome(enum claim_try t)
{
	return t == TRY_ALLOWED ? "bound" : "refused (EACCES)";
}

void claim_judge_privilege(struct claim_result *r, const struct claim_privilege *m)
{
	const bool moves =
		!m->lowered || (m->lowered_below == TRY_REFUSED && m->lowered_at == TRY_ALLOWED);
	const bool usual = m->machine < 0 || m->machine == 1024;
	const bool needs =
		m->below == TRY_REFUSED && m->at == TRY_ALLOWED && m->capable == TRY_ALLOWED;

	claim_number(r, m->machine >= 0 ? m->machine : NAN, "unprivileged_port_start_of_machine");
	claim_number(r, m->limit, "unprivileged_port_start");
	try_figure(r, m->below, "below_limit_without_capability");
	try_figure(r, m->at, "at_limit_without_capability");
	try_figure(r, m->capable, "below_limit_with_cap_net_bind_service");
	claim_number(r, m->lowered ? m->lowered : NAN, "lowered_unprivileged_port_start");
	try_figure(r, m->lowered_below, "below_lowered_limit_without_capability");
	try_figure(r, m->lowered_at, "at_lowered_limit_without_capability");
	r->verdict = !needs                               ? CLAIM_FAILS
		     : moves && m->limit == 1024 && usual ? CLAIM_HOLDS
							  : CLAIM_PARTLY;
	claim_say(r,
		  "a user without rights: port %u %s, port %u %s; with CAP_NET_BIND_SERVICE alone: "
		  "port %u %s",
		  m->limit - 1, outcome(m->below), m->limit, outcome(m->at), m->limit - 1,
		  outcome(m->capable));
	if (m->lowered)
		claim_say(r,
			  "; with net.ipv4.ip_unprivileged_port_start = %u: port %u %s, port %u %s",
			  m->lowered, m->lowered - 1, outcome(m->lowered_below), m->lowered,
			  outcome(m->lowered_at));
	else
		claim_say(r, "; net.ipv4.ip_unprivileged_port_start could not be changed here");
	if (!usual)
		claim_say(r,
			  "; but outside of this experiment's own namespace it is %d here, so %s",
			  m->machine, m->machine ? "that is the limit" : "no port needs the right");
}

static unsigned swapped(unsigned port)
{
	return (port & 0xff) << 8 | port >> 8;
}

/* The number of unprivileged ports whose swapped bytes give a privileged port. */
static unsigned ports_that_become_privileged(void)
{
	unsigned n = 0;

	for (unsigned port = 1024; port < 65536; port++)
		n += swapped(port) < 1024;
	return n;
}

void claim_judge_htons(struct claim_result *r, const struct claim_htons *m)
{
	const bool swaps =
		m->listens == swapped(m->asked) && m->reaches_listens && !m->reaches_asked;

	claim_number(r, m->asked, "port_asked");
	claim_number(r, m->listens, "port_listens");
	claim_truth(r, m->reaches_asked, "client_reaches_port_asked");
	claim_truth(r, m->reaches_listens, "client_reaches_port_listens");
	claim_number(r, m->low_asked, "other_port_asked");
	claim_number(r, m->low_becomes, "other_port_becomes");
	try_figure(r, m->low, "other_port_without_capability");
	claim_number(r, ports_that_become_privileged(), "ports_that_become_privileged");
	r->verdict = swaps ? CLAIM_HOLDS : CLAIM_FAILS;
	claim_say(r, "asked %u, listens on %u; a client %s %u and %s %u", m->asked, m->listens,
		  m->reaches_listens ? "reaches" : "is refused on", m->listens,
		  m->reaches_asked ? "reaches" : "is refused on", m->asked);
	if (m->low != TRY_UNKNOWN)
		claim_say(r,
			  "; without rights port %u, which becomes %u, is %s, so it is for %u of "
			  "the 64512 ports from 1024 on",
			  m->low_asked, m->low_becomes, outcome(m->low),
			  ports_that_become_privileged());
	else
		claim_say(r, "; whether port %u can be had without rights could not be tried: %s",
			  m->low_asked, m->low_why);
}
