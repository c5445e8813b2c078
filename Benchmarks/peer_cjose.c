/* cjose verifies signatures; its host reads the claims with jansson, which it has to link anyway. */
#include "bench.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

static void *prepare(const char *alg, struct text jwk, struct text key)
{
    (void)alg;
    (void)key;
    return cjose_jwk_import(jwk.data, jwk.len, NULL);
}

static int is(const json_t *claims, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(claims, name));
    return text && strcmp(text, wanted) == 0;
}

static int are_accepted(const uint8_t *payload, size_t len)
{
    json_t *claims = json_loadb((const char *)payload, len, JSON_REJECT_DUPLICATES, NULL);
    time_t now = time(NULL);
    int ok = is(claims, "iss", ISSUER) && is(claims, "aud", AUDIENCE) &&
             json_integer_value(json_object_get(claims, "exp")) > now &&
             json_integer_value(json_object_get(claims, "nbf")) <= now;
    json_decref(claims);
    return ok;
}

static int accepts(void *prepared, const char *token, size_t len)
{
    uint8_t *payload;
    size_t payload_len;
    cjose_jws_t *jws = cjose_jws_import(token, len, NULL);
    int ok = jws && cjose_jws_verify(jws, prepared, NULL) &&
             cjose_jws_get_plaintext(jws, &payload, &payload_len, NULL) && are_accepted(payload, payload_len);
    cjose_jws_release(jws);
    return ok;
}

const struct peer cjose = { "cjose", { "EdDSA" }, prepare, accepts };
