/* What the claims of a token must be: issuer, audience, times, type, confirmation and value rules. */
#include "support.h"

static void claims_are(struct world *world, jwt_status expected, const char *claims)
{
    jwt_status status = verify_claims(world, claims);
    if (status != expected)
        print_error("%s\n", claims);
    assert_status(status, expected);
}

/* ---- iss and aud */

static void iss_is_required_and_compared_octet_by_octet(void **state)
{
    claims_are(*state, JWT_CLAIM_MISSING, "{" AUD "," EXP "}");
    claims_are(*state, JWT_CLAIM_TYPE, "{\"iss\":5," AUD "," EXP "}");
    claims_are(*state, JWT_CLAIM_TYPE, "{\"iss\":null," AUD "," EXP "}");
    claims_are(*state, JWT_CLAIM_TYPE, "{\"iss\":[\"" ISSUER "\"]," AUD "," EXP "}");
    static const char *const others[] = { "",
                                          ISSUER "/",
                                          "HTTPS://issuer.example",
                                          "https://issuer.exampl",
                                          "https://issuer.example ",
                                          ISSUER "\\u0000" };
    for (size_t i = 0; i < COUNT(others); i++) {
        char *claims = text("{\"iss\":\"%s\"," AUD "," EXP "}", others[i]);
        claims_are(*state, JWT_ISSUER_UNKNOWN, claims);
        free(claims);
    }
    claims_are(*state, JWT_OK, "{\"iss\":\"https:\\/\\/issuer.ex\\u0061mple\"," AUD "," EXP "}");
}

static void aud_names_one_of_the_audiences(void **state)
{
    static const char *const good[] = { "\"api\"", "[\"api\"]", "[\"x\",\"api\"]", "\"\\u0061pi\"",
                                        "[\"x\",\"y\",\"\\u0061pi\",\"z\"]" };
    static const char *const others[] = { "\"\"",   "\"API\"", "\"api \"", "\"api,x\"",
                                          "\"ap\"", "[]",      "[\"x\"]",  "\"api\\u0000\"" };
    for (size_t i = 0; i < COUNT(good); i++) {
        char *claims = text("{" ISS ",\"aud\":%s," EXP "}", good[i]);
        claims_are(*state, JWT_OK, claims);
        free(claims);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        char *claims = text("{" ISS ",\"aud\":%s," EXP "}", others[i]);
        claims_are(*state, JWT_AUDIENCE_MISMATCH, claims);
        free(claims);
    }
}

static void aud_has_its_type(void **state)
{
    claims_are(*state, JWT_CLAIM_MISSING, "{" ISS "," EXP "}");
    static const char *const wrong[] = { "5",   "null",        "true",        "{\"api\":1}", "{}",
                                         "[5]", "[\"api\",5]", "[[\"api\"]]", "[null]" };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char *claims = text("{" ISS ",\"aud\":%s," EXP "}", wrong[i]);
        claims_are(*state, JWT_CLAIM_TYPE, claims);
        free(claims);
    }
}

static void any_of_several_audiences_will_do(void **state)
{
    struct world *world = *state;
    static const char *const audiences[] = { "first", "second", "" };
    jwt_policy_options options = good_options(world);
    options.audiences = audiences;
    options.audience_count = 2;
    use_policy(world, &options);
    claims_are(world, JWT_OK, "{" ISS ",\"aud\":\"second\"," EXP "}");
    claims_are(world, JWT_OK, "{" ISS ",\"aud\":[\"x\",\"first\"]," EXP "}");
    claims_are(world, JWT_AUDIENCE_MISMATCH, "{" ISS ",\"aud\":\"api\"," EXP "}");
    claims_are(world, JWT_AUDIENCE_MISMATCH, "{" ISS ",\"aud\":\"\"," EXP "}");
}

static void with_allow_any_audience_aud_is_not_looked_at(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    options.allow_any_audience = 1;
    options.audience_count = 0;
    use_policy(world, &options);
    claims_are(world, JWT_OK, "{" ISS "," EXP "}");
    claims_are(world, JWT_OK, "{" ISS ",\"aud\":\"x\"," EXP "}");
}

/* ---- Times */

static jwt_status with_times(struct world *world, const char *format, int64_t first, int64_t second)
{
    char *claims = text("{" ISS "," AUD ",%s}", format), *filled = malloc(strlen(claims) + 64);
    assert_non_null(filled);
    const char *percent = strchr(claims, '%');
    const char *other = strchr(percent + 1, '%');
    if (other)
        sprintf(filled, "%.*s%lld%.*s%lld%s", (int)(percent - claims), claims, (long long)first,
                (int)(other - percent - 1), percent + 1, (long long)second, other + 1);
    else
        sprintf(filled, "%.*s%lld%s", (int)(percent - claims), claims, (long long)first, percent + 1);
    jwt_status status = verify_claims(world, filled);
    free(filled);
    free(claims);
    return status;
}

