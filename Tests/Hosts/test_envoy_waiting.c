/* How streams of Envoy are parked and woken (examples/envoy/waiting.c), with an Envoy that does nothing by itself: events
 * are delivered when the test says so, so that streams may go at every moment in between. */
#include "fetching.h"

#include "../../examples/envoy/keyturn_envoy.h"

enum { STREAMS = 4 };

/* ---- An Envoy that keeps what it is asked for ------------------------------------------------- */

static struct {
    keyturn_stream *streams[MOST];
    size_t count, resumed;
    int parked;
    keyturn_stream *last;
} envoy;

static struct host *host;
static keyturn_keys keys;
static keyturn_filter filter = { .keys = &keys };
static keyturn_stream streams[STREAMS];

void *envoy_scheduler_new(void *stream)
{
    return stream;
}

void envoy_schedule(void *scheduler, uint64_t event)
{
    (void)event;
    assert_true(envoy.count < MOST);
    envoy.streams[envoy.count++] = scheduler;
}

int envoy_count(void *stream, size_t id, const envoy_text *labels, size_t count, uint64_t value)
{
    (void)stream, (void)id, (void)labels, (void)count, (void)value;
    return 0;
}

int envoy_raise(void *stream, size_t id, const envoy_text *labels, size_t count, uint64_t value)
{
    (void)stream, (void)id, (void)labels, (void)count;
    envoy.parked += (int)value;
    return 0;
}

int envoy_lower(void *stream, size_t id, const envoy_text *labels, size_t count, uint64_t value)
{
    (void)stream, (void)id, (void)labels, (void)count;
    envoy.parked -= (int)value;
    return 0;
}

void keyturn_resume(keyturn_stream *of)
{
    envoy.resumed++;
    envoy.last = of;
    keyturn_unpark(of);
}

/* The oldest event, to its stream. */
static void deliver(void)
{
    assert_true(envoy.count > 0);
    keyturn_stream *of = envoy.streams[0];
    memmove(envoy.streams, envoy.streams + 1, --envoy.count * sizeof *envoy.streams);
    keyturn_hear(of);
}

static void deliver_all(void)
{
    while (envoy.count > 0)
        deliver();
}

/* The stream ends: Envoy delivers nothing to it any more. */
static void go(keyturn_stream *of)
{
    keyturn_unpark(of);
    size_t left = 0;
    for (size_t i = 0; i < envoy.count; i++)
        if (envoy.streams[i] != of)
            envoy.streams[left++] = envoy.streams[i];
    envoy.count = left;
}

/* ---- Streams that are parked -------------------------------------------------------------------- */

static int begin(void **state)
{
    make_host(state);
    host = *state;
    serve(host);
    memset(&envoy, 0, sizeof envoy);
    memset(streams, 0, sizeof streams);
    memset(&keys, 0, sizeof keys);
    keys.cache = host->cache;
    pthread_mutex_init(&keys.lock, NULL);
    for (size_t i = 0; i < STREAMS; i++) {
        streams[i].filter = &filter;
        streams[i].envoy = &streams[i];
        assert_status(ask_kid(host, 2, "two"), JWKS_PENDING);
        assert_status(keyturn_park(&streams[i], host->result), JWT_OK);
    }
    assert_int_equal(envoy.parked, STREAMS);
    deliver_all(); /* that the host has to poll, which Envoy's never has to */
    poll_cache(host);
    assert_int_equal(envoy.count, 0);
    return 0;
}

static int end(void **state)
{
    assert_int_equal(envoy.parked, 0);
    assert_int_equal(envoy.count, 0);
    keyturn_bells_free(&keys);
    pthread_mutex_destroy(&keys.lock);
    return end_host(state);
}

/* The flight ends, and one stream is told of it: that one. */
static keyturn_stream *rung(void)
{
    reply_key(host, 2, "two");
    poll_cache(host);
    assert_int_equal(envoy.count, 1);
    assert_int_equal(envoy.resumed, 0);
    return envoy.streams[0];
}

static void all_come_back_each_by_itself(void **state)
{
    (void)state;
    keyturn_stream *first = rung();
    deliver();
    assert_int_equal(envoy.resumed, 1);
    assert_ptr_equal(envoy.last, first);
    assert_int_equal(envoy.count, STREAMS - 1);
    deliver_all();
    assert_int_equal(envoy.resumed, STREAMS);
}

static void who_goes_passes_the_ringing_on(void **state)
{
    (void)state;
    for (size_t left = STREAMS - 1; left > 0; left--) {
        go(left == STREAMS - 1 ? rung() : envoy.streams[0]);
        assert_int_equal(envoy.count, 1);
        assert_int_equal(envoy.parked, left);
    }
    deliver_all();
    assert_int_equal(envoy.resumed, 1);
}

static void who_goes_as_the_last_leaves_nobody_to_be_told(void **state)
{
    (void)state;
    keyturn_stream *last = rung();
    for (size_t i = 0; i < STREAMS; i++)
        if (&streams[i] != last)
            go(&streams[i]);
    go(last);
}

static void who_was_woken_may_go_before_it_comes_back(void **state)
{
    (void)state;
    (void)rung();
    deliver();
    while (envoy.count > 1)
        go(envoy.streams[envoy.count - 1]);
    deliver_all();
    assert_int_equal(envoy.resumed, 2);
}

static void an_event_that_comes_late_does_nothing(void **state)
{
    (void)state;
    keyturn_stream *first = rung();
    deliver();
    keyturn_hear(first);
    deliver_all();
    for (size_t i = 0; i < STREAMS; i++)
        keyturn_hear(&streams[i]);
    assert_int_equal(envoy.resumed, STREAMS);
}

static void who_has_come_back_may_be_parked_again(void **state)
{
    (void)state;
    (void)rung();
    deliver_all();
    pass(host, 2 * MINUTE);
    assert_status(ask_kid(host, 3, "three"), JWKS_PENDING);
    assert_status(keyturn_park(&streams[0], host->result), JWT_OK);
    deliver_all();
    poll_cache(host);
    assert_int_equal(envoy.resumed, STREAMS);
    reply_key(host, 3, "three");
    poll_cache(host);
    deliver_all();
    assert_int_equal(envoy.resumed, STREAMS + 1);
    assert_ptr_equal(envoy.last, &streams[0]);
    assert_int_equal(streams[0].waits, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_come_back_each_by_itself, begin, end),
        cmocka_unit_test_setup_teardown(who_goes_passes_the_ringing_on, begin, end),
        cmocka_unit_test_setup_teardown(who_goes_as_the_last_leaves_nobody_to_be_told, begin, end),
        cmocka_unit_test_setup_teardown(who_was_woken_may_go_before_it_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(an_event_that_comes_late_does_nothing, begin, end),
        cmocka_unit_test_setup_teardown(who_has_come_back_may_be_parked_again, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
