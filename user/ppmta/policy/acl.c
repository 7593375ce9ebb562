// SPDX-License-Identifier: BSD-2-Clause
/*
 * Access control lists: read from the configuration, checked when it is read, run in a session.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/name.h"
#include "acl.h"

static const char *const verb_names[] = {"accept", "defer",   "deny", "discard",
					 "drop",   "require", "warn"};

struct acl_verb {
	struct acl_verb *next;
	enum verb verb;
	int line;
	struct acl_condition *conditions;
};

struct acl {
	struct acl *next;
	char *name;
	struct acl_verb *verbs, **end;
};

struct acl_parser {
	struct config *config;
	struct pool *pool;
	struct acl *acl;
	struct acl_verb *verb;
	struct acl_condition **next_condition;
};

/* ---- reading ---- */

static char *unknown(struct pool *pool, const char *what, const char *name, const char *near)
{
	char hint[SUGGESTION_MAX];

	return pool_printf(pool, "unknown %s '%s'%s", what, name, name_suggestion(hint, "", near));
}

static char *read_word(struct pool *pool, char **text)
{
	char *start = *text + strspn(*text, " \t"), *end = start;

	while (isalnum((unsigned char)*end) || *end == '_')
		end++;
	*text = end;
	return pool_copy(pool, start, end - start);
}

/* Reads what is before the value. Return: NULL, or what is wrong. */
static char *parse_kind(struct acl_parser *parser, struct acl_condition *condition, char **text)
{
	const char *near;
	char *name;

	*text += strspn(*text, " \t");
	condition->negated = **text == '!';
	*text += condition->negated;
	name = read_word(parser->pool, text);
	condition->kind = kind_find(name, &near);
	if (!condition->kind)
		return unknown(parser->pool, "condition or modifier", name, near);
	if (condition->kind->flags & MODIFIER && condition->negated)
		return pool_printf(parser->pool, "'!' before %s means nothing", name);
	if (!kind_is_set(condition->kind))
		return NULL;
	condition->variable = pool_string(&parser->config->pool, read_word(parser->pool, text));
	return variable_may_be_set(condition->variable)
		       ? NULL
		       : pool_printf(parser->pool,
				     "set: '%s' is not a variable of ACLs: acl_c_NAME or "
				     "acl_m_NAME",
				     condition->variable);
}

static char *parse_condition(struct acl_parser *parser, int line, char *text)
{
	struct pool *kept = &parser->config->pool;
	struct acl_condition *condition = pool_alloc(kept, sizeof(*condition));
	char *wrong = parse_kind(parser, condition, &text);

	if (wrong)
		return wrong;
	text += strspn(text, " \t");
	if (kind_is_endpass(condition->kind)) {
		if (parser->verb->verb != ACCEPT && parser->verb->verb != DISCARD)
			return "endpass is for accept and discard";
		text += strlen(text);
	} else if (*text != '=') {
		return pool_printf(parser->pool, "'=' is missing after %s", condition->kind->name);
	} else {
		text += 1 + strspn(text + 1, " \t");
	}
	condition->line = line;
	condition->value = pool_string(kept, text);
	*parser->next_condition = condition;
	parser->next_condition = &condition->next;
	return NULL;
}

static char *begin_acl(struct acl_parser *parser, const char *name)
{
	struct acl *acl;

	for (acl = parser->config->acls; acl; acl = acl->next) {
		if (!strcmp(acl->name, name))
			return pool_printf(parser->pool, "there are two ACLs '%s'", name);
	}
	acl = pool_alloc(&parser->config->pool, sizeof(*acl));
	acl->name = pool_string(&parser->config->pool, name);
	acl->end = &acl->verbs;
	acl->next = parser->config->acls;
	parser->config->acls = acl;
	parser->acl = acl;
	parser->verb = NULL;
	return NULL;
}

static void *begin_section(struct config *config, struct pool *pool)
{
	struct acl_parser *parser = pool_alloc(pool, sizeof(*parser));

	parser->config = config;
	parser->pool = pool;
	return parser;
}

