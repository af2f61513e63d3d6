// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done alike with several of the programs' maps. */
#include "map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <sys/mman.h>

static size_t bytes_of_map(const struct bpf_map *map)
{
	return (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
}

void *map_array(const struct bpf_map *map)
{
	void *memory = mmap(NULL, bytes_of_map(map), PROT_READ | PROT_WRITE, MAP_SHARED,
			    bpf_map__fd(map), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void unmap_array(void *memory, const struct bpf_map *map)
{
	if (memory)
		munmap(memory, bytes_of_map(map));
}

void map_clear(const struct bpf_map *map)
{
	const int fd = bpf_map__fd(map);
	uint64_t key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_delete_elem(fd, &key);
}
