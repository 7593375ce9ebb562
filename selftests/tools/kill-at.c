// SPDX-License-Identifier: BSD-2-Clause
/*
 * usage: kill-at N COMMAND ARGUMENT...
 *
 * Runs the command, and kills it (SIGKILL) when it is about to make its N-th system call that
 * changes something: one of bpf(2) that makes, changes, pins, attaches or detaches, and those of
 * directories. With N 0 nothing is killed. On file descriptor 3, where that is open, it says how
 * many of them there were. Exit status: that of the command; 137 where it was killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Since Linux 5.3; the C library has it under a name of its own. */
#include <linux/ptrace.h>

static int changes(unsigned long long number, const __u64 *arguments)
{
	switch (number) {
#ifdef SYS_unlink
	case SYS_unlink:
	case SYS_rename:
	case SYS_mkdir:
	case SYS_rmdir:
#endif
	case SYS_unlinkat:
	case SYS_renameat:
	case SYS_renameat2:
	case SYS_mkdirat:
	case SYS_sendto:
	case SYS_sendmsg: /* netlink */
		return 1;
	case SYS_bpf:
		switch (arguments[0]) {
		case BPF_MAP_UPDATE_ELEM:
		case BPF_MAP_DELETE_ELEM:
		case BPF_OBJ_PIN:
		case BPF_PROG_ATTACH:
		case BPF_PROG_DETACH:
		case BPF_LINK_CREATE:
		case BPF_LINK_UPDATE:
		case BPF_LINK_DETACH:
			return 1;
		}
		return 0;
	}
	return 0;
}

static int end(int status, unsigned int count)
{
	dprintf(3, "%u\n", count);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	struct ptrace_syscall_info info;
	unsigned int count = 0, at = argc > 2 ? atoi(argv[1]) : 0;
	int status, pass;
	pid_t child;

	if (argc < 3) {
		fprintf(stderr, "usage: kill-at N COMMAND ARGUMENT...\n");
		return 2;
	}
	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (pass = 0;;) {
		ptrace(PTRACE_SYSCALL, child, NULL, pass);
		if (waitpid(child, &status, 0) < 0)
			return 1;
		if (WIFEXITED(status) || WIFSIGNALED(status))
			return end(status, count);
		pass = WSTOPSIG(status);
		if (pass == SIGTRAP)
			pass = 0; /* of execve() */
		if (pass != (SIGTRAP | 0x80))
			continue;
		pass = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) < 0 ||
		    info.op != PTRACE_SYSCALL_INFO_ENTRY ||
		    !changes(info.entry.nr, info.entry.args) || ++count != at)
			continue;
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		return end(status, count);
	}
}
