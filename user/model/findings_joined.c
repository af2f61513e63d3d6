/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules about an unrelated process that joins a reuseport group during the window. The kernel gives
 * its sockets a share at once, and lets in any process with the same effective user. Servers that
 * reload, restart or start further workers join too; but their processes are parents, children or
 * siblings of those that were there, and are not reported.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "findings_rules.h"
#include "words.h"

#define GROUP_MAX 512   /* sockets of a group that are compared with each other */
#define HOLDERS_MOST 64 /* holders of a socket that joins */

/* "worker-3" and "worker-12" count as names of the same program. */
static bool names_alike(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (isdigit((unsigned char)*a))
			a++;
		while (isdigit((unsigned char)*b))
			b++;
		if (*a != *b || !*a)
			return *a == *b;
	}
}

/* If a parent is not known, the processes count as related, because nothing can be told. */
static bool are_related(const struct holder_row *a, const struct holder_row *b)
{
	if (!a->parent || !b->parent || a->pid == b->pid || a->parent == b->pid ||
	    b->parent == a->pid)
		return true;
	return a->parent == b->parent && names_alike(a->process, b->process);
}

/* Which process joined with a socket, and which process was there before. */
struct joining {
	const struct holder_row *who, *whom;
	size_t count; /* length of `who`: the socket's holders, consecutive */
	bool alike;   /* both are the same program */
};

/* Compares the joining holders with those of a socket that was there before. Returns false if they
 * are related. */
static bool joined_compare(struct joining *j, const struct endpoint *e, uint64_t before)
{
	size_t count;
	const struct holder_row *h = endpoint_holders(e, before, &count);

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < j->count; k++)
			if (are_related(&j->who[k], &h[i]))
				return false;
		if (!j->whom)
			j->whom = &h[i];
		j->alike |= names_alike(j->who->process, h[i].process);
	}
	return true;
}

/* Did an unrelated process join the group with this socket? */
static bool joined_by(struct joining *j, const struct facts *facts, const struct group *group,
		      const struct socket_row *s)
{
	const struct endpoint *e = facts->endpoint;

	*j = (struct joining){};
	j->who = endpoint_holders(e, s->cookie, &j->count);
	if (!s->appeared || !j->count || j->count > HOLDERS_MOST || s->member)
		return false;
	for (size_t i = 0; i < group->sockets; i++)
		if (!group->rows[i]->appeared && !joined_compare(j, e, group->rows[i]->cookie))
			return false;
	return j->whom;
}

static bool is_first_holder(const struct endpoint *e, const struct socket_row *s, int32_t pid)
{
	size_t count;
	const struct holder_row *h = endpoint_holders(e, s->cookie, &count);

	return s->appeared && count && h->pid == pid;
}

/* A process is reported once, with the first of its sockets. */
static size_t sockets_of(const struct endpoint *e, const struct group *group, int32_t pid,
			 const struct socket_row **first)
{
	size_t count = 0;

	*first = NULL;
	for (size_t i = 0; i < group->sockets; i++) {
		if (!is_first_holder(e, group->rows[i], pid))
			continue;
		if (!count++)
			*first = group->rows[i];
	}
	return count;
}

static bool joined(struct finding *f, const struct facts *facts, const struct socket_row *s,
		   bool alike)
{
	const struct group *group = s->appeared && s->group ? group_find(facts, s->group) : NULL;
	char duration[DURATION_SIZE], seen[DURATION_SIZE + 60] = "", share[80], who[PROCESS_SIZE],
							   whom[PROCESS_SIZE];
	const struct socket_row *first;
	struct joining j;
	size_t own;

	if (!group || group->sockets > GROUP_MAX ||
	    facts->endpoint->design.code == DESIGN_MULTICAST || !joined_by(&j, facts, group, s) ||
	    j.alike != alike)
		return false;
	own = sockets_of(facts->endpoint, group, j.who->pid, &first);
	if (first != s)
		return false;
	if (s->appeared_ns)
		snprintf(seen, sizeof(seen), ", seen %s after counting began",
			 say_duration(duration, s->appeared_ns));
	if (group->steered)
		snprintf(share, sizeof(share), "it has %zu of its %zu sockets", own,
			 group->sockets);
	else
		snprintf(share, sizeof(share), "with %zu of its %zu sockets it gets a share", own,
			 group->sockets);
	finding_say(f,
		    "%s joined the SO_REUSEPORT group of %s (socket %" PRIu64 ", inode %" PRIu32
		    ")%s: %s%s",
		    say_process(who, j.who->process, j.who->pid, j.who->cgroup),
		    say_process(whom, j.whom->process, j.whom->pid, j.whom->cgroup), s->cookie,
		    s->inode, seen, share,
		    alike ? "" : "; if it is not meant to, stop it, or give it another port");
	finding_show(f, "pid", j.who->pid);
	finding_show(f, "uid", j.who->uid);
	finding_show(f, "sockets", own);
	finding_show(f, "group_sockets", group->sockets);
	finding_show(f, "seen_seconds", s->appeared_ns / 1e9);
	return true;
}

static bool joined_by_another_program(struct finding *f, const struct facts *facts,
				      const struct socket_row *s)
{
	return joined(f, facts, s, false);
}

static bool joined_by_a_second_one(struct finding *f, const struct facts *facts,
				   const struct socket_row *s)
{
	return joined(f, facts, s, true);
}

static const struct rule rules[] = {
	{ "group-joined", FINDING_PROBLEM, .of_socket = joined_by_another_program },
	{ "group-joined", FINDING_NOTE, .of_socket = joined_by_a_second_one },
};

const struct rule_table joined_rules = { rules, sizeof(rules) / sizeof(*rules) };
