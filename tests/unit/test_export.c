/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an exporter offers from one collection to the next: user/model/export_*.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "export_fixture.h"

#include "../../user/model/judge.h"

static double value(const struct export_state *x, size_t port, unsigned number)
{
	return export_port_at(x, port)->values[number];
}

static double worker_value(const struct export_state *x, size_t slot, unsigned number)
{
	assert_in_range(slot, 0, export_port_at(x, 0)->workers.count - 1);
	return export_worker_at(export_port_at(x, 0), slot)->values[number];
}

static void collect_one(struct export_state *x, double now, struct port_rows *rows)
{
	assert_int_equal(collected(x, now, &rows, 1), 0);
}

/* ---- the table ---- */

/* OpenMetrics 1.0: a name ends with its unit; counters have no _total of their own; no two families
 * share a name, nor does one have a name that another's samples have. */
static void each_metric_is_one_of_openmetrics(void **state)
{
	(void)state;
	for (size_t i = 0; i < export_family_count; i++) {
		const struct export_family *f = &export_families[i];
		const size_t length = strlen(f->name), unit = f->unit ? strlen(f->unit) : 0;

		assert_memory_equal(f->name, "sockfair_", 9);
		assert_int_equal(strspn(f->name, "abcdefghijklmnopqrstuvwxyz_"), length);
		assert_null(strstr(f->name, "_total"));
		assert_null(strstr(f->name, "_info"));
		assert_null(strpbrk(f->help, "\\\"\n"));
		assert_int_equal(f->help[strlen(f->help) - 1], '.');
		if (f->unit)
			assert_true(length > unit && f->name[length - unit - 1] == '_' &&
				    !strcmp(f->name + length - unit, f->unit));
		assert_true(f->kind != EXPORT_VALUES || f->count == 1 || f->label_values);
		assert_false(f->type == EXPORT_COUNTER && f->kind == EXPORT_VALUES &&
			     ((f->about == EXPORT_ABOUT_PORT &&
			       f->first + f->count > EXPORT_PORT_COUNTERS) ||
			      (f->about == EXPORT_ABOUT_WORKER &&
			       f->first + f->count > EXPORT_WORKER_COUNTERS)));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(f->name, export_families[k].name);
	}
}

/* Each number is offered by exactly one family. */
static void each_number_is_offered_once(void **state)
{
	static const unsigned numbers[] = { [EXPORT_ABOUT_ITSELF] = EXPORT_OWN_VALUES,
					    [EXPORT_ABOUT_PORT] = EXPORT_PORT_VALUES,
					    [EXPORT_ABOUT_WORKER] = EXPORT_WORKER_VALUES };
	unsigned seen[3][EXPORT_PORT_VALUES + EXPORT_OWN_VALUES] = {};

	(void)state;
	for (size_t i = 0; i < export_family_count; i++)
		for (unsigned k = 0; k < export_families[i].count; k++)
			seen[export_families[i].about][export_families[i].first + k]++;
	for (unsigned about = 0; about < 3; about++)
		for (unsigned k = 0; k < numbers[about]; k++)
			assert_int_equal(seen[about][k], 1);
}

static void verdicts_are_named_as_in_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < export_family_count; i++)
		if (export_families[i].first == EXPORT_WINDOW_VERDICT &&
		    export_families[i].about == EXPORT_ABOUT_PORT)
			for (unsigned k = 0; k < export_families[i].count; k++)
				assert_string_equal(export_families[i].label_values[k],
						    verdict_name((enum verdict)k));
}

/* ---- counters ---- */

static void counters_are_what_was_counted(void **state)
{
	struct port_rows rows;
	struct export_state x;
	struct socket_row *s;
	struct worker_row *w;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	s = port_socket(&rows, 17);
	s->arrived = 12;
	s->accepted = 10;
	s->drops = 3;
	s->dropped_closing = 1;
	s->queue_known = true;
	s->queue_length = 2;
	s->queue_limit = 128;
	w = port_worker(&rows, 17, 700, 5);
	w->accepted = 10;
	w->bytes = (struct bytes){ 100, 200 };
	w->cpu_ns = 1500000000;
	w->open = 4;
	rows.e.omitted = (struct omitted){
		.arrived = 5, .accepted = 5, .drops = 2, .dropped_closing = 6, .bytes = { 7, 8 }
	};
	rows.e.waits_by_bound.counts[3] = 9;
	rows.e.waits_by_bound.sum_ns = 20000000;
	collect_one(&x, 100, &rows);
	assert_true(value(&x, 0, EXPORT_ARRIVED) == 17);
	assert_true(value(&x, 0, EXPORT_CONNECTIONS) == 15);
	assert_true(value(&x, 0, EXPORT_DROPS_KERNEL) == 5);
	assert_true(value(&x, 0, EXPORT_DROPS_CLOSING) == 7);
	assert_true(value(&x, 0, EXPORT_BYTES_RECEIVED) == 107);
	assert_true(value(&x, 0, EXPORT_BYTES_SENT) == 208);
	assert_true(value(&x, 0, EXPORT_CPU) == 1.5);
	assert_true(isnan(value(&x, 0, EXPORT_DELIVERED)));
	assert_true(isnan(value(&x, 0, EXPORT_DROPS_NO_ROOM)));
	assert_true(value(&x, 0, EXPORT_QUEUE_LENGTH) == 2);
	assert_true(value(&x, 0, EXPORT_QUEUE_LIMIT) == 128);
	assert_true(isnan(value(&x, 0, EXPORT_HALF_OPEN)));
	assert_true(value(&x, 0, EXPORT_OPEN) == 4);
	assert_true(value(&x, 0, EXPORT_WORKERS) == 1);
	assert_int_equal(export_port_at(&x, 0)->waits.counts[3], 9);
	export_end(&x);
}

