// SPDX-License-Identifier: BSD-2-Clause
/*
 * One client: who it is, and then SMTP (RFC 5321).
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "../../common/array.h"
#include "../../common/endpoint.h"
#include "../../common/number.h"
#include "smtp.h"

#define REFUSED "503 Command refused, required Proxy negotiation failed"

/* Longest message header line that ppmta itself writes. */
#define RECEIVED_MAX 1024

#define SHOWN_INPUT 128 /* bytes of what came too early that are logged */

#define COMMAND_LEN 4

enum { CLOSE = 1 }; /* a command's return: the connection is to end */

struct session *session_new(struct config *config, int fd, const struct sockaddr_storage *peer)
{
	struct session *session = calloc(1, sizeof(*session));
	struct sockaddr_storage own = {0};
	socklen_t len = sizeof(own);

	if (!session)
		return NULL;
	session->channel = calloc(1, sizeof(*session->channel));
	if (!session->channel) {
		free(session);
		return NULL;
	}
	session->config = config_get(config);
	session->mail.added_headers.pool = &session->mail.pool;
	session->channel->fd = fd;
	session->channel->stop_fd = -1;
	session->channel->timeout_ms = config->smtp_receive_timeout;
	if (peer)
		session->peer = *peer;
	if (fd >= 0 && !getsockname(fd, (struct sockaddr *)&own, &len)) {
		endpoint_address(&own, session->received_ip_address);
		session->received_port = endpoint_port(&own);
	}
	return session;
}

void session_pretend(struct session *session, const char *address)
{
	session->testing = 1;
	session->peer.ss_family = AF_UNSPEC;
	snprintf(session->sender_host_address, sizeof(session->sender_host_address), "%s", address);
}

static void forget_variables(struct session *session, char kind)
{
	struct acl_variable *variable;

	for (variable = session->variables; variable; variable = variable->next) {
		if (!kind || variable->name[4] == kind) {
			free(variable->value);
			variable->value = NULL;
		}
	}
}

static void reset_transaction(struct session *session)
{
	free(session->mail.recipients);
	pool_free(&session->mail.pool);
	memset(&session->mail, 0, sizeof(session->mail));
	session->mail.added_headers.pool = &session->mail.pool;
	forget_variables(session, 'm');
}

void session_free(struct session *session)
{
	channel_close(session->channel);
	free(session->channel);
	if (session->counted)
		limit_leave(session->sender_host_address);
	reset_transaction(session);
	forget_variables(session, 0);
	spf_free(session->spf);
	pool_free(&session->pool);
	pool_free(&session->kept);
	config_put(session->config);
	free(session);
}

/* Frees the strings that the command before has expanded. */
static void clear_pool(struct session *session)
{
	pool_free(&session->pool);
	memset(session->captured, 0, sizeof(session->captured));
	session->lookup_value = NULL;
}

/* Sends the reply of an ACL. */
static int reply_refusal(struct session *session, enum acl_result result, const char *message)
{
	channel_reply(session->channel, "%s", message);
	return result == ACL_DROP ? CLOSE : 0;
}

/* A client that sends although it has to wait is no mail client. Return: CLOSE if it did.
 */
static int check_sync(struct session *session, const char *where)
{
	char shown[SHOWN_INPUT];

	if (!session->config->smtp_enforce_sync || session->testing ||
	    !channel_has_input(session->channel, shown, sizeof(shown)))
		return 0;
	log_line("SMTP protocol synchronization error (%s): rejected %s H=%s input=\"%s\"", where,
		 strstr(where, "greeting") ? "connection from" : "command from",
		 session_host(session), shown);
	channel_reply(session->channel, "554 SMTP synchronization error");
	return CLOSE;
}

/* ---- commands ---- */

