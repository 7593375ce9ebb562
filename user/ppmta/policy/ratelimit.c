// SPDX-License-Identifier: BSD-2-Clause
/*
 * The condition ratelimit: LIMIT / PERIOD / OPTIONS / KEY. It is taken apart before it is expanded,
 * so that nothing that a client says is an option.
 */
#include <string.h>
#include <stdlib.h>

#include "../../common/name.h"
#include "../../common/number.h"
#include "acl.h"

static const char *const units[] = {"per_conn", "per_mail", "per_rcpt"};
#define KEPT_MAX 100 /* rates that a connection remembers */

enum unit { PER_CONN, PER_MAIL, PER_RCPT };

struct rate {
	char *limit, *period, *key; /* as they are written */
	int unit;		    /* -1: none is named */
	const char *leak;	    /* strict or leaky; NULL: none is named */
};

/* A rate that was counted already for what it is per. */
struct counted_rate {
	struct counted_rate *next;
	const char *key;
	double rate;
};

char *acl_next_part(struct pool *pool, const char **text)
{
	const char *start = *text;
	int depth = 0;
	size_t len;

	if (!start)
		return NULL;
	for (len = 0; start[len] && (depth || start[len] != '/'); len++) {
		if (start[len] == '\\' && start[len + 1])
			len++;
		else if (start[len] == '{')
			depth++;
		else if (start[len] == '}' && depth)
			depth--;
	}
	*text = start[len] ? start + len + 1 : NULL;
	return string_trim(pool_copy(pool, start, len));
}

/* @word: an option, or a part of the key. Return: NULL, or what is wrong. */
static char *add_word(struct rate *rate, char *word, struct pool *pool)
{
	static const char *const known[] = {"per_conn", "per_mail", "per_rcpt", "strict", "leaky"};
	static const char *const others[] = {"noupdate", "readonly", "per_addr", "per_byte",
					     "per_cmd"};
	int unit = NAME_FIND(word, units);
	char hint[SUGGESTION_MAX];

	if (unit >= 0 && rate->unit >= 0)
		return pool_printf(pool, "%s and %s exclude each other", units[rate->unit], word);
	if (unit >= 0) {
		rate->unit = unit;
	} else if (!strcmp(word, "strict") || !strcmp(word, "leaky")) {
		if (rate->leak)
			return "strict and leaky exclude each other";
		rate->leak = word;
	} else if (NAME_FIND(word, others) >= 0 || !strncmp(word, "per_", 4) ||
		   !strncmp(word, "unique=", 7) || !strncmp(word, "count=", 6) ||
		   NAME_NEAREST(word, known)) {
		return pool_printf(pool, "'%s' is not supported%s", word,
				   name_suggestion(hint, "", NAME_NEAREST(word, known)));
	} else {
		rate->key = rate->key ? pool_printf(pool, "%s/%s", rate->key, word) : word;
	}
	return NULL;
}

static char *parse(const char *text, struct rate *rate, struct pool *pool)
{
	char *word, *wrong = NULL;

	memset(rate, 0, sizeof(*rate));
	rate->unit = -1;
	rate->limit = acl_next_part(pool, &text);
	rate->period = acl_next_part(pool, &text);
	while (!wrong && (word = acl_next_part(pool, &text)))
		wrong = add_word(rate, word, pool);
	if (!wrong && !rate->period)
		wrong = "needs LIMIT / PERIOD, as in 10 / 1h";
	if (rate->unit < 0)
		rate->unit = PER_MAIL;
	return wrong;
}

/* A number with decimals, perhaps, and K, M or G. */
static char *read_limit(const char *text, double *limit, struct pool *pool)
{
	char *end;

	*limit = strtod(text, &end);
	if (end != text && *end && strchr("kKmMgG", *end)) {
		*limit *= strchr("kK", *end) ? 1 << 10 : strchr("mM", *end) ? 1 << 20 : 1 << 30;
		end++;
	}
	return end == text || *end || !(*limit >= 0)
		       ? pool_printf(pool, "'%s' is not a limit", text)
		       : NULL;
}

static char *read_period(const char *text, double *period, struct pool *pool)
{
	uint64_t ms;

	if (time_parse(text, INT64_MAX, &ms) || !ms)
		return pool_printf(pool, "'%s' is not a time", text);
	*period = ms / 1000.0;
	return NULL;
}

char *ratelimit_check(struct config *config, const struct acl_condition *condition,
		      const char *value, struct pool *pool)
{
	char *wrong, *limit, *period;
	struct rate rate;
	double number;

	(void)value;
	wrong = parse(condition->value, &rate, pool);
	if (wrong)
		return wrong;
	expand_check(config, rate.limit, pool, &limit);
	expand_check(config, rate.period, pool, &period);
	wrong = limit ? read_limit(limit, &number, pool) : NULL;
	return wrong || !period ? wrong : read_period(period, &number, pool);
}

/* Exim counts an event once: a connection, a message, or a recipient. */
static struct counted_rate **counted_of(struct session *session, const struct rate *rate,
					struct pool **pool)
{
	*pool = rate->unit == PER_CONN	 ? &session->kept
		: rate->unit == PER_MAIL ? &session->mail.pool
					 : &session->pool;
	return rate->unit == PER_CONN	? &session->counted_rates
	       : rate->unit == PER_MAIL ? &session->mail.counted_rates
					: &session->command_rates;
}

static double count(struct run *run, const struct rate *rate, const char *key, double limit,
		    double period)
{
	struct session *session = run->session;
	struct pool *pool;
	struct counted_rate **list = counted_of(session, rate, &pool), *counted;
	double events = run->point == ACL_DATA && rate->unit == PER_RCPT
				? session->mail.recipient_count
				: 1,
	       now;
	int kept = 0;

	for (counted = *list; counted; counted = counted->next, kept++) {
		if (!strcmp(counted->key, key))
			return counted->rate;
	}
	now = limit_rate(key, limit, period, events, rate->leak && *rate->leak == 's');
	if (kept == KEPT_MAX) /* what a client says is in the keys: another one counts again */
		return now;
	counted = pool_alloc(pool, sizeof(*counted));
	counted->key = pool_string(pool, key);
	counted->rate = now;
	counted->next = *list;
	*list = counted;
	return now;
}

int ratelimit_test(struct run *run, const struct acl_condition *condition, char *value)
{
	struct session *session = run->session;
	struct pool *pool = &session->pool;
	double limit = 0, period = 1, now;
	char *limit_text, *period_text;
	const char *key;
	struct rate rate;

	(void)condition;
	run->error = parse(value, &rate, pool);
	if (!run->error && rate.unit == PER_RCPT && !(AT_RECEIVER & AT(run->point)))
		run->error = "per_rcpt counts in acl_smtp_rcpt and acl_smtp_data";
	if (run->error)
		return -1;
	limit_text = expand(session, rate.limit, &run->error);
	period_text = limit_text ? expand(session, rate.period, &run->error) : NULL;
	if (!period_text)
		return -1;
	key = rate.key ? expand(session, rate.key, &run->error)
		       : limit_origin(session->sender_host_address, pool);
	if (!run->error)
		run->error = read_limit(limit_text, &limit, pool);
	if (!run->error)
		run->error = read_period(period_text, &period, pool);
	if (run->error)
		return -1;
	key = pool_printf(pool, "%s/%s/%s", period_text, units[rate.unit], key);
	now = count(run, &rate, key, limit, period);
	session->sender_rate = pool_printf(pool, "%.1f", now);
	session->sender_rate_limit = limit_text;
	session->sender_rate_period = period_text;
	return now >= limit;
}
