// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl: loads the programs, and looks after the proxies and ports that they serve. State is pinned
 * maps and links; there is no daemon. This file has the tables of options and commands, and reads
 * the command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pp/version.h>

#include "../common/array.h"
#include "../common/name.h"
#include "../common/number.h"
#include "command.h"
#include "ppctl.h"
#include "word.h"

struct options options = {.pin = DEFAULT_PIN};

static int help_wanted, version_wanted;

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
	options.pin_given = 1;
	return 0;
}

static int set_set(const char *value)
{
	if (!is_set_name(value))
		return error("--set: '%s' is not a name: letters, digits, '-' and '_'", value);
	options.set = value;
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

static int set_clients(const char *value)
{
	options.clients = value;
	return 0;
}

static int set_states(const char *value)
{
	options.states = value;
	return 0;
}

static int set_output(const char *value)
{
	options.output = value;
	return 0;
}

static int set_senders(const char *value)
{
	options.senders = value;
	return 0;
}

static int set_policy(enum policy_key key, const char *option, const char *value)
{
	char why[WHY_MAX];

	options.policy_given = option;
	return policy_give(&options.given, key, value, why) ? error("%s: %s", option, why) : 0;
}

static int set_gate(const char *value)
{
	return set_policy(POLICY_GATE, "--gate", value);
}

static int set_on_bad(const char *value)
{
	return set_policy(POLICY_ON_BAD, "--on-bad", value);
}

static int set_split(const char *value)
{
	return set_policy(POLICY_SPLIT, "--split", value);
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
	return set_policy(POLICY_TRANSPARENT, "--transparent", "yes");
}

static int set_local(const char *value)
{
	(void)value;
	return set_policy(POLICY_LOCAL, "--local", "yes");
}

static int set_v1_mixed(const char *value)
{
	(void)value;
	return set_policy(POLICY_V1_MIXED, "--v1-mixed", "yes");
}

static int set_lookup(const char *value)
{
	return set_policy(POLICY_LOOKUP, "--lookup", value);
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

static int set_empty(const char *value)
{
	(void)value;
	options.empty = 1;
	return 0;
}

static int set_wait(const char *value)
{
	options.wait = 1;
	return value ? set_number("--wait", value, 31536000, &options.wait_s) : 0;
}

static int set_connections(const char *value)
{
	char why[WHY_MAX];

	return connections_parse(value, &options.connections, why) ? error("--connections: %s", why)
								   : 0;
}

static int set_dry_run(const char *value)
{
	(void)value;
	options.dry_run = 1;
	return 0;
}

static int set_verbose(const char *value)
{
	(void)value;
	options.verbose = 1;
	return 0;
}

static int set_json(const char *value)
{
	(void)value;
	options.json = 1;
	return 0;
}

static int set_help(const char *value)
{
	(void)value;
	help_wanted = 1;
	return 0;
}

static int set_version(const char *value)
{
	(void)value;
	version_wanted = 1;
	return 0;
}

const struct option_entry option_entries[] = {
	{"cgroup", 0, "PATH", VALUES_CGROUP, set_cgroup,
	 "cgroup v2 of the mail server, below where cgroup2 is mounted; self, parent: ppctl's own"},
	{"port", 0, "PORT[,PORT]", NULL, set_ports,
	 "ports to serve, or to show: 25, 192.0.2.1:465"},
	{"proxy", 0, "PREFIX[,PREFIX]", NULL, set_proxies,
	 "proxies to believe, or whose connections to show: 192.0.2.7, 2001:db8::/64"},
	{"client", 0, "PREFIX[,PREFIX]", NULL, set_clients, "clients whose connections to show"},
	{"state", 0, "STATE[,STATE]", "valid local pending fragmented expired bad none", set_states,
	 "connections of these states: valid, local, pending, fragmented, expired, bad, none"},
	{"proxy-cgroup", 0, "PATH[,PATH]", VALUES_CGROUP, set_senders,
	 "cgroups of proxies on this host: over loopback, only they are believed"},
	{"split", 0, "yes|no", "yes no", set_split,
	 "take the header out of the stream in the kernel, or leave it to libpp (no)"},
	{"interface", 0, "NAME[,NAME]", VALUES_INTERFACE, set_interfaces,
	 "attach the split's programs only here (lo, and all that have an address); repeatable"},
	{"transparent", 0, NULL, NULL, set_transparent,
	 "accept(), getpeername() answer with the origin"},
	{"local", 0, NULL, NULL, set_local, "getsockname() answers with the header's destination"},
	{"gate", 0, "TIME", NULL, set_gate,
	 "hold the handshake back for a header, at most so long; 0: not at all (3s)"},
	{"on-bad", 0, "tell|drop", "tell drop", set_on_bad,
	 "bad header: tell the server, or drop it (tell)"},
	{"v1-mixed", 0, NULL, NULL, set_v1_mixed,
	 "accept a v1 line with addresses of two families (nginx)"},
	{"lookup", 0, "yes|no", "yes no", set_lookup,
	 "whether a program calls pp_lookup(); no: nothing is attached to getsockopt() for it"},
	{"connections", 0, "N", NULL, set_connections,
	 "make the maps of a new set for so many connections at once (16384)"},
	{"dry-run", 'n', NULL, NULL, set_dry_run, "only print what would be changed"},
	{"wait", 0, "[=SECONDS]", NULL, set_wait, "wait for the last connection, at most so long"},
	{"now", 0, NULL, NULL, set_now, "reset the connections that are left"},
	{"empty", 0, NULL, NULL, set_empty, "also sets whose cgroups have no process"},
	{"allow-root-cgroup", 0, NULL, NULL, set_allow_root_cgroup, "accept the root cgroup"},
	{"set", 0, "NAME", VALUES_SET, set_set, "the set that is pinned in DIR/NAME, see --pin"},
	{"pin", 0, "DIR", VALUES_DIRECTORY, set_pin, "directory for the pins (" DEFAULT_PIN ")"},
	{"output", 0, "FILE", VALUES_FILE, set_output,
	 "write into this file, whole: it is renamed when it is written"},
	{"verbose", 'v', NULL, NULL, set_verbose, "programs, maps and all counters, too"},
	{"json", 0, NULL, NULL, set_json, "answer in JSON, errors too"},
	{"help", 'h', NULL, NULL, set_help, "the help of the command"},
	{"version", 'V', NULL, NULL, set_version, "the version of ppctl"},
};
const size_t option_count = ARRAY_SIZE(option_entries);

#define OF_A_SET "set pin json"
#define OF_PORTS "transparent local split gate on-bad v1-mixed lookup interface"

const struct command commands[] = {
	{"up", command_up, "", 0, 0, NULL, "cgroup",
	 "cgroup port proxy proxy-cgroup " OF_PORTS " connections allow-root-cgroup " OF_A_SET,
	 FOR_THE_PIN, "load the programs and attach them to a cgroup",
	 "up --cgroup system.slice/exim4.service --port 25 --transparent --proxy 192.0.2.7"},
	{"check", command_check, "[FILE]", 0, 1, VALUES_FILE, NULL, "json", FOR_NO_SET,
	 "say what is wrong with a configuration (" DEFAULT_CONFIG "), and what cannot work",
	 "check /etc/ppsplit.conf"},
	{"apply", command_apply, "[FILE]", 0, 1, VALUES_FILE, NULL, "dry-run pin json", FOR_NO_SET,
	 "make the sets what a configuration (" DEFAULT_CONFIG ") says", "apply --dry-run"},
	{"down", command_down, "", 0, 0, NULL, NULL, "wait now " OF_A_SET, FOR_THE_ONLY_SET,
	 "detach the programs, remove maps and links; with a split, when its connections are gone",
	 "down --wait=60"},
	{"sweep", command_sweep, "", 0, 0, NULL, NULL, "empty " OF_A_SET, FOR_ALL_SETS,
	 "remove the sets whose cgroups are gone, as of containers that have ended",
	 "sweep --empty --pin /sys/fs/bpf/ppsplit-oci"},
	{"upgrade", command_upgrade, "", 0, 0, NULL, NULL, OF_A_SET, FOR_THE_ONLY_SET,
	 "replace the programs by those of this ppctl; connections and lists stay", "upgrade"},
	{"port add", command_port_add, "PORT[,PORT]...", 1, -1, NULL, NULL, OF_PORTS " " OF_A_SET,
	 FOR_THE_ONLY_SET, "serve these ports; one that is served gets this policy",
	 "port add 465,587 --transparent --gate 5000"},
	{"port del", command_port_del, "PORT[,PORT]...", 1, -1, NULL, NULL, OF_A_SET,
	 FOR_THE_ONLY_SET, "serve these ports no more; with a split, when its connections are gone",
	 "port del 587"},
	{"port list", command_port_list, "", 0, 0, NULL, NULL, OF_A_SET, FOR_THE_ONLY_SET,
	 "show the served ports", "port list"},
	{"proxy add", command_proxy_add, "PREFIX[,PREFIX]...", 1, -1, NULL, NULL, OF_A_SET,
	 FOR_THE_ONLY_SET, "believe these proxies", "proxy add 192.0.2.7 2001:db8::/64"},
	{"proxy del", command_proxy_del, "PREFIX[,PREFIX]...", 1, -1, NULL, NULL, OF_A_SET,
	 FOR_THE_ONLY_SET, "believe these proxies no more", "proxy del 192.0.2.7"},
	{"proxy list", command_proxy_list, "", 0, 0, NULL, NULL, OF_A_SET, FOR_THE_ONLY_SET,
	 "show the proxies that are believed", "proxy list"},
	{"proxy-cgroup add", command_proxy_cgroup_add, "PATH[,PATH]...", 1, -1, VALUES_CGROUP, NULL,
	 "allow-root-cgroup " OF_A_SET, FOR_THE_ONLY_SET,
	 "over loopback, believe the processes of these cgroups, and no others",
	 "proxy-cgroup add system.slice/haproxy.service"},
	{"proxy-cgroup del", command_proxy_cgroup_del, "PATH[,PATH]...", 1, -1, VALUES_CGROUP, NULL,
	 "allow-root-cgroup " OF_A_SET, FOR_THE_ONLY_SET,
	 "believe the processes of these cgroups no more",
	 "proxy-cgroup del system.slice/haproxy.service"},
	{"proxy-cgroup list", command_proxy_cgroup_list, "", 0, 0, NULL, NULL, OF_A_SET,
	 FOR_THE_ONLY_SET, "show the cgroups of proxies on this host", "proxy-cgroup list"},
	{"status", command_status, "", 0, 0, NULL, NULL, "verbose " OF_A_SET, FOR_ALL_SETS,
	 "is it serving? exit status 0: yes, 1: degraded, 2: down; and why, and what is served",
	 "status -v"},
	{"connections", command_connections, "", 0, 0, NULL, NULL,
	 "port proxy client state " OF_A_SET, FOR_ALL_SETS,
	 "show the connections that live, with client, proxy, state and process",
	 "connections --port 25 --client 192.0.2.0/24"},
	{"lookup", command_lookup, "PID FD | LOCAL REMOTE", 2, 2, NULL, NULL, OF_A_SET,
	 FOR_ALL_SETS,
	 "show the record of a process's socket, or of the connection with these two ends",
	 "lookup 192.0.2.1:25 198.51.100.7:40000"},
	{"monitor", command_monitor, "", 0, 0, NULL, NULL, OF_A_SET, FOR_ALL_SETS,
	 "show what becomes of connections as it happens, until it is interrupted", "monitor"},
	{"metrics", command_metrics, "", 0, 0, NULL, NULL, "output set pin", FOR_ALL_SETS,
	 "print counters, connections and health in Prometheus' text format", "metrics"},
	{"help", command_help, "[COMMAND]", 0, 2, VALUES_COMMAND, NULL, "", FOR_NO_SET,
	 "show this text, or the help of a command", "help port add"},
};
const size_t command_count = ARRAY_SIZE(commands);

int command_takes(const struct command *command, const char *name)
{
	size_t len = strlen(name);
	const char *at;

	if (!strcmp(name, "help"))
		return 1;
	for (at = command->options; *at; at += strspn(at, " ")) {
		if (!strncmp(at, name, len) && (!at[len] || at[len] == ' '))
			return 1;
		at += strcspn(at, " ");
	}
	return 0;
}

int command_begins_with(const struct command *command, const char *word)
{
	size_t len = strlen(word);

	return !strncmp(command->name, word, len) &&
	       (!command->name[len] || command->name[len] == ' ');
}

const char *command_group(const char *first, char text[256])
{
	size_t i, have = 0;

	text[0] = 0;
	for (i = 0; i < ARRAY_SIZE(commands) && have < 256; i++) {
		if (command_begins_with(&commands[i], first))
			have += snprintf(text + have, 256 - have, "%s%s", have ? ", " : "",
					 commands[i].name);
	}
	return text;
}

/* "up, port add": the commands that take the option @name. */
static const char *list_takers(const char *name, char text[256])
{
	size_t i, have = 0;

	text[0] = 0;
	for (i = 0; i < ARRAY_SIZE(commands) && have < 256; i++) {
		if (command_takes(&commands[i], name))
			have += snprintf(text + have, 256 - have, "%s%s", have ? ", " : "",
					 commands[i].name);
	}
	return text;
}

/* For an error: the words that @argv begins with, and which were meant. */
static int no_such_command(int argc, char **argv)
{
	static char names[ARRAY_SIZE(commands)][32];
	const char *first[ARRAY_SIZE(commands)], *second[ARRAY_SIZE(commands)];
	char suggestion[SUGGESTION_MAX], text[256], *blank;
	size_t i, seconds = 0;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		snprintf(names[i], sizeof(names[i]), "%s", commands[i].name);
		first[i] = names[i];
		blank = strchr(names[i], ' ');
		if (blank)
			*blank = 0;
		if (blank && !strcmp(names[i], argv[0]))
			second[seconds++] = blank + 1;
	}
	if (!seconds)
		return usage_error("%s: no such command%s (ppctl help)", argv[0],
				   name_suggestion(suggestion, "", NAME_NEAREST(argv[0], first)));
	if (argc < 2)
		return usage_error("which one: %s? (ppctl help %s)", command_group(argv[0], text),
				   argv[0]);
	return usage_error(
		"%s %s: no such command%s (ppctl help %s)", argv[0], argv[1],
		name_suggestion(suggestion, "",
				name_nearest(argv[1], second, seconds, sizeof(second[0]))),
		argv[0]);
}

int command_help(int argc, char **argv)
{
	if (!argc)
		help_print_overview();
	else if ((argc < 2 || !help_print(argv[0], argv[1])) && !help_print(argv[0], NULL))
		return no_such_command(argc, argv);
	return 0;
}

/* The command that @argv begins with; @words: receives how many words its name has. */
static const struct command *command_find(int argc, char **argv, int *words)
{
	char both[64];
	int found;

	*words = 2;
	if (argc > 1) {
		snprintf(both, sizeof(both), "%s %s", argv[0], argv[1]);
		found = NAME_FIND(both, commands);
		if (found >= 0)
			return &commands[found];
	}
	*words = 1;
	found = NAME_FIND(argv[0], commands);
	return found < 0 ? NULL : &commands[found];
}

static int no_such_option(const char *word, int letter)
{
	char name[64], suggestion[SUGGESTION_MAX];

	if (letter)
		return usage_error("-%c: no such option (ppctl help)", letter);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	if (NAME_FIND(name, option_entries) >= 0)
		return usage_error("--%s takes no value", name);
	return usage_error("%s: no such option%s (ppctl help)", word,
			   name_suggestion(suggestion, "--", NAME_NEAREST(name, option_entries)));
}

/* @long_options, @letters: what getopt_long() wants to be told. */
static void describe_options(struct option *long_options, char *letters)
{
	size_t k;

	*letters++ = ':';
	for (k = 0; k < ARRAY_SIZE(option_entries); k++) {
		long_options[k].name = option_entries[k].name;
		long_options[k].has_arg = !option_entries[k].argument	       ? no_argument
					  : *option_entries[k].argument == '[' ? optional_argument
									       : required_argument;
		if (option_entries[k].letter)
			*letters++ = option_entries[k].letter;
	}
	*letters = 0;
}

static int option_of_letter(int letter)
{
	size_t k = 0;

	while (option_entries[k].letter != letter)
		k++;
	return k;
}

/* @given: receives 1 for each option that is there. */
static int parse_options(int argc, char **argv, char given[ARRAY_SIZE(option_entries)])
{
	struct option long_options[ARRAY_SIZE(option_entries) + 1] = {0};
	char letters[ARRAY_SIZE(option_entries) + 2];
	const char *why;
	int i, chosen;

	for (i = 1; i < argc; i++) /* so that errors in what follows are JSON already */
		options.json |= !strcmp(argv[i], "--json");
	describe_options(long_options, letters);
	opterr = 0;
	for (;;) {
		i = getopt_long(argc, argv, letters, long_options, &chosen);
		if (i == -1)
			return policy_make(&options.given, NULL, &options.policy, &why)
				       ? error("%s", why)
				       : 0;
		if (i == ':')
			return usage_error("%s needs a value", argv[optind - 1]);
		if (i == '?')
			return no_such_option(argv[optind - 1], optopt);
		if (i)
			chosen = option_of_letter(i);
		given[chosen] = 1;
		if (option_entries[chosen].set(optarg))
			return -1;
	}
}

/* Does @command take the options that are given, are those there that it needs, and as many words
 * as it wants? */
static int check_usage(const struct command *command, const char *given, int words)
{
	char text[256];
	size_t k;

	for (k = 0; k < ARRAY_SIZE(option_entries); k++) {
		if (given[k] && !command_takes(command, option_entries[k].name))
			return usage_error("--%s is no option of 'ppctl %s'; it is one of: %s",
					   option_entries[k].name, command->name,
					   list_takers(option_entries[k].name, text));
	}
	if (words >= command->min && (command->max < 0 || words <= command->max) &&
	    (!command->needs || given[NAME_FIND(command->needs, option_entries)]))
		return 0;
	usage_line(command, text, sizeof(text));
	return usage_error("usage: %s (ppctl help %s)", text, command->name);
}

static int print_version(void)
{
	struct json_object *object;

	if (!options.json) {
		printf("ppctl %s\n", PP_VERSION);
		return 0;
	}
	object = json_object_new_object();
	json_object_object_add(object, "version", json_object_new_string(PP_VERSION));
	print_json(object);
	return 0;
}

static int run(int argc, char **argv, const char *given)
{
	const struct command *command;
	int words, result;

	if (version_wanted)
		return print_version();
	if (help_wanted)
		return command_help(argc, argv);
	if (!argc)
		return usage_error("which command? (ppctl help)");
	command = command_find(argc, argv, &words);
	if (!command)
		return no_such_command(argc, argv);
	if (check_usage(command, given, argc - words))
		return -2;
	result = choose_set(command->set);
	return result ? result : command->run(argc - words, argv + words);
}

/* 1 and 2 of 'ppctl status' mean that a set is not well. */
static int status_of_failure(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "status"))
			return EXIT_UNKNOWN;
	}
	return EXIT_FAILED;
}

