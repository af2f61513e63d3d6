/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command binds: reads calls from the kernel into a queue, now and then looks up who has the
 * ports of the queued calls, and tells each call with what there is to say about it. */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "../collect/binds.h"
#include "../collect/ipv6_off.h"
#include "../collect/occupants.h"
#include "../collect/port_range.h"
#include "../collect/services.h"
#include "../render/bind_notices.h"
#include "filter.h"

#define LOOK_SECONDS                                                                               \
	0.2 /* seconds at least between two looks at who has ports: a look examines all processes  \
	     */
#define LOOK_SHARE                                                                                 \
	5 /* with many descriptors the looks come less often: they take at most this part of the   \
	     time (1/n) */
#define NAP_MS                                                                                     \
	10 /* pause between two batches: fetching each call on its own would cost more than the    \
	      calls */
#define QUEUE_MAX 65536 /* queued calls; at this number the next look comes at once */

struct binds_settings {
	struct selection selection;
	enum backend backend;
	double duration; /* seconds; 0: until interrupted */
	bool all, json;
	const char *file;
};

struct watcher {
	const struct binds_settings *o;
	struct binds *binds;
	struct occupants *occupants;
	struct output out;
	struct bind_ports ports;
	struct bind_totals totals;
	struct bind_event *queue; /* in the order of the calls */
	size_t count, room, queue_max;
	double next_look; /* CLOCK_MONOTONIC */
	int drained;      /* negative errno: fetching events during a look failed */
	char filter[512];
};

/* The holders of the ports of a batch of calls. */
struct binds_look {
	struct occupants_query *queries;
	size_t query_count;
	struct bind_occupant *list;
	int count; /* a negative number is an errno */
	bool complete;
	struct port_range_query ranges[PORT_RANGE_QUERIES_MAX]; /* for calls that found no port */
	size_t range_count;
	struct {
		bool known;
		uint32_t netns;
		uint8_t address[16];
		const char *what;
	} ipv6_off; /* the last answer: many calls in a row ask the same question, and entering a
		       network namespace takes a search of all processes */
};

enum { OPT_ALL = 1000, OPT_BACKEND };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What is told, how long:", 2 },
	{ "all", OPT_ALL, NULL, 0,
	  "Each bind() and listen(), not only those that fail or look wrong", 0 },
	{ "duration", 'd', "SECONDS", 0, "End after that long; Ctrl-C ends it earlier", 0 },
	{ NULL, 0, NULL, 0, "The result:", 3 },
	{ "json", 'j', NULL, 0,
	  "JSON, a document per call and a last one with the totals (schema: sockfair --schema "
	  "binds)",
	  0 },
	{ "output", 'o', "FILE", 0,
	  "Write the result to FILE; an old one stays until the new one is whole", 0 },
	{ "backend", OPT_BACKEND, "NAME", 0, "auto, fentry, kprobe or tracepoint (auto)", 0 },
	{},
};

static error_t binds_parse(int key, char *arg, struct argp_state *state)
{
	struct binds_settings *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->selection; break;
	case 'd': o->duration = option_real(state, "--duration", arg, 0.001, 1e9); break;
	case 'j': o->json = true; break;
	case 'o': o->file = arg; break;
	case OPT_ALL: o->all = true; break;
	case OPT_BACKEND: o->backend = option_backend(state, arg); break;
	case ARGP_KEY_ARG:
		usage_error(state, "takes no argument, but got '%s'; -P PORT filters", arg);
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Turns a moment of CLOCK_MONOTONIC into Unix time in ms. */
static int64_t wall_ms(uint64_t time_ns)
{
	struct timespec monotonic, wall;

	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	clock_gettime(CLOCK_REALTIME, &wall);
	return ((wall.tv_sec - monotonic.tv_sec) * 1000000000LL + wall.tv_nsec - monotonic.tv_nsec +
		(int64_t)time_ns) /
	       1000000;
}

/* ---- looking up who has the ports ---- */

static struct occupants_query event_query(const struct bind_event *e)
{
	return (struct occupants_query){ .netns = e->place.netns,
					 .port = e->place.port ? e->place.port : e->port_got,
					 .protocol = e->place.protocol };
}

/* Does the call need a look? Not without a port: then all ports were taken, and no particular
 * process is to blame. */
static bool wants_look(const struct bind_event *e)
{
	return bind_wants_occupants(e) && event_query(e).port;
}

/* Returns the count for this call; NULL: it was not counted. */
static const struct port_range_query *range_of(const struct binds_look *l,
					       const struct bind_event *e)
{
	for (size_t i = 0; i < l->range_count; i++)
		if (port_range_same(&l->ranges[i].event, e))
			return &l->ranges[i];
	return NULL;
}

/* Counts the port ranges of the calls that found no port. Only the first PORT_RANGE_QUERIES_MAX
 * different ones are counted; later calls are told without counts. */
static int ranges_take(struct watcher *w, struct binds_look *l)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct bind_event *e = &w->queue[i];

		if (bind_range_wanted(e) && l->range_count < PORT_RANGE_QUERIES_MAX &&
		    !range_of(l, e))
			l->ranges[l->range_count++].event = *e;
	}
	return l->range_count ? port_range_count(w->occupants, l->ranges, l->range_count) : 0;
}

