/* Caches that are started: a thread of their own keeps their keys fresh, and ends when it is told to. */
#include "staging.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void start(struct host *host)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = jwks_cache_start(host->cache, &error);
    if (status != JWT_OK)
        print_error("%s: %s\n", error.option, error.message);
    assert_status(status, JWT_OK);
}

/* Started, with key 1 as "one". */
static void start_serving(struct host *host)
{
    jwks_issuer_options options = by_url();
    add(host, &options);
    start(host);
    await_starts(host, 1);
    answer_key(host, 1, "one");
    await_kid(host, 1, "one");
}

static void nothing_has_a_thread_before_it_is_started(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    size_t before = descriptors();
    add(host, &options);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    await_threads(1);
    assert_int_equal(descriptors(), before);
    start(host);
    assert_int_equal(threads_named("keyturn"), 1);
    await_threads(2);
}

static void a_started_cache_fetches_by_itself(void **state)
{
    struct host *host = *state;
    start_serving(host);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING); /* and the thread wakes */
    await_starts(host, 2);
    answer_key(host, 2, "two");
    assert_status(settle_kid(host, 2, "two"), JWT_OK);
}

static void it_refreshes_when_it_is_due(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.default_freshness_ms = 1000;
    options.min_freshness_ms = 1000;
    add(host, &options);
    start(host);
    for (unsigned key = 1; key <= 3; key++) {
        await_starts(host, key);
        answer_key(host, key, "one");
        await_kid(host, key, "one");
    }
}

static void an_operator_an_issuer_that_is_added_and_a_poll_wake_it(void **state)
{
    struct host *host = *state;
    uint32_t next = 7;
    start(host);
    jwks_issuer_options options = by_url();
    add(host, &options);
    await_starts(host, 1);
    answer_key(host, 1, "one");
    await_kid(host, 1, "one");
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
    await_starts(host, 2);
    assert_status(jwks_cache_poll(host->cache, &next), JWT_OK);
    assert_int_equal(next, UINT32_MAX); /* the host has nothing to do */
}

static void starting_twice_is_starting_once(void **state)
{
    struct host *host = *state;
    start_serving(host);
    start(host);
    assert_int_equal(threads_named("keyturn"), 1);
    assert_status(jwks_cache_start(NULL, NULL), JWKS_INVALID_ARGUMENT);
    jwks_cache_stop(NULL);
    jwks_cache_stop(host->cache);
    jwks_cache_stop(host->cache);
    await_threads(1);
}

/* ---- Signals */

static volatile sig_atomic_t caught;

static void catch (int signal)
{
    (void)signal;
    caught++;
}

static uint64_t mask_of(const char *task)
{
    char path[64], line[256];
    unsigned long long mask = 0;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", task);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        sscanf(line, "SigBlk: %llx", &mask);
    fclose(file);
    return mask;
}

static void its_thread_takes_no_signal_of_the_host_s(void **state)
{
    struct host *host = *state;
    size_t looked_at = 0;
    start_serving(host);
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        uint64_t mask = mask_of(entry->d_name);
        for (int number = 1; number < SIGRTMIN; number++) {
            int own = number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
                      number == SIGTRAP || number == SIGSYS || number == SIGABRT;
            if (number < 32 && number != SIGKILL && number != SIGSTOP)
                assert_int_equal(mask >> (number - 1) & 1, !own);
        }
        looked_at++;
    }
    closedir(folder);
    assert_int_equal(looked_at, 1);
    signal(SIGUSR1, catch);
    kill(getpid(), SIGUSR1);
    assert_int_equal(caught, 1);
    signal(SIGUSR1, SIG_DFL);
}

/* ---- The end */

static void a_stop_cancels_what_is_under_way_and_serves_on(void **state)
{
    struct host *host = *state;
    start_serving(host);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    await_starts(host, 2);
    int64_t began = real_time();
    jwks_cache_stop(host->cache);
    assert_in_range(real_time() - began, 0, 1000); /* nobody answers */
    assert_int_equal(host->asked[0].cancelled, 1);
    await_threads(1);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    answer_key(host, 3, "three"); /* too late */
    poll_cache(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    /* From here on the host polls, and what it has asked for goes on when the cache is started again. */
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(host->starts, 3);
    start(host);
    answer_key(host, 2, "two");
    assert_status(settle_kid(host, 2, "two"), JWT_OK);
}

static void a_hundred_starts_and_stops_leave_nothing_behind(void **state)
{
    struct host *host = *state;
    start_serving(host);
    size_t before = descriptors();
    for (int i = 0; i < 100; i++) {
        jwks_cache_stop(host->cache);
        await_threads(1);
        start(host);
        assert_int_equal(threads_named("keyturn"), 1);
        assert_int_equal(descriptors(), before);
    }
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_int_equal(host->starts, 1);
}

static void the_last_handle_stops_it(void **state)
{
    struct host *host = *state;
    start_serving(host);
    size_t before = descriptors();
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    await_starts(host, 2);
    jwks_cache_release(host->cache);
    jwks_issuer_release(host->issuer);
    host->cache = NULL;
    host->issuer = NULL;
    assert_status(ask_kid(host, 1, "one"), JWT_OK); /* the policy holds it */
    assert_int_equal(threads_named("keyturn"), 1);
    jwt_policy_release(host->policy);
    host->policy = NULL;
    await_threads(1);
    assert_int_equal(descriptors(), before - 1);
    assert_int_equal(host->asked[0].cancelled, 1);
}

/* A host whose clock must not be read when it has gone. It is kept to the end all the same. */
struct gone {
    int is_gone, reads, late_reads;
};

static int64_t read_clock(void *context)
{
    struct gone *host = context;
    __atomic_fetch_add(&host->reads, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&host->is_gone, __ATOMIC_ACQUIRE))
        __atomic_fetch_add(&host->late_reads, 1, __ATOMIC_RELAXED);
    return NOW;
}

