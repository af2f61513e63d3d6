/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `sockfair binds` prints. */
#ifndef SOCKFAIR_BIND_NOTICES_H
#define SOCKFAIR_BIND_NOTICES_H

#include "../bind/bind_notice.h"
#include "text.h"

/*
 * One call, in local time:
 *
 * 14:03:07.120 nginx (pid 7) bind tcp 0.0.0.0:80: EADDRINUSE
 *     httpd (pid 5, uid 0) listens on 0.0.0.0:80 without SO_REUSEPORT; stop it, or ...
 * 14:03:09.004 a.out (pid 9) bind tcp 0.0.0.0:20736: worked
 *     ! 81 without htons() is 20736: ...
 */
void text_bind_notice(FILE *out, const struct bind_notice *n, const struct text_style *style);

/*
 * 12 binds and 7 listens seen in 5.0 s: 3 failed, 1 looks wrong; backend fentry, lost 0
 *   this backend does not see: ...
 */
void text_bind_totals(FILE *out, const struct bind_totals *t, const struct text_style *style);

/* Each writes one line: a document of schema sockfair-binds/1 (sockfair-binds-1.schema.json). Both
 * return 0 or -EIO. */
int json_bind_notice(FILE *out, const struct bind_notice *n);
int json_bind_totals(FILE *out, const struct bind_totals *t);

#endif
