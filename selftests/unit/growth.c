// SPDX-License-Identifier: BSD-2-Clause
/*
 * The library and a caller whose struct pp_origin is another version's: it fills what the caller
 * has, zeroes what it does not know, and writes no further. pp_read_header() names the proxy.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../user/lib/internal.h"

#define LINE	 "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
#define LINE_LEN (sizeof(LINE) - 1)
#define WAIT_MS	 20000 /* for what comes, on a slow machine */
#define LATER	 72    /* bytes of fields that a later version may have */

/* The exported functions without a size, as a program finds them that was built without pp.h's. */
int first_parse(const void *buf, size_t len, struct pp_origin *origin) __asm__("pp_parse");
int first_lookup(int fd, struct pp_origin *origin) __asm__("pp_lookup");
int first_lookup_wait(int fd, struct pp_origin *origin, int timeout_ms) __asm__("pp_lookup_wait");
int first_read(int fd, struct pp_origin *origin, int timeout_ms) __asm__("pp_read_header");
int first_read_tlvs(int fd, struct pp_origin *origin, void *tlvs, size_t size,
		    int timeout_ms) __asm__("pp_read_header_tlvs");

/* A caller's struct, and what lies after it in its memory. */
union room {
	struct pp_origin origin;
	uint8_t bytes[sizeof(struct pp_origin) + LATER + 16];
};

#define CANARY 0xc5

/* The function wrote the first @size bytes: what it knows of them @as it should, 0 in the rest. */
static void assert_filled(const union room *room, size_t size, const struct pp_origin *as)
{
	size_t i;

	for (i = 0; i < sizeof(room->bytes); i++) {
		uint8_t wanted = i >= size	   ? CANARY
				 : i < sizeof(*as) ? ((const uint8_t *)as)[i]
						   : 0;

		if (room->bytes[i] != wanted)
			fail_msg("size %zu, byte %zu: %02x, not %02x", size, i, room->bytes[i],
				 wanted);
	}
}

/* It wrote reason alone. */
static void assert_untouched(union room *room, int reason)
{
	size_t i;

	assert_int_equal(room->origin.reason, reason);
	room->origin.reason = CANARY;
	for (i = 0; i < sizeof(room->bytes); i++)
		assert_int_equal(room->bytes[i], CANARY);
}

static void expected(struct pp_origin *origin)
{
	struct sockaddr_in *src = (struct sockaddr_in *)&origin->src;
	struct sockaddr_in *dst = (struct sockaddr_in *)&origin->dst;

	memset(origin, 0, sizeof(*origin));
	origin->version = 1;
	origin->command = PP_PROXY;
	origin->family = src->sin_family = dst->sin_family = AF_INET;
	origin->transport = SOCK_STREAM;
	origin->header_len = LINE_LEN;
	inet_pton(AF_INET, "192.0.2.7", &src->sin_addr);
	inet_pton(AF_INET, "198.51.100.1", &dst->sin_addr);
	src->sin_port = htons(4711);
	dst->sin_port = htons(25);
}

static void a_caller_gets_as_much_as_it_has_room_for(void **state)
{
	struct pp_origin as;
	union room room;
	size_t size;

	(void)state;
	expected(&as);
	for (size = PP_ORIGIN_FIRST_SIZE; size <= sizeof(as) + LATER; size++) {
		memset(&room, CANARY, sizeof(room));
		assert_int_equal(pp_parse_sized(LINE, LINE_LEN, &room.origin, size), LINE_LEN);
		assert_filled(&room, size, &as);
	}
}

static void what_fails_sets_the_reason_alone(void **state)
{
	size_t size;
	union room room;

	(void)state;
	for (size = PP_ORIGIN_FIRST_SIZE; size <= sizeof(room.origin) + LATER; size += 8) {
		memset(&room, CANARY, sizeof(room));
		assert_int_equal(pp_parse_sized("EHLO x", 6, &room.origin, size), -EBADMSG);
		assert_untouched(&room, PP_BAD_SIGNATURE);
		assert_int_equal(pp_parse_sized(LINE, LINE_LEN - 1, &room.origin, size), 0);
		assert_untouched(&room, PP_REASON_NONE);
	}
}

static void a_struct_smaller_than_the_first_is_refused(void **state)
{
	static const size_t sizes[] = {0, 1, 8, PP_ORIGIN_FIRST_SIZE - 1};
	union room room;
	uint8_t tlvs[8];
	size_t i;

	(void)state;
	memset(&room, CANARY, sizeof(room));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct pp_origin *origin = &room.origin;

		assert_int_equal(pp_parse_sized(LINE, LINE_LEN, origin, sizes[i]), -EINVAL);
		assert_int_equal(pp_lookup_sized(-1, origin, sizes[i]), -EINVAL);
		assert_int_equal(pp_lookup_wait_sized(-1, origin, sizes[i], 0), -EINVAL);
		assert_int_equal(pp_read_header_sized(-1, origin, sizes[i], 0), -EINVAL);
		assert_int_equal(pp_read_header_tlvs_sized(-1, origin, sizes[i], tlvs, sizeof(tlvs),
							   0),
				 -EINVAL);
		assert_untouched(&room, CANARY);
	}
}

struct pair {
	int client, server;
};

