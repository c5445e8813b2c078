/* What all adapters share: the token out of a request, the reply, claims as text, options by name. */
#include "support.h"

#include <adapter.h>

#include <unistd.h>

/* ---- The token of a request ----------------------------------------------------------------- */

/* A copy of exactly its length, so that memory checkers see a read beyond it. */
static adapter_token token_of(const char *field, size_t len)
{
    static char *copy;
    adapter_token token = { { NULL, 0 }, 0 };
    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, field, len);
    adapter_take_field(&token, copy, len);
    return token;
}
#define TOKEN_OF(field) token_of(field, sizeof(field) - 1)

static void the_scheme_is_bearer_in_any_case(void **state)
{
    (void)state;
    assert_span(TOKEN_OF("Bearer a.b.c").text, "a.b.c");
    assert_span(TOKEN_OF("bearer a.b.c").text, "a.b.c");
    assert_span(TOKEN_OF("BEARER   a.b.c").text, "a.b.c");
    assert_span(TOKEN_OF(" \tBearer\ta.b.c \t").text, "a.b.c");
}

static void fields_that_were_joined_are_several(void **state)
{
    (void)state;
    assert_int_equal(TOKEN_OF("Bearer a.b.c,Bearer a.b.c").found, 2);
    assert_int_equal(TOKEN_OF("Bearer a.b.c , bearer d.e.f,Bearer g").found, 3);
    assert_int_equal(TOKEN_OF("Basic YTpi,Bearer a.b.c").found, 1);
    assert_span(TOKEN_OF("Basic YTpi, Bearer a.b.c").text, "a.b.c");
    /* What stands beside a token is not left out of it. */
    assert_int_equal(TOKEN_OF("Bearer a.b.c,d").found, 1);
    assert_span(TOKEN_OF("Bearer a.b.c,d").text, "a.b.c,d");
    assert_int_equal(TOKEN_OF(",").found, 0);
}

static void another_scheme_is_no_token(void **state)
{
    (void)state;
    assert_int_equal(TOKEN_OF("").found, 0);
    assert_int_equal(TOKEN_OF("Beare").found, 0);
    assert_int_equal(TOKEN_OF("Bearera.b.c").found, 0);
    assert_int_equal(TOKEN_OF("Basic Bearer").found, 0);
    assert_int_equal(TOKEN_OF("Bearer\0a.b.c").found, 0);
    assert_int_equal(TOKEN_OF("\x02"
                              "earer a.b.c")
                         .found,
                     0);
}

static void what_follows_is_the_librarys_to_judge(void **state)
{
    (void)state;
    assert_int_equal(TOKEN_OF("Bearer").found, 1);
    assert_int_equal(TOKEN_OF("Bearer").text.len, 0);
    assert_span(TOKEN_OF("Bearer a.b.c, Basic x").text, "a.b.c, Basic x");
    assert_span(TOKEN_OF("Bearer a.b.c\0.d").text, "a.b.c\0.d");
}

static void an_empty_value_is_no_token(void **state)
{
    (void)state;
    adapter_token token = { { NULL, 0 }, 0 };
    adapter_take_value(&token, "", 0);
    assert_int_equal(token.found, 0);
    adapter_take_value(&token, "a.b.c", 5);
    assert_int_equal(token.found, 1);
    assert_span(token.text, "a.b.c");
}

/* ---- The reply -------------------------------------------------------------------------------- */

static adapter_token good_token(void)
{
    static char *text;
    free(text);
    text = mint(1, GOOD_HEADER, CLAIMS_WITH("\"sub\":\"alice\""));
    adapter_token token = { { NULL, 0 }, 0 };
    adapter_take_value(&token, text, strlen(text));
    return token;
}

static void one_token_is_verified(void **state)
{
    struct world *world = *state;
    adapter_token token = good_token();
    assert_int_equal(adapter_verify(world->policy, &token, world->result), JWT_OK);
}

static void two_tokens_are_none_and_clear_the_result(void **state)
{
    struct world *world = *state;
    adapter_token token = good_token();
    assert_int_equal(adapter_verify(world->policy, &token, world->result), JWT_OK);
    token.found = 2;
    assert_int_equal(adapter_verify(world->policy, &token, world->result), ADAPTER_TWO_TOKENS);
    assert_cleared(world->result);
    assert_int_equal(adapter_http(ADAPTER_TWO_TOKENS), 400);
}

static void no_token_is_missing(void **state)
{
    struct world *world = *state;
    adapter_token token = { { NULL, 0 }, 0 };
    assert_int_equal(adapter_verify(world->policy, &token, world->result), JWT_MISSING);
    token = TOKEN_OF("Bearer");
    assert_int_equal(adapter_verify(world->policy, &token, world->result), JWT_MISSING);
}

