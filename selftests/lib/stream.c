// SPDX-License-Identifier: BSD-2-Clause
/*
 * Streams by raw segments.
 */
#include "stream.h"

void stream_make(struct stream *stream, size_t header_len, size_t payload_len)
{
	memset(stream->room, '.', STREAM_BEFORE);
	if (header_len) {
		make_v2(stream_at(stream, 0), header_len);
		stream->origin = V2_ORIGIN;
	} else {
		header_len = LINE_LEN;
		memcpy(stream_at(stream, 0), LINE, LINE_LEN);
		stream->origin = LINE_ORIGIN;
	}
	fill_pattern(stream_at(stream, header_len), payload_len, header_len);
	stream->header_len = header_len;
	stream->len = header_len + payload_len;
}

uint8_t *stream_at(struct stream *stream, int at)
{
	return stream->room + STREAM_BEFORE + at;
}

int stream_begin(struct handshake *handshake, unsigned int port)
{
	int client = connect_to(PROXY, SERVER, port);

	sniff(handshake, port_of(client));
	return client;
}

void stream_send(const struct handshake *handshake, const struct stream *stream, int from, int to,
		 int damaged)
{
	const struct raw_segment segment = {.seq = handshake->seq + from,
					    .ack = handshake->ack,
					    .bytes = stream->room + STREAM_BEFORE + from,
					    .len = to - from,
					    .damaged = damaged};

	raw_send(handshake, &segment);
}

void stream_check(int server, const struct stream *stream, const char *what, int one, int other)
{
	char text[PP_ORIGIN_PRINT_MAX];
	struct pp_origin origin;
	int result = pp_lookup_wait(server, &origin, SOON_MS);

	if (result)
		fail_msg("%s (%d, %d; header of %zu bytes): %s: %s", what, one, other,
			 stream->header_len, pp_strerror(result), pp_reason_text(origin.reason));
	pp_origin_print(&origin, text, sizeof(text));
	assert_string_equal(text, stream->origin);
	assert_reads(server, stream->room + STREAM_BEFORE + stream->header_len,
		     stream->len - stream->header_len);
	assert_nothing_to_read(server);
	assert_int_equal(pp_lookup(server, &origin), 0);
}

void stream_end(int client, int server)
{
	reset(client);
	close(server);
}
