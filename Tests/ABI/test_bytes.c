/* Any octets of any length, to each call that takes a peer's: a status, and no token but the good one is accepted.
 * Each input is a block of exactly its length, so that memory checkers see a read beyond it. */
#include "support.h"
#include "fixtures.h"

#include <time.h>

enum { MEBIBYTE = 1 << 20 };

/* How many inputs each call was given. */
static size_t exercised;

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* ---- The calls that take a peer's octets */

struct inputs {
    struct world *world;
    jwt_policy *wide; /* bounds as wide as they go */
};

static int make_inputs(void **state)
{
    void *world = NULL;
    struct inputs *inputs = calloc(1, sizeof *inputs);
    assert_non_null(inputs);
    make_world(&world);
    inputs->world = world;
    jwks_issuer_options large = JWKS_ISSUER_OPTIONS_INIT;
    large.issuer = "https://large.example";
    large.max_document = 16 * MEBIBYTE;
    large.max_keys = 4096;
    jwks_issuer_release(inputs->world->issuer);
    assert_status(jwks_cache_add_issuer(inputs->world->cache, &large, &inputs->world->issuer, NULL), JWT_OK);
    load_key(inputs->world->issuer, 1, "one");
    jwt_policy_options options = good_options(inputs->world);
    options.allow_any_issuer = 1;
    options.max_token = MEBIBYTE;
    options.max_kid = options.max_header_members = options.max_claims_members = 4096;
    options.max_nesting = 64;
    inputs->wide = new_policy(inputs->world->cache, &options);
    exercised = 0;
    *state = inputs;
    return 0;
}

static int end_inputs(void **state)
{
    struct inputs *inputs = *state;
    void *world = inputs->world;
    jwt_policy_release(inputs->wide);
    end_world(&world);
    free(inputs);
    return 0;
}

#define WITH_INPUTS(test) cmocka_unit_test_setup_teardown(test, make_inputs, end_inputs)

static void assert_refused_token(jwt_status status, const jwt_result *result)
{
    assert_int_equal(jwt_status_http(status), 401);
    assert_status(jwt_result_status(result), status);
    assert_cleared(result);
}

/* `octets` is given to each call from a block of its own; no call may take it. */
static void give(struct inputs *inputs, const void *octets, size_t len)
{
    struct world *world = inputs->world;
    char *exact = malloc(len);
    assert_true(exact || len == 0);
    if (len > 0)
        memcpy(exact, octets, len);
    const char *given = len > 0 ? exact : "";
    if (getenv("KEYTURN_TEST_MUTANT")) /* shows that a memory checker would see a read beyond the end */
        len++;
    assert_refused_token(jwt_verify(world->policy, given, len, world->result), world->result);
    assert_refused_token(jwt_verify(inputs->wide, given, len, world->result), world->result);
    assert_refused_token(jws_verify(world->issuer, NULL, given, len, world->result), world->result);
    assert_status(jwks_issuer_load(world->issuer, given, len, NULL), JWKS_INVALID_DOCUMENT);
    free(exact);
    exercised++;
}

/* ---- Lengths from 0 to 16 MiB, filled in several ways */

static const size_t lengths[] = {
    0,    1,    2,     3,     4,     5,      63,       64,           65,           1023,
    1024, 4095, 32767, 32768, 32769, 524288, MEBIBYTE, MEBIBYTE + 1, 16 * MEBIBYTE
};

static void fill_with(char *memory, size_t len, const char *unit)
{
    size_t unit_len = strlen(unit);
    for (size_t i = 0; i < len; i++)
        memory[i] = unit[i % unit_len];
}

static void give_each_length(struct inputs *inputs, const char *unit)
{
    char *memory = malloc(16 * MEBIBYTE);
    assert_non_null(memory);
    if (unit)
        fill_with(memory, 16 * MEBIBYTE, unit);
    else
        memset(memory, 0, 16 * MEBIBYTE);
    for (size_t i = 0; i < COUNT(lengths); i++)
        give(inputs, memory, lengths[i]);
    free(memory);
}

static void one_thing_over_and_over_is_refused(void **state)
{
    static const char *const units[] = { NULL,
                                         ".",
                                         "A",
                                         "\xff",
                                         "[",
                                         "{\"a\":",
                                         "{\"keys\":[",
                                         "[{},",
                                         "\"",
                                         "\\u0000",
                                         "0",
                                         "e30.",
                                         "AAAA.AAAA.",
                                         "{}",
                                         " ",
                                         "\xf0\x9f\x98\x80",
                                         "1e9",
                                         "-",
                                         "eyJhbGciOiJFZERTQSJ9." };
    for (size_t i = 0; i < COUNT(units); i++)
        give_each_length(*state, units[i]);
    assert_int_equal(exercised, COUNT(units) * COUNT(lengths));
    print_message("%zu inputs of up to 16 MiB\n", exercised);
}

static void random_octets_are_refused(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_..";
    enum { ROUNDS = 3000, LONGEST = 2048 };
    char memory[LONGEST];
    for (int round = 0; round < ROUNDS; round++) {
        size_t len = next_random() % (round % 100 == 0 ? LONGEST : 200);
        for (size_t i = 0; i < len; i++)
            memory[i] = round % 2 ? (char)next_random() : alphabet[next_random() % (sizeof alphabet - 1)];
        give(*state, memory, len);
    }
    assert_int_equal(exercised, ROUNDS);
    print_message("%zu random inputs\n", exercised);
}

/* ---- Structures that try a parser, inside of good Base64url */

static char *repeat(const char *unit, size_t count)
{
    size_t len = strlen(unit);
    char *out = malloc(len * count + 1);
    assert_non_null(out);
    fill_with(out, len * count, unit);
    out[len * count] = 0;
    return out;
}

