// SPDX-License-Identifier: BSD-2-Clause
/*
 * DNS by c-ares. Each look-up has a channel of its own, in the thread that asks: it blocks no other
 * thread, and ends when the time of struct dns is over.
 */
#include <arpa/nameser.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CARES_NO_DEPRECATED /* since 1.28; there is nothing else in 1.18, of Debian 12 */
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

/* NULL: there is no time left, or no memory. */
static ares_channel channel_new(const struct dns *dns)
{
	const struct config *config = dns->config;
	/* the second try has twice the time: together, half of what is left, so that one server
	 * that does not answer leaves time for others */
	struct ares_options options = {.timeout = (config->dns_timeout - dns->spent_ms) / 6,
				       .tries = TRIES};
	ares_channel channel;

	if (dns->spent_ms >= config->dns_timeout)
		return NULL;
	if (options.timeout < 1)
		options.timeout = 1;
	if (ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) !=
	    ARES_SUCCESS)
		return NULL;
	if (config->dns_servers &&
	    ares_set_servers_ports_csv(channel, config->dns_servers) != ARES_SUCCESS) {
		ares_destroy(channel);
		return NULL;
	}
	return channel;
}

char *dns_check_servers(struct config *config, struct pool *pool)
{
	char *list = pool_string(pool, config->dns_servers), *one, *next, text[ENDPOINT_TEXT_MAX];
	struct text csv = {
		.pool = &config->pool}; /* as c-ares wants it: with ports, without blanks */
	struct sockaddr_storage endpoint;
	socklen_t len;

	for (one = strtok_r(list, ", ", &next); one; one = strtok_r(NULL, ", ", &next)) {
		if (endpoint_parse(one, NS_DEFAULTPORT, &endpoint, &len))
			return pool_printf(pool,
					   "dns_servers: '%s' is not an address, as 192.0.2.53, "
					   "127.0.0.1:5353 or [::1]:5353",
					   one);
		endpoint_text(&endpoint, text);
		text_add_string(&csv, csv.len ? "," : "");
		text_add_string(&csv, text);
	}
	config->dns_servers = text_get(&csv);
	return csv.len ? NULL : "dns_servers: is empty";
}

/* Waits for input, for as long as c-ares wants, and passes it on. */
static void process(ares_channel channel, int64_t left_ms)
{
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	struct pollfd fds[ARES_GETSOCK_MAXNUM];
	struct timeval limit = {left_ms / 1000, left_ms % 1000 * 1000}, *wait;
	unsigned int bits = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
	int i, count = 0;

	/* not by ARES_GETSOCK_WRITABLE(), which shifts into the sign */
	for (i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		fds[count].fd = sockets[i];
		fds[count].events = (bits >> i & 1 ? POLLIN : 0) |
				    (bits >> (i + ARES_GETSOCK_MAXNUM) & 1 ? POLLOUT : 0);
		fds[count].revents = 0;
		count += fds[count].events != 0;
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

/* ---- records ---- */

struct query {
	int done, type;
	enum dns_status status;
	void (*each)(void *context, const char *bytes, size_t len);
	void *context;
};

/* The texts of a TXT record, put together in @text. Return: their length, or -1. */
static ssize_t join_texts(const unsigned char *data, size_t len, char *text)
{
	size_t used = 0, part;

	for (; len && *data < len; data += part + 1, len -= part + 1) {
		part = *data;
		memcpy(text + used, data + 1, part);
		used += part;
	}
	return len ? -1 : (ssize_t)used;
}

/* @text: room for as much as the answer has, and a name. */
static bool give_record(struct query *query, const ns_msg *message, const ns_rr *record, char *text)
{
	const unsigned char *data = ns_rr_rdata(*record);
	ssize_t len = ns_rr_rdlen(*record), preference = query->type == ns_t_mx ? 2 : 0;

	if (query->type == ns_t_a || query->type == ns_t_aaaa) {
		if (len != (query->type == ns_t_a ? 4 : 16))
			return false;
		memcpy(text, data, len);
	} else if (query->type == ns_t_txt) {
		len = join_texts(data, len, text);
		if (len < 0)
			return false;
	} else {
		if (len <= preference ||
		    ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message),
				       data + preference, text, NS_MAXDNAME) < 0)
			return false;
		len = strlen(text);
	}
	query->each(query->context, text, len);
	return true;
}

