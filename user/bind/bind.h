/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bind() and listen(): what a call asked for, which sockets have the port, the kernel's rules for
 * sharing a port, and what all this means in words. The code here does no input or output: collect/
 * fills the structures, render/ prints them.
 */
#ifndef SOCKFAIR_BIND_H
#define SOCKFAIR_BIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model/snapshot.h"

/* Where a socket is bound or wants to be bound, and with which options. */
struct bind_place {
	enum protocol protocol; /* MPTCP is TCP */
	int family;             /* the socket's family: AF_INET or AF_INET6 */
	uint8_t address[16];    /* network order; 4 bytes used for AF_INET */
	uint16_t port;          /* host order */
	uint32_t netns;         /* inode */
	uint32_t device;        /* interface index; 0: any */
	char device_name[16];   /* "": none, or not known */
	uint32_t vrf; /* TCP: index of the VRF device in which the kernel looks up the port; 0:
			 none, or net.ipv4.tcp_l3mdev_accept=1 */
	uint32_t uid; /* owner of the socket (its effective uid when it was made) */
	bool reuseaddr, reuseport;
	bool v6only;
};

/* The state of a socket, as the kernel's TCP_ESTABLISHED...; UDP has only UNCONNECTED and
 * CONNECTED. */
enum bind_state {
	BIND_BOUND, /* TCP: bound, but not listening yet */
	BIND_LISTENING,
	BIND_CONNECTED,   /* TCP: a connection in any state in which a process may hold it. UDP:
			     connected */
	BIND_UNCONNECTED, /* UDP */
	BIND_CLOSING,     /* TCP: a connection that no process holds any more: FIN_WAIT, CLOSING,
			     LAST_ACK */
	BIND_TIME_WAIT,
};

/*
 * What the kernel keeps for each TCP port so that it need not examine every socket (struct
 * inet_bind_bucket): a newcomer with the same options as the sockets before it gets in without a
 * check. All sockets of a port and network namespace share one bucket.
 */
struct bind_bucket {
	bool known;
	int8_t reuse;     /* fastreuse: above 0: every socket so far had SO_REUSEADDR, and none ever
			     listened */
	int8_t reuseport; /* fastreuseport: above 0: SO_REUSEPORT sockets of `place.uid` get in;
			     BIND_BUCKET_STRICT: only if their address overlaps with that of `place`
			   */
	struct bind_place place; /* family, address, v6only, uid */
};
#define BIND_BUCKET_STRICT 2 /* FASTREUSEPORT_STRICT */

/* A process that holds a socket. */
struct bind_holder {
	uint32_t inode;      /* of the socket */
	int32_t pid, parent; /* in the initial pid namespace */
	int32_t pid_inside;  /* the pid in the process's own pid namespace */
	uint64_t started_ns; /* CLOCK_BOOTTIME; 0: not known. Tells a process from a later one with
				the same pid */
	uint32_t descriptor; /* the process's lowest descriptor of the socket */
	char process[16];
};

/* Who chose the port number. For a connection that a listener accepted this is not known. */
enum bind_origin {
	ORIGIN_UNKNOWN,
	ORIGIN_ASKED,  /* bind() was called with this port, for this very socket */
	ORIGIN_PICKED, /* the kernel chose: connect() or sendto() without bind(), or bind() to port
			  0 */
};

/* A socket that has a port. One row stands for all connections of the same state and process that
 * differ only in their remote end. */
struct bind_occupant {
	struct bind_place place;
	enum bind_state state;
	bool options_known; /* place.reuseaddr and place.reuseport are known */
	uint64_t count;     /* sockets in this row */
	uint64_t cookie;    /* the cookie of one of the sockets; 0: not known */
	uint32_t inode;     /* the inode of one of the sockets; 0: not known */
	int32_t pid; /* a process that holds the socket; 0: no process does, or none was found */
	bool encapsulates; /* UDP, held by no process: the kernel takes the socket's datagrams out
			      before they are queued */
	bool held; /* the socket is held, though pid may be 0: it is in flight between processes, or
		      is a registered file of io_uring */
	int32_t pid_inside; /* the pid in the process's own pid namespace; 0: not known */
	unsigned holders;   /* how many processes hold the socket */
	const struct bind_holder
		*held_by; /* holders of one socket, by pid; NULL: not known. Not owned */
	char process[16];
	const char *cgroup; /* of pid, CGROUP_SIZE; NULL: not known. Not owned */
	uint64_t cgroup_id; /* its number in the cgroup v2 tree; 0: not known */
	enum bind_origin origin;
	bool pickable; /* net.ipv4.ip_local_port_range and ip_local_reserved_ports, as they are now,
			  let the kernel pick this port */
	bool others_reserved; /* ip_local_reserved_ports has ports in it */
	uint8_t peer[16]; /* where one of the sockets is connected to; network order, the family of
			     `place` */
	uint16_t peer_port; /* 0: not connected, or not known */
	bool peers_differ;
	bool by_kernel;      /* the kernel made this socket for itself */
	char receiver[64];   /* for by_kernel: the function that takes what arrives, and its module:
				"vxlan_rcv [vxlan]"; "": not known */
	double seconds_left; /* BIND_TIME_WAIT: until the last of the connections is over; NaN: not
				known */
	uint64_t since_ns;   /* CLOCK_MONOTONIC, when the socket asked for the port; 0: not known
				(mostly because nobody watched yet) */
	struct bind_bucket bucket; /* TCP */
};

