// SPDX-License-Identifier: BSD-2-Clause
/*
 * The commands of SMTP (RFC 5321), but for DATA.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../common/array.h"
#include "../../common/number.h"
#include "smtp.h"

/* Commands since the last message, besides those that recipients_max refuses. */
#define REFUSED_MAX 1000

#define REFUSED "503 Command refused, required Proxy negotiation failed"

bool has_next_hop(const struct session *session)
{
	return session->config->target->kind != DELIVER_MAILDIR && !session->testing;
}

/* The reply of an ACL that does not accept. */
static int reply_refusal(struct session *session, enum acl_result result, const char *message)
{
	return reply_text(session, message) == CLOSE || result == ACL_DROP ? CLOSE : 0;
}

/* What the next hop said, which is not 2xx, in the log. */
static void log_hop(struct session *session, const char *command, const char *address)
{
	log_line("H=%s F=<%s> rejected %s <%s> by next hop %s: %s", session_host(session),
		 session->mail.sender, command, address, session->hop->name, session->hop->reply);
}

static struct hop *hop_of(struct session *session)
{
	if (!session->hop)
		session->hop = hop_new(session);
	return session->hop;
}

/* ---- EHLO ---- */

/* Asks the next hop what it can. Return: 0 or CLOSE: a client that were offered less than usual
 * could give a message up for it. */
static int learn_extensions(struct session *session)
{
	session->extensions = HOP_8BITMIME | HOP_SMTPUTF8;
	if (!has_next_hop(session))
		return 0;
	if (!hop_of(session) || hop_hello(session->hop) != 250) {
		session->extensions = 0;
		return reply(session, "421 %s: The next hop is not there, try again later",
			     session->config->primary_hostname);
	}
	session->extensions = session->hop->extensions;
	session->hop->promised = session->extensions & (HOP_8BITMIME | HOP_SMTPUTF8);
	return 0;
}

static uint64_t size_limit(const struct session *session)
{
	uint64_t max = session->config->message_size_limit;

	if (session->hop && session->hop->size_max && session->hop->size_max < max)
		return session->hop->size_max;
	return max;
}

static void offer_extensions(struct session *session)
{
	const struct config *config = session->config;
	struct pool *pool = &session->pool;

	reply_line(session, false, "250",
		   pool_printf(pool, "%s Hello %s [%s]", config->primary_hostname, session->helo,
			       session->sender_host_address));
	reply_line(session, false, "250",
		   pool_printf(pool, "SIZE %llu", (unsigned long long)size_limit(session)));
	if (session->extensions & HOP_8BITMIME)
		reply_line(session, false, "250", "8BITMIME");
	if (session->extensions & HOP_SMTPUTF8)
		reply_line(session, false, "250", "SMTPUTF8");
	if (config->tls && !session->channel->ssl)
		reply_line(session, false, "250", "STARTTLS");
	reply_line(session, false, "250", "PIPELINING");
	reply_line(session, true, "250", "HELP");
}

static int command_helo(struct session *session, const char *arguments, bool extended)
{
	enum acl_result result;
	char *message;

	if (!address_is_domain(arguments, strlen(arguments)))
		return reply(session, "501 Syntax error: %s needs a domain or an address literal",
			     extended ? "EHLO" : "HELO");
	if (check_sync(session, "next input sent without waiting for the reply to EHLO or HELO"))
		return CLOSE;
	transaction_reset(session);
	strcpy(session->helo, arguments);
	session->extensions = 0;
	result = acl_run(session, ACL_HELO, &message);
	if (result != ACL_ACCEPT) {
		session->helo[0] = 0;
		return reply_refusal(session, result, message);
	}
	session->extended = extended;
	if (session->hop)
		session->hop->promised = 0;
	if (!extended && session->hop) /* the next one is told of this name */
		hop_release(session->hop);
	if (!extended)
		return reply(session, "250 %s Hello %s [%s]", session->config->primary_hostname,
			     session->helo, session->sender_host_address);
	if (learn_extensions(session))
		return CLOSE;
	offer_extensions(session);
	return 0;
}

static int command_ehlo(struct session *session, const char *arguments)
{
	return command_helo(session, arguments, true);
}

static int command_old_helo(struct session *session, const char *arguments)
{
	return command_helo(session, arguments, false);
}

static int command_starttls(struct session *session, const char *arguments)
{
	struct channel *channel = session->channel;

	if (*arguments)
		return reply(session, "501 Syntax error: STARTTLS takes no argument");
	if (!session->config->tls || channel->ssl)
		return reply(session, "503 STARTTLS command used when not advertised");
	if (check_sync(session, "next input sent without waiting for the reply to STARTTLS"))
		return CLOSE;
	reply(session, "220 TLS go ahead");
	if (channel_start_tls(channel, session->config->tls, 0)) {
		log_line("TLS error on connection from H=%s (handshake)", session_host(session));
		return CLOSE;
	}
	transaction_reset(session);
	session->helo[0] = 0; /* RFC 3207, section 4.2 */
	session->extensions = 0;
	return 0;
}

