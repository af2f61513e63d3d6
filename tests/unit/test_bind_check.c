/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bind-check says, and as text and JSON byte for byte: user/bind/bind_check.c,
 * user/render/text_bind_check.c, json_bind_check.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "../../user/render/bind_report.h"
#include "bind_fixture.h"

static const struct text_style utf8 = { .utf8 = true };
static struct bind_ports ports;

/* Asked by uid 1000 where the limit is 1024, unless it says more. */
static struct bind_check judged(const char *words, int address_error,
				const struct bind_occupant *occupants, size_t count)
{
	struct bind_check c = { .event = event(CALL_BIND, 0, words),
				.address_error = address_error,
				.occupants = occupants,
				.occupant_count = count };

	c.event.pid = 0;
	*c.event.comm = 0;
	bind_check_judge(&c, &ports);
	return c;
}

static void errors_come_in_the_kernels_order(void **state)
{
	static const struct {
		const char *words;
		int address_error, error;
	} rows[] = {
		{ "tcp 0.0.0.0:80 uid=1000", 0, EACCES },
		{ "tcp 0.0.0.0:1023 uid=1000", 0, EACCES },
		{ "tcp 10.9.9.9:80 uid=1000", EADDRNOTAVAIL,
		  EADDRNOTAVAIL }, /* IPv4 looks at the address first */
		{ "tcp [2001:db8::1]:80 uid=1000", EADDRNOTAVAIL, EACCES }, /* IPv6 at the rights */
		{ "tcp [2001:db8::1]:8080 uid=1000", EADDRNOTAVAIL, EADDRNOTAVAIL },
		{ "tcp [ff02::1]:80 uid=1000", EINVAL, EINVAL },
		{ "udp [ff02::1]:80 uid=1000", EINVAL, EACCES },
		{ "tcp [::1]:80 uid=1000", EAFNOSUPPORT, EAFNOSUPPORT },
	};
	const struct bind_occupant o = occupant(BIND_LISTENING, "tcp 0.0.0.0:80");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bind_check c = judged(rows[i].words, rows[i].address_error, &o, 1);

		if (c.outlook != BIND_FAILS || c.event.error != rows[i].error || !*c.text)
			fail_msg("%s: %d", rows[i].words, c.event.error);
		assert_false(c.helps_reuseaddr || c.helps_reuseport || c.helps_both);
	}
}

static void rights_let_in(void **state)
{
	struct bind_check c = judged("tcp 0.0.0.0:1024 uid=1000", 0, NULL, 0);

	(void)state;
	assert_int_equal(c.outlook, BIND_WORKS);
	assert_int_equal(c.event.error, 0);
	c = judged("tcp 0.0.0.0:80 uid=1000", 0, NULL, 0);
	c.event.can_bind_low = true;
	bind_check_judge(&c, &ports);
	assert_int_equal(c.outlook, BIND_WORKS);
	assert_string_equal(c.text, "");
}

static void listen_is_predicted_too(void **state)
{
	struct bind_occupant o = occupant(BIND_BOUND, "tcp 0.0.0.0:8080");
	struct bind_check c;

	(void)state;
	o.bucket = (struct bind_bucket){ .known = true, .reuse = 1 };
	c = judged("tcp 0.0.0.0:8080 reuseaddr", 0, &o, 1);
	assert_int_equal(c.outlook, BIND_FAILS);
	assert_int_equal(c.event.call, CALL_LISTEN);
	assert_int_equal(c.event.error, EADDRINUSE);
}

static void options_that_would_help_are_named(void **state)
{
	struct bind_occupant o[2] = { occupant(BIND_LISTENING,
					       "tcp 0.0.0.0:8080 reuseport reuseaddr"),
				      occupant(BIND_BOUND, "tcp 0.0.0.0:8080 reuseaddr uid=9") };
	struct bind_check c = judged("tcp 0.0.0.0:8080", 0, o, 1);

	(void)state;
	assert_true(c.helps_reuseport && !c.helps_reuseaddr && !c.helps_both);
	c = judged("tcp 0.0.0.0:8080", 0, o + 1, 1);
	assert_true(!c.helps_reuseport && c.helps_reuseaddr && !c.helps_both);
	c = judged("tcp 0.0.0.0:8080", 0, o, 2);
	assert_true(!c.helps_reuseport && !c.helps_reuseaddr && c.helps_both);
	c = judged("tcp 0.0.0.0:8080 reuseport", 0, o, 2);
	assert_true(!c.helps_reuseport && c.helps_reuseaddr && !c.helps_both);
}

