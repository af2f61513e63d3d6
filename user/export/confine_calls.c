/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of what is allowed. Where a call can do more than is wanted, one of its arguments is looked
 * at; what a pointer leads to can't be.
 */
#include "confine_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/nsfs.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* A call that is allowed if one argument has a value, or has none of some bits. */
struct call_if {
	int call;
	struct scmp_arg_cmp argument;
};

#define IS(number, value)                                                                          \
	{                                                                                          \
		(number), SCMP_CMP_EQ, (value), 0                                                  \
	}
#define HAS(number, bits)                                                                          \
	{                                                                                          \
		(number), SCMP_CMP_MASKED_EQ, (bits), (bits)                                       \
	}
#define LACKS(number, bits)                                                                        \
	{                                                                                          \
		(number), SCMP_CMP_MASKED_EQ, (bits), 0                                            \
	}

/* ---- what both do: memory, time, what is open already ---- */

static const int both[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(close),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* No memory that can be run. Of fcntl() not what has a descriptor send signals (F_SETOWN). */
static const struct call_if both_if[] = {
	{ SCMP_SYS(mmap), LACKS(2, PROT_EXEC) }, { SCMP_SYS(mprotect), LACKS(2, PROT_EXEC) },
	{ SCMP_SYS(fcntl), IS(1, F_GETFD) },     { SCMP_SYS(fcntl), IS(1, F_SETFD) },
	{ SCMP_SYS(fcntl), IS(1, F_GETFL) },     { SCMP_SYS(fcntl), IS(1, F_SETFL) },
};

/* ---- the front ---- */

static const int front[] = {
	SCMP_SYS(accept4), SCMP_SYS(shutdown), SCMP_SYS(recvfrom),   SCMP_SYS(sendmsg),
	SCMP_SYS(writev),  SCMP_SYS(select),   SCMP_SYS(setsockopt), SCMP_SYS(pselect6),
};

static const struct call_if front_if[] = {
	{ SCMP_SYS(sendto), IS(4, 0) }, /* without an address: it is connected */
	{ SCMP_SYS(fcntl), IS(1, F_GETFL) }, { SCMP_SYS(fcntl), IS(1, F_SETFL) },
	{ SCMP_SYS(fcntl), IS(1, F_GETFD) }, { SCMP_SYS(fcntl), IS(1, F_SETFD) },
};

/* ---- the collector ---- */

static const int collector[] = {
	/* files */
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(lseek),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(fadvise64),
	/* netlink */
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	/* waiting, signals, the front's end */
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_getres),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(wait4),
	SCMP_SYS(waitid),
	/* threads, in which programs are detached at the end */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	/* questions about this process and this machine */
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(capget),
	SCMP_SYS(getrusage),
	SCMP_SYS(getrlimit),
	SCMP_SYS(times),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
};

#define WRITES (O_ACCMODE | O_CREAT | O_TRUNC)

static const struct call_if collector_if[] = {
	/* Netlink: sockets, devices. Of unix, in if_indextoname(), to ask for a device's name. */
	{ SCMP_SYS(socket), IS(0, AF_NETLINK) },
	{ SCMP_SYS(socket), IS(0, AF_UNIX) },
	{ SCMP_SYS(sendto), IS(4, 0) }, /* without an address, which only netlink can do */
	{ SCMP_SYS(ioctl), IS(1, SIOCGIFNAME) },
	{ SCMP_SYS(ioctl), IS(1, NS_GET_NSTYPE) },
	{ SCMP_SYS(ioctl), IS(1, PERF_EVENT_IOC_DISABLE) },
	{ SCMP_SYS(ioctl), IS(1, TCGETS) },
	{ SCMP_SYS(ioctl), IS(1, TIOCGWINSZ) },
	{ SCMP_SYS(open), LACKS(1, WRITES) },
	{ SCMP_SYS(openat), LACKS(2, WRITES) },
	{ SCMP_SYS(clone), HAS(0, CLONE_THREAD) },
	{ SCMP_SYS(tgkill), IS(2, 0) }, /* does the thread live? */
	{ SCMP_SYS(prlimit64), IS(2, 0) },
	{ SCMP_SYS(fcntl), IS(1, F_DUPFD_CLOEXEC) },
	/* Of what is open already, and iterators that run once more. */
	{ SCMP_SYS(bpf), IS(0, BPF_MAP_LOOKUP_ELEM) },
	{ SCMP_SYS(bpf), IS(0, BPF_MAP_UPDATE_ELEM) },
	{ SCMP_SYS(bpf), IS(0, BPF_MAP_DELETE_ELEM) },
	{ SCMP_SYS(bpf), IS(0, BPF_MAP_GET_NEXT_KEY) },
	{ SCMP_SYS(bpf), IS(0, BPF_MAP_LOOKUP_AND_DELETE_ELEM) },
	{ SCMP_SYS(bpf), IS(0, BPF_MAP_LOOKUP_BATCH) },
	{ SCMP_SYS(bpf), IS(0, BPF_OBJ_GET_INFO_BY_FD) },
	{ SCMP_SYS(bpf), IS(0, BPF_ITER_CREATE) },
};

