// SPDX-License-Identifier: BSD-2-Clause
/*
 * The variables of expansions.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../common/name.h"
#include "../../common/number.h"
#include "policy.h"

static char *number(struct session *session, unsigned long long value)
{
	return pool_printf(&session->pool, "%llu", value);
}

static char *port(struct session *session, unsigned int value)
{
	return value ? number(session, value) : "";
}

static char *yes_no(int value)
{
	return value ? "yes" : "no";
}

#define GETTER(name, value)                              \
	static char *get_##name(struct session *session) \
	{                                                \
		(void)session;                           \
		return (char *)(value);                  \
	}

GETTER(dnslist_domain, session->dnslist_domain)
GETTER(dnslist_matched, session->dnslist_matched)
GETTER(dnslist_text, session->dnslist_text)
GETTER(dnslist_value, session->dnslist_value)
GETTER(domain, address_domain(session->mail.recipient))
GETTER(message_exim_id, session->mail.id)
GETTER(message_size, number(session, session->mail.size))
GETTER(primary_hostname, session->config->primary_hostname)
GETTER(proxy_external_address, session->proxy_external_address)
GETTER(proxy_external_port, port(session, session->proxy_external_port))
GETTER(proxy_host_address, session->proxy_host_address)
GETTER(proxy_host_port, port(session, session->proxy_host_port))
GETTER(proxy_session, yes_no(session->proxy_session))
GETTER(rcpt_count, number(session, session->mail.rcpt_count))
GETTER(recipients_count, number(session, session->mail.recipient_count))
GETTER(received_ip_address, session->received_ip_address)
GETTER(received_port, port(session, session->received_port))
GETTER(sender_address, session->mail.sender)
GETTER(sender_address_domain, address_domain(session->mail.sender))
GETTER(sender_helo_name, session->helo)
GETTER(sender_host_address, session->sender_host_address)
GETTER(sender_host_name, sender_host_name(session))
GETTER(sender_host_port, port(session, session->sender_host_port))
GETTER(sender_rate, session->sender_rate)
GETTER(sender_rate_limit, session->sender_rate_limit)
GETTER(sender_rate_period, session->sender_rate_period)
GETTER(value, session->lookup_value)
GETTER(version_number, PP_VERSION)
GETTER(pid, number(session, getpid()))
GETTER(tod_epoch, number(session, time(NULL)))

static char *local_part_of(struct session *session, const char *address)
{
	const char *at = strrchr(address, '@');

	return pool_copy(&session->pool, address, at ? (size_t)(at - address) : strlen(address));
}

/* The recipient's: in small letters, and without quotes. */
static char *get_local_part(struct session *session)
{
	char *local_part = mailbox_local_part(session->mail.recipient, &session->pool), *at;

	for (at = local_part; *at; at++)
		*at = tolower((unsigned char)*at);
	return local_part;
}

GETTER(sender_address_local_part, local_part_of(session, session->mail.sender))

static char *get_time(struct session *session, const char *format)
{
	char text[64];
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(text, sizeof(text), format, &tm);
	return pool_string(&session->pool, text);
}

GETTER(tod_full, get_time(session, "%a, %d %b %Y %H:%M:%S %z"))
GETTER(tod_log, get_time(session, "%Y-%m-%d %H:%M:%S"))

static char *get_recipients(struct session *session)
{
	struct text text = {.pool = &session->pool};
	int i;

	for (i = 0; i < session->mail.recipient_count; i++) {
		if (i)
			text_add_string(&text, ", ");
		text_add_string(&text, session->mail.recipients[i]);
	}
	return text_get(&text);
}

static SSL *ssl_of(const struct session *session)
{
	return session->channel ? session->channel->ssl : NULL;
}

GETTER(tls_in_cipher, ssl_of(session) ? tls_cipher(ssl_of(session), &session->pool) : "")

/* What is no text is empty: it must say no less than the client, and nothing else. */
static char *text_of(struct session *session, const char *what, const char *value, size_t len)
{
	char *text = pool_copy(&session->pool, value, len);

	text_clean(text, len, false);
	if (!memcmp(text, value, len))
		return text;
	log_line("%s of H=%s is no text", what, session_host(session));
	return "";
}

