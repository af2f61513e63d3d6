/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bind() and listen(): what was asked, who has the port, the kernel's rules of who may share it,
 * and what that means in words. Pure: collect/ fills the structures, render/ prints them.
 */
#ifndef SOCKFAIR_BIND_H
#define SOCKFAIR_BIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model/snapshot.h"

/* Where a socket is, or wants to be, bound, and with which options. */
struct bind_place {
	enum protocol protocol; /* MPTCP is TCP */
	int family;             /* of the socket: AF_INET or AF_INET6 */
	uint8_t address[16];    /* network order; 4 bytes used for AF_INET */
	uint16_t port;          /* host order */
	uint32_t netns;         /* inode */
	uint32_t device;        /* interface index; 0: any */
	char device_name[16];   /* "": none, or not known */
	uint32_t vrf; /* TCP: index of the VRF device by which its port is looked up; 0: none, or
			 net.ipv4.tcp_l3mdev_accept=1 */
	uint32_t uid; /* owner of the socket (its effective uid when it was made) */
	bool reuseaddr, reuseport;
	bool v6only;
};

/* As in the kernel's TCP_ESTABLISHED...; UDP has UNCONNECTED and CONNECTED. */
enum bind_state {
	BIND_BOUND, /* TCP: bound, and not yet listening */
	BIND_LISTENING,
	BIND_CONNECTED,   /* TCP: a connection in any state in which a process may hold it. UDP:
			     connected */
	BIND_UNCONNECTED, /* UDP */
	BIND_CLOSING,     /* TCP: a connection that no process holds any more: FIN_WAIT, CLOSING,
			     LAST_ACK */
	BIND_TIME_WAIT,
};

/*
 * What the kernel keeps per TCP port so as not to look at every socket (struct inet_bind_bucket):
 * it lets in without a look who comes after others like it. All sockets of a port and network
 * namespace share one.
 */
struct bind_bucket {
	bool known;
	int8_t reuse; /* fastreuse: above 0: all who came had SO_REUSEADDR, and none ever listened
		       */
	int8_t reuseport; /* fastreuseport: above 0: SO_REUSEPORT sockets of `place.uid` may come;
			     BIND_BUCKET_STRICT: if their address overlaps with place's */
	struct bind_place place; /* family, address, v6only, uid */
};
#define BIND_BUCKET_STRICT 2 /* FASTREUSEPORT_STRICT */

/* A process that holds a socket. */
struct bind_holder {
	uint32_t inode;      /* of the socket */
	int32_t pid, parent; /* in the initial pid namespace */
	int32_t pid_inside;  /* as its own pid namespace counts */
	uint64_t started_ns; /* CLOCK_BOOTTIME; 0: not known. A pid may be another process's by now
			      */
	uint32_t descriptor; /* the lowest that leads there */
	char process[16];
};

/* Who chose the number of the port. Of a connection that came in by a listener it is not known. */
enum bind_origin {
	ORIGIN_UNKNOWN,
	ORIGIN_ASKED,  /* bind() was called with it, for that very socket */
	ORIGIN_PICKED, /* the kernel: connect() or sendto() without bind(), or bind() to port 0 */
};

/* Somebody who has a port. One row for all connections of one state and process that differ in
 * their remote end alone. */
