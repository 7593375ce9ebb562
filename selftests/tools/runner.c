// SPDX-License-Identifier: BSD-2-Clause
/*
 * runner [FILE]: runs the tests of a plan, natively three at a time and each guest beside them,
 * says what it is doing, and sums up. selftests/check writes the plan and is who calls it. Lines on
 * standard input, fields with tabs between them:
 *
 *   job	ORDER	LABEL	KERNEL	COMMAND	TEST TEST...
 *   skip	LABEL	TEST	WHY
 *
 * ORDER is first (alone, one after the other, before all else), native (three at a time) or guest
 * (all at once). COMMAND, for sh, runs the tests with selftests/run-tests: their output is TAP,
 * each between a line "@begin TEST" and a line "@end TEST STATUS". KERNEL is what K= is called with
 * to run the job's tests alone.
 *
 * No job is ended for being slow, but for saying nothing for CHECK_SILENCE seconds (300). On
 * SIGINT, SIGTERM and SIGHUP, and when nobody reads its output any more, all jobs are ended, and
 * have the time to clean up; also when it is itself killed. Prints what failed or was skipped; the
 * last line is `N passed, N failed, N skipped`. FILE receives what each test took.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NATIVE_AT_ONCE 3 /* much of their time is waiting */
#define SILENCE_S      300
#define CLEAN_UP_MS    30000 /* that a job has after SIGTERM */
#define SLOWEST	       5
#define KEPT_MAX       (256 * 1024) /* of a test's output */
#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))

enum order { FIRST, NATIVE, GUEST };
static const char *const order_names[] = {
	[FIRST] = "first", [NATIVE] = "native", [GUEST] = "guest"};

enum state { WAITING, RUNNING, ENDED };

struct text {
	char *bytes;
	size_t len;
};

struct test {
	const char *name;
	const struct job *job;
	enum state state;
	int64_t started, took;
	struct text said; /* all but what passed */
	char *failed_case;
	int passed, failed, skipped;
};

struct job {
	enum order order;
	enum state state;
	const char *label, *kernel, *command;
	struct test *tests;
	size_t test_count;
	struct test *current;
	pid_t pid;
	int output; /* -1 after its end */
	char line[4096];
	size_t line_len;
	struct text said; /* outside of tests */
	int64_t started, last_word, ended_at;
	char why[64]; /* was it ended before its end */
};

static struct job *jobs;
static size_t job_count;
static int passed, failed, skipped;
static int64_t silence_ms = SILENCE_S * 1000LL, started;
static int stop_signal;
static bool on_terminal;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void *more(void *array, size_t count, size_t size)
{
	array = realloc(array, count * size);
	if (!array) {
		perror("runner");
		exit(1);
	}
	return array;
}

static void add_line(struct text *text, const char *line)
{
	size_t len = strlen(line);

	if (text->len + len > KEPT_MAX)
		return;
	text->bytes = more(text->bytes, text->len + len + 2, 1);
	memcpy(text->bytes + text->len, line, len);
	text->len += len;
	text->bytes[text->len++] = '\n';
	text->bytes[text->len] = 0;
}

static void print_indented(const struct text *text)
{
	const char *line = text->bytes, *end;

	for (; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		printf("    %.*s\n", (int)(end - line), line);
	}
}

/* Progress: one line that is written over on a terminal, a line a minute elsewhere. On standard
 * error; what stays goes to standard output. */

static void progress_clear(void)
{
	if (on_terminal)
		fputs("\r\033[K", stderr);
}

