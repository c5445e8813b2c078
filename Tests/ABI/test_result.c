/* What can be read from a result: claims by name and by pointer, exact numbers, strings with any character. */
#include "support.h"

static void accept(struct world *world, const char *claims)
{
    assert_status(verify_claims(world, claims), JWT_OK);
}

static jwt_value claim(const struct world *world, const char *name)
{
    return jwt_result_claim(world->result, name, strlen(name));
}

static jwt_value claim_at(const struct world *world, const char *pointer)
{
    return jwt_result_claim_at(world->result, pointer, strlen(pointer));
}

#define assert_value(value, expected_kind, expected_text)                                                    \
    do {                                                                                                     \
        jwt_value actual_ = (value);                                                                         \
        assert_int_equal(actual_.kind, expected_kind);                                                       \
        assert_span(actual_.text, expected_text);                                                            \
    } while (0)

static void the_payload_is_what_was_signed(void **state)
{
    struct world *world = *state;
    accept(world, " {" GOOD " , \"x\" : [ 1 ]}\n");
    assert_span(jwt_result_payload(world->result), " {" GOOD " , \"x\" : [ 1 ]}\n");
}

static void a_result_tells_key_algorithm_issuer_and_expiry(void **state)
{
    struct world *world = *state;
    accept(world, GOOD_CLAIMS);
    assert_span(jwt_result_kid(world->result), "one");
    assert_string_equal(jwt_result_algorithm(world->result), "EdDSA");
    assert_span(jwt_result_issuer(world->result), ISSUER);
    assert_int_equal(jwt_result_expiry(world->result), NOW + 300);
    assert_int_equal(jwt_result_thumbprint(world->result).len, 43);
}

static void values_have_kinds_and_texts(void **state)
{
    struct world *world = *state;
    accept(world, CLAIMS_WITH("\"z\":null,\"b\":true,\"f\":false,\"n\":-1.50e+2,\"s\":\"x\",\"a\":[ 1, 2 ],"
                              "\"o\":{ \"p\" : 1 },\"\":\"empty\",\"e\":\"\""));
    assert_value(claim(world, "z"), JWT_NULL, "null");
    assert_value(claim(world, "b"), JWT_BOOLEAN, "true");
    assert_value(claim(world, "f"), JWT_BOOLEAN, "false");
    assert_value(claim(world, "n"), JWT_NUMBER, "-1.50e+2");
    assert_value(claim(world, "s"), JWT_STRING, "x");
    assert_value(claim(world, "a"), JWT_ARRAY, "[ 1, 2 ]");
    assert_value(claim(world, "o"), JWT_OBJECT, "{ \"p\" : 1 }");
    assert_value(claim(world, ""), JWT_STRING, "empty");
    assert_value(claim(world, "e"), JWT_STRING, "");
    assert_value(claim(world, "missing"), JWT_ABSENT, "");
}

