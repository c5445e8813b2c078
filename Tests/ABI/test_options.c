/* Every bound of a refresh is an option with a range: what it lets through, what it refuses, and that it rules. */
#include "fetching.h"

#define DAY INT64_C(86400000)

/* ---- Ranges */

struct bound {
    const char *name;
    size_t offset;
    int64_t least, most;
    int off;                   /* whether KEYTURN_OFF is a value of it */
    size_t companion;          /* another option that its ends need, */
    int64_t at_least, at_most; /* and its value at either end */
};

#define AT(option) offsetof(jwks_issuer_options, option)
#define BOUND(option, ...)                                                                                   \
    {                                                                                                        \
#option, AT(option), __VA_ARGS__                                                                     \
    }

static const struct bound bounds[] = {
    BOUND(backoff_base_ms, 10, HOUR, 0, AT(backoff_max_ms), 0, HOUR),
    BOUND(backoff_max_ms, 10, HOUR, 0, 0, 0, 0),
    BOUND(backoff_max_unserved_ms, 10, HOUR, 0, 0, 0, 0),
    BOUND(max_retry_after_ms, 1, HOUR, 1, 0, 0, 0),
    BOUND(demand_burst, 1, 100, 0, 0, 0, 0),
    BOUND(demand_interval_ms, 100, HOUR, 0, 0, 0, 0),
    BOUND(total_burst, 1, 1000, 0, 0, 0, 0),
    BOUND(total_interval_ms, 100, HOUR, 0, 0, 0, 0),
    BOUND(kept_for_schedule, 1, 10, 1, AT(total_burst), 0, 11),
    BOUND(operator_burst, 1, 100, 0, 0, 0, 0),
    BOUND(operator_interval_ms, 100, HOUR, 0, 0, 0, 0),
    BOUND(refused_kids, 8, 65536, 0, 0, 0, 0),
    BOUND(refused_short_ms, 1, HOUR, 1, AT(refused_long_ms), 0, HOUR),
    BOUND(refused_long_ms, 1, HOUR, 1, 0, 0, 0),
    BOUND(max_waiters, 1, 65536, 0, 0, 0, 0),
    BOUND(idle_ms, 1000, 366 * DAY, 0, 0, 0, 0),
    BOUND(rediscovery_ms, 1000, 30 * DAY, 0, 0, 0, 0),
    BOUND(regression_ms, 1, HOUR, 1, 0, 0, 0),
    BOUND(empty_hold_ms, 1, 7 * DAY, 1, 0, 0, 0),
    BOUND(stale_warning_ms, 1000, DAY, 0, 0, 0, 0),
    BOUND(lock_timeout_ms, 20, 300000, 0, AT(fetch_timeout_ms), 10, 0),
};

static void set(jwks_issuer_options *options, size_t offset, int64_t value)
{
    if (offset == AT(fetch_timeout_ms))
        options->fetch_timeout_ms = (uint32_t)value;
    else if (offset != 0)
        memcpy((char *)options + offset, &value, sizeof value);
}

static void assert_taken(struct host *host, const struct bound *bound, int64_t value, int64_t companion)
{
    jwks_issuer_options options = by_url();
    jwks_error error = JWKS_ERROR_INIT;
    jwks_issuer *issuer = NULL;
    set(&options, bound->companion, companion);
    set(&options, bound->offset, value);
    if (jwks_cache_add_issuer(host->cache, &options, &issuer, &error) != JWT_OK)
        fail_msg("%s = %lld: %s: %s", bound->name, (long long)value, error.option, error.message);
    jwks_issuer_release(issuer);
}

static void assert_not_taken(struct host *host, const struct bound *bound, int64_t value, int64_t companion)
{
    jwks_issuer_options options = by_url();
    set(&options, bound->companion, companion);
    set(&options, bound->offset, value);
    assert_option_refused(host, &options, bound->name);
}

static void every_bound_has_its_range(void **state)
{
    struct host *host = *state;
    for (size_t i = 0; i < COUNT(bounds); i++) {
        const struct bound *bound = &bounds[i];
        assert_taken(host, bound, bound->least, bound->at_least);
        assert_taken(host, bound, bound->most, bound->at_most);
        assert_not_taken(host, bound, bound->most + 1, bound->at_most);
        assert_not_taken(host, bound, INT64_MAX, bound->at_most);
        assert_not_taken(host, bound, INT64_MIN, bound->at_least);
        assert_not_taken(host, bound, -2, bound->at_least);
        if (bound->least > 1)
            assert_not_taken(host, bound, bound->least - 1, bound->at_least);
        if (bound->off)
            assert_taken(host, bound, KEYTURN_OFF, bound->at_least);
        else
            assert_not_taken(host, bound, KEYTURN_OFF, bound->at_least);
    }
    /* No number between the first and the last is left out. */
    assert_int_equal(COUNT(bounds), (AT(lock_timeout_ms) - AT(backoff_base_ms)) / sizeof(int64_t) + 1);
}

