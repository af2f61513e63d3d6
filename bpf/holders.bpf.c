// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inventory: every TCP listener and UDP socket that a process holds (and on request TCP
 * sockets that are only bound), in all network namespaces, and the threads that wait on it.
 * Iterators over all descriptors and all threads run when user space asks, and stop nothing.
 *
 * The waiters are read from the sockets' own wait queues, where accept(), reads, poll(), select(),
 * epoll and io_uring leave their entries. The queues change meanwhile and are read without their
 * locks. So a target counts only if it points back to the queue (waiter_of()), a step counts only
 * if it leads back to where it began (waiter_take()), and the length of a walk is bounded.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "descriptors.bpf.h"
#include "holders.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u8 with_bound; /* also list TCP sockets that have a port and do not listen */
const volatile __u8 has_socket_cookie; /* bpf_get_socket_cookie() and bpf_sock_from_file() in
					  tracing programs: 5.12 */
__u32 scan;                            /* number of the current scan */
__u32 with_descriptors; /* in this scan: also find out whether threads have a free descriptor, and
			   whether fs.file-max limits them */
__u64 waiters[HOLDERS_WAITERS_MAX]; /* the waiters that the records of this read refer to */
__u32 waiters_count;                /* user space sets it to 0 before each read */
__u32 processes_left_out;           /* in this scan: processes that found no room in `processes` */

/*
 * The sockets that were listed in a scan, so that a socket held by many processes is listed once.
 * If an entry is forgotten, its socket is only listed twice.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} listed SEC(".maps");

/*
 * The processes that hold a socket; threads of other processes are not listed. User space removes
 * processes that are gone.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, HOLDERS_PROCESSES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} processes SEC(".maps");

#define STACK_MAX 65536 /* no kernel stack is larger */

/* Is `address` on the kernel stack of `task`, which may not be a task at all? */
static __always_inline bool on_stack_of(struct task_struct *task, const void *address)
{
	__u64 stack = (__u64)BPF_CORE_READ(task, stack);

	return stack && (__u64)address - stack < STACK_MAX;
}

static __always_inline struct task_struct *ring_task(struct io_kiocb *req)
{
	struct io_kiocb___task *old = (void *)req;

	if (bpf_core_field_exists(req->tctx))
		return BPF_CORE_READ(req, tctx, task);
	if (bpf_core_field_exists(old->task))
		return BPF_CORE_READ(old, task);
	return NULL;
}

/* Combines an address with the kind of entry that led to it; 0 stays 0. */
static __always_inline __u64 found(const void *node, __u64 how)
{
	return node ? (__u64)node | how : 0;
}

#define CONTAINER(entry, type, member)                                                             \
	((type *)((void *)(entry)-bpf_core_field_offset(type, member)))

/*
 * Returns the task or the epoll that an entry of the wait queue `head` stands for, with
 * HOLDERS_BY_* in the lowest bits; 0 for an unknown kind. accept() and reads sleep with an entry
 * on their own stack. poll() and select() leave entries whose `private` points to a poll_wqueues
 * on their stack. Entries of epoll and io_uring lie in objects that name the queue they are in.
 * This is a global function that takes addresses as numbers, so that the verifier walks it once
 * and not for each waiter.
 */
__noinline __u64 waiter_of(__u64 entry_address, __u64 head_address)
{
	struct wait_queue_entry *entry = (void *)entry_address;
	__u64 exclusive = BPF_CORE_READ(entry, flags) & WQ_FLAG_EXCLUSIVE ? HOLDERS_EXCLUSIVE : 0;
	struct wait_queue_head *head = (void *)head_address;
	void *private = BPF_CORE_READ(entry, private);
	struct eppoll_entry *epoll = CONTAINER(entry, struct eppoll_entry, wait);
	struct task_struct *task;

	/* An entry of poll() names its queue in the same place, but its `private` is set. */
	if (!private)
		return BPF_CORE_READ(epoll, whead) == head
			       ? found(BPF_CORE_READ(epoll, base, ep), HOLDERS_BY_EPOLL | exclusive)
			       : 0;
	if (on_stack_of(private, entry))
		return found(private, HOLDERS_BY_SLEEP | exclusive);
	task = BPF_CORE_READ((struct poll_wqueues *)private, polling_task);
	if (task && on_stack_of(task, private))
		return found(task, HOLDERS_BY_POLL | exclusive);
	if (bpf_core_type_exists(struct io_poll)) {
		struct io_poll *poll = CONTAINER(entry, struct io_poll, wait);

		if (BPF_CORE_READ(poll, head) == head)
			/* The lowest bits of a request's address are flags (IO_WQE_F_DOUBLE). */
			return found(ring_task((void *)((__u64) private & ~3ull)),
				     HOLDERS_BY_URING | exclusive);
	}
	return 0;
}

