// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl: loads the programs, and looks after the proxies and ports that they serve. State is pinned
 * maps and links; there is no daemon. This file has the options, the commands and their help.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/array.h"
#include "../common/name.h"
#include "../common/number.h"
#include "ppctl.h"

struct options options = {
	.pin = DEFAULT_PIN,
	.policy = {.gate_ms = DEFAULT_GATE_MS},
};

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
	const char *help;
} commands[] = {
	{"up", command_up,
	 "--cgroup PATH [--port N[,N]] [--proxy PREFIX[,PREFIX]]\n"
	 "               [--proxy-cgroup PATH[,PATH]]",
	 "load the programs and attach them to a cgroup"},
	{"down", command_down, "[--wait[=SECONDS] | --now]",
	 "detach the programs, remove maps and links; with a split, when its connections are gone"},
	{"upgrade", command_upgrade, "",
	 "replace the programs by those of this ppctl; connections and lists stay"},
	{"proxy", command_proxy, "add|del PREFIX... | list",
	 "change or show the proxies that are believed"},
	{"proxy-cgroup", command_proxy_cgroup, "add|del PATH... | list",
	 "change or show the cgroups of proxies on this host"},
	{"port", command_port, "add|del PORT... | list", "change or show the served ports"},
	{"status", command_status, "", "show programs, links, maps, listeners, counters"},
	{"lookup", command_lookup, "PID FD", "show the record of a process's socket"},
};

static int set_number(const char *option, const char *value, uint32_t max, uint32_t *to)
{
	uint64_t number;

	if (number_parse(value, 0, max, &number))
		return error("%s: '%s' is not a number from 0 to %u", option, value, max);
	*to = number;
	return 0;
}

static int set_pin(const char *value)
{
	options.pin = value;
	return 0;
}

static int set_cgroup(const char *value)
{
	options.cgroup = value;
	return 0;
}

static int set_ports(const char *value)
{
	options.ports = value;
	return 0;
}

static int set_proxies(const char *value)
{
	options.proxies = value;
	return 0;
}

static int set_senders(const char *value)
{
	options.senders = value;
	return 0;
}

static int set_gate(const char *value)
{
	options.policy_given = "--gate";
	return set_number("--gate", value, 120000, &options.policy.gate_ms);
}

static int set_on_bad(const char *value)
{
	if (!strcmp(value, "tell"))
		options.policy.on_bad = PP_ON_BAD_TELL;
	else if (!strcmp(value, "drop"))
		options.policy.on_bad = PP_ON_BAD_DROP;
	else
		return error("--on-bad: '%s' is neither tell nor drop", value);
	options.on_bad_given = 1;
	options.policy_given = "--on-bad";
	return 0;
}

static int set_split(const char *value)
{
	if (!strcmp(value, "no"))
		options.policy.split = PP_SPLIT_NO;
	else if (!strcmp(value, "yes"))
		options.policy.split = PP_SPLIT_YES;
	else
		return error("--split: '%s' is neither yes nor no", value);
	options.split_given = 1;
	options.policy_given = "--split";
	return 0;
}

/* May be given several times. */
static int set_interfaces(const char *value)
{
	static char words[4096];
	size_t have = strlen(words);

	if (have + strlen(value) + 2 > sizeof(words))
		return error("--interface: too many");
	snprintf(words + have, sizeof(words) - have, "%s%s", have ? "," : "", value);
	options.interfaces = words;
	return 0;
}

static int set_transparent(const char *value)
{
	(void)value;
	options.policy.flags |= PP_PORT_TRANSPARENT;
	options.policy_given = "--transparent";
	return 0;
}

static int set_local(const char *value)
{
	(void)value;
	options.policy.flags |= PP_PORT_LOCAL;
	options.policy_given = "--local";
	return 0;
}

/* What goes together, once all options are known. */
static int complete_policy(void)
{
	if (options.policy.flags & PP_PORT_LOCAL && !(options.policy.flags & PP_PORT_TRANSPARENT))
		return error("--local needs --transparent");
	if (!(options.policy.flags & PP_PORT_TRANSPARENT))
		return 0;
	if (options.split_given && options.policy.split == PP_SPLIT_NO)
		return error("--transparent needs a split: a server that is not told of the header "
			     "must not find it in its stream");
	if (options.on_bad_given && options.policy.on_bad == PP_ON_BAD_TELL)
		return error(
			"--transparent goes with --on-bad drop: a server that is not told of the "
			"header has no use for a bad one");
	options.policy.on_bad = PP_ON_BAD_DROP;
	options.policy.split = PP_SPLIT_YES;
	return 0;
}

static int set_v1_mixed(const char *value)
{
	(void)value;
	options.policy.flags |= PP_PORT_V1_MIXED;
	options.policy_given = "--v1-mixed";
	return 0;
}

static int set_allow_root_cgroup(const char *value)
{
	(void)value;
	options.allow_root_cgroup = 1;
	return 0;
}

static int set_now(const char *value)
{
	(void)value;
	options.now = 1;
	return 0;
}

