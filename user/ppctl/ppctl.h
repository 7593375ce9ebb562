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

#include <json-c/json.h>
#include <linux/bpf.h>

#include <pp/maps.h>

#include "command.h"
#include "config.h"

#define DEFAULT_PIN	"/sys/fs/bpf/pp"
#define MAP_PROXIES	"pp_proxies"
#define MAP_PORTS	"pp_ports"
#define MAP_STATS	"pp_stats"
#define MAP_CONFIG	"pp_config"
#define MAP_GUARDED	"pp_guarded"
#define MAP_ONLY	"pp_only"
#define MAP_HOOKED	"pp_hooked"

/* Of what print_json() prints: another number when a field is gone, or means something else. */
#define JSON_SCHEMA 1

struct options {
	const char *pin;	/* directory of the pinned maps and links of the set */
	int pin_given;		/* --pin */
	const char *set;	/* --set, NULL if not given */
	const char *sets;	/* with --set: the directory that its sets are in */
	const char *cgroup;	/* --cgroup, NULL if not given */
	const char *ports;	/* --port */
	const char *proxies;	/* --proxy */
	const char *senders;	/* --proxy-cgroup */
	const char *interfaces; /* --interface, NULL if not given */
	struct pp_port policy;
	const char *policy_given; /* the last option of it, NULL if none is given */
	int split_given;	  /* --split */
	int on_bad_given;	  /* --on-bad */
	int json;
	int now;	 /* --now */
	int wait;	 /* --wait */
	uint32_t wait_s; /* 0: for ever */
	int allow_root_cgroup;
};

extern struct options options;

/* Commands; @argc words after its name are in @argv, as many as the table allows. */
int command_up(int argc, char **argv);
int command_upgrade(int argc, char **argv);
int command_down(int argc, char **argv);
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
int command_lookup(int argc, char **argv);
int command_help(int argc, char **argv);

/* output.c: says what went wrong and what to do. Return: -1, always. */
int error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for a command line that can never be right, before anything is done. Return: -2, always.
 */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line for people; nothing with --json. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An object for print_json() that says which set it is about. */
struct json_object *set_object(void);

/* Prints @object with the number of its schema, and frees it. */
void print_json(struct json_object *object);

/* choose.c: can @name be that of a set? */
int choose_is_name(const char *name);
/* Calls @each with the directory of each set that is up, or half up: that of options.pin itself,
 * and those in it. @name: NULL for the former. */
void choose_each(void (*each)(const char *directory, const char *name, void *context),
		 void *context);
/* Makes options.pin the directory of the set that the command is about. Return: 0; -2: there are
 * several. */
int choose_set(enum which_set which);

/* pin.c: pinned objects below options.pin, in a directory for each kind: maps, links, progs */
void pin_path(char path[PATH_MAX], const char *kind, const char *name);
/* A pinned object ("maps", "progs", "links") that may be missing: there is no set, or it is on its
 * way in or out. Return: a descriptor, or -1 with errno set, and no error is said. */
int pin_open(const char *kind, const char *name);
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
/* Is a whole set pinned? A killed 'up' or 'down' leaves less. */
int pin_is_up(void);
/* Is there a set, or what is left of one? Return: 1; or 0 with errno. */
int pin_has_any(void);
/* Waits until no other ppctl changes what is pinned, and keeps others waiting until this one ends.
 */
int pin_lock(void);
void pin_unlock(void);
/* Is all that is below options.pin ours? Says what is not. */
int pin_check(void);
extern const char *const cgroup_programs[]; /* up to NULL */
int pin_make_directories(void);
/* Detaches a link, and removes its pin. */
void pin_remove_link(const char *path);
/* Detaches the links, and removes all there is. */
void pin_remove_all(void);

/* cgroup.c: where cgroup2 is mounted. Return: 1, or 0: nowhere. */
int cgroup_find_mount(char path[PATH_MAX]);
/* @option: for the error */
int cgroup_resolve(const char *option, const char *name, char path[PATH_MAX]);
int cgroup_path_of_id(uint64_t id, char path[PATH_MAX]);
/* The path of the cgroup that the pinned link @name is on, or "" when that is gone. Return: 0, or
 * -1. */
int cgroup_of_link(const char *name, char cgroup[PATH_MAX]);
/* Attaches the program of the pinned link @name, whose cgroup is gone, to @cgroup in its place. */
int cgroup_reattach(const char *name, const char *cgroup);
/* Attaches a program to a cgroup, and pins the link as links/@pin. */
int cgroup_attach(int program, enum bpf_attach_type type, const char *name, const char *cgroup,
		  const char *pin);

/* Lists the connections whose header was taken out. */
#define COUNT_PROGRAM "pp_count"

/* senders.c: links of pp_sender are pinned by their cgroup's id */
#define SENDER_PROGRAM	   "pp_sender"
#define SENDER_LINK_PREFIX SENDER_PROGRAM "_"
int sender_links(int (*each)(const char *link, const char *path, void *context), void *context);

/* namespace.c */
/* The cookie of this network namespace. */
int netns_cookie(uint64_t *cookie);
/* Runs @act in the network namespace that has @cookie. Return: what it returns; or -1, where no
 * process and no name in /run/netns leads there, silently. */
int netns_run(uint64_t cookie, int (*act)(uint64_t cookie));

#define PORTS_MAX 1024 /* pp_ports has room for fewer */

/* port.c: the ports in pp_ports, sorted. Return: how many. */
size_t ports_list(int map, uint16_t ports[PORTS_MAX]);
/* Is there a port with a split in pp_ports, or with what is left of one? */
int ports_have_split(int map);
/* Has a port with this policy, or had it, connections that pp_in translates? */
int policy_translates(const struct pp_port *policy);

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

/* Could each of the comma-separated @words be added? Asked before anything is changed. */
int list_check(const struct list *list, const char *words);
/* Adds each of the comma-separated @words; NULL: none. After an error list_undo() is to be called.
 */
int list_add(const struct list *list, const char *words);
/* Makes the lists what they were before this command. */
void list_undo(void);
/* A list whose entries are strings: one a line. */
void list_print_strings(struct json_object *list);
/* The commands add, del and list. */
int list_command_add(const struct list *list, int argc, char **argv);
int list_command_del(const struct list *list, int argc, char **argv);
int list_command_list(const struct list *list);

/* What @error_number of a map update means, for @map. */
int map_update_error(const char *map, int fd, const char *what, int error_number);

/* listeners.c: listening sockets on served ports; "inside" says whether they are in cgroup @inside,
 * unless that is "" */
struct json_object *listeners_read(int ports_map, const char *inside);

/* stats.c */
struct json_object *stats_read(int map);
void stats_print(struct json_object *stats);
/* A word for enum pp_reason, and what it means. */
void reason_names(unsigned int reason, const char **name, const char **meaning);

#endif
