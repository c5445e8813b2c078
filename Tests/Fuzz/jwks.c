/* Any octets at all as a JWK Set. A set is taken whole or not at all: after a refusal the keys before are
 * there. The first octet chooses the issuer's kind, the rest is the document. */
#include "fuzz.h"

#include <jansson.h>
#include <keyturn.h>
#include <stdbool.h>

static const char good_public[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
                                  "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
static const char good_spiffe[] =
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
    "\"use\":\"jwt-svid\",\"kid\":\"k\"}]}";
static const char good_symmetric[] =
    "{\"keys\":[{\"kty\":\"oct\",\"k\":\"YW4gb2N0ZXQgc3RyaW5nIG9mIHRoaXJ0eS10d28gb3IgbW9yZSBvY3RldHM\"}]}";

enum { SIGNING, SPIFFE, SYMMETRIC, KINDS };

static const char *const good[KINDS] = { good_public, good_spiffe, good_symmetric };
static jwks_cache *cache;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    REQUIRE(jwks_cache_new(NULL, &cache, NULL) == JWT_OK);
    return 0;
}

/* A new one each time: a bundle's sequence outlives it. */
static jwks_issuer *issuer_with_a_key(int kind)
{
    jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
    options.issuer = "https://a.example";
    options.use = kind == SPIFFE ? JWKS_USE_JWT_SVID : JWKS_USE_SIG;
    options.allow_symmetric = kind == SYMMETRIC;
    options.algorithms = kind == SYMMETRIC ? JWT_ALG_HS256 | JWT_ALG_HS384 | JWT_ALG_HS512 : 0;
    options.max_keys = 8;
    jwks_issuer *issuer;
    REQUIRE(jwks_cache_add_issuer(cache, &options, &issuer, NULL) == JWT_OK);
    REQUIRE(jwks_issuer_load(issuer, good[kind], strlen(good[kind]), NULL) == JWT_OK);
    return issuer;
}

static uint32_t sum; /* so that no read is left out */

static void read_span(keyturn_span span)
{
    for (size_t i = 0; i < span.len; i++)
        sum = sum * 31 + (uint8_t)span.data[i];
}

/* How many of the list's keys can be used; nothing about any of them is out of the header's bounds. */
static size_t usable_keys(const jwks_key_list *list)
{
    size_t usable = 0, count = jwks_key_list_count(list), after = 0;
    jwks_key_info info = JWKS_KEY_INFO_INIT;
    for (size_t i = 0; i < count; i++) {
        REQUIRE(jwks_key_list_get(list, i, &info) == JWT_OK);
        REQUIRE(i == 0 || info.index > after);
        REQUIRE(info.fault >= JWKS_KEY_USABLE && info.fault <= JWKS_KEY_REPEATED);
        REQUIRE((info.fault == JWKS_KEY_USABLE) == (info.algorithms != 0));
        REQUIRE(info.fault != JWKS_KEY_USABLE || (info.thumbprint.len == 43 && info.bits > 0));
        REQUIRE(info.lenient <= 1);
        read_span(info.kid);
        read_span(info.thumbprint);
        usable += info.fault == JWKS_KEY_USABLE;
        after = info.index;
    }
    REQUIRE(jwks_key_list_get(list, count, &info) == JWKS_INVALID_ARGUMENT);
    return usable;
}

static size_t keys(jwks_issuer *issuer, size_t *count)
{
    jwks_key_list *list = NULL;
    REQUIRE(jwks_issuer_keys(issuer, &list) == JWT_OK);
    *count = jwks_key_list_count(list);
    size_t usable = usable_keys(list);
    jwks_key_list_release(list);
    return usable;
}

/* By jansson: the document's form, without a look into its keys. */
static bool is_set(const char *document, size_t length, size_t fewest)
{
    json_t *top = json_loadb(document, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    size_t count = json_array_size(json_object_get(top, "keys"));
    json_decref(top);
    return count >= fewest && count <= 8 && !memchr(document, 0, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    if (count == 0)
        return -1;
    int kind = data[0] % KINDS;
    jwks_issuer *issuer = issuer_with_a_key(kind);
    size_t fewest = kind == SPIFFE ? 0 : 1; /* an empty bundle means that nothing is valid */

    size_t length = count - 1, listed, usable;
    char *document = fuzz_copy(data + 1, length);
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = jwks_issuer_load(issuer, document, length, &error);
    usable = keys(issuer, &listed);
    if (status == JWT_OK) {
        REQUIRE(is_set(document, length, fewest));
        REQUIRE(usable >= fewest && listed <= 8);
        REQUIRE(!error.message[0] && !error.option[0]);
    } else {
        REQUIRE(status == JWKS_INVALID_DOCUMENT);
        REQUIRE(usable == 1 && listed == 1);
        REQUIRE(error.message[0] && memchr(error.message, 0, sizeof error.message));
    }
#ifdef PLANTED
    if (status == JWT_OK && listed > usable)
        sum += *(const volatile char *)(document + length);
#endif
    free(document);
    REQUIRE(jwks_issuer_remove(issuer) == JWT_OK);
    jwks_issuer_release(issuer);
    return 0;
}
