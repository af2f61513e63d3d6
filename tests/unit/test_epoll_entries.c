/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of epolls as fdinfo shows them: user/steer/epoll_entries.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include <cmocka.h>

#include "../../user/steer/epoll_entries.h"

static const struct epoll_target target = { .inode = 0x2e1, .device = 9 };
static const struct epoll_facts fine = { .keeps_awake = true };

static struct epoll_member member(int32_t pid, int epoll, uint32_t events)
{
	struct epoll_member m = {
		.name = { .pid = pid, .start_ns = 1000 + pid, .epoll = epoll },
		.process = "python3",
		.entries = 1,
		.entry = { .fd = 5, .events = events | EPOLLERR | EPOLLHUP, .data = 5 },
	};

	return m;
}

static struct epoll_picture two_members(uint32_t events)
{
	struct epoll_picture p = { .count = 2 };

	p.members[0] = member(100, 6, EPOLLIN);
	p.members[1] = member(101, 6, events);
	return p;
}

static void lines_of_all_kernels(void **state)
{
	struct epoll_target of;
	struct epoll_entry e;

	(void)state;
	assert_true(
		epoll_entry_parse("tfd:        5 events: 10000019 data:     7f0000000005  pos:0 "
				  "ino:2e1 sdev:9",
				  &e, &of));
	assert_int_equal(e.fd, 5);
	assert_int_equal(e.events, EPOLLEXCLUSIVE | EPOLLIN | EPOLLERR | EPOLLHUP);
	assert_int_equal(e.data, 0x7f0000000005);
	assert_int_equal(of.inode, 0x2e1);
	assert_int_equal(of.device, 9);
	/* All bits, the greatest data, a position, a disk with a great number. */
	assert_true(epoll_entry_parse("tfd: 1000000 events: f0002fff data: ffffffffffffffff  "
				      "pos:-1 ino:ffffffff sdev:800001",
				      &e, &of));
	assert_int_equal(e.fd, 1000000);
	assert_int_equal(e.events, 0xf0002fff);
	assert_true(e.data == UINT64_MAX);
	assert_int_equal(of.inode, 0xffffffff);
	assert_int_equal(of.device, 0x800001);
}

static void other_lines(void **state)
{
	static const char *const lines[] = {
		"",
		"pos:\t0",
		"flags:\t02000002",
		"mnt_id:\t15",
		"ino:\t1057",
		"tfd:        5 events:       19 data:                5", /* before 4.14 */
		"tfd: x events: 19 data: 5 pos:0 ino:2e1 sdev:9",
	};
	struct epoll_target of;
	struct epoll_entry e;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(epoll_entry_parse(lines[i], &e, &of));
}

static void those_of_the_socket(void **state)
{
	static const char text[] = "pos:\t0\nflags:\t02\n"
				   "tfd: 4 events: 19 data: 4  pos:0 ino:2e1 sdev:8\n"
				   "tfd: 5 events: 19 data: 50  pos:0 ino:2e1 sdev:9\n"
				   "tfd: 6 events: 1d data: 60  pos:0 ino:2e11 sdev:9\n"
				   "tfd: 7 events: 1d data: 70  pos:0 ino:2e1 sdev:9";
	struct epoll_entry first = {};

	(void)state;
	assert_int_equal(epoll_entries_find(text, &target, &first), 2);
	assert_int_equal(first.fd, 5);
	assert_int_equal(first.data, 0x50);
	assert_int_equal(epoll_entries_find("", &target, &first), 0);
	assert_int_equal(epoll_entries_find("\n\n", &target, &first), 0);
}

static void found_by_any_name(void **state)
{
	struct epoll_picture p = two_members(EPOLLIN);
	struct epoll_name name = p.members[1].name;

	(void)state;
	p.members[1].others[p.members[1].other_count++] =
		(struct epoll_name){ .pid = 200, .start_ns = 7, .epoll = 3 };
	assert_ptr_equal(epoll_picture_find(&p, &name), &p.members[1]);
	name.start_ns++; /* the pid was given to another process */
	assert_null(epoll_picture_find(&p, &name));
	name = p.members[1].others[0];
	assert_ptr_equal(epoll_picture_find(&p, &name), &p.members[1]);
	name.epoll = 4;
	assert_null(epoll_picture_find(&p, &name));
}

static void assert_refused(const struct epoll_picture *p, const struct epoll_facts *facts,
			   const char *part)
{
	char why[512] = "";

	assert_int_equal(epoll_picture_refuse(p, facts, why, sizeof(why)), part != NULL);
	if (part && !strstr(why, part))
		fail_msg("'%s' is not in '%s'", part, why);
	assert_null(strchr(why, '\n'));
}