enum bind_call { CALL_BIND, CALL_LISTEN, CALL_CONNECT };
#define BIND_CALLS 3

/* The other end of a connection. */
struct bind_peer {
	uint8_t address[16]; /* network order, IPv4 mapped */
	uint16_t port;       /* host order; 0: not known */
};
struct bind_range_use;

/* One call, as the kernel saw it. */
struct bind_event {
	uint64_t time_ns; /* CLOCK_MONOTONIC when it returned */
	enum bind_call call;
	int error;               /* errno, positive; 0: it worked */
	bool denied_by_lsm;      /* a security module refused the call */
	struct bind_place place; /* socket's options; address and port as asked for, or for
				    listen(), connect() as bound */
	int asked_family; /* sa_family of the address that was passed; -1: none, or not known */
	bool asked_known; /* place.address and port are what was passed; otherwise they are unknown:
			     0 */
	uint16_t port_got;       /* host order; the socket's port after the call; 0: none */
	bool rewritten;          /* bind() worked, but the socket is not where it asked to be */
	uint8_t address_got[16]; /* the socket's address after the call, network order */
	uint32_t backlog;        /* listen() */
	uint64_t cookie;         /* 0: not known */
	uint32_t inode;
	int32_t pid, tid; /* in the initial pid namespace; 0: no process has called yet */
	int32_t parent;
	uint64_t started_ns; /* of the process, CLOCK_BOOTTIME */
	char comm[16];       /* of the thread */
	char process[16];
	uint32_t euid;
	uint64_t cgroup_id; /* of the thread, in the cgroup v2 tree; 0: not known */
	bool can_bind_low;  /* CAP_NET_BIND_SERVICE is effective in the user namespace that owns the
			       network namespace */
	bool other_user_ns; /* it has the capability, but in a user namespace that does not own the
			       network namespace */
	bool can_raise;     /* CAP_NET_BIND_SERVICE is in its permitted set there, but not in its
			       effective set */
	bool capability_lost; /* its bounding set lacks CAP_NET_BIND_SERVICE: no program that it
				 starts can get it */
	const char *user;     /* name of euid; NULL: not known */
	const char *ipv6_off; /* the address is missing because net.ipv6.conf.THIS.disable_ipv6 is
				 set; NULL: that does not seem to be the reason */
	uint32_t port_limit;  /* net.ipv4.ip_unprivileged_port_start there */
	bool freebind; /* IP_FREEBIND or IP_TRANSPARENT is set: the address need not be local */
	uint16_t range_low, range_high; /* IP_LOCAL_PORT_RANGE as set; 0: not set */
	struct bind_peer peer;          /* connect(): where to */
	bool routed;     /* connect(): there is a route to the peer, with an address of ours: only a
			    port was missing */
	bool port_asked; /* bind() named the port of the socket: the kernel did not pick it */
	bool listened;   /* listen(): the socket was listening already */
	const struct bind_range_use *range; /* if the kernel had to pick a port: the ports that it
					       could choose from; NULL: not counted */
};

/* ---- the kernel's rules ---- */

/*
 * Does the occupant stand in the way of a bind() (CALL_BIND), or of the listen() that follows it
 * (CALL_LISTEN), by a socket with this place? The caller has made sure that network namespace and
 * port are the same. TCP follows inet_csk_bind_conflict() (net/ipv4/inet_connection_sock.c), UDP
 * follows udp_lib_lport_inuse() (net/ipv4/udp.c). If the occupant's options are not known
 * (TIME_WAIT), the result is true when it may be in the way; see bind_conflict_certain().
 */
bool bind_conflict(const struct bind_place *wanted, enum bind_call call,
		   const struct bind_occupant *occupant);
/* Is the occupant in the way whatever its options are? */
bool bind_conflict_certain(const struct bind_place *wanted, enum bind_call call,
			   const struct bind_occupant *occupant);

enum bind_outlook { BIND_WORKS, BIND_FAILS, BIND_MAY_FAIL };

/*
 * Would the call work, given the sockets that have the port? The function looks at all occupants
 * together, because the kernel does not just check one after another: TCP's bucket lets a socket in
 * without a check, and UDP's search ends with the first socket that may be joined. CALL_LISTEN: the
 * listen() after a bind() that worked. BIND_MAY_FAIL: the outcome depends on what can't be seen
 * (the options of an occupant, the order of UDP sockets).
 */
enum bind_outlook bind_predict(const struct bind_place *wanted, enum bind_call call,
			       const struct bind_occupant *occupants, size_t count);

