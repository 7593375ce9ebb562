/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of ppmta share. main.c accepts, session.c speaks SMTP with one client, and stores
 * its mail with maildir.c; channel.c is the client's byte stream; address.c knows RFC 5321's
 * syntax. A session is a thread: it may block, in poll(), fsync() or pp_lookup_wait(), and nobody
 * waits.
 */
#ifndef PPMTA_H
#define PPMTA_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* RFC 5321, section 4.5.3.1: octets, with CR LF where it is a line. */
#define COMMAND_LINE_MAX (512 + 64) /* and room for the parameters of SIZE and BODY */
#define LOCAL_PART_MAX	 64
#define DOMAIN_MAX	 255
#define PATH_LINE_MAX	 256
#define RECIPIENTS_MAX	 1000 /* at least 100 */

#define MESSAGE_ID_LEN 16 /* 1VdNti-0001OY-1V */

struct settings {
	const char *hostname;
	const char *maildir;
	uint64_t message_size_limit; /* bytes */
	int proxy_timeout_ms;
	int command_timeout_ms;
	unsigned int max_sessions;
	int verbose;
};

extern struct settings settings;

/* session.c */
struct session;
struct session *session_new(int fd, const struct sockaddr_storage *peer);
void session_run(struct session *session);
void session_free(struct session *session);

/* log.c: lines as Exim writes them, "2013-11-04 09:25:06 TEXT"; written with one write(2) each */
int log_open(const char *path);
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* channel.c */
#define CHANNEL_BUFFER 4096

struct channel {
	int fd;
	int timeout_ms;
	size_t start, end; /* unread bytes in buf */
	size_t queued;	   /* bytes in reply that are not sent yet */
	char buf[CHANNEL_BUFFER];
	char reply[CHANNEL_BUFFER];
};

enum {
	CHANNEL_EOF = -1,      /* closed, reset, or timed out: channel_gone() */
	CHANNEL_TOO_LONG = -2, /* the line did not fit, and has been skipped to its end */
};

/* A line without its CR LF. Return: its length, or CHANNEL_*. A lone CR or LF does not end it. */
int channel_read_line(struct channel *channel, char *line, size_t size);

/* The next byte, 0 to 255, or CHANNEL_EOF. */
int channel_read_byte(struct channel *channel);

/* A reply line; CR LF is added. Sent when the client has to act: before the next wait for input. */
void channel_reply(struct channel *channel, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int channel_flush(struct channel *channel);

/* address.c: RFC 5321, section 4.1.2 */
/* Reads "<...>" at @text into @address, source route left out; "<>" gives "" where @empty allows.
 * Return: what follows the ">", or NULL. */
const char *address_parse_path(const char *text, int empty, char address[PATH_LINE_MAX]);
int address_is_domain(const char *text, size_t len);

/* maildir.c */
struct delivery {
	int fd;
	uint64_t size;
	size_t buffered;
	int failed; /* errno of the first write that failed */
	char id[MESSAGE_ID_LEN + 1];
	char tmp[PATH_MAX];
	char final[PATH_MAX];
	char buf[8192];
};

int maildir_make(const char *path, unsigned int uid, unsigned int gid);
int delivery_open(struct delivery *delivery);
void delivery_write(struct delivery *delivery, const char *bytes, size_t len);
/* Write, fsync, rename, fsync of the folder. Return: 0, or an errno. After 0 the mail is safe. */
int delivery_commit(struct delivery *delivery);
void delivery_abort(struct delivery *delivery);

#endif
