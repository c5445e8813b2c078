/* Handles in every order of release, key sets in place of key sets, threads that come and go, and fork. */
#include "support.h"
#include "fixtures.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- Handles */

static void a_policy_outlives_the_handles_it_was_made_of(void **state)
{
    (void)state;
    void *world = NULL;
    make_world(&world);
    struct world *w = world;
    jwks_issuer_release(w->issuer);
    jwks_cache_release(w->cache);
    w->issuer = NULL;
    w->cache = NULL;
    assert_status(verify_claims(w, GOOD_CLAIMS), JWT_OK);
    assert_span(jwt_result_issuer(w->result), ISSUER);
    end_world(&world);
}

static void an_issuer_outlives_its_cache_handle(void **state)
{
    (void)state;
    int64_t now = NOW;
    jwks_cache *cache = new_cache(&now);
    jwks_issuer *issuer = add_issuer(cache, ISSUER);
    jwks_cache_release(cache);
    load_key(issuer, 1, "one");
    jwks_key_list *list = NULL;
    assert_status(jwks_issuer_keys(issuer, &list), JWT_OK);
    jwks_issuer_release(issuer);
    assert_int_equal(jwks_key_list_count(list), 1);
    jwks_key_list_release(list);
}

/* A released issuer handle is not a removed issuer: the cache keeps it. */
static void a_cache_keeps_issuers_whose_handles_are_released(void **state)
{
    struct world *world = *state;
    jwks_issuer_release(world->issuer);
    world->issuer = NULL;
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *again = NULL;
    options.issuer = ISSUER;
    assert_status(jwks_cache_add_issuer(world->cache, &options, &again, NULL), JWKS_INVALID_OPTION);
}

static void an_issuer_leaves_with_its_last_handle_and_policy(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 3; i++) {
        jwks_issuer *issuer = add_issuer(world->cache, "https://passing.example");
        jwt_policy_options options = good_options(world);
        options.issuers = &issuer;
        jwt_policy *policy = new_policy(world->cache, &options);
        jwks_issuer_release(issuer);
        jwks_issuer_options again = JWKS_ISSUER_OPTIONS_INIT;
        jwks_issuer *refused = NULL;
        again.issuer = "https://passing.example";
        assert_status(jwks_cache_add_issuer(world->cache, &again, &refused, NULL), JWKS_INVALID_OPTION);
        jwt_policy_release(policy);
    }
}

static void each_retain_needs_one_release(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 1000; i++) {
        jwks_cache_retain(world->cache);
        jwks_issuer_retain(world->issuer);
        jwt_policy_retain(world->policy);
    }
    for (int i = 0; i < 1000; i++) {
        jwt_policy_release(world->policy);
        jwks_issuer_release(world->issuer);
        jwks_cache_release(world->cache);
    }
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
}

/* The six orders in which cache, issuer and policy can be let go. */
static void handles_may_be_released_in_any_order(void **state)
{
    (void)state;
    static const char *const orders[] = { "cip", "cpi", "icp", "ipc", "pci", "pic" };
    for (size_t i = 0; i < COUNT(orders); i++) {
        void *world = NULL;
        make_world(&world);
        struct world *w = world;
        for (const char *c = orders[i]; *c; c++)
            if (*c == 'c')
                jwks_cache_release(w->cache);
            else if (*c == 'i')
                jwks_issuer_release(w->issuer);
            else
                jwt_policy_release(w->policy);
        w->cache = NULL;
        w->issuer = NULL;
        w->policy = NULL;
        end_world(&world);
    }
}

/* ---- Removal */

