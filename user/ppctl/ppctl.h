/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of ppctl share: the options, a function for each command, and the way to report.
 * A command returns 0, or another exit status; or -1 after it has called error(), -2 after
 * usage_error().
 */
#ifndef PPCTL_H
#define PPCTL_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>
#include <linux/bpf.h>

#include <pp/maps.h>

#include "command.h"
#include "config.h"

#define DEFAULT_PIN   "/sys/fs/bpf/pp"
#define MAP_PROXIES   "pp_proxies"
#define MAP_PORTS     "pp_ports"
#define MAP_SERVED    "pp_served"
#define MAP_ADDRESSES "pp_addresses"
#define MAP_STATS     "pp_stats"
#define MAP_CONFIG    "pp_config"
#define MAP_GUARDED   "pp_guarded"
#define MAP_ONLY      "pp_only"
#define MAP_HOOKED    "pp_hooked"

/* Of what print_json() prints: another number when a field is gone, or means something else. */
#define JSON_SCHEMA 1

struct options {
	const char *pin;	  /* directory of the pinned maps and links of the set */
	int pin_given;		  /* --pin */
	const char *set;	  /* --set, NULL if not given */
	const char *sets;	  /* with --set: the directory that its sets are in */
	const char *cgroup;	  /* --cgroup, NULL if not given */
	const char *ports;	  /* --port */
	const char *proxies;	  /* --proxy */
	const char *senders;	  /* --proxy-cgroup */
	const char *clients;	  /* --client */
	const char *states;	  /* --state */
	const char *output;	  /* --output */
	const char *interfaces;	  /* --interface, NULL if not given */
	struct policy given;	  /* the policy's options, as they are given */
	struct pp_port policy;	  /* what they come to */
	const char *policy_given; /* the last one of them, NULL if none is given */
	int json;
	int dry_run;	      /* --dry-run */
	int names_later;      /* 'ppctl apply': what does not exist now may come */
	int verbose;	      /* --verbose */
	int now;	      /* --now */
	int wait;	      /* --wait */
	uint32_t wait_s;      /* 0: for ever */
	uint32_t connections; /* --connections, 0 if not given */
	int allow_root_cgroup;
	int empty;  /* --empty */
	int failed; /* the exit status after an error */
};

extern struct options options;

/* Commands; @argc words after its name are in @argv, as many as the table allows. */
int command_up(int argc, char **argv);
int command_check(int argc, char **argv);
int command_apply(int argc, char **argv);
int command_upgrade(int argc, char **argv);
int command_down(int argc, char **argv);
int command_sweep(int argc, char **argv);
int command_proxy_add(int argc, char **argv);
int command_proxy_del(int argc, char **argv);
int command_proxy_list(int argc, char **argv);
int command_proxy_cgroup_add(int argc, char **argv);
int command_proxy_cgroup_del(int argc, char **argv);
int command_proxy_cgroup_list(int argc, char **argv);
int command_port_add(int argc, char **argv);
int command_port_del(int argc, char **argv);
int command_port_list(int argc, char **argv);
int command_status(int argc, char **argv);
int command_connections(int argc, char **argv);
int command_lookup(int argc, char **argv);
int command_metrics(int argc, char **argv);
int command_monitor(int argc, char **argv);
int command_help(int argc, char **argv);

/* output.c: says what went wrong and what to do. Return: -1, always. */
int error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for a command line that can never be right, before anything is done. Return: -2, always.
 */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same where the command cannot go on, wherever it is: a set that is changed meanwhile is left
 * as by one that was killed, marked, and the next command completes it. */
