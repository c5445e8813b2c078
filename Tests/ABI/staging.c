#include "staging.h"

#include <dirent.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 20000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

void lock_stage(void)
{
    pthread_mutex_lock(&lock);
}

void unlock_stage(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- The fetcher */

static void start_on_stage(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    lock_stage();
    start_fetch(context, fetch, request);
    pthread_cond_broadcast(&changed);
    unlock_stage();
}

static void cancel_on_stage(void *context, jwks_fetch *fetch)
{
    lock_stage();
    cancel_fetch(context, fetch);
    pthread_cond_broadcast(&changed);
    unlock_stage();
}

static size_t starts(struct host *host)
{
    return host->starts;
}

static size_t cancels(struct host *host)
{
    size_t count = 0;
    for (size_t i = 0; i < host->under_way; i++)
        count += (size_t)host->asked[i].cancelled;
    return count;
}

static void await_count(struct host *host, size_t (*count)(struct host *), size_t least)
{
    struct timespec latest;
    clock_gettime(CLOCK_REALTIME, &latest);
    latest.tv_sec += PATIENCE / 1000;
    lock_stage();
    while (count(host) < least && pthread_cond_timedwait(&changed, &lock, &latest) == 0)
        ;
    size_t reached = count(host);
    unlock_stage();
    assert_true(reached >= least);
}

void await_starts(struct host *host, size_t count)
{
    await_count(host, starts, count);
}

void await_cancels(struct host *host, int count)
{
    await_count(host, cancels, (size_t)count);
}

void answer_key(struct host *host, unsigned key, const char *kid)
{
    lock_stage();
    reply_key(host, key, kid);
    unlock_stage();
}

void answer_failure(struct host *host)
{
    lock_stage();
    reply_failure(host, JWKS_FETCH_CONNECT);
    unlock_stage();
}

/* ---- Tokens */

jwt_status settle_kid(struct host *host, unsigned key, const char *kid)
{
    int64_t latest = real_time() + PATIENCE;
    jwt_status status;
    while ((status = ask_kid(host, key, kid)) == JWKS_PENDING && real_time() < latest)
        usleep(1000);
    return status;
}

void await_kid(struct host *host, unsigned key, const char *kid)
{
    int64_t latest = real_time() + PATIENCE;
    while (ask_kid(host, key, kid) != JWT_OK && real_time() < latest)
        usleep(1000);
    assert_status(ask_kid(host, key, kid), JWT_OK);
}

/* ---- The host */

jwks_cache_options stage_options(struct host *host)
{
    static jwks_fetcher fetcher = JWKS_FETCHER_INIT;
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    fetcher = (jwks_fetcher){ sizeof fetcher, start_on_stage, cancel_on_stage, host };
    options.clock = standing_clock;
    options.clock_context = &host->wall;
    options.fetcher = &fetcher;
    return options;
}

void use_cache(struct host *host, const jwks_cache_options *options)
{
    jwks_cache_release(host->cache);
    host->cache = NULL;
    assert_status(jwks_cache_new(options, &host->cache, NULL), JWT_OK);
}

int make_stage(void **state)
{
    make_host(state);
    struct host *host = *state;
    jwks_cache_options options = stage_options(host);
    use_cache(host, &options);
    return 0;
}

int end_stage(void **state)
{
    struct host *host = *state;
    jwks_cache_stop(host->cache);
    return end_host(state);
}

/* ---- The process */

static size_t entries(const char *path)
{
    size_t count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

size_t descriptors(void)
{
    return entries("/proc/self/fd");
}

static int is_named(const char *task, const char *name)
{
    char path[64], comm[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", task);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    int got = fscanf(file, "%63s", comm);
    fclose(file);
    return got == 1 && strcmp(comm, name) == 0;
}

size_t threads_named(const char *name)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.' && (!name || is_named(entry->d_name, name));
    closedir(folder);
    return count;
}

/* One that was joined may be seen for a moment longer. */
void await_threads(size_t count)
{
    int64_t latest = real_time() + PATIENCE;
    while (threads_named(NULL) != count && real_time() < latest)
        usleep(1000);
    assert_int_equal(threads_named(NULL), count);
}

int64_t real_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}
