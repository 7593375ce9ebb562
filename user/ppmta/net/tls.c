// SPDX-License-Identifier: BSD-2-Clause
/*
 * TLS contexts, by OpenSSL 3. The streams themselves are in channel.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

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

static EVP_PKEY *read_key(const char *file)
{
	FILE *stream = fopen(file, "re");
	EVP_PKEY *key = stream ? PEM_read_PrivateKey(stream, NULL, NULL, NULL) : NULL;

	if (stream)
		fclose(stream);
	return key;
}

static const char *key_file(const struct config *config)
{
	return config->tls_privatekey ? config->tls_privatekey : config->tls_certificate;
}

/* Goes on with certificate and key of @before. */
static char *keep(struct config *config, const struct config *before, const char *why)
{
	log_line("%s: the certificate and key that were read before stay until a restart", why);
	SSL_CTX_free(config->tls);
	EVP_PKEY_free(config->key);
	config->tls = before->tls;
	config->key = before->key;
	SSL_CTX_up_ref(config->tls);
	EVP_PKEY_up_ref(config->key);
	return NULL;
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
	const char *file = key_file(config);
	bool kept =
		file && before && before->tls && !strcmp(file, key_file(before)) && is_roots(file);

	if (!config->tls_certificate)
		return config->tls_on_connect_ports
			       ? pool_printf(pool, "tls_on_connect_ports needs tls_certificate")
			       : NULL;
	if (kept && is_roots(config->tls_certificate))
		return keep(config, before, config->tls_certificate);
	config->tls = new_context();
	if (!config->tls)
		return failure(pool, "tls_certificate", "no context");
	if (SSL_CTX_use_certificate_chain_file(config->tls, config->tls_certificate) != 1)
		return failure(pool, "tls_certificate", config->tls_certificate);
	config->key = kept ? before->key : read_key(file);
	if (kept)
		EVP_PKEY_up_ref(config->key);
	if (!config->key || SSL_CTX_use_PrivateKey(config->tls, config->key) != 1 ||
	    SSL_CTX_check_private_key(config->tls) != 1)
		return kept ? keep(config, before, file) : failure(pool, "tls_privatekey", file);
	return NULL;
}

const char *tls_cipher(SSL *ssl, struct pool *pool)
{
	return pool_printf(pool, "%s:%s:%d", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
			   SSL_get_cipher_bits(ssl, NULL));
}
