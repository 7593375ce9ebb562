// SPDX-License-Identifier: BSD-2-Clause
/*
 * DATA: the message is taken whole, the ACL is asked, and then it is handed on. The client is told
 * what the next hop, or the disk, has answered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "smtp.h"

enum data_end { DATA_DONE, DATA_BARE, DATA_TOO_BIG, DATA_LOST, DATA_TIMEOUT };

/* The message as it comes in. */
struct reader {
	struct message *message;
	bool in_body;
	char start[9]; /* of a header line */
	size_t len;    /* of that line */
	int received;  /* Received: lines */
};

static void end_header_line(struct reader *reader)
{
	static const char received[] = "Received:";

	if (!reader->len)
		reader->in_body = true;
	if (reader->len >= sizeof(reader->start) &&
	    !strncasecmp(reader->start, received, sizeof(reader->start)))
		reader->received++;
	reader->len = 0;
}

static void add_byte(struct reader *reader, char byte)
{
	message_add(reader->message, byte);
	if (byte & 0x80)
		reader->message->has_8bit = true;
	if (reader->in_body)
		return;
	if (byte == '\n') {
		end_header_line(reader);
		return;
	}
	if (reader->len < sizeof(reader->start))
		reader->start[reader->len] = byte;
	reader->len++;
}

/*
 * The lines up to CR LF "." CR LF, and nothing else that looks like it: a CR or LF alone ends no
 * line here, and a message that has one is refused, since the next hop may see an end in it that
 * was not meant ("SMTP smuggling"). So is one with a NUL, which RFC 5321, section 2.3.8, leaves
 * open.
 */
static enum data_end read_message(struct session *session, struct reader *reader)
{
	enum { LINE_START, DOT, DOT_CR, TEXT, TEXT_CR } state = LINE_START;
	enum data_end end = DATA_DONE;
	int c;

	for (;;) {
		c = channel_read_byte(session->channel);
		if (c < 0)
			return c == CHANNEL_TIMEOUT ? DATA_TIMEOUT : DATA_LOST;
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
			if (!c || c == '\n' || state == TEXT_CR || state == DOT_CR)
				end = DATA_BARE;
			state = TEXT;
		}
		if (end == DATA_DONE &&
		    reader->message->size >= session->config->message_size_limit)
			end = DATA_TOO_BIG;
		if (end == DATA_DONE)
			add_byte(reader, c);
	}
}

static void add_received(struct session *session, struct text *head)
{
	const char *name = session->sender_host_name ? session->sender_host_name : "";
	const char *address = session->sender_host_address;
	char *helo = pool_string(head->pool, session->helo);
	time_t now = time(NULL);
	char date[64];
	struct tm tm;

	text_clean(helo, strlen(helo), !session->mail.is_utf8);
	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S %z", &tm);
	text_add_string(
		head,
		pool_printf(head->pool,
			    "Received: from %s (%s%s[%s%s])\n\tby %s with %s%s id %s;\n\t%s\n",
			    helo, name, *name ? " " : "", strchr(address, ':') ? "IPv6:" : "",
			    address, session->config->primary_hostname,
			    session->mail.is_utf8 ? "utf8smtp"
			    : session->extended	  ? "esmtp"
						  : "smtp",
			    session->channel->ssl ? "s" : "", session->mail.id, date));
}

/* Each recipient once, however often it was named. */
static void add_envelope(const struct transaction *mail, struct text *head)
{
	int i;

	text_add_string(head, pool_printf(head->pool, "Return-Path: <%s>\n", mail->sender));
	for (i = 0; i < mail->recipient_count; i++)
		text_add_string(head, pool_printf(head->pool, "%s%s", i ? ",\n\t" : "Envelope-to: ",
						  mail->recipients[i]));
	text_add_string(head, "\n");
}

/* Those that ppmta writes above the message, which must not continue them: if it begins as if it
 * would, it has no header. */
static char *header_lines(struct session *session, const struct message *message)
{
	struct text head = {.pool = &session->mail.pool};

	if (session->config->target->kind == DELIVER_MAILDIR)
		add_envelope(&session->mail, &head);
	add_received(session, &head);
	text_add_string(&head, text_get(&session->mail.added_headers));
	text_add_string(&head, message->begins_blank ? "\n" : "");
	return text_get(&head);
}

