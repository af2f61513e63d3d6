/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's rules for sharing a port. They hold from 5.10 to 7.3: tests/bind_rules.py tries them
 * on the kernel that it runs on. TCP_REPAIR is left out.
 *
 * bind_conflict() asks about one occupant, bind_predict() about all occupants of a port, and
 * bind_in_the_way() about a call that failed.
 */
#include "bind.h"

#include <string.h>

/* ---- addresses ---- */

enum kind { KIND_ANY, KIND_V4, KIND_V6 };

#define V4_OF_V6                                                                                   \
	0x7f000006u /* LOOPBACK4_IPV6: what sk_rcv_saddr is for an IPv6 address                    \
		       (include/net/ipv6.h) */

/* A bound address as inet_rcv_saddr_equal() (net/ipv4/inet_connection_sock.c) sees it. */
struct bound_place {
	bool ipv6;      /* the socket is IPv6 */
	enum kind kind; /* the kind of its IPv6 address; an IPv4 socket counts as v4-mapped */
	uint32_t v4;
	bool v6only;
};

static struct bound_place bound_of(const struct bind_place *p)
{
	static const uint8_t zeros[16], mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct bound_place b = { .ipv6 = p->family == AF_INET6, .kind = KIND_V4 };
	const uint8_t *v4 = p->address;

	if (b.ipv6) {
		b.v6only = p->v6only;
		b.kind = !memcmp(p->address, zeros, 16)                ? KIND_ANY
			 : !memcmp(p->address, mapped, sizeof(mapped)) ? KIND_V4
								       : KIND_V6;
		v4 = p->address + 12;
	}
	b.v4 = b.kind == KIND_ANY  ? 0
	       : b.kind == KIND_V6 ? V4_OF_V6
				   : (uint32_t)v4[0] << 24 | v4[1] << 16 | v4[2] << 8 | v4[3];
	return b;
}

/* Do two IPv4 addresses overlap? This is ipv4_rcv_saddr_equal() with wildcards. */
static bool v4_overlap(const struct bound_place *a, const struct bound_place *b)
{
	return !b->v6only && (a->v4 == b->v4 || !a->v4 || !b->v4);
}

bool bind_addresses_overlap(const struct bind_place *first, const struct bind_place *second)
{
	struct bound_place a = bound_of(first), b = bound_of(second);

	if (!a.ipv6 || (a.kind == KIND_V4 && b.kind == KIND_V4))
		return v4_overlap(&a, &b);
	/* ipv6_rcv_saddr_equal() */
	if (a.kind == KIND_ANY && b.kind == KIND_ANY)
		return true;
	if (b.kind == KIND_ANY && !(b.v6only && a.kind == KIND_V4))
		return true;
	if (a.kind == KIND_ANY && !(a.v6only && b.kind == KIND_V4))
		return true;
	return b.ipv6 && !memcmp(first->address, second->address, 16);
}

/* Could both sockets get packets of one device? A TCP bucket belongs to one VRF
 * (inet_bind_bucket_match()); UDP compares the devices themselves. */
static bool devices_overlap(const struct bind_place *a, const struct bind_place *b)
{
	if (a->protocol != PROTOCOL_UDP && a->vrf != b->vrf)
		return false;
	return !a->device || !b->device || a->device == b->device;
}

static bool is_wildcard(const struct bind_place *p)
{
	return !bound_of(p).v4;
}

/* ---- one occupant ---- */

bool bind_places_overlap(const struct bind_place *a, const struct bind_place *b)
{
	return devices_overlap(a, b) && bind_addresses_overlap(a, b);
}

/* Does SO_REUSEPORT let the new socket join the occupant's group? */
static bool may_join(const struct bind_place *wanted, const struct bind_occupant *o)
{
	return wanted->reuseport && o->place.reuseport &&
	       (o->state == BIND_TIME_WAIT || wanted->uid == o->place.uid);
}

/* Does SO_REUSEADDR let the new socket in beside the occupant? UDP does not ask what the occupant
 * does. */
static bool may_sit_beside(const struct bind_place *wanted, const struct bind_occupant *o)
{
	return wanted->reuseaddr && o->place.reuseaddr && o->state != BIND_LISTENING;
}

/* The listen() after the bind() repeats the check (inet_csk_listen_start() calls get_port()), but
 * by then other sockets may be listening. UDP can't listen, so only its bind() counts. */