struct bind_occupant {
	struct bind_place place;
	enum bind_state state;
	bool options_known; /* place.reuseaddr and reuseport mean something */
	uint64_t count;     /* sockets in this row */
	uint64_t cookie;    /* of one of them; 0: not known */
	uint32_t inode;     /* of one of them; 0: not known */
	int32_t pid;        /* a process that holds it; 0: none does, or it was not found */
	bool encapsulates;  /* UDP, held by nobody: the kernel takes its datagrams out before they
			       are queued */
	bool held; /* somebody holds it, though pid may be 0: in flight between processes, or a
		      registered file of io_uring */
	int32_t pid_inside; /* as its own pid namespace counts; 0: not known */
	unsigned holders;   /* how many processes do */
	const struct bind_holder
		*held_by; /* those, by pid; of one of them; NULL: not known. Not owned */
	char process[16];
	const char *cgroup; /* of pid, CGROUP_SIZE; NULL: not known. Not owned */
	uint64_t cgroup_id; /* its number in the cgroup v2 tree; 0: not known */
	enum bind_origin origin;
	bool pickable;        /* the kernel may pick that port as net.ipv4.ip_local_port_range and
				 ip_local_reserved_ports are now */
	bool others_reserved; /* ip_local_reserved_ports has ports in it */
	uint8_t peer[16]; /* where it is connected to; network order, the family of `place`; of one
			     of them */
	uint16_t peer_port; /* 0: not connected, or not known */
	bool peers_differ;
	bool by_kernel;    /* the kernel made it for itself */
	char receiver[64]; /* then: the function that takes what arrives, and its module: "vxlan_rcv
			      [vxlan]"; "": it tells nothing */
	double seconds_left; /* BIND_TIME_WAIT: until the last of them is over; NaN: not known */
	uint64_t since_ns;   /* CLOCK_MONOTONIC, when it asked for the port; 0: not known (mostly:
				before anybody watched) */
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
	bool denied_by_lsm;      /* a security module refused it */
	struct bind_place place; /* socket's options; address and port as asked for; listen(),
				    connect(): as bound */
	int asked_family;  /* sa_family of the address that was passed; -1: none, or not known */
	bool asked_known;  /* place.address and port are what was passed (else unknown: 0) */
	uint16_t port_got; /* host order; that of the socket afterwards; 0: none */
	bool rewritten;    /* bind() worked, and the socket is not where it asked to be */
	uint8_t address_got[16]; /* that of the socket afterwards, network order */
	uint32_t backlog;        /* listen() */
	uint64_t cookie;         /* 0: not known */
	uint32_t inode;
	int32_t pid, tid; /* in the initial pid namespace; 0: nobody has called yet */
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
	bool can_raise;     /* it is permitted there, and not effective */
	bool capability_lost; /* its bounding set lacks it: no program that it starts can get it */
	const char *user;     /* name of euid; NULL: not known */
	const char *ipv6_off; /* the address is not here for net.ipv6.conf.THIS.disable_ipv6 is set;
				 NULL: as far as is known that is not why */
	uint32_t port_limit;  /* net.ipv4.ip_unprivileged_port_start there */
	bool freebind;        /* IP_FREEBIND, IP_TRANSPARENT: the address need not be here */
	uint16_t range_low, range_high; /* IP_LOCAL_PORT_RANGE, as set; 0: not */
	struct bind_peer peer;          /* connect(): where to */
	bool routed; /* connect(): there is a way to it, with an address of ours: only a port was
			missing */
	bool port_asked; /* bind() named the port of the socket: the kernel did not pick it */
	bool listened;   /* listen(): it did before */
	const struct bind_range_use *range; /* where the kernel had to pick a port: those that it
					       could choose from; NULL: not counted */
};

/* ---- the kernel's rules ---- */

/*
 * Does the occupant stand in the way of a bind() (CALL_BIND), or of the listen() that follows it
 * (CALL_LISTEN), of a socket with that place? Same network namespace and port are taken for
 * granted. TCP: inet_csk_bind_conflict() (net/ipv4/inet_connection_sock.c); UDP:
 * udp_lib_lport_inuse() (net/ipv4/udp.c). Of an occupant whose options are not known (TIME_WAIT) it
 * is true when it may be in the way; see bind_conflict_certain().
 */
bool bind_conflict(const struct bind_place *wanted, enum bind_call call,
		   const struct bind_occupant *occupant);
/* Is it in the way whatever its options are? */
bool bind_conflict_certain(const struct bind_place *wanted, enum bind_call call,
			   const struct bind_occupant *occupant);

enum bind_outlook { BIND_WORKS, BIND_FAILS, BIND_MAY_FAIL };

/*
 * Would the call work, as far as those go who have the port? All occupants of it together, for here
 * the kernel is not the sum of its rules: TCP's bucket lets in without a look, and UDP's search
 * ends with the first socket that may be joined. CALL_LISTEN: the listen() after a bind() that
 * worked. BIND_MAY_FAIL: it depends on what can't be seen (options of an occupant, the order of UDP
 * sockets).
 */
