/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all parts of ppmta use: memory, text, the items of lists, mailboxes, and the log.
 */
#ifndef PPMTA_UTIL_H
#define PPMTA_UTIL_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 5321, section 4.5.3.1: octets, with CR LF where it is a line. */
#define LOCAL_PART_MAX	 64
#define DOMAIN_MAX	 255
#define PLAIN_DOMAIN_MAX 253 /* RFC 1035: 255 octets, with those of lengths */
#define PATH_LINE_MAX	 256

/* ---- pool.c: memory that is freed together, a configuration's, or what one command needs ---- */

struct pool_block;

struct pool {
	struct pool_block *blocks;
};

/* Zeroed; ends the process when there is no memory. */
void *pool_alloc(struct pool *pool, size_t size);
char *pool_copy(struct pool *pool, const char *bytes, size_t len);
char *pool_string(struct pool *pool, const char *string);
char *pool_printf(struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pool_free(struct pool *pool);
/* Is there memory left for those who have begun? It is kept for them, and taken when there is no
 * other: then nobody else is to begin. For one thread. */
bool pool_has_reserve(void);

/* ---- text.c ---- */

/* A string that grows in a pool. */
struct text {
	struct pool *pool;
	char *bytes; /* terminated, once something was added */
	size_t len, room;
};

void text_add(struct text *text, const char *bytes, size_t len);
void text_add_string(struct text *text, const char *string);
/* What was added; "" when nothing was. */
char *text_get(struct text *text);
/* @string without the white space around it, in place. */
char *string_trim(char *string);
/* The next item of *@list, in @pool; NULL at its end. *@separator is 0 at first. */
char *list_next(struct pool *pool, const char **list, char *separator);
/* Puts '?' in the place of what is no text, in @len bytes before a 0: see utf8_printable(), with
 * @ascii_only ascii_printable(). What comes from others goes through here, and then into replies,
 * header lines and the log. */
void text_clean(char *text, size_t len, bool ascii_only);
/* The character that an escape stands for, as \\n, \\x41 and \\101 do, whose backslash is before
 * *@at, which moves on; 0: the one that no string may hold. */
char text_escape(const char **at);
/* "unknown WHAT 'NAME' (did you mean NEAR?)", each name with @before; @near may be NULL. */
char *unknown_name(struct pool *pool, const char *what, const char *before, const char *name,
		   const char *near);

/* mailbox.c: RFC 5321, section 4.1.2 */
/* Reads "<...>" at @text into @address, source route left out; "<>" gives "" where @empty allows.
 * Return: what follows the ">", or NULL. */
const char *address_parse_path(const char *text, int empty, char address[PATH_LINE_MAX]);
bool address_is_domain(const char *text, size_t len);
/* Is @text a domain in ASCII, and no address? What the DNS calls a name is one, or is not used. */
bool domain_is_plain(const char *text, size_t len);
/* The domain of @address, or "". */
const char *address_domain(const char *address);
/* Its local part without quotes, and with each quoted character as it is. */
char *mailbox_local_part(const char *address, struct pool *pool);
/* The same mailbox without quotes, where it needs none. */
const char *mailbox_plain(const char *address, struct pool *pool);

/* @domain as the DNS has it, with xn--, in @pool; NULL: it is none. */
char *domain_ascii(const char *domain, struct pool *pool);
/* @domain as it is read, in one way: in small letters where it is not ASCII; NULL: it is none. */
char *domain_unicode(const char *domain, struct pool *pool);

/* ---- log.c: lines as Exim writes them, "2013-11-04 09:25:06 TEXT", one write(2) each ---- */

/* Of a configuration, and of a file of a list. */
#define TEXT_FILE_MAX (64 * 1024 * 1024)

/* @path: a file, or NULL for standard error. Return: 0, or an errno. */
int log_open(const char *path);
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