#define WALKS 3 /* walks of a queue that keeps changing */

struct walk {
	struct wait_queue_head *head;
	struct list_head *first, *at;
	__u32 begin; /* where the waiters of this queue begin in `waiters` */
};

__u32 walks_lost; /* walks lost on the current queue. It is not in `struct walk`, because there the
		     verifier would follow each of its values, together with those of waiters_count,
		     and find no end (7.x) */

enum step { STEP_NEXT, STEP_END, STEP_FULL, STEP_LOST };

/*
 * Takes one entry. An entry that has left the queue points to itself. If a neighbour is just
 * leaving, the step does not lead back; a walk that went on from there would miss the rest of the
 * queue.
 */
static __always_inline enum step waiter_take(struct walk *w)
{
	struct list_head *at = w->at, *next;
	__u32 i = waiters_count;

	if (at == w->first)
		return STEP_END;
	next = BPF_CORE_READ(at, next);
	if (!next || BPF_CORE_READ(next, prev) != at)
		return STEP_LOST;
	asm volatile("" : "+r"(i)); /* the verifier must see the check */
	if (i >= HOLDERS_WAITERS_MAX)
		return STEP_FULL;
	waiters[i] =
		waiter_of((__u64)CONTAINER(at, struct wait_queue_entry, entry), (__u64)w->head);
	waiters_count = i + 1;
	w->at = next;
	return STEP_NEXT;
}

/* Returns 1 at the end of the queue. */
static long waiter_next(__u32 i, struct walk *w)
{
	enum step step = waiter_take(w);
	struct list_head *first =
		w->first; /* BPF_CORE_READ would take the fields of `walk` for kernel fields */

	if (step != STEP_LOST || ++walks_lost >= WALKS)
		return step != STEP_NEXT;
	waiters_count = w->begin;
	w->at = BPF_CORE_READ(first, next);
	return 0;
}

/*
 * Lists the waiters in the queue. `begin` is waiters_count before this file. Returns whether there
 * was no room. Then the kernel asks for the same file again in the next read, when there is room.
 * If the room was taken by what this read listed before, the stream is made to overflow, to bring
 * that about.
 */
static __always_inline int waiters_write(struct seq_file *seq, struct wait_queue_head *head,
					 __u32 begin, const bool loop)
{
	struct holders_waiters_record record = { .kind = HOLDERS_WAITERS, .first = waiters_count };
	struct list_head *first =
				 (void *)head + bpf_core_field_offset(struct wait_queue_head, head),
			 *at = BPF_CORE_READ(first, next);
	struct walk w = { .head = head, .first = first, .at = at, .begin = record.first };

	walks_lost = 0;
	if (loop)
		bpf_loop(HOLDERS_WAITERS_MAX, waiter_next, &w, 0);
	else
		for (int i = 0; i < HOLDERS_WAITERS_OLD && waiter_take(&w) == STEP_NEXT; i++)
			;
	record.count = waiters_count - record.first;
	record.cut = w.at != first;
	if (waiters_count >= HOLDERS_WAITERS_MAX && begin) {
		waiters_count = record.first;
		return bpf_seq_write(seq, waiters, HOLDERS_STREAM);
	}
	return bpf_seq_write(seq, &record, sizeof(record));
}

/*
 * Does the socket's bucket say that the socket has its port, while it neither listens nor is
 * connected?
 */
static __always_inline bool is_bound(struct sock *sk, __u16 protocol)
{
	struct sock *queue = queue_of(sk, protocol);

	return with_bound && BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE &&
	       BPF_CORE_READ(queue, __sk_common.skc_num) &&
	       BPF_CORE_READ((struct inet_connection_sock *)queue, icsk_bind_hash);
}