static int command_helo(struct session *session, const char *arguments, int extended)
{
	const char *name = extended ? "EHLO" : "HELO";
	struct channel *channel = session->channel;
	enum acl_result result;
	char *message;

	if (!address_is_domain(arguments, strlen(arguments))) {
		channel_reply(channel, "501 Syntax error: %s needs a domain or an address literal",
			      name);
		return 0;
	}
	if (check_sync(session, "next input sent without waiting for the reply to EHLO or HELO"))
		return CLOSE;
	reset_transaction(session);
	strcpy(session->helo, arguments);
	result = acl_run(session, ACL_HELO, &message);
	if (result != ACL_ACCEPT && result != ACL_DISCARD) {
		session->helo[0] = 0;
		return reply_refusal(session, result, message);
	}
	session->extended = extended;
	channel_reply(channel, "250%c%s Hello %s [%s]", extended ? '-' : ' ',
		      session->config->primary_hostname, session->helo,
		      session->sender_host_address);
	if (!extended)
		return 0;
	channel_reply(channel, "250-SIZE %llu",
		      (unsigned long long)session->config->message_size_limit);
	channel_reply(channel, "250-8BITMIME");
	channel_reply(channel, "250-PIPELINING");
	if (session->config->tls && !channel->ssl &&
	    list_option_matches(session, "tls_advertise_hosts",
				session->config->tls_advertise_hosts) == 1)
		channel_reply(channel, "250-STARTTLS");
	channel_reply(channel, "250 HELP");
	return 0;
}

static int command_ehlo(struct session *session, const char *arguments)
{
	return command_helo(session, arguments, 1);
}

static int command_old_helo(struct session *session, const char *arguments)
{
	return command_helo(session, arguments, 0);
}

static int command_starttls(struct session *session, const char *arguments)
{
	struct channel *channel = session->channel;

	if (*arguments) {
		channel_reply(channel, "501 Syntax error: STARTTLS takes no argument");
		return 0;
	}
	if (!session->config->tls || channel->ssl) {
		channel_reply(channel, "503 STARTTLS command used when not advertised");
		return 0;
	}
	if (check_sync(session, "next input sent without waiting for the reply to STARTTLS"))
		return CLOSE;
	channel_reply(channel, "220 TLS go ahead");
	if (channel_start_tls(channel, session->config->tls, 0)) {
		log_line("TLS error on connection from H=%s (handshake)", session_host(session));
		return CLOSE;
	}
	reset_transaction(session);
	session->helo[0] = 0; /* RFC 3207, section 4.2 */
	return 0;
}

/* SIZE= and BODY= after MAIL FROM:<...>. Return: 0, or -1 after a reply. */
static int mail_parameters(struct session *session, char *parameters)
{
	uint64_t max = session->config->message_size_limit;
	char *next;

	for (parameters = strtok_r(parameters, " ", &next); parameters;
	     parameters = strtok_r(NULL, " ", &next)) {
		if (!strncasecmp(parameters, "SIZE=", 5)) {
			uint64_t size = 0;
			int wrong = number_parse(parameters + 5, 0, max, &size);

			if (wrong == -EINVAL) {
				channel_reply(session->channel, "501 Syntax error in SIZE");
				return -1;
			}
			if (wrong) {
				channel_reply(session->channel,
					      "552 Message size exceeds maximum permitted");
				return -1;
			}
			session->mail.size = size;
		} else if (strcasecmp(parameters, "BODY=8BITMIME") &&
			   strcasecmp(parameters, "BODY=7BIT")) {
			channel_reply(session->channel, "555 %.64s: parameter not known",
				      parameters);
			return -1;
		}
	}
	return 0;
}

