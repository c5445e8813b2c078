/* Who allocates, and what happens when there is no memory: none for a warm verification, and JWKS_NO_MEMORY with
 * nothing changed and nothing leaked for each single allocation that fails. */
#include "support.h"
#include "fixtures.h"
#include "interpose.h"

#include <limits.h>
#include <pthread.h>

static jwt_status verify_here(struct world *world, const char *token)
{
    return jwt_verify(world->policy, token, strlen(token), world->result);
}

/* ---- Warm verifications */

enum { WARM = 100 };

static unsigned long own_allocations_of_warm(struct world *world, const char *token, jwt_status expected)
{
    assert_status(verify_here(world, token), expected);
    assert_status(verify_here(world, token), expected);
    unsigned long before = allocations_of(OF_KEYTURN), as_expected = 0;
    for (int i = 0; i < WARM; i++)
        as_expected += verify_here(world, token) == expected;
    assert_int_equal(as_expected, WARM);
    return allocations_of(OF_KEYTURN) - before;
}

static int know_no_tokens(void **state)
{
    (void)state;
    token_cache = KEYTURN_OFF;
    return 0;
}

static int know_tokens(void **state)
{
    (void)state;
    token_cache = 0;
    return 0;
}

/* With tokens that are known, and without. */
static void warm_verifications_allocate_nothing(void)
{
    size_t algorithms = 0;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (!(fixtures[i].algorithm & jwt_algorithms_supported()))
            continue;
        void *world = make_world_of(fixtures[i].algorithm, fixtures[i].jwks);
        assert_int_equal(own_allocations_of_warm(world, fixtures[i].token, JWT_OK), 0);
        end_world(&world);
        algorithms++;
    }
    assert_true(algorithms >= 17);
    print_message("%zu algorithms, %d warm verifications of each\n", algorithms, WARM);
}

static void a_warm_verification_allocates_nothing_of_its_own(void **state)
{
    (void)state;
    warm_verifications_allocate_nothing();
    know_no_tokens(state);
    warm_verifications_allocate_nothing();
    know_tokens(state);
}

static void a_warm_verification_among_revocations_allocates_nothing(void **state)
{
    struct world *world = *state;
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    char value[] = "0000",
         *token = mint(1, GOOD_HEADER, CLAIMS_WITH("\"iat\":2,\"sub\":\"s\",\"jti\":\"\\u0030\""));
    revocation.issuer = world->issuer;
    for (int i = 0; i < 2000; i++) {
        revocation.kind = (jwks_revocation_kind)(JWKS_REVOKE_KID + i % 3);
        revocation.value = value;
        revocation.value_len = (size_t)snprintf(value, sizeof value, "%d", i + 1);
        assert_status(jwks_cache_revoke(world->cache, &revocation, NULL), JWT_OK);
    }
    revocation =
        (jwks_revocation){ sizeof revocation, world->issuer, JWKS_REVOKE_ISSUED_BEFORE, NULL, 0, 2, 0 };
    assert_status(jwks_cache_revoke(world->cache, &revocation, NULL), JWT_OK);
    assert_int_equal(own_allocations_of_warm(world, token, JWT_OK), 0);
    revocation.issued_before = 3;
    assert_status(jwks_cache_revoke(world->cache, &revocation, NULL), JWT_OK);
    assert_int_equal(own_allocations_of_warm(world, token, JWT_REVOKED), 0);
    free(token);
}

static void a_warm_refusal_allocates_nothing_of_its_own(void **state)
{
    char *forged = mint(9, GOOD_HEADER, GOOD_CLAIMS);
    char *expired = mint(1, GOOD_HEADER, "{" ISS "," AUD ",\"exp\":1}");
    char *unknown = mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"two\"}", GOOD_CLAIMS);
    assert_int_equal(own_allocations_of_warm(*state, forged, JWT_BAD_SIGNATURE), 0);
    assert_int_equal(own_allocations_of_warm(*state, expired, JWT_EXPIRED), 0);
    assert_int_equal(own_allocations_of_warm(*state, unknown, JWT_KEY_NOT_FOUND), 0);
    assert_int_equal(own_allocations_of_warm(*state, "x", JWT_MALFORMED), 0);
    free(forged);
    free(expired);
    free(unknown);
}

static unsigned long all_allocations(void)
{
    return allocations_of(OF_KEYTURN) + allocations_of(OF_LIBCRYPTO) + allocations_of(OF_JANSSON) +
           allocations_of(OF_OTHERS);
}

static void accessors_allocate_nothing_at_all(void **state)
{
    struct world *world = *state;
    int64_t integer;
    char *token = mint(1, GOOD_HEADER, CLAIMS_WITH("\"sub\":\"\\u0061lice\",\"o\":{\"l\":[1,\"\\u0062\"]}"));
    assert_status(verify_here(world, token), JWT_OK);
    unsigned long before = all_allocations();
    jwt_value sub = jwt_result_claim(world->result, "sub", 3);
    jwt_value deep = jwt_result_claim_at(world->result, "/o/l/1", 6);
    jwt_value kid = jwt_result_header(world->result, "kid", 3);
    int exact = jwt_value_integer(jwt_result_claim(world->result, "exp", 3), &integer);
    assert_int_equal(all_allocations(), before);
    assert_span(sub.text, "alice");
    assert_span(deep.text, "b");
    assert_span(kid.text, "one");
    assert_int_equal(exact, 1);
    free(token);
}

