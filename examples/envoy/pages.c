/* Two pages for who watches: metrics for Prometheus, and the keys as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

#include <stdlib.h>

enum { ROOM = 4096, MOST_TRIES = 4 };

/* NULL where there is no text. */
static void send_text(const keyturn_stream *of, const char *type, char *text, size_t len)
{
    envoy_field field = { "content-type", 12, type, keyturn_text(type).len };
    envoy_reply(of->envoy, text ? 200 : 500, &field, 1, (envoy_text){ text ? text : "", text ? len : 0 },
                keyturn_text("keyturn_page"));
    free(text);
}

static char *metrics(jwks_cache *cache, int per_key, size_t *len)
{
    jwks_metrics_options options = JWKS_METRICS_OPTIONS_INIT;
    options.per_key = (uint32_t)per_key;
    (void)jwks_cache_metrics(cache, &options, NULL, 0, len);
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        size_t capacity = *len + *len / 8 + ROOM;
        char *text = malloc(capacity);
        if (text == NULL || jwks_cache_metrics(cache, &options, text, capacity, len) == JWT_OK)
            return text;
        free(text);
    }
    return NULL;
}

static char *keys_of(jwks_issuer *const *issuers, const char *const *names, size_t count, size_t *len)
{
    for (size_t capacity = ROOM;; capacity = *len + ROOM) {
        char *text = malloc(capacity);
        if (text == NULL)
            return NULL;
        *len = adapter_keys(issuers, names, count, text, capacity);
        if (*len <= capacity)
            return text;
        free(text);
    }
}

static char *keys(const keyturn_filter *filter, size_t *len)
{
    size_t count = filter->issuer_count;
    jwks_issuer **issuers = calloc(count, sizeof *issuers);
    const char **names = calloc(count, sizeof *names);
    for (size_t i = 0; issuers && names && i < count; i++) {
        issuers[i] = filter->issuers[i]->handle;
        names[i] = filter->issuers[i]->name;
    }
    char *text = issuers && names ? keys_of(issuers, names, count, len) : NULL;
    free(issuers);
    free(names);
    return text;
}

void keyturn_send_page(const keyturn_stream *of, keyturn_page page)
{
    size_t len = 0;
    int is_keys = page == KEYTURN_KEYS;
    char *text = is_keys ? keys(of->filter, &len)
                         : metrics(of->filter->keys->cache, page == KEYTURN_METRICS_PER_KEY, &len);
    send_text(of, is_keys ? "application/json" : "text/plain; version=0.0.4", text, len);
}
