/* The value of WWW-Authenticate, octet by octet (RFC 6750 section 3, RFC 9728 section 5.1). */
#include "support.h"

static void challenge_is(jwt_status status, const jwt_challenge_options *options, const char *expected)
{
    char buffer[512];
    size_t len = 12345;
    memset(buffer, '#', sizeof buffer);
    assert_status(jwt_challenge(status, options, buffer, sizeof buffer, &len), JWT_OK);
    assert_string_equal(buffer, expected);
    assert_int_equal(len, strlen(expected));
}

#define INVALID "error=\"invalid_token\""
#define INSUFFICIENT "error=\"insufficient_scope\""
#define OPTIONS(...) (&(jwt_challenge_options){ .size = sizeof(jwt_challenge_options), __VA_ARGS__ })

static void a_missing_token_is_told_no_error(void **state)
{
    (void)state;
    challenge_is(JWT_MISSING, NULL, "Bearer");
    challenge_is(JWT_MISSING, OPTIONS(.realm = "example"), "Bearer realm=\"example\"");
    challenge_is(JWT_MISSING, OPTIONS(.resource_metadata = "https://a.example/meta"),
                 "Bearer resource_metadata=\"https://a.example/meta\"");
}

static void a_refused_token_is_told_that_it_is_invalid(void **state)
{
    (void)state;
    challenge_is(JWT_EXPIRED, NULL, "Bearer " INVALID);
    challenge_is(JWT_EXPIRED, OPTIONS(.realm = "example"), "Bearer realm=\"example\", " INVALID);
    challenge_is(JWT_EXPIRED,
                 OPTIONS(.realm = "r", .scope = "read", .resource_metadata = "https://a.example/meta"),
                 "Bearer realm=\"r\", " INVALID ", resource_metadata=\"https://a.example/meta\"");
}

static void a_token_without_the_right_is_told_the_scope(void **state)
{
    (void)state;
    challenge_is(JWT_RULE_FAILED, NULL, "Bearer " INSUFFICIENT);
    challenge_is(JWT_RULE_FAILED, OPTIONS(.realm = "r", .scope = "read write"),
                 "Bearer realm=\"r\", " INSUFFICIENT ", scope=\"read write\"");
}

static void all_refusals_with_401_read_alike(void **state)
{
    (void)state;
    size_t refusals = 0;
    for (unsigned number = 0; number < 1000; number++) {
        jwt_status status = (jwt_status)number;
        if (jwt_status_http(status) != 401 || status == JWT_MISSING)
            continue;
        challenge_is(status, OPTIONS(.realm = "r", .scope = "s"), "Bearer realm=\"r\", " INVALID);
        refusals++;
    }
    assert_int_equal(refusals, 26);
}

static void other_statuses_have_no_challenge(void **state)
{
    (void)state;
    size_t others = 0;
    for (unsigned number = 0; number < 1000; number++) {
        jwt_status status = (jwt_status)number;
        int http = jwt_status_http(status);
        if (http == 401 || http == 403)
            continue;
        challenge_is(status, OPTIONS(.realm = "r"), "");
        others++;
    }
    assert_int_equal(others, 1000 - 28);
}

static void texts_are_quoted(void **state)
{
    (void)state;
    challenge_is(JWT_MISSING, OPTIONS(.realm = "a \"b\" \\c\\"), "Bearer realm=\"a \\\"b\\\" \\\\c\\\\\"");
    challenge_is(JWT_MISSING, OPTIONS(.realm = "\", error=\"x"), "Bearer realm=\"\\\", error=\\\"x\"");
    challenge_is(JWT_RULE_FAILED, OPTIONS(.scope = "a\"b"), "Bearer " INSUFFICIENT ", scope=\"a\\\"b\"");
}

static void control_characters_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "a\r\nSet-Cookie: x", "\n", "a\tb", "\x7f", "\x01", "\x1f" };
    char buffer[256] = "untouched";
    size_t len = 12345;
    for (size_t i = 0; i < COUNT(bad); i++) {
        jwt_challenge_options *each[] = { OPTIONS(.realm = bad[i]), OPTIONS(.scope = bad[i]),
                                          OPTIONS(.resource_metadata = bad[i]) };
        for (size_t j = 0; j < COUNT(each); j++)
            assert_status(jwt_challenge(JWT_RULE_FAILED, each[j], buffer, sizeof buffer, &len),
                          JWKS_INVALID_OPTION);
    }
    assert_string_equal(buffer, "untouched");
    assert_int_equal(len, 12345);
}

static void a_buffer_too_small_is_refused_with_the_length_it_takes(void **state)
{
    (void)state;
    static const char expected[] = "Bearer realm=\"example\", " INVALID;
    for (size_t capacity = 0; capacity <= sizeof expected + 1; capacity++) {
        char *buffer = malloc(capacity ? capacity : 1);
        size_t len = 12345;
        memset(buffer, '#', capacity ? capacity : 1);
        jwt_status status = jwt_challenge(JWT_EXPIRED, OPTIONS(.realm = "example"), buffer, capacity, &len);
        if (capacity < sizeof expected) {
            assert_status(status, JWKS_INVALID_ARGUMENT);
            for (size_t i = 0; i < capacity; i++)
                assert_int_equal(buffer[i], '#');
        } else {
            assert_status(status, JWT_OK);
            assert_string_equal(buffer, expected);
        }
        assert_int_equal(len, sizeof expected - 1);
        free(buffer);
    }
}

static void a_null_buffer_of_no_capacity_asks_for_the_length(void **state)
{
    (void)state;
    size_t len = 12345;
    assert_status(jwt_challenge(JWT_EXPIRED, NULL, NULL, 0, &len), JWKS_INVALID_ARGUMENT);
    assert_int_equal(len, strlen("Bearer " INVALID));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_token_is_told_no_error),
        cmocka_unit_test(a_refused_token_is_told_that_it_is_invalid),
        cmocka_unit_test(a_token_without_the_right_is_told_the_scope),
        cmocka_unit_test(all_refusals_with_401_read_alike),
        cmocka_unit_test(other_statuses_have_no_challenge),
        cmocka_unit_test(texts_are_quoted),
        cmocka_unit_test(control_characters_are_refused),
        cmocka_unit_test(a_buffer_too_small_is_refused_with_the_length_it_takes),
        cmocka_unit_test(a_null_buffer_of_no_capacity_asks_for_the_length),
    };
    return cmocka_run_group_tests_name("challenge", tests, NULL, NULL);
}
