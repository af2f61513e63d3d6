/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `sockfair binds` prints, byte for byte: user/render/text_binds.c, json_binds.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>

#include "../../user/bind/bind_range.h"
#include "../../user/render/bind_notices.h"
#include "bind_fixture.h"

static const struct text_style plain = { .utf8 = true }, narrow = { .utf8 = true, .width = 80 },
			       coloured = { .utf8 = true, .colour = true };

static const struct bind_totals totals = {
	.release = "6.1.0",
	.backend = "tracepoint",
	.unseen = { "calls by 32-bit processes", "calls through io_uring" },
	.unseen_count = 2,
	.start_ms = 1700000000123,
	.seconds = 5.04,
	.seen = { 1234, 1 },
	.failed = { 2, 1 },
	.shown = 4,
	.suspicious = 1,
	.lost = { { .reason = "events_full", .text = "calls that were not told", .count = 1000 } },
	.lost_count = 1,
};

/* 14 November 2023, 22:13:20.123 UTC */
static struct bind_notice notice(enum bind_call call, int error, const char *words)
{
	struct bind_notice n = { .event = event(call, error, words), .time_ms = 1700000000123 };

	strcpy(n.event.process, "python3");
	return n;
}

static char *text_of(const struct bind_notice *n, const struct text_style *style)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	text_bind_notice(f, n, style);
	fclose(f);
	return text;
}

#define EXPECT_TEXT(notice, style, expected)                                                       \
	do {                                                                                       \
		char *text_ = text_of(notice, style);                                              \
		assert_string_equal(text_, expected);                                              \
		free(text_);                                                                       \
	} while (0)

static void a_failure(void **state)
{
	struct bind_notice n = notice(CALL_BIND, EADDRINUSE, "tcp 0.0.0.0:80 reuseaddr");

	(void)state;
	strcpy(n.why, "nginx (pid 7, uid 0) listens on 0.0.0.0:80 without SO_REUSEPORT; stop it, "
		      "or take another port or address");
	EXPECT_TEXT(&n, &plain,
		    "22:13:20.123 python3 (pid 9) bind tcp 0.0.0.0:80: EADDRINUSE, SO_REUSEADDR\n"
		    "    nginx (pid 7, uid 0) listens on 0.0.0.0:80 without SO_REUSEPORT; stop it, "
		    "or take another port or address\n");
	EXPECT_TEXT(
		&n, &narrow,
		"22:13:20.123 python3 (pid 9) bind tcp 0.0.0.0:80: EADDRINUSE, SO_REUSEADDR\n"
		"    nginx (pid 7, uid 0) listens on 0.0.0.0:80 without SO_REUSEPORT; stop it, or\n"
		"    take another port or address\n");
	*n.why = 0;
	n.incomplete = true;
	EXPECT_TEXT(&n, &coloured,
		    "\033[31m22:13:20.123 python3 (pid 9) bind tcp 0.0.0.0:80: EADDRINUSE, "
		    "SO_REUSEADDR\033[0m\n"
		    "    (not all sockets of the machine could be looked at: there may be others "
		    "in the way)\n");
}

static void a_thread_whose_name_is_a_command(void **state)
{
	struct bind_notice n = notice(CALL_BIND, 0, "udp [::1]:0 reuseport");

	(void)state;
	n.event.tid = 12;
	n.event.port_got = 40123;
	memcpy(n.event.comm, "\033[2Jworker-12345", sizeof(n.event.comm)); /* no NUL */
	n.suspicion_count = 1;
	n.suspicions[0] = (struct bind_suspicion){ .code = "x", .text = "of \033[2J" };
	EXPECT_TEXT(&n, &narrow,
		    "22:13:20.123 ?[2Jworker-12345 (thread 12 of python3, pid 9) bind udp [::1]:0\n"
		    "    (got 40123): worked, SO_REUSEPORT\n"
		    "    ! of ?[2J\n");
}

static void a_listen_and_an_unknown_address(void **state)
{
	struct bind_notice n = notice(CALL_LISTEN, 0, "tcp 127.0.0.1:80");

	(void)state;
	n.event.backlog = 511;
	EXPECT_TEXT(&n, &plain,
		    "22:13:20.123 python3 (pid 9) listen tcp 127.0.0.1:80 backlog 511: worked\n");
	n = notice(CALL_BIND, EFAULT, "tcp [::]:0");
	n.event.asked_known = false;
	EXPECT_TEXT(&n, &plain, "22:13:20.123 python3 (pid 9) bind tcp (IPv6 socket): EFAULT\n");
}

/* What connect() found no port for. */
static struct bind_notice connect_notice(const struct bind_range_use *use)
{
	struct bind_notice n = notice(CALL_CONNECT, EADDRNOTAVAIL, "tcp 127.0.0.1:0");