static int command_mail(struct session *session, const char *arguments)
{
	char address[PATH_LINE_MAX], parameters[COMMAND_LINE_MAX], *message;
	const char *rest = NULL;
	enum acl_result result;

	if (!session->helo[0]) {
		channel_reply(session->channel, "503 HELO or EHLO required");
		return 0;
	}
	if (session->mail.has_sender) {
		channel_reply(session->channel, "503 Sender already given");
		return 0;
	}
	if (!strncasecmp(arguments, "FROM:", 5))
		rest = address_parse_path(arguments + 5 + strspn(arguments + 5, " "), 1, address);
	if (!rest || (*rest && *rest != ' ')) {
		channel_reply(session->channel, "501 Syntax error: MAIL FROM:<address>");
		return 0;
	}
	snprintf(parameters, sizeof(parameters), "%s", rest);
	if (mail_parameters(session, parameters))
		return 0;
	strcpy(session->mail.sender, address);
	session->mail.has_sender = 1;
	result = acl_run(session, ACL_MAIL, &message);
	if (result != ACL_ACCEPT && result != ACL_DISCARD) {
		reset_transaction(session);
		return reply_refusal(session, result, message);
	}
	session->mail.is_discarded = result == ACL_DISCARD;
	channel_reply(session->channel, "%s", message ? message : "250 OK");
	return 0;
}

static int add_recipient(struct session *session, const char *address)
{
	char **more = array_grow(session->mail.recipients, session->mail.recipient_count, 1,
				 sizeof(*more));

	if (!more)
		return -1;
	session->mail.recipients = more;
	session->mail.recipients[session->mail.recipient_count++] =
		pool_string(&session->mail.pool, address);
	return 0;
}

static int command_rcpt(struct session *session, const char *arguments)
{
	char address[PATH_LINE_MAX], *message;
	const char *rest = NULL;
	enum acl_result result;

	if (!session->mail.has_sender) {
		channel_reply(session->channel, "503 Sender not yet given");
		return 0;
	}
	if (!strncasecmp(arguments, "TO:", 3))
		rest = address_parse_path(arguments + 3 + strspn(arguments + 3, " "), 0, address);
	if (!rest || (*rest && *rest != ' ')) {
		channel_reply(session->channel, "501 Syntax error: RCPT TO:<address>");
		return 0;
	}
	if (*rest) {
		channel_reply(session->channel, "555%.64s: parameter not known", rest);
		return 0;
	}
	if (session->mail.recipient_count >= session->config->recipients_max) {
		channel_reply(session->channel, "452 Too many recipients");
		return 0;
	}
	strcpy(session->mail.recipient, address);
	result = acl_run(session, ACL_RCPT, &message);
	if (result != ACL_ACCEPT && result != ACL_DISCARD)
		return reply_refusal(session, result, message);
	if (result == ACL_DISCARD) /* this one only: it is counted, and gets nothing */
		session->mail.has_discarded = true;
	else if (add_recipient(session, address)) {
		channel_reply(session->channel, "452 Out of memory, try again later");
		return 0;
	}
	channel_reply(session->channel, "%s", message ? message : "250 Accepted");
	return 0;
}

static void write_header(struct session *session, struct output *output)
{
	const char *name = session->name_looked_up ? session->sender_host_name : "";
	char line[RECEIVED_MAX], date[64];
	time_t now = time(NULL);
	struct tm tm;
	int len = 0;

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S %z", &tm);
	if (!session->config->spool_directory || !strncmp(session->config->delivery, "maildir:", 8))
		len = snprintf(line, sizeof(line), "Return-Path: <%s>\n", session->mail.sender);
	len += snprintf(line + len, sizeof(line) - len,
			"Received: from %s (%s%s[%s%s])\n\tby %s with %s%s id %s;\n\t%s\n",
			session->helo, name, *name ? " " : "",
			strchr(session->sender_host_address, ':') ? "IPv6:" : "",
			session->sender_host_address, session->config->primary_hostname,
			session->extended ? "esmtp" : "smtp", session->channel->ssl ? "s" : "",
			session->mail.id, date);
	output_write(output, line, len);
}

enum data_end { DATA_DONE, DATA_BARE, DATA_TOO_BIG, DATA_LOST };

/*
 * The lines up to CR LF "." CR LF, and nothing else that looks like it: a CR or LF alone ends no
 * line here, and a message that has one is refused, since the next hop may see an end in it that
 * was not meant ("SMTP smuggling").
 */