static int exit_status(int result)
{
	if (result >= 0)
		return result;
	return result == -1 || options.failed != EXIT_FAILED ? options.failed : EXIT_USAGE;
}

/* A descriptor of ours in the place of a closed one would be written to. What is printed to
 * standard output then is an error: the file is open for reading. */
static void open_standard_files(void)
{
	static char buffer[1 << 20];
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	signal(SIGXFSZ, SIG_IGN); /* EFBIG says it */
	/* what is said is written at the end, by the call whose error check_output() tells */
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
}

/* Who reads half of what was to be said must not take it for all. */
static int check_output(int status)
{
	int failed = ferror(stdout);

	errno = 0;
	if ((!fflush(stdout) && !failed) || status == options.failed)
		return status;
	options.json = 0; /* it would go there, too */
	error("standard output: %s", strerror(errno ? errno : EIO));
	return options.failed;
}

int main(int argc, char **argv)
{
	char given[ARRAY_SIZE(option_entries)] = {0};

	open_standard_files();
	options.failed = status_of_failure(argc, argv);
	/* its words are not options of its own */
	if (argc > 2 && !strcmp(argv[1], "complete") && !strcmp(argv[2], "--"))
		return check_output(complete(argc - 3, argv + 3));
	if (parse_options(argc, argv, given))
		return check_output(exit_status(-2));
	return check_output(exit_status(run(argc - optind, argv + optind, given)));
}
