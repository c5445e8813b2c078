/* Two locations for who watches: metrics for Prometheus, and the keys as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "ngx_http_keyturn.h"

enum { ROOM = 4096, MOST_TRIES = 4 };

static ngx_int_t send_page(ngx_http_request_t *r, const char *type, u_char *text, size_t len)
{
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = (off_t)len;
    r->headers_out.content_type.data = (u_char *)type;
    r->headers_out.content_type.len = r->headers_out.content_type_len = ngx_strlen(type);
    ngx_int_t sent = ngx_http_send_header(r);
    if (sent == NGX_ERROR || sent > NGX_OK || r->header_only)
        return sent;
    ngx_buf_t *buffer = ngx_calloc_buf(r->pool);
    if (buffer == NULL)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    buffer->pos = text;
    buffer->last = text + len;
    buffer->memory = len > 0;
    buffer->last_buf = r == r->main;
    buffer->last_in_chain = 1;
    ngx_chain_t out = { .buf = buffer, .next = NULL };
    return ngx_http_output_filter(r, &out);
}

static ngx_int_t only_read(ngx_http_request_t *r)
{
    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)))
        return NGX_HTTP_NOT_ALLOWED;
    return ngx_http_discard_request_body(r);
}

/* ---- Metrics ------------------------------------------------------------------------------------------- */

static ngx_int_t metrics_page(ngx_http_request_t *r)
{
    keyturn_main *main = ngx_http_get_module_main_conf(r, ngx_http_keyturn_module);
    keyturn_location *at = ngx_http_get_module_loc_conf(r, ngx_http_keyturn_module);
    jwks_metrics_options options = JWKS_METRICS_OPTIONS_INIT;
    options.per_key = (uint32_t)at->per_key;
    ngx_int_t read = only_read(r);
    if (read != NGX_OK)
        return read;
    size_t len = 0;
    (void)jwks_cache_metrics(main->keys, &options, NULL, 0, &len);
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        size_t capacity = len + len / 8 + ROOM;
        char *text = ngx_pnalloc(r->pool, capacity);
        if (text == NULL)
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        if (jwks_cache_metrics(main->keys, &options, text, capacity, &len) == JWT_OK)
            return send_page(r, "text/plain; version=0.0.4", (u_char *)text, len);
    }
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}

/* ---- Keys ----------------------------------------------------------------------------------------------- */

static ngx_int_t keys_page(ngx_http_request_t *r)
{
    keyturn_main *main = ngx_http_get_module_main_conf(r, ngx_http_keyturn_module);
    ngx_int_t read = only_read(r);
    if (read != NGX_OK)
        return read;
    size_t count = main->issuers.nelts;
    jwks_issuer **issuers = ngx_palloc(r->pool, (count + 1) * sizeof *issuers);
    const char **names = ngx_palloc(r->pool, (count + 1) * sizeof *names);
    if (issuers == NULL || names == NULL)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    for (size_t i = 0; i < count; i++) {
        keyturn_issuer *issuer = (keyturn_issuer *)main->issuers.elts + i;
        issuers[i] = issuer->handle;
        names[i] = issuer->options.issuer;
    }
    for (size_t capacity = ROOM, len;; capacity = len + ROOM) {
        char *text = ngx_pnalloc(r->pool, capacity);
        if (text == NULL)
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        len = adapter_keys(issuers, names, count, text, capacity);
        if (len <= capacity)
            return send_page(r, "application/json", (u_char *)text, len);
    }
}

/* ---- Directives ------------------------------------------------------------------------------------------ */

static char *serve(ngx_conf_t *cf, ngx_http_handler_pt page)
{
    ngx_http_core_loc_conf_t *core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    core->handler = page;
    return NGX_CONF_OK;
}

char *keyturn_metrics(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ngx_str_t *word = cf->args->elts;
    if (cf->args->nelts > 1 && ngx_strcmp(word[1].data, "per_key") != 0)
        return "takes nothing but \"per_key\"";
    ((keyturn_location *)conf)->per_key = cf->args->nelts > 1;
    return serve(cf, metrics_page);
}

char *keyturn_keys(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    return serve(cf, keys_page);
}