static char *parse_line(void *section, int line, char *text)
{
	struct acl_parser *parser = section;
	char *rest = text, *word = read_word(parser->pool, &rest);
	const char *near;
	int verb;

	if (*word && *rest == ':')
		return rest[1 + strspn(rest + 1, " \t")]
			       ? pool_printf(parser->pool,
					     "the first verb of %s: stands on the next line", word)
			       : begin_acl(parser, word);
	if (!parser->acl)
		return pool_printf(parser->pool,
				   "'%s' belongs to no ACL: its name and a colon "
				   "come first",
				   text);
	verb = NAME_FIND(word, verb_names);
	if (verb >= 0 && rest[strspn(rest, " \t")] != '=') {
		parser->verb = pool_alloc(&parser->config->pool, sizeof(*parser->verb));
		parser->verb->verb = verb;
		parser->verb->line = line;
		*parser->acl->end = parser->verb;
		parser->acl->end = &parser->verb->next;
		parser->next_condition = &parser->verb->conditions;
		rest += strspn(rest, " \t");
		return *rest ? parse_condition(parser, line, rest) : NULL;
	}
	if (rest[strspn(rest, " \t")] != '=' && *word && !kind_find(word, &near))
		return unknown(parser->pool, "verb", word, NAME_NEAREST(word, verb_names));
	if (!parser->verb)
		return pool_printf(parser->pool, "'%s' comes before any verb", text);
	return parse_condition(parser, line, text);
}

const struct config_section acl_section = {"acl", begin_section, parse_line};

static struct acl *find_acl(const struct config *config, const char *name)
{
	struct acl *acl;

	for (acl = config->acls; acl && strcmp(acl->name, name); acl = acl->next)
		;
	return acl;
}

static char *misplaced(const struct kind *kind, enum acl_point point, struct pool *pool)
{
	static const char *const names[ACL_POINTS] = {"connect", "helo", "mail",
						      "rcpt",	 "data", "quit"};

	if (kind->points & AT(point))
		return NULL;
	return pool_printf(pool, "%s means nothing in acl_smtp_%s", kind->name, names[point]);
}

static char *check_condition(struct config *config, const struct acl_condition *condition,
			     struct pool *pool)
{
	char *value, *wrong = expand_check(config, condition->value, pool, &value);

	if (!wrong && condition->kind->check)
		wrong = condition->kind->check(config, condition, value, pool);
	if (wrong)
		wrong = pool_printf(pool, "%s: %s", condition->kind->name, wrong);
	return wrong;
}

/* Conditions of @acl; @point: where it is run, or ACL_POINTS: that is not to be looked at. */
static char *check_acl(struct config *config, const struct acl *acl, enum acl_point point,
		       struct pool *pool)
{
	const struct acl_condition *condition;
	const struct acl_verb *verb;
	char *wrong;

	for (verb = acl->verbs; verb; verb = verb->next) {
		for (condition = verb->conditions; condition; condition = condition->next) {
			wrong = point == ACL_POINTS ? check_condition(config, condition, pool)
						    : misplaced(condition->kind, point, pool);
			if (wrong)
				return pool_printf(pool, "%s:%d: %s", config->file, condition->line,
						   wrong);
		}
	}
	return NULL;
}

char *acl_check(struct config *config, struct pool *pool)
{
	char *wrong = NULL, *name;
	const struct acl *acl;
	const char *option;
	int i;

	for (acl = config->acls; acl && !wrong; acl = acl->next)
		wrong = check_acl(config, acl, ACL_POINTS, pool);
	for (i = 0; i < ACL_POINTS && !wrong; i++) {
		if (!config->acl[i])
			continue;
		option = option_name_of(config, &config->acl[i]);
		wrong = expand_check(config, config->acl[i], pool, &name);
		acl = name ? find_acl(config, name) : NULL;
		if (name && !acl)
			wrong = pool_printf(pool, "%s: there is no ACL '%s'", option, name);
		else if (acl)
			wrong = check_acl(config, acl, i, pool);
	}
	return wrong;
}

/* ---- running ---- */

