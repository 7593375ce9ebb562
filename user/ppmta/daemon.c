// SPDX-License-Identifier: BSD-2-Clause
/*
 * The daemon: sockets, privileges, signals, and a thread for each connection.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../common/endpoint.h"
#include "../common/number.h"
#include "daemon.h"

#define LISTENERS_MAX  64
#define SESSION_STACK  (256 * 1024)
#define LISTEN_BACKLOG 1024
#define SPARE_FDS      64
#define FDS_A_SESSION                                                               \
	4 /* its socket, the next hop's, a message, a DNS query or a Maildir's file \
	   */
#define STOP_SECONDS 30
#define ARENAS	     4

static struct pollfd listeners[LISTENERS_MAX];
static int listener_count;
static struct config *current;
static unsigned int sessions;
static int stop_fd;
static volatile sig_atomic_t stopping, reloading;
static struct pool pool;

static char *listen_at(const struct sockaddr_storage *address, socklen_t len, const char *text)
{
	int fd, one = 1;

	if (listener_count == LISTENERS_MAX)
		return pool_printf(&pool, "local_interfaces: more than %d sockets", LISTENERS_MAX);
	fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return pool_printf(&pool, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)address, len) || listen(fd, LISTEN_BACKLOG))
		return pool_printf(&pool, "listen on %s: %s", text, strerror(errno));
	listeners[listener_count].fd = fd;
	listeners[listener_count++].events = POLLIN;
	return NULL;
}

/* An interface with a port, "192.0.2.1.25" or "[192.0.2.1]:25", or without one: then on all of
 * daemon_smtp_ports. */
static char *listen_on(const struct config *config, const char *item)
{
	struct sockaddr_storage address;
	const char *ports = config->daemon_smtp_ports;
	char separator = 0, *port, *error, *dot, *text;
	uint64_t own;
	socklen_t len;

	if (endpoint_parse(item, 0, &address, &len)) {
		text = pool_string(&pool, item);
		dot = strrchr(text, '.');
		if (!dot)
			return pool_printf(&pool, "local_interfaces: '%s' is not an address", item);
		*dot = 0;
		if (number_parse(dot + 1, 0, PORT_MAX, &own) ||
		    endpoint_parse(text, own, &address, &len))
			return pool_printf(&pool, "local_interfaces: '%s' is not an address", item);
	}
	if (endpoint_port(&address))
		return listen_at(&address, len, item);
	while ((port = list_next(&pool, &ports, &separator))) {
		if (number_parse(port, 1, PORT_MAX, &own))
			return pool_printf(&pool, "daemon_smtp_ports: '%s' is not a port", port);
		endpoint_set_port(&address, own);
		error = listen_at(&address, len, pool_printf(&pool, "%s port %s", item, port));
		if (error)
			return error;
	}
	return NULL;
}

static char *listen_everywhere(const struct config *config)
{
	const char *list = config->local_interfaces;
	char separator = 0, *item, *error;

	while ((item = list_next(&pool, &list, &separator))) {
		error = listen_on(config, item);
		if (error)
			return error;
	}
	return listener_count ? NULL : pool_string(&pool, "local_interfaces is empty");
}

static char *raise_fd_limit(const struct config *config)
{
	rlim_t wanted = (rlim_t)config->smtp_accept_max * FDS_A_SESSION + SPARE_FDS;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return NULL;
	limit.rlim_cur = wanted;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return pool_printf(&pool,
				   "smtp_accept_max = %d needs %llu descriptors: raise the limit "
				   "(LimitNOFILE=), or lower it",
				   config->smtp_accept_max, (unsigned long long)wanted);
	return NULL;
}

/* No privilege is needed for pp_lookup(), so none is kept. */
static char *become_user(const struct config *config)
{
	struct passwd *user;

	if (geteuid() != 0)
		return NULL;
	if (!config->user)
		return pool_printf(&pool, "will not run as root: set the option user");
	user = getpwnam(config->user);
	if (!user || !user->pw_uid)
		return pool_printf(&pool, "user %s: no such user, or root", config->user);
	if (setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid))
		return pool_printf(&pool, "user %s: %s", config->user, strerror(errno));
	return NULL;
}

/* Who ppmta is now, for what it may not do. */
static char *denied(const char *option, const char *path, int failed)
{
	return pool_printf(&pool, "%s %s: %s (as uid %d, which ppmta runs as)", option, path,
			   strerror(failed), (int)geteuid());
}

/* After root's privileges are gone: what is made and opened here may be in folders of the user's,
 * who could have put links there. */
static char *open_files(const struct config *config)
{
	int failed;

	if (config->target->kind == DELIVER_MAILDIR) {
		failed = maildir_make(config->target->path);
		if (failed)
			return denied("delivery", config->target->path, failed);
	}
	failed = log_open(config->log_file_path);
	if (failed)
		return denied("log_file_path", config->log_file_path, failed);
	return NULL;
}

