/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The full-screen view on a terminal: signals, ncurses, keys, size. screen.c composes what is drawn
 * here. */
#include "terminal.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "screen.h"

#define KEY_CTRL(c) ((c)&0x1f)
#define SIGNAL_MAX 40

struct picture {
	struct snapshot interval, total;
	bool set;
};

struct terminal {
	SCREEN *screen;
	FILE *keys; /* where keys come from */
	bool utf8, colour;
	struct screen_state state;
	struct picture latest, kept; /* kept: what is shown while frozen */
	struct sigaction before[SIGNAL_MAX];
	size_t signal_count;
};

/* ---- restoring the terminal: only calls that a signal handler may make ---- */

static struct {
	volatile sig_atomic_t open;
	int fd;
	struct termios termios;
	char leave[256]; /* the bytes that end colours, the keypad, the hidden cursor and the
			    alternate screen */
	size_t length;
} found;

static void terminal_restore(void)
{
	size_t done = 0;
	ssize_t n;

	if (!found.open)
		return;
	found.open = 0;
	while (done < found.length &&
	       (n = write(found.fd, found.leave + done, found.length - done)) > 0)
		done += n;
	tcsetattr(found.fd, TCSANOW, &found.termios);
}

static volatile sig_atomic_t resized, stopped, continued;
static struct terminal_end ending;

/* Restores the terminal. The default action follows: the signal is blocked until the handler
 * returns. */
static void on_fatal(int signal)
{
	int saved = errno;

	terminal_restore();
	raise(signal); /* SA_RESETHAND has restored the default action */
	errno = saved;
}

/* The first signal asks for an orderly end, the second one ends the program. */
static void on_end(int number)
{
	if (!ending.ask())
		return;
	signal(number, SIG_DFL);
	on_fatal(number);
}

static void on_change(int signal)
{
	if (signal == SIGWINCH)
		resized = 1;
	else if (signal == SIGTSTP)
		stopped = 1;
	else
		continued = 1;
}

#define FATAL (SA_RESETHAND | SA_ONSTACK)
static const struct {
	int signal;
	void (*handler)(int);
	int flags;
	bool waited_for; /* blocked except during the wait, so that no signal is missed between the
			    look at its flag and the wait */
} handled[] = {
	{ SIGINT, on_end, 0, true },
	{ SIGTERM, on_end, 0, true },
	{ SIGHUP, on_end, 0, true },
	{ SIGWINCH, on_change, SA_RESTART, true },
	{ SIGTSTP, on_change, SA_RESTART, true },
	{ SIGCONT, on_change, SA_RESTART, true },
	{ SIGQUIT, on_fatal, FATAL, false },
	{ SIGABRT, on_fatal, FATAL, false },
	{ SIGSEGV, on_fatal, FATAL, false },
	{ SIGBUS, on_fatal, FATAL, false },
	{ SIGFPE, on_fatal, FATAL, false },
	{ SIGILL, on_fatal, FATAL, false },
	{ SIGSYS, on_fatal, FATAL, false },
	{ SIGTRAP, on_fatal, FATAL, false },
	{ SIGXCPU, on_fatal, FATAL, false },
	{ SIGXFSZ, on_fatal, FATAL, false },
	{ SIGUSR1, on_fatal, FATAL, false },
	{ SIGUSR2, on_fatal, FATAL, false },
	{ SIGALRM, on_fatal, FATAL, false },
	{ SIGVTALRM, on_fatal, FATAL, false },
	{ SIGPROF, on_fatal, FATAL, false },
	{ SIGPOLL, on_fatal, FATAL, false },
	{ SIGPWR, on_fatal, FATAL, false },
};
#define HANDLED_COUNT (sizeof(handled) / sizeof(handled[0]))
_Static_assert(HANDLED_COUNT <= SIGNAL_MAX, "terminal.before has a place for each");

static char crash_stack[65536]; /* after a stack overflow there is no other stack to use */

/* Installs the handlers. A signal that the caller ignores (nohup) stays ignored, and a fatal signal
 * that the caller handles stays the caller's. */
