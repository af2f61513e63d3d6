/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inventory as a whole: loads its programs, and decides the order in which a sample goes into
 * a ledger. inventory_scan.h says what each file does.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "../attach/loading.h"
#include "../attach/types.h"
#include "../model/queues.h"
#include "holders.skel.h"
#include "iterator.h"

/* Loads and attaches the programs. Returns 0, or negative errno with `why`. */
static int inventory_load(struct inventory *v, const struct btf *btf, bool bound, bool connections,
			  char *why, size_t why_size)
{
	struct bpf_program *list_sockets;
	struct types_file types;
	int err;

	v->bpf = holders_bpf__open_opts(types_open(&types));
	if (!v->bpf) {
		err = loading_fail(-errno, why, why_size,
				   "cannot open the inventory's programs: %s", strerror(errno));
		types_close(&types);
		return err;
	}
	v->bpf->rodata->with_bound = bound && v->selection.port_count;
	v->bpf->rodata->has_socket_cookie = loading_has_socket_cookie(btf);
	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_loop, NULL) == 1)
		list_sockets = v->bpf->progs.list_sockets;
	else
		list_sockets = v->bpf->progs.list_sockets_old;
	bpf_program__set_autoload(list_sockets, true);
	bpf_program__set_autoload(v->bpf->progs.list_connections, connections);
	err = types_write(&types, btf, v->bpf->obj);
	if (!err)
		err = holders_bpf__load(v->bpf);
	types_close(&types);
	if (!err)
		err = iterator_attach(list_sockets, &v->sockets_link);
	if (!err)
		err = iterator_attach(v->bpf->progs.list_threads, &v->threads_link);
	if (!err && connections)
		err = iterator_attach(v->bpf->progs.list_connections, &v->connections_link);
	if (err)
		loading_no_iterators(err, "cannot list the sockets of processes", why, why_size);
	return err;
}

int inventory_open(struct inventory **out, const struct selection *selection, bool bound,
		   bool connections, char *why, size_t why_size)
{
	struct inventory *v = calloc(1, sizeof(*v));
	const struct btf *btf = NULL;
	int err;

	if (!v)
		return loading_fail(-ENOMEM, why, why_size, "out of memory");
	v->selection = *selection;
	err = loading_prepare(why, why_size);
	if (!err)
		err = loading_btf(&btf, why, why_size);
	if (!err)
		err = inventory_load(v, btf, bound, connections, why, why_size);
	loading_btf_end(btf);
	if (err) {
		inventory_close(v);
		return err;
	}
	*out = v;
	return 0;
}

uint64_t inventory_unlisted(const struct inventory *v)
{
	return v->unlisted;
}

uint64_t inventory_memory(const struct inventory *v)
{
	return loading_memory(v->bpf->obj);
}

void inventory_close(struct inventory *v)
{
	if (!v)
		return;
	free(v->found.rows);
	free(v->threads.rows);
	wait_graph_free(&v->graph);
	free(v->waiting.rows);
	inventory_cgroups_forget(v);
	free(v->cgroups.rows);
	free(v->begun.rows);
	free(v->cpu.rows);
	free(v->cpu_begun.rows);
	free(v->pids.rows);
	netstat_close(&v->netstat);
	free(v->connections.rows);
	free(v->programs.rows);
	bpf_link__destroy(v->sockets_link);
	bpf_link__destroy(v->threads_link);
	bpf_link__destroy(v->connections_link);
	holders_bpf__destroy(v->bpf);
	free(v);
}

/* ---- a list ---- */

/*
 * A busy thread does not wait anywhere, so one look is not enough for a socket that seems to be
 * forgotten.
 */
#define LOOKS 5
#define LOOKS_APART_NS 20000000

/*
 * Enters the sockets of the last scan. `again` is set if a socket of a reuseport group has no
 * waiting thread.
 */
static int look_once(struct inventory *v, struct ledger *l, bool *again)
{
	int err = inventory_handshakes_fill(v, l, HANDSHAKES_LISTED);

	*again = false;
	for (size_t i = 0; i < v->found.count && !err; i++) {
		struct found *f = (struct found *)v->found.rows + i;
		struct ledger_socket *s;
		uint32_t before;

		if (!f->wanted)
			continue;
		s = ledger_find_socket(l, f->r.cookie);
		before = s ? s->row.waiting : 0;
		err = inventory_socket_fill(v, l, f, 0);
		if (err)
			break;
		s = ledger_find_socket(l, f->r.cookie);
		s->drops_first = 0; /* the socket's own counter, since it was made */
		if (s->row.waiting < before)
			s->row.waiting = before;
		*again |= f->r.group && !f->r.bound && !s->row.waiting;
	}
	return err;
}

int inventory_snapshot(struct inventory *v, struct ledger *l, char *why, size_t why_size)
{
	const struct timespec apart = { .tv_nsec = LOOKS_APART_NS };
	struct namespaces seen = {}, seen_now = {};
	struct sockdiag_row *before, *live;
	int before_count = sockdiag_dump_namespaces(&before, &seen), count, err = seen.astray;
	char reason[128];
	bool again = true;

	v->closely = true;
	for (int i = 0; i < LOOKS && again && !err; i++) {
		if (i)
			nanosleep(&apart, NULL);
		err = inventory_scan(v);
		if (!err)
			err = look_once(v, l, &again);
	}
	if (!err)
		err = inventory_groups_fill(v, l);
	if (!err)
		err = inventory_holders_fill(v, l, 0);
	if (!err)
		err = inventory_hindrances_fill(v, l, 0);
	/*
	 * A socket that came or went during the scan was not missed. Only sockets that existed
	 * before it and still exist count as unheld.
	 */
	count = sockdiag_dump_namespaces(&live, &seen_now);
	if (!err)
		err = seen_now.astray;
	for (int i = 0; i < count; i++)
		live[i].inode = sockdiag_find(before, before_count, live[i].cookie) ? live[i].inode
										    : UINT32_MAX;
	if (!err)
		err = inventory_unheld_fill(v, l, live, count);
	namespaces_free(&seen);
	namespaces_free(&seen_now);
	free(before);
	free(live);
	return err ? loading_fail(err, why, why_size, "cannot list the sockets of processes: %s",
				  loading_reason(err, reason, sizeof(reason)))
		   : 0;
}

int inventory_fill(struct inventory *v, struct ledger *l, uint64_t started_ns)
{
	const struct found *rows = v->found.rows;
	int err = 0;

	v->unlisted = 0;
	if (!started_ns)
		err = inventory_usage_begin(v);
	if (!err)
		err = inventory_handshakes_fill(v, l,
						started_ns ? HANDSHAKES_LATER : HANDSHAKES_BEGIN);
	for (size_t i = 0; i < v->found.count && !err; i++)
		if (rows[i].wanted)
			err = inventory_socket_fill(v, l, &rows[i], started_ns);
	if (!err)
		err = inventory_groups_fill(v, l);
	if (!err)
		err = inventory_holders_fill(v, l, started_ns);
	if (!err)
		err = inventory_gone_fill(v, l, started_ns);
	if (err)
		return err;
	queues_look(l);
	err = inventory_hindrances_fill(v, l, started_ns);
	return err ? err : queues_remember(l);
}
