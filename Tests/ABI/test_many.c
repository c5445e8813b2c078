/* A gateway of many tenants: what an issuer costs that nobody has named yet, and that one that is named wakes no other. */
#include "fetching.h"

#include <malloc.h>

enum {
    ISSUERS = 10000,
    NAMED = 4321,
    MOST_OCTETS = 4096, /* for each */
    PAGE = 4096,
};

static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static char *name_of(size_t place)
{
    return text("https://issuer.example/tenants/%zu", place);
}

static jwks_issuer *add_tenant(jwks_cache *cache, size_t place)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = NULL;
    char *name = name_of(place), *url = text("https://keys.example/tenants/%zu", place);
    options.issuer = name;
    options.jwks_url = url;
    options.lazy = 1;
    assert_status(jwks_cache_add_issuer(cache, &options, &issuer, NULL), JWT_OK);
    free(name);
    free(url);
    return issuer;
}

static void add_tenants(struct host *host, jwks_issuer **issuers)
{
    for (size_t i = 0; i < ISSUERS; i++)
        issuers[i] = add_tenant(host->cache, i);
}

static void remove_tenants(jwks_issuer **issuers)
{
    for (size_t i = 0; i < ISSUERS; i++)
        jwks_issuer_release(issuers[i]);
}

static void each_takes_little_and_gives_it_back(void **state)
{
    struct host *host = *state;
    static jwks_issuer *issuers[ISSUERS];
    size_t before = heap();
    add_tenants(host, issuers);
    size_t each = (heap() - before) / ISSUERS;
    print_message("an issuer that nobody has named takes %zu octets\n", each);
    assert_in_range(each, 256, MOST_OCTETS);
    remove_tenants(issuers);
    poll_cache(host);
    before = heap(); /* with the places of so many, which stay */
    add_tenants(host, issuers);
    poll_cache(host);
    assert_true(heap() > before + ISSUERS);
    assert_int_equal(host->starts, 0);
    remove_tenants(issuers);
    poll_cache(host);
    assert_in_range(heap(), 0, before + PAGE);
}

static jwt_status ask(struct host *host, size_t place)
{
    char *claims =
        text("{\"iss\":\"https://issuer.example/tenants/%zu\",\"aud\":\"" AUDIENCE "\",\"exp\":%lld}", place,
             (long long)NOW + 100);
    char *token = mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"one\"}", claims);
    jwt_status status = verify_octets(host->policy, token, strlen(token), host->result);
    free(claims);
    free(token);
    return status;
}

static void only_the_one_that_a_token_names_is_fetched(void **state)
{
    static const char *const audiences[] = { AUDIENCE };
    static jwks_issuer *issuers[ISSUERS];
    struct host *host = *state;
    jwt_policy_options policy = JWT_POLICY_OPTIONS_INIT;
    add_tenants(host, issuers);
    policy.issuers = issuers;
    policy.issuer_count = ISSUERS;
    policy.audiences = audiences;
    policy.audience_count = 1;
    host->policy = new_policy(host->cache, &policy);
    pass(host, HOUR);
    assert_int_equal(host->starts, 0);
    assert_status(ask(host, NAMED), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(host->starts, 1);
    assert_string_equal(host->asked[0].url, "https://keys.example/tenants/4321");
    reply_key(host, 1, "one");
    poll_cache(host);
    assert_status(ask(host, NAMED), JWT_OK);
    pass(host, MINUTE); /* not yet due again */
    assert_int_equal(host->starts, 1);
    assert_status(ask(host, NAMED + 1), JWKS_PENDING);
    poll_cache(host);
    assert_int_equal(host->starts, 2);
    remove_tenants(issuers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOST(each_takes_little_and_gives_it_back),
        WITH_HOST(only_the_one_that_a_token_names_is_fetched),
    };
    return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