static size_t add_words(char *line, size_t size, size_t at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static size_t add_words(char *line, size_t size, size_t at, const char *format, ...)
{
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(line + at, size - at, format, arguments);
	va_end(arguments);
	return at + len < size ? at + len : size - 1;
}

static void progress_show(int64_t now)
{
	size_t i, n, at, tests = 0, ended = 0;
	struct winsize window;
	char line[1024];
	int width;

	for (i = 0; i < job_count; i++) {
		tests += jobs[i].test_count;
		for (n = 0; n < jobs[i].test_count; n++)
			ended += jobs[i].tests[n].state == ENDED;
	}
	at = add_words(line, sizeof(line), 0, "%d:%02d, %zu of %zu done",
		       (int)(now - started) / 60000, (int)(now - started) / 1000 % 60, ended,
		       tests);
	if (failed)
		at = add_words(line, sizeof(line), at, ", %d failed", failed);
	for (i = 0; i < job_count; i++) {
		const struct job *job = &jobs[i];
		const struct test *test = job->current;

		if (job->state != RUNNING)
			continue;
		at = add_words(line, sizeof(line), at, "; %s%s%s %d s", test ? test->name : "",
			       test && job->order == GUEST ? " on " : "",
			       test && job->order != GUEST ? "" : job->kernel,
			       (int)((now - (test ? test->started : job->started)) / 1000));
	}
	if (!on_terminal) {
		fprintf(stderr, "%s\n", line);
		return;
	}
	width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) || !window.ws_col ? 80 : window.ws_col;
	fprintf(stderr, "\r%.*s\033[K", width - 1, line);
}

static char *field(char **rest)
{
	char *value = strsep(rest, "\t");

	if (!value) {
		fprintf(stderr, "runner: a line of the plan is too short\n");
		exit(1);
	}
	return value;
}

static void read_job(char *rest)
{
	struct job *job;
	const char *order;
	char *names, *name;
	size_t i;

	jobs = more(jobs, job_count + 1, sizeof(*jobs));
	job = &jobs[job_count++];
	*job = (struct job){.output = -1};
	order = field(&rest);
	for (i = 0; i < COUNT(order_names); i++) {
		if (strcmp(order, order_names[i]) == 0)
			job->order = i;
	}
	job->label = field(&rest);
	job->kernel = field(&rest);
	job->command = field(&rest);
	names = field(&rest);
	while ((name = strsep(&names, " "))) {
		if (!*name)
			continue;
		job->tests = more(job->tests, job->test_count + 1, sizeof(*job->tests));
		job->tests[job->test_count++] = (struct test){.name = name};
	}
}

static void read_plan(void)
{
	char *line = NULL, *rest, *word;
	const char *label, *test;
	size_t size = 0, i, n;
	ssize_t len;

	while ((len = getline(&line, &size, stdin)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = 0;
		rest = line;
		word = field(&rest);
		if (strcmp(word, "skip") == 0) {
			label = field(&rest);
			test = field(&rest);
			printf("%s: %s: skipped, %s\n", label, test, field(&rest));
			skipped++;
			continue;
		}
		read_job(rest);
		line = NULL; /* the job's strings are in it */
		size = 0;
	}
	free(line);
	for (i = 0; i < job_count; i++) {
		for (n = 0; n < jobs[i].test_count; n++)
			jobs[i].tests[n].job = &jobs[i];
	}
}

static void start(struct job *job)
{
	sigset_t none;
	int ends[2], null;

	if (pipe2(ends, O_CLOEXEC)) {
		perror("runner");
		exit(1);
	}
	job->started = job->last_word = now_ms();
	job->state = RUNNING;
	fflush(stdout);
	job->pid = fork();
	if (job->pid < 0) {
		perror("runner");
		exit(1);
	}
	if (job->pid == 0) {
		setpgid(0, 0); /* what ends it, ends all of it */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		null = open("/dev/null", O_RDONLY);
		if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
		    dup2(ends[1], STDOUT_FILENO) >= 0 && dup2(ends[1], STDERR_FILENO) >= 0)
			execl("/bin/sh", "sh", "-c", job->command, NULL);
		_exit(127);
	}
	setpgid(job->pid, job->pid);
	close(ends[1]);
	job->output = ends[0];
}

