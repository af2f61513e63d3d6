/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "epoll_entries.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

bool epoll_entry_parse(const char *line, struct epoll_entry *entry, struct epoll_target *of)
{
	*entry = (struct epoll_entry){};
	*of = (struct epoll_target){};
	/* fs/eventpoll.c, ep_show_fdinfo() */
	return sscanf(line,
		      "tfd: %d events: %" SCNx32 " data: %" SCNx64 " pos:%*d ino:%" SCNx64
		      " sdev:%" SCNx32,
		      &entry->fd, &entry->events, &entry->data, &of->inode, &of->device) == 5;
}

size_t epoll_entries_find(const char *text, const struct epoll_target *target,
			  struct epoll_entry *first)
{
	size_t found = 0;

	while (*text) {
		const size_t length = strcspn(text, "\n");
		struct epoll_entry entry;
		struct epoll_target of;
		char line[256]; /* sscanf() goes through all that follows, at each line */

		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		if (epoll_entry_parse(line, &entry, &of) && of.inode == target->inode &&
		    of.device == target->device && !found++)
			*first = entry;
		text += length + (text[length] == '\n');
	}
	return found;
}

static bool is_named(const struct epoll_name *a, const struct epoll_name *b)
{
	return a->pid == b->pid && a->start_ns == b->start_ns && a->epoll == b->epoll;
}

struct epoll_member *epoll_picture_find(struct epoll_picture *p, const struct epoll_name *name)
{
	for (size_t i = 0; i < p->count; i++) {
		struct epoll_member *m = &p->members[i];
		bool found = is_named(&m->name, name);

		for (size_t j = 0; j < m->other_count && !found; j++)
			found = is_named(&m->others[j], name);
		if (found)
			return m;
	}
	return NULL;
}

bool epoll_member_refuse(const struct epoll_member *m, const struct epoll_facts *facts, char *why,
			 size_t size)
{
	if (m->entries != 1)
		snprintf(why, size,
			 "epoll %d of %s %" PRId32 " has %zu entries for it, and which of them "
			 "wakes the worker is not known: nothing can be steered here from outside",
			 m->name.epoll, m->process, m->name.pid, m->entries);
	else if (m->entry.events & EPOLLONESHOT)
		snprintf(why, size,
			 "%s %" PRId32 " sets its entry again after each event (EPOLLONESHOT): a "
			 "server that changes its entries itself can't be steered from outside",
			 m->process, m->name.pid);
	else if (m->entry.events & EPOLLWAKEUP && !facts->keeps_awake)
		snprintf(why, size,
			 "the entry of %s %" PRId32 " has EPOLLWAKEUP, which only a process with "
			 "CAP_BLOCK_SUSPEND can give back to it: run as root, or grant it",
			 m->process, m->name.pid);
	else
		return false;
	return true;
}

bool epoll_picture_refuse(const struct epoll_picture *p, const struct epoll_facts *facts, char *why,
			  size_t size)
{
	if (p->omitted) {
		snprintf(why, size,
			 "%zu epolls watch it, and no more than %d can be steered: fewer workers, "
			 "or a SO_REUSEPORT socket each",
			 p->count + p->omitted, EPOLL_MEMBERS_MAX);
		return true;
	}
	if (p->count < 2) {
		snprintf(why, size,
			 "%s: entries can be moved only where several epolls wait on one socket",
			 p->count ? "one epoll alone watches it, so there is no order to change"
				  : "no epoll watches it");
		return true;
	}
	for (size_t i = 0; i < p->count; i++)
		if (epoll_member_refuse(&p->members[i], facts, why, size))
			return true;
	if (facts->blocking) {
		snprintf(why, size,
			 "its descriptor blocks: a worker that is woken for a connection that "
			 "another one takes would hang in accept(), and moving entries wakes more "
			 "of them; the server has to set O_NONBLOCK");
		return true;
	}
	return false;
}

enum epoll_change epoll_member_compare(const struct epoll_member *before,
				       const struct epoll_member *now, bool there, char *text,
				       size_t size)
{
	const struct epoll_entry *was = &before->entry, *is = &now->entry;
	int n;

	*text = '\0';
	if (!there)
		return EPOLL_GONE;
	if (now->entries == before->entries &&
	    (!now->entries ||
	     (was->fd == is->fd && was->events == is->events && was->data == is->data)))
		return EPOLL_SAME;
	n = snprintf(text, size, "epoll %d of %s %" PRId32 " ", before->name.epoll, before->process,
		     before->name.pid);
	if (n < 0 || (size_t)n >= size)
		return EPOLL_DIFFERS;
	if (!now->entries)
		snprintf(text + n, size - n, "has no entry for it any more");
	else if (now->entries != before->entries)
		snprintf(text + n, size - n, "has %zu entries for it, not %zu", now->entries,
			 before->entries);
	else
		snprintf(text + n, size - n,
			 "has it as number %d, events %" PRIx32 ", data %" PRIx64
			 ", not as %d, %" PRIx32 ", %" PRIx64,
			 is->fd, is->events, is->data, was->fd, was->events, was->data);
	return EPOLL_DIFFERS;
}

void epoll_names_add(struct epoll_names *names, const struct epoll_member *m)
{
	const size_t used = strlen(names->text);
	const int n = snprintf(names->text + used, sizeof(names->text) - used, "%s%s %" PRId32,
			       used ? ", " : "", m->process, m->name.pid);

	names->count++;
	/* Once one has found no room, those after it are counted, too: they are in order of time.
	 */
	if (n < 0 || used + n >= sizeof(names->text) || names->shown + 1 < names->count)
		names->text[used] = '\0';
	else
		names->shown++;
}

size_t epoll_names_say(const struct epoll_names *names, const char *what, char *text, size_t size)
{
	const size_t rest = names->count - names->shown;
	int n = 0;

	*text = '\0';
	if (names->count)
		n = snprintf(text, size, "%s: %s", what, names->text);
	if (rest && n >= 0 && (size_t)n < size)
		snprintf(text + n, size - n, " and %zu other%s", rest, rest > 1 ? "s" : "");
	return strlen(text);
}
