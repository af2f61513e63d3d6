/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts into words why a bind() or listen() failed: bind_explain() has a case for each errno. Names
 * may hold any bytes: renderers make them harmless. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bind.h"
#include "bind_words.h"

/* ---- parts ---- */

void words_add(struct words *w, const char *format, ...)
{
	size_t used = strlen(w->text);
	va_list args;

	va_start(args, format);
	vsnprintf(w->text + used, BIND_TEXT_MAX - used, format, args);
	va_end(args);
}

const char *bind_error_name(int error, char *buffer)
{
	const char *name = error ? strerrorname_np(error) : "OK";

	if (name)
		return name;
	snprintf(buffer, 16, "errno %d", error);
	return buffer;
}

const char *bind_state_name(enum bind_state state)
{
	static const char *const names[] = {
		[BIND_BOUND] = "bound",         [BIND_LISTENING] = "listening",
		[BIND_CONNECTED] = "connected", [BIND_UNCONNECTED] = "unconnected",
		[BIND_CLOSING] = "closing",     [BIND_TIME_WAIT] = "time-wait",
	};

	return names[state];
}

static bool is_mapped(const struct bind_place *p)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return p->family == AF_INET6 && !memcmp(p->address, mapped, sizeof(mapped));
}

static bool is_link_local(const struct bind_place *p)
{
	return p->family == AF_INET6 && p->address[0] == 0xfe && (p->address[1] & 0xc0) == 0x80;
}

char *bind_place_text(char *buffer, const struct bind_place *p)
{
	static const uint8_t zeros[16];
	char address[INET6_ADDRSTRLEN], zone[20] = "";

	if (*p->device_name)
		snprintf(zone, sizeof(zone), "%%%.15s", p->device_name);
	else if (p->device)
		snprintf(zone, sizeof(zone), "%%%" PRIu32, p->device);
	if (is_mapped(p) || p->family != AF_INET6)
		inet_ntop(AF_INET, p->address + (p->family == AF_INET6 ? 12 : 0), address,
			  sizeof(address));
	else
		inet_ntop(AF_INET6, p->address, address, sizeof(address));
	if (p->family == AF_INET6 && !p->v6only && !memcmp(p->address, zeros, 16))
		snprintf(buffer, BIND_PLACE_TEXT, "*%s:%u", zone, p->port);
	else if (p->family != AF_INET6 || is_mapped(p))
		snprintf(buffer, BIND_PLACE_TEXT, "%s%s:%u", address, zone, p->port);
	else
		snprintf(buffer, BIND_PLACE_TEXT, is_link_local(p) ? "[%s%s]:%u" : "[%s]%s:%u",
			 address, zone, p->port);
	return buffer;
}

/* ---- other reasons ---- */

#define RANDOM_RESERVED                                                                            \
	512 /* below this, no program picks ports at random: bindresvport() and rresvport() stay   \
	       above */

/*
 * Writes which port may have been meant. The rule is like byte_swapped() of the suspicions, but no
 * listen() follows a call that failed. So the second sign is that the user named the port, or that
 * nobody gets this port by chance.
 */
static void say_twin(struct words *w, const struct bind_event *e, const struct bind_ports *ports)
{
	const uint16_t twin = ports && e->asked_known ? bind_twin(ports, e->place.port) : 0;

	if (twin && (bind_port_in(ports->requested, twin) ||
		     (e->error == EACCES && e->place.port < RANDOM_RESERVED)))
		words_add(w, ". %u without htons() is %u: was that meant?", twin, e->place.port);
}

static void explain_access(struct words *w, const struct bind_event *e)
{
	if (e->denied_by_lsm ||
	    e->call == CALL_LISTEN) { /* listen() does not need a right to its port */
		words_add(w, "a security module (SELinux, AppArmor...) refused it: its log says by "
			     "which rule");
	} else if (!e->asked_known) {
		words_add(
			w,
			"ports below %" PRIu32
			" (net.ipv4.ip_unprivileged_port_start) need CAP_NET_BIND_SERVICE; if it "
			"is not that, a security module or a BPF program of its cgroup refused it",
			e->port_limit);
	} else if (!e->place.port || e->place.port >= e->port_limit || e->can_bind_low) {
		/* bpf_set_retval() (5.18) lets a cgroup's program return any error. */
		words_add(w, "not for its port, which needs no rights that it lacks: a security "
			     "module refused it (SELinux, AppArmor...: its log says by which "
			     "rule), or a BPF program of "
			     "its cgroup (bind4, bind6)");
	} else {
		words_privileged(w, e);
	}
}