static int compare_queries(const void *a, const void *b)
{
	const struct occupants_query *x = a, *y = b;

	if (x->netns != y->netns)
		return x->netns < y->netns ? -1 : 1;
	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	return (x->port > y->port) - (x->port < y->port);
}

/* Sets the time of the next look, so that looks take only a part of the time however many sockets
 * there are. */
static void look_ended(struct watcher *w, double began)
{
	const double took = now_seconds() - began;

	w->next_look =
		began + (took * LOOK_SHARE > LOOK_SECONDS ? took * LOOK_SHARE : LOOK_SECONDS);
}

/* Takes one look for all queued calls that need it. Returns 0, or a negative errno that has to end
 * the run. */
static int look_take(struct watcher *w, struct binds_look *l)
{
	const double began = now_seconds();
	const size_t count = w->count; /* looking drains the programs' ring: more calls come */
	size_t kept = 0;
	int err;

	*l = (struct binds_look){ .queries = calloc(count, sizeof(*l->queries)), .complete = true };
	if (!l->queries)
		return -ENOMEM;
	err = ranges_take(w, l);
	if (err)
		return err;
	if (l->range_count)
		look_ended(w, began);
	for (size_t i = 0; i < count; i++)
		if (wants_look(&w->queue[i]))
			l->queries[l->query_count++] = event_query(&w->queue[i]);
	if (!l->query_count)
		return 0;
	qsort(l->queries, l->query_count, sizeof(*l->queries), compare_queries);
	for (size_t i = 1; i < l->query_count; i++)
		if (compare_queries(&l->queries[kept], &l->queries[i]))
			l->queries[++kept] = l->queries[i];
	l->query_count = kept + 1;
	l->count = occupants_find(w->occupants, l->queries, l->query_count, &l->list, &l->complete);
	look_ended(w, began);
	for (int i = 0; i < l->count; i++)
		if (l->list[i].count == 1)
			l->list[i].since_ns = binds_since(w->binds, l->list[i].inode);
	return l->count == -ENOMEM ? -ENOMEM : 0;
}

static void binds_look_free(struct binds_look *l)
{
	if (l->count >= 0)
		free(l->list);
	free(l->queries);
}

/* ---- telling ---- */

/* The user's name; NULL: this machine has no name for the user. */
static const char *user_name(uint32_t uid)
{
	const struct passwd *user = getpwuid(uid);

	return user ? user->pw_name : NULL;
}

/* Adds to the event what only user space knows. Returns 0, or a negative errno that has to end the
 * run. */
static int event_complete(struct binds_look *l, struct bind_event *e)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *address = e->call == CALL_CONNECT ? e->peer.address : e->place.address;
	int err = 0;

	if (e->error == EACCES && e->asked_known && e->place.port < e->port_limit &&
	    !e->can_bind_low)
		e->user = user_name(e->euid);
	if (e->error != EADDRNOTAVAIL || e->place.family != AF_INET6 || bind_range_wanted(e) ||
	    !memcmp(address, mapped, sizeof(mapped)))
		return 0;
	if (!l->ipv6_off.known || l->ipv6_off.netns != e->place.netns ||
	    memcmp(l->ipv6_off.address, address, 16)) {
		l->ipv6_off.known = true;
		l->ipv6_off.netns = e->place.netns;
		memcpy(l->ipv6_off.address, address, 16);
		err = ipv6_off(e->place.netns, address, &l->ipv6_off.what);
	}
	e->ipv6_off = l->ipv6_off.what;
	return err;
}

