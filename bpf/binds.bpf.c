// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watches bind() and listen() of TCP sockets (MPTCP too) and UDP sockets, for all backends. Each
 * call is seen twice: entered() keeps the address as the caller passed it, under the thread and
 * the hook, because a BPF program of the cgroup may change it on the way; returned() counts the
 * call, and passes on through a ring to user space what failed or may look wrong.
 * user/attach/hooks.c has the table of the programs that a backend needs. Of connect() only the
 * calls are seen that find no free port or no local address, and only at the exit, so that all
 * others cost next to nothing.
 *
 * Sockets that the kernel made for itself are left out. So are the subflows inside an MPTCP
 * socket: the socket itself is reported once.
 */
#include "socket.bpf.h"
#include "binds_record.h"

char LICENSE[] SEC("license") = "GPL";

const volatile struct binds_config binds;

/* .bss, mapped by user space. */
__u32 binds_on;
__u64 binds_begun, binds_done; /* runs of returned(): begun - done are under way. User space reads
				  them to know when the last one has counted */
__u64 binds_seen[BINDS_CALLS], binds_failed[BINDS_CALLS];
__u64 binds_told; /* records in the ring */
__u64 binds_lost[BINDS_LOST_REASONS];
__u64 binds_ports[1024]; /* bit per port: ports that are asked for (filter.by_port) */
__u64 binds_twins[1024]; /* bit per port: looks like the byte-swapped twin of another */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, BINDS_RING_BYTES);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, BINDS_CGROUPS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} cgroups SEC(".maps");

/* The kinds of hooks whose entry and exit belong together. */
enum by {
	BY_SYSCALL_BIND,
	BY_SYSCALL_LISTEN,
	BY_INET_BIND,
	BY_INET6_BIND,
	BY_MPTCP_BIND,
	BY_INET_LISTEN,
	BY_MPTCP_LISTEN,
	BY_NO_LISTEN,
	BY_SECURITY_BIND,
	BY_SECURITY_LISTEN,
	BY_SYSCALL_CONNECT = BINDS_MARK
};

/* include/uapi/asm-generic/errno-base.h, errno.h */
#define EAGAIN 11
#define EADDRNOTAVAIL 99
#define SECCOMP_MODE_FILTER 2 /* include/uapi/linux/seccomp.h */

struct pending_key {
	__u32 tid;
	__u32 by; /* needed because an MPTCP call runs through the same function for its first
		     subflow */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BINDS_PENDING_MAX);
	__type(key, struct pending_key);
	__type(value, struct binds_pending);
} pending SEC(".maps");

/*
 * When each successful bind() began, by inode of the socket: a socket that was bound after a call
 * failed cannot have made it fail. The time is that of the beginning, not of the return: of two
 * calls at the same time the one that returns last may have won.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BINDS_SINCE_MAX);
	__type(key, __u32);
	__type(value, __u64);
} since SEC(".maps");

static __always_inline void binds_lost_add(enum binds_lost reason)
{
	__sync_fetch_and_add(&binds_lost[reason], 1);
}

static __always_inline bool port_in(const __u64 *set, __u16 port)
{
	return (set[(port >> 6) & 1023] >> (port & 63)) & 1;
}

static __always_inline bool is_bind(const enum by by)
{
	return by == BY_SYSCALL_BIND || by == BY_INET_BIND || by == BY_INET6_BIND ||
	       by == BY_MPTCP_BIND || by == BY_SECURITY_BIND;
}

static __always_inline bool is_security(const enum by by)
{
	return by == BY_SECURITY_BIND || by == BY_SECURITY_LISTEN;
}

/* ---- the socket ---- */

/* Is the socket asked for? call_tell() checks its port and family. */
static __always_inline bool socket_wanted(struct sock *untyped)
{
	struct sock *sk = TYPED(untyped, struct sock);
	struct tcp_sock *tcp = TYPED(untyped, struct tcp_sock);
	__u16 protocol, family;

	if (!untyped)
		return false;
	protocol = READ(sk, sk_protocol);
	family = READ(sk, __sk_common.skc_family);
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_MPTCP)
		return false;
	if (READ(sk, sk_type) !=
	    (protocol == IPPROTO_UDP ? SOCK_DGRAM
				     : SOCK_STREAM)) /* a raw socket has a protocol, and no port */
		return false;
	if (filter.protocol &&
	    filter.protocol != (protocol == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP))
		return false;
	if (family != AF_INET && family != AF_INET6)
		return false;
	if (filter.netns[0] && !netns_wanted(sk))
		return false;
	if (READ_BITFIELD(sk, sk_kern_sock) || READ(sk, sk_max_pacing_rate) == BINDS_OWN_MARK)
		return false;
	return !(protocol == IPPROTO_TCP && bpf_core_field_exists(tcp->is_mptcp) &&
		 READ(tcp, is_mptcp));
}