static void log_reception(struct session *session)
{
	const struct config *config = session->config;
	SSL *ssl = session->channel->ssl;
	bool proxied = config->selected & SELECT_PROXY && session->proxy_host_address[0];

	log_line("%s <= %s H=%s P=%s%s%s%s%s S=%llu", session->mail.id,
		 session->mail.sender[0] ? session->mail.sender : "<>", session_host(session),
		 session->extended ? "esmtp" : "smtp", ssl ? "s X=" : "",
		 ssl ? tls_cipher(ssl, &session->pool) : "", proxied ? " PRX=" : "",
		 proxied ? session->proxy_host_address : "",
		 (unsigned long long)session->mail.size);
}

/* What the client is told when the disk fails. */
static int reply_failure(struct session *session, int failed)
{
	log_line("%s Failed to store message: %s", session->mail.id, strerror(failed));
	if (failed == ENOSPC || failed == EDQUOT || failed == EFBIG)
		return reply(session, "452 Insufficient system storage, try again later");
	return reply(session, "451 Message could not be stored, try again later");
}

static int pass_to_hop(struct session *session, struct message *message, const char *said)
{
	struct hop *hop = session->hop;
	int code = hop_data(hop, header_lines(session, message), message);

	if (code >= 300) {
		log_line("%s H=%s F=<%s> rejected after DATA by next hop %s: %s", session->mail.id,
			 session_host(session), session->mail.sender, hop->name, hop->reply);
		return reply_text(session, hop->reply);
	}
	log_reception(session);
	log_line("%s => %s%s R=%d H=%s: %s", session->mail.id, session->mail.recipients[0],
		 session->mail.recipient_count > 1 ? " ..." : "", session->mail.recipient_count,
		 hop->name, hop->reply);
	return reply_text(session, said ? said : hop->reply);
}

static int pass_to_maildir(struct session *session, struct message *message, const char *said)
{
	const struct config *config = session->config;
	int failed = maildir_deliver(config->target->path,
				     pool_printf(&session->pool, "%s.%s", session->mail.id,
						 config->primary_hostname),
				     header_lines(session, message), message);

	if (failed)
		return reply_failure(session, failed);
	log_reception(session);
	return said ? reply_text(session, said) : reply(session, "250 OK id=%s", session->mail.id);
}

/* The message is there: what does the ACL say? Then it goes on. */
static int hand_over(struct session *session, struct message *message)
{
	struct transaction *mail = &session->mail;
	enum acl_result result;
	char *said;

	mail->size = message->size;
	result = acl_run(session, ACL_DATA, &said);
	if (result != ACL_ACCEPT)
		return reply_text(session, said) == CLOSE || result == ACL_DROP ? CLOSE : 0;
	session->others = session->refused = 0;
	if (session->testing) {
		log_reception(session);
		return reply(session, "250 OK id=%s", mail->id);
	}
	if (!has_next_hop(session))
		return pass_to_maildir(session, message, said);
	return pass_to_hop(session, message, said);
}

static int receive(struct session *session, struct message *message)
{
	struct reader reader = {.message = message};
	int failed;

	reply(session, "354 Enter message, ending with \".\" on a line by itself");
	switch (read_message(session, &reader)) {
	case DATA_DONE:
		failed = message_end(message);
		if (failed)
			return reply_failure(session, failed);
		if (reader.received <= session->config->received_headers_max)
			return hand_over(session, message);
		log_line("%s H=%s F=<%s> rejected: %d Received: lines, it loops", session->mail.id,
			 session_host(session), session->mail.sender, reader.received);
		return reply(session, "550 Too many \"Received\" headers - suspected mail loop");
	case DATA_BARE:
		return reply(session, "550 Message has a CR or LF that ends no line, or a NUL");
	case DATA_TOO_BIG:
		return reply(session, "552 Message size exceeds maximum permitted");
	case DATA_TIMEOUT:
		return reply(session, "421 %s: SMTP incoming data timeout - closing connection",
			     session->config->primary_hostname);
	default:
		return CLOSE;
	}
}

int command_data(struct session *session, const char *arguments)
{
	int stop_fd = session->channel->stop_fd, failed, result = 0;
	struct message *message;

	if (*arguments)
		return reply(session, "501 Syntax error: DATA takes no argument");
	if (!session->mail.recipient_count)
		return reply(session, "503 Valid RCPT command must precede DATA");
	if (check_sync(session, "next input sent without waiting for the reply to DATA"))
		return CLOSE;
	make_message_id(session->mail.id);
	message = malloc(sizeof(*message));
	failed = message && !session->mail.is_spoilt ? message_open(session->config, message)
						     : ENOMEM;
	if (failed) {
		reply_failure(session, failed);
	} else {
		session->channel->stop_fd = -1; /* a message is received to its end */
		result = receive(session, message);
		session->channel->stop_fd = stop_fd;
		message_close(message);
	}
	free(message);
	transaction_reset(session);
	return result;
}
