/* A child's keys, from its start to its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each child has a cache of its own, made when it starts: so it has what the store holds at that moment, and no file in the
 * store is ever the parent's. What cannot be set up closes the sections that need it (503), and no others: a child that
 * gave up here would have the server start another, again and again. */
#include "mod_keyturn.h"

#include "ap_mpm.h"
#include "apr_thread_cond.h"
#include "apr_thread_proc.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

APLOG_USE_MODULE(keyturn);

enum { MOST_IDLE = 256, NEWS_MS = 1000 };

static void said(server_rec *server, const char *what, const jwks_error *error)
{
    ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server, "keyturn: %s: %s%s%s", what, error->option,
                 error->option[0] ? ": " : "", error->message);
}

/* ---- What the configuration asks for, once more and for good ------------------------------------------- */

static jwt_status make_cache(server_rec *server, keyturn_main *main)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = adapter_cache_new(&main->cache, &main->keys, &error);
    if (error.message[0])
        said(server, "the store cannot be used, and keys do not outlive this child", &error);
    return status;
}

static void add_issuers(server_rec *server, keyturn_main *main)
{
    for (int i = 0; i < main->issuers->nelts; i++) {
        keyturn_issuer *issuer = APR_ARRAY_IDX(main->issuers, i, keyturn_issuer *);
        jwks_error error = JWKS_ERROR_INIT;
        if (jwks_cache_add_issuer(main->keys, &issuer->options, &issuer->handle, &error) != JWT_OK) {
            issuer->handle = NULL;
            said(server, issuer->options.issuer, &error);
        }
    }
}

static void make_policy(server_rec *server, keyturn_main *main, keyturn_policy *policy)
{
    jwks_error error = JWKS_ERROR_INIT;
    size_t count = 0;
    for (size_t i = 0; i < policy->count; i++)
        if (policy->issuers[i]->handle)
            policy->handles[count++] = policy->issuers[i]->handle;
    policy->options.issuer_count = count;
    if (jwt_policy_new(main->keys, &policy->options, &policy->handle, &error) != JWT_OK) {
        policy->handle = NULL;
        said(server, "a section is closed", &error);
    }
}

static void release_all(keyturn_main *main)
{
    for (int i = 0; i < main->policies->nelts; i++)
        jwt_policy_release(APR_ARRAY_IDX(main->policies, i, keyturn_policy *)->handle);
    for (int i = 0; i < main->issuers->nelts; i++)
        jwks_issuer_release(APR_ARRAY_IDX(main->issuers, i, keyturn_issuer *)->handle);
    for (int i = 0; i < main->idle->nelts; i++)
        jwt_result_release(APR_ARRAY_IDX(main->idle, i, jwt_result *));
    main->idle->nelts = 0;
    jwks_cache_release(main->keys);
    main->keys = NULL;
}

/* ---- News ------------------------------------------------------------------------------------------------ */

/* A thread that logs what becomes of keys. */
typedef struct keyturn_news {
    apr_pool_t *pool; /* that ends with it: what a thread waits for may not go before */
    server_rec *server;
    jwks_cache *keys;
    apr_thread_t *thread;
    apr_thread_mutex_t *guard;
    apr_thread_cond_t *change;
    int is_over;
} keyturn_news;

static int level_of(jwks_event_kind kind)
{
    static const int levels[] = {
        [ADAPTER_NOTICE] = APLOG_NOTICE, [ADAPTER_WARNING] = APLOG_WARNING, [ADAPTER_ERROR] = APLOG_ERR
    };
    return levels[adapter_gravity_of(kind)];
}

static void tell_news(const keyturn_news *news)
{
    jwks_event event = JWKS_EVENT_INIT;
    while (jwks_event_next(news->keys, &event))
        ap_log_error(APLOG_MARK, level_of(event.kind), 0, news->server,
                     "keyturn: %s issuer=\"%s\" count=%" APR_UINT64_T_FMT " removed=%" APR_UINT64_T_FMT
                     " reason=%u",
                     event.name, event.issuer, (apr_uint64_t)event.count, (apr_uint64_t)event.removed,
                     (unsigned)event.reason);
}

static void *APR_THREAD_FUNC listen_for_news(apr_thread_t *thread, void *data)
{
    keyturn_news *news = data;
    apr_thread_mutex_lock(news->guard);
    while (!news->is_over) {
        tell_news(news);
        apr_thread_cond_timedwait(news->change, news->guard, apr_time_from_msec(NEWS_MS));
    }
    apr_thread_mutex_unlock(news->guard);
    return NULL;
}

