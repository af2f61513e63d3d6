/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of claims, and how they are run: in a private network namespace, one after the other,
 * with the longest one in a child process beside the others. */
#include "claims.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../attach/rights.h"
#include "claims_lab.h"

#define STALLED_SECONDS 30 /* clients give a request up long before this */

const struct claim claims[] = {
	{ "tcp-reuseport-binds",
	  "several TCP sockets can listen on one port with SO_REUSEPORT, and not without",
	  claim_tcp_reuseport_binds, false },
	{ "udp-reuseport-binds",
	  "several UDP sockets can bind one port with SO_REUSEPORT, and not without",
	  claim_udp_reuseport_binds, false },
	{ "single-listener-bottleneck",
	  "one thread that accepts all and hands over can become a bottleneck", claim_bottleneck,
	  false },
	{ "shared-accept-unfair",
	  "threads that wait in accept() on one socket get very unequal shares", claim_unfair,
	  false },
	{ "reuseport-even-threads", "SO_REUSEPORT spreads evenly over threads", claim_even_threads,
	  false },
	{ "reuseport-even-processes", "SO_REUSEPORT spreads evenly over processes",
	  claim_even_processes, false },
	{ "udp-reuseaddr-one-gets-all",
	  "with SO_REUSEADDR several UDP sockets bind one port, but one gets all",
	  claim_udp_reuseaddr, false },
	{ "reuseaddr-hijack", "SO_REUSEADDR does not prevent that another user takes over the port",
	  claim_reuseaddr_hijack, false },
	{ "reuseport-prevents-hijack",
	  "SO_REUSEPORT prevents that another user takes over the port", claim_reuseport_prevents,
	  false },
	{ "reuseaddr-immediate",
	  "with SO_REUSEADDR a port can be bound again at once after close()",
	  claim_reuseaddr_immediate, false },
	{ "privileged-port", "to bind a port below 1024 a process needs the right to",
	  claim_privileged_port, false },
	{ "htons", "without htons() a server that asks for port 81 listens on 20736", claim_htons,
	  false },
	{ "port-free-after-two-minutes",
	  "without SO_REUSEADDR a port can be bound again two minutes after close()",
	  claim_two_minutes, true }, /* the last one: the others run meanwhile */
	{},
};
_Static_assert(sizeof(claims) / sizeof(claims[0]) - 1 <= CLAIMS_MAX, "CLAIMS_MAX");

int claim_find(const char *name)
{
	for (int i = 0; claims[i].name; i++)
		if (!strcmp(claims[i].name, name))
			return i;
	return -1;
}

/* ---- the private network namespace ---- */

static const struct {
	cap_value_t value;
	const char *name;
} rights[] = {
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" }, /* to make a network namespace */
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" }, /* to set up its loopback device and its settings */
	{ CAP_SETUID, "CAP_SETUID" },       /* to start processes of other users */
	{ CAP_SETGID, "CAP_SETGID" },
	{ CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE" }, /* one of those processes keeps it */
};

/* Writes which of these capabilities are missing; "" if none is. */
static void rights_lack(char *missing, size_t size)
{
	*missing = '\0';
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		const size_t used = strlen(missing);

		if (!right_held(rights[i].value))
			snprintf(missing + used, size - used, "%s%s", used ? ", " : "",
				 rights[i].name);
	}
}

static int loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &request))
		err = -errno;
	request.ifr_flags |= IFF_UP;
	if (!err && ioctl(fd, SIOCSIFFLAGS, &request))
		err = -errno;
	close(fd);
	return err;
}

static int enter_namespace(struct why why)
{
	char missing[128];
	int err;

	rights_lack(missing, sizeof(missing));
	if (*missing)
		return refuse(why, -EPERM,
			      "cannot experiment with namespaces, users and ports: %s missing; run "
			      "as root, or grant them",
			      missing);
	if (unshare(CLONE_NEWNET))
		return refuse(why, -errno, "cannot make a private network namespace: %s%s",
			      strerror(errno), errno == ENOSPC ? " (user.max_net_namespaces)" : "");
	err = loopback_up();
	return err ? refuse(why, err,
			    "cannot use the loopback device of a new network namespace: %s",
			    strerror(-err))
		   : 0;
}

int claims_open(struct claim_lab **out, const struct claims_options *options, char *why,
		size_t why_size)
{
	struct claim_lab *lab = calloc(1, sizeof(*lab));
	const int port_start = port_start_read();
	int err;

	if (!lab)
		return refuse((struct why){ why, why_size }, -ENOMEM, "out of memory");
	err = enter_namespace((struct why){ why, why_size });
	if (err) {
		free(lab);
		return err;
	}
	lab->options = *options;
	lab->port_start = port_start;
	lab->timewait.result = -1;
	lab->trials = (struct trials){ .backend = options->backend,
				       .threshold = FAIRNESS_THRESHOLD,
				       .stalled_max = STALLED_SECONDS,
				       .progress = options->progress,
				       .interrupted = options->interrupted };
	*out = lab;
	return 0;
}

void claims_close(struct claim_lab *lab)
{
	if (!lab)
		return;
	timewait_end(lab);
	trials_end(&lab->trials);
	free(lab);
}

/* ---- running ---- */

unsigned cpus_allowed(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) ? sysconf(_SC_NPROCESSORS_ONLN)
							 : CPU_COUNT(&cpus);
}

/* Runs a claim. Returns 0 also if there is no result; -ENOMEM: out of memory. */
static int claim_run(struct claim_lab *lab, const struct claim *c, struct claim_result *r)
{
	int err;

	*r = (struct claim_result){ .name = c->name, .sentence = c->sentence };
	if (*lab->options.interrupted) {
		claim_skip(r, "interrupted");
		return 0;
	}
	if (c->slow && lab->options.quick) {
		claim_skip(r, "--quick: it takes a minute");
		return 0;
	}
	if (lab->options.progress)
		fprintf(stderr, "\r\033[K%s ", c->name);
	lab->trials.purpose = c->name;
	err = c->run(lab, r);
	if (lab->options.progress)
		fputs("\r\033[K", stderr);
	if (*lab->options.interrupted) {
		claim_skip(r, "interrupted"); /* an interrupted measurement may be incomplete */
	} else if (err) {
		r->verdict = CLAIM_SKIPPED;
		r->figure_count = 0;
		if (!*r->why)
			claim_say(r, "%s", strerror(-err));
	}
	return err == -ENOMEM ? err : 0;
}

static void report_begin(struct claim_report *report, const struct claim_lab *lab)
{
	struct utsname name;

	uname(&name);
	snprintf(report->release, sizeof(report->release), "%s", name.release);
	report->cpus = cpus_allowed();
	report->requests = lab->options.requests;
	report->backend = NULL;
	report->result_count = 0;
}

int claims_run(struct claim_lab *lab, const bool wanted[CLAIMS_MAX], struct claim_report *report,
	       void (*done)(const struct claim_result *r, void *context), void *context)
{
	int err = 0;

	report_begin(report, lab);
	for (size_t i = 0; claims[i].name; i++)
		if (wanted[i] && claims[i].slow && !lab->options.quick)
			timewait_begin(lab);
	for (size_t i = 0; claims[i].name && !err; i++) {
		struct claim_result *r = &report->results[report->result_count];

		if (!wanted[i])
			continue;
		err = claim_run(lab, &claims[i], r);
		if (lab->trials.observer)
			report->backend = backend_name(observer_backend(lab->trials.observer));
		if (err)
			break;
		report->result_count++;
		done(r, context);
	}
	return err;
}