enum bind_outlook bind_predict(const struct bind_place *wanted, enum bind_call call,
			       const struct bind_occupant *occupants, size_t count);

/* Of what is BIND_MAY_FAIL: what it depends on. */
const char *bind_doubt(const struct bind_place *wanted, const struct bind_occupant *occupants,
		       size_t count);

/* Would a datagram or connection fit both? inet_rcv_saddr_equal() with wildcards. */
bool bind_addresses_overlap(const struct bind_place *a, const struct bind_place *b);

/* Is it the event's own socket, which is among its port's occupants when the call worked? */
bool bind_is_own(const struct bind_event *e, const struct bind_occupant *o);

/*
 * May the occupant have made the call fail? By the rules, unless it is its own socket, or is known
 * to have come after the call: its bind() began later, or it is a connection of a process that
 * listens there with a socket that came later.
 */
bool bind_in_the_way(const struct bind_event *e, const struct bind_occupant *occupants,
		     size_t count, const struct bind_occupant *o);

/* The occupant that is most in the event's way (who listens before who lingers); -1: none is. */
int bind_blocker(const struct bind_event *e, const struct bind_occupant *occupants, size_t count);

/* The device and the address overlap: they could get the same packets. */
bool bind_places_overlap(const struct bind_place *a, const struct bind_place *b);

/* ---- in words ---- */

#define BIND_TEXT_MAX 640

#define BIND_PLACE_TEXT 80
/* "0.0.0.0:80", "[::]:80", "*:80" ([::] that takes IPv4 too), "[fe80::1%eth0]:80",
 * "127.0.0.1%eth0:80"; into buffer (BIND_PLACE_TEXT); returns it. */
char *bind_place_text(char *buffer, const struct bind_place *place);

/* The same of where a connect() goes. */
char *bind_peer_text(char *buffer, const struct bind_peer *peer);

/* "bind", "listen", "connect" */
const char *bind_call_name(enum bind_call call);

/* "bound", "listening", "connected", "unconnected", "closing", "time-wait" */
const char *bind_state_name(enum bind_state state);

/* Ports that are well known, by /etc/services and by use; and those that the user asked for. Bit p
 * & 63 of word p >> 6. */
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
/* The well-known or requested port that a server may have meant: the twin of one that is itself not
 * known. 0: none. */
uint16_t bind_twin(const struct bind_ports *ports, uint16_t port);
/* How many ports have one: of so many in 65,535 it is chance. */
unsigned bind_twins(const struct bind_ports *ports);

/* Errno as a name: "EADDRINUSE". "errno 200" into buffer (16 bytes) for one without. */
const char *bind_error_name(int error, char *buffer);

/* How far it was looked who has the port. */
enum bind_looked { BIND_LOOKED, BIND_LOOKED_PARTLY, BIND_NOT_LOOKED };

/*
 * Why the call failed and what to do about it: one or two sentences into text (BIND_TEXT_MAX). The
 * occupants are those of its port and network namespace, found after the event; that there are none
 * means something only as far as was looked. *in_the_way (may be NULL): the index of the one that
 * is named, -1: none.
 */
void bind_explain(const struct bind_event *e, const struct bind_occupant *occupants, size_t count,
		  enum bind_looked looked, const struct bind_ports *ports, char *text,
		  int *in_the_way);

/* A successful call that looks wrong. Codes are stable: "rewritten", "byte-swapped",
 * "udp-two-users", "group-split". */
struct bind_suspicion {
	const char *code;
	char text[BIND_TEXT_MAX]; /* one sentence: what looks wrong, and what to do */
	int occupant;             /* index of who else is concerned; -1: nobody */
};
#define BIND_SUSPICIONS_MAX 4
/* A table of rules. Returns how many apply. */
size_t bind_suspect(const struct bind_event *e, const struct bind_occupant *occupants, size_t count,
		    const struct bind_ports *ports, struct bind_suspicion *found);

/* Does a rule need the occupants of the port to judge that event? Without, it may be judged at
 * once. */
bool bind_wants_occupants(const struct bind_event *e);

#endif
