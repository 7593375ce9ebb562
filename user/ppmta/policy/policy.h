/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is allowed: ACLs (acl.c) and their conditions (acl_condition.c, ratelimit.c, dnslists.c, and
 * spf.c by libspf2), string expansion (expand.c) with its conditions (condition.c, and regex.c by
 * PCRE2) and variables (variable.c), lists (list.c), and limits (limit.c). condition.c, expand.c
 * and list.c call one another, because the language is recursive.
 */
#ifndef PPMTA_POLICY_H
#define PPMTA_POLICY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <pp/pp.h>

#include "../net/net.h"

#define MESSAGE_ID_LEN 16 /* 1VdNti-0001OY-1V */
#define CAPTURED_MAX   21 /* $0 to $20 */

struct counted_rate;
struct hop;

/* From MAIL to the end of its message. */
struct transaction {
	struct pool pool; /* of what this has */
	bool has_sender;
	char sender[PATH_LINE_MAX];
	char **recipients;
	int recipient_count;
	int rcpt_count;			    /* RCPT commands, with those that were refused */
	char recipient[PATH_LINE_MAX];	    /* the one that an ACL is asked about */
	struct text added_headers;	    /* by ACLs: whole lines that end with a line feed */
	bool is_utf8;			    /* SMTPUTF8 */
	bool is_spoilt;			    /* not all of it is known here */
	struct counted_rate *counted_rates; /* ratelimit: per_mail */
	char *spf_result, *spf_header_comment, *spf_smtp_comment,
		*spf_received; /* NULL: not asked */
	char id[MESSAGE_ID_LEN + 1];
	uint64_t size;
};

/* What is known of a client and of its message: smtp/ finds it out, and policy asks. */
struct session {
	struct config *config;
	struct channel *channel;
	struct sockaddr_storage peer; /* as accept() named it */
	struct pool pool;	      /* of the command */
	struct pool kept;	      /* of the connection */

	char sender_host_address[INET6_ADDRSTRLEN]; /* the origin's */
	unsigned int sender_host_port;
	char received_ip_address[INET6_ADDRSTRLEN];
	unsigned int received_port;
	bool proxy_session;			   /* has to come with a header */
	bool proxy_failed;			   /* and did not */
	char proxy_host_address[INET6_ADDRSTRLEN]; /* the proxy's, or "" */
	unsigned int proxy_host_port;
	char proxy_external_address[INET6_ADDRSTRLEN]; /* what the client connected to */
	unsigned int proxy_external_port;
	struct pp_origin origin;
	uint8_t *tlvs;
	int tlvs_len;
	const char *counted; /* as whom, in the connections of an origin; NULL: not */

	struct dns dns;		   /* what it may ask before the banner, and then for a command */
	bool dns_deferred;	   /* a condition had no answer */
	char *sender_host_name;	   /* "" without one; NULL: not looked up */
	bool extended;		   /* EHLO, not HELO */
	char helo[DOMAIN_MAX + 1]; /* "" before it came */

	int errors;		 /* commands that were none */
	int others;		 /* commands that bring no mail */
	int refused;		 /* since the last message */
	struct hop *hop;	 /* the next one; NULL: not asked yet */
	unsigned int extensions; /* that EHLO has offered, enum hop_extension */
	struct transaction mail;

	struct acl_variable *variables;
	char *captured[CAPTURED_MAX];			    /* $0 to $20 of the last match */
	struct counted_rate *counted_rates, *command_rates; /* per_conn, per_rcpt */
	/* of the command's last match, or NULL */
	const char *sender_rate, *sender_rate_limit, *sender_rate_period;
	const char *dnslist_domain, *dnslist_value, *dnslist_text, *dnslist_matched;
	bool testing; /* -bh: nothing is delivered */
};

/* What a string, list or condition is looked at with. */
struct evaluation {
	struct config *config;
	struct session
		*session; /* NULL: nothing is done, but for looking whether it is understood */
	struct pool *pool;
	char *error; /* the first one; NULL: none */
	int depth;   /* of strings, conditions and lists that are in one another */
};

static inline struct evaluation evaluation_in(struct session *session)
{
	return (struct evaluation){session->config, session, &session->pool, NULL, 0};
}