/* Shows that the counter sees what it should: what is cold does allocate. */

struct errand {
    struct world *world;
    const char *token;
    jwt_status status;
    unsigned long own;
    pthread_barrier_t *together; /* where all are still there at once; or NULL */
};

static void *run_errand(void *argument)
{
    struct errand *errand = argument;
    unsigned long before = allocations_of(OF_KEYTURN);
    errand->status = verify_here(errand->world, errand->token);
    errand->own = allocations_of(OF_KEYTURN) - before;
    if (errand->together)
        pthread_barrier_wait(errand->together);
    return NULL;
}

static void a_cold_thread_does_allocate(void **state)
{
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    struct errand errand = { *state, token, JWT_MISSING, 0, NULL };
    pthread_t thread;
    assert_status(verify_here(*state, token), JWT_OK);
    assert_int_equal(pthread_create(&thread, NULL, run_errand, &errand), 0);
    pthread_join(thread, NULL);
    assert_status(errand.status, JWT_OK);
    assert_true(errand.own > 0);
    free(token);
}

static void a_result_that_grows_does_allocate(void **state)
{
    struct world *world = *state;
    char *claims = text("{" GOOD ",\"x\":\"%020000d\"}", 0), *token = mint(1, GOOD_HEADER, claims);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    unsigned long before = allocations_of(OF_KEYTURN);
    assert_status(verify_here(world, token), JWT_OK);
    assert_true(allocations_of(OF_KEYTURN) > before);
    free(claims);
    free(token);
}

/* ---- Each allocation of each control call, failed in turn */

/* Makes the call and undoes it if it succeeded. */
typedef jwt_status (*control_call)(struct world *world);

static void *const untouched = (void *)(uintptr_t)0x5a5a5a5a;

static jwt_status make_cache(struct world *world)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = untouched;
    jwks_error error = JWKS_ERROR_INIT;
    options.clock = standing_clock;
    options.clock_context = &world->now;
    jwt_status status = jwks_cache_new(&options, &cache, &error);
    assert_true((status == JWT_OK) == (cache != untouched));
    if (status == JWT_OK)
        jwks_cache_release(cache);
    return status;
}

static jwt_status add_and_remove_issuer(struct world *world)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = untouched;
    jwks_error error = JWKS_ERROR_INIT;
    options.issuer = "https://other.example";
    jwt_status status = jwks_cache_add_issuer(world->cache, &options, &issuer, &error);
    assert_true((status == JWT_OK) == (issuer != untouched));
    if (status == JWT_OK) {
        assert_status(jwks_issuer_remove(issuer), JWT_OK);
        jwks_issuer_release(issuer);
    }
    return status;
}

/* A set of keys of every type, and key 2 as "one". */
static char *mixed_set(void)
{
    static const char *const labels[] = { "RS256", "ES256", "ES384", "ES512", "ES256K", "Ed448", "PS256" };
    char *own = jwk(2, "one"), *set = text("{\"keys\":[%s", own);
    for (size_t i = 0; i < COUNT(labels); i++) {
        size_t at = 0;
        while (strcmp(fixtures[at].label, labels[i]) != 0)
            at++;
        const char *keys = strchr(fixtures[at].jwks, '[') + 1;
        char *longer = text("%s,%.*s", set, (int)strlen(keys) - 2, keys);
        free(set);
        set = longer;
    }
    char *whole = text("%s]}", set);
    free(set);
    free(own);
    return whole;
}

static char *new_set, *old_set, *old_token, *new_token, *signed_sets[2];
enum { MIXED_KEYS = 8 };

/* RS256 and PS256 have one RSA key under two kids. */
static size_t usable_keys(struct world *world)
{
    jwks_key_list *list = NULL;
    size_t usable = 0;
    assert_status(jwks_issuer_keys(world->issuer, &list), JWT_OK);
    for (size_t i = 0; i < jwks_key_list_count(list); i++) {
        jwks_key_info info = JWKS_KEY_INFO_INIT;
        assert_status(jwks_key_list_get(list, i, &info), JWT_OK);
        usable += info.fault == JWKS_KEY_USABLE;
    }
    jwks_key_list_release(list);
    return usable;
}

/* How many keys the last load that succeeded brought. */
static size_t loaded_keys;

static jwt_status load_and_put_back(struct world *world)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = jwks_issuer_load(world->issuer, new_set, strlen(new_set), &error);
    fail_allocation(0, 0);
    if (status == JWT_OK) {
        loaded_keys = usable_keys(world);
        assert_int_not_equal(verify_here(world, old_token), JWT_OK);
        assert_status(load(world->issuer, old_set), JWT_OK);
    }
    return status;
}