/* ---- MAIL and RCPT ---- */

/* One parameter of MAIL. Return: 0, or -1 after a reply. */
static int mail_parameter(struct session *session, const char *parameter)
{
	struct transaction *mail = &session->mail;
	int wrong;

	if (!strncasecmp(parameter, "SIZE=", 5)) {
		wrong = number_parse(parameter + 5, 0, size_limit(session), &mail->size);
		if (wrong == -EINVAL)
			reply(session, "501 Syntax error in SIZE");
		else if (wrong)
			reply(session, "552 Message size exceeds maximum permitted");
		return wrong ? -1 : 0;
	}
	if (!strcasecmp(parameter, "BODY=7BIT"))
		return 0;
	/* one that was not offered is often used all the same, and does no harm to a Maildir */
	if (!strcasecmp(parameter, "BODY=8BITMIME") &&
	    (session->extensions & HOP_8BITMIME || !session->extended))
		return 0;
	if (!strcasecmp(parameter, "SMTPUTF8") && session->extensions & HOP_SMTPUTF8) {
		mail->is_utf8 = true;
		return 0;
	}
	reply(session, "555 %.64s: parameter not known", parameter);
	return -1;
}

static int mail_parameters(struct session *session, const char *parameters)
{
	char *words = pool_string(&session->pool, parameters), *word, *next;

	for (word = strtok_r(words, " ", &next); word; word = strtok_r(NULL, " ", &next)) {
		if (mail_parameter(session, word))
			return -1;
	}
	return 0;
}

/* "FROM:<address> ...", of which @rest follows the address. Return: 0, or -1 after a reply. */
static int parse_path(struct session *session, const char *arguments, const char *before,
		      bool may_be_empty, char address[PATH_LINE_MAX], const char **rest)
{
	size_t len = strlen(before);

	*rest = NULL;
	if (!strncasecmp(arguments, before, len))
		*rest = address_parse_path(arguments + len + strspn(arguments + len, " "),
					   may_be_empty, address);
	if (*rest && (!**rest || **rest == ' '))
		return 0;
	reply(session, "501 Syntax error: %s<address>", before);
	return -1;
}

/* An address that is not ASCII needs SMTPUTF8, and has to be text, with a domain that can be one of
 * the DNS. Return: 0, or -1 after a reply. */
static int check_utf8(struct session *session, const char *address)
{
	char *clean = pool_string(&session->pool, address);

	text_clean(clean, strlen(clean), !session->mail.is_utf8);
	if (!strcmp(clean, address) && domain_ascii(address_domain(address), &session->pool))
		return 0;
	reply(session, session->mail.is_utf8 ? "553 This address has what no text or no domain has"
					     : "553 An address that is not ASCII needs SMTPUTF8");
	return -1;
}

/* The sender is right, and the ACL accepts it. */
static int pass_mail(struct session *session, const char *message)
{
	int code;

	if (has_next_hop(session)) {
		if (!hop_of(session)) {
			transaction_reset(session);
			return reply(session, "452 Out of memory, try again later");
		}
		code = hop_mail(session->hop);
		if (code >= 300) {
			log_hop(session, "MAIL", session->mail.sender);
			transaction_reset(session);
			return reply_text(session, session->hop->reply);
		}
		if (!message)
			return reply_text(session, session->hop->reply);
	}
	return reply_text(session, message ? message : "250 OK");
}

static int command_mail(struct session *session, const char *arguments)
{
	enum acl_result result;
	const char *rest;
	char *message;

	if (!session->helo[0])
		return reply(session, "503 HELO or EHLO required");
	if (session->mail.has_sender)
		return reply(session, "503 Sender already given");
	if (parse_path(session, arguments, "FROM:", true, session->mail.sender, &rest) ||
	    mail_parameters(session, rest) || check_utf8(session, session->mail.sender)) {
		transaction_reset(session);
		return 0;
	}
	session->mail.has_sender = true;
	result = acl_run(session, ACL_MAIL, &message);
	if (result != ACL_ACCEPT) {
		transaction_reset(session);
		return reply_refusal(session, result, message);
	}
	return pass_mail(session, message);
}

static bool was_named(const struct transaction *mail, const char *address)
{
	const char *domain = address_domain(address), *one;
	size_t local = strlen(address) - strlen(domain);
	int i;

	for (i = 0; i < mail->recipient_count; i++) {
		one = mail->recipients[i];
		if (!strncmp(one, address, local) && !strcasecmp(one + local, domain))
			return true;
	}
	return false;
}

static int add_recipient(struct transaction *mail, const char *address)
{
	char **more = array_grow(mail->recipients, mail->recipient_count, 1, sizeof(*more));

	if (!more)
		return -1;
	mail->recipients = more;
	mail->recipients[mail->recipient_count++] = pool_string(&mail->pool, address);
	return 0;
}