static void what_can_be_moved(void **state)
{
	static const uint32_t moved[] = { EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLEXCLUSIVE,
					  EPOLLIN | EPOLLET | EPOLLEXCLUSIVE | EPOLLWAKEUP };

	(void)state;
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		const struct epoll_picture p = two_members(moved[i]);

		assert_refused(&p, &fine, NULL);
	}
}

static void what_can_not(void **state)
{
	static const struct epoll_facts blocking = { .blocking = true, .keeps_awake = true },
					no_right = {};
	struct epoll_picture p = two_members(EPOLLIN | EPOLLONESHOT);

	(void)state;
	assert_refused(&p, &fine, "EPOLLONESHOT");
	p = two_members(EPOLLIN);
	assert_refused(&p, &blocking, "O_NONBLOCK");
	p = two_members(EPOLLIN | EPOLLWAKEUP);
	assert_refused(&p, &no_right, "CAP_BLOCK_SUSPEND");
	p.members[0].entries = 2;
	assert_refused(&p, &fine, "epoll 6 of python3 100 has 2 entries");
	p = two_members(EPOLLIN);
	p.count = 1;
	assert_refused(&p, &fine, "one epoll alone");
	p.count = 0;
	assert_refused(&p, &fine, "no epoll watches it");
	p.count = EPOLL_MEMBERS_MAX;
	p.omitted = 3;
	assert_refused(&p, &fine, "67 epolls watch it");
}

static void assert_compares(const struct epoll_member *now, bool there, enum epoll_change change,
			    const char *expected)
{
	const struct epoll_member before = member(100, 6, EPOLLIN | EPOLLEXCLUSIVE);
	char text[256] = "?";

	assert_int_equal(epoll_member_compare(&before, now, there, text, sizeof(text)), change);
	assert_string_equal(text, expected);
}

static void compared(void **state)
{
	struct epoll_member now = member(100, 6, EPOLLIN | EPOLLEXCLUSIVE);

	(void)state;
	assert_compares(&now, true, EPOLL_SAME, "");
	assert_compares(&now, false, EPOLL_GONE, "");
	now.entry.events &= ~EPOLLEXCLUSIVE;
	assert_compares(&now, true, EPOLL_DIFFERS,
			"epoll 6 of python3 100 has it as number 5, events 19, data 5, not as 5, "
			"10000019, 5");
	now = member(100, 6, EPOLLIN | EPOLLEXCLUSIVE);
	now.entry.data |= 1ull << 63;
	assert_compares(&now, true, EPOLL_DIFFERS,
			"epoll 6 of python3 100 has it as number 5, events 10000019, data "
			"8000000000000005, not as 5, 10000019, 5");
	now = member(100, 6, EPOLLIN | EPOLLEXCLUSIVE);
	now.entry.fd = 7;
	assert_compares(&now, true, EPOLL_DIFFERS,
			"epoll 6 of python3 100 has it as number 7, events 10000019, data 5, not "
			"as 5, 10000019, 5");
	now.entries = 0;
	assert_compares(&now, true, EPOLL_DIFFERS,
			"epoll 6 of python3 100 has no entry for it any more");
	now.entries = 2;
	assert_compares(&now, true, EPOLL_DIFFERS,
			"epoll 6 of python3 100 has 2 entries for it, not 1");
}

static void names_that_fit(void **state)
{
	struct epoll_names names = {};
	char text[400];

	(void)state;
	assert_int_equal(epoll_names_say(&names, "left", text, sizeof(text)), 0);
	assert_string_equal(text, "");
	for (int i = 0; i < 3; i++) {
		const struct epoll_member m = member(100 + i, 6, EPOLLIN);

		epoll_names_add(&names, &m);
	}
	epoll_names_say(&names, "left", text, sizeof(text));
	assert_string_equal(text, "left: python3 100, python3 101, python3 102");
	for (int i = 3; i < 20; i++) {
		const struct epoll_member m = member(i == 15 ? 1 : 100 + i, 6, EPOLLIN);

		epoll_names_add(&names, &m);
	}
	epoll_names_say(&names, "left", text, sizeof(text));
	assert_string_equal(text, "left: python3 100, python3 101, python3 102, python3 103, "
				  "python3 104, python3 105, python3 106, python3 107, python3 "
				  "108, python3 109, python3 110, python3 111 and 8 others");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_all_kernels),
		cmocka_unit_test(other_lines),
		cmocka_unit_test(those_of_the_socket),
		cmocka_unit_test(found_by_any_name),
		cmocka_unit_test(what_can_be_moved),
		cmocka_unit_test(what_can_not),
		cmocka_unit_test(compared),
		cmocka_unit_test(names_that_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
