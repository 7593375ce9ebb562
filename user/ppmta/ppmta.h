/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files of ppmta.
 *
 *   main.c     command line, privileges, listening, signals
 *   config.c   the configuration file; option.c its options
 *   session.c  one client: its origin, then SMTP;  origin.c its origin
 *   acl.c      access control lists, expand.c string expansion, condition.c its conditions,
 *              variable.c its variables, list.c host and domain lists
 *   dns.c      look-ups by c-ares, spf.c SPF by libspf2, tls.c TLS by OpenSSL
 *   channel.c  a byte stream with time limits; address.c RFC 5321's syntax
 *   maildir.c  delivery into a Maildir; spool.c the queue on disk; queue.c its thread;
 *              client.c SMTP and LMTP to the next hop
 *
 * A session is a thread: it may block, in poll(), fsync() or pp_lookup_wait(), without holding up
 * others.
 */
#ifndef PPMTA_H
#define PPMTA_H

#include <limits.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include <pp/pp.h>

#include "pool.h"

/* RFC 5321, section 4.5.3.1: octets, with CR LF where it is a line. */
#define COMMAND_LINE_MAX (512 + 64) /* and room for the parameters of SIZE and BODY */
#define LOCAL_PART_MAX	 64
#define DOMAIN_MAX	 255
#define PATH_LINE_MAX	 256

#define MESSAGE_ID_LEN 16 /* 1VdNti-0001OY-1V */

/* ---- configuration ---- */

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
	char *spool_directory;
	int retry_interval;   /* ms */
	int delivery_timeout; /* ms */
	char *dns_servers;
	int dns_timeout; /* ms */
	char *user;
	char *pid_file_path;

	unsigned int selected; /* of enum log_selector */
	struct macro *macros;
	struct named_list *lists;
	struct acl *acls;
	SSL_CTX *tls;
};

/* Reads @file (NULL: none). Return: the configuration, or NULL with @error set, in @pool. */
struct config *config_read(const char *file, struct pool *pool, char **error);
/* What has to be known of all options together; with @error as above. Return: 0 or -1. */
int config_complete(struct config *config, struct pool *pool, char **error);
struct config *config_get(struct config *config);
void config_put(struct config *config);
struct config *config_new(void);

/* option.c */
/* Sets an option from text. Return: NULL, or what is wrong with it, in @pool. */
char *option_set(struct config *config, const char *name, const char *value, struct pool *pool);
/* Prints "name = value" of all, or one. Return: 0, or -1 when there is no such option. */
int option_print(const struct config *config, const char *name);
int option_exists(const char *name);
int option_is_boolean(const char *name);
const char *option_nearest(const char *name);
/* Checks what is expanded later. Return: NULL, or what is wrong, in @pool. */
char *option_check_expansions(struct config *config, struct pool *pool);

struct named_list {
	struct named_list *next;
	const char *kind; /* hostlist, domainlist, addresslist */
	const char *name;
	const char *value;
};

/* ---- sessions ---- */

struct spf;

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
	int proxy_session;			   /* has to come with a header */
	int proxy_failed;			   /* and did not */
	char proxy_host_address[INET6_ADDRSTRLEN]; /* the proxy's, "" without one or when it failed
						    */
	unsigned int proxy_host_port;
	char proxy_external_address[INET6_ADDRSTRLEN]; /* what the client connected to */
	unsigned int proxy_external_port;
	struct pp_origin origin;
	uint8_t *tlvs;
	int tlvs_len;
	int counted; /* in the origin's connections */

	int name_looked_up;
	char *sender_host_name;	   /* "" without one */
	int extended;		   /* EHLO, not HELO */
	char helo[DOMAIN_MAX + 1]; /* "" before it came */
	int tls_on_connect;

	int has_sender;
	char sender[PATH_LINE_MAX];
	char **recipients;
	int recipient_count;
	char recipient[PATH_LINE_MAX]; /* the one that an ACL is asked about */
	int discard;
	char message_id[MESSAGE_ID_LEN + 1];
	uint64_t message_size;
	struct spf *spf;

	struct acl_variable *variables;
	char *lookup_value; /* $value */
	char *captured[10]; /* $0 to $9 of the last match */
	char sender_rate[32], sender_rate_limit[32], sender_rate_period[32];
	int testing; /* -bh: nothing is delivered */
};

struct session *session_new(struct config *config, int fd, const struct sockaddr_storage *peer);
/* Who @session's client is to be, for -bh and -be. */
void session_pretend(struct session *session, const char *address);
void session_run(struct session *session);
void session_free(struct session *session);

/* H=name (helo) [address], as Exim logs it; in session->pool */
char *session_host(struct session *session);

/* origin.c */
/* Sets what the PROXY protocol says of @session's client. */
void origin_find(struct session *session);
/* TLV @type's value, or NULL; sub-TLVs of PP_TLV_SSL by their type. */
const uint8_t *origin_tlv(const struct session *session, int type, size_t *len);
/* The client's name, looked up once, or "". */
const char *sender_host_name(struct session *session);

