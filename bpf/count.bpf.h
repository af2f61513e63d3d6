/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counting, once for all backends: the entry points in count.bpf.c find the sockets and call these handlers.
 *
 * A TCP connection is counted twice: when it enters a listener's accept queue (softirq; a row per socket and CPU) and when a thread
 * takes it (process context; a row per socket and thread). A UDP datagram likewise: put into a receive queue or dropped, then read.
 * Every row has one writer, so counters need neither atomics nor per-CPU copies (but for what io_uring's kernel threads add to the
 * row of their owner).
 *
 * Rows lie in arrays that user space maps; a hash finds a row's index and user space hands out free indexes through a queue.
 * A thread remembers its last row, so the usual event finds it without a hash.
 */
#ifndef SOCKFAIR_COUNT_BPF_H
#define SOCKFAIR_COUNT_BPF_H

#include "bytes.bpf.h"
#include "sockets.bpf.h"

/* include/uapi/asm-generic/errno-base.h */
#define ENOENT 2
#define ENXIO 6
#define EFAULT 14
#define EINVAL 22
#define ENFILE 23

/* .bss, mapped by user space. Counting begins when every hook is attached. */
__u32 count_on;
__u64 count_ports[1024]; /* bit per port */
__u64 count_lost[COUNT_LOST_ROOM]; /* of no known port; others are in lost_by_port */
__u64 count_lost_crowded[COUNT_LOST_ROOM]; /* of ports that found no room there: */
__u8 count_crowded_ports[COUNT_PORTS]; /* not 0: this is one. A byte each, for bits would want an atomic OR (5.12) */
__u64 count_rescued; /* runs that were skipped, but made good: see accept_done() */
__u32 count_used[COUNT_POOLS]; /* rows in use */
__u32 count_shares[COUNT_SHARE_CELLS]; /* see shares.h */
__u32 count_servers; /* of rows of threads, those made for serving alone */
__u32 count_undecided; /* rows of sockets in use with COUNT_UNDECIDED */
__u64 count_ends_busy; /* connections that ended while their entry could not be taken out */
__u32 count_migrates; /* a listener was closed whose queue moves to others */
__u64 count_started_us; /* when the window began: CLOCK_MONOTONIC, as the kernel's own stamps */

struct thread_state {
	__u64 listener; /* struct sock that the thread is in inet_csk_accept() with, else 0; tracepoint: see accept_done() */
	__u64 cookie; /* of the socket of `worker` */
	__u64 start_ns; /* of the thread, in state_by_tid: tids are used again */
	__u64 closing; /* the listener that it closed last */
	__u32 worker; /* its last row */
	__u32 generation; /* of that row when it was this thread's */
	__u64 told; /* the listener, or connection in its queue, whose end the first of two programs has counted: see state_changed() */
	__u16 closing_port;
	__u8 closing_moves; /* what was in its queue moves to other sockets */
	__u8 pad[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} state_by_task SEC(".maps");

/* The same where tracing programs have no task storage (before 5.12). */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, COUNT_WORKERS_MAX / 2);
	__type(key, __u32);
	__type(value, struct thread_state);
} state_by_tid SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, COUNT_WORKERS_MAX);
	__type(key, __u32);
	__type(value, struct count_worker);
} workers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNT_WORKERS_MAX);
	__type(key, struct count_worker_key);
	__type(value, __u32);
} worker_by_key SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, COUNT_WORKERS_MAX);
	__type(value, __u32);
} free_workers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, COUNT_HISTOGRAMS);
	__type(key, __u32);
	__type(value, struct count_histogram);
} histograms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, COUNT_HISTOGRAMS);
	__type(value, __u32);
} free_histograms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, COUNT_WORKERS_MAX);
	__type(key, __u32);
	__type(value, struct count_serve);
} serves SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, COUNT_SOCKETS_MAX);
	__type(key, __u32);
	__type(value, struct count_socket);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNT_SOCKETS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} socket_by_cookie SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, COUNT_SOCKETS_MAX);
	__type(value, __u32);
} free_sockets SEC(".maps");

/* Made as large as what the inventory has found asks for; not needed unless processes are asked for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} asked_by_cookie SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNT_PROCESSES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} asked_pids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNT_PROCESSES_MAX);
	__type(key, char[16]);
	__type(value, __u32);
} asked_comms SEC(".maps");

/* Index: socket * config.cpus + cpu. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, COUNT_ARRIVALS_MAX);
	__type(key, __u32);
	__type(value, struct count_arrival);
} arrivals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, COUNT_SKETCHES);
	__type(key, __u32);
	__type(value, struct count_sketch);
} sketches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, COUNT_SKETCHES);
	__type(value, __u32);
} free_sketches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNT_CHILDREN);
	__type(key, __u32);
	__type(value, struct count_child);
} children SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNT_LOST_PORTS);
	__type(key, struct count_lost_key);
	__type(value, __u64);
} lost_by_port SEC(".maps");

/* What an entry hook leaves for the exit hook of the same call; neither sleeps, both run on one CPU with bottom halves off. */
struct stash {
	__u64 queue_sk; /* in inet_csk_complete_hashdance() with this listener */
	__u64 request_sk; /* in inet_csk_reqsk_queue_add() */
	__u64 udp_sk; /* in __udp_enqueue_schedule_skb(), with an asked for socket */
	__u64 udp_skb;
	__u32 udp_datagrams; /* in that buffer */
	__u32 udp_flow; /* see flow_of() */
	__u32 udp_copies; /* of those datagrams: see is_copy() */
	struct count_peer udp_peer;
	__u64 cloned; /* a connection was made and not yet told to its listener: see listener_called() */
	__u64 failed_skb; /* refused with -ENOBUFS just now: its kfree_skb is no late drop */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stash);
} stash_by_cpu SEC(".maps");

/* Accept requests in flight on io_uring, for completions that come without their request (multishot). */
struct uring_key {
	__u64 ring; /* struct io_ring_ctx */
	__u64 user_data;
};

struct uring_accept {
	__u64 file; /* struct file of the listener, which the request holds; 0: not known */
	__u64 direct; /* see uring_direct() */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct uring_key);
	__type(value, struct uring_accept);
} uring_accepts SEC(".maps");

static __always_inline void lost_add(enum count_lost reason, __u64 n)
{
	/* Adding a constant 0 would be compiled to an atomic OR, which 5.10 does not know. */
	if (n)
		__sync_fetch_and_add(&count_lost[reason], n);
}

static __always_inline struct stash *stash(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stash_by_cpu, &zero);
}

static __always_inline struct task_struct *current_task(void)
{
	return config.has_task_storage ? bpf_get_current_task_btf() : (struct task_struct *)bpf_get_current_task();
}