static void signals_take(struct terminal *t)
{
	const stack_t stack = { .ss_sp = crash_stack, .ss_size = sizeof(crash_stack) };

	resized = stopped = continued = 0;
	sigaltstack(&stack, NULL);
	for (size_t i = 0; i < HANDLED_COUNT; i++) {
		struct sigaction action = { .sa_handler = handled[i].handler,
					    .sa_flags = handled[i].flags };
		struct sigaction *before = &t->before[i];

		sigfillset(&action.sa_mask);
		sigaction(handled[i].signal, NULL, before);
		if (before->sa_handler != SIG_IGN &&
		    (before->sa_handler == SIG_DFL || handled[i].waited_for))
			sigaction(handled[i].signal, &action, NULL);
	}
	t->signal_count = HANDLED_COUNT;
}

static void signals_give_back(struct terminal *t)
{
	for (size_t i = 0; i < t->signal_count; i++)
		sigaction(handled[i].signal, &t->before[i], NULL);
	t->signal_count = 0;
}

/* ---- open and close ---- */

/* Appends a terminal capability without its padding ("$<5/>"), which only tputs() understands. */
static void leave_append(const char *capability)
{
	const char *text = tigetstr(capability);

	if (!text || text == (char *)-1)
		return;
	while (*text && found.length < sizeof(found.leave)) {
		const char *end = text[0] == '$' && text[1] == '<' ? strchr(text, '>') : NULL;

		if (end)
			text = end + 1;
		else
			found.leave[found.length++] = *text++;
	}
}

static void leave_prepare(void)
{
	static const char *const capabilities[] = { "sgr0", "op", "rmkx", "cnorm", "rmcup" };

	found.length = 0;
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		leave_append(capabilities[i]);
	found.open = 1;
}

static void screen_prepare(struct terminal *t)
{
	const char *no_colour = getenv("NO_COLOR");

	set_term(t->screen);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25); /* a lone Esc is one of the keys */
	typeahead(-1);
	curs_set(0);
	t->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	t->colour = has_colors() && !(no_colour && *no_colour);
	if (t->colour && start_color() == OK && use_default_colors() == OK) {
		init_pair(1, COLOR_RED, -1);
		init_pair(2, COLOR_GREEN, -1);
		init_pair(3, COLOR_YELLOW, -1);
	}
}

/* Opens where keys come from: stdin, or the controlling terminal if stdin is not a terminal. */
static FILE *keys_open(void)
{
	int fd = isatty(STDIN_FILENO) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				      : open("/dev/tty", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (!file && fd >= 0)
		close(fd);
	return file;
}

static int __attribute__((format(printf, 4, 5)))
fail(char *why, size_t why_size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, why_size, format, args);
	va_end(args);
	return err;
}

/* Takes the terminal over. Returns 0, or negative errno with the reason. */
static int terminal_take(struct terminal *t, FILE *out, char *why, size_t why_size)
{
	const char *type = getenv("TERM");
	const char *cup;

	fflush(out);
	found.fd = fileno(out);
	if (!isatty(found.fd) || tcgetattr(found.fd, &found.termios))
		return fail(why, why_size, -ENOTTY, "the output is no terminal");
	t->keys = keys_open();
	if (!t->keys)
		return fail(why, why_size, -ENOTTY, "there is no terminal to read keys from");
	t->screen = type && *type ? newterm(type, out, t->keys) : NULL;
	if (!t->screen)
		return fail(why, why_size, -EINVAL,
			    type && *type ? "the terminal type '%s' is not known; set TERM"
					  : "TERM is not set%s",
			    type && *type ? type : "");
	leave_prepare();
	cup = tigetstr("cup");
	if (!cup || cup == (char *)-1)
		return fail(why, why_size, -EINVAL,
			    "a terminal of the type '%s' cannot show a full screen; set TERM",
			    type);
	return 0;
}

int terminal_open(struct terminal **out, FILE *to, const struct terminal_end *asked,
		  const char *filter, double every, char *why, size_t why_size)
{
	static bool at_exit;
	struct terminal *t = calloc(1, sizeof(*t));
	int err;

	*out = NULL;
	if (!t)
		return fail(why, why_size, -ENOMEM, "not enough memory");
	ending = *asked;
	signals_take(t); /* before newterm(), which would install handlers of its own where there
			    are none */
	err = terminal_take(t, to, why, why_size);
	if (err) {
		terminal_close(t);
		return err;
	}
	if (!at_exit)
		at_exit = !atexit(terminal_restore);
	screen_prepare(t);
	t->state.filter = filter;
	t->state.every = every;
	*out = t;
	return 0;
}

