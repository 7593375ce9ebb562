// SPDX-License-Identifier: BSD-2-Clause
/*
 * SPF (RFC 7208) on the origin's address, by libspf2; its DNS look-ups are dns.c's.
 */
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

#include <spf2/spf.h>
#include <spf2/spf_dns.h>
#include <spf2/spf_dns_rr.h>

#include "../../common/name.h"
#include "policy.h"

struct spf {
	char asked[2 * PATH_LINE_MAX + DOMAIN_MAX]; /* sender and HELO name of the result */
	char *result, *header_comment, *smtp_comment, *received;
};

static const char *const results[] = {"pass",	 "fail",      "softfail", "none",
				      "neutral", "permerror", "temperror"};

/* ---- the layer of DNS that libspf2 asks ---- */

static void add_record(SPF_dns_rr_t *set, ns_msg *message, ns_rr *record)
{
	const u_char *data = ns_rr_rdata(*record);
	size_t len = ns_rr_rdlen(*record), used, part;
	char name[NS_MAXDNAME];
	SPF_dns_rr_data_t *to;
	int skip = 0;

	if (SPF_dns_rr_buf_realloc(set, set->num_rr,
				   len + NS_MAXDNAME > sizeof(*to) ? len + NS_MAXDNAME
								   : sizeof(*to)))
		return;
	to = set->rr[set->num_rr];
	switch (ns_rr_type(*record)) {
	case ns_t_a:
		if (len != 4)
			return;
		memcpy(&to->a, data, 4);
		break;
	case ns_t_aaaa:
		if (len != 16)
			return;
		memcpy(&to->aaaa, data, 16);
		break;
	case ns_t_mx:
		skip = 2; /* the preference */
			  /* fall through */
	case ns_t_ptr:
		if (len < (size_t)skip + 1 ||
		    ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), data + skip,
				       name, sizeof(name)) < 0)
			return;
		strcpy(skip ? to->mx : to->ptr, name);
		break;
	case ns_t_txt:
		for (used = 0; len; data += part + 1, len -= part + 1) {
			part = *data;
			if (part + 1 > len)
				return;
			memcpy(to->txt + used, data + 1, part);
			used += part;
		}
		to->txt[used] = 0;
		break;
	default:
		return;
	}
	set->num_rr++;
}

static void add_records(SPF_dns_rr_t *set, const unsigned char *answer, int len, ns_type type)
{
	ns_msg message;
	ns_rr record;
	int i;

	if (ns_initparse(answer, len, &message))
		return;
	for (i = 0; i < ns_msg_count(message, ns_s_an); i++) {
		if (ns_parserr(&message, ns_s_an, i, &record))
			return;
		if (ns_rr_type(record) == type)
			add_record(set, &message, &record);
	}
}

static SPF_dns_rr_t *lookup(SPF_dns_server_t *server, const char *domain, ns_type type,
			    int should_cache)
{
	unsigned char *answer = NULL;
	enum dns_status status;
	SPF_dns_rr_t *set;
	int len = 0;

	(void)should_cache;
	status = dns_query(server->hook, domain, type, &answer, &len);
	set = SPF_dns_rr_new_init(server, domain, type, 0,
				  status == DNS_OK     ? NETDB_SUCCESS
				  : status == DNS_NONE ? HOST_NOT_FOUND
						       : TRY_AGAIN);
	if (set && status == DNS_OK) {
		add_records(set, answer, len, type);
		if (!set->num_rr)
			set->herrno = NO_DATA;
	}
	dns_query_free(answer);
	return set;
}

/* ---- one check ---- */

/* What others have put into the DNS may be in it. */
static char *copy(const char *string)
{
	char *text = strdup(string ? string : "");

	if (text)
		text_clean(text, strlen(text), true);
	return text;
}

/* Where the library comes to no result, the error says which (RFC 7208, sections 2.6.6 and 2.6.7).
 */
static const char *result_name(SPF_response_t *response, SPF_errcode_t error)
{
	SPF_result_t result = SPF_response_result(response);

	if (result != SPF_RESULT_INVALID)
		return SPF_strresult(result);
	return error == SPF_E_DNS_ERROR || error == SPF_E_NO_MEMORY ? "temperror" : "permerror";
}