	n.event.asked_family = 2;
	n.event.peer =
		(struct bind_peer){ .port = 631,
				    .address = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9 } };
	n.event.range = use;
	strcpy(n.why, "because");
	return n;
}

static void a_connect_as_text(void **state)
{
	struct bind_notice n = connect_notice(NULL);

	(void)state;
	EXPECT_TEXT(&n, &plain,
		    "22:13:20.123 python3 (pid 9) connect tcp 127.0.0.1:0 to 10.0.0.9:631: "
		    "EADDRNOTAVAIL\n    because\n");
}

static void totals_as_text(void **state)
{
	struct bind_totals with_connects = totals;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	text_bind_totals(f, &totals, &plain);
	fclose(f);
	assert_string_equal(
		text,
		"1,234 binds and 1 listen seen in 5.0 s: 3 failed, 1 looks wrong; backend "
		"tracepoint, lost 1,000\n"
		"  lost 1,000: calls that were not told\n"
		"  this backend does not see: calls by 32-bit processes; calls through io_uring\n");
	free(text);
	with_connects.failed[CALL_CONNECT] = 3;
	f = open_memstream(&text, &size);
	text_bind_totals(f, &with_connects, &plain);
	fclose(f);
	assert_non_null(
		strstr(text, "lost 1,000\n3 connect() found no port or address\n  lost 1,000"));
	free(text);
	f = open_memstream(&text, &size);
	text_bind_totals(f, &totals, &narrow);
	fclose(f);
	assert_string_equal(
		text,
		"1,234 binds and 1 listen seen in 5.0 s: 3 failed, 1 looks wrong; backend\n"
		"    tracepoint, lost 1,000\n"
		"  lost 1,000: calls that were not told\n"
		"  this backend does not see: calls by 32-bit processes; calls through io_uring\n");
	free(text);
}

/* The document, parsed by somebody else. It is one line. */
static json_t *parsed(int (*print)(FILE *, const void *), const void *what)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	json_t *document;

	assert_int_equal(print(f, what), 0);
	fclose(f);
	assert_ptr_equal(strchr(text, '\n'), text + size - 1);
	document = json_loads(text, 0, NULL);
	assert_non_null(document);
	free(text);
	return document;
}

static int print_notice(FILE *f, const void *n)
{
	return json_bind_notice(f, n);
}

static int print_totals(FILE *f, const void *t)
{
	return json_bind_totals(f, t);
}

static void expect(const json_t *document, const char *key, const char *value)
{
	char *is = json_dumps(json_object_get(document, key), JSON_ENCODE_ANY | JSON_COMPACT);

	if (strcmp(is ? is : "(none)", value))
		fail_msg("%s: %s, not %s", key, is, value);
	free(is);
}

static void a_failure_as_json(void **state)
{
	struct bind_occupant occupants[3] = { occupant(BIND_LISTENING, "tcp 127.0.0.2:80"),
					      occupant(BIND_LISTENING, "tcp 127.0.0.1:80"),
					      occupant(BIND_BOUND, "tcp 127.0.0.1:80") };
	struct bind_notice n = notice(CALL_BIND, EADDRINUSE, "tcp 127.0.0.1:80 uid=1000");
	json_t *document, *listed;

	(void)state;
	n.event.inode = occupants[2].inode = 999; /* its own socket */
	occupants[2].cookie = 0;
	n.occupants = occupants;
	n.occupant_count = 3;
	strcpy(n.why, "because\n");
	document = parsed(print_notice, &n);
	expect(document, "kind", "\"bind\"");
	expect(document, "time", "\"2023-11-14T22:13:20.123Z\"");
	expect(document, "error", "\"EADDRINUSE\"");
	expect(document, "errno", "98");
	expect(document, "why", "\"because\\n\"");
	expect(document, "address", "\"127.0.0.1\"");
	expect(document, "port", "80");
	expect(document, "port_got", "null");
	expect(document, "asked_family", "2");
	expect(document, "backlog", "null");
	expect(document, "cookie", "null");
	expect(document, "v6only", "null");
	expect(document, "uid", "1000");
	expect(document, "suspicions", "[]");
	expect(document, "occupants_found", "2");
	expect(document, "complete", "true");
	listed = json_object_get(document, "occupants");
	assert_int_equal(json_array_size(listed), 2);
	expect(json_array_get(listed, 0), "in_the_way", "true");
	expect(json_array_get(listed, 0), "address", "\"127.0.0.1\"");
	expect(json_array_get(listed, 1), "in_the_way", "false");
	json_decref(document);
}