static __always_inline bool inet_flag(struct sock *untyped, const __u8 flag, const bool transparent)
{
	struct inet_sock *inet = TYPED(untyped, struct inet_sock);
	struct inet_sock___bits *old = (void *)untyped;

	if (flag != 255)
		return (READ(inet, inet_flags) >> flag) & 1;
	if (!bpf_core_field_exists(old->freebind))
		return false;
	return transparent ? BPF_CORE_READ_BITFIELD_PROBED(old, transparent)
			   : BPF_CORE_READ_BITFIELD_PROBED(old, freebind);
}

/* IP_LOCAL_PORT_RANGE: the low port in the lower half; 0: not set, or not known to this kernel. */
static __always_inline __u32 port_range_of(struct sock *untyped)
{
	struct inet_sock___range *one = (void *)untyped;
	struct inet_sock___pair *two = (void *)untyped;
	__u32 range = 0;

	if (bpf_core_field_exists(one->local_port_range))
		bpf_probe_read_kernel(&range, sizeof(range),
				      __builtin_preserve_access_index(&one->local_port_range));
	else if (bpf_core_field_exists(two->local_port_range))
		bpf_probe_read_kernel(&range, sizeof(range),
				      __builtin_preserve_access_index(&two->local_port_range));
	return range;
}

/* ---- the address that the caller passed ---- */

/*
 * What the passed address may hold: the head of an IPv4 or IPv6 address, and the rest of an IPv6
 * address.
 */
struct passed {
	__u16 family;
	__be16 port;
	__u8 v4[4]; /* IPv6: flow label */
	__u8 v6[16];
	__u32 scope;
};
#define PASSED_V4 16       /* sizeof(struct sockaddr_in) */
#define PASSED_V6_SHORT 24 /* SIN6_LEN_RFC2133: without the scope */

static __always_inline int passed_read(void *to, const __u32 size, __u64 from, const bool user)
{
	return user ? bpf_probe_read_user(to, size, (void *)from)
		    : bpf_probe_read_kernel(to, size, (void *)from);
}

/* Returns whether the address could be read. */
static __always_inline bool passed_address_read(struct binds_address *to, __u64 from,
						const bool user)
{
	struct passed p = {};
	const __u32 length = to->length;
	int err;

	if (length >= sizeof(p))
		err = passed_read(&p, sizeof(p), from, user);
	else if (length >= PASSED_V6_SHORT)
		err = passed_read(&p, PASSED_V6_SHORT, from, user);
	else if (length >= PASSED_V4)
		err = passed_read(&p, PASSED_V4, from, user);
	else if (length >= sizeof(p.family))
		err = passed_read(&p, sizeof(p.family), from, user);
	else
		return true;
	if (err)
		return false;
	to->family = p.family;
	to->port = length >= PASSED_V4 ? bpf_ntohs(p.port) : 0;
	to->scope = p.scope;
	if (p.family == AF_INET6 && length >= PASSED_V6_SHORT) {
		__builtin_memcpy(to->address, p.v6, sizeof(p.v6));
		to->known = 1;
	} else if (p.family != AF_INET6 &&
		   length >= PASSED_V4) { /* AF_UNSPEC stands for AF_INET where the address is 0 */
		__builtin_memcpy(to->address, p.v4, sizeof(p.v4));
		to->known = 1;
	}
	return true;
}

/* ---- the calling process ---- */

#define CAP_NET_BIND_SERVICE 10 /* include/uapi/linux/capability.h */
#define USER_NAMESPACES_MAX 33  /* user namespaces nest no deeper: create_user_ns() */

/*
 * Evaluates ns_capable(net->user_ns, CAP_NET_BIND_SERVICE), in the way in which cap_capable()
 * (security/commoncap.c) walks up.
 */
static __always_inline bool capable_in(const struct cred *cred, struct user_namespace *ns, bool has)
{
	struct user_namespace *own = BPF_CORE_READ(cred, user_ns);
	__u32 euid = BPF_CORE_READ(cred, euid.val);
	int level = BPF_CORE_READ(own, level);

	for (int i = 0; i < USER_NAMESPACES_MAX; i++) {
		struct user_namespace *parent;

		if (ns == own)
			return has;
		if (BPF_CORE_READ(ns, level) <= level)
			return false;
		parent = BPF_CORE_READ(ns, parent);
		if (parent == own && BPF_CORE_READ(ns, owner.val) == euid)
			return true; /* the creator of a user namespace may do anything in it */
		ns = parent;
	}
	return false;
}

static __always_inline bool has_capability(__u64 set)
{
	return (set >> CAP_NET_BIND_SERVICE) & 1;
}

