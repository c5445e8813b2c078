/* Which tokens are accepted, and which status refuses the others: form, algorithm, key and signature. */
#include "support.h"
#include "fixtures.h"

#include <openssl/err.h>

/* ---- Every algorithm */

static void assert_accepted(struct world *world, const struct fixture *fixture)
{
    jwt_status status = verify(world, fixture->token);
    if (status != JWT_OK)
        print_error("%s\n", fixture->label);
    assert_status(status, JWT_OK);
    assert_string_equal(jwt_result_algorithm(world->result), fixture->name);
    keyturn_span kid = jwt_result_kid(world->result), thumbprint = jwt_result_thumbprint(world->result);
    assert_int_equal(kid.len, strlen(fixture->label));
    assert_memory_equal(kid.data, fixture->label, kid.len);
    assert_int_equal(thumbprint.len, strlen(fixture->thumbprint));
    assert_memory_equal(thumbprint.data, fixture->thumbprint, thumbprint.len);
    assert_int_equal(jwt_result_expiry(world->result), NOW + 300);
}

static void every_supported_algorithm_is_accepted(void **state)
{
    (void)state;
    uint64_t accepted = 0;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (!(fixtures[i].algorithm & jwt_algorithms_supported()))
            continue;
        void *world = make_world_of(fixtures[i].algorithm, fixtures[i].jwks);
        assert_accepted(world, &fixtures[i]);
        end_world(&world);
        accepted |= fixtures[i].algorithm;
    }
    assert_int_equal(accepted, jwt_algorithms_supported());
    assert_true(accepted >= 0xffff);
}

static void an_algorithm_that_libcrypto_lacks_is_a_key_left_out(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (fixtures[i].algorithm & jwt_algorithms_supported())
            continue;
        assert_status(load(world->issuer, fixtures[i].jwks), JWKS_INVALID_DOCUMENT);
        char *good = jwk(1, "one");
        size_t inner = strlen(fixtures[i].jwks) - 2; /* without the closing "]}" */
        char *both = text("%.*s,%s]}", (int)inner, fixtures[i].jwks, good);
        jwks_key_list *list = NULL;
        jwks_key_info info = JWKS_KEY_INFO_INIT;
        assert_status(load(world->issuer, both), JWT_OK);
        assert_status(jwks_issuer_keys(world->issuer, &list), JWT_OK);
        assert_status(jwks_key_list_get(list, 0, &info), JWT_OK);
        assert_int_equal(info.fault, JWKS_KEY_NOT_OFFERED);
        jwks_key_list_release(list);
        free(good);
        free(both);
        assert_int_equal(jwt_status_http(verify(world, fixtures[i].token)), 401);
    }
}

static void a_token_of_one_algorithm_is_refused_with_the_key_of_another(void **state)
{
    (void)state;
    size_t refused = 0;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (!(fixtures[i].algorithm & 0xffff))
            continue;
        void *world = make_world_of(fixtures[i].algorithm, fixtures[i].jwks);
        for (size_t j = 0; j < COUNT(fixtures); j++)
            if (strcmp(fixtures[i].label, fixtures[j].label) != 0) {
                assert_int_equal(jwt_status_http(verify(world, fixtures[j].token)), 401);
                refused++;
            }
        end_world(&world);
    }
    assert_int_equal(refused, 17 * (COUNT(fixtures) - 1));
}

static void an_ed25519_key_serves_both_of_its_names(void **state)
{
    assert_status(verify_header(*state, "{\"alg\":\"EdDSA\",\"kid\":\"one\"}"), JWT_OK);
    assert_string_equal(jwt_result_algorithm(((struct world *)*state)->result), "EdDSA");
    assert_status(verify_header(*state, "{\"alg\":\"Ed25519\",\"kid\":\"one\"}"), JWT_OK);
    assert_string_equal(jwt_result_algorithm(((struct world *)*state)->result), "Ed25519");
    assert_status(verify_header(*state, "{\"alg\":\"Ed448\",\"kid\":\"one\"}"), JWT_KEY_MISMATCH);
}

static void an_rsa_key_without_alg_serves_what_the_policy_lists(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    assert_status(load(world->issuer, RSA_JWKS_WITHOUT_ALG), JWT_OK);
    assert_status(verify(world, RSA_TOKEN_RS256), JWT_OK);
    assert_status(verify(world, RSA_TOKEN_RS384), JWT_KEY_MISMATCH);
    assert_status(verify(world, RSA_TOKEN_PS256), JWT_KEY_MISMATCH);
    options.algorithms = JWT_ALG_PS256 | JWT_ALG_RS384;
    use_policy(world, &options);
    assert_status(verify(world, RSA_TOKEN_PS256), JWT_OK);
    assert_status(verify(world, RSA_TOKEN_RS384), JWT_OK);
    assert_status(verify(world, RSA_TOKEN_RS256), JWT_ALGORITHM_NOT_ALLOWED);
}

/* RFC 7518 section 3.5: the salt is as long as the hash. */
/* ---- What a thread keeps for a key does not carry one verdict into the next */

static void refusals_leave_no_trace_in_the_next_verdict(void **state)
{
    size_t algorithms = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (!(fixtures[i].algorithm & jwt_algorithms_supported()))
            continue;
        void *world = make_world_of(fixtures[i].algorithm, fixtures[i].jwks);
        char *forged = text("%s", fixtures[i].token), *signature = strrchr(forged, '.') + 1;
        for (size_t round = 0; round < 20; round++) {
            size_t at = round * 7 % (strlen(signature) - 1);
            char was = signature[at];
            signature[at] = was == 'A' ? 'B' : 'A';
            assert_status(verify(world, forged), JWT_BAD_SIGNATURE);
            signature[at] = was;
            assert_accepted(world, &fixtures[i]);
        }
        free(forged);
        end_world(&world);
        algorithms++;
    }
    assert_true(algorithms >= 17);
}

static void one_key_serves_two_algorithms_by_turns(void **state)
{
    (void)state;
    void *world = make_world_of(JWT_ALG_RS256 | JWT_ALG_PS256, RSA_JWKS_WITHOUT_ALG);
    for (int round = 0; round < 5; round++) {
        assert_status(verify(world, RSA_TOKEN_RS256), JWT_OK);
        assert_status(verify(world, RSA_TOKEN_PS256), JWT_OK);
    }
    end_world(&world);
}