static void end_early(struct job *job, int64_t now)
{
	if (job->ended_at)
		return;
	job->ended_at = now;
	kill(-job->pid, SIGTERM);
	kill(-job->pid, SIGCONT);
}

static bool is_skip(const char *line)
{
	const char *mark = strchr(line, '#');

	if (!mark)
		return false;
	for (mark++; isspace((unsigned char)*mark); mark++)
		;
	return strncasecmp(mark, "skip", 4) == 0;
}

/* "not ok 3 - name": what to call the case by */
static const char *case_name(const char *line)
{
	line += strlen("not ok");
	return line + strspn(line, " -0123456789");
}

static void take_line(struct test *test, const char *line)
{
	bool bad = strncmp(line, "not ok", 6) == 0, good = strncmp(line, "ok", 2) == 0;

	if ((good || bad) && is_skip(line)) {
		test->skipped++;
	} else if (good) {
		test->passed++;
		return;
	} else if (bad) {
		test->failed++;
		free(test->failed_case);
		test->failed_case = strdup(case_name(line));
	}
	add_line(&test->said, line);
}

static void report(const struct test *test)
{
	const char *target = getenv("CHECK_TARGET");
	const struct job *job = test->job;
	const char *line;
	bool one = test->failed == 1 && test->failed_case && !strchr(test->failed_case, ' ');

	if (!test->failed && !test->skipped)
		return;
	progress_clear();
	if (!test->failed) {
		for (line = test->said.bytes; line && *line; line = strchr(line, '\n') + 1) {
			if ((strncmp(line, "ok", 2) == 0 || strncmp(line, "not ok", 6) == 0))
				printf("%s: %s: %.*s\n", job->label, test->name,
				       (int)(strchr(line, '\n') - line), line);
		}
	} else {
		printf("%s: %s\n", job->label, test->name);
		print_indented(&test->said);
		printf("  alone: make %s T=%s%s%s K=%s\n", target ? target : "check", test->name,
		       one ? "/" : "", one ? test->failed_case : "", job->kernel);
	}
	fflush(stdout);
}

static void end_test(struct test *test, const char *why)
{
	char line[256];

	if (why) {
		snprintf(line, sizeof(line), "not ok - %s %s", test->name, why);
		take_line(test, line);
	}
	if (test->state == RUNNING)
		test->took = now_ms() - test->started;
	test->state = ENDED;
	passed += test->passed;
	failed += test->failed;
	skipped += test->skipped;
	report(test);
	free(test->said.bytes);
	test->said = (struct text){0};
}

static void end_test_with(struct test *test, int status)
{
	char why[64];

	if (status && !test->failed) {
		snprintf(why, sizeof(why), "ended with status %d", status);
		end_test(test, why);
	} else if (!test->passed && !test->failed && !test->skipped) {
		end_test(test, "ran no case");
	} else {
		end_test(test, NULL);
	}
}

static struct test *find_test(struct job *job, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < job->test_count; i++) {
		if (strlen(job->tests[i].name) == len && memcmp(job->tests[i].name, name, len) == 0)
			return &job->tests[i];
	}
	return NULL;
}

static void read_line(struct job *job, const char *line)
{
	const char *name, *space;
	struct test *test;

	if (strncmp(line, "@begin ", 7) == 0) {
		name = line + 7;
		test = find_test(job, name, strlen(name));
		if (test && test->state == WAITING) {
			test->state = RUNNING;
			test->started = now_ms();
			job->current = test;
			return;
		}
	} else if (strncmp(line, "@end ", 5) == 0) {
		name = line + 5;
		space = strchr(name, ' ');
		test = space ? find_test(job, name, space - name) : NULL;
		if (test && test == job->current) {
			job->current = NULL;
			end_test_with(test, atoi(space));
			return;
		}
	}
	if (!*line || stop_signal) /* what is said at the end of an interrupted job tells nothing */
		return;
	if (job->current)
		take_line(job->current, line);
	else
		add_line(&job->said, line);
}