#define AT(format, time) with_times(*state, format, time, 0)

static void exp_counts_with_leeway(void **state)
{
    assert_status(AT("\"exp\":%", NOW - 29), JWT_OK);
    assert_int_equal(jwt_result_expiry(((struct world *)*state)->result), NOW - 29);
    assert_status(AT("\"exp\":%", NOW - 30), JWT_EXPIRED);
    assert_status(AT("\"exp\":%", NOW - 31), JWT_EXPIRED);
    assert_status(AT("\"exp\":%.5", NOW - 30), JWT_OK);
    assert_int_equal(jwt_result_expiry(((struct world *)*state)->result), NOW - 30);
    assert_status(AT("\"exp\":%.000", NOW - 30), JWT_EXPIRED);
    assert_status(AT("\"exp\":%.99", NOW - 31), JWT_EXPIRED);
}

static void nbf_counts_with_leeway(void **state)
{
    assert_status(AT(EXP ",\"nbf\":%", NOW + 30), JWT_OK);
    assert_status(AT(EXP ",\"nbf\":%", NOW + 31), JWT_NOT_YET_VALID);
    assert_status(AT(EXP ",\"nbf\":%.0", NOW + 30), JWT_OK);
    assert_status(AT(EXP ",\"nbf\":%.1", NOW + 30), JWT_NOT_YET_VALID);
    assert_status(AT(EXP ",\"nbf\":%", 0), JWT_OK);
}

static void iat_may_not_lie_in_the_future(void **state)
{
    assert_status(AT(EXP ",\"iat\":%", NOW + 30), JWT_OK);
    assert_status(AT(EXP ",\"iat\":%", NOW + 31), JWT_ISSUED_IN_FUTURE);
    assert_status(AT(EXP ",\"iat\":%.1", NOW + 30), JWT_ISSUED_IN_FUTURE);
    assert_status(AT(EXP ",\"iat\":%", 0), JWT_OK);
}

static void without_leeway_the_second_counts(void **state)
{
    jwt_policy_options options = good_options(*state);
    options.leeway_s = KEYTURN_OFF;
    use_policy(*state, &options);
    assert_status(AT("\"exp\":%", NOW + 1), JWT_OK);
    assert_status(AT("\"exp\":%.1", NOW), JWT_OK);
    assert_status(AT("\"exp\":%", NOW), JWT_EXPIRED);
    assert_status(AT(EXP ",\"nbf\":%", NOW), JWT_OK);
    assert_status(AT(EXP ",\"nbf\":%", NOW + 1), JWT_NOT_YET_VALID);
    assert_status(AT(EXP ",\"iat\":%", NOW), JWT_OK);
    assert_status(AT(EXP ",\"iat\":%", NOW + 1), JWT_ISSUED_IN_FUTURE);
}

static void leeway_is_what_the_policy_says(void **state)
{
    jwt_policy_options options = good_options(*state);
    options.leeway_s = 600;
    use_policy(*state, &options);
    assert_status(AT("\"exp\":%", NOW - 599), JWT_OK);
    assert_status(AT("\"exp\":%", NOW - 600), JWT_EXPIRED);
    assert_status(AT(EXP ",\"nbf\":%", NOW + 600), JWT_OK);
    assert_status(AT(EXP ",\"nbf\":%", NOW + 601), JWT_NOT_YET_VALID);
}

static void the_clock_of_the_cache_counts(void **state)
{
    struct world *world = *state;
    world->now = NOW + 329;
    claims_are(world, JWT_OK, GOOD_CLAIMS);
    world->now = NOW + 330;
    claims_are(world, JWT_EXPIRED, GOOD_CLAIMS);
    world->now = 0;
    claims_are(world, JWT_OK, GOOD_CLAIMS);
}

static void clocks_and_times_at_their_ends_do_not_wrap(void **state)
{
    struct world *world = *state;
    static const int64_t ends[] = { INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX };
    for (size_t i = 0; i < COUNT(ends); i++)
        for (size_t j = 0; j < COUNT(ends); j++) {
            world->now = ends[i];
            jwt_status status = AT("\"exp\":%", ends[j]);
            if (status == JWT_OK) /* with 30 s of leeway, reckoned without overflow */
                assert_true(ends[j] > ends[i] || (uint64_t)ends[i] - (uint64_t)ends[j] < 30);
            else
                assert_true(status == JWT_EXPIRED || status == JWT_CLAIM_TYPE);
            status = AT("\"exp\":9007199254740991,\"nbf\":%", ends[j]);
            if (status == JWT_OK)
                assert_true(ends[j] <= ends[i] || (uint64_t)ends[j] - (uint64_t)ends[i] <= 30);
        }
}

