/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "detach.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../model/steer_plan.h"
#include "take.h"

/* Of each socket so many holders: when some have ended, others may have it. */
#define HOLDERS_EACH (DETACH_ROWS / STEER_MEMBERS_MAX)

void detach_rows_fill(struct detach_rows *to, const struct endpoint *e)
{
	to->count = 0;
	for (size_t i = 0; e && i < e->socket_count; i++) {
		size_t count;
		const struct holder_row *holders =
			endpoint_holders(e, e->sockets[i].cookie, &count);

		if (!steer_is_listener(&e->sockets[i]))
			continue;
		for (size_t k = 0; k < count && k < HOLDERS_EACH && to->count < DETACH_ROWS; k++) {
			to->rows[to->count].pid = holders[k].pid;
			to->rows[to->count].fd = holders[k].fd;
			to->rows[to->count++].cookie = e->sockets[i].cookie;
		}
	}
}

/* The errors of a process or a socket that has gone. */
static bool row_is_gone(int err)
{
	return err == -ESRCH || err == -EBADF || err == -ESTALE;
}

/* Looks at the socket of one row, and takes the program off if it shows that; 0: only looks.
 * Returns 0 or negative errno. */
static int row_detach(const struct detach_rows *rows, uint32_t i, const struct group_looks *looks,
		      uint32_t program, struct group_program *found)
{
	const int fd = take_named(rows->rows[i].pid, rows->rows[i].fd, rows->rows[i].cookie);
	int err = fd < 0 ? fd : group_look_at(looks, fd, found);

	if (!err && program && found->id == program) {
		/* -ENOENT: somebody else was faster. The value is not looked at. */
		if (setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &fd, sizeof(fd)) &&
		    errno != ENOENT)
			err = -errno;
		if (!err)
			err = group_look_at(looks, fd, found);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int detach_look(const struct detach_rows *rows, const struct group_looks *looks,
		struct group_program *found)
{
	int err = -ESRCH;

	for (uint32_t i = 0; i < rows->count && row_is_gone(err); i++)
		err = row_detach(rows, i, looks, 0, found);
	return row_is_gone(err) ? -ESRCH : err;
}

int detach_program(const struct detach_rows *rows, const struct group_looks *looks,
		   uint32_t program, struct group_program *found)
{
	struct group_program one;
	uint64_t done = 0; /* the socket that was looked at last */
	int err = -ESRCH;

	*found = (struct group_program){};
	for (uint32_t i = 0; i < rows->count; i++) {
		int its;

		if (rows->rows[i].cookie == done)
			continue;
		its = row_detach(rows, i, looks, program, &one);
		if (!its) {
			done = rows->rows[i].cookie;
			if (!group_has_program(found))
				*found = one;
		}
		if (row_is_gone(err) || (its && !row_is_gone(its)))
			err = its;
	}
	return row_is_gone(err) ? -ESRCH : err;
}
