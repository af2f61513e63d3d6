/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Picks the command from the table and runs it. Everything else here is about standard streams:
 * help and schemas are held in memory and written at the exit, so that a failed write is reported.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"
#include "render/schemas.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *brief;
} commands[] = {
	{ "run", command_run, "run a server design on loopback and print who got the work" },
	{ "watch", command_watch, "who gets the connections and datagrams of each port, live" },
	{ "list", command_list,
	  "which sockets share which ports, who holds them, what looks wrong" },
	{ "compare", command_compare,
	  "saved results side by side, and what differs by more than noise" },
	{ "claims", command_claims,
	  "which claims of textbooks about sharing a port hold on this kernel" },
	{ "binds", command_binds,
	  "each bind() and listen() that fails or looks wrong, and why, live" },
	{ "bind-check", command_bind_check,
	  "would a bind() to an address and port work now; who is in the way" },
	{ "steer", command_steer,
	  "steer a server that runs: new connections go where they wait least" },
	{ "export", command_export, "counts and verdicts as metrics for Prometheus" },
	{ "doctor", command_doctor,
	  "which hooks this kernel allows, what they do not see; self-test" },
};
static const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static void help(FILE *out)
{
	fputs("Usage: sockfair COMMAND [OPTION...]\n"
	      "Shows how the Linux kernel shares one port's work over sockets and threads,\n"
	      "and whether that is fair.\n\n",
	      out);
	for (size_t i = 0; i < command_count; i++)
		fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].brief);
	fputs("\n  sockfair COMMAND --help   the options of a command\n"
	      "  sockfair --version\n"
	      "  sockfair --schema [NAME]  the JSON Schema of what --json prints\n\n"
	      "Exit status: 0 fine, 1 could not do it, 2 wrong call, 3 uneven or worse (with\n"
	      "--fail-on), or a bind that would not work (bind-check), 4 something was not\n"
	      "left as it was found (steer).\n",
	      out);
}

static int schema_print(const char *name)
{
	char names[256];
	size_t used = 0;

	for (const struct json_schema *s = json_schemas; s->name; s++) {
		if (strcmp(name, s->name))
			continue;
		fwrite(s->text, 1, s->end - s->text, stdout);
		return STATUS_OK;
	}
	for (const struct json_schema *s = json_schemas; s->name && used < sizeof(names); s++)
		used += snprintf(names + used, sizeof(names) - used, " %s", s->name);
	complain("there is no schema '%s':%s", name, names);
	return STATUS_USAGE;
}

/* Reserves the numbers of closed standard streams. Otherwise the next file that is opened would get
 * such a number, and what was meant for the stream would be written into that file. */
static void streams_reserve(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY); /* writes fail, as on a closed stream */
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

/* Runs at every exit, because argp prints its help and exits by itself. Results take another way
 * (command/output.c). */
static void stdout_end(void)
{
	if (!fflush(stdout))
		return;
	complain("cannot write the output: %s", file_error(errno));
	fflush(stderr); /* stderr may be the one that command_parse() installed */
	_exit(STATUS_FAILED);
}

/* Makes stdout hold everything until the end (the longest text is a schema). It then goes out at
 * once, and stdout_end() knows whether it did. */
static void stdout_begin(void)
{
	static char buffer[131072];

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	signal(SIGXFSZ, SIG_IGN); /* a file beyond RLIMIT_FSIZE is an error like others */
	atexit(stdout_end);
}

int main(int argc, char **argv)
{
	static char name[64];

	streams_reserve();
	stdout_begin();
	setlocale(LC_CTYPE, "");
	argp_err_exit_status = STATUS_USAGE;
	if (argc > 1 &&
	    (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))) {
		help(stdout);
		return STATUS_OK;
	}
	if (argc > 1 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))) {
		puts("sockfair " SOCKFAIR_VERSION);
		return STATUS_OK;
	}
	if (argc > 1 && !strcmp(argv[1], "--schema"))
		return schema_print(argc > 2 ? argv[2] : json_schemas[0].name);
	for (size_t i = 0; argc > 1 && i < command_count; i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		interrupt_prepare();
		snprintf(name, sizeof(name), "sockfair %s", argv[1]);
		argv[1] = name;
		return commands[i].run(argc - 1, argv + 1);
	}
	if (argc > 1)
		complain("there is no command '%s'; see sockfair --help", argv[1]);
	else
		help(stderr);
	return STATUS_USAGE;
}
