// SPDX-License-Identifier: BSD-2-Clause
/*
 * Folders of a Maildir, and where `delivery` says that messages go.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../common/array.h"
#include "../../common/endpoint.h"
#include "delivery.h"

#define LMTP_PORT 24
#define SMTP_PORT 25

int make_folder(const char *path, unsigned int mode, unsigned int uid, unsigned int gid)
{
	if (mkdir(path, mode))
		return errno == EEXIST ? 0 : errno;
	/* a process that is not root owns it already, and may not be allowed to ask */
	return uid != geteuid() && chown(path, uid, gid) ? errno : 0;
}

int maildir_make(const char *path, unsigned int uid, unsigned int gid)
{
	static const char *const folders[] = {"", "/tmp", "/new", "/cur"};
	char folder[PATH_MAX];
	int failed;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(folder, sizeof(folder), "%s%s", path, folders[i]);
		failed = make_folder(folder, 0700, uid, gid);
		if (failed)
			return failed;
	}
	return 0;
}

static char *parse_endpoint(const char *text, unsigned int port, struct delivery_target *target,
			    struct pool *pool)
{
	if (*text == '/') {
		if (strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return pool_printf(pool, "delivery: '%s' is too long for a socket", text);
		target->path = text;
		return NULL;
	}
	if (endpoint_parse(text, port, &target->endpoint, &target->endpoint_len))
		return pool_printf(pool, "delivery: '%s' is not an address: 192.0.2.1:25, [::1]:24",
				   text);
	return NULL;
}

char *delivery_parse(const char *text, struct delivery_target *target, struct pool *pool)
{
	memset(target, 0, sizeof(*target));
	if (!strncmp(text, "maildir:/", 9)) {
		target->kind = DELIVER_MAILDIR;
		target->path = text + 8;
		return NULL;
	}
	if (!strncmp(text, "lmtp:", 5)) {
		target->kind = DELIVER_LMTP;
		return parse_endpoint(text + 5, LMTP_PORT, target, pool);
	}
	if (!strncmp(text, "smtp:", 5)) {
		target->kind = DELIVER_SMTP;
		return parse_endpoint(text + 5, SMTP_PORT, target, pool);
	}
	return pool_printf(pool,
			   "delivery: '%s' is neither maildir:/PATH, lmtp:ADDR:PORT, "
			   "lmtp:/SOCKET nor smtp:ADDR:PORT",
			   text);
}
