/* threads.c - a thread for each request, which may block: Apache's worker, and every server with a pool of threads.
 * docs/hosting.md tells of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <pthread.h>

static struct gateway gateway;
static int server;
static _Atomic int is_over;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the two below */
static pthread_cond_t fewer = PTHREAD_COND_INITIALIZER;
static unsigned busy;
static jwt_policy *policy; /* the one in force */

static void count(int more)
{
    pthread_mutex_lock(&lock);
    busy += (unsigned)more;
    pthread_cond_signal(&fewer);
    pthread_mutex_unlock(&lock);
}

/* A request keeps the policy that it began with, whatever is reloaded meanwhile. */
static jwt_policy *current_policy(void)
{
    pthread_mutex_lock(&lock);
    jwt_policy *mine = jwt_policy_retain(policy);
    pthread_mutex_unlock(&lock);
    return mine;
}

static void *serve(void *context)
{
    struct request *request = context;
    jwt_policy *mine = current_policy();
    jwt_result *result = NULL;
    jwt_status status = jwt_result_new(&result);
    if (status ==
        JWT_OK) /* at most the issuer's fetch_timeout_ms, and only for a key that may be on its way */
        status = jwt_verify_wait(mine, request->token, request->len, 0, result);
    answer(server, request, status, result);
    jwt_result_release(result);
    jwt_policy_release(mine);
    count(-1);
    return NULL;
}

static void *accept_all(void *context)
{
    pthread_t thread;
    while (!is_over) {
        struct request *request = take(server, 0);
        if (request == NULL)
            continue;
        count(+1);
        if (pthread_create(&thread, NULL, serve, request) == 0) {
            pthread_detach(thread);
        } else {
            answer(server, request, JWKS_KEYS_UNAVAILABLE, NULL);
            count(-1);
        }
    }
    return context;
}

/* Another policy, for requests that begin from now on. Issuer and keys are the same. */
static void reload(void)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_policy *next, *last;
    jwt_policy_options must = { .size = sizeof must,
                                .issuers = &gateway.issuer,
                                .issuer_count = 1,
                                .audiences = (const char *[]){ "orders", "invoices" },
                                .audience_count = 2 };
    if (jwt_policy_new(gateway.cache, &must, &next, &error) != JWT_OK)
        return; /* all is as it was */
    pthread_mutex_lock(&lock);
    last = policy;
    policy = next;
    pthread_mutex_unlock(&lock);
    jwt_policy_release(last);
}

int main(int count, char **arguments)
{
    pthread_t acceptor;
    jwks_error error = JWKS_ERROR_INIT;
    if (count != 4 || !configure(&gateway, arguments, NULL))
        return 2;
    policy = jwt_policy_retain(gateway.policy);
    sigset_t signals = block_signals(); /* before threads begin, which inherit it */
    server = listen_at(arguments[1]);
    if (server < 0 || jwks_cache_start(gateway.cache, &error) != JWT_OK ||
        pthread_create(&acceptor, NULL, accept_all, NULL) != 0)
        return 2;
    while (sigwaitinfo(&signals, NULL) == SIGHUP)
        reload();
    is_over = 1;
    shutdown(server, SHUT_RD); /* who waits for requests waits no more */
    pthread_join(acceptor, NULL);
    pthread_mutex_lock(&lock);
    while (busy > 0)
        pthread_cond_wait(&fewer, &lock);
    pthread_mutex_unlock(&lock);
    jwt_policy_release(policy);
    release(&gateway);
    _exit(0); /* not exit(), which takes libcrypto down: a thread that has answered may be ending still */
}
