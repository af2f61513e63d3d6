/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages that one writes while others read: user/export/pages.c. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../user/export/pages.h"

static void each_format_has_its_pages(void **state)
{
	struct pages p = {};
	struct page_copy copy;

	(void)state;
	assert_int_equal(pages_make(&p), 0);
	assert_int_equal(pages_sequence(&p, EXPORT_CLASSIC), 0);
	assert_int_equal(pages_copy(&p, EXPORT_CLASSIC, &copy), -ENODATA);
	assert_int_equal(pages_publish(&p, EXPORT_CLASSIC, "first", 5), 0);
	assert_int_equal(pages_copy(&p, EXPORT_OPENMETRICS, &copy), -ENODATA);
	assert_int_equal(pages_publish(&p, EXPORT_OPENMETRICS, "other", 5), 0);
	assert_int_equal(pages_publish(&p, EXPORT_CLASSIC, "2nd", 3), 0);
	assert_int_equal(pages_copy(&p, EXPORT_CLASSIC, &copy), 0);
	assert_int_equal(copy.sequence, 2);
	assert_int_equal(copy.length, 3);
	assert_memory_equal(copy.text, "2nd", 3);
	page_free(&copy);
	assert_int_equal(pages_copy(&p, EXPORT_OPENMETRICS, &copy), 0);
	assert_memory_equal(copy.text, "other", 5);
	page_free(&copy);
	pages_free(&p);
	pages_free(&p);
}

static void the_longest_page_fits_and_no_longer_one(void **state)
{
	struct pages p = {};
	struct page_copy copy;
	char *text = malloc(EXPORT_PAGE_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', EXPORT_PAGE_MAX + 1);
	assert_int_equal(pages_make(&p), 0);
	for (int format = 0; format < EXPORT_FORMATS; format++)
		for (int i = 0; i < 2; i++)
			assert_int_equal(pages_publish(&p, format, text, EXPORT_PAGE_MAX), 0);
	assert_int_equal(pages_publish(&p, EXPORT_OPENMETRICS, text, EXPORT_PAGE_MAX + 1),
			 -EMSGSIZE);
	assert_int_equal(pages_publish(&p, EXPORT_OPENMETRICS, text, 0), -EINVAL);
	assert_int_equal(pages_copy(&p, EXPORT_OPENMETRICS, &copy), 0);
	assert_int_equal(copy.sequence, 2);
	assert_int_equal(copy.length, EXPORT_PAGE_MAX);
	assert_memory_equal(copy.text, text, EXPORT_PAGE_MAX);
	page_free(&copy);
	pages_free(&p);
	free(text);
}

/* ---- a reader beside a writer ---- */

#define BYTES 50000
#define READS 3000

struct reading {
	struct pages *pages;
	unsigned read, torn, backwards, different;
};

/* A page is one letter; its last byte is the letter after. */
static void *reader_run(void *of)
{
	struct reading *r = of;
	uint64_t last = 0;

	for (r->read = 0; r->read < READS;) {
		struct page_copy copy;
		const char *text;

		if (pages_copy(r->pages, EXPORT_CLASSIC, &copy))
			continue;
		text = copy.text;
		r->torn += copy.length != BYTES || memcmp(text, text + 1, BYTES - 2) != 0 ||
			   text[BYTES - 1] != text[0] + 1 ||
			   text[0] != (char)('a' + copy.sequence % 20);
		r->backwards += copy.sequence < last;
		r->different += copy.sequence != last;
		last = copy.sequence;
		r->read++;
		page_free(&copy);
	}
	return NULL;
}

static void nobody_sees_half_a_page(void **state)
{
	struct pages p = {};
	struct reading r = { .pages = &p };
	char text[BYTES];
	pthread_t reader;

	(void)state;
	assert_int_equal(pages_make(&p), 0);
	assert_int_equal(pthread_create(&reader, NULL, reader_run, &r), 0);
	for (uint64_t i = 1; __atomic_load_n(&r.read, __ATOMIC_RELAXED) < READS; i++) {
		memset(text, 'a' + i % 20, BYTES - 1);
		text[BYTES - 1] = 'a' + i % 20 + 1;
		assert_int_equal(pages_publish(&p, EXPORT_CLASSIC, text, BYTES), 0);
	}
	pthread_join(reader, NULL);
	assert_int_equal(r.torn, 0);
	assert_int_equal(r.backwards, 0);
	assert_true(r.different > 10);
	pages_free(&p);
}

/* ---- who may write ---- */

static void the_memory_can_only_be_read_by_others(void **state)
{
	struct pages p = {}, mapped = {};
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(pages_make(&p), 0);
	assert_int_equal(pages_publish(&p, EXPORT_CLASSIC, "page", 4), 0);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0), MAP_FAILED);
	assert_int_equal(write(p.fd, "x", 1), -1);
	assert_int_equal(ftruncate(p.fd, 0), -1);
	assert_int_equal(ftruncate(p.fd, PAGES_SPACE + 4096), -1);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct page_copy copy;
		int fails = 0;

		/* The mapping of the parent is not inherited: msync() tells. */
		fails |= msync(p.head, 4096, MS_ASYNC) == 0 ? 1 : 0;
		fails |= pages_map(&mapped, p.fd) ? 2 : 0;
		fails |= mprotect(mapped.head, 4096, PROT_READ | PROT_WRITE) == 0 ? 4 : 0;
		fails |= pages_copy(&mapped, EXPORT_CLASSIC, &copy) ? 8 : 0;
		_exit(fails);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pages_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_format_has_its_pages),
		cmocka_unit_test(the_longest_page_fits_and_no_longer_one),
		cmocka_unit_test(nobody_sees_half_a_page),
		cmocka_unit_test(the_memory_can_only_be_read_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
