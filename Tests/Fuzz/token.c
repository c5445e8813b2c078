/* Any octets at all as a token. What is accepted must be signed with the target's own secret, and say what
 * the policy asks for; what is refused must answer nothing.
 *
 * The first octet says what the rest is: 's' a header, a line feed and a payload, which the target encodes and
 * signs with its secret; anything else a token as it stands. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <jansson.h>
#include <keyturn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>

#define NOW 1800000000
#define LEEWAY 30
#define LOCAL "https://local.example"
#define PUBLIC "https://issuer.example"
#define AUDIENCE "api://gateway"

static const char secret[] = "an octet string of thirty-two or more octets";
static const char local_keys[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"s\",\"alg\":\"HS256\","
                                 "\"k\":\"YW4gb2N0ZXQgc3RyaW5nIG9mIHRoaXJ0eS10d28gb3IgbW9yZSBvY3RldHM\"}]}";
/* RFC 7515 appendices A.2 and A.3, RFC 8037 appendix A. */
static const char public_keys[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
    "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
    "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
    "KXBdQOS7UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
    "DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"o\",\"x\":\"11qYAYKxCrfVS_"
    "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static jwks_issuer *local_issuer;
static jwt_policy *policy;
static jwt_result *result;

static int64_t fixed_clock(void *context)
{
    (void)context;
    return NOW;
}

static jwks_issuer *issuer(jwks_cache *cache, const char *name, bool symmetric, const char *keys)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    jwks_issuer *issuer = NULL;
    options.issuer = name;
    options.allow_symmetric = symmetric;
    options.algorithms = symmetric ? JWT_ALG_HS256 : 0;
    REQUIRE(jwks_cache_add_issuer(cache, &options, &issuer, NULL) == JWT_OK);
    REQUIRE(jwks_issuer_load(issuer, keys, strlen(keys), NULL) == JWT_OK);
    return issuer;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    jwks_cache_options cache_options = JWKS_CACHE_OPTIONS_INIT;
    jwks_cache *cache = NULL;
    cache_options.clock = fixed_clock;
    REQUIRE(jwks_cache_new(&cache_options, &cache, NULL) == JWT_OK);
    local_issuer = issuer(cache, LOCAL, true, local_keys);

    jwks_issuer *issuers[] = { local_issuer, issuer(cache, PUBLIC, false, public_keys) };
    const char *const audiences[] = { AUDIENCE, "other" };
    const char *const roles[] = { "admin", "user" };
    jwt_rule rule = JWT_RULE_INIT;
    rule.kind = JWT_RULE_CONTAINS;
    rule.claim = "/realm/roles";
    rule.values = roles;
    rule.value_count = 2;
    jwt_policy_options options = JWT_POLICY_OPTIONS_INIT;
    options.issuers = issuers;
    options.issuer_count = 2;
    options.audiences = audiences;
    options.audience_count = 2;
    options.algorithms = JWT_ALG_HS256 | JWT_ALG_RS256 | JWT_ALG_ES256 | JWT_ALG_EDDSA;
    options.rules = &rule;
    options.rule_count = 1;
    REQUIRE(jwt_policy_new(cache, &options, &policy, NULL) == JWT_OK);
    REQUIRE(jwt_result_new(&result) == JWT_OK);
    return 0;
}

/* ---- Tokens of the target's own ---------------------------------------------------------------- */

static size_t encode(char *out, const void *octets, size_t count)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *in = octets;
    uint32_t bits = 0;
    unsigned int waiting = 0;
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        bits = bits << 8 | in[i];
        for (waiting += 8; waiting >= 6; waiting -= 6)
            out[length++] = alphabet[bits >> (waiting - 6) & 63];
    }
    if (waiting)
        out[length++] = alphabet[bits << (6 - waiting) & 63];
    return length;
}

static size_t encode_signature(char *out, const char *token, size_t count)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int length;
    REQUIRE(HMAC(EVP_sha256(), secret, sizeof secret - 1, (const uint8_t *)token, count, mac, &length));
    return encode(out, mac, length);
}

static char *sign(const uint8_t *data, size_t count, size_t *length)
{
    const uint8_t *line_feed = memchr(data, '\n', count);
    size_t header = line_feed ? (size_t)(line_feed - data) : count;
    size_t payload = line_feed ? count - header - 1 : 0;
    char *token = malloc(2 * count + 100);
    REQUIRE(token);
    *length = encode(token, data, header);
    token[(*length)++] = '.';
    *length += encode(token + *length, data + count - payload, payload);
    size_t signature = encode_signature(token + *length + 1, token, *length);
    token[(*length)++] = '.';
    *length += signature;
    char *exact = fuzz_copy(token, *length);
    free(token);
    return exact;
}

/* ---- What must hold of an accepted token ------------------------------------------------------- */

static bool is_text(keyturn_span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.data, text, span.len) == 0;
}

static void expect_signed(const char *token, size_t length)
{
    char signature[100];
    const char *dot = memrchr(token, '.', length);
    REQUIRE(dot);
    size_t count = encode_signature(signature, token, (size_t)(dot - token));
    REQUIRE((size_t)(token + length - dot - 1) == count && memcmp(dot + 1, signature, count) == 0);
}

