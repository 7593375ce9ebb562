/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A next hop for ppmta that does what a test tells it: SMTP and LMTP, with one fault at a time.
 */
#ifndef HOP_H
#define HOP_H

#define HOP_PORT 2600

enum hop_at {
	AT_NOTHING,
	AT_CONNECTION, /* instead of accept() */
	AT_GREETING,
	AT_HELLO,
	AT_MAIL,
	AT_RCPT,
	AT_DATA,
	AT_BODY, /* after 1,000 bytes of the message */
	AT_DOT,
	AT_RSET,
};

enum hop_then { GO_ON, HANG_UP, KEEP_SILENT };

/* Listens; @extensions are lines of its answer to EHLO: "250-SIZE 1000\r\n250-8BITMIME\r\n". */
void hop_start(const char *extensions);
void hop_stop(void);
/* At @at it says @says ("" for nothing, and NULL for what it says else), @times times. */
void hop_fault(enum hop_at at, const char *says, enum hop_then then, int times);
/* How many messages it has answered with 2xx. */
int hop_taken(void);
/* The last message, and all commands since the last hop_forget(), with what came before the first
 * one. */
const char *hop_message(void);
const char *hop_heard(void);
void hop_forget(void);

#endif
