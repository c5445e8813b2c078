/* The options of all adapters, and how their values are written. See adapter.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "adapter.h"

#include <string.h>

static const adapter_word USES[] = { { "sig", JWKS_USE_SIG },
                                     { "jwt-svid", JWKS_USE_JWT_SVID },
                                     { NULL, 0 } };
static const adapter_word DISCOVERIES[] = { { "none", JWKS_DISCOVERY_NONE },
                                            { "openid", JWKS_DISCOVERY_OPENID },
                                            { "oauth", JWKS_DISCOVERY_OAUTH },
                                            { NULL, 0 } };
static const adapter_word EMPTY_SETS[] = { { "hold", JWKS_EMPTY_HOLD },
                                           { "obey", JWKS_EMPTY_OBEY },
                                           { NULL, 0 } };
static const adapter_word RULES[] = { { "present", JWT_RULE_PRESENT },
                                      { "equals", JWT_RULE_EQUALS },
                                      { "one_of", JWT_RULE_ONE_OF },
                                      { "prefix", JWT_RULE_PREFIX },
                                      { "contains", JWT_RULE_CONTAINS },
                                      { "has_word", JWT_RULE_HAS_WORD },
                                      { "spiffe_trust_domain", JWT_RULE_SPIFFE_TRUST_DOMAIN },
                                      { NULL, 0 } };

#define CACHE(name, kind, unset)                                                                             \
    {                                                                                                        \
#name, ADAPTER_CACHE, kind, offsetof(jwks_cache_options, name), 0, NULL, unset                       \
    }
#define ISSUER(name, kind, unset)                                                                            \
    {                                                                                                        \
#name, ADAPTER_ISSUER, kind, offsetof(jwks_issuer_options, name), 0, NULL, unset                     \
    }
#define ISSUER_TEXTS(name, count, unset)                                                                     \
    {                                                                                                        \
#name, ADAPTER_ISSUER, ADAPTER_TEXTS, offsetof(jwks_issuer_options, name),                           \
            offsetof(jwks_issuer_options, count), NULL, unset                                                \
    }
#define ISSUER_WORD(name, words, unset)                                                                      \
    {                                                                                                        \
#name, ADAPTER_ISSUER, ADAPTER_WORD, offsetof(jwks_issuer_options, name), 0, words, unset            \
    }
#define POLICY(name, kind, unset)                                                                            \
    {                                                                                                        \
#name, ADAPTER_POLICY, kind, offsetof(jwt_policy_options, name), 0, NULL, unset                      \
    }
#define CHALLENGE(name)                                                                                      \
    {                                                                                                        \
#name, ADAPTER_CHALLENGE, ADAPTER_TEXT, offsetof(jwt_challenge_options, name), 0, NULL, "none"       \
    }

const adapter_option ADAPTER_OPTIONS[] = {
    CACHE(store, ADAPTER_TEXT, "the host's"),
    CACHE(store_user, ADAPTER_TEXT, "none"),
    CACHE(store_reader, ADAPTER_FLAG, "off"),
    CACHE(max_issuers, ADAPTER_NUMBER, "16384"),
    CACHE(max_revocations, ADAPTER_NUMBER, "65536"),
    CACHE(max_fetches, ADAPTER_NUMBER, "64"),
    CACHE(max_events, ADAPTER_NUMBER, "1024"),
    CACHE(key_tables, ADAPTER_LIMIT, "made by its thread"),
    CACHE(token_cache, ADAPTER_LIMIT, "16777216"),

    ISSUER(issuer, ADAPTER_TEXT, "required"),
    ISSUER(algorithms, ADAPTER_ALGORITHMS, "every asymmetric one"),
    ISSUER_WORD(use, USES, "sig"),
    ISSUER(allow_symmetric, ADAPTER_FLAG, "off"),
    ISSUER(max_keys, ADAPTER_NUMBER, "256"),
    ISSUER(max_document, ADAPTER_NUMBER, "524288"),
    ISSUER(jwks_url, ADAPTER_TEXT, "none"),
    ISSUER_WORD(discovery, DISCOVERIES, "none"),
    ISSUER(file, ADAPTER_TEXT, "none"),
    ISSUER(file_check_ms, ADAPTER_COUNT, "1000"),
    ISSUER(allow_http, ADAPTER_FLAG, "off"),
    ISSUER(lazy, ADAPTER_FLAG, "off"),
    ISSUER_TEXTS(jwks_hosts, jwks_host_count, "any public one"),
    ISSUER_TEXTS(headers, header_count, "none"),
    ISSUER(ca_file, ADAPTER_TEXT, "the system's"),
    ISSUER(client_certificate, ADAPTER_TEXT, "none"),
    ISSUER(client_key, ADAPTER_TEXT, "none"),
    ISSUER(proxy, ADAPTER_TEXT, "none"),
    ISSUER(max_redirects, ADAPTER_NUMBER, "none"),
    ISSUER(connect_timeout_ms, ADAPTER_NUMBER, "2000"),
    ISSUER(fetch_timeout_ms, ADAPTER_NUMBER, "5000"),
    ISSUER(min_freshness_ms, ADAPTER_NUMBER, "60000"),
    ISSUER(max_freshness_ms, ADAPTER_NUMBER, "3600000"),
    ISSUER(default_freshness_ms, ADAPTER_NUMBER, "300000"),
    ISSUER(hard_limit_ms, ADAPTER_NUMBER, "86400000"),
    ISSUER(honor_must_revalidate, ADAPTER_FLAG, "off"),
    ISSUER_WORD(empty_set, EMPTY_SETS, "hold; obey for jwt-svid"),
    ISSUER(same_kid_rekey, ADAPTER_FLAG, "off"),
    ISSUER(rekey_interval_ms, ADAPTER_COUNT, "300000"),
    ISSUER(backoff_base_ms, ADAPTER_COUNT, "5000"),
    ISSUER(backoff_max_ms, ADAPTER_COUNT, "300000"),
    ISSUER(backoff_max_unserved_ms, ADAPTER_COUNT, "15000"),
    ISSUER(max_retry_after_ms, ADAPTER_LIMIT, "300000"),
    ISSUER(demand_burst, ADAPTER_COUNT, "2"),
    ISSUER(demand_interval_ms, ADAPTER_COUNT, "30000"),
    ISSUER(total_burst, ADAPTER_COUNT, "5"),
    ISSUER(total_interval_ms, ADAPTER_COUNT, "15000"),
    ISSUER(kept_for_schedule, ADAPTER_LIMIT, "1"),
    ISSUER(operator_burst, ADAPTER_COUNT, "6"),
    ISSUER(operator_interval_ms, ADAPTER_COUNT, "10000"),
    ISSUER(refused_kids, ADAPTER_COUNT, "1024"),
    ISSUER(refused_short_ms, ADAPTER_LIMIT, "5000"),
    ISSUER(refused_long_ms, ADAPTER_LIMIT, "60000"),
    ISSUER(max_waiters, ADAPTER_COUNT, "256"),
    ISSUER(idle_ms, ADAPTER_COUNT, "86400000"),
    ISSUER(rediscovery_ms, ADAPTER_COUNT, "86400000"),
    ISSUER(regression_ms, ADAPTER_LIMIT, "5000"),
    ISSUER(empty_hold_ms, ADAPTER_LIMIT, "600000"),
    ISSUER(stale_warning_ms, ADAPTER_COUNT, "3600000"),
    ISSUER(lock_timeout_ms, ADAPTER_COUNT, "15000"),
    ISSUER(pinned_max_age_ms, ADAPTER_COUNT, "without end"),
    ISSUER(valid_until, ADAPTER_COUNT, "without end"),
    ISSUER_TEXTS(pins, pin_count, "any key"),
    ISSUER(grace_ms, ADAPTER_COUNT, "none"),
    ISSUER(signed_by, ADAPTER_TEXT, "unsigned"),

    { "audiences", ADAPTER_POLICY, ADAPTER_TEXTS, offsetof(jwt_policy_options, audiences),
      offsetof(jwt_policy_options, audience_count), NULL, "required, or allow_any_audience" },
    POLICY(algorithms, ADAPTER_ALGORITHMS, "every asymmetric one"),
    POLICY(type, ADAPTER_TEXT, "any"),
    POLICY(leeway_s, ADAPTER_LIMIT, "30"),
    POLICY(max_lifetime_s, ADAPTER_LIMIT, "no maximum"),
    POLICY(allow_any_issuer, ADAPTER_FLAG, "off"),
    POLICY(allow_any_audience, ADAPTER_FLAG, "off"),
    POLICY(allow_no_expiry, ADAPTER_FLAG, "off"),
    POLICY(host_confirms, ADAPTER_FLAG, "off"),
    POLICY(max_token, ADAPTER_NUMBER, "32768"),
    POLICY(max_kid, ADAPTER_NUMBER, "1024"),
    POLICY(max_header_members, ADAPTER_NUMBER, "64"),
    POLICY(max_claims_members, ADAPTER_NUMBER, "512"),
    POLICY(max_nesting, ADAPTER_NUMBER, "32"),

    CHALLENGE(realm),
    CHALLENGE(scope),
    CHALLENGE(resource_metadata),

    { NULL, ADAPTER_CACHE, ADAPTER_TEXT, 0, 0, NULL, NULL },
};

const adapter_option *adapter_option_named(adapter_struct of, const char *name, size_t len)
{
    for (const adapter_option *option = ADAPTER_OPTIONS; option->name; option++)
        if (option->of == of && strlen(option->name) == len && memcmp(option->name, name, len) == 0)
            return option;
    return NULL;
}

/* ---- Values --------------------------------------------------------------------------------- */

