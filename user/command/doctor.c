/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command doctor: says what this kernel and these rights allow, which backend works, and, with
 * a self-test, whether the counts are right. */
#include "command.h"
#include "../experiment/trial.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../collect/inventory.h"
#include "../attach/loading.h"
#include "../attach/rights.h"
#include "../attach/tracefs.h"
#include "../render/text_parts.h"

/* Where the words about a right, and about a hook, begin. */
#define RIGHTS_INDENT 15
#define HOOKS_INDENT 46

struct doctor_options {
	enum backend backend;
	bool hooks_only, verbose;
};

enum { OPT_BACKEND = 1000, OPT_HOOKS };

static const struct argp_option options[] = {
	{ "backend", OPT_BACKEND, "NAME", 0,
	  "Self-test of this backend: auto, fentry, kprobe or tracepoint (auto)", 0 },
	{ "verbose", 'v', NULL, 0, "Each hook of each backend, and why it can't be used", 0 },
	{ "hooks", OPT_HOOKS, NULL, 0, "Only look; no self-test", 0 },
	{},
};

static error_t doctor_parse(int key, char *arg, struct argp_state *state)
{
	struct doctor_options *o = state->input;

	switch (key) {
	case OPT_BACKEND: o->backend = option_backend(state, arg); break;
	case OPT_HOOKS: o->hooks_only = true; break;
	case 'v': o->verbose = true; break;
	case ARGP_KEY_ARG: usage_error(state, "takes no argument, but got '%s'", arg);
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void first_line(char *line, size_t size, const char *path, const char *otherwise)
{
	FILE *f = fopen(path, "re");

	snprintf(line, size, "%s", otherwise);
	if (!f)
		return;
	if (fgets(line, size, f))
		line[strcspn(line, "\n")] = 0;
	fclose(f);
}

/* How many processes are 32-bit. The system call tracepoints of a 64-bit kernel do not fire for
 * them, so users should know. */
static unsigned count_32bit_processes(void)
{
	struct dirent *entry;
	unsigned count = 0;
	DIR *proc = opendir("/proc");

	while (proc && (entry = readdir(proc))) {
		char path[300];
		unsigned char ident[EI_NIDENT] = {};
		int fd;

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/exe", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		count += read(fd, ident, sizeof(ident)) == sizeof(ident) &&
			 !memcmp(ident, ELFMAG, SELFMAG) && ident[EI_CLASS] == ELFCLASS32;
		close(fd);
	}
	if (proc)
		closedir(proc);
	return count;
}

static void print_rights(FILE *out, const struct text_style *style)
{
	struct right_lacking lacking[RIGHTS_MORE];
	size_t n = rights_lacking(lacking);
	const int tracefs = tracefs_ensure(), paranoid = rights_perf_refused();
	char missing[64], reason[128], words[256];

	if (!rights_count())
		fprintf(out, "rights         none: a user namespace of its own, where no "
			     "capability counts for BPF\n");
	else if (rights_missing(missing, sizeof(missing)))
		fprintf(out, "rights         %s missing: run as root, or grant them\n", missing);
	else if (!n && !tracefs)
		fprintf(out, "rights         enough\n");
	else
		fprintf(out, "rights         enough to load programs\n");
	if (tracefs)
		fprintf(out, "               no tracepoints: %s\n",
			tracefs_lacks(tracefs, reason, sizeof(reason)));
	if (paranoid)
		fprintf(out,
			"               no kprobes and tracepoints: kernel.perf_event_paranoid is "
			"%d, and CAP_SYS_ADMIN is missing\n",
			paranoid);
	for (size_t i = 0; i < n; i++) {
		snprintf(words, sizeof(words), "%s missing: %s", lacking[i].name,
			 lacking[i].without);
		fprintf(out, "%*s", RIGHTS_INDENT, "");
		text_wrapped(out, words, RIGHTS_INDENT, RIGHTS_INDENT, TEXT_BREAK_WORDS, style);
		fputc('\n', out);
	}
}

static void print_system(FILE *out, const struct text_style *style)
{
	char lockdown[128], uring[32];
	struct utsname name;
	unsigned narrow = count_32bit_processes();

	uname(&name);
	first_line(lockdown, sizeof(lockdown), "/sys/kernel/security/lockdown",
		   "not built in, or securityfs not mounted");
	first_line(uring, sizeof(uring), "/proc/sys/kernel/io_uring_disabled", "0");
	fprintf(out, "kernel         %s %s\n", name.release, name.machine);
	fprintf(out, "BTF            %s\n",
		access("/sys/kernel/btf/vmlinux", R_OK) ? "missing: no backend can work" : "yes");
	fprintf(out, "lockdown       %s\n", lockdown);
	print_rights(out, style);
	fprintf(out, "io_uring       %s\n",
		strcmp(uring, "0") ? "restricted (kernel.io_uring_disabled)" : "allowed");
	if (narrow)
		fprintf(out,
			"32-bit         %u processes: the tracepoint backend does not see their "
			"system calls\n",
			narrow);
	else
		fprintf(out, "32-bit         no such process runs\n");
}

static void print_hooks(FILE *out, const struct probe *p, enum backend b,
			const struct text_style *style)
{
	static const char *const kinds[] = { "fentry",    "fexit",  "kprobe",
					     "kretprobe", "tp_btf", "tracepoint" };

	for (size_t i = 0; i < hook_count; i++) {
		const struct hook_result *r = &p->results[i];

		if (!hook_is_of(&hooks[i], p->set, b))
			continue;
		fprintf(out, "  %-10s %-32s %s", kinds[hooks[i].kind], hooks[i].target,
			!style->colour ? ""
			: r->usable    ? "\033[32m"
			: r->error     ? "\033[31m"
				       : "\033[2m");
		text_wrapped(out, r->usable ? "yes" : r->why, HOOKS_INDENT, HOOKS_INDENT,
			     TEXT_BREAK_WORDS, style);
		fprintf(out, "%s\n", style->colour ? "\033[0m" : "");
	}
}

/* Prints "backend kprobe: not usable: this kernel is built without kprobes". */
static void print_backends(FILE *out, const struct probe *p, bool verbose,
			   const struct text_style *style)
{
	const enum backend best = probe_best(p, SEES_ALL, 0);

	for (unsigned b = 0; b < BACKEND_COUNT; b++) {
		const char *unseen[SNAPSHOT_UNSEEN_MAX];
		size_t n = 0;

		fprintf(out, "%sbackend %s: ", verbose && b ? "\n" : "", backend_name(b));
		if (probe_sees(p, b)) {
			fprintf(out, "usable%s\n", b == best ? ", and taken by default" : "");
			n = probe_unseen(p, b, unseen, SNAPSHOT_UNSEEN_MAX);
		} else {
			fprintf(out, "not usable: %s\n", probe_reason(p, b, -EOPNOTSUPP));
		}
		if (verbose)
			print_hooks(out, p, b, style);
		for (size_t i = 0; i < n; i++)
			fprintf(out, "  does not see: %s\n", unseen[i]);
	}
}

/* Prints "sockfair works on this machine, by backend fentry". */
static void print_conclusion(FILE *out, const struct probe *p)
{
	const enum backend best = probe_best(p, SEES_ALL, 0);
	const char *unseen[SNAPSHOT_UNSEEN_MAX];

	if (best == BACKEND_AUTO)
		fprintf(out, "sockfair can't count on this machine: no backend is usable\n\n");
	else
		fprintf(out, "sockfair works on this machine, by backend %s%s\n\n",
			backend_name(best),
			probe_unseen(p, best, unseen, SNAPSHOT_UNSEEN_MAX)
				? "; what that does not see is listed below"
				: "");
}

static void print_inventory(FILE *out)
{
	const struct selection all = {};
	struct inventory *inventory;
	char why[256];

	if (inventory_open(&inventory, &all, false, true, why, sizeof(why))) {
		fprintf(out, "inventory (list, watch): not usable: %s\n", why);
		return;
	}
	fprintf(out,
		"inventory (list, watch): usable: BPF iterators over descriptors and threads, "
		"%.1f MiB of kernel memory\n",
		inventory_memory(inventory) / 1048576.0);
	inventory_close(inventory);
}

/* ---- self-test: known traffic ---- */

static const struct {
	const char *name, *mode;
	int family;
	uint64_t requests;
	bool processes;
} cases[] = {
	/* The first case: the observer attaches while these threads are blocked in accept(). */
	{ "TCP IPv4, 8 threads already blocked in accept()", "shared-accept", AF_INET, 1000,
	  false },
	{ "TCP IPv6, 8 threads in accept()", "shared-accept", AF_INET6, 1000, false },
	{ "TCP IPv4, SO_REUSEPORT, 8 processes", "reuseport", AF_INET, 1000, true },
	{ "TCP IPv6, SO_REUSEPORT, epoll", "reuseport-epoll", AF_INET6, 1000, false },
	{ "TCP IPv4, io_uring multishot accept", "io-uring", AF_INET, 1000, false },
	{ "UDP IPv4, one socket", "udp-shared", AF_INET, 1000, false },
	{ "UDP IPv6, SO_REUSEPORT", "udp-reuseport", AF_INET6, 1000, false },
};

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
					.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	bool has = fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address));

	if (fd >= 0)
		close(fd);
	return has;
}

