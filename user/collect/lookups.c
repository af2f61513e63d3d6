/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A link of a network namespace tells its inode and its program. Who holds the link is looked for
 * once for each link that is found: machines without such a program pay for a walk over the links
 * only.
 */
#include "lookups.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bpf_holder.h"
#include "clock.h"
#include "process.h"

#define LINKS_MAX 65536 /* the kernel's numbers go on; a walk ends */

/* The program's name, and when it was loaded. */
static void program_describe(struct lookup_program *p)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	const int fd = bpf_prog_get_fd_by_id(p->id);

	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &size)) {
		snprintf(p->name, sizeof(p->name), "%s", info.name);
		p->since_ms = (int64_t)(clock_ns(CLOCK_REALTIME) -
					(clock_ns(CLOCK_BOOTTIME) - info.load_time)) /
			      1000000;
	}
	close(fd);
}

static void namespace_fill(struct snapshot *s, uint32_t netns, uint32_t link, uint32_t program)
{
	struct lookup_program found = { .id = program };
	bool described = false;

	for (size_t i = 0; i < s->endpoint_count + s->aside_count; i++) {
		struct endpoint *e = &s->endpoints[i];

		if (e->netns != netns)
			continue;
		if (e->lookup.id) {
			e->lookup.others++;
			continue;
		}
		if (!described) {
			program_describe(&found);
			found.pid = bpf_holder(BPF_HELD_LINK, link);
			if (found.pid)
				process_name(found.pid, found.process, sizeof(found.process));
			described = true;
		}
		e->lookup = found;
	}
}

void lookups_fill(struct snapshot *s)
{
	uint32_t id = 0;

	for (size_t i = 0; i < s->endpoint_count + s->aside_count; i++)
		s->endpoints[i].lookup = (struct lookup_program){};
	for (size_t i = 0; i < LINKS_MAX && !bpf_link_get_next_id(id, &id); i++) {
		struct bpf_link_info info = {};
		__u32 size = sizeof(info);
		const int fd = bpf_link_get_fd_by_id(id);
		bool known;

		if (fd < 0)
			continue; /* it ended meanwhile, or we have no right */
		known = !bpf_obj_get_info_by_fd(fd, &info, &size);
		/* Before its holder is looked for: another sockfair would take us for it. */
		close(fd);
		if (known && info.type == BPF_LINK_TYPE_NETNS &&
		    info.netns.attach_type == BPF_SK_LOOKUP && info.netns.netns_ino)
			namespace_fill(s, info.netns.netns_ino, id, info.prog_id);
	}
}
