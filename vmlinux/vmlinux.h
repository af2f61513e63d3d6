/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel types that the programs read, and of those only the fields that they read. Offsets and bit positions are relocated
 * by libbpf when a program is loaded (preserve_access_index), so the building machine's own kernel plays no part. Fields that
 * only some kernels have are asked for with bpf_core_field_exists() before they are read; a type that changed its shape has a
 * flavour (___suffix), which libbpf matches against the kernel's type of the name before the three underscores.
 */
/* The name of the guard tells libbpf's headers to use the kernel's register names. */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include <linux/types.h>
#include <linux/bpf.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* What include/linux and include/net keep as macros, which BTF does not know. */
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define TCP_ESTABLISHED 1
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8
#define TCP_LISTEN 10
#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_BINDADDR_LOCK 4
#define SOCK_BINDPORT_LOCK 8
#define ETH_P_IP 0x0800
#define MSG_PEEK 0x2
#define MSG_ERRQUEUE 0x2000
#define RCV_SHUTDOWN 1
#define ENOMEM 12
#define WQ_FLAG_EXCLUSIVE 1
#define PF_IO_WORKER 0x10      /* include/linux/sched.h: io-wq workers, and SQPOLL threads, since 5.12 */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct netns_ipv4 {
	u8 sysctl_tcp_migrate_req; /* 5.14 */
	int sysctl_ip_prot_sock;   /* net.ipv4.ip_unprivileged_port_start */
};

struct user_namespace;

struct net {
	struct ns_common ns;
	struct user_namespace *user_ns;
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	long long counter;
} atomic64_t;

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	atomic_t refs;
} refcount_t;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct sk_buff;

struct sk_buff_head {
	struct sk_buff *prev;
	u32 qlen;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_reuse : 4;
	unsigned char skc_reuseport : 1;
	unsigned char skc_ipv6only : 1;
	int skc_bound_dev_if;
	unsigned long skc_flags;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	int skc_incoming_cpu;
};

struct inode {
	unsigned long i_ino;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct inode *f_inode;
	struct path f_path;
	void *private_data;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct list_head {
	struct list_head *next, *prev;
};

struct wait_queue_head {
	struct list_head head;
};

struct wait_queue_entry {
	unsigned int flags;
	void *private;
	struct list_head entry;
};

struct socket_wq {
	struct wait_queue_head wait;
};

struct sock_filter {
	__u16 code;
	__u8 jt;
	__u8 jf;
	__u32 k;
};

struct sock_fprog_kern {
	u16 len;
	struct sock_filter *filter;
};

struct bpf_prog_aux {
	u32 id;
	char name[16];
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
	struct sock_fprog_kern *orig_prog; /* NULL: not classic */
};

struct sock_reuseport {
	u16 num_socks;
	u16 num_closed_socks; /* 5.14 */
	struct bpf_prog *prog;
	struct sock *socks[];
};

/* sock.sk_drop_counters of UDP sockets: from 6.18 on. */
struct numa_drop_counters {
	atomic_t drops0;
	atomic_t drops1;
};

typedef struct {
	int owned;
} socket_lock_t;

/* Bits of sk_flags. */
enum sock_flags {
	SOCK_DEAD,
	SOCK_DONE, /* the peer's FIN was received */
};

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	struct {
		atomic_t rmem_alloc;
	} sk_backlog;
	struct sk_buff_head sk_receive_queue;
	int sk_rcvbuf;
	u16 sk_type;
	u16 sk_protocol;
	void *sk_user_data;
	u32 sk_ack_backlog;
	u32 sk_max_ack_backlog;
	atomic_t sk_drops;
	struct numa_drop_counters *sk_drop_counters;
	unsigned char sk_userlocks : 4;
	u8 sk_kern_sock : 1;
	u8 sk_shutdown;
	int sk_err;
	kuid_t sk_uid;
	struct socket *sk_socket;
	struct socket_wq *sk_wq;
	void (*sk_data_ready)(struct sock *sk);
	unsigned long sk_max_pacing_rate;
	struct sock_reuseport *sk_reuseport_cb;
	struct dst_entry *sk_dst_cache;
};

