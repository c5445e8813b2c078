#include "support.h"

#include <ftw.h>
#include <pthread.h>

/* What fails in the child of a fork ends it there: cmocka would go on with the tests of its parent. */
static void fail_at_once(void)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, fail_at_once);
}

/* ---- The world */

int64_t token_cache;

jwks_cache *new_cache(int64_t *now)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = NULL;
    options.token_cache = token_cache;
    options.clock = standing_clock;
    options.clock_context = now;
    options.key_tables = 1;
    assert_status(jwks_cache_new(&options, &cache, NULL), JWT_OK);
    return cache;
}

jwks_issuer *add_issuer(jwks_cache *cache, const char *name)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = NULL;
    options.issuer = name;
    assert_status(jwks_cache_add_issuer(cache, &options, &issuer, NULL), JWT_OK);
    return issuer;
}

jwt_status load(jwks_issuer *issuer, const char *json)
{
    return jwks_issuer_load(issuer, json, strlen(json), NULL);
}

void load_key(jwks_issuer *issuer, unsigned key, const char *kid)
{
    char *one = jwk(key, kid);
    char *set = text("{\"keys\":[%s]}", one);
    assert_status(load(issuer, set), JWT_OK);
    free(one);
    free(set);
}

jwt_policy_options good_options(const struct world *world)
{
    static const char *const audiences[] = { AUDIENCE };
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    options.issuers = &world->issuer;
    options.issuer_count = 1;
    options.audiences = audiences;
    options.audience_count = 1;
    return options;
}

jwt_policy *new_policy(jwks_cache *cache, const jwt_policy_options *options)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_policy *policy = NULL;
    jwt_status status = jwt_policy_new(cache, options, &policy, &error);
    if (status != JWT_OK)
        print_error("%s: %s\n", error.option, error.message);
    assert_status(status, JWT_OK);
    return policy;
}

jwt_status policy_status(const struct world *world, const jwt_policy_options *options, jwks_error *error)
{
    jwt_policy *policy = NULL;
    jwt_status status = jwt_policy_new(world->cache, options, &policy, error);
    assert_true((status == JWT_OK) == (policy != NULL));
    jwt_policy_release(policy);
    return status;
}

void use_policy(struct world *world, const jwt_policy_options *options)
{
    jwt_policy_release(world->policy);
    world->policy = NULL;
    world->policy = new_policy(world->cache, options);
}

void *make_world_of(uint64_t algorithms, const char *jwks)
{
    const uint64_t symmetric = JWT_ALG_HS256 | JWT_ALG_HS384 | JWT_ALG_HS512;
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    jwks_issuer_options issuer = JWKS_ISSUER_OPTIONS_INIT;
    issuer.issuer = ISSUER;
    issuer.algorithms = algorithms;
    issuer.allow_symmetric = (algorithms & symmetric) != 0;
    world->now = NOW;
    world->cache = new_cache(&world->now);
    assert_status(jwks_cache_add_issuer(world->cache, &issuer, &world->issuer, NULL), JWT_OK);
    assert_status(load(world->issuer, jwks), JWT_OK);
    jwt_policy_options options = good_options(world);
    options.algorithms = algorithms;
    world->policy = new_policy(world->cache, &options);
    assert_status(jwt_result_new(&world->result), JWT_OK);
    return world;
}

void renew_world(struct world *world, jwks_cache_options cache, jwks_issuer_options issuer, const char *jwks)
{
    jwt_policy_release(world->policy);
    jwks_issuer_release(world->issuer);
    jwks_cache_release(world->cache);
    cache.clock = standing_clock;
    cache.clock_context = &world->now;
    assert_status(jwks_cache_new(&cache, &world->cache, NULL), JWT_OK);
    issuer.issuer = ISSUER;
    assert_status(jwks_cache_add_issuer(world->cache, &issuer, &world->issuer, NULL), JWT_OK);
    assert_status(load(world->issuer, jwks), JWT_OK);
    jwt_policy_options policy = good_options(world);
    world->policy = new_policy(world->cache, &policy);
}

