/* Revocation: each kind, its end and its undoing, across reloads, removals and forks, up to the maximum; and that
 * nothing is accepted that started after jwks_cache_revoke had returned.
 *
 * With the argument "race" only the last: that is what a library that publishes late must fail. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- Revocations by name */

static jwks_revocation of(struct world *world, jwks_revocation_kind kind, const char *value)
{
    jwks_revocation revocation = JWKS_REVOCATION_INIT;
    revocation.issuer = world->issuer;
    revocation.kind = kind;
    revocation.value = value;
    revocation.value_len = value ? strlen(value) : 0;
    return revocation;
}

static jwks_revocation before(struct world *world, int64_t date)
{
    jwks_revocation revocation = of(world, JWKS_REVOKE_ISSUED_BEFORE, NULL);
    revocation.issued_before = date;
    return revocation;
}

static jwks_revocation ending(jwks_revocation revocation, int64_t until)
{
    revocation.until = until;
    return revocation;
}

static jwt_status revoke_in(struct world *world, jwks_revocation revocation)
{
    return jwks_cache_revoke(world->cache, &revocation, NULL);
}

static jwt_status unrevoke_in(struct world *world, jwks_revocation revocation)
{
    return jwks_cache_unrevoke(world->cache, &revocation, NULL);
}

static size_t revocations_listed(struct world *world)
{
    jwks_revocation_list *list = NULL;
    assert_status(jwks_issuer_revocations(world->issuer, &list), JWT_OK);
    size_t count = jwks_revocation_list_count(list);
    jwks_revocation_list_release(list);
    return count;
}

/* The thumbprint of the issuer's key at this place, to be freed; and whether it is told to be revoked. */
static char *thumbprint_at(struct world *world, size_t position, uint32_t *revoked)
{
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(jwks_issuer_keys(world->issuer, &list), JWT_OK);
    assert_status(jwks_key_list_get(list, position, &info), JWT_OK);
    char *thumbprint = text("%.*s", (int)info.thumbprint.len, info.thumbprint.data);
    if (revoked)
        *revoked = info.revoked;
    jwks_key_list_release(list);
    return thumbprint;
}

static uint32_t is_revoked(struct world *world, size_t position)
{
    uint32_t revoked = 9;
    free(thumbprint_at(world, position, &revoked));
    return revoked;
}

/* A token of every claim that can be revoked. */
#define FULL_CLAIMS CLAIMS_WITH("\"iat\":1800000000,\"sub\":\"alice\",\"jti\":\"t-1\"")
enum { KINDS = 5 };

/* A revocation of each kind that hits FULL_CLAIMS under GOOD_HEADER. */
static jwks_revocation hitting(struct world *world, int kind, const char *thumbprint)
{
    switch (kind) {
    case JWKS_REVOKE_THUMBPRINT:
        return of(world, JWKS_REVOKE_THUMBPRINT, thumbprint);
    case JWKS_REVOKE_KID:
        return of(world, JWKS_REVOKE_KID, "one");
    case JWKS_REVOKE_JTI:
        return of(world, JWKS_REVOKE_JTI, "t-1");
    case JWKS_REVOKE_SUBJECT:
        return of(world, JWKS_REVOKE_SUBJECT, "alice");
    default:
        return before(world, NOW + 1);
    }
}

static jwt_status refusal_by(int kind)
{
    return kind <= JWKS_REVOKE_KID ? JWT_KEY_REVOKED : JWT_REVOKED;
}

/* ---- Each kind */

static void each_kind_refuses_and_is_taken_back(void **state)
{
    struct world *world = *state;
    char *thumbprint = thumbprint_at(world, 0, NULL);
    for (int kind = 1; kind <= KINDS; kind++) {
        jwks_revocation revocation = hitting(world, kind, thumbprint);
        assert_status(verify_claims(world, FULL_CLAIMS), JWT_OK);
        assert_status(revoke_in(world, revocation), JWT_OK);
        assert_status(verify_claims(world, FULL_CLAIMS), refusal_by(kind));
        assert_int_equal(revocations_listed(world), 1);
        assert_int_equal(is_revoked(world, 0), kind <= JWKS_REVOKE_KID);
        assert_status(unrevoke_in(world, revocation), JWT_OK);
        assert_status(verify_claims(world, FULL_CLAIMS), JWT_OK);
        assert_status(unrevoke_in(world, revocation), JWKS_NOT_FOUND);
        assert_int_equal(revocations_listed(world), 0);
        assert_int_equal(is_revoked(world, 0), 0);
    }
    free(thumbprint);
}

static void a_refusal_tells_what_it_is_about(void **state)
{
    struct world *world = *state;
    static const char *const details[] = { "kid", "kid", "jti", "sub", "iat" };
    char *thumbprint = thumbprint_at(world, 0, NULL);
    for (int kind = 1; kind <= KINDS; kind++) {
        jwks_revocation revocation = hitting(world, kind, thumbprint);
        assert_status(revoke_in(world, revocation), JWT_OK);
        assert_status(verify_claims(world, FULL_CLAIMS), refusal_by(kind));
        assert_string_equal(jwt_result_detail(world->result), details[kind - 1]);
        assert_status(unrevoke_in(world, revocation), JWT_OK);
    }
    free(thumbprint);
}