/* For BIND_MAY_FAIL: says what the outcome depends on. */
const char *bind_doubt(const struct bind_place *wanted, const struct bind_occupant *occupants,
		       size_t count);

/* Could one datagram or connection match both addresses? This is inet_rcv_saddr_equal() with
 * wildcards. */
bool bind_addresses_overlap(const struct bind_place *a, const struct bind_place *b);

/* Is the occupant the event's own socket? After a call that worked, it is among the port's
 * occupants. */
bool bind_is_own(const struct bind_event *e, const struct bind_occupant *o);

/*
 * May the occupant have made the call fail? The rules decide, with two exceptions: the event's own
 * socket, and an occupant that is known to have come after the call. It came later if its bind()
 * began later, or if it is a connection of a process whose listening socket on the port came later.
 */
bool bind_in_the_way(const struct bind_event *e, const struct bind_occupant *occupants,
		     size_t count, const struct bind_occupant *o);

/* The index of the occupant that is most in the event's way (a listener comes before a socket that
 * lingers); -1: none is. */
int bind_blocker(const struct bind_event *e, const struct bind_occupant *occupants, size_t count);

/* Do device and address overlap, so that both sockets could get the same packets? */
bool bind_places_overlap(const struct bind_place *a, const struct bind_place *b);

/* ---- in words ---- */

#define BIND_TEXT_MAX 640

#define BIND_PLACE_TEXT 80
/* Writes "0.0.0.0:80", "[::]:80", "*:80" ([::] that takes IPv4 too), "[fe80::1%eth0]:80" or
 * "127.0.0.1%eth0:80" into buffer (BIND_PLACE_TEXT); returns it. */
char *bind_place_text(char *buffer, const struct bind_place *place);

/* Writes the destination of a connect() in the same form. */
char *bind_peer_text(char *buffer, const struct bind_peer *peer);

/* "bind", "listen", "connect" */
const char *bind_call_name(enum bind_call call);

/* "bound", "listening", "connected", "unconnected", "closing", "time-wait" */
const char *bind_state_name(enum bind_state state);

/* Two sets of ports: those that are well known, by /etc/services and by use, and those that the
 * user asked for. Port p is bit p & 63 of word p >> 6. */
struct bind_ports {
	uint64_t well_known[1024];
	uint64_t requested[1024];
};
/* Adds the ports that people use by hand and /etc/services may lack: 81, 3000, 8000, 8080, 8443...
 */
void bind_ports_by_use(struct bind_ports *ports);
static inline void bind_port_add(uint64_t *set, uint16_t port)
{
	set[port >> 6] |= 1ull << (port & 63);
}
static inline bool bind_port_in(const uint64_t *set, uint16_t port)
{
	return set[port >> 6] >> (port & 63) & 1;
}
static inline uint16_t bind_port_swapped(uint16_t port)
{
	return (uint16_t)(port << 8 | port >> 8);
}
/* The twin of a port has its two bytes swapped. Returns the twin if it is well known or requested
 * and the port itself is not: the server may have meant the twin. 0: there is none. */
uint16_t bind_twin(const struct bind_ports *ports, uint16_t port);
/* How many ports have such a twin. With this many among 65,535 a hit may be chance. */
unsigned bind_twins(const struct bind_ports *ports);

/* Returns the errno's name: "EADDRINUSE". An errno without a name is written into buffer (16
 * bytes): "errno 200". */
const char *bind_error_name(int error, char *buffer);

/* How completely the holders of the port were searched for. */
enum bind_looked { BIND_LOOKED, BIND_LOOKED_PARTLY, BIND_NOT_LOOKED };

/*
 * Writes why the call failed and what to do about it: one or two sentences into text
 * (BIND_TEXT_MAX). The occupants are those of the event's port and network namespace, found after
 * the event. A lack of occupants means something only as far as `looked` says that they were
 * searched for. *in_the_way (may be NULL): the index of the occupant that the text names, -1: none.
 */
void bind_explain(const struct bind_event *e, const struct bind_occupant *occupants, size_t count,
		  enum bind_looked looked, const struct bind_ports *ports, char *text,
		  int *in_the_way);

/* A successful call that looks wrong. Codes are stable: "rewritten", "byte-swapped",
 * "udp-two-users", "group-split". */
struct bind_suspicion {
	const char *code;
	char text[BIND_TEXT_MAX]; /* one sentence: what looks wrong, and what to do */
	int occupant;             /* index of the other occupant concerned; -1: none */
};
#define BIND_SUSPICIONS_MAX 4
/* Applies a table of rules. Returns how many of them matched. */
size_t bind_suspect(const struct bind_event *e, const struct bind_occupant *occupants, size_t count,
		    const struct bind_ports *ports, struct bind_suspicion *found);

/* Does a rule need the occupants of the port to judge this event? If not, the event can be judged
 * at once. */
bool bind_wants_occupants(const struct bind_event *e);

#endif
