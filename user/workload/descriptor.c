/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sends and receives one descriptor per message over a unix socket. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "descriptor.h"

union descriptor_message {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

/* Builds a message of one byte with room for one descriptor. */
static struct msghdr descriptor_header(struct iovec *byte, union descriptor_message *control)
{
	return (struct msghdr){
		.msg_iov = byte,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control->space),
	};
}

int descriptor_send(int queue, int fd)
{
	char byte = 0;
	struct iovec data = { &byte, 1 };
	union descriptor_message control = { 0 };
	struct msghdr message = descriptor_header(&data, &control);
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(queue, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int descriptor_receive(int queue)
{
	char byte;
	struct iovec data = { &byte, 1 };
	union descriptor_message control;
	struct msghdr message = descriptor_header(&data, &control);
	struct cmsghdr *c;
	ssize_t size = recvmsg(queue, &message, MSG_CMSG_CLOEXEC);
	int fd;

	if (size <= 0)
		return size ? -errno : -ECONNRESET;
	c = CMSG_FIRSTHDR(&message);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return message.msg_flags & MSG_CTRUNC
			       ? -EMFILE
			       : -ECONNRESET; /* -EMFILE: there was no room for the descriptor, and
						 the kernel dropped it */
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}