/* Each key's token, and the same in the name of the next key. */
static void more_keys_than_a_thread_keeps_contexts_for_are_told_apart(void **state)
{
    enum { KEYS = 70 };
    struct world *world = *state;
    char *set = jwks(0, KEYS, 1);
    assert_status(load(world->issuer, set), JWT_OK);
    for (unsigned i = 0; i < 3 * KEYS; i++) {
        unsigned key = i < KEYS ? i : i % 2 ? i % KEYS : 5; /* key 5 is used again and again */
        char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"kid-%u\"}", key);
        char *good = mint(key, header, GOOD_CLAIMS), *bad = mint((key + 1) % KEYS, header, GOOD_CLAIMS);
        assert_status(verify(world, good), JWT_OK);
        assert_status(verify(world, bad), JWT_BAD_SIGNATURE);
        free(header);
        free(good);
        free(bad);
    }
    free(set);
}

static void a_pss_salt_has_the_length_of_the_hash(void **state)
{
    (void)state;
    void *world = make_world_of(JWT_ALG_PS256, RSA_JWKS_WITHOUT_ALG);
    assert_status(verify(world, RSA_TOKEN_PS256), JWT_OK);
    assert_status(verify(world, PS256_TOKEN_OF_SHORT_SALT), JWT_BAD_SIGNATURE);
    end_world(&world);
}

/* ---- Symmetric keys */

static void symmetric_tokens_are_not_among_the_defaults(void **state)
{
    assert_status(verify_header(*state, "{\"alg\":\"HS256\",\"kid\":\"one\"}"), JWT_ALGORITHM_NOT_ALLOWED);
}

static void a_public_key_is_no_shared_secret(void **state)
{
    struct world *world = *state;
    assert_status(load(world->issuer, RSA_JWKS_WITHOUT_ALG), JWT_OK);
    assert_status(verify(world, HS256_TOKEN_KEYED_WITH_RSA_PEM), JWT_ALGORITHM_NOT_ALLOWED);
    jwt_policy_options options = good_options(world);
    options.algorithms = JWT_ALG_HS256 | JWT_ALG_RS256;
    use_policy(world, &options);
    assert_status(verify(world, HS256_TOKEN_KEYED_WITH_RSA_PEM), JWT_KEY_MISMATCH);
}

static const struct fixture *fixture_named(const char *label)
{
    size_t i = 0;
    while (strcmp(fixtures[i].label, label) != 0)
        i++;
    return &fixtures[i];
}

static void an_issuer_reads_symmetric_keys_only_if_it_allows_them(void **state)
{
    struct world *world = *state;
    assert_status(load(world->issuer, fixture_named("HS256")->jwks), JWKS_INVALID_DOCUMENT);
    void *symmetric = make_world_of(JWT_ALG_HS256, fixture_named("HS256")->jwks);
    assert_status(load(((struct world *)symmetric)->issuer, RSA_JWKS_WITHOUT_ALG), JWKS_INVALID_DOCUMENT);
    end_world(&symmetric);
}

/* ---- 1xx: the form */

static void refused(struct world *world, jwt_status expected, const char *token)
{
    jwt_status status = verify(world, token);
    if (status != expected)
        print_error("%s\n", token);
    assert_status(status, expected);
}

static void a_token_has_three_parts_and_none_is_empty(void **state)
{
    static const char *const malformed[] = {
        "a",    "a.b",  ".",       "..",     "...",      ".....",    "a..",     ".b.",         "..c",
        ".b.c", "a.b.", "a.b.c.d", "a.b.c.", "e30.e30.", ".e30.e30", "e30.e30", "a.b.c.d.e.f",
    };
    for (size_t i = 0; i < COUNT(malformed); i++)
        refused(*state, JWT_MALFORMED, malformed[i]);
}

static void the_claims_of_a_token_are_not_empty(void **state)
{
    char *token = mint(1, GOOD_HEADER, "");
    refused(*state, JWT_MALFORMED, token);
    free(token);
}

static void an_unsecured_token_is_refused(void **state)
{
    char *header = base64url("{\"alg\":\"none\"}", 14), *claims = base64url(GOOD_CLAIMS, strlen(GOOD_CLAIMS));
    char *token = text("%s.%s.", header, claims);
    refused(*state, JWT_MALFORMED, token);
    free(token);
    token = text("%s.%s.AA", header, claims);
    refused(*state, JWT_ALGORITHM_NOT_ALLOWED, token);
    free(token);
    free(header);
    free(claims);
}

static void a_jwe_is_told_apart(void **state)
{
    static const char header[] = "{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}";
    char *first = base64url(header, strlen(header)), *token = text("%s.AAAA.AAAA.AAAA.AAAA", first);
    refused(*state, JWT_ENCRYPTED, token);
    free(token);
    token = text("%s..AAAA.AAAA.AAAA", first); /* direct encryption: an empty key */
    refused(*state, JWT_ENCRYPTED, token);
    free(token);
    free(first);
    refused(*state, JWT_ENCRYPTED, "a.b.c.d.e"); /* RFC 7516 section 9: told by its five parts */
    refused(*state, JWT_MALFORMED, "....");      /* no header, no JWE */
}

static void no_token_is_missing(void **state)
{
    refused(*state, JWT_MISSING, "");
}

/* A good token with `part` (0 to 2) replaced by what `edit` makes of it. */
static char *with_part(const char *token, int part, const char *before, const char *after)
{
    const char *start = token;
    for (int i = 0; i < part; i++)
        start = strchr(start, '.') + 1;
    size_t len = strcspn(start, ".");
    return text("%.*s%s%.*s%s%s", (int)(start - token), token, before, (int)len, start, after, start + len);
}

static void parts_are_canonical_base64url(void **state)
{
    static const char *const suffixes[] = { "=", "==", " ", "\n", "+", "/", "%", "\x80", "A=" };
    char *good = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    refused(*state, JWT_OK, good);
    for (int part = 0; part < 3; part++)
        for (size_t i = 0; i < COUNT(suffixes); i++) {
            char *token = with_part(good, part, "", suffixes[i]);
            refused(*state, JWT_BAD_BASE64, token);
            free(token);
            token = with_part(good, part, suffixes[i], "");
            refused(*state, JWT_BAD_BASE64, token);
            free(token);
        }
    free(good);
}

