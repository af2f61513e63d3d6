/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thread, and select(): there are few descriptors, and the library's epoll, edge-triggered,
 * does not see the end of a connection that comes together with the last data. Connections are
 * accepted here and handed to the library, so that a place can be made for a new one.
 */
#include "http.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "accept.h"
#include "clients.h"

#define SWEEP_MS 1000
#define TAKEN_AT_ONCE 16
/* Nothing that scrapes comes near it. Longer requests are told so (414, 431). */
#define REQUEST_BYTES ((size_t)16 << 10)
/* How long the listener is left alone when the machine has no room for a connection. */
#define REST_MS 100

enum saying { SAYS_INDEX, SAYS_UNKNOWN, SAYS_METHOD, SAYS_BODY, SAYS_NOTHING_YET, SAYINGS };

static const struct {
	unsigned status;
	const char *type, *text;
	const char *name, *value; /* one more header, or NULL */
} sayings[SAYINGS] = {
	[SAYS_INDEX] = { .status = MHD_HTTP_OK,
			 .type = "text/html; charset=utf-8",
			 .text = "<!DOCTYPE html>\n<html lang=\"en\"><title>sockfair</title>\n"
				 "<h1>sockfair</h1>\n<p>How this host's sockets share their work: "
				 "<a href=\"metrics\">metrics</a></p></html>\n" },
	[SAYS_UNKNOWN] = { .status = MHD_HTTP_NOT_FOUND,
			   .type = "text/plain",
			   .text = "There is only /metrics here.\n" },
	[SAYS_METHOD] = { .status = MHD_HTTP_METHOD_NOT_ALLOWED,
			  .type = "text/plain",
			  .text = "Only GET and HEAD are answered.\n",
			  .name = MHD_HTTP_HEADER_ALLOW,
			  .value = "GET, HEAD" },
	[SAYS_BODY] = { .status = MHD_HTTP_CONTENT_TOO_LARGE,
			.type = "text/plain",
			.text = "A request has no body here.\n" },
	[SAYS_NOTHING_YET] = { .status = MHD_HTTP_SERVICE_UNAVAILABLE,
			       .type = "text/plain",
			       .text = "Nothing has been collected yet.\n",
			       .name = MHD_HTTP_HEADER_RETRY_AFTER,
			       .value = "1" },
};

struct http {
	struct MHD_Daemon *daemon;
	const struct pages *pages;
	int listener, lifeline;
	bool rests; /* the listener is left alone for REST_MS */
	struct http_clients clients;
	struct MHD_Response *sayings[SAYINGS];
	struct newest { /* NULL: no page was asked for yet */
		struct MHD_Response *response;
		uint64_t sequence;
	} newest[EXPORT_FORMATS];
	unsigned copies;
};

/* ---- pages ---- */

/* What a response is made of; it lives until the last client has read it. */
struct served_page {
	struct page_copy copy;
	struct http *of;
};

static void served_page_free(void *page)
{
	struct served_page *p = page;

	p->of->copies--;
	page_free(&p->copy);
	free(p);
}

static struct MHD_Response *page_response(struct served_page *p, enum export_format format)
{
	struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
		p->copy.length, p->copy.text, served_page_free, p);

	if (response) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
					accepting_type(format));
		MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT);
	}
	return response;
}

/* The newest page takes the place of the one before, if it can be copied. */
static void newest_take(struct http *h, enum export_format format)
{
	struct newest *newest = &h->newest[format];
	struct served_page *p = malloc(sizeof(*p));
	struct MHD_Response *response;

	if (!p)
		return;
	p->of = h;
	if (pages_copy(h->pages, format, &p->copy)) {
		free(p);
		return;
	}
	h->copies++;
	response = page_response(p, format);
	if (!response) {
		served_page_free(p);
		return;
	}
	if (newest->response)
		MHD_destroy_response(newest->response);
	*newest = (struct newest){ .response = response, .sequence = p->copy.sequence };
}

/*
 * The page to send, NULL: there is none. Clients that read slowly keep copies of pages that are
 * old by now. If these are too many, one of them has to go, and the page before is sent: it is
 * whole, too.
 */
static struct MHD_Response *newest_page(struct http *h, enum export_format format)
{
	if (h->newest[format].sequence != pages_sequence(h->pages, format)) {
		if (h->copies < HTTP_COPIES)
			newest_take(h, format);
		else
			clients_make_room(&h->clients);
	}
	return h->newest[format].response;
}

/* ---- requests ---- */

static enum MHD_Result accept_line_take(void *to, enum MHD_ValueKind kind, const char *key,
					const char *value)
{
	(void)kind;
	if (value && !strcasecmp(key, MHD_HTTP_HEADER_ACCEPT))
		accepting_line(to, value);
	return MHD_YES;
}

static enum MHD_Result send_page(struct http *h, struct MHD_Connection *connection)
{
	struct accepting accepting = {};
	struct MHD_Response *page;

	MHD_get_connection_values(connection, MHD_HEADER_KIND, accept_line_take, &accepting);
	page = newest_page(h, accepting_choice(&accepting));
	return page ? MHD_queue_response(connection, MHD_HTTP_OK, page)
		    : MHD_queue_response(connection, sayings[SAYS_NOTHING_YET].status,
					 h->sayings[SAYS_NOTHING_YET]);
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length && strcmp(length, "0")) ||
	       MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
					   MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* What is said of a request beside a page; SAYINGS: nothing, it is for a page. */