static int find_word(const adapter_word *words, const char *value, int *number)
{
    for (; words->word; words++)
        if (strcmp(words->word, value) == 0) {
            *number = words->number;
            return 1;
        }
    return 0;
}

static int read_number(const char *value, int64_t most, int64_t *number)
{
    int64_t sum = 0;
    for (const char *digit = value; *digit; digit++) {
        if (*digit < '0' || *digit > '9' || sum > (most - (*digit - '0')) / 10)
            return 0;
        sum = sum * 10 + (*digit - '0');
    }
    *number = sum;
    return sum > 0;
}

static int read_flag(const char *value, uint32_t *flag)
{
    *flag = strcmp(value, "on") == 0;
    return *flag || strcmp(value, "off") == 0;
}

static const char *set_flag(void *field, const char *value)
{
    return read_flag(value, field) ? NULL : "the value must be \"on\" or \"off\"";
}

static const char *set_number(void *field, const char *value)
{
    int64_t number;
    if (!read_number(value, UINT32_MAX, &number))
        return "the value must be a number from 1 on";
    *(uint32_t *)field = (uint32_t)number;
    return NULL;
}

static const char *set_limit(void *field, const char *value)
{
    if (strcmp(value, "off") == 0)
        *(int64_t *)field = KEYTURN_OFF;
    else if (!read_number(value, INT64_MAX, field))
        return "the value must be a number from 1 on, or \"off\"";
    return NULL;
}

