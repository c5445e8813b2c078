/* What Swift cannot say itself: memory that may fail, the clock, randomness. */
#ifndef CKEYTURN_H
#define CKEYTURN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CKEYTURN_HIDDEN __attribute__((visibility("hidden")))

/* Zeroed memory aligned to 64 octets, or NULL. */
CKEYTURN_HIDDEN void *ckeyturn_allocate(size_t count);
CKEYTURN_HIDDEN void ckeyturn_free(void *memory);

/* Zeroed pages, taken from the system as they are written to, and left out of core dumps; or NULL. */
CKEYTURN_HIDDEN void *ckeyturn_map(size_t count);
CKEYTURN_HIDDEN void ckeyturn_unmap(void *memory, size_t count);

/* Has the processor fetch so many octets, meanwhile. */
static inline __attribute__((always_inline)) void ckeyturn_prefetch(const void *memory, size_t count)
{
    for (size_t at = 0; at < count; at += 64)
        __builtin_prefetch((const char *)memory + at);
}

/* Overwrites memory in a way that the compiler keeps. */
CKEYTURN_HIDDEN void ckeyturn_wipe(void *memory, size_t count);

/* Unix seconds by the wall clock; without one, so late that every token has expired. */
CKEYTURN_HIDDEN int64_t ckeyturn_unix_time(void);

/* Milliseconds since the machine was started, its sleep included. No wall clock moves them. */
CKEYTURN_HIDDEN int64_t ckeyturn_steady_time(void);

/* Nanoseconds that this thread has been at work. */
CKEYTURN_HIDDEN int64_t ckeyturn_thread_time(void);

/* Fills memory from the kernel's generator: 0, or -1. */
CKEYTURN_HIDDEN int ckeyturn_random(void *memory, size_t count);

#endif