static bool names_audience(const json_t *audience)
{
    size_t i;
    const json_t *one;
    if (json_is_string(audience)) {
        const char *text = json_string_value(audience);
        return json_string_length(audience) == strlen(text) &&
               (!strcmp(text, AUDIENCE) || !strcmp(text, "other"));
    }
    json_array_foreach(audience, i, one) if (json_is_string(one) && names_audience(one)) return true;
    return false;
}

/* By jansson, where it can hold the claims. */
static void expect_claims(keyturn_span payload)
{
    json_t *claims = json_loadb(payload.data, payload.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (!claims)
        return;
    const char *name = json_string_value(json_object_get(claims, "iss"));
    REQUIRE(name && !strcmp(name, LOCAL));
    REQUIRE(names_audience(json_object_get(claims, "aud")));
    REQUIRE(json_number_value(json_object_get(claims, "exp")) > NOW - LEEWAY);
    REQUIRE(json_number_value(json_object_get(claims, "nbf")) <= NOW + LEEWAY);
    REQUIRE(json_number_value(json_object_get(claims, "iat")) <= NOW + LEEWAY);
    REQUIRE(!json_object_get(claims, "cnf"));
    REQUIRE(json_is_array(json_object_get(json_object_get(claims, "realm"), "roles")));
    json_decref(claims);
}

/* ---- Accessors ---------------------------------------------------------------------------------- */

static uint32_t sum; /* so that no read is left out */

static void read_span(keyturn_span span)
{
    for (size_t i = 0; i < span.len; i++)
        sum = sum * 31 + (uint8_t)span.data[i];
}

static void read_value(jwt_value value, bool present_at_all)
{
    int64_t number;
    REQUIRE(value.kind >= JWT_ABSENT && value.kind <= JWT_OBJECT);
    REQUIRE(present_at_all || value.kind == JWT_ABSENT);
    REQUIRE(value.kind != JWT_ABSENT || value.text.len == 0);
    read_span(value.text);
    REQUIRE(jwt_value_integer(value, &number) == 0 || value.kind == JWT_NUMBER);
}

static void read_result(bool accepted, bool has_claims)
{
    static const char *const names[] = { "iss", "sub", "aud", "exp", "cnf", "realm", "", "a" };
    static const char *const pointers[] = { "",         "/", "/aud/0", "/realm/roles/1",
                                            "/a/b/0/c", "a", "/~",     "/a~1b" };
    static const unsigned char digest[32];
    for (size_t i = 0; i < 8; i++) {
        read_value(jwt_result_claim(result, names[i], strlen(names[i])), accepted && has_claims);
        read_value(jwt_result_claim_at(result, pointers[i], strlen(pointers[i])), accepted && has_claims);
        read_value(jwt_result_header(result, names[i], strlen(names[i])), accepted);
        read_value(jwt_result_header_at(result, pointers[i], strlen(pointers[i])), accepted);
    }
    keyturn_span spans[] = { jwt_result_payload(result), jwt_result_kid(result),
                             jwt_result_thumbprint(result), jwt_result_issuer(result) };
    for (size_t i = 0; i < 4; i++) {
        REQUIRE(accepted || spans[i].len == 0);
        read_span(spans[i]);
    }
    REQUIRE(jwt_result_detail(result));
    REQUIRE((jwt_result_algorithm(result) != NULL) == accepted);
    REQUIRE(accepted || jwt_result_expiry(result) == 0);
    REQUIRE(jwt_result_confirm_certificate(result, digest) != JWT_OK || accepted);
}

static void challenge(jwt_status status)
{
    char text[512];
    size_t length;
    REQUIRE(jwt_challenge(status, NULL, text, sizeof text, &length) == JWT_OK);
    REQUIRE(length < sizeof text && strlen(text) == length);
    int http = jwt_status_http(status);
    REQUIRE((length > 0) == (http == 401 || http == 403));
}

/* ---- The target ----------------------------------------------------------------------------------- */

static void verify(const char *token, size_t length)
{
    jwt_status status = jwt_verify(policy, token, length, result);
    REQUIRE(jwt_result_status(result) == status);
    REQUIRE(status < JWKS_INVALID_ARGUMENT);
    read_result(status == JWT_OK, true);
    challenge(status);
    if (status == JWT_OK) {
        expect_signed(token, length);
        expect_claims(jwt_result_payload(result));
        REQUIRE(is_text(jwt_result_issuer(result), LOCAL));
        REQUIRE(is_text(jwt_result_kid(result), "s"));
    }
#ifdef PLANTED
    if (status == JWT_DUPLICATE_MEMBER)
        sum += *(const volatile char *)(token + length);
#endif
}

static void verify_opaque(const char *token, size_t length)
{
    jws_options options = JWS_OPTIONS_INIT;
    options.algorithms = JWT_ALG_HS256;
    jwt_status status = jws_verify(local_issuer, &options, token, length, result);
    REQUIRE(jwt_result_status(result) == status);
    REQUIRE(status < JWKS_INVALID_ARGUMENT);
    read_result(status == JWT_OK, false);
    if (status == JWT_OK)
        expect_signed(token, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    if (count == 0)
        return -1;
    size_t length = count - 1;
    char *token = data[0] == 's' ? sign(data + 1, count - 1, &length) : fuzz_copy(data + 1, length);
    verify(token, length);
    verify_opaque(token, length);
    free(token);
    return 0;
}