static void other_values_are_untouched(void **state)
{
    struct world *world = *state;
    char *other = jwk(2, "two"), *one = jwk(1, "one"), *set = text("{\"keys\":[%s,%s]}", other, one);
    assert_status(load(world->issuer, set), JWT_OK);
    char *thumbprint = thumbprint_at(world, 0, NULL);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_THUMBPRINT, thumbprint)), JWT_OK);
    static const char *const values[] = { "two", "on", "onee", "ONE", "t-1", "alice", "on\\u0065" };
    for (size_t i = 0; i < COUNT(values); i++)
        assert_status(revoke_in(world, of(world, JWKS_REVOKE_KID, values[i])), JWT_OK);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_JTI, "alice")), JWT_OK);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_SUBJECT, "t-1")), JWT_OK);
    assert_status(revoke_in(world, before(world, NOW)), JWT_OK);
    assert_status(verify_claims(world, FULL_CLAIMS), JWT_OK);
    assert_int_equal(is_revoked(world, 0), 1);
    assert_int_equal(is_revoked(world, 1), 0);
    free(thumbprint);
    free(set);
    free(one);
    free(other);
}

static void values_are_compared_unescaped_and_may_hold_any_octet(void **state)
{
    struct world *world = *state;
    jwks_revocation revocation = of(world, JWKS_REVOKE_SUBJECT, "a");
    revocation.value = "a\0\xc3\xa9";
    revocation.value_len = 4;
    assert_status(revoke_in(world, revocation), JWT_OK);
    assert_status(verify_claims(world, CLAIMS_WITH("\"sub\":\"a\"")), JWT_OK);
    assert_status(verify_claims(world, CLAIMS_WITH("\"sub\":\"\\u0061\\u0000\\u00e9\"")), JWT_REVOKED);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_JTI, "x/y")), JWT_OK);
    assert_status(verify_claims(world, CLAIMS_WITH("\"jti\":\"x\\/\\u0079\"")), JWT_REVOKED);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_KID, "one")), JWT_OK);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"\\u006fne\"}"), JWT_KEY_REVOKED);
}

static void another_issuer_is_untouched(void **state)
{
    struct world *world = *state;
    void *other = NULL;
    make_world(&other);
    jwks_issuer *second = add_issuer(world->cache, "https://second.example");
    load_key(second, 1, "one");
    for (int kind = 2; kind <= KINDS; kind++) {
        jwks_revocation revocation = hitting(world, kind, NULL);
        revocation.issuer = second;
        assert_status(jwks_cache_revoke(world->cache, &revocation, NULL), JWT_OK);
    }
    assert_status(verify_claims(world, FULL_CLAIMS), JWT_OK);
    assert_status(verify_claims(other, FULL_CLAIMS), JWT_OK);
    jwks_issuer_release(second);
    end_world(&other);
}

/* ---- Keys */

static void a_token_without_kid_is_not_tried_against_revoked_keys(void **state)
{
    struct world *world = *state;
    char *first = jwk(1, "one"), *second = jwk(2, "two"), *set = text("{\"keys\":[%s,%s]}", first, second);
    char *of_one = mint(1, "{\"alg\":\"EdDSA\"}", GOOD_CLAIMS),
         *of_two = mint(2, "{\"alg\":\"EdDSA\"}", GOOD_CLAIMS);
    assert_status(load(world->issuer, set), JWT_OK);
    assert_status(verify(world, of_one), JWT_OK);
    assert_status(verify(world, of_two), JWT_OK);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_KID, "one")), JWT_OK);
    assert_status(verify(world, of_one), JWT_BAD_SIGNATURE);
    assert_status(verify(world, of_two), JWT_OK);
    char *thumbprint = thumbprint_at(world, 1, NULL);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_THUMBPRINT, thumbprint)), JWT_OK);
    assert_status(verify(world, of_one), JWT_KEY_REVOKED);
    assert_status(verify(world, of_two), JWT_KEY_REVOKED);
    free(thumbprint);
    free(of_one);
    free(of_two);
    free(set);
    free(first);
    free(second);
}

static void of_two_keys_with_one_kid_the_other_still_serves(void **state)
{
    struct world *world = *state;
    char *first = jwk(1, "one"), *second = jwk(2, "one"), *set = text("{\"keys\":[%s,%s]}", first, second);
    char *of_two = mint(2, GOOD_HEADER, GOOD_CLAIMS);
    assert_status(load(world->issuer, set), JWT_OK);
    char *thumbprint = thumbprint_at(world, 0, NULL);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_THUMBPRINT, thumbprint)), JWT_OK);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_BAD_SIGNATURE);
    assert_status(verify(world, of_two), JWT_OK);
    free(thumbprint);
    free(of_two);
    free(set);
    free(first);
    free(second);
}

/* Asking for such a key again could never help. */
static void a_revoked_kid_is_told_as_one_even_where_no_key_has_it(void **state)
{
    struct world *world = *state;
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"gone\"}"), JWT_KEY_NOT_FOUND);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_KID, "gone")), JWT_OK);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"gone\"}"), JWT_KEY_REVOKED);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"other\"}"), JWT_KEY_NOT_FOUND);
}

