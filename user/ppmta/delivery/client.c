// SPDX-License-Identifier: BSD-2-Clause
/*
 * SMTP (RFC 5321) and LMTP (RFC 2033) to the next hop.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "delivery.h"

#define REPLY_MAX 512

struct client {
	struct channel channel;
	const struct config *config;
	const struct delivery_target *target;
	int has_starttls, has_8bitmime;
	char reply[REPLY_MAX]; /* the last line of the last one, or what failed */
};

static int broken(struct client *client, const char *what)
{
	snprintf(client->reply, sizeof(client->reply), "%s", what);
	return -1;
}

static int open_socket(struct client *client)
{
	const struct delivery_target *target = client->target;
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct pollfd out = {.events = POLLOUT};
	int family = target->endpoint_len ? target->endpoint.ss_family : AF_UNIX, failed = 0;
	socklen_t len = sizeof(failed);
	const void *address = &target->endpoint;
	socklen_t address_len = target->endpoint_len;

	if (family == AF_UNIX) {
		strcpy(local.sun_path, target->path);
		address = &local;
		address_len = sizeof(local);
	}
	client->channel.fd = out.fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (out.fd < 0)
		return broken(client, strerror(errno));
	if (!connect(out.fd, address, address_len))
		return 0;
	if (errno != EINPROGRESS)
		return broken(client, strerror(errno));
	if (poll(&out, 1, client->channel.timeout_ms) != 1)
		return broken(client, "connection timed out");
	getsockopt(out.fd, SOL_SOCKET, SO_ERROR, &failed, &len);
	return failed ? broken(client, strerror(failed)) : 0;
}

static void see_extension(struct client *client, const char *line)
{
	if (!strncasecmp(line + 4, "STARTTLS", 8))
		client->has_starttls = 1;
	if (!strncasecmp(line + 4, "8BITMIME", 8))
		client->has_8bitmime = 1;
}

/* Return: the reply's code, or -1. */
static int read_reply(struct client *client)
{
	char line[REPLY_MAX];
	int len;

	for (;;) {
		len = channel_read_line(&client->channel, line, sizeof(line));
		if (len == CHANNEL_TIMEOUT)
			return broken(client, "timed out");
		if (len < 3 || strspn(line, "0123456789") < 3)
			return broken(client, len == CHANNEL_EOF ? "connection closed"
								 : "not an SMTP reply");
		see_extension(client, len > 4 ? line : "    ");
		if (line[3] != '-')
			break;
	}
	snprintf(client->reply, sizeof(client->reply), "%s", line);
	return strtol(line, NULL, 10);
}

static int command(struct client *client, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int command(struct client *client, const char *format, ...)
{
	char line[COMMAND_LINE_MAX + PATH_LINE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	channel_reply(&client->channel, "%s", line);
	return read_reply(client);
}

static int hello(struct client *client)
{
	client->has_starttls = client->has_8bitmime = 0;
	return command(client, "%s %s", client->target->kind == DELIVER_LMTP ? "LHLO" : "EHLO",
		       client->config->primary_hostname);
}

/* Return: 0, or -1 with client->reply. */
static int begin(struct client *client)
{
	SSL_CTX *tls;

	if (open_socket(client) || read_reply(client) != 220 || hello(client) != 250)
		return -1;
	if (client->target->kind != DELIVER_SMTP || !client->has_starttls)
		return 0;
	tls = tls_client_context();
	if (!tls || command(client, "STARTTLS") != 220)
		return 0;
	if (channel_start_tls(&client->channel, tls, 1))
		return broken(client, "TLS handshake failed");
	return hello(client) == 250 ? 0 : -1;
}

/* Sends each line with CR LF, and one more dot before a dot at its start. */
static void send_data(struct client *client, FILE *data)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, data)) > 0) {
		if (line[len - 1] == '\n')
			len--;
		if (*line == '.')
			channel_write(&client->channel, ".", 1);
		channel_write(&client->channel, line, len);
		channel_write(&client->channel, "\r\n", 2);
	}
	free(line);
	channel_write(&client->channel, ".\r\n", 3);
}

static void set_result(struct client_result *result, const struct client *client, int code)
{
	result->status = code >= 200 && code < 300   ? CLIENT_OK
			 : code >= 500 && code < 600 ? CLIENT_PERMANENT
						     : CLIENT_TEMPORARY;
	snprintf(result->text, sizeof(result->text), "%s", client->reply);
}

/* The reply for each recipient: LMTP has one for each that was accepted, SMTP one for all. */
static void read_results(struct client *client, const struct envelope *envelope,
			 const int *accepted, struct client_result *results)
{
	int code = -1, i, have = 0;

	for (i = 0; i < envelope->count; i++) {
		if (!accepted[i])
			continue;
		if (!have || (client->target->kind == DELIVER_LMTP && code > 0))
			code = read_reply(client);
		have = 1;
		set_result(&results[i], client, code);
	}
}

static void transaction(struct client *client, const struct envelope *envelope, FILE *data,
			struct client_result *results)
{
	int *accepted = calloc(envelope->count, sizeof(*accepted)), any = 0, code, i;

	if (!accepted)
		return;
	code = command(client, "MAIL FROM:<%s>%s", envelope->sender,
		       client->has_8bitmime ? " BODY=8BITMIME" : "");
	for (i = 0; i < envelope->count; i++) {
		if (code == 250) {
			int one = command(client, "RCPT TO:<%s>", envelope->recipients[i]);

			accepted[i] = one == 250 || one == 251;
			any |= accepted[i];
			set_result(&results[i], client, one);
			if (one < 0)
				code = -1;
		} else {
			set_result(&results[i], client, code);
		}
	}
	if (any && code == 250) {
		code = command(client, "DATA");
		if (code == 354) {
			send_data(client, data);
			read_results(client, envelope, accepted, results);
		} else {
			for (i = 0; i < envelope->count; i++) {
				if (accepted[i])
					set_result(&results[i], client, code);
			}
		}
	} else {
		for (i = 0; i < envelope->count; i++) {
			if (accepted[i]) /* and then the connection broke */
				results[i].status = CLIENT_TEMPORARY;
		}
	}
	free(accepted);
}

void client_deliver(const struct config *config, const struct delivery_target *target,
		    const struct envelope *envelope, FILE *data, struct client_result *results)
{
	struct client *client = calloc(1, sizeof(*client));
	int i;

	for (i = 0; i < envelope->count; i++) {
		results[i].status = CLIENT_TEMPORARY;
		strcpy(results[i].text, "out of memory");
	}
	if (!client)
		return;
	client->config = config;
	client->target = target;
	client->channel.fd = client->channel.stop_fd = -1;
	client->channel.timeout_ms = config->delivery_timeout;
	if (begin(client)) {
		for (i = 0; i < envelope->count; i++)
			snprintf(results[i].text, sizeof(results[i].text), "%s", client->reply);
	} else {
		transaction(client, envelope, data, results);
		channel_reply(&client->channel, "QUIT");
		channel_flush(&client->channel);
	}
	channel_close(&client->channel);
	free(client);
}
