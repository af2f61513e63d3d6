/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who joins a SO_REUSEPORT group: user/model/findings_joined.c. */
#include <stdio.h>

#include "findings_fixture.h"

/* A group of two sockets of nginx 700 and 701, children of 600; a third one appears, of a process
 * that a test describes. */
static struct holder_row *add_group(struct fixture *f, struct endpoint **e, enum protocol protocol)
{
	struct socket_row *s;

	*e = add_port(f, protocol, "0.0.0.0", 80);
	for (int i = 0; i < 2; i++) {
		struct holder_row *h;

		add_socket(*e, 17 + i, 17);
		h = add_holder(*e, 17 + i, 700 + i, "nginx");
		h->parent = 600;
	}
	s = add_socket(*e, 19, 17);
	s->appeared = true;
	s->appeared_ns = 2100000000;
	return add_holder(*e, 19, 900, "nc");
}

/* Its only finding, or none. */
static const struct finding *joined(struct fixture *f, const struct endpoint *e)
{
	const struct finding *found = NULL;

	done(f);
	fill(f);
	for (size_t i = 0; i < e->finding_count; i++) {
		if (strcmp(e->findings[i].code, "group-joined"))
			continue;
		assert_null(found);
		found = &e->findings[i];
	}
	return found;
}

static void another_program(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct holder_row *h = add_group(&f, &e, PROTOCOL_TCP);
	const struct finding *found;

	(void)state;
	h->parent = 800;
	found = joined(&f, e);
	assert_non_null(found);
	assert_string_equal(found->text, "nc 900 joined the SO_REUSEPORT group of nginx 700 "
					 "(socket 19, inode 1019), seen 2.1 s after counting began:"
					 " with 1 of its 3 sockets it gets a share; if it is not "
					 "meant to, stop it, or give it another port");
	assert_int_equal(found->level, FINDING_PROBLEM);
	assert_int_equal(found->cookie, 19);
	assert_int_equal(evidence(found, "pid"), 900);
	assert_true(evidence(found, "seen_seconds") == 2.1);
	h->parent = 600; /* as siblings, they are of another name */
	assert_non_null(joined(&f, e));
	add_holder(e, 19, 901, "nc")->parent = 900; /* it has forked */
	assert_non_null(strstr(joined(&f, e)->text, "nc 900 joined the"));
	e->holders[3].parent = 600;
	strcpy(e->holders[3].process, "nginx"); /* one of them was given a descriptor */
	assert_null(joined(&f, e));
	e->holder_count--;
	e->sockets[2].steered = true; /* what its program picks is not known */
	assert_non_null(strstr(joined(&f, e)->text, "began: it has 1 of its 3 sockets; if"));
	e->sockets[2].appeared = false;
	assert_null(joined(&f, e));
	done(&f);
}

static void a_second_one(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct holder_row *h = add_group(&f, &e, PROTOCOL_UDP);
	const struct finding *found;

	(void)state;
	h->parent = 800;
	strcpy(h->process, "nginx");
	found = joined(&f, e);
	assert_non_null(found);
	assert_string_equal(found->text, "nginx 900 joined the SO_REUSEPORT group of nginx 700 "
					 "(socket 19, inode 1019), seen 2.1 s after counting began:"
					 " with 1 of its 3 sockets it gets a share");
	assert_int_equal(found->level, FINDING_NOTE);
	e->sockets[2].member = true; /* a copy each */
	assert_null(joined(&f, e));
	done(&f);
}

/* As reloads, restarts and further workers are. */
static void relatives(void **state)
{
	static const struct {
		const char *process;
		int pid, parent;
	} new[] = {
		{ "nginx", 902, 600 },                         /* of the same master */
		{ "nginx7", 902, 600 }, { "other", 902, 700 }, /* begun by one of them */
		{ "other", 600, 1 },                           /* their master */
		{ "other", 701, 600 }, /* one of them, with a further socket */
		{ "other", 902, 0 },   /* not known */
	};
	struct fixture f = {};
	struct endpoint *e;
	struct holder_row *h = add_group(&f, &e, PROTOCOL_TCP);

	(void)state;
	for (size_t i = 0; i < sizeof(new) / sizeof(*new); i++) {
		h->pid = new[i].pid;
		h->parent = new[i].parent;
		snprintf(h->process, sizeof(h->process), "%s", new[i].process);
		if (joined(&f, e))
			fail_msg("%zu: %s", i, joined(&f, e)->text);
	}
	done(&f);
}

static void a_process_is_told_once(void **state)
{
	struct fixture f = {};
	struct endpoint *e;

	(void)state;
	add_group(&f, &e, PROTOCOL_TCP)->parent = 800;
	*add_socket(e, 20, 17) = (struct socket_row){
		.cookie = 20, .reuseport = true, .group = 17, .appeared = true
	};
	add_holder(e, 20, 900, "nc")->parent = 800;
	assert_non_null(strstr(joined(&f, e)->text, "with 2 of its 4 sockets"));
	e->sockets[0].appeared = e->sockets[1].appeared = true; /* nobody was there before */
	assert_null(joined(&f, e));
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_program),
		cmocka_unit_test(a_second_one),
		cmocka_unit_test(relatives),
		cmocka_unit_test(a_process_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
