/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON Schemas of all documents that the program prints. schema.S makes them part of the
 * program. */
#ifndef SOCKFAIR_SCHEMAS_H
#define SOCKFAIR_SCHEMAS_H

struct json_schema {
	const char *name; /* for `sockfair --schema NAME` */
	const char *text, *end;
};

/* A row without a name ends the table. The first row is the schema of what run, watch and list
 * print. */
extern const struct json_schema json_schemas[];

#endif
