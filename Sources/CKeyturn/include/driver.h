/* What drives an engine by itself: a thread, a bell that wakes it, and the library that fetches for it. */
#ifndef CKEYTURN_DRIVER_H
#define CKEYTURN_DRIVER_H

#include "ckeyturn.h"

/* Held while a driver is started or stopped, one at a time in the process; outside of the control lock. In the
 * child of a fork it is free. */
CKEYTURN_HIDDEN void ckeyturn_driver_lock(void);
CKEYTURN_HIDDEN void ckeyturn_driver_unlock(void);
CKEYTURN_HIDDEN void ckeyturn_driver_forked(void);

/* Runs `body` in a thread "keyturn" that takes no signal of the host's: 0 and *thread, or -1. */
CKEYTURN_HIDDEN int ckeyturn_thread_start(void *(*body)(void *), void *context, uint64_t *thread);

/* Waits for its end; where it is the caller, it ends by itself. */
CKEYTURN_HIDDEN void ckeyturn_thread_end(uint64_t thread);

/* A descriptor that is readable once it was rung, or -1. */
CKEYTURN_HIDDEN int ckeyturn_bell_new(void);
/* Puts another in its place, of the same number, so that nobody rings one of the host's meanwhile: 0, or -1. */
CKEYTURN_HIDDEN int ckeyturn_bell_renew(int bell);
CKEYTURN_HIDDEN void ckeyturn_bell_ring(int bell);
CKEYTURN_HIDDEN void ckeyturn_bell_silence(int bell);
/* Until it is rung, one of the others (-1 for none) is readable, or so many milliseconds have passed; then it is silent.
 * Whether `watch` is readable. */
CKEYTURN_HIDDEN int ckeyturn_bell_await(int bell, int other, int watch, int64_t milliseconds);
CKEYTURN_HIDDEN void ckeyturn_bell_close(int bell);

/* Opens a library beside this one, else where the loader looks; NULL where neither is. It is never closed. */
CKEYTURN_HIDDEN void *ckeyturn_library_open(const char *name);
CKEYTURN_HIDDEN void *ckeyturn_library_function(void *library, const char *name);

#endif