/* The 64 octets of a signature end in a character of which four bits count. */
static void unused_bits_of_the_last_character_are_zero(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS), *last = token + strlen(token) - 1;
    size_t value = (size_t)(strchr(alphabet, *last) - alphabet);
    assert_int_equal(value % 16, 0);
    for (size_t bits = 1; bits < 16; bits++) {
        *last = alphabet[value + bits];
        refused(*state, JWT_BAD_BASE64, token);
    }
    *last = alphabet[value];
    refused(*state, JWT_OK, token);
    free(token);
}

static void no_length_of_one_more_than_a_multiple_of_four_is_base64(void **state)
{
    refused(*state, JWT_BAD_BASE64, "e30.e30.A");
    refused(*state, JWT_BAD_BASE64, "e30.A.e30");
    refused(*state, JWT_BAD_BASE64, "A.e30.e30");
}

/* Texts that are not one JSON object in UTF-8; %s stands for the members of a good one. */
static const char *const bad_objects[] = {
    "",
    " ",
    "{",
    "}",
    "{}{}",
    "[]",
    "null",
    "1",
    "\"a\"",
    "{%s",
    "{%s}}",
    "{%s} x",
    "{%s,}",
    "{,%s}",
    "{%s,\"a\"}",
    "{%s,\"a\":}",
    "{%s,a:1}",
    "{%s,'a':1}",
    "{%s,\"a\":01}",
    "{%s,\"a\":+1}",
    "{%s,\"a\":.5}",
    "{%s,\"a\":5.}",
    "{%s,\"a\":1e}",
    "{%s,\"a\":0x1}",
    "{%s,\"a\":NaN}",
    "{%s,\"a\":Infinity}",
    "{%s,\"a\":True}",
    "{%s,\"a\":nul}",
    "{%s,\"a\":\"\n\"}",
    "{%s,\"a\":\"\x01\"}",
    "{%s,\"a\":\"\\x\"}",
    "{%s,\"a\":\"\\u12\"}",
    "{%s,\"a\":\"\\ud800\"}",
    "{%s,\"a\":\"\\udc00\"}",
    "{%s,\"a\":\"\\ud800\\ud800\"}",
    "{%s,\"a\":\"\xff\"}",
    "{%s,\"a\":\"\xc0\x80\"}",
    "{%s,\"a\":\"\xed\xa0\x80\"}",
    "{%s,\"a\":\"\xf4\x90\x80\x80\"}",
    "{%s,\"a\":\"\xe2\x82\"}",
    "{%s,\"a\":[1,]}",
    "{%s,\"a\":[1 2]}",
    "{%s,\"a\":{\"b\" 1}}",
    "{%s/**/}",
    "\xef\xbb\xbf{%s}",
    "{%s,\"a\":\"b}",
    "{%s,5:1}",
};

static char *object_with(const char *template, const char *members)
{
    const char *place = strstr(template, "%s");
    if (!place)
        return text("%s", template);
    return text("%.*s%s%s", (int)(place - template), template, members, place + 2);
}

static void claims_are_one_json_object(void **state)
{
    for (size_t i = 1; i < COUNT(bad_objects); i++) {
        char *claims = object_with(bad_objects[i], GOOD);
        jwt_status status = verify_claims(*state, claims);
        if (status != JWT_BAD_JSON)
            print_error("%s\n", claims);
        assert_status(status, JWT_BAD_JSON);
        free(claims);
    }
    assert_status(verify_claims(*state, " \t\r\n{ " GOOD " } "), JWT_OK);
}

static void the_header_is_one_json_object(void **state)
{
    for (size_t i = 1; i < COUNT(bad_objects); i++) {
        char *header = object_with(bad_objects[i], "\"alg\":\"EdDSA\",\"kid\":\"one\"");
        jwt_status status = verify_header(*state, header);
        if (status != JWT_BAD_JSON)
            print_error("%s\n", header);
        assert_status(status, JWT_BAD_JSON);
        free(header);
    }
}

static void nul_octets_do_not_end_a_json_text(void **state)
{
    struct world *world = *state;
    static const char claims[] = GOOD_CLAIMS "\0{}";
    char *token = mint_octets(1, GOOD_HEADER, strlen(GOOD_HEADER), claims, sizeof claims - 1);
    refused(world, JWT_BAD_JSON, token);
    free(token);
}

static void no_member_stands_twice(void **state)
{
    static const char *const twice[] = {
        "{" GOOD ",\"aud\":\"" AUDIENCE "\"}",        "{" GOOD ",\"a\":1,\"a\":1}",
        "{" GOOD ",\"a\":1,\"\\u0061\":2}",           "{" GOOD ",\"\":1,\"\":2}",
        "{" GOOD ",\"o\":{\"a\":1,\"b\":2,\"a\":3}}", "{" GOOD ",\"l\":[{\"a\":1,\"a\":3}]}",
    };
    for (size_t i = 0; i < COUNT(twice); i++)
        assert_status(verify_claims(*state, twice[i]), JWT_DUPLICATE_MEMBER);
    assert_status(verify_claims(*state, CLAIMS_WITH("\"a\":{\"a\":1},\"A\":1,\"b\":{\"a\":1}")), JWT_OK);
}

static void no_header_member_stands_twice(void **state)
{
    assert_status(verify_header(*state, "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"alg\":\"EdDSA\"}"),
                  JWT_DUPLICATE_MEMBER);
    assert_status(verify_header(*state, "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"k\\u0069d\":\"two\"}"),
                  JWT_DUPLICATE_MEMBER);
}

static void header_members_have_their_types(void **state)
{
    static const char *const headers[] = {
        "{\"kid\":\"one\"}",
        "{}",
        "{\"alg\":5,\"kid\":\"one\"}",
        "{\"alg\":null,\"kid\":\"one\"}",
        "{\"alg\":[\"EdDSA\"],\"kid\":\"one\"}",
        "{\"alg\":\"EdDSA\",\"kid\":1}",
        "{\"alg\":\"EdDSA\",\"kid\":null}",
        "{\"alg\":\"EdDSA\",\"kid\":{}}",
        "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"typ\":1}",
        "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"typ\":null}",
        "{\"Alg\":\"EdDSA\",\"kid\":\"one\"}",
    };
    for (size_t i = 0; i < COUNT(headers); i++)
        assert_status(verify_header(*state, headers[i]), JWT_BAD_HEADER);
}