/* Return: NULL, or why there is no room for one more. LMTP answers for each recipient after DATA,
 * and SMTP only once: so each gets a message of its own. */
static const char *too_many(const struct session *session)
{
	int count = session->mail.recipient_count;

	if (count >= session->config->recipients_max)
		return "452 4.5.3 Too many recipients";
	if (count && has_next_hop(session) && session->config->target->kind == DELIVER_LMTP)
		return "452 4.5.3 One recipient a message: send it again for the others";
	return NULL;
}

/* The recipient is right, and the ACL accepts it. */
static int pass_rcpt(struct session *session, const char *address, const char *message)
{
	const char *full;
	int code;

	if (was_named(&session->mail, address))
		return reply_text(session, message ? message : "250 Accepted");
	full = too_many(session);
	if (full)
		return reply_text(session, full);
	if (has_next_hop(session)) {
		code = hop_rcpt(session->hop, address);
		if (code >= 300) {
			log_hop(session, "RCPT", address);
			return reply_text(session, session->hop->reply);
		}
		if (!message)
			message = session->hop->reply;
	}
	if (add_recipient(&session->mail, address)) {
		session->mail.is_spoilt = true; /* the next hop has it, and DATA must not go on */
		return reply(session, "452 Out of memory, try again later");
	}
	return reply_text(session, message ? message : "250 Accepted");
}

static int command_rcpt(struct session *session, const char *arguments)
{
	char address[PATH_LINE_MAX], *message;
	enum acl_result result;
	const char *rest;

	if (!session->mail.has_sender)
		return reply(session, "503 Sender not yet given");
	if (parse_path(session, arguments, "TO:", false, address, &rest))
		return 0;
	if (*rest)
		return reply(session, "555 %.64s: parameter not known", rest + 1);
	if (check_utf8(session, address))
		return 0;
	session->mail.rcpt_count++;
	strcpy(session->mail.recipient, address);
	if (!strchr(address, '@')) /* RFC 5321, section 4.5.1 */
		snprintf(session->mail.recipient, sizeof(session->mail.recipient),
			 "postmaster@%.240s", session->config->primary_hostname);
	result = acl_run(session, ACL_RCPT, &message);
	return result == ACL_ACCEPT ? pass_rcpt(session, session->mail.recipient, message)
				    : reply_refusal(session, result, message);
}

/* ---- the others ---- */

static int command_rset(struct session *session, const char *arguments)
{
	(void)arguments;
	transaction_reset(session);
	return reply(session, "250 Reset OK");
}

static const struct command {
	const char *name;
	int (*run)(struct session *session, const char *arguments);
	bool brings_mail;
	const char *answer; /* where it does nothing */
} commands[] = {
	{"EHLO", command_ehlo, false, NULL},
	{"HELO", command_old_helo, false, NULL},
	{"MAIL", command_mail, true, NULL},
	{"RCPT", command_rcpt, true, NULL},
	{"DATA", command_data, true, NULL},
	{"STARTTLS", command_starttls, false, NULL},
	{"RSET", command_rset, false, NULL},
	{"NOOP", NULL, false, "250 OK"},
	{"VRFY", NULL, false, "252 Cannot VRFY user, but will accept message"},
	{"HELP", NULL, false, "214 HELO EHLO STARTTLS MAIL RCPT DATA RSET NOOP VRFY HELP QUIT"},
};

static int run(struct session *session, const struct command *command, const char *arguments)
{
	if (command->brings_mail || ++session->others <= session->config->smtp_accept_max_nonmail)
		return command->run ? command->run(session, arguments)
				    : reply_text(session, command->answer);
	log_line("H=%s dropped: too many commands that bring no mail", session_host(session));
	return reply(session, "421 %s: Too many nonmail commands",
		     session->config->primary_hostname);
}

static int find_and_run(struct session *session, char *line, int len)
{
	char *arguments;
	int plain = 0;
	size_t i;

	if (session->proxy_failed)
		return reply(session, REFUSED);
	if (len == CHANNEL_TOO_LONG)
		return reply(session, "500 Line too long");
	while (len && line[len - 1] == ' ')
		line[--len] = 0;
	while (plain < len && !iscntrl((unsigned char)line[plain]))
		plain++;
	arguments = line + strcspn(line, " ");
	for (i = 0; i < ARRAY_SIZE(commands) && plain == len; i++) {
		size_t name = strlen(commands[i].name);

		if (arguments == line + name && !strncasecmp(line, commands[i].name, name))
			return run(session, &commands[i], arguments + strspn(arguments, " "));
	}
	return reply(session, "500 Unrecognized command");
}

int command_run(struct session *session, char *line, int len)
{
	int closing = find_and_run(session, line, len);

	if (closing || (session->errors <= session->config->smtp_max_synprot_errors &&
			session->refused <= session->config->recipients_max + REFUSED_MAX))
		return closing;
	log_line("H=%s dropped: too many errors", session_host(session));
	return reply(session, "421 %s: Too many errors", session->config->primary_hostname);
}
