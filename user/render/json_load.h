/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU time and bytes of workers and endpoints in JSON: model/load.h. */
#ifndef SOCKFAIR_JSON_LOAD_H
#define SOCKFAIR_JSON_LOAD_H

#include "../model/snapshot.h"
#include "json_writer.h"

/* Writes a worker's load into the worker's open object. */
void json_worker_load(struct json_writer *w, const struct worker_row *row, bool tcp);

/* Writes "load": how CPU time and bytes are spread over the workers, and which connections carried
 * most. */
void json_load(struct json_writer *w, const struct endpoint *e);

#endif
