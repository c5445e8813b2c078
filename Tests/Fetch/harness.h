/* What stands in for the engine: fetches that are started, waited for and looked at. */
#ifndef HARNESS_H
#define HARNESS_H

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <keyturn_fetch.h>

/* A fetch, and a copy of how it ended. */
struct jwks_fetch {
    jwks_request request;
    char url[2048];
    int completions;
    int64_t started, ended;                 /* milliseconds */
    jwks_response response;                 /* its spans are copies, NUL-terminated */
    void (*then)(struct jwks_fetch *fetch); /* called in the completion */
};

extern jwks_fetcher fetcher;
int make_fetcher(void **state);
int stop_fetcher(void **state);
#define WITH_FETCHER(test) cmocka_unit_test_setup_teardown(test, make_fetcher, stop_fetcher)

/* The completion that fetchers are made with. */
void complete(jwks_fetch *fetch, const jwks_response *response);

/* A request for `path` at the server that the environment names; http is allowed, and the authority trusted.
 * Short times, so that a test that waits for one does not take long. */
jwks_fetch *new_fetch(const char *server, const char *path);
void free_fetch(jwks_fetch *fetch);

void start(jwks_fetch *fetch);
void cancel(jwks_fetch *fetch);
/* Until it is completed; the test fails if that takes beyond every bound. */
void await(jwks_fetch *fetch);
int is_completed(jwks_fetch *fetch);
void run(jwks_fetch *fetch); /* start, await */

/* Made, run and looked at in one: */
void assert_failure(const char *server, const char *path, jwks_fetch_failure failure);
#define assert_ended(fetch, failure) assert_ended_at(fetch, failure, __FILE__, __LINE__)
void assert_ended_at(jwks_fetch *fetch, jwks_fetch_failure failure, const char *file, int line);
#define assert_text(span, expected) assert_string_equal((span).data ? (span).data : "", expected)
/* That it took at least and at most so many milliseconds; the most is stretched by KEYTURN_TEST_SLACK. */
#define assert_took(fetch, least, most)                                                                      \
    assert_in_range((fetch)->ended - (fetch)->started, least, stretched(most))
int64_t stretched(int64_t milliseconds);

const char *told(const char *name); /* by the environment */

#endif
