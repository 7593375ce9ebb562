/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams with time limits (channel.c), TLS by OpenSSL (tls.c), and DNS by c-ares (dns.c).
 */
#ifndef PPMTA_NET_H
#define PPMTA_NET_H

#include <netinet/in.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "../config/config.h"

/* ---- streams (channel.c) ---- */

#define CHANNEL_BUFFER 4096

struct channel {
	int fd;
	int timeout_ms;	   /* of one wait */
	int64_t deadline;  /* of all of them, as clock_ms() has it; 0: none */
	int failed;	   /* what sending met with: nothing more is sent */
	int stop_fd;	   /* readable when the wait for a line is to end; -1: none */
	SSL *ssl;	   /* NULL: plain */
	size_t start, end; /* unread bytes in buf */
	size_t queued;	   /* bytes in reply that are not sent yet */
	char buf[CHANNEL_BUFFER];
	char reply[CHANNEL_BUFFER];
};

enum {
	CHANNEL_EOF = -1,      /* closed or reset */
	CHANNEL_TOO_LONG = -2, /* the line did not fit, and has been skipped to its end */
	CHANNEL_TIMEOUT = -3,
	CHANNEL_STOPPED = -4, /* by stop_fd */
};

/* A line without its CR LF. Return: its length, or CHANNEL_*. A lone CR or LF does not end it. */
int channel_read_line(struct channel *channel, char *line, size_t size);
/* The next byte, 0 to 255, or CHANNEL_*. */
int channel_read_byte(struct channel *channel);
/* Is there input that has not been read? Its first bytes go to @shown. Never blocks. */
int channel_has_input(struct channel *channel, char *shown, size_t size);
/* Is there neither input nor an end? Never blocks. */
bool channel_is_idle(struct channel *channel);
/* Waits until there is input, or an end, or stop_fd is readable, for @ms at most. Return: is there?
 */
bool channel_wait(struct channel *channel, int ms);
/* A line; CR LF is added. Sent before the next wait for input. */
void channel_line(struct channel *channel, const char *line);
/* Bytes as they are. */
void channel_write(struct channel *channel, const char *bytes, size_t len);
int channel_flush(struct channel *channel);
/* TLS from here on, as server or client. Return: 0 or CHANNEL_*. */
int channel_start_tls(struct channel *channel, SSL_CTX *context, int as_client);
void channel_close(struct channel *channel);

/* ---- dns.c ---- */

enum dns_status { DNS_OK, DNS_NONE, DNS_DEFER };

#define DNS_ADDRESSES_MAX 32

struct dns_addresses {
	int count;
	char text[DNS_ADDRESSES_MAX][INET6_ADDRSTRLEN];
};

/* Who asks: all that is asked together takes config->dns_timeout at most, since @spent_ms was 0.
 * What is asked later has the answer DNS_DEFER. */
struct dns {
	const struct config *config;
	int64_t spent_ms;
};

/* These block. */
enum dns_status dns_addresses(struct dns *dns, const char *name, struct dns_addresses *addresses);
/* Names of @address that lead back to it; the first of them, in @pool. */
enum dns_status dns_name_of(struct dns *dns, const char *address, struct pool *pool, char **name);
/* The A records of @name alone. */
enum dns_status dns_ipv4(struct dns *dns, const char *name,
			 struct in_addr addresses[DNS_ADDRESSES_MAX], int *count);
/* The text of its first TXT record, in @pool; or "". */
char *dns_text(struct dns *dns, const char *name, struct pool *pool);
/* A raw answer, to be freed; @type: a DNS type number. */
enum dns_status dns_query(struct dns *dns, const char *name, int type, unsigned char **answer,
			  int *len);
void dns_query_free(unsigned char *answer);
int dns_init(void);
char *dns_check_servers(const char *servers, struct pool *pool);

/* tls.c */
/* @before: the configuration until now, NULL at the start. A key of root's was read before ppmta
 * gave up its privileges, and stays. Return: NULL, or what is wrong, in @pool. */
char *tls_load(struct config *config, const struct config *before, struct pool *pool);
const char *tls_cipher(SSL *ssl, struct pool *pool); /* TLS1.3:TLS_AES_256_GCM_SHA384:256 */

#endif
