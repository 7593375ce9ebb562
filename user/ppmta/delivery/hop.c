// SPDX-License-Identifier: BSD-2-Clause
/*
 * SMTP (RFC 5321) and LMTP (RFC 2033) to the next hop, command by command, while the client waits.
 * Whatever the next hop does, there is one answer for the client: the hop's own, or a 4xx.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "../../common/array.h"
#include "../../common/clock.h"
#include "../../common/endpoint.h"
#include "../../common/number.h"
#include "../../common/utf8.h"
#include "delivery.h"

#define OPENING_MS_MAX	(30 * 1000) /* or a dead address would keep the next from its turn */
#define LINE_KEPT	1000	    /* of a line of a reply; RFC 5321 has 512 */
#define REPLY_BYTES_MAX (256 * 1024)
#define BYTES_PER_MS	10 /* at which a message is sent, or else it is given up */

enum { LOST = -1 };

struct hop *hop_new(struct session *session)
{
	struct hop *hop = calloc(1, sizeof(*hop));

	if (!hop)
		return NULL;
	hop->session = session;
	hop->channel.fd = hop->channel.stop_fd = -1;
	hop->channel.timeout_ms = session->config->delivery_timeout;
	return hop;
}

static void hang_up(struct hop *hop)
{
	channel_close(&hop->channel);
	hop->channel.start = hop->channel.end = hop->channel.queued = 0;
	hop->channel.failed = 0;
	hop->is_open = hop->has_transaction = false;
	hop->extensions = 0;
	hop->size_max = 0;
}

void hop_release(struct hop *hop)
{
	if (hop->is_open && channel_is_idle(&hop->channel)) {
		hop->channel.deadline = clock_ms() + 1; /* it is asked, not waited for */
		channel_line(&hop->channel, "QUIT");
		channel_flush(&hop->channel);
	}
	hang_up(hop);
}

void hop_free(struct hop *hop)
{
	if (hop)
		hop_release(hop);
	free(hop);
}

/* The connection is of no more use. @why goes to the log, the client gets a 451. */
static int lose(struct hop *hop, const char *why)
{
	log_line("H=%s next hop %s: %s", session_host(hop->session), hop->name, why);
	hang_up(hop);
	strcpy(hop->reply, "451 4.4.2 No answer from the next hop, try again later");
	return LOST;
}

/* ---- replies ---- */

static const char *failure(int channel_error)
{
	return channel_error == CHANNEL_TIMEOUT ? "timed out" : "connection closed";
}

/* A line up to its line feed: what is too long is left out. Return: its length, or CHANNEL_*. */
static int read_line(struct hop *hop, char line[LINE_KEPT], size_t *bytes)
{
	int byte, len = 0;

	while ((byte = channel_read_byte(&hop->channel)) != '\n') {
		if (byte < 0)
			return byte;
		if (++*bytes > REPLY_BYTES_MAX)
			return CHANNEL_TOO_LONG;
		if (len < LINE_KEPT - 1)
			line[len++] = byte;
	}
	if (len && line[len - 1] == '\r')
		len--;
	line[len] = 0;
	return len;
}

/* Return: the code that @line begins with, or -1. */
static int code_of(const char *line, size_t len)
{
	if (len < 3 || line[0] < '2' || line[0] > '5' || !isdigit((unsigned char)line[1]) ||
	    !isdigit((unsigned char)line[2]) || (line[3] && line[3] != ' ' && line[3] != '-'))
		return -1;
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
}

static void keep_line(struct hop *hop, const char *line)
{
	size_t used = strlen(hop->reply), len = strlen(line);

	if (!used) /* the code, too */
		snprintf(hop->reply, sizeof(hop->reply), "%.3s %s", line, len > 4 ? line + 4 : "");
	else if (used + len < sizeof(hop->reply))
		snprintf(hop->reply + used, sizeof(hop->reply) - used, "\n%s",
			 len > 4 ? line + 4 : "");
}

