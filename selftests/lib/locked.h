/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A socket that stays locked by its owner, as it is for the length of a send(): what arrives
 * meanwhile has passed the programs and waits in TCP's backlog.
 */
#ifndef LOCKED_H
#define LOCKED_H

#include <pthread.h>
#include <stddef.h>

/* A page that is not there until it is wanted: who sends from it keeps its socket locked. */
struct absent_page {
	int fd;
	char *at;
	size_t len;
	int socket;
	pthread_t sender;
};

/* Skips the test where there is no userfaultfd. */
void absent_page_make(struct absent_page *page);
void absent_page_free(struct absent_page *page);

void lock_socket(struct absent_page *page, int fd);
/* It has sent one byte, which is 0. */
void unlock_socket(struct absent_page *page);

#endif