static char *get_tls_in_sni(struct session *session)
{
	SSL *ssl = ssl_of(session);
	const char *name = ssl ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : NULL;

	return name ? text_of(session, "SNI", name, strlen(name)) : "";
}

GETTER(tls_in_ver, ssl_of(session) ? SSL_get_version(ssl_of(session)) : "")
GETTER(tls_in_bits,
       ssl_of(session) ? number(session, SSL_get_cipher_bits(ssl_of(session), NULL)) : "0")

GETTER(spf_result, spf_variable(session, "result"))
GETTER(spf_header_comment, spf_variable(session, "header_comment"))
GETTER(spf_smtp_comment, spf_variable(session, "smtp_comment"))
GETTER(spf_received, spf_variable(session, "received"))

/* The proxy's process, if it is one of this host. */
GETTER(proxy_pid, port(session, session->origin.sender_pid))
GETTER(proxy_uid, session->origin.sender_cgroup ? number(session, session->origin.sender_uid) : "")

static char *tlv_text(struct session *session, int type, size_t skip)
{
	size_t len = 0;
	const char *value = (const char *)origin_tlv(session, type, &len);
	char what[sizeof("TLV 0x00000000")];

	if (!value || len < skip)
		return "";
	snprintf(what, sizeof(what), "TLV 0x%02x", (unsigned int)type);
	return text_of(session, what, value + skip, len - skip);
}

static char *get_pp_tlv_ssl_verify(struct session *session)
{
	size_t len;

	return origin_tlv(session, PP_TLV_SSL, &len) ? yes_no(origin_is_verified(session)) : "";
}

GETTER(pp_tlv_alpn, tlv_text(session, PP_TLV_ALPN, 0))
GETTER(pp_tlv_authority, tlv_text(session, PP_TLV_AUTHORITY, 0))
GETTER(pp_tlv_unique_id, tlv_text(session, PP_TLV_UNIQUE_ID, 0))
GETTER(pp_tlv_ssl_version, tlv_text(session, PP_TLV_SSL_VERSION, 0))
GETTER(pp_tlv_ssl_cn, origin_is_verified(session) ? tlv_text(session, PP_TLV_SSL_CN, 0) : "")
GETTER(pp_tlv_ssl_cipher, tlv_text(session, PP_TLV_SSL_CIPHER, 0))

/* Amazon's TLV begins with a subtype: 1 is the VPC endpoint's id */
static char *get_pp_tlv_aws_vpce_id(struct session *session)
{
	size_t len = 0;
	const uint8_t *value = origin_tlv(session, PP_TLV_AWS, &len);

	return value && len && value[0] == 1 ? tlv_text(session, PP_TLV_AWS, 1) : "";
}

