// SPDX-License-Identifier: BSD-2-Clause
/*
 * Access control lists: read from the configuration, checked when it is read, run in a session.
 */
#include <ctype.h>
#include <string.h>

#include "../../common/name.h"
#include "acl.h"

enum verb { ACCEPT, DEFER, DENY, DROP, REQUIRE, WARN };

static const char *const verb_names[] = {"accept", "defer", "deny", "drop", "require", "warn"};

struct acl_verb {
	struct acl_verb *next;
	enum verb verb;
	struct acl_condition *conditions, **end;
};

struct acl {
	struct acl *next;
	char *name;
	unsigned int points; /* that name it; others may come to it by an expansion */
	struct acl_verb *verbs, **end, *last;
};

/* ---- reading ---- */

static char *read_word(struct pool *pool, char **text)
{
	char *start = *text + strspn(*text, " \t"), *end = start;

	while (isalnum((unsigned char)*end) || *end == '_')
		end++;
	*text = end + strspn(end, " \t");
	return pool_copy(pool, start, end - start);
}

static char *parse_condition(struct config *config, int line, char *text, struct pool *pool)
{
	struct acl_condition *condition = pool_alloc(&config->pool, sizeof(*condition));
	const char *near;
	char *name;

	text += strspn(text, " \t");
	condition->negated = *text == '!';
	text += condition->negated;
	name = read_word(pool, &text);
	condition->kind = kind_find(name, &near);
	if (!condition->kind)
		return unknown_name(pool, "condition or modifier", "", name, near);
	if (condition->kind->flags & MODIFIER && condition->negated)
		return pool_printf(pool, "'!' before %s means nothing", name);
	if (kind_is_set(condition->kind)) {
		condition->variable = read_word(&config->pool, &text);
		if (!variable_may_be_set(condition->variable))
			return pool_printf(
				pool,
				"set: '%s' is not a variable of ACLs: acl_c_NAME or acl_m_NAME",
				condition->variable);
	}
	if (*text != '=')
		return pool_printf(pool, "'=' is missing after %s", name);
	condition->line = line;
	condition->value = pool_string(&config->pool, text + 1 + strspn(text + 1, " \t"));
	*config->acls->last->end = condition;
	config->acls->last->end = &condition->next;
	return NULL;
}

static struct acl *find_acl(const struct config *config, const char *name)
{
	struct acl *acl;

	for (acl = config->acls; acl && strcmp(acl->name, name); acl = acl->next)
		;
	return acl;
}

static char *begin_acl(struct config *config, const char *name, struct pool *pool)
{
	struct acl *acl = pool_alloc(&config->pool, sizeof(*acl));

	if (find_acl(config, name))
		return pool_printf(pool, "there are two ACLs '%s'", name);
	acl->name = pool_string(&config->pool, name);
	acl->end = &acl->verbs;
	acl->next = config->acls;
	config->acls = acl;
	return NULL;
}

char *acl_line(struct config *config, int line, char *text, struct pool *pool)
{
	char *rest = text, *word = read_word(pool, &rest);
	int verb = NAME_FIND(word, verb_names);
	struct acl *acl = config->acls;
	const char *near;

	if (*word && *rest == ':')
		return rest[1 + strspn(rest + 1, " \t")]
			       ? "the first verb of an ACL stands on the next line"
			       : begin_acl(config, word, pool);
	if (!acl)
		return pool_printf(pool, "'%s' belongs to no ACL: its name and a colon come first",
				   text);
	if (verb >= 0 && *rest != '=') {
		acl->last = pool_alloc(&config->pool, sizeof(*acl->last));
		acl->last->verb = verb;
		acl->last->end = &acl->last->conditions;
		*acl->end = acl->last;
		acl->end = &acl->last->next;
		return *rest ? parse_condition(config, line, rest, pool) : NULL;
	}
	if (*rest != '=' && *word && !kind_find(word, &near))
		return unknown_name(pool, "verb", "", word, NAME_NEAREST(word, verb_names));
	if (!acl->last)
		return pool_printf(pool, "'%s' comes before any verb", text);
	return parse_condition(config, line, text, pool);
}

/* ---- checking and running ---- */

static const char *const point_names[ACL_POINTS] = {"connect", "helo", "mail", "rcpt", "data"};

static int test(struct run *run, const struct acl_condition *condition, unsigned int points)
{
	const struct kind *kind = condition->kind;
	char *value = condition->value;
	int i;

	for (i = 0; i < ACL_POINTS; i++) {
		if (points & AT(i) && !(kind->points & AT(i)))
			return failed(&run->eval, "means nothing in acl_smtp_%s", point_names[i]);
	}
	if (!(kind->flags & RAW))
		value = expand(&run->eval, value);
	else if (!run->eval.session)
		expand(&run->eval, value);
	if (run->eval.error)
		return -1;
	return value ? kind->test(run, condition, value) : 1; /* known only when it is used */
}

static int run_condition(struct run *run, const struct acl_condition *condition,
			 unsigned int points)
{
	int result = test(run, condition, points);

	if (result < 0)
		run->eval.error =
			pool_printf(run->eval.pool, "%s:%d: %s: %s", run->eval.config->file,
				    condition->line, condition->kind->name, run->eval.error);
	return result;
}

