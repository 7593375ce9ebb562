// SPDX-License-Identifier: BSD-2-Clause
/*
 * Main options of the configuration: names, types, limits, defaults.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <pp/version.h>

#include "../../common/array.h"
#include "../../common/name.h"
#include "../../common/number.h"
#include "config.h"

enum option_type {
	OPTION_STRING,
	OPTION_PATH,	 /* of a file */
	OPTION_EXPANDED, /* expanded when it is used */
	OPTION_HOSTS,	 /* expanded, and a list of hosts */
	OPTION_COUNT,	 /* a number, 1 or more */
	OPTION_COUNT_0,	 /* one that may be 0: no limit */
	OPTION_TIME,	 /* 3s, 1h30m; kept in ms */
	OPTION_SIZE,	 /* 50M */
	OPTION_WORD,	 /* one of some, kept as its number */
};

static const char *const booleans[] = {"false", "true", NULL};
static const char *const lookups[] = {"auto", "kernel", "userspace", NULL};
static const char *const origins[] = {"none", "xclient", "proxy", NULL};

static const struct main_option {
	const char *name;
	enum option_type type;
	size_t offset;
	const char *standard;
	const char *const *words;
} options[] = {
#define FIELD(field) offsetof(struct config, field)
	{"acl_smtp_connect", OPTION_EXPANDED, FIELD(acl[ACL_CONNECT]), NULL, NULL},
	{"acl_smtp_data", OPTION_EXPANDED, FIELD(acl[ACL_DATA]), NULL, NULL},
	{"acl_smtp_helo", OPTION_EXPANDED, FIELD(acl[ACL_HELO]), NULL, NULL},
	{"acl_smtp_mail", OPTION_EXPANDED, FIELD(acl[ACL_MAIL]), NULL, NULL},
	{"acl_smtp_rcpt", OPTION_EXPANDED, FIELD(acl[ACL_RCPT]), NULL, NULL},
	{"delivery", OPTION_STRING, FIELD(delivery), NULL, NULL},
	{"delivery_origin", OPTION_WORD, FIELD(delivery_origin), "none", origins},
	{"delivery_timeout", OPTION_TIME, FIELD(delivery_timeout), "5m", NULL},
	{"dns_servers", OPTION_STRING, FIELD(dns_servers), NULL, NULL},
	{"dns_timeout", OPTION_TIME, FIELD(dns_timeout), "10s", NULL},
	{"host_lookup", OPTION_HOSTS, FIELD(host_lookup), NULL, NULL},
	{"hosts_proxy", OPTION_HOSTS, FIELD(proxy_required_hosts), NULL, NULL},
	{"local_interfaces", OPTION_STRING, FIELD(local_interfaces), "<; 0.0.0.0 ; ::0", NULL},
	{"log_file_path", OPTION_PATH, FIELD(log_file_path), NULL, NULL},
	{"log_selector", OPTION_STRING, FIELD(log_selector), "", NULL},
	{"message_size_limit", OPTION_SIZE, FIELD(message_size_limit), "50M", NULL},
	{"primary_hostname", OPTION_STRING, FIELD(primary_hostname), NULL, NULL},
	{"proxy_lookup", OPTION_WORD, FIELD(proxy_lookup), "auto", lookups},
	{"proxy_protocol_timeout", OPTION_TIME, FIELD(proxy_protocol_timeout), "3s", NULL},
	{"proxy_required_hosts", OPTION_HOSTS, FIELD(proxy_required_hosts), NULL, NULL},
	{"received_headers_max", OPTION_COUNT, FIELD(received_headers_max), "30", NULL},
	{"recipients_max", OPTION_COUNT, FIELD(recipients_max), "1000", NULL},
	{"smtp_accept_max", OPTION_COUNT, FIELD(smtp_accept_max), "2000", NULL},
	{"smtp_accept_max_nonmail", OPTION_COUNT, FIELD(smtp_accept_max_nonmail), "100", NULL},
	{"smtp_accept_max_per_host", OPTION_COUNT_0, FIELD(smtp_accept_max_per_host), "50", NULL},
	{"smtp_banner", OPTION_EXPANDED, FIELD(smtp_banner),
	 "$primary_hostname ESMTP ppmta " PP_VERSION, NULL},
	{"smtp_enforce_sync", OPTION_WORD, FIELD(smtp_enforce_sync), "true", booleans},
	{"smtp_max_synprot_errors", OPTION_COUNT, FIELD(smtp_max_synprot_errors), "20", NULL},
	{"smtp_receive_timeout", OPTION_TIME, FIELD(smtp_receive_timeout), "5m", NULL},
	{"smtp_session_timeout", OPTION_TIME, FIELD(smtp_session_timeout), "1h", NULL},
	{"temporary_directory", OPTION_PATH, FIELD(temporary_directory), "/tmp", NULL},
	{"tls_certificate", OPTION_PATH, FIELD(tls_certificate), NULL, NULL},
	{"tls_privatekey", OPTION_PATH, FIELD(tls_privatekey), NULL, NULL},
	{"user", OPTION_STRING, FIELD(user), NULL, NULL},
#undef FIELD
};