static void datagrams_have_counters_of_their_own(void **state)
{
	struct port_rows rows;
	struct export_state x;
	struct socket_row *s;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_UDP, 53);
	s = port_socket(&rows, 17);
	s->arrived = 12;
	s->accepted = 10;
	s->dropped = 4;
	s->drops = 5;
	port_worker(&rows, 17, 700, 5)->accepted = 10;
	collect_one(&x, 100, &rows);
	assert_true(value(&x, 0, EXPORT_DELIVERED) == 12);
	assert_true(value(&x, 0, EXPORT_RECEIVED) == 10);
	assert_true(value(&x, 0, EXPORT_DROPS_NO_ROOM) == 4);
	assert_true(value(&x, 0, EXPORT_DROPS_KERNEL) == 1);
	assert_true(isnan(value(&x, 0, EXPORT_CONNECTIONS)));
	assert_true(isnan(value(&x, 0, EXPORT_BYTES_SENT)));
	assert_true(worker_value(&x, 0, EXPORT_WORKER_DATAGRAMS) == 10);
	assert_true(isnan(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS)));
	export_end(&x);
}

/* A reading that missed something, a port that the ledger forgot, sums that it folded. */
static void counters_never_go_back(void **state)
{
	struct port_rows rows;
	struct export_state x;
	struct socket_row *s;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	s = port_socket(&rows, 17);
	s->accepted = 100;
	rows.e.waits_by_bound.counts[0] = 100;
	collect_one(&x, 100, &rows);
	s->accepted = 98; /* one reading missed two */
	rows.e.waits_by_bound.counts[0] = 98;
	collect_one(&x, 115, &rows);
	assert_true(value(&x, 0, EXPORT_CONNECTIONS) == 100);
	s->accepted = 101;
	rows.e.waits_by_bound.counts[0] = 101;
	collect_one(&x, 130, &rows);
	assert_true(value(&x, 0, EXPORT_CONNECTIONS) == 101);

	/* The socket is folded, another takes its place. */
	port_is(&rows, PROTOCOL_TCP, 80);
	rows.e.omitted = (struct omitted){ .sockets = 1, .accepted = 103 };
	rows.e.waits_by_bound.counts[0] = 103;
	s = port_socket(&rows, 18);
	s->accepted = 7;
	collect_one(&x, 145, &rows);
	assert_true(value(&x, 0, EXPORT_CONNECTIONS) == 110);
	assert_int_equal(export_port_at(&x, 0)->waits.counts[0], 103);

	/* The ledger forgot what it had folded, and the port began anew. */
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 19)->accepted = 5;
	rows.e.waits_by_bound.counts[0] = 4;
	collect_one(&x, 160, &rows);
	assert_true(value(&x, 0, EXPORT_CONNECTIONS) == 115);
	assert_int_equal(export_port_at(&x, 0)->waits.counts[0], 107);

	/* It was in no snapshot, and is back, forgotten meanwhile. */
	assert_int_equal(collected(&x, 175, NULL, 0), 0);
	assert_true(value(&x, 0, EXPORT_CONNECTIONS) == 115);
	assert_true(isnan(value(&x, 0, EXPORT_SOCKETS)));
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 20)->accepted = 2;
	collect_one(&x, 190, &rows);
	assert_true(value(&x, 0, EXPORT_CONNECTIONS) == 117);
	export_end(&x);
}

/* It was set aside (all of its sockets were connected), not forgotten. Meanwhile it is in no list,
 * or its folded sockets are. */
