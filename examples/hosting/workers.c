/* workers.c - one event loop in each of several processes: nginx, and every server that forks. docs/hosting.md tells of
 * it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { WORKERS = 2 };

/* After fork(): its keys are those of the store at this moment, also when it takes the place of one that has died. */
static int work(int server, char **arguments, const sigset_t *signals)
{
    struct gateway gateway;
    struct event_loop at = { .server = server };
    jwks_cache_options with = { .size = sizeof with,
                                .store = arguments[4] }; /* so that workers share the work */
    jwks_error error = JWKS_ERROR_INIT;
    if (!configure(&gateway, arguments, &with) || jwks_cache_start(gateway.cache, &error) != JWT_OK ||
        jwks_loop_new(gateway.cache, NULL, &at.loop) != JWT_OK || jwt_result_new(&at.result) != JWT_OK)
        return 1;
    at.policy = gateway.policy;
    struct pollfd watched[] = { { server, POLLIN, 0 },
                                { jwks_loop_fd(at.loop), POLLIN, 0 },
                                { signalfd(-1, signals, SFD_CLOEXEC), POLLIN, 0 } };
    while (watched[0].fd >= 0 || at.parked > 0) { /* who is to end first finishes what is parked */
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
    release(&gateway);
    return 0;
}

/* New ones first: what comes meanwhile stays in the socket that all share. */
static void replace(pid_t *workers, int server, char **arguments, const sigset_t *signals)
{
    for (int i = 0; i < WORKERS; i++) {
        pid_t old = workers[i];
        workers[i] = fork();
        if (workers[i] == 0)
            _exit(work(server, arguments, signals));
        if (old > 0)
            kill(old, SIGTERM);
    }
}

int main(int count, char **arguments)
{
    struct gateway draft;
    pid_t workers[WORKERS] = { 0 };
    if (count != 5 ||
        !configure(&draft, arguments, NULL)) /* what is wrong is told before anything is forked */
        return 2;
    release(&draft);
    sigset_t signals = block_signals();
    int server = listen_at(arguments[1]);
    if (server < 0)
        return 2;
    do
        replace(workers, server, arguments, &signals);
    while (sigwaitinfo(&signals, NULL) == SIGHUP);
    for (int i = 0; i < WORKERS; i++)
        kill(workers[i], SIGTERM);
    while (wait(NULL) > 0)
        ;
    return 0;
}