static void read_output(struct job *job)
{
	char bytes[4096];
	ssize_t len = read(job->output, bytes, sizeof(bytes)), i;

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0)
		job->last_word = now_ms();
	for (i = 0; i < len; i++) {
		if (bytes[i] == '\n' || job->line_len == sizeof(job->line) - 1) {
			job->line[job->line_len] = 0;
			job->line_len = 0;
			read_line(job, job->line);
		}
		if (bytes[i] && !strchr("\r\n", bytes[i]))
			job->line[job->line_len++] = bytes[i];
	}
	if (len <= 0) {
		job->line[job->line_len] = 0;
		read_line(job, job->line);
		close(job->output);
		job->output = -1;
	}
}

/* Nobody holds its output any more: all that it has started is gone. */
static void end_job(struct job *job)
{
	struct test *first = NULL;
	size_t i, never = 0;
	int status = 0;
	char why[128];

	if (waitpid(job->pid, &status, WNOHANG) == 0)
		return;
	job->state = ENDED;
	if (stop_signal)
		return;
	if (job->current) {
		end_test(job->current, *job->why ? job->why : "did not come to its end");
		job->current = NULL;
	}
	for (i = 0; i < job->test_count; i++) {
		if (job->tests[i].state != WAITING)
			continue;
		if (!first)
			first = &job->tests[i];
		else
			job->tests[i].state = ENDED;
		never++;
	}
	if (!first)
		return;
	failed += never - 1;
	if (never > 1)
		snprintf(why, sizeof(why), "and the %zu behind it did not run: %s", never - 1,
			 *job->why ? job->why : "their job ended");
	else
		snprintf(why, sizeof(why), "did not run: %s",
			 *job->why ? job->why : "its job ended");
	if (job->said.len)
		first->said = job->said;
	end_test(first, why);
}

static size_t running(enum order order)
{
	size_t i, count = 0;

	for (i = 0; i < job_count; i++)
		count += jobs[i].order == order && jobs[i].state == RUNNING;
	return count;
}

static bool any(enum order order, enum state state)
{
	size_t i;

	for (i = 0; i < job_count; i++) {
		if (jobs[i].order == order && jobs[i].state == state)
			return true;
	}
	return false;
}

static void start_what_may(void)
{
	size_t i;

	for (i = 0; i < job_count && !stop_signal; i++) {
		struct job *job = &jobs[i];

		if (job->state != WAITING)
			continue;
		if (job->order == FIRST ? running(FIRST) == 0
					: !any(FIRST, WAITING) && !any(FIRST, RUNNING)) {
			if (job->order != NATIVE || running(NATIVE) < NATIVE_AT_ONCE)
				start(job);
		}
	}
}

static void watch_silence(int64_t now)
{
	size_t i;

	for (i = 0; i < job_count; i++) {
		struct job *job = &jobs[i];

		if (job->state != RUNNING)
			continue;
		if (!job->ended_at && now - job->last_word > silence_ms) {
			snprintf(job->why, sizeof(job->why), "said nothing for %d s",
				 (int)(silence_ms / 1000));
			end_early(job, now);
		}
		if (job->ended_at && now - job->ended_at > CLEAN_UP_MS)
			kill(-job->pid, SIGKILL);
	}
}

static void take_signal(int signals)
{
	struct signalfd_siginfo info;
	size_t i;

	while (read(signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD || stop_signal)
			continue;
		stop_signal = info.ssi_signo;
		progress_clear();
		fprintf(stderr, "%s: ending what runs\n", strsignal(stop_signal));
		for (i = 0; i < job_count; i++) {
			if (jobs[i].state == RUNNING)
				end_early(&jobs[i], now_ms());
		}
	}
}

