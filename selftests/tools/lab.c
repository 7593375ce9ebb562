// SPDX-License-Identifier: BSD-2-Clause
/*
 * lab COMMAND [ARGUMENT...]: runs a command where it can change nothing of the machine's: in
 * network, mount and process namespaces of its own, with a /tmp, a BPF file system and a cgroup of
 * its own. All of it is gone when the command ends, also when it fails or is interrupted. As root.
 *
 * The command finds in its environment
 *   LAB_CGROUP  a cgroup v2 that it is in, for the programs
 *   LAB_OUTSIDE another one, beside it
 *   LAB_BPFFS   the BPF file system
 * Where LAB_SERVERS names a directory (made by selftests/servers/fetch), what is in its usr, etc
 * and var appears in these of the machine, for the command alone; what it writes there goes to
 * memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BPFFS "/sys/fs/bpf"

static char cgroup[PATH_MAX];
static volatile sig_atomic_t child;

static void fail(const char *what)
{
	fprintf(stderr, "lab: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* The cgroup of this run: a folder where cgroup2 is mounted, and two in it. */
static void make_cgroup(void)
{
	char line[PATH_MAX], mount_point[PATH_MAX - 64] = "", path[PATH_MAX + 16];
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	while (mounts && fgets(line, sizeof(line), mounts)) {
		if (strstr(line, " - cgroup2 ") &&
		    sscanf(line, "%*s %*s %*s %*s %4000s", mount_point) == 1)
			break;
	}
	if (mounts)
		fclose(mounts);
	if (!mount_point[0]) {
		fprintf(stderr, "lab: cgroup v2 is not mounted\n");
		exit(125);
	}
	snprintf(cgroup, sizeof(cgroup), "%s/ppsplit-lab-XXXXXX", mount_point);
	if (!mkdtemp(cgroup) || chmod(cgroup, 0755))
		fail(cgroup);
	snprintf(path, sizeof(path), "%s/inside", cgroup);
	if (mkdir(path, 0755))
		fail(path);
	setenv("LAB_CGROUP", path, 1);
	snprintf(path, sizeof(path), "%s/outside", cgroup);
	if (mkdir(path, 0755))
		fail(path);
	setenv("LAB_OUTSIDE", path, 1);
}

static int remove_folder(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)where;
	if (type == FTW_DP)
		rmdir(path);
	return 0;
}

/* Removes the cgroup with those below it, once the last process has left them. */
static void remove_cgroup(void)
{
	int tries;

	for (tries = 0; tries < 1500 && access(cgroup, F_OK) == 0; tries++) {
		if (tries)
			usleep(20000);
		nftw(cgroup, remove_folder, 8, FTW_DEPTH | FTW_PHYS);
	}
}

static void join_cgroup(void)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", getenv("LAB_CGROUP"));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
}

static void loopback_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		fail("lo");
	close(fd);
}

/* Makes the folders of @path. */
static void make_path(char *path)
{
	char *slash;

	for (slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
	mkdir(path, 0755);
}

/* What a test that is killed leaves in /tmp goes with it. A project that is below /tmp stays there.
 */
static void make_tmp(void)
{
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_MAX], link[64];

	if (here < 0 || !getcwd(path, sizeof(path)))
		fail("this folder");
	if (mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"))
		fail("/tmp");
	if (strncmp(path, "/tmp/", 5) == 0) {
		make_path(path);
		snprintf(link, sizeof(link), "/proc/self/fd/%d", here);
		if (mount(link, path, NULL, MS_BIND | MS_REC, NULL) || chdir(path))
			fail(path);
	}
	close(here);
	setenv("TMPDIR", "/tmp", 1);
}

static void show_servers(const char *servers)
{
	static const char *const parts[] = {"usr", "etc", "var"};
	char scratch[] = "/tmp/ppsplit-lab.XXXXXX", target[8], upper[64], work[64];
	char layers[2 * PATH_MAX];
	size_t i;

	if (!mkdtemp(scratch) || mount("tmpfs", scratch, "tmpfs", 0, "mode=0755"))
		fail(scratch);
	for (i = 0; i < 3; i++) {
		snprintf(target, sizeof(target), "/%s", parts[i]);
		snprintf(upper, sizeof(upper), "%s/%s", scratch, parts[i]);
		snprintf(work, sizeof(work), "%s/%s.work", scratch, parts[i]);
		if (mkdir(upper, 0755) || mkdir(work, 0755))
			fail(upper);
		snprintf(layers, sizeof(layers), "lowerdir=%s%s:%s,upperdir=%s,workdir=%s", servers,
			 target, target, upper, work);
		if (mount("overlay", target, "overlay", 0, layers))
			fail(target);
	}
	/* mounted over, and no other name of it is needed */
	if (umount2(scratch, MNT_DETACH) || rmdir(scratch))
		fail(scratch);
}

static void run(char **command)
{
	const char *servers = getenv("LAB_SERVERS");

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	join_cgroup();
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("private mounts");
	if (mount("proc", "/proc", "proc", 0, NULL))
		fail("/proc");
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0755"))
		fail(BPFFS);
	setenv("LAB_BPFFS", BPFFS, 1);
	make_tmp();
	if (servers && access(servers, F_OK) == 0)
		show_servers(servers);
	loopback_up();
	execvp(command[0], command);
	fail(command[0]);
}

/* The command is process 1 of its namespace: when it dies, so do all that it has started. */
static void end_child(int signal)
{
	(void)signal;
	if (child > 0)
		kill(child, SIGKILL);
}

int main(int argc, char **argv)
{
	struct sigaction on_signal = {.sa_handler = end_child};
	int status = 0, runner;

	if (argc < 2) {
		fprintf(stderr, "usage: lab COMMAND [ARGUMENT...]\n");
		return 125;
	}
	if (geteuid() != 0) {
		fprintf(stderr, "lab: needs root\n");
		return 125;
	}
	if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC))
		fail("namespaces");
	make_cgroup();
	sigaction(SIGINT, &on_signal, NULL);
	sigaction(SIGTERM, &on_signal, NULL);
	sigaction(SIGHUP, &on_signal, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* who started it was killed */
	/* Process 1 would get no default signals and all the orphans: it only waits for the
	 * command. */
	child = fork();
	if (child == 0) {
		int last = 0, ended;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		runner = fork();
		if (runner == 0)
			run(argv + 1);
		while ((ended = wait(&last)) != runner) {
			if (ended < 0 && errno != EINTR)
				break;
		}
		_exit(WIFEXITED(last) ? WEXITSTATUS(last) : 128 + WTERMSIG(last));
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	remove_cgroup();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
