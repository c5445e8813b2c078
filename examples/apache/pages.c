/* Two handlers for who watches: metrics for Prometheus, and the keys as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "mod_keyturn.h"

enum { ROOM = 4096, MOST_TRIES = 4 };

static int send_page(request_rec *r, const char *type, const char *text, size_t len)
{
    ap_set_content_type(r, type);
    ap_set_content_length(r, (apr_off_t)len);
    if (!r->header_only)
        ap_rwrite(text, (int)len, r);
    return OK;
}

/* ---- Metrics ----------------------------------------------------------------------------------------------- */

static int serve_metrics(request_rec *r, unsigned per_key)
{
    jwks_cache *keys = keyturn_configured->keys;
    jwks_metrics_options options = JWKS_METRICS_OPTIONS_INIT;
    size_t len = 0;
    options.per_key = per_key;
    (void)jwks_cache_metrics(keys, &options, NULL, 0, &len);
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        size_t capacity = len + len / 8 + ROOM;
        char *text = apr_palloc(r->pool, capacity);
        if (jwks_cache_metrics(keys, &options, text, capacity, &len) == JWT_OK)
            return send_page(r, "text/plain; version=0.0.4", text, len);
    }
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* ---- Keys ---------------------------------------------------------------------------------------------------- */

static int serve_keys(request_rec *r)
{
    const apr_array_header_t *all = keyturn_configured->issuers;
    jwks_issuer **issuers = apr_palloc(r->pool, (size_t)(all->nelts + 1) * sizeof *issuers);
    const char **names = apr_palloc(r->pool, (size_t)(all->nelts + 1) * sizeof *names);
    for (int i = 0; i < all->nelts; i++) {
        const keyturn_issuer *issuer = APR_ARRAY_IDX(all, i, keyturn_issuer *);
        issuers[i] = issuer->handle;
        names[i] = issuer->options.issuer;
    }
    for (size_t capacity = ROOM, len;; capacity = len + ROOM) {
        char *text = apr_palloc(r->pool, capacity);
        len = adapter_keys(issuers, names, (size_t)all->nelts, text, capacity);
        if (len <= capacity)
            return send_page(r, "application/json", text, len);
    }
}

/* ---- SetHandler ------------------------------------------------------------------------------------------------ */

static int only_read(request_rec *r)
{
    r->allowed = 1 << M_GET;
    return r->method_number == M_GET ? ap_discard_request_body(r) : HTTP_METHOD_NOT_ALLOWED;
}

int keyturn_serve_page(request_rec *r)
{
    int is_keys = strcmp(r->handler, "keyturn-keys") == 0;
    int is_per_key = strcmp(r->handler, "keyturn-metrics-per-key") == 0;
    if (!is_keys && !is_per_key && strcmp(r->handler, "keyturn-metrics") != 0)
        return DECLINED;
    int read = only_read(r);
    if (read != OK)
        return read;
    if (keyturn_configured->keys == NULL)
        return HTTP_SERVICE_UNAVAILABLE;
    return is_keys ? serve_keys(r) : serve_metrics(r, (unsigned)is_per_key);
}
