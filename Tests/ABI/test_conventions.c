/* The conventions at the top of keyturn.h, held against each function in turn. */
#include "support.h"

#include <sys/mman.h>
#include <unistd.h>

#define UNTOUCHED ((void *)(uintptr_t)0x5a5a5a5a)

/* ---- NULL */

static void release_of_null_does_nothing(void **state)
{
    (void)state;
    jwks_cache_release(NULL);
    jwks_issuer_release(NULL);
    jwks_key_list_release(NULL);
    jwt_policy_release(NULL);
    jwt_result_release(NULL);
}

static void retain_returns_its_argument(void **state)
{
    struct world *world = *state;
    assert_null(jwks_cache_retain(NULL));
    assert_null(jwks_issuer_retain(NULL));
    assert_null(jwt_policy_retain(NULL));
    assert_ptr_equal(jwks_cache_retain(world->cache), world->cache);
    assert_ptr_equal(jwks_issuer_retain(world->issuer), world->issuer);
    assert_ptr_equal(jwt_policy_retain(world->policy), world->policy);
    jwks_cache_release(world->cache);
    jwks_issuer_release(world->issuer);
    jwt_policy_release(world->policy);
}

static void cache_new_refuses_null(void **state)
{
    (void)state;
    assert_status(jwks_cache_new(NULL, NULL, NULL), JWKS_INVALID_ARGUMENT);
}

static void cache_options_may_be_null(void **state)
{
    (void)state;
    jwks_cache *cache = NULL;
    assert_status(jwks_cache_new(NULL, &cache, NULL), JWT_OK);
    assert_non_null(cache);
    jwks_cache_release(cache);
}

