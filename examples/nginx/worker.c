/* A worker's keys, from its start to its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each worker has a cache of its own, made when it starts: so it has what the store holds at that moment, also when it takes
 * the place of one that has died, and no file in the store is ever the master's. What cannot be set up closes the
 * locations that need it (503), and no others: a worker that gave up here would not be started again. */
#include "ngx_http_keyturn.h"

enum { IDLE_RESULTS = 64, NEWS_MS = 1000 };

static void said(ngx_cycle_t *cycle, const char *what, const jwks_error *error)
{
    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "keyturn: %s: %s%s%s", what, error->option,
                  error->option[0] ? ": " : "", error->message);
}

/* ---- What the configuration asks for, once more and for good ----------------------------------- */

static jwt_status make_cache(ngx_cycle_t *cycle, keyturn_main *main)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = adapter_cache_new(&main->cache, &main->keys, &error);
    if (error.message[0])
        said(cycle, "the store cannot be used, and keys do not outlive this worker", &error);
    return status;
}

static void add_issuers(ngx_cycle_t *cycle, keyturn_main *main)
{
    keyturn_issuer *issuer = main->issuers.elts;
    for (ngx_uint_t i = 0; i < main->issuers.nelts; i++) {
        jwks_error error = JWKS_ERROR_INIT;
        if (jwks_cache_add_issuer(main->keys, &issuer[i].options, &issuer[i].handle, &error) != JWT_OK) {
            issuer[i].handle = NULL;
            said(cycle, issuer[i].options.issuer, &error);
        }
    }
}

static void make_policies(ngx_cycle_t *cycle, keyturn_main *main)
{
    keyturn_policy **policy = main->policies.elts;
    for (ngx_uint_t i = 0; i < main->policies.nelts; i++) {
        jwks_error error = JWKS_ERROR_INIT;
        size_t count = 0;
        for (size_t j = 0; j < policy[i]->count; j++)
            if (policy[i]->issuers[j]->handle)
                policy[i]->handles[count++] = policy[i]->issuers[j]->handle;
        policy[i]->options.issuers = policy[i]->handles;
        policy[i]->options.issuer_count = count;
        if (jwt_policy_new(main->keys, &policy[i]->options, &policy[i]->handle, &error) != JWT_OK) {
            policy[i]->handle = NULL;
            said(cycle, "a location is closed", &error);
        }
    }
}

/* ---- Wake-ups and news --------------------------------------------------------------------------- */

static void wake(ngx_event_t *event)
{
    ngx_connection_t *connection = event->data;
    keyturn_main *main = connection->data;
    keyturn_request *of;
    while ((of = jwks_loop_next(main->loop)))
        keyturn_resume(of);
}

static ngx_int_t watch(ngx_cycle_t *cycle, keyturn_main *main)
{
    if (jwks_loop_new(main->keys, NULL, &main->loop) != JWT_OK)
        return NGX_ERROR;
    ngx_connection_t *connection = ngx_get_connection(jwks_loop_fd(main->loop), cycle->log);
    if (connection == NULL)
        return NGX_ERROR;
    connection->data = main;
    connection->read->handler = wake;
    connection->read->log = cycle->log;
    main->wakeups = connection;
    return ngx_add_event(connection->read, NGX_READ_EVENT, 0);
}

static ngx_uint_t level_of(jwks_event_kind kind)
{
    static const ngx_uint_t levels[] = {
        [ADAPTER_NOTICE] = NGX_LOG_NOTICE, [ADAPTER_WARNING] = NGX_LOG_WARN, [ADAPTER_ERROR] = NGX_LOG_ERR
    };
    return levels[adapter_gravity_of(kind)];
}

