/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systemd gives each unit a cgroup with the unit's name, below the cgroups of its slices. Container
 * runtimes make a scope with the container's id in its name ("docker-ID.scope"). If they write to
 * the cgroup file system themselves, they make a cgroup named by the id ("/docker/ID").
 */
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_DIGITS 64       /* of a container */
#define ID_DIGITS_SHOWN 12 /* as the runtimes' own tools show it */
#define POD_DIGITS 32
#define POD_DIGITS_SHOWN 8
#define HEX "0123456789abcdef"

/* What stands before a container's id. The container's monitor belongs to the container too,
 * because it holds the published ports. */
static const struct {
	const char *before, *runtime;
} before_ids[] = {
	{ "docker", "docker" },
	{ "nerdctl", "containerd" },
	{ "cri-containerd", "containerd" },
	{ "crio", "cri-o" },
	{ "crio-conmon", "cri-o" },
	{ "libpod", "podman" },
	{ "libpod-conmon", "podman" },
	{ "libpod-payload", "podman" },
};

/* Containers with a name. cut: what follows the name. */
static const struct {
	const char *before, *cut, *runtime;
} before_names[] = {
	{ "lxc.payload.", "", "lxc" },
	{ "lxc.monitor.", "", "lxc" },
	{ "systemd-nspawn@", ".service", "systemd-nspawn" },
	{ "machine-", ".scope", "machined" },
};

/* State while a path is walked component by component. */
struct unit_walk {
	struct unit *u;
	char above[UNIT_NAME_SIZE]; /* the previous component */
	int64_t slice_user;         /* the user whose slice is above; -1: none */
	int64_t manager; /* the unit found so far is the service manager of this user; -1: it is not
			    a service manager */
};

static bool ends_with(const char *text, const char *end)
{
	const size_t length = strlen(text), tail = strlen(end);

	return length > tail && !strcmp(text + length - tail, end);
}

/* Returns 1000 for "user@1000.service"; -1: the text does not have that form. */
static int64_t number_between(const char *text, const char *before, const char *after)
{
	char *end;
	unsigned long long number;

	if (strncmp(text, before, strlen(before)))
		return -1;
	text += strlen(before);
	number = strtoull(text, &end, 10);
	return *text < '0' || *text > '9' || strcmp(end, after) || number > UINT32_MAX
		       ? -1
		       : (int64_t)number;
}