/* Checked here, because a server that fails to start is gone before user space could look. */
static __always_inline bool in_cgroups(void)
{
	for (__u32 i = 0; i < BINDS_CGROUPS_MAX && i < binds.cgroups; i++)
		if (bpf_current_task_under_cgroup(&cgroups, i) == 1)
			return true;
	return false;
}

static __always_inline void caller_describe(struct binds_record *r, struct net *net)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task(), *leader;
	const struct cred *cred = BPF_CORE_READ(task, cred);
	__u64 pid_tgid = bpf_get_current_pid_tgid(), effective = 0, permitted = 0, bounding = 0;
	struct user_namespace *owner = BPF_CORE_READ(net, user_ns);
	bool has;

	r->pid = pid_tgid >> 32;
	r->tid = pid_tgid;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	leader = BPF_CORE_READ(task, group_leader);
	bpf_probe_read_kernel(r->process, sizeof(r->process),
			      __builtin_preserve_access_index(&leader->comm));
	r->parent = BPF_CORE_READ(leader, real_parent, tgid);
	r->started_ns = BPF_CORE_READ(leader, start_boottime);
	r->euid = BPF_CORE_READ(cred, euid.val);
	/* Two words before 6.3, one word since then; the bytes are the same. */
	bpf_probe_read_kernel(&effective, sizeof(effective),
			      __builtin_preserve_access_index(&cred->cap_effective));
	bpf_probe_read_kernel(&permitted, sizeof(permitted),
			      __builtin_preserve_access_index(&cred->cap_permitted));
	bpf_probe_read_kernel(&bounding, sizeof(bounding),
			      __builtin_preserve_access_index(&cred->cap_bset));
	has = has_capability(effective);
	r->can_bind_low = capable_in(cred, owner, has);
	r->other_user_ns = has && !r->can_bind_low;
	/*
	 * The walk up the user namespaces is long for the verifier, so it is done only once. That
	 * is enough: a process that may raise the capability is in the namespace that counts.
	 */
	r->can_raise = !has && !r->can_bind_low && has_capability(permitted) &&
		       owner == BPF_CORE_READ(cred, user_ns);
	r->capability_lost = !has_capability(bounding);
	r->in_cgroup = in_cgroups();
	r->cgroup_id = bpf_get_current_cgroup_id();
}

/* ---- reporting ---- */

static __always_inline __u32 socket_inode(struct socket *socket)
{
	struct file *file = socket ? READ(socket, file) : NULL;
	struct inode *inode = file ? READ(file, f_inode) : NULL;

	return inode ? READ(inode, i_ino) : 0;
}

/* A listen() without a bind() takes a port as well; after a bind() it changes nothing. */
static __always_inline void since_keep(struct sock *sk, const struct binds_pending *p,
				       const bool is_listen)
{
	__u64 time_ns = p->time_ns ? p->time_ns : bpf_ktime_get_ns();
	__u32 inode = socket_inode(READ(sk, sk_socket));

	if (inode)
		bpf_map_update_elem(&since, &inode, &time_ns, is_listen ? BPF_NOEXIST : BPF_ANY);
}

static __always_inline void record_describe(struct binds_record *r, struct sock *untyped)
{
	const __u32 range = port_range_of(untyped);
	struct sock *sk = TYPED(untyped, struct sock);
	struct net *net = READ(sk, __sk_common.skc_net.net);
	struct socket *socket = READ(sk, sk_socket);

	r->cookie = socket_cookie(sk, NULL);
	r->family = READ(sk, __sk_common.skc_family);
	r->protocol = READ(sk, sk_protocol) == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	r->port = READ(sk, __sk_common.skc_num);
	r->uid = READ(sk, sk_uid.val);
	r->netns = net ? READ(net, ns.inum) : 0;
	r->device = READ(sk, __sk_common.skc_bound_dev_if);
	r->reuseaddr = !!READ_BITFIELD(sk, __sk_common.skc_reuse);
	r->reuseport = READ_BITFIELD(sk, __sk_common.skc_reuseport);
	r->v6only = r->family == AF_INET6 && READ_BITFIELD(sk, __sk_common.skc_ipv6only);
	r->freebind = inet_flag(untyped, binds.freebind_flag, false) ||
		      inet_flag(untyped, binds.transparent_flag, true);
	r->port_limit = bpf_core_field_exists(net->ipv4.sysctl_ip_prot_sock)
				? READ(net, ipv4.sysctl_ip_prot_sock)
				: 1024;
	local_address_read(r->address, sk, r->family);
	r->range_low = range;
	r->range_high = range >> 16;
	r->inode = socket_inode(socket);
	caller_describe(r, net);
}