static void what_comes_back_is_not_counted_twice(void **state)
{
	static struct port_rows rows, folded;
	struct port_rows *ports = &rows, *sums = &folded;
	struct export_state x;
	struct worker_row *w;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_UDP, 53);
	port_socket(&rows, 17)->arrived = 100;
	w = port_worker(&rows, 17, 700, 5);
	w->accepted = 90;
	w->cpu_ns = 1000000000;
	collect_one(&x, 100, &rows);
	port_is(&folded, PROTOCOL_UDP, 53);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(collected_beside(&x, 115 + 30 * i, &sums, i % 2, &ports, 1), 0);
		assert_true(value(&x, 0, EXPORT_WORKERS) == 0 ||
			    isnan(value(&x, 0, EXPORT_WORKERS)));
		assert_int_equal(export_worker_at(export_port_at(&x, 0), 0)->lives, 0);
		rows.sockets[0].arrived++;
		w->accepted++;
		w->cpu_ns += 500000000;
		collect_one(&x, 130 + 30 * i, &rows);
		assert_true(value(&x, 0, EXPORT_DELIVERED) == 101 + i);
		assert_int_equal(export_port_at(&x, 0)->workers.count, 1);
		assert_true(worker_value(&x, 0, EXPORT_WORKER_DATAGRAMS) == 91 + i);
		assert_true(worker_value(&x, 0, EXPORT_WORKER_CPU) == 1.5 + i * 0.5);
		assert_true(value(&x, 0, EXPORT_CPU) == 1.5 + i * 0.5);
	}
	export_end(&x);
}

/* In no list, not even set aside: the ledger begins anew, with however much it counts at once. */
static void what_was_forgotten_counts_from_the_beginning(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17)->accepted = 10;
	rows.e.waits_by_bound.counts[0] = 10;
	collect_one(&x, 100, &rows);
	assert_int_equal(collected(&x, 115, NULL, 0), 0);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 18)->accepted = 25;
	port_worker(&rows, 18, 700, 5)->accepted = 25;
	rows.e.waits_by_bound.counts[0] = 25;
	collect_one(&x, 130, &rows);
	assert_true(value(&x, 0, EXPORT_CONNECTIONS) == 35);
	assert_int_equal(export_port_at(&x, 0)->waits.counts[0], 35);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS) == 25);
	export_end(&x);
}

static void losses_are_named_from_the_beginning_and_never_fall(void **state)
{
	struct lost_row lost = { .reason = "runs_missed", .count = 5 };
	struct snapshot s = { .backend = "fentry", .lost = &lost, .lost_count = 1 };
	const struct export_lost *rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	assert_int_equal(export_name_lost(&x, "ends_missed"), 0);
	assert_int_equal(export_collect(&x, &s, 100), 0);
	lost.count = 3;
	assert_int_equal(export_collect(&x, &s, 115), 0);
	rows = x.lost.rows;
	assert_int_equal(x.lost.count, 2);
	assert_string_equal(rows[0].reason, "ends_missed");
	assert_int_equal(rows[0].total, 0);
	assert_int_equal(rows[1].total, 5);
	export_end(&x);
}

/* ---- ports that come and go ---- */

static void a_gone_port_stays_for_ten_minutes(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17)->accepted = 9;
	port_worker(&rows, 17, 700, 5);
	collect_one(&x, 100, &rows);
	rows.sockets[0].ended = rows.workers[0].ended = true;
	for (double now = 115; now < 115 + EXPORT_KEEP_SECONDS; now += 15) {
		collect_one(&x, now, &rows);
		assert_int_equal(x.ports.count, 1);
		assert_true(value(&x, 0, EXPORT_CONNECTIONS) == 9);
		assert_true(value(&x, 0, EXPORT_SOCKETS) == 0);
		assert_true(export_port_at(&x, 0)->shown);
	}
	/* Its rows are still in the ledger: it does not come back by that. */
	for (int i = 0; i < 3; i++) {
		collect_one(&x, 115 + EXPORT_KEEP_SECONDS + 15 * i, &rows);
		assert_int_equal(x.ports.count, 0);
	}
	rows.sockets[0].ended = false; /* it is back itself */
	collect_one(&x, 1000, &rows);
	assert_int_equal(x.ports.count, 1);
	export_end(&x);
}

/* A namespace gets a name, or the number of one that is gone becomes that of another. */
static void a_renamed_namespace_makes_another_port(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_UDP, 53);
	rows.e.netns = 4026532001u;
	port_socket(&rows, 17)->arrived = 9;
	collect_one(&x, 100, &rows);
	assert_string_equal(export_port_at(&x, 0)->netns_name, "4026532001");
	netns_name_add(4026532001u, "blue");
	for (double now = 115; now < 150; now += 15) {
		collect_one(&x, now, &rows);
		assert_int_equal(x.ports.count, 1);
		assert_string_equal(export_port_at(&x, 0)->netns_name, "blue");
		assert_true(export_port_at(&x, 0)->shown);
		assert_true(value(&x, 0, EXPORT_DELIVERED) == 9);
	}
	netns_names_forget();
	netns_name_add(4026532001u, "green");
	rows.sockets[0].arrived = 2; /* of the new one */
	collect_one(&x, 160, &rows);
	assert_int_equal(x.ports.count, 1);
	assert_string_equal(export_port_at(&x, 0)->netns_name, "green");
	assert_true(value(&x, 0, EXPORT_DELIVERED) == 2);
	netns_names_forget();
	export_end(&x);
}

