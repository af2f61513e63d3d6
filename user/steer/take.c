/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the look that found a descriptor's number and now the process may have closed it and
 * opened something else under the number, so a taken socket must show its cookie. */
#include "take.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../attach/loading.h"

int take_descriptor(int32_t pid, int fd)
{
	int pidfd = pidfd_open(pid, 0), taken;

	if (pidfd < 0)
		return -errno;
	taken = pidfd_getfd(pidfd, fd, 0);
	if (taken < 0)
		taken = -errno;
	close(pidfd);
	return taken;
}

bool take_is_mptcp(int fd)
{
	int protocol = 0;
	socklen_t size = sizeof(protocol);

	return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) &&
	       protocol == IPPROTO_MPTCP;
}

static bool is_socket(int fd, uint64_t cookie)
{
	uint64_t found = 0;
	socklen_t size = sizeof(found);

	return !getsockopt(fd, SOL_SOCKET, SO_COOKIE, &found, &size) && found == cookie;
}

static const char *take_reason(int err)
{
	switch (err) {
	case -EPERM:
		return "the kernel does not let us take descriptors of that process: "
		       "CAP_SYS_PTRACE is "
		       "missing, or kernel.yama.ptrace_scope is 3, or a security module forbids it";
	case -ENOSYS: return "this kernel has no pidfd_getfd(); Linux has it since 5.6";
	case -ESRCH:
	case -EBADF:
	case -ESTALE: return "its process has closed it or ended meanwhile; try again";
	default: return strerror(-err);
	}
}

int take_named(int32_t pid, int fd, uint64_t cookie)
{
	const int taken = take_descriptor(pid, fd);

	if (taken < 0 || is_socket(taken, cookie))
		return taken;
	close(taken);
	return -ESTALE;
}

int take_socket(const struct endpoint *e, uint64_t cookie, char *why, size_t size)
{
	size_t count;
	const struct holder_row *holders = endpoint_holders(e, cookie, &count);
	int fd = -ESRCH;

	for (size_t i = 0; i < count && fd < 0; i++)
		fd = take_named(holders[i].pid, holders[i].fd, cookie);
	if (fd < 0)
		return loading_fail(fd, why, size,
				    "socket %" PRIu64 " can't be taken from %s %d: %s", cookie,
				    count ? "process" : "no process", count ? holders[0].pid : 0,
				    take_reason(fd));
	return fd;
}