/* Return: what the answer says; DNS_DEFER: it cannot be read, so that it says not even "no". */
static enum dns_status give_records(struct query *query, const unsigned char *answer, int len,
				    char *text)
{
	enum dns_status status = DNS_NONE;
	ns_msg message;
	ns_rr record;
	int i;

	if (!text || ns_initparse(answer, len, &message))
		return DNS_DEFER;
	for (i = 0; i < ns_msg_count(message, ns_s_an); i++) {
		if (ns_parserr(&message, ns_s_an, i, &record))
			return DNS_DEFER;
		if ((int)ns_rr_type(record) != query->type)
			continue;
		if (!give_record(query, &message, &record, text))
			return DNS_DEFER;
		status = DNS_OK;
	}
	return status;
}

static void records_done(void *context, int status, int timeouts, unsigned char *answer, int len)
{
	struct query *query = context;
	char *text;

	(void)timeouts;
	query->done = 1;
	query->status = status_of(status);
	if (status != ARES_SUCCESS)
		return;
	text = malloc(len + NS_MAXDNAME); /* not on the stack: others have it deep */
	query->status = give_records(query, answer, len, text);
	free(text);
}

enum dns_status dns_records(struct dns *dns, const char *domain, int type,
			    void (*each)(void *context, const char *bytes, size_t len),
			    void *context)
{
	struct query query = {.type = type, .status = DNS_DEFER, .each = each, .context = context};
	ares_channel channel = channel_new(dns);

	if (!channel)
		return DNS_DEFER;
	ares_query(channel, domain, C_IN, type, records_done, &query);
	finish(dns, channel, &query.done);
	return query.status;
}

/* ---- addresses and names ---- */

struct resolution {
	int done;
	enum dns_status status;
	struct ares_addrinfo *result;
};

static void addresses_done(void *context, int status, int timeouts, struct ares_addrinfo *result)
{
	struct resolution *resolution = context;

	(void)timeouts;
	resolution->done = 1;
	resolution->status = status_of(status);
	resolution->result = result;
}

enum dns_status dns_addresses(struct dns *dns, const char *name,
			      bool (*each)(void *context, const struct sockaddr_storage *address),
			      void *context)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct resolution resolution = {.status = DNS_DEFER};
	ares_channel channel = channel_new(dns);
	const struct ares_addrinfo_node *node;

	if (!channel)
		return DNS_DEFER;
	ares_getaddrinfo(channel, name, NULL, &hints, addresses_done, &resolution);
	finish(dns, channel, &resolution.done);
	for (node = resolution.result ? resolution.result->nodes : NULL; node;
	     node = node->ai_next) {
		struct sockaddr_storage address = {0};

		memcpy(&address, node->ai_addr, node->ai_addrlen);
		if (each(context, &address))
			break;
	}
	if (resolution.result)
		ares_freeaddrinfo(resolution.result);
	return resolution.status;
}

char *dns_reversed(const char *address, struct pool *pool)
{
	struct text text = {.pool = pool};
	unsigned char bytes[16];
	int family = address_parse(address, AF_UNSPEC, bytes), i;

	for (i = family == AF_INET ? 3 : 15; family && i >= 0; i--)
		text_add_string(&text, family == AF_INET
					       ? pool_printf(pool, "%d.", bytes[i])
					       : pool_printf(pool, "%x.%x.", bytes[i] & 15,
							     bytes[i] >> 4));
	return text_get(&text);
}

/* The names of an address. */
struct names {
	const char *address;
	struct pool *pool;
	char *names[NAMES_MAX];
	int count;
	bool is_confirmed;
};

static void add_name(void *context, const char *bytes, size_t len)
{
	struct names *names = context;

	if (names->count < NAMES_MAX && domain_is_plain(bytes, len))
		names->names[names->count++] = pool_copy(names->pool, bytes, len);
}

static bool confirm(void *context, const struct sockaddr_storage *address)
{
	struct names *names = context;
	char text[INET6_ADDRSTRLEN];

	endpoint_address(address, text);
	names->is_confirmed = !strcmp(text, names->address);
	return names->is_confirmed;
}

char *dns_name_of(struct dns *dns, const char *address, struct pool *pool)
{
	struct names names = {.address = address, .pool = pool};
	const char *zone = strchr(address, ':') ? "ip6.arpa" : "in-addr.arpa";
	int64_t kept = (dns->config->dns_timeout - dns->spent_ms) / 2;
	int i;

	dns->spent_ms += kept;
	dns_records(dns, pool_printf(pool, "%s%s", dns_reversed(address, pool), zone), ns_t_ptr,
		    add_name, &names);
	for (i = 0; i < names.count && !names.is_confirmed; i++)
		dns_addresses(dns, names.names[i], confirm, &names);
	dns->spent_ms -= kept;
	return names.is_confirmed ? names.names[i - 1] : "";
}
