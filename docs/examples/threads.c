// SPDX-License-Identifier: BSD-2-Clause
/*
 * A server with a thread for each connection, and libpp: greets its client, and says again what it
 * says.
 *
 *   cc threads.c $(pkg-config --cflags --libs pp) -lpthread
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pp/pp.h>

#define PORT	  2525
#define HEADER_MS 3000 /* so long a proxy's header may take */

static void *serve(void *argument)
{
	int fd = *(int *)argument, error;
	char client[PP_ORIGIN_PRINT_MAX] = "ordinary client", line[1024];
	struct pp_origin origin;
	ssize_t len;

	free(argument);
	/* waits for a marked proxy's header alone; nothing reads from fd before it */
	error = pp_lookup_wait(fd, &origin, HEADER_MS);
	if (!error) {
		pp_origin_print(&origin, client, sizeof(client));
	} else if (error != -ENOENT) {
		dprintf(fd, "554 %s\r\n", pp_strerror(error));
		close(fd);
		return NULL;
	}
	dprintf(fd, "220 hello, %s\r\n", client);
	while ((len = read(fd, line, sizeof(line))) > 0) {
		if (write(fd, line, len) != len)
			break;
	}
	close(fd);
	return NULL;
}

int main(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, *fd;
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 128)) {
		perror("listen");
		return 1;
	}
	for (;;) {
		fd = malloc(sizeof(*fd));
		if (!fd)
			return 1;
		*fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (*fd >= 0 && !pthread_create(&thread, NULL, serve, fd)) {
			pthread_detach(thread);
			continue;
		}
		if (*fd >= 0)
			close(*fd);
		free(fd);
	}
}