static void times_are_numbers_in_range(void **state)
{
    static const char *const names[] = { "exp", "nbf", "iat" };
    static const char *const wrong[] = { "\"1800000300\"", "null",   "true",  "[1800000300]",        "{}",
                                         "1e400",          "-1e400", "1e300", "99999999999999999999" };
    for (size_t i = 0; i < COUNT(names); i++)
        for (size_t j = 0; j < COUNT(wrong); j++) {
            char *claims = text("{" ISS "," AUD "%s,\"%s\":%s}", i ? "," EXP : "", names[i], wrong[j]);
            claims_are(*state, JWT_CLAIM_TYPE, claims);
            free(claims);
        }
}

static void times_may_be_written_as_any_number(void **state)
{
    static const char *const numbers[] = { "1800000300",   "1800000300.0",   "1.8000003e9", "18000003E2",
                                           "180000030e+1", "18000003000e-1", "1.8e10",      "1800000300.25" };
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char *claims = text("{" ISS "," AUD ",\"exp\":%s}", numbers[i]);
        claims_are(*state, JWT_OK, claims);
        free(claims);
    }
    claims_are(*state, JWT_EXPIRED, "{" ISS "," AUD ",\"exp\":1.8e8}");
    claims_are(*state, JWT_EXPIRED, "{" ISS "," AUD ",\"exp\":-1}");
    claims_are(*state, JWT_EXPIRED, "{" ISS "," AUD ",\"exp\":0}");
    claims_are(*state, JWT_EXPIRED, "{" ISS "," AUD ",\"exp\":1e-400}");
}

static void exp_is_required_unless_the_policy_waives_it(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    claims_are(world, JWT_CLAIM_MISSING, "{" ISS "," AUD "}");
    options.allow_no_expiry = 1;
    use_policy(world, &options);
    claims_are(world, JWT_OK, "{" ISS "," AUD "}");
    assert_int_equal(jwt_result_expiry(world->result), INT64_MAX);
    claims_are(world, JWT_EXPIRED, "{" ISS "," AUD ",\"exp\":1}");
    claims_are(world, JWT_CLAIM_TYPE, "{" ISS "," AUD ",\"exp\":null}");
}

static void a_lifetime_has_a_maximum(void **state)
{
    jwt_policy_options options = good_options(*state);
    options.max_lifetime_s = 3600;
    use_policy(*state, &options);
    assert_status(with_times(*state, "\"iat\":%,\"exp\":%", NOW, NOW + 3600), JWT_OK);
    assert_status(with_times(*state, "\"iat\":%,\"exp\":%", NOW, NOW + 3601), JWT_LIFETIME_TOO_LONG);
    assert_status(with_times(*state, "\"iat\":%,\"exp\":%.1", NOW, NOW + 3600), JWT_LIFETIME_TOO_LONG);
    assert_status(with_times(*state, "\"iat\":%.5,\"exp\":%.5", NOW, NOW + 3600), JWT_OK);
    assert_status(with_times(*state, "\"iat\":%,\"exp\":%", INT64_MIN, INT64_MAX), JWT_LIFETIME_TOO_LONG);
}

static void a_maximum_of_lifetime_requires_both_times(void **state)
{
    jwt_policy_options options = good_options(*state);
    options.max_lifetime_s = 3600;
    for (options.allow_no_expiry = 0; options.allow_no_expiry < 2; options.allow_no_expiry++) {
        use_policy(*state, &options);
        assert_status(AT("\"exp\":%", NOW + 60), JWT_CLAIM_MISSING);
        assert_status(AT("\"iat\":%", NOW), JWT_CLAIM_MISSING);
    }
}

/* ---- typ */

static jwt_status with_typ(struct world *world, const char *typ)
{
    char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"one\"%s%s}", typ[0] ? ",\"typ\":" : "", typ);
    jwt_status status = verify_header(world, header);
    free(header);
    return status;
}

static void the_type_is_compared_without_case_and_prefix(void **state)
{
    struct world *world = *state;
    static const char *const required[] = { "at+jwt", "AT+JWT", "application/at+jwt" };
    static const char *const good[] = { "\"at+jwt\"", "\"AT+JWT\"", "\"application/at+jwt\"",
                                        "\"Application/AT+jwt\"", "\"a\\u0074+jwt\"" };
    static const char *const others[] = { "",
                                          "\"JWT\"",
                                          "\"at+jw\"",
                                          "\"at+jwt \"",
                                          "\"at\"",
                                          "\"\"",
                                          "\"application/\"",
                                          "\"application/application/at+jwt\"",
                                          "\"text/at+jwt\"" };
    for (size_t i = 0; i < COUNT(required); i++) {
        jwt_policy_options options = good_options(world);
        options.type = required[i];
        use_policy(world, &options);
        for (size_t j = 0; j < COUNT(good); j++)
            assert_status(with_typ(world, good[j]), JWT_OK);
        for (size_t j = 0; j < COUNT(others); j++)
            assert_status(with_typ(world, others[j]), JWT_TYPE_MISMATCH);
    }
}