static void a_key_published_again_stays_revoked(void **state)
{
    struct world *world = *state;
    char *thumbprint = thumbprint_at(world, 0, NULL);
    for (int kind = 1; kind <= KINDS; kind++) {
        jwks_revocation revocation = hitting(world, kind, thumbprint);
        assert_status(revoke_in(world, revocation), JWT_OK);
        load_key(world->issuer, 2, "two");
        load_key(world->issuer, 1, "one");
        assert_status(verify_claims(world, FULL_CLAIMS), refusal_by(kind));
        assert_int_equal(is_revoked(world, 0), kind <= JWKS_REVOKE_KID);
        assert_status(unrevoke_in(world, revocation), JWT_OK);
        assert_status(verify_claims(world, FULL_CLAIMS), JWT_OK);
    }
    free(thumbprint);
}

static void a_thumbprint_is_revoked_under_every_kid(void **state)
{
    struct world *world = *state;
    char *thumbprint = thumbprint_at(world, 0, NULL);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_THUMBPRINT, thumbprint)), JWT_OK);
    load_key(world->issuer, 1, "renamed");
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"renamed\"}"), JWT_KEY_REVOKED);
    free(thumbprint);
}

static void a_revocation_may_come_before_the_keys(void **state)
{
    struct world *world = *state;
    jwks_key_list *keys = NULL;
    jwks_issuer *issuer = add_issuer(world->cache, "https://later.example");
    jwks_revocation revocation = of(world, JWKS_REVOKE_KID, "one");
    revocation.issuer = issuer;
    assert_status(revoke_in(world, revocation), JWT_OK);
    assert_status(jwks_issuer_keys(issuer, &keys), JWKS_KEYS_UNAVAILABLE);
    char *token = mint(1, GOOD_HEADER, "x");
    assert_status(jws_verify(issuer, NULL, token, strlen(token), world->result), JWKS_KEYS_UNAVAILABLE);
    load_key(issuer, 1, "one");
    assert_status(jws_verify(issuer, NULL, token, strlen(token), world->result), JWT_KEY_REVOKED);
    assert_status(unrevoke_in(world, revocation), JWT_OK);
    assert_status(jws_verify(issuer, NULL, token, strlen(token), world->result), JWT_OK);
    free(token);
    jwks_issuer_release(issuer);
}

static void a_jws_obeys_the_kinds_that_are_about_keys(void **state)
{
    struct world *world = *state;
    char *thumbprint = thumbprint_at(world, 0, NULL), *token = mint(1, GOOD_HEADER, FULL_CLAIMS);
    for (int kind = 1; kind <= KINDS; kind++) {
        jwks_revocation revocation = hitting(world, kind, thumbprint);
        assert_status(revoke_in(world, revocation), JWT_OK);
        assert_status(jws_verify(world->issuer, NULL, token, strlen(token), world->result),
                      kind <= JWKS_REVOKE_KID ? JWT_KEY_REVOKED : JWT_OK);
        assert_status(unrevoke_in(world, revocation), JWT_OK);
    }
    free(token);
    free(thumbprint);
}

/* ---- Tokens */

static void tokens_issued_before_a_date_are_refused(void **state)
{
    struct world *world = *state;
    assert_status(revoke_in(world, before(world, NOW - 10)), JWT_OK);
    assert_status(verify_claims(world, CLAIMS_WITH("\"iat\":1799999989")), JWT_REVOKED);
    assert_status(verify_claims(world, CLAIMS_WITH("\"iat\":1799999989.9")), JWT_REVOKED);
    assert_status(verify_claims(world, CLAIMS_WITH("\"iat\":1799999990")), JWT_OK);
    assert_status(verify_claims(world, CLAIMS_WITH("\"iat\":1.79999999e9")), JWT_OK);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_REVOKED); /* has no iat */
}

static void of_several_dates_each_holds(void **state)
{
    struct world *world = *state;
    assert_status(revoke_in(world, ending(before(world, NOW - 10), 0)), JWT_OK);
    assert_status(revoke_in(world, ending(before(world, NOW - 5), NOW + 60)), JWT_OK);
    assert_status(revoke_in(world, before(world, NOW - 20)), JWT_OK);
    assert_int_equal(revocations_listed(world), 3);
    assert_status(verify_claims(world, CLAIMS_WITH("\"iat\":1799999994")), JWT_REVOKED);
    world->now = NOW + 60;
    assert_status(verify_claims(world, CLAIMS_WITH("\"iat\":1799999994")), JWT_OK);
    assert_status(verify_claims(world, CLAIMS_WITH("\"iat\":1799999989")), JWT_REVOKED);
    assert_status(unrevoke_in(world, before(world, NOW - 10)), JWT_OK);
    assert_status(verify_claims(world, CLAIMS_WITH("\"iat\":1799999989")), JWT_OK);
    assert_status(verify_claims(world, CLAIMS_WITH("\"iat\":1799999979")), JWT_REVOKED);
}

static void an_issuer_has_sixteen_dates_at_most(void **state)
{
    struct world *world = *state;
    for (int i = 1; i <= 16; i++)
        assert_status(revoke_in(world, before(world, i)), JWT_OK);
    assert_status(revoke_in(world, before(world, 17)), JWKS_FULL);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_JTI, "17")), JWT_OK);
    assert_status(unrevoke_in(world, before(world, 3)), JWT_OK);
    assert_status(revoke_in(world, before(world, 17)), JWT_OK);
    assert_int_equal(revocations_listed(world), 17);
}