static void a_removed_issuers_tokens_have_no_keys(void **state)
{
    struct world *world = *state;
    jwks_key_list *list = NULL;
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(jwks_issuer_remove(world->issuer), JWT_OK);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWKS_KEYS_UNAVAILABLE);
    assert_status(jwks_issuer_remove(world->issuer), JWKS_REMOVED);
    assert_status(load(world->issuer, RSA_JWKS_WITHOUT_ALG), JWKS_REMOVED);
    assert_status(jwks_issuer_keys(world->issuer, &list), JWKS_KEYS_UNAVAILABLE);
    assert_null(list);
    char *token = mint(1, GOOD_HEADER, "x");
    assert_status(jws_verify(world->issuer, NULL, token, strlen(token), world->result),
                  JWKS_KEYS_UNAVAILABLE);
    free(token);
}

static void a_name_added_again_is_another_issuer(void **state)
{
    struct world *world = *state;
    assert_status(jwks_issuer_remove(world->issuer), JWT_OK);
    jwks_issuer *again = add_issuer(world->cache, ISSUER);
    load_key(again, 2, "one");
    assert_status(verify_claims(world, GOOD_CLAIMS), JWKS_KEYS_UNAVAILABLE);
    jwt_policy_options options = good_options(world);
    options.issuers = &again;
    use_policy(world, &options);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_BAD_SIGNATURE);
    char *token = mint(2, GOOD_HEADER, GOOD_CLAIMS);
    assert_status(verify(world, token), JWT_OK);
    free(token);
    jwks_issuer_release(again);
}

static void issuers_come_and_go_without_end(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 2000; i++) {
        jwks_issuer *issuer = add_issuer(world->cache, "https://passing.example");
        if (i % 100 == 0)
            load_key(issuer, 2, "two");
        assert_status(jwks_issuer_remove(issuer), JWT_OK);
        jwks_issuer_release(issuer);
    }
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
}

/* ---- Loading */

static jwt_status verify_signed_by(struct world *world, unsigned key)
{
    char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"kid-%u\"}", key);
    char *token = mint(key, header, GOOD_CLAIMS);
    jwt_status status = verify(world, token);
    free(token);
    free(header);
    return status;
}

static void a_load_replaces_the_keys_at_once(void **state)
{
    struct world *world = *state;
    for (unsigned first = 1; first < 20; first++) {
        char *set = jwks(first, 2, 1);
        assert_status(load(world->issuer, set), JWT_OK);
        assert_status(verify_signed_by(world, first), JWT_OK);
        assert_status(verify_signed_by(world, first + 1), JWT_OK);
        assert_status(verify_signed_by(world, first - 1), JWT_KEY_NOT_FOUND);
        free(set);
    }
}

static void a_kid_with_another_key_is_another_key(void **state)
{
    struct world *world = *state;
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    load_key(world->issuer, 2, "one");
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_BAD_SIGNATURE);
    load_key(world->issuer, 1, "one");
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
}

static void a_bad_document_leaves_the_keys_before_it(void **state)
{
    struct world *world = *state;
    static const char *const documents[] = {
        "",
        " ",
        "{",
        "[]",
        "null",
        "5",
        "\"keys\"",
        "{}",
        "{\"keys\":null}",
        "{\"keys\":{}}",
        "{\"keys\":\"x\"}",
        "{\"keys\":[]}",
        "{\"keys\":[null,5,\"x\",{}]}",
        "{\"keys\":[{\"kty\":\"unknown\"}]}",
        "{\"Keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]",
        "{\"keys\":[{\"kty\":\"OKP\",\"kty\":\"OKP\",\"crv\":\"Ed25519\","
        "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}],"
        "\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
        "\"kid\":\"\xff\"}]}",
    };
    for (size_t i = 0; i < COUNT(documents); i++) {
        jwks_error error = JWKS_ERROR_INIT;
        jwt_status status = jwks_issuer_load(world->issuer, documents[i], strlen(documents[i]), &error);
        if (status != JWKS_INVALID_DOCUMENT)
            print_error("%s\n", documents[i]);
        assert_status(status, JWKS_INVALID_DOCUMENT);
        assert_string_not_equal(error.message, "");
        assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    }
}