static void without_a_required_type_any_will_do(void **state)
{
    assert_status(with_typ(*state, ""), JWT_OK);
    assert_status(with_typ(*state, "\"whatever\""), JWT_OK);
}

/* ---- sub and jti */

static void sub_and_jti_are_strings(void **state)
{
    claims_are(*state, JWT_OK, CLAIMS_WITH("\"sub\":\"\",\"jti\":\"x\""));
    claims_are(*state, JWT_CLAIM_TYPE, CLAIMS_WITH("\"sub\":5"));
    claims_are(*state, JWT_CLAIM_TYPE, CLAIMS_WITH("\"jti\":[\"x\"]"));
}

/* ---- cnf */

static const unsigned char digest[32] = "0123456789abcdef0123456789ABCDEF";
static const unsigned char other_digest[32] = "0123456789abcdef0123456789ABCDEf";
#define X5T "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY"
#define BOUND CLAIMS_WITH("\"cnf\":{\"x5t#S256\":\"" X5T "\"}")

static void a_bound_token_is_refused_if_nobody_would_check_it(void **state)
{
    static const char *const cnfs[] = { "{\"x5t#S256\":\"" X5T "\"}", "{\"jkt\":\"abc\"}", "{}",
                                        "{\"jwk\":{}}" };
    for (size_t i = 0; i < COUNT(cnfs); i++) {
        char *claims = text("{" GOOD ",\"cnf\":%s}", cnfs[i]);
        claims_are(*state, JWT_CONFIRMATION_REQUIRED, claims);
        free(claims);
    }
}

static void a_cnf_that_is_no_object_is_refused(void **state)
{
    static const char *const cnfs[] = { "null", "\"x\"", "5", "[]", "false" };
    for (int confirms = 0; confirms < 2; confirms++) {
        jwt_policy_options options = good_options(*state);
        options.host_confirms = (uint32_t)confirms;
        use_policy(*state, &options);
        for (size_t i = 0; i < COUNT(cnfs); i++) {
            char *claims = text("{" GOOD ",\"cnf\":%s}", cnfs[i]);
            claims_are(*state, JWT_CLAIM_TYPE, claims);
            free(claims);
        }
    }
}

static jwt_status confirm(struct world *world, const char *claims)
{
    assert_status(verify_claims(world, claims), JWT_OK);
    return jwt_result_confirm_certificate(world->result, digest);
}

static void a_certificate_is_confirmed(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    options.host_confirms = 1;
    use_policy(world, &options);
    assert_status(confirm(world, BOUND), JWT_OK);
    assert_status(jwt_result_confirm_certificate(world->result, other_digest), JWT_CONFIRMATION_MISMATCH);
    assert_status(confirm(world, GOOD_CLAIMS), JWT_CONFIRMATION_REQUIRED);
    assert_status(confirm(world, CLAIMS_WITH("\"cnf\":{\"jkt\":\"" X5T "\"}")), JWT_CONFIRMATION_REQUIRED);
    assert_status(confirm(world, CLAIMS_WITH("\"x5t#S256\":\"" X5T "\"")), JWT_CONFIRMATION_REQUIRED);
}

static void a_broken_binding_confirms_nothing(void **state)
{
    struct world *world = *state;
    static const char *const values[] = {
        "5", "null", "\"\"", "\"" X5T "=\"", "\"MDEy\"", "[\"" X5T "\"]", "\"" X5T "\\u0000\""
    };
    jwt_policy_options options = good_options(world);
    options.host_confirms = 1;
    use_policy(world, &options);
    for (size_t i = 0; i < COUNT(values); i++) {
        char *claims = text("{" GOOD ",\"cnf\":{\"x5t#S256\":%s}}", values[i]);
        if (verify_claims(world, claims) == JWT_OK)
            assert_int_not_equal(jwt_result_confirm_certificate(world->result, digest), JWT_OK);
        free(claims);
    }
}

static void after_a_refusal_confirmation_answers_that_refusal(void **state)
{
    struct world *world = *state;
    claims_are(world, JWT_EXPIRED, "{" ISS "," AUD ",\"exp\":1,\"cnf\":{\"x5t#S256\":\"" X5T "\"}}");
    assert_status(jwt_result_confirm_certificate(world->result, digest), JWT_EXPIRED);
    claims_are(world, JWT_CONFIRMATION_REQUIRED, BOUND);
    assert_status(jwt_result_confirm_certificate(world->result, digest), JWT_CONFIRMATION_REQUIRED);
}

/* ---- Value rules */

