// SPDX-License-Identifier: BSD-2-Clause
/*
 * Access control lists: read from the configuration, checked when it is read, run in a session.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../../common/name.h"
#include "../../common/number.h"
#include "policy.h"

#define DELAY_MAX_MS (24 * 3600 * 1000)

enum verb { ACCEPT, DEFER, DENY, DISCARD, DROP, REQUIRE, WARN };

static const char *const verb_names[] = {"accept", "defer",   "deny", "discard",
					 "drop",   "require", "warn"};

struct acl_condition {
	struct acl_condition *next;
	const struct kind *kind;
	int negated;
	int line;
	char *value;
	char *variable; /* of set */
};

struct acl_verb {
	struct acl_verb *next;
	enum verb verb;
	int line;
	struct acl_condition *conditions;
};

struct acl_parser {
	struct config *config;
	struct pool *pool;
	struct acl *acl;
	struct acl_verb *verb;
	struct acl_condition **next_condition;
};

struct acl {
	struct acl *next;
	char *name;
	struct acl_verb *verbs, **end;
};

/* The state of a run of an ACL. */
struct run {
	struct session *session;
	const char *message, *log_message; /* expanded */
	char *error;
};

struct kind {
	const char *name;
	int is_modifier;
	/* Return: 1, 0, or -1 with run->error. @value: expanded */
	int (*test)(struct run *run, const struct acl_condition *condition, char *value);
	char *(*check)(const char *value, struct pool *pool);
};

static int test_condition(struct run *run, const struct acl_condition *condition, char *value)
{
	int is;

	(void)condition;
	value += strspn(value, " \t\n");
	is = truth(value);
	if (is < 0)
		run->error = pool_printf(&run->session->pool,
					 "condition: '%s' is neither true nor false", value);
	return is;
}

static int test_hosts(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	return list_match_host(run->session, value, &run->error);
}

static int test_domains(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	return list_match_domain(run->session, address_domain(run->session->mail.recipient), value,
				 &run->error);
}

static int test_local_parts(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	return list_match_local_part(run->session, variable_get(run->session, "local_part"), value,
				     &run->error);
}

static int test_senders(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	return list_match_address(run->session, run->session->mail.sender, value, &run->error);
}

static int test_recipients(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	return list_match_address(run->session, run->session->mail.recipient, value, &run->error);
}

static int test_encrypted(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	return run->session->channel && run->session->channel->ssl &&
	       list_match_domain(run->session, variable_get(run->session, "tls_in_cipher"), value,
				 &run->error);
}

static int test_spf(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	return spf_match(run->session, value, &run->error);
}

struct rate {
	double limit, period;
	int strict;
	const char *unit; /* per_conn, per_mail, per_rcpt, per_cmd, per_byte */
	const char *key;
};

static int is_unit(const char *word)
{
	static const char *const units[] = {"per_conn", "per_mail", "per_rcpt", "per_cmd",
					    "per_byte"};

	return NAME_FIND(word, units) >= 0;
}

/* LIMIT / PERIOD / OPTION... / KEY */
static char *rate_parse(char *text, struct rate *rate, struct pool *pool)
{
	char *word, *next, *end;
	uint64_t period;
	int place = 0;

	memset(rate, 0, sizeof(*rate));
	rate->unit = "per_mail";
	for (word = strtok_r(text, "/", &next); word; word = strtok_r(NULL, "/", &next), place++) {
		word += strspn(word, " \t");
		end = word + strlen(word);
		while (end > word && isspace((unsigned char)end[-1]))
			*--end = 0;
		if (place == 0) {
			rate->limit = strtod(word, &end);
			if (end == word || *end || rate->limit < 0)
				return pool_printf(pool, "ratelimit: '%s' is not a limit", word);
		} else if (place == 1) {
			if (time_parse(word, INT64_MAX, &period) || !period)
				return pool_printf(pool, "ratelimit: '%s' is not a time", word);
			rate->period = period / 1000.0;
		} else if (!strcmp(word, "strict") || !strcmp(word, "leaky")) {
			rate->strict = *word == 's';
		} else if (is_unit(word)) {
			rate->unit = word;
		} else {
			rate->key = word;
		}
	}
	if (place < 2)
		return pool_printf(pool, "ratelimit: needs LIMIT / PERIOD, as in 10 / 1h");
	return NULL;
}

static int test_ratelimit(struct run *run, const struct acl_condition *condition, char *value)
{
	struct session *session = run->session;
	struct rate rate;
	double now, count = 1;
	const char *key;

	(void)condition;
	run->error = rate_parse(value, &rate, &session->pool);
	if (run->error)
		return -1;
	if (!strcmp(rate.unit, "per_byte"))
		count = session->mail.size;
	key = pool_printf(&session->pool, "%s/%g/%s",
			  rate.key ? rate.key : session->sender_host_address, rate.period,
			  rate.unit);
	now = limit_rate(key, rate.limit, rate.period, count, rate.strict);
	snprintf(session->sender_rate, sizeof(session->sender_rate), "%.1f", now);
	snprintf(session->sender_rate_limit, sizeof(session->sender_rate_limit), "%g", rate.limit);
	snprintf(session->sender_rate_period, sizeof(session->sender_rate_period), "%gs",
		 rate.period);
	return now > rate.limit;
}

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