/* An issuer with every kind of acceptance, and two sets: the key of the first is in its grace in the second. */
static jwt_status add_and_load_signed(struct world *world)
{
    static const char *const pins[] = { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = NULL;
    options.issuer = "https://signed.example";
    options.use = JWKS_USE_JWT_SVID; /* whose sets may be empty */
    options.signed_by = old_set;
    options.grace_ms = 600000;
    jwt_status status = jwks_cache_add_issuer(world->cache, &options, &issuer, NULL);
    for (size_t i = 0; i < COUNT(signed_sets) && status == JWT_OK; i++)
        status = jwks_issuer_load(issuer, signed_sets[i], strlen(signed_sets[i]), NULL);
    jwks_issuer_release(issuer);
    if (status != JWT_OK)
        return status;
    options.pins = pins;
    options.pin_count = COUNT(pins);
    status = jwks_cache_add_issuer(world->cache, &options, &issuer, NULL);
    if (status == JWT_OK)
        jwks_issuer_release(issuer);
    return status;
}

static jwt_status list_keys(struct world *world)
{
    jwks_key_list *list = untouched;
    jwt_status status = jwks_issuer_keys(world->issuer, &list);
    assert_true((status == JWT_OK) == (list != untouched));
    if (status == JWT_OK)
        jwks_key_list_release(list);
    return status;
}

static jwt_status make_policy(struct world *world)
{
    static const char *const audiences[] = { "a", "b", "a third one" }, *const values[] = { "x", "y" };
    jwt_rule rules[] = { { sizeof *rules, JWT_RULE_ONE_OF, "/roles/0", values, 2 },
                         { sizeof *rules, JWT_RULE_PRESENT, "sub", NULL, 0 } };
    jwt_policy_options options = good_options(world);
    jwt_policy *policy = untouched;
    jwks_error error = JWKS_ERROR_INIT;
    options.audiences = audiences;
    options.audience_count = COUNT(audiences);
    options.rules = rules;
    options.rule_count = COUNT(rules);
    options.type = "at+jwt";
    jwt_status status = jwt_policy_new(world->cache, &options, &policy, &error);
    assert_true((status == JWT_OK) == (policy != untouched));
    if (status == JWT_OK)
        jwt_policy_release(policy);
    return status;
}

static jwt_status make_result(struct world *world)
{
    (void)world;
    jwt_result *result = untouched;
    jwt_status status = jwt_result_new(&result);
    assert_true((status == JWT_OK) == (result != untouched));
    if (status == JWT_OK)
        jwt_result_release(result);
    return status;
}

/* The first verification of a result, in a thread that has verified before. */
static jwt_status verify_with_a_cold_result(struct world *world)
{
    jwt_result *result = NULL;
    if (jwt_result_new(&result) != JWT_OK)
        return JWKS_NO_MEMORY;
    jwt_status status = jwt_verify(world->policy, old_token, strlen(old_token), result);
    assert_status(jwt_result_status(result), status);
    if (status != JWT_OK)
        assert_cleared(result);
    jwt_result_release(result);
    return status;
}

static jwt_status challenge(struct world *world)
{
    char buffer[128];
    size_t len;
    (void)world;
    return jwt_challenge(JWT_EXPIRED, NULL, buffer, sizeof buffer, &len);
}

/* ---- Revocations: of values among so many that the tree has branches at several levels */

enum { REVOKED = 400 };

static jwks_revocation jti(struct world *world, const char *value)
{
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    revocation.issuer = world->issuer;
    revocation.kind = JWKS_REVOKE_JTI;
    revocation.value = value;
    revocation.value_len = strlen(value);
    return revocation;
}

static void revoke_many(struct world *world, const char *name, unsigned count, int64_t until)
{
    for (unsigned i = 0; i < count; i++) {
        char *value = text("%s-%u", name, i);
        jwks_revocation revocation = jti(world, value);
        revocation.until = until;
        assert_status(jwks_cache_revoke(world->cache, &revocation, NULL), JWT_OK);
        free(value);
    }
}

static jwt_status revoke_and_take_back(struct world *world)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwks_revocation revocation = jti(world, "one more");
    jwt_status status = jwks_cache_revoke(world->cache, &revocation, &error);
    fail_allocation(0, 0);
    assert_status(jwks_cache_unrevoke(world->cache, &revocation, &error),
                  status == JWT_OK ? JWT_OK : JWKS_NOT_FOUND);
    return status;
}

static jwt_status take_back_and_revoke(struct world *world)
{
    jwks_error error = JWKS_ERROR_INIT;
    jwks_revocation revocation = jti(world, "r-7");
    jwt_status status = jwks_cache_unrevoke(world->cache, &revocation, &error);
    fail_allocation(0, 0);
    if (status == JWT_OK)
        assert_status(jwks_cache_revoke(world->cache, &revocation, &error), JWT_OK);
    assert_status(jwks_cache_revoke(world->cache, &revocation, &error), JWT_OK);
    return status;
}

