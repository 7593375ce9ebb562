/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What acl.c, which reads, checks and runs ACLs, and their conditions share.
 */
#ifndef PPMTA_ACL_H
#define PPMTA_ACL_H

#include "policy.h"

struct acl_condition {
	struct acl_condition *next;
	const struct kind *kind;
	bool negated;
	int line;
	char *value;
	char *variable; /* of set */
};

/* The state of a run of an ACL. Without a session, its conditions are checked only. */
struct run {
	struct evaluation eval;
	enum acl_point point;
	const struct acl_condition *message, *log_message; /* expanded when they are needed */
};

#define AT(point) (1U << (point))
#define AT_ANY	  (~0U)
#define AT_RCPT	  AT(ACL_RCPT)
#define AT_MAIL	  (AT(ACL_MAIL) | AT(ACL_RCPT) | AT(ACL_DATA))

enum { MODIFIER = 1, RAW = 2 /* expands its value itself */ };

/* A condition or modifier. */
struct kind {
	const char *name;
	unsigned int points; /* where it means something */
	unsigned int flags;
	enum list_kind list;
	/* Return: 1, 0, or -1 with an error. @value: expanded, unless it is raw; when it is checked
	 * only, what it always is. */
	int (*test)(struct run *run, const struct acl_condition *condition, char *value);
};

/* The kind of this name, or NULL with the @nearest name. */
const struct kind *kind_find(const char *name, const char **nearest);
bool kind_is_set(const struct kind *kind);

/* The text up to the next slash that is in no "${...}", trimmed, in @pool; NULL at the end. @text:
 * what follows, or NULL. */
char *acl_next_part(struct pool *pool, const char **text);

/* ratelimit.c, dnslists.c, spf.c: as members of struct kind */
int ratelimit_test(struct run *run, const struct acl_condition *condition, char *value);
int dnslists_test(struct run *run, const struct acl_condition *condition, char *value);
int spf_test(struct run *run, const struct acl_condition *condition, char *value);

#endif