static void a_set_too_large_is_refused_whole(void **state)
{
    struct world *world = *state;
    char *at_bound = jwks(1, 200, 1), *beyond = jwks(0, 256, 1);
    assert_status(load(world->issuer, at_bound), JWT_OK);
    assert_status(load(world->issuer, beyond), JWT_OK);
    free(beyond);
    char *one_more = text("{\"keys\":[5,%s", strchr(at_bound, '[') + 1);
    assert_status(load(world->issuer, one_more), JWT_OK);
    free(one_more);
    char *many = malloc(3000);
    strcpy(many, "{\"keys\":[");
    for (int i = 0; i < 200; i++)
        strcat(many, "5,");
    char *too_many = text("%s%s", many, strchr(at_bound, '[') + 1);
    assert_status(load(world->issuer, too_many), JWKS_INVALID_DOCUMENT);
    assert_status(verify_signed_by(world, 200), JWT_OK);
    free(too_many);
    free(many);
    free(at_bound);
}

static void a_document_may_be_as_long_as_max_document(void **state)
{
    struct world *world = *state;
    char *set = jwks(1, 1, 1);
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    for (uint32_t less = 0; less < 2; less++) {
        jwks_issuer *issuer = NULL;
        options.issuer = "https://small.example";
        options.max_document = (uint32_t)strlen(set) - less;
        assert_status(jwks_cache_add_issuer(world->cache, &options, &issuer, NULL), JWT_OK);
        assert_status(load(issuer, set), less ? JWKS_INVALID_DOCUMENT : JWT_OK);
        assert_status(jwks_issuer_remove(issuer), JWT_OK);
        jwks_issuer_release(issuer);
    }
    free(set);
}

/* ---- The key list */

static void the_list_tells_why_each_key_is_left_out(void **state)
{
    struct world *world = *state;
    jwks_key_list *list = NULL;
    assert_status(load(world->issuer, FAULTY_JWKS), JWT_OK);
    assert_status(jwks_issuer_keys(world->issuer, &list), JWT_OK);
    assert_int_equal(jwks_key_list_count(list), COUNT(faulty_reasons));
    for (size_t i = 0; i < COUNT(faulty_reasons); i++) {
        jwks_key_info info = JWKS_KEY_INFO_INIT;
        assert_status(jwks_key_list_get(list, i, &info), JWT_OK);
        if (info.fault != faulty_reasons[i])
            fail_msg("key %zu: fault %d instead of %d", i, info.fault, faulty_reasons[i]);
        assert_int_equal(info.index, i);
        assert_true((info.algorithms != 0) == (info.fault == JWKS_KEY_USABLE));
    }
    jwks_key_list_release(list);
}

/* The fault of a document's other key beside a good one. */
static jwks_key_fault fault_of(jwks_issuer *issuer, const char *other, const char *good)
{
    char *set = text("{\"keys\":[%s,%s]}", other, good);
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(load(issuer, set), JWT_OK);
    assert_status(jwks_issuer_keys(issuer, &list), JWT_OK);
    assert_int_equal(jwks_key_list_count(list), 2);
    assert_status(jwks_key_list_get(list, 0, &info), JWT_OK);
    jwks_key_list_release(list);
    free(set);
    return info.fault;
}

static jwks_issuer *add_with(struct world *world, jwks_issuer_options options)
{
    jwks_issuer *issuer = NULL;
    options.size = sizeof options;
    assert_status(jwks_cache_add_issuer(world->cache, &options, &issuer, NULL), JWT_OK);
    return issuer;
}

#define P256(members)                                                                                        \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","               \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"" members "}"

static void keys_of_other_algorithms_than_the_issuers_are_left_out(void **state)
{
    struct world *world = *state;
    char *good = jwk(1, "one");
    jwks_issuer *issuer = add_with(
        world, (jwks_issuer_options){ .issuer = "https://narrow.example", .algorithms = JWT_ALG_EDDSA });
    assert_int_equal(fault_of(issuer, P256(""), good), JWKS_KEY_NOT_ALLOWED);
    assert_int_equal(fault_of(world->issuer, P256(""), good), JWKS_KEY_USABLE);
    jwks_issuer_release(issuer);
    free(good);
}

