#define _GNU_SOURCE
#include "lock.h"
#include "store.h"
#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Whoever waits for the lock holds the turn, so that nobody who has just let go of the lock comes first again. Behind
 * them are the seats. */
enum { LOCK, TURN, FIRST_SEAT = 16, SEATS = 1024 };

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

int ckeyturn_lock_sit(int directory, const char *name, int *seat)
{
    int descriptor = open_held(directory, name);
    for (*seat = FIRST_SEAT; descriptor >= 0 && *seat < FIRST_SEAT + SEATS; ++*seat)
        if (ckeyturn_store_lock(descriptor, *seat) == 0 && pwrite(descriptor, "1", 1, *seat) == 1)
            return descriptor;
    if (descriptor >= 0)
        ckeyturn_lock_leave(descriptor);
    return -1;
}

void ckeyturn_lock_rise(int descriptor, int seat)
{
    if (pwrite(descriptor, "0", 1, seat) == 1)
        ckeyturn_store_let_go(descriptor, seat);
    ckeyturn_lock_leave(descriptor);
}

int ckeyturn_lock_missing(int lock)
{
    char marks[SEATS];
    int missing = 0;
    ssize_t count = pread(lock, marks, sizeof marks, FIRST_SEAT);
    for (int seat = 0; seat < count; seat++) {
        struct flock held_by = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FIRST_SEAT + seat, .l_len = 1
        };
        if (marks[seat] != '1' || fcntl(lock, F_OFD_GETLK, &held_by) != 0 || held_by.l_type != F_UNLCK)
            continue;
        if (pwrite(lock, "0", 1, FIRST_SEAT + seat) == 1)
            missing++;
    }
    return missing;
}

void ckeyturn_lock_forked(void)
{
    for (size_t place = 0; place < sizeof held / sizeof *held; place++)
        if (held[place] != 0) {
            close(held[place] - 1);
            held[place] = 0;
        }
}
