// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_read_header(): does the job of the programs in user space.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "internal.h"

struct reader {
	int fd;
	int peeks; /* 0: SO_PEEK_OFF is set, so that MSG_PEEK moves what the application sees */
	struct pp_wait wait;
	uint32_t taken; /* bytes of the header that are out of the stream already */
	uint32_t need;	/* bytes that the header has at least */
	uint8_t header[PP_HEADER_MAX];
};

/* Linux 6.9 honours SO_PEEK_OFF on TCP sockets: MSG_PEEK then begins at that offset, and moves it.
 * Undoes the effect of a look at @len bytes, and looks no more. Called only where it matters,
 * because a system call costs more than a header. Return: 0, or a negative errno. */
static int undo_peek(struct reader *reader, ssize_t len)
{
	int offset = -1;
	socklen_t size = sizeof(offset);

	if (getsockopt(reader->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &size) || offset < 0)
		return 0;
	reader->peeks = 0;
	offset = offset > len ? offset - len : 0;
	return setsockopt(reader->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, size) ? -errno : 0;
}

/* The first @len bytes of the stream have been taken, and differ from the bytes that were seen:
 * SO_PEEK_OFF showed later ones, which the client may have made up. */
static int start_over(struct reader *reader, struct pp_origin *origin, const uint8_t *bytes,
		      uint32_t len)
{
	int result;

	memcpy(reader->header, bytes, len);
	reader->taken = len;
	result = pp_parse_need(reader->header, len, origin, &reader->need);
	return result > 0 && (uint32_t)result < len ? -EIO : result;
}

/* The usual case, and the cheap one: the whole header is there. Return: its length; 0, look closer;
 * or a negative errno. @seen: becomes 1 when anything is there. */
static int read_whole(struct reader *reader, struct pp_origin *origin, int *seen)
{
	uint8_t bytes[PP_HEADER_MAX];
	int result, error = 0;
	ssize_t len;

	len = recv(reader->fd, reader->header, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	*seen = len > 0;
	if (len <= 0)
		return 0;
	result = pp_parse_need(reader->header, len, origin, &reader->need);
	if (result <= 0) /* an urgent byte at its start is missing, perhaps */
		return undo_peek(reader, len);
	if (recv(reader->fd, bytes, result, MSG_DONTWAIT) != result)
		return -EIO;
	/* A peek offset of 0 is 0 again where all that was seen is taken. */
	if (len > result || memcmp(bytes, reader->header, result))
		error = undo_peek(reader, len);
	if (error || !memcmp(bytes, reader->header, result))
		return error ? error : result;
	return start_over(reader, origin, bytes, result);
}

/* Takes the bytes of the header that have arrived: while it is incomplete, all bytes belong to it.
 * If no time is left for the rest, takes nothing. Return: the header's length, when it is complete;
 * 0; or a negative errno. @piece: becomes 1 when bytes are new. */
static int read_piece(struct reader *reader, struct pp_origin *origin, int *piece)
{
	uint8_t *at = reader->header + reader->taken;
	size_t room = sizeof(reader->header) - reader->taken;
	ssize_t len;
	int result;

	*piece = 0;
	if (reader->peeks)
		len = pp_receive(reader->fd, at, room, MSG_PEEK);
	else
		len = pp_receive(reader->fd, at, reader->need - reader->taken, 0);
	if (len == -EAGAIN)
		return 0;
	if (len <= 0)
		return len ? len : pp_bad(origin, PP_BAD_CLOSED);

	*piece = 1;
	result = pp_parse_need(reader->header, reader->taken + len, origin, &reader->need);
	if (result < 0 || (result == 0 && reader->peeks && pp_is_over(&reader->wait)))
		return result;
	if (result > 0)
		len = result - reader->taken;
	if (reader->peeks && pp_discard(reader->fd, len, 1))
		return -EIO;
	reader->taken += len;
	return result;
}

/* Waits until anything is there: in most cases that is the whole header. Return: as read_whole().
 */
static int await_whole(struct reader *reader, struct pp_origin *origin)
{
	int result, seen;

	for (;;) {
		result = read_whole(reader, origin, &seen);
		if (result || seen)
			return result;
		if (reader->wait.ready) /* the stream's end, or a peek offset beyond it */
			return undo_peek(reader, 0);
		result = pp_wait_input(reader->fd, &reader->wait, 0);
		if (result)
			return result;
	}
}

static int read_header(struct reader *reader, struct pp_origin *origin)
{
	int result = await_whole(reader, origin), piece;

	while (!result) {
		result = read_piece(reader, origin, &piece);
		if (result)
			break;
		result = pp_wait_input(reader->fd, &reader->wait, piece);
		/* The caller could not continue from here, so the function stays after it has taken
		 * bytes. */
		if (result == -EINTR && reader->taken)
			result = 0;
	}
	return result;
}

int pp_read_header_tlvs_sized(int fd, struct pp_origin *origin, size_t size, void *tlvs,
			      size_t tlvs_size, int timeout_ms)
{
	struct pp_origin found = {};
	struct reader reader;
	int result;

	if (size < PP_ORIGIN_FIRST_SIZE)
		return -EINVAL;
	reader.fd = fd;
	reader.peeks = 1;
	reader.wait = (struct pp_wait){.deadline = pp_deadline(timeout_ms)};
	reader.taken = 0;
	reader.need = 1;
	result = read_header(&reader, &found);
	if (result > 0)
		pp_origin_proxy_from_socket(&found, fd);
	pp_origin_give(origin, size, &found, result > 0);
	if (result < 0)
		return result;
	if (!tlvs)
		return 0;
	if (found.tlv_len > tlvs_size)
		return -ENOBUFS;
	memcpy(tlvs, reader.header + result - found.tlv_len, found.tlv_len);
	return 0;
}

int pp_read_header_sized(int fd, struct pp_origin *origin, size_t size, int timeout_ms)
{
	return pp_read_header_tlvs_sized(fd, origin, size, NULL, 0, timeout_ms);
}
