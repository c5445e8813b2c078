#include "bench.h"

#include <rhonabwy.h>

static void *prepare(const char *alg, struct text jwk, struct text key)
{
    jwk_t *prepared = NULL;
    (void)alg;
    (void)key;
    if (r_global_init() != RHN_OK || r_jwk_init(&prepared) != RHN_OK ||
        r_jwk_import_from_json_str(prepared, jwk.data) != RHN_OK)
        give_up("rhonabwy does not read the key");
    return prepared;
}

static int accepts(void *prepared, const char *token, size_t len)
{
    jwt_t *jwt = NULL;
    int ok =
        r_jwt_init(&jwt) == RHN_OK && r_jwt_parsen(jwt, token, len, 0) == RHN_OK &&
        r_jwt_verify_signature(jwt, prepared, 0) == RHN_OK &&
        r_jwt_validate_claims(jwt, R_JWT_CLAIM_ISS, ISSUER, R_JWT_CLAIM_AUD, AUDIENCE, R_JWT_CLAIM_EXP,
                              R_JWT_CLAIM_NOW, R_JWT_CLAIM_NBF, R_JWT_CLAIM_NOW, R_JWT_CLAIM_NOP) == RHN_OK;
    r_jwt_free(jwt);
    return ok;
}

const struct peer rhonabwy = { "rhonabwy", { NULL }, prepare, accepts };
