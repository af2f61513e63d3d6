/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A link of a network namespace tells its inode and its program. Who holds the link is looked for
 * once for each link that is found: machines without such a program pay for a walk over the links
 * only.
 *
 * The program of sockfair steer tells more: a map has the sockets that it picks, and another one
 * when it was attached (observer_steer.c).
 */
#include "lookups.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bpf_holder.h"
#include "clock.h"
#include "observer_steer.h"
#include "process.h"

#define LINKS_MAX 65536 /* the kernel's numbers go on; a walk ends */

/* Unix time in ms of a time since boot in ns. */
static int64_t unix_ms_of_boot(uint64_t boot_ns)
{
	return (int64_t)(clock_ns(CLOCK_REALTIME) - (clock_ns(CLOCK_BOOTTIME) - boot_ns)) / 1000000;
}

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
		p->since_ms = unix_ms_of_boot(info.load_time);
	}
	close(fd);
}

/* ---- what sockfair steer tells ---- */

#define MAPS_MAX 64 /* of a program */

/* The sockets that the program picks. */
struct picked {
	uint64_t cookies[STEER_MEMBERS_MAX];
	size_t count;
};

/* Takes what the map has. Returns whether it is the map of sockets. */
static bool map_take(int map, struct lookup_program *p, struct picked *picked)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info), key = 0;
	uint64_t value;

	if (bpf_obj_get_info_by_fd(map, &info, &size) || info.value_size != sizeof(value))
		return false;
	if (!strcmp(info.name, STEER_BEGAN_MAP) && !bpf_map_lookup_elem(map, &key, &value))
		p->since_ms = unix_ms_of_boot(value);
	if (info.type != BPF_MAP_TYPE_SOCKMAP || strcmp(info.name, STEER_SOCKETS_MAP))
		return false;
	for (; key < info.max_entries && picked->count < STEER_MEMBERS_MAX; key++)
		if (!bpf_map_lookup_elem(map, &key, &value))
			picked->cookies[picked->count++] = value;
	return true;
}

/* Without the rights to look into its maps it stays a program like any other. */
static void picked_find(struct lookup_program *p, struct picked *picked)
{
	__u32 ids[MAPS_MAX];
	struct bpf_prog_info info = { .nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids };
	__u32 size = sizeof(info);
	const int fd = bpf_prog_get_fd_by_id(p->id);
	const bool told = fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size);

	for (size_t i = 0; told && i < info.nr_map_ids && i < MAPS_MAX; i++) {
		const int map = bpf_map_get_fd_by_id(ids[i]);

		p->ours |= map >= 0 && map_take(map, p, picked);
		if (map >= 0)
			close(map);
	}
	if (fd >= 0)
		close(fd);
}

static bool picks_from(const struct picked *picked, const struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		for (size_t k = 0; k < picked->count; k++)
			if (e->sockets[i].cookie && e->sockets[i].cookie == picked->cookies[k])
				return true;
	return false;
}

static void namespace_fill(struct snapshot *s, uint32_t netns, uint32_t link, uint32_t program)
{
	struct lookup_program found = { .id = program };
	struct picked picked = {};
	bool described = false;

	for (size_t i = 0; i < s->endpoint_count + s->aside_count; i++) {
		struct endpoint *e = &s->endpoints[i];

		if (e->netns != netns)
			continue;
		/* One of ours that picks no socket of it matters less than any other. */
		found.others = e->lookup.id ? e->lookup.others + 1 : 0;
		if (e->lookup.id && (e->lookup.steers || !e->lookup.ours)) {
			e->lookup.others++;
			continue;
		}
		if (!described) {
			program_describe(&found);
			found.pid = bpf_holder(BPF_HELD_LINK, link);
			if (found.pid)
				process_name(found.pid, found.process, sizeof(found.process));
			picked_find(&found, &picked);
			described = true;
		}
		e->lookup = found;
		e->lookup.steers = found.ours && picks_from(&picked, e);
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
