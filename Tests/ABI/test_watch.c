/* What a host can see of a cache: counters. */
#include "fetching.h"

#include <malloc.h>
#include <pthread.h>

/* With a memory checker fewer rounds prove the same. */
static int rounds(int all)
{
    const char *share = getenv("KEYTURN_TEST_SHARE");
    return share ? all / atoi(share) : all;
}

static jwks_key_info key_of(jwks_issuer *issuer, size_t position)
{
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(jwks_issuer_keys(issuer, &list), JWT_OK);
    assert_status(jwks_key_list_get(list, position, &info), JWT_OK);
    jwks_key_list_release(list);
    info.kid = info.thumbprint = (keyturn_span){ NULL, 0 };
    return info;
}

/* ---- Verdicts */

static void each_verdict_is_counted_once_and_in_its_place(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *claims;
        jwt_status status;
        int of_cache;
    } rows[] = {
        { GOOD_CLAIMS, JWT_OK, 0 },
        { "{" ISS "," AUD ",\"exp\":1}", JWT_EXPIRED, 0 },
        { "{" ISS ",\"aud\":\"x\"," EXP "}", JWT_AUDIENCE_MISMATCH, 0 },
        { "{\"iss\":\"x\"," AUD "," EXP "}", JWT_ISSUER_UNKNOWN, 1 },
        { "{", JWT_BAD_JSON, 1 },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t round = 0; round <= i; round++)
            assert_status(verify_claims(world, rows[i].claims), rows[i].status);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"two\"}"), JWT_KEY_NOT_FOUND);
    char *forged = mint(9, GOOD_HEADER, GOOD_CLAIMS);
    assert_status(verify(world, forged), JWT_BAD_SIGNATURE);
    free(forged);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t expected = i + 1;
        assert_int_equal(jwks_issuer_tokens(world->issuer, rows[i].status), rows[i].of_cache ? 0 : expected);
        assert_int_equal(jwks_cache_tokens(world->cache, rows[i].status), rows[i].of_cache ? expected : 0);
    }
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_KEY_NOT_FOUND), 1);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_BAD_SIGNATURE), 1);
    for (unsigned number = 0; number < 1000; number++) { /* and nothing else */
        int known = strcmp(jwt_status_name((jwt_status)number), "JWT_UNKNOWN") != 0;
        uint64_t all = jwks_issuer_tokens(world->issuer, (jwt_status)number) +
                       jwks_cache_tokens(world->cache, (jwt_status)number);
        assert_true(known || all == 0);
    }
}

static void issuers_and_caches_count_apart(void **state)
{
    struct world *world = *state;
    void *other = NULL;
    assert_int_equal(make_world(&other), 0);
    struct world *second = other;
    jws_options options = JWS_OPTIONS_INIT;
    char *token = mint(1, GOOD_HEADER, "payload");
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(jws_verify(world->issuer, &options, token, strlen(token), world->result), JWT_OK);
    assert_status(jws_verify(world->issuer, &options, "x", 1, world->result), JWT_MALFORMED);
    free(token);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_OK), 2);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_MALFORMED), 1); /* which it names */
    assert_int_equal(jwks_cache_tokens(world->cache, JWT_MALFORMED), 0);
    assert_int_equal(jwks_issuer_tokens(second->issuer, JWT_OK), 0);
    end_world(&other);
    assert_int_equal(jwks_issuer_tokens(NULL, JWT_OK), 0);
    assert_int_equal(jwks_cache_tokens(NULL, JWT_OK), 0);
}

/* ---- Keys */

static void a_key_tells_what_it_was_used_for(void **state)
{
    struct world *world = *state;
    jwks_key_info info = key_of(world->issuer, 0);
    assert_true(info.accepted == 0 && info.latest_exp == 0 && info.first_use == 0 && info.last_use == 0);
    assert_status(verify_claims(world, "{" ISS "," AUD ",\"exp\":1800000500}"), JWT_OK);
    world->now += 7;
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(verify_claims(world, "{" ISS "," AUD ",\"exp\":1800009999,\"nbf\":1800009000}"),
                  JWT_NOT_YET_VALID);
    info = key_of(world->issuer, 0);
    assert_int_equal(info.accepted, 2);
    assert_int_equal(info.latest_exp, 1800000500);
    assert_int_equal(info.first_use, NOW);
    assert_int_equal(info.last_use, NOW + 7);
}

static void a_token_without_exp_is_never_safe_to_forget(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    char *token = mint(1, GOOD_HEADER, "octets");
    assert_status(jws_verify(world->issuer, NULL, token, strlen(token), world->result), JWT_OK);
    free(token);
    assert_int_equal(key_of(world->issuer, 0).latest_exp, 0); /* no claims set */
    options.allow_no_expiry = 1;
    use_policy(world, &options);
    assert_status(verify_claims(world, "{" ISS "," AUD "}"), JWT_OK);
    assert_true(key_of(world->issuer, 0).latest_exp == INT64_MAX);
    assert_int_equal(key_of(world->issuer, 0).accepted, 2);
}

