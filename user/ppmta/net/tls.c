// SPDX-License-Identifier: BSD-2-Clause
/*
 * TLS contexts, by OpenSSL 3. The streams themselves are in channel.c.
 */
#include <string.h>

#include <openssl/err.h>

#include "net.h"

static char *failure(struct pool *pool, const char *option, const char *file)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	char *text =
		pool_printf(pool, "%s: %s: %s", option, file, reason ? reason : "unknown error");

	ERR_clear_error();
	return text;
}

char *tls_load(struct config *config, struct pool *pool)
{
	const char *key = config->tls_privatekey ? config->tls_privatekey : config->tls_certificate;

	if (!config->tls_certificate) {
		if (config->tls_on_connect_ports)
			return pool_printf(pool, "tls_on_connect_ports needs tls_certificate");
		return NULL;
	}
	config->tls = SSL_CTX_new(TLS_server_method());
	if (!config->tls)
		return failure(pool, "tls_certificate", "no context");
	SSL_CTX_set_min_proto_version(config->tls, TLS1_2_VERSION);
	SSL_CTX_set_mode(config->tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(config->tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (SSL_CTX_use_certificate_chain_file(config->tls, config->tls_certificate) != 1)
		return failure(pool, "tls_certificate", config->tls_certificate);
	if (SSL_CTX_use_PrivateKey_file(config->tls, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(config->tls) != 1)
		return failure(pool, "tls_privatekey", key);
	return NULL;
}

SSL_CTX *tls_client_context(void)
{
	static SSL_CTX *context;

	/* Opportunistic, RFC 3207: a next hop's certificate is not checked. Called by one thread.
	 */
	if (!context) {
		context = SSL_CTX_new(TLS_client_method());
		if (context)
			SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
							  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	}
	return context;
}

const char *tls_cipher(SSL *ssl, struct pool *pool)
{
	return pool_printf(pool, "%s:%s:%d", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
			   SSL_get_cipher_bits(ssl, NULL));
}
