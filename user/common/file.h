/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of text that somebody has written: regular ones, of a size that has a limit.
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stddef.h>

#define FILE_ERROR_MAX 512

/* As open(), of a file alone: EINVAL for a FIFO or device, which could make who uses it wait. */
int file_open(const char *path, int flags);
/* What is in @fd up to its end, which may move meanwhile, and a 0 after it; to be freed. Return:
 * NULL with errno: EFBIG where it is more than @max bytes. */
char *file_read(int fd, size_t max, size_t *len);
/* Writes all of it. Return: 0, or an errno. */
int file_write(int fd, const char *bytes, size_t len);
/* The text that is in @path, without a NUL; to be freed. Return: NULL with @error set: the file,
 * the line where there is one, and why. */
char *file_text(const char *path, size_t max, char error[FILE_ERROR_MAX]);

#endif
