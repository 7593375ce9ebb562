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

#include "../common/array.h"
#include "daemon.h"

#define LISTENERS_MAX  64
#define SESSION_STACK  (256 * 1024)
#define LISTEN_BACKLOG 1024
#define SPARE_FDS      64
#define FDS_A_SESSION  4 /* its socket, the next hop's, a message, and one more for a while */
#define STOP_SECONDS   30
#define ARENAS	       4

static struct pollfd listeners[LISTENERS_MAX];
static int listener_count;
static struct config *current;
static unsigned int sessions;
static int stop_fd;
static volatile sig_atomic_t stopping, reloading;

static char *listen_at(const struct interface *interface, struct pool *pool)
{
	int one = 1, fd;

	for (; interface; interface = interface->next) {
		if (listener_count == LISTENERS_MAX)
			return pool_printf(pool, "local_interfaces: more than %d", LISTENERS_MAX);
		fd = socket(interface->endpoint.ss_family,
			    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
		    (interface->endpoint.ss_family == AF_INET6 &&
		     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one))) ||
		    bind(fd, (const struct sockaddr *)&interface->endpoint, interface->len) ||
		    listen(fd, LISTEN_BACKLOG))
			return pool_printf(pool, "listen on %s: %s", interface->text,
					   strerror(errno));
		listeners[listener_count].fd = fd;
		listeners[listener_count++].events = POLLIN;
	}
	return NULL;
}

static char *raise_fd_limit(const struct config *config, struct pool *pool)
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
		return pool_printf(pool,
				   "smtp_accept_max = %d needs %llu descriptors: raise the limit "
				   "(LimitNOFILE=), or lower it",
				   config->smtp_accept_max, (unsigned long long)wanted);
	return NULL;
}

/* No privilege is needed for pp_lookup(), so none is kept. */
static char *become_user(const struct config *config, struct pool *pool)
{
	struct passwd *user;

	if (geteuid() != 0)
		return NULL;
	if (!config->user)
		return pool_printf(pool, "will not run as root: set the option user");
	user = getpwnam(config->user);
	if (!user || !user->pw_uid)
		return pool_printf(pool, "user %s: no such user, or root", config->user);
	if (setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid))
		return pool_printf(pool, "user %s: %s", config->user, strerror(errno));
	return NULL;
}

/* Who ppmta is now, for what it may not do. */
static char *denied(const char *option, const char *path, int failed, struct pool *pool)
{
	return pool_printf(pool, "%s %s: %s (as uid %d, which ppmta runs as)", option, path,
			   failed == EINVAL ? "not a file" : strerror(failed), (int)geteuid());
}

/* After root's privileges are gone: what is made and opened here may be in folders of the user's,
 * who could have put links there. */
static char *open_files(const struct config *config, struct pool *pool)
{
	int failed;

	if (config->target->kind == DELIVER_MAILDIR) {
		failed = maildir_make(config->target->path);
		if (failed)
			return denied("delivery", config->target->path, failed, pool);
	}
	failed = log_open(config->log_file_path);
	return failed ? denied("log_file_path", config->log_file_path, failed, pool) : NULL;
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
	session = pool_has_reserve() ? session_new(current, fd, peer) : NULL;
	if (session && !pthread_create(&thread, attr, run_session, session))
		return;
	__atomic_sub_fetch(&sessions, 1, __ATOMIC_RELAXED);
	if (session) {
		session->channel->fd = -1;
		session_free(session);
	}
	turn_away(fd, "Too few resources; please try again later.");
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

/* Sessions keep the configuration with which they began. Listening sockets stay as they are: there
 * is no privilege left to bind others. */
static void reload(struct pool *pool)
{
	struct config *before = current, *config;
	char *error;

	config = setup_load(before, true, pool, &error);
	if (!config) {
		log_line("SIGHUP received: configuration not changed: %s", error);
		return;
	}
	if (strcmp(config->local_interfaces, before->local_interfaces))
		log_line("SIGHUP received: local_interfaces needs a restart");
	error = raise_fd_limit(config, pool);
	if (error) {
		log_line("SIGHUP received: %s", error);
		config->smtp_accept_max = before->smtp_accept_max;
	}
	error = open_files(config, pool);
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
	/* A message that got no 250 is sent again by the client. */
	log_line("ppmta stopped");
	_exit(0);
}

static void on_signal(int number)
{
	*(number == SIGHUP ? &reloading : &stopping) = 1;
}

/* Before anything else is done, so that one which comes early has to wait. */
void daemon_signals(void)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGXCPU, SIGHUP};
	sigset_t handled;
	size_t i;

	sigemptyset(&handled);
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		sigaddset(&handled, numbers[i]);
		signal(numbers[i], on_signal);
	}
	/* all but the wait itself is not to be interrupted; threads inherit it */
	sigprocmask(SIG_BLOCK, &handled, NULL);
}

static void serve(void)
{
	sigset_t while_waiting;
	pthread_attr_t attr;
	int i;

	sigemptyset(&while_waiting);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, SESSION_STACK);
	mallopt(M_ARENA_MAX, ARENAS); /* or each core's threads keep memory of their own */
	while (!stopping) {
		if (reloading) {
			struct pool pool = {0};

			reloading = 0;
			reload(&pool);
			pool_free(&pool);
		}
		if (ppoll(listeners, listener_count, NULL, &while_waiting) < 0)
			continue;
		for (i = 0; i < listener_count; i++) {
			if (listeners[i].revents)
				accept_all(listeners[i].fd, &attr);
		}
	}
	stop();
}

char *daemon_run(struct config *config, struct pool *pool)
{
	char *error = listen_at(config->interfaces, pool);

	current = config;
	if (!error)
		error = raise_fd_limit(config, pool);
	if (!error)
		error = become_user(config, pool);
	if (!error)
		error = open_files(config, pool);
	if (error)
		return error;
	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	log_line("ppmta %s daemon started: pid=%d", PP_VERSION, getpid());
	serve();
	return NULL;
}