/* Sets the error, unless there is one. Return: -1. */
int failed(struct evaluation *eval, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One level deeper, which who asks leaves by eval->depth--. Return: may there be one? */
bool evaluation_deeper(struct evaluation *eval);

/* ---- variable.c ---- */

/* H=name (helo) [address], as Exim logs it; in session->pool */
char *session_host(struct session *session);
/* The client's name, looked up once, or "". */
char *sender_host_name(struct session *session);

/* ---- limit.c: how many connections an origin has, and how fast it sends ---- */

/* Whom @address stands for: itself, or for IPv6 its /64. In @pool. */
const char *limit_origin(const char *address, struct pool *pool);
/* Return: 1 when @address may have one more, and it is counted; @max 0: any number. */
int limit_enter(const char *address, int max);
void limit_leave(const char *address);
/* Once, before there are rates. Return: 0 or -1. */
int limit_init(void);
/* Exim's smoothed rate for @key, per @period seconds, after @count more events. A @strict one
 * counts those that reach @limit too. Return: -1 without memory. */
double limit_rate(const char *key, double limit, double period, double count, bool strict);

/* ---- expansion ---- */

/* @string expanded, in eval->pool; NULL: an error or, without a session, it varies. */
char *expand(struct evaluation *eval, const char *string);

/* For condition.c: where an expansion is. */
struct expansion {
	struct evaluation *eval;
	const char *at; /* what is to be read next */
	int skip;	/* read, and do nothing */
	bool varies;	/* what was read depends on the session */
};

static inline bool evaluates(const struct expansion *expansion)
{
	return expansion->eval->session && !expansion->skip;
}

/* "{...}" at @expansion->at, expanded; NULL on error. @constant: does it always have this value? */
char *expand_braced(struct expansion *expansion, bool *constant);
char *expand_name(struct expansion *expansion);
/* The value of variable @name; "" where it does not matter; NULL on error. */
char *expand_variable(struct expansion *expansion, const char *name);
/* Is @c next, after blanks? It is read. */
bool expand_skip(struct expansion *expansion, char c);
/* Return: -1 */
int expand_fail(struct expansion *expansion, const char *what);
/* condition.c: the condition at @expansion->at. Return: 1, 0, or -1 on error. */
int condition_test(struct expansion *expansion);
/* Is @text true? Return: 1, 0, or -1 when it is neither. */
int truth(struct evaluation *eval, const char *text);

/* ---- regex.c ---- */

/* What was captured goes to session->captured. Return: 1, 0, or -1. */
int regex_match(struct evaluation *eval, const char *subject, const char *pattern,
		bool is_caseless);

/* The value of variable @name, in session->pool; NULL: see origin_tlvs_lost(). */
char *variable_get(struct session *session, const char *name);
/* Is it a variable of ACLs? */
bool variable_may_be_set(const char *name);
bool variable_exists(const char *name);
const char *variable_nearest(const char *name);

struct acl_variable {
	struct acl_variable *next;
	char *name, *value;
	struct pool pool; /* the value's */
};

void variable_set(struct session *session, const char *name, const char *value);

/* ---- list.c ---- */

/* Does the list have @subject? @list is expanded already. Return: 1, 0, or -1: an item is not
 * understood. */
int list_match(struct evaluation *eval, enum list_kind kind, const char *subject, const char *list);
/* Is the client in the host list that @option has, which is expanded here? NULL: no. An error is
 * logged. Return: 1, 0, or -1. */
int list_option_matches(struct session *session, const char *option, const char *list);

/* ---- acl.c ---- */

enum acl_result { ACL_ACCEPT, ACL_DENY, ACL_DEFER, ACL_DROP };

/* A line after "begin acl", for config_read(). */
char *acl_line(struct config *config, int line, char *text, struct pool *pool);
/* Checks all strings and references. Return: NULL, or what is wrong, in @pool. */
char *acl_check(struct config *config, struct pool *pool);
/* Runs the ACL for @point; without one: ACL_ACCEPT. @message: what the client is to be told, after
 * a code. */
enum acl_result acl_run(struct session *session, enum acl_point point, char **message);

#endif