/* One rule on `claim`, and what it says to each value of it. */
static void use_rule(struct world *world, jwt_rule_kind kind, const char *claim, const char *const *values,
                     size_t count)
{
    jwt_rule rule = { sizeof rule, kind, claim, values, count };
    jwt_policy_options options = good_options(world);
    options.rules = &rule;
    options.rule_count = 1;
    use_policy(world, &options);
}

static void each_value_is(struct world *world, jwt_status expected, const char *const *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *claims = text("{" GOOD ",\"c\":%s}", values[i]);
        claims_are(world, expected, claims);
        free(claims);
    }
}

#define VALUES(...) ((const char *const[]){ __VA_ARGS__ }), COUNT(((const char *const[]){ __VA_ARGS__ }))
#define HOLDS(...) each_value_is(*state, JWT_OK, VALUES(__VA_ARGS__))
#define FAILS(...) each_value_is(*state, JWT_RULE_FAILED, VALUES(__VA_ARGS__))

static void present_is_there_and_not_null(void **state)
{
    use_rule(*state, JWT_RULE_PRESENT, "c", NULL, 0);
    claims_are(*state, JWT_CLAIM_MISSING, GOOD_CLAIMS);
    claims_are(*state, JWT_CLAIM_MISSING, CLAIMS_WITH("\"o\":{\"c\":1}"));
    HOLDS("\"x\"", "\"\"", "0", "false", "[]", "{}");
    FAILS("null");
}

static void equals_is_the_one_value(void **state)
{
    use_rule(*state, JWT_RULE_EQUALS, "c", VALUES("alice"));
    claims_are(*state, JWT_CLAIM_MISSING, GOOD_CLAIMS);
    HOLDS("\"alice\"", "\"\\u0061lice\"");
    FAILS("\"Alice\"", "\"alice \"", "\"alic\"", "\"\"", "[\"alice\"]", "{\"alice\":1}", "null",
          "\"alice\\u0000\"");
}

static void numbers_and_booleans_are_compared_by_their_text(void **state)
{
    use_rule(*state, JWT_RULE_EQUALS, "c", VALUES("true"));
    HOLDS("true", "\"true\"");
    FAILS("false", "\"True\"", "1");
    use_rule(*state, JWT_RULE_EQUALS, "c", VALUES("5"));
    HOLDS("5", "\"5\"");
    FAILS("5.0", "50", "5e0", "-5");
    use_rule(*state, JWT_RULE_EQUALS, "c", VALUES("null"));
    HOLDS("\"null\"");
    FAILS("null");
}

static void one_of_is_any_of_the_values(void **state)
{
    use_rule(*state, JWT_RULE_ONE_OF, "c", VALUES("a", "b", "7"));
    claims_are(*state, JWT_CLAIM_MISSING, GOOD_CLAIMS);
    HOLDS("\"a\"", "\"b\"", "7");
    FAILS("\"c\"", "\"ab\"", "[\"a\"]", "null", "\"\"");
}

static void prefix_is_how_a_string_begins(void **state)
{
    use_rule(*state, JWT_RULE_PREFIX, "c", VALUES("repo:org/", "5"));
    claims_are(*state, JWT_CLAIM_MISSING, GOOD_CLAIMS);
    HOLDS("\"repo:org/name\"", "\"repo:org/\"", "\"repo:org\\/x\"", "\"55\"");
    FAILS("\"repo:org\"", "\"Repo:org/\"", "\" repo:org/\"", "5", "[\"repo:org/x\"]", "null", "\"\"");
}

static void contains_is_an_array_with_a_value(void **state)
{
    use_rule(*state, JWT_RULE_CONTAINS, "c", VALUES("admin", "7", "true"));
    claims_are(*state, JWT_CLAIM_MISSING, GOOD_CLAIMS);
    HOLDS("[\"admin\"]", "[\"x\",\"\\u0061dmin\"]", "[1,{},[],null,7]", "[true]");
    FAILS("[]", "[\"x\"]", "\"admin\"", "{\"admin\":1}", "[[\"admin\"]]", "[{\"admin\":\"admin\"}]", "7",
          "null", "[\"Admin\"]", "[77]");
}

static void has_word_is_a_word_of_a_string(void **state)
{
    use_rule(*state, JWT_RULE_HAS_WORD, "c", VALUES("read", "write"));
    claims_are(*state, JWT_CLAIM_MISSING, GOOD_CLAIMS);
    HOLDS("\"read\"", "\"x read\"", "\"write x\"", "\"a read b\"", "\"a\\u0020read\"", "\"  read \"");
    FAILS("\"\"", "\"reads\"", "\"xread\"", "\"Read\"", "\"read,write\"", "\"read\\twrite\"", "[\"read\"]",
          "5", "null", "\"re ad\"");
}