/* What works, what may not, and who is in the way, twice over. */
static void report_prepare(struct bind_check checks[3], struct bind_occupant occupants[3],
			   struct bind_report *r)
{
	occupants[0] = occupant(BIND_LISTENING, "tcp 0.0.0.0:8080");
	occupants[1] = occupant(BIND_TIME_WAIT, "tcp 127.0.0.1:8080 reuseaddr");
	occupants[2] = occupant(BIND_LISTENING, "tcp [::]:8080 v6only");
	occupants[0].holders = 3;
	strcpy(occupants[0].process, "ngi\033nx");
	occupants[1].count = 1200;
	occupants[1].seconds_left = 41.24;
	checks[0] = judged("tcp 127.0.0.1:8081 uid=1000", 0, NULL, 0);
	checks[1] = judged("tcp 0.0.0.0:81 uid=1000", 0, NULL, 0);
	checks[2] = judged("tcp 0.0.0.0:8080 uid=1000", 0, occupants, 3);
	*r = (struct bind_report){ .checks = checks,
				   .count = 3,
				   .release = "6.1.0",
				   .netns = 4026531840u,
				   .uid = 1000,
				   .complete = true };
}

static char *printed(const struct bind_report *r, const struct text_style *style)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (style)
		text_bind_check(f, r, style);
	else
		assert_int_equal(json_bind_check(f, r), 0);
	fclose(f);
	return text;
}

static void ipv6_alone_is_named_where_it_would_work(void **state)
{
	const struct bind_occupant four = occupant(BIND_LISTENING, "tcp 0.0.0.0:8080"),
				   six = occupant(BIND_LISTENING, "tcp [::]:8080 v6only");
	struct bind_check c = judged("tcp [::]:8080", 0, &four, 1);
	struct bind_report r = { .checks = &c, .count = 1, .release = "6.1.0", .complete = true };
	char *text;

	(void)state;
	assert_true(c.helps_v6only);
	text = printed(&r, &utf8);
	assert_non_null(
		strstr(text, "\n    it would work with IPV6_V6ONLY (--v6only), without IPv4\n"));
	free(text);
	text = printed(&r, NULL);
	assert_non_null(strstr(text, "\"would_work_with\":[\"v6only\"]"));
	free(text);
	assert_false(judged("tcp [::]:8080", 0, &six, 1).helps_v6only);
	assert_false(judged("tcp [::ffff:127.0.0.1]:8080", 0, &four, 1)
			     .helps_v6only); /* bind() refuses that */
	assert_false(judged("tcp 127.0.0.1:8080", 0, &four, 1).helps_v6only);
}

static void what_is_left_open_has_its_reason(void **state)
{
	struct bind_occupant o[2] = { occupant(BIND_UNCONNECTED, "udp 127.0.0.1:8053"),
				      occupant(BIND_UNCONNECTED, "udp 127.0.0.2:53 reuseport") };
	struct bind_check c = judged("udp 0.0.0.0:8053 reuseport", 0, o, 2);

	(void)state;
	assert_int_equal(c.outlook, BIND_MAY_FAIL);
	assert_non_null(strstr(
		c.text, "address. Not decided: others there let it join them by SO_REUSEPORT, and "
			"the first that the kernel comes to decides: their order can't "
			"be seen"));
	o[0].count = 11;
	c = judged("udp 0.0.0.0:8053", 0, o, 1);
	assert_int_equal(c.outlook, BIND_MAY_FAIL);
	assert_non_null(strstr(c.text,
			       ". Not decided: some kernels hold a wildcard address against other "
			       "wildcards alone, where a UDP port has more than ten sockets"));
	o[0] = occupant(BIND_TIME_WAIT, "tcp 0.0.0.0:80");
	o[0].options_known = false;
	c = judged("tcp 0.0.0.0:80 reuseaddr uid=9", 0, o, 1);
	c.event.can_bind_low = true;
	bind_check_judge(&c, &ports);
	assert_int_equal(c.outlook, BIND_MAY_FAIL);
	assert_non_null(
		strstr(c.text, ". Not decided: which options a socket there had is not known"));
	c = judged("tcp 0.0.0.0:8080", 0, o, 0);
	assert_string_equal(c.text, "");
}

static void text_names_who_is_in_the_way(void **state)
{
	struct bind_occupant occupants[3];
	struct bind_check checks[3];
	struct bind_report r;
	char *text;

	(void)state;
	report_prepare(checks, occupants, &r);
	text = printed(&r, &utf8);
	assert_string_equal(
		text,
		"✓ tcp 127.0.0.1:8081: bind() and listen() would work\n"
		"! tcp 0.0.0.0:81: bind() would fail: EACCES: ports below 1024 "
		"(net.ipv4.ip_unprivileged_port_start) need CAP_NET_BIND_SERVICE, which uid 1000 "
		"does not "
		"have; give it that capability (systemd: "
		"AmbientCapabilities=CAP_NET_BIND_SERVICE), lower the limit or take a port above "
		"it\n"
		"! tcp 0.0.0.0:8080: bind() would fail: EADDRINUSE: ngi?nx (pid 7 and 2 others, "
		"uid 0) listens on 0.0.0.0:8080 without SO_REUSEPORT; stop it, or take "
		"another port or address (1200 more sockets are in the way)\n"
		"    listening    0.0.0.0:8080           ngi?nx 7 and 2 others, uid 0\n"
		"    time-wait    127.0.0.1:8080         1,200 sockets, held by no process, 41.2 s "
		"left, SO_REUSEADDR\n");
	free(text);
	r.complete = false;
	r.count = 1;
	text = printed(&r, &(struct text_style){});
	assert_string_equal(text, "ok tcp 127.0.0.1:8081: bind() and listen() would work\n"
				  "  not all sockets of that network namespace could be looked at: "
				  "there may be more in the way\n");
	free(text);
}

