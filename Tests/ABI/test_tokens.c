/* The token cache: a token that is known is accepted with the very result of one that is not; and whatever makes a token
 * invalid does so while it is known. Each test also shows that the token was known.
 *
 * With the argument "looks" only the tests that a library must fail that does not look again. */
#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

/* ---- What is known */

static double metric(const struct world *world, const char *name)
{
    static char text[65536];
    size_t len;
    assert_status(jwks_cache_metrics(world->cache, NULL, text, sizeof text, &len), JWT_OK);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, name, strlen(name)) == 0)
            return atof(strrchr(line, ' ') + 1);
    return 0;
}

#define HITS "keyturn_token_cache_hits_total{"
#define USED "keyturn_token_cache_used_bytes"
#define LIMIT "keyturn_token_cache_limit_bytes"
#define INSERTED "keyturn_token_cache_inserted_total"
#define EVICTED "keyturn_token_cache_evicted_total"
#define MISSES "keyturn_token_cache_misses_total"

/* Whether it is accepted, and was known. */
static int is_known(struct world *world, const char *token)
{
    double before = metric(world, HITS);
    assert_status(verify(world, token), JWT_OK);
    return metric(world, HITS) > before;
}

/* It is when it was seen twice. */
static void learn(struct world *world, const char *token)
{
    verify(world, token);
    verify(world, token);
    assert_true(is_known(world, token));
}

static void learn_claims(struct world *world, char **token, const char *claims)
{
    *token = mint(1, GOOD_HEADER, claims);
    learn(world, *token);
}

/* ---- The same result */

#define SPEAKING                                                                                             \
    CLAIMS_WITH("\"sub\":\"al\\u0069ce\",\"n\":{\"a\":[1,\"\\n\"]},\"iat\":1799999990,\"jti\":\"t-1\"")

/* All that a result tells, as a text to be freed. */
static char *told(const jwt_result *result)
{
    jwt_value sub = jwt_result_claim(result, "sub", 3), inner = jwt_result_claim_at(result, "/n/a/1", 6),
              alg = jwt_result_header(result, "alg", 3);
    keyturn_span payload = jwt_result_payload(result), kid = jwt_result_kid(result),
                 thumbprint = jwt_result_thumbprint(result), issuer = jwt_result_issuer(result);
    return text("%d|%s|%.*s|%.*s|%.*s|%.*s|%s|%lld|%d %.*s|%d %.*s|%d %.*s|%d", jwt_result_status(result),
                jwt_result_detail(result), (int)payload.len, payload.data, (int)kid.len, kid.data,
                (int)thumbprint.len, thumbprint.data, (int)issuer.len, issuer.data,
                jwt_result_algorithm(result), (long long)jwt_result_expiry(result), sub.kind,
                (int)sub.text.len, sub.text.data, inner.kind, (int)inner.text.len, inner.text.data, alg.kind,
                (int)alg.text.len, alg.text.data,
                jwt_result_confirm_certificate(result, (const unsigned char *)ISSUER ISSUER));
}

static void the_result_is_the_same_and_is_counted_alike(void **state)
{
    struct world *world = *state;
    char *token = mint(1, GOOD_HEADER, SPEAKING);
    assert_status(verify(world, token), JWT_OK);
    char *first = told(world->result);
    assert_non_null(strstr(first, "alice"));
    for (int seen = 2; seen < 10; seen++) {
        world->now++;
        assert_int_equal(is_known(world, token), seen > 2);
        char *again = told(world->result);
        assert_string_equal(again, first);
        free(again);
        assert_int_equal(jwks_issuer_tokens(world->issuer, JWT_OK), seen);
        assert_int_equal(key_of(world->issuer, 0).accepted, seen);
        assert_int_equal(key_of(world->issuer, 0).last_use, world->now);
        assert_int_equal(key_of(world->issuer, 0).latest_exp, NOW + 300);
    }
    assert_true(metric(world, INSERTED) == 1 && metric(world, EVICTED) == 0);
    assert_true(metric(world, MISSES) == 2);
    free(first);
    free(token);
}