/* @each: is given the text of each line, without the code. Return: the reply's code, or LOST. */
static int read_reply(struct hop *hop, void (*each)(struct hop *hop, char *text))
{
	char line[LINE_KEPT];
	size_t bytes = 0;
	int len, code = 0, one;

	hop->reply[0] = 0;
	hop->channel.deadline = hop->opening_end
					? hop->opening_end
					: clock_ms() + hop->session->config->delivery_timeout;
	do {
		len = read_line(hop, line, &bytes);
		if (len == CHANNEL_TOO_LONG)
			return lose(hop, "a reply that does not end");
		if (len < 0) {
			hop->is_slow = len == CHANNEL_TIMEOUT;
			return lose(hop, failure(len));
		}
		one = memchr(line, 0, len) ? -1 : code_of(line, len);
		if (one < 0 || (code && one != code))
			return lose(hop, "not an SMTP reply");
		code = one;
		keep_line(hop, line);
		if (each && len > 4)
			each(hop, line + 4);
	} while (line[3] == '-');
	if (code == 421)
		hang_up(hop);
	return code;
}

static int command_each(struct hop *hop, void (*each)(struct hop *hop, char *text),
			const char *line)
{
	/* what was not asked for is no reply to this, and one that comes late is none either */
	if (!hop->is_open || !channel_is_idle(&hop->channel))
		return lose(hop, hop->is_open ? "closed, or speaks unasked" : "connection lost");
	channel_line(&hop->channel, line);
	return read_reply(hop, each);
}

static int command(struct hop *hop, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int command(struct hop *hop, const char *format, ...)
{
	char line[2 * PATH_LINE_MAX + DOMAIN_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	return command_each(hop, NULL, line);
}

/* The code for the client: @right, which is the command's own, or a refusal. One who says anything
 * else does not speak of this command (RFC 5321, section 4.3.2). */
static int for_client(struct hop *hop, int code, int right)
{
	if (code >= 400 || code == right)
		return code;
	if (code != LOST)
		lose(hop, "a reply of another command's");
	return 451;
}

/* ---- the connection ---- */

static int open_socket(struct hop *hop, const void *address, socklen_t len, int family)
{
	int left = (int)(hop->opening_end - clock_ms());
	struct pollfd out = {.events = POLLOUT};
	int failed = 0;
	socklen_t failed_len = sizeof(failed);

	out.fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	hop->channel.fd = out.fd;
	hop->is_open = true;
	if (out.fd < 0)
		return lose(hop, strerror(errno));
	if (!connect(out.fd, address, len))
		return 0;
	if (errno != EINPROGRESS)
		return lose(hop, strerror(errno));
	if (poll(&out, 1, left > 0 ? left : 0) != 1)
		return lose(hop, "connection timed out");
	getsockopt(out.fd, SOL_SOCKET, SO_ERROR, &failed, &failed_len);
	return failed ? lose(hop, strerror(failed)) : 0;
}

/* What the client connected to. */
static const char *external(const struct session *session, unsigned int *port)
{
	bool proxied = session->proxy_external_address[0];

	*port = proxied ? session->proxy_external_port : session->received_port;
	return proxied ? session->proxy_external_address : session->received_ip_address;
}

/* A PROXY v2 header with the client's address, and the one that it connected to. */
static void send_header(struct hop *hop)
{
	static const unsigned char start[] = "\r\n\r\n\0\r\nQUIT\n\x21";
	const struct session *session = hop->session;
	unsigned char header[16 + 36], address[16];
	int family = address_parse(session->sender_host_address, AF_UNSPEC, address);
	size_t len = family == AF_INET ? 4 : 16;
	unsigned int port = session->sender_host_port, to_port;
	const char *to = external(session, &to_port);

	memcpy(header, start, 13);
	header[13] = family == AF_INET ? 0x11 : 0x21;
	header[14] = 0;
	header[15] = 2 * len + 4;
	memcpy(header + 16, address, len);
	if (address_parse(to, family, address))
		memcpy(header + 16 + len, address, len);
	else
		memset(header + 16 + len, 0, len);
	header[16 + 2 * len] = port >> 8;
	header[17 + 2 * len] = port;
	header[18 + 2 * len] = to_port >> 8;
	header[19 + 2 * len] = to_port;
	channel_write(&hop->channel, (const char *)header, 20 + 2 * len);
}

static void see_extension(struct hop *hop, char *text)
{
	static const struct {
		const char *name;
		unsigned int bit;
	} known[] = {{"8BITMIME", HOP_8BITMIME},
		     {"SMTPUTF8", HOP_SMTPUTF8},
		     {"SIZE", HOP_SIZE},
		     {"STARTTLS", HOP_STARTTLS},
		     {"XCLIENT", HOP_XCLIENT}};
	size_t len = strcspn(text, " "), i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) != len || strncasecmp(text, known[i].name, len))
			continue;
		hop->extensions |= known[i].bit;
		if (known[i].bit == HOP_SIZE && text[len])
			number_parse(text + len + 1, 0, INT64_MAX, &hop->size_max);
		if (known[i].bit == HOP_XCLIENT)
			snprintf(hop->xclient, sizeof(hop->xclient), "%s ", text + len);
	}
}

