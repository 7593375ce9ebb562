// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta, the reference MTA: shows how a mail server uses libpp. Listens, gives up its privileges,
 * and starts a thread for each connection.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ppmta.h"

#define LISTENERS_MAX  16
#define SESSION_STACK  (128 * 1024)
#define LISTEN_BACKLOG 1024
#define SPARE_FDS      64

struct settings settings = {
	.message_size_limit = 50 * 1024 * 1024, /* as Exim's default */
	.proxy_timeout_ms = 3000,
	.command_timeout_ms = 5 * 60 * 1000, /* RFC 5321, section 4.5.3.2 */
	.max_sessions = 2000,
};

static struct pollfd listeners[LISTENERS_MAX];
static int listener_count;
static const char *user_name;
static unsigned int sessions;
static volatile sig_atomic_t stopping;

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

static const struct option_help {
	struct option option;
	const char *argument;
	const char *help;
} option_helps[] = {
	{{"listen", required_argument, NULL, 'l'},
	 "ADDR:PORT",
	 "listen there: 0.0.0.0:25, [::]:25"},
	{{"maildir", required_argument, NULL, 'm'}, "DIR", "store mail there"},
	{{"user", required_argument, NULL, 'u'}, "NAME", "run as, once the ports are bound"},
	{{"hostname", required_argument, NULL, 'h'}, "NAME", "in the banner (this host's name)"},
	{{"log", required_argument, NULL, 'o'}, "FILE", "log there (standard error)"},
	{{"proxy-timeout", required_argument, NULL, 'p'}, "MS", "wait so long for a header (3000)"},
	{{"command-timeout", required_argument, NULL, 'c'}, "MS", "and for a command (300000)"},
	{{"max-size", required_argument, NULL, 's'}, "BYTES", "largest message (52428800)"},
	{{"max-sessions", required_argument, NULL, 'n'}, "N", "at once (2000)"},
	{{"verbose", no_argument, NULL, 'v'}, "", "log each proxied connection"},
	{{"help", no_argument, NULL, 'H'}, "", "this text"},
};

#define OPTION_COUNT (sizeof(option_helps) / sizeof(option_helps[0]))

static void print_help(void)
{
	char left[64];
	size_t i;

	printf("usage: ppmta --listen ADDR:PORT --maildir DIR [OPTIONS]\n\n");
	for (i = 0; i < OPTION_COUNT; i++) {
		snprintf(left, sizeof(left), "--%s %s", option_helps[i].option.name,
			 option_helps[i].argument);
		printf("  %-24s %s\n", left, option_helps[i].help);
	}
	exit(0);
}

static uint64_t number(const char *option, const char *text, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || value > max)
		fail("--%s: '%s' is not a number from 0 to %llu", option, text,
		     (unsigned long long)max);
	return value;
}

static void add_listener(const char *where)
{
	const char *colon = strrchr(where, ':');
	struct sockaddr_storage address = {0};
	struct sockaddr_in6 *ip6 = (void *)&address;
	struct sockaddr_in *ip4 = (void *)&address;
	char host[INET6_ADDRSTRLEN + 2];
	socklen_t len;
	int fd, one = 1;
	uint16_t port;

	if (!colon || colon - where >= (int)sizeof(host))
		fail("--listen %s: not ADDR:PORT", where);
	if (listener_count == LISTENERS_MAX)
		fail("--listen: more than %d", LISTENERS_MAX);
	port = htons(number("listen", colon + 1, 65535));
	memcpy(host, where, colon - where);
	host[colon - where] = 0;
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = 0;
		memmove(host, host + 1, strlen(host));
		if (inet_pton(AF_INET6, host, &ip6->sin6_addr) != 1)
			fail("--listen %s: '%s' is not an IPv6 address", where, host);
		ip6->sin6_family = AF_INET6;
		ip6->sin6_port = port;
		len = sizeof(*ip6);
	} else {
		if (inet_pton(AF_INET, host, &ip4->sin_addr) != 1)
			fail("--listen %s: '%s' is not an IPv4 address, nor [IPv6]", where, host);
		ip4->sin_family = AF_INET;
		ip4->sin_port = port;
		len = sizeof(*ip4);
	}
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		fail("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, LISTEN_BACKLOG))
		fail("--listen %s: %s", where, strerror(errno));
	listeners[listener_count].fd = fd;
	listeners[listener_count++].events = POLLIN;
}

