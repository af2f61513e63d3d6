/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens the file and reads its documents one after the other, each within limits of size and
 * memory. */
#include "json_reading.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "text.h"

#define UNREADABLE "cannot be read: %s; choose another file"

/* ---- runs ---- */

void reader_key(struct reader *r, const json_t *from, struct comparison_key *key)
{
	char protocol[8];

	field_text(r, from, "protocol", REQUIRED, protocol, sizeof(protocol));
	if (strcmp(protocol, "tcp") && strcmp(protocol, "udp"))
		reader_fail_at(r, from, "protocol", "is '%s', neither tcp nor udp; " FOREIGN,
			       protocol);
	field_text(r, from, "address", REQUIRED, key->address, sizeof(key->address));
	key->protocol = strcmp(protocol, "udp") ? PROTOCOL_TCP : PROTOCOL_UDP;
	key->port = (uint16_t)field_number(r, from, "port", 65535);
	key->netns = (uint32_t)field_number(r, from, "netns", UINT32_MAX);
}

bool reader_is_other_port(struct reader *r, struct comparison_key *key)
{
	key->port_asked |= r->port != 0;
	if (!r->port || key->port == r->port)
		return false;
	if (r->ports < sizeof(r->ports_seen) / sizeof(*r->ports_seen))
		r->ports_seen[r->ports] = key->port;
	r->ports++;
	return true;
}

static bool is_separator(const char *at)
{
	return (at[0] == ',' || at[0] == ';') && at[1] == ' ';
}

/* Returns the first part of a setup in which it differs from another setup: "64 at once". */
static void setup_part(char *part, size_t size, const char *setup, const char *other)
{
	size_t begin = 0, end;

	while (setup[begin] && setup[begin] == other[begin])
		begin++;
	while (begin > 0 && !(begin > 1 && is_separator(&setup[begin - 2])))
		begin--;
	for (end = begin; setup[end] && !is_separator(&setup[end]);)
		end++;
	snprintf(part, size, "%.*s", (int)(end - begin), setup + begin);
}

/* Refuses a run with a different setup under the same name: pooled with the others, the difference
 * would look like noise. */
static void no_repeat(struct reader *r, size_t side, const struct comparison_key *key,
		      const char *setup)
{
	const struct comparison_side *s = &r->c->sides[side];
	const char *before = "";
	char own[96], other[96], what[80];

	for (size_t i = 0; i < s->result_count; i++)
		if (s->results[i].run_count &&
		    (*key->mode ? !strcmp(s->results[i].key.mode, key->mode)
				: s->results[i].key.port == key->port))
			before = s->results[i].setup;
	setup_part(own, sizeof(own), setup, before);
	setup_part(other, sizeof(other), before, setup);
	if (*key->mode)
		snprintf(what, sizeof(what), "run of %s", key->mode);
	else
		snprintf(what, sizeof(what), "window of port %u", key->port);
	reader_fail(r, -EEXIST,
		    "this %s is no repeat of the one before: %s, not %s; give it a file of its own",
		    what, own, other);
}

void reader_add_run(struct reader *r, size_t side, const struct comparison_key *key,
		    const char *setup, const struct comparison_run *run, const char *skipped)
{
	int err;

	if (r->err)
		return;
	if (++r->results > JSON_READER_RESULTS_MAX) {
		reader_fail(r, -EINVAL,
			    "more than %d results in one file; take one port with FILE:PORT, or "
			    "split the "
			    "file",
			    JSON_READER_RESULTS_MAX);
		return;
	}
	err = comparison_add(r->c, side, key, setup, run, skipped);
	if (err == -EEXIST)
		no_repeat(r, side, key, setup);
	else
		r->err = err;
}

/* ---- documents ---- */

static const struct {
	const char *name;
	void (*read)(struct reader *r, const json_t *json);
} schemas[] = { { "sockfair/1", reader_result }, { "sockfair-comparison/1", reader_saved } };

static void read_document(struct reader *r, json_t *json)
{
	char schema[64];

	r->document = json;
	if (!json_is_object(json))
		reader_fail(r, -EINVAL, "the document is %s, not an object; " FOREIGN,
			    reader_type_name(json));
	field_text(r, json, "schema", REQUIRED, schema, sizeof(schema));
	for (size_t i = 0; i < sizeof(schemas) / sizeof(*schemas) && !r->err; i++)
		if (!strcmp(schema, schemas[i].name)) {
			schemas[i].read(r, json);
			return;
		}
	if (!strncmp(schema, "sockfair", 8))
		reader_fail(r, -EINVAL,
			    "schema '%s' is not known to sockfair " SOCKFAIR_VERSION
			    "; read it with the version that wrote it",
			    schema);
	reader_fail(r, -EINVAL, "schema '%s' is not sockfair's; " FOREIGN, schema);
}

/* Limits the memory of one document, so that a small file of empty arrays can't take all of the
 * machine's memory. */
static size_t budget_used;
static bool budget_exceeded, memory_short; /* jansson reports some of these as a wrong document */

static void *budget_malloc(size_t size)
{
	void *p = NULL;

	if (budget_used < JSON_READER_MEMORY_MAX && size <= JSON_READER_MEMORY_MAX - budget_used)
		p = malloc(size);
	else
		budget_exceeded = true;
	memory_short |= !p && !budget_exceeded;
	budget_used += p ? malloc_usable_size(p) : 0;
	return p;
}

static void budget_free(void *p)
{
	budget_used -= p ? malloc_usable_size(p) : 0;
	free(p);
}