static __always_inline bool port_was_asked(struct sock *sk)
{
	return READ_BITFIELD(sk, sk_userlocks) & SOCK_BINDPORT_LOCK;
}

/* A BPF program of the cgroup (bind4, bind6) may have changed the requested address on the way. */
static __always_inline bool was_rewritten(struct sock *sk, const struct binds_address *asked)
{
	__u64 got[2] = {}, passed[2];

	if (!asked->known || asked->family != READ(sk, __sk_common.skc_family))
		return false;
	if (asked->port && asked->port != READ(sk, __sk_common.skc_num))
		return true;
	local_address_read(got, sk, asked->family);
	__builtin_memcpy(passed, asked->address, sizeof(passed));
	return got[0] != passed[0] || got[1] != passed[1];
}

/*
 * The call succeeded: may user space still find something wrong with it? (bind_suspect() of
 * bind/bind.h)
 */
static __always_inline bool is_candidate(struct sock *sk, const struct binds_pending *p,
					 const bool is_listen)
{
	if (is_listen)
		return !p->listened && port_in(binds_twins, READ(sk, __sk_common.skc_num)) &&
		       port_was_asked(sk);
	if (READ_BITFIELD(sk, __sk_common.skc_reuseport))
		return true;
	if (READ(sk, sk_protocol) == IPPROTO_UDP && READ_BITFIELD(sk, __sk_common.skc_reuse))
		return true;
	return (p->asked.known && port_in(binds_twins, p->asked.port)) ||
	       was_rewritten(sk, &p->asked);
}

/*
 * Did a connect() of TCP get as far as choosing a port, because it has a route with a local
 * address? For IPv4 EADDRNOTAVAIL has no other reason. tcp_v6_connect() stores the route in the
 * socket right before it chooses, and for an IPv4 address it goes on to tcp_v4_connect(). For
 * MPTCP the first subflow is checked, because the call ran on it, and the socket gets the result
 * only if the call succeeds.
 */
static __always_inline bool is_routed(struct sock *untyped)
{
	struct sock *sk = TYPED(untyped, struct sock);

	if (READ(sk, sk_protocol) == IPPROTO_MPTCP && bpf_core_type_exists(struct mptcp_sock)) {
		untyped = BPF_CORE_READ((struct mptcp_sock *)untyped, first);
		sk = TYPED(untyped, struct sock);
	}
	return READ(sk, __sk_common.skc_family) == AF_INET || READ(sk, sk_dst_cache) ||
	       READ(sk, __sk_common.skc_daddr);
}

