/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a document says about TCP handshakes under way: model/handshakes.h. */
#ifndef SOCKFAIR_JSON_HANDSHAKES_H
#define SOCKFAIR_JSON_HANDSHAKES_H

#include "../model/snapshot.h"
#include "json_writer.h"

/* Writes the half-open connections of a TCP listener. */
void json_half_open(struct json_writer *w, const struct socket_row *s);

/* Writes what the kernel counted for each network namespace. */
void json_namespaces(struct json_writer *w, const struct snapshot *s);

#endif