/* Gives jansson one byte at a time: what follows the document belongs to the next one. */
static size_t next_byte(void *buffer, size_t size, void *data)
{
	struct reader *r = data;
	int c;

	(void)size;
	if (r->bytes >= JSON_READER_DOCUMENT_MAX) {
		r->too_long = true;
		return (size_t)-1;
	}
	c = getc_unlocked(r->file);
	if (c == EOF)
		return ferror_unlocked(r->file) ? (size_t)-1 : 0;
	r->bytes++;
	r->line += c == '\n';
	*(char *)buffer = (char)c;
	return 1;
}

static void parse_failed(struct reader *r, const json_error_t *error)
{
	if (budget_exceeded)
		reader_fail(r, -EFBIG,
			    "a document that takes more than %lu MiB of memory; " FOREIGN,
			    JSON_READER_MEMORY_MAX >> 20);
	else if (memory_short)
		reader_fail(r, -ENOMEM, NO_MEMORY);
	else if (r->too_long)
		reader_fail(r, -EFBIG,
			    "a document of more than %u MiB; take fewer ports (watch -P)",
			    JSON_READER_DOCUMENT_MAX >> 20);
	else if (ferror(r->file))
		reader_fail(r, -EIO, UNREADABLE, strerror(errno));
	else if (feof(r->file) && r->is_object)
		reader_fail(r, -EINVAL,
			    "ends in the middle of a document: whatever wrote it was stopped, or "
			    "the disk "
			    "was full; run it again");
	else if (json_error_code(error) == json_error_stack_overflow)
		reader_fail(r, -EINVAL, "nested too deeply; " FOREIGN);
	else
		reader_fail(r, -EINVAL, "not JSON: %s; " FOREIGN, error->text);
}

/* Skips white space between documents. Returns false at the end of the file. */
static bool next_document(struct reader *r)
{
	int c;

	do {
		c = getc_unlocked(r->file);
		r->line += c == '\n';
	} while (c == ' ' || c == '\n' || c == '\t' || c == '\r');
	r->first_line = r->line;
	r->bytes = 0;
	r->is_object = c == '{';
	return c != EOF && ungetc(c, r->file) != EOF;
}

static void read_documents(struct reader *r)
{
	while (!r->err && next_document(r)) {
		const size_t flags =
			JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL;
		json_error_t error;
		json_t *json = json_load_callback(next_byte, r, flags, &error);

		if (json && !memory_short)
			read_document(r, json);
		else
			parse_failed(r, &error);
		json_decref(json);
	}
	if (ferror(r->file))
		reader_fail(r, -EIO, UNREADABLE, strerror(errno));
}

/* Fails for a file without any result, and says why it has none. */
static void check_any(struct reader *r)
{
	char ports[80] = "";

	if (r->err || r->results)
		return;
	if (r->has_side && r->c->sides[r->side].left_out)
		reader_fail(r, -ENOENT,
			    "%s, but leaves out %" PRIu64
			    " (omitted); take the one that is wanted with -P, or more --rows",
			    r->port ? "does not list that port" : "lists no port",
			    r->c->sides[r->side].left_out);
	for (size_t i = 0; i < r->ports && i < sizeof(r->ports_seen) / sizeof(*r->ports_seen); i++)
		snprintf(ports + strlen(ports), sizeof(ports) - strlen(ports), "%s%zu",
			 i ? ", " : "", r->ports_seen[i]);
	if (r->ports)
		reader_fail(r, -ENOENT, "has no port %u, but %s%s", r->port, ports,
			    r->ports > sizeof(r->ports_seen) / sizeof(*r->ports_seen) ? "..." : "");
	if (r->has_side || r->has_saved)
		reader_fail(r, -ENOENT,
			    "holds no port: nothing was seen, so nothing can be compared; widen "
			    "the filter");
	if (r->intervals)
		reader_fail(r, -ENOENT,
			    "has intervals only, not the whole window: watch was killed, or still "
			    "runs; end it with Ctrl-C or -d");
	reader_fail(r, -ENOENT, "is empty; write it with sockfair ... --json -o FILE");
}

int json_read_results(struct comparison *c, const char *path, const char *name, uint16_t port,
		      char *why)
{
	struct reader r = { .path = path,
			    .name = name,
			    .why = why,
			    .c = c,
			    .port = port,
			    .line = 1,
			    .first_line = 1 };
	json_malloc_t old_malloc;
	json_free_t old_free;
	struct stat st;

	*why = '\0';
	r.file = fopen(path, "re");
	if (!r.file || fstat(fileno(r.file), &st) || S_ISDIR(st.st_mode)) {
		char raw[JSON_READER_WHY - 64];

		snprintf(raw, sizeof(raw),
			 "cannot read %.200s: %s; write it with sockfair ... --json -o FILE", path,
			 r.file ? "it is a directory" : strerror(errno));
		text_name(why, raw, sizeof(raw), true);
		r.err = -ENOENT;
		goto out;
	}
	json_get_alloc_funcs(&old_malloc, &old_free);
	json_set_alloc_funcs(budget_malloc, budget_free);
	budget_used = 0;
	budget_exceeded = memory_short = false;
	read_documents(&r);
	json_set_alloc_funcs(old_malloc, old_free);
	check_any(&r);
	if (r.err == -ENOMEM && !*why) {
		r.err = 0;
		reader_fail(&r, -ENOMEM, NO_MEMORY);
	}
out:
	if (r.file)
		fclose(r.file);
	return r.err;
}
