/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcscd/mailbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pcscd/log.h"

struct mailbox {
	pthread_mutex_t lock;
	int fd;
	struct mail *mail;
	size_t count;
	size_t room;
};

struct mailbox *mailbox_new(void)
{
	struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

	if (!mailbox)
		return NULL;
	mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mailbox->fd < 0) {
		free(mailbox);
		return NULL;
	}
	pthread_mutex_init(&mailbox->lock, NULL);
	return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
	if (!mailbox)
		return;
	pthread_mutex_destroy(&mailbox->lock);
	close(mailbox->fd);
	free(mailbox->mail);
	free(mailbox);
}

int mailbox_fd(const struct mailbox *mailbox)
{
	return mailbox->fd;
}

/* With the lock held. */
static bool make_room(struct mailbox *mailbox)
{
	size_t room = mailbox->room ? mailbox->room * 2 : 16;
	struct mail *grown;

	if (mailbox->count < mailbox->room)
		return true;
	grown = reallocarray(mailbox->mail, room, sizeof(*grown));
	if (!grown)
		return false;
	mailbox->mail = grown;
	mailbox->room = room;
	return true;
}

void mailbox_post(struct mailbox *mailbox, struct mail mail)
{
	bool kept;

	pthread_mutex_lock(&mailbox->lock);
	kept = make_room(mailbox);
	if (kept)
		mailbox->mail[mailbox->count++] = mail;
	pthread_mutex_unlock(&mailbox->lock);
	if (kept)
		eventfd_write(mailbox->fd, 1);
	else
		log_line(PCSC_LOG_CRITICAL, "out of memory: a change of readers was missed");
}

size_t mailbox_take(struct mailbox *mailbox, struct mail **mail)
{
	eventfd_t ignored;
	size_t count;

	eventfd_read(mailbox->fd, &ignored);
	pthread_mutex_lock(&mailbox->lock);
	*mail = mailbox->mail;
	count = mailbox->count;
	mailbox->mail = NULL;
	mailbox->count = 0;
	mailbox->room = 0;
	pthread_mutex_unlock(&mailbox->lock);
	return count;
}