/* A call on a wanted socket returned. */
static __noinline int call_tell(struct sock *untyped, const struct binds_pending *p, int error,
				int call_and_denied)
{
	struct sock *sk = TYPED(untyped, struct sock);
	const __u32 call = call_and_denied & 3;
	struct binds_record *r;
	__u16 port;

	if (!p)
		return 0;
	port = call != BINDS_CONNECT && p->asked.known && p->asked.port
		       ? p->asked.port
		       : READ(sk, __sk_common.skc_num);
	if (filter.by_port && !port_in(binds_ports, port))
		return 0;
	if (!error)
		since_keep(sk, p, call == BINDS_LISTEN);
	/*
	 * A socket of the other family gets only its time kept above: it may have been in the way
	 * of a call.
	 */
	if (filter.family && READ(sk, __sk_common.skc_family) != filter.family)
		return 0;
	if (call >= BINDS_CALLS)
		return 0;
	__sync_fetch_and_add(&binds_seen[call], 1);
	if (error)
		__sync_fetch_and_add(&binds_failed[call], 1);
	else if (!binds.all && !is_candidate(sk, p, call == BINDS_LISTEN))
		return 0;
	r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (!r) {
		binds_lost_add(BINDS_LOST_RING);
		return 0;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->time_ns = bpf_ktime_get_ns();
	r->asked = p->asked;
	r->backlog = p->backlog;
	r->call = call;
	r->error = error;
	r->denied = call_and_denied >> 2;
	r->listened = p->listened;
	r->port_asked = port_was_asked(sk);
	r->routed = call == BINDS_CONNECT && is_routed(untyped);
	record_describe(r, untyped);
	bpf_ringbuf_submit(r, 0);
	__sync_fetch_and_add(&binds_told, 1);
	return 0;
}

static __always_inline void returned(struct sock *sk, const struct binds_pending *p, int error,
				     const enum by by)
{
	__sync_fetch_and_add(&binds_begun, 1);
	if (binds_on)
		call_tell(sk, p, error,
			  (by == BY_SYSCALL_CONNECT ? BINDS_CONNECT
			   : is_bind(by)            ? BINDS_BIND
						    : BINDS_LISTEN) |
				  is_security(by) << 2);
	__sync_fetch_and_add(&binds_done, 1);
}

/* ---- entry and exit ---- */

static __always_inline struct pending_key pending_key_of(const enum by by)
{
	return (struct pending_key){ .tid = (__u32)bpf_get_current_pid_tgid(), .by = by };
}

/*
 * again: this is the second program of the same hook, which does the work if the kernel skipped
 * the first.
 */
static __always_inline void entry_keep(const struct binds_pending *p, const enum by by,
				       const bool again)
{
	struct pending_key key = pending_key_of(by);
	struct binds_pending *last = bpf_map_lookup_elem(&pending, &key);
	int err;

	if (last && !last->done) {
		if (again && !last->twice) { /* the first program has kept it */
			last->twice = 1;
			return;
		}
		/* The thread's previous call left this entry behind: its return was not seen. */
		if (binds_on)
			binds_lost_add(BINDS_LOST_RETURN);
	}
	err = bpf_map_update_elem(&pending, &key, p, BPF_ANY);
	/*
	 * An exit program that sees the arguments needs no entry. Nor does a security hook, if it
	 * lets the call through.
	 */
	if (err && !again && binds_on && !binds.arguments_at_exit && !is_security(by))
		binds_lost_add(BINDS_LOST_PENDING);
}

static __always_inline bool is_listening(struct sock *untyped)
{
	struct sock *sk = TYPED(untyped, struct sock);

	return READ(sk, __sk_common.skc_state) == TCP_LISTEN;
}

/*
 * The kernel's function for that kind of socket was called. address is in kernel memory; 0 for
 * listen().
 */
static __always_inline void entered(struct socket *untyped, __u64 address, int length_or_backlog,
				    const enum by by)
{
	struct socket *socket = TYPED(untyped, struct socket);
	struct binds_pending p = { .time_ns = bpf_ktime_get_ns(), .asked = { .family = -1 } };
	struct sock *sk = READ(socket, sk);

	if (socket_wanted(sk))
		p.sk = (__u64)sk;
	else if (binds.arguments_at_exit)
		return;
	if (is_bind(by)) {
		p.asked.length = length_or_backlog;
		if (p.sk)
			passed_address_read(&p.asked, address, false);
	} else {
		p.backlog = length_or_backlog;
		p.listened = p.sk && is_listening(sk);
	}
	entry_keep(&p, by, false);
}

/* The function's exit, with its arguments (fexit). */
static __always_inline void left(struct socket *socket, __u64 address, int length_or_backlog,
				 int error, const enum by by)
{
	struct pending_key key = pending_key_of(by);
	struct sock *sk = socket->sk;
	struct binds_pending fresh = { .asked = { .family = -1 } }, *p;

	if (!socket_wanted(sk))
		return;
	if (kernel.has_socket_cookie && sk)
		bpf_get_socket_cookie(sk);
	p = bpf_map_lookup_elem(&pending, &key);
	if (p && p->sk == (__u64)sk) {
		returned(sk, p, error, by);
		bpf_map_delete_elem(&pending, &key);
		return;
	}
	if (is_bind(by)) {
		fresh.asked.length = length_or_backlog;
		passed_address_read(&fresh.asked, address, false);
	} else {
		fresh.backlog = length_or_backlog;
	}
	returned(sk, &fresh, error, by);
}

/* The function's exit, without its arguments (kretprobe). */
static __always_inline void left_plain(int error, const enum by by)
{
	struct pending_key key = pending_key_of(by);
	struct binds_pending *p = bpf_map_lookup_elem(&pending, &key);

	if (!p) {
		if (binds_on && (error || !is_security(by)))
			binds_lost_add(BINDS_LOST_ENTRY);
		return;
	}
	if (p->sk && (error || !is_security(by)))
		returned((struct sock *)p->sk, p, error, by);
	bpf_map_delete_elem(&pending, &key);
}

/*
 * The system call was entered. The kernel copies the address a moment later; if the page is not in
 * memory now, it will be at the exit, so the address is read then.
 */
static __always_inline void called(__u32 descriptor, __u64 address, int length_or_backlog,
				   const enum by by, const bool again)
{
	struct task_struct *untyped = (struct task_struct *)bpf_get_current_task(),
			   *task = TYPED(untyped, struct task_struct);
	struct binds_pending p = { .time_ns = bpf_ktime_get_ns(),
				   .asked = { .family = -1 },
				   .descriptor = descriptor,
				   .twice = again };
	struct sock *sk = socket_of_descriptor(task, descriptor);

	if (socket_wanted(sk))
		p.sk = (__u64)sk;
	if (is_bind(by)) {
		p.asked.length = length_or_backlog;
		if (p.sk && !passed_address_read(&p.asked, address, true))
			p.place = address;
	} else {
		p.backlog = length_or_backlog;
		p.listened = p.sk && is_listening(sk);
	}
	entry_keep(&p, by, again);
}

/*
 * A seccomp filter that answers instead of the kernel leaves an exit without an entry. Where the
 * programs of an entry can be skipped (7.x) such an exit looks the same as one with a skipped
 * entry.
 */
static __always_inline bool is_seccomps(struct task_struct *task)
{
	return !kernel.preempted_exits && bpf_core_field_exists(task->seccomp.mode) &&
	       READ(task, seccomp.mode) == SECCOMP_MODE_FILTER;
}

/*
 * The exit found no entry, so all programs of the entry were skipped. If the exit has two
 * programs, the first leaves a mark when it counts the call. The second finds no mark if the first
 * was skipped as well, and counts the call itself.
 */
static __always_inline void entry_missed(struct task_struct *task, const struct pending_key *key,
					 const struct binds_pending *p, const bool again)
{
	const struct binds_pending mark = { .done = 1 };

	if (again && p) {
		bpf_map_delete_elem(&pending, key);
		return;
	}
	if (!again && kernel.preempted_exits && !p &&
	    bpf_map_update_elem(&pending, key, &mark, BPF_ANY))
		return; /* no room for the mark: the second program will count the call */
	if (binds_on && !is_seccomps(task))
		binds_lost_add(BINDS_LOST_ENTRY);
}

static __always_inline void call_returned(int error, const enum by by, const bool again)
{
	struct task_struct *untyped = (struct task_struct *)bpf_get_current_task(),
			   *task = TYPED(untyped, struct task_struct);
	struct pending_key key = pending_key_of(by);
	struct binds_pending *p = bpf_map_lookup_elem(&pending, &key);
	struct sock *sk;

	if (!p || p->done) {
		entry_missed(task, &key, p, again);
		return;
	}
	if (p->sk) {
		sk = socket_of_descriptor(task, p->descriptor);
		if (p->place)
			passed_address_read(&p->asked, p->place, true);
		if ((__u64)sk == p->sk)
			returned(sk, p, error, by);
		else if (binds_on) /* another thread closed or replaced the descriptor */
			binds_lost_add(BINDS_LOST_SOCKET);
	}
	if (!again && kernel.preempted_exits)
		p->done = 1;
	else
		bpf_map_delete_elem(&pending, &key);
}

/*
 * Is that result of connect() one to report? UDP returns EAGAIN when it finds no free port; a
 * nonblocking socket of another kind may return it too.
 */
static __always_inline bool connect_wanted(struct sock *untyped, int error)
{
	struct sock *sk = TYPED(untyped, struct sock);

	if (!socket_wanted(untyped))
		return false;
	return error == -EADDRNOTAVAIL ||
	       (READ(sk, sk_protocol) == IPPROTO_UDP && !READ(sk, __sk_common.skc_num));
}

/*
 * connect() returned with an error that may have to be reported. Nothing was kept at the entry:
 * the registers still hold the arguments. Where this program can be skipped (7.x) a second one
 * follows, and a mark tells it whether the first has run.
 */
static __always_inline void connect_failed(int error, const bool again)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct pending_key key = pending_key_of(BY_SYSCALL_CONNECT);
	struct binds_pending p = { .asked = { .family = -1 } };
	struct sock *sk;

	if (again && !bpf_map_delete_elem(&pending, &key))
		return;
	if (!again && kernel.preempted_exits && bpf_map_update_elem(&pending, &key, &p, BPF_ANY))
		return; /* no room for the mark: the second program will report the call */
	sk = socket_of_descriptor(task, syscall_argument(task, 0));
	if (!connect_wanted(sk, error))
		return;
	p.asked.length = syscall_argument(task, 2);
	passed_address_read(&p.asked, syscall_argument(task, 1), true);
	returned(sk, &p, error, BY_SYSCALL_CONNECT);
}