static __always_inline bool socket_is_listed(struct sock *sk)
{
	const __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family),
		    protocol = BPF_CORE_READ(sk, sk_protocol);

	/* A raw socket has a protocol too, but its number is not a port. */
	if ((family != AF_INET && family != AF_INET6) ||
	    BPF_CORE_READ(sk, sk_type) != (protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM))
		return false;
	if (protocol == IPPROTO_UDP)
		return BPF_CORE_READ(sk, __sk_common.skc_num);
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
		return false;
	return BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN || is_bound(sk, protocol);
}

/* The socket of a file, or NULL. */
static __always_inline struct sock *socket_behind(struct file *file, __u64 *cookie)
{
	struct socket *socket;

	*cookie = 0;
	if (has_socket_cookie) {
		struct sock *sk;

		socket = bpf_sock_from_file(file);
		if (!socket)
			return NULL;
		sk = socket->sk;
		if (!sk)
			return NULL;
		/* Only listed sockets get a cookie, because making one writes to the socket. */
		if (socket_is_listed(sk))
			*cookie = bpf_get_socket_cookie(sk);
		return sk;
	}
	return file_socket(file);
}

static __always_inline __u32 drops_of(struct sock *sk)
{
	struct numa_drop_counters *counters;

	if (bpf_core_field_exists(sk->sk_drop_counters)) {
		counters = BPF_CORE_READ(sk, sk_drop_counters);
		if (counters)
			return BPF_CORE_READ(counters, drops0.counter) +
			       BPF_CORE_READ(counters, drops1.counter);
	}
	return BPF_CORE_READ(sk, sk_drops.counter);
}

static __always_inline __u32 udp_bytes_queued(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter) -
	       BPF_CORE_READ((struct udp_sock *)sk, forward_deficit);
}

/* Has the socket joined a multicast group, of either family? */
static __always_inline bool is_member(struct sock *sk)
{
	struct inet_sock *inet = (void *)sk;

	if (bpf_core_field_exists(inet->mc_list) && BPF_CORE_READ(inet, mc_list))
		return true;
	return BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6 &&
	       bpf_core_field_exists(inet->pinet6) && BPF_CORE_READ(inet, pinet6, ipv6_mc_list);
}

static __always_inline void requests_read(struct holders_socket_record *record,
					  struct inet_connection_sock *listener)
{
	record->half_open = BPF_CORE_READ(listener, icsk_accept_queue.qlen.counter);
	record->young = BPF_CORE_READ(listener, icsk_accept_queue.young.counter);
	record->defer_accept = BPF_CORE_READ(listener, icsk_accept_queue.rskq_defer_accept);
	record->syn_retries = BPF_CORE_READ(listener, icsk_syn_retries);
}

static __always_inline bool socket_write(struct seq_file *seq, struct file *file, struct sock *sk,
					 __u16 protocol, __u64 cookie)
{
	struct holders_socket_record record = { .kind = HOLDERS_SOCKET, .node = (__u64)sk };
	struct sock *queue = queue_of(sk, protocol);
	__u8 locks = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks);
	bool udp = protocol == IPPROTO_UDP;

	record.cookie = cookie ? cookie : BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	record.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	record.group = (__u64)BPF_CORE_READ(queue, sk_reuseport_cb);
	/*
	 * A listener may stop listening between the test for listing and this line. with_bound
	 * keeps it from being marked as bound in a scan that does not list bound sockets.
	 */
	record.bound = with_bound && !udp && BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE;
	record.steered = record.group && BPF_CORE_READ(queue, sk_reuseport_cb, prog);
	record.incoming_cpu = BPF_CORE_READ(queue, __sk_common.skc_incoming_cpu);
	record.inode = BPF_CORE_READ(file, f_inode, i_ino);
	record.uid = BPF_CORE_READ(sk, sk_uid.val);
	record.device = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
	record.length = udp ? udp_bytes_queued(sk) : BPF_CORE_READ(queue, sk_ack_backlog);
	record.limit =
		udp ? BPF_CORE_READ(sk, sk_rcvbuf) : BPF_CORE_READ(queue, sk_max_ack_backlog);
	record.drops = drops_of(queue);
	record.port = BPF_CORE_READ(queue, __sk_common.skc_num);
	record.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	record.protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
	record.reuseport = BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuseport);
	record.v6only = BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only);
	record.connected = udp && BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_ESTABLISHED;
	record.member = udp && is_member(sk);
	if (!udp && !record.bound)
		requests_read(&record, (void *)queue);
	record.autobound = udp && !(locks & (SOCK_BINDADDR_LOCK | SOCK_BINDPORT_LOCK));
	local_address_read(record.address, sk, record.family);
	return bpf_seq_write(seq, &record, sizeof(record));
}

