/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop where the kernel, or a sandbox, has no epoll_pwait2(): then the test's own is called. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "suite.h"
#include "vreader/loop.h"

#define MS ((int64_t)1000000)

static int refusal;

int epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *timeout,
	const sigset_t *mask)
{
	(void)fd;
	(void)events;
	(void)max;
	(void)timeout;
	(void)mask;
	errno = refusal;
	return -1;
}

static unsigned heard;

static void hear(struct loop_source *source, uint32_t events)
{
	char byte;

	ck_assert_uint_eq(events, EPOLLIN);
	ck_assert_int_eq(read(source->fd, &byte, 1), 1);
	heard++;
}

START_TEST(test_without_the_call)
{
	static const int refusals[] = { ENOSYS, EPERM };
	struct loop *loop = loop_new();
	struct loop_source source = { .ready = hear };
	int64_t deadline;
	int ends[2];

	refusal = refusals[_i];
	ck_assert_ptr_nonnull(loop);
	ck_assert_int_eq(pipe(ends), 0);
	source.fd = ends[0];
	ck_assert(loop_add(loop, &source, EPOLLIN));
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	ck_assert(loop_once(loop, INT64_MAX));
	ck_assert_uint_eq(heard, 1);
	/* Not a part of a millisecond early. */
	deadline = loop_now() + 3 * MS / 2;
	ck_assert(loop_once(loop, deadline));
	ck_assert_int_ge(loop_now(), deadline);
	ck_assert_uint_eq(heard, 1);
	loop_free(loop);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(test_error)
{
	struct loop *loop = loop_new();

	refusal = EBADF;
	ck_assert_ptr_nonnull(loop);
	ck_assert(!loop_once(loop, INT64_MAX));
	ck_assert_int_eq(errno, EBADF);
	loop_free(loop);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vreader_loop");
	TCase *tc = tcase_create("loop");

	tcase_add_loop_test(tc, test_without_the_call, 0, 2);
	tcase_add_test(tc, test_error);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