static void no_critical_extension_is_understood(void **state)
{
    static const char *const values[] = { "[\"exp\"]", "[\"b64\"]", "[]", "null", "\"b64\"", "[\"alg\"]" };
    for (size_t i = 0; i < COUNT(values); i++) {
        char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"one\",\"b64\":true,\"crit\":%s}", values[i]);
        assert_status(verify_header(*state, header), JWT_CRITICAL_HEADER);
        free(header);
    }
}

static void nothing_in_a_header_says_where_a_key_comes_from(void **state)
{
    char *own = jwk(9, "one");
    char *header =
        text("{\"alg\":\"EdDSA\",\"jwk\":%s,\"jku\":\"http://evil.example\",\"x5u\":\"file:///dev/null\","
             "\"kid\":\"one\"}",
             own);
    char *token = mint(9, header, GOOD_CLAIMS);
    refused(*state, JWT_BAD_SIGNATURE, token);
    free(token);
    free(header);
    free(own);
}

/* ---- Bounds: at, and one beyond */

static void a_token_may_be_as_long_as_max_token(void **state)
{
    struct world *world = *state;
    char *token = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    jwt_policy_options options = good_options(world);
    options.max_token = (uint32_t)strlen(token);
    use_policy(world, &options);
    refused(world, JWT_OK, token);
    options.max_token--;
    use_policy(world, &options);
    refused(world, JWT_TOO_LARGE, token);
    free(token);
}

static char *repeated(const char *unit, size_t count)
{
    size_t len = strlen(unit);
    char *out = malloc(len * count + 1);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * len, unit, len);
    out[len * count] = 0;
    return out;
}

static void the_default_bound_is_32_kib(void **state)
{
    struct world *world = *state;
    char *padding = repeated("x", 40000), *claims = text("{" GOOD ",\"p\":\"%s\"}", padding);
    char *token = mint(1, GOOD_HEADER, claims);
    refused(world, JWT_TOO_LARGE, token);
    assert_status(verify_octets(world->policy, token, 32769, world->result), JWT_TOO_LARGE);
    assert_int_not_equal(verify_octets(world->policy, token, 32768, world->result), JWT_TOO_LARGE);
    free(token);
    free(claims);
    free(padding);
}

static jwt_status with_kid_of(struct world *world, const char *unit, size_t count)
{
    char *kid = repeated(unit, count), *header = text("{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", kid);
    jwt_status status = verify_header(world, header);
    free(header);
    free(kid);
    return status;
}

static void a_kid_is_measured_unescaped(void **state)
{
    struct world *world = *state;
    assert_status(with_kid_of(world, "k", 1024), JWT_KEY_NOT_FOUND);
    assert_status(with_kid_of(world, "k", 1025), JWT_LIMIT_EXCEEDED);
    assert_status(with_kid_of(world, "\\u006b", 1024), JWT_KEY_NOT_FOUND);
    assert_status(with_kid_of(world, "\\u006b", 1025), JWT_LIMIT_EXCEEDED);
    assert_status(with_kid_of(world, "\xc3\xa9", 512), JWT_KEY_NOT_FOUND);
    assert_status(with_kid_of(world, "\xc3\xa9", 513), JWT_LIMIT_EXCEEDED);
    jwt_policy_options options = good_options(world);
    options.max_kid = 3;
    use_policy(world, &options);
    assert_status(verify_header(world, GOOD_HEADER), JWT_OK);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"o\\u006ee\"}"), JWT_OK);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"four\"}"), JWT_LIMIT_EXCEEDED);
}

static void header_members_are_counted_with_nested_ones(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    options.max_header_members = 5;
    use_policy(world, &options);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"a\":1,\"b\":{\"c\":1}}"),
                  JWT_OK);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"a\":1,\"b\":{\"c\":1,\"d\":2}}"),
                  JWT_LIMIT_EXCEEDED);
    assert_status(verify_claims(world, CLAIMS_WITH("\"a\":1,\"b\":1,\"c\":1")), JWT_OK);
}

static void claims_members_are_counted_with_nested_ones(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    options.max_claims_members = 6;
    use_policy(world, &options);
    assert_status(verify_claims(world, CLAIMS_WITH("\"a\":1,\"b\":[1,2,{\"c\":[3,4,5,6,7,8]}]")), JWT_OK);
    assert_status(verify_claims(world, CLAIMS_WITH("\"a\":1,\"b\":[{\"c\":1},{\"c\":2}]")),
                  JWT_LIMIT_EXCEEDED);
}

static char *nested(size_t depth)
{
    char *open = repeated("[", depth), *close = repeated("]", depth);
    char *claims = text("{" GOOD ",\"deep\":%s%s}", open, close);
    free(open);
    free(close);
    return claims;
}

static jwt_status verify_nested(struct world *world, size_t depth)
{
    char *claims = depth > 1 ? nested(depth - 1) : text(GOOD_CLAIMS); /* the claims set is the first level */
    jwt_status status = verify_claims(world, claims);
    free(claims);
    return status;
}

static void nesting_is_bounded(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    assert_status(verify_nested(world, 32), JWT_OK);
    assert_status(verify_nested(world, 33), JWT_LIMIT_EXCEEDED);
    assert_status(verify_nested(world, 10000), JWT_LIMIT_EXCEEDED);
    options.max_nesting = 64;
    use_policy(world, &options);
    assert_status(verify_nested(world, 64), JWT_OK);
    assert_status(verify_nested(world, 65), JWT_LIMIT_EXCEEDED);
    options.max_nesting = 1;
    use_policy(world, &options);
    assert_status(verify_nested(world, 1), JWT_OK);
    assert_status(verify_nested(world, 2), JWT_LIMIT_EXCEEDED);
}

/* ---- 2xx: algorithm, key, signature */

