/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON stream: values go into a buffer, which is passed on to the FILE when it is full. */
#include "json_writer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "utf8.h"

static void json_flush(struct json_writer *w)
{
	fwrite(w->buffer, 1, w->used, w->out);
	w->used = 0;
}

static void put_bytes(struct json_writer *w, const char *bytes, size_t size)
{
	if (size > sizeof(w->buffer) - w->used)
		json_flush(w);
	if (size > sizeof(w->buffer)) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.StdCLibraryFunctions): size is theirs */
		fwrite(bytes, 1, size, w->out);
		return;
	}
	memcpy(w->buffer + w->used, bytes, size);
	w->used += size;
}

static void writer_put(struct json_writer *w, const char *text)
{
	put_bytes(w, text, strlen(text));
}

static void put_one(struct json_writer *w, char c)
{
	if (w->used == sizeof(w->buffer))
		json_flush(w);
	w->buffer[w->used++] = c;
}

/* Writes what comes before a value: a comma and the key. Keys are ours and need no escapes. */
static void begin(struct json_writer *w, const char *key)
{
	if (w->comma)
		put_one(w, ',');
	w->comma = true;
	if (!key)
		return;
	put_one(w, '"');
	writer_put(w, key);
	writer_put(w, "\":");
}

struct json_writer json_begin(FILE *out, const char *schema)
{
	struct json_writer w = { .out = out };

	json_open(&w, NULL, '{');
	json_string(&w, "schema", schema);
	json_string(&w, "version", SOCKFAIR_VERSION);
	return w;
}

int json_end(struct json_writer *w)
{
	json_close(w, '}');
	json_flush(w);
	fputc('\n', w->out);
	return ferror(w->out) ? -EIO : 0;
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
	begin(w, key);
	put_one(w, bracket);
	w->comma = false;
}

void json_close(struct json_writer *w, char bracket)
{
	put_one(w, bracket);
	w->comma = true;
}

/* Formats the digits itself: most of a document is numbers, and printf takes five times as long. */
void json_number(struct json_writer *w, const char *key, uint64_t value)
{
	char digits[24], *at = digits + sizeof(digits);

	*--at = '\0';
	do
		*--at = '0' + value % 10;
	while (value /= 10);
	begin(w, key);
	writer_put(w, at);
}

void json_number_if(struct json_writer *w, const char *key, bool known, uint64_t value)
{
	if (known)
		json_number(w, key, value);
	else
		json_nothing(w, key);
}

/* A whole number keeps its ".0", so that readers that distinguish integers from reals find the same
 * type every time. */
void json_number_real(struct json_writer *w, const char *key, double value)
{
	char digits[32];

	if (!isfinite(value)) {
		json_nothing(w, key);
		return;
	}
	snprintf(digits, sizeof(digits), "%.9g", value);
	begin(w, key);
	writer_put(w, digits);
	if (!strpbrk(digits, ".e"))
		writer_put(w, ".0");
}

void json_bool(struct json_writer *w, const char *key, bool value)
{
	begin(w, key);
	writer_put(w, value ? "true" : "false");
}

void json_number_any(struct json_writer *w, const char *key, double value)
{
	if (value >= 0 && value < 0x1p53 && value == floor(value))
		json_number(w, key, (uint64_t)value);
	else
		json_number_real(w, key, value);
}

void json_bool_if(struct json_writer *w, const char *key, bool known, bool value)
{
	if (known)
		json_bool(w, key, value);
	else
		json_nothing(w, key);
}

void json_nothing(struct json_writer *w, const char *key)
{
	begin(w, key);
	writer_put(w, "null");
}

/* Escapes line ends and other control characters, so that a document stays one line whatever a
 * thread is called. */
static void put_character(struct json_writer *w, const char *bytes, size_t length, uint32_t code)
{
	char escape[8];

	if (length && code >= 0x20 && code != 0x7f && code != '"' && code != '\\') {
		put_bytes(w, bytes, length);
		return;
	}
	if (!length)
		snprintf(escape, sizeof(escape), "\\\\x%02x", (unsigned char)*bytes);
	else if (code == '"' || code == '\\')
		snprintf(escape, sizeof(escape), "\\%c", (int)code);
	else
		snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)code);
	writer_put(w, escape);
}

/* How many of bytes[0..size) need no check at all: nearly always the whole name. */
static size_t plain_run(const char *bytes, size_t size)
{
	size_t length = 0;

	while (length < size && bytes[length] >= 0x20 && bytes[length] < 0x7f &&
	       bytes[length] != '"' && bytes[length] != '\\')
		length++;
	return length;
}

void json_text(struct json_writer *w, const char *key, const char *bytes, size_t max)
{
	const size_t size = strnlen(bytes, max);
	size_t length;
	uint32_t code = 0;

	begin(w, key);
	put_one(w, '"');
	for (size_t at = 0; at < size; at += length ? length : 1) {
		length = plain_run(bytes + at, size - at);
		if (length) {
			put_bytes(w, bytes + at, length);
			continue;
		}
		length = utf8_next(bytes + at, size - at, &code);
		put_character(w, bytes + at, length, code);
	}
	put_one(w, '"');
}

void json_text_if(struct json_writer *w, const char *key, bool known, const char *bytes, size_t max)
{
	if (known)
		json_text(w, key, bytes, max);
	else
		json_nothing(w, key);
}

void json_string(struct json_writer *w, const char *key, const char *value)
{
	json_text_if(w, key, value, value, SIZE_MAX);
}

void json_address(struct json_writer *w, const char *key, int family, const void *address)
{
	char text[INET6_ADDRSTRLEN];

	json_string(w, key, inet_ntop(family, address, text, sizeof(text)));
}

void json_moment(struct json_writer *w, const char *key, int64_t ms)
{
	const time_t seconds = ms / 1000;
	char text[40], whole[32];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text, sizeof(text), "%s.%03dZ", whole, (int)(ms % 1000));
	json_string(w, key, text);
}