static void a_token_that_stands_in_its_result_is_refused_known_or_not(void **state)
{
    struct world *world = *state;
    char *inner = mint(1, GOOD_HEADER, GOOD_CLAIMS), *outer;
    learn(world, inner);
    outer = text("\"%s\"", inner);
    char *carrier = mint(1, GOOD_HEADER, outer), *claims = text(CLAIMS_WITH("\"t\":%s"), outer);
    free(carrier);
    carrier = mint(1, GOOD_HEADER, claims);
    assert_status(verify(world, carrier), JWT_OK);
    keyturn_span t = jwt_result_claim(world->result, "t", 1).text;
    assert_int_equal(t.len, strlen(inner));
    assert_status(jwt_verify(world->policy, t.data, t.len, world->result), JWKS_INVALID_ARGUMENT);
    free(inner);
    free(outer);
    free(carrier);
    free(claims);
}

static void another_token_of_the_same_end_is_not_taken_for_it(void **state)
{
    struct world *world = *state;
    char *token = mint(1, GOOD_HEADER, CLAIMS_WITH("\"role\":\"user0\"")),
         *other = mint(1, GOOD_HEADER, CLAIMS_WITH("\"role\":\"admin\""));
    learn(world, token);
    assert_int_equal(strlen(token), strlen(other));
    strcpy(strrchr(other, '.'), strrchr(token, '.'));
    assert_status(verify(world, other), JWT_BAD_SIGNATURE);
    for (size_t i = 0; token[i]; i++) { /* and none that differs in one octet */
        char *copy = strdup(token);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        if (strcmp(copy, token) != 0)
            assert_true(verify(world, copy) != JWT_OK);
        free(copy);
    }
    assert_true(is_known(world, token));
    free(token);
    free(other);
}

/* ---- Times */

static void times_are_looked_at_each_time(void **state)
{
    static const struct {
        const char *claims;
        int64_t first, last; /* good moments */
        jwt_status before, after;
    } times[] = {
        { CLAIMS_WITH("\"nbf\":1800000000"), NOW - 30, NOW + 329, JWT_NOT_YET_VALID, JWT_EXPIRED },
        { CLAIMS_WITH("\"iat\":1800000000"), NOW - 30, NOW + 329, JWT_ISSUED_IN_FUTURE, JWT_EXPIRED },
        { CLAIMS_WITH("\"nbf\":1799999999.5"), NOW - 30, NOW + 329, JWT_NOT_YET_VALID, JWT_EXPIRED },
        { "{" ISS "," AUD ",\"exp\":1800000300.5,\"nbf\":1800000000}", NOW - 30, NOW + 330, JWT_NOT_YET_VALID,
          JWT_EXPIRED },
    };
    struct world *world = *state;
    for (size_t i = 0; i < COUNT(times); i++) {
        char *token;
        world->now = NOW;
        learn_claims(world, &token, times[i].claims);
        for (int round = 0; round < 2; round++) {
            world->now = times[i].last;
            assert_true(is_known(world, token));
            world->now = times[i].last + 1;
            assert_status(verify(world, token), times[i].after);
            assert_cleared(world->result);
            world->now = times[i].first;
            assert_true(is_known(world, token));
            world->now = times[i].first - 1;
            assert_status(verify(world, token), times[i].before);
            world->now = INT64_MAX;
            assert_status(verify(world, token), JWT_EXPIRED);
        }
        free(token);
    }
}

/* ---- Keys */

static void a_key_that_leaves_takes_its_tokens_along(void **state)
{
    struct world *world = *state;
    char *token;
    learn_claims(world, &token, GOOD_CLAIMS);
    load_key(world->issuer, 2, "two");
    assert_status(verify(world, token), JWT_KEY_NOT_FOUND);
    load_key(world->issuer, 2, "one"); /* another one under its kid */
    assert_status(verify(world, token), JWT_BAD_SIGNATURE);
    load_key(world->issuer, 1, "one");
    learn(world, token);
    free(token);
}

static void keys_that_come_and_go_beside_it_change_nothing(void **state)
{
    struct world *world = *state;
    char *token, *mine = jwk(1, "one");
    learn_claims(world, &token, GOOD_CLAIMS);
    for (unsigned other = 2; other < 40; other++) {
        char *theirs = jwk(other, NULL), *kid = text("kid-%u", other), *named = jwk(other, kid);
        char *set = text("{\"keys\":[%s,%s,%s]}", theirs, named, mine);
        assert_status(load(world->issuer, set), JWT_OK);
        assert_true(is_known(world, token));
        free(theirs);
        free(kid);
        free(named);
        free(set);
    }
    free(token);
    free(mine);
}