/* Judges a call, knowing the sockets that had its port. */
static void notice_judge(struct watcher *w, const struct binds_look *l, struct bind_notice *n)
{
	const struct bind_event *e = &n->event;
	const struct occupants_query query = event_query(e);
	const struct port_range_query *range = bind_range_wanted(e) ? range_of(l, e) : NULL;
	const bool asked = wants_look(e);

	n->event.range = range && range->counted ? &range->use : NULL;
	n->time_ms = wall_ms(e->time_ns);
	if (asked && l->count >= 0)
		n->occupants = occupants_of(l->list, l->count, &query, &n->occupant_count);
	n->incomplete = asked && !l->complete;
	if (e->error && asked && l->count < 0)
		snprintf(n->why, sizeof(n->why), "it could not be looked who has the port: %s",
			 strerror(-l->count));
	else if (e->error)
		bind_explain(e, n->occupants, n->occupant_count,
			     !asked          ? BIND_NOT_LOOKED
			     : n->incomplete ? BIND_LOOKED_PARTLY
					     : BIND_LOOKED,
			     &w->ports, n->why, NULL);
	else
		n->suspicion_count =
			bind_suspect(e, n->occupants, n->occupant_count, &w->ports, n->suspicions);
}

static int binds_tell(struct watcher *w, struct binds_look *l, const struct bind_event *e)
{
	struct bind_notice notice = { .event = *e };
	int err = event_complete(l, &notice.event);

	if (err)
		return err;
	notice_judge(w, l, &notice);
	if (!e->error && !notice.suspicion_count && !w->o->all)
		return 0;
	w->totals.shown++;
	w->totals.suspicious += notice.suspicion_count > 0;
	if (w->o->json)
		return json_bind_notice(w->out.file, &notice);
	text_bind_notice(w->out.file, &notice, &w->out.style);
	return 0;
}

/* Tells the queued calls, unless they need a look and the last look was a moment ago. Returns 0 or
 * a negative errno. */
static int queue_tell(struct watcher *w, bool last)
{
	const size_t count = w->count;
	struct binds_look l;
	bool wants = false;
	int err;

	for (size_t i = 0; i < count && !wants; i++)
		wants = wants_look(&w->queue[i]) || bind_range_wanted(&w->queue[i]);
	if (!count || (wants && !last && count < w->queue_max && now_seconds() < w->next_look))
		return 0;
	err = look_take(w, &l);
	for (size_t i = 0; i < count && !err; i++)
		err = binds_tell(w, &l, &w->queue[i]);
	binds_look_free(&l);
	/* Calls that came meanwhile wait for the next look. */
	w->count -= count;
	memmove(w->queue, w->queue + count, w->count * sizeof(*w->queue));
	err = err && err != -EIO ? err : w->drained; /* the flush reports failed writes */
	if (err)
		return err;
	return output_flush(&w->out) ? -EIO : 0;
}

static int queue_add(void *to, const struct bind_event *e)
{
	struct watcher *w = to;

	if (w->count == w->room) {
		size_t room = w->room ? w->room * 2 : 256;
		void *queue = realloc(w->queue, room * sizeof(*w->queue));

		if (!queue)
			return -ENOMEM;
		w->queue = queue;
		w->room = room;
	}
	w->queue[w->count++] = *e;
	return w->count < w->queue_max ? 0 : -ENOBUFS; /* reading ends here, or it never would if
							  calls come faster than it reads */
}

/* Fetches events during a look, so that the kernel's ring does not fill up meanwhile. */
static void events_drain(void *to)
{
	struct watcher *w = to;
	int err = binds_poll(w->binds, 0, queue_add, w);

	if (err < 0 && err != -EINTR && err != -ENOBUFS && !w->drained)
		w->drained = err;
}

/* ---- the window ---- */

/* Reads events and tells them. *more: the queue was full before everything was read. Returns 0 or a
 * negative errno. */
static int read_and_tell(struct watcher *w, int timeout_ms, bool last, bool *more)
{
	int err = binds_poll(w->binds, timeout_ms, queue_add, w);

	*more = err == -ENOBUFS;
	return err < 0 && err != -EINTR && !*more ? err : queue_tell(w, last);
}

