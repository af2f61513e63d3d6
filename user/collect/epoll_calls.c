/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads the program of epoll_calls.bpf.c and reads what it counts. */
#include "epoll_calls.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "epoll_calls_record.h"
#include "epoll_calls.skel.h"
#include "../attach/loading.h"
#include "../attach/tracefs.h"
#include "map.h"

struct epoll_calls {
	struct epoll_calls_bpf *bpf;
	struct epoll_calls_row *rows; /* the program's, mapped */
};

static int calls_load(struct epoll_calls *c)
{
	c->bpf = epoll_calls_bpf__open_and_load();
	if (!c->bpf)
		return -errno;
	c->rows = map_array(c->bpf->maps.rows);
	if (!c->rows)
		return -ENOMEM;
	return epoll_calls_bpf__attach(c->bpf);
}

int epoll_calls_open(struct epoll_calls **out, char *why, size_t size)
{
	struct epoll_calls *c = calloc(1, sizeof(*c));
	char reason[256];
	int err;

	if (!c)
		return loading_fail(-ENOMEM, why, size, "out of memory");
	err = loading_prepare(why, size);
	if (err)
		goto out;
	err = tracefs_ensure();
	if (err) {
		loading_fail(err, why, size,
			     "what the server itself does to its epolls can't be seen: %s",
			     tracefs_lacks(err, reason, sizeof(reason)));
		goto out;
	}
	err = calls_load(c);
	if (err == -ENOENT)
		loading_fail(err, why, size,
			     "what the server itself does to its epolls can't be seen: this kernel "
			     "has no tracepoints of system calls (CONFIG_FTRACE_SYSCALLS)");
	else if (err)
		loading_fail(err, why, size,
			     "what the server itself does to its epolls can't be seen: %s",
			     loading_reason(err, reason, sizeof(reason)));
out:
	if (err) {
		epoll_calls_close(c);
		return err;
	}
	*out = c;
	return 0;
}

int epoll_calls_watch(struct epoll_calls *c, int32_t pid, int epoll, int fd, unsigned place)
{
	const struct epoll_calls_key key = { .pid = pid, .epoll = epoll, .fd = fd };
	const __u32 value = place;

	return bpf_map_update_elem(bpf_map__fd(c->bpf->maps.watched), &key, &value, BPF_ANY)
		       ? -errno
		       : 0;
}

void epoll_calls_forget(struct epoll_calls *c, unsigned place)
{
	const int map = bpf_map__fd(c->bpf->maps.watched);
	struct epoll_calls_key key, next;
	bool more = !bpf_map_get_next_key(map, NULL, &next);

	/* Of a key that is gone the next one is the first: so the next is asked for beforehand. */
	while (more) {
		__u32 value;

		key = next;
		more = !bpf_map_get_next_key(map, &key, &next);
		if (!bpf_map_lookup_elem(map, &key, &value) && value == place)
			bpf_map_delete_elem(map, &key);
	}
}

struct epoll_called epoll_calls_read(const struct epoll_calls *c, unsigned place)
{
	const struct epoll_calls_row *row = &c->rows[place];
	struct epoll_called called = { .calls = __atomic_load_n(&row->calls, __ATOMIC_ACQUIRE) };

	called.op = row->op;
	called.known = row->known;
	called.events = row->events;
	called.data = row->data;
	return called;
}

void epoll_calls_close(struct epoll_calls *c)
{
	if (!c)
		return;
	if (c->bpf)
		unmap_array(c->rows, c->bpf->maps.rows);
	epoll_calls_bpf__destroy(c->bpf);
	free(c);
}
