// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppsplit.conf as ppctl reads it: what comes out of it, and what is said of mistakes. What asks the
 * system is in net/apply.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/common/array.h"
#include "../../user/ppctl/config.h"
#include "../../user/ppctl/word.h"
#include "../lib/mistakes.h"

static void read_text(struct config *config, const char *text, struct problems *problems)
{
	memset(problems, 0, sizeof(*problems));
	config_parse(config, text, strlen(text), problems);
	assert_false(problems->no_memory);
}

static void assert_no_problem(const struct problems *problems)
{
	size_t i;

	for (i = 0; i < problems->count; i++)
		print_error("%u: %s\n", problems->problem[i].line, problems->problem[i].text);
	assert_int_equal(problems->count, 0);
	assert_int_equal(problems->errors, 0);
}

static void a_file_is_read(void **state)
{
	struct problems problems;
	const struct section *mail;
	struct config config;

	(void)state;
	read_text(&config,
		  "\xef\xbb\xbf# ppsplit\r\n"
		  "[serve mail]   ; the relay\n"
		  "   cgroup = mail.slice, system.slice/exim4.service/   # two\n"
		  "port=25\n"
		  "port = 587 , 465 gate=10s on-bad=tell transparent=no\n"
		  "transparent = yes\n"
		  "gate = 500ms\n"
		  "proxy = 198.51.100.1, 2001:db8:1::/64\n"
		  "proxy = ::/0\n"
		  "proxy-cgroup = system.slice/haproxy.service\n"
		  "interface = eth0\n"
		  "\n"
		  "[ serve  other ]\n"
		  "cgroup = other.slice\n"
		  "port = 25\n"
		  "proxy = 192.0.2.7",
		  &problems);
	assert_no_problem(&problems);
	assert_int_equal(config.count, 2);
	mail = &config.sections[0];
	assert_string_equal(mail->name, "mail");
	assert_int_equal(mail->line, 2);
	assert_int_equal(mail->cgroups.count, 2);
	assert_string_equal(mail->cgroups.word[1].text, "system.slice/exim4.service");
	assert_int_equal(mail->cgroups.word[1].line, 3);
	assert_int_equal(mail->port_count, 3);
	assert_int_equal(mail->ports[0].key.port, 25);
	assert_int_equal(mail->ports[0].policy.flags, PP_PORT_TRANSPARENT);
	assert_int_equal(mail->ports[0].policy.split, PP_SPLIT_YES);
	assert_int_equal(mail->ports[0].policy.on_bad, PP_ON_BAD_DROP);
	assert_int_equal(mail->ports[0].policy.gate_ms, 500);
	assert_int_equal(mail->ports[1].key.port, 587);
	assert_int_equal(mail->ports[2].key.port, 465);
	assert_int_equal(mail->ports[2].policy.gate_ms, 10000);
	assert_int_equal(mail->ports[2].policy.flags, 0);
	assert_int_equal(mail->ports[2].policy.on_bad, PP_ON_BAD_TELL);
	assert_int_equal(mail->proxy_count, 3);
	assert_int_equal(mail->proxies[0].value.flags, 0);
	assert_int_equal(mail->proxies[0].key.length, 128);
	assert_int_equal(mail->proxies[2].key.length, 0);
	assert_int_equal(mail->proxies[2].value.flags, PP_PROXY_NOT_IPV4);
	assert_int_equal(mail->proxies[2].line, 9);
	assert_int_equal(mail->senders.count, 1);
	assert_int_equal(mail->interfaces.count, 1);
	assert_string_equal(config.sections[1].name, "other");
	assert_int_equal(config.sections[1].ports[0].policy.gate_ms, DEFAULT_GATE_MS);
	config_free(&config);
}

static void prefixes_that_cover_ipv4_are_for_ipv6_alone(void **state)
{
	static const struct {
		const char *text;
		unsigned int flags;
	} cases[] = {
		{"::/0", PP_PROXY_NOT_IPV4},
		{"::/64", PP_PROXY_NOT_IPV4},
		{"::fffe:0:0/95", PP_PROXY_NOT_IPV4},
		{"8000::/1", 0},
		{"0.0.0.0/0", 0},
		{"::ffff:0:0/96", 0},
		{"2001:db8::/32", 0},
		{"::1", 0},
		{"::/80", PP_PROXY_NOT_IPV4},
		{"::/96", 0},
	};
	struct problems problems;
	struct config config;
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "[serve a]\ncgroup = a\nport = 25\nproxy = %s\n",
			 cases[i].text);
		read_text(&config, text, &problems);
		assert_no_problem(&problems);
		if (config.sections[0].proxies[0].value.flags != cases[i].flags)
			fail_msg("%s", cases[i].text);
		config_free(&config);
	}
}