static int binds_watch(struct watcher *w)
{
	const double end = w->o->duration > 0 ? now_seconds() + w->o->duration : 0;
	double left = 1;
	bool more = true;
	int err = 0;

	while (!interrupted && !err && (!end || (left = end - now_seconds()) > 0)) {
		/* Waits at most a second: a signal may come just before the wait. */
		double part = w->count ? LOOK_SECONDS / 2 : left < 1 ? left : 1;

		err = read_and_tell(w, part * 1000 + 1, false, &more);
		if (!more)
			poll(NULL, 0, NAP_MS);
	}
	binds_stop(w->binds);
	/* Events that were fetched during a look are told in the next round. */
	for (more = true; (more || w->count) && !err;)
		err = read_and_tell(w, 0, true, &more);
	return err;
}

static int totals_tell(struct watcher *w)
{
	binds_totals(w->binds, &w->totals);
	if (w->o->json)
		json_bind_totals(w->out.file, &w->totals);
	else
		text_bind_totals(w->out.file, &w->totals, &w->out.style);
	return output_flush(&w->out);
}

static int watcher_open(struct watcher *w)
{
	const struct binds_settings *o = w->o;
	const char *ring = getenv("SOCKFAIR_RING"), *pending = getenv("SOCKFAIR_PENDING"),
		   *queue = getenv("SOCKFAIR_QUEUE"); /* for tests */
	const struct binds_options wanted = { .backend = o->backend,
					      .selection = o->selection,
					      .ports = &w->ports,
					      .all = o->all,
					      .ring_bytes = ring ? strtoul(ring, NULL, 10) : 0,
					      .pending = pending ? strtoul(pending, NULL, 10) : 0 };
	char why[512];

	w->queue_max = queue ? strtoul(queue, NULL, 10) : QUEUE_MAX;
	services_fill(&w->ports);
	for (size_t i = 0; i < o->selection.port_count; i++)
		bind_port_add(w->ports.requested, o->selection.ports[i]);
	if (occupants_open(&w->occupants, why, sizeof(why)) ||
	    binds_open(&w->binds, &wanted, why, sizeof(why)))
		return complain("%s", why);
	return STATUS_OK;
}

static int binds_run(struct watcher *w)
{
	int status = watcher_open(w), err;

	if (status)
		return status;
	occupants_while_looking(w->occupants, events_drain, w);
	binds_start(w->binds);
	fprintf(stderr, "watching binds: %s, backend %s%s\n", w->filter,
		backend_name(binds_backend(w->binds)),
		w->o->duration ? "" : "; Ctrl-C ends with the totals");
	err = binds_watch(w);
	if (err == -EIO)
		return STATUS_FAILED; /* the user has been told */
	if (err)
		return complain("cannot read what was seen: %s", strerror(-err));
	return totals_tell(w);
}

int command_binds(int argc, char **argv)
{
	static const struct argp_child children[] = { { &filter_argp, 0, NULL, 0 }, {} };
	static const struct argp argp = {
		.options = options,
		.parser = binds_parse,
		.doc = "Watches bind() and listen() of all processes: each that fails, with the "
		       "reason and who is in the way, and each that worked and looks wrong: a port "
		       "in the wrong byte order, a UDP port shared with another user, a group of "
		       "SO_REUSEPORT that does not come together. TCP and UDP, all network "
		       "namespaces.\v"
		       "With -P the byte-swapped twins of those ports are watched too. -p, --comm "
		       "and -c are about who calls. A connect() that finds no port is told, too. "
		       "Sockets of the kernel itself are left out.",
		.children = children,
	};
	static struct binds_settings o = { .backend = BACKEND_AUTO };
	static struct watcher w;
	int status;

	command_parse(&argp, argc, argv, &o);
	w.o = &o;
	status = filter_check(&o.selection);
	if (!status)
		status = output_open(&w.out, o.file);
	if (status)
		return status;
	filter_text(&o.selection, w.filter, sizeof(w.filter));
	status = binds_run(&w);
	binds_close(w.binds);
	occupants_close(w.occupants);
	free(w.queue);
	return output_close(&w.out) ? STATUS_FAILED : status;
}
