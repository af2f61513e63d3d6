/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables that the handlers of tcp.bpf.h, serve.bpf.h, uring.bpf.h and udp.bpf.h count in: rows
 * of sockets and of threads, the limits on who may have a row, the filter, and the counters of
 * lost events.
 *
 * A TCP connection is counted twice: when it enters a listener's accept queue (in softirq; one row
 * per socket and CPU) and when a thread takes it (in process context; one row per socket and
 * thread). So is a UDP datagram: when it is put into a receive queue or dropped, and when it is
 * read. Every row has one writer, so counters need neither atomics nor per-CPU copies. The
 * exception is io_uring: its kernel threads add to the row of the thread that owns the ring.
 *
 * Rows lie in arrays that user space maps. A hash finds the index of a row, and user space hands
 * out free indexes through a queue. A thread remembers its last row, so a usual event finds its
 * row without a hash lookup.
 */
#ifndef SOCKFAIR_ROWS_BPF_H
#define SOCKFAIR_ROWS_BPF_H

#include "socket.bpf.h"
#include "count.h"

const volatile struct count_config config;

/* .bss, mapped by user space. Counting begins once every hook is attached. */
__u32 count_on;
__u32 count_unlinked;    /* goes up when user space takes back rows of sockets: see arrival_row() */
__u64 count_ports[1024]; /* bit per port */
__u64 count_lost[COUNT_LOST_ROOM]; /* events whose port is not known; lost_by_port has the others */
__u64 count_lost_crowded[COUNT_LOST_ROOM]; /* events of ports that found no room in lost_by_port */
__u8 count_crowded_ports[COUNT_PORTS]; /* not 0: the port is one of those. Every port has a byte,
					  because setting a bit would need an atomic OR (5.12) */
__u64 count_rescued; /* program runs that the kernel skipped and a second program made good: see
			accept_done() */
__u32 count_used[COUNT_POOLS];         /* rows in use */
__u32 count_shares[COUNT_SHARE_CELLS]; /* see shares.h */
__u32 count_servers; /* rows of threads that were made only because the thread serves connections */
__u32 count_undecided;  /* rows of sockets in use with COUNT_UNDECIDED */
__u64 count_ends_busy;  /* connections that ended while their entry could not be taken out */
__u32 count_migrates;   /* a listener has closed whose queue moves to other sockets */
__u64 count_started_us; /* when the window began: CLOCK_MONOTONIC, the clock of the kernel's own
			   timestamps */

struct thread_state {
	__u64 listener;   /* the listener whose inet_csk_accept() the thread is in, else 0; the
			     tracepoint backend uses it differently: see accept_done() */
	__u64 cookie;     /* cookie of the socket of `worker` */
	__u64 start_ns;   /* when the thread began, in state_by_tid: a tid may be used again */
	__u64 closing;    /* cookie of the listener that the thread closed last */
	__u32 worker;     /* index of the thread's last row */
	__u32 generation; /* generation of that row when it belonged to this thread */
	__u64 told;   /* the listener, or the connection in its queue, whose end the first of two
			 programs has counted: see state_changed() */
	__u64 moving; /* the listener, if connections in its queue move: until it is gone, or the
			 thread takes a connection */
	__u16 closing_port;
	__u8 closing_moves; /* the connections in its queue move to other sockets */
	__u8 pad;
	__u32 owner; /* of `worker`: see counting_worker */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} state_by_task SEC(".maps");

/* The same, for kernels whose tracing programs have no task storage (before 5.12). */
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

/* Rows of `sockets`. A hint may be old or wrong: the row itself says whose it is. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNT_HINTS);
	__type(key, __u32);
	__type(value, __u32);
} hints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, COUNT_SOCKETS_MAX);
	__type(value, __u32);
} free_sockets SEC(".maps");

/*
 * User space makes this map as large as the inventory requires. It is used only with a filter by
 * process.
 */
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

/*
 * Index: cpu * config.sockets + socket. So the rows of a CPU lie together, and no two CPUs write
 * to one cache line.
 */
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
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNT_LOST_PORTS);
	__type(key, struct count_lost_key);
	__type(value, __u64);
} lost_by_port SEC(".maps");

/*
 * What an entry hook leaves for the exit hook of the same call. The call does not sleep and both
 * hooks run on one CPU with bottom halves off, so one place per CPU is enough.
 */
