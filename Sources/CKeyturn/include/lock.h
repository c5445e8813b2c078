/* Files of the store as locks between processes, and between threads of one. Who dies lets go of them, and a
 * forked child holds none. Calls that fail answer -1. */
#ifndef CKEYTURN_LOCK_H
#define CKEYTURN_LOCK_H

#include "ckeyturn.h"

/* Takes the lock of this name, and makes its file where there is none; waits no longer than that. A descriptor. */
CKEYTURN_HIDDEN int ckeyturn_lock_enter(int directory, const char *name, int milliseconds);
CKEYTURN_HIDDEN void ckeyturn_lock_leave(int descriptor);

/* Leaves in the lock's file, durably, that what it guards exists. */
CKEYTURN_HIDDEN int ckeyturn_lock_mark(int descriptor);

/* In the child of a fork. */
CKEYTURN_HIDDEN void ckeyturn_lock_forked(void);

#endif
