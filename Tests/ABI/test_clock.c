/* A steady clock that for a while does not know the time: whatever is done meanwhile, the schedule goes on when it is
 * back, and nothing is served for longer. */
#include "staging.h"

static struct {
    _Atomic int64_t now;
    _Atomic int left,
        readings; /* how often it still knows the time: negative for always; how often it was asked */
} timepiece;

static int64_t tell_time(void *context)
{
    (void)context;
    timepiece.readings++;
    if (timepiece.left == 0)
        return INT64_MAX;
    if (timepiece.left > 0)
        timepiece.left--;
    return timepiece.now;
}

static int make_timepiece(void **state)
{
    make_stage(state);
    struct host *host = *state;
    jwks_cache_options options = stage_options(host);
    options.monotonic = tell_time;
    timepiece.now = host->now;
    timepiece.left = -1;
    use_cache(host, &options);
    return 0;
}
#define WITH_TIMEPIECE(test) cmocka_unit_test_setup_teardown(test, make_timepiece, end_stage)

/* As a host would: polling when it is told to, until there is a fetch. */
static void go_on(struct host *host, int64_t ms)
{
    int64_t end = timepiece.now + ms;
    size_t before = host->starts;
    for (;;) {
        uint32_t next = poll_cache(host);
        if (host->starts != before || timepiece.now >= end)
            return;
        timepiece.now = next < (uint64_t)(end - timepiece.now) ? timepiece.now + (next ? next : 1) : end;
    }
}

/* ---- Polled */

static void poll_once(struct host *host)
{
    poll_cache(host);
}

static void poll_when_due(struct host *host)
{
    timepiece.now += 5 * MINUTE;
    poll_cache(host);
}

static void answer_all(struct host *host)
{
    while (host->under_way > 0)
        reply_key(host, 1, "one");
    poll_cache(host);
}

static void poll_an_answer(struct host *host)
{
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
    poll_cache(host);
    answer_all(host);
}

static void load_keys(struct host *host)
{
    load_key(host->issuer, 1, "one");
}

static void ask_by_hand(struct host *host)
{
    assert_status(jwks_issuer_refresh(host->issuer), JWT_OK);
}

static void ask_for_another_kid(struct host *host)
{
    ask_kid(host, 2, "two");
    poll_cache(host);
}

static void add_another(struct host *host)
{
    jwks_issuer_options options = by_url();
    jwks_issuer *other = NULL;
    options.issuer = "https://another.example";
    assert_status(jwks_cache_add_issuer(host->cache, &options, &other, NULL), JWT_OK);
    assert_status(jwks_issuer_remove(other), JWT_OK);
    jwks_issuer_release(other);
}

static const struct {
    const char *name;
    void (*act)(struct host *host);
} acts[] = {
    { "poll", poll_once },          { "poll, something being due", poll_when_due },
    { "fetch", poll_an_answer },    { "load", load_keys },
    { "refresh", ask_by_hand },     { "unknown kid", ask_for_another_kid },
    { "add, remove", add_another },
};

/* The keys are fetched again before they are stale, and again. */
static void assert_goes_on(struct host *host, const char *name, int left)
{
    for (int round = 0; round < 3; round++) {
        size_t before = host->starts;
        answer_all(host);
        go_on(host, 5 * MINUTE);
        if (host->starts == before || host->under_way == 0)
            fail_msg("%s: nothing is fetched any more when the clock fails after %d readings", name, left);
    }
    answer_all(host);
    assert_status(ask_kid(host, 1, "one"), JWT_OK);
    timepiece.now += 25 * HOUR; /* the hard limit */
    assert_status(ask_kid(host, 1, "one"), JWKS_KEYS_UNAVAILABLE);
}

/* How often the clock was asked while it knew the time. */
static int fail_after(void **state, size_t which, int left)
{
    assert_int_equal(make_timepiece(state), 0);
    struct host *host = *state;
    serve(host);
    timepiece.readings = 0;
    timepiece.left = left;
    acts[which].act(host);
    int readings = timepiece.readings;
    timepiece.left = -1;
    assert_goes_on(host, acts[which].name, left);
    end_stage(state);
    return readings;
}

/* At every reading of every act. */
static void whenever_the_clock_fails_the_schedule_goes_on(void **unused)
{
    int moments = 0;
    (void)unused;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        void *state = NULL;
        int left = 0;
        while (fail_after(&state, i, left) > left)
            left++;
        assert_true(left > 0);
        moments += left;
    }
    assert_true(moments > 20);
}

static void what_is_added_meanwhile_is_fetched_when_the_clock_is_back(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    timepiece.left = 0;
    add(host, &options);
    poll_cache(host);
    timepiece.left = -1;
    if (host->starts == 0)
        go_on(host, MINUTE);
    assert_int_equal(host->under_way, 1);
    assert_goes_on(host, "the first", 0);
}

/* ---- Started */

static void a_start_meanwhile_is_a_start(void **state)
{
    struct host *host = *state;
    jwks_issuer_options options = by_url();
    add(host, &options);
    timepiece.left = 0;
    assert_status(jwks_cache_start(host->cache, NULL), JWT_OK);
    assert_status(jwks_cache_poll(host->cache, NULL), JWT_OK);
    timepiece.left = -1;
    assert_status(jwks_cache_poll(host->cache, NULL), JWT_OK); /* wakes it */
    await_starts(host, 1);
    answer_key(host, 1, "one");
    await_kid(host, 1, "one");
    for (size_t starts = 2; starts < 5; starts++) {
        timepiece.now += 5 * MINUTE;
        assert_status(jwks_cache_poll(host->cache, NULL), JWT_OK);
        await_starts(host, starts);
        answer_key(host, (unsigned)starts, "one");
        await_kid(host, (unsigned)starts, "one");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whenever_the_clock_fails_the_schedule_goes_on),
        WITH_TIMEPIECE(what_is_added_meanwhile_is_fetched_when_the_clock_is_back),
        WITH_TIMEPIECE(a_start_meanwhile_is_a_start),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
