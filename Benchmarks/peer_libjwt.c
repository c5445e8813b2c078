/* libjwt 1 reads the key's PEM at each verification; its interface has no other way. */
#include "bench.h"

#include <jwt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct prepared {
    const char *alg;
    struct text key;
};

static void *prepare(const char *alg, struct text jwk, struct text key)
{
    struct prepared *prepared = malloc(sizeof *prepared);
    (void)jwk;
    *prepared = (struct prepared){ alg, key };
    return prepared;
}

static int is(const char *text, const char *wanted)
{
    return text && strcmp(text, wanted) == 0;
}

static int accepts(void *state, const char *token, size_t len)
{
    struct prepared *prepared = state;
    jwt_t *jwt = NULL;
    (void)len;
    if (jwt_decode(&jwt, token, (unsigned char *)prepared->key.data, (int)prepared->key.len) != 0)
        return 0;
    time_t now = time(NULL);
    int ok = is(jwt_alg_str(jwt_get_alg(jwt)), prepared->alg) && is(jwt_get_grant(jwt, "iss"), ISSUER) &&
             is(jwt_get_grant(jwt, "aud"), AUDIENCE) && jwt_get_grant_int(jwt, "exp") > now &&
             jwt_get_grant_int(jwt, "nbf") <= now;
    jwt_free(jwt);
    return ok;
}

const struct peer libjwt = { "libjwt", { "PS256", "EdDSA" }, prepare, accepts };
