#define _GNU_SOURCE
#include "driver.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

static pthread_mutex_t driver = PTHREAD_MUTEX_INITIALIZER;

void ckeyturn_driver_lock(void)
{
    pthread_mutex_lock(&driver);
}

void ckeyturn_driver_unlock(void)
{
    pthread_mutex_unlock(&driver);
}

/* fork() does not take it, since a stop holds it while it waits for a thread that may itself fork. */
void ckeyturn_driver_forked(void)
{
    pthread_mutex_init(&driver, NULL);
}

/* All but those that a fault of the thread's own raises: they are for the host's crash handler. */
static void fill_with_signals_of_the_host(sigset_t *set)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
    sigfillset(set);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(set, own[i]);
}

/* The mask is inherited, so that not one signal gets in before the thread could block it. */
int ckeyturn_thread_start(void *(*body)(void *), void *context, uint64_t *thread)
{
    sigset_t blocked, before;
    pthread_t made;
    fill_with_signals_of_the_host(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int failed = pthread_create(&made, NULL, body, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return -1;
    pthread_setname_np(made, "keyturn");
    *thread = (uint64_t)made;
    return 0;
}

void ckeyturn_thread_end(uint64_t thread)
{
    if (pthread_equal((pthread_t)thread, pthread_self()))
        pthread_detach((pthread_t)thread);
    else
        pthread_join((pthread_t)thread, NULL);
}

int ckeyturn_bell_new(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int ckeyturn_bell_renew(int bell)
{
    int fresh = ckeyturn_bell_new();
    if (fresh < 0)
        return -1;
    int put = dup3(fresh, bell, O_CLOEXEC);
    close(fresh);
    return put < 0 ? -1 : 0;
}

void ckeyturn_bell_ring(int bell)
{
    eventfd_write(bell, 1);
}

void ckeyturn_bell_silence(int bell)
{
    eventfd_t rung;
    eventfd_read(bell, &rung);
}

int ckeyturn_bell_await(int bell, int other, int watch, int64_t milliseconds)
{
    struct pollfd readable[] = { { .fd = bell, .events = POLLIN },
                                 { .fd = other, .events = POLLIN },
                                 { .fd = watch, .events = POLLIN } };
    struct timespec time = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000 };
    if (ppoll(readable, 3, &time, NULL) <= 0)
        return 0;
    ckeyturn_bell_silence(bell);
    return readable[2].revents != 0;
}

void ckeyturn_bell_close(int bell)
{
    close(bell);
}

/* The folder that this library was loaded from, with its slash: how long it is, or 0. */
static size_t own_folder(const char **path)
{
    Dl_info own;
    if (dladdr((void *)ckeyturn_library_open, &own) == 0 || !own.dli_fname)
        return 0;
    const char *slash = strrchr(own.dli_fname, '/');
    *path = own.dli_fname;
    return slash ? (size_t)(slash - own.dli_fname) + 1 : 0;
}

static void *open_beside(const char *name)
{
    char path[PATH_MAX];
    const char *own;
    size_t folder = own_folder(&own), length = strlen(name) + 1;
    if (folder == 0 || folder + length > sizeof path)
        return NULL;
    memcpy(path, own, folder);
    memcpy(path + folder, name, length);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

void *ckeyturn_library_open(const char *name)
{
    void *beside = open_beside(name);
    return beside ? beside : dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

void *ckeyturn_library_function(void *library, const char *name)
{
    return dlsym(library, name);
}
