/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON Schemas of all documents that are printed, part of the program: see schema.S. */
#ifndef SOCKFAIR_SCHEMAS_H
#define SOCKFAIR_SCHEMAS_H

struct json_schema {
	const char *name; /* for `sockfair --schema NAME` */
	const char *text, *end;
};

/* Ended by a row without a name; the first is what run, watch and list print. */
extern const struct json_schema json_schemas[];

#endif
