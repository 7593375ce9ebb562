// SPDX-License-Identifier: BSD-2-Clause
/*
 * The condition spf: RFC 7208 on the origin's address, by libspf2. The look-ups are dns.c's.
 */
#include <arpa/nameser.h>
#include <netdb.h>
#include <string.h>

#include <spf2/spf.h>
#include <spf2/spf_dns.h>
#include <spf2/spf_dns_rr.h>

#include "../../common/name.h"
#include "acl.h"

static const char *const results[] = {"pass",	 "fail",      "softfail", "none",
				      "neutral", "permerror", "temperror"};

/* All members of the union begin where its texts begin. */
static void add_record(void *context, const char *bytes, size_t len)
{
	SPF_dns_rr_t *set = context;

	if (SPF_dns_rr_buf_realloc(set, set->num_rr, len + sizeof(SPF_dns_rr_data_t))) {
		set->herrno = TRY_AGAIN;
		return;
	}
	memcpy(set->rr[set->num_rr], bytes, len);
	set->rr[set->num_rr++]->txt[len] = 0;
}

static SPF_dns_rr_t *lookup(SPF_dns_server_t *server, const char *domain, ns_type type,
			    int should_cache)
{
	SPF_dns_rr_t *set = SPF_dns_rr_new_init(server, domain, type, 0, NETDB_SUCCESS);
	enum dns_status status;

	(void)should_cache;
	if (!set)
		return NULL;
	status = dns_records(server->hook, domain, type, add_record, set);
	if (status != DNS_OK)
		set->herrno = status == DNS_NONE ? HOST_NOT_FOUND : TRY_AGAIN;
	return set;
}

/* What others have put into the DNS may be in it. */
static char *copy(struct session *session, const char *string)
{
	char *text = pool_string(&session->mail.pool, string ? string : "");

	text_clean(text, strlen(text), true);
	return text;
}

/* Where the library comes to no result, the error says which (RFC 7208, section 2.6). */
static const char *result_name(SPF_response_t *response, SPF_errcode_t error)
{
	SPF_result_t result = SPF_response_result(response);

	if (result != SPF_RESULT_INVALID)
		return SPF_strresult(result);
	return error == SPF_E_DNS_ERROR || error == SPF_E_NO_MEMORY ? "temperror" : "permerror";
}

/* Asks once for each message. */
static void check(struct session *session)
{
	SPF_dns_server_t dns = {.lookup = lookup, .name = "c-ares", .hook = &session->dns};
	struct transaction *mail = &session->mail;
	const char *address = session->sender_host_address, *domain = address_domain(mail->sender);
	const char *helo = domain_ascii(session->helo, &mail->pool); /* RFC 8616 */
	SPF_server_t *server = SPF_server_new_dns(&dns, 0);
	SPF_response_t *response = NULL;
	SPF_request_t *request;
	SPF_errcode_t error;
	int64_t kept = (session->config->dns_timeout - session->dns.spent_ms) / 2;

	mail->spf_result = "temperror";
	request = server ? SPF_request_new(server) : NULL;
	if (!request) {
		if (server)
			SPF_server_free(server);
		return;
	}
	SPF_server_set_rec_dom(server, session->config->primary_hostname);
	if (strchr(address, ':'))
		SPF_request_set_ipv6_str(request, address);
	else
		SPF_request_set_ipv4_str(request, address);
	if (helo && *helo)
		SPF_request_set_helo_dom(request, helo);
	/* RFC 7208, section 2.4: of a bounce, the HELO name is checked */
	SPF_request_set_env_from(
		request, mail->sender[0]
				 ? pool_printf(&mail->pool, "%.*s%s",
					       (int)(strlen(mail->sender) - strlen(domain)),
					       mail->sender, domain_ascii(domain, &mail->pool))
				 : pool_printf(&mail->pool, "postmaster@%s", helo ? helo : ""));
	session->dns.spent_ms += kept;
	error = SPF_request_query_mailfrom(request, &response);
	session->dns.spent_ms -= kept;
	if (response) {
		mail->spf_result = copy(session, result_name(response, error));
		mail->spf_header_comment = copy(session, SPF_response_get_header_comment(response));
		mail->spf_smtp_comment = copy(session, SPF_response_get_smtp_comment(response));
		mail->spf_received = copy(session, SPF_response_get_received_spf(response));
	}
	SPF_response_free(response);
	SPF_request_free(request);
	SPF_server_free(server);
}

int spf_test(struct run *run, const struct acl_condition *condition, char *value)
{
	struct session *session = run->eval.session;
	const char *list = value;
	char separator = 0, *item, *name;
	int result = 0;

	(void)condition;
	if (session && !session->mail.spf_result)
		check(session);
	while ((item = list_next(run->eval.pool, &list, &separator))) {
		name = item + strspn(item, "! \t");
		if (!strcmp(name, "err_perm") || !strcmp(name, "err_temp"))
			return failed(&run->eval, "'%s' has been called %s since Exim 4.83", name,
				      name[4] == 'p' ? "permerror" : "temperror");
		if (NAME_FIND(name, results) < 0)
			return failed(&run->eval, "%s",
				      unknown_name(run->eval.pool, "SPF result", "", name,
						   NAME_NEAREST(name, results)));
		if (session && !strcmp(name, session->mail.spf_result) != (*item == '!'))
			result = 1;
	}
	return result;
}
