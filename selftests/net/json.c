// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl --json: every answer is one JSON object in UTF-8, and docs/json.md names each key of it,
 * and no other.
 *
 * check: all
 */
#include <signal.h>
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <json-c/json.h>
#include <pp/maps.h>

#include "../lib/name.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"
#include "../lib/served.h"

#define PPCTL	 "build/bin/ppctl --json "
#define SPLIT	 2541
#define KEYS_MAX 512

/* Keys by the section of the page that has them: those found, and those of the page. */
struct keys {
	size_t count;
	char *entry[KEYS_MAX]; /* "SECTION KEY" */
};

static struct keys found, of_page;

static void keys_add(struct keys *keys, const char *section, const char *key)
{
	char text[256];
	size_t i;

	snprintf(text, sizeof(text), "%s %s", section, key);
	for (i = 0; i < keys->count; i++) {
		if (!strcmp(keys->entry[i], text))
			return;
	}
	assert_true(keys->count < KEYS_MAX);
	keys->entry[keys->count++] = strdup(text);
}

/* Sections that have the entries of a list that status has, too. */
static const char *section_of(const char *section, const char **key)
{
	static const struct {
		const char *list;
		const char *section;
	} lists[] = {
		{"ports[]", "port"}, {"proxies[]", "proxy"}, {"proxy_cgroups[]", "proxy-cgroup"}};
	const char *of_set = strncmp(*key, "sets[].", 7) ? *key : *key + 7;
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (strncmp(of_set, lists[i].list, strlen(lists[i].list)))
			continue;
		*key = of_set;
		return lists[i].section;
	}
	return section;
}

/* Adds the keys of what has no more in it. */
static void collect(struct json_object *value, const char *section, const char *key)
{
	char below[256];
	size_t i;

	if (json_object_is_type(value, json_type_array)) {
		snprintf(below, sizeof(below), "%s[]", key);
		for (i = 0; i < json_object_array_length(value); i++)
			collect(json_object_array_get_idx(value, i), section, below);
	} else if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, name, child)
		{
			snprintf(below, sizeof(below), "%s%s%s", key, *key ? "." : "",
				 strcmp(key, "sets[].counters") ? name : "NAME");
			if (strcmp(below, "schema"))
				collect(child, section, below);
		}
	} else {
		section = section_of(section, &key);
		keys_add(&found, section, key);
	}
}

/* @text as @flags have it; up to the 0: what comes after the object would be an error. */
static struct json_object *parse_as(int flags, const char *text)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object;

	json_tokener_set_flags(tokener, flags);
	object = json_tokener_parse_ex(tokener, text, strlen(text) + 1);
	if (!object)
		fail_msg("%s in: %s", json_tokener_error_desc(json_tokener_get_error(tokener)),
			 text);
	json_tokener_free(tokener);
	return object;
}

/*
 * @text as one JSON object, and nothing else. JSON_TOKENER_STRICT of json-c 0.18 takes each byte
 * beyond ASCII for a control character (its issue 892): it gets a text without them.
 */
static struct json_object *parse(const char *text)
{
	struct json_object *object, *first;
	char *ascii = strdup(text), *at;

	for (at = ascii; *at; at++)
		*at = *at & 0x80 ? '?' : *at;
	json_object_put(parse_as(JSON_TOKENER_STRICT, ascii));
	free(ascii);
	object = parse_as(JSON_TOKENER_VALIDATE_UTF8, text);
	assert_true(json_object_is_type(object, json_type_object));
	assert_true(json_object_object_get_ex(object, "schema", &first));
	assert_int_equal(json_object_get_int(first), 1);
	assert_true(strncmp(text, "{\n  \"schema\"", strlen("{\n  \"schema\"")) == 0);
	return object;
}