/* NULL: none yet and !create, or no memory, or the storage is busy on this CPU; callers do without. */
static __always_inline struct thread_state *thread_state(bool create)
{
	struct thread_state fresh = {}, *state;
	struct task_struct *task;
	__u32 tid;

	if (config.has_task_storage)
		return bpf_task_storage_get(&state_by_task, bpf_get_current_task_btf(), NULL,
					    create ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	task = current_task();
	tid = (__u32)bpf_get_current_pid_tgid();
	fresh.start_ns = READ(task, start_boottime);
	state = bpf_map_lookup_elem(&state_by_tid, &tid);
	if (state && state->start_ns == fresh.start_ns)
		return state;
	if (!create)
		return NULL;
	bpf_map_update_elem(&state_by_tid, &tid, &fresh, BPF_ANY);
	return bpf_map_lookup_elem(&state_by_tid, &tid);
}

/* COUNT_ASKED, COUNT_UNASKED, or 0: not known (yet). */
static __always_inline __u32 asked(__u64 cookie)
{
	__u32 *known = config.by_socket ? bpf_map_lookup_elem(&asked_by_cookie, &cookie) : NULL;

	return known ? *known : 0;
}

/* User space found that the filter leaves this socket out: no process that is asked for holds it. */
static __always_inline bool unwanted(__u64 cookie)
{
	return asked(cookie) == COUNT_UNASKED;
}

/* Is the share of the rows used up that is for sockets of which nothing is known? */
static __always_inline bool share_full(void)
{
	return count_undecided >= config.undecided_max;
}

/*
 * The current process has the socket: it listens on it, or takes from it. If it is one that is asked for, so is the socket, before user space
 * finds it. If not, nothing is known: another may hold the socket too, or get it.
 */
static __always_inline void asked_by_current(__u64 cookie)
{
	const __u32 mark = COUNT_ASKED;
	struct task_struct *leader;
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	char comm[16] = {};

	if (!config.by_socket || !cookie || (!config.by_pid && !config.by_comm))
		return;
	if (config.by_pid && !bpf_map_lookup_elem(&asked_pids, &pid))
		return;
	leader = READ(current_task(), group_leader);
	bpf_probe_read_kernel_str(comm, sizeof(comm), __builtin_preserve_access_index(&leader->comm));
	if (config.by_comm && !bpf_map_lookup_elem(&asked_comms, comm))
		return;
	/* Where there is no room it is one of those that are not known. */
	bpf_map_update_elem(&asked_by_cookie, &cookie, &mark, BPF_ANY);
}

static __always_inline bool port_wanted(struct sock *sk)
{
	__u16 port;

	if (!config.by_port)
		return true;
	port = port_of(sk);
	return (count_ports[(port >> 6) & 1023] >> (port & 63)) & 1;
}

/* The filter: everything that a run doesn't ask for is gone at load time. sk is TYPED. */
static __always_inline bool wanted(struct sock *sk)
{
	__u16 family;

	if (!count_on || !port_wanted(sk))
		return false;
	if (config.netns[0] && !netns_wanted(sk))
		return false;
	family = READ(sk, __sk_common.skc_family);
	if (config.family ? family != config.family : family != AF_INET && family != AF_INET6)
		return false;
	return !config.by_socket || !unwanted(READ(sk, __sk_common.skc_cookie.counter));
}

static __always_inline bool is_tcp(struct sock *sk)
{
	__u16 protocol = READ(sk, sk_protocol);

	return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

/* ---- what is lost, by port ---- */

static __always_inline void lost_note(const struct count_lost_key *key, __u64 n)
{
	__u64 *known = bpf_map_lookup_elem(&lost_by_port, key), nothing = 0;

	if (!known) {
		bpf_map_update_elem(&lost_by_port, key, &nothing, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&lost_by_port, key);
	}
	if (known) {
		__sync_fetch_and_add(known, n);
	} else if (key->port) {
		count_crowded_ports[key->port] = 1;
		__sync_fetch_and_add(&count_lost_crowded[key->reason & (COUNT_LOST_ROOM - 1)], n);
	} else {
		__sync_fetch_and_add(&count_lost[key->reason & (COUNT_LOST_ROOM - 1)], n);
	}
}

static __noinline int lost_of_port(__u32 reason, __u64 n, struct sock *untyped)
{
	struct sock *sk = TYPED(untyped, struct sock);
	struct net *net = READ(sk, __sk_common.skc_net.net);
	struct count_lost_key key = {
		.netns = net ? READ(net, ns.inum) : 0,
		.port = port_of(sk),
		.protocol = is_tcp(sk) ? IPPROTO_TCP : IPPROTO_UDP,
		.reason = reason,
	};

	lost_note(&key, n);
	return 0;
}

/*
 * n events of the socket are lost, or of the listener that a connection came from: one port's loss is no other's. NULL: it could be of
 * any.
 */
static __always_inline void lost_of(enum count_lost reason, __u64 n, struct sock *sk)
{
	if (!n)
		return;
	if (sk)
		lost_of_port(reason, n, sk);
	else
		lost_add(reason, n);
}

/* ---- who may have a row ---- */

/* May the owner have one more row of the pool? cell: see shares.h. */
static __always_inline bool share_left(const enum count_pool pool, __u32 cell)
{
	const __u32 used = count_used[pool], max = config.pool_max[pool];

	barrier_var(cell); /* the verifier does not know what the compiler does */
	cell &= COUNT_SHARE_CELLS - 1;
	return !cell || (used < max && count_shares[cell] < COUNT_SHARE * (max - used));
}

static __always_inline void share_add(const enum count_pool pool, __u32 cell)
{
	barrier_var(cell);
	cell &= COUNT_SHARE_CELLS - 1;
	__sync_fetch_and_add(&count_used[pool], 1);
	if (cell)
		__sync_fetch_and_add(&count_shares[cell], 1);
}

/* ---- socket rows ---- */

/* uid: of the socket, which may change meanwhile. */
static __noinline int socket_describe(struct count_socket *row, struct sock *untyped, __u64 cookie, __u32 used, __u32 uid)
{
	struct sock *sk = TYPED(untyped, struct sock);
	struct net *net = READ(sk, __sk_common.skc_net.net);
	struct socket *socket = READ(sk, sk_socket);
	__u16 protocol = READ(sk, sk_protocol);
	__u32 sketch, share;

	if (!row)
		return 0;
	row->cookie = cookie;
	row->port = port_of(sk);
	row->family = READ(sk, __sk_common.skc_family);
	row->protocol = protocol == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	row->flags = READ_BITFIELD(sk, __sk_common.skc_reuseport) ? COUNT_REUSEPORT : 0;
	if (row->protocol == IPPROTO_UDP && READ(sk, __sk_common.skc_state) == TCP_ESTABLISHED)
		row->flags |= COUNT_CONNECTED;
	row->uid = uid;
	row->netns = net ? READ(net, ns.inum) : 0;
	row->limit = protocol == IPPROTO_UDP ? READ(sk, sk_rcvbuf) : READ(sk, sk_max_ack_backlog);
	if (row->family == AF_INET)
		*(__be32 *)row->address = READ(sk, __sk_common.skc_rcv_saddr);
	else if (bpf_core_field_exists(sk->__sk_common.skc_v6_rcv_saddr)) /* CONFIG_IPV6 */
		bpf_probe_read_kernel(row->address, 16, __builtin_preserve_access_index(&sk->__sk_common.skc_v6_rcv_saddr));
	share = share_of_user(COUNT_POOL_SKETCHES, uid, config.share_seed);
	if (row->protocol == IPPROTO_UDP && row->flags == COUNT_REUSEPORT && share_left(COUNT_POOL_SKETCHES, share) && !bpf_map_pop_elem(&free_sketches, &sketch)) {
		share_add(COUNT_POOL_SKETCHES, share);
		row->sketch = sketch + 1;
	}
	row->inode = 0;
	if (socket) {
		struct file *file = READ(socket, file);

		if (file) {
			struct inode *inode = READ(file, f_inode);

			row->inode = READ(inode, i_ino);
		}
	}
	row->used = used;
	return 0;
}

/* Index of the socket's row, made on first sight; negative: there is none, and `events` are lost by reason. */
static __always_inline int socket_row(struct sock *sk, __u64 cookie, const __u64 events)
{
	struct count_socket *row;
	__u32 *known, index, uid, share;
	bool undecided;

	if (!cookie) {
		lost_of(COUNT_LOST_COOKIE_UNKNOWN, events, sk);
		return -1;
	}
	known = bpf_map_lookup_elem(&socket_by_cookie, &cookie);
	if (known)
		return *known;
	undecided = config.by_socket && asked(cookie) != COUNT_ASKED;
	if (undecided && share_full()) {
		lost_of(COUNT_LOST_UNDECIDED, events, sk);
		return -1;
	}
	uid = READ(sk, sk_uid.val);
	share = share_of_user(COUNT_POOL_SOCKETS, uid, config.share_seed);
	if (!share_left(COUNT_POOL_SOCKETS, share) || bpf_map_pop_elem(&free_sockets, &index)) {
		lost_of(COUNT_LOST_SOCKETS_FULL, events, sk);
		return -1;
	}
	if (bpf_map_update_elem(&socket_by_cookie, &cookie, &index, BPF_NOEXIST)) {
		/* Another CPU was first. */
		bpf_map_push_elem(&free_sockets, &index, 0);
		known = bpf_map_lookup_elem(&socket_by_cookie, &cookie);
		if (known)
			return *known;
		lost_of(COUNT_LOST_SOCKETS_FULL, events, sk);
		return -1;
	}
	share_add(COUNT_POOL_SOCKETS, share);
	row = bpf_map_lookup_elem(&sockets, &index);
	if (undecided)
		__sync_fetch_and_add(&count_undecided, 1);
	if (row)
		socket_describe(row, sk, cookie, undecided ? COUNT_UNDECIDED : 1, uid);
	return index;
}

/* For n events. *row: of the socket, where this does not return NULL. */
static __always_inline struct count_arrival *arrival_row(struct sock *sk, __u64 cookie, const __u64 n, __u32 *row)
{
	int socket = socket_row(sk, cookie, n);
	__u32 cpu = bpf_get_smp_processor_id(), index;

	if (socket < 0)
		return NULL;
	*row = socket;
	if (cpu >= config.cpus) {
		lost_of(COUNT_LOST_SOCKETS_FULL, n, sk);
		return NULL;
	}
	index = (__u32)socket * config.cpus + cpu;
	return bpf_map_lookup_elem(&arrivals, &index);
}

/* ---- worker rows ---- */

/*
 * io_uring runs requests on kernel threads of the process too, named after the thread that owns the ring: iou-wrk-TID and
 * iou-sqp-TID (kernel/io_uring, since 5.12). Returns the owner's tid, or 0 if the name is another.
 */
static __always_inline __u32 uring_owner(const char *comm)
{
	__u32 tid = 0;

	if (comm[0] != 'i' || comm[1] != 'o' || comm[2] != 'u' || comm[3] != '-' || comm[7] != '-')
		return 0;
#pragma unroll
	for (int i = 8; i < 16; i++) {
		if (comm[i] < '0' || comm[i] > '9')
			break;
		tid = tid * 10 + (comm[i] - '0');
	}
	return tid;
}

/* The port of a row: `of` is its socket, or a connection that came from it. */
static __always_inline void worker_describe(struct count_worker *row, struct sock *untyped)
{
	struct sock *of = TYPED(untyped, struct sock);
	struct net *net = READ(of, __sk_common.skc_net.net);

	row->netns = net ? READ(net, ns.inum) : 0;
	row->port = port_of(of);
	row->protocol = is_tcp(of) ? IPPROTO_TCP : IPPROTO_UDP;
}

/* Finds or makes the row of (socket, thread). Negative: full. sk may be NULL, `of` not: see worker_get(). */
static __noinline int worker_find(struct sock *sk, __u64 cookie, __u32 owner, int serves, struct sock *of)
{
	struct task_struct *task = current_task();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct count_worker_key key = { .cookie = cookie, .tid = owner ? owner : (__u32)pid_tgid };
	const __u32 uid = bpf_get_current_uid_gid(), share = share_of_user(COUNT_POOL_WORKERS, uid, config.share_seed);
	struct count_worker *row;
	__u32 *known, index;

	if (!owner)
		key.start_ns = READ(task, start_boottime);
	known = bpf_map_lookup_elem(&worker_by_key, &key);
	if (known)
		return *known;
	if ((serves && count_servers >= COUNT_SERVERS_MAX) || !share_left(COUNT_POOL_WORKERS, share) || bpf_map_pop_elem(&free_workers, &index))
		return -1;
	if (bpf_map_update_elem(&worker_by_key, &key, &index, BPF_NOEXIST)) {
		/* Another kernel thread of the same owner was first. */
		bpf_map_push_elem(&free_workers, &index, 0);
		known = bpf_map_lookup_elem(&worker_by_key, &key);
		return known ? *known : -1;
	}
	row = bpf_map_lookup_elem(&workers, &index);
	if (!row)
		return -1;
	row->cookie = cookie;
	row->start_ns = key.start_ns;
	row->tid = key.tid; /* events are 0 already, and may be counted by now */
	row->pid = pid_tgid >> 32;
	row->uid = uid;
	bpf_get_current_comm(row->comm, sizeof(row->comm));
	worker_describe(row, of);
	row->used = serves ? COUNT_SERVES : COUNT_ACCEPTS;
	share_add(COUNT_POOL_WORKERS, share);
	if (serves)
		__sync_fetch_and_add(&count_servers, 1);
	if (sk)
		socket_row(sk, cookie, 0); /* without one, user space sees that the worker has no socket */
	return index;
}

/* The row that the thread remembers, if it is still its row for that socket. */
static __always_inline struct count_worker *remembered_row(const struct thread_state *state, __u64 cookie)
{
	struct count_worker *row;
	__u32 index;

	if (!state || !cookie || state->cookie != cookie)
		return NULL;
	index = state->worker;
	row = bpf_map_lookup_elem(&workers, &index);
	return row && row->generation == state->generation && row->cookie == cookie ? row : NULL;
}

/*
 * Processes are asked for: may the current thread have a row on the socket? 1: yes. 0: the socket is not asked for. -1: nothing is known of it,
 * and the share of such is used up.
 */
static __noinline int worker_room(__u64 cookie)
{
	if (unwanted(cookie))
		return 0;
	asked_by_current(cookie);
	return !share_full() || asked(cookie) == COUNT_ASKED || bpf_map_lookup_elem(&socket_by_cookie, &cookie) ? 1 : -1;
}

/* A row of `workers` that is the current thread's. */
struct worker {
	struct count_worker *row;
	__u32 index;
	__u32 owner; /* not 0: we are a kernel thread of io_uring, and the row is its owner's: others like us may write it now */
};

/*
 * Finds or makes the current thread's row on the socket. sk: for a first description of the socket, may be NULL. of: the same, or a connection of
 * it: whose port it is. Both TYPED. serves: it took nothing from the socket, but reads from a connection of it. false: there is no row; n events are
 * lost, by reason, or not asked for.
 */
static __always_inline bool worker_get(struct worker *w, struct sock *sk, struct sock *of, __u64 cookie, __u64 n, const bool serves)
{
	struct task_struct *task = current_task();
	struct thread_state *state;
	int found, room;

	w->owner = 0;
	if (!cookie) {
		lost_of(COUNT_LOST_COOKIE_UNKNOWN, n, of);
		return false;
	}
	if (READ(task, flags) & PF_IO_WORKER) {
		char comm[16];

		bpf_get_current_comm(comm, sizeof(comm));
		w->owner = uring_owner(comm);
	}
	state = thread_state(true);
	w->row = remembered_row(state, cookie);
	if (w->row) {
		w->index = state->worker;
		return true;
	}
	room = config.by_socket ? worker_room(cookie) : 1;
	if (!room)
		return false;
	found = room > 0 ? worker_find(sk, cookie, w->owner, serves, of) : -1;
	if (found < 0) {
		lost_of(room < 0 ? COUNT_LOST_UNDECIDED : serves ? COUNT_LOST_SERVERS_FULL : COUNT_LOST_WORKERS_FULL, n, of);
		return false;
	}
	w->index = found;
	w->row = bpf_map_lookup_elem(&workers, &w->index);
	if (!w->row)
		return false;
	if (state) {
		state->worker = w->index;
		state->generation = w->row->generation;
		state->cookie = cookie;
	}
	return true;
}

static __always_inline void events_add(const struct worker *w, __u64 n)
{
	if (w->owner)
		__sync_fetch_and_add(&w->row->events_atomic, n);
	else
		w->row->events += n; /* only the thread itself comes here */
}

/* The current thread took n datagrams from the socket. */
static __always_inline void worker_add(struct sock *sk, __u64 cookie, __u64 n)
{
	struct worker w;

	if (worker_get(&w, sk, sk, cookie, n, false))
		events_add(&w, n);
}

/* ---- what an accepted connection waited ---- */

static __always_inline struct count_histogram *histogram_of(struct count_worker *row)
{
	struct count_wait *wait = &row->wait;
	__u32 index, share;

	if (!wait->histogram) {
		/* From the first wait on or never: a histogram of some would pass for one of all. */
		if (wait->count)
			return NULL;
		share = share_of_port(row->netns, row->port, config.share_seed);
		if (!share_left(COUNT_POOL_HISTOGRAMS, share) || bpf_map_pop_elem(&free_histograms, &index))
			return NULL;
		if (wait->histogram) { /* two kernel threads of one owner take one */
			bpf_map_push_elem(&free_histograms, &index, 0);
		} else {
			wait->histogram = index + 1;
			row->histogram_share = share;
			share_add(COUNT_POOL_HISTOGRAMS, share);
		}
	}
	index = wait->histogram - 1;
	return bpf_map_lookup_elem(&histograms, &index);
}

static __always_inline void wait_add(struct count_worker *row, __u64 us, const bool atomic)
{
	struct count_histogram *h = histogram_of(row);
	struct count_wait *wait = &row->wait;
	__u32 slot = wait_slot(us);

	barrier_var(slot); /* the verifier does not know what the compiler does: it wants to see the check */
	if (us > wait->max_us)
		wait->max_us = us > 0xffffffff ? 0xffffffff : us;
	if (atomic) {
		__sync_fetch_and_add(&wait->count, 1);
		__sync_fetch_and_add(&wait->sum_us, us);
		if (slot < WAIT_SLOTS && h)
			__sync_fetch_and_add(&h->slots[slot], 1);
		return;
	}
	wait->count++;
	wait->sum_us += us;
	if (slot < WAIT_SLOTS && h)
		h->slots[slot]++;
}

/*
 * When the connection entered the accept queue, in us of CLOCK_MONOTONIC; 0: just now. The kernel notes it itself: rcvq_space.time is set
 * when a connection is established (tcp_init_buffer_space(); the same from 5.10 to 7.3), in the softirq that put it into the queue, a
 * moment after that (before, for Fast Open), and next by the first read. So nothing need be remembered per connection, and what was queued
 * before we attached has its time too. A connection that is accepted within that moment has none yet.
 */
static __always_inline __u64 queued_us(struct sock *child)
{
	struct tcp_sock *tp = TYPED(child, struct tcp_sock);

	return READ(tp, rcvq_space.time);
}

/* ns / 1000 without the processor's slow division where that is exact: below 2^32. */
static __always_inline __u64 microseconds(__u64 ns)
{
	return ns >> 32 ? ns / 1000 : ns * 0x10624dd3 >> 38;
}

static __always_inline void wait_measure(const struct worker *w, struct sock *child, __u64 now_ns)
{
	struct count_wait *wait = &w->row->wait;
	__u64 queued = queued_us(child), queued_ns = queued * 1000;

	if (READ(child, __sk_common.skc_state) == TCP_CLOSE)
		__sync_fetch_and_add(&wait->reset, 1);
	if (queued && queued < count_started_us)
		__sync_fetch_and_add(&wait->before, 1);
	else
		wait_add(w->row, queued && now_ns > queued_ns ? microseconds(now_ns - queued_ns) : 0, w->owner);
}

/* ---- who serves a connection ---- */

static __always_inline struct count_serve *serve_of(__u32 worker, __u32 generation)
{
	struct count_worker *row = bpf_map_lookup_elem(&workers, &worker);

	/* The row was given back: its thread or its listener has ended. */
	if (!row || row->generation != generation)
		return NULL;
	return bpf_map_lookup_elem(&serves, &worker);
}

/*
 * The connection is no longer open: closed or half closed by its server, or reset. again: nobody else will tell of it. sk: NULL where the address is
 * another connection's by now. closing: see bytes_of().
 */
static __always_inline void connection_closed(__u64 child, struct sock *sk, const bool closing, const bool again)
{
	struct count_connection *found = bpf_map_lookup_elem(&connections, &child), c;
	struct count_bytes carried;
	struct count_serve *serve;
	long err;

	if (!found) {
		if (sk)
			older_closed(sk, closing);
		return;
	}
	c = *found;
	err = bpf_map_delete_elem(&connections, &child);
	if (err) {
		/* Another was first, or on this CPU its part of the map is being changed: then the second program tries again. */
		if (again && err != -ENOENT)
			__sync_fetch_and_add(&count_ends_busy, 1);
		return;
	}
	serve = serve_of(c.worker, c.generation);
	if (!serve)
		return;
	/* Before it counts as closed: see bytes.c. */
	if (sk) {
		carried = bytes_of(sk, closing);
		__sync_fetch_and_add(&serve->carried.received, carried.received);
		__sync_fetch_and_add(&serve->carried.sent, carried.sent);
	}
	__sync_fetch_and_add(&serve->closed_ns, bpf_ktime_get_ns() - c.accepted_ns);
	__sync_fetch_and_add(&serve->closed, 1);
}

static __always_inline void connection_accepted(const struct worker *w, __u64 cookie, struct sock *child, __u64 now_ns)
{
	struct count_connection c = { .cookie = cookie, .accepted_ns = now_ns, .worker = w->index, .generation = w->row->generation,
				      .tid = w->row->tid };
	struct count_serve *serve = bpf_map_lookup_elem(&serves, &w->index);
	__u64 key = (__u64)child;

	if (!serve || READ(child, __sk_common.skc_state) == TCP_CLOSE)
		return;
	if (bpf_map_update_elem(&connections, &key, &c, BPF_NOEXIST)) {
		connection_closed(key, NULL, false, true); /* one whose end was not seen */
		if (bpf_map_update_elem(&connections, &key, &c, BPF_NOEXIST)) {
			__sync_fetch_and_add(&w->row->unfollowed, 1);
			lost_of(COUNT_LOST_CONNECTIONS_FULL, 1, child);
			return;
		}
	}
	__sync_fetch_and_add(&serve->opened, 1);
	/* Reset meanwhile: nobody would tell us later. */
	if (READ(child, __sk_common.skc_state) == TCP_CLOSE)
		connection_closed(key, child, false, true);
}

static __always_inline bool is_current(const struct count_worker *row)
{
	struct task_struct *task = current_task();

	return row->tid == (__u32)bpf_get_current_pid_tgid() && row->start_ns == READ(task, start_boottime);
}

/*
 * The first to read from a connection is not who has the row that it was put down to: another thread, which has the connection from now on.
 * Or the same one, by another row: io_uring's kernel threads have one of their own, and rows are given back. view: the connection, TYPED.
 */
static __always_inline void connection_handed(struct sock *view, struct count_connection *c, struct count_serve *from)
{
	__u64 delay = bpf_ktime_get_ns() - c->accepted_ns;
	struct count_serve *serve;
	struct worker w;

	if (!worker_get(&w, NULL, view, c->cookie, 1, true))
		return;
	serve = bpf_map_lookup_elem(&serves, &w.index);
	if (!serve)
		return;
	__sync_fetch_and_add(&serve->served, 1);
	if (w.row->tid != c->tid) {
		__sync_fetch_and_add(&serve->handed, 1);
		__sync_fetch_and_add(&serve->handed_ns, delay);
		if (delay > serve->handed_max_ns)
			serve->handed_max_ns = delay;
	}
	__sync_fetch_and_add(&serve->opened, 1);
	if (from)
		__sync_fetch_and_add(&from->moved, 1);
	c->worker = w.index;
	c->generation = w.row->generation;
}

/* The current thread reads from a connection, which it has locked. */
static __always_inline void connection_read(struct sock *sk)
{
	struct sock *view = TYPED(sk, struct sock);
	struct tcp_sock *tp = TYPED(sk, struct tcp_sock);
	struct count_connection *c;
	struct count_worker *row;
	struct count_serve *serve;
	__u64 key = (__u64)sk;
	__u32 worker;

	if (!count_on || !port_wanted(view))
		return;
	c = bpf_map_lookup_elem(&connections, &key);
	/* A peek takes nothing, nor does a splice that finds nothing; and a softirq (sockmap) is no thread's read. */
	if (!c || c->served || READ(tp, copied_seq) == READ(tp, rcvq_space.seq) || !READ(view, sk_lock.owned))
		return;
	c->served = 1;
	worker = c->worker;
	row = bpf_map_lookup_elem(&workers, &worker);
	serve = row && row->generation == c->generation ? bpf_map_lookup_elem(&serves, &worker) : NULL;
	if (serve && is_current(row))
		__sync_fetch_and_add(&serve->served, 1);
	else
		connection_handed(view, c, serve);
}

/* ---- accepts ---- */

/*
 * sk: the listener, NULL: child is known. child: the TCP connection, TYPED; NULL: not known (io_uring put it into a table of its own, another thread has
 * closed it already). of_mptcp: it is a part of one of MPTCP, whose reads pass tcp_rcv_space_adjust() by and which outlives its parts.
 */
static __always_inline void accept_measure(const struct worker *w, __u64 cookie, struct sock *sk, struct sock *child, bool of_mptcp, __u64 now_ns)
{
	if (!config.waits && !config.serves)
		return;
	if (!child) {
		if (config.serves)
			__sync_fetch_and_add(&w->row->unfollowed, 1);
		lost_of(COUNT_LOST_CONNECTION_UNKNOWN, 1, sk);
		return;
	}
	if (config.waits)
		wait_measure(w, child, now_ns);
	if (config.serves && of_mptcp) {
		__sync_fetch_and_add(&w->row->unfollowed, 1);
		lost_of(COUNT_LOST_MPTCP_UNFOLLOWED, 1, child);
	} else if (config.serves)
		connection_accepted(w, cookie, child, now_ns);
}

/*
 * When something was accepted. Asked for first of all: reading the clock waits for every load under way (lfence), and the misses of the cache
 * that follow should be free to overlap.
 */
static __always_inline __u64 accept_time(void)
{
	return config.waits || config.serves ? bpf_ktime_get_ns() : 0;
}

/* The current thread accepted `child` from the socket; one of sk and child may be NULL. */
static __always_inline void worker_accepted(struct sock *sk, __u64 cookie, struct sock *child, bool of_mptcp, __u64 now_ns)
{
	struct worker w;

	if (!worker_get(&w, sk, sk ? sk : child, cookie, 1, false))
		return;
	events_add(&w, 1);
	accept_measure(&w, cookie, sk, child, of_mptcp, now_ns);
}

/* ---- TCP ---- */

/*
 * An MPTCP server's socket is not the one that the TCP code works on: inet_csk_accept() and the accept queue have its first
 * subflow. NULL: sk is no subflow, the server holds sk itself. sk is TYPED.
 */
static __always_inline struct sock *mptcp_owner(struct sock *sk)
{
	struct inet_connection_sock *icsk = TYPED(sk, struct inet_connection_sock);
	struct tcp_sock *tp = TYPED(sk, struct tcp_sock);
	struct mptcp_subflow_context *subflow;
	struct sock *owner;

	if (!bpf_core_type_exists(struct mptcp_sock) || READ(sk, sk_protocol) != IPPROTO_TCP || !READ(tp, is_mptcp)) /* CONFIG_MPTCP */
		return NULL;
	subflow = READ(icsk, icsk_ulp_data);
	subflow = TYPED(subflow, struct mptcp_subflow_context);
	owner = READ(subflow, conn);
	return TYPED(owner, struct sock);
}

/*
 * The place of a connection between arrival and accept, by its remote port and address: the verifier allows no arithmetic on the
 * pointer itself. Connections of one client share no place while its ports lie within 32,768; those of different clients may: then the later
 * arrival has it.
 */
static __always_inline struct count_child *child_slot(struct sock *untyped)
{
	struct sock *child = TYPED(untyped, struct sock);
	__u32 port = bpf_ntohs(READ(child, __sk_common.skc_dport)), address = READ(child, __sk_common.skc_daddr);
	__u32 index = ((address * 0x9e3779b1u) >> 16 ^ port) & (COUNT_CHILDREN - 1);

	return bpf_map_lookup_elem(&children, &index);
}

static __always_inline bool tcp_wanted(struct sock *sk)
{
	return wanted(sk) && (!config.protocol || config.protocol == IPPROTO_TCP);
}

/* `child` is about to enter the accept queue of `sk`. `trusted`: see socket_cookie(). */
static __always_inline void child_remember(struct sock *sk, struct sock *child, const bool trusted)
{
	struct sock *view = TYPED(sk, struct sock), *owner;
	struct count_child *slot;

	if (!child || !tcp_wanted(view))
		return;
	owner = mptcp_owner(view);
	slot = child_slot(child);
	if (!slot)
		return;
	slot->child = 0;
	slot->cookie = owner ? socket_cookie(owner, NULL) : socket_cookie(view, trusted ? sk : NULL);
	slot->child = (__u64)child;
}

/* A connection entered the accept queue of `sk`. `trusted`: see socket_cookie(). */
static __always_inline void tcp_arrived(struct sock *sk, const bool trusted)
{
	struct sock *view = TYPED(sk, struct sock), *owner;
	struct count_arrival *row;
	__u32 length, socket;
	__u64 cookie;

	if (!tcp_wanted(view))
		return;
	owner = mptcp_owner(view);
	if (owner) {
		cookie = socket_cookie(owner, NULL);
		row = arrival_row(owner, cookie, 1, &socket);
	} else {
		cookie = socket_cookie(view, trusted ? sk : NULL);
		row = arrival_row(view, cookie, 1, &socket);
	}
	if (!row)
		return;
	row->arrived++;
	length = READ(view, sk_ack_backlog);
	if (length > row->queue_highest)
		row->queue_highest = length;
}

/*
 * sk_data_ready() of a listener. It is also called when a connection moves to it from another of its group that closes (newer kernels of
 * those that migrate): that has arrived before. What arrives now was made on this CPU a moment ago, by cloning the listener.
 */
static __always_inline void listener_called(struct sock *sk)
{
	struct stash *mine = stash();

	/* Until the first queue moves there is nothing to tell apart, and no need to trust a mark that may have been skipped. */
	if (config.marks_clones && mine) {
		if (count_migrates && !mine->cloned)
			return;
		mine->cloned = 0;
	}
	tcp_arrived(sk, true);
}

/* Could this connection have come from that listener? */
static __always_inline bool child_fits(struct sock *listener, struct sock *child)
{
	__be32 address;

	if (port_of(listener) != port_of(child) ||
	    READ(listener, __sk_common.skc_net.net) != READ(child, __sk_common.skc_net.net))
		return false;
	/* 0 where the socket takes any; of IPv6 sockets LOOPBACK4_IPV6 or the v4-mapped address, with the real one beside it. */
	address = READ(listener, __sk_common.skc_rcv_saddr);
	if (!address)
		return true;
	if (address != READ(child, __sk_common.skc_rcv_saddr))
		return false;
	if (READ(listener, __sk_common.skc_family) != AF_INET6 ||
	    !bpf_core_field_exists(listener->__sk_common.skc_v6_rcv_saddr))
		return true;
	return READ(listener, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2]) ==
		       READ(child, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2]) &&
	       READ(listener, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3]) ==
		       READ(child, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3]);
}

