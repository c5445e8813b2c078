/* Changes in directories, told at once. Calls that fail answer -1 and leave the reason in errno. */
#ifndef CKEYTURN_WATCH_H
#define CKEYTURN_WATCH_H

#include "ckeyturn.h"

/* A descriptor that is readable when something has changed in a directory that it watches; a forked child needs one of
 * its own. */
CKEYTURN_HIDDEN int ckeyturn_watch_new(void);

/* Watches the directory that this descriptor is of, through /proc: files that come whole, go, or were written in place. */
CKEYTURN_HIDDEN int ckeyturn_watch_directory(int watch, int directory);

/* Watches the directory of this file, and each in which a link on the way to it stands. 0 also where there is no
 * such way. */
CKEYTURN_HIDDEN int ckeyturn_watch_path(int watch, const char *path);

/* Takes what it has to tell, without looking at it. */
CKEYTURN_HIDDEN void ckeyturn_watch_drain(int watch);

#endif
