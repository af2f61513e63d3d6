/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads members of JSON objects, one function per type. The first error stays in the reader. */
#include "json_reading.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "text.h"

#define COUNT_MAX 0x1p53 /* above this a double no longer holds every whole number */
#define REAL_MAX 1e18    /* more than any figure here can be; its square is still finite */

void reader_fail(struct reader *r, int err, const char *format, ...)
{
	char raw[JSON_READER_WHY - 64], what[JSON_READER_WHY - 128];
	va_list args;

	if (r->err)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(raw, sizeof(raw), "%.120s:%zu: %s", r->path, r->first_line, what);
	text_name(r->why, raw, sizeof(raw), true);
	r->err = err;
}

/* Appends the path from one value of a document to another: "endpoints[3].sockets[0]". Returns
 * false, and leaves `way` as it was, if `to` is not inside `from`. */
static bool way_find(char *way, size_t size, json_t *from, const json_t *to)
{
	const size_t length = strlen(way);
	const char *key;
	json_t *value;
	size_t i;

	if (from == to)
		return true;
	json_object_foreach(from, key, value)
	{
		snprintf(way + length, size - length, "%s%s", length ? "." : "", key);
		if (way_find(way, size, value, to))
			return true;
	}
	json_array_foreach(from, i, value)
	{
		snprintf(way + length, size - length, "[%zu]", i);
		if (way_find(way, size, value, to))
			return true;
	}
	way[length] = '\0';
	return false;
}

void reader_fail_at(struct reader *r, const json_t *from, const char *member, const char *format,
		    ...)
{
	char way[96] = "", what[160];
	va_list args;

	if (r->err)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	way_find(way, sizeof(way), r->document, from);
	reader_fail(r, -EINVAL, "%s%s%s %s", way, *way && *member != '[' ? "." : "", member, what);
}

const char *reader_type_name(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",      [JSON_NULL] = "null"
	};

	return value ? names[json_typeof(value)] : "missing";
}

static void wrong_type(struct reader *r, const json_t *from, const char *key, const json_t *value,
		       const char *wanted)
{
	reader_fail_at(r, from, key, "is %s, not %s; " FOREIGN, reader_type_name(value), wanted);
}

const json_t *field_element(struct reader *r, const json_t *array, size_t i)
{
	const json_t *value = json_array_get(array, i);
	char member[32];

	if (json_is_object(value))
		return value;
	snprintf(member, sizeof(member), "[%zu]", i);
	wrong_type(r, array, member, value, "an object");
	return NULL;
}

static json_t *get(struct reader *r, const json_t *from, const char *key, json_type type,
		   const char *wanted, enum need need)
{
	json_t *value = json_object_get(from, key);

	if (r->err || (need == OPTIONAL && (!value || json_is_null(value))))
		return NULL;
	if (value && json_typeof(value) == type)
		return value;
	wrong_type(r, from, key, value, wanted);
	return NULL;
}

json_t *field_object(struct reader *r, const json_t *from, const char *key, enum need need)
{
	return get(r, from, key, JSON_OBJECT, "an object", need);
}

json_t *field_array(struct reader *r, const json_t *from, const char *key, enum need need)
{
	return get(r, from, key, JSON_ARRAY, "an array", need);
}

void field_text(struct reader *r, const json_t *from, const char *key, enum need need, char *to,
		size_t size)
{
	const json_t *value = get(r, from, key, JSON_STRING, "a string", need);

	snprintf(to, size, "%s", value ? json_string_value(value) : "");
}

bool field_bool(struct reader *r, const json_t *from, const char *key)
{
	const json_t *value = json_object_get(from, key);

	if (!json_is_boolean(value))
		wrong_type(r, from, key, value, "true or false");
	return !r->err && json_is_true(value);
}

double field_real(struct reader *r, const json_t *from, const char *key, enum need need)
{
	const json_t *value = get(r, from, key, JSON_REAL, "a number", need);
	const double number = value ? json_real_value(value) : NAN;

	if (value && !(number >= 0 && number <= REAL_MAX))
		reader_fail_at(r, from, key, "is %g: no figure of sockfair is; " FOREIGN, number);
	return number;
}

double field_count(struct reader *r, const json_t *from, const char *key, enum need need)
{
	const double number = field_real(r, from, key, need);

	if (number >= COUNT_MAX || (number >= 0 && number != floor(number)))
		reader_fail_at(r, from, key, "is %.17g, not a count; " FOREIGN, number);
	return number;
}

double field_number(struct reader *r, const json_t *from, const char *key, double max)
{
	const double number = field_count(r, from, key, REQUIRED);

	if (number > max)
		reader_fail_at(r, from, key, "is %.17g, more than %.17g; " FOREIGN, number, max);
	return r->err ? 0 : number;
}

void field_add(struct reader *r, const json_t *from, const char *key, enum need need, double *sum)
{
	const double number = field_count(r, from, key, need);

	if (!isnan(number))
		*sum = isnan(*sum) ? number : *sum + number;
	if (*sum >= COUNT_MAX)
		reader_fail(
			r, -EINVAL,
			"the counts '%s' of all rows add up to %.17g, more than is exact; " FOREIGN,
			key, *sum);
}

enum verdict field_verdict(struct reader *r, const json_t *from, const char *key)
{
	char name[32];

	field_text(r, from, key, REQUIRED, name, sizeof(name));
	for (enum verdict v = VERDICT_NOT_APPLICABLE; v <= VERDICT_WITHHELD; v++)
		if (!strcmp(name, verdict_name(v)))
			return v;
	reader_fail_at(r, from, key, "is '%s', which is no verdict; a newer sockfair may know it",
		       name);
	return VERDICT_NOT_APPLICABLE;
}

enum withheld field_reason(struct reader *r, const json_t *from, const char *key)
{
	char name[32];

	field_text(r, from, key, OPTIONAL, name, sizeof(name));
	return withheld_parse(name);
}