/* A thread enters inet_csk_accept(): remember the listener for accept_grafted(). */
static __always_inline void accept_entered(struct sock *sk)
{
	struct sock *view = TYPED(sk, struct sock);
	bool ours = tcp_wanted(view);
	struct thread_state *state = thread_state(ours);

	if (state)
		state->listener = ours ? (__u64)sk : 0;
}

/* The listener that the current thread's accept() names, if the connection fits it; else NULL. */
static __always_inline struct sock *listener_in_syscall(struct sock *child)
{
	struct task_struct *task;
	struct sock *listener;

	if (!config.has_task_pt_regs || !config.has_task_storage)
		return NULL;
	task = bpf_get_current_task_btf();
	listener = socket_of_descriptor(task, syscall_argument(task, 0));
	if (!listener)
		return NULL;
	listener = TYPED(listener, struct sock);
	if (READ(listener, __sk_common.skc_state) != TCP_LISTEN || !is_tcp(listener) || !child_fits(listener, child))
		return NULL;
	return listener;
}

/*
 * The accepted connection gets its struct socket, in the accepting thread and with bottom halves off. This, not the return of
 * inet_csk_accept(), is where an accept is counted: a thread that was blocked in accept() when we attached returns past an exit hook
 * (fexit and kretprobe rewrite the call at its entry). The listener is known from the connection's arrival. If that was before
 * we attached, or its place was taken, or once connections have moved between listeners (nothing tells of that from 6.1 on), from
 * accept_entered(), or from the thread's system call.
 */
