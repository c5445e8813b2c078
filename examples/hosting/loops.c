/* loops.c - several event loops in one process, each in a thread: Envoy, and every server with a loop for each core.
 * docs/hosting.md tells of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum { LOOPS = 2 };

static struct gateway gateway; /* shared by all threads */
static int server, over;       /* `over` becomes readable, for all, at the end */

static void *run(void *context)
{
    struct event_loop at = { .server = server, .policy = gateway.policy }; /* not shared */
    if (jwks_loop_new(gateway.cache, NULL, &at.loop) != JWT_OK || jwt_result_new(&at.result) != JWT_OK)
        abort();
    struct pollfd watched[] = { { server, POLLIN, 0 },
                                { jwks_loop_fd(at.loop), POLLIN, 0 },
                                { over, POLLIN, 0 } };
    while (watched[0].fd >= 0 || at.parked > 0) {
        struct request *request;
        if (poll(watched, 3, -1) < 0)
            continue;
        if (watched[0].revents && (request = take(server, MSG_DONTWAIT)))
            judge(&at, request);
        if (watched[1].revents)
            wake(&at);
        if (watched[2].revents)
            watched[0].fd = watched[2].fd = -1;
    }
    close_loop(&at);
    return context;
}

/* Other options for the same issuer: its keys stay, and no request is held up. */
static void reload(char **arguments)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwks_issuer_options from = issuer_options(arguments);
    from.hard_limit_ms = 12 * 3600 * 1000;
    if (jwks_issuer_update(gateway.issuer, &from, &error) != JWT_OK)
        fprintf(stderr, "%s: %s %s\n", arguments[0], error.option, error.message); /* all is as it was */
}

int main(int count, char **arguments)
{
    pthread_t threads[LOOPS];
    jwks_error error = JWKS_ERROR_INIT;
    if (count != 4 || !configure(&gateway, arguments, NULL))
        return 2;
    sigset_t signals = block_signals(); /* before threads begin, which inherit it */
    server = listen_at(arguments[1]);
    over = eventfd(0, EFD_CLOEXEC);
    if (server < 0 || over < 0 || jwks_cache_start(gateway.cache, &error) != JWT_OK)
        return 2;
    for (int i = 0; i < LOOPS; i++)
        if (pthread_create(&threads[i], NULL, run, NULL) != 0)
            return 2;
    while (sigwaitinfo(&signals, NULL) == SIGHUP)
        reload(arguments);
    eventfd_write(over, 1);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    release(&gateway); /* after the last thread that verifies, and before exit() takes libcrypto down */
    close(over);
    return 0;
}
