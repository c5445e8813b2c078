/* What configurations may say of a request: its claims, and what became of its token.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "ngx_http_keyturn.h"

#include <openssl/sha.h>

static ngx_int_t nothing(ngx_http_variable_value_t *v)
{
    v->not_found = 1;
    return NGX_OK;
}

static void has_text(ngx_http_variable_value_t *v, const void *text, size_t len)
{
    v->data = (u_char *)text;
    v->len = (unsigned)len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}

/* A copy: another verification may follow. */
static ngx_int_t has_copy(ngx_http_request_t *r, ngx_http_variable_value_t *v, const void *text, size_t len)
{
    u_char *copy = ngx_pnalloc(r->pool, len + 1);
    if (copy == NULL)
        return NGX_ERROR;
    ngx_memcpy(copy, text, len);
    has_text(v, copy, len);
    return NGX_OK;
}

static ngx_int_t has_value(ngx_http_request_t *r, ngx_http_variable_value_t *v, jwt_value value)
{
    if (adapter_fits(value) != ADAPTER_FIT)
        return nothing(v);
    u_char *text = ngx_pnalloc(r->pool, value.text.len + 1);
    if (text == NULL)
        return NGX_ERROR;
    has_text(v, text, adapter_text(value, (char *)text));
    return NGX_OK;
}

/* The result of a token that was accepted, or NULL. */
static const jwt_result *accepted(ngx_http_request_t *r)
{
    keyturn_request *of = keyturn_request_of(r);
    return of && of->judged && of->status == JWT_OK ? of->result : NULL;
}

/* ---- Claims ------------------------------------------------------------------------------------------ */

#define CLAIM_PREFIX "jwt_claim_"
#define HEADER_PREFIX "jwt_header_"

static ngx_int_t get_claim(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *)data;
    size_t prefix = sizeof CLAIM_PREFIX - 1;
    return has_value(r, v, jwt_result_claim(accepted(r), (char *)name->data + prefix, name->len - prefix));
}

static ngx_int_t get_header(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *)data;
    size_t prefix = sizeof HEADER_PREFIX - 1;
    return has_value(r, v, jwt_result_header(accepted(r), (char *)name->data + prefix, name->len - prefix));
}

static ngx_int_t get_named_claim(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *claim = (ngx_str_t *)data;
    return has_value(r, v, adapter_claim(accepted(r), (char *)claim->data, claim->len));
}

static ngx_int_t get_claims(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    keyturn_span all = jwt_result_payload(accepted(r));
    return has_value(r, v, (jwt_value){ all.len ? JWT_OBJECT : JWT_ABSENT, all });
}

/* ---- What became of it --------------------------------------------------------------------------------- */

static keyturn_request *judged(ngx_http_request_t *r)
{
    keyturn_request *of = keyturn_request_of(r);
    return of && of->judged ? of : NULL;
}

static ngx_int_t get_status(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    keyturn_request *of = judged(r);
    if (of == NULL)
        return nothing(v);
    const char *name = adapter_name(of->status);
    has_text(v, name, ngx_strlen(name));
    return NGX_OK;
}

/* Of a refusal: what it is about, and why. */
static ngx_int_t get_error(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    keyturn_request *of = judged(r);
    if (of == NULL || of->status == JWT_OK)
        return nothing(v);
    const char *detail = jwt_result_detail(of->result), *message = adapter_message(of->status);
    u_char *text = ngx_pnalloc(r->pool, ngx_strlen(detail) + 2 + ngx_strlen(message));
    if (text == NULL)
        return NGX_ERROR;
    has_text(v, text, (size_t)(ngx_sprintf(text, "%s%s%s", detail, detail[0] ? ": " : "", message) - text));
    return NGX_OK;
}

static ngx_int_t get_issuer(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    return has_value(r, v,
                     (jwt_value){ accepted(r) ? JWT_STRING : JWT_ABSENT, jwt_result_issuer(accepted(r)) });
}

