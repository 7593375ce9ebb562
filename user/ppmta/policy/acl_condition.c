// SPDX-License-Identifier: BSD-2-Clause
/*
 * The conditions and modifiers of ACLs.
 */
#include <ctype.h>
#include <string.h>

#include "../../common/name.h"
#include "acl.h"

#define ADDED_HEADERS_MAX 65536

static int test_condition(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	return truth(&run->eval, value);
}

static int test_list(struct run *run, const struct acl_condition *condition, char *value)
{
	static const char *const subjects[] = {[LIST_HOSTS] = "sender_host_address",
					       [LIST_DOMAINS] = "domain",
					       [LIST_LOCAL_PARTS] = "local_part",
					       [LIST_ADDRESSES] = "sender_address"};
	struct session *session = run->eval.session;
	enum list_kind list = condition->kind->list;
	const char *subject = session ? variable_get(session, subjects[list]) : "";

	if (session && *condition->kind->name == 'r')
		subject = session->mail.recipient;
	return list_match(&run->eval, list, subject, value);
}

static int do_set(struct run *run, const struct acl_condition *condition, char *value)
{
	if (run->eval.session)
		variable_set(run->eval.session, condition->variable, value);
	return 1;
}

static int do_logwrite(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	if (*value == ':')
		return failed(&run->eval, "there is one log: leave '%.*s' out",
			      (int)strcspn(value + 1, ":") + 2, value);
	value = expand(&run->eval, value);
	if (value && run->eval.session)
		log_line("%s", value);
	return run->eval.error ? -1 : 1;
}

static int do_message(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)value;
	*(*condition->kind->name == 'l' ? &run->log_message : &run->message) = condition;
	return 1;
}

/* The length of the field's name that a header @line begins with, or 0. */
static size_t header_name(const char *line)
{
	size_t len = 0;

	while (line[len] > ' ' && line[len] < 0x7f && line[len] != ':')
		len++;
	return line[len] == ':' ? len : 0;
}

/* Has the message this very header, with the lines that continue it? */
static bool has_header(const struct text *headers, const char *header, size_t len)
{
	const char *at = headers->len ? headers->bytes : "";

	for (; *at; at += strcspn(at, "\n") + 1) {
		if (!strncmp(at, header, len) && at[len] != '\t')
			return true;
	}
	return false;
}

/* A header that a message has already is not added again. Return: 1, or -1 after an error. */
static int add_once(struct run *run, struct text *headers, const struct text *header)
{
	if (!header->len || has_header(headers, header->bytes, header->len))
		return 1;
	if (headers->len + header->len > ADDED_HEADERS_MAX)
		return failed(&run->eval, "the headers of this message are too long");
	text_add(headers, header->bytes, header->len);
	return 1;
}

/* Each line is a header or, if it begins with a blank, continues one. What is no header is the text
 * of one, as with Exim. */
static int do_add_header(struct run *run, const struct acl_condition *condition, char *value)
{
	struct text *headers, header = {.pool = run->eval.pool};
	char *line;

	(void)condition;
	if (!run->eval.session)
		return 1;
	headers = &run->eval.session->mail.added_headers;
	for (value = string_trim(value); (line = strsep(&value, "\r\n"));) {
		bool continues = isblank((unsigned char)*line);

		line += strspn(line, " \t");
		if (!*line)
			continue;
		text_clean(line, strlen(line), false);
		if (!continues) {
			if (add_once(run, headers, &header) < 0)
				return -1;
			header.len = 0;
		}
		text_add_string(&header, continues	     ? "\t"
					 : header_name(line) ? ""
							     : "X-ACL-Warn: ");
		text_add_string(&header, line);
		text_add_string(&header, "\n");
	}
	return add_once(run, headers, &header);
}

static const struct kind kinds[] = {
	{"add_header", AT_MAIL, MODIFIER, 0, do_add_header},
	{"condition", AT_ANY, 0, 0, test_condition},
	{"dnslists", AT_ANY, RAW, 0, dnslists_test},
	{"domains", AT_RCPT, 0, LIST_DOMAINS, test_list},
	{"hosts", AT_ANY, 0, LIST_HOSTS, test_list},
	{"local_parts", AT_RCPT, 0, LIST_LOCAL_PARTS, test_list},
	{"log_message", AT_ANY, MODIFIER | RAW, 0, do_message},
	{"logwrite", AT_ANY, MODIFIER | RAW, 0, do_logwrite},
	{"message", AT_ANY, MODIFIER | RAW, 0, do_message},
	{"ratelimit", AT_ANY, RAW, 0, ratelimit_test},
	{"recipients", AT_RCPT, 0, LIST_ADDRESSES, test_list},
	{"senders", AT_MAIL, 0, LIST_ADDRESSES, test_list},
	{"set", AT_ANY, MODIFIER, 0, do_set},
	{"spf", AT_MAIL, 0, 0, spf_test},
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
