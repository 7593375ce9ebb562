// SPDX-License-Identifier: BSD-2-Clause
/*
 * A proxy sends a header, a part of one or nothing, and the connection ends: by either end, or by a
 * time-out. Each way to send with each way to end, in each mode. Where the whole header was sent
 * the answer is the origin, else that the connection was closed; and it comes at once. (A
 * connection that sends nothing ends at the gate: gate.c.)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include "../lib/ends.h"

#define TRANSPARENT   2532
#define LARGE	      4000 /* bytes */
#define COMMANDS      "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\n"
#define UNKNOWN	      "PROXY UNKNOWN\r\n"
#define LONG_SECONDS  120 /* far more than any answer takes */
#define TIMEOUT_TRIES 60  /* seconds that TCP may take to give up */

struct way {
	const char *name;
	const char *line;  /* the v1 header, or NULL: */
	size_t header_len; /* of a v2 header */
	size_t missing;	   /* how much of the header's end is not sent */
	int pieces;
	enum { NO_PAYLOAD, IN_THE_LAST_PIECE, AFTERWARDS } payload;
};

static const struct way ways[] = {
	{"nothing", "", 0, 0, 1, NO_PAYLOAD},
	{"v1", LINE, 0, 0, 1, NO_PAYLOAD},
	{"v1 with payload", LINE, 0, 0, 1, IN_THE_LAST_PIECE},
	{"v1, then payload", LINE, 0, 0, 1, AFTERWARDS},
	{"v1 in 2 pieces", LINE, 0, 0, 2, NO_PAYLOAD},
	{"v1 in 3 pieces, the last with payload", LINE, 0, 0, 3, IN_THE_LAST_PIECE},
	{"v1 UNKNOWN with payload", UNKNOWN, 0, 0, 1, IN_THE_LAST_PIECE},
	{"v1 but for 1 byte", LINE, 0, 1, 1, NO_PAYLOAD},
	{"v1 but for 1 byte in 2 pieces", LINE, 0, 1, 2, NO_PAYLOAD},
	{"1 byte of v1", LINE, 0, LINE_LEN - 1, 1, NO_PAYLOAD},
	{"v2", NULL, 28, 0, 1, NO_PAYLOAD},
	{"v2 with payload", NULL, 28, 0, 1, IN_THE_LAST_PIECE},
	{"v2 but for 1 byte", NULL, 28, 1, 1, NO_PAYLOAD},
	{"v2 with TLVs and payload", NULL, 300, 0, 1, IN_THE_LAST_PIECE},
	{"v2 with TLVs in 3 pieces, then payload", NULL, 300, 0, 3, AFTERWARDS},
	{"v2 with TLVs but for 1 byte in 3 pieces", NULL, 300, 1, 3, NO_PAYLOAD},
	{"v2 of 4,000 bytes", NULL, LARGE, 0, 1, NO_PAYLOAD},
	{"v2 of 4,000 bytes in 3 pieces with payload", NULL, LARGE, 0, 3, IN_THE_LAST_PIECE},
	{"v2 of 4,000 bytes but for 1 byte", NULL, LARGE, 1, 1, NO_PAYLOAD},
	{"v2 of 4,000 bytes but for 1 byte in 2 pieces", NULL, LARGE, 1, 2, NO_PAYLOAD},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static const struct mode {
	const char *name;
	unsigned int port;
} modes[] = {{"gate", PORT}, {"no gate", OPEN}, {"transparent", TRANSPARENT}};

#define MODES (sizeof(modes) / sizeof(modes[0]))

struct connection {
	const struct way *way;
	const struct mode *mode;
	struct link link;
	char peer[INET_ADDRSTRLEN]; /* as accept() names it */
	int waiting;		    /* @waiter is in pp_lookup_wait() while the connection ends */
	pthread_t waiter;
	int waiter_says;
};

/* How a connection ends. */
struct end {
	const char *name;
	int before_accept;
	int last_flags; /* of the last send() */
	void (*end)(struct link *link);
	int cut;	       /* from then on, nothing comes from the proxy any more */
	int (*ended)(int tcp); /* is that the server's state once it is over? */
};

static int listeners[MODES];

static void told_too_late(int signal)
{
	static const char text[] = "pp_lookup_wait(-1) does not return\n";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static int setup(void **state)
{
	size_t i;

	net_setup(state);
	run(0, "build/bin/ppctl port add %d --transparent", TRANSPARENT);
	for (i = 0; i < MODES; i++)
		listeners[i] = listen_on(SERVER, modes[i].port);
	signal(SIGALRM, told_too_late);
	return 0;
}

static size_t header_of(const struct way *way, uint8_t *bytes)
{
	if (!way->line)
		return make_v2(bytes, way->header_len);
	memcpy(bytes, way->line, strlen(way->line));
	return strlen(way->line);
}

/* All that the proxy sends: in front the header, as far as it is sent. Return: length of both. */
static size_t stream_of(const struct way *way, uint8_t *bytes, size_t *header_len)
{
	size_t len = header_of(way, bytes) - way->missing;

	*header_len = len;
	if (way->payload == NO_PAYLOAD)
		return len;
	memcpy(bytes + len, COMMANDS, sizeof(COMMANDS) - 1);
	return len + sizeof(COMMANDS) - 1;
}

static int is_whole(const struct way *way)
{
	return !way->missing && (!way->line || way->line[0]);
}

static void fill_origin(const struct way *way, char *text)
{
	if (way->line && strcmp(way->line, UNKNOWN) == 0)
		strcpy(text, "LOCAL v1");
	else
		strcpy(text, way->line ? LINE_ORIGIN : V2_ORIGIN);
}

/* Does a connection reach the server before it ends? */
static int is_accepted(const struct connection *connection)
{
	if (connection->mode->port == TRANSPARENT)
		return is_whole(connection->way);
	return connection->mode->port == OPEN || !connection->way->line || connection->way->line[0];
}

/* Not tried: nobody is accepted behind a gate who sends nothing, until it goes. */
static int is_tried(const struct connection *connection, const struct end *end)
{
	const struct way *way = connection->way;

	return end->before_accept ? is_whole(way) || connection->mode->port == OPEN
				  : is_accepted(connection);
}

static void send_stream(const struct connection *connection, int last_flags)
{
	uint8_t bytes[LARGE + sizeof(COMMANDS)];
	const struct way *way = connection->way;
	size_t header_len, len = stream_of(way, bytes, &header_len), at = 0, piece;
	int i;

	if (way->payload == IN_THE_LAST_PIECE)
		header_len = len;
	for (i = 0; i < way->pieces; i++) {
		piece = i + 1 < way->pieces ? header_len / way->pieces : header_len - at;
		if (i + 1 == way->pieces && header_len == len && piece) {
			assert_int_equal(send(connection->link.client, bytes + at, piece,
					      last_flags),
					 piece);
			if (last_flags) /* it waits for what ends the connection */
				return;
		} else {
			send_all(connection->link.client, bytes + at, piece);
		}
		at += piece;
		await_acknowledged(connection->link.client);
	}
	if (header_len < len)
		assert_int_equal(send(connection->link.client, bytes + at, len - at, last_flags),
				 len - at);
	if (!last_flags)
		await_acknowledged(connection->link.client);
}

static void take_connection(struct connection *connection, const struct end *end)
{
	struct pollfd in = {.fd = listeners[connection->mode - modes], .events = POLLIN};
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	if (poll(&in, 1, SOON_MS) != 1)
		fail_msg("%s, %s, %s: no connection", end->name, connection->mode->name,
			 connection->way->name);
	connection->link.server = accept4(in.fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	assert_true(connection->link.server >= 0);
	inet_ntop(AF_INET, &peer.sin_addr, connection->peer, sizeof(connection->peer));
}

static void *wait_for_header(void *argument)
{
	struct connection *connection = argument;
	struct pp_origin origin;

	connection->waiter_says = pp_lookup_wait(connection->link.server, &origin, -1);
	return NULL;
}

static int state_of(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_state;
}

static void await_end(const struct connection *connection, const struct end *end)
{
	int tries;

	for (tries = 0; end->ended && tries < TIMEOUT_TRIES * 1000; tries++) {
		if (end->ended(state_of(connection->link.server)))
			return;
		usleep(1000);
	}
	if (end->ended)
		fail_msg("%s, %s, %s: TCP's state is still %d", end->name, connection->mode->name,
			 connection->way->name, state_of(connection->link.server));
}

static void check_answer(const struct connection *connection, const struct end *end, int answer,
			 const struct pp_origin *origin, const char *how)
{
	const struct way *way = connection->way;
	char text[PP_ORIGIN_PRINT_MAX], want[128];

	if (answer != (is_whole(way) ? 0 : -EBADMSG))
		fail_msg("%s, %s, %s: %s says %d (%s)", end->name, connection->mode->name,
			 way->name, how, answer, pp_strerror(answer));
	if (answer && origin->reason != PP_BAD_CLOSED)
		fail_msg("%s, %s, %s: %s gives reason %d (%s)", end->name, connection->mode->name,
			 way->name, how, origin->reason, pp_reason_text(origin->reason));
	if (answer)
		return;
	fill_origin(way, want);
	pp_origin_print(origin, text, sizeof(text));
	if (strcmp(text, want))
		fail_msg("%s, %s, %s: %s says %s, not %s", end->name, connection->mode->name,
			 way->name, how, text, want);
}

/* Behind a whole header there is the payload; in front of the end of a part of one, that part,
 * unless a waiter has taken it. */
static void check_stream(const struct connection *connection, const struct end *end)
{
	uint8_t bytes[LARGE + sizeof(COMMANDS)], got[sizeof(bytes) + 1];
	size_t header_len, len = stream_of(connection->way, bytes, &header_len), from = 0, have = 0;
	ssize_t more;

	if (is_whole(connection->way))
		from = header_len;
	else if (connection->waiting)
		return;
	while ((more = recv(connection->link.server, got + have, sizeof(got) - have,
			    MSG_DONTWAIT)) > 0)
		have += more;
	if (have != len - from || memcmp(got, bytes + from, have))
		fail_msg("%s, %s, %s: the stream has %zu bytes, not %zu", end->name,
			 connection->mode->name, connection->way->name, have, len - from);
}

static void check_name(const struct connection *connection, const struct end *end)
{
	const struct way *way = connection->way;

	if (way->line && strcmp(way->line, UNKNOWN) == 0) /* that is: from the proxy itself */
		return;
	if (strcmp(connection->peer, "192.0.2.7"))
		fail_msg("%s, %s, %s: the peer's name is %s", end->name, connection->mode->name,
			 way->name, connection->peer);
}

static void check_connection(struct connection *connection, const struct end *end)
{
	struct pp_origin origin = {0};
	int answer;

	if (connection->waiting) { /* while it takes the header, others are told -EAGAIN */
		alarm(LONG_SECONDS);
		pthread_join(connection->waiter, NULL);
		alarm(0);
	}
	answer = pp_lookup(connection->link.server, &origin);
	if (connection->mode->port == TRANSPARENT)
		check_name(connection, end);
	check_answer(connection, end, answer, &origin, "pp_lookup");
	alarm(LONG_SECONDS);
	answer = pp_lookup_wait(connection->link.server, &origin, -1);
	alarm(0);
	check_answer(connection, end, answer, &origin, "pp_lookup_wait");
	if (connection->waiting && connection->waiter_says != answer)
		fail_msg("%s, %s, %s: who waited was told %d", end->name, connection->mode->name,
			 connection->way->name, connection->waiter_says);
	check_stream(connection, end);
	answer = pp_lookup(connection->link.server, &origin);
	check_answer(connection, end, answer, &origin, "a second pp_lookup");
}

static void cut_proxy_off(void)
{
	run(0,
	    "nft add table ip cut && "
	    "nft 'add chain ip cut in { type filter hook input priority 0; }' && "
	    "nft add rule ip cut in ip saddr %s drop",
	    PROXY);
}

/* All the connections at once, so that a time-out is waited for once. */
static void try_all(const struct end *end, int waiting)
{
	static struct connection connections[WAYS * MODES];
	struct connection *connection;
	size_t count = 0, way, mode, i;

	for (way = 0; way < WAYS; way++) {
		for (mode = 0; mode < MODES; mode++) {
			connection = &connections[count];
			memset(connection, 0, sizeof(*connection));
			connection->way = &ways[way];
			connection->mode = &modes[mode];
			if (!is_tried(connection, end))
				continue;
			connection->link.client = connect_to(PROXY, SERVER, modes[mode].port);
			send_stream(connection, end->last_flags);
			if (end->before_accept)
				end->end(&connection->link);
			take_connection(connection, end);
			count++;
		}
	}
	for (i = 0; i < count && waiting; i++) {
		connections[i].waiting = 1;
		assert_int_equal(pthread_create(&connections[i].waiter, NULL, wait_for_header,
						&connections[i]),
				 0);
	}
	if (end->cut)
		cut_proxy_off();
	for (i = 0; i < count && !end->before_accept; i++)
		end->end(&connections[i].link);
	for (i = 0; i < count; i++)
		await_end(&connections[i], end);
	if (end->cut)
		run(0, "nft delete table ip cut");
	for (i = 0; i < count; i++)
		check_connection(&connections[i], end);
	for (i = 0; i < count; i++) {
		if (connections[i].link.client >= 0)
			reset(connections[i].link.client);
		close(connections[i].link.server);
	}
}

static void try_end(const struct end *end)
{
	try_all(end, 0);
	if (!end->before_accept)
		try_all(end, 1);
}

static void after_a_close(void **state)
{
	static const struct end early = {"closed before accept()", 1, 0, end_close, 0, saw_fin};
	static const struct end late = {"closed", 0, 0, end_close, 0, saw_fin};

	(void)state;
	try_end(&early);
	try_end(&late);
}

static void after_a_fin_in_the_last_segment(void **state)
{
	static const struct end early = {
		"closed in the last segment", 1, MSG_MORE, end_close, 0, saw_fin};

	(void)state;
	try_end(&early);
}

static void after_a_half_close(void **state)
{
	static const struct end early = {
		"half closed before accept()", 1, 0, end_shutdown, 0, saw_fin};
	static const struct end late = {"half closed", 0, 0, end_shutdown, 0, saw_fin};

	(void)state;
	try_end(&early);
	try_end(&late);
}

static void after_a_half_close_by_both(void **state)
{
	static const struct end proxy = {"half closed, then by the server", 0, 0,
					 end_shutdown_then_server,	    0, saw_fin};
	static const struct end server = {"half closed by the server first", 0, 0,
					  end_server_then_shutdown,	     0, saw_fin};

	(void)state;
	try_end(&proxy);
	try_end(&server);
}

static void after_a_reset(void **state)
{
	static const struct end early = {"reset before accept()", 1, 0, end_reset, 0, is_closed};
	static const struct end late = {"reset", 0, 0, end_reset, 0, is_closed};

	(void)state;
	try_end(&early);
	try_end(&late);
}

static void after_a_half_close_and_a_reset(void **state)
{
	static const struct end early = {
		"half closed, reset, before accept()", 1, 0, end_shutdown_then_reset, 0, is_closed};
	static const struct end late = {"half closed and reset", 0, 0,
					end_shutdown_then_reset, 0, is_closed};
	static const struct end server = {
		"half closed by the server, reset", 0, 0, end_server_then_reset, 0, is_closed};

	(void)state;
	try_end(&early);
	try_end(&late);
	try_end(&server);
}

static void after_the_servers_own_shutdown(void **state)
{
	static const struct end reads = {"the server reads no more", 0, 0,
					 end_server_reads_no_more,   0, NULL};
	static const struct end all = {"shut down by the server", 0, 0,
				       end_server_is_done,	  0, NULL};

	(void)state;
	try_end(&reads);
	try_end(&all);
}

static void after_a_time_out_of_what_was_sent(void **state)
{
	static const struct end end = {"TCP_USER_TIMEOUT", 0, 0, end_user_timeout, 1, is_closed};

	(void)state;
	try_end(&end);
}

static void after_a_time_out_of_keepalive(void **state)
{
	static const struct end end = {"keepalive", 0, 0, end_keepalive, 1, is_closed};

	(void)state;
	try_end(&end);
}

static void after_an_administrator_destroyed_it(void **state)
{
	static const struct end early = {
		"destroyed before accept()", 1, 0, end_destroy, 0, is_closed};
	static const struct end late = {"destroyed", 0, 0, end_destroy, 0, is_closed};
	int answer = tcp_destroy(1, 1);

	(void)state;
	if (answer == -EOPNOTSUPP)
		skip_because("this kernel has no SOCK_DESTROY (CONFIG_INET_DIAG_DESTROY)");
	assert_int_equal(answer, -ENOENT);
	try_end(&early);
	try_end(&late);
}

static void a_part_of_a_header_never_reaches_a_transparent_server(void **state)
{
	static const size_t parts[] = {1, 20, LINE_LEN - 1};
	int client;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		send_all(client, LINE, parts[i]);
		if (i % 2)
			close(client);
		else
			reset(client);
	}
	assert_int_equal(accept_within(listeners[2], A_WHILE_MS), -ETIMEDOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_a_close),
		cmocka_unit_test(after_a_fin_in_the_last_segment),
		cmocka_unit_test(after_a_half_close),
		cmocka_unit_test(after_a_half_close_by_both),
		cmocka_unit_test(after_a_reset),
		cmocka_unit_test(after_a_half_close_and_a_reset),
		cmocka_unit_test(after_the_servers_own_shutdown),
		cmocka_unit_test(after_a_time_out_of_what_was_sent),
		cmocka_unit_test(after_a_time_out_of_keepalive),
		cmocka_unit_test(after_an_administrator_destroyed_it),
		cmocka_unit_test(a_part_of_a_header_never_reaches_a_transparent_server),
	};

	return cmocka_run_group_tests_name("closed", tests, setup, NULL);
}
