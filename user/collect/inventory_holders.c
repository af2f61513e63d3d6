/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes that hold the wanted sockets: their descriptors, added up by process, and what
 * each process does while the socket's queue raises that question.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

static int holder_rows_in_order(const void *a, const void *b)
{
	const struct holder_row *x = a, *y = b;

	return x->cookie != y->cookie ? COMPARE(x->cookie, y->cookie) : COMPARE(x->pid, y->pid);
}

/* Does the socket's queue raise the question what its holders do? */
static bool has_backlog(const struct holders_socket_record *r)
{
	return r->protocol == IPPROTO_UDP ? r->length > r->limit / 4 * 3 : r->length;
}

/*
 * What the process of the row does. It is looked up once, even if the process has many such
 * sockets.
 */
static void holder_doing(struct holder_row *row, struct thread *first)
{
	if (!first->looked) {
		process_describe_holder(row);
		first->looked = true;
		first->state = row->state;
		memcpy(first->doing, row->doing, sizeof(first->doing));
	}
	row->state = first->state;
	memcpy(row->doing, first->doing, sizeof(row->doing));
}

/* Makes the row of a process and a socket, from its first descriptor of the socket. */
static struct holder_row holder_row_of(const struct inventory *v, const struct found *f,
				       const struct wait_holder *h, const struct array *watching,
				       uint64_t started_ns)
{
	struct holder_row row = { .cookie = f->r.cookie, .pid = h->pid, .fd = h->fd };
	struct thread *t = inventory_thread(v, h->pid);

	if (!t)
		return row;
	row.pid_inside = t->r.pid_inside;
	row.parent = t->r.parent;
	row.start_ns = t->r.start_ns;
	row.polls = array_find(watching, sizeof(h->pid), &h->pid, array_by_u32);
	row.appeared = started_ns && t->r.start_ns > started_ns;
	row.uid = t->r.uid;
	memcpy(row.process, t->r.process, sizeof(row.process));
	cgroup_set(row.cgroup, t->cgroup);
	if (has_backlog(&f->r))
		holder_doing(&row, t);
	return row;
}

static int socket_holders(const struct inventory *v, const struct found *f, struct array *out,
			  struct array *watching, uint64_t started_ns)
{
	struct holder_row row, *last = NULL;
	size_t count;
	const struct wait_holder *holders = wait_graph_holders(&v->graph, f->node, &count);
	int err = count ? wait_graph_watchers(&v->graph, f->node, watching) : 0;

	for (size_t i = 0; i < count && !err; i++) {
		if (!last || last->pid != (int32_t)holders[i].pid) {
			row = holder_row_of(v, f, &holders[i], watching, started_ns);
			last = array_add(out, &row, sizeof(row));
			err = last ? 0 : -ENOMEM;
		}
		if (!err)
			last->fds++;
	}
	return err;
}

int inventory_holders_fill(const struct inventory *v, struct ledger *l, uint64_t started_ns)
{
	const struct found *rows = v->found.rows;
	struct array out = {}, watching = {};
	int err = 0;

	for (size_t i = 0; i < v->found.count && !err; i++)
		if (rows[i].wanted)
			err = socket_holders(v, &rows[i], &out, &watching, started_ns);
	if (!err) {
		array_sort(&out, sizeof(struct holder_row), holder_rows_in_order);
		ledger_hold(l, out.rows, out.count);
		out.rows = NULL;
	}
	free(watching.rows);
	free(out.rows);
	return err;
}
