/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How CPU time and bytes are spread, and what is said of that: user/model/load.c, findings_load.c.
 */
#include "findings_fixture.h"
#include "../../user/model/judge.h"

#define MS 1000000ull

/* Four processes with a SO_REUSEPORT socket each, which have taken, used and carried that. */
static struct endpoint *add_server(struct fixture *f, const uint64_t accepted[4],
				   const uint64_t cpu_ms[4], const uint64_t bytes[4])
{
	struct endpoint *e = add_port(f, PROTOCOL_TCP, "0.0.0.0", 80);

	f->snapshot.looked_seconds = 2;
	for (int i = 0; i < 4; i++) {
		struct socket_row *s = add_socket(e, 17 + i, 17);
		struct worker_row *w = add_worker(e, 17 + i, 700 + i, 700 + i);

		s->arrived = s->accepted = w->accepted = accepted[i];
		strcpy(w->process, "redis");
		w->usage_known = w->process_cpu_known = true;
		w->cpu_ns = w->process_cpu_ns = cpu_ms[i] * MS;
		w->bytes_known = true;
		w->bytes = (struct bytes){ bytes[i] / 4, bytes[i] - bytes[i] / 4 };
		e->connections_open += 2;
	}
	return e;
}

static void judge(struct endpoint *e)
{
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
}

static const struct finding *find(const struct endpoint *e, const char *code)
{
	for (size_t i = 0; i < e->finding_count; i++)
		if (!strcmp(e->findings[i].code, code))
			return &e->findings[i];
	return NULL;
}

static void assert_said(const struct endpoint *e, const char *code, const char *text)
{
	const struct finding *f = find(e, code);

	if (!f)
		fail_msg("no %s, of %zu findings", code, e->finding_count);
	assert_string_equal(f->text, text);
	assert_int_equal(f->level, FINDING_NOTE);
}

static const uint64_t even[] = { 2500, 2510, 2490, 2500 }, uneven[] = { 9000, 900, 90, 10 },
		      few[] = { 3, 2, 2, 1 }, none[4];
static const uint64_t busy[] = { 100, 101, 99, 100 }, one_busy[] = { 1700, 100, 100, 100 };
static const uint64_t alike[] = { 1000000, 1010000, 990000, 1000000 },
		      one_heavy[] = { 200000, 200000, 19400000, 200000 };

static void even_accepting_uneven_load(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, even, one_busy, alike);

	(void)state;
	judge(e);
	fill(&f);
	assert_said(e, "cpu-uneven",
		    "accepting is even, but CPU time is not: of 4 workers redis 700 used 85% of "
		    "2.0 s, the least busy 5% (CV 1.39); with 85% of "
		    "one CPU its thread is near the limit");
	assert_null(find(e, "bytes-uneven"));
	done(&f);
	/* by many threads: none of them is near anything */
	e->workers[0].cpu_ns = 100 * MS;
	judge(e);
	fill(&f);
	assert_null(strstr(find(e, "cpu-uneven")->text, "near the limit"));
	/* There may be something to fix. */
	assert_non_null(find(e, "even"));
	assert_null(strstr(find(e, "even")->text, "nothing to fix"));
	strcpy(e->workers[0].cgroup, "/system.slice/redis.service");
	fill(&f);
	assert_non_null(strstr(find(e, "cpu-uneven")->text,
			       "of 4 workers redis 700 in redis.service used 85% of 2.0 s"));
	done(&f);
	/* what is even is said to be */
	f = (struct fixture){};
	e = add_server(&f, even, busy, alike);
	judge(e);
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_non_null(strstr(find(e, "even")->text, "nothing to fix"));
	done(&f);
}