struct holders_program_record program; /* too large for the stack */

/*
 * Writes the program of the socket's reuseport group. The sockets of a group are mostly listed one
 * after the other, so the program is written with the first of them.
 */
static __always_inline bool program_write(struct seq_file *seq, struct sock *queue)
{
	struct sock_reuseport *group = BPF_CORE_READ(queue, sk_reuseport_cb);
	struct bpf_prog *prog = group ? BPF_CORE_READ(group, prog) : NULL;
	struct sock_fprog_kern *classic;
	struct sock_filter *filter;

	if (!prog || (__u64)group == program.group)
		return false;
	classic = BPF_CORE_READ(prog, orig_prog);
	program.kind = HOLDERS_PROGRAM;
	program.sockets = BPF_CORE_READ(group, num_socks);
	program.classic = !!classic;
	program.length = classic ? BPF_CORE_READ(classic, len) : 0;
	program.id = classic ? 0 : BPF_CORE_READ(prog, aux, id);
	bpf_probe_read_kernel_str(program.name, sizeof(program.name),
				  BPF_CORE_READ(prog, aux)->name);
	filter = classic ? BPF_CORE_READ(classic, filter) : NULL;
	for (__u32 i = 0; i < HOLDERS_INSTRUCTIONS && i < program.length; i++)
		bpf_probe_read_kernel(&program.instructions[i], sizeof(program.instructions[i]),
				      filter + i);
	program.group = (__u64)group;
	if (!bpf_seq_write(seq, &program, sizeof(program)))
		return false;
	program.group = 0; /* no room: write it again */
	return true;
}

static __always_inline bool holder_write(struct seq_file *seq, __u32 pid, __u32 fd,
					 const void *node)
{
	const struct holders_holder_record record = {
		.kind = HOLDERS_HOLDER, .pid = pid, .fd = fd, .node = (__u64)node
	};

	return bpf_seq_write(seq, (void *)&record, sizeof(record));
}

static __always_inline bool is_epoll(struct file *file)
{
	const unsigned char *name = BPF_CORE_READ(file, f_path.dentry, d_name.name);
	char start[8] = {};

	bpf_probe_read_kernel(start, sizeof(start), name);
	return *(__u64 *)start == *(__u64 *)"[eventpo";
}

/* Writes the epoll's own waiters, and the epolls that watch it in turn. */
static __always_inline void epoll_write(struct seq_file *seq, struct file *file, __u32 pid,
					__u32 fd, const bool loop)
{
	struct eventpoll *ep = BPF_CORE_READ(file, private_data);
	const struct holders_epoll_record record = { .kind = HOLDERS_EPOLL, .node = (__u64)ep };
	const __u32 begin = waiters_count;

	if (!ep)
		return;
	bpf_seq_write(seq, (void *)&record, sizeof(record));
	holder_write(seq, pid, fd, ep);
	waiters_write(seq, (void *)ep + bpf_core_field_offset(struct eventpoll, wq), begin, loop);
	waiters_write(seq, (void *)ep + bpf_core_field_offset(struct eventpoll, poll_wait), begin,
		      loop);
}

