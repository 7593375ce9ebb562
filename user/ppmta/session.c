// SPDX-License-Identifier: BSD-2-Clause
/*
 * One client: who it is, by pp_lookup_wait(), and then SMTP (RFC 5321).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <pp/pp.h>

#include "ppmta.h"

#define REFUSED "503 Command refused, required Proxy negotiation failed"

/* Longest message header line that ppmta itself writes. */
#define RECEIVED_MAX 1024

struct session {
	struct channel channel;
	struct sockaddr_storage peer;		    /* as accept() named it */
	char sender_host_address[INET6_ADDRSTRLEN]; /* the origin's */
	unsigned int sender_host_port;
	char proxy_host_address[INET6_ADDRSTRLEN]; /* "" without a proxy */
	int refused;				   /* proxy negotiation failed */
	int extended;				   /* EHLO, not HELO */
	char helo[DOMAIN_MAX + 1];		   /* "" before it came */
	int has_sender;
	char sender[PATH_LINE_MAX];
	unsigned int recipients;
	struct delivery delivery;
};

/* Where a client's address has to be text: v4-mapped addresses are the IPv4 ones they hold. */
static void endpoint_text(const struct sockaddr_storage *endpoint, char address[INET6_ADDRSTRLEN],
			  unsigned int *port)
{
	const struct sockaddr_in6 *ip6 = (const void *)endpoint;
	const struct sockaddr_in *ip4 = (const void *)endpoint;

	strcpy(address, "");
	*port = 0;
	if (endpoint->ss_family == AF_INET) {
		inet_ntop(AF_INET, &ip4->sin_addr, address, INET6_ADDRSTRLEN);
		*port = ntohs(ip4->sin_port);
	} else if (endpoint->ss_family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&ip6->sin6_addr))
			inet_ntop(AF_INET, ip6->sin6_addr.s6_addr + 12, address, INET6_ADDRSTRLEN);
		else
			inet_ntop(AF_INET6, &ip6->sin6_addr, address, INET6_ADDRSTRLEN);
		*port = ntohs(ip6->sin6_port);
	}
}

struct session *session_new(int fd, const struct sockaddr_storage *peer)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->channel.fd = fd;
	session->channel.timeout_ms = settings.command_timeout_ms;
	session->delivery.fd = -1;
	session->peer = *peer;
	return session;
}

void session_free(struct session *session)
{
	close(session->channel.fd);
	free(session);
}

/* Sets sender_host_address and port: the origin's, where a proxy says so. */
static void session_identify(struct session *session)
{
	struct pp_origin origin;
	unsigned int proxy_port;
	char sender[64], text[PP_ORIGIN_PRINT_MAX];
	int result;

	endpoint_text(&session->peer, session->sender_host_address, &session->sender_host_port);
	result = pp_lookup_wait(session->channel.fd, &origin, settings.proxy_timeout_ms);
	if (result == -ENOENT || result == -ENOPROTOOPT)
		return;
	endpoint_text(&session->peer, session->proxy_host_address, &proxy_port);
	if (result) {
		session->refused = 1;
		log_line("proxy negotiation with [%s]:%u failed: %s", session->proxy_host_address,
			 proxy_port, pp_strerror(result));
		return;
	}
	if (origin.family == AF_INET || origin.family == AF_INET6)
		endpoint_text(&origin.src, session->sender_host_address,
			      &session->sender_host_port);
	if (settings.verbose) {
		pp_origin_print(&origin, text, sizeof(text));
		sender[0] = 0;
		if (origin.sender_cgroup)
			snprintf(sender, sizeof(sender), ", sent by process %u, uid %u",
				 origin.sender_pid, origin.sender_uid);
		log_line("connection from [%s]:%u through proxy [%s]:%u (%s, header %u bytes, TLVs "
			 "%u%s)",
			 session->sender_host_address, session->sender_host_port,
			 session->proxy_host_address, proxy_port, text, origin.header_len,
			 origin.tlv_len, sender);
	}
}

static void reset_transaction(struct session *session)
{
	session->has_sender = 0;
	session->recipients = 0;
}

static void command_helo(struct session *session, const char *arguments, int extended)
{
	const char *name = extended ? "EHLO" : "HELO";

	if (!address_is_domain(arguments, strlen(arguments))) {
		channel_reply(&session->channel,
			      "501 Syntax error: %s needs a domain or an address "
			      "literal",
			      name);
		return;
	}
	strcpy(session->helo, arguments);
	session->extended = extended;
	reset_transaction(session);
	channel_reply(&session->channel, "250%c%s Hello %s [%s]", extended ? '-' : ' ',
		      settings.hostname, session->helo, session->sender_host_address);
	if (!extended)
		return;
	channel_reply(&session->channel, "250-SIZE %llu",
		      (unsigned long long)settings.message_size_limit);
	channel_reply(&session->channel, "250-8BITMIME");
	channel_reply(&session->channel, "250-PIPELINING");
	channel_reply(&session->channel, "250 HELP");
}

