// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta, the reference MTA: shows how a mail server uses libpp. This file has the command line, and
 * the parts that run once: checking the configuration, -bV, -bP, -be, -bh, or the daemon of
 * daemon.c.
 */
#define _GNU_SOURCE
#include <ares.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <spf2/spf.h>

#include "../common/array.h"
#include "../common/endpoint.h"
#include "../common/name.h"
#include "../common/number.h"
#include "daemon.h"

#define PUMP_BYTES 4096

static struct {
	char mode; /* 'V', 'P', 'e', 'h', or 'd' */
	const char *argument;
	struct pool pool;
} command_line = {.mode = 'd'};

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "ppmta: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	exit(1);
}

/* Options of the command line that stand for one of the configuration's. */
enum shorthand_kind { PLAIN, MAILDIR, LISTEN, MILLISECONDS, VERBOSE };

static const struct shorthand {
	const char *name;
	const char *argument;
	const char *option;
	enum shorthand_kind kind;
	const char *help;
} shorthands[] = {
	{"listen", "ADDR:PORT", "local_interfaces", LISTEN,
	 "listen on this address: 0.0.0.0:25, [::]:25"},
	{"maildir", "DIR", "delivery", MAILDIR, "store mail in DIR"},
	{"user", "NAME", "user", PLAIN, "user to become after the ports are bound"},
	{"hostname", "NAME", "primary_hostname", PLAIN, "name in the banner (this host's name)"},
	{"log", "FILE", "log_file_path", PLAIN, "log to FILE, or \"syslog\" (standard error)"},
	{"proxy-timeout", "MS", "proxy_protocol_timeout", MILLISECONDS,
	 "time limit for a header (3000)"},
	{"command-timeout", "MS", "smtp_receive_timeout", MILLISECONDS,
	 "time limit for a command (300000)"},
	{"max-size", "BYTES", "message_size_limit", PLAIN, "largest message (52428800)"},
	{"max-sessions", "N", "smtp_accept_max", PLAIN, "connections at one time (2000)"},
	{"verbose", NULL, "log_selector", VERBOSE, "log each proxied connection"},
};

static void print_help(void)
{
	char left[64];
	size_t i;

	printf("usage: ppmta [-C FILE] [-d] [OPTIONS]     the daemon, in the foreground\n"
	       "       ppmta -bV | -bP [OPTION]           version; options of the configuration\n"
	       "       ppmta -be [STRING...]              expand strings, or lines of standard "
	       "input\n"
	       "       ppmta -bh ADDRESS                  a session on standard input, as if from "
	       "ADDRESS\n\n"
	       "  -C FILE                  configuration, see ppmta.conf(5)\n"
	       "  -d                       write what is done to standard error\n"
	       "  --set NAME=VALUE         an option of the configuration\n");
	for (i = 0; i < ARRAY_SIZE(shorthands); i++) {
		snprintf(left, sizeof(left), "--%s %s", shorthands[i].name,
			 shorthands[i].argument ? shorthands[i].argument : "");
		printf("  %-24s %s\n", left, shorthands[i].help);
	}
	exit(0);
}

static void set_shorthand(const struct shorthand *shorthand, const char *value)
{
	struct pool *pool = &command_line.pool;
	const char *before = setup_setting(shorthand->option);
	uint64_t ms;

	switch (shorthand->kind) {
	case MAILDIR:
		value = pool_printf(
			pool, "maildir:%s",
			*value == '/' ? value : pool_printf(pool, "%s/%s", getcwd(NULL, 0), value));
		break;
	case LISTEN:
		value = before ? pool_printf(pool, "%s ; %s", before, value)
			       : pool_printf(pool, "<; %s", value);
		break;
	case MILLISECONDS:
		if (number_parse(value, 0, INT_MAX, &ms))
			fail("--%s: '%s' is not a number", shorthand->name, value);
		value = pool_printf(pool, "%" PRIu64 ".%03" PRIu64 "s", ms / 1000, ms % 1000);
		break;
	case VERBOSE:
		value = "+proxy +proxy_negotiation";
		break;
	case PLAIN:
		break;
	}
	setup_set(shorthand->option, value);
}

static void set_named(const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals)
		fail("--set %s: not NAME=VALUE", text);
	setup_set(pool_copy(&command_line.pool, text, equals - text), equals + 1);
}

/* -bV and the like: -b takes the letters after it. */
static void set_mode(const char *letters)
{
	if (strlen(letters) > 2 || !strchr("VPehd", letters[0]) ||
	    (letters[1] && strcmp(letters, "df")))
		fail("-b%s: no such mode (ppmta --help)", letters);
	command_line.mode = letters[0];
}

