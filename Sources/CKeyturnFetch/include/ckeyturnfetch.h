/* What Swift cannot say itself: a thread with its lock, and the clock that counts through a suspend. */
#ifndef CKEYTURNFETCH_H
#define CKEYTURNFETCH_H

#include <stdint.h>

#define CKEYTURNFETCH_HIDDEN __attribute__((visibility("hidden")))

/* A thread that is not running yet, its lock, and the process that they belong to. NULL: no memory. */
typedef struct ckeyturnfetch_worker ckeyturnfetch_worker;
CKEYTURNFETCH_HIDDEN ckeyturnfetch_worker *ckeyturnfetch_worker_new(void);
CKEYTURNFETCH_HIDDEN void ckeyturnfetch_worker_free(ckeyturnfetch_worker *worker);

/* Runs `body` in a thread of this name (at most 15 octets) that takes no signal of the host's: 0, or -1. */
CKEYTURNFETCH_HIDDEN int ckeyturnfetch_worker_start(ckeyturnfetch_worker *worker, const char *name,
                                                    void (*body)(void *), void *context);
CKEYTURNFETCH_HIDDEN void ckeyturnfetch_worker_join(ckeyturnfetch_worker *worker);
CKEYTURNFETCH_HIDDEN void ckeyturnfetch_worker_lock(ckeyturnfetch_worker *worker);
CKEYTURNFETCH_HIDDEN void ckeyturnfetch_worker_unlock(ckeyturnfetch_worker *worker);

/* 0 in a forked child, where there is no such thread and the lock may be held for ever. */
CKEYTURNFETCH_HIDDEN int ckeyturnfetch_worker_is_here(const ckeyturnfetch_worker *worker);

/* Milliseconds by CLOCK_BOOTTIME. */
CKEYTURNFETCH_HIDDEN int64_t ckeyturnfetch_now(void);

/* "Keyturn/" and the version. */
CKEYTURNFETCH_HIDDEN const char *ckeyturnfetch_user_agent(void);

#endif