static int set_wait(const char *value)
{
	options.wait = 1;
	return value ? set_number("--wait", value, 31536000, &options.wait_s) : 0;
}

static int set_json(const char *value)
{
	(void)value;
	options.json = 1;
	return 0;
}

static int print_help(const char *value);
static int print_version(const char *value);

static const struct option_help {
	const char *name;
	const char *argument; /* NULL: takes none; one that begins with [ may be left out */
	int (*set)(const char *value);
	const char *help;
} option_helps[] = {
	{"cgroup", "PATH", set_cgroup,
	 "cgroup v2 of the mail server; relative to where cgroup2 is mounted"},
	{"port", "N[,N]", set_ports, "ports to serve"},
	{"proxy", "PREFIX[,PREFIX]", set_proxies, "proxies to believe: 192.0.2.7, 2001:db8::/64"},
	{"proxy-cgroup", "PATH[,PATH]", set_senders,
	 "cgroups of proxies on this host: over loopback, only they are believed"},
	{"split", "yes|no", set_split,
	 "take the header out of the stream in the kernel, or leave it to libpp (no)"},
	{"interface", "NAME[,NAME]", set_interfaces,
	 "attach the split's programs only here (lo, and all that have an address); repeatable"},
	{"transparent", NULL, set_transparent, "accept(), getpeername() answer with the origin"},
	{"local", NULL, set_local, "getsockname() answers with the header's destination"},
	{"gate", "MS", set_gate,
	 "hold the handshake back for a header, at most so long; 0: not at all (3000)"},
	{"on-bad", "tell|drop", set_on_bad, "bad header: tell the server, or drop it (tell)"},
	{"v1-mixed", NULL, set_v1_mixed, "accept a v1 line with addresses of two families (nginx)"},
	{"wait", "[=SECONDS]", set_wait, "down: wait for the last connection, at most so long"},
	{"now", NULL, set_now, "down: reset the connections that are left"},
	{"allow-root-cgroup", NULL, set_allow_root_cgroup, "accept the root cgroup for --cgroup"},
	{"pin", "DIR", set_pin, "directory for the pins (" DEFAULT_PIN ")"},
	{"json", NULL, set_json, "answer in JSON, errors too"},
	{"help", NULL, print_help, "this text"},
	{"version", NULL, print_version, "the version"},
};

static int print_help(const char *value)
{
	const char *argument;
	char left[64];
	size_t i;

	(void)value;
	printf("usage: ppctl [OPTIONS] COMMAND\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-12s %s\n               %s\n", commands[i].name, commands[i].arguments,
		       commands[i].help);
	printf("\n");
	for (i = 0; i < ARRAY_SIZE(option_helps); i++) {
		argument = option_helps[i].argument ? option_helps[i].argument : "";
		snprintf(left, sizeof(left), "--%s%s%s", option_helps[i].name,
			 *argument == '[' ? "" : " ", argument);
		printf("  %-26s %s\n", left, option_helps[i].help);
	}
	exit(0);
}

static int print_version(const char *value)
{
	(void)value;
	printf("ppctl %s\n", PP_VERSION);
	exit(0);
}

/* JSON is UTF-8, and a word of the command line may be anything. */
static void keep_ascii(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text > 0x7e)
			*text = '?';
	}
}

int error(const char *format, ...)
{
	struct json_object *object;
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (options.json) {
		keep_ascii(text);
		object = json_object_new_object();
		json_object_object_add(object, "error", json_object_new_string(text));
		print_json(object);
	} else {
		fprintf(stderr, "ppctl: %s\n", text);
	}
	return -1;
}

void say(const char *format, ...)
{
	va_list arguments;

	if (options.json)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

void print_json(struct json_object *object)
{
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static int parse_options(int argc, char **argv)
{
	struct option long_options[ARRAY_SIZE(option_helps) + 1] = {0};
	int i, chosen;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(option_helps); k++) {
		long_options[k].name = option_helps[k].name;
		long_options[k].has_arg = !option_helps[k].argument	     ? no_argument
					  : *option_helps[k].argument == '[' ? optional_argument
									     : required_argument;
	}
	for (i = 1; i < argc; i++) /* so that errors in what follows are JSON already */
		options.json |= !strcmp(argv[i], "--json");
	opterr = 0;
	for (;;) {
		i = getopt_long(argc, argv, ":", long_options, &chosen);
		if (i == -1)
			return complete_policy();
		if (i == ':')
			return error("%s needs a value", argv[optind - 1]);
		if (i == '?')
			return error("%s: no such option (ppctl --help)", argv[optind - 1]);
		if (option_helps[chosen].set(optarg))
			return -1;
	}
}

int main(int argc, char **argv)
{
	int command, result;

	if (parse_options(argc, argv))
		return 1;
	if (optind == argc) {
		error("which command? (ppctl --help)");
		return 1;
	}
	command = NAME_FIND(argv[optind], commands);
	if (command < 0) {
		error("%s: no such command (ppctl --help)", argv[optind]);
		return 1;
	}
	result = commands[command].run(argc - optind - 1, argv + optind + 1);
	return result < 0 ? 1 : result;
}
