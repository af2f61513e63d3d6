/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json_writer.h"

#include <math.h>
#include <string.h>

#include "utf8.h"

static void put(struct json_writer *w, const char *text)
{
	fputs_unlocked(text, w->out);
}

/* What comes before a value: a comma, its key. Keys are ours and need no escapes. */
static void begin(struct json_writer *w, const char *key)
{
	if (w->comma)
		putc_unlocked(',', w->out);
	w->comma = true;
	if (!key)
		return;
	putc_unlocked('"', w->out);
	put(w, key);
	put(w, "\":");
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
	begin(w, key);
	putc_unlocked(bracket, w->out);
	w->comma = false;
}

void json_close(struct json_writer *w, char bracket)
{
	putc_unlocked(bracket, w->out);
	w->comma = true;
}

/* By hand: most of a document is numbers, and printf takes five times as long. */
void json_number(struct json_writer *w, const char *key, uint64_t value)
{
	char digits[24], *at = digits + sizeof(digits);

	*--at = '\0';
	do
		*--at = '0' + value % 10;
	while (value /= 10);
	begin(w, key);
	put(w, at);
}

void json_number_if(struct json_writer *w, const char *key, bool known, uint64_t value)
{
	if (known)
		json_number(w, key, value);
	else
		json_nothing(w, key);
}

/* A whole number keeps its ".0": readers that tell integers from reals find the same type every time. */
void json_number_real(struct json_writer *w, const char *key, double value)
{
	char digits[32];

	if (!isfinite(value)) {
		json_nothing(w, key);
		return;
	}
	snprintf(digits, sizeof(digits), "%.9g", value);
	begin(w, key);
	put(w, digits);
	if (!strpbrk(digits, ".e"))
		put(w, ".0");
}

void json_bool(struct json_writer *w, const char *key, bool value)
{
	begin(w, key);
	put(w, value ? "true" : "false");
}

void json_nothing(struct json_writer *w, const char *key)
{
	begin(w, key);
	put(w, "null");
}

/* Line ends and other control characters are escaped: a document stays one line, whatever a thread is called. */
static void put_character(struct json_writer *w, const char *bytes, size_t length, uint32_t code)
{
	if (!length)
		fprintf(w->out, "\\\\x%02x", (unsigned char)*bytes);
	else if (code == '"' || code == '\\')
		fprintf(w->out, "\\%c", (int)code);
	else if (code < 0x20 || code == 0x7f)
		fprintf(w->out, "\\u%04x", (unsigned)code);
	else
		fwrite_unlocked(bytes, 1, length, w->out);
}

void json_text(struct json_writer *w, const char *key, const char *bytes, size_t max)
{
	const size_t size = strnlen(bytes, max);
	size_t length;
	uint32_t code = 0;

	begin(w, key);
	putc_unlocked('"', w->out);
	for (size_t at = 0; at < size; at += length ? length : 1) {
		length = utf8_next(bytes + at, size - at, &code);
		put_character(w, bytes + at, length, code);
	}
	putc_unlocked('"', w->out);
}
