/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs a workload while the observer counts: starts it, attaches the observer, waits for the end,
 * and adds the workload's own account to the snapshot. */
#include "trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "../model/findings.h"
#include "../model/judge.h"
#include "../render/text.h"
#include "../workload/shared.h"
#include "agreement.h"

/* Attaches the observer. The first trial attaches when the workers already sleep in accept(), as it
 * is with a server that was running before. */
static int observe(struct trials *t, const struct endpoint *endpoint, char *why, size_t size)
{
	/* SOCKFAIR_ROWS limits the rows, to test what happens when they run out. */
	const char *rows = getenv("SOCKFAIR_ROWS");
	const struct observer_options options = { .backend = t->backend,
						  .by_port = true,
						  .inventory = true,
						  .no_waits = t->no_waits,
						  .no_serving = t->no_serving,
						  .rows_max = rows ? strtoul(rows, NULL, 10) : 0,
						  .selection = { .netns = { endpoint->netns },
								 .netns_count = 1 } };
	int err = 0;

	if (t->observer)
		observer_reset(t->observer);
	else
		err = observer_open(&t->observer, &options, why, size);
	t->refused = !t->observer;
	if (err)
		return err;
	observer_watch_port(t->observer, endpoint->port);
	err = observer_start(t->observer);
	if (err)
		snprintf(why, size, "cannot list the sockets and threads there are at first: %s",
			 strerror(-err));
	return err;
}

static void progress_show(const struct trials *t, const struct workload_options *o,
			  const struct workload_progress *p)
{
	char done[TEXT_COUNT_SIZE], all[TEXT_COUNT_SIZE];

	fprintf(stderr, "\r%s%s", t->purpose ? t->purpose : "", t->purpose ? ": " : "");
	if (o->serve_only)
		fprintf(stderr, "%s: %s accepted, %s served ", o->mode->name,
			text_count(done, p->accepted), text_count(all, p->served));
	else
		fprintf(stderr, "%s: %s of %s ", o->mode->name, text_count(done, p->sent),
			text_count(all, o->requests));
}

#define LOOK_MS 200

/*
 * Has nothing moved for too long? This is counted in looks, each of at least LOOK_MS, and not by
 * the clock. The clock goes on while the whole program is stopped (Ctrl-Z). And on a machine so
 * busy that there are no looks, the workload can't move either.
 */
struct standstill {
	uint64_t done;
	unsigned looks; /* looks since something last moved */
};

static bool stands_still(const struct trials *t, const struct workload_progress *p,
			 struct standstill *s)
{
	const uint64_t done = p->sent + p->failed;

	s->looks = done == s->done ? s->looks + 1 : 0;
	s->done = done;
	return t->stalled_max > 0 && s->looks * LOOK_MS > t->stalled_max * 1000;
}

/* Returns 0, or -ETIMEDOUT after a standstill. */
static int wait_for_end(const struct trials *t, struct workload *w,
			const struct workload_options *o)
{
	const double end = t->seconds_max > 0 ? monotonic_ns() / 1e9 + t->seconds_max : 0;
	struct standstill still = {};
	struct workload_progress p;
	int err = 0;

	while (!err && !workload_wait(w, LOOK_MS) && !*t->interrupted &&
	       (!end || monotonic_ns() / 1e9 < end)) {
		workload_progress(w, &p);
		if (stands_still(t, &p, &still))
			err = -ETIMEDOUT;
		else if (t->progress)
			progress_show(t, o, &p);
	}
	if (t->progress)
		fputs("\r\033[K", stderr);
	workload_interrupt(w);
	for (int i = 0; i < 100 && !err && !workload_wait(w, 100); i++)
		;
	return err;
}

/* Removes everything but the workload's endpoint from the snapshot: other sockets may have its port
 * on other addresses or protocols. */
static int keep_endpoint(struct snapshot *s, const struct endpoint *own)
{
	struct endpoint *found = snapshot_find(s, own);
	struct endpoint kept = {};
	int err = 0;

	if (found) {
		kept = *found;
		memset(found, 0, sizeof(*found));
	} else {
		kept = (struct endpoint){ .protocol = own->protocol,
					  .family = own->family,
					  .port = own->port,
					  .netns = own->netns };
		memcpy(kept.address, own->address, sizeof(kept.address));
	}
	for (size_t i = 0; i < s->endpoint_count; i++)
		endpoint_free(&s->endpoints[i]);
	if (!s->endpoints)
		s->endpoints = calloc(1, sizeof(kept));
	if (!s->endpoints) {
		endpoint_free(&kept);
		return -ENOMEM;
	}
	s->endpoints[0] = kept;
	s->endpoint_count = 1;
	err = endpoint_merge(&s->endpoints[0], own);
	return err;
}

static int result_read(struct trials *t, struct workload *w, struct snapshot *s)
{
	const struct endpoint *own = workload_endpoint(w);
	struct workload_account account = {};
	int err;

	workload_counts(w, &account);
	err = observer_scan(t->observer);
	if (!err)
		err = observer_read(t->observer, s, false);
	if (err)
		return err;
	s->final = true;
	s->has_workload = true;
	s->workload = account;
	err = keep_endpoint(s, own);
	if (err)
		return err;
	agreement_check(
		s, own,
		observer_sees(t->observer) &
			(own->protocol == PROTOCOL_UDP ? SEES_UDP_QUEUED : SEES_TCP_ARRIVED));
	err = endpoint_judge(&s->endpoints[0], t->threshold);
	return err ? err : findings_fill(s);
}

static int skipped(struct snapshot *s, const struct workload_options *options, const char *why)
{
	struct timespec time;
	struct utsname name;

	memset(s, 0, sizeof(*s));
	uname(&name);
	clock_gettime(CLOCK_REALTIME, &time);
	snprintf(s->release, sizeof(s->release), "%s", name.release);
	s->start_ms = time.tv_sec * 1000LL + time.tv_nsec / 1000000;
	s->final = true;
	s->has_workload = true;
	s->workload = (struct workload_account){ .mode = options->mode->name, .slow_worker = -1 };
	snprintf(s->workload.skipped, sizeof(s->workload.skipped), "%s", why);
	return 0;
}

int trial_run(struct trials *t, const struct workload_options *options, struct snapshot *s,
	      char *why, size_t why_size)
{
	struct workload *w;
	char address[TEXT_ADDRESS_SIZE];
	int err = workload_start(&w, options, why, why_size);

	memset(s, 0, sizeof(*s));
	if (err == -EOPNOTSUPP)
		return skipped(s, options, why);
	if (err)
		return err;
	err = observe(t, workload_endpoint(w), why, why_size);
	if (err)
		goto out;
	if (options->serve_only)
		fprintf(stderr, "%s: serving on %s %s; Ctrl-C ends with the result\n",
			options->mode->name,
			options->mode->protocol == PROTOCOL_UDP ? "udp" : "tcp",
			text_address(address, workload_endpoint(w)));
	workload_go(w);
	err = wait_for_end(t, w, options);
	if (err) {
		snprintf(why, why_size,
			 "%s: nothing moved for %.0f s; its server or its clients may be stopped",
			 options->mode->name, t->stalled_max);
		goto out;
	}
	workload_settle(w);
	err = result_read(t, w, s);
	if (err) {
		snprintf(why, why_size, "cannot read the result: %s", strerror(-err));
		snapshot_free(s);
	}
out:
	workload_stop(w);
	return err;
}

void trials_end(struct trials *t)
{
	observer_close(t->observer);
	t->observer = NULL;
}
