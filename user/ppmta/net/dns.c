// SPDX-License-Identifier: BSD-2-Clause
/*
 * DNS by c-ares. Each look-up has a channel of its own, in the thread that asks: it blocks no other
 * thread, and ends after config->dns_timeout.
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

#define TRIES	  3
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

static ares_channel channel_new(const struct config *config)
{
	struct ares_options options = {.timeout = config->dns_timeout / TRIES, .tries = TRIES};
	ares_channel channel;
	char csv[1024];

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
	ares_channel channel = channel_new(&config);

	if (!channel)
		return pool_printf(pool,
				   "dns_servers: '%s' is not a list of addresses: 192.0.2.53, "
				   "127.0.0.1:5353",
				   servers);
	ares_destroy(channel);
	return NULL;
}

static void wait_for_answer(ares_channel channel, int timeout_ms, const int *done)
{
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	struct pollfd fds[ARES_GETSOCK_MAXNUM];
	struct timeval limit, *wait;
	int64_t start = clock_ms();
	int bits, i, count;

	while (!*done) {
		if (clock_elapsed_ms(start) >= timeout_ms) {
			ares_cancel(channel);
			return;
		}
		bits = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
		for (count = i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
			if (!ARES_GETSOCK_READABLE(bits, i) && !ARES_GETSOCK_WRITABLE(bits, i))
				continue;
			fds[count].fd = sockets[i];
			fds[count].events = (ARES_GETSOCK_READABLE(bits, i) ? POLLIN : 0) |
					    (ARES_GETSOCK_WRITABLE(bits, i) ? POLLOUT : 0);
			fds[count++].revents = 0;
		}
		limit.tv_sec = 1;
		limit.tv_usec = 0;
		wait = ares_timeout(channel, &limit, &limit);
		poll(fds, count, wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1);
		if (!count)
			ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
		for (i = 0; i < count; i++)
			ares_process_fd(channel,
					fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD,
					fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
	}
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

/* ---- raw queries, for SPF ---- */

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

enum dns_status dns_query(const struct config *config, const char *name, int type,
			  unsigned char **answer, int *len)
{
	struct query query = {.status = DNS_DEFER};
	ares_channel channel = channel_new(config);

	if (!channel)
		return DNS_DEFER;
	ares_query(channel, name, C_IN, type, query_done, &query);
	wait_for_answer(channel, config->dns_timeout, &query.done);
	ares_destroy(channel);
	*answer = query.answer;
	*len = query.len;
	return query.status;
}

void dns_query_free(unsigned char *answer)
{
	free(answer);
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

enum dns_status dns_addresses(const struct config *config, const char *name,
			      struct dns_addresses *addresses)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct resolution resolution = {.status = DNS_DEFER, .addresses = addresses};
	ares_channel channel = channel_new(config);

	addresses->count = 0;
	if (!channel)
		return DNS_DEFER;
	ares_getaddrinfo(channel, name, NULL, &hints, addresses_done, &resolution);
	wait_for_answer(channel, config->dns_timeout, &resolution.done);
	ares_destroy(channel);
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
static enum dns_status confirm(const struct config *config, const char *name, const char *address)
{
	struct dns_addresses addresses;
	enum dns_status status = dns_addresses(config, name, &addresses);
	int i;

	for (i = 0; i < addresses.count; i++) {
		if (!strcmp(addresses.text[i], address))
			return DNS_OK;
	}
	return status == DNS_DEFER ? DNS_DEFER : DNS_NONE;
}

enum dns_status dns_name_of(const struct config *config, const char *address, struct pool *pool,
			    char **name)
{
	struct resolution resolution = {.status = DNS_DEFER, .pool = pool};
	ares_channel channel = channel_new(config);
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
	wait_for_answer(channel, config->dns_timeout, &resolution.done);
	ares_destroy(channel);
	if (resolution.status != DNS_OK)
		return resolution.status;
	for (i = 0; i < resolution.count; i++) {
		one = confirm(config, resolution.names[i], address);
		if (one == DNS_OK) {
			*name = resolution.names[i];
			return DNS_OK;
		}
		if (one == DNS_DEFER)
			status = DNS_DEFER;
	}
	return status;
}