static void a_key_keeps_its_numbers_as_long_as_it_is_published(void **state)
{
    struct world *world = *state;
    char *one = jwk(1, "one"), *two = jwk(2, "two"), *both = text("{\"keys\":[%s,%s]}", two, one);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(load(world->issuer, both), JWT_OK);
    assert_int_equal(key_of(world->issuer, 0).accepted, 0);
    assert_int_equal(key_of(world->issuer, 1).accepted, 1);
    load_key(world->issuer, 2, "two");
    load_key(world->issuer, 1, "one");
    assert_int_equal(key_of(world->issuer, 0).accepted, 0);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_OK), 1); /* the issuer's stay */
    free(one);
    free(two);
    free(both);
}

/* ---- Threads */

enum { THREADS = 8 };

struct worker {
    struct world *world;
    const char *good, *forged;
    int count;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    jwt_result *result = NULL;
    jwt_result_new(&result);
    for (int i = 0; i < worker->count; i++) {
        const char *token = i % 4 ? worker->good : worker->forged;
        jwt_verify(worker->world->policy, token, strlen(token), result);
    }
    jwt_result_release(result);
    return NULL;
}

/* While the main thread looks, which must never see a number go back. */
static void what_threads_count_adds_up(void **state)
{
    struct world *world = *state;
    char *good = mint(1, GOOD_HEADER, GOOD_CLAIMS), *forged = mint(2, GOOD_HEADER, GOOD_CLAIMS);
    int count = rounds(2000), generations = 10;
    struct worker worker = { world, good, forged, count / 4 * 4 };
    uint64_t seen = 0;
    for (int generation = 0; generation < generations; generation++) { /* records go from thread to thread */
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, work, &worker), 0);
        for (int i = 0; i < 50; i++) {
            uint64_t now = jwks_issuer_tokens(world->issuer, JWT_OK);
            assert_true(now >= seen);
            seen = now;
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    uint64_t all = (uint64_t)worker.count * THREADS * (uint64_t)generations;
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_OK), all / 4 * 3);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_BAD_SIGNATURE), all / 4);
    assert_int_equal(key_of(world->issuer, 0).accepted, all / 4 * 3);
    print_message("%llu verdicts of %d threads\n", (unsigned long long)all, THREADS * generations);
    free(good);
    free(forged);
}

/* So many that the table of a thread must grow again and again. */
static void many_issuers_are_counted_each(void **state)
{
    struct world *world = *state;
    enum { MANY = 300 };
    static const char *const audiences[] = { AUDIENCE };
    jwks_issuer *issuers[MANY];
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    for (int i = 0; i < MANY; i++) {
        char *name = text("https://%d.example", i);
        issuers[i] = add_issuer(world->cache, name);
        load_key(issuers[i], 1, "one");
        free(name);
    }
    options.issuers = issuers;
    options.issuer_count = MANY;
    options.audiences = audiences;
    options.audience_count = 1;
    use_policy(world, &options);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MANY; i++) {
            char *claims = text("{\"iss\":\"https://%d.example\"," AUD "," EXP "}", i);
            assert_status(verify_claims(world, claims), JWT_OK);
            free(claims);
        }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(jwks_issuer_tokens(issuers[i], JWT_OK), 2);
        assert_int_equal(key_of(issuers[i], 0).accepted, 2);
        jwks_issuer_release(issuers[i]);
    }
}

/* ---- Memory */

static size_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Each key is used, so that each leaves its row behind; and each issuer. */
static void rotate(struct world *world, int times)
{
    char *tokens[2] = { mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"a\"}", GOOD_CLAIMS),
                        mint(2, "{\"alg\":\"EdDSA\",\"kid\":\"b\"}", GOOD_CLAIMS) };
    char *sets[2] = { set_of(1, "a"), set_of(2, "b") };
    for (int i = 0; i < times; i++) {
        assert_status(load(world->issuer, sets[i % 2]), JWT_OK);
        assert_status(verify(world, tokens[i % 2]), JWT_OK);
        if (i % 100 == 0)
            jwks_issuer_release(add_issuer(world->cache, "https://passing.example"));
    }
    for (int i = 0; i < 2; i++) {
        free(tokens[i]);
        free(sets[i]);
    }
}

static void rotations_leave_nothing_behind(void **state)
{
    struct world *world = *state;
    rotate(world, 200);
    size_t before = memory_in_use();
    rotate(world, rounds(10000));
    long grown = (long)(memory_in_use() - before);
    print_message("%d rotations, memory %+ld\n", rounds(10000), grown);
    assert_in_range(grown + 4096, 0, 8192);
    assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_OK), 200 + rounds(10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(each_verdict_is_counted_once_and_in_its_place),
        WITH_WORLD(issuers_and_caches_count_apart),
        WITH_WORLD(a_key_tells_what_it_was_used_for),
        WITH_WORLD(a_token_without_exp_is_never_safe_to_forget),
        WITH_WORLD(a_key_keeps_its_numbers_as_long_as_it_is_published),
        WITH_WORLD(what_threads_count_adds_up),
        WITH_WORLD(many_issuers_are_counted_each),
        WITH_WORLD(rotations_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
