/* The keys of a process of the host. See adapter.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "adapter.h"

jwt_status adapter_cache_new(const jwks_cache_options *options, jwks_cache **cache, jwks_error *store)
{
    jwks_cache_options without = *options;
    if (options->store) {
        if (jwks_cache_new(options, cache, store) == JWT_OK)
            return JWT_OK;
        without.store = without.store_user = NULL;
        without.store_reader = 0;
    }
    return jwks_cache_new(&without, cache, NULL);
}

adapter_gravity adapter_gravity_of(jwks_event_kind kind)
{
    switch (kind) {
    case JWKS_EVENT_PRIVATE_KEY:
    case JWKS_EVENT_EXPIRED:
    case JWKS_EVENT_EMPTIED_OBEYED:
        return ADAPTER_ERROR;
    case JWKS_EVENT_ISSUER_ADDED:
    case JWKS_EVENT_ISSUER_REMOVED:
    case JWKS_EVENT_KEYS_CHANGED:
    case JWKS_EVENT_RECOVERED:
    case JWKS_EVENT_REVOKED:
    case JWKS_EVENT_UNREVOKED:
        return ADAPTER_NOTICE;
    default:
        return ADAPTER_WARNING;
    }
}