static jwt_status revoke_a_date_and_take_it_back(struct world *world)
{
    jwks_revocation revocation = jti(world, "");
    revocation.kind = JWKS_REVOKE_ISSUED_BEFORE;
    revocation.value = NULL;
    revocation.issued_before = 1;
    jwt_status status = jwks_cache_revoke(world->cache, &revocation, NULL);
    fail_allocation(0, 0);
    if (status == JWT_OK)
        assert_status(jwks_cache_unrevoke(world->cache, &revocation, NULL), JWT_OK);
    return status;
}

static jwt_status list_revocations(struct world *world)
{
    jwks_revocation_list *list = untouched;
    jwt_status status = jwks_issuer_revocations(world->issuer, &list);
    assert_true((status == JWT_OK) == (list != untouched));
    if (status == JWT_OK)
        jwks_revocation_list_release(list);
    return status;
}

static const struct {
    const char *name;
    control_call call;
    unsigned long least; /* allocations of its own that it makes at least */
} calls[] = {
    { "jwks_cache_new", make_cache, 1 },
    { "jwks_cache_add_issuer", add_and_remove_issuer, 1 },
    { "jwks_issuer_load", load_and_put_back, 3 },
    { "jwks_issuer_load, signed", add_and_load_signed, 10 },
    { "jwks_issuer_keys", list_keys, 1 },
    { "jwt_policy_new", make_policy, 1 },
    { "jwt_result_new", make_result, 1 },
    { "jwt_verify", verify_with_a_cold_result, 1 },
    { "jwt_challenge", challenge, 0 },
    { "jwks_cache_revoke", revoke_and_take_back, 5 },
    { "jwks_cache_revoke, a date", revoke_a_date_and_take_it_back, 3 },
    { "jwks_cache_unrevoke", take_back_and_revoke, 4 },
    { "jwks_issuer_revocations", list_revocations, 1 },
};

static void assert_unchanged(struct world *world)
{
    assert_status(verify_here(world, old_token), JWT_OK);
    assert_status(verify_here(world, new_token), JWT_BAD_SIGNATURE);
}

static void prepare(struct world *world)
{
    assert_status(load(world->issuer, old_set), JWT_OK);
    revoke_many(world, "r", REVOKED, 0);
    for (size_t i = 0; i < COUNT(calls); i++)
        for (int warm = 0; warm < 3; warm++)
            assert_status(calls[i].call(world), JWT_OK);
    assert_unchanged(world);
}

static void each_own_allocation_that_fails_is_no_memory_and_changes_nothing(void **state)
{
    struct world *world = *state;
    unsigned long failed = 0;
    prepare(world);
    for (size_t i = 0; i < COUNT(calls); i++) {
        unsigned long nth = 1;
        for (;; nth++) {
            long before = live_blocks();
            fail_allocation(OF_KEYTURN, nth);
            jwt_status status = calls[i].call(world);
            fail_allocation(0, 0);
            if (!failure_came()) {
                assert_status(status, JWT_OK);
                break;
            }
            if (status != JWKS_NO_MEMORY || live_blocks() != before)
                print_error("%s, allocation %lu: %+ld blocks\n", calls[i].name, nth, live_blocks() - before);
            assert_status(status, JWKS_NO_MEMORY);
            assert_int_equal(live_blocks(), before);
            assert_unchanged(world);
        }
        assert_true(nth > calls[i].least);
        failed += nth - 1;
    }
    print_message("%lu allocations of Keyturn failed in turn\n", failed);
    assert_true(failed >= 10);
}

/* Revocations that are over are swept out when their cache is full, and each branch that stays is made anew. */
static void each_allocation_of_a_sweep_fails_in_turn(void **state)
{
    (void)state;
    unsigned long failed = 0;
    for (unsigned long nth = 1; nth == failed + 1; nth++) {
        void *made = NULL;
        make_world(&made);
        struct world *world = made;
        revoke_many(world, "ends", 63, NOW + 1);
        revoke_many(world, "stays", 1, 0);
        jwks_revocation revocation = jti(world, "one more");
        world->now = NOW + 1;
        long before = live_blocks();
        fail_allocation(OF_KEYTURN, nth);
        jwt_status status = jwks_cache_revoke(world->cache, &revocation, NULL);
        fail_allocation(0, 0);
        failed += (unsigned long)failure_came();
        assert_status(status, failure_came() ? JWKS_NO_MEMORY : JWT_OK);
        if (failure_came())
            assert_true(live_blocks() <= before); /* a sweep may have been made already */
        assert_status(jwks_cache_unrevoke(world->cache, &revocation, NULL),
                      failure_came() ? JWKS_NOT_FOUND : JWT_OK);
        revocation = jti(world, "stays-0");
        assert_status(jwks_cache_unrevoke(world->cache, &revocation, NULL), JWT_OK);
        end_world(&made);
    }
    print_message("%lu allocations of a sweep failed in turn\n", failed);
    assert_true(failed > 5);
}

