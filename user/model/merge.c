/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Joins what the kernel counted for a server with what the server knows of itself. The server need
 * not know when its threads began. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "counters.h"
#include "order.h"
#include "snapshot.h"

/* The server's view of a socket without its counts, because the counts are the kernel's. */
static struct socket_row socket_uncounted(const struct socket_row *own)
{
	struct socket_row row = *own;

	counters_clear(&socket_counters, &row);
	return row;
}

static struct worker_row worker_uncounted(const struct worker_row *own, bool served_known)
{
	struct worker_row row = *own;

	row.accepted = 0;
	if (served_known)
		row.served = 0;
	return row;
}

/* The kernel's row plus what only the server knows of this worker. */
static struct worker_row worker_merged(const struct worker_row *kernel,
				       const struct worker_row *own, bool served_known)
{
	struct worker_row row = *kernel;

	row.number = own->number;
	row.can_accept |= own->can_accept;
	row.serves = own->serves;
	if (!served_known)
		row.served = own->served;
	row.ended |= own->ended;
	if (!row.start_ns)
		row.start_ns = own->start_ns;
	if (!row.comm[0])
		memcpy(row.comm, own->comm, sizeof(row.comm));
	if (!row.cgroup[0])
		memcpy(row.cgroup, own->cgroup, sizeof(row.cgroup));
	if (!row.process[0])
		memcpy(row.process, own->process, sizeof(row.process));
	return row;
}

/* The server's sockets in its order, then the sockets that only the kernel knows. Returns 0 or
 * -ENOMEM. */
static int merge_sockets(struct endpoint *kernel, const struct endpoint *own)
{
	size_t count = own->socket_count;
	struct array_index index;
	struct socket_row *merged = calloc(count + kernel->socket_count + 1, sizeof(*merged));
	int err = array_index_make(&index, own->sockets, count, sizeof(*own->sockets),
				   socket_by_cookie);

	if (!merged || err) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		merged[i] = socket_uncounted(&own->sockets[i]);
	for (size_t i = 0; i < kernel->socket_count; i++) {
		const struct socket_row *row = &kernel->sockets[i],
					*same = array_index_find(&index, row);

		merged[same ? (size_t)(same - own->sockets) : count++] = *row;
	}
	free(kernel->sockets);
	kernel->sockets = merged;
	kernel->socket_count = count;
	merged = NULL;
out:
	free(index.rows);
	free(merged);
	return err;
}

/*
 * The server's workers in its order, then the workers that only the kernel knows. If the kernel has
 * several rows for one worker (a reused thread id), the first one is the server's. Returns 0 or
 * -ENOMEM.
 */
static int merge_workers(struct endpoint *kernel, const struct endpoint *own)
{
	size_t count = own->worker_count;
	struct array_index index;
	struct worker_row *merged = calloc(count + kernel->worker_count + 1, sizeof(*merged));
	bool *taken = calloc(count + 1, sizeof(*taken));
	int err = array_index_make(&index, own->workers, count, sizeof(*own->workers),
				   worker_by_place);

	if (!merged || !taken || err) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		merged[i] = worker_uncounted(&own->workers[i], kernel->served_known);
	for (size_t i = 0; i < kernel->worker_count; i++) {
		const struct worker_row *row = &kernel->workers[i],
					*same = array_index_find(&index, row);

		if (same && !taken[same - own->workers]) {
			merged[same - own->workers] =
				worker_merged(row, same, kernel->served_known);
			taken[same - own->workers] = true;
		} else {
			merged[count++] = *row;
		}
	}
	free(kernel->workers);
	kernel->workers = merged;
	kernel->worker_count = count;
	merged = NULL;
out:
	free(index.rows);
	free(taken);
	free(merged);
	return err;
}

int endpoint_merge(struct endpoint *kernel, const struct endpoint *own)
{
	int err = merge_sockets(kernel, own);

	err = err ? err : merge_workers(kernel, own);
	if (err)
		return err;
	if (own->flows) {
		kernel->flows = own->flows;
		kernel->flows_estimated = false;
	}
	for (size_t i = 0; i < own->worker_count; i++)
		kernel->served_known |= own->workers[i].serves;
	return 0;
}