static void a_suspicion_as_json(void **state)
{
	struct bind_occupant other = occupant(BIND_UNCONNECTED, "udp [::]:53 uid=3");
	struct bind_notice n = notice(CALL_BIND, 0, "udp [::]:53 v6only");
	json_t *document, *found;

	(void)state;
	n.event.asked_known = false;
	n.event.asked_family = -1;
	n.occupants = &other;
	n.occupant_count = 1;
	n.suspicion_count = 2;
	n.suspicions[0] = (struct bind_suspicion){ .code = "a", .text = "one", .occupant = 0 };
	n.suspicions[1] = (struct bind_suspicion){ .code = "b", .text = "two", .occupant = -1 };
	document = parsed(print_notice, &n);
	expect(document, "error", "null");
	expect(document, "why", "null");
	expect(document, "address", "null");
	expect(document, "port", "null");
	expect(document, "port_got", "53");
	expect(document, "asked_family", "null");
	expect(document, "v6only", "true");
	found = json_object_get(document, "suspicions");
	expect(json_array_get(found, 0), "code", "\"a\"");
	expect(json_array_get(found, 0), "pid", "7");
	expect(json_array_get(found, 1), "pid", "null");
	expect(json_array_get(json_object_get(document, "occupants"), 0), "in_the_way", "false");
	json_decref(document);
}

static void a_connect_as_json(void **state)
{
	const struct bind_range_use use = { .low = 40000,
					    .high = 40019,
					    .own = true,
					    .reserved = 2,
					    .taken = 17,
					    .waiting = 3,
					    .bound = 1,
					    .most_pid = 7,
					    .most_process = "web",
					    .most_ports = 12 };
	struct bind_notice n = connect_notice(&use);
	json_t *document = parsed(print_notice, &n);

	(void)state;
	expect(document, "kind", "\"connect\"");
	expect(document, "address", "\"127.0.0.1\"");
	expect(document, "port", "0");
	expect(document, "peer", "{\"address\":\"10.0.0.9\",\"port\":631}");
	expect(document, "range",
	       "{\"low\":40000,\"high\":40019,\"own\":true,\"reserved\":2,\"taken\":17,\"time_"
	       "wait\":3,\"bound\":1,\"most_pid\":7,\"most_process\":\"web\","
	       "\"most_ports\":12}");
	json_decref(document);
	n.event.range = NULL;
	n.event.peer.port = 0;
	document = parsed(print_notice, &n);
	expect(document, "peer", "null");
	expect(document, "range", "null");
	json_decref(document);
}

/* Those in the way are not what is left out of a long list. */
static void many_occupants(void **state)
{
	static struct bind_occupant occupants[150];
	struct bind_notice n = notice(CALL_BIND, EADDRINUSE, "tcp 127.0.0.1:80");
	json_t *document, *listed;

	(void)state;
	for (size_t i = 0; i < 150; i++)
		occupants[i] = occupant(BIND_LISTENING,
					i == 149 ? "tcp 127.0.0.1:80" : "tcp 127.0.0.2:80");
	n.occupants = occupants;
	n.occupant_count = 150;
	document = parsed(print_notice, &n);
	listed = json_object_get(document, "occupants");
	assert_int_equal(json_array_size(listed), 100);
	expect(json_array_get(listed, 0), "in_the_way", "true");
	expect(document, "occupants_found", "150");
	json_decref(document);
}

static void totals_as_json(void **state)
{
	json_t *document = parsed(print_totals, &totals);

	(void)state;
	expect(document, "kind", "\"totals\"");
	expect(document, "binds", "{\"seen\":1234,\"failed\":2}");
	expect(document, "listens", "{\"seen\":1,\"failed\":1}");
	expect(document, "connects", "{\"failed\":0}");
	expect(document, "told", "4");
	expect(document, "suspicious", "1");
	expect(document, "lost", "{\"total\":1000,\"by_reason\":{\"events_full\":1000}}");
	expect(document, "kernel",
	       "{\"release\":\"6.1.0\",\"backend\":\"tracepoint\",\"unseen\":[\"calls by 32-bit "
	       "processes\",\"calls through io_uring\"]}");
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure),
		cmocka_unit_test(a_thread_whose_name_is_a_command),
		cmocka_unit_test(a_listen_and_an_unknown_address),
		cmocka_unit_test(totals_as_text),
		cmocka_unit_test(a_failure_as_json),
		cmocka_unit_test(a_suspicion_as_json),
		cmocka_unit_test(a_connect_as_text),
		cmocka_unit_test(a_connect_as_json),
		cmocka_unit_test(many_occupants),
		cmocka_unit_test(totals_as_json),
	};

	setenv("TZ", "UTC0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
