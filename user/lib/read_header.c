// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_read_header(): the job of the programs in user space.
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

/* Linux 6.9 honours SO_PEEK_OFF on TCP sockets; before, it cannot be set on them. Return: the offset
 * at which MSG_PEEK begins, and which it moves; or -1, it does neither. */
static int peek_offset(int fd)
{
	int offset = -1;
	socklen_t len = sizeof(offset);

	return getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) ? -1 : offset;
}

/* Undoes what looking at @len bytes did to SO_PEEK_OFF. Asked only when it may matter: a system call
 * costs more than a header. */
static int unpeek(struct reader *reader, int len)
{
	int offset = peek_offset(reader->fd);

	if (offset < 0)
		return 0;
	reader->peeks = 0;
	offset = offset > len ? offset - len : 0;
	return setsockopt(reader->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) ? -errno : 0;
}

/* The usual case, and the cheap one: the whole header is there. Return: its length; 0, look closer;
 * or a negative errno. @seen: bytes that are there. */
static int read_whole(struct reader *reader, struct pp_origin *origin, int *seen)
{
	ssize_t len =
		recv(reader->fd, reader->header, sizeof(reader->header), MSG_PEEK | MSG_DONTWAIT);
	int result;

	*seen = len < 0 ? 0 : len;
	if (len <= 0)
		return 0;
	result = pp_parse_need(reader->header, len, origin, &reader->need);
	if (result <= 0) /* an urgent byte at its start is missing, or what came before a peek offset */
		return unpeek(reader, len);
	/* What is taken lowers the peek offset, too: it is right again if nothing else was seen. */
	if (recv(reader->fd, NULL, result, MSG_TRUNC | MSG_DONTWAIT) != result)
		return -EIO;
	if (len > result && unpeek(reader, len - result))
		return -EIO;
	return result;
}

/* Takes what is there of the header: bytes of an incomplete one are all its own. When no time is
 * left for the rest, takes nothing. Return: the header's length, when it is complete; 0; or a
 * negative errno. @piece: becomes 1 when bytes are new. */
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

static int read_header(struct reader *reader, struct pp_origin *origin)
{
	int result, piece, seen;

	/* nothing at all is there yet, or all of it */
	do {
		result = read_whole(reader, origin, &seen);
		if (!result && !seen && reader->wait.ready) /* it is before a peek offset */
			result = unpeek(reader, 0);
		if (result || seen || reader->wait.ready)
			break;
		result = pp_wait_input(reader->fd, &reader->wait, 0);
	} while (!result);
	while (!result) {
		result = read_piece(reader, origin, &piece);
		if (result)
			break;
		result = pp_wait_input(reader->fd, &reader->wait, piece);
		/* The caller could not go on from here: who has taken bytes stays. */
		if (result == -EINTR && reader->taken)
			result = 0;
	}
	return result;
}

int pp_read_header_tlvs(int fd, struct pp_origin *origin, void *tlvs, size_t size, int timeout_ms)
{
	struct reader reader;
	int result;

	reader.fd = fd;
	reader.peeks = 1;
	reader.wait = (struct pp_wait){.deadline = pp_deadline(timeout_ms)};
	reader.taken = 0;
	reader.need = 1;
	origin->reason = PP_REASON_NONE;
	result = read_header(&reader, origin);
	if (result < 0)
		return result;
	if (!tlvs)
		return 0;
	if (origin->tlv_len > size)
		return -ENOBUFS;
	memcpy(tlvs, reader.header + result - origin->tlv_len, origin->tlv_len);
	return 0;
}

int pp_read_header(int fd, struct pp_origin *origin, int timeout_ms)
{
	return pp_read_header_tlvs(fd, origin, NULL, 0, timeout_ms);
}