static int do_delay(struct run *run, const struct acl_condition *condition, char *value)
{
	struct timespec time;
	uint64_t wanted;

	(void)condition;
	if (time_parse(value, DELAY_MAX_MS, &wanted)) {
		run->error = pool_printf(&run->session->pool, "delay: '%s' is not a time", value);
		return -1;
	}
	channel_flush(run->session->channel);
	time.tv_sec = wanted / 1000;
	time.tv_nsec = wanted % 1000 * 1000000;
	nanosleep(&time, NULL);
	return 1;
}

static int do_message(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	run->message = value;
	return 1;
}

static int do_log_message(struct run *run, const struct acl_condition *condition, char *value)
{
	(void)condition;
	run->log_message = value;
	return 1;
}

static char *check_delay(const char *value, struct pool *pool)
{
	uint64_t ms;

	if (strchr(value, '$') || !time_parse(value, DELAY_MAX_MS, &ms))
		return NULL;
	return pool_printf(pool, "'%s' is not a time", value);
}

static char *check_rate(const char *value, struct pool *pool)
{
	struct rate rate;

	if (strchr(value, '$'))
		return NULL;
	return rate_parse(pool_string(pool, value), &rate, pool);
}

static const struct kind kinds[] = {
	{"condition", 0, test_condition, NULL},
	{"delay", 1, do_delay, check_delay},
	{"domains", 0, test_domains, NULL},
	{"encrypted", 0, test_encrypted, NULL},
	{"hosts", 0, test_hosts, NULL},
	{"local_parts", 0, test_local_parts, NULL},
	{"log_message", 1, do_log_message, NULL},
	{"logwrite", 1, do_logwrite, NULL},
	{"message", 1, do_message, NULL},
	{"ratelimit", 0, test_ratelimit, check_rate},
	{"recipients", 0, test_recipients, NULL},
	{"senders", 0, test_senders, NULL},
	{"set", 1, do_set, NULL},
	{"spf", 0, test_spf, spf_check_list},
};

/* ---- reading ---- */

static const struct kind *find_kind(const char *name)
{
	int kind = NAME_FIND(name, kinds);

	return kind < 0 ? NULL : &kinds[kind];
}

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

