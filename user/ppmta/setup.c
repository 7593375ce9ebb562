// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads the configuration, sets what the command line says, and checks the whole: this file alone
 * knows all parts.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"

const char *setup_file;

static struct pool pool;
static struct setting {
	struct setting *next;
	const char *name, *value;
} * settings, **settings_end = &settings; /* from the command line, set after the file is read */

void setup_set(const char *name, const char *value)
{
	struct setting *setting = pool_alloc(&pool, sizeof(*setting));

	setting->name = name;
	setting->value = value;
	*settings_end = setting;
	settings_end = &setting->next;
}

const char *setup_setting(const char *name)
{
	const struct setting *setting;
	const char *value = NULL;

	for (setting = settings; setting; setting = setting->next) {
		if (!strcmp(setting->name, name))
			value = setting->value;
	}
	return value;
}

static char *check_named_list(struct config *config, const struct named_list *list)
{
	char *value, *wrong = expand_check(config, list->value, &pool, &value);

	if (!wrong && value)
		wrong = list_check(config, list->kind, value, &pool);
	return wrong ? pool_printf(&pool, "%s:%d: %s %s: %s", config->file, list->line,
				   list_kind_names[list->kind], list->name, wrong)
		     : NULL;
}

static char *check_expansions(struct config *config)
{
	const struct named_list *list;
	const char *text, *name;
	char *wrong = NULL, *value;
	bool is_hosts;
	size_t at = 0;

	while (!wrong && (text = option_next_expanded(config, &at, &name, &is_hosts))) {
		wrong = expand_check(config, text, &pool, &value);
		if (!wrong && is_hosts && value)
			wrong = list_check(config, LIST_HOSTS, value, &pool);
		if (wrong)
			wrong = pool_printf(&pool, "%s: %s", name, wrong);
	}
	for (list = config->lists; list && !wrong; list = list->next)
		wrong = check_named_list(config, list);
	return wrong;
}

static char *check_delivery(struct config *config)
{
	struct delivery_target *target = pool_alloc(&config->pool, sizeof(*target));
	char *wrong;

	config->target = target;
	if (!config->delivery)
		return NULL;
	wrong = delivery_parse(config->delivery, target, &config->pool, &pool);
	if (wrong)
		return wrong;
	if (target->kind == DELIVER_SMTP && !config->acl[ACL_RCPT])
		return pool_printf(&pool, "delivery by smtp needs acl_smtp_rcpt: without "
					  "one this would be an open relay");
	if (config->delivery_origin && target->kind == DELIVER_MAILDIR)
		return pool_printf(&pool, "delivery_origin: a Maildir is told of no client");
	return NULL;
}

static char *check(struct config *config, const struct config *before)
{
	char own_name[HOST_NAME_MAX + 1] = "", *wrong;

	if (!config->primary_hostname) {
		gethostname(own_name, sizeof(own_name) - 1);
		config->primary_hostname = pool_string(&config->pool, own_name);
	}
	if (!address_is_domain(config->primary_hostname, strlen(config->primary_hostname)))
		return pool_printf(&pool, "primary_hostname: '%s' is not a domain name",
				   config->primary_hostname);
	if (config->smtp_accept_max < 1 || config->smtp_accept_max > 100000)
		return pool_printf(&pool, "smtp_accept_max: not from 1 to 100000");
	wrong = check_expansions(config);
	if (!wrong)
		wrong = acl_check(config, &pool);
	if (wrong)
		return wrong;
	if (config->dns_servers) {
		wrong = dns_check_servers(config->dns_servers, &pool);
		if (wrong)
			return wrong;
	}
	wrong = check_delivery(config);
	if (wrong)
		return wrong;
	return tls_load(config, before, &pool);
}

/* What has to be known of all options together. Return: 0, or -1 with @error. */
static int complete(struct config *config, const struct config *before, char **error)
{
	char *wrong = check(config, before);
	int line;

	if (!wrong)
		return 0;
	line = option_line(config, wrong);
	/* an error of an ACL or list names its line already */
	*error = !config->file || !strncmp(wrong, config->file, strlen(config->file)) ? wrong
		 : line ? pool_printf(&pool, "%s:%d: %s", config->file, line, wrong)
			: pool_printf(&pool, "%s: %s", config->file, wrong);
	return -1;
}

static const struct config_section *const sections[] = {&acl_section, NULL};

struct config *setup_load(const struct config *before, char **error)
{
	const struct setting *setting;
	struct config *config = config_read(setup_file, sections, &pool, error);

	if (!config)
		return NULL;
	if (!setup_file)
		option_set(config, 0, "log_selector", "+proxy", &pool);
	for (setting = settings; setting; setting = setting->next) {
		*error = option_set(config, 0, setting->name, setting->value, &pool);
		if (*error) {
			config_put(config);
			return NULL;
		}
	}
	if (complete(config, before, error)) {
		config_put(config);
		return NULL;
	}
	return config;
}