/* The answer to @command, whose keys are of @section. */
static struct json_object *answer(int status, const char *section, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static struct json_object *answer(int status, const char *section, const char *format, ...)
{
	struct json_object *object;
	va_list arguments;
	char command[1024];

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	object = parse(run(status, PPCTL "%s", command));
	collect(object, section, "");
	return object;
}

#define answers(...) json_object_put(answer(0, __VA_ARGS__))

static void fails(int status, const char *command)
{
	struct json_object *object = answer(status, "error", "%s", command);

	assert_int_equal(json_object_object_length(object), 2);
	assert_non_null(json_object_object_get(object, "error"));
	json_object_put(object);
}

/* It is of the set's health whether it exits with 0. */
static void look_at_status(void)
{
	struct json_object *object = parse(status_text("--json"));

	collect(object, "status", "");
	json_object_put(object);
}

static int down(void **state)
{
	(void)state;
	run(0, "[ ! -e $LAB_BPFFS/pp ] || build/bin/ppctl down --now >/dev/null");
	return 0;
}

/* The rows of the page's tables begin with "| `KEY` |", and its sections with "## ". */
static void read_page(void)
{
	char line[1024], section[64] = "", key[256];
	FILE *page = fopen("docs/json.md", "re");

	assert_non_null(page);
	while (fgets(line, sizeof(line), page)) {
		if (sscanf(line, "## %63[^\n]", section) == 1)
			continue;
		if (sscanf(line, "| `%255[^`]` |", key) == 1 && strcmp(key, "schema"))
			keys_add(&of_page, section, key);
	}
	fclose(page);
}

/* Says which of @left are not among @right. Return: how many. */
static int missing(const struct keys *left, const struct keys *right, const char *what)
{
	int count = 0;
	size_t i, k;

	for (i = 0; i < left->count; i++) {
		for (k = 0; k < right->count && strcmp(left->entry[i], right->entry[k]); k++)
			;
		if (k < right->count)
			continue;
		print_message("%s: %s\n", what, left->entry[i]);
		count++;
	}
	return count;
}

static void look(int fd, const char *state)
{
	struct json_object *object;
	const char *said = "";
	int tries;

	for (tries = 0; tries < SOON_MS / 10; tries++) {
		object = answer(0, "lookup", "lookup %d %d", getpid(), fd);
		said = json_object_get_string(json_object_object_get(object, "state"));
		if (!strcmp(said, state)) {
			json_object_put(object);
			return;
		}
		json_object_put(object);
		usleep(10000);
	}
	fail_msg("the state is not %s", state);
}

static void lookups(int listener)
{
	static const char header[] =
		"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x14"
		"\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x00\x19"
		"\x05\x00\x05"
		"abcde";
	struct link link;

	open_link(listener, &link);
	look(link.server, "pending");
	answers("connections", "connections");
	send_text(link.client, "PROXY TCP4 19");
	look(link.server, "fragmented");
	answers("connections", "connections");
	send_text(link.client, "2.0.2.7 x");
	look(link.server, "bad");
	answers("connections", "connections");
	close_link(&link);
	open_link(listener, &link);
	send_all(link.client, header, sizeof(header) - 1);
	look(link.server, "valid");
	answers("connections", "connections");
	answers("lookup", "lookup %s:%d %s:%u", SERVER, OPEN, PROXY, port_of(link.client));
	close_link(&link);
}

static void lookup_of_a_senders(int listener)
{
	int client, server;

	run(0, PPCTL "proxy-cgroup add $LAB_OUTSIDE");
	client = proxy_connects(LOCAL, SERVER, OPEN);
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	look(server, "valid");
	answers("connections", "connections");
	close_both(client, server);
	answers("proxy-cgroup", "proxy-cgroup list");
	look_at_status();
	answers("proxy-cgroup", "proxy-cgroup del $LAB_OUTSIDE");
}

/* One that is refused, and one that is not marked. */
static void other_peers(void)
{
	int client = connect_to(OTHER, SERVER, SPLIT);

	send_text(client, LINE);
	await_acknowledged(client);
	close(client);
	client = connect_to(PROXY, SERVER, SPLIT);
	send_text(client, "EHLO x\r\n");
	await_acknowledged(client);
	close(client);
}

/* Hooks in another network namespace, and a connection that keeps a port and the set. */
static void status_of_a_split(void)
{
	int here = netns_here(), other = netns_make(), listener, client, server;
	pid_t there;

	netns_enter(other);
	answers("port", "port add %d --split yes", SPLIT);
	there = fork(); /* before Linux 6.6 only a process or a name leads to the namespace */
	if (!there) {
		pause();
		_exit(0);
	}
	netns_enter(here);
	answers("up", "up --cgroup $LAB_CGROUP --port %d --split yes", SPLIT);
	listener = listen_on(SERVER, SPLIT);
	client = connect_to(PROXY, SERVER, SPLIT);
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	other_peers();
	look_at_status();
	answers("port", "port del %d", SPLIT);
	answers("port", "port add 127.0.0.7:%d", SPLIT);
	answers("port", "port list");
	json_object_put(answer(3, "down", "down"));
	look_at_status();
	close_both(client, server);
	close(listener);
	answers("down", "down --now");
	kill(there, SIGKILL);
	waitpid(there, NULL, 0);
	close_both(here, other);
}

static void a_configuration(void)
{
	run(0, "printf '[serve mail]\\ncgroup = nowhere.slice\\nport = 25\\n' >/tmp/json.conf");
	answers("check", "check /tmp/json.conf");
	answers("apply", "apply /tmp/json.conf");
	look_at_status();
	answers("down", "down --set mail");
	run(0, "mkdir $LAB_CGROUP/gone && build/bin/ppctl up --set gone --cgroup $LAB_CGROUP/gone "
	       ">/dev/null && rmdir $LAB_CGROUP/gone");
	answers("sweep", "sweep");
	run(0, "echo 'prot = 26' >>/tmp/json.conf");
	json_object_put(answer(1, "check", "apply /tmp/json.conf"));
}

#define EVENTS "/tmp/ppsplit-json"

/* pp_listening, as it is; @lost more are counted there. */
static struct pp_listening listening(unsigned int lost)
{
	int map = bpf_obj_get("/sys/fs/bpf/pp/maps/pp_listening");
	struct pp_listening value;
	__u32 zero = 0;

	assert_true(map >= 0);
	assert_int_equal(bpf_map_lookup_elem(map, &zero, &value), 0);
	value.lost += lost;
	if (lost)
		assert_int_equal(bpf_map_update_elem(map, &zero, &value, BPF_ANY), 0);
	close(map);
	return value;
}

static pid_t monitor_start(void)
{
	pid_t child = fork();
	int tries;

	assert_true(child >= 0);
	if (!child) {
		if (!freopen(EVENTS, "w", stdout))
			_exit(9);
		execl("build/bin/ppctl", "ppctl", "--json", "monitor", NULL);
		_exit(9);
	}
	for (tries = 0; tries < SOON_MS / 10 && !listening(0).until_ns; tries++)
		usleep(10000);
	return child;
}

/* Each line is an object with the schema first. */
static void monitor_end(pid_t child)
{
	struct json_object *object, *schema;
	char line[4096];
	FILE *file;
	int tries;

	listening(3); /* it says so last */
	for (tries = 0; tries < SOON_MS / 10; tries++) {
		if (strstr(run(0, "cat " EVENTS), "\"event\":\"lost\""))
			break;
		usleep(10000);
	}
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	file = fopen(EVENTS, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		assert_true(strncmp(line, "{\"schema\":1,", 12) == 0);
		object = json_tokener_parse(line);
		assert_true(json_object_object_get_ex(object, "schema", &schema));
		collect(object, "monitor", "");
		json_object_put(object);
	}
	fclose(file);
	unlink(EVENTS);
}

static void the_page_names_every_key_and_no_other(void **state)
{
	int listener = listen_on(SERVER, OPEN);
	pid_t monitor;

	(void)state;
	read_page();
	assert_true(of_page.count > 60);
	answers("--version", "--version");
	answers("up", "up --cgroup $LAB_CGROUP --port %d --gate 0 --proxy %s", OPEN, PROXY);
	answers("port", "port list");
	answers("proxy", "proxy add 192.0.2.0/24");
	answers("proxy", "proxy del 192.0.2.0/24");
	answers("upgrade", "upgrade");
	monitor = monitor_start();
	lookups(listener);
	lookup_of_a_senders(listener);
	monitor_end(monitor);
	status_of_a_split();
	a_configuration();
	close(listener);
	look_at_status();
	fails(1, "down");
	assert_int_equal(missing(&found, &of_page, "not on the page") +
				 missing(&of_page, &found, "on the page, but never printed"),
			 0);
}

static void every_error_is_one_object(void **state)
{
	static const struct {
		int status;
		const char *command;
	} wrong[] = {
		{2, ""},
		{2, "frobnicate"},
		{3, "status --frob"},
		{2, "port add 25 --gate x"},
		{2, "up"},
		{2, "help frobnicate"},
		{1, "down"},
		{1, "upgrade"},
		{1, "port add 25"},
		{1, "port del 25"},
		{1, "port list"},
		{1, "connections"},
		{1, "monitor"},
		{2, "connections --state frob"},
		{1, "lookup 192.0.2.1:25 192.0.2.2:25"},
		{1, "proxy add 192.0.2.7"},
		{1, "proxy list"},
		{1, "proxy-cgroup list"},
		{1, "lookup 1 999"},
		{1, "up --cgroup /nowhere"},
		{2, "up --cgroup $LAB_CGROUP --port 70000"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		fails(wrong[i].status, wrong[i].command);
}

static void any_bytes_in_names_and_words_give_json(void **state)
{
	static const char bytes[] = "$(printf 'a\\377\\303b')";
	struct json_object *object;

	(void)state;
	fails(2, "$(printf '\\377\\376')");
	fails(2, "port add $(printf '\\303\\050')");
	fails(3, "status --$(printf '\\355\\240\\200')");
	fails(1, "--pin $(printf '/sys/fs/bpf/\\377') down");
	run(0, "mkdir $LAB_CGROUP/%s $LAB_OUTSIDE/%s", bytes, bytes);
	object = answer(0, "up", "up --cgroup $LAB_CGROUP/%s", bytes);
	assert_non_null(strstr(json_object_get_string(json_object_object_get(object, "cgroup")),
			       "/a\xef\xbf\xbd\xef\xbf\xbd"
			       "b"));
	json_object_put(object);
	answers("proxy-cgroup", "proxy-cgroup add $LAB_OUTSIDE/%s", bytes);
	look_at_status();
	run(0, "ip link add $(printf 'if\\377') type veth peer name other0 && "
	       "ip addr add 192.0.2.66/32 dev $(printf 'if\\377')");
	object = answer(0, "up", "up --cgroup $LAB_CGROUP/%s --port 25 --split yes", bytes);
	assert_non_null(strstr(json_object_to_json_string(object), "if\xef\xbf\xbd"));
	json_object_put(object);
	look_at_status();
	run(0, "ip link del $(printf 'if\\377')");
	down(NULL);
	run(0, "rmdir $LAB_CGROUP/%s $LAB_OUTSIDE/%s", bytes, bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_page_names_every_key_and_no_other, down),
		cmocka_unit_test_teardown(every_error_is_one_object, down),
		cmocka_unit_test_teardown(any_bytes_in_names_and_words_give_json, down),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
