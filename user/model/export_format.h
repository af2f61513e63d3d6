/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two text formats in which Prometheus reads metrics. */
#ifndef SOCKFAIR_EXPORT_FORMAT_H
#define SOCKFAIR_EXPORT_FORMAT_H

enum export_format {
	EXPORT_CLASSIC,     /* the text format of Prometheus, version 0.0.4 */
	EXPORT_OPENMETRICS, /* OpenMetrics 1.0 */
	EXPORT_FORMATS
};

#endif