static void many_in_the_way_are_cut(void **state)
{
	struct bind_occupant occupants[30];
	struct bind_check c;
	struct bind_report r = { .checks = &c, .count = 1, .complete = true };
	size_t lines = 0;
	char *text;

	(void)state;
	for (size_t i = 0; i < 30; i++)
		occupants[i] = occupant(BIND_LISTENING, "tcp 0.0.0.0:8080 reuseport");
	c = judged("tcp 0.0.0.0:8080", 0, occupants, 30);
	text = printed(&r, &utf8);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 13);
	assert_non_null(strstr(text, "\n    and 20 more\n    it would work with SO_REUSEPORT "
				     "(--reuseport), sharing the port\n"));
	free(text);
}

static void json_is_one_line(void **state)
{
	static const char cgroup[CGROUP_SIZE] = "/system.slice/nginx.service";
	static const struct bind_holder holder = { .pid = 7, .descriptor = 6 };
	struct bind_occupant occupants[3];
	struct bind_check checks[3];
	struct bind_report r;
	char *text;

	(void)state;
	report_prepare(checks, occupants, &r);
	r.checks = checks + 2;
	r.count = 1;
	checks[2].occupant_count = 2;
	occupants[0].held_by = &holder;
	occupants[0].cgroup = cgroup;
	occupants[0].origin = ORIGIN_ASKED;
	occupants[1].origin = ORIGIN_PICKED;
	occupants[1].by_kernel = true;
	strcpy(occupants[1].receiver, "xs_data_ready [sunrpc]");
	memcpy(occupants[1].peer, "\x0a\0\0\x01", 4);
	occupants[1].peer_port = 2049;
	text = printed(&r, NULL);
	assert_string_equal(
		text,
		"{\"schema\":\"sockfair-bind-check/1\",\"version\":\"" SOCKFAIR_VERSION
		"\",\"kernel\":{\"release\":\"6.1.0\"},\"netns\":4026531840,\"uid\":1000,"
		"\"complete\":true,"
		"\"checks\":[{\"protocol\":\"tcp\",\"family\":4,\"address\":\"0.0.0.0\",\"port\":"
		"8080,\"netns\":0,\"device\":null,\"v6only\":null,\"uid\":1000,\"reuseaddr\":false,"
		"\"reuseport\":false,\"outcome\":\"fails\",\"call\":\"bind\",\"error\":"
		"\"EADDRINUSE\",\"text\":\"ngi\\u001bnx (pid 7 and 2 others, uid 0) listens on "
		"0.0.0.0:8080 "
		"without SO_REUSEPORT; stop it, or take another port or address (1200 more sockets "
		"are in the way)\",\"port_limit\":1024,\"would_work_with\":[],\"occupants\":["
		"{\"protocol\":\"tcp\",\"family\":4,\"address\":\"0.0.0.0\",\"port\":8080,"
		"\"netns\":0,\"device\":null,\"v6only\":null,\"uid\":0,\"reuseaddr\":false,"
		"\"reuseport\":false,\"state\":\"listening\",\"sockets\":1,\"inode\":301,"
		"\"cookie\":17,\"pid\":7,\"pid_inside\":7,\"holders\":3,\"process\":"
		"\"ngi\\u001bnx\","
		"\"seconds_left\":null,\"descriptor\":6,\"cgroup\":\"/system.slice/"
		"nginx.service\",\"unit\":\"nginx.service\",\"container\":null,\"kernel\":null,"
		"\"peer\":null,\"port_picked\":false,\"in_the_way\":true},"
		"{\"protocol\":\"tcp\",\"family\":4,\"address\":\"127.0.0.1\",\"port\":8080,"
		"\"netns\":0,\"device\":null,\"v6only\":null,\"uid\":0,\"reuseaddr\":true,"
		"\"reuseport\":false,\"state\":\"time-wait\",\"sockets\":1200,\"inode\":null,"
		"\"cookie\":null,\"pid\":null,\"pid_inside\":null,\"holders\":0,\"process\":null,"
		"\"seconds_left\":41.24,\"descriptor\":null,\"cgroup\":null,\"unit\":null,"
		"\"container\":null,\"kernel\":\"xs_data_ready [sunrpc]\","
		"\"peer\":{\"address\":\"10.0.0.1\",\"port\":2049},\"port_picked\":true,\"in_the_"
		"way\":true}]}]}\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_come_in_the_kernels_order),
		cmocka_unit_test(rights_let_in),
		cmocka_unit_test(listen_is_predicted_too),
		cmocka_unit_test(options_that_would_help_are_named),
		cmocka_unit_test(text_names_who_is_in_the_way),
		cmocka_unit_test(many_in_the_way_are_cut),
		cmocka_unit_test(json_is_one_line),
		cmocka_unit_test(ipv6_alone_is_named_where_it_would_work),
		cmocka_unit_test(what_is_left_open_has_its_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