/* What is refused anyway says so: a client learns nothing of a revocation from a token that is not genuine. */
static void a_forged_token_is_not_told_of_its_revocation(void **state)
{
    struct world *world = *state;
    char *forged = mint(9, GOOD_HEADER, FULL_CLAIMS);
    for (int kind = JWKS_REVOKE_JTI; kind <= KINDS; kind++)
        assert_status(revoke_in(world, hitting(world, kind, NULL)), JWT_OK);
    assert_status(verify(world, forged), JWT_BAD_SIGNATURE);
    free(forged);
}

/* ---- Time */

static void it_ends_when_it_says(void **state)
{
    struct world *world = *state;
    char *thumbprint = thumbprint_at(world, 0, NULL);
    for (int kind = 1; kind <= KINDS; kind++) {
        world->now = NOW;
        jwks_revocation revocation = ending(hitting(world, kind, thumbprint), NOW + 10);
        assert_status(revoke_in(world, revocation), JWT_OK);
        world->now = NOW + 9;
        assert_status(verify_claims(world, FULL_CLAIMS), refusal_by(kind));
        assert_int_equal(revocations_listed(world), 1);
        world->now = NOW + 10;
        assert_status(verify_claims(world, FULL_CLAIMS), JWT_OK);
        assert_int_equal(is_revoked(world, 0), 0);
        assert_int_equal(revocations_listed(world), 0);
        assert_status(unrevoke_in(world, revocation), JWKS_NOT_FOUND);
        world->now = NOW - 1; /* the clock was set back */
        assert_status(unrevoke_in(world, revocation), JWT_OK);
    }
    free(thumbprint);
}

static void one_of_the_same_value_takes_the_new_end(void **state)
{
    struct world *world = *state;
    jwks_revocation revocation = of(world, JWKS_REVOKE_JTI, "t-1");
    assert_status(revoke_in(world, ending(revocation, NOW + 10)), JWT_OK);
    assert_status(revoke_in(world, ending(revocation, NOW + 20)), JWT_OK);
    assert_int_equal(revocations_listed(world), 1);
    world->now = NOW + 19;
    assert_status(verify_claims(world, FULL_CLAIMS), JWT_REVOKED);
    assert_status(revoke_in(world, revocation), JWT_OK);
    world->now = NOW + 200;
    assert_int_equal(revocations_listed(world), 1);
}

/* ---- Many */

static jwt_status revoke_number(struct world *world, unsigned number, int64_t until)
{
    char *value = text("jti-%u", number);
    jwt_status status = revoke_in(world, ending(of(world, JWKS_REVOKE_JTI, value), until));
    free(value);
    return status;
}

static jwt_status unrevoke_number(struct world *world, unsigned number)
{
    char *value = text("jti-%u", number);
    jwt_status status = unrevoke_in(world, of(world, JWKS_REVOKE_JTI, value));
    free(value);
    return status;
}

static jwt_status verify_number(struct world *world, unsigned number)
{
    char *claims = text("{" GOOD ",\"jti\":\"jti-%u\"}", number);
    jwt_status status = verify_claims(world, claims);
    free(claims);
    return status;
}

static jwks_cache *cache_of_at_most(uint32_t maximum, int64_t *now)
{
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = NULL;
    options.clock = standing_clock;
    options.clock_context = now;
    options.max_revocations = maximum;
    assert_status(jwks_cache_new(&options, &cache, NULL), JWT_OK);
    return cache;
}

/* A world whose cache bears so many. */
static void *world_of_at_most(uint32_t maximum)
{
    void *made = NULL;
    make_world(&made);
    struct world *world = made;
    jwt_policy_release(world->policy);
    jwks_issuer_release(world->issuer);
    jwks_cache_release(world->cache);
    world->cache = cache_of_at_most(maximum, &world->now);
    world->issuer = add_issuer(world->cache, ISSUER);
    load_key(world->issuer, 1, "one");
    jwt_policy_options options = good_options(world);
    world->policy = new_policy(world->cache, &options);
    return world;
}

static void at_the_maximum_nothing_makes_room_but_what_is_over(void **state)
{
    (void)state;
    void *made = world_of_at_most(10);
    struct world *world = made;
    jwks_error error = JWKS_ERROR_INIT;
    for (unsigned i = 0; i < 10; i++)
        assert_status(revoke_number(world, i, i < 3 ? NOW + 5 : 0), JWT_OK);
    jwks_revocation one_more = of(world, JWKS_REVOKE_KID, "one");
    assert_status(jwks_cache_revoke(world->cache, &one_more, &error), JWKS_FULL);
    assert_string_equal(error.option, "max_revocations");
    assert_status(verify_number(world, 10), JWT_OK);          /* which has the kid */
    assert_status(revoke_number(world, 4, NOW + 50), JWT_OK); /* another end is not another one */
    world->now = NOW + 5;
    jwks_issuer *other = add_issuer(world->cache, "https://other.example");
    one_more.issuer = other;
    for (unsigned i = 0; i < 3; i++) {
        char *kid = text("%u", i);
        one_more.value = kid;
        one_more.value_len = strlen(kid);
        assert_status(revoke_in(world, one_more), JWT_OK);
        free(kid);
    }
    one_more = of(world, JWKS_REVOKE_KID, "four");
    assert_status(revoke_in(world, one_more), JWKS_FULL);
    assert_status(jwks_issuer_remove(other), JWT_OK); /* gives back what it had */
    assert_status(revoke_in(world, one_more), JWT_OK);
    assert_int_equal(revocations_listed(world), 8);
    for (unsigned i = 3; i < 10; i++)
        assert_status(verify_number(world, i), JWT_REVOKED);
    jwks_issuer_release(other);
    end_world(&made);
}

