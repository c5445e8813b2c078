/* The reply to a verdict. See adapter.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "adapter.h"

enum { MOST_SECONDS = 300 };

adapter_status adapter_verify(const jwt_policy *policy, const adapter_token *token, jwt_result *result)
{
    int one = token->found == 1 && token->text.data != NULL;
    /* Also where there is no token: it clears the result. */
    jwt_status status = jwt_verify(policy, one ? token->text.data : "", one ? token->text.len : 0, result);
    return token->found > 1 ? ADAPTER_TWO_TOKENS : (adapter_status)status;
}

adapter_status adapter_confirm(const jwt_result *accepted, int (*digest)(void *, unsigned char[32]),
                               void *host)
{
    unsigned char sha256[32];
    if (jwt_result_claim(accepted, "cnf", 3).kind == JWT_ABSENT)
        return JWT_OK;
    return digest(host, sha256) ? jwt_result_confirm_certificate(accepted, sha256)
                                : JWT_CONFIRMATION_REQUIRED;
}

int adapter_http(adapter_status status)
{
    switch (status) {
    case ADAPTER_TWO_TOKENS:
        return 400; /* RFC 6750 section 3.1: invalid_request */
    case ADAPTER_UNFIT_CLAIM:
        return 403;
    default:
        return jwt_status_http((jwt_status)status);
    }
}

const char *adapter_name(adapter_status status)
{
    switch (status) {
    case ADAPTER_TWO_TOKENS:
        return "TWO_TOKENS";
    case ADAPTER_UNFIT_CLAIM:
        return "UNFIT_CLAIM";
    default:
        return jwt_status_name((jwt_status)status);
    }
}

const char *adapter_message(adapter_status status)
{
    switch (status) {
    case ADAPTER_TWO_TOKENS:
        return "The request holds more than one token.";
    case ADAPTER_UNFIT_CLAIM:
        return "A claim that is to be a header of the request holds control characters.";
    default:
        return jwt_status_message((jwt_status)status);
    }
}

jwt_status adapter_challenge(adapter_status status, const jwt_challenge_options *options, char *buffer,
                             size_t capacity, size_t *len)
{
    int own = status == ADAPTER_TWO_TOKENS || status == ADAPTER_UNFIT_CLAIM;
    return jwt_challenge(own ? JWKS_KEYS_UNAVAILABLE : (jwt_status)status, options, buffer, capacity, len);
}

static int64_t next_fetch_ms(jwks_issuer *issuer)
{
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    if (jwks_issuer_ready(issuer) == JWT_OK || jwks_issuer_stats_get(issuer, &stats) != JWT_OK ||
        stats.next_fetch_ms < 0)
        return INT64_MAX;
    return stats.next_fetch_ms;
}

unsigned adapter_retry_after(jwks_issuer *const *issuers, size_t count)
{
    int64_t soonest = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        int64_t next = next_fetch_ms(issuers[i]);
        if (next < soonest)
            soonest = next;
    }
    /* All are ready by now, or nobody knows: soon. The answer takes its time, too. */
    if (soonest == INT64_MAX)
        return 1;
    int64_t seconds = soonest / 1000 + 1;
    return seconds > MOST_SECONDS ? MOST_SECONDS : (unsigned)seconds;
}