bool bind_conflict(const struct bind_place *wanted, enum bind_call call,
		   const struct bind_occupant *o)
{
	struct bind_occupant known = *o;

	(void)call;
	if (!o->options_known)
		known.place.reuseaddr = known.place.reuseport = false;
	return bind_places_overlap(wanted, &o->place) && !may_sit_beside(wanted, &known) &&
	       !may_join(wanted, &known);
}

bool bind_conflict_certain(const struct bind_place *wanted, enum bind_call call,
			   const struct bind_occupant *o)
{
	struct bind_occupant kind = *o;

	if (o->options_known)
		return bind_conflict(wanted, call, o);
	kind.options_known = kind.place.reuseaddr = kind.place.reuseport = true;
	return bind_conflict(wanted, call, &kind);
}

/* ---- all occupants of a port ---- */

static enum bind_outlook outlook_by_rules(const struct bind_place *wanted, enum bind_call call,
					  const struct bind_occupant *occupants, size_t count)
{
	enum bind_outlook outlook = BIND_WORKS;

	for (size_t i = 0; i < count; i++) {
		if (bind_conflict_certain(wanted, call, &occupants[i]))
			return BIND_FAILS;
		if (bind_conflict(wanted, call, &occupants[i]))
			outlook = BIND_MAY_FAIL;
	}
	return outlook;
}

/* Does the bucket let the socket in without a check? This is sk_reuseport_match() of
 * net/ipv4/inet_connection_sock.c. */
static bool bucket_matches(const struct bind_bucket *b, const struct bind_place *wanted)
{
	const struct bind_place *from = &b->place;
	struct bind_place to = *wanted;

	to.v6only |= bound_of(wanted).kind ==
		     KIND_V6; /* bind() sets it for an address that can only be IPv6 */
	if (b->reuseport <= 0 || !wanted->reuseport || b->place.uid != wanted->uid)
		return false;
	if (b->reuseport != BIND_BUCKET_STRICT)
		return true;
	/* A wildcard of the new socket matches only a wildcard. */
	return (!is_wildcard(&to) || is_wildcard(from)) && bind_addresses_overlap(from, &to);
}

/* Follows inet_csk_get_port() with a given port. The marks of a bucket are below 0 if its sockets
 * did not come by bind() (connect() without one). */
static enum bind_outlook outlook_tcp(const struct bind_place *wanted, enum bind_call call,
				     const struct bind_occupant *occupants, size_t count)
{
	const struct bind_bucket *bucket = NULL;

	for (size_t i = 0; i < count && !bucket; i++)
		if (occupants[i].bucket.known && occupants[i].place.vrf == wanted->vrf)
			bucket = &occupants[i].bucket;
	if (bucket && bucket_matches(bucket, wanted))
		return BIND_WORKS;
	if (bucket && bucket->reuse > 0 && wanted->reuseaddr) {
		/* bind() came in by fastreuse. Then either the bucket remembers the socket as one
		 * with SO_REUSEPORT, or listen() makes the kernel examine all sockets. */
		if (call == CALL_BIND || wanted->reuseport)
			return BIND_WORKS;
	}
	return outlook_by_rules(wanted, call, occupants, count);
}

#define UDP_SLOT_LONG                                                                              \
	10 /* udp_lib_get_port(): with more sockets it searches only the slots of the addresses.   \
	      Stable kernels have fixed this: Debian's 5.10 still has it, its 6.1, 6.12 and 7.3 do \
	      not */

/*
 * Why the outcome for UDP is in doubt; NULL: there is no doubt. udp_lib_lport_inuse() stops at the
 * first socket that the new one may join by SO_REUSEPORT and lets it in, whatever sockets follow in
 * the list. If the list is long, a wildcard address is compared with other wildcards only.
 */
static const char *doubt_udp(const struct bind_place *wanted, const struct bind_occupant *occupants,
			     size_t count)
{
	bool joins = false, blocked_by_wildcard = false;
	uint64_t sockets = 0;

	for (size_t i = 0; i < count; i++) {
		const struct bind_occupant *o = &occupants[i];

		sockets += o->count;
		if (!bind_places_overlap(wanted, &o->place) ||
		    (o->options_known && may_sit_beside(wanted, o)))
			continue;
		if (may_join(wanted, o))
			joins = true;
		else
			blocked_by_wildcard |= is_wildcard(&o->place);
	}
	if (joins)
		return "others there let it join them by SO_REUSEPORT, and the first that the "
		       "kernel comes to decides: their order can't be seen";
	if (sockets > UDP_SLOT_LONG && is_wildcard(wanted) && !blocked_by_wildcard)
		return "some kernels hold a wildcard address against other wildcards alone, where "
		       "a UDP port has more than ten sockets";
	return NULL;
}