static void many_come_and_go_and_each_is_found(void **state)
{
    struct world *world = *state;
    enum { MANY = 4000 };
    for (unsigned i = 0; i < MANY; i++)
        assert_status(revoke_number(world, i, 0), JWT_OK);
    assert_int_equal(revocations_listed(world), MANY);
    for (unsigned i = 0; i < MANY; i += 37)
        assert_status(verify_number(world, i), JWT_REVOKED);
    for (unsigned i = MANY; i < MANY + 100; i++)
        assert_status(verify_number(world, i), JWT_OK);
    for (unsigned i = 0; i < MANY; i += 2)
        assert_status(unrevoke_number(world, i), JWT_OK);
    assert_int_equal(revocations_listed(world), MANY / 2);
    for (unsigned i = 0; i < 200; i++)
        assert_status(verify_number(world, i), i % 2 ? JWT_REVOKED : JWT_OK);
    for (unsigned i = 1; i < MANY; i += 2)
        assert_status(unrevoke_number(world, i), JWT_OK);
    assert_int_equal(revocations_listed(world), 0);
}

static void the_standard_maximum_holds_for_all_issuers_together(void **state)
{
    struct world *world = *state;
    struct world second = *world;
    enum { STANDARD = 65536 };
    second.issuer = add_issuer(world->cache, "https://second.example");
    for (unsigned i = 0; i < STANDARD; i++)
        assert_status(revoke_number(i % 2 ? world : &second, i, 0), JWT_OK);
    assert_status(revoke_number(world, STANDARD, 0), JWKS_FULL);
    assert_status(revoke_number(&second, STANDARD, 0), JWKS_FULL);
    assert_int_equal(revocations_listed(world), STANDARD / 2);
    for (unsigned i = 0; i < STANDARD; i += 1001)
        assert_status(verify_number(world, i), i % 2 ? JWT_REVOKED : JWT_OK);
    jwks_issuer_release(second.issuer); /* the last holder, and so what it had is given back */
    assert_status(revoke_number(world, STANDARD, 0), JWT_OK);
}

/* ---- The list */

static void the_list_can_be_taken_back_one_by_one(void **state)
{
    struct world *world = *state;
    char *thumbprint = thumbprint_at(world, 0, NULL);
    for (int kind = 1; kind <= KINDS; kind++)
        assert_status(revoke_in(world, ending(hitting(world, kind, thumbprint), NOW + kind)), JWT_OK);
    jwks_revocation_list *list = NULL;
    assert_status(jwks_issuer_revocations(world->issuer, &list), JWT_OK);
    assert_int_equal(jwks_revocation_list_count(list), KINDS);
    unsigned seen = 0;
    for (size_t i = 0; i < KINDS; i++) {
        jwks_revocation listed = JWKS_REVOCATION_INIT;
        listed.issuer = world->issuer;
        assert_status(jwks_revocation_list_get(list, i, &listed), JWT_OK);
        jwks_revocation made = hitting(world, (int)listed.kind, thumbprint);
        assert_int_equal(listed.size, sizeof listed);
        assert_ptr_equal(listed.issuer, world->issuer);
        assert_int_equal(listed.until, NOW + listed.kind);
        assert_int_equal(listed.issued_before, made.issued_before);
        assert_int_equal(listed.value_len, made.value_len);
        if (made.value_len)
            assert_memory_equal(listed.value, made.value, made.value_len);
        assert_status(unrevoke_in(world, listed), JWT_OK);
        seen |= 1u << listed.kind;
    }
    assert_int_equal(seen, 2 + 4 + 8 + 16 + 32);
    assert_int_equal(revocations_listed(world), 0);
    jwks_revocation_list_release(list);
    free(thumbprint);
}

static void the_lists_arguments_are_checked(void **state)
{
    struct world *world = *state;
    jwks_revocation_list *list = NULL;
    jwks_revocation out = JWKS_REVOCATION_INIT;
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_JTI, "x")), JWT_OK);
    assert_status(jwks_issuer_revocations(NULL, &list), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_issuer_revocations(world->issuer, NULL), JWKS_INVALID_ARGUMENT);
    assert_null(list);
    assert_status(jwks_issuer_revocations(world->issuer, &list), JWT_OK);
    assert_status(jwks_revocation_list_get(NULL, 0, &out), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_revocation_list_get(list, 0, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_revocation_list_get(list, 1, &out), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_revocation_list_get(list, SIZE_MAX, &out), JWKS_INVALID_ARGUMENT);
    out.size = sizeof out - 1;
    assert_status(jwks_revocation_list_get(list, 0, &out), JWKS_INVALID_ARGUMENT);
    assert_int_equal(out.kind, 0);
    assert_int_equal(jwks_revocation_list_count(NULL), 0);
    jwks_revocation_list_release(NULL);
    jwks_revocation_list_release(list);
}

static void a_list_outlives_what_it_shows(void **state)
{
    struct world *world = *state;
    jwks_revocation_list *list = NULL;
    jwks_revocation listed = JWKS_REVOCATION_INIT;
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_JTI, "a value")), JWT_OK);
    assert_status(jwks_issuer_revocations(world->issuer, &list), JWT_OK);
    assert_status(jwks_issuer_remove(world->issuer), JWT_OK);
    for (unsigned i = 0; i < 100; i++)
        assert_status(revoke_number(world, i, 0), JWKS_REMOVED);
    assert_int_equal(revocations_listed(world), 0);
    assert_int_equal(jwks_revocation_list_count(list), 1);
    assert_status(jwks_revocation_list_get(list, 0, &listed), JWT_OK);
    assert_memory_equal(listed.value, "a value", 7);
    jwks_revocation_list_release(list);
}