static __always_inline void accept_grafted(struct sock *child)
{
	struct sock *view = TYPED(child, struct sock), *entered, *listener, *owner;
	struct thread_state *state;
	struct count_child *slot;
	struct mptcp_sock *msk;
	struct sock *queued = child, *tcp;
	__u64 now_ns;

	if (!count_on || !is_tcp(view))
		return;
	now_ns = accept_time();
	state = thread_state(false);
	entered = state ? (struct sock *)state->listener : NULL;
	if (state)
		state->listener = 0;
	if (bpf_core_type_exists(struct mptcp_sock) && READ(view, sk_protocol) == IPPROTO_MPTCP) {
		msk = TYPED(child, struct mptcp_sock);
		queued = READ(msk, first);
	}
	slot = child_slot(queued);
	tcp = TYPED(queued, struct sock);
	if (slot && slot->child == (__u64)queued && slot->cookie && !count_migrates) {
		worker_accepted(NULL, slot->cookie, tcp, queued != child, now_ns);
		return;
	}
	if (entered) {
		listener = TYPED(entered, struct sock);
		owner = mptcp_owner(listener);
		if (owner)
			listener = owner;
		/* An entry for another listener can only be left from an accept that failed. */
		if (child_fits(listener, view)) {
			worker_accepted(listener, socket_cookie(listener, NULL), tcp, queued != child, now_ns);
			return;
		}
	}
	if (!tcp_wanted(view))
		return;
	listener = listener_in_syscall(view);
	if (listener)
		worker_accepted(listener, socket_cookie(listener, NULL), tcp, queued != child, now_ns);
	else if (slot && slot->child == (__u64)queued && slot->cookie)
		worker_accepted(NULL, slot->cookie, tcp, queued != child, now_ns);
	else
		lost_of(COUNT_LOST_LISTENER_UNKNOWN, 1, view);
}