static int say_hello(struct hop *hop)
{
	char line[DOMAIN_MAX + 8];

	hop->extensions = 0;
	hop->size_max = 0;
	snprintf(line, sizeof(line), "%s %s",
		 hop->session->config->target->kind == DELIVER_LMTP ? "LHLO" : "EHLO",
		 hop->session->config->primary_hostname);
	return command_each(hop, see_extension, line);
}

/* ---- XCLIENT, as Postfix has it ---- */

static void add_attribute(struct hop *hop, struct text *line, const char *name, const char *value)
{
	char word[32];

	snprintf(word, sizeof(word), " %s ", name);
	if (!strcasestr(hop->xclient, word))
		return;
	snprintf(word, sizeof(word), " %s=", name);
	text_add_string(line, word);
	if (!*value)
		value = "[UNAVAILABLE]";
	for (; *value; value++) { /* xtext, RFC 3461 */
		unsigned char c = *value;

		snprintf(word, sizeof(word),
			 c > 32 && c < 127 && c != '+' && c != '=' ? "%c" : "+%02X", c);
		text_add_string(line, word);
	}
}

/* In two commands: with two long names one would be longer than 512 bytes. */
static int send_xclient(struct hop *hop)
{
	struct session *session = hop->session;
	struct pool *pool = &session->pool;
	struct text first = {.pool = pool}, second = {.pool = pool};
	unsigned int to_port;
	const char *own = session->sender_host_address, *to = external(session, &to_port);
	const char *six = strchr(own, ':') ? "IPV6:" : ""; /* both are, or none */
	int code = 220;

	if (!(hop->extensions & HOP_XCLIENT))
		return lose(hop, "does not take XCLIENT from this host (delivery_origin)");
	add_attribute(hop, &first, "ADDR", pool_printf(pool, "%s%s", six, own));
	add_attribute(hop, &first, "PORT", pool_printf(pool, "%u", session->sender_host_port));
	add_attribute(hop, &first, "DESTADDR", pool_printf(pool, "%s%s", six, to));
	add_attribute(hop, &first, "DESTPORT", pool_printf(pool, "%u", to_port));
	add_attribute(hop, &first, "NAME",
		      session->sender_host_name ? session->sender_host_name : "");
	add_attribute(hop, &second, "PROTO", session->extended ? "ESMTP" : "SMTP");
	add_attribute(hop, &second, "HELO", session->helo);
	if (first.len)
		code = command_each(hop, NULL, pool_printf(pool, "XCLIENT%s", text_get(&first)));
	if (second.len && code == 220)
		code = command_each(hop, NULL, pool_printf(pool, "XCLIENT%s", text_get(&second)));
	if (code != 220)
		return code == LOST ? LOST : lose(hop, hop->reply);
	return say_hello(hop);
}

/* ---- from the connection to EHLO ---- */

/* Opportunistic, RFC 3207: a next hop's certificate is not checked. */
static SSL_CTX *tls;

static void make_tls(void)
{
	tls = SSL_CTX_new(TLS_client_method());
	if (tls)
		SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
					      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static int start_tls(struct hop *hop)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int code;

	pthread_once(&once, make_tls);
	code = tls ? command(hop, "STARTTLS") : 500;
	if (code == LOST || code == 421)
		return LOST;
	if (code != 220)
		return code >= 400 ? 250 : lose(hop, "a reply of another command's");
	if (channel_start_tls(&hop->channel, tls, 1))
		return lose(hop, "TLS handshake failed");
	return say_hello(hop);
}

