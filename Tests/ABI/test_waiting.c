/* Tokens that wait for a fetch: parked for an event loop, or by a thread that blocks. */
#include "staging.h"

#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static int is_readable(const jwks_loop *loop)
{
    struct pollfd fd = { .fd = jwks_loop_fd(loop), .events = POLLIN };
    return poll(&fd, 1, 0) == 1;
}

static jwks_loop *new_loop(struct host *host)
{
    jwks_loop *loop = NULL;
    assert_status(jwks_loop_new(host->cache, NULL, &loop), JWT_OK);
    assert_true(jwks_loop_fd(loop) >= 0);
    assert_false(is_readable(loop));
    return loop;
}

static jwt_waiter *park(struct host *host, jwks_loop *loop, void *user)
{
    jwt_waiter *waiter = NULL;
    assert_status(jwt_wait(host->result, loop, user, &waiter), JWT_OK);
    assert_non_null(waiter);
    return waiter;
}

/* Asks for an unknown kid, which is pending, and parks. */
static jwt_waiter *miss(struct host *host, jwks_loop *loop, void *user)
{
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    return park(host, loop, user);
}

static void answer_with(struct host *host, unsigned key, const char *kid)
{
    reply_key(host, key, kid);
    poll_cache(host);
}

static uint32_t waiting(struct host *host)
{
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    assert_status(jwks_issuer_stats_get(host->issuer, &stats), JWT_OK);
    return stats.waiters;
}

static void who_waits_wakes_once_when_the_flight_ends(void **state)
{
    struct host *host = *state;
    int user;
    serve(host);
    jwks_loop *loop = new_loop(host);
    jwt_waiter *waiter = miss(host, loop, &user);
    assert_true(is_readable(loop)); /* the host has to poll */
    poll_cache(host);
    assert_int_equal(host->starts, 2);
    assert_int_equal(waiting(host), 1);
    assert_null(jwks_loop_next(loop));
    assert_false(is_readable(loop));
    answer_with(host, 2, "two");
    assert_int_equal(waiting(host), 0);
    assert_true(is_readable(loop));
    assert_ptr_equal(jwks_loop_next(loop), &user);
    assert_null(jwks_loop_next(loop));
    assert_false(is_readable(loop));
    jwt_wait_cancel(waiter);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    jwks_loop_release(loop);
}

/* The result is pending, and nobody waits for it yet. */
static jwks_loop *loop_after_a_miss(struct host *host)
{
    serve(host);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    return new_loop(host);
}

static void an_end_between_the_look_up_and_the_wait_is_not_missed(void **state)
{
    struct host *host = *state;
    jwt_waiter *waiter = NULL;
    int user;
    jwks_loop *loop = loop_after_a_miss(host);
    poll_cache(host);
    answer_with(host, 2, "two");
    assert_status(jwt_wait(host->result, loop, &user, &waiter), JWKS_RETRY);
    assert_null(waiter);
    assert_status(ask_kid(host, 2, "two"), JWT_OK);
    jwks_loop_release(loop);
}

/* Pending was the answer, but the engine lets nobody ask. */
static void who_would_wait_for_nothing_asks_again(void **state)
{
    struct host *host = *state;
    jwt_waiter *waiter = NULL;
    int user;
    jwks_loop *loop = loop_after_a_miss(host);
    assert_status(jwks_issuer_remove(host->issuer), JWT_OK);
    assert_status(jwt_wait(host->result, loop, &user, &waiter), JWKS_RETRY);
    assert_status(ask_kid(host, 2, "two"), JWKS_KEYS_UNAVAILABLE);
    jwks_loop_release(loop);
}

static void a_cancelled_waiter_is_not_delivered(void **state)
{
    struct host *host = *state;
    int users[4];
    jwt_waiter *waiters[4];
    serve(host);
    jwks_loop *loop = new_loop(host);
    for (int i = 0; i < 4; i++)
        waiters[i] = miss(host, loop, &users[i]);
    jwt_wait_cancel(waiters[1]); /* parked */
    poll_cache(host);
    answer_with(host, 2, "two");
    jwt_wait_cancel(waiters[2]); /* woken */
    assert_ptr_equal(jwks_loop_next(loop), &users[0]);
    jwt_wait_cancel(waiters[0]); /* delivered */
    assert_ptr_equal(jwks_loop_next(loop), &users[3]);
    assert_null(jwks_loop_next(loop));
    jwt_wait_cancel(waiters[3]);
    jwt_wait_cancel(NULL);
    jwks_loop_release(loop);
}

