// SPDX-License-Identifier: BSD-2-Clause
/*
 * The client's name in the DNS, and how it is called in the log.
 */
#include <strings.h>

#include "policy.h"

char *sender_host_name(struct session *session)
{
	if (!session->sender_host_name)
		session->sender_host_name =
			dns_name_of(&session->dns, session->sender_host_address, &session->kept);
	return session->sender_host_name;
}

char *session_host(struct session *session)
{
	const char *name = session->sender_host_name ? session->sender_host_name : "";
	bool has_helo = session->helo[0] && strcasecmp(name, session->helo) != 0;

	return pool_printf(&session->pool, "%s%s%s%s%s[%s]", name, *name ? " " : "",
			   has_helo ? "(" : "", has_helo ? session->helo : "", has_helo ? ") " : "",
			   session->sender_host_address);
}
