// SPDX-License-Identifier: BSD-2-Clause
/*
 * A TLS server with a process for each connection, and libpp. The proxy's header stands before the
 * handshake, in plain text: it is taken before OpenSSL gets the socket.
 *
 *   cc tls.c $(pkg-config --cflags --libs pp) -lssl -lcrypto
 *   ./a.out cert.pem key.pem
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <pp/pp.h>

#define PORT	  2525
#define HEADER_MS 3000 /* so long a proxy's header may take */
#define TLS_S	  30   /* and the handshake, in all */

static void converse(SSL *tls, const char *client)
{
	char line[1024];
	int len;

	len = snprintf(line, sizeof(line), "220 hello, %s\r\n", client);
	while (SSL_write(tls, line, len) > 0 && (len = SSL_read(tls, line, sizeof(line))) > 0)
		;
	SSL_shutdown(tls);
}

static int serve(SSL_CTX *context, int fd)
{
	char client[PP_ORIGIN_PRINT_MAX] = "ordinary client";
	struct pp_origin origin;
	int error;
	SSL *tls;

	error = pp_lookup_wait(fd, &origin, HEADER_MS);
	if (error && error != -ENOENT) {
		/* no TLS alert: to the proxy this is not a TLS server that has failed */
		fprintf(stderr, "refused: %s\n", pp_strerror(error));
		return 1;
	}
	if (!error)
		pp_origin_print(&origin, client, sizeof(client));
	tls = SSL_new(context);
	if (!tls || !SSL_set_fd(tls, fd))
		return 1;
	alarm(TLS_S);
	if (SSL_accept(tls) != 1) {
		ERR_print_errors_fp(stderr);
		return 1;
	}
	alarm(0);
	converse(tls, client);
	SSL_free(tls);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, fd;
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (argc != 3 || !context || SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1) {
		fprintf(stderr, "usage: tls CERTIFICATE KEY\n");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* no zombies */
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 128)) {
		perror("listen");
		return 1;
	}
	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		if (!fork())
			_exit(serve(context, fd));
		close(fd);
	}
}
