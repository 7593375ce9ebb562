/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams with time limits (channel.c), TLS by OpenSSL (tls.c), and DNS by c-ares (dns.c).
 */
#ifndef PPMTA_NET_H
#define PPMTA_NET_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

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
/* Waits until there is input, or an end, or stop_fd is readable, for @ms. Return: is there? */
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

/* Who asks: all that is asked together takes config->dns_timeout at most, since @spent_ms was 0.
 * What is asked later has the answer DNS_DEFER. The client's own name servers, for its name and
 * SPF, get half of what is left: they must not use up the time for the lists that may have it. */
struct dns {
	const struct config *config;
	int64_t spent_ms;
};

int dns_init(void);
/* Reads config->dns_servers. Return: NULL, or what is wrong, in @pool. */
char *dns_check_servers(struct config *config, struct pool *pool);
/* These block. */
/* Gives @each the records of @type, a number of DNS: addresses as bytes, text as it is put
 * together, and names, those of MX without the preference. DNS_NONE: there is none. */
enum dns_status dns_records(struct dns *dns, const char *domain, int type,
			    void (*each)(void *context, const char *bytes, size_t len),
			    void *context);
/* The addresses of a host, one after another, until @each returns true. */
enum dns_status dns_addresses(struct dns *dns, const char *name,
			      bool (*each)(void *context, const struct sockaddr_storage *address),
			      void *context);
/* The first name of @address that is one and leads back to it, in @pool; "" without one. */
char *dns_name_of(struct dns *dns, const char *address, struct pool *pool);
/* "7.2.0.192." for 192.0.2.7, nibbles for IPv6; "" for what is no address. In @pool. */
char *dns_reversed(const char *address, struct pool *pool);

/* tls.c */
/* @before: the configuration until now, NULL at the start. A key of root's was read before ppmta
 * gave up its privileges, and stays. Return: NULL, or what is wrong, in @pool. */
char *tls_load(struct config *config, const struct config *before, struct pool *pool);
char *tls_cipher(SSL *ssl, struct pool *pool); /* TLS1.3:TLS_AES_256_GCM_SHA384:256 */

#endif
