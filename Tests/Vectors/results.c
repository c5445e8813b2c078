/* Holds a jwt_result against the token: what is verified is told exactly, what is refused is not told at all.
 * Tokens are read here by another Base64url decoder and another JSON reader than Keyturn's. */
#include "vectors.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { READ_ANY = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES };

static bool equals(keyturn_span span, const char *data, size_t len)
{
    return span.len == len && (len == 0 || memcmp(span.data, data, len) == 0);
}

/* ---- The parts of a token */

struct part {
    char *data;
    size_t len;
};

static struct part decoded(const char *text, size_t len)
{
    struct part part = { malloc(len + 4), 0 };
    char *standard = malloc(len + 4);
    for (size_t i = 0; i < len; i++)
        standard[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    size_t padding = (4 - len % 4) % 4;
    memset(standard + len, '=', padding);
    int octets = EVP_DecodeBlock((unsigned char *)part.data, (unsigned char *)standard, (int)(len + padding));
    part.len = octets < (int)padding ? 0 : (size_t)octets - padding;
    free(standard);
    return part;
}

static struct part part_of(const struct verified *verified, int wanted)
{
    const char *start = verified->token, *end = start + verified->token_len;
    for (; wanted > 0; wanted--)
        start = (const char *)memchr(start, '.', (size_t)(end - start)) + 1;
    return decoded(start, (size_t)((const char *)memchr(start, '.', (size_t)(end - start)) - start));
}

/* ---- Values */

static jwt_kind kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return JWT_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return JWT_BOOLEAN;
    case JSON_INTEGER:
    case JSON_REAL:
        return JWT_NUMBER;
    case JSON_STRING:
        return JWT_STRING;
    case JSON_ARRAY:
        return JWT_ARRAY;
    default:
        return JWT_OBJECT;
    }
}

static bool same_json(keyturn_span text, const json_t *expected)
{
    json_t *actual = json_loadb(text.data, text.len, READ_ANY, NULL);
    bool same = json_equal(actual, expected);
    json_decref(actual);
    return same;
}

static bool same_value(jwt_value actual, const json_t *expected)
{
    int64_t integer = 0;
    if (actual.kind != kind_of(expected))
        return false;
    if (json_is_string(expected))
        return equals(actual.text, json_string_value(expected), json_string_length(expected));
    if (json_is_integer(expected) &&
        (!jwt_value_integer(actual, &integer) || integer != json_integer_value(expected)))
        return false;
    return same_json(actual.text, expected);
}

typedef jwt_value (*accessor)(const jwt_result *, const char *, size_t);

/* A member's name as a JSON pointer (RFC 6901 section 3). */
static size_t pointer_to(const char *name, size_t len, char *pointer)
{
    size_t at = 0;
    pointer[at++] = '/';
    for (size_t i = 0; i < len; i++) {
        bool escaped = name[i] == '~' || name[i] == '/';
        pointer[at++] = escaped ? '~' : name[i];
        if (escaped)
            pointer[at++] = name[i] == '~' ? '0' : '1';
    }
    return at;
}

static void expect_members(const struct row *row, const jwt_result *result, json_t *object, accessor by_name,
                           accessor by_pointer)
{
    const char *name;
    size_t len;
    json_t *value;
    json_object_keylen_foreach(object, name, len, value)
    {
        char *pointer = malloc(2 * len + 1);
        size_t pointer_len = pointer_to(name, len, pointer);
        if (!same_value(by_name(result, name, len), value))
            complain(row->id, "the value of \"%s\" is not the token's", name);
        if (!same_value(by_pointer(result, pointer, pointer_len), value))
            complain(row->id, "the value at \"/%s\" is not the token's", name);
        free(pointer);
    }
    if (by_name(result, "no such member", 14).kind != JWT_ABSENT)
        complain(row->id, "a member that the token does not have is not absent");
}

/* ---- What is verified */

static void expect_payload(const struct row *row, const struct verified *verified, struct part payload)
{
    keyturn_span actual = jwt_result_payload(verified->result);
    if (mutant == MUTANT_PAYLOAD)
        actual.len--;
    if (!equals(actual, payload.data, payload.len))
        complain(row->id, "the payload is not the token's");
}

static int64_t expiry_of(const json_t *claims)
{
    const json_t *exp = json_object_get(claims, "exp");
    if (!exp)
        return INT64_MAX;
    return json_is_integer(exp) ? json_integer_value(exp) : (int64_t)floor(json_real_value(exp));
}

/* A binding to a certificate holds for its digest, and for no other (RFC 8705 section 3.1). */
static void expect_confirmation(const struct row *row, const jwt_result *result, const json_t *claims)
{
    static const unsigned char other[32];
    const json_t *bound = json_object_get(json_object_get(claims, "cnf"), "x5t#S256");
    jwt_status expected = bound ? JWT_CONFIRMATION_MISMATCH : JWT_CONFIRMATION_REQUIRED;
    if (jwt_result_confirm_certificate(result, other) != expected)
        complain(row->id, "another certificate is not answered with %s", jwt_status_name(expected));
    if (!bound)
        return;
    struct part digest = decoded(json_string_value(bound), json_string_length(bound));
    if (digest.len != 32 || jwt_result_confirm_certificate(result, (unsigned char *)digest.data) != JWT_OK)
        complain(row->id, "the token's own certificate is not confirmed");
    free(digest.data);
}

