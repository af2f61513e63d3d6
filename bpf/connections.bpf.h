/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The open connections that were accepted in the window, by the address of their struct sock: who
 * serves each. A connection lies at its place in an array, or in a hash if another connection has
 * that place: see COUNT_PLACES.
 *
 * A program that looks for a connection runs because of that connection, so the connection is not
 * accepted a second time meanwhile.
 */
#ifndef SOCKFAIR_CONNECTIONS_BPF_H
#define SOCKFAIR_CONNECTIONS_BPF_H

#include "kernel.bpf.h"
#include "rows.bpf.h"

#define EEXIST 17

/* Fast Open: a server may have a connection in TCP_SYN_RECV. */
static __always_inline bool is_open(int state)
{
	return state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT || state == TCP_SYN_RECV;
}

/*
 * Entries in the hash, or about to be. While it is 0 nobody looks there, so the programs that run
 * for sockets of others, or for the clients' ends, cost no hash.
 */
__u32 count_hashed;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, COUNT_PLACES);
	__type(key, __u32);
	__type(value, struct count_place);
} places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNT_CONNECTIONS);
	__type(key, __u64);
	__type(value, struct count_connection);
} connections SEC(".maps");

static __always_inline struct count_place *connection_place(__u64 key)
{
	const __u32 index = count_place_of(key);

	return config.places ? bpf_map_lookup_elem(&places, &index) : NULL;
}

/*
 * Is that connection at the place? What it holds is read after the key, which on arm64 takes a
 * barrier: an atomic operation with a result is one.
 */
static __always_inline bool place_has(struct count_place *place, __u64 key)
{
	if (place->key != key)
		return false;
#ifndef __TARGET_ARCH_x86
	__sync_val_compare_and_swap(&place->key, 0, 0);
#endif
	return true;
}

/* NULL: it is not followed, or not yet. */
static __always_inline struct count_connection *connection_find(__u64 key)
{
	struct count_place *place = connection_place(key);

	if (place && place_has(place, key))
		return &place->connection;
	return count_hashed ? bpf_map_lookup_elem(&connections, &key) : NULL;
}

/* Returns 0, -EEXIST, or the error of the hash: it has no room. */
static __always_inline long connection_put(__u64 key, const struct count_connection *c)
{
	struct count_place *place = connection_place(key);
	long err;

	if (place && place->key == key)
		return -EEXIST;
	if (place && !place->key && !__sync_val_compare_and_swap(&place->key, 0, 1)) {
		place->connection = *c;
		__sync_lock_test_and_set(&place->key, key);
		return 0;
	}
	__sync_fetch_and_add(&count_hashed, 1);
	err = bpf_map_update_elem(&connections, &key, c, BPF_NOEXIST);
	if (err)
		__sync_fetch_and_add(&count_hashed, -1);
	return err;
}

/*
 * Takes a connection out, and leaves it in *c. Returns 0; -ENOENT: it is not there, or another
 * program took it out first; another error: this CPU is just changing that part of the hash.
 */
static __always_inline long connection_remove(__u64 key, struct count_connection *c)
{
	struct count_place *place = connection_place(key);
	struct count_connection *hashed;
	long err;

	if (place && place->key == key) {
		if (__sync_val_compare_and_swap(&place->key, key, 1) != key)
			return -ENOENT;
		*c = place->connection;
		__sync_lock_test_and_set(&place->key, 0);
		return 0;
	}
	hashed = count_hashed ? bpf_map_lookup_elem(&connections, &key) : NULL;
	if (!hashed)
		return -ENOENT;
	*c = *hashed;
	err = bpf_map_delete_elem(&connections, &key);
	if (!err)
		__sync_fetch_and_add(&count_hashed, -1);
	return err;
}

#endif
