/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is to be served: the sections of /etc/ppsplit.conf, or the one that the options of 'ppctl
 * up' make. Reading it asks nothing of the system: that is for check.c.
 */
#ifndef PPCTL_CONFIG_H
#define PPCTL_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include <pp/maps.h>

#include "word.h"

#define DEFAULT_CONFIG	    "/etc/ppsplit.conf"
#define DEFAULT_GATE_MS	    3000 /* one TCP retransmission, as the protocol asks for at least */
#define DEFAULT_CONNECTIONS 16384
#define CONNECTIONS_LEAST   256
#define CONNECTIONS_MOST    1048576
#define SET_NAME_MAX	    32
#define CGROUP_NAME_MAX	    1024
#define SET_PORTS_MAX	    256 /* max_entries of the maps */
#define SET_PROXIES_MAX	    1048576
#define INTERFACE_MAX	    15 /* IFNAMSIZ - 1 */

/* What is wrong, or cannot work, and where. */
struct problem {
	unsigned int line; /* 0: the file as a whole */
	int warning;
	char *text;
};

struct problems {
	struct problem *problem;
	size_t count, errors;
	int no_memory;
};

void problem_add(struct problems *problems, unsigned int line, int warning, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void problems_sort(struct problems *problems); /* by line */
void problems_free(struct problems *problems);

struct word {
	char *text;
	unsigned int line;
};

struct words {
	struct word *word;
	size_t count;
};

/* A policy of which only some is given. */
enum policy_key {
	POLICY_TRANSPARENT,
	POLICY_SPLIT,
	POLICY_LOCAL,
	POLICY_GATE,
	POLICY_ON_BAD,
	POLICY_V1_MIXED,
	POLICY_LOOKUP,
	POLICY_COUNT,
};

struct policy {
	unsigned int given; /* a bit for each enum policy_key */
	uint32_t value[POLICY_COUNT];
	unsigned int line[POLICY_COUNT];
};

struct wanted_port {
	struct pp_port_key key;
	struct policy own; /* what the port's line gives */
	struct pp_port policy;
	unsigned int line;
};

struct wanted_proxy {
	struct pp_prefix key;
	struct pp_proxy value;
	unsigned int line;
};

/* Finds a section's proxies by their keys: a hash table of numbers that begin at 1. It takes up
 * what has been added to the list since it was last asked. */
struct proxy_index {
	uint32_t *slot;
	size_t room, taken_up;
};

/* A set as it is to be. */
struct section {
	char name[SET_NAME_MAX + 1];
	unsigned int line;
	struct words cgroups, senders, interfaces;
	struct policy policy;
	uint32_t connections; /* that the set's maps are made for; 0: not given */
	unsigned int connections_line;
	struct wanted_port *ports;
	size_t port_count;
	struct wanted_proxy *proxies;
	size_t proxy_count;
	struct proxy_index index; /* of them, while they are read */
};

struct config {
	struct section *sections;
	size_t count;
};

/* Reads @text of @len bytes. What is wrong is in @problems; the rest is in @config in any case. */
void config_parse(struct config *config, const char *text, size_t len, struct problems *problems);
void config_free(struct config *config);
/* config_file.c: reads the file of a configuration. That others may have changed it is a problem, a
 * warning or an error. Return: *@len bytes, to be freed; or NULL after an error. */
char *config_file_read(const char *file, size_t *len, int warning, struct problems *problems);
void section_free(struct section *section);

/* A name that a set can have. */
int is_set_name(const char *name);
/* One name, whatever characters it has, but no control characters. @line: 0 where it is of no file.
 */
void section_add_word(struct words *words, const char *word, unsigned int line, const char *key,
		      struct problems *problems);
/* The comma-separated words of @value. */
void section_add_words(struct words *words, const char *value, unsigned int line, const char *key,
		       struct problems *problems);
/* The proxy of @section with this key, or NULL. Without memory the answer is NULL, too: the
 * kernel's map knows better. */
const struct wanted_proxy *proxy_index_find(struct proxy_index *index,
					    const struct section *section,
					    const struct pp_prefix *key);
void proxy_index_free(struct proxy_index *index);
void section_add_proxies(struct section *section, const char *value, unsigned int line,
			 struct problems *problems);
/* "[ADDRESS:]N[,...]", and options NAME=VALUE after that. */
void section_add_ports(struct section *section, const char *value, unsigned int line,
		       struct problems *problems);
/* Gives @key the value that @word says. Return: 0; or -1, and @why says what is wrong with it. */
int policy_give(struct policy *policy, enum policy_key key, const char *word, char why[WHY_MAX]);
/* @given, with what it does not give from @defaults (may be NULL), and from what ppctl has for the
 * rest. Return: 0; or -1, and @why says which do not go together. */
int policy_make(const struct policy *given, const struct policy *defaults, struct pp_port *policy,
		const char **why);

/* Is @path below @cgroup, or the same? Both without a slash at the end. */
int cgroup_contains(const char *cgroup, const char *path);

#endif