static void a_port_has_an_address_or_any(void **state)
{
	static const struct {
		const char *text, *same;
	} cases[] = {
		{"25", "25"},
		{"192.0.2.1:25", "192.0.2.1:25"},
		{"[::ffff:192.0.2.1]:25", "192.0.2.1:25"},
		{"[2001:DB8:0::1]:25", "[2001:db8::1]:25"},
		{"127.0.0.1:65535", "127.0.0.1:65535"},
	};
	char text[ENDPOINT_TEXT_MAX], why[WHY_MAX];
	struct pp_port_key key, again;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(port_parse(cases[i].text, &key, why), 0);
		assert_string_equal(port_text(&key, text), cases[i].same);
		assert_int_equal(port_has_address(&key), i > 0);
		assert_int_equal(port_parse(text, &again, why), 0);
		assert_true(port_is_same(&key, &again));
	}
}

#define GOOD "[serve mail]\ncgroup = mail.slice\nport = 25\nproxy = 192.0.2.7\n"

/* GOOD has 4 lines: what is added begins in line 5. */
static const struct mistake {
	const char *text;
	unsigned int line;
	const char *says;
} mistakes[] = {
	{"[server mail]\ncgroup = a\n", 1, "there is no section [server] (did you mean serve?)"},
	{"[serve]\n", 1, "'' is no name for a set"},
	{"[serve a/b]\n", 1, "'a/b' is no name for a set"},
	{"[serve links]\n", 1, "'links' is no name for a set"},
	{"[serve pp_x]\n", 1, "'pp_x' is no name for a set"},
	{"[serve x123456789012345678901234567890123]\n", 1, "up to 32 letters"},
	{GOOD "[serve mail]\n", 5, "[serve mail] begins in line 1 already"},
	{"port = 25\n", 1, "port stands before the first section"},
	{GOOD "prot = 25\n", 5, "there is no key 'prot' (did you mean port?)"},
	{GOOD "proxies = 192.0.2.1\n", 5, "no key 'proxies' (did you mean proxy?)"},
	{GOOD "on_bad = tell\n", 5, "no key 'on_bad' (did you mean on-bad?)"},
	{GOOD "port 26\n", 5, "'port 26' is neither [serve NAME] nor KEY = VALUE"},
	{GOOD "port: 26\n", 5, "is neither [serve NAME] nor KEY = VALUE"},
	{GOOD "[serve other\n", 5, "a section is a line of its own"},
	{GOOD "[serve other] port = 26\n", 5, "a section is a line of its own"},
	{GOOD "port =\n", 5, "port has no value"},
	{GOOD "proxy-cgroup = \"proxy.slice\"\n", 5,
	 "proxy-cgroup \"proxy.slice\": a quotation mark would be part of the name"},
	{GOOD "cgroup = 'other.slice'\n", 5, "a quotation mark would be part of the name"},
	{GOOD "cgroup = a\tb\n", 5, "a control character in the name"},
	{GOOD "port = 26,\n", 5, "an empty word: a comma too many"},
	{GOOD "port = smtp\n", 5, "'smtp' is not a port: a number from 1 to 65535"},
	{GOOD "port = 70000\n", 5, "'70000' is not a port"},
	{GOOD "port = 192.0.2.1\n", 5, "'192.0.2.1' is not a port"},
	{GOOD "port = 192.0.2.1:0\n", 5, "'192.0.2.1:0' is not a port"},
	{GOOD "port = 192.0.2.1:70000\n", 5, "'192.0.2.1:70000' is not a port"},
	{GOOD "port = 192.0.2.256:26\n", 5, "'192.0.2.256:26' is not a port"},
	{GOOD "port = 2001:db8::1:26\n", 5, "alone or as 192.0.2.1:25 or [2001:db8::1]:25"},
	{GOOD "port = eth0:26\n", 5, "'eth0:26' is not a port"},
	{GOOD "port = 0.0.0.0:26\n", 5, "is every address: say port 26"},
	{GOOD "port = [::]:26\n", 5, "is every address: say port 26"},
	{GOOD "port = 192.0.2.1:26\nport = [::ffff:192.0.2.1]:26\n", 6, "is in line 5 already"},
	{GOOD "port = [2001:db8::1]:26 local=yes\n", 5,
	 "port [2001:db8::1]:26: local needs transparent"},
	{GOOD "port = 25\n", 5, "port 25 is in line 3 already"},
	{GOOD "port = 26 on-bat=tell\n", 5, "there is no option 'on-bat' (did you mean on-bad?)"},
	{GOOD "port = 26 transparent\n", 5, "transparent needs a value: transparent=VALUE"},
	{GOOD "port = 26 gate=1s gate=2s\n", 5, "gate is given twice"},
	{GOOD "port = 26 27\n", 5, "there is no option '27'"},
	{GOOD "transparent = true\n", 5, "'true' is neither yes nor no"},
	{GOOD "transparent = no\ntransparent = no\n", 6, "transparent is given before already"},
	{GOOD "gate = soon\n", 5, "'soon' is not a time: 3s, 500ms"},
	{GOOD "gate = 3 s\n", 5, "'3 s' is not a time"},
	{GOOD "gate = 5m\n", 5, "'5m' is not a time"},
	{GOOD "gate = 121s\n", 5, "'121s' is longer than 120 s"},
	{GOOD "on-bad = reject\n", 5, "'reject' is neither tell nor drop"},
	{GOOD "connections = 0\n", 5, "'0' is not a number of connections, from 256 to 1048576"},
	{GOOD "connections = 2000000\n", 5, "'2000000' is not a number of connections"},
	{GOOD "connections = many\n", 5, "'many' is not a number of connections"},
	{GOOD "connections = 4096\nconnections = 4096\n", 6, "connections is in line 5 already"},
	{GOOD "connection = 4096\n", 5, "no key 'connection' (did you mean connections?)"},
	{GOOD "local = yes\n", 3, "port 25: local needs transparent"},
	{GOOD "transparent = yes\nsplit = no\n", 3, "port 25: transparent needs a split"},
	{GOOD "port = 26 transparent=yes on-bad=tell\n", 5, "transparent goes with on-bad drop"},
	{GOOD "proxy = haproxy.example.net\n", 5, "'haproxy.example.net' is not an address prefix"},
	{GOOD "proxy = 192.0.2.0/33\n", 5, "the prefix length is not a number from 0 to 32"},
	{GOOD "proxy = 2001:db8::/129\n", 5, "the prefix length is not a number from 0 to 128"},
	{GOOD "proxy = 192.0.2.1/24\n", 5, "has bits set after the prefix length"},
	{GOOD "proxy = 192.0.2.7/32\n", 5, "proxy 192.0.2.7/32 is in line 4 already"},
	{GOOD "cgroup = mail.slice/\n", 5, "cgroup mail.slice is in line 2 already"},
	{GOOD "cgroup = /sys/fs/cgroup/mail.slice\n", 5, "is in line 2 already: a cgroup belongs"},
	{GOOD "cgroup = mail.slice/exim4.service\n", 5, "are one inside of the other"},
	{GOOD "cgroup = /\n", 5, "is the root cgroup, every socket of the machine"},
	{GOOD "cgroup = ../mail.slice\n", 5, "name it without . and .."},
	{GOOD "proxy-cgroup = /sys/fs/cgroup\n", 5, "name the proxy's"},
	{GOOD "[serve other]\ncgroup = mail.slice\nport = 26\nproxy = 192.0.2.8\n", 6,
	 "is in [serve mail], line 2 already: a cgroup belongs to one section"},
	{GOOD "[serve other]\ncgroup = mail.slice/x\nport = 26\nproxy = 192.0.2.8\n", 6,
	 "of [serve mail], line 2 are one inside of the other"},
	{"[serve mail]\nport = 25\nproxy = 192.0.2.7\n", 1, "has no cgroup"},
	{"[serve mail]\ncgroup = a\nproxy = 192.0.2.7\n", 1, "has no port"},
	{GOOD "interface = eth0\n", 5, "interface is for ports with a split"},
	{GOOD "split = yes\ninterface = a-name-of-20-letters\n", 6,
	 "a name has 15 characters at most"},
	{GOOD "port = \x01\n", 5, "a control character (1)"},
	{GOOD "proxy = 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6, "
	      "192.0.2.9, 192.0.2.10, 192.0.2.11, 192.0.2.12, 192.0.2.13, 192.0.2.14, 192.0.2.15, "
	      "192.0.2.16, 192.0.2.17, 192.0.2.18, 192.0.2.19\n",
	 5, "a line of more than 190 characters"},
};