static enum data_end read_message(struct session *session, struct output *output)
{
	enum { LINE_START, DOT, DOT_CR, TEXT, TEXT_CR } state = LINE_START;
	enum data_end end = DATA_DONE;
	char byte;
	int c;

	for (;;) {
		c = channel_read_byte(session->channel);
		if (c < 0)
			return DATA_LOST;
		if (c == '\r') {
			if (state == TEXT_CR || state == DOT_CR)
				end = DATA_BARE;
			state = state == DOT ? DOT_CR : TEXT_CR;
			continue;
		}
		if (c == '.' && state == LINE_START) {
			state = DOT;
			continue;
		}
		if (c == '\n' && state == DOT_CR)
			return end;
		if (c == '\n' && state == TEXT_CR) {
			state = LINE_START;
		} else {
			if (c == '\n' || state == TEXT_CR || state == DOT_CR)
				end = DATA_BARE;
			state = TEXT;
		}
		byte = c;
		if (end == DATA_DONE && output->size >= session->config->message_size_limit)
			end = DATA_TOO_BIG;
		if (end == DATA_DONE)
			output_write(output, &byte, 1);
	}
}

static void log_reception(struct session *session)
{
	const struct config *config = session->config;
	const SSL *ssl = session->channel->ssl;
	int proxied = config->selected & SELECT_PROXY && session->proxy_host_address[0];

	log_line("%s <= %s H=%s P=%s%s%s%s%s%s S=%llu", session->mail.id,
		 session->mail.sender[0] ? session->mail.sender : "<>", session_host(session),
		 session->extended ? "esmtp" : "smtp", ssl ? "s" : "",
		 ssl && config->selected & SELECT_TLS_CIPHER ? " X=" : "",
		 ssl && config->selected & SELECT_TLS_CIPHER
			 ? tls_cipher(session->channel->ssl, &session->pool)
			 : "",
		 proxied ? " PRX=" : "", proxied ? session->proxy_host_address : "",
		 (unsigned long long)session->mail.size);
}

/* The message is there: what does the ACL say, and is it safe? Return: 0 or CLOSE. */
static int accept_message(struct session *session, struct message *message)
{
	enum acl_result result;
	char *said;
	int failed;

	session->mail.size = message->output.size;
	result = acl_run(session, ACL_DATA, &said);
	if (result != ACL_ACCEPT && result != ACL_DISCARD) {
		message_abort(message);
		return reply_refusal(session, result, said);
	}
	if (result == ACL_DISCARD || session->mail.is_discarded || !session->mail.recipient_count ||
	    session->testing) {
		message_abort(message);
		log_reception(session);
		log_line("%s => blackhole (%s)", session->mail.id,
			 session->testing ? "a test" : "an ACL discarded it");
		channel_reply(session->channel, "250 OK id=%s", session->mail.id);
		return 0;
	}
	failed = message_commit(session, message);
	if (failed) {
		log_line("%s Failed to store message: %s", message->id, strerror(failed));
		channel_reply(session->channel, "451 Message could not be stored, try again later");
		return 0;
	}
	log_reception(session);
	channel_reply(session->channel, "%s",
		      said ? said : pool_printf(&session->pool, "250 OK id=%s", session->mail.id));
	return 0;
}

static int receive_message(struct session *session, struct message *message)
{
	channel_reply(session->channel, "354 Enter message, ending with \".\" on a line by itself");
	write_header(session, &message->output);
	switch (read_message(session, &message->output)) {
	case DATA_DONE:
		return accept_message(session, message);
	case DATA_BARE:
		message_abort(message);
		channel_reply(session->channel, "550 Message has a CR or LF that ends no line");
		return 0;
	case DATA_TOO_BIG:
		message_abort(message);
		channel_reply(session->channel, "552 Message size exceeds maximum permitted");
		return 0;
	case DATA_LOST:
		break;
	}
	message_abort(message);
	return CLOSE;
}

