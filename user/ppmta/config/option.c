// SPDX-License-Identifier: BSD-2-Clause
/*
 * Main options of the configuration: names, types, defaults.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../common/array.h"
#include "../../common/name.h"
#include "../../common/number.h"
#include "config.h"

enum option_type {
	OPTION_STRING,
	OPTION_EXPANDED, /* expanded when it is used */
	OPTION_HOSTS,	 /* expanded, and a list of hosts */
	OPTION_INTEGER,
	OPTION_BOOLEAN,
	OPTION_TIME,  /* 3s, 1h30m; kept in ms */
	OPTION_SIZE,  /* 50M */
	OPTION_PORTS, /* a list of numbers */
	OPTION_LOOKUP,
	OPTION_ORIGIN,
};

static const struct main_option {
	const char *name;
	enum option_type type;
	size_t offset;
	const char *standard;
	const char *other_name;
} options[] = {
#define FIELD(field) offsetof(struct config, field)
	{"acl_smtp_connect", OPTION_EXPANDED, FIELD(acl[ACL_CONNECT]), NULL, NULL},
	{"acl_smtp_data", OPTION_EXPANDED, FIELD(acl[ACL_DATA]), NULL, NULL},
	{"acl_smtp_helo", OPTION_EXPANDED, FIELD(acl[ACL_HELO]), NULL, NULL},
	{"acl_smtp_mail", OPTION_EXPANDED, FIELD(acl[ACL_MAIL]), NULL, NULL},
	{"acl_smtp_quit", OPTION_EXPANDED, FIELD(acl[ACL_QUIT]), NULL, NULL},
	{"acl_smtp_rcpt", OPTION_EXPANDED, FIELD(acl[ACL_RCPT]), NULL, NULL},
	{"daemon_smtp_ports", OPTION_PORTS, FIELD(daemon_smtp_ports), "25", NULL},
	{"delivery", OPTION_STRING, FIELD(delivery), NULL, NULL},
	{"delivery_origin", OPTION_ORIGIN, FIELD(delivery_origin), "none", NULL},
	{"delivery_timeout", OPTION_TIME, FIELD(delivery_timeout), "5m", NULL},
	{"dns_servers", OPTION_STRING, FIELD(dns_servers), NULL, NULL},
	{"dns_timeout", OPTION_TIME, FIELD(dns_timeout), "10s", NULL},
	{"host_lookup", OPTION_HOSTS, FIELD(host_lookup), NULL, NULL},
	{"local_interfaces", OPTION_STRING, FIELD(local_interfaces), "<; 0.0.0.0 ; ::0", NULL},
	{"log_file_path", OPTION_STRING, FIELD(log_file_path), NULL, NULL},
	{"log_selector", OPTION_STRING, FIELD(log_selector), NULL, NULL},
	{"message_size_limit", OPTION_SIZE, FIELD(message_size_limit), "50M", NULL},
	{"pid_file_path", OPTION_STRING, FIELD(pid_file_path), NULL, NULL},
	{"primary_hostname", OPTION_STRING, FIELD(primary_hostname), NULL, NULL},
	{"proxy_lookup", OPTION_LOOKUP, FIELD(proxy_lookup), "auto", NULL},
	{"proxy_protocol_timeout", OPTION_TIME, FIELD(proxy_protocol_timeout), "3s", NULL},
	{"proxy_required_hosts", OPTION_HOSTS, FIELD(proxy_required_hosts), NULL, "hosts_proxy"},
	{"received_headers_max", OPTION_INTEGER, FIELD(received_headers_max), "30", NULL},
	{"recipients_max", OPTION_INTEGER, FIELD(recipients_max), "1000", NULL},
	{"smtp_accept_max", OPTION_INTEGER, FIELD(smtp_accept_max), "2000", NULL},
	{"smtp_accept_max_per_host", OPTION_INTEGER, FIELD(smtp_accept_max_per_host), "50", NULL},
	{"smtp_accept_max_nonmail", OPTION_INTEGER, FIELD(smtp_accept_max_nonmail), "100", NULL},
	{"smtp_banner", OPTION_EXPANDED, FIELD(smtp_banner),
	 "$primary_hostname ESMTP ppmta $version_number", NULL},
	{"smtp_enforce_sync", OPTION_BOOLEAN, FIELD(smtp_enforce_sync), "true", NULL},
	{"smtp_max_synprot_errors", OPTION_INTEGER, FIELD(smtp_max_synprot_errors), "20", NULL},
	{"smtp_receive_timeout", OPTION_TIME, FIELD(smtp_receive_timeout), "5m", NULL},
	{"smtp_session_timeout", OPTION_TIME, FIELD(smtp_session_timeout), "1h", NULL},
	{"temporary_directory", OPTION_STRING, FIELD(temporary_directory), "/tmp", NULL},
	{"tls_advertise_hosts", OPTION_HOSTS, FIELD(tls_advertise_hosts), "*", NULL},
	{"tls_certificate", OPTION_STRING, FIELD(tls_certificate), NULL, NULL},
	{"tls_on_connect_ports", OPTION_PORTS, FIELD(tls_on_connect_ports), NULL, NULL},
	{"tls_privatekey", OPTION_STRING, FIELD(tls_privatekey), NULL, NULL},
	{"user", OPTION_STRING, FIELD(user), NULL, "exim_user"},
#undef FIELD
};