static void keys_of_a_spiffe_bundle_say_their_use(void **state)
{
    struct world *world = *state;
    static const char good[] = P256(",\"kid\":\"a\",\"use\":\"jwt-svid\"");
    jwks_issuer *issuer = add_with(
        world, (jwks_issuer_options){ .issuer = "https://spiffe.example", .use = JWKS_USE_JWT_SVID });
    assert_int_equal(fault_of(issuer, P256(",\"use\":\"x509-svid\""), good), JWKS_KEY_OTHER_USE);
    assert_int_equal(fault_of(issuer, P256(",\"use\":\"sig\""), good), JWKS_KEY_OTHER_USE);
    assert_int_equal(fault_of(issuer, P256(""), good), JWKS_KEY_OTHER_USE);
    assert_int_equal(fault_of(world->issuer, good, P256("")), JWKS_KEY_OTHER_USE);
    jwks_issuer_release(issuer);
}

static void a_set_that_mixes_secrets_with_public_keys_is_refused(void **state)
{
    struct world *world = *state;
    static const char secret[] = "{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}";
    char *public = jwk(1, "one");
    char *mixed = text("{\"keys\":[%s,%s]}", secret, public), *pure = text("{\"keys\":[%s]}", secret);
    jwks_issuer *issuer = add_with(world, (jwks_issuer_options){ .issuer = "https://secret.example",
                                                                 .algorithms = JWT_ALG_HS256,
                                                                 .allow_symmetric = 1 });
    assert_status(load(issuer, mixed), JWKS_INVALID_DOCUMENT);
    assert_status(load(issuer, pure), JWT_OK);
    assert_int_equal(fault_of(world->issuer, secret, public), JWKS_KEY_SYMMETRIC);
    jwks_issuer_release(issuer);
    free(public);
    free(mixed);
    free(pure);
}

static void the_list_describes_each_key(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        uint32_t bits;
    } bits[] = { { "RS256", 2048 }, { "ES256", 256 }, { "ES384", 384 }, { "ES512", 521 }, { "ES256K", 256 } };
    int64_t now = NOW;
    jwks_cache *cache = new_cache(&now);
    jwks_issuer *issuer = add_issuer(cache, ISSUER);
    size_t described = 0;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (!(fixtures[i].algorithm & jwt_algorithms_supported() & ~(uint64_t)(7 << 13)))
            continue;
        jwks_key_list *list = NULL;
        jwks_key_info info = JWKS_KEY_INFO_INIT;
        assert_status(load(issuer, fixtures[i].jwks), JWT_OK);
        assert_status(jwks_issuer_keys(issuer, &list), JWT_OK);
        assert_status(jwks_key_list_get(list, 0, &info), JWT_OK);
        assert_int_equal(info.fault, JWKS_KEY_USABLE);
        assert_int_equal(info.lenient, 0);
        assert_true(info.algorithms & fixtures[i].algorithm);
        assert_int_equal(info.kid.len, strlen(fixtures[i].label));
        assert_memory_equal(info.thumbprint.data, fixtures[i].thumbprint, 43);
        for (size_t j = 0; j < COUNT(bits); j++)
            if (strcmp(bits[j].label, fixtures[i].label) == 0)
                assert_int_equal(info.bits, bits[j].bits);
        jwks_key_list_release(list);
        described++;
    }
    assert_true(described >= 14);
    jwks_issuer_release(issuer);
    jwks_cache_release(cache);
}