/* Who else steers a port: lookups.c. */
static const struct call_if with_namespaces[] = {
	{ SCMP_SYS(setns), IS(1, CLONE_NEWNET) },
	{ SCMP_SYS(bpf), IS(0, BPF_LINK_GET_NEXT_ID) },
	{ SCMP_SYS(bpf), IS(0, BPF_LINK_GET_FD_BY_ID) },
	{ SCMP_SYS(bpf), IS(0, BPF_PROG_GET_FD_BY_ID) },
	/* That it only reads those maps can't be told by a filter: an id leads to any map. */
	{ SCMP_SYS(bpf), IS(0, BPF_MAP_GET_FD_BY_ID) },
};

static const int with_textfile[] = {
	SCMP_SYS(open),      SCMP_SYS(openat), SCMP_SYS(fsync),  SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate), SCMP_SYS(fchmod), SCMP_SYS(fchown), SCMP_SYS(rename),
	SCMP_SYS(renameat),  SCMP_SYS(link),   SCMP_SYS(linkat), SCMP_SYS(renameat2),
};

static const int with_removal[] = { SCMP_SYS(unlink), SCMP_SYS(unlinkat) };

/* ---- both filters ---- */

/* Returns err, or the first error. */
static int allow(scmp_filter_ctx filter, int err, const int *calls, size_t count)
{
	for (size_t i = 0; i < count && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return err;
}

static int allow_if(scmp_filter_ctx filter, int err, const struct call_if *calls, size_t count)
{
	for (size_t i = 0; i < count && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i].call, 1, calls[i].argument);
	return err;
}

/* Only calls of this very architecture; others kill, libseccomp's default. */
static scmp_filter_ctx filter_begin(int *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	*err = filter ? 0 : -ENOMEM;
	if (!filter)
		return NULL;
	/* Linux 4.14 can log; without it the filter is the same. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	*err = allow(filter, *err, both, COUNT(both));
	*err = allow_if(filter, *err, both_if, COUNT(both_if));
	return filter;
}

static int filter_end(scmp_filter_ctx filter, int err)
{
	if (!err)
		err = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return err;
}

int confine_calls_front(void)
{
	int err;
	scmp_filter_ctx filter = filter_begin(&err);

	err = allow(filter, err, front, COUNT(front));
	err = allow_if(filter, err, front_if, COUNT(front_if));
	return filter_end(filter, err);
}

int confine_calls_collector(const struct export_needs *needs)
{
	int err;
	scmp_filter_ctx filter = filter_begin(&err);

	err = allow(filter, err, collector, COUNT(collector));
	err = allow_if(filter, err, collector_if, COUNT(collector_if));
	/* raise(), by which a second signal ends it at once. */
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, getpid()));
	/* Its flags are behind a pointer. The C library takes clone() then, whose flags are not. */
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (needs->namespaces)
		err = allow_if(filter, err, with_namespaces, COUNT(with_namespaces));
	if (needs->textfile)
		err = allow(filter, err, with_textfile, COUNT(with_textfile));
	if (needs->removal)
		err = allow(filter, err, with_removal, COUNT(with_removal));
	return filter_end(filter, err);
}
