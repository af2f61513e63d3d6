/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Enters the network namespace and tries the address of each check with a socket like the
 * server's, then reads the settings and rights that decide a bind() there. No port is taken.
 */
#include "bindable.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../model/netns_name.h"
#include "binds_record.h"
#include "ipv6_off.h"
#include "../attach/loading.h"
#include "../attach/rights.h"
#include "../attach/small_file.h"
#include "namespace.h"
#include "device.h"

/*
 * Evaluates ns_capable() (kernel/capability.c): a capability counts in the user namespace that
 * owns the network namespace, and the creator of that user namespace has it too. Returns 0, or
 * negative errno if the kernel could not be asked.
 */
static int rights_fill(struct bind_check *c, uint32_t netns, const struct bindable_user *user)
{
	int net = namespace_open(netns), owner = net < 0 ? net : ioctl(net, NS_GET_USERNS),
	    err = net < 0     ? net
		  : owner < 0 ? -errno
			      : 0;
	const bool has = user->self ? right_held(CAP_NET_BIND_SERVICE) : user->uid == 0;
	uid_t creator;

	/* EPERM: the user namespace is above ours, or beside it. */
	c->event.can_bind_low = has && owner >= 0;
	c->event.other_user_ns = has && owner < 0;
	if (!has && owner >= 0 && user->uid && !ioctl(owner, NS_GET_OWNER_UID, &creator))
		c->event.can_bind_low = creator == user->uid;
	if (owner >= 0)
		close(owner);
	if (net >= 0)
		close(net);
	return err == -EPERM ? 0 : err;
}

static int limit_read(uint32_t *limit)
{
	char text[32];

	small_file_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", text, sizeof(text));
	return sscanf(text, "%" SCNu32, limit) == 1 ? 0 : -EIO;
}

/* Opens a socket with the server's options. Returns its descriptor, or negative errno. */
static int socket_like(struct bind_place *place, bool v6only_known)
{
	int fd = socket(place->family,
			(place->protocol == PROTOCOL_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC,
			0),
	    on = 1, v6only = place->v6only;
	const uint64_t mark = BINDS_OWN_MARK;
	socklen_t size = sizeof(v6only);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &mark,
		   sizeof(mark)); /* makes `sockfair binds` ignore the socket */
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)))
		goto fail;
	if (place->family == AF_INET6 && v6only_known &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)))
		goto fail;
	/* net.ipv6.bindv6only decides for new sockets. */
	if (place->family == AF_INET6 && !getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &size))
		place->v6only = v6only;
	if (place->device &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &place->device, sizeof(place->device)))
		goto fail;
	return fd;
fail:
	on = -errno;
	close(fd);
	return on;
}

static void address_try(struct bind_check *c)
{
	struct bind_place *p = &c->event.place;
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_scope_id = p->device };
	struct sockaddr_in four = { .sin_family = AF_INET };
	int fd = socket_like(p, c->any || p->v6only);

	if (fd == -EAFNOSUPPORT && c->any) {
		p->family = AF_INET;
		fd = socket_like(p, false);
	}
	c->event.asked_family = p->family;
	memcpy(&six.sin6_addr, p->address, sizeof(six.sin6_addr));
	memcpy(&four.sin_addr, p->address, sizeof(four.sin_addr));
	if (fd < 0)
		c->address_error = -fd;
	else if (bind(fd,
		      p->family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four,
		      p->family == AF_INET6 ? sizeof(six) : sizeof(four)))
		c->address_error = errno;
	else
		c->address_error = 0;
	if (fd >= 0)
		close(fd);
}

/* What to ask in a namespace. */
struct bindable_asking {
	struct bind_check *checks;
	size_t count;
	const struct bindable_user *user;
	char *why;
	size_t why_size;
	int err; /* the reason is in `why` */
};

static int check_fill(struct bind_check *c, uint32_t netns, const struct bindable_user *user,
		      char *why, size_t why_size)
{
	struct bind_place *p = &c->event.place;
	int err;

	p->netns = netns;
	p->uid = c->event.euid = user->self ? geteuid() : user->uid;
	c->event.asked_known = true;
	if (*p->device_name) {
		p->device = if_nametoindex(p->device_name);
		if (!p->device && strspn(p->device_name, "0123456789") == strlen(p->device_name))
			p->device = strtoul(p->device_name, NULL, 10);
		if (!p->device || !if_indextoname(p->device, p->device_name))
			return loading_fail(-ENODEV, why, why_size,
					    "there is no interface %.15s in that network "
					    "namespace; see ip link",
					    p->device_name);
	}
	p->vrf = p->protocol == PROTOCOL_UDP ? 0 : device_vrf(p->device);
	err = limit_read(&c->event.port_limit);
	if (err)
		return loading_fail(err, why, why_size,
				    "cannot read net.ipv4.ip_unprivileged_port_start: is /proc "
				    "mounted, with /proc/sys?");
	err = rights_fill(c, netns, user);
	if (err)
		return loading_fail(
			err, why, why_size,
			"cannot tell which user namespace the network namespace %" PRIu32
			" is of: %s",
			netns, strerror(-err));
	address_try(c);
	if (c->address_error == EADDRNOTAVAIL && p->family == AF_INET6)
		c->event.ipv6_off = ipv6_off_here(p->address);
	return 0;
}

static int checks_fill(void *to, uint32_t netns)
{
	struct bindable_asking *a = to;

	for (size_t i = 0; i < a->count && !a->err; i++)
		a->err = check_fill(&a->checks[i], netns, a->user, a->why, a->why_size);
	return a->err;
}

int bindable_ask(struct bind_check *checks, size_t count, uint32_t netns,
		 const struct bindable_user *user, char *why, size_t why_size)
{
	struct bindable_asking a = { checks, count, user, why, why_size, 0 };
	int failed, back = namespace_within(netns, checks_fill, &a, &failed);
	char name[NETNS_NAME_SIZE];

	if (a.err)
		return a.err;
	if (back)
		return loading_fail(back, why, why_size,
				    "cannot return to the own network namespace: %s",
				    strerror(-back));
	if (!failed)
		return 0;
	namespaces_name();
	return loading_fail(failed, why, why_size,
			    "cannot enter the network namespace %s: %s; it takes CAP_SYS_ADMIN, "
			    "and a process that lives there or a name of ip netns",
			    netns_say(name, netns), strerror(-failed));
}
