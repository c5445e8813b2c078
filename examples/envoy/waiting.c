/* Streams that wait for a fetch.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each of Envoy's threads has a loop of the library's, and a bell beside it with the streams that are parked there.
 * When waiters have woken, the library calls the bell in a thread of its own, which can reach a thread of Envoy's
 * through a stream alone: the bell rings at the first stream that is parked. That one hears for all of them, takes the
 * woken ones out of the loop, and has each come back by itself. A stream that goes before it has heard passes the
 * ringing on to the next, so that no wake is lost; once none is parked nobody is left to be woken. */
#include "keyturn_envoy.h"

#include <stdlib.h>
#include <time.h>

enum { RUNG = 1, WOKEN = 2 };

struct keyturn_bell {
    keyturn_keys *keys;
    pthread_t thread;
    jwks_loop *loop;
    keyturn_stream *first; /* this and the next under the lock of the keys, which any thread may take */
    keyturn_stream *rung;
    keyturn_bell *next;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Bells ------------------------------------------------------------------------------------------- */

/* Under the lock, under which no stream leaves: its thread is there to hear. */
static void ring_at_first(keyturn_bell *bell)
{
    bell->rung = bell->first;
    if (bell->rung)
        envoy_schedule(bell->rung->scheduler, RUNG);
}

static void ring(void *context)
{
    keyturn_bell *bell = context;
    pthread_mutex_lock(&bell->keys->lock);
    ring_at_first(bell);
    pthread_mutex_unlock(&bell->keys->lock);
}

static keyturn_bell *make_bell(keyturn_keys *keys)
{
    keyturn_bell *bell = calloc(1, sizeof *bell);
    jwks_loop_options options = JWKS_LOOP_OPTIONS_INIT;
    options.notify = ring;
    options.context = bell;
    if (bell == NULL || jwks_loop_new(keys->cache, &options, &bell->loop) != JWT_OK) {
        free(bell);
        return NULL;
    }
    bell->keys = keys;
    bell->thread = pthread_self();
    pthread_mutex_lock(&keys->lock);
    bell->next = keys->bells;
    keys->bells = bell;
    pthread_mutex_unlock(&keys->lock);
    return bell;
}

/* This thread's. */
static keyturn_bell *bell_of(keyturn_keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    keyturn_bell *bell = keys->bells;
    while (bell && !pthread_equal(bell->thread, pthread_self()))
        bell = bell->next;
    pthread_mutex_unlock(&keys->lock);
    return bell ? bell : make_bell(keys);
}

void keyturn_bells_free(keyturn_keys *keys)
{
    while (keys->bells) {
        keyturn_bell *bell = keys->bells;
        keys->bells = bell->next;
        jwks_loop_release(bell->loop);
        free(bell);
    }
}

/* ---- Streams ------------------------------------------------------------------------------------------ */

static void sit(keyturn_stream *of, keyturn_bell *bell)
{
    pthread_mutex_lock(&bell->keys->lock);
    of->bell = bell;
    of->woken = 0;
    of->previous = NULL;
    of->next = bell->first;
    if (of->next)
        of->next->previous = of;
    bell->first = of;
    pthread_mutex_unlock(&bell->keys->lock);
}

static void rise(keyturn_stream *of)
{
    keyturn_bell *bell = of->bell;
    pthread_mutex_lock(&bell->keys->lock);
    if (of->previous)
        of->previous->next = of->next;
    else
        bell->first = of->next;
    if (of->next)
        of->next->previous = of->previous;
    if (bell->rung == of)
        ring_at_first(bell);
    pthread_mutex_unlock(&bell->keys->lock);
    of->bell = NULL;
}

jwt_status keyturn_park(keyturn_stream *of, const jwt_result *pending)
{
    keyturn_bell *bell = bell_of(of->filter->keys);
    if (of->scheduler == NULL)
        of->scheduler = envoy_scheduler_new(of->envoy);
    if (bell == NULL || of->scheduler == NULL)
        return JWKS_NO_MEMORY;
    sit(of, bell);
    jwt_status status = jwt_wait(pending, bell->loop, of, &of->waiter);
    if (status != JWT_OK) {
        rise(of);
        return status;
    }
    of->since_ms = now_ms();
    of->waits++;
    envoy_count(of->envoy, of->filter->parkings, NULL, 0, 1);
    envoy_raise(of->envoy, of->filter->waiters, NULL, 0, 1);
    return JWT_OK;
}

void keyturn_unpark(keyturn_stream *of)
{
    if (of->waiter == NULL)
        return;
    jwt_wait_cancel(of->waiter);
    of->waiter = NULL;
    rise(of);
    of->waited_ms += now_ms() - of->since_ms;
    envoy_lower(of->envoy, of->filter->waiters, NULL, 0, 1);
}

/* `of` hears for all. They come back each in an event of its own: to go on may end a stream, and others with it. */
static void wake_all(keyturn_stream *of)
{
    keyturn_bell *bell = of->bell;
    keyturn_stream *woken;
    pthread_mutex_lock(&bell->keys->lock);
    if (bell->rung == of)
        bell->rung = NULL;
    pthread_mutex_unlock(&bell->keys->lock);
    while ((woken = jwks_loop_next(bell->loop))) {
        woken->woken = 1;
        if (woken != of)
            envoy_schedule(woken->scheduler, WOKEN);
    }
}

void keyturn_hear(keyturn_stream *of)
{
    if (of->waiter == NULL) /* it has gone on meanwhile, and has passed the ringing on */
        return;
    wake_all(of);
    if (of->woken)
        keyturn_resume(of);
}
