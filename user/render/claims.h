/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SOCKFAIR_RENDER_CLAIMS_H
#define SOCKFAIR_RENDER_CLAIMS_H

#include <stdio.h>

#include "../model/claim.h"
#include "text.h"

/*
 * Prints one claim: the verdict, what is claimed, and why. Lines are broken at the terminal's
 * width, or at 80 columns where the output is not a terminal.
 *
 * holds    htons: without htons() a server that asks for port 81 listens on 20736
 *          asked 81, listens on 20736; a client reaches 20736 and is refused on 81
 */
void text_claim(FILE *out, const struct claim_result *r, const struct text_style *style);

/*
 * Prints how many claims got each verdict, and on which machine.
 *
 * 13 claims: 7 hold, 3 in part, 2 fail, 1 skipped
 * kernel 6.18.44, backend tracepoint, 2 CPUs, 8,000 connections or datagrams a run
 */
void text_claims_end(FILE *out, const struct claim_report *report, const struct text_style *style);

/* Writes all claims as one line, a document of schema sockfair-claims/1. Returns 0 or -EIO. */
int json_claims(FILE *out, const struct claim_report *report);

#endif
