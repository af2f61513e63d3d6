/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU time and bytes, as JSON has them: model/load.h. */
#ifndef SOCKFAIR_JSON_LOAD_H
#define SOCKFAIR_JSON_LOAD_H

#include "../model/snapshot.h"
#include "json_writer.h"

/* Of a worker, within its object. */
void json_worker_load(struct json_writer *w, const struct worker_row *row, bool tcp);

/* "load": how both are spread over the workers, and the connections that carried most. */
void json_load(struct json_writer *w, const struct endpoint *e);

#endif
