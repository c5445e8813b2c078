/* A resolver that never answers, in namespaces of the test's own: neither a fetch nor a stop waits for it. */
#include "harness.h"
#include "namespaces.h"

#include <stdio.h>
#include <sys/socket.h>

enum { HANGING = 20 };

/* How many look-ups have come, none of which is answered. */
static int silent;

static int questions(void)
{
    char octets[512];
    int count = 0;
    while (recv(silent, octets, sizeof octets, MSG_DONTWAIT) > 0)
        count++;
    return count;
}

static void await_questions(int least)
{
    int64_t latest = now() + stretched(2000);
    int count = 0;
    while ((count += questions()) < least && now() < latest)
        pause_for(10);
    assert_true(count >= least);
}

static jwks_fetch *new_unresolved(void)
{
    static int number;
    jwks_fetch *fetch = new_fetch("FAULTS_CA", ""); /* the server is not in this namespace */
    snprintf(fetch->url, sizeof fetch->url, "https://silent%d.example/", number++);
    return fetch;
}

static void a_look_up_has_the_time_of_connecting(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_unresolved();
    fetch->request.connect_timeout_ms = (uint32_t)stretched(300);
    run(fetch);
    assert_ended(fetch, JWKS_FETCH_TIMEOUT);
    assert_took(fetch, 290, 1300);
    assert_true(questions() > 0);
    free_fetch(fetch);
}

static void a_look_up_is_cancelled(void **state)
{
    (void)state;
    jwks_fetch *fetch = new_unresolved();
    start(fetch);
    await_questions(1);
    cancel(fetch);
    await(fetch);
    assert_ended(fetch, JWKS_FETCH_CANCELLED);
    assert_took(fetch, 0, 700);
    free_fetch(fetch);
}

static void a_stop_does_not_wait_for_look_ups(void **state)
{
    (void)state;
    jwks_fetch *fetches[HANGING];
    assert_int_equal(make_fetcher(NULL), 0);
    for (int i = 0; i < HANGING; i++) {
        fetches[i] = new_unresolved();
        start(fetches[i]);
    }
    await_questions(HANGING);
    int64_t began = now();
    keyturn_fetch_stop(&fetcher);
    assert_in_range(now() - began, 0, stretched(1000) - 1);
    for (int i = 0; i < HANGING; i++) {
        assert_ended(fetches[i], JWKS_FETCH_CANCELLED);
        free_fetch(fetches[i]);
    }
}

int main(void)
{
    enter_namespaces();
    silent = resolve_with_the_silent(NULL);
    const struct CMUnitTest tests[] = {
        WITH_FETCHER(a_look_up_has_the_time_of_connecting),
        WITH_FETCHER(a_look_up_is_cancelled),
        cmocka_unit_test(a_stop_does_not_wait_for_look_ups),
    };
    cmocka_set_test_filter(getenv("KEYTURN_TEST_ONLY")); /* for the mutants */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