static void a_list_shows_one_moment_and_outlives_it(void **state)
{
    struct world *world = *state;
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(jwks_issuer_keys(world->issuer, &list), JWT_OK);
    assert_status(jwks_key_list_get(list, 0, &info), JWT_OK);
    for (unsigned i = 2; i < 50; i++)
        load_key(world->issuer, i, "another");
    assert_status(jwks_issuer_remove(world->issuer), JWT_OK);
    assert_int_equal(jwks_key_list_count(list), 1);
    assert_span(info.kid, "one");
    assert_int_equal(info.thumbprint.len, 43);
    jwks_key_list_release(list);
}

static void a_kid_is_told_unescaped(void **state)
{
    struct world *world = *state;
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    load_key(world->issuer, 1, "\\u006fne\\/\\u00e9");
    assert_status(jwks_issuer_keys(world->issuer, &list), JWT_OK);
    assert_status(jwks_key_list_get(list, 0, &info), JWT_OK);
    assert_span(info.kid, "one/\xc3\xa9");
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"one/\xc3\xa9\"}"), JWT_OK);
    jwks_key_list_release(list);
}

/* How often to repeat: less under a memory checker, which says so by KEYTURN_TEST_SHARE (a tenth: 10). */
static int rounds(int usual)
{
    const char *share = getenv("KEYTURN_TEST_SHARE");
    return share && atoi(share) > 0 ? usual / atoi(share) : usual;
}

/* ---- Threads. cmocka's assertions belong to the main thread: others count. */

struct verifier {
    const struct world *world;
    const char *token;
    atomic_int stop;
    atomic_long verified, failed;
};

static void *verify_until_stopped(void *argument)
{
    struct verifier *verifier = argument;
    jwt_result *result = NULL;
    if (jwt_result_new(&result) != JWT_OK)
        return NULL;
    do {
        jwt_status status =
            jwt_verify(verifier->world->policy, verifier->token, strlen(verifier->token), result);
        atomic_fetch_add(status == JWT_OK ? &verifier->verified : &verifier->failed, 1);
    } while (!atomic_load(&verifier->stop));
    jwt_result_release(result);
    return NULL;
}

static void *verify_once(void *argument)
{
    struct verifier *verifier = argument;
    jwt_result *result = NULL;
    if (jwt_result_new(&result) != JWT_OK)
        return NULL;
    jwt_status status = jwt_verify(verifier->world->policy, verifier->token, strlen(verifier->token), result);
    atomic_fetch_add(status == JWT_OK ? &verifier->verified : &verifier->failed, 1);
    jwt_result_release(result);
    return NULL;
}

enum { MOST_VERIFIERS = 4 };

struct crowd {
    struct verifier verifier;
    pthread_t threads[MOST_VERIFIERS];
    size_t count;
};

/* Returns when the first verification is over. What is asserted is asserted after the crowd has stopped. */
static void start_crowd(struct crowd *crowd, const struct world *world, const char *token, size_t count)
{
    memset(crowd, 0, sizeof *crowd);
    crowd->verifier.world = world;
    crowd->verifier.token = token;
    for (; crowd->count < count; crowd->count++)
        assert_int_equal(
            pthread_create(&crowd->threads[crowd->count], NULL, verify_until_stopped, &crowd->verifier), 0);
    while (atomic_load(&crowd->verifier.verified) == 0)
        usleep(100);
}

static void stop_crowd(struct crowd *crowd)
{
    atomic_store(&crowd->verifier.stop, 1);
    for (size_t i = 0; i < crowd->count; i++)
        pthread_join(crowd->threads[i], NULL);
    assert_int_equal(crowd->verifier.failed, 0);
}