static void a_status_has_its_reply(void **state)
{
    (void)state;
    char buffer[128];
    size_t len = 1;
    assert_int_equal(adapter_http(JWT_OK), 200);
    assert_int_equal(adapter_http(JWT_EXPIRED), 401);
    assert_int_equal(adapter_http(JWT_RULE_FAILED), 403);
    assert_int_equal(adapter_http(ADAPTER_UNFIT_CLAIM), 403);
    assert_int_equal(adapter_http(JWKS_KEYS_UNAVAILABLE), 503);
    assert_int_equal(adapter_http(JWKS_NO_MEMORY), 500);
    assert_string_equal(adapter_name(JWT_EXPIRED), "JWT_EXPIRED");
    assert_string_equal(adapter_name(ADAPTER_TWO_TOKENS), "TWO_TOKENS");
    assert_string_equal(adapter_message(JWT_EXPIRED), jwt_status_message(JWT_EXPIRED));
    assert_status(adapter_challenge(JWT_MISSING, NULL, buffer, sizeof buffer, &len), JWT_OK);
    assert_string_equal(buffer, "Bearer");
    assert_status(adapter_challenge(ADAPTER_TWO_TOKENS, NULL, buffer, sizeof buffer, &len), JWT_OK);
    assert_int_equal(len, 0);
    assert_status(adapter_challenge(ADAPTER_UNFIT_CLAIM, NULL, buffer, sizeof buffer, &len), JWT_OK);
    assert_int_equal(len, 0);
}

static void a_retry_is_worth_its_while_within_bounds(void **state)
{
    struct world *world = *state;
    assert_int_equal(adapter_retry_after(NULL, 0), 1);
    assert_int_equal(adapter_retry_after(&world->issuer, 1), 1); /* it is ready */
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = "https://slow.example";
    jwks_issuer *empty;
    assert_status(jwks_cache_add_issuer(world->cache, &options, &empty, NULL), JWT_OK);
    unsigned seconds = adapter_retry_after(&empty, 1);
    assert_in_range(seconds, 1, 300);
    jwks_issuer_release(empty);
}

/* ---- Claims as text ----------------------------------------------------------------------------- */

static jwt_value value_of(jwt_kind kind, const char *text, size_t len)
{
    return (jwt_value){ kind, { text, len } };
}
#define VALUE(kind, text) value_of(kind, text, sizeof(text) - 1)

static void what_could_end_a_header_is_unfit(void **state)
{
    (void)state;
    for (int octet = 0; octet < 256; octet++) {
        char text[3] = { 'a', (char)octet, 'b' };
        adapter_fitness expected = octet < 0x20 || octet == 0x7f ? ADAPTER_UNFIT : ADAPTER_FIT;
        assert_int_equal(adapter_fits(value_of(JWT_STRING, text, 3)), expected);
    }
    assert_int_equal(adapter_fits(VALUE(JWT_ARRAY, "[\"ad\x7fmin\"]")), ADAPTER_UNFIT);
    assert_int_equal(adapter_fits(VALUE(JWT_NULL, "null")), ADAPTER_ABSENT);
    assert_int_equal(adapter_fits(value_of(JWT_ABSENT, NULL, 0)), ADAPTER_ABSENT);
    assert_int_equal(adapter_fits(VALUE(JWT_STRING, "")), ADAPTER_FIT);
}

static void text_is(jwt_value value, const char *expected)
{
    char buffer[64];
    assert_int_equal(adapter_fits(value), ADAPTER_FIT);
    assert_int_equal(adapter_text(value, buffer), strlen(expected));
    assert_memory_equal(buffer, expected, strlen(expected));
}

static void a_value_is_one_line_of_text(void **state)
{
    (void)state;
    text_is(VALUE(JWT_STRING, "J\xc3\xbcrgen"), "J\xc3\xbcrgen");
    text_is(VALUE(JWT_NUMBER, "1.5e1"), "1.5e1");
    text_is(VALUE(JWT_BOOLEAN, "true"), "true");
    text_is(VALUE(JWT_ARRAY, "[\n\t\"a,b\",\r\n\"c\"\n]"), "[\"a,b\",\"c\"]");
    text_is(VALUE(JWT_OBJECT, "{\"a\": \"\\n\"}"), "{\"a\": \"\\n\"}");
}

static void a_claim_is_found_by_name_or_pointer(void **state)
{
    struct world *world = *state;
    adapter_token token = good_token();
    assert_int_equal(adapter_verify(world->policy, &token, world->result), JWT_OK);
    assert_span(adapter_claim(world->result, "sub", 3).text, "alice");
    assert_span(adapter_claim(world->result, "/sub", 4).text, "alice");
    assert_int_equal(adapter_claim(world->result, "", 0).kind, JWT_ABSENT);
}

static int same(const char *name, const char *other)
{
    return adapter_same_name(name, strlen(name), other, strlen(other));
}