static void strings_are_unescaped(void **state)
{
    struct world *world = *state;
    accept(world,
           CLAIMS_WITH("\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"b\":\"\\u00e9\\u20ac\\ud83d\\ude00\","
                       "\"c\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\",\"d\":\"a\\u0000b\",\"e\":\"\\uFFFF\","
                       "\"f\":\"\x7f\",\"g\":\"mixed \\u0041 and plain\""));
    assert_value(claim(world, "a"), JWT_STRING, "\"\\/\b\f\n\r\t");
    assert_value(claim(world, "b"), JWT_STRING, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_value(claim(world, "c"), JWT_STRING, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_value(claim(world, "d"), JWT_STRING, "a\0b");
    assert_value(claim(world, "e"), JWT_STRING, "\xef\xbf\xbf");
    assert_value(claim(world, "f"), JWT_STRING, "\x7f");
    assert_value(claim(world, "g"), JWT_STRING, "mixed A and plain");
}

static void spans_stay_while_others_are_asked_for(void **state)
{
    struct world *world = *state;
    accept(world, CLAIMS_WITH("\"a\":\"\\u0041\",\"b\":\"\\u0042\",\"c\":[\"\\u0043\",\"\\u0044\"]"));
    jwt_value a = claim(world, "a"), b = claim(world, "b"), c = claim_at(world, "/c/0"),
              d = claim_at(world, "/c/1");
    for (int i = 0; i < 100; i++)
        assert_value(claim(world, "b"), JWT_STRING, "B");
    assert_value(a, JWT_STRING, "A");
    assert_value(b, JWT_STRING, "B");
    assert_value(c, JWT_STRING, "C");
    assert_value(d, JWT_STRING, "D");
}

static void names_are_compared_unescaped_and_whole(void **state)
{
    struct world *world = *state;
    accept(world, CLAIMS_WITH("\"\\u0073ub\":\"alice\",\"n\\u0000l\":1,\"\xc3\xa9\":2,\"a/b\":3"));
    assert_value(claim(world, "sub"), JWT_STRING, "alice");
    assert_value(claim(world, "\xc3\xa9"), JWT_NUMBER, "2");
    assert_value(claim(world, "a/b"), JWT_NUMBER, "3");
    assert_value(jwt_result_claim(world->result, "n\0l", 3), JWT_NUMBER, "1");
    assert_value(claim(world, "n"), JWT_ABSENT, "");
    assert_value(claim(world, "\\u0073ub"), JWT_ABSENT, "");
    assert_value(claim(world, "su"), JWT_ABSENT, "");
    assert_value(claim(world, "subj"), JWT_ABSENT, "");
    assert_value(jwt_result_claim(world->result, "subXX", 3), JWT_STRING, "alice");
}

static void a_name_finds_members_of_the_claims_set_only(void **state)
{
    struct world *world = *state;
    accept(world, CLAIMS_WITH(
                      "\"o\":{\"sub\":\"nested\",\"role\":\"admin\"},\"v\":\"role\",\"l\":[\"role\",\"x\"]"));
    assert_value(claim(world, "role"), JWT_ABSENT, "");
    assert_value(claim(world, "sub"), JWT_ABSENT, "");
    assert_value(claim(world, "/o/role"), JWT_ABSENT, "");
}

static void pointers_reach_everything(void **state)
{
    struct world *world = *state;
    accept(
        world,
        CLAIMS_WITH("\"o\":{\"l\":[{\"x\":1},[2,[3,{\"y\":\"\\u0078\"}]]],\"a/b\":4,\"m~n\":5,\"\":{\"\":6}},"
                    "\"10\":7"));
    assert_value(claim_at(world, "/o/l/0/x"), JWT_NUMBER, "1");
    assert_value(claim_at(world, "/o/l/1/0"), JWT_NUMBER, "2");
    assert_value(claim_at(world, "/o/l/1/1/0"), JWT_NUMBER, "3");
    assert_value(claim_at(world, "/o/l/1/1/1/y"), JWT_STRING, "x");
    assert_value(claim_at(world, "/o/l/1/1"), JWT_ARRAY, "[3,{\"y\":\"\\u0078\"}]");
    assert_value(claim_at(world, "/o/a~1b"), JWT_NUMBER, "4");
    assert_value(claim_at(world, "/o/m~0n"), JWT_NUMBER, "5");
    assert_value(claim_at(world, "/o//"), JWT_NUMBER, "6");
    assert_value(claim_at(world, "/10"), JWT_NUMBER, "7");
    assert_int_equal(claim_at(world, "").kind, JWT_OBJECT);
}

static void pointers_that_lead_nowhere_answer_absent(void **state)
{
    struct world *world = *state;
    static const char *const nowhere[] = {
        "o",
        "o/l",
        "/x",
        "/o/x",
        "/o/l/2",
        "/o/l/-",
        "/o/l/-1",
        "/o/l/00",
        "/o/l/+0",
        "/o/l/0x0",
        "/o/l/ 0",
        "/o/l/",
        "/o/l/0/",
        "/o/l/0/0",
        "/o/s/0",
        "/o/n/0",
        "/o/l/4294967296",
        "/o/l/18446744073709551616",
        "/~",
        "/o/~2",
        "/o/l~",
        "//",
        "/",
        "/o/",
        "/O/l",
    };
    accept(world, CLAIMS_WITH("\"o\":{\"l\":[1,2],\"s\":\"string\",\"n\":5}"));
    for (size_t i = 0; i < COUNT(nowhere); i++)
        assert_value(claim_at(world, nowhere[i]), JWT_ABSENT, "");
}

static void the_header_is_read_the_same_way(void **state)
{
    struct world *world = *state;
    assert_status(
        verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"o\\u006ee\",\"x\":{\"y\":[\"\\u007a\",7]}}"),
        JWT_OK);
    assert_value(jwt_result_header(world->result, "alg", 3), JWT_STRING, "EdDSA");
    assert_value(jwt_result_header(world->result, "kid", 3), JWT_STRING, "one");
    assert_value(jwt_result_header(world->result, "y", 1), JWT_ABSENT, "");
    assert_value(jwt_result_header(world->result, "iss", 3), JWT_ABSENT, "");
    assert_value(jwt_result_header_at(world->result, "/x/y/0", 6), JWT_STRING, "z");
    assert_value(jwt_result_header_at(world->result, "/x/y/1", 6), JWT_NUMBER, "7");
    assert_value(jwt_result_header_at(world->result, "/x/y/2", 6), JWT_ABSENT, "");
}

/* ---- Integers */

static void integers_are_exact_or_none(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *json;
        int exact;
        int64_t value;
    } cases[] = {
        { "0", 1, 0 },
        { "-0", 1, 0 },
        { "0.0", 1, 0 },
        { "0e99999999999999999999", 1, 0 },
        { "1", 1, 1 },
        { "-1", 1, -1 },
        { "9007199254740993", 1, INT64_C(9007199254740993) },
        { "9223372036854775807", 1, INT64_MAX },
        { "9223372036854775808", 0, 0 },
        { "-9223372036854775808", 1, INT64_MIN },
        { "-9223372036854775809", 0, 0 },
        { "18446744073709551616", 0, 0 },
        { "18446744073709551617", 0, 0 },
        { "1.5e1", 1, 15 },
        { "1.5", 0, 0 },
        { "150e-1", 1, 15 },
        { "155e-1", 0, 0 },
        { "1.0", 1, 1 },
        { "1.000000000000000000000000000000000000", 1, 1 },
        { "1.000000000000000000000000000000000001", 0, 0 },
        { "1e18", 1, INT64_C(1000000000000000000) },
        { "1E+18", 1, INT64_C(1000000000000000000) },
        { "1e19", 0, 0 },
        { "9.223372036854775807e18", 1, INT64_MAX },
        { "9.223372036854775808e18", 0, 0 },
        { "-9.223372036854775808e18", 1, INT64_MIN },
        { "1e-1", 0, 0 },
        { "1e400", 0, 0 },
        { "1e99999999999999999999", 0, 0 },
        { "1e-99999999999999999999", 0, 0 },
        { "10000000000000000000000000000000e-31", 1, 1 },
        { "0.00000000000000000000000000000015e32", 1, 15 },
        { "\"5\"", 0, 0 },
        { "true", 0, 0 },
        { "null", 0, 0 },
        { "[5]", 0, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *claims = text("{" GOOD ",\"n\":%s}", cases[i].json);
        int64_t out = 77;
        accept(world, claims);
        if (jwt_value_integer(claim(world, "n"), &out) != cases[i].exact)
            fail_msg("%s", cases[i].json);
        assert_int_equal(out, cases[i].exact ? cases[i].value : 77);
        free(claims);
    }
}

static void integers_of_made_up_values_are_none(void **state)
{
    (void)state;
    static const char *const texts[] = { "",   "-",  "x",  "1x",   "1 ",  " 1", "1.",
                                         ".1", "1e", "+1", "0x10", "--1", "1e+" };
    int64_t out = 77;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (jwt_value_integer((jwt_value){ JWT_NUMBER, span_of(texts[i]) }, &out) != 0)
            fail_msg("\"%s\" is read as %lld", texts[i], (long long)out);
    assert_int_equal(jwt_value_integer((jwt_value){ (jwt_kind)99, { "5", 1 } }, &out), 0);
    assert_int_equal(out, 77);
}

/* ---- Reuse */

static void a_refusal_shows_nothing_of_the_user_before(void **state)
{
    struct world *world = *state;
    accept(world, CLAIMS_WITH("\"sub\":\"alice\",\"roles\":[\"admin\"]"));
    assert_value(claim(world, "sub"), JWT_STRING, "alice");
    assert_status(verify_claims(world, "{" ISS "," AUD ",\"exp\":1,\"sub\":\"bob\"}"), JWT_EXPIRED);
    assert_value(claim(world, "sub"), JWT_ABSENT, "");
    assert_value(claim_at(world, "/roles/0"), JWT_ABSENT, "");
    assert_cleared(world->result);
}

static void the_next_user_sees_nothing_of_the_one_before(void **state)
{
    struct world *world = *state;
    accept(world, CLAIMS_WITH("\"sub\":\"alice\",\"roles\":[\"admin\"],\"long\":\"0123456789abcdef\""));
    accept(world, CLAIMS_WITH("\"sub\":\"bob\""));
    assert_value(claim(world, "sub"), JWT_STRING, "bob");
    assert_value(claim(world, "roles"), JWT_ABSENT, "");
    assert_value(claim(world, "long"), JWT_ABSENT, "");
    assert_span(jwt_result_payload(world->result), CLAIMS_WITH("\"sub\":\"bob\""));
}

static void results_grow_and_shrink_with_their_tokens(void **state)
{
    struct world *world = *state;
    for (size_t round = 0; round < 3; round++)
        for (size_t len = 1; len < 20000; len = len * 3 + 1) {
            char *value = malloc(len + 1);
            memset(value, 'a', len);
            value[len] = 0;
            char *claims = text("{" GOOD ",\"v\":\"\\u0062%s\"}", value);
            accept(world, claims);
            jwt_value v = claim(world, "v");
            assert_int_equal(v.text.len, len + 1);
            assert_int_equal(v.text.data[0], 'b');
            assert_memory_equal(v.text.data + 1, value, len);
            free(claims);
            free(value);
        }
}

static void a_result_outlives_policy_and_keys(void **state)
{
    (void)state;
    void *world = NULL;
    make_world(&world);
    jwt_result *result = NULL;
    assert_status(jwt_result_new(&result), JWT_OK);
    char *token = mint(1, GOOD_HEADER, CLAIMS_WITH("\"sub\":\"\\u0061lice\""));
    assert_status(verify_octets(((struct world *)world)->policy, token, strlen(token), result), JWT_OK);
    load_key(((struct world *)world)->issuer, 2, "two");
    end_world(&world);
    assert_span(jwt_result_issuer(result), ISSUER);
    assert_span(jwt_result_kid(result), "one");
    assert_int_equal(jwt_result_thumbprint(result).len, 43);
    assert_string_equal(jwt_result_algorithm(result), "EdDSA");
    assert_value(jwt_result_claim(result, "sub", 3), JWT_STRING, "alice");
    jwt_result_release(result);
    free(token);
}

/* The names of a rule are the policy's; in a result they are its own. */
static void a_detail_outlives_the_policy(void **state)
{
    struct world *world = *state;
    const char *values[] = { "somebody else" };
    jwt_rule rule = { sizeof(jwt_rule), JWT_RULE_EQUALS, "iss", values, 1 };
    jwt_policy_options options = good_options(world);
    options.rules = &rule;
    options.rule_count = 1;
    use_policy(world, &options);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_RULE_FAILED);
    jwt_policy_release(world->policy);
    world->policy = NULL;
    assert_string_equal(jwt_result_detail(world->result), "rules[0] iss");
}