static void parse_command_line(int argc, char **argv)
{
	struct option options[ARRAY_SIZE(shorthands) + 3] = {0};
	int option, chosen;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shorthands); i++) {
		options[i].name = shorthands[i].name;
		options[i].has_arg = shorthands[i].argument ? required_argument : no_argument;
		options[i].val = 1000 + i;
	}
	options[i++] = (struct option){"set", required_argument, NULL, 's'};
	options[i++] = (struct option){"help", no_argument, NULL, 'h'};
	while ((option = getopt_long(argc, argv, "+C:b:d", options, &chosen)) != -1) {
		if (option == 'C')
			setup_file = optarg;
		else if (option == 'b')
			set_mode(optarg);
		else if (option == 'd')
			debugging = 1;
		else if (option == 's')
			set_named(optarg);
		else if (option == 'h')
			print_help();
		else if (option == '?')
			exit(1);
		else
			set_shorthand(&shorthands[option - 1000], optarg);
	}
}

/* ---- modes without a daemon ---- */

static void print_version(void)
{
	int major, minor, patch;

	SPF_get_lib_version(&major, &minor, &patch);
	printf("ppmta version %s\n", PP_VERSION);
	printf("%s, c-ares %s, libspf2 %d.%d.%d\n", OpenSSL_version(OPENSSL_VERSION),
	       ares_version(NULL), major, minor, patch);
	if (setup_file)
		printf("Configuration file is %s\n", setup_file);
}

static int expand_one(struct session *session, const char *string)
{
	char *error, *value = expand(session, string, &error);

	printf("%s%s\n", value ? "" : "Failed: ", value ? value : error);
	return value ? 0 : 1;
}

static int expand_strings(struct config *config, int count, char **strings)
{
	struct session *session = session_new(config, -1, NULL);
	char *line = NULL;
	size_t room = 0;
	int i, failed = 0;

	for (i = 0; i < count; i++)
		failed |= expand_one(session, strings[i]);
	while (!count && getline(&line, &room, stdin) >= 0) {
		line[strcspn(line, "\n")] = 0;
		failed |= expand_one(session, line);
	}
	free(line);
	session_free(session);
	return failed;
}

static void *run_session(void *session)
{
	session_run(session);
	session_free(session);
	return NULL;
}

/* Passes bytes on. Return: 0 at the end of @from. */
static int pump(int from, int to)
{
	char bytes[PUMP_BYTES];
	ssize_t len = read(from, bytes, sizeof(bytes));

	return len > 0 && write(to, bytes, len) == len;
}

/* A session on the terminal, as if from @address. Nothing is delivered. */
static int talk_here(struct config *config, const char *address)
{
	struct pollfd input[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
	unsigned char binary[16];
	struct session *session;
	int pair[2];
	pthread_t thread;

	if (!address || !address_parse(address, AF_UNSPEC, binary))
		fail("-bh: '%s' is not an address", address ? address : "");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail("%s", strerror(errno));
	fprintf(stderr,
		"**** SMTP testing session as if from host %s\n**** This is not for real!\n",
		address);
	session = session_new(config, pair[0], NULL);
	session_pretend(session, address);
	if (pthread_create(&thread, NULL, run_session, session))
		fail("%s", strerror(errno));
	input[1].fd = pair[1];
	while (poll(input, 2, -1) >= 0 || errno == EINTR) {
		if (input[1].revents && !pump(pair[1], STDOUT_FILENO))
			break;
		if (input[0].revents && !pump(STDIN_FILENO, pair[1])) {
			shutdown(pair[1], SHUT_WR);
			input[0].fd = -1;
		}
	}
	close(pair[1]);
	pthread_join(thread, NULL);
	return 0;
}

/* Return: the exit status, or -1: it is to be the daemon. */
static int run_mode(struct config *config, int count, char **arguments)
{
	char hint[SUGGESTION_MAX];

	switch (command_line.mode) {
	case 'V':
		return 0;
	case 'P':
		if (option_print(config, arguments[0]))
			fail("unknown option '%s'%s", arguments[0],
			     name_suggestion(hint, "", option_nearest(arguments[0])));
		return 0;
	case 'e':
		return expand_strings(config, count, arguments);
	case 'h':
		return talk_here(config, arguments[0]);
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct config *config;
	char *error = NULL;
	int status;

	parse_command_line(argc, argv);
	if (command_line.mode == 'V') {
		print_version();
		if (!setup_file)
			return 0;
	}
	if (dns_init())
		fail("c-ares does not start");
	config = setup_load(NULL, &error);
	if (!config)
		fail("%s", error);
	status = run_mode(config, argc - optind, argv + optind);
	if (status >= 0) {
		config_put(config);
		return status;
	}
	if (optind < argc)
		fail("%s: not an option (ppmta --help)", argv[optind]);
	error = daemon_run(config);
	fail("%s", error);
}
