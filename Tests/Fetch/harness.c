#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

jwks_fetcher fetcher;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;

int64_t stretched(int64_t milliseconds)
{
    const char *slack = getenv("KEYTURN_TEST_SLACK");
    return milliseconds * (slack ? atoi(slack) : 1);
}

const char *told(const char *name)
{
    const char *value = getenv(name);
    if (!value)
        fail_msg("%s is not set: run under Tests/Issuer/faults.py", name);
    return value;
}

int make_fetcher(void **state)
{
    (void)state;
    fetcher = (jwks_fetcher){ .size = sizeof fetcher };
    return keyturn_fetch_new(complete, &fetcher, NULL) == JWT_OK ? 0 : -1;
}

int stop_fetcher(void **state)
{
    (void)state;
    keyturn_fetch_stop(&fetcher);
    return 0;
}

static keyturn_span copy(keyturn_span span)
{
    char *text = calloc(1, span.len + 1);
    assert_non_null(text);
    if (span.len > 0)
        memcpy(text, span.data, span.len);
    return (keyturn_span){ text, span.len };
}

static keyturn_span *spans(jwks_response *response)
{
    return &response->body;
}

enum { SPANS = 8 };

void complete(jwks_fetch *fetch, const jwks_response *response)
{
    pthread_mutex_lock(&lock);
    if (fetch->completions++ == 0) {
        fetch->response = *response;
        for (int i = 0; i < SPANS; i++)
            spans(&fetch->response)[i] = copy(spans(&fetch->response)[i]);
        fetch->ended = now();
    }
    void (*then)(jwks_fetch *) = fetch->then;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    if (then)
        then(fetch);
}

jwks_fetch *new_fetch(const char *server, const char *path)
{
    jwks_fetch *fetch = calloc(1, sizeof *fetch);
    assert_non_null(fetch);
    snprintf(fetch->url, sizeof fetch->url, "%s%s", told(server), path);
    fetch->request = (jwks_request){
        .size = sizeof fetch->request,
        .url = fetch->url,
        .ca_file = told("FAULTS_CA"),
        .connect_timeout_ms = (uint32_t)stretched(2000),
        .timeout_ms = (uint32_t)stretched(3000),
        .max_body = 10000,
        .allow_http = 1,
    };
    return fetch;
}

void free_fetch(jwks_fetch *fetch)
{
    for (int i = 0; i < SPANS; i++)
        free((void *)spans(&fetch->response)[i].data);
    free(fetch);
}

void start(jwks_fetch *fetch)
{
    fetch->started = now();
    fetcher.start(fetcher.context, fetch, &fetch->request);
}

void cancel(jwks_fetch *fetch)
{
    fetcher.cancel(fetcher.context, fetch);
}

int is_completed(jwks_fetch *fetch)
{
    pthread_mutex_lock(&lock);
    int completions = fetch->completions;
    pthread_mutex_unlock(&lock);
    return completions > 0;
}

void await(jwks_fetch *fetch)
{
    struct timespec latest;
    clock_gettime(CLOCK_REALTIME, &latest);
    latest.tv_sec += 30;
    int error = 0;
    pthread_mutex_lock(&lock);
    while (fetch->completions == 0 && error == 0)
        error = pthread_cond_timedwait(&ended, &lock, &latest);
    pthread_mutex_unlock(&lock);
    if (error)
        fail_msg("never completed: %s", fetch->url);
}

void run(jwks_fetch *fetch)
{
    start(fetch);
    await(fetch);
}

void assert_ended_at(jwks_fetch *fetch, jwks_fetch_failure failure, const char *file, int line)
{
    if (fetch->response.failure != failure || fetch->completions != 1)
        print_error("%s ended as %d, %d times\n", fetch->url, (int)fetch->response.failure,
                    fetch->completions);
    _assert_int_equal(fetch->response.failure, failure, file, line);
    _assert_int_equal(fetch->completions, 1, file, line);
    if (failure != JWKS_FETCH_ANSWERED)
        for (int i = 0; i < SPANS; i++)
            _assert_int_equal(spans(&fetch->response)[i].len, 0, file, line);
}

void assert_failure(const char *server, const char *path, jwks_fetch_failure failure)
{
    jwks_fetch *fetch = new_fetch(server, path);
    run(fetch);
    assert_ended(fetch, failure);
    free_fetch(fetch);
}
