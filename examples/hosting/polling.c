/* polling.c - one event loop, and no other thread, not even Keyturn's: the loop drives it, and its HTTP client too.
 * docs/hosting.md tells of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "get.h"
#include "host.h"

#include <sys/signalfd.h>

/* Until nothing is left to be done at once. */
static uint32_t drive(jwks_cache *cache)
{
    uint32_t next_ms = 0;
    do
        (void)jwks_cache_poll(cache, &next_ms);
    while (drive_gets());
    return next_ms;
}

/* Asked whatever the age of the keys, which stay meanwhile; a few times a minute at most. */
static void reload(struct gateway *gateway)
{
    jwt_status status = jwks_issuer_refresh(gateway->issuer);
    if (status != JWT_OK)
        fprintf(stderr, "polling: %s\n", jwt_status_message(status));
}

int main(int count, char **arguments)
{
    enum { SERVER, WAKE_UPS, SIGNALS, DESCRIPTORS };
    struct gateway gateway;
    struct event_loop at = { 0 };
    struct signalfd_siginfo signal;
    jwks_fetcher fetcher = { .size = sizeof fetcher, .start = start_get, .cancel = cancel_get };
    jwks_cache_options with = { .size = sizeof with,
                                .fetcher = &fetcher,
                                .key_tables = 1 }; /* the loop makes them, too */
    gets = curl_multi_init();
    if (count != 4 || gets == NULL || !configure(&gateway, arguments, &with) ||
        jwks_loop_new(gateway.cache, NULL, &at.loop) != JWT_OK || jwt_result_new(&at.result) != JWT_OK)
        return 2;
    sigset_t signals = block_signals();
    at.policy = gateway.policy;
    at.server = listen_at(arguments[1]);
    if (at.server < 0)
        return 2;
    struct curl_waitfd watched[DESCRIPTORS] = {
        [SERVER] = { at.server, CURL_WAIT_POLLIN, 0 },
        [WAKE_UPS] = { jwks_loop_fd(at.loop), CURL_WAIT_POLLIN, 0 },
        [SIGNALS] = { signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), CURL_WAIT_POLLIN, 0 }
    };
    while (watched[SERVER].events || at.parked > 0) { /* at the end it first finishes what is parked */
        struct request *request;
        uint32_t next_ms = drive(gateway.cache);
        curl_multi_poll(gets, watched, DESCRIPTORS, next_ms < 60000 ? (int)next_ms : 60000, NULL);
        wake(&at);
        if (watched[SERVER].events && (request = take(at.server, MSG_DONTWAIT)))
            judge(&at, request);
        if (read(watched[SIGNALS].fd, &signal, sizeof signal) <= 0)
            continue;
        if (signal.ssi_signo == SIGHUP)
            reload(&gateway);
        else
            watched[SERVER].events = 0;
    }
    close_loop(&at);
    release(&gateway);
    while (first) /* what was cancelled is completed */
        drive_gets();
    curl_multi_cleanup(gets);
    return 0;
}