/* The table of issuers grows: each allocation of each of many additions. */
static void each_allocation_of_many_issuers_fails_in_turn(void **state)
{
    struct world *world = *state;
    enum { MANY = 70 };
    jwks_issuer *issuers[MANY];
    unsigned long failed = 0;
    for (unsigned i = 0; i < MANY; i++) {
        jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
        char *name = text("https://%u.example", i);
        options.issuer = name;
        for (unsigned long nth = 1;; nth++, failed++) {
            long before = live_blocks();
            fail_allocation(OF_KEYTURN, nth);
            jwt_status status = jwks_cache_add_issuer(world->cache, &options, &issuers[i], NULL);
            fail_allocation(0, 0);
            if (!failure_came()) {
                assert_status(status, JWT_OK);
                break;
            }
            assert_status(status, JWKS_NO_MEMORY);
            assert_int_equal(live_blocks(), before);
        }
        free(name);
    }
    assert_true(failed >= MANY);
    assert_status(verify_here(world, old_token), JWT_OK);
    for (unsigned i = 0; i < MANY; i++)
        jwks_issuer_release(issuers[i]);
}

/* ---- Fetches */

static jwks_fetch *fetch_under_way;

static void keep_fetch(void *context, jwks_fetch *fetch, const jwks_request *request)
{
    (void)context;
    (void)request;
    fetch_under_way = fetch;
}

static void let_fetch_be(void *context, jwks_fetch *fetch)
{
    (void)context;
    (void)fetch;
}

static jwks_cache *new_fetching_cache(int64_t *now, int64_t *steady)
{
    static jwks_fetcher fetcher = { sizeof fetcher, keep_fetch, let_fetch_be, NULL };
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = NULL;
    options.clock = options.monotonic = standing_clock;
    options.clock_context = now;
    options.monotonic_context = steady;
    options.fetcher = &fetcher;
    if (jwks_cache_new(&options, &cache, NULL) != JWT_OK)
        return NULL;
    return cache;
}

static void fetch_once(jwks_cache *cache)
{
    jwks_response response = JWKS_RESPONSE_INIT;
    response.http_status = 200;
    response.body = span_of(old_set);
    response.etag = span_of("\"one\"");
    assert_status(jwks_cache_poll(cache, NULL), JWT_OK);
    jwks_fetch *fetch = fetch_under_way;
    fetch_under_way = NULL;
    if (fetch)
        jwks_fetch_complete(fetch, &response);
    assert_status(jwks_cache_poll(cache, NULL), JWT_OK);
}

/* Adds an issuer and fetches its keys, with the nth allocation failed; then time goes by until they are there. Gives
 * whether the allocation came. */
static int fetch_with_failure(unsigned owners, unsigned long nth)
{
    int64_t now = NOW, steady = 1000000;
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = NULL;
    jwks_key_list *list = NULL;
    long before = live_blocks();
    options.issuer = ISSUER;
    options.jwks_url = ISSUER "/jwks";
    fail_allocation(owners, nth);
    jwks_cache *cache = new_fetching_cache(&now, &steady);
    jwt_status status = cache ? jwks_cache_add_issuer(cache, &options, &issuer, NULL) : JWKS_NO_MEMORY;
    if (status == JWT_OK)
        fetch_once(cache);
    fail_allocation(0, 0);
    int came = failure_came();
    if (status != JWT_OK)
        assert_status(status, JWKS_NO_MEMORY);
    for (int tries = 0; issuer && !list; tries++, steady += 15000) {
        assert_true(tries < 5);
        if (jwks_issuer_keys(issuer, &list) != JWT_OK)
            fetch_once(cache);
    }
    jwks_key_list_release(list);
    jwks_issuer_release(issuer);
    jwks_cache_release(cache);
    assert_int_equal(live_blocks(), before);
    return came;
}

static void each_allocation_of_a_fetch_fails_in_turn(void **state)
{
    unsigned long nth = 1;
    (void)state;
    for (int warm = 0; warm < 3; warm++)
        fetch_with_failure(0, 0);
    while (fetch_with_failure(OF_KEYTURN, nth))
        nth++;
    print_message("%lu allocations from a cache to its first fetched keys failed in turn\n", nth - 1);
    assert_true(nth > 12);
    for (nth = 1; fetch_with_failure(OF_JANSSON, nth); nth++)
        ;
    assert_true(nth > 5);
}

/* ---- Cold threads */

struct cold {
    struct world *world;
    unsigned long nth;
    jwt_status status;
    int came;
    pthread_barrier_t *verified, *end;
};

/* Stays until the end, so that no later thread gets this one's reader. */
static void *verify_cold(void *argument)
{
    struct cold *cold = argument;
    jwt_result *result = NULL;
    fail_allocation(OF_KEYTURN, cold->nth);
    if (jwt_result_new(&result) == JWT_OK)
        cold->status = jwt_verify(cold->world->policy, old_token, strlen(old_token), result);
    else
        cold->status = JWKS_NO_MEMORY;
    fail_allocation(0, 0);
    cold->came = failure_came();
    jwt_result_release(result);
    pthread_barrier_wait(cold->verified);
    pthread_barrier_wait(cold->end);
    return NULL;
}

enum { COLD = 12 };