struct ip_mc_socklist;
struct ipv6_mc_socklist;

struct ipv6_pinfo {
	struct ipv6_mc_socklist *ipv6_mc_list;
};

struct inet_sock {
	__be16 inet_sport;
	unsigned long inet_flags;
	struct ipv6_pinfo *pinet6; /* CONFIG_IPV6 */
	struct ip_mc_socklist *mc_list;
};

/* IP_LOCAL_PORT_RANGE (6.3): two numbers, and from 6.8 on one. The same four bytes where the low one comes first. */
struct inet_sock___range {
	u32 local_port_range;
};

struct inet_sock___pair {
	struct {
	} local_port_range;
};

/* 6.5 and older keep the flags as bit fields (c274af2242 ("inet: introduce inet->inet_flags"), 6.6). */
struct inet_sock___bits {
	__u8 freebind : 1;
	__u8 transparent : 1;
};

struct inet_bind_bucket {
	int l3mdev;
	signed char fastreuse;
	signed char fastreuseport;
	kuid_t fastuid;
	struct in6_addr fast_v6_rcv_saddr;
	__be32 fast_rcv_saddr;
	unsigned short fast_sk_family;
	bool fast_ipv6_only;
};

struct request_sock_queue {
	u8 rskq_defer_accept;
	atomic_t qlen;
	atomic_t young;
};

struct inet_connection_sock {
	struct request_sock_queue icsk_accept_queue;
	struct inet_bind_bucket *icsk_bind_hash;
	__u8 icsk_syn_retries;
	void *icsk_ulp_data;
};

struct inet_timewait_sock {
	struct inet_bind_bucket *tw_tb;
	unsigned int tw_connect_bind : 1; /* 6.18 */
};

struct tcp_sock {
	bool is_mptcp;
	u32 copied_seq;
	u64 bytes_received;
	u64 bytes_sent;
	u64 bytes_retrans;
	u32 snd_nxt;
	u32 write_seq;
	struct {
		u32 seq;
		u64 time; /* us */
	} rcvq_space;
};

struct mptcp_subflow_context {
	struct sock *conn;
};

struct mptcp_sock {
	struct sock *first;
};

struct udp_sock {
	unsigned long udp_flags;
	int (*encap_rcv)(struct sock *sk, struct sk_buff *skb);
	struct sk_buff_head reader_queue; /* what a reader has taken out of sk_receive_queue, and not yet read */
	int forward_deficit; /* receive memory that is free already, but not yet given back */
};

/* 6.6 and older keep the flag as a bit field (f2921dd0bb ("udp: move udp->gro_enabled to udp->udp_flags"), 6.7). */
struct udp_sock___bits {
	__u8 gro_enabled : 1;
};

enum skb_drop_reason {
	SKB_DROP_REASON_PROTO_MEM = 0, /* the kernel's own value is read from its BTF */
};

struct iphdr {
	__be32 saddr;
	__be32 daddr;
};

struct ipv6hdr {
	struct in6_addr saddr;
	struct in6_addr daddr;
};

struct udphdr {
	__be16 source;
	__be16 dest;
};

struct sk_buff {
	struct sk_buff *prev;
	unsigned int len;
	__u8 pkt_type : 3;
	__be16 protocol;
	__u16 transport_header; /* offsets from head */
	__u16 network_header;
	refcount_t users;
	unsigned char *head;
	unsigned int end; /* an offset from head on 64-bit kernels */
};

struct skb_shared_info {
	unsigned short gso_size;
	unsigned short gso_segs;
};

/* Stands for any pointer in memory: see pointer_at(). */
struct hlist_head {
	struct hlist_node *first;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
	unsigned long *full_fds_bits;
};