static void picture_free(struct picture *s)
{
	snapshot_free(&s->interval);
	snapshot_free(&s->total);
	s->set = false;
}

void terminal_close(struct terminal *t)
{
	if (!t)
		return;
	if (t->screen) {
		endwin();
		found.length = 0; /* endwin() has written these bytes; the modes are what newterm()
				     found, unless it found none */
		delscreen(t->screen);
	}
	terminal_restore();
	signals_give_back(t);
	if (t->keys)
		fclose(t->keys);
	picture_free(&t->latest);
	picture_free(&t->kept);
	free(t);
}

/* ---- draw ---- */

static attr_t attribute_of(const struct terminal *t, enum attribute a)
{
	static const attr_t plain[ATTRIBUTE_COUNT] = {
		[ATTRIBUTE_BOLD] = A_BOLD,       [ATTRIBUTE_DIM] = A_DIM,
		[ATTRIBUTE_RED] = A_BOLD,        [ATTRIBUTE_YELLOW] = A_BOLD,
		[ATTRIBUTE_REVERSE] = A_REVERSE,
	};
	static const short pairs[ATTRIBUTE_COUNT] = {
		[ATTRIBUTE_RED] = 1, [ATTRIBUTE_GREEN] = 2, [ATTRIBUTE_YELLOW] = 3
	};

	return t->colour && pairs[a] ? COLOR_PAIR(pairs[a]) : plain[a];
}

/* Returns 0 or -ENOMEM. */
static int draw(struct terminal *t)
{
	static const struct snapshot nothing;
	const struct picture *s = t->state.frozen && t->kept.set ? &t->kept : &t->latest;
	struct grid g;
	char *text = NULL;
	int err = grid_init(&g, LINES, COLS, t->utf8);

	if (!err)
		err = screen_compose(&g, s->set ? &s->interval : &nothing,
				     s->set ? &s->total : &nothing, &t->state);
	if (!err && !(text = malloc(4 * g.columns + 1)))
		err = -ENOMEM;
	erase();
	for (int row = 0; !err && row < g.rows; row++) {
		enum attribute a;

		for (int column = 0, width; (width = grid_run(&g, row, column, text, &a)) > 0;
		     column += width) {
			attrset(attribute_of(t, a));
			mvaddstr(row, column, text);
		}
	}
	attrset(A_NORMAL);
	free(text);
	grid_free(&g);
	refresh();
	return err;
}

static void terminal_measure(void)
{
	struct winsize size;

	if (!ioctl(found.fd, TIOCGWINSZ, &size) && size.ws_row && size.ws_col &&
	    is_term_resized(size.ws_row, size.ws_col))
		resizeterm(size.ws_row, size.ws_col);
}

/* Paints everything again, because other programs may have written to the terminal. */
static void repaint(struct terminal *t)
{
	terminal_measure();
	clearok(curscr, TRUE);
	curs_set(0);
	draw(t);
}

int terminal_show(struct terminal *t, const struct snapshot *interval, const struct snapshot *total)
{
	struct picture s = { .set = true };
	int err = snapshot_copy(&s.interval, interval);

	if (!err)
		err = snapshot_copy(&s.total, total);
	if (err) {
		picture_free(&s);
		return err;
	}
	picture_free(&t->latest);
	t->latest = s;
	return draw(t);
}

void terminal_notice(struct terminal *t, const char *notice)
{
	snprintf(t->state.notice, sizeof(t->state.notice), "%s", notice ? notice : "");
}

/* ---- keys ---- */

static int key_from_curses(int curses_key)
{
	static const struct {
		int curses, screen;
	} map[] = {
		{ KEY_UP, SCREEN_UP },         { KEY_DOWN, SCREEN_DOWN },
		{ KEY_PPAGE, SCREEN_PAGE_UP }, { KEY_NPAGE, SCREEN_PAGE_DOWN },
		{ KEY_HOME, SCREEN_HOME },     { KEY_END, SCREEN_END },
		{ KEY_LEFT, SCREEN_LEFT },     { KEY_RIGHT, SCREEN_RIGHT },
		{ KEY_BTAB, SCREEN_LEFT },     { KEY_ENTER, SCREEN_ENTER },
		{ '\r', SCREEN_ENTER },        { '\n', SCREEN_ENTER },
		{ 27, SCREEN_BACK },           { KEY_BACKSPACE, SCREEN_BACK },
		{ 127, SCREEN_BACK },          { '\b', SCREEN_BACK },
		{ KEY_CTRL('c'), 'q' },        { KEY_F(1), 'h' },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].curses == curses_key)
			return map[i].screen;
	return curses_key < 0x100 ? curses_key : 0;
}