static __always_inline int file_list(struct bpf_iter__task_file *ctx, const bool loop)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	__u16 protocol;
	struct socket_wq *queue;
	__u32 *in_scan, pid, now = scan;
	bool failed = false, first;
	__u64 cookie, node;
	struct sock *sk;

	if (!task || !file)
		return 0;
	pid = task->tgid;
	sk = socket_behind(file, &cookie);
	if (!sk) {
		if (is_epoll(file))
			epoll_write(ctx->meta->seq, file, pid, ctx->fd, loop);
		return 0;
	}
	if (!socket_is_listed(sk))
		return 0;
	protocol = BPF_CORE_READ(sk, sk_protocol);
	in_scan = bpf_map_lookup_elem(&processes, &pid);
	if ((!in_scan || *in_scan != now) && bpf_map_update_elem(&processes, &pid, &now, BPF_ANY))
		processes_left_out++;
	node = (__u64)sk;
	in_scan = bpf_map_lookup_elem(&listed, &node);
	first = !in_scan || *in_scan != now;
	if (first) {
		failed = socket_write(ctx->meta->seq, file, sk, protocol, cookie);
		failed |= program_write(ctx->meta->seq, queue_of(sk, protocol));
		queue = BPF_CORE_READ(sk, sk_wq);
		if (queue)
			failed |= waiters_write(
				ctx->meta->seq,
				(void *)queue + bpf_core_field_offset(struct socket_wq, wait),
				waiters_count, loop);
	}
	failed |= holder_write(ctx->meta->seq, pid, ctx->fd, sk);
	/* A record that found no room in the buffer is written again from the start. */
	if (failed)
		program.group = 0;
	if (first && !failed)
		bpf_map_update_elem(&listed, &node, &now, BPF_ANY);
	return 0;
}

SEC("?iter/task_file")
int list_sockets(struct bpf_iter__task_file *ctx)
{
	return file_list(ctx, true);
}

/*
 * For kernels without bpf_loop() (before 5.17); kernels before 5.13 can't even load a program that
 * passes a function.
 */
SEC("?iter/task_file")
int list_sockets_old(struct bpf_iter__task_file *ctx)
{
	return file_list(ctx, false);
}

__u64 listening[1024]; /* bit per port: connections on these ports are listed */

/*
 * Lists the connections that processes hold, with the bytes that they have carried so far. A
 * connection with several descriptors is listed for each of them.
 */
SEC("?iter/task_file")
int list_connections(struct bpf_iter__task_file *ctx)
{
	struct holders_connection_record record = { .kind = HOLDERS_CONNECTION };
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct list_head *first, *head;
	struct wait_queue_head *wait;
	struct socket_wq *queue;
	struct tcp_sock *tp;
	struct sock *sk;
	__u16 protocol;
	__u8 state;

	if (!task || !file)
		return 0;
	sk = file_socket(file);
	protocol = sk ? BPF_CORE_READ(sk, sk_protocol) : 0;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
		return 0;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	record.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	record.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if ((state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT) ||
	    (record.family != AF_INET && record.family != AF_INET6) ||
	    !(listening[(record.port >> 6) & 1023] >> (record.port & 63) & 1))
		return 0;
	tp = (struct tcp_sock *)queue_of(sk, protocol);
	record.mptcp = protocol == IPPROTO_MPTCP;
	record.pid = task->tgid;
	record.node = (__u64)sk;
	record.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	record.peer = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	record.peer_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	local_address_read(record.address, sk, record.family);
	record.received = BPF_CORE_READ(tp, bytes_received);
	if (record.received)
		record.received -= BPF_CORE_READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1;
	record.sent = BPF_CORE_READ(tp, bytes_sent) - BPF_CORE_READ(tp, bytes_retrans);
	queue = BPF_CORE_READ(sk, sk_wq);
	if (queue) {
		wait = (void *)queue + bpf_core_field_offset(struct socket_wq, wait);
		head = (void *)wait + bpf_core_field_offset(struct wait_queue_head, head);
		first = BPF_CORE_READ(head, next);
		if (first && first != head)
			record.waiter =
				waiter_of((__u64)CONTAINER(first, struct wait_queue_entry, entry),
					  (__u64)wait);
	}
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

#define CAP_SYS_ADMIN 21

static __always_inline bool is_admin(struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);
	/* Two words before 6.3, one word since then; the bytes are the same. */
	__u64 capabilities = 0;

	bpf_probe_read_kernel(&capabilities, sizeof(capabilities),
			      __builtin_preserve_access_index(&cred->cap_effective));
	return (capabilities >> CAP_SYS_ADMIN & 1) && !BPF_CORE_READ(cred, user_ns, level);
}

#define RLIMIT_NOFILE 7
enum descriptors { DESCRIPTORS_UNKNOWN, DESCRIPTORS_FREE, DESCRIPTORS_FULL };