static int command_data(struct session *session, const char *arguments)
{
	int stop_fd = session->channel->stop_fd, failed, result;
	struct message *message;

	if (*arguments) {
		channel_reply(session->channel, "501 Syntax error: DATA takes no argument");
		return 0;
	}
	if (!session->mail.recipient_count && !(session->mail.has_discarded)) {
		channel_reply(session->channel, "503 Valid RCPT command must precede DATA");
		return 0;
	}
	if (check_sync(session, "next input sent without waiting for the reply to DATA"))
		return CLOSE;
	message = calloc(1, sizeof(*message));
	failed = message ? message_open(session->config, message) : ENOMEM;
	if (failed) {
		log_line("Failed to store message: %s: %s", message ? message->tmp : "",
			 strerror(failed));
		channel_reply(session->channel, "451 Message could not be stored, try again later");
		free(message);
		return 0;
	}
	strcpy(session->mail.id, message->id);
	session->channel->stop_fd = -1; /* a message is received to its end */
	result = receive_message(session, message);
	session->channel->stop_fd = stop_fd;
	free(message);
	reset_transaction(session);
	return result;
}

static int command_rset(struct session *session, const char *arguments)
{
	(void)arguments;
	reset_transaction(session);
	channel_reply(session->channel, "250 Reset OK");
	return 0;
}

static int command_noop(struct session *session, const char *arguments)
{
	(void)arguments;
	channel_reply(session->channel, "250 OK");
	return 0;
}

static int command_vrfy(struct session *session, const char *arguments)
{
	(void)arguments;
	channel_reply(session->channel, "252 Cannot VRFY user, but will accept message");
	return 0;
}

static int command_help(struct session *session, const char *arguments)
{
	(void)arguments;
	channel_reply(session->channel,
		      "214 HELO EHLO STARTTLS MAIL RCPT DATA RSET NOOP VRFY HELP QUIT");
	return 0;
}

static const struct command {
	const char *name;
	int (*run)(struct session *session, const char *arguments);
} commands[] = {
	{"EHLO", command_ehlo}, {"HELO", command_old_helo}, {"STARTTLS", command_starttls},
	{"MAIL", command_mail}, {"RCPT", command_rcpt},	    {"DATA", command_data},
	{"RSET", command_rset}, {"NOOP", command_noop},	    {"VRFY", command_vrfy},
	{"HELP", command_help},
};

static int has_control_characters(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return 1;
	}
	return 0;
}

static int run_command(struct session *session, char *line, int len)
{
	char *arguments;
	size_t i;

	if (session->proxy_failed) {
		channel_reply(session->channel, REFUSED);
		return 0;
	}
	if (len == CHANNEL_TOO_LONG) {
		channel_reply(session->channel, "500 Line too long");
		return 0;
	}
	if (has_control_characters(line, len)) {
		channel_reply(session->channel, "500 Unrecognized command");
		return 0;
	}
	while (len && line[len - 1] == ' ')
		line[--len] = 0;
	arguments = line + strcspn(line, " ");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		size_t name = strlen(commands[i].name);

		if (arguments == line + name && !strncasecmp(line, commands[i].name, name))
			return commands[i].run(session, arguments + strspn(arguments, " "));
	}
	channel_reply(session->channel, "500 Unrecognized command");
	return 0;
}

/* ---- from the first byte to the last ---- */

/* The banner may have several lines. */
static void send_banner(struct session *session)
{
	char *error, *banner = expand(session, session->config->smtp_banner, &error), *line, *next;

	if (!banner) {
		log_line("smtp_banner: %s", error);
		banner = pool_printf(&session->pool, "%s ESMTP", session->config->primary_hostname);
	}
	for (line = banner; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		channel_reply(session->channel, "220%c%s", next ? '-' : ' ', line);
	}
}