/* The next hop at @address. Return: 250, or LOST. */
static int open_hop(struct hop *hop, const void *address, socklen_t len, int family)
{
	const struct config *config = hop->session->config;
	int code;

	if (hop->opening_end <= clock_ms())
		return lose(hop, "not tried: no time is left");
	if (open_socket(hop, address, len, family))
		return LOST;
	if (config->delivery_origin == ORIGIN_PROXY)
		send_header(hop);
	code = read_reply(hop, NULL);
	if (code != 220) /* 250 would be EHLO's, which was not said */
		return code == LOST ? LOST : lose(hop, hop->reply);
	code = say_hello(hop);
	if (code == 250 && config->target->kind == DELIVER_SMTP && hop->extensions & HOP_STARTTLS)
		code = start_tls(hop);
	if (code == 250 && config->delivery_origin == ORIGIN_XCLIENT)
		code = send_xclient(hop);
	if (code != 250)
		return code == LOST ? LOST : lose(hop, hop->reply);
	if (hop->promised & ~hop->extensions)
		return lose(hop, "cannot do what another next hop could, and EHLO has offered");
	return code;
}

static int begin(struct hop *hop, const void *address, socklen_t len, int family)
{
	int64_t end = clock_ms() + OPENING_MS_MAX;
	int code;

	hang_up(hop);
	hop->is_slow = false;
	hop->opening_end = end < hop->give_up ? end : hop->give_up;
	code = open_hop(hop, address, len, family);
	hop->opening_end = 0;
	return code;
}

static int begin_at(struct hop *hop, const struct sockaddr_storage *endpoint)
{
	endpoint_text(endpoint, hop->name);
	return begin(hop, endpoint, sizeof(*endpoint), endpoint->ss_family);
}

/* One of the addresses of a name. */
struct attempt {
	struct hop *hop;
	unsigned int port;
	int code;
};

static bool try_address(void *context, const struct sockaddr_storage *address)
{
	struct attempt *attempt = context;
	struct sockaddr_storage endpoint = *address;

	endpoint_set_port(&endpoint, attempt->port);
	attempt->code = begin_at(attempt->hop, &endpoint);
	return attempt->code == 250;
}

static int begin_by_name(struct hop *hop, const struct delivery_host *host)
{
	struct attempt attempt = {.hop = hop, .port = host->port, .code = 0};

	dns_addresses(&hop->session->dns, host->name, try_address, &attempt);
	if (attempt.code)
		return attempt.code;
	snprintf(hop->name, sizeof(hop->name), "%s", host->text);
	return lose(hop, "no address");
}

static int begin_with(struct hop *hop, const struct delivery_host *host)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};

	if (host->name)
		return begin_by_name(hop, host);
	if (!host->socket)
		return begin_at(hop, &host->endpoint);
	snprintf(hop->name, sizeof(hop->name), "%s", host->socket);
	strcpy(local.sun_path, host->socket);
	return begin(hop, &local, sizeof(local), AF_UNIX);
}

int hop_hello(struct hop *hop)
{
	const struct config *config = hop->session->config;
	const struct delivery_host *host;
	int code = LOST;

	if (hop->is_open && channel_is_idle(&hop->channel)) {
		if (config->delivery_origin != ORIGIN_XCLIENT)
			return 250;
		code = send_xclient(hop); /* of another name, maybe; it ends a transaction, too */
		hop->has_transaction = false;
	}
	hop->give_up = clock_ms() + config->delivery_timeout;
	for (host = config->target->hosts; host && code != 250; host = host->next)
		code = begin_with(hop, host);
	if (code == 250)
		return 250;
	strcpy(hop->reply, "451 4.4.1 The next hop is not there, try again later");
	return 451;
}

/* ---- the transaction ---- */

static int send_mail(struct hop *hop)
{
	const struct transaction *mail = &hop->session->mail;
	char size[32] = "";

	if (hop->has_transaction && command(hop, "RSET") != 250)
		return lose(hop, "does not reset: its recipients would get the next message");
	hop->has_transaction = hop->is_open;
	if (mail->size && hop->extensions & HOP_SIZE)
		snprintf(size, sizeof(size), " SIZE=%llu", (unsigned long long)mail->size);
	return command(hop, "MAIL FROM:<%s>%s%s%s", mail->sender, size,
		       hop->extensions & HOP_8BITMIME ? " BODY=8BITMIME" : "",
		       mail->is_utf8 ? " SMTPUTF8" : "");
}

