/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What gives each worker of a known server its own socket: user/model/advice.c, and the findings
 * that say it. */
#include "findings_fixture.h"

#include "../../user/model/advice.h"
#include "../../user/model/judge.h"

static const char *option_of(const char *process, enum protocol protocol)
{
	char name[16] = "";
	const struct advice *a;

	memcpy(name, process, strnlen(process, sizeof(name))); /* the longest has no NUL */
	a = advice_find(name, protocol);
	return !a ? "not known" : a->option ? a->option : "none";
}

static void programs_are_told_by_their_whole_names(void **state)
{
	(void)state;
	assert_string_equal(option_of("nginx", PROTOCOL_TCP), "'reuseport' on the listen line");
	assert_string_equal(option_of("nginx", PROTOCOL_UDP), "not known");
	assert_string_equal(option_of("nginx-proxy", PROTOCOL_TCP), "not known");
	assert_string_equal(option_of("ngin", PROTOCOL_TCP), "not known");
	assert_string_equal(option_of("", PROTOCOL_TCP), "not known");
	assert_string_equal(option_of("php-fpm8.2", PROTOCOL_TCP), "none");
	assert_string_equal(option_of("gunicorn: worker", PROTOCOL_TCP), "none");
	assert_string_equal(option_of("nsd: server 1", PROTOCOL_UDP), "'reuseport: yes'");
	assert_string_equal(option_of("nsd: server 1", PROTOCOL_TCP), "none");
	assert_string_equal(option_of("python3", PROTOCOL_TCP), "not known");
}

/* Four processes on one socket, no work yet. */
static struct endpoint *server(struct fixture *f, const char *process)
{
	struct endpoint *e;

	*f = (struct fixture){};
	e = add_port(f, PROTOCOL_TCP, "0.0.0.0", 80);
	add_socket(e, 17, 0)->arrived = 0;
	add_holder(e, 17, 700, process);
	for (int i = 1; i < 5; i++) {
		strcpy(add_worker(e, 17, 700 + i, 700 + i)->process, process);
		e->workers[i - 1].parent = 700;
		add_holder(e, 17, 700 + i, process);
	}
	return e;
}

#define SHARED                                                                                     \
	"4 workers (of 4 processes) on one socket, 17: which of them wakes decides who gets the "  \
	"work; "

static void assert_advice(struct fixture *f, const char *words)
{
	char text[512] = SHARED;

	fill(f);
	assert_finding(f->endpoints, "shared-socket", strcat(text, words));
	done(f);
}

static void what_is_known_of_the_program_is_said(void **state)
{
	struct fixture f;

	(void)state;
	server(&f, "nginx");
	assert_advice(&f, "with SO_REUSEPORT each could have its own: 'reuseport' on the listen "
			  "line (nginx since 1.9.1)");
	server(&f, "apache2");
	assert_advice(&f,
		      "with SO_REUSEPORT each could have its own: 'ListenCoresBucketsRatio 1' "
		      "(Apache httpd since 2.4.13), though one for each CPU, not for each worker");
	server(&f, "named");
	assert_advice(&f, "with SO_REUSEPORT each could have its own: 'reuseport yes' (BIND)");
	server(&f, "gunicorn");
	assert_advice(&f, "no option of gunicorn gives each worker its own socket; several "
			  "gunicorns of one worker each do, with --reuse-port");
	server(&f, "server");
	assert_advice(&f, "with SO_REUSEPORT each could have its own");
}

static void of_one_that_is_not_known_nothing_is(void **state)
{
	struct fixture f;
	struct endpoint *e = server(&f, "nginx");

	(void)state;
	strcpy(e->workers[2].process, "server");
	assert_advice(&f, "with SO_REUSEPORT each could have its own");
	strcpy(e->workers[2].process, "haproxy");
	assert_advice(&f, "with SO_REUSEPORT each could have its own");
}

/* uvicorn's workers are "python3"; their parent holds the socket too. */
static void an_interpreter_is_told_by_its_parent(void **state)
{
	struct fixture f;
	struct endpoint *e = server(&f, "python3");

	(void)state;
	assert_advice(&f, "with SO_REUSEPORT each could have its own");
	strcpy(e->holders[0].process, "uvicorn");
	assert_advice(&f, "no option of uvicorn gives each worker its own socket");
	e->workers[3].parent = 0;
	assert_advice(&f, "with SO_REUSEPORT each could have its own");
	e = server(&f, "web"); /* no interpreter's name: started by uvicorn, but what is it? */
	strcpy(e->holders[0].process, "uvicorn");
	assert_advice(&f, "with SO_REUSEPORT each could have its own");
}

static void assert_lone(struct fixture *f, const char *process, const char *words)
{
	char text[512] = "socket 17 (inode 1017) has SO_REUSEPORT, but is alone in its group: the "
			 "option has no effect, and 4 threads of 4 processes"
			 " take from the one socket; ";
	struct endpoint *e = server(f, process);

	e->sockets[0].reuseport = true;
	e->sockets[0].group = 17;
	fill(f);
	assert_finding(e, "lone-reuseport", strcat(text, words));
	done(f);
}

/* What sets the option only where it is asked to has been asked to; who always sets it may not have
 * been. */
static void what_is_done_by_now_is_no_advice(void **state)
{
	struct fixture f;

	(void)state;
	assert_lone(&f, "nginx", "to let the kernel share, open one for each");
	assert_lone(&f, "haproxy",
		    "to let the kernel share, open one for each: 'shards by-thread' on the bind "
		    "line (haproxy since 2.5)");
	assert_lone(&f, "uwsgi", "no option of uWSGI gives each worker its own socket");
}

/* Uneven, and woken in vain: the same words, and no EPOLLEXCLUSIVE, which is the program's to use.
 */
static void problems_say_it_too(void **state)
{
	static const uint64_t uneven[] = { 25082, 12155, 2502, 261 };
	struct fixture f;
	struct endpoint *e = server(&f, "nginx");

	(void)state;
	for (int i = 0; i < 4; i++) {
		e->workers[i].accepted = uneven[i];
		e->workers[i].wait_kind = WAITS_EPOLL;
		e->workers[i].epoll = 1700 + i;
		e->workers[i].exclusive = true;
	}
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_non_null(strstr(e->findings[0].text,
			       "; for an even share give each its own SO_REUSEPORT socket: "
			       "'reuseport' on the listen line (nginx since 1.9.1)"));
	done(&f);
	for (int i = 0; i < 4; i++) {
		e->workers[i].exclusive = false;
		e->workers[i].accepted = 10000;
		e->workers[i].usage_known = true;
		e->workers[i].sleeps = 40000;
	}
	e->sockets[0].waiting_most = 4;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_string_equal(e->findings[0].code, "thundering-herd");
	assert_non_null(strstr(e->findings[0].text,
			       " in vain; give each its own SO_REUSEPORT socket: "
			       "'reuseport' on the listen line (nginx since 1.9.1)"));
	assert_null(strstr(e->findings[0].text, "favours"));
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_are_told_by_their_whole_names),
		cmocka_unit_test(what_is_known_of_the_program_is_said),
		cmocka_unit_test(of_one_that_is_not_known_nothing_is),
		cmocka_unit_test(an_interpreter_is_told_by_its_parent),
		cmocka_unit_test(what_is_done_by_now_is_no_advice),
		cmocka_unit_test(problems_say_it_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