static const char *const lookup_names[] = {"auto", "kernel", "userspace"};
static const char *const origin_names[] = {"none", "xclient", "proxy"};

static const struct {
	const char *name;
	unsigned int bit;
} selectors[] = {
	{"proxy", SELECT_PROXY},
	{"smtp_connection", SELECT_SMTP_CONNECTION},
	{"proxy_negotiation", SELECT_PROXY_NEGOTIATION},
	{"tls_cipher", SELECT_TLS_CIPHER},
	{"lost_incoming_connection", SELECT_LOST_CONNECTION},
	{"all", ~0U},
};

#define STANDARD_SELECTORS (SELECT_TLS_CIPHER | SELECT_LOST_CONNECTION)

static const struct main_option *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (!strcmp(options[i].name, name) ||
		    (options[i].other_name && !strcmp(options[i].other_name, name)))
			return &options[i];
	}
	return NULL;
}

int option_exists(const char *name)
{
	return find(name) != NULL;
}

int option_is_boolean(const char *name)
{
	const struct main_option *option = find(name);

	return option && option->type == OPTION_BOOLEAN;
}

const char *option_nearest(const char *name)
{
	return NAME_NEAREST(name, options);
}

static char *set_integer(const char *value, int *to, struct pool *pool)
{
	uint64_t number;

	if (number_parse(value, 0, INT_MAX, &number))
		return pool_printf(pool, "'%s' is not a number from 0 to %d", value, INT_MAX);
	*to = number;
	return NULL;
}

static char *set_size(const char *value, uint64_t *to, struct pool *pool)
{
	if (size_parse(value, INT64_MAX, to))
		return pool_printf(pool, "'%s' is not a size: a number, or one with K, M or G",
				   value);
	return NULL;
}

static char *set_time(const char *value, int *to, struct pool *pool)
{
	uint64_t ms;

	if (time_parse(value, INT_MAX, &ms))
		return pool_printf(pool, "'%s' is not a time: 30s, 5m, 1h30m", value);
	*to = ms;
	return NULL;
}

static char *set_boolean(const char *value, int *to, struct pool *pool)
{
	if (!strcasecmp(value, "true") || !strcasecmp(value, "yes"))
		*to = 1;
	else if (!strcasecmp(value, "false") || !strcasecmp(value, "no"))
		*to = 0;
	else
		return pool_printf(pool, "'%s' is neither true nor false", value);
	return NULL;
}

static char *set_lookup(const char *value, int *to, struct pool *pool)
{
	int lookup = NAME_FIND(value, lookup_names);

	if (lookup < 0)
		return pool_printf(pool, "'%s' is neither auto, kernel nor userspace", value);
	*to = lookup;
	return NULL;
}

static char *set_origin(const char *value, int *to, struct pool *pool)
{
	int origin = NAME_FIND(value, origin_names);

	if (origin < 0)
		return pool_printf(pool, "'%s' is neither none, xclient nor proxy", value);
	*to = origin;
	return NULL;
}

static char *set_selectors(struct config *config, struct pool *pool)
{
	char *words, *word, *next, hint[SUGGESTION_MAX];
	const char *near;
	int selector;

	config->selected = STANDARD_SELECTORS;
	if (!config->log_selector)
		return NULL;
	words = pool_string(pool, config->log_selector);
	for (word = strtok_r(words, " \t", &next); word; word = strtok_r(NULL, " \t", &next)) {
		selector = NAME_FIND(word + 1, selectors);
		if ((*word != '+' && *word != '-') || selector < 0) {
			near = NAME_NEAREST(word + strspn(word, "+-"), selectors);
			return pool_printf(pool, "unknown log selector '%s'%s", word,
					   name_suggestion(hint, "+", near));
		}
		if (*word == '+')
			config->selected |= selectors[selector].bit;
		else
			config->selected &= ~selectors[selector].bit;
	}
	return NULL;
}

