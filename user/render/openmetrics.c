/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "openmetrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "utf8.h"

/* A page being written. */
struct metrics_page {
	FILE *out;
	const struct export_state *x;
	enum export_format format;
	const struct export_family *family;
	bool begun;    /* the family's head is written: a family without samples has none */
	bool labelled; /* the sample has labels */
	char **ports;  /* the labels of each port */
};

void openmetrics_label_value(FILE *out, const char *value)
{
	size_t left = strlen(value), length;
	uint32_t code;

	for (; left; value += length, left -= length) {
		length = utf8_next(value, left, &code);
		if (*value == '\\' || *value == '"')
			fprintf(out, "\\%c", *value);
		else if (*value == '\n')
			fputs("\\n", out);
		else if (!length || code < 0x20 || (code >= 0x7f && code < 0xa0))
			fputc('?', out);
		else
			fwrite(value, 1, length, out);
		length = length ? length : 1;
	}
}

void openmetrics_number(FILE *out, double number)
{
	char text[40];

	if (fabs(number) < 1e15 && number == floor(number)) {
		fprintf(out, "%" PRId64, (int64_t)number);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	fputs(text, out);
}

static void label(FILE *out, const char *before, const char *name, const char *value)
{
	fprintf(out, "%s%s=\"", before, name);
	openmetrics_label_value(out, value);
	fputc('"', out);
}

/* The labels that all series of a port have. NULL: no memory. The caller frees them. */
static char *port_labels(const struct export_port *p)
{
	char address[INET6_ADDRSTRLEN], *labels = NULL;
	size_t size;
	FILE *out = open_memstream(&labels, &size);

	if (!out)
		return NULL;
	label(out, "", "netns", p->netns_name);
	label(out, ",", "proto", p->protocol == PROTOCOL_UDP ? "udp" : "tcp");
	label(out, ",", "address", inet_ntop(p->family, p->address, address, sizeof(address)));
	fprintf(out, ",port=\"%u\"", p->port);
	if (*p->device)
		label(out, ",", "device", p->device);
	if (fclose(out)) {
		free(labels);
		labels = NULL;
	}
	return labels;
}

/* ---- samples ---- */

/* Begins a sample's line. labels: those that it has in any case. */
static void sample_begin(struct metrics_page *page, const char *suffix, const char *labels)
{
	const struct export_family *f = page->family;
	const bool open = page->format == EXPORT_OPENMETRICS;
	const char *of = open ? "" : export_suffix(f->type);

	if (!page->begun) {
		fprintf(page->out, "# HELP %s%s %s\n", f->name, of, f->help);
		fprintf(page->out, "# TYPE %s%s %s\n", f->name, of,
			f->type == EXPORT_INFO && !open ? "gauge" : export_type_name(f->type));
		if (open && f->unit)
			fprintf(page->out, "# UNIT %s %s\n", f->name, f->unit);
	}
	page->begun = true;
	page->labelled = *labels;
	fprintf(page->out, "%s%s%s%s", f->name, suffix, *labels ? "{" : "", labels);
}

static void sample_label(struct metrics_page *page, const char *name, const char *value)
{
	label(page->out, page->labelled ? "," : "{", name, value);
	page->labelled = true;
}

static void sample_end(struct metrics_page *page, double number)
{
	fputs(page->labelled ? "} " : " ", page->out);
	openmetrics_number(page->out, number);
	fputc('\n', page->out);
}

/* The samples of one array of numbers. */
static void samples(struct metrics_page *page, const char *labels, const double *values)
{
	const struct export_family *f = page->family;

	for (unsigned i = 0; i < f->count; i++) {
		if (isnan(values[f->first + i]))
			continue;
		sample_begin(page, export_suffix(f->type), labels);
		if (f->label)
			sample_label(page, f->label, f->label_values[i]);
		sample_end(page, values[f->first + i]);
	}
}

static void wait_samples(struct metrics_page *page, const char *labels, const struct wait_bounds *w)
{
	uint64_t below = 0;

	for (unsigned i = 0; i <= WAIT_BOUNDS; i++) {
		below += w->counts[i];
		sample_begin(page, "_bucket", labels);
		fputs(",le=\"", page->out);
		if (i < WAIT_BOUNDS)
			openmetrics_number(page->out, wait_bounds_us[i] / 1e6);
		else
			fputs("+Inf", page->out);
		fputc('"', page->out);
		sample_end(page, (double)below);
	}
	sample_begin(page, "_count", labels);
	sample_end(page, (double)below);
	sample_begin(page, "_sum", labels);
	sample_end(page, (double)w->sum_ns / 1e9);
}

static void finding_samples(struct metrics_page *page, const char *labels,
			    const struct export_port *p)
{
	for (size_t i = 0; i < p->finding_count; i++) {
		sample_begin(page, "", labels);
		sample_label(page, "code", p->findings[i].code);
		sample_label(page, "level", json_level(p->findings[i].level));
		sample_end(page, 1);
	}
}

static void port_samples(struct metrics_page *page, const char *labels, const struct export_port *p)
{
	switch (page->family->kind) {
	case EXPORT_WAITS:
		if (p->waits_known)
			wait_samples(page, labels, &p->waits);
		break;
	case EXPORT_FINDINGS: finding_samples(page, labels, p); break;
	case EXPORT_DESIGN:
		if (!p->design)
			break;
		sample_begin(page, "", labels);
		sample_label(page, "design", p->design);
		sample_end(page, 1);
		break;
	default: samples(page, labels, p->values);
	}
}

/* Who has the slot, or is the process. */
static void worker_now(struct metrics_page *page, const char *labels, const struct export_worker *w)
{
	if (!w->lives)
		return;
	sample_begin(page, export_suffix(page->family->type), labels);
	if (page->x->options.workers == EXPORT_WORKERS_SLOT)
		fprintf(page->out, ",pid=\"%d\",tid=\"%d\"", w->pid, w->tid);
	sample_label(page, "comm", w->comm);
	sample_label(page, "unit", w->unit);
	sample_end(page, 1);
}

static void workers_samples(struct metrics_page *page, const char *of_port,
			    const struct export_port *p)
{
	char labels[1024];

	for (size_t i = 0; i < p->workers.count; i++) {
		const struct export_worker *w = export_worker_at(p, i);

		if (!export_worker_shown(page->x, p, i))
			continue;
		if (page->x->options.workers == EXPORT_WORKERS_PID)
			snprintf(labels, sizeof(labels), "%s,pid=\"%d\"", of_port, w->pid);
		else
			snprintf(labels, sizeof(labels), "%s,slot=\"%zu\"", of_port, i);
		if (page->family->kind == EXPORT_WORKER_NOW)
			worker_now(page, labels, w);
		else
			samples(page, labels, w->values);
	}
}

static void own_samples(struct metrics_page *page)
{
	const struct export_state *x = page->x;
	const struct export_lost *lost = x->lost.rows;
	const char *suffix = export_suffix(page->family->type);

	switch (page->family->kind) {
	case EXPORT_LOST:
		for (size_t i = 0; i < x->lost.count; i++) {
			sample_begin(page, suffix, "");
			sample_label(page, "reason", lost[i].reason);
			sample_end(page, (double)lost[i].total);
		}
		break;
	case EXPORT_BUILD:
		sample_begin(page, suffix, "");
		sample_label(page, "version", x->options.version);
		sample_label(page, "backend", x->backend);
		sample_label(page, "kernel", x->kernel);
		sample_end(page, 1);
		break;
	default: samples(page, "", x->values);
	}
}

static void family_write(struct metrics_page *page)
{
	const struct export_state *x = page->x;

	page->begun = false;
	if (page->family->about == EXPORT_ABOUT_ITSELF) {
		own_samples(page);
		return;
	}
	for (size_t i = 0; i < x->ports.count; i++) {
		const struct export_port *p = export_port_at(x, i);

		if (!p->shown)
			continue;
		if (page->family->about == EXPORT_ABOUT_PORT)
			port_samples(page, page->ports[i], p);
		else
			workers_samples(page, page->ports[i], p);
	}
}

int openmetrics_write(FILE *out, const struct export_state *x, enum export_format format)
{
	struct metrics_page page = { .out = out,
				     .x = x,
				     .format = format,
				     .ports = calloc(x->ports.count + 1, sizeof(char *)) };
	int err = page.ports ? 0 : -ENOMEM;

	for (size_t i = 0; i < x->ports.count && !err; i++) {
		page.ports[i] = port_labels(export_port_at(x, i));
		err = page.ports[i] ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < export_family_count && !err; i++) {
		page.family = &export_families[i];
		family_write(&page);
	}
	if (format == EXPORT_OPENMETRICS && !err)
		fputs("# EOF\n", out);
	for (size_t i = 0; page.ports && i < x->ports.count; i++)
		free(page.ports[i]);
	free(page.ports);
	return err;
}

/* ---- the list ---- */

static const char *const about_labels[] = {
	[EXPORT_ABOUT_ITSELF] = "-",
	[EXPORT_ABOUT_PORT] = "port",
	[EXPORT_ABOUT_WORKER] = "worker",
};

void openmetrics_list(FILE *out, bool man)
{
	for (size_t i = 0; i < export_family_count; i++) {
		const struct export_family *f = &export_families[i];

		if (man)
			fprintf(out, ".It Sy %s%s\n%s of %s%s%s.\n%s\n", f->name,
				export_suffix(f->type), export_type_name(f->type),
				f->about == EXPORT_ABOUT_PORT     ? "each port"
				: f->about == EXPORT_ABOUT_WORKER ? "each worker"
								  : "the exporter",
				f->label ? ", by " : "", f->label ? f->label : "", f->help);
		else
			fprintf(out, "%s%s\t%s\t%s\t%s\t%s\t%s\n", f->name, export_suffix(f->type),
				export_type_name(f->type), f->unit ? f->unit : "-",
				about_labels[f->about], f->label ? f->label : "-", f->help);
	}
}