static void explain_not_available(struct words *w, const struct bind_event *e)
{
	char address[BIND_PLACE_TEXT];
	struct bind_place place = e->place;

	if (e->ipv6_off) {
		words_ipv6_off(w, e);
		return;
	}
	if (!e->asked_known) {
		words_add(w, "the address is none of this network namespace; see ip addr");
		return;
	}
	*place.device_name = 0;
	place.device = 0;
	bind_place_text(address, &place);
	*strrchr(address, ':') = 0;
	words_add(w, "no interface of this network namespace%s has the address %s (see ip addr)",
		  e->place.device ? ", or not the one it is bound to," : "", address);
	if (place.family == AF_INET6 && !is_mapped(&place))
		words_add(w, ", or it is not ready yet (tentative: duplicate address detection)");
	words_add(w, "; IP_FREEBIND or net.%s.ip_nonlocal_bind=1 would allow it all the same",
		  place.family == AF_INET6 && !is_mapped(&place) ? "ipv6" : "ipv4");
}

static const char *family_name(int family, char *buffer)
{
	if (family == AF_INET || family == AF_INET6 || family == AF_UNIX || family == AF_UNSPEC)
		return family == AF_INET    ? "AF_INET"
		       : family == AF_INET6 ? "AF_INET6"
		       : family == AF_UNIX  ? "AF_UNIX"
					    : "AF_UNSPEC";
	sprintf(buffer, "family %d", family);
	return buffer;
}

static void explain_family(struct words *w, const struct bind_event *e)
{
	char asked[24], own[24];

	if (e->asked_family == e->place.family)
		words_add(w, "this kernel has no %s (IPv6: ipv6.disable=1)",
			  family_name(e->place.family, own));
	else if (e->asked_family < 0)
		words_add(w, "the address is of another family than the socket, which is %s",
			  family_name(e->place.family, own));
	else
		words_add(w,
			  "the address that was passed is %s, the socket %s: make the socket with "
			  "the family of the address",
			  family_name(e->asked_family, asked), family_name(e->place.family, own));
}

static bool place_is_multicast(const struct bind_place *p)
{
	return p->family == AF_INET6 && p->address[0] == 0xff;
}

static void explain_invalid(struct words *w, const struct bind_event *e)
{
	if (e->call == CALL_LISTEN)
		words_add(w, "the socket is connected, or in another state that does not allow to "
			     "listen");
	else if (e->port_got)
		words_add(w, "the socket is bound already, to port %u: a socket can be bound once",
			  e->port_got);
	else if (e->asked_family >= 0 &&
		 e->asked_family !=
			 e->place.family) /* too short for IPv6, and the length is checked first */
		explain_family(w, e);
	else if (e->asked_known && is_link_local(&e->place) && !e->place.device)
		words_add(w, "a link-local address needs its interface: sin6_scope_id, as in "
			     "fe80::1%%eth0");
	else if (e->asked_known && is_mapped(&e->place) && e->place.v6only)
		words_add(w, "an IPv4 address on a socket with IPV6_V6ONLY");
	else if (e->asked_known && place_is_multicast(&e->place) &&
		 e->place.protocol == PROTOCOL_TCP)
		words_add(w, "TCP can't be bound to a multicast address");
	else
		words_add(w, "the address is shorter than its family needs, or the socket is "
			     "connected already");
}

static void explain_other(struct words *w, const struct bind_event *e)
{
	switch (e->error) {
	case EPERM:
		words_add(w, "a BPF program of its cgroup (bind4, bind6) or a security module "
			     "refused it");
		break;
	case ENODEV:
		words_add(w, "there is no interface with the index in sin6_scope_id, or that it is "
			     "bound to");
		break;
	case EOPNOTSUPP:
		words_add(w, e->place.protocol == PROTOCOL_UDP
				     ? "UDP sockets can't listen"
				     : "sockets of this kind can't listen");
		break;
	case EFAULT: words_add(w, "the address lies outside of the program's memory"); break;
	default:
		words_add(w, "%s",
			  strerrordesc_np(e->error) ? strerrordesc_np(e->error)
						    : "the kernel gave no known reason");
	}
}

void bind_explain(const struct bind_event *e, const struct bind_occupant *occupants, size_t count,
		  enum bind_looked looked, const struct bind_ports *ports, char *text,
		  int *in_the_way)
{
	struct words w = { text };
	int blocker = -1;

	*text = 0;
	switch (e->call == CALL_CONNECT ? 0 : e->error) {
	case 0: break;
	case EACCES: explain_access(&w, e); break;
	case EADDRINUSE: blocker = words_in_use(&w, e, occupants, count, looked); break;
	case EADDRNOTAVAIL: explain_not_available(&w, e); break;
	case EAFNOSUPPORT: explain_family(&w, e); break;
	case EINVAL: explain_invalid(&w, e); break;
	default: explain_other(&w, e);
	}
	if (e->call == CALL_CONNECT)
		words_connect(&w, e);
	if (e->error == EACCES || e->error == EADDRINUSE)
		say_twin(&w, e, ports);
	if (in_the_way)
		*in_the_way = blocker;
}
