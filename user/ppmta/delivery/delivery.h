/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where mail goes, while its client waits for the answer: to a next hop by SMTP or LMTP (hop.c), or
 * into a Maildir (maildir.c). target.c reads the option, message.c keeps what DATA brought.
 */
#ifndef PPMTA_DELIVERY_H
#define PPMTA_DELIVERY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "../policy/policy.h"

/* ---- target.c ---- */

enum delivery_kind { DELIVER_MAILDIR, DELIVER_LMTP, DELIVER_SMTP };

struct delivery_host {
	struct delivery_host *next;
	const char *text;   /* as the option has it, for the log */
	const char *name;   /* to be looked up; NULL: what follows is known */
	const char *socket; /* of UNIX; NULL: */
	struct sockaddr_storage endpoint;
	unsigned int port;
};

struct delivery_target {
	enum delivery_kind kind;
	const char *path;	     /* of the Maildir */
	struct delivery_host *hosts; /* one after another is tried */
};

/* What `delivery` says; what is kept is in @kept. Return: NULL, or what is wrong, in @pool. */
char *delivery_parse(const char *text, struct delivery_target *target, struct pool *kept,
		     struct pool *pool);

/* ---- message.c: what came after DATA, in a file without a name ---- */

struct message {
	int fd;
	uint64_t size;
	bool has_8bit, begins_blank;
	int failed; /* errno of the first write that failed */
	size_t buffered;
	char buf[8192];
};

/* Return: 0, or an errno. */
int message_open(const struct config *config, struct message *message);
void message_add(struct message *message, char byte);
/* The last byte was added. Return: 0, or an errno: something is missing. */
int message_end(struct message *message);
/* Gives all of it to @each, in parts; its lines end with a line feed. Return: 0, or an errno: the
 * rest cannot be read, or what @each returned. */
int message_read(struct message *message, int (*each)(void *context, const char *bytes, size_t len),
		 void *context);
void message_close(struct message *message);
void make_message_id(char id[MESSAGE_ID_LEN + 1]);

/* ---- maildir.c ---- */

/* Makes the folders that are missing. Return: 0, or an errno. */
int maildir_make(const char *path);
/* One file, with @head above the message. After 0 it is on the disk. Return: 0, or an errno: it is
 * not there. */
int maildir_deliver(const char *path, const char *name, const char *head, struct message *message);

/* ---- hop.c: the next hop ---- */

/* What it can, and what EHLO therefore offers. */
enum hop_extension {
	HOP_8BITMIME = 1,
	HOP_SMTPUTF8 = 2,
	HOP_SIZE = 4,
	HOP_STARTTLS = 8,
	HOP_XCLIENT = 16,
};

#define HOP_TEXT_MAX 4096

struct hop {
	struct channel channel;
	struct session *session;
	bool is_open;
	int64_t give_up;	  /* when the search for a hop ends, as clock_ms() has it */
	int64_t opening_end;	  /* when this one has to be open; 0: it is */
	bool is_slow;		  /* it did not answer in time */
	bool has_transaction;	  /* which is reset before the next one */
	unsigned int extensions;  /* enum hop_extension */
	unsigned int promised;	  /* those that the client was offered */
	uint64_t size_max;	  /* 0: not said */
	char xclient[256];	  /* the names that it takes, with a space around each */
	char name[256];		  /* for the log */
	char reply[HOP_TEXT_MAX]; /* the last one: a code, a space, and lines with line feeds
				     between */
};

struct hop *hop_new(struct session *session);
void hop_free(struct hop *hop);
/* Ends the connection; the next command makes another one. */
void hop_release(struct hop *hop);
/* Each: a command of the client is passed on. Return: the code of the answer, which is in
 * hop->reply; 4xx also when there is no answer, or none that makes sense. */
/* Connects, unless it is connected. 250: hop->extensions is known. */
int hop_hello(struct hop *hop);
int hop_mail(struct hop *hop);
int hop_rcpt(struct hop *hop, const char *recipient);
int hop_data(struct hop *hop, const char *head, struct message *message);

#endif