static void a_key_in_both_sets_never_fails_while_they_are_swapped(void **state)
{
    struct world *world = *state;
    char *one = jwk(1, "one"), *two = jwk(2, "two"), *three = jwk(3, "three");
    char *sets[] = { text("{\"keys\":[%s,%s]}", two, one), text("{\"keys\":[%s,%s,%s]}", one, three, two) };
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    struct crowd crowd;
    int loaded = 0, swaps = rounds(500);
    start_crowd(&crowd, world, token, MOST_VERIFIERS);
    for (int i = 0; i < swaps; i++) {
        jwt_status status;
        while ((status = load(world->issuer, sets[i % 2])) == JWKS_BUSY)
            usleep(1000);
        loaded += status == JWT_OK;
    }
    stop_crowd(&crowd);
    assert_int_equal(loaded, swaps);
    assert_true(crowd.verifier.verified > swaps);
    free(token);
    free(sets[0]);
    free(sets[1]);
    free(one);
    free(two);
    free(three);
}

struct rotation {
    struct world *world;
    atomic_int stop;
};

static void *rotate_until_stopped(void *argument)
{
    struct rotation *rotation = argument;
    char *sets[] = { jwks(1, 1, 1), jwks(2, 1, 1) };
    for (unsigned i = 0; !atomic_load(&rotation->stop); i++)
        load(rotation->world->issuer, sets[i % 2]);
    free(sets[0]);
    free(sets[1]);
    return NULL;
}

static void a_key_of_one_set_is_accepted_or_not_found_never_bad(void **state)
{
    struct world *world = *state;
    struct rotation rotation = { world, 0 };
    pthread_t thread;
    int accepted = 0, not_found = 0, asked = 0, enough = rounds(500);
    char *set = jwks(1, 1, 1), *token = mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"kid-1\"}", GOOD_CLAIMS);
    assert_status(load(world->issuer, set), JWT_OK);
    assert_int_equal(pthread_create(&thread, NULL, rotate_until_stopped, &rotation), 0);
    time_t end = time(NULL) + 60;
    for (; time(NULL) < end && (accepted < enough || not_found < enough); asked++) {
        jwt_status status = jwt_verify(world->policy, token, strlen(token), world->result);
        accepted += status == JWT_OK;
        not_found += status == JWT_KEY_NOT_FOUND;
    }
    atomic_store(&rotation.stop, 1);
    pthread_join(thread, NULL);
    assert_int_equal(accepted + not_found, asked);
    assert_true(accepted >= enough && not_found >= enough);
    free(set);
    free(token);
}

static void run_short_threads(struct verifier *verifier, size_t count)
{
    pthread_t threads[10];
    for (size_t started = 0; started < count; started += COUNT(threads)) {
        for (size_t i = 0; i < COUNT(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, verify_once, verifier), 0);
        for (size_t i = 0; i < COUNT(threads); i++)
            pthread_join(threads[i], NULL);
    }
}

/* That they leave no memory behind is counted in test_memory, block by block. */
static void threads_may_come_and_go(void **state)
{
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    struct verifier verifier = { *state, token, 0, 0, 0 };
    run_short_threads(&verifier, 300);
    assert_int_equal(verifier.verified, 300);
    assert_int_equal(verifier.failed, 0);
    free(token);
}

/* A host's destructor of thread-local data may verify, after the library's own has run. */
static pthread_key_t late_key;

struct late {
    struct verifier *verifier;
    int rounds;
};

static void verify_late(void *argument)
{
    struct late *late = argument;
    verify_once(late->verifier);
    if (++late->rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(late_key, late);
    else
        free(late);
}

static void *verify_and_leave_a_destructor(void *argument)
{
    struct late *late = calloc(1, sizeof *late);
    late->verifier = argument;
    pthread_setspecific(late_key, late);
    return verify_once(argument);
}

static void late_destructors_of_the_host_may_verify(void **state)
{
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    struct verifier verifier = { *state, token, 0, 0, 0 };
    assert_int_equal(pthread_key_create(&late_key, verify_late), 0);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, verify_and_leave_a_destructor, &verifier), 0);
        pthread_join(thread, NULL);
    }
    assert_int_equal(verifier.failed, 0);
    assert_int_equal(verifier.verified, 200 * (1 + PTHREAD_DESTRUCTOR_ITERATIONS));
    for (unsigned i = 0; i < 200; i++) /* a reader that never left would hold these back */
        load_key(((struct world *)*state)->issuer, 1, "one");
    pthread_key_delete(late_key);
    free(token);
}