static void unknown_algorithms_are_not_allowed(void **state)
{
    static const char *const names[] = {
        "none", "None", "NONE", "nOnE", "", "eddsa", "EdDSA ", "RS1", "HS256"
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        char *header = text("{\"alg\":\"%s\",\"kid\":\"one\"}", names[i]);
        assert_status(verify_header(*state, header), JWT_ALGORITHM_NOT_ALLOWED);
        free(header);
    }
    assert_status(verify_header(*state, "{\"alg\":\"EdDSA\\u0000\",\"kid\":\"one\"}"),
                  JWT_ALGORITHM_NOT_ALLOWED);
    assert_status(verify_header(*state, "{\"alg\":\"E\\u0064DSA\",\"kid\":\"one\"}"), JWT_OK);
}

static void an_algorithm_off_the_policys_list_is_not_allowed(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    options.algorithms = JWT_ALG_ED25519;
    use_policy(world, &options);
    assert_status(verify_header(world, "{\"alg\":\"Ed25519\",\"kid\":\"one\"}"), JWT_OK);
    assert_status(verify_header(world, GOOD_HEADER), JWT_ALGORITHM_NOT_ALLOWED);
}

static void a_kid_that_is_not_published_is_not_found(void **state)
{
    static const char *const kids[] = { "two", "", "One", "one ", "on", "one\\u0000" };
    for (size_t i = 0; i < COUNT(kids); i++) {
        char *header = text("{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", kids[i]);
        assert_status(verify_header(*state, header), JWT_KEY_NOT_FOUND);
        free(header);
    }
    assert_status(verify_header(*state, "{\"alg\":\"EdDSA\",\"kid\":\"\\u006fne\"}"), JWT_OK);
}

static void a_key_without_kid_does_not_answer_to_one(void **state)
{
    struct world *world = *state;
    load_key(world->issuer, 1, NULL);
    assert_status(verify_header(world, GOOD_HEADER), JWT_KEY_NOT_FOUND);
    assert_status(verify_header(world, "{\"alg\":\"EdDSA\"}"), JWT_OK);
    assert_span(jwt_result_kid(world->result), "");
}

/* Told by the result of a token that names no key. */
static void a_published_kid_may_be_long(void **state)
{
    struct world *world = *state;
    static const size_t lengths[] = { 1024, 4096, 4097, 65536, 200000 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        char *kid = repeated("k", lengths[i]), *good = jwk(1, "good"), *other = jwk(2, kid);
        char *set = text("{\"keys\":[%s,%s]}", good, other),
             *token = mint(2, "{\"alg\":\"EdDSA\"}", GOOD_CLAIMS);
        assert_status(load(world->issuer, set), JWT_OK);
        if (verify(world, token) == JWT_OK) {
            keyturn_span told = jwt_result_kid(world->result);
            assert_int_equal(told.len, lengths[i]);
            assert_memory_equal(told.data, kid, told.len);
        } else {
            assert_true(lengths[i] > 4096); /* max_kid's own maximum */
        }
        free(kid);
        free(good);
        free(other);
        free(set);
        free(token);
    }
}

static void the_key_named_must_serve_the_algorithm(void **state)
{
    assert_status(verify_header(*state, "{\"alg\":\"ES256\",\"kid\":\"one\"}"), JWT_KEY_MISMATCH);
    assert_status(verify_header(*state, "{\"alg\":\"RS256\",\"kid\":\"one\"}"), JWT_KEY_MISMATCH);
}

static void another_keys_signature_is_bad(void **state)
{
    char *token = mint(2, GOOD_HEADER, GOOD_CLAIMS);
    refused(*state, JWT_BAD_SIGNATURE, token);
    free(token);
}

static void a_signature_of_another_length_is_bad(void **state)
{
    static const size_t lengths[] = { 2, 3, 4, 84, 88, 512, 20000 }; /* in characters; the right one is 86 */
    char *good = mint(1, GOOD_HEADER, GOOD_CLAIMS);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        char *zeros = repeated("A", lengths[i]);
        char *token = text("%.*s.%s", (int)(strrchr(good, '.') - good), good, zeros);
        refused(*state, JWT_BAD_SIGNATURE, token);
        free(token);
        free(zeros);
    }
    char *longer = with_part(good, 2, "AAAA", "");
    refused(*state, JWT_BAD_SIGNATURE, longer);
    free(longer);
    free(good);
}

static void a_kid_that_stands_twice_names_both_keys(void **state)
{
    struct world *world = *state;
    char *one = jwk(1, "one"), *two = jwk(2, "one"), *three = jwk(3, "three");
    char *set = text("{\"keys\":[%s,%s,%s]}", one, two, three);
    assert_status(load(world->issuer, set), JWT_OK);
    for (unsigned key = 1; key <= 3; key++) {
        char *token = mint(key, GOOD_HEADER, GOOD_CLAIMS);
        refused(world, key < 3 ? JWT_OK : JWT_BAD_SIGNATURE, token);
        free(token);
    }
    free(one);
    free(two);
    free(three);
    free(set);
}

/* Key `signer` of five signs a token that names no key. */
static jwt_status verify_without_kid(struct world *world, unsigned signer)
{
    char *token = mint(signer, "{\"alg\":\"EdDSA\"}", GOOD_CLAIMS);
    jwt_status status = verify(world, token);
    free(token);
    return status;
}

static void a_token_without_kid_is_tried_with_four_keys_at_most(void **state)
{
    struct world *world = *state;
    for (int with_kids = 0; with_kids < 2; with_kids++) {
        char *set = jwks(1, 5, with_kids);
        assert_status(load(world->issuer, set), JWT_OK);
        for (unsigned signer = 1; signer <= 4; signer++)
            assert_status(verify_without_kid(world, signer), JWT_OK);
        assert_int_equal(jwt_status_http(verify_without_kid(world, 5)), 401);
        free(set);
    }
}

static void keys_of_other_types_do_not_count_among_the_four(void **state)
{
    struct world *world = *state;
    static const char *const others[] = { "ES256", "ES384", "ES512", "ES256K", "PS256" };
    char *one = jwk(1, NULL), *set = text("{\"keys\":[");
    for (size_t i = 0; i < COUNT(others); i++) {
        const char *keys = strchr(fixture_named(others[i])->jwks, '[') + 1;
        char *longer = text("%s%.*s,", set, (int)strlen(keys) - 2, keys);
        free(set);
        set = longer;
    }
    char *all = text("%s%s]}", set, one);
    assert_status(load(world->issuer, all), JWT_OK);
    assert_status(verify_without_kid(world, 1), JWT_OK);
    free(one);
    free(set);
    free(all);
}