static void as_many_wait_as_may(void **state)
{
    enum { MOST_WAITERS = 256 };
    struct host *host = *state;
    static int users[MOST_WAITERS];
    static jwt_waiter *waiters[MOST_WAITERS];
    jwt_waiter *another = NULL;
    serve(host);
    jwks_loop *loop = new_loop(host);
    for (int i = 0; i < MOST_WAITERS; i++)
        waiters[i] = miss(host, loop, &users[i]);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    assert_status(jwt_wait(host->result, loop, users, &another), JWKS_KEYS_UNAVAILABLE);
    jwt_wait_cancel(waiters[17]);
    waiters[17] = park(host, loop, &users[17]);
    poll_cache(host);
    answer_with(host, 2, "two");
    int count = 0;
    while (jwks_loop_next(loop))
        count++;
    assert_int_equal(count, MOST_WAITERS);
    for (int i = 0; i < MOST_WAITERS; i++)
        jwt_wait_cancel(waiters[i]);
    jwks_loop_release(loop);
}

static void each_loop_gets_its_own(void **state)
{
    struct host *host = *state;
    int user, other;
    serve(host);
    jwks_loop *loop = new_loop(host), *second = new_loop(host);
    jwt_waiter *waiter = miss(host, loop, &user), *waiter2 = miss(host, second, &other);
    poll_cache(host);
    answer_with(host, 2, "two");
    assert_ptr_equal(jwks_loop_next(second), &other);
    assert_null(jwks_loop_next(second));
    jwks_loop_release(second);
    assert_ptr_equal(jwks_loop_next(loop), &user);
    jwt_wait_cancel(waiter2);
    jwt_wait_cancel(waiter);
    jwks_loop_release(loop);
}

static void a_loop_may_go_before_its_waiters(void **state)
{
    struct host *host = *state;
    int user;
    serve(host);
    size_t before = descriptors();
    jwks_loop *loop = new_loop(host);
    jwt_waiter *parked = miss(host, loop, &user), *cancelled = miss(host, loop, &user);
    jwks_loop_release(loop);
    jwt_wait_cancel(cancelled);
    poll_cache(host);
    answer_with(host, 2, "two");
    jwt_wait_cancel(parked);
    assert_int_equal(descriptors(), before);
}

static void count_call(void *context)
{
    __atomic_add_fetch((int *)context, 1, __ATOMIC_SEQ_CST);
}

static void a_loop_without_descriptor_is_called(void **state)
{
    struct host *host = *state;
    int calls = 0, user;
    jwks_loop_options options = JWKS_LOOP_OPTIONS_INIT;
    jwks_loop *loop = NULL;
    options.notify = count_call;
    options.context = &calls;
    serve(host);
    assert_status(jwks_loop_new(host->cache, &options, &loop), JWT_OK);
    assert_int_equal(jwks_loop_fd(loop), -1);
    jwt_waiter *waiter = miss(host, loop, &user);
    assert_int_equal(calls, 1); /* to poll */
    poll_cache(host);
    assert_int_equal(calls, 1);
    answer_with(host, 2, "two");
    assert_int_equal(calls, 2);
    assert_ptr_equal(jwks_loop_next(loop), &user);
    assert_null(jwks_loop_next(loop));
    jwt_wait_cancel(waiter);
    jwks_loop_release(loop);
}

static void a_removal_and_a_lost_flight_wake(void **state)
{
    struct host *host = *state;
    int user;
    serve(host);
    jwks_loop *loop = new_loop(host);
    jwt_waiter *waiter = miss(host, loop, &user);
    poll_cache(host);
    host->now += 5000; /* as long as a fetch may take */
    poll_cache(host);
    assert_ptr_equal(jwks_loop_next(loop), &user);
    jwt_wait_cancel(waiter);
    host->now += 30000;
    pass(host, 30000);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    waiter = park(host, loop, &user);
    assert_status(jwks_issuer_remove(host->issuer), JWT_OK);
    assert_ptr_equal(jwks_loop_next(loop), &user);
    jwt_wait_cancel(waiter);
    jwks_loop_release(loop);
}

