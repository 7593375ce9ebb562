// SPDX-License-Identifier: BSD-2-Clause
/*
 * The header lines that ppmta writes above a message.
 */
#include <string.h>
#include <time.h>

#include "smtp.h"

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

char *header_lines(struct session *session)
{
	struct text head = {.pool = &session->mail.pool};

	if (session->config->target->kind == DELIVER_MAILDIR)
		add_envelope(&session->mail, &head);
	add_received(session, &head);
	text_add_string(&head, text_get(&session->mail.added_headers));
	return text_get(&head);
}