static void few_connections_much_load(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, few, busy, one_heavy);

	(void)state;
	for (int i = 0; i < 8; i++)
		e->connections[i] =
			(struct connection_row){ .id = i,
						 .pid = i < 3 ? 702 : 700,
						 .tid = i < 3 ? 702 : 700,
						 .age_ns = i == 1 ? 0 : 3600000000000ull,
						 .bytes = { i < 3 ? 6400000 : 100000, 0 } };
	e->connection_count = e->connections_open = 8;
	judge(e);
	fill(&f);
	assert_said(e, "bytes-uneven",
		    "too few came to judge the accepting by, but the bytes are uneven: of 4 "
		    "workers redis 702 carried 97% of 20.0 MB, the least busy "
		    "1% (CV 1.66); 2 of 8 open connections carry 64%, all on it");
	assert_null(find(e, "cpu-uneven"));
	done(&f);
	/* all of before, all since then, and on whom */
	e->connections[1].age_ns = 7200000000000ull;
	fill(&f);
	assert_non_null(
		strstr(find(e, "bytes-uneven")->text,
		       "; 2 of 8 open connections carry 64%, all on it, open for at least 60 min"));
	done(&f);
	for (int i = 0; i < 8; i++)
		e->connections[i].age_ns = 0;
	e->connections[0].pid = e->connections[0].tid = 700;
	fill(&f);
	assert_non_null(strstr(find(e, "bytes-uneven")->text,
			       "; 2 of 8 open connections carry 64%, 1 of "
			       "them on it, open since before the window"));
	done(&f);
	/* half of all: that is no few */
	e->connections_open = e->connection_count = 4;
	fill(&f);
	assert_null(strstr(find(e, "bytes-uneven")->text, "open connections"));
	done(&f);
}

static void uneven_accepting_even_load(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, uneven, busy, alike);

	(void)state;
	judge(e);
	fill(&f);
	assert_said(e, "load-even",
		    "accepting is uneven, but the load is not: CPU time has a CV of 0.01 over 4 "
		    "workers, the bytes one of 0.01");
	done(&f);
	/* no load at all is no even load; and one that is as uneven needs no word */
	for (int i = 0; i < 4; i++)
		e->workers[i].process_cpu_ns = MS;
	judge(e);
	fill(&f);
	assert_null(find(e, "load-even"));
	done(&f);
	f = (struct fixture){};
	e = add_server(&f, uneven, one_busy, one_heavy);
	judge(e);
	fill(&f);
	assert_null(find(e, "load-even"));
	assert_null(find(e, "cpu-uneven"));
	assert_null(find(e, "bytes-uneven"));
	done(&f);
}

static void nothing_where_not_all_is_known(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, none, one_busy, one_heavy);

	(void)state;
	judge(e);
	fill(&f);
	assert_non_null(find(e, "cpu-uneven"));
	assert_non_null(strstr(find(e, "cpu-uneven")->text, "CPU time is uneven: of 4 workers"));
	assert_non_null(find(e, "bytes-uneven"));
	done(&f);
	e->workers[3].process_cpu_known = false;
	e->older_cut = true;
	judge(e);
	assert_nothing(&f);
	e->older_cut = false;
	e->workers[1].bytes_at_least = true;
	judge(e);
	assert_nothing(&f);
}

/* What is not known may be of more than the interval, as is that of a row that is new in it. */
static void unknown_cpu_time_counts_nowhere(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, none, busy, alike);
	struct worker_row *w = add_worker(e, 17, 700, 710);

	(void)state;
	w->process_cpu_ns = 5000 * MS;
	w->can_accept = false;
	judge(e);
	assert_true(e->cpu.known && e->cpu.processes);
	assert_int_equal(e->cpu.total, 400 * MS);
}

/* One connection can't be spread, nor is a trickle a load. */
static void too_little_to_spread(void **state)
{
	static const uint64_t one[] = { 0, 0, 20000000, 0 };
	struct fixture f = {};
	struct endpoint *e = add_server(&f, none, none, one);

	(void)state;
	e->connections_open = 3;
	judge(e);
	assert_nothing(&f);
	e->connections_open = 4;
	fill(&f);
	assert_non_null(find(e, "bytes-uneven"));
	done(&f);
	f.snapshot.seconds = 3600;
	assert_nothing(&f);
}

