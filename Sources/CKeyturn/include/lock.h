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

/* Seats in the lock's file, each taken until its process ends, with a mark that stays where it ended without rising.
 * All under the lock, whose descriptor `lock` is; a seat's own is for ckeyturn_lock_rise, and a forked child has none. */
CKEYTURN_HIDDEN int ckeyturn_lock_sit(int directory, const char *name, int *seat);
CKEYTURN_HIDDEN void ckeyturn_lock_rise(int descriptor, int seat);
/* How many have ended so; each is told once. */
CKEYTURN_HIDDEN int ckeyturn_lock_missing(int lock);

/* In the child of a fork. */
CKEYTURN_HIDDEN void ckeyturn_lock_forked(void);

#endif
