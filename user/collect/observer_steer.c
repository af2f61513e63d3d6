/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The maps of the program that steers, and what holds it: a link, whose only descriptor is ours, so
 * that the program ends with this process, however that ends; or the group itself.
 */
#include "observer_steer.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "clock.h"
#include "observer_parts.h"

int steer_programs_find(struct steer_programs *p, int netns)
{
	uint32_t flags = 0;

	p->count = STEER_PROGRAMS_MAX;
	if (!bpf_prog_query(netns, BPF_SK_LOOKUP, 0, &flags, p->ids, &p->count))
		return 0;
	p->count = 0;
	return -errno;
}

struct steer_member *observer_steer_members(const struct observer *o)
{
	return o->steer_members;
}

struct steer_state *observer_steer_state(const struct observer *o)
{
	return &o->bpf->bss->steer_state;
}

/* The map of the sockets. */
static int sockets_map(const struct observer *o)
{
	return bpf_map__fd(o->bpf->rodata->steer.by_group ? o->bpf->maps.steer_array
							  : o->bpf->maps.steer_sockets);
}

struct bpf_program *observer_steer_loaded(const struct observer *o)
{
	return o->bpf->rodata->steer.by_group ? o->bpf->progs.steer_reuseport
					      : o->bpf->progs.steer_lookup;
}

int observer_steer_put(const struct observer *o, uint32_t place, int fd)
{
	const __u64 cookie = o->steer_members[place].cookie, value = fd;
	int err = 0;

	if (bpf_map_update_elem(bpf_map__fd(o->bpf->maps.steer_by_cookie), &cookie, &place,
				BPF_ANY))
		return -errno;
	if (bpf_map_update_elem(sockets_map(o), &place, &value, BPF_NOEXIST)) {
		err = -errno;
		bpf_map_delete_elem(bpf_map__fd(o->bpf->maps.steer_by_cookie), &cookie);
	}
	return err;
}

void observer_steer_remove(const struct observer *o, uint32_t place)
{
	const __u64 cookie = o->steer_members[place].cookie;

	/* The kernel has taken a socket out that was closed, so both may be gone already. */
	bpf_map_delete_elem(sockets_map(o), &place);
	bpf_map_delete_elem(bpf_map__fd(o->bpf->maps.steer_by_cookie), &cookie);
	o->steer_members[place].cookie = 0;
}

/* Leaves the time with the program, for those who list programs; one that can't be left is not
 * told. A map that the program does not use can be bound to it since 5.10. */
static void tell_began(const struct bpf_program *program)
{
	const __u32 key = 0;
	const __u64 now = clock_ns(CLOCK_BOOTTIME);
	const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, STEER_BEGAN_MAP, sizeof(key),
				       sizeof(now), 1, NULL);

	if (map < 0)
		return;
	if (!bpf_map_update_elem(map, &key, &now, BPF_ANY))
		bpf_prog_bind_map(bpf_program__fd(program), map, NULL);
	close(map);
}

int observer_steer_attach(struct observer *o, int netns)
{
	tell_began(o->bpf->progs.steer_lookup);
	o->steer_link = bpf_program__attach_netns(o->bpf->progs.steer_lookup, netns);
	return o->steer_link ? 0 : -errno;
}

void observer_steer_detach(struct observer *o)
{
	bpf_link__destroy(o->steer_link);
	o->steer_link = NULL;
}

int observer_steer_attach_group(const struct observer *o, int fd)
{
	const int program = bpf_program__fd(observer_steer_loaded(o));

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof(program))
		       ? -errno
		       : 0;
}

uint32_t observer_steer_program(const struct observer *o)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(observer_steer_loaded(o)), &info, &size)
		       ? 0
		       : info.id;
}

size_t observer_steer_older(const struct observer *o, struct bytes_older *rows, size_t max)
{
	return o->bytes ? bytes_older_open(o->bytes, rows, max) : 0;
}
