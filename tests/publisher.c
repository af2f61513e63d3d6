/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * publisher [LISTEN]: publishes what it is told, for front.py. It begins with the line
 *
 *   ready PID PLACE NOTE   of the process that serves HTTP; or "failed WHY", and status 1
 *
 * and answers each line that it reads with one line:
 *
 *   page FORMAT TEXT       publishes "TEXT\n"; FORMAT: classic, openmetrics
 *   letters BYTES          publishes pages of one letter, each with its number, in both formats by
 *                          turns, as fast as it can until the next line comes: "letters COUNT"
 *   observe                begins to count, with an inventory: "observing BACKEND"
 *   confine [namespaces] [textfile] [removal]
 *                          gives up the collector's rights: "confined KEPT"
 *   count PORT NETNS       scans and reads: "counted ACCEPTED SOCKETS HELD" of that port in that
 *                          network namespace (inode); HELD: how many holders are known
 *   write FILE             writes a line to FILE.new and renames it
 *   alive                  "alive", or "dead WHY"
 *   end                    ends, and says "ended"
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../user/attach/backend.h"
#include "../user/collect/observer.h"
#include "../user/export/front.h"

static struct export_front *front;
static struct observer *observer;
static char why[1024];

static void say(const char *what, const char *rest)
{
	printf("%s %s\n", what, rest);
	fflush(stdout);
}

static void page(const char *format, const char *text)
{
	char line[4096];
	const int length = snprintf(line, sizeof(line), "%s\n", text);
	const int err = export_front_publish(
		front, strcmp(format, "classic") ? EXPORT_OPENMETRICS : EXPORT_CLASSIC, line,
		length);

	say(err ? "failed" : "published", err ? strerror(-err) : "");
}

/* "aaa...a 17 a\n": a page is whole if all is one letter, and the number's. */
static void letters(size_t bytes)
{
	struct pollfd next = { .fd = 0, .events = POLLIN };
	char *text = malloc(bytes + 64), count[32];
	unsigned long number = 0;

	while (text && poll(&next, 1, 0) == 0) {
		const char letter = 'a' + number % 26;
		const int more = sprintf(text + bytes, " %lu %c\n", number, letter);

		memset(text, letter, bytes);
		export_front_publish(front, number % 2 ? EXPORT_OPENMETRICS : EXPORT_CLASSIC, text,
				     bytes + more);
		number++;
	}
	free(text);
	snprintf(count, sizeof(count), "%lu", number);
	say("letters", count);
}

static void observe(void)
{
	static const struct observer_options options = { .backend = BACKEND_AUTO,
							 .inventory = true,
							 .before = true };
	int err = observer_open(&observer, &options, why, sizeof(why));

	if (!err)
		err = observer_start(observer);
	say(err ? "failed" : "observing", err ? why : backend_name(observer_backend(observer)));
}

static void confine(const char *what)
{
	const struct export_needs needs = { .namespaces = strstr(what, "namespaces"),
					    .textfile = strstr(what, "textfile"),
					    .removal = strstr(what, "removal") };
	const int err = export_confine_collector(&needs, why, sizeof(why));

	say(err ? "failed" : "confined", why);
}

static void count(unsigned port, unsigned netns)
{
	unsigned long accepted = 0, sockets = 0, held = 0;
	struct snapshot s;
	int err = observer_scan(observer);

	if (!err)
		err = observer_read(observer, &s, true);
	if (err) {
		say("failed", strerror(-err));
		return;
	}
	for (size_t i = 0; i < s.endpoint_count; i++) {
		const struct endpoint *e = &s.endpoints[i];

		if (e->port != port || e->netns != netns)
			continue;
		sockets += e->socket_count;
		held += e->holder_count;
		for (size_t j = 0; j < e->worker_count; j++)
			accepted += e->workers[j].accepted;
	}
	snapshot_free(&s);
	snprintf(why, sizeof(why), "%lu %lu %lu", accepted, sockets, held);
	say("counted", why);
}

static void write_file(const char *name)
{
	char beside[512];
	FILE *f;
	bool done;

	snprintf(beside, sizeof(beside), "%s.new", name);
	f = fopen(beside, "we");
	done = f && fputs("written\n", f) >= 0;
	done = f && !fclose(f) && done && !rename(beside, name);
	say(done ? "written" : "failed", done ? "" : strerror(errno));
}

/* Returns whether there is more to do. */
static bool obey(char *line)
{
	char *rest = strchr(line, ' ');
	char *more;

	if (rest)
		*rest++ = '\0';
	else
		rest = line + strlen(line);
	more = strchr(rest, ' ');
	if (!strcmp(line, "page") && more) {
		*more++ = '\0';
		page(rest, more);
	} else if (!strcmp(line, "letters")) {
		letters(strtoul(rest, NULL, 10));
	} else if (!strcmp(line, "observe")) {
		observe();
	} else if (!strcmp(line, "confine")) {
		confine(rest);
	} else if (!strcmp(line, "count")) {
		count(strtoul(rest, NULL, 10), more ? strtoul(more, NULL, 10) : 0);
	} else if (!strcmp(line, "write")) {
		write_file(rest);
	} else if (!strcmp(line, "alive")) {
		const bool lives = export_front_alive(front, why, sizeof(why));

		say(lives ? "alive" : "dead", lives ? "" : why);
	} else {
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct export_listen at;
	char line[4096], text[1024];

	if (export_listen_parse(argc > 1 ? argv[1] : NULL, &at, why, sizeof(why)) ||
	    export_front_start(&front, &at, why, sizeof(why))) {
		say("failed", why);
		return 1;
	}
	snprintf(text, sizeof(text), "%d %s %s", export_front_pid(front), export_front_place(front),
		 why);
	say("ready", text);
	/* letters() asks the descriptor for the next line, not what stdio has read ahead. */
	setvbuf(stdin, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!obey(line))
			break;
	}
	export_front_end(front);
	observer_close(observer);
	say("ended", "");
	return 0;
}
