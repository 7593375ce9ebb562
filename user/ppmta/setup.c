// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads the configuration, sets what the command line says, and checks the whole: this file alone
 * knows all parts.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "../common/endpoint.h"
#include "../common/number.h"
#include "daemon.h"

#define SMTP_PORT 25

const char *setup_file;

static struct pool settings_pool;
static struct setting {
	struct setting *next;
	const char *name, *value;
} * settings, **settings_end = &settings; /* from the command line, set after the file is read */

void setup_set(const char *name, const char *value)
{
	struct setting *setting = pool_alloc(&settings_pool, sizeof(*setting));

	setting->name = name;
	setting->value = value;
	*settings_end = setting;
	settings_end = &setting->next;
}

static char *check_expansions(struct config *config, struct pool *pool)
{
	struct evaluation eval = {.config = config, .pool = pool};
	const struct named_list *list;
	const char *text, *name, *value;
	bool is_hosts;
	size_t at = 0;

	while ((text = option_next_expanded(config, &at, &name, &is_hosts))) {
		value = expand(&eval, text);
		if (value && is_hosts)
			list_match(&eval, LIST_HOSTS, "", value);
		if (eval.error)
			return pool_printf(pool, "%s: %s", name, eval.error);
	}
	for (list = config->lists; list; list = list->next) {
		value = expand(&eval, list->value);
		if (value)
			list_match(&eval, list->kind, "", value);
		if (eval.error)
			return pool_printf(pool, "%s:%d: %s %s: %s", config->file, list->line,
					   list_kind_names[list->kind], list->name, eval.error);
	}
	return NULL;
}

/* An address, with a port as 192.0.2.1.25 or [192.0.2.1]:25, or without one. */
static char *check_interfaces(struct config *config, struct pool *pool)
{
	struct interface **end = &config->interfaces, *one;
	const char *list = config->local_interfaces;
	char separator = 0, *item, *dot;
	uint64_t port;

	while ((item = list_next(&config->pool, &list, &separator))) {
		one = pool_alloc(&config->pool, sizeof(*one));
		one->text = pool_string(&config->pool, item);
		dot = strrchr(item, '.');
		if (endpoint_parse(item, SMTP_PORT, &one->endpoint, &one->len)) {
			if (!dot || number_parse(dot + 1, 1, PORT_MAX, &port) || (*dot = 0) ||
			    endpoint_parse(item, port, &one->endpoint, &one->len))
				return pool_printf(pool, "local_interfaces: '%s' is not an address",
						   one->text);
		}
		*end = one;
		end = &one->next;
	}
	return config->interfaces ? NULL : "local_interfaces: is empty";
}

static char *check_delivery(struct config *config, struct pool *pool)
{
	struct delivery_target *target = pool_alloc(&config->pool, sizeof(*target));
	char *wrong;

	config->target = target;
	if (!config->delivery)
		return NULL;
	wrong = delivery_parse(config->delivery, target, &config->pool, pool);
	if (wrong)
		return wrong;
	if (target->kind == DELIVER_SMTP && !config->acl[ACL_RCPT])
		return "delivery: smtp needs acl_smtp_rcpt: without one this would be an open "
		       "relay";
	if (config->delivery_origin && target->kind == DELIVER_MAILDIR)
		return "delivery_origin: a Maildir is told of no client";
	return NULL;
}

/* What has to be known of all options together. Return: NULL, or what is wrong. */
static char *check(struct config *config, const struct config *before, struct pool *pool)
{
	char own_name[HOST_NAME_MAX + 1] = "", *wrong;

	if (!config->primary_hostname) {
		gethostname(own_name, sizeof(own_name) - 1);
		config->primary_hostname = pool_string(&config->pool, own_name);
	}
	if (!address_is_domain(config->primary_hostname, strlen(config->primary_hostname)))
		return pool_printf(pool, "primary_hostname: '%s' is not a domain name",
				   config->primary_hostname);
	wrong = check_expansions(config, pool);
	if (!wrong)
		wrong = acl_check(config, pool);
	if (!wrong && config->dns_servers)
		wrong = dns_check_servers(config, pool);
	if (!wrong)
		wrong = check_interfaces(config, pool);
	if (!wrong)
		wrong = check_delivery(config, pool);
	return wrong ? wrong : tls_load(config, before, pool);
}

/* The file's name and line before @wrong; an error of an ACL or list names its line already. */
static char *with_line(const struct config *config, char *wrong, struct pool *pool)
{
	int line = option_line(config, wrong);

	if (!config->file || !strncmp(wrong, config->file, strlen(config->file)))
		return wrong;
	return line ? pool_printf(pool, "%s:%d: %s", config->file, line, wrong)
		    : pool_printf(pool, "%s: %s", config->file, wrong);
}

struct config *setup_load(const struct config *before, bool to_serve, struct pool *pool,
			  char **error)
{
	const struct setting *setting;
	struct config *config = config_read(setup_file, acl_line, pool, error);
	char *wrong = NULL;

	if (!config)
		return NULL;
	if (!setup_file)
		option_set(config, 0, "log_selector", "+proxy", pool);
	for (setting = settings; setting && !wrong; setting = setting->next)
		wrong = option_set(config, 0, setting->name, setting->value, pool);
	if (!wrong) {
		wrong = check(config, before, pool);
		if (!wrong && to_serve && !config->delivery)
			wrong = "needs the option delivery (or --maildir)";
		if (wrong)
			wrong = with_line(config, wrong, pool);
	}
	if (!wrong)
		return config;
	*error = wrong;
	config_put(config);
	return NULL;
}
