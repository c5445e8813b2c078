#define _GNU_SOURCE
#include "lock.h"
#include "store.h"
#include "thread.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Whoever waits for the lock holds the turn, so that nobody who has just let go of the lock comes first again. */
enum { LOCK, TURN };

/* The descriptors, each with 1 added, changed under the control lock. A child would share the locks. */
static int held[64];

static int exchange(int old, int new)
{
    for (size_t place = 0; place < sizeof held / sizeof *held; place++)
        if (held[place] == old) {
            held[place] = new;
            return 0;
        }
    return -1;
}

static int open_held(int directory, const char *name)
{
    ckeyturn_control_lock();
    int descriptor = ckeyturn_store_open_lock(directory, name, 0600);
    if (descriptor >= 0 && exchange(0, descriptor + 1) != 0) {
        close(descriptor);
        descriptor = -1;
    }
    ckeyturn_control_unlock();
    return descriptor;
}

static int wait_for(int descriptor, int octet, int64_t end)
{
    const struct timespec pause = { 0, 1000000 };
    while (ckeyturn_store_lock(descriptor, octet) != 0) {
        if ((errno != EAGAIN && errno != EACCES && errno != EINTR) || ckeyturn_steady_time() >= end)
            return -1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

int ckeyturn_lock_enter(int directory, const char *name, int milliseconds)
{
    int64_t end = ckeyturn_steady_time() + milliseconds;
    int descriptor = open_held(directory, name);
    if (descriptor < 0)
        return -1;
    if (wait_for(descriptor, TURN, end) == 0 && wait_for(descriptor, LOCK, end) == 0) {
        ckeyturn_store_let_go(descriptor, TURN);
        return descriptor;
    }
    ckeyturn_lock_leave(descriptor);
    return -1;
}

/* Unlocks first: a child that was forked just now may have the file open still. */
void ckeyturn_lock_leave(int descriptor)
{
    ckeyturn_store_let_go(descriptor, LOCK);
    ckeyturn_store_let_go(descriptor, TURN);
    ckeyturn_control_lock();
    exchange(descriptor + 1, 0);
    close(descriptor);
    ckeyturn_control_unlock();
}

int ckeyturn_lock_mark(int descriptor)
{
    struct stat found;
    if (fstat(descriptor, &found) != 0)
        return -1;
    if (found.st_size > 0)
        return 0;
    return pwrite(descriptor, "1\n", 2, 0) == 2 ? fsync(descriptor) : -1;
}

void ckeyturn_lock_forked(void)
{
    for (size_t place = 0; place < sizeof held / sizeof *held; place++)
        if (held[place] != 0) {
            close(held[place] - 1);
            held[place] = 0;
        }
}