static void names_are_one_if_a_cgi_takes_them_for_one(void **state)
{
    (void)state;
    assert_true(same("X-User", "x-user"));
    assert_true(same("X-User", "X_USER"));
    assert_true(same("X-User", "x.User"));
    assert_false(same("X-User", "X-Users"));
    assert_false(same("X-User", "XaUser"));
    assert_false(same("X-User-1", "X-User-2"));
}

/* ---- Options ------------------------------------------------------------------------------------ */

static void each_option_is_known_once_by_its_name(void **state)
{
    (void)state;
    size_t count = 0;
    for (const adapter_option *option = ADAPTER_OPTIONS; option->name; option++, count++) {
        assert_ptr_equal(adapter_option_named(option->of, option->name, strlen(option->name)), option);
        assert_non_null(option->unset);
        assert_true((option->kind == ADAPTER_WORD) == (option->words != NULL));
    }
    assert_true(count > 70);
    assert_null(adapter_option_named(ADAPTER_POLICY, "store", 5));
    assert_null(adapter_option_named(ADAPTER_CACHE, "stor", 4));
}

static const char *set(void *options, adapter_struct of, const char *name, const char *value)
{
    return adapter_set(adapter_option_named(of, name, strlen(name)), options, &value, 1);
}

static void values_of_each_kind_are_set(void **state)
{
    (void)state;
    jwks_issuer_options issuer = JWKS_ISSUER_OPTIONS_INIT;
    assert_null(set(&issuer, ADAPTER_ISSUER, "file", "keys.json"));
    assert_string_equal(issuer.file, "keys.json");
    assert_null(set(&issuer, ADAPTER_ISSUER, "lazy", "on"));
    assert_int_equal(issuer.lazy, 1);
    assert_null(set(&issuer, ADAPTER_ISSUER, "lazy", "off"));
    assert_int_equal(issuer.lazy, 0);
    assert_null(set(&issuer, ADAPTER_ISSUER, "max_keys", "4294967295"));
    assert_int_equal(issuer.max_keys, UINT32_MAX);
    assert_null(set(&issuer, ADAPTER_ISSUER, "regression_ms", "off"));
    assert_int_equal(issuer.regression_ms, KEYTURN_OFF);
    assert_null(set(&issuer, ADAPTER_ISSUER, "valid_until", "9223372036854775807"));
    assert_int_equal(issuer.valid_until, INT64_MAX);
    assert_null(set(&issuer, ADAPTER_ISSUER, "use", "jwt-svid"));
    assert_int_equal(issuer.use, JWKS_USE_JWT_SVID);
    const char *values[] = { "RS256", "ES256" };
    assert_null(adapter_set(adapter_option_named(ADAPTER_ISSUER, "algorithms", 10), &issuer, values, 2));
    assert_int_equal(issuer.algorithms, JWT_ALG_RS256 | JWT_ALG_ES256);
    assert_null(adapter_set(adapter_option_named(ADAPTER_ISSUER, "pins", 4), &issuer, values, 2));
    assert_ptr_equal(issuer.pins, values);
    assert_int_equal(issuer.pin_count, 2);
}

static void other_values_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "lazy", "1" },
        { "lazy", "" },
        { "max_keys", "0" },
        { "max_keys", "4294967296" },
        { "max_keys", "-1" },
        { "max_keys", "1k" },
        { "max_keys", "" },
        { "max_keys", "off" },
        { "grace_ms", "off" },
        { "regression_ms", "0" },
        { "valid_until", "9223372036854775808" },
        { "use", "SIG" },
        { "algorithms", "none" },
        { "algorithms", "rs256" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        jwks_issuer_options issuer = JWKS_ISSUER_OPTIONS_INIT;
        assert_non_null(set(&issuer, ADAPTER_ISSUER, cases[i][0], cases[i][1]));
    }
    const char *two[] = { "a", "b" };
    jwks_issuer_options issuer = JWKS_ISSUER_OPTIONS_INIT;
    assert_non_null(adapter_set(adapter_option_named(ADAPTER_ISSUER, "file", 4), &issuer, two, 2));
    assert_non_null(adapter_set(adapter_option_named(ADAPTER_ISSUER, "pins", 4), &issuer, two, 0));
}

static void a_rule_is_a_claim_a_kind_and_values(void **state)
{
    (void)state;
    jwt_rule rule;
    const char *words[] = { "/roles", "contains", "admin", "root" };
    assert_null(adapter_set_rule(&rule, words, 4));
    assert_int_equal(rule.kind, JWT_RULE_CONTAINS);
    assert_string_equal(rule.claim, "/roles");
    assert_int_equal(rule.value_count, 2);
    assert_string_equal(rule.values[1], "root");
    assert_null(adapter_set_rule(&rule, words, 1));
    assert_int_equal(rule.kind, JWT_RULE_PRESENT);
    assert_int_equal(rule.value_count, 0);
    assert_non_null(adapter_set_rule(&rule, words, 0));
    words[1] = "has";
    assert_non_null(adapter_set_rule(&rule, words, 4));
}