int hop_mail(struct hop *hop)
{
	int code;

	hop->is_slow = false;
	code = hop->is_open ? send_mail(hop) : LOST;
	/* one that waited for long may have been closed; nothing has been handed over yet */
	if (code == LOST && !hop->is_slow) {
		code = hop_hello(hop);
		if (code != 250)
			return code;
		code = send_mail(hop);
	}
	return for_client(hop, code, 250);
}

int hop_rcpt(struct hop *hop, const char *recipient)
{
	int code = command(hop, "RCPT TO:<%s>", recipient);

	return for_client(hop, code, code == 251 ? 251 : 250);
}

struct sending {
	struct channel *channel;
	bool at_line_start;
};

/* Each line with CR LF, and one more dot before a dot at its start. */
static int send_lines(void *context, const char *bytes, size_t len)
{
	struct sending *sending = context;
	const char *end;
	size_t part;

	while (len) {
		if (sending->at_line_start && *bytes == '.')
			channel_write(sending->channel, ".", 1);
		end = memchr(bytes, '\n', len);
		part = end ? (size_t)(end - bytes) : len;
		channel_write(sending->channel, bytes, part);
		sending->at_line_start = end != NULL;
		if (end) {
			channel_write(sending->channel, "\r\n", 2);
			part++;
		}
		bytes += part;
		len -= part;
	}
	return sending->channel->failed ? EPIPE : 0;
}

/* The client took long to send its message, and the next hop has hung up: another connection.
 * Nothing has been handed over yet. Return: is all as it was? */
static bool say_again(struct hop *hop)
{
	const struct transaction *mail = &hop->session->mail;
	int code = hop->is_slow ? 451 : hop_mail(hop), i;

	for (i = 0; i < mail->recipient_count && code < 300; i++)
		code = hop_rcpt(hop, mail->recipients[i]);
	if (code >= 300 && hop->is_open)
		lose(hop, "refuses what it has accepted before");
	return code < 300;
}

/* What came before the message had its end can only be a refusal, and the end is not sent. */
static int answered_early(struct hop *hop)
{
	int code = read_reply(hop, NULL);

	if (code >= 400)
		hang_up(hop);
	else if (code != LOST)
		lose(hop, "takes a message that it does not have");
	return code >= 400 ? code : 451;
}

/* DATA, but what @needs more than this hop has is not sent: it may be another one than EHLO was
 * about, and what is no ASCII may come from an ACL. */
static int start_data(struct hop *hop, unsigned int needs)
{
	if (!hop->is_open || !(needs & ~hop->extensions))
		return command(hop, "DATA");
	strcpy(hop->reply, needs & HOP_SMTPUTF8
				   ? "554 The next hop has no SMTPUTF8"
				   : "554 Message is not 7-bit, and the next hop has no 8BITMIME");
	return 554;
}

int hop_data(struct hop *hop, const char *head, struct message *message)
{
	struct sending sending = {.channel = &hop->channel, .at_line_start = true};
	unsigned int needs = (hop->session->mail.is_utf8 ? HOP_SMTPUTF8 : 0) |
			     (message->has_8bit || !utf8_is_ascii(head) ? HOP_8BITMIME : 0);
	int code = start_data(hop, needs), failed;

	if (code == LOST && say_again(hop))
		code = start_data(hop, needs);
	if (code != 354)
		return for_client(hop, code, 354);
	hop->channel.deadline = clock_ms() + hop->session->config->delivery_timeout +
				(int64_t)(message->size / BYTES_PER_MS);
	failed = send_lines(&sending, head, strlen(head));
	if (!failed)
		failed = message_read(message, send_lines, &sending);
	if (hop->channel.failed) {
		lose(hop, failure(hop->channel.failed));
		return 451;
	}
	if (failed) { /* without its end the next hop must not have it */
		lose(hop,
		     pool_printf(&hop->session->pool, "broken off: the message cannot be read: %s",
				 strerror(failed)));
		strcpy(hop->reply, "451 4.3.0 Message could not be read, try again later");
		return 451;
	}
	if (!channel_flush(&hop->channel) && !channel_is_idle(&hop->channel))
		return answered_early(hop);
	channel_line(&hop->channel, ".");
	code = for_client(hop, read_reply(hop, NULL), 250);
	hop->has_transaction &= code != 250; /* or whoever refuses may have kept it */
	return code;
}