/* A namespace is gone, and another has its name: two ports with the same labels, of which the one
 * that is there has series. */
static void labels_are_shown_once(void **state)
{
	static struct port_rows old, new;
	struct port_rows *both[] = { &old, &new };
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&old, PROTOCOL_TCP, 80);
	port_is(&new, PROTOCOL_TCP, 80);
	old.e.netns = 4026532002u;
	new.e.netns = 4026532003u;
	port_socket(&old, 17);
	port_worker(&old, 17, 700, 5);
	port_socket(&new, 18);
	netns_name_add(4026532002u, "blue");
	collect_one(&x, 100, &old);
	assert_true(export_port_at(&x, 0)->shown);
	netns_names_forget();
	netns_name_add(4026532003u, "blue");
	assert_int_equal(collected(&x, 115, both + 1, 1), 0);
	assert_int_equal(x.ports.count, 2);
	assert_false(export_port_at(&x, 0)->shown);
	assert_true(export_port_at(&x, 1)->shown);
	assert_true(x.values[EXPORT_SERIES_LEFT_OUT] == 0);
	new.sockets[0].ended = true;
	assert_int_equal(collected(&x, 120, both + 1, 1), 0);
	assert_false(export_port_at(&x, 0)->shown);
	assert_true(export_port_at(&x, 1)->shown);
	new.sockets[0].ended = false;
	netns_name_add(4026532003u, "a"); /* sorts first: another name for it */
	assert_int_equal(collected(&x, 130, both + 1, 1), 0);
	assert_true(export_port_at(&x, 0)->shown);
	assert_true(export_port_at(&x, 1)->shown);
	netns_names_forget();
	export_end(&x);
}

static void ports_are_in_order_and_found_again(void **state)
{
	static const uint16_t numbers[] = { 443, 80, 8080, 22, 9, 65535 };
	enum { N = sizeof(numbers) / sizeof(*numbers) };
	static struct port_rows rows[N];
	struct port_rows *ports[N];
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	for (int i = 0; i < N; i++) {
		port_is(&rows[i], PROTOCOL_TCP, numbers[i]);
		port_socket(&rows[i], 17)->accepted = numbers[i];
		ports[i] = &rows[i];
	}
	for (int round = 0; round < 2; round++) {
		assert_int_equal(collected(&x, 100 + round, ports, N), 0);
		assert_int_equal(x.ports.count, N);
		for (size_t i = 0; i < N; i++) {
			assert_true(!i ||
				    export_port_at(&x, i - 1)->port < export_port_at(&x, i)->port);
			assert_true(value(&x, i, EXPORT_CONNECTIONS) ==
				    export_port_at(&x, i)->port);
		}
	}
	export_end(&x);
}

/* A client's socket of UDP that is open for a moment has no series; a server's has, from the second
 * time on, and from the first if it was there before. */
static void passing_clients_of_udp_have_no_series(void **state)
{
	static struct port_rows old, fresh, passing;
	struct port_rows *three[] = { &old, &fresh, &passing };
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&old, PROTOCOL_UDP, 53);
	port_socket(&old, 1);
	port_is(&fresh, PROTOCOL_UDP, 54);
	port_socket(&fresh, 2);
	port_is(&passing, PROTOCOL_UDP, 55);
	port_socket(&passing, 3);
	assert_int_equal(collected(&x, 100, three, 1), 0);
	assert_true(export_port_at(&x, 0)->shown);
	assert_int_equal(collected(&x, 115, three, 3), 0);
	assert_false(export_port_at(&x, 1)->shown);
	passing.sockets[0].ended = true;
	assert_int_equal(collected(&x, 130, three, 3), 0);
	assert_int_equal(x.ports.count, 2);
	assert_true(export_port_at(&x, 1)->shown);
	export_end(&x);
}

/* A port scanner's listeners, or tests: memory does not grow with them. */
static void gone_ports_are_few(void **state)
{
	static struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 100000);
	for (int i = 0; i < EXPORT_GONE_MAX + 50; i++) {
		port_is(&rows, PROTOCOL_TCP, (uint16_t)(1000 + i));
		port_socket(&rows, 17 + i);
		collect_one(&x, 100 + i / 1000.0, &rows);
		assert_in_range(x.ports.count, 1, EXPORT_GONE_MAX + 1);
	}
	assert_int_equal(x.ports.count, EXPORT_GONE_MAX + 1);
	assert_int_equal(export_port_at(&x, 0)->port, 1049); /* the first went first */
	export_end(&x);
}

static void what_the_ledger_forgot_is_no_port(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 0);
	rows.e.omitted.accepted = 1000;
	collect_one(&x, 100, &rows);
	assert_int_equal(x.ports.count, 0);
	export_end(&x);
}

/* ---- slots ---- */

