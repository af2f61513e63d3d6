/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an exporter offers, from one collection to the next. It is fed with snapshots of all that
 * was counted since counting began, and with windows.
 *
 * Counters never go back: the ledger's rows are folded and forgotten, sockets close, threads end,
 * but what was exported once stays, as long as the port has series. Workers have slots: a thread
 * gets the lowest free number of its port when it is first seen, and keeps it for life; the next
 * one that gets the number goes on from its counters.
 */
#ifndef SOCKFAIR_EXPORT_STATE_H
#define SOCKFAIR_EXPORT_STATE_H

#include "array.h"
#include "export_families.h"
#include "netns_name.h"
#include "snapshot.h"
#include "unit.h"

/* A port's series, and those of a slot that nobody has, stay for so long after its end, so that
 * the last counts are scraped. */
#define EXPORT_KEEP_SECONDS 600
/* Of ports whose sockets are all closed so many are kept; beyond that the first to close go first.
 */
#define EXPORT_GONE_MAX 256

enum export_workers { EXPORT_WORKERS_SLOT, EXPORT_WORKERS_PID, EXPORT_WORKERS_NONE };

/* What is measured; what is not has no series. */
enum export_sees {
	EXPORT_SEES_ARRIVALS = 1,  /* TCP */
	EXPORT_SEES_WAITS = 2,     /* TCP */
	EXPORT_SEES_SERVING = 4,   /* TCP */
	EXPORT_SEES_DELIVERED = 8, /* UDP */
};

struct export_options {
	enum export_workers workers;
	size_t series_max;
	unsigned sees;      /* bits of enum export_sees */
	uint32_t own_netns; /* the exporter's own network namespace */
	bool ports_named;   /* the user asks for ports by number */
	const char *version;
	double start; /* Unix time when counting began */
};

/* A slot, or with EXPORT_WORKERS_PID a process. */
struct export_worker {
	bool used;
	unsigned lives; /* threads that have it now */
	double freed;   /* when the last of them ended */
	int32_t pid, tid;
	char comm[16];
	char unit[UNIT_NAME_SIZE];
	uint64_t counts[EXPORT_WORKER_COUNTERS];
	double values[EXPORT_WORKER_VALUES];
};

/* One row of the ledger: a thread on a socket, and what it had counted at the last collection. */
struct export_life {
	int32_t tid;
	uint64_t start_ns, cookie;
	int worker; /* index; -1: none */
	uint64_t taken;
	bool cpu_known;
	uint64_t cpu_ns; /* 0 as long as it is not known */
	struct bytes bytes;
	bool found; /* its row is in the last snapshot */
	bool aside; /* its row is set aside there, and may come back */
};

struct export_counter {
	uint64_t total; /* what is exported */
	uint64_t raw;   /* what the snapshot said, at its highest */
};

#define EXPORT_FINDINGS_MAX 32

struct export_port {
	enum protocol protocol;
	int family;
	uint8_t address[16];
	uint16_t port;
	uint32_t netns;
	char netns_name[NETNS_NAME_SIZE]; /* "": the exporter's own */
	char device[16];                  /* of all sockets that it began with; "": none */
	uint64_t born;                    /* ports in the order in which they were first seen */
	unsigned seen;                    /* collections that found it alive, 2 at most */
	bool found, aside;                /* in the last snapshot; set aside there */
	bool alive;                       /* one of its sockets is open */
	double gone;                      /* since when it is not alive; 0: it is */
	bool shown;                       /* it has series: export_limit() */
	bool twin;                        /* another one has the same labels: export_limit() */

	struct export_counter counters[EXPORT_PORT_COUNTERS];
	uint64_t omitted_sockets; /* in the last snapshot */
	struct wait_bounds waits, waits_raw;
	bool waits_known;
	double values[EXPORT_PORT_VALUES];
	const char *design; /* of the last finished window; NULL: none */
	struct {
		const char *code;
		enum finding_level level;
	} findings[EXPORT_FINDINGS_MAX];
	size_t finding_count;

	struct array workers; /* struct export_worker, by slot */
	struct array lives;   /* struct export_life, by thread, then cookie */
};

struct export_lost {
	const char *reason;
	uint64_t total;
};

struct export_state {
	struct export_options options;
	char kernel[65];
	const char *backend;
	struct array ports; /* struct export_port *, by address */
	uint64_t births;
	uint64_t collections;
	double now;        /* of the last one */
	double seconds;    /* its snapshot's */
	double since;      /* from the one before to the last one, in s */
	struct array lost; /* struct export_lost, by reason as first named */
	double values[EXPORT_OWN_VALUES];
	size_t slots_shown; /* workers with a lower slot have series: export_limit() */
};

void export_begin(struct export_state *x, const struct export_options *options);
void export_end(struct export_state *x);

/* Names a reason of losses, so that its counter is there from the beginning. reason: a literal.
 * Returns 0 or -ENOMEM. */
int export_name_lost(struct export_state *x, const char *reason);

/*
 * Takes a snapshot of all that was counted since counting began, quiet ports too, after
 * snapshot_set_aside() and before it is judged. A port that is in it nowhere, not even set aside,
 * was forgotten by the ledger. now: seconds of a clock that never goes back. Returns 0 or -ENOMEM.
 */
int export_collect(struct export_state *x, const struct snapshot *total, double now);

/* Takes a judged window, after the collection at its end. end: Unix time then. */
void export_window(struct export_state *x, const struct snapshot *window, double end);

/*
 * Decides what has series, so that there are no more than options.series_max, and counts them.
 * Ports come in the order in which they were first seen, those that are gone last, each with all
 * series of its own or with none. Of ports that have the same labels (a namespace was made again
 * under the name of one that is gone) only the last has series. What is left is for workers: those
 * of the lowest slots, of all shown ports alike. Returns 0 or -ENOMEM.
 */
int export_limit(struct export_state *x);

struct export_port *export_port_at(const struct export_state *x, size_t i);
static inline struct export_worker *export_worker_at(const struct export_port *p, size_t slot)
{
	return (struct export_worker *)p->workers.rows + slot;
}

/* Has the worker series (export_limit())? */
bool export_worker_shown(const struct export_state *x, const struct export_port *p, size_t slot);

/* ---- export_workers.c ---- */

/* Remembers the threads of a port that are set aside, so that what they counted does not count
 * again when they come back. To be called before export_take_workers(). */
void export_keep_workers(struct export_port *p, const struct endpoint *aside);

/* Takes the threads of a port, and fills its workers. first: the port has just been made, and what
 * had ended before is nobody's. Returns 0 or -ENOMEM. */
int export_take_workers(const struct export_state *x, struct export_port *p,
			const struct endpoint *e, bool first);

#endif