/*
 * Where programs at the end of a system call can be preempted (7.x: trace_call_bpf_faultable()), the kernel skips a program that was
 * preempted on the same CPU. So two run for each accept, and the second does what the first was skipped for. Returns whether the
 * one that runs now has nothing to do. The mark is in the thread's state; without one, the second can't know, and says so.
 */
static __always_inline bool accept_done(long ret, const bool again)
{
	struct thread_state *state = thread_state(true);
	__u64 mark = 1ull << 32 | (__u32)ret;

	if (!state) {
		if (again && ret >= 0)
			lost_add(COUNT_LOST_LISTENER_UNKNOWN, 1);
		return true;
	}
	if (!again) {
		state->listener = mark;
		return false;
	}
	if (state->listener == mark) {
		state->listener = 0;
		return true;
	}
	__sync_fetch_and_add(&count_rescued, 1);
	return false;
}

static __always_inline bool is_mptcp(struct sock *sk)
{
	return bpf_core_type_exists(struct mptcp_sock) && READ(sk, sk_protocol) == IPPROTO_MPTCP;
}

/* The TCP connection behind an accepted socket, TYPED: of MPTCP its first subflow; NULL: none any more. */
static __always_inline struct sock *accepted_tcp(struct sock *child)
{
	struct mptcp_sock *msk;
	struct sock *first;

	if (!is_mptcp(child))
		return child;
	msk = TYPED(child, struct mptcp_sock);
	first = READ(msk, first);
	return first ? TYPED(first, struct sock) : NULL;
}

/*
 * accept() or accept4() returned the new descriptor `ret`. The listener is what its first argument names now: if the descriptor was
 * replaced while the thread slept, the connection does not fit (listener_unknown); a replacement that listens on the same address
 * and port can't be told from the original.
 */
