/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entries that a listener has in epolls, as /proc/PID/fdinfo/EPOLL shows them, and what follows
 * from them. Pure: epoll_look.h reads the files.
 */
#ifndef SOCKFAIR_EPOLL_ENTRIES_H
#define SOCKFAIR_EPOLL_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EPOLL_MEMBERS_MAX 64
#define EPOLL_OTHERS_MAX 8 /* further names of one epoll */

/* An entry's key is the file and this number: that of its descriptor when it was added. */
struct epoll_entry {
	int fd;
	uint32_t events; /* EPOLLERR and EPOLLHUP, which the kernel adds, too */
	uint64_t data;
};

/* The number of an epoll in a process. */
struct epoll_name {
	int32_t pid;
	uint64_t start_ns; /* of the process: a holder_row's; 0: not known */
	int epoll;
};

/* An epoll that has the listener. */
struct epoll_member {
	struct epoll_name name;
	struct epoll_name others[EPOLL_OTHERS_MAX]; /* of the same epoll: a fork or dup() of it */
	size_t other_count;
	char process[16];
	int listener;             /* a descriptor of the listener in that process */
	size_t entries;           /* of the listener */
	struct epoll_entry entry; /* the first */
};

struct epoll_picture {
	struct epoll_member members[EPOLL_MEMBERS_MAX];
	size_t count;
	size_t omitted; /* further epolls */
};

/* A file, as the lines of fdinfo and stat() name it. */
struct epoll_target {
	uint64_t inode;
	uint32_t device; /* the kernel's own number: major << 20 | minor */
};

/*
 * Reads a line "tfd: 5 events: 10000019 data: 5  pos:0 ino:2e1 sdev:9". Returns false if it is not
 * of that form: fdinfo has others, too.
 */
bool epoll_entry_parse(const char *line, struct epoll_entry *entry, struct epoll_target *of);

/* How many entries of the target a text of fdinfo has; *first is the first of them. */
size_t epoll_entries_find(const char *text, const struct epoll_target *target,
			  struct epoll_entry *first);

/* The member with that name, or among whose other names it is; NULL: there is none. */
struct epoll_member *epoll_picture_find(struct epoll_picture *p, const struct epoll_name *name);

/* The facts about a listener on which it depends whether its entries may be moved. */
struct epoll_facts {
	bool blocking;    /* its descriptor blocks */
	bool keeps_awake; /* this process may add entries with EPOLLWAKEUP */
};

/* Returns true, with one line that says what, why, and what to do, if the entries can't be moved;
 * and of one alone. */
bool epoll_picture_refuse(const struct epoll_picture *p, const struct epoll_facts *facts, char *why,
			  size_t size);
bool epoll_member_refuse(const struct epoll_member *m, const struct epoll_facts *facts, char *why,
			 size_t size);

/* What a later look at an epoll shows. */
enum epoll_change { EPOLL_SAME, EPOLL_GONE, EPOLL_DIFFERS };

/*
 * Compares a member with a later look, which found it (`there`) or not. EPOLL_DIFFERS: `text` says
 * what: "python3 712: epoll 6 has no entry for it".
 */
enum epoll_change epoll_member_compare(const struct epoll_member *before,
				       const struct epoll_member *now, bool there, char *text,
				       size_t size);

/* "python3 712, python3 713": members that left, or joined. */
struct epoll_names {
	char text[160]; /* those that found room: the first ones */
	size_t count, shown;
};
void epoll_names_add(struct epoll_names *names, const struct epoll_member *m);

/* Writes "left: python3 712, python3 713 and 4 others"; "" if there are none. Returns the length.
 */
size_t epoll_names_say(const struct epoll_names *names, const char *what, char *text, size_t size);

#endif
