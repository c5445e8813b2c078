/* Options of every kind, built field by field from the input. Whatever they are, they are taken or refused
 * with a name and a sentence, an output is written only on success, and what was made verifies and goes. */
#include "fuzz.h"

#include <keyturn.h>
#include <stdbool.h>

static const uint8_t *next;
static size_t left;

static uint8_t octet(void)
{
    if (left == 0)
        return 0;
    left--;
    return *next++;
}

static uint64_t word(unsigned int octets)
{
    uint64_t value = 0;
    while (octets--)
        value = value << 8 | octet();
    return value;
}

/* Numbers as hosts write them, and any others. */
static uint64_t number(void)
{
    static const int64_t numbers[] = {
        0, 1, -1, 2, 30, 600, 601, 32768, INT32_MAX, INT64_MAX, INT64_MIN, -2
    };
    uint8_t choice = octet();
    return choice < 12 ? (uint64_t)numbers[choice] : choice < 128 ? choice : word(choice & 7u);
}

static uint32_t flag(void)
{
    uint8_t choice = octet();
    return choice < 250 ? choice & 1u : (uint32_t)number();
}

/* ---- Memory that one input asks for, each block of exactly its size ---------------------------- */

static void *blocks[4096];
static size_t block_count;

static void *block(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    REQUIRE(memory && block_count < 4096);
    return blocks[block_count++] = memory;
}

static void release_blocks(void)
{
    while (block_count)
        free(blocks[--block_count]);
}

static const char *string(void)
{
    static const char *const texts[] = {
        "https://issuer.example",
        "https://local.example",
        "api://gateway",
        "at+jwt",
        "application/at+jwt",
        "JWT",
        "scope",
        "/realm/roles/0",
        "/~2",
        "/",
        "sub",
        "spiffe.example",
        "admin",
        "",
        "\xff",
        "a\nb",
        "\xc3\xa9",
        "spiffe://spiffe.example/x",
    };
    uint8_t choice = octet();
    if (choice < 18)
        return strcpy(block(strlen(texts[choice]) + 1), texts[choice]);
    if (choice < 24)
        return NULL;
    size_t length = choice < 250 ? choice & 31u : word(2) & 0x1fff;
    char *text = block(length + 1);
    for (size_t i = 0; i < length && left; i++)
        text[i] = (char)octet();
    return text;
}

static const char *const *strings(size_t *count)
{
    uint8_t choice = octet();
    *count = choice < 200 ? choice & 3u : choice & 31u;
    if (choice == 255) {
        *count = word(2);
        return NULL;
    }
    const char **texts = block(*count * sizeof *texts);
    for (size_t i = 0; i < *count; i++)
        texts[i] = string();
    return texts;
}

/* A struct of a size of its own: mostly right, else longer (with zeros, or something, behind), else wrong. The
 * memory is as long as the size says, where anybody may read so far. */
static void *options(const void *known, size_t size)
{
    uint8_t choice = octet();
    size_t claimed = choice < 220 ? size : choice < 230 ? size + 16 : choice < 240 ? size + 8 : word(2);
    uint8_t *memory = block(claimed > size ? claimed : size);
    memcpy(memory, known, size);
    memcpy(memory, &claimed, sizeof claimed);
    if (choice >= 230 && claimed > size)
        memory[size + (octet() % (claimed - size))] = octet();
    return memory;
}

/* ---- The options ----------------------------------------------------------------------------------- */

static int64_t fixed_clock(void *context)
{
    (void)context;
    return 1800000000;
}

static const jwks_cache_options *cache_options(void)
{
    jwks_cache_options known = JWKS_CACHE_OPTIONS_INIT;
    known.clock = flag() ? fixed_clock : NULL;
    known.max_issuers = (uint32_t)number();
    return options(&known, sizeof known);
}

static const jwks_issuer_options *issuer_options(void)
{
    jwks_issuer_options known = JWKS_ISSUER_OPTIONS_INIT;
    known.issuer = string();
    known.algorithms = number();
    known.use = (jwks_key_use)flag();
    known.allow_symmetric = flag();
    known.max_keys = (uint32_t)number();
    known.max_document = (uint32_t)number();
    return options(&known, sizeof known);
}

/* All rules of an array have the size of the first, or are refused. */
static const jwt_rule *rules(size_t *count)
{
    uint8_t choice = octet();
    *count = choice & 3u;
    if (choice >= 250) {
        *count = number();
        return NULL;
    }
    size_t size = choice < 200   ? sizeof(jwt_rule)
                  : choice < 230 ? sizeof(jwt_rule) + (choice & 24u)
                                 : choice & 127u;
    uint8_t *all = block(*count * size + sizeof(jwt_rule));
    for (size_t i = 0; i < *count; i++) {
        jwt_rule known = JWT_RULE_INIT;
        known.size = i == 0 || octet() < 250 ? size : number();
        known.kind = (jwt_rule_kind)(octet() & 7u);
        known.claim = string();
        known.values = strings(&known.value_count);
        memcpy(all + i * size, &known, sizeof known);
    }
    return (const jwt_rule *)all;
}

static jwks_issuer *issuers[3];

