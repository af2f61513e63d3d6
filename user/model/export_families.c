/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export_families.h"

static const char *const drop_reasons[] = { "no-room", "kernel", "closing" };
static const char *const directions[] = { "received", "sent" };
static const char *const costs[] = { "kernel", "process" };
/* As verdict_name(). */
static const char *const verdicts[] = { "not-applicable", "uneven", "too-few",
					"flows-unknown",  "even",   "withheld" };

#define VALUE(number) EXPORT_VALUES, number, 1, NULL, NULL
#define VALUES_BY(label, names, number)                                                            \
	EXPORT_VALUES, number, sizeof(names) / sizeof(*(names)), label, names
#define OTHER(kind, label) kind, 0, 0, label, NULL
#define COUNTER EXPORT_COUNTER
#define GAUGE EXPORT_GAUGE
#define ITSELF EXPORT_ABOUT_ITSELF
#define PORT EXPORT_ABOUT_PORT
#define WORKER EXPORT_ABOUT_WORKER

/* To add a metric: a row here, and if it is a number of a port or worker, an entry in its enum and
 * a line that fills it. Help has no quotes, backslashes or ends of lines. */
const struct export_family export_families[] = {
	{ "sockfair_connections", NULL, COUNTER, PORT, VALUE(EXPORT_CONNECTIONS),
	  "TCP connections taken by accept()." },
	{ "sockfair_connections_arrived", NULL, COUNTER, PORT, VALUE(EXPORT_ARRIVED),
	  "TCP connections put into the accept queue." },
	{ "sockfair_datagrams_delivered", NULL, COUNTER, PORT, VALUE(EXPORT_DELIVERED),
	  "UDP datagrams put into the receive queue." },
	{ "sockfair_datagrams_received", NULL, COUNTER, PORT, VALUE(EXPORT_RECEIVED),
	  "UDP datagrams taken by a read." },
	{ "sockfair_drops", NULL, COUNTER, PORT,
	  VALUES_BY("reason", drop_reasons, EXPORT_DROPS_NO_ROOM),
	  "What the kernel dropped: no-room (UDP: the receive queue was full), kernel (all else "
	  "that "
	  "the sockets' own counters tell; TCP: full queues, refused handshakes), closing (TCP: "
	  "reset in the queue as the socket was closed)." },
	{ "sockfair_bytes", "bytes", COUNTER, PORT,
	  VALUES_BY("direction", directions, EXPORT_BYTES_RECEIVED),
	  "Data that TCP connections carried, seen from the server." },
	{ "sockfair_cpu_seconds", "seconds", COUNTER, PORT, VALUE(EXPORT_CPU),
	  "CPU time of the threads that are workers of the port, whatever they did." },
	{ "sockfair_accept_wait_seconds", "seconds", EXPORT_HISTOGRAM, PORT,
	  OTHER(EXPORT_WAITS, "le"),
	  "Time from the accept queue to accept(). Connections queued before the exporter began, "
	  "and "
	  "those of threads for which the kernel side had no histogram left, are not in it." },
	{ "sockfair_queue_length", NULL, GAUGE, PORT, VALUE(EXPORT_QUEUE_LENGTH),
	  "What waits in the queues of all sockets: TCP connections, bytes of UDP." },
	{ "sockfair_queue_limit", NULL, GAUGE, PORT, VALUE(EXPORT_QUEUE_LIMIT),
	  "The sum of the sockets' limits: TCP the backlog in force, UDP SO_RCVBUF in bytes." },
	{ "sockfair_half_open", NULL, GAUGE, PORT, VALUE(EXPORT_HALF_OPEN),
	  "TCP handshakes under way." },
	{ "sockfair_open_connections", NULL, GAUGE, PORT, VALUE(EXPORT_OPEN),
	  "TCP connections accepted since the exporter began that are open." },
	{ "sockfair_workers", NULL, GAUGE, PORT, VALUE(EXPORT_WORKERS),
	  "Threads that take from the port or wait for it." },
	{ "sockfair_sockets", NULL, GAUGE, PORT, VALUE(EXPORT_SOCKETS),
	  "Sockets that have the port." },
	{ "sockfair_steered", NULL, GAUGE, PORT, VALUE(EXPORT_STEERED),
	  "1 if a program picks the socket of a SO_REUSEPORT group, 0 if the kernel does." },
	{ "sockfair_window_events", NULL, GAUGE, PORT, VALUE(EXPORT_WINDOW_EVENTS),
	  "Connections or datagrams that came in the window." },
	{ "sockfair_window_queue_highest", NULL, GAUGE, PORT, VALUE(EXPORT_WINDOW_HIGHEST),
	  "TCP: the longest accept queue of one socket that an arrival made in the window." },
	{ "sockfair_window_workers_idle", NULL, GAUGE, PORT, VALUE(EXPORT_WINDOW_IDLE),
	  "Workers (sockets where those are compared) that got nothing in the window." },
	{ "sockfair_window_cv", NULL, GAUGE, PORT, VALUE(EXPORT_WINDOW_CV),
	  "Spread of the workers' counts in the window, divided by their mean." },
	{ "sockfair_window_cv_expected", NULL, GAUGE, PORT, VALUE(EXPORT_WINDOW_CV_EXPECTED),
	  "The spread that a fair hash gives." },
	{ "sockfair_window_p_value", NULL, GAUGE, PORT, VALUE(EXPORT_WINDOW_P_VALUE),
	  "How often chance alone spreads as much." },
	{ "sockfair_window_verdict", NULL, GAUGE, PORT,
	  VALUES_BY("verdict", verdicts, EXPORT_WINDOW_VERDICT),
	  "1 for the verdict on the window, 0 for all others." },
	{ "sockfair_window_finding", NULL, GAUGE, PORT, OTHER(EXPORT_FINDINGS, "code, level"),
	  "1 for each finding of the window; sockfair-findings(7) tells what to do." },
	{ "sockfair_window_design", NULL, GAUGE, PORT, OTHER(EXPORT_DESIGN, "design"),
	  "1 for the server design that the window shows." },
	{ "sockfair_worker_connections", NULL, COUNTER, WORKER, VALUE(EXPORT_WORKER_CONNECTIONS),
	  "TCP connections that the worker took by accept()." },
	{ "sockfair_worker_datagrams", NULL, COUNTER, WORKER, VALUE(EXPORT_WORKER_DATAGRAMS),
	  "UDP datagrams that the worker took by a read." },
	{ "sockfair_worker_cpu_seconds", "seconds", COUNTER, WORKER, VALUE(EXPORT_WORKER_CPU),
	  "CPU time of the worker's thread, whatever it did." },
	{ "sockfair_worker_bytes", "bytes", COUNTER, WORKER,
	  VALUES_BY("direction", directions, EXPORT_WORKER_BYTES_RECEIVED),
	  "Data that the worker's TCP connections carried, seen from the server." },
	{ "sockfair_worker_open_connections", NULL, GAUGE, WORKER, VALUE(EXPORT_WORKER_OPEN),
	  "TCP connections accepted since the exporter began that are open at the worker." },
	{ "sockfair_worker_stopped", NULL, GAUGE, WORKER, VALUE(EXPORT_WORKER_STOPPED),
	  "1 if a signal has stopped the worker's process, 0 if not." },
	{ "sockfair_worker", NULL, EXPORT_INFO, WORKER,
	  OTHER(EXPORT_WORKER_NOW, "pid, tid, comm, unit"), "Who has the slot now." },
	{ "sockfair_window_end_timestamp_seconds", "seconds", GAUGE, ITSELF,
	  VALUE(EXPORT_WINDOW_END), "When the last finished window ended, Unix time." },
	{ "sockfair_window_seconds", "seconds", GAUGE, ITSELF, VALUE(EXPORT_WINDOW_SECONDS),
	  "How long the last finished window was." },
	{ "sockfair_lost", NULL, COUNTER, ITSELF, OTHER(EXPORT_LOST, "reason"),
	  "Events that could not be counted or attributed; for some reasons an upper bound." },
	{ "sockfair_own_cost_seconds", "seconds", COUNTER, ITSELF,
	  VALUES_BY("part", costs, EXPORT_OWN_COST_KERNEL),
	  "What counting took: of the programs in the kernel, and CPU time of this process." },
	{ "sockfair_build", NULL, EXPORT_INFO, ITSELF,
	  OTHER(EXPORT_BUILD, "version, backend, kernel"), "The exporter." },
	{ "sockfair_series", NULL, GAUGE, ITSELF, VALUE(EXPORT_SERIES), "Series on this page." },
	{ "sockfair_series_limit", NULL, GAUGE, ITSELF, VALUE(EXPORT_SERIES_LIMIT),
	  "Series that a page may have." },
	{ "sockfair_series_left_out", NULL, GAUGE, ITSELF, VALUE(EXPORT_SERIES_LEFT_OUT),
	  "Series that are not on this page for that limit." },
	{ "sockfair_collect_duration_seconds", "seconds", GAUGE, ITSELF,
	  VALUE(EXPORT_COLLECT_SECONDS), "How long it took to collect this page." },
	{ "sockfair_start_time_seconds", "seconds", GAUGE, ITSELF, VALUE(EXPORT_START_TIME),
	  "When the exporter began to count, Unix time." },
};
const size_t export_family_count = sizeof(export_families) / sizeof(*export_families);

const char *export_type_name(enum export_type type)
{
	static const char *const names[] = { [EXPORT_COUNTER] = "counter",
					     [EXPORT_GAUGE] = "gauge",
					     [EXPORT_HISTOGRAM] = "histogram",
					     [EXPORT_INFO] = "info" };

	return names[type];
}

const char *export_suffix(enum export_type type)
{
	return type == EXPORT_COUNTER ? "_total" : type == EXPORT_INFO ? "_info" : "";
}