void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* What is no error, but has to be known: on standard error, as error() does it. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line for people; nothing with --json. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line of text as error() and say() print it, after @before. */
void print_line(FILE *to, const char *before, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Names of cgroups and interfaces, and words of the command line, may be anything. This makes all
 * strings of @object fit for what they are printed as: JSON, which is UTF-8 (print_json() does it),
 * or text for people. */
void make_printable(struct json_object *object);

/* An object for print_json() that says which set it is about. */
struct json_object *set_object(void);

/* Prints @object with the number of its schema, and frees it. */
void print_json(struct json_object *object);
/* The same in one line. */
void print_json_line(struct json_object *object);

/* choose.c: calls @each with the directory of each set that is up, or half up: that of options.pin
 * itself, and those in it. @name: NULL for the former. Return: 0; or -1 with errno: some cannot be
 * seen. */
int choose_each(void (*each)(const char *directory, const char *name, void *context),
		void *context);
/* Calls @each for the set of --set, or for all that there are, with options.pin being its
 * directory, and its name. Return: 0, or -1 after an error: also for choose_all(), that there is
 * none. */
int choose_some(void (*each)(const char *directory, const char *name, void *context),
		void *context);
int choose_all(void (*each)(const char *directory, const char *name, void *context), void *context);
/* What a set in @directory is called. */
const char *choose_name(const char *directory);
/* Makes options.pin the directory of the set that the command is about. Return: 0; -1; or -2: there
 * are several. */
int choose_set(enum which_set which);

/* pin.c: pinned objects below options.pin, in a directory for each kind: maps, links, progs */
void pin_path(char path[PATH_MAX], const char *kind, const char *name);
/* Is there anything? Only ENOENT says that there is not: after another error nobody knows, and the
 * command gives up. */
int path_exists(const char *path);
/* A pinned object ("maps", "progs", "links") that may be missing: there is no set, or it is on its
 * way in or out. Return: a descriptor; or -1: it is not there, errno is ENOENT, and no error is
 * said. As path_exists(), it gives up where that is not known. */
int pin_open(const char *kind, const char *name);
int pin_open_path(const char *path);
int pin_open_map(const char *name);
/* Calls @each for every pin of ours in the folder @kind, by name, until one returns other than 0.
 * The pin may be removed by that. Return: what the last one returned. */
int pin_each(const char *kind, int (*each)(const char *name, const char *path, void *context),
	     void *context);
/* Sets or clears a flag of pp_config, of which @map is the descriptor. The caller holds the lock.
 */
int config_change(int map, __u32 flag, int on);
/* Pins @fd in the place of what is pinned there, if anything is. Return: 0, or -1. */
int pin_replace(const char *kind, const char *name, int fd);
/* The id of a pinned map; or 0: there is none. */
uint32_t pin_map_id(const char *name);
/* Writes the entry of a map that has one, of @size bytes, and that no program uses; makes it, if
 * need be. Return: 0, or -1. */
int pin_write(const char *name, const void *value, size_t size);
int pin_exists(const char *kind, const char *name);
/* Is there a set, or what is left of one? */
int pin_has_any(void);
/* Where the BPF file system of options.pin is mounted. Return: 0, or -1 and no error is said. */
int pin_root(char path[PATH_MAX]);
/* Waits until no other ppctl changes what is pinned, and keeps others waiting until this one ends.
 */
int pin_lock(void);
void pin_unlock(void);
/* Is all that is below options.pin ours? Says what is not. */
int pin_check(void);
int pin_make_directories(void);
/* Removes a pin, or one of a link, which it detaches. One that is not there is removed. Return: 0,
 * or -1. */
int pin_remove(const char *path);
int pin_remove_link(const char *path);
/* Detaches the links, and removes all there is. Return: 0; or -1, and the set is marked as one that
 * is being changed. */
int pin_remove_all(void);

/* check.c: reads the file, asks the system, and prints what is wrong with it, and what cannot work.
 * Return: 0; or -1: it has errors. */
int config_load(const char *file, struct config *config, int with_warnings);

/* cgroup.c: where cgroup2 is mounted; where that is more than one place, one that shows all
 * cgroups. Return: 1, or 0: nowhere. */
int cgroup_find_mount(char path[PATH_MAX]);
/* Calls @each with every place where cgroup2 is mounted, until it says 1. A container may have two:
 * its own view, and the host's. */
int cgroup_each_mount(int (*each)(const char *mount, void *context), void *context);
/* Calls @each for the cgroup @path, and for all below it, until it says 1: @path receives that one.
 * Return: 1, or 0. */
int cgroup_walk(char path[PATH_MAX], int (*each)(const char *path, void *context), void *context);
/* A path that is absolute, or below where cgroup2 is mounted. CGROUP_MISSING and CGROUP_UNKNOWN
 * come with errno, and @path is what was looked for. */
enum cgroup_found {
	CGROUP_FOUND,
	CGROUP_MISSING,
	CGROUP_NONE, /* something else is there */
	CGROUP_ROOT,
	CGROUP_NOT_MOUNTED,
	CGROUP_UNKNOWN, /* the kernel does not say what is there */
};
int cgroup_find(const char *name, char path[PATH_MAX]);
uint64_t cgroup_id_of_path(const char *path); /* 0: it is gone */
/* The same with an error for all that is not found. @option: for the error. */
int cgroup_resolve(const char *option, const char *name, char path[PATH_MAX]);
/* Return: 0; or -1 with errno: ESTALE: there is no such cgroup any more; else it is there, and no
 * mount shows it: @path is a word for it. */
int cgroup_path_of_id(uint64_t id, char path[PATH_MAX]);
/* The path of the cgroup that the pinned link @name is on, or "" when that is gone. Return: 0, or
 * -1. */
int cgroup_of_link(const char *name, char cgroup[PATH_MAX]);
/* Attaches a program to a cgroup, and pins the link as links/@pin. */
int cgroup_attach(int program, enum bpf_attach_type type, const char *name, const char *cgroup,
		  const char *pin);

/* own_cgroup.c: puts the name of a cgroup in the place of the words "self" and "parent": of the one
 * that this process is in, and of the one above it. Return: 0; or -1: no mount shows it. */
#define OWN_SELF   "self"
#define OWN_PARENT "parent"
#define OWN_UNSEEN                                                                            \
	"no cgroup2 mount here shows that cgroup: mount the host's /sys/fs/cgroup into this " \
	"container, for example as /host/cgroup"
int cgroup_name_own(struct word *word);

/* attach.c: the programs on the mail server's cgroups. */
#define CGROUP_GONE 0ULL
#define CGROUP_ALL  (~0ULL)
struct cgroup_link {
	char pin[NAME_MAX + 1];
	int program;	 /* as in cgroup_program() */
	int plain;	 /* 1: the pin has the program's name */
	uint64_t cgroup; /* its id, or CGROUP_GONE */
	uint32_t program_id;
};
struct cgroup_links {
	struct cgroup_link *link;
	size_t count;
};
const char *cgroup_program(size_t i); /* their names, up to NULL, in the order in which they go */
int cgroup_links_read(struct cgroup_links *links);
void cgroup_links_free(struct cgroup_links *links);
/* Are all of the programs that the ports need on this cgroup, or any? */
int cgroup_links_whole(const struct cgroup_links *links, uint64_t cgroup);
int cgroup_links_any(const struct cgroup_links *links, uint64_t cgroup);
/* Attaches those that are not yet; and takes them off a cgroup, from those that are gone, or all.
 */
int cgroup_programs_attach(const char *cgroup);
int cgroup_programs_detach(uint64_t cgroup);
/* The one that answers pp_lookup(), on all cgroups of the set: attaches it before a port is served
 * that needs it, and takes it off when none does any more. @ports: of pp_ports. */
int cgroup_lookup_attach(void);
int cgroup_lookup_detach_unneeded(int ports);
/* Is another set on the cgroup @cgroup, on one above it, or one below? Return: the id of its gate,
 * or 0. @where: receives one of the cgroups that the gate works for. */
uint32_t cgroup_other_set(const char *cgroup, char where[PATH_MAX]);
/* The same, where another set serves the sockets that are made in @cgroup, for all that can be
 * seen.
 */
uint32_t cgroup_gate_of_other(const char *cgroup);

/* version.c: is what is pinned of a version that this ppctl can read and change? */
int version_check(void);
int version_is_readable(void); /* the same, and says nothing */
/* Can the programs of this ppctl take over the set's maps, with what they hold? */
int version_can_replace(void);
int version_write(void);

/* set.c: was the last change of the set broken off? And says so, with what to do. */
int set_is_broken(void);
void set_say_broken(void);

/* configured.c: the names that a set was given, in pp_configured, which goes with the set. Those of
 * cgroups that do not exist are resolved when the next 'ppctl apply' finds them. */
struct configured {
	struct words cgroups, senders;
};
int configured_read(struct configured *configured); /* empty where there is no such map */
int configured_write(const struct words *cgroups, const struct words *senders);
void configured_free(struct configured *configured);
/* A list of {"kind": "cgroup" or "proxy-cgroup", "name"}: those that do not exist now. */
struct json_object *configured_missing(void);
struct json_object *names_missing(const struct words *cgroups, const struct words *senders);

/* Lists the sockets that have a record. */
#define COUNT_PROGRAM "pp_count"

/* senders.c: links of pp_sender are pinned by their cgroup's id */
#define SENDER_PROGRAM	   "pp_sender"
#define SENDER_LINK_PREFIX SENDER_PROGRAM "_"
/* @map: of pp_config. sender_attach() closes loopback to all others; senders_follow() opens it
 * where no proxy cgroup is left, and none is configured. */
int sender_is_attached(uint64_t cgroup);
int sender_attach(int map, const char *cgroup);
int sender_detach(uint64_t cgroup);
int senders_follow(int map);
int senders_sweep(void); /* links whose cgroup is gone */
int sender_links(int (*each)(const char *link, const char *path, void *context), void *context);

/* namespace.c */
/* The cookie of this network namespace. */
int netns_cookie(uint64_t *cookie);
/* Runs @act in the network namespace that has @cookie. Return: what it returns; or -1, silently,
 * with errno: ESRCH: no process and no name in /run/netns leads there; EPERM: none does of those
 * that can be seen. */
int netns_run(uint64_t cookie, int (*act)(uint64_t cookie));

/* up.c: can this kernel, and the place of options.pin, have a set at all? */
int check_system(void);

/* Calls @act in each other network namespace that a process of @cgroup is in, once. @here: set to 1
 * where one is in ppctl's own. Return: 0; or -1: one could not be entered. */
int netns_each_of_cgroup(const char *cgroup, void (*act)(uint64_t cookie, void *context),
			 void *context, int *here);

/* list.c: a list that is kept in a pinned map, one entry for each word. The functions get the map's
 * descriptor. */
struct list {
	const char *name; /* in JSON */
	const char *map;
	int (*check)(int map, const char *word); /* could it be added? changes nothing */
	/* Is it there? @policy: receives that of a port. Return: 1, 0, or negative after an error.
	 */
	int (*find)(int map, const char *word, struct pp_port *policy);
	int (*add)(int map, const char *word);
	int (*del)(int map, const char *word); /* one that is there */
	/* Gives a port its policy back; NULL: there is none */
	int (*restore)(int map, const char *word, const struct pp_port *policy);
	const char *absent; /* what is said of a word that is not there */
	struct json_object *(*read)(int map);
	void (*print)(struct json_object *list);
};

extern const struct list proxy_list, proxy_cgroup_list, port_list;

/* Calls @each with every word of the comma-separated @words, until one fails. */
int for_each_word(const char *words, int (*each)(int map, const char *word), int map);
/* A list whose entries are strings: one a line. */
void list_print_strings(struct json_object *list);
/* The commands add, del and list. */
int list_command_add(const struct list *list, int argc, char **argv);
int list_command_del(const struct list *list, int argc, char **argv);
int list_command_list(const struct list *list);

/* What @error_number of a map update means, for @map. */
int map_update_error(const char *map, int fd, const char *what, int error_number);

/* listeners.c: listening sockets on served ports, in this network namespace and in those of the
 * processes of @cgroups. "inside" says whether they are in one of @cgroups, unless there is none;
 * "standing" what else they are.
 * @unseen: receives 1 where there is a namespace that could not be entered. @here: receives 1 where
 * a process of @cgroups is in ppctl's own. */
struct json_object *listeners_read(int ports_map, struct json_object *cgroups, int *unseen,
				   int *here);
/* Is @listener, of these, one of the port of port_list.read()? */
int listener_is_of(struct json_object *listener, struct json_object *port);
/* Is it called as what holds a published port for a container engine, or relays it? */
int listener_is_of_engine(const char *process);
void listeners_print(struct json_object *listeners, uint64_t here, int any_split);

/* stats.c */
struct json_object *stats_read(int map);
/* The counters by number, with what they count. Return: NULL after the last. */
const char *stat_name(size_t i, const char **help);
/* @all: also those that have not counted */
void stats_print(struct json_object *stats, int all);
/* A word for enum pp_reason, and what it means. */
void reason_names(unsigned int reason, const char **name, const char **meaning);

#endif
