/* revoke STORE ISSUER KID: revokes a key in a store that others use, and prints the status. */
#include <keyturn.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    jwks_cache *cache = NULL;
    jwks_issuer *issuer = NULL;
    jwks_error error = JWKS_ERROR_INIT;
    if (argc != 4)
        return 2;
    jwks_cache_options with = { .size = sizeof with, .store = argv[1] };
    jwks_issuer_options of = { .size = sizeof of, .issuer = argv[2] };
    jwt_status status = jwks_cache_new(&with, &cache, &error);
    if (status == JWT_OK)
        status = jwks_cache_add_issuer(cache, &of, &issuer, &error);
    jwks_revocation key = { .size = sizeof key,
                            .issuer = issuer,
                            .kind = JWKS_REVOKE_KID,
                            .value = argv[3],
                            .value_len = strlen(argv[3]) };
    if (status == JWT_OK)
        status = jwks_cache_revoke(cache, &key, &error);
    printf("%s %s\n", jwt_status_name(status), error.message);
    jwks_issuer_release(issuer);
    jwks_cache_release(cache);
    return status != JWT_OK;
}