static int is_in_ports(struct session *session, const char *list)
{
	char separator = 0, *item;
	uint64_t port;

	while (list && (item = list_next(&session->pool, &list, &separator))) {
		if (!number_parse(item, 0, PORT_MAX, &port) && port == session->received_port)
			return 1;
	}
	return 0;
}

static int too_many(struct session *session)
{
	if (limit_enter(session->sender_host_address, session->config->smtp_accept_max_per_host)) {
		session->counted = 1;
		return 0;
	}
	log_line("Connection from [%s] refused: too many connections from that IP address",
		 session->sender_host_address);
	channel_reply(session->channel, "421 Too many concurrent SMTP connections from this IP "
					"address; please try again later.");
	return CLOSE;
}

static void look_up_host(struct session *session)
{
	if (list_option_matches(session, "host_lookup", session->config->host_lookup) == 1)
		sender_host_name(session);
}

/* Everything up to the banner. Return: 0 or CLOSE. */
static int greet(struct session *session)
{
	enum acl_result result;
	char *message;

	if (!session->testing)
		origin_find(session);
	if (too_many(session))
		return CLOSE;
	if (session->config->selected & SELECT_SMTP_CONNECTION)
		log_line("SMTP connection from [%s]:%u", session->sender_host_address,
			 session->sender_host_port);
	if (is_in_ports(session, session->config->tls_on_connect_ports) && !session->proxy_failed) {
		session->tls_on_connect = 1;
		if (channel_start_tls(session->channel, session->config->tls, 0)) {
			log_line("TLS error on connection from H=%s (handshake)",
				 session_host(session));
			return CLOSE;
		}
	}
	look_up_host(session);
	result = acl_run(session, ACL_CONNECT, &message);
	if (result != ACL_ACCEPT && result != ACL_DISCARD) {
		reply_refusal(session, result, message);
		return CLOSE;
	}
	if (check_sync(session, "input sent without waiting for greeting"))
		return CLOSE;
	send_banner(session);
	return 0;
}

static int is_quit(const char *line, int len)
{
	return len >= COMMAND_LEN && !strncasecmp(line, "QUIT", COMMAND_LEN) &&
	       strspn(line + COMMAND_LEN, " ") == strlen(line + COMMAND_LEN);
}

static void quit(struct session *session)
{
	char *message;

	if (!session->proxy_failed)
		acl_run(session, ACL_QUIT, &message);
	channel_reply(session->channel, "221 %s closing connection",
		      session->config->primary_hostname);
}

/* Logs the end of a session that did not end with QUIT. A probe that sends nothing gets no line. */
static void lost(struct session *session, int why)
{
	if (why == CHANNEL_STOPPED)
		channel_reply(session->channel,
			      "421 %s: Service not available - closing connection",
			      session->config->primary_hostname);
	if (why == CHANNEL_TIMEOUT) {
		channel_reply(session->channel, "421 %s: SMTP command timeout - closing connection",
			      session->config->primary_hostname);
		log_line("SMTP command timeout on connection from H=%s", session_host(session));
	}
	if (why == CHANNEL_EOF && session->helo[0] &&
	    session->config->selected & SELECT_LOST_CONNECTION)
		log_line("unexpected disconnection while reading SMTP command from H=%s",
			 session_host(session));
}

void session_run(struct session *session)
{
	char line[COMMAND_LINE_MAX];
	int len, closing = greet(session);

	while (!closing) {
		clear_pool(session);
		len = channel_read_line(session->channel, line, sizeof(line));
		if (len < 0 && len != CHANNEL_TOO_LONG) {
			lost(session, len);
			break;
		}
		if (is_quit(line, len)) {
			quit(session);
			break;
		}
		closing = run_command(session, line, len);
	}
	channel_flush(session->channel);
	if (session->config->selected & SELECT_SMTP_CONNECTION)
		log_line("SMTP connection from [%s]:%u closed", session->sender_host_address,
			 session->sender_host_port);
}