static char *parse_condition(struct acl_parser *parser, int line, char *text)
{
	struct pool *kept = &parser->config->pool;
	struct acl_condition *condition = pool_alloc(kept, sizeof(*condition));
	char *name;

	text += strspn(text, " \t");
	while (*text == '!') {
		condition->negated = !condition->negated;
		text += 1 + strspn(text + 1, " \t");
	}
	name = read_word(parser->pool, &text);
	condition->kind = find_kind(name);
	if (!condition->kind)
		return unknown(parser->pool, "condition or modifier", name,
			       NAME_NEAREST(name, kinds));
	if (condition->kind->is_modifier && condition->negated)
		return pool_printf(parser->pool, "'!' before %s means nothing", name);
	condition->line = line;
	if (condition->kind->test == do_set) {
		condition->variable = pool_string(kept, read_word(parser->pool, &text));
		if (strncmp(condition->variable, "acl_c", 5) &&
		    strncmp(condition->variable, "acl_m", 5))
			return pool_printf(parser->pool,
					   "set: '%s' is not a variable of ACLs: acl_c_NAME or "
					   "acl_m_NAME",
					   condition->variable);
	}
	text += strspn(text, " \t");
	if (*text != '=')
		return pool_printf(parser->pool, "'=' is missing after %s", name);
	text += 1 + strspn(text + 1, " \t");
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
	int verb;

	if (*word && *rest == ':')
		return begin_acl(parser, word);
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
	if (rest[strspn(rest, " \t")] != '=' && *word && !find_kind(word))
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

static char *check_condition(struct config *config, const struct acl_condition *condition,
			     struct pool *pool)
{
	char *wrong = expand_check(config, condition->value, pool);

	if (!wrong && condition->kind->check)
		wrong = condition->kind->check(condition->value, pool);
	if (wrong)
		wrong = pool_printf(pool, "%s:%d: %s: %s", config->file, condition->line,
				    condition->kind->name, wrong);
	return wrong;
}

char *acl_check(struct config *config, struct pool *pool)
{
	const struct acl_condition *condition;
	const struct acl_verb *verb;
	const struct acl *acl;
	char *wrong;
	int i;

	for (acl = config->acls; acl; acl = acl->next) {
		for (verb = acl->verbs; verb; verb = verb->next) {
			for (condition = verb->conditions; condition; condition = condition->next) {
				wrong = check_condition(config, condition, pool);
				if (wrong)
					return wrong;
			}
		}
	}
	for (i = 0; i < ACL_POINTS; i++) {
		if (config->acl[i] && !strchr(config->acl[i], '$') &&
		    !find_acl(config, config->acl[i]))
			return pool_printf(pool, "there is no ACL '%s'", config->acl[i]);
	}
	return NULL;
}

/* ---- running ---- */

static int run_conditions(struct run *run, const struct acl_verb *verb)
{
	const struct acl_condition *condition;
	struct session *session = run->session;
	char *value;
	int result;

	run->message = run->log_message = NULL;
	for (condition = verb->conditions; condition; condition = condition->next) {
		value = expand(session, condition->value, &run->error);
		if (!value)
			return -1;
		result = condition->kind->test(run, condition, value);
		if (run->error)
			return -1;
		if (result == condition->negated)
			return 0;
	}
	return 1;
}

/* A message may begin with a code of its own, of the same class. */
static char *with_code(struct session *session, const char *code, const char *message)
{
	if (message[0] == code[0] && isdigit((unsigned char)message[1]) &&
	    isdigit((unsigned char)message[2]) && message[3] == ' ')
		return pool_string(&session->pool, message);
	return pool_printf(&session->pool, "%s %s", code, message);
}

static void log_refusal(struct run *run, enum acl_point point, enum acl_result result)
{
	static const char *const what[ACL_POINTS] = {"connection", "EHLO or HELO", "MAIL",
						     "RCPT",	   "DATA",	   "QUIT"};
	struct session *session = run->session;
	const char *text = run->log_message ? run->log_message : run->message;

	log_line("H=%s%s%s%s %srejected %s%s%s%s%s%s", session_host(session),
		 session->mail.has_sender ? " F=<" : "",
		 session->mail.has_sender ? session->mail.sender : "",
		 session->mail.has_sender ? ">" : "", result == ACL_DEFER ? "temporarily " : "",
		 what[point], point == ACL_RCPT ? " <" : "",
		 point == ACL_RCPT ? session->mail.recipient : "", point == ACL_RCPT ? ">" : "",
		 text ? ": " : "", text ? text : "");
}

static enum acl_result refuse(struct run *run, enum acl_point point, enum acl_result result,
			      char **message)
{
	const char *code = result == ACL_DEFER ? "451" : "550", *text = run->message;

	if (point == ACL_CONNECT)
		code = result == ACL_DEFER ? "421" : "554";
	if (!text)
		text = result == ACL_DEFER ? "Temporary local problem - please try later"
					   : "Administrative prohibition";
	*message = with_code(run->session, code, text);
	log_refusal(run, point, result);
	return result;
}

/* The result of a verb whose conditions are @yes. Return: an acl_result, or -1: continue with the
 * next verb. */
static int decide(struct run *run, const struct acl_verb *verb, int yes, enum acl_point point,
		  char **message)
{
	struct session *session = run->session;

	switch (verb->verb) {
	case ACCEPT:
		if (!yes)
			return -1;
		if (run->message)
			*message = with_code(session, "250", run->message);
		return ACL_ACCEPT;
	case DISCARD:
		return yes ? ACL_DISCARD : -1;
	case WARN:
		if (yes && run->log_message)
			log_line("H=%s Warning: %s", session_host(session), run->log_message);
		return -1;
	case DENY:
		return yes ? (int)refuse(run, point, ACL_DENY, message) : -1;
	case DROP:
		return yes ? (int)refuse(run, point, ACL_DROP, message) : -1;
	case DEFER:
		return yes ? (int)refuse(run, point, ACL_DEFER, message) : -1;
	case REQUIRE:
		return yes ? -1 : (int)refuse(run, point, ACL_DENY, message);
	}
	return -1;
}

enum acl_result acl_run(struct session *session, enum acl_point point, char **message)
{
	const char *name = session->config->acl[point];
	struct run run = {.session = session};
	const struct acl_verb *verb;
	const struct acl *acl;
	int yes, result;

	*message = NULL;
	if (!name)
		return ACL_ACCEPT;
	name = expand(session, name, &run.error);
	acl = name ? find_acl(session->config, name) : NULL;
	if (!acl) {
		log_line("%s", run.error
				       ? run.error
				       : pool_printf(&session->pool, "there is no ACL '%s'", name));
		return refuse(&run, point, ACL_DEFER, message);
	}
	for (verb = acl->verbs; verb; verb = verb->next) {
		yes = run_conditions(&run, verb);
		debug("%s:%d: %s: %d", session->config->file, verb->line, verb_names[verb->verb],
		      yes);
		if (yes < 0) {
			log_line("%s:%d: %s", session->config->file, verb->line, run.error);
			run.message = run.log_message = NULL;
			if (verb->verb == WARN) {
				run.error = NULL;
				continue;
			}
			return refuse(&run, point, ACL_DEFER, message);
		}
		result = decide(&run, verb, yes, point, message);
		if (result >= 0)
			return result;
	}
	/* denied if no verb has accepted it; a QUIT needs no consent */
	run.message = run.log_message = NULL;
	return point == ACL_QUIT ? ACL_ACCEPT : refuse(&run, point, ACL_DENY, message);
}
