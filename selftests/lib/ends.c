// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ends of connections.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "ends.h"

int saw_fin(int tcp)
{
	return tcp == TCP_CLOSE_WAIT || tcp == TCP_LAST_ACK || tcp == TCP_CLOSING ||
	       tcp == TCP_TIME_WAIT || tcp == TCP_CLOSE;
}

int is_closed(int tcp)
{
	return tcp == TCP_CLOSE;
}

void end_close(struct link *link)
{
	close(link->client);
	link->client = -1;
}

void end_reset(struct link *link)
{
	reset(link->client);
	link->client = -1;
}

void end_shutdown(struct link *link)
{
	assert_int_equal(shutdown(link->client, SHUT_WR), 0);
}

void end_shutdown_then_server(struct link *link)
{
	end_shutdown(link);
	assert_int_equal(shutdown(link->server, SHUT_WR), 0);
}

void end_server_then_shutdown(struct link *link)
{
	assert_int_equal(shutdown(link->server, SHUT_WR), 0);
	end_shutdown(link);
}

void end_server_then_reset(struct link *link)
{
	assert_int_equal(shutdown(link->server, SHUT_WR), 0);
	end_reset(link);
}

void end_shutdown_then_reset(struct link *link)
{
	end_shutdown(link);
	end_reset(link);
}

void end_server_reads_no_more(struct link *link)
{
	assert_int_equal(shutdown(link->server, SHUT_RD), 0);
}

void end_server_is_done(struct link *link)
{
	assert_int_equal(shutdown(link->server, SHUT_RDWR), 0);
}

void end_user_timeout(struct link *link)
{
	unsigned int ms = 500;

	assert_int_equal(setsockopt(link->server, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)),
			 0);
	send_text(link->server, "220 hello\r\n");
}

void end_keepalive(struct link *link)
{
	int one = 1;

	setsockopt(link->server, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one));
	setsockopt(link->server, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one));
	setsockopt(link->server, IPPROTO_TCP, TCP_KEEPCNT, &one, sizeof(one));
	setsockopt(link->server, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

int tcp_destroy(unsigned int server_port, unsigned int client_port)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} ask = {
		.header = {.nlmsg_len = sizeof(ask),
			   .nlmsg_type = SOCK_DESTROY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.request = {.sdiag_family = AF_INET,
			    .sdiag_protocol = IPPROTO_TCP,
			    .idiag_states = -1,
			    .id = {.idiag_sport = htons(server_port),
				   .idiag_dport = htons(client_port),
				   .idiag_src = {inet_addr(SERVER)},
				   .idiag_dst = {inet_addr(PROXY)},
				   .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer = {0};
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	assert_true(netlink >= 0);
	assert_int_equal(send(netlink, &ask, sizeof(ask), 0), sizeof(ask));
	assert_true(recv(netlink, &answer, sizeof(answer), 0) > 0);
	assert_int_equal(answer.header.nlmsg_type, NLMSG_ERROR);
	close(netlink);
	return answer.error.error;
}

void end_destroy(struct link *link)
{
	struct sockaddr_in server;
	socklen_t len = sizeof(server);

	assert_int_equal(getpeername(link->client, (struct sockaddr *)&server, &len), 0);
	assert_int_equal(tcp_destroy(ntohs(server.sin_port), port_of(link->client)), 0);
}
