// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppsplit-oci-hook: podman, CRI-O and other runtimes call it when a container is created, before
 * its first process runs (createRuntime), and when it has ended (poststop). They write the
 * container's state to its standard input. A container whose annotations have a policy gets a set
 * of its own.
 *
 * It only calls ppctl. What ppctl refuses keeps the container from starting.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pp/version.h>

#include "../common/utf8.h"
#include "oci.h"

#define DEFAULT_PIN "/sys/fs/bpf/ppsplit-oci"
#define STATE_MAX   (1 << 20)

static const char usage[] =
	"usage: ppsplit-oci-hook [--pin DIR]\n"
	"\n"
	"A hook for OCI runtimes, stages createRuntime and poststop: see ppsplit-oci-hook(8).\n"
	"\n"
	"  --pin DIR  directory of the containers' sets (" DEFAULT_PIN ")\n";

void say(const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	/* annotations and ids are the words of whoever makes a container */
	if (text)
		fprintf(stderr, "ppsplit-oci-hook: %.*s\n",
			(int)utf8_printable(text, strlen(text), text), text);
	free(text);
}

/* Return: a string to be freed; or NULL after an error. */
static char *read_state(void)
{
	char *text = malloc(STATE_MAX + 1);
	ssize_t got = 1;
	size_t len = 0;

	while (text && got > 0 && len < STATE_MAX) {
		got = read(0, text + len, STATE_MAX - len);
		if (got > 0)
			len += got;
	}
	if (text && got == 0) {
		text[len] = 0;
		return text;
	}
	say("the container's state, on standard input: %s", !text	       ? strerror(ENOMEM)
							    : len == STATE_MAX ? "too long"
									       : strerror(errno));
	free(text);
	return NULL;
}

/* The ppctl that was installed with this program: it is in the same folder. */
static int find_ppctl(char path[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (len < 0) {
		say("/proc/self/exe: %s", strerror(errno));
		return -1;
	}
	path[len] = 0;
	slash = strrchr(path, '/');
	snprintf(slash + 1, PATH_MAX - (slash + 1 - path), "ppctl");
	return 0;
}

/* Return: 0; or -1 after an error, which may be ppctl's. */
static int call_ppctl(char **argv)
{
	char path[PATH_MAX];
	int status = 0;
	pid_t child;

	if (find_ppctl(path))
		return -1;
	child = fork();
	if (child == 0) {
		dup2(2, 1); /* what it says is for the runtime's log */
		execv(path, argv);
		say("%s: %s", path, strerror(errno));
		_exit(127);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child < 0)
		say("fork: %s", strerror(errno));
	return child < 0 || status ? -1 : 0;
}

/* A container that was killed together with its monitor gets no poststop, and may leave a cgroup.
 */
static int sweep(const char *pin)
{
	return call_ppctl((char *[]){"ppctl", "sweep", "--empty", "--pin", (char *)pin, NULL});
}

/* Return: 1, 0, or -1 after an error. */
static int has_set(const struct container *container, const char *pin)
{
	char set[PATH_MAX];

	snprintf(set, sizeof(set), "%s/%s", pin, container->set);
	if (!access(set, F_OK))
		return 1;
	if (errno == ENOENT)
		return 0;
	say("%s: %s", set, strerror(errno));
	return -1;
}

/* The connections that are left are those of a container that has ended. */
static int stop(const struct container *container, const char *pin)
{
	int result = has_set(container, pin);

	if (result > 0) {
		result = call_ppctl((char *[]){"ppctl", "down", "--now", "--pin", (char *)pin,
					       "--set", (char *)container->set, NULL});
		/* the sweep of another container's hook may have come between */
		if (result)
			result = has_set(container, pin);
	}
	return sweep(pin) || result ? -1 : 0;
}

/* Has the container a network namespace of its own? This process enters it then: ppctl attaches
 * hooks to interfaces where it is called. Return: 1, 0, or -1 after an error. */
static int enter_network(const struct container *container)
{
	struct stat here, there;
	int fd, failed;

	fd = openat(container->process, "ns/net", O_RDONLY | O_CLOEXEC);
	failed = fd < 0 || fstat(fd, &there) || stat("/proc/self/ns/net", &here);
	if (!failed && here.st_ino == there.st_ino) {
		close(fd);
		return 0;
	}
	failed = failed || setns(fd, CLONE_NEWNET);
	if (failed)
		say("container %s: its network namespace: %s", container->set, strerror(errno));
	if (fd >= 0)
		close(fd);
	return failed ? -1 : 1;
}

/* By the host's interfaces come the packets for published ports, by the container's own all others:
 * from a macvlan, and from this host. */
static int up(char **argv, const struct container *container)
{
	int entered;

	if (call_ppctl(argv))
		return -1;
	entered = enter_network(container);
	return entered > 0 ? call_ppctl(argv) : entered;
}

static int start(struct container *container, const char *pin)
{
	char *argv[ARGUMENTS_MAX] = {"ppctl",	  "up",	   "--pin",
				     (char *)pin, "--set", (char *)container->set};
	char cgroup[PATH_MAX];
	size_t count = 6;

	if (policy_arguments(container->annotations, argv, &count))
		return -1;
	if (count == 6) /* no annotation of ours */
		return 0;
	if (container_cgroup(container, cgroup))
		return -1;
	argv[count++] = "--cgroup";
	argv[count++] = cgroup;
	sweep(pin); /* of others, which were killed: no reason to refuse this one */
	if (!up(argv, container))
		return 0;
	stop(container, pin);
	return -1;
}

static int run(const char *pin)
{
	struct container container;
	char *state = read_state();
	int result = -1;

	if (state && !container_read(&container, state)) {
		result = container.stopped ? stop(&container, pin) : start(&container, pin);
		container_free(&container);
	}
	free(state);
	return result;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"pin", required_argument, NULL, 'p'},
						     {"help", no_argument, NULL, 'h'},
						     {"version", no_argument, NULL, 'V'},
						     {}};
	const char *pin = DEFAULT_PIN;
	int letter;

	while ((letter = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		switch (letter) {
		case 'p':
			pin = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			printf("ppsplit-oci-hook %s\n", PP_VERSION);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		say("'%s': it takes no words", argv[optind]);
		return 2;
	}
	return run(pin) ? 1 : 0;
}
