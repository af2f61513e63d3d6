/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All metrics that `sockfair export` offers, as one table. Both text formats, the limit of series,
 * the man page's table and a test are made from it. A metric family is what OpenMetrics calls so: a
 * name, a type, a unit, and samples with labels.
 */
#ifndef SOCKFAIR_EXPORT_FAMILIES_H
#define SOCKFAIR_EXPORT_FAMILIES_H

#include <stddef.h>

#include "fairness.h"

enum export_type { EXPORT_COUNTER, EXPORT_GAUGE, EXPORT_HISTOGRAM, EXPORT_INFO };

/* What the samples are of, and so which labels they have. */
enum export_about {
	EXPORT_ABOUT_ITSELF, /* none */
	EXPORT_ABOUT_PORT,   /* netns, proto, address, port; device if the port is bound to one */
	EXPORT_ABOUT_WORKER, /* and slot, or pid */
};

/* Where the samples are. */
enum export_kind {
	EXPORT_VALUES, /* in an array of numbers, NaN where there is none */
	EXPORT_WAITS,
	EXPORT_LOST,
	EXPORT_FINDINGS,
	EXPORT_DESIGN,
	EXPORT_WORKER_NOW,
	EXPORT_BUILD,
};

/* Numbers of the exporter itself, of a port, and of a worker. Numbers of one family are
 * consecutive. CPU times are counted in ns, and offered in seconds. */
enum export_own_value {
	EXPORT_OWN_COST_KERNEL,
	EXPORT_OWN_COST_PROCESS,
	EXPORT_WINDOW_END,
	EXPORT_WINDOW_SECONDS,
	EXPORT_SERIES,
	EXPORT_SERIES_LIMIT,
	EXPORT_SERIES_LEFT_OUT,
	EXPORT_COLLECT_SECONDS,
	EXPORT_START_TIME,
	EXPORT_OWN_VALUES,
};

enum export_port_value {
	/* counters */
	EXPORT_CONNECTIONS,
	EXPORT_ARRIVED,
	EXPORT_DELIVERED,
	EXPORT_RECEIVED,
	EXPORT_DROPS_NO_ROOM,
	EXPORT_DROPS_KERNEL,
	EXPORT_DROPS_CLOSING,
	EXPORT_BYTES_RECEIVED,
	EXPORT_BYTES_SENT,
	EXPORT_CPU,
	EXPORT_PORT_COUNTERS,
	/* now */
	EXPORT_QUEUE_LENGTH = EXPORT_PORT_COUNTERS,
	EXPORT_QUEUE_LIMIT,
	EXPORT_HALF_OPEN,
	EXPORT_OPEN,
	EXPORT_WORKERS,
	EXPORT_SOCKETS,
	EXPORT_STEERED,
	/* of the last finished window */
	EXPORT_WINDOW_VALUES,
	EXPORT_WINDOW_EVENTS = EXPORT_WINDOW_VALUES,
	EXPORT_WINDOW_HIGHEST,
	EXPORT_WINDOW_IDLE,
	EXPORT_WINDOW_CV,
	EXPORT_WINDOW_CV_EXPECTED,
	EXPORT_WINDOW_P_VALUE,
	EXPORT_WINDOW_VERDICT,
	EXPORT_PORT_VALUES = EXPORT_WINDOW_VERDICT + VERDICT_WITHHELD + 1,
};

enum export_worker_value {
	/* counters */
	EXPORT_WORKER_CONNECTIONS,
	EXPORT_WORKER_DATAGRAMS,
	EXPORT_WORKER_CPU,
	EXPORT_WORKER_BYTES_RECEIVED,
	EXPORT_WORKER_BYTES_SENT,
	EXPORT_WORKER_COUNTERS,
	/* now */
	EXPORT_WORKER_OPEN = EXPORT_WORKER_COUNTERS,
	EXPORT_WORKER_STOPPED,
	EXPORT_WORKER_VALUES,
};

struct export_family {
	const char *name; /* without _total, _info */
	const char *unit; /* NULL: none. The name ends with it */
	enum export_type type;
	enum export_about about;
	enum export_kind kind;
	unsigned first, count;           /* EXPORT_VALUES: which numbers */
	const char *label;               /* beside those of `about`; NULL: none */
	const char *const *label_values; /* EXPORT_VALUES: of each number; NULL: no label */
	const char *help;
};

extern const struct export_family export_families[];
extern const size_t export_family_count;

/* "counter", "gauge", "histogram", "info" */
const char *export_type_name(enum export_type type);

/* What the name of a sample has behind the family's: "_total", "_info", "". */
const char *export_suffix(enum export_type type);

#endif