/* Is the component a unit of a kind that has processes? */
static bool is_unit(const char *part)
{
	static const char *const kinds[] = { ".service", ".scope", ".socket", ".mount", ".swap" };

	if (part[strspn(part,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@")])
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (ends_with(part, kinds[i]))
			return true;
	return false;
}

/* Undoes, in place, systemd's \xNN for what a unit's name can't hold. */
static void unescape(char *name)
{
	char *to = name;

	for (const char *from = name; *from; to++) {
		unsigned byte;

		if (sscanf(from, "\\x%2x", &byte) == 1 && byte && strspn(from + 2, HEX) >= 2) {
			*to = byte;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* The innermost container counts. A unit found within an outer container is dropped. */
static void set_container(struct unit_walk *w, const char *name, size_t length, const char *runtime)
{
	struct unit *u = w->u;

	if (w->manager >= 0) {
		u->user = w->manager;
		w->manager = -1;
		*u->name = '\0';
	}
	if (u->within) {
		u->within = false;
		*u->name = '\0';
	}
	snprintf(u->container, sizeof(u->container), "%.*s", (int)length, name);
	u->runtime = runtime;
}

/* "docker-ID.scope", "crio-ID", "kubepods-pod0.slice:cri-containerd:ID", "ID". Returns whether the
 * component is a container. */
static bool take_id(struct unit_walk *w, const char *part)
{
	const size_t length = strlen(part) - (ends_with(part, ".scope") ? strlen(".scope") : 0);
	const char *id = part + length - ID_DIGITS, *begin = part;

	if (length < ID_DIGITS || strspn(id, HEX) != ID_DIGITS)
		return false;
	if (length == ID_DIGITS) {
		set_container(w, id, ID_DIGITS, strcmp(w->above, "docker") ? NULL : "docker");
		return true;
	}
	for (const char *at = part; at < id - 1; at++)
		if (*at == ':')
			begin = at + 1;
	for (size_t i = 0;
	     i < sizeof(before_ids) / sizeof(*before_ids) && (id[-1] == '-' || id[-1] == ':');
	     i++) {
		if (strlen(before_ids[i].before) != (size_t)(id - 1 - begin) ||
		    strncmp(before_ids[i].before, begin, id - 1 - begin))
			continue;
		set_container(w, id, ID_DIGITS, before_ids[i].runtime);
		return true;
	}
	return false;
}

/* "lxc.payload.web", "machine-web.scope", and any name below "lxc". Returns whether the component
 * is a container. */
static bool take_name(struct unit_walk *w, const char *part)
{
	for (size_t i = 0; i < sizeof(before_names) / sizeof(*before_names); i++) {
		const char *before = before_names[i].before, *cut = before_names[i].cut;
		const size_t length = strlen(part), around = strlen(before) + strlen(cut);

		if (length <= around || strncmp(part, before, strlen(before)) ||
		    strcmp(part + length - strlen(cut), cut))
			continue;
		set_container(w, part + strlen(before), length - around, before_names[i].runtime);
		unescape(w->u->container);
		return true;
	}
	if (strcmp(w->above, "lxc") && strcmp(w->above, "lxc.payload") &&
	    strcmp(w->above, "lxc.monitor"))
		return false;
	set_container(w, part, strlen(part), "lxc");
	return true;
}

/* "pod01234567-…", "kubepods-burstable-pod01234567_….slice". The uids of static pods have no
 * dashes.
 */
static void take_pod(struct unit_walk *w, const char *part)
{
	for (const char *at = strstr(part, "pod"); at; at = strstr(at + 3, "pod")) {
		const size_t length = strspn(at + 3, HEX "-_");

		if ((at > part && at[-1] != '-') ||
		    (length != POD_DIGITS && length != UNIT_POD_SIZE - 1) ||
		    (at[3 + length] && strncmp(at + 3 + length, ".slice", 6)))
			continue;
		snprintf(w->u->pod, sizeof(w->u->pod), "%.*s", (int)length, at + 3);
		for (char *c = w->u->pod; *c; c++)
			*c = *c == '_' ? '-' : *c;
	}
}

/*
 * Below a unit there are no other units, except those of a user's service manager or of the systemd
 * within a container. systemd puts a '_' before a name that would clash with one of the kernel's
 * files.
 */
static void take_unit(struct unit_walk *w, const char *part)
{
	struct unit *u = w->u;
	const bool first_within = *u->container && !u->within;

	part += *part == '_';
	if (!is_unit(part) || (*u->name && w->manager < 0 && !first_within) ||
	    (w->manager >= 0 && !strcmp(part, "init.scope")))
		return;
	u->user = w->manager >= 0                                 ? w->manager
		  : strncmp(part, "session-", strlen("session-")) ? -1
								  : w->slice_user;
	u->within = *u->container;
	w->manager = number_between(part, "user@", ".service");
	snprintf(u->name, sizeof(u->name), "%s", part);
}

static void part_take(struct unit_walk *w, const char *part)
{
	take_pod(w, part);
	if (ends_with(part, ".slice"))
		w->slice_user = number_between(part, "user-", ".slice") >= 0
					? number_between(part, "user-", ".slice")
					: w->slice_user;
	else if (!take_id(w, part) && !take_name(w, part))
		take_unit(w, part);
	snprintf(w->above, sizeof(w->above), "%s", part);
}

bool unit_find(struct unit *u, const char *cgroup, size_t size)
{
	struct unit_walk w = { .u = u, .slice_user = -1, .manager = -1 };
	const size_t length = strnlen(cgroup, size);
	const bool cut = length + 1 >= size;

	*u = (struct unit){ .user = -1 };
	for (size_t from = 0, end; from < length; from = end + 1) {
		char part[UNIT_NAME_SIZE];

		for (end = from; end < length && cgroup[end] != '/';)
			end++;
		if (end == from || end - from >= sizeof(part) || (cut && end == length))
			continue;
		memcpy(part, cgroup + from, end - from);
		part[end - from] = '\0';
		part_take(&w, part);
	}
	if (!*u->container)
		*u->pod = '\0';
	return *u->name || *u->container;
}

bool unit_of_row(struct unit *u, const char cgroup[CGROUP_SIZE])
{
	const char *whole = cgroup_whole(cgroup);

	return unit_find(u, whole ? whole : cgroup, whole ? SIZE_MAX : CGROUP_SIZE);
}

/* "nginx.service", "app.service of user 1000", "session 3 of user 1000", "user 1000" */
static void say_unit(char words[UNIT_NAME_SIZE + 32], const struct unit *u)
{
	const size_t session = strlen("session-"), scope = strlen(".scope");
	const bool is_session = u->user >= 0 && !strncmp(u->name, "session-", session) &&
				ends_with(u->name, ".scope");
	char user[24] = "";

	if (u->user >= 0)
		snprintf(user, sizeof(user), "%suser %" PRIu32, *u->name ? " of " : "",
			 (uint32_t)u->user);
	if (is_session)
		snprintf(words, UNIT_NAME_SIZE + 32, "session %.*s%s",
			 (int)(strlen(u->name) - session - scope), u->name + session, user);
	else
		snprintf(words, UNIT_NAME_SIZE + 32, "%s%s", u->name, user);
}

/* "container 0123456789ab (containerd), pod 01234567" */
static void say_container(char words[UNIT_NAME_SIZE + 64], const struct unit *u)
{
	const bool by_id = strspn(u->container, HEX) == ID_DIGITS && !u->container[ID_DIGITS];
	const bool machine = u->runtime && !strcmp(u->runtime, "machined");
	char runtime[24] = "", pod[24] = "";

	if (u->runtime && !machine)
		snprintf(runtime, sizeof(runtime), " (%s)", u->runtime);
	if (*u->pod)
		snprintf(pod, sizeof(pod), ", pod %.*s", POD_DIGITS_SHOWN, u->pod);
	snprintf(words, UNIT_NAME_SIZE + 64, "%s %.*s%s%s", machine ? "machine" : "container",
		 by_id ? ID_DIGITS_SHOWN : UNIT_NAME_SIZE, u->container, runtime, pod);
}

char *unit_say(char buffer[UNIT_WORDS_SIZE], const struct unit *u)
{
	char unit[UNIT_NAME_SIZE + 32], container[UNIT_NAME_SIZE + 64] = "";
	const char *of;

	say_unit(unit, u);
	if (*u->container)
		say_container(container, u);
	of = *unit && *container ? " of " : "";
	/* Either a unit within the container, or the unit that the container is in. */
	snprintf(buffer, UNIT_WORDS_SIZE, "%s%s%s", u->within ? unit : container, of,
		 u->within ? container : unit);
	return buffer;
}
