/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where mail goes.
 */
#ifndef PPMTA_DELIVERY_H
#define PPMTA_DELIVERY_H

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include "../policy/policy.h"

#define COMMAND_LINE_MAX (512 + 64) /* and room for the parameters of SIZE and BODY */

/* A file that is being written, and fails once. */
struct output {
	int fd;
	uint64_t size;
	size_t buffered;
	int failed; /* errno of the first write that failed */
	char buf[8192];
};

void output_open(struct output *output, int fd);
void output_write(struct output *output, const char *bytes, size_t len);
/* Write, fsync, close. Return: 0, or an errno. */
int output_close(struct output *output);
/* fsync of the folder that @file is in. Return: 0, or an errno. */
int sync_folder_of(const char *file);
void make_message_id(char id[MESSAGE_ID_LEN + 1]);

/* maildir.c */
/* A folder of that user's, unless it is there. Return: 0, or an errno. */
int make_folder(const char *path, unsigned int mode, unsigned int uid, unsigned int gid);
int maildir_make(const char *path, unsigned int uid, unsigned int gid);

/* A message on its way from the client to where it is safe. */
struct message {
	struct output output;
	char id[MESSAGE_ID_LEN + 1];
	char tmp[PATH_MAX];
	char final[PATH_MAX];
};

/* Where a message goes: config->delivery, "maildir:PATH", "lmtp:ENDPOINT" or "smtp:ENDPOINT". */
enum delivery_kind { DELIVER_MAILDIR, DELIVER_LMTP, DELIVER_SMTP };

struct delivery_target {
	enum delivery_kind kind;
	const char *path; /* Maildir, or UNIX socket */
	struct sockaddr_storage endpoint;
	socklen_t endpoint_len; /* 0: UNIX socket */
};

/* Return: NULL, or what is wrong, in @pool. */
char *delivery_parse(const char *text, struct delivery_target *target, struct pool *pool);

int message_open(const struct config *config, struct message *message);
/* After 0 the message is safe, and will be delivered. Return: 0, or an errno. */
int message_commit(const struct session *session, struct message *message);
void message_abort(struct message *message);

/* spool.c: spool_directory/input/ID-D data, ID-H envelope, ID-J recipients that are done */
struct envelope {
	struct pool pool;
	char id[MESSAGE_ID_LEN + 1];
	char *sender;
	char **recipients; /* those that are not done yet */
	int count;
	long received; /* seconds since 1970 */
	int frozen;
};

int spool_make(const char *directory, unsigned int uid, unsigned int gid);
/* Removes messages that were never answered with 250. */
void spool_clean(const char *directory);
int spool_write_envelope(const char *directory, const struct session *session, const char *id);
int spool_read_envelope(const char *directory, const char *id, struct envelope *envelope);
/* Notes that @recipients of message @id are done. Return: 0, or an errno. */
int spool_done(const char *directory, const char *id, char *const *recipients, int count);
int spool_freeze(const char *directory, const char *id);
/* Return: 0, or an errno: the message still exists. */
int spool_remove(const char *directory, const char *id);
/* Calls @each with each message's id. */
void spool_list(const char *directory, void (*each)(const char *id, void *context), void *context);
FILE *spool_open_data(const char *directory, const char *id);

/* queue.c: a thread that empties the spool */
int queue_start(struct config *config);
void queue_wake(void);
void queue_reload(struct config *config);
void queue_stop(void);

/* client.c */
enum client_status { CLIENT_OK, CLIENT_TEMPORARY, CLIENT_PERMANENT };

struct client_result {
	enum client_status status;
	char text[512]; /* the next hop's reply, or what failed */
};

/* Sends @data to @count @recipients; a result for each. */
void client_deliver(const struct config *config, const struct delivery_target *target,
		    const struct envelope *envelope, FILE *data, struct client_result *results);

#endif