/* An old worker's download is among all bytes, though no verdict is about it. */
static void heavy_connections_are_of_all(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, none, none, one_heavy);
	struct worker_row *w = add_worker(e, 17, 690, 690);

	(void)state;
	w->ended = true;
	w->bytes_known = true;
	w->bytes.sent = 80000000;
	e->connections[0] = (struct connection_row){
		.id = 1, .pid = 690, .tid = 690, .bytes = { 0, 80000000 }
	};
	e->connection_count = 1;
	e->connections_open = 4;
	judge(e);
	fill(&f);
	assert_non_null(
		strstr(find(e, "bytes-uneven")->text,
		       "; 1 of 4 open connections carries 80%, open since before the window"));
	done(&f);
}

/* A thread on several sockets has its CPU time in each row; its bytes are each row's own. */
static void rows_of_one_thread(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, none, busy, alike);

	(void)state;
	for (int i = 0; i < 4; i++) {
		e->workers[i].pid = 700;
		e->workers[i].tid = 700 + i / 2;
		e->workers[i].cpu_ns = (1 + i / 2) * 100 * MS;
		e->workers[i].process_cpu_ns = 300 * MS;
	}
	judge(e);
	assert_false(e->cpu.processes);
	assert_int_equal(e->cpu.workers, 2);
	assert_int_equal(e->cpu.total, 300 * MS);
	assert_int_equal(e->cpu.tid, 701);
	assert_int_equal(e->carried.total, 4000000);
	assert_int_equal(e->carried.most, 2010000);
	/* bytes of connections of which no thread is known: of threads nothing, of processes all */
	e->workers[3].tid = -700;
	e->workers[3].can_accept = false;
	judge(e);
	assert_false(e->carried.known);
	e->workers[2].pid = e->workers[2].tid = 702;
	judge(e);
	assert_true(e->cpu.processes);
	assert_true(e->carried.known);
	assert_int_equal(e->carried.total, 4000000);
}

/* One of the workers is stuck: that is why it uses nothing. */
static void what_is_explained_is_no_news(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, few, one_busy, one_heavy);

	(void)state;
	e->sockets[3].queue_length = 5;
	e->sockets[3].stalled_ns = 3000000000ull;
	judge(e);
	fill(&f);
	assert_non_null(find(e, "stalled-socket"));
	assert_null(find(e, "cpu-uneven"));
	assert_null(find(e, "bytes-uneven"));
	done(&f);
	e->sockets[3].queue_length = 0;
	e->sockets[3].stalled_ns = 0;
	fill(&f);
	assert_non_null(find(e, "cpu-uneven"));
	assert_non_null(find(e, "bytes-uneven"));
	done(&f);
}

/* One that came in the middle had less time: as in the verdicts. */
static void lives_for_part_of_the_window(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, none, busy, alike);

	(void)state;
	e->workers[0].appeared = true;
	judge(e);
	assert_int_equal(e->cpu.workers, 3);
	assert_int_equal(e->cpu.total, 300 * MS);
}

static void bytes_for_people(void **state)
{
	char text[LOAD_BYTES_SIZE];

	(void)state;
	assert_string_equal(load_bytes(text, 0), "0 bytes");
	assert_string_equal(load_bytes(text, 999), "999 bytes");
	assert_string_equal(load_bytes(text, 1000), "1.0 kB");
	assert_string_equal(load_bytes(text, 99949), "99.9 kB");
	assert_string_equal(load_bytes(text, 999499), "999 kB");
	assert_string_equal(load_bytes(text, 999500), "1.0 MB");
	assert_string_equal(load_bytes(text, 5000000000000000ull), "5000 TB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(even_accepting_uneven_load),
		cmocka_unit_test(few_connections_much_load),
		cmocka_unit_test(uneven_accepting_even_load),
		cmocka_unit_test(nothing_where_not_all_is_known),
		cmocka_unit_test(unknown_cpu_time_counts_nowhere),
		cmocka_unit_test(too_little_to_spread),
		cmocka_unit_test(heavy_connections_are_of_all),
		cmocka_unit_test(rows_of_one_thread),
		cmocka_unit_test(what_is_explained_is_no_news),
		cmocka_unit_test(lives_for_part_of_the_window),
		cmocka_unit_test(bytes_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