static int is_a_case(const char *words)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mistakes); i++) {
		if (strstr(mistakes[i].says, words))
			return 1;
	}
	return 0;
}

static void each_mistake_of_the_page_is_one_of_these(void **state)
{
	(void)state;
	assert_mistakes_are_said("In the file", 20, is_a_case);
}

static int is_said(const struct problems *problems, const struct mistake *mistake)
{
	size_t i;

	for (i = 0; i < problems->count; i++) {
		if (!problems->problem[i].warning && problems->problem[i].line == mistake->line &&
		    strstr(problems->problem[i].text, mistake->says))
			return 1;
	}
	return 0;
}

static void each_mistake_is_named_with_its_line(void **state)
{
	struct problems problems;
	struct config config;
	size_t i, k;
	int failed = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(mistakes); i++) {
		read_text(&config, mistakes[i].text, &problems);
		if (!is_said(&problems, &mistakes[i])) {
			failed++;
			print_error("%s-> not said: %u: %s\n", mistakes[i].text, mistakes[i].line,
				    mistakes[i].says);
			for (k = 0; k < problems.count; k++)
				print_error("   %u: %s\n", problems.problem[k].line,
					    problems.problem[k].text);
		}
		config_free(&config);
		problems_free(&problems);
	}
	assert_int_equal(failed, 0);
}