static enum saying saying_for(struct MHD_Connection *connection, const char *url,
			      const char *method)
{
	const bool page = !strcmp(url, "/metrics"), index = !strcmp(url, "/");

	if (!page && !index)
		return SAYS_UNKNOWN;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return SAYS_METHOD;
	if (has_body(connection))
		return SAYS_BODY;
	return index ? SAYS_INDEX : SAYINGS;
}

static struct http_client *client_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

/*
 * Called twice for a request, before its body and after. What has no page as its answer is
 * answered at the first, so that the library takes no body, and closes the connection if there is
 * one.
 */
static enum MHD_Result request_take(void *to, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *body,
				    size_t *body_bytes, void **seen)
{
	struct http *h = to;
	const enum saying says = saying_for(connection, url, method);

	(void)version;
	(void)body;
	(void)body_bytes;
	client_asks(client_of(connection));
	if (says != SAYINGS)
		return MHD_queue_response(connection, sayings[says].status, h->sayings[says]);
	if (*seen)
		return send_page(h, connection);
	*seen = h;
	return MHD_YES;
}

static void request_done(void *to, struct MHD_Connection *connection, void **seen,
			 enum MHD_RequestTerminationCode how)
{
	(void)to;
	(void)seen;
	(void)how;
	client_answered(client_of(connection));
}

/* ---- connections ---- */

static void connection_notice(void *to, struct MHD_Connection *connection, void **client,
			      enum MHD_ConnectionNotificationCode what)
{
	struct http *h = to;

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*client = clients_enter(
			&h->clients,
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				->connect_fd);
	else
		clients_leave(&h->clients, *client);
}

static void connections_take(struct http *h)
{
	for (int i = 0; i < TAKEN_AT_ONCE; i++) {
		struct sockaddr_storage from = { .ss_family = AF_UNIX };
		socklen_t length = sizeof(from);
		int fd;

		if (h->clients.count >= CLIENTS_MAX) {
			clients_make_room(&h->clients);
			return;
		}
		fd = accept4(h->listener, (struct sockaddr *)&from, &length,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			h->rests = errno != EAGAIN && errno != ECONNABORTED && errno != EINTR;
			return;
		}
		MHD_add_connection(h->daemon, fd, (struct sockaddr *)&from, length);
	}
}

/* ---- all of it ---- */

static struct MHD_Response *saying_response(enum saying says)
{
	const char *text = sayings[says].text;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return NULL;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, sayings[says].type);
	if (sayings[says].name)
		MHD_add_response_header(response, sayings[says].name, sayings[says].value);
	return response;
}

static bool http_open(struct http *h)
{
	for (enum saying says = 0; says < SAYINGS; says++) {
		h->sayings[says] = saying_response(says);
		if (!h->sayings[says])
			return false;
	}
	h->daemon = MHD_start_daemon(MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, request_take, h,
				     MHD_OPTION_NOTIFY_CONNECTION, connection_notice, h,
				     MHD_OPTION_NOTIFY_COMPLETED, request_done, h,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_MAX,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_BYTES,
				     MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	return h->daemon;
}

struct http *http_new(const struct pages *pages, int listener, int lifeline)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->pages = pages;
	h->listener = listener;
	h->lifeline = lifeline;
	if (http_open(h))
		return h;
	free(h); /* the rest goes with the process, which can't serve */
	return NULL;
}

/* How long select() may wait: as long as it likes while there is no client. */
static struct timeval *patience(const struct http *h, struct timeval *wait)
{
	unsigned long long ms = h->rests ? REST_MS : h->clients.count ? SWEEP_MS : ULLONG_MAX;
	MHD_UNSIGNED_LONG_LONG asked;

	if (MHD_get_timeout(h->daemon, &asked) == MHD_YES && asked < ms)
		ms = asked;
	*wait = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	return ms == ULLONG_MAX ? NULL : wait;
}

_Static_assert(CLIENTS_DESCRIPTORS <= FD_SETSIZE, "select() has room for all descriptors");

/* Returns whether to go on. */
static bool serve_once(struct http *h)
{
	int highest = h->listener > h->lifeline ? h->listener : h->lifeline;
	fd_set reads, writes, errors;
	struct timeval wait;

	FD_ZERO(&reads);
	FD_ZERO(&writes);
	FD_ZERO(&errors);
	FD_SET(h->lifeline, &reads);
	if (!h->rests)
		FD_SET(h->listener, &reads);
	if (MHD_get_fdset(h->daemon, &reads, &writes, &errors, &highest) != MHD_YES)
		return false;
	if (select(highest + 1, &reads, &writes, &errors, patience(h, &wait)) < 0)
		return errno == EINTR;
	if (FD_ISSET(h->lifeline, &reads))
		return false;
	h->rests = false;
	if (FD_ISSET(h->listener, &reads))
		connections_take(h);
	MHD_run_from_select(h->daemon, &reads, &writes, &errors);
	clients_sweep(&h->clients);
	return true;
}

void http_serve(struct http *h)
{
	while (serve_once(h))
		;
}
