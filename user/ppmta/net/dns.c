// SPDX-License-Identifier: BSD-2-Clause
/*
 * DNS by c-ares. Each look-up has a channel of its own, in the thread that asks: it blocks no other
 * thread, and ends when the time of struct dns is over.
 */
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ares.h>

#include "../../common/clock.h"
#include "../../common/endpoint.h"
#include "net.h"

#define TRIES	  2
#define NAMES_MAX 8 /* of one address that are looked at */

int dns_init(void)
{
	return ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS ? 0 : -1;
}

/* "ADDR[:PORT]" separated by commas or spaces, as c-ares reads them, in @csv. */
static void servers_csv(const char *servers, char *csv, size_t size)
{
	size_t len = 0;

	for (; *servers && len + 1 < size; servers++) {
		if (*servers == ' ' || *servers == ';' || *servers == '\t') {
			if (len && csv[len - 1] != ',')
				csv[len++] = ',';
		} else {
			csv[len++] = *servers;
		}
	}
	while (len && csv[len - 1] == ',')
		len--;
	csv[len] = 0;
}

/* NULL: there is no time left, or no memory. */
static ares_channel channel_new(const struct dns *dns)
{
	const struct config *config = dns->config;
	/* the second try has twice the time: together, half of what is left, so that one server
	 * that does not answer leaves time for others */
	struct ares_options options = {.timeout = (config->dns_timeout - dns->spent_ms) / 6,
				       .tries = TRIES};
	ares_channel channel;
	char csv[1024];

	if (dns->spent_ms >= config->dns_timeout)
		return NULL;
	if (options.timeout < 1)
		options.timeout = 1;
	if (ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) !=
	    ARES_SUCCESS)
		return NULL;
	if (config->dns_servers) {
		servers_csv(config->dns_servers, csv, sizeof(csv));
		if (ares_set_servers_ports_csv(channel, csv) != ARES_SUCCESS) {
			ares_destroy(channel);
			return NULL;
		}
	}
	return channel;
}

char *dns_check_servers(const char *servers, struct pool *pool)
{
	struct config config = {.dns_servers = (char *)servers, .dns_timeout = 1000};
	struct dns dns = {.config = &config};
	ares_channel channel = channel_new(&dns);

	if (!channel)
		return pool_printf(pool,
				   "dns_servers: '%s' is not a list of addresses: 192.0.2.53, "
				   "127.0.0.1:5353",
				   servers);
	ares_destroy(channel);
	return NULL;
}

/* Waits for input, for as long as c-ares wants, and passes it on. */
static void process(ares_channel channel, int64_t left_ms)
{
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	struct pollfd fds[ARES_GETSOCK_MAXNUM];
	struct timeval limit = {left_ms / 1000, left_ms % 1000 * 1000}, *wait;
	int bits = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM), i, count = 0;

	for (i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		if (!ARES_GETSOCK_READABLE(bits, i) && !ARES_GETSOCK_WRITABLE(bits, i))
			continue;
		fds[count].fd = sockets[i];
		fds[count].events = (ARES_GETSOCK_READABLE(bits, i) ? POLLIN : 0) |
				    (ARES_GETSOCK_WRITABLE(bits, i) ? POLLOUT : 0);
		fds[count++].revents = 0;
	}
	wait = ares_timeout(channel, &limit, &limit);
	poll(fds, count, wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1);
	if (!count)
		ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	for (i = 0; i < count; i++)
		ares_process_fd(channel, fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD,
				fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
}

/* Waits until the question of @channel, which goes with this, is done. */
static void finish(struct dns *dns, ares_channel channel, const int *done)
{
	int64_t start = clock_ms(), time = (dns->config->dns_timeout - dns->spent_ms + 1) / 2, left;

	while (!*done && (left = time - clock_elapsed_ms(start)) > 0)
		process(channel, left);
	dns->spent_ms += clock_elapsed_ms(start);
	ares_destroy(channel); /* which ends it, if it is not */
}

static enum dns_status status_of(int ares_status)
{
	switch (ares_status) {
	case ARES_SUCCESS:
		return DNS_OK;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_EBADNAME:
		return DNS_NONE;
	default:
		return DNS_DEFER;
	}
}

/* ---- raw queries ---- */

struct query {
	int done;
	enum dns_status status;
	unsigned char *answer;
	int len;
};

static void query_done(void *context, int status, int timeouts, unsigned char *answer, int len)
{
	struct query *query = context;

	(void)timeouts;
	query->done = 1;
	query->status = status_of(status);
	if (status != ARES_SUCCESS)
		return;
	query->answer = malloc(len);
	if (!query->answer) {
		query->status = DNS_DEFER;
		return;
	}
	memcpy(query->answer, answer, len);
	query->len = len;
}

enum dns_status dns_query(struct dns *dns, const char *name, int type, unsigned char **answer,
			  int *len)
{
	struct query query = {.status = DNS_DEFER};
	ares_channel channel = channel_new(dns);

	*answer = NULL;
	if (!channel)
		return DNS_DEFER;
	ares_query(channel, name, C_IN, type, query_done, &query);
	finish(dns, channel, &query.done);
	*answer = query.answer;
	*len = query.len;
	return query.status;
}

