/* host.h - what the small hosts of this folder share: how they are configured, a request and its answer, and how a
 * request is parked where an event loop may not block.
 *
 *     PROGRAM SOCKET ISSUER JWKS_URL [STORE]
 *
 * A request is a datagram with a token, its answer an HTTP status and the subject. SIGHUP reloads, SIGTERM ends.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_H
#define HOST_H

#include <keyturn.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct gateway {
    jwks_cache *cache;
    jwks_issuer *issuer;
    jwt_policy *policy;
};

static inline jwks_issuer_options issuer_options(char **arguments)
{
    return (jwks_issuer_options){ .size = sizeof(jwks_issuer_options),
                                  .issuer = arguments[2],
                                  .jwks_url = arguments[3],
                                  .allow_http = strncmp(arguments[3], "http:", 5) == 0 }; /* for tests */
}

static inline void release(struct gateway *gateway)
{
    jwt_policy_release(gateway->policy);
    jwks_issuer_release(gateway->issuer);
    jwks_cache_release(gateway->cache); /* with the last holder its thread ends, too */
    *gateway = (struct gateway){ NULL, NULL, NULL };
}

static inline int configure(struct gateway *gateway, char **arguments, const jwks_cache_options *with)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwks_issuer_options from = issuer_options(arguments);
    jwt_policy_options must = { .size = sizeof must,
                                .issuers = &gateway->issuer,
                                .issuer_count = 1,
                                .audiences = (const char *[]){ "orders" },
                                .audience_count = 1 };
    *gateway = (struct gateway){ NULL, NULL, NULL };
    if (jwks_cache_new(with, &gateway->cache, &error) == JWT_OK &&
        jwks_cache_add_issuer(gateway->cache, &from, &gateway->issuer, &error) == JWT_OK &&
        jwt_policy_new(gateway->cache, &must, &gateway->policy, &error) == JWT_OK)
        return 1;
    fprintf(stderr, "%s: %s %s\n", arguments[0], error.option, error.message);
    release(gateway);
    return 0;
}

/* ---- A request, and how it is parked --------------------------------------------------------- */

struct request {
    struct sockaddr_un from;
    socklen_t from_len;
    size_t len;
    char token[16384];
    jwt_waiter *waiter; /* while it is parked */
    int tries;
};

static inline int listen_at(const char *path)
{
    struct sockaddr_un here = { .sun_family = AF_UNIX };
    int server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(here.sun_path, sizeof here.sun_path, "%s", path);
    return server >= 0 && bind(server, (struct sockaddr *)&here, sizeof here) == 0 ? server : -1;
}

/* NULL if there is none after all: another process may have been faster. */
static inline struct request *take(int server, int flags)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    request->from_len = sizeof request->from;
    ssize_t len = recvfrom(server, request->token, sizeof request->token, flags,
                           (struct sockaddr *)&request->from, &request->from_len);
    request->len = len < 0 ? 0 : (size_t)len;
    if (len >= 0 && request->from_len > sizeof(sa_family_t)) /* there is somebody to be answered */
        return request;
    free(request);
    return NULL;
}

static inline void answer(int server, struct request *request, jwt_status status, const jwt_result *result)
{
    char text[512];
    keyturn_span subject = jwt_result_claim(result, "sub", 3).text; /* absent after a refusal */
    int len = snprintf(text, sizeof text, "%d %.*s", jwt_status_http(status), (int)subject.len,
                       subject.len ? subject.data : "");
    (void)sendto(server, text, len < (int)sizeof text ? (size_t)len : sizeof text - 1, MSG_DONTWAIT,
                 (struct sockaddr *)&request->from, request->from_len);
    free(request);
}

enum { MOST_TRIES = 3 };

struct event_loop {
    int server;
    const jwt_policy *policy;
    jwks_loop *loop;
    jwt_result *result; /* for one verification after the other */
    unsigned parked;
};

/* Verified and answered, or parked until the fetch that may bring its key has ended. */
static inline void judge(struct event_loop *at, struct request *request)
{
    for (;;) {
        jwt_status status = jwt_verify(at->policy, request->token, request->len, at->result);
        if (status == JWKS_PENDING && request->tries++ < MOST_TRIES) {
            status = jwt_wait(at->result, at->loop, request, &request->waiter);
            if (status == JWT_OK) {
                at->parked++;
                return;
            }
            if (status == JWKS_RETRY)
                continue;
        }
        answer(at->server, request, status, at->result);
        return;
    }
}

/* When jwks_loop_fd is readable. */
static inline void wake(struct event_loop *at)
{
    struct request *request;
    while ((request = jwks_loop_next(at->loop))) {
        jwt_wait_cancel(request->waiter);
        at->parked--;
        judge(at, request);
    }
}

static inline void close_loop(struct event_loop *at)
{
    jwt_result_release(at->result);
    jwks_loop_release(at->loop);
}

/* Signals are taken one by one, and interrupt nothing. */
static inline sigset_t block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signals;
}

#endif