/* Which of several keys verified depends on the others. */
static void where_there_is_a_choice_of_keys_no_token_is_known(void **state)
{
    struct world *world = *state;
    char *token, *mine = jwk(1, "one"), *other = jwk(2, "one"), *unnamed;
    char *set = text("{\"keys\":[%s,%s]}", other, mine);
    learn_claims(world, &token, GOOD_CLAIMS);
    unnamed = mint(1, "{\"alg\":\"EdDSA\"}", GOOD_CLAIMS);
    learn(world, unnamed); /* with one key there is none */
    assert_status(load(world->issuer, set), JWT_OK);
    for (int i = 0; i < 5; i++)
        assert_true(!is_known(world, token) && !is_known(world, unnamed));
    load_key(world->issuer, 1, "one");
    assert_true(is_known(world, token) && is_known(world, unnamed));
    free(token);
    free(unnamed);
    free(mine);
    free(other);
    free(set);
}

static void a_removed_issuer_has_no_known_tokens(void **state)
{
    struct world *world = *state;
    char *token;
    learn_claims(world, &token, GOOD_CLAIMS);
    assert_status(jwks_issuer_remove(world->issuer), JWT_OK);
    assert_status(verify(world, token), JWKS_KEYS_UNAVAILABLE);
    free(token);
}

/* Puts a world around another issuer, and a clock for it that the test moves. */
static void restart(struct world *world, int64_t *monotonic, jwks_issuer_options options)
{
    jwks_cache_options cache = JWKS_CACHE_OPTIONS_INIT;
    cache.monotonic = standing_clock;
    cache.monotonic_context = monotonic;
    char *one = jwk(1, "one"), *set = text("{\"keys\":[%s]}", one);
    renew_world(world, cache, options, set);
    free(set);
    free(one);
}

static void known_tokens_end_with_the_age_of_their_keys(void **state)
{
    struct world *world = *state;
    int64_t monotonic = 1000;
    char *token;
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.pinned_max_age_ms = 5000;
    restart(world, &monotonic, options);
    learn_claims(world, &token, GOOD_CLAIMS);
    monotonic = 5999;
    assert_true(is_known(world, token));
    monotonic = 6000;
    assert_status(verify(world, token), JWKS_KEYS_UNAVAILABLE);
    options.pinned_max_age_ms = 0;
    options.valid_until = NOW + 10;
    restart(world, &monotonic, options);
    learn(world, token);
    world->now = NOW + 10;
    assert_status(verify(world, token), JWKS_KEYS_UNAVAILABLE);
    world->now = NOW;
    options.valid_until = 0;
    options.grace_ms = 2000;
    restart(world, &monotonic, options);
    learn(world, token);
    load_key(world->issuer, 2, "two");
    monotonic = 7999;
    assert_true(is_known(world, token));
    monotonic = 8000;
    assert_status(verify(world, token), JWT_KEY_NOT_FOUND);
    free(token);
}

/* ---- Revocations */

static void what_is_revoked_is_no_longer_known(void **state)
{
    static const struct {
        jwks_revocation_kind kind;
        const char *value;
        jwt_status refusal;
    } kinds[] = { { JWKS_REVOKE_THUMBPRINT, NULL, JWT_KEY_REVOKED },
                  { JWKS_REVOKE_KID, "one", JWT_KEY_REVOKED },
                  { JWKS_REVOKE_JTI, "t-1", JWT_REVOKED },
                  { JWKS_REVOKE_SUBJECT, "alice", JWT_REVOKED },
                  { JWKS_REVOKE_ISSUED_BEFORE, NULL, JWT_REVOKED } };
    struct world *world = *state;
    char *token;
    learn_claims(world, &token, SPEAKING);
    keyturn_span thumbprint = jwt_result_thumbprint(world->result);
    char *own = text("%.*s", (int)thumbprint.len, thumbprint.data);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        jwks_revocation revocation = JWKS_REVOCATION_INIT;
        revocation.issuer = world->issuer;
        revocation.kind = kinds[i].kind;
        revocation.value = kinds[i].kind == JWKS_REVOKE_THUMBPRINT ? own : kinds[i].value;
        revocation.value_len = revocation.value ? strlen(revocation.value) : 0;
        revocation.issued_before = kinds[i].kind == JWKS_REVOKE_ISSUED_BEFORE ? NOW : 0;
        revocation.until = NOW + 10;
        assert_true(is_known(world, token));
        assert_status(jwks_cache_revoke(world->cache, &revocation, NULL), JWT_OK);
        assert_status(verify(world, token), kinds[i].refusal);
        world->now = NOW + 10;
        assert_true(is_known(world, token)); /* it is over, */
        world->now = NOW;
        assert_status(verify(world, token), kinds[i].refusal); /* and is not */
        assert_status(jwks_cache_unrevoke(world->cache, &revocation, NULL), JWT_OK);
        assert_true(is_known(world, token));
    }
    free(own);
    free(token);
}

