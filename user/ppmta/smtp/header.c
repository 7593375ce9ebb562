// SPDX-License-Identifier: BSD-2-Clause
/*
 * The header lines that ppmta writes above a message.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "smtp.h"

/* The client's name, if it is one: whoever has the address says in the DNS what it is. */
static const char *name_of_client(const struct session *session)
{
	const char *name = session->name_looked_up ? session->sender_host_name : "";

	return address_is_domain(name, strlen(name)) ? name : "";
}

static const char *clean_helo(const struct session *session, struct pool *pool)
{
	char *helo = pool_string(pool, session->helo);

	text_clean(helo, strlen(helo), !session->mail.is_utf8);
	return helo;
}

static void add_received(struct session *session, struct text *head)
{
	const char *name = name_of_client(session), *address = session->sender_host_address;
	time_t now = time(NULL);
	char date[64];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S %z", &tm);
	text_add_string(
		head,
		pool_printf(head->pool,
			    "Received: from %s (%s%s[%s%s])\n\tby %s with %s%s id %s;\n\t%s\n",
			    clean_helo(session, head->pool), name, *name ? " " : "",
			    strchr(address, ':') ? "IPv6:" : "", address,
			    session->config->primary_hostname,
			    session->mail.is_utf8 ? "utf8smtp"
			    : session->extended	  ? "esmtp"
						  : "smtp",
			    session->channel->ssl ? "s" : "", session->mail.id, date));
}

/* Return: the length of the field's name that @line begins with, or 0. */
static size_t field_name(const char *line)
{
	size_t len = 0;

	while (line[len] > ' ' && line[len] < 0x7f && line[len] != ':')
		len++;
	return line[len] == ':' ? len : 0;
}

/* What ACLs add: a line that begins no field continues the one before. */
static void add_lines(struct text *head, const char *lines)
{
	char *copy = pool_string(head->pool, lines), *line, *next;

	for (line = strtok_r(copy, "\r\n", &next); line; line = strtok_r(NULL, "\r\n", &next)) {
		bool continues = *line == ' ' || *line == '\t' || !field_name(line);

		line += strspn(line, " \t");
		if (!*line || (continues && !head->len))
			continue;
		text_clean(line, strlen(line), false);
		if (continues)
			text_add_string(head, "\t");
		text_add_string(head, line);
		text_add_string(head, "\n");
	}
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

char *header_lines(struct session *session)
{
	struct text head = {.pool = &session->mail.pool};

	if (session->config->target->kind == DELIVER_MAILDIR)
		add_envelope(&session->mail, &head);
	add_received(session, &head);
	add_lines(&head, text_get(&session->mail.added_headers));
	return text_get(&head);
}
