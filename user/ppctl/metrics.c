// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl metrics: the state of each set in Prometheus' text format.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pp/version.h>

#include "../common/array.h"
#include "../common/utf8.h"
#include "json.h"
#include "port_map.h"
#include "ppctl.h"
#include "status.h"

#define PREFIX "ppsplit_"

static FILE *out;

/* What is in quotes: UTF-8, with three characters escaped. */
static void print_value(const char *text)
{
	size_t len = strlen(text), i;
	char *clean = malloc(3 * len + 1);

	if (!clean)
		return;
	len = utf8_clean(text, len, clean);
	for (i = 0; i < len; i++) {
		if (clean[i] == '\n')
			fputs("\\n", out);
		else if (clean[i] == '\\' || clean[i] == '"')
			fprintf(out, "\\%c", clean[i]);
		else
			fputc(clean[i], out);
	}
	free(clean);
}

static void begin(const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

/* @label: a name and a value for each; up to NULL */
static void sample(const char *name, int64_t value, struct json_object *set, ...)
{
	const char *label;
	va_list labels;

	fprintf(out, PREFIX "%s{set=\"", name);
	print_value(string_of(set, "name"));
	va_start(labels, set);
	while ((label = va_arg(labels, const char *))) {
		fprintf(out, "\",%s=\"", label);
		print_value(va_arg(labels, const char *));
	}
	va_end(labels);
	fprintf(out, "\"} %lld\n", (long long)value);
}

static void print_health(struct json_object *set)
{
	size_t level = HEALTH_SERVING;

	while (level < HEALTH_DOWN && strcmp(string_of(set, "health"), health_names[level]))
		level++;
	sample("health", level, set, NULL);
}

static void print_findings(struct json_object *set)
{
	struct json_object *finding, *other;
	size_t i, k;
	int seen;

	for (i = 0; i < length_of(set, "findings"); i++) {
		finding = entry_of(set, "findings", i);
		for (k = 0, seen = 0; k < i && !seen; k++) {
			other = entry_of(set, "findings", k);
			seen = !strcmp(string_of(other, "finding"),
				       string_of(finding, "finding")) &&
			       !strcmp(string_of(other, "level"), string_of(finding, "level"));
		}
		if (!seen)
			sample("finding", 1, set, "finding", string_of(finding, "finding"), "level",
			       string_of(finding, "level"), NULL);
	}
}

static const char *const states[] = {"valid", "local", "waiting", "late", "bad", "strangers"};

/* What a metric has for @label: of a port on one address, that too. */
static const char *label_of(struct json_object *entry, const char *label,
			    char text[ENDPOINT_TEXT_MAX])
{
	return strcmp(label, "port") ? string_of(entry, label) : port_name(entry, text);
}

static void print_states(const char *metric, struct json_object *set, struct json_object *entry,
			 const char *label)
{
	char text[ENDPOINT_TEXT_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(states); i++)
		sample(metric, number_of(entry, states[i]), set, label,
		       label_of(entry, label, text), "state", states[i], NULL);
}

static void print_by(const char *metric, struct json_object *set, const char *by, const char *label)
{
	struct json_object *connections = value_of(set, "connections"), *entry, *other;
	char text[ENDPOINT_TEXT_MAX], text2[ENDPOINT_TEXT_MAX];
	size_t i, k;

	for (i = 0; i < length_of(connections, by); i++) {
		entry = entry_of(connections, by, i);
		for (k = 0; k < i; k++) { /* several cgroups that are gone */
			other = entry_of(connections, by, k);
			if (!strcmp(label_of(entry, label, text), label_of(other, label, text2)))
				break;
		}
		if (k == i)
			print_states(metric, set, entry, label);
	}
}

static void print_ports(struct json_object *set)
{
	print_by("live_connections", set, "by_port", "port");
}

static void print_proxies(struct json_object *set)
{
	print_by("proxy_connections", set, "by_proxy", "proxy");
}

static void print_proxy_cgroups(struct json_object *set)
{
	print_by("proxy_cgroup_connections", set, "by_proxy_cgroup", "cgroup");
}

static void print_listeners(struct json_object *set)
{
	struct json_object *listener, *port;
	char text[ENDPOINT_TEXT_MAX];
	size_t i, k;
	int count;

	for (i = 0; i < length_of(set, "ports"); i++) {
		port = entry_of(set, "ports", i);
		for (k = 0, count = 0; k < length_of(set, "listeners"); k++) {
			listener = entry_of(set, "listeners", k);
			if (is_true(listener, "inside"))
				count += listener_is_of(listener, port);
		}
		sample("listeners", count, set, "port", port_name(port, text), NULL);
	}
}

static void print_dropped(struct json_object *set)
{
	struct json_object *interfaces = value_of(set, "interfaces"), *interface;
	size_t i;

	for (i = 0; i < length_of(interfaces, "here"); i++) {
		interface = entry_of(interfaces, "here", i);
		sample("interface_dropped_total", number_of(interface, "dropped"), set, "interface",
		       string_of(interface, "interface"), NULL);
	}
}

static const struct {
	const char *name, *type, *help;
	void (*print)(struct json_object *set);
} metrics[] = {
	{"health", "gauge", "0: serving, 1: degraded, 2: down.", print_health},
	{"finding", "gauge", "1 for each finding that ppctl status has.", print_findings},
	{"live_connections", "gauge", "Connections that live, by port and state.", print_ports},
	{"proxy_connections", "gauge", "Connections that live, by proxy and state.", print_proxies},
	{"proxy_cgroup_connections", "gauge",
	 "Connections that live, by cgroup of proxies on this host and state.",
	 print_proxy_cgroups},
	{"listeners", "gauge", "Listening sockets that are served.", print_listeners},
	{"interface_dropped_total", "counter", "Segments that the guard has dropped.",
	 print_dropped},
};

#define BAD "bad_"

/* One metric for each counter, but those of bad headers are one with a label. */
static void print_counters(struct json_object *sets, int bad)
{
	const char *name, *help;
	struct json_object *set;
	char metric[64];
	size_t i, k;

	if (bad)
		begin("bad_headers_total", "counter", "Headers that were refused, by reason.");
	for (i = 0; (name = stat_name(i, &help)); i++) {
		if (bad != !strncmp(name, BAD, strlen(BAD)))
			continue;
		snprintf(metric, sizeof(metric), "%s_total", name);
		if (!bad)
			begin(metric, "counter", help);
		for (k = 0; k < json_object_array_length(sets); k++) {
			set = json_object_array_get_idx(sets, k);
			if (!value_of(set, "counters"))
				continue;
			if (bad)
				sample("bad_headers_total",
				       number_of(value_of(set, "counters"), name), set, "reason",
				       name + strlen(BAD), NULL);
			else
				sample(metric, number_of(value_of(set, "counters"), name), set,
				       NULL);
		}
	}
}

static void print_all(struct json_object *sets)
{
	size_t i, k;

	begin("build_info", "gauge", "The version of ppctl.");
	fprintf(out, PREFIX "build_info{version=\"%s\"} 1\n", PP_VERSION);
	for (i = 0; i < ARRAY_SIZE(metrics); i++) {
		begin(metrics[i].name, metrics[i].type, metrics[i].help);
		for (k = 0; k < json_object_array_length(sets); k++)
			metrics[i].print(json_object_array_get_idx(sets, k));
	}
	print_counters(sets, 0);
	print_counters(sets, 1);
}

/* Renaming puts a file in the place of whatever is there: of /dev/null, too. */
static int check_place(const char *file)
{
	struct stat st;

	if (lstat(file, &st))
		return errno == ENOENT ? 0 : error("--output %s: %s", file, strerror(errno));
	if (S_ISREG(st.st_mode))
		return 0;
	return error("--output %s is %s, and would be replaced: name a file; without --output the "
		     "metrics go to standard output",
		     file, S_ISLNK(st.st_mode) ? "a symbolic link" : "no regular file");
}

/* Return: 0, or an errno value. */
static int write_all(FILE *file, const char *text, size_t len)
{
	int failed = 0;

	if (fwrite(text, 1, len, file) != len || fflush(file))
		failed = errno;
	if (!failed && fchmod(fileno(file), 0644))
		failed = errno;
	if (fclose(file) && !failed)
		failed = errno;
	return failed;
}

/* Whoever reads FILE reads a whole one: it is written aside, and renamed. */
static int write_file(const char *file, const char *text, size_t len)
{
	char aside[PATH_MAX];
	FILE *fresh;
	int failed;

	if (check_place(file))
		return -1;
	/* not *.prom: node_exporter would read it */
	if (snprintf(aside, sizeof(aside), "%s.%d", file, getpid()) >= (int)sizeof(aside))
		return error("%s: %s", file, strerror(ENAMETOOLONG));
	unlink(aside); /* of one that was killed */
	fresh = fopen(aside, "wxe");
	if (!fresh)
		return error("%s: %s", aside, strerror(errno));
	failed = write_all(fresh, text, len);
	if (!failed && rename(aside, file))
		failed = errno;
	if (!failed)
		return 0;
	unlink(aside);
	return error("%s: %s", file, strerror(failed));
}

/* In one piece. Return: what is to be freed; or NULL. */
static char *metrics_text(struct json_object *sets, size_t *len)
{
	char *text = NULL;
	int failed;

	out = open_memstream(&text, len);
	if (!out)
		return NULL;
	print_all(sets);
	failed = ferror(out);
	if (!fclose(out) && !failed)
		return text;
	free(text);
	return NULL;
}

int command_metrics(int argc, char **argv)
{
	struct json_object *sets;
	enum health worst;
	int result = 0;
	size_t len;
	char *text;

	(void)argc;
	(void)argv;
	sets = status_read(&worst);
	if (!sets)
		return -1;
	text = metrics_text(sets, &len);
	json_object_put(sets);
	if (!text)
		return error("%s", strerror(ENOMEM));
	if (options.output)
		result = write_file(options.output, text, len);
	else
		fwrite(text, 1, len, stdout);
	free(text);
	return result;
}