/* ---- Several issuers: the same kid, other keys */

static jwt_status verify_of(struct world *world, const char *issuer, unsigned key)
{
    char *claims = text("{\"iss\":\"%s\"," AUD "," EXP "}", issuer);
    char *token = mint(key, GOOD_HEADER, claims);
    jwt_status status = verify(world, token);
    free(token);
    free(claims);
    return status;
}

static void keys_of_one_issuer_never_serve_another(void **state)
{
    struct world *world = *state;
    jwks_issuer *issuers[] = { world->issuer, add_issuer(world->cache, "https://b.example"),
                               add_issuer(world->cache, "https://c.example") };
    load_key(issuers[1], 2, "one");
    load_key(issuers[2], 3, "one");
    static const char *const names[] = { ISSUER, "https://b.example", "https://c.example" };
    jwt_policy_options options = good_options(world);
    options.issuers = issuers;
    options.issuer_count = 2;
    use_policy(world, &options);
    for (unsigned key = 1; key <= 3; key++)
        for (unsigned i = 0; i < 3; i++) {
            jwt_status expected = i == 2 ? JWT_ISSUER_UNKNOWN : key == i + 1 ? JWT_OK : JWT_BAD_SIGNATURE;
            assert_status(verify_of(world, names[i], key), expected);
        }
    assert_status(verify_of(world, names[1], 2), JWT_OK);
    assert_span(jwt_result_issuer(world->result), "https://b.example");
    jwks_issuer_release(issuers[1]);
    jwks_issuer_release(issuers[2]);
}

static void a_policy_of_many_issuers_finds_each(void **state)
{
    struct world *world = *state;
    enum { MANY = 100 };
    jwks_issuer *issuers[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        char *name = text("https://%u.example", i);
        issuers[i] = add_issuer(world->cache, name);
        load_key(issuers[i], i % 7 + 1, "one");
        free(name);
    }
    jwt_policy_options options = good_options(world);
    options.issuers = issuers;
    options.issuer_count = MANY;
    use_policy(world, &options);
    for (unsigned i = 0; i < MANY; i++) {
        char *name = text("https://%u.example", i);
        assert_status(verify_of(world, name, i % 7 + 1), JWT_OK);
        assert_status(verify_of(world, name, i % 7 + 2), JWT_BAD_SIGNATURE);
        free(name);
        jwks_issuer_release(issuers[i]);
    }
    assert_status(verify_of(world, "https://100.example", 1), JWT_ISSUER_UNKNOWN);
}

static void with_allow_any_issuer_iss_is_not_looked_at(void **state)
{
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    options.allow_any_issuer = 1;
    use_policy(world, &options);
    assert_status(verify_of(world, "https://anybody.example", 1), JWT_OK);
    assert_span(jwt_result_issuer(world->result), ISSUER);
    assert_status(verify_of(world, "https://anybody.example", 2), JWT_BAD_SIGNATURE);
    assert_status(verify_claims(world, "{" AUD "," EXP "}"), JWT_OK);
}

static void allow_any_issuer_takes_exactly_one(void **state)
{
    struct world *world = *state;
    jwks_issuer *issuers[] = { world->issuer, add_issuer(world->cache, "https://b.example") };
    jwt_policy_options options = good_options(world);
    options.issuers = issuers;
    options.issuer_count = 2;
    options.allow_any_issuer = 1;
    assert_status(policy_status(world, &options, NULL), JWKS_INVALID_OPTION);
    jwks_issuer_release(issuers[1]);
}

/* ---- The order of the checks: algorithm, type, issuer, times, audience, key, signature, the rest */

#define WITHOUT_KEY(members) "{\"kid\":\"no\"," members "}"

static void what_is_cheap_is_looked_at_before_any_key(void **state)
{
    static const struct {
        jwt_status status;
        const char *header, *claims;
    } steps[] = {
        { JWT_ALGORITHM_NOT_ALLOWED, WITHOUT_KEY("\"alg\":\"none\""),
          "{\"iss\":\"x\",\"aud\":\"x\",\"exp\":1}" },
        { JWT_TYPE_MISMATCH, WITHOUT_KEY("\"alg\":\"ES256\""), "{\"iss\":\"x\",\"aud\":\"x\",\"exp\":1}" },
        { JWT_ISSUER_UNKNOWN, WITHOUT_KEY("\"alg\":\"ES256\",\"typ\":\"JWT\""),
          "{\"iss\":\"x\",\"aud\":\"x\",\"exp\":1}" },
        { JWT_EXPIRED, WITHOUT_KEY("\"alg\":\"ES256\",\"typ\":\"JWT\""),
          "{" ISS ",\"aud\":\"x\",\"exp\":1}" },
        { JWT_AUDIENCE_MISMATCH, WITHOUT_KEY("\"alg\":\"ES256\",\"typ\":\"JWT\""),
          "{" ISS ",\"aud\":\"x\"," EXP "}" },
        { JWT_KEY_NOT_FOUND, WITHOUT_KEY("\"alg\":\"ES256\",\"typ\":\"JWT\""), GOOD_CLAIMS },
        { JWT_KEY_MISMATCH, "{\"alg\":\"ES256\",\"kid\":\"one\",\"typ\":\"JWT\"}", GOOD_CLAIMS },
        { JWT_BAD_SIGNATURE, "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"typ\":\"JWT\"}", GOOD_CLAIMS },
    };
    struct world *world = *state;
    jwt_policy_options options = good_options(world);
    options.type = "JWT";
    use_policy(world, &options);
    for (size_t i = 0; i < COUNT(steps); i++) {
        char *token = mint(9, steps[i].header, steps[i].claims);
        refused(world, steps[i].status, token);
        free(token);
    }
}

static void rules_and_confirmation_are_looked_at_after_the_signature(void **state)
{
    struct world *world = *state;
    jwt_rule rule = JWT_RULE_INIT;
    jwt_policy_options options = good_options(world);
    rule.claim = "role";
    options.rules = &rule;
    options.rule_count = 1;
    use_policy(world, &options);
    static const char claims[] = CLAIMS_WITH("\"cnf\":{\"jkt\":\"x\"},\"sub\":5");
    char *forged = mint(9, GOOD_HEADER, claims);
    refused(world, JWT_BAD_SIGNATURE, forged);
    assert_int_not_equal(verify_claims(world, claims), JWT_BAD_SIGNATURE);
    assert_int_not_equal(verify_claims(world, claims), JWT_OK);
    free(forged);
}

