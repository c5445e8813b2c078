#define _GNU_SOURCE
#include "ckeyturn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

void *ckeyturn_allocate(size_t count)
{
    void *memory;
    if (count > SIZE_MAX / 2 || posix_memalign(&memory, 64, count ? count : 1) != 0)
        return NULL;
    return memset(memory, 0, count);
}

void ckeyturn_free(void *memory)
{
    free(memory);
}

void *ckeyturn_map(size_t count)
{
    void *memory =
        mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    (void)madvise(memory, count, MADV_DONTDUMP);
    return memory;
}

void ckeyturn_unmap(void *memory, size_t count)
{
    munmap(memory, count);
}

void ckeyturn_wipe(void *memory, size_t count)
{
    explicit_bzero(memory, count);
}

/* By the clock that the kernel moves some hundred times a second, which is read several times faster. */
int64_t ckeyturn_unix_time(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0 ? now.tv_sec : INT64_MAX;
}

int64_t ckeyturn_steady_time(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_BOOTTIME, &now) == 0 ? now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000
                                                    : INT64_MAX;
}

int64_t ckeyturn_thread_time(void)
{
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int ckeyturn_random(void *memory, size_t count)
{
    unsigned char *next = memory;
    while (count > 0) {
        ssize_t got = getrandom(next, count, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        next += got;
        count -= (size_t)got;
    }
    return 0;
}
