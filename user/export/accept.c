/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads lists of media ranges, as Prometheus sends them:
 *
 *   application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3 and so on
 */
#include "accept.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *type, *subtype, *version, *content_type;
} formats[EXPORT_FORMATS] = {
	[EXPORT_CLASSIC] = { "text", "plain", "0.0.4", "text/plain; version=0.0.4; charset=utf-8" },
	[EXPORT_OPENMETRICS] = { "application", "openmetrics-text", "1.0.0",
				 "application/openmetrics-text; version=1.0.0; charset=utf-8" },
};

/* A part of the line. */
struct word {
	const char *at;
	size_t length;
};

static bool word_is(const struct word *w, const char *text)
{
	return strlen(text) == w->length && !strncasecmp(w->at, text, w->length);
}

static void skip_blanks(const char **at)
{
	*at += strspn(*at, " \t");
}

/* A token of RFC 9110, 5.6.2; `/` and `*` tell apart by themselves. May be empty. */
static struct word take_token(const char **at)
{
	struct word w = { .at = *at };

	while (isalnum((unsigned char)**at) || (**at && strchr("!#$%&'*+-.^_`|~", **at)))
		++*at;
	w.length = *at - w.at;
	return w;
}

/* A token, or what is between quotes: no value that fits has a backslash in it. */
static struct word take_value(const char **at)
{
	struct word w;

	if (**at != '"')
		return take_token(at);
	w.at = ++*at;
	while (**at && **at != '"')
		*at += **at == '\\' && (*at)[1] ? 2 : 1;
	w.length = *at - w.at;
	*at += **at == '"';
	return w;
}

/* A q of RFC 9110, 12.4.2, in thousandths. More than three digits are cut; 0: it is none. */
static unsigned quality_of(const struct word *w)
{
	unsigned quality = 0, worth = 100;

	if (!w->length || (w->at[0] != '0' && w->at[0] != '1') ||
	    (w->length > 1 && w->at[1] != '.'))
		return 0;
	for (size_t i = 2; i < w->length; i++, worth /= 10) {
		if (!isdigit((unsigned char)w->at[i]))
			return 0;
		quality += (w->at[i] - '0') * worth;
	}
	return w->at[0] == '1' ? 1000 : quality;
}

/* One media range, and what it asks for beside the type. */
struct range {
	struct word type, subtype, version, charset;
	unsigned quality;
};

static bool take_parameters(const char **at, struct range *r)
{
	for (skip_blanks(at); **at == ';'; skip_blanks(at)) {
		struct word name, value;

		++*at;
		skip_blanks(at);
		name = take_token(at);
		if (!name.length && (**at == ';' || **at == ',' || !**at))
			continue;
		if (!name.length || **at != '=')
			return false;
		++*at;
		value = take_value(at);
		if (word_is(&name, "q"))
			r->quality = quality_of(&value);
		else if (word_is(&name, "version"))
			r->version = value;
		else if (word_is(&name, "charset"))
			r->charset = value;
	}
	return !**at || **at == ',';
}

static bool take_range(const char **at, struct range *r)
{
	*r = (struct range){ .quality = 1000 };
	skip_blanks(at);
	r->type = take_token(at);
	if (!r->type.length || **at != '/')
		return false;
	++*at;
	r->subtype = take_token(at);
	return r->subtype.length && take_parameters(at, r);
}

/* How exactly the range names the format; 0: it is another one. */
static unsigned exactness_of(const struct range *r, enum export_format format)
{
	const bool any = word_is(&r->type, "*"), any_of_type = word_is(&r->subtype, "*");

	if ((any && !any_of_type) || (!any && !word_is(&r->type, formats[format].type)) ||
	    (!any_of_type && !word_is(&r->subtype, formats[format].subtype)) ||
	    (r->version.length && !word_is(&r->version, formats[format].version)) ||
	    (r->charset.length && !word_is(&r->charset, "utf-8")))
		return 0;
	return any ? 1 : any_of_type ? 2 : r->version.length ? 4 : 3;
}

void accepting_line(struct accepting *a, const char *line)
{
	while (*line) {
		struct range r;
		const bool whole = take_range(&line, &r);

		for (int i = 0; whole && i < EXPORT_FORMATS; i++) {
			const unsigned exactness = exactness_of(&r, i);

			if (exactness > a->formats[i].exactness)
				a->formats[i] = (struct accepted){ exactness, r.quality };
		}
		line += strcspn(line, ",");
		line += *line == ',';
	}
}

enum export_format accepting_choice(const struct accepting *a)
{
	const struct accepted *classic = &a->formats[EXPORT_CLASSIC],
			      *open = &a->formats[EXPORT_OPENMETRICS];
	const bool named = open->exactness > 2 && open->exactness >= classic->exactness;

	return open->quality > classic->quality ||
			       (named && open->quality && open->quality == classic->quality)
		       ? EXPORT_OPENMETRICS
		       : EXPORT_CLASSIC;
}

const char *accepting_type(enum export_format format)
{
	return formats[format].content_type;
}