static void a_successor_goes_on_from_the_slots_counter(void **state)
{
	struct port_rows rows;
	struct export_state x;
	struct worker_row *w;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	for (int i = 0; i < 3; i++) {
		w = port_worker(&rows, 17, 702 - i, 5 + i); /* slots follow births, not ids */
		w->accepted = 10 * (i + 1);
		w->cpu_ns = 1000000000;
	}
	collect_one(&x, 100, &rows);
	for (int i = 0; i < 3; i++)
		assert_true(worker_value(&x, i, EXPORT_WORKER_CONNECTIONS) == 10 * (i + 1));
	assert_int_equal(export_worker_at(export_port_at(&x, 0), 0)->tid, 702);

	/* The second is killed after two more; at the same collection its successor is there. */
	rows.workers[1].accepted = 22;
	rows.workers[1].ended = true;
	w = port_worker(&rows, 17, 705, 9);
	w->accepted = 4;
	w->appeared = true;
	w->lived_ns = 10000000000;
	w->cpu_ns = 250000000;
	memcpy(w->comm, "new", 4);
	collect_one(&x, 115, &rows);
	assert_int_equal(export_port_at(&x, 0)->workers.count, 3);
	assert_true(worker_value(&x, 1, EXPORT_WORKER_CONNECTIONS) == 26);
	assert_true(worker_value(&x, 1, EXPORT_WORKER_CPU) == 1.25);
	assert_int_equal(export_worker_at(export_port_at(&x, 0), 1)->tid, 705);
	assert_string_equal(export_worker_at(export_port_at(&x, 0), 1)->comm, "new");
	assert_true(value(&x, 0, EXPORT_WORKERS) == 3);

	/* The row of the dead one is folded: what it had counted stays. */
	rows.workers[1] = rows.workers[3];
	rows.e.worker_count = 3;
	rows.workers[1].accepted = 5;
	collect_one(&x, 130, &rows);
	assert_true(worker_value(&x, 1, EXPORT_WORKER_CONNECTIONS) == 27);
	export_end(&x);
}

/* A thread id that is used again is another thread. */
static void a_reused_thread_id_is_another_worker(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	port_worker(&rows, 17, 700, 5)->accepted = 10;
	collect_one(&x, 100, &rows);
	rows.workers[0].start_ns = 6;
	rows.workers[0].accepted = 3;
	collect_one(&x, 115, &rows);
	assert_int_equal(export_port_at(&x, 0)->workers.count, 1);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS) == 13);
	export_end(&x);
}

/* One thread on two sockets of the port: one worker, whose CPU time counts once. */
static void a_thread_with_two_sockets_is_one_worker(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	for (int i = 0; i < 2; i++) {
		struct worker_row *w = port_worker(&rows, 17 + i, 700, 5);

		port_socket(&rows, 17 + i);
		w->accepted = 10;
		w->cpu_ns = 2000000000;
	}
	collect_one(&x, 100, &rows);
	assert_int_equal(export_port_at(&x, 0)->workers.count, 1);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS) == 20);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_CPU) == 2);
	assert_true(value(&x, 0, EXPORT_WORKERS) == 1);
	/* One is closed and folded, another opened. */
	rows.workers[0].cookie = rows.sockets[0].cookie = 19;
	rows.workers[0].accepted = 1;
	for (int i = 0; i < 2; i++)
		rows.workers[i].cpu_ns = 3000000000;
	collect_one(&x, 115, &rows);
	assert_int_equal(export_port_at(&x, 0)->workers.count, 1);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS) == 21);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_CPU) == 3);
	export_end(&x);
}

/* Threads that came and went between two collections, one after the other, had the lowest slot. */
static void short_lives_are_counted(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	port_worker(&rows, 17, 700, 5)->accepted = 1;
	collect_one(&x, 100, &rows);
	for (int i = 0; i < 5; i++) {
		struct worker_row *w = port_worker(&rows, 17, 800 + i, 10 + i);

		w->accepted = 2;
		w->ended = true;
	}
	for (int i = 0; i < 3; i++) { /* their rows are listed for long */
		collect_one(&x, 115 + 15 * i, &rows);
		assert_int_equal(export_port_at(&x, 0)->workers.count, 2);
		assert_true(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS) == 1);
		assert_true(worker_value(&x, 1, EXPORT_WORKER_CONNECTIONS) == 10);
		assert_true(value(&x, 0, EXPORT_WORKERS) == 1);
	}
	export_end(&x);
}

static void a_free_slot_is_shown_for_ten_minutes(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	port_worker(&rows, 17, 700, 5);
	port_worker(&rows, 17, 701, 6)->accepted = 7;
	collect_one(&x, 100, &rows);
	rows.workers[1].ended = true;
	collect_one(&x, 200, &rows);
	assert_true(export_worker_shown(&x, export_port_at(&x, 0), 1));
	collect_one(&x, 199 + EXPORT_KEEP_SECONDS, &rows);
	assert_true(export_worker_shown(&x, export_port_at(&x, 0), 1));
	collect_one(&x, 200 + EXPORT_KEEP_SECONDS, &rows);
	assert_false(export_worker_shown(&x, export_port_at(&x, 0), 1));
	assert_true(export_worker_shown(&x, export_port_at(&x, 0), 0));
	port_worker(&rows, 17, 702, 9)->accepted = 1;
	collect_one(&x, 215 + EXPORT_KEEP_SECONDS, &rows);
	assert_true(export_worker_shown(&x, export_port_at(&x, 0), 1));
	assert_true(worker_value(&x, 1, EXPORT_WORKER_CONNECTIONS) == 8);
	export_end(&x);
}