static void bounds_that_contradict_each_other_are_refused(void **state)
{
    struct host *host = *state;
    REFUSED("backoff_base_ms", by_url, options.backoff_base_ms = 600000);
    REFUSED("refused_short_ms", by_url, options.refused_short_ms = 60001);
    REFUSED("total_burst", by_url, options.total_burst = 3; options.kept_for_schedule = 3);
    REFUSED("lock_timeout_ms", by_url, options.lock_timeout_ms = 5000);
    REFUSED("hard_limit_ms", by_url, options.hard_limit_ms = 3599999; options.max_freshness_ms = 3600000);
}

static void a_bound_lowers_the_defaults_of_others(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.backoff_max_ms = 100;
    options.refused_long_ms = 100;
    options.total_burst = 1;
    options.hard_limit_ms = 1000;
    options.fetch_timeout_ms = 10;
    add(host, &options);
}

static void a_cache_has_its_number_of_fetches(void **state)
{
    struct host *host = *state;
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache *cache = NULL;
    options.max_fetches = 4097;
    assert_status(jwks_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "max_fetches");
    jwks_fetcher fetcher = { sizeof fetcher, start_fetch, cancel_fetch, host };
    options.max_fetches = 2;
    options.fetcher = &fetcher;
    assert_status(jwks_cache_new(&options, &cache, NULL), JWT_OK);
    jwks_issuer *issuers[5];
    for (size_t i = 0; i < COUNT(issuers); i++) {
        char *name = text("https://issuer-%zu.example", i);
        jwks_issuer_options from = by_url();
        from.issuer = name;
        assert_status(jwks_cache_add_issuer(cache, &from, &issuers[i], NULL), JWT_OK);
        free(name);
    }
    for (size_t done = 0; done < COUNT(issuers); done++) {
        assert_status(jwks_cache_poll(cache, NULL), JWT_OK);
        assert_int_equal(host->under_way, done < 4 ? 2 : 1);
        reply_key(host, 1, "one");
    }
    assert_status(jwks_cache_poll(cache, NULL), JWT_OK);
    assert_int_equal(host->starts, 5);
    for (size_t i = 0; i < COUNT(issuers); i++)
        jwks_issuer_release(issuers[i]);
    jwks_cache_release(cache);
}

/* ---- That they rule */

static void fail_at_once(struct host *host)
{
    poll_cache(host);
    reply_failure(host, JWKS_FETCH_CONNECT);
}

static void backoff_is_as_long_as_it_is_told(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.backoff_base_ms = 1000;
    options.backoff_max_ms = 4000;
    options.backoff_max_unserved_ms = 2000;
    options.total_burst = 1000;
    add(host, &options);
    fail_at_once(host);
    assert_in_range(poll_cache(host), 500, 1000);
    for (int i = 0; i < 4; i++) {
        pass(host, 4000);
        fail_at_once(host);
    }
    assert_in_range(poll_cache(host), 1000, 2000); /* unserved */
    pass(host, 4000);
    reply_key(host, 1, "one");
    poll_cache(host);
    for (int i = 0; i < 4; i++) {
        pass(host, HOUR);
        fail_at_once(host);
    }
    assert_in_range(poll_cache(host), 2000, 4000);
}

static void retry_after_is_bounded(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    jwks_response busy = JWKS_RESPONSE_INIT;
    options.max_retry_after_ms = 20000;
    add(host, &options);
    poll_cache(host);
    busy.http_status = 503;
    busy.retry_after = span_of("3600");
    reply(host, &busy);
    assert_in_range(poll_cache(host), 20000, 20000);
}

static size_t fetches_for_kids(struct host *host, size_t kids)
{
    size_t before = host->starts;
    for (size_t i = 0; i < kids; i++) {
        char *kid = text("unknown-%zu", i);
        ask_kid(host, 2, kid);
        free(kid);
        poll_cache(host);
        while (host->under_way > 0) {
            reply_key(host, 1, "one");
            poll_cache(host);
        }
    }
    return host->starts - before;
}