jwks_key_info key_of(jwks_issuer *issuer, size_t position)
{
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(jwks_issuer_keys(issuer, &list), JWT_OK);
    assert_status(jwks_key_list_get(list, position, &info), JWT_OK);
    jwks_key_list_release(list);
    info.kid = info.thumbprint = (keyturn_span){ NULL, 0 };
    return info;
}

jwks_issuer_stats stats_of(jwks_issuer *issuer)
{
    jwks_issuer_stats stats = JWKS_ISSUER_STATS_INIT;
    assert_status(jwks_issuer_stats_get(issuer, &stats), JWT_OK);
    return stats;
}

int has_table(const struct world *world)
{
    return (int)key_of(world->issuer, 0).has_table;
}

int make_world(void **state)
{
    char *key = jwk(1, "one"), *set = text("{\"keys\":[%s]}", key);
    *state = make_world_of(0, set);
    free(key);
    free(set);
    return 0;
}

int end_world(void **state)
{
    struct world *world = *state;
    jwt_result_release(world->result);
    jwt_policy_release(world->policy);
    jwks_issuer_release(world->issuer);
    jwks_cache_release(world->cache);
    free(world);
    return 0;
}

/* ---- Verification */

jwt_status verify_octets(const jwt_policy *policy, const void *token, size_t len, jwt_result *result)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, token, len);
    jwt_status status = jwt_verify(policy, copy, len, result);
    memset(copy, '#', len); /* the result must own its octets */
    free(copy);
    assert_status(jwt_result_status(result), status);
    if (status != JWT_OK)
        assert_cleared(result);
    return status;
}

jwt_status verify(struct world *world, const char *token)
{
    return verify_octets(world->policy, token, strlen(token), world->result);
}

static jwt_status verify_and_free(struct world *world, char *token)
{
    jwt_status status = verify(world, token);
    free(token);
    return status;
}

jwt_status verify_claims(struct world *world, const char *claims)
{
    return verify_and_free(world, mint(1, GOOD_HEADER, claims));
}

jwt_status verify_header(struct world *world, const char *header)
{
    return verify_and_free(world, mint(1, header, GOOD_CLAIMS));
}

/* ---- Assertions */

void assert_status_at(jwt_status actual, jwt_status expected, const char *file, int line)
{
    if (actual == expected)
        return;
    print_error("%s (%u) instead of %s (%u)\n", jwt_status_name(actual), (unsigned)actual,
                jwt_status_name(expected), (unsigned)expected);
    _fail(file, line);
}

void assert_cleared(const jwt_result *result)
{
    assert_int_equal(jwt_result_claim(result, "iss", 3).kind, JWT_ABSENT);
    assert_int_equal(jwt_result_claim_at(result, "/iss", 4).kind, JWT_ABSENT);
    assert_int_equal(jwt_result_claim_at(result, "", 0).kind, JWT_ABSENT);
    assert_int_equal(jwt_result_header(result, "alg", 3).kind, JWT_ABSENT);
    assert_int_equal(jwt_result_header_at(result, "/alg", 4).kind, JWT_ABSENT);
    assert_int_equal(jwt_result_payload(result).len, 0);
    assert_int_equal(jwt_result_kid(result).len, 0);
    assert_int_equal(jwt_result_thumbprint(result).len, 0);
    assert_int_equal(jwt_result_issuer(result).len, 0);
    assert_null(jwt_result_algorithm(result));
    assert_int_equal(jwt_result_expiry(result), 0);
}

void assert_span_at(keyturn_span span, const char *expected, size_t len, const char *file, int line)
{
    if (span.len == len && (len == 0 || memcmp(span.data, expected, len) == 0))
        return;
    print_error("\"%.*s\" instead of \"%.*s\"\n", (int)span.len, span.data, (int)len, expected);
    _fail(file, line);
}

keyturn_span span_of(const char *string)
{
    return (keyturn_span){ string, string ? strlen(string) : 0 };
}

static int remove_one(const char *path, const struct stat *found, int type, struct FTW *place)
{
    (void)found, (void)type, (void)place;
    return remove(path);
}

void remove_tree(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
