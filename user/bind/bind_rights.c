/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts EACCES below the port limit into words: which right the process lacks, and why. */
#include <inttypes.h>

#include "bind_words.h"

static void say_caller(struct words *w, const struct bind_event *e)
{
	if (e->pid)
		words_add(w, "%.16s (pid %" PRId32 ", uid %" PRIu32, e->comm, e->pid, e->euid);
	else
		words_add(w, "uid %" PRIu32, e->euid);
	if (e->user)
		words_add(w, e->pid ? ", %.32s" : " (%.32s)", e->user);
	if (e->pid)
		words_add(w, ")");
}

void words_privileged(struct words *w, const struct bind_event *e)
{
	static const char or_else[] = "lower the limit or take a port above it";

	words_add(w,
		  "ports below %" PRIu32
		  " (net.ipv4.ip_unprivileged_port_start) need CAP_NET_BIND_SERVICE, which ",
		  e->port_limit);
	say_caller(w, e);
	if (e->other_user_ns)
		words_add(w,
			  " has only in a user namespace that does not own this network namespace: "
			  "there it counts for nothing; bind() outside of that namespace, %s",
			  or_else);
	else if (e->can_raise)
		words_add(
			w,
			" has permitted, and has not raised: it is not effective; raise it before "
			"bind() (capset(); systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), %s",
			or_else);
	else if (e->capability_lost)
		words_add(w,
			  " does not have, and can't get: its bounding set lacks it; leave it in "
			  "there (systemd: CapabilityBoundingSet=; containers: --cap-add), %s",
			  or_else);
	else if (e->pid && !e->euid)
		words_add(w, " does not have, though it is root: it was dropped; keep it, %s",
			  or_else);
	else
		words_add(w,
			  " does not have; give it that capability (systemd: "
			  "AmbientCapabilities=CAP_NET_BIND_SERVICE), %s",
			  or_else);
}
