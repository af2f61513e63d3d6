/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Windows of `watch` as text, byte for byte: user/render/text_window.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "../../user/model/findings.h"
#include "../../user/render/text.h"

static const struct text_style narrow = { .width = 80 }, pipe_style = {};

#define WORKER(p, t, n, count) \
	{ .number = -1, .pid = p, .tid = t, .comm = n, .process = n, .cookie = 17, .can_accept = true, .accepted = count }

/* nginx with three workers on one socket and its master; 1234 crashed in an earlier interval, 1236 in this one. */
struct fixture {
	struct socket_row now_sockets[1], all_sockets[1];
	struct worker_row now_workers[3], all_workers[4];
	struct endpoint now, all;
	struct snapshot window, total;
};

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){
		.now_sockets = { { .cookie = 17, .inode = 301, .arrived = 2000, .accepted = 2000, .queue_known = true, .queue_length = 3,
				   .queue_limit = 511 } },
		.now_workers = { WORKER(1235, 1235, "nginx", 1500), WORKER(1236, 1236, "nginx", 500), WORKER(1237, 1237, "nginx", 0) },
		.all_workers = { WORKER(1234, 1234, "nginx", 31), WORKER(1235, 1235, "nginx", 12000), WORKER(1236, 1236, "nginx", 4100),
				 WORKER(1237, 1237, "nginx", 7) },
	};
	f->now_workers[1].ended = f->all_workers[2].ended = f->all_workers[0].ended = true;
	f->now_workers[2].pid_inside = f->all_workers[3].pid_inside = 12;
	memcpy(f->all_sockets, f->now_sockets, sizeof(f->all_sockets));
	f->all_sockets[0].arrived = f->all_sockets[0].accepted = 16138;
	for (int i = 0; i < 3; i++)
		strcpy(f->now_workers[i].cgroup, "/system.slice/nginx.service");
	f->now = (struct endpoint){ .family = AF_INET, .port = 80, .netns = 4026531840u, .sockets = f->now_sockets, .socket_count = 1,
				    .workers = f->now_workers, .worker_count = 3 };
	f->all = f->now;
	f->all.sockets = f->all_sockets;
	f->all.workers = f->all_workers;
	f->all.worker_count = 4;
	f->window = (struct snapshot){ .release = "6.1.0", .backend = "fentry", .start_ms = 1767225600123, .seconds = 1,
				       .endpoints = &f->now, .endpoint_count = 1, .unseen = { "accepts through io_uring" },
				       .unseen_count = 1 };
	f->total = f->window;
	f->total.seconds = 10;
	f->total.endpoints = &f->all;
	assert_int_equal(endpoint_judge(&f->now, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(endpoint_judge(&f->all, FAIRNESS_THRESHOLD), 0);
}

static char *text_of(const struct snapshot *window, const struct snapshot *total, enum text_by by, const struct text_style *style)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	text_window(f, window, total, by, style);
	fclose(f);
	return text;
}

static void assert_text(const struct snapshot *window, const struct snapshot *total, enum text_by by,
			const struct text_style *style, const char *expected)
{
	char *text = text_of(window, total, by, style);

	assert_string_equal(text, expected);
	free(text);
}