static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGCHLD);
	/* an ignored signal would not be told, and a job should not inherit that */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void run_all(int signals)
{
	struct pollfd fds[1 + job_count];
	struct job *of[1 + job_count];
	int64_t now, shown = started;
	size_t i, count, live;

	for (;;) {
		start_what_may();
		fds[0] = (struct pollfd){.fd = signals, .events = POLLIN};
		count = 1;
		live = 0;
		for (i = 0; i < job_count; i++) {
			if (jobs[i].state == RUNNING)
				live++;
			if (jobs[i].output < 0)
				continue;
			of[count] = &jobs[i];
			fds[count++] = (struct pollfd){.fd = jobs[i].output, .events = POLLIN};
		}
		if (!live)
			return;
		if (poll(fds, count, 1000 - now_ms() % 1000) < 0 && errno != EINTR)
			return;
		if (fds[0].revents)
			take_signal(signals);
		for (i = 1; i < count; i++) {
			if (fds[i].revents)
				read_output(of[i]);
		}
		for (i = 0; i < job_count; i++) {
			if (jobs[i].state == RUNNING && jobs[i].output < 0)
				end_job(&jobs[i]);
		}
		now = now_ms();
		watch_silence(now);
		if (now - shown >= (on_terminal ? 1000 : 60000) && !stop_signal) {
			progress_show(now);
			shown = now;
		}
	}
}

static int by_time(const void *one, const void *other)
{
	const struct test *a = *(const struct test *const *)one,
			  *b = *(const struct test *const *)other;

	return (a->took < b->took) - (a->took > b->took);
}

/* Of all tests, into @path: seconds, kernel, name. */
static void write_times(const char *path, const struct test *const *tests, size_t count)
{
	FILE *file = fopen(path, "we");
	size_t i;

	if (!file)
		return;
	for (i = 0; i < count; i++)
		fprintf(file, "%d\t%s\t%s\n", (int)(tests[i]->took / 1000),
			tests[i]->job->order == GUEST ? tests[i]->job->kernel : "native",
			tests[i]->name);
	fclose(file);
}

static void print_slowest(const char *times)
{
	const struct test **tests = NULL;
	size_t i, n, count = 0;
	int64_t took = now_ms() - started;

	for (i = 0; i < job_count; i++) {
		for (n = 0; n < jobs[i].test_count; n++) {
			tests = more(tests, count + 1, sizeof(*tests));
			tests[count++] = &jobs[i].tests[n];
		}
	}
	if (count <= SLOWEST)
		return;
	qsort(tests, count, sizeof(*tests), by_time);
	if (times)
		write_times(times, tests, count);
	printf("%d:%02d minutes; the slowest:", (int)(took / 60000), (int)(took / 1000 % 60));
	for (i = 0; i < SLOWEST; i++)
		printf("%s %s%s%s %d s", i ? "," : "", tests[i]->name,
		       tests[i]->job->order == GUEST ? " on " : "",
		       tests[i]->job->order == GUEST ? tests[i]->job->kernel : "",
		       (int)(tests[i]->took / 1000));
	printf("\n");
	free(tests);
}

/* What an interruption kept from its end is failed; what had failed in it before is shown. */
static void count_interrupted(void)
{
	size_t i, n, count = 0;

	for (i = 0; i < job_count; i++) {
		for (n = 0; n < jobs[i].test_count; n++) {
			struct test *test = &jobs[i].tests[n];

			if (test->state == ENDED)
				continue;
			count++;
			if (test->failed)
				end_test(test, NULL);
			else
				failed++;
		}
	}
	if (count)
		printf("interrupted: %zu tests did not come to their end\n", count);
}

int main(int argc, char **argv)
{
	const char *silence = getenv("CHECK_SILENCE");
	int signals = catch_signals();

	if (silence)
		silence_ms = atoi(silence) * 1000LL;
	on_terminal = isatty(STDERR_FILENO);
	started = now_ms();
	read_plan();
	run_all(signals);
	progress_clear();
	count_interrupted();
	print_slowest(argc > 1 ? argv[1] : NULL);
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	if (stop_signal)
		return 128 + stop_signal;
	return failed ? 1 : 0;
}