static __always_inline void accept_returned(long ret, const bool again)
{
	struct sock *sk, *listener, *child;
	struct count_worker *known;
	struct thread_state *state;
	struct task_struct *task;
	__u64 now_ns;
	bool listens;

	if (!count_on || (config.accept_twice && accept_done(ret, again)))
		return;
	if ((ret < 0 && ret != -EFAULT) || (config.protocol && config.protocol != IPPROTO_TCP))
		return;
	now_ns = accept_time();
	task = bpf_get_current_task_btf();
	sk = socket_of_descriptor(task, syscall_argument(task, 0));
	listener = TYPED(sk, struct sock);
	state = thread_state(false);
	/* Mostly the thread's last listener again: it has passed the filter, its row is known. */
	known = sk ? remembered_row(state, socket_cookie(listener, NULL)) : NULL;
	listens = known || (sk && READ(listener, __sk_common.skc_state) == TCP_LISTEN && is_tcp(listener));
	if (listens && !known && !wanted(listener))
		return;
	/* Addresses are copied last of all (do_accept()): the connection was taken, and is closed. */
	if (ret < 0) {
		lost_of(COUNT_LOST_TAKEN_DROPPED, listens, listener);
		return;
	}
	child = socket_of_descriptor(task, ret);
	if (!child) {
		/* Another thread closed it already. */
		if (listens)
			lost_of(COUNT_LOST_LISTENER_UNKNOWN, 1, listener);
		return;
	}
	child = TYPED(child, struct sock);
	if (listens && child_fits(listener, child)) {
		if (known && state) {
			const struct worker w = { .row = known, .index = state->worker };

			known->events++;
			accept_measure(&w, known->cookie, listener, accepted_tcp(child), is_mptcp(child), now_ns);
		} else {
			worker_accepted(listener, socket_cookie(listener, NULL), accepted_tcp(child), is_mptcp(child), now_ns);
		}
	} else if (wanted(child) && is_tcp(child))
		lost_of(COUNT_LOST_LISTENER_UNKNOWN, 1, child);
}

/* ---- what becomes of listeners and connections ---- */

/* Do the connections in its queue move to another socket of its group when it closes? Since 5.14: reuseport_migrate_sock(). */
static __always_inline bool migrates(struct sock *listener)
{
	struct net *net = READ(listener, __sk_common.skc_net.net);
	struct sock_reuseport *group = READ(listener, sk_reuseport_cb);

	if (!net || !group || !bpf_core_field_exists(net->ipv4.sysctl_tcp_migrate_req))
		return false;
	return READ(net, ipv4.sysctl_tcp_migrate_req) || READ(group, prog);
}

/*
 * A listener is being closed. What is in its queue is reset next, by the same thread, or moved. Each that is reset tells, see queued_reset();
 * those that clients had reset before do not. sk: the server's socket or, of MPTCP, its first subflow.
 */
static __always_inline void listener_closed(struct sock *sk, const bool again)
{
	struct sock *view = TYPED(sk, struct sock), *owner;
	__u32 left = READ(view, sk_ack_backlog), index;
	struct thread_state *state;
	struct count_socket *row;
	__u64 cookie;
	bool moves;
	int found;

	if (!left || !tcp_wanted(view))
		return;
	owner = mptcp_owner(view);
	cookie = socket_cookie(owner ? owner : view, NULL);
	found = socket_row(owner ? owner : view, cookie, 0);
	if (found < 0)
		return;
	index = found;
	row = bpf_map_lookup_elem(&sockets, &index);
	if (!row)
		return;
	moves = migrates(view);
	if (moves)
		count_migrates = 1;
	state = thread_state(true);
	if (!state) {
		row->left_reset += again ? 0 : left; /* those that clients had reset too */
		return;
	}
	state->told = again ? 0 : (__u64)sk;
	state->closing = cookie;
	state->closing_port = port_of(view);
	state->closing_moves = moves;
	row->left_moved += moves ? left : 0; /* but for those that are reset */
}

/* A connection ends that no process has and that no peer has reset: the thread is closing its listener. */
static __always_inline void queued_reset(struct sock *sk, const bool again)
{
	struct sock *view = TYPED(sk, struct sock);
	struct thread_state *state = thread_state(false);
	struct count_socket *row;
	__u32 index;
	int found;

	if (!state || !state->closing || state->closing_port != port_of(view))
		return;
	/* User space knows the listener by now; where it was faster and has its row back, only the cookie of the new one matters. */
	found = socket_row(view, state->closing, 0);
	if (found < 0)
		return;
	index = found;
	row = bpf_map_lookup_elem(&sockets, &index);
	if (!row)
		return;
	state->told = again ? 0 : (__u64)sk;
	row->left_reset++;
	row->left_moved -= state->closing_moves;
}

static __always_inline bool is_open(int state)
{
	return state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT || state == TCP_SYN_RECV;
}

/* What comes of a closing listener: has the first of the two programs counted it? */
static __always_inline bool told_before(struct sock *sk, const bool again)
{
	struct thread_state *state = again ? thread_state(false) : NULL;

	if (!state || state->told != (__u64)sk)
		return false;
	state->told = 0;
	return true;
}

/*
 * inet_sock_set_state, for all sockets. The kernel skips a program that is running on that CPU already: a connection that ends in a softirq, while
 * the thread that the softirq interrupted closes another, was not seen to end (2 of 20,000). So two run for each change. One of them at least is
 * not the one that was interrupted; what the first has done the second finds done.
 */
static __always_inline void state_changed(struct sock *sk, int before, int after, const bool again)
{
	struct sock *view = TYPED(sk, struct sock);

	if (before == TCP_LISTEN && after == TCP_SYN_RECV && config.marks_clones) {
		struct stash *mine = stash();

		if (mine)
			mine->cloned = 1;
	}
	if (is_open(after) || after == TCP_LISTEN || !count_on || !port_wanted(view))
		return;
	if (before == TCP_LISTEN) {
		if (!told_before(sk, again))
			listener_closed(sk, again);
		return;
	}
	/* A change that was not seen (see accept_done()) is made good by the next. */
	if (!is_open(before) && !config.accept_twice)
		return;
	if (config.serves)
		connection_closed((__u64)sk, sk, after != TCP_CLOSE, again);
	if (is_open(before) && after == TCP_CLOSE && !READ(view, sk_socket) && !READ(view, sk_err) && !told_before(sk, again))
		queued_reset(sk, again);
}

/* ---- TCP through io_uring, tracepoint backend ---- */

#define IORING_OP_ACCEPT 13 /* include/uapi/linux/io_uring.h */
#define REQ_F_FIXED_FILE 1 /* include/linux/io_uring_types.h: the descriptor is an index of the ring's own table */

/*
 * Does the accept put the connection into the ring's own table of files? Then its result is a place there, not a descriptor. The request of an
 * accept is a struct io_accept (io_uring/net.c; before 6.0 it was a part of io_kiocb and can't be told).
 */
static __always_inline bool uring_direct(void *request)
{
	struct io_accept *accept = TYPED(request, struct io_accept);

	return !bpf_core_type_exists(struct io_accept) || READ(accept, file_slot);
}

/* An accept was submitted, or woke from its poll: completions that don't name their request are told by ring and user_data. */
static __always_inline void uring_seen(void *ring, void *request, __u64 user_data)
{
	struct uring_key key = { .ring = (__u64)ring, .user_data = user_data };
	struct io_kiocb *req = TYPED(request, struct io_kiocb);
	struct uring_accept accept = { .direct = uring_direct(request) }, *known;
	__u64 file;

	file = (__u64)READ(req, file);
	/* On submission it has no file yet. The accept may end before it wakes once, so find the file by its descriptor. */
	if (!file && !(READ(req, flags) & REQ_F_FIXED_FILE))
		file = (__u64)file_of_descriptor(current_task(), READ(req, cqe.fd));
	accept.file = file;
	known = bpf_map_lookup_elem(&uring_accepts, &key);
	if (known && known->file == file && known->direct == accept.direct)
		return;
	if (bpf_map_update_elem(&uring_accepts, &key, &accept, BPF_ANY))
		lost_add(COUNT_LOST_URING_LISTENER_UNKNOWN, 1);
}

/* The socket that a completion names, TYPED, or NULL. */
static __always_inline struct sock *uring_child(struct sock *listener, int descriptor)
{
	struct sock *child = socket_of_descriptor(current_task(), descriptor);

	child = TYPED(child, struct sock);
	return child && is_tcp(child) && child_fits(listener, child) ? child : NULL;
}

/* direct: the result is no descriptor; the connection is counted, but not followed. */
static __always_inline void uring_accepted(struct file *file, int result, bool direct)
{
	const __u64 now_ns = accept_time();
	struct sock *sk = socket_of_file(file), *child;

	sk = TYPED(sk, struct sock);
	if (!sk || READ(sk, __sk_common.skc_state) != TCP_LISTEN) {
		lost_add(COUNT_LOST_URING_LISTENER_UNKNOWN, 1);
		return;
	}
	if (!wanted(sk) || !is_tcp(sk))
		return;
	child = direct ? NULL : uring_child(sk, result);
	worker_accepted(sk, socket_cookie(sk, NULL), child ? accepted_tcp(child) : NULL, child && is_mptcp(child), now_ns);
}