static void stopped_is_told(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	port_worker(&rows, 17, 700, 5)->state = 'T';
	port_worker(&rows, 17, 701, 6)->state = 'R';
	port_worker(&rows, 17, 702, 7)->state = 0;
	collect_one(&x, 100, &rows);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_STOPPED) == 1);
	assert_true(worker_value(&x, 1, EXPORT_WORKER_STOPPED) == 0);
	assert_true(isnan(worker_value(&x, 2, EXPORT_WORKER_STOPPED)));
	export_end(&x);
}

/* --workers pid: the threads of a process are one; a process keeps its counts for itself. */
static void by_pid_a_process_is_one_worker(void **state)
{
	struct port_rows rows;
	struct export_state x;
	struct worker_row *w;

	(void)state;
	begun(&x, EXPORT_WORKERS_PID, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	for (int i = 0; i < 4; i++) {
		w = port_worker(&rows, 17, 700 + i, 5 + i);
		w->pid = 700 + i / 2 * 100;
		w->accepted = 1 + i;
		memcpy(w->process, "web", 4);
	}
	collect_one(&x, 100, &rows);
	assert_int_equal(export_port_at(&x, 0)->workers.count, 2);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS) == 3);
	assert_true(worker_value(&x, 1, EXPORT_WORKER_CONNECTIONS) == 7);
	assert_int_equal(export_worker_at(export_port_at(&x, 0), 1)->pid, 800);
	assert_string_equal(export_worker_at(export_port_at(&x, 0), 1)->comm, "web");
	assert_true(value(&x, 0, EXPORT_WORKERS) == 4);
	rows.workers[0].ended = rows.workers[1].ended = true;
	w = port_worker(&rows, 17, 900, 20);
	w->accepted = 5;
	collect_one(&x, 115, &rows);
	assert_int_equal(export_port_at(&x, 0)->workers.count, 3);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS) == 3);
	assert_true(worker_value(&x, 2, EXPORT_WORKER_CONNECTIONS) == 5);
	export_end(&x);
}

/* io_uring: until the thread's start is known its row has start 0; then that row joins its own. Of
 * two threads that had the id one after the other, one gets the counts. */
static void a_row_that_joins_another_is_not_counted_twice(void **state)
{
	struct port_rows rows;
	struct export_state x;
	struct worker_row *w;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	w = port_worker(&rows, 17, 700, 0);
	w->accepted = 10;
	w->bytes.sent = 100;
	collect_one(&x, 100, &rows);
	w->start_ns = 5;
	w->accepted = 12;
	w->bytes.sent = 110;
	port_worker(&rows, 17, 700, 9)->accepted = 3;
	for (double now = 115; now < 150; now += 15) {
		collect_one(&x, now, &rows);
		assert_int_equal(export_port_at(&x, 0)->workers.count, 2);
		assert_true(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS) == 12);
		assert_true(worker_value(&x, 0, EXPORT_WORKER_BYTES_SENT) == 110);
		assert_true(worker_value(&x, 1, EXPORT_WORKER_CONNECTIONS) == 3);
	}
	/* Beside a row with start 0 that stays. */
	port_worker(&rows, 17, 701, 0)->accepted = 20;
	collect_one(&x, 150, &rows);
	port_worker(&rows, 17, 701, 7)->accepted = 4;
	collect_one(&x, 165, &rows);
	assert_int_equal(export_port_at(&x, 0)->workers.count, 4);
	assert_true(worker_value(&x, 2, EXPORT_WORKER_CONNECTIONS) == 20);
	assert_true(worker_value(&x, 3, EXPORT_WORKER_CONNECTIONS) == 4);
	export_end(&x);
}

/* Of a thread that is known late only what it uses from then on counts, unless it began since the
 * last collection. A thread that is no worker yet uses nothing for the port. */
