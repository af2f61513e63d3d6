/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever is in a file of results: it is compared, or refused with one line that is clean for a
 * terminal. What was compared can be saved and read again. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/render/json.h"
#include "../../user/render/json_reader.h"
#include "../../user/render/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void expect(bool it, const char *what)
{
	if (it)
		return;
	fprintf(stderr, "not so: %s\n", what);
	abort();
}

/* Returns json_read_results() of a file with these bytes. */
static int read_bytes(struct comparison *c, const void *bytes, size_t size, uint16_t port,
		      char why[JSON_READER_WHY])
{
	char path[32];
	int fd = memfd_create("result", MFD_CLOEXEC), err;

	expect(fd >= 0 && write(fd, bytes, size) == (ssize_t)size, "a file in memory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = json_read_results(c, path, "a file", port, why);
	close(fd);
	return err;
}

static void saved_is_read(const char *bytes, size_t size)
{
	struct comparison c = {};
	char why[JSON_READER_WHY] = "";

	if (read_bytes(&c, bytes, size, 0, why)) {
		fprintf(stderr, "%s\n%.*s\n", why, (int)size, bytes);
		abort();
	}
	comparison_free(&c);
}

static void render(const struct comparison *c)
{
	static const struct text_style styles[] = { {},
						    { .colour = true, .utf8 = true, .width = 80 },
						    { .width = 1 } };
	char *text = NULL;
	size_t size = 0;

	for (size_t i = 0; i < sizeof(styles) / sizeof(*styles); i++) {
		FILE *out = open_memstream(&text, &size);

		text_compare(out, c, &styles[i]);
		fclose(out);
		free(text);
	}
	FILE *out = open_memstream(&text, &size);

	expect(!json_comparison(out, c), "written as JSON");
	fclose(out);
	saved_is_read(text, size);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct comparison c = {};
	char why[JSON_READER_WHY] = "";
	/* The first byte: the port that is asked for, of few. */
	const uint16_t port = size && bytes[0] < 4 ? 8000 + bytes[0] : 0;
	const size_t skipped = port ? 1 : 0;
	int err = read_bytes(&c, bytes + skipped, size - skipped, port, why);

	expect(!err == !*why, "an error is told, and nothing else");
	for (const char *at = why; *at; at++)
		expect((unsigned char)*at >= 0x20 && *at != 0x7f, "clean for a terminal");
	if (!err && !comparison_arrange(&c) && !comparison_judge(&c))
		render(&c);
	comparison_free(&c);
	return 0;
}