static void all_mistakes_are_said_at_once(void **state)
{
	struct problems problems;
	struct config config;

	(void)state;
	read_text(&config,
		  "[serve mail]\ncgroup = mail.slice\nprot = 25\nport = x\nproxy = 1.2.3\n",
		  &problems);
	assert_int_equal(problems.errors, 4); /* and no port */
	assert_int_equal(problems.problem[0].line, 1);
	assert_int_equal(problems.problem[1].line, 1);
	assert_int_equal(problems.problem[1].warning, 1); /* nobody is believed */
	assert_int_equal(problems.problem[4].line, 5);
	config_free(&config);
	problems_free(&problems);
}

static void an_empty_file_serves_nothing_and_is_no_error(void **state)
{
	static const char *const texts[] = {"", "\n", "# nothing yet\n", "; nothing\n\n\n"};
	struct problems problems;
	struct config config;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		read_text(&config, texts[i], &problems);
		assert_int_equal(problems.errors, 0);
		assert_int_equal(problems.count, 1);
		assert_non_null(strstr(problems.problem[0].text, "nothing is served"));
		assert_int_equal(config.count, 0);
		config_free(&config);
		problems_free(&problems);
	}
}

static void no_text_is_too_odd(void **state)
{
	struct problems problems = {};
	struct config config;
	unsigned int seed = 1, i;
	char text[600];

	(void)state;
	for (seed = 1; seed < 3000; seed++) {
		unsigned int random = seed;

		for (i = 0; i < sizeof(text); i++) {
			random = random * 1103515245 + 12345;
			text[i] =
				seed & 1 ? "[]serv a=port2,5:/\n#; \t"[(random >> 16 & 0x7fff) % 23]
					 : (char)(random >> 16);
		}
		config_parse(&config, text, sizeof(text), &problems);
		config_free(&config);
		problems_free(&problems);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read),
		cmocka_unit_test(prefixes_that_cover_ipv4_are_for_ipv6_alone),
		cmocka_unit_test(a_port_has_an_address_or_any),
		cmocka_unit_test(each_mistake_is_named_with_its_line),
		cmocka_unit_test(each_mistake_of_the_page_is_one_of_these),
		cmocka_unit_test(all_mistakes_are_said_at_once),
		cmocka_unit_test(an_empty_file_serves_nothing_and_is_no_error),
		cmocka_unit_test(no_text_is_too_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