/* ---- 5xx */

static void an_issuer_without_keys_gives_no_verdict(void **state)
{
    struct world *world = *state;
    jwks_issuer *empty = add_issuer(world->cache, "https://empty.example");
    jwks_key_list *list = NULL;
    jwt_policy_options options = good_options(world);
    options.issuers = &empty;
    use_policy(world, &options);
    assert_status(verify_of(world, "https://empty.example", 1), JWKS_KEYS_UNAVAILABLE);
    assert_status(jwks_issuer_keys(empty, &list), JWKS_KEYS_UNAVAILABLE);
    assert_null(list);
    assert_status(verify_of(world, ISSUER, 1), JWT_ISSUER_UNKNOWN);
    jwks_issuer_release(empty);
}

/* ---- JWS */

static jwt_status jws(struct world *world, const jws_options *options, const char *header,
                      const char *payload)
{
    char *token = mint(1, header, payload);
    size_t len = strlen(token);
    char *exact = malloc(len);
    memcpy(exact, token, len);
    jwt_status status = jws_verify(world->issuer, options, exact, len, world->result);
    assert_status(jwt_result_status(world->result), status);
    if (status != JWT_OK)
        assert_cleared(world->result);
    free(exact);
    free(token);
    return status;
}

static void a_jws_may_have_any_payload(void **state)
{
    struct world *world = *state;
    static const char octets[] = "\0\xff{not json";
    char *token = mint_octets(1, GOOD_HEADER, strlen(GOOD_HEADER), octets, sizeof octets);
    assert_status(jws_verify(world->issuer, NULL, token, strlen(token), world->result), JWT_OK);
    keyturn_span payload = jwt_result_payload(world->result);
    assert_int_equal(payload.len, sizeof octets);
    assert_memory_equal(payload.data, octets, sizeof octets);
    free(token);
}

static void a_jws_may_have_an_empty_payload(void **state)
{
    struct world *world = *state;
    assert_status(jws(world, NULL, GOOD_HEADER, "x"), JWT_OK);
    assert_status(jws(world, NULL, GOOD_HEADER, ""), JWT_OK);
    assert_span(jwt_result_payload(world->result), "");
    load_key(world->issuer, 2, "one");
    assert_status(jws(world, NULL, GOOD_HEADER, ""), JWT_BAD_SIGNATURE);
}

static void a_jws_tells_its_key_but_no_claims(void **state)
{
    struct world *world = *state;
    assert_status(jws(world, NULL, GOOD_HEADER, GOOD_CLAIMS), JWT_OK);
    assert_span(jwt_result_payload(world->result), GOOD_CLAIMS);
    assert_span(jwt_result_kid(world->result), "one");
    assert_span(jwt_result_issuer(world->result), ISSUER);
    assert_string_equal(jwt_result_algorithm(world->result), "EdDSA");
    assert_int_equal(jwt_result_header(world->result, "kid", 3).kind, JWT_STRING);
    assert_int_equal(jwt_result_claim(world->result, "iss", 3).kind, JWT_ABSENT);
    assert_int_equal(jwt_result_claim_at(world->result, "/iss", 4).kind, JWT_ABSENT);
    assert_int_equal(jwt_result_claim_at(world->result, "", 0).kind, JWT_ABSENT);
}

static void a_jws_is_refused_as_a_jwt_is(void **state)
{
    struct world *world = *state;
    assert_status(jws(world, NULL, "{\"alg\":\"none\",\"kid\":\"one\"}", "x"), JWT_ALGORITHM_NOT_ALLOWED);
    assert_status(jws(world, NULL, "{\"alg\":\"HS256\",\"kid\":\"one\"}", "x"), JWT_ALGORITHM_NOT_ALLOWED);
    assert_status(jws(world, NULL, "{\"alg\":\"EdDSA\",\"kid\":\"two\"}", "x"), JWT_KEY_NOT_FOUND);
    assert_status(jws(world, NULL, "{\"alg\":\"ES256\",\"kid\":\"one\"}", "x"), JWT_KEY_MISMATCH);
    assert_status(
        jws(world, NULL, "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"b64\":false,\"crit\":[\"b64\"]}", "x"),
        JWT_CRITICAL_HEADER);
    assert_status(jws(world, NULL, "[]", "x"), JWT_BAD_JSON);
    load_key(world->issuer, 2, "one");
    assert_status(jws(world, NULL, GOOD_HEADER, "x"), JWT_BAD_SIGNATURE);
}

static void jws_options_are_obeyed(void **state)
{
    struct world *world = *state;
    static const char typed[] = "{\"alg\":\"EdDSA\",\"kid\":\"one\",\"typ\":\"secevent+jwt\"}";
    jws_options options = JWS_OPTIONS_INIT;
    assert_status(jws(world, &options, GOOD_HEADER, "x"), JWT_OK);
    options.algorithms = JWT_ALG_ES256;
    assert_status(jws(world, &options, GOOD_HEADER, "x"), JWT_ALGORITHM_NOT_ALLOWED);
    options.algorithms = JWT_ALG_EDDSA;
    options.type = "secevent+jwt";
    assert_status(jws(world, &options, GOOD_HEADER, "x"), JWT_TYPE_MISMATCH);
    assert_status(jws(world, &options, typed, "x"), JWT_OK);
    options.max_token = 64;
    assert_status(jws(world, &options, typed, "x"), JWT_TOO_LARGE);
}

static void a_jws_result_shows_no_claims_of_the_jwt_before(void **state)
{
    struct world *world = *state;
    assert_status(verify_claims(world, CLAIMS_WITH("\"sub\":\"alice\"")), JWT_OK);
    assert_status(jws(world, NULL, GOOD_HEADER, "x"), JWT_OK);
    assert_int_equal(jwt_result_claim(world->result, "sub", 3).kind, JWT_ABSENT);
    assert_span(jwt_result_payload(world->result), "x");
}

/* ---- OpenSSL's error queue */