#define DESCRIPTOR_ROUNDS 4 /* each passes over up to 64 words that are full */

/* A word of a table's bits, of the descriptor `fd`. Beyond `max` the table will grow. */
static __always_inline __u64 descriptor_word(__u64 bits, __u64 max, __u64 fd)
{
	__u64 word = 0;

	if (fd < max)
		bpf_probe_read_kernel(&word, sizeof(word), (void *)bits + fd / 64 * 8);
	return word;
}

/*
 * Is a descriptor free? The kernel searches from next_fd on, because all below are in use; and it
 * has a bit for each full word of descriptors. The kernel's own table is read, because
 * /proc/PID/fd does not show the descriptors that threads in accept() have reserved.
 *
 * A function of its own that is not static, so the verifier follows it once, not anew for each way
 * that leads to the call.
 */
__noinline int descriptors_find(__u64 open, __u64 full, __u64 max, __u64 fd, __u64 limit)
{
	for (int i = 0; i < DESCRIPTOR_ROUNDS && fd < limit; i++) {
		const __u64 base = fd & ~63ull;
		__u64 word = descriptor_word(open, max, fd) | ((1ull << (fd & 63)) - 1);

		if (limit - base < 64)
			word |= ~0ull << (limit & 63);
		if (~word)
			return DESCRIPTORS_FREE;
		fd = base + 64;
		word = descriptor_word(full, max / 64, fd / 64) >> (fd / 64 & 63);
		for (int full_words = 0; full_words < 64 && (word & 1); full_words++) {
			word >>= 1;
			fd += 64;
		}
	}
	return fd >= limit ? DESCRIPTORS_FULL : DESCRIPTORS_UNKNOWN;
}

static __always_inline void descriptors_read(struct task_struct *task,
					     struct holders_thread_record *r)
{
	const __u64 limit = BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur);
	struct files_struct *files = BPF_CORE_READ(task, files);
	struct fdtable *fdt = BPF_CORE_READ(files, fdt);
	unsigned long *open = BPF_CORE_READ(fdt, open_fds);
	int found;

	if (!files || !open) /* for example, the main thread has ended */
		return;
	found = descriptors_find((__u64)open, (__u64)BPF_CORE_READ(fdt, full_fds_bits),
				 BPF_CORE_READ(fdt, max_fds), BPF_CORE_READ(files, next_fd), limit);
	r->descriptors_full = found == DESCRIPTORS_FULL;
	r->descriptors = found == DESCRIPTORS_UNKNOWN ? 0 : limit;
}

SEC("iter/task")
int list_threads(struct bpf_iter__task *ctx)
{
	struct holders_thread_record record = { .kind = HOLDERS_THREAD };
	struct task_struct *task = ctx->task, *leader;
	__u32 *in_scan;

	if (!task)
		return 0;
	record.pid = task->tgid;
	in_scan = bpf_map_lookup_elem(&processes, &record.pid);
	if (!in_scan || *in_scan != scan)
		return 0;
	/*
	 * Threads of io_uring wait for the thread that owns the ring: rows.bpf.h credits their
	 * work to that thread.
	 */
	record.helper = !!(task->flags & PF_IO_WORKER);
	leader = task->group_leader;
	record.task = (__u64)task;
	record.start_ns = task->start_boottime;
	record.cgroups = (__u64)BPF_CORE_READ(task, cgroups);
	record.cpu_ns = task->se.sum_exec_runtime;
	record.sleeps = task->nvcsw;
	record.tid = task->pid;
	record.pid_inside = number_inside(leader);
	record.tid_inside = number_inside(task);
	record.uid = BPF_CORE_READ(task, cred, euid.val);
	record.threads = BPF_CORE_READ(task, signal, nr_threads);
	record.gone_cpu_ns = BPF_CORE_READ(task, signal, sum_sched_runtime);
	record.parent = BPF_CORE_READ(leader, real_parent, tgid);
	if (with_descriptors) {
		descriptors_read(task, &record);
		record.files_free = is_admin(task);
	}
	BPF_CORE_READ_STR_INTO(&record.comm, task, comm);
	BPF_CORE_READ_STR_INTO(&record.process, leader, comm);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}