/* The allocations of a cold thread that were failed. */
static unsigned long run_cold_threads(struct world *world)
{
    pthread_barrier_t verified, end;
    pthread_t threads[COLD];
    struct cold colds[COLD];
    unsigned long failed = 0;
    pthread_barrier_init(&verified, NULL, 2);
    pthread_barrier_init(&end, NULL, COLD + 1);
    for (unsigned long i = 0; i < COLD; i++) {
        colds[i] = (struct cold){ world, i + 1, JWT_MISSING, 0, &verified, &end };
        assert_int_equal(pthread_create(&threads[i], NULL, verify_cold, &colds[i]), 0);
        pthread_barrier_wait(&verified);
        assert_status(colds[i].status, colds[i].came ? JWKS_NO_MEMORY : JWT_OK);
        failed += (unsigned long)colds[i].came;
    }
    pthread_barrier_wait(&end);
    for (size_t i = 0; i < COLD; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&verified);
    pthread_barrier_destroy(&end);
    return failed;
}

static void each_allocation_of_a_cold_thread_fails_in_turn(void **state)
{
    struct world *world = *state;
    assert_status(load(world->issuer, old_set), JWT_OK);
    unsigned long failed = run_cold_threads(world);
    assert_true(failed >= 2 && failed < COLD);
    run_cold_threads(world);
    long before = live_blocks();
    run_cold_threads(world);
    assert_int_equal(live_blocks(), before);
    assert_status(verify_here(world, old_token), JWT_OK);
}

static void run_300_threads(struct world *world)
{
    struct errand errands[10];
    pthread_t threads[10];
    jwt_result *results[10];
    pthread_barrier_t together;
    pthread_barrier_init(&together, NULL, COUNT(threads));
    for (size_t i = 0; i < COUNT(results); i++)
        assert_status(jwt_result_new(&results[i]), JWT_OK);
    for (size_t round = 0; round < 30; round++) {
        struct world worlds[10];
        for (size_t i = 0; i < COUNT(threads); i++) {
            worlds[i] = *world;
            worlds[i].result = results[i];
            errands[i] = (struct errand){ &worlds[i], old_token, JWT_MISSING, 0, &together };
            assert_int_equal(pthread_create(&threads[i], NULL, run_errand, &errands[i]), 0);
        }
        for (size_t i = 0; i < COUNT(threads); i++) {
            pthread_join(threads[i], NULL);
            assert_status(errands[i].status, JWT_OK);
        }
    }
    for (size_t i = 0; i < COUNT(results); i++)
        jwt_result_release(results[i]);
    pthread_barrier_destroy(&together);
}

static void threads_that_come_and_go_leave_no_block(void **state)
{
    struct world *world = *state;
    assert_status(load(world->issuer, old_set), JWT_OK);
    run_300_threads(world);
    long before = live_blocks();
    run_300_threads(world);
    assert_int_equal(live_blocks(), before);
}

/* A thread keeps contexts of the keys that it used last, gone or not; their number is bounded. */
static void swapped_sets_leave_no_block(void **state)
{
    struct world *world = *state;
    long before = 0;
    prepare(world);
    assert_int_equal(loaded_keys, MIXED_KEYS);
    for (int i = 0; i < 200; i++) {
        if (i == 100)
            before = live_blocks();
        assert_status(load_and_put_back(world), JWT_OK);
    }
    assert_int_equal(live_blocks(), before);
}

static void a_world_leaves_no_block(void **state)
{
    (void)state;
    long before = 0;
    for (int i = 0; i < 20; i++) {
        void *world = NULL;
        if (i == 5)
            before = live_blocks();
        make_world(&world);
        assert_status(verify_here(world, old_token), JWT_OK);
        end_world(&world);
    }
    assert_int_equal(live_blocks(), before);
}

/* ---- libcrypto's and jansson's own allocations, failed in turn */

static int is_no_verdict(jwt_status status)
{
    return status == JWKS_NO_MEMORY || status == JWKS_CRYPTO_FAILURE;
}

/* A load that succeeds in spite of it has all keys; one that does not leaves the keys before. */
static unsigned long fail_each_under_a_load(struct world *world, enum owner owner)
{
    unsigned long nth = 1;
    prepare(world);
    for (;; nth++) {
        fail_allocation(owner, nth);
        jwt_status status = load_and_put_back(world);
        fail_allocation(0, 0);
        if (!failure_came())
            break;
        if (status == JWT_OK ? loaded_keys != MIXED_KEYS : !is_no_verdict(status))
            fail_msg("allocation %lu: %s, %zu keys", nth, jwt_status_name(status), loaded_keys);
        assert_unchanged(world);
    }
    return nth - 1;
}

static void each_allocation_of_libcrypto_under_a_load_fails_in_turn(void **state)
{
    unsigned long failed = fail_each_under_a_load(*state, OF_LIBCRYPTO);
    print_message("%lu allocations of libcrypto under a load failed in turn\n", failed);
    assert_true(failed > 100);
}

/* jansson drops a character that it has no memory for, and goes on; and it tells of other failures without their
 * reason. Neither must show. */
