// SPDX-License-Identifier: BSD-2-Clause
/*
 * The queue on disk: below spool_directory/input, ID-D is a message, ID-H its envelope, ID-J the
 * recipients that are done. A message exists when its ID-H does: that is renamed into place, and
 * the folder synced, before the client gets its 250. It goes in the other order.
 *
 * And the way of a message from DATA until it is safe, here or in a Maildir.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../common/number.h"
#include "delivery.h"

static void path_of(char path[PATH_MAX], const char *directory, const char *id, const char *what)
{
	snprintf(path, PATH_MAX, "%s/input/%s%s", directory, id, what);
}

int spool_make(const char *directory, unsigned int uid, unsigned int gid)
{
	int failed = make_folder(directory, 0750, uid, gid);
	char folder[PATH_MAX];

	if (failed)
		return failed;
	snprintf(folder, sizeof(folder), "%s/input", directory);
	return make_folder(folder, 0750, uid, gid);
}

static int is_id(const char *name)
{
	return strlen(name) == MESSAGE_ID_LEN + 2 && name[MESSAGE_ID_LEN] == '-';
}

void spool_clean(const char *directory)
{
	char folder[PATH_MAX], path[PATH_MAX], id[MESSAGE_ID_LEN + 1];
	struct dirent *entry;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/input", directory);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (is_id(entry->d_name)) {
			memcpy(id, entry->d_name, MESSAGE_ID_LEN);
			id[MESSAGE_ID_LEN] = 0;
			path_of(path, directory, id, "-H");
			if (access(path, F_OK) == 0)
				continue;
		}
		path_of(path, directory, entry->d_name, "");
		unlink(path);
	}
	if (dir)
		closedir(dir);
}

void spool_list(const char *directory, void (*each)(const char *id, void *context), void *context)
{
	char folder[PATH_MAX], id[MESSAGE_ID_LEN + 1];
	struct dirent **entries;
	int count, i;

	snprintf(folder, sizeof(folder), "%s/input", directory);
	count = scandir(folder, &entries, NULL, alphasort); /* ids begin with the time */
	for (i = 0; i < count; i++) {
		if (is_id(entries[i]->d_name) && entries[i]->d_name[MESSAGE_ID_LEN + 1] == 'H') {
			memcpy(id, entries[i]->d_name, MESSAGE_ID_LEN);
			id[MESSAGE_ID_LEN] = 0;
			each(id, context);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

/* Replaces ID-H by @text. Return: 0, or an errno. */
static int write_envelope(const char *directory, const char *id, const char *text, size_t len)
{
	char tmp[PATH_MAX], path[PATH_MAX];
	struct output output;
	int fd, failed;

	path_of(tmp, directory, id, "-H.tmp");
	path_of(path, directory, id, "-H");
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return errno;
	output_open(&output, fd);
	output_write(&output, text, len);
	failed = output_close(&output);
	if (!failed && rename(tmp, path))
		failed = errno;
	if (failed) {
		unlink(tmp);
		return failed;
	}
	failed = sync_folder_of(path);
	return failed;
}

int spool_write_envelope(const char *directory, const struct session *session, const char *id)
{
	struct pool pool = {0};
	struct text text = {.pool = &pool};
	int i, failed;

	text_add_string(&text, pool_printf(&pool, "received %ld\nsender %s\n", (long)time(NULL),
					   session->mail.sender));
	for (i = 0; i < session->mail.recipient_count; i++)
		text_add_string(&text,
				pool_printf(&pool, "recipient %s\n", session->mail.recipients[i]));
	failed = write_envelope(directory, id, text_get(&text), text.len);
	pool_free(&pool);
	return failed;
}

static char *value_of(char *line, const char *key)
{
	size_t len = strlen(key);

	line[strcspn(line, "\n")] = 0;
	return !strncmp(line, key, len) && line[len] == ' ' ? line + len + 1 : NULL;
}

static void strike_out(struct envelope *envelope, const char *recipient)
{
	int i;

	for (i = 0; i < envelope->count; i++) {
		if (!strcmp(envelope->recipients[i], recipient)) {
			envelope->recipients[i] = envelope->recipients[--envelope->count];
			return;
		}
	}
}

static void read_journal(const char *directory, const char *id, struct envelope *envelope)
{
	char path[PATH_MAX], *line = NULL;
	size_t room = 0;
	ssize_t len;
	FILE *stream;

	path_of(path, directory, id, "-J");
	stream = fopen(path, "re");
	while (stream && (len = getline(&line, &room, stream)) > 0) {
		if (line[len - 1] != '\n') /* a crash cut it: not done */
			break;
		line[len - 1] = 0;
		strike_out(envelope, line);
	}
	free(line);
	if (stream)
		fclose(stream);
}

int spool_read_envelope(const char *directory, const char *id, struct envelope *envelope)
{
	char path[PATH_MAX], *line = NULL, *value;
	size_t room = 0;
	uint64_t received;
	FILE *stream;
	int recipients = 0;

	memset(envelope, 0, sizeof(*envelope));
	snprintf(envelope->id, sizeof(envelope->id), "%s", id);
	path_of(path, directory, id, "-H");
	stream = fopen(path, "re");
	if (!stream)
		return errno;
	while (getline(&line, &room, stream) > 0) {
		if ((value = value_of(line, "received")))
			envelope->received =
				number_parse(value, 0, INT64_MAX, &received) ? 0 : received;
		else if ((value = value_of(line, "sender")))
			envelope->sender = pool_string(&envelope->pool, value);
		else if (value_of(line, "frozen"))
			envelope->frozen = 1;
		else if ((value = value_of(line, "recipient"))) {
			if (recipients == envelope->count) {
				char **more;

				recipients = recipients ? 2 * recipients : 8;
				more = pool_alloc(&envelope->pool, recipients * sizeof(*more));
				if (envelope->count)
					memcpy(more, envelope->recipients,
					       envelope->count * sizeof(*more));
				envelope->recipients = more;
			}
			envelope->recipients[envelope->count++] =
				pool_string(&envelope->pool, value);
		}
	}
	free(line);
	fclose(stream);
	if (!envelope->sender)
		return EINVAL;
	read_journal(directory, id, envelope);
	return 0;
}

int spool_done(const char *directory, const char *id, char *const *recipients, int count)
{
	char path[PATH_MAX];
	struct output output;
	int fd, i;

	path_of(path, directory, id, "-J");
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return errno;
	output_open(&output, fd);
	for (i = 0; i < count; i++) {
		output_write(&output, recipients[i], strlen(recipients[i]));
		output_write(&output, "\n", 1);
	}
	return output_close(&output);
}

int spool_freeze(const char *directory, const char *id)
{
	char path[PATH_MAX], text[64] = "";
	struct pool pool = {0};
	struct text whole = {.pool = &pool};
	size_t len;
	FILE *stream;
	int failed;

	path_of(path, directory, id, "-H");
	stream = fopen(path, "re");
	if (!stream)
		return errno;
	while ((len = fread(text, 1, sizeof(text), stream)))
		text_add(&whole, text, len);
	fclose(stream);
	text_add_string(&whole, "frozen yes\n");
	failed = write_envelope(directory, id, text_get(&whole), whole.len);
	pool_free(&pool);
	return failed;
}

int spool_remove(const char *directory, const char *id)
{
	char path[PATH_MAX];
	int failed;

	path_of(path, directory, id, "-H");
	if (unlink(path) && errno != ENOENT)
		return errno;
	failed = sync_folder_of(path); /* or a crash could leave an envelope without its journal */
	if (failed)
		return failed;
	path_of(path, directory, id, "-J");
	unlink(path);
	path_of(path, directory, id, "-D");
	unlink(path);
	return 0;
}

FILE *spool_open_data(const char *directory, const char *id)
{
	char path[PATH_MAX];

	path_of(path, directory, id, "-D");
	return fopen(path, "re");
}

/* ---- from DATA until it is safe ---- */

int message_open(const struct config *config, struct message *message)
{
	struct delivery_target target;
	struct pool pool = {0};
	int fd;

	make_message_id(message->id);
	message->output.fd = -1;
	if (!config->delivery)
		return ENOENT;
	delivery_parse(config->delivery, &target, &pool);
	pool_free(&pool);
	if (target.kind == DELIVER_MAILDIR) {
		snprintf(message->tmp, PATH_MAX, "%s/tmp/%s.%s", target.path, message->id,
			 config->primary_hostname);
		snprintf(message->final, PATH_MAX, "%s/new/%s.%s", target.path, message->id,
			 config->primary_hostname);
	} else {
		path_of(message->tmp, config->spool_directory, message->id, "-D");
		message->final[0] = 0;
	}
	fd = open(message->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	output_open(&message->output, fd);
	return 0;
}

int message_commit(const struct session *session, struct message *message)
{
	const char *directory = session->config->spool_directory;
	int failed = output_close(&message->output);

	if (!failed && !message->final[0]) {
		failed = spool_write_envelope(directory, session, message->id);
		if (failed) {
			spool_remove(directory, message->id);
			return failed;
		}
		queue_wake();
		return 0;
	}
	if (!failed && rename(message->tmp, message->final))
		failed = errno;
	if (failed) {
		unlink(message->tmp);
		return failed;
	}
	failed = sync_folder_of(message->final);
	if (failed) /* the client will send it again: one copy is enough */
		unlink(message->final);
	return failed;
}

void message_abort(struct message *message)
{
	if (message->output.fd < 0)
		return;
	close(message->output.fd);
	message->output.fd = -1;
	unlink(message->tmp);
}