static void command_ehlo(struct session *session, const char *arguments)
{
	command_helo(session, arguments, 1);
}

static void command_old_helo(struct session *session, const char *arguments)
{
	command_helo(session, arguments, 0);
}

/* SIZE= and BODY= behind MAIL FROM:<...>. Return: 0, or -1 after a reply. */
static int mail_parameters(struct session *session, char *parameters)
{
	char *next, *end;

	for (parameters = strtok_r(parameters, " ", &next); parameters;
	     parameters = strtok_r(NULL, " ", &next)) {
		if (!strncasecmp(parameters, "SIZE=", 5)) {
			unsigned long long size = strtoull(parameters + 5, &end, 10);

			if (end == parameters + 5 || *end || parameters[5] == '-') {
				channel_reply(&session->channel, "501 Syntax error in SIZE");
				return -1;
			}
			if (size > settings.message_size_limit) {
				channel_reply(&session->channel,
					      "552 Message size exceeds maximum permitted");
				return -1;
			}
		} else if (strcasecmp(parameters, "BODY=8BITMIME") &&
			   strcasecmp(parameters, "BODY=7BIT")) {
			channel_reply(&session->channel, "555 %.64s: parameter not known",
				      parameters);
			return -1;
		}
	}
	return 0;
}

static void command_mail(struct session *session, const char *arguments)
{
	char address[PATH_LINE_MAX], parameters[COMMAND_LINE_MAX];
	const char *rest = NULL;

	if (!session->helo[0]) {
		channel_reply(&session->channel, "503 HELO or EHLO required");
		return;
	}
	if (session->has_sender) {
		channel_reply(&session->channel, "503 Sender already given");
		return;
	}
	if (!strncasecmp(arguments, "FROM:", 5))
		rest = address_parse_path(arguments + 5 + strspn(arguments + 5, " "), 1, address);
	if (!rest || (*rest && *rest != ' ')) {
		channel_reply(&session->channel, "501 Syntax error: MAIL FROM:<address>");
		return;
	}
	snprintf(parameters, sizeof(parameters), "%s", rest);
	if (mail_parameters(session, parameters))
		return;
	strcpy(session->sender, address);
	session->has_sender = 1;
	session->recipients = 0;
	channel_reply(&session->channel, "250 OK");
}

static void command_rcpt(struct session *session, const char *arguments)
{
	char address[PATH_LINE_MAX];
	const char *rest = NULL;

	if (!session->has_sender) {
		channel_reply(&session->channel, "503 Sender not yet given");
		return;
	}
	if (!strncasecmp(arguments, "TO:", 3))
		rest = address_parse_path(arguments + 3 + strspn(arguments + 3, " "), 0, address);
	if (!rest || (*rest && *rest != ' ')) {
		channel_reply(&session->channel, "501 Syntax error: RCPT TO:<address>");
		return;
	}
	if (*rest) {
		channel_reply(&session->channel, "555%.64s: parameter not known", rest);
		return;
	}
	if (session->recipients == RECIPIENTS_MAX) {
		channel_reply(&session->channel, "452 Too many recipients");
		return;
	}
	session->recipients++;
	channel_reply(&session->channel, "250 Accepted");
}

static void write_received(struct session *session)
{
	char line[RECEIVED_MAX], date[64];
	time_t now = time(NULL);
	struct tm tm;
	int len;

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S %z", &tm);
	len = snprintf(
		line, sizeof(line),
		"Return-Path: <%s>\nReceived: from %s ([%s%s])\n\tby %s with %s id %s;\n\t%s\n",
		session->sender, session->helo,
		strchr(session->sender_host_address, ':') ? "IPv6:" : "",
		session->sender_host_address, settings.hostname,
		session->extended ? "esmtp" : "smtp", session->delivery.id, date);
	delivery_write(&session->delivery, line, len);
}

enum data_end { DATA_DONE, DATA_BARE, DATA_TOO_BIG, DATA_EOF };

/*
 * The lines up to CR LF "." CR LF, and nothing else that looks like it: a CR or LF alone ends no
 * line here, and a message that has one is refused, since the next hop may see an end in it that
 * was not meant ("SMTP smuggling").
 */
static enum data_end read_message(struct session *session)
{
	enum { LINE_START, DOT, DOT_CR, TEXT, TEXT_CR } state = LINE_START;
	struct delivery *delivery = &session->delivery;
	enum data_end end = DATA_DONE;
	char byte;
	int c;

	for (;;) {
		c = channel_read_byte(&session->channel);
		if (c == CHANNEL_EOF)
			return DATA_EOF;
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
		if (end == DATA_DONE && delivery->size >= settings.message_size_limit)
			end = DATA_TOO_BIG;
		if (end == DATA_DONE)
			delivery_write(delivery, &byte, 1);
	}
}