static void what_was_used_before_is_nobodys(void **state)
{
	struct port_rows rows;
	struct export_state x;
	struct worker_row *known, *late, *old, *young;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	known = port_worker(&rows, 17, 700, 5);
	late = port_worker(&rows, 17, 701, 6);
	known->cpu_ns = 1000000000; /* before the first collection */
	late->usage_known = false;
	late->accepted = 1;
	collect_one(&x, 100, &rows);
	assert_true(value(&x, 0, EXPORT_CPU) == 1);

	late->usage_known = true;
	late->cpu_ns = 80000000000;
	old = port_worker(&rows, 17, 702, 7);
	old->appeared = true; /* since counting began, but not since the last collection */
	old->lived_ns = 90000000000;
	old->cpu_ns = 70000000000;
	young = port_worker(&rows, 17, 703, 8);
	young->appeared = true;
	young->lived_ns = 10000000000;
	young->cpu_ns = 2000000000;
	port_worker(&rows, 17, 704, 9)->can_accept = false;
	rows.workers[4].cpu_ns = 50000000000;
	collect_one(&x, 115, &rows);
	assert_true(value(&x, 0, EXPORT_CPU) == 3);
	assert_true(worker_value(&x, 1, EXPORT_WORKER_CPU) == 0);
	assert_true(worker_value(&x, 2, EXPORT_WORKER_CPU) == 0);
	assert_true(worker_value(&x, 3, EXPORT_WORKER_CPU) == 2);

	late->cpu_ns += 250000000;
	old->cpu_ns += 500000000;
	young->cpu_ns += 1000000000;
	rows.workers[4].cpu_ns += 10000000000;
	collect_one(&x, 130, &rows);
	assert_true(value(&x, 0, EXPORT_CPU) == 4.75);
	rows.workers[4].accepted = 1;
	rows.workers[4].cpu_ns += 3000000000;
	collect_one(&x, 145, &rows);
	assert_true(value(&x, 0, EXPORT_CPU) == 7.75);
	assert_true(worker_value(&x, 4, EXPORT_WORKER_CPU) == 3);
	export_end(&x);
}

/* A row with a tid below 0 is a process's from before, and no worker; a thread that only has the
 * socket is none either. */
static void who_takes_nothing_is_no_worker(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	port_worker(&rows, 17, -700, 5)->bytes.received = 10;
	port_worker(&rows, 17, 701, 6)->can_accept = false;
	collect_one(&x, 100, &rows);
	assert_int_equal(export_port_at(&x, 0)->workers.count, 0);
	assert_true(value(&x, 0, EXPORT_WORKERS) == 0);
	assert_true(value(&x, 0, EXPORT_BYTES_RECEIVED) == 10);
	rows.workers[1].accepted = 4; /* it turns out to take */
	collect_one(&x, 115, &rows);
	assert_true(worker_value(&x, 0, EXPORT_WORKER_CONNECTIONS) == 4);
	export_end(&x);
}

/* ---- the limit ---- */

/* Ports in the order of their births, then the lowest slots of all; what is left out is counted. */
static void the_limit_is_kept(void **state)
{
	enum { PORTS = 5, WORKERS = 8 };
	static struct port_rows rows[PORTS];
	struct port_rows *ports[PORTS];
	size_t before = 0, slots = 0;
	double all;

	(void)state;
	for (int i = 0; i < PORTS; i++) {
		port_is(&rows[i], PROTOCOL_TCP, 90 - i);
		port_socket(&rows[i], 17);
		for (int k = 0; k < (i ? WORKERS : 2); k++)
			port_worker(&rows[i], 17, 700 + 10 * i + k, 5 + k);
		ports[i] = &rows[i];
	}
	for (size_t max = 10; max < 1000; max += 7) {
		struct export_state x;
		size_t shown = 0;

		begun(&x, EXPORT_WORKERS_SLOT, max);
		x.values[EXPORT_COLLECT_SECONDS] = 0.01;
		assert_int_equal(collected(&x, 100, ports, PORTS), 0);
		all = x.values[EXPORT_SERIES] + x.values[EXPORT_SERIES_LEFT_OUT];
		assert_true(x.values[EXPORT_SERIES] <= max);
		assert_true(max < all || x.values[EXPORT_SERIES_LEFT_OUT] == 0);
		for (size_t i = 0; i < PORTS; i++)
			shown += export_port_at(&x, i)->shown;
		/* The first born of all is the last in order. */
		for (size_t i = 0; i < PORTS; i++)
			assert_int_equal(export_port_at(&x, i)->shown, i >= PORTS - shown);
		assert_true(shown >= before);
		before = shown;
		slots = shown == PORTS && x.slots_shown > slots ? x.slots_shown : slots;
		assert_true(shown < PORTS || x.slots_shown == slots);
		export_end(&x);
	}
	assert_int_equal(before, PORTS);
	assert_int_equal(slots, WORKERS);
}

