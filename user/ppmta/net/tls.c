// SPDX-License-Identifier: BSD-2-Clause
/*
 * TLS contexts, by OpenSSL 3. The streams themselves are in channel.c.
 */
#include <errno.h>
#include <unistd.h>

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

/* Is @file there, but not for the user that ppmta has become? */
static bool is_roots(const char *file)
{
	return access(file, R_OK) && errno == EACCES;
}

static SSL_CTX *new_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	return context;
}

char *tls_load(struct config *config, const struct config *before, struct pool *pool)
{
	const char *certificate = config->tls_certificate;
	const char *key = config->tls_privatekey ? config->tls_privatekey : certificate;
	bool kept = certificate && before && before->tls && is_roots(key), right;

	if (!certificate)
		return NULL;
	config->tls = new_context();
	if (!config->tls)
		return failure(pool, "tls_certificate", "no context");
	right = SSL_CTX_use_certificate_chain_file(config->tls, certificate) == 1;
	if (!right && !kept)
		return failure(pool, "tls_certificate", certificate);
	if (kept)
		right = right && SSL_CTX_use_PrivateKey(config->tls,
							SSL_CTX_get0_privatekey(before->tls)) == 1;
	else
		right = SSL_CTX_use_PrivateKey_file(config->tls, key, SSL_FILETYPE_PEM) == 1;
	right = right && SSL_CTX_check_private_key(config->tls) == 1;
	if (!right && !kept)
		return failure(pool, "tls_privatekey", key);
	if (!right) {
		log_line("%s: the certificate and key that were read before stay until a restart",
			 is_roots(certificate) ? certificate : key);
		ERR_clear_error();
		SSL_CTX_free(config->tls);
		config->tls = before->tls;
		SSL_CTX_up_ref(config->tls);
	}
	return NULL;
}

char *tls_cipher(SSL *ssl, struct pool *pool)
{
	return pool_printf(pool, "%s:%s:%d", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
			   SSL_get_cipher_bits(ssl, NULL));
}