/* A token inside of the result would be overwritten while it is read. */
static void a_token_does_not_lie_in_its_result(void **state)
{
    struct world *world = *state;
    char *inner = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    char *claims =
        text("{\"iss\":\"https://issuer.example\",\"aud\":\"api\",\"exp\":1800000300,\"t\":\"%s\"}", inner);
    assert_status(verify_claims(world, claims), JWT_OK);
    jwt_value found = jwt_result_claim(world->result, "t", 1);
    assert_int_equal(found.kind, JWT_STRING);
    assert_status(jwt_verify(world->policy, found.text.data, found.text.len, world->result),
                  JWKS_INVALID_ARGUMENT);
    assert_status(verify(world, inner), JWT_OK);
    free(claims);
    free(inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(the_payload_is_what_was_signed),
        WITH_WORLD(a_result_tells_key_algorithm_issuer_and_expiry),
        WITH_WORLD(values_have_kinds_and_texts),
        WITH_WORLD(strings_are_unescaped),
        WITH_WORLD(spans_stay_while_others_are_asked_for),
        WITH_WORLD(names_are_compared_unescaped_and_whole),
        WITH_WORLD(a_name_finds_members_of_the_claims_set_only),
        WITH_WORLD(pointers_reach_everything),
        WITH_WORLD(pointers_that_lead_nowhere_answer_absent),
        WITH_WORLD(the_header_is_read_the_same_way),
        WITH_WORLD(integers_are_exact_or_none),
        cmocka_unit_test(integers_of_made_up_values_are_none),
        WITH_WORLD(a_refusal_shows_nothing_of_the_user_before),
        WITH_WORLD(the_next_user_sees_nothing_of_the_one_before),
        WITH_WORLD(results_grow_and_shrink_with_their_tokens),
        cmocka_unit_test(a_result_outlives_policy_and_keys),
        WITH_WORLD(a_detail_outlives_the_policy),
        WITH_WORLD(a_token_does_not_lie_in_its_result),
    };
    return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