/* ---- Policies */

static void a_token_is_known_to_the_policy_that_accepted_it_alone(void **state)
{
    struct world *world = *state;
    const char *other = "others";
    char *token;
    jwt_policy_options strict = good_options(world), mine = good_options(world);
    unsigned same_address = 0;
    learn_claims(world, &token, GOOD_CLAIMS);
    strict.audiences = &other;
    jwt_policy *strict_policy = new_policy(world->cache, &strict);
    for (int i = 0; i < 4; i++)
        assert_status(verify_octets(strict_policy, token, strlen(token), world->result),
                      JWT_AUDIENCE_MISMATCH);
    jwt_policy *gone[8], *others[256]; /* some that have gone, and others, some of them in their places */
    for (size_t i = 0; i < COUNT(gone); i++)
        gone[i] = new_policy(world->cache, &mine);
    for (size_t i = 0; i < COUNT(gone); i++)
        for (int seen = 0; seen < 3; seen++)
            assert_status(verify_octets(gone[i], token, strlen(token), world->result), JWT_OK);
    for (size_t i = 0; i < COUNT(gone); i++)
        jwt_policy_release(gone[i]);
    for (size_t i = 0; i < COUNT(others); i++) {
        other = text("%*s", (int)(2 + i), "x"); /* of many sizes, so that some addresses fit */
        others[i] = new_policy(world->cache, &strict);
        free((void *)other);
        for (size_t j = 0; j < COUNT(gone); j++)
            same_address += others[i] == gone[j];
        assert_status(verify_octets(others[i], token, strlen(token), world->result), JWT_AUDIENCE_MISMATCH);
    }
    for (size_t i = 0; i < COUNT(others); i++)
        jwt_policy_release(others[i]);
    print_message("%u others stand where one had stood\n", same_address);
    jwt_policy_release(strict_policy);
    free(token);
}

/* ---- Room */

static void use_size(struct world *world, int64_t size)
{
    jwks_cache_options cache = JWKS_CACHE_OPTIONS_INIT;
    jwks_issuer_options issuer = JWKS_ISSUER_OPTIONS_INIT;
    cache.token_cache = size;
    char *one = jwk(1, "one"), *set = text("{\"keys\":[%s]}", one);
    renew_world(world, cache, issuer, set);
    free(set);
    free(one);
}

static char *numbered(int number)
{
    char *claims = text(CLAIMS_WITH("\"jti\":\"%d\""), number), *token = mint(1, GOOD_HEADER, claims);
    free(claims);
    return token;
}

static void tokens_make_room_for_each_other_and_stay_within_the_bound(void **state)
{
    struct world *world = *state;
    use_size(world, 65536);
    for (int number = 0; number < 300; number++) {
        char *token = numbered(number);
        for (int seen = 0; seen < 4; seen++)
            assert_status(verify(world, token), JWT_OK);
        free(token);
        assert_true(metric(world, USED) <= metric(world, LIMIT));
    }
    assert_true(metric(world, LIMIT) == 65536);
    assert_true(metric(world, EVICTED) > 100);
    assert_true(metric(world, USED) >= 16384);
    assert_true((metric(world, INSERTED) - metric(world, EVICTED)) * 1024 <= metric(world, USED));
}

static void a_flood_takes_no_room_from_tokens_that_come_again(void **state)
{
    enum { HOT = 12, FLOOD = 600 };
    struct world *world = *state;
    char *hot[HOT];
    int known = 0;
    use_size(world, 65536);
    for (int i = 0; i < HOT; i++)
        learn(world, hot[i] = numbered(-1 - i));
    for (int number = 0; number < FLOOD; number++) {
        char *token = numbered(number);
        for (int seen = 0; seen < 1 + number % 2; seen++) /* half of them twice */
            assert_status(verify(world, token), JWT_OK);
        free(token);
        known += is_known(world, hot[number % HOT]);
    }
    print_message("%d of %d known in the flood\n", known, FLOOD);
    assert_true(known >= FLOOD * 9 / 10);
    for (int i = 0; i < HOT; i++)
        free(hot[i]);
}

