/* New keys that come into force in the middle of a verification: a token of theirs is never refused. The verification
 * is stopped at each of its readings of the clock, which are the host's. */
#include "fetching.h"

#include <pthread.h>

static struct {
    struct host *host;
    int left; /* readings until the keys come; negative: they do not */
} crossing;

static void *land(void *unused)
{
    (void)unused;
    poll_cache(crossing.host);
    return NULL;
}

static int64_t tell_time(void *context)
{
    pthread_t thread;
    if (crossing.left-- == 0) {
        assert_int_equal(pthread_create(&thread, NULL, land, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    return *(int64_t *)context;
}

static struct host *host_with_issuer(const jwks_issuer_options *issuer)
{
    void *state;
    make_host(&state);
    struct host *host = state;
    jwks_fetcher fetcher = { sizeof fetcher, start_fetch, cancel_fetch, host };
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    options.clock = options.monotonic = tell_time;
    options.clock_context = &host->wall;
    options.monotonic_context = &host->now;
    options.fetcher = &fetcher;
    crossing.host = host;
    crossing.left = -1;
    jwks_cache_release(host->cache);
    assert_status(jwks_cache_new(&options, &host->cache, NULL), JWT_OK);
    add(host, issuer);
    poll_cache(host);
    return host;
}

/* With key 1 as "one", and a fetch under way that a token has asked for. */
static struct host *host_with_keys(const jwks_issuer_options *issuer, unsigned key, const char *kid)
{
    struct host *host = host_with_issuer(issuer);
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask_kid(host, key, kid), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(host->under_way, 1);
    return host;
}

static struct host *before_the_first_set(void)
{
    jwks_issuer_options options = by_url();
    return host_with_issuer(&options);
}

/* The demand is spent by then, so that no other kid may ask. */
static struct host *before_a_new_kid(void)
{
    jwks_issuer_options options = by_url();
    options.demand_burst = 1;
    return host_with_keys(&options, 2, "two");
}

/* The issuer has put another key under the same kid. */
static struct host *before_another_key(void)
{
    jwks_issuer_options options = by_url();
    options.same_kid_rekey = 1;
    return host_with_keys(&options, 2, "one");
}

static void assert_never_refused(struct host *(*make)(void), unsigned key, const char *kid)
{
    int crossed = 0, accepted = 0;
    for (int readings = 0;; readings++) {
        struct host *host = make();
        reply_key(host, key, kid);
        crossing.left = readings;
        jwt_status status = ask_kid(host, key, kid);
        int hasCrossed = crossing.left < 0;
        crossing.left = -1;
        if (status != JWT_OK)
            assert_status(status, JWKS_PENDING);
        accepted += status == JWT_OK;
        poll_cache(host);
        assert_status(ask_kid(host, key, kid), JWT_OK);
        void *state = host;
        end_host(&state);
        if (!hasCrossed)
            break;
        crossed++;
    }
    assert_true(crossed >= 2);
    assert_true(accepted >= 1);
}

static void the_first_keys_refuse_nobody_whom_they_overtake(void **unused)
{
    (void)unused;
    assert_never_refused(before_the_first_set, 2, "two");
}

static void a_new_kid_refuses_nobody_whom_it_overtakes(void **unused)
{
    (void)unused;
    assert_never_refused(before_a_new_kid, 2, "two");
}

static void another_key_under_a_kid_refuses_nobody_whom_it_overtakes(void **unused)
{
    (void)unused;
    assert_never_refused(before_another_key, 2, "one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_keys_refuse_nobody_whom_they_overtake),
        cmocka_unit_test(a_new_kid_refuses_nobody_whom_it_overtakes),
        cmocka_unit_test(another_key_under_a_kid_refuses_nobody_whom_it_overtakes),
    };
    return cmocka_run_group_tests_name("crossing", tests, NULL, NULL);
}