/* ---- What is refused */

static void refused_option(struct world *world, const jwks_revocation *revocation, const char *option)
{
    jwks_error error = JWKS_ERROR_INIT;
    assert_status(jwks_cache_revoke(world->cache, revocation, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, option);
    assert_string_not_equal(error.message, "");
    if (strcmp(option, "until") != 0)
        assert_status(jwks_cache_unrevoke(world->cache, revocation, NULL), JWKS_INVALID_OPTION);
    assert_int_equal(revocations_listed(world), 0);
}

#define REFUSED(option, ...)                                                                                 \
    do {                                                                                                     \
        jwks_revocation refused = of(world, JWKS_REVOKE_JTI, "x");                                           \
        __VA_ARGS__;                                                                                         \
        refused_option(world, &refused, option);                                                             \
    } while (0)

static void options_are_refused_by_name(void **state)
{
    struct world *world = *state;
    char *longest = text("%04096d", 0), *too_long = text("%04097d", 0);
    void *other = NULL;
    make_world(&other);
    REFUSED("size", refused.size = 0);
    REFUSED("size", refused.size = sizeof refused - 1);
    REFUSED("issuer", refused.issuer = NULL);
    REFUSED("issuer", refused.issuer = ((struct world *)other)->issuer);
    REFUSED("kind", refused.kind = (jwks_revocation_kind)0);
    REFUSED("kind", refused.kind = (jwks_revocation_kind)6);
    REFUSED("value", refused.value = NULL);
    REFUSED("value", refused.value_len = 0);
    REFUSED("value", refused = of(world, JWKS_REVOKE_SUBJECT, too_long));
    REFUSED("value", refused.value_len = SIZE_MAX);
    REFUSED("value", refused.kind = JWKS_REVOKE_ISSUED_BEFORE; refused.issued_before = 1);
    REFUSED("issued_before", refused.issued_before = 1);
    REFUSED("issued_before", refused = before(world, 0));
    REFUSED("issued_before", refused = before(world, -1));
    REFUSED("until", refused.until = -1);
    REFUSED("until", refused.until = 1);
    REFUSED("until", refused.until = NOW);
    /* 43 octets of canonical Base64url, and nothing else */
    char thumbprint[] = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    REFUSED("value", refused = of(world, JWKS_REVOKE_THUMBPRINT, thumbprint + 1));
    REFUSED("value", thumbprint[5] = '+'; refused = of(world, JWKS_REVOKE_THUMBPRINT, thumbprint));
    REFUSED("value", thumbprint[5] = 'm'; thumbprint[42] = 'l';
            refused = of(world, JWKS_REVOKE_THUMBPRINT, thumbprint));
    thumbprint[42] = 'k';
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_THUMBPRINT, thumbprint)), JWT_OK);
    assert_status(revoke_in(world, of(world, JWKS_REVOKE_SUBJECT, longest)), JWT_OK);
    assert_status(jwks_cache_revoke(NULL, NULL, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_cache_revoke(world->cache, NULL, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_cache_unrevoke(NULL, NULL, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_cache_unrevoke(world->cache, NULL, NULL), JWKS_INVALID_ARGUMENT);
    end_world(&other);
    free(longest);
    free(too_long);
}

static void a_maximum_has_its_range(void **state)
{
    (void)state;
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache *cache = NULL;
    options.max_revocations = 1048577;
    assert_status(jwks_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "max_revocations");
    options.max_revocations = 1048576;
    assert_status(jwks_cache_new(&options, &cache, &error), JWT_OK);
    jwks_cache_release(cache);
}

static void a_removed_issuer_has_no_revocations(void **state)
{
    struct world *world = *state;
    jwks_revocation revocation = of(world, JWKS_REVOKE_SUBJECT, "alice");
    assert_status(revoke_in(world, revocation), JWT_OK);
    assert_status(jwks_issuer_remove(world->issuer), JWT_OK);
    assert_status(revoke_in(world, revocation), JWKS_REMOVED);
    assert_status(unrevoke_in(world, revocation), JWKS_REMOVED);
    assert_int_equal(revocations_listed(world), 0);
    jwks_issuer_release(world->issuer);
    world->issuer = add_issuer(world->cache, ISSUER);
    load_key(world->issuer, 1, "one");
    jwt_policy_options options = good_options(world);
    use_policy(world, &options);
    assert_status(verify_claims(world, FULL_CLAIMS), JWT_OK);
}

/* ---- Eight threads at once. cmocka's assertions belong to the main thread: others count. */

struct racer {
    struct world *world;
    const char *token;
    jwt_status revoked;   /* what a refusal must be */
    atomic_ulong *window; /* odd while the revocation is in force, for sure; even while it is not */
    atomic_int *stop;
    atomic_ulong judged, allowed;   /* verifications wholly inside an odd, an even window */
    atomic_ulong accepted, refused; /* of these: wrongly */
    atomic_ulong strange;           /* another verdict than the two */
};

/* A window is a stretch in which nothing changes: it begins after the call that made it so returned, and ends
 * before the next one is made. 0 is none. */
static void judge(struct racer *racer, unsigned long before_it, jwt_status status)
{
    if (status != JWT_OK && status != racer->revoked)
        atomic_fetch_add(&racer->strange, 1);
    if (before_it == 0 || atomic_load(racer->window) != before_it)
        return;
    if (before_it % 2) {
        atomic_fetch_add(&racer->judged, 1);
        if (status == JWT_OK)
            atomic_fetch_add(&racer->accepted, 1);
    } else {
        atomic_fetch_add(&racer->allowed, 1);
        if (status != JWT_OK)
            atomic_fetch_add(&racer->refused, 1);
    }
}

static void *race(void *argument)
{
    struct racer *racer = argument;
    jwt_result *result = NULL;
    if (jwt_result_new(&result) != JWT_OK) {
        atomic_fetch_add(&racer->strange, 1);
        return NULL;
    }
    while (!atomic_load(racer->stop)) {
        unsigned long before_it = atomic_load(racer->window);
        judge(racer, before_it, jwt_verify(racer->world->policy, racer->token, strlen(racer->token), result));
    }
    jwt_result_release(result);
    return NULL;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Publishes the same key again and again. */
struct loader {
    struct world *world;
    const char *set;
    atomic_int *stop;
    unsigned long loads;
};

static void *reload(void *argument)
{
    struct loader *loader = argument;
    while (!atomic_load(loader->stop)) {
        jwks_issuer_load(loader->world->issuer, loader->set, strlen(loader->set), NULL);
        loader->loads++;
        usleep(200);
    }
    return NULL;
}

enum { RACERS = 8 };

struct tally {
    unsigned long windows, judged, allowed, accepted, refused, strange, loads;
};

static void wait_for_racers(struct racer *racers)
{
    unsigned long seen = 0, now = 0;
    for (size_t i = 0; i < RACERS; i++)
        seen += racers[i].judged + racers[i].allowed;
    double until = seconds() + 0.02;
    do {
        usleep(100);
        now = 0;
        for (size_t i = 0; i < RACERS; i++)
            now += racers[i].judged + racers[i].allowed;
    } while (now < seen + 2 * RACERS && seconds() < until);
}

static void race_one_kind(struct world *world, int kind, const char *thumbprint, double length,
                          struct tally *tally)
{
    atomic_ulong window = 0;
    atomic_int stop = 0;
    struct racer racers[RACERS];
    pthread_t threads[RACERS], loading;
    char *token = mint(1, GOOD_HEADER, FULL_CLAIMS), *key = jwk(1, "one"),
         *set = text("{\"keys\":[%s]}", key);
    struct loader loader = { world, set, &stop, 0 };
    jwks_revocation revocation = hitting(world, kind, thumbprint);
    for (size_t i = 0; i < RACERS; i++) {
        memset(&racers[i], 0, sizeof racers[i]);
        racers[i].world = world;
        racers[i].token = token;
        racers[i].revoked = refusal_by(kind);
        racers[i].window = &window;
        racers[i].stop = &stop;
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    assert_int_equal(pthread_create(&loading, NULL, reload, &loader), 0);
    double until = seconds() + length;
    for (unsigned long odd = 1; seconds() < until; odd += 2) {
        assert_status(revoke_in(world, revocation), JWT_OK);
        atomic_store(&window, odd);
        wait_for_racers(racers);
        atomic_store(&window, 0);
        assert_status(unrevoke_in(world, revocation), JWT_OK);
        atomic_store(&window, odd + 1);
        wait_for_racers(racers);
        atomic_store(&window, 0);
        tally->windows++;
    }
    atomic_store(&stop, 1);
    for (size_t i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        tally->judged += racers[i].judged;
        tally->allowed += racers[i].allowed;
        tally->accepted += racers[i].accepted;
        tally->refused += racers[i].refused;
        tally->strange += racers[i].strange;
    }
    pthread_join(loading, NULL);
    tally->loads += loader.loads;
    free(token);
    free(key);
    free(set);
}

/* How many verifications have been spared their signature. */
static long tokens_known(struct world *world)
{
    static char metrics[65536];
    size_t len;
    assert_status(jwks_cache_metrics(world->cache, NULL, metrics, sizeof metrics, &len), JWT_OK);
    const char *line = strstr(metrics, "\nkeyturn_token_cache_hits_total{");
    return line ? atol(strchr(line, ' ')) : 0;
}

/* The eighth invariant of revocation: zero acceptances among verifications that start after it returned. */
static void nothing_that_starts_after_revoke_returned_is_accepted(void **state)
{
    struct world *world = *state;
    struct tally tally = { 0, 0, 0, 0, 0, 0, 0 };
    char *thumbprint = thumbprint_at(world, 0, NULL);
    for (int kind = 1; kind <= KINDS; kind++)
        race_one_kind(world, kind, thumbprint, 0.6, &tally);
    print_message(
        "%lu revocations and as many taken back, %lu reloads: %lu verifications started and ended while "
        "revoked, %lu while not\n",
        tally.windows, tally.loads, tally.judged, tally.allowed);
    if (tally.accepted)
        fail_msg("%lu were accepted that had started after jwks_cache_revoke returned", tally.accepted);
    if (tally.refused)
        fail_msg("%lu were refused that had started after jwks_cache_unrevoke returned", tally.refused);
    assert_int_equal(tally.strange, 0);
    assert_true(tally.windows >= 50);
    assert_true(tally.loads >= 50);
    assert_true(tally.judged >= 1000);
    assert_true(tally.allowed >= 1000);
    if (token_cache == 0)
        assert_true(tokens_known(world) >= 1000);
    free(thumbprint);
}

/* ---- Fork */

enum { CHILD_TIME = 100 };

static int child_revokes(struct world *world, const char *token, jwks_revocation revocation)
{
    jwks_revocation jti = of(world, JWKS_REVOKE_JTI, "t-1");
    return verify(world, token) == JWT_REVOKED && unrevoke_in(world, revocation) == JWT_OK &&
           verify(world, token) == JWT_OK && revoke_in(world, jti) == JWT_OK &&
           verify(world, token) == JWT_REVOKED;
}

static void a_child_has_the_revocations_and_its_own_from_then_on(void **state)
{
    struct world *world = *state;
    int status = 0;
    char *token = mint(1, GOOD_HEADER, FULL_CLAIMS);
    jwks_revocation revocation = of(world, JWKS_REVOKE_SUBJECT, "alice");
    assert_status(revoke_in(world, revocation), JWT_OK);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(CHILD_TIME);
        exit(child_revokes(world, token, revocation) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_status(verify(world, token), JWT_REVOKED);
    assert_int_equal(revocations_listed(world), 1);
    assert_status(unrevoke_in(world, revocation), JWT_OK);
    assert_status(verify(world, token), JWT_OK);
    free(token);
}

static void a_fork_beside_revoking_threads_leaves_the_child_whole(void **state)
{
    struct world *world = *state;
    atomic_int stop = 0;
    atomic_ulong window = 0;
    int status = 0;
    char *token = mint(1, GOOD_HEADER, FULL_CLAIMS), *key = jwk(1, "one"),
         *set = text("{\"keys\":[%s]}", key);
    struct loader loader = { world, set, &stop, 0 };
    struct racer racer = { 0 };
    pthread_t loading, racing;
    racer.world = world;
    racer.token = token;
    racer.revoked = JWT_REVOKED;
    racer.window = &window;
    racer.stop = &stop;
    jwks_revocation revocation = of(world, JWKS_REVOKE_SUBJECT, "alice");
    assert_status(revoke_in(world, revocation), JWT_OK);
    assert_int_equal(pthread_create(&loading, NULL, reload, &loader), 0);
    assert_int_equal(pthread_create(&racing, NULL, race, &racer), 0);
    fflush(NULL);
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(CHILD_TIME);
            _exit(child_revokes(world, token, revocation) ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&stop, 1);
    pthread_join(loading, NULL);
    pthread_join(racing, NULL);
    assert_int_equal(racer.strange, 0);
    free(token);
    free(key);
    free(set);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest races[] = {
        WITH_WORLD(nothing_that_starts_after_revoke_returned_is_accepted),
    };
    const struct CMUnitTest tests[] = {
        WITH_WORLD(each_kind_refuses_and_is_taken_back),
        WITH_WORLD(a_refusal_tells_what_it_is_about),
        WITH_WORLD(other_values_are_untouched),
        WITH_WORLD(values_are_compared_unescaped_and_may_hold_any_octet),
        WITH_WORLD(another_issuer_is_untouched),
        WITH_WORLD(a_token_without_kid_is_not_tried_against_revoked_keys),
        WITH_WORLD(of_two_keys_with_one_kid_the_other_still_serves),
        WITH_WORLD(a_revoked_kid_is_told_as_one_even_where_no_key_has_it),
        WITH_WORLD(a_key_published_again_stays_revoked),
        WITH_WORLD(a_thumbprint_is_revoked_under_every_kid),
        WITH_WORLD(a_revocation_may_come_before_the_keys),
        WITH_WORLD(a_jws_obeys_the_kinds_that_are_about_keys),
        WITH_WORLD(tokens_issued_before_a_date_are_refused),
        WITH_WORLD(of_several_dates_each_holds),
        WITH_WORLD(an_issuer_has_sixteen_dates_at_most),
        WITH_WORLD(a_forged_token_is_not_told_of_its_revocation),
        WITH_WORLD(it_ends_when_it_says),
        WITH_WORLD(one_of_the_same_value_takes_the_new_end),
        cmocka_unit_test(at_the_maximum_nothing_makes_room_but_what_is_over),
        WITH_WORLD(many_come_and_go_and_each_is_found),
        WITH_WORLD(the_standard_maximum_holds_for_all_issuers_together),
        WITH_WORLD(the_list_can_be_taken_back_one_by_one),
        WITH_WORLD(the_lists_arguments_are_checked),
        WITH_WORLD(a_list_outlives_what_it_shows),
        WITH_WORLD(options_are_refused_by_name),
        cmocka_unit_test(a_maximum_has_its_range),
        WITH_WORLD(a_removed_issuer_has_no_revocations),
        WITH_WORLD(a_child_has_the_revocations_and_its_own_from_then_on),
        WITH_WORLD(a_fork_beside_revoking_threads_leaves_the_child_whole),
    };
    int failed = 0;
    if (argc < 2 || strcmp(argv[1], "race") != 0)
        failed = cmocka_run_group_tests_name("revocation", tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("revocation race, tokens known", races, NULL, NULL);
    token_cache = KEYTURN_OFF;
    return failed + cmocka_run_group_tests_name("revocation race", races, NULL, NULL);
}
