#define _GNU_SOURCE
#include "thread.h"
#include "lock.h"

#include "driver.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Epoch 1, readers without fences: see Clock in Epoch.swift. */
struct ckeyturn_domain ckeyturn_domain = { .clock = 2 };

__thread uintptr_t ckeyturn_reader __attribute__((tls_model("initial-exec")));

/* Recursive, because two threads whose first calls meet may both register the fork handlers, which then
 * run twice. */
static pthread_mutex_t control = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static int started; /* written under the control lock */
static int handles_forks;
static pthread_key_t key;
static void (*on_thread_end)(void *);
static void (*on_fork)(void);
static uint64_t forks; /* written where there is one thread */

void ckeyturn_control_lock(void)
{
    pthread_mutex_lock(&control);
}

void ckeyturn_control_unlock(void)
{
    pthread_mutex_unlock(&control);
}

/* The child's thread does not own the mutex that the parent locked, so it must be made anew. */
static void after_fork_in_child(void)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&control, &recursive);
    pthread_mutexattr_destroy(&recursive);
    ckeyturn_driver_forked();
    forks++;
    ckeyturn_lock_forked();
    if (started)
        on_fork();
}

/* From here on every later verification of this thread borrows a record: its destructors that are still
 * to come may verify, and nothing would tell us of the thread's end again. */
static void thread_end(void *record)
{
    ckeyturn_reader = CKEYTURN_EXITING;
    on_thread_end(record);
}

/* The fork handlers come before the lock is first taken: a child never finds it held by a lost thread. */
int ckeyturn_start(void (*thread_ended)(void *), void (*forked)(void))
{
    if (__atomic_load_n(&started, __ATOMIC_ACQUIRE))
        return 0;
    if (!__atomic_load_n(&handles_forks, __ATOMIC_ACQUIRE) &&
        pthread_atfork(ckeyturn_control_lock, ckeyturn_control_unlock, after_fork_in_child) != 0)
        return -1;
    ckeyturn_control_lock();
    __atomic_store_n(&handles_forks, 1, __ATOMIC_RELEASE);
    on_thread_end = thread_ended;
    on_fork = forked;
    int made = started || pthread_key_create(&key, thread_end) == 0;
    __atomic_store_n(&started, made, __ATOMIC_RELEASE);
    ckeyturn_control_unlock();
    return made ? 0 : -1;
}

uint64_t ckeyturn_forks(void)
{
    return forks;
}

int ckeyturn_reader_set(void *record)
{
    if (pthread_setspecific(key, record) != 0)
        return -1;
    ckeyturn_reader = (uintptr_t)record;
    return 0;
}

#ifdef KEYTURN_FAULTS
static int fault;

void ckeyturn_fault_membarrier(int refused)
{
    __atomic_store_n(&fault, refused, __ATOMIC_RELAXED);
}
#endif

static int call_membarrier(int command)
{
#ifdef KEYTURN_FAULTS
    if (__atomic_load_n(&fault, __ATOMIC_RELAXED))
        return -1;
#endif
    return (int)syscall(SYS_membarrier, command, 0, 0);
}

/* The kernel asks for a registration, once for each process. Where the first call goes through there is
 * one: the parent's is inherited. */
int ckeyturn_membarrier(void)
{
    if (call_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
        return 0;
    if (call_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0)
        return -1;
    return call_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