static struct workload_options case_options(size_t i)
{
	struct workload_options w = { .mode = workload_mode_find(cases[i].mode),
				      .workers = 8,
				      .processes = cases[i].processes,
				      .requests = cases[i].requests,
				      .concurrency = 2,
				      .slow_worker = -1,
				      .flows = 64 };

	w.bind.ss_family = cases[i].family;
	if (cases[i].family == AF_INET)
		((struct sockaddr_in *)&w.bind)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&w.bind)->sin6_addr = in6addr_loopback;
	return w;
}

/* Prints "  yes   1,000 expected, 1,000 arrived, 1,000 accepted   TCP ...". Returns whether all
 * counts agreed. */
static bool case_print(FILE *out, size_t i, const struct snapshot *s)
{
	uint64_t arrived = 0, taken = 0;

	for (size_t j = 0; j < s->endpoints[0].socket_count; j++) {
		arrived += s->endpoints[0].sockets[j].arrived + s->endpoints[0].sockets[j].dropped;
		taken += s->endpoints[0].sockets[j].accepted;
	}
	fprintf(out, "  %-8s %-48s %8llu %8llu %8llu\n", s->workload.agrees ? "agrees" : "WRONG",
		cases[i].name, (unsigned long long)s->workload.sent, (unsigned long long)arrived,
		(unsigned long long)taken);
	if (!s->workload.agrees)
		fprintf(out, "           %s\n", s->workload.disagreement);
	return s->workload.agrees;
}

