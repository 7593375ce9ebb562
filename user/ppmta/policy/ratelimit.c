// SPDX-License-Identifier: BSD-2-Clause
/*
 * The condition ratelimit: LIMIT / PERIOD / OPTIONS / KEY. It is taken apart before it is expanded,
 * so that nothing that a client says is an option.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/name.h"
#include "../../common/number.h"
#include "acl.h"

#define KEPT_MAX 100 /* rates that a connection remembers */

static const char *const options[] = {"per_conn", "per_mail", "per_rcpt", "strict", "leaky"};
enum option { PER_CONN, PER_MAIL, PER_RCPT, STRICT, LEAKY };

struct rate {
	char *limit, *period, *key; /* as they are written */
	enum option unit;
	bool has_unit, has_leak, is_strict;
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

/* @word: an option, or a part of the key. */
static int add_word(struct evaluation *eval, struct rate *rate, char *word)
{
	static const char *const others[] = {"noupdate", "readonly"};
	int option = NAME_FIND(word, options);
	bool is_unit = option >= 0 && option <= PER_RCPT;

	if (option < 0) {
		if (NAME_FIND(word, others) >= 0 || !strncmp(word, "per_", 4) ||
		    !strncmp(word, "unique=", 7) || !strncmp(word, "count=", 6) ||
		    NAME_NEAREST(word, options))
			return failed(eval,
				      "'%s' is not supported: per_conn, per_mail, per_rcpt, "
				      "strict, leaky are",
				      word);
		rate->key = rate->key ? pool_printf(eval->pool, "%s/%s", rate->key, word) : word;
		return 0;
	}
	if (is_unit ? rate->has_unit : rate->has_leak)
		return failed(eval, "%s, and another one before: one of %s", word,
			      is_unit ? "per_conn, per_mail, per_rcpt" : "strict, leaky");
	if (is_unit) {
		rate->unit = option;
		rate->has_unit = true;
	} else {
		rate->is_strict = option == STRICT;
		rate->has_leak = true;
	}
	return 0;
}

static int parse(struct evaluation *eval, const char *text, struct rate *rate)
{
	char *word;

	rate->limit = acl_next_part(eval->pool, &text);
	rate->period = acl_next_part(eval->pool, &text);
	if (!rate->period)
		return failed(eval, "needs LIMIT / PERIOD, as in 10 / 1h");
	while ((word = acl_next_part(eval->pool, &text))) {
		if (add_word(eval, rate, word))
			return -1;
	}
	return 0;
}

/* Both are expanded; without a session, one that varies is NULL. */
static int read_numbers(struct evaluation *eval, const struct rate *rate, double *limit,
			double *period)
{
	uint64_t ms;
	char *end;

	if (rate->limit) {
		*limit = strtod(rate->limit, &end);
		if (end == rate->limit || *end || !isfinite(*limit) || *limit < 0)
			return failed(eval, "'%s' is not a limit", rate->limit);
	}
	if (rate->period) {
		if (time_parse(rate->period, INT64_MAX, &ms) || !ms)
			return failed(eval, "'%s' is not a time", rate->period);
		*period = ms / 1000.0;
	}
	return 0;
}

/* Exim counts an event once: a connection, a message, or a recipient. */
static double count(struct run *run, const struct rate *rate, const char *key, double limit,
		    double period)
{
	struct session *session = run->eval.session;
	struct pool *pools[] = {&session->kept, &session->mail.pool, &session->pool};
	struct counted_rate **lists[] = {&session->counted_rates, &session->mail.counted_rates,
					 &session->command_rates};
	struct counted_rate **list = lists[rate->unit], *counted;
	bool all = run->point == ACL_DATA && rate->unit == PER_RCPT;
	int kept = 0;
	double now;

	for (counted = *list; counted; counted = counted->next, kept++) {
		if (!strcmp(counted->key, key))
			return counted->rate;
	}
	now = limit_rate(key, limit, period, all ? session->mail.recipient_count : 1,
			 rate->is_strict);
	if (now < 0 ||
	    kept == KEPT_MAX) /* what a client says is in the keys: another one counts again */
		return now;
	counted = pool_alloc(pools[rate->unit], sizeof(*counted));
	counted->key = pool_string(pools[rate->unit], key);
	counted->rate = now;
	counted->next = *list;
	*list = counted;
	return now;
}

int ratelimit_test(struct run *run, const struct acl_condition *condition, char *value)
{
	struct evaluation *eval = &run->eval;
	struct session *session = eval->session;
	struct rate rate = {.unit = PER_MAIL};
	double limit = 0, period = 1, now;
	const char *key;

	(void)condition;
	if (parse(eval, value, &rate))
		return -1;
	rate.limit = expand(eval, rate.limit);
	rate.period = expand(eval, rate.period);
	if (eval->error || read_numbers(eval, &rate, &limit, &period) || !session)
		return eval->error ? -1 : 1;
	if (rate.unit == PER_RCPT && run->point != ACL_RCPT && run->point != ACL_DATA)
		return failed(eval, "per_rcpt counts in acl_smtp_rcpt and acl_smtp_data");
	key = rate.key ? expand(eval, rate.key)
		       : limit_origin(session->sender_host_address, eval->pool);
	if (!key)
		return -1;
	key = pool_printf(eval->pool, "%s/%s/%s", rate.period, options[rate.unit], key);
	now = count(run, &rate, key, limit, period);
	if (now < 0)
		return failed(eval, "no memory");
	session->sender_rate = pool_printf(eval->pool, "%.1f", now);
	session->sender_rate_limit = rate.limit;
	session->sender_rate_period = rate.period;
	return now >= limit;
}
