/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BPF maps that user space reads as memory, and hashes that it empties. */
#ifndef SOCKFAIR_MAP_H
#define SOCKFAIR_MAP_H

struct bpf_map;

/* Maps all entries of an array (BPF_F_MMAPABLE) into memory; NULL: there is none. */
void *map_array(const struct bpf_map *map);
void unmap_array(void *memory, const struct bpf_map *map);

/* Deletes all entries of a hash whose keys have 8 bytes. */
void map_clear(const struct bpf_map *map);

#endif