/* A thread that ended is no stalled reader: sets are swapped without end after it. */
static void a_thread_that_ended_holds_nothing_back(void **state)
{
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    struct verifier verifier = { *state, token, 0, 0, 0 };
    run_short_threads(&verifier, 10);
    for (unsigned i = 0; i < 200; i++)
        load_key(((struct world *)*state)->issuer, i % 7 + 1, "one");
    free(token);
}

/* ---- Fork. A child reports by its exit status. */

enum { CHILD_TIME = 100, CHILD_FAILED = 3 }; /* in seconds; its exit status */

/* Through exit handlers, OPENSSL_cleanup among them; but not before a leak checker, which would see as lost what the
 * parent's other threads hold. */
static void end_child(int good)
{
    if (getenv("KEYTURN_TEST_SHARE"))
        _exit(good ? 0 : CHILD_FAILED);
    exit(good ? 0 : CHILD_FAILED);
}

static int child_uses_everything(struct world *world, const char *token)
{
    char *set = jwks(1, 2, 1);
    jwt_result *result = NULL;
    int good = jwt_verify(world->policy, token, strlen(token), world->result) == JWT_OK &&
               jwt_result_new(&result) == JWT_OK &&
               jwt_verify(world->policy, token, strlen(token), result) == JWT_OK;
    jwks_issuer *issuer = NULL;
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = "https://child.example";
    good = good && jwks_cache_add_issuer(world->cache, &options, &issuer, NULL) == JWT_OK &&
           load(issuer, set) == JWT_OK && load(world->issuer, set) == JWT_OK &&
           jwt_verify(world->policy, token, strlen(token), result) == JWT_KEY_NOT_FOUND;
    jwt_result_release(result);
    jwks_issuer_release(issuer);
    free(set);
    return good;
}

/* 0 if the child could use everything; the parent's keys are its own. */
static int run_child(struct world *world, const char *token)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(CHILD_TIME);
        end_child(child_uses_everything(world, token));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Comes first in this program, before anything has been made in the parent. */
static void a_library_loaded_before_fork_is_first_used_in_the_child(void **state)
{
    (void)state;
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        void *world = NULL;
        alarm(CHILD_TIME);
        make_world(&world);
        status = verify_claims(world, GOOD_CLAIMS) == JWT_OK;
        end_world(&world);
        end_child(status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_child_verifies_and_loads_and_the_parent_is_unharmed(void **state)
{
    struct world *world = *state;
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    assert_int_equal(run_child(world, token), 0); /* before the first verification of this policy */
    assert_status(verify(world, token), JWT_OK);
    assert_int_equal(run_child(world, token), 0);
    assert_status(verify(world, token), JWT_OK);
    load_key(world->issuer, 1, "one");
    assert_status(verify(world, token), JWT_OK);
    free(token);
}

static void a_grandchild_verifies_too(void **state)
{
    struct world *world = *state;
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_TIME);
        pid_t grandchild = fork();
        if (grandchild == 0)
            end_child(child_uses_everything(world, token));
        end_child(waitpid(grandchild, &status, 0) == grandchild && status == 0 &&
                  child_uses_everything(world, token));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    free(token);
}

static void fork_in_the_middle_of_another_threads_verification(void **state)
{
    struct world *world = *state;
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    struct crowd crowd;
    int good = 0, children = rounds(40);
    start_crowd(&crowd, world, token, 2);
    for (int i = 0; i < children; i++) {
        good += run_child(world, token) == 0;
        load_key(world->issuer, 1, "one");
    }
    stop_crowd(&crowd);
    assert_int_equal(good, children);
    free(token);
}

/* The fork waits for the load, so that the child finds no lock of it held. */
static void fork_in_the_middle_of_another_threads_load(void **state)
{
    struct world *world = *state;
    struct rotation rotation = { world, 0 };
    pthread_t thread;
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    int good = 0, children = rounds(200);
    assert_int_equal(pthread_create(&thread, NULL, rotate_until_stopped, &rotation), 0);
    fflush(NULL);
    for (int i = 0; i < children && good == i; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            alarm(CHILD_TIME);
            load_key(world->issuer, 1, "one");
            end_child(child_uses_everything(world, token));
        }
        good += waitpid(child, &status, 0) == child && status == 0;
    }
    atomic_store(&rotation.stop, 1);
    pthread_join(thread, NULL);
    assert_int_equal(good, children);
    free(token);
}