/* ---- Keys ----------------------------------------------------------------------------------------- */

static void keys_are_told_as_json_and_as_far_as_there_is_room(void **state)
{
    struct world *world = *state;
    jwks_issuer *issuers[] = { world->issuer, NULL };
    const char *names[] = { "https://\"one\"\n", "gone" };
    char whole[4096], part[4096];
    size_t len = adapter_keys(issuers, names, 2, whole, sizeof whole);
    assert_in_range(len, 1, sizeof whole);
    whole[len] = '\0';
    char process[64];
    (void)snprintf(process, sizeof process, "{\"process\":%ld,\"issuers\":[{", (long)getpid());
    assert_memory_equal(whole, process, strlen(process));
    assert_non_null(
        strstr(whole, "\"issuer\":\"https://\\\"one\\\"\\u000a\",\"state\":\"pinned\",\"ready\":true"));
    assert_non_null(strstr(whole, "\"kid\":\"one\",\"thumbprint\":\""));
    assert_non_null(strstr(whole, "\"algorithms\":[\"EdDSA\""));
    assert_non_null(
        strstr(whole, "{\"issuer\":\"gone\",\"state\":\"disabled\",\"ready\":false,\"keys\":[]}]}\n"));
    memset(part, '#', sizeof part);
    assert_int_equal(adapter_keys(issuers, names, 2, part, 50), len);
    assert_memory_equal(part, whole, 50); /* before the first age */
    assert_int_equal(part[50], '#');
    assert_int_equal(adapter_keys(issuers, names, 2, NULL, 0), len);
}

/* ---- The keys of a process ------------------------------------------------------------------- */

static void a_store_that_cannot_be_used_is_done_without(void **state)
{
    (void)state;
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    options.store = "/proc/none";
    options.store_reader = 1;
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache *cache = NULL;
    assert_int_equal(jwks_cache_new(&options, &cache, NULL), JWKS_INVALID_OPTION);
    assert_int_equal(adapter_cache_new(&options, &cache, &error), JWT_OK);
    assert_string_equal(error.option, "store");
    assert_true(strlen(error.message) > 0);
    jwks_cache_release(cache);
}

static void what_is_wrong_beside_a_store_is_wrong_without(void **state)
{
    (void)state;
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    options.max_fetches = 100000;
    jwks_error error = JWKS_ERROR_INIT;
    jwks_cache *cache = NULL;
    assert_int_equal(adapter_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.message, ""); /* which tells of a store */
    assert_null(cache);
}

static void what_takes_keys_away_is_told_loudest(void **state)
{
    (void)state;
    assert_int_equal(adapter_gravity_of(JWKS_EVENT_KEYS_CHANGED), ADAPTER_NOTICE);
    assert_int_equal(adapter_gravity_of(JWKS_EVENT_FETCH_FAILED), ADAPTER_WARNING);
    assert_int_equal(adapter_gravity_of(JWKS_EVENT_EXPIRED), ADAPTER_ERROR);
    assert_int_equal(adapter_gravity_of((jwks_event_kind)1000), ADAPTER_WARNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scheme_is_bearer_in_any_case),
        cmocka_unit_test(fields_that_were_joined_are_several),
        cmocka_unit_test(another_scheme_is_no_token),
        cmocka_unit_test(what_follows_is_the_librarys_to_judge),
        cmocka_unit_test(an_empty_value_is_no_token),
        WITH_WORLD(one_token_is_verified),
        WITH_WORLD(two_tokens_are_none_and_clear_the_result),
        WITH_WORLD(no_token_is_missing),
        cmocka_unit_test(a_status_has_its_reply),
        WITH_WORLD(a_retry_is_worth_its_while_within_bounds),
        cmocka_unit_test(what_could_end_a_header_is_unfit),
        cmocka_unit_test(a_value_is_one_line_of_text),
        WITH_WORLD(a_claim_is_found_by_name_or_pointer),
        cmocka_unit_test(names_are_one_if_a_cgi_takes_them_for_one),
        cmocka_unit_test(each_option_is_known_once_by_its_name),
        cmocka_unit_test(values_of_each_kind_are_set),
        cmocka_unit_test(other_values_are_refused),
        cmocka_unit_test(a_rule_is_a_claim_a_kind_and_values),
        cmocka_unit_test(a_store_that_cannot_be_used_is_done_without),
        cmocka_unit_test(what_is_wrong_beside_a_store_is_wrong_without),
        cmocka_unit_test(what_takes_keys_away_is_told_loudest),
        WITH_WORLD(keys_are_told_as_json_and_as_far_as_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
