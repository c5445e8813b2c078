/* What became of a token, as metadata: for logs, and for filters that come after.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keyturn_envoy.h"

#include <openssl/sha.h>
#include <string.h>

static const envoy_text STORY = { "keyturn", 7 }; /* of the metadata */

static void tell(const keyturn_stream *of, const char *key, const char *text, size_t len)
{
    if (len > 0)
        envoy_set_text(of->envoy, STORY, keyturn_text(key), (envoy_text){ text, len });
}

static void tell_span(const keyturn_stream *of, const char *key, keyturn_span text)
{
    if (adapter_fits((jwt_value){ JWT_STRING, text }) == ADAPTER_FIT)
        tell(of, key, text.data, text.len);
}

/* By which lines of a log are known to be of one token, which itself is in no log: SHA-256, its first half in hex. */
static void tell_digest(const keyturn_stream *of, const adapter_token *token)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char text[SHA256_DIGEST_LENGTH];
    if (token->found != 1 || SHA256((const unsigned char *)token->text.data, token->text.len, digest) == NULL)
        return;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = digits[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
    tell(of, "token_digest", text, sizeof text);
}

static jwks_issuer *issuer_of(const keyturn_filter *filter, keyturn_span name)
{
    for (size_t i = 0; i < filter->issuer_count; i++)
        if (strlen(filter->issuers[i]->name) == name.len &&
            memcmp(filter->issuers[i]->name, name.data, name.len) == 0)
            return filter->issuers[i]->handle;
    return NULL;
}

/* Seconds since the keys were confirmed. */
static void tell_key_age(const keyturn_stream *of, keyturn_span name)
{
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    jwks_issuer *issuer = issuer_of(of->filter, name);
    stats.own = 1;
    if (issuer && jwks_issuer_stats_get(issuer, &stats) == JWT_OK && stats.age_ms >= 0)
        envoy_set_number(of->envoy, STORY, keyturn_text("key_age"), (double)(stats.age_ms / 1000));
}

static void tell_accepted(const keyturn_stream *of, unsigned log, const jwt_result *result)
{
    if (log & KEYTURN_LOG_ISSUER)
        tell_span(of, "issuer", jwt_result_issuer(result));
    if (log & KEYTURN_LOG_KID)
        tell_span(of, "kid", jwt_result_kid(result));
    if (log & KEYTURN_LOG_KEY_AGE)
        tell_key_age(of, jwt_result_issuer(result));
}

static void tell_refused(const keyturn_stream *of, adapter_status status, const jwt_result *result)
{
    const char *detail = jwt_result_detail(result);
    tell(of, "detail", detail, strlen(detail));
    tell(of, "error", adapter_message(status), strlen(adapter_message(status)));
}

/* Each member that a request tells of costs Envoy some of the time that the verification takes: those that only some
 * logs want are told where the configuration asks for them. */
void keyturn_tell(const keyturn_stream *of, const keyturn_access *access, const adapter_token *token,
                  adapter_status status, const jwt_result *result)
{
    tell(of, "status", adapter_name(status), strlen(adapter_name(status)));
    if (of->waits > 0)
        envoy_set_number(of->envoy, STORY, keyturn_text("wait_ms"), (double)of->waited_ms);
    if (access->log & KEYTURN_LOG_TOKEN_DIGEST)
        tell_digest(of, token);
    if (status == JWT_OK)
        tell_accepted(of, access->log, result);
    else
        tell_refused(of, status, result);
}