void dns_query_free(unsigned char *answer)
{
	free(answer);
}

enum dns_status dns_ipv4(struct dns *dns, const char *name,
			 struct in_addr addresses[DNS_ADDRESSES_MAX], int *count)
{
	struct ares_addrttl found[DNS_ADDRESSES_MAX];
	enum dns_status status;
	unsigned char *answer;
	int len, i;

	*count = 0;
	status = dns_query(dns, name, ns_t_a, &answer, &len);
	if (status != DNS_OK)
		return status;
	*count = DNS_ADDRESSES_MAX;
	status = status_of(ares_parse_a_reply(answer, len, NULL, found, count));
	dns_query_free(answer);
	for (i = 0; status == DNS_OK && i < *count; i++)
		addresses[i] = found[i].ipaddr;
	return status;
}

char *dns_text(struct dns *dns, const char *name, struct pool *pool)
{
	struct ares_txt_reply *reply = NULL;
	unsigned char *answer;
	char *text = "";
	int len;

	if (dns_query(dns, name, ns_t_txt, &answer, &len) != DNS_OK)
		return text;
	if (ares_parse_txt_reply(answer, len, &reply) == ARES_SUCCESS && reply) {
		text = pool_copy(pool, (const char *)reply->txt, reply->length);
		text_clean(text, reply->length, true);
	}
	ares_free_data(reply);
	dns_query_free(answer);
	return text;
}

/* ---- addresses and names ---- */

struct resolution {
	int done;
	enum dns_status status;
	struct dns_addresses *addresses;
	struct pool *pool;
	char *names[NAMES_MAX];
	int count;
};

static void addresses_done(void *context, int status, int timeouts, struct ares_addrinfo *result)
{
	struct resolution *resolution = context;
	struct dns_addresses *addresses = resolution->addresses;
	struct ares_addrinfo_node *node;
	struct sockaddr_storage endpoint;

	(void)timeouts;
	resolution->done = 1;
	resolution->status = status_of(status);
	for (node = result ? result->nodes : NULL; node && addresses->count < DNS_ADDRESSES_MAX;
	     node = node->ai_next) {
		memset(&endpoint, 0, sizeof(endpoint));
		memcpy(&endpoint, node->ai_addr, node->ai_addrlen);
		endpoint_address(&endpoint, addresses->text[addresses->count++]);
	}
	if (result)
		ares_freeaddrinfo(result);
}

enum dns_status dns_addresses(struct dns *dns, const char *name, struct dns_addresses *addresses)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct resolution resolution = {.status = DNS_DEFER, .addresses = addresses};
	ares_channel channel = channel_new(dns);

	addresses->count = 0;
	if (!channel)
		return DNS_DEFER;
	ares_getaddrinfo(channel, name, NULL, &hints, addresses_done, &resolution);
	finish(dns, channel, &resolution.done);
	return resolution.status;
}

static void names_done(void *context, int status, int timeouts, struct hostent *host)
{
	struct resolution *resolution = context;
	int i;

	(void)timeouts;
	resolution->done = 1;
	resolution->status = status_of(status);
	if (!host)
		return;
	if (host->h_name)
		resolution->names[resolution->count++] =
			pool_string(resolution->pool, host->h_name);
	for (i = 0; host->h_aliases && host->h_aliases[i] && resolution->count < NAMES_MAX; i++) {
		if (!host->h_name || strcasecmp(host->h_aliases[i], host->h_name))
			resolution->names[resolution->count++] =
				pool_string(resolution->pool, host->h_aliases[i]);
	}
}

/* Does @name lead back to @address? */
static enum dns_status confirm(struct dns *dns, const char *name, const char *address)
{
	struct dns_addresses addresses;
	enum dns_status status = dns_addresses(dns, name, &addresses);
	int i;

	for (i = 0; i < addresses.count; i++) {
		if (!strcmp(addresses.text[i], address))
			return DNS_OK;
	}
	return status == DNS_DEFER ? DNS_DEFER : DNS_NONE;
}

enum dns_status dns_name_of(struct dns *dns, const char *address, struct pool *pool, char **name)
{
	struct resolution resolution = {.status = DNS_DEFER, .pool = pool};
	ares_channel channel = channel_new(dns);
	enum dns_status status = DNS_NONE, one;
	unsigned char binary[16];
	int family = address_parse(address, AF_UNSPEC, binary), i;

	*name = NULL;
	if (!channel)
		return DNS_DEFER;
	if (!family) {
		ares_destroy(channel);
		return DNS_NONE;
	}
	ares_gethostbyaddr(channel, binary, family == AF_INET ? 4 : 16, family, names_done,
			   &resolution);
	finish(dns, channel, &resolution.done);
	if (resolution.status != DNS_OK)
		return resolution.status;
	for (i = 0; i < resolution.count; i++) {
		one = confirm(dns, resolution.names[i], address);
		if (one == DNS_OK) {
			*name = resolution.names[i];
			return DNS_OK;
		}
		if (one == DNS_DEFER)
			status = DNS_DEFER;
	}
	return status;
}