static const struct variable {
	const char *name;
	char *(*get)(struct session *session);
} variables[] = {
	{"dnslist_domain", get_dnslist_domain},
	{"dnslist_matched", get_dnslist_matched},
	{"dnslist_text", get_dnslist_text},
	{"dnslist_value", get_dnslist_value},
	{"domain", get_domain},
	{"local_part", get_local_part},
	{"message_exim_id", get_message_exim_id},
	{"message_id", get_message_exim_id},
	{"message_size", get_message_size},
	{"pid", get_pid},
	{"pp_tlv_alpn", get_pp_tlv_alpn},
	{"pp_tlv_authority", get_pp_tlv_authority},
	{"pp_tlv_aws_vpce_id", get_pp_tlv_aws_vpce_id},
	{"pp_tlv_ssl_cipher", get_pp_tlv_ssl_cipher},
	{"pp_tlv_ssl_cn", get_pp_tlv_ssl_cn},
	{"pp_tlv_ssl_verify", get_pp_tlv_ssl_verify},
	{"pp_tlv_ssl_version", get_pp_tlv_ssl_version},
	{"pp_tlv_unique_id", get_pp_tlv_unique_id},
	{"primary_hostname", get_primary_hostname},
	{"proxy_external_address", get_proxy_external_address},
	{"proxy_external_port", get_proxy_external_port},
	{"proxy_host", get_proxy_host_address},
	{"proxy_host_address", get_proxy_host_address},
	{"proxy_host_port", get_proxy_host_port},
	{"proxy_local_address", get_proxy_host_address},
	{"proxy_local_port", get_proxy_host_port},
	{"proxy_pid", get_proxy_pid},
	{"proxy_session", get_proxy_session},
	{"proxy_uid", get_proxy_uid},
	{"rcpt_count", get_rcpt_count},
	{"received_ip_address", get_received_ip_address},
	{"received_port", get_received_port},
	{"recipients", get_recipients},
	{"recipients_count", get_recipients_count},
	{"sender_address", get_sender_address},
	{"sender_address_domain", get_sender_address_domain},
	{"sender_address_local_part", get_sender_address_local_part},
	{"sender_helo_name", get_sender_helo_name},
	{"sender_host_address", get_sender_host_address},
	{"sender_host_name", get_sender_host_name},
	{"sender_host_port", get_sender_host_port},
	{"sender_rate", get_sender_rate},
	{"sender_rate_limit", get_sender_rate_limit},
	{"sender_rate_period", get_sender_rate_period},
	{"smtp_active_hostname", get_primary_hostname},
	{"spf_header_comment", get_spf_header_comment},
	{"spf_received", get_spf_received},
	{"spf_result", get_spf_result},
	{"spf_smtp_comment", get_spf_smtp_comment},
	{"tls_bits", get_tls_in_bits},
	{"tls_cipher", get_tls_in_cipher},
	{"tls_in_bits", get_tls_in_bits},
	{"tls_in_cipher", get_tls_in_cipher},
	{"tls_in_sni", get_tls_in_sni},
	{"tls_in_ver", get_tls_in_ver},
	{"tls_sni", get_tls_in_sni},
	{"tod_epoch", get_tod_epoch},
	{"tod_full", get_tod_full},
	{"tod_log", get_tod_log},
	{"value", get_value},
	{"version_number", get_version_number},
};

static const struct variable *find(const char *name)
{
	int variable = NAME_FIND(name, variables);

	return variable < 0 ? NULL : &variables[variable];
}

/* acl_c_NAME lives with the connection, acl_m_NAME with the message */
bool variable_may_be_set(const char *name)
{
	return (!strncmp(name, "acl_c", 5) || !strncmp(name, "acl_m", 5)) &&
	       (name[5] == '_' || isdigit((unsigned char)name[5])) && (name[5] != '_' || name[6]);
}

static bool is_captured(const char *name)
{
	uint64_t number;

	return !number_parse(name, 0, CAPTURED_MAX - 1, &number);
}

int variable_exists(const char *name)
{
	return is_captured(name) || variable_may_be_set(name) || find(name) != NULL;
}

const char *variable_nearest(const char *name)
{
	return NAME_NEAREST(name, variables);
}

void variable_set(struct session *session, const char *name, const char *value)
{
	struct acl_variable *variable;

	for (variable = session->variables; variable; variable = variable->next) {
		if (!strcmp(variable->name, name))
			break;
	}
	if (!variable) {
		variable = pool_alloc(&session->kept, sizeof(*variable));
		variable->name = pool_string(&session->kept, name);
		variable->next = session->variables;
		session->variables = variable;
	} else {
		free(variable->value);
	}
	variable->value = strdup(value);
}

char *variable_get(struct session *session, const char *name)
{
	const struct acl_variable *set;
	const struct variable *variable;
	char *value;

	if (is_captured(name)) {
		value = session->captured[strtoul(name, NULL, 10)];
		return value ? value : "";
	}
	if (variable_may_be_set(name)) {
		for (set = session->variables; set; set = set->next) {
			if (!strcmp(set->name, name))
				return set->value ? set->value : "";
		}
		return "";
	}
	if (!strncmp(name, "pp_tlv_", 7) && origin_tlvs_lost(session))
		return NULL;
	variable = find(name);
	value = variable ? variable->get(session) : NULL;
	return value ? value : "";
}