static int run_condition(struct run *run, const struct acl_condition *condition)
{
	const struct kind *kind = condition->kind;
	char *value = condition->value;
	int result;

	run->error = misplaced(kind, run->point, &run->session->pool);
	if (run->error)
		return -1;
	if (!(kind->flags & RAW))
		value = expand(run->session, value, &run->error);
	result = value ? kind->test(run, condition, value) : -1;
	if (result < 0)
		run->error = pool_printf(&run->session->pool, "%s:%d: %s: %s",
					 run->session->config->file, condition->line, kind->name,
					 run->error);
	return result;
}

static int run_conditions(struct run *run, const struct acl_verb *verb)
{
	const struct acl_condition *condition;
	int result;

	run->message = run->log_message = NULL;
	run->passed_endpass = false;
	for (condition = verb->conditions; condition; condition = condition->next) {
		result = run_condition(run, condition);
		if (result < 0)
			return -1;
		if (result == condition->negated)
			return 0;
	}
	return 1;
}

/* The text of @message, or NULL: there is none, it is empty, or it cannot be expanded. */
static char *text_of(struct run *run, const struct acl_condition *message)
{
	char *error = NULL, *text = NULL;

	if (message)
		text = expand(run->session, message->value, &error);
	if (error)
		log_line("%s:%d: %s: %s", run->session->config->file, message->line,
			 message->kind->name, error);
	return text && *text ? text : NULL;
}

/* "550 5.7.1 " and "550 " at the beginning of @text: how long it is, or 0. */
static size_t code_length(const char *text)
{
	size_t len = 4, part;
	int i;

	if (!*text || !strchr("245", *text) || !isdigit((unsigned char)text[1]) ||
	    !isdigit((unsigned char)text[2]) || text[3] != ' ')
		return 0;
	for (i = 0; i < 3; i++) {
		part = strspn(text + len, "0123456789");
		if (!part || text[len + part] != (i == 2 ? ' ' : '.'))
			return 4;
		len += part + 1;
	}
	return len;
}

/* A message may begin with a code of its own, of the same class as @code; NULL: there is none. */
static const char *with_code(struct session *session, const char *code, const char *message)
{
	size_t own = message ? code_length(message) : 0;

	if (!own || message[0] == code[0])
		return message;
	log_line("configured error code starts with incorrect digit (expected %c) in \"%s\"",
		 code[0], message);
	return pool_printf(&session->pool, "%s %s", code, message + own);
}

/* @message with a code. */
static char *reply_of(struct session *session, const char *code, const char *message)
{
	return code_length(message) ? pool_string(&session->pool, message)
				    : pool_printf(&session->pool, "%s %s", code, message);
}

/* Logs that the ACL of @point has done @what. The first line of @text is logged. */
static void log_decision(struct run *run, const char *what, const char *text)
{
	static const char *const points[ACL_POINTS] = {"connection in \"connect\" ACL",
						       "EHLO or HELO ",
						       "MAIL <",
						       "RCPT <",
						       "after DATA",
						       "QUIT"};
	struct session *session = run->session;
	const char *about[ACL_POINTS] = {
		"", session->helo, session->mail.sender, session->mail.recipient, "", ""};
	bool has_address = run->point == ACL_MAIL || run->point == ACL_RCPT;
	bool has_sender = run->point == ACL_RCPT || run->point == ACL_DATA;

	log_line("%s%sH=%s%s%s%s %s%s%s%s%s%.*s", session->mail.id, session->mail.id[0] ? " " : "",
		 session_host(session), has_sender ? " F=<" : "",
		 has_sender ? session->mail.sender : "", has_sender ? ">" : "", what,
		 points[run->point], about[run->point], has_address ? ">" : "", text ? ": " : "",
		 text ? (int)strcspn(text, "\n") : 0, text ? text : "");
}

static enum acl_result refuse(struct run *run, enum acl_result result, char **message)
{
	const char *code = result == ACL_DEFER ? "451" : "550";
	const char *text = with_code(run->session, code, text_of(run, run->message));
	const char *logged = run->error ? run->error : text_of(run, run->log_message);