static const struct {
	const char *name;
	unsigned int bit;
} selectors[] = {
	{"proxy", SELECT_PROXY},
	{"proxy_negotiation", SELECT_PROXY_NEGOTIATION},
	{"smtp_connection", SELECT_SMTP_CONNECTION},
};

static char *set_selectors(struct config *config, const char *value, struct pool *pool)
{
	char *words = pool_string(pool, value), *word, *next;
	int selector;

	config->selected = 0;
	for (word = strtok_r(words, " \t", &next); word; word = strtok_r(NULL, " \t", &next)) {
		selector = NAME_FIND(word + 1, selectors);
		if (*word != '+' || selector < 0)
			return unknown_name(pool, "log selector", "+", word + (*word == '+'),
					    NAME_NEAREST(word + strspn(word, "+-"), selectors));
		config->selected |= selectors[selector].bit;
	}
	return NULL;
}

static char *set_word(const char *value, int *to, const char *const *words, struct pool *pool)
{
	struct text list = {.pool = pool};
	int i;

	for (i = 0; words[i]; i++) {
		text_add_string(&list, pool_printf(pool, "%s%s", i ? ", " : "", words[i]));
		if (!strcmp(words[i], value)) {
			*to = i;
			return NULL;
		}
	}
	return pool_printf(pool, "'%s' is none of %s", value, text_get(&list));
}

static char *set(struct config *config, const struct main_option *option, const char *value,
		 struct pool *pool)
{
	void *field = (char *)config + option->offset;
	uint64_t number = 0;

	switch (option->type) {
	case OPTION_WORD:
		return set_word(value, field, option->words, pool);
	case OPTION_COUNT:
	case OPTION_COUNT_0:
		if (number_parse(value, option->type == OPTION_COUNT, COUNT_MAX, &number))
			return pool_printf(pool, "'%s' is not a number from %d to %d", value,
					   option->type == OPTION_COUNT, COUNT_MAX);
		*(int *)field = number;
		return NULL;
	case OPTION_TIME:
		if (time_parse(value, INT_MAX, &number) || !number)
			return pool_printf(pool, "'%s' is not a time, as 30s, 5m, 1h30m", value);
		*(int *)field = number;
		return NULL;
	case OPTION_SIZE:
		if (size_parse(value, INT64_MAX, &number) || !number)
			return pool_printf(
				pool, "'%s' is not a size: a number, or one with K, M or G", value);
		*(uint64_t *)field = number;
		return NULL;
	case OPTION_PATH:
		if (*value != '/')
			return pool_printf(
				pool, "'%s' is not the path of a file: it begins with no /", value);
		/* fall through */
	default:
		*(char **)field = pool_string(&config->pool, value);
		return field == &config->log_selector ? set_selectors(config, value, pool) : NULL;
	}
}

char *option_set(struct config *config, int line, const char *name, const char *value,
		 struct pool *pool)
{
	int found = NAME_FIND(name, options);
	char *wrong;

	if (found < 0)
		return unknown_name(pool, "option", "", name, NAME_NEAREST(name, options));
	if (!value)
		return pool_printf(pool, "%s: needs '=' and a value", name);
	if (line && config->lines[found])
		return pool_printf(pool, "%s is set in line %d already", name,
				   config->lines[found]);
	config->lines[found] = line;
	wrong = set(config, &options[found], value, pool);
	return wrong ? pool_printf(pool, "%s: %s", name, wrong) : NULL;
}

int option_line(const struct config *config, const char *text)
{
	char name[64];
	int found;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, ":"), text);
	found = NAME_FIND(name, options);
	return found < 0 ? 0 : config->lines[found];
}

struct config *config_new(void)
{
	struct config *config = calloc(1, sizeof(*config));
	size_t i;

	if (!config)
		abort();
	config->references = 1;
	config->lines = pool_alloc(&config->pool, sizeof(int) * ARRAY_SIZE(options));
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].standard)
			set(config, &options[i], options[i].standard, &config->pool);
	}
	return config;
}

const char *option_next_expanded(const struct config *config, size_t *at, const char **name,
				 bool *is_hosts)
{
	const struct main_option *option;
	char *value;

	while (*at < ARRAY_SIZE(options)) {
		option = &options[(*at)++];
		*is_hosts = option->type == OPTION_HOSTS;
		if (!*is_hosts && option->type != OPTION_EXPANDED)
			continue;
		value = *(char *const *)((const char *)config + option->offset);
		*name = option->name;
		if (value)
			return value;
	}
	return NULL;
}