/*
 * Reads the address that io_uring copied for a bind() request. At first (6.11) the copy was in a
 * struct io_async_msghdr, which begins with a pointer, mostly NULL. Later (seen on 6.18) the copy
 * is the address alone, which begins with its family. No type tells which, so the first bytes do.
 */
static __always_inline void uring_address_read(struct binds_address *to, __u64 copy)
{
	__u64 head = 0;

	if (!copy || bpf_probe_read_kernel(&head, sizeof(head), (void *)copy))
		return;
	if (head && head >> 48 != 0xffff) {
		passed_address_read(to, copy, false);
		return;
	}
	if (!bpf_core_type_exists(struct io_async_msghdr))
		return;
	passed_address_read(to, copy + bpf_core_field_offset(struct io_async_msghdr, addr), false);
	if (to->family != AF_INET && to->family != AF_INET6)
		*to = (struct binds_address){ .family = -1, .length = to->length };
}

#define IS_OPERATION(opcode, operation)                                                            \
	(bpf_core_enum_value_exists(enum io_uring_op, operation) &&                                \
	 opcode == bpf_core_enum_value(enum io_uring_op, operation))

/*
 * io_uring's operations (connect() since 5.5, the others since 6.11) do not pass through the
 * system calls.
 */
static __always_inline void uring_call_completed(void *request, int result)
{
	struct io_kiocb *req = TYPED(request, struct io_kiocb);
	struct io_bind *bind = TYPED(request, struct io_bind);
	struct binds_pending p = { .asked = { .family = -1 } };
	bool is_listen, is_connect;
	struct sock *sk;
	__u8 opcode;

	if (!request)
		return;
	opcode = READ(req, opcode);
	is_connect = IS_OPERATION(opcode, IORING_OP_CONNECT);
	is_listen = IS_OPERATION(opcode, IORING_OP_LISTEN);
	if (is_connect ? result != -EADDRNOTAVAIL && result != -EAGAIN
		       : !is_listen && !IS_OPERATION(opcode, IORING_OP_BIND))
		return;
	sk = socket_of_file(READ(req, file));
	if (is_connect ? !connect_wanted(sk, result) : !socket_wanted(sk))
		return;
	if (is_connect) {
		p.asked.length = sizeof(struct passed);
		uring_address_read(&p.asked, (__u64)READ(req, async_data));
	} else if (is_listen) {
		struct io_listen *listen = TYPED(request, struct io_listen);

		p.backlog = bpf_core_type_exists(struct io_listen) ? READ(listen, backlog) : 0;
	} else if (bpf_core_type_exists(struct io_bind)) {
		p.asked.length = READ(bind, addr_len);
		uring_address_read(&p.asked, (__u64)READ(req, async_data));
	}
	returned(sk, &p, result,
		 is_connect  ? BY_SYSCALL_CONNECT
		 : is_listen ? BY_SYSCALL_LISTEN
			     : BY_SYSCALL_BIND);
}