static void leave_two_errors(void)
{
    ERR_clear_error();
    ERR_raise_data(ERR_LIB_USER, 7, "the host's own");
    ERR_raise(ERR_LIB_USER, 8);
}

static void assert_the_two_errors(void)
{
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 7);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 8);
    assert_int_equal(ERR_get_error(), 0);
}

static void the_error_queue_is_left_as_it_was_found(void **state)
{
    struct world *world = *state;
    char *forged = mint(9, GOOD_HEADER, GOOD_CLAIMS);
    for (int full = 0; full < 2; full++)
        for (int what = 0; what < 4; what++) {
            ERR_clear_error();
            if (full)
                leave_two_errors();
            if (what == 0)
                assert_status(verify_claims(world, GOOD_CLAIMS), JWT_OK);
            else if (what == 1)
                refused(world, JWT_BAD_SIGNATURE, forged);
            else if (what == 2)
                assert_int_equal(load(world->issuer, FAULTY_JWKS), JWT_OK);
            else
                load_key(world->issuer, 1, "one");
            if (full)
                assert_the_two_errors();
            assert_int_equal(ERR_peek_error(), 0);
        }
    free(forged);
}

static char *forge(const char *token)
{
    char *forged = text("%s", token), *signature = strrchr(forged, '.') + 1;
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    return forged;
}

/* libcrypto itself does leave errors for some of these. */
static void refusals_of_every_algorithm_leave_the_error_queue_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        if (!(fixtures[i].algorithm & jwt_algorithms_supported()))
            continue;
        void *world = make_world_of(fixtures[i].algorithm, fixtures[i].jwks);
        char *forged = forge(fixtures[i].token);
        ERR_clear_error();
        refused(world, JWT_BAD_SIGNATURE, forged);
        assert_int_equal(ERR_peek_error(), 0);
        leave_two_errors();
        refused(world, JWT_BAD_SIGNATURE, forged);
        assert_the_two_errors();
        free(forged);
        end_world(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_supported_algorithm_is_accepted),
        WITH_WORLD(an_algorithm_that_libcrypto_lacks_is_a_key_left_out),
        cmocka_unit_test(a_token_of_one_algorithm_is_refused_with_the_key_of_another),
        WITH_WORLD(an_ed25519_key_serves_both_of_its_names),
        WITH_WORLD(an_rsa_key_without_alg_serves_what_the_policy_lists),
        cmocka_unit_test(refusals_leave_no_trace_in_the_next_verdict),
        cmocka_unit_test(one_key_serves_two_algorithms_by_turns),
        WITH_WORLD(more_keys_than_a_thread_keeps_contexts_for_are_told_apart),
        cmocka_unit_test(a_pss_salt_has_the_length_of_the_hash),
        WITH_WORLD(symmetric_tokens_are_not_among_the_defaults),
        WITH_WORLD(a_public_key_is_no_shared_secret),
        WITH_WORLD(an_issuer_reads_symmetric_keys_only_if_it_allows_them),
        WITH_WORLD(a_token_has_three_parts_and_none_is_empty),
        WITH_WORLD(the_claims_of_a_token_are_not_empty),
        WITH_WORLD(an_unsecured_token_is_refused),
        WITH_WORLD(a_jwe_is_told_apart),
        WITH_WORLD(no_token_is_missing),
        WITH_WORLD(parts_are_canonical_base64url),
        WITH_WORLD(unused_bits_of_the_last_character_are_zero),
        WITH_WORLD(no_length_of_one_more_than_a_multiple_of_four_is_base64),
        WITH_WORLD(claims_are_one_json_object),
        WITH_WORLD(the_header_is_one_json_object),
        WITH_WORLD(nul_octets_do_not_end_a_json_text),
        WITH_WORLD(no_member_stands_twice),
        WITH_WORLD(no_header_member_stands_twice),
        WITH_WORLD(header_members_have_their_types),
        WITH_WORLD(no_critical_extension_is_understood),
        WITH_WORLD(nothing_in_a_header_says_where_a_key_comes_from),
        WITH_WORLD(a_token_may_be_as_long_as_max_token),
        WITH_WORLD(the_default_bound_is_32_kib),
        WITH_WORLD(a_kid_is_measured_unescaped),
        WITH_WORLD(header_members_are_counted_with_nested_ones),
        WITH_WORLD(claims_members_are_counted_with_nested_ones),
        WITH_WORLD(nesting_is_bounded),
        WITH_WORLD(unknown_algorithms_are_not_allowed),
        WITH_WORLD(an_algorithm_off_the_policys_list_is_not_allowed),
        WITH_WORLD(a_kid_that_is_not_published_is_not_found),
        WITH_WORLD(a_key_without_kid_does_not_answer_to_one),
        WITH_WORLD(a_published_kid_may_be_long),
        WITH_WORLD(the_key_named_must_serve_the_algorithm),
        WITH_WORLD(another_keys_signature_is_bad),
        WITH_WORLD(a_signature_of_another_length_is_bad),
        WITH_WORLD(a_kid_that_stands_twice_names_both_keys),
        WITH_WORLD(a_token_without_kid_is_tried_with_four_keys_at_most),
        WITH_WORLD(keys_of_other_types_do_not_count_among_the_four),
        WITH_WORLD(keys_of_one_issuer_never_serve_another),
        WITH_WORLD(a_policy_of_many_issuers_finds_each),
        WITH_WORLD(with_allow_any_issuer_iss_is_not_looked_at),
        WITH_WORLD(allow_any_issuer_takes_exactly_one),
        WITH_WORLD(what_is_cheap_is_looked_at_before_any_key),
        WITH_WORLD(rules_and_confirmation_are_looked_at_after_the_signature),
        WITH_WORLD(an_issuer_without_keys_gives_no_verdict),
        WITH_WORLD(a_jws_may_have_any_payload),
        WITH_WORLD(a_jws_may_have_an_empty_payload),
        WITH_WORLD(a_jws_tells_its_key_but_no_claims),
        WITH_WORLD(a_jws_is_refused_as_a_jwt_is),
        WITH_WORLD(jws_options_are_obeyed),
        WITH_WORLD(a_jws_result_shows_no_claims_of_the_jwt_before),
        WITH_WORLD(the_error_queue_is_left_as_it_was_found),
        cmocka_unit_test(refusals_of_every_algorithm_leave_the_error_queue_alone),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