/*
 * The connection was taken by then, and is closed: its address could not be copied, or the ring has no such table, place, or none that is free
 * (io_accept()). The same errors may tell of other reasons, for which none is taken.
 */
static __always_inline bool uring_drops(void *request, int result)
{
	return result == -EFAULT || ((result == -ENFILE || result == -ENXIO || result == -EINVAL) && uring_direct(request));
}

static __always_inline void uring_dropped(struct file *file)
{
	struct sock *sk = socket_of_file(file);

	sk = TYPED(sk, struct sock);
	if (sk && READ(sk, __sk_common.skc_state) == TCP_LISTEN && wanted(sk) && is_tcp(sk))
		lost_of(COUNT_LOST_TAKEN_DROPPED, 1, sk);
}

/* A completion. req is NULL for all but the last one of a multishot accept. */
static __always_inline void uring_completed(void *ring, void *request, __u64 user_data, int result)
{
	struct uring_key key = { .ring = (__u64)ring, .user_data = user_data };
	struct io_kiocb *req = TYPED(request, struct io_kiocb);
	struct uring_accept *known;

	if (config.protocol && config.protocol != IPPROTO_TCP)
		return;
	if (request) {
		if (READ(req, opcode) != IORING_OP_ACCEPT)
			return;
		/* The request is over: its user_data may come back with another operation. */
		bpf_map_delete_elem(&uring_accepts, &key);
		if (result >= 0 && count_on)
			uring_accepted(READ(req, file), result, uring_direct(request));
		else if (count_on && uring_drops(request, result))
			uring_dropped(READ(req, file));
		return;
	}
	known = result < 0 || !count_on ? NULL : bpf_map_lookup_elem(&uring_accepts, &key);
	if (known)
		uring_accepted((struct file *)known->file, result, known->direct);
}

/* ---- UDP ---- */

static __always_inline bool udp_wanted(struct sock *sk)
{
	if (READ(sk, sk_protocol) != IPPROTO_UDP || !wanted(sk) || (config.protocol && config.protocol != IPPROTO_UDP))
		return false;
	/* Nobody asked for an address or a port with bind(): a client. */
	return !config.without_clients || (READ_BITFIELD(sk, sk_userlocks) & (SOCK_BINDADDR_LOCK | SOCK_BINDPORT_LOCK));
}

/*
 * Datagrams in one buffer: several where the socket asked for UDP_GRO and the kernel merged them. gso_segs is 0 for what a
 * driver merged itself; then it is the length over the size of one.
 */
static __always_inline __u64 skb_datagrams(struct sk_buff *untyped)
{
	struct sk_buff *skb = TYPED(untyped, struct sk_buff);
	unsigned char *end = READ(skb, head) + READ(skb, end);
	struct skb_shared_info *shared = TYPED(end, struct skb_shared_info);
	__u32 size = READ(shared, gso_size), segments = READ(shared, gso_segs);

	if (!size)
		return 1;
	return segments ? segments : (READ(skb, len) + size - 1) / size;
}

#define FLOW_UNKNOWN 0xffffffffu

/* include/uapi/linux/if_packet.h */
#define PACKET_BROADCAST 1
#define PACKET_LOOPBACK 5

/*
 * The bucket of a datagram's flow: a hash of its client's address and port, which are left in *peer. FLOW_UNKNOWN: the buffer does not hold a datagram
 * for that socket, or no longer: one that was freed reads as garbage.
 */
static __always_inline __u32 flow_of(struct sock *view, struct sk_buff *untyped, struct count_peer *peer)
{
	struct sk_buff *skb = TYPED(untyped, struct sk_buff);
	unsigned char *head = READ(skb, head);
	struct udphdr *udp = TYPED(head + READ(skb, transport_header), struct udphdr);
	__u32 hash, address;

	if (READ(udp, dest) != bpf_htons(port_of(view)))
		return FLOW_UNKNOWN;
	if (READ(skb, protocol) == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = TYPED(head + READ(skb, network_header), struct iphdr);

		address = READ(ip, saddr);
		peer->address[0] = peer->address[1] = 0;
		peer->address[2] = bpf_htonl(0xffff);
		peer->address[3] = address;
	} else {
		struct ipv6hdr *ip = TYPED(head + READ(skb, network_header), struct ipv6hdr);

		peer->address[0] = READ(ip, saddr.in6_u.u6_addr32[0]);
		peer->address[1] = READ(ip, saddr.in6_u.u6_addr32[1]);
		peer->address[2] = READ(ip, saddr.in6_u.u6_addr32[2]);
		peer->address[3] = READ(ip, saddr.in6_u.u6_addr32[3]);
		address = peer->address[0] ^ peer->address[1] * 0x85ebca6bu ^ peer->address[2] * 0xc2b2ae35u ^ peer->address[3] * 0x27d4eb2fu;
	}
	peer->port = READ(udp, source);
	hash = (address ^ peer->port * 0x9e3779b1u) * 0x85ebca6bu;
	hash = (hash ^ hash >> 15) * 0x2c1b3c6du;
	return hash >> 25; /* the highest seven bits */
}

/*
 * Was the datagram sent to a multicast or broadcast address, so that each socket that has a claim gets one of its own? A broadcast of a network is
 * told by how it came, for its route is dropped by now; one on lo comes as any other, to the last address of 127.0.0.0/8.
 */
static __always_inline bool is_copy(struct sk_buff *untyped)
{
	struct sk_buff *skb = TYPED(untyped, struct sk_buff);
	unsigned char *header = READ(skb, head) + READ(skb, network_header);
	__u32 to;
	__u8 type;

	if (READ(skb, protocol) != bpf_htons(ETH_P_IP)) {
		struct ipv6hdr *ip = TYPED(header, struct ipv6hdr);

		return (bpf_ntohl(READ(ip, daddr.in6_u.u6_addr32[0])) >> 24) == 0xff;
	} else {
		struct iphdr *ip = TYPED(header, struct iphdr);

		to = bpf_ntohl(READ(ip, daddr));
	}
	if (to >> 28 == 14 || to == 0xffffffff || to == 0x7fffffff)
		return true;
	type = READ_BITFIELD(skb, pkt_type);
	return type == PACKET_BROADCAST || type == PACKET_LOOPBACK;
}

static __always_inline bool has_flows(struct sock *view)
{
	return READ_BITFIELD(view, __sk_common.skc_reuseport);
}

static __always_inline struct count_sketch *sketch_of(__u32 socket)
{
	struct count_socket *row = bpf_map_lookup_elem(&sockets, &socket);
	__u32 index;

	if (!row || !row->sketch)
		return NULL;
	index = row->sketch - 1;
	return bpf_map_lookup_elem(&sketches, &index);
}

static __always_inline bool same_peer(const struct count_peer *a, const struct count_peer *b)
{
	return a->port == b->port && a->address[3] == b->address[3] && a->address[2] == b->address[2] && a->address[1] == b->address[1] &&
	       a->address[0] == b->address[0];
}

static __always_inline void flow_elect(struct count_sketch *sketch, const struct count_peer *peer, __u32 n)
{
	sketch->peer.address[0] = peer->address[0];
	sketch->peer.address[1] = peer->address[1];
	sketch->peer.address[2] = peer->address[2];
	sketch->peer.address[3] = peer->address[3];
	sketch->peer.port = peer->port;
	sketch->votes = n;
}

/*
 * Whose the heaviest bucket is. Its datagrams vote: one of the peer that is elected adds a vote, one of another takes one, and where none is left the
 * other is elected. So of the bucket's datagrams since then at least as many as it has votes came of that peer. Another bucket takes its place with an
 * eighth more, so that two of a size do not take turns. Two CPUs that elect at once may leave a peer that nobody is: it loses its votes.
 */
static __always_inline void flow_vote(struct count_sketch *sketch, __u32 flow, __u32 n, const struct count_peer *peer)
{
	const __u32 heaviest = sketch->heaviest, count = sketch->buckets[flow];

	if (flow + 1 != heaviest) {
		const __u32 most = heaviest ? sketch->buckets[(heaviest - 1) & (COUNT_SKETCH_BUCKETS - 1)] : 0;

		if (count <= most + most / 8)
			return;
		sketch->heaviest = flow + 1;
		sketch->since = count - n;
		flow_elect(sketch, peer, n);
	} else if (same_peer(&sketch->peer, peer)) {
		__sync_fetch_and_add(&sketch->votes, n);
	} else if (sketch->votes > 0) {
		__sync_fetch_and_add(&sketch->votes, -(__s64)n);
	} else {
		flow_elect(sketch, peer, n);
	}
}

/* n datagrams of that flow came. */
static __always_inline void flow_note(struct count_sketch *sketch, __u32 flow, __u32 n, const struct count_peer *peer)
{
	if (flow >= COUNT_SKETCH_BUCKETS)
		return;
	__sync_fetch_and_add(&sketch->buckets[flow], n);
	flow_vote(sketch, flow, n, peer);
}

