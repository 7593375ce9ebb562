/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: file.c reads it, option.c has its options. What they mean is checked by those
 * who use them, and all of them together by setup.c.
 */
#ifndef PPMTA_CONFIG_H
#define PPMTA_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "../util/util.h"

/* How the next hop is told of the true client. */
enum delivery_origin { ORIGIN_NONE, ORIGIN_XCLIENT, ORIGIN_PROXY };

enum proxy_lookup { LOOKUP_AUTO, LOOKUP_KERNEL, LOOKUP_USERSPACE };

enum acl_point {
	ACL_CONNECT,
	ACL_HELO,
	ACL_MAIL,
	ACL_RCPT,
	ACL_DATA,
	ACL_QUIT,
	ACL_POINTS,
};

enum log_selector {
	SELECT_PROXY = 1,	      /* PRX= in reception lines */
	SELECT_SMTP_CONNECTION = 2,   /* connections that begin and end */
	SELECT_PROXY_NEGOTIATION = 4, /* each origin, and each failure */
	SELECT_TLS_CIPHER = 8,	      /* X= */
	SELECT_LOST_CONNECTION = 16,
};

/* LIST_IPS is no kind of named lists: a list of hosts in which no names are looked up. */
enum list_kind { LIST_HOSTS, LIST_DOMAINS, LIST_LOCAL_PARTS, LIST_ADDRESSES, LIST_IPS };

struct config {
	struct pool pool;
	int references;
	const char *file; /* NULL: all from the command line */

	/* options, by their names; option.c has the table */
	char *primary_hostname;
	char *smtp_banner;
	char *proxy_required_hosts;
	int proxy_protocol_timeout; /* ms */
	int proxy_lookup;	    /* enum proxy_lookup */
	char *log_selector;
	char *log_file_path;
	int smtp_accept_max;
	int smtp_accept_max_per_host;
	int smtp_enforce_sync;
	int smtp_receive_timeout; /* ms */
	int smtp_session_timeout; /* ms */
	int smtp_max_synprot_errors;
	int smtp_accept_max_nonmail;
	uint64_t message_size_limit;
	int recipients_max;
	char *host_lookup;
	char *local_interfaces;
	char *daemon_smtp_ports;
	char *tls_certificate;
	char *tls_privatekey;
	char *tls_advertise_hosts;
	char *tls_on_connect_ports;
	char *acl[ACL_POINTS];
	char *delivery;
	int delivery_origin;  /* enum delivery_origin */
	int delivery_timeout; /* ms */
	int received_headers_max;
	char *temporary_directory;
	char *dns_servers;
	int dns_timeout; /* ms */
	char *user;
	char *pid_file_path;

	int *lines;	       /* of the options in the file; option.c knows which */
	unsigned int selected; /* of enum log_selector */
	struct macro *macros;
	struct named_list *lists;
	struct acl *acls;
	struct delivery_target *target; /* of delivery */
	SSL_CTX *tls;
	EVP_PKEY *key;
};

/* What comes after "begin NAME". */
struct config_section {
	const char *name;
	/* Return: what its lines are given. */
	void *(*begin)(struct config *config, struct pool *pool);
	/* A logical line. Return: NULL, or what is wrong, in the pool. */
	char *(*line)(void *section, int line, char *text);
};

/* Reads @file (NULL: none), with @sections, which end with NULL. Return: the configuration,
 * or NULL with @error set, in @pool. */
struct config *config_read(const char *file, const struct config_section *const *sections,
			   struct pool *pool, char **error);
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
/* The name of the option that is at @field of @config. */
const char *option_name_of(const struct config *config, const void *field);
/* Prints "name = value" of all, or one. Return: 0, or -1 when there is no such option. */
int option_print(const struct config *config, const char *name);
int option_exists(const char *name);
int option_is_boolean(const char *name);
const char *option_nearest(const char *name);
/* The options that are expanded when they are used, one after another; *@at is 0 at first. Return:
 * the next one's text, its @name, and whether it is a list of hosts; NULL at the end. */
const char *option_next_expanded(const struct config *config, size_t *at, const char **name,
				 bool *is_hosts);

/* hostlist, domainlist, localpartlist, addresslist, by enum list_kind */
extern const char *const list_kind_names[LIST_IPS];

struct named_list {
	struct named_list *next;
	enum list_kind kind;
	int line;
	const char *name;
	const char *value;
};

#endif
