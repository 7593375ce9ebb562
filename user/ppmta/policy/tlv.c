// SPDX-License-Identifier: BSD-2-Clause
/*
 * TLVs of the header that named the origin.
 */
#include <string.h>

#include "policy.h"

/* Bits of the first byte of PP_TLV_SSL. */
enum { CLIENT_SHOWED_CERT_NOW = 2, CLIENT_SHOWED_CERT_BEFORE = 4 };

static const uint8_t *find_tlv(const uint8_t *tlvs, size_t tlvs_len, int type, size_t *len)
{
	struct pp_tlv tlv;
	size_t offset = 0;

	while (pp_tlv_next(tlvs, tlvs_len, &offset, &tlv) == 1) {
		if (tlv.type == type) {
			*len = tlv.len;
			return tlv.value;
		}
	}
	return NULL;
}

const uint8_t *origin_tlv(const struct session *session, int type, size_t *len)
{
	const uint8_t *ssl;
	size_t ssl_len;

	if (!session->tlvs)
		return NULL;
	if (type < PP_TLV_SSL_VERSION || type > PP_TLV_SSL_CLIENT_CERT)
		return find_tlv(session->tlvs, session->tlvs_len, type, len);
	ssl = find_tlv(session->tlvs, session->tlvs_len, PP_TLV_SSL, &ssl_len);
	if (!ssl || ssl_len < PP_TLV_SSL_FIXED)
		return NULL;
	return find_tlv(ssl + PP_TLV_SSL_FIXED, ssl_len - PP_TLV_SSL_FIXED, type, len);
}

bool origin_tlvs_lost(const struct session *session)
{
	return session->origin.command == PP_PROXY && session->origin.tlv_len && !session->tlvs;
}

bool origin_is_verified(const struct session *session)
{
	size_t len;
	const uint8_t *ssl = origin_tlv(session, PP_TLV_SSL, &len);

	/* a certificate, and 0 as the result of its verification */
	return ssl && len >= PP_TLV_SSL_FIXED &&
	       ssl[0] & (CLIENT_SHOWED_CERT_NOW | CLIENT_SHOWED_CERT_BEFORE) &&
	       !memcmp(ssl + 1, "\0\0\0\0", 4);
}