char *acl_check(struct config *config, struct pool *pool)
{
	struct run run = {.eval = {.config = config, .pool = pool}};
	const struct acl_condition *condition;
	const struct acl_verb *verb;
	struct acl *acl;
	char *name;
	int i;

	for (i = 0; i < ACL_POINTS; i++) {
		name = config->acl[i] ? expand(&run.eval, config->acl[i]) : NULL;
		acl = name ? find_acl(config, name) : NULL;
		if (acl)
			acl->points |= AT(i);
		else if (name)
			return pool_printf(pool, "acl_smtp_%s: there is no ACL '%s'",
					   point_names[i], name);
	}
	for (acl = config->acls; acl; acl = acl->next) {
		for (verb = acl->verbs; verb; verb = verb->next) {
			for (condition = verb->conditions; condition; condition = condition->next) {
				if (run_condition(&run, condition, acl->points) < 0)
					return run.eval.error;
			}
		}
	}
	return NULL;
}

static int run_conditions(struct run *run, const struct acl_verb *verb)
{
	const struct acl_condition *condition;
	int result;

	run->message = run->log_message = NULL;
	for (condition = verb->conditions; condition; condition = condition->next) {
		result = run_condition(run, condition, AT(run->point));
		if (result < 0 || result == condition->negated)
			return result < 0 ? -1 : 0;
	}
	return 1;
}

/* The text of @message, or NULL: there is none, it is empty, or it cannot be expanded. */
static char *text_of(struct run *run, const struct acl_condition *message)
{
	struct evaluation eval = evaluation_in(run->eval.session);
	char *text = message ? expand(&eval, message->value) : NULL;

	if (eval.error)
		log_line("%s:%d: %s: %s", eval.config->file, message->line, message->kind->name,
			 eval.error);
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
	return pool_printf(&session->pool, "%s%s%s", code_length(message) ? "" : code,
			   code_length(message) ? "" : " ", message);
}

/* Logs that the ACL of this point has refused. The first line of @text is logged. */
static void log_refusal(struct run *run, bool for_now, const char *text)
{
	struct session *session = run->eval.session;
	const struct transaction *mail = &session->mail;
	const char *about[ACL_POINTS] = {
		"connection in \"connect\" ACL",
		pool_printf(&session->pool, "EHLO or HELO %s", session->helo),
		pool_printf(&session->pool, "MAIL <%s>", mail->sender),
		pool_printf(&session->pool, "RCPT <%s>", mail->recipient), "after DATA"};
	const char *sender = run->point == ACL_RCPT || run->point == ACL_DATA
				     ? pool_printf(&session->pool, " F=<%s>", mail->sender)
				     : "";

	log_line("%s%sH=%s%s %srejected %s%s%.*s", mail->id, mail->id[0] ? " " : "",
		 session_host(session), sender, for_now ? "temporarily " : "", about[run->point],
		 text ? ": " : "", text ? (int)strcspn(text, "\r\n") : 0, text ? text : "");
}

static enum acl_result refuse(struct run *run, enum acl_result result, char **message)
{
	const char *code = result == ACL_DEFER ? "451" : "550";
	const char *text = with_code(run->eval.session, code, text_of(run, run->message));
	const char *logged = run->eval.error ? run->eval.error : text_of(run, run->log_message);

	log_refusal(run, result == ACL_DEFER, logged ? logged : text);
	if (!text)
		text = result == ACL_DEFER ? "Temporary local problem - please try later"
					   : "Administrative prohibition";
	*message = reply_of(run->eval.session, code, text);
	return result;
}

/* The result of a verb whose conditions are @yes. Return: an acl_result, or -1: continue with the
 * next verb. */
static int decide(struct run *run, enum verb verb, bool yes, char **message)
{
	struct session *session = run->eval.session;
	const char *text;

	if (yes == (verb == REQUIRE))
		return -1;
	switch (verb) {
	case ACCEPT:
		text = with_code(session, "250", text_of(run, run->message));
		*message = text ? reply_of(session, "250", text) : NULL;
		return ACL_ACCEPT;
	case WARN:
		text = text_of(run, run->log_message);
		if (text)
			log_line("H=%s Warning: %s", session_host(session), text);
		return -1;
	case DEFER:
		return (int)refuse(run, ACL_DEFER, message);
	default:
		return (int)refuse(run, verb == DROP ? ACL_DROP : ACL_DENY, message);
	}
}

/* A condition could not be tested. A warning is left out if it was for want of an answer of the
 * DNS. Return: as decide(). */
static int give_up(struct run *run, enum verb verb, char **message)
{
	struct session *session = run->eval.session;
	bool go_on = verb == WARN && session->dns_deferred;

	session->dns_deferred = false;
	run->message = run->log_message = NULL;
	if (!go_on)
		return (int)refuse(run, ACL_DEFER, message);
	log_line("H=%s: a warning is left out: %s", session_host(session), run->eval.error);
	run->eval.error = NULL;
	return -1;
}

enum acl_result acl_run(struct session *session, enum acl_point point, char **message)
{
	struct run run = {.eval = evaluation_in(session), .point = point};
	const char *name = session->config->acl[point];
	const struct acl_verb *verb;
	const struct acl *acl;
	int yes, result = -1;

	*message = NULL;
	if (!name)
		return ACL_ACCEPT;
	name = expand(&run.eval, name);
	acl = name ? find_acl(session->config, name) : NULL;
	if (name && !acl)
		failed(&run.eval, "there is no ACL '%s'", name);
	if (!acl)
		return refuse(&run, ACL_DEFER, message);
	for (verb = acl->verbs; verb && result < 0; verb = verb->next) {
		yes = run_conditions(&run, verb);
		result = yes < 0 ? give_up(&run, verb->verb, message)
				 : decide(&run, verb->verb, yes, message);
	}
	run.message = run.log_message = NULL;
	return result >= 0 ? (enum acl_result)result : refuse(&run, ACL_DENY, message);
}