/* Goes when the thread has read the clock so many times, or does nothing, maybe in the middle of its work. */
static void come_and_go(struct gone *host, const char *directory, int reads)
{
    enum { ISSUERS = 8 };
    jwks_cache_options with = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options options = by_url();
    jwks_issuer *issuers[ISSUERS];
    jwks_cache *cache;
    char name[64];
    with.store = directory;
    with.clock = with.monotonic = read_clock;
    with.clock_context = with.monotonic_context = host;
    assert_status(jwks_cache_new(&with, &cache, NULL), JWT_OK);
    options.issuer = name;
    options.jwks_url = NULL;
    for (int i = 0; i < ISSUERS; i++) {
        snprintf(name, sizeof name, "https://%d.example.com", i);
        assert_status(jwks_cache_add_issuer(cache, &options, &issuers[i], NULL), JWT_OK);
    }
    int before = __atomic_load_n(&host->reads, __ATOMIC_RELAXED);
    assert_status(jwks_cache_start(cache, NULL), JWT_OK);
    for (int i = 0; i < 100 && __atomic_load_n(&host->reads, __ATOMIC_RELAXED) < before + reads; i++)
        usleep(10);
    for (int i = 0; i < ISSUERS; i++)
        jwks_issuer_release(issuers[i]);
    jwks_cache_release(cache);
    __atomic_store_n(&host->is_gone, 1, __ATOMIC_RELEASE);
}

static void when_the_last_handle_has_gone_nothing_of_the_host_s_is_called(void **state)
{
    enum { ROUNDS = 300, READS = 30 };
    static struct gone hosts[ROUNDS];
    int reads = 0;
    for (int i = 0; i < ROUNDS; i++)
        come_and_go(&hosts[i], *state, i % READS);
    await_threads(1);
    for (int i = 0; i < ROUNDS; i++) {
        reads += hosts[i].reads;
        assert_int_equal(hosts[i].late_reads, 0);
    }
    assert_true(reads > ROUNDS);
}

static void an_issuer_that_goes_has_its_fetch_cancelled_by_the_thread(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    start(host);
    await_starts(host, 1);
    assert_status(jwks_issuer_remove(host->issuer), JWT_OK);
    await_cancels(host, 1);
}

/* ---- Forks */

static void child_of_started(struct host *host)
{
    uint32_t next = 7;
    await_threads(1);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_status(ask_kid(host, 2, "two"), JWT_KEY_NOT_FOUND); /* nobody would ask for it */
    assert_status(jwks_cache_poll(host->cache, &next), JWKS_FORKED);
    assert_status(jwks_issuer_refresh(host->issuer), JWKS_FORKED);
    jwks_cache_stop(host->cache);
    size_t before = descriptors();
    start(host);
    assert_int_equal(threads_named("keyturn"), 1);
    assert_int_equal(descriptors(), before); /* its own in place of the parent's */
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    await_starts(host, 3);
    jwks_fetch_complete(take(host), NULL); /* the parent's: nobody wants it here */
    answer_key(host, 2, "two");
    assert_status(settle_kid(host, 2, "two"), JWT_OK);
    jwks_cache_stop(host->cache);
    await_threads(1);
}

static void a_child_serves_and_starts_an_engine_of_its_own(void **state)
{
    struct host *host = *state;
    start_serving(host);
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
    await_starts(host, 2);
    lock_stage();
    pid_t child = fork();
    unlock_stage();
    if (child == 0) {
        child_of_started(host);
        _exit(0);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    answer_key(host, 3, "three"); /* the parent has gone on as if nothing had happened */
    await_kid(host, 3, "three");
}

static void a_child_that_never_starts_it_may_let_it_go(void **state)
{
    struct host *host = *state;
    start_serving(host);
    lock_stage();
    pid_t child = fork();
    unlock_stage();
    if (child == 0) {
        size_t before = descriptors();
        jwt_policy_release(host->policy);
        jwks_issuer_release(host->issuer);
        jwks_cache_release(host->cache);
        _exit(descriptors() == before - 1 ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
    await_starts(host, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(nothing_has_a_thread_before_it_is_started),
        ON_STAGE(a_started_cache_fetches_by_itself),
        ON_STAGE(it_refreshes_when_it_is_due),
        ON_STAGE(an_operator_an_issuer_that_is_added_and_a_poll_wake_it),
        ON_STAGE(starting_twice_is_starting_once),
        ON_STAGE(its_thread_takes_no_signal_of_the_host_s),
        ON_STAGE(a_stop_cancels_what_is_under_way_and_serves_on),
        ON_STAGE(a_hundred_starts_and_stops_leave_nothing_behind),
        ON_STAGE(the_last_handle_stops_it),
        WITH_DIRECTORY(when_the_last_handle_has_gone_nothing_of_the_host_s_is_called),
        ON_STAGE(an_issuer_that_goes_has_its_fetch_cancelled_by_the_thread),
        ON_STAGE(a_child_serves_and_starts_an_engine_of_its_own),
        ON_STAGE(a_child_that_never_starts_it_may_let_it_go),
    };
    return cmocka_run_group_tests_name("drive", tests, NULL, NULL);
}