static void give_signed(struct inputs *inputs, const char *header, const char *claims)
{
    char *token = mint(9, header, claims);
    give(inputs, token, strlen(token));
    free(token);
}

static void hostile_structures_are_refused(void **state)
{
    static const char *const units[] = { "[",   "{\"a\":",       "[{\"\":",    "\"\\u0061\",",   "1,", "[],",
                                         "{},", "0.0000000000,", "1e1000000,", "\\ud83d\\ude00", "  " };
    for (size_t i = 0; i < COUNT(units); i++)
        for (size_t count = 1; count <= 20000; count *= 10) {
            char *repeated = repeat(units[i], count), *claims = text("{" GOOD ",\"x\":[%s", repeated);
            char *string = text("{" GOOD ",\"x\":\"%s\"}", repeated);
            give_signed(*state, GOOD_HEADER, claims);
            give_signed(*state, GOOD_HEADER, string);
            give_signed(*state, claims, GOOD_CLAIMS);
            give(*state, claims, strlen(claims));
            free(string);
            free(claims);
            free(repeated);
        }
    assert_int_equal(exercised, COUNT(units) * 5 * 4);
    print_message("%zu hostile structures\n", exercised);
}

/* Names that differ in their last character, as many as a token may hold: no quadratic time. */
static void many_members_take_linear_time(void **state)
{
    struct inputs *inputs = *state;
    char *claims = text("{" GOOD);
    claims = realloc(claims, MEBIBYTE);
    size_t len = strlen(claims);
    for (unsigned i = 0; i < 4093; i++)
        len += (size_t)sprintf(claims + len, ",\"a-name-of-some-length-%05u\":%u", i, i);
    strcpy(claims + len, "}");
    char *token = mint(1, GOOD_HEADER, claims);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < 100; i++)
        assert_status(verify_octets(inputs->wide, token, strlen(token), inputs->world->result), JWT_OK);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 20); /* quadratic: minutes */
    free(token);
    free(claims);
}

/* ---- A good token of each algorithm, cut and flipped */

static void assert_only_the_whole_is_accepted(struct world *world, const char *token)
{
    size_t len = strlen(token);
    for (size_t prefix = 0; prefix < len; prefix++, exercised++)
        assert_refused_token(verify_octets(world->policy, token, prefix, world->result), world->result);
    assert_status(verify_octets(world->policy, token, len, world->result), JWT_OK);
}

static void assert_no_flip_is_accepted(struct world *world, const char *token)
{
    size_t len = strlen(token);
    char *flipped = text("%s", token);
    for (size_t bit = 0; bit < 8 * len; bit++, exercised++) {
        flipped[bit / 8] ^= (char)(1 << bit % 8);
        jwt_status status = verify_octets(world->policy, flipped, len, world->result);
        if (status == JWT_OK)
            fail_msg("bit %zu of %s", bit, token);
        assert_refused_token(status, world->result);
        flipped[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_status(verify_octets(world->policy, flipped, len, world->result), JWT_OK);
    free(flipped);
}

static void nothing_but_the_good_token_is_accepted(void **state)
{
    (void)state;
    size_t expected = 0;
    exercised = 0;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (!(fixtures[i].algorithm & jwt_algorithms_supported()))
            continue;
        void *world = make_world_of(fixtures[i].algorithm, fixtures[i].jwks);
        assert_only_the_whole_is_accepted(world, fixtures[i].token);
        assert_no_flip_is_accepted(world, fixtures[i].token);
        end_world(&world);
        expected += 9 * strlen(fixtures[i].token);
    }
    assert_int_equal(exercised, expected);
    assert_true(exercised > 40000);
    print_message("%zu prefixes and flips\n", exercised);
}

/* ---- A good document, cut and flipped: whatever becomes of it, a status and no crash */

static void documents_may_be_cut_anywhere(void **state)
{
    struct inputs *inputs = *state;
    size_t len = strlen(FAULTY_JWKS);
    for (size_t prefix = 0; prefix < len; prefix += prefix < 2000 ? 1 : 7, exercised++) {
        char *exact = malloc(prefix ? prefix : 1);
        memcpy(exact, FAULTY_JWKS, prefix);
        assert_status(jwks_issuer_load(inputs->world->issuer, exact, prefix, NULL), JWKS_INVALID_DOCUMENT);
        free(exact);
    }
    assert_true(exercised > 2000);
    print_message("%zu documents cut short\n", exercised);
}

static void documents_may_have_any_bit_flipped(void **state)
{
    struct inputs *inputs = *state;
    char *set = jwks(1, 1, 1);
    size_t len = strlen(set), loaded = 0;
    for (size_t bit = 0; bit < 8 * len; bit++, exercised++) {
        char *exact = malloc(len);
        memcpy(exact, set, len);
        exact[bit / 8] ^= (char)(1 << bit % 8);
        jwt_status status = jwks_issuer_load(inputs->world->issuer, exact, len, NULL);
        assert_true(status == JWT_OK || status == JWKS_INVALID_DOCUMENT);
        loaded += status == JWT_OK;
        free(exact);
    }
    assert_int_equal(exercised, 8 * len);
    assert_true(loaded > 0 && loaded < exercised);
    print_message("%zu documents flipped, %zu of them loaded\n", exercised, loaded);
    free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INPUTS(one_thing_over_and_over_is_refused),
        WITH_INPUTS(random_octets_are_refused),
        WITH_INPUTS(hostile_structures_are_refused),
        WITH_INPUTS(many_members_take_linear_time),
        cmocka_unit_test(nothing_but_the_good_token_is_accepted),
        WITH_INPUTS(documents_may_be_cut_anywhere),
        WITH_INPUTS(documents_may_have_any_bit_flipped),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