/* One at a time: the second issuer's flight does not leave in time. */
static void nobody_waits_longer_than_a_fetch_may_take(void **state)
{
    struct host *host = *state;
    jwks_fetcher fetcher = { sizeof fetcher, start_fetch, cancel_fetch, host };
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options first = by_url();
    jwks_issuer *other = NULL;
    int user;
    options.clock = options.monotonic = standing_clock;
    options.clock_context = &host->wall;
    options.monotonic_context = &host->now;
    options.fetcher = &fetcher;
    options.max_fetches = 1;
    use_cache(host, &options);
    first.issuer = "https://slow.example";
    first.fetch_timeout_ms = 60000;
    assert_status(jwks_cache_add_issuer(host->cache, &first, &other, NULL), JWT_OK);
    poll_cache(host);
    first = by_url();
    add(host, &first);
    assert_status(ask_kid(host, 1, "one"), JWKS_PENDING);
    jwks_loop *loop = new_loop(host);
    jwt_waiter *waiter = park(host, loop, &user);
    host->now += 4999;
    poll_cache(host);
    assert_null(jwks_loop_next(loop));
    host->now += 1;
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    assert_ptr_equal(jwks_loop_next(loop), &user);
    jwt_wait_cancel(waiter);
    jwks_loop_release(loop);
    jwks_issuer_release(other);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct host *host = *state;
    jwt_waiter *waiter = NULL;
    jwks_loop *loop = NULL;
    int user;
    serve(host);
    assert_status(jwks_loop_new(NULL, NULL, &loop), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_loop_new(host->cache, NULL, NULL), JWKS_INVALID_ARGUMENT);
    jwks_cache *cache = cache_of(host, NULL);
    assert_status(jwks_loop_new(cache, NULL, &loop), JWT_OK);
    assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
    assert_status(jwt_wait(host->result, loop, &user, &waiter), JWKS_INVALID_ARGUMENT); /* another cache's */
    jwks_loop_release(loop);
    jwks_cache_release(cache);
    loop = new_loop(host);
    assert_status(jwt_wait(host->result, NULL, &user, &waiter), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_wait(host->result, loop, NULL, &waiter), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_wait(host->result, loop, &user, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_wait(NULL, loop, &user, &waiter), JWKS_INVALID_ARGUMENT);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    assert_status(jwt_wait(host->result, loop, &user, &waiter), JWKS_INVALID_ARGUMENT); /* not pending */
    assert_null(jwks_loop_next(NULL));
    assert_int_equal(jwks_loop_fd(NULL), -1);
    jwks_loop_release(NULL);
    jwks_loop_release(loop);
}

/* ---- With a thread that drives */

static void serve_started(struct host *host)
{
    jwks_issuer_options options = by_url();
    add(host, &options);
    assert_status(jwks_cache_start(host->cache, NULL), JWT_OK);
    await_starts(host, 1);
    answer_key(host, 1, "one");
    await_kid(host, 1, "one");
}

static void a_stop_wakes_who_waits(void **state)
{
    struct host *host = *state;
    int user;
    serve_started(host);
    jwks_loop *loop = new_loop(host);
    jwt_waiter *waiter = miss(host, loop, &user);
    await_starts(host, 2);
    assert_null(jwks_loop_next(loop));
    jwks_cache_stop(host->cache);
    assert_ptr_equal(jwks_loop_next(loop), &user);
    jwt_wait_cancel(waiter);
    jwks_loop_release(loop);
}

static void a_child_needs_a_loop_of_its_own(void **state)
{
    struct host *host = *state;
    int user;
    serve_started(host);
    jwks_loop *loop = new_loop(host), *own = NULL;
    jwt_waiter *waiter = miss(host, loop, &user), *another = NULL;
    await_starts(host, 2);
    lock_stage();
    pid_t child = fork();
    unlock_stage();
    if (child == 0) {
        int good = jwks_loop_new(host->cache, NULL, &own) == JWKS_FORKED &&
                   jwt_wait(host->result, loop, &user, &another) == JWKS_FORKED &&
                   jwks_cache_start(host->cache, NULL) == JWT_OK &&
                   jwks_loop_new(host->cache, NULL, &own) == JWT_OK &&
                   ask_kid(host, 2, "two") == JWKS_PENDING &&
                   jwt_wait(host->result, loop, &user, &another) == JWKS_FORKED;
        jwt_wait_cancel(waiter); /* the parent's: forgotten here */
        another = park(host, own, &user);
        jwks_cache_stop(host->cache);
        _exit(good && jwks_loop_next(own) == &user ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(is_readable(loop));
    answer_key(host, 2, "two");
    struct pollfd fd = { .fd = jwks_loop_fd(loop), .events = POLLIN };
    assert_int_equal(poll(&fd, 1, 20000), 1);
    assert_ptr_equal(jwks_loop_next(loop), &user);
    jwt_wait_cancel(waiter);
    jwks_loop_release(loop);
}

/* ---- Threads that block */

static jwt_status wait_for_kid(struct host *host, jwt_result *result, unsigned key, const char *kid,
                               uint32_t ms)
{
    char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", kid), *token = mint(key, header, GOOD_CLAIMS);
    jwt_status status = jwt_verify_wait(host->policy, token, strlen(token), ms, result);
    assert_status(jwt_result_status(result), status);
    free(header);
    free(token);
    return status;
}

static void nobody_who_does_the_work_is_a_time_out(void **state)
{
    struct host *host = *state;
    serve(host);
    int64_t began = real_time();
    assert_status(wait_for_kid(host, host->result, 2, "two", 50), JWKS_KEYS_UNAVAILABLE);
    assert_true(real_time() - began >= 50);
    assert_status(wait_for_kid(host, host->result, 1, "one", 50), JWT_OK);
    assert_status(wait_for_kid(host, host->result, 2, "one", 50), JWT_BAD_SIGNATURE);
    assert_status(jwt_verify_wait(host->policy, NULL, 0, 50, host->result), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_verify_wait(host->policy, "x", 1, 50, NULL), JWKS_INVALID_ARGUMENT);
}

enum { CROWD = 8, ROUNDS = 40 };

struct visitor {
    struct host *host;
    unsigned round, refused;
    pthread_t thread;
};

static char *kid_of_round(unsigned round)
{
    return text("kid-%u", round);
}

static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    jwt_result *result = NULL;
    char *kid = kid_of_round(visitor->round);
    if (jwt_result_new(&result) != JWT_OK)
        return NULL;
    visitor->refused += wait_for_kid(visitor->host, result, visitor->round, kid, 20000) != JWT_OK;
    jwt_result_release(result);
    free(kid);
    return NULL;
}

/* The issuer switches to a new key at once, again and again, and everybody comes with a token of it. */
static void a_hard_switch_refuses_nobody_who_waits(void **state)
{
    struct host *host = *state;
    struct visitor crowd[CROWD];
    jwks_issuer_options options = by_url();
    options.demand_burst = 100;
    options.total_burst = 1000;
    add(host, &options);
    assert_status(jwks_cache_start(host->cache, NULL), JWT_OK);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        char *kid = kid_of_round(round);
        for (int i = 0; i < CROWD; i++) {
            crowd[i] = (struct visitor){ .host = host, .round = round };
            assert_int_equal(pthread_create(&crowd[i].thread, NULL, visit, &crowd[i]), 0);
        }
        await_starts(host, round);
        answer_key(host, round, kid);
        for (int i = 0; i < CROWD; i++) {
            pthread_join(crowd[i].thread, NULL);
            assert_int_equal(crowd[i].refused, 0);
        }
        free(kid);
    }
    assert_int_equal(host->starts, ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOST(who_waits_wakes_once_when_the_flight_ends),
        WITH_HOST(an_end_between_the_look_up_and_the_wait_is_not_missed),
        WITH_HOST(who_would_wait_for_nothing_asks_again),
        WITH_HOST(a_cancelled_waiter_is_not_delivered),
        WITH_HOST(as_many_wait_as_may),
        WITH_HOST(each_loop_gets_its_own),
        WITH_HOST(a_loop_may_go_before_its_waiters),
        WITH_HOST(a_loop_without_descriptor_is_called),
        WITH_HOST(a_removal_and_a_lost_flight_wake),
        WITH_HOST(nobody_waits_longer_than_a_fetch_may_take),
        WITH_HOST(what_makes_no_sense_is_refused),
        ON_STAGE(a_stop_wakes_who_waits),
        ON_STAGE(a_child_needs_a_loop_of_its_own),
        WITH_HOST(nobody_who_does_the_work_is_a_time_out),
        ON_STAGE(a_hard_switch_refuses_nobody_who_waits),
    };
    return cmocka_run_group_tests_name("waiting", tests, NULL, NULL);
}