	log_decision(run, result == ACL_DEFER ? "temporarily rejected " : "rejected ",
		     logged ? logged : text);
	if (!text)
		text = result == ACL_DEFER ? "Temporary local problem - please try later"
					   : "Administrative prohibition";
	*message = reply_of(run->session, code, text);
	return result;
}

void acl_log_discarded(struct session *session, bool by_mail, const char *text)
{
	log_line("H=%s F=<%s> RCPT <%s>: discarded by %s ACL%s%s", session_host(session),
		 session->mail.sender, session->mail.recipient, by_mail ? "MAIL" : "RCPT",
		 text ? ": " : "", text ? text : "");
}

static enum acl_result allow(struct run *run, const struct acl_verb *verb, char **message)
{
	const char *text = with_code(run->session, "250", text_of(run, run->message)), *logged;

	if (text)
		*message = reply_of(run->session, "250", text);
	if (verb->verb == ACCEPT)
		return ACL_ACCEPT;
	logged = text_of(run, run->log_message);
	if (run->point == ACL_RCPT)
		acl_log_discarded(run->session, false, logged ? logged : text);
	return ACL_DISCARD;
}

/* The result of a verb whose conditions are @yes. Return: an acl_result, or -1: continue with the
 * next verb. */
static int decide(struct run *run, const struct acl_verb *verb, bool yes, char **message)
{
	const char *text;

	switch (verb->verb) {
	case ACCEPT:
	case DISCARD:
		if (!yes)
			return run->passed_endpass ? (int)refuse(run, ACL_DENY, message) : -1;
		return allow(run, verb, message);
	case WARN:
		text = yes ? text_of(run, run->log_message) : NULL;
		if (text)
			log_line("H=%s Warning: %s", session_host(run->session), text);
		return -1;
	case DENY:
		return yes ? (int)refuse(run, ACL_DENY, message) : -1;
	case DROP:
		return yes ? (int)refuse(run, ACL_DROP, message) : -1;
	case DEFER:
		return yes ? (int)refuse(run, ACL_DEFER, message) : -1;
	case REQUIRE:
		return yes ? -1 : (int)refuse(run, ACL_DENY, message);
	}
	return -1;
}

/* A condition could not be tested. A warning is left out if it was for want of an answer of the
 * DNS. Return: as decide(). */
static int give_up(struct run *run, const struct acl_verb *verb, char **message)
{
	struct session *session = run->session;
	bool go_on = verb->verb == WARN && session->dns_deferred;

	session->dns_deferred = false;
	run->message = run->log_message = NULL;
	if (!go_on)
		return refuse(run, ACL_DEFER, message);
	log_line("H=%s: a warning is left out: %s", session_host(session), run->error);
	return -1;
}

static int run_acl(struct run *run, const struct acl *acl, char **message)
{
	const struct acl_verb *verb;
	int yes, result;

	for (verb = acl->verbs; verb; verb = verb->next) {
		run->error = NULL;
		yes = run_conditions(run, verb);
		debug("%s:%d: %s: %d", run->session->config->file, verb->line,
		      verb_names[verb->verb], yes);
		result = yes < 0 ? give_up(run, verb, message) : decide(run, verb, yes, message);
		if (result >= 0)
			return result;
	}
	return -1;
}

enum acl_result acl_run(struct session *session, enum acl_point point, char **message)
{
	struct run run = {.session = session, .point = point};
	const char *name = session->config->acl[point];
	const struct acl *acl;
	int result;

	*message = NULL;
	if (!name)
		return ACL_ACCEPT;
	name = expand(session, name, &run.error);
	acl = name ? find_acl(session->config, name) : NULL;
	if (name && !acl)
		run.error = pool_printf(&session->pool, "there is no ACL '%s'", name);
	if (!acl)
		return refuse(&run, ACL_DEFER, message);
	result = run_acl(&run, acl, message);
	if (result >= 0)
		return result;
	/* denied if no verb has accepted it; a QUIT needs no consent */
	run.message = run.log_message = NULL;
	return point == ACL_QUIT ? ACL_ACCEPT : refuse(&run, ACL_DENY, message);
}
