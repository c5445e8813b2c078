/* What the read domain needs of threads: its static memory, each thread's pointer, the control lock,
 * the ends of threads, forks, and a barrier in every thread of the process. */
#ifndef CKEYTURN_THREAD_H
#define CKEYTURN_THREAD_H

#include "ckeyturn.h"

/* Static, so that it is there before any call, and with no initializer to run. The clock is read at each
 * entry and written at each retirement only, so nothing else shares its two cache lines. */
struct ckeyturn_domain {
    _Alignas(128) uint64_t clock;
    _Alignas(128) void *records;
    uint64_t retired[15];
};
extern CKEYTURN_HIDDEN struct ckeyturn_domain ckeyturn_domain;

static inline void *ckeyturn_domain_clock(void)
{
    return &ckeyturn_domain.clock;
}

static inline void *ckeyturn_domain_records(void)
{
    return &ckeyturn_domain.records;
}

static inline void *ckeyturn_domain_retired(void)
{
    return ckeyturn_domain.retired;
}

/* This thread's reader record: NULL before its first verification, CKEYTURN_EXITING once its record has
 * been given back. Initial-exec, so that finding it is one instruction; it is all the thread-local
 * storage that the library has. */
#define CKEYTURN_EXITING ((uintptr_t)1)
extern CKEYTURN_HIDDEN __thread uintptr_t ckeyturn_reader __attribute__((tls_model("initial-exec")));

static inline uintptr_t ckeyturn_reader_get(void)
{
    return ckeyturn_reader;
}

/* Registers what runs at forks, and the key whose destructor runs when a thread ends: once, at first use,
 * never at load. 0, or -1 when there is no memory or no key left; it may then be called again.
 * `thread_ended` gets the ended thread's record; `forked` runs in the child, under no lock, alone. */
CKEYTURN_HIDDEN int ckeyturn_start(void (*thread_ended)(void *), void (*forked)(void));

/* Makes `record` this thread's, to be given to `thread_ended`: 0, or -1 when there is no memory. */
CKEYTURN_HIDDEN int ckeyturn_reader_set(void *record);

/* How many forks lie between this process and the one that loaded the library. */
CKEYTURN_HIDDEN uint64_t ckeyturn_forks(void);

/* One lock for the process, held by fork() too. */
CKEYTURN_HIDDEN void ckeyturn_control_lock(void);
CKEYTURN_HIDDEN void ckeyturn_control_unlock(void);

/* A full memory barrier in every running thread of the process, and in this one: 0, or -1 where the
 * kernel or a filter refuses. */
CKEYTURN_HIDDEN int ckeyturn_membarrier(void);

/* For tests, and only in what is built with KEYTURN_FAULTS: 1 has membarrier refused from now on, 0 lets it
 * work again. */
CKEYTURN_HIDDEN void ckeyturn_fault_membarrier(int refused);

static inline __attribute__((always_inline)) void ckeyturn_compiler_barrier(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif
