/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What counting itself takes: the run times of the programs, which the kernel measures while
 * somebody holds a descriptor for that (bpf_enable_stats(), 5.8), and the CPU time of this process.
 */
#include "observer_parts.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../attach/loading.h"
#include "clock.h"

int observer_cost_open(struct observer *o, char *why, size_t size)
{
	char reason[160];
	int err;

	o->stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (o->stats >= 0)
		return 0;
	err = -errno;
	return loading_fail(err, why, size,
			    "the kernel does not measure what its programs cost: %s; leave out "
			    "--own-cost",
			    err == -EPERM ? "CAP_SYS_ADMIN is missing"
					  : loading_reason(err, reason, sizeof(reason)));
}

void observer_cost_close(struct observer *o)
{
	if (o->stats >= 0)
		close(o->stats);
	o->stats = -1;
}

static void cost_add(struct own_cost *cost, const struct bpf_program *program)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return;
	cost->runs += info.run_cnt;
	cost->ns += info.run_time_ns;
}

static struct own_cost cost_now(const struct observer *o)
{
	struct own_cost cost = { .known = true, .process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) };

	for (size_t i = 0; i < hook_count; i++)
		if (backend_runs(&o->attachment, i))
			cost_add(&cost, backend_program(&o->attachment, i));
	if (o->steer_members)
		cost_add(&cost, observer_steer_loaded(o));
	return cost;
}

void observer_cost_begin(struct observer *o)
{
	if (o->stats >= 0)
		o->cost_before = cost_now(o);
}

struct own_cost observer_cost(const struct observer *o)
{
	const struct own_cost *before = &o->cost_before;
	struct own_cost cost = {};

	if (o->stats < 0)
		return cost;
	cost = cost_now(o);
	cost.runs -= before->runs;
	cost.ns -= before->ns;
	cost.process_ns -= before->process_ns;
	return cost;
}