static int child_swaps_sets(struct world *world)
{
    char *set = jwks(1, 1, 1);
    int loaded = 0;
    for (int i = 0; i < 200; i++)
        loaded += load(world->issuer, set) == JWT_OK;
    free(set);
    return loaded == 200;
}

/* The readers of the parent's other threads do not exist in the child, and hold back no set there. */
static void a_child_may_swap_sets_without_end(void **state)
{
    struct world *world = *state;
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    struct crowd crowd;
    int good = 0, children = rounds(10);
    start_crowd(&crowd, world, token, 2);
    fflush(NULL);
    for (int i = 0; i < children; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            alarm(CHILD_TIME);
            end_child(child_swaps_sets(world));
        }
        good += waitpid(child, &status, 0) == child && status == 0;
    }
    stop_crowd(&crowd);
    assert_int_equal(good, children);
    free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_library_loaded_before_fork_is_first_used_in_the_child),
        cmocka_unit_test(a_policy_outlives_the_handles_it_was_made_of),
        cmocka_unit_test(an_issuer_outlives_its_cache_handle),
        WITH_WORLD(a_cache_keeps_issuers_whose_handles_are_released),
        WITH_WORLD(an_issuer_leaves_with_its_last_handle_and_policy),
        WITH_WORLD(each_retain_needs_one_release),
        cmocka_unit_test(handles_may_be_released_in_any_order),
        WITH_WORLD(a_removed_issuers_tokens_have_no_keys),
        WITH_WORLD(a_name_added_again_is_another_issuer),
        WITH_WORLD(issuers_come_and_go_without_end),
        WITH_WORLD(a_load_replaces_the_keys_at_once),
        WITH_WORLD(a_kid_with_another_key_is_another_key),
        WITH_WORLD(a_bad_document_leaves_the_keys_before_it),
        WITH_WORLD(a_set_too_large_is_refused_whole),
        WITH_WORLD(a_document_may_be_as_long_as_max_document),
        WITH_WORLD(the_list_tells_why_each_key_is_left_out),
        WITH_WORLD(keys_of_other_algorithms_than_the_issuers_are_left_out),
        WITH_WORLD(keys_of_a_spiffe_bundle_say_their_use),
        WITH_WORLD(a_set_that_mixes_secrets_with_public_keys_is_refused),
        cmocka_unit_test(the_list_describes_each_key),
        WITH_WORLD(a_list_shows_one_moment_and_outlives_it),
        WITH_WORLD(a_kid_is_told_unescaped),
        WITH_WORLD(a_key_in_both_sets_never_fails_while_they_are_swapped),
        WITH_WORLD(a_key_of_one_set_is_accepted_or_not_found_never_bad),
        WITH_WORLD(threads_may_come_and_go),
        WITH_WORLD(late_destructors_of_the_host_may_verify),
        WITH_WORLD(a_thread_that_ended_holds_nothing_back),
        WITH_WORLD(a_child_verifies_and_loads_and_the_parent_is_unharmed),
        WITH_WORLD(a_grandchild_verifies_too),
        WITH_WORLD(fork_in_the_middle_of_another_threads_verification),
        WITH_WORLD(fork_in_the_middle_of_another_threads_load),
        WITH_WORLD(a_child_may_swap_sets_without_end),
    };
    return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
