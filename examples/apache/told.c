/* What is told of a request to the access log, as notes: `%{keyturn-status}n` and so on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "mod_keyturn.h"

#include <openssl/sha.h>

static void tell(request_rec *r, const char *name, const char *text)
{
    apr_table_setn(r->notes, name, text);
}

static void tell_span(request_rec *r, const char *name, keyturn_span text)
{
    jwt_value value = { text.len ? JWT_STRING : JWT_ABSENT, text };
    if (adapter_fits(value) == ADAPTER_FIT)
        tell(r, name, apr_pstrmemdup(r->pool, text.data, text.len));
}

/* By which lines of a log are known to be of one token, which itself is in no log: SHA-256, its first half in hex. */
static void tell_digest(request_rec *r, const adapter_token *token)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char *text = apr_palloc(r->pool, SHA256_DIGEST_LENGTH + 1);
    if (token->found != 1 || SHA256((const unsigned char *)token->text.data, token->text.len, digest) == NULL)
        return;
    ap_bin2hex(digest, SHA256_DIGEST_LENGTH / 2, text);
    tell(r, "keyturn-token-digest", text);
}

static jwks_issuer *issuer_of(const keyturn_policy *policy, keyturn_span name)
{
    for (size_t i = 0; i < policy->count; i++) {
        const keyturn_issuer *issuer = policy->issuers[i];
        if (strlen(issuer->options.issuer) == name.len &&
            memcmp(issuer->options.issuer, name.data, name.len) == 0)
            return issuer->handle;
    }
    return NULL;
}

/* Seconds since the keys were confirmed. */
static void tell_key_age(request_rec *r, const keyturn_verdict *verdict)
{
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    jwks_issuer *issuer = issuer_of(verdict->policy, jwt_result_issuer(verdict->result));
    stats.own = 1;
    if (issuer && jwks_issuer_stats_get(issuer, &stats) == JWT_OK && stats.age_ms >= 0)
        tell(r, "keyturn-key-age",
             apr_psprintf(r->pool, "%" APR_INT64_T_FMT, (apr_int64_t)(stats.age_ms / 1000)));
}

static void tell_accepted(request_rec *r, const keyturn_verdict *verdict)
{
    tell_span(r, "keyturn-issuer", jwt_result_issuer(verdict->result));
    tell_span(r, "keyturn-kid", jwt_result_kid(verdict->result));
    tell_key_age(r, verdict);
}

static void tell_refused(request_rec *r, const keyturn_verdict *verdict)
{
    const char *detail = jwt_result_detail(verdict->result);
    tell(r, "keyturn-error",
         apr_pstrcat(r->pool, detail, detail[0] ? ": " : "", adapter_message(verdict->status), NULL));
}

/* Before mod_log_config writes. It looks for notes in the last of the requests that Apache has made of this one. */
int keyturn_tell(request_rec *r)
{
    while (r->next)
        r = r->next;
    const keyturn_verdict *verdict = keyturn_verdict_of(r);
    if (verdict == NULL)
        return DECLINED;
    tell(r, "keyturn-status", adapter_name(verdict->status));
    tell(r, "keyturn-wait-ms", apr_psprintf(r->pool, "%" APR_INT64_T_FMT, apr_time_as_msec(verdict->waited)));
    tell_digest(r, &verdict->token);
    if (verdict->status == JWT_OK)
        tell_accepted(r, verdict);
    else
        tell_refused(r, verdict);
    return DECLINED;
}
