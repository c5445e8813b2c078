/* What happens to keys, for Envoy's log: a thread that looks once in a second, whether there are requests or not.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

#include <inttypes.h>
#include <signal.h>
#include <time.h>

static envoy_level level_of(jwks_event_kind kind)
{
    static const envoy_level levels[] = {
        [ADAPTER_NOTICE] = ENVOY_INFO, [ADAPTER_WARNING] = ENVOY_WARNING, [ADAPTER_ERROR] = ENVOY_ERROR
    };
    return levels[adapter_gravity_of(kind)];
}

static void tell_all(jwks_cache *cache)
{
    jwks_event news = JWKS_EVENT_INIT;
    while (jwks_event_next(cache, &news))
        keyturn_log(level_of(news.kind),
                    "keyturn: %s issuer=\"%s\" count=%" PRIu64 " removed=%" PRIu64 " reason=%" PRIu32,
                    news.name, news.issuer, news.count, news.removed, news.reason);
}

static void wait_a_second(keyturn_keys *keys)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    (void)pthread_cond_timedwait(&keys->end, &keys->lock, &until);
}

static void *tell(void *context)
{
    keyturn_keys *keys = context;
    pthread_mutex_lock(&keys->lock);
    while (!keys->ends) {
        pthread_mutex_unlock(&keys->lock);
        tell_all(keys->cache);
        pthread_mutex_lock(&keys->lock);
        if (!keys->ends)
            wait_a_second(keys);
    }
    pthread_mutex_unlock(&keys->lock);
    tell_all(keys->cache);
    return NULL;
}

/* It takes none of Envoy's signals. Without it nothing is told, and all else is as ever. */
void keyturn_tell_news(keyturn_keys *keys)
{
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    keys->tells = pthread_create(&keys->teller, NULL, tell, keys) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void keyturn_end_news(keyturn_keys *keys)
{
    if (!keys->tells)
        return;
    pthread_mutex_lock(&keys->lock);
    keys->ends = 1;
    pthread_cond_signal(&keys->end);
    pthread_mutex_unlock(&keys->lock);
    pthread_join(keys->teller, NULL);
    keys->tells = 0;
}