/* jansson cannot hold a name with U+0000 in it; then the payload's octets have to do. */
static bool is_beyond_jansson(const json_error_t *error)
{
    return json_error_code(error) == json_error_null_byte_in_key;
}

static void expect_claims(const struct row *row, const struct verified *verified, struct part payload)
{
    json_error_t error;
    json_t *claims = json_loadb(payload.data, payload.len, READ_ANY, &error);
    if (!claims && is_beyond_jansson(&error))
        return;
    if (!json_is_object(claims))
        complain(row->id, "the payload is not a JSON object");
    expect_members(row, verified->result, claims, jwt_result_claim, jwt_result_claim_at);
    expect_confirmation(row, verified->result, claims);
    if (jwt_result_expiry(verified->result) != expiry_of(claims))
        complain(row->id, "expiry %lld, expected %lld", (long long)jwt_result_expiry(verified->result),
                 (long long)expiry_of(claims));
    json_decref(claims);
}

/* The key told of is one that the issuer has, under the kid of the token if it has one. */
static void expect_key(const struct row *row, const struct verified *verified, const json_t *header)
{
    keyturn_span kid = jwt_result_kid(verified->result);
    keyturn_span thumbprint = jwt_result_thumbprint(verified->result);
    const json_t *named = json_object_get(header, "kid");
    bool found = false;
    for (size_t i = 0; i < jwks_key_list_count(verified->keys); i++) {
        jwks_key_info info = key_at(row->id, verified->keys, i);
        found |= info.fault == JWKS_KEY_USABLE && info.thumbprint.len == 43 &&
                 equals(thumbprint, info.thumbprint.data, info.thumbprint.len) &&
                 equals(kid, info.kid.data, info.kid.len);
    }
    if (!found)
        complain(row->id, "kid \"%.*s\" and its thumbprint are of no usable key", (int)kid.len, kid.data);
    if (named && !equals(kid, json_string_value(named), json_string_length(named)))
        complain(row->id, "kid \"%.*s\" is not the token's", (int)kid.len, kid.data);
}

static void expect_header(const struct row *row, const struct verified *verified)
{
    struct part text = part_of(verified, 0);
    json_t *header = json_loadb(text.data, text.len, READ_ANY, NULL);
    const char *expected = json_string_value(json_object_get(header, "alg"));
    const char *actual = jwt_result_algorithm(verified->result);
    if (!expected || !actual || strcmp(expected, actual) != 0)
        complain(row->id, "algorithm %s, expected %s", actual ? actual : "absent", expected);
    expect_members(row, verified->result, header, jwt_result_header, jwt_result_header_at);
    expect_key(row, verified, header);
    json_decref(header);
    free(text.data);
}

void expect_result(const struct row *row, const struct verified *verified)
{
    struct part payload = part_of(verified, 1);
    expect_payload(row, verified, payload);
    expect_header(row, verified);
    if (verified->claims)
        expect_claims(row, verified, payload);
    else if (jwt_result_claim(verified->result, "iss", 3).kind != JWT_ABSENT)
        complain(row->id, "a payload that is not claims has claims");
    if (!equals(jwt_result_issuer(verified->result), verified->issuer, strlen(verified->issuer)))
        complain(row->id, "the issuer is not the one configured");
    if (jwt_result_status(verified->result) != JWT_OK || *jwt_result_detail(verified->result))
        complain(row->id, "the result does not say JWT_OK");
    free(payload.data);
}

/* ---- What is refused */

static bool tells_a_member(const jwt_result *result)
{
    static const char *const names[] = { "iss", "sub", "aud", "exp", "alg", "kid" };
    bool tells = mutant == MUTANT_LEFTOVER;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char pointer[8] = "/";
        strcat(pointer, names[i]);
        tells |= jwt_result_claim(result, names[i], 3).kind != JWT_ABSENT ||
                 jwt_result_claim_at(result, pointer, 4).kind != JWT_ABSENT ||
                 jwt_result_header(result, names[i], 3).kind != JWT_ABSENT ||
                 jwt_result_header_at(result, pointer, 4).kind != JWT_ABSENT;
    }
    return tells || jwt_result_claim_at(result, "", 0).kind != JWT_ABSENT ||
           jwt_result_header_at(result, "", 0).kind != JWT_ABSENT;
}

void expect_no_result(const struct row *row, const jwt_result *result, jwt_status status)
{
    static const unsigned char digest[32];
    if (jwt_result_status(result) != status || !jwt_result_detail(result))
        complain(row->id, "the result does not say %s", jwt_status_name(status));
    if (jwt_result_confirm_certificate(result, digest) != status)
        complain(row->id, "a refused token is asked for its certificate");
    if (jwt_result_payload(result).len || jwt_result_kid(result).len || jwt_result_thumbprint(result).len ||
        jwt_result_issuer(result).len || jwt_result_algorithm(result) || jwt_result_expiry(result) ||
        tells_a_member(result))
        complain(row->id, "a refused token (%s) is told of", jwt_status_name(status));
}