static void keep(struct spf *spf, SPF_response_t *response, SPF_errcode_t error)
{
	debug("SPF: %s (%s)", result_name(response, error), SPF_strerror(error));
	spf->result = copy(result_name(response, error));
	spf->header_comment = copy(SPF_response_get_header_comment(response));
	spf->smtp_comment = copy(SPF_response_get_smtp_comment(response));
	spf->received = copy(SPF_response_get_received_spf(response));
}

static void check(struct session *session, struct spf *spf)
{
	SPF_dns_server_t dns = {.lookup = lookup, .name = "c-ares", .hook = &session->dns};
	const char *address = session->sender_host_address;
	SPF_server_t *server = SPF_server_new_dns(&dns, 0);
	SPF_response_t *response = NULL;
	SPF_request_t *request;
	SPF_errcode_t error;
	char sender[PATH_LINE_MAX + DOMAIN_MAX];

	if (!server)
		return;
	SPF_server_set_rec_dom(server, session->config->primary_hostname);
	request = SPF_request_new(server);
	if (strchr(address, ':'))
		SPF_request_set_ipv6_str(request, address);
	else
		SPF_request_set_ipv4_str(request, address);
	if (session->helo[0])
		SPF_request_set_helo_dom(request, session->helo);
	/* RFC 7208, section 2.4: of a bounce, the HELO name is checked */
	snprintf(sender, sizeof(sender), "%s%s",
		 session->mail.sender[0] ? session->mail.sender : "postmaster@",
		 session->mail.sender[0] ? "" : session->helo);
	SPF_request_set_env_from(request, sender);
	error = SPF_request_query_mailfrom(request, &response);
	if (response)
		keep(spf, response, error);
	SPF_response_free(response);
	SPF_request_free(request);
	SPF_server_free(server);
}

static void clear(struct spf *spf)
{
	free(spf->result);
	free(spf->header_comment);
	free(spf->smtp_comment);
	free(spf->received);
	memset(spf, 0, sizeof(*spf));
}

void spf_free(struct spf *spf)
{
	if (!spf)
		return;
	clear(spf);
	free(spf);
}

/* The result for who is sending now: asked for once. NULL: there is no memory. */
static struct spf *result_of(struct session *session)
{
	char asked[sizeof(session->spf->asked)];

	snprintf(asked, sizeof(asked), "%s %s", session->mail.sender, session->helo);
	if (!session->spf)
		session->spf = calloc(1, sizeof(*session->spf));
	if (session->spf && (!session->spf->result || strcmp(session->spf->asked, asked))) {
		clear(session->spf);
		strcpy(session->spf->asked, asked);
		check(session, session->spf);
		if (!session->spf->result)
			session->spf->result = copy("temperror");
	}
	return session->spf;
}

const char *spf_variable(struct session *session, const char *name)
{
	const struct spf *spf = session->spf;

	if (!spf) /* not checked yet */
		return "";
	if (!strcmp(name, "result"))
		return spf->result;
	if (!strcmp(name, "header_comment"))
		return spf->header_comment;
	return !strcmp(name, "smtp_comment") ? spf->smtp_comment : spf->received;
}

char *spf_check_list(const char *list, struct pool *pool)
{
	char separator = 0, *item, hint[SUGGESTION_MAX];

	if (strchr(list, '$'))
		return NULL;
	while ((item = list_next(pool, &list, &separator))) {
		item += strspn(item, "! \t");
		if (!strcmp(item, "err_perm") || !strcmp(item, "err_temp"))
			return pool_printf(pool, "'%s' has been called %s since Exim 4.83", item,
					   item[4] == 'p' ? "permerror" : "temperror");
		if (NAME_FIND(item, results) >= 0)
			continue;
		return pool_printf(pool, "'%s' is not an SPF result%s", item,
				   name_suggestion(hint, "", NAME_NEAREST(item, results)));
	}
	return NULL;
}

int spf_match(struct session *session, const char *list, char **error)
{
	struct spf *spf;
	char separator = 0, *item;
	int negated;

	*error = spf_check_list(list, &session->pool);
	if (*error)
		return -1;
	spf = result_of(session);
	if (!spf || !spf->result) {
		*error = "spf: out of memory";
		return -1;
	}
	while ((item = list_next(&session->pool, &list, &separator))) {
		negated = *item == '!';
		if ((strcmp(item + strspn(item, "! \t"), spf->result) != 0) == negated)
			return 1;
	}
	return 0;
}