static void all_rules_must_hold(void **state)
{
    struct world *world = *state;
    static const char *const values[] = { "alice" };
    jwt_rule rules[] = { { sizeof(jwt_rule), JWT_RULE_EQUALS, "sub", values, 1 },
                         { sizeof(jwt_rule), JWT_RULE_PRESENT, "/roles", NULL, 0 } };
    jwt_policy_options options = good_options(world);
    options.rules = rules;
    options.rule_count = 2;
    use_policy(world, &options);
    claims_are(world, JWT_OK, CLAIMS_WITH("\"sub\":\"alice\",\"roles\":1"));
    claims_are(world, JWT_RULE_FAILED, CLAIMS_WITH("\"sub\":\"bob\",\"roles\":1"));
    assert_string_equal(jwt_result_detail(world->result), "rules[0] sub");
    claims_are(world, JWT_CLAIM_MISSING, CLAIMS_WITH("\"sub\":\"alice\""));
    assert_string_equal(jwt_result_detail(world->result), "rules[1] /roles");
    claims_are(world, JWT_RULE_FAILED, CLAIMS_WITH("\"sub\":\"alice\",\"roles\":null"));
}

static void a_rule_may_point_into_the_claims(void **state)
{
    static const struct {
        const char *pointer, *good, *missing;
    } cases[] = {
        { "/realm_access/roles/0", "\"realm_access\":{\"roles\":[\"x\",\"y\"]}",
          "\"realm_access\":{\"roles\":[]}" },
        { "/o/a~1b", "\"o\":{\"a/b\":\"x\"}", "\"o\":{\"a~1b\":\"x\"}" },
        { "/o/m~0n", "\"o\":{\"m~n\":\"x\"}", "\"o\":{\"m~0n\":\"x\"}" },
        { "/o/~01", "\"o\":{\"~1\":\"x\"}", "\"o\":{\"/\":\"x\"}" },
        { "/", "\"\":\"x\"", "\"/\":\"x\"" },
        { "/l/10", "\"l\":[0,1,2,3,4,5,6,7,8,9,\"x\"]", "\"l\":[0,1,2,3,4,5,6,7,8,9]" },
        { "/l/01", "\"l\":{\"01\":\"x\"}", "\"l\":[0,\"x\"]" },
        { "/l/-", "\"l\":{\"-\":\"x\"}", "\"l\":[\"x\"]" },
        { "/o/\xc3\xa9", "\"o\":{\"\\u00e9\":\"x\"}", "\"o\":{\"e\":\"x\"}" },
        { "/o//a", "\"o\":{\"\":{\"a\":\"x\"}}", "\"o\":{\"a\":\"x\"}" },
        { "/s/0", "\"s\":[\"x\"]", "\"s\":\"x\"" },
        { "/l/18446744073709551616", "\"l\":{\"18446744073709551616\":\"x\"}", "\"l\":[\"x\"]" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        use_rule(*state, JWT_RULE_EQUALS, cases[i].pointer, VALUES("x"));
        char *good = text("{" GOOD ",%s}", cases[i].good), *missing = text("{" GOOD ",%s}", cases[i].missing);
        claims_are(*state, JWT_OK, good);
        claims_are(*state, JWT_CLAIM_MISSING, missing);
        free(good);
        free(missing);
    }
}

static void a_name_without_slash_is_no_pointer(void **state)
{
    use_rule(*state, JWT_RULE_EQUALS, "https://ex.example/role~1", VALUES("x"));
    claims_are(*state, JWT_OK, CLAIMS_WITH("\"https://ex.example/role~1\":\"x\""));
}

static jwt_status rule_status(struct world *world, jwt_rule_kind kind, const char *claim,
                              const char *const *values, size_t count)
{
    jwt_rule rule = { sizeof rule, kind, claim, values, count };
    jwt_policy_options options = good_options(world);
    jwks_error error = JWKS_ERROR_INIT;
    options.rules = &rule;
    options.rule_count = 1;
    jwt_status status = policy_status(world, &options, &error);
    if (status != JWT_OK)
        assert_memory_equal(error.option, "rules[0]", 8);
    return status;
}

#define RULE(kind, claim, ...) rule_status(*state, kind, claim, VALUES(__VA_ARGS__))

static void rules_that_make_no_sense_are_refused(void **state)
{
    assert_status(rule_status(*state, JWT_RULE_PRESENT, "", NULL, 0), JWKS_INVALID_OPTION);
    assert_status(rule_status(*state, (jwt_rule_kind)7, "c", NULL, 0), JWKS_INVALID_OPTION);
    assert_status(RULE((jwt_rule_kind)7, "c", "x"), JWKS_INVALID_OPTION);
    assert_status(RULE(JWT_RULE_PRESENT, "c", "x"), JWKS_INVALID_OPTION);
    assert_status(RULE(JWT_RULE_EQUALS, "c", "x", "y"), JWKS_INVALID_OPTION);
    for (jwt_rule_kind kind = JWT_RULE_EQUALS; kind <= JWT_RULE_SPIFFE_TRUST_DOMAIN; kind++)
        assert_status(rule_status(*state, kind, "c", NULL, 0), JWKS_INVALID_OPTION);
    assert_status(RULE(JWT_RULE_EQUALS, "/a~2", "x"), JWKS_INVALID_OPTION);
    assert_status(RULE(JWT_RULE_EQUALS, "/a~", "x"), JWKS_INVALID_OPTION);
    assert_status(RULE(JWT_RULE_EQUALS, "/a", "x"), JWT_OK);
}

static void words_and_prefixes_that_fit_everything_are_refused(void **state)
{
    assert_status(RULE(JWT_RULE_PREFIX, "c", ""), JWKS_INVALID_OPTION);
    assert_status(RULE(JWT_RULE_HAS_WORD, "c", ""), JWKS_INVALID_OPTION);
}

static void a_rule_has_up_to_256_values(void **state)
{
    const char *values[257];
    for (size_t i = 0; i < COUNT(values); i++)
        values[i] = "x";
    values[255] = "last";
    assert_status(rule_status(*state, JWT_RULE_ONE_OF, "c", values, 257), JWKS_INVALID_OPTION);
    use_rule(*state, JWT_RULE_ONE_OF, "c", values, 256);
    HOLDS("\"last\"");
}

/* ---- SPIFFE */

static void a_spiffe_id_is_of_a_trust_domain(void **state)
{
    use_rule(*state, JWT_RULE_SPIFFE_TRUST_DOMAIN, "c", VALUES("example.org", "other-1.example_x"));
    claims_are(*state, JWT_CLAIM_MISSING, GOOD_CLAIMS);
    HOLDS("\"spiffe://example.org/ns/default/sa/web\"", "\"spiffe://example.org/a\"",
          "\"spiffe://example.org/A.b-c_9\"", "\"spiffe://other-1.example_x/a\"",
          "\"spiffe:\\/\\/example.org\\/a\"", "\"spiffe://example.org/...\"", "\"spiffe://example.org/.a\"");
}

/* A trust domain has a SPIFFE ID of its own, without a path. */
static void the_id_of_a_trust_domain_itself_is_one(void **state)
{
    use_rule(*state, JWT_RULE_SPIFFE_TRUST_DOMAIN, "c", VALUES("example.org"));
    HOLDS("\"spiffe://example.org\"");
    FAILS("\"spiffe://example.com\"");
}

static void what_only_looks_like_a_spiffe_id_is_refused(void **state)
{
    use_rule(*state, JWT_RULE_SPIFFE_TRUST_DOMAIN, "c", VALUES("example.org"));
    FAILS("\"spiffe://example.org.evil/a\"", "\"spiffe://evil.example.org/a\"", "\"spiffe://example.orga\"",
          "\"spiffe://evil@example.org/a\"", "\"spiffe://example.org@evil/a\"",
          "\"spiffe://example.org:80/a\"", "\"spiffe://example.org:/a\"", "\"spiffe:///a\"",
          "\"spiffe:/example.org/a\"", "\"spiffe:example.org/a\"", "\"spiffe://\"", "\"spiffe:\"", "\"\"",
          "\"example.org/a\"", "\"https://example.org/a\"", "\" spiffe://example.org/a\"",
          "\"spiffe://Example.org/a\"", "\"spiffe://example.org./a\"");
    FAILS("\"spiffe://example.org/\"", "\"spiffe://example.org//a\"", "\"spiffe://example.org/a/\"",
          "\"spiffe://example.org/a//b\"", "\"spiffe://example.org/.\"", "\"spiffe://example.org/..\"",
          "\"spiffe://example.org/a/../b\"", "\"spiffe://example.org/a/./b\"", "\"spiffe://example.org/a?b\"",
          "\"spiffe://example.org/a#b\"", "\"spiffe://example.org?a\"", "\"spiffe://example.org#a\"",
          "\"spiffe://example.org/a%41\"", "\"spiffe://example.org/a b\"",
          "\"spiffe://example.org/\xc3\xa9\"", "\"spiffe://example.org/a\\u0000\"",
          "\"spiffe://example.org\\u0000/a\"", "\"spiffe://example.org/a\\n\"",
          "\"spiffe://ex%61mple.org/a\"", "\"spiffe://example.org\\\\a\"");
    FAILS("[\"spiffe://example.org/a\"]", "5", "null", "{}");
}

static void a_spiffe_id_has_at_most_2048_octets(void **state)
{
    char *id = malloc(2050);
    assert_non_null(id);
    use_rule(*state, JWT_RULE_SPIFFE_TRUST_DOMAIN, "c", VALUES("example.org"));
    for (size_t len = 2048; len <= 2049; len++) {
        memset(id, 'a', len);
        memcpy(id, "spiffe://example.org/", 21);
        id[len] = 0;
        char *claims = text("{" GOOD ",\"c\":\"%s\"}", id);
        claims_are(*state, len == 2048 ? JWT_OK : JWT_RULE_FAILED, claims);
        free(claims);
    }
    free(id);
}

static void a_trust_domain_is_written_as_one(void **state)
{
    static const char *const wrong[] = {
        "",         "Example.org", "spiffe://example.org", "example.org/a", "example.org:80", "a@b",
        "ex ample", "ex%61mple"
    };
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_status(RULE(JWT_RULE_SPIFFE_TRUST_DOMAIN, "sub", wrong[i]), JWKS_INVALID_OPTION);
}

/* ---- What a refusal says */

static void the_detail_names_the_claim(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *claims, *detail;
    } cases[] = {
        { "{" AUD "," EXP "}", "iss" },
        { "{\"iss\":\"x\"," AUD "," EXP "}", "iss" },
        { "{" ISS "," EXP "}", "aud" },
        { "{" ISS ",\"aud\":\"secret-audience\"," EXP "}", "aud" },
        { "{" ISS "," AUD "}", "exp" },
        { "{" ISS "," AUD ",\"exp\":\"x\"}", "exp" },
        { "{" ISS "," AUD ",\"exp\":1}", "exp" },
        { CLAIMS_WITH("\"nbf\":2000000000"), "nbf" },
        { CLAIMS_WITH("\"iat\":2000000000"), "iat" },
        { CLAIMS_WITH("\"cnf\":{\"jkt\":\"x\"}"), "cnf" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_not_equal(verify_claims(world, cases[i].claims), JWT_OK);
        assert_string_equal(jwt_result_detail(world->result), cases[i].detail);
    }
    claims_are(world, JWT_OK, GOOD_CLAIMS);
    assert_string_equal(jwt_result_detail(world->result), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(iss_is_required_and_compared_octet_by_octet),
        WITH_WORLD(aud_names_one_of_the_audiences),
        WITH_WORLD(aud_has_its_type),
        WITH_WORLD(any_of_several_audiences_will_do),
        WITH_WORLD(with_allow_any_audience_aud_is_not_looked_at),
        WITH_WORLD(exp_counts_with_leeway),
        WITH_WORLD(nbf_counts_with_leeway),
        WITH_WORLD(iat_may_not_lie_in_the_future),
        WITH_WORLD(without_leeway_the_second_counts),
        WITH_WORLD(leeway_is_what_the_policy_says),
        WITH_WORLD(the_clock_of_the_cache_counts),
        WITH_WORLD(clocks_and_times_at_their_ends_do_not_wrap),
        WITH_WORLD(times_are_numbers_in_range),
        WITH_WORLD(times_may_be_written_as_any_number),
        WITH_WORLD(exp_is_required_unless_the_policy_waives_it),
        WITH_WORLD(a_lifetime_has_a_maximum),
        WITH_WORLD(a_maximum_of_lifetime_requires_both_times),
        WITH_WORLD(the_type_is_compared_without_case_and_prefix),
        WITH_WORLD(without_a_required_type_any_will_do),
        WITH_WORLD(sub_and_jti_are_strings),
        WITH_WORLD(a_bound_token_is_refused_if_nobody_would_check_it),
        WITH_WORLD(a_cnf_that_is_no_object_is_refused),
        WITH_WORLD(a_certificate_is_confirmed),
        WITH_WORLD(a_broken_binding_confirms_nothing),
        WITH_WORLD(after_a_refusal_confirmation_answers_that_refusal),
        WITH_WORLD(present_is_there_and_not_null),
        WITH_WORLD(equals_is_the_one_value),
        WITH_WORLD(numbers_and_booleans_are_compared_by_their_text),
        WITH_WORLD(one_of_is_any_of_the_values),
        WITH_WORLD(prefix_is_how_a_string_begins),
        WITH_WORLD(contains_is_an_array_with_a_value),
        WITH_WORLD(has_word_is_a_word_of_a_string),
        WITH_WORLD(all_rules_must_hold),
        WITH_WORLD(a_rule_may_point_into_the_claims),
        WITH_WORLD(a_name_without_slash_is_no_pointer),
        WITH_WORLD(rules_that_make_no_sense_are_refused),
        WITH_WORLD(words_and_prefixes_that_fit_everything_are_refused),
        WITH_WORLD(a_rule_has_up_to_256_values),
        WITH_WORLD(a_spiffe_id_is_of_a_trust_domain),
        WITH_WORLD(the_id_of_a_trust_domain_itself_is_one),
        WITH_WORLD(what_only_looks_like_a_spiffe_id_is_refused),
        WITH_WORLD(a_spiffe_id_has_at_most_2048_octets),
        WITH_WORLD(a_trust_domain_is_written_as_one),
        WITH_WORLD(the_detail_names_the_claim),
    };
    return cmocka_run_group_tests_name("claims", tests, NULL, NULL);
}
