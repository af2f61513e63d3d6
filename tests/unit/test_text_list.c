/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inventory as text, byte for byte: user/render/text_list.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "../../user/model/findings.h"
#include "../../user/render/text.h"

static const struct text_style narrow = { .width = 80 }, pipe_style = {};

static char *text_of(const struct snapshot *s, const struct text_style *style)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	text_list(f, s, style);
	fclose(f);
	return text;
}

/* nginx on TCP 80 with a socket that nobody waits on; a resolver on UDP 53, held by two kinds of
 * process. */
struct fixture {
	struct socket_row web[2], dns[1];
	struct holder_row web_holders[9], dns_holders[3];
	struct endpoint endpoints[2];
	struct snapshot snapshot;
};

#define HOLDER(c, p, n, f, group)                                                                  \
	{                                                                                          \
		.cookie = c, .pid = p, .pid_inside = p, .fd = f, .fds = 1, .process = n,           \
		.cgroup = group                                                                    \
	}
#define NGINX(p) HOLDER(17, p, "nginx", 6, "/system.slice/nginx.service")

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){
		.web = { { .cookie = 17,
			   .inode = 301,
			   .reuseport = true,
			   .group = 17,
			   .queue_known = true,
			   .queue_limit = 511,
			   .waiting_known = true,
			   .waiting = 1 },
			 { .cookie = 18,
			   .inode = 302,
			   .reuseport = true,
			   .group = 17,
			   .queue_known = true,
			   .queue_length = 3,
			   .queue_limit = 511,
			   .drops = 12345,
			   .waiting_known = true } },
		.dns = { { .cookie = 21,
			   .inode = 400,
			   .uid = 101,
			   .queue_known = true,
			   .queue_limit = 212992,
			   .waiting_known = true,
			   .waiting = 2 } },
		.web_holders = { NGINX(1235), NGINX(1236), NGINX(1237), NGINX(1238), NGINX(1239),
				 NGINX(1240), NGINX(1241), NGINX(1242),
				 HOLDER(18, 1235, "nginx", 7, "/") },
		.dns_holders = { HOLDER(21, 800, "unbound", 3, "/"),
				 HOLDER(21, 900, "back\033up", 5, "/"),
				 HOLDER(21, 901, "back\033up", 9, "/") },
	};
	f->web_holders[8].pid_inside = 12;
	f->dns_holders[2].fds = 2;
	f->endpoints[0] = (struct endpoint){ .family = AF_INET,
					     .port = 80,
					     .netns = 4026531840u,
					     .sockets = f->web,
					     .socket_count = 2,
					     .holders = f->web_holders,
					     .holder_count = 9 };
	f->endpoints[1] = (struct endpoint){ .protocol = PROTOCOL_UDP,
					     .family = AF_INET6,
					     .port = 53,
					     .netns = 4026531840u,
					     .sockets = f->dns,
					     .socket_count = 1,
					     .holders = f->dns_holders,
					     .holder_count = 3 };
	f->snapshot = (struct snapshot){ .endpoints = f->endpoints, .endpoint_count = 2 };
	assert_int_equal(findings_fill(&f->snapshot), 0);
}

static void done(struct fixture *f)
{
	for (int i = 0; i < 2; i++)
		free(f->endpoints[i].findings);
}

static void assert_text(const struct fixture *f, const struct text_style *style,
			const char *expected)
{
	char *text = text_of(&f->snapshot, style);

	assert_string_equal(text, expected);
	free(text);
}

static void list_at_80_columns(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_text(&f, &narrow,
		    "      inode   socket   uid         queue  drops    group waiting  held by\n"
		    "tcp 0.0.0.0:80, 2 sockets\n"
		    "        301       17     0         0/511      0       17       1\n"
		    "    nginx 1235, 1236, 1237 and 5 more, fd 6, in nginx.service\n"
		    "        302       18     0         3/511 12,345       17       0\n"
		    "    nginx 1235 (12 inside) fd 7\n"
		    "  ! no thread waits on socket 18 (inode 302), one of 2 in its SO_REUSEPORT\n"
		    "    group: its share goes nowhere (3 queued); held by nginx 1235: close it\n"
		    "    there, or accept from it\n"
		    "udp *:53\n"
		    "        400       21   101      0/212992      0        -       2\n"
		    "    back?up 900 fd 5, 901 fd 9 (one of 2)\n"
		    "    unbound 800 fd 3\n"
		    "\n"
		    "2 ports, 3 sockets, 1 finding\n");
	done(&f);
}