/* After the first fetch the bucket has four. */
static void add_with_four(struct host *host, const jwks_issuer_options *options)
{
    add(host, options);
    fetches_for_kids(host, 1);
    assert_int_equal(fetches_for_kids(host, 10), 4);
}

static void demand_has_its_burst_and_interval(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.demand_burst = 4;
    options.demand_interval_ms = 1000;
    options.total_burst = 100;
    options.refused_short_ms = KEYTURN_OFF;
    options.refused_long_ms = KEYTURN_OFF;
    add_with_four(host, &options);
    host->now += 2000;
    assert_int_equal(fetches_for_kids(host, 10), 2);
}

static void the_total_has_its_burst_and_what_is_kept_of_it(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.demand_burst = 100;
    options.total_burst = 8;
    options.kept_for_schedule = 3;
    options.total_interval_ms = HOUR;
    add_with_four(host, &options);
}

static void operators_have_their_burst(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.operator_burst = 1;
    options.operator_interval_ms = 500;
    add(host, &options);
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
    assert_status(jwks_issuer_refresh(host->issuer), JWKS_THROTTLED);
    host->now += 500;
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
}

static void an_issuer_is_idle_after_its_own_time(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.idle_ms = HOUR;
    add(host, &options);
    poll_cache(host);
    for (int64_t end = host->now + 2 * HOUR; host->now < end; pass(host, end - host->now))
        while (host->under_way > 0)
            reply_key(host, 1, "one");
    assert_in_range(host->starts, 12, 18); /* one in 225 to 270 s of the first hour */
}

static void discovery_is_asked_again_after_its_own_time(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_discovery();
    options.rediscovery_ms = 1000;
    add(host, &options);
    for (int round = 0; round < 3; round++) {
        pass(host, HOUR);
        assert_string_equal(host->asked[0].url, ISSUER "/.well-known/openid-configuration");
        reply_with(host, 200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" URL "\"}", NULL, NULL);
        poll_cache(host);
        reply_key(host, 1, "one");
        poll_cache(host);
    }
}

static void an_emptied_set_is_held_for_its_own_time(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.empty_hold_ms = KEYTURN_OFF;
    serve_by(host, &options);
    for (int round = 0; round < 2; round++) {
        assert_status(ask_kid(host, 1, "one"), JWT_OK);
        pass(host, HOUR);
        reply_with(host, 200, "{\"keys\":[]}", NULL, NULL);
        poll_cache(host);
    }
    assert_int_not_equal(ask_kid(host, 1, "one"), JWT_OK); /* repeated once, for no time */
}

static void answer_dated(struct host *host, unsigned key, const char *kid, const char *date)
{
    char *set = set_of(key, kid);
    jwks_response response = JWKS_RESPONSE_INIT;
    response.http_status = 200;
    response.body = span_of(set);
    response.date = span_of(date);
    reply(host, &response);
    poll_cache(host);
    free(set);
}

static void a_regression_is_as_large_as_it_is_told(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    options.regression_ms = 60000;
    add(host, &options);
    poll_cache(host);
    answer_dated(host, 1, "one", "Sat, 14 Nov 2026 12:01:00 GMT");
    pass(host, HOUR);
    answer_dated(host, 2, "two", "Sat, 14 Nov 2026 12:00:00 GMT");
    assert_status(ask_kid(host, 2, "two"), JWT_OK); /* a minute is borne */
    pass(host, HOUR);
    answer_dated(host, 1, "one", "Sat, 14 Nov 2026 11:58:59 GMT");
    assert_status(ask_kid(host, 2, "two"), JWT_OK); /* more is not */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOST(every_bound_has_its_range),
        WITH_HOST(bounds_that_contradict_each_other_are_refused),
        WITH_HOST(a_bound_lowers_the_defaults_of_others),
        WITH_HOST(a_cache_has_its_number_of_fetches),
        WITH_HOST(backoff_is_as_long_as_it_is_told),
        WITH_HOST(retry_after_is_bounded),
        WITH_HOST(demand_has_its_burst_and_interval),
        WITH_HOST(the_total_has_its_burst_and_what_is_kept_of_it),
        WITH_HOST(operators_have_their_burst),
        WITH_HOST(an_issuer_is_idle_after_its_own_time),
        WITH_HOST(discovery_is_asked_again_after_its_own_time),
        WITH_HOST(an_emptied_set_is_held_for_its_own_time),
        WITH_HOST(a_regression_is_as_large_as_it_is_told),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
