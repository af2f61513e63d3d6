/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "order.h"

#include <string.h>

#include "array.h"
#include "snapshot.h"

int endpoint_by_port(const void *a, const void *b)
{
	const struct endpoint *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = COMPARE(x->protocol, y->protocol);

	order = order ? order : COMPARE(x->netns, y->netns);
	return order ? order : COMPARE(x->port, y->port);
}

int endpoint_by_address(const void *a, const void *b)
{
	const struct endpoint *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = endpoint_by_port(a, b);

	order = order ? order : COMPARE(x->family, y->family);
	return order ? order : memcmp(x->address, y->address, sizeof(x->address));
}

int socket_by_cookie(const void *a, const void *b)
{
	const struct socket_row *x = *(const void *const *)a, *y = *(const void *const *)b;

	return COMPARE(x->cookie, y->cookie);
}

int worker_by_process(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;

	return COMPARE(x->pid, y->pid);
}

int worker_by_thread(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = worker_by_process(a, b);

	return order ? order : COMPARE(x->tid, y->tid);
}

int worker_by_life(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = worker_by_thread(a, b);

	return order ? order : COMPARE(x->start_ns, y->start_ns);
}

int worker_by_place(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = worker_by_thread(a, b);

	return order ? order : COMPARE(x->cookie, y->cookie);
}

int worker_by_socket(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = COMPARE(x->cookie, y->cookie);

	return order ? order : worker_by_thread(&x, &y);
}

int worker_by_identity(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = COMPARE(x->cookie, y->cookie);

	order = order ? order : COMPARE(x->tid, y->tid);
	return order ? order : COMPARE(x->start_ns, y->start_ns);
}