static const jwt_policy_options *policy_options(void)
{
    jwt_policy_options known = JWT_POLICY_OPTIONS_INIT;
    jwks_issuer **given = block(sizeof issuers);
    known.issuer_count = octet() & 3u;
    for (size_t i = 0; i < known.issuer_count; i++)
        given[i] = issuers[octet() % 3];
    known.issuers = octet() < 250 ? given : NULL;
    known.audiences = strings(&known.audience_count);
    known.rules = rules(&known.rule_count);
    known.type = string();
    known.algorithms = number();
    known.leeway_s = (int64_t)number();
    known.max_lifetime_s = (int64_t)number();
    known.allow_any_issuer = flag();
    known.allow_any_audience = flag();
    known.allow_no_expiry = flag();
    known.host_confirms = flag();
    known.max_token = (uint32_t)number();
    known.max_kid = (uint32_t)number();
    known.max_header_members = (uint32_t)number();
    known.max_claims_members = (uint32_t)number();
    known.max_nesting = (uint32_t)number();
    return options(&known, sizeof known);
}

static const jws_options *opaque_options(void)
{
    jws_options known = JWS_OPTIONS_INIT;
    known.algorithms = number();
    known.type = string();
    known.max_token = (uint32_t)number();
    return options(&known, sizeof known);
}

static const jwt_challenge_options *challenge_options(void)
{
    jwt_challenge_options known = JWT_CHALLENGE_OPTIONS_INIT;
    known.realm = string();
    known.scope = string();
    known.resource_metadata = string();
    return options(&known, sizeof known);
}

/* ---- What must hold --------------------------------------------------------------------------------- */

static jwks_error error;

static void expect_sentence(jwt_status status, const void *made)
{
    REQUIRE(memchr(error.option, 0, sizeof error.option) && memchr(error.message, 0, sizeof error.message));
    REQUIRE((status == JWT_OK) == (made != NULL));
    REQUIRE((status == JWT_OK) == (error.message[0] == 0));
    REQUIRE(status != JWKS_INVALID_OPTION || error.option[0]);
    REQUIRE(status == JWT_OK || status == JWKS_INVALID_OPTION || status == JWKS_INVALID_ARGUMENT);
}

/* Nobody's, but good in all that comes before the signature. */
static const char token[] = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9."
                            "eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiYXBpOi8vZ2F0ZXdheSIsImV4cCI6"
                            "MTgwMDAwMDYwMCwiaWF0IjoxNzk5OTk5OTQwfQ."
                            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static void try_policy(jwks_cache *cache, jwt_result *result)
{
    jwt_policy *policy = NULL;
    jwt_status status = jwt_policy_new(cache, policy_options(), &policy, &error);
    expect_sentence(status, policy);
    status = jwt_verify(policy, token, sizeof token - 1, result);
    REQUIRE(status != JWT_OK && jwt_result_status(result) == status);
    REQUIRE(policy || status == JWKS_INVALID_ARGUMENT);
#ifdef PLANTED
    if (policy && status == JWT_TYPE_MISMATCH)
        REQUIRE(!"planted");
#endif
    jwt_policy_release(policy);
}

static void try_challenge(void)
{
    const jwt_challenge_options *given = challenge_options();
    size_t capacity = word(2) & 0x7ff, length = SIZE_MAX;
    char *buffer = block(capacity);
    static const jwt_status statuses[] = { JWT_OK,          JWT_MISSING,           JWT_EXPIRED,
                                           JWT_RULE_FAILED, JWKS_KEYS_UNAVAILABLE, JWKS_NO_MEMORY,
                                           (jwt_status)7 };
    jwt_status status = jwt_challenge(statuses[octet() % 7], given, buffer, capacity, &length);
    if (status == JWT_OK)
        REQUIRE(length < capacity && strlen(buffer) == length);
    else
        REQUIRE(status == JWKS_INVALID_OPTION || status == JWKS_INVALID_ARGUMENT);
}

static void try_all(jwks_cache *cache)
{
    jwt_result *result = NULL;
    REQUIRE(jwt_result_new(&result) == JWT_OK);
    for (int i = 0; i < 3; i++) {
        jwt_status status = jwks_cache_add_issuer(cache, issuer_options(), &issuers[i], &error);
        expect_sentence(status, issuers[i]);
        if (issuers[i])
            (void)jws_verify(issuers[i], opaque_options(), token, sizeof token - 1, result);
    }
    try_policy(cache, result);
    try_policy(cache, result);
    jwt_result_release(result);
    for (int i = 0; i < 3; i++) {
        if (flag() && issuers[i])
            REQUIRE(jwks_issuer_remove(issuers[i]) == JWT_OK);
        jwks_issuer_release(issuers[i]);
        issuers[i] = NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    next = data;
    left = count;
    jwks_cache *cache = NULL;
    memset(&error, 0, sizeof error);
    error.size = sizeof error;
    jwt_status status = jwks_cache_new(cache_options(), &cache, &error);
    expect_sentence(status, cache);
    if (cache)
        try_all(cache);
    jwks_cache_release(cache);
    try_challenge();
    release_blocks();
    return 0;
}