/* Signals are the server's own threads' to take: in prefork, the handler would else end the child in ours. */
static apr_status_t start_thread(keyturn_news *news)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    apr_status_t started = apr_thread_create(&news->thread, NULL, listen_for_news, news, news->pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static apr_status_t start_news(keyturn_news *news)
{
    apr_status_t made = apr_thread_mutex_create(&news->guard, APR_THREAD_MUTEX_DEFAULT, news->pool);
    if (made == APR_SUCCESS)
        made = apr_thread_cond_create(&news->change, news->pool);
    return made == APR_SUCCESS ? start_thread(news) : made;
}

static void begin_news(server_rec *server, keyturn_main *main)
{
    apr_pool_t *pool;
    if (apr_pool_create(&pool, NULL) != APR_SUCCESS)
        return;
    keyturn_news *news = apr_pcalloc(pool, sizeof *news);
    *news = (keyturn_news){ .pool = pool, .server = server, .keys = main->keys };
    apr_status_t started = start_news(news);
    if (started == APR_SUCCESS)
        main->news = news;
    else
        ap_log_error(APLOG_MARK, APLOG_ERR, started, server, "keyturn: what becomes of keys is not logged");
}

static void end_news(keyturn_main *main)
{
    apr_status_t ended;
    if (main->news == NULL)
        return;
    apr_thread_mutex_lock(main->news->guard);
    main->news->is_over = 1;
    apr_thread_cond_signal(main->news->change);
    apr_thread_mutex_unlock(main->news->guard);
    apr_thread_join(&ended, main->news->thread);
    apr_pool_destroy(main->news->pool);
    main->news = NULL;
}

/* ---- Begin and end ------------------------------------------------------------------------------------------ */

/* prefork ends a child out of a signal handler, whatever the child is doing at that moment. */
static int is_in_handler(void)
{
    int is_threaded = AP_MPMQ_NOT_SUPPORTED;
    sigset_t blocked;
    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &is_threaded) != APR_SUCCESS ||
        is_threaded != AP_MPMQ_NOT_SUPPORTED)
        return 0;
    return pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0 &&
           (sigismember(&blocked, SIGTERM) || sigismember(&blocked, SIGHUP));
}

static apr_status_t end_child(void *data)
{
    keyturn_main *main = data;
    main->is_left = is_in_handler();
    if (main->keys == NULL || main->is_left)
        return APR_SUCCESS;
    jwks_cache_stop(main->keys);
    end_news(main);
    release_all(main);
    return APR_SUCCESS;
}

/* Threads that could not be ended may not outlive exit(), which takes libcrypto down under them. */
static void leave(int status, void *data)
{
    if (keyturn_configured && keyturn_configured->keys)
        _exit(status);
}

static int is_one_process(void)
{
    return ap_exists_config_define("ONE_PROCESS") || ap_exists_config_define("DEBUG");
}

void keyturn_begin_child(apr_pool_t *pool, server_rec *server)
{
    keyturn_main *main = keyturn_configured;
    jwks_error error = JWKS_ERROR_INIT;
    if (main->issuers->nelts == 0)
        return;
    main->idle = apr_array_make(pool, MOST_IDLE, sizeof(jwt_result *));
    if (apr_thread_mutex_create(&main->guard, APR_THREAD_MUTEX_DEFAULT, pool) != APR_SUCCESS ||
        make_cache(server, main) != JWT_OK) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server, "keyturn: there is no memory for keys");
        return;
    }
    add_issuers(server, main);
    for (int i = 0; i < main->policies->nelts; i++)
        make_policy(server, main, APR_ARRAY_IDX(main->policies, i, keyturn_policy *));
    if (jwks_cache_start(main->keys, &error) != JWT_OK)
        said(server, "keys are not refreshed", &error);
    begin_news(server, main);
    apr_pool_pre_cleanup_register(pool, main, end_child); /* before the pools of its threads go */
    if (!is_one_process())                                /* which unloads this module before it leaves */
        on_exit(leave, NULL);
}

/* Requests that wait for a fetch, where the server will not wait for them. */
void keyturn_hurry_child(apr_pool_t *pool, int graceful)
{
    keyturn_main *main = keyturn_configured;
    if (!graceful && main && main->keys && !is_in_handler())
        jwks_cache_stop(main->keys);
}

/* ---- Results -------------------------------------------------------------------------------------------------- */

jwt_result *keyturn_take_result(void)
{
    keyturn_main *main = keyturn_configured;
    jwt_result *result = NULL;
    apr_thread_mutex_lock(main->guard);
    if (main->idle->nelts > 0)
        result = *(jwt_result **)apr_array_pop(main->idle);
    apr_thread_mutex_unlock(main->guard);
    if (result || jwt_result_new(&result) == JWT_OK)
        return result;
    return NULL;
}

void keyturn_give_result(jwt_result *result)
{
    keyturn_main *main = keyturn_configured;
    if (main->is_left)
        return;
    (void)jwt_verify(NULL, "", 0, result); /* it forgets whose it was */
    apr_thread_mutex_lock(main->guard);
    int is_kept = main->keys && main->idle->nelts < MOST_IDLE;
    if (is_kept)
        APR_ARRAY_PUSH(main->idle, jwt_result *) = result;
    apr_thread_mutex_unlock(main->guard);
    if (!is_kept)
        jwt_result_release(result);
}