/*
 * The tracepoint backend: sk_data_ready() is called once for each buffer, and does not show it. From 6.18 on the buffers of a stage are queued
 * together and then told one by one; and another CPU may have queued one more. So each call notes all that were queued since the one that was noted
 * last, and as many calls that follow have nothing to note. What a reader has taken by then is not seen: user space holds what was noted against
 * what arrived. Two CPUs that are here at once may note one buffer twice.
 */
#define FLOW_STEPS 16

static __always_inline void flow_told(struct count_sketch *sketch, struct sock *view)
{
	void *queue = (void *)view + bpf_core_field_offset(struct sock, sk_receive_queue);
	struct sk_buff *newest = READ(view, sk_receive_queue.prev), *buffer = newest;
	const __u64 last = sketch->last;
	struct count_peer peer = {};
	__s64 noted = 0;

	if ((void *)newest == queue || (__u64)newest == last) {
		if (sketch->ahead > 0) {
			__sync_fetch_and_add(&sketch->ahead, -1);
			return;
		}
		if ((void *)newest == queue)
			return;
		/* Not yet noted: another buffer in the place of one that was read. */
		flow_note(sketch, flow_of(view, newest, &peer), 1, &peer);
		return;
	}
	for (int i = 0; i < FLOW_STEPS; i++) {
		if ((void *)buffer == queue || (__u64)buffer == last)
			break;
		flow_note(sketch, flow_of(view, buffer, &peer), 1, &peer);
		noted++;
		buffer = TYPED(buffer, struct sk_buff);
		buffer = READ(buffer, prev);
	}
	sketch->last = (__u64)newest;
	if (noted > 1)
		__sync_fetch_and_add(&sketch->ahead, noted - 1);
}

/*
 * A buffer with n datagrams was put into the receive queue, or with an error was not. several: n is 1 for want of knowledge, as the hook does not
 * show the buffer. copies: of n. sk passed the filter. Returns the sketch of the socket's flows, or NULL.
 */
static __always_inline struct count_sketch *udp_queued(struct sock *sk, __u32 n, bool several, __u32 copies, int error, const bool trusted)
{
	struct sock *view = TYPED(sk, struct sock);
	struct count_arrival *row;
	__u32 socket;

	row = arrival_row(view, socket_cookie(view, trusted ? sk : NULL), n, &socket);
	if (!row)
		return NULL;
	row->several += several;
	if (error) {
		row->dropped += n;
	} else {
		row->copies += copies;
		row->arrived += n;
	}
	return has_flows(view) ? sketch_of(socket) : NULL;
}

/*
 * __udp_enqueue_schedule_skb() is entered: the last that the buffer is surely ours to look at. Once it is in the queue another CPU may read and
 * free it before the function returns. A stash that the filter does not want is left empty.
 */
static __always_inline void udp_entered(struct stash *mine, struct sock *sk, struct sk_buff *skb)
{
	struct sock *view = TYPED(sk, struct sock);

	mine->udp_sk = udp_wanted(view) ? (__u64)sk : 0;
	if (!mine->udp_sk)
		return;
	mine->udp_skb = (__u64)skb;
	mine->udp_datagrams = udp_has_gro(view) ? skb_datagrams(skb) : 1;
	mine->udp_copies = is_copy(skb) ? mine->udp_datagrams : 0;
	mine->udp_flow = has_flows(view) && !mine->udp_copies ? flow_of(view, skb, &mine->udp_peer) : FLOW_UNKNOWN;
}

/* It returns. sk: see socket_cookie() for `trusted`. */
static __always_inline void udp_left(struct stash *mine, struct sock *sk, int error, const bool trusted)
{
	struct count_sketch *sketch;

	mine->udp_sk = 0;
	sketch = udp_queued(sk, mine->udp_datagrams, false, mine->udp_copies, error, trusted);
	if (sketch)
		flow_note(sketch, mine->udp_flow, mine->udp_datagrams, &mine->udp_peer);
}

/* The tracepoint backend: as udp_queued(), with the buffer, or NULL where the hook does not show it. */
static __always_inline void udp_told(struct sock *sk, struct sk_buff *skb, int error)
{
	struct sock *view = TYPED(sk, struct sock);
	struct count_peer peer = {};
	struct count_sketch *sketch;
	__u32 n = 1;
	bool merges;

	if (!udp_wanted(view))
		return;
	merges = udp_has_gro(view);
	if (merges && skb)
		n = skb_datagrams(skb);
	sketch = udp_queued(sk, n, merges && !skb, 0, error, true);
	if (sketch && skb)
		flow_note(sketch, flow_of(view, skb, &peer), n, &peer);
	else if (sketch && !error)
		flow_told(sketch, view);
}

/* Staged delivery gave up on a datagram that __udp_enqueue_schedule_skb() had taken. `counted`: it was counted as arrived. */
static __always_inline void udp_dropped_late(struct sock *sk, struct sk_buff *skb, const bool counted)
{
	struct sock *view = TYPED(sk, struct sock);
	struct count_peer peer = {};
	struct count_sketch *sketch;
	struct count_arrival *row;
	struct stash *mine = stash();
	__u32 socket, n;

	if (!sk || !udp_wanted(view))
		return;
	if (mine && mine->failed_skb == (__u64)skb) {
		mine->failed_skb = 0;
		return;
	}
	n = udp_has_gro(view) ? skb_datagrams(skb) : 1;
	row = arrival_row(view, socket_cookie(view, NULL), n, &socket);
	if (!row)
		return;
	row->dropped += n;
	if (counted) {
		row->dropped_late += n;
		return;
	}
	sketch = has_flows(view) ? sketch_of(socket) : NULL;
	if (sketch)
		flow_note(sketch, flow_of(view, skb, &peer), n, &peer);
}

static __always_inline void udp_received(struct sock *sk, __u64 n, const bool trusted)
{
	struct sock *view = TYPED(sk, struct sock);

	worker_add(view, socket_cookie(view, trusted ? sk : NULL), n);
}

/* n buffers were read that nothing shows. Told once: here only where it was not when they were queued. */
static __always_inline void several_read(struct sock *view, __u64 n)
{
	struct count_arrival *row;
	__u32 socket;

	if (config.udp_queued_seen || !udp_has_gro(view))
		return;
	row = arrival_row(view, socket_cookie(view, NULL), 0, &socket);
	if (row)
		row->several += n; /* nobody else writes the row: see udp_queued_seen */
}

/*
 * skb_consume_udp(sk, skb, len): after a read. A peek passes -len and leaves the buffer in the queue: len says so unless it is 0, then
 * the queue's own reference does.
 */
static __always_inline void udp_consumed(struct sock *sk, struct sk_buff *untyped, int len, const bool trusted)
{
	struct sock *view = TYPED(sk, struct sock);
	struct sk_buff *skb = TYPED(untyped, struct sk_buff);

	if (len < 0 || !udp_wanted(view) || (!len && READ(skb, users.refs.counter) > 1))
		return;
	udp_received(sk, udp_has_gro(view) ? skb_datagrams(skb) : 1, trusted);
}

/* After shutdown() a read returns 0 without a datagram; so does reading an empty datagram. */
static __always_inline bool read_ended(struct sock *sk, long ret)
{
	if (ret || !(READ(sk, sk_shutdown) & RCV_SHUTDOWN))
		return false;
	lost_of(COUNT_LOST_SHUTDOWN_READ, 1, sk);
	return true;
}

/* sock:sock_recv_length: a read of any socket returned `ret`. */
static __always_inline void socket_read(struct sock *sk, int ret, int flags)
{
	struct sock *view = TYPED(sk, struct sock);

	if (ret < 0 || (flags & (MSG_PEEK | MSG_ERRQUEUE)) || !udp_wanted(view))
		return;
	if (read_ended(view, ret))
		return;
	several_read(view, 1);
	udp_received(sk, 1, false);
}

/*
 * recvfrom(), recvmsg() or recvmmsg() took n datagrams, for kernels without sock_recv_length. The descriptor may have been replaced
 * meanwhile, as in accept_returned(); nothing of the datagram is left to tell.
 */
static __always_inline void read_returned(const int flags_argument, long n, long ret)
{
	struct task_struct *task;
	struct sock *sk;

	if (ret < 0 || n <= 0 || !count_on)
		return;
	task = bpf_get_current_task_btf();
	if (syscall_argument(task, flags_argument) & (MSG_PEEK | MSG_ERRQUEUE))
		return;
	sk = socket_of_descriptor(task, syscall_argument(task, 0));
	if (!sk)
		return;
	sk = TYPED(sk, struct sock);
	if (!udp_wanted(sk) || read_ended(sk, ret))
		return;
	several_read(sk, n);
	worker_add(sk, socket_cookie(sk, NULL), n);
}

#endif
