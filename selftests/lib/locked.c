// SPDX-License-Identifier: BSD-2-Clause
/*
 * Locked sockets.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "locked.h"
#include "net.h"

void absent_page_make(struct absent_page *page)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};

	page->len = sysconf(_SC_PAGESIZE);
	page->fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (page->fd < 0)
		skip_because("no socket can be kept locked: userfaultfd: %s", strerror(errno));
	page->at =
		mmap(NULL, page->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = (uintptr_t)page->at;
	range.range.len = page->len;
	assert_int_equal(ioctl(page->fd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(page->fd, UFFDIO_REGISTER, &range), 0);
}

void absent_page_free(struct absent_page *page)
{
	munmap(page->at, page->len);
	close(page->fd);
}

static void *send_from_page(void *argument)
{
	struct absent_page *page = argument;

	if (send(page->socket, page->at, 1, MSG_NOSIGNAL) != 1)
		return "the socket could not send";
	return NULL;
}

void lock_socket(struct absent_page *page, int fd)
{
	struct uffd_msg message;

	page->socket = fd;
	assert_int_equal(pthread_create(&page->sender, NULL, send_from_page, page), 0);
	assert_int_equal(read(page->fd, &message, sizeof(message)), sizeof(message));
	assert_int_equal(message.event, UFFD_EVENT_PAGEFAULT);
}

void unlock_socket(struct absent_page *page)
{
	struct uffdio_zeropage fill = {.range = {(uintptr_t)page->at, page->len}};
	void *failed;

	assert_int_equal(ioctl(page->fd, UFFDIO_ZEROPAGE, &fill), 0);
	assert_int_equal(pthread_join(page->sender, &failed), 0);
	assert_null(failed);
	assert_int_equal(madvise(page->at, page->len, MADV_DONTNEED), 0);
}
