/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "left.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "../attach/loading.h"
#include "detach.h"

/* A program's map goes some time after the program, which goes after all that may run it. */
#define FREE_MS 10
#define FREE_LOOKS 300

int steer_left_remove(const struct endpoint *e, uint32_t program, char *why, size_t size)
{
	struct group_looks *looks;
	struct group_program found;
	struct detach_rows rows;
	int err = group_looks_open(&looks, why, size);

	if (err)
		return err;
	detach_rows_fill(&rows, e);
	err = detach_program(&rows, looks, program, &found);
	for (int i = 0; !err && found.in_map && i < FREE_LOOKS; i++) {
		poll(NULL, 0, FREE_MS);
		err = detach_look(&rows, looks, &found);
	}
	group_looks_close(looks);
	return err ? loading_fail(err, why, size,
				  "the program that a killed sockfair steer has left in the group "
				  "can't be taken off: %s",
				  err == -ESRCH ? "its sockets have gone meanwhile"
						: strerror(-err))
		   : 0;
}