/* ---- fentry: trampolines. `length` of a listen() is the backlog. ---- */

#define FENTRY(name, function, by)                                                                 \
	SEC("?fentry/" #function)                                                                  \
	int BPF_PROG(name, struct socket *socket, void *address, int length)                       \
	{                                                                                          \
		entered(socket, (__u64)address, length, by);                                       \
		return 0;                                                                          \
	}
#define FEXIT(name, function, by)                                                                  \
	SEC("?fexit/" #function)                                                                   \
	int BPF_PROG(name, struct socket *socket, void *address, int length, int ret)              \
	{                                                                                          \
		left(socket, (__u64)address, length, ret, by);                                     \
		return 0;                                                                          \
	}
#define FENTRY_LISTEN(name, function, by)                                                          \
	SEC("?fentry/" #function)                                                                  \
	int BPF_PROG(name, struct socket *socket, int backlog)                                     \
	{                                                                                          \
		entered(socket, 0, backlog, by);                                                   \
		return 0;                                                                          \
	}
#define FEXIT_LISTEN(name, function, by)                                                           \
	SEC("?fexit/" #function)                                                                   \
	int BPF_PROG(name, struct socket *socket, int backlog, int ret)                            \
	{                                                                                          \
		left(socket, 0, backlog, ret, by);                                                 \
		return 0;                                                                          \
	}

FENTRY(f_bind_in, inet_bind, BY_INET_BIND)
FEXIT(f_bind_out, inet_bind, BY_INET_BIND)
FENTRY(f_bind6_in, inet6_bind, BY_INET6_BIND)
FEXIT(f_bind6_out, inet6_bind, BY_INET6_BIND)
FENTRY(f_mbind_in, mptcp_bind, BY_MPTCP_BIND)
FEXIT(f_mbind_out, mptcp_bind, BY_MPTCP_BIND)
FENTRY_LISTEN(f_listen_in, inet_listen, BY_INET_LISTEN)
FEXIT_LISTEN(f_listen_out, inet_listen, BY_INET_LISTEN)
FENTRY_LISTEN(f_mlisten_in, mptcp_listen, BY_MPTCP_LISTEN)
FEXIT_LISTEN(f_mlisten_out, mptcp_listen, BY_MPTCP_LISTEN)
FEXIT_LISTEN(f_nolisten_out, sock_no_listen, BY_NO_LISTEN)

/* A security module refused the call before the protocol was asked. */
SEC("?fexit/security_socket_bind")
int BPF_PROG(f_deny_bind, struct socket *socket, void *address, int length, int ret)
{
	if (ret)
		left(socket, (__u64)address, length, ret, BY_SECURITY_BIND);
	return 0;
}

SEC("?fexit/security_socket_listen")
int BPF_PROG(f_deny_listen, struct socket *socket, int backlog, int ret)
{
	if (ret)
		left(socket, 0, backlog, ret, BY_SECURITY_LISTEN);
	return 0;
}

/* ---- kprobe: the same functions, by breakpoint ---- */

#define KPROBE(name, function, by)                                                                 \
	SEC("?kprobe/" #function)                                                                  \
	int BPF_KPROBE(name, struct socket *socket, void *address, int length)                     \
	{                                                                                          \
		entered(socket, (__u64)address, length, by);                                       \
		return 0;                                                                          \
	}
#define KPROBE_LISTEN(name, function, by)                                                          \
	SEC("?kprobe/" #function)                                                                  \
	int BPF_KPROBE(name, struct socket *socket, int backlog)                                   \
	{                                                                                          \
		entered(socket, 0, backlog, by);                                                   \
		return 0;                                                                          \
	}
#define KRETPROBE(name, function, by)                                                              \
	SEC("?kretprobe/" #function)                                                               \
	int BPF_KRETPROBE(name, int ret)                                                           \
	{                                                                                          \
		left_plain(ret, by);                                                               \
		return 0;                                                                          \
	}

KPROBE(k_bind_in, inet_bind, BY_INET_BIND)
KRETPROBE(k_bind_out, inet_bind, BY_INET_BIND)
KPROBE(k_bind6_in, inet6_bind, BY_INET6_BIND)
KRETPROBE(k_bind6_out, inet6_bind, BY_INET6_BIND)
KPROBE(k_mbind_in, mptcp_bind, BY_MPTCP_BIND)
KRETPROBE(k_mbind_out, mptcp_bind, BY_MPTCP_BIND)
KPROBE_LISTEN(k_listen_in, inet_listen, BY_INET_LISTEN)
KRETPROBE(k_listen_out, inet_listen, BY_INET_LISTEN)
KPROBE_LISTEN(k_mlisten_in, mptcp_listen, BY_MPTCP_LISTEN)
KRETPROBE(k_mlisten_out, mptcp_listen, BY_MPTCP_LISTEN)
KPROBE_LISTEN(k_nolisten_in, sock_no_listen, BY_NO_LISTEN)
KRETPROBE(k_nolisten_out, sock_no_listen, BY_NO_LISTEN)
KPROBE(k_deny_bind_in, security_socket_bind, BY_SECURITY_BIND)
KRETPROBE(k_deny_bind, security_socket_bind, BY_SECURITY_BIND)
KPROBE_LISTEN(k_deny_lis_in, security_socket_listen, BY_SECURITY_LISTEN)
KRETPROBE(k_deny_listen, security_socket_listen, BY_SECURITY_LISTEN)

/* ---- tracepoint: the system calls ---- */

#define SYSCALL(name, call, by, again)                                                             \
	SEC("?tracepoint/syscalls/sys_enter_" #call)                                               \
	int name##_in(struct syscall_enter_args *args)                                             \
	{                                                                                          \
		called(args->args[0], args->args[1], is_bind(by) ? args->args[2] : args->args[1],  \
		       by, again);                                                                 \
		return 0;                                                                          \
	}                                                                                          \
	SEC("?tracepoint/syscalls/sys_exit_" #call)                                                \
	int name##_out(struct syscall_exit_args *args)                                             \
	{                                                                                          \
		call_returned(args->ret, by, again);                                               \
		return 0;                                                                          \
	}

SYSCALL(t_bind, bind, BY_SYSCALL_BIND, false)
SYSCALL(t_listen, listen, BY_SYSCALL_LISTEN, false)
/*
 * Second programs for kernels on which the first can be preempted (7.x) and the kernel then skips
 * another task's run on that CPU.
 */
SYSCALL(t_bind2, bind, BY_SYSCALL_BIND, true)
SYSCALL(t_listen2, listen, BY_SYSCALL_LISTEN, true)

/* Used with every backend. */
#define CONNECT(name, again)                                                                       \
	SEC("?tracepoint/syscalls/sys_exit_connect")                                               \
	int name(struct syscall_exit_args *args)                                                   \
	{                                                                                          \
		if ((args->ret == -EADDRNOTAVAIL || args->ret == -EAGAIN) && binds_on)             \
			connect_failed(args->ret, again);                                          \
		return 0;                                                                          \
	}

CONNECT(t_connect, false)
CONNECT(t_connect2, true)

SEC("?tracepoint/io_uring/io_uring_complete")
int t_bind_uring(struct trace_event_raw_io_uring_complete *event)
{
	uring_call_completed(event->req, event->res);
	return 0;
}
