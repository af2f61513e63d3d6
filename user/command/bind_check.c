/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command bind-check: reads the places to check and the user in question, collects the facts,
 * judges each place, prints the report. */
#include "command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../collect/bindable.h"
#include "../collect/namespace.h"
#include "../collect/occupants.h"
#include "../collect/services.h"
#include "../render/bind_report.h"
#include "filter.h"

#define TARGETS_MAX 4096

enum { OPT_REUSEADDR = 1000, OPT_REUSEPORT, OPT_V6ONLY, OPT_DEVICE, OPT_USER };

struct bind_check_options {
	struct bind_check *checks;
	size_t count;
	struct bindable_user user;
	struct selection selection; /* only its netns is used */
	bool udp, reuseaddr, reuseport, v6only, json;
	const char *device, *file, *netns;
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What would be bound:", 1 },
	{ "udp", 'u', NULL, 0, "UDP (TCP: bind() and listen())", 0 },
	{ "reuseaddr", OPT_REUSEADDR, NULL, 0, "With SO_REUSEADDR set, as most servers do", 0 },
	{ "reuseport", OPT_REUSEPORT, NULL, 0, "With SO_REUSEPORT set", 0 },
	{ "v6only", OPT_V6ONLY, NULL, 0, "With IPV6_V6ONLY set", 0 },
	{ "device", OPT_DEVICE, "NAME", 0, "With SO_BINDTODEVICE", 0 },
	{ "user", OPT_USER, "NAME|UID", 0,
	  "By a process of that user, without capabilities unless it is root (default: by this "
	  "process)",
	  0 },
	{ "netns", 'N', "PID|PATH|INODE", 0, "In that network namespace (this one)", 0 },
	{ NULL, 0, NULL, 0, "The result:", 2 },
	{ "json", 'j', NULL, 0, "One JSON document (schema: sockfair --schema bind-check)", 0 },
	{ "output", 'o', "FILE", 0,
	  "Write the result to FILE; an old one stays until the new one is whole", 0 },
	{},
};

/* ---- the question ---- */

static void take_user(struct bind_check_options *o, const struct argp_state *state,
		      const char *name)
{
	const struct passwd *user;

	o->user.self = false;
	if (*name && strspn(name, "0123456789") == strlen(name)) {
		o->user.uid = option_count(state, "--user", name, 0, UINT32_MAX - 1);
		return;
	}
	user = getpwnam(name);
	if (!user) {
		complain("there is no user '%s' on this machine; give a name of getent passwd, or "
			 "a number",
			 name);
		exit(STATUS_FAILED);
	}
	o->user.uid = user->pw_uid;
}

/* Parses a numeric address, with a %zone if it is link-local. Returns whether it is an address. */
static bool take_address(struct bind_place *p, char *text)
{
	char *zone = strchr(text, '%');

	if (zone) {
		*zone++ = 0;
		if (!*zone || strlen(zone) >= sizeof(p->device_name))
			return false;
		strcpy(p->device_name, zone);
	}
	p->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(p->family, text, p->address) != 1)
		return false;
	/* fe80::/10, and multicast of the link */
	return !zone || (p->family == AF_INET6 &&
			 ((p->address[0] == 0xfe && (p->address[1] & 0xc0) == 0x80) ||
			  p->address[0] == 0xff));
}

/* Parses "80", ":80", "*:80" (any address); "0.0.0.0:80"; "[::]:80". */
static void take_target(struct bind_check_options *o, const struct argp_state *state,
			const char *text)
{
	struct bind_check *c;
	char address[80] = "*";
	const char *port = strrchr(text, ':'), *end = port;
	void *checks;

	if (o->count == TARGETS_MAX)
		usage_error(state, "takes at most %u addresses", TARGETS_MAX);
	checks = realloc(o->checks, (o->count + 1) * sizeof(*c));
	if (!checks)
		exit(complain("out of memory"));
	o->checks = checks;
	c = &o->checks[o->count++];
	*c = (struct bind_check){ .blocker = -1 };
	if (port && port > text) {
		const bool brackets = *text == '[';

		if (brackets)
			end = port > text + 1 && port[-1] == ']' ? port - 1 : text;
		if ((size_t)(end - text) >= sizeof(address) || (brackets && end == text) ||
		    (!brackets && memchr(text, ':', port - text)))
			usage_error(state,
				    "takes ADDRESS:PORT, and IPv6 as [ADDRESS]:PORT, not '%s'",
				    text);
		snprintf(address, sizeof(address), "%.*s", (int)(end - text - brackets),
			 text + brackets);
	}
	c->event.place.port =
		option_count(state, "the port of ADDRESS:PORT", port ? port + 1 : text, 1, 65535);
	c->any = !strcmp(address, "*");
	c->event.place.family = AF_INET6;
	if (!c->any && !take_address(&c->event.place, address))
		usage_error(state,
			    "takes numeric addresses, such as 127.0.0.1:80, [::1]:80 or "
			    "[fe80::1%%eth0]:80, not '%s'",
			    text);
}

/* Parses the filter's option --netns; one namespace is enough here. */
static void take_netns(struct bind_check_options *o, const struct argp_state *state, char *text)
{
	char key[] = "-N", *arguments[] = { (char *)state->name, key, text, NULL };

	if (strchr(text, ','))
		usage_error(state, "--netns takes one network namespace");
	if (argp_parse(&filter_argp, 3, arguments, ARGP_NO_HELP, NULL, &o->selection))
		exit(complain("out of memory"));
}

