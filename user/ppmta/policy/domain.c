// SPDX-License-Identifier: BSD-2-Clause
/*
 * Domains that are not ASCII, by libidn2: one that is written in several ways (in capitals, with
 * wide letters, as xn--...) is one domain.
 */
#define _GNU_SOURCE
#include <idn2.h>
#include <string.h>

#include "../../common/utf8.h"
#include "policy.h"

char *domain_ascii(const char *domain, struct pool *pool)
{
	char *made, *kept;

	if (utf8_is_ascii(domain))
		return pool_string(pool, domain);
	if (idn2_to_ascii_8z(domain, &made, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	kept = pool_string(pool, made);
	idn2_free(made);
	return kept;
}

char *domain_unicode(const char *domain, struct pool *pool)
{
	char *ascii = domain_ascii(domain, pool), *made, *kept;

	if (!ascii || !strcasestr(ascii, "xn--") ||
	    idn2_to_unicode_8z8z(ascii, &made, 0) != IDN2_OK)
		return ascii; /* or it only looks like one */
	kept = pool_string(pool, made);
	idn2_free(made);
	return kept;
}
