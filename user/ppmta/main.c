// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta, the reference MTA: shows how a mail server uses libpp. This file has the command line, and
 * the parts that run once: checking the configuration, -bV, -be, -bh, or the daemon of daemon.c.
 */
#define _GNU_SOURCE
#include <ares.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <spf2/spf.h>

#include "../common/array.h"
#include "../common/endpoint.h"
#include "daemon.h"

#define PUMP_BYTES 4096

static struct pool pool;

/* Options of the command line that stand for one of the configuration's. */
static const struct shorthand {
	const char *name;
	const char *option;
	const char *before; /* what the value begins with */
	const char *help;
} shorthands[] = {
	{"listen", "local_interfaces", "<; ", "ADDR:PORT to listen on: 0.0.0.0:25 ; [::]:25"},
	{"maildir", "delivery", "maildir:", "DIR to store mail in"},
	{"user", "user", "", "NAME of the user to become after the ports are bound"},
	{"hostname", "primary_hostname", "", "NAME in the banner (this host's name)"},
	{"log", "log_file_path", "", "FILE to log to (standard error)"},
};

static void print_help(void)
{
	size_t i;

	printf("usage: ppmta [-C FILE] [OPTIONS]      the daemon, in the foreground\n"
	       "       ppmta [-C FILE] -bV            version, and errors of the configuration\n"
	       "       ppmta [-C FILE] -be STRING...  expand strings\n"
	       "       ppmta [-C FILE] -bh ADDRESS    a session on standard input, as if from "
	       "ADDRESS\n\n"
	       "  -C FILE           configuration, see ppmta.conf(5)\n"
	       "  --set NAME=VALUE  an option of the configuration\n");
	for (i = 0; i < ARRAY_SIZE(shorthands); i++)
		printf("  --%-14s  %s\n", shorthands[i].name, shorthands[i].help);
	exit(0);
}

static void set_named(const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals)
		errx(1, "--set %s: not NAME=VALUE", text);
	setup_set(pool_copy(&pool, text, equals - text), equals + 1);
}

/* Return: V, e, h, or d for the daemon. */
static char parse_command_line(int argc, char **argv)
{
	struct option options[ARRAY_SIZE(shorthands) + 3] = {0};
	char mode = 'd';
	int option;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shorthands); i++)
		options[i] =
			(struct option){shorthands[i].name, required_argument, NULL, 1000 + (int)i};
	options[i++] = (struct option){"set", required_argument, NULL, 's'};
	options[i++] = (struct option){"help", no_argument, NULL, 'h'};
	while ((option = getopt_long(argc, argv, "+C:b:", options, NULL)) != -1) {
		if (option == 'C')
			setup_file = optarg;
		else if (option == 'b' && strlen(optarg) == 1 && strchr("Veh", *optarg))
			mode = *optarg;
		else if (option == 'b')
			errx(1, "-b%s: no such mode (ppmta --help)", optarg);
		else if (option == 's')
			set_named(optarg);
		else if (option == 'h')
			print_help();
		else if (option == '?')
			exit(1);
		else
			setup_set(shorthands[option - 1000].option,
				  pool_printf(&pool, "%s%s", shorthands[option - 1000].before,
					      optarg));
	}
	return mode;
}

/* ---- modes without a daemon ---- */

static void print_version(void)
{
	int major, minor, patch;

	SPF_get_lib_version(&major, &minor, &patch);
	printf("ppmta version %s\n", PP_VERSION);
	printf("%s, c-ares %s, libspf2 %d.%d.%d\n", OpenSSL_version(OPENSSL_VERSION),
	       ares_version(NULL), major, minor, patch);
}

static int expand_strings(struct config *config, char **strings)
{
	struct session *session = session_new(config, -1, NULL);
	int status = 0;
	char *value;

	for (; *strings; strings++) {
		struct evaluation eval = evaluation_in(session);

		value = expand(&eval, *strings);
		printf("%s%s\n", value ? "" : "Failed: ", value ? value : eval.error);
		status |= !value;
	}
	session_free(session);
	return status;
}

static void *run_session(void *session)
{
	session_run(session);
	session_free(session);
	return NULL;
}

/* Passes lines on: here they end with LF, those of SMTP with CR LF. Return: 0 at the end. */
static int pump(int from, int to, bool adds_cr)
{
	char bytes[PUMP_BYTES], passed[2 * PUMP_BYTES];
	ssize_t len = read(from, bytes, sizeof(bytes)), i, count = 0;

	for (i = 0; i < len; i++) {
		if (bytes[i] == '\n' && adds_cr)
			passed[count++] = '\r';
		if (bytes[i] != '\r')
			passed[count++] = bytes[i];
	}
	return len > 0 && write(to, passed, count) == count;
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
		errx(1, "-bh: '%s' is not an address", address ? address : "");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		errx(1, "%s", strerror(errno));
	fprintf(stderr,
		"**** SMTP testing session as if from host %s\n**** This is not for real!\n",
		address);
	session = session_new(config, pair[0], NULL);
	session->testing = true;
	snprintf(session->sender_host_address, sizeof(session->sender_host_address), "%s", address);
	if (pthread_create(&thread, NULL, run_session, session))
		errx(1, "%s", strerror(errno));
	input[1].fd = pair[1];
	while (poll(input, 2, -1) >= 0 || errno == EINTR) {
		if (input[1].revents && !pump(pair[1], STDOUT_FILENO, false))
			break;
		if (input[0].revents && !pump(STDIN_FILENO, pair[1], true)) {
			shutdown(pair[1], SHUT_WR);
			input[0].fd = -1;
		}
	}
	close(pair[1]);
	pthread_join(thread, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct config *config;
	char mode, *error = NULL;
	int status = 0;

	program_invocation_short_name = "ppmta";
	mode = parse_command_line(argc, argv);
	if (mode == 'd')
		daemon_signals();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* EFBIG says it */
	if (mode == 'V')
		print_version();
	if (mode == 'V' && !setup_file)
		return 0;
	if (dns_init() || limit_init())
		errx(1, "c-ares or OpenSSL does not start");
	config = setup_load(NULL, mode == 'V' || mode == 'd', &pool, &error);
	if (!config)
		errx(1, "%s", error);
	if (mode == 'e')
		status = expand_strings(config, argv + optind);
	else if (mode == 'h')
		status = talk_here(config, argv[optind]);
	else if (optind < argc)
		errx(1, "%s: not an option (ppmta --help)", argv[optind]);
	if (mode == 'd')
		errx(1, "%s", daemon_run(config, &pool));
	config_put(config);
	pool_free(&pool);
	return status;
}
