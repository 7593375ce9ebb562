// SPDX-License-Identifier: BSD-2-Clause
/*
 * A library to be preloaded (LD_PRELOAD): at the FAULT_AT-th call on a file below a folder that
 * FAULT_IN names, the process is killed, or, with FAULT_ERROR, the call fails with that errno.
 * Counted are calls that write, and pread: open to write, write, fsync, close, rename, unlink.
 * FAULT_COUNT names a file that says, in the end, how many there were. With FAULT_SHORT no read and
 * no write of such a file has more than that many bytes. With FAULT_OPTION getsockopt() of that
 * option of ppsplit's fails. With FAULT_HANDLE open_by_handle_at() fails with that errno.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pp/abi.h>

#define FDS 4096

static char watched[FDS];
static int calls;

static int is_watched(const char *path)
{
	const char *folder = getenv("FAULT_IN");

	return folder && strstr(path, folder) != NULL;
}

/* Return: 1 when the call is to fail, with errno set. */
static int fault(void)
{
	const char *at = getenv("FAULT_AT"), *error = getenv("FAULT_ERROR"),
		   *log = getenv("FAULT_COUNT");
	int now = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
	FILE *file;

	if (log && (file = fopen(log, "w"))) {
		fprintf(file, "%d\n", now);
		fclose(file);
	}
	if (!at || now != atoi(at))
		return 0;
	if (!error)
		kill(getpid(), SIGKILL);
	errno = atoi(error);
	return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;
	int fd;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	if (!is_watched(path))
		return REAL(open)(path, flags, mode);
	if (flags & (O_WRONLY | O_RDWR) && fault())
		return -1;
	fd = REAL(open)(path, flags, mode);
	if (fd >= 0 && fd < FDS)
		watched[fd] = 1;
	return fd;
}

static int is_ours(int fd)
{
	return fd >= 0 && fd < FDS && watched[fd];
}

static size_t part_of(size_t len)
{
	const char *most = getenv("FAULT_SHORT");

	return most && len > strtoul(most, NULL, 10) ? strtoul(most, NULL, 10) : len;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	if (!is_ours(fd))
		return REAL(write)(fd, bytes, len);
	return fault() ? -1 : REAL(write)(fd, bytes, part_of(len));
}

ssize_t pread(int fd, void *bytes, size_t len, off_t offset)
{
	if (!is_ours(fd))
		return REAL(pread)(fd, bytes, len, offset);
	return fault() ? -1 : REAL(pread)(fd, bytes, part_of(len), offset);
}

int fsync(int fd)
{
	if (is_ours(fd) && fault())
		return -1;
	return REAL(fsync)(fd);
}

int close(int fd)
{
	if (is_ours(fd)) {
		watched[fd] = 0;
		if (fault()) {
			int error = errno;

			REAL(close)(fd);
			errno = error;
			return -1;
		}
	}
	return REAL(close)(fd);
}

int rename(const char *from, const char *to)
{
	if (is_watched(to) && fault())
		return -1;
	return REAL(rename)(from, to);
}

int unlink(const char *path)
{
	if (is_watched(path) && fault())
		return -1;
	return REAL(unlink)(path);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	static __typeof__(&getsockopt) real;
	const char *option = getenv("FAULT_OPTION");

	if (option && level == SOL_PP && name == atoi(option)) {
		errno = ENOMEM;
		return -1;
	}
	if (!real)
		real = REAL(getsockopt);
	return real(fd, level, name, value, len);
}

int open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
	static __typeof__(&open_by_handle_at) real;
	const char *error = getenv("FAULT_HANDLE");

	if (error) {
		errno = atoi(error);
		return -1;
	}
	if (!real)
		real = REAL(open_by_handle_at);
	return real(mount, handle, flags);
}
