// SPDX-License-Identifier: BSD-2-Clause
/*
 * The client's name in the DNS, and how it is called in the log.
 */
#include <strings.h>

#include "policy.h"

const char *sender_host_name(struct session *session)
{
	char *name = NULL;

	if (session->name_looked_up)
		return session->sender_host_name;
	session->name_looked_up = true;
	if (session->sender_host_address[0])
		session->name_deferred = dns_name_of(&session->dns, session->sender_host_address,
						     &session->kept, &name) == DNS_DEFER;
	session->sender_host_name = name ? name : "";
	return session->sender_host_name;
}

char *session_host(struct session *session)
{
	const char *name = session->name_looked_up ? session->sender_host_name : "";

	if (!*name && !session->helo[0])
		return pool_printf(&session->pool, "[%s]", session->sender_host_address);
	if (!*name)
		return pool_printf(&session->pool, "(%s) [%s]", session->helo,
				   session->sender_host_address);
	if (!session->helo[0] || !strcasecmp(name, session->helo))
		return pool_printf(&session->pool, "%s [%s]", name, session->sender_host_address);
	return pool_printf(&session->pool, "%s (%s) [%s]", name, session->helo,
			   session->sender_host_address);
}
