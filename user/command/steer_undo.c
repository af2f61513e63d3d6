/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Only programs of SO_REUSEPORT groups outlive the tool; SK_LOOKUP programs end with it, and the
 * epoll entries that were out are put back by the guardian. */
#include "steer_undo.h"

#include <netinet/in.h>
#include <string.h>

#include "../collect/observer_steer.h"
#include "../model/steer_plan.h"
#include "../render/text.h"
#include "../steer/facts.h"
#include "../steer/left.h"
#include "command.h"
#include "listing.h"

/* Does a group have a program of ours? Sockets of others are not even taken. */
static bool group_is_steered(const struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		if (steer_is_listener(&e->sockets[i]) && e->sockets[i].steered &&
		    !strcmp(e->sockets[i].picker.name, STEER_GROUP_PROGRAM))
			return true;
	return false;
}

/* Returns an exit status; *removed: a program was. */
static int undo_port(const struct endpoint *e, FILE *out, bool *removed)
{
	struct steer_facts facts = {};
	char why[STEER_WHY], address[TEXT_ADDRESS_SIZE];
	int err = steer_facts_find(&facts, e, why, sizeof(why));

	text_address(address, e);
	if (!err && facts.steerer)
		return complain("tcp %s is steered by sockfair %d, which lives: end that one",
				address, facts.steerer);
	if (!err && facts.left)
		err = steer_left_remove(e, facts.left, why, sizeof(why));
	if (err)
		return complain("tcp %s: %s", address, why);
	if (!facts.left)
		return STATUS_OK; /* it has gone meanwhile */
	*removed = true;
	fprintf(out,
		"tcp %s: took off the program that a killed sockfair steer had left in its "
		"group; the kernel's hash shares it again\n",
		address);
	return STATUS_OK;
}

int steer_undo(const struct selection *asked, struct output *out)
{
	struct selection tcp = *asked;
	struct snapshot found = {};
	char why[STEER_WHY];
	bool removed = false;
	int status = STATUS_OK;

	tcp.protocol = IPPROTO_TCP;
	if (listing_fill(&tcp, &found, why, sizeof(why)))
		status = complain("%s", why);
	for (size_t i = 0; i < found.endpoint_count; i++)
		if (group_is_steered(&found.endpoints[i]) &&
		    undo_port(&found.endpoints[i], out->file, &removed))
			status = STATUS_FAILED;
	if (!status && !removed)
		fputs("nothing was left behind\n", out->file);
	snapshot_free(&found);
	return output_flush(out) ? STATUS_FAILED : status;
}