static void accept_message(struct session *session)
{
	struct delivery *delivery = &session->delivery;
	int failed = delivery_commit(delivery);

	if (failed) {
		log_line("%s Failed to store message: %s", delivery->id, strerror(failed));
		channel_reply(&session->channel,
			      "451 Message could not be stored, try again later");
		return;
	}
	log_line("%s <= %s H=(%s) [%s] P=%s%s%s S=%llu", delivery->id,
		 session->sender[0] ? session->sender : "<>", session->helo,
		 session->sender_host_address, session->extended ? "esmtp" : "smtp",
		 session->proxy_host_address[0] ? " PRX=" : "", session->proxy_host_address,
		 (unsigned long long)delivery->size);
	channel_reply(&session->channel, "250 OK id=%s", delivery->id);
}

static void command_data(struct session *session, const char *arguments)
{
	int failed;

	if (*arguments) {
		channel_reply(&session->channel, "501 Syntax error: DATA takes no argument");
		return;
	}
	if (!session->recipients) {
		channel_reply(&session->channel, "503 Valid RCPT command must precede DATA");
		return;
	}
	failed = delivery_open(&session->delivery);
	if (failed) {
		log_line("Failed to store message: %s: %s", session->delivery.tmp,
			 strerror(failed));
		channel_reply(&session->channel,
			      "451 Message could not be stored, try again later");
		return;
	}
	channel_reply(&session->channel,
		      "354 Enter message, ending with \".\" on a line by itself");
	write_received(session);
	switch (read_message(session)) {
	case DATA_DONE:
		accept_message(session);
		break;
	case DATA_BARE:
		delivery_abort(&session->delivery);
		channel_reply(&session->channel, "550 Message has a CR or LF that ends no line");
		break;
	case DATA_TOO_BIG:
		delivery_abort(&session->delivery);
		channel_reply(&session->channel, "552 Message size exceeds maximum permitted");
		break;
	case DATA_EOF:
		delivery_abort(&session->delivery);
		break;
	}
	reset_transaction(session);
}

static void command_rset(struct session *session, const char *arguments)
{
	(void)arguments;
	reset_transaction(session);
	channel_reply(&session->channel, "250 Reset OK");
}

static void command_noop(struct session *session, const char *arguments)
{
	(void)arguments;
	channel_reply(&session->channel, "250 OK");
}

static void command_vrfy(struct session *session, const char *arguments)
{
	(void)arguments;
	channel_reply(&session->channel, "252 Cannot VRFY user, but will accept message");
}

static void command_help(struct session *session, const char *arguments)
{
	(void)arguments;
	channel_reply(&session->channel, "214 HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT");
}

static const struct {
	const char *name;
	void (*run)(struct session *session, const char *arguments);
} commands[] = {
	{"EHLO", command_ehlo}, {"HELO", command_old_helo}, {"MAIL", command_mail},
	{"RCPT", command_rcpt}, {"DATA", command_data},	    {"RSET", command_rset},
	{"NOOP", command_noop}, {"VRFY", command_vrfy},	    {"HELP", command_help},
};

#define COMMAND_LEN 4

static int has_control_characters(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return 1;
	}
	return 0;
}

static void run_command(struct session *session, char *line, int len)
{
	char *arguments;
	size_t i;

	if (session->refused) {
		channel_reply(&session->channel, REFUSED);
		return;
	}
	if (len == CHANNEL_TOO_LONG) {
		channel_reply(&session->channel, "500 Line too long");
		return;
	}
	if (has_control_characters(line, len)) {
		channel_reply(&session->channel, "500 Unrecognized command");
		return;
	}
	while (len && line[len - 1] == ' ')
		line[--len] = 0;
	arguments = line + strcspn(line, " ");
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (arguments - line == COMMAND_LEN &&
		    !strncasecmp(line, commands[i].name, COMMAND_LEN)) {
			commands[i].run(session, arguments + strspn(arguments, " "));
			return;
		}
	}
	channel_reply(&session->channel, "500 Unrecognized command");
}

void session_run(struct session *session)
{
	char line[COMMAND_LINE_MAX];
	int len;

	session_identify(session);
	channel_reply(&session->channel, "220 %s ESMTP ppmta %s", settings.hostname, PP_VERSION);
	for (;;) {
		len = channel_read_line(&session->channel, line, sizeof(line));
		if (len == CHANNEL_EOF)
			return;
		if (len >= COMMAND_LEN && !strncasecmp(line, "QUIT", COMMAND_LEN) &&
		    strspn(line + COMMAND_LEN, " ") == strlen(line + COMMAND_LEN)) {
			channel_reply(&session->channel, "221 %s closing connection",
				      settings.hostname);
			channel_flush(&session->channel);
			return;
		}
		run_command(session, line, len);
	}
}