static char *write_pid(const struct config *config)
{
	FILE *file;

	if (!config->pid_file_path)
		return NULL;
	file = fopen(config->pid_file_path, "we");
	if (!file)
		return denied("pid_file_path", config->pid_file_path, errno);
	fprintf(file, "%d\n", getpid());
	fclose(file);
	return NULL;
}

static void *run_session(void *context)
{
	struct session *session = context;

	session->channel->stop_fd = stop_fd;
	session_run(session);
	session_free(session);
	__atomic_sub_fetch(&sessions, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void turn_away(int fd, const char *why)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "421 %s: %s\r\n", current->primary_hostname, why);

	send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	log_line("Connection refused: %s", why);
}

static void start_session(int fd, const struct sockaddr_storage *peer, const pthread_attr_t *attr)
{
	struct session *session;
	pthread_t thread;

	if (__atomic_add_fetch(&sessions, 1, __ATOMIC_RELAXED) >
	    (unsigned int)current->smtp_accept_max) {
		__atomic_sub_fetch(&sessions, 1, __ATOMIC_RELAXED);
		turn_away(fd, "Too many concurrent SMTP connections; please try again later.");
		return;
	}
	session = session_new(current, fd, peer);
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

static char *check_delivery(const struct config *config)
{
	return config->delivery ? NULL
				: pool_string(&pool, "needs the option delivery (or --maildir)");
}

/* Sessions keep the configuration with which they began. Listening sockets stay as they are: there
 * is no privilege left to bind others. */
static void reload(void)
{
	struct config *before = current, *config;
	char *error;

	config = setup_load(before, &error);
	if (config && (error = check_delivery(config))) {
		config_put(config);
		config = NULL;
	}
	if (!config) {
		log_line("SIGHUP received: configuration not changed: %s", error);
		return;
	}
	if (strcmp(config->local_interfaces, before->local_interfaces) ||
	    strcmp(config->daemon_smtp_ports, before->daemon_smtp_ports))
		log_line("SIGHUP received: local_interfaces and daemon_smtp_ports need a restart");
	error = open_files(config);
	if (error)
		log_line("SIGHUP received: %s", error);
	current = config;
	config_put(before);
	log_line("SIGHUP received: configuration read again");
}

static void stop(void)
{
	uint64_t one = 1;
	int i;

	for (i = 0; i < listener_count; i++)
		close(listeners[i].fd);
	log_line("ppmta stopping: %u sessions", __atomic_load_n(&sessions, __ATOMIC_RELAXED));
	if (write(stop_fd, &one, sizeof(one)) < 0)
		log_line("stopping: %s", strerror(errno));
	for (i = 0; i < STOP_SECONDS * 100 && __atomic_load_n(&sessions, __ATOMIC_RELAXED); i++)
		usleep(10000);
	if (current->pid_file_path)
		unlink(current->pid_file_path);
	/* A message that got no 250 is sent again by the client. */
	log_line("ppmta stopped");
	_exit(0);
}

static void on_stop(int signal)
{
	(void)signal;
	stopping = 1;
}

static void on_reload(int signal)
{
	(void)signal;
	reloading = 1;
}

static void handle_signals(sigset_t *while_waiting)
{
	struct sigaction stop_action = {.sa_handler = on_stop};
	struct sigaction reload_action = {.sa_handler = on_reload};
	sigset_t mask;

	/* all but the wait itself is not to be interrupted; threads inherit it */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, while_waiting);
	sigaction(SIGTERM, &stop_action, NULL);
	sigaction(SIGINT, &stop_action, NULL);
	sigaction(SIGHUP, &reload_action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void serve(const sigset_t *while_waiting)
{
	pthread_attr_t attr;
	int i;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, SESSION_STACK);
	mallopt(M_ARENA_MAX, ARENAS); /* or each core's threads keep memory of their own */
	while (!stopping) {
		if (reloading) {
			reloading = 0;
			reload();
		}
		if (ppoll(listeners, listener_count, NULL, while_waiting) < 0)
			continue;
		for (i = 0; i < listener_count; i++) {
			if (listeners[i].revents)
				accept_all(listeners[i].fd, &attr);
		}
	}
	stop();
}

char *daemon_run(struct config *config)
{
	sigset_t while_waiting;
	char *error = check_delivery(config);

	current = config;
	if (!error)
		error = listen_everywhere(config);
	if (!error)
		error = raise_fd_limit(config);
	if (!error)
		error = become_user(config);
	if (!error)
		error = open_files(config);
	if (!error)
		error = write_pid(config);
	if (error)
		return error;
	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	handle_signals(&while_waiting);
	log_line("ppmta %s daemon started: pid=%d", PP_VERSION, getpid());
	serve(&while_waiting);
	return NULL;
}