static void print_limits(FILE *out, const struct observer *observer)
{
	char workers[TEXT_COUNT_SIZE], sockets[TEXT_COUNT_SIZE];
	struct observer_limits limits;

	observer_limits(observer, &limits);
	fprintf(out,
		"\nself-test of backend %s: room for %s threads on sockets and %s sockets with "
		"traffic,\n  in %.1f MiB of kernel memory",
		backend_name(observer_backend(observer)), text_count(workers, limits.workers),
		text_count(sockets, limits.sockets), observer_memory(observer) / 1048576.0);
	if (limits.cpus > 16)
		fprintf(out, " (%u CPUs: %u KiB for each above 16)", limits.cpus, limits.cpu_kib);
	fprintf(out, "\n  %-57s %8s %8s %8s\n", "", "sent", "arrived", "taken");
}

static int self_test(FILE *out, enum backend backend)
{
	struct trials trials = { .backend = backend,
				 .threshold = FAIRNESS_THRESHOLD,
				 .interrupted = &interrupted };
	bool ipv6 = has_ipv6(), all = true, heading = false;
	unsigned tested = 0;
	int status = STATUS_OK;
	char why[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) && !interrupted; i++) {
		const struct workload_options w = case_options(i);
		struct snapshot s;

		if (cases[i].family == AF_INET6 && !ipv6) {
			fprintf(out, "  skipped  %-48s this machine has no IPv6\n", cases[i].name);
			continue;
		}
		if (trial_run(&trials, &w, &s, why, sizeof(why))) {
			status = complain("self-test: %s", why);
			break;
		}
		if (!s.workload.sent && s.workload.failed) { /* this tells nothing of the backend */
			status = complain("self-test: %s", s.workload.disagreement);
			snapshot_free(&s);
			break;
		}
		if (!heading)
			print_limits(out, trials.observer);
		heading = true;
		if (*s.workload.skipped)
			fprintf(out, "  skipped  %-48s %s\n", cases[i].name, s.workload.skipped);
		else
			all &= case_print(out, i, &s), tested++;
		fflush(out);
		snapshot_free(&s);
	}
	trials_end(&trials);
	if (status == STATUS_OK && (interrupted || !tested))
		status = complain("the self-test was not finished");
	if (status == STATUS_OK && !all)
		status = complain("the self-test counted something else than was sent: don't trust "
				  "this backend here, and report it");
	return status;
}

int command_doctor(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = doctor_parse,
		.doc = "Tells which hooks this kernel allows and what each backend does not see, "
		       "then sends known traffic and compares "
		       "what was counted.",
	};
	struct doctor_options o = { .backend = BACKEND_AUTO };
	struct output out;
	struct probe p = {};
	char why[256];
	int status;

	command_parse(&argp, argc, argv, &o);
	status = output_open(&out, NULL);
	if (status)
		return status;
	if (loading_prepare(why, sizeof(why)))
		status = complain("%s", why);
	else if (probe_kernel(&p, HOOKS_COUNT, true))
		status = complain("%s", p.error);
	else
		print_conclusion(out.file, &p);
	print_system(out.file, &out.style);
	fputc('\n', out.file);
	if (status == STATUS_OK)
		print_backends(out.file, &p, o.verbose, &out.style);
	if (status == STATUS_OK)
		print_inventory(out.file);
	probe_free(&p);
	fflush(out.file);
	if (status == STATUS_OK && !o.hooks_only)
		status = self_test(out.file, o.backend);
	return output_close(&out) ? STATUS_FAILED : status;
}