/* Two network namespaces; one socket bound to a device; lines of any length. */
static void list_in_a_pipe(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.endpoints[1].netns++;
	strcpy(f.web[1].device, "eth0");
	assert_text(
		&f, &pipe_style,
		"      inode   socket   uid         queue  drops    group waiting  held by\n"
		"tcp 0.0.0.0:80, netns 4026531840, 2 sockets\n"
		"        301       17     0         0/511      0       17       1  nginx 1235, "
		"1236, 1237 and 5 more, fd 6, in nginx.service\n"
		"        302       18     0         3/511 12,345       17       0  %eth0  nginx "
		"1235 (12 inside) fd 7\n"
		"  ! no thread waits on socket 18 (inode 302), one of 2 in its SO_REUSEPORT "
		"group: its share goes nowhere (3 queued); held by nginx 1235: close it there, "
		"or accept from it\n"
		"udp *:53, netns 4026531841\n"
		"        400       21   101      0/212992      0        -       2\n"
		"    back?up 900 fd 5, 901 fd 9 (one of 2)\n"
		"    unbound 800 fd 3\n"
		"\n"
		"2 ports, 3 sockets, 1 finding\n");
	done(&f);
}

/* What few sockets and processes have is told where they have it. */
static void list_tells_what_is_special(void **state)
{
	struct wait_histogram histogram = {};
	struct finding notes[] = {
		{ .code = "a-note", .level = FINDING_NOTE, .text = "worth knowing" },
		{ .code = "fine", .level = FINDING_GOOD, .text = "nothing to fix" }
	};
	struct fixture f;

	(void)state;
	fixture_init(&f);
	done(&f);
	f.endpoints[0].findings = notes;
	f.endpoints[0].finding_count = 2;
	f.endpoints[1].findings = NULL;
	f.endpoints[1].finding_count = 0;
	f.web[0].steered = f.web[1].steered = f.web[1].incoming_cpu_set = true;
	f.web[1].incoming_cpu = 3;
	f.web[1].full_known = true;
	f.web[1].full_ns = 250000000;
	f.web[1].stalled_ns = 12000000000;
	f.web_holders[8].state = 'T';
	f.endpoints[0].histograms = &histogram;
	f.endpoints[0].histogram_count = 1;
	f.web[0].wait_known = true;
	histogram.slots[wait_slot(12)] = 1;
	f.web[0].wait =
		(struct wait){ .count = 1, .sum_ns = 12345, .max_ns = 12345, .histogram = 1 };
	assert_text(&f, &pipe_style,
		    "      inode   socket   uid         queue  drops    group waiting  held by\n"
		    "tcp 0.0.0.0:80, 2 sockets, a program picks the socket\n"
		    "        301       17     0         0/511      0       17       1  nginx 1235, "
		    "1236, 1237 and 5 more, fd 6, in nginx.service\n"
		    "        302       18     0         3/511 12,345       17       0  for CPU 3  "
		    "full for 250 ms  none taken for 12 s  nginx 1235 (12 inside) (stopped) fd 7\n"
		    "  wait     p50 12 us, p90 12 us, p99 12 us, max 12 us\n"
		    "  i worth knowing\n"
		    "  ok nothing to fix\n"
		    "udp *:53\n"
		    "        400       21   101      0/212992      0        -       2\n"
		    "    back?up 900 fd 5, 901 fd 9 (one of 2)\n"
		    "    unbound 800 fd 3\n"
		    "\n"
		    "2 ports, 3 sockets, nothing looks wrong, 1 note\n");
}

static void list_of_nothing(void **state)
{
	struct fixture f = {};

	(void)state;
	assert_text(&f, &pipe_style, "nothing listens on what the filter asks for\n");
}

/* What nobody read is no 0. */
static void list_without_inventory(void **state)
{
	struct fixture f = {};

	(void)state;
	f.web[0] = (struct socket_row){ .cookie = 17, .inode = 301, .reuseport = true };
	f.endpoints[0] = (struct endpoint){
		.family = AF_INET, .port = 80, .sockets = f.web, .socket_count = 1
	};
	f.endpoints[0].omitted.sockets = 1234;
	f.snapshot = (struct snapshot){ .endpoints = f.endpoints, .endpoint_count = 1 };
	assert_text(&f, &narrow,
		    "      inode   socket   uid         queue  drops    group waiting  held by\n"
		    "tcp 0.0.0.0:80\n"
		    "        301       17     0             -      -      yes       -  no process "
		    "seen\n"
		    "  and 1,234 sockets beyond the limit\n"
		    "\n"
		    "1 port, 1,235 sockets, nothing looks wrong\n");
}

