/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: file.c reads it, option.c has its options. What they mean is checked by those
 * who use them, and all of them together by setup.c.
 */
#ifndef PPMTA_CONFIG_H
#define PPMTA_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "../util/util.h"

/* How the next hop is told of the true client. */
enum delivery_origin { ORIGIN_NONE, ORIGIN_XCLIENT, ORIGIN_PROXY };

enum proxy_lookup { LOOKUP_AUTO, LOOKUP_KERNEL, LOOKUP_USERSPACE };

enum acl_point { ACL_CONNECT, ACL_HELO, ACL_MAIL, ACL_RCPT, ACL_DATA, ACL_POINTS };

enum log_selector {
	SELECT_PROXY = 1,	      /* PRX= in reception lines */
	SELECT_SMTP_CONNECTION = 2,   /* connections that begin and end */
	SELECT_PROXY_NEGOTIATION = 4, /* each origin, and each failure */
};

enum list_kind { LIST_HOSTS, LIST_DOMAINS, LIST_LOCAL_PARTS, LIST_ADDRESSES, LIST_KINDS };

/* Their names in the file. */
extern const char *const list_kind_names[LIST_KINDS];

struct named_list {
	struct named_list *next;
	enum list_kind kind;
	int line;
	const char *name;
	const char *value;
};

/* Where ppmta listens. */
struct interface {
	struct interface *next;
	const char *text;
	struct sockaddr_storage endpoint;
	socklen_t len;
};

#define COUNT_MAX 100000

struct config {
	struct pool pool;
	int references;
	const char *file; /* NULL: all from the command line */

	/* options, by their names; option.c has the table; times in ms */
	char *primary_hostname, *smtp_banner;
	char *proxy_required_hosts, *host_lookup; /* NULL: not set */
	int proxy_protocol_timeout, smtp_receive_timeout, smtp_session_timeout;
	int delivery_timeout, dns_timeout;
	int proxy_lookup; /* enum proxy_lookup */
	char *log_selector, *log_file_path, *temporary_directory;
	int smtp_accept_max, smtp_accept_max_per_host, smtp_accept_max_nonmail;
	int smtp_enforce_sync, smtp_max_synprot_errors;
	uint64_t message_size_limit;
	int recipients_max, received_headers_max;
	char *tls_certificate, *tls_privatekey;
	char *acl[ACL_POINTS];
	char *delivery;
	int delivery_origin; /* enum delivery_origin */
	char *dns_servers, *user, *local_interfaces;

	int *lines;	       /* of the options in the file; option.c knows which */
	unsigned int selected; /* of enum log_selector */
	struct named_list *lists;
	struct acl *acls;
	struct delivery_target *target; /* of delivery */
	struct interface *interfaces;	/* of local_interfaces */
	SSL_CTX *tls;
};

/* A line after "begin acl". Return: NULL, or what is wrong, in @pool. */
typedef char *acl_parser(struct config *config, int line, char *text, struct pool *pool);

/* Reads @file (NULL: none). Return: the configuration, or NULL with @error set, in @pool. */
struct config *config_read(const char *file, acl_parser *parse_acl, struct pool *pool,
			   char **error);
struct config *config_get(struct config *config);
void config_put(struct config *config);
struct config *config_new(void);

/* option.c */
/* Sets an option from text. @line: of the file, where an option is set once; 0: none. Return: NULL,
 * or what is wrong with it, in @pool. */
char *option_set(struct config *config, int line, const char *name, const char *value,
		 struct pool *pool);
/* The line in which the option is set that @text begins with, before a colon; 0: none. */
int option_line(const struct config *config, const char *text);
/* The options that are expanded when they are used, one after another; *@at is 0 at first. Return:
 * the next one's text, its @name, and whether it is a list of hosts; NULL at the end. */
const char *option_next_expanded(const struct config *config, size_t *at, const char **name,
				 bool *is_hosts);

#endif
