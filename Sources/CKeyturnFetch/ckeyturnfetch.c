#define _GNU_SOURCE
#include "ckeyturnfetch.h"

#include <keyturn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct ckeyturnfetch_worker {
    pthread_mutex_t lock;
    pthread_t thread;
    pid_t process;
    void (*body)(void *);
    void *context;
};

ckeyturnfetch_worker *ckeyturnfetch_worker_new(void)
{
    ckeyturnfetch_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    pthread_mutex_init(&worker->lock, NULL);
    worker->process = getpid();
    return worker;
}

void ckeyturnfetch_worker_free(ckeyturnfetch_worker *worker)
{
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

static void *run(void *context)
{
    ckeyturnfetch_worker *worker = context;
    worker->body(worker->context);
    return NULL;
}

/* All but those that a fault of the thread's own raises: they are for the host's crash handler. */
static void fill_with_signals_of_the_host(sigset_t *set)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
    sigfillset(set);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(set, own[i]);
}

/* The mask is inherited, by this thread and by those in which libcurl resolves names. */
int ckeyturnfetch_worker_start(ckeyturnfetch_worker *worker, const char *name, void (*body)(void *),
                               void *context)
{
    sigset_t blocked, before;
    worker->body = body;
    worker->context = context;
    fill_with_signals_of_the_host(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int failed = pthread_create(&worker->thread, NULL, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return -1;
    pthread_setname_np(worker->thread, name);
    return 0;
}

void ckeyturnfetch_worker_join(ckeyturnfetch_worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void ckeyturnfetch_worker_lock(ckeyturnfetch_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
}

void ckeyturnfetch_worker_unlock(ckeyturnfetch_worker *worker)
{
    pthread_mutex_unlock(&worker->lock);
}

int ckeyturnfetch_worker_is_here(const ckeyturnfetch_worker *worker)
{
    return worker->process == getpid();
}

int64_t ckeyturnfetch_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *ckeyturnfetch_user_agent(void)
{
    return "Keyturn/" KEYTURN_VERSION;
}