/* limit.c: how many connections an origin has, and how fast it sends */
/* Return: 1 when @address may have one more, and it is counted; @max 0: any number. */
int limit_enter(const char *address, int max);
void limit_leave(const char *address);
/* Exim's smoothed rate for @key, per @period seconds, after @count more events. A @strict one
 * counts those that are over @limit too. */
double limit_rate(const char *key, double limit, double period, double count, int strict);

/* ---- expansion ---- */

/* @string expanded, in session->pool; or NULL, with @error set there. */
char *expand(struct session *session, const char *string, char **error);
/* The same without doing anything: is it well-formed? Return: NULL, or what is wrong, in @pool. */
char *expand_check(struct config *config, const char *string, struct pool *pool);

/* For condition.c: what an expansion works on. */
struct expansion {
	struct session *session; /* NULL: only check */
	struct config *config;
	struct pool *pool;
	const char *at; /* what is to be read next */
	int skip;	/* read, and do nothing */
	int depth;
	char *error;
};

/* "{...}" at @expansion->at, expanded; NULL on error */
char *expand_braced(struct expansion *expansion);
void expand_space(struct expansion *expansion);
char *expand_fail(struct expansion *expansion, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* condition.c: the condition at @expansion->at. Return: 1, 0, or -1 on error. */
int condition_test(struct expansion *expansion);
/* Is @text true, as `condition` and bool_lax have it? */
int truth_is_lax(const char *text);
/* 1, 0, or -1 when it is neither */
int truth(const char *text);

/* variable.c */
/* The value of variable @name, in session->pool; NULL: there is none of that name. */
char *variable_get(struct session *session, const char *name);
int variable_exists(const char *name);
const char *variable_nearest(const char *name);

struct acl_variable {
	struct acl_variable *next;
	char *name, *value;
};

void variable_set(struct session *session, const char *name, const char *value);

/* ---- lists (list.c) ---- */

/* Next item of *@list, in @pool; NULL at its end. *@separator is 0 at first. */
char *list_next(struct pool *pool, const char **list, char *separator);
/* Does the list match? Return: 1, 0, or -1 with @error set. @list is expanded already. */
int list_match_host(struct session *session, const char *list, char **error);
/* Is the client in the host list that @option has, which is expanded here? NULL: no. An error is
 * logged. Return: 1, 0, or -1. */
int list_option_matches(struct session *session, const char *option, const char *list);
int list_match_ip(struct session *session, const char *address, const char *list, char **error);
int list_match_domain(struct session *session, const char *domain, const char *list, char **error);
int list_match_local_part(struct session *session, const char *local_part, const char *list,
			  char **error);
int list_match_address(struct session *session, const char *address, const char *list,
		       char **error);
/* Value of @key in lsearch @file, in @pool; NULL: not there, or @error is set. */
char *list_lsearch(struct pool *pool, const char *file, const char *key, char **error);
/* PCRE2 match; what was captured goes to session->captured. Return: as above. */
int list_match_regex(struct session *session, const char *subject, const char *pattern,
		     char **error);

/* ---- ACLs (acl.c) ---- */

enum acl_result { ACL_ACCEPT, ACL_DENY, ACL_DEFER, ACL_DROP, ACL_DISCARD };

struct acl_parser {
	struct config *config;
	struct pool *pool;
	struct acl *acl;
	struct acl_verb *verb;
	struct acl_condition **next_condition;
};

/* A logical line of the ACL section. Return: NULL, or what is wrong, in parser->pool. */
char *acl_parse_line(struct acl_parser *parser, int line, char *text);
/* Checks all strings and references. Return: NULL, or what is wrong, in @pool. */
char *acl_check(struct config *config, struct pool *pool);
/* Runs the ACL for @point; without one: ACL_ACCEPT. @message: what the client is to be told, after
 * a code. */
enum acl_result acl_run(struct session *session, enum acl_point point, char **message);

/* ---- look-ups ---- */

enum dns_status { DNS_OK, DNS_NONE, DNS_DEFER };

#define DNS_ADDRESSES_MAX 32

struct dns_addresses {
	int count;
	char text[DNS_ADDRESSES_MAX][INET6_ADDRSTRLEN];
};

/* Block, at most config->dns_timeout. */
enum dns_status dns_addresses(const struct config *config, const char *name,
			      struct dns_addresses *addresses);
/* Names of @address that lead back to it; the first of them, in @pool. */
enum dns_status dns_name_of(const struct config *config, const char *address, struct pool *pool,
			    char **name);
/* A raw answer, to be freed; @type: a DNS type number. */
enum dns_status dns_query(const struct config *config, const char *name, int type,
			  unsigned char **answer, int *len);
void dns_query_free(unsigned char *answer);
int dns_init(void);
char *dns_check_servers(const char *servers, struct pool *pool);

/* spf.c */
/* Does the origin's SPF result match the list? Return: 1, 0, or -1 with @error. */
int spf_match(struct session *session, const char *list, char **error);
char *spf_check_list(const char *list, struct pool *pool);
const char *spf_variable(struct session *session, const char *name);
void spf_free(struct spf *spf);

/* tls.c */
/* Return: NULL, or what is wrong, in @pool. */
char *tls_load(struct config *config, struct pool *pool);
SSL_CTX *tls_client_context(void);
const char *tls_cipher(SSL *ssl, struct pool *pool); /* TLS1.3:TLS_AES_256_GCM_SHA384:256 */

/* ---- streams (channel.c) ---- */

#define CHANNEL_BUFFER 4096

struct channel {
	int fd;
	int timeout_ms;
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
/* A reply line; CR LF is added. Sent when the client has to act: before the next wait for input. */
void channel_reply(struct channel *channel, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Bytes as they are. */
void channel_write(struct channel *channel, const char *bytes, size_t len);
int channel_flush(struct channel *channel);
/* TLS from here on, as server or client. Return: 0 or CHANNEL_*. */
int channel_start_tls(struct channel *channel, SSL_CTX *context, int as_client);
void channel_close(struct channel *channel);

/* address.c: RFC 5321, section 4.1.2 */
/* Reads "<...>" at @text into @address, source route left out; "<>" gives "" where @empty allows.
 * Return: what follows the ">", or NULL. */
const char *address_parse_path(const char *text, int empty, char address[PATH_LINE_MAX]);
int address_is_domain(const char *text, size_t len);
/* The domain of @address, or "". */
const char *address_domain(const char *address);

/* ---- log.c: lines as Exim writes them, "2013-11-04 09:25:06 TEXT", one write(2) each ---- */

/* @path: a file, "syslog", or NULL for standard error. Return: 0, or an errno. */
int log_open(const char *path);
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern int debugging; /* -d */
void debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- delivery ---- */

/* A file that is being written, and fails once. */
struct output {
	int fd;
	uint64_t size;
	size_t buffered;
	int failed; /* errno of the first write that failed */
	char buf[8192];
};

void output_open(struct output *output, int fd);
void output_write(struct output *output, const char *bytes, size_t len);
/* Write, fsync, close. Return: 0, or an errno. */
int output_close(struct output *output);
/* fsync of the folder that @file is in. Return: 0, or an errno. */
int sync_folder_of(const char *file);
void make_message_id(char id[MESSAGE_ID_LEN + 1]);

/* maildir.c */
/* A folder of that user's, unless it is there. Return: 0, or an errno. */
int make_folder(const char *path, unsigned int mode, unsigned int uid, unsigned int gid);
int maildir_make(const char *path, unsigned int uid, unsigned int gid);

/* A message on its way from the client to where it is safe. */
struct message {
	struct output output;
	char id[MESSAGE_ID_LEN + 1];
	char tmp[PATH_MAX];
	char final[PATH_MAX];
};

/* Where a message goes: config->delivery, "maildir:PATH", "lmtp:ENDPOINT" or "smtp:ENDPOINT". */
enum delivery_kind { DELIVER_MAILDIR, DELIVER_LMTP, DELIVER_SMTP };

struct delivery_target {
	enum delivery_kind kind;
	const char *path; /* Maildir, or UNIX socket */
	struct sockaddr_storage endpoint;
	socklen_t endpoint_len; /* 0: UNIX socket */
};

/* Return: NULL, or what is wrong, in @pool. */
char *delivery_parse(const char *text, struct delivery_target *target, struct pool *pool);

int message_open(const struct config *config, struct message *message);
/* After 0 the message is safe, and will be delivered. Return: 0, or an errno. */
int message_commit(const struct session *session, struct message *message);
void message_abort(struct message *message);

/* spool.c: spool_directory/input/ID-D data, ID-H envelope, ID-J recipients that are done */
struct envelope {
	struct pool pool;
	char id[MESSAGE_ID_LEN + 1];
	char *sender;
	char **recipients; /* those that are not done yet */
	int count;
	long received; /* seconds since 1970 */
	int frozen;
};

int spool_make(const char *directory, unsigned int uid, unsigned int gid);
/* Removes messages that were never answered with 250. */
void spool_clean(const char *directory);
int spool_write_envelope(const char *directory, const struct session *session, const char *id);
int spool_read_envelope(const char *directory, const char *id, struct envelope *envelope);
/* Notes that @recipients of message @id are done. Return: 0, or an errno. */
int spool_done(const char *directory, const char *id, char *const *recipients, int count);
int spool_freeze(const char *directory, const char *id);
/* Return: 0, or an errno: the message still exists. */
int spool_remove(const char *directory, const char *id);
/* Calls @each with each message's id. */
void spool_list(const char *directory, void (*each)(const char *id, void *context), void *context);
FILE *spool_open_data(const char *directory, const char *id);

/* queue.c: a thread that empties the spool */
int queue_start(struct config *config);
void queue_wake(void);
void queue_reload(struct config *config);
void queue_stop(void);

/* client.c */
enum client_status { CLIENT_OK, CLIENT_TEMPORARY, CLIENT_PERMANENT };

struct client_result {
	enum client_status status;
	char text[512]; /* the next hop's reply, or what failed */
};

/* Sends @data to @count @recipients; a result for each. */
void client_deliver(const struct config *config, const struct delivery_target *target,
		    const struct envelope *envelope, FILE *data, struct client_result *results);

#endif
