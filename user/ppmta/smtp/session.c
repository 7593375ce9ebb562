// SPDX-License-Identifier: BSD-2-Clause
/*
 * One client: who it is, and then SMTP (RFC 5321).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../common/clock.h"
#include "../../common/endpoint.h"
#include "smtp.h"

#define SHOWN_INPUT 128 /* bytes of what came too early that are logged */

/* RFC 5321, section 4.5.3.1.4, and room for the parameters of SIZE, BODY and SMTPUTF8. */
#define COMMAND_LINE_MAX (512 + 128)
#define COMMAND_LEN	 4

#define HOP_IDLE_MS (5 * 1000)

struct session *session_new(struct config *config, int fd, const struct sockaddr_storage *peer)
{
	struct {
		struct session session;
		struct channel channel;
	} *both = calloc(1, sizeof(*both));
	struct session *session = &both->session;
	struct sockaddr_storage own = {0};
	socklen_t len = sizeof(own);

	if (!both)
		return NULL;
	session->channel = &both->channel;
	session->config = config_get(config);
	session->dns.config = config;
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

static void forget_variables(struct session *session, char kind)
{
	struct acl_variable *variable;

	for (variable = session->variables; variable; variable = variable->next) {
		if (!kind || variable->name[4] == kind) {
			pool_free(&variable->pool);
			variable->value = NULL;
		}
	}
}

void transaction_reset(struct session *session)
{
	free(session->mail.recipients);
	pool_free(&session->mail.pool);
	memset(&session->mail, 0, sizeof(session->mail));
	session->mail.added_headers.pool = &session->mail.pool;
	forget_variables(session, 'm');
}

void session_free(struct session *session)
{
	hop_free(session->hop);
	channel_close(session->channel);
	if (session->counted)
		limit_leave(session->counted);
	transaction_reset(session);
	forget_variables(session, 0);
	pool_free(&session->pool);
	pool_free(&session->kept);
	config_put(session->config);
	free(session);
}

/* Frees the strings that the command before has expanded. The next one has time for the DNS. */
static void clear_pool(struct session *session)
{
	pool_free(&session->pool);
	memset(session->captured, 0, sizeof(session->captured));
	session->command_rates = NULL;
	session->sender_rate = session->sender_rate_limit = session->sender_rate_period = NULL;
	session->dnslist_domain = session->dnslist_value = NULL;
	session->dnslist_text = session->dnslist_matched = NULL;
	session->dns.spent_ms = 0;
}

int check_sync(struct session *session, const char *where)
{
	char shown[SHOWN_INPUT];

	if (!session->config->smtp_enforce_sync || session->testing ||
	    !channel_has_input(session->channel, shown, sizeof(shown)))
		return 0;
	log_line("SMTP protocol synchronization error (%s): rejected %s H=%s input=\"%s\"", where,
		 strstr(where, "greeting") ? "connection from" : "command from",
		 session_host(session), shown);
	reply(session, "554 SMTP synchronization error");
	return CLOSE;
}

/* ---- from the first byte to the last ---- */

static void send_banner(struct session *session)
{
	struct evaluation eval = evaluation_in(session);
	char *banner = expand(&eval, session->config->smtp_banner);

	if (!banner) {
		log_line("smtp_banner: %s", eval.error);
		banner = pool_printf(&session->pool, "%s ESMTP", session->config->primary_hostname);
	}
	reply_text(session, pool_printf(&session->pool, "220 %s", banner));
}

static int too_many(struct session *session)
{
	const char *origin = limit_origin(session->sender_host_address, &session->kept);

	if (limit_enter(origin, session->config->smtp_accept_max_per_host)) {
		session->counted = origin;
		return 0;
	}
	log_line("Connection from [%s] refused: too many connections from that IP address",
		 session->sender_host_address);
	return reply(session, "421 Too many concurrent SMTP connections from this IP address");
}

/* Without host_lookup, the names of those are looked up whom a proxy has named: "It also re-queries
 * the DNS information for this new IP address". */
static void look_up_host(struct session *session)
{
	const char *hosts = session->config->host_lookup;
	bool proxied = session->proxy_host_address[0] && session->origin.command == PP_PROXY;

	if (hosts ? list_option_matches(session, "host_lookup", hosts) == 1 : proxied)
		sender_host_name(session);
}

/* Everything up to the banner. Return: 0 or CLOSE. */
static int greet(struct session *session)
{
	char *message;

	if (!session->testing)
		origin_find(session);
	if (too_many(session))
		return CLOSE;
	if (session->config->selected & SELECT_SMTP_CONNECTION)
		log_line("SMTP connection from [%s]:%u", session->sender_host_address,
			 session->sender_host_port);
	look_up_host(session);
	if (acl_run(session, ACL_CONNECT, &message) != ACL_ACCEPT) {
		reply_text(session, message);
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

/* Logs the end of a session that did not end with QUIT. A probe that sends nothing gets no line. */
static void lost(struct session *session, int why)
{
	if (why == CHANNEL_STOPPED)
		reply(session, "421 %s: Service not available - closing connection",
		      session->config->primary_hostname);
	if (why == CHANNEL_TIMEOUT) {
		reply(session, "421 %s: SMTP command timeout - closing connection",
		      session->config->primary_hostname);
		log_line("SMTP command timeout on connection from H=%s", session_host(session));
	}
	if (why == CHANNEL_EOF && session->helo[0])
		log_line("unexpected disconnection while reading SMTP command from H=%s",
			 session_host(session));
}

/* The next command. One who says nothing must not keep the next hop's connections from others. */
static int read_command(struct session *session, char line[COMMAND_LINE_MAX])
{
	if (session->hop && session->hop->is_open && !session->mail.has_sender &&
	    !channel_wait(session->channel, HOP_IDLE_MS))
		hop_release(session->hop);
	return channel_read_line(session->channel, line, COMMAND_LINE_MAX);
}

void session_run(struct session *session)
{
	char line[COMMAND_LINE_MAX];
	int len, closing;

	session->channel->deadline = clock_ms() + session->config->smtp_session_timeout;
	closing = greet(session);
	while (!closing) {
		clear_pool(session);
		len = read_command(session, line);
		if (len < 0 && len != CHANNEL_TOO_LONG) {
			lost(session, len);
			break;
		}
		if (is_quit(line, len)) {
			reply(session, "221 %s closing connection",
			      session->config->primary_hostname);
			break;
		}
		closing = command_run(session, line, len);
	}
	channel_flush(session->channel);
	if (session->config->selected & SELECT_SMTP_CONNECTION)
		log_line("SMTP connection from [%s]:%u closed", session->sender_host_address,
			 session->sender_host_port);
}