struct stash {
	__u64 last_cookie;   /* the socket whose row was used last: see arrival_row() */
	__u32 last_row;      /* index in `arrivals` */
	__u32 last_sketch;   /* see count_socket */
	__u32 last_unlinked; /* count_unlinked before the row was found */
	__u32 told_depth;    /* see buffer_told() */
	__u64 told_sk, told_skb;
	__u64 queue_sk;   /* the listener whose inet_csk_complete_hashdance() is running */
	__u64 request_sk; /* the listener whose inet_csk_reqsk_queue_add() is running */
	__u64 udp_sk; /* the socket whose __udp_enqueue_schedule_skb() is running, if it passed the
			 filter */
	__u64 udp_skb;
	__u32 udp_datagrams; /* datagrams in that buffer */
	__u32 udp_flow;      /* see flow_of() */
	__u32 udp_copies;    /* of those datagrams, the copies: see is_copy() */
	struct count_peer udp_peer;
	__u64 cloned; /* a connection was made, and its listener has not been told of it yet: see
			 listener_called() */
	__u64 failed_skb; /* the buffer that was just refused with -ENOBUFS: its kfree_skb is not a
			     late drop */
	__u64 steered;    /* see steer_number_of() */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stash);
} stash_by_cpu SEC(".maps");

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
	return kernel.has_task_storage ? bpf_get_current_task_btf()
				       : (struct task_struct *)bpf_get_current_task();
}

/*
 * Returns the state of the current thread. NULL means that it has none yet and !create, that
 * memory ran out, or that the storage is busy on this CPU; callers do without.
 */
static __always_inline struct thread_state *thread_state(bool create)
{
	struct thread_state fresh = {}, *state;
	struct task_struct *task;
	__u32 tid;

	if (kernel.has_task_storage)
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

/* Returns COUNT_ASKED, COUNT_UNASKED, or 0 if it is not known (yet). */
static __always_inline __u32 asked(__u64 cookie)
{
	__u32 *known = config.by_socket ? bpf_map_lookup_elem(&asked_by_cookie, &cookie) : NULL;

	return known ? *known : 0;
}

/*
 * Has user space found that the filter leaves this socket out, because no process that is asked
 * for holds it?
 */
static __always_inline bool unwanted(__u64 cookie)
{
	return asked(cookie) == COUNT_UNASKED;
}

/* Is the share of rows that sockets of which nothing is known may have used up? */
static __always_inline bool share_full(void)
{
	return count_undecided >= config.undecided_max;
}

/*
 * The current process has the socket: it listens on it, or takes from it. If that process is asked
 * for, so is the socket, even before user space finds it. If the process is not asked for, nothing
 * follows: another process may hold the socket too, or get it later.
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
	bpf_probe_read_kernel_str(comm, sizeof(comm),
				  __builtin_preserve_access_index(&leader->comm));
	if (config.by_comm && !bpf_map_lookup_elem(&asked_comms, comm))
		return;
	/* If the map is full the socket stays one of which nothing is known. */
	bpf_map_update_elem(&asked_by_cookie, &cookie, &mark, BPF_ANY);
}

static __always_inline bool port_wanted(struct sock *sk)
{
	__u16 port;

	if (!filter.by_port)
		return true;
	port = port_of(sk);
	if (filter.ports[0])
		return port && (port == filter.ports[0] || port == filter.ports[1] ||
				port == filter.ports[2] || port == filter.ports[3]);
	return (count_ports[(port >> 6) & 1023] >> (port & 63)) & 1;
}

/*
 * The filter. The verifier removes every test that this run does not need when the programs are
 * loaded. sk is TYPED.
 */
static __always_inline bool wanted(struct sock *sk)
{
	__u16 family;

	if (!count_on || !port_wanted(sk))
		return false;
	if (filter.netns[0] && !netns_wanted(sk))
		return false;
	family = READ(sk, __sk_common.skc_family);
	if (filter.family ? family != filter.family : family != AF_INET && family != AF_INET6)
		return false;
	return !config.by_socket || !unwanted(READ(sk, __sk_common.skc_cookie.counter));
}