static void tell_news(ngx_event_t *event)
{
    keyturn_main *main = event->data;
    jwks_event news = JWKS_EVENT_INIT;
    while (jwks_event_next(main->keys, &news))
        ngx_log_error(level_of(news.kind), event->log, 0,
                      "keyturn: %s issuer=\"%s\" count=%uL removed=%uL reason=%uD", news.name, news.issuer,
                      (uint64_t)news.count, (uint64_t)news.removed, (uint32_t)news.reason);
    if (!ngx_exiting)
        ngx_add_timer(event, NEWS_MS);
}

static void listen_for_news(ngx_cycle_t *cycle, keyturn_main *main)
{
    main->news.handler = tell_news;
    main->news.data = main;
    main->news.log = cycle->log;
    main->news.cancelable = 1; /* a worker that is to end does not wait for it */
    ngx_add_timer(&main->news, NEWS_MS);
}

/* ---- Begin and end ------------------------------------------------------------------------------- */

static keyturn_main *main_of(ngx_cycle_t *cycle)
{
    keyturn_main *main = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_keyturn_module);
    return main && main->issuers.nelts > 0 ? main : NULL;
}

ngx_int_t keyturn_begin(ngx_cycle_t *cycle)
{
    keyturn_main *main = main_of(cycle);
    if (main == NULL || ngx_process == NGX_PROCESS_HELPER)
        return NGX_OK;
    if (ngx_array_init(&main->idle, cycle->pool, IDLE_RESULTS, sizeof(jwt_result *)) != NGX_OK)
        return NGX_ERROR;
    if (make_cache(cycle, main) != JWT_OK)
        return NGX_ERROR;
    add_issuers(cycle, main);
    make_policies(cycle, main);
    jwks_error error = JWKS_ERROR_INIT;
    if (jwks_cache_start(main->keys, &error) != JWT_OK)
        said(cycle, "keys are not refreshed", &error);
    listen_for_news(cycle, main);
    return watch(cycle, main);
}

static void stop_watching(keyturn_main *main)
{
    if (main->wakeups) {
        ngx_del_event(main->wakeups->read, NGX_READ_EVENT, 0);
        ngx_free_connection(main->wakeups);
        main->wakeups->fd = (ngx_socket_t)-1; /* which is the loop's to close */
        main->wakeups = NULL;
    }
    jwks_loop_release(main->loop);
    main->loop = NULL;
}

static void release_all(keyturn_main *main)
{
    keyturn_policy **policy = main->policies.elts;
    for (ngx_uint_t i = 0; i < main->policies.nelts; i++)
        jwt_policy_release(policy[i]->handle);
    keyturn_issuer *issuer = main->issuers.elts;
    for (ngx_uint_t i = 0; i < main->issuers.nelts; i++)
        jwks_issuer_release(issuer[i].handle);
    jwt_result **result = main->idle.elts;
    for (ngx_uint_t i = 0; i < main->idle.nelts; i++)
        jwt_result_release(result[i]);
    main->idle.nelts = 0;
    jwks_cache_release(main->keys);
    main->keys = NULL;
}

/* Within a second: threads may not outlive it, since exit() takes libcrypto down. */
void keyturn_end(ngx_cycle_t *cycle)
{
    keyturn_main *main = main_of(cycle);
    if (main == NULL || main->keys == NULL)
        return;
    if (main->news.timer_set)
        ngx_del_timer(&main->news);
    jwks_cache_stop(main->keys);
    stop_watching(main);
    release_all(main);
}

/* ---- Results ------------------------------------------------------------------------------------- */

jwt_result *keyturn_take_result(keyturn_main *main)
{
    if (main->idle.nelts > 0)
        return ((jwt_result **)main->idle.elts)[--main->idle.nelts];
    jwt_result *result = NULL;
    return jwt_result_new(&result) == JWT_OK ? result : NULL;
}

void keyturn_give_result(keyturn_main *main, jwt_result *result)
{
    (void)jwt_verify(NULL, "", 0, result); /* it forgets whose it was */
    if (main->keys && main->idle.nelts < IDLE_RESULTS)
        ((jwt_result **)main->idle.elts)[main->idle.nelts++] = result;
    else
        jwt_result_release(result);
}
