#include "minting.h"

#include <openssl/evp.h>

/* ---- Texts */

char *text(const char *format, ...)
{
    char *out = NULL;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&out, format, arguments);
    va_end(arguments);
    assert_true(len >= 0);
    return out;
}

char *base64url(const void *octets, size_t len)
{
    char *out = malloc(4 * ((len + 2) / 3) + 1);
    assert_non_null(out);
    size_t end = (size_t)EVP_EncodeBlock((unsigned char *)out, octets, (int)len);
    while (end > 0 && out[end - 1] == '=')
        end--;
    out[end] = 0;
    for (char *c = out; *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return out;
}

/* ---- Keys and tokens */

static EVP_PKEY *private_key(unsigned key)
{
    unsigned char seed[32];
    memset(seed, (int)key, sizeof seed);
    EVP_PKEY *out = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    assert_non_null(out);
    return out;
}

static void sign(unsigned key, const char *input, unsigned char signature[64])
{
    size_t len = 64;
    EVP_PKEY *pkey = private_key(key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, pkey), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &len, (const unsigned char *)input, strlen(input)),
                     1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
}

char *mint_octets(unsigned key, const void *header, size_t header_len, const void *payload,
                  size_t payload_len)
{
    unsigned char signature[64];
    char *first = base64url(header, header_len);
    char *second = base64url(payload, payload_len);
    char *input = text("%s.%s", first, second);
    sign(key, input, signature);
    char *third = base64url(signature, sizeof signature);
    char *token = text("%s.%s", input, third);
    free(first);
    free(second);
    free(third);
    free(input);
    return token;
}

char *mint(unsigned key, const char *header, const char *payload)
{
    return mint_octets(key, header, strlen(header), payload, strlen(payload));
}

char *jwk(unsigned key, const char *kid)
{
    unsigned char public[32];
    size_t len = sizeof public;
    EVP_PKEY *pkey = private_key(key);
    assert_int_equal(EVP_PKEY_get_raw_public_key(pkey, public, &len), 1);
    EVP_PKEY_free(pkey);
    char *x = base64url(public, len);
    char *member = kid ? text(",\"kid\":\"%s\"", kid) : text("%s", "");
    char *out = text("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"%s}", x, member);
    free(x);
    free(member);
    return out;
}

char *jwks(unsigned first, unsigned count, int with_kids)
{
    char *out = text("{\"keys\":[");
    for (unsigned i = 0; i < count; i++) {
        char *kid = text("kid-%u", first + i);
        char *key = jwk(first + i, with_kids ? kid : NULL);
        char *longer = text("%s%s%s", out, i ? "," : "", key);
        free(kid);
        free(key);
        free(out);
        out = longer;
    }
    char *set = text("%s]}", out);
    free(out);
    return set;
}

/* ---- Time */

int64_t standing_clock(void *now)
{
    return *(int64_t *)now;
}