/* While the view is frozen, the picture is kept beside the snapshots that keep coming in. */
static void freeze_settle(struct terminal *t)
{
	if (t->state.frozen == t->kept.set)
		return;
	if (t->state.frozen) {
		t->kept = t->latest;
		t->latest = (struct picture){};
		return;
	}
	if (t->latest.set)
		picture_free(&t->kept);
	else
		t->latest = t->kept;
	t->kept = (struct picture){};
}

/* Handles all keys that are there, then draws one picture. Returns TERMINAL_TIMEOUT if there is
 * nothing to act on. If there was no key at all, the terminal has hung up: TERMINAL_QUIT. */
static enum terminal_event keys_read(struct terminal *t)
{
	enum terminal_event event = TERMINAL_TIMEOUT;
	bool any = false, changed = false;
	int key;

	while (event == TERMINAL_TIMEOUT && (key = getch()) != ERR) {
		enum screen_answer answer;

		any = true;
		if (key == KEY_CTRL('l')) {
			repaint(t);
			continue;
		}
		answer = screen_press(&t->state, key_from_curses(key));
		changed |= answer != SCREEN_IGNORED;
		freeze_settle(t);
		event = answer == SCREEN_QUIT    ? TERMINAL_QUIT
			: answer == SCREEN_RESET ? TERMINAL_RESET
						 : TERMINAL_TIMEOUT;
	}
	if (changed)
		draw(t);
	return any ? event : TERMINAL_QUIT;
}

/* ---- wait ---- */

/* Handles Ctrl-Z: leaves the screen as it was, stops, and comes back. */
static void stop(void)
{
	struct sigaction ours, standard = { .sa_handler = SIG_DFL };
	sigset_t one, before;

	stopped = 0;
	endwin();
	found.open = 0; /* if a signal ends the program now, there is nothing to restore */
	sigaction(SIGTSTP, &standard, &ours);
	sigemptyset(&one);
	sigaddset(&one, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &one, &before); /* the process stops here, and continues here */
	sigprocmask(SIG_SETMASK, &before, NULL);
	sigaction(SIGTSTP, &ours, NULL);
	found.open = 1;
	continued = 1;
}

/* Acts on what signals have asked for since the last call. */
static void flags_settle(struct terminal *t)
{
	if (stopped)
		stop();
	if (continued) {
		continued = resized = 0;
		endwin(); /* so that the picture begins with the modes and the alternate screen,
			     which the shell may have left */
		repaint(t);
	}
	if (resized) {
		resized = 0;
		repaint(t);
	}
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static enum terminal_event wait_until(struct terminal *t, double until, const sigset_t *waiting)
{
	enum terminal_event event = TERMINAL_TIMEOUT;

	while (event == TERMINAL_TIMEOUT) {
		struct pollfd fd = { .fd = fileno(t->keys), .events = POLLIN };
		double left = until - seconds_now();
		struct timespec time;

		flags_settle(t);
		if (*ending.asked)
			return TERMINAL_QUIT;
		left = left > 0 ? left : 0;
		time = (struct timespec){ .tv_sec = left, .tv_nsec = (left - (time_t)left) * 1e9 };
		if (ppoll(&fd, 1, &time, waiting) < 0) {
			if (errno != EINTR)
				return TERMINAL_QUIT;
			continue;
		}
		if (fd.revents & (POLLHUP | POLLERR | POLLNVAL))
			return TERMINAL_QUIT;
		if (fd.revents)
			event = keys_read(t);
		else if (left <= 0 || seconds_now() >= until)
			return TERMINAL_TIMEOUT;
	}
	return event;
}

enum terminal_event terminal_wait(struct terminal *t, double seconds)
{
	sigset_t blocked, before;
	enum terminal_event event;

	sigemptyset(&blocked);
	for (size_t i = 0; i < HANDLED_COUNT; i++)
		if (handled[i].waited_for)
			sigaddset(&blocked, handled[i].signal);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	event = wait_until(t, seconds_now() + (seconds < 1e9 ? seconds : 1e9), &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return event;
}
