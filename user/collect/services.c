/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks the services database (getservent) and marks each port in it as well known. */
#include "services.h"

#include <arpa/inet.h>
#include <netdb.h>

void services_fill(struct bind_ports *ports)
{
	const struct servent *s;

	setservent(1);
	while ((s = getservent()))
		bind_port_add(ports->well_known, ntohs(s->s_port));
	endservent();
	bind_ports_by_use(ports);
}