static void each_allocation_of_jansson_under_a_load_fails_in_turn(void **state)
{
    unsigned long failed = fail_each_under_a_load(*state, OF_JANSSON);
    print_message("%lu allocations of jansson failed in turn\n", failed);
    assert_true(failed > 50);
}

/* libcrypto does not always tell that it had no memory: its answer may be that the signature is bad. A good one is
 * not called bad for that, and a bad one is never accepted. */
struct tally {
    unsigned long failed, no_verdict, bad_signature;
};

static void fail_each_under_verification(struct world *world, const char *token, const char *forged,
                                         struct tally *tally)
{
    for (unsigned long nth = 1;; nth++) {
        fail_allocation(OF_LIBCRYPTO, nth);
        jwt_status status = verify_here(world, token);
        int came = failure_came();
        fail_allocation(OF_LIBCRYPTO, nth);
        jwt_status of_forged = verify_here(world, forged);
        came |= failure_came();
        fail_allocation(0, 0);
        if (!came)
            break;
        assert_true(status == JWT_OK || status == JWT_BAD_SIGNATURE || is_no_verdict(status));
        assert_true(of_forged == JWT_BAD_SIGNATURE || is_no_verdict(of_forged));
        assert_status(verify_here(world, token), JWT_OK);
        tally->failed++;
        tally->no_verdict += is_no_verdict(status);
        tally->bad_signature += status == JWT_BAD_SIGNATURE;
    }
}

static void each_allocation_of_libcrypto_under_a_verification_fails_in_turn(void **state)
{
    (void)state;
    struct tally tally = { 0, 0, 0 };
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (!(fixtures[i].algorithm & jwt_algorithms_supported()))
            continue;
        void *world = make_world_of(fixtures[i].algorithm, fixtures[i].jwks);
        char *forged = text("%s", fixtures[i].token), *signature = strrchr(forged, '.') + 1;
        signature[0] = signature[0] == 'A' ? 'B' : 'A';
        assert_status(verify_here(world, fixtures[i].token), JWT_OK);
        fail_each_under_verification(world, fixtures[i].token, forged, &tally);
        free(forged);
        end_world(&world);
    }
    print_message(
        "%lu allocations of libcrypto failed in turn: %lu without verdict, %lu as a bad signature\n",
        tally.failed, tally.no_verdict, tally.bad_signature);
    assert_true(tally.failed > 300);
    assert_int_equal(tally.bad_signature, 0);
}

/* ---- Tables of points */

static void earn_table(struct world *world, const char *token)
{
    for (int i = 0; i < 100; i++)
        assert_status(verify_here(world, token), JWT_OK);
}

/* A failure of what a table is asked is a doubt, and then EVP is asked. */
static void each_allocation_of_libcrypto_under_a_table_fails_in_turn(void **state)
{
    struct tally tally = { 0, 0, 0 };
    size_t tables = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (!(fixtures[i].algorithm & (JWT_ALG_ES256 | JWT_ALG_ES384 | JWT_ALG_ES512)))
            continue;
        void *made = make_world_of(fixtures[i].algorithm, fixtures[i].jwks);
        struct world *world = made;
        char *forged = text("%s", fixtures[i].token), *signature = strrchr(forged, '.') + 1;
        signature[0] = signature[0] == 'A' ? 'B' : 'A';
        earn_table(world, fixtures[i].token);
        assert_status(jwks_cache_poll(world->cache, NULL), JWT_OK);
        tables += (size_t)has_table(world);
        assert_int_equal(own_allocations_of_warm(world, fixtures[i].token, JWT_OK), 0);
        fail_each_under_verification(world, fixtures[i].token, forged, &tally);
        free(forged);
        end_world(&made);
    }
    print_message("%lu allocations of libcrypto with %zu tables failed in turn\n", tally.failed, tables);
    assert_true(tables >= 2 && tally.failed > 30);
    assert_int_equal(tally.bad_signature, 0);
}

/* Many of them in turn: where one fails there is no table, or a whole one, and nothing is left behind. */
static void allocations_of_a_table_fail_in_turn(void **state)
{
    const struct fixture *fixture = NULL;
    unsigned long nth = 1, failed = 0;
    int came = 1;
    (void)state;
    for (size_t i = 0; i < COUNT(fixtures); i++)
        if (fixtures[i].algorithm == JWT_ALG_ES512)
            fixture = &fixtures[i];
    for (; came; nth += 1 + nth / 4) {
        void *made = make_world_of(fixture->algorithm, fixture->jwks);
        struct world *world = made;
        earn_table(world, fixture->token);
        long before = live_blocks();
        fail_allocation(OF_KEYTURN | OF_LIBCRYPTO, nth);
        jwt_status status = jwks_cache_poll(world->cache, NULL);
        fail_allocation(0, 0);
        came = failure_came();
        failed += (unsigned long)came;
        assert_status(status, JWT_OK);
        if (!has_table(world))
            assert_int_equal(live_blocks(), before);
        assert_status(verify_here(world, fixture->token), JWT_OK);
        end_world(&made);
    }
    print_message("%lu allocations of a table failed in turn\n", failed);
    assert_true(failed > 10);
}