struct files_struct {
	struct fdtable *fdt;
	unsigned int next_fd;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct user_namespace {
	struct user_namespace *parent;
	int level;
	kuid_t owner;
};

/* Two 32-bit words before 6.3. */
typedef struct {
	u64 val;
} kernel_cap_t;

struct cred {
	kuid_t euid;
	kernel_cap_t cap_permitted;
	kernel_cap_t cap_effective;
	kernel_cap_t cap_bset;
	struct user_namespace *user_ns;
};

struct css_set;

struct rlimit {
	unsigned long rlim_cur;
};

struct signal_struct {
	int nr_threads;
	unsigned long long sum_sched_runtime;
	struct rlimit rlim[16];
};

struct sched_entity {
	u64 sum_exec_runtime;
};

struct seccomp {
	int mode; /* CONFIG_SECCOMP */
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	u64 start_boottime;
	void *stack;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	const struct cred *cred;
	char comm[16];
	struct files_struct *files;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct seccomp seccomp;
	struct sched_entity se;
	unsigned long nvcsw;
};

struct io_cqe {
	int fd; /* until the request has its file */
};

struct io_uring_task {
	struct task_struct *task;
};

struct io_kiocb {
	struct file *file;
	u8 opcode;
	unsigned int flags;
	struct io_cqe cqe;
	struct io_uring_task *tctx;
	void *async_data;
};

struct io_accept {
	u32 file_slot; /* 0: a descriptor */
};

enum io_uring_op {
	IORING_OP_BIND = 0, /* 6.11; the kernel's own values are read from its BTF */
	IORING_OP_LISTEN = 1,
	IORING_OP_CONNECT = 2,
};

/* What a request is for these operations (io_uring/net.c), and what is copied beside it. */
struct io_bind {
	int addr_len;
};

struct io_connect {
	int addr_len;
};

struct io_listen {
	int backlog;
};

struct sockaddr_storage;

struct io_async_msghdr {
	struct {
	} addr;
};

/* Before 6.13 a request points to its thread itself. */
struct io_kiocb___task {
	struct task_struct *task;
};

/* Who waits on a wait queue, by the kind of entry: see waiter_of() in inventory.bpf.c. */
struct io_poll {
	struct wait_queue_head *head;
	struct wait_queue_entry wait;
};

struct poll_wqueues {
	struct task_struct *polling_task;
};

struct eventpoll {
	struct wait_queue_head wq;
	struct wait_queue_head poll_wait;
};

struct epitem {
	struct eventpoll *ep;
};

struct eppoll_entry {
	struct epitem *base;
	struct wait_queue_entry wait;
	struct wait_queue_head *whead;
};

/* Contexts of iterators. */
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
	u32 uid; /* as the rules of bind() see it */
};

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
	u32 uid;
};

/* Contexts of tracepoint programs; their fields have the same names on all kernels that we use them on. */
struct trace_event_raw_sock_msg_length {
	void *sk;
	int ret;
	int flags;
};

struct trace_event_raw_tcp_event_sk {
	const void *skaddr;
};

struct trace_event_raw_inet_sock_set_state {
	const void *skaddr;
	int oldstate;
	int newstate;
};

struct trace_event_raw_io_uring_complete {
	void *ctx;
	void *req;
	u64 user_data;
	int res;
};

struct trace_event_raw_io_uring_cqe_overflow {
	void *ctx;
	u64 user_data;
	s32 res;
};

struct trace_event_raw_io_uring_task_add {
	void *ctx;
	void *req;
	u64 user_data;
	u8 opcode;
};

struct trace_event_raw_io_uring_submit_req {
	void *ctx;
	void *req;
	u64 user_data;
	u8 opcode;
};

struct trace_event_raw_io_uring_submit_sqe {
	void *ctx;
	void *req;
	u64 user_data;
	u8 opcode;
};

#pragma clang attribute pop

/* Contexts of tracepoint/syscalls/sys_enter_* and sys_exit_* (their format files in tracefs). */
struct syscall_enter_args {
	unsigned long long common;
	long id;
	unsigned long args[6];
};

struct syscall_exit_args {
	unsigned long long common;
	long id;
	long ret;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
} __attribute__((preserve_access_index));
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
} __attribute__((preserve_access_index));
struct pt_regs {
	struct user_pt_regs user_regs;
	__u64 orig_x0;
} __attribute__((preserve_access_index));
#endif

#endif
