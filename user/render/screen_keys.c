/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys of the full-screen view: a table of what each does and how the page explains it. */
#include "screen_keys.h"

#include <string.h>

#define FAR 1000000 /* lines: beyond any list */

enum act {
	ACT_QUIT,
	ACT_RESET,
	ACT_HELP,
	ACT_FREEZE,
	ACT_RECENT,
	ACT_SORT,
	ACT_REVERSE,
	ACT_TAB,  /* arg: which tab */
	ACT_NEXT, /* arg: how many tabs further */
	ACT_MOVE, /* arg: lines */
	ACT_PAGE, /* arg: pages */
	ACT_ENTER,
	ACT_BACK
};

static enum screen_answer press_enter(struct screen_state *s)
{
	if (s->help || s->tab != TAB_PORTS || !s->pointed)
		return SCREEN_IGNORED;
	s->selected = true;
	s->chosen = s->cursor;
	s->tab = TAB_WORKERS;
	memset(s->top, 0, sizeof(s->top));
	return SCREEN_CHANGED;
}

static void press_back(struct screen_state *s)
{
	if (!s->help) {
		s->selected = false;
		s->tab = TAB_PORTS;
		memset(s->top, 0, sizeof(s->top));
	}
	s->help = false;
}

static enum screen_answer act(struct screen_state *s, enum act what, int arg)
{
	switch (what) {
	case ACT_QUIT: return SCREEN_QUIT;
	case ACT_RESET: s->frozen = false; return SCREEN_RESET;
	case ACT_HELP: s->help = !s->help; break;
	case ACT_FREEZE: s->frozen = !s->frozen; break;
	case ACT_RECENT: s->recent = !s->recent; break;
	case ACT_SORT:
		s->sort[s->tab]++;
		s->reversed[s->tab] = false;
		break;
	case ACT_REVERSE: s->reversed[s->tab] = !s->reversed[s->tab]; break;
	case ACT_NEXT: arg += s->tab + TAB_COUNT; /* fall through */
	case ACT_TAB:
		s->tab = arg % TAB_COUNT;
		s->help = false;
		break;
	case ACT_MOVE: s->move += arg; break;
	case ACT_PAGE: s->move += arg * (s->page > 2 ? s->page - 1 : 1); break;
	case ACT_ENTER: return press_enter(s);
	case ACT_BACK: press_back(s); break;
	}
	return SCREEN_CHANGED;
}

/* If several keys do the same, the first has the explanation. `brief` goes into the last line of
 * the page. */
static const struct {
	int key, arg;
	enum act act;
	const char *name, *brief, *what;
} keys[] = {
	{ 'q', 0, ACT_QUIT, "q, Ctrl-C", "q quit", "quit" },
	{ 'h', 0, ACT_HELP, "h, ?", "h help", "this help, and back" },
	{ '?', 0, ACT_HELP, NULL, NULL, NULL },
	{ '1', TAB_PORTS, ACT_TAB, "1 2 3 4", "1-4 tabs",
	  "ports, sockets, workers (threads), processes; also Tab, arrows" },
	{ '2', TAB_SOCKETS, ACT_TAB, NULL, NULL, NULL },
	{ '3', TAB_WORKERS, ACT_TAB, NULL, NULL, NULL },
	{ '4', TAB_PROCESSES, ACT_TAB, NULL, NULL, NULL },
	{ '\t', 1, ACT_NEXT, NULL, NULL, NULL },
	{ SCREEN_RIGHT, 1, ACT_NEXT, NULL, NULL, NULL },
	{ SCREEN_LEFT, -1, ACT_NEXT, NULL, NULL, NULL },
	{ SCREEN_UP, -1, ACT_MOVE, "up, down", NULL,
	  "move the cursor, or scroll; also PgUp, PgDn, Home, End, k, j" },
	{ SCREEN_DOWN, 1, ACT_MOVE, NULL, NULL, NULL },
	{ 'k', -1, ACT_MOVE, NULL, NULL, NULL },
	{ 'j', 1, ACT_MOVE, NULL, NULL, NULL },
	{ SCREEN_PAGE_UP, -1, ACT_PAGE, NULL, NULL, NULL },
	{ SCREEN_PAGE_DOWN, 1, ACT_PAGE, NULL, NULL, NULL },
	{ SCREEN_HOME, -FAR, ACT_MOVE, NULL, NULL, NULL },
	{ SCREEN_END, FAR, ACT_MOVE, NULL, NULL, NULL },
	{ SCREEN_ENTER, 0, ACT_ENTER, "Enter", "Enter open", "only the port under the cursor" },
	{ SCREEN_BACK, 0, ACT_BACK, "Esc", "Esc all", "back to all ports; also Backspace" },
	{ 's', 0, ACT_SORT, "s, S", "s sort", "sort by the next column; S: the other way round" },
	{ 'S', 0, ACT_REVERSE, NULL, NULL, NULL },
	{ 't', 0, ACT_RECENT, "t", "t interval",
	  "shares and verdicts since the start, or of the last interval" },
	{ 'f', 0, ACT_FREEZE, "f, space", "f freeze",
	  "keep this picture, and go on; counting never stops" },
	{ ' ', 0, ACT_FREEZE, NULL, NULL, NULL },
	{ 'z', 0, ACT_RESET, "z, r", "z reset", "begin counting anew" },
	{ 'r', 0, ACT_RESET, NULL, NULL, NULL },
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

enum screen_answer screen_press(struct screen_state *state, int key)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (keys[i].key == key)
			return act(state, keys[i].act, keys[i].arg);
	return SCREEN_IGNORED;
}

void screen_footer(struct grid *g, int row, const struct screen_state *state)
{
	int column = 0;

	for (size_t i = 0; i < KEY_COUNT; i++) {
		const bool here = keys[i].key == SCREEN_ENTER
					  ? state->tab == TAB_PORTS && !state->help
				  : keys[i].key == SCREEN_BACK ? state->selected || state->help
							       : true;
		const char *brief = keys[i].key == SCREEN_BACK && state->help ? "Esc back"
				    : keys[i].key == 't' && state->recent     ? "t since start"
									      : keys[i].brief;

		if (!brief || !here || column + grid_width(g, brief) > g->columns)
			continue;
		column += grid_put(g, row, column, g->columns - column, ALIGN_LEFT, ATTRIBUTE_DIM,
				   brief) +
			  2;
	}
}

const char *screen_key_explained(size_t *next, const char **what)
{
	while (*next < KEY_COUNT) {
		const size_t i = (*next)++;

		*what = keys[i].what;
		if (*what)
			return keys[i].name;
	}
	return NULL;
}