static void without_workers_there_are_none(void **state)
{
	struct port_rows rows;
	struct export_state x;

	(void)state;
	begun(&x, EXPORT_WORKERS_NONE, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	port_worker(&rows, 17, 700, 5);
	collect_one(&x, 100, &rows);
	assert_false(export_worker_shown(&x, export_port_at(&x, 0), 0));
	assert_true(x.values[EXPORT_SERIES_LEFT_OUT] == 0);
	assert_true(value(&x, 0, EXPORT_WORKERS) == 1);
	export_end(&x);
}

/* ---- windows ---- */

static void a_window_is_a_state_set(void **state)
{
	struct finding findings[] = { { .code = "stalled", .level = FINDING_PROBLEM },
				      { .code = "stalled", .level = FINDING_PROBLEM, .cookie = 2 },
				      { .code = "alone", .level = FINDING_NOTE } };
	struct port_rows rows;
	struct export_state x;
	struct snapshot window;

	(void)state;
	begun(&x, EXPORT_WORKERS_SLOT, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17)->arrived = 10;
	rows.sockets[0].highest_known = true;
	rows.sockets[0].queue_highest = 4;
	collect_one(&x, 100, &rows);
	assert_true(isnan(value(&x, 0, EXPORT_WINDOW_VERDICT)));
	assert_null(export_port_at(&x, 0)->design);

	rows.e.worker_fairness = (struct fairness){ .bins = 4,
						    .events = 10,
						    .idle = 1,
						    .cv = 0.5,
						    .cv_expected = 0.1,
						    .p_value = NAN,
						    .verdict = VERDICT_UNEVEN };
	rows.e.design = (struct design){ .code = DESIGN_SHARED_EPOLL, .bins = BINS_WORKERS };
	rows.e.findings = findings;
	rows.e.finding_count = 3;
	window = (struct snapshot){ .start_ms = 1796039435596,
				    .seconds = 60.0001,
				    .endpoints = &rows.e,
				    .endpoint_count = 1 };
	/* The clock was set by a minute meanwhile. */
	export_window(&x, &window, 1796039555.596);
	for (unsigned i = 0; i <= VERDICT_WITHHELD; i++)
		assert_true(value(&x, 0, EXPORT_WINDOW_VERDICT + i) == (i == VERDICT_UNEVEN));
	assert_true(value(&x, 0, EXPORT_WINDOW_CV) == 0.5);
	assert_true(isnan(value(&x, 0, EXPORT_WINDOW_P_VALUE)));
	assert_true(value(&x, 0, EXPORT_WINDOW_IDLE) == 1);
	assert_true(value(&x, 0, EXPORT_WINDOW_EVENTS) == 10);
	assert_true(value(&x, 0, EXPORT_WINDOW_HIGHEST) == 4);
	assert_string_equal(export_port_at(&x, 0)->design, "shared-epoll");
	assert_int_equal(export_port_at(&x, 0)->finding_count, 2); /* one for each code */
	assert_true(x.values[EXPORT_WINDOW_END] == 1796039555.596);
	/* Collections do not touch it, the next window replaces it. */
	rows.e.findings = NULL;
	collect_one(&x, 115, &rows);
	assert_int_equal(export_port_at(&x, 0)->finding_count, 2);
	assert_true(value(&x, 0, EXPORT_WINDOW_CV) == 0.5);
	window.endpoint_count = 0;
	export_window(&x, &window, 1796039615.596);
	assert_int_equal(export_port_at(&x, 0)->finding_count, 0);
	assert_true(isnan(value(&x, 0, EXPORT_WINDOW_CV)));
	export_end(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_metric_is_one_of_openmetrics),
		cmocka_unit_test(each_number_is_offered_once),
		cmocka_unit_test(verdicts_are_named_as_in_json),
		cmocka_unit_test(counters_are_what_was_counted),
		cmocka_unit_test(datagrams_have_counters_of_their_own),
		cmocka_unit_test(counters_never_go_back),
		cmocka_unit_test(what_comes_back_is_not_counted_twice),
		cmocka_unit_test(what_was_forgotten_counts_from_the_beginning),
		cmocka_unit_test(losses_are_named_from_the_beginning_and_never_fall),
		cmocka_unit_test(a_gone_port_stays_for_ten_minutes),
		cmocka_unit_test(a_renamed_namespace_makes_another_port),
		cmocka_unit_test(labels_are_shown_once),
		cmocka_unit_test(ports_are_in_order_and_found_again),
		cmocka_unit_test(passing_clients_of_udp_have_no_series),
		cmocka_unit_test(gone_ports_are_few),
		cmocka_unit_test(what_the_ledger_forgot_is_no_port),
		cmocka_unit_test(a_successor_goes_on_from_the_slots_counter),
		cmocka_unit_test(a_reused_thread_id_is_another_worker),
		cmocka_unit_test(a_thread_with_two_sockets_is_one_worker),
		cmocka_unit_test(short_lives_are_counted),
		cmocka_unit_test(a_free_slot_is_shown_for_ten_minutes),
		cmocka_unit_test(stopped_is_told),
		cmocka_unit_test(by_pid_a_process_is_one_worker),
		cmocka_unit_test(a_row_that_joins_another_is_not_counted_twice),
		cmocka_unit_test(what_was_used_before_is_nobodys),
		cmocka_unit_test(who_takes_nothing_is_no_worker),
		cmocka_unit_test(the_limit_is_kept),
		cmocka_unit_test(without_workers_there_are_none),
		cmocka_unit_test(a_window_is_a_state_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