/* A connection over loopback to a listener of @family; IPv4 where the client's is AF_INET. */
static void connect_pair(struct pair *pair, int family, int client_family)
{
	struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6};
	struct sockaddr_in ip4 = {.sin_family = AF_INET};
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	int listener = socket(family, SOCK_STREAM, 0);

	assert_int_equal(bind(listener,
			      family == AF_INET ? (struct sockaddr *)&ip4 : (struct sockaddr *)&ip6,
			      family == AF_INET ? sizeof(ip4) : sizeof(ip6)),
			 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &len), 0);
	/* the port is at the same place in both families */
	ip4.sin_port = ip6.sin6_port = ((struct sockaddr_in *)&name)->sin_port;
	ip4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ip6.sin6_addr = in6addr_loopback;
	pair->client = socket(client_family, SOCK_STREAM, 0);
	assert_int_equal(connect(pair->client,
				 client_family == AF_INET ? (struct sockaddr *)&ip4
							  : (struct sockaddr *)&ip6,
				 client_family == AF_INET ? sizeof(ip4) : sizeof(ip6)),
			 0);
	pair->server = accept(listener, NULL, NULL);
	close(listener);
	assert_int_equal(send(pair->client, LINE, LINE_LEN, MSG_NOSIGNAL), LINE_LEN);
}

static void close_pair(const struct pair *pair)
{
	close(pair->client);
	close(pair->server);
}

/* The names of the client's socket are those of the proxy, and of what it connected to. */
static void names_of(const struct pair *pair, struct pp_origin *as)
{
	socklen_t own_len = sizeof(as->proxy), peer_len = sizeof(as->proxy_dst);

	expected(as);
	assert_int_equal(getsockname(pair->client, (struct sockaddr *)&as->proxy, &own_len), 0);
	assert_int_equal(getpeername(pair->client, (struct sockaddr *)&as->proxy_dst, &peer_len),
			 0);
}

static void a_header_that_is_read_comes_with_the_proxys_name(void **state)
{
	static const struct {
		int family, client_family;
	} kinds[] = {{AF_INET, AF_INET}, {AF_INET6, AF_INET6}, {AF_INET6, AF_INET} /* mapped */};
	union room room;
	struct pp_origin as;
	struct pair pair;
	size_t i, size;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (size = PP_ORIGIN_FIRST_SIZE; size <= sizeof(as) + LATER; size += 64) {
			connect_pair(&pair, kinds[i].family, kinds[i].client_family);
			names_of(&pair, &as);
			memset(&room, CANARY, sizeof(room));
			assert_int_equal(
				pp_read_header_sized(pair.server, &room.origin, size, WAIT_MS), 0);
			assert_filled(&room, size, &as);
			close_pair(&pair);
		}
	}
}

static void no_name_where_the_connection_is_gone(void **state)
{
	struct linger at_once = {.l_onoff = 1};
	struct pp_origin origin;
	struct pair pair;
	int result;

	(void)state;
	connect_pair(&pair, AF_INET, AF_INET);
	setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(pair.client); /* a RST: some kernels drop what was there, others do not */
	memset(&origin, CANARY, sizeof(origin));
	result = pp_read_header(pair.server, &origin, WAIT_MS);
	if (result == 0) {
		assert_int_equal(origin.proxy.ss_family, AF_UNSPEC);
		assert_int_equal(origin.proxy_dst.ss_family, AF_UNSPEC);
	} else {
		assert_true(result == -ECONNRESET || result == -EBADMSG);
	}
	close(pair.server);
}

static void the_symbols_of_the_first_version_fill_its_struct(void **state)
{
	struct pp_origin as;
	struct pair pair;
	union room room;
	uint8_t tlvs[8];

	(void)state;
	expected(&as);
	memset(&room, CANARY, sizeof(room));
	assert_int_equal(first_parse(LINE, LINE_LEN, &room.origin), LINE_LEN);
	assert_filled(&room, PP_ORIGIN_FIRST_SIZE, &as);

	connect_pair(&pair, AF_INET, AF_INET);
	memset(&room, CANARY, sizeof(room));
	assert_int_equal(first_lookup(pair.server, &room.origin), -ENOPROTOOPT);
	assert_int_equal(first_lookup_wait(pair.server, &room.origin, 0), -ENOPROTOOPT);
	assert_untouched(&room, PP_REASON_NONE);
	assert_int_equal(first_read(pair.server, &room.origin, WAIT_MS), 0);
	assert_filled(&room, PP_ORIGIN_FIRST_SIZE, &as);
	assert_int_equal(send(pair.client, LINE, LINE_LEN, MSG_NOSIGNAL), LINE_LEN);
	memset(&room, CANARY, sizeof(room));
	assert_int_equal(first_read_tlvs(pair.server, &room.origin, tlvs, sizeof(tlvs), WAIT_MS),
			 0);
	assert_filled(&room, PP_ORIGIN_FIRST_SIZE, &as);
	close_pair(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_caller_gets_as_much_as_it_has_room_for),
		cmocka_unit_test(what_fails_sets_the_reason_alone),
		cmocka_unit_test(a_struct_smaller_than_the_first_is_refused),
		cmocka_unit_test(a_header_that_is_read_comes_with_the_proxys_name),
		cmocka_unit_test(no_name_where_the_connection_is_gone),
		cmocka_unit_test(the_symbols_of_the_first_version_fill_its_struct),
	};

	return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