/* RFC 7518 section 3.5: the salt is as long as the hash. That setting is made with libcrypto's memory, too. */
static void a_pss_salt_of_another_length_is_never_accepted(void **state)
{
    (void)state;
    struct tally tally = { 0, 0, 0 };
    void *world = make_world_of(JWT_ALG_PS256, RSA_JWKS_WITHOUT_ALG);
    assert_status(verify_here(world, RSA_TOKEN_PS256), JWT_OK);
    assert_status(verify_here(world, PS256_TOKEN_OF_SHORT_SALT), JWT_BAD_SIGNATURE);
    fail_each_under_verification(world, RSA_TOKEN_PS256, PS256_TOKEN_OF_SHORT_SALT, &tally);
    assert_true(tally.failed > 20);
    end_world(&world);
}

/* ---- Threads whose destructors verify */

static pthread_key_t late_key;

struct late {
    struct world *world;
    int rounds, refused;
};

static void verify_late(void *argument)
{
    struct late *late = argument;
    late->refused += verify_here(late->world, old_token) != JWT_OK;
    if (--late->rounds > 0)
        pthread_setspecific(late_key, late);
}

static void *verify_and_leave_a_destructor(void *argument)
{
    pthread_setspecific(late_key, argument);
    return NULL;
}

/* In all rounds of destructors but the last, in which libcrypto's own state stays behind. */
static void late_destructors_leave_no_block(void **state)
{
    struct world *world = *state;
    long before = 0;
    assert_int_equal(pthread_key_create(&late_key, verify_late), 0);
    for (int i = 0; i < 60; i++) {
        struct late late = { world, PTHREAD_DESTRUCTOR_ITERATIONS - 1, 0 };
        pthread_t thread;
        if (i == 10)
            before = live_blocks();
        assert_int_equal(pthread_create(&thread, NULL, verify_and_leave_a_destructor, &late), 0);
        pthread_join(thread, NULL);
        assert_int_equal(late.rounds, 0);
        assert_int_equal(late.refused, 0);
    }
    assert_int_equal(live_blocks(), before);
    pthread_key_delete(late_key);
}

static int make_texts(void **state)
{
    (void)state;
    char *key = jwk(1, "one");
    old_set = text("{\"keys\":[%s]}", key);
    new_set = mixed_set();
    old_token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    new_token = mint(2, GOOD_HEADER, GOOD_CLAIMS);
    for (unsigned i = 0; i < COUNT(signed_sets); i++) {
        char *svid = jwk(3 + i, NULL);
        char *set = text("{\"exp\":9e9,\"keys\":[%.*s,\"use\":\"jwt-svid\"}]}", (int)strlen(svid) - 1, svid);
        signed_sets[i] = mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"typ\":\"jwk-set+jwt\"}", set);
        free(svid);
        free(set);
    }
    free(key);
    return 0;
}

static int free_texts(void **state)
{
    (void)state;
    free(old_set);
    free(new_set);
    free(old_token);
    free(new_token);
    for (size_t i = 0; i < COUNT(signed_sets); i++)
        free(signed_sets[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_verification_allocates_nothing_of_its_own),
        WITH_WORLD(a_warm_verification_among_revocations_allocates_nothing),
        WITH_WORLD(a_warm_refusal_allocates_nothing_of_its_own),
        WITH_WORLD(accessors_allocate_nothing_at_all),
        WITH_WORLD(a_cold_thread_does_allocate),
        WITH_WORLD(a_result_that_grows_does_allocate),
        WITH_WORLD(each_own_allocation_that_fails_is_no_memory_and_changes_nothing),
        cmocka_unit_test(each_allocation_of_a_sweep_fails_in_turn),
        WITH_WORLD(each_allocation_of_many_issuers_fails_in_turn),
        cmocka_unit_test(each_allocation_of_a_fetch_fails_in_turn),
        WITH_WORLD(each_allocation_of_a_cold_thread_fails_in_turn),
        WITH_WORLD(threads_that_come_and_go_leave_no_block),
        WITH_WORLD(swapped_sets_leave_no_block),
        cmocka_unit_test(a_world_leaves_no_block),
        WITH_WORLD(each_allocation_of_libcrypto_under_a_load_fails_in_turn),
        WITH_WORLD(each_allocation_of_jansson_under_a_load_fails_in_turn),
        cmocka_unit_test(each_allocation_of_libcrypto_under_a_verification_fails_in_turn),
        cmocka_unit_test_setup_teardown(each_allocation_of_libcrypto_under_a_table_fails_in_turn,
                                        know_no_tokens, know_tokens),
        cmocka_unit_test_setup_teardown(allocations_of_a_table_fail_in_turn, know_no_tokens, know_tokens),
        cmocka_unit_test(a_pss_salt_of_another_length_is_never_accepted),
        WITH_WORLD(late_destructors_leave_no_block),
    };
    find_owners();
    return cmocka_run_group_tests_name("memory", tests, make_texts, free_texts);
}