static char *check_ports(const char *value, struct pool *pool)
{
	char separator = 0, *item;
	uint64_t port;

	while ((item = list_next(pool, &value, &separator))) {
		if (number_parse(item, 1, UINT16_MAX, &port))
			return pool_printf(pool, "'%s' is not a port", item);
	}
	return NULL;
}

static char *set(struct config *config, const struct main_option *option, const char *value,
		 struct pool *pool)
{
	void *field = (char *)config + option->offset;

	switch (option->type) {
	case OPTION_STRING:
	case OPTION_EXPANDED:
	case OPTION_HOSTS:
	case OPTION_PORTS:
		*(char **)field = pool_string(&config->pool, value);
		return option->type == OPTION_PORTS ? check_ports(value, pool) : NULL;
	case OPTION_INTEGER:
		return set_integer(value, field, pool);
	case OPTION_BOOLEAN:
		return set_boolean(value, field, pool);
	case OPTION_TIME:
		return set_time(value, field, pool);
	case OPTION_SIZE:
		return set_size(value, field, pool);
	case OPTION_LOOKUP:
		return set_lookup(value, field, pool);
	case OPTION_ORIGIN:
		return set_origin(value, field, pool);
	}
	return NULL;
}

char *option_set(struct config *config, int line, const char *name, const char *value,
		 struct pool *pool)
{
	const struct main_option *option = find(name);
	char *wrong;

	if (!option)
		return pool_printf(pool, "unknown option '%s'", name);
	if (line && config->lines[option - options])
		return pool_printf(pool, "%s is set in line %d already", name,
				   config->lines[option - options]);
	config->lines[option - options] = line;
	wrong = set(config, option, value, pool);
	if (!wrong && option->offset == offsetof(struct config, log_selector))
		wrong = set_selectors(config, pool);
	return wrong ? pool_printf(pool, "%s: %s", name, wrong) : NULL;
}

int option_line(const struct config *config, const char *text)
{
	char name[64];
	const struct main_option *option;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, ":"), text);
	option = find(name);
	return option ? config->lines[option - options] : 0;
}

const char *option_name_of(const struct config *config, const void *field)
{
	size_t i = 0;

	while (options[i].offset != (size_t)((const char *)field - (const char *)config))
		i++;
	return options[i].name;
}

struct config *config_new(void)
{
	struct config *config = calloc(1, sizeof(*config));
	struct pool pool = {0};
	size_t i;

	if (!config)
		abort();
	config->references = 1;
	config->lines = pool_alloc(&config->pool, sizeof(int) * ARRAY_SIZE(options));
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].standard)
			set(config, &options[i], options[i].standard, &pool);
	}
	set_selectors(config, &pool);
	pool_free(&pool);
	return config;
}

static void print_value(const struct config *config, const struct main_option *option)
{
	const void *field = (const char *)config + option->offset;
	const char *string;

	switch (option->type) {
	case OPTION_STRING:
	case OPTION_EXPANDED:
	case OPTION_HOSTS:
	case OPTION_PORTS:
		string = *(char *const *)field;
		printf("%s =%s%s\n", option->name, string ? " " : "", string ? string : "");
		break;
	case OPTION_INTEGER:
		printf("%s = %d\n", option->name, *(const int *)field);
		break;
	case OPTION_BOOLEAN:
		printf("%s%s\n", *(const int *)field ? "" : "no_", option->name);
		break;
	case OPTION_TIME:
		printf("%s = %gs\n", option->name, *(const int *)field / 1000.0);
		break;
	case OPTION_SIZE:
		printf("%s = %llu\n", option->name, (unsigned long long)*(const uint64_t *)field);
		break;
	case OPTION_LOOKUP:
		printf("%s = %s\n", option->name, lookup_names[*(const int *)field]);
		break;
	case OPTION_ORIGIN:
		printf("%s = %s\n", option->name, origin_names[*(const int *)field]);
		break;
	}
}

int option_print(const struct config *config, const char *name)
{
	const struct main_option *option;
	size_t i;

	if (name) {
		option = find(name);
		if (option)
			print_value(config, option);
		return option ? 0 : -1;
	}
	for (i = 0; i < ARRAY_SIZE(options); i++)
		print_value(config, &options[i]);
	return 0;
}

const char *option_next_expanded(const struct config *config, size_t *at, const char **name,
				 bool *is_hosts)
{
	while (*at < ARRAY_SIZE(options)) {
		const struct main_option *option = &options[(*at)++];
		const void *field = (const char *)config + option->offset;

		*is_hosts = option->type == OPTION_HOSTS;
		if ((*is_hosts || option->type == OPTION_EXPANDED) && *(char *const *)field) {
			*name = option->name;
			return *(char *const *)field;
		}
	}
	return NULL;
}