/* Sockets that have a port and share nothing, after the others; clients are a number. */
static void list_of_what_is_set_aside(void **state)
{
	static const char head[] =
		"      inode   socket   uid         queue  drops    group waiting  held by\n";
	struct socket_row bound[2] = {
		{ .cookie = 25, .inode = 307, .uid = 33, .aside = ASIDE_BOUND },
		{ .cookie = 26, .inode = 308, .aside = ASIDE_BOUND }
	};
	struct socket_row
		tunnel = { .cookie = 30, .inode = 500, .kernel = true, .aside = ASIDE_KERNEL },
		other = { .cookie = 31, .inode = 501, .kernel = true, .aside = ASIDE_KERNEL };
	struct socket_row nfs = { .cookie = 40,
				  .inode = 600,
				  .kernel = true,
				  .queue_known = true,
				  .queue_limit = 64 },
			  client = { .cookie = 50, .connected = true };
	struct holder_row holder = HOLDER(25, 1300, "haproxy", 5, "/");
	struct tunnel tunnels[6] = {
		{ "vxlan", "vx0" }, { "vxlan", "vx\0331" }, { "geneve", "g0" },
		{ "geneve", "g1" }, { "geneve", "g2" },     { "geneve", "g3" }
	};
	struct endpoint endpoints[] = {
		{ .family = AF_INET, .port = 2049, .sockets = &nfs, .socket_count = 1 },
		{ .family = AF_INET,
		  .port = 80,
		  .sockets = bound,
		  .socket_count = 2,
		  .holders = &holder,
		  .holder_count = 1 },
		{ .protocol = PROTOCOL_UDP,
		  .family = AF_INET,
		  .port = 4789,
		  .sockets = &tunnel,
		  .socket_count = 1,
		  .tunnels = tunnels,
		  .tunnel_count = 6 },
		{ .protocol = PROTOCOL_UDP,
		  .family = AF_INET,
		  .port = 51820,
		  .sockets = &other,
		  .socket_count = 1 },
		{ .protocol = PROTOCOL_UDP,
		  .family = AF_INET,
		  .port = 40000,
		  .sockets = &client,
		  .socket_count = 1 },
	};
	struct fixture f = { .snapshot = { .endpoints = endpoints,
					   .endpoint_count = 1,
					   .aside_count = 4,
					   .clients = 1 } };
	char expected[2048];

	(void)state;
	snprintf(expected, sizeof(expected), "%s%s", head,
		 "tcp 0.0.0.0:2049\n"
		 "        600       40     0          0/64      0        -       -  the kernel's "
		 "own\n"
		 "tcp 0.0.0.0:80, 2 sockets\n"
		 "        307       25    33                 bound, does not listen\n"
		 "    haproxy 1300 fd 5\n"
		 "        308       26     0                 bound, does not listen  no process "
		 "seen\n"
		 "udp 0.0.0.0:4789\n"
		 "        500       30     0                       the kernel's own  no process\n"
		 "  the port of vxlan vx0, vx?1, geneve g0, g1 and 2 more: the kernel takes its\n"
		 "    datagrams before they are queued, and nothing is counted\n"
		 "udp 0.0.0.0:51820\n"
		 "        501       31     0                       the kernel's own  no process\n"
		 "  the kernel takes its datagrams before they are queued, and nothing is counted\n"
		 "\n"
		 "4 ports, 5 sockets, nothing looks wrong\n"
		 "1 port of clients (all UDP sockets connected) left out: -P PORT shows one\n");
	assert_text(&f, &narrow, expected);
	f.snapshot.endpoints = endpoints + 4;
	f.snapshot.endpoint_count = 0;
	f.snapshot.aside_count = 1;
	assert_text(&f, &narrow,
		    "nothing listens on what the filter asks for\n"
		    "1 port of clients (all UDP sockets connected) left out: -P PORT shows one\n");
}

/* Ten thousand sockets, each with a holder, on one port. */
static void list_of_many_is_fast(void **state)
{
	enum { MANY = 10000 };
	struct socket_row *sockets = calloc(MANY, sizeof(*sockets));
	struct holder_row *holders = calloc(MANY, sizeof(*holders));
	struct endpoint e = { .family = AF_INET,
			      .port = 80,
			      .sockets = sockets,
			      .socket_count = MANY,
			      .holders = holders,
			      .holder_count = MANY };
	const struct snapshot s = { .endpoints = &e, .endpoint_count = 1 };
	const clock_t begin = clock();
	char *text;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		sockets[i].cookie = i + 1;
		holders[i] = (struct holder_row){
			.cookie = i + 1, .pid = 700, .process = "server", .fd = i
		};
	}
	text = text_of(&s, &pipe_style);
	assert_non_null(strstr(text, "server 700 fd 9999\n"));
	assert_true((clock() - begin) / CLOCKS_PER_SEC < 2); /* under sanitizers */
	free(text);
	free(holders);
	free(sockets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_at_80_columns),
		cmocka_unit_test(list_in_a_pipe),
		cmocka_unit_test(list_tells_what_is_special),
		cmocka_unit_test(list_of_nothing),
		cmocka_unit_test(list_without_inventory),
		cmocka_unit_test(list_of_what_is_set_aside),
		cmocka_unit_test(list_of_many_is_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