static ngx_int_t get_kid(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    keyturn_span kid = jwt_result_kid(accepted(r));
    return has_value(r, v, (jwt_value){ kid.len ? JWT_STRING : JWT_ABSENT, kid });
}

static jwks_issuer *issuer_of(const keyturn_policy *policy, keyturn_span name)
{
    for (size_t i = 0; i < policy->count; i++)
        if (ngx_strlen(policy->issuers[i]->options.issuer) == name.len &&
            ngx_strncmp(policy->issuers[i]->options.issuer, name.data, name.len) == 0)
            return policy->issuers[i]->handle;
    return NULL;
}

/* Seconds since the keys were confirmed. */
static ngx_int_t get_key_age(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    const jwt_result *result = accepted(r);
    jwks_issuer *issuer = result ? issuer_of(judged(r)->policy, jwt_result_issuer(result)) : NULL;
    if (issuer == NULL || jwks_issuer_stats_get(issuer, &stats) != JWT_OK || stats.age_ms < 0)
        return nothing(v);
    u_char text[NGX_INT64_LEN + 1];
    return has_copy(r, v, text, (size_t)(ngx_sprintf(text, "%L", stats.age_ms / 1000) - text));
}

static ngx_int_t get_wait_ms(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    keyturn_request *of = judged(r);
    u_char text[NGX_INT64_LEN + 1];
    return of ? has_copy(r, v, text, (size_t)(ngx_sprintf(text, "%M", of->waited) - text)) : nothing(v);
}

/* By which lines of a log are known to be of one token, which itself is in no log: SHA-256, its first half in hex. */
static ngx_int_t get_token_digest(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    keyturn_request *of = judged(r);
    u_char digest[SHA256_DIGEST_LENGTH], text[SHA256_DIGEST_LENGTH];
    if (of == NULL || of->token.found != 1 ||
        SHA256((u_char *)of->token.text.data, of->token.text.len, digest) == NULL)
        return nothing(v);
    ngx_hex_dump(text, digest, SHA256_DIGEST_LENGTH / 2);
    return has_copy(r, v, text, sizeof text);
}

/* ---- Names ------------------------------------------------------------------------------------------------ */

static const ngx_http_variable_t variables[] = {
    { ngx_string(CLAIM_PREFIX), NULL, get_claim, 0, NGX_HTTP_VAR_PREFIX | NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string(HEADER_PREFIX), NULL, get_header, 0, NGX_HTTP_VAR_PREFIX | NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("jwt_claims"), NULL, get_claims, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("keyturn_status"), NULL, get_status, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("keyturn_error"), NULL, get_error, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("keyturn_issuer"), NULL, get_issuer, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("keyturn_kid"), NULL, get_kid, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("keyturn_key_age"), NULL, get_key_age, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("keyturn_wait_ms"), NULL, get_wait_ms, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("keyturn_token_digest"), NULL, get_token_digest, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
};

ngx_int_t keyturn_add_variables(ngx_conf_t *cf)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        ngx_str_t name = variables[i].name;
        ngx_http_variable_t *variable = ngx_http_add_variable(cf, &name, variables[i].flags);
        if (variable == NULL)
            return NGX_ERROR;
        variable->get_handler = variables[i].get_handler;
    }
    return NGX_OK;
}

/* keyturn_claim_set $variable CLAIM; for names that nginx has no variables of, and for pointers. */
char *keyturn_claim_set(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ngx_str_t *word = cf->args->elts;
    if (word[1].len < 2 || word[1].data[0] != '$')
        return "wants a $variable and a claim";
    ngx_str_t name = { word[1].len - 1, word[1].data + 1 };
    ngx_http_variable_t *variable = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
    ngx_str_t *claim = ngx_palloc(cf->pool, sizeof *claim);
    if (variable == NULL || claim == NULL)
        return NGX_CONF_ERROR;
    *claim = word[2];
    variable->get_handler = get_named_claim;
    variable->data = (uintptr_t)claim;
    return NGX_CONF_OK;
}
