/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "advice.h"

#include <stdio.h>
#include <string.h>

static const struct advice rows[] = {
	{ "nginx", true, false, "nginx", "'reuseport' on the listen line", "1.9.1", NULL, false },
	{ "haproxy", true, false, "haproxy", "'shards by-thread' on the bind line", "2.5", NULL,
	  true },
	{ "unbound", true, true, "unbound", "'so-reuseport: yes'", NULL, NULL, false },
	{ "pdns_server", false, true, "PowerDNS", "'reuseport=yes'", NULL, NULL, false },
	{ "pdns_recursor", true, true, "PowerDNS Recursor",
	  "'reuseport=yes' beside 'pdns-distributes-queries=no'", NULL, NULL, false },
	{ "named", true, true, "BIND", "'reuseport yes'", NULL, NULL, false },
	{ "knotd", true, false, "Knot DNS", "'tcp-reuseport: on'", NULL, NULL, false },
	{ "nsd: *", false, true, "NSD", "'reuseport: yes'", NULL, NULL, false },
	{ "nsd: *", true, false, "NSD", NULL, NULL, NULL,
	  true }, /* its reuseport gives TCP one socket for all */
	{ "squid", true, false, "squid", "'worker-queues' on the http_port line", "5.0", NULL,
	  false },
	{ "node", true, false, "node", "'reusePort: true' in listen()", "22.12 and 23.1", NULL,
	  false },
	{ "apache2", true, false, "Apache httpd", "'ListenCoresBucketsRatio 1'", "2.4.13",
	  ", though one for each CPU, not for each worker", false },
	{ "gunicorn*", true, false, "gunicorn", NULL, NULL,
	  "; several gunicorns of one worker each do, with --reuse-port", true },
	{ "uvicorn", true, false, "uvicorn", NULL, NULL, NULL, false },
	{ "uwsgi", true, false, "uWSGI", NULL, NULL, NULL,
	  true }, /* its reuse-port gives one socket to all */
	{ "lighttpd", true, false, "lighttpd", NULL, NULL, NULL, false },
	{ "php-fpm*", true, false, "php-fpm", NULL, NULL, NULL, false },
	{ "cache-main", true, false, "Varnish", NULL, NULL, NULL, false },
	{ "memcached", false, true, "memcached", NULL, NULL, NULL, false },
};

const struct advice *advice_find(const char process[16], enum protocol protocol)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *name = rows[i].process, *star = strchr(name, '*');

		if (!(protocol == PROTOCOL_TCP ? rows[i].tcp : rows[i].udp))
			continue;
		if (star ? !strncmp(process, name, star - name) : !strncmp(process, name, 16))
			return &rows[i];
	}
	return NULL;
}

/* An interpreter's name says nothing about the server. But if a worker's parent holds the socket
 * too, the worker belongs to the parent's server. */
static const struct advice *advice_for(const struct endpoint *e, const struct worker_row *w)
{
	const struct advice *a = advice_find(w->process, e->protocol);
	size_t count;
	const struct holder_row *holders = endpoint_holders(e, w->cookie, &count);

	for (size_t i = 0; i < count && !a && !strncmp(w->process, "python", 6); i++)
		if (w->parent && holders[i].pid == w->parent)
			a = advice_find(holders[i].process, e->protocol);
	return a;
}

const char *advise_own_socket(char buffer[ADVICE_SIZE], const struct facts *facts,
			      const struct takers *takers, const struct socket_row *s,
			      const char *general)
{
	const struct advice *a = advice_for(facts->endpoint, takers->rows[0]);

	for (size_t i = 1; i < takers->threads && a; i++)
		a = advice_for(facts->endpoint, takers->rows[i]) == a ? a : NULL;
	if (!a || (s && s->reuseport && !a->always && a->option))
		snprintf(buffer, ADVICE_SIZE, "%s", general);
	else if (a->option)
		snprintf(buffer, ADVICE_SIZE, "%s: %s (%s%s%s)%s", general, a->option, a->program,
			 a->since ? " since " : "", a->since ? a->since : "",
			 a->beside ? a->beside : "");
	else
		snprintf(buffer, ADVICE_SIZE, "no option of %s gives each worker its own socket%s",
			 a->program, a->beside ? a->beside : "");
	return buffer;
}
