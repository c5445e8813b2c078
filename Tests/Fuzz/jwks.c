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

enum { KINDS = 3 };

static struct {
    jwks_issuer *issuer;
    const char *good;
} kinds[KINDS];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    static const char *const names[KINDS] = { "https://a.example", "https://b.example", "https://c.example" };
    static const char *const documents[KINDS] = { good_public, good_spiffe, good_symmetric };
    jwks_cache *cache = NULL;
    REQUIRE(jwks_cache_new(NULL, &cache, NULL) == JWT_OK);
    for (int i = 0; i < KINDS; i++) {
        jwks_issuer_options options = JWKS_ISSUER_OPTIONS_INIT;
        options.issuer = names[i];
        options.use = i == 1 ? JWKS_USE_JWT_SVID : JWKS_USE_SIG;
        options.allow_symmetric = i == 2;
        options.algorithms = i == 2 ? JWT_ALG_HS256 | JWT_ALG_HS384 | JWT_ALG_HS512 : 0;
        options.max_keys = 8;
        REQUIRE(jwks_cache_add_issuer(cache, &options, &kinds[i].issuer, NULL) == JWT_OK);
        kinds[i].good = documents[i];
    }
    return 0;
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
static bool is_set(const char *document, size_t length)
{
    json_t *top = json_loadb(document, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    size_t count = json_array_size(json_object_get(top, "keys"));
    json_decref(top);
    return count >= 1 && count <= 8 && !memchr(document, 0, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    if (count == 0)
        return -1;
    jwks_issuer *issuer = kinds[data[0] % KINDS].issuer;
    const char *good = kinds[data[0] % KINDS].good;
    REQUIRE(jwks_issuer_load(issuer, good, strlen(good), NULL) == JWT_OK);

    size_t length = count - 1, listed, usable;
    char *document = fuzz_copy(data + 1, length);
    jwks_error error = JWKS_ERROR_INIT;
    jwt_status status = jwks_issuer_load(issuer, document, length, &error);
    usable = keys(issuer, &listed);
    if (status == JWT_OK) {
        REQUIRE(is_set(document, length));
        REQUIRE(usable >= 1 && listed <= 8);
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
    return 0;
}