static __always_inline bool is_tcp(struct sock *sk)
{
	__u16 protocol = READ(sk, sk_protocol);

	return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

/* ---- lost events, by port ---- */

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
 * Counts n lost events of sk, which is the socket itself or a connection of the listener. Events
 * are kept by port, so that one port's loss does not cast doubt on another's. With NULL the events
 * may belong to any port.
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

/* May the owner have one more row of the pool? For `cell` see shares.h. */
static __always_inline bool share_left(const enum count_pool pool, __u32 cell)
{
	const __u32 used = count_used[pool], max = config.pool_max[pool];

	barrier_var(cell); /* the verifier does not know the range that the compiler derives */
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

/* The caller passes the socket's uid because the socket's own may change meanwhile. */
static __noinline int socket_describe(struct count_socket *row, struct sock *untyped, __u64 cookie,
				      __u32 used, __u32 uid)
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
	local_address_read(row->address, sk, row->family);
	share = share_of_user(COUNT_POOL_SKETCHES, uid, config.share_seed);
	if (row->protocol == IPPROTO_UDP && row->flags == COUNT_REUSEPORT &&
	    share_left(COUNT_POOL_SKETCHES, share) && !bpf_map_pop_elem(&free_sketches, &sketch)) {
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

/* Makes a row. The cookie is not 0. For the rest see socket_row(). */
static __noinline int socket_row_make(struct sock *untyped, __u64 cookie, __u64 events)
{
	struct sock *sk = TYPED(untyped, struct sock);
	struct count_socket *row;
	__u32 *known, index, uid, share;
	bool undecided;

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
		/* Another CPU made the row first. */
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

/*
 * Returns the index of the socket's row, which is made when the socket is first seen. If there is
 * no row the result is negative and `events` are counted as lost, by reason.
 */
static __always_inline int socket_row(struct sock *sk, __u64 cookie, const __u64 events)
{
	const __u32 place = cookie & (COUNT_HINTS - 1);
	__u32 *hint = bpf_map_lookup_elem(&hints, &place), *known, index;
	struct count_socket *row;

	if (!cookie) {
		lost_of(COUNT_LOST_COOKIE_UNKNOWN, events, sk);
		return -1;
	}
	if (!hint)
		return -1;
	index = *hint;
	row = bpf_map_lookup_elem(&sockets, &index);
	if (row && row->cookie == cookie && row->used && !(row->flags & COUNT_UNLINKED))
		return index;
	known = bpf_map_lookup_elem(&socket_by_cookie, &cookie);
	if (!known)
		return socket_row_make(sk, cookie, events);
	*hint = index = *known;
	return index;
}

/*
 * Returns the row of the socket on this CPU, for n events, and the index of the socket's row in
 * *row; NULL if there is none.
 */
static __always_inline struct count_arrival *arrival_find(struct sock *sk, __u64 cookie,
							  const __u64 n, __u32 *row)
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
	index = cpu * config.sockets + socket;
	return bpf_map_lookup_elem(&arrivals, &index);
}

/* Leaves the row in the stash; below 0: there is none. */
static __noinline int arrival_remember(struct sock *untyped, __u64 cookie, __u64 n)
{
	const __u32 unlinked = *(volatile __u32 *)&count_unlinked;
	struct sock *sk = TYPED(untyped, struct sock);
	struct stash *mine = stash();
	struct count_socket *row;
	__u32 socket;

	if (!mine || !arrival_find(sk, cookie, n, &socket))
		return -1;
	row = bpf_map_lookup_elem(&sockets, &socket);
	if (!row)
		return -1;
	mine->last_cookie = row->used ? cookie : 0; /* else another CPU is just filling it in */
	mine->last_row = bpf_get_smp_processor_id() * config.sockets + socket;
	mine->last_sketch = row->sketch;
	mine->last_unlinked = unlinked;
	return 0;
}

/*
 * The same, with bottom halves off. Events of a socket come in runs, so the row that was used last
 * on this CPU is mostly the row, until user space takes back any socket's row.
 */
static __always_inline struct count_arrival *arrival_row(struct stash *mine, struct sock *sk,
							 __u64 cookie, const __u64 n)
{
	__u32 index;

	if ((!cookie || mine->last_cookie != cookie || mine->last_unlinked != count_unlinked) &&
	    arrival_remember(sk, cookie, n) < 0)
		return NULL;
	index = mine->last_row;
	return bpf_map_lookup_elem(&arrivals, &index);
}

/* ---- worker rows ---- */

/*
 * io_uring also runs requests on kernel threads of the process. They are named after the thread
 * that owns the ring: iou-wrk-TID and iou-sqp-TID (kernel/io_uring, since 5.12). Returns the
 * owner's tid, or 0 if the name has another form.
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

/* Fills in the port of a row. `of` is the row's socket, or a connection that came from it. */
static __always_inline void worker_describe(struct count_worker *row, struct sock *untyped)
{
	struct sock *of = TYPED(untyped, struct sock);
	struct net *net = READ(of, __sk_common.skc_net.net);

	row->netns = net ? READ(net, ns.inum) : 0;
	row->port = port_of(of);
	row->protocol = is_tcp(of) ? IPPROTO_TCP : IPPROTO_UDP;
}

/*
 * Finds or makes the row of (socket, thread). A negative result means that there is no room. sk
 * may be NULL, `of` may not: see worker_get().
 */
static __noinline int worker_find(struct sock *sk, __u64 cookie, __u32 owner, int serves,
				  struct sock *of)
{
	struct task_struct *task = current_task();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct count_worker_key key = { .cookie = cookie, .tid = owner ? owner : (__u32)pid_tgid };
	const __u32 uid = bpf_get_current_uid_gid(),
		    share = share_of_user(COUNT_POOL_WORKERS, uid, config.share_seed);
	struct count_worker *row;
	__u32 *known, index;

	if (!owner)
		key.start_ns = READ(task, start_boottime);
	known = bpf_map_lookup_elem(&worker_by_key, &key);
	if (known)
		return *known;
	if ((serves && count_servers >= COUNT_SERVERS_MAX) ||
	    !share_left(COUNT_POOL_WORKERS, share) || bpf_map_pop_elem(&free_workers, &index))
		return -1;
	if (bpf_map_update_elem(&worker_by_key, &key, &index, BPF_NOEXIST)) {
		/* Another kernel thread of the same owner made the row first. */
		bpf_map_push_elem(&free_workers, &index, 0);
		known = bpf_map_lookup_elem(&worker_by_key, &key);
		return known ? *known : -1;
	}
	row = bpf_map_lookup_elem(&workers, &index);
	if (!row)
		return -1;
	row->cookie = cookie;
	row->start_ns = key.start_ns;
	/* `events` is 0 already; another thread may have begun to count in it. */
	row->tid = key.tid;
	row->pid = pid_tgid >> 32;
	row->uid = uid;
	bpf_get_current_comm(row->comm, sizeof(row->comm));
	worker_describe(row, of);
	row->used = serves ? COUNT_SERVES : COUNT_ACCEPTS;
	share_add(COUNT_POOL_WORKERS, share);
	if (serves)
		__sync_fetch_and_add(&count_servers, 1);
	if (sk)
		socket_row(sk, cookie,
			   0); /* without one, user space sees that the worker has no socket */
	return index;
}

/*
 * Returns the row that the thread remembers, if the row still belongs to this thread and socket;
 * else NULL.
 */
static __always_inline struct count_worker *remembered_row(const struct thread_state *state,
							   __u64 cookie)
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
 * With a filter by process: may the current thread have a row on the socket? 1: yes. 0: the socket
 * is not asked for. -1: nothing is known of the socket, and the share of rows for such sockets
 * is used up.
 */
static __noinline int worker_room(__u64 cookie)
{
	if (unwanted(cookie))
		return 0;
	asked_by_current(cookie);
	return !share_full() || asked(cookie) == COUNT_ASKED ||
			       bpf_map_lookup_elem(&socket_by_cookie, &cookie)
		       ? 1
		       : -1;
}

/* A row of `workers` that belongs to the current thread. */
struct counting_worker {
	struct count_worker *row;
	__u32 index;
	__u32 owner; /* not 0: this is a kernel thread of io_uring and the row belongs to the owner
			of the ring, so other kernel threads may write the row at the same time */
};

/*
 * Finds or makes the current thread's row on the socket. sk, which may be NULL, is used to
 * describe the socket when it is first seen. `of` is the same socket or a connection that came
 * from it, and gives the port. Both are TYPED. With `serves` the thread took nothing from the
 * socket but reads from one of its connections. Returns false if there is no row: the n events are
 * then counted as lost, by reason, or are not asked for.
 */
static __always_inline bool worker_get(struct counting_worker *w, struct sock *sk, struct sock *of,
				       __u64 cookie, __u64 n, const bool serves)
{
	struct task_struct *task = current_task();
	struct thread_state *state;
	int found, room;

	w->owner = 0;
	if (!cookie) {
		lost_of(COUNT_LOST_COOKIE_UNKNOWN, n, of);
		return false;
	}
	state = thread_state(true);
	w->row = remembered_row(state, cookie);
	if (w->row) {
		w->index = state->worker;
		w->owner = state->owner;
		return true;
	}
	if (READ(task, flags) & PF_IO_WORKER) {
		char comm[16];

		bpf_get_current_comm(comm, sizeof(comm));
		w->owner = uring_owner(comm);
	}
	room = config.by_socket ? worker_room(cookie) : 1;
	if (!room)
		return false;
	found = room > 0 ? worker_find(sk, cookie, w->owner, serves, of) : -1;
	if (found < 0) {
		lost_of(room < 0 ? COUNT_LOST_UNDECIDED
			: serves ? COUNT_LOST_SERVERS_FULL
				 : COUNT_LOST_WORKERS_FULL,
			n, of);
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
		state->owner = w->owner;
	}
	return true;
}

static __always_inline void events_add(const struct counting_worker *w, __u64 n)
{
	if (w->owner)
		__sync_fetch_and_add(&w->row->events_atomic, n);
	else
		w->row->events += n; /* only the thread itself comes here */
}

/* The current thread took n datagrams from the socket. */
static __always_inline void worker_add(struct sock *sk, __u64 cookie, __u64 n)
{
	struct counting_worker w;

	if (worker_get(&w, sk, sk, cookie, n, false))
		events_add(&w, n);
}

#endif