static void a_token_that_is_too_large_is_not_kept(void **state)
{
    struct world *world = *state;
    char *filling = malloc(6001), *claims;
    memset(filling, 'x', 6000);
    for (int length = 500; length <= 6000; length += 500) {
        filling[length] = 0;
        claims = text(CLAIMS_WITH("\"x\":\"%s\""), filling);
        char *token = mint(1, GOOD_HEADER, claims);
        for (int seen = 0; seen < 5; seen++)
            assert_int_equal(is_known(world, token), seen > 1 && length <= 3000);
        filling[length] = 'x';
        free(claims);
        free(token);
    }
    free(filling);
}

static void the_option_has_its_range(void **state)
{
    static const int64_t wrong[] = { 1, 65535, (INT64_C(1) << 36) + 1, -2, INT64_MIN, INT64_MAX };
    struct world *world = *state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
        jwks_error error = JWKS_ERROR_INIT;
        jwks_cache *cache = NULL;
        options.token_cache = wrong[i];
        assert_status(jwks_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
        assert_string_equal(error.option, "token_cache");
    }
    assert_true(metric(world, LIMIT) == 16777216);
    use_size(world, KEYTURN_OFF);
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    for (int i = 0; i < 5; i++)
        assert_false(is_known(world, token));
    assert_true(metric(world, LIMIT) == 0 && metric(world, MISSES) == 0);
    free(token);
}

/* ---- The process */

static void it_is_left_out_of_core_dumps(void **state)
{
    (void)state;
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    int is_ours = 0, found = 0;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        if (strncmp(line, "Size:", 5) == 0)
            is_ours = atol(line + 5) == 16384;
        if (is_ours && strncmp(line, "VmFlags:", 8) == 0)
            found += strstr(line, " dd") != NULL;
    }
    fclose(maps);
    assert_int_equal(found, 1);
}

static void a_child_knows_what_its_parent_knew_and_learns_itself(void **state)
{
    struct world *world = *state;
    char *token, *another = numbered(7);
    int status = 0;
    learn_claims(world, &token, GOOD_CLAIMS);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        double before = metric(world, HITS);
        int all = verify(world, token) == JWT_OK;
        for (int i = 0; i < 3; i++)
            all &= verify(world, another) == JWT_OK;
        _exit(all && metric(world, HITS) == before + 2 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(is_known(world, another));
    free(token);
    free(another);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest looks[] = {
        WITH_WORLD(times_are_looked_at_each_time),
        WITH_WORLD(a_key_that_leaves_takes_its_tokens_along),
        WITH_WORLD(what_is_revoked_is_no_longer_known),
    };
    const struct CMUnitTest tests[] = {
        WITH_WORLD(the_result_is_the_same_and_is_counted_alike),
        WITH_WORLD(a_token_that_stands_in_its_result_is_refused_known_or_not),
        WITH_WORLD(another_token_of_the_same_end_is_not_taken_for_it),
        WITH_WORLD(keys_that_come_and_go_beside_it_change_nothing),
        WITH_WORLD(where_there_is_a_choice_of_keys_no_token_is_known),
        WITH_WORLD(a_removed_issuer_has_no_known_tokens),
        WITH_WORLD(known_tokens_end_with_the_age_of_their_keys),
        WITH_WORLD(a_token_is_known_to_the_policy_that_accepted_it_alone),
        WITH_WORLD(tokens_make_room_for_each_other_and_stay_within_the_bound),
        WITH_WORLD(a_flood_takes_no_room_from_tokens_that_come_again),
        WITH_WORLD(a_token_that_is_too_large_is_not_kept),
        WITH_WORLD(the_option_has_its_range),
        WITH_WORLD(it_is_left_out_of_core_dumps),
        WITH_WORLD(a_child_knows_what_its_parent_knew_and_learns_itself),
    };
    int failed = 0;
    if (argc < 2 || strcmp(argv[1], "looks") != 0)
        failed = cmocka_run_group_tests_name("tokens", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("tokens, looks", looks, NULL, NULL);
}