static const char *set_count(void *field, const char *value)
{
    return read_number(value, INT64_MAX, field) ? NULL : "the value must be a number from 1 on";
}

static const char *set_word(const adapter_word *words, void *field, const char *value)
{
    return find_word(words, value, field) ? NULL : "the value is none of its words";
}

static const char *set_algorithms(void *field, const char *const *values, size_t count)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t one = jwt_algorithm_from_name(values[i], strlen(values[i]));
        if (one == 0)
            return "a value is no algorithm's name";
        all |= one;
    }
    *(uint64_t *)field = all;
    return NULL;
}

const char *adapter_set(const adapter_option *option, void *options, const char *const *values, size_t count)
{
    char *field = (char *)options + option->offset;
    if (count == 0)
        return "a value is wanting";
    switch (option->kind) {
    case ADAPTER_ALGORITHMS:
        return set_algorithms(field, values, count);
    case ADAPTER_TEXTS:
        *(const char *const **)(void *)field = values;
        *(size_t *)(void *)((char *)options + option->count) = count;
        return NULL;
    default:
        break;
    }
    if (count > 1)
        return "it takes one value";
    switch (option->kind) {
    case ADAPTER_FLAG:
        return set_flag(field, values[0]);
    case ADAPTER_NUMBER:
        return set_number(field, values[0]);
    case ADAPTER_LIMIT:
        return set_limit(field, values[0]);
    case ADAPTER_COUNT:
        return set_count(field, values[0]);
    case ADAPTER_WORD:
        return set_word(option->words, field, values[0]);
    default:
        *(const char **)(void *)field = values[0];
        return NULL;
    }
}

const char *adapter_set_rule(jwt_rule *rule, const char *const *words, size_t count)
{
    int kind = JWT_RULE_PRESENT;
    if (count == 0)
        return "a claim is wanting";
    if (count > 1 && !find_word(RULES, words[1], &kind))
        return "a rule is present, equals, one_of, prefix, contains, has_word or spiffe_trust_domain";
    *rule = (jwt_rule)JWT_RULE_INIT;
    rule->kind = (jwt_rule_kind)kind;
    rule->claim = words[0];
    rule->values = count > 2 ? words + 2 : NULL;
    rule->value_count = count > 2 ? count - 2 : 0;
    return NULL;
}
