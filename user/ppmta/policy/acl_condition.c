// SPDX-License-Identifier: BSD-2-Clause
/*
 * The conditions and modifiers of ACLs.
 */
#include <ctype.h>
#include <string.h>
#include <time.h>

#include "../../common/name.h"
#include "../../common/number.h"
#include "acl.h"

#define DELAY_MAX_MS	  (24 * 3600 * 1000)
#define ADDED_HEADERS_MAX 65536

/* ---- conditions ---- */

static int test_condition(struct run *run, const struct acl_condition *condition, char *value)
{
	int is = truth(value);

	(void)condition;
	if (is < 0)
		run->error =
			pool_printf(&run->session->pool, "'%s' is neither true nor false", value);
	return is;
}

static char *check_condition(struct config *config, const struct acl_condition *condition,
			     const char *value, struct pool *pool)
{
	(void)config;
	(void)condition;
	return value && truth(value) < 0
		       ? pool_printf(pool, "'%s' is neither true nor false", value)
		       : NULL;
}

/* What the list of @condition is about. */
static const char *subject_of(struct session *session, const struct kind *kind)
{
	switch (kind->list) {
	case LIST_HOSTS:
		return session->sender_host_address;
	case LIST_LOCAL_PARTS:
		return variable_get(session, "local_part");
	case LIST_ADDRESSES:
		return *kind->name == 's' ? session->mail.sender : session->mail.recipient;
	default:
		return *kind->name == 'e' ? variable_get(session, "tls_in_cipher")
					  : address_domain(session->mail.recipient);
	}
}

static int test_list(struct run *run, const struct acl_condition *condition, char *value)
{
	const struct kind *kind = condition->kind;
	const char *subject = subject_of(run->session, kind);

	if (*kind->name == 'e' && !*subject) /* no TLS */
		return 0;
	return list_match(run->session, kind->list, subject, value, &run->error);
}

static char *check_list(struct config *config, const struct acl_condition *condition,
			const char *value, struct pool *pool)
{
	return value ? list_check(config, condition->kind->list, value, pool) : NULL;
}

static int test_spf(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	return spf_match(run->session, value, &run->error);
}

static char *check_spf(struct config *config, const struct acl_condition *condition,
		       const char *value, struct pool *pool)
{
	(void)config;
	(void)condition;
	return value ? spf_check_list(value, pool) : NULL;
}

/* ---- modifiers ---- */

static int do_set(struct run *run, const struct acl_condition *condition, char *value)
{
	variable_set(run->session, condition->variable, value);
	return 1;
}

static int do_logwrite(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)run;
	(void)condition;
	log_line("%s", value);
	return 1;
}

static char *check_logwrite(struct config *config, const struct acl_condition *condition,
			    const char *value, struct pool *pool)
{
	const char *raw = condition->value;

	(void)config;
	(void)value;
	return *raw == ':' ? pool_printf(pool, "there is one log: leave '%.*s' out",
					 (int)strcspn(raw + 1, ":") + 2, raw)
			   : NULL;
}

static int do_delay(struct run *run, const struct acl_condition *condition, char *value)
{
	struct timespec time;
	uint64_t wanted;

	(void)condition;
	if (time_parse(value, DELAY_MAX_MS, &wanted)) {
		run->error = pool_printf(&run->session->pool, "'%s' is not a time", value);
		return -1;
	}
	channel_flush(run->session->channel);
	time.tv_sec = wanted / 1000;
	time.tv_nsec = wanted % 1000 * 1000000;
	nanosleep(&time, NULL);
	return 1;
}

static char *check_delay(struct config *config, const struct acl_condition *condition,
			 const char *value, struct pool *pool)
{
	uint64_t ms;

	(void)config;
	(void)condition;
	return value && time_parse(value, DELAY_MAX_MS, &ms)
		       ? pool_printf(pool, "'%s' is not a time", value)
		       : NULL;
}

static int do_message(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)value;
	run->message = condition;
	return 1;
}

static int do_log_message(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)value;
	run->log_message = condition;
	return 1;
}

static int do_endpass(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	(void)value;
	run->passed_endpass = true;
	return 1;
}

static bool is_header(const char *line)
{
	size_t len = 0;

	while (line[len] > ' ' && line[len] != ':' && line[len] < 0x7f)
		len++;
	return len && line[len] == ':';
}

/* A header line that a message has already is not added again. */
static bool has_line(const struct text *headers, const char *line, size_t len)
{
	const char *at = headers->len ? headers->bytes : "";

	for (; *at; at += strcspn(at, "\n") + 1) {
		if (!strncmp(at, line, len))
			return true;
	}
	return false;
}

/* Each line is a header or, if it begins with a blank, continues one. What is no header is the text
 * of one, as with Exim. */
static int do_add_header(struct run *run, const struct acl_condition *condition, char *value)
{
	struct text *headers = &run->session->mail.added_headers;
	char *line, *next;

	(void)condition;
	for (line = string_trim(value); line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		line = pool_printf(
			&run->session->pool, "%s%s\n",
			is_header(line) || isblank((unsigned char)*line) ? "" : "X-ACL-Warn: ",
			line);
		if (headers->len + strlen(line) > ADDED_HEADERS_MAX) {
			run->error = "the headers of this message are too long";
			return -1;
		}
		if (isblank((unsigned char)*line) || !has_line(headers, line, strlen(line)))
			text_add_string(headers, line);
	}
	return 1;
}

static const struct kind kinds[] = {
	{"add_header", AT_MAIL, MODIFIER, 0, do_add_header, NULL},
	{"condition", AT_ANY, 0, 0, test_condition, check_condition},
	{"delay", AT_ANY, MODIFIER, 0, do_delay, check_delay},
	{"dnslists", AT_ANY, 0, 0, dnslists_test, dnslists_check},
	{"domains", AT_RCPT, 0, LIST_DOMAINS, test_list, check_list},
	{"encrypted", AT_ANY, 0, LIST_DOMAINS, test_list, check_list},
	{"endpass", AT_ANY, MODIFIER | RAW, 0, do_endpass, NULL},
	{"hosts", AT_ANY, 0, LIST_HOSTS, test_list, check_list},
	{"local_parts", AT_RCPT, 0, LIST_LOCAL_PARTS, test_list, check_list},
	{"log_message", AT_ANY, MODIFIER | RAW, 0, do_log_message, NULL},
	{"logwrite", AT_ANY, MODIFIER, 0, do_logwrite, check_logwrite},
	{"message", AT_ANY, MODIFIER | RAW, 0, do_message, NULL},
	{"ratelimit", AT_ANY, RAW, 0, ratelimit_test, ratelimit_check},
	{"recipients", AT_RCPT, 0, LIST_ADDRESSES, test_list, check_list},
	{"senders", AT_MAIL, 0, LIST_ADDRESSES, test_list, check_list},
	{"set", AT_ANY, MODIFIER, 0, do_set, NULL},
	{"spf", AT_MAIL, 0, 0, test_spf, check_spf},
};

const struct kind *kind_find(const char *name, const char **nearest)
{
	int kind = NAME_FIND(name, kinds);

	*nearest = kind < 0 ? NAME_NEAREST(name, kinds) : NULL;
	return kind < 0 ? NULL : &kinds[kind];
}

bool kind_is_set(const struct kind *kind)
{
	return kind->test == do_set;
}

bool kind_is_endpass(const struct kind *kind)
{
	return kind->test == do_endpass;
}