static enum bind_outlook outlook_udp(const struct bind_place *wanted, enum bind_call call,
				     const struct bind_occupant *occupants, size_t count)
{
	enum bind_outlook outlook = outlook_by_rules(wanted, call, occupants, count);

	return outlook == BIND_FAILS && doubt_udp(wanted, occupants, count) ? BIND_MAY_FAIL
									    : outlook;
}

const char *bind_doubt(const struct bind_place *wanted, const struct bind_occupant *occupants,
		       size_t count)
{
	const char *doubt =
		wanted->protocol == PROTOCOL_UDP ? doubt_udp(wanted, occupants, count) : NULL;

	return doubt ? doubt : "which options a socket there had is not known";
}

enum bind_outlook bind_predict(const struct bind_place *wanted, enum bind_call call,
			       const struct bind_occupant *occupants, size_t count)
{
	return wanted->protocol == PROTOCOL_UDP ? outlook_udp(wanted, call, occupants, count)
						: outlook_tcp(wanted, call, occupants, count);
}

/* ---- which occupant is to blame ---- */

bool bind_is_own(const struct bind_event *e, const struct bind_occupant *o)
{
	return e->cookie && o->cookie ? e->cookie == o->cookie : e->inode && e->inode == o->inode;
}

static bool came_later(const struct bind_event *e, const struct bind_occupant *occupants,
		       size_t count, const struct bind_occupant *o)
{
	if (o->since_ns || o->state != BIND_CONNECTED || !o->pid)
		return o->since_ns > e->time_ns;
	for (size_t i = 0; i < count; i++)
		if (occupants[i].since_ns > e->time_ns && occupants[i].pid == o->pid &&
		    occupants[i].state == BIND_LISTENING)
			return true;
	return false;
}

bool bind_in_the_way(const struct bind_event *e, const struct bind_occupant *occupants,
		     size_t count, const struct bind_occupant *o)
{
	/* A listen() that failed leaves its own socket bound, but that socket is not in its own
	 * way. */
	return !bind_is_own(e, o) && !came_later(e, occupants, count, o) &&
	       bind_conflict(&e->place, e->call, o);
}

int bind_blocker(const struct bind_event *e, const struct bind_occupant *occupants, size_t count)
{
	static const int weights[] = {
		[BIND_LISTENING] = 6, [BIND_UNCONNECTED] = 5, [BIND_BOUND] = 4,
		[BIND_CONNECTED] = 3, [BIND_CLOSING] = 2,     [BIND_TIME_WAIT] = 1,
	};
	int best = -1, best_weight = 0;

	for (size_t i = 0; i < count; i++) {
		const struct bind_occupant *o = &occupants[i];
		int weight =
			weights[o->state] + (bind_conflict_certain(&e->place, e->call, o) ? 10 : 0);

		if (weight <= best_weight || !bind_in_the_way(e, occupants, count, o))
			continue;
		best = i;
		best_weight = weight;
	}
	return best;
}

/* ---- ports ---- */

void bind_ports_by_use(struct bind_ports *ports)
{
	static const uint16_t by_use[] = {
		81,   82,   88,   1880, 2375, 2379, 2380,  3000,  3001,  3128,  3306,  4000,
		4200, 4443, 5000, 5001, 5173, 5432, 5601,  5672,  6379,  6443,  7000,  7001,
		8000, 8001, 8008, 8009, 8080, 8081, 8082,  8083,  8086,  8088,  8090,  8123,
		8443, 8500, 8787, 8834, 8880, 8888, 9000,  9001,  9042,  9090,  9091,  9092,
		9093, 9100, 9200, 9300, 9443, 9999, 10000, 10250, 11211, 15672, 27017,
	};

	for (size_t i = 0; i < sizeof(by_use) / sizeof(by_use[0]); i++)
		bind_port_add(ports->well_known, by_use[i]);
}

uint16_t bind_twin(const struct bind_ports *ports, uint16_t port)
{
	uint16_t twin = bind_port_swapped(port);

	if (twin == port || bind_port_in(ports->well_known, port) ||
	    bind_port_in(ports->requested, port))
		return 0;
	return bind_port_in(ports->requested, twin) || bind_port_in(ports->well_known, twin) ? twin
											     : 0;
}

unsigned bind_twins(const struct bind_ports *ports)
{
	unsigned count = 0;

	for (unsigned port = 1; port <= UINT16_MAX; port++)
		count += bind_twin(ports, port) != 0;
	return count;
}