static void add_issuer_refuses_null(void **state)
{
    struct world *world = *state;
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = UNTOUCHED;
    options.issuer = "https://other.example";
    assert_status(jwks_cache_add_issuer(NULL, &options, &issuer, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_cache_add_issuer(world->cache, NULL, &issuer, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_cache_add_issuer(world->cache, &options, NULL, NULL), JWKS_INVALID_ARGUMENT);
    assert_ptr_equal(issuer, UNTOUCHED);
}

static void issuer_calls_refuse_null(void **state)
{
    struct world *world = *state;
    jwks_key_list *list = UNTOUCHED;
    assert_status(jwks_issuer_remove(NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_issuer_load(NULL, "{}", 2, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_issuer_load(world->issuer, NULL, 0, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_issuer_load(world->issuer, NULL, 2, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_issuer_keys(NULL, &list), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_issuer_keys(world->issuer, NULL), JWKS_INVALID_ARGUMENT);
    assert_ptr_equal(list, UNTOUCHED);
}

static void key_list_calls_refuse_null_and_places_beyond_the_end(void **state)
{
    struct world *world = *state;
    jwks_key_list *list = NULL;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    assert_status(jwks_issuer_keys(world->issuer, &list), JWT_OK);
    info.index = 77;
    assert_int_equal(jwks_key_list_count(NULL), 0);
    assert_status(jwks_key_list_get(NULL, 0, &info), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_key_list_get(list, 0, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_key_list_get(list, 1, &info), JWKS_INVALID_ARGUMENT);
    assert_status(jwks_key_list_get(list, SIZE_MAX, &info), JWKS_INVALID_ARGUMENT);
    assert_int_equal(info.index, 77);
    jwks_key_list_release(list);
}

static void policy_new_refuses_null(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    jwt_policy *policy = UNTOUCHED;
    assert_status(jwt_policy_new(NULL, &options, &policy, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_policy_new(world->cache, NULL, &policy, NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_policy_new(world->cache, &options, NULL, NULL), JWKS_INVALID_ARGUMENT);
    assert_ptr_equal(policy, UNTOUCHED);
}

static void verification_refuses_null(void **state)
{
    struct world *world = *state;
    assert_status(jwt_result_new(NULL), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_verify(NULL, "a.b.c", 5, world->result), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_result_status(world->result), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_verify(world->policy, NULL, 5, world->result), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_result_status(world->result), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_verify(world->policy, NULL, 0, world->result), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_verify(world->policy, "a.b.c", 5, NULL), JWKS_INVALID_ARGUMENT);
}

static void jws_verification_refuses_null(void **state)
{
    struct world *world = *state;
    assert_status(jws_verify(NULL, NULL, "a.b.c", 5, world->result), JWKS_INVALID_ARGUMENT);
    assert_status(jws_verify(world->issuer, NULL, NULL, 5, world->result), JWKS_INVALID_ARGUMENT);
    assert_status(jws_verify(world->issuer, NULL, NULL, 0, world->result), JWKS_INVALID_ARGUMENT);
    assert_status(jwt_result_status(world->result), JWKS_INVALID_ARGUMENT);
    assert_status(jws_verify(world->issuer, NULL, "a.b.c", 5, NULL), JWKS_INVALID_ARGUMENT);
}

static void a_call_that_refuses_null_clears_the_result(void **state)
{
    struct world *world = *state;
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(jwt_verify(NULL, "a.b.c", 5, world->result), JWKS_INVALID_ARGUMENT);
    assert_cleared(world->result);
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    assert_status(jwt_verify(world->policy, NULL, 5, world->result), JWKS_INVALID_ARGUMENT);
    assert_cleared(world->result);
}

static void a_null_result_is_answered_like_a_refusal(void **state)
{
    (void)state;
    const unsigned char digest[32] = { 0 };
    assert_cleared(NULL);
    assert_int_not_equal(jwt_result_status(NULL), JWT_OK);
    assert_string_equal(jwt_result_detail(NULL), "");
    assert_int_not_equal(jwt_result_confirm_certificate(NULL, digest), JWT_OK);
}

static void a_fresh_result_is_no_success(void **state)
{
    (void)state;
    jwt_result *result = NULL;
    assert_status(jwt_result_new(&result), JWT_OK);
    assert_int_not_equal(jwt_result_status(result), JWT_OK);
    assert_string_equal(jwt_result_detail(result), "");
    assert_cleared(result);
    jwt_result_release(result);
}

static void accessors_answer_null_names_with_absent(void **state)
{
    struct world *world = *state;
    assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
    for (size_t len = 0; len < 2; len++) {
        assert_int_equal(jwt_result_claim(world->result, NULL, len).kind, JWT_ABSENT);
        assert_int_equal(jwt_result_claim_at(world->result, NULL, len).kind, JWT_ABSENT);
        assert_int_equal(jwt_result_header(world->result, NULL, len).kind, JWT_ABSENT);
        assert_int_equal(jwt_result_header_at(world->result, NULL, len).kind, JWT_ABSENT);
    }
    assert_int_not_equal(jwt_result_confirm_certificate(world->result, NULL), JWT_OK);
}

static void integers_of_null_are_none(void **state)
{
    (void)state;
    int64_t out = 77;
    assert_int_equal(jwt_value_integer((jwt_value){ JWT_NUMBER, { "5", 1 } }, NULL), 0);
    assert_int_equal(jwt_value_integer((jwt_value){ JWT_NUMBER, { NULL, 0 } }, &out), 0);
    assert_int_equal(jwt_value_integer((jwt_value){ JWT_NUMBER, { NULL, 1 } }, &out), 0);
    assert_int_equal(jwt_value_integer((jwt_value){ JWT_ABSENT, { NULL, 0 } }, &out), 0);
    assert_int_equal(out, 77);
}

static void challenge_refuses_null(void **state)
{
    (void)state;
    char buffer[64] = "untouched";
    size_t len = 77;
    assert_status(jwt_challenge(JWT_EXPIRED, NULL, buffer, sizeof buffer, NULL), JWKS_INVALID_ARGUMENT);
    assert_string_equal(buffer, "untouched");
    assert_status(jwt_challenge(JWT_EXPIRED, NULL, NULL, 64, &len), JWKS_INVALID_ARGUMENT);
}

static void algorithm_names_of_null_are_none(void **state)
{
    (void)state;
    assert_int_equal(jwt_algorithm_from_name(NULL, 0), 0);
    assert_int_equal(jwt_algorithm_from_name(NULL, 5), 0);
}

/* ---- NULL inside of options */

static void refused_option(const struct world *world, const jwt_policy_options *options, const char *named)
{
    jwks_error error = JWKS_ERROR_INIT;
    assert_status(policy_status(world, options, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, named);
    assert_string_not_equal(error.message, "");
}

static void policy_lists_may_not_be_null_with_a_count(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    options.issuers = NULL;
    refused_option(world, &options, "issuers");
    options = good_options(world);
    options.audiences = NULL;
    refused_option(world, &options, "audiences");
    options = good_options(world);
    options.rule_count = 1;
    refused_option(world, &options, "rules");
}

static void policy_lists_may_not_hold_null(void **state)
{
    struct world *world = *state;
    jwks_issuer *issuers[] = { world->issuer, NULL };
    const char *audiences[] = { AUDIENCE, NULL };
    jwt_policy_options options = good_options(world);
    options.issuers = issuers;
    options.issuer_count = 2;
    refused_option(world, &options, "issuers[1]");
    options = good_options(world);
    options.audiences = audiences;
    options.audience_count = 2;
    refused_option(world, &options, "audiences[1]");
}

static void rules_may_not_hold_null(void **state)
{
    struct world *world = *state;
    const char *values[] = { "a", NULL };
    jwt_rule rules[] = { JWT_RULE_INIT, JWT_RULE_INIT };
    jwt_policy_options options = good_options(world);
    options.rules = rules;
    options.rule_count = 2;
    rules[0].claim = "sub";
    refused_option(world, &options, "rules[1].claim");
    rules[1].claim = "sub";
    rules[1].kind = JWT_RULE_ONE_OF;
    rules[1].value_count = 2;
    refused_option(world, &options, "rules[1].values");
    rules[1].values = values;
    refused_option(world, &options, "rules[1].values");
}

static void an_issuer_needs_a_name(void **state)
{
    struct world *world = *state;
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = UNTOUCHED;
    jwks_error error = JWKS_ERROR_INIT;
    assert_status(jwks_cache_add_issuer(world->cache, &options, &issuer, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "issuer");
    assert_ptr_equal(issuer, UNTOUCHED);
}

/* ---- Zero lengths */

static void zero_lengths_are_refused(void **state)
{
    struct world *world = *state;
    assert_status(jwt_verify(world->policy, "", 0, world->result), JWT_MISSING);
    assert_status(jws_verify(world->issuer, NULL, "", 0, world->result), JWT_MISSING);
    assert_status(jwks_issuer_load(world->issuer, "", 0, NULL), JWKS_INVALID_DOCUMENT);
    assert_int_equal(jwt_algorithm_from_name("", 0), 0);
}

static void a_policy_needs_issuers_and_audiences(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    options.issuer_count = 0;
    refused_option(world, &options, "issuers");
    options = good_options(world);
    options.audience_count = 0;
    refused_option(world, &options, "audiences");
}

/* ---- Sizes: one call for each struct of options, so that all are held to the same rules */

struct sized {
    const char *name;
    size_t size;
    jwt_status (*call)(struct world *world, void *options);
};

static jwt_status call_cache_new(struct world *world, void *options)
{
    (void)world;
    jwks_cache *cache = UNTOUCHED;
    jwt_status status = jwks_cache_new(options, &cache, NULL);
    if (status == JWT_OK)
        jwks_cache_release(cache);
    else
        assert_ptr_equal(cache, UNTOUCHED);
    return status;
}

static jwt_status call_add_issuer(struct world *world, void *options)
{
    jwks_issuer *issuer = UNTOUCHED;
    ((jwks_issuer_options *)options)->issuer = "https://another.example";
    jwt_status status = jwks_cache_add_issuer(world->cache, options, &issuer, NULL);
    if (status == JWT_OK) {
        assert_status(jwks_issuer_remove(issuer), JWT_OK);
        jwks_issuer_release(issuer);
    } else {
        assert_ptr_equal(issuer, UNTOUCHED);
    }
    return status;
}

static jwt_status call_policy_new(struct world *world, void *options)
{
    jwt_policy_options good = good_options(world);
    good.size = *(size_t *)options;
    memcpy(options, &good, sizeof good);
    jwt_policy *policy = UNTOUCHED;
    jwt_status status = jwt_policy_new(world->cache, options, &policy, NULL);
    if (status == JWT_OK)
        jwt_policy_release(policy);
    else
        assert_ptr_equal(policy, UNTOUCHED);
    return status;
}

static jwt_status call_jws_verify(struct world *world, void *options)
{
    char *token = mint(1, GOOD_HEADER, "payload");
    jwt_status status = jws_verify(world->issuer, options, token, strlen(token), world->result);
    free(token);
    return status;
}

static jwt_status call_challenge(struct world *world, void *options)
{
    (void)world;
    char buffer[128];
    size_t len;
    return jwt_challenge(JWT_EXPIRED, options, buffer, sizeof buffer, &len);
}

static jwt_status call_with_rule(struct world *world, void *rule)
{
    ((jwt_rule *)rule)->claim = "sub";
    jwt_policy_options options = good_options(world);
    options.rules = rule;
    options.rule_count = 1;
    return policy_status(world, &options, NULL);
}

static const struct sized structs[] = {
    { "jwks_cache_options", sizeof(jwks_cache_options), call_cache_new },
    { "jwks_issuer_options", sizeof(jwks_issuer_options), call_add_issuer },
    { "jwt_policy_options", sizeof(jwt_policy_options), call_policy_new },
    { "jws_options", sizeof(jws_options), call_jws_verify },
    { "jwt_challenge_options", sizeof(jwt_challenge_options), call_challenge },
    { "jwt_rule", sizeof(jwt_rule), call_with_rule },
};

/* Calls with a struct that says `size` and has this octet at `place`; zero elsewhere. */
static jwt_status call_sized(struct world *world, const struct sized *sized, size_t size, size_t place,
                             char octet)
{
    _Alignas(max_align_t) char memory[1024] = { 0 };
    memory[place] = octet;
    memcpy(memory, &size, sizeof size);
    return sized->call(world, memory);
}

static void sizes_that_no_release_had_are_refused(void **state)
{
    size_t tried = 0;
    for (size_t i = 0; i < COUNT(structs); i++)
        for (size_t size = 0; size < structs[i].size; size++, tried++)
            assert_status(call_sized(*state, &structs[i], size, 100, 0), JWKS_INVALID_OPTION);
    assert_true(tried > 200);
}

static void the_present_size_is_taken(void **state)
{
    for (size_t i = 0; i < COUNT(structs); i++)
        assert_status(call_sized(*state, &structs[i], structs[i].size, structs[i].size, 0), JWT_OK);
}

static void a_struct_of_a_later_release_is_taken_if_what_is_new_is_zero(void **state)
{
    for (size_t i = 0; i < COUNT(structs); i++) {
        size_t longer = structs[i].size + 64;
        assert_status(call_sized(*state, &structs[i], longer, longer, 1), JWT_OK);
    }
}

static void a_struct_of_a_later_release_is_refused_if_what_is_new_is_used(void **state)
{
    for (size_t i = 0; i < COUNT(structs); i++) {
        size_t longer = structs[i].size + 64;
        for (size_t place = structs[i].size; place < longer; place++)
            assert_status(call_sized(*state, &structs[i], longer, place, 1), JWKS_INVALID_OPTION);
    }
}

/* A struct of zeros before a page that cannot be read: absurd sizes are refused before they are believed. */
static void absurd_sizes_are_refused_unread(void **state)
{
    static const size_t absurd[] = { SIZE_MAX, SIZE_MAX / 2 + 1, (size_t)1 << 32, (size_t)1 << 20 };
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    for (size_t i = 0; i < COUNT(structs); i++)
        for (size_t j = 0; j < COUNT(absurd); j++) {
            char *memory = pages + page - structs[i].size;
            memset(memory, 0, structs[i].size);
            memcpy(memory, &absurd[j], sizeof absurd[j]);
            assert_status(structs[i].call(*state, memory), JWKS_INVALID_OPTION);
        }
    munmap(pages, 2 * page);
}

static void key_info_needs_its_size(void **state)
{
    struct world *world = *state;
    jwks_key_list *list = NULL;
    struct {
        jwks_key_info info;
        char tail[64];
    } later = { JWKS_KEY_INFO_INIT, { 0 } };
    assert_status(jwks_issuer_keys(world->issuer, &list), JWT_OK);
    for (size_t size = 0; size < sizeof later.info; size++) {
        later.info.size = size;
        later.info.bits = 77;
        assert_status(jwks_key_list_get(list, 0, &later.info), JWKS_INVALID_ARGUMENT);
        assert_int_equal(later.info.bits, 77);
    }
    later.info.size = sizeof later;
    assert_status(jwks_key_list_get(list, 0, &later.info), JWT_OK);
    assert_int_equal(later.info.size, sizeof later);
    assert_span(later.info.kid, "one");
    jwks_key_list_release(list);
}

/* All rules of an array have the size that the first one says: the library strides by it. */
static void rules_of_a_later_release_are_strode_over_by_their_size(void **state)
{
    struct world *world = *state;
    struct later_rule {
        jwt_rule rule;
        uint64_t added;
    } rules[2] = { { JWT_RULE_INIT, 0 }, { JWT_RULE_INIT, 0 } };
    rules[0].rule.size = rules[1].rule.size = sizeof rules[0];
    rules[0].rule.claim = "sub";
    rules[1].rule.claim = "jti";
    jwt_policy_options options = good_options(world);
    options.rules = &rules[0].rule;
    options.rule_count = 2;
    use_policy(world, &options);
    assert_status(verify_claims(world, CLAIMS_WITH("\"sub\":\"a\"")), JWT_CLAIM_MISSING);
    assert_status(verify_claims(world, CLAIMS_WITH("\"sub\":\"a\",\"jti\":\"b\"")), JWT_OK);
    rules[1].rule.size = sizeof(jwt_rule);
    assert_status(policy_status(world, &options, NULL), JWKS_INVALID_OPTION);
}

/* ---- Flags and ranges */

static void policy_flags_are_0_or_1(void **state)
{
    static const struct {
        size_t place;
        const char *name;
    } flags[] = {
        { offsetof(jwt_policy_options, allow_any_issuer), "allow_any_issuer" },
        { offsetof(jwt_policy_options, allow_any_audience), "allow_any_audience" },
        { offsetof(jwt_policy_options, allow_no_expiry), "allow_no_expiry" },
        { offsetof(jwt_policy_options, host_confirms), "host_confirms" },
    };
    static const uint32_t wrong[] = { 2, 3, 256, UINT32_MAX };
    for (size_t i = 0; i < COUNT(flags); i++)
        for (size_t j = 0; j < COUNT(wrong); j++) {
            jwt_policy_options options = good_options(*state);
            memcpy((char *)&options + flags[i].place, &wrong[j], sizeof wrong[j]);
            refused_option(*state, &options, flags[i].name);
        }
}

static void policy_numbers_have_ranges(void **state)
{
    static const struct {
        size_t place;
        const char *name;
        uint32_t good[2], bad[2];
    } numbers[] = {
        { offsetof(jwt_policy_options, max_token), "max_token", { 64, 1048576 }, { 63, 1048577 } },
        { offsetof(jwt_policy_options, max_kid), "max_kid", { 1, 4096 }, { 4097, UINT32_MAX } },
        { offsetof(jwt_policy_options, max_header_members),
          "max_header_members",
          { 1, 4096 },
          { 4097, UINT32_MAX } },
        { offsetof(jwt_policy_options, max_claims_members),
          "max_claims_members",
          { 1, 4096 },
          { 4097, UINT32_MAX } },
        { offsetof(jwt_policy_options, max_nesting), "max_nesting", { 1, 64 }, { 65, UINT32_MAX } },
    };
    for (size_t i = 0; i < COUNT(numbers); i++)
        for (size_t j = 0; j < 2; j++) {
            jwt_policy_options options = good_options(*state);
            memcpy((char *)&options + numbers[i].place, &numbers[i].good[j], sizeof(uint32_t));
            assert_status(policy_status(*state, &options, NULL), JWT_OK);
            memcpy((char *)&options + numbers[i].place, &numbers[i].bad[j], sizeof(uint32_t));
            refused_option(*state, &options, numbers[i].name);
        }
}

static void policy_times_have_ranges(void **state)
{
    static const int64_t bad_leeways[] = { -2, 601, INT64_MAX, INT64_MIN };
    static const int64_t bad_lifetimes[] = { -2, INT64_MIN };
    jwt_policy_options options = good_options(*state);
    for (size_t i = 0; i < COUNT(bad_leeways); i++) {
        options.leeway_s = bad_leeways[i];
        refused_option(*state, &options, "leeway_s");
    }
    options = good_options(*state);
    for (size_t i = 0; i < COUNT(bad_lifetimes); i++) {
        options.max_lifetime_s = bad_lifetimes[i];
        refused_option(*state, &options, "max_lifetime_s");
    }
    options.max_lifetime_s = KEYTURN_OFF;
    options.leeway_s = KEYTURN_OFF;
    assert_status(policy_status(*state, &options, NULL), JWT_OK);
}

static void policy_names_known_algorithms(void **state)
{
    jwt_policy_options options = good_options(*state);
    options.algorithms = UINT64_C(1) << 19;
    refused_option(*state, &options, "algorithms");
    options.algorithms = JWT_ALG_ES256 | UINT64_C(1) << 63;
    refused_option(*state, &options, "algorithms");
}

static void policy_lists_have_maxima(void **state)
{
    struct world *world = *state;
    const char *audiences[257];
    jwt_rule rules[257];
    for (size_t i = 0; i < 257; i++) {
        audiences[i] = AUDIENCE;
        rules[i] = (jwt_rule)JWT_RULE_INIT;
        rules[i].claim = "sub";
    }
    jwt_policy_options options = good_options(world);
    options.audiences = audiences;
    options.audience_count = 257;
    refused_option(world, &options, "audiences");
    options = good_options(world);
    options.rules = rules;
    options.rule_count = 257;
    refused_option(world, &options, "rules");
    options.rule_count = 256;
    assert_status(policy_status(world, &options, NULL), JWT_OK);
}

static void a_policy_cannot_name_and_ignore_audiences(void **state)
{
    jwt_policy_options options = good_options(*state);
    options.allow_any_audience = 1;
    assert_status(policy_status(*state, &options, NULL), JWKS_INVALID_OPTION);
    options.audience_count = 0;
    assert_status(policy_status(*state, &options, NULL), JWT_OK);
}

static void a_policy_takes_issuers_of_its_own_cache_only(void **state)
{
    struct world *world = *state;
    jwks_cache *other_cache = new_cache(&world->now);
    jwks_issuer *stranger = add_issuer(other_cache, ISSUER);
    jwks_issuer *issuers[] = { world->issuer, stranger };
    jwt_policy_options options = good_options(world);
    options.issuers = issuers;
    options.issuer_count = 2;
    refused_option(world, &options, "issuers[1]");
    jwks_issuer_release(stranger);
    jwks_cache_release(other_cache);
}

static jwt_status issuer_status(struct world *world, const jwks_issuer_options *options, jwks_error *error)
{
    jwks_issuer *issuer = NULL;
    jwt_status status = jwks_cache_add_issuer(world->cache, options, &issuer, error);
    if (status == JWT_OK)
        assert_status(jwks_issuer_remove(issuer), JWT_OK);
    jwks_issuer_release(issuer);
    return status;
}

static void refused_issuer(struct world *world, jwks_issuer_options options, const char *named)
{
    jwks_error error = JWKS_ERROR_INIT;
    assert_status(issuer_status(world, &options, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, named);
    assert_string_not_equal(error.message, "");
}

#define NEW "https://new.example"
#define ISSUER_OPTIONS(name, ...)                                                                            \
    ((jwks_issuer_options){ .size = sizeof(jwks_issuer_options), .issuer = name, __VA_ARGS__ })

static void issuer_options_have_ranges(void **state)
{
    refused_issuer(*state, ISSUER_OPTIONS(NEW, .algorithms = UINT64_C(1) << 40), "algorithms");
    refused_issuer(*state, ISSUER_OPTIONS(NEW, .use = (jwks_key_use)2), "use");
    refused_issuer(*state, ISSUER_OPTIONS(NEW, .allow_symmetric = 2, .algorithms = JWT_ALG_HS256),
                   "allow_symmetric");
    refused_issuer(*state, ISSUER_OPTIONS(NEW, .max_keys = 4097), "max_keys");
    refused_issuer(*state, ISSUER_OPTIONS(NEW, .max_document = 16777217), "max_document");
    jwks_issuer_options options = ISSUER_OPTIONS(NEW, .max_keys = 4096, .max_document = 16777216);
    assert_status(issuer_status(*state, &options, NULL), JWT_OK);
}

static void symmetric_keys_must_be_allowed_and_named(void **state)
{
    assert_status(issuer_status(*state, &ISSUER_OPTIONS(NEW, .allow_symmetric = 1), NULL),
                  JWKS_INVALID_OPTION);
    assert_status(issuer_status(*state, &ISSUER_OPTIONS(NEW, .algorithms = JWT_ALG_HS256), NULL),
                  JWKS_INVALID_OPTION);
    assert_status(
        issuer_status(*state, &ISSUER_OPTIONS(NEW, .allow_symmetric = 1, .algorithms = JWT_ALG_HS256), NULL),
        JWT_OK);
}

static void an_issuer_is_added_once(void **state)
{
    refused_issuer(*state, ISSUER_OPTIONS(ISSUER, .max_keys = 0), "issuer");
}

static void issuer_names_have_a_maximum(void **state)
{
    char name[1026];
    memset(name, 'a', sizeof name);
    name[1024] = 0;
    assert_status(issuer_status(*state, &ISSUER_OPTIONS(name, .max_keys = 0), NULL), JWT_OK);
    name[1024] = 'a';
    name[1025] = 0;
    refused_issuer(*state, ISSUER_OPTIONS(name, .max_keys = 0), "issuer");
}

static const char *const bad_strings[] = { "a\nb", "a\x7f", "\x01", "a\xff", "\xc0\x80", "\xed\xa0\x80" };

static void strings_are_utf8_without_control_characters(void **state)
{
    for (size_t i = 0; i < COUNT(bad_strings); i++) {
        jwt_policy_options options = good_options(*state);
        options.audiences = &bad_strings[i];
        refused_option(*state, &options, "audiences[0]");
        options = good_options(*state);
        options.type = bad_strings[i];
        refused_option(*state, &options, "type");
        refused_issuer(*state, ISSUER_OPTIONS(bad_strings[i], .max_keys = 0), "issuer");
    }
}

static void rule_strings_are_utf8_without_control_characters(void **state)
{
    for (size_t i = 0; i < COUNT(bad_strings); i++) {
        jwt_rule rule = JWT_RULE_INIT;
        jwt_policy_options options = good_options(*state);
        options.rules = &rule;
        options.rule_count = 1;
        rule.claim = bad_strings[i];
        refused_option(*state, &options, "rules[0].claim");
        rule.claim = "sub";
        rule.kind = JWT_RULE_EQUALS;
        rule.values = &bad_strings[i];
        rule.value_count = 1;
        refused_option(*state, &options, "rules[0].values");
    }
}

static void a_cache_has_a_maximum_of_issuers(void **state)
{
    (void)state;
    jwks_cache_options options = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = UNTOUCHED;
    jwks_error error = JWKS_ERROR_INIT;
    options.max_issuers = 1048577;
    assert_status(jwks_cache_new(&options, &cache, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "max_issuers");
    assert_ptr_equal(cache, UNTOUCHED);
    options.max_issuers = 2;
    assert_status(jwks_cache_new(&options, &cache, &error), JWT_OK);
    jwks_issuer *first = add_issuer(cache, "1"), *second = add_issuer(cache, "2"), *third = UNTOUCHED;
    jwks_issuer_options one_more = ISSUER_OPTIONS("3", .max_keys = 0);
    assert_status(jwks_cache_add_issuer(cache, &one_more, &third, NULL), JWKS_INVALID_OPTION);
    assert_ptr_equal(third, UNTOUCHED);
    assert_status(jwks_issuer_remove(first), JWT_OK);
    assert_status(jwks_cache_add_issuer(cache, &one_more, &third, NULL), JWT_OK);
    jwks_issuer_release(first);
    jwks_issuer_release(second);
    jwks_issuer_release(third);
    jwks_cache_release(cache);
}

static void jws_options_have_ranges(void **state)
{
    struct world *world = *state;
    jws_options options = JWS_OPTIONS_INIT;
    options.max_token = 63;
    assert_status(call_jws_verify(world, &options), JWKS_INVALID_OPTION);
    options.max_token = 1048577;
    assert_status(call_jws_verify(world, &options), JWKS_INVALID_OPTION);
    options = (jws_options)JWS_OPTIONS_INIT;
    options.algorithms = UINT64_C(1) << 50;
    assert_status(call_jws_verify(world, &options), JWKS_INVALID_OPTION);
    options = (jws_options)JWS_OPTIONS_INIT;
    options.type = "a\nb";
    assert_status(call_jws_verify(world, &options), JWKS_INVALID_OPTION);
}

/* ---- What options point to is copied */

static void options_are_copied(void **state)
{
    struct world *world = *state;
    char issuer_name[] = "https://copied.example", audience[] = "copied", type[] = "at+jwt";
    char claim[] = "sub", value[] = "alice";
    jwks_issuer_options issuer_options = ISSUER_OPTIONS(issuer_name, .max_keys = 0);
    jwks_issuer *issuer = NULL;
    assert_status(jwks_cache_add_issuer(world->cache, &issuer_options, &issuer, NULL), JWT_OK);
    load_key(issuer, 1, "one");
    const char *audiences[] = { audience }, *values[] = { value };
    jwt_rule rule = { sizeof rule, JWT_RULE_EQUALS, claim, values, 1 };
    jwt_policy_options options = good_options(world);
    options.issuers = &issuer;
    options.audiences = audiences;
    options.type = type;
    options.rules = &rule;
    options.rule_count = 1;
    use_policy(world, &options);
    memset(issuer_name, 'X', sizeof issuer_name - 1);
    memset(audience, 'X', sizeof audience - 1);
    memset(type, 'X', sizeof type - 1);
    memset(claim, 'X', sizeof claim - 1);
    memset(value, 'X', sizeof value - 1);
    memset(&rule, 0, sizeof rule);
    memset(&options, 0, sizeof options);
    audiences[0] = values[0] = NULL;
    char *token = mint(1, "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"typ\":\"at+jwt\"}",
                       "{\"iss\":\"https://copied.example\",\"aud\":\"copied\",\"sub\":\"alice\"," EXP "}");
    assert_status(verify(world, token), JWT_OK);
    assert_span(jwt_result_issuer(world->result), "https://copied.example");
    free(token);
    jwks_issuer_release(issuer);
}

/* ---- jwks_error */

static void an_error_names_the_option_and_is_cleared_on_success(void **state)
{
    struct world *world = *state;
    jwks_error error = JWKS_ERROR_INIT;
    jwt_policy_options options = good_options(world);
    options.leeway_s = 601;
    assert_status(policy_status(world, &options, &error), JWKS_INVALID_OPTION);
    assert_string_equal(error.option, "leeway_s");
    assert_int_equal(error.message[strlen(error.message) - 1], '.');
    options.leeway_s = 600;
    assert_status(policy_status(world, &options, &error), JWT_OK);
    assert_string_equal(error.option, "");
    assert_string_equal(error.message, "");
    assert_int_equal(error.size, sizeof error);
}

static void load_tells_what_is_wrong_and_clears_it_on_success(void **state)
{
    struct world *world = *state;
    jwks_error error = JWKS_ERROR_INIT;
    char *set = jwks(1, 1, 1);
    assert_status(jwks_issuer_load(world->issuer, "{]", 2, &error), JWKS_INVALID_DOCUMENT);
    assert_string_not_equal(error.message, "");
    assert_status(jwks_issuer_load(world->issuer, set, strlen(set), &error), JWT_OK);
    assert_string_equal(error.message, "");
    assert_string_equal(error.option, "");
    free(set);
}

static void add_issuer_and_cache_new_clear_the_error_on_success(void **state)
{
    struct world *world = *state;
    jwks_error error = { sizeof error, "stale", "Stale." };
    jwks_cache *cache = NULL;
    assert_status(jwks_cache_new(NULL, &cache, &error), JWT_OK);
    assert_string_equal(error.option, "");
    jwks_cache_release(cache);
    strcpy(error.message, "Stale.");
    assert_status(issuer_status(world, &ISSUER_OPTIONS(NEW, .max_keys = 1), &error), JWT_OK);
    assert_string_equal(error.message, "");
}

static void invalid_arguments_are_named_too(void **state)
{
    (void)state;
    jwks_error error = JWKS_ERROR_INIT;
    assert_status(jwks_cache_new(NULL, NULL, &error), JWKS_INVALID_ARGUMENT);
    assert_string_equal(error.option, "out");
    assert_string_not_equal(error.message, "");
}

/* A host that set a wrong size gets its status, and no octet beyond what it said is written. */
static void an_error_of_a_wrong_size_is_not_written_beyond_it(void **state)
{
    struct world *world = *state;
    static const size_t sizes[] = { 0, 1, 7, 8, sizeof(jwks_error) - 1 };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        jwks_error error;
        memset(&error, 0x5a, sizeof error);
        error.size = sizes[i];
        jwt_policy_options options = good_options(world);
        options.leeway_s = 601;
        assert_int_not_equal(policy_status(world, &options, &error), JWT_OK);
        assert_int_equal(error.size, sizes[i]);
        for (size_t at = sizes[i] > 8 ? sizes[i] : 8; at < sizeof error; at++)
            assert_int_equal(((char *)&error)[at], 0x5a);
    }
}

/* ---- Status */

static const struct {
    jwt_status status;
    const char *name;
    int http;
} statuses[] = {
#define S(name, http)                                                                                        \
    {                                                                                                        \
        name, #name, http                                                                                    \
    }
    S(JWT_OK, 200),
    S(JWT_MALFORMED, 401),
    S(JWT_TOO_LARGE, 401),
    S(JWT_BAD_BASE64, 401),
    S(JWT_BAD_JSON, 401),
    S(JWT_DUPLICATE_MEMBER, 401),
    S(JWT_LIMIT_EXCEEDED, 401),
    S(JWT_BAD_HEADER, 401),
    S(JWT_CRITICAL_HEADER, 401),
    S(JWT_ENCRYPTED, 401),
    S(JWT_MISSING, 401),
    S(JWT_ALGORITHM_NOT_ALLOWED, 401),
    S(JWT_KEY_NOT_FOUND, 401),
    S(JWT_KEY_MISMATCH, 401),
    S(JWT_BAD_SIGNATURE, 401),
    S(JWT_KEY_REVOKED, 401),
    S(JWT_CLAIM_MISSING, 401),
    S(JWT_CLAIM_TYPE, 401),
    S(JWT_ISSUER_UNKNOWN, 401),
    S(JWT_AUDIENCE_MISMATCH, 401),
    S(JWT_EXPIRED, 401),
    S(JWT_NOT_YET_VALID, 401),
    S(JWT_ISSUED_IN_FUTURE, 401),
    S(JWT_LIFETIME_TOO_LONG, 401),
    S(JWT_TYPE_MISMATCH, 401),
    S(JWT_CONFIRMATION_REQUIRED, 401),
    S(JWT_CONFIRMATION_MISMATCH, 401),
    S(JWT_REVOKED, 401),
    S(JWT_RULE_FAILED, 403),
    S(JWKS_KEYS_UNAVAILABLE, 503),
    S(JWKS_PENDING, 503),
    S(JWKS_INVALID_ARGUMENT, 500),
    S(JWKS_INVALID_OPTION, 500),
    S(JWKS_INVALID_DOCUMENT, 500),
    S(JWKS_NO_MEMORY, 500),
    S(JWKS_BUSY, 500),
    S(JWKS_CRYPTO_FAILURE, 500),
    S(JWKS_REMOVED, 500),
    S(JWKS_FULL, 500),
    S(JWKS_NOT_FOUND, 500),
    S(JWKS_NO_FETCHER, 500),
    S(JWKS_THROTTLED, 500),
    S(JWKS_FORKED, 500),
    S(JWKS_RETRY, 500),
    S(JWKS_NOT_DURABLE, 500),
    S(JWKS_NO_THREAD, 500),
#undef S
};

static int is_sentence(const char *message)
{
    size_t len = strlen(message);
    return len > 5 && message[0] >= 'A' && message[0] <= 'Z' && message[len - 1] == '.';
}

static void every_status_has_its_name_sentence_and_http_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(statuses); i++) {
        assert_string_equal(jwt_status_name(statuses[i].status), statuses[i].name);
        assert_int_equal(jwt_status_http(statuses[i].status), statuses[i].http);
        if (!is_sentence(jwt_status_message(statuses[i].status)))
            fail_msg("%s: \"%s\"", statuses[i].name, jwt_status_message(statuses[i].status));
    }
}

static void every_status_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(statuses); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(jwt_status_message(statuses[i].status),
                                    jwt_status_message(statuses[j].status));
}

static void all_other_numbers_are_unknown_statuses(void **state)
{
    (void)state;
    size_t known = 0;
    for (uint32_t number = 0; number < 70000; number++) {
        size_t i = 0;
        while (i < COUNT(statuses) && statuses[i].status != (jwt_status)number)
            i++;
        known += i < COUNT(statuses);
        if (i < COUNT(statuses))
            continue;
        assert_string_equal(jwt_status_name((jwt_status)number), "JWT_UNKNOWN");
        assert_true(is_sentence(jwt_status_message((jwt_status)number)));
        assert_int_equal(jwt_status_http((jwt_status)number), 500);
    }
    assert_int_equal(known, COUNT(statuses));
    assert_string_equal(jwt_status_name((jwt_status)UINT32_MAX), "JWT_UNKNOWN");
    assert_string_equal(jwt_status_name((jwt_status)-1), "JWT_UNKNOWN");
}

/* ---- Algorithms and version */

static const struct {
    uint64_t bit;
    const char *name;
} algorithms[] = {
    { JWT_ALG_RS256, "RS256" },         { JWT_ALG_RS384, "RS384" },
    { JWT_ALG_RS512, "RS512" },         { JWT_ALG_PS256, "PS256" },
    { JWT_ALG_PS384, "PS384" },         { JWT_ALG_PS512, "PS512" },
    { JWT_ALG_ES256, "ES256" },         { JWT_ALG_ES384, "ES384" },
    { JWT_ALG_ES512, "ES512" },         { JWT_ALG_ES256K, "ES256K" },
    { JWT_ALG_EDDSA, "EdDSA" },         { JWT_ALG_ED25519, "Ed25519" },
    { JWT_ALG_ED448, "Ed448" },         { JWT_ALG_HS256, "HS256" },
    { JWT_ALG_HS384, "HS384" },         { JWT_ALG_HS512, "HS512" },
    { JWT_ALG_ML_DSA_44, "ML-DSA-44" }, { JWT_ALG_ML_DSA_65, "ML-DSA-65" },
    { JWT_ALG_ML_DSA_87, "ML-DSA-87" },
};

static void algorithms_have_their_registered_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        assert_string_equal(jwt_algorithm_name(algorithms[i].bit), algorithms[i].name);
        assert_int_equal(jwt_algorithm_from_name(algorithms[i].name, strlen(algorithms[i].name)),
                         algorithms[i].bit);
    }
}

static void other_names_are_no_algorithms(void **state)
{
    (void)state;
    static const char *const others[] = {
        "none",     "None",    "NONE", "es256", "ES256 ",  " ES256",    "ES25",     "ES2566", "ESS256",
        "RSA-OAEP", "A128GCM", "RS1",  "eddsa", "ED25519", "ML-DSA-43", "HS256/64", "SHA256",
    };
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(jwt_algorithm_from_name(others[i], strlen(others[i])), 0);
    assert_int_equal(jwt_algorithm_from_name("ES256\0", 6), 0);
}

static void other_bits_have_no_name(void **state)
{
    (void)state;
    assert_null(jwt_algorithm_name(0));
    assert_null(jwt_algorithm_name(JWT_ALG_RS256 | JWT_ALG_ES256));
    assert_null(jwt_algorithm_name(UINT64_MAX));
    for (unsigned bit = COUNT(algorithms); bit < 64; bit++)
        assert_null(jwt_algorithm_name(UINT64_C(1) << bit));
}

static void supported_algorithms_are_known_ones(void **state)
{
    (void)state;
    uint64_t supported = jwt_algorithms_supported();
    assert_int_equal(supported & ~((UINT64_C(1) << 19) - 1), 0);
    assert_int_equal(supported & 0xffff, 0xffff);
    assert_int_equal(jwt_algorithms_supported(), supported);
}

static void the_library_has_the_version_of_the_header(void **state)
{
    (void)state;
    char *version = text("%d.%d.%d", KEYTURN_VERSION_MAJOR, KEYTURN_VERSION_MINOR, KEYTURN_VERSION_PATCH);
    assert_string_equal(version, KEYTURN_VERSION);
    assert_string_equal(keyturn_version(), KEYTURN_VERSION);
    assert_int_equal(keyturn_version_number(), KEYTURN_VERSION_NUMBER);
    assert_int_equal(KEYTURN_VERSION_NUMBER,
                     KEYTURN_VERSION_MAJOR << 16 | KEYTURN_VERSION_MINOR << 8 | KEYTURN_VERSION_PATCH);
    free(version);
}

/* What a host makes of a failed count. */
static void a_count_beyond_all_sizes_is_too_many(void **state)
{
    static const size_t counts[] = { SIZE_MAX, (size_t)1 << 63, 257 };
    const char *values[] = { "x" };
    jwt_rule rule = { sizeof(jwt_rule), JWT_RULE_EQUALS, "sub", values, 1 };
    for (size_t i = 0; i < COUNT(counts); i++) {
        jwt_policy_options options = good_options(*state);
        options.rules = &rule;
        options.rule_count = counts[i];
        refused_option(*state, &options, "rules");
        options = good_options(*state);
        options.audience_count = counts[i];
        refused_option(*state, &options, "audiences");
        options.audiences = NULL;
        options.allow_any_audience = 1;
        refused_option(*state, &options, "audiences");
        rule.value_count = counts[i];
        options = good_options(*state);
        options.rules = &rule;
        options.rule_count = 1;
        refused_option(*state, &options, "rules[0].value_count");
        rule.value_count = 1;
    }
}

static void what_could_never_hold_is_refused(void **state)
{
    struct world *world = *state;
    const char *values[] = { "two words" };
    jwt_rule rule = { sizeof(jwt_rule), JWT_RULE_HAS_WORD, "scope", values, 1 };
    jwt_policy_options options = good_options(world);
    options.rules = &rule;
    options.rule_count = 1;
    refused_option(world, &options, "rules[0].values");
    options = good_options(world);
    options.type = "next\xc2\x85line"; /* U+0085 is a control character too */
    refused_option(world, &options, "type");
    options = good_options(world);
    options.reserved = 1;
    refused_option(world, &options, "reserved");
    jwks_issuer *issuer = add_issuer(world->cache, "https://removed.example");
    assert_status(jwks_issuer_remove(issuer), JWT_OK);
    options = good_options(world);
    options.issuers = &issuer;
    refused_option(world, &options, "issuers[0]");
    jwks_issuer_release(issuer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(release_of_null_does_nothing),
        WITH_WORLD(retain_returns_its_argument),
        cmocka_unit_test(cache_new_refuses_null),
        cmocka_unit_test(cache_options_may_be_null),
        WITH_WORLD(add_issuer_refuses_null),
        WITH_WORLD(issuer_calls_refuse_null),
        WITH_WORLD(key_list_calls_refuse_null_and_places_beyond_the_end),
        WITH_WORLD(policy_new_refuses_null),
        WITH_WORLD(verification_refuses_null),
        WITH_WORLD(jws_verification_refuses_null),
        WITH_WORLD(a_call_that_refuses_null_clears_the_result),
        cmocka_unit_test(a_null_result_is_answered_like_a_refusal),
        cmocka_unit_test(a_fresh_result_is_no_success),
        WITH_WORLD(accessors_answer_null_names_with_absent),
        cmocka_unit_test(integers_of_null_are_none),
        cmocka_unit_test(challenge_refuses_null),
        cmocka_unit_test(algorithm_names_of_null_are_none),
        WITH_WORLD(policy_lists_may_not_be_null_with_a_count),
        WITH_WORLD(policy_lists_may_not_hold_null),
        WITH_WORLD(rules_may_not_hold_null),
        WITH_WORLD(an_issuer_needs_a_name),
        WITH_WORLD(zero_lengths_are_refused),
        WITH_WORLD(a_policy_needs_issuers_and_audiences),
        WITH_WORLD(sizes_that_no_release_had_are_refused),
        WITH_WORLD(the_present_size_is_taken),
        WITH_WORLD(a_struct_of_a_later_release_is_taken_if_what_is_new_is_zero),
        WITH_WORLD(a_struct_of_a_later_release_is_refused_if_what_is_new_is_used),
        WITH_WORLD(absurd_sizes_are_refused_unread),
        WITH_WORLD(key_info_needs_its_size),
        WITH_WORLD(rules_of_a_later_release_are_strode_over_by_their_size),
        WITH_WORLD(policy_flags_are_0_or_1),
        WITH_WORLD(policy_numbers_have_ranges),
        WITH_WORLD(a_count_beyond_all_sizes_is_too_many),
        WITH_WORLD(what_could_never_hold_is_refused),
        WITH_WORLD(policy_times_have_ranges),
        WITH_WORLD(policy_names_known_algorithms),
        WITH_WORLD(policy_lists_have_maxima),
        WITH_WORLD(a_policy_cannot_name_and_ignore_audiences),
        WITH_WORLD(a_policy_takes_issuers_of_its_own_cache_only),
        WITH_WORLD(issuer_options_have_ranges),
        WITH_WORLD(symmetric_keys_must_be_allowed_and_named),
        WITH_WORLD(an_issuer_is_added_once),
        WITH_WORLD(issuer_names_have_a_maximum),
        WITH_WORLD(strings_are_utf8_without_control_characters),
        WITH_WORLD(rule_strings_are_utf8_without_control_characters),
        cmocka_unit_test(a_cache_has_a_maximum_of_issuers),
        WITH_WORLD(jws_options_have_ranges),
        WITH_WORLD(options_are_copied),
        WITH_WORLD(an_error_names_the_option_and_is_cleared_on_success),
        WITH_WORLD(load_tells_what_is_wrong_and_clears_it_on_success),
        WITH_WORLD(add_issuer_and_cache_new_clear_the_error_on_success),
        cmocka_unit_test(invalid_arguments_are_named_too),
        WITH_WORLD(an_error_of_a_wrong_size_is_not_written_beyond_it),
        cmocka_unit_test(every_status_has_its_name_sentence_and_http_status),
        cmocka_unit_test(every_status_has_a_sentence_of_its_own),
        cmocka_unit_test(all_other_numbers_are_unknown_statuses),
        cmocka_unit_test(algorithms_have_their_registered_names),
        cmocka_unit_test(other_names_are_no_algorithms),
        cmocka_unit_test(other_bits_have_no_name),
        cmocka_unit_test(supported_algorithms_are_known_ones),
        cmocka_unit_test(the_library_has_the_version_of_the_header),
    };
    return cmocka_run_group_tests_name("conventions", tests, NULL, NULL);
}