static error_t bind_check_parse(int key, char *arg, struct argp_state *state)
{
	struct bind_check_options *o = state->input;

	switch (key) {
	case 'u': o->udp = true; break;
	case OPT_REUSEADDR: o->reuseaddr = true; break;
	case OPT_REUSEPORT: o->reuseport = true; break;
	case OPT_V6ONLY: o->v6only = true; break;
	case OPT_DEVICE:
		if (!*arg || strlen(arg) >= IF_NAMESIZE)
			usage_error(state, "--device takes the name of an interface, not '%s'",
				    arg);
		o->device = arg;
		break;
	case OPT_USER: take_user(o, state, arg); break;
	case 'N': take_netns(o, state, arg); break;
	case 'j': o->json = true; break;
	case 'o': o->file = arg; break;
	case ARGP_KEY_ARG: take_target(o, state, arg); break;
	case ARGP_KEY_END:
		if (!o->count)
			usage_error(state, "needs an ADDRESS:PORT, such as 0.0.0.0:80");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void options_apply(struct bind_check_options *o)
{
	for (size_t i = 0; i < o->count; i++) {
		struct bind_place *p = &o->checks[i].event.place;

		p->protocol = o->udp ? PROTOCOL_UDP : PROTOCOL_TCP;
		p->reuseaddr = o->reuseaddr;
		p->reuseport = o->reuseport;
		p->v6only = o->v6only && p->family == AF_INET6;
		if (o->v6only)
			o->checks[i].any = false;
		if (o->device && !*p->device_name)
			strcpy(p->device_name, o->device);
	}
}

/* ---- the answer ---- */

/* Judges each check. *list owns what the checks' occupants point to. */
static int checks_judge(struct bind_check_options *o, uint32_t netns, struct bind_occupant **list,
			bool *complete, char *why, size_t size)
{
	struct occupants_query *queries = calloc(o->count, sizeof(*queries));
	static struct bind_ports ports;
	struct occupants *occupants = NULL;
	int count, err;

	err = queries ? occupants_open(&occupants, why, size) : -ENOMEM;
	if (!err)
		err = bindable_ask(o->checks, o->count, netns, &o->user, why, size);
	if (err)
		goto out;
	for (size_t i = 0; i < o->count; i++) {
		const struct bind_place *p = &o->checks[i].event.place;

		queries[i] = (struct occupants_query){ .netns = netns,
						       .port = p->port,
						       .protocol = p->protocol };
	}
	count = occupants_find(occupants, queries, o->count, list, complete);
	if (count < 0) {
		err = count;
		snprintf(why, size, "cannot look who has the port: %s", strerror(-count));
		goto out;
	}
	services_fill(&ports);
	for (size_t i = 0; i < o->count; i++) {
		o->checks[i].occupants =
			occupants_of(*list, count, &queries[i], &o->checks[i].occupant_count);
		bind_check_judge(&o->checks[i], &ports);
	}
out:
	if (err == -ENOMEM)
		snprintf(why, size, "out of memory");
	occupants_close(occupants);
	free(queries);
	return err;
}

static int print(const struct bind_check_options *o, uint32_t netns, bool complete,
		 struct output *out)
{
	struct bind_report report = { .checks = o->checks,
				      .count = o->count,
				      .netns = netns,
				      .uid = o->checks->event.euid,
				      .complete = complete };
	struct utsname name;
	int status = STATUS_OK;

	uname(&name);
	report.release = name.release;
	if (o->json)
		json_bind_check(out->file, &report);
	else
		text_bind_check(out->file, &report, &out->style);
	for (size_t i = 0; i < o->count; i++)
		if (o->checks[i].outlook != BIND_WORKS)
			status = STATUS_WOULD_FAIL;
	return status;
}

int command_bind_check(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = bind_check_parse,
		.args_doc = "ADDRESS:PORT...",
		.doc = "Says whether a server could bind() to an address and port now, and "
		       "listen(), and if not, why and who is in the way. It binds nothing and "
		       "disturbs "
		       "nobody. 80 and *:80 are all addresses, IPv4 and IPv6 at once; 0.0.0.0:80 "
		       "is IPv4 alone; [::]:80 takes IPv4 too, but for --v6only or "
		       "net.ipv6.bindv6only."
		       "\vExit status: 0 all would work, 3 some would not, 1 could not find out, 2 "
		       "wrong call.",
	};
	struct bind_check_options o = { .user = { .self = true } };
	struct bind_occupant *list = NULL;
	struct output out;
	bool complete;
	char why[512];
	uint32_t netns;
	int status;

	command_parse(&argp, argc, argv, &o);
	options_apply(&o);
	netns = o.selection.netns_count ? o.selection.netns[0] : namespace_own();
	status = output_open(&out, o.file);
	if (!status) {
		if (checks_judge(&o, netns, &list, &complete, why, sizeof(why)))
			status = complain("%s", why);
		else
			status = print(&o, netns, complete, &out);
		if (output_close(&out))
			status = STATUS_FAILED;
	}
	free(list);
	free(o.checks);
	return status;
}