static void set_option(int option, const char *value)
{
	static char hostname[HOST_NAME_MAX + 1];

	switch (option) {
	case 'l':
		add_listener(value);
		break;
	case 'm':
		settings.maildir = value;
		break;
	case 'u':
		user_name = value;
		break;
	case 'h':
		if (!address_is_domain(value, strlen(value)) || strlen(value) > HOST_NAME_MAX)
			fail("--hostname: '%s' is not a domain name", value);
		strcpy(hostname, value);
		settings.hostname = hostname;
		break;
	case 'o':
		if (log_open(value))
			fail("--log %s: %s", value, strerror(errno));
		break;
	case 'p':
		settings.proxy_timeout_ms = number("proxy-timeout", value, INT_MAX);
		break;
	case 'c':
		settings.command_timeout_ms = number("command-timeout", value, INT_MAX);
		break;
	case 's':
		settings.message_size_limit = number("max-size", value, UINT64_MAX / 2);
		break;
	case 'n':
		settings.max_sessions = number("max-sessions", value, 100000);
		break;
	case 'v':
		settings.verbose = 1;
		break;
	case 'H':
		print_help();
		break;
	}
}

static void parse_options(int argc, char **argv)
{
	struct option options[OPTION_COUNT + 1] = {0};
	static char own_name[HOST_NAME_MAX + 1];
	int option;
	size_t i;

	for (i = 0; i < OPTION_COUNT; i++)
		options[i] = option_helps[i].option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			exit(1);
		set_option(option, optarg);
	}
	if (optind < argc)
		fail("%s: not an option (ppmta --help)", argv[optind]);
	if (!listener_count || !settings.maildir)
		fail("needs --listen and --maildir (ppmta --help)");
	if (!settings.hostname) {
		gethostname(own_name, sizeof(own_name) - 1);
		settings.hostname = own_name;
	}
}

static void raise_fd_limit(void)
{
	rlim_t wanted = settings.max_sessions * 2 + SPARE_FDS;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		fail("--max-sessions %u needs %llu descriptors: raise the limit (LimitNOFILE=), or "
		     "lower --max-sessions",
		     settings.max_sessions, (unsigned long long)wanted);
}

/* No privilege is needed for pp_lookup(), so none is kept. */
static void become_user(void)
{
	struct passwd *user;

	if (geteuid() != 0) {
		if (maildir_make(settings.maildir, geteuid(), getegid()))
			fail("--maildir %s: %s", settings.maildir, strerror(errno));
		return;
	}
	if (!user_name)
		fail("will not run as root: say --user NAME");
	user = getpwnam(user_name);
	if (!user || !user->pw_uid)
		fail("--user %s: no such user, or root", user_name);
	if (maildir_make(settings.maildir, user->pw_uid, user->pw_gid))
		fail("--maildir %s: %s", settings.maildir, strerror(errno));
	if (setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid))
		fail("--user %s: %s", user_name, strerror(errno));
}

static void *run_session(void *session)
{
	session_run(session);
	session_free(session);
	__atomic_sub_fetch(&sessions, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void turn_away(int fd, const char *why)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "421 %s: %s\r\n", settings.hostname, why);

	send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	log_line("Connection refused: %s", why);
}

static void start_session(int fd, const struct sockaddr_storage *peer, const pthread_attr_t *attr)
{
	struct session *session;
	pthread_t thread;

	if (__atomic_add_fetch(&sessions, 1, __ATOMIC_RELAXED) > settings.max_sessions) {
		__atomic_sub_fetch(&sessions, 1, __ATOMIC_RELAXED);
		turn_away(fd, "Too many concurrent SMTP connections; please try again later.");
		return;
	}
	session = session_new(fd, peer);
	if (session && !pthread_create(&thread, attr, run_session, session))
		return;
	__atomic_sub_fetch(&sessions, 1, __ATOMIC_RELAXED);
	if (session) {
		turn_away(dup(fd), "Too few resources; please try again later.");
		session_free(session);
	} else {
		turn_away(fd, "Too few resources; please try again later.");
	}
}

static void accept_all(int listener, const pthread_attr_t *attr)
{
	struct sockaddr_storage peer;
	socklen_t len;
	int fd;

	for (;;) {
		len = sizeof(peer);
		fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
		if (fd >= 0) {
			start_session(fd, &peer, attr);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_line("accept() failed: %s", strerror(errno));
			usleep(100000);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

int main(int argc, char **argv)
{
	struct sigaction on_stop = {.sa_handler = stop};
	pthread_attr_t attr;
	int i;

	parse_options(argc, argv);
	raise_fd_limit();
	become_user();
	sigaction(SIGTERM, &on_stop, NULL);
	sigaction(SIGINT, &on_stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, SESSION_STACK);

	log_line("ppmta %s daemon started: pid=%d", PP_VERSION, getpid());
	while (!stopping) {
		if (poll(listeners, listener_count, -1) < 0)
			continue;
		for (i = 0; i < listener_count; i++) {
			if (listeners[i].revents)
				accept_all(listeners[i].fd, &attr);
		}
	}
	/* What got no 250 yet, the client sends again. */
	log_line("ppmta stopped");
	_exit(0);
}
